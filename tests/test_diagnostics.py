"""Diagnostics tell what helps, and no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)

from custom_components.whatsapp_gateway.const import CONF_PAIRING_DIGESTS

from .gateways.machine import State
from .harness.facts import needs
from .harness.helpers import enable_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .gateways import Gateway
    from .harness.clock import Clock

NAME, NUMBER = "Marker name", "4915199999999"


@pytest.fixture(autouse=True)
async def _diagnostics(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "diagnostics", {})


async def test_account(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """What an account is made of, with the last error by its class."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", html=True)
    await entry.runtime_data.coordinator.async_refresh()

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    [instance] = told.pop("instances")
    assert (told.pop("push") is not None) is gateway.has("events")
    messages = {"receive": "no", "queued": 0}
    messages |= {key: {} for key in ("events", "dropped", "skipped")}
    assert told.pop("messages") == messages
    assert told == {
        "provider": entry.title,
        "default_url": False,
        "key_bound_to_instance": False,
        "last_poll_succeeded": False,
        "seconds_since_poll": 0,
        "poll_interval": "0:00:30",
        "last_error": "BadResponse",
        "instance_count": 1,
        "recipient_count": 0,
        "webhook": {
            "on": False,
            "calls": 0,
            "refused_calls": 0,
            "seconds_since_call": None,
        }
        if gateway.has("webhooks")
        else None,
        "being_linked": 0,
    }
    assert instance["status"] == "connected"
    assert instance["raw_status"] == gateway.statuses[State.CONNECTED]


async def test_no_secret(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Markers in all that is secret or personal are found in no diagnostics."""
    one = gateway.add(NAME, State.CONNECTED, phone_number=NUMBER, scale=0.001)
    await enable_entities(hass, entry, clock)
    await entry.runtime_data.coordinator.async_refresh()
    assert NUMBER in str([state.as_dict() for state in hass.states.async_all()])
    waiting = gateway.add("Shop", State.WAITING, scale=0.001)
    await entry.runtime_data.coordinator.async_refresh()
    assert waiting.code
    gateway.fail("list", status=403, body=gateway.key.encode())
    await entry.runtime_data.coordinator.async_refresh()

    registry = dr.async_get(hass)
    told = [await get_diagnostics_for_config_entry(hass, hass_client, entry)]
    told += [
        await get_diagnostics_for_device(hass, hass_client, entry, device)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
    ]

    assert len(told) == 3
    assert told[1]["instance"]["status"] == "connected"
    for secret in (gateway.key, gateway.url, waiting.code.text, NAME, NUMBER, one.id):
        assert secret not in json.dumps(told)


@needs("types_in_list")
async def test_type_is_redacted(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """A type with a secret in it is neither shown nor long, and any other is shown."""
    usual = gateway.add("Home", State.CONNECTED).type
    gateway.add("Shop", State.CONNECTED, type=f"{gateway.key} +{NUMBER} {'long ' * 99}")
    assert await hass.config_entries.async_setup(entry.entry_id)
    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    types = {str(instance["type"]) for instance in told["instances"]}
    assert usual in types
    [odd] = types - {usual}
    assert gateway.key not in odd
    assert NUMBER not in odd
    assert len(odd) <= 200


async def test_stored_data(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """What is stored about used pairing codes is left out."""
    session = gateway.add("Home", State.CONNECTED)
    data = {**entry.data, CONF_PAIRING_DIGESTS: {session.id: "marker"}}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    assert entry.data[CONF_PAIRING_DIGESTS] == {session.id: "marker"}
    assert "marker" not in str(told)
