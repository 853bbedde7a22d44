"""The collector: every message, in files that are closed whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from _mite import collector as _collector

__all__ = ["Collector"]


class Collector:
    """Writes raw messages to `current` in its directory, which becomes START_END[_ID]_N after `roll_after` of them.

    What `filter_fn(raw)` is false for is not written, and counts towards the roll all the same.
    """

    def __init__(
        self,
        target_dir: str | os.PathLike[str] | None = None,
        roll_after: int = 100_000,
        collector_id: str | None = None,
        filter_fn: Callable[[bytes], Any] | None = None,
        use_json: bool = False,
    ) -> None:
        directory = None if target_dir is None else os.fspath(target_dir)
        id = None if collector_id is None else str(collector_id)
        self._sink = _collector(directory, roll_after, id, filter_fn, use_json)

    def process_raw_message(self, message: bytes) -> None:
        self._sink.process_raw_message(message)

    def close(self) -> None:
        self._sink.close()
