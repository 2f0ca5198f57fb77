"""Change the API key or address of an account, also while other dialogs are open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.dialog import Dialog
from tests.harness.facts import needs
from tests.harness.helpers import (
    POLL,
    poll_twice,
    press,
    raised_issues,
    remember_linked,
    state_of,
    until,
)
from tests.harness.texts import suggested_values

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.clock import Clock


def change_key(gateway: Gateway) -> None:
    """Let the gateway accept another API key instead of the present one."""
    gateway.owners["new key"] = gateway.owners.pop(gateway.key)


async def enter_new_key(hass: HomeAssistant) -> None:
    """Answer the one dialog that asks for another API key."""
    await hass.async_block_till_done()
    reauth = Dialog(hass)
    await reauth.open_pending()
    await reauth.give(api_key="new key")
    assert reauth.reason == "reauth_successful"
    await hass.async_block_till_done()


async def test_reauth(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """A rejected API key is replaced by another one of the same account only."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    change_key(gateway)
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE

    await dialog.open_pending()
    assert dialog.step == "reauth_confirm"
    assert suggested_values(dialog.result["data_schema"]) == {"api_key": None}
    await dialog.give(api_key="wrong")
    assert dialog.errors == {"api_key": "invalid_auth"}
    gateway.fail("list", status=500, times=1)
    await dialog.give(api_key="new key")
    assert dialog.errors == {"base": "cannot_connect"}
    await dialog.give(api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(api_key=" new key ")
    assert dialog.reason == "reauth_successful"
    await hass.async_block_till_done()
    assert entry.data["api_key"] == "new key"
    assert state_of(hass, "sensor.home_status") == "connected"


@needs("bound_key")
async def test_reauth_by_account_id(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """If the gateway reports the account's ID, it counts more than the instances."""
    home = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    del gateway.sessions[home.id]
    gateway.add("Shop", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, id=home.id, owner="somebody else")
    change_key(gateway)
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()

    await dialog.open_pending()
    await dialog.give(api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(api_key="new key")
    assert dialog.reason == "reauth_successful"
    await hass.async_block_till_done()


@pytest.mark.parametrize("how", ["reauth", "reconfigure"])
async def test_empty_account(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    how: str,
) -> None:
    """An account whose last instance was deleted can have another API key."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.sessions.clear()
    change_key(gateway)
    if how == "reauth":
        await entry.runtime_data.coordinator.async_refresh()
        await hass.async_block_till_done()
        await dialog.open_pending()
        await dialog.give(api_key="new key")
    else:
        await dialog.open_reconfigure(entry)
        await dialog.give(url=gateway.url, api_key="new key")

    assert dialog.reason == f"{how}_successful"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    await poll_twice(entry)
    assert hass.states.get("sensor.home_status") is None


async def test_one_empty_list(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An empty list is read again before another account's API key is accepted."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_reconfigure(entry)
    gateway.fail("list", body=b"[]", times=1)
    await dialog.give(url=gateway.url, api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}

    gateway.fail("list", body=b"[]", times=1)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"


@needs("bound_key")
async def test_account_id_of_an_empty_account(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The known ID of an account still tells another one from it when it is empty."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    del gateway.sessions[home.id]
    await entry.runtime_data.coordinator.async_refresh()

    await dialog.open_reconfigure(entry)
    await dialog.give(url=gateway.url, api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()


async def test_reconfigure(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The address and the API key change, with all checks; the devices stay."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    before = entry.data["gateway"]

    await dialog.open_reconfigure(entry)
    assert suggested_values(dialog.result["data_schema"])["url"] == gateway.url
    await dialog.give(url="http://example.com", api_key="new key")
    insecure = "insecure_url" if gateway.has("self_hosted") else "https_required"
    assert dialog.errors == {"url": insecure}
    await dialog.give(url=gateway.url, api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(url=f"{gateway.url}/", api_key="new key")
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.data["api_key"] == "new key"
    assert entry.data["gateway"] == before
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_reconfigure_into_another_entry(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An account can't be changed into one that another entry has."""
    other = MockConfigEntry(
        domain=DOMAIN, data={**entry.data, "api_key": f"{gateway.key}_other"}
    )
    other.add_to_hass(hass)
    await dialog.open_reconfigure(other)
    await dialog.give(url=gateway.url, api_key=gateway.key)

    assert dialog.reason == "already_configured"


async def test_pause_of_a_reauth(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """While the gateway asks for a pause, the dialog sends it nothing."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    change_key(gateway)
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    await dialog.open_pending()
    gateway.fail("list", status=429, headers={"Retry-After": "20"}, times=1)
    asked = gateway.count("list")
    for _ in range(3):
        await dialog.give(api_key="new key")
        assert dialog.errors == {"base": "rate_limited"}
    assert gateway.count("list") == asked + 1

    await clock.run(21)
    await dialog.give(api_key="new key")
    assert dialog.reason == "reauth_successful"
    await hass.async_block_till_done()


async def test_pause_of_a_loaded_account(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A pause that the polls of an account were asked for holds for its dialogs."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("list", status=429, headers={"Retry-After": "60"}, times=1)
    await entry.runtime_data.coordinator.async_refresh()
    asked = gateway.count("list")
    await dialog.open_reconfigure(entry)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.errors == {"base": "rate_limited"}
    assert gateway.count("list") == asked

    # the dialog outlives the account's client
    assert await hass.config_entries.async_reload(entry.entry_id)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()


@pytest.mark.parametrize("how", ["reconfigure", "reload", "remove"])
@pytest.mark.parametrize("what", ["poll", "button", "dialog", "picture"])
async def test_late_rejection_of_the_old_key(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    what: str,
    how: str,
) -> None:
    """A rejection counts only for the API key that the account has now."""
    gateway.add("Home", State.WAITING if what == "picture" else State.STOPPED)
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("*", status=401, delay=3)
    asked = len(gateway.asked)
    late: asyncio.Task[object]
    options = Dialog(hass)
    if what == "poll":
        late = asyncio.create_task(entry.runtime_data.coordinator.async_refresh())
    elif what == "button":
        late = asyncio.create_task(press(hass, "button.home_connect"))
    elif what == "picture":
        [instance_id] = entry.runtime_data.coordinator.data
        feed = entry.runtime_data.qr_codes.of(instance_id)
        late = asyncio.create_task(feed.look())
    else:
        await options.open_options(entry)
        late = asyncio.create_task(options.link())
    await until(lambda: len(gateway.asked) > asked)
    gateway.heal()
    if how == "remove":
        await hass.config_entries.async_remove(entry.entry_id)
    elif how == "reload":
        data = {**entry.data, "api_key": "new key"}
        hass.config_entries.async_update_entry(entry, data=data)
        await hass.config_entries.async_reload(entry.entry_id)
    else:
        dialog = Dialog(hass)
        await dialog.open_reconfigure(entry)
        await dialog.give(url=gateway.url, api_key="new key")
        assert dialog.reason == "reconfigure_successful"
    await asyncio.gather(late, return_exceptions=True)
    await asyncio.sleep(5)
    await hass.async_block_till_done()

    assert not hass.config_entries.flow.async_progress()
    assert "never retrieved" not in caplog.text
    if how == "remove":
        return
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.home_status") != STATE_UNAVAILABLE
    if what == "dialog":
        # it goes on with the new key
        phone.scan(await options.code())
        await options.wait_for()
        assert options.reason == "linked"


async def test_create_after_reauth(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """A form that was open before a reauth uses the new API key."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_form(entry, "create")
    assert dialog.step == "create"
    change_key(gateway)
    fields = gateway.fields("Home")
    await dialog.give(**fields)
    assert dialog.errors == {"base": "invalid_auth"}
    await enter_new_key(hass)

    await dialog.give(**fields)
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"
    await hass.async_block_till_done()
    assert not hass.config_entries.flow.async_progress()


@needs("says_failed", actions=["restart"])
async def test_repair_after_reauth(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    clock: Clock,
) -> None:
    """A repair that was open before a reauth uses the new API key."""
    home = gateway.add("Home", State.FAILED, linked=True)
    remember_linked(hass, entry, home)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(3):
        await clock.run(POLL)
    [issue] = raised_issues(hass)
    await dialog.open_fix(issue)
    assert dialog.step == "restart"
    change_key(gateway)
    await dialog.give()
    assert dialog.errors == {"base": "invalid_auth"}
    await enter_new_key(hass)

    await dialog.give()
    await dialog.wait_for()
    assert dialog.result["type"] == "create_entry"
    assert state_of(hass, "sensor.home_status") == "connected"
    assert not hass.config_entries.flow.async_progress()


async def test_pairing_after_reauth(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """A linking that a rejected API key ended goes on with the new one."""
    gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    await dialog.code()
    change_key(gateway)
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    await enter_new_key(hass)

    await dialog.choose("scan")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"
    assert not hass.config_entries.flow.async_progress()


@pytest.mark.parametrize("route", ["one", "*"])
async def test_key_rejected_in_configure(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    route: str,
) -> None:
    """A rejection that a dialog meets starts a reauth if a poll is rejected, too."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail(route, status=401)
    await dialog.open_form(entry, "create")
    await dialog.give(**gateway.fields("Home"))
    await dialog.wait_for()

    if route == "*":
        assert dialog.errors == {"base": "invalid_auth"}
    else:
        assert dialog.step == "link_ended"
        assert "The API key is not allowed to do this." in dialog.text
        await hass.async_block_till_done()
        assert hass.config_entries.flow.async_progress() == []
        await dialog.choose("scan")
        gateway.fail("*", status=401)
        await dialog.wait_for()
        assert "rejected the API key" in dialog.text
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    gateway.heal()
    change_key(gateway)
    await enter_new_key(hass)
    assert entry.state is ConfigEntryState.LOADED


async def test_key_rejected_by_a_button(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A rejection that a button meets starts a reauth."""
    gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    change_key(gateway)
    with pytest.raises(HomeAssistantError):
        await press(hass, "button.home_connect")
    await enter_new_key(hass)

    await press(hass, "button.home_connect")
    assert not hass.config_entries.flow.async_progress()
