"""A longer visit: ten GETs in one transaction, so that what a visit costs is shared by ten requests."""

from functools import partial

from board.clients import mite, wrk
from board.goal import more, times
from board.group import Group
from board.requests import COLUMNS, requests


def groups(quick: bool) -> list[Group]:
    client = partial(requests, patience=1 if quick else 2)  # longer, so that the start counts for less
    lines = [
        client(wrk()),
        client(mite("C", "ten"), [times(1.05, "wrk")]),
        client(mite("C", "ten", name="mite, C, collector", collector=True), [more(1.5, "µs", "mite, C")]),
        client(mite("Python", "ten"), [times(1.5, "wrk")]),
        client(
            mite("Python", "ten", name="mite, Python, collector", collector=True), [more(1.5, "µs", "mite, Python")]
        ),
    ]
    return [Group("Ten GETs a visit, 100 virtual users", COLUMNS, lines, reference="wrk")]
