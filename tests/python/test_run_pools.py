"""What a user's Python gives to a run: datapools and scenarios."""

import pytest

from runs import of_type, run, values  # noqa: F401


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


@pytest.mark.parametrize("options", [(), ("--workers=2",)])
def test_that_nothing_started_is_told(run, options):
    source = "from mite.datapools import *\nnone = IterableDataPool([])\nasync def journey(ctx, a):\n    pass\n"
    result, _ = run(source, "journey", "test", "shop:journey", "shop:none", "--duration=1", *options)
    assert result.returncode == 0, result.stderr
    assert "no journey was started: the volume models wanted none" in result.stdout


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
        ("", "def checkout(self):\n        return 1, 'text'", "has data of type str: it must be a tuple or a list"),
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
        ("return 3", "it gave an int, not a list of triplets"),
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
