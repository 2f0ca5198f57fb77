"""How soon a message starts an automation, and what receiving and sending cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
import gc
import time
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways import GATEWAYS
from tests.gateways.machine import State
from tests.gateways.messages import PERSON

from .push import reachable_home, report

if TYPE_CHECKING:
    from aiohttp.web import Request

    from homeassistant.core import Event, HomeAssistant

    from tests.gateways import Gateway
    from tests.gateways.machine import Session

MESSAGES = 50
BURST = 1000
EVENT = "event.home_message"
TICK = 0.005
"""Seconds between two looks at the clock of the event loop."""
CHAT = f"4915112345678{PERSON}"


@dataclass
class Messages:
    """What was measured; times in seconds."""

    started: list[float] = field(default_factory=list)
    """From the message at the gateway to the automation's start."""
    lost: int = 0
    repeated: int = 0
    blocked: float = 0.0
    """The longest time for which the event loop did nothing else during the burst."""
    bare: list[float] = field(default_factory=list)
    """Requests to send, without Home Assistant."""
    sent: list[float] = field(default_factory=list)
    """The same by the action."""


async def measure_messages(key: str) -> Messages:
    """Receive and send messages with one instance."""
    result = Messages()
    gateway = GATEWAYS[key]()
    vars(gateway).update(requests_per_minute=10**6, burst=10**6)
    async with gateway.running(), reachable_home() as hass:
        session = gateway.add("Home", State.CONNECTED)
        receives = gateway.has("receiving")
        gateway.events.on = gateway.has("receiving", "events")
        entry = await _set_up(hass, key, gateway, receives=receives)
        if receives:
            await _receive(hass, gateway, session, result)
            await _burst(hass, gateway, session, result)
        await _send(hass, gateway, entry, result)
        await hass.config_entries.async_unload(entry.entry_id)
    return result


async def _set_up(
    hass: HomeAssistant, key: str, gateway: Gateway, *, receives: bool
) -> MockConfigEntry:
    data = {"provider": key, "api_key": gateway.key, "url": gateway.url}
    data["gateway"] = gateway.url.removeprefix("http://")
    options = {"receive": "everyone"} if receives else {}
    entry = MockConfigEntry(domain=DOMAIN, title=key, data=data, options=options)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    if receives:
        await report(entry, gateway)
    automation = {
        "alias": "Message",
        "mode": "parallel",
        "max": 1000,
        "triggers": {"trigger": "state", "entity_id": EVENT},
        "actions": {"delay": 0},
    }
    assert await async_setup_component(hass, "automation", {"automation": automation})
    await hass.async_start()
    return entry


async def _receive(
    hass: HomeAssistant, gateway: Gateway, session: Session, result: Messages
) -> None:
    started = asyncio.Event()
    stop = hass.bus.async_listen("automation_triggered", lambda _: started.set())
    for number in range(MESSAGES):
        started.clear()
        before = time.perf_counter()
        await gateway.deliver(session, CHAT, f"Message {number}")
        await started.wait()
        result.started.append(time.perf_counter() - before)
    stop()


async def _burst(
    hass: HomeAssistant, gateway: Gateway, session: Session, result: Messages
) -> None:
    """Let many messages arrive at once, and watch the event loop meanwhile.

    The gateway shares the event loop, so what it does at once is a part of the time.
    """
    seen: Counter[str] = Counter()

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == EVENT:
            seen[event.data["new_state"].attributes["text"]] += 1

    stop = hass.bus.async_listen("state_changed", note)
    # otherwise garbage collections search all that other measurements have left
    gc.collect()
    gc.freeze()
    watch = asyncio.create_task(_watch(result))
    for number in range(BURST):
        await gateway.deliver(session, CHAT, f"Burst {number}")
        # what one write of a real gateway would bring comes in small parts here
        await asyncio.sleep(0)
    for _ in range(200):
        if len(seen) == BURST:
            break
        await asyncio.sleep(0.1)
    watch.cancel()
    gc.unfreeze()
    stop()
    result.lost = BURST - len(seen)
    result.repeated = seen.total() - len(seen)


async def _watch(result: Messages) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(TICK)
        late = time.perf_counter() - before - TICK
        result.blocked = max(result.blocked, late)


async def _send(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, result: Messages
) -> None:
    """Send by the action, and repeat the very requests that it has sent."""
    bodies: list[dict[str, Any]] = []
    body_of = gateway.body_of

    async def note(request: Request) -> dict[str, Any]:
        bodies.append(await body_of(request))
        return bodies[-1]

    vars(gateway)["body_of"] = note
    registry = dr.async_get(hass)
    [device] = dr.async_entries_for_config_entry(registry, entry.entry_id)
    data = {ATTR_DEVICE_ID: device.id, "to": [f"+{CHAT.removesuffix(PERSON)}"]}
    for number in range(MESSAGES):
        before = time.perf_counter()
        await hass.services.async_call(
            DOMAIN,
            "send_message",
            data | {"message": f"Message {number}"},
            blocking=True,
        )
        result.sent.append(time.perf_counter() - before)
    assert len(gateway.sent) == MESSAGES
    asked = next(one for one in gateway.asked if one.route in gateway.send_routes)
    async with ClientSession() as client:
        for _ in range(MESSAGES):
            before = time.perf_counter()
            async with client.request(
                asked.method,
                gateway.url + asked.path,
                json=bodies[0],
                headers=gateway.headers(),
            ) as response:
                assert response.ok
                await response.read()
            result.bare.append(time.perf_counter() - before)
