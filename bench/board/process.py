"""Runs a client and tells what it cost, as the kernel counted it (../cost.c); runs what a client needs beside it."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from board.cores import CLIENT, SERVER, on_core

BUILD = Path(__file__).resolve().parent.parent.parent / "build"
PROGRAMS = ("bench/cost", "bench/switch", "bench/zmtp")


LONGEST_S = 180  # what a measurement may take; one that hangs shall not hold up the others


class Failed(Exception):
    """A client that did not do its work: there is nothing to compare."""


@dataclass(frozen=True)
class Cost:
    user_s: float  # every thread, from exec to exit; with that of children it waited for
    system_s: float
    wall_s: float
    peak_mib: float  # of resident memory
    started_s: float  # on the monotonic clock
    output: str  # stdout and stderr

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s


def build_programs() -> None:
    """Those of the bench itself, which nobody else needs."""
    subprocess.run(["ninja", "-C", str(BUILD), *PROGRAMS], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def started(
    argv: Sequence[str], core: int = SERVER, stdout: int | None = None, stderr: int | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """A component that runs beside what is measured, on the servers' core. At the end it is asked to end, then killed."""
    with on_core(core):
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def cpu_seconds(process: "subprocess.Popen[str]") -> float:
    """Of a process that runs, user and system, so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Whatever is waited for in here fails after that time."""

    def give_up(*_: object) -> NoReturn:
        raise Failed(f"nothing came of it within {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(argv: Sequence[str], folder: Path) -> Cost:
    """Runs it to its end on the clients' core, in that folder. A status other than 0 is a failure."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as report, tempfile.TemporaryFile() as output:
        with on_core(CLIENT):
            process = subprocess.Popen(
                [str(BUILD / "bench" / "cost"), str(writing), *argv],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
            )
        os.close(writing)
        try:
            words = report.read().split()
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(int(words[0])) if words else 127
    if status != 0:
        raise Failed(f"{' '.join(argv)} exited with {status}:\n{text}")
    user_s, system_s, wall_s = map(float, words[1:4])
    return Cost(user_s, system_s, wall_s, int(words[4]) / 1024, float(words[5]), text)
