"""Installing, packaging and what the built files look like from outside."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, ROOT, environment


def run(*argv: str, **kwargs) -> "subprocess.CompletedProcess[str]":
    kwargs = {"env": environment(PATH="/usr/bin:/bin"), "stdin": subprocess.DEVNULL, "timeout": 600, **kwargs}
    return subprocess.run(argv, capture_output=True, text=True, **kwargs)


def test_install_deps_is_silent_when_nothing_is_missing() -> None:
    done = run(str(ROOT / "scripts" / "install-deps"), "build", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_install_deps_without_rights_says_what_is_needed(tmp_path: Path) -> None:
    """With a dpkg that knows no package, an id that is not root and a sudo that refuses."""
    for name, script in {"dpkg-query": "exit 1", "id": "echo 1000", "sudo": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = run(str(ROOT / "scripts" / "install-deps"), "bench", env=environment(PATH=f"{tmp_path}:/usr/bin:/bin"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install apache2-utils hey linux-perf" in done.stderr


def test_install_deps_on_another_system(tmp_path: Path) -> None:
    """Without apt there is one sentence, and the build may try."""
    (tmp_path / "bash").symlink_to("/bin/bash")
    done = run("/bin/bash", str(ROOT / "scripts" / "install-deps"), "build", env={"PATH": str(tmp_path)})
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1 and "libuv1-dev" in done.stderr


def use(mite: str, folder: Path) -> None:
    """The program works from where it was put, without any help from the environment."""
    version = run(mite, "--version", cwd=folder)
    assert re.fullmatch(r"mite \d+\.\d+\.\d+\n", version.stdout), version.stderr
    done = run(mite, "journey", "run", "mite.example:journey", "mite.example:datapool", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^0 requests, 0 errors, 1 journeys in", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(("backends", "refused"), [("GnuTLS", True), ("", True), ("OpenSSL", False)])
def test_a_libcurl_without_openssl_is_refused(tmp_path: Path, backends: str, refused: bool) -> None:
    (tmp_path / "curl-config").write_text(f"#!/bin/sh\necho {backends}\n")
    (tmp_path / "curl-config").chmod(0o755)
    done = run(str(ROOT / "scripts" / "curl-tls"), env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == (1 if refused else 0)
    assert done.stdout.count("\n") == (1 if refused else 0)
    assert not refused or "libcurl4-openssl-dev" in done.stdout


def test_make_install(tmp_path: Path) -> None:
    """PREFIX and DESTDIR mean what they mean everywhere; an installed mite runs from there."""
    prefix = tmp_path / "prefix"
    made = run("make", "install", f"PREFIX={prefix}", f"BUILD={tmp_path / 'build'}", cwd=ROOT)
    assert made.returncode == 0, made.stdout + made.stderr
    use(str(prefix / "bin" / "mite"), tmp_path)
    staged = run("make", "install", f"PREFIX={prefix}", f"BUILD={tmp_path / 'build'}", f"DESTDIR={tmp_path / 'stage'}", cwd=ROOT)
    assert staged.returncode == 0, staged.stdout + staged.stderr
    assert (tmp_path / "stage" / prefix.relative_to("/") / "bin" / "mite").exists()


def test_pip_install(tmp_path: Path) -> None:
    """`pip install .` in a virtual environment of Debian's Python gives the command and the packages."""
    venv = tmp_path / "venv"
    assert run("/usr/bin/python3", "-m", "venv", str(venv)).returncode == 0
    pip = run(str(venv / "bin" / "pip"), "--no-input", "--disable-pip-version-check", "install", str(ROOT), env=os.environ)
    if pip.returncode != 0 and re.search(r"No matching distribution|Connection|NewConnectionError", pip.stderr):
        pytest.skip("no package index can be reached")
    assert pip.returncode == 0, pip.stdout[-3000:] + pip.stderr[-3000:]
    use(str(venv / "bin" / "mite"), tmp_path)
    imports = run(str(venv / "bin" / "python"), "-c", "import mite, mite_http, acurl; print(mite.__version__)", cwd=tmp_path)
    assert imports.returncode == 0, imports.stderr
    module = run(str(venv / "bin" / "python"), "-m", "mite", "--version", cwd=tmp_path)
    assert module.stdout == f"mite {imports.stdout}"


def test_demo() -> None:
    """The scenario against the built-in target, here for one second; then the summary, and nothing left running."""
    done = run(str(ROOT / "scripts" / "demo"), "--duration=1")
    assert done.returncode == 0, done.stderr
    assert "Sign up" in done.stdout
    assert re.search(r"^[1-9]\d* requests, 0 errors, \d+ journeys in", done.stdout, re.MULTILINE)
