"""An instance that moves from one of our accounts to another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.coordinator import SECOND_LOOK

from .gateways.machine import State
from .harness.helpers import device_names, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .gateways import Gateway


@pytest.fixture
async def other(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> MockConfigEntry:
    """Return a second account at the same gateway; both are set up."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED, owner="somebody else")
    other = MockConfigEntry(
        domain=DOMAIN, data={**entry.data, "api_key": f"{gateway.key}_other"}
    )
    other.add_to_hass(hass)
    # sets up both
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert device_names(hass, entry) == {"Home"}
    assert device_names(hass, other) == {"Shop"}
    return other


def move(gateway: Gateway, owner: str) -> None:
    """Let the instance `Home` belong to another account at the gateway."""
    for session in gateway.sessions.values():
        if session.name == "Home":
            session.owner = owner


def owners(hass: HomeAssistant) -> set[str | None]:
    """Return the IDs of the accounts that the entities of `Home` belong to."""
    registry = er.async_get(hass)
    return {
        one.config_entry_id
        for one in registry.entities.values()
        if one.entity_id.partition(".")[2].startswith("home_")
    }


@pytest.mark.parametrize("new_first", [False, True])
async def test_move_and_back(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    other: MockConfigEntry,
    *,
    new_first: bool,
) -> None:
    """The device and its entities move along, whichever account is polled first."""
    for source, target, owner in (
        (entry, other, "somebody else"),
        (other, entry, "me"),
        (entry, other, "somebody else"),
    ):
        move(gateway, owner)
        for one in (target, source) if new_first else (source, target):
            await one.runtime_data.async_refresh()
            await hass.async_block_till_done()
            # until the second list that lacks it
            assert state_of(hass, "sensor.home_status") == "connected"
        await asyncio.sleep(SECOND_LOOK)
        await source.runtime_data.async_refresh()
        await hass.async_block_till_done()
        assert "Home" in device_names(hass, target)
        assert "Home" not in device_names(hass, source)
        assert owners(hass) == {target.entry_id}
        assert state_of(hass, "sensor.home_status") == "connected"
        assert state_of(hass, "binary_sensor.home_connection") == "on"

    # and it is the new account's entity that is updated
    for session in gateway.sessions.values():
        session.state = State.STOPPED
    await other.runtime_data.async_refresh()
    assert state_of(hass, "sensor.home_status") in {"disconnected", "starting"}


async def test_move_while_one_is_unloaded(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    other: MockConfigEntry,
) -> None:
    """The new account keeps the device when the old one is loaded again."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    move(gateway, "somebody else")
    await other.runtime_data.async_refresh()
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert owners(hass) == {other.entry_id}
    assert state_of(hass, "sensor.home_status") == "connected"
    await hass.config_entries.async_remove(entry.entry_id)
    assert state_of(hass, "sensor.home_status") == "connected"
    assert device_names(hass, other) == {"Home", "Shop"}


async def test_old_account_removed(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    other: MockConfigEntry,
) -> None:
    """The instance appears in the new account after the old one was removed."""
    move(gateway, "somebody else")
    await other.runtime_data.async_refresh()
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()

    assert owners(hass) == {other.entry_id}
    assert state_of(hass, "sensor.home_status") == "connected"
    assert device_names(hass, other) == {"Home", "Shop"}
