"""Measure, and print a table: `python -m tests.bench`."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
import platform
import re
from statistics import median
from typing import TYPE_CHECKING

from homeassistant.const import __version__

from custom_components.whatsapp_gateway.providers import PROVIDERS

from .accounts import gateway_account, uptimerobot_account
from .linking import measure_linking
from .polls import measure_polls
from .setups import measure_memory, measure_setups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .linking import Linking
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


def print_polls(name: str, polls: dict[int, Polls]) -> None:
    """Print what polls cost."""
    for size, one in polls.items():
        of = f"{name}, {size} instances: "
        ratio = one.unchanged / one.floor
        target = "at most 1.5" if size == max(SIZES) else ""
        times = f"{one.unchanged * 1e3:.2f} / {one.floor * 1e3:.2f} ms = {ratio:.2f}"
        line(f"{of}poll, nothing changed / floor", times, target, met=ratio <= 1.5)
        done = f"{one.requests:g} request, {one.needless_writes} writes"
        met = one.requests == 1 and not one.needless_writes
        line(f"{of}what it did", done, "1 and 0", met=met)
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


def worst(times: Iterable[list[float]]) -> float:
    """Return the longest of all."""
    return max(max(some) for some in times)


async def main() -> None:
    """Measure everything."""
    print(machine())
    for key, provider in PROVIDERS.items():
        polls = {
            size: await measure_polls(await gateway_account(key, size))
            for size in SIZES
        }
        print_polls(provider.name, polls)
    setups: dict[str, dict[int, Setup]] = {}
    for size in SIZES:
        accounts = [uptimerobot_account(size)]
        accounts += [await gateway_account(key, size) for key in PROVIDERS]
        measured = await measure_setups(accounts)
        for account, setup in zip(accounts, measured, strict=True):
            setups.setdefault(account.name, {})[size] = setup
    print_setups(setups)
    print_memory(size, dict(zip(setups, await measure_memory(accounts), strict=True)))
    for key, provider in PROVIDERS.items():
        print_linking(provider.name, await measure_linking(key))


logging.disable()
asyncio.run(main())
