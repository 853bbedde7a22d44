"""Journeys in C: found, compiled, kept and loaded; and what each of these says when it cannot."""

import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, inherited, ran, refused, said

SHOP = """
#include <mite/mite.h>

MITE_JOURNEY(browse)
{
    mite_send(ctx, "seen", MITE_INT("number", 1));
}

MITE_JOURNEY(checkout)
{
}

MITE_DATAPOOL(users)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_int(1)));
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache directory, empty, outside the directory that mite runs in."""
    folder = tmp_path.parent / f"{tmp_path.name}-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder / "mite"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.c"
    path.write_text(SHOP)
    return path


def libraries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*.so"))


# ---- what works ----


def test_a_source_is_compiled_once(mite: Mite, shop: Path, cache: Path) -> None:
    ran(mite("journey", "run", "shop.c:browse"))
    first = libraries(cache)
    assert len(first) == 1
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    ran(mite("journey", "run", "shop.c:checkout"))
    assert libraries(cache) == first
    assert [path.suffix for path in cache.iterdir() if path.suffix not in (".so", ".inputs")] == []


def test_a_source_in_another_directory(mite: Mite, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    shop.rename(tmp_path / "deep" / "er" / "shop.c")
    ran(mite("journey", "run", "deep/er/shop.c:browse"))
    ran(mite("journey", "run", str(tmp_path / "deep" / "er" / "shop.c") + ":browse"))


def test_a_change_is_compiled_also_of_an_include(mite: Mite, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text.h").write_text('#define TEXT "one"\n')
    (tmp_path / "say.c").write_text(
        '#include <mite/mite.h>\n#include "text.h"\nMITE_JOURNEY(say) { mite_fail(ctx, "it is %s", TEXT); }\n'
    )
    assert "it is one" in mite("journey", "run", "say.c:say").stdout
    (tmp_path / "text.h").write_text('#define TEXT "two"\n')
    assert "it is two" in mite("journey", "run", "say.c:say").stdout
    assert len(libraries(cache)) == 2


@pytest.mark.parametrize("flags", ["-L. -lwords", "words.o"])
def test_a_change_of_what_is_linked(mite: Mite, tmp_path: Path, flags: str) -> None:
    (tmp_path / "say.c").write_text(
        f"// mite: {flags}\n#include <mite/mite.h>\nextern const char *word(void);\n"
        'MITE_JOURNEY(say) { mite_fail(ctx, "it is %s", word()); }\n'
    )
    for word in ("one", "two", "three"):
        (tmp_path / "words.c").write_text(f'const char *word(void); const char *word(void) {{ return "{word}"; }}\n')
        subprocess.run(["gcc", "-fPIC", "-c", "words.c"], cwd=tmp_path, check=True)
        subprocess.run(["ar", "rcs", "libwords.a", "words.o"], cwd=tmp_path, check=True)
        assert f"it is {word}" in mite("journey", "run", "say.c:say").stdout


def test_flags_of_the_source_and_of_the_command_line(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "flags.c").write_text(
        "// mite: -lm '-DTEXT=\"a b\"'\n"
        "#include <math.h>\n#include <mite/mite.h>\n"
        'MITE_JOURNEY(say) { mite_fail(ctx, "%s %d %.0f", TEXT, NUMBER, cbrt(mite_arg_count(ctx) + 27.0)); }\n'
    )
    done = mite("journey", "run", "flags.c:say", "--cflags=-DNUMBER=7 -Wextra", "--ldflags", "-lz")
    assert "a b 7 3" in done.stdout, done.stderr


def test_two_files_in_one_scenario(mite: Mite, shop: Path, tmp_path: Path) -> None:
    shutil.copy(shop, tmp_path / "second.c")
    assert mite("build", "second.c").returncode == 0
    (tmp_path / "both.py").write_text(
        "from mite.volume_model import Constant\n"
        "def scenario():\n"
        "    return [('shop.c:browse', None, Constant(1, 1)), ('./second.so:browse', None, Constant(1, 1))]\n"
    )
    done = mite("scenario", "test", "both:scenario", "--iterations=20")
    assert done.returncode == 0, done.stderr
    assert "shop.c:browse" in done.stdout and "./second.so:browse" in done.stdout


def test_a_function_named_as_one_of_libc_is_the_journeys_own(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "own.c").write_text(
        "#include <mite/mite.h>\n"
        "int login(int a) { return a + 1; }\n"
        'MITE_JOURNEY(say) { mite_fail(ctx, "login gave %d", login(41)); }\n'
    )
    assert "login gave 42" in mite("journey", "run", "own.c:say").stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang", "gcc -std=c11 -D_GNU_SOURCE"])
def test_the_compiler_of_cc(mite: Mite, shop: Path, compiler: str) -> None:
    if not shutil.which(compiler.split()[0]):
        pytest.skip(f"no {compiler}")
    ran(mite("journey", "run", "shop.c:browse", env={"CC": compiler}))


def test_compiled_at_the_same_time(shop: Path, start: Callable[..., "subprocess.Popen[str]"], cache: Path) -> None:
    runs = [start("journey", "run", "shop.c:browse", "--no-collector", cwd=shop.parent) for _ in range(4)]
    assert [run.wait(timeout=60) for run in runs] == [0] * 4
    assert len(libraries(cache)) == 1


def compiler(folder: Path, name: str, script: str) -> str:
    """A program to be $CC."""
    (folder / name).write_text(f"#!/bin/sh\n{script}")
    (folder / name).chmod(0o755)
    return str(folder / name)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """What a compiler and its test wait for each other at."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_long_compilation_is_told_of(
    shop: Path, tmp_path: Path, fifo: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    slow = compiler(tmp_path, "slow-cc", 'read -r line <"$FIFO"\nexec cc "$@"\n')
    run = start("journey", "run", "shop.c:browse", cwd=tmp_path, env={"CC": slow, "FIFO": str(fifo)})
    assert run.stderr is not None
    assert "compiling shop.c" in run.stderr.readline()  # it waits for the pipe: the line has come before
    fifo.write_text("go on\n")
    run.communicate(timeout=60)
    assert run.returncode == 0


# ---- what does not ----


def test_a_source_that_does_not_compile(mite: Mite, shop: Path, cache: Path) -> None:
    shop.write_text(SHOP.replace("MITE_INT", "MITE_INTEGER"))
    done = mite("journey", "run", "shop.c:browse")
    assert done.returncode == 2
    assert re.search(r"^shop\.c:6:\d+: .*MITE_INTEGER", done.stderr, re.MULTILINE), done.stderr
    assert 'cannot load journey "shop.c:browse": shop.c does not compile' in done.stderr.splitlines()[-1]
    assert list(cache.iterdir()) == []


def test_a_function_that_nobody_has(mite: Mite, shop: Path) -> None:
    shop.write_text(SHOP.replace("mite_send(ctx", "void buy_it(void); buy_it(); mite_send(ctx"))
    done = mite("journey", "run", "shop.c:browse")
    assert done.returncode == 2
    assert "buy_it" in done.stderr and "does not compile" in done.stderr.splitlines()[-1]


def test_a_library_to_link_that_is_missing(mite: Mite, shop: Path) -> None:
    shop.write_text("// mite: -lnosuchthing\n" + SHOP)
    done = mite("journey", "run", "shop.c:browse")
    assert done.returncode == 2
    assert "nosuchthing" in done.stderr and "does not compile" in done.stderr.splitlines()[-1]


def test_names(mite: Mite, shop: Path) -> None:
    refused(
        mite("journey", "run", "shop.c:chekout"),
        2,
        'shop.c has no journey "chekout" (did you mean "checkout"?); it has browse, checkout',
    )
    refused(mite("journey", "run", "shop.c:users"), 2, '"users" in shop.c is a datapool, not a journey')
    refused(mite("journey", "run", "shop.c:browse", "shop.c:browse"), 2, '"browse" in shop.c is a journey, not a datapool')
    refused(mite("scenario", "test", "shop.c:peak"), 2, 'shop.c has no scenario "peak" and no other')
    refused(mite("journey", "run", "shop.c:"), 2, "no spec")


def test_a_file_that_is_not_there(mite: Mite, shop: Path) -> None:
    refused(mite("journey", "run", "shp.c:browse"), 2, 'there is no file shp.c (did you mean "shop.c"?)')
    refused(mite("journey", "run", "other/else.so:browse"), 2, "cannot read other/else.so")
    refused(mite("journey", "run", "shop.c/else.so:browse"), 2, "cannot read shop.c/else.so: Not a directory")
    shop.with_name("gone.c").symlink_to("nowhere.c")
    refused(mite("journey", "run", "gone.c:browse"), 2, "cannot read gone.c: No such file or directory")


def test_a_source_that_is_no_file(mite: Mite, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.c")
    (tmp_path / "folder.c").mkdir()
    refused(mite("journey", "run", "pipe.c:browse"), 2, 'cannot load journey "pipe.c:browse": pipe.c is no regular file')
    refused(mite("journey", "run", "folder.c:browse"), 2, 'cannot load journey "folder.c:browse": folder.c is a directory')


def test_a_journey_in_a_scenario_that_is_not_there(mite: Mite, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from mite.volume_model import Constant\n"
        "def scenario():\n"
        "    return [('shop.c:brows', None, Constant(1, 1))]\n"
    )
    refused(mite("scenario", "test", "wrong:scenario"), 2, 'did you mean "browse"?')


def test_what_a_scenario_in_c_names(mite: Mite, shop: Path) -> None:
    once = "mite_volume(setup, MITE_CONSTANT(1, 1))"
    for body, part in (
        (f'mite_add(setup, ":brows", NULL, {once});', 'cannot load journey "shop.c:brows"'),
        (f'mite_add(setup, ":browse", mite_pool(setup, ":user"), {once});', 'did you mean "users"?'),
        (f'mite_add(setup, ":", NULL, {once});', "no spec"),
        (f"mite_add(setup, NULL, NULL, {once});", "journey 1 has no spec"),
        (f'mite_add(setup, ":browse", mite_pool(setup, NULL), {once});', "mite_pool() was given NULL for its spec"),
    ):
        shop.write_text(SHOP + "MITE_SCENARIO(peak) { " + body + " }\n")
        refused(mite("scenario", "test", "shop.c:peak"), 2, part)


def test_a_bad_flag(mite: Mite, shop: Path) -> None:
    refused(mite("journey", "run", "shop.c:browse", "--cflags=-DA='x"), 2, "--cflags: a quote is open")
    shop.write_text('// mite: "-lm\n' + SHOP)
    refused(mite("journey", "run", "shop.c:browse"), 2, "shop.c: a quote is open")
    shop.write_text("// mite: more.c\n" + SHOP)
    refused(mite("journey", "run", "shop.c:browse"), 2, "more.c", "mite build")


def test_a_compiler_that_is_not_there(mite: Mite, shop: Path, tmp_path: Path) -> None:
    refused(mite("journey", "run", "shop.c:browse", env={"CC": "nosuchcc"}), 3, "CC=nosuchcc", "no such program")
    refused(
        mite("journey", "run", "shop.c:browse", env={"PATH": str(tmp_path)}), 3, "no C compiler", "install", "mite build"
    )


def test_a_compiler_that_dies(mite: Mite, shop: Path, tmp_path: Path) -> None:
    compiler(tmp_path, "dies", "kill -SEGV $$\n")
    refused(mite("journey", "run", "shop.c:browse", env={"CC": "./dies"}), 3, "./dies was ended by signal 11")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_compiler_ends_with_mite(
    shop: Path,
    tmp_path: Path,
    cache: Path,
    fifo: Path,
    start: Callable[..., "subprocess.Popen[str]"],
    number: signal.Signals,
) -> None:
    """And what it started: each holds the pipe open."""
    endless = compiler(tmp_path, "endless-cc", 'exec >"$FIFO"\nsleep 300 &\necho begun\nwait\n')
    with inherited(number, signal.SIG_DFL):
        run = start("journey", "run", "shop.c:browse", cwd=tmp_path, env={"CC": endless, "FIFO": str(fifo)})
    with fifo.open() as pipe:
        assert pipe.readline() == "begun\n"
        run.send_signal(number)
        assert pipe.read() == ""
    assert run.wait(timeout=60) == -number
    assert list(cache.iterdir()) == []


def test_a_compiler_that_makes_something_else(mite: Mite, shop: Path, cache: Path) -> None:
    for flag, what in (("-E", "no shared library"), ("-c", "an ELF file but no shared library")):
        done = mite("journey", "run", "shop.c:browse", f"--cflags={flag}")
        assert done.returncode == 2
        assert f"what cc made of shop.c is {what}" in done.stderr.splitlines()[-1]
    assert list(cache.iterdir()) == []


def test_a_library_that_was_spoilt_in_the_cache_is_made_again(mite: Mite, shop: Path, cache: Path) -> None:
    ran(mite("journey", "run", "shop.c:browse"))
    (library,) = cache.glob("*.so")
    for rest in (b"", library.read_bytes()[:4096]):
        library.write_bytes(rest)
        ran(mite("journey", "run", "shop.c:browse"))


def test_a_cache_that_others_may_write(mite: Mite, shop: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    refused(mite("journey", "run", "shop.c:browse"), 3, str(cache), "chmod 700")


def test_a_cache_that_cannot_be_made(mite: Mite, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(
        mite("journey", "run", "shop.c:browse", env={"XDG_CACHE_HOME": str(tmp_path / "file")}), 3, "XDG_CACHE_HOME"
    )


# ---- shared libraries ----


def built(mite: Mite, *args: str) -> None:
    done = mite("build", *args)
    assert done.returncode == 0, done.stderr
    assert done.stdout + said(done) == ""


def cc(tmp_path: Path, source: str, output: str, *flags: str) -> None:
    (tmp_path / "plain.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", output, "plain.c", *flags], cwd=tmp_path, check=True)


def test_no_library_at_all(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("hello\n")
    (tmp_path / "folder.so").mkdir()
    refused(mite("journey", "run", "./text.so:browse"), 2, "./text.so is no shared library", "mite build")
    refused(mite("journey", "run", "./folder.so:browse"), 2, "./folder.so is a directory")
    os.mkfifo(tmp_path / "pipe.so")
    refused(mite("journey", "run", "./pipe.so:browse"), 2, "./pipe.so is no regular file")


def test_a_library_that_is_cut_off(mite: Mite, shop: Path, tmp_path: Path) -> None:
    built(mite, "shop.c")
    whole = (tmp_path / "shop.so").read_bytes()
    (tmp_path / "shop.so").write_bytes(whole[: len(whole) // 2])
    refused(mite("journey", "run", "./shop.so:browse"), 2, "./shop.so is not whole, its end is missing")


def test_a_library_for_another_machine(mite: Mite, shop: Path, tmp_path: Path) -> None:
    built(mite, "shop.c", "-o", "shop.so")
    data = bytearray((tmp_path / "shop.so").read_bytes())
    data[18:20] = (22).to_bytes(2, "little")  # e_machine: s390
    (tmp_path / "other.so").write_bytes(data)
    refused(mite("journey", "run", "./other.so:browse"), 2, "./other.so is for s390x, this machine is")


def test_a_library_for_another_abi_runs_nothing(mite: Mite, tmp_path: Path) -> None:
    cc(
        tmp_path,
        "#include <unistd.h>\n#include <stdlib.h>\n"
        "const struct { unsigned abi, size; } mite_module = {99, 8};\n"
        '__attribute__((constructor)) static void early(void) { write(2, "ran\\n", 4); abort(); }\n',
        "old.so",
    )
    refused(mite("journey", "run", "./old.so:browse"), 2, "./old.so was built for ABI 99 of mite, this mite has ABI")


def test_a_library_of_somebody_else(mite: Mite, tmp_path: Path) -> None:
    cc(tmp_path, "int a;\n", "else.so")
    refused(mite("journey", "run", "./else.so:browse"), 2, "./else.so", "without anything for mite")


def test_a_library_that_needs_another(mite: Mite, shop: Path, tmp_path: Path) -> None:
    cc(tmp_path, "int helped;\n", "libhelper.so", "-Wl,-soname,libhelper.so.7")
    shop.write_text("extern int helped;\n" + SHOP.replace('"number", 1', '"number", helped'))
    built(mite, "shop.c", "-o", "shop.so", "--ldflags=-L. -lhelper")
    refused(mite("journey", "run", "./shop.so:browse"), 3, "./shop.so needs the library libhelper.so.7", "LD_LIBRARY_PATH")
    (tmp_path / "libhelper.so").rename(tmp_path / "libhelper.so.7")
    ran(mite("journey", "run", "./shop.so:browse", env={"LD_LIBRARY_PATH": str(tmp_path)}))


def test_a_library_with_something_undefined(mite: Mite, shop: Path) -> None:
    shop.write_text("int helped(void);\n" + SHOP.replace('"number", 1', '"number", helped()'))
    built(mite, "shop.c", "-o", "shop.so", "--ldflags=-Wl,-z,undefs")
    refused(mite("journey", "run", "./shop.so:browse"), 2, "./shop.so uses helped, which nothing defines", "--ldflags")


def test_a_library_for_a_newer_mite(mite: Mite, shop: Path) -> None:
    shop.write_text("int mite_later(void);\n" + SHOP.replace('"number", 1', '"number", mite_later()'))
    built(mite, "shop.c", "-o", "shop.so", "--ldflags=-Wl,-z,undefs")
    refused(mite("journey", "run", "./shop.so:browse"), 2, "./shop.so uses mite_later, which this mite does not have")
