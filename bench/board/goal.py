"""What a line of the scoreboard is to reach, and whether it did.

A goal judges one column of its line, its first one unless said otherwise: the median of the rounds (`at_most`, `at_least`),
or how it compares with another line of its group. Lines of a group are measured in turns, so a comparison pairs the
samples of one round and then takes the median: what the machine was doing in that round met both.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

VALUE, TIMES, MORE = "value", "times", "more"


@dataclass(frozen=True)
class Goal:
    kind: str
    limit: float
    unit: str = ""
    other: str = ""  # the line that it is compared with
    least: bool = False  # the limit is the least, not the most
    column: str = ""  # "" is the group's first

    def on(self, column: str) -> "Goal":
        """The same goal for another column of its line."""
        return replace(self, column=column)

    def measured(self, own: Sequence[float], other: Sequence[float]) -> float:
        """The figure that is held against the limit, from the samples of each round."""
        if self.kind == TIMES:
            return statistics.median(mine / theirs for mine, theirs in zip(own, other))
        if self.kind == MORE:
            return statistics.median(mine - theirs for mine, theirs in zip(own, other))
        return statistics.median(own)

    def reached(self, measured: float) -> bool:
        return measured >= self.limit if self.least else measured <= self.limit

    def figure(self, value: float) -> str:
        """A value as this goal speaks of it: `1.08 ×`, `+0.9 µs`, `23.4 ms`."""
        if self.kind == TIMES:
            return f"{value:.2f} ×"
        if self.kind == MORE:
            return f"{value:+.1f} {self.unit}"
        return f"{number(value)} {self.unit}"

    def __str__(self) -> str:
        side = "at least" if self.least else "at most"
        if self.kind == TIMES:
            return f"{side} {self.limit:g} × {self.other}"
        if self.kind == MORE:
            return f"{side} {self.limit:g} {self.unit} more than {self.other}"
        return f"{side} {self.limit:,g} {self.unit}"


def number(value: float) -> str:
    """Three digits that count, and none behind the point of what is large, or nothing."""
    digits = 0 if value >= 100 or value == 0 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def at_most(limit: float, unit: str) -> Goal:
    return Goal(VALUE, limit, unit)


def at_least(limit: float, unit: str) -> Goal:
    return Goal(VALUE, limit, unit, least=True)


def times(limit: float, other: str) -> Goal:
    """At most so many times what the other line needs."""
    return Goal(TIMES, limit, other=other)


def times_at_least(limit: float, other: str) -> Goal:
    return Goal(TIMES, limit, other=other, least=True)


def more(limit: float, unit: str, other: str) -> Goal:
    """At most so much more than the other line needs."""
    return Goal(MORE, limit, unit, other)
