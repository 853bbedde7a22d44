"""The `Stats` of `mite stats`, under the name that it has had here."""

from ..stats import Stats

__all__ = ["Stats"]
