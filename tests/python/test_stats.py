"""Statistics of messages, in Python."""

import pytest

from mite.stats import (
    Accumulator,
    Counter,
    Extractor,
    Gauge,
    Histogram,
    Stats,
    controller_report_extractor,
    extractor,
    matcher_by_type,
)

HTTP = {"type": "http_metrics", "test": "t", "journey": "j", "transaction": "__root__ :: a", "method": "GET"}


def http(**fields):
    return {**HTTP, "response_code": 200, "total_time": 0.3, "dns_time": 0.001, **fields}


def test_counter():
    counter = Counter("c", matcher_by_type("a", "b"), extractor(("x", "y")))
    for message in (
        {"type": "a", "x": 1},
        {"type": "b", "x": 1},
        {"type": "c", "x": 1},
        {"type": "a", "x": 2, "y": "z"},
    ):
        counter.process(message)
    assert counter.dump() == {
        "type": "Counter",
        "name": "c",
        "metrics": {(1, ""): 2, (2, "z"): 1},
        "labels": ["x", "y"],
    }
    assert counter.dump()["metrics"] == {}


def test_counter_of_a_value():
    counter = Counter("c", matcher_by_type("a"), extractor(("x",), "size"))
    counter.process({"type": "a", "x": 1, "size": 3})
    counter.process({"type": "a", "x": 1, "size": 4})
    assert counter.dump()["metrics"] == {(1,): 7}


def test_gauge_and_accumulator():
    gauge = Gauge("g", matcher_by_type("a"), extractor((), "n"))
    accumulator = Accumulator("s", matcher_by_type("a"), extractor((), "n"))
    for n in (1, 5, 3):
        gauge.process({"type": "a", "n": n})
        accumulator.process({"type": "a", "n": n})
    for _ in range(2):
        assert gauge.dump()["metrics"] == {(): 3}
        assert accumulator.dump()["metrics"] == {(): 9}


def test_histogram_is_cumulative():
    histogram = Histogram("h", matcher_by_type("a"), extractor(("x",), "n"), [1, 0.1, 10])
    for n in (0.05, 0.1, 2, 100):
        histogram.process({"type": "a", "x": "l", "n": n})
    assert histogram.dump() == {
        "type": "Histogram",
        "name": "h",
        "bin_counts": {("l",): [2, 2, 3]},
        "sums": {("l",): pytest.approx(102.15)},
        "total_counts": {("l",): 4},
        "bins": [0.1, 1, 10],
        "labels": ["x"],
    }
    assert histogram.dump()["total_counts"] == {}


def test_own_extractor():
    counter = Counter("c", lambda message: True, Extractor(("n",), lambda message: [((n,), 1) for n in message["ns"]]))
    counter.process({"ns": [1, 2, 1]})
    assert counter.dump()["metrics"] == {(1,): 2, (2,): 1}


def test_controller_report_extractor():
    gauge = Gauge("g", matcher_by_type("controller_report"), controller_report_extractor("actual"))
    gauge.process({"type": "controller_report", "test": "t", "actual": {1: 2, 3: 4}})
    assert gauge.dump()["metrics"] == {("t", 1): 2, ("t", 3): 4}


class Sender:
    def __init__(self):
        self.sent = []

    def send(self, dump):
        self.sent.append(dump)


def by_name(stats):
    return {dump["name"]: dump for dump in stats.dump()}


def test_the_built_in_processors():
    stats = Stats(Sender())
    stats.process(http())
    stats.process(http(method=b"POST", response_code=404))
    stats.process({"type": "txn", "test": "t", "journey": "j", "transaction": "__root__", "had_error": True})
    stats.process(
        {
            "type": "error",
            "test": "t",
            "journey": "j",
            "transaction": "",
            "location": "l",
            "ex_type": "E",
            "message": "m",
        }
    )
    stats.process({"type": "controller_report", "test": "t", "required": {1: 2}, "actual": {1: 1}, "num_runners": 3})
    dumps = by_name(stats)
    assert dumps["mite_http_response_total"]["metrics"] == {
        ("t", "j", "__root__ :: a", "GET", 200): 1,
        ("t", "j", "__root__ :: a", "POST", 404): 1,
    }
    assert dumps["mite_http_response_time_seconds"]["total_counts"] == {("__root__ :: a",): 2}
    assert len(dumps["mite_http_response_time_seconds"]["bins"]) == 15
    assert dumps["mite_transaction_total"]["metrics"] == {("t", "j", "__root__", True): 1}
    assert dumps["mite_journey_error_total"]["metrics"] == {("t", "j", "", "l", "E", "m"): 1}
    assert dumps["mite_required_count"]["metrics"] == {("t", 1): 2}
    assert dumps["mite_actual_count"]["metrics"] == {("t", 1): 1}
    assert dumps["mite_runner_count"]["metrics"] == {("t",): 3}
    assert "mite_dns_time" not in dumps


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        (["mite_http"], None, {"mite_http_response_total", "mite_http_response_time_seconds"}),
        ("mite_dns", None, {"mite_dns_time"}),
        (None, "mite", {"mite_http_response_total", "mite_http_response_time_seconds"}),
        ("mite_http, mite", ["mite_http", "mite"], set()),
    ],
)
def test_choice_of_processors(include, exclude, names):
    assert set(by_name(Stats(Sender(), include, exclude))) == names


def test_a_processor_that_does_not_exist():
    with pytest.raises(ValueError, match='there is no stats processor "mit", only mite, mite_dns, mite_http'):
        Stats(Sender(), "mit")


def test_buckets_from_the_environment(monkeypatch):
    monkeypatch.setenv("MITE_HTTP_HISTOGRAM_BUCKETS", "0.5,1")
    assert by_name(Stats(Sender()))["mite_http_response_time_seconds"]["bins"] == [0.5, 1.0]


def test_dumps_go_out_a_quarter_of_a_second_apart(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("mite.stats.time.monotonic", lambda: now[0])
    sender = Sender()
    stats = Stats(sender, "mite_http")
    stats.process(http())
    assert sender.sent == []
    now[0] += 0.25
    stats.process(http())
    stats.process(http())
    assert [dump[0]["metrics"] for dump in sender.sent] == [{("t", "j", "__root__ :: a", "GET", 200): 2}]
    now[0] += 0.3
    stats.process(http())
    assert list(sender.sent[1][0]["metrics"].values()) == [2]


def test_third_parties_register_theirs(tmp_path, monkeypatch):
    package = tmp_path / "mine-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[mite_stats]\nmine = mine:STATS\n")
    (tmp_path / "mine.py").write_text(
        "from mite.stats import Counter, extractor, matcher_by_type\n"
        "STATS = [Counter('mine_total', matcher_by_type('mine'), extractor(('test',)))]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    stats = Stats(Sender())
    stats.process({"type": "mine", "test": "t"})
    assert by_name(stats)["mine_total"]["metrics"] == {("t",): 1}
