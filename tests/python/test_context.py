"""Contexts and transactions, as a journey uses them."""

import asyncio
import contextvars

import pytest

from mite import MiteError
from mite.context import Context


@pytest.fixture
def sent():
    return []


@pytest.fixture
def ctx(sent):
    return Context(sent.append, {"key": "value"}, id_data={"test": "t", "journey": "j"})


def run(coroutine):
    return asyncio.run(coroutine)


def types(messages):
    return [message["type"] for message in messages]


def test_send_without_await(ctx, sent):
    ctx.send("note", text="hello", number=3)
    (message,) = sent
    assert message["type"] == "note"
    assert message["text"] == "hello"
    assert message["number"] == 3
    assert message["test"] == "t"
    assert message["transaction"] is None
    assert message["transaction_id"] is None
    assert isinstance(message["time"], float)


def test_send_with_await(ctx, sent):
    async def journey():
        assert await ctx.send("note") is None

    run(journey())
    assert types(sent) == ["note"]


def test_send_works_where_asyncio_wants_an_awaitable(ctx, sent):
    async def journey():
        await asyncio.gather(ctx.send("a"), ctx.send("b"))
        await asyncio.create_task(ctx.send("c"))

    run(journey())
    assert types(sent) == ["a", "b", "c"]


def test_many_fields(ctx, sent):
    fields = {f"field{i}": i for i in range(100)}
    ctx.send("note", **fields)
    assert {key: sent[0][key] for key in fields} == fields


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        2**63,
        2**64 - 1,
        -(2**63),
        1.5,
        "text",
        "ünï",
        b"bytes",
        [1, [2]],
        {"a": {"b": [None]}},
        {1: "x"},
        "",
    ],
)
def test_values_arrive_as_they_are(ctx, sent, value):
    ctx.send("note", value=value)
    assert sent[0]["value"] == value
    assert type(sent[0]["value"]) is type(value)


def test_tuples_arrive_as_lists_and_bytearrays_as_bytes(ctx, sent):
    ctx.send("note", value=(1, (2,)), raw=bytearray(b"x"))
    assert sent[0]["value"] == [1, [2]]
    assert sent[0]["raw"] == b"x"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (object(), "value is of type object, which a message cannot carry"),
        ({"when": [1, {2}]}, "value['when'][1] is of type set, which"),
        (2**64, "value is an integer beyond 64 bits"),
        (-(2**63) - 1, "value is an integer beyond 64 bits"),
        ("\ud800", "value is text with a lone surrogate"),
    ],
)
def test_values_that_no_message_carries(ctx, sent, value, sentence):
    with pytest.raises(TypeError) as raised:
        ctx.send("note", value=value)
    assert sentence in str(raised.value)
    assert sent == []


def test_a_value_that_contains_itself(ctx):
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested deeper than 64 levels"):
        ctx.send("note", value=endless)


def test_send_wants_a_type(ctx):
    with pytest.raises(TypeError, match="a message's type must be a str, not int"):
        ctx.send(3)
    for arguments in (("note", 3), ()):
        with pytest.raises(TypeError, match="takes the message's type, and then fields by name"):
            ctx.send(*arguments, field=1)


def test_arguments_by_name(ctx, sent):
    async def journey():
        async with ctx.transaction(name="t"):
            ctx.send(a=1, type="note", b=2)

    run(journey())
    assert [(m["type"], m["transaction"]) for m in sent] == [("note", "t"), ("txn", "t")]
    assert (sent[0]["a"], sent[0]["b"]) == (1, 2)
    with pytest.raises(TypeError):
        ctx.transaction(title="t")


def test_an_exception_of_send_fn_comes_out_of_send():
    def refuse(message):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        Context(refuse, {}).send("note")


def test_attributes(ctx):
    ctx.anything = 3
    assert ctx.anything == 3
    assert ctx.config == {"key": "value"}
    assert ctx.should_stop is False
    with pytest.raises(AttributeError):
        ctx.missing  # noqa: B018


def test_should_stop_func():
    answers = [False, True]
    ctx = Context(lambda message: None, {}, should_stop_func=lambda: answers.pop(0))
    assert [ctx.should_stop, ctx.should_stop] == [False, True]


def test_transactions_nest(ctx, sent):
    async def journey():
        async with ctx.transaction("outer"):
            ctx.send("a")
            async with ctx.transaction("inner"):
                ctx.send("b")
            ctx.send("c")
        ctx.send("d")

    run(journey())
    assert [(m["type"], m["transaction"], m["transaction_id"]) for m in sent] == [
        ("a", "outer", 1),
        ("b", "outer :: inner", 2),
        ("txn", "outer :: inner", 2),
        ("c", "outer", 1),
        ("txn", "outer", 1),
        ("d", None, None),
    ]
    assert [m["had_error"] for m in sent if m["type"] == "txn"] == [False, False]


def test_transaction_measures(ctx, sent):
    async def journey():
        async with ctx.transaction("wait"):
            await asyncio.sleep(0.02)

    run(journey())
    assert 0.02 <= sent[0]["end_time"] - sent[0]["start_time"] < 5


def test_concurrent_tasks_each_nest_in_their_own(ctx, sent):
    async def step(name):
        async with ctx.transaction(name):
            await asyncio.sleep(0)
            async with ctx.transaction("part"):
                await asyncio.sleep(0)

    async def journey():
        async with ctx.transaction("all"):
            await asyncio.gather(step("one"), step("two"))

    run(journey())
    assert sorted(m["transaction"] for m in sent) == [
        "all",
        "all :: one",
        "all :: one :: part",
        "all :: two",
        "all :: two :: part",
    ]


def test_two_contexts_in_one_task(ctx, sent):
    others = []
    other = Context(others.append, {})

    async def journey():
        async with ctx.transaction("mine"):
            async with other.transaction("theirs"):
                ctx.send("note")

    run(journey())
    assert sent[0]["transaction"] == "mine"
    assert others[0]["transaction"] == "theirs"


def test_transactions_that_end_out_of_turn(ctx, sent):
    async def journey():
        first, second = ctx.transaction("first"), ctx.transaction("second")
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        ctx.send("a")
        await second.__aexit__(None, None, None)
        ctx.send("b")

    run(journey())
    assert [(m["type"], m["transaction"]) for m in sent] == [
        ("txn", "first"),
        ("a", "first :: second"),
        ("txn", "first :: second"),
        ("b", None),
    ]


def test_a_transaction_begins_once(ctx):
    async def journey():
        transaction = ctx.transaction("once")
        async with transaction:
            pass
        async with transaction:
            pass

    with pytest.raises(RuntimeError, match="'once' has begun already"):
        run(journey())


def test_transaction_names_are_text(ctx):
    with pytest.raises(TypeError, match="must be a str, not int"):
        ctx.transaction(3)


def test_transactions_leave_no_context_variable_behind(ctx):
    async def journey():
        before = dict(contextvars.copy_context())
        async with ctx.transaction("a"):
            pass
        after = dict(contextvars.copy_context())
        return {k: v for k, v in after.items() if v is not None} == before

    assert run(journey())


def test_an_exception_is_reported_once_by_the_innermost(ctx, sent):
    async def journey():
        async with ctx.transaction("outer"):
            async with ctx.transaction("inner"):
                raise ValueError("no\nway")

    with pytest.raises(ValueError):
        run(journey())
    assert types(sent) == ["exception", "txn", "txn"]
    exception = sent[0]
    assert exception["message"] == "ValueError: no\nway"
    assert exception["ex_type"] == "ValueError"
    assert exception["transaction"] == "outer :: inner"
    file, line, function = exception["location"].rsplit(":", 2)
    assert file == __file__
    assert function == "journey"
    assert line.isdigit()
    assert exception["stacktrace"].splitlines()[-1].strip() == 'raise ValueError("no\\nway")'
    assert [m["had_error"] for m in sent[1:]] == [True, True]


def test_mite_errors_carry_their_fields(ctx, sent):
    async def journey():
        async with ctx.transaction("stock"):
            raise MiteError("no stock", item=7, thing={1, 2}, location="mine")

    with pytest.raises(MiteError):
        run(journey())
    error = sent[0]
    assert error["type"] == "error"
    assert error["message"] == "mite.exceptions.MiteError: no stock"
    assert error["ex_type"] == "MiteError"
    assert error["item"] == 7
    assert error["location"].startswith(__file__)
    assert error["thing"] == "{1, 2}"
    assert "stacktrace" not in error


def test_an_exception_that_is_caught_and_raised_again_is_one(ctx, sent):
    async def journey():
        async with ctx.transaction("outer"):
            try:
                async with ctx.transaction("inner"):
                    raise KeyError("x")
            except KeyError:
                raise

    with pytest.raises(KeyError):
        run(journey())
    assert types(sent) == ["exception", "txn", "txn"]


def test_a_new_exception_is_another(ctx, sent):
    async def journey():
        async with ctx.transaction("outer"):
            try:
                async with ctx.transaction("inner"):
                    raise KeyError("x")
            except KeyError as error:
                raise RuntimeError("y") from error

    with pytest.raises(RuntimeError):
        run(journey())
    assert [(m["type"], m.get("ex_type")) for m in sent] == [
        ("exception", "KeyError"),
        ("txn", None),
        ("exception", "RuntimeError"),
        ("txn", None),
    ]


def test_one_exception_in_two_contexts_is_reported_in_both(ctx, sent):
    others = []
    other = Context(others.append, {})
    shared = ValueError("shared")

    async def journey(context):
        async with context.transaction("t"):
            raise shared

    for context in (ctx, other):
        with pytest.raises(ValueError):
            run(journey(context))
    assert types(sent) == types(others) == ["exception", "txn"]


def test_a_group_of_reported_exceptions_is_no_news(ctx, sent):
    async def fail():
        async with ctx.transaction("part"):
            raise ValueError("part")

    async def journey():
        async with ctx.transaction("all"):
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        run(journey())
    assert types(sent) == ["exception", "txn", "txn"]
    assert [m["had_error"] for m in sent[1:]] == [True, True]


def test_cancellation_is_no_error(ctx, sent):
    async def visit():
        async with ctx.transaction("long"):
            await asyncio.sleep(60)

    async def journey():
        task = asyncio.create_task(visit())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(journey())
    assert types(sent) == ["txn"]
    assert sent[0]["had_error"] is False


def test_a_generator_that_is_closed_is_no_error(ctx, sent):
    async def steps():
        async with ctx.transaction("steps"):
            yield 1
            yield 2

    async def journey():
        generator = steps()
        await anext(generator)
        await generator.aclose()

    run(journey())
    assert [(m["type"], m["had_error"]) for m in sent] == [("txn", False)]


def test_a_timeout_is_an_exception(ctx, sent):
    async def journey():
        async with ctx.transaction("slow"):
            await asyncio.wait_for(asyncio.sleep(60), 0.01)

    with pytest.raises(asyncio.TimeoutError):
        run(journey())
    assert sent[0]["ex_type"] == "TimeoutError"


def test_an_exception_whose_text_fails(ctx, sent):
    class Mean(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    async def journey():
        async with ctx.transaction("t"):
            raise Mean

    with pytest.raises(Mean):
        run(journey())
    assert sent[0]["message"].endswith("Mean: <exception str() failed>")


def test_contexts_are_collected():
    import gc
    import weakref

    ctx = Context(lambda message: None, {})
    ctx.me = ctx
    seen = weakref.ref(ctx)
    del ctx
    gc.collect()
    assert seen() is None


def test_documentation():
    assert Context.send.__text_signature__ == "($self, type, **fields)"
    assert "configuration" in Context.config.__doc__
    assert Context.__doc__.startswith("What a running journey knows")
