"""The pairing code of an earlier link is never shown again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import CONF_PAIRING_DIGESTS, DOMAIN
from tests.gateways.machine import State
from tests.harness.facts import needs
from tests.harness.helpers import POLL, raised_issues
from tests.harness.leaks import leaked

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway, VirtualPhone
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog


async def open_code(dialog: Dialog, entry: MockConfigEntry, phone: VirtualPhone) -> str:
    """Open Configure, and return the first pairing code that it shows."""
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.choose("phone")
    await dialog.give(phone_number=phone.number)
    return await dialog.pairing_code()


@pytest.fixture
async def session(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> Session:
    """Return the only instance of an account."""
    session = gateway.add("Home", scale=1.0)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return session


async def link_and_unlink(
    dialog: Dialog,
    entry: MockConfigEntry,
    phone: VirtualPhone,
    session: Session,
    clock: Clock,
) -> str:
    """Link the instance by a pairing code, let the phone unlink it, return the code."""
    code = await open_code(dialog, entry, phone)
    assert phone.enter(code) is session
    await dialog.wait_for()
    assert dialog.reason == "linked"
    phone.unlink(session.id)
    await clock.run(3 * POLL)
    # the next start takes so long that the code stays in memory for a while
    session.boot = 8.0
    return code


async def expect_new_code(
    dialog: Dialog,
    entry: MockConfigEntry,
    phone: VirtualPhone,
    session: Session,
) -> None:
    """Check that the first code that is shown links the instance."""
    code = await open_code(dialog, entry, phone)
    assert phone.enter(code) is session
    await dialog.wait_for()
    assert dialog.reason == "linked"


@needs("pairing_code")
async def test_reload(
    hass: HomeAssistant,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """A code is not shown again after the account has been reloaded."""
    await link_and_unlink(dialog, entry, phone, session, clock)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await expect_new_code(dialog, entry, phone, session)


@needs("pairing_code")
async def test_restart(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """A code is not shown again weeks later, and what is stored is no secret."""
    code = await link_and_unlink(dialog, entry, phone, session, clock)
    stored = json.loads(json.dumps(dict(entry.data)))
    assert code.replace("-", "") not in str(stored)
    assert leaked(str(stored).replace(gateway.key, "")) == []
    await hass.config_entries.async_remove(entry.entry_id)
    assert raised_issues(hass) == []

    await clock.run(600)
    again = MockConfigEntry(domain=DOMAIN, title=entry.title, data=stored)
    again.add_to_hass(hass)
    assert await hass.config_entries.async_setup(again.entry_id)
    await expect_new_code(dialog, again, phone, session)


@needs("pairing_code")
async def test_odd_list_after_a_reload(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """One list that lacks the instance doesn't make a used code a new one."""
    await link_and_unlink(dialog, entry, phone, session, clock)
    assert await hass.config_entries.async_unload(entry.entry_id)
    gateway.sessions = {}
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.sessions = {session.id: session}
    await clock.run(POLL)
    await expect_new_code(dialog, entry, phone, session)


@needs("pairing_code")
async def test_reload_while_it_is_shown(
    hass: HomeAssistant,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """A code that nobody entered is not shown again either."""
    await open_code(dialog, entry, phone)
    dialog.close()
    session.boot = 8.0
    assert await hass.config_entries.async_reload(entry.entry_id)
    await expect_new_code(dialog, entry, phone, session)


@needs("pairing_code")
@pytest.mark.parametrize("reload", [False, True])
async def test_changed_while_nobody_looks(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
    *,
    reload: bool,
) -> None:
    """Neither is a later code of the round, which nobody has seen."""
    await open_code(dialog, entry, phone)
    dialog.close()
    await clock.run(gateway.code_lives[0] * 1.5)
    if reload:
        assert await hass.config_entries.async_reload(entry.entry_id)
    await expect_new_code(dialog, entry, phone, session)


@needs("many_pairing_codes")
async def test_round_over(
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """Neither is the last code of a round, which nobody has seen."""
    vars(session)["modern"] = True
    await open_code(dialog, entry, phone)
    dialog.close()
    await clock.run(600)
    assert session.state is State.FAILED
    await expect_new_code(dialog, entry, phone, session)


@needs("many_pairing_codes")
async def test_deleted(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    session: Session,
    clock: Clock,
) -> None:
    """Nothing is kept of an instance that is deleted."""
    await link_and_unlink(dialog, entry, phone, session, clock)
    assert entry.data[CONF_PAIRING_DIGESTS].keys() == {session.id}
    del gateway.sessions[session.id]
    await clock.run(3 * POLL)
    assert entry.data[CONF_PAIRING_DIGESTS] == {}
