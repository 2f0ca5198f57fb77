"""The address of a gateway: what people enter, and where HTTP is accepted."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS

from .gateways.machine import State
from .harness.authority import HOST
from .harness.facts import SUPPORTED, lacks, needs
from .harness.helpers import POLL, state_of
from .harness.names import adapter

if TYPE_CHECKING:
    from ifaddr import Adapter

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .gateways import Gateway
    from .harness.authority import Authority
    from .harness.clock import Clock
    from .harness.dialog import Dialog
    from .harness.names import Internet, Names

PUBLIC_IP = "93.184.215.14"
LOCAL = [
    ("7da084a7-gateway", ["172.30.33.4"]),
    ("1fd84202-gateway", ["172.30.33.4"]),
    ("localhost", ["127.0.0.1"]),
    ("nas.fritz.box", ["192.168.178.5"]),
    ("nas.example.com", ["10.0.0.5"]),
    ("gateway.home", ["192.168.1.5"]),
    ("gateway.localdomain", ["172.16.0.5"]),
    ("gateway.local", ["169.254.1.5"]),
    ("nas.tail1234.ts.net", ["100.101.102.103"]),
    ("100.101.102.103", ["100.101.102.103"]),
    ("192.168.1.10", ["192.168.1.10"]),
]
IPV6, OTHER_IPV6 = "2003:e8::5", "2606:4700:3030::5"
LOGINS: list[dict[str, Any]] = [
    {"headers": {"WWW-Authenticate": 'Basic realm="gateway"'}},
    {"headers": {"WWW-Authenticate": "basic"}, "html": True},
    {"headers": {"WWW-Authenticate": 'Digest realm="x", nonce="y"'}},
]


def at(gateway: Gateway, host: str) -> str:
    """Return where a gateway is at another host, without a scheme."""
    return f"{host}:{URL(gateway.url).port}"


def stored(hass: HomeAssistant) -> tuple[str, str]:
    """Return the address and the start of the unique IDs of the only account."""
    [entry] = hass.config_entries.async_entries(DOMAIN)
    return entry.data["url"], entry.data["gateway"]


@needs("self_hosted")
@pytest.mark.parametrize(
    ("scheme", "host", "addresses"),
    [
        *(("", host, addresses) for host, addresses in LOCAL),
        *((scheme, *LOCAL[0]) for scheme in ("http://", "HTTP://", "//")),
    ],
)
async def test_local_host(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    names: Names,
    internet: Internet,
    scheme: str,
    host: str,
    addresses: list[str],
) -> None:
    """HTTP is accepted for every host in a local network, and needn't be entered."""
    internet.put(gateway.url, *addresses, name=host)
    gateway.add("Home", State.CONNECTED)
    address = at(gateway, host)
    await dialog.sign_in(gateway, url=f"{scheme}{address}")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert stored(hass) == (f"http://{address}", address)


@needs("self_hosted")
@pytest.mark.parametrize(
    ("url", "error"),
    [
        # they can't be on the internet
        ("http://unknown:3000", "cannot_connect"),
        ("unknown", "cannot_connect"),
        ("http://a6137ac8-gateway.:3000", "cannot_connect"),
        ("http://gateway.home.arpa", "cannot_connect"),
        ("http://gateway.home", "cannot_connect"),
        ("http://[fd00::1]:3000", "cannot_connect"),
        ("[fd00::1]:3000", "cannot_connect"),
        # a device at home with an IPv6 address of its own
        ("http://nas.fritz.box", "cannot_connect"),
        ("http://nas", "cannot_connect"),
        ("https://gateway.invalid", "cannot_connect"),
        ("gateway.invalid:443", "cannot_connect"),
        # they may be
        ("http://gateway.invalid", "insecure_url"),
        ("http://public.example.com", "insecure_url"),
        ("http://both.example.com", "insecure_url"),
        ("http://both.lan", "insecure_url"),
        # at home by IPv4, elsewhere by IPv6
        ("http://split.example.com", "insecure_url"),
        ("http://split", "insecure_url"),
        ("http://ipv6.example.com", "insecure_url"),
        ("http://public", "insecure_url"),
        ("http://public.home", "insecure_url"),
        ("http://123456:3000", "insecure_url"),
        ("http://99999999999", "insecure_url"),
        ("http://0x7f000001", "insecure_url"),
        ("http://127.1", "insecure_url"),
        ("http://[2606:4700:4700::1111]:3000", "insecure_url"),
        ("http://[::ffff:8.8.8.8]:3000", "insecure_url"),
        ("http://[2002:808:808::]:3000", "insecure_url"),
    ],
)
async def test_other_host(
    gateway: Gateway,
    dialog: Dialog,
    names: Names,
    internet: Internet,
    adapters: list[Adapter],
    url: str,
    error: str,
) -> None:
    """HTTP is refused for a host that may be on the internet."""
    adapters.append(adapter("2003:e8::10", 64))
    gateway.add("Home", State.CONNECTED)
    for name in ("public.example.com", "public", "public.home"):
        names.addresses[name] = [PUBLIC_IP]
    for name in ("both.example.com", "both.lan"):
        names.addresses[name] = ["192.168.1.5", PUBLIC_IP]
    for name in ("nas.fritz.box", "nas"):
        names.addresses[name] = ["192.168.1.5", IPV6]
    for name in ("split.example.com", "split"):
        names.addresses[name] = ["192.168.1.5", OTHER_IPV6]
    names.addresses["ipv6.example.com"] = [OTHER_IPV6]
    await dialog.sign_in(gateway, url=url)
    assert dialog.errors == {"url": error}
    assert error != "insecure_url" or internet.contacted == []

    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@lacks("self_hosted")
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://local:3000", "https_required"),
        ("http://local.home", "https_required"),
        ("http://gateway.local", "https_required"),
        ("http://8.8.8.8", "https_required"),
        ("http://192.168.1.10", "https_required"),
        ("local:3000", "cannot_connect"),
        ("http://localhost:1", "cannot_connect"),
    ],
)
async def test_hosted(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    names: Names,
    internet: Internet,
    url: str,
    error: str,
) -> None:
    """The online services need HTTPS, unless nothing leaves this machine."""
    gateway.add("Home", State.CONNECTED)
    names.addresses |= {"local": ["192.168.1.5"], "local.home": ["192.168.1.5"]}
    await dialog.sign_in(gateway, url=url)
    assert dialog.errors == {"url": error}
    [default] = {dialog.result["description_placeholders"]["example"]}
    assert default == PROVIDERS[gateway.provider].default_url

    await dialog.give(url=at(gateway, "127.0.0.1"), api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert stored(hass)[0] == gateway.url


@needs("self_hosted")
async def test_https_without_scheme(
    hass: HomeAssistant,
    provider_key: str,
    dialog: Dialog,
    authority: Authority,
    internet: Internet,
) -> None:
    """HTTPS is added for a host on the internet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.leaf())
    strict = hass.loop.get_exception_handler()
    # the server's side of a handshake that the client ends
    hass.loop.set_exception_handler(lambda *_: None)
    async with SUPPORTED[provider_key]().running(ssl=context) as gateway:
        internet.put(gateway.url, PUBLIC_IP, name=HOST)
        gateway.add("Home", State.CONNECTED)
        await dialog.sign_in(gateway, url=at(gateway, HOST))
        assert dialog.errors == {"url": "invalid_certificate"}
        values = {"url": at(gateway, HOST), "api_key": gateway.key}
        await dialog.give(**values, verify_ssl=False)
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
        assert stored(hass) == (f"https://{at(gateway, HOST)}", at(gateway, HOST))
        [entry] = hass.config_entries.async_entries(DOMAIN)
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(entry.entry_id)
    hass.loop.set_exception_handler(strict)


@pytest.mark.parametrize(
    ("prefix", "page"),
    [
        ("", "/"),
        ("", "/?a=b#c"),
        ("", "/dashboard"),
        ("", "/Dashboard?a=b"),
        ("", "/manager"),
        ("", "/manager/#/login"),
        ("", "/manager/instance/0a1b-2c3d/dashboard"),
        ("", "/swagger/index.html"),
        ("", "/swagger"),
        ("", "/manager/dashboard"),
        ("", "\u200b"),
        ("/my/gateway", "/"),
        ("/my/gateway", "/dashboard/"),
        ("/my/gateway", "/manager/login?a=b"),
        ("/my/gateway", "/swagger/#/sessions"),
    ],
)
async def test_web_page(
    hass: HomeAssistant, provider_key: str, dialog: Dialog, prefix: str, page: str
) -> None:
    """The address of a web page of the server leads to its API."""
    async with SUPPORTED[provider_key]().running(prefix=prefix) as gateway:
        gateway.add("Home", State.CONNECTED)
        await dialog.sign_in(gateway, url=f"{gateway.url}{page}")
        await hass.async_block_till_done()
        assert stored(hass) == (gateway.url, gateway.url.removeprefix("http://"))
        assert state_of(hass, "sensor.home_status") == "connected"
        assert all(asked.route for asked in gateway.asked)

        # the same account in another form
        await dialog.sign_in(gateway, url=gateway.url.removeprefix("http://"))
        assert dialog.reason == "already_configured"
        [entry] = hass.config_entries.async_entries(DOMAIN)
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("prefix", ["/dashboard/api", "/manager/gateway", "/login"])
async def test_path_of_a_proxy(
    hass: HomeAssistant, provider_key: str, dialog: Dialog, prefix: str
) -> None:
    """The path of a reverse proxy may contain the name of a web page."""
    async with SUPPORTED[provider_key]().running(prefix=prefix) as gateway:
        gateway.add("Home", State.CONNECTED)
        await dialog.sign_in(gateway)
        await hass.async_block_till_done()
        assert stored(hass)[0] == gateway.url
        [entry] = hass.config_entries.async_entries(DOMAIN)
        assert await hass.config_entries.async_unload(entry.entry_id)


@needs("self_hosted")
async def test_example(gateway: Gateway, dialog: Dialog) -> None:
    """The error about an address has one of this gateway as its example."""
    gateway.add("Home", State.CONNECTED)
    await dialog.sign_in(gateway, url="http://192.168.1.10 :3000")
    assert dialog.errors == {"url": "invalid_url"}
    example = dialog.result["description_placeholders"]["example"]
    assert example == PROVIDERS[gateway.provider].example_url

    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("login", LOGINS, ids=str)
async def test_login(gateway: Gateway, dialog: Dialog, login: dict[str, Any]) -> None:
    """A server that asks for a user name isn't the API, and the key isn't wrong."""
    gateway.add("Home", State.CONNECTED)
    gateway.fail("*", status=401, **login)
    await dialog.sign_in(gateway)
    assert dialog.errors == {"url": "login_required"}

    gateway.heal()
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("login", LOGINS, ids=str)
async def test_login_of_a_proxy(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    login: dict[str, Any],
) -> None:
    """A proxy that asks for a user name doesn't make anybody enter another API key."""
    gateway.events.on = gateway.has("events")
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(POLL)
    gateway.fail("*", status=401, **login)
    gateway.hang_up()
    await clock.run(3 * POLL)
    assert state_of(hass, "sensor.home_status") == "unavailable"
    assert not hass.config_entries.flow.async_progress()

    gateway.heal()
    await clock.run(3 * POLL)
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_other_challenge(gateway: Gateway, dialog: Dialog) -> None:
    """A gateway that names the scheme of its keys rejects the API key."""
    headers = {"WWW-Authenticate": 'Bearer realm="api", Basic realm="x"'}
    gateway.add("Home", State.CONNECTED)
    gateway.fail("list", status=401, headers=headers)
    await dialog.sign_in(gateway)
    assert dialog.errors == {"api_key": "invalid_auth"}

    gateway.heal()
    await dialog.give(url=gateway.url, api_key=gateway.key)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_stored_address(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    names: Names,
    internet: Internet,
) -> None:
    """An address that was accepted once may be kept, also if it wouldn't be now."""
    internet.put(gateway.url, "192.168.1.5", name="old.example.com")
    url = f"http://{at(gateway, 'old.example.com')}"
    hass.config_entries.async_update_entry(entry, data={**entry.data, "url": url})
    gateway.add("Home", State.CONNECTED)
    gateway.owners["new key"] = "me"
    assert await hass.config_entries.async_setup(entry.entry_id)
    internet.put(gateway.url, PUBLIC_IP, name="old.example.com")
    await dialog.open_reconfigure(entry)
    await dialog.give(url=url, api_key="new key")
    assert dialog.reason == "reconfigure_successful"
    await hass.async_block_till_done()
    assert (entry.data["url"], entry.data["api_key"]) == (url, "new key")
    assert state_of(hass, "sensor.home_status") == "connected"
