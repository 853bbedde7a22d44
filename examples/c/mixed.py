"""The Python half of mixed.c."""

import asyncio

from mite.datapools import RecyclableIterableDataPool
from mite.volume_model import Constant

numbers = RecyclableIterableDataPool([(1,), (2,)])


async def in_python(ctx, name):
    async with ctx.transaction("in Python"):
        ctx.send("greeting", **{"from": "Python", "to": name})
        await asyncio.sleep(0.1)


def scenario():
    return [("mixed.c:in_c", numbers, Constant(duration=2, tps=1)), ("mixed:in_python", numbers, Constant(2, 1))]
