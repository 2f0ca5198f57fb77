"""The user is told if messages can't arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.helpers import issue_registry as ir

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.push.stream import STABLE_SECONDS
from custom_components.whatsapp_gateway.push.webhook import SECRET_SECONDS
from tests.harness.facts import SUPPORTED
from tests.harness.helpers import POLL, raised_issues, until
from tests.harness.receiving import Receiving, start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.gateways.webhooks import Endpoint
    from tests.harness.clock import Clock

RECEIVING = {key: kind for key, kind in SUPPORTED.items() if kind.has("receiving")}
BY_STREAM = pytest.mark.parametrize(
    "provider_key", [key for key, kind in RECEIVING.items() if kind.has("events")]
)
BY_WEBHOOK = pytest.mark.parametrize(
    "provider_key", [key for key, kind in RECEIVING.items() if not kind.has("events")]
)
SLOW_POLL = 300.0
"""Seconds between two polls while the gateway reports changes."""
IN_TIME = 600.0
"""Seconds until the user is told."""
CHECK = 300.0
"""Seconds until a change of the webhook is noticed."""
SOON = 2.0


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
) -> Receiving:
    """Return an account that receives all messages."""
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    await clock.run(POLL)
    return home


def told(home: Receiving) -> list[str | None]:
    """Return what the user is told."""
    return [one.translation_key for one in raised_issues(home.hass)]


def placeholders(home: Receiving) -> dict[str, str]:
    """Return what the only text is filled with."""
    [issue] = raised_issues(home.hass)
    return issue.translation_placeholders or {}


def endpoint(home: Receiving) -> Endpoint:
    """Return the webhook that the gateway has."""
    [found] = home.gateway.webhooks.endpoints.values()
    return found


async def break_stream(home: Receiving) -> None:
    """Let the gateway refuse the connection for events."""
    home.gateway.fail("events", status=404)
    home.gateway.hang_up()
    await until(lambda: not home.account.stream.connected)  # type: ignore[union-attr]


@BY_STREAM
async def test_no_stream(home: Receiving, clock: Clock) -> None:
    """A connection that isn't established is told until it works again."""
    assert told(home) == []
    await break_stream(home)
    await clock.run(IN_TIME / 2)
    assert told(home) == []
    await clock.run(IN_TIME / 2)
    assert told(home) == ["not_receiving_stream"]
    assert placeholders(home)["name"] == home.entry.title
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await clock.run(SOON)
    assert told(home) == ["not_receiving_stream"]

    home.gateway.heal()
    await until(lambda: home.account.stream.connected)  # type: ignore[union-attr]
    # one that lasts
    await clock.run(SLOW_POLL + STABLE_SECONDS)
    assert told(home) == []


@BY_STREAM
async def test_unstable_stream(home: Receiving, clock: Clock) -> None:
    """A connection that never lasts is told, and not opened again and again."""
    stream = home.account.stream
    assert stream
    connections = stream.connections
    for _ in range(25):
        home.gateway.hang_up()
        await clock.run(30)
    assert told(home) == ["not_receiving_stream"]
    assert stream.connections - connections < 12
    await clock.run(SLOW_POLL + STABLE_SECONDS)
    await clock.run(SLOW_POLL)
    assert told(home) == []
    await home.get("After")
    await clock.run(SOON)
    assert home.texts == ["After"]


@BY_STREAM
async def test_outage(home: Receiving, clock: Clock) -> None:
    """A gateway that can't be reached at all raises no issue of its own."""
    home.gateway.fail("*", status=502)
    home.gateway.hang_up()
    await clock.run(2 * IN_TIME)
    assert told(home) == []
    home.gateway.heal()
    home.gateway.fail("events", status=404)
    await clock.run(IN_TIME / 2)
    assert told(home) == []
    await clock.run(IN_TIME / 2 + POLL)
    assert told(home) == ["not_receiving_stream"]
    # it is still true, and stays ignored, after a short outage or a long one
    for seconds in (POLL, 2 * IN_TIME):
        [issue] = raised_issues(home.hass)
        ir.async_ignore_issue(home.hass, DOMAIN, issue.issue_id, ignore=True)
        home.gateway.fail("*", status=502)
        await clock.run(seconds)
        home.gateway.heal()
        home.gateway.fail("events", status=404)
        await clock.run(IN_TIME + POLL)
        [issue] = raised_issues(home.hass)
        assert issue.dismissed_version
    home.gateway.heal()
    await clock.run(IN_TIME)
    assert told(home) == []


@pytest.mark.parametrize("provider_key", RECEIVING)
@pytest.mark.parametrize("every", [4, 10, 25])
async def test_failing_polls(home: Receiving, clock: Clock, every: int) -> None:
    """Polls that fail now and then neither hide an issue nor end it."""
    if home.account.stream:
        await break_stream(home)
    else:
        [webhook] = filter(None, [home.account.webhook])
        await webhook.async_turn_off()
    times = []
    for number in range(60):
        if number % every == every - 1:
            home.gateway.fail("list", status=502)
        await clock.run(POLL)
        home.gateway.heal()
        home.gateway.fail("events", status=404)
        times.append(bool(told(home)))
    assert not any(times[: int(IN_TIME / 2 / POLL)])
    assert all(times[int(IN_TIME / POLL) + 2 :])


@BY_STREAM
@pytest.mark.parametrize("how", ["turn_off", "disable", "remove"])
async def test_issue_ends(home: Receiving, clock: Clock, how: str) -> None:
    """The issue ends when nobody wants to receive messages any more."""
    await break_stream(home)
    await clock.run(IN_TIME)
    assert told(home) == ["not_receiving_stream"]
    entries, entry_id = home.hass.config_entries, home.entry.entry_id
    if how == "turn_off":
        # also if the gateway can't be reached
        home.gateway.fail("list", status=502)
        dialog = await home.form()
        await dialog.give(receive="no")
        await clock.run(POLL)
    elif how == "remove":
        await entries.async_remove(entry_id)
    else:
        await entries.async_set_disabled_by(entry_id, ConfigEntryDisabler.USER)
    assert told(home) == []


@BY_STREAM
async def test_nothing_to_receive(home: Receiving, clock: Clock) -> None:
    """Who doesn't receive messages isn't told that there is no connection."""
    dialog = await home.form()
    await dialog.give(receive="no")
    await clock.run(SOON)
    await break_stream(home)
    await clock.run(2 * IN_TIME)
    assert told(home) == []


@BY_WEBHOOK
async def test_not_wanted(home: Receiving, clock: Clock) -> None:
    """A message that is reported though nobody wants it is nothing."""
    events = endpoint(home).events
    await home.choose("no")
    endpoint(home).events = events
    webhook = home.account.webhook
    assert webhook is not None
    calls = webhook.calls
    await home.get("Not wanted")
    await until(lambda: webhook.calls == calls + 1)
    await clock.run(POLL)
    assert home.seen == []
    assert not home.account.inbox.dropped


@BY_WEBHOOK
async def test_no_instances(home: Receiving, clock: Clock) -> None:
    """An account without instances can't miss a message."""
    webhook = home.account.webhook
    assert webhook is not None
    await webhook.async_turn_off()
    home.gateway.sessions.clear()
    await clock.run(2 * IN_TIME)
    assert told(home) == []


@BY_WEBHOOK
async def test_webhook_off(home: Receiving, clock: Clock) -> None:
    """A webhook that is off although messages are wanted is told until it is on."""
    webhook = home.account.webhook
    assert webhook is not None
    await webhook.async_turn_off()
    await clock.run(IN_TIME)
    assert told(home) == ["not_receiving_off"]

    dialog = await home.form("webhook")
    await dialog.give(webhook=True)
    await clock.run(POLL)
    assert told(home) == []


@BY_WEBHOOK
@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"events": ["CONNECTION_UPDATE"]},
        {"headers": {}},
        {"by_event": True},
        {"with_media": True},
    ],
    ids=str,
)
async def test_changed(home: Receiving, clock: Clock, change: dict[str, Any]) -> None:
    """A webhook that was changed at the gateway is set again within 5 minutes."""
    before = vars(endpoint(home)).copy()
    vars(endpoint(home)).update(change)
    await clock.run(CHECK + POLL)
    assert vars(endpoint(home)) == before
    written = home.gateway.count("webhook_set")
    await clock.run(2 * CHECK)
    assert home.gateway.count("webhook_set") == written
    await home.get()
    await until(lambda: home.texts == ["Hello"])
    assert told(home) == []


@BY_WEBHOOK
async def test_taken_over(home: Receiving, clock: Clock) -> None:
    """A webhook that other software uses now is told until it is free again."""
    endpoint(home).url = "https://other.example.com"
    await clock.run(IN_TIME)
    assert told(home) == ["not_receiving_in_use"]
    assert placeholders(home)["instances"] == "Home"
    assert endpoint(home).url == "https://other.example.com"

    home.gateway.webhooks.endpoints.clear()
    await clock.run(CHECK + 2 * POLL)
    assert told(home) == []
    await home.get()
    await until(lambda: home.texts == ["Hello"])


@BY_WEBHOOK
async def test_refused_by_gateway(home: Receiving, clock: Clock) -> None:
    """A webhook that can't be set again is told until it can."""
    endpoint(home).active = False
    home.gateway.fail("webhook_set", status=403)
    await clock.run(IN_TIME)
    assert told(home) == ["not_receiving_unregistered"]
    assert placeholders(home)["instances"] == "Home"

    home.gateway.heal()
    await clock.run(3 * POLL)
    assert told(home) == []
    assert endpoint(home).active


@BY_WEBHOOK
async def test_secret_lost(home: Receiving, clock: Clock) -> None:
    """A refused call is enough to register again."""
    headers = endpoint(home).headers
    endpoint(home).headers = {}
    await home.get("lost")
    await until(lambda: endpoint(home).headers == headers)
    await home.get("Hello")
    await until(lambda: home.texts == ["Hello"])
    await clock.run(POLL)
    assert told(home) == []


@BY_WEBHOOK
async def test_secret_removed(home: Receiving, clock: Clock) -> None:
    """Calls that never bring the secret are told, until one brings it."""
    registered = home.gateway.count("webhook_find")
    for _ in range(20):
        headers, endpoint(home).headers = endpoint(home).headers, {}
        await home.gateway.webhooks.tell(endpoint(home), "messages.upsert", {})
        endpoint(home).headers = headers
        await clock.run(5)
    # at most once a minute
    assert home.gateway.count("webhook_find") <= registered + 3
    await clock.run(POLL)
    assert told(home) == ["not_receiving_secret"]
    webhook = home.account.webhook
    assert webhook is not None
    assert webhook.refused_calls == 20
    # somebody else may have called
    await clock.run(SECRET_SECONDS)
    assert told(home) == []

    await home.get()
    await clock.run(POLL)
    assert told(home) == []
    assert home.texts == ["Hello"]


@BY_STREAM
async def test_ignored(home: Receiving, clock: Clock) -> None:
    """An issue that the user ignores stays ignored until its reason has ended."""
    await break_stream(home)
    await clock.run(IN_TIME)
    [issue] = raised_issues(home.hass)
    ir.async_ignore_issue(home.hass, DOMAIN, issue.issue_id, ignore=True)
    await clock.run(POLL)
    assert raised_issues(home.hass)[0].dismissed_version


@BY_WEBHOOK
@pytest.mark.parametrize("fault", [None, {"status": 500}])
async def test_message_while_reloading(
    home: Receiving, clock: Clock, fault: dict[str, Any] | None
) -> None:
    """A message that arrives while the account isn't loaded isn't lost."""
    entries = home.hass.config_entries
    if fault:
        home.gateway.fail("list", **fault)
        await entries.async_reload(home.entry.entry_id)
        assert home.entry.state is ConfigEntryState.SETUP_RETRY
    else:
        assert await entries.async_unload(home.entry.entry_id)
    await home.get()
    await clock.run(20)
    assert home.texts == []

    home.gateway.heal()
    if not fault:
        assert await entries.async_setup(home.entry.entry_id)
    await until(lambda: home.texts == ["Hello"])
    assert 503 in home.gateway.webhooks.statuses
