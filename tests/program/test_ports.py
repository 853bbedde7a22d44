"""More connections than this machine has local ports or descriptors for."""

import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import command, environment
from helpers import Mite, totals

SOURCE = """
from mite_http import mite_http

@mite_http
async def slow(ctx):
    await ctx.http.get(ctx.config["url"] + "/delay/500")
"""

# A network of its own, with ten ports. mite's arguments behind it; the target says where it is once it listens.
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


in_a_network = pytest.mark.skipif(not has_networks(), reason="no network of one's own can be made")


@pytest.fixture(autouse=True)
def journey(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SOURCE)


def run(tmp_path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    mite = command()
    journey = ("journey", "test", "slow:slow", "--volume=18", "--iterations=18", "--no-collector",
               "--add-to-config=url:http://127.0.0.1:8080", *options)  # fmt: skip
    return subprocess.run(
        ["unshare", "-n", "sh", "-c", SCRIPT, mite[-1], *mite, *journey],
        cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@in_a_network
@pytest.mark.parametrize("transport", ["native", "curl"])
def test_no_port_is_left(tmp_path: Path, transport: str) -> None:
    result = run(tmp_path, f"--http-transport={transport}")
    counts = totals(result.stdout)
    assert result.returncode == 1, result.stderr
    assert counts.requests == 10 and counts.errors == 8, result.stdout
    text = " ".join(result.stdout.split())
    assert "no local port is free: spread the connections over several addresses of this machine" in text
    assert "--local-address=ADDRESS" in text


@in_a_network
@pytest.mark.parametrize("transport", ["native", "curl"])
def test_several_addresses_have_ports_for_all(tmp_path: Path, transport: str) -> None:
    result = run(
        tmp_path, f"--http-transport={transport}", "--local-address=127.0.0.2", "--local-address=127.0.0.3"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert totals(result.stdout)[:3] == (18, 0, 18)


@pytest.mark.parametrize("transport", ["native", "curl"])
@pytest.mark.parametrize("most", [1000, 60])
def test_descriptors(mite: Mite, target: str, transport: str, most: int) -> None:
    """The soft limit is raised to the hard one; beyond that there is a sentence that helps."""
    result = mite(
        "journey", "test", "slow:slow", f"--add-to-config=url:{target}", "--volume=80", "--iterations=80",
        f"--http-transport={transport}", "--no-collector",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, most)),
    )  # fmt: skip
    counts = totals(result.stdout)
    if most > 80:
        assert result.returncode == 0 and counts[:3] == (80, 0, 80), result.stdout + result.stderr
    else:
        assert result.returncode == 1 and counts.requests + counts.errors == 80, result.stderr
        assert 20 < counts.requests < 60
        text = " ".join(result.stdout.split())
        assert "cannot open a socket: too many open files (raise the limit: ulimit -n)" in text
