"""`mite build`, and building journeys without it: pkg-config and what `make install` leaves."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, environment
from helpers import Mite, ran, refused, said, totals

BROWSE = """
#include <mite/mite.h>

MITE_JOURNEY(browse)
{
    mite_send(ctx, "seen", MITE_INT("number", 1));
}
"""
BUY = "// mite: -lm\n#include <math.h>\n" + BROWSE.replace("browse", "buy").replace("1)", "(int)cbrt(mite_arg_count(ctx)))")


@pytest.fixture(autouse=True)
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.delenv("CC", raising=False)
    (tmp_path / "browse.c").write_text(BROWSE)
    (tmp_path / "buy.c").write_text(BUY)


def silent(result: "subprocess.CompletedProcess[str]") -> None:
    assert (result.returncode, result.stdout, said(result)) == (0, "", ""), result.stderr


def test_one_library_of_several_sources(mite: Mite, tmp_path: Path) -> None:
    silent(mite("build", "browse.c", "buy.c", "-o", "shop.so"))
    # As on a machine without a compiler, and without the sources.
    (tmp_path / "browse.c").unlink()
    (tmp_path / "buy.c").unlink()
    for name in ("browse", "buy"):
        ran(mite("journey", "run", f"./shop.so:{name}", env={"PATH": "/nowhere"}))
        ran(mite("journey", "run", f"{tmp_path}/shop.so:{name}", env={"PATH": "/nowhere"}))
    assert not (tmp_path / "no-cache").exists()


def test_a_scenario_names_what_is_in_its_own_file(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "peak.c").write_text(
        BROWSE
        + """
MITE_DATAPOOL(users)
{
    return mite_pool_single(setup, mite_int(1));
}

MITE_SCENARIO(peak)
{
    mite_add(setup, ":browse", mite_pool(setup, ":users"), mite_volume(setup, MITE_CONSTANT(1, 1)));
}
"""
    )
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = mite("scenario", "test", "deep/peak.c:peak", env=cache)
    assert done.returncode == 0, done.stderr
    assert "deep/peak.c:browse" in done.stdout and totals(done.stdout).journeys == 1

    silent(mite("build", "deep/peak.c"))
    (tmp_path / "deep" / "peak.c").unlink()
    done = mite("scenario", "test", "./peak.so:peak", env={"PATH": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert "./peak.so:browse" in done.stdout and totals(done.stdout).journeys == 1


@pytest.mark.parametrize("option", [["-o", "out.so"], ["-oout.so"], ["--output", "out.so"], ["--output=out.so"]])
def test_the_names_of_the_output(mite: Mite, tmp_path: Path, option: list[str]) -> None:
    silent(mite("build", *option, "browse.c"))
    assert (tmp_path / "out.so").exists()


def test_the_output_is_named_after_the_first_source(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "browse.c").rename(tmp_path / "deep" / "browse.c")
    silent(mite("build", "deep/browse.c", "buy.c"))
    assert (tmp_path / "browse.so").exists()
    ran(mite("journey", "run", "browse.so:buy"))


def test_a_library_that_is_taken_for_a_module(mite: Mite, tmp_path: Path) -> None:
    silent(mite("build", "browse.c", "-o", "shop.so"))
    refused(
        mite("journey", "run", "shop:browse"), 2, "shop.so in this directory is no module of Python's",
        'did you mean "./shop.so:browse"?',
    )  # fmt: skip


def test_a_failed_build_leaves_the_library_that_was_there(mite: Mite, tmp_path: Path) -> None:
    silent(mite("build", "browse.c"))
    before = (tmp_path / "browse.so").read_bytes()
    (tmp_path / "browse.c").write_text(BROWSE + "}")
    done = mite("build", "browse.c")
    assert done.returncode == 2
    assert said(done).startswith("browse.c:8:1: error")
    assert done.stderr.splitlines()[-1].startswith("mite build: browse.c does not compile")
    assert (tmp_path / "browse.so").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"browse.c", "buy.c", "browse.so"}


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_library_of_a_source_in_cpp(mite: Mite, tmp_path: Path, compiler: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    (tmp_path / "shop.cpp").write_text(
        "#include <mite/mite.h>\n#include <string>\n"
        'MITE_JOURNEY(browse) { mite_send(ctx, "seen", MITE_STR("what", std::string("x").c_str())); }\n'
    )
    silent(mite("build", "--cflags=-std=c++20 -Werror", "shop.cpp", "-o", "shop.so", env={"CC": compiler}))
    ran(mite("journey", "run", "./shop.so:browse"))


def test_two_journeys_of_one_name(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "again.c").write_text(BROWSE)
    silent(mite("build", "browse.c", "again.c", "-o", "shop.so"))
    refused(mite("journey", "run", "./shop.so:browse"), 2, 'two of the name "browse"', "browse.c:4", "again.c:4")


def test_bad_usage(mite: Mite, tmp_path: Path) -> None:
    refused(mite("build"), 2, "usage: mite build FILE.c...")
    refused(mite("build", "browse.c", "-o"), 2, "-o needs a value")
    refused(mite("build", "browse.c", "-x"), 2, "unknown option -x")
    refused(mite("journey", "run", "browse.c:browse", "-o", "x"), 2, "mite journey run has no option --output")
    refused(mite("build", "no.c"), 2, "cannot read no.c")
    refused(mite("build", "browse.c", "-o", "browse.c"), 2, "browse.c is a source")
    refused(mite("build", "browse.c", "-o", str(tmp_path)), 2, "is no file")
    refused(mite("build", "browse.c", "-o", "no/such.so"), 2, "cannot write no/such.so")
    (tmp_path / "folder.c").mkdir()
    refused(mite("build", "folder.c"), 2, "mite build: folder.c is a directory")
    (tmp_path / "lib.so").touch()
    refused(mite("build", "browse.c", "lib.so"), 2, "lib.so is a library: mite build takes sources")
    refused(mite("build", "browse.c", env={"PATH": str(tmp_path)}), 3, "no C compiler")


# ---- what is installed ----


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build, installed under a DESTDIR."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(
        ["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet", "--destdir", str(root)],
        check=True,
        capture_output=True,
        env=environment(PATH="/usr/bin:/bin"),
    )
    return root


def only(root: Path, name: str) -> Path:
    found = [path for path in root.rglob(name) if path.is_file()]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def run_installed(root: Path, tmp_path: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    library = only(root, "libmite.so.1*").parent
    return subprocess.run(
        [only(root, "mite"), *args],
        cwd=tmp_path,
        env=environment(LD_LIBRARY_PATH=str(library)),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_journey_built_by_pkg_config(installed: Path, tmp_path: Path) -> None:
    pc = only(installed, "mite.pc")
    env = os.environ | {"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(installed)}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "mite"], env=env, check=True, capture_output=True, text=True
    ).stdout
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Werror", "-o", "mine.so", "browse.c", *shlex.split(flags)], cwd=tmp_path, check=True
    )
    ran(run_installed(installed, tmp_path, "journey", "run", "./mine.so:browse"))
    version = subprocess.run(["pkg-config", "--modversion", "mite"], env=env, capture_output=True, text=True).stdout
    assert run_installed(installed, tmp_path, "--version").stdout == f"mite {version}"


def test_an_installed_mite_compiles_journeys(installed: Path, tmp_path: Path) -> None:
    ran(run_installed(installed, tmp_path, "journey", "run", "buy.c:buy"))
    silent(run_installed(installed, tmp_path, "build", "buy.c"))
    assert run_installed(installed, tmp_path, "init", "--c", "load").returncode == 0
    assert str(installed) in (tmp_path / "load" / "compile_flags.txt").read_text()


def test_a_mite_without_its_header_says_so(installed: Path, tmp_path: Path) -> None:
    header = only(installed, "mite.h")
    aside = header.rename(header.with_suffix(".aside"))
    try:
        refused(run_installed(installed, tmp_path, "journey", "run", "buy.c:buy"), 3, "mite/mite.h is not installed")
        refused(run_installed(installed, tmp_path, "init", "--c", "load"), 3, "mite/mite.h is not installed")
    finally:
        aside.rename(header)
