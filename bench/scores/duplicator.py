"""How many messages a second a duplicator passes on to two consumers, and what one costs it.

Its peers are the cheapest that there can be (../zmtp.c); the load is steady, a little above the goal. What a consumer gets is
counted by the consumer, and a message that is missing makes the figure zero. Over ipc it pays for its own part; over tcp on one
machine whoever sends also does the receiver's part of TCP, twice for each message here.
"""

import contextlib
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from board.cores import CLIENT
from board.goal import at_least
from board.group import Bench, Column, Group, Line, Sample
from board.nginx import free_ports
from board.process import BUILD, Failed, cpu_seconds, run, started

SIZE = 400
RATE = 510_000


def message(size: int) -> bytes:
    """A msgpack map of that many bytes: {"type": "http_metrics", "pad": ...}."""
    head = b"\x82\xa4type\xachttp_metrics\xa3pad\xc5"
    return head + struct.pack(">H", size - len(head) - 2) + bytes(size - len(head) - 2)


def tcp(folder: Path) -> list[str]:
    return [f"tcp://127.0.0.1:{port}" for port in free_ports(3)]


def ipc(folder: Path) -> list[str]:
    return [f"ipc://{folder}/{name}" for name in ("in", "out1", "out2")]


def line(name: str, addresses: Callable[[Path], list[str]]) -> Line:
    def measure(bench: Bench) -> Sample:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            return passed_on(bench, Path(folder), addresses(Path(folder)))

    return Line(name, measure, [at_least(500_000, "messages/s")])


def passed_on(bench: Bench, folder: Path, addresses: list[str]) -> Sample:
    count = RATE // 5 if bench.quick else RATE * bench.seconds
    peer, file = str(BUILD / "bench" / "zmtp"), folder / "message"
    file.write_bytes(message(SIZE))
    command = [str(BUILD / "mite"), "duplicator", *addresses[1:], f"--message-socket={addresses[0]}"]
    with started(command, stderr=subprocess.PIPE) as duplicator, contextlib.ExitStack() as consumers:
        assert duplicator.stderr is not None
        duplicator.stderr.readline()  # it listens
        pulls = [
            consumers.enter_context(started([peer, "pull", address, str(count)], CLIENT, subprocess.PIPE))
            for address in addresses[1:]
        ]
        run([peer, "push", addresses[0], str(count), str(file), str(RATE)], folder)
        results = [pull.communicate()[0].split() for pull in pulls]
        cost = cpu_seconds(duplicator)
    got = [int(words[0]) for words in results]
    if min(got) == 0:
        raise Failed("a consumer of the duplicator got nothing")
    whole = min(got) == count
    return {"rate": count / max(float(words[1]) for words in results) if whole else 0.0, "us": cost / count * 1e6}


def groups(quick: bool) -> list[Group]:
    columns = [Column("rate", "messages/s, nothing lost", digits=0), Column("us", "CPU/message", "µs", 2)]
    lines = [line("one in, two out, ipc", ipc), line("one in, two out, tcp", tcp)]
    return [Group(f"Duplicator, {SIZE}-byte messages", columns, lines)]
