"""mite.zmq and mite.nanomsg: senders and receivers of one's own, against each other and against pyzmq."""

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgpack
import pytest
import zmq as pyzmq


@pytest.fixture(params=["zmq", "nanomsg"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    module = importlib.import_module(f"mite.{request.param}")
    try:
        module.Sender().close()
    except ValueError:
        pytest.skip("this mite was built without nanomsg")
    return module


@pytest.fixture
def context() -> Iterator["pyzmq.Context[pyzmq.Socket[bytes]]"]:
    made = pyzmq.Context()
    yield made
    made.destroy(linger=0)


class Enough(Exception):
    """Ends a receiver."""


def receive(receiver: Any, count: int, raw: bool = False) -> list[Any]:
    """Runs the receiver until that many messages have come."""
    got: list[Any] = []

    def take(message: Any) -> None:
        got.append(message)
        if len(got) == count:
            raise Enough

    (receiver.add_raw_listener if raw else receiver.add_listener)(take)
    with pytest.raises(Enough):
        asyncio.run(asyncio.wait_for(receiver.run(), 10))
    return got


def test_a_sender_and_a_receiver(backend: ModuleType) -> None:
    receiver, sender = backend.Receiver(), backend.Sender()
    address = receiver.bind("tcp://127.0.0.1:*")
    assert address.startswith("tcp://127.0.0.1:")
    sender.connect(address)
    messages = [{"type": "mine", "time": 1.5, "n": n, "deep": {"a": (1, None, b"x")}} for n in range(3000)]
    for message in messages:
        sender.send(message)
    assert receive(receiver, 3000) == messages
    assert sender.dropped == 0
    sender.close()
    receiver.close()


def test_a_listener_may_not_close_its_receiver(backend: ModuleType) -> None:
    receiver, sender = backend.Receiver(), backend.Sender()
    sender.connect(receiver.bind("tcp://127.0.0.1:*"))
    receiver.add_listener(lambda message: receiver.close())
    sender.send({"type": "mine"})
    with pytest.raises(RuntimeError, match="a listener of this receiver is running"):
        asyncio.run(asyncio.wait_for(receiver.run(), 10))
    sender.close()
    receiver.close()


def test_the_other_way_round(backend: ModuleType) -> None:
    receiver, sender = backend.Receiver(), backend.Sender()
    receiver.connect(sender.bind("tcp://127.0.0.1:*"))
    sender.send({"type": "mine"})

    async def send_and_receive() -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []
        receiver.add_listener(got.append)
        running = asyncio.ensure_future(receiver.run())
        while not got:
            sender.send({"type": "mine"})
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return got

    assert asyncio.run(send_and_receive())[0] == {"type": "mine"}


def test_the_wire_is_zeromqs(context: "pyzmq.Context[pyzmq.Socket[bytes]]") -> None:
    from mite.zmq import Receiver, Sender

    pull, push = context.socket(pyzmq.PULL), context.socket(pyzmq.PUSH)
    pull.rcvtimeo = 10000
    pull.bind("tcp://127.0.0.1:*")
    sender = Sender()
    sender.connect(pull.last_endpoint.decode())
    sender.send({"type": "mine", "time": 1.5})
    assert pull.recv() == msgpack.packb({"type": "mine", "time": 1.5})

    receiver = Receiver()
    push.connect(receiver.bind("tcp://127.0.0.1:*"))
    raw = msgpack.packb({"type": "theirs"})
    push.send(raw)
    assert receive(receiver, 1, raw=True) == [raw]


def test_a_script_that_ends_at_once_has_sent_its_messages(
    context: "pyzmq.Context[pyzmq.Socket[bytes]]", tmp_path: Path
) -> None:
    pull = context.socket(pyzmq.PULL)
    pull.rcvtimeo = 10000
    pull.bind("tcp://127.0.0.1:*")
    script = (
        "import sys\nfrom mite.zmq import Sender\nsender = Sender()\nsender.connect(sys.argv[1])\n"
        "for n in range(2000):\n    sender.send({'type': 'mine', 'n': n})\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, pull.last_endpoint.decode()],
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert [msgpack.unpackb(pull.recv())["n"] for _ in range(2000)] == list(range(2000))


def test_listeners_get_what_came_together_with_a_failure() -> None:
    from mite.zmq import Receiver, Sender

    receiver, sender = Receiver(), Sender()
    sender.connect(receiver.bind("tcp://127.0.0.1:*"))
    got = []

    def listener(message: dict[str, Any]) -> None:
        got.append(message["n"])
        if message["n"] == 1:
            raise ValueError("one")

    receiver.add_listener(listener)
    for n in range(3):
        sender.send({"n": n})
    with pytest.raises(ValueError, match="one"):
        asyncio.run(asyncio.wait_for(receiver.run(), 10))
    assert got[:2] == [0, 1]


@pytest.mark.parametrize("address", ["inproc://x", "nonsense", "tcp://127.0.0.1"])
def test_bad_addresses(address: str) -> None:
    from mite.zmq import Receiver, Sender

    for kind in (Receiver, Sender):
        with pytest.raises(ValueError, match=address):
            kind().connect(address)


def test_what_no_message_can_carry() -> None:
    from mite.zmq import Sender

    with pytest.raises(TypeError, match=r"message\['x'\] is of type object"):
        Sender().send({"x": object()})


def test_closed_means_closed() -> None:
    from mite.zmq import Receiver, Sender

    sender, receiver = Sender(), Receiver()
    for each in (sender, receiver):
        each.close()
        each.close()
        with pytest.raises(ValueError, match="closed"):
            each.connect("tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="closed"):
        sender.send({})
