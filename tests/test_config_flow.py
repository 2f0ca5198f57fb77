"""Setting up an account in the dialogs, and changing it later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
    InvalidData,
    UnknownFlow,
)
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.whatsapp_gateway.pairing import engine as pairing
from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS

from .gateways.machine import State
from .harness.dialog import Dialog
from .harness.facts import any_gateway, needs
from .harness.helpers import state_of, until
from .harness.texts import suggested_values

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock


async def test_empty_account(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """Create the first instance, scan its code, and the dialog moves on by itself."""
    await dialog.sign_in(gateway)
    assert dialog.step == "create"
    await dialog.give(name=" Home ")
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    assert dialog.result["description_placeholders"]["name"] == "Home"

    one = phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert dialog.result["title"] == gateway.title
    assert dialog.result["data"] == {
        "provider": gateway.provider,
        "gateway": gateway.url.removeprefix("http://"),
        "url": gateway.url,
        "api_key": gateway.key,
    }
    assert one.name == "Home"
    assert len(gateway.sessions) == 1
    await hass.async_block_till_done()
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED


async def test_two_browsers(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """Two looks at the same moment make one entry."""
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")
    phone.scan(await dialog.code())
    flow_id = dialog.result["flow_id"]
    progress = hass.config_entries.flow
    await until(lambda: progress.async_get(flow_id)["step_id"] == "finish")

    results = await asyncio.gather(
        *(progress.async_configure(flow_id) for _ in range(2)), return_exceptions=True
    )

    assert isinstance(results[0], dict)
    assert results[0]["type"] is FlowResultType.CREATE_ENTRY
    assert isinstance(results[1], UnknownFlow)
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def test_code_renews_itself(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """Without anybody's doing the dialog shows one code after the other."""
    gateway.add("Home", State.WAITING)
    progressed = async_capture_events(hass, EVENT_DATA_ENTRY_FLOW_PROGRESSED)
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    codes = {await dialog.code()}
    heard = len(progressed)
    while len(codes) < 3:
        codes.add(await dialog.code())

    assert len(progressed) >= heard + 2


async def test_looks_start_nothing(gateway: Gateway, dialog: Dialog) -> None:
    """However often a browser looks, one pairing runs."""
    one = gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    for _ in range(30):
        await dialog.look()
    await dialog.code()

    assert one.starts == 1


async def test_all_connected(gateway: Gateway, dialog: Dialog) -> None:
    """Where nothing waits, the account is added at once."""
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway)

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_finish_without_linking(gateway: Gateway, dialog: Dialog) -> None:
    """Linking can wait."""
    gateway.add("Home")
    gateway.add("Shop", State.CONNECTED)
    await dialog.sign_in(gateway)
    assert dialog.result["type"] is FlowResultType.MENU
    assert dialog.result["description_placeholders"] == {"names": "Home"}
    await dialog.choose("finish")

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert gateway.count("qr") == 0


async def test_choose_which(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """Where several wait, one of them is chosen."""
    home, shop = gateway.add("Home"), gateway.add("Shop")
    gateway.add("Office", State.CONNECTED)
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    assert dialog.step == "link"
    await dialog.give(instance=shop.id)
    phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert shop.state is State.CONNECTED
    assert home.state is State.NEW


async def test_create_another(gateway: Gateway, dialog: Dialog) -> None:
    """Another instance can be created beside one that waits."""
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name="Shop")
    await dialog.code()

    assert dialog.result["description_placeholders"]["name"] == "Shop"


@pytest.mark.parametrize(
    ("values", "field", "error"),
    [
        ({"api_key": "wrong"}, "api_key", "invalid_auth"),
        ({"api_key": "wro\nng"}, "api_key", "invalid_auth"),
        ({"api_key": "schlüssel"}, "api_key", "invalid_auth"),
        ({"url": "http://127.0.0.1:1"}, "url", "cannot_connect"),
        ({"url": "http://api.example.com"}, "url", "insecure_url"),
        ({"url": "http://8.8.8.8"}, "url", "insecure_url"),
        ({"url": "http://134744072"}, "url", "insecure_url"),
        ({"url": "https://[]"}, "url", "invalid_url"),
        ({"url": "gateway"}, "url", "invalid_url"),
        ({"url": "ftp://127.0.0.1"}, "url", "invalid_url"),
        ({"url": "https://"}, "url", "invalid_url"),
        ({"url": "https://me:secret@127.0.0.1"}, "url", "invalid_url"),
        ({"url": "https://127.0.0.1:99999"}, "url", "invalid_url"),
    ],
    ids=str,
)
async def test_mistakes(
    gateway: Gateway, dialog: Dialog, values: dict[str, str], field: str, error: str
) -> None:
    """A mistake is told beside its field, and corrected in place."""
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway, **values)
    assert dialog.step == "credentials"
    assert dialog.errors == {field: error}
    given = {"url": gateway.url, "api_key": gateway.key} | values
    assert suggested_values(dialog.result["data_schema"]) == given

    await dialog.give(url=f" {gateway.url}/?a=b ", api_key=f" {gateway.key} ")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert dialog.result["data"]["url"] == gateway.url
    assert dialog.result["data"]["api_key"] == gateway.key


@pytest.mark.parametrize(
    ("fault", "field", "error"),
    [
        ({"html": True}, "url", "not_a_gateway"),
        ({"body": b'{"hello": "world"}'}, "url", "not_a_gateway"),
        ({"status": 404}, "url", "not_a_gateway"),
        ({"redirect": "https://elsewhere.example"}, "url", "not_a_gateway"),
        ({"status": 500}, "url", "cannot_connect"),
        ({"status": 403}, "api_key", "rejected"),
        ({"status": 429}, "base", "rate_limited"),
    ],
    ids=str,
)
async def test_gateway_errors(
    gateway: Gateway, dialog: Dialog, fault: dict[str, Any], field: str, error: str
) -> None:
    """What the gateway says is told in the right place, and may pass."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", **fault, times=1)
    await dialog.sign_in(gateway)
    assert dialog.errors == {field: error}

    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://waha:3000", "cannot_connect"),
        ("http://gateway.home.arpa", "cannot_connect"),
        ("https://gateway.invalid", "cannot_connect"),
        ("http://gateway.invalid", "insecure_url"),
    ],
)
async def test_plain_http_at_home(dialog: Dialog, url: str, error: str) -> None:
    """Plain http is fine where it surely stays in the house."""
    await dialog.open()
    await dialog.give(provider=any_gateway().provider)
    await dialog.give(url=url, api_key="key")

    assert dialog.errors == {"url": error}


async def test_default_url(dialog: Dialog, provider_key: str) -> None:
    """The provider's own address is filled in."""
    await dialog.open()
    await dialog.give(provider=provider_key)

    assert suggested_values(dialog.result["data_schema"]) == {
        "url": PROVIDERS[provider_key].default_url,
        "api_key": None,
    }


async def test_create_fails(gateway: Gateway, dialog: Dialog) -> None:
    """A refused creation shows why, keeps the name, and can be tried again."""
    fault = {"status": 409, "code": "plan_limit_reached", "message": "Upgrade"}
    gateway.fail("create", **fault, times=1)
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")
    assert dialog.errors == {"base": "rejected"}
    assert dialog.result["description_placeholders"]["message"] == "Upgrade"
    assert suggested_values(dialog.result["data_schema"])["name"] == "Home"

    await dialog.give(name="Home")
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS


async def test_create_without_name(gateway: Gateway, dialog: Dialog) -> None:
    """A name of blanks is no name."""
    await dialog.sign_in(gateway)
    await dialog.give(name="  ")
    assert dialog.errors == {"name": "name_required"}

    with pytest.raises(InvalidData):
        await dialog.give()


async def test_created_only_once(gateway: Gateway, dialog: Dialog) -> None:
    """Where the answer to a creation is lost, no second instance is made."""
    gateway.fail("create", truncate=True, times=1)
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")

    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    assert len(gateway.sessions) == 1


async def test_created_only_once_in_two_tries(gateway: Gateway, dialog: Dialog) -> None:
    """Nor where the list can't be had either, and the person tries again."""
    await dialog.sign_in(gateway)
    gateway.fail("create", truncate=True, times=1)
    gateway.fail("list", status=502, times=1)
    await dialog.give(name="Home")
    assert dialog.errors == {"base": "cannot_connect"}
    await dialog.give(name="Home")

    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    assert len(gateway.sessions) == 1


async def test_round_over(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """When the codes run out the dialog says so, and another round links it."""
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")
    await dialog.code()
    await dialog.wait_for()
    assert dialog.step == "pairing_ended"
    assert dialog.errors == {"base": "round_over"}

    await dialog.give(next="try_again")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert len(gateway.sessions) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500}, "gateway_gone"),
        ({"status": 404}, "instance_gone"),
        ({"status": 401}, "invalid_auth"),
        ({"status": 403}, "rejected"),
    ],
    ids=str,
)
async def test_pairing_fails(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    fault: dict[str, Any],
    error: str,
) -> None:
    """What ends a pairing is told, and an instance just created is not lost."""
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")
    await dialog.code()
    gateway.fail("one", **fault)
    await dialog.wait_for()
    assert dialog.step == "pairing_ended"
    assert dialog.errors == {"base": error}
    gateway.heal()

    await dialog.give(next="finish")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    [entry] = hass.config_entries.async_entries(DOMAIN)
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.name == "Home"


async def test_instance_fails(gateway: Gateway, dialog: Dialog) -> None:
    """An instance that can't be started is told from codes that ran out."""
    one = gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await until(lambda: one.starts)
    one.state = State.FAILED
    await dialog.wait_for()

    assert dialog.errors == {"base": "instance_failed"}


async def test_closed_dialog(gateway: Gateway, dialog: Dialog, clock: Clock) -> None:
    """Closing the dialog stops all requests."""
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await dialog.code()
    dialog.close()
    await clock.settle()
    asked = len(gateway.asked)
    await clock.run(60)

    assert len(gateway.asked) == asked


async def test_closed_browser(gateway: Gateway, dialog: Dialog, clock: Clock) -> None:
    """A dialog that nobody looks at any more stops its requests by itself."""
    gateway.add("Home", State.WAITING, scale=0.1)
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await clock.run(pairing.DEADLINE - 5)
    asked = len(gateway.asked)
    await clock.run(10)
    assert len(gateway.asked) > asked
    asked = len(gateway.asked)
    await clock.run(60)

    assert len(gateway.asked) == asked
    await dialog.look()
    assert dialog.step == "pairing_ended"


async def test_same_account_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The same address and key are refused, also while nothing is set up."""
    await dialog.sign_in(gateway)

    assert dialog.result["type"] is FlowResultType.ABORT
    assert dialog.result["reason"] == "already_configured"


async def test_same_instances_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Another key of the same account is recognised by its instances."""
    gateway.add("Home", State.CONNECTED)
    gateway.owners["another key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key="another key")

    assert dialog.result["type"] is FlowResultType.ABORT
    assert dialog.result["reason"] == "already_configured"


async def test_other_account(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Another customer's account at the same gateway is another account."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key=f"{gateway.key}_other")

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_other_gateway(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The same id at another gateway is another instance."""
    gateway.add("Home", State.CONNECTED, id="default")
    assert await hass.config_entries.async_setup(entry.entry_id)
    async with type(gateway)().running() as other:
        other.add("Shop", State.CONNECTED, id="default")
        await dialog.sign_in(other)
        await hass.async_block_till_done()

        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        assert hass.states.get("sensor.home_status") is not None
        assert hass.states.get("sensor.shop_status") is not None


@needs("bound_key")
async def test_key_of_one_instance(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """A key that is bound to one instance asks for its id, and works for that one."""
    home, shop = gateway.add("Home"), gateway.add("Shop")
    gateway.bound[gateway.key] = home.id
    await dialog.sign_in(gateway)
    assert dialog.step == "instance"
    await dialog.give(instance_id=shop.id)
    assert dialog.errors == {"instance_id": "no_such_instance"}
    await dialog.give(instance_id=f" {home.id} ")
    assert dialog.result["menu_options"] == ["link", "finish"]
    await dialog.choose("link")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"
    assert hass.states.get("sensor.shop_status") is None
    [entry] = hass.config_entries.async_entries(DOMAIN)

    options = Dialog(hass)
    await options.open_options(entry)
    assert options.result["reason"] == "nothing_to_do"

    del gateway.sessions[home.id]
    await entry.runtime_data.async_refresh()
    await hass.async_block_till_done()
    assert hass.states.get("sensor.home_status") is None


@needs("bound_key")
async def test_same_bound_instance_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An instance that an account has already is not added by a key of its own."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.owners["bound key"] = "me"
    gateway.bound["bound key"] = home.id
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key="bound key")
    await dialog.give(instance_id=home.id)

    assert dialog.result["reason"] == "already_configured"


async def test_reauth(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A refused key is replaced by another one of the same account, and no other."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.owners["new key"] = gateway.owners.pop(gateway.key)
    await entry.runtime_data.async_refresh()
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
    assert dialog.result["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    assert entry.data["api_key"] == "new key"
    assert state_of(hass, "sensor.home_status") == "connected"


@needs("bound_key")
async def test_reauth_by_account_id(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Where the gateway names the account, that counts, not the instances."""
    home = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    del gateway.sessions[home.id]
    gateway.add("Shop", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, id=home.id, owner="somebody else")
    gateway.owners["new key"] = gateway.owners.pop(gateway.key)
    await entry.runtime_data.async_refresh()
    await hass.async_block_till_done()

    await dialog.open_pending()
    await dialog.give(api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(api_key="new key")
    assert dialog.result["reason"] == "reauth_successful"
    await hass.async_block_till_done()


async def test_reconfigure(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The address and the key change, with all checks; the devices stay."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    before = entry.data["gateway"]

    await dialog.open_reconfigure(entry)
    assert suggested_values(dialog.result["data_schema"])["url"] == gateway.url
    await dialog.give(url="http://example.com", api_key="new key")
    assert dialog.errors == {"url": "insecure_url"}
    await dialog.give(url=gateway.url, api_key=f"{gateway.key}_other")
    assert dialog.errors == {"api_key": "wrong_account"}
    await dialog.give(url=f"{gateway.url}/", api_key="new key")
    assert dialog.result["reason"] == "reconfigure_successful"
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

    assert dialog.result["reason"] == "already_configured"


async def test_options_link(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """The Configure menu links an instance that is not connected."""
    home = gateway.add("Home")
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    assert phone.scan(await dialog.code()) is home
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_options_create(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """The Configure menu creates an instance; its device is there in the end."""
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    assert dialog.result["menu_options"] == ["create"]
    await dialog.choose("create")
    await dialog.give(name="Home")
    phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_options_not_linked(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An instance that is not linked in the end is there as well."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("create")
    await dialog.give(name="Home")
    await dialog.code()
    gateway.fail("one", status=403)
    await dialog.wait_for()
    await dialog.give(next="finish")

    assert dialog.result["reason"] == "not_linked"
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "scan_qr"


async def test_options_not_loaded(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """While the account is not set up there is nothing to configure."""
    await dialog.open_options(entry)

    assert dialog.result["reason"] == "not_loaded"


@pytest.mark.parametrize("route", ["one", "create"])
async def test_options_key_refused(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    route: str,
) -> None:
    """A key that is refused meanwhile is asked for anew."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail(route, status=401)
    await dialog.open_options(entry)
    await dialog.choose("create")
    await dialog.give(name="Home")
    await dialog.wait_for()

    assert dialog.errors == {"base": "invalid_auth"}
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    hass.config_entries.flow.async_abort(flow["flow_id"])


async def test_options_new_key_meanwhile(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """A linking that a refused key ended goes on with the new one."""
    gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.code()
    gateway.owners["new key"] = gateway.owners.pop(gateway.key)
    await dialog.wait_for()
    await hass.async_block_till_done()
    reauth = Dialog(hass)
    await reauth.open_pending()
    await reauth.give(api_key="new key")
    await hass.async_block_till_done()

    await dialog.give(next="try_again")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert not hass.config_entries.flow.async_progress()


async def test_options_unloaded_meanwhile(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A dialog can be finished also if the account is no longer set up."""
    gateway.add("Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.code()
    gateway.fail("*", status=403)
    await dialog.wait_for()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await dialog.give(next="try_again")
    await dialog.wait_for()
    await dialog.give(next="finish")

    assert dialog.result["reason"] == "not_linked"


async def test_restart_while_linking(gateway: Gateway, dialog: Dialog) -> None:
    """A linking that a restart breaks off neither loses nor doubles the instance."""
    await dialog.sign_in(gateway)
    await dialog.give(name="Home")
    await dialog.code()
    dialog.close()

    await dialog.sign_in(gateway)
    assert dialog.result["description_placeholders"] == {"names": "Home"}
    await dialog.choose("link")
    await dialog.code()
    assert len(gateway.sessions) == 1
