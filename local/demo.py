"""What docker_compose.yml runs: one request after another to the server at API_URL."""

import os

from mite import ensure_fixed_separation
from mite.volume_model import Constant, Ramp
from mite_http import mite_http

API_URL = os.environ.get("API_URL", "http://127.0.0.1:8000")


@mite_http
async def demo_req(ctx):
    async with ensure_fixed_separation(1):
        async with ctx.transaction("get"):
            await ctx.http.get(API_URL + "/")


def scenario():
    return [
        ["local.demo:demo_req", None, Ramp(duration=30, frm=1, to=None) + Constant(duration=300, tps=20)],
    ]
