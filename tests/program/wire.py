"""Runners and others that speak to a controller, written against the wire."""

import socket
import uuid
from typing import Any

import msgpack
import zmq

PATIENCE_MS = 20_000


class Peer:
    """A socket of one request at a time: REQ as in the Python program, or a DEALER named like one of ours."""

    def __init__(self, address: str, kind: int = zmq.REQ, name: bytes | None = None) -> None:
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.linger = 0
        if name:
            self.socket.routing_id = name
        self.framed = kind == zmq.DEALER
        self.socket.connect(address)

    def send(self, body: Any) -> None:
        self.send_raw(msgpack.packb(body))

    def send_raw(self, body: bytes) -> None:
        self.socket.send_multipart([b"", body] if self.framed else [body])

    def receive(self, patience_ms: int = PATIENCE_MS) -> Any:
        assert self.socket.poll(patience_ms), "no answer"
        return msgpack.unpackb(self.socket.recv_multipart()[-1], strict_map_key=False)

    def ask(self, body: Any) -> Any:
        self.send(body)
        return self.receive()

    def quiet(self, for_ms: int = 300) -> bool:
        return not self.socket.poll(for_ms)

    def close(self) -> None:
        self.socket.close()


class Plain(Peer):
    """A runner of the Python program, whose journeys take no time unless told."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.id, self.test, self.config = self.ask([1, None])
        self.running: dict[int, int] = {}
        self.done: list[list[Any]] = []
        self.items: list[list[Any]] = []

    def work(self, max_work: int | None = None) -> tuple[list[list[Any]], bool]:
        work, config, stop = self.ask([2, [self.id, self.running, self.done, max_work]])
        self.config += config
        self.done = []
        for item in work:
            self.running[item[0]] = self.running.get(item[0], 0) + 1
            self.items.append(item)
        return work, stop

    def finish(self) -> None:
        """All that runs is over."""
        self.done = [[item[0], item[1]] for item in self.items if item[1] is not None]
        self.running, self.items = {}, []

    def bye(self) -> None:
        assert self.ask([3, self.id]) is None


class Ours(Peer):
    """A runner of ours for scenarios of one entry: it runs what its target says and never ends a journey by itself."""

    def __init__(self, address: str) -> None:
        super().__init__(address, zmq.DEALER, f"mite1:{uuid.uuid4()}".encode())
        self.seq = 0
        self.started = self.completed = self.running = 0
        self.done: list[int] = []
        self.unused: list[int] = []
        self.held: dict[int, Any] = {}
        self.orders: dict[str, Any] = {}
        self.nudges = 0
        self.hello()

    def hello(self) -> None:
        self.id, self.test, _, self.offer = self.ask([1, None])
        self.introduces = True

    def ask(self, body: Any) -> Any:
        self.send(body)
        while (answer := self.receive()) == [0]:
            self.nudges += 1
        return answer

    def request(self, **more: Any) -> list[Any]:
        self.seq += 1
        report = {
            "entries": [[1, self.running, self.started, self.completed, 0, -1]],
            "done": self.done,
            "unused": self.unused,
            **more,
        }
        if self.introduces:
            host = {"host": socket.gethostname(), "version": "test", "pid": 1, "max_journeys": 0}
            report |= {"introduction": host}
        self.introduces = False
        self.done, self.unused = [], []
        return [4, self.seq, self.id, self.offer["epoch"], report]

    def take(self, answer: list[Any]) -> dict[str, Any]:
        seq, orders = answer
        assert seq == self.seq
        if orders is None:
            raise LookupError("unknown here")
        self.orders = orders
        for _, lease, data_id, _ in orders.get("items", []):
            assert lease not in self.held, "the same lease twice"
            self.held[lease] = data_id
        return orders

    def report(self, **more: Any) -> dict[str, Any]:
        return self.take(self.ask(self.request(**more)))

    @property
    def target(self) -> int:
        return self.orders["entries"][0][1]

    def obey(self) -> None:
        """Has as many journeys running as it should, at once."""
        if self.target > self.running:
            self.started += self.target - self.running
        else:
            self.completed += self.running - self.target
        self.running = self.target

    def bye(self) -> None:
        assert self.ask([3, self.id]) is None


def stats(requests: int) -> dict[str, Any]:
    """What a runner counts of so many requests of a millisecond."""
    latency = [requests, 0, 1_000_000, 1_000_000, 1_000_000 * requests, 1e12 * requests]
    bucket = (19 - 10 << 10) + (1_000_000 >> 19 - 10)
    hist = [*latency, number(bucket) + number(requests)]
    key = ["__root__ :: pay", "GET", None]
    return {
        "counts": [requests, 0, 0, 0, 0, 100 * requests],
        "latency": hist,
        "wait": None,
        "transactions": [],
        "requests": [[key, requests, 0, hist]],
        "failures": [],
        "journeys": [],
    }


def number(n: int) -> bytes:
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])
