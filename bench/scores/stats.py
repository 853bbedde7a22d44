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

from board.cores import CLIENT
from board.goal import at_least
from board.group import Bench, Column, Group, Line, Sample
from board.nginx import free_ports
from board.process import BUILD, Failed, cpu_seconds, started

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


def first_line(process: "subprocess.Popen[str]") -> str:
    """What a component says when it is there."""
    assert process.stderr is not None
    return process.stderr.readline()


def measure(bench: Bench) -> Sample:
    times = (RATE // 5 if bench.quick else RATE * bench.seconds) // LABEL_SETS
    count, file = times * LABEL_SETS, bench.folder / "frames"
    file.write_bytes(b"".join(frame(index) for index in range(LABEL_SETS)))
    events, figures = free_ports(2)
    mite, out = str(BUILD / "mite"), f"--stats-out-socket=tcp://127.0.0.1:{figures}"
    serve = ["serve", f"tcp://127.0.0.1:{events}", str(times), str(file), str(RATE / LABEL_SETS)]
    with (
        started([str(BUILD / "bench" / "zmtp"), *serve], CLIENT, stdout=subprocess.PIPE) as peer,
        started(
            [mite, "prometheus_exporter", out, "--web-address=127.0.0.1:0"], CLIENT, stderr=subprocess.PIPE
        ) as exporter,
        started([mite, "stats", out, f"--stats-in-socket=tcp://127.0.0.1:{events}"], stderr=subprocess.PIPE) as stats,
    ):
        page = re.search(r"http://\S+", first_line(exporter))
        first_line(stats)
        assert peer.stdout is not None
        seconds = float(peer.stdout.readline())
        cost = cpu_seconds(stats)
        stats.send_signal(signal.SIGTERM)
        stats.wait()
        if not page or counted(page.group()) != count:
            assert stats.stderr is not None
            raise Failed(f"not every message was counted: {stats.stderr.read().strip()}")
    return {"rate": count / seconds, "us": cost / count * 1e6}


def groups(quick: bool) -> list[Group]:
    columns = [Column("rate", "messages/s, nothing lost", digits=0), Column("us", "CPU/message", "µs", 2)]
    line = Line(f"{LABEL_SETS:,} label sets", measure, [at_least(300_000, "messages/s")])
    return [Group("Stats, http_metrics messages", columns, [line])]
