"""Nothing that is secret or personal gets to where it should not be.

Every test is searched at its end, see `conftest.py`. Here is the search itself, and an
account's whole life with a database behind it.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.components.recorder import db_schema, get_instance
from homeassistant.components.recorder.util import session_scope
from homeassistant.const import STATE_UNKNOWN
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.whatsapp_gateway import problems as issues
from custom_components.whatsapp_gateway.const import DOMAIN

from .gateways.machine import PHONE_NUMBER, State, new_code_text
from .gateways.picture import data_uri
from .harness.helpers import POLL, fetch_picture, press, state_of, until
from .harness.leaks import NUMBER_SENSOR, Listener, leaked, told

if TYPE_CHECKING:
    from homeassistant.components.recorder import Recorder
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock
    from .harness.dialog import Dialog


@pytest.fixture
def _quiet_database(caplog: pytest.LogCaptureFixture) -> None:
    """Let the database, which is searched itself, not say what it writes."""
    for name in ("sqlalchemy.engine", "homeassistant.components.recorder"):
        caplog.set_level(logging.WARNING, logger=name)


@pytest.fixture(autouse=True)
def _integration(
    _quiet_database: None,
    recorder_mock: Recorder,
    enable_custom_integrations: None,
    socket_enabled: None,
) -> None:
    """Have a database before all else."""


async def test_search(
    hass: HomeAssistant, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """The search finds each kind of secret, in a log as well as in a state."""
    # what is planted would be found at the end as well
    caplog.set_level(logging.WARNING, logger="homeassistant")
    code = new_code_text()
    for secret in (gateway.key, code, data_uri(code), PHONE_NUMBER):
        listener = Listener()
        record = {"name": "any", "msg": "Say %s", "args": (secret,)}
        listener.handle(logging.makeLogRecord(record))
        assert listener.heard == [f"Say {secret}"]
        hass.states.async_set("sensor.leaky", "on", {"said": secret})
        assert told(hass)
        hass.states.async_remove("sensor.leaky")
        assert not told(hass)


def rows(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return all that is in the database, each state with its entity."""
    tables = db_schema.Base.metadata.tables
    with session_scope(hass=hass, read_only=True) as session:
        entities: dict[Any, Any] = dict(
            session.query(
                db_schema.StatesMeta.metadata_id, db_schema.StatesMeta.entity_id
            )
            .tuples()
            .all()
        )
        return [
            {**row, "of": entities.get(row.get("metadata_id"))}
            for table in tables.values()
            for row in session.execute(table.select()).mappings()
        ]


async def live(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Let an account be added, linked, looked at, unlinked, repaired and refused."""
    gateway.events.on = gateway.has("events")
    one = gateway.add("Home", State.STOPPED)
    await dialog.sign_in(gateway, api_key="wrong")
    await dialog.give(url=gateway.url, api_key=gateway.key)
    await dialog.choose("link")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    await hass.async_block_till_done()
    [entry] = hass.config_entries.async_entries(DOMAIN)
    registry = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(entity.entity_id, disabled_by=None)
    await hass.config_entries.async_reload(entry.entry_id)
    number = "sensor.home_phone_number"
    await until(lambda: state_of(hass, number) not in {STATE_UNKNOWN, "unavailable"})
    assert state_of(hass, number) == f"+{PHONE_NUMBER}"

    one.unlink()
    one.state = State.WAITING
    await entry.runtime_data.coordinator.async_refresh()
    assert (await fetch_picture(hass_client))[0] == 200
    # Home Assistant reloads the account, whose entities were enabled, meanwhile
    await clock.run(issues.REPAIR_DELAY + 2 * POLL)
    [issue] = ir.async_get(hass).issues.values()
    await dialog.open_fix(issue)
    assert await dialog.code()
    assert one.code
    said = f"{gateway.key} {one.code.text} {data_uri('2@')} {PHONE_NUMBER}"
    for route in (gateway.actions["connect"], gateway.qr_route):
        gateway.fail(route, status=403, code="no", message=said)
    one.state = State.STOPPED
    # a gateway's connection may have to be lost for a while
    await clock.run(2 * POLL)
    with pytest.raises(HomeAssistantError) as raised:
        await press(hass, "button.home_connect")
    assert leaked(f"{raised.value} {raised.value!r} {raised.value.__cause__!r}") == []
    await break_events(hass, gateway, entry, clock, said)
    gateway.fail("list", status=401, code="no", message=said)
    await entry.runtime_data.coordinator.async_refresh()
    told_here = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert leaked(json.dumps(told_here)) == []
    for flow in hass.config_entries.flow.async_progress():
        assert leaked(str(flow)) == []
        hass.config_entries.flow.async_abort(flow["flow_id"])


async def break_events(
    hass: HomeAssistant, gateway: Gateway, entry: ConfigEntry, clock: Clock, said: str
) -> None:
    """Let all happen to a connection, whose address may hold the API key."""
    faults: list[dict[str, Any]] = [
        {"drop": True},
        {"slow": True},
        {"html": True},
        {"redirect": "/elsewhere"},
        *({"status": status, "message": said} for status in (401, 403, 429, 500, 501)),
    ]
    for fault in faults:
        gateway.fail("events", code="no", **fault)
        gateway.hang_up()
        await hass.config_entries.async_reload(entry.entry_id)
        await clock.run(POLL)
    gateway.faults.pop("events")


async def test_life(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """A life leaves no secret in the database, and a number only in its sensor."""
    assert await async_setup_component(hass, "diagnostics", {})
    await live(hass, gateway, phone, dialog, hass_client, clock)
    await async_wait_recording_done(hass)

    recorded = await get_instance(hass).async_add_executor_job(rows, hass)

    of_sensor = [row for row in recorded if NUMBER_SENSOR in str(row["of"])]
    assert PHONE_NUMBER in str(of_sensor)
    others = [row for row in recorded if row not in of_sensor]
    assert "sensor.home_status" in str(others)
    assert [row for row in others if leaked(str(row))] == []
