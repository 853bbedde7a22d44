"""What 200 runners that report four times a second cost their controller."""

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

from board.goal import at_most
from board.group import Bench, Column, Group, Line, Sample
from board.process import BUILD, Failed, cpu_seconds, started

RUNNERS = 200
HERE = Path(__file__).resolve().parent.parent
SCENARIO = (
    '"""Asks for so many journeys."""\n\n\ndef scenario():\n    return [("shop:buy", None, lambda start, end: 2000)]\n'
)


def resident_mib(process: "subprocess.Popen[str]") -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def measure(bench: Bench) -> Sample:
    seconds = 1 if bench.quick else 2 * bench.seconds
    (bench.folder / "fleet_scenario.py").write_text(SCENARIO)
    argv = [
        "env",
        f"--chdir={bench.folder}",
        str(BUILD / "mite"),
        "controller",
        "fleet_scenario:scenario",
        f"--controller-socket=ipc://{bench.folder}/controller",
        f"--message-socket=ipc://{bench.folder}/events",
        "--hide-constant-logs",
    ]
    with started(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as controller:
        assert controller.stderr is not None
        controller.stderr.readline()  # it listens
        peers = [sys.executable, str(HERE / "fleet.py"), argv[5].partition("=")[2], str(RUNNERS), str(seconds + 5)]
        with started(peers, stdout=subprocess.PIPE) as fleet:
            assert fleet.stdout is not None
            if fleet.stdout.readline() != "joined\n":
                raise Failed("the runners never joined")
            cpu, wall = cpu_seconds(controller), time.monotonic()
            time.sleep(seconds)
            cpu, wall = cpu_seconds(controller) - cpu, time.monotonic() - wall
            return {"core": cpu / wall * 100, "mib": resident_mib(controller)}


def why_not(bench: Bench) -> str:
    there = importlib.util.find_spec("msgpack") and importlib.util.find_spec("zmq")
    return "" if there else "no python3-zmq and python3-msgpack on this machine"


def groups(quick: bool) -> list[Group]:
    columns = [Column("core", "of a core", "%", 1), Column("mib", "peak memory", "MiB", 1)]
    line = Line("mite controller", measure, [at_most(5, "%"), at_most(100, "MiB").on("mib")], why_not)
    return [Group(f"{RUNNERS} runners, 1,000 requests a second each", columns, [line])]
