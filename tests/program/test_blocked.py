"""What blocks the loop and never yields is named, and does not hold the run open."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, inherited, sanitized, totals, wait_for_line

Start = Callable[..., "subprocess.Popen[str]"]

IN_PYTHON = """
import asyncio

async def spin(ctx):
    await asyncio.sleep(0.001)
    while True:
        pass
"""

IN_C = """#include <mite/mite.h>

MITE_JOURNEY(spin)
{
    mite_sleep(ctx, 0.001);
    MITE_TRANSACTION(ctx, "busy") {
        for (;;) {
        }
    }
}

static void try_for_ever(struct mite_context **ctx)
{
    for (;;) {
        mite_sleep(*ctx, 0.001);
    }
}

MITE_JOURNEY(never_cleaned)
{
    struct mite_context *mine __attribute__((cleanup(try_for_ever), unused)) = ctx;

    mite_sleep(ctx, 60);
}

static int64_t spin_volume(void *arg, int64_t start_s, int64_t end_s)
{
    while (start_s > 0) {
    }
    return 1;
}

MITE_JOURNEY(looks)
{
    mite_sleep(ctx, 0.1);
}

MITE_SCENARIO(spins)
{
    mite_add(setup, ":looks", NULL, mite_volume_function(setup, spin_volume, NULL));
}
"""

pytestmark = pytest.mark.skipif(sanitized(), reason="AddressSanitizer reports crashes itself")


@pytest.fixture
def in_python(tmp_path: Path) -> Path:
    (tmp_path / "blocked.py").write_text(IN_PYTHON)
    return tmp_path


@pytest.fixture
def in_c(tmp_path: Path) -> Path:
    (tmp_path / "blocked.c").write_text(IN_C)
    return tmp_path


def gave_up(status: int, stdout: str, stderr: str) -> None:
    assert status == 3, stderr
    assert 'WARNING journey "blocked.c:spin" has blocked the loop for ' in stderr
    assert (
        'mite: journey "blocked.c:spin" was given up in transaction "busy": it blocks the loop past the end of the run'
        in stderr
    )
    assert '1 × Blocked in "busy"' in stdout
    assert totals(stdout).errors == 1


def test_one_in_python_that_never_yields_does_not_hold_the_run_open(mite: Mite, in_python: Path) -> None:
    result = mite("journey", "test", "blocked:spin", "--duration=0.5", "--graceful-stop=0.5", timeout=30)
    assert result.returncode == 3
    assert 'mite: journey "blocked:spin" was given up: it blocks the loop past the end of the run' in result.stderr
    assert totals(result.stdout).errors == 1


def test_one_that_never_yields_does_not_hold_the_run_open(mite: Mite, in_c: Path) -> None:
    result = mite("journey", "test", "blocked.c:spin", "--duration=0.5", "--graceful-stop=0.5", timeout=30)
    gave_up(result.returncode, result.stdout, result.stderr)
    assert totals(result.stdout).seconds < 5


def test_one_that_never_yields_ends_after_a_single_interrupt(start: Start, in_c: Path) -> None:
    process = start("journey", "test", "blocked.c:spin", "--graceful-stop=0.5", cwd=in_c)
    seen = wait_for_line(process.stderr, 'journey "blocked.c:spin" has blocked the loop for ')
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    gave_up(process.returncode, stdout, "".join(seen) + stderr)


def test_one_that_never_yields_is_named_and_can_be_ended(start: Start, in_c: Path) -> None:
    process = start("journey", "test", "blocked.c:spin", "--duration=1", cwd=in_c)
    wait_for_line(process.stderr, 'journey "blocked.c:spin" has blocked the loop for ')
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)  # a second SIGINT might come before the first has been taken
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert 'mite: journey "blocked.c:spin" was given up in transaction "busy"' in stderr
    assert '1 × Blocked in "busy"' in stdout
    assert totals(stdout).errors == 1


def test_a_volume_function_that_never_ends_can_be_ended(start: Start, in_c: Path) -> None:
    with inherited(signal.SIGHUP, signal.SIG_DFL):
        process = start("scenario", "test", "blocked.c:spins", "--no-collector", cwd=in_c)
    wait_for_line(process.stderr, "WARNING code outside of any journey has blocked the loop for ")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "mite: was given up: it blocks the loop, and the run is to end at once" in stderr


def test_a_clean_up_that_never_ends_does_not_hold_the_run_open(mite: Mite, in_c: Path) -> None:
    result = mite("journey", "test", "blocked.c:never_cleaned", "--duration=0.5", "--graceful-stop=0", timeout=30)
    assert result.returncode == 3, result.stderr
    assert (
        'mite: journey "blocked.c:never_cleaned" was given up: it blocks the loop past the end of the run' in result.stderr
    )
    assert totals(result.stdout).errors == 1
