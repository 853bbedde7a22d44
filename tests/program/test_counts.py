"""What is counted equals what the server saw: against nginx and its own log."""

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, totals, wait_for_line
from nginx import Nginx, nginx  # noqa: F401 (a fixture)

SOURCE = """
from mite_http import mite_http

@mite_http
async def visit(ctx):
    url = ctx.config["url"]
    async with ctx.transaction("pages"):
        await ctx.http.get(url + "/")
        await ctx.http.get(url + "/missing")
        await ctx.http.get(url + "/moved")
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(SOURCE)


def test_requests_equal_those_in_the_servers_log(mite: Mite, nginx: Nginx) -> None:
    result = mite(
        "journey", "test", "counting:visit", "--volume=20", "--iterations=500", env={"MITE_CONF_url": nginx.url}
    )
    assert result.returncode == 0, result.stderr
    seen = totals(result.stdout)
    assert seen.journeys == 500
    assert seen.requests == 2000  # a redirect hop counts
    assert nginx.stop() == 2000


def test_after_an_interrupt_the_server_saw_no_more_than_the_aborted_ones(
    start: Callable[..., "subprocess.Popen[str]"], nginx: Nginx, tmp_path: Path
) -> None:
    process = start(
        "journey", "test", "counting:visit", "--volume=50", cwd=tmp_path, env={"MITE_CONF_url": nginx.url}
    )
    wait_for_line(process.stderr, "Last 2 Secs>")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    completed = totals(out).requests
    said = re.search(r"^aborted\s+([\d,]+) request", out, re.MULTILINE)
    aborted = int(said[1].replace(",", "")) if said else 0
    assert completed > 100
    assert completed <= nginx.stop() <= completed + aborted
