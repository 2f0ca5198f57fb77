"""WAHA: whose messages and reactions they are, by the engine of the server."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.messages import IncomingMessage
from custom_components.whatsapp_gateway.providers.waha.received import parse_message
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


SYSTEM_WORDS = (
    "e2e_notification",
    "notification_template",
    "notification",
    "group_notification",
    "gp2",
    "ciphertext",
    "call_log",
    "revoked",
    "protocol",
    "album",
    "poll_update",
    "pinned_message",
    "debug",
    "unknown",
)
"""Types of whatsapp-web.js that are no message for people."""


@pytest.mark.parametrize("word", SYSTEM_WORDS)
@pytest.mark.parametrize("body", ["", "This message was deleted"])
@pytest.mark.parametrize("from_me", [False, True])
async def test_system_entries(
    home: Receiving, clock: Clock, word: str, body: str, *, from_me: bool
) -> None:
    """An entry of the system in a browser is no message, whatever its text is."""
    number = f"{NUMBER}@c.us"
    entry = {
        "id": f"{str(from_me).lower()}_{number}_2123456789",
        "from": OWN if from_me else number,
        "to": number if from_me else OWN,
        "fromMe": from_me,
        "body": body,
        "hasMedia": False,
        "vCards": [],
        "_data": {"type": word, "notifyName": ""},
    }
    await report(home, clock, "WEBJS", entry, "message.any")
    assert home.seen == []
    assert home.account.inbox.skipped == {word: 1}
    # the message itself, after a placeholder with its ID
    entry |= {"body": "the real text", "_data": {"type": "chat"}}
    await report(home, clock, "WEBJS", entry, "message.any")
    assert home.texts == ["the real text"]


@pytest.mark.parametrize(
    ("word", "body", "kind", "text"),
    [
        ("chat", "hi", "text", "hi"),
        ("list_response", "Close the blinds", "text", "Close the blinds"),
        ("buttons_response", "Yes", "text", "Yes"),
        ("template_button_reply", "Yes", "text", "Yes"),
        ("interactive", "Your code is 123", "text", "Your code is 123"),
        ("hsm", "Parcel", "text", "Parcel"),
        ("event_creation", "Birthday", "other", "Birthday"),
        ("groups_v4_invite", "Join us", "other", "Join us"),
        ("product", "Lamp", "other", "Lamp"),
        ("ptv", "", "video", ""),
        ("image", "hi", "image", "hi"),
        ("chat", "", None, None),
        ("list_response", "", "other", ""),
        ("scheduled_event_creation", "Birthday", "other", "Birthday"),
    ],
)
async def test_words(
    home: Receiving,
    clock: Clock,
    word: str,
    body: str,
    kind: str | None,
    text: str | None,
) -> None:
    """The types of a browser tell what people see."""
    message = {"from": f"{NUMBER}@c.us", "body": body, "_data": {"type": word}}
    payload = {"id": f"false_{NUMBER}@c.us_3A01", **message}
    await report(home, clock, "WEBJS", payload, "message.any")
    shown = [(one.attributes["kind"], one.attributes["text"]) for one in home.seen]
    assert shown == ([(kind, text)] if kind else [])


@pytest.mark.parametrize(
    ("data", "body", "kind", "text"),
    [
        (
            {"type": "groups_v4_invite", "inviteGrpName": "Family", "comment": "Join"},
            "",
            "other",
            "Join",
        ),
        (
            {"type": "groups_v4_invite", "inviteGrpName": "Family"},
            "",
            "other",
            "Family",
        ),
        ({"type": "product", "title": "Lamp"}, "/9j/4AAQSkZJRg==", "other", "Lamp"),
        (
            {"type": "order", "orderTitle": "Lamps", "message": "Two, please"},
            "",
            "other",
            "Two, please",
        ),
        ({"type": "event_creation", "eventName": "Birthday"}, "", "other", "Birthday"),
        ({"type": "poll_creation", "pollName": "Pizza?"}, None, "poll", "Pizza?"),
        (
            {"type": "location", "loc": "Home\nStreet 1"},
            "",
            "location",
            "Home\nStreet 1",
        ),
        ({"type": "rich_response"}, "Berlin", "other", "Berlin"),
        # the better version of a picture that was shown before
        (
            {"type": "image", "associationType": "HD_IMAGE_DUAL_UPLOAD"},
            "",
            None,
            None,
        ),
    ],
)
async def test_text_of_word(
    home: Receiving,
    clock: Clock,
    data: dict[str, Any],
    body: str | None,
    kind: str | None,
    text: str | None,
) -> None:
    """Some types of a browser have their text in a member of their own."""
    message = {"from": f"{NUMBER}@c.us", "body": body, "location": None, "_data": data}
    payload = {"id": f"false_{NUMBER}@c.us_3A01", **message}
    await report(home, clock, "WEBJS", payload, "message.any")
    shown = [(one.attributes["kind"], one.attributes["text"]) for one in home.seen]
    assert shown == ([(kind, text)] if kind else [])


async def test_mentioned_by_lid(home: Receiving, clock: Clock) -> None:
    """A mention of the linked number by its LID is known from the event."""
    me = {"id": OWN, "lid": "211100000000099@lid"}
    for mentioned, is_me in (
        ([{"server": "lid", "_serialized": "211100000000099@lid"}], True),
        (["211100000000098@lid"], False),
    ):
        payload = {
            "id": f"false_{NUMBER}@c.us_{is_me}",
            "timestamp": time.time(),
            "from": f"{NUMBER}@c.us",
            "body": "@211100000000099 lights off",
            "_data": {"type": "chat", "mentionedJidList": mentioned},
        }
        event = {"event": "message.any", "me": me, "payload": payload}
        await home.gateway.replay(home.session, event)
        await clock.run(SOON)
        assert home.last["mentioned_me"] is is_me


@pytest.mark.parametrize(
    ("chat", "shown"),
    [
        (f"{NUMBER}@hosted", BEN),
        (f"{NUMBER}:3@s.whatsapp.net", BEN),
        (f"+{NUMBER}", BEN),
    ],
)
async def test_hosted(home: Receiving, clock: Clock, chat: str, shown: str) -> None:
    """An account that a company hosts is a person as all others."""
    payload = {"id": f"false_{chat}_3A01", "from": chat, "body": "hi"}
    await report(home, clock, "NOWEB", payload, "message.any")
    assert home.last["chat_id"] == shown
    lid = {"from": "211100000000010@hosted.lid", "body": "hi"}
    payload = {"id": "false_211100000000010@hosted.lid_3A02", **lid}
    parsed = parse_message(event_of(payload))
    assert isinstance(parsed, IncomingMessage)
    assert parsed.chat_id == LID


def event_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Return an event about a message."""
    return {"event": "message.any", "session": "home", "payload": payload}


@pytest.mark.parametrize(
    "data",
    [
        {"Info": {"Sender": LID, "SenderAlt": f"{NUMBER}@s.whatsapp.net"}},
        {"key": {"remoteJid": LID, "remoteJidAlt": f"{NUMBER}@s.whatsapp.net"}},
        {"key": {"remoteJid": LID, "senderPn": f"{NUMBER}@s.whatsapp.net"}},
        {"key": {"remoteJid": f"{NUMBER}@s.whatsapp.net", "senderLid": LID}},
        {"pn": f"{NUMBER}@c.us"},
    ],
)
async def test_number_in_payload(
    home: Receiving, clock: Clock, data: dict[str, Any]
) -> None:
    """A number that the engine tells is used without a question."""
    payload = {"id": f"false_{LID}_3A01", "from": LID, "body": "hi", "_data": data}
    await report(home, clock, "GOWS", payload, "message.any")
    assert (home.last["sender"], home.last["recipient"]) == (f"+{NUMBER}", "notify.ben")
    assert home.gateway.count("lid") == 0


async def test_own_chat(home: Receiving, clock: Clock) -> None:
    """A note to oneself belongs to the own number, also by the own LID."""
    lid = "211100000000099@lid"
    payload = {
        "id": f"true_{lid}_3A01",
        "timestamp": time.time(),
        "from": lid,
        "to": lid,
        "fromMe": True,
        "source": "app",
        "body": "note",
        "_data": {"Info": {"Chat": lid, "RecipientAlt": OWN}},
    }
    event = {"event": "message.any", "me": {"id": OWN, "lid": lid}, "payload": payload}
    await home.choose("everyone")
    await home.gateway.replay(home.session, event)
    await clock.run(SOON)
    assert home.last["chat_id"] == f"{OWN_NUMBER}@s.whatsapp.net"


S3 = "https://s3.example.com/waha/x.jpg?X-Amz-Signature=1"


@pytest.mark.parametrize(
    ("media", "file", "name"),
    [
        (None, None, None),
        ({"url": None, "error": {"message": "timeout"}}, None, None),
        ({"url": "http://[]"}, None, None),
        ({"url": "http://[x]/api/files/home/a.jpg"}, None, None),
        ({"url": "https://cdn.example.com/a.jpg"}, None, "a.jpg"),
        (
            {"url": "http://localhost:3000/api/files/home/3A01.jpg"},
            "/api/files/home/3A01.jpg",
            "3A01.jpg",
        ),
        (
            {"url": "http://x/api/files/home/3A01.jpg", "filename": "door.jpg"},
            "/api/files/home/3A01.jpg",
            "door.jpg",
        ),
        ({"url": S3, "s3": {"Bucket": "waha", "Key": "x.jpg"}}, S3, "x.jpg"),
        # the server fetches the file from the store
        (
            {"url": "http://localhost:3000/api/s3/waha/a.jpg", "s3": {"Key": "a.jpg"}},
            "/api/s3/waha/a.jpg",
            "a.jpg",
        ),
        ({"url": "/api/files/../x", "s3": {"Key": "x"}}, None, "x"),
        ({"url": f"{S3}{'x' * 5000}", "s3": {"Key": "x"}}, None, None),
    ],
)
async def test_files(
    home: Receiving,
    clock: Clock,
    media: dict[str, Any] | None,
    file: str | None,
    name: str | None,
) -> None:
    """A message has a file only if it can be downloaded."""
    payload = {
        "id": f"false_{NUMBER}@c.us_3A01",
        "from": f"{NUMBER}@c.us",
        "hasMedia": True,
        "media": media,
        "_data": {"Message": {"imageMessage": {"mimetype": "image/jpeg"}}},
    }
    await report(home, clock, "GOWS", payload, "message.any")
    assert home.last["kind"] == "image"
    assert home.last["has_media"] is (file is not None)
    assert home.last["filename"] == name
    [kept] = home.account.inbox._files.values()
    assert kept.media == file
