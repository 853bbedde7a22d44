"""Everything a scenario is made of can be one's own: datapool, volume model, message processor.

    mite scenario test own_parts:scenario --message-processors=mite.logoutput:HttpStatsOutput,own_parts:Slowest
"""

import asyncio
import random

from mite.scenario import StopVolumeModel


class Dice:
    """A datapool: checkout gives an item with .id and .data (a pair will do), checkin takes its id back."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.next_id = 0
        self.out = set()

    async def checkout(self, config):
        self.next_id += 1
        self.out.add(self.next_id)
        return self.next_id, (self.random.randint(1, int(config.get("sides", 6))),)

    async def checkin(self, id):
        self.out.discard(id)


def wave(start, end):
    """A volume model: any function of the window, in seconds since the scenario began."""
    if start >= 4:
        raise StopVolumeModel
    return 5 if start % 2 else 10


async def roll(ctx, eyes):
    async with ctx.transaction("Roll"):
        await asyncio.sleep(eyes / 100)
        await ctx.send("rolled", eyes=eyes)


class Slowest:
    """A message processor: sees every message of the run as a dict."""

    def __init__(self, options=None):
        self.slowest = 0.0

    def process_message(self, message):
        if message["type"] == "txn":
            self.slowest = max(self.slowest, message["end_time"] - message["start_time"])


def scenario(config):
    return [["own_parts:roll", Dice(), wave]]
