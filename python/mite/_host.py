"""What the engine asks that is easier said in Python: what a user's object is, and how it wants to be called.

Everything here runs before the load, never for each journey.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any


class Refused(Exception):
    """What the user gave cannot be used; the text is the rest of a sentence."""


def hint(error: OSError) -> str:
    """What to add to the sentence about an error: the recorder's directory is easily taken for its file."""
    if not isinstance(error, IsADirectoryError) or not error.filename:
        return ""
    from glob import glob
    from os import fsdecode, path

    directory = fsdecode(error.filename)
    files = sorted(glob(path.join(directory, "*.msgpack"))) or [path.join(directory, "NAME.msgpack")]
    return f" (the records are in the files in it, such as {files[0]})"


async def result_of(value: Any) -> Any:
    """The value of what may be awaitable."""
    return await value if inspect.isawaitable(value) else value


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """None when they cannot be told."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _positional(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]


# ---- journeys ----


def _written(function: Any) -> Any:
    """The function that its author wrote, under decorators and partials; None when that is not in Python."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function):
        function = type(function).__call__
    return function if inspect.isroutine(function) and hasattr(function, "__code__") else None


def _kind(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _arguments_needed(function: Any) -> int:
    """How many arguments besides its context a journey cannot do without, as far as that is certain: a decorator that
    is not ours may give some itself."""
    while getattr(function, "_passes_arguments", None) is function:
        function = function.__wrapped__
    try:
        parameters = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return 0
    if not _positional(parameters):
        raise Refused("it takes no argument: its first one is the context")
    needed = [p for p in _positional(parameters) if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    return max(0, len(needed) - 1)


def journey(function: Any) -> tuple[Callable[..., Any], Any, int]:
    """What is called for each journey, the code that it stands in, and how many arguments it cannot do without. What is
    not in Python is taken at its word."""
    name = getattr(function, "__name__", "journey")
    if not callable(function):
        raise Refused(f"it is {_kind(function)}, not an async function")
    if inspect.isasyncgenfunction(function):
        raise Refused("it is an async generator: a journey may not yield")
    written = _written(function)
    if written and not inspect.iscoroutinefunction(written):
        raise Refused(f'it is not async: write "async def {name}(ctx, ...)"')
    called = _with_fixture(function) if getattr(function, "_fixture", None) else function
    return called, written and written.__code__, _arguments_needed(function)


_fixtures: dict[Any, Any] = {}


def _with_fixture(function: Any) -> Callable[..., Awaitable[Any]]:
    """The fixture's function runs once for all journeys with its label; its result is set on each context."""
    label, make, variable = function._fixture_label, function._fixture_func, function._fixture_variable
    parameters = _parameters(make)
    takes_context = bool(parameters and _positional(parameters))

    async def run(ctx: Any, *args: Any) -> Any:
        import asyncio

        if label not in _fixtures:
            _fixtures[label] = asyncio.ensure_future(result_of(make(ctx) if takes_context else make()))
        # One journey that is cancelled does not take the fixture away from the others.
        setattr(ctx, variable, await asyncio.shield(_fixtures[label]))
        return await function(ctx, *args)

    return run


# ---- datapools ----


def checkout(pool: Any, config: Any) -> Any:
    """Its checkout, to be called without arguments."""
    for name in ("checkout", "checkin"):
        if not callable(getattr(pool, name, None)):
            raise Refused(f"{_kind(pool)} has no {name}(): a datapool needs checkout(config) and checkin(id)")
    parameters = _parameters(pool.checkout)
    if parameters is None:
        return pool.checkout
    by_name = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    if "config" in by_name:
        return partial(pool.checkout, config=config)
    return partial(pool.checkout, config) if _positional(parameters) else pool.checkout


# ---- scenarios ----


def scenario(function: Any, config: Any, sender: Any) -> list[Any]:
    """The triplets that it gives."""
    if not callable(function):
        raise Refused(f"it is {_kind(function)}, not a function that returns triplets")
    triplets = function(**_injected(function, config, sender))
    journey = ""
    if inspect.isawaitable(triplets):
        import asyncio

        journey = "it is async, as a journey is: `mite journey test` runs one"
        try:
            triplets = asyncio.run(result_of(triplets))
        except Exception as error:
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(journey)
            raise
    if isinstance(triplets, (str, bytes, dict)) or not hasattr(triplets, "__iter__"):
        what = "a list of triplets (journey spec, datapool or None, volume model)"
        raise Refused(f"it gave {_kind(triplets)}, not {what}" + (f"; {journey}" if journey else ""))
    found: list[Any] = list(triplets)
    if not found:
        raise Refused("it gave no triplets: there is nothing to run")
    return found


def _injected(function: Any, config: Any, sender: Any) -> dict[str, Any]:
    known = {"config": config, "sender": sender}
    parameters = _parameters(function) or []
    wanted = [p for p in parameters if p.name in known]
    others = [p for p in parameters if p.name not in known and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [p for p in others if p.default is p.empty]
    if len(parameters) == 1 and needed:
        return {needed[0].name: config}
    if needed:
        raise Refused(
            f'its parameter "{needed[0].name}" is not known: a scenario may take "config" and "sender", '
            "or one parameter of any name, which gets the configuration"
        )
    return {p.name: known[p.name] for p in wanted}


# ---- message processors ----


def processor(factory: Any, options: dict[str, Any] | None) -> tuple[Any, Callable[[Any], Any], bool]:
    """The object, what is called with each message, and whether that wants bytes. Without options it gets no arguments."""
    made = factory
    if callable(factory) and options is None:
        made = factory()
    elif callable(factory):
        parameters = _parameters(factory)
        made = factory(options) if parameters is None or _positional(parameters) else factory()
    for name, raw in (("process_raw_message", True), ("process_message", False)):
        process = getattr(made, name, None)
        if callable(process):
            return made, process, raw
    raise Refused(f"{_kind(made)} has neither process_message(dict) nor process_raw_message(bytes)")
