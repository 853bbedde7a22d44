"""acurl against a server: what is sent, what comes back, what a wrong argument gets."""

import asyncio
import inspect
import json
import subprocess
import time
from collections.abc import Iterator

import acurl
import pytest
from acurl_fixtures import Run, run, web  # noqa: F401
from web import LINE, Server


def test_get(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/a?b=c#part")

    before = time.time()
    response = run(main)
    assert isinstance(response, acurl._Response)
    assert (response.status_code, response.url, response.redirect_url) == (200, f"{web.url}/a?b=c", None)
    assert (response.body, response.text, response.encoding) == (LINE, LINE.decode(), "latin1")
    assert response.header.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    assert response.headers == {"content-type": "text/plain", "content-length": str(len(LINE))}
    assert response.headers_tuple == (("Content-Type", "text/plain"), ("Content-Length", str(len(LINE))))
    assert (response.cookies, response.history, response.primary_ip) == ({}, [], "127.0.0.1")
    assert (response.download_size, response.upload_size) == (len(LINE), 0)
    assert before - 1 < response.start_time < time.time() and response.start_time % 1
    assert 0 < response.connect_time <= response.pretransfer_time <= response.starttransfer_time <= response.total_time
    assert response.appconnect_time == 0 <= response.namelookup_time
    assert repr(response) == f"<response 200 {web.url}/a?b=c>"
    assert web.seen == ["GET /a?b=c"]


def test_defaults_on_the_wire(run: Run, web: Server) -> None:
    async def main(session):
        return (await session.get(f"{web.url}/echo")).json()

    headers = run(main)["headers"]
    assert "user-agent" not in [name.lower() for name, _ in headers]
    assert ["Accept", "*/*"] in headers


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_methods(run: Run, web: Server, method: str) -> None:
    async def main(session):
        return await getattr(session, method)(f"{web.url}/echo")

    response = run(main)
    assert web.seen == [f"{method.upper()} /echo"]
    assert response.request.method == method.upper().encode()
    assert response.body == b"" if method == "head" else response.json()["method"] == method.upper()


def sent(run: Run, web: Server, method: str = "post", **arguments: object) -> "tuple[dict, str]":
    """Headers and body of a request with these arguments, as the server saw them."""

    async def main(session):
        return (await getattr(session, method)(f"{web.url}/echo", **arguments)).json()

    echo = run(main)
    return {name.lower(): value for name, value in echo["headers"]}, echo["body"]


@pytest.mark.parametrize("data", ["a=b&c=d", b"a=b&c=d"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_data(run: Run, web: Server, data: "str | bytes", method: str) -> None:
    headers, body = sent(run, web, method, data=data)
    assert body == "a=b&c=d"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_data_with_its_type(run: Run, web: Server) -> None:
    headers, body = sent(run, web, data="gr\u00fc\u00df", headers={"content-type": "text/plain"})
    assert (headers["content-type"], body.encode("latin1").decode()) == ("text/plain", "gr\u00fc\u00df")


def test_empty_data_is_a_body(run: Run, web: Server) -> None:
    headers, body = sent(run, web, data="")
    assert (headers["content-length"], body) == ("0", "")


def test_json(run: Run, web: Server) -> None:
    headers, body = sent(run, web, json={"a": [1, None, "\u00fc"]}, headers=[("X-A", "1")])
    assert (headers["content-type"], headers["x-a"]) == ("application/json", "1")
    assert json.loads(body) == {"a": [1, None, "\u00fc"]}


def test_json_keeps_the_callers_type(run: Run, web: Server) -> None:
    headers, body = sent(run, web, json=[], headers={"CONTENT-TYPE": "application/vnd.shop+json"})
    assert (headers["content-type"], body) == ("application/vnd.shop+json", "[]")


def test_large_body(run: Run, web: Server) -> None:
    assert sent(run, web, data=b"x" * 3_000_000)[1] == "x" * 3_000_000


@pytest.mark.parametrize("headers", [{"X-A": "1", "X-B": b"2"}, [("X-A", "1"), ["X-B", "2"]], acurl.CaseInsensitiveDict({"X-A": "1", "X-B": "2"})])
def test_headers(run: Run, web: Server, headers: object) -> None:
    seen, _ = sent(run, web, "get", headers=headers)
    assert (seen["x-a"], seen["x-b"]) == ("1", "2")


def test_auth(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/echo", auth=("user", "p\u00e4ss"))

    response = run(main)
    headers = dict(response.json()["headers"])
    assert headers["Authorization"] == "Basic dXNlcjpww6Rzcw=="
    assert response.request.auth == ("user", "p\u00e4ss")


def test_cookies_enter_the_jar(run: Run, web: Server) -> None:
    async def main(session):
        first = await session.get(f"{web.url}/echo", cookies={"a": "1"})
        second = await session.get(f"{web.url}/echo", cookies=(("b", "2"),))
        assert session.cookies() == second.cookies == {"a": "1", "b": "2"}
        session.erase_all_cookies()
        assert session.cookies() == {}
        third = await session.get(f"{web.url}/echo")
        return [dict(each.json()["headers"]).get("Cookie") for each in (first, second, third)], second.request.cookies

    assert run(main) == (["a=1", "a=1; b=2", None], {"a": "1", "b": "2"})


def test_cookies_of_the_server(run: Run, web: Server) -> None:
    async def main(session):
        response = await session.get(f"{web.url}/cookies?x=1&y=2")
        assert response.cookies == session.cookies() == {"x": "1", "y": "2"}
        return dict((await session.get(f"{web.url}/echo")).json()["headers"])["Cookie"]

    assert run(main) == "x=1; y=2"


def test_a_cookie_goes_to_its_own_domain(run: Run, web: Server) -> None:
    async def main(session):
        here = acurl.Cookie("127.0.0.1", "here", "1", include_subdomains=False)
        there = acurl.Cookie("other.example", "there", "2")
        response = await session.get(f"{web.url}/echo", cookies={"here": here, "there": there})
        return dict(response.json()["headers"])["Cookie"], session.cookies()

    assert run(main) == ("here=1", {"here": "1", "there": "2"})


def test_sessions_have_jars_of_their_own(run: Run, web: Server) -> None:
    async def main(session):
        other = acurl.CurlWrapper(asyncio.get_running_loop()).session()
        await session.get(f"{web.url}/cookies?x=1")
        await other.get(f"{web.url}/cookies?y=2")
        return session.cookies(), other.cookies()

    assert run(main) == ({"x": "1"}, {"y": "2"})


# ---- redirects ----


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(run: Run, web: Server, status: int) -> None:
    async def main(session):
        return await session.post(f"{web.url}/redirect/2/{status}", data="a=b")

    response = run(main)
    kept = status in (307, 308)
    method = "POST" if kept else "GET"
    assert web.seen == [f"POST /redirect/2/{status}", f"{method} /redirect/1/{status}", f"{method} /echo"]
    assert (response.url, response.status_code, response.redirect_url) == (f"{web.url}/echo", 200, None)
    assert response.json()["body"] == ("a=b" if kept else "")
    assert [hop.status_code for hop in response.history] == [status, status]
    assert [hop.url for hop in response.history] == [f"{web.url}/redirect/{n}/{status}" for n in (2, 1)]
    assert response.history[0].redirect_url == f"{web.url}/redirect/1/{status}"
    assert [len(hop.history) for hop in response.history] == [0, 1]
    assert (response.history[0].request.method, response.history[0].request.data) == (b"POST", b"a=b")
    assert response.request.data == (b"a=b" if kept else None)
    assert response.cookies == {"hop2": "yes", "hop1": "yes"}
    assert response.history[0].body == b"over there"


def test_redirects_not_followed(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/redirect/2", allow_redirects=False)

    response = run(main)
    assert (response.status_code, response.history) == (302, [])
    assert response.redirect_url == f"{web.url}/redirect/1/302"
    assert web.seen == ["GET /redirect/2"]


def test_too_many_redirects(run: Run, web: Server) -> None:
    async def main(session):
        await session.get(f"{web.url}/redirect/5")  # as many as are allowed
        with pytest.raises(acurl.RequestError, match=r"redirect.*5"):
            await session.get(f"{web.url}/redirect/6")
        with pytest.raises(acurl.RequestError):
            await session.get(f"{web.url}/redirect/1", max_redirects=0)

    run(main)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 305, 307])
def test_redirect_without_location(run: Run, web: Server, status: int) -> None:
    async def main(session):
        return await session.get(f"{web.url}/status/{status}")

    response = run(main)
    assert (response.status_code, response.redirect_url, response.history) == (status, None, [])


# ---- responses ----


def test_repeated_headers(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/headers?X-A=1&x-a=2&X-B=")

    response = run(main)
    assert response.headers["X-A"] == response.headers["x-a"] == "1, 2"
    assert response.headers["x-b"] == ""
    assert response.headers_tuple[:3] == (("X-A", "1"), ("x-a", "2"), ("X-B", ""))
    assert response.headers is response.headers


@pytest.mark.parametrize("charset", ["utf-8", "latin1", "utf-16"])
def test_charset(run: Run, web: Server, charset: str) -> None:
    async def main(session):
        return await session.get(f"{web.url}/charset/{charset}")

    response = run(main)
    assert (response.encoding, response.text) == (charset, "gr\u00fc\u00df dich")


def test_json_is_unicode(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/json")

    assert run(main).json() == {"text": "gr\u00fc\u00df dich"}


def test_body_that_is_no_json(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.raises(ValueError):
            (await session.get(web.url)).json()

    run(main)


def test_compressed_body(run: Run, web: Server) -> None:
    async def main(session):
        return await session.get(f"{web.url}/gzip")

    response = run(main)
    assert response.body == LINE * 100
    assert response.download_size < 100


def test_request_of_a_response(run: Run, web: Server) -> None:
    async def main(session):
        return await session.post(
            f"{web.url}/echo", headers={"X-A": "it's"}, cookies={"c": "d"}, auth=("u", "p"), data="a=b"
        )

    request = run(main).request
    assert isinstance(request, acurl.Request)
    assert (request.method, request.url, request.data, request.auth) == (b"POST", f"{web.url}/echo", b"a=b", ("u", "p"))
    assert (request.headers, request.cookies) == ({"X-A": "it's"}, {"c": "d"})
    assert request.to_curl() == (
        f"curl -X POST -d 'a=b' -H 'X-A: it'\"'\"'s' --cookie 'c=d' --user u:p {web.url}/echo"
    )


def test_connections_are_kept(run: Run, web: Server) -> None:
    async def main(session):
        return [await session.get(web.url) for _ in range(3)]

    assert [response.connect_time > 0 for response in run(main)] == [True, False, False]


# ---- failures ----


def test_refused(run: Run) -> None:
    with Server() as gone:
        url = gone.url

    async def main(session):
        with pytest.raises(acurl.AcurlError) as caught:
            await session.get(f"{url}/x")
        return str(caught.value)

    text = run(main)
    assert text.startswith("curl failed with code 7 Couldn't connect to server: ")
    assert f"GET {url}/x" in text and "refused" in text


def test_dropped_in_the_middle(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 18 .*: .*/drop"):
            await session.get(f"{web.url}/drop")

    run(main)


def test_no_such_host(run: Run) -> None:
    async def main(session):
        with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 6 .*: .*nowhere\.invalid"):
            await session.get("http://nowhere.invalid/")

    run(main)


@pytest.mark.parametrize("url", ["", "shop.example/a b", "http://", "gopher://shop.example/", "http://a:99999/"])
def test_bad_url(run: Run, url: str) -> None:
    async def main(session):
        with pytest.raises(acurl.AcurlError, match=r"^curl failed with code (1|3|6) "):
            await session.get(url)

    run(main)


def test_timeout(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 28 .*: .*/stall"):
            await session.get(f"{web.url}/stall", timeout=0.05)
        web.go_on.set()
        return (await session.get(web.url, timeout=float("inf"))).status_code

    assert run(main) == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[str, str]]":
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    yield cert, key


def test_certificates_are_verified(run: Run, certificate: "tuple[str, str]") -> None:
    with Server(tls=certificate) as web:

        async def main(session):
            with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 60 .*--insecure"):
                await session.get(web.url)
            with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 60 "):
                await session.get(web.url, verify=True)
            response = await session.get(web.url, verify=False)
            assert 0 < response.connect_time <= response.appconnect_time <= response.pretransfer_time
            with pytest.raises(acurl.AcurlError, match=r"^curl failed with code 60 "):
                await session.get(web.url)  # what was not verified is not taken from the pool

        run(main)
        assert web.seen == ["GET /"]


def test_unreadable_client_certificate(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.raises(acurl.AcurlError, match="no-such-file"):
            await session.get("https://127.0.0.1:1/", cert=("/no-such-file", "/no-such-file"))

    run(main)


# ---- arguments ----

WRONG = [
    ({"data": "a", "json": {}}, "data and json"),
    ({"data": {"a": "b"}}, "data must be str or bytes, not dict"),
    ({"data": 1}, "data must be"),
    ({"data": "\ud800"}, "data: .* has no UTF-8 form"),
    ({"json": {1, 2}}, "json: .*set"),
    ({"headers": "A: b"}, "headers must be a dict or pairs of text, not str"),
    ({"headers": 3}, "headers must be"),
    ({"headers": [("A",)]}, "headers must be"),
    ({"headers": {"A": 3}}, "headers must be a dict or pairs of text, not int"),
    ({"headers": {"A": None}}, "headers must be"),
    ({"headers": {"A": "b\r\nC: d"}}, "headers: "),
    ({"headers": {"A: b\r\nC": "d"}}, "headers: "),
    ({"headers": {"": "d"}}, "headers: "),
    ({"cookies": "a=b"}, "cookies must be"),
    ({"cookies": {"a": 1}}, "cookies must be"),
    ({"cookies": {"a;b": "c"}}, "cookies: "),
    ({"cookies": {"a": "b; c=d"}}, "cookies: "),
    ({"auth": "user:password"}, r"auth must be a pair of texts \(user, password\), not str"),
    ({"auth": ("user", 1)}, "auth must be"),
    ({"auth": ("user",)}, "auth must be"),
    ({"auth": (None, "password")}, "auth must be"),
    ({"cert": "file"}, "cert must be"),
    ({"cert": ("key", None)}, "cert must be"),
    ({"allow_redirects": "no"}, "allow_redirects must be True or False, not str"),
    ({"max_redirects": -1}, "max_redirects must be"),
    ({"max_redirects": "5"}, "max_redirects must be"),
    ({"max_redirects": 1 << 70}, "max_redirects must be"),
    ({"timeout": 0}, "timeout must be"),
    ({"timeout": "1"}, "timeout must be"),
    ({"timeout": float("nan")}, "timeout must be"),
    ({"verify": "ca.pem"}, "verify must be True or False, not str"),
    ({"url": b"http://127.0.0.1/"}, "url must be str, not bytes"),
    ({"url": None}, "url must be str"),
    ({"url": "http://127.0.0.1/\udc80"}, "url: .* has no UTF-8 form"),
]


@pytest.fixture
def session() -> Iterator[acurl.Session]:
    loop = asyncio.new_event_loop()
    yield acurl.CurlWrapper(loop).session()
    loop.close()


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=lambda x: repr(x)[:40] if isinstance(x, dict) else "")
def test_wrong_argument(session: acurl.Session, arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        session.post(**{"url": "http://127.0.0.1/", **arguments})


def test_wrong_call(session: acurl.Session) -> None:
    with pytest.raises(TypeError, match=r"get\(\) got an unexpected keyword argument 'jason'"):
        session.get("http://127.0.0.1/", jason={})
    with pytest.raises(TypeError, match=r"get\(\) needs a url"):
        session.get()
    with pytest.raises(TypeError, match=r"get\(\) takes 1 positional argument"):
        session.get("http://127.0.0.1/", {})
    with pytest.raises(TypeError, match=r"get\(\) got two values for url"):
        session.get("http://127.0.0.1/", url="http://127.0.0.1/")
    with pytest.raises(ValueError, match="loop must be an asyncio event loop, not int"):
        acurl.CurlWrapper(1)


def test_none_is_the_default(run: Run, web: Server) -> None:
    nothing = dict.fromkeys(["headers", "cookies", "auth", "data", "json", "cert", "timeout", "verify"])

    async def main(session):
        return await session.get(web.url, **nothing, allow_redirects=None, max_redirects=None)

    assert run(main).status_code == 200


def test_documented(session: acurl.Session) -> None:
    assert list(inspect.signature(session.get).parameters)[:3] == ["url", "headers", "cookies"]
    for thing in (acurl.Session, acurl._Response, acurl.CurlWrapper, acurl.Session.post, acurl._Response.body):
        assert thing.__doc__
