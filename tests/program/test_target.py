"""`mite target`: every route, its limits, how it starts and how it ends."""

import gzip
import http.client
import json
import signal
import socket
import urllib.parse
from collections.abc import Iterator

import pytest


class Client:
    """One kept-alive connection to the target."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)

    def __call__(self, path: str, method: str = "GET", body: "bytes | str | None" = None, **headers: str):
        text = body.encode() if isinstance(body, str) else body
        self.connection.request(method, path, text, {k.replace("_", "-"): v for k, v in headers.items()})
        response = self.connection.getresponse()
        response.content = response.read()
        return response

    def json(self, path: str, method: str = "GET", data: object = None) -> "tuple[int, dict]":
        response = self(path, method, None if data is None else json.dumps(data))
        return response.status, json.loads(response.content)


@pytest.fixture
def client(target: str) -> Iterator[Client]:
    client = Client(target)
    yield client
    client.connection.close()


def raw(target: str, request: bytes) -> bytes:
    """What the target sends back for these bytes until it closes the connection."""
    address = urllib.parse.urlsplit(target)
    with socket.create_connection((address.hostname, address.port), timeout=10) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


def test_small_page_keeps_the_connection(client: Client) -> None:
    assert client("/").status == 200
    sock = client.connection.sock
    assert client("/").content == b"Hello from mite target\n"
    assert client.connection.sock is sock


def test_delay(client: Client) -> None:
    assert client("/delay/20").content == b"Hello from mite target\n"
    assert client("/delay/0").status == 200


@pytest.mark.parametrize("status", [200, 204, 304, 404, 418, 500, 599])
def test_status(client: Client, status: int) -> None:
    assert client(f"/status/{status}").status == status


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_bytes(client: Client, size: int) -> None:
    assert client(f"/bytes/{size}").content == b"x" * size


def test_echo(client: Client) -> None:
    response = client("/echo?a=1&b=x%20y", "PUT", "grüße", X_One="1")
    echo = json.loads(response.content)
    assert response.headers["Content-Type"] == "application/json"
    assert (echo["method"], echo["path"], echo["body"]) == ("PUT", "/echo", "grüße")
    assert echo["arguments"] == {"a": "1", "b": "x y"}
    assert echo["headers"]["X-One"] == "1"
    assert json.loads(client("/echo", "POST", b"\xff\x00").content)["body"] == {"__bytes__": "/wA="}


def test_headers_join_repeats(target: str) -> None:
    answer = raw(target, b"GET /headers HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["headers"]["X-A"] == "1, 2"


def test_cookies(client: Client) -> None:
    response = client("/cookies/set?k=v&other=2")
    assert response.headers.get_all("Set-Cookie") == ["k=v; Path=/", "other=2; Path=/"]
    assert json.loads(response.content) == {"cookies": {"k": "v", "other": "2"}}
    assert json.loads(client("/cookies", Cookie="a=1; b=2").content) == {"cookies": {"a": "1", "b": "2"}}
    assert json.loads(client("/cookies").content) == {"cookies": {}}


def test_redirect_counts_down(client: Client) -> None:
    assert client("/redirect/2").headers["Location"] == "/redirect/1"
    last = client("/redirect/1")
    assert (last.status, last.headers["Location"]) == (302, "/")


def test_gzip(client: Client) -> None:
    response = client("/gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(response.content))["compressed"] == "gzip"


def test_users(client: Client) -> None:
    user = {"username": "ann", "password": "secret"}
    assert client.json("/login", "POST", user)[0] == 401
    assert client.json("/users/create", "POST", user) == (201, {"username": "ann"})
    assert client.json("/users/create", "POST", user)[0] == 409
    assert client.json("/login", "POST", user) == (200, {"username": "ann"})
    assert client.json("/login", "POST", user | {"password": "wrong"})[0] == 401


NO_USERS = [None, [], {"username": "x"}, {"username": 1, "password": "p"}, {"username": "", "password": ""}]


@pytest.mark.parametrize("data", NO_USERS)
def test_users_refuse_what_makes_no_sense(client: Client, data: object) -> None:
    status, answer = client.json("/users/create", "POST", data)
    assert status == 400 and answer["error"]


WRONG_PATHS = {
    "/nothing": 404,
    "/delay/x": 400,
    "/delay/-1": 400,
    "/status/99": 400,
    "/bytes/9999999999": 400,
    "/login": 405,
}


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_wrong_paths(client: Client, path: str) -> None:
    assert client.json(path)[0] == WRONG_PATHS[path]


def test_drop_closes_without_an_answer(target: str) -> None:
    assert raw(target, b"GET /drop HTTP/1.1\r\nHost: a\r\n\r\n") == b""


def test_too_large_a_body_is_refused(target: str) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"
    assert raw(target, head).startswith(b"HTTP/1.1 413 ")


def test_stall_and_its_end(start) -> None:
    """Clients that wait do not keep the target from ending, and one that goes away harms nobody."""
    process = start("target")
    url = process.stdout.readline().strip()
    waiting = [Client(url) for _ in range(3)]
    for client in waiting:
        client.connection.request("GET", "/stall")
    waiting[0].connection.close()
    assert Client(url)("/").status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        waiting[1].connection.getresponse()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_as_asked(start, number: int) -> None:
    process = start("target", "--address=localhost:0")
    assert process.stdout.readline().startswith("http://")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_ipv6(start) -> None:
    process = start("target", "--address=[::1]:0")
    url = process.stdout.readline().strip()
    assert url.startswith("http://[::1]:")
    assert Client(url)("/").status == 200


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "::1:80", "no such host:80"])
def test_bad_address(mite, address: str) -> None:
    done = mite("target", f"--address={address}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and address in done.stderr


def test_port_in_use(mite, target: str) -> None:
    address = urllib.parse.urlsplit(target).netloc
    done = mite("target", f"--address={address}")
    assert done.returncode == 3
    assert done.stderr == f"mite target: cannot listen on {address}: Address already in use\n"
