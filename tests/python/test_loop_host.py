"""Journeys live on an asyncio loop that hosts ours: whatever asyncio can do works in them, and nothing leaks between them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Mite = Callable[..., "subprocess.CompletedProcess[str]"]

SOURCE = """
import asyncio
import contextvars
import sys
import time

import mite_http

user = contextvars.ContextVar("user", default=None)

@mite_http.mite_http
async def everything(ctx, url):
    loop = asyncio.get_running_loop()
    async def get(n):
        await asyncio.sleep(0.001 * n)
        return (await ctx.http.get(url + "/delay/5")).status_code

    assert await asyncio.gather(*(get(n) for n in range(5))) == [200] * 5
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(get(n)) for n in range(3)]
    assert [task.result() for task in tasks] == [200] * 3
    try:
        await asyncio.wait_for(ctx.http.get(url + "/delay/5000"), 0.05)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("the timeout did not come")
    assert await loop.run_in_executor(None, time.sleep, 0.001) is None

    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\\n")
    assert await reader.read() == b"hello\\n"
    writer.close()
    server.close()

    child = await asyncio.create_subprocess_exec(sys.executable or "python3", "-c", "print(1)", stdout=-1)
    assert (await child.communicate())[0] == b"1\\n"

async def variables(ctx):
    assert user.get() is None, user.get()
    user.set("the one before")
    await asyncio.sleep(0)
    assert user.get() == "the one before"

async def failing_variables(ctx):
    before = user.get()
    user.set("the one before")
    await asyncio.sleep(0.002)
    raise ValueError(f"before: {before}")

async def which(ctx):
    ctx.send("debug_console_message", text="on " + type(asyncio.get_running_loop()).__module__)

async def blocks(ctx):
    before = time.monotonic()
    while time.monotonic() - before < 1.5:
        pass  # the line

async def leaves_a_task(ctx):
    async def left():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            print("the task has been told", file=sys.stderr, flush=True)
    ctx.task = asyncio.create_task(left())
    await asyncio.sleep(0)
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "hosted.py").write_text(SOURCE)


def test_asyncio_works_in_journeys(mite: Mite, target: str, tmp_path: Path) -> None:
    (tmp_path / "pools.py").write_text(
        f"from mite.datapools import RecyclableIterableDataPool\npool = RecyclableIterableDataPool([({target!r},)])\n"
    )
    result = mite("journey", "test", "hosted:everything", "pools:pool", "--iterations=2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr + result.stdout


@pytest.mark.parametrize("volume", [1, 20])
def test_journeys_inherit_no_context_variables(mite: Mite, volume: int) -> None:
    result = mite("journey", "test", "hosted:variables", f"--volume={volume}", "--iterations=100")
    assert result.returncode == 0, result.stderr + result.stdout


def test_nor_do_those_that_replace_failed_ones(mite: Mite) -> None:
    result = mite("journey", "test", "hosted:failing_variables", "--iterations=20")
    assert result.returncode == 1
    assert "before: None" in result.stdout
    assert "before: the one before" not in result.stdout + result.stderr


def test_uvloop_is_used_where_it_can_be_imported(mite: Mite, tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    result = mite("journey", "run", "hosted:which", cwd=tmp_path)
    assert "on uvloop" in result.stderr


def test_asyncio_has_a_loop_of_its_own_otherwise(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('no uvloop here')\n")
    result = mite("journey", "run", "hosted:which", cwd=tmp_path)
    assert "on asyncio.unix_events" in result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_who_blocks_the_loop_is_named(mite: Mite, tmp_path: Path, loop: str) -> None:
    if loop == "asyncio":
        (tmp_path / "uvloop.py").write_text("raise ImportError('no uvloop here')\n")
    result = mite("journey", "run", "hosted:blocks", cwd=tmp_path)
    lines = [number for number, line in enumerate(SOURCE.splitlines(), 1) if "# the line" in line]
    found = [line for line in result.stderr.splitlines() if "blocked the loop" in line]
    assert len(found) == 1, result.stderr
    assert '"hosted:blocks"' in found[0]
    assert any(f"hosted.py:{number}" in found[0] for number in (lines[0] - 1, lines[0]))
    assert result.returncode == 0


def test_tasks_that_journeys_leave_are_cancelled_at_the_end(mite: Mite) -> None:
    result = mite("journey", "run", "hosted:leaves_a_task")
    assert "the task has been told" in result.stderr
    assert result.returncode == 0
