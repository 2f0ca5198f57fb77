"""A Home Assistant to measure in, with accounts of simulated gateways."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aiohttp import ThreadedResolver
from aiohttp.test_utils import TestServer

from homeassistant.core import callback
from homeassistant.helpers import aiohttp_client
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)

# before the test configuration has one of this name
import custom_components.whatsapp_gateway  # noqa: F401
from custom_components.whatsapp_gateway.const import DOMAIN
from tests.harness.dialog import Dialog
from tests.harness.helpers import PUBLIC, until

if TYPE_CHECKING:
    import asyncio
    from collections import defaultdict
    from collections.abc import AsyncIterator, Awaitable, Callable

    from homeassistant.core import Event, HomeAssistant

    from custom_components.whatsapp_gateway.coordinator import GatewayCoordinator
    from tests.gateways import Gateway
    from tests.gateways.machine import Session, State

    type Times = defaultdict[str, list[float]]
    """Seconds by what takes them."""


class Resolver(ThreadedResolver):
    """Resolve names without searching the network for them."""

    real_close = ThreadedResolver.close


@asynccontextmanager
async def home_assistant() -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that gateways can call, also by a public address."""
    resolver = patch.object(
        aiohttp_client, "_async_make_resolver", lambda _: Resolver()
    )
    async with async_test_home_assistant() as hass:
        del hass.data[DATA_CUSTOM_COMPONENTS]
        # no view can be added to a server that runs
        for component in (DOMAIN, "image", "notify"):
            assert await async_setup_component(hass, component, {})
        async with TestServer(hass.http.app) as server:
            hass.config.internal_url = str(server.make_url("")).rstrip("/")
            hass.config.external_url = PUBLIC
            with resolver:
                yield hass
            for entry in hass.config_entries.async_loaded_entries(DOMAIN):
                await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_stop(force=True)


def patient(kind: type[Gateway]) -> Gateway:
    """Return a gateway that refuses no requests because there are too many."""
    gateway = kind()
    vars(gateway).update(requests_per_minute=10**9, burst=10**9)
    return gateway


def add_account(hass: HomeAssistant, gateway: Gateway, url: str) -> MockConfigEntry:
    """Add an account of a gateway, and do not set it up yet."""
    data = {"provider": gateway.provider, "api_key": gateway.key, "url": url}
    data["gateway"] = url.removeprefix("http://")
    entry = MockConfigEntry(domain=DOMAIN, title=gateway.title, data=data)
    entry.add_to_hass(hass)
    return entry


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set an account up, and wait until its entities are there."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


def poll_of(entry: MockConfigEntry) -> Callable[[], Awaitable[None]]:
    """Return what polls an account."""
    account = entry.runtime_data
    coordinator: GatewayCoordinator = getattr(account, "coordinator", account)
    return coordinator.async_refresh


@dataclass(frozen=True)
class Account:
    """An account with one instance."""

    hass: HomeAssistant
    gateway: Gateway
    session: Session
    entry: MockConfigEntry
    status: str
    """Entity ID of the status sensor."""

    async def turn_push_on(self) -> None:
        """Let the gateway report changes, and messages where it can."""
        gateway = self.gateway
        gateway.webhooks.proxies[PUBLIC] = str(self.hass.config.internal_url)
        if gateway.has("events"):
            gateway.events.on = True
            await self.hass.config_entries.async_reload(self.entry.entry_id)
        else:
            await self._submit("webhook", webhook=True)
        if gateway.has("receiving"):
            await self._submit("messages", receive="everyone")
            await self.hass.async_block_till_done()
        await until(lambda: gateway.events.listeners)

    async def _submit(self, step: str, **values: object) -> None:
        dialog = Dialog(self.hass)
        await dialog.open_form(self.entry, step)
        await dialog.give(**values)


@asynccontextmanager
async def running_account(
    hass: HomeAssistant, kind: type[Gateway], name: str, state: State
) -> AsyncIterator[Account]:
    """Run a gateway with one instance, and set its account up."""
    gateway = patient(kind)
    session = gateway.add(name, state)
    async with gateway.running():
        entry = add_account(hass, gateway, gateway.url)
        await set_up(hass, entry)
        yield Account(hass, gateway, session, entry, f"sensor.{name}_status")
        await hass.config_entries.async_unload(entry.entry_id)


def next_state(
    hass: HomeAssistant, entity_id: str, wanted: str | None = None
) -> asyncio.Future[float]:
    """Return when an entity gets another state, or this one, in seconds since 1970."""
    done: asyncio.Future[float] = hass.loop.create_future()

    @callback
    def note(event: Event[Any]) -> None:
        if wanted in {None, event.data["new_state"].state} and not done.done():
            done.set_result(time())
            stop()

    stop = async_track_state_change_event(hass, [entity_id], note)
    return done
