"""A server that breaks the rules, each path another one, plain or over TLS.

It answers from threads of its own; what a path does is the generator of that name below, which yields bytes to send.
"""

import contextlib
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\n"
WAIT = b""  # nothing, until the client goes


def cut() -> Iterator[bytes]:
    """Promises more than it sends."""
    yield HEAD + b"Content-Length: 100\r\n\r\nshort"


def cut_chunk() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nshort"


def cut_head() -> Iterator[bytes]:
    yield HEAD + b"Content-Le"


def silent() -> Iterator[bytes]:
    """Closes without a word."""
    yield from ()


def garbage() -> Iterator[bytes]:
    yield bytes(range(256)) * 4


def other_protocol() -> Iterator[bytes]:
    yield b"220 mail.test ESMTP\r\n"


def bad_chunk() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\nabc\r\n0\r\n\r\n"


def bad_length() -> Iterator[bytes]:
    yield HEAD + b"Content-Length: many\r\n\r\nabc"


def bad_gzip() -> Iterator[bytes]:
    yield HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain"


def endless_head() -> Iterator[bytes]:
    yield HEAD
    for n in range(100_000):
        yield b"X-%d: " % n + b"x" * 1000 + b"\r\n"


def endless_body() -> Iterator[bytes]:
    """As much as the client takes, up to 64 MiB."""
    yield HEAD + b"\r\n"
    for _ in range(1024):
        yield b"x" * 65536


def bomb() -> Iterator[bytes]:
    """64 MiB of nothing in some 64 KiB."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    yield HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def round_and_round() -> Iterator[bytes]:
    yield b"HTTP/1.1 302 Found\r\nLocation: /round_and_round\r\nContent-Length: 0\r\n\r\n"


def to_a_file() -> Iterator[bytes]:
    yield b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"


def no_location() -> Iterator[bytes]:
    """Not broken at all: nothing to follow."""
    yield b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"


def not_modified() -> Iterator[bytes]:
    yield b"HTTP/1.1 304 Not Modified\r\n\r\n"


def two_lengths() -> Iterator[bytes]:
    yield HEAD + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello"


def length_and_chunks() -> Iterator[bytes]:
    yield HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


def zero_byte() -> Iterator[bytes]:
    yield HEAD + b"X: \0\r\nContent-Length: 0\r\n\r\n"


def switch() -> Iterator[bytes]:
    """To a protocol that nobody asked for."""
    yield b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: mail\r\nConnection: Upgrade\r\n\r\n"


def bad_trailer() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nno colon\r\n\r\n"


def endless_interim() -> Iterator[bytes]:
    """Early hints, and never an answer."""
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100


def stall() -> Iterator[bytes]:
    """Stops in the middle of a body, for as long as the client waits."""
    yield HEAD + b"Content-Length: 100\r\n\r\nshort"
    yield WAIT


def drip() -> Iterator[bytes]:
    """A good answer, byte by byte."""
    for byte in HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nX: y\r\n\r\n":
        yield bytes([byte])


def two_answers() -> Iterator[bytes]:
    """One more than was asked for."""
    yield (HEAD + b"Content-Length: 2\r\n\r\nok") * 2


def reset() -> Iterator[bytes]:
    """The connection is torn down in the middle of the answer."""
    yield HEAD + b"Content-Length: 100\r\n\r\nshort"


BEHAVIOURS: dict[str, Callable[[], Iterator[bytes]]] = {
    f.__name__: f
    for f in (
        cut, cut_chunk, cut_head, silent, garbage, other_protocol, bad_chunk, bad_length, bad_gzip, endless_head,
        endless_body, bomb, round_and_round, to_a_file, no_location, not_modified, two_lengths, length_and_chunks,
        zero_byte, switch, bad_trailer, endless_interim, stall, drip, two_answers, reset,
    )
}  # fmt: skip


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: "_Server"

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client has had enough
            if self.server.tls:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            self.answer()

    def answer(self) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.request.recv(65536)
            if not more:
                return
            received += more
        name = received.split(b" ")[1].decode().lstrip("/")
        for part in BEHAVIOURS[name]():
            if part is WAIT:
                self.request.recv(1)
            self.request.sendall(part)
        if name == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
        elif isinstance(self.request, ssl.SSLSocket):
            self.request.unwrap()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None


def make_certificate(folder: Path) -> None:
    """server.crt and server.key, for 127.0.0.1, signed by itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "server.key", "-out", "server.crt"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@contextlib.contextmanager
def serve(certificate: Path | None = None) -> Iterator[str]:
    """Runs it, over TLS with the certificate of that folder; its URL, without a slash at the end."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if certificate:
            server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.tls.load_cert_chain(certificate / "server.crt", certificate / "server.key")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
