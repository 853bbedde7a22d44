"""`mite init`: the project that it writes runs, by the commands of its own README."""

import os
import re
import resource
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from conftest import BUILD, environment
from helpers import Mite, free_port, refused

TARGET = "127.0.0.1:8080"
FILES = {
    "--c": {"README.md", "compile_flags.txt", "shop.c"},
    "--python": {"README.md", "pyproject.toml", "shop.py"},
}


def commands(readme: str) -> str:
    """What the README tells to type, as one script."""
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    port = re.search(r"127\.0\.0\.1:(\d+)", blocks[0])
    assert port and "mite target" in blocks[0]
    # By the time that a person has typed the next command, the target answers; a script has to wait for it.
    blocks[0] += f"until (exec 3<>/dev/tcp/127.0.0.1/{port[1]}) 2>/dev/null; do :; done\n"
    return "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n" + "".join(blocks)


@pytest.mark.parametrize("language", ["--c", "--python"])
def test_the_project_runs(mite: Mite, tmp_path: Path, language: str) -> None:
    done = mite("init", language, "load")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "load/README.md says how to run it\n"
    project = tmp_path / "load"
    assert {path.name for path in project.iterdir()} == FILES[language]

    free = f"127.0.0.1:{free_port()}"
    for path in project.iterdir():
        path.write_text(path.read_text().replace(TARGET, free))
    script = commands((project / "README.md").read_text())
    ran = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-x", "-c", script],
        cwd=project,
        env=environment(PATH=f"{BUILD}:/usr/bin:/bin", XDG_CACHE_HOME=str(tmp_path / "cache")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "warning" not in ran.stderr, ran.stderr
    runs = re.findall(r"^\d+ requests, (\d+) errors, (\d+) journeys", ran.stdout, re.MULTILINE)
    assert len(runs) == len(re.findall(r"^mite (?:journey|scenario)", script, re.MULTILINE)) >= 5
    assert all(errors == "0" and int(journeys) > 0 for errors, journeys in runs), ran.stdout


def test_python_is_the_default(mite: Mite, tmp_path: Path) -> None:
    assert mite("init", "load").returncode == 0
    assert (tmp_path / "load" / "shop.py").exists()


def test_what_the_editor_is_told(mite: Mite, tmp_path: Path) -> None:
    assert mite("init", "--c", "in_c").returncode == 0
    include = (tmp_path / "in_c" / "compile_flags.txt").read_text().splitlines()[0]
    assert (Path(include.removeprefix("-I")) / "mite" / "mite.h").exists()

    assert mite("init", "--python", "in_python").returncode == 0
    project = tomllib.loads((tmp_path / "in_python" / "pyproject.toml").read_text())
    packages = Path(project["tool"]["mypy"]["mypy_path"])
    assert (packages / "mite" / "py.typed").exists()
    assert project["tool"]["pyright"]["extraPaths"] == [str(packages)]


def test_an_empty_directory_will_do(mite: Mite, tmp_path: Path) -> None:
    assert mite("init", "--c", ".").returncode == 0
    assert (tmp_path / "shop.c").exists()


def test_nothing_is_overwritten(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "shop.c").write_text("mine\n")
    refused(mite("init", "--c", "load"), 2, "load/shop.c is there already")
    assert (tmp_path / "load" / "shop.c").read_text() == "mine\n"
    assert [path.name for path in (tmp_path / "load").iterdir()] == ["shop.c"]  # nor anything else written

    (tmp_path / "file").touch()
    refused(mite("init", "--c", "file"), 2, "file is there already and is no directory")


def small_files_only() -> None:
    """In the child: as on a disk that is full after a few bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))


def test_a_full_disk_leaves_nothing(mite: Mite, tmp_path: Path) -> None:
    refused(mite("init", "--c", "load", preexec_fn=small_files_only), 3, "cannot write load/", "File too large")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "mine").touch()
    assert mite("init", "--c", "load", preexec_fn=small_files_only).returncode == 3
    assert [path.name for path in (tmp_path / "load").iterdir()] == ["mine"]


def test_bad_usage(mite: Mite) -> None:
    refused(mite("init"), 2, "usage: mite init DIR")
    refused(mite("init", "--c", "--python", "load"), 2, "--c and --python")
    refused(mite("init", "--c", "no/such/load"), 2, "no/such/load")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(mite: Mite, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    refused(mite("init", "--c", "load"), 3, "load")
