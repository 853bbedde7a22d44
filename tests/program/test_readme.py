"""The README's five minutes: its files are written, its commands run, in the order in which they stand there."""

import re
import subprocess
from pathlib import Path

from conftest import BUILD, ROOT, environment
from helpers import free_port

TARGET = "127.0.0.1:8080"


def tour() -> str:
    """The section, with its own target address replaced by one that is free."""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Five minutes$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section, "the README has no five minutes"
    assert TARGET in section[1]
    return section[1].replace(TARGET, f"127.0.0.1:{free_port()}")


def test_five_minutes(tmp_path: Path) -> None:
    text = tour()
    for name, source in re.findall(r"Save this as `(\S+)`:\n\n```python\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(source)
    commands = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert len(commands) >= 8
    port = re.search(r"http://127.0.0.1:([0-9]+)", text)[1]
    # By the time that a person has typed the next command, the target answers; a script has to wait for it.
    commands[0] += f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do :; done\n"
    script = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n" + "".join(commands)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-x", "-c", script],
        cwd=tmp_path,
        env=environment(PATH=f"{BUILD}:/usr/bin:/bin"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Front page" in done.stdout and "Search" in done.stdout
    assert re.findall(r"(\d+) errors", done.stdout) == ["0"] * 5


def test_links_lead_somewhere() -> None:
    """Relative links in what people read."""
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("examples/**/*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []
