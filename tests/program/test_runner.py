"""`mite runner` and a controller of our dialect, which may also be late, silent, beside itself or gone."""

import os
from pathlib import Path
from typing import Any

import msgpack
import pytest
from controllers import BYE, REPORT, Dialect
from helpers import free_port, wait_for_line
from runner_side import Context, Events, Start, Sum, bare, ends, entry
from runner_side import context, dialect, events, runner  # noqa: F401


def test_targets_are_kept_and_figures_are_exact(dialect: Dialect, runner: Start, events: Events) -> None:
    process = runner(dialect, f"--message-socket={events.address}", "--runner-max-journeys=50")
    total = Sum()
    dialect.welcome(runner_id=3)
    report = dialect.report()
    introduction = report["introduction"]
    assert introduction["pid"] == process.pid and introduction["max_journeys"] == 50 and introduction["host"]
    assert report["from_start"] and report["runner_id"] == 3 and report["epoch"] == 7
    entries = [entry(1, 4, "shop:visit"), entry(2, 2, "shop:visit", hold=4, pool=2)]
    dialect.orders(entries, items=[[2, lease, lease * 10, ["x"]] for lease in range(1, 4)])
    entries = bare(entries)

    def enough(report: dict[str, Any]) -> bool:
        total.add(report)
        assert report["entries"][0][1] <= 4 and report["entries"][1][1] <= 2
        return bool(report["entries"][0][3] > 40 and report["entries"][1][3] > 20)

    report = dialect.until(enough, entries)
    assert report["entries"][1][5] == 30, "the largest id it has had"
    assert "introduction" not in report and not report["from_start"]
    dialect.orders(entries, stop=True)
    while not (report := dialect.report())["idle"]:
        total.add(report)
        dialect.orders(entries, stop=True)
    total.add(report)
    dialect.orders(entries)
    assert dialect.receive() == [BYE, 3]
    dialect.answer(None)
    ends(process)
    completed = sum(counts[3] for counts in report["entries"])
    assert [counts[1] for counts in report["entries"]] == [0, 0]
    assert total.journeys == completed
    assert sorted(total.done + total.unused) == [1, 2, 3], "what it held goes back, once"
    roots = [e for e in events.rest() if e["type"] == "txn" and e["transaction"] == "__root__"]
    assert len(roots) == completed


def test_items_used_once_go_back_as_done(dialect: Dialect, runner: Start, events: Events) -> None:
    process = runner(dialect, f"--message-socket={events.address}")
    total = Sum()
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:tell", hold=10, pool=1)]
    dialect.orders(entries, items=[[1, lease, lease, [lease]] for lease in range(1, 11)])

    def all_done(report: dict[str, Any]) -> bool:
        total.add(report)
        return len(total.done) == 10

    report = dialect.until(all_done, bare(entries))
    assert report["entries"] == [[1, 0, 10, 10, 2, 10]], "both that are wanted wait for an item"
    dialect.orders(bare(entries))
    dialect.end(bare(entries))
    ends(process)
    assert sorted(total.done) == list(range(1, 11)) and total.unused == []
    seen = [e["args"] for e in events.rest() if e["type"] == "seen"]
    assert sorted(seen) == [[lease] for lease in range(1, 11)]


def test_runs_low_reports_early_and_when_asked(context: Context, runner: Start) -> None:
    dialect = Dialect(context, interval=600, timeout=1000)
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 0, "shop:visit", pool=1)])
    assert dialect.report()["entries"][0][:4] == [1, 0, 0, 0], "at once: it has loaded what it is to run"
    entries = [entry(1, 1, hold=8, pool=1)]
    dialect.orders(entries, items=[[1, lease, lease, []] for lease in range(1, 9)])
    report = dialect.report()  # without being asked: half of them are not here any more
    assert report["done"] == [1, 2, 3]
    entries = [entry(1, 0, hold=0, pool=1)]
    dialect.orders(entries)
    dialect.answer([0])
    report = dialect.report()
    assert set(report["unused"]) >= {6, 7, 8}, "it may hold none any more"
    dialect.orders(entries, stop=True)
    dialect.end(entries)
    ends(process)
    dialect.close()


def test_starts_are_limited_exactly(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 3, "shop:visit", starts_left=7)])
    for limit in (7, 9):
        for _ in range(12):
            report = dialect.report()
            started = report["entries"][0][2]
            assert started <= limit
            dialect.orders([entry(1, 3, starts_left=limit - started)])
        assert report["entries"][0][1:4] == [0, limit, limit]
    dialect.end([entry(1, 3, starts_left=0)])
    ends(process)


def test_growth_stops_at_a_spawn_rate_of_nothing(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 5, "shop:cling")], spawn_rate=0.0)
    for _ in range(5):
        assert dialect.report()["entries"][0][2] == 0
        dialect.orders([entry(1, 5)], spawn_rate=0.0)
    dialect.report()
    dialect.orders([entry(1, 5)], spawn_rate=1000.0)
    dialect.until(lambda report: report["entries"][0][1] == 5, [entry(1, 5)])
    dialect.orders([entry(1, 5)], stop=True, cancel=True)
    dialect.end([entry(1, 5)])
    ends(process)


def test_what_is_not_answered_is_sent_again(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 1, "shop:visit")])
    first = dialect.receive()
    again = dialect.receive()  # on another connection, after a second
    assert again == first
    dialect.seq = first[1]
    dialect.orders([entry(1, 1)])
    dialect.answer(dialect.last)  # and once more: it came twice
    report = dialect.report()
    assert dialect.seq == first[1] + 1
    dialect.orders([entry(1, 1)])
    assert report["entries"][0][2] >= 1
    dialect.end([entry(1, 1)])
    ends(process)


def test_answers_out_of_order_and_nonsense_change_nothing(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 2, "shop:visit", hold=2, pool=2)], items=[[1, 1, 1, []], [1, 2, 2, []]])
    old = dialect.last
    for nonsense in (
        b"",
        b"\xc1",
        msgpack.packb([2**64 - 1, None]),
        msgpack.packb([dialect.seq, {"entries": 5}]),
        msgpack.packb("hello"),
        msgpack.packb([1, "t:scenario", [], {}]),
        b"\x91" * 1000,
        b"\xdd\xff\xff\xff\xff",
        os.urandom(1_000_000),
    ):
        dialect.report()
        dialect.raw(nonsense)
        dialect.answer(old)
        dialect.orders([entry(1, 2, hold=2, pool=2)])
    report = dialect.report()
    assert report["entries"][0][1] <= 2 and "done" not in report
    dialect.orders([entry(1, 2, hold=2, pool=2)])
    dialect.end([entry(1, 2, hold=2, pool=2)])
    assert "makes no sense" in ends(process)


def test_orders_that_make_no_sense_are_told_back(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(5, 2, "shop:visit")])
    report = dialect.until(lambda report: "trouble" in report)
    assert "entries make no sense" in report["trouble"]
    dialect.orders([], stop=True)
    dialect.end()
    ends(process)


def test_void_leases_are_dropped_and_their_journeys_end(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    total = Sum()
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:cling", hold=4, pool=2)]
    dialect.orders(entries, items=[[1, lease, lease, []] for lease in range(1, 5)])
    report = dialect.until(lambda report: report["entries"][0][1] == 2, bare(entries))
    dialect.orders([entry(1, 2, hold=4, pool=2)], void_up_to=3, items=[[1, 5, 1, []]])
    # Leases 1 and 2 were with journeys, which ended, 3 lay there: 4 and 5 take their turn.
    report = dialect.until(
        lambda report: total.add(report) or (report["entries"][0][3] == 2 and report["entries"][0][1] == 2), bare(entries)
    )
    dialect.orders(bare(entries), stop=True, cancel=True)
    while not (report := dialect.report())["idle"]:
        total.add(report)
        dialect.orders(bare(entries), stop=True)
    total.add(report)
    dialect.orders(bare(entries))
    assert dialect.receive()[0] == BYE
    dialect.answer(None)
    ends(process)
    assert sorted(total.done + total.unused) == [4, 5]


def test_a_silent_controller_ends_what_holds_items(context: Context, runner: Start) -> None:
    dialect = Dialect(context, timeout=1.5)
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:cling"), entry(2, 2, "shop:cling", hold=2, pool=2)]
    dialect.orders(entries, items=[[2, 1, 1, []], [2, 2, 2, []]])
    dialect.until(lambda report: [e[1] for e in report["entries"]] == [2, 2], bare(entries))
    dialect.orders(bare(entries))
    assert process.stderr is not None
    wait_for_line(process.stderr, "no answer from the controller")
    dialect.until(lambda report: [e[1] for e in report["entries"]] == [2, 0], [entry(1, 2), entry(2, 0, hold=2, pool=2)])
    dialect.orders(bare(entries))
    dialect.until(lambda report: [e[1] for e in report["entries"]] == [2, 2], bare(entries))
    dialect.orders(bare(entries), stop=True, cancel=True)
    dialect.end(bare(entries))
    assert "is back" in ends(process)
    dialect.close()


def test_orders_that_come_too_late_start_nothing(context: Context, runner: Start) -> None:
    dialect = Dialect(context, timeout=0.5)
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 2, "shop:visit", hold=2, pool=2)]
    dialect.orders(entries)
    dialect.report()
    assert dialect.receive()[1] == dialect.seq, "it is sent again after a second"
    dialect.orders(bare(entries), items=[[1, 1, 1, []], [1, 2, 2, []]])  # by now they may be somebody else's
    report = dialect.report()
    assert report["entries"][0][1:4] == [0, 0, 0] and "done" not in report and "unused" not in report
    dialect.orders(bare(entries), void_up_to=2, items=[[1, 3, 1, []], [1, 4, 2, []]])
    dialect.until(lambda report: report["entries"][0][3] > 2, bare(entries))
    dialect.orders(bare(entries), stop=True)
    dialect.end(bare(entries))
    assert "is back" in ends(process)
    dialect.close()


def test_who_is_unknown_introduces_itself_again_and_keeps_its_items(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect)
    total = Sum()
    dialect.welcome(runner_id=1)
    total.add(dialect.report())
    entries = [entry(1, 2, "shop:visit"), entry(2, 1, "shop:cling", hold=2, pool=2)]
    dialect.orders(entries, items=[[2, 1, 4, []], [2, 2, 5, []]])
    report = dialect.until(lambda report: total.add(report) or report["entries"][0][3] > 5, bare(entries))
    for _ in range(2):  # what a repeated request is answered may come twice
        dialect.answer([dialect.seq, None])
    dialect.last = None
    dialect.welcome(runner_id=2)
    dialect.answer([2, "t:scenario", [], dialect.offer])
    report = dialect.report()
    assert report["runner_id"] == 2 and report["introduction"] and report["from_start"]
    assert report["entries"][1][1] == 1 and report["entries"][1][5] == 5
    total.add(report)
    dialect.orders(entries)
    dialect.report()
    dialect.orders(bare(entries), stop=True, cancel=True)
    while not (report := dialect.report())["idle"]:
        total.add(report)
        dialect.orders(bare(entries), stop=True)
    total.add(report)
    assert total.journeys <= sum(counts[3] for counts in report["entries"])
    assert sorted(total.done + total.unused) == [1, 2]
    dialect.orders(bare(entries))
    assert "makes no sense" not in ends(process)


def test_another_epoch_has_other_items(context: Context, runner: Start, tmp_path: Path) -> None:
    dialect = Dialect(context, f"ipc://{tmp_path}/controller", epoch=1)
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 1, "shop:visit"), entry(2, 1, "shop:cling", hold=2, pool=1)]
    dialect.orders(entries, items=[[2, 1, 41, []], [2, 2, 42, []]])
    dialect.until(lambda report: report["entries"][1][1] == 1, bare(entries))
    dialect.orders(bare(entries))
    dialect.close()
    assert process.stderr is not None
    wait_for_line(process.stderr, "lost the controller")
    dialect = Dialect(context, dialect.address, epoch=2)
    message = dialect.receive()
    assert message[0] == REPORT and message[3] == 1
    dialect.answer([message[1], None])
    dialect.welcome(runner_id=1)
    report = dialect.report()
    assert report["epoch"] == 2 and report["introduction"] and report["from_start"]
    assert "done" not in report and "unused" not in report and report["entries"][1][5] == 42
    dialect.orders(entries, items=[[2, 1, 43, []]])
    report = dialect.until(lambda report: report["entries"][1][1:3] == [1, 2], bare(entries))
    dialect.orders(bare(entries), stop=True, cancel=True)
    last = dialect.end(bare(entries))
    assert last["entries"][1][2:4] == [2, 2]
    ends(process)
    dialect.close()


def test_another_test_begins_when_the_journeys_of_the_last_one_have_ended(
    context: Context, runner: Start, events: Events
) -> None:
    dialect = Dialect(context, epoch=1)
    process = runner(dialect, f"--message-socket={events.address}")
    dialect.welcome(test="one:scenario")
    dialect.report()
    dialect.orders([entry(1, 3, "shop:cling")])
    dialect.until(lambda report: report["entries"][0][1] == 3, [entry(1, 3)])
    dialect.answer([dialect.seq, None])
    dialect.last = None
    dialect.offer["epoch"] = 2
    dialect.welcome(test="two:scenario")
    dialect.report()
    dialect.orders([entry(1, 1, "shop:tell"), entry(2, 1, "shop:visit")])
    report = dialect.until(lambda report: report["entries"][0][3] > 3, [entry(1, 1), entry(2, 1)])
    assert len(report["entries"]) == 2
    assert events.next("seen")["test"] == "two:scenario"
    dialect.orders([entry(1, 1), entry(2, 1)], stop=True)
    dialect.end([entry(1, 1), entry(2, 1)])
    ends(process)
    dialect.close()


def test_journeys_that_are_cancelled_may_tidy_up(dialect: Dialect, runner: Start, events: Events) -> None:
    process = runner(dialect, f"--message-socket={events.address}")
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 2, "shop:tidy")])
    for _ in range(2):
        events.next("begun")
    dialect.until(lambda report: report["idle"], [entry(1, 2)], stop=True, cancel=True)  # each time, as ours does
    dialect.orders([entry(1, 2)])
    ends(process)
    assert [event["type"] for event in events.rest()].count("tidied") == 2


def test_configuration_reaches_journeys_while_they_run(dialect: Dialect, runner: Start, events: Events) -> None:
    process = runner(dialect, f"--message-socket={events.address}")
    dialect.welcome(config=[["greeting", "one"]])
    dialect.report()
    dialect.orders([entry(1, 1, "shop:tell")], config=[["greeting", "two"]])
    assert events.next("seen")["greeting"] == "two"
    dialect.report()
    dialect.orders([entry(1, 1)], config=[["greeting", {"three": [3]}]])
    while events.next("seen")["greeting"] != {"three": [3]}:
        if dialect.comes(0):
            dialect.report()
            dialect.orders([entry(1, 1)])
    dialect.end([entry(1, 1)])
    ends(process)


# ---- journeys that go wrong ----


@pytest.mark.parametrize(
    ("args", "spec", "trouble", "kind"),
    [
        (("--journeys-allow=shop:v*", "--journeys-allow=other:*"), "shop:tell", "--journeys-allow", "ImportError"),
        ((), "shop:vist", 'did you mean "visit"?', "ImportError"),
        ((), "nowhere:visit", "nowhere", "ImportError"),
        ((), "missing.c:visit", "missing.c", "ImportError"),
    ],
)
def test_a_journey_that_cannot_be_loaded_is_an_exception_and_told(
    dialect: Dialect, runner: Start, events: Events, args: tuple[str, ...], spec: str, trouble: str, kind: str
) -> None:
    process = runner(dialect, f"--message-socket={events.address}", *args)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 1, spec, starts_left=3), entry(2, 1, "shop:visit")])
    report = dialect.report()
    assert trouble in report["trouble"]
    dialect.orders([entry(1, 1, starts_left=0), entry(2, 1)])
    exception = events.next("exception")
    assert exception["ex_type"] == kind and exception["journey"] == spec
    report = dialect.report()
    assert "trouble" not in report
    dialect.orders([entry(1, 1, starts_left=0), entry(2, 1)])
    dialect.end([entry(1, 1, starts_left=0), entry(2, 1)])
    assert trouble in ends(process)


def test_a_journey_that_crashes_is_named(dialect: Dialect, runner: Start, tmp_path: Path) -> None:
    (tmp_path / "crash.c").write_text(
        '#include <mite/mite.h>\nMITE_JOURNEY(fall)\n{\n    volatile int *nowhere = (int *)8;\n    *nowhere = 1;\n}\n'
    )
    process = runner(dialect)
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 1, "crash.c:fall")])
    said = ends(process, status=3)
    assert "crash.c:fall" in said and "SIGSEGV" in said and "crash.c:5" in said


# ---- events ----


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [("all", {"txn", "error", "data_created"}), ("errors", {"error", "data_created"}), ("none", {"data_created"})],
)
def test_events_that_are_wanted(dialect: Dialect, runner: Start, events: Events, wanted: str, kinds: set[str]) -> None:
    process = runner(dialect, f"--message-socket={events.address}", f"--events={wanted}")
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 1, "shop:fail"), entry(2, 1, "shop:make")]
    dialect.orders(entries)
    entries = bare(entries)
    dialect.until(lambda report: report["entries"][0][3] > 5 and report["entries"][1][3] > 5, entries)
    dialect.orders(entries, stop=True)
    dialect.end(entries)
    ends(process)
    assert {event["type"] for event in events.rest()} == kinds


def test_few_events_that_nobody_took_are_told_too(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect, f"--message-socket=tcp://127.0.0.1:{free_port()}")
    dialect.welcome()
    dialect.report()
    entries = [entry(1, 1, "shop:make")]
    dialect.orders(entries)
    dialect.until(lambda report: report["entries"][0][3] > 5, bare(entries))
    dialect.orders(bare(entries), stop=True)
    dialect.end(bare(entries))
    assert "events never reached" in ends(process)


def test_without_anybody_to_take_events_the_load_goes_on(dialect: Dialect, runner: Start) -> None:
    process = runner(dialect, "--send-buffer=20000", f"--message-socket=tcp://127.0.0.1:{free_port()}")
    dialect.welcome()
    dialect.report()
    dialect.orders([entry(1, 50, "shop:tell")])
    report = dialect.until(lambda report: report["entries"][0][3] > 5000, [entry(1, 50)])
    assert report["dropped"]["seen"] > 1000 and report["dropped"]["txn"] > 1000
    dialect.orders([entry(1, 50)], stop=True)
    dialect.end([entry(1, 50)])
    assert "events never reached" in ends(process)
