"""How `mite runner` ends, alone or with --workers."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from controllers import BYE, HELLO, REPORT, Dialect
from helpers import wait_for_line
from runner_side import Context, Start, Sum, bare, ends, entry
from runner_side import context, dialect, runner  # noqa: F401


def test_a_signal_drains_and_says_goodbye(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    total = Sum()
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:stay", hold=4, pool=1)]
    dialect.orders(entries, items=[[1, lease, lease, []] for lease in range(1, 5)])
    dialect.until(lambda report: report["entries"][0][1] == 2, bare(entries))
    dialect.orders(bare(entries))
    process.send_signal(signal.SIGTERM)
    report = dialect.until(lambda report: total.add(report) or report["idle"], bare(entries))
    assert report["leaving"]
    dialect.orders(bare(entries))
    assert dialect.receive() == [BYE, 1]
    dialect.answer(None)
    ends(process, seconds=8)
    assert sorted(total.done) == [1, 2] and sorted(total.unused) == [3, 4]
    assert report["entries"][0][1:4] == [0, 2, 2]


def test_journeys_that_stay_are_cancelled_in_time(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect, "--graceful-stop=0.5")
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 3, "shop:cling")])
    dialect.until(lambda report: report["entries"][0][1] == 3, [entry(1, 3)])
    dialect.orders([entry(1, 3)])
    process.send_signal(signal.SIGTERM)
    report = dialect.until(lambda report: report["idle"], [entry(1, 3)])
    assert report["entries"][0][1:4] == [0, 3, 3]
    dialect.orders([entry(1, 3)])
    ends(process, seconds=8)


def test_a_signal_before_the_first_orders_loses_no_items(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    total = Sum()
    dialect.welcome()
    dialect.report()
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    wait_for_line(process.stderr, "a second signal ends them at once")
    entries = [entry(1, 2, "shop:visit", hold=2, pool=1)]
    dialect.orders(entries, items=[[1, 1, 1, []], [1, 2, 2, []]])
    report = dialect.until(lambda report: total.add(report) or report["idle"], bare(entries))
    assert report["entries"][0][1:4] == [0, 0, 0] and sorted(total.unused) == [1, 2]
    dialect.orders(bare(entries))
    assert dialect.receive() == [BYE, 1]
    dialect.answer(None)
    ends(process, seconds=8)


def test_a_second_signal_does_not_wait(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 3, "shop:cling")])
    dialect.until(lambda report: report["entries"][0][1] == 3, [entry(1, 3)])
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    wait_for_line(process.stderr, "a second signal ends them at once")
    process.send_signal(signal.SIGINT)
    ends(process, status=130, seconds=8)


def test_a_journey_that_blocks_everything_is_given_up(dialect: Dialect, runner: Start, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text("import time\nasync def hang(ctx):\n    time.sleep(3600)\n")
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 1, "block:hang")])
    assert process.stderr is not None
    wait_for_line(process.stderr, "block:hang")
    process.send_signal(signal.SIGTERM)
    assert "it blocks the loop past the end of the run" in ends(process, status=3, seconds=8)


@pytest.mark.parametrize("state", ["never there", "silent", "dead"])
def test_nothing_hangs_without_a_controller(dialect: Dialect, runner: Start, state: str) -> None:
    process = runner(dialect)
    assert process.stderr is not None
    wait_for_line(process.stderr, "looking for the controller")
    if state == "dead":
        dialect.welcome()
        dialect.report()
        dialect.orders([entry(1, 2, "shop:stay"), entry(2, 1, "shop:stay", hold=1, pool=1)], items=[[2, 1, 1, []]])
        dialect.until(lambda report: report["entries"][0][1] == 2, [entry(1, 2), entry(2, 1, hold=1, pool=1)])
    if state != "silent":
        dialect.close()
        if state == "dead":
            wait_for_line(process.stderr, "lost the controller")
    process.send_signal(signal.SIGTERM)
    ends(process, seconds=8)


def test_a_controller_that_is_not_there_is_a_word_worth(dialect: Dialect, runner: Start) -> None:
    """A name that leads nowhere looks the same: libzmq connects on without a word."""
    dialect.close()
    process = runner(dialect)
    assert process.stderr is not None
    wait_for_line(process.stderr, f"nobody answers at {dialect.address} yet: is a controller there")
    process.send_signal(signal.SIGTERM)
    ends(process, seconds=8)


def test_five_seconds_are_enough_when_nobody_takes_events(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:cling"), entry(2, 20, "shop:tell")]
    dialect.orders(entries)
    dialect.until(lambda report: report["queued"] > 5000 and report["entries"][0][1] == 2, bare(entries))
    dialect.close()
    assert process.stderr is not None
    wait_for_line(process.stderr, "lost the controller")
    process.send_signal(signal.SIGTERM)
    ends(process, seconds=5)


def test_a_controller_that_goes_before_the_last_report_is_not_waited_for(
    context: Context, runner: Start
) -> None:
    dialect = Dialect(context, timeout=1)
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 1, "shop:visit")])
    dialect.report()
    dialect.orders([entry(1, 1)], stop=True)
    dialect.close()
    assert "is given up" in ends(process, seconds=10)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--events=some",), "runner: --events=some: all, errors or none is expected"),
        (("--workers=0",), "runner: --workers=0: a number from 1 to 1024, or auto, is expected"),
        (("--controller-socket=inproc://x",), "runner: --controller-socket: "),
        (("--message-socket=nonsense",), "runner: --message-socket: "),
        (("--ca-file=/nowhere",), "runner: --ca-file=/nowhere: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_sentence(mite: Callable[..., Any], args: tuple[str, ...], sentence: str) -> None:
    result = mite("runner", *args)
    assert result.returncode == 2
    assert result.stderr.startswith(sentence) and result.stderr.count("\n") == 1


# ---- workers ----


class Fleet(Dialect):
    """Serves several runners the same orders."""

    def __init__(self, context: Context, entries: list[list[Any]]) -> None:
        super().__init__(context)
        self.entries = entries
        self.pids: dict[bytes, int] = {}
        self.running: dict[bytes, int] = {}
        self.hellos = 0

    def serve(self, until: Callable[[], bool], seconds: float = 30, **orders: Any) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end
            if not self.comes(100):
                continue
            message = self.receive()
            if message[0] == HELLO:
                self.hellos += 1
                self.answer([self.hellos, "t:scenario", [], self.offer])
            elif message[0] == REPORT:
                self.seq, report = message[1], message[4]
                first = "introduction" in report
                if first:
                    self.pids[self.peer] = report["introduction"]["pid"]
                self.running[self.peer] = sum(e[1] for e in report["entries"])
                super().orders(self.entries if first else bare(self.entries), **orders)
            else:
                self.answer(None)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_are_started_watched_and_stopped(context: Context, runner: Start) -> None:
    fleet = Fleet(context, [entry(1, 2, "shop:stay")])
    process = runner(fleet, "--workers=2")
    fleet.serve(lambda: list(fleet.running.values()) == [2, 2])
    first, second = fleet.pids.values()
    assert process.pid not in (first, second)
    os.kill(first, signal.SIGKILL)
    fleet.serve(lambda: len(fleet.pids) == 3)
    third = list(fleet.pids.values())[2]
    process.send_signal(signal.SIGTERM)
    fleet.serve(lambda: process.poll() is not None, seconds=10)
    said = ends(process)
    assert f"(process {first}) was ended by signal 9 (Killed): another one starts in 0.5 s" in said
    assert not any(is_alive(pid) for pid in (first, second, third))
    fleet.close()


def test_workers_end_with_the_test_and_the_worst_status(context: Context, runner: Start) -> None:
    fleet = Fleet(context, [entry(1, 1, "shop:visit")])
    process = runner(fleet, "--workers=2")
    fleet.serve(lambda: len(fleet.running) == 2)
    fleet.serve(lambda: process.poll() is not None, stop=True)
    ends(process)
    fleet.close()
    process = runner(fleet, "--workers=2", "--ca-file=/nowhere")
    ends(process, status=2)


def test_workers_do_not_outlive_their_parent(context: Context, runner: Start) -> None:
    fleet = Fleet(context, [entry(1, 1, "shop:stay")])
    process = runner(fleet, "--workers=2")
    fleet.serve(lambda: list(fleet.running.values()) == [1, 1])
    process.kill()
    fleet.serve(lambda: not any(is_alive(pid) for pid in fleet.pids.values()), seconds=10)
    fleet.close()
