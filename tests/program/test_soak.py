"""Every component under steady load for a while (MITE_SOAK_SECONDS): none grows, and the figures agree at the end."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment import Deployment
from nginx import Nginx, nginx  # noqa: F401 (a fixture)
from test_deployment import SOURCE, finished, wait_until_seen

SECONDS = int(os.environ.get("MITE_SOAK_SECONDS", "15"))
# Python's heap and ZeroMQ's pools settle in the first third; what a leak of a byte a message would add is far above this.
GROWTH_KB = 3000


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    (tmp_path / "shop.py").write_text(SOURCE.replace("SECONDS", str(SECONDS)))
    whole = Deployment(tmp_path)
    yield whole
    whole.close()


def test_memory_stays_flat(deployment: Deployment, nginx: Nginx) -> None:
    parts = [deployment.exporter(), deployment.stats(), deployment.collector(), deployment.recorder()]
    parts.append(deployment.duplicator())
    parts[-1].wait_for("duplicator:")
    controller = deployment.controller("shop:mixed", f"--add-to-config=url:{nginx.url}")
    runners = [deployment.runner(f"runner{n}") for n in (1, 2)]
    parts += [controller, *runners]
    for runner in runners:
        wait_until_seen(nginx, f"runner={runner.process.pid}")
    time.sleep(SECONDS / 3)  # the time that memory may take to settle is part of what is tested
    settled = {part.name: part.memory_kb() for part in parts}
    time.sleep(SECONDS / 2)
    grown = {part.name: part.memory_kb() - settled[part.name] for part in parts}
    controller.process.wait(timeout=SECONDS)
    seen = finished(controller)
    for runner in runners:
        assert runner.wait() == 0, runner.err
    assert max(grown.values()) < GROWTH_KB, grown
    assert seen.requests == nginx.stop()
    for part in parts:
        if part.process.poll() is None:
            assert part.stop() == 0, part.err
