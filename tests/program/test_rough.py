"""Rough treatment: closed streams, full disks, an impatient Ctrl-C, code that blocks, Python's debugging modes."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, inherited, totals, wait_for_line

Start = Callable[..., "subprocess.Popen[str]"]

SOURCE = """
import asyncio
import os
import sys
import time

async def quick(ctx, *args):
    await asyncio.sleep(0.001)

async def noisy(ctx):
    raise Exception("red \\x1b[31m and a bell \\a")

def say(text):
    print(text, file=sys.stderr, flush=True)

async def forking(ctx):
    async with ctx.transaction("t"):
        child = os.fork()
        if child == 0:
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        ctx.send("debug_console_message", text=f"child: {os.waitstatus_to_exitcode(status)}")

async def stopping(ctx):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(10)

class SlowPool:
    def checkout(self):
        say("checkout")
        time.sleep(1.2)
        return 1, ()

    def checkin(self, id):
        pass

class HungPool:
    def checkout(self):
        say("checkout")
        while True:
            time.sleep(0.1)

    def checkin(self, id):
        pass

slow_pool = SlowPool()
hung_pool = HungPool()

def hung_model():
    def model(start, end):
        say("model")
        while True:
            pass
    return [["rough:quick", None, model]]
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "rough.py").write_text(SOURCE)


def test_closed_streams_are_no_files_of_the_run(start: Start, tmp_path: Path) -> None:
    def close_all() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    process = start("journey", "test", "rough:quick", "--iterations=3", cwd=tmp_path, preexec_fn=close_all)
    assert process.wait(timeout=30) == 0
    assert b"requests, " not in (tmp_path / "collector_data" / "current").read_bytes()


@pytest.mark.parametrize("words", [("--help",), ("journey", "test", "rough:quick", "--iterations=3")])
def test_results_that_cannot_be_written_are_no_success(mite: Mite, words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        result = mite(*words, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert result.returncode == 3
    assert "No space left on device" in result.stderr


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN])  # shells ignore it for what runs behind a `&`
def test_ctrl_c_before_the_load_is_no_bad_spec(start: Start, tmp_path: Path, disposition: signal.Handlers) -> None:
    (tmp_path / "eternal.py").write_text("print('importing', flush=True)\nwhile True:\n    pass\n")
    with inherited(signal.SIGINT, disposition):
        process = start("journey", "test", "eternal:journey", cwd=tmp_path)
    wait_for_line(process.stdout, "importing")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == 'mite: interrupted while journey "eternal:journey" was loaded\n'


@pytest.mark.parametrize("option", ["--duration=1e18", "--duration=18446744073", "--max-loop-delay=3600"])
def test_moments_beyond_the_clock_never_come(mite: Mite, option: str) -> None:
    result = mite("journey", "test", "rough:quick", "--iterations=3", option)
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 3


def test_a_delay_beyond_the_clock_never_ends(start: Start, tmp_path: Path) -> None:
    options = ("--delay-start-seconds=1e18", "--iterations=1")
    process = start("journey", "test", "rough:quick", *options, cwd=tmp_path)
    wait_for_line(process.stderr, "Total>")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and totals(out).journeys == 0


def test_a_pool_slower_than_a_window_starves_nobody(start: Start, tmp_path: Path) -> None:
    process = start("journey", "test", "rough:quick", "rough:slow_pool", "--volume=2", cwd=tmp_path)
    wait_for_line(process.stderr, "checkout")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (("journey", "test", "rough:quick", "rough:hung_pool"), "checkout"),
        (("scenario", "test", "rough:hung_model"), "model"),
    ],
)
def test_second_signal_ends_what_blocks_outside_journeys(
    start: Start, tmp_path: Path, words: tuple[str, ...], begun: str
) -> None:
    process = start(*words, cwd=tmp_path)
    wait_for_line(process.stderr, begun)
    process.send_signal(signal.SIGINT)
    lines = wait_for_line(process.stderr, "has blocked the loop")
    assert "code outside of any journey has blocked the loop" in lines[-1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in (2, 130)


@pytest.mark.parametrize(
    "variable", ["PYTHONMALLOC=debug", "PYTHONDEVMODE=1", "PYTHONASYNCIODEBUG=1", "PYTHONWARNINGS=error"]
)
def test_runs_in_the_debugging_modes_of_python(mite: Mite, variable: str) -> None:
    name, _, value = variable.partition("=")
    result = mite("journey", "test", "rough:quick", "--iterations=20", env={name: value})
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 20
    assert "Error" not in result.stderr


def test_log_lines_do_not_steer_the_terminal(mite: Mite) -> None:
    result = mite("journey", "run", "rough:noisy")
    assert "red ?[31m and a bell ?" in result.stderr
    assert "\x1b" not in result.stderr + result.stdout and "\a" not in result.stderr + result.stdout


def test_the_child_of_a_journey_that_forks_is_no_second_run(mite: Mite) -> None:
    result = mite("journey", "test", "rough:forking", "--iterations=3")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("requests, ") == 1
    assert totals(result.stdout).journeys == 3
    assert result.stderr.count("child: 7") == 3


def test_a_loop_that_a_journey_stops_is_no_success(mite: Mite) -> None:
    result = mite("journey", "test", "rough:stopping")
    assert result.returncode == 3
    assert result.stderr == "mite: the run broke off: code of a journey's has stopped the event loop\n"
    assert totals(result.stdout).errors == 0


def test_ctrl_c_ends_the_wait_for_a_webhook(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"http://name:secret@127.0.0.1:{server.getsockname()[1]}"
        process = start("journey", "run", "rough:quick", f"--logging-webhook={url}", cwd=tmp_path)
        connection, _ = server.accept()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 130
    assert "/start: interrupted before it had answered" in err
    assert "secret" not in err


def test_a_run_that_never_began_leaves_no_messages(mite: Mite, tmp_path: Path) -> None:
    for _ in range(2):
        assert mite("journey", "test", "rough:nothing").returncode == 2
    assert list((tmp_path / "collector_data").iterdir()) == []
