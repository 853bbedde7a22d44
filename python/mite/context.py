"""What a running journey knows and says."""

from _mite import Context

__all__ = ["Context"]
