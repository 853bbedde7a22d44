"""A real Prometheus scrapes the exporter: what it has is what was sent, and every panel of the dashboard shows something."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from components import Component, Peers, Start, free_addresses, free_ports, pack, until
from conftest import ROOT

CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "mite.json"

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")

TRANSACTIONS = ("__root__ :: get", "__root__ :: pay", 'say "hi"\n\\')


def messages(number: int) -> Iterator[bytes]:
    """One of each kind; the number makes some of them differ."""
    journey = {"test": "shop:scenario", "journey": "shop:buy", "transaction": TRANSACTIONS[number % 3]}
    yield pack(
        type="http_metrics",
        method="GET" if number % 2 else b"POST",
        response_code=200 if number % 5 else 503,
        total_time=0.001 * (number % 100),
        dns_time=0.0002,
        **journey,
    )
    yield pack(type="txn", had_error=number % 4 == 0, **journey)
    yield pack(type="txn", had_error=number % 4 == 0, **{**journey, "transaction": "__root__"})
    yield pack(type="error", location="shop.py:7:buy", ex_type="MiteError", message="no\nstock", **journey)
    yield pack(type="messages_dropped", component="duplicator", output="tcp://x", dropped={"txn": 2})
    yield msgpack.packb(
        {
            "type": "controller_report",
            "test": "shop:scenario",
            "required": {1: number, 2: 7},
            "actual": {1: number, 2: 6},
            "num_runners": 3,
        }
    )


class Prometheus:
    def __init__(self, folder: Path, exporter: str) -> None:
        configuration = CONFIGURATION.read_text()
        changed = configuration.replace("prometheus_exporter:9301", exporter).replace("interval: 5s", "interval: 500ms")
        assert exporter in changed and "500ms" in changed
        (folder / "prometheus.yml").write_text(changed)
        port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample; none while it does not answer yet."""
        question = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{question}", timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            assert self.process.poll() is None, "Prometheus has ended"
            return []
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def number(self, expression: str) -> float | None:
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.close()


def panels() -> list[tuple[str, str]]:
    """Titles and expressions, with what Grafana would put for its variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$test", ".*")
            assert "$" not in expression, expression
            found.append((f"{panel['title']} {target['refId']}", expression))
    return found


def test_sums_and_panels(start: Start, peers: Peers, tmp_path: Path) -> None:
    events, into = peers.bound_push()
    (out,) = free_addresses(1)
    exporter = Component(start, "prometheus_exporter", f"--stats-out-socket={out}", "--web-address=127.0.0.1:0")
    web = re.search(r"http://(\S+)/metrics", exporter.said[-1])
    assert web
    stats = Component(start, "stats", f"--stats-in-socket={into}", f"--stats-out-socket={out}")
    prometheus = Prometheus(tmp_path, web[1])
    try:
        sent = 0
        for count in (300, 1000):  # a rate needs two looks
            for number in range(count):
                for message in messages(number):
                    events.send(message)
            sent += count
            until(lambda: prometheus.number("sum(mite_http_response_total)") == sent)  # noqa: B023
        until(lambda: prometheus.number('sum(mite_required_count{scenario_id="1"})') == 999)
        by_transaction = dict.fromkeys(TRANSACTIONS, 0)
        for count in (300, 1000):
            for number in range(count):
                by_transaction[TRANSACTIONS[number % 3]] += 1
        for expression, expected in {
            "sum(mite_http_response_time_seconds_count)": sent,
            'sum(mite_http_response_time_seconds_bucket{le="0.050000"})': sent // 100 * 51,
            'sum(mite_http_response_time_seconds_bucket{le="+Inf"})': sent,
            'sum(mite_transaction_total{transaction="__root__"})': sent,
            'sum(mite_transaction_total{had_error="True", transaction!="__root__"})': sent // 4,
            'sum(mite_http_response_total{response_code="503"})': sent // 5,
            'sum(mite_http_response_total{method="POST"})': sent // 2,
            "sum(mite_messages_dropped_total)": 2 * sent,
            "mite_runner_count": 3,
            "sum(mite_exporter_bad_messages_total)": 0,
            'mite_actual_count{scenario_id="2"}': 6,
        }.items():
            assert prometheus.number(expression) == expected, expression
        assert prometheus.number("sum(mite_http_response_time_seconds_sum)") == pytest.approx(0.0495 * sent)
        for labels, value in prometheus.query("sum by (transaction) (mite_journey_error_total)"):
            assert value == by_transaction.pop(labels["transaction"])
        assert by_transaction == {}
        for title, expression in panels():
            assert prometheus.query(expression), f"{title}: {expression} shows nothing"
    finally:
        prometheus.end()
    stats.end()
    exporter.end()
