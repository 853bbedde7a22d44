"""A real nginx for tests, whose log tells how many requests it answered."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import free_port

CONFIG = """
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {root}/access.log;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    keepalive_requests 100000;
    server {{
        listen {address}:{port};
        location / {{ return 200 "hello\\n"; }}
        location /missing {{ return 404; }}
        location /moved {{ return 302 /; }}
    }}
}}
"""


class Nginx:
    """nginx with its files in `root`, on this machine or on a test host: its address, and what runs a command there."""

    def __init__(
        self, root: Path, address: str = "127.0.0.1", on: Callable[[list[str]], list[str]] = lambda argv: argv
    ) -> None:
        root.mkdir(exist_ok=True)
        self.port = free_port()
        self.root = root
        self.url = f"http://{address}:{self.port}"
        (root / "nginx.conf").write_text(CONFIG.format(root=root, address=address, port=self.port))
        argv = ["/usr/sbin/nginx", "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]
        self.process = subprocess.Popen(on(argv))
        while not (root / "nginx.pid").exists():  # written once it listens
            assert self.process.poll() is None, (root / "error.log").read_text()

    def stop(self) -> int:
        """Ends it, its log flushed; how many requests it answered."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)
        return sum(1 for line in (self.root / "access.log").open() if " HTTP/" in line)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    server = Nginx(tmp_path / "nginx")
    yield server
    server.stop()
