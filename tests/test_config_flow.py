"""Set up an account in the dialog: its forms, and when it is another account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS

from .gateways.machine import State
from .harness.dialog import Dialog
from .harness.facts import any_gateway, needs
from .harness.helpers import device_names, state_of
from .harness.texts import suggested_values

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock


async def test_added_before_linking(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """The account is added as soon as its API key works, also without instances."""
    await dialog.sign_in(gateway)
    assert dialog.step == "no_instances"
    assert dialog.options == ["create", "skip"]
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data == {
        "provider": gateway.provider,
        "gateway": gateway.url.removeprefix("http://"),
        "url": gateway.url,
        "api_key": gateway.key,
    }

    await dialog.choose("skip")
    assert dialog.reason == "account_added"
    assert gateway.sessions == {}
    assert hass.config_entries.async_entries(DOMAIN) == [entry]


async def test_all_connected(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """If no instance has to be linked, the dialog ends when the account is added."""
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway)

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_finish_without_linking(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """The account can be added without linking an instance."""
    gateway.add("Home")
    gateway.add("Shop", State.CONNECTED)
    await dialog.sign_in(gateway)
    assert dialog.step == "instances"
    assert dialog.options == ["link", "create", "skip"]
    assert "phone yet: Home" in dialog.text
    await dialog.choose("skip")

    assert dialog.reason == "account_added"
    assert gateway.count("qr") == 0
    assert state_of(hass, "sensor.home_status") == "created"


@pytest.mark.parametrize("named", ["instances", "no_instances"])
async def test_closed_at_the_menu(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, named: str
) -> None:
    """Closing the dialog keeps the account, and setting it up again is refused."""
    if named == "instances":
        gateway.add("Home")
    await dialog.sign_in(gateway)
    assert dialog.step == named
    dialog.close()
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED

    await dialog.sign_in(gateway)
    assert dialog.reason == "already_configured"


async def test_set_up_fails(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, clock: Clock
) -> None:
    """An account that can't be set up at once is added, and set up later."""
    gateway.add("Home")
    gateway.then["list"] = lambda _: gateway.fail("list", status=500)
    await dialog.sign_in(gateway)
    assert dialog.reason == "account_added"
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.SETUP_RETRY

    gateway.heal()
    await clock.run(60)
    assert entry.state is ConfigEntryState.LOADED


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
        ({"url": "https://xn--"}, "url", "invalid_url"),
        ({"url": "https://xn--a.com"}, "url", "invalid_url"),
        ({"url": "http://[:::]"}, "url", "invalid_url"),
        ({"url": "http://[::1"}, "url", "invalid_url"),
        ({"url": f"http://{'a' * 64}.local"}, "url", "invalid_url"),
        ({"url": f"https://{'ü' * 60}.com"}, "url", "invalid_url"),
        ({"url": "https://a..example.com"}, "url", "invalid_url"),
    ],
    ids=str,
)
async def test_mistakes(
    gateway: Gateway, dialog: Dialog, values: dict[str, str], field: str, error: str
) -> None:
    """A mistake is reported at its field, and can be corrected there."""
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
        ({"html": True}, "url", "unexpected_response"),
        ({"body": b'{"hello": "world"}'}, "url", "unexpected_response"),
        ({"status": 404}, "url", "unexpected_response"),
        ({"redirect": "https://elsewhere.example"}, "url", "unexpected_response"),
        ({"status": 500}, "url", "cannot_connect"),
        ({"status": 403}, "api_key", "rejected"),
        ({"status": 429}, "base", "rate_limited"),
    ],
    ids=str,
)
async def test_gateway_errors(
    gateway: Gateway,
    dialog: Dialog,
    clock: Clock,
    fault: dict[str, Any],
    field: str,
    error: str,
) -> None:
    """An error of the gateway is shown at the right field, and may pass."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", **fault, times=1)
    await dialog.sign_in(gateway)
    assert dialog.errors == {field: error}

    await clock.run(31)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_pause(gateway: Gateway, dialog: Dialog, clock: Clock) -> None:
    """While the gateway asks for a pause, the dialog sends it nothing."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", status=429, headers={"Retry-After": "60"}, times=1)
    await dialog.sign_in(gateway)
    for _ in range(3):
        await dialog.give(url=gateway.url, api_key=gateway.key)
        assert dialog.errors == {"base": "rate_limited"}
    assert gateway.count("list") == 1

    await clock.run(60)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_pause_of_another_account(gateway: Gateway, dialog: Dialog) -> None:
    """A pause that was asked for one API key does not hold up another one."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", status=429, headers={"Retry-After": "60"}, times=1)
    await dialog.sign_in(gateway, api_key="wrong")
    assert dialog.errors == {"base": "rate_limited"}

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
async def test_plain_http_at_home(
    gateway: Gateway, dialog: Dialog, url: str, error: str
) -> None:
    """HTTP is accepted if the address can't be on the internet."""
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway, url=url)
    assert dialog.errors == {"url": error}

    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_default_url(dialog: Dialog, provider_key: str) -> None:
    """The address is filled in with the one of the hosted service."""
    await dialog.open()
    await dialog.give(provider=provider_key)

    assert suggested_values(dialog.result["data_schema"]) == {
        "url": PROVIDERS[provider_key].default_url,
        "api_key": None,
    }


async def test_titles(hass: HomeAssistant, gateway: Gateway, dialog: Dialog) -> None:
    """Titles tell accounts apart: by the address, and by a number."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED, owner="somebody else")
    gateway.owners["third"] = "a third person"
    gateway.add("Office", State.CONNECTED, owner="a third person")
    for key in (gateway.key, f"{gateway.key}_other", "third"):
        await dialog.sign_in(gateway, api_key=key)

    host = gateway.url.removeprefix("http://")
    assert [entry.title for entry in hass.config_entries.async_entries(DOMAIN)] == [
        f"{gateway.title} ({host})",
        f"{gateway.title} ({host}) 2",
        f"{gateway.title} ({host}) 3",
    ]


async def test_same_account_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The same address and API key are refused, also if the account is not loaded."""
    await dialog.sign_in(gateway)

    assert dialog.reason == "already_configured"


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
async def test_same_account_by_another_name(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    host: str,
) -> None:
    """All names of this machine are the same address, also if nothing answers there."""
    data = {**entry.data, "url": gateway.url.replace("127.0.0.1", host)}
    hass.config_entries.async_update_entry(entry, data=data)
    await dialog.sign_in(gateway)
    assert dialog.reason == "already_configured"

    # another port is another gateway
    data["url"] = "http://localhost:1"
    hass.config_entries.async_update_entry(entry, data=data)
    await dialog.sign_in(gateway)
    assert dialog.step == "no_instances"


async def test_same_instances_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Another API key of the same account is recognized by its instances."""
    gateway.add("Home", State.CONNECTED)
    gateway.owners["another key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key="another key")

    assert dialog.reason == "already_configured"


async def test_added_twice_at_once(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """Two dialogs that add the same account at once add it once."""
    other = Dialog(hass)
    for one in (dialog, other):
        await one.open()
        await one.give(provider=gateway.provider)
    gateway.fail("list", late=1)
    added = hass.async_create_task(
        dialog.give(url=gateway.url, api_key=gateway.key), eager_start=True
    )
    await other.give(url=gateway.url, api_key=gateway.key)
    await added

    assert sorted(one.reason or "goes on" for one in (dialog, other)) == [
        "already_configured",
        "goes on",
    ]
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1
    for flow in hass.config_entries.flow.async_progress():
        hass.config_entries.flow.async_abort(flow["flow_id"])


async def test_other_account(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Another customer's account at the same gateway is another account."""
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED, owner="somebody else")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key=f"{gateway.key}_other")
    await hass.async_block_till_done()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert device_names(hass, entry) == {"Home"}
    assert state_of(hass, "sensor.shop_status") == "connected"


async def test_other_gateway(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The same ID at another gateway is another instance."""
    gateway.add("Home", State.CONNECTED, id="default")
    assert await hass.config_entries.async_setup(entry.entry_id)
    async with type(gateway)().running() as other:
        other.add("Shop", State.CONNECTED, id="default")
        await dialog.sign_in(other)
        await hass.async_block_till_done()

        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        assert state_of(hass, "sensor.home_status") == "connected"
        assert state_of(hass, "sensor.shop_status") == "connected"


@needs("bound_key")
async def test_key_of_one_instance(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """An API key that is bound to one instance asks for its ID."""
    home, shop = gateway.add("Home"), gateway.add("Shop")
    gateway.bound[gateway.key] = home.id
    await dialog.sign_in(gateway)
    assert dialog.step == "instance"
    await dialog.give(instance_id=shop.id)
    assert dialog.errors == {"instance_id": "no_such_instance"}
    await dialog.give(instance_id=f" {home.id} ")
    assert dialog.options == ["link", "skip"]
    await dialog.choose("link")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"
    assert hass.states.get("sensor.shop_status") is None
    [entry] = hass.config_entries.async_entries(DOMAIN)

    options = Dialog(hass)
    await options.open_options(entry)
    assert options.reason == "nothing_to_do"

    del gateway.sessions[home.id]
    await entry.runtime_data.async_refresh()
    await hass.async_block_till_done()
    assert hass.states.get("sensor.home_status") is None


@needs("bound_key")
async def test_same_bound_instance_twice(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An instance that an account has already is not added by an API key of its own."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.owners["bound key"] = "me"
    gateway.bound["bound key"] = home.id
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.sign_in(gateway, api_key="bound key")
    await dialog.give(instance_id=home.id)

    assert dialog.reason == "already_configured"


async def test_choose_gateway(dialog: Dialog) -> None:
    """The first step offers the gateways by their names."""
    await dialog.open()
    assert dialog.step == "user"
    [field] = dialog.result["data_schema"].schema.values()
    options = {one["value"]: one["label"] for one in field.config["options"]}
    assert options == {key: provider.name for key, provider in PROVIDERS.items()}

    await dialog.give(provider=any_gateway().provider)
    assert dialog.step == "credentials"
