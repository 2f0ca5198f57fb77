"""What happens when things change in the middle of a request or a dialog."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from homeassistant.data_entry_flow import UnknownFlow
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN

from .gateways.machine import State
from .harness.dialog import Dialog
from .harness.facts import lacks, offers
from .harness.helpers import (
    BUTTONS,
    POLL,
    PROBLEMS,
    device_names,
    enable_entities,
    pass_polls,
    press,
    raised_issues,
    raised_problems,
    state_of,
    until,
)

if TYPE_CHECKING:
    import pytest

    from homeassistant.core import HomeAssistant

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock


async def test_linked_after_finish_without_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A number that is linked at the second attempt is watched like any other."""
    session = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.code()
    await dialog.wait_for()
    await dialog.choose("finish")
    await clock.run(100)
    second = Dialog(hass)
    await second.open_options(entry)
    await second.link()
    phone.scan(await second.code())
    await second.wait_for()
    assert second.reason == "linked"
    await pass_polls(clock, 3)

    phone.unlink(session.id)
    await pass_polls(clock, 4)
    assert raised_problems(hass) == [PROBLEMS[gateway.unlinked]]


async def test_closed_while_the_first_code_is_awaited(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A dialog that is closed before its first response asks no more."""
    gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    step = asyncio.create_task(dialog.link())
    await asyncio.sleep(0.5)
    dialog.close()
    await asyncio.gather(step, return_exceptions=True)
    await clock.run(5)
    asked = gateway.count(gateway.qr_route)

    await clock.run(60)
    assert gateway.count(gateway.qr_route) == asked
    assert not entry.runtime_data.problems.being_linked


async def test_closed_while_an_instance_is_created(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A dialog that is closed while it creates an instance does not link it."""
    gateway.add("Other", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_form(entry, "create")
    gateway.fail("create", late=5)
    step = asyncio.create_task(dialog.give(**gateway.fields("Home")))
    await asyncio.sleep(1)
    dialog.close()
    await asyncio.gather(step, return_exceptions=True)

    await clock.run(60)
    assert gateway.count(gateway.qr_route) == 0


async def test_closed_while_the_key_is_checked(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, clock: Clock
) -> None:
    """A dialog that is closed while it checks the API key adds no account."""
    gateway.add("Home", State.STOPPED)
    await dialog.open()
    await dialog.give(provider=gateway.provider)
    gateway.fail("list", late=5)
    data = {"url": gateway.url, "api_key": gateway.key}
    step = asyncio.create_task(dialog.give(**data))
    await asyncio.sleep(1)
    dialog.close()
    # Home Assistant 2025.4 no longer knows the dialog then
    with suppress(UnknownFlow):
        await step
        assert dialog.reason == "account_unavailable"

    await clock.run(10)
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_late_rejection_of_a_creation(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A late rejection of the old API key asks for no new one."""
    gateway.add("Other", State.CONNECTED)
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_form(entry, "create")
    gateway.fail("create", status=401, delay=3)
    step = asyncio.create_task(dialog.give(**gateway.fields("Home")))
    await until(lambda: gateway.count("create"))
    gateway.heal()
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "api_key": "new key"}
    )
    await hass.config_entries.async_reload(entry.entry_id)
    await step

    await clock.run(5)
    assert hass.config_entries.flow.async_progress() == []


async def test_alternating_trouble(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A number that is down in one way and then in another raises a repair."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for state in (State.STOPPED, State.FAILED, State.STOPPED, State.FAILED):
        session.state = state
        await clock.run(45)

    assert raised_issues(hass)


async def test_ignored_issue_while_it_starts(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A reload while an instance starts keeps its issue ignored."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    session.state = State.STOPPED
    await pass_polls(clock, 4)
    [issue] = raised_issues(hass)
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, ignore=True)
    session.boot = 1000
    session.state = State.BOOTING
    await pass_polls(clock, 1)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await pass_polls(clock, 1)
    session.state = State.STOPPED
    await pass_polls(clock, 4)

    [issue] = raised_issues(hass)
    assert issue.dismissed_version


async def test_helper_on_the_device(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """An entity of another integration does not keep the device of a gone instance."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    helper = MockConfigEntry(domain="template")
    helper.add_to_hass(hass)
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    er.async_get(hass).async_get_or_create(
        "sensor", "template", "helper", config_entry=helper, device_id=device.id
    )
    del gateway.sessions[session.id]
    await pass_polls(clock, 2)

    assert device_names(hass, entry) == set()


@lacks("phone_in_list")
async def test_deleted_while_its_number_is_fetched(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An instance that is deleted while its phone number is fetched breaks nothing."""
    session = gateway.add("Home", State.CONNECTED)
    session.phone_number = None
    await enable_entities(hass, entry, clock)
    session.phone_number = "5511999998888"
    gateway.fail("one", late=5)
    asked = gateway.count("one")
    await until(lambda: gateway.count("one") > asked)
    del gateway.sessions[session.id]
    await entry.runtime_data.coordinator.async_refresh()
    await clock.run(POLL)

    assert "KeyError" not in caplog.text
    assert entry.runtime_data.coordinator.last_update_success


@lacks("phone_in_list")
async def test_phone_number_after_an_outage(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """However long a phone number could not be fetched, it is shown after that."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("one", status=503)
    await enable_entities(hass, entry, clock)
    await pass_polls(clock, 8)
    gateway.heal()
    await pass_polls(clock, 2)

    assert state_of(hass, "sensor.home_phone_number") == "+5511999998888"


@offers("disconnect")
async def test_removed_while_it_disconnects(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A button whose account is removed meanwhile raises nothing."""
    gateway.add("Home", State.CONNECTED, linked=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("disconnect", late=5)
    pressed = asyncio.create_task(press(hass, BUTTONS["disconnect"]))
    await asyncio.sleep(1)
    await hass.config_entries.async_remove(entry.entry_id)

    await pressed
    assert hass.config_entries.async_entries(DOMAIN) == []
