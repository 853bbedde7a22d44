"""Where the time of a request goes, seen in two ways.

Debian's perf looks at the client a thousand times a second of its CPU time. It sees all that there is, waits for memory
and what other tenants of the machine do to its caches included.

callgrind counts what each part of the client executes and which of its caches miss, twice, so that what the start costs
drops out. By KCachegrind's formula that makes cycles; the user time of a run without it is divided among the parts in
proportion. It hardly depends on what else the machine does, and knows a processor only roughly.

What a library spends in libc on our behalf shows as libc's, so that what is called our own is the least that it can be,
and "own code" and "libc, clock" together the most.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from board.clients import Client, Load, mite, wrk
from board.goal import Goal, at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import Cost, run
from board.requests import CONNECTIONS

PARTS = {  # by the name of the object that was running, the first that fits
    "kernel": r"\[(?!vdso)",
    "libcurl": r"lib(curl|nghttp2|idn2|ssh2|rtmp|psl)\b",
    "libc": r"(libc|libm|ld-linux[-\w]*)\.so|\[vdso\]|\?\?\?",  # callgrind does not know the vdso's name
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
CYCLES = {"Ir": 1, "I1mr": 10, "D1mr": 10, "D1mw": 10, "ILmr": 100, "DLmr": 100, "DLmw": 100}
COUNTED_S = (1, 4)  # how long callgrind's two runs last: some thousands of requests between them


def part(thing: str) -> str:
    return next((name for name, pattern in PARTS.items() if re.match(pattern, thing)), "own")


def load(bench: Bench, client: Client, seconds: int, under: Sequence[str] = ()) -> tuple[Cost, int]:
    """A run of the client, under another program where one is given: what it cost, and the requests that were served."""
    argv = client.argv(Load(bench.server.plain, CONNECTIONS, seconds, bench.folder))
    before = bench.server.counts()
    cost = run([*under, *argv], bench.folder)
    return cost, (bench.server.counts() - before).requests


def nothing() -> Sample:
    """No time for any part yet."""
    return dict.fromkeys((column.key for column in COLUMNS), 0.0)


# ---- perf ----


def sampled(client: Client, program: str) -> Callable[[Bench], Sample]:
    def measure(bench: Bench) -> Sample:
        samples = str(bench.folder / "perf.data")
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1000", "-o", samples, "--"]
        _, served = load(bench, client, bench.seconds, record)
        report = ["perf", "report", "--stdio", "-i", samples, "--comm", program, "--sort", "dso", "-F", "period,dso"]
        done = subprocess.run(report, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        spent = nothing()
        for nanoseconds, thing in re.findall(r"^ *(\d+) +(\S.*?) *$", done.stdout, re.MULTILINE):
            for key in (part(thing), "all"):
                spent[key] += int(nanoseconds) / 1e3 / served
        return spent

    return measure


def why_no_perf() -> str:
    if not shutil.which("perf"):
        return "no perf on this machine"
    tried = subprocess.run(["perf", "stat", "-e", "cpu-clock", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else "perf may not look here"


# ---- callgrind ----


def read_cycles(profile: Path) -> Sample:
    """Cycles of each part, its callees' left out, from callgrind's file."""
    names: dict[str, str] = {}
    weights: list[int] = []
    spent = nothing()
    key = "own"
    inclusive = False  # the line behind `calls=` is what the callee costs, which is counted there
    with profile.open() as lines:
        for line in lines:
            if named := re.match(r"(c?ob)=(\(\d+\))(?: (.*))?", line):
                names.setdefault(named[2], Path(named[3] or "").name)
                key = part(names[named[2]]) if named[1] == "ob" else key
            elif line.startswith("events:"):
                weights = [CYCLES.get(event, 0) for event in line.split()[1:]]
            elif line.startswith("calls="):
                inclusive = True
            elif re.match(r"[-+*\d]", line):
                if not inclusive:
                    spent[key] += sum(weight * int(count) for weight, count in zip(weights, line.split()[1:]))
                inclusive = False
    return spent


def counted(client: Client) -> Callable[[Bench], Sample]:
    def cycles(bench: Bench, seconds: int) -> Sample:
        profile = bench.folder / "callgrind.out"
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--cache-sim=yes", f"--callgrind-out-file={profile}"]
        _, served = load(bench, client, seconds, valgrind)
        return read_cycles(profile) | {"requests": served}

    def measure(bench: Bench) -> Sample:
        short, long = (cycles(bench, seconds) for seconds in COUNTED_S)
        requests = long.pop("requests") - short.pop("requests")
        each = {key: (long[key] - short[key]) / requests for key in long}
        cost, served = load(bench, client, bench.seconds)
        user_us, kernel_us = cost.user_s * 1e6 / served, cost.system_s * 1e6 / served
        spent = {key: user_us * count / sum(each.values()) for key, count in each.items()}
        return spent | {"kernel": kernel_us, "all": user_us + kernel_us}

    return measure


def why_no_callgrind() -> str:
    return "" if shutil.which("valgrind") else "no valgrind on this machine"


def line(
    name: str,
    client: Client,
    measure: Callable[[Bench], Sample],
    why_not: Callable[[], str],
    goals: Sequence[Goal] = (),
) -> Line:
    return Line(name, measure, goals, lambda bench: why_not() or client.why_not())


def groups(quick: bool) -> list[Group]:
    curl = mite("C", "get", "--http-transport=curl", name="mite, C, libcurl")
    by_perf = ((curl, "mite"), (mite("C", "get"), "mite"), (mite("Python", "get"), "mite"), (wrk(), "wrk"))
    lines = [line(f"{curl.name}, by callgrind", curl, counted(curl), why_no_callgrind, [at_most(1.5, "µs")])]
    # perf takes its time to look names up.
    for client, program in by_perf[: 1 if quick else None]:
        lines.append(line(client.name, client, sampled(client, program), why_no_perf))
    return [Group("Where the time of a request goes, one GET a visit", COLUMNS, lines)]
