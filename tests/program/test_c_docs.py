"""The page about the C interface is that of the header; the code in the introduction compiles."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_the_interface_is_described_as_it_is() -> None:
    made = subprocess.run([sys.executable, str(ROOT / "scripts" / "c-api")], capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "c-api.md").read_text() == made.stdout, "run scripts/c-api --write"


def test_code_of_the_introduction_compiles(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "journeys-in-c.md").read_text()
    code = "\n".join(re.findall(r"```c\n(.*?)```", page, re.S))
    (tmp_path / "page.c").write_text(code)
    flags = "-std=gnu11 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only".split()
    compiled = subprocess.run(
        ["gcc", *flags, f"-I{ROOT / 'include'}", "page.c"], cwd=tmp_path, capture_output=True, text=True
    )
    assert compiled.returncode == 0, compiled.stderr
