"""Stats and exporter, beside peers made of pyzmq."""

import http.client
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
import zmq
from components import Component, Peers, Start, free_addresses, pack, until
from conftest import BUILD, ROOT, Mite, environment

WIRE = ROOT / "tests" / "wire"

Dump = list[dict[str, object]]


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.close()


def event(name: str) -> bytes:
    return (WIRE / f"event_{name}.msgpack").read_bytes()


def http_metrics(transaction: str, total_time: float = 0.3, **fields: object) -> bytes:
    usual = {"test": "t", "journey": "j", "method": b"GET", "response_code": 200, "dns_time": 0.001}
    return pack(type="http_metrics", transaction=transaction, total_time=total_time, **{**usual, **fields})


def unpack(raw: bytes) -> Dump:
    """As the Python program's exporter does."""
    dump: Dump = msgpack.unpackb(raw, use_list=False, strict_map_key=False)
    return list(dump)


def counts(dump: Dump, name: str, key: str = "metrics") -> dict[tuple[object, ...], float]:
    (found,) = (metric for metric in dump if metric["name"] == name)
    return found[key]  # type: ignore[return-value]


# ---- stats ----


class Stats:
    """`mite stats` between a duplicator's output and an exporter, both pyzmq."""

    def __init__(self, start: Start, peers: Peers, *args: str, **popen: object) -> None:
        self.events, into = peers.bound_push()
        self.dumps = peers._socket(zmq.PULL)
        self.dumps.bind("tcp://127.0.0.1:*")
        out = self.dumps.last_endpoint.decode()
        self.component = Component(
            start, "stats", f"--stats-in-socket={into}", f"--stats-out-socket={out}", *args, **popen
        )


@pytest.fixture
def stats(start: Start, peers: Peers) -> Callable[..., Stats]:
    return lambda *args, **popen: Stats(start, peers, *args, **popen)


def test_every_kind_of_message(stats: Callable[..., Stats]) -> None:
    """The first comes a quarter of a second after the start, so that a dump goes out with it; the timer sends the rest."""
    counting = stats()
    names = ("http_metrics_GET", "http_metrics_POST", "txn", "txn_root", "error", "exception", "controller_report")
    for name in names:
        counting.events.send(event(name))
    dumps: list[Dump] = []
    while not any(counts(dump, "mite_runner_count") for dump in dumps):
        dumps.append(unpack(counting.dumps.recv()))
    total: dict[str, float] = {}
    for dump in dumps:
        for metric in dump:
            if metric["type"] == "Counter":
                total[str(metric["name"])] = total.get(str(metric["name"]), 0) + sum(metric["metrics"].values())  # type: ignore[attr-defined]
    assert total == {
        "mite_journey_error_total": 2,
        "mite_transaction_total": 2,
        "mite_messages_dropped_total": 0,
        "mite_http_response_total": 2,
    }
    test = "wirejourneys:scenario"
    assert counts(dumps[-1], "mite_runner_count") == {(test,): 1}
    assert counts(dumps[-1], "mite_required_count") == {(test, 1): 2, (test, 3): 2}
    counting.component.end()


def test_a_lone_message_is_not_withheld(stats: Callable[..., Stats]) -> None:
    counting = stats()
    for number in range(3):
        counting.events.send(http_metrics(f"page {number}"))
        dump = unpack(counting.dumps.recv())
        assert counts(dump, "mite_http_response_total") == {("t", "j", f"page {number}", "GET", 200): 1}
        assert counts(dump, "mite_http_response_time_seconds", "total_counts") == {(f"page {number}",): 1}
    counting.component.end()


def test_what_is_left_goes_out_at_the_end(stats: Callable[..., Stats]) -> None:
    counting = stats()
    counting.events.send(http_metrics("first"))
    seen = sum(counts(unpack(counting.dumps.recv()), "mite_http_response_total").values())
    for _ in range(1000):
        counting.events.send(http_metrics("later"))
    found = re.search(r"(\d+) messages, 0 of them", counting.component.end())
    assert found
    while seen < int(found[1]):
        seen += sum(counts(unpack(counting.dumps.recv()), "mite_http_response_total").values())
    assert seen == int(found[1]) > 1


def test_more_than_a_message_has_room_for(stats: Callable[..., Stats]) -> None:
    """Each dump tells what it can, and the end waits for the last of them."""
    counting = stats()
    long = {label: "x" * 1024 for label in ("test", "journey", "transaction", "location", "ex_type")}
    for number in range(3000):
        counting.events.send(pack(type="error", message=f"{number:1024}", **long))
    counting.component.process.terminate()
    seen: dict[object, float] = {}
    while len(seen) < 3000:
        raw = counting.dumps.recv()
        assert len(raw) <= 16 << 20
        for labels, n in counts(unpack(raw), "mite_journey_error_total").items():
            seen[labels] = seen.get(labels, 0) + n
    assert set(seen.values()) == {1}
    assert counting.component.process.wait(timeout=5) == 0


def test_processors_are_chosen(stats: Callable[..., Stats]) -> None:
    counting = stats("--stats-include-processors=mite_http,mite_dns")
    counting.events.send(http_metrics("a"))
    dump = unpack(counting.dumps.recv())
    assert [metric["name"] for metric in dump] == [
        "mite_http_response_total",
        "mite_http_response_time_seconds",
        "mite_dns_time",
    ]
    counting.component.end()
    counting = stats("--stats-exclude-processors=mite")
    counting.events.send(http_metrics("a"))
    assert len(unpack(counting.dumps.recv())) == 2
    counting.component.end()


def test_bad_messages_are_counted_and_told_once(stats: Callable[..., Stats]) -> None:
    counting = stats()
    for _ in range(5):
        counting.events.send(b"\xc1")
        counting.events.send(pack(type="http_metrics", transaction="a"))
        counting.events.send(os.urandom(100_000))
    counting.events.send(http_metrics("good"))
    while counts(unpack(counting.dumps.recv()), "mite_http_response_time_seconds", "sums") != {("good",): 0.3}:
        pass
    said = counting.component.end()
    assert "16 messages, 15 of them not as they should be" in said
    assert said.count("WARNING") <= 4, said


def test_too_many_label_sets(stats: Callable[..., Stats]) -> None:
    counting = stats("--max-label-sets=2", "--stats-include-processors=mite_http")
    for number in range(100):
        counting.events.send(http_metrics(f"page {number}"))
    seen: dict[object, float] = {}
    while sum(seen.values()) < 100:
        for labels, n in counts(unpack(counting.dumps.recv()), "mite_http_response_total").items():
            seen[labels[2]] = seen.get(labels[2], 0) + n
    assert seen == {"page 0": 1, "page 1": 1, "other": 98}
    assert "mite_http_response_total has more than 2 label sets" in counting.component.end()


def test_nothing_is_lost_while_the_exporter_is_away(start: Start, peers: Peers) -> None:
    events, into = peers.bound_push()
    (out,) = free_addresses(1)
    component = Component(start, "stats", f"--stats-in-socket={into}", f"--stats-out-socket={out}")
    for _ in range(3000):
        events.send(http_metrics("a"))
    dumps = peers._socket(zmq.PULL)
    dumps.bind(out)
    seen = 0.0
    while seen < 3000:
        seen += sum(counts(unpack(dumps.recv()), "mite_http_response_total").values())
    assert seen == 3000
    component.end()


def test_what_no_exporter_came_for_is_told(start: Start, peers: Peers) -> None:
    events, into = peers.bound_push()
    (out,) = free_addresses(1)
    component = Component(
        start, "stats", f"--stats-in-socket={into}", f"--stats-out-socket={out}", "--graceful-stop=0.2"
    )
    events.send(http_metrics("a"))
    events.send(b"\xc1")
    component.wait_for("a message is none")  # so the one before it has come
    said = component.end()
    assert "2 messages, 1 of them" in said
    assert f"there is no exporter at {out}: what came since the last dump is lost" in said


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (("--stats-include-processors=shop",), {}, 'there is no stats processor "shop"'),
        (("--stats-exclude-processors=mite_htpp",), {}, 'there is no stats processor "mite_htpp"'),
        ((), {"MITE_HTTP_HISTOGRAM_BUCKETS": "1,two"}, 'MITE_HTTP_HISTOGRAM_BUCKETS: "two" is no bound of a bucket'),
        (("--stats-in-socket=14304",), {}, "--stats-in-socket: "),
        (("--stats-out-socket=udp://x:1",), {}, "--stats-out-socket: "),
        (("--max-label-sets=0",), {}, "--max-label-sets=0: at least 1 is expected"),
    ],
)
def test_what_stats_refuse(mite: Mite, args: tuple[str, ...], env: dict[str, str], said: str) -> None:
    result = mite("stats", *args, env=env)
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1


# ---- stats of third parties ----

SHOP = """
from mite.stats import Counter, Histogram, extractor, matcher_by_type

def fails(message):
    raise ValueError("not today")

STATS = [
    Counter("shop_orders_total", matcher_by_type("order"), extractor(["country"])),
    Histogram("shop_price", matcher_by_type("order"), extractor(["country"], "price"), [1, 10]),
    Counter("shop_broken_total", fails, extractor([])),
]
"""

UNTELLABLE = """
from mite.stats import Extractor

STATS[1:1] = [Counter("shop_odd_total", matcher_by_type("order"), Extractor(["thing"], lambda m: [((object(),), 1)]))]
"""

NO_DICT = """
class Mute:
    def process(self, message):
        pass

    def dump(self):
        return None

STATS[1:1] = [Mute()]
"""


def install(folder: Path, name: str = "shop", more: str = "") -> None:
    """A package as pip leaves it."""
    (folder / "shop_stats.py").write_text(SHOP + more)
    info = folder / "shop_stats-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-stats\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[mite_stats]\n{name} = shop_stats:STATS\n")


needs_python = pytest.mark.skipif(not (BUILD / "src/python/libmite-python.so").exists(), reason="built without Python")


def has_interpreter(process: "subprocess.Popen[str]") -> bool:
    """Its own extension modules are there as soon as it runs."""
    return "lib-dynload" in Path(f"/proc/{process.pid}/maps").read_text()


@needs_python
@pytest.mark.parametrize("args", [(), ("--stats-include-processors=mite_http,shop",)])
def test_stats_of_a_package(stats: Callable[..., Stats], tmp_path: Path, args: tuple[str, ...]) -> None:
    install(tmp_path)
    counting = stats(*args, env={"PYTHONPATH": str(tmp_path)})
    counting.events.send(pack(type="order", country="it", price=5))
    ours, theirs = (unpack(counting.dumps.recv()) for _ in range(2))
    assert counts(theirs, "shop_orders_total") == {("it",): 1}
    assert counts(theirs, "shop_price", "bin_counts") == {("it",): (0, 1)}
    assert counts(ours, "mite_http_response_total") == {}
    assert has_interpreter(counting.component.process)
    said = counting.component.end()
    assert "a stats processor failed: ValueError: not today" in said


@needs_python
@pytest.mark.parametrize("more", [UNTELLABLE, NO_DICT], ids=["untellable", "no dict"])
def test_one_that_cannot_be_told_costs_no_other(stats: Callable[..., Stats], tmp_path: Path, more: str) -> None:
    install(tmp_path, more=more)
    counting = stats(env={"PYTHONPATH": str(tmp_path)})
    counting.events.send(pack(type="order", country="it", price=5))
    counting.dumps.recv()
    theirs = unpack(counting.dumps.recv())
    assert [metric["name"] for metric in theirs] == ["shop_orders_total", "shop_price", "shop_broken_total"]
    assert counts(theirs, "shop_price", "total_counts") == {("it",): 1}
    assert "the dump of a stats processor failed: " in counting.component.end()


@needs_python
@pytest.mark.parametrize(
    ("name", "args"), [("mite_http", ()), ("shop", ("--stats-include-processors=mite",))], ids=["own", "not named"]
)
def test_python_is_not_started_for_nothing(
    stats: Callable[..., Stats], tmp_path: Path, name: str, args: tuple[str, ...]
) -> None:
    install(tmp_path, name)
    counting = stats(*args, env={"PYTHONPATH": str(tmp_path)})
    counting.events.send(pack(type="txn"))
    unpack(counting.dumps.recv())
    assert not has_interpreter(counting.component.process)
    counting.component.end()


@needs_python
def test_a_package_named_by_a_pth_file(stats: Callable[..., Stats], tmp_path: Path) -> None:
    """In a user's site-packages, where an editable installation leaves one."""
    site = tmp_path / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    install(tmp_path / "elsewhere")
    (site / "shop.pth").write_text(f"# a comment\n{tmp_path / 'elsewhere'}\n")
    counting = stats(env={"PYTHONUSERBASE": str(tmp_path)})
    counting.events.send(pack(type="order", country="it", price=5))
    counting.dumps.recv()
    assert counts(unpack(counting.dumps.recv()), "shop_orders_total") == {("it",): 1}
    counting.component.end()


# ---- exporter ----


class Exporter:
    def __init__(self, start: Start, peers: Peers, *args: str, web: str = "127.0.0.1:0") -> None:
        self.component = Component(
            start, "prometheus_exporter", "--stats-out-socket=tcp://127.0.0.1:*", f"--web-address={web}", *args
        )
        found = re.search(r": (tcp://\S+) -> (http://\S+)/metrics$", self.component.said[-1].rstrip())
        assert found, self.component.said
        self.socket, self.url = found.groups()
        self.peers = peers
        self.senders: list[zmq.Socket[bytes]] = []  # kept: what nobody holds is closed

    def stats(self) -> "zmq.Socket[bytes]":
        self.senders.append(self.peers.push(self.socket))
        return self.senders[-1]

    def page(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text: str = answer.read().decode()
        assert text.endswith("\n")
        return text

    def shows(self, *lines: str) -> None:
        until(lambda: set(lines) <= set(self.page().splitlines()))


@pytest.fixture
def exporter(start: Start, peers: Peers) -> Callable[..., Exporter]:
    return lambda *args, **kwargs: Exporter(start, peers, *args, **kwargs)


def counter(name: str, labels: list[str], metrics: dict[tuple[object, ...], float]) -> bytes:
    return msgpack.packb([{"type": "Counter", "name": name, "metrics": metrics, "labels": labels}])  # type: ignore[no-any-return]


def test_a_dump_of_the_python_program(exporter: Callable[..., Exporter]) -> None:
    shown = exporter()
    shown.stats().send((WIRE / "stats_dump.msgpack").read_bytes())
    shown.shows(
        'mite_journey_error_total{test="wirejourneys:scenario",journey="wirejourneys:broken",transaction="__root__ :: '
        'mite error",location="/srv/tests/wirejourneys.py:20:broken",ex_type="MiteError",message="mite.exceptions.'
        'MiteError: no stock"} 1'
    )
    shown.component.end()


def test_several_stats_add_up(exporter: Callable[..., Exporter]) -> None:
    shown = exporter()
    for sender in [shown.stats() for _ in range(3)]:
        for _ in range(10):
            sender.send(counter("c", ["had_error"], {(True,): 1, (False,): 2}))
    shown.shows('c{had_error="True"} 30', 'c{had_error="False"} 60')
    shown.component.end()


def test_pages(exporter: Callable[..., Exporter]) -> None:
    shown = exporter()
    with urllib.request.urlopen(shown.url) as answer:
        assert '<a href="/metrics">' in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{shown.url}/metric")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(f"{shown.url}/metrics", data=b"x")
    connection = http.client.HTTPConnection(shown.url.removeprefix("http://"))
    connection.request("HEAD", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200 and int(answer.headers["Content-Length"]) > 0 and answer.read() == b""
    connection.close()
    shown.component.end()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(exporter: Callable[..., Exporter]) -> None:
    shown = exporter(web="[::1]:0")
    assert shown.url.startswith("http://[::1]:")
    assert "mite_exporter_bad_messages_total 0\n" in shown.page()
    shown.component.end()


def test_bad_dumps_are_counted_and_told_once(exporter: Callable[..., Exporter]) -> None:
    shown = exporter()
    sender = shown.stats()
    sender.send(counter("c", ["a"], {("x",): 1}))
    bad = [b"", b"\xc1", pack(type="txn"), os.urandom(100_000), b"\x91" * 100_000, counter("c", ["b"], {("x",): 1})]
    for _ in range(3):
        for message in bad:
            sender.send(message)
        sender.send_multipart([bad[2], b"and more"])
    sender.send(counter("c", ["a"], {("x",): 1}))
    shown.shows('c{a="x"} 2', "mite_exporter_bad_messages_total 21")
    said = shown.component.end()
    assert said.count("prometheus_exporter: a message is left out: ") == 1


def test_too_many_label_sets_of_all_stats(exporter: Callable[..., Exporter]) -> None:
    shown = exporter("--max-label-sets=2")
    sender = shown.stats()
    for number in range(5):
        sender.send(counter("c", ["a"], {(number,): 1}))
    shown.shows('c{a="0"} 1', 'c{a="1"} 1', 'c{a="other"} 3')
    assert "c has more than 2 label sets" in shown.component.end()


def test_names_that_clash_are_told(exporter: Callable[..., Exporter]) -> None:
    shown = exporter()
    sender = shown.stats()
    sender.send((WIRE / "stats_dump.msgpack").read_bytes())
    sender.send(counter("mite_http_response_time_seconds_sum", ["a"], {("x",): 1}))
    sender.send(counter("good", ["a"], {("x",): 1}))
    shown.shows('good{a="x"} 1', "mite_exporter_bad_messages_total 1")
    assert "mite_http_response_time_seconds_sum{" not in shown.page()
    assert "since one is a histogram: rename one of them" in shown.component.end()


def test_a_page_without_room(exporter: Callable[..., Exporter]) -> None:
    """Long labels in every line of a histogram with many bins: 26 MB for each label set."""
    shown = exporter()
    sender = shown.stats()
    labels = [f"label_{n}" for n in range(64)]
    bins = list(range(200))
    for number in range(12):
        key = (str(number), *('"' * 1024,) * 63)
        sender.send(
            msgpack.packb(
                [
                    {
                        "type": "Histogram",
                        "name": "h",
                        "labels": labels,
                        "bins": bins,
                        "bin_counts": {key: bins},
                        "sums": {key: 1.5},
                        "total_counts": {key: 200},
                    }
                ]
            )
        )
    sender.send(counter("last", ["a"], {("x",): 1}))

    def answer() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{shown.url}/metrics", timeout=30) as page:
                return page.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    sentence = "There is no room for this page: at most 256 MiB. Fewer label sets (--max-label-sets) make it smaller."
    until(lambda: answer() == (500, f"{sentence}\n"))
    assert answer() == (500, f"{sentence}\n")
    said = shown.component.end()
    assert said.count(f"/metrics is answered with 500: {sentence}\n") == 1


def test_an_address_in_use(start: Start, exporter: Callable[..., Exporter], mite: Mite) -> None:
    shown = exporter()
    web = shown.url.removeprefix("http://")
    for args, option in (
        ((f"--stats-out-socket={shown.socket}",), "--stats-out-socket"),
        (("--stats-out-socket=tcp://127.0.0.1:*", f"--web-address={web}"), "--web-address"),
    ):
        result = mite("prometheus_exporter", *args)
        assert result.returncode == 3 and result.stderr.startswith(f"prometheus_exporter: {option}: "), result.stderr
    shown.component.end()


@pytest.mark.parametrize("known", [True, False])
def test_encrypted(start: Start, peers: Peers, mite: Mite, tmp_path: Path, known: bool) -> None:
    """An exporter with keys takes the figures of those whom it knows, and of nobody else."""
    for name in ("keys", "strangers"):
        assert mite("keygen", str(tmp_path / name)).returncode == 0
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "client.pub").write_text((tmp_path / "keys" / "client.pub").read_text())
    out, into = free_addresses(2)
    exporter = Component(
        start,
        "prometheus_exporter",
        f"--stats-out-socket={out}",
        "--web-address=127.0.0.1:0",
        f"--curve-key={tmp_path}/keys/server.key",
        f"--curve-allow={allowed}",
    )
    found = re.search(r"http://\S+", exporter.said[-1])
    assert found
    duplicator = Component(
        start,
        "duplicator",
        into,
        "--message-socket=tcp://127.0.0.1:*",
        f"--curve-key={tmp_path}/keys/server.key",
        f"--curve-allow={allowed}",
    )
    key = tmp_path / ("keys" if known else "strangers") / "client.key"
    stats = Component(
        start,
        "stats",
        f"--stats-in-socket={into}",
        f"--stats-out-socket={out}",
        f"--curve-key={key}",
        f"--curve-server-key={tmp_path}/keys/server.pub",
    )
    if known:
        message = re.search(r"tcp://\S+", duplicator.said[-1])
        assert message
        sender = zmq.Context.instance().socket(zmq.PUSH)
        public, secret = ((tmp_path / "keys" / f"client.{kind}").read_text().strip().encode() for kind in ("pub", "key"))
        sender.curve_serverkey = (tmp_path / "keys" / "server.pub").read_text().strip().encode()
        sender.curve_publickey, sender.curve_secretkey, sender.linger = public, secret, 0
        sender.connect(message[0])
        sender.send(http_metrics("a"))
        until(lambda: 'transaction="a"' in urllib.request.urlopen(f"{found[0]}").read().decode())
        sender.close()
    else:
        stats.wait_for("connection refused")
    for component in (stats, duplicator, exporter):
        component.end()


def test_promtool_has_nothing_to_say_but_of_three_names(stats: Callable[..., Stats], exporter: Callable[..., Exporter]) -> None:
    counting, shown = stats("--stats-include-processors=mite,mite_http,mite_dns"), exporter()
    sender = shown.stats()
    for path in WIRE.glob("event_*.msgpack"):
        counting.events.send(path.read_bytes())
    counting.events.send(pack(type="error", test='a "quoted"\\', message="line one\nline two"))
    counting.events.send(pack(type="messages_dropped", component="duplicator", dropped={"txn": 2}))
    seen: dict[object, object] = {}
    while not seen:
        raw = counting.dumps.recv()
        seen = counts(unpack(raw), "mite_messages_dropped_total")  # type: ignore[assignment]
        sender.send(raw)
    until(lambda: "dropped_total{" in shown.page())
    found = subprocess.run(["promtool", "check", "metrics"], input=shown.page(), capture_output=True, text=True)
    remark = 'non-histogram and non-summary metrics should not have "_count" suffix'
    names = ("mite_actual_count", "mite_required_count", "mite_runner_count")
    assert sorted((found.stdout + found.stderr).splitlines()) == [f"{name} {remark}" for name in names]
    counting.component.end()
    shown.component.end()
