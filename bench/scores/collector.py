"""How many messages a second `mite collector` writes to files on disk, and what one costs it.

Its peer is the cheapest that there can be (../zmtp.c), and sends a little more than the goal asks for. Every message must be in
the files, byte for byte as long: one that is missing makes the measurement fail.
"""

import signal
import struct
import subprocess

from board.cores import CLIENT
from board.goal import at_least
from board.group import Bench, Column, Group, Line, Sample
from board.nginx import free_ports
from board.process import BUILD, Failed, cpu_seconds, started

from .duplicator import SIZE, message

RATE = 220_000
AT_ONCE = 1000  # messages in what the peer sends again and again


def measure(bench: Bench) -> Sample:
    times = (RATE // 5 if bench.quick else RATE * bench.seconds) // AT_ONCE
    count, file, folder = times * AT_ONCE, bench.folder / "frames", bench.folder / "collected"
    file.write_bytes((b"\x02" + struct.pack(">Q", SIZE) + message(SIZE)) * AT_ONCE)
    (port,) = free_ports(1)
    serve = ["serve", f"tcp://127.0.0.1:{port}", str(times), str(file), str(RATE / AT_ONCE)]
    collect = ["collector", f"--collector-socket=tcp://127.0.0.1:{port}", f"--collector-dir={folder}"]
    with (
        started([str(BUILD / "bench" / "zmtp"), *serve], CLIENT, stdout=subprocess.PIPE) as peer,
        started([str(BUILD / "mite"), *collect], stderr=subprocess.PIPE) as collector,
    ):
        assert peer.stdout is not None and collector.stderr is not None
        seconds = float(peer.stdout.readline())
        cost = cpu_seconds(collector)
        collector.send_signal(signal.SIGTERM)
        said = collector.stderr.read()
    written = sum(each.stat().st_size for each in folder.iterdir() if each.name != "current_start_time")
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    if written != count * SIZE:
        raise Failed(f"not every message was written: {said.strip()}")
    return {"rate": count / seconds, "us": cost / count * 1e6}


def groups(quick: bool) -> list[Group]:
    columns = [Column("rate", "messages/s, nothing lost", digits=0), Column("us", "CPU/message", "µs", 2)]
    line = Line("to files", measure, [at_least(200_000, "messages/s")])
    return [Group(f"Collector, {SIZE}-byte messages", columns, [line])]
