"""Python finds no memory: the run ends, with a sentence and what was measured, whatever asyncio could not be told."""

import asyncio

import pytest

SOURCE = """
import asyncio

tasks, starts = getattr(asyncio.tasks, "_all_tasks", None), 0
add_to_tasks = getattr(tasks, "add", None)

def add(task):
    global starts
    starts += 1
    if starts == 21:
        raise MemoryError
    add_to_tasks(task)

async def sleeps(ctx):
    await asyncio.sleep(60)

async def wants_too_much(ctx):
    raise MemoryError("a lot")

def wants_too_much_at_once(ctx):
    raise MemoryError("a lot")
    return sleeps(ctx)

async def cannot_be_stopped_at_once(ctx):
    loop = asyncio.get_running_loop()
    stop = loop.stop

    def once():
        loop.stop = stop
        raise MemoryError

    loop.stop = once
"""


@pytest.mark.skipif(not hasattr(asyncio.tasks, "_all_tasks"), reason="asyncio makes a note of its tasks in another way")
def test_no_memory_for_another_journey(mite, tmp_path):
    (tmp_path / "poor.py").write_text(SOURCE + "tasks.add = add\n")
    result = mite("journey", "test", "poor:sleeps", "--volume=100", "--duration=30", timeout=20)
    assert result.returncode == 3, result.stderr
    assert result.stderr.count("mite: there is no memory for more than 20 journeys in Python: let fewer run") == 1
    assert "never awaited" not in result.stderr
    assert "0 requests, 1 errors, " in result.stdout and "MemoryError" in result.stdout


@pytest.mark.parametrize("journey", ["wants_too_much", "wants_too_much_at_once"])
def test_what_a_journey_cannot_have_is_its_own_error(mite, tmp_path, journey):
    (tmp_path / "poor.py").write_text(SOURCE)
    result = mite("journey", "test", f"poor:{journey}", "--iterations=3", timeout=20)
    assert result.returncode in (1, 2), result.stderr
    assert "there is no memory for more" not in result.stderr


def test_a_loop_that_has_no_memory_to_be_stopped(mite, tmp_path):
    (tmp_path / "poor.py").write_text(SOURCE)
    result = mite("journey", "run", "poor:cannot_be_stopped_at_once", timeout=20)
    assert result.returncode == 0, result.stderr
    assert "1 journeys" in result.stdout
