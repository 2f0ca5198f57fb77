"""What a poll costs, against a bare request and the reading of its JSON."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .home import home_assistant
from .replay import replaying

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import Event, HomeAssistant

    from .accounts import Account

ROUNDS = 100
WARM_UP = 10
SETTLED = 1.0
"""Seconds after which nothing is on its way in the background."""


@dataclass(frozen=True, kw_only=True)
class Polls:
    """Medians in seconds, and what the polls did."""

    floor: float
    unchanged: float
    requests: float
    """For a poll in which nothing changed."""
    needless_writes: int
    reworded: float
    """Of a poll that brings the same list in other bytes."""
    changed: float
    """Of a poll in which 1 % changed, after one in which nothing did."""
    changes: int
    """States that differ after a poll in which 1 % of the instances changed."""
    exact: bool
    """Whether just these were written, each once."""


async def measure_polls(account: Account) -> Polls:
    """Poll again and again, each time beside the bare request."""
    async with replaying() as url, home_assistant() as hass:
        entry = await account.add(hass, url)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        poll = entry.runtime_data.async_refresh
        session = async_get_clientsession(hass)

        async def ask() -> None:
            async with session.get(
                url + account.path, headers=account.headers
            ) as response:
                orjson.loads(await response.read())

        # what is only asked once, and in the background, doesn't count
        await poll()
        await asyncio.sleep(SETTLED)
        await account.answer(hass, url, account.body)
        written = _written(hass)
        floor, unchanged = await _medians(ask, poll)
        await asyncio.sleep(SETTLED)
        asked = await account.answer(hass, url, account.body)
        needless_writes = written.total()

        before = _states(hass)
        await account.answer(hass, url, account.changed)
        written.clear()
        await poll()
        after = _states(hass)
        changes = {key: 1 for key, state in after.items() if before[key] != state}
        exact = written == changes

        bodies = [account.body, account.body + b" "]

        async def change() -> None:
            bodies.reverse()
            await account.answer(hass, url, bodies[0])

        _, reworded = await _medians(change, poll)
        bodies = [account.body, account.changed]
        _, changed, _ = await _medians(change, poll, poll)
        await hass.config_entries.async_unload(entry.entry_id)
    return Polls(
        floor=floor,
        unchanged=unchanged,
        requests=asked / ROUNDS - 1,
        needless_writes=needless_writes,
        reworded=reworded,
        changed=changed,
        changes=len(changes),
        exact=exact,
    )


async def _medians(*tasks: Callable[[], Awaitable[None]]) -> list[float]:
    """Return how long each takes, done in turn."""
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(ROUNDS):
        for task, taken in zip(tasks, times, strict=True):
            start = perf_counter()
            await task()
            taken.append(perf_counter() - start)
    return [median(taken[WARM_UP:]) for taken in times]


def _written(hass: HomeAssistant) -> Counter[str]:
    """Count how often each state is written from now on."""
    written: Counter[str] = Counter()

    @callback
    def count(event: Event[Any]) -> None:
        written[event.data["entity_id"]] += 1

    for kind in (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED):
        hass.bus.async_listen(kind, count, event_filter=callback(lambda _: True))
    return written


def _states(hass: HomeAssistant) -> dict[str, str]:
    return {state.entity_id: state.state for state in hass.states.async_all()}
