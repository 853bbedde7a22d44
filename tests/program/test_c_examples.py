"""The examples in C run as their first lines say."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from c_journeys import of_type, read_messages
from conftest import ROOT, needs_python
from helpers import Mite, free_port, totals

EXAMPLES = ROOT / "examples" / "c"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy, so that results do not land among the sources."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "c"))


def test_compilers_have_nothing_to_say(mite: Mite, examples: Path) -> None:
    for source in sorted(examples.glob("*.c")):
        result = mite("build", source.name, "-o", "example.so", cwd=examples)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr


def test_example(mite: Mite, examples: Path) -> None:
    result = mite("scenario", "test", "example.c:scenario", "--iterations=3", "--collector-use-json", cwd=examples)
    assert result.returncode == 0, result.stderr
    sent = of_type(read_messages(examples / "collector_data"), "test_message")
    assert [m["sum"] for m in sent] == [3, 7, 11] and sent[0]["content"] == "Not set"


def test_shop(mite: Mite, examples: Path, target: str) -> None:
    result = mite(
        "scenario", "test", "shop.c:scenario", "--iterations=20", "--collector-use-json", cwd=examples,
        env={"MITE_CONF_app_url": target},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert totals(result.stdout).requests == 20 * 7
    assert len(of_type(read_messages(examples / "collector_data"), "sold")) == 20


def test_data_creation(mite: Mite, examples: Path, target: str) -> None:
    environment = {"MITE_CONF_app_url": target}
    result = mite("scenario", "test", "data_creation.c:create", cwd=examples, env=environment)
    assert result.returncode == 0, result.stdout
    assert totals(result.stdout).journeys == 137
    records = mite("cat", "recorder_data/users.msgpack", cwd=examples).stdout.splitlines()
    assert len(records) == 137 and any('"created-136"' in record for record in records)
    result = mite("scenario", "test", "data_creation.c:sign_in", "--duration=1", cwd=examples, env=environment)
    assert result.returncode == 0, result.stdout
    assert totals(result.stdout).requests >= 20


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis of this test's own."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server here")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "Ready to accept connections" in line or "ready to accept connections" in line:
            break
    yield port
    process.terminate()
    process.communicate()


def test_redis(mite: Mite, examples: Path, redis: int) -> None:
    begin = time.monotonic()
    result = mite(
        "journey", "test", "redis.c:visit", "redis.c:keys", "--volume=10", "--duration=1", "--collector-use-json",
        cwd=examples, env={"MITE_CONF_redis": f"tcp://127.0.0.1:{redis}"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert time.monotonic() - begin < 10
    done = [m["transaction"].split(" :: ")[-1] for m in of_type(read_messages(examples / "collector_data"), "txn")]
    assert done.count("connect") == 10 and done.count("GET") == done.count("SET") >= 50


@needs_python
@pytest.mark.parametrize("scenario", ["mixed.c:scenario", "mixed:scenario"])
def test_mixed(mite: Mite, examples: Path, scenario: str) -> None:
    result = mite("scenario", "test", scenario, "--duration=1", "--collector-use-json", cwd=examples)
    assert result.returncode == 0, result.stderr
    greetings = of_type(read_messages(examples / "collector_data"), "greeting")
    assert {m["from"] for m in greetings} == {"C", "Python"}
    assert {m["journey"] for m in greetings} == {"mixed.c:in_c", "mixed:in_python"}
