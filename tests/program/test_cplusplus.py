"""Journeys in C++: the header compiles, exceptions and destructors are as their author expects, on every fiber."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from helpers import Mite, totals

SOURCE = """#include <mite/mite.h>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

struct Guard {
    const char *name;
    ~Guard() { std::fprintf(stderr, "end of %s\\n", name); }
};

MITE_JOURNEY(own_exceptions)
{
    for (int i = 0; i < 5; i++) {
        try {
            throw std::runtime_error(std::to_string(i));
        } catch (std::exception &caught) {
            std::string before = caught.what();
            mite_sleep(ctx, 0.001 * (i + 1));
            try {
                throw;
            } catch (std::exception &now) {
                mite_check(ctx, before == now.what(), "%s became %s", before.c_str(), now.what());
            }
        }
    }
}

MITE_JOURNEY(fails)
{
    Guard guard{"fails"};

    mite_sleep(ctx, 0.001);
    mite_fail(ctx, "no");
}

MITE_JOURNEY(rethrows)
{
    try {
        mite_fail(ctx, "no");
    } catch (...) {
        std::fprintf(stderr, "caught\\n");
        throw;
    }
}

MITE_JOURNEY(swallows)
{
    try {
        mite_fail(ctx, "no");
    } catch (...) {
    }
}

struct Oops {};

MITE_JOURNEY(throws)
{
    Guard guard{"throws"};

    MITE_TRANSACTION(ctx, "inner") {
        if (mite_config_int(ctx, "what", 0) == 1) {
            throw Oops{};
        }
        throw std::out_of_range("no such item: 7");
    }
}

MITE_DATAPOOL(broken_pool)
{
    throw std::runtime_error("no users");
}

MITE_SCENARIO(broken_scenario)
{
    throw 7;
}

MITE_JOURNEY(waits)
{
    Guard guard{"waits"};

    mite_sleep(ctx, 3600);
}
"""

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cplusplus")
    (directory / "journeys.cpp").write_text(SOURCE)
    subprocess.run(
        ["g++", "-std=c++20", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{ROOT}/include"]
        + ["-o", "journeys.so", "journeys.cpp"],
        cwd=directory,
        check=True,
    )
    return directory


def test_caught_exceptions_are_each_journeys_own(mite: Mite, library: Path) -> None:
    result = mite("journey", "test", "./journeys.so:own_exceptions", "--iterations=50", "--volume=10", cwd=library)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (totals(result.stdout).journeys, totals(result.stdout).errors) == (50, 0)


def test_failure_runs_destructors(mite: Mite, library: Path) -> None:
    result = mite("journey", "run", "./journeys.so:fails", cwd=library)
    assert result.returncode == 1
    assert result.stderr.count("end of fails") == 1
    assert totals(result.stdout).errors == 1


def test_cancellation_runs_destructors(mite: Mite, library: Path) -> None:
    result = mite(
        "journey", "test", "./journeys.so:waits", "--duration=0.2", "--graceful-stop=0", "--volume=3", cwd=library
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr.count("end of waits") == 3


def test_an_exception_that_leaves_the_journey_fails_it(mite: Mite, library: Path) -> None:
    result = mite("journey", "test", "./journeys.so:throws", "--iterations=5", "--volume=2", cwd=library)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("end of throws") == 5
    assert "5 × std::out_of_range at journeys.cpp:" in result.stdout
    assert "std::out_of_range: no such item: 7" in result.stdout
    assert (totals(result.stdout).journeys, totals(result.stdout).errors) == (5, 5)
    result = mite("journey", "run", "./journeys.so:throws", "--add-to-config=what:1", cwd=library)
    assert result.returncode == 1 and "1 × Oops at journeys.cpp:" in result.stdout, result.stdout


def test_an_exception_before_the_load_is_a_sentence(mite: Mite, library: Path) -> None:
    result = mite("journey", "run", "./journeys.so:waits", "./journeys.so:broken_pool", cwd=library)
    assert result.returncode == 2
    assert result.stderr == 'mite: cannot use datapool "./journeys.so:broken_pool": std::runtime_error: no users\n'
    result = mite("scenario", "test", "./journeys.so:broken_scenario", cwd=library)
    assert result.returncode == 2
    assert result.stderr == 'mite: cannot use scenario "./journeys.so:broken_scenario": int was thrown\n'


def test_catch_all_may_rethrow(mite: Mite, library: Path) -> None:
    result = mite("journey", "run", "./journeys.so:rethrows", cwd=library)
    assert result.returncode == 1
    assert result.stderr.count("caught") == 1
    assert totals(result.stdout).errors == 1


def test_catch_all_must_rethrow(mite: Mite, library: Path) -> None:
    result = mite("journey", "run", "./journeys.so:swallows", cwd=library)
    assert result.returncode == 3
    assert 'mite: a "catch (...)" kept a journey from ending: it must rethrow' in result.stderr
    assert re.search(r'journey "\./journeys\.so:swallows" crashed: SIGABRT', result.stderr)
