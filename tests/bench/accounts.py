"""Accounts of many instances: of this integration, and of core's `uptimerobot`."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from aiohttp import ClientSession
import orjson
from pyuptimerobot import decorator as uptimerobot_api

from homeassistant.helpers.aiohttp_client import async_get_clientsession
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.http import session_options
from tests.gateways import GATEWAYS
from tests.gateways.machine import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant


CHANGED = 0.01


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account, and what its server answers."""

    name: str
    domain: str
    path: str
    data: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes
    changed: bytes = b""
    """The same list with 1 % of the instances in another state, at least one."""
    once: Mapping[str, bytes] = field(default_factory=dict)
    """What the server answers to what it is asked once, by path."""

    async def answer(self, hass: HomeAssistant, url: str, body: bytes) -> int:
        """Let the server answer so; return how often it was asked before."""
        return await self._put(hass, url + self.path, body)

    @staticmethod
    async def _put(hass: HomeAssistant, url: str, body: bytes) -> int:
        session = async_get_clientsession(hass)
        async with session.put(url, data=body) as response:
            asked: int = await response.json()
        return asked

    async def add(self, hass: HomeAssistant, url: str) -> MockConfigEntry:
        """Add the account, and do not set it up yet."""
        await self.answer(hass, url, self.body)
        for path, body in self.once.items():
            await self._put(hass, url + path, body)
        vars(uptimerobot_api)["API_BASE_URL"] = url
        data = {**self.data, "url": url, "gateway": url.removeprefix("http://")}
        entry = MockConfigEntry(domain=self.domain, title=self.name, data=data)
        entry.add_to_hass(hass)
        return entry


async def gateway_account(key: str, size: int) -> Account:
    """Return an account as the simulated gateway has it."""
    gateway = GATEWAYS[key]()
    for number in range(size):
        gateway.add(f"Number {number}", State.CONNECTED, seen=1777638896.0)
    bodies: list[bytes] = []
    async with gateway.running(), ClientSession(**session_options()) as session:
        provider = PROVIDERS[key](session, gateway.url, gateway.key)
        await provider.instances()
        await provider.server_version()
        asked, *others = gateway.asked
        once = {one.path: b"" for one in others if one.route in gateway.asked_once}
        for path in once:
            once[path] = await _read(session, gateway.url + path, asked.headers)
        for state in (State.CONNECTED, State.STOPPED):
            for one in list(gateway.sessions.values())[: ceil(size * CHANGED)]:
                one.state = state
            url, headers = gateway.url + asked.path, asked.headers
            bodies.append(await _read(session, url, headers))
    return Account(
        name=PROVIDERS[key].name,
        domain=DOMAIN,
        path=asked.path,
        headers=asked.headers,
        data={"provider": key, "api_key": gateway.key},
        body=bodies[0],
        changed=bodies[1],
        once=once,
    )


async def _read(session: ClientSession, url: str, headers: Mapping[str, str]) -> bytes:
    async with session.get(url, headers=headers) as response:
        return await response.read()


def uptimerobot_account(size: int) -> Account:
    """Return an account as UptimeRobot's API describes it, version 3."""
    monitors = [
        {
            "id": 800_000_000 + number,
            "friendlyName": f"Number {number}",
            "interval": 300,
            "url": f"https://number-{number}.example.com",
            "status": "UP",
            "type": "HTTP",
        }
        for number in range(size)
    ]
    return Account(
        name="uptimerobot",
        domain="uptimerobot",
        path="/monitors",
        data={"api_key": "key"},
        body=orjson.dumps({"data": monitors}),
    )
