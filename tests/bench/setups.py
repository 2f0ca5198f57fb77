"""What it costs to set an account up, in time and in memory."""

from __future__ import annotations

from dataclasses import dataclass
import gc
from time import process_time
import tracemalloc
from typing import TYPE_CHECKING

from homeassistant.helpers import entity_registry as er

from .home import home_assistant
from .replay import replaying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .accounts import Account

ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Seconds of the processor without the garbage collection, bytes, entities."""

    seconds: float
    entity: int
    """All that are registered."""
    enabled: int
    memory: int = 0
    own_memory: int = 0
    """What the integration's own lines and its library's have allocated of it."""


async def measure_setups(accounts: list[Account]) -> list[Setup]:
    """Set each up several times, in turn; return the best time of each."""
    rounds = [[await _set_up(one) for one in accounts] for _ in range(ROUNDS)]
    return [_best(setups) for setups in zip(*rounds, strict=True)]


async def measure_memory(accounts: list[Account]) -> list[Setup]:
    """Set each up once more, after its modules are loaded."""
    return [await _set_up(one, trace=True) for one in accounts]


def _best(setups: Iterable[Setup]) -> Setup:
    return min(setups, key=lambda setup: setup.seconds)


async def _set_up(account: Account, *, trace: bool = False) -> Setup:
    async with replaying() as url, home_assistant() as hass:
        entry = await account.add(hass, url)
        gc.collect()
        # as timeit does
        gc.disable()
        if trace:
            tracemalloc.start()
        start = process_time()
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        seconds = process_time() - start
        gc.enable()
        memory = own_memory = 0
        if trace:
            gc.collect()
            memory, _ = tracemalloc.get_traced_memory()
            own = tracemalloc.Filter(
                inclusive=True, filename_pattern=f"*{account.domain}*"
            )
            snapshot = tracemalloc.take_snapshot().filter_traces([own])
            own_memory = sum(one.size for one in snapshot.statistics("filename"))
            tracemalloc.stop()
        registry = er.async_get(hass)
        entities = er.async_entries_for_config_entry(registry, entry.entry_id)
        await hass.config_entries.async_unload(entry.entry_id)
    return Setup(
        seconds=seconds,
        entity=len(entities),
        enabled=sum(one.disabled_by is None for one in entities),
        memory=memory,
        own_memory=own_memory,
    )
