"""Senders and receivers of messages, over either library: behind mite.zmq and mite.nanomsg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from _mite import BusReceiver, BusSender
from mite.utils import unpack_msg

# Reconnecting and the like goes by timers, which the descriptor of the receiver's loop does not tell of.
_TICK_S = 0.25


class Sender:
    """Sends messages to one receiver of those that it is connected to, in turns. Never waits."""

    _backend: ClassVar[str]

    def __init__(self) -> None:
        self._sender = BusSender(self._backend)

    def bind(self, address: str) -> str:
        """Listens at tcp://HOST:PORT or ipc://PATH; returns the address, with the port that was given for `*`."""
        return self._sender.bind(address)

    def connect(self, address: str) -> None:
        self._sender.connect(address)

    def send(self, message: dict[str, Any]) -> None:
        self._sender.send(message)

    @property
    def dropped(self) -> int:
        """Messages that found no room: 64 MB wait for a receiver at most."""
        return self._sender.dropped

    def close(self) -> None:
        self._sender.close()


class Receiver:
    """Calls its listeners with every message, as long as it runs."""

    _backend: ClassVar[str]

    def __init__(self) -> None:
        self._listeners: list[Callable[[dict[str, Any]], Any]] = []
        self._raw_listeners: list[Callable[[bytes], Any]] = []
        self._receiver = BusReceiver(self._backend, self._deliver)

    def bind(self, address: str) -> str:
        """Listens at tcp://HOST:PORT or ipc://PATH; returns the address, with the port that was given for `*`."""
        return self._receiver.bind(address)

    def connect(self, address: str) -> None:
        self._receiver.connect(address)

    def add_listener(self, listener: Callable[[dict[str, Any]], Any]) -> None:
        """Called with each message as a dict."""
        self._listeners.append(listener)

    def add_raw_listener(self, listener: Callable[[bytes], Any]) -> None:
        """Called with the bytes of each message."""
        self._raw_listeners.append(listener)

    def _deliver(self, raw: bytes) -> None:
        for raw_listener in self._raw_listeners:
            raw_listener(raw)
        if self._listeners:
            message = unpack_msg(raw)
            for listener in self._listeners:
                listener(message)

    async def run(self) -> None:
        """Runs until it is cancelled. What a listener raises ends it, after the messages that came together."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def turn() -> None:
            if ended.done():
                return
            try:
                if self._receiver.turn():
                    loop.call_soon(turn)
            except BaseException as raised:
                ended.set_exception(raised)

        fd = self._receiver.fileno()
        loop.add_reader(fd, turn)
        try:
            while not ended.done():
                turn()
                await asyncio.wait([ended], timeout=_TICK_S)
        finally:
            loop.remove_reader(fd)
            ended.cancel()
        ended.result()

    def close(self) -> None:
        self._receiver.close()
