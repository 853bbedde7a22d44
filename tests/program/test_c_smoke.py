"""A short tour through what journeys in C can do and how they end: also run under ASan and UBSan, and under valgrind."""

import os
import re
import subprocess

import pytest

from c_journeys import Run, of_type, run_c  # noqa: F401
from conftest import BUILD
from helpers import free_port, totals

SLOW = 300  # seconds; valgrind takes its time

TOUR = """
#include <stdlib.h>
#include <unistd.h>

static void block(void *arg) { usleep(1000); *(int *)arg += 1; }
static void seen(struct mite_context *ctx, struct mite_response *response, void *arg)
{
    mite_metrics(ctx, MITE_INT("status", mite_status(response)), MITE_STR("more", arg));
}

MITE_JOURNEY(tour)
{
    const char *url = mite_config(ctx, "url", "");
    int result = (int)mite_arg_int(ctx, 0);

    mite_defer(ctx, free, malloc(10));
    mite_on_response(ctx, seen, (void *)"seen");
    MITE_TRANSACTION(ctx, "outer") {
        MITE_SCRATCH(ctx) {
            struct mite_response *r = mite_post(ctx, mite_format(ctx, "%s/echo", url),
                                                .json = mite_map(MITE_LIST("of", mite_int(1), mite_str("two"))),
                                                .headers = MITE_PAIRS({"X-One", "1"}), .user = "me", .password = "pw");
            mite_check(ctx, strlen(mite_text_at(ctx, mite_json(ctx, r), "body")) > 0);
            mite_get(ctx, mite_format(ctx, "%s/redirect/2", url), .cookies = MITE_PAIRS({"a", "1"}));
        }
        struct mite_pending *two[] = {mite_start(ctx, "GET", mite_format(ctx, "%s/delay/5", url)),
                                      mite_start(ctx, "GET", mite_format(ctx, "%s/bytes/100000", url))};
        mite_release(mite_await(ctx, two[1]));
        mite_await(ctx, two[0]);
        mite_start(ctx, "GET", mite_format(ctx, "%s/stall", url));
        mite_blocking(ctx, block, &result);
        mite_check(ctx, result == mite_arg_int(ctx, 0) + 1);
    }
    struct mite_socket *s = mite_connect(ctx, mite_format(ctx, "tcp%s", url + 4));
    mite_write_text(ctx, s, "GET /bytes/7000 HTTP/1.0\\r\\n\\r\\n");
    while (mite_read_line(ctx, s) && !mite_socket_failure(ctx, s)) { }
    mite_connect(ctx, mite_config(ctx, "closed", ""), .may_fail = true);
    mite_set_cookie(ctx, "127.0.0.1", "b", "2");
    mite_new_session(ctx);
    MITE_FIXED_SEPARATION(ctx, 0.001) { mite_send(ctx, "seen", MITE_BYTES("raw", "\\0", 1)); }
    if (result % 2) {
        mite_fail_with(ctx, "odd", MITE_INT("result", result));
    }
}

static void sleep_late(struct mite_context **ctx) { mite_sleep(*ctx, 0.01); mite_fail(*ctx, "in the clean-up"); }
MITE_JOURNEY(waits)
{
    struct mite_context *mine __attribute__((cleanup(sleep_late))) = ctx;
    mite_alloc(mine, 100000);
    mite_get(ctx, mite_format(ctx, "%s/stall", mite_config(ctx, "url", "")));
}
MITE_JOURNEY(wrong) { mite_arg_int(ctx, 7); }
MITE_DATAPOOL(numbers)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_int(1)), mite_list(mite_int(2)));
}
MITE_SCENARIO(all)
{
    struct mite_datapool *numbers = mite_pool(setup, ":numbers");
    mite_add(setup, ":tour", numbers, mite_volume(setup, MITE_CONSTANT(2, 2)));
    mite_add(setup, ":wrong", numbers, mite_volume(setup, MITE_CONSTANT(1, 1)));
    mite_add(setup, ":waits", NULL, mite_volume(setup, MITE_CONSTANT(2, 3)));
}
"""


def test_tour(run_c: Run, target: str) -> None:
    result, messages = run_c(
        TOUR, "all", "--graceful-stop=0.2", "--duration=2", command=("scenario", "test"), timeout=SLOW,
        env={"MITE_CONF_url": target, "MITE_CONF_closed": f"tcp://127.0.0.1:{free_port()}"},
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert {m["message"] for m in of_type(messages, "error")} == {"mite.exceptions.MiteError: odd"}
    assert {m["ex_type"] for m in of_type(messages, "exception")} == {"TypeError"}
    requests = of_type(messages, "http_metrics")
    assert len(requests) == totals(result.stdout).requests > 0
    assert {m["status"] for m in requests} == {200, 302} and {m["more"] for m in requests} == {"seen"}
    assert len(of_type(messages, "seen")) > 0


def sanitized() -> bool:
    libraries = subprocess.run(["ldd", BUILD / "mite"], capture_output=True, text=True, check=True).stdout
    return "libasan" in libraries


@pytest.mark.parametrize(
    "what",
    ['mite_format(ctx, "text")', "mite_alloc(ctx, 100)", "mite_arg_str(ctx, 0)",
     'mite_body(mite_get(ctx, mite_config(ctx, "url", "")))'],
)  # fmt: skip
def test_freeing_what_mite_owns(run_c: Run, target: str, what: str) -> None:
    source = f"""
    #include <stdlib.h>
    MITE_JOURNEY(journey) {{ free((void *){what}); mite_sleep(ctx, 0.01); mite_alloc(ctx, 10); }}
    MITE_DATAPOOL(one) {{ return mite_pool_single(setup, mite_str("text")); }}
    """
    options = os.environ.get("ASAN_OPTIONS", "") + ":log_path=stderr:exitcode=99:abort_on_error=0"
    result, _ = run_c(
        source, "journey", "j.c:one", env={"MITE_CONF_url": target, "ASAN_OPTIONS": options}, timeout=SLOW
    )
    if sanitized():
        assert result.returncode == 99, result.stderr
        assert "AddressSanitizer: attempting free on address which was not malloc()-ed" in result.stderr
        assert re.search(r"#1 0x\w+ in mite_journey_journey .*/j\.c:4", result.stderr), result.stderr
    elif "MITE_WRAPPER" not in os.environ:  # valgrind frees nothing of the kind, and goes on
        assert result.returncode == 3
        assert 'mite: journey "j.c:journey" crashed: SIGABRT' in result.stderr
