"""Debian's nginx as the server under load: one worker, keep-alive, `return 200`, on a free loopback port."""

import contextlib
import os
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /status {{ stub_status; }}
        location / {{ return 200 "Hello from nginx\\n"; }}
    }}
}}
"""


@dataclass
class Nginx:
    url: str

    def requests(self) -> int:
        """How many requests it has served so far, as it counts them itself, without those that ask for this."""
        with urllib.request.urlopen(self.url + "status") as answer:
            served = int(answer.read().split()[9])
        self._asked += 1
        return served - self._asked

    _asked: int = 0


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
    raise SystemExit("bench: nginx did not start; its words are above")


@contextlib.contextmanager
def nginx() -> Iterator[Nginx]:
    """Runs nginx, and ends it also when the bench is interrupted."""
    with tempfile.TemporaryDirectory(prefix="mite-bench-") as folder:
        port = _free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(CONFIG.format(folder=folder, port=port))
        os.chmod(folder, 0o755)  # its worker runs as another user
        process = subprocess.Popen(
            ["/usr/sbin/nginx", "-e", f"{folder}/error.log", "-c", str(config)], start_new_session=True
        )
        try:
            _wait_until_listening(process, port)
            yield Nginx(f"http://127.0.0.1:{port}/")
        finally:
            process.terminate()
            process.wait()
