"""Every example runs, as its first lines say."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from helpers import Mite, totals

EXAMPLES = ROOT / "examples" / "python"


@pytest.fixture
def example(mite: Mite, target: str, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a scenario of examples/python, found by its module's name, against the target."""

    def run(spec: str, *options: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PYTHONPATH": str(EXAMPLES), "MITE_CONF_app_url": target}
        result = mite("scenario", "test", spec, *options, env=environment)
        assert result.returncode == 0, result.stderr + result.stdout
        return result

    return run


Example = Callable[..., "subprocess.CompletedProcess[str]"]


def test_shop(example: Example) -> None:
    result = example("shop:scenario")
    assert totals(result.stdout).errors == 0
    for name in ("Sign up", "Browse :: Front page", "Browse :: Picture"):
        assert name in result.stdout


def test_data_creation_makes_137_records_and_uses_them(example: Example, mite: Mite) -> None:
    created = example("data_creation:create")
    assert totals(created.stdout)[:3] == (137, 0, 137)
    assert len(mite("cat", "recorder_data/users.msgpack").stdout.splitlines()) == 137
    used = example("data_creation:sign_in", "--iterations=300")
    assert totals(used.stdout)[:3] == (300, 0, 300)


def test_own_parts(example: Example) -> None:
    result = example(
        "own_parts:scenario", "--message-processors=mite.logoutput:HttpStatsOutput,own_parts:Slowest", "--iterations=50"
    )
    assert totals(result.stdout).journeys == 50


@pytest.mark.parametrize("command", ["journey test mite.example:journey mite.example:datapool", "scenario test mite.example:scenario"])
def test_the_documents_first_commands(mite: Mite, command: str) -> None:
    result = mite(*command.split(), "--iterations=3", env={"MITE_CONF_test_msg": "Hello from mite"})
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout)[1:3] == (0, 3)
    assert "Hello from mite" in mite("cat", "collector_data/current").stdout
