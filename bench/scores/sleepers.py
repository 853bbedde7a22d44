"""Virtual users that only wait: peak memory of the whole process, and how soon the last of them was there."""

import re
from collections.abc import Sequence

from board.clients import mite_test, why_no_mite
from board.goal import Goal, at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import Failed, run

COLUMNS = (Column("mib", "peak memory", "MiB", 1), Column("start_s", "all asleep", "s", 2))


def line(language: str, count: int, goals: Sequence[Goal]) -> Line:
    def measure(bench: Bench) -> Sample:
        ends = (f"--duration={1 if bench.quick else 5}", "--graceful-stop=0")
        many = (f"--volume={count}", f"--add-to-config=sleepers:{count}", "--spawn-rate=1000000")
        cost = run(mite_test(language, "sleeper", "--hide-constant-logs", "--no-collector", *ends, *many), bench.folder)
        asleep = re.search(r"^asleep ([\d.]+)$", cost.output, re.MULTILINE)
        if not asleep:
            raise Failed(f"{count:,} journeys were never asleep at once:\n{cost.output}")
        return {"mib": cost.peak_mib, "start_s": float(asleep[1]) - cost.started_s}

    return Line(f"{count:,} in {language}", measure, goals, lambda bench: why_no_mite(language))


def groups(quick: bool) -> list[Group]:
    lines = [
        line("Python", 1_000 if quick else 10_000, [at_most(100, "MiB")]),
        line("C", 1_000 if quick else 100_000, [at_most(1_200, "MiB"), at_most(3, "s").on("start_s")]),
    ]
    return [Group("Sleeping journeys in one process", COLUMNS, lines)]
