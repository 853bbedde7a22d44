"""The picture of a page, as SVG: what a request costs each client, and how much of each goal is used up.

Drawn without a library, for it is bars and words. It has a light and a dark face, and what a colour says a word says too.
"""

import statistics
from collections.abc import Iterator
from html import escape
from pathlib import Path

from board.group import Column, GroupResult, LineResult, Verdict
from board.page import Page

WIDTH = 880
MARGIN = 28
NAMES = 200  # where bars begin, and what is left of them for names
BARS = 350  # the longest bar of a cost,
GOALS = 230  # and of a goal
FIGURES = 125  # what is left for the figure beside it
ROW = 26
BAR = 14
MOST_SHOWN = 2.0  # of what a goal allows: the bar of what uses more is as long

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933; }
  .title { font-size: 17px; font-weight: 600; }
  .head { font-size: 12px; font-weight: 600; fill: #52606d; }
  .small { font-size: 11px; fill: #7b8794; }
  .value { font-variant-numeric: tabular-nums; }
  .missed { fill: #b44d12; font-weight: 600; }
  .page { fill: #ffffff; stroke: #e4e7eb; }
  .track { fill: #eef1f4; }
  .other { fill: #b8c2cc; }
  .mite, .good { fill: #15808d; }
  .bad { fill: #e0792f; }
  .limit { stroke: #1f2933; stroke-width: 1.5; }
  .spread { stroke: #1f2933; stroke-opacity: .55; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; }
    .head { fill: #9aa5b1; }
    .small { fill: #7b8794; }
    .missed { fill: #f0a36b; }
    .page { fill: #12181f; stroke: #2a343f; }
    .track { fill: #1f2933; }
    .other { fill: #52606d; }
    .mite, .good { fill: #2fa8b5; }
    .limit, .spread { stroke: #e4e7eb; }
  }
"""


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _bar(y: float, width: float, kind: str) -> str:
    return f'<rect x="{MARGIN + NAMES}" y="{y:g}" width="{max(width, 1):.1f}" height="{BAR}" rx="3" class="{kind}"/>'


def _line(x: float, y: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:g}" x2="{x2:.1f}" y2="{y2:g}" class="{kind}"/>'


class Drawing:
    """Goes down the page, row by row."""

    def __init__(self) -> None:
        self.y = MARGIN
        self.parts: list[str] = []

    def add(self, *parts: str) -> None:
        self.parts.extend(parts)

    def title(self, words: str, below: str) -> None:
        self.add(_text(MARGIN, self.y + 15, words, "title"), _text(MARGIN, self.y + 34, below, "small"))
        self.y += 48

    def svg(self) -> str:
        height = self.y + MARGIN
        size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
        page = f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="10" class="page"/>'
        return "\n".join([opening, f"<style>{STYLE}</style>", page, *self.parts, "</svg>", ""])


def _costs(drawing: Drawing, group: GroupResult) -> None:
    """The first column of every line, the cheapest first, with its spread."""
    column: Column = group.columns[0]
    measured = [(line, line.column(column.key)) for line in group.lines if line.samples]
    measured.sort(key=lambda pair: statistics.median(pair[1]))
    scale = BARS / max((statistics.median(values) for _, values in measured), default=1)
    below = "user and system time of the client for each request that nginx served"
    drawing.title(f"{group.title}: CPU per request", below)
    for line, values in measured:
        drawing.add(*_cost(drawing.y, line, values, scale, column, group.reference))
        drawing.y += ROW
    drawing.y += 16


def _cost(
    y: float, line: LineResult, values: list[float], scale: float, column: Column, reference: str
) -> Iterator[str]:
    median = statistics.median(values)
    left, middle = MARGIN + NAMES, y + BAR / 2
    low, high = (left + min(value * scale, BARS + 40) for value in (min(values), max(values)))
    yield _text(left - 10, y + 12, line.name, anchor="end")
    yield _bar(y, median * scale, "mite" if line.name.startswith("mite") else "other")
    yield _line(low, middle, high, middle, "spread")
    words = f"{median:.{column.digits}f} {column.unit}"
    words += f" · {line.ratio:.2f} × {reference}" if line.ratio else ""
    yield _text(max(left + median * scale, high) + 10, y + 12, words, "value")


def _goals(drawing: Drawing, groups: list[GroupResult]) -> None:
    """Every goal, as a share of what it allows: up to the line is reached."""
    drawing.title("Goals", "how much of what a goal allows is used; up to the line it is reached")
    for group in groups:
        verdicts = ((line.name, verdict) for line in group.lines for verdict in line.verdicts)
        judged = [(name, verdict) for name, verdict in verdicts if verdict.reached is not None]
        if not judged:
            continue
        drawing.add(_text(MARGIN, drawing.y + 12, group.title, "head"))
        drawing.y += ROW - 4
        for name, verdict in judged:
            drawing.add(*_goal(drawing.y, name, verdict))
            drawing.y += ROW - 2
        drawing.y += 8


def _goal(y: float, name: str, verdict: Verdict) -> Iterator[str]:
    left = MARGIN + NAMES
    limit = left + GOALS / MOST_SHOWN
    yield _text(left - 10, y + 12, name, anchor="end")
    yield _bar(y, GOALS, "track")
    yield _bar(y, GOALS * min(verdict.fraction, MOST_SHOWN) / MOST_SHOWN, "good" if verdict.reached else "bad")
    yield _line(limit, y - 4, limit, y + BAR + 4, "limit")
    kind, words = ("value", verdict.goal) if verdict.reached else ("value missed", f"missed: {verdict.goal}")
    yield _text(left + GOALS + FIGURES, y + 12, verdict.measured, kind, anchor="end")
    yield _text(left + GOALS + FIGURES + 12, y + 12, words, "small")


def write(page: Page, path: Path) -> None:
    drawing = Drawing()
    for group in page.groups:
        if group.name == "get":
            _costs(drawing, group)
    _goals(drawing, page.groups)
    footer = f"{page.date}: {page.machine}; median of {page.rounds} rounds"
    drawing.add(_text(MARGIN, drawing.y + 12, footer, "small"))
    drawing.y += 6
    path.write_text(drawing.svg())
