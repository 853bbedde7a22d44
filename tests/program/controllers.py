"""Controllers written against the wire: the plain one, as the Python program's is, and one of our dialect that does as
the test says. Each is one socket, and a test is what its controller receives and answers, one message after another."""

import time
from typing import Any

import msgpack
import zmq

PATIENCE_MS = 20_000  # what a runner may take for anything on a busy machine

HELLO, ASK, BYE, REPORT = 1, 2, 3, 4


def unpack(body: bytes) -> Any:
    return msgpack.unpackb(body, strict_map_key=False)


class Controller:
    """A bound socket. `address` says where."""

    kind: int

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str = "tcp://127.0.0.1:*") -> None:
        self.socket = context.socket(self.kind)
        self.socket.linger = 0
        self.socket.bind(address)
        self.address = self.socket.last_endpoint.decode()

    def close(self) -> None:
        self.socket.close()

    def comes(self, timeout_ms: int = PATIENCE_MS) -> bool:
        return bool(self.socket.poll(timeout_ms))


class Plain(Controller):
    """REP: one request, one answer."""

    kind = zmq.REP

    def receive(self, kind: int) -> Any:
        assert self.comes(), f"no request, and {kind} was awaited"
        got, payload = unpack(self.socket.recv())
        assert got == kind, (got, payload)
        return payload

    def answer(self, answer: Any) -> None:
        self.socket.send(msgpack.packb(answer))

    def welcome(self, runner_id: int = 1, test: str = "t:scenario", config: Any = ()) -> None:
        assert self.receive(HELLO) is None
        self.answer([runner_id, test, list(config)])

    def work(self, items: Any = (), config: Any = (), stop: bool = False) -> Any:
        """Answers the next request for work; what it said."""
        asked = self.receive(ASK)
        self.answer([list(items), list(config), stop])
        return asked

    def end(self) -> list[Any]:
        """Says stop until the runner says bye; the items that came back meanwhile."""
        returned: list[Any] = []
        while True:
            assert self.comes()
            kind, payload = unpack(self.socket.recv())
            if kind == BYE:
                self.answer(None)
                return returned
            assert kind == ASK and payload[3] in (0, None)
            returned += payload[2]
            self.answer([[], [], True])


class Dialect(Controller):
    """ROUTER: it may also stay silent, speak unasked, or talk nonsense."""

    kind = zmq.ROUTER

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str = "tcp://127.0.0.1:*",
        epoch: int = 7,
        timeout: float = 10.0,
        interval: float = 0.05,
    ) -> None:
        super().__init__(context, address)
        self.socket.router_handover = 1
        self.offer = {"dialect": 1, "epoch": epoch, "timeout": timeout, "interval": interval}
        self.peer = b""
        self.seq = 0
        self.last: Any = None  # the newest answer, to be repeated

    def receive(self) -> Any:
        assert self.comes(), "nothing came"
        self.peer, empty, body = self.socket.recv_multipart()
        assert empty == b""
        return unpack(body)

    def raw(self, body: bytes) -> None:
        self.socket.send_multipart([self.peer, b"", body])

    def answer(self, answer: Any) -> None:
        self.raw(msgpack.packb(answer))

    def welcome(self, runner_id: int = 1, test: str = "t:scenario", config: Any = ()) -> None:
        assert self.receive() == [HELLO, None]
        assert self.peer.startswith(b"mite1:")
        self.answer([runner_id, test, list(config), self.offer])

    def report(self) -> dict[str, Any]:
        """The next report that has not been seen; what was sent again is answered as before."""
        while True:
            message = self.receive()
            assert message[0] == REPORT, message
            kind, seq, runner_id, epoch, report = message
            if seq == self.seq and self.last is not None:
                self.answer(self.last)
                continue
            self.seq = seq
            report["runner_id"], report["epoch"] = runner_id, epoch
            return report

    def orders(self, entries: Any = (), **orders: Any) -> None:
        self.last = [
            self.seq,
            {"spawn_rate": 1000.0, "failure_backoff": True, "entries": [list(e) for e in entries], **orders},
        ]
        self.answer(self.last)

    def until(self, wanted: Any, entries: Any = (), **orders: Any) -> dict[str, Any]:
        """Answers reports with these orders until one is as wanted; that one is not answered."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < end:
            report = self.report()
            if wanted(report):
                return report
            self.orders(entries, **orders)
        raise AssertionError(f"no report is as wanted; the last one is {report}")

    def end(self, entries: Any = ()) -> dict[str, Any]:
        """Tells it to stop; its last report, after which it has said bye."""
        report = self.until(lambda report: report["idle"], entries, stop=True)
        self.orders(entries, stop=True)
        while (message := self.receive())[0] != BYE:
            assert message[0] == REPORT
        self.answer(None)
        return report
