"""Debian's nginx as the server under load: one worker on a core of its own, free loopback ports, and its own counts."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from board.cores import SERVER, on_core

PROGRAM = "/usr/sbin/nginx"
FILES = {"10k": 10_000, "1m": 1_000_000}

CONFIG = """\
worker_processes 1;
worker_rlimit_nofile {open_files};
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    server {{
        listen 127.0.0.1:{plain} backlog=16384;
        listen 127.0.0.1:{tls} ssl backlog=16384;
        location = /status {{ stub_status; }}
        location /files/ {{ root {folder}; }}
        location / {{ return 200 "Hello from nginx\\n"; }}
    }}
    server {{
        listen 127.0.0.1:{closing} backlog=16384;
        keepalive_timeout 0;
        location / {{ return 200 "Hello from nginx\\n"; }}
    }}
}}
"""


@dataclass(frozen=True)
class Counts:
    requests: int
    connections: int

    def __sub__(self, before: "Counts") -> "Counts":
        return Counts(self.requests - before.requests, self.connections - before.connections)


@dataclass
class Nginx:
    plain: str  # these addresses end with a slash: keep-alive,
    tls: str  # the same over TLS 1.3,
    closing: str  # and one that closes after each answer
    _questions: int = 0

    def slow(self) -> str:
        """An answer that takes some seconds: what has asked for it stays connected."""
        return f"{self.plain}slow"

    def file(self, name: str) -> str:
        return f"{self.plain}files/{name}"

    def counts(self) -> Counts:
        """What it has served so far, as it counts that itself, without our own questions.

        Waits until every client's connection is closed, so that nothing of a former client is counted with the next.
        """
        deadline = time.monotonic() + 30
        closed = False
        while not closed:
            open_connections, counts = self._look()
            closed = open_connections == 1 or time.monotonic() > deadline
            if not closed:
                time.sleep(0.01)
        return counts

    def requests_so_far(self) -> int:
        """The same in the midst of a load."""
        return self._look()[1].requests

    def _look(self) -> tuple[int, Counts]:
        """How many connections are open, this question's included, and what was served."""
        with urllib.request.urlopen(self.plain + "status") as answer:
            words = answer.read().split()
        self._questions += 1
        return int(words[2]), Counts(int(words[9]) - self._questions, int(words[7]) - self._questions)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _certificate(folder: str) -> None:
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split()
    names = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1".split()
    paths = f"-keyout {folder}/key.pem -out {folder}/certificate.pem".split()
    subprocess.run(["openssl", "req", "-x509", *key, *names, *paths], check=True, stderr=subprocess.DEVNULL)


def _files(folder: str) -> None:
    files = Path(folder, "files")
    files.mkdir()
    for name, size in FILES.items():
        (files / name).write_bytes(b"x" * size)


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise SystemExit("bench: nginx did not start; its words are above")


@contextlib.contextmanager
def nginx(open_files: int) -> Iterator[Nginx]:
    """Runs nginx, and ends it also when the bench is interrupted."""
    with tempfile.TemporaryDirectory(prefix="mite-bench-") as folder:
        os.chmod(folder, 0o755)  # its worker runs as another user
        _certificate(folder)
        _files(folder)
        plain, tls, closing = free_ports(3)
        config = Path(folder, "nginx.conf")
        values = {"folder": folder, "plain": plain, "tls": tls, "closing": closing}
        config.write_text(CONFIG.format(**values, open_files=open_files, connections=open_files - 64))
        with on_core(SERVER):
            process = subprocess.Popen(
                [PROGRAM, "-e", f"{folder}/error.log", "-c", str(config)], start_new_session=True
            )
        try:
            _wait_until_listening(process, plain)
            host = "127.0.0.1"
            yield Nginx(f"http://{host}:{plain}/", f"https://{host}:{tls}/", f"http://{host}:{closing}/")
        finally:
            process.terminate()
            process.wait()
