"""What `make demo` runs: visitors of a small site, for ten seconds, some of them asking for a page that is not there.

    mite target --address=127.0.0.1:8080 &
    MITE_CONF_app_url=http://127.0.0.1:8080 mite scenario test demo:scenario
"""

import random

from mite import ensure_average_separation
from mite.datapools import RecyclableIterableDataPool
from mite.volume_model import Constant, Ramp
from mite_http import mite_http

users = RecyclableIterableDataPool([(f"user{n}", "test1234") for n in range(500)])


@mite_http
async def visit(ctx):
    site = ctx.config["app_url"]
    async with ensure_average_separation(0.25):
        async with ctx.transaction("Visit"):
            async with ctx.transaction("Front page"):
                await ctx.http.get(site + "/")
            async with ctx.transaction("Search"):
                await ctx.http.get(f"{site}/delay/{random.randint(5, 40)}")
            if random.random() < 0.05:
                async with ctx.transaction("Old link"):
                    await ctx.http.get(site + "/status/404")


@mite_http
async def sign_up(ctx, username, password):
    site = ctx.config["app_url"]
    credentials = {"username": username, "password": password}
    async with ensure_average_separation(0.5):
        async with ctx.transaction("Sign up"):
            await ctx.http.post(site + "/users/create", json=credentials)
        async with ctx.transaction("Log in"):
            await ctx.http.post(site + "/login", json=credentials)


def scenario():
    return [
        ["demo:visit", None, Ramp(duration=3, frm=0) + Constant(duration=7, tps=100)],
        ["demo:sign_up", users, Constant(duration=10, tps=10)],
    ]
