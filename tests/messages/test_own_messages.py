"""Messages that Home Assistant has sent itself, and those of the phone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages import sent
from custom_components.whatsapp_gateway.messages.memory import MEMORIES
from custom_components.whatsapp_gateway.providers.message_parsing import bare_id
from tests.gateways.machine import State
from tests.harness.facts import needs
from tests.harness.receiving import MESSAGE, Receiving, start_with_recipients
from tests.harness.recipients import BEN, FAMILY, notify, send

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

OWN_NUMBER = "12025550100"
SOON = 1.0
"""Seconds until a message is shown, at most."""
PICTURE = b"\xff\xd8\xff picture"
PAUSE = 5.0
"""Seconds after which a message to another chat can be sent."""

pytestmark = needs("receiving", "own_messages", "reactions")


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account whose gateway takes sent messages for those of the phone."""
    home = await start_with_recipients(
        hass, gateway, entry, hass_client_no_auth, "everyone"
    )
    # it is a part of the IDs of own messages in groups
    home.session.phone_number = OWN_NUMBER
    gateway.forgets_own = True
    return home


async def by_phone(home: Receiving, text: str, **message: Any) -> str:
    """Let the phone send a message to Ben."""
    return await home.get(text, from_me=True, **message)


def start_sending(home: Receiving, **data: Any) -> asyncio.Task[Any]:
    """Start to send a message to Ben."""
    return asyncio.create_task(send(home.hass, entity_id="notify.ben", **data))


CONTENTS: list[dict[str, Any]] = [
    {"message": "Hello"},
    {"message": "Pizza?", "poll_options": ["Yes", "No"]},
    {"message": "Home", "location": {"latitude": 52.5, "longitude": 13.4}},
]


@pytest.mark.parametrize("content", CONTENTS, ids=str)
async def test_sent(home: Receiving, clock: Clock, content: dict[str, Any]) -> None:
    """What is sent is no event, though the gateway says that the phone has sent it."""
    for entity_id in ("notify.ben", "notify.family"):
        await send(home.hass, entity_id=entity_id, **content)
        await clock.run(PAUSE)
    await notify(home.hass, "notify.ben", message="Hello", title="Door")
    await clock.run(PAUSE)
    assert len(home.gateway.sent) == 3
    assert home.seen == []
    await by_phone(home, "Mine")
    await clock.run(SOON)
    assert home.texts == ["Mine"]
    assert home.last["event_type"] == "sent_by_phone"


async def test_loop(home: Receiving, clock: Clock) -> None:
    """An automation that answers what the phone sends doesn't answer itself."""
    action = {
        "action": "notify.send_message",
        "target": {"entity_id": "notify.ben"},
        "data": {"message": "Noted"},
    }
    condition = "{{ trigger.to_state.attributes.event_type == 'sent_by_phone' }}"
    it = {
        "alias": "It",
        "mode": "queued",
        "triggers": {"trigger": "state", "entity_id": MESSAGE},
        "conditions": condition,
        "actions": action,
    }
    assert await async_setup_component(home.hass, "automation", {"automation": it})
    await by_phone(home, "I am late")
    await clock.run(60)
    assert [message.text for message in home.gateway.sent] == ["Noted"]


async def test_reaction(home: Receiving, clock: Clock) -> None:
    """A reaction of Home Assistant is no event, one of the phone is."""
    message_id = await home.get("Hello")
    await clock.run(SOON)
    await send(home.hass, entity_id="notify.ben", reaction="👍", reply_to=message_id)
    await clock.run(PAUSE)
    assert home.texts == ["Hello"]
    await by_phone(home, "👍", kind="reaction", reply_to=message_id)
    await clock.run(SOON)
    assert home.last["event_type"] == "reaction"
    assert home.last["sender"] is None


@pytest.mark.parametrize("as_lid", [False, True])
@pytest.mark.parametrize("reload", [False, True])
async def test_reported_later(
    home: Receiving, clock: Clock, *, as_lid: bool, reload: bool
) -> None:
    """A message is known after its send, with any form of its chat, and a reload."""
    for entity_id in ("notify.ben", "notify.family"):
        await send(home.hass, entity_id=entity_id, message="Hello")
        await clock.run(PAUSE)
    first, second = home.gateway.sent
    home.gateway.history.clear()
    if reload:
        assert await home.hass.config_entries.async_reload(home.entry.entry_id)
        await home.until_ready()
    # the gateway has not reported them yet: another form is no duplicate
    for one in (first, second):
        repeated = {"message_id": bare_id(one.id), "as_lid": as_lid}
        await by_phone(home, "Hello", chat_id=one.chat_id, **repeated)
    await by_phone(home, "Hello", as_lid=as_lid)
    await clock.run(10)
    assert home.texts == ["Hello"]
    assert home.last["chat_id"] == BEN


async def test_reported_before_the_answer(home: Receiving, clock: Clock) -> None:
    """Own messages wait until a send has ended, and received ones don't."""
    home.gateway.fail("send", late=3)
    sending = start_sending(home, message="Hello")
    await clock.run(1)
    await by_phone(home, "Mine")
    # the same text, but the phone has sent it
    await by_phone(home, "Hello")
    for number in range(3):
        await home.get(f"Received {number}")
    await clock.run(SOON)
    received = [f"Received {number}" for number in range(3)]
    assert home.texts == received
    assert home.account.inbox.queued == 3
    await clock.run(2)
    await sending
    assert home.texts == [*received, "Mine", "Hello"]
    assert home.account.inbox.queued == 0


async def test_reload_meanwhile(home: Receiving, clock: Clock) -> None:
    """Own messages that wait until a send has ended are shown after a reload."""
    home.gateway.fail("send", late=3)
    sending = start_sending(home, message="Hello")
    await clock.run(1)
    await by_phone(home, "Mine")
    await clock.run(SOON)
    assert home.texts == []
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await clock.run(5)
    await sending
    assert home.texts == ["Mine"]
    assert home.account.inbox.queued == 0


async def test_other_instance(home: Receiving, clock: Clock) -> None:
    """A send of one instance doesn't hold the messages of another one back."""
    home.gateway.fail("send", late=3)
    shop = home.gateway.add("Shop", State.CONNECTED)
    await home.account.coordinator.async_refresh()
    await home.until_ready()
    sending = start_sending(home, message="Hello")
    await clock.run(1)
    seen: list[str] = []
    home.hass.bus.async_listen(
        "state_changed", lambda event: seen.append(event.data["entity_id"])
    )
    await home.gateway.deliver(shop, BEN, "Mine", from_me=True)
    await clock.run(SOON)
    assert "event.shop_message" in seen
    await sending


async def test_slow_answer(home: Receiving, clock: Clock) -> None:
    """After a few seconds the chat and the content decide what a message is."""
    home.gateway.fail("send", late=30)
    sending = start_sending(home, message="Hello")
    await clock.run(1)
    await by_phone(home, "Hello", chat_id=FAMILY)
    await clock.run(0.1)
    await by_phone(home, "Mine")
    await clock.run(sent.MAX_HOLD_SECONDS - 1)
    assert home.seen == []
    await clock.run(1 + SOON)
    assert home.texts == ["Hello", "Mine"]
    await clock.run(30)
    await sending
    assert len(home.gateway.sent) == 1
    assert home.texts == ["Hello", "Mine"]


async def test_sticker_meanwhile(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """A sticker of the phone isn't the picture without a text that is being sent."""
    home.hass.config.allowlist_external_dirs = {str(tmp_path)}
    file = tmp_path / "door.jpg"
    file.write_bytes(PICTURE)
    home.gateway.fail("send", late=30)
    sending = start_sending(home, file=str(file))
    await clock.run(1)
    await by_phone(home, "", kind="sticker", media=b"RIFF")
    await clock.run(sent.MAX_HOLD_SECONDS + SOON)
    assert [state.attributes["kind"] for state in home.seen] == ["sticker"]
    await clock.run(30)
    await sending
    assert len(home.seen) == 1


@pytest.mark.parametrize("late", [0, 3])
async def test_number_of_two_accounts(
    home: Receiving, clock: Clock, late: float
) -> None:
    """What one account sends is no event of another one with the same number."""
    if not home.gateway.has("events"):
        pytest.skip("A webhook has one address only")
    other = MockConfigEntry(domain=DOMAIN, title="Other", data={**home.entry.data})
    other.add_to_hass(home.hass)
    second = Receiving(home.hass, home.gateway, other, home.session)
    assert await home.hass.config_entries.async_setup(other.entry_id)
    await second.choose("everyone")
    if late:
        home.gateway.fail("send", late=late)
    await send(home.hass, entity_id="notify.ben", message="Hello")
    await clock.run(PAUSE)
    assert home.seen == []
    assert second.account.inbox.dropped["sent_by_us"] == 1
    home.gateway.heal()
    await by_phone(home, "Mine")
    await clock.run(SOON)
    # the entity of the first account shows it
    assert home.texts == ["Mine"]
    assert second.account.inbox.dropped == {"sent_by_us": 1, "no_entity": 1}


async def test_timeout(home: Receiving, clock: Clock) -> None:
    """A message that may have been sent is recognized by its chat and content."""
    home.gateway.fail("send", late=80)
    sending = start_sending(home, message="Hello")
    await clock.run(100)
    with pytest.raises(HomeAssistantError):
        await sending
    assert len(home.gateway.sent) == 1
    assert home.seen == []
    # whoever sends the same afterwards has a phone
    home.gateway.heal()
    await by_phone(home, "Hello")
    await clock.run(SOON)
    assert home.texts == ["Hello"]


@pytest.mark.parametrize(("seconds", "shown"), [(5, []), (15, ["Hello"])])
async def test_late_report(
    home: Receiving, clock: Clock, seconds: float, shown: list[str]
) -> None:
    """Without an ID, a message is expected for some seconds after its send."""
    home.gateway.forgets_own = False
    home.gateway.fail("send", truncate=True)
    with pytest.raises(HomeAssistantError):
        await send(home.hass, entity_id="notify.ben", message="Hello")
    home.gateway.heal()
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await clock.run(seconds)
    await by_phone(home, "Hello")
    await clock.run(SOON)
    assert home.texts == shown
    await by_phone(home, "Hello")
    await clock.run(SOON)
    assert home.texts == [*shown, "Hello"]


async def test_not_sent(home: Receiving, clock: Clock) -> None:
    """Nothing is expected of a message that was refused."""
    home.gateway.fail("send", status=400)
    with pytest.raises(HomeAssistantError):
        await send(home.hass, entity_id="notify.ben", message="Hello")
    home.gateway.heal()
    await by_phone(home, "Hello")
    await clock.run(SOON)
    assert home.texts == ["Hello"]


async def test_removed_account(home: Receiving, clock: Clock) -> None:
    """An account that is added again starts without a memory."""
    await send(home.hass, entity_id="notify.ben", message="Hello")
    memory = home.account.memory
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    assert home.account.memory is memory
    await home.hass.config_entries.async_remove(home.entry.entry_id)
    assert not home.hass.data[MEMORIES]


async def test_forgotten(
    home: Receiving, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last messages are remembered."""
    monkeypatch.setattr(sent, "MAX_SENT", 2)
    home.gateway.forgets_own = False
    for number in range(3):
        await send(home.hass, entity_id="notify.ben", message=f"{number}")
    for message in home.gateway.sent:
        repeated = {"message_id": bare_id(message.id)}
        await by_phone(home, message.text, **repeated)
    await clock.run(SOON)
    assert home.texts == ["0"]
