"""Runs one client and tells what it cost, as the kernel counted it (../cost.c)."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from board.cores import CLIENT, on_core

BUILD = Path(__file__).resolve().parent.parent.parent / "build"
PROGRAMS = ("bench/cost", "bench/switch", "bench/zmtp")


class Failed(Exception):
    """A client that did not do its work: there is nothing to compare."""


@dataclass(frozen=True)
class Cost:
    cpu_s: float  # user and system, every thread, from exec to exit; with that of children it waited for
    wall_s: float
    peak_mib: float  # of resident memory
    started_s: float  # on the monotonic clock
    output: str  # stdout and stderr


def build_programs() -> None:
    """Those of the bench itself, which nobody else needs."""
    subprocess.run(["ninja", "-C", str(BUILD), *PROGRAMS], check=True, stdout=subprocess.DEVNULL)


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
    return Cost(float(words[1]), float(words[2]), int(words[3]) / 1024, float(words[4]), text)
