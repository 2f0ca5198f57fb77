"""A redirect is never followed, so that the API key stays at its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError

from custom_components.whatsapp_gateway.client import create_session
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.models import BadResponse
from tests.actions.test_download_media import download, send_photo
from tests.gateways import GATEWAYS
from tests.gateways.machine import State
from tests.harness.calls import CALLS, MESSAGE_CALLS
from tests.harness.facts import ROUTES, needs
from tests.harness.helpers import POLL, state_of, until
from tests.harness.receiving import start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

HOP = "/another/path"
STATUSES = (301, 302, 303, 307, 308)
PLACES = [(302, "path"), (307, "relative path")]


@pytest.fixture
async def elsewhere(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Run a second gateway that would answer and report everything."""
    async with GATEWAYS[gateway.provider]().running() as other:
        other.events.on = True
        yield other


@pytest.fixture(params=[*((code, "host") for code in STATUSES), *PLACES], ids=str)
def redirect(
    request: pytest.FixtureRequest, gateway: Gateway, elsewhere: Gateway
) -> dict[str, Any]:
    """Return each kind of redirect as a fault of the gateway."""
    status, place = request.param
    return {"status": status, "redirect": address(place, gateway, elsewhere)}


def address(place: str, gateway: Gateway, elsewhere: Gateway) -> str:
    """Return where a redirect leads to."""
    addresses = {
        "host": f"{elsewhere.url}{gateway.base_path}",
        "path": f"{gateway.url}{HOP}",
        "relative path": HOP,
    }
    return addresses[place]


def followed(gateway: Gateway, elsewhere: Gateway) -> bool:
    """Return whether anybody has asked for the target of a redirect."""
    return bool(elsewhere.asked) or any(HOP in asked.path for asked in gateway.asked)


async def test_polls(
    hass: HomeAssistant,
    gateway: Gateway,
    elsewhere: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    redirect: dict[str, Any],
) -> None:
    """An account whose gateway is redirected is unavailable until that is over."""
    gateway.add("Home", State.CONNECTED)
    elsewhere.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail("*", **redirect)
    await clock.run(3 * POLL)
    assert state_of(hass, "sensor.home_status") == STATE_UNAVAILABLE
    assert not followed(gateway, elsewhere)
    assert not hass.config_entries.flow.async_progress()

    gateway.heal()
    await clock.run(3 * POLL)
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_requests(
    hass: HomeAssistant, gateway: Gateway, elsewhere: Gateway, redirect: dict[str, Any]
) -> None:
    """No call of the client follows one."""
    one = gateway.add("Home", State.WAITING)
    session = create_session(hass, {})
    groups = {
        gateway.route_groups.get(route, route) for route in ROUTES[gateway.provider]
    }
    gateway.fail("*", **redirect)
    for route, call in {**CALLS, **MESSAGE_CALLS}.items():
        if route in groups:
            provider = PROVIDERS[gateway.provider](session, gateway.url, gateway.key)
            with pytest.raises(BadResponse):
                await call(provider, one.id)
    assert gateway.asked
    assert not followed(gateway, elsewhere)


async def test_recognition(
    hass: HomeAssistant, gateway: Gateway, elsewhere: Gateway, redirect: dict[str, Any]
) -> None:
    """A redirect isn't taken for an answer of the gateway."""
    session = create_session(hass, {})
    provider = PROVIDERS[gateway.provider]
    gateway.fail("*", **redirect)
    assert not await provider.recognizes(session, gateway.url)
    assert not followed(gateway, elsewhere)
    gateway.heal()
    assert await provider.recognizes(session, gateway.url)


@needs("events")
async def test_events(
    hass: HomeAssistant,
    gateway: Gateway,
    elsewhere: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    redirect: dict[str, Any],
) -> None:
    """A stream or a WebSocket stays at its host, and follows the events later."""
    gateway.events.on = True
    gateway.add("Home", State.CONNECTED)
    elsewhere.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    push = entry.runtime_data.stream
    await until(lambda: push.connected)
    [asked] = [asked for asked in gateway.asked if asked.route == "events"]
    redirect["redirect"] = redirect["redirect"].replace(gateway.base_path, asked.path)

    gateway.fail("events", **redirect)
    gateway.hang_up()
    await clock.run(POLL)
    assert gateway.count("events") > 1
    assert not push.connected
    assert not followed(gateway, elsewhere)
    assert elsewhere.events.listeners == 0
    assert state_of(hass, "sensor.home_status") == "connected"

    gateway.heal()
    await until(lambda: push.connected)
    assert not followed(gateway, elsewhere)


@needs("downloads")
async def test_files(
    hass: HomeAssistant,
    gateway: Gateway,
    elsewhere: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
    tmp_path: Path,
    redirect: dict[str, Any],
) -> None:
    """The download of a received file doesn't follow one."""
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    home = await start(hass, gateway, entry, hass_client_no_auth)
    await home.choose("everyone")
    message_id = await send_photo(home, clock)
    gateway.fail("*", **redirect)
    path = tmp_path / "door.jpg"
    with pytest.raises(HomeAssistantError) as raised:
        await download(home, message_id, path)
    assert raised.value.translation_key == "unexpected_response"
    assert not followed(gateway, elsewhere)

    gateway.heal()
    await download(home, message_id, path)
    assert path.exists()


async def test_other_session(gateway: Gateway) -> None:
    """A session that follows redirects is no session for a gateway."""
    async with ClientSession() as session:
        with pytest.raises(ValueError, match="session_options"):
            PROVIDERS[gateway.provider](session, gateway.url, gateway.key)
