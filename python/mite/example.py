"""The example of the documents: a journey, its datapool, a volume model and the scenario of all three."""

import asyncio

from mite.datapools import RecyclableIterableDataPool


async def journey(ctx, arg1, arg2):
    async with ctx.transaction("test1"):
        ctx.send("test_message", content=ctx.config.get("test_msg", "Not set"), sum=arg1 + arg2)
        await asyncio.sleep(0.5)


datapool = RecyclableIterableDataPool([(i, i + 2) for i in range(5000)])


def volumemodel(start, end):
    return 10


def scenario():
    return [
        ["mite.example:journey", datapool, volumemodel],
    ]
