"""A small HTTP/1.1 server in threads for the tests of acurl: it answers what the path says and remembers what it saw."""

import gzip
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

LINE = b"a line of text\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status=200, body=b"", headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.server.seen.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query))
        first, *self.rest = url.path.strip("/").split("/")
        getattr(self, f"path_{first}", self.path_)()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do

    def path_(self):
        self.answer(body=LINE, headers=[("Content-Type", "text/plain")])

    def path_echo(self):
        echo = {"method": self.command, "headers": self.headers.items(), "body": self.body.decode("latin1")}
        self.answer(body=json.dumps(echo).encode(), headers=[("Content-Type", "application/json")])

    def path_status(self):
        self.answer(int(self.rest[0]), headers=[("Location", url) for url in self.rest[1:]])

    def path_redirect(self):
        """/redirect/N[/STATUS]: N hops, then /echo."""
        left, status = int(self.rest[0]), int(self.rest[1]) if self.rest[1:] else 302
        there = f"/redirect/{left - 1}/{status}" if left > 1 else "/echo"
        self.answer(status, b"over there", [("Location", there), ("Set-Cookie", f"hop{left}=yes")])

    def path_cookies(self):
        """/cookies?a=1: sets them."""
        self.answer(headers=[("Set-Cookie", f"{name}={value}; Path=/") for name, value in self.query.items()])

    def path_headers(self):
        """/headers?A=1&B=2: answers with them."""
        self.answer(headers=parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def path_charset(self):
        """/charset/NAME: gr\u00fc\u00df dich in it."""
        body = "gr\u00fc\u00df dich".encode(self.rest[0])
        self.answer(body=body, headers=[("Content-Type", f'text/plain; charset="{self.rest[0]}"')])

    def path_json(self):
        self.answer(body='{"text": "gr\u00fc\u00df dich"}'.encode(), headers=[("Content-Type", "application/json")])

    def path_gzip(self):
        self.answer(body=gzip.compress(LINE * 100), headers=[("Content-Encoding", "gzip")])

    def path_stall(self):
        """Answers once the test lets it."""
        self.server.stalled.set()
        self.server.go_on.wait(30)
        self.answer(body=LINE)

    def path_drop(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []  # "GET /path", in order
        self.stalled, self.go_on = threading.Event(), threading.Event()
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.go_on.set()
        self.shutdown()
        self.server_close()
