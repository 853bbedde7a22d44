"""`mite runner` and the controller of the Python program."""

import os
import signal
from pathlib import Path

import msgpack
from controllers import ASK, BYE, HELLO, Dialect, Plain
from helpers import wait_for_line
from runner_side import Context, Events, Start, ends
from runner_side import context, dialect, events, plain, runner  # noqa: F401


def test_plain_work_is_run_and_its_items_come_back(plain: Plain, runner: Start, events: Events) -> None:
    process = runner(plain, f"--message-socket={events.address}")
    plain.welcome(runner_id=5, test="wire:scenario", config=[["greeting", "hello"]])
    assert plain.work([[1, None, "shop:tell", None], [2, "ann", "shop:tell", ["a", {"b": [1]}]]]) == [5, {}, [], None]
    seen = sorted((events.next("seen") for _ in range(2)), key=lambda event: event["scenario_id"])
    assert [event["args"] for event in seen] == [[], ["a", {"b": [1]}]]
    assert [event["scenario_data_id"] for event in seen] == [None, "ann"]
    assert {event["greeting"] for event in seen} == {"hello"}
    assert {(event["runner_id"], event["test"], event["journey"]) for event in seen} == {(5, "wire:scenario", "shop:tell")}
    returned = plain.work(config=[["greeting", "again"]])[2]
    returned += plain.work([[1, None, "shop:tell", None]])[2]
    assert returned == [[2, "ann"]]
    assert events.next("seen")["greeting"] == "again"
    assert plain.end() == []
    ends(process)


def test_plain_asks_at_every_end_and_tells_what_runs(plain: Plain, runner: Start) -> None:
    process = runner(plain, "--max-loop-delay=600", "--runner-max-journeys=3")
    plain.welcome()
    assert plain.work([[4, None, "shop:stay", None], [4, 9, "shop:visit", []]]) == [1, {}, [], 3]
    assert plain.work() == [1, {4: 1}, [[4, 9]], 2]
    assert not plain.comes(300), "nothing has ended, and the loop's delay is long"
    process.send_signal(signal.SIGTERM)
    assert plain.end() == []
    ends(process)


def test_plain_hands_back_what_it_will_not_run(plain: Plain, runner: Start) -> None:
    process = runner(plain, "--runner-max-journeys=2")
    plain.welcome()
    assert plain.work([[1, i, "shop:cling", []] for i in range(5)])[3] == 2
    asked = plain.work(stop=True)
    assert asked[1:] == [{1: 2}, [[1, 2], [1, 3], [1, 4]], 0]
    process.send_signal(signal.SIGTERM)
    assert sorted(plain.end()) == [[1, 0], [1, 1]]
    ends(process)


def test_plain_controller_that_dies_is_greeted_anew(context: Context, runner: Start, tmp_path: Path) -> None:
    plain = Plain(context, f"ipc://{tmp_path}/controller")
    process = runner(plain)
    plain.welcome(1)
    plain.work([[1, 7, "shop:visit", []], [1, 8, "shop:cling", []]])
    plain.receive(ASK)
    plain.close()
    assert process.stderr is not None
    wait_for_line(process.stderr, "lost the controller")
    again = Plain(context, plain.address)
    again.welcome(2, test="other:scenario")
    wait_for_line(process.stderr, "is back")
    assert again.work([[1, 0, "shop:visit", []]]) == [2, {}, [], None]
    assert again.work()[2] == [[1, 0]]
    again.end()
    again.close()
    ends(process)


def test_plain_controller_that_goes_once_it_has_said_stop_is_not_waited_for(plain: Plain, runner: Start) -> None:
    process = runner(plain)
    plain.welcome()
    plain.work([[1, 7, "shop:visit", []]], stop=True)
    assert plain.receive(ASK)[2] == [[1, 7]]
    plain.close()
    ends(process)


def test_plain_answers_that_make_no_sense_are_passed_over(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    assert dialect.receive() == [HELLO, None]
    for nonsense in (b"", b"\xc1", b"\x93", msgpack.packb([1]), msgpack.packb({"a": 1}), os.urandom(100_000)):
        dialect.raw(nonsense)
    dialect.answer([1, "t:scenario", []])
    assert dialect.receive()[0] == ASK
    for nonsense in (b"\xff" * 1000, msgpack.packb([[[1, None]], [], False]), msgpack.packb([5, 6, 7])):
        dialect.raw(nonsense)
    dialect.answer([[], [], True])
    while (message := dialect.receive())[0] != BYE:
        dialect.answer([[], [], True])
    dialect.answer(None)
    assert "makes no sense" in ends(process)
