"""Components under test, and peers made of pyzmq: what the wire looks like from outside."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import msgpack
import zmq

PATIENCE_S = 10

Start = Callable[..., "subprocess.Popen[str]"]


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, all of them different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_addresses(count: int) -> list[str]:
    return [f"tcp://127.0.0.1:{port}" for port in free_ports(count)]


class Component:
    """One that runs: what it says on stderr, line by line, and how it ends."""

    def __init__(self, start: Start, name: str, *args: str, **popen: Any) -> None:
        self.process = start(name, *args, **{"stdout": subprocess.DEVNULL, **popen})
        self.name = name
        self.said: list[str] = []
        self._rest = b""
        self.wait_for(f"{name}: ")

    def _line(self, deadline: float) -> str:
        """Past Python's buffers, or what select() says would not be what is there."""
        assert self.process.stderr is not None
        fd = self.process.stderr.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(fd, 65536) if ready else b""
            if not more:
                return ""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def wait_for(self, text: str) -> str:
        """The first line from now on that has this text."""
        deadline = time.monotonic() + PATIENCE_S
        while line := self._line(deadline):
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"{self.name} did not say {text!r} but {self.said}")

    def seen(self, text: str) -> str:
        """The next line, if it is there already and has this text."""
        line = self._line(time.monotonic())
        return line + "\n" if text in line else ""

    def end(self, number: int = signal.SIGTERM, status: int = 0) -> str:
        """Sends the signal; what it said from then on. It must end within five seconds."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=5)
        rest = self._rest.decode() + rest
        assert self.process.returncode == status, rest
        return rest

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Peers:
    """Sockets of pyzmq that are gone at the end of the test."""

    def __init__(self) -> None:
        self.context = zmq.Context()

    def _socket(self, kind: int, **options: Any) -> "zmq.Socket[bytes]":
        made = self.context.socket(kind)
        made.linger = 0
        made.rcvtimeo = made.sndtimeo = PATIENCE_S * 1000
        for name, value in options.items():
            setattr(made, name, value)
        return made

    def push(self, address: str, **options: Any) -> "zmq.Socket[bytes]":
        made = self._socket(zmq.PUSH, **options)
        made.connect(address)
        return made

    def pull(self, address: str, **options: Any) -> "zmq.Socket[bytes]":
        made = self._socket(zmq.PULL, **options)
        made.connect(address)
        return made

    def bound_push(self, **options: Any) -> tuple["zmq.Socket[bytes]", str]:
        """Where a duplicator's output would be."""
        made = self._socket(zmq.PUSH, **options)
        made.bind("tcp://127.0.0.1:*")
        return made, made.last_endpoint.decode()

    def close(self) -> None:
        self.context.destroy(linger=0)


def pack(**fields: Any) -> bytes:
    return msgpack.packb(fields)


def txn(number: int) -> bytes:
    return pack(type="txn", time=1700000000.5, test="t", number=number)


def received(consumer: "zmq.Socket[bytes]", count: int) -> list[bytes]:
    return [consumer.recv() for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    """Looks again and again until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)

