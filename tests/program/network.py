"""Hosts for tests: network namespaces on one wire, whose links can be cut, healed and made lossy; and a slow proxy.

Hosts need root and the commands `ip` and `nft`; without them a test that asks for a network is skipped.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_numbers = itertools.count(1)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


class Network:
    """Hosts `names`, each with an address of its own in 10.231.0.0/24, all on one switch."""

    def __init__(self, *names: str) -> None:
        self._prefix = f"mite{os.getpid()}-{next(_numbers)}"
        self._hosts = {name: f"10.231.0.{number}" for number, name in enumerate(names, 1)}
        self._namespaces = [self._namespace("switch"), *map(self._namespace, names)]
        for namespace in self._namespaces:
            _run("ip", "netns", "add", namespace)
        switch = self._namespace("switch")
        _run("ip", "-n", switch, "link", "add", "wire", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "wire", "up")
        for name, address in self._hosts.items():
            self._plug_in(switch, name, address)

    def _namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _plug_in(self, switch: str, name: str, address: str) -> None:
        host, port = self._namespace(name), f"to-{name}"
        _run("ip", "link", "add", port, "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", host)
        _run("ip", "-n", switch, "link", "set", port, "master", "wire", "up")
        _run("ip", "-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in "lo", "eth0":
            _run("ip", "-n", host, "link", "set", link, "up")

    def address(self, name: str) -> str:
        return self._hosts[name]

    def on(self, name: str, command: list[str]) -> list[str]:
        """The argv that runs a command on that host."""
        return ["ip", "netns", "exec", self._namespace(name), *command]

    def cut(self, name: str) -> None:
        _run("ip", "-n", self._namespace("switch"), "link", "set", f"to-{name}", "down")

    def heal(self, name: str) -> None:
        _run("ip", "-n", self._namespace("switch"), "link", "set", f"to-{name}", "up")

    def lose(self, name: str, percent: int) -> None:
        """From now on that host gets only the others of its packets."""
        for line in (
            "add table inet loss",
            "add chain inet loss in { type filter hook input priority 0; }",
            f"add rule inet loss in numgen random mod 100 < {percent} drop",
        ):
            _run(*self.on(name, ["nft", line]))

    def close(self) -> None:
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


@contextmanager
def network(*names: str) -> Iterator[Network]:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
        pytest.skip("hosts in network namespaces need root, ip and nft")
    hosts = Network(*names)
    try:
        yield hosts
    finally:
        hosts.close()


class SlowProxy:
    """A TCP proxy in front of `port` on this host that holds everything back for `delay_s`, both ways."""

    def __init__(self, port: int, delay_s: float) -> None:
        self._target, self._delay_s = port, delay_s
        self._loop = asyncio.new_event_loop()
        self.port = self._loop.run_until_complete(self._listen())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._delay_s)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Late, but in order and without a limit on what is under way: delay, not bandwidth."""
        try:
            while data := await source.read(65536):
                self._loop.call_later(self._delay_s, sink.write, data)
            self._loop.call_later(self._delay_s, sink.close)
        except ConnectionError:
            sink.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
