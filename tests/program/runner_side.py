"""What the tests of `mite runner` share: journeys, the controllers that a runner is started for, and its events."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from controllers import PATIENCE_MS, Controller, Dialect, Plain, unpack

Start = Callable[..., "subprocess.Popen[str]"]
Context = zmq.Context["zmq.Socket[bytes]"]

JOURNEYS = """
import asyncio
from mite import MiteError

async def visit(ctx, *args):
    async with ctx.transaction("look"):
        await asyncio.sleep(0.02)

async def tell(ctx, *args):
    ctx.send("seen", args=list(args), greeting=ctx.config.get("greeting"))

async def stay(ctx, *args):
    while not ctx.should_stop:
        await asyncio.sleep(0.02)

async def cling(ctx, *args):
    await asyncio.sleep(3600)

async def tidy(ctx, *args):
    ctx.send("begun")
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.3)
        ctx.send("tidied")

async def fail(ctx, *args):
    raise MiteError("no stock")

async def make(ctx):
    ctx.send("data_created", name="users", data=1)
"""


@pytest.fixture
def context() -> Iterator[Context]:
    with zmq.Context() as context:
        yield context


@pytest.fixture
def plain(context: Context) -> Iterator[Plain]:
    controller = Plain(context)
    yield controller
    controller.close()


@pytest.fixture
def dialect(context: Context) -> Iterator[Dialect]:
    controller = Dialect(context)
    yield controller
    controller.close()


class Events:
    """Where a runner's events go: a bound PULL."""

    def __init__(self, context: Context) -> None:
        self.socket = context.socket(zmq.PULL)
        self.socket.linger = 0
        self.socket.bind("tcp://127.0.0.1:*")
        self.address = self.socket.last_endpoint.decode()

    def next(self, kind: str) -> Any:
        while True:
            assert self.socket.poll(PATIENCE_MS), f"no event {kind}"
            event = unpack(self.socket.recv())
            if event["type"] == kind:
                return event

    def rest(self) -> list[Any]:
        """What has come: the runner has ended, and has handed over all."""
        events = []
        while self.socket.poll(200):
            events.append(unpack(self.socket.recv()))
        return events


@pytest.fixture
def events(context: Context) -> Iterator[Events]:
    events = Events(context)
    yield events
    events.socket.close()


@pytest.fixture
def runner(start: Start, tmp_path: Path) -> Start:
    """Starts a runner for a controller, in a directory that has the journeys above as `shop`."""
    (tmp_path / "shop.py").write_text(JOURNEYS)

    def run(controller: Controller, *args: str, **popen: Any) -> "subprocess.Popen[str]":
        if not any(arg.startswith("--message-socket") for arg in args):
            args = ("--message-socket=ipc://" + str(tmp_path / "nobody"), *args)
        return start("runner", "--controller-socket=" + controller.address, *args, cwd=tmp_path, **popen)

    return run


def ends(process: "subprocess.Popen[str]", status: int = 0, seconds: float = 20) -> str:
    """It ends by itself, in time; what it said."""
    _, said = process.communicate(timeout=seconds)
    assert process.returncode == status, said
    return said


def entry(
    scenario_id: int, target: int, spec: str | None = None, starts_left: int = -1, hold: int = 0, pool: int = 0
) -> list[Any]:
    return [scenario_id, target, starts_left, hold, pool, spec]


def bare(entries: list[list[Any]]) -> list[list[Any]]:
    """As they are told after the introduction."""
    return [[*e[:5], None] for e in entries]


class Sum:
    """What all reports have told, added up as a controller does."""

    def __init__(self) -> None:
        self.journeys = 0
        self.done: list[int] = []
        self.unused: list[int] = []

    def add(self, report: dict[str, Any]) -> None:
        if report.get("stats"):
            if report["from_start"]:
                self.journeys = 0
            self.journeys += report["stats"]["counts"][3]
        self.done += report.get("done", [])
        self.unused += report.get("unused", [])
