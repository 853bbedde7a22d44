"""Journeys in C for tests: written to a file, compiled by mite itself, run, and what they sent read back."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers import Mite

Messages = list[dict[str, Any]]
Run = Callable[..., "tuple[subprocess.CompletedProcess[str], Messages]"]

HEADER = "#include <mite/mite.h>\n"


def read_messages(directory: Path) -> Messages:
    """What the collector wrote as JSON lines, without the controller's reports."""
    lines = [line for file in sorted(directory.glob("*")) for line in file.read_text().splitlines()]
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    return [message for message in messages if message["type"] != "controller_report"]


@pytest.fixture
def run_c(mite: Mite, tmp_path: Path) -> Run:
    """Runs journey NAME of a source once: the process, and the messages that it sent."""

    def run(
        source: str, name: str = "journey", *args: str, command: tuple[str, ...] = ("journey", "run"), **kwargs: Any
    ) -> "tuple[subprocess.CompletedProcess[str], Messages]":
        (tmp_path / "j.c").write_text(HEADER + source)
        results = tmp_path / "results"
        options = ("--collector-use-json", f"--collector-dir={results}", "--hide-constant-logs")
        result = mite(*command, f"j.c:{name}", *args, *options, **kwargs)
        return result, read_messages(results) if results.exists() else []

    return run


def of_type(messages: Messages, *types: str) -> Messages:
    return [message for message in messages if message["type"] in types]
