"""ctx.http and @mite_http: sessions of contexts, and the http_metrics messages that they send."""

import asyncio
import inspect
import time

import acurl
import pytest
from acurl_fixtures import web  # noqa: F401
from mite.context import Context
from mite.test import http_spy, run_single_journey
from mite_http import create_http_cookie, mite_http
from web import LINE, Server


def journey_messages(journey, **config) -> "list[dict]":
    """Runs a journey on a context of its own and returns the messages that it sent."""
    messages = []
    context = Context(messages.append, config)
    asyncio.run(journey(context))
    return messages


def metrics(messages: "list[dict]") -> "list[dict]":
    return [message for message in messages if message["type"] == "http_metrics"]


def test_message(web: Server) -> None:
    @mite_http
    async def journey(ctx):
        async with ctx.transaction("shop"):
            await ctx.http.get(f"{web.url}/a?b=c")

    before = time.time()
    message, txn = journey_messages(journey)
    assert txn["type"] == "txn"
    assert (message["type"], message["method"], message["response_code"]) == ("http_metrics", "GET", 200)
    assert (message["effective_url"], message["primary_ip"]) == (f"{web.url}/a?b=c", "127.0.0.1")
    assert message["download_size"] == len(LINE)
    assert (message["transaction"], message["transaction_id"]) == (txn["transaction"], txn["transaction_id"])
    assert before - 1 < message["start_time"] < message["time"] < time.time() + 1
    times = [message[key] for key in ("connect_time", "transfer_start_time", "first_byte_time", "total_time")]
    assert times == sorted(times) and times[0] > 0
    assert message["dns_time"] >= 0 == message["tls_time"] < message["wait_time"] < 1


def test_every_context_has_http(web: Server) -> None:
    async def journey(ctx):
        session = ctx.http
        assert isinstance(session, acurl.Session) and ctx.http is session
        await ctx.http.get(f"{web.url}/cookies?a=1")
        assert ctx.http.cookies() == {"a": "1"}

    assert len(metrics(journey_messages(journey))) == 1


def test_decorator_is_a_fresh_session_for_the_call(web: Server) -> None:
    seen = []

    @mite_http
    async def helper(ctx, path, *, times=1):
        """Documented."""
        seen.append(ctx.http)
        for _ in range(times):
            await ctx.http.get(web.url + path)
        return times

    @mite_http
    async def journey(ctx):
        mine = ctx.http
        assert await helper(ctx, "/x", times=2) == 2
        assert ctx.http is mine is not seen[0]

    async def bare(ctx):
        await helper(ctx, "/y")
        assert ctx.http is not seen[-1]

    assert inspect.iscoroutinefunction(helper) and helper.__name__ == "helper" and helper.__doc__ == "Documented."
    assert len(metrics(journey_messages(journey))) == 2
    assert len(metrics(journey_messages(bare))) == 1


def test_decorator_restores_after_an_exception(web: Server) -> None:
    @mite_http
    async def helper(ctx):
        raise KeyError("x")

    async def journey(ctx):
        mine = ctx.http
        with pytest.raises(KeyError):
            await helper(ctx)
        assert ctx.http is mine

    journey_messages(journey)


def test_decorator_takes_other_objects_for_a_context(web: Server) -> None:
    class Double:
        pass

    @mite_http
    async def journey(ctx):
        return (await ctx.http.get(web.url)).status_code

    double = Double()
    assert asyncio.run(journey(double)) == 200
    assert not hasattr(double, "http")


def test_decorated_journey_under_a_spy(web: Server) -> None:
    @mite_http
    async def journey(ctx):
        await ctx.http.get(f"{web.url}/redirect/1")
        await ctx.http.post(web.url, data="a")

    result = run_single_journey({}, http_spy(journey))
    assert [response.status_code for response in result["http"]["GET"]] == [302, 200]
    assert [response.url for response in result["http"]["POST"]] == [f"{web.url}/"]
    assert len(metrics(result["messages"])) == 3


def test_decorator_refuses_what_is_not_async() -> None:
    with pytest.raises(TypeError, match="async def journey"):

        @mite_http
        def journey(ctx):
            pass


def test_redirects_are_a_message_each(web: Server) -> None:
    async def journey(ctx):
        async with ctx.transaction("shop"):
            await ctx.http.post(f"{web.url}/redirect/2", data="a")
        with pytest.raises(acurl.RequestError):
            await ctx.http.get(f"{web.url}/redirect/2", max_redirects=1)

    messages = metrics(journey_messages(journey))
    assert [(message["method"], message["response_code"]) for message in messages] == [
        *[("POST", 302), ("GET", 302), ("GET", 200)],
        *[("GET", 302), ("GET", 302)],
    ]
    assert [message["effective_url"] for message in messages[:3]] == [
        *[f"{web.url}/redirect/2", f"{web.url}/redirect/1/302", f"{web.url}/echo"]
    ]
    assert [message["wait_time"] > 0 for message in messages[:3]] == [False, False, True]
    assert len(messages) == len(web.seen)


def test_failures_send_no_message(web: Server) -> None:
    async def journey(ctx):
        for path in ("/drop", "/stall"):
            with pytest.raises(acurl.AcurlError):
                await ctx.http.get(web.url + path, timeout=0.05)

    assert metrics(journey_messages(journey)) == []


def test_transaction_is_that_of_the_start(web: Server) -> None:
    async def journey(ctx):
        async with ctx.transaction("begin"):
            task = asyncio.create_task(ctx.http.get(f"{web.url}/stall"))
            await asyncio.get_running_loop().run_in_executor(None, web.stalled.wait)
        async with ctx.transaction("end"):
            web.go_on.set()
            await task
        await ctx.http.get(web.url)

    messages = metrics(journey_messages(journey))
    assert [message["transaction"] for message in messages] == ["begin", None]


def test_concurrent_tasks_have_transactions_of_their_own(web: Server) -> None:
    async def one(ctx, name):
        async with ctx.transaction(name):
            for _ in range(3):
                await ctx.http.get(f"{web.url}/{name}")

    async def journey(ctx):
        await asyncio.gather(*[one(ctx, f"t{n}") for n in range(5)])

    for message in metrics(journey_messages(journey)):
        assert message["effective_url"].endswith("/" + message["transaction"])


def test_wait_time_is_what_the_loop_took(web: Server) -> None:
    async def journey(ctx):
        task = asyncio.create_task(ctx.http.get(f"{web.url}/stall"))
        await asyncio.get_running_loop().run_in_executor(None, web.stalled.wait)
        asyncio.get_running_loop().call_soon(web.go_on.set)
        asyncio.get_running_loop().call_soon(block)
        response = await task
        assert response.total_time < 1

    def block():
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass

    (message,) = metrics(journey_messages(journey))
    assert message["total_time"] + message["wait_time"] > 0.25


def test_cancelled_requests(web: Server) -> None:
    """What the server answered is counted once, also when nobody takes it any more."""

    async def journey(ctx):
        request = ctx.http.get(f"{web.url}/answered")
        future = request.send(None)
        future._asyncio_future_blocking = False
        await future
        request.close()

        request = ctx.http.get(f"{web.url}/dropped")
        future = request.send(None)
        future._asyncio_future_blocking = False
        await future
        del request

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ctx.http.get(f"{web.url}/stall"), 0.05)

    messages = metrics(journey_messages(journey))
    assert [message["effective_url"] for message in messages] == [f"{web.url}/answered", f"{web.url}/dropped"]


def test_response_callback(web: Server) -> None:
    async def journey(ctx):
        def callback(response, additional_metrics):
            additional_metrics["page"] = response.url.rpartition("/")[2]

        ctx.http.additional_metrics = {"shop": 7}
        ctx.http.set_response_callback(callback)
        await ctx.http.get(f"{web.url}/redirect/1")
        ctx.http.set_response_callback(None)
        ctx.http.additional_metrics = {}
        await ctx.http.get(web.url)

    messages = metrics(journey_messages(journey))
    assert [(message.get("shop"), message.get("page")) for message in messages] == [(7, "1"), (7, "echo"), (None, None)]


def test_callback_that_raises(web: Server) -> None:
    async def journey(ctx):
        ctx.http.set_response_callback(lambda response, additional_metrics: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await ctx.http.get(web.url)

    assert len(metrics(journey_messages(journey))) == 1


def test_additional_metrics_that_no_message_can_carry(web: Server) -> None:
    async def journey(ctx):
        with pytest.raises(ValueError, match="additional_metrics must be a dict, not list"):
            ctx.http.additional_metrics = []
        ctx.http.additional_metrics["when"] = object()
        with pytest.raises(TypeError, match="when"):
            await ctx.http.get(web.url)

    assert len(metrics(journey_messages(journey))) == 1


def test_create_http_cookie(web: Server) -> None:
    async def journey(ctx):
        cookie = create_http_cookie(ctx, "127.0.0.1", "sid", "abc")
        assert isinstance(cookie, acurl.Cookie) and ctx.http.cookies() == {"sid": "abc"}
        create_http_cookie(ctx, "other.example", "other", "1")
        echo = (await ctx.http.get(f"{web.url}/echo")).json()
        assert dict(echo["headers"])["Cookie"] == "sid=abc"
        await ctx.http.get(f"{web.url}/echo", cookies={"sid": acurl.Cookie("127.0.0.1", "sid", "def")})
        assert ctx.http.cookies()["sid"] == "def"

    journey_messages(journey)
