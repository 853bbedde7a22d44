"""Make users, then use them: journey → recorder → datapool.

    mite target --address=127.0.0.1:8080 &
    export MITE_CONF_app_url=http://127.0.0.1:8080
    mite scenario test data_creation:create      # 137 users into recorder_data/users.msgpack, then ends by itself
    mite scenario test data_creation:sign_in --duration=5
"""

from uuid import uuid4

from mite.datapools import IterableDataPool, recorded
from mite_http import mite_http

# Each item is used once, so there are exactly as many users as items.
numbers = IterableDataPool([(n,) for n in range(137)])

# Read at the first checkout, when recorder_data/users.msgpack is there: both halves can stand in one file.
users = recorded("users", "username")


@mite_http
async def create_user(ctx, number):
    username = f"{number}-{uuid4().hex}"
    async with ctx.transaction("Create user"):
        await ctx.http.post(
            ctx.config["app_url"] + "/users/create", json={"username": username, "password": "test1234"}
        )
        await ctx.send("data_created", name="users", data={"username": username})


@mite_http
async def log_in(ctx, username):
    async with ctx.transaction("Log in"):
        await ctx.http.post(ctx.config["app_url"] + "/login", json={"username": username, "password": "test1234"})


def create():
    return [["data_creation:create_user", numbers, lambda start, end: 10]]


def sign_in():
    return [["data_creation:log_in", users, lambda start, end: 20]]
