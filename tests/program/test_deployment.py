"""The whole topology under load, and what becomes of its figures when parts die: nginx's log is the judge."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from deployment import Component, Deployment
from helpers import Totals, totals
from nginx import Nginx, nginx  # noqa: F401 (a fixture)

# Each visit says in its URLs which item it has, and who it is, before and after a pause: two visits that hold the same
# item at once, or an item that is handed out twice, show in the server's log.
SOURCE = """
import os
from mite import ensure_fixed_separation
from mite.datapools import IterableDataPool, RecyclableIterableDataPool
from mite.volume_model import Constant
from mite_http import mite_http
import asyncio

me = os.getpid()

@mite_http
async def page(ctx):
    async with ctx.transaction("page"):
        await ctx.http.get(ctx.config["url"] + "/")
    await asyncio.sleep(0.005)

@mite_http
async def visit(ctx, item):
    async with ctx.transaction("visit"):
        await ctx.http.get(ctx.config["url"] + f"/begin?item={item}&runner={me}")
        await asyncio.sleep(0.02)
        await ctx.http.get(ctx.config["url"] + f"/end?item={item}&runner={me}")

def plain():
    return [("shop:page", None, Constant(3, 20))]

def users():
    return [("shop:visit", RecyclableIterableDataPool([(f"u{n}",) for n in range(30)]), Constant(SECONDS, 20))]

def long():
    return [("shop:page", None, Constant(600, 5))]

def mixed():
    return users() + [("shop:page", None, Constant(SECONDS, 50))]

def tickets():
    return [("shop:visit", IterableDataPool([(f"t{n}",) for n in range(1500)]), Constant(60, 30))]
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    whole = Deployment(tmp_path)
    yield whole
    whole.close()


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE.replace("SECONDS", "6"))


def finished(controller: Component, status: int = 0) -> Totals:
    assert controller.wait() == status, controller.err
    return totals(controller.out)


def lines(nginx: Nginx) -> list[tuple[str, str, str]]:
    """(begin or end, item, runner) of each visit's requests, in the order in which nginx answered them."""
    found = re.compile(r"/(begin|end)\?item=(\w+)&runner=(\d+)")
    return [match.groups() for line in (nginx.root / "access.log").open() if (match := found.search(line))]


def wait_until_seen(nginx: Nginx, text: str) -> None:
    """Waits until a request with that text has been answered."""
    ends = time.monotonic() + 60
    while text not in (nginx.root / "access.log").read_text():
        assert time.monotonic() < ends, f"no request with {text}"
        time.sleep(0.02)


def test_every_component_counts_the_same(deployment: Deployment, nginx: Nginx) -> None:
    deployment.exporter()
    deployment.stats()
    deployment.collector()
    deployment.recorder()
    deployment.duplicator().wait_for("duplicator:")
    controller = deployment.controller("shop:plain", f"--add-to-config=url:{nginx.url}")
    runners = [deployment.runner(f"runner{n}") for n in (1, 2)]
    seen = finished(controller)
    for runner in runners:
        assert runner.wait() == 0, runner.err
    requests = nginx.stop()
    assert seen.requests == requests > 200
    assert seen.errors == 0
    collector = next(part for part in deployment.parts if part.name == "collector")
    assert collector.stop() == 0
    kinds = Counter(message["type"] for message in deployment.collected())
    assert kinds["http_metrics"] == requests
    assert {message["runner_id"] for message in deployment.collected() if "runner_id" in message} == {1, 2}
    page = urlopen(f"http://{deployment.web}/metrics").read().decode()
    shown = sum(int(value) for value in re.findall(r"^mite_http_response_total\{.*\} (\d+)$", page, re.MULTILINE))
    assert shown == requests
    for part in deployment.parts:
        if part.process.poll() is None:
            assert part.stop() == 0, part.err


def held_at_once(visits: list[tuple[str, str, str]], killed: str = "") -> list[str]:
    """Items that somebody began to use while another had them. What a killed runner began, nobody ends."""
    holders: dict[str, str] = {}
    wrong = []
    for what, item, runner in visits:
        if what == "begin":
            if holders.get(item, killed) != killed:
                wrong.append(item)
            holders[item] = runner
        elif holders.get(item) == runner:
            del holders[item]
        elif item in holders:
            wrong.append(item)
    return wrong


def test_a_killed_runners_work_and_items_go_to_the_others(deployment: Deployment, nginx: Nginx) -> None:
    deployment.duplicator().wait_for("duplicator:")
    controller = deployment.controller("shop:users", f"--add-to-config=url:{nginx.url}", "--runner-timeout=1")
    first, second = deployment.runner("first"), deployment.runner("second")
    for runner in first, second:
        wait_until_seen(nginx, f"runner={runner.process.pid}")
    first.kill()
    seen = finished(controller)
    assert second.wait() == 0, second.err
    assert "lost" in controller.out  # the summary says that a runner was
    requests, visits = nginx.stop(), lines(nginx)
    assert seen.requests <= requests <= seen.requests + 500  # what the killed one did in its last quarter of a second
    gone = str(first.process.pid)
    assert held_at_once(visits, gone) == []
    by_second = {item for what, item, runner in visits if what == "begin" and runner == str(second.process.pid)}
    assert by_second == {f"u{n}" for n in range(30)}  # also those that the killed one had


def restarted(deployment: Deployment, nginx: Nginx, *options: str) -> "tuple[Component, Component]":
    """A controller that took the place of one that was killed under load, and the runner of both."""
    options = (f"--add-to-config=url:{nginx.url}", "--runner-timeout=20", *options)
    deployment.duplicator().wait_for("duplicator:")
    controller = deployment.controller("shop:tickets", *options)
    runner = deployment.runner("runner")
    wait_until_seen(nginx, "end?item=t200&")
    controller.kill()
    again = deployment.controller("shop:tickets", *options, name="again")
    return again, runner


def test_a_restarted_controller_carries_on_from_its_state(deployment: Deployment, nginx: Nginx) -> None:
    again, runner = restarted(deployment, nginx, "--state=state")
    seen = finished(again)
    assert runner.wait() == 0, runner.err
    requests, visits = nginx.stop(), lines(nginx)
    assert Counter(item for what, item, _ in visits if what == "begin") == {f"t{n}": 1 for n in range(1500)}
    assert seen.requests == requests == 3000
    assert seen.journeys == 1500


def test_a_restarted_controller_without_state_hands_out_nothing_twice(deployment: Deployment, nginx: Nginx) -> None:
    again, runner = restarted(deployment, nginx)
    assert again.wait() in (0, 1), again.err
    assert runner.wait() == 0, runner.err
    nginx.stop()
    begun = Counter(item for what, item, _ in lines(nginx) if what == "begin")
    assert max(begun.values()) == 1
    assert len(begun) > 1000


def test_without_a_duplicator_nothing_hangs_and_the_totals_are_whole(deployment: Deployment, nginx: Nginx) -> None:
    controller = deployment.controller("shop:plain", f"--add-to-config=url:{nginx.url}", "--send-buffer=10000")
    runner = deployment.runner("runner", "--send-buffer=10000")
    seen = finished(controller)
    assert runner.wait() == 0, runner.err
    assert seen.requests == nginx.stop() > 100
    assert re.search(r"had to drop.*\n.* \d+ http_metrics", controller.out)


@pytest.mark.parametrize("name", ["duplicator", "collector", "recorder", "stats", "exporter"])
def test_a_component_that_dies_costs_only_events(deployment: Deployment, nginx: Nginx, name: str) -> None:
    parts = {part: getattr(deployment, part) for part in ("exporter", "stats", "collector", "recorder", "duplicator")}
    running = {part: start() for part, start in parts.items()}
    running["duplicator"].wait_for("duplicator:")
    controller = deployment.controller("shop:plain", f"--add-to-config=url:{nginx.url}")
    runner = deployment.runner("runner")
    wait_until_seen(nginx, "GET / ")
    running[name].kill()
    running[name] = parts[name]()
    seen = finished(controller)
    assert runner.wait() == 0, runner.err
    assert seen.requests == nginx.stop() > 100
    for part in running.values():
        assert part.stop() == 0, part.err


def test_what_a_killed_collector_leaves_can_be_read(deployment: Deployment, nginx: Nginx) -> None:
    collector = deployment.collector()
    deployment.duplicator().wait_for("duplicator:")
    controller = deployment.controller("shop:plain", f"--add-to-config=url:{nginx.url}")
    runner = deployment.runner("runner")
    current = deployment.folder / "collected" / "current"
    while not current.exists() or current.stat().st_size < 100000:
        assert controller.process.poll() is None, controller.err
    collector.kill()
    assert len(deployment.collected(killed=True)) > 100
    seen = finished(controller)
    assert runner.wait() == 0 and seen.requests == nginx.stop()


def test_a_runner_waits_for_its_controller_and_goes_on(deployment: Deployment, nginx: Nginx) -> None:
    runner = deployment.runner("runner")
    runner.wait_for("runner")
    deployment.duplicator().wait_for("duplicator:")
    controller = deployment.controller("shop:plain", f"--add-to-config=url:{nginx.url}")
    assert finished(controller).requests == nginx.stop() > 100
    assert runner.wait() == 0, runner.err


def test_every_component_ends_when_asked_also_alone(deployment: Deployment, nginx: Nginx) -> None:
    deployment.exporter()
    deployment.stats()
    deployment.collector()
    deployment.recorder()
    deployment.duplicator()
    deployment.runner("runner")
    deployment.controller("shop:long", f"--add-to-config=url:{nginx.url}")
    for part in deployment.parts:
        part.wait_for("has joined" if part.name == "controller" else part.name)
    for part in deployment.parts:
        status = part.stop()
        assert status == (130 if part.name == "controller" else 0), (part.name, status, part.err)
