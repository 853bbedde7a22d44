"""The exporter's page from Python, and the names under which others import it."""

import pytest

import mite.cli.stats
import mite.stats
from mite.stats import Counter, Gauge, Histogram, extractor, matcher_by_type
from mite.web.prometheus import PrometheusMetrics


def dump_of(stat, *messages):
    for message in messages:
        stat.process(message)
    return stat.dump()


def test_dumps_of_stats_make_a_page():
    metrics = PrometheusMetrics()
    every = matcher_by_type("a")
    counter = Counter("c_total", every, extractor(["had_error", "method"]))
    gauge = Gauge("g", every, extractor([], "n"))
    histogram = Histogram("h", every, extractor(["x"], "n"), [1, 0.5])
    for n in (0.25, 2):
        message = {"type": "a", "had_error": True, "method": b"GET", "x": 'say "hi"\n\\', "n": n}
        metrics.process([dump_of(stat, message) for stat in (counter, gauge, histogram)])
    assert metrics.format() == (
        "# HELP c_total From a stats processor\n"
        "# TYPE c_total counter\n"
        'c_total{had_error="True",method="GET"} 2\n'
        "# HELP g From a stats processor\n"
        "# TYPE g gauge\n"
        "g 2\n"
        "# HELP h From a stats processor\n"
        "# TYPE h histogram\n"
        'h_bucket{x="say \\"hi\\"\\n\\\\",le="0.500000"} 1\n'
        'h_bucket{x="say \\"hi\\"\\n\\\\",le="1.000000"} 1\n'
        'h_bucket{x="say \\"hi\\"\\n\\\\",le="+Inf"} 2\n'
        'h_sum{x="say \\"hi\\"\\n\\\\"} 2.25\n'
        'h_count{x="say \\"hi\\"\\n\\\\"} 2\n'
    )


def test_an_empty_page():
    assert PrometheusMetrics().format() == ""


def test_a_bad_dump_changes_nothing():
    metrics = PrometheusMetrics(max_label_sets=1)
    counter = {"type": "Counter", "name": "c", "labels": ["a"], "metrics": {("x",): 1}}
    metrics.process([counter])
    with pytest.raises(ValueError, match="metric c has another type"):
        metrics.process([counter, {**counter, "labels": ["b"]}])
    with pytest.raises(ValueError, match="a dump is a list of maps"):
        metrics.process(counter)
    with pytest.raises(TypeError, match="object"):
        metrics.process([object()])
    with pytest.raises(ValueError, match="at least 1"):
        PrometheusMetrics(0)
    metrics.process([{**counter, "metrics": {("y",): 2}}])
    assert metrics.format().splitlines()[2:] == ['c{a="x"} 1', 'c{a="other"} 2']


def test_names():
    assert mite.cli.stats.Stats is mite.stats.Stats
