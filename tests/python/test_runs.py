"""What a user's Python gives to a run: journeys, datapools, scenarios, processors, configuration of every shape."""

import json
import subprocess

import pytest

from conftest import BUILD, environment

RUN = ("--no-collector", "--log-level=ERROR")


@pytest.fixture
def run(mite, tmp_path):
    """Runs `source` as the module `shop`; gives the result and the messages that came to a processor of its own."""

    def start(source, *args, env=None, processor="shop:Keep"):
        keep = (
            "import json\n"
            "class Keep:\n"
            "    def process_message(self, message):\n"
            "        with open('messages', 'a') as file:\n"
            "            file.write(json.dumps(message, default=repr) + '\\n')\n"
        )
        (tmp_path / "shop.py").write_text(keep + source)
        result = mite(*RUN, *args, f"--message-processors={processor}", env=env)
        kept = tmp_path / "messages"
        messages = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        return result, messages

    return start


def of_type(messages, kind):
    return [message for message in messages if message["type"] == kind]


def values(messages, kind="got", key="value"):
    return [message[key] for message in of_type(messages, kind)]


# ---- journeys ----


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
        ("journey = 3\n", "it is a int, not an async function"),
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


# ---- datapools ----

POOL = """
async def journey(ctx, value):
    ctx.send("got", value=value)

class Pool:
    def __init__(self):
        self.items, self.returned = [{items}], []
    {checkout}
    def checkin(self, id):
        self.returned.append(id)
        open("returned", "a").write(repr(id) + "\\n")
pool = Pool()
"""


@pytest.mark.parametrize(
    "checkout",
    [
        "async def checkout(self, config):\n        return self.items.pop(0) if self.items else None",
        "def checkout(self, config):\n        return self.items.pop(0) if self.items else None",
        "async def checkout(self):\n        return self.items.pop(0) if self.items else None",
        "def checkout(self):\n        return self.items.pop(0) if self.items else None",
        "async def checkout(self, *, config):\n        import asyncio\n        await asyncio.sleep(0)\n"
        "        assert config.get('key') == 'v'\n        return self.items.pop(0) if self.items else None",
    ],
)
def test_own_pools(run, tmp_path, checkout):
    from_class = "__import__('mite.datapools').datapools.DataPoolItem('c', ['x'])"
    source = POOL.format(items=f"(1, ('a',)), ['b', ('b',)], {from_class}", checkout=checkout)
    result, messages = run(
        source, "journey", "test", "shop:journey", "shop:pool", "--duration=1", "--add-to-config=key:v"
    )
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["a", "b", "x"]
    assert [m["scenario_data_id"] for m in of_type(messages, "got")] == [1, "b", "c"]
    assert (tmp_path / "returned").read_text().splitlines() == ["1", "'b'", "'c'"]


@pytest.mark.parametrize("id", ["(1, 'a')", "'x' * 1000", "None", "1.5", "b'raw'", "{'k': [1]}"])
def test_ids_come_back_as_they_were(run, tmp_path, id):
    checkout = "def checkout(self):\n        return self.items.pop(0) if self.items else None"
    source = POOL.format(items=f"({id}, ('a',))", checkout=checkout)
    result, _ = run(source, "journey", "test", "shop:journey", "shop:pool", "--duration=1")
    assert result.returncode == 0, result.stderr
    assert eval((tmp_path / "returned").read_text()) == eval(id)


def test_exhausted_pools_end_their_journey(run):
    checkout = (
        "async def checkout(self):\n        from mite.datapools import DataPoolExhausted\n"
        "        if not self.items:\n            raise DataPoolExhausted\n        return self.items.pop(0)"
    )
    source = POOL.format(items="(1, ('a',)), (2, ('b',))", checkout=checkout)
    result, messages = run(source, "journey", "test", "shop:journey", "shop:pool")
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["a", "b"]


@pytest.mark.parametrize(
    ("items", "checkout", "sentence"),
    [
        (
            "",
            "def checkout(self):\n        raise OSError('gone')",
            "checkout of datapool shop:pool failed: OSError: gone",
        ),
        (
            "",
            "async def checkout(self):\n        return 3",
            "it gave 3, not an item with .id and .data, a pair or None",
        ),
        ("", "def checkout(self):\n        return 1, 'text'", "whose data is a str: it must be a tuple or a list"),
        ("", "def checkout(self):\n        return {1}, ('a',)", "id is of type set"),
    ],
)
def test_pools_that_fail(run, items, checkout, sentence):
    result, _ = run(POOL.format(items=items, checkout=checkout), "journey", "test", "shop:journey", "shop:pool")
    assert result.returncode in (1, 2)
    assert sentence in result.stderr


def test_a_checkin_that_raises_is_told_once(run):
    source = """
async def journey(ctx):
    pass
class Pool:
    def checkout(self):
        return 1, ()
    async def checkin(self, id):
        raise KeyError(id)
pool = Pool()
"""
    result, _ = run(source, "journey", "test", "shop:journey", "shop:pool", "--iterations=5")
    assert result.stderr.count("checkin of datapool shop:pool failed: KeyError: 1 (") == 1
    assert "4 more" in result.stderr
    assert "datapool items lost, for their checkin failed: 5" in result.stdout
    assert result.returncode == 1


def test_an_id_may_be_out_several_times(run):
    source = """
import asyncio
kept = []
class Pool:
    def checkout(self):
        return ["key", {"a": "b"}], ()
    def checkin(self, id):
        assert id == ["key", {"a": "b"}], id
        kept[0].send("after", value=id)
pool = Pool()
async def journey(ctx):
    kept.append(ctx)
    for _ in range(3):
        await asyncio.sleep(0.001)
        ctx.send("got", value=1)
"""
    options = ("--volume=10", "--iterations=100")
    perturbed = {"MALLOC_PERTURB_": "165"}  # what is freed is overwritten
    result, messages = run(source, "journey", "test", "shop:journey", "shop:pool", *options, env=perturbed)
    assert result.returncode == 0, result.stdout
    assert all(m["scenario_data_id"] == ["key", {"a": "b"}] for m in of_type(messages, "got"))
    assert len(values(messages)) == 300 and len(values(messages, "after")) == 100


def test_a_recyclable_pool_waits_for_its_items(run):
    source = """
import asyncio
from mite.datapools import RecyclableIterableDataPool
async def journey(ctx, value):
    ctx.send("got", value=value)
    await asyncio.sleep(0.01)
pool = RecyclableIterableDataPool([["a"], ["b"]])
"""
    result, messages = run(source, "journey", "test", "shop:journey", "shop:pool", "--volume=5", "--iterations=6")
    assert result.returncode == 0, result.stderr
    assert sorted(values(messages)) == ["a", "a", "a", "b", "b", "b"]


# ---- scenarios ----


@pytest.mark.parametrize(
    "head",
    [
        "def scenario():",
        "async def scenario():",
        "def scenario(config):\n    assert config.get('key') == 'v'",
        "def scenario(anything):\n    assert anything.get('key') == 'v'",
        "def scenario(sender, config):\n    sender.send({'type': 'hello', 'n': 1}); config.set('key', 'w')",
        "def scenario(volume=3):",
    ],
)
def test_scenario_functions(run, head):
    source = f"""
async def journey(ctx):
    ctx.send("got", value=ctx.config["key"])
from mite.volume_model import oneshot_vm
{head}
    return [("shop:journey", None, oneshot_vm())]
"""
    result, messages = run(source, "scenario", "test", "shop:scenario", "--add-to-config=key:v")
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["w" if "sender" in head else "v"]
    assert values(messages, "hello", "n") == ([1] if "sender" in head else [])


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("return 3", "it gave a int, not a list of triplets"),
        ("return []", "it gave no triplets"),
        ("return [('shop:journey', None)]", 'item 1 of scenario "shop:scenario" is not a triplet'),
        ("return [good, (journey, None, one)]", "item 2"),
        ("return [good, good, ('shop:journey', 3, one)]", "item 3"),
        ("return [('shop:journey', None, 3)]", "the volume model of shop:journey is of type int"),
        ("return [('shop:journey', None, Ramp(3))]", "the volume model of shop:journey"),
        ("raise OSError('x')", "OSError: x"),
    ],
)
def test_scenarios_of_the_wrong_shape(run, scenario, sentence):
    source = f"""
from mite.volume_model import Ramp
async def journey(ctx):
    pass
one = lambda start, end: 1
good = ["shop:journey", None, one]
def scenario():
    {scenario}
"""
    result, _ = run(source, "scenario", "test", "shop:scenario")
    assert result.returncode == 2
    assert sentence in result.stderr


def test_a_parameter_that_nobody_knows(run):
    result, _ = run("def scenario(config, what):\n    return []\n", "scenario", "test", "shop:scenario")
    assert result.returncode == 2
    assert 'its parameter "what" is not known' in result.stderr


@pytest.mark.parametrize("result_of_model", ["2.9", "True", "__import__('decimal').Decimal(2)"])
def test_the_volume_goes_through_int(run, result_of_model):
    source = f"""
async def journey(ctx):
    pass
def model(start, end):
    return {result_of_model}
def scenario():
    return [["shop:journey", None, model]]
"""
    result, _ = run(source, "scenario", "test", "shop:scenario", "--iterations=2")
    assert result.returncode == 0, result.stderr


def test_stop_volume_model(run):
    source = """
from mite.scenario import StopVolumeModel
async def journey(ctx):
    pass
def model(start, end):
    if start >= 1:
        raise StopVolumeModel
    return 1
def scenario():
    return [["shop:journey", None, model]]
"""
    result, _ = run(source, "scenario", "test", "shop:scenario")
    assert result.returncode == 0, result.stderr


def test_oneshot_that_stops_the_scenario(run):
    source = """
import asyncio
from mite.volume_model import oneshot_vm
async def journey(ctx):
    await asyncio.sleep(0.01)
async def last(ctx):
    ctx.send("got", value="last")
def scenario():
    return [["shop:journey", None, lambda start, end: 1], ["shop:last", None, oneshot_vm(1, stop_scenario=True)]]
"""
    result, messages = run(source, "scenario", "test", "shop:scenario")
    assert result.returncode == 0, result.stderr
    assert values(messages) == ["last"]


# ---- configuration ----

SHOWS = "async def journey(ctx):\n    ctx.send('got', value=ctx.config)\n    assert type(ctx.config) is dict\n"


def test_config_of_a_callable(run):
    source = SHOWS + "def config():\n    return {'a': [1, {'b': None}], 'url': 'x'}\n"
    result, messages = run(
        source, "journey", "run", "shop:journey", "--config=shop:config", "--add-to-config=url:http://y:1/"
    )
    assert result.returncode == 0, result.stderr
    assert values(messages) == [{"a": [1, {"b": None}], "url": "http://y:1/"}]


def test_config_of_the_environment(run):
    env = {"MITE_CONF_text": "1 + 2", "MITE_EVAL_CONF_sum": "1 + 2"}
    result, messages = run(SHOWS, "journey", "run", "shop:journey", env=env)
    assert result.returncode == 0, result.stderr
    assert values(messages) == [{"text": "1 + 2", "sum": 3}]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("return 3", 'configuration "shop:config" gave a int: it must return a dict'),
        ("return {'f': print}", "f is of type builtin_function_or_method"),
        ("raise OSError('x')", 'configuration "shop:config" failed: OSError: x'),
    ],
)
def test_configurations_that_fail(run, config, sentence):
    source = SHOWS + f"def config():\n    {config}\n"
    result, _ = run(source, "journey", "run", "shop:journey", "--config=shop:config")
    assert result.returncode == 2
    assert sentence in result.stderr


def test_an_expression_that_fails(run):
    result, _ = run(SHOWS, "journey", "run", "shop:journey", env={"MITE_EVAL_CONF_x": "1 +"})
    assert result.returncode == 2
    assert "cannot evaluate MITE_EVAL_CONF_x=1 +" in result.stderr


# ---- processors ----


def test_processors_of_every_shape(run, tmp_path):
    source = """
from mite.utils import unpack_msg
async def journey(ctx):
    ctx.send("got", value=1)
class Raw:
    def __init__(self, options):
        assert options["--report"] is False
    def process_raw_message(self, raw):
        open("raw", "a").write(unpack_msg(raw)["type"] + "\\n")
    def close(self):
        open("closed", "w").close()
"""
    result, messages = run(source, "journey", "run", "shop:journey", processor="shop:Keep,shop:Raw")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "raw").read_text().splitlines() == [m["type"] for m in messages]
    assert (tmp_path / "closed").exists()


def test_a_processor_that_raises_is_told_once(run):
    source = "async def journey(ctx):\n    pass\nclass Bad:\n    def process_message(self, message):\n        1 / 0\n"
    result, _ = run(source, "journey", "test", "shop:journey", "--iterations=5", processor="shop:Bad")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("message processor shop:Bad failed: ZeroDivisionError: division by zero") == 1


@pytest.mark.parametrize(
    ("processor", "sentence"),
    [
        ("class Bad: pass", "has neither process_message(dict) nor process_raw_message(bytes)"),
        ("class Bad:\n    def __init__(self): raise OSError('x')", "OSError: x"),
        ("", 'module shop has no "Bad"'),
    ],
)
def test_what_is_no_processor(run, processor, sentence):
    result, _ = run(
        f"async def journey(ctx):\n    pass\n{processor}\n", "journey", "run", "shop:journey", processor="shop:Bad"
    )
    assert result.returncode == 2
    assert sentence in result.stderr


def test_collector_filter(mite, tmp_path):
    (tmp_path / "shop.py").write_text(
        "async def journey(ctx):\n    ctx.send('got')\ndef keep(raw):\n    return b'got' in raw\n"
    )
    result = mite("journey", "run", "shop:journey", "--collector-filter=shop:keep", "--collector-use-json")
    assert result.returncode == 0, result.stderr
    (line,) = (tmp_path / "collector_data" / "current").read_text().splitlines()
    assert json.loads(line)["type"] == "got"


# ---- the interpreter ----


@pytest.mark.parametrize(("level", "lines"), [("INFO", 3), ("WARNING", 2), ("CRITICAL", 0)])
def test_what_users_log(run, level, lines):
    source = """
import logging
log = logging.getLogger("shop")
async def journey(ctx):
    log.debug("hidden")
    log.info("one")
    log.warning("two %s", "arguments")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("three")
"""
    result, _ = run(source, "journey", "run", "shop:journey", f"--log-level={level}")
    assert result.returncode == 0, result.stderr
    assert sum(f"shop: {text}" in result.stderr for text in ("hidden", "one", "two arguments", "three")) == lines
    assert ("Traceback" in result.stderr) == (lines > 0)


def test_the_working_directory_can_be_excluded(run):
    result, _ = run(
        "async def journey(ctx):\n    pass\n", "journey", "run", "shop:journey", "--exclude-working-directory"
    )
    assert result.returncode == 2
    assert 'there is no module "shop"' in result.stderr


def test_memory_tracing(run):
    result, _ = run("async def journey(ctx):\n    pass\n", "journey", "run", "shop:journey", "--memory-tracing")
    assert result.returncode == 0, result.stderr


def test_the_standard_library_is_whole(run):
    source = "import ssl, ctypes, sqlite3, json, decimal\n"
    source += "async def journey(ctx):\n    ctx.send('got', value=ssl.OPENSSL_VERSION)\n"
    result, messages = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 0, result.stderr
    assert values(messages)[0].startswith("OpenSSL")


def test_atexit_runs(run, tmp_path):
    source = "import atexit\natexit.register(lambda: open('bye', 'w').close())\nasync def journey(ctx):\n    pass\n"
    result, _ = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "bye").exists()


def environment_in(folder, python):
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def test_a_virtual_environment(run, tmp_path):
    venv = environment_in(tmp_path / "venv", "/usr/bin/python3")
    (packages,) = (venv / "lib").glob("python3.*/site-packages")
    (packages / "theirs.py").write_text("NAME = 'theirs'\n")
    source = """
import sys, ssl, theirs
async def journey(ctx):
    ctx.send("got", value=[theirs.NAME, sys.prefix, sys.base_prefix])
"""
    result, messages = run(source, "journey", "run", "shop:journey", env={"VIRTUAL_ENV": str(venv)})
    assert result.returncode == 0, result.stderr
    assert values(messages) == [["theirs", str(venv), "/usr"]]


def test_a_virtual_environment_that_is_gone(run, tmp_path):
    source = "async def journey(ctx):\n    pass\n"
    result, _ = run(
        source, "journey", "run", "shop:journey", "--log-level=WARNING", env={"VIRTUAL_ENV": str(tmp_path / "x")}
    )
    assert result.returncode == 0
    assert "where there is no pyvenv.cfg: not used" in result.stderr


def test_python_runs_the_program_more_than_once(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from mite_http import mite_http\n@mite_http\nasync def journey(ctx):\n    ctx.send('x', n=ctx.config['n'])\n"
    )
    words = ["mite", "journey", "test", "shop:journey", "--iterations=3", "--no-collector", "--add-to-config=n:1"]
    script = f"import _mite\nprint([_mite.main({words!r}) for _ in range(2)])\n"
    result = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.splitlines()[-1] == "[0, 0]", result.stdout + result.stderr


def test_python_dash_m(tmp_path):
    (tmp_path / "shop.py").write_text("async def journey(ctx):\n    raise ValueError\n")
    result = subprocess.run(
        ["/usr/bin/python3", "-m", "mite", "journey", "run", "shop:journey", "--no-collector"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1, result.stderr
    assert "1 errors" in result.stdout
