"""A crash in a journey: said whose it was, nothing of what was measured is lost, exit 3."""

import json
import re
import shutil
from pathlib import Path

import pytest

from helpers import Mite, sanitized, totals

JOURNEYS = """
import asyncio
import ctypes
import os

from mite_http import mite_http

started = 0

async def segfault(ctx):
    global started
    started += 1
    async with ctx.transaction("good"):
        await asyncio.sleep(0.001)
    if started == 20:
        async with ctx.transaction("outer"):
            async with ctx.transaction("inner"):
                await asyncio.sleep(0)
                ctypes.string_at(16)

async def abort(ctx):
    os.abort()

@mite_http
async def get_then_abort(ctx, url):
    for _ in range(10):
        await ctx.http.get(url)
    os.abort()
"""

# Line numbers count: the trace names them.
IN_C = """#include <mite/mite.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int started;

static void look(int *p)
{
    *p = 1;
}

static int deep(int depth)
{
    volatile char frame[300];

    frame[0] = (char)depth;
    return depth ? deep(depth - 1) + frame[0] : 0;
}

MITE_JOURNEY(segfault)
{
    MITE_TRANSACTION(ctx, "good") {
        mite_sleep(ctx, 0.001);
    }
    if (++started == 20) {
        MITE_TRANSACTION(ctx, "bad") {
            look(NULL);
        }
    }
}

MITE_JOURNEY(overflow)
{
    MITE_TRANSACTION(ctx, "deep") {
        mite_sleep(ctx, 0.001);
        deep(1 << 20);
    }
}

MITE_JOURNEY(steps_over)
{
    size_t bytes = 300000; /* four stacks further down */
    char *p = __builtin_alloca(bytes);

    mite_send(ctx, "at", MITE_BYTES("bytes", memset(p, 1, bytes), 10));
}

MITE_JOURNEY(heap)
{
    char *volatile p = malloc(10);

    free(p);
    free(p);
    mite_sleep(ctx, 0.001);
}

static void crash(void *arg)
{
    abort();
}

MITE_JOURNEY(blocking)
{
    mite_blocking(ctx, crash, NULL);
}

MITE_JOURNEY(leaves)
{
    MITE_TRANSACTION(ctx, "out") {
        exit(0);
    }
}

static void leave(void *arg)
{
    exit(0);
}

static void *leave_thread(void *arg)
{
    exit(0);
}

static int64_t leave_volume(void *arg, int64_t start_s, int64_t end_s)
{
    exit(0);
}

static bool leave_item(void *arg, uint64_t index, struct mite_value *item)
{
    exit(0);
}

MITE_JOURNEY(leaves_late)
{
    mite_defer(ctx, leave, NULL);
}

MITE_JOURNEY(leaves_in_a_thread)
{
    pthread_t thread;

    mite_check(ctx, pthread_create(&thread, NULL, leave_thread, NULL) == 0);
    mite_sleep(ctx, 60);
}

MITE_JOURNEY(leaves_quickly)
{
    quick_exit(0);
}

MITE_SCENARIO(leaves_at_once)
{
    exit(0);
}

MITE_SCENARIO(leaves_in_its_model)
{
    mite_add(setup, ":late", NULL, mite_volume_function(setup, leave_volume, NULL));
}

MITE_SCENARIO(leaves_in_its_pool)
{
    struct mite_datapool *pool = mite_pool_function(setup, MITE_ITERABLE, leave_item, NULL);

    mite_add(setup, ":late", pool, mite_volume(setup, MITE_CONSTANT(1, 1)));
}

MITE_JOURNEY(forks)
{
    const char *what = mite_config(ctx, "what", "");
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (*what == 'w') {
            mite_sleep(ctx, 0.001);
        }
        mite_check(ctx, *what != 'f');
        return;
    }
    waitpid(child, &status, 0);
    mite_check(ctx, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "the child ended with %x", status);
}

static void fork_late(void *arg)
{
    pid_t child = fork();

    if (child > 0) {
        waitpid(child, NULL, 0);
    }
}

MITE_JOURNEY(forks_late)
{
    mite_defer(ctx, fork_late, NULL);
}

static void fork_in_a_thread(void *child)
{
    *(pid_t *)child = fork();
}

MITE_JOURNEY(forks_in_a_thread)
{
    pid_t child;
    int status;

    mite_blocking(ctx, fork_in_a_thread, &child);
    waitpid(child, &status, 0);
    mite_check(ctx, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "the child ended with %x", status);
}

static void crash_late(void *arg)
{
    *(volatile int *)arg = 1;
}

MITE_JOURNEY(late)
{
    mite_defer(ctx, crash_late, NULL);
}

static void sleep_late(void *arg)
{
    mite_sleep((struct mite_context *)arg, 1);
}

MITE_JOURNEY(waits_late)
{
    mite_defer(ctx, sleep_late, ctx);
}

MITE_JOURNEY(waits_in_a_thread)
{
    mite_blocking(ctx, sleep_late, ctx);
}

static void fail_late(void *arg)
{
    mite_fail((struct mite_context *)arg, "late");
}

MITE_JOURNEY(fails_late)
{
    mite_defer(ctx, fail_late, ctx);
}

MITE_JOURNEY(inside_mite)
{
    MITE_TRANSACTION(ctx, "send") {
        mite_send(ctx, (const char *)16, MITE_INT("one", 1));
    }
}

MITE_JOURNEY(inside_a_call_of_mites)
{
    char *volatile wild = (char *)16;

    mite_get(ctx, "http://127.0.0.1:1/", .may_fail = true,
             .headers = MITE_PAIRS({"X-One", wild}));
}

MITE_JOURNEY(inside_the_header)
{
    char *volatile wild = (char *)16;

    mite_send(ctx, "message", MITE_STR("text", wild));
}

MITE_JOURNEY(on_the_loops_stack)
{
    static struct mite_socket_options options = {sizeof options, .server_name = (const char *)16};

    mite_socket_connect(ctx, mite_config(ctx, "tls", ""), &options);
}

MITE_JOURNEY(freed_late)
{
    mite_defer(ctx, free, (void *)16);
}
"""


pytestmark = pytest.mark.skipif(sanitized(), reason="AddressSanitizer reports crashes itself")


@pytest.fixture
def journeys(tmp_path: Path) -> Path:
    (tmp_path / "crashing.py").write_text(JOURNEYS)
    return tmp_path


def messages(mite: Mite) -> list[dict]:
    shown = mite("cat", "collector_data/current")
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


def crashed(mite: Mite, spec: str, how: str, *options: str) -> None:
    """Such a run says so in a line that ends like this, and counts one error."""
    result = mite("journey", "test", spec, "--duration=30", *options)
    assert result.returncode == 3
    assert f'mite: journey "{spec}" crashed{how}' in result.stderr
    assert totals(result.stdout).errors == 1


def test_crash_in_python(mite: Mite, journeys: Path) -> None:
    result = mite("journey", "test", "crashing:segfault", "--duration=30")
    assert result.returncode == 3
    first, addresses = result.stderr.splitlines()[:2]
    assert first == (
        'mite: journey "crashing:segfault" crashed in transaction "outer :: inner": '
        "SIGSEGV, invalid memory access at 0x10"
    )
    assert addresses.startswith("mite: at ") and "_ctypes" in addresses
    assert "lost" not in result.stderr
    assert '1 × Crash in "outer :: inner"' in result.stdout

    counted = totals(result.stdout)
    assert (counted.errors, counted.journeys) == (1, 19)
    kept = messages(mite)
    assert sum(m["type"] == "txn" and m["transaction"] == "__root__ :: good" for m in kept) == 20
    crash = kept[-1]
    assert (crash["type"], crash["ex_type"]) == ("exception", "Crash")
    assert crash["message"] == "SIGSEGV, invalid memory access at 0x10"
    assert (crash["journey"], crash["transaction"]) == ("crashing:segfault", "__root__ :: outer :: inner")
    assert crash["stacktrace"].count("\n") > 5


def test_abort_outside_transactions(mite: Mite, journeys: Path) -> None:
    crashed(mite, "crashing:abort", ": SIGABRT")


def test_requests_before_a_crash_are_counted(mite: Mite, journeys: Path, target: str) -> None:
    (journeys / "urls.py").write_text(
        f"from mite.datapools import RecyclableIterableDataPool\npool = RecyclableIterableDataPool([('{target}/',)])\n"
    )
    result = mite("journey", "test", "crashing:get_then_abort", "urls:pool", "--duration=30", "--report")
    assert result.returncode == 3
    assert totals(result.stdout).requests == 10
    assert sum(m["type"] == "http_metrics" for m in messages(mite)) == 10


def test_without_collector(mite: Mite, journeys: Path) -> None:
    result = mite("journey", "run", "crashing:abort", "--no-collector")
    assert result.returncode == 3
    assert totals(result.stdout).errors == 1


def test_faulthandler_speaks_too(mite: Mite, journeys: Path) -> None:
    result = mite("journey", "test", "crashing:segfault", "--duration=30", env={"PYTHONFAULTHANDLER": "1"})
    assert result.returncode == 3
    assert "Fatal Python error: Segmentation fault" in result.stderr
    assert re.search(r'crashing.py", line \d+ in segfault', result.stderr)
    assert 'mite: journey "crashing:segfault" crashed in transaction "outer :: inner": SIGSEGV' in result.stderr
    assert totals(result.stdout).errors == 1


def test_before_the_load(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("import os\nos.abort()\n")
    result = mite("journey", "test", "early:journey")
    assert result.returncode == 3
    assert result.stderr.startswith("mite: crashed: SIGABRT")
    assert result.stdout == ""


# ---- journeys in C ----


@pytest.fixture
def in_c(tmp_path: Path) -> Path:
    (tmp_path / "crash.c").write_text(IN_C)
    return tmp_path


def test_crash_in_c(mite: Mite, in_c: Path) -> None:
    result = mite("journey", "test", "crash.c:segfault", "--duration=30")
    assert result.returncode == 3
    talk = re.sub(r"^.*INFO compiling crash\.c\n", "", result.stderr)  # told of where that takes long
    assert talk.startswith(
        'mite: journey "crash.c:segfault" crashed in transaction "bad": SIGSEGV, invalid memory access at 0x0\n'
        "mite: at "
    )
    counted = totals(result.stdout)
    assert (counted.errors, counted.journeys) == (1, 19)
    crash = messages(mite)[-1]
    assert (crash["type"], crash["ex_type"]) == ("exception", "Crash")
    assert (crash["journey"], crash["transaction"]) == ("crash.c:segfault", "__root__ :: bad")
    if shutil.which("addr2line"):
        assert re.search(r"^  at look .*/crash\.c:11$", result.stderr, re.M)
        assert re.search(r"/crash\.c:11:look$", crash["location"])


def test_stack_overflow_is_the_journeys(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:overflow", ' in transaction "deep": it outgrew its stack (--fiber-stack', "--volume=5")


def test_a_frame_does_not_step_over_the_guard(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:steps_over", ": it outgrew its stack", "--volume=5")


def test_the_c_library_aborts(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:heap", ": SIGABRT")


def test_a_blocking_call_crashes(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:blocking", ' in transaction "crash": SIGABRT')


def test_exit_does_not_end_the_run_in_silence(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:leaves", ' in transaction "out": it called exit()')
    crashed(mite, "crash.c:leaves_late", ": it called exit()")
    crashed(mite, "crash.c:leaves_quickly", ": it called exit()")
    result = mite("journey", "test", "crash.c:leaves_in_a_thread", "--duration=30")
    assert result.returncode == 3 and "mite: crashed: it called exit()" in result.stderr
    assert totals(result.stdout).errors == 1


@pytest.mark.parametrize("scenario", ["leaves_at_once", "leaves_in_its_model", "leaves_in_its_pool"])
def test_exit_in_a_scenario_does_not_end_the_run_in_silence(mite: Mite, in_c: Path, scenario: str) -> None:
    result = mite("scenario", "test", f"crash.c:{scenario}", "--no-collector")
    assert result.returncode == 3
    assert "mite: crashed: it called exit(), which ends the whole run" in result.stderr


def test_a_library_that_is_cut_short_while_it_runs(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "cut.c").write_text(
        "#include <mite/mite.h>\n#include <unistd.h>\n"
        'MITE_JOURNEY(cut) { mite_sleep(ctx, 0.01); if (truncate("cut.so", 0) == 0) mite_sleep(ctx, 0.01); }\n'
    )
    assert mite("build", "cut.c").returncode == 0
    crashed(mite, "./cut.so:cut", ": SIGBUS, memory that is not there (was a library in use written over?)")


def test_a_deferred_call_crashes(mite: Mite, in_c: Path) -> None:
    crashed(mite, "crash.c:late", ": SIGSEGV")


@pytest.mark.parametrize(
    ("journey", "call"),
    [
        ("inside_mite", "mite_send(ctx, (const char *)16"),
        ("inside_a_call_of_mites", 'mite_get(ctx, "http'),
        ("inside_the_header", 'MITE_STR("text"'),
        ("on_the_loops_stack", 'mite_config(ctx, "tls"'),
        ("freed_late", "mite_defer(ctx, free"),
        ("leaves", "exit(0)"),
    ],
)
def test_the_location_is_the_journeys_own(mite: Mite, in_c: Path, target: str, journey: str, call: str) -> None:
    if not shutil.which("addr2line"):
        pytest.skip("no addr2line: locations come from it")
    tls = {"MITE_CONF_tls": target.replace("http", "tls")}
    result = mite("journey", "test", f"crash.c:{journey}", "--duration=30", env=tls)
    assert result.returncode == 3, result.stderr
    crash = messages(mite)[-1]
    assert (crash["journey"], crash["ex_type"]) == (f"crash.c:{journey}", "Crash")
    line = IN_C[: IN_C.index(call)].count("\n") + 1
    assert re.search(rf"crash\.c:{line}:{journey}$", crash["location"]), (crash["location"], result.stderr)


@pytest.mark.parametrize("journey", ["waits_late", "fails_late"])
def test_a_deferred_call_neither_waits_nor_fails(mite: Mite, in_c: Path, journey: str) -> None:
    result = mite("journey", "test", f"crash.c:{journey}", "--duration=30")
    assert result.returncode == 3
    assert "mite: a function that mite_defer() calls must not wait or fail" in result.stderr
    assert f'mite: journey "crash.c:{journey}" crashed: SIGABRT' in result.stderr


def test_what_runs_in_a_thread_uses_nothing_of_mites(mite: Mite, in_c: Path) -> None:
    result = mite("journey", "test", "crash.c:waits_in_a_thread", "--duration=30")
    assert result.returncode == 3
    assert "mite: a journey's context was used outside of it, as in what mite_blocking() calls" in result.stderr
    assert "Assertion" not in result.stderr


@pytest.mark.parametrize(
    ("journey", "what"), [("forks", "returns"), ("forks", "waits"), ("forks", "fails"), ("forks_late", "returns")]
)
def test_a_child_of_the_journeys_is_no_second_run(mite: Mite, in_c: Path, journey: str, what: str) -> None:
    result = mite("journey", "run", f"crash.c:{journey}", f"--add-to-config=what:{what}", "--no-collector")
    assert result.returncode == 0, result.stdout
    assert "mite: a process that a journey forked must end by itself (exec, _exit), not go on as one of mite's" in result.stderr
    assert result.stdout.count(" journeys in ") == 1


def test_a_child_of_a_blocking_call_is_not_left_behind(mite: Mite, in_c: Path) -> None:
    result = mite("journey", "run", "crash.c:forks_in_a_thread", "--no-collector")
    assert result.returncode == 0, result.stdout
    assert "mite: a process that a blocking call forked must end by itself (exec, _exit)" in result.stderr
