"""`mite controller`, against runners written against the wire: good ones, dying ones, and liars."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wire
from helpers import Mite, totals

SCENARIO = '''
from mite.datapools import IterableDataPool, RecyclableIterableDataPool

def forever(volume):
    return lambda start, end: volume

def plain():
    return [("shop:buy", None, forever(6))]

def twice():
    return [("shop:buy", None, forever(2)), ("shop:buy", None, forever(4))]

def recycled():
    return [("shop:buy", RecyclableIterableDataPool([(i,) for i in range(6)]), forever(6))]

def once():
    return [("shop:buy", IterableDataPool([(i,) for i in range(40)]), forever(6))]
'''

Controller = Callable[..., "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def controller(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> Controller:
    """Starts one on a free port; the process and its address."""
    (tmp_path / "shop.py").write_text(SCENARIO)

    def run(spec: str = "shop:plain", *options: str) -> "tuple[subprocess.Popen[str], str]":
        process = start(
            "controller",
            spec,
            "--controller-socket=tcp://127.0.0.1:*",
            f"--message-socket=ipc://{tmp_path}/events",
            *options,
            cwd=tmp_path,
        )
        for line in process.stderr:
            if found := re.search(r"waiting for runners at (\S+)", line):
                return process, found[1]
        raise AssertionError("it never listened")

    return run


def end(process: "subprocess.Popen[str]", *runners: wire.Peer) -> "tuple[int, str, str]":
    """Ctrl-C, at which runners of ours let go."""
    process.send_signal(signal.SIGINT)
    return ended(process, *runners)


def ended(process: "subprocess.Popen[str]", *runners: wire.Peer) -> "tuple[int, str, str]":
    """By itself, when the runners have left."""
    for runner in runners:
        leave(runner)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def leave(runner: wire.Peer) -> None:
    """Reports until it is told to stop, then is idle and says bye."""
    if isinstance(runner, wire.Plain):
        while not runner.work()[1]:
            runner.finish()
        runner.finish()
        runner.work(0)
    else:
        assert isinstance(runner, wire.Ours)
        while not runner.report().get("stop"):
            runner.obey()
        runner.completed, runner.running = runner.started, 0
        runner.done += runner.held
        runner.report(idle=True)
    runner.bye()


def test_two_dialects_share_the_work(controller: Controller) -> None:
    process, address = controller("shop:plain", "--spawn-rate=100000")
    ours, plain = wire.Ours(address), wire.Plain(address)
    assert plain.test == ours.test == "shop:plain"
    while plain.running.get(1, 0) != 3 or ours.running != 3:
        ours.report()
        ours.obey()
        plain.work()
    assert ours.orders["entries"][0][5] is None
    ours.report(stats=wire.stats(250))
    status, out, err = end(process, ours, plain)
    assert status == 130
    assert totals(out).requests == 250
    assert "runners that report no statistics" in out


def test_a_duration_ends_it_with_0(controller: Controller) -> None:
    process, address = controller("shop:plain", "--duration=1", "--spawn-rate=100000")
    ours = wire.Ours(address)
    ours.report(stats=wire.stats(7))
    status, out, _ = ended(process, ours)
    assert status == 0, out
    assert totals(out).requests == 7


def test_thresholds_are_checked_over_all_runners(controller: Controller) -> None:
    process, address = controller("shop:plain", "--duration=1", "--mean-response-time-threshold=0.5")
    ours = wire.Ours(address)
    ours.report(stats=wire.stats(7))
    status, out, _ = ended(process, ours)
    assert status == 1, out


def test_repeats_and_old_reports_change_nothing(controller: Controller) -> None:
    process, address = controller("shop:once", "--spawn-rate=100000")
    ours = wire.Ours(address)
    while not ours.held:
        ours.report()
    request = ours.request(stats=wire.stats(10))
    first = ours.ask(request)
    for _ in range(3):
        assert ours.ask(request) == first
    ours.take(first)
    old = [4, ours.seq - 1, *request[2:]]
    ours.send(old)
    assert ours.quiet()
    status, out, _ = end(process, ours)
    assert totals(out).requests == 10


def silent(process: "subprocess.Popen[str]") -> None:
    """Waits for the line that says that a runner is lost."""
    for line in process.stderr:
        if "silent" in line:
            return


@pytest.mark.parametrize("dialect", [wire.Ours, wire.Plain])
def test_items_of_the_dead_come_back(controller: Controller, dialect: type) -> None:
    process, address = controller("shop:recycled", "--runner-timeout=0.3", "--spawn-rate=100000")
    dead = dialect(address)
    had: list[object] = []
    while len(had) < 6:
        if dialect is wire.Ours:
            dead.report()
            had = list(dead.held.values())
        else:
            had += [item[1] for item in dead.work()[0]]
    dead.close()
    ours = wire.Ours(address)
    deadline = time.monotonic() + 10
    while len(ours.held) < 6 and time.monotonic() < deadline:
        ours.report()
        ours.obey()
    assert sorted(ours.held.values()) == sorted(had)
    status, out, _ = end(process, ours)
    assert status == 130
    assert "runners lost, of 2: 1" in out


def test_items_of_an_iterable_pool_are_lost_with_their_runner(controller: Controller) -> None:
    process, address = controller("shop:once", "--runner-timeout=0.3", "--spawn-rate=100000")
    dead = wire.Ours(address)
    while not dead.held:
        dead.report()
    dead.close()
    silent(process)
    ours = wire.Ours(address)
    used: list[int] = []
    while not ours.orders.get("stop"):
        ours.report()
        used += ours.held.values()
        ours.done += ours.held
        ours.started += len(ours.held)
        ours.completed = ours.started
        ours.held = {}
    assert sorted([*used, *dead.held.values()]) == list(range(1, 41))
    status, out, _ = ended(process, ours)
    assert status == 1, out
    assert f"lost with runners: {len(dead.held)}" in out


def test_the_dead_may_come_back(controller: Controller) -> None:
    process, address = controller("shop:recycled", "--runner-timeout=0.3", "--spawn-rate=100000")
    ours = wire.Ours(address)
    while len(ours.held) < 6:
        ours.report()
    ours.report(stats=wire.stats(3))
    silent(process)
    had = max(ours.held)
    orders = ours.report(stats=wire.stats(4))
    assert orders["void_up_to"] == had
    ours.held = {lease: item for lease, item in ours.held.items() if lease > orders["void_up_to"]}
    while len(ours.held) < 6:
        ours.report()
    status, out, _ = end(process, ours)
    assert totals(out).requests == 7
    assert "runners lost, of" not in out and "lost for a while, of 1: 1" in out


def test_iterations_are_exact(controller: Controller) -> None:
    process, address = controller("shop:plain", "--iterations=101", "--spawn-rate=100000")
    runners = [wire.Ours(address), wire.Ours(address), wire.Plain(address)]
    plain, stopped, started = runners[2], False, 0
    while not stopped:
        for ours in runners[:2]:
            entry = ours.report()["entries"][0]
            if entry[1]:
                ours.started += entry[2]
                ours.completed = ours.started
        work, stopped = plain.work()
        started += len(work)
        plain.finish()
    assert started + sum(ours.started for ours in runners[:2]) == 101
    assert ended(process, *runners)[0] == 0


def test_garbage_is_counted_and_never_fatal(controller: Controller) -> None:
    process, address = controller()
    for body in (b"", b"\xc1", b"\x92\x01", b"\x93\x02\xc0\xc0", b"\x91" * 1000, b"\x92\x63\xc0"):
        peer = wire.Peer(address)
        peer.send_raw(body)
        assert peer.receive() is None
        peer.close()
    liar = wire.Ours(address)
    liar.report()
    liar.running = 5
    liar.started = liar.completed = 2
    liar.report(stats={"counts": [1] * 6}, done=[7, 7, 1 << 60], unused=[9])
    other = wire.Ours(address)
    stolen = [4, 99, liar.id, liar.offer["epoch"], {}]
    assert other.ask(stolen) == [99, None]
    status, out, err = end(process, liar)
    assert status == 130
    assert re.search(r"made no sense: [78]", out)
    assert err.count("passed over") < 8


def test_an_address_in_use(controller: Controller, mite: Mite, tmp_path: Path) -> None:
    process, address = controller()
    second = mite("controller", "shop:plain", f"--controller-socket={address}")
    assert second.returncode == 3
    assert "in use" in second.stderr and second.stderr.count("\n") == 1
    end(process)


def test_bad_addresses(mite: Mite, controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SCENARIO)
    for address in ("inproc://x", "tcp://127.0.0.1", "udp://127.0.0.1:1"):
        result = mite("controller", "shop:plain", f"--controller-socket={address}")
        assert result.returncode == 2, result.stderr
        assert result.stderr.count("\n") == 1


def test_interrupted_before_any_runner(controller: Controller) -> None:
    process, _ = controller()
    status, out, _ = end(process)
    assert status == 130
    assert totals(out).requests == 0
    assert "no runner came: mite runner --controller-socket=" in out


def test_another_controller_hands_out_nothing_below_the_marks(controller: Controller) -> None:
    """Without --state: what the first one handed out only the runner knows."""
    first, _ = controller("shop:once")
    first.kill()
    process, address = controller("shop:once", "--spawn-rate=100000")
    ours = wire.Ours(address)
    ours.seq = 1
    with pytest.raises(LookupError):  # it speaks of the first one's epoch
        ours.take(ours.ask([4, ours.seq, ours.id, 77, {}]))
    ours.hello()
    while not ours.held:
        ours.report(entries=[[1, 0, 12, 12, 0, 12]])
    assert min(ours.held.values()) == 13
    ours.started = ours.completed = 12
    status, out, _ = end(process, ours)
    assert status == 130


def test_a_flood_of_hellos(controller: Controller) -> None:
    process, address = controller("shop:plain", "--max-runners=50", "--runner-timeout=1")
    flood = [wire.Peer(address) for _ in range(80)]
    for peer in flood:
        peer.send([1, None])
    answers = [peer.receive() for peer in flood]
    assert sum(answer is None for answer in answers) == 30
    time.sleep(2)  # they never asked for work: they are forgotten
    ours = wire.Ours(address)
    while ours.running != 6:
        ours.report()
        ours.obey()
    status, out, _ = end(process, ours)
    assert "lost" not in out
    for peer in flood:
        peer.close()
