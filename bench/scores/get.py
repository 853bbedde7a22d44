"""The hot path: each visit is one transaction with one GET, and its connection is there already."""

from functools import partial

from board.clients import ab, autocannon, h2load, hey, mite, wrk
from board.goal import more, times
from board.group import Group
from board.requests import COLUMNS, requests

CURL = "--http-transport=curl"


def groups(quick: bool) -> list[Group]:
    client = partial(requests, patience=1 if quick else 2)  # longer, so that the start counts for less
    lines = [
        client(wrk()),
        client(mite("C", "get"), [times(1.1, "wrk")]),
        client(mite("C", "get", name="mite, C, collector", collector=True), [more(1.5, "µs", "mite, C")]),
        client(mite("C", "get", CURL, name="mite, C, libcurl"), [times(4, "wrk")]),
        client(mite("Python", "get"), [times(1.8, "wrk")]),
        client(
            mite("Python", "get", name="mite, Python, collector", collector=True), [more(1.5, "µs", "mite, Python")]
        ),
        client(mite("Python", "get", CURL, name="mite, Python, libcurl"), [times(5, "wrk")]),
        client(h2load()),
        client(ab()),
        client(hey()),
        client(autocannon()),
    ]
    return [Group("One GET a visit, 100 virtual users", COLUMNS, lines, reference="wrk")]
