"""Datapools and scenarios in C, and mixed with Python's both ways."""

import os
from pathlib import Path

import pytest

from c_journeys import HEADER, Messages, Run, of_type, read_messages, run_c  # noqa: F401
from conftest import needs_python
from helpers import Mite, totals

SHOW = """
MITE_JOURNEY(show)
{
    for (size_t i = 0; i < mite_arg_count(ctx); i++) {
        mite_send(ctx, "arg", MITE_INT("i", (int64_t)i), MITE_VALUE("value", *mite_arg(ctx, i)));
    }
}
"""


def rows(messages: Messages) -> list[list[object]]:
    """What each journey was given, by the id of its item."""
    found: dict[int, list[object]] = {}
    for message in of_type(messages, "arg"):
        found.setdefault(message["scenario_data_id"], []).append(message["value"])
    return [found[id] for id in sorted(found)]


def run_pool(run_c: Run, body: str, *options: str) -> "tuple[object, list[list[object]]]":
    source = SHOW + f"MITE_DATAPOOL(pool) {{ {body} }}"
    result, messages = run_c(source, "show", "j.c:pool", *options, command=("journey", "test"))
    return result, rows(messages)


CSV = 'user,"pass word",n\r\nann,"a, ""b""\nc",1\n\nbob,,2.5\r\n'
JSON_LINES = '{"user": "ann", "n": 1, "x": [1]}\n\n{"user": "bob", "n": 2.5, "x": null}\n'


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('mite_pool_csv(setup, MITE_ITERABLE, "d.csv")', [["ann", 'a, "b"\nc', "1"], ["bob", "", "2.5"]]),
        ('mite_pool_csv(setup, MITE_ITERABLE, "d.csv", .columns = "n,user", .numbers = true)', [[1, "ann"], [2.5, "bob"]]),
        ('mite_pool_csv(setup, MITE_ITERABLE, "d.csv", .columns = "3", .no_header = true)', [["n"], ["1"], ["2.5"]]),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "d.jsonl", "x,user")', [[[1], "ann"], [None, "bob"]]),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "marked.jsonl", "n")', [[1]]),
        ('mite_pool_csv(setup, MITE_ITERABLE, "marked.csv", .columns = "n", .numbers = true)', [[1]]),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "d.jsonl", NULL)',
         [[{"user": "ann", "n": 1, "x": [1]}], [{"user": "bob", "n": 2.5, "x": None}]]),
        ('mite_pool_recorded(setup, MITE_ITERABLE, "d.msgpack", "n,user")', [[1, "ann"], [2, "bob"]]),
        ("mite_pool_items(setup, MITE_ITERABLE, mite_list(mite_int(1), mite_str(\"a\")), mite_list(mite_nil()))",
         [[1, "a"], [None]]),
        ('mite_pool(setup, "j.c:other")', [["other"]]),
        pytest.param('mite_pool(setup, "p:pool")', [["python", [1, 2]]], marks=needs_python),
    ],
)  # fmt: skip
def test_items_come_from_anywhere(run_c: Run, tmp_path: Path, call: str, expected: list[list[object]]) -> None:
    (tmp_path / "d.csv").write_bytes(CSV.encode())
    (tmp_path / "d.jsonl").write_text(JSON_LINES)
    (tmp_path / "marked.jsonl").write_text('{"n": 1}\n', encoding="utf-8-sig")
    (tmp_path / "marked.csv").write_text("n\n1\n", encoding="utf-8-sig")
    (tmp_path / "d.msgpack").write_bytes(b"\x82\xa4user\xa3ann\xa1n\x01\x82\xa4user\xa3bob\xa1n\x02")
    (tmp_path / "p.py").write_text(
        "from mite.datapools import IterableDataPool\npool = IterableDataPool([('python', [1, 2])])\n"
    )
    source = SHOW + 'MITE_DATAPOOL(other) { return mite_pool_single(setup, mite_str("other")); }\n'
    source += f"MITE_DATAPOOL(pool) {{ return {call}; }}"
    result, messages = run_c(source, "show", "j.c:pool", command=("journey", "test"))
    assert result.returncode == 0, result.stderr
    assert rows(messages) == expected


def test_a_function_makes_items_when_they_are_needed(run_c: Run) -> None:
    source = SHOW + """
    static bool next(void *arg, uint64_t index, struct mite_value *item)
    {
        static struct mite_value cells[2];
        cells[0] = mite_int((int64_t)index * 10);
        cells[1] = mite_str(arg);
        *item = mite_items(cells, 2);
        return true;
    }
    MITE_DATAPOOL(endless) { return mite_pool_function(setup, MITE_ITERABLE, next, "x"); }
    static bool three(void *arg, uint64_t index, struct mite_value *item)
    {
        return index < 3 && next(arg, index, item);
    }
    MITE_DATAPOOL(recycled) { return mite_pool_function(setup, MITE_RECYCLABLE, three, "y"); }
    """
    result, messages = run_c(source, "show", "j.c:endless", "--iterations=4", command=("journey", "test"))
    assert result.returncode == 0, result.stderr
    assert rows(messages) == [[0, "x"], [10, "x"], [20, "x"], [30, "x"]]
    result, messages = run_c(source, "show", "j.c:recycled", "--iterations=6", command=("journey", "test"))
    assert [m["scenario_data_id"] for m in of_type(messages, "arg")][-12:] == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]


ENDLESS = """
__attribute__((unused)) static bool endless(void *arg, uint64_t index, struct mite_value *item)
{
    *item = mite_items(item, 0);
    return true;
}
__attribute__((unused)) static bool garbled(void *arg, uint64_t index, struct mite_value *item)
{
    static struct mite_value cell;
    cell = mite_str("\\xff");
    *item = mite_items(&cell, 1);
    return true;
}
"""


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ('mite_pool_csv(setup, MITE_ITERABLE, "none.csv")', "cannot read the datapool file none.csv: No such file"),
        ('mite_pool_csv(setup, MITE_ITERABLE, "d.csv", .columns = "nobody")', 'd.csv has no column "nobody" in its first line'),
        ('mite_pool_csv(setup, MITE_ITERABLE, "d.csv", .separator = 34)', "the columns of a CSV file are not separated by a quote"),
        ('mite_pool_csv(setup, MITE_ITERABLE, "open.csv")', "line 2 of open.csv: a quote is not closed"),
        ('mite_pool_csv(setup, MITE_ITERABLE, "short.csv", .columns = "b")', "line 3 of short.csv has 1 columns, and column 2"),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "bad.jsonl", NULL)', "line 2 of bad.jsonl"),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "d.jsonl", "user,age")', 'line 1 of d.jsonl has no field "age"'),
        ('mite_pool_recorded(setup, MITE_ITERABLE, "cut.msgpack", "n")', "record 2 of cut.msgpack: the file ends in the middle"),
        ('mite_pool_recorded(setup, MITE_ITERABLE, ".", "n")', "is a directory: name a file in it"),
        ('mite_pool_csv(setup, MITE_ITERABLE, "pipe")', "the datapool file pipe is a pipe or a device"),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "/dev/zero", NULL)', "the datapool file /dev/zero is a pipe or a device"),
        ('mite_pool_csv(setup, MITE_RECYCLABLE, "header.csv")', "the datapool file header.csv has no items"),
        ('mite_pool_jsonl(setup, MITE_ITERABLE, "empty", NULL)', "the datapool file empty has no items"),
        ('mite_pool_recorded(setup, MITE_ITERABLE, "empty", NULL)', "the datapool file empty has no items"),
        ("mite_pool_items(setup, MITE_ITERABLE, mite_int(1))", "item 0 of a datapool is integer"),
        ('mite_pool_items(setup, MITE_ITERABLE, mite_list(mite_nil()), mite_list(mite_str("\\xff")))',
         "item 1 of a datapool: it holds a text that is not UTF-8: give that as bytes"),
        ("mite_pool_function(setup, MITE_RECYCLABLE, garbled, NULL)", "item 0 of a datapool: it holds a text that is not UTF-8"),
        ("mite_pool_items(setup, (enum mite_pool_kind)9, mite_list())", "a datapool is MITE_RECYCLABLE or MITE_ITERABLE"),
        ('mite_pool(setup, "j.c:pol")', 'did you mean "pool"?'),
        ('(mite_setup_fail(setup, "no users for %s", mite_setup_config(setup, "shop", "?")), NULL)', "no users for here"),
        ("NULL", "it returned NULL"),
        ("mite_pool_function(setup, MITE_RECYCLABLE, endless, NULL)", "has made 10000000 items and goes on"),
        ("mite_pool_function(setup, (enum mite_pool_kind)0, endless, NULL)", "MITE_RECYCLABLE or MITE_ITERABLE, not 0"),
        ("mite_pool_array(setup, MITE_ITERABLE, NULL, 3)", "mite_pool_items() was given NULL for its items"),
        ("mite_pool_function(setup, MITE_ITERABLE, NULL, NULL)", "mite_pool_function() was given NULL for its function"),
        ("mite_pool_csv(setup, MITE_ITERABLE, NULL)", "mite_pool_csv() was given NULL for its path"),
        ("mite_pool_jsonl(setup, MITE_ITERABLE, NULL, NULL)", "mite_pool_jsonl() was given NULL for its path"),
        ("mite_pool_recorded(setup, MITE_ITERABLE, NULL, NULL)", "mite_pool_recorded() was given NULL for its path"),
        ("mite_pool(setup, NULL)", "mite_pool() was given NULL for its spec"),
        ("(mite_setup_config(setup, NULL, NULL), NULL)", "mite_setup_config() was given NULL for its key"),
    ],
)
def test_wrong_pools_are_one_sentence(run_c: Run, tmp_path: Path, call: str, sentence: str) -> None:
    (tmp_path / "d.csv").write_bytes(CSV.encode())
    (tmp_path / "open.csv").write_text('a\n"b\n')
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "short.csv").write_text("a,b\n1,2\n3\n")
    (tmp_path / "d.jsonl").write_text(JSON_LINES)
    (tmp_path / "bad.jsonl").write_text("[1]\n[1\n")
    (tmp_path / "cut.msgpack").write_bytes(b"\x81\xa1n\x01\x81\xa1n")
    source = SHOW + ENDLESS + f"MITE_DATAPOOL(pool) {{ return {call}; }}"
    result, _ = run_c(source, "show", "j.c:pool", command=("journey", "test"), env={"MITE_CONF_shop": "here"})
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr


SCENARIO = (
    SHOW
    + """
MITE_DATAPOOL(one) { return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_str("c"))); }
MITE_JOURNEY(idle) { mite_sleep(ctx, 0.1); }
static int64_t steps(void *arg, int64_t start_s, int64_t end_s) { return start_s < 2 ? start_s + *(int *)arg : MITE_STOP; }
MITE_SCENARIO(mixed)
{
    static int offset = 1;
    mite_add(setup, "j.c:idle", NULL, mite_volume(setup, MITE_NOTHING(1), MITE_CONSTANT(1, 2)));
    mite_add(setup, "j.c:idle", NULL, mite_volume(setup, MITE_RAMP_FROM_TO(2, 1, 3)));
    mite_add(setup, "p:journey", mite_pool(setup, "j.c:one"), mite_volume_function(setup, steps, &offset));
}
"""
)


@needs_python
def test_a_scenario_in_c_runs_both_languages(run_c: Run, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(
        "import asyncio\nasync def journey(ctx, word):\n    ctx.send('from_python', word=word)\n    await asyncio.sleep(0.1)\n"
    )
    result, messages = run_c(SCENARIO, "mixed", command=("scenario", "test"))
    assert result.returncode == 0, result.stderr
    assert {m["word"] for m in of_type(messages, "from_python")} == {"c"}
    assert {m["test"] for m in messages} == {"j.c:mixed"}
    assert {(m["scenario_id"], m["journey"]) for m in of_type(messages, "txn")} == {
        (1, "j.c:idle"), (2, "j.c:idle"), (3, "p:journey"),
    }  # fmt: skip


@needs_python
def test_a_scenario_in_python_runs_journeys_in_c(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "j.c").write_text(HEADER + SHOW)
    (tmp_path / "s.py").write_text(
        "from mite.datapools import RecyclableIterableDataPool\n"
        "from mite.volume_model import Constant\n"
        "pool = RecyclableIterableDataPool([(1, 'two', b'3', [4.5, None], {'five': True})])\n"
        "def scenario(config):\n    return [('j.c:show', pool, Constant(1, 1))]\n"
    )
    results = tmp_path / "results"
    result = mite(
        "scenario", "test", "s:scenario", "--collector-use-json", f"--collector-dir={results}", "--iterations=3"
    )
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 3
    values = [m["value"] for m in of_type(read_messages(results), "arg")]
    assert values == [1, "two", {"__bytes__": "Mw=="}, [4.5, None], {"five": True}] * 3


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('mite_add(setup, "j.c:idle", NULL, NULL);', 'journey "j.c:idle" has no volume model'),
        ('mite_add(setup, "idle", NULL, mite_volume(setup, MITE_CONSTANT(1, 1)));', '"idle" is no spec'),
        ('mite_add(setup, "j.c:idle", NULL, mite_volume(setup, MITE_RAMP(1)));', "ramp without `frm` (in C MITE_RAMP_FROM)"),
        ('mite_add(setup, "j.c:idel", NULL, mite_volume(setup, MITE_CONSTANT(1, 1)));', 'did you mean "idle"?'),
        ("struct mite_volume *v = mite_volume(setup, MITE_CONSTANT(1, 1)); "
         'mite_add(setup, "j.c:idle", NULL, v); mite_add(setup, "j.c:idle", NULL, v);', "another one has"),
        ('mite_add(setup, "j.c:idle", NULL, mite_volume_function(setup, negative, NULL));',
         'the volume model of journey "j.c:idle" wants -7 journeys at once from second 0 on: it must be 0 or more'),
        ("", "it adds no journey"),
        ("mite_volume_function(setup, NULL, NULL);", "mite_volume_function() was given NULL for its function"),
        ("mite_volume_chain(setup, NULL, 1);", "mite_volume() was given NULL for its stretches"),
    ],
)  # fmt: skip
def test_wrong_scenarios_are_one_sentence(run_c: Run, body: str, sentence: str) -> None:
    negative = "__attribute__((unused)) static int64_t negative(void *arg, int64_t start_s, int64_t end_s) { return -7; }\n"
    source = f"{negative}MITE_JOURNEY(idle) {{ }}\nMITE_SCENARIO(s) {{ {body} }}"
    result, _ = run_c(source, "s", command=("scenario", "test"))
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
