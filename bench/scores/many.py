"""What a request costs when 10,000 connections are open instead of 100.

The runs are longer than others, for what it costs to make the connections counts too.
"""

from board.clients import mite, wrk
from board.goal import times
from board.group import Group
from board.requests import COLUMNS, requests


def groups(quick: bool) -> list[Group]:
    many, patience = (1_000, 1) if quick else (10_000, 2)
    few = requests(mite("C", "get"), name="mite, C, 100", patience=patience)
    lines = [
        few,
        requests(
            mite("C", "get"), [times(1.5, few.name)], name=f"mite, C, {many:,}", connections=many, patience=patience
        ),
        requests(wrk(), name="wrk, 100", patience=patience),
        requests(wrk(), name=f"wrk, {many:,}", connections=many, patience=patience),
    ]
    lines = lines[:2] if quick else lines  # those that a goal is about
    return [Group(f"One GET a visit, 100 and {many:,} connections", COLUMNS, lines, reference=few.name)]
