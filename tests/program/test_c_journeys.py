"""What a journey in C can do, and how it ends."""

import re

import pytest

from c_journeys import Run, of_type, run_c  # noqa: F401
from helpers import totals


def test_seed_journey_without_an_interpreter(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        int64_t a = mite_arg_int(ctx, 0), b = mite_arg_int(ctx, 1);

        MITE_TRANSACTION(ctx, "test1") {
            mite_send(ctx, "test_message",
                      MITE_STR("content", mite_config(ctx, "test_msg", "Not set")),
                      MITE_INT("sum", a + b));
            mite_sleep(ctx, 0.01);
        }
    }
    MITE_DATAPOOL(datapool) { return mite_pool_single(setup, mite_int(40), mite_int(2)); }
    """
    result, messages = run_c(source, "journey", "j.c:datapool", env={"MITE_CONF_test_msg": "Hello", "PYTHONHOME": "/none"})
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).journeys == 1
    sent, inner, root = messages
    assert (sent["type"], sent["content"], sent["sum"]) == ("test_message", "Hello", 42)
    assert sent["transaction"] == "__root__ :: test1" and sent["transaction_id"] == 2
    assert sent["journey"] == "j.c:journey" and sent["scenario_data_id"] == 1
    assert inner["type"] == "txn" and inner["transaction"] == "__root__ :: test1" and not inner["had_error"]
    assert root["transaction"] == "__root__" and not root["had_error"]


def test_values_travel_whole(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        mite_send(ctx, "all", MITE_INT("i", -5), MITE_FLOAT("f", 1.5), MITE_BOOL("b", true), MITE_STR("none", NULL),
                  MITE_STR("s", "h\\xc3\\xa9"), MITE_BYTES("raw", "\\0\\1", 2), MITE_NIL("nil"),
                  MITE_LIST("list", mite_int(1), mite_str("two"), mite_list(mite_float(3))),
                  MITE_MAP("map", MITE_INT("one", 1), MITE_MAP("deep", MITE_STR("x", "y"))));
        mite_send(ctx, "bare");
    }
    """
    result, messages = run_c(source)
    assert result.returncode == 0, result.stderr
    sent = messages[0]
    assert (sent["i"], sent["f"], sent["b"], sent["none"], sent["s"], sent["nil"]) == (-5, 1.5, True, None, "hé", None)
    assert sent["raw"] == {"__bytes__": "AAE="}
    assert sent["list"] == [1, "two", [3.0]]
    assert sent["map"] == {"one": 1, "deep": {"x": "y"}}
    assert messages[1]["type"] == "bare"


def test_a_transaction_ends_on_every_way_out(run_c: Run) -> None:
    source = """
    static void leave(struct mite_context *ctx) { MITE_TRANSACTION(ctx, "return") { return; } }
    MITE_JOURNEY(journey)
    {
        MITE_TRANSACTION(ctx, "outer") {
            MITE_TRANSACTION(ctx, "break") { break; }
            for (int i = 0; i < 2; i++) {
                MITE_TRANSACTION(ctx, "continue") { continue; }
            }
            MITE_TRANSACTION(ctx, "goto") { goto out; }
    out:
            leave(ctx);
            int64_t left_open = mite_transaction_begin(ctx, "begun");
            mite_transaction_begin(ctx, "inside");
            mite_transaction_end(ctx, left_open);
            mite_transaction_end(ctx, left_open);
        }
        mite_transaction_begin(ctx, "never ended");
    }
    """
    result, messages = run_c(source)
    assert result.returncode == 0, result.stderr
    names = [message["transaction"].removeprefix("__root__ :: ") for message in messages]
    assert names == [
        "outer :: break", "outer :: continue", "outer :: continue", "outer :: goto", "outer :: return",
        "outer :: begun :: inside", "outer :: begun", "outer", "never ended", "__root__",
    ]  # fmt: skip
    assert not any(message["had_error"] for message in messages)


def test_a_failed_check_ends_the_journey_and_cleans_up(run_c: Run) -> None:
    source = """
    static void cleaned(int *what) { fprintf(stderr, "cleaned %d\\n", *what); }
    static void deferred(void *what) { fprintf(stderr, "deferred %s\\n", (const char *)what); }
    MITE_JOURNEY(journey)
    {
        __attribute__((cleanup(cleaned))) int one = 1;
        mite_defer(ctx, deferred, "first");
        mite_defer(ctx, deferred, "second");
        MITE_TRANSACTION(ctx, "outer") {
            MITE_TRANSACTION(ctx, "inner") {
                __attribute__((cleanup(cleaned))) int two = 2;
                mite_check(ctx, one == 1);
                mite_check(ctx, one == 2, "one is %d", one);
                fprintf(stderr, "not reached\\n");
            }
        }
    }
    """
    result, messages = run_c("#include <stdio.h>\n" + source)
    assert result.returncode == 1
    said = [line for line in result.stderr.splitlines() if re.match("cleaned|deferred|not reached", line)]
    assert said == ["cleaned 2", "cleaned 1", "deferred second", "deferred first"]
    error, inner, outer, root = messages
    assert error["type"] == "error" and error["ex_type"] == "MiteError"
    assert error["message"] == "mite.exceptions.MiteError: one is 1"
    assert re.fullmatch(r"j\.c:15:journey", error["location"])
    assert error["transaction"] == "__root__ :: outer :: inner"
    assert [m["had_error"] for m in (inner, outer, root)] == [True, True, True]


def test_a_check_without_words_says_its_condition(run_c: Run) -> None:
    result, messages = run_c('MITE_JOURNEY(journey) { mite_check(ctx, 1 + 1 == 3); }')
    assert of_type(messages, "error")[0]["message"] == "mite.exceptions.MiteError: 1 + 1 == 3"


def test_a_failure_with_bytes_that_are_no_text(run_c: Run) -> None:
    result, messages = run_c('MITE_JOURNEY(journey) { mite_fail(ctx, "got %s", "\\xffJ\\xc3\\xbc\\xc3"); }')
    assert of_type(messages, "error")[0]["message"] == "mite.exceptions.MiteError: got ?J\u00fc?", result.stderr


def test_fields_of_a_failure(run_c: Run) -> None:
    result, messages = run_c('MITE_JOURNEY(journey) { mite_fail_with(ctx, "sold out", MITE_INT("item", 7)); }')
    error = of_type(messages, "error")[0]
    assert error["message"] == "mite.exceptions.MiteError: sold out" and error["item"] == 7


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("mite_arg_int(ctx, 4)", "TypeError: the journey wants argument 4 (the first is 0) and was given 4 arguments"),
        ("mite_arg_int(ctx, 1)", "TypeError: argument 1 is text, and an integer is wanted"),
        ("mite_arg_str(ctx, 0)", "TypeError: argument 0 is integer, and a text is wanted"),
        ("mite_arg_float(ctx, 1)", "TypeError: argument 1 is text, and a number is wanted"),
        ("mite_arg_bool(ctx, 0)", "TypeError: argument 0 is integer, and a boolean is wanted"),
        ("mite_arg_bytes(ctx, 0, NULL)", "TypeError: argument 0 is integer, and bytes is wanted"),
        ('mite_int_at(ctx, mite_arg(ctx, 2), "a.1.c")', 'TypeError: there is no "a.1.c" in the value'),
        ('mite_int_at(ctx, mite_arg(ctx, 2), "a.0.b")', 'TypeError: "a.0.b" is text, and an integer is wanted'),
        ('mite_config_int(ctx, "text", 0)', 'TypeError: configuration key "text" is "no number", and an integer is wanted'),
        ('mite_send(ctx, "m", MITE_STR("s", "\\xff"))', 'TypeError: field "s": it holds a text that is not UTF-8: give that as bytes'),
        ('mite_get(ctx, "http://x/", .body = "a", .json = mite_int(1))',
         "ValueError: body, json and form exclude one another: a request has one body"),
        ('mite_get(ctx, "http://x/", .headers = MITE_PAIRS({"a b", "c"}))',
         'ValueError: headers: "a b" has a character that may not stand there, or no name'),
        ('mite_get(ctx, "http://x/", .password = "p")', "ValueError: a password without a user: give .user too"),
        ('mite_get(ctx, "http://x/", .key_file = "k")',
         "ValueError: a client key without its certificate: give .cert_file too"),
        ('mite_connect(ctx, "tls://x:1", .key_file = "k")',
         "ValueError: a client key without its certificate: give .cert_file too"),
        ('mite_post(ctx, "http://x/", .body_size = 3)', "ValueError: a body_size without a body"),
        ('mite_connect(ctx, "tcp://x:1", .timeout_ms = -1)',
         "ValueError: timeout_ms must be a positive number of milliseconds, not -1"),
        ('struct mite_value deep[66] = {mite_nil()}; for (int i = 1; i < 66; i++) deep[i] = mite_items(&deep[i - 1], 1);'
         ' mite_send(ctx, "m", MITE_VALUE("deep", deep[65]))',
         'TypeError: field "deep": it is deeper than 64 lists and maps'),
        ('mite_send(ctx, "m", MITE_VALUE("v", mite_items(NULL, 2)))',
         'TypeError: field "v": it holds NULL with a count of 2'),
        ('mite_send(ctx, "m", MITE_VALUE("v", mite_list(mite_bytes(NULL, 1))))',
         'TypeError: field "v": it holds NULL with a count of 1'),
        ('mite_post(ctx, "http://x/", .json = mite_fields(NULL, 3))',
         "ValueError: json: it holds NULL with a count of 3"),
        ("mite_alloc(ctx, (size_t)-16)", "MemoryError: no memory for what the journey asked for"),
        ('mite_connect(ctx, "nowhere")',
         'ValueError: "nowhere" is no address: tcp://HOST:PORT, tls://HOST:PORT or udp://HOST:PORT'),
    ],
)  # fmt: skip
def test_wrong_use_is_a_sentence_and_a_place(run_c: Run, call: str, sentence: str) -> None:
    pool = 'MITE_DATAPOOL(pool) { return mite_pool_single(setup, mite_int(1), mite_str("x"), ' \
           'mite_map(MITE_LIST("a", mite_map(MITE_STR("b", "c")))), mite_nil()); }'
    source = f'MITE_JOURNEY(journey)\n{{\n    {call};\n    mite_send(ctx, "reached");\n}}\n{pool}'
    result, messages = run_c(source, "journey", "j.c:pool", env={"MITE_CONF_text": "no number"})
    assert result.returncode == 1, result.stderr
    exception, root = messages
    assert exception["type"] == "exception" and exception["message"] == sentence
    assert exception["ex_type"] == sentence.split(":")[0] and exception["location"] == "j.c:4:journey"
    assert root["had_error"]


NULLS = {
    'mite_config(ctx, none(), "")': "mite_config() was given NULL for its key",
    "mite_config_int(ctx, none(), 0)": "mite_config_int() was given NULL for its key",
    "mite_config_float(ctx, none(), 0)": "mite_config_float() was given NULL for its key",
    "mite_config_value(ctx, none())": "mite_config_value() was given NULL for its key",
    "mite_key(mite_arg(ctx, 0), none())": "mite_key() was given NULL for its key",
    "mite_send(ctx, none())": "mite_send() was given NULL for the message's type",
    'mite_send(ctx, "m", MITE_INT(none(), 1))': "mite_send(): field 1 has no name",
    'mite_send_fields(ctx, "m", none(), 2)': "mite_send() was given NULL for its fields",
    'mite_fail_fields(ctx, "m", none(), 2)': "mite_fail_with() was given NULL for its fields",
    "mite_metrics_fields(ctx, none(), 2)": "mite_metrics() was given NULL for its fields",
    'mite_fail_with(ctx, "m", MITE_INT("a", 1), MITE_INT(none(), 1))': "mite_fail_with(): field 2 has no name",
    'mite_fail_with(ctx, none(), MITE_INT("a", 1))': "mite_fail_with() was given NULL for its text",
    "mite_fail(ctx, none(), 1)": "mite_fail() was given NULL for its format",
    "mite_format(ctx, none(), 1)": "mite_format() was given NULL for its format",
    "MITE_TRANSACTION(ctx, none()) { }": "mite_transaction_begin() was given NULL for the transaction's name",
    "mite_transaction_begin(ctx, none())": "mite_transaction_begin() was given NULL for the transaction's name",
    "mite_defer(ctx, none(), ctx)": "mite_defer() was given NULL for its function",
    'mite_blocking_named(mite_here(ctx, "j.c", __LINE__), "b", none(), NULL)': "mite_blocking() was given NULL for its function",
    "mite_metrics(ctx, MITE_INT(none(), 1))": "mite_metrics(): field 1 has no name",
    "mite_get(ctx, none())": "mite_request() was given NULL for the URL of a GET",
    'mite_request(ctx, none(), "http://x/", NULL)': "mite_request() was given NULL for the method",
    'mite_start(ctx, "PUT", none())': "mite_request() was given NULL for the URL of a PUT",
    'mite_get(ctx, "http://x/", .headers = MITE_PAIRS({"X", none()}))': 'headers: "X" has NULL for its value',
    'mite_get(ctx, "http://x/", .form = MITE_PAIRS({"X", none()}))': 'form: "X" has NULL for its value',
    'mite_get(ctx, "http://x/", .cookies = MITE_PAIRS({"X", none()}))': 'cookies: "X" has NULL for its value',
    "mite_await(ctx, none())": "mite_await() was given NULL for the request",
    "mite_json(ctx, none())": "mite_json() was given NULL for the response",
    "mite_status(none())": "mite_status() was given NULL for the response",
    "mite_failure(none())": "mite_failure() was given NULL for the response",
    "mite_body(none())": "mite_body() was given NULL for the response",
    "mite_body_size(none())": "mite_body_size() was given NULL for the response",
    "mite_url(none())": "mite_url() was given NULL for the response",
    "mite_redirect_url(none())": "mite_redirect_url() was given NULL for the response",
    "mite_seconds(none(), MITE_PHASE_DNS)": "mite_seconds() was given NULL for the response",
    'mite_header(none(), "a")': "mite_header() was given NULL for the response",
    'mite_header(mite_get(ctx, "http://", .may_fail = true), none())': "mite_header() was given NULL for the header's name",
    "mite_cookie(ctx, none())": "mite_cookie() was given NULL for the cookie's name",
    'mite_set_cookie(ctx, none(), "a", "b")': "mite_set_cookie() was given NULL for the domain",
    'mite_set_cookie(ctx, "a", none(), "b")': "mite_set_cookie() was given NULL for the cookie's name",
    'mite_set_cookie(ctx, "a", "b", none())': "mite_set_cookie() was given NULL for the cookie's value",
    "mite_connect(ctx, none())": "mite_connect() was given NULL for the address",
    "mite_read(ctx, NULL, none(), 1)": "mite_read() was given NULL for the buffer",
    "mite_read_exactly(ctx, NULL, none(), 1)": "mite_read_exactly() was given NULL for the buffer",
    "mite_write(ctx, NULL, none(), 1)": "mite_write() was given NULL for the bytes",
    "mite_write_text(ctx, NULL, none())": "mite_write_text() was given NULL for the text",
}


def test_null_is_a_sentence_that_names_the_function(run_c: Run) -> None:
    journeys = "".join(
        f"MITE_JOURNEY(null{i}) {{ mite_arg_count(mite_here(ctx, \"j.c\", __LINE__)); {call}; }}\n"
        for i, call in enumerate(NULLS)
    )
    volume = "mite_volume(setup, MITE_CONSTANT(9, 1))"
    added = "".join(f'mite_add(setup, ":null{i}", mite_pool(setup, ":one"), {volume});' for i in range(len(NULLS)))
    source = (
        "static void *none(void) { void *volatile p = NULL; return p; }\n"
        "MITE_DATAPOOL(one) { return mite_pool_single(setup, mite_nil()); }\n"
        f"{journeys}MITE_SCENARIO(all) {{ {added} }}\n"
    )
    result, messages = run_c(source, "all", command=("scenario", "test"))
    assert result.returncode == 1, result.stderr
    exceptions = of_type(messages, "exception")
    assert len(exceptions) == len(NULLS), result.stderr
    for exception in exceptions:
        number = int(exception["journey"].removeprefix("j.c:null"))
        call, sentence = list(NULLS.items())[number]
        assert exception["ex_type"] == "TypeError" and sentence in exception["message"], (call, exception)
        assert exception["location"] == f"j.c:{number + 4}:null{number}", call


def test_arguments_of_every_type_and_configuration(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        size_t size;
        const char *raw = mite_arg_bytes(ctx, 4, &size);
        mite_check(ctx, mite_arg_count(ctx) == 6);
        mite_check(ctx, mite_arg_int(ctx, 0) == -7 && mite_arg_float(ctx, 0) == -7.0);
        mite_check(ctx, mite_arg_float(ctx, 1) == 2.5 && mite_arg_bool(ctx, 3));
        mite_check(ctx, strcmp(mite_arg_str(ctx, 2), "text") == 0);
        mite_check(ctx, size == 3 && memcmp(raw, "a\\0b", 3) == 0);
        mite_check(ctx, mite_int_at(ctx, mite_arg(ctx, 5), "list.1") == 2);
        mite_check(ctx, strcmp(mite_text_at(ctx, mite_arg(ctx, 5), "dot.ted"), "no") != 0);
        mite_check(ctx, mite_find(mite_arg(ctx, 5), "list.9") == NULL);
        mite_check(ctx, mite_key(mite_arg(ctx, 5), "a.b") != NULL && mite_find(mite_arg(ctx, 5), "a.b") == NULL);
        mite_check(ctx, mite_config_int(ctx, "n", 1) == 12 && mite_config_int(ctx, "none", 1) == 1);
        mite_check(ctx, mite_config_float(ctx, "n", 1) == 12.0 && mite_config_value(ctx, "none") == NULL);
        mite_check(ctx, strcmp(mite_config(ctx, "none", "x"), "x") == 0);
        mite_check(ctx, strcmp(mite_format(ctx, "%d-%s", 1, "a"), "1-a") == 0);
    }
    MITE_DATAPOOL(pool)
    {
        return mite_pool_single(setup, mite_int(-7), mite_float(2.5), mite_str("text"), mite_bool(true),
                                mite_bytes("a\\0b", 3),
                                mite_map(MITE_LIST("list", mite_int(1), mite_int(2)), MITE_INT("a.b", 1),
                                         MITE_MAP("dot", MITE_STR("ted", "yes"))));
    }
    """
    result, messages = run_c(source, "journey", "j.c:pool", env={"MITE_CONF_n": "12"})
    assert result.returncode == 0, result.stdout


def test_separations(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        MITE_TRANSACTION(ctx, "fixed") { MITE_FIXED_SEPARATION(ctx, 0.2) { mite_sleep(ctx, 0.05); break; } }
        MITE_TRANSACTION(ctx, "average") { MITE_AVERAGE_SEPARATION(ctx, 0.2, -1) { } }
        MITE_TRANSACTION(ctx, "over") { MITE_FIXED_SEPARATION(ctx, 0.01) { mite_sleep(ctx, 0.1); } }
    }
    """
    result, messages = run_c(source)
    lasted = {m["transaction"].split(" :: ")[-1]: m["end_time"] - m["start_time"] for m in messages}
    assert 0.2 <= lasted["fixed"] < 0.3
    assert 0.149 <= lasted["average"] < 0.35
    assert 0.1 <= lasted["over"] < 0.2


def test_blocking_calls_run_beside_the_loop(run_c: Run) -> None:
    source = """
    #include <unistd.h>
    static void block(void *arg) { usleep(200000); *(int *)arg = 5; }
    MITE_JOURNEY(journey)
    {
        int result = 0;
        mite_blocking(ctx, block, &result);
        mite_check(ctx, result == 5);
    }
    """
    result, messages = run_c(
        source, "journey", "--volume=4", "--iterations=4", command=("journey", "test")
    )  # the number of threads
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout).seconds < 0.7
    assert [m["transaction"] for m in messages].count("__root__ :: block") == 4


def test_a_blocking_call_that_does_not_return_is_cut_off_and_counted(run_c: Run) -> None:
    source = """
    #include <unistd.h>
    static void hang(void *arg) { for (;;) { pause(); } }
    MITE_JOURNEY(journey) { MITE_TRANSACTION(ctx, "outer") { mite_blocking(ctx, hang, NULL); } }
    """
    result, messages = run_c(
        source, "journey", "--duration=0.2", "--graceful-stop=0", "--volume=2", command=("journey", "test")
    )
    assert result.returncode == 0, result.stderr
    line = 'WARNING journey "j.c:journey" was cut off in "outer :: hang": its blocking call does not return'
    assert result.stderr.count(line) == 2
    assert totals(result.stdout)[:3] == (0, 0, 2)
    assert len(of_type(messages, "txn")) == 6 and not any(m["had_error"] for m in messages)


def test_a_journey_that_never_yields_is_named(run_c: Run) -> None:
    source = """
    #include <time.h>
    MITE_JOURNEY(journey)
    {
        mite_sleep(ctx, 0.01);
        for (time_t end = time(NULL) + 3; time(NULL) < end;) { }
    }
    """
    result, messages = run_c(source)
    assert re.search(r'WARNING journey "j\.c:journey" has blocked the loop for 1\.\d s after its call at j\.c:6', result.stderr)
    assert result.returncode == 0


def test_cancelled_journeys_end_without_an_error(run_c: Run) -> None:
    source = """
    #include <stdio.h>
    static void cleaned(int *unused) { fprintf(stderr, "cleaned\\n"); }
    MITE_JOURNEY(journey)
    {
        __attribute__((cleanup(cleaned))) int one = 1;
        MITE_TRANSACTION(ctx, "long") { MITE_FIXED_SEPARATION(ctx, 90) { mite_sleep(ctx, 90 + one); } }
    }
    """
    result, messages = run_c(
        source, "journey", "--duration=0.3", "--graceful-stop=0.1", "--volume=3", command=("journey", "test")
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("cleaned") == 3
    assert [m["had_error"] for m in messages] == [False] * 6


def test_should_stop(run_c: Run) -> None:
    source = "MITE_JOURNEY(journey) { while (!mite_should_stop(ctx)) mite_sleep(ctx, 0.02); }"
    result, messages = run_c(source, "journey", "--duration=0.3", "--volume=2", command=("journey", "test"))
    assert result.returncode == 0
    assert totals(result.stdout).journeys == 2


def test_another_spelling_is_suggested(run_c: Run) -> None:
    result, _ = run_c("MITE_JOURNEY(checkout) { }", "chekout")
    assert result.returncode == 2
    assert 'did you mean "checkout"?' in result.stderr
