"""What it costs to resume a fiber that parks at once, by a program of its own (../switch.c)."""

from board.goal import at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import BUILD, run


def measure(bench: Bench) -> Sample:
    return {"ns": float(run([str(BUILD / "bench" / "switch")], bench.folder).output)}


def groups(quick: bool) -> list[Group]:
    line = Line("mite", measure, [at_most(50, "ns")])
    return [Group("Switching to a fiber and back", [Column("ns", "round trip", "ns", 1)], [line])]
