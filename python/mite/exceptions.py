"""What mite raises and what its users raise to tell it something."""

from __future__ import annotations

from typing import Any


class MiteError(Exception):
    """A failure that a journey finds itself, such as a wrong answer: counted as an error, not as an exception.

    The fields go into the message about it.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.fields = fields


class StopVolumeModel(Exception):
    """Raised by a volume model: its journey ends."""


class DataPoolExhausted(BaseException):
    """Raised by a datapool's checkout: nothing will come any more, its journey ends."""


class DataPoolEmptied(Exception):
    """Raised by a recyclable datapool's checkout while every item is out."""
