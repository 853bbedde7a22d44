"""A group of the scoreboard: lines that are measured in turns, under the same columns.

A score (../scores) makes groups; `measure` runs one and returns a result, which is plain data: what is printed, drawn and
written as JSON is made of it alone.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from board.goal import VALUE, Goal
from board.nginx import Nginx
from board.process import LONGEST_S, Failed, within

Sample = dict[str, float]  # by the keys of the columns


@dataclass(frozen=True)
class Bench:
    """What a measurement may use."""

    server: Nginx
    folder: Path  # for files, on a memory disk where there is one; gone at the end
    seconds: int  # how long a load of steady requests lasts
    quick: bool  # one short round, to see that everything works: the figures are no figures
    open_files: int  # how many a process may have open


@dataclass(frozen=True)
class Column:
    key: str
    heading: str
    unit: str = ""
    digits: int = 1


@dataclass(frozen=True)
class Line:
    name: str
    measure: Callable[[Bench], Sample]
    goals: Sequence[Goal] = ()
    why_not: Callable[[Bench], str] = lambda bench: ""  # the reason why it cannot be measured here; "" when it can


@dataclass(frozen=True)
class Group:
    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    reference: str = ""  # the line that the others' first column is shown as a multiple of
    warm_up: bool = False  # a first round that does not count


@dataclass
class Verdict:
    goal: str
    measured: str
    reached: bool | None  # None: there was nothing to compare with
    fraction: float  # of what is allowed (or, of what is to be reached at least, its inverse): up to 1 is reached


@dataclass
class LineResult:
    name: str
    samples: list[Sample] = field(default_factory=list)
    left_out: str = ""  # why, when there are no samples
    failed: bool = False  # and whether that is because it should have had some
    ratio: float | None = None  # to the reference, of the first column
    verdicts: list[Verdict] = field(default_factory=list)

    def column(self, key: str) -> list[float]:
        return [sample[key] for sample in self.samples]


@dataclass
class GroupResult:
    name: str
    title: str
    reference: str
    columns: list[Column]
    lines: list[LineResult]


def _judge(goal: Goal, line: LineResult, others: dict[str, LineResult], first: str) -> Verdict:
    key = goal.column or first
    if goal.kind != VALUE and not others[goal.other].samples:
        return Verdict(str(goal), f"{goal.other} is left out", None, 0.0)
    other = others[goal.other].column(key) if goal.other else []
    measured = goal.measured(line.column(key), other)
    fraction = goal.limit / max(measured, 1e-9) if goal.least else max(measured, 0.0) / goal.limit
    return Verdict(str(goal), goal.figure(measured), goal.reached(measured), fraction)


def _compare(group: Group, lines: list[LineResult]) -> None:
    first = group.columns[0].key
    by_name = {line.name: line for line in lines}
    reference = by_name.get(group.reference)
    for declared, line in zip(group.lines, lines):
        if not line.samples:
            continue
        if reference and reference is not line and reference.samples:
            pairs = zip(line.column(first), reference.column(first))
            line.ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        line.verdicts = [_judge(goal, line, by_name, first) for goal in declared.goals]


def measure(name: str, group: Group, bench: Bench, rounds: int) -> GroupResult:
    """Lines take turns within each round, so that whatever else the machine does meets all of them.

    A line that fails is out, and said to be; the others go on.
    """
    lines = [LineResult(line.name, left_out=line.why_not(bench)) for line in group.lines]
    for number in range(-1 if group.warm_up else 0, rounds):
        for declared, line in zip(group.lines, lines):
            if line.left_out:
                continue
            try:
                with within(LONGEST_S):
                    sample = declared.measure(bench)
            except Failed as failed:
                print(f"bench: {group.title}: {line.name}: {failed}", file=sys.stderr)
                line.samples, line.left_out, line.failed = [], str(failed).partition("\n")[0], True
                continue
            if number >= 0:
                line.samples.append(sample)
    _compare(group, lines)
    return GroupResult(name, group.title, group.reference, list(group.columns), lines)
