"""The code in the documents: it is Python, and what is told as a whole runs as it stands."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BUILD, ROOT, environment
from helpers import Mite, totals

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_python(page: Path) -> None:
    for block in blocks(page):
        compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_data_creation(mite: Mite, target: str, tmp_path: Path) -> None:
    create, use, by_hand = blocks(ROOT / "docs" / "data-creation.md")
    (tmp_path / "data_creation.py").write_text(create + use)
    (tmp_path / "by_hand.py").write_text(
        by_hand + '\ndef scenario():\n    return [("data_creation:log_in", usernames_datapool, lambda start, end: 20)]\n'
    )
    config = {"MITE_CONF_app_url": target}
    assert totals(mite("scenario", "test", "data_creation:create", env=config).stdout)[:3] == (137, 0, 137)
    for spec in ("data_creation:sign_in", "by_hand:scenario"):
        assert totals(mite("scenario", "test", spec, "--iterations=200", env=config).stdout)[:3] == (200, 0, 200)


def test_volume_models(mite: Mite, tmp_path: Path) -> None:
    constant, rate, chain = blocks(ROOT / "docs" / "volume-models.md")
    scenario = 'def scenario():\n    return [("vm:journey", None, volumemodel), ("vm:journey", None, model)]\n'
    rate = rate.replace("        ...", "        pass")
    (tmp_path / "vm.py").write_text(constant + rate + chain + scenario)
    result = mite("scenario", "test", "vm:scenario", "--duration=0.5")  # within the first second's instances
    assert totals(result.stdout)[:3] == (0, 0, 10), result.stderr


def test_tests_of_ones_own(target: str, tmp_path: Path) -> None:
    page = blocks(ROOT / "docs" / "journeys.md")
    tests = page[-1].replace("http://127.0.0.1:8080", target)
    assert target in tests
    (tmp_path / "test_browse.py").write_text(page[0] + tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_browse.py"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_help_shows_the_options_of_the_command_and_no_others(mite: Mite) -> None:
    controller, ctl = (mite(name, "--help").stdout for name in ("controller", "ctl"))
    for option in "--controller-socket", "--message-socket", "--state", "--runner-timeout", "--curve-allow":
        assert option in controller
    assert "volume SCENARIO FACTOR" in ctl and "--controller-socket" in ctl and "--json" in ctl
    assert "--stats-in-socket" not in controller + ctl and "--web-address" not in controller + ctl
    assert "--state" not in mite("scenario", "test", "--help").stdout
