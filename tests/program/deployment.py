"""A whole topology of mite for tests: each component a process, on this machine or on a test host, its output in files."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from conftest import command, environment
from helpers import free_port
from network import Network

PATIENCE_S = 60


class Component:
    def __init__(self, name: str, argv: list[str], folder: Path, env: dict[str, str]) -> None:
        self.name, self._out, self._err = name, folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(**env)
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        """Until it has said that, on either stream."""
        ends = time.monotonic() + PATIENCE_S
        while text not in self.err and text not in self.out:
            assert self.process.poll() is None or text in self.err + self.out, f"{self.name} ended: {self.err}"
            assert time.monotonic() < ends, f"{self.name} never said {text!r}: {self.err}"
            time.sleep(0.02)

    def wait(self) -> int:
        return self.process.wait(timeout=PATIENCE_S)

    def kill(self) -> None:
        """As a machine does that loses its power."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end, which takes no component more than five seconds."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=5 + 5)  # what a machine that has much to do adds

    def memory_kb(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.name} is gone")


class Deployment:
    """Sockets of a topology, and what runs on them. `hosts`: where components may be put; without, all is local."""

    def __init__(self, folder: Path, hosts: Network | None = None, home: str = "") -> None:
        self.folder, self.hosts, self._home = folder, hosts, home
        self.address = hosts.address(home) if hosts else "127.0.0.1"
        self.parts: list[Component] = []
        self.sockets = {
            name: f"tcp://{self.address}:{free_port()}"
            for name in ("controller", "message", "collector", "recorder", "stats-in", "stats-out")
        }

    def start(
        self, name: str, *args: str, host: str = "", cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> Component:
        """`mite ARGS` under a name of its own."""
        argv = command(*args)
        if self.hosts:
            argv = self.hosts.on(host or self._home, argv)
        part = Component(name, argv, cwd or self.folder, env or {})
        self.parts.append(part)
        return part

    def option(self, socket: str, address: str = "") -> str:
        return f"--{socket}-socket={address or self.sockets[socket]}"

    def duplicator(self, *more: str) -> Component:
        outs = [self.sockets[name] for name in ("collector", "recorder", "stats-in")]
        return self.start("duplicator", "duplicator", *outs, self.option("message"), *more)

    def controller(self, spec: str, *more: str, name: str = "controller", **extra: object) -> Component:
        return self.start(
            name, "controller", spec, self.option("controller"), self.option("message"), *more, **extra
        )

    def runner(self, name: str, *more: str, host: str = "", **extra: object) -> Component:
        return self.start(
            name, "runner", self.option("controller"), self.option("message"), *more, host=host, **extra
        )

    def collector(self, *more: str) -> Component:
        return self.start("collector", "collector", self.option("collector"), "--collector-dir=collected", *more)

    def recorder(self, *more: str) -> Component:
        return self.start("recorder", "recorder", self.option("recorder"), "--recorder-dir=recorded", *more)

    def stats(self, *more: str, name: str = "stats") -> Component:
        return self.start(name, "stats", self.option("stats-in"), self.option("stats-out"), *more)

    def exporter(self, *more: str) -> Component:
        self.web = f"{self.address}:{free_port()}"
        return self.start(
            "exporter", "prometheus_exporter", self.option("stats-out"), f"--web-address={self.web}", *more
        )

    def collected(self, *, killed: bool = False) -> list[dict[str, object]]:
        """Every message that the collector has written, of all its files; one that was killed may have cut off its last."""
        messages = []
        for file in sorted((self.folder / "collected").iterdir()):
            if file.name != "current_start_time":
                shown = subprocess.run(command("cat", str(file)), capture_output=True, text=True, env=environment())
                cut_off = shown.returncode == 1 and "the last message is cut off" in shown.stderr
                assert shown.returncode == 0 or (killed and cut_off), shown.stderr
                messages += map(json.loads, shown.stdout.splitlines())
        return messages

    def close(self) -> None:
        for part in self.parts:
            if part.process.poll() is None:
                part.process.kill()
                part.process.wait()
        if os.environ.get("MITE_SHOW"):
            for part in self.parts:
                print(f"---- {part.name}: {part.process.returncode}\n{part.out}{part.err}")
