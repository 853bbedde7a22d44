"""A short tour through the whole program: also run under ASan and UBSan, and under valgrind, where everything is slow."""

import signal
from pathlib import Path

import pytest

from helpers import totals, wait_for_line

SOURCE = """
import asyncio
from mite import MiteError, ensure_fixed_separation
from mite.datapools import RecyclableIterableDataPool
from mite_http import create_http_cookie, mite_http

numbers = RecyclableIterableDataPool([(n,) for n in range(20)])

@mite_http
async def visit(ctx, number):
    url = ctx.config["url"]
    async with ensure_fixed_separation(0.01):
        async with ctx.transaction("outer"):
            async with ctx.transaction("inner"):
                response = await ctx.http.get(url + "/redirect/2", headers={"X-Number": str(number)})
                assert len(response.history) == 2
            await ctx.http.post(url + "/echo", json={"number": number})
            await ctx.http.get(url + "/cookies/set?number=" + str(number))
            cookies = (await ctx.http.get(url + "/cookies")).json()["cookies"]
            assert cookies["number"] == str(number)
            assert (await ctx.http.get(url + "/gzip")).json()["compressed"] == "gzip"
            await asyncio.gather(asyncio.sleep(0.001), ctx.http.get(url + "/delay/1"))
            ctx.send("seen", number=number, of=[1, 2.5, None, {"k": b"v"}])
            await ctx.send("data_created", name="numbers", data={"number": number})

async def fail(ctx):
    async with ctx.transaction("wrong"):
        await asyncio.sleep(0.05)
        if ctx.config["kind"] == "raise":
            raise ValueError("as asked")
        raise MiteError("as asked", code=7)

@mite_http
async def dropped(ctx):
    await asyncio.sleep(0.05)
    await ctx.http.get(ctx.config["url"] + "/drop")

@mite_http
async def wait(ctx):
    async with ctx.transaction("waiting"):
        await ctx.http.get(ctx.config["url"] + "/stall")

def scenario():
    return [
        ["smoke:visit", numbers, lambda start, end: 3],
        ["smoke:fail", None, lambda start, end: 1],
        ["smoke:dropped", None, lambda start, end: 1],
    ]
"""
SLOW = 300  # seconds; valgrind takes its time


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "smoke.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize("kind", ["raise", "fail"])
def test_scenario(mite, target: str, folder: Path, kind: str) -> None:
    config = (f"--add-to-config=url:{target}", f"--add-to-config=kind:{kind}")
    done = mite("scenario", "test", "smoke:scenario", "--duration=2", "--report", *config, timeout=SLOW)
    assert done.returncode == 1, done.stderr
    counts = totals(done.stdout)
    assert counts.requests > 0 and counts.journeys > 0 and counts.errors > 0, done.stdout
    written = mite("cat", str(folder / "collector_data" / "current"), timeout=SLOW)
    assert written.returncode == 0 and '"type": "seen"' in written.stdout
    assert (folder / "recorder_data" / "numbers.msgpack").exists()


def test_once(mite, target: str, folder: Path) -> None:
    done = mite("journey", "run", "smoke:visit", "smoke:numbers", f"--add-to-config=url:{target}", timeout=SLOW)
    assert done.returncode == 0, done.stderr
    assert totals(done.stdout).journeys == 1


def test_ctrl_c_twice(start, target: str, folder: Path) -> None:
    process = start("journey", "test", "smoke:wait", "--volume=5", f"--add-to-config=url:{target}", cwd=folder)
    wait_for_line(process.stderr, "running:5")
    process.send_signal(signal.SIGINT)
    wait_for_line(process.stderr, "stopping")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SLOW)
    assert process.returncode == 130, err
    assert totals(out).requests == 0


def test_bad_spec(mite, folder: Path) -> None:
    done = mite("journey", "run", "smoke:nothing", timeout=SLOW)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
