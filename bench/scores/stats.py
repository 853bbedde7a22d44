"""How many messages a second `mite stats` counts, with 1,000 label sets, and what one costs it.

Its peer is the cheapest that there can be (../zmtp.c), and sends a little more than the goal asks for. Every message must arrive in the
exporter's sums: one that is missing makes the figure zero.
"""

import re
import signal
import struct
import subprocess
import urllib.request
from collections.abc import Iterator

from board.goal import at_least
from board.group import Bench, Column, Group, Line, Sample
from board.process import BUILD, Failed

from .duplicator import cpu_seconds, free_ports

LABEL_SETS = 1000
RATE = 330_000


def text(value: str) -> bytes:
    raw = value.encode()
    return bytes([0xD9, len(raw)]) + raw


def number(value: float) -> bytes:
    return b"\xcb" + struct.pack(">d", value)


def fields(index: int) -> Iterator[tuple[str, bytes]]:
    """What a runner of ours sends of a request, as it sends it."""
    yield "start_time", number(1700000000.25)
    yield "effective_url", text(f"http://shop.example.com:8080/catalogue/item/{index}")
    yield "response_code", b"\xcd" + struct.pack(">H", 200)
    for name in ("dns_time", "connect_time", "tls_time", "transfer_start_time", "first_byte_time"):
        yield name, number(0.0001)
    yield "total_time", number(0.0003 * (index % 100 + 1))
    yield "wait_time", number(0.00001)
    yield "primary_ip", text("192.0.2.17")
    yield "method", text("GET")
    yield "download_size", number(5120.0)
    yield "type", text("http_metrics")
    yield "time", number(1700000000.5)
    yield "test", text("shop:scenario")
    yield "runner_id", b"\x01"
    yield "journey", text("shop:browse")
    yield "context_id", b"\xce" + struct.pack(">I", 100000 + index)
    yield "scenario_id", b"\x01"
    yield "scenario_data_id", b"\x07"
    yield "transaction", text(f"__root__ :: browse :: page number {index}")
    yield "transaction_id", b"\x03"


def frame(index: int) -> bytes:
    """One message with its head of ZMTP."""
    pairs = [text(name) + value for name, value in fields(index)]
    body = b"\xde" + struct.pack(">H", len(pairs)) + b"".join(pairs)
    return b"\x02" + struct.pack(">Q", len(body)) + body


def counted(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("mite_http_response_total{"))


def start(*args: str) -> "tuple[subprocess.Popen[str], str]":
    """A component, and what it says when it is there."""
    process = subprocess.Popen([str(BUILD / "mite"), *args], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    return process, process.stderr.readline()


def measure(bench: Bench) -> Sample:
    times = (RATE // 5 if bench.quick else RATE * bench.seconds) // LABEL_SETS
    count, file = times * LABEL_SETS, bench.folder / "frames"
    file.write_bytes(b"".join(frame(index) for index in range(LABEL_SETS)))
    events, figures = free_ports(2)
    out = f"--stats-out-socket=tcp://127.0.0.1:{figures}"
    peer = subprocess.Popen(
        [
            str(BUILD / "bench" / "zmtp"),
            "serve",
            "127.0.0.1",
            str(events),
            str(times),
            str(file),
            str(RATE / LABEL_SETS),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    exporter, said = start("prometheus_exporter", out, "--web-address=127.0.0.1:0")
    stats, _ = start("stats", out, f"--stats-in-socket=tcp://127.0.0.1:{events}")
    try:
        assert peer.stdout is not None
        seconds = float(peer.stdout.readline())
        cost = cpu_seconds(stats)
        stats.send_signal(signal.SIGTERM)
        goodbye = stats.communicate()[1]
        found = re.search(r"http://\S+", said)
        assert found, said
        whole = counted(found.group()) == count
    finally:
        for process in (stats, exporter, peer):
            process.kill()
            process.wait()
    if not whole:
        raise Failed(f"not every message was counted: {goodbye.strip()}")
    return {"rate": count / seconds, "us": cost / count * 1e6}


def groups(quick: bool) -> list[Group]:
    columns = [Column("rate", "messages/s, nothing lost", digits=0), Column("us", "CPU/message", "µs", 2)]
    line = Line(f"{LABEL_SETS:,} label sets", measure, [at_least(300_000, "messages/s")])
    return [Group("Stats, http_metrics messages", columns, [line])]
