"""What is there: tasks, listeners, timers, registry entries, objects."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
import gc
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.storage import Store
from homeassistant.util.async_ import get_scheduled_timer_handles

from custom_components import whatsapp_gateway

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


PACKAGE = whatsapp_gateway.__name__
SERVER = "RequestHandler."
"""Timers of aiohttp's server: of the gateway, and of Home Assistant's web server.

Whether one is left depends on how long ago a connection had its last request.
"""
IDLE = "_weakref_handle"
"""Timer of aiohttp's client that closes idle connections."""


def blocks() -> int:
    """Return how many blocks of memory the whole process has."""
    # a mock, which remembers every write
    Store._async_write_data.reset_mock()  # type: ignore[attr-defined]
    gc.collect()
    gc.collect()
    return sys.getallocatedblocks()


def has_idle_connections(hass: HomeAssistant) -> bool:
    """Return whether a client keeps a connection open that it does not use."""
    return any(
        _timer(timer) == IDLE and not timer.cancelled()
        for timer in get_scheduled_timer_handles(hass.loop)
    )


def take_inventory(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Any]:
    """Return all that has to end where it began."""
    account = entry.entry_id
    managers: tuple[Any, ...] = (
        hass.config_entries.flow,
        hass.config_entries.options,
        repairs_flow_manager(hass),
    )
    return {
        "tasks": Counter(map(_task, asyncio.all_tasks())),
        "timers": Counter(
            name
            for timer in get_scheduled_timer_handles(hass.loop)
            if not timer.cancelled() and not (name := _timer(timer)).startswith(SERVER)
        ),
        "bus": hass.bus.async_listeners(),
        "listeners": len(entry.runtime_data.coordinator._listeners),
        "being_linked": entry.runtime_data.problems.being_linked.total(),
        "services": {
            key: set(one) for key, one in hass.services.async_services().items()
        },
        "flows": [flow for manager in managers for flow in manager.async_progress()],
        "entries": [
            (one.entry_id, one.state) for one in hass.config_entries.async_entries()
        ],
        "devices": {
            tuple(one.identifiers): one.name
            for one in dr.async_entries_for_config_entry(dr.async_get(hass), account)
        },
        "entities": {
            one.unique_id: (one.domain, one.disabled_by)
            for one in er.async_entries_for_config_entry(er.async_get(hass), account)
        },
        "issues": set(ir.async_get(hass).issues),
        "states": Counter(one.domain for one in hass.states.async_all()),
        "objects": _objects(),
    }


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it was."""
    return {
        key: (before[key], after[key])
        if not isinstance(before[key], Counter)
        else (before[key] - after[key], after[key] - before[key])
        for key in before
        if before[key] != after[key]
    }


def _objects() -> Counter[str]:
    """Count the objects of our types, and our functions, of which some are closures."""
    gc.collect()
    every = gc.get_objects()
    ours = [one for one in every if _module(type(one)).startswith(PACKAGE)]
    functions = [one for one in every if isinstance(one, FunctionType)]
    return Counter(type(one).__qualname__ for one in ours) + Counter(
        one.__qualname__ for one in functions if _module(one).startswith(PACKAGE)
    )


def _module(one: Any) -> str:
    # some types have a descriptor there
    return str(one.__module__)


def _task(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    return str(coroutine.__qualname__)


def _timer(timer: asyncio.TimerHandle) -> str:
    call: Any = timer._callback  # type: ignore[attr-defined]
    while isinstance(call, partial):
        call = call.func
    return str(getattr(call, "__qualname__", type(call).__qualname__))
