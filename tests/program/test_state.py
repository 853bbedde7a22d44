"""`mite controller --state=FILE`: killed and started again, it goes on as if nothing had been."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wire
from helpers import Mite, totals
from test_controller import SCENARIO, leave, silent

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def again(start: Start, tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts a controller at the same place, with the same file."""
    (tmp_path / "shop.py").write_text(SCENARIO)

    def run(spec: str, *options: str) -> "subprocess.Popen[str]":
        process = start("controller", spec, f"--controller-socket=ipc://{tmp_path}/controller", "--state=state",
                        f"--message-socket=ipc://{tmp_path}/events", "--spawn-rate=100000", *options, cwd=tmp_path)
        for line in process.stderr:
            if "waiting for runners at" in line:
                return process
        raise AssertionError("it never listened")

    return run


def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/controller"


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def come_back(ours: wire.Ours, stats: int) -> None:
    """What a runner does when the controller does not know it any more."""
    had = ours.id, ours.offer["epoch"]
    with pytest.raises(LookupError):
        ours.report()
    ours.hello()
    assert (ours.id, ours.offer["epoch"]) == had
    ours.report(stats=wire.stats(stats), from_start=True)


def use_up(ours: wire.Ours) -> list[object]:
    used = []
    while not ours.orders.get("stop"):
        used += ours.held.values()
        ours.done += ours.held
        ours.started += len(ours.held)
        ours.completed = ours.started
        ours.held = {}
        ours.report()
    return used


def finish(process: "subprocess.Popen[str]", *runners: wire.Peer) -> str:
    for runner in runners:
        leave(runner)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err + out
    return out


def test_each_item_once_over_a_restart(again: Start, tmp_path: Path) -> None:
    first = again("shop:once")
    ours, used = wire.Ours(address(tmp_path)), []
    while len(ours.held) < 5:
        ours.report()
    for lease in list(ours.held)[:3]:
        used.append(ours.held.pop(lease))
        ours.done.append(lease)
    ours.unused = [ours.held and list(ours.held)[-1]]
    ours.held.pop(ours.unused[0])
    ours.started = ours.completed = 3
    ours.report(stats=wire.stats(5))
    kill(first)

    second = again("shop:once")
    come_back(ours, 8)
    used += use_up(ours)
    assert sorted(used) == list(range(1, 41))
    assert totals(finish(second, ours)).requests == 8
    assert not (tmp_path / "state").exists()


def test_an_answer_that_was_lost(again: Start, tmp_path: Path) -> None:
    first = again("shop:once")
    ours = wire.Ours(address(tmp_path))
    ours.report()
    while True:
        request = ours.request()
        answer = ours.ask(request)
        if answer[1].get("items"):
            break
        ours.take(answer)
    kill(first)  # and the runner never had that answer

    second = again("shop:once")
    assert ours.ask(request) == [ours.seq, None]
    ours.hello()
    ours.report()
    assert sorted(use_up(ours)) == list(range(1, 41))
    finish(second, ours)


def test_items_stay_with_their_runner(again: Start, tmp_path: Path) -> None:
    first = again("shop:recycled", "--duration=4")
    ours = wire.Ours(address(tmp_path))
    while len(ours.held) < 6:
        ours.report()
    ours.running = ours.started = 6
    ours.report()
    kill(first)

    second = again("shop:recycled", "--duration=4")
    other = wire.Ours(address(tmp_path))
    for _ in range(5):
        assert not other.report().get("items")
    come_back(ours, 1)
    assert not ours.orders.get("void_up_to") and len(ours.held) == 6
    finish(second, ours, other)


def test_a_runner_that_never_comes_back(again: Start, tmp_path: Path) -> None:
    first = again("shop:recycled", "--runner-timeout=0.3")
    ours = wire.Ours(address(tmp_path))
    while len(ours.held) < 6:
        ours.report()
    kill(first)

    second = again("shop:recycled", "--runner-timeout=0.3", "--duration=5")
    silent(second)
    other = wire.Ours(address(tmp_path))
    while len(other.held) < 6:
        other.report()
    finish(second, other)


def test_the_clock_goes_on(again: Start, tmp_path: Path) -> None:
    began = time.monotonic()
    first = again("shop:plain", "--duration=3")
    ours = wire.Ours(address(tmp_path))
    ours.report()
    time.sleep(1)
    kill(first)
    second = again("shop:plain", "--duration=3")
    come_back(ours, 7)
    out = finish(second, ours)
    assert 2.5 < time.monotonic() - began < 6
    assert totals(out).requests == 7 and totals(out).seconds >= 2.9


def test_steering_and_those_that_left_are_remembered(again: Start, mite: Mite, tmp_path: Path) -> None:
    first = again("shop:plain", "--iterations=100")
    gone, ours = wire.Ours(address(tmp_path)), wire.Ours(address(tmp_path))
    there = f"--controller-socket={address(tmp_path)}"
    ours.report()
    while gone.orders.get("entries", [[0, 0]])[0][1] == 0:
        gone.report()
    gone.started = gone.completed = min(40, gone.orders["entries"][0][2])
    gone.report(stats=wire.stats(40))
    gone.bye()
    assert mite("ctl", "volume", "1", "2", there).returncode == 0
    assert mite("ctl", "config", "colour=red", there).returncode == 0
    kill(first)

    second = again("shop:plain", "--iterations=100")
    come_back(ours, 2)
    ours.report()
    assert ours.target == 12
    while not ours.orders.get("stop"):
        ours.started += max(0, ours.orders["entries"][0][2])
        ours.completed = ours.started
        ours.report()
    assert ours.started == 100 - gone.started
    assert totals(finish(second, ours)).requests == 42


def test_plain_runners_go_on(again: Start, tmp_path: Path) -> None:
    first = again("shop:once")
    plain, used = wire.Plain(address(tmp_path)), []
    while not plain.items:
        plain.work()
    kill(first)
    second = again("shop:once")
    stop = False
    while not stop:
        used += [item[1] for item in plain.items]
        plain.finish()
        _, stop = plain.work()
    assert sorted(used) == list(range(1, 41))
    finish(second, plain)


def test_refused(again: Start, mite: Mite, tmp_path: Path) -> None:
    first = again("shop:plain")
    here = [f"--controller-socket=ipc://{tmp_path}/other", "--state=state"]
    result = mite("controller", "shop:plain", *here)
    assert result.returncode == 3
    assert "in use by another controller" in result.stderr
    kill(first)
    result = mite("controller", "shop:once", *here)
    assert result.returncode == 2
    assert "is that of a test of shop:plain" in result.stderr
    (tmp_path / "state").write_bytes(b"\x93\x01\x02\x03")
    result = mite("controller", "shop:plain", *here)
    assert result.returncode == 2
    assert re.search(r"none of a controller's", result.stderr)


def test_a_torn_record(again: Start, tmp_path: Path) -> None:
    first = again("shop:once")
    ours = wire.Ours(address(tmp_path))
    while not ours.held:
        ours.report()
    kill(first)
    with (tmp_path / "state").open("ab") as file:
        file.write(b"\x96\xa5items\x01")
    second = again("shop:once")
    come_back(ours, 1)
    assert sorted(use_up(ours)) == list(range(1, 41))
    finish(second, ours)
