"""More connections than this machine has local ports for: in a network of its own, with ten of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import command, environment
from helpers import totals

SOURCE = """
from mite_http import mite_http

@mite_http
async def slow(ctx):
    await ctx.http.get("http://127.0.0.1:8080/delay/500")
"""

# mite's arguments behind it; the target says where it is once it listens.
SCRIPT = """
ip link set lo up && echo "50000 50009" >/proc/sys/net/ipv4/ip_local_port_range || exit 77
mkfifo up
"$0" target --address=127.0.0.1:8080 >up 2>/dev/null &
read -r _ <up
"$@"
status=$?
kill $!
exit $status
"""


def has_networks() -> bool:
    script = "ip link set lo up && echo '50000 50009' >/proc/sys/net/ipv4/ip_local_port_range"
    tools = shutil.which("unshare") and shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin")
    return bool(tools) and subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not has_networks(), reason="no network of one's own can be made")


def run(tmp_path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    (tmp_path / "slow.py").write_text(SOURCE)
    mite = command()
    journey = ("journey", "test", "slow:slow", "--volume=18", "--iterations=18", "--no-collector", *options)
    return subprocess.run(
        ["unshare", "-n", "sh", "-c", SCRIPT, mite[-1], *mite, *journey],
        cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("transport", ["native", "curl"])
def test_no_port_is_left(tmp_path: Path, transport: str) -> None:
    result = run(tmp_path, f"--http-transport={transport}")
    counts = totals(result.stdout)
    assert result.returncode == 1, result.stderr
    assert counts.requests == 10 and counts.errors == 8, result.stdout
    text = " ".join(result.stdout.split())
    assert "no local port is free: spread the connections over several addresses of this machine" in text
    assert "--local-address=ADDRESS" in text


@pytest.mark.parametrize("transport", ["native", "curl"])
def test_several_addresses_have_ports_for_all(tmp_path: Path, transport: str) -> None:
    result = run(
        tmp_path, f"--http-transport={transport}", "--local-address=127.0.0.2", "--local-address=127.0.0.3"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert totals(result.stdout)[:3] == (18, 0, 18)
