"""Measure, and print a table: `python -m tests.bench`.

Only some parts: `python -m tests.bench push linking`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
import platform
import re
from statistics import median
import sys
from typing import TYPE_CHECKING

from homeassistant.const import __version__

from custom_components.whatsapp_gateway.providers import PROVIDERS
from tests.gateways import GATEWAYS
from tests.gateways.machine import LINK

from .accounts import gateway_account, uptimerobot_account
from .linking import measure_linking
from .messages import measure_messages
from .polls import measure_polls
from .push import (
    FLOOD,
    Flood,
    Push,
    has_push,
    measure_flood,
    measure_idle,
    measure_push,
)
from .setups import measure_memory, measure_setups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .linking import Linking
    from .messages import Messages
    from .polls import Polls
    from .setups import Setup

SIZES = (1, 10, 100, 1000)
PEER = "uptimerobot"
KINDS = {"entity": "entity", "enabled": "enabled entity"}
"""Disabled entities are registered as well, which takes a part of the time."""


def line(what: str, value: str, target: str = "", *, met: bool = True) -> None:
    """Print a row of the table."""
    verdict = ("met" if met else "MISSED") if target else ""
    print(f"{what:<70} {value:>24}  {target:<11} {verdict}".rstrip(), flush=True)


def machine() -> str:
    """Return what it is measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    processor = model[1] if model else platform.processor()
    return (
        f"{os.cpu_count()} cores of {processor}, {platform.system()}, "
        f"Python {platform.python_version()}, Home Assistant {__version__}"
    )


def print_polls(key: str, polls: dict[int, Polls]) -> None:
    """Print what polls cost."""
    name = PROVIDERS[key].name
    for size, one in polls.items():
        # some gateways are also asked for each of 50 instances
        requests = 1 + min(size, 50) * GATEWAYS[key].has("live_states")
        of = f"{name}, {size} instances: "
        ratio = one.unchanged / one.floor
        target = "at most 1.5" if size == max(SIZES) else ""
        times = f"{one.unchanged * 1e3:.2f} / {one.floor * 1e3:.2f} ms = {ratio:.2f}"
        line(f"{of}poll, nothing changed / floor", times, target, met=ratio <= 1.5)
        done = f"{one.requests:g} requests, {one.needless_writes} writes"
        met = one.requests == requests and not one.needless_writes
        line(f"{of}what it did", done, f"{requests} and 0", met=met)
        times = f"{one.reworded * 1e3:.2f} ms = {one.reworded / one.floor:.2f}"
        line(f"{of}poll, same list in other bytes / floor", times)
        line(f"{of}poll, 1 % changed", f"{one.changed * 1e3:.2f} ms")
        changes = f"{one.changes}, {'exactly' if one.exact else 'NOT EXACTLY'}"
        line(f"{of}states written", changes, "exactly", met=one.exact)
    for kind in ("unchanged", "reworded", "changed"):
        growth = getattr(polls[1000], kind) / getattr(polls[100], kind) / 10
        of = f"{name}: poll, {kind}, per instance, 1000 / 100 instances"
        line(of, f"{growth:.2f}", "at most 1", met=growth <= 1)


def print_setups(setups: dict[str, dict[int, Setup]]) -> None:
    """Print what setting up costs, per entity against core's integration."""
    for name, sizes in setups.items():
        target = "" if name == PEER else "below 1"
        for size, one in sizes.items():
            peer = setups[PEER][size]
            for per, kind in KINDS.items():
                own, peers = (each.seconds / getattr(each, per) for each in (one, peer))
                times = f"{own * 1e6:.0f} / {peers * 1e6:.0f} µs = {own / peers:.2f}"
                of = f"{name}, {size} instances: setup per {kind} / {PEER}"
                line(of, times, target, met=own < peers)
        growth = sizes[1000].seconds / sizes[100].seconds / 10
        of = f"{name}: setup per instance, 1000 / 100 instances"
        line(of, f"{growth:.2f}", target.replace("below", "at most"), met=growth <= 1)


def print_memory(size: int, setups: dict[str, Setup]) -> None:
    """Print what instances take, against core's integration."""
    peer = setups[PEER]
    for name, one in setups.items():
        of = f"{name}, {one.entity // size} entities an instance: memory"
        target = "" if name == PEER else "below 1"
        for per, number, peers in (
            ("instance", size, size),
            ("entity", one.entity, peer.entity),
        ):
            ratio = one.memory / number / (peer.memory / peers)
            value = f"{one.memory / number / 1024:.1f} KiB = {ratio:.2f}"
            line(f"{of} per {per} / {PEER}", value, target, met=ratio < 1)
        own = one.own_memory / size / 1024
        line(f"{of} per instance, by its own lines", f"{own:.1f} KiB")


def print_linking(name: str, linking: Linking) -> None:
    """Print how soon a scan is seen, and how old the codes are that are shown."""
    for what, times in (
        ("state connected", linking.connected),
        ("finished dialog", linking.finished),
    ):
        of = f"{name}: scan to {what}, median and worst of {len(times)}"
        value = f"{median(times):.2f} s, {max(times):.2f} s"
        line(of, value, "below 3 s", met=max(times) < 3)
    for what, screens in (
        ("dialog that starts a round", linking.dialog),
        ("dialog in a running round", linking.joined),
        ("picture on a dashboard", linking.picture),
    ):
        late, rounds = worst(screen.late for screen in screens), len(screens)
        of = f"{name}: {what}: expired code on screen, {rounds} rounds"
        line(of, f"{late:.2f} s at worst", "never", met=not late)
        soon = worst(screen.rotated for screen in screens)
        line(f"{name}: {what}: next code shown after", f"{soon:.2f} s at worst")


def print_messages(name: str, messages: Messages) -> None:
    """Print how soon messages start automations, and what sending costs."""
    if started := messages.started:
        of = f"{name}: message to automation, median and worst of {len(started)}"
        value = f"{median(started) * 1e3:.0f} ms, {max(started) * 1e3:.0f} ms"
        line(of, value, "below 150", met=median(started) < 0.15)
        of = f"{name}: burst of 1,000 messages"
        value = f"{messages.lost} lost, {messages.repeated} twice"
        line(of, value, "0 and 0", met=not messages.lost and not messages.repeated)
        value = f"{messages.blocked * 1e3:.0f} ms"
        met = messages.blocked < 0.05
        line(f"{of}: event loop blocked at most", value, "below 50 ms", met=met)
    own, bare = median(messages.sent), median(messages.bare)
    value = f"{own * 1e3:.1f} - {bare * 1e3:.1f} ms = {(own - bare) * 1e3:.1f} ms"
    of = f"{name}: send by action - bare request, median of {len(messages.sent)}"
    line(of, value, "below 10 ms", met=own - bare < 0.01)


def worst(times: Iterable[list[float]]) -> float:
    """Return the longest of all."""
    return max(max(some) for some in times)


def print_push(name: str, push: Push) -> None:
    """Print how soon changes are seen that are reported, beside polling.

    The time that the gateway itself takes to link a phone doesn't count.
    """
    for what, reported, polled, limit in (
        ("event to state", push.reported, push.polled, 0.15),
        (
            f"scan to finished dialog, less {LINK:g} s",
            push.reported_scans,
            push.polled_scans,
            0.7,
        ),
    ):
        middle = median(reported)
        value = f"{middle:.3f} s, {max(reported):.2f} s"
        of = f"{name}: {what}, {len(reported)}"
        line(f"{of} reported", value, f"below {limit:g} s", met=middle < limit)
        value = f"{median(polled):.2f} s, {max(polled):.2f} s"
        line(f"{of} polled", value)


def print_idle(key: str, requests: dict[bool, int]) -> None:
    """Print what push saves; where calls may get lost, polls go on as before."""
    ratio = requests[True] / requests[False]
    target = "at most 0.2" if GATEWAYS[key].has("events") else "at most 1"
    of = f"{PROVIDERS[key].name}: requests in an idle hour, with / without push"
    value = f"{requests[True]} / {requests[False]} = {ratio:.2f}"
    line(of, value, target, met=ratio <= float(target.rpartition(" ")[2]))


def print_flood(name: str, flood: Flood) -> None:
    """Print what 10,000 events cost."""
    own = flood.loop - flood.baseline
    value = f"{own:.2f} s"
    if flood.baseline:
        value = f"{flood.loop:.2f} - {flood.baseline:.2f} = {own:.2f} s"
    of = f"{name}: flood of {FLOOD} events"
    line(f"{of}, event loop (less core's webhooks)", value, "below 2 s", met=own < 2)
    value = f"{flood.polls} in {flood.seconds:.1f} s"
    # the first one is at once, the last one at most a second after the last event
    met = flood.polls <= flood.seconds + 2
    line(f"{of}, refreshes", value, "1 per s", met=met)


async def polls() -> None:
    """Measure polls."""
    for key in PROVIDERS:
        sizes = {
            size: await measure_polls(await gateway_account(key, size))
            for size in SIZES
        }
        print_polls(key, sizes)


async def setups() -> None:
    """Measure setups."""
    by_name: dict[str, dict[int, Setup]] = {}
    for size in SIZES:
        accounts = [uptimerobot_account(size)]
        accounts += [await gateway_account(key, size) for key in PROVIDERS]
        measured = await measure_setups(accounts)
        for account, setup in zip(accounts, measured, strict=True):
            by_name.setdefault(account.name, {})[size] = setup
    print_setups(by_name)
    print_memory(size, dict(zip(by_name, await measure_memory(accounts), strict=True)))


async def linking() -> None:
    """Measure dialogs and pictures."""
    for key, provider in PROVIDERS.items():
        print_linking(provider.name, await measure_linking(key))


async def messages() -> None:
    """Measure receiving and sending."""
    for key, provider in PROVIDERS.items():
        print_messages(provider.name, await measure_messages(key))


async def push() -> None:
    """Measure push, beside polling."""
    keys = [key for key in PROVIDERS if has_push(key)]
    for key, one in (await measure_push(keys)).items():
        print_push(PROVIDERS[key].name, one)
    for key in keys:
        print_flood(PROVIDERS[key].name, await measure_flood(key))


def idle() -> None:
    """Count what push saves, in simulated time."""
    for key in filter(has_push, PROVIDERS):
        print_idle(key, measure_idle(key))


PARTS = {
    "polls": polls,
    "setups": setups,
    "linking": linking,
    "push": push,
    "messages": messages,
}


def main() -> None:
    """Measure everything, or the parts that are named."""
    chosen = sys.argv[1:] or PARTS
    print(machine())
    for name in chosen:
        asyncio.run(PARTS[name]())
    if "push" in chosen:
        idle()


logging.disable()
main()
