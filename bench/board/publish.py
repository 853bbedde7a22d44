"""Puts a page into ../README.md and ../results: what the repository says of mite's cost is one run's, as it was measured."""

import re
from pathlib import Path

from board import page, picture, table

HERE = Path(__file__).resolve().parent.parent
MARKS = re.compile(r"(<!-- results -->\n).*(<!-- end of results -->)", re.DOTALL)


def words(found: page.Page) -> str:
    reached, goals = page.score(found)
    load = " and ".join(f"{average:.1f}" for average in found.load)
    heading = (
        f"{found.date}, {found.machine}. Median of {found.rounds} rounds, {found.seconds} s each; load average {load} at the "
        f"start and at the end. {reached} of {goals} goals reached."
    )
    return "\n\n".join([heading, *(table.markdown(group) for group in found.groups)])


def publish(found: page.Page) -> None:
    latest = HERE / "results" / "latest.json"
    page.write(found, latest)
    found = page.read(latest)  # as it is rounded there
    picture.write(found, HERE / "results" / "latest.svg")
    readme = HERE / "README.md"
    readme.write_text(MARKS.sub(lambda marks: f"{marks[1]}\n{words(found)}\n\n{marks[2]}", readme.read_text()))
