"""Small things that several tests of the program need."""

import contextlib
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

from conftest import BUILD

Mite = Callable[..., "subprocess.CompletedProcess[str]"]


class Totals(NamedTuple):
    """What the summary's last line says."""

    requests: int
    errors: int
    journeys: int
    seconds: float
    bytes_received: int


def totals(stdout: str) -> Totals:
    line = stdout.strip().splitlines()[-1]
    found = re.fullmatch(
        r"(\d+) requests, (\d+) errors, (\d+) journeys in (\d+\.\d) s, (\d+) bytes received", line
    )
    assert found, stdout
    requests, errors, journeys, seconds, received = found.groups()
    return Totals(int(requests), int(errors), int(journeys), float(seconds), int(received))


def wait_for_line(stream: "object", text: str) -> list[str]:
    """Reads lines up to the one that holds `text`; all of them."""
    lines = []
    for line in stream:  # type: ignore[attr-defined]
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came in: {''.join(lines)}")


def sanitized() -> bool:
    """Whether the program was built under AddressSanitizer."""
    libraries = subprocess.run(["ldd", BUILD / "mite"], capture_output=True, text=True, check=True).stdout
    return "libasan" in libraries


def free_port() -> int:
    """A port that nothing listens on now, for what cannot be told to choose one itself."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def inherited(number: signal.Signals, disposition: signal.Handlers) -> Iterator[None]:
    """What starts within has that signal ignored, or not: whoever started the tests may have used `nohup` or a `&`."""
    before = signal.signal(number, disposition)
    try:
        yield
    finally:
        signal.signal(number, before)


def said(result: "subprocess.CompletedProcess[str]") -> str:
    """What it wrote on stderr, without the line that tells of a compilation on a machine that has much to do."""
    return "".join(line for line in result.stderr.splitlines(keepends=True) if " INFO compiling " not in line)


def refused(result: "subprocess.CompletedProcess[str]", status: int, *parts: str) -> None:
    """One sentence on stderr, which holds `parts`, and nothing else."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert len(said(result).splitlines()) == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def ran(result: "subprocess.CompletedProcess[str]") -> None:
    """One journey, without an error."""
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 1
