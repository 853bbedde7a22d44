"""What is around a user's Python in a run: configuration, processors, the interpreter."""

import json
import subprocess

import pytest

from conftest import BUILD, environment
from runs import of_type, run, values  # noqa: F401


# ---- configuration ----

SHOWS = "async def journey(ctx):\n    ctx.send('got', value=ctx.config)\n    assert type(ctx.config) is dict\n"


def test_config_of_a_callable(run):
    source = SHOWS + "def config():\n    return {'a': [1, {'b': None}], 'url': 'x'}\n"
    result, messages = run(
        source, "journey", "run", "shop:journey", "--config=shop:config", "--add-to-config=url:http://y:1/"
    )
    assert result.returncode == 0, result.stderr
    assert values(messages) == [{"a": [1, {"b": None}], "url": "http://y:1/"}]


def test_config_of_the_environment(run):
    env = {"MITE_CONF_text": "1 + 2", "MITE_EVAL_CONF_sum": "1 + 2"}
    result, messages = run(SHOWS, "journey", "run", "shop:journey", env=env)
    assert result.returncode == 0, result.stderr
    assert values(messages) == [{"text": "1 + 2", "sum": 3}]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("return 3", 'configuration "shop:config" gave an object of type int: it must return a dict'),
        ("return {'f': print}", "f is of type builtin_function_or_method"),
        ("raise OSError('x')", 'configuration "shop:config" failed: OSError: x'),
    ],
)
def test_configurations_that_fail(run, config, sentence):
    source = SHOWS + f"def config():\n    {config}\n"
    result, _ = run(source, "journey", "run", "shop:journey", "--config=shop:config")
    assert result.returncode == 2
    assert sentence in result.stderr


def test_an_expression_that_fails(run):
    result, _ = run(SHOWS, "journey", "run", "shop:journey", env={"MITE_EVAL_CONF_x": "1 +"})
    assert result.returncode == 2
    assert "cannot evaluate MITE_EVAL_CONF_x=1 +" in result.stderr


# ---- processors ----


def test_processors_of_every_shape(run, tmp_path):
    source = """
from mite.utils import unpack_msg
async def journey(ctx):
    ctx.send("got", value=1)
class Raw:
    def __init__(self, options):
        assert options["--report"] is False
    def process_raw_message(self, raw):
        open("raw", "a").write(unpack_msg(raw)["type"] + "\\n")
    def close(self):
        open("closed", "w").close()
"""
    result, messages = run(source, "journey", "run", "shop:journey", processor="shop:Keep,shop:Raw")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "raw").read_text().splitlines() == [m["type"] for m in messages]
    assert (tmp_path / "closed").exists()


def test_a_processor_that_raises_is_told_once(run):
    source = "async def journey(ctx):\n    pass\nclass Bad:\n    def process_message(self, message):\n        1 / 0\n"
    result, _ = run(source, "journey", "test", "shop:journey", "--iterations=5", processor="shop:Bad")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("message processor shop:Bad failed: ZeroDivisionError: division by zero") == 1


@pytest.mark.parametrize(
    ("processor", "sentence"),
    [
        ("class Bad: pass", "has neither process_message(dict) nor process_raw_message(bytes)"),
        ("class Bad:\n    def __init__(self): raise OSError('x')", "OSError: x"),
        ("", 'module shop has no "Bad"'),
    ],
)
def test_what_is_no_processor(run, processor, sentence):
    result, _ = run(
        f"async def journey(ctx):\n    pass\n{processor}\n", "journey", "run", "shop:journey", processor="shop:Bad"
    )
    assert result.returncode == 2
    assert sentence in result.stderr


def test_collector_filter(mite, tmp_path):
    (tmp_path / "shop.py").write_text(
        "async def journey(ctx):\n    ctx.send('got')\ndef keep(raw):\n    return b'got' in raw\n"
    )
    result = mite("journey", "run", "shop:journey", "--collector-filter=shop:keep", "--collector-use-json")
    assert result.returncode == 0, result.stderr
    (line,) = (tmp_path / "collector_data" / "current").read_text().splitlines()
    assert json.loads(line)["type"] == "got"


# ---- the interpreter ----


@pytest.mark.parametrize(("level", "lines"), [("INFO", 3), ("WARNING", 2), ("CRITICAL", 0)])
def test_what_users_log(run, level, lines):
    source = """
import logging
log = logging.getLogger("shop")
async def journey(ctx):
    log.debug("hidden")
    log.info("one")
    log.warning("two %s", "arguments")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("three")
"""
    result, _ = run(source, "journey", "run", "shop:journey", f"--log-level={level}")
    assert result.returncode == 0, result.stderr
    assert sum(f"shop: {text}" in result.stderr for text in ("hidden", "one", "two arguments", "three")) == lines
    assert ("Traceback" in result.stderr) == (lines > 0)


def test_the_working_directory_can_be_excluded(run):
    result, _ = run(
        "async def journey(ctx):\n    pass\n", "journey", "run", "shop:journey", "--exclude-working-directory"
    )
    assert result.returncode == 2
    assert 'there is no module "shop"' in result.stderr


@pytest.mark.parametrize(
    ("spec", "meant"),
    [("shop.py:journey", "shop:journey"), ("./shop.py:journey", "shop:journey"), ("a/shop:x", "a.shop:x")],
)
def test_a_file_where_a_module_is_expected(run, spec, meant):
    result, _ = run("async def journey(ctx):\n    pass\n", "journey", "run", spec)
    assert result.returncode == 2
    assert f'(did you mean "{meant}"?)' in result.stderr


@pytest.mark.parametrize("name", ["mite", "asyncio"])
def test_a_file_that_hides_a_module(run, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("async def journey(ctx):\n    pass\n")
    result, _ = run("", "journey", "run", f"{name}:journey")
    assert result.returncode == 3
    assert f"{name}.py in this directory hides a module that mite needs, rename it" in result.stderr


def test_memory_tracing(run):
    result, _ = run("async def journey(ctx):\n    pass\n", "journey", "run", "shop:journey", "--memory-tracing")
    assert result.returncode == 0, result.stderr


def test_the_standard_library_is_whole(run):
    source = "import ssl, ctypes, sqlite3, json, decimal\n"
    source += "async def journey(ctx):\n    ctx.send('got', value=ssl.OPENSSL_VERSION)\n"
    result, messages = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 0, result.stderr
    assert values(messages)[0].startswith("OpenSSL")


def test_atexit_runs(run, tmp_path):
    source = "import atexit\natexit.register(lambda: open('bye', 'w').close())\nasync def journey(ctx):\n    pass\n"
    result, _ = run(source, "journey", "run", "shop:journey")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "bye").exists()


def environment_in(folder, python):
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def test_a_virtual_environment(run, tmp_path):
    venv = environment_in(tmp_path / "venv", "/usr/bin/python3")
    (packages,) = (venv / "lib").glob("python3.*/site-packages")
    (packages / "theirs.py").write_text("NAME = 'theirs'\n")
    source = """
import sys, ssl, theirs
async def journey(ctx):
    ctx.send("got", value=[theirs.NAME, sys.prefix, sys.base_prefix])
"""
    result, messages = run(source, "journey", "run", "shop:journey", env={"VIRTUAL_ENV": str(venv)})
    assert result.returncode == 0, result.stderr
    assert values(messages) == [["theirs", str(venv), "/usr"]]


def test_a_virtual_environment_that_is_gone(run, tmp_path):
    source = "async def journey(ctx):\n    pass\n"
    result, _ = run(
        source, "journey", "run", "shop:journey", "--log-level=WARNING", env={"VIRTUAL_ENV": str(tmp_path / "x")}
    )
    assert result.returncode == 0
    assert "where there is no pyvenv.cfg: not used" in result.stderr


def test_python_runs_the_program_more_than_once(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from mite_http import mite_http\n@mite_http\nasync def journey(ctx):\n    ctx.send('x', n=ctx.config['n'])\n"
    )
    words = ["mite", "journey", "test", "shop:journey", "--iterations=3", "--no-collector", "--add-to-config=n:1"]
    script = f"import _mite\nprint([_mite.main({words!r}) for _ in range(2)])\n"
    result = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.splitlines()[-1] == "[0, 0]", result.stdout + result.stderr


def test_python_dash_m(tmp_path):
    (tmp_path / "shop.py").write_text("async def journey(ctx):\n    raise ValueError\n")
    result = subprocess.run(
        ["/usr/bin/python3", "-m", "mite", "journey", "run", "shop:journey", "--no-collector"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(BUILD / "python")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1, result.stderr
    assert "1 errors" in result.stdout
