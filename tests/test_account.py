"""Each part of an account works alone, with a provider and callbacks."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.whatsapp_gateway.messages.inbox import Inbox
from custom_components.whatsapp_gateway.messages.memory import async_memory_of
from custom_components.whatsapp_gateway.messages.number_check import CheckedNumbers
from custom_components.whatsapp_gateway.messages.outbox import Outbox, Transport
from custom_components.whatsapp_gateway.messages.people import People
from custom_components.whatsapp_gateway.messages.sent import SentMessages
from custom_components.whatsapp_gateway.problems import Problems
from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    MessageEvent,
    MessageKind,
    OutgoingMessage,
)
from custom_components.whatsapp_gateway.push.stream import Stream
from custom_components.whatsapp_gateway.push.webhook import Webhook
from tests.gateways.machine import State

from .harness.facts import needs
from .harness.helpers import make_reachable, raised_issues, until
from .harness.recipients import BEN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from custom_components.whatsapp_gateway.providers.base import Provider
    from custom_components.whatsapp_gateway.providers.capabilities import Report
    from tests.gateways import Gateway

    from .harness.clock import Clock


@needs("events")
async def test_stream(gateway: Gateway, provider: Provider) -> None:
    """A stream hands over what the gateway reports."""
    gateway.events.on = True
    session = gateway.add("Home", State.CONNECTED)
    events: list[Report] = []
    assert provider.events is not None
    stream = Stream(provider, provider.events, "Account", events.append)

    following = asyncio.create_task(stream.async_run())
    await until(lambda: stream.connected)
    session.state = State.STOPPED
    await until(lambda: stream.events["status"])
    following.cancel()

    assert session.id in {getattr(event, "instance_id", None) for event in events}


@needs("webhooks")
async def test_webhook(
    hass: HomeAssistant,
    gateway: Gateway,
    provider: Provider,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """A webhook hands over what the gateway calls about, until it is turned off."""
    assert await async_setup_component(hass, "webhook", {})
    await make_reachable(hass, gateway, hass_client)
    session = gateway.add("Home", State.CONNECTED)
    events: list[Report] = []
    assert provider.webhooks is not None
    webhook = Webhook(hass, entry, provider, provider.webhooks, events.append)
    instances = await provider.instances()
    webhook.async_start({instance.id: instance for instance in instances})

    assert await webhook.async_turn_on() == set()
    session.state = State.STOPPED
    await until(lambda: events)
    await webhook.async_turn_off()

    assert not webhook.is_on


async def test_inbox(
    hass: HomeAssistant, gateway: Gateway, provider: Provider, entry: MockConfigEntry
) -> None:
    """An inbox hands each message over once."""
    hass.config_entries.async_update_entry(entry, options={"receive": "everyone"})
    message = IncomingMessage(
        event=MessageEvent.RECEIVED,
        instance_id="home",
        id="1",
        chat_id=BEN,
        kind=MessageKind.TEXT,
        sent_at=dt_util.utcnow(),
        sender_id=BEN,
        text="Hello",
    )
    memory = async_memory_of(hass, entry.entry_id)
    inbox = Inbox(hass, entry, provider, memory)
    messages: list[IncomingMessage] = []
    inbox.async_subscribe("home", messages.append)

    running = asyncio.create_task(inbox.async_run())
    inbox.put(message)
    inbox.put(message)
    await asyncio.sleep(1)
    running.cancel()

    assert [one.text for one in messages] == ["Hello"] * len(inbox.events)
    assert inbox.dropped


@needs("messages")
async def test_outbox(
    hass: HomeAssistant, gateway: Gateway, provider: Provider, entry: MockConfigEntry
) -> None:
    """An outbox sends a message once it is clear that the instance can send."""
    session = gateway.add("Home", State.CONNECTED)
    checked: list[str] = []

    async def check(instance_id: str, _sequence: int) -> None:
        checked.append(instance_id)

    async def check_key() -> bool:
        return True

    outbox = Outbox(hass, SentMessages(People()), CheckedNumbers())
    transport = Transport(provider=provider, check_connected=check, check_key=check_key)
    message = OutgoingMessage(text="Hello")
    sending = asyncio.create_task(
        outbox.async_send(session.id, lambda: BEN, lambda _: nullcontext(message))
    )
    await asyncio.sleep(1)
    assert gateway.sent == []
    outbox.async_open(transport)
    sent = await sending

    assert (checked, sent.chat_id) == ([session.id], BEN)
    assert [one.text for one in gateway.sent] == ["Hello"]


async def test_problems(
    hass: HomeAssistant,
    gateway: Gateway,
    provider: Provider,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """Only a number that was connected has a problem, which is told after a minute."""
    problems = Problems(hass, entry)
    session = gateway.add("Home", State.CONNECTED)
    gateway.add("New", State.NEW)

    async def poll() -> None:
        instances = await provider.instances()
        problems.async_update({one.id: one for one in instances}, set())

    await poll()
    session.unlink()
    session.state = State.WAITING
    await poll()
    assert (raised_issues(hass), problems.pending) == ([], True)

    await clock.run(61)
    await poll()
    assert len(raised_issues(hass)) == 1

    session.state = State.CONNECTED
    await poll()
    assert (raised_issues(hass), problems.expected) == ([], {session.id})
