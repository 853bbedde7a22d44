"""Small things that components share."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from _mite import pack as pack_msg
from _mite import unpack as unpack_msg

__all__ = ["pack_msg", "sleep", "spec_import", "unpack_msg"]


def spec_import(spec: str) -> Any:
    """The object that "package.module:name" names."""
    module, colon, name = spec.rpartition(":")
    if not colon or not module or not name:
        raise ValueError(f'"{spec}" is no spec: write MODULE:NAME, such as mite.example:journey')
    return getattr(import_module(module), name)


async def sleep(seconds: float) -> None:
    """asyncio.sleep()."""
    import asyncio

    await asyncio.sleep(seconds)
