"""Results as tables: for a terminal, and in Markdown for ../README.md."""

import statistics
from collections.abc import Sequence

from board.group import Column, GroupResult, LineResult, Verdict


def cell(line: LineResult, column: Column) -> str:
    value = statistics.median(line.column(column.key))
    return f"{value:,.{column.digits}f} {column.unit}".rstrip()


def spread(line: LineResult, column: Column) -> str:
    values = line.column(column.key)
    return f"{min(values):,.{column.digits}f}-{max(values):,.{column.digits}f}"


def judged(verdict: Verdict) -> str:
    word = {True: "reached", False: "MISSED", None: "not judged"}[verdict.reached]
    return f"{verdict.measured}, {verdict.goal}: {word}"


def heads(group: GroupResult) -> list[str]:
    first, *others = (column.heading for column in group.columns)
    return ["", first, "spread", *others, *([f"× {group.reference}"] if group.reference else []), "goal"]


def cells(line: LineResult, group: GroupResult) -> list[str]:
    if line.left_out:
        return [
            line.name,
            *[""] * (len(heads(group)) - 2),
            f"{'FAILED' if line.failed else 'left out'}: {line.left_out}",
        ]
    first, *others = group.columns
    ratio = [f"{line.ratio:.2f}" if line.ratio else ""] if group.reference else []
    goals = "; ".join(judged(verdict) for verdict in line.verdicts)
    return [
        line.name,
        cell(line, first),
        spread(line, first),
        *(cell(line, column) for column in others),
        *ratio,
        goals,
    ]


def text(group: GroupResult) -> str:
    """Columns as wide as their widest cell: names and goals to the left, figures to the right."""
    rows = [heads(group), *(cells(line, group) for line in group.lines)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]

    def aligned(row: Sequence[str]) -> str:
        name, *figures, goal = row
        right = (figure.rjust(width) for figure, width in zip(figures, widths[1:]))
        return "  ".join(["", name.ljust(widths[0]), *right, goal]).rstrip()

    return "\n".join([group.title, *(aligned(row) for row in rows)])


def markdown(group: GroupResult) -> str:
    rows = [heads(group), ["---", *["---:"] * (len(heads(group)) - 2), "---"]]
    for line in group.lines:
        cells_of_line = cells(line, group)
        rows.append([*cells_of_line[:-1], cells_of_line[-1].replace("MISSED", "**missed**")])
    return "\n".join([f"**{group.title}**", "", *(f"| {' | '.join(row)} |" for row in rows)])
