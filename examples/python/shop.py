"""A small shop: sign up and log in, look at pages, with a check of one's own.

    mite target --address=127.0.0.1:8080 &
    MITE_CONF_app_url=http://127.0.0.1:8080 mite scenario test shop:scenario
"""

from mite import MiteError, ensure_fixed_separation
from mite.datapools import RecyclableIterableDataPool
from mite.volume_model import Constant, Ramp
from mite_http import mite_http

users = RecyclableIterableDataPool([(f"user{n}", "test1234") for n in range(1000)])


@mite_http
async def sign_up(ctx, username, password):
    async with ctx.transaction("Sign up"):
        credentials = {"username": username, "password": password}
        await ctx.http.post(ctx.config["app_url"] + "/users/create", json=credentials)
        response = await ctx.http.post(ctx.config["app_url"] + "/login", json=credentials)
        if response.status_code != 200:
            raise MiteError("login refused", status=response.status_code)


@mite_http
async def browse(ctx):
    # One visit a second for each virtual user, however long the pages take.
    async with ensure_fixed_separation(1):
        async with ctx.transaction("Browse"):
            async with ctx.transaction("Front page"):
                await ctx.http.get(ctx.config["app_url"] + "/")
            async with ctx.transaction("Picture"):
                await ctx.http.get(ctx.config["app_url"] + "/bytes/20000")


def scenario():
    return [
        ["shop:sign_up", users, Constant(duration=5, tps=2)],
        ["shop:browse", None, Ramp(duration=3, frm=0) + Constant(duration=4, tps=20)],
    ]
