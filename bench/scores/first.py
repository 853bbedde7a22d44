"""From starting the program to the first byte of its first request at the server."""

import socket
import subprocess
import time
from collections.abc import Sequence

from board.clients import Client, Load, ab, autocannon, h2load, hey, mite, wrk
from board.cores import CLIENT, on_core
from board.goal import Goal, at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import Failed

PATIENCE_S = 20


def line(client: Client, goals: Sequence[Goal] = ()) -> Line:
    def measure(bench: Bench) -> Sample:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE_S)
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            argv = client.argv(Load(url, connections=1, seconds=PATIENCE_S, folder=bench.folder))
            with on_core(CLIENT):
                started = time.monotonic()
                process = subprocess.Popen(
                    argv,
                    cwd=bench.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            try:
                return {"ms": (first_byte(server) - started) * 1e3}
            except TimeoutError:
                raise Failed(f"{' '.join(argv)} sent nothing within {PATIENCE_S} s") from None
            finally:
                process.kill()
                process.wait()

    return Line(client.name, measure, goals, lambda bench: client.why_not())


def first_byte(server: socket.socket) -> float:
    """When it arrived. A connection that is closed without a word (h2load tries one first) is not it."""
    while True:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            if connection.recv(1):
                return time.monotonic()


def groups(quick: bool) -> list[Group]:
    lines = [
        line(mite("C", "get"), [at_most(30, "ms")]),
        line(mite("Python", "get"), [at_most(300, "ms")]),
        *(line(client) for client in (wrk(), h2load(), ab(), hey(), autocannon())),
    ]
    return [
        Group(
            "First request after the start of the program",
            [Column("ms", "first request", "ms", 1)],
            lines,
            warm_up=True,
        )
    ]
