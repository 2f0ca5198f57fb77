"""Changes that a gateway reports by calling Home Assistant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
import json
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.components.webhook import async_handle_webhook
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
from homeassistant.util.aiohttp import MockRequest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.whatsapp_gateway.providers.http import MAX_FRAME
from custom_components.whatsapp_gateway.push import webhook, webhook_requests
from custom_components.whatsapp_gateway.push.webhook_removal import REMOVAL_SECONDS
from tests.gateways import GATEWAYS
from tests.gateways.machine import LINK, State
from tests.gateways.webhooks import Endpoint
from tests.harness.dialog import Dialog
from tests.harness.facts import SUPPORTED, lacks, needs
from tests.harness.helpers import (
    POLL,
    PUBLIC,
    SECOND_LIST,
    make_reachable,
    pass_polls,
    raised_issues,
    state_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.test_utils import TestClient

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.clock import Clock
    from tests.harness.names import Names

SOON = 1.5
"""Seconds in which the poll after a call happens: at most one a second."""
OWN = "custom_components.whatsapp_gateway"


@dataclass
class Home:
    """An account with one instance, and a Home Assistant that can be called."""

    hass: HomeAssistant
    gateway: Gateway
    entry: MockConfigEntry
    client: TestClient[Any, Any]

    async def form(self) -> Dialog:
        """Open the form."""
        dialog = Dialog(self.hass)
        await dialog.open_form(self.entry, "webhook")
        return dialog

    async def turn(self, *, on: bool) -> None:
        """Turn it on or off."""
        dialog = await self.form()
        await dialog.give(webhook=on)
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY

    async def reconfigure(self, **values: str) -> None:
        """Change the address or the API key."""
        dialog = Dialog(self.hass)
        await dialog.open_reconfigure(self.entry)
        await dialog.give(**values)
        assert dialog.reason == "reconfigure_successful"

    @property
    def status(self) -> str:
        """Status of the instance in Home Assistant."""
        return state_of(self.hass, "sensor.home_status")

    @property
    def is_on(self) -> bool:
        """Whether it is stored that the gateway calls."""
        return "address" in self.entry.data.get("webhook", {})

    @property
    def settings(self) -> dict[str, str]:
        """What is stored."""
        settings: dict[str, str] = self.entry.data["webhook"]
        return settings

    @property
    def headers(self) -> dict[str, str]:
        """What a call brings."""
        [endpoint, *_] = self.gateway.webhooks.active
        return endpoint.headers

    async def call(self, body: Any = b"{}", **headers: str) -> int:
        """Call Home Assistant as the gateway does; return the HTTP status."""
        path = f"/api/webhook/{self.settings['id']}"
        answer = await self.client.post(path, data=body, headers=self.headers | headers)
        return answer.status

    async def calls(self, hass_client: ClientSessionGenerator) -> dict[str, Any]:
        """Return what the diagnostics tell."""
        told = await get_diagnostics_for_config_entry(
            self.hass, hass_client, self.entry
        )
        text = json.dumps(told)
        assert not [value for value in self.settings.values() if value in text]
        found: dict[str, Any] = told["webhook"]
        return found


@pytest.fixture(params=[key for key, kind in SUPPORTED.items() if kind.has("webhooks")])
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that has webhooks in turn."""
    key: str = request.param
    return key


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    names: Names,
    hass_client_no_auth: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Home]:
    """Return an account with one instance, and look for secrets in the log."""
    assert await async_setup_component(hass, "diagnostics", {})
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    client = await make_reachable(hass, gateway, hass_client_no_auth)
    secrets: set[str] = set()
    entry.add_update_listener(_remember(secrets))
    yield Home(hass, gateway, entry, client)
    logged = [r.getMessage() for r in caplog.records if r.name.startswith(OWN)]
    assert not [text for text in logged for secret in secrets if secret in text]


def _remember(secrets: set[str]) -> Any:
    async def listener(_hass: HomeAssistant, entry: MockConfigEntry) -> None:
        secrets.update(entry.data.get("webhook", {}).values())

    return listener


@needs("one_webhook")
async def test_one_instance_later(home: Home, clock: Clock) -> None:
    """An instance whose webhook can't be set now gets it with a later poll."""
    home.gateway.add("Shop", State.CONNECTED)
    await clock.run(POLL)
    home.gateway.fail("webhook_set", status=500, times=1)
    await home.turn(on=True)
    assert len(home.gateway.webhooks.active) == 1
    await clock.run(POLL)
    assert len(home.gateway.webhooks.active) == 2


async def test_lost_at_the_gateway(home: Home, clock: Clock) -> None:
    """A webhook that the gateway no longer has is added again within 5 minutes."""
    await home.turn(on=True)
    [before] = home.gateway.webhooks.active
    home.gateway.webhooks.endpoints.clear()
    await clock.run(webhook.CHECK_SECONDS + POLL)
    [after] = home.gateway.webhooks.active
    assert after.url == before.url

    asked, changed = (home.gateway.count(f"webhook_{what}") for what in ("find", "set"))
    await clock.run(3600)
    assert len(home.gateway.webhooks.active) == 1
    assert asked + 10 <= home.gateway.count("webhook_find") <= asked + 12
    assert home.gateway.count("webhook_set") == changed


async def test_change_at_once(
    home: Home, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """A change is seen within a second, while the account is polled as before."""
    assert not home.gateway.webhooks.endpoints
    await home.turn(on=True)
    [endpoint] = home.gateway.webhooks.active
    assert home.settings["address"] == endpoint.url
    [session] = home.gateway.sessions.values()
    session.unlink()
    await clock.run(SOON)

    assert home.status == "disconnected"
    assert set(home.gateway.webhooks.statuses) == {200}
    await clock.run(POLL)
    assert home.entry.runtime_data.coordinator.update_interval.total_seconds() == 30
    calls = await home.calls(hass_client)
    assert calls["on"]
    assert calls["calls"] == len(home.gateway.webhooks.statuses)
    assert POLL <= calls["seconds_since_call"] <= POLL + 2 * SOON


async def test_off_by_default(
    home: Home, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """Nothing is set at the gateway until it is turned on."""
    await home.turn(on=False)
    await pass_polls(clock, 2)
    assert home.gateway.count("webhook_find") == home.gateway.count("webhook_set") == 0
    assert "webhook" not in home.entry.data
    told = await get_diagnostics_for_config_entry(home.hass, hass_client, home.entry)
    assert told["webhook"] == {
        "on": False,
        "calls": 0,
        "refused_calls": 0,
        "seconds_since_call": None,
    }
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    assert home.gateway.count("webhook_find") == 0


async def test_turn_off(home: Home, clock: Clock) -> None:
    """The gateway forgets the address, and polls find the changes again."""
    await home.turn(on=True)
    await home.turn(on=True)
    [session] = home.gateway.sessions.values()
    await home.turn(on=False)
    assert not home.gateway.webhooks.active
    assert not home.is_on
    session.unlink()
    await clock.run(SOON)
    assert home.status == "connected"
    await clock.run(POLL)
    assert home.status == "disconnected"

    await home.turn(on=True)
    session.state = State.CONNECTED
    await clock.run(SOON)
    assert home.status == "connected"


async def test_turn_off_while_the_gateway_is_down(home: Home, clock: Clock) -> None:
    """It can be turned off at any time, and on again when the gateway is back."""
    await home.turn(on=True)
    home.gateway.fail("*", hang=True)
    started = clock.time()
    await home.turn(on=False)
    assert clock.time() - started < REMOVAL_SECONDS + 1
    assert not home.is_on

    home.gateway.heal()
    # what the gateway still has is known as our own
    [left] = home.gateway.webhooks.active
    await home.turn(on=True)
    assert [one.url for one in home.gateway.webhooks.active] == [left.url]


async def test_turned_off_by_two(home: Home) -> None:
    """Two people may turn it off at once."""
    await home.turn(on=True)
    webhook = home.entry.runtime_data.webhook
    await asyncio.gather(*(webhook.async_turn_off() for _ in range(2)))
    assert not home.is_on
    assert not home.gateway.webhooks.active

    await home.turn(on=True)
    assert home.gateway.webhooks.active


async def test_reload(home: Home, clock: Clock) -> None:
    """A reload changes nothing at the gateway, which has to repeat calls meanwhile."""
    await home.turn(on=True)
    [endpoint] = home.gateway.webhooks.active
    [session] = home.gateway.sessions.values()
    assert await home.hass.config_entries.async_unload(home.entry.entry_id)
    assert home.gateway.webhooks.active == [endpoint]
    assert await home.call() == 503

    assert await home.hass.config_entries.async_setup(home.entry.entry_id)
    await clock.run(SOON)
    assert [one.url for one in home.gateway.webhooks.active] == [endpoint.url]
    session.unlink()
    await clock.run(SOON)
    assert home.status == "disconnected"


@pytest.mark.parametrize("fault", [None, {"status": 502}, {"hang": True}])
async def test_remove(home: Home, clock: Clock, fault: dict[str, Any] | None) -> None:
    """A gateway that can be reached forgets the address of a removed account."""
    await home.turn(on=True)
    if fault:
        home.gateway.fail("*", **fault)
    started = clock.time()
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    assert clock.time() - started < REMOVAL_SECONDS + 1
    assert bool(home.gateway.webhooks.active) is (fault is not None)


async def test_new_instance(home: Home, clock: Clock) -> None:
    """Instances that appear later are reported as well, also after a failure."""
    await home.turn(on=True)
    home.gateway.fail("webhook_find", status=500)
    shop = home.gateway.add("Shop", State.CONNECTED)
    await clock.run(POLL)
    home.gateway.heal()
    await clock.run(webhook.RETRY_SECONDS + POLL)
    shop.unlink()
    await clock.run(SOON)
    assert state_of(home.hass, "sensor.shop_status") == "disconnected"


async def test_created_again(home: Home, clock: Clock) -> None:
    """An instance that replaces another one is reported as well."""
    await home.turn(on=True)
    home.gateway.sessions.clear()
    await clock.run(POLL + SECOND_LIST)
    again = home.gateway.add("Home", State.CONNECTED)
    await pass_polls(clock, 2)
    again.unlink()
    await clock.run(SOON)
    assert home.status == "disconnected"


async def test_no_address(home: Home) -> None:
    """Without an address that the gateway can call nothing is changed."""
    config = home.hass.config
    before, api = (config.internal_url, config.external_url), config.api
    config.internal_url = config.external_url = config.api = None
    dialog = await home.form()
    await dialog.give(webhook=True)
    [error] = dialog.errors.values()
    assert error in {"no_internal_url", "no_external_url"}
    assert not home.is_on
    assert home.gateway.count("webhook_find") == home.gateway.count("webhook_set") == 0

    (config.internal_url, config.external_url), config.api = before, api
    await dialog.give(webhook=True)
    assert home.gateway.webhooks.active


@needs("public_webhook")
async def test_insecure_address(home: Home) -> None:
    """An address without HTTPS can't be used over the internet."""
    home.hass.config.external_url = "http://home.example.com"
    dialog = await home.form()
    await dialog.give(webhook=True)
    assert dialog.errors == {"base": "no_external_url"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403}, "rejected"),
        ({"status": 500}, "cannot_connect"),
        ({"status": 401}, "key_not_allowed"),
    ],
)
async def test_refused(home: Home, fault: dict[str, Any], error: str) -> None:
    """The form says why the gateway has refused, and it stays off."""
    home.gateway.fail("webhook_set", **fault)
    dialog = await home.form()
    await dialog.give(webhook=True)
    assert dialog.errors == {"base": error}
    assert not home.is_on

    home.gateway.heal()
    await dialog.give(webhook=True)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert home.gateway.webhooks.active


@needs("one_webhook")
async def test_other_software(home: Home, clock: Clock) -> None:
    """A webhook of other software is kept, and the form says whose it is."""
    [session] = home.gateway.sessions.values()
    other = Endpoint(id_of(session), "https://other.example.com", session.owner)
    home.gateway.webhooks.endpoints[other.id] = other
    dialog = await home.form()
    await dialog.give(webhook=True)
    assert dialog.errors == {"base": "webhook_in_use"}
    assert dialog.result["description_placeholders"]["names"] == "Home"
    assert home.gateway.webhooks.endpoints == {other.id: other}
    assert not home.is_on

    home.gateway.add("Shop", State.CONNECTED)
    await clock.run(POLL)
    await dialog.give(webhook=True)
    assert dialog.reason == "partly_reported"
    assert "Home" in dialog.text
    assert home.gateway.webhooks.endpoints[other.id] is other
    # its changes are not missed
    session.unlink()
    await clock.run(POLL + webhook.CALL_SECONDS + POLL)
    assert home.status == "disconnected"
    assert not [one for one in raised_issues(home.hass) if not one.is_fixable]

    await home.turn(on=False)
    assert home.gateway.webhooks.active == [other]


def id_of(session: Any) -> str:
    """Return what the simulated gateway knows the webhook of an instance by."""
    found: str = getattr(session, "uuid", session.id)
    return found


@needs("webhook_secret")
@pytest.mark.parametrize("secret", ["", "wrong", "fälsch", "\udcff"])
async def test_wrong_secret(
    home: Home, clock: Clock, secret: str, hass_client: ClientSessionGenerator
) -> None:
    """A call without the secret does nothing."""
    await home.turn(on=True)
    for name in home.headers:
        assert await home.call(**{name: secret}) == 401
        assert await home.hass.config_entries.async_unload(home.entry.entry_id)
        assert await home.call(**{name: secret}) == 401
        assert await home.hass.config_entries.async_setup(home.entry.entry_id)
    polls = home.gateway.count("list")
    await clock.run(SOON)
    assert home.gateway.count("list") == polls
    assert (await home.calls(hass_client))["calls"] == 0
    assert await home.call() == 200
    assert (await home.calls(hass_client))["calls"] == 1


async def test_large_body(
    home: Home, clock: Clock, hass_client: ClientSessionGenerator
) -> None:
    """A body of more than 16 MiB is counted, so that the gateway doesn't repeat it."""
    await home.turn(on=True)
    inbox = home.entry.runtime_data.inbox
    assert await home.call(b"{}" + b" " * (MAX_FRAME - 2)) == 200
    assert inbox.skipped == {}
    for size in (MAX_FRAME, webhook_requests.MAX_DISCARDED):
        polls = home.gateway.count("list")
        assert await home.call(b" " * (size + 1)) == 200
        await clock.run(SOON)
        assert home.gateway.count("list") == polls + 1
    assert inbox.skipped == {"too_large": 2}
    assert (await home.calls(hass_client))["calls"] == 3


@pytest.mark.parametrize("body", [b"", b"garbage", b"[]", b"{}", b'{"instance": 1}'])
async def test_any_body(home: Home, clock: Clock, body: bytes) -> None:
    """Whatever a call contains, it means that something has changed."""
    await home.turn(on=True)
    polls = home.gateway.count("list")
    assert await home.call(body) == 200
    await clock.run(SOON)
    assert home.gateway.count("list") == polls + 1


@pytest.fixture
async def behind_proxy(hass: HomeAssistant) -> None:
    """Let callers tell Home Assistant where they are."""
    http = {"use_x_forwarded_for": True, "trusted_proxies": ["127.0.0.1"]}
    assert await async_setup_component(hass, "http", {"http": http})


@pytest.mark.usefixtures("behind_proxy")
async def test_call_from_the_internet(home: Home, clock: Clock) -> None:
    """Only a gateway with a public webhook can call from outside of the network."""
    await home.turn(on=True)
    polls = home.gateway.count("list")
    assert await home.call(**{"X-Forwarded-For": "203.0.113.5"}) == 200
    await clock.run(SOON)
    assert home.gateway.count("list") == polls + home.gateway.has("public_webhook")
    polls = home.gateway.count("list")
    assert await home.call(**{"X-Forwarded-For": "192.168.1.10"}) == 200
    await clock.run(SOON)
    assert home.gateway.count("list") == polls + 1


async def test_broken_body(home: Home) -> None:
    """A call that ends before its end, or isn't what it claims to be, is no error."""
    await home.turn(on=True)

    async def half() -> AsyncIterator[bytes]:
        yield b"{"
        raise OSError

    with pytest.raises(ClientError):
        await home.call(half())
    broken = {"Content-Encoding": "gzip", "Connection": "close"}
    assert await home.call(b"not compressed", **broken) == 400
    assert home.entry.runtime_data.inbox.skipped["unparsable"] >= 1
    assert await home.call() == 200


async def test_never_called(home: Home, clock: Clock) -> None:
    """A gateway that can't reach Home Assistant raises an issue, until it can."""
    await home.turn(on=True)
    home.gateway.webhooks.silent = True
    [session] = home.gateway.sessions.values()
    await clock.run(webhook.CALL_SECONDS + POLL)
    assert raised_issues(home.hass) == []

    session.unlink()
    await clock.run(webhook.CALL_SECONDS)
    assert no_calls(home) == []
    await pass_polls(clock, 2)
    assert no_calls(home) == ["no_calls"]

    home.gateway.webhooks.silent = False
    session.state = State.CONNECTED
    await clock.run(SOON)
    assert no_calls(home) == []
    await clock.run(webhook.CALL_SECONDS + POLL)
    assert no_calls(home) == []


@pytest.mark.parametrize("how", ["turn_off", "disable", "remove"])
async def test_issue_ends(home: Home, clock: Clock, how: str) -> None:
    """The issue also ends with its cause."""
    await home.turn(on=True)
    home.gateway.webhooks.silent = True
    [session] = home.gateway.sessions.values()
    session.unlink()
    await clock.run(POLL + webhook.CALL_SECONDS + POLL)
    assert no_calls(home) == ["no_calls"]
    if how == "turn_off":
        await home.turn(on=False)
    elif how == "remove":
        await home.hass.config_entries.async_remove(home.entry.entry_id)
    else:
        await home.hass.config_entries.async_set_disabled_by(
            home.entry.entry_id, ConfigEntryDisabler.USER
        )
    assert no_calls(home) == []


def no_calls(home: Home) -> list[str | None]:
    """Return the issues about calls; the instance has some of its own."""
    return [
        one.translation_key for one in raised_issues(home.hass) if not one.is_fixable
    ]


async def test_moved(home: Home, clock: Clock) -> None:
    """After a reload the gateway calls the present address of Home Assistant."""
    await home.turn(on=True)
    config = home.hass.config
    home.gateway.webhooks.proxies["https://new.example.com"] = str(config.internal_url)
    config.internal_url = str(config.internal_url).replace("127.0.0.1", "localhost")
    config.external_url = "https://new.example.com"
    before = home.settings
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await clock.run(SOON)
    assert home.settings["address"] != before["address"]
    assert home.settings["id"] == before["id"]
    [endpoint] = home.gateway.webhooks.active
    assert endpoint.url == home.settings["address"]

    # an address that is missing for a while is not missed
    config.internal_url = config.external_url = config.api = None
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await clock.run(SOON)
    assert [one.url for one in home.gateway.webhooks.active] == [endpoint.url]


@pytest.mark.parametrize("down", [False, True])
async def test_other_server(
    home: Home, provider_key: str, clock: Clock, *, down: bool
) -> None:
    """An account that moves to another server is reported by that one only."""
    await home.turn(on=True)
    old, [session] = home.gateway, home.gateway.sessions.values()
    async with GATEWAYS[provider_key]().running() as new:
        new.webhooks.proxies = old.webhooks.proxies
        moved = new.add("Home", State.CONNECTED, id=session.id)
        if down:
            old.fail("*", hang=True)
        await home.reconfigure(url=new.url)
        await clock.run(SOON)
        assert bool(old.webhooks.active) is down
        [endpoint] = new.webhooks.active
        assert endpoint.url == home.settings["address"]

        moved.unlink()
        await clock.run(SOON)
        assert home.status == "disconnected"
        assert await home.hass.config_entries.async_unload(home.entry.entry_id)


@pytest.mark.parametrize("revoked", [False, True])
async def test_other_key(home: Home, clock: Clock, *, revoked: bool) -> None:
    """An account with another API key is reported as before."""
    await home.turn(on=True)
    keys = {"new key"} if revoked else {"new key", home.gateway.key}
    home.gateway.owners = dict.fromkeys(keys, "me")
    await home.reconfigure(url=home.gateway.url, api_key="new key")
    await clock.run(SOON)
    [endpoint] = home.gateway.webhooks.active
    assert endpoint.url == home.settings["address"]
    [session] = home.gateway.sessions.values()
    session.unlink()
    await clock.run(SOON)
    assert home.status == "disconnected"


async def test_dialog_at_once(home: Home, phone: VirtualPhone, clock: Clock) -> None:
    """A dialog goes on as soon as the phone is linked."""
    await home.turn(on=True)
    [session] = home.gateway.sessions.values()
    session.unlink()
    await clock.run(SOON)
    assert home.status == "disconnected"
    dialog = Dialog(home.hass)
    await dialog.open_options(home.entry)
    await dialog.choose("link")
    code = await dialog.code()
    await asyncio.sleep(5)
    scanned_at = clock.time()
    phone.scan(code)
    await dialog.wait_for()
    assert dialog.reason == "linked"
    # a dialog never ends earlier than a second after it last changed
    assert clock.time() - scanned_at < LINK + 1.5
    assert {200} == set(home.gateway.webhooks.statuses)


async def test_turned_off_while_registering(home: Home, clock: Clock) -> None:
    """What is registered when it is turned off is forgotten as well."""
    await home.turn(on=True)
    home.gateway.fail("webhook_find", delay=5)
    home.gateway.add("Shop", State.CONNECTED)
    home.gateway.add("Office", State.CONNECTED)
    await home.entry.runtime_data.coordinator.async_refresh()
    await until(lambda: home.gateway.count("webhook_find") > 1)
    home.gateway.heal()
    await home.turn(on=False)
    assert not home.gateway.webhooks.active
    await pass_polls(clock, 2)
    assert not home.gateway.webhooks.active

    await home.turn(on=True)
    assert home.gateway.webhooks.active


async def test_turn_on_twice_at_once(home: Home) -> None:
    """A poll while it is turned on registers nothing twice."""
    home.gateway.fail("webhook_find", delay=5)
    dialog = await home.form()
    turning = asyncio.create_task(dialog.give(webhook=True))
    await until(lambda: home.gateway.count("webhook_find"))
    await home.entry.runtime_data.coordinator.async_refresh()
    home.gateway.heal()
    await turning
    await asyncio.sleep(10)
    assert len(home.gateway.webhooks.active) == 1
    await home.turn(on=False)
    home.gateway.fail("webhook_find", delay=5)
    turning = asyncio.create_task((await home.form()).give(webhook=True))
    await asyncio.sleep(1)
    await home.entry.runtime_data.webhook.async_turn_off()
    await turning
    assert home.gateway.webhooks.active == []


class FakeCloud:
    """Home Assistant Cloud, as far as webhooks need it."""

    def __init__(self) -> None:
        """Be subscribed and connected."""
        self.subscribed = self.connected = True
        self.hooks: dict[str, str] = {}

    def async_active_subscription(self, _hass: HomeAssistant) -> bool:
        """Tell whether there is a subscription."""
        return self.subscribed

    async def async_get_or_create_cloudhook(
        self, _hass: HomeAssistant, webhook_id: str
    ) -> str:
        """Return a public address that leads to a webhook."""
        if not self.connected:
            raise ValueError("Cloud is not connected")
        return self.hooks.setdefault(webhook_id, "https://hooks.example.com/abc")

    async def async_delete_cloudhook(
        self, _hass: HomeAssistant, webhook_id: str
    ) -> None:
        """Delete the address."""
        if webhook_id not in self.hooks:
            raise ValueError("Hook is not enabled for the cloud.")
        del self.hooks[webhook_id]


@needs("public_webhook")
async def test_cloud(home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home Assistant Cloud has an address of its own, which is deleted at the end."""
    from homeassistant.components import cloud  # noqa: PLC0415

    fake = FakeCloud()
    for name in vars(FakeCloud):
        if name.startswith("async_"):
            monkeypatch.setattr(cloud, name, getattr(fake, name))
    home.hass.config.components.add("cloud")
    home.hass.config.external_url = None
    fake.connected = False
    dialog = await home.form()
    await dialog.give(webhook=True)
    assert dialog.errors == {"base": "no_external_url"}

    fake.connected = True
    await dialog.give(webhook=True)
    assert fake.hooks == {home.settings["id"]: home.settings["address"]}
    assert [one.url for one in home.gateway.webhooks.active] == [*fake.hooks.values()]
    fake.connected = False
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await clock.run(SOON)
    assert [one.url for one in home.gateway.webhooks.active] == [*fake.hooks.values()]

    # the subscription has ended
    fake.subscribed, home.hass.config.external_url = False, PUBLIC
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await clock.run(SOON)
    [endpoint] = home.gateway.webhooks.active
    assert endpoint.url.startswith(PUBLIC)
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    assert not fake.hooks
    assert not home.gateway.webhooks.active


@lacks("webhooks")
async def test_no_webhooks_any_more(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """What is stored of a webhook is of no interest if the gateway has none."""
    webhook = {"id": "1", "secret": "2", "address": "https://home.example.com/hook"}
    data = {**entry.data, "webhook": webhook}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)

    assert await hass.config_entries.async_remove(entry.entry_id)
    assert gateway.count("list")


@needs("public_webhook")
async def test_call_over_the_cloud(home: Home) -> None:
    """A call counts in the form in which Home Assistant Cloud hands it over."""
    await home.turn(on=True)
    request: Any = MockRequest(
        b"{}", mock_source="cloud", method="POST", headers=home.headers
    )
    before = home.entry.runtime_data.webhook.calls

    response = await async_handle_webhook(home.hass, home.settings["id"], request)

    assert response.status == 200
    assert home.entry.runtime_data.webhook.calls == before + 1


async def test_call_before_the_account_is_loaded(home: Home, clock: Clock) -> None:
    """The gateway has to repeat a call while the account can't be set up."""
    await home.turn(on=True)
    home.gateway.fail("list", status=500)
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    assert home.entry.state is ConfigEntryState.SETUP_RETRY
    path = f"/api/webhook/{home.settings['id']}"
    answer = await home.client.post(path, data=b"{}", headers=home.headers)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1

    home.gateway.heal()
    await until(lambda: home.entry.state is ConfigEntryState.LOADED)
    assert await home.call() == 200


@pytest.mark.parametrize("how", ["turn_off", "disable", "remove"])
async def test_call_after_the_end(home: Home, how: str) -> None:
    """Who calls an account that is gone isn't asked to repeat the call."""
    await home.turn(on=True)
    path, headers = f"/api/webhook/{home.settings['id']}", home.headers
    entries, entry_id = home.hass.config_entries, home.entry.entry_id
    if how == "turn_off":
        await home.turn(on=False)
    elif how == "remove":
        await entries.async_remove(entry_id)
    else:
        await entries.async_set_disabled_by(entry_id, ConfigEntryDisabler.USER)
    # of an address that Home Assistant doesn't know
    assert (await home.client.post(path, data=b"{}", headers=headers)).status == 200
    assert path.rpartition("/")[2] not in home.hass.data["webhook"]

    if how == "disable":
        await entries.async_set_disabled_by(entry_id, None)
        assert await home.call() == 200
