"""WAHA: whose messages and reactions they are, by the engine of the server."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.harness.receiving import Receiving, start_with_recipients
from tests.harness.recipients import BEN, FAMILY, send

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways.waha import WahaGateway
    from tests.harness.clock import Clock

ENGINES = ("GOWS", "NOWEB", "WEBJS", "WPP")
NUMBER = "12025550123"
OTHER = "12025550199@s.whatsapp.net"
LID = "211100000000010@lid"
OWN_NUMBER = "12025550100"
OWN = f"{OWN_NUMBER}@c.us"
SOON = 1.0
"""Seconds until a message is shown, at most."""


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "waha"


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: WahaGateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account that receives the messages of two recipients."""
    home = await start_with_recipients(
        hass, gateway, entry, hass_client_no_auth, "recipients"
    )
    # it is a part of the IDs of own messages in groups
    home.session.phone_number = OWN_NUMBER
    return home


async def report(
    home: Receiving, clock: Clock, engine: str, payload: dict[str, Any], name: str
) -> None:
    """Let the server report a message or a reaction."""
    times = {"timestamp": time.time(), "fromMe": False, "source": "app"}
    event = {
        "event": name,
        "session": home.session.id,
        "engine": engine,
        "payload": times | payload,
    }
    await home.gateway.events.send(json.dumps(event).encode())
    await clock.run(SOON)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("as_lid", [False, True])
async def test_reactions(
    home: Receiving, gateway: WahaGateway, clock: Clock, engine: str, *, as_lid: bool
) -> None:
    """A reaction belongs to the chat of its message, whoever has reacted."""
    gateway.engine = engine
    in_group = await home.get("Dinner?", chat_id=FAMILY, sender=NUMBER)
    in_private = await home.get("Dinner?", chat_id=BEN)
    await clock.run(SOON)
    home.seen.clear()
    for chat, reply_to in ((FAMILY, in_group), (BEN, in_private)):
        reaction = {"kind": "reaction", "reply_to": reply_to, "as_lid": as_lid}
        await home.get("👍", chat_id=chat, sender=NUMBER, **reaction)
        await home.get("❤", chat_id=chat, from_me=True, **reaction)
    await clock.run(10)
    shown = [
        {key: state.attributes[key] for key in ("chat_id", "recipient", "sender")}
        for state in home.seen
    ]
    group = {"chat_id": FAMILY, "recipient": "notify.family"}
    private = {"chat_id": BEN, "recipient": "notify.ben"}
    by_ben, by_phone = {"sender": f"+{NUMBER}"}, {"sender": None}
    assert shown == [
        group | by_ben,
        group | by_phone,
        private | by_ben,
        private | by_phone,
    ]
    assert {state.attributes["event_type"] for state in home.seen} == {"reaction"}
    assert [state.attributes["is_group"] for state in home.seen] == [True] * 2 + [
        False
    ] * 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("as_lid", [False, True])
async def test_messages(
    home: Receiving, gateway: WahaGateway, clock: Clock, engine: str, *, as_lid: bool
) -> None:
    """A message belongs to its group or person, also one of the phone."""
    gateway.engine = engine
    for chat in (FAMILY, BEN):
        await home.get("From Ben", chat_id=chat, sender=NUMBER, as_lid=as_lid)
        await home.get("Mine", chat_id=chat, from_me=True, as_lid=as_lid)
    await clock.run(10)
    assert [state.attributes["chat_id"] for state in home.seen] == [
        *[FAMILY] * 2,
        *[BEN] * 2,
    ]
    assert [state.attributes["sender"] for state in home.seen] == [
        f"+{NUMBER}",
        None,
    ] * 2


async def test_unknown_reactor(
    home: Receiving, gateway: WahaGateway, clock: Clock
) -> None:
    """WPP may not tell who has reacted, but always the group."""
    gateway.engine, gateway.tells_reactors = "WPP", False
    message_id = await home.get("Dinner?", chat_id=FAMILY, sender=NUMBER)
    await gateway.react(home.session, FAMILY, message_id, "👍", sender=NUMBER)
    await clock.run(SOON)
    assert home.last["event_type"] == "reaction"
    assert (home.last["chat_id"], home.last["sender"]) == (FAMILY, f"+{NUMBER}")


FULL_ID = f"false_{FAMILY}_3EBR_{NUMBER}@c.us"


@pytest.mark.parametrize(
    ("people", "sender"),
    [
        (
            {"id": FULL_ID, "from": f"{NUMBER}@c.us", "to": FAMILY, "participant": LID},
            f"+{NUMBER}",
        ),
        ({"id": FULL_ID, "from": LID, "to": FAMILY, "participant": LID}, f"+{NUMBER}"),
        (
            {"id": f"false_{FAMILY}_3EBR", "from": f"{NUMBER}@c.us", "to": OWN},
            f"+{NUMBER}",
        ),
        ({"id": FULL_ID, "from": f"{NUMBER}@c.us", "to": OWN}, f"+{NUMBER}"),
        ({"id": "3EBR", "from": f"{NUMBER}@c.us", "to": FAMILY}, f"+{NUMBER}"),
        ({"id": "3EBR", "from": FAMILY, "participant": f"{NUMBER}@c.us"}, f"+{NUMBER}"),
        ({"id": "3EBR", "from": FAMILY, "to": OWN, "participant": None}, None),
        ({"id": "3EBR", "from": "", "to": FAMILY, "participant": ""}, None),
        (
            {"id": f"true_{FAMILY}_3EBR", "from": OWN, "to": FAMILY, "fromMe": True},
            None,
        ),
        (
            {
                "id": f"true_{FAMILY}_3EBR_{OWN}",
                "from": OWN,
                "to": NUMBER,
                "fromMe": True,
            },
            None,
        ),
    ],
)
@pytest.mark.parametrize("name", ["message.any", "message.reaction"])
async def test_group_in_any_member(
    home: Receiving, clock: Clock, name: str, people: dict[str, Any], sender: str | None
) -> None:
    """A group is found in the sender, the receiver or the ID of a message."""
    content: dict[str, Any] = {"body": "Hello"}
    if name == "message.reaction":
        content = {"reaction": {"text": "👍", "messageId": f"true_{FAMILY}_3EB0_{OWN}"}}
    await report(home, clock, "WEBJS", {**people, **content}, name)
    assert home.last["chat_id"] == FAMILY
    assert home.last["is_group"]
    assert home.last["recipient"] == "notify.family"
    assert home.last["sender"] == sender


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("forgets", [False, True])
async def test_own_reactions(
    home: Receiving, gateway: WahaGateway, clock: Clock, engine: str, *, forgets: bool
) -> None:
    """What Home Assistant reacts is no event, also if the answer has no ID."""
    gateway.engine, gateway.forgets_own = engine, forgets
    for chat in (FAMILY, BEN):
        message_id = await home.get("Dinner?", chat_id=chat, sender=NUMBER)
        entity = "notify.family" if chat == FAMILY else "notify.ben"
        await clock.run(SOON)
        home.seen.clear()
        await send(home.hass, entity_id=entity, reaction="👍", reply_to=message_id)
        await clock.run(10)
        assert home.seen == []
        reaction = {"kind": "reaction", "reply_to": message_id, "from_me": True}
        await home.get("👍", chat_id=chat, **reaction)
        await clock.run(SOON)
        # the same with the phone
        assert home.last["event_type"] == "reaction"


@pytest.mark.parametrize("engine", ENGINES)
async def test_unanswered_send(
    home: Receiving, gateway: WahaGateway, clock: Clock, engine: str
) -> None:
    """A message is recognized without the ID of an answer, once."""
    gateway.engine, gateway.forgets_own = engine, True
    gateway.fail("send", truncate=True)
    for _ in range(2):
        action = {"entity_id": "notify.ben", "message": "Hello "}
        await home.hass.services.async_call(DOMAIN, "send_message", action)
        await clock.run(5)
    assert len(gateway.sent) == 2
    assert home.seen == []
    gateway.heal()
    await home.get("Hello", chat_id=BEN, from_me=True)
    await home.get("Hello", chat_id=OTHER, from_me=True)
    await clock.run(SOON)
    assert home.texts == ["Hello"]
