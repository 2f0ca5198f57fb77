"""Measure what people feel, and print a table: `python -m tests.bench`.

Only some parts: `python -m tests.bench polls`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
import logging
from math import inf
import os
from statistics import median
import sys
from typing import TYPE_CHECKING

from homeassistant.const import __version__

from tests.gateways.machine import State
from tests.harness.facts import SUPPORTED

from .home import home_assistant, running_account
from .linking import link
from .polls import BARE, UNCHANGED, measure_polls
from .replay import replaying
from .reports import change, receive, send_messages

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway

    from .home import Account, Times
    from .polls import Cost

SIZES = {1: 1.5, 10: 1.5, 50: 2.5, 1000: inf}
"""How much more than bare requests a poll may take, by the number of instances."""
LIMITS = {
    "code to screen": 2.0,
    "next code to screen": 2.0,
    "scan to state": 3.0,
    "scan to end of dialog": 3.0,
    "event to state": 1.0,
    "message to event entity": 0.15,
    "action that sends a message": 0.1,
}
"""Seconds; after a scan, the gateway itself takes one of them."""
REPORTING = {
    key: kind
    for key, kind in SUPPORTED.items()
    if kind.has("events") or kind.has("webhooks")
}
"""The gateways that report changes."""
PEOPLE, LATE = 6, 2
"""Who link an instance of each gateway, and the code that the first of them scans."""


def line(what: str, value: str, target: str = "", *, met: bool = True) -> None:
    """Print a row of the table."""
    verdict = ("met" if met else "MISSED") if target else ""
    print(f"{what:<60} {value:>38}  {target:<13} {verdict}".rstrip(), flush=True)


def print_polls(of: str, costs: dict[str, Cost], limit: float) -> None:
    """Print what polls cost, and for how long they block the event loop."""
    own, bare = costs[UNCHANGED].seconds, costs[BARE].seconds
    value = f"{own * 1e3:.2f} / {bare * 1e3:.2f} ms = {own / bare:.2f}"
    target = f"at most {limit}" if limit < inf else ""
    line(f"{of}: {UNCHANGED} / {BARE}", value, target, met=own / bare <= limit)
    for what, cost in costs.items():
        value = f"{cost.seconds * 1e3:.1f} ms, {cost.blocked * 1e3:.1f} ms"
        met = cost.blocked <= 0.05
        line(f"    {what}: time, event loop blocked", value, "at most 50 ms", met=met)


def print_times(of: str, times: Times) -> None:
    """Print the median and the worst of some seconds."""
    for what, limit in LIMITS.items():
        if some := times[what]:
            middle = median(some)
            value = f"median {middle:.3f}, worst {max(some):.3f} s of {len(some)}"
            line(f"{of}: {what}", value, f"below {limit:g} s", met=middle < limit)


async def polls() -> None:
    """Measure polls."""
    async with replaying() as server:
        for kind in SUPPORTED.values():
            for size, limit in SIZES.items():
                costs = await measure_polls(server, kind, size)
                print_polls(f"{kind.title}, {size} instances", costs, limit)


async def linking() -> None:
    """Measure linking with all gateways at once, as hardly anything happens in it."""
    results: list[tuple[type[Gateway], bool, Times]]
    results = [(kind, False, defaultdict(list)) for kind in SUPPORTED.values()]
    results += [(kind, True, defaultdict(list)) for kind in REPORTING.values()]
    async with home_assistant() as hass, asyncio.TaskGroup() as group:
        for number, (kind, push, times) in enumerate(results):
            group.create_task(_link(hass, kind, f"number{number}", times, push=push))
    for kind, push, times in results:
        print_times(f"{kind.title}, {'push' if push else 'polls'}", times)


async def _link(
    hass: HomeAssistant, kind: type[Gateway], name: str, times: Times, *, push: bool
) -> None:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(PEOPLE):
            running = running_account(hass, kind, f"{name}_{number}", State.STOPPED)
            account = await stack.enter_async_context(running)
            if push:
                await account.turn_push_on()
            group.create_task(link(account, times, 0 if number else LATE))
            await asyncio.sleep(1)


async def push() -> None:
    """Measure changes with all gateways at once, then messages with one at a time."""
    async with home_assistant() as hass, AsyncExitStack() as stack:
        accounts: list[tuple[Account, Times]] = []
        for key, kind in REPORTING.items():
            running = running_account(hass, kind, key, State.CONNECTED)
            account = await stack.enter_async_context(running)
            await account.turn_push_on()
            accounts.append((account, defaultdict(list)))
        async with asyncio.TaskGroup() as group:
            for account, times in accounts:
                group.create_task(change(account, times))
        for account, times in accounts:
            if account.gateway.has("receiving"):
                await receive(account, times)
            if account.gateway.has("messages"):
                await send_messages(account, times)
            print_times(account.gateway.title, times)


PARTS = {"polls": polls, "linking": linking, "push": push}


def main() -> None:
    """Measure everything, or the parts that are named."""
    line(f"{os.cpu_count()} cores", f"Home Assistant {__version__}")
    for name in sys.argv[1:] or PARTS:
        print()
        asyncio.run(PARTS[name]())


logging.disable()
main()
