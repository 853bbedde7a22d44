"""`--workers`: a test on this machine over several processes is the same test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BUILD, environment
from helpers import Mite, totals

SHOP = '''
import asyncio
import os
from mite.datapools import IterableDataPool, RecyclableIterableDataPool
from mite_http import mite_http

@mite_http
async def visit(ctx, *args):
    async with ctx.transaction("home"):
        await ctx.http.get(ctx.config["url"])

@mite_http
async def buy(ctx, item):
    await ctx.http.get(ctx.config["url"] + "/item/%d" % item)

async def rest(ctx, user):
    await asyncio.sleep(0.01)

class Few:
    """Fewer items than journeys want, of a class of one's own."""

    def __init__(self):
        self.free, self.out = [1, 2, 3], []

    async def checkout(self, config=None):
        await asyncio.sleep(0)
        if not self.free:
            return None
        self.out.append(self.free.pop())
        return self.out[-1], ["user"]

    async def checkin(self, id):
        await asyncio.sleep(0)
        self.out.remove(id)
        self.free.append(id)

few = Few()

async def create(ctx):
    ctx.send("data_created", name="users", data=os.getpid())
    await asyncio.sleep(0.05)

async def wait(ctx):
    await asyncio.sleep(30)

async def die(ctx):
    os.kill(os.getpid(), 11)

async def die_late(ctx):  # one of them; the others last longer than the load
    try:
        os.open("died", os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        await asyncio.sleep(2.5)
    else:
        await asyncio.sleep(0.8)
        os.kill(os.getpid(), 11)

async def vanish(ctx):
    os._exit(0)

async def leave(ctx):
    os._exit(7)

async def fail(ctx):
    raise ValueError("out of stock")

def items():
    return IterableDataPool([(i,) for i in range(500)])

def users():
    return RecyclableIterableDataPool([(i,) for i in range(7)])

once = items()
ring = users()

def scenario():
    return [("shop:visit", None, lambda start, end: 10), ("shop:buy", ring, lambda start, end: 4)]

def failing():
    def model(start, end):
        if start >= 1:
            raise ValueError("no figure")
        return 2
    return [("shop:visit", None, model)]
'''


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def args(*more: str) -> list[str]:
    return [*more, "--workers=2", "--hide-constant-logs"]


def events(mite: Mite, folder: Path) -> list[str]:
    """The collector's messages, a JSON line each."""
    lines: list[str] = []
    for file in sorted(folder.glob("collector_data/*")):
        if file.name != "current_start_time":
            lines += mite("cat", str(file)).stdout.splitlines()
    return lines


def test_totals_are_exact(mite: Mite, shop: Path, target: str) -> None:
    result = mite(*args("scenario", "test", "shop:scenario", "--duration=3", f"--add-to-config=url:{target}"), cwd=shop,
                  env={"TMPDIR": str(shop / "tmp")})
    assert result.returncode == 0, result.stderr
    counted = totals(result.stdout)
    written = events(mite, shop)
    assert counted.requests == sum('"type":"http_metrics"' in line.replace(" ", "") for line in written) > 100
    assert counted.journeys == counted.requests and counted.errors == 0
    assert len(set(re.findall(r'"runner_id": ?(\d+)', "\n".join(written)))) == 2
    assert any("controller_report" in line for line in written)
    assert list((shop / "tmp").iterdir()) == []


def test_each_item_once(mite: Mite, shop: Path, target: str) -> None:
    result = mite(*args("journey", "test", "shop:buy", "shop:once", "--volume=20", f"--add-to-config=url:{target}"), cwd=shop)
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).requests == 500
    asked = re.findall(r"/item/(\d+)", "\n".join(events(mite, shop)))
    assert sorted(map(int, asked)) == list(range(500))


def test_few_items_turn_over_at_the_pace_of_journeys(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:rest", "shop:few", "--volume=20", "--duration=4", "--no-collector"), cwd=shop)
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys > 200, "reports come four times a second"


def test_iterations(mite: Mite, shop: Path, target: str) -> None:
    for count in (1, 3, 257):
        result = mite(*args("journey", "test", "shop:visit", f"--iterations={count}", "--volume=8", "--no-collector",
                            f"--add-to-config=url:{target}"), cwd=shop)
        assert result.returncode == 0, result.stderr
        assert totals(result.stdout).journeys == count


def test_recorded_data_arrives(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:create", "--iterations=40", "--volume=4", "--no-collector",
                        "--message-processors="), cwd=shop)
    assert result.returncode == 0, result.stderr
    assert len(mite("cat", str(shop / "recorder_data" / "users.msgpack")).stdout.splitlines()) == 40


def test_errors_are_shown_once(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:fail", "--iterations=30", "--no-collector"), cwd=shop)
    assert result.returncode == 1
    assert totals(result.stdout).errors == 30
    assert "out of stock" in result.stderr and "out of stock" in result.stdout
    assert result.stderr.count("Traceback") <= 2


def test_a_model_that_fails(mite: Mite, shop: Path, target: str) -> None:
    result = mite(*args("scenario", "test", "shop:failing", "--no-collector", f"--add-to-config=url:{target}"), cwd=shop)
    assert result.returncode == 1
    assert totals(result.stdout).errors == 1
    assert "no figure" in result.stdout


def test_interrupted(start: Callable[..., "subprocess.Popen[str]"], mite: Mite, shop: Path) -> None:
    process = start(*args("journey", "test", "shop:wait", "--volume=4"), cwd=shop, env={"TMPDIR": str(shop / "tmp")})
    until_running(mite, shop)
    process.send_signal(signal.SIGINT)
    until(process, "a second signal ends them")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert totals(out).journeys == 4
    assert list((shop / "tmp").iterdir()) == []


def until(process: "subprocess.Popen[str]", text: str) -> None:
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until_running(mite: Mite, shop: Path) -> None:
    """Both workers run journeys, by the word of the controller in the parent."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for socket in (shop / "tmp").glob("mite-*/controller"):
            status = mite("ctl", "status", "--json", f"--controller-socket=ipc://{socket}")
            runners = json.loads(status.stdout)["runners"] if status.returncode == 0 else []
            if sum(runner["running"].get("1", 0) > 0 for runner in runners) == 2:
                return
        time.sleep(0.05)
    raise AssertionError("the workers never ran")


def test_a_killed_worker_is_replaced(
    start: Callable[..., "subprocess.Popen[str]"], mite: Mite, shop: Path, target: str
) -> None:
    process = start(*args("journey", "test", "shop:buy", "shop:ring", "--volume=7", "--no-collector", "--duration=6",
                          f"--add-to-config=url:{target}"), cwd=shop, env={"TMPDIR": str(shop / "tmp")})
    until_running(mite, shop)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "another takes its place" in err and "has died" in err
    assert "runners lost, of 3: 1" in out
    assert totals(out).requests > 100


def test_a_journey_that_crashes(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:die", "--no-collector", "--duration=1"), cwd=shop)
    assert result.returncode == 3
    assert "shop:die" in result.stderr and "SIGSEGV" in result.stderr
    assert "another takes its place" in result.stderr
    assert totals(result.stdout).errors >= 1 and "Crash" in result.stdout


def test_a_worker_that_is_to_come_back_when_the_load_is_over(mite: Mite, shop: Path) -> None:
    options = ("--volume=2", "--no-collector", "--duration=1")
    result = mite(*args("journey", "test", "shop:die_late", *options), cwd=shop)
    assert result.returncode == 3
    assert "another takes its place" in result.stderr
    assert totals(result.stdout).errors == 1 and "Blocked" not in result.stdout


def test_a_worker_that_ends_by_itself_has_crashed(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:leave", "--no-collector", "--duration=1"), cwd=shop)
    assert result.returncode == 3
    assert "ended with status 7: another takes its place" in result.stderr
    assert totals(result.stdout).errors >= 1 and "Crash" in result.stdout


def test_workers_that_end_as_if_all_was_well_are_told_of(mite: Mite, shop: Path) -> None:
    result = mite(*args("journey", "test", "shop:vanish", "--no-collector", "--duration=30"), cwd=shop)
    assert result.returncode == 3
    assert result.stderr.count(" ended with status 0\n") == 2


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_is_left_behind(start: Callable[..., "subprocess.Popen[str]"], mite: Mite, shop: Path) -> None:
    words = args("journey", "test", "shop:wait", "--volume=4", "--no-collector")
    process = start(*words, cwd=shop, env={"TMPDIR": str(shop / "tmp")})
    until_running(mite, shop)
    workers = children(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in workers))
    (left,) = (shop / "tmp").iterdir()
    (shop / "tmp" / "mite-others").mkdir()
    process = start(*words, cwd=shop, env={"TMPDIR": str(shop / "tmp")})
    wait_until(lambda: not left.exists())
    until_running(mite, shop)
    result = mite(*args("journey", "test", "shop:create", "--iterations=2", "--no-collector"), cwd=shop,
                  env={"TMPDIR": str(shop / "tmp")})
    assert result.returncode == 0, result.stderr
    until_running(mite, shop)  # that one took only what nobody has
    process.send_signal(signal.SIGINT)
    until(process, "a second signal ends them")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert [path.name for path in (shop / "tmp").iterdir()] == ["mite-others"]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_wrong_use(mite: Mite, shop: Path) -> None:
    for words, sentence in (
        (["shop:visit", "--workers=0"], "--workers=0"),
        (["shop:visit", "--workers=many"], "--workers=many"),
        (["shop:visit", "--workers=2", "--debugging"], "--debugging"),
        (["shop:vist", "--workers=2"], 'did you mean "visit"'),
    ):
        result = mite("journey", "test", *words, cwd=shop)
        assert result.returncode == 2, words
        assert sentence in result.stderr


def test_under_python(shop: Path, target: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mite", *args("journey", "test", "shop:visit", "--iterations=20", "--no-collector",
                                             f"--add-to-config=url:{target}")],
        cwd=shop, env=environment(PYTHONPATH=str(BUILD / "python")), capture_output=True, text=True, timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).requests == 20
