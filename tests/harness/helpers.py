"""Small helpers: wait, press a button, read a state, find devices and repairs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.coordinator import SECOND_LOOK_SECONDS
from tests.gateways.machine import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.test_utils import TestClient

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.gateways.machine import Session

    from .clock import Clock

PUBLIC = "https://home.example.com"
"""Address of Home Assistant on the internet."""
POLL = 31.0
"""Seconds in which at least one poll happens."""
SECOND_LIST = 6.0
"""Seconds in which a list that lacks an instance is followed by another one."""
STATUSES = {
    State.NEW: "created",
    State.BOOTING: "starting",
    State.WAITING: "scan_qr",
    State.CONNECTED: "connected",
    State.STOPPED: "disconnected",
    State.FAILED: "failed",
}
"""State of the status sensor for each state of a simulated session."""
PROBLEMS = {
    State.NEW: "is disconnected",
    State.STOPPED: "is disconnected",
    State.WAITING: "isn't linked",
    State.FAILED: "isn't working",
}
"""What the title of an issue says for each state of a linked instance."""
BUTTONS = {
    "connect": "button.home_connect",
    "disconnect": "button.home_disconnect",
    "restart": "button.home_restart",
    "logout": "button.home_unlink_phone",
}
"""Button of each action, for the instance `Home`."""


async def until[T](ready: Callable[[], T], within: float = 300.0) -> T:
    """Wait until something is true, and return it; `within` is in seconds."""
    deadline = time.monotonic() + within
    while not (result := ready()):
        assert time.monotonic() < deadline, "It did not happen in time"
        await asyncio.sleep(0.1)
    return result


async def pass_polls(clock: Clock, polls: int) -> None:
    """Let a number of polls happen."""
    for _ in range(polls):
        await clock.run(POLL)


async def poll_twice(entry: MockConfigEntry) -> None:
    """Read two lists in a row, because one that lacks an instance proves nothing."""
    await entry.runtime_data.coordinator.async_refresh()
    await asyncio.sleep(SECOND_LOOK_SECONDS)
    await entry.runtime_data.coordinator.async_refresh()


def status_of(gateway: Gateway, state: State) -> str:
    """Return the status that is shown of an instance to which no phone is linked."""
    return STATUSES[gateway.looks_like(state)]


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that exists."""
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state


async def press(hass: HomeAssistant, button: str) -> None:
    """Press a button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": button}, blocking=True
    )


def device_names(hass: HomeAssistant, entry: MockConfigEntry) -> set[str | None]:
    """Return the names of an account's devices."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return {device.name for device in devices}


def raised_issues(hass: HomeAssistant) -> list[ir.IssueEntry]:
    """Return the active issues of the integration."""
    return [
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.active
    ]


def raised_problems(hass: HomeAssistant) -> list[str]:
    """Return what the titles of the raised issues say is wrong."""
    return [
        issue.translation_placeholders["problem"]
        for issue in raised_issues(hass)
        if issue.translation_placeholders
    ]


def remember_linked(
    hass: HomeAssistant, entry: MockConfigEntry, *sessions: Session
) -> None:
    """Let an account remember that these instances were linked before a restart."""
    data = {**entry.data, "linked": sorted(session.id for session in sessions)}
    hass.config_entries.async_update_entry(entry, data=data)


async def enable_entities(
    hass: HomeAssistant, entry: MockConfigEntry, clock: Clock
) -> None:
    """Set an account up, and enable all its entities."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    registry = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(entity.entity_id, disabled_by=None)
    # Home Assistant reloads the account by itself
    await clock.run(POLL)


async def fetch_picture(hass_client: ClientSessionGenerator) -> tuple[int, bytes]:
    """Fetch the QR code picture of the instance `Home`, as a browser does."""
    client: TestClient[Any, Any] = await hass_client()
    response = await client.get("/api/image_proxy/image.home_qr_code")
    return response.status, await response.read()


async def make_reachable(
    hass: HomeAssistant, gateway: Gateway, hass_client: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Let a gateway reach Home Assistant, in the local network and at `PUBLIC`."""
    client: TestClient[Any, Any] = await hass_client()
    real = str(client.make_url("")).rstrip("/")
    gateway.webhooks.proxies[PUBLIC] = real
    hass.config.internal_url, hass.config.external_url = real, PUBLIC
    return client
