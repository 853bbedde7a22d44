"""--memory-tracing: the largest differences between Python's allocations now, at the start and at the last look."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

INTERVAL_S = 60
LINES = 10


class Trace:
    """Looks every minute, on the loop that is current when it begins, until it is stopped."""

    def __init__(self) -> None:
        tracemalloc.start()
        self._first = self._last = tracemalloc.take_snapshot()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL_S, self._look, loop)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        tracemalloc.stop()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = tracemalloc.take_snapshot()
        for since, snapshot in (("the start", self._first), ("the last look", self._last)):
            print(f"Largest allocation differences since {since}:", file=sys.stderr)
            for difference in now.compare_to(snapshot, "lineno")[:LINES]:
                print(f"  {difference}", file=sys.stderr)
        self._last = now
        self.begin(loop)
