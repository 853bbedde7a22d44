"""--message-backend=nanomsg, against peers that speak its protocol over plain sockets."""

import socket
import struct
import urllib.request
from pathlib import Path

import pytest
from components import PATIENCE_S, Component, Start, free_ports, pack, txn, until
from conftest import Mite

PUSH, PULL = 0x50, 0x51


class Peer:
    """One end of a connection: a header that names the protocol, then messages with their length in front."""

    def __init__(self, port: int, protocol: int, expected: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.sendall(b"\0SP\0" + struct.pack(">HH", protocol, 0))
        assert self._read(8) == b"\0SP\0" + struct.pack(">HH", expected, 0)

    def _read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = self.socket.recv(size - len(got))
            assert more, "the other side has gone"
            got += more
        return got

    def send(self, body: bytes) -> None:
        self.socket.sendall(struct.pack(">Q", len(body)) + body)

    def receive(self) -> bytes:
        return self._read(struct.unpack(">Q", self._read(8))[0])


@pytest.fixture(autouse=True)
def built_with_nanomsg(mite: Mite) -> None:
    if "built without nanomsg" in mite("recorder", "--message-backend=nanomsg", "--curve-key=x").stderr:
        pytest.skip("this mite was built without nanomsg")


def test_the_duplicator_speaks_nanomsg(start: Start) -> None:
    ports = free_ports(3)
    into, *outputs = [f"tcp://127.0.0.1:{port}" for port in ports]
    duplicator = Component(
        start, "duplicator", *outputs, f"--message-socket={into}", "--message-backend=nanomsg"
    )
    consumers = [Peer(port, PULL, PUSH) for port in ports[1:]]
    sender = Peer(ports[0], PUSH, PULL)
    messages = [txn(n) for n in range(500)] + [b"", bytes(100_000)]
    for message in messages:
        sender.send(message)
    for consumer in consumers:
        assert [consumer.receive() for _ in messages] == messages
    duplicator.end()


def test_duplicator_and_collector_of_ours(start: Start, tmp_path: Path) -> None:
    ports = free_ports(2)
    into, out = [f"tcp://127.0.0.1:{port}" for port in ports]
    backend = "--message-backend=nanomsg"
    collector = Component(start, "collector", f"--collector-socket={out}", f"--collector-dir={tmp_path}/data", backend)
    duplicator = Component(start, "duplicator", out, f"--message-socket={into}", backend)
    sender = Peer(ports[0], PUSH, PULL)
    for n in range(100):
        sender.send(txn(n))
    until(lambda: (tmp_path / "data" / "current").stat().st_size == sum(len(txn(n)) for n in range(100)))
    duplicator.end()
    assert "100 messages written" in collector.end()


def test_stats_and_exporter_of_ours(start: Start) -> None:
    backend = "--message-backend=nanomsg"
    into, out, told = [f"tcp://127.0.0.1:{port}" for port in free_ports(3)]
    duplicator = Component(start, "duplicator", out, f"--message-socket={into}", backend)
    stats = Component(start, "stats", f"--stats-in-socket={out}", f"--stats-out-socket={told}", backend)
    sender = Peer(int(into.rpartition(":")[2]), PUSH, PULL)
    for _ in range(100):
        sender.send(pack(type="txn", test="t", journey="j", transaction="a", had_error=False))
    exporter = Component(
        start, "prometheus_exporter", f"--stats-out-socket={told}", "--web-address=127.0.0.1:0", backend
    )
    page = exporter.said[-1].split()[-1]
    line = 'mite_transaction_total{test="t",journey="j",transaction="a",had_error="False"} 100'
    until(lambda: line in urllib.request.urlopen(page, timeout=PATIENCE_S).read().decode())
    for component in (duplicator, stats, exporter):
        component.end()


def test_an_address_in_use(start: Start, mite: Mite) -> None:
    into, out, other = [f"tcp://127.0.0.1:{port}" for port in free_ports(3)]
    Component(start, "duplicator", out, f"--message-socket={into}", "--message-backend=nanomsg")
    second = mite("duplicator", other, f"--message-socket={into}", "--message-backend=NANOMSG")
    assert second.returncode == 3
    assert f"cannot listen on {into}: the address is in use" in second.stderr


def test_there_are_no_keys(mite: Mite) -> None:
    result = mite("recorder", "--message-backend=nanomsg", "--curve-key=x")
    assert result.returncode == 2
    assert "nanomsg has none" in result.stderr


def test_a_backend_that_is_none(mite: Mite) -> None:
    result = mite("recorder", "--message-backend=kafka")
    assert result.returncode == 2
    assert "ZMQ or nanomsg is expected" in result.stderr
