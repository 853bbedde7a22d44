"""Keys: components that others can neither read nor use, against ZeroMQ peers that are not ours."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from components import Component, Peers, Start, free_addresses, txn, until
from conftest import Mite


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.close()


@pytest.fixture
def keys(mite: Mite, tmp_path: Path) -> Path:
    """Two sets, `ours` and `theirs`, and a list of who may connect: our client."""
    for name in ("ours", "theirs"):
        assert mite("keygen", str(tmp_path / name)).returncode == 0
    (tmp_path / "allow").mkdir()
    (tmp_path / "allow" / "us.pub").write_bytes((tmp_path / "ours" / "client.pub").read_bytes())
    return tmp_path


def duplicator(start: Start, keys: Path, into: str, out: str) -> Component:
    return Component(
        start,
        "duplicator",
        out,
        f"--message-socket={into}",
        f"--curve-key={keys}/ours/server.key",
        f"--curve-allow={keys}/allow",
    )


def curve(keys: Path, client: str = "ours", server: str = "ours") -> dict[str, bytes]:
    """The options of a socket of pyzmq."""
    return {
        "curve_secretkey": (keys / client / "client.key").read_bytes().strip(),
        "curve_publickey": (keys / client / "client.pub").read_bytes().strip(),
        "curve_serverkey": (keys / server / "server.pub").read_bytes().strip(),
    }


def test_keygen_tells_what_to_do_with_them(mite: Mite, tmp_path: Path) -> None:
    result = mite("keygen", "keys")
    assert result.returncode == 0
    assert "--curve-key=keys/server.key --curve-allow=DIR" in result.stdout
    assert (tmp_path / "keys" / "server.key").stat().st_mode & 0o777 == 0o600
    again = mite("keygen", "keys")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_who_has_a_listed_key_is_served(start: Start, peers: Peers, keys: Path) -> None:
    into, out = free_addresses(2)
    component = duplicator(start, keys, into, out)
    consumer, sender = peers.pull(out, **curve(keys)), peers.push(into, **curve(keys))
    sender.send(txn(1))
    assert consumer.recv() == txn(1)
    assert "open to anyone" not in "".join(component.said) + component.end()


@pytest.mark.parametrize("kind", ["no key", "unlisted key", "wrong server key"])
def test_others_get_nothing_and_give_nothing(start: Start, peers: Peers, keys: Path, kind: str) -> None:
    into, out = free_addresses(2)
    component = duplicator(start, keys, into, out)
    options = {
        "no key": {},
        "unlisted key": curve(keys, client="theirs"),
        "wrong server key": curve(keys, server="theirs"),
    }[kind]
    thief, forger = peers.pull(out, **options), peers.push(into, **options)
    forger.send(b"forged")
    if kind != "no key":  # there the client may see first that they do not fit, and go without a word
        component.wait_for("WARNING")
    consumer, sender = peers.pull(out, **curve(keys)), peers.push(into, **curve(keys))
    for n in range(10):
        sender.send(txn(n))
        assert consumer.recv() == txn(n)
    assert not thief.poll(0)
    component.end()


def test_a_key_that_is_written_over_lets_nobody_in_any_more(start: Start, peers: Peers, keys: Path) -> None:
    os.utime(keys / "allow", (0, 0))  # nothing has happened there for long
    into, out = free_addresses(2)
    component = duplicator(start, keys, into, out)
    consumer, sender = peers.pull(out, **curve(keys)), peers.push(into, **curve(keys))
    sender.send(txn(1))
    assert consumer.recv() == txn(1)
    (keys / "allow" / "us.pub").write_bytes((keys / "theirs" / "client.pub").read_bytes())
    consumer.close()

    def is_served() -> bool:
        """libzmq does not ask again where it was refused, and the list may be a second old: hence new sockets."""
        with peers.pull(out, **curve(keys, client="theirs")) as reader, peers.push(
            into, **curve(keys, client="theirs")
        ) as writer:
            writer.send(txn(2))
            return bool(reader.poll(200))

    until(is_served)
    forger = peers.push(into, **curve(keys))
    forger.send(b"forged")
    component.wait_for(f"its public key {(keys / 'ours' / 'client.pub').read_text().strip()} is not in")
    component.end()


def test_a_client_of_ours_shows_its_key(start: Start, peers: Peers, keys: Path) -> None:
    server = peers.context.socket(zmq.PUSH)
    server.curve_server = True
    server.curve_secretkey = (keys / "ours" / "server.key").read_bytes().strip()
    server.bind("tcp://127.0.0.1:*")
    folder = keys / "data"
    collector = Component(
        start,
        "collector",
        f"--collector-socket={server.last_endpoint.decode()}",
        f"--collector-dir={folder}",
        f"--curve-key={keys}/ours/client.key",
        f"--curve-server-key={keys}/ours/server.pub",
    )
    server.send(txn(1))
    until(lambda: (folder / "current").stat().st_size == len(txn(1)))
    collector.end()


def test_a_client_with_the_wrong_key_says_so(start: Start, keys: Path) -> None:
    into, out = free_addresses(2)
    server = duplicator(start, keys, into, out)
    client = Component(
        start,
        "collector",
        f"--collector-socket={out}",
        f"--collector-dir={keys}/data",
        f"--curve-key={keys}/theirs/client.key",
        f"--curve-server-key={keys}/ours/server.pub",
    )
    client.wait_for("our key is not among those that it allows")
    theirs = (keys / "theirs" / "client.pub").read_text().strip()
    assert theirs in server.wait_for("refused a client at 127.0.0.1")
    client.end()
    server.end()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--curve-key=missing"], "no key missing: mite keygen DIR makes keys"),
        (["--curve-server-key=ours/server.pub"], "--curve-server-key needs --curve-key=FILE too"),
        (["--curve-key=ours/client.key"], "--curve-server-key=FILE is missing"),
        (["--curve-key=ours/client.pub"], "chmod 600"),
        (["--curve-key=ours/server.key", "--curve-allow=missing"], "cannot read the keys in missing"),
        (["--curve-key=ours/server.key", "--message-backend=nanomsg"], "nanomsg"),
    ],
)
def test_keys_that_cannot_be(mite: Mite, keys: Path, options: list[str], why: str) -> None:
    result = mite("recorder", *options, cwd=keys)
    assert result.returncode == 2
    assert why in result.stderr and len(result.stderr.splitlines()) == 1
