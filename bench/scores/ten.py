"""A longer visit: ten GETs in one transaction, so that what a visit costs is shared by ten requests."""

from board.clients import mite, wrk
from board.goal import more, times
from board.group import Group
from board.requests import COLUMNS, requests


def groups(quick: bool) -> list[Group]:
    lines = [
        requests(wrk()),
        requests(mite("C", "ten"), [times(1.05, "wrk")]),
        requests(mite("C", "ten", name="mite, C, collector", collector=True), [more(1.5, "µs", "mite, C")]),
        requests(mite("Python", "ten"), [times(1.5, "wrk")]),
        requests(
            mite("Python", "ten", name="mite, Python, collector", collector=True), [more(1.5, "µs", "mite, Python")]
        ),
    ]
    return [Group("Ten GETs a visit, 100 virtual users", COLUMNS, lines, reference="wrk")]
