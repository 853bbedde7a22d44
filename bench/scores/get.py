"""The hot path: each visit is one transaction with one GET, and its connection is there already."""

from board.clients import ab, autocannon, h2load, hey, mite, wrk
from board.goal import more, times
from board.group import Group
from board.requests import COLUMNS, requests

CURL = "--http-transport=curl"


def groups(quick: bool) -> list[Group]:
    lines = [
        requests(wrk()),
        requests(mite("C", "get"), [times(1.1, "wrk")]),
        requests(mite("C", "get", name="mite, C, collector", collector=True), [more(1.5, "µs", "mite, C")]),
        requests(mite("C", "get", CURL, name="mite, C, libcurl"), [times(4, "wrk")]),
        requests(mite("Python", "get"), [times(1.8, "wrk")]),
        requests(
            mite("Python", "get", name="mite, Python, collector", collector=True), [more(1.5, "µs", "mite, Python")]
        ),
        requests(mite("Python", "get", CURL, name="mite, Python, libcurl"), [times(5, "wrk")]),
        requests(h2load()),
        requests(ab()),
        requests(hey()),
        requests(autocannon()),
    ]
    return [Group("One GET a visit, 100 virtual users", COLUMNS, lines, reference="wrk")]
