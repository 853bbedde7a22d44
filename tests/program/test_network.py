"""Runners on hosts of their own, and networks that are cut, lossy or slow between them and their controller."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from deployment import Deployment
from network import Network, SlowProxy, network
from nginx import Nginx
from test_deployment import SOURCE, finished, held_at_once, lines, wait_until_seen


@pytest.fixture
def hosts() -> Iterator[Network]:
    with network("centre", "site", "one", "two") as all_of_them:
        yield all_of_them


@pytest.fixture
def site(hosts: Network, tmp_path: Path) -> Iterator[Nginx]:
    server = Nginx(tmp_path / "nginx", hosts.address("site"), lambda argv: hosts.on("site", argv))
    yield server
    server.stop()


@pytest.fixture
def deployment(hosts: Network, tmp_path: Path) -> Iterator[Deployment]:
    (tmp_path / "shop.py").write_text(SOURCE.replace("SECONDS", "12"))
    whole = Deployment(tmp_path, hosts, "centre")
    whole.collector()
    whole.duplicator().wait_for("duplicator:")
    yield whole
    whole.close()


def overlaps(messages: list[dict[str, object]]) -> list[object]:
    """Items that two visits had at once, by the moments at which their journeys began and ended. The server's log could
    not tell: what was sent into a cut wire arrives when that is whole again."""
    spans: dict[object, list[tuple[float, float]]] = {}
    for message in messages:
        if message["type"] == "txn" and message["transaction"] == "__root__":
            spans.setdefault(message["scenario_data_id"], []).append((message["start_time"], message["end_time"]))
    assert sum(map(len, spans.values())) > 1000
    return [item for item, of in spans.items() if any(b[0] < a[1] for a, b in pairwise(sorted(of)))]


def seen_since(site: Nginx, text: str, position: int) -> bool:
    return text in (site.root / "access.log").read_text()[position:]


def test_a_cut_link_costs_a_runner_its_items_until_it_is_back(
    deployment: Deployment, hosts: Network, site: Nginx
) -> None:
    options = [f"--add-to-config=url:{site.url}", "--runner-timeout=2", "--max-errors-threshold=1000"]
    controller = deployment.controller("shop:users", *options)
    one, two = (deployment.runner(name, "--timeout=1", host=name) for name in ("one", "two"))
    for runner in one, two:
        wait_until_seen(site, f"runner={runner.process.pid}")
    hosts.cut("one")
    controller.wait_for("has been silent")
    hosts.heal("one")
    healed = (site.root / "access.log").stat().st_size
    ends = time.monotonic() + 60
    while not seen_since(site, "begin?item=", healed) or not seen_since(site, f"runner={one.process.pid}", healed):
        assert time.monotonic() < ends, "the runner never came back"
        time.sleep(0.02)
    seen = finished(controller)
    assert one.wait() == 0 and two.wait() == 0, one.err + two.err
    assert seen.requests <= site.stop() <= seen.requests + 30  # answered on a wire that was cut
    for part in reversed(deployment.parts):  # the duplicator before the collector
        assert part.process.poll() is not None or part.stop() == 0, part.err
    assert overlaps(deployment.collected()) == []


def test_lost_packets_cost_no_figures(deployment: Deployment, hosts: Network, site: Nginx) -> None:
    for name in "centre", "one", "two":
        hosts.lose(name, 5)
    controller = deployment.controller("shop:users", f"--add-to-config=url:{site.url}")
    runners = [deployment.runner(name, host=name) for name in ("one", "two")]
    seen = finished(controller)
    for runner in runners:
        assert runner.wait() == 0, runner.err
    assert seen.errors == 0
    assert seen.requests == site.stop() > 200
    assert held_at_once(lines(site)) == []


def test_a_slow_way_to_the_controller(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE.replace("SECONDS", "6"))
    nginx, deployment = Nginx(tmp_path / "nginx"), Deployment(tmp_path)
    proxy = SlowProxy(int(deployment.sockets["controller"].rpartition(":")[2]), 0.2)
    try:
        deployment.duplicator().wait_for("duplicator:")
        controller = deployment.controller("shop:users", f"--add-to-config=url:{nginx.url}")
        there = f"tcp://127.0.0.1:{proxy.port}"
        runner = deployment.start(
            "runner", "runner", deployment.option("controller", there), deployment.option("message")
        )
        seen = finished(controller)
        assert runner.wait() == 0, runner.err
        assert seen.requests == nginx.stop() > 500
        assert held_at_once(lines(nginx)) == []
    finally:
        proxy.close()
        deployment.close()
        nginx.stop()
