"""What users log goes where mite's own lines go: through --log-level, and past the live display."""

from __future__ import annotations

import logging

from _mite import log_enabled, log_line

# Ours, from 0: DEBUG, INFO, WARNING, ERROR, CRITICAL.
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        level = sum(record.levelno >= above for above in _LEVELS[1:])
        try:
            log_line(level, f"{record.name}: {self.format(record)}")
        except Exception:
            self.handleError(record)


def start() -> None:
    """Leaves logging alone that has been set up already."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_Handler())
        root.setLevel(next((level for n, level in enumerate(_LEVELS) if log_enabled(n)), logging.CRITICAL))
