"""200 runners in one process: fleet.py ADDRESS RUNNERS SECONDS. Each reports four times a second what 1,000 requests a
second would have counted, in histograms of lifelike width, and obeys. Says when all have joined, and when it is done."""

import random
import sys
import time

import msgpack
import zmq

INTERVAL_S = 0.25
REQUESTS = 250  # in each report


def leb128(n: int) -> bytes:
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def bucket_of(ns: int) -> int:
    shift = ns.bit_length() - 1 - 10
    return (shift << 10) + (ns >> shift)


def histogram(rng: random.Random) -> list[object]:
    """Most around 2 ms, some ten times as long."""
    values = sorted(int(rng.lognormvariate(14.5, 0.5)) for _ in range(REQUESTS))
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    packed, last = b"", 0
    for bucket in sorted(counts):
        packed += leb128(bucket - last) + leb128(counts[bucket])
        last = bucket
    squares = float(sum(value * value for value in values))
    return [REQUESTS, 0, values[0], values[-1], sum(values), squares, packed]


def statistics(rng: random.Random) -> dict[str, object]:
    latency = histogram(rng)
    journey, path = "shop:buy", "__root__ :: pay"
    return {
        "counts": [REQUESTS, 0, 0, REQUESTS, 0, 100 * REQUESTS],
        "latency": latency,
        "wait": None,
        "transactions": [
            [[journey, "__root__", None], REQUESTS, 0, latency],
            [[journey, path, None], REQUESTS, 0, histogram(rng)],
        ],
        "requests": [[[path, "GET", None], REQUESTS, 0, histogram(rng)]],
        "failures": [],
        "journeys": [[[journey, None, None], REQUESTS, 0]],
    }


class Runner:
    def __init__(self, context: zmq.Context, address: str, number: int, due: float) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.routing_id = f"mite1:bench-{number}".encode()
        self.socket.connect(address)
        self.due, self.seq, self.running, self.started = due, 0, 0, 0
        self.waits, self.id = True, 0
        self.send([1, None])

    def send(self, body: object) -> None:
        self.socket.send_multipart([b"", msgpack.packb(body)])

    def report(self, stats: dict[str, object], now: float) -> None:
        self.seq += 1
        self.due = now + INTERVAL_S
        self.waits = True
        report = {"entries": [[1, self.running, self.started, self.started - self.running, 0, -1]], "stats": stats}
        if self.seq == 1:
            report["introduction"] = {"host": "bench", "version": "3", "pid": self.id, "max_journeys": 0}
        self.send([4, self.seq, self.id, self.epoch, report])

    def receive(self) -> None:
        answer = msgpack.unpackb(self.socket.recv_multipart()[-1], strict_map_key=False)
        if answer == [0]:
            self.due = 0.0
            return
        self.waits = False
        if self.seq == 0:
            self.id, _, _, offer = answer
            self.epoch = offer["epoch"]
            return
        self.running = answer[1]["entries"][0][1]
        self.started += REQUESTS + self.running


def main() -> None:
    address, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rng = random.Random(1)
    counted = [statistics(rng) for _ in range(20)]
    context, poller, start = zmq.Context(), zmq.Poller(), time.monotonic()
    context.max_sockets = count + 10
    runners = {}
    for number in range(count):
        runner = Runner(context, address, number, start + INTERVAL_S * number / count)
        runners[runner.socket] = runner
        poller.register(runner.socket, zmq.POLLIN)
    joined = False
    while time.monotonic() < start + seconds:
        for socket, _ in poller.poll(2):
            runners[socket].receive()
        now = time.monotonic()
        for runner in runners.values():
            if not runner.waits and now >= runner.due:
                runner.report(rng.choice(counted), now)
        if not joined and all(runner.seq > 1 for runner in runners.values()):
            joined = True
            print("joined", flush=True)


main()
