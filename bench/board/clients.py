"""The clients that are compared: how each is told to put one load on one address, and whether it is on this machine.

Each gets one thread and keeps its connections open unless its name says otherwise. None is slowed down by options that
it has and others lack: no thinking time, no pipelining, output as short as it can be.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from board.process import BUILD

HERE = Path(__file__).resolve().parent.parent
MITE = BUILD / "mite"
JOURNEYS = {"C": str(HERE / "journeys.c"), "Python": "journeys"}
AUTOCANNON = HERE / "node_modules" / "autocannon" / "autocannon.js"


@dataclass(frozen=True)
class Load:
    url: str
    connections: int  # or virtual users: one is one
    seconds: int
    folder: Path  # empty, for files that are written during the run; on a memory disk where there is one


@dataclass(frozen=True)
class Client:
    name: str
    argv: Callable[[Load], list[str]]
    why_not: Callable[[], str]  # the reason why it cannot run here; "" when it can


def _program(name: str, *, argv: Callable[[Load], list[str]], program: str = "") -> Client:
    program = program or name
    return Client(name, argv, lambda: "" if shutil.which(program) else f"no {program} on this machine")


def wrk() -> Client:
    return _program("wrk", argv=lambda load: ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", load.url])


def h2load() -> Client:
    def argv(load: Load) -> list[str]:
        return ["h2load", "--h1", "-t1", f"-c{load.connections}", f"-D{load.seconds}", load.url]

    return _program("h2load", argv=argv)


def hey() -> Client:
    def argv(load: Load) -> list[str]:
        return ["hey", "-cpus", "1", "-c", str(load.connections), "-z", f"{load.seconds}s", load.url]

    return _program("hey", argv=argv)


def ab(*, keep_alive: bool = True) -> Client:
    """Without keep-alive it is the classic way to make a connection for each request."""

    def argv(load: Load) -> list[str]:
        # -n after -t: the time limit brings a limit of 50,000 requests along.
        options = ["-q", "-c", str(load.connections), "-t", str(load.seconds), "-n", "10000000"]
        return ["ab", *options, *(["-k"] if keep_alive else []), load.url]

    return _program("ab" if keep_alive else "ab without -k", program="ab", argv=argv)


def autocannon() -> Client:
    def argv(load: Load) -> list[str]:
        return ["node", str(AUTOCANNON), "-n", "-c", str(load.connections), "-d", str(load.seconds), load.url]

    return Client("autocannon", argv, install_autocannon)


@functools.cache
def install_autocannon() -> str:
    """Installs what ../package.json pins, once; the reason when that cannot be done, else "" """
    if AUTOCANNON.exists():
        return ""
    if not shutil.which("node") or not shutil.which("npm"):
        return "no node and npm on this machine"
    npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--fetch-retries=0"]
    try:
        done = subprocess.run(npm, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "npm got no answer from its registry"
    if done.returncode == 0 and AUTOCANNON.exists():
        return ""
    codes = [line.split()[-1] for line in done.stderr.splitlines() if line.startswith("npm error code")]
    return f"npm cannot install it: {codes[0] if codes else 'it does not say why'}"


def mite(language: str, journey: str, *options: str, name: str = "", collector: bool = False) -> Client:
    """A journey of journeys.c or journeys.py; with the collector, every message goes to a file in the load's folder."""

    def argv(load: Load) -> list[str]:
        users = f"--volume={load.connections}"
        common = [users, f"--duration={load.seconds}", "--spawn-rate=1000000", f"--add-to-config=url:{load.url}"]
        sink = f"--collector-dir={load.folder}/messages" if collector else "--no-collector"
        return mite_test(language, journey, "--hide-constant-logs", *common, sink, *options)

    return Client(name or f"mite, {language}", argv, lambda: why_no_mite(language))


def mite_test(language: str, journey: str, *options: str) -> list[str]:
    return [str(MITE), "journey", "test", f"{JOURNEYS[language]}:{journey}", *options]


def why_no_mite(language: str) -> str:
    if language == "Python" and not (BUILD / "python").exists():
        return "mite is built without Python"
    return ""


def warm_up(folder: Path) -> None:
    """Compiles what is compiled at its first use in this folder, so that no measurement pays for it."""
    for language in JOURNEYS:
        if not why_no_mite(language):
            argv = [str(MITE), "journey", "run", f"{JOURNEYS[language]}:nothing", "--no-collector"]
            subprocess.run(argv, cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def memory_disk() -> str | None:
    """A folder in memory, so that what is written costs what writing costs, and not what a disk does; None: none here."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
