"""HTTP of journeys in C, against the built-in target; and that it says what Python's says."""

import contextlib
import json
import select
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from c_journeys import Messages, Run, of_type, read_messages, run_c  # noqa: F401
from conftest import needs_python
from helpers import Mite, free_port, totals


def bodies(messages: Messages) -> list[Any]:
    return [json.loads(message["body"]) for message in of_type(messages, "echo")]


def test_requests_with_everything(run_c: Run, target: str) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        const char *echo = mite_format(ctx, "%s/echo", mite_config(ctx, "url", ""));
        struct mite_response *answers[] = {
            mite_post(ctx, echo, .body = "raw \\x01 text"),
            mite_put(ctx, echo, .json = mite_map(MITE_INT("n", 1), MITE_LIST("l", mite_str("x")))),
            mite_patch(ctx, echo, .form = MITE_PAIRS({"name", "J\\xc3\\xbcrgen & co"}, {"b", ""})),
            mite_get(ctx, echo, .headers = MITE_PAIRS({"X-One", "1"}, {"X-Two", "2"})),
            mite_get(ctx, echo, .user = "me", .password = "pw"),
            mite_get(ctx, echo, .cookies = MITE_PAIRS({"a", "1"}, {"b", "2"})),
            mite_delete(ctx, echo),
        };
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
            mite_check(ctx, mite_status(answers[i]) == 200);
            mite_send(ctx, "echo", MITE_STR("body", mite_body(answers[i])));
        }
        mite_check(ctx, strcmp(mite_cookie(ctx, "b"), "2") == 0);
        mite_clear_cookies(ctx);
        mite_check(ctx, mite_cookie(ctx, "b") == NULL);
    }
    """
    result, messages = run_c(source, env={"MITE_CONF_url": target})
    assert result.returncode == 0, result.stdout + result.stderr
    raw, as_json, form, headers, auth, cookies, deleted = bodies(messages)
    assert raw["body"] == "raw \x01 text" and raw["method"] == "POST"
    assert json.loads(as_json["body"]) == {"n": 1, "l": ["x"]}
    assert as_json["headers"]["Content-Type"] == "application/json"
    assert form["body"] == "name=J%C3%BCrgen+%26+co&b="
    assert form["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["headers"]["X-One"] == "1" and headers["headers"]["X-Two"] == "2"
    assert auth["headers"]["Authorization"] == "Basic bWU6cHc="
    assert cookies["headers"]["Cookie"] == "a=1; b=2"
    assert deleted["method"] == "DELETE"
    assert [m["method"] for m in of_type(messages, "http_metrics")] == "POST PUT PATCH GET GET GET DELETE".split()


def test_answers_are_read(run_c: Run, target: str) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        const char *url = mite_config(ctx, "url", "");
        struct mite_response *r = mite_get(ctx, mite_format(ctx, "%s/echo?a=1", url));
        const struct mite_value *json = mite_json(ctx, r);

        mite_check(ctx, strcmp(mite_text_at(ctx, json, "arguments.a"), "1") == 0);
        mite_check(ctx, strstr(mite_header(r, "content-TYPE"), "json") != NULL && mite_header(r, "no") == NULL);
        mite_check(ctx, mite_body_size(r) == strlen(mite_body(r)));
        mite_check(ctx, mite_seconds(r, MITE_PHASE_TOTAL) > 0);
        r = mite_get(ctx, mite_format(ctx, "%s/redirect/2", url));
        mite_check(ctx, mite_status(r) == 200 && strcmp(mite_url(r), mite_format(ctx, "%s/", url)) == 0);
        r = mite_get(ctx, mite_format(ctx, "%s/redirect/2", url), .max_redirects = MITE_NO_REDIRECTS);
        mite_check(ctx, mite_status(r) == 302 && strstr(mite_redirect_url(r), "/redirect/1") != NULL);
        mite_release(r);
        r = mite_get(ctx, mite_format(ctx, "%s/stall", url), .timeout_ms = 100, .may_fail = true);
        mite_check(ctx, mite_status(r) == 0 && strstr(mite_failure(r), "code 28") != NULL);
        r = mite_get(ctx, "nonsense://", .may_fail = true);
        mite_check(ctx, strstr(mite_failure(r), "code 3 ") != NULL);
        mite_json(ctx, mite_get(ctx, url));
    }
    """
    result, messages = run_c(source, env={"MITE_CONF_url": target})
    exception = of_type(messages, "exception")[0]
    assert exception["ex_type"] == "JSONDecodeError" and exception["location"] == "j.c:22:journey"


def test_several_at_once(run_c: Run, target: str) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        struct mite_pending *pending[5];
        const char *url = mite_config(ctx, "url", "");
        MITE_TRANSACTION(ctx, "together") {
            for (int i = 0; i < 5; i++) {
                pending[i] = mite_start(ctx, "GET", mite_format(ctx, "%s/delay/200", url));
            }
            for (int i = 0; i < 5; i++) {
                mite_check(ctx, mite_status(mite_await(ctx, pending[i])) == 200);
            }
        }
        mite_start(ctx, "GET", mite_format(ctx, "%s/stall", url));
    }
    """
    result, messages = run_c(source, env={"MITE_CONF_url": target})
    assert result.returncode == 0, result.stdout
    together = of_type(messages, "txn")[0]
    assert together["end_time"] - together["start_time"] < 0.8
    assert len(of_type(messages, "http_metrics")) == 5
    assert "1 request" in result.stdout and "aborted" in result.stdout


def test_a_block_gives_its_memory_back(run_c: Run, target: str) -> None:
    source = """
    #include <sys/resource.h>
    static long peak_kib(void) { struct rusage usage; getrusage(RUSAGE_SELF, &usage); return usage.ru_maxrss; }
    MITE_JOURNEY(journey)
    {
        const char *url = mite_config(ctx, "url", ""), *kept = mite_format(ctx, "kept");
        long before = 0;
        for (int i = 0; i < 300; i++) {
            MITE_SCRATCH(ctx) {
                struct mite_response *r = mite_get(ctx, mite_format(ctx, "%s/bytes/200000", url));
                memset(mite_alloc(ctx, 100000), i, 100000);
                MITE_SCRATCH(ctx) { mite_format(ctx, "inner"); if (i % 2) continue; }
                mite_check(ctx, mite_body_size(r) == 200000);
            }
            before = i == 50 ? peak_kib() : before;
        }
        mite_check(ctx, strcmp(kept, "kept") == 0);
        mite_check(ctx, peak_kib() - before < 10000, "%ld KiB more", peak_kib() - before);
        MITE_SCRATCH(ctx) {
            mite_start(ctx, "GET", mite_format(ctx, "%s/stall", url));
        }
        MITE_SCRATCH(ctx) { mite_fail(ctx, mite_format(ctx, "%s", "over") ? "over" : ""); }
    }
    """
    result, messages = run_c(source, env={"MITE_CONF_url": target})
    assert of_type(messages, "error")[0]["message"] == "mite.exceptions.MiteError: over"
    assert len(of_type(messages, "http_metrics")) == 300


def test_callback_and_metrics(run_c: Run, target: str) -> None:
    source = """
    static void seen(struct mite_context *ctx, struct mite_response *response, void *arg)
    {
        ++*(int *)arg;
        mite_metrics(ctx, MITE_INT("number", *(int *)arg), MITE_INT("size", (int64_t)mite_body_size(response)));
    }
    MITE_JOURNEY(journey)
    {
        int count = 0;
        const char *url = mite_config(ctx, "url", "");
        mite_on_response(ctx, seen, &count);
        mite_get(ctx, mite_format(ctx, "%s/redirect/1", url));
        mite_get(ctx, mite_format(ctx, "%s/bytes/10", url));
        mite_on_response(ctx, NULL, NULL);
        mite_metrics(ctx, MITE_STR("page", "last"));
        mite_get(ctx, url);
        mite_new_session(ctx);
        mite_get(ctx, url);
    }
    """
    result, messages = run_c(source, env={"MITE_CONF_url": target})
    assert result.returncode == 0, result.stdout
    metrics = of_type(messages, "http_metrics")
    assert [m.get("number") for m in metrics] == [1, 2, 3, None, None]
    assert metrics[2]["size"] == 10
    assert [m.get("page") for m in metrics] == [None, None, None, "last", None]


CALLBACKS = """
static void see(struct mite_context *ctx, struct mite_response *response, void *arg)
{
    mite_send(ctx, "seen", MITE_INT("status", mite_status(response)), MITE_BOOL("failed", mite_failure(response) != NULL),
              MITE_STR("to", mite_redirect_url(response)));
}
static void read_json(struct mite_context *ctx, struct mite_response *response, void *arg)
{
    if (mite_status(response) == 200) {
        mite_send(ctx, "method", MITE_STR("method", mite_text_at(ctx, mite_json(ctx, response), "method")));
    }
}
static void refuse(struct mite_context *ctx, struct mite_response *response, void *arg)
{
    mite_check(ctx, ++*(int *)arg < 2, "the second one");
}
static void give_back(struct mite_context *ctx, struct mite_response *response, void *arg)
{
    mite_release(response);
}
MITE_JOURNEY(gives_back)
{
    mite_on_response(ctx, give_back, NULL);
    mite_get(ctx, mite_config(ctx, "url", ""));
}
MITE_JOURNEY(sees)
{
    const char *url = mite_config(ctx, "url", "");
    mite_on_response(ctx, see, NULL);
    mite_get(ctx, mite_format(ctx, "%s/redirect/3", url), .max_redirects = 1, .may_fail = true);
}
MITE_JOURNEY(reads)
{
    mite_on_response(ctx, read_json, NULL);
    struct mite_response *answer = mite_get(ctx, mite_format(ctx, "%s/echo", mite_config(ctx, "url", "")));
    mite_check(ctx, strcmp(mite_text_at(ctx, mite_json(ctx, answer), "method"), "GET") == 0);
}
MITE_JOURNEY(refuses)
{
    int count = 0;
    mite_on_response(ctx, refuse, &count);
    mite_get(ctx, mite_format(ctx, "%s/redirect/3", mite_config(ctx, "url", "")));
}
"""


def test_a_callback_sees_the_hop_that_it_is_called_for(run_c: Run, target: str) -> None:
    result, messages = run_c(CALLBACKS, "sees", env={"MITE_CONF_url": target})
    assert result.returncode == 0, result.stdout
    seen = of_type(messages, "seen")
    assert [(m["status"], m["failed"]) for m in seen] == [(302, False)] * 2
    assert [m["to"].rpartition("/")[2] for m in seen] == ["2", "1"]


def test_a_callback_reads_json(run_c: Run, target: str) -> None:
    result, messages = run_c(CALLBACKS, "reads", env={"MITE_CONF_url": target})
    assert result.returncode == 0, result.stdout
    assert [m["method"] for m in of_type(messages, "method")] == ["GET"]


def test_a_callback_that_fails_ends_the_journey_and_loses_no_message(run_c: Run, target: str) -> None:
    result, messages = run_c(CALLBACKS, "refuses", env={"MITE_CONF_url": target})
    assert result.returncode == 1, result.stderr
    assert [m["message"] for m in of_type(messages, "error")] == ["mite.exceptions.MiteError: the second one"]
    assert [m["response_code"] for m in of_type(messages, "http_metrics")] == [302, 302, 302, 200]
    assert totals(result.stdout).requests == 4


def test_a_callback_that_releases_its_response_fails(run_c: Run, target: str) -> None:
    result, messages = run_c(CALLBACKS, "gives_back", env={"MITE_CONF_url": target})
    assert result.returncode == 1, result.stderr
    assert "mite_release() in the callback" in of_type(messages, "exception")[0]["message"], result.stderr
    assert [m["response_code"] for m in of_type(messages, "http_metrics")] == [200]


IN_C = """
MITE_JOURNEY(journey)
{
    const char *url = mite_config(ctx, "url", "");
    MITE_TRANSACTION(ctx, "outer") {
        mite_send(ctx, "hello", MITE_STR("who", "you"), MITE_LIST("list", mite_int(1), mite_float(2.5), mite_nil()));
        MITE_TRANSACTION(ctx, "inner") {
            mite_metrics(ctx, MITE_STR("page", "front"));
            mite_get(ctx, mite_format(ctx, "%s/redirect/2", url));
        }
        mite_post(ctx, mite_format(ctx, "%s/status/503", url), .body = "x=1");
        FAILURE
    }
}
"""
IN_PYTHON = """
from mite import MiteError

async def journey(ctx):
    url = ctx.config.get("url", "")
    async with ctx.transaction("outer"):
        ctx.send("hello", who="you", list=[1, 2.5, None])
        async with ctx.transaction("inner"):
            ctx.http.additional_metrics = {"page": "front"}
            await ctx.http.get(url + "/redirect/2")
        await ctx.http.post(url + "/status/503", data="x=1")
        FAILURE
"""
TIMES = {"time", "start_time", "end_time", "wait_time", "stacktrace", "location", "journey", "test"} | {
    f"{phase}_time" for phase in ("dns", "connect", "tls", "transfer_start", "first_byte", "total")
}


@needs_python
@pytest.mark.parametrize(
    ("c", "python"),
    [
        ("", ""),
        ('mite_fail_with(ctx, "sold out", MITE_INT("item", 7));', 'raise MiteError("sold out", item=7)'),
        ('mite_get(ctx, "http://127.0.0.1:PORT/");', 'await ctx.http.get("http://127.0.0.1:PORT/")'),
        ('mite_get(ctx, "http://");', 'await ctx.http.get("http://")'),
        ('mite_get(ctx, mite_format(ctx, "%s/redirect/9", url));', 'await ctx.http.get(url + "/redirect/9")'),
        ('mite_get(ctx, mite_format(ctx, "%s/drop", url));', 'await ctx.http.get(url + "/drop")'),
        ('mite_get(ctx, mite_format(ctx, "%s/stall", url), .timeout_ms = 200);',
         'await ctx.http.get(url + "/stall", timeout=0.2)'),
        ('mite_get(ctx, url, .cert_file = "/none", .key_file = "/none");',
         'await ctx.http.get(url, cert=("/none", "/none"))'),
    ],
)  # fmt: skip
def test_the_same_messages_as_from_python(
    run_c: Run, mite: Mite, tmp_path: Path, target: str, c: str, python: str
) -> None:
    results = tmp_path / "python"
    with socket.socket() as nobody:  # keeps its port from others, and refuses who connects
        nobody.bind(("127.0.0.1", 0))
        port = str(nobody.getsockname()[1])
        in_c, messages = run_c(IN_C.replace("FAILURE", c).replace("PORT", port), env={"MITE_CONF_url": target})
        (tmp_path / "p.py").write_text(IN_PYTHON.replace("FAILURE", python).replace("PORT", port))
        options = ("--collector-use-json", f"--collector-dir={results}")
        in_python = mite("journey", "run", "p:journey", *options, env={"MITE_CONF_url": target})
    expected = read_messages(results)
    assert in_c.returncode == in_python.returncode == (1 if c else 0)
    assert [list(m) for m in messages] == [list(m) for m in expected]
    for ours, theirs in zip(messages, expected, strict=True):
        assert {k: v for k, v in ours.items() if k not in TIMES} == {k: v for k, v in theirs.items() if k not in TIMES}


def test_sockets_speak_any_protocol(run_c: Run, target: str) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "address", ""));
        char head[8];
        mite_write_text(ctx, s, "GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n");
        mite_read_exactly(ctx, s, head, sizeof head);
        mite_check(ctx, memcmp(head, "HTTP/1.1", 8) == 0);
        mite_check(ctx, strcmp(mite_read_line(ctx, s), " 200 OK") == 0);
        const char *line, *last = "";
        while ((line = mite_read_line(ctx, s))) {
            last = line;
        }
        mite_check(ctx, strlen(last) > 0);
        mite_check(ctx, mite_read(ctx, s, head, sizeof head) == 0);
        mite_close(s);
        s = mite_connect(ctx, mite_config(ctx, "address", ""), .timeout_ms = 100, .may_fail = true);
        mite_check(ctx, mite_read(ctx, s, head, 1) == -1 && strstr(mite_socket_failure(ctx, s), "within 0.1 s"));
        s = mite_connect(ctx, mite_config(ctx, "closed", ""), .may_fail = true);
        mite_check(ctx, s == NULL && strstr(mite_socket_failure(ctx, NULL), "refused"));
        mite_check(ctx, mite_write_text(ctx, s, "x") == -1 && mite_read_line(ctx, s) == NULL);
        mite_connect(ctx, mite_config(ctx, "closed", ""));
    }
    """
    environment = {
        "MITE_CONF_address": target.replace("http", "tcp"),
        "MITE_CONF_closed": f"tcp://127.0.0.1:{free_port()}",
    }
    result, messages = run_c(source, env=environment)
    exception = of_type(messages, "exception")[0]
    assert exception["ex_type"] == "SocketError" and "cannot connect: Connection refused" in exception["message"]


def drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        while not select.select([connection], [], [], 0.03)[0]:
            connection.sendall(b".")


@pytest.mark.parametrize("call", ["mite_read_exactly(ctx, s, bytes, 100) == -1", "mite_read_line(ctx, s) == NULL"])
def test_the_timeout_is_of_the_whole_call(run_c: Run, call: str) -> None:
    source = f"""
    MITE_JOURNEY(journey)
    {{
        char bytes[100] = "";
        struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "address", ""), .timeout_ms = 200, .may_fail = true);
        MITE_TRANSACTION(ctx, "call") {{
            mite_check(ctx, {call}, "%s", bytes);
        }}
        mite_check(ctx, strstr(mite_socket_failure(ctx, s), "nothing more came within 0.2 s"));
    }}
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        result, messages = run_c(source, env={"MITE_CONF_address": f"tcp://127.0.0.1:{listener.getsockname()[1]}"})
        thread.join()
    assert result.returncode == 0, result.stdout
    call_txn = of_type(messages, "txn")[0]
    assert 0.19 < call_txn["end_time"] - call_txn["start_time"] < 1


def test_a_failure_does_not_outlive_its_block(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        const char *closed = mite_config(ctx, "closed", "");
        mite_check(ctx, mite_socket_failure(ctx, NULL) == NULL);
        mite_connect(ctx, closed, .may_fail = true);
        MITE_SCRATCH(ctx) {
            mite_check(ctx, strstr(mite_socket_failure(ctx, NULL), "refused"), "lost what came before the block");
        }
        mite_check(ctx, strstr(mite_socket_failure(ctx, NULL), "refused"), "lost at the end of another block");
        MITE_SCRATCH(ctx) {
            mite_connect(ctx, closed, .may_fail = true);
            mite_check(ctx, strstr(mite_socket_failure(ctx, NULL), "refused"), "not there in the block");
        }
        mite_check(ctx, mite_socket_failure(ctx, NULL) == NULL, "it points to memory that was given back");
        struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "silent", ""), .timeout_ms = 50, .may_fail = true);
        mite_check(ctx, s && mite_socket_failure(ctx, NULL) == NULL);
        MITE_SCRATCH(ctx) {
            mite_check(ctx, mite_read_line(ctx, s) == NULL && strstr(mite_socket_failure(ctx, s), "within 0.05 s"));
        }
        mite_check(ctx, mite_socket_failure(ctx, s) == NULL, "the socket's points to memory that was given back");
    }
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = {
            "MITE_CONF_closed": f"tcp://127.0.0.1:{free_port()}",
            "MITE_CONF_silent": f"tcp://127.0.0.1:{silent.getsockname()[1]}",
        }
        result, _ = run_c(source, env=addresses)
    assert result.returncode == 0, result.stdout


WAITING = """
MITE_JOURNEY(connects) { mite_connect(ctx, mite_config(ctx, "address", "")); }
MITE_JOURNEY(reads) { char c; mite_read(ctx, mite_connect(ctx, mite_config(ctx, "address", "")), &c, 1); }
MITE_JOURNEY(gets) { MITE_TRANSACTION(ctx, "get") { mite_get(ctx, mite_config(ctx, "address", "")); } }
"""


@pytest.mark.parametrize(
    ("journey", "scheme", "accepts"),
    [("connects", "tcp", False), ("connects", "tls", True), ("reads", "tcp", True), ("gets", "http", True),
     ("gets", "https", True)],
)  # fmt: skip
def test_cancelled_wherever_it_waits(run_c: Run, journey: str, scheme: str, accepts: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50 if accepts else 0) as silent, socket.socket() as first:
        address = silent.getsockname()
        if not accepts:
            first.connect(address)  # takes the only place in the queue: others wait for an answer to their SYN
        result, messages = run_c(
            WAITING, journey, "--volume=20", "--duration=0.3", "--graceful-stop=0", command=("journey", "test"),
            env={"MITE_CONF_address": f"{scheme}://127.0.0.1:{address[1]}"},
        )  # fmt: skip
    assert result.returncode == 0, result.stdout
    roots = [m for m in of_type(messages, "txn") if m["transaction"] == "__root__"]
    assert len(roots) == 20 and not any(m["had_error"] for m in roots)
    assert not of_type(messages, "exception", "http_metrics")


def test_datagrams(run_c: Run) -> None:
    source = """
    MITE_JOURNEY(journey)
    {
        struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "address", ""), .timeout_ms = 100, .may_fail = true);
        char answer[16];
        mite_check(ctx, mite_write(ctx, s, "one", 3) == 3 && mite_write(ctx, s, "two", 3) == 3);
        mite_check(ctx, mite_read(ctx, s, answer, sizeof answer) == -1);
    }
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        result, _ = run_c(source, env={"MITE_CONF_address": f"udp://127.0.0.1:{peer.getsockname()[1]}"})
        assert result.returncode == 0, result.stdout
        assert [peer.recv(16), peer.recv(16)] == [b"one", b"two"]
