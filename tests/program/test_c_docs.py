"""The page about the C interface is that of the header; the code in the introduction compiles."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, needs_python
from helpers import Mite, ran


def test_the_interface_is_described_as_it_is() -> None:
    made = subprocess.run([sys.executable, str(ROOT / "scripts" / "c-api")], capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "c-api.md").read_text() == made.stdout, "run scripts/c-api --write"


INTRODUCTION = (ROOT / "docs" / "journeys-in-c.md").read_text()


@needs_python  # the scenario has a journey in Python
def test_the_introduction_as_one_types_it(mite: Mite, target: str, tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```c\n(.*?)```", INTRODUCTION, re.S))
    (tmp_path / "shop.c").write_text(code.replace("http://127.0.0.1:8080", target))
    (tmp_path / "users.csv").write_text(re.search(r"```csv\n(.*?)```", INTRODUCTION, re.S)[1])
    environment = {"MITE_CONF_app_url": target}
    result = mite("scenario", "test", "shop.c:peak", "--duration=3", env=environment)
    assert result.returncode == 0 and "warning" not in result.stderr, result.stdout + result.stderr
    for name in ("shop.c:log_in", "shop.c:pictures", "mite.example:journey"):
        assert name in result.stdout
    for name in ("browse", "with_a_thread", "sell", "with_a_library", "requests", "json", "waits"):
        ran(mite("journey", "run", f"shop.c:{name}", env=environment))
