"""Where the time of a request goes: Debian's perf looks at the client a thousand times a second of its CPU time.

What a library spends in libc on our behalf shows as libc's, so that what is called our own is the least that it can be,
and "own code" and "libc, clock" together the most.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence

from board.clients import Client, Load, mite, wrk
from board.goal import Goal, at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import run
from board.requests import CONNECTIONS

PARTS = {  # by the name of the object that was running, the first that fits
    "kernel": r"\[(?!vdso)",
    "libcurl": r"lib(curl|nghttp2|idn2|ssh2|rtmp|psl)\b",
    "libc": r"(libc|libm|ld-linux[-\w]*)\.so|\[vdso\]",
    "own": r"_mite\.",
    "python": r"(lib)?python|.*\.cpython-",
}
COLUMNS = (
    Column("own", "own code", "µs", 2),
    Column("libcurl", "libcurl", "µs", 2),
    Column("python", "interpreter", "µs", 2),
    Column("libc", "libc, clock", "µs", 2),
    Column("kernel", "kernel", "µs", 2),
    Column("all", "all", "µs", 2),
)


def part(thing: str) -> str:
    return next((name for name, pattern in PARTS.items() if re.match(pattern, thing)), "own")


def line(client: Client, program: str, goals: Sequence[Goal] = ()) -> Line:
    def measure(bench: Bench) -> Sample:
        samples = str(bench.folder / "perf.data")
        argv = client.argv(Load(bench.server.plain, CONNECTIONS, bench.seconds, bench.folder))
        before = bench.server.counts()
        run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1000", "-o", samples, "--", *argv], bench.folder)
        served = bench.server.counts() - before
        report = ["perf", "report", "--stdio", "-i", samples, "--comm", program, "--sort", "dso", "-F", "period,dso"]
        done = subprocess.run(report, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        spent = dict.fromkeys((column.key for column in COLUMNS), 0.0)
        for nanoseconds, thing in re.findall(r"^ *(\d+) +(\S.*?) *$", done.stdout, re.MULTILINE):
            for key in (part(thing), "all"):
                spent[key] += int(nanoseconds) / 1e3 / served.requests
        return spent

    return Line(client.name, measure, goals, lambda bench: why_no_perf() or client.why_not())


def why_no_perf() -> str:
    if not shutil.which("perf"):
        return "no perf on this machine"
    tried = subprocess.run(["perf", "stat", "-e", "cpu-clock", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else "perf may not look here"


def groups(quick: bool) -> list[Group]:
    curl = "--http-transport=curl"
    lines = [
        line(mite("C", "get", curl, name="mite, C, libcurl"), "mite", [at_most(1.5, "µs")]),
        line(mite("C", "get"), "mite"),
        line(mite("Python", "get"), "mite"),
        line(wrk(), "wrk"),
    ]
    lines = lines[:1] if quick else lines  # perf takes its time to look names up
    return [Group("Where the time of a request goes, one GET a visit", COLUMNS, lines)]
