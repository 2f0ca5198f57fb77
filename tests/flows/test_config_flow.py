"""Set up an account in the dialog: its forms, and when it is another account."""

from __future__ import annotations

from ipaddress import ip_address
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util.network import is_local

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS
from tests.gateways import GATEWAYS
from tests.gateways.machine import State
from tests.harness.authority import HOST
from tests.harness.dialog import Dialog
from tests.harness.facts import SUPPORTED, any_gateway, lacks, needs
from tests.harness.helpers import (
    POLL,
    device_names,
    poll_twice,
    press,
    state_of,
    status_of,
)
from tests.harness.texts import suggested_values

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.authority import Authority
    from tests.harness.clock import Clock

MISTAKES = [
    ({"api_key": "wrong"}, "api_key", "invalid_auth"),
    ({"api_key": "wro\nng"}, "api_key", "invalid_auth"),
    ({"api_key": "schlüssel"}, "api_key", "invalid_auth"),
    ({"url": "http://127.0.0.1:1"}, "url", "cannot_connect"),
    ({"url": "http://api.example.com"}, "url", "insecure_url"),
    ({"url": "http://8.8.8.8"}, "url", "insecure_url"),
    ({"url": "http://134744072"}, "url", "insecure_url"),
    ({"url": "https://[]"}, "url", "invalid_url"),
    ({"url": "127.0.0.1:1"}, "url", "cannot_connect"),
    ({"url": "http://0x08080808"}, "url", "insecure_url"),
    ({"url": "http://8.8"}, "url", "insecure_url"),
    ({"url": "http://127.0.0.1 :1"}, "url", "invalid_url"),
    ({"url": "127.0.0.1 :1"}, "url", "invalid_url"),
    ({"url": "http://127.0.0.1\u00a0:1"}, "url", "invalid_url"),
    ({"url": "http:/127.0.0.1"}, "url", "invalid_url"),
    ({"url": "http:127.0.0.1"}, "url", "invalid_url"),
    ({"url": "https//127.0.0.1"}, "url", "invalid_url"),
    ({"url": "http://127.0.0.1\\a"}, "url", "invalid_url"),
    ({"url": "me@127.0.0.1"}, "url", "invalid_url"),
    ({"url": "/"}, "url", "invalid_url"),
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
]
"""What people enter, the field that it is wrong in, and the error."""
OWN_FIELDS: dict[bool, dict[str, Any]] = {False: {}, True: {"verify_ssl": True}}
"""Further fields of the form with their defaults."""


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
        **OWN_FIELDS[gateway.has("self_hosted")],
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
    assert "aren't connected: Home" in dialog.text
    await dialog.choose("skip")

    assert dialog.reason == "account_added"
    assert gateway.count(gateway.qr_route) == 0
    assert state_of(hass, "sensor.home_status") == status_of(gateway, State.NEW)


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


async def test_mistakes(gateway: Gateway, dialog: Dialog) -> None:
    """A mistake is reported at its field, and can be corrected there."""
    gateway.add("Home", State.CONNECTED)
    right = {"url": gateway.url, "api_key": gateway.key}
    await dialog.sign_in(gateway, **MISTAKES[0][0])
    for values, field, key in MISTAKES:
        given = right | values
        await dialog.give(**given)
        assert dialog.step == "account"
        own = gateway.has("self_hosted") or key != "insecure_url"
        assert dialog.errors == {field: key if own else "https_required"}, values
        given |= OWN_FIELDS[gateway.has("self_hosted")]
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


@lacks("self_hosted")
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
    gateway.add("Home", State.CONNECTED, id="Home")
    assert await hass.config_entries.async_setup(entry.entry_id)
    async with type(gateway)().running() as other:
        other.add("Home", State.CONNECTED, id="Home")
        await dialog.sign_in(other)
        await hass.async_block_till_done()

        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        assert state_of(hass, "sensor.home_status") == "connected"
        assert state_of(hass, "sensor.home_status_2") == "connected"


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
    assert gateway.has("receiving") or options.reason == "nothing_to_do"

    del gateway.sessions[home.id]
    await poll_twice(entry)
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
    assert dialog.step == "account"


async def test_same_address_of_another_gateway(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An address may have been used for a gateway of another kind."""
    other = next(key for key in PROVIDERS if key != gateway.provider)
    data = {**entry.data, "provider": other}
    hass.config_entries.async_update_entry(entry, data=data)
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway)

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


def entities_of(hass: HomeAssistant, entry: ConfigEntry) -> set[str]:
    """Return the IDs of the entities of an account."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {entity.entity_id for entity in entities}


async def test_address_of_a_server_that_has_moved(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, clock: Clock
) -> None:
    """Another server at the address gets devices of its own, also after a restart."""
    session = gateway.add("Home", State.CONNECTED)
    async with GATEWAYS[gateway.provider]().running() as moved:
        moved.sessions[session.id] = session
        await dialog.sign_in(gateway)
        [old] = hass.config_entries.async_entries(DOMAIN)
        await hass.async_block_till_done()
        data = {**old.data, "url": moved.url}
        hass.config_entries.async_update_entry(old, data=data)
        assert await hass.config_entries.async_reload(old.entry_id)
        await dialog.sign_in(gateway)
        await hass.async_block_till_done()
        entries = hass.config_entries.async_entries(DOMAIN)
        assert len(entries) == 2
        before = [entities_of(hass, entry) for entry in entries]
        assert len(before[0]) == len(before[1]) > 0

        for entry in entries:
            assert await hass.config_entries.async_unload(entry.entry_id)
        for entry in reversed(entries):
            assert await hass.config_entries.async_setup(entry.entry_id)
        await clock.run(POLL)
        assert [entities_of(hass, entry) for entry in entries] == before
        for entry in entries:
            assert await hass.config_entries.async_unload(entry.entry_id)


@lacks("self_hosted")
async def test_title_at_the_default_address(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Accounts at the default address are told apart by a number."""
    monkeypatch.setattr(PROVIDERS[gateway.provider], "default_url", gateway.url)
    for owner, key in (("me", gateway.key), ("somebody else", f"{gateway.key}_other")):
        gateway.add("Home", State.CONNECTED, owner=owner)
        await dialog.sign_in(gateway, api_key=key)

    titles = [entry.title for entry in hass.config_entries.async_entries(DOMAIN)]
    assert titles == [gateway.title, f"{gateway.title} 2"]


async def test_closed_at_once(hass: HomeAssistant, dialog: Dialog) -> None:
    """A dialog can be closed before anything was entered."""
    await dialog.open()
    dialog.close()

    assert hass.config_entries.flow.async_progress() == []


@needs("self_hosted")
async def test_no_default_address(
    gateway: Gateway, dialog: Dialog, provider_key: str
) -> None:
    """The address of a server is asked for with an example, and filled in by nobody."""
    await dialog.open()
    await dialog.give(provider=provider_key)
    assert dialog.step == "account"
    fields = dialog.result["data_schema"].schema
    assert suggested_values(dialog.result["data_schema"]) == {
        "url": None,
        "api_key": None,
        "verify_ssl": None,
    }
    required = {str(field) for field in fields if isinstance(field, vol.Required)}
    assert ("api_key" not in required) is gateway.has("key_optional")
    [verify_ssl] = [field for field in fields if field == "verify_ssl"]
    assert verify_ssl.default() is True
    example = URL(dialog.result["description_placeholders"]["example"])
    assert is_local(ip_address(example.host or ""))
    assert example.explicit_port


@needs("key_optional")
async def test_without_key(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """A server without an API key is added without one, and gets none."""
    gateway.add("Home", State.CONNECTED)
    gateway.owners = {"": "me"}
    await dialog.open()
    await dialog.give(provider=gateway.provider)
    await dialog.give(url=gateway.url)
    await hass.async_block_till_done()

    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.data["api_key"] == ""
    assert state_of(hass, "sensor.home_status") == "connected"
    name, _ = gateway.header
    assert not [asked for asked in gateway.asked if name in asked.headers]

    # another account at the same address is the same one
    await dialog.open()
    await dialog.give(provider=gateway.provider)
    await dialog.give(url=gateway.url)
    assert dialog.reason == "already_configured"

    # the server gets an API key
    gateway.owners = {"new key": "me"}
    await dialog.open_reconfigure(entry)
    await dialog.give(url=gateway.url)
    assert dialog.errors == {"api_key": "invalid_auth"}
    await dialog.give(url=gateway.url, api_key="new key")
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "connected"


@needs("self_hosted")
@pytest.mark.parametrize("values", [{}, {"api_key": ""}], ids=str)
async def test_reconfigure_keeps_the_key(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    values: dict[str, str],
) -> None:
    """Without an API key the present one stays, which no browser ever gets."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    for verify_ssl in (False, True):
        await dialog.open_reconfigure(entry)
        assert dialog.step == "reconfigure"
        assert suggested_values(dialog.result["data_schema"]) == {
            "url": gateway.url,
            "api_key": None,
            "verify_ssl": entry.data.get("verify_ssl"),
        }
        assert gateway.key not in str(dialog.result["description_placeholders"])
        await dialog.give(url=gateway.url, verify_ssl=verify_ssl, **values)
        assert dialog.reason == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.data["api_key"] == gateway.key
        assert entry.data["verify_ssl"] is verify_ssl
        assert state_of(hass, "sensor.home_status") == "connected"


@needs("self_hosted")
async def test_self_signed_certificate(
    hass: HomeAssistant, provider_key: str, dialog: Dialog, authority: Authority
) -> None:
    """A certificate that nobody has signed is accepted by who says so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.leaf())
    strict = hass.loop.get_exception_handler()
    # the server's side of a handshake that the client ends
    hass.loop.set_exception_handler(lambda *_: None)
    async with SUPPORTED[provider_key]().running(ssl=context) as gateway:
        gateway.url = gateway.url.replace("127.0.0.1", HOST)
        gateway.add("Home", State.CONNECTED)
        await dialog.sign_in(gateway)
        assert dialog.errors == {"url": "invalid_certificate"}
        assert gateway.asked == []
        values = {"url": gateway.url, "api_key": gateway.key}
        await dialog.give(**values, verify_ssl=False)
        await hass.async_block_till_done()
        [entry] = hass.config_entries.async_entries(DOMAIN)
        assert entry.data["verify_ssl"] is False
        assert state_of(hass, "sensor.home_status") == "connected"

        await dialog.open_reconfigure(entry)
        await dialog.give(url=gateway.url, verify_ssl=True)
        assert dialog.errors == {"url": "invalid_certificate"}
        await dialog.give(url=gateway.url, verify_ssl=False)
        assert dialog.reason == "reconfigure_successful"
        await hass.async_block_till_done()
        assert state_of(hass, "sensor.home_status") == "connected"
        assert await hass.config_entries.async_unload(entry.entry_id)
    hass.loop.set_exception_handler(strict)


@pytest.mark.parametrize(
    ("provider_key", "chosen"),
    [(key, chosen) for key in SUPPORTED for chosen in SUPPORTED if key != chosen],
)
async def test_address_of_another_gateway(
    gateway: Gateway, dialog: Dialog, chosen: str
) -> None:
    """Who enters the address of another gateway is told its name."""
    await dialog.open()
    await dialog.give(provider=chosen)
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.errors == {"url": "other_gateway"}
    assert dialog.message == gateway.title

    async with SUPPORTED[chosen]().running() as right:
        right.add("Home", State.CONNECTED)
        await dialog.give(url=right.url, api_key=right.key)
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_path_in_the_address(
    hass: HomeAssistant, provider_key: str, dialog: Dialog
) -> None:
    """A gateway may be below a path, as behind a proxy."""
    async with SUPPORTED[provider_key]().running(prefix="/my/gateway") as gateway:
        gateway.add("Home", State.STOPPED)
        gateway.add("Shop", State.CONNECTED)
        await dialog.sign_in(gateway, url=f"{gateway.url}/")
        await dialog.choose("skip")
        [entry] = hass.config_entries.async_entries(DOMAIN)
        assert entry.data["url"] == gateway.url
        assert entry.data["gateway"] == gateway.url.removeprefix("http://")
        assert state_of(hass, "sensor.shop_status") == "connected"
        await press(hass, "button.home_connect")
        assert all(asked.route for asked in gateway.asked)
        assert await hass.config_entries.async_unload(entry.entry_id)


def versions(hass: HomeAssistant, entry: ConfigEntry) -> set[str | None]:
    """Return the versions that the devices of an account show."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return {device.sw_version for device in devices}


@needs("self_hosted")
async def test_version(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """Devices show the version of the server, which may be updated while it is down."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(POLL)
    first = gateway.version
    assert versions(hass, entry) == {first}
    gateway.add("Shop", State.CONNECTED)
    await clock.run(POLL)
    assert len(device_names(hass, entry)) == 2
    assert versions(hass, entry) == {first}
    assert gateway.count("version") == 1

    gateway.version = f"{first}1"
    gateway.fail("*", status=502)
    await clock.run(POLL)
    gateway.heal()
    await clock.run(POLL)
    assert versions(hass, entry) == {f"{first}1"}


@needs("self_hosted")
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_no_version(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, clock: Clock, status: int
) -> None:
    """An account works also if the server does not tell its version."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("version", status=status)
    gateway.fail("old_version", status=status)
    await dialog.sign_in(gateway)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await clock.run(POLL)
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert state_of(hass, "sensor.home_status") == "connected"
    assert versions(hass, entry) == {None}
    assert hass.config_entries.flow.async_progress() == []

    # a server that refuses it is asked again after its next outage
    asked = gateway.count("version")
    await clock.run(2 * POLL)
    assert (gateway.count("version") > asked) is (status in {429, 500})
    gateway.fail("*", status=502)
    await clock.run(2 * POLL)
    gateway.heal()
    await clock.run(2 * POLL)
    assert versions(hass, entry) == {gateway.version}


@needs("old_versions")
async def test_old_version(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """A server that is too old is refused until it is updated."""
    gateway.add("Home", State.CONNECTED)
    version, gateway.version = gateway.version, gateway.old_version
    await dialog.sign_in(gateway)
    assert dialog.errors == {"url": "unsupported_server"}
    assert gateway.old_version in dialog.message
    assert hass.config_entries.async_entries(DOMAIN) == []

    gateway.version = version
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@needs("names_are_ids")
@pytest.mark.parametrize("name", ["My shop", "Café", "a/b", ".", "x" * 65])
async def test_invalid_name(gateway: Gateway, dialog: Dialog, name: str) -> None:
    """A name that can't be an ID is reported at its field."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name=name)
    assert dialog.step == "create"
    assert dialog.errors == {"name": "invalid_name"}
    assert dialog.result["description_placeholders"]["max_length"].isdigit()
    assert gateway.count("create") == 0

    await dialog.give(name="My_shop-2")
    assert dialog.step != "create"
    assert gateway.sessions.keys() == {"My_shop-2"}
