"""What every test of the program shares: the built binary, and the built-in target.

MITE_BUILD names the build folder (build), MITE_WRAPPER a command put in front of the program (valgrind).
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = (ROOT / os.environ.get("MITE_BUILD", "build")).resolve()
sys.path.insert(0, str(BUILD / "python"))  # mite, mite_http and acurl as built

# A build without Python runs journeys in C only.
needs_python = pytest.mark.skipif(not (BUILD / "python").exists(), reason="built without Python")

Mite = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of the test run without what would change the program's behaviour."""
    dropped = ("MITE_CONF_", "MITE_EVAL_CONF_", "MITE_OPT_", "PYTHONBREAKPOINT", "PYTHONPOSTMORTEM", "NO_COLOR")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | extra


def command(*args: str) -> list[str]:
    """The argv that runs mite with these arguments."""
    return [*shlex.split(os.environ.get("MITE_WRAPPER", "")), str(BUILD / "mite"), *args]


@pytest.fixture
def mite(tmp_path: Path) -> Mite:
    """Runs the program in an empty directory and returns what it wrote and its exit status."""

    def run(
        *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 60, **popen: object
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*args),
            cwd=cwd or tmp_path,
            env=environment(**(env or {})),
            timeout=timeout,
            **{"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **popen},
        )

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts the program and returns it running; what is left of it at the end of the test is killed."""
    running = []

    def run(*args: str, env: dict[str, str] | None = None, **popen: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command(*args),
            env=environment(**(env or {})),
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **popen},
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """The address of `mite target`, without a slash at its end."""
    process = subprocess.Popen(
        command("target", "--address=127.0.0.1:0"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), f"mite target said {url!r}"
    yield url
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0, "mite target must end cleanly when asked to"
    process.stdout.close()
