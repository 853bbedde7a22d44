"""Datapools: what gives each journey its arguments.

A datapool is any object with `checkout(config)`, which gives an item with `.id` and `.data` (or None: nothing free
now), and `checkin(id)`, both plain or async. `data` is a tuple or list, the journey's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from _mite import DataPoolItem, IterableDataPool, RecyclableIterableDataPool

from .exceptions import DataPoolEmptied, DataPoolExhausted

__all__ = [
    "DataPoolEmptied",
    "DataPoolExhausted",
    "DataPoolItem",
    "IterableDataPool",
    "RecyclableIterableDataPool",
    "SingleRunDataPool",
    "SingleRunDataPoolWrapper",
    "iterable_datapool",
    "recorded",
    "recyclable_iterable_datapool",
]


class SingleRunDataPool(IterableDataPool):
    """One item, with id 1 and data `(data,)`, given once."""

    def __init__(self, data: Any) -> None:
        super().__init__([(data,)])


class SingleRunDataPoolWrapper:
    """Gives one item of another datapool, once."""

    def __init__(self, datapool: Any) -> None:
        self._datapool = datapool
        self._used = False

    async def checkout(self, config: Any = None) -> Any:
        from ._host import checkout, result_of

        if self._used:
            raise DataPoolExhausted("the one item of this run has been used")
        item = await result_of(checkout(self._datapool, config)())
        self._used = item is not None
        return item

    async def checkin(self, id: Any) -> None:
        from ._host import result_of

        await result_of(self._datapool.checkin(id))


class _Recorded(RecyclableIterableDataPool):
    """Reads its file when the first item is asked for."""

    def __init__(self, directory: str | None, name: str, fields: tuple[str, ...]) -> None:
        super().__init__(())
        self._source: tuple[str | None, str, tuple[str, ...]] | None = (directory, name, fields)

    def checkout(self, config: Any = None) -> Any:
        if self._source is not None:
            directory, name, fields = self._source
            super().__init__(_read_records(Path(directory or _recorder_dir()) / f"{name}.msgpack", fields))
            self._source = None
        return super().checkout(config)


def _recorder_dir() -> str:
    older = Path("recorder-data").is_dir() and not Path("recorder_data").is_dir()
    return "recorder-data" if older else "recorder_data"


def _read_records(path: Path, fields: tuple[str, ...]) -> list[tuple[Any, ...]]:
    import msgpack

    rows: list[tuple[Any, ...]] = []
    try:
        file = open(path, "rb")
    except FileNotFoundError as error:
        what = "nothing is recorded here yet, run the scenario that creates it first"
        raise FileNotFoundError(error.errno, what, str(path)) from None
    with file:
        for number, record in enumerate(msgpack.Unpacker(file, raw=False, use_list=False), 1):
            missing = [field for field in fields if field not in record]
            if missing:
                there = ", ".join(map(repr, record))
                raise KeyError(f"record {number} of {path} has no {missing[0]!r}, only {there}")
            rows.append(tuple(record[field] for field in fields))
    return rows


def recorded(name: str, *fields: str, directory: str | None = None) -> RecyclableIterableDataPool:
    """What journeys recorded by `ctx.send("data_created", name=name, data={...})`, as a recyclable datapool.

    Each item holds the named fields of one record, in that order. The file is `NAME.msgpack` in `directory`, by default
    the one that the recorder writes to (recorder_data, or recorder-data where only that exists). It is read at the
    first checkout, so that the journeys that create and the ones that use the data can stand in one file.
    """
    if not fields:
        raise ValueError("recorded() needs the names of the fields that become the journey's arguments")
    return _Recorded(directory, name, fields)


def iterable_datapool(function: Callable[..., Iterable[Any]]) -> Callable[..., IterableDataPool]:
    """Decorator: the function's items, each given once."""

    @wraps(function)
    def make(*args: Any, **kwargs: Any) -> IterableDataPool:
        return IterableDataPool(function(*args, **kwargs))

    return make


def recyclable_iterable_datapool(function: Callable[..., Iterable[Any]]) -> Callable[..., RecyclableIterableDataPool]:
    """Decorator: the function's items, given again and again."""

    @wraps(function)
    def make(*args: Any, **kwargs: Any) -> RecyclableIterableDataPool:
        return RecyclableIterableDataPool(function(*args, **kwargs))

    return make
