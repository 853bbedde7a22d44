"""mite's own message processors. Named by --message-processors they run in C; these are for one's own components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _mite import debug_log, http_stats, message_log

__all__ = ["DebugMessageOutput", "HttpStatsOutput", "MsgOutput"]


class _Output:
    _sink: Any

    def process_message(self, message: dict[str, Any]) -> None:
        self._sink.process_message(message)


class HttpStatsOutput(_Output):
    """Two lines every two seconds: requests and errors so far, and the latencies of the last two seconds."""

    def __init__(self, opts: Mapping[str, Any] | None = None) -> None:
        options = opts or {}
        self._sink = http_stats(bool(options.get("--journey-logging")), bool(options.get("--hide-constant-logs")))


class MsgOutput(_Output):
    """Messages with a stack trace at WARNING, all messages at DEBUG."""

    def __init__(self, opts: Mapping[str, Any] | None = None) -> None:
        self._sink = message_log()


class DebugMessageOutput(_Output):
    """Prints the text of `debug_console_message`."""

    def __init__(self, opts: Mapping[str, Any] | None = None) -> None:
        self._sink = debug_log()
