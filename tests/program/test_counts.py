"""What is counted equals what the server saw: against nginx and its own log."""

import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import Mite, totals, wait_for_line

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
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello\\n"; }}
        location /missing {{ return 404; }}
        location /moved {{ return 302 /; }}
    }}
}}
"""

SOURCE = """
from mite_http import mite_http

@mite_http
async def visit(ctx):
    url = ctx.config["url"]
    async with ctx.transaction("pages"):
        await ctx.http.get(url + "/")
        await ctx.http.get(url + "/missing")
        await ctx.http.get(url + "/moved")
"""


class Nginx:
    def __init__(self, root: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.root = root
        self.url = f"http://127.0.0.1:{self.port}"
        (root / "nginx.conf").write_text(CONFIG.format(root=root, port=self.port))
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]
        )
        while True:
            assert self.process.poll() is None, (root / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except ConnectionRefusedError:
                continue

    def stop(self) -> int:
        """Ends it, its log flushed; how many requests it answered."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)
        return sum(1 for line in (self.root / "access.log").open() if " HTTP/" in line)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    root = tmp_path / "nginx"
    root.mkdir()
    server = Nginx(root)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(SOURCE)


def test_requests_equal_those_in_the_servers_log(mite: Mite, nginx: Nginx) -> None:
    result = mite(
        "journey", "test", "counting:visit", "--volume=20", "--iterations=500", env={"MITE_CONF_url": nginx.url}
    )
    assert result.returncode == 0, result.stderr
    seen = totals(result.stdout)
    assert seen.journeys == 500
    assert seen.requests == 2000  # a redirect hop counts
    assert nginx.stop() == 2000


def test_after_an_interrupt_the_server_saw_no_more_than_the_aborted_ones(
    start: Callable[..., "subprocess.Popen[str]"], nginx: Nginx, tmp_path: Path
) -> None:
    process = start(
        "journey", "test", "counting:visit", "--volume=50", cwd=tmp_path, env={"MITE_CONF_url": nginx.url}
    )
    wait_for_line(process.stderr, "Last 2 Secs>")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    completed = totals(out).requests
    said = re.search(r"^aborted\s+([\d,]+) request", out, re.MULTILINE)
    aborted = int(said[1].replace(",", "")) if said else 0
    assert completed > 100
    assert completed <= nginx.stop() <= completed + aborted
