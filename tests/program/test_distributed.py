"""Our controller, our runners, a duplicator and a collector: what the server counted is what each of them counted."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import Mite, totals
from nginx import Nginx

Start = Callable[..., "subprocess.Popen[str]"]

SHOP = '''
import asyncio
from mite.datapools import IterableDataPool, RecyclableIterableDataPool
from mite_http import mite_http

@mite_http
async def visit(ctx):
    async with ctx.transaction("home"):
        await ctx.http.get(ctx.config["url"] + "/")

@mite_http
async def buy(ctx, item):
    await ctx.http.get(ctx.config["url"] + "/item/%d" % item)

@mite_http
async def use(ctx, user):
    await ctx.http.get(ctx.config["url"] + "/enter/%d" % user)
    await asyncio.sleep(0.05)
    await ctx.http.get(ctx.config["url"] + "/leave/%d" % user)

users = RecyclableIterableDataPool([(i,) for i in range(8)])

def visits():
    return [("shop:visit", None, lambda start, end: 20)]

def items():
    return [("shop:buy", IterableDataPool([(i,) for i in range(600)]), lambda start, end: 20)]

def logins():
    return [("shop:use", users, lambda start, end: 20)]
'''


class Fleet:
    """Its parts, over sockets in one directory."""

    def __init__(self, start: Start, root: Path, url: str) -> None:
        self.start, self.root, self.url = start, root, url
        (root / "shop.py").write_text(SHOP)
        self.errors = {}

    def socket(self, name: str) -> str:
        return f"ipc://{self.root}/{name}"

    def run(self, name: str, *args: str) -> "subprocess.Popen[str]":
        self.errors[name] = (self.root / f"{name}.err").open("w+")
        return self.start(*args, cwd=self.root, stderr=self.errors[name])

    def said(self, name: str) -> str:
        return (self.root / f"{name}.err").read_text()

    def wait_for(self, name: str, text: str) -> None:
        deadline = time.monotonic() + 30
        while not re.search(text, self.said(name)):
            assert time.monotonic() < deadline, f"{name} never said {text}: {self.said(name)}"
            time.sleep(0.01)

    def controller(self, spec: str, *options: str) -> "subprocess.Popen[str]":
        process = self.run("controller", "controller", spec, f"--controller-socket={self.socket('controller')}",
                           f"--message-socket={self.socket('events')}", f"--add-to-config=url:{self.url}",
                           "--hide-constant-logs", *options)
        self.wait_for("controller", "waiting for runners")
        return process

    def runner(self, name: str, *options: str) -> "subprocess.Popen[str]":
        return self.run(name, "runner", f"--controller-socket={self.socket('controller')}",
                        f"--message-socket={self.socket('events')}", *options)

    def duplicator(self) -> "subprocess.Popen[str]":
        return self.run("duplicator", "duplicator", self.socket("collector"), f"--message-socket={self.socket('events')}")

    def collector(self) -> "subprocess.Popen[str]":
        return self.run("collector", "collector", f"--collector-socket={self.socket('collector')}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path / "nginx")
    yield nginx
    nginx.stop()


@pytest.fixture
def fleet(start: Start, tmp_path: Path, server: Nginx) -> Fleet:
    return Fleet(start, tmp_path, server.url)


def result(controller: "subprocess.Popen[str]", status: int = 0) -> str:
    out, _ = controller.communicate(timeout=60)
    assert controller.returncode == status, out
    return out


def ended(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.wait(timeout=30) == 0


def stop(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


def paths(server: Nginx) -> "Counter[str]":
    return Counter(re.findall(r'"GET (\S+) HTTP', (server.root / "access.log").read_text()))


def test_all_count_the_same(fleet: Fleet, server: Nginx, mite: Mite) -> None:
    collector, duplicator = fleet.collector(), fleet.duplicator()
    controller = fleet.controller("shop:visits", "--duration=2")
    runners = [fleet.runner("one"), fleet.runner("two")]
    out = result(controller)
    ended(*runners)
    stop(duplicator, collector)
    served = server.stop()
    counted = totals(out)
    assert counted.requests == counted.journeys == served > 100
    assert counted.errors == 0
    written = [
        mite("cat", str(file)).stdout for file in (fleet.root / "collector_data").iterdir() if "start_time" not in file.name
    ]
    assert "".join(written).count("effective_url") == served


def test_each_item_once(fleet: Fleet, server: Nginx) -> None:
    controller = fleet.controller("shop:items")
    runners = [fleet.runner("one", "--events=none"), fleet.runner("two", "--events=none")]
    out = result(controller)
    ended(*runners)
    server.stop()
    assert totals(out).requests == 600
    assert paths(server) == Counter({f"/item/{i}": 1 for i in range(600)})


def visits_of(server: Nginx) -> dict[str, list[str]]:
    """For each user, entering and leaving in the order of the log."""
    found: dict[str, list[str]] = {}
    for what, user in re.findall(r'"GET /(enter|leave)/(\d+) HTTP', (server.root / "access.log").read_text()):
        found.setdefault(user, []).append(what)
    return found


def test_a_killed_runner(fleet: Fleet, server: Nginx) -> None:
    controller = fleet.controller("shop:logins", "--duration=6", "--runner-timeout=1")
    killed, other = fleet.runner("one", "--events=none"), fleet.runner("two", "--events=none")
    fleet.wait_for("controller", "runner 2")
    time.sleep(1)
    killed.kill()
    fleet.wait_for("controller", "silent")
    out = result(controller)
    ended(other)
    served = server.stop()
    assert "runners lost, of 2: 1" in out
    assert 0 <= served - totals(out).requests < 100  # what it did after its last report
    visits = visits_of(server)
    assert len(visits) == 8
    cut = 0
    for steps in visits.values():
        together = "".join(step[0] for step in steps)
        cut += together.count("ee")
        assert "ll" not in together.replace("ele", "e")  # nobody leaves who is not there
    assert cut <= 8  # users of the killed one enter anew
    assert sum(len(steps) for steps in visits.values()) == served


def test_a_killed_controller_goes_on(fleet: Fleet, server: Nginx) -> None:
    state = f"--state={fleet.root}/state"
    controller = fleet.controller("shop:items", state, "--spawn-rate=4", "--max-loop-delay=1")
    runners = [fleet.runner("one", "--events=none"), fleet.runner("two", "--events=none")]
    fleet.wait_for("controller", "runner 2")
    while sum(paths(server).values()) < 100:
        time.sleep(0.01)
    controller.kill()
    controller.wait()
    controller = fleet.controller("shop:items", state)
    out = result(controller)
    ended(*runners)
    server.stop()
    assert totals(out).requests == 600
    assert paths(server) == Counter({f"/item/{i}": 1 for i in range(600)})


def test_without_a_duplicator(fleet: Fleet, server: Nginx) -> None:
    controller = fleet.controller("shop:visits", "--duration=2")
    runner = fleet.runner("one", "--send-buffer=10000", "--graceful-stop=1")
    out = result(controller)
    runner.wait(timeout=30)
    assert totals(out).requests == server.stop()
    assert re.search(r"had to drop.*http_metrics", " ".join(out.split()))


def test_runners_come_and_go(fleet: Fleet, server: Nginx) -> None:
    controller = fleet.controller("shop:visits", "--duration=4")
    first = fleet.runner("one", "--events=none")
    fleet.wait_for("controller", "runner 1")
    time.sleep(0.5)
    second = fleet.runner("two", "--events=none")
    fleet.wait_for("controller", "runner 2")
    time.sleep(0.5)
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(timeout=10) in (0, 130)
    out = result(controller)
    ended(second)
    assert totals(out).requests == server.stop()
    assert "lost" not in out


def test_a_journey_that_runners_do_not_have(fleet: Fleet) -> None:
    controller = fleet.controller("shop:visits", "--duration=1")
    (fleet.root / "elsewhere").mkdir()
    runner = fleet.start("runner", f"--controller-socket={fleet.socket('controller')}", "--events=none",
                         cwd=fleet.root / "elsewhere")
    out = result(controller, 1)
    assert totals(out).errors > 0
    assert 'there is no module "shop"' in fleet.said("controller")
    runner.wait(timeout=30)
