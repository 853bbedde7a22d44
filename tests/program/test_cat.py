"""`mite cat` and `mite uncat`: nothing is lost there and back, and bad bytes cost only what comes behind them."""

import fcntl
import json
import math
import re
import subprocess
import termios
import time
from pathlib import Path

import msgpack
import pytest
from conftest import command

MESSAGES = [
    {"type": "txn", "time": 1700000000.25, "had_error": False, "transaction": "__root__ :: a", "n": None},
    {"type": "x", "time": 1.0, "small": -(2**63), "float": 1e300, "whole": 3.0, "text": "grüße\n\"\u2028"},
    {"big": 2**64 - 1, "bytes": b"\x00\xff", "list": [1, [2, {"k": b""}]], "keys": {1: "one", (2, 3): "pair"}},
    {"__bytes__": "text of a user's own", "inf": math.inf},
    {"__map__": 1},
]


def pack(messages: list) -> bytes:
    return b"".join(msgpack.packb(m) for m in messages)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages"
    path.write_bytes(pack(MESSAGES))
    return path


def test_json_lines(mite, file: Path) -> None:
    done = mite("cat", str(file))
    lines = done.stdout.split("\n")
    assert (done.returncode, done.stderr, lines.pop()) == (0, "", "")
    assert json.loads(lines[0]) == MESSAGES[0]
    assert list(json.loads(lines[0])) == list(MESSAGES[0]), "the order of the fields stays"
    assert json.loads(lines[1]) == MESSAGES[1]
    assert json.loads(lines[2])["bytes"] == {"__bytes__": "AP8="}
    assert len(lines) == len(MESSAGES)


def test_there_and_back_loses_nothing(mite, file: Path) -> None:
    lines = mite("cat", str(file), text=False).stdout
    assert mite("uncat", "-", input=lines, stdin=None, text=False).stdout == file.read_bytes()
    assert mite("uncat", input=lines.rstrip(b"\n"), stdin=None, text=False).stdout == file.read_bytes()
    saved = file.with_name("lines")
    saved.write_bytes(lines.replace(b"\n", b"\r\n\r\n"))
    assert mite("uncat", str(saved), text=False).stdout == file.read_bytes()


def test_json_lines_stay_what_they_are(mite, file: Path) -> None:
    """`--collector-use-json` writes them under the same names."""
    lines = mite("cat", str(file)).stdout
    saved = file.with_name("lines")
    saved.write_text(lines)
    assert mite("cat", str(saved)).stdout == lines
    assert '"2023-11-14T22:13:20.250000Z"' in mite("cat", "--prettify-timestamps", str(saved)).stdout
    saved.write_text(lines + "{")
    done = mite("cat", str(saved))
    assert (done.returncode, done.stdout) == (1, lines) and f"line {len(MESSAGES) + 1}" in done.stderr


def test_stdin(mite, file: Path) -> None:
    assert mite("cat", "-", input=file.read_bytes(), stdin=None, text=False).stdout == mite("cat", str(file), text=False).stdout


def test_nan_comes_back(mite) -> None:
    lines = mite("cat", "-", input=pack([{"x": math.nan}]), stdin=None, text=False).stdout
    back = msgpack.unpackb(mite("uncat", input=lines, stdin=None, text=False).stdout)
    assert math.isnan(back["x"])


def test_prettified_timestamps(mite, file: Path) -> None:
    done = mite("cat", str(file), "--prettify-timestamps")
    first, second = map(json.loads, done.stdout.split("\n")[:2])
    assert first["time"] == "2023-11-14T22:13:20.250000Z"
    assert second["time"] == "1970-01-01T00:00:01.000000Z"
    assert second["whole"] == 3.0


def test_cut_last_message(mite, file: Path) -> None:
    whole = file.read_bytes()
    cut = len(pack(MESSAGES[:4])) + 3
    file.write_bytes(whole[:cut])
    done = mite("cat", str(file))
    assert done.stdout.count("\n") == 4
    assert done.returncode == 1
    assert done.stderr == (
        f"mite cat: {file}: the last message is cut off: 3 bytes at byte {cut - 3} are left over\n"
    )


def test_bytes_that_are_no_message(mite) -> None:
    done = mite("cat", "-", input=pack(MESSAGES[:1]) + b"\xc1rest", stdin=None, text=False)
    assert done.returncode == 1
    assert done.stdout.count(b"\n") == 1
    assert done.stderr.startswith(f"mite cat: stdin: byte {len(pack(MESSAGES[:1]))}: ".encode())
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "text", ["ask nobody\n", "[1, 2]\n", "id,name\r\n1,Jürgen\r\n", "grüße, " * 1000, "\tindented\n"]
)
def test_a_text_is_no_list_of_numbers(mite, text: str) -> None:
    done = mite("cat", "-", input=text.encode(), stdin=None, text=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"mite cat: stdin is text, and not what collector and recorder write: msgpack, or ")
    assert done.stderr.count(b"\n") == 1


def test_numbers_that_somebody_recorded(mite) -> None:
    for numbers in ([50], [123], [123, 124, 125], list(range(100, 120)), [65, 10, 66], [1] * 2000, [104, 200]):
        done = mite("cat", "-", input=b"".join(map(msgpack.packb, numbers)), stdin=None, text=False)
        assert (done.returncode, done.stdout.split()) == (0, [b"%d" % n for n in numbers])


def test_a_text_that_comes_bit_by_bit() -> None:
    process = subprocess.Popen(command("cat", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    for part in (b"one li", b"ne and anoth", b"er\n"):
        process.stdin.write(part)
        process.stdin.flush()
    out, said = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, b"") and b"stdin is text" in said


def test_lines_that_come_bit_by_bit() -> None:
    process = subprocess.Popen(command("cat", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"{")
    process.stdin.flush()
    while fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):
        time.sleep(0.005)
    process.stdin.write(b'"a": 1}\n')
    assert process.communicate(timeout=10)[0] == b'{"a": 1}\n'


def test_line_that_is_no_json(mite) -> None:
    done = mite("uncat", input=b'{"a": 1}\n\n{"a": \n', stdin=None, text=False)
    assert done.returncode == 1
    assert done.stdout == msgpack.packb({"a": 1})
    assert done.stderr.startswith(b"mite uncat: stdin: line 3: ")


def test_what_cannot_be_read(mite, tmp_path: Path) -> None:
    missing = mite("cat", "nothing-here")
    assert (missing.returncode, missing.stderr) == (2, "mite cat: cannot read nothing-here: No such file or directory\n")
    folder = mite("cat", str(tmp_path))
    assert (folder.returncode, folder.stderr) == (2, f"mite cat: {tmp_path} is a directory: name a file in it\n")


def test_full_disk(mite, file: Path) -> None:
    with open("/dev/full", "w") as full:
        done = mite("cat", str(file), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stderr == "mite cat: cannot write to stdout: No space left on device\n"


def test_memory_is_one_message(tmp_path: Path) -> None:
    """64 MB go through a process that stays far smaller than that."""
    path = tmp_path / "large"
    block = pack([{"type": "x", "fill": "y" * 1000}] * 1000)
    with path.open("wb") as out:
        for _ in range(64):
            out.write(block)
    with (tmp_path / "lines").open("wb") as lines:
        # Its own peak, not that of the test run it was forked from: the pipe's end keeps it waiting, all but done.
        process = subprocess.Popen(command("cat", "-"), stdin=subprocess.PIPE, stdout=lines)
        assert process.stdin is not None
        process.stdin.write(path.read_bytes())
        process.stdin.flush()
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert (tmp_path / "lines").stat().st_size > 64_000_000
    assert peak and int(peak[1]) < 48 * 1024
