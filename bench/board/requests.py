"""Lines that measure what a client costs for each request that nginx served it."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from board.clients import Client, Load
from board.goal import Goal
from board.group import Bench, Column, Line, Sample
from board.nginx import Nginx
from board.process import Failed, run

COLUMNS = (
    Column("cpu_us", "CPU/request", "µs", 1),
    Column("rate", "requests/s", "", 0),
    Column("peak_mib", "peak memory", "MiB", 1),
)
CONNECTIONS = 100
SPARE_FILES = 200  # of a process, besides its connections


def plain(server: Nginx) -> str:
    return server.plain


def requests(
    client: Client,
    goals: Sequence[Goal] = (),
    url: Callable[[Nginx], str] = plain,
    name: str = "",
    connections: int = CONNECTIONS,
    patience: float = 1,
) -> Line:
    """One client under steady load, for so many times the bench's usual seconds."""

    def measure(bench: Bench) -> Sample:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            seconds = max(1, round(bench.seconds * patience))
            argv = client.argv(Load(url(bench.server), connections, seconds, Path(folder)))
            before = bench.server.counts()
            cost = run(argv, bench.folder)
            served = bench.server.counts() - before
        if served.connections < connections:
            raise Failed(f"{' '.join(argv)}: nginx saw {served.connections} connections:\n{cost.output}")
        return {
            "cpu_us": cost.cpu_s / served.requests * 1e6,
            "rate": served.requests / cost.wall_s,
            "peak_mib": cost.peak_mib,
        }

    def why_not(bench: Bench) -> str:
        if bench.open_files < connections + SPARE_FILES:
            return f"a process may have only {bench.open_files} files open here"
        return client.why_not()

    return Line(name or client.name, measure, goals, why_not)
