"""Everything that one run of the bench found, as JSON and back: ../results/latest.json is the one that the README shows."""

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from board.clients import MITE
from board.group import Column, GroupResult, LineResult, Verdict

INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")  # lists and maps of plain values: one line each


@dataclass
class Page:
    date: str
    machine: str
    load: list[float]  # load averages of a minute, at the start and at the end: what else the machine had to do shows
    rounds: int
    seconds: int
    groups: list[GroupResult]


def machine() -> str:
    """Processor, cores, kernel and what runs: enough to know whether two pages may be compared."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = found[1] if found else platform.machine()
    mite = subprocess.run([str(MITE), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{processor}, {os.cpu_count()} cores, Linux {platform.release()}, {mite}"


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def score(page: Page) -> tuple[int, int]:
    """How many goals were reached, of how many that could be judged."""
    verdicts = [verdict.reached for group in page.groups for line in group.lines for verdict in line.verdicts]
    return verdicts.count(True), len(verdicts) - verdicts.count(None)


def write(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = json.loads(json.dumps(asdict(page)), parse_float=lambda digits: float(f"{float(digits):.6g}"))
    text = json.dumps(rounded, indent=1, ensure_ascii=False)
    path.write_text(INNERMOST.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def read(path: Path) -> Page:
    raw = json.loads(path.read_text())
    groups = [_group(group) for group in raw.pop("groups")]
    return Page(**raw, groups=groups)


def _group(raw: dict[str, Any]) -> GroupResult:
    columns = [Column(**column) for column in raw.pop("columns")]
    lines = [_line(line) for line in raw.pop("lines")]
    return GroupResult(**raw, columns=columns, lines=lines)


def _line(raw: dict[str, Any]) -> LineResult:
    verdicts = [Verdict(**verdict) for verdict in raw.pop("verdicts")]
    return LineResult(**raw, verdicts=verdicts)
