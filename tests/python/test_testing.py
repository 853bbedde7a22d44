"""mite.test, mite.test_context and the two separations."""

import asyncio

import pytest

import mite
from mite import MiteError, ensure_average_separation, ensure_fixed_separation
from mite.datapools import RecyclableIterableDataPool
from mite.test import http_spy, run_single_journey
from mite_http import mite_http


async def adds(ctx, a, b):
    async with ctx.transaction("add"):
        await ctx.send("sum", value=a + b, unit=ctx.config["unit"])


def test_run_single_journey():
    pool = RecyclableIterableDataPool([(1, 2)])
    for _ in range(2):  # the item is given back
        result = run_single_journey({"unit": "apples"}, adds, pool)
        assert [m["type"] for m in result["messages"]] == ["sum", "txn", "txn"]
        assert result["messages"][0]["value"] == 3
        assert result["messages"][0]["unit"] == "apples"
        assert result["messages"][0]["scenario_data_id"] == 0
        assert [m["transaction"] for m in result["messages"]] == ["__root__ :: add", "__root__ :: add", "__root__"]


def test_run_single_journey_in_a_running_loop():
    async def check():
        return await run_single_journey({"unit": "x"}, adds, RecyclableIterableDataPool([(1, 2)]))

    assert len(asyncio.run(check())["messages"]) == 3


def test_what_a_single_journey_raises_comes_out():
    async def fails(ctx):
        raise MiteError("no stock")

    with pytest.raises(MiteError):
        run_single_journey({}, fails)


def test_what_a_single_journey_returns_is_in_the_result():
    async def gives(ctx):
        return {"found": 3}

    result = run_single_journey({}, gives)
    assert result["found"] == 3
    assert [m["type"] for m in result["messages"]] == ["txn"]


def test_http_spy(target):
    @mite_http
    async def visit(ctx):
        await ctx.http.get(ctx.config["url"] + "/redirect/1")
        await ctx.http.post(ctx.config["url"] + "/echo", data="x")

    result = run_single_journey({"url": target}, http_spy(visit))
    assert {method: [r.status_code for r in responses] for method, responses in result["http"].items()} == {
        "GET": [302, 200],
        "POST": [200],
    }
    assert [m["type"] for m in result["messages"]].count("http_metrics") == 3


def test_http_spy_of_the_default_session(target):
    async def visit(ctx):
        await ctx.http.get(ctx.config["url"] + "/")

    assert len(run_single_journey({"url": target}, http_spy(visit))["http"]["GET"]) == 1


def test_test_context():
    ctx = mite.test_context(url="x")
    ctx.send("note")
    assert ctx.config == {"url": "x"}
    assert [message["type"] for message in ctx.messages] == ["note"]


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self, monkeypatch):
        self.now, self.early, self.slept = 50.0, 0.0, []
        monkeypatch.setattr("mite.time.monotonic", lambda: self.now)
        monkeypatch.setattr("asyncio.sleep", self.sleep)

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds - self.early
        self.early = 0.0


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.mark.parametrize(("took", "rest"), [(0.25, 0.75), (1.5, 0)])
def test_fixed_separation(clock, took, rest):
    async def journey():
        async with ensure_fixed_separation(1):
            clock.now += took

    asyncio.run(journey())
    assert clock.slept == [rest]


def test_a_separation_is_never_shorter(clock):
    """Loops that count whole milliseconds wake who sleeps a little too early."""

    async def journey():
        async with ensure_fixed_separation(1):
            clock.early = 0.0004

    asyncio.run(journey())
    assert clock.slept == [1, 0.001]


def test_separation_after_an_exception(clock):
    async def journey():
        async with ensure_fixed_separation(1):
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(journey())
    assert clock.slept == [1]


@pytest.mark.parametrize(("arguments", "least", "most"), [((4,), 3, 5), ((4, 0.5), 3.5, 4.5), ((4, 0), 4, 4)])
def test_average_separation(clock, arguments, least, most):
    async def journey():
        async with ensure_average_separation(*arguments):
            pass

    for _ in range(50):
        asyncio.run(journey())
    assert all(least <= seconds <= most for seconds in clock.slept)
    assert most == least or len(set(clock.slept)) > 1


def test_a_cancelled_journey_does_not_wait_out_its_separation(clock):
    async def journey():
        async with ensure_fixed_separation(60):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(journey())
    assert clock.slept == []


def test_memory_tracing_looks_every_minute(capfd):
    from mite._memory import Trace

    class Loop:
        calls = []

        def call_later(self, seconds, look, loop):
            self.calls.append((seconds, look))

    loop = Loop()
    trace = Trace()
    trace.begin(loop)
    kept = [bytes(1000) for _ in range(1000)]
    loop.calls[0][1](loop)
    err = capfd.readouterr().err
    assert "Largest allocation differences since the start:" in err
    assert "Largest allocation differences since the last look:" in err
    assert "test_testing.py" in err
    assert [seconds for seconds, _ in loop.calls] == [60, 60]
    assert kept
    trace._timer = None
    trace.stop()
