"""The journeys that the bench measures."""

import asyncio
import time

from mite_http import mite_http


async def nothing(ctx):
    pass


@mite_http
async def get(ctx):
    async with ctx.transaction("get"):
        await ctx.http.get(ctx.config["url"])


@mite_http
async def ten(ctx):
    async with ctx.transaction("ten"):
        for _ in range(10):
            await ctx.http.get(ctx.config["url"])


asleep = 0


async def sleeper(ctx):
    """The last of so many says when all of them are asleep."""
    global asleep
    asleep += 1
    if asleep == int(ctx.config["sleepers"]):
        print(f"asleep {time.monotonic()}", flush=True)
    await asyncio.sleep(3600)
