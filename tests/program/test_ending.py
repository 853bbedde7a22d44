"""How a run ends: by its models, by its limits, by signals; what is measured is kept, and the exit status tells."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, inherited, totals, wait_for_line

Start = Callable[..., "subprocess.Popen[str]"]

SOURCE = """
import asyncio
import time

from mite.datapools import IterableDataPool
from mite.scenario import StopVolumeModel
from mite.volume_model import Constant

async def quick(ctx, *args):
    async with ctx.transaction("t"):
        await asyncio.sleep(0.01)

async def slow(ctx):
    ctx.send("debug_console_message", text="slow has begun")
    async with ctx.transaction("t"):
        await asyncio.sleep(1.5)

async def endless(ctx):
    ctx.send("debug_console_message", text="endless has begun")
    async with ctx.transaction("t"):
        await asyncio.sleep(3600)

async def stubborn(ctx):
    ctx.send("debug_console_message", text="stubborn has begun")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def busy(ctx):
    ctx.send("debug_console_message", text="busy has begun")
    while True:
        pass

async def polite(ctx):
    ctx.send("debug_console_message", text="polite has begun")
    while not ctx.should_stop:
        await asyncio.sleep(0.01)

def models():
    return [["ending:quick", None, Constant(duration=1, tps=2)]]

def items():
    return [["ending:quick", IterableDataPool([(n,) for n in range(137)]), lambda start, end: 10]]

def stopping():
    def model(start, end):
        if start >= 1:
            raise StopVolumeModel
        return 3
    return [["ending:quick", None, model]]

def outliving():
    return [["ending:endless", None, Constant(duration=1, tps=2)]]
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(SOURCE)


def running(start: Start, tmp_path: Path, journey: str, *options: str) -> "subprocess.Popen[str]":
    """A run whose journey has begun."""
    process = start("journey", "test", f"ending:{journey}", *options, cwd=tmp_path)
    wait_for_line(process.stderr, f"{journey} has begun")
    return process


def test_iterations_start_exactly_so_many(mite: Mite) -> None:
    result = mite("journey", "test", "ending:quick", "--volume=7", "--iterations=50")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 50


def test_duration_ends_the_run(mite: Mite) -> None:
    result = mite("journey", "test", "ending:quick", "--duration=1")
    assert result.returncode == 0, result.stderr
    assert 0.9 <= totals(result.stdout).seconds <= 3


@pytest.mark.parametrize("name", ["models", "stopping"])
def test_the_models_end_the_run(mite: Mite, name: str) -> None:
    result = mite("scenario", "test", f"ending:{name}")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys > 10


def test_items_of_an_iterable_pool_are_used_once_each(mite: Mite) -> None:
    result = mite("scenario", "test", "ending:items")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 137


def test_run_runs_once(mite: Mite) -> None:
    result = mite("journey", "run", "ending:quick")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 1


def test_a_journey_that_outlives_its_model_gets_the_grace_only(mite: Mite) -> None:
    result = mite("scenario", "test", "ending:outliving", "--graceful-stop=0.2")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).seconds < 10


def test_first_signal_lets_journeys_finish(start: Start, tmp_path: Path) -> None:
    process = running(start, tmp_path, "slow")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert totals(out).journeys == 1 and totals(out).errors == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_asks_polite_journeys_to_stop(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    with inherited(number, signal.SIG_DFL):
        process = running(start, tmp_path, "polite")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert totals(out).journeys == 1


@pytest.mark.parametrize("journey", ["endless", "stubborn", "busy"])
def test_second_signal_ends_journeys_at_once(start: Start, tmp_path: Path, journey: str) -> None:
    process = running(start, tmp_path, journey)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at once would be one to the kernel
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert totals(out).errors == 0
    assert "Traceback" not in err


def test_summary_goes_to_stdout_and_talk_to_stderr(mite: Mite) -> None:
    result = mite("journey", "test", "ending:quick", "--duration=2.5")
    assert re.search(r"Total> #Reqs:0 #Errs:0", result.stderr)
    assert re.search(
        r"Last 2 Secs> #Reqs:\d+ #Errs:\d+ Req/S:\S+ min:\S+ 25%:\S+ 50%:\S+ 75%:\S+ 90%:\S+ 99%:\S+ 99\.9%:\S+ "
        r"max:\S+ running:\d+ started:\d+",
        result.stderr,
    )
    assert "Total>" not in result.stdout
    assert "t " in result.stdout and "\x1b[" not in result.stdout + result.stderr


def test_failing_at_once_is_backed_off(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("async def fail(ctx):\n    raise ValueError('x')\n")
    result = mite("journey", "test", "bad:fail", "--volume=10", "--duration=1")
    assert result.returncode == 1
    assert totals(result.stdout).journeys <= 1500
    assert "--failure-backoff=off" in result.stdout
    faster = mite("journey", "test", "bad:fail", "--volume=10", "--duration=1", "--failure-backoff=off")
    assert totals(faster.stdout).journeys > 1500
