"""What a user's Python gives to a run: journeys of every shape."""

import pytest

from runs import of_type, run, values  # noqa: F401


def test_every_message_names_its_journey(run):
    source = (
        "async def journey(ctx, a, b):\n    async with ctx.transaction('t'):\n        ctx.send('got', value=a + b)\n"
    )
    source += "pool = [1]\nfrom mite.datapools import IterableDataPool\npool = IterableDataPool([(1, 2)])\n"
    result, messages = run(source, "journey", "test", "shop:journey", "shop:pool")
    assert result.returncode == 0, result.stderr
    (got,) = of_type(messages, "got")
    assert got["value"] == 3
    assert got["journey"] == "shop:journey"
    assert (got["runner_id"], got["context_id"], got["scenario_id"], got["scenario_data_id"]) == (1, 1, 1, 1)
    assert (got["transaction"], got["transaction_id"]) == ("__root__ :: t", 2)
    assert [message["transaction"] for message in of_type(messages, "txn")] == ["__root__ :: t", "__root__"]


@pytest.mark.parametrize(
    ("raised", "ex_type", "message"),
    [
        ("raise ValueError('no')", "ValueError", "ValueError: no"),
        ("raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("next(iter(()))", "RuntimeError", "RuntimeError: coroutine raised StopIteration"),
        ("raise GeneratorExit", "GeneratorExit", "GeneratorExit"),
    ],
)
def test_whatever_a_journey_raises_is_its_own_error(run, raised, ex_type, message):
    source = f"async def journey(ctx):\n    {raised}\n"
    result, messages = run(source, "journey", "test", "shop:journey", "--iterations=3")
    assert result.returncode == 1
    exceptions = of_type(messages, "exception")
    assert [(e["ex_type"], e["message"], e["transaction"]) for e in exceptions] == [(ex_type, message, "__root__")] * 3
    assert exceptions[0]["location"].endswith("shop.py:7:journey")
    assert [txn["had_error"] for txn in of_type(messages, "txn")] == [True] * 3


NO_ARGUMENTS = "from mite.datapools import IterableDataPool\ndatapool = IterableDataPool([()])\n"


def test_wrong_number_of_arguments(run):
    source = f"async def journey(ctx, a):\n    pass\n{NO_ARGUMENTS}"
    result, messages = run(source, "journey", "run", "shop:journey", "shop:datapool")
    assert result.returncode == 1
    (exception,) = of_type(messages, "exception")
    assert "missing 1 required positional argument: 'a'" in exception["message"]
    assert exception["location"].endswith("shop.py:6:journey")
    assert exception["stacktrace"].endswith("async def journey(ctx, a):\n")


def test_wrong_number_of_arguments_under_a_decorator(run):
    source = f"from mite_http import mite_http\n@mite_http\nasync def journey(ctx, a):\n    pass\n{NO_ARGUMENTS}"
    result, messages = run(source, "journey", "run", "shop:journey", "shop:datapool")
    assert result.returncode == 1
    assert of_type(messages, "exception")[0]["location"].endswith("shop.py:7:journey")


def test_a_group_tells_what_is_in_it(run):
    source = """
import asyncio

async def part(n):
    raise ValueError(f"part {n}")

async def journey(ctx):
    async with asyncio.TaskGroup() as group:
        for n in range(7):
            group.create_task(part(n))
"""
    result, messages = run(source, "journey", "test", "shop:journey", "--iterations=1")
    assert result.returncode == 1, result.stdout + result.stderr
    (exception,) = of_type(messages, "exception")
    trace = exception["stacktrace"]
    assert exception["ex_type"] == "ExceptionGroup" and trace.count("in part\n") == 5
    assert "  with ValueError: part 0\n" in trace and "  with ValueError: part 4\n" in trace
    assert trace.endswith("  and 2 more\n")


def test_frames_of_ours_are_left_out(run):
    source = (
        "from mite_http import mite_http\n@mite_http\nasync def journey(ctx):\n"
        "    await ctx.http.get('http://127.0.0.1:1/')\n"
    )
    result, messages = run(source, "journey", "run", "shop:journey")
    (exception,) = of_type(messages, "exception")
    assert exception["location"].endswith("shop.py:9:journey")
    assert exception["stacktrace"].count("File") == 1


@pytest.mark.parametrize(
    "source",
    [
        "class Visit:\n    async def __call__(self, ctx):\n        ctx.send('got', value=1)\njourney = Visit()\n",
        "from functools import partial\n"
        "async def visit(n, ctx):\n    ctx.send('got', value=n)\njourney = partial(visit, 1)\n",
        "from functools import wraps\n"
        "def deco(f):\n    @wraps(f)\n    def inner(*args):\n        return f(*args)\n    return inner\n"
        "@deco\nasync def journey(ctx):\n    ctx.send('got', value=1)\n",
        "class Shop:\n    async def visit(self, ctx):\n        ctx.send('got', value=1)\njourney = Shop().visit\n",
    ],
    ids=["object", "partial", "decorated", "method"],
)
def test_journeys_of_other_shapes(run, source):
    result, messages = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 0, result.stderr
    assert values(messages) == [1]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def journey(ctx):\n    pass\n", 'it is not async: write "async def journey(ctx, ...)"'),
        ("async def journey():\n    pass\n", "it takes no argument: its first one is the context"),
        ("journey = 3\n", "it is an int, not an async function"),
        ("async def journey(ctx):\n    yield\n", "it is an async generator: a journey may not yield"),
        ("class Visit:\n    def __call__(self, ctx):\n        pass\njourney = Visit()\n", "it is not async"),
    ],
)
def test_what_is_no_journey(run, source, sentence):
    result, _ = run(source, "journey", "test", "shop:journey")
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def test_what_only_pretends_to_be_async(run):
    source = "journey = len\n"  # not written in Python: taken at its word
    result, messages = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 1
    assert of_type(messages, "exception")[0]["ex_type"] == "TypeError"


def test_asyncio_in_a_journey(run):
    source = """
import asyncio, contextvars
var = contextvars.ContextVar("var", default=0)

async def part(ctx, n):
    async with ctx.transaction(f"part{n}"):
        await asyncio.sleep(0.001)
    return n

async def journey(ctx):
    assert await asyncio.gather(part(ctx, 1), part(ctx, 2)) == [1, 2]
    async with asyncio.TaskGroup() as group:
        group.create_task(part(ctx, 3))
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        pass
    assert await asyncio.to_thread(lambda: 5) == 5
    assert var.get() == 0
    var.set(1)
    assert asyncio.current_task().get_name() == "shop:journey"
    asyncio.current_task().get_stack()
"""
    result, messages = run(source, "journey", "test", "shop:journey", "--iterations=4")
    assert result.returncode == 0, result.stdout + result.stderr
    paths = {txn["transaction"] for txn in of_type(messages, "txn")}
    assert paths == {"__root__", "__root__ :: part1", "__root__ :: part2", "__root__ :: part3"}


IN_ITS_TASK = """
import asyncio, contextvars
var = contextvars.ContextVar("var", default=0)
tasks, ended = [], []

async def journey(ctx):
    task = asyncio.current_task()
    fresh = task not in tasks
    tasks.append(task)
    assert var.get() == 0
    var.set(1)
    await asyncio.sleep(0)
    assert var.get() == 1 and asyncio.current_task() is task
    ctx.send("got", value=fresh)
    {last}
"""


@pytest.mark.parametrize(
    "last, fresh",
    [
        ("pass", [True, False, False, False]),
        ("task.add_done_callback(ended.append)", [True] * 4),
        ("task.cancel()", [True] * 4),
    ],
)
def test_a_journey_may_get_the_task_of_the_one_before(run, last, fresh):
    result, messages = run(IN_ITS_TASK.format(last=last), "journey", "test", "shop:journey", "--iterations=4")
    assert result.returncode == 0, result.stdout + result.stderr
    assert values(messages) == fresh


def test_journeys_that_never_wait_let_others_have_their_turn(run, tmp_path):
    source = """
import asyncio
from mite.volume_model import Constant

async def busy(ctx):
    pass

async def patient(ctx):
    for _ in range(5):
        await asyncio.sleep(0.01)
    with open("turns", "a") as file:
        file.write("x")

def scenario():
    return [("shop:busy", None, Constant(1, 2)), ("shop:patient", None, Constant(1, 1))]
"""
    result, _ = run(source, "scenario", "test", "shop:scenario", processor="")
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "turns").read_text()) > 2


def test_fixtures_are_shared_by_their_label(run):
    source = """
import asyncio
calls = []

async def make():
    calls.append(1)
    await asyncio.sleep(0.01)
    return f"made {len(calls)}"

def fixture(function):
    function._fixture, function._fixture_label = True, "l"
    function._fixture_func, function._fixture_variable = make, "thing"
    return function

@fixture
async def journey(ctx):
    ctx.send("got", value=ctx.thing)
"""
    result, messages = run(source, "journey", "test", "shop:journey", "--iterations=5", "--volume=3")
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["made 1"] * 5


def test_should_stop(run):
    source = """
import asyncio
async def journey(ctx):
    while not ctx.should_stop:
        await asyncio.sleep(0.01)
    ctx.send("got", value="stopped")
"""
    result, messages = run(source, "journey", "test", "shop:journey", "--duration=1")
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["stopped"]
