"""The journeys that the bench measures."""

import asyncio

from mite_http import mite_http


@mite_http
async def get(ctx):
    async with ctx.transaction("get"):
        await ctx.http.get(ctx.config["url"])


async def sleeper(ctx):
    await asyncio.sleep(3600)
