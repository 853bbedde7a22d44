"""Collector, recorder, log outputs and msgpack, from Python."""

import json

import msgpack
import pytest

from mite.collector import Collector
from mite.logoutput import DebugMessageOutput, HttpStatsOutput, MsgOutput
from mite.recorder import Recorder
from mite.utils import pack_msg, spec_import, unpack_msg

MESSAGE = {"type": "note", "time": 1.5, "n": 1}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pack_and_unpack():
    message = {
        "type": "x",
        "list": [1, (2,)],
        "bytes": b"\x00",
        "map": {("a", 1): None},
        "large": 2**64 - 1,
        "f": 0.5,
    }
    packed = pack_msg(message)
    assert packed == msgpack.packb(message)
    assert unpack_msg(packed) == {**message, "list": (1, (2,))}


def test_unpack_of_what_is_no_message():
    for raw in (b"\xc1", b"\x92\x01", b"\x01\x02"):
        with pytest.raises(ValueError):
            unpack_msg(raw)
    with pytest.raises(TypeError):
        unpack_msg("text")


def test_pack_of_what_no_message_carries():
    with pytest.raises(TypeError, match=r"message\['when'\] is of type object"):
        pack_msg({"when": object()})


def test_spec_import():
    assert spec_import("mite.utils:pack_msg") is pack_msg
    with pytest.raises(ValueError, match='"mite.utils" is no spec'):
        spec_import("mite.utils")
    with pytest.raises(AttributeError):
        spec_import("mite.utils:nothing")


def test_collector(directory):
    collector = Collector(roll_after=2, collector_id="c")
    for _ in range(3):
        collector.process_raw_message(pack_msg(MESSAGE))
    collector.close()
    files = sorted(path.name for path in (directory / "collector_data").iterdir())
    assert len(files) == 3
    assert {"current", "current_start_time"} < set(files)
    (rolled,) = [name for name in files if "_c_" in name]
    assert list(msgpack.Unpacker(open(directory / "collector_data" / rolled, "rb"))) == [MESSAGE, MESSAGE]
    assert list(msgpack.Unpacker(open(directory / "collector_data" / "current", "rb"))) == [MESSAGE]


def test_collector_as_json_with_a_filter(directory):
    seen = []

    def odd(raw):
        seen.append(raw)
        return unpack_msg(raw)["n"] % 2

    collector = Collector(target_dir=directory / "mine", filter_fn=odd, use_json=True)
    for n in range(4):
        collector.process_raw_message(pack_msg({**MESSAGE, "n": n}))
    collector.close()
    lines = (directory / "mine" / "current").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 3]
    assert len(seen) == 4


def test_a_filter_that_raises(directory):
    collector = Collector(filter_fn=lambda raw: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        collector.process_raw_message(pack_msg(MESSAGE))


def test_a_closed_collector(directory):
    collector = Collector()
    collector.close()
    collector.close()
    with pytest.raises(ValueError, match="closed"):
        collector.process_raw_message(b"")


def test_a_directory_that_cannot_be_made(directory):
    (directory / "file").write_text("")
    for make in (Collector, Recorder):
        with pytest.raises(OSError, match="file/x"):
            make(directory / "file" / "x")


def test_recorder(directory):
    recorder = Recorder()
    for name in ("ann", "bob"):
        recorder.process_message({"type": "data_created", "name": "users", "data": {"username": name}})
    recorder.process_message({"type": "data_created", "name": "../out", "data": {}})
    recorder.process_message({"type": "note"})
    records = directory / "recorder_data" / "users.msgpack"
    assert list(msgpack.Unpacker(open(records, "rb"))) == [{"username": "ann"}, {"username": "bob"}]
    assert not (directory / "out.msgpack").exists()
    recorder.process_message({"type": "purge_data", "name": "users"})
    assert not records.exists()


def test_a_message_without_a_type(directory):
    with pytest.raises(ValueError, match="type"):
        Recorder().process_message({"name": "users"})


@pytest.mark.parametrize("output", [HttpStatsOutput, MsgOutput, DebugMessageOutput])
@pytest.mark.parametrize("arguments", [(), ({"--report": False},)])
def test_outputs_take_options_or_nothing(output, arguments):
    output(*arguments).process_message(MESSAGE)


def test_message_output_shows_stack_traces(capfd):
    MsgOutput().process_message(
        {
            "type": "exception",
            "message": "E: no",
            "ex_type": "E",
            "location": "f:1:g",
            "stacktrace": "  File f\n",
            "time": 1,
        }
    )
    assert "File f" in capfd.readouterr().err


def test_debug_output(capfd):
    DebugMessageOutput().process_message({"type": "debug_console_message", "text": "look here"})
    out, err = capfd.readouterr()
    assert "look here" in out + err
