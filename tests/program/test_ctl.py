"""`mite ctl`: what an operator asks of a running controller."""

import json
import threading
from pathlib import Path

import wire
import zmq
from helpers import Mite
from test_controller import Controller, controller, end, leave  # noqa: F401


def test_status_and_steering(controller: Controller, mite: Mite) -> None:  # noqa: F811
    process, address = controller("shop:plain", "--spawn-rate=100000")
    ours = wire.Ours(address)
    while ours.running != 6:
        ours.report()
        ours.obey()
    ours.report(cpu=0.5, queued=3)
    there = f"--controller-socket={address}"

    shown = mite("ctl", "status", there)
    assert shown.returncode == 0, shown.stderr
    assert "shop:plain: running" in shown.stdout
    assert "wants 6, runs 6" in shown.stdout
    assert "50 % of a core, 3 events queued" in shown.stdout and "; runs 6 of shop:buy\n" in shown.stdout
    status = json.loads(mite("ctl", "status", "--json", there).stdout)
    assert status["runners"][0]["version"] == "test" and status["entries"][0]["running"] == 6

    assert mite("ctl", "volume", "shop:buy", "0.5", there).returncode == 0
    ours.report()
    assert ours.target == 3
    assert mite("ctl", "volume", "1", "2", there).returncode == 0
    ours.report()
    assert ours.target == 12
    assert mite("ctl", "pause", there).returncode == 0
    ours.report()
    assert ours.target == 0
    assert "paused" in mite("ctl", "status", there).stdout
    assert mite("ctl", "resume", there).returncode == 0
    assert mite("ctl", "config", "colour=red=ish", there).returncode == 0
    orders = ours.report()
    assert ours.target == 12 and orders["config"] == [["colour", "red=ish"]]
    assert mite("ctl", "stop", there).returncode == 0
    leave(ours)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out


def test_what_runners_say_of_themselves_steers_no_terminal(controller: Controller, mite: Mite) -> None:  # noqa: F811
    process, address = controller()
    ours = wire.Ours(address)
    evil = {"host": "web\x1b]0;pwned\x07\n", "version": "\x1b[2J", "pid": 1, "max_journeys": 0}
    ours.introduces = False
    ours.report(introduction=evil)
    shown = mite("ctl", "status", f"--controller-socket={address}")
    assert shown.returncode == 0
    assert "web?]0;pwned??" in shown.stdout and "\x1b" not in shown.stdout
    end(process, ours)


def test_a_journey_of_two_entries(controller: Controller, mite: Mite) -> None:  # noqa: F811
    process, address = controller("shop:twice", "--spawn-rate=100000")
    ours = wire.Ours(address)
    ours.report(entries=[[1, 2, 2, 0, 0, -1], [2, 4, 4, 0, 0, -1]])
    there = f"--controller-socket={address}"
    assert "; runs 2 of shop:buy (1), 4 of shop:buy (2)\n" in mite("ctl", "status", there).stdout
    end(process, ours)


def test_nobody_of_ours_answers(mite: Mite, tmp_path: Path) -> None:
    with zmq.Context.instance().socket(zmq.REP) as other:
        address = f"ipc://{tmp_path}/other"
        other.bind(address)
        answers = threading.Thread(target=lambda: (other.recv(), other.send(b"\xc0")))
        answers.start()
        result = mite("ctl", "status", f"--controller-socket={address}")
        answers.join()
    assert result.returncode == 3
    assert "is no controller of this mite" in result.stderr


def test_nonsense_is_told_without_a_controller(mite: Mite) -> None:
    for words in (["dance"], ["volume", "1"], ["volume", "1", "much"], ["config", "colour"], ["pause", "now"]):
        result = mite("ctl", *words)
        assert result.returncode == 2, words
        assert result.stderr.count("\n") == 1
    assert 'did you mean "status"' in mite("ctl", "statsu").stderr


def test_nonsense_that_the_controller_knows(controller: Controller, mite: Mite) -> None:  # noqa: F811
    process, address = controller()
    result = mite("ctl", "volume", "shop:sell", "2", f"--controller-socket={address}")
    assert result.returncode == 2
    assert 'no journey "shop:sell"' in result.stderr
    end(process)


def test_nobody_there(mite: Mite, tmp_path: Path) -> None:
    result = mite("ctl", "status", f"--controller-socket=ipc://{tmp_path}/nobody")
    assert result.returncode == 3
    assert "no controller answers" in result.stderr
