"""What polls cost, against bare requests, and how long they block the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
import gc
from statistics import median
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

import orjson

from homeassistant.helpers.aiohttp_client import async_get_clientsession

from tests.gateways.machine import State

from .home import add_account, home_assistant, patient, poll_of, set_up

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway

    from .replay import Replay

    type Task = Callable[[], Awaitable[None]]

BARE = "bare requests"
"""The requests of a poll, and reading their JSON, by aiohttp and orjson alone."""
UNCHANGED = "unchanged poll"
ROUNDS = 50
AT_ONCE = 50
"""Number of instances that some gateways are asked for one by one at each poll."""
TICK = 0.001
"""Seconds between two looks at what the event loop has done."""
SETTLED = 0.5
"""Seconds without a request after which nothing is done in the background."""


@dataclass(frozen=True)
class Cost:
    """What something takes, in seconds."""

    seconds: float
    blocked: float
    """Time of the processor for which the event loop does not come round, at most."""


async def measure_polls(
    server: Replay, kind: type[Gateway], size: int
) -> dict[str, Cost]:
    """Set up an account with so many instances, and poll it again and again."""
    gateway = patient(kind)
    for number in range(size):
        gateway.add(f"Number {number}", State.CONNECTED, seen=1777638896.0)
    async with gateway.running():
        async with home_assistant() as hass:
            # asks for everything once, and loads all modules
            await _set_up(hass, gateway, server)
        async with home_assistant() as hass:
            return await _measure(hass, gateway, server)


async def _set_up(
    hass: HomeAssistant, gateway: Gateway, server: Replay
) -> tuple[Task, Cost]:
    """Return what polls the account, and what it cost to set it up."""
    await server.choose(gateway.url, "before")
    entry = add_account(hass, gateway, server.url)
    cost = await _cost(partial(set_up, hass, entry))
    while True:
        await asyncio.sleep(SETTLED)
        if not await server.choose(gateway.url, "before"):
            break
    poll = poll_of(entry)
    await _poll_all(poll, gateway)
    return poll, cost


async def _measure(
    hass: HomeAssistant, gateway: Gateway, server: Replay
) -> dict[str, Cost]:
    poll, setup = await _set_up(hass, gateway, server)
    choose = partial(server.choose, gateway.url)
    await choose("before")
    await poll()
    paths = await choose("before")
    session, headers = async_get_clientsession(hass), gateway.headers()

    async def ask() -> None:
        for path in paths:
            async with session.get(server.url + path, headers=headers) as answer:
                orjson.loads(await answer.read())

    bare, unchanged, changed = [], [], []
    for _ in range(ROUNDS):
        bare.append(await _cost(ask))
        unchanged.append(await _cost(poll))
    next(iter(gateway.sessions.values())).state = State.STOPPED
    await choose("after")
    await _poll_all(poll, gateway)
    for number in range(ROUNDS):
        await choose("after" if number % 2 else "before")
        changed.append(await _cost(poll))
    return {
        BARE: _usual(bare),
        UNCHANGED: _usual(unchanged),
        "poll in which one changes": _usual(changed),
        "set-up": setup,
    }


async def _poll_all(poll: Task, gateway: Gateway) -> None:
    """Poll until the gateway was asked for each instance; then tidy up.

    Otherwise collections of garbage search all that was there before.
    """
    for _ in range(1 + len(gateway.sessions) // AT_ONCE):
        await poll()
    gc.collect()
    gc.freeze()


async def _cost(task: Task) -> Cost:
    """Do something, and look at the event loop meanwhile."""
    blocked = 0.0

    async def watch() -> None:
        nonlocal blocked
        while True:
            before = thread_time()
            await asyncio.sleep(TICK)
            blocked = max(blocked, thread_time() - before)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(TICK)
    began = perf_counter()
    await task()
    seconds = perf_counter() - began
    await asyncio.sleep(2 * TICK)
    watching.cancel()
    return Cost(seconds, blocked)


def _usual(costs: list[Cost]) -> Cost:
    """Return the best time, as other processes only add to it, and the usual block."""
    return Cost(
        min(cost.seconds for cost in costs), median(cost.blocked for cost in costs)
    )
