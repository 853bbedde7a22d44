"""What workers bring: the requests of two beside those of one, and what a request costs over two.

Two workers, the server and the parent are more than a machine of two cores has room for. So for the first figure each
worker gets a fifth of a core, and the cheap server and the parent what they need of the rest; the requests are
nginx's, over a time in which all of them run. The second figure is CPU, over parent and workers together, without any limit.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from board.clients import Load, mite
from board.cores import CLIENT
from board.goal import Goal, times, times_at_least
from board.group import Bench, Column, Group, Line, Sample
from board.process import Failed, started
from board.quota import share_of_core, why_no_quota
from board.requests import COLUMNS, CONNECTIONS, requests

SHARE = 0.2


def those_that_work(process: "subprocess.Popen[str]", workers: int) -> list[int]:
    """One worker is the process itself; more are its children, once all of them are there."""
    if workers == 1:
        return [process.pid]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        pids = children.read_text().split()
        if len(pids) == workers:
            return [int(pid) for pid in pids]
        time.sleep(0.01)
    raise Failed(f"mite ended with {process.returncode} before its workers were there")


def under_quota(workers: int, name: str, goals: Sequence[Goal] = ()) -> Line:
    def measure(bench: Bench) -> Sample:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder, contextlib.ExitStack() as stack:
            load = Load(bench.server.plain, CONNECTIONS, bench.seconds + 60, Path(folder))
            argv = mite("C", "get", f"--workers={workers}").argv(load)
            process = stack.enter_context(started(argv, CLIENT, subprocess.DEVNULL, subprocess.DEVNULL))
            for pid in those_that_work(process, workers):
                stack.enter_context(share_of_core(pid, SHARE))
            begin = bench.server.requests_so_far()
            while (before := bench.server.requests_so_far()) < begin + 1_000:  # the load has begun
                time.sleep(0.05)
            start = time.monotonic()
            time.sleep(bench.seconds)
            return {"rate": (bench.server.requests_so_far() - before) / (time.monotonic() - start)}

    return Line(name, measure, goals, lambda bench: why_no_quota())


def groups(quick: bool) -> list[Group]:
    rates = [
        under_quota(1, "one process"),
        under_quota(2, "two workers", [times_at_least(1.8, "one process")]),
    ]
    costs = [
        requests(mite("C", "get", name="one process")),
        requests(mite("C", "get", "--workers=2", name="two workers"), [times(1.11, "one process")], patience=2),
    ]
    return [
        Group(
            f"Workers with {SHARE:.0%} of a core each: one GET a visit, 100 virtual users",
            [Column("rate", "requests/s", digits=0)],
            rates,
            reference="one process",
        ),
        Group("Workers: one GET a visit, 100 virtual users", COLUMNS, costs, reference="one process"),
    ]
