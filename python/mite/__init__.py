"""mite: load tests as journeys in Python on an engine in C."""

from __future__ import annotations

import time
from typing import Any

from _mite import __version__

from .context import Context
from .exceptions import MiteError

__all__ = [
    "MiteError",
    "__version__",
    "ensure_average_separation",
    "ensure_fixed_separation",
    "test_context",
]


class ensure_fixed_separation:
    """Makes its block take at least `separation` seconds: sleeps out what is left of them.

    async with ensure_fixed_separation(1): ... at the top of a journey makes N running journeys N a second.
    """

    def __init__(self, separation: float) -> None:
        self._separation = separation
        self._start = 0.0

    async def __aenter__(self) -> None:
        self._start = time.monotonic()

    async def __aexit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        import asyncio

        if kind is not None and not issubclass(kind, Exception):
            return  # cancelled: nobody waits for the interval any more
        end = self._start + self._separation
        await asyncio.sleep(max(0.0, end - time.monotonic()))
        while end - time.monotonic() > 1e-6:  # uvloop counts whole milliseconds, and wakes us up to one too early
            await asyncio.sleep(0.001)


class ensure_average_separation(ensure_fixed_separation):
    """The same around a mean: each time a number of seconds within `plus_minus` of it, by default a quarter of it."""

    def __init__(self, mean_separation: float, plus_minus: float | None = None) -> None:
        from random import uniform

        spread = mean_separation * 0.25 if plus_minus is None else plus_minus
        super().__init__(mean_separation + uniform(-spread, spread))


def test_context(**config: Any) -> Context:
    """A context to try a journey with, outside of any run. What is sent through it is in its list `messages`."""
    messages: list[dict[str, Any]] = []
    context = Context(messages.append, config)
    context.messages = messages
    return context


test_context.__test__ = False  # type: ignore[attr-defined]  # pytest: its name says nothing about us
