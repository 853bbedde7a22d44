"""Duplicator, collector, recorder and receiver, beside ZeroMQ peers that are not ours."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
import zmq
from components import Component, Peers, Start, free_addresses, pack, received, txn, until
from conftest import Mite, environment


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.close()


class Line:
    """A duplicator with two outputs, and what is needed to talk to it."""

    def __init__(self, start: Start, *args: str, **popen: object) -> None:
        self.into, *self.outputs = free_addresses(3)
        self.component = Component(
            start, "duplicator", *self.outputs, f"--message-socket={self.into}", *args, **popen
        )


@pytest.fixture
def line(start: Start) -> Callable[..., Line]:
    return lambda *args, **popen: Line(start, *args, **popen)


# ---- duplicator ----


def test_duplicator_passes_on_the_bytes_as_they_came(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line()
    assert duplicator.component.said == [f"duplicator: {duplicator.into} -> {', '.join(duplicator.outputs)}"]
    consumers = [peers.pull(output) for output in duplicator.outputs]
    sender = peers.push(duplicator.into)
    messages = [txn(n) for n in range(100)] + [b"", b"\xc1 no msgpack", os.urandom(100_000)]
    for message in messages:
        sender.send(message)
    for consumer in consumers:
        assert received(consumer, len(messages)) == messages
    duplicator.component.end()


def test_consumers_of_one_output_share_its_messages(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line()
    consumers = [peers.pull(duplicator.outputs[0]) for _ in range(2)]
    monitors = peers.push(duplicator.into)
    for _ in range(2):  # until both are connected one of them gets everything
        monitors.send(txn(0))
    got: set[int] = set()
    while len(got) < 2:
        monitors.send(txn(0))
        got |= {n for n, consumer in enumerate(consumers) if consumer.poll(50)}


def test_an_output_that_nobody_reads_drops_and_tells(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line("--send-buffer=20000")
    alive, dead = duplicator.outputs
    consumer = peers.pull(alive)
    sender = peers.push(duplicator.into)
    for n in range(1000):
        sender.send(txn(n))
        assert consumer.recv() == txn(n)
    told = msgpack.unpackb(consumer.recv())
    assert (told["type"], told["component"], told["output"]) == ("messages_dropped", "duplicator", dead)
    assert 500 < told["dropped"]["txn"] < 1000
    duplicator.component.wait_for(f"WARNING {dead}: its receivers are slow or absent")
    said = duplicator.component.end()
    assert f"duplicator: {dead}: 0 sent, " in said and f" dropped (txn {told['dropped']['txn']}" in said
    assert alive not in said


def test_a_consumer_that_went_and_came_back_gets_what_is_sent_then(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line()
    consumers = [peers.pull(output) for output in duplicator.outputs]
    sender = peers.push(duplicator.into)
    sender.send(txn(1))
    assert [consumer.recv() for consumer in consumers] == [txn(1), txn(1)]
    consumers[1].close()
    sender.send(txn(2))
    assert consumers[0].recv() == txn(2)
    again = peers.pull(duplicator.outputs[1])
    got: list[bytes] = []
    while txn(3) not in got:  # what was on its way to the old one is lost with it
        sender.send(txn(3))
        if again.poll(50):
            got.append(again.recv())
    assert duplicator.component.process.poll() is None


@pytest.mark.parametrize("by_file", [False, True])
def test_usr1_shows_the_next_messages(
    line: Callable[..., Line], peers: Peers, tmp_path: Path, by_file: bool
) -> None:
    number = tmp_path / "number"
    duplicator = line(
        env={"MITE_DEBUG_MESSAGES_TO_DUMP_FILE": str(number)} if by_file else {"MITE_DEBUG_MESSAGES_TO_DUMP": "2"}
    )
    number.write_text("2\n")
    consumer, sender = peers.pull(duplicator.outputs[0]), peers.push(duplicator.into)
    duplicator.component.process.send_signal(signal.SIGUSR1)
    messages, shown = [pack(type="other", number=1), b"\xc1"], ""
    while shown.count("\n") < 2:
        for message in messages:
            sender.send(message)
            consumer.recv()
        shown += duplicator.component.seen("{")
    said = duplicator.component.end()
    both = [json.loads(text) for text in (shown + said).splitlines() if text.startswith("{")]
    assert sorted(both, key=len) == [{"__bytes__": "wQ=="}, {"type": "other", "number": 1}]


def test_what_is_buffered_is_handed_over_at_the_end(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line()
    first, sender = peers.pull(duplicator.outputs[0]), peers.push(duplicator.into)
    for n in range(5000):
        sender.send(txn(n))
    received(first, 5000)
    duplicator.component.process.send_signal(signal.SIGTERM)
    late = peers.pull(duplicator.outputs[1])
    assert received(late, 5000) == [txn(n) for n in range(5000)]
    assert duplicator.component.process.wait(timeout=5) == 0


def test_without_consumers_it_ends_in_time_and_says_what_is_lost(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line("--graceful-stop=0.5")
    first, sender = peers.pull(duplicator.outputs[0]), peers.push(duplicator.into)
    sender.send(txn(1))
    first.recv()
    said = duplicator.component.end()
    assert "not done after 0.5 s (--graceful-stop)" in said
    assert f"{duplicator.outputs[1]}: 1 were still waiting for a receiver and are lost" in said


def test_a_second_signal_ends_it_at_once(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line("--graceful-stop=60")
    first, sender = peers.pull(duplicator.outputs[0]), peers.push(duplicator.into)
    sender.send(txn(1))
    first.recv()
    duplicator.component.process.send_signal(signal.SIGTERM)
    duplicator.component.end(signal.SIGINT)


def test_what_was_sent_while_the_duplicator_was_away_arrives(line: Callable[..., Line], peers: Peers, start: Start) -> None:
    from mite.zmq import Sender

    first = line()
    sender, consumer = Sender(), peers.pull(first.outputs[0])
    sender.connect(first.into)
    sender.send({"number": 0})
    assert msgpack.unpackb(consumer.recv()) == {"number": 0}
    first.component.kill()
    consumer.close()
    for number in range(1, 1001):
        sender.send({"number": number})
    again = Component(start, "duplicator", *first.outputs, f"--message-socket={first.into}")
    consumer = peers.pull(first.outputs[0])
    # What was handed to the old connection before it was seen to be gone is lost with it.
    numbers = [msgpack.unpackb(consumer.recv())["number"]]
    while numbers[-1] != 1000:
        numbers.append(msgpack.unpackb(consumer.recv())["number"])
    assert numbers == list(range(numbers[0], 1001))
    sender.close()
    again.kill()


def test_a_name_that_nobody_knows_does_not_hold_up_the_end(start: Start, tmp_path: Path) -> None:
    collector = Component(start, "collector", "--collector-socket=tcp://nowhere.invalid:1", cwd=tmp_path)
    collector.end()


def test_two_duplicators_on_one_socket(line: Callable[..., Line], mite: Mite) -> None:
    first = line()
    second = mite("duplicator", *free_addresses(1), f"--message-socket={first.into}")
    assert second.returncode == 3
    assert second.stderr.strip() == (
        f"duplicator: cannot listen on {first.into}: the address is in use: end the process that has it, or name "
        "another port"
    )


@pytest.mark.parametrize(
    ("address", "status", "why"),
    [
        ("inproc://x", 2, "use ipc://PATH"),
        ("127.0.0.1:80", 2, "is no address of a socket"),
        ("tcp://127.0.0.1:99999", 2, "a port from 1 to 65535"),
        ("tcp://nowhere.invalid:80", 2, "nowhere.invalid"),
        ("tcp://192.0.2.1:14399", 3, "this machine has no such address"),
        ("ipc:///nonexistent/x", 3, "cannot listen on ipc:///nonexistent/x: No such file or directory"),
    ],
)
def test_addresses_that_cannot_be(mite: Mite, address: str, status: int, why: str) -> None:
    result = mite("duplicator", address, f"--message-socket={free_addresses(1)[0]}")
    assert result.returncode == status
    assert why in result.stderr and address in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_path_that_a_killed_duplicator_left_is_taken_over(start: Start, peers: Peers, tmp_path: Path) -> None:
    into, out = f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/out"
    args = (out, f"--message-socket={into}")
    Component(start, "duplicator", *args).kill()
    assert (tmp_path / "in").exists()
    again = Component(start, "duplicator", *args)
    consumer, sender = peers.pull(out), peers.push(into)
    sender.send(txn(1))
    assert consumer.recv() == txn(1)
    third = start("duplicator", *args)
    assert third.wait(timeout=10) == 3
    assert third.stderr is not None
    assert "in use by another process" in third.stderr.read()
    again.end()
    assert not (tmp_path / "in").exists()


def test_an_open_port_is_said_to_be_one(start: Start) -> None:
    into, out = free_addresses(2)
    process = start("duplicator", out, f"--message-socket={into.replace('127.0.0.1', '*')}")
    assert process.stderr is not None
    assert "is open to anyone who can reach it: mite keygen makes keys that close it" in process.stderr.readline()


def test_strangers_at_the_port_do_not_disturb(line: Callable[..., Line], peers: Peers) -> None:
    duplicator = line()
    consumer, sender = peers.pull(duplicator.outputs[0]), peers.push(duplicator.into)
    port = int(duplicator.into.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as http, socket.create_connection(("127.0.0.1", port)) as noise:
        http.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        noise.sendall(os.urandom(5000))
        huge = peers.push(duplicator.into)
        huge.send(bytes(65 << 20))
        wrong = peers._socket(zmq.REQ)
        wrong.connect(duplicator.into)
        sender.send_multipart([b"two", b"frames"])
        sender.send(txn(1))
        # ZeroMQ takes random bytes for messages of its oldest protocol: they are passed on like others.
        until(lambda: consumer.recv() == txn(1))
    duplicator.component.end()


# ---- collector ----


def collected(mite: Mite, folder: Path) -> list[dict[str, object]]:
    """All messages of a collector, the oldest file first."""
    files = sorted(
        (file for file in folder.iterdir() if file.name != "current_start_time"),
        key=lambda file: (file.name == "current", int(file.name.rpartition("_")[2]) if "_" in file.name else 0),
    )
    text = ""
    for file in files:
        result = mite("cat", str(file))
        assert result.returncode == 0, result.stderr
        text += result.stdout
    return [json.loads(one) for one in text.splitlines()]


def size_of(folder: Path) -> int:
    """Bytes of all files of a collector, whatever they are called at the moment; -1: one got another name meanwhile."""
    try:
        return sum(len(file.read_bytes()) for file in folder.iterdir() if file.name != "current_start_time")
    except FileNotFoundError:
        return -1


def test_the_collector_writes_every_message(start: Start, peers: Peers, mite: Mite, tmp_path: Path) -> None:
    source, address = peers.bound_push()
    folder = tmp_path / "data"
    collector = Component(
        start, "collector", f"--collector-socket={address}", f"--collector-dir={folder}", "--collector-roll=300"
    )
    assert collector.said == [f"collector: {address} -> {folder}"]
    for n in range(1000):
        source.send(txn(n))
    for bad in (b"", b"\xc1", b"\x90", txn(1)[:-1], txn(1) + b"\x00", b"\x81\xa1x" + b"\x91" * 100 + b"\xc0"):
        source.send(bad)
    source.send(txn(1000))
    until(lambda: size_of(folder) == sum(len(txn(n)) for n in range(1001)))
    said = collector.end()
    assert "collector: 1001 messages written, 0 filtered, 6 left out" in said
    assert said.count("no msgpack map") == 1
    assert [message["number"] for message in collected(mite, folder)] == list(range(1001))
    assert len(list(folder.iterdir())) == 3 + 2


def test_what_came_before_the_signal_is_written(start: Start, peers: Peers, mite: Mite, tmp_path: Path) -> None:
    source, address = peers.bound_push(sndhwm=0)
    folder = tmp_path / "data"
    collector = Component(start, "collector", f"--collector-socket={address}", f"--collector-dir={folder}")
    for n in range(20000):
        source.send(txn(n))
    assert "20000 messages written" in collector.end()
    assert len(collected(mite, folder)) == 20000


def test_a_killed_collector_leaves_whole_messages(start: Start, peers: Peers, mite: Mite, tmp_path: Path) -> None:
    source, address = peers.bound_push()
    folder = tmp_path / "data"
    collector = Component(start, "collector", f"--collector-socket={address}", f"--collector-dir={folder}")
    for n in range(20):
        source.send(txn(n))
    until(lambda: (folder / "current").stat().st_size == 20 * len(txn(0)))  # after a second at most
    collector.kill()
    assert [message["number"] for message in collected(mite, folder)] == list(range(20))


def test_json_lines_and_a_filter(start: Start, peers: Peers, tmp_path: Path) -> None:
    source, address = peers.bound_push()
    folder = tmp_path / "data"
    (tmp_path / "keep.py").write_text("def txns(raw):\n    return b'txn' in raw\n")
    collector = Component(
        start,
        "collector",
        f"--collector-socket={address}",
        f"--collector-dir={folder}",
        "--collector-use-json",
        "--collector-filter=keep:txns",
        cwd=tmp_path,
    )
    source.send(pack(type="other"))
    source.send(txn(1))
    until(lambda: (folder / "current").stat().st_size > 0)
    assert "1 messages written, 1 filtered, 0 left out" in collector.end()
    assert json.loads((folder / "current").read_text())["number"] == 1


@pytest.mark.parametrize("spec", ["nowhere:filter", "json:nothing", "nonsense"])
def test_a_filter_that_is_none(mite: Mite, spec: str) -> None:
    result = mite("collector", f"--collector-filter={spec}")
    assert result.returncode == 2
    assert spec.partition(":")[0] in result.stderr


def test_a_full_disk_stops_the_collector_and_not_the_others(
    start: Start, peers: Peers, mite: Mite, tmp_path: Path
) -> None:
    source, address = peers.bound_push()
    folder = tmp_path / "data"
    collector = Component(
        start,
        "collector",
        f"--collector-socket={address}",
        f"--collector-dir={folder}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    for n in range(10000):
        source.send(txn(n))
    collector.wait_for("ERROR collector: writes no more")
    for n in range(100):  # it still takes them
        source.send(txn(n))
    said = collector.end(status=3)
    written = len(collected(mite, folder))
    assert f"collector: {written} messages written, 0 filtered, {10100 - written} left out" in said


def test_a_collector_needs_a_folder(mite: Mite, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = mite("collector", f"--collector-dir={tmp_path}/file")
    assert result.returncode in (2, 3)
    assert "file" in result.stderr and len(result.stderr.splitlines()) == 1


# ---- recorder ----


def test_the_recorder_keeps_and_deletes_what_journeys_create(start: Start, peers: Peers, tmp_path: Path) -> None:
    source, address = peers.bound_push()
    folder = tmp_path / "data"
    recorder = Component(start, "recorder", f"--recorder-socket={address}", f"--recorder-dir={folder}")
    created = {"type": "data_created", "time": 1.0, "test": "t"}
    for name, data in [("users", ["a", 1]), ("gone", [1]), ("users", ["b", 2]), ("../evil", [1]), ("", [1])]:
        source.send(msgpack.packb({**created, "name": name, "data": data}))
    source.send(pack(type="purge_data", time=1.0, test="t", name="gone"))
    source.send(txn(1))
    source.send(b"\xc1")
    source.send(pack(type="data_created", name=5, data=1))
    kept = len(msgpack.packb(["a", 1])) * 2
    until(lambda: size_of(folder) == kept and not (folder / "gone.msgpack").exists())
    said = recorder.end()
    assert "recorder: 3 records written, 1 files purged, 3 refused, 0 failed" in said
    with (folder / "users.msgpack").open("rb") as file:
        assert list(msgpack.Unpacker(file)) == [["a", 1], ["b", 2]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data"]


# ---- receiver ----

PROCESSORS = """
import sys
class Dicts:
    def process_message(self, message):
        print("dict", message["number"], flush=True)
        if message["number"] == 2:
            raise ValueError("two")
class Raw:
    def process_raw_message(self, raw):
        print("raw", len(raw), flush=True)
    def close(self):
        print("closed", flush=True)
class NeedsMore:
    def __init__(self, more):
        pass
    process_message = print
"""


def test_the_receiver_calls_processors(start: Start, peers: Peers, tmp_path: Path) -> None:
    source, address = peers.bound_push()
    (tmp_path / "mine.py").write_text(PROCESSORS)
    receiver = Component(
        start,
        "receiver",
        address,
        "--processor=mine:Dicts",
        "--processor=mine:Raw",
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    for n in range(1, 4):
        source.send(txn(n))
    stdout = receiver.process.stdout
    assert stdout is not None
    size = len(txn(1))
    lines = [stdout.readline() for _ in range(6)]
    assert lines == ["dict 1\n", f"raw {size}\n", "dict 2\n", f"raw {size}\n", "dict 3\n", f"raw {size}\n"]
    receiver.process.send_signal(signal.SIGTERM)
    out, said = receiver.process.communicate(timeout=5)
    assert receiver.process.returncode == 0
    assert out == "closed\n"
    assert "ValueError: two" in said and "receiver: 3 messages, 0 left out" in said


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ([], "--processor=SPEC"),
        (["--processor=mine:NeedsMore"], "mine:NeedsMore"),
        (["--processor=mine:Missing"], "Missing"),
        (["--processor=nonsense"], "nonsense"),
    ],
)
def test_processors_that_cannot_be(mite: Mite, tmp_path: Path, args: list[str], why: str) -> None:
    (tmp_path / "mine.py").write_text(PROCESSORS)
    result = mite("receiver", "tcp://127.0.0.1:14303", *args)
    assert result.returncode == 2
    assert why in result.stderr


# ---- all of them ----


@pytest.mark.parametrize("name", ["duplicator", "collector", "recorder", "receiver"])
def test_help(mite: Mite, name: str) -> None:
    result = mite(name, "--help")
    assert result.returncode == 0
    assert f"Usage: mite {name}" in result.stdout
    for option in ("--send-buffer", "--curve-key", "--graceful-stop=SECONDS", "[4]"):
        assert option in result.stdout


def test_what_arrives_is_what_was_sent(start: Start, line: Callable[..., Line], mite: Mite, tmp_path: Path) -> None:
    """Our duplicator and our collector, and a sender of pyzmq in a process of its own that ends at once."""
    duplicator = line()
    folder = tmp_path / "data"
    collector = Component(
        start, "collector", f"--collector-socket={duplicator.outputs[0]}", f"--collector-dir={folder}"
    )
    sender = (
        "import sys, zmq, msgpack\n"
        "socket = zmq.Context().socket(zmq.PUSH)\n"
        "socket.connect(sys.argv[1])\n"
        "for n in range(2000):\n"
        "    socket.send(msgpack.packb({'type': 'txn', 'time': 1.0, 'number': n}))\n"
        "socket.close()\n"
    )
    subprocess.run([sys.executable, "-c", sender, duplicator.into], check=True, env=environment(), timeout=30)
    until(lambda: (folder / "current").exists() and len(collected(mite, folder)) == 2000)
    collector.end()
