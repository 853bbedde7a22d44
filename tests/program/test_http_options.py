"""What the HTTP options of the command line mean, seen from a server."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import Mite, free_port, totals

JOURNEY = """
from mite_http import mite_http

@mite_http
async def visit(ctx):
    verify = ctx.config.get("verify")
    await ctx.http.get(ctx.config["url"], **({} if verify is None else {"verify": verify == "yes"}))
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: "list[tuple[str, dict[str, str]]]"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls: "ssl.SSLContext | None" = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.port = self.server_address[1]
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *args: object) -> None:
        """A client that does not trust us is no news."""


def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def plain() -> Iterator[Server]:
    yield from serving(Server())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key beside it."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return path


@pytest.fixture
def tls(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    yield from serving(Server(context))


@pytest.fixture
def visit(mite: Mite, tmp_path: Path) -> Mite:
    """Runs the journey against a URL twice, with these options; the completed process."""
    (tmp_path / "shop.py").write_text(JOURNEY)

    def run(url: str, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return mite(
            "journey", "test", "shop:visit", "--iterations=2", "--no-collector", *options,
            env={"MITE_CONF_url": url, **env},
        )  # fmt: skip

    return run


def succeeded(result: "subprocess.CompletedProcess[str]") -> None:
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout)[:3] == (2, 0, 2)


def failed(result: "subprocess.CompletedProcess[str]", *parts: str) -> None:
    assert result.returncode == 1, result.stderr
    assert totals(result.stdout)[:3] == (0, 2, 2)
    for part in parts:
        assert part in " ".join(result.stdout.split())


def test_a_request_has_no_header_that_nobody_asked_for(visit: Mite, plain: Server) -> None:
    succeeded(visit(f"http://127.0.0.1:{plain.port}/a?b"))
    assert plain.asked == [("/a?b", {"Host": f"127.0.0.1:{plain.port}", "Accept": "*/*"})] * 2


def test_certificates_are_verified(visit: Mite, tls: Server) -> None:
    url = f"https://127.0.0.1:{tls.port}/"
    failed(visit(url), "curl failed with code 60", "is not trusted", "--ca-file", "--insecure", "verify=False")
    assert tls.asked == []


def test_ca_file(visit: Mite, tls: Server, certificate: Path) -> None:
    succeeded(visit(f"https://127.0.0.1:{tls.port}/", f"--ca-file={certificate}"))


def test_insecure_and_verify(visit: Mite, tls: Server) -> None:
    url = f"https://127.0.0.1:{tls.port}/"
    succeeded(visit(url, "--insecure"))
    succeeded(visit(url, MITE_CONF_verify="no"))
    failed(visit(url, "--insecure", MITE_CONF_verify="yes"), "is not trusted")


def test_resolve(visit: Mite, plain: Server) -> None:
    succeeded(visit(f"http://shop.test:{plain.port}/", f"--resolve=shop.test:{plain.port}:127.0.0.1"))
    assert plain.asked[0][1]["Host"] == f"shop.test:{plain.port}"


def test_proxy_from_the_environment(visit: Mite, plain: Server) -> None:
    proxy = f"http://127.0.0.1:{plain.port}"
    succeeded(visit("http://shop.test/x", http_proxy=proxy))
    assert plain.asked[0][0] == "http://shop.test/x"
    failed(visit(f"http://127.0.0.1:{free_port()}/", http_proxy=proxy, no_proxy="127.0.0.1"), "connection refused")


def test_a_proxy_that_is_not_there_is_named(visit: Mite, plain: Server) -> None:
    port = free_port()
    result = visit(f"http://127.0.0.1:{plain.port}/", http_proxy=f"http://127.0.0.1:{port}")
    failed(result, f"connection refused: Failed to connect to 127.0.0.1 port {port} ")
    failed(result, "(the environment names a proxy)")


def test_timeouts(visit: Mite, target: str) -> None:
    failed(visit(f"{target}/stall", "--timeout=0.1"), "/stall: no answer within 0.1 s")


def test_max_body_size(visit: Mite, target: str) -> None:
    succeeded(visit(f"{target}/bytes/1000", "--max-body-size=1000"))
    failed(visit(f"{target}/bytes/1001", "--max-body-size=1000"), "larger than 1000 bytes (--max-body-size)")
