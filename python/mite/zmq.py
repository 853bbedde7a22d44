"""Messages over ZeroMQ, as the components of a test exchange them."""

from __future__ import annotations

from mite import _bus

__all__ = ["Receiver", "Sender"]


class Sender(_bus.Sender):
    """Sends messages over ZeroMQ (PUSH)."""

    _backend = "ZMQ"


class Receiver(_bus.Receiver):
    """Receives messages over ZeroMQ (PULL)."""

    _backend = "ZMQ"
