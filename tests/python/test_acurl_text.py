"""What acurl has that sends nothing: cookies, requests as they are shown, the dict of headers."""

import shlex
import time

import acurl
import pytest
from acurl import CaseInsensitiveDict, Cookie, Request, parse_cookie_string, session_cookie_for_url


def test_cookie_line_and_back() -> None:
    line = b"#HttpOnly_.shop.example\tTRUE\t/basket\tTRUE\t2145916800\tsid\tabc="
    cookie = parse_cookie_string(line)
    assert (cookie.http_only, cookie.domain, cookie.include_subdomains) == (True, ".shop.example", True)
    assert (cookie.path, cookie.is_secure, cookie.expiration) == ("/basket", True, 2145916800)
    assert (cookie.name, cookie.value, cookie.has_expired) == ("sid", "abc=", False)
    assert cookie.format() == line
    assert parse_cookie_string(line.decode() + "\n") == cookie


def test_cookie_of_a_session() -> None:
    cookie = Cookie("shop.example", "sid", "abc")
    assert cookie.format() == b"shop.example\tTRUE\t/\tFALSE\t0\tsid\tabc"
    assert not cookie.has_expired
    assert isinstance(cookie, acurl._Cookie)


def test_cookie_expires() -> None:
    assert Cookie("a.example", "n", "v", expiration=int(time.time()) - 1).has_expired
    assert not Cookie("a.example", "n", "v", expiration=int(time.time()) + 60).has_expired


@pytest.mark.parametrize("line", ["", "a\tb", "a\tTRUE\t/\tFALSE\tsoon\tn\tv"])
def test_wrong_cookie_line(line: str) -> None:
    with pytest.raises(ValueError):
        parse_cookie_string(line)


def test_cookie_cannot_break_its_line() -> None:
    with pytest.raises(ValueError, match="value"):
        Cookie("a.example", "n", "v\tTRUE")


def test_cookie_for_url() -> None:
    cookie = session_cookie_for_url("https://shop.example:8443/a/b?c=d", "n", "v")
    assert (cookie.domain, cookie.path, cookie.include_subdomains) == ("shop.example", "/", True)
    assert (cookie.http_only, cookie.is_secure, cookie.expiration) == (False, False, 0)
    cookie = session_cookie_for_url(
        "https://shop.example/a/b", "n", "v", http_only=True, include_subdomains=False, is_secure=True, include_url_path=True
    )
    assert (cookie.path, cookie.http_only, cookie.include_subdomains, cookie.is_secure) == ("/a/b", True, False, True)


def test_cookie_for_url_keeps_a_cookie() -> None:
    cookie = Cookie("other.example", "n", "v")
    assert session_cookie_for_url("http://shop.example/", "n", cookie) is cookie
    with pytest.raises(ValueError, match="host"):
        session_cookie_for_url("/no/host", "n", "v")


def test_to_curl() -> None:
    url = "http://shop.example/"
    assert Request(b"GET", url, (), (), None, None, None).to_curl() == f"curl -X GET {url}"
    whole = Request(b"POST", url, (b"Foo: bar",), (b"1=2", b"3=4"), ("u", "p"), b"a=b", None)
    assert whole.to_curl() == f"curl -X POST -d 'a=b' -H 'Foo: bar' --cookie '1=2;3=4' --user u:p {url}"


def test_to_curl_takes_cookie_file_lines() -> None:
    lines = (Cookie("shop.example", "1", "2").format(), Cookie("shop.example", "3", "4").format())
    assert "--cookie '1=2;3=4'" in Request(b"GET", "http://shop.example/", (), lines, None, None, None).to_curl()


def test_to_curl_is_safe_in_a_shell() -> None:
    url = "http://shop.example/?q=$(id)&x='"
    data = b"it's `id` $HOME"
    words = shlex.split(Request(b"POST", url, (b"A: it's",), (), ("u ser", "p'"), data, ("k y", "c")).to_curl())
    assert words == [
        *["curl", "-X", "POST", "-d", data.decode(), "-H", "A: it's", "--user", "u ser:p'"],
        *["--key", "k y", "--cert", "c", url],
    ]
    assert " --data-raw '@file' " in Request(b"POST", url, data="@file").to_curl()
    assert r" -d $'\xff\x00' " in Request(b"POST", url, data=b"\xff\x00").to_curl()


def test_request_attributes() -> None:
    request = Request(b"PUT", "http://shop.example/", (b"A: 1", b"A: 2", b"B:3"), (b"x=y=z",), ("u", "p"), "d", None)
    assert (request.method, request.url, request.data, request.auth) == (b"PUT", "http://shop.example/", "d", ("u", "p"))
    assert request.headers == {"A": "1, 2", "B": "3"}
    assert request.cookies == {"x": "y=z"}


def test_case_insensitive_dict() -> None:
    headers = CaseInsensitiveDict({"Content-Type": "text/plain"}, ETag="x")
    assert headers["content-TYPE"] == headers.get("CONTENT-type") == "text/plain"
    assert "etag" in headers and "ETag" in headers and 7 not in headers
    assert list(headers) == ["content-type", "etag"]
    assert headers == {"content-type": "text/plain", "etag": "x"} == dict(headers)
    assert headers == {"CONTENT-TYPE": "text/plain", "ETAG": "x"}
    headers["ETAG"] = "y"
    assert headers.pop("etag") == "y" and headers.get("etag") is None and headers.pop("etag", 1) == 1
    assert headers.setdefault("X-A", "1") == headers.setdefault("x-a", "2") == "1"
    del headers["X-a"]
    assert (headers | {"B": "2"})["b"] == "2" and "b" not in headers
    headers |= {"B": "2"}
    headers.update([("C", "3")], D="4")
    assert headers.copy() == headers != {} and type(headers.copy()) is CaseInsensitiveDict
    assert CaseInsensitiveDict.fromkeys("AB", 1) == {"a": 1, "b": 1}
