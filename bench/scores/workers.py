"""What a request costs when two workers share the load: as much as one process pays, or workers do not scale.

The requests of two workers need twice the cores, which a small machine that also runs the server has not. So what is
measured is CPU for each request, over parent and workers together: at most 1.11 times that of one process is at
least 1.8 times its requests where cores are free, for the workers do not wait for each other or for the parent.
"""

from board.clients import mite
from board.goal import times
from board.group import Group
from board.requests import COLUMNS, requests


def groups(quick: bool) -> list[Group]:
    lines = [
        requests(mite("C", "get", name="one process")),
        requests(mite("C", "get", "--workers=2", name="two workers"), [times(1.11, "one process")], patience=2),
    ]
    return [Group("Workers: one GET a visit, 100 virtual users", COLUMNS, lines, reference="one process")]
