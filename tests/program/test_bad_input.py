"""Bad input gets one clear sentence and the documented exit status; while the load runs it is an error in the figures."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import Mite, refused, totals

GOOD = """
import asyncio

async def journey(ctx, *args):
    await asyncio.sleep(0.01)

def plain(ctx):
    pass

datapool = None
"""


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str, str], None]:
    """Writes NAME.py into the directory that mite runs in."""

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)

    return write


def scenario(entries: str, above: str = "") -> str:
    return GOOD + above + f"\ndef scenario():\n    return {entries}\n"


def test_unknown_option_suggests_the_nearest(mite: Mite) -> None:
    refused(mite("scenario", "test", "a:b", "--spwan-rate=3"), 2, "--spwan-rate", "--spawn-rate")


def test_a_spec_without_a_name(mite: Mite) -> None:
    refused(mite("journey", "run", "shop"), 2, '"shop" is no spec: write MODULE:NAME')
    refused(mite("journey", "run", "load/shop.c"), 2, '"load/shop.c" is no spec: write load/shop.c:NAME')
    refused(mite("journey", "run", "shop.so:"), 2, '"shop.so:" is no spec: write shop.so:NAME')


@pytest.mark.parametrize("head", ["async def visit(ctx):", "@mite_http\nasync def visit(ctx):"])
@pytest.mark.parametrize("body", ["pass", "await ctx.http.get('http://127.0.0.1:1/')"])
def test_a_journey_where_a_scenario_is_expected(mite: Mite, module: Callable[..., None], head: str, body: str) -> None:
    module("shop", f"from mite_http import mite_http\n{head}\n    {body}\n")
    result = mite("scenario", "test", "shop:visit")
    assert result.returncode == 2
    assert 'cannot use scenario "shop:visit"' in result.stderr
    assert "it is async, as a journey is: `mite journey test` runs one" in result.stderr


def test_files_where_nothing_can_be_written(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "collector_data").write_text("")
    (tmp_path / "recorder_data").write_text("")
    run = ["journey", "run", "mite.example:journey", "mite.example:datapool"]
    refused(mite(*run), 3, "collector_data", "--collector-dir names another, --no-collector writes none")
    refused(mite(*run, "--no-collector"), 3, "recorder_data", "--recorder-dir names another")


def test_unknown_command_suggests_the_nearest(mite: Mite) -> None:
    refused(mite("scenaro", "test"), 2, "scenario test")
    refused(mite("help", "targt"), 2, "did you mean mite target?")


@pytest.mark.parametrize("words", [["journey"], ["journey", "shop:browse"], ["help", "journey", "shop:browse"]])
def test_command_of_which_a_word_is_missing(mite: Mite, words: list[str]) -> None:
    refused(mite(*words), 2, "mite journey test or mite journey run")


def test_command_of_which_the_first_word_is_missing(mite: Mite) -> None:
    refused(mite("run", "shop:browse"), 2, "unknown command run shop:browse: it is mite journey run")
    refused(mite("test", "shop:peak"), 2, "it is mite scenario test or mite journey test")


def test_help_for_half_a_command(mite: Mite) -> None:
    for words in (["journey", "--help"], ["help", "journey"]):
        result = mite(*words)
        assert (result.returncode, result.stderr) == (0, "")
        assert "journey test SPEC" in result.stdout and "journey run SPEC" in result.stdout
    assert mite("scenario", "--help").stdout == mite("scenario", "test", "--help").stdout


def test_one_word_too_many(mite: Mite) -> None:
    result = mite("target", "8080")
    assert (result.returncode, result.stderr) == (2, "mite: too many arguments: usage: mite target\n")


def test_spec_without_a_colon(mite: Mite) -> None:
    refused(mite("scenario", "test", "shop"), 2, "shop", "MODULE:NAME")


def test_module_that_does_not_exist(mite: Mite) -> None:
    refused(mite("scenario", "test", "no_such_module:scenario"), 2, "no_such_module")


def test_module_that_is_a_source_in_c(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "shop.c").touch()
    refused(mite("journey", "test", "shop:browse"), 2, 'did you mean "shop.c:browse"?')


def test_source_in_cplusplus(mite: Mite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    (tmp_path / "shop.cc").touch()
    says = "shop.cc is C++: CC=g++ mite build --cflags=-std=c++20 shop.cc makes a library of it"
    refused(mite("journey", "test", "shop.cc:browse"), 2, 'cannot load journey "shop.cc:browse": ' + says)
    refused(mite("build", "shop.cc"), 2, says)


def test_module_that_raises_shows_the_users_traceback_only(mite: Mite, module: Callable[..., None]) -> None:
    module("broken", "import asyncio\nx = 1 / 0\n")
    result = mite("scenario", "test", "broken:scenario")
    assert result.returncode == 2
    assert "broken.py\", line 2" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    files = re.findall(r'File "([^"]+)"', result.stderr)
    assert files and all(f.endswith("broken.py") for f in files)


def test_name_not_in_module_suggests(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", GOOD)
    refused(mite("journey", "test", "shop:jorney"), 2, "jorney", 'did you mean "journey"?')


def test_journey_that_is_not_async(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", GOOD)
    refused(mite("journey", "test", "shop:plain"), 2, "shop:plain", "async")


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ("[['shop:journey', None]]", "1"),
        ("[['shop:journey', None, lambda s, e: 1], 7]", "2"),
        ("42", "scenario"),
        ("[[7, None, lambda s, e: 1]]", "1"),
        ("[['shop:journey', None, 5]]", "1"),
    ],
)
def test_scenario_of_the_wrong_shape_names_the_item(
    mite: Mite, module: Callable[..., None], entries: str, says: str
) -> None:
    module("shop", scenario(entries))
    refused(mite("scenario", "test", "shop:scenario"), 2, says)


def test_volume_model_that_raises_before_anything_ran(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", scenario("[['shop:journey', None, lambda s, e: 1 / 0]]"))
    result = mite("scenario", "test", "shop:scenario")
    assert result.returncode == 2
    assert "ZeroDivisionError" in result.stderr and "shop:journey" in result.stderr


def test_volume_model_that_raises_while_the_load_runs(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", scenario("[['shop:journey', None, lambda s, e: 1 if s < 1 else 1 / 0]]"))
    result = mite("scenario", "test", "shop:scenario")
    assert result.returncode == 1, result.stderr
    assert totals(result.stdout).errors == 1
    assert "ZeroDivisionError" in result.stdout


def test_volume_model_that_returns_text(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", scenario("[['shop:journey', None, lambda s, e: 'ten']]"))
    refused(mite("scenario", "test", "shop:scenario"), 2, "ten", "shop:journey")


def test_negative_volume(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", scenario("[['shop:journey', None, lambda s, e: -1]]"))
    refused(mite("scenario", "test", "shop:scenario"), 2, "-1", "shop:journey")


def test_empty_scenario(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", scenario("[]"))
    refused(mite("scenario", "test", "shop:scenario"), 2, "shop:scenario")


def test_datapool_without_checkout(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", GOOD + "pool = object()\n")
    refused(mite("journey", "test", "shop:journey", "shop:pool"), 2, "shop:pool", "checkout")


def test_item_whose_data_is_no_tuple_or_list(mite: Mite, module: Callable[..., None]) -> None:
    above = "\nclass Pool:\n    async def checkout(self, config):\n        return 1, 'text'\n    async def checkin(self, id):\n        pass\n"
    module("shop", scenario("[['shop:journey', Pool(), lambda s, e: 1]]", above))
    result = mite("scenario", "test", "shop:scenario")
    assert result.returncode in (1, 2)
    assert "tuple or a list" in result.stderr + result.stdout


def test_a_journey_that_needs_arguments_without_a_datapool(mite: Mite, module: Callable[..., None]) -> None:
    above = """
from functools import wraps
from mite_http import mite_http

async def buy(ctx, user, item, count=1):
    pass

visit = mite_http(buy)

def with_user(journey):
    @wraps(journey)
    async def given(ctx):
        await journey(ctx, "ann", "apple")
    return given

served = with_user(mite_http(buy))
"""
    module("shop", GOOD + above)
    for name in "buy", "visit":
        result = mite("journey", "test", f"shop:{name}", "--duration=1")
        refused(result, 2, f'journey "shop:{name}" takes 2 arguments besides its context: give it a datapool')
    assert mite("journey", "run", "shop:served").returncode == 0


def test_recorder_directory_opened_as_a_file(mite: Mite, module: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "recorder_data").mkdir()
    (tmp_path / "recorder_data" / "users.msgpack").write_bytes(b"")
    module("shop", GOOD + "with open('recorder_data', 'rb') as handle:\n    pass\n")
    result = mite("journey", "test", "shop:journey")
    assert result.returncode == 2
    assert "recorder_data/users.msgpack" in result.stderr


def test_add_to_config_without_a_colon(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", GOOD)
    refused(mite("journey", "test", "shop:journey", "--add-to-config=url"), 2, "--add-to-config", "url", "KEY:VALUE")


def test_bad_number(mite: Mite) -> None:
    refused(mite("scenario", "test", "a:b", "--spawn-rate=fast"), 2, "--spawn-rate=fast")


def test_unreadable_file(mite: Mite) -> None:
    refused(mite("scenario", "test", "a:b", "--ca-file=missing.pem"), 2, "missing.pem", "No such file")
    refused(mite("cat", "missing.msgpack"), 2, "missing.msgpack", "No such file")


@pytest.mark.parametrize("transport", ["native", "curl"])
@pytest.mark.parametrize("text", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_file_without_authorities(mite: Mite, tmp_path: Path, text: str, transport: str) -> None:
    (tmp_path / "ca.pem").write_text(text)
    for command in (("scenario", "test", "a:b"), ("runner",)):
        result = mite(*command, "--ca-file=ca.pem", f"--http-transport={transport}")
        refused(result, 2, "--ca-file=ca.pem: holds no certificate", "PEM")


def test_unwritable_directory_is_found_before_load(mite: Mite, module: Callable[..., None], tmp_path: Path) -> None:
    module("shop", GOOD)
    (tmp_path / "file").write_text("")
    refused(mite("journey", "test", "shop:journey", "--collector-dir=file/data"), 3, "file/data")
    refused(mite("journey", "test", "shop:journey", "--recorder-dir=file/data"), 3, "file/data")


def test_bad_log_level_and_percentiles(mite: Mite) -> None:
    refused(mite("scenario", "test", "a:b", "--log-level=loud"), 2, "loud", "WARNING")
    refused(mite("scenario", "test", "a:b", "--benchmark-percentiles=half:1"), 2, "half")
    refused(mite("scenario", "test", "a:b", "--resolve=shop.test"), 2, "shop.test", "HOST:PORT:ADDRESS")


REQUEST = """
from mite_http import mite_http

@mite_http
async def get(ctx):
    async with ctx.transaction("get"):
        await ctx.http.get(ctx.config["url"])
"""


@pytest.mark.parametrize(
    ("path", "options", "kind"),
    [
        ("http://no-such-host.invalid/", (), "resolve"),
        ("http://127.0.0.1:1/", (), "refused"),
        ("TARGET/drop", (), "curl failed with code 52"),
        ("TARGET/bytes/100000", ("--max-body-size=1000",), "--max-body-size"),
        ("TARGET/stall", ("--timeout=0.2",), "code 28"),
        ("notaurl", (), "notaurl"),
    ],
)
def test_a_request_that_fails_is_an_error_of_a_kind_with_an_example(
    mite: Mite, module: Callable[..., None], target: str, path: str, options: tuple[str, ...], kind: str
) -> None:
    module("shop", REQUEST)
    url = path.replace("TARGET", target)
    result = mite("journey", "test", "shop:get", "--iterations=5", "--volume=2", *options, env={"MITE_CONF_url": url})
    assert result.returncode == 1, result.stderr
    assert totals(result.stdout)[:3] == (0, 5, 5)
    assert "AcurlError" in result.stdout
    assert kind in result.stdout.lower() or kind in result.stdout


JOURNEYS = """
import asyncio

async def unsendable(ctx):
    async with ctx.transaction("t"):
        ctx.send("thing", value=object())

async def outside(ctx):
    ctx.send("data_created", name="../x", data={"a": 1})

async def failing(ctx):
    async with ctx.transaction("t"):
        raise ValueError("no stock")

async def spin(ctx):
    import time
    end = time.monotonic() + 1.6
    while time.monotonic() < end:
        pass
"""


def test_value_that_msgpack_cannot_carry(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", JOURNEYS)
    result = mite("journey", "run", "shop:unsendable")
    assert result.returncode == 1
    assert "TypeError" in result.stdout
    assert "shop.py:6:unsendable" in "".join(result.stdout.split())


def test_data_created_with_a_name_outside(mite: Mite, module: Callable[..., None], tmp_path: Path) -> None:
    module("shop", JOURNEYS)
    result = mite("journey", "run", "shop:outside")
    assert "../x" in result.stdout + result.stderr
    assert sorted(p.name for p in tmp_path.parent.glob("x.msgpack")) == []


def test_exceptions_are_counted_and_grouped(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", JOURNEYS)
    result = mite("journey", "test", "shop:failing", "--iterations=20")
    assert result.returncode == 1
    assert totals(result.stdout)[:3] == (0, 20, 20)
    assert "ValueError: no stock" in result.stdout
    assert result.stderr.count("no stock") <= 4, "an error kind is logged once, the others are counted"


def test_the_watchdog_names_the_journey_that_blocks(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", JOURNEYS)
    result = mite("journey", "run", "shop:spin")
    assert re.search(r'"shop:spin" has blocked the loop for \d\.\d s at .*shop\.py:1\d', result.stderr), result.stderr


def test_errors_within_the_threshold_pass(mite: Mite, module: Callable[..., None]) -> None:
    module("shop", JOURNEYS)
    assert mite("journey", "test", "shop:failing", "--iterations=3", "--max-errors-threshold=3").returncode == 0
    assert mite("journey", "test", "shop:failing", "--iterations=4", "--max-errors-threshold=3").returncode == 1


def test_python_of_another_version(mite: Mite, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.7.1\n")
    refused(mite("scenario", "test", "a:b", env={"VIRTUAL_ENV": os.fspath(venv)}), 3, "3.7", "3.11")
