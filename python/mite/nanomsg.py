"""Messages over nanomsg's protocols, for what runs with --message-backend=nanomsg."""

from __future__ import annotations

from mite import _bus

__all__ = ["Receiver", "Sender"]


class Sender(_bus.Sender):
    """Sends messages over nanomsg (PUSH). ValueError when this mite was built without it."""

    _backend = "nanomsg"


class Receiver(_bus.Receiver):
    """Receives messages over nanomsg (PULL). ValueError when this mite was built without it."""

    _backend = "nanomsg"
