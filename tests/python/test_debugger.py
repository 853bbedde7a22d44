"""Debuggers on a real terminal: breakpoint() in a journey, and the post-mortem one of --debugging."""

import os
import pty
import select
import subprocess
import time

import pytest

from conftest import command, environment

JOURNEYS = """
from asyncio import sleep
mark = []

async def journey(ctx):
    async with ctx.transaction("t"):
        number = 41
        number += 1
        {statement}

async def calm(ctx):
    ctx.send("note")
"""

MINE = """
import sys

def post_mortem():
    print("MINE", sys.exc_info()[0].__name__)

def leave():
    print("LEFT")
    sys.exit()

def set_trace(*args, **kwargs):
    print("TRACE")
"""


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *args, cwd, **env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command(*args), cwd=cwd, env=environment(TERM="xterm", **env), stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.output = ""

    def expect(self, text, timeout=30):
        """Reads until the text has come; what was before it is forgotten."""
        end = time.monotonic() + timeout
        while text not in self.output:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.output!r}"
            try:
                self.output += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                pytest.fail(f"ended without {text!r}: {self.output!r}")
        self.output = self.output.partition(text)[2]

    def say(self, line):
        os.write(self.master, (line + "\n").encode())

    def status(self):
        while select.select([self.master], [], [], 30)[0]:
            try:
                if not os.read(self.master, 65536):
                    break
            except OSError:
                break
        return self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*args, statement="1 / 0", **env):
        (tmp_path / "shop.py").write_text(JOURNEYS.format(statement=statement))
        (tmp_path / "mine.py").write_text(MINE)
        opened.append(Terminal(*args, cwd=tmp_path, **env))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_post_mortem_opens_where_it_happened_and_the_run_ends_with_1(terminal):
    session = terminal("journey", "test", "shop:journey", "--debugging")
    session.expect("ZeroDivisionError")
    session.expect("(Pdb) ")
    session.say("p number, ctx.config")
    session.expect("(42, {})")
    session.say("q")
    assert session.status() == 1


def test_without_an_exception_there_is_no_debugger(terminal):
    session = terminal("journey", "run", "shop:calm", "--debugging")
    assert session.status() == 0


def test_breakpoint(terminal):
    session = terminal("journey", "run", "shop:journey", statement="breakpoint(); ctx.send('x')")
    session.expect("(Pdb) ")
    session.say("p number")
    session.expect("42")
    session.say("c")
    assert session.status() == 0


def test_the_display_comes_back_after_a_breakpoint(terminal):
    statement = "breakpoint() if ctx.send('x') and not mark.append(1) and len(mark) == 1 else await sleep(0.5)"
    session = terminal("journey", "test", "shop:journey", "--duration=2", statement=statement)
    session.expect("(Pdb) ")
    session.say("c")
    session.expect("1 of 1 wanted")
    assert session.status() == 0


def test_breakpoint_stepping_through_a_transaction(terminal):
    session = terminal("journey", "run", "shop:journey", statement="breakpoint()\n        number += 1")
    session.expect("(Pdb) ")
    session.say("n")
    session.expect('async with ctx.transaction("t")')
    session.expect("(Pdb) ")
    session.say("c")
    assert session.status() == 0


def test_quitting_the_debugger_is_an_error_of_the_journey(terminal):
    session = terminal("journey", "run", "shop:journey", statement="breakpoint(); ctx.send('x')")
    session.expect("(Pdb) ")
    session.say("q")
    session.expect("BdbQuit")
    assert session.status() == 1


def test_pythonbreakpoint_0(terminal):
    session = terminal("journey", "run", "shop:journey", statement="breakpoint()", PYTHONBREAKPOINT="0")
    assert session.status() == 0


def test_pythonbreakpoint_of_ones_own(terminal):
    session = terminal("journey", "run", "shop:journey", statement="breakpoint()", PYTHONBREAKPOINT="mine.set_trace")
    session.expect("TRACE")
    assert session.status() == 0


@pytest.mark.parametrize(
    "env",
    [{"PYTHONPOSTMORTEM": "mine.post_mortem"}, {"PYTHONBREAKPOINT": "mine.set_trace"}],
    ids=["named", "by module"],
)
def test_post_mortem_of_ones_own(terminal, env):
    session = terminal("journey", "test", "shop:journey", "--debugging", **env)
    session.expect("MINE ZeroDivisionError")
    assert session.status() == 1


def test_exit_in_the_debugger_leaves_it(terminal):
    session = terminal("journey", "test", "shop:journey", "--debugging", PYTHONPOSTMORTEM="mine.leave")
    session.expect("LEFT")
    session.expect(" 1 errors")
    assert session.status() == 1


@pytest.mark.parametrize("env", [{"PYTHONPOSTMORTEM": "no.such_thing"}, {"PYTHONBREAKPOINT": "no.such_thing"}])
def test_a_debugger_that_cannot_be_imported(terminal, env):
    session = terminal("journey", "test", "shop:journey", "--debugging", **env)
    session.expect("(Pdb) ")
    session.say("q")
    assert session.status() == 1


def test_ipdb(terminal):
    pytest.importorskip("ipdb")
    names = {"PYTHONBREAKPOINT": "ipdb.set_trace", "PYTHONPOSTMORTEM": "ipdb.post_mortem"}
    session = terminal("journey", "test", "shop:journey", "--debugging", **names)
    session.expect("ipdb> ")
    session.say("p number")
    session.expect("42")
    session.say("q")
    assert session.status() == 1


def test_ipdb_breakpoint(terminal):
    pytest.importorskip("ipdb")
    session = terminal(
        "journey", "run", "shop:journey", statement="breakpoint(); ctx.send('x')", PYTHONBREAKPOINT="ipdb.set_trace"
    )
    session.expect("ipdb> ")
    session.say("p number")
    session.expect("42")
    session.say("c")
    assert session.status() == 0
