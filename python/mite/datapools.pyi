from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from typing_extensions import ParamSpec

from .exceptions import DataPoolEmptied as DataPoolEmptied
from .exceptions import DataPoolExhausted as DataPoolExhausted

_P = ParamSpec("_P")

class DataPoolItem:
    """What a datapool's checkout gives."""

    id: Any
    data: Any
    def __init__(self, id: Any, data: Any) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...

class RecyclableIterableDataPool:
    """Gives each item to one journey at a time, first in, first out, with ids from 0. All items are read at once.

    An item is free again when its journey is over.
    """

    def __init__(self, iterable: Iterable[Any]) -> None: ...
    def checkout(self, config: Any = None) -> Awaitable[DataPoolItem]: ...
    def checkin(self, id: int) -> Awaitable[None]: ...

class IterableDataPool:
    """Gives each item once, with ids from 1; after the last one its journey ends. Items are read as they are needed."""

    def __init__(self, iterable: Iterable[Any]) -> None: ...
    def checkout(self, config: Any = None) -> Awaitable[DataPoolItem]: ...
    def checkin(self, id: int) -> Awaitable[None]: ...

class SingleRunDataPool(IterableDataPool):
    """One item, with id 1 and data `(data,)`, given once."""

    def __init__(self, data: Any) -> None: ...

class SingleRunDataPoolWrapper:
    """Gives one item of another datapool, once."""

    def __init__(self, datapool: Any) -> None: ...
    async def checkout(self, config: Any = None) -> Any: ...
    async def checkin(self, id: Any) -> None: ...

def recorded(name: str, *fields: str, directory: str | None = None) -> RecyclableIterableDataPool:
    """What journeys recorded by `ctx.send("data_created", name=name, data={...})`, as a recyclable datapool."""

def iterable_datapool(function: Callable[_P, Iterable[Any]]) -> Callable[_P, IterableDataPool]:
    """Decorator: the function's items, each given once."""

def recyclable_iterable_datapool(function: Callable[_P, Iterable[Any]]) -> Callable[_P, RecyclableIterableDataPool]:
    """Decorator: the function's items, given again and again."""
