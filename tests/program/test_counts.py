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
IN_C = """
#include <mite/mite.h>

MITE_JOURNEY(visit)
{
    const char *url = mite_config(ctx, "url", "");

    MITE_TRANSACTION(ctx, "pages") {
        struct mite_pending *first = mite_start(ctx, "GET", mite_format(ctx, "%s/", url));
        mite_get(ctx, mite_format(ctx, "%s/missing", url));
        mite_get(ctx, mite_format(ctx, "%s/moved", url));
        mite_await(ctx, first);
    }
}
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(SOURCE)
    (tmp_path / "counting.c").write_text(IN_C)


@pytest.mark.parametrize("journey", ["counting:visit", "counting.c:visit"])
@pytest.mark.parametrize("transport", ["native", "curl"])
def test_requests_equal_those_in_the_servers_log(mite: Mite, nginx: Nginx, journey: str, transport: str) -> None:
    result = mite(
        "journey", "test", journey, "--volume=20", "--iterations=500", f"--http-transport={transport}",
        env={"MITE_CONF_url": nginx.url},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    seen = totals(result.stdout)
    assert seen.journeys == 500
    assert seen.requests == 2000  # a redirect hop counts
    assert nginx.stop() == 2000


@pytest.mark.parametrize("journey", ["counting:visit", "counting.c:visit"])
def test_after_an_interrupt_the_server_saw_no_more_than_the_aborted_ones(
    start: Callable[..., "subprocess.Popen[str]"], nginx: Nginx, tmp_path: Path, journey: str
) -> None:
    process = start(
        "journey", "test", journey, "--volume=50", cwd=tmp_path, env={"MITE_CONF_url": nginx.url}
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
