"""Statistics of messages: what the exporter shows to Prometheus.

A stat takes the messages that its matcher is true for, and adds what its extractor finds in each: pairs of a tuple of
label values and a number. `dump()` gives what came since the last dump, as a map ready to be sent; gauges give their
latest values.

Packages register lists of stats of their own under the entry-point group `mite_stats`.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

__all__ = [
    "Accumulator",
    "Counter",
    "Extractor",
    "Gauge",
    "Histogram",
    "Stats",
    "controller_report_extractor",
    "extractor",
    "matcher_by_type",
]

Message = dict[str, Any]
Matcher = Callable[[Message], bool]
Labels = tuple[Any, ...]

DUMP_INTERVAL_S = 0.25
HTTP_BUCKETS = "0.0001,0.001,0.01,0.05,0.1,0.2,0.4,0.8,1,2,4,8,16,32,64"
ENTRY_POINTS = "mite_stats"


class Extractor(NamedTuple):
    """The names of the labels, and the function that yields (label values, number) for a message."""

    labels: Sequence[str]
    extract: Callable[[Message], Iterable[tuple[Labels, float]]]


def _text(value: Any) -> Any:
    """The Python program sends HTTP methods as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def extractor(labels: Sequence[str], value_key: str | None = None) -> Extractor:
    """Labels from the fields of those names ("" for a missing one), the number from `value_key`, or 1."""

    def extract(message: Message) -> Iterator[tuple[Labels, float]]:
        value = 1 if value_key is None else message[value_key]
        yield tuple(_text(message.get(label, "")) for label in labels), value

    return Extractor(labels, extract)


def controller_report_extractor(key: str) -> Extractor:
    """The numbers by scenario of a controller_report: of its map `required` or `actual`."""

    def extract(message: Message) -> Iterator[tuple[Labels, float]]:
        for scenario_id, number in message[key].items():
            yield (message.get("test", ""), scenario_id), number

    return Extractor(("test", "scenario_id"), extract)


def matcher_by_type(*types: str) -> Matcher:
    """True for messages of these types."""
    wanted = frozenset(types)
    return lambda message: message.get("type") in wanted


class _Stat:
    kind: str

    def __init__(self, name: str, matcher: Matcher, extractor: Extractor) -> None:
        self.name = name
        self.matcher = matcher
        self.extractor = extractor

    def process(self, message: Message) -> None:
        if self.matcher(message):
            for labels, value in self.extractor.extract(message):
                self._add(labels, value)

    def _add(self, labels: Labels, value: float) -> None:
        raise NotImplementedError

    def dump(self) -> dict[str, Any]:
        raise NotImplementedError


class _Metric(_Stat):
    """One number for each set of label values."""

    def __init__(self, name: str, matcher: Matcher, extractor: Extractor) -> None:
        super().__init__(name, matcher, extractor)
        self.metrics: dict[Labels, float] = {}

    def dump(self) -> dict[str, Any]:
        labels = list(self.extractor.labels)
        return {"type": self.kind, "name": self.name, "metrics": dict(self.metrics), "labels": labels}


class Counter(_Metric):
    """Adds up; a dump gives what came since the last one."""

    kind = "Counter"

    def _add(self, labels: Labels, value: float) -> None:
        self.metrics[labels] = self.metrics.get(labels, 0) + value

    def dump(self) -> dict[str, Any]:
        dump = super().dump()
        self.metrics.clear()
        return dump


class Gauge(_Metric):
    """The latest number."""

    kind = "Gauge"

    def _add(self, labels: Labels, value: float) -> None:
        self.metrics[labels] = value


class Accumulator(_Metric):
    """Adds up for as long as it lives; shown as a gauge."""

    kind = "Gauge"

    def _add(self, labels: Labels, value: float) -> None:
        self.metrics[labels] = self.metrics.get(labels, 0) + value


class Histogram(_Stat):
    """How many numbers were at most each of `bins`, their sum and count, since the last dump."""

    kind = "Histogram"

    def __init__(self, name: str, matcher: Matcher, extractor: Extractor, bins: Iterable[float]) -> None:
        super().__init__(name, matcher, extractor)
        self.bins = sorted(bins)
        self._clear()

    def _clear(self) -> None:
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._totals: dict[Labels, int] = {}

    def _add(self, labels: Labels, value: float) -> None:
        counts = self._counts.setdefault(labels, [0] * len(self.bins))
        for i in range(bisect_left(self.bins, value), len(counts)):
            counts[i] += 1
        self._sums[labels] = self._sums.get(labels, 0) + value
        self._totals[labels] = self._totals.get(labels, 0) + 1

    def dump(self) -> dict[str, Any]:
        dump = {
            "type": self.kind,
            "name": self.name,
            "bin_counts": self._counts,
            "sums": self._sums,
            "total_counts": self._totals,
            "bins": self.bins,
            "labels": list(self.extractor.labels),
        }
        self._clear()
        return dump


# ---- mite's own ----


def _buckets(variable: str) -> list[float]:
    return [float(bound) for bound in os.environ.get(variable, HTTP_BUCKETS).split(",")]


def _dropped(message: Message) -> Iterator[tuple[Labels, float]]:
    for type_, number in message["dropped"].items():
        yield (message.get("component", ""), type_), number


def _mite_stats() -> list[_Stat]:
    report = matcher_by_type("controller_report")
    error_labels = ("test", "journey", "transaction", "location", "ex_type", "message")
    return [
        Counter("mite_journey_error_total", matcher_by_type("error", "exception"), extractor(error_labels)),
        Counter(
            "mite_transaction_total",
            matcher_by_type("txn"),
            extractor(("test", "journey", "transaction", "had_error")),
        ),
        Gauge("mite_actual_count", report, controller_report_extractor("actual")),
        Gauge("mite_required_count", report, controller_report_extractor("required")),
        Gauge("mite_runner_count", report, extractor(("test",), "num_runners")),
        Counter(
            "mite_messages_dropped_total",
            matcher_by_type("messages_dropped"),
            Extractor(("component", "type"), _dropped),
        ),
    ]


def _http_stats() -> list[_Stat]:
    http = matcher_by_type("http_metrics")
    return [
        Counter(
            "mite_http_response_total",
            http,
            extractor(("test", "journey", "transaction", "method", "response_code")),
        ),
        Histogram(
            "mite_http_response_time_seconds",
            http,
            extractor(("transaction",), "total_time"),
            _buckets("MITE_HTTP_HISTOGRAM_BUCKETS"),
        ),
    ]


def _dns_stats() -> list[_Stat]:
    http = matcher_by_type("http_metrics")
    buckets = _buckets("MITE_DNS_HISTOGRAM_BUCKETS")
    return [Histogram("mite_dns_time", http, extractor(("transaction",), "dns_time"), buckets)]


_BUILT_IN: dict[str, Callable[[], list[_Stat]]] = {"mite": _mite_stats, "mite_http": _http_stats}
_OPTIONAL: dict[str, Callable[[], list[_Stat]]] = {"mite_dns": _dns_stats}


def _registered() -> dict[str, Callable[[], list[Any]]]:
    from importlib.metadata import entry_points

    return {point.name: partial(_load, point) for point in entry_points(group=ENTRY_POINTS)}


def _load(point: Any) -> list[Any]:
    return list(point.load())


def _choose(include: str | Iterable[str] | None, exclude: str | Iterable[str] | None) -> dict[str, Callable[[], list[Any]]]:
    included, excluded = _names(include), _names(exclude)
    usual = {**_registered(), **_BUILT_IN}
    known = {**_OPTIONAL, **usual}
    for name in sorted((included | excluded) - known.keys()):
        raise ValueError(f'there is no stats processor "{name}", only {", ".join(sorted(known))}')
    return {name: known[name] for name in known if name in (included or usual) and name not in excluded}


def third_party(include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None) -> list[Any]:
    """The stats of the chosen processors that are not mite's own."""
    chosen = _choose(include, exclude)
    return [stat for name, load in chosen.items() if name not in _BUILT_IN and name not in _OPTIONAL for stat in load()]


def _names(names: str | Iterable[str] | None) -> set[str]:
    parts = names.split(",") if isinstance(names, str) else names or ()
    return {part.strip() for part in parts if part.strip()}


class Stats:
    """Feeds messages to the stats of the chosen processors and sends their dumps.

    `include` and `exclude` name processors (a list, or text with commas); without `include` it is all but the optional
    ones. A dump goes to `sender.send` with the first message that comes a quarter of a second after the last.
    """

    def __init__(
        self, sender: Any, include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None
    ) -> None:
        self._sender = sender
        self._stats = [stat for load in _choose(include, exclude).values() for stat in load()]
        self._dump_due = time.monotonic() + DUMP_INTERVAL_S

    def process(self, message: Message) -> None:
        for stat in self._stats:
            stat.process(message)
        now = time.monotonic()
        if now >= self._dump_due:
            self._dump_due = now + DUMP_INTERVAL_S
            self._sender.send(self.dump())

    process_message = process

    def dump(self) -> list[dict[str, Any]]:
        return [stat.dump() for stat in self._stats]
