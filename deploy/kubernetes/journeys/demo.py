"""One request a second and journey to the server at API_URL."""

import os

from mite import ensure_fixed_separation
from mite_http import mite_http


@mite_http
async def demo_req(ctx):
    async with ensure_fixed_separation(1), ctx.transaction("get"):
        await ctx.http.get(os.environ["API_URL"])


def scenario():
    return [["demo:demo_req", None, lambda start, end: 20]]
