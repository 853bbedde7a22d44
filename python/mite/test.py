"""For one's own tests of journeys: run one by itself, and see what it sent and what it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from ._host import checkout, result_of
from .context import Context

__all__ = ["http_spy", "run_single_journey"]

_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})


async def _run(config: dict[str, Any], journey: Callable[..., Awaitable[Any]], datapool: Any) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    name = f"{getattr(journey, '__module__', '')}:{getattr(journey, '__name__', 'journey')}"
    ids: dict[str, Any] = {"test": name, "runner_id": 1, "journey": name, "context_id": 1, "scenario_id": 1}
    item = await result_of(checkout(datapool, config)()) if datapool is not None else None
    id, data = (None, ()) if item is None else item if isinstance(item, (tuple, list)) else (item.id, item.data)
    ctx = Context(messages.append, config, id_data={**ids, "scenario_data_id": id})
    try:
        async with ctx.transaction("__root__"):
            result = await journey(ctx, *data)
    finally:
        if item is not None:
            await result_of(datapool.checkin(id))
    return {**(result if isinstance(result, dict) else {}), "messages": messages}


def run_single_journey(config: dict[str, Any], journey: Callable[..., Awaitable[Any]], datapool: Any = None) -> Any:
    """Runs a journey once, as the runner would, with one item of the datapool.

    Gives a dict: under `messages` all that it sent, and what the journey itself returned, when that is a dict. What the
    journey raises comes out. Called where an event loop runs already, it gives an awaitable of the dict.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # none; outside this block what the journey raises has nothing to do with it
        pass
    else:
        return _run(config, journey, datapool)
    return asyncio.run(_run(config, journey, datapool))


class _SpySession:
    """A session whose responses are kept, redirect hops included."""

    def __init__(self, session: Any, responses: dict[str, list[Any]]) -> None:
        self._session = session
        self._responses = responses

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._session, name)
        if name not in _METHODS:
            return attribute

        @wraps(attribute)
        async def request(*args: Any, **kwargs: Any) -> Any:
            response = await attribute(*args, **kwargs)
            for each in (*response.history, response):
                self._responses.setdefault(each.request.method.decode(), []).append(each)
            return response

        return request


def http_spy(journey: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The journey with its responses as the result: {"http": {"GET": [response, ...], ...}}."""

    @wraps(journey)
    async def spy(ctx: Any, *args: Any) -> dict[str, Any]:
        responses: dict[str, list[Any]] = {}
        plain: Any = type(ctx)

        # Decorators put sessions of their own on the context, so it is the reading that has to be seen.
        class Spied(plain):  # type: ignore[misc]
            __slots__ = ()

            @property
            def http(self) -> _SpySession:
                return _SpySession(plain.http.__get__(self), responses)

        ctx.__class__ = Spied
        try:
            await journey(ctx, *args)
        finally:
            ctx.__class__ = plain
        return {"http": responses}

    return spy
