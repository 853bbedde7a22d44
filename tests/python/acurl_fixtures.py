"""Fixtures of the tests that send requests: a server, and a way to run a coroutine on each kind of event loop."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator

import acurl
import pytest
from web import Server

Run = Callable[[Callable[[acurl.Session], Coroutine]], object]


@pytest.fixture
def web() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs `async def main(session)` in a new event loop and returns its result."""
    module = asyncio if request.param == "asyncio" else pytest.importorskip("uvloop")

    def run_in_new_loop(main: Callable[[acurl.Session], Coroutine]) -> object:
        loop = module.new_event_loop()
        try:
            return loop.run_until_complete(main(acurl.CurlWrapper(loop).session()))
        finally:
            loop.close()

    return run_in_new_loop
