"""mite har: from a recorded session to a journey."""

import asyncio
import json

import pytest

from mite.har_to_mite import har_to_journey


def entry(method, url, at, **request):
    return {"startedDateTime": f"2024-05-01T10:00:{at:06.3f}Z", "request": {"method": method, "url": url, **request}}


def har(*entries):
    return {"log": {"version": "1.2", "entries": list(entries)}}


SESSION = har(
    entry(
        "GET", "http://shop/", 0, headers=[{"name": ":path", "value": "/"}, {"name": "Accept", "value": "text/html"}]
    ),
    entry("get", "data:image/png;base64,x", 0.1),
    entry(
        "POST",
        "http://shop/login?next=%2F",
        1.5,
        headers=[{"name": "Content-Type", "value": "application/json"}, {"name": "Host", "value": "shop"}],
        postData={"mimeType": "application/json", "text": '{"user": "ann"}'},
    ),
    entry("POST", "http://shop/form", 2, postData={"params": [{"name": "a", "value": "1 2"}]}),
)


class Http:
    def __init__(self, calls):
        self.calls = calls

    def __getattr__(self, method):
        async def call(url, **kwargs):
            self.calls.append((method, url, kwargs))

        return call


def run(source, monkeypatch):
    """The requests of the journey, and how long it slept between them."""
    from mite.context import Context

    calls, slept, sent, names = [], [], [], {}

    async def sleep(seconds):
        slept.append(seconds)

    exec(compile(source, "journey.py", "exec"), names)
    monkeypatch.setattr("asyncio.sleep", sleep)
    ctx = Context(sent.append, {})
    ctx.http = Http(calls)
    asyncio.run(names["journey"].__wrapped__(ctx))
    return calls, slept, [message["transaction"] for message in sent]


def test_requests(monkeypatch):
    calls, slept, transactions = run(har_to_journey(SESSION), monkeypatch)
    assert calls == [
        ("get", "http://shop/", {"headers": {"Accept": "text/html"}}),
        (
            "post",
            "http://shop/login?next=%2F",
            {"headers": {"Content-Type": "application/json"}, "data": '{"user": "ann"}'},
        ),
        ("post", "http://shop/form", {"data": "a=1+2"}),
    ]
    assert slept == [1, 1]
    assert transactions == ["GET /", "POST /login", "POST /form"]


def test_sleep_times(monkeypatch):
    assert run(har_to_journey(SESSION, 0.25), monkeypatch)[1] == [0.25, 0.25]
    assert run(har_to_journey(SESSION, 0), monkeypatch)[1] == [1.5, 0.5]


def test_text_cannot_become_code(monkeypatch):
    evil = har(entry("GET", "http://shop/'\"\n__import__('os')", 0))
    assert run(har_to_journey(evil), monkeypatch)[0] == [("get", "http://shop/'\"\n__import__('os')", {})]


def test_the_command(mite, tmp_path):
    (tmp_path / "in.har").write_text("\ufeff" + json.dumps(SESSION))
    result = mite("har", "in.har", "out.py", "--sleep-time=2")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.py").read_text() == har_to_journey(SESSION, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no JSON object"),
        ("{}", "it has no 'log' that is an object"),
        ('{"log": {"entries": 3}}', "its log has no 'entries' that is a list"),
        ('{"log": {"entries": []}}', "there is no HTTP request in it"),
        ('{"log": {"entries": [{}]}}', "entry 1 has no 'request' that is an object"),
        (json.dumps(har(entry("TRACE", "http://x/", 0))), "entry 1 is a TRACE"),
        (json.dumps(har({**entry("GET", "http://x/", 0), "startedDateTime": "noon"})), "entry 1 began at no time"),
    ],
)
def test_what_is_no_har(mite, tmp_path, text, sentence):
    (tmp_path / "in.har").write_text(text)
    result = mite("har", "in.har", "out.py")
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert not (tmp_path / "out.py").exists()


def test_a_har_that_is_not_there(mite):
    result = mite("har", "in.har", "out.py")
    assert result.returncode == 2
    assert 'HAR file "in.har": No such file or directory' in result.stderr
