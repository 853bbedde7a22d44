"""The metrics page: dumps of stats, added up and written in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from _mite import MetricsPage as _MetricsPage

__all__ = ["PrometheusMetrics"]


class PrometheusMetrics:
    """Adds up the dumps of any number of stats: counters and histograms are sums, gauges the latest."""

    def __init__(self, max_label_sets: int = 10_000) -> None:
        self._page = _MetricsPage(max_label_sets)

    def process(self, dump: Sequence[dict[str, Any]]) -> None:
        """Take what `Stats.dump()` gives: a list of maps. ValueError: it is none, and nothing of it was added."""
        self._page.process(dump)

    def format(self) -> str:
        """The page."""
        return self._page.format()
