"""Virtual users of a small shop. README.md says how to run this."""

from mite import MiteError, ensure_fixed_separation
from mite.context import Context
from mite.datapools import RecyclableIterableDataPool
from mite.volume_model import Constant, Ramp
from mite_http import mite_http


def site(ctx: Context) -> str:
    return str(ctx.config.get("site", "http://127.0.0.1:8080"))


@mite_http
async def browse(ctx: Context) -> None:
    """One visit. The next one begins a second after this one began, however long it took."""
    async with ensure_fixed_separation(1):
        async with ctx.transaction("Browse"):
            async with ctx.transaction("Front page"):
                page = await ctx.http.get(site(ctx))
                if "Hello" not in page.text:
                    raise MiteError("this is not the front page")
            async with ctx.transaction("Picture"):
                await ctx.http.get(site(ctx) + "/bytes/20000")


# Users for the journey below: an item's values are its arguments.
users = RecyclableIterableDataPool([("ada", "lovelace"), ("alan", "turing"), ("grace", "hopper")])


@mite_http
async def login(ctx: Context, username: str, password: str) -> None:
    credentials = {"username": username, "password": password}
    async with ensure_fixed_separation(1):
        async with ctx.transaction("Log in"):
            # 409 later on: there is somebody of that name.
            await ctx.http.post(site(ctx) + "/users/create", json=credentials)
            answer = await ctx.http.post(site(ctx) + "/login", json=credentials)
            if answer.status_code != 200:
                raise MiteError("login refused", status=answer.status_code)


def scenario() -> list[tuple[object, ...]]:
    """Who runs, with which data, and how many at once."""
    return [
        ("shop:browse", None, Ramp(duration=2, frm=0) + Constant(duration=3, tps=20)),
        ("shop:login", users, Constant(duration=5, tps=2)),
    ]
