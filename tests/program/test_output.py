"""What a run shows: the live block, reports, thresholds, message processors, the webhook, files."""

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pexpect
import pytest

from conftest import command, environment
from helpers import Mite, totals

SOURCE = """
import asyncio

from mite.volume_model import Constant
from mite_http import mite_http

@mite_http
async def get(ctx):
    async with ctx.transaction("front page"):
        await ctx.http.get(ctx.config["url"] + "/")

@mite_http
async def wait(ctx):
    async with ctx.transaction("slow page"):
        await ctx.http.get(ctx.config["url"] + "/delay/30")

@mite_http
async def missing(ctx):
    await ctx.http.get(ctx.config["url"] + "/status/404")

async def shout(ctx):
    ctx.send("debug_console_message", text="heard this")
    ctx.send("shout", words=["a", b"b", {1: None}])

async def many(ctx, n):
    async with ctx.transaction(f"transaction {n}"):
        pass

from mite.datapools import IterableDataPool
numbers = IterableDataPool([(n,) for n in range(1100)])

def long():
    return [["output:get", None, Constant(duration=30, tps=2)]]

class Processor:
    def __init__(self, options):
        self.options = options
        self.types = []

    def process_message(self, message):
        with open("seen", "a") as out:
            print(message["type"], self.options["--report"], file=out)

class Raw:
    def __init__(self):
        pass

    def process_raw_message(self, raw):
        assert isinstance(raw, bytes)
        with open("raw", "ab") as out:
            out.write(raw)

class Broken:
    def __init__(self, options):
        pass

    def process_message(self, message):
        raise RuntimeError("processor broke")

def keep_txn(raw):
    return b"txn" in raw
"""


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> None:
    (tmp_path / "output.py").write_text(SOURCE)


@pytest.fixture
def run(mite: Mite, target: str) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`mite journey test` of a journey above, against the target."""

    def journey(name: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return mite("journey", "test", f"output:{name}", *options, env={"MITE_CONF_url": target})

    return journey


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_summary_has_a_row_for_each_transaction_and_request_group(run: Run) -> None:
    result = run("get", "--iterations=30")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout)[:3] == (30, 0, 30)
    assert re.search(r"front page\s.*\b30\b", result.stdout)
    for column in ("avg", "p50", "p90", "p95", "p99", "p99.9", "max"):
        assert column in result.stdout


def test_status_400_and_above_is_a_column_not_an_error(run: Run) -> None:
    result = run("missing", "--iterations=5")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout)[:3] == (5, 0, 5)
    assert re.search(r"GET.*\b5\b.*\b5\b", result.stdout)


def test_more_than_1000_groups_share_one_called_other(mite: Mite) -> None:
    result = mite("journey", "test", "output:many", "output:numbers", "--volume=50")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 1100
    assert "other" in result.stdout
    assert "transaction 1099" not in result.stdout


def test_report_has_latency_and_rate_tables_also_for_short_runs(run: Run, mite: Mite) -> None:
    result = run("get", "--iterations=10", "--report", "--benchmark-percentiles=50:1000,99.9:2000")
    assert result.returncode == 0, result.stderr
    assert "99.9" in result.stdout and "standard deviation" in result.stdout
    empty = mite("journey", "run", "output:shout", "--report", "--message-processors=")
    assert empty.returncode == 0, empty.stderr


@pytest.mark.parametrize(
    "option",
    [
        "--max-response-time-threshold=1",
        "--mean-response-time-threshold=1",
        "--benchmark-percentiles=50:1",
        "--standard-deviation-response-time-threshold=0.000001",
    ],
)
def test_a_crossed_threshold_fails_the_run_and_is_named(run: Run, option: str) -> None:
    result = run("wait", "--iterations=3", option)
    assert result.returncode == 1
    assert "the threshold of" in result.stdout
    assert run("wait", "--iterations=3", option.split("=")[0] + ("=50:9999" if "perc" in option else "=9999")).returncode == 0


def test_own_message_processors_see_every_message(run: Run, tmp_path: Path) -> None:
    result = run("get", "--iterations=2", "--message-processors=output:Processor,output:Raw", "--report")
    assert result.returncode == 0, result.stderr
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen.count("http_metrics True") == 2
    assert seen.count("txn True") == 4
    assert "Last 2 Secs" not in result.stderr
    assert (tmp_path / "raw").stat().st_size > 500


def test_a_processor_that_raises_is_logged_once_and_the_load_goes_on(run: Run) -> None:
    result = run("get", "--iterations=20", "--message-processors=output:Broken")
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 20
    assert 1 <= result.stderr.count("processor broke") <= 3


def test_message_log_prints_debug_console_messages(mite: Mite) -> None:
    result = mite("journey", "run", "output:shout")
    assert "heard this" in result.stderr
    assert "words" not in result.stderr
    assert "words" in mite("journey", "run", "output:shout", "--log-level=debug").stderr


def test_collector_keeps_every_message_whole(mite: Mite, tmp_path: Path) -> None:
    mite("journey", "run", "output:shout")
    lines = mite("cat", "collector_data/current").stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    shout = next(m for m in messages if m["type"] == "shout")
    assert shout["words"] == ["a", {"__bytes__": "Yg=="}, {"__map__": [[1, None]]}]
    assert shout["journey"] == "output:shout" and shout["transaction"] == "__root__"


def test_collector_rolls_filters_writes_json_and_can_be_off(mite: Mite, tmp_path: Path) -> None:
    base = ("journey", "test", "output:shout", "--iterations=10")
    mite(*base, "--collector-roll=7", "--collector-dir=rolled")
    assert len(list((tmp_path / "rolled").iterdir())) >= 5
    mite(*base, "--collector-use-json", "--collector-dir=json")
    assert all(json.loads(line) for line in (tmp_path / "json" / "current").read_text().splitlines())
    mite(*base, "--collector-filter=output:keep_txn", "--collector-dir=filtered")
    kept = mite("cat", "filtered/current").stdout.splitlines()
    assert len(kept) == 10
    mite(*base, "--no-collector", "--collector-dir=off")
    assert not (tmp_path / "off").exists()


def test_collector_stops_at_its_limit_and_says_so(mite: Mite) -> None:
    result = mite("journey", "test", "output:shout", "--iterations=100", "--collector-max-bytes=5000")
    assert result.returncode == 0, result.stderr
    assert re.search(r"collector.*\b\d+ ", result.stdout, re.IGNORECASE)


class Webhook(BaseHTTPRequestHandler):
    calls: list[tuple[str, dict[str, object]]] = []

    def do_POST(self) -> None:  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.calls.append((self.path, body))
        answer = b'{"newid": 42}' if self.path == "/hook/start" else b""
        self.send_response(200 if answer else 204)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    Webhook.calls.clear()
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", ["option", "environment"])
def test_webhook_is_told_of_start_and_end(mite: Mite, webhook: str, how: str) -> None:
    options = [f"--logging-webhook={webhook}"] if how == "option" else []
    env = {"MITE_LOGGING_URL": webhook} if how == "environment" else {}
    assert mite("journey", "run", "output:shout", *options, env=env).returncode == 0
    assert Webhook.calls == [("/hook/start", {"testname": "output:shout"}), ("/hook/end", {"id": 42})]


def test_webhook_that_is_not_there_stops_the_run_before_load(mite: Mite) -> None:
    result = mite("journey", "run", "output:shout", "--logging-webhook=http://127.0.0.1:1")
    assert result.returncode == 3
    assert "http://127.0.0.1:1/start" in result.stderr


def terminal(tmp_path: Path, target: str, *options: str, **env: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        command()[0],
        [*command()[1:], "scenario", "test", "output:long", *options],
        cwd=str(tmp_path),
        env=environment(MITE_CONF_url=target, TERM="xterm-256color", **env),
        encoding="utf-8",
        dimensions=(40, 100),
        timeout=30,
    )


def test_live_block_redraws_on_a_terminal_and_gives_it_back(tmp_path: Path, target: str) -> None:
    child = terminal(tmp_path, target)
    child.expect(r"p50")
    child.expect(r"p50")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert "\x1b[" in child.before
    assert "Total>" not in child.before


def test_live_block_counts_to_the_end_of_the_last_window(tmp_path: Path, target: str) -> None:
    child = terminal(tmp_path, target)
    child.expect(r"of (\d\d:\d\d)")
    assert child.match.group(1) == "00:31"  # a model of 30 s is asked once more at its end
    child.sendintr()
    child.expect(pexpect.EOF)


def test_live_block_leaves_the_terminal_to_the_shell_at_ctrl_z(tmp_path: Path, target: str) -> None:
    environ = environment(MITE_CONF_url=target, TERM="xterm-256color", PS1="> ")
    shell = pexpect.spawn(
        "bash",
        ["--norc", "--noprofile", "--noediting", "-i"],
        cwd=str(tmp_path),
        env=environ,
        encoding="utf-8",
        dimensions=(40, 100),
        timeout=30,
    )
    shell.sendline(shlex.join([*command(), "scenario", "test", "output:long"]))
    shell.expect(r"p50")
    shell.send("\x1a")
    shell.expect("\r\x1b\\[J")
    shell.expect("Stopped")
    assert "p50" not in shell.before
    shell.sendline("fg")
    shell.expect(r"p50")
    shell.sendintr()
    shell.expect(r"\d+ requests, 0 errors")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)


def test_no_color_is_obeyed(tmp_path: Path, target: str) -> None:
    child = terminal(tmp_path, target, NO_COLOR="1")
    child.expect(r"p50")
    seen = child.before
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert not re.search(r"\x1b\[(0|1|2|3\d|9\d|38;[\d;]+)m", seen + child.before)


def test_help_fits_a_screen_and_shows_examples(mite: Mite) -> None:
    result = mite("--help")
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) <= 45
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "Examples" in result.stdout and "130" in result.stdout
    assert re.fullmatch(r"mite \d+\.\d+\.\d+\n", mite("--version").stdout)


def test_every_option_is_in_the_command_reference(mite: Mite) -> None:
    reference = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    for name in ("scenario test", "journey test", "build", "init", "target", "cat", "har"):
        for option in re.findall(r"--[a-z-]+", mite("help", *name.split()).stdout):
            assert option in reference, f"docs/commands.md does not name {option} of mite {name}"
