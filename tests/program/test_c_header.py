"""mite.h compiles as C11 and as C++20, with gcc and clang, without a warning; and what it compiles to runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from c_journeys import of_type, read_messages
from conftest import ROOT
from helpers import Mite, totals

# Everything that is a macro, used once.
SOURCE = """
#include <mite/mite.h>

MITE_JOURNEY(journey)
{
    const char *url = mite_config(ctx, "url", "");
    MITE_TRANSACTION(ctx, "outer") {
        mite_send(ctx, "all", MITE_INT("i", mite_arg_int(ctx, 0)), MITE_LIST("l", mite_int(1), mite_str("a")),
                  MITE_MAP("m", MITE_FLOAT("f", 1.5), MITE_BOOL("b", true), MITE_NIL("n")));
        mite_send(ctx, "bare");
        MITE_FIXED_SEPARATION(ctx, 0.01) { mite_sleep(ctx, 0.001); }
        MITE_AVERAGE_SEPARATION(ctx, 0.01, -1) { }
    }
    mite_metrics(ctx, MITE_STR("page", "x"));
    struct mite_response *r = mite_get(ctx, url);
    mite_check(ctx, mite_status(r) == 200);
    r = mite_post(ctx, mite_format(ctx, "%s/echo", url), .headers = MITE_PAIRS({"X-A", "1"}, {"X-B", "2"}),
                  .json = mite_map(MITE_INT("n", 1)), .timeout_ms = 5000);
    mite_check(ctx, mite_status(r) == 200, "status %d", mite_status(r));
    mite_check(ctx, mite_text_at(ctx, mite_json(ctx, r), "method")[0] == 'P');
    mite_await(ctx, mite_start(ctx, "GET", url, .max_redirects = MITE_NO_REDIRECTS));
    struct mite_socket *s = mite_connect(ctx, "tcp://127.0.0.1:1", .timeout_ms = 100, .may_fail = true);
    mite_close(s);
    if (mite_arg_count(ctx) > 1) {
        mite_fail(ctx, "too many: %zu", mite_arg_count(ctx));
    }
    mite_fail_with(ctx, "the end", MITE_INT("item", 7));
}

MITE_DATAPOOL(pool) { return mite_pool_items(setup, MITE_ITERABLE, mite_list(mite_int(42))); }
MITE_DATAPOOL(csv) { return mite_pool_csv(setup, MITE_RECYCLABLE, "x.csv", .columns = "a"); }
MITE_DATAPOOL(single) { return mite_pool_single(setup, mite_int(1)); }
MITE_SCENARIO(scenario)
{
    mite_add(setup, "j.so:journey", mite_pool(setup, "j.so:pool"), mite_volume(setup, MITE_CONSTANT(1, 1)));
}
"""

COMPILERS = ["gcc -std=gnu11", "clang -std=gnu11", "g++ -std=c++20 -x c++", "clang++ -std=c++20 -x c++"]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_header(compiler: str, mite: Mite, tmp_path: Path, target: str) -> None:
    if not shutil.which(compiler.split()[0]):
        pytest.skip(f"no {compiler.split()[0]} here")
    (tmp_path / "j.c").write_text(SOURCE)
    flags = "-Wall -Wextra -Wshadow -Werror -fPIC -fexceptions -shared -o j.so".split()
    compiled = subprocess.run(
        [*compiler.split(), f"-I{ROOT / 'include'}", *flags, "j.c"], cwd=tmp_path, capture_output=True, text=True
    )
    assert compiled.returncode == 0 and compiled.stderr == "", compiled.stderr
    results = tmp_path / "results"
    result = mite(
        "scenario", "test", "j.so:scenario", "--collector-use-json", f"--collector-dir={results}",
        env={"MITE_CONF_url": target},
    )  # fmt: skip
    messages = read_messages(results)
    assert totals(result.stdout).requests == 3, result.stderr
    assert of_type(messages, "all")[0]["m"] == {"f": 1.5, "b": True, "n": None}
    error = of_type(messages, "error", "exception")[0]
    assert error["message"] == "mite.exceptions.MiteError: the end" and error["item"] == 7


def test_destructors_run_when_a_journey_fails(mite: Mite, tmp_path: Path) -> None:
    if not shutil.which("g++"):
        pytest.skip("no g++ here")
    (tmp_path / "j.cc").write_text(
        """
        #include <mite/mite.h>
        #include <cstdio>
        struct guard { ~guard() { std::fputs("destroyed\\n", stderr); } };
        MITE_JOURNEY(journey)
        {
            guard one;
            try { mite_fail(ctx, "over"); } catch (int) { std::fputs("caught\\n", stderr); }
        }
        """
    )
    subprocess.run(
        ["g++", "-std=c++20", f"-I{ROOT / 'include'}", "-fPIC", "-shared", "-o", "j.so", "j.cc"], cwd=tmp_path, check=True
    )
    result = mite("journey", "run", "j.so:journey")
    assert result.returncode == 1
    assert result.stderr.count("destroyed") == 1 and "caught" not in result.stderr
