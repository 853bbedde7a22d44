"""Stats of third parties, for `mite stats`, whose own are in C."""

from __future__ import annotations

from typing import Any

from ._host import Refused
from .stats import third_party


class Stats:
    """What the entry-point group `mite_stats` has of the chosen processors."""

    def __init__(self, include: str | None, exclude: str | None) -> None:
        try:
            self._stats = third_party(include, exclude)
        except ValueError as error:
            raise Refused(str(error)) from None

    def __len__(self) -> int:
        return len(self._stats)

    def take(self, message: dict[str, Any]) -> None:
        """One that fails does not keep the message from the others."""
        failure = None
        for stat in self._stats:
            try:
                stat.process(message)
            except Exception as error:
                failure = failure or error
        if failure:
            raise failure

    def dump(self, index: int) -> dict[str, Any]:
        """Of one: should it fail, the others are told all the same."""
        dump: dict[str, Any] = self._stats[index].dump()
        return dump
