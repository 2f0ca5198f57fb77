"""What gateways write of messages, in whatever form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.whatsapp_gateway.providers.message_parsing import (
    bare_id,
    chat_in_id,
    chat_of,
    chats_of,
    file_name,
    first_chat,
    identifier,
    kind_of_file,
    member_in_id,
    moment,
    remember,
)
from custom_components.whatsapp_gateway.providers.message_types import (
    Content,
    content_of,
)
from custom_components.whatsapp_gateway.providers.messages import (
    Chat,
    MessageKind,
    chat_id,
    digits_of,
)
from custom_components.whatsapp_gateway.providers.models import BadResponse, Skipped

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("value", "chat"),
    [
        ("4915112345678", "4915112345678@s.whatsapp.net"),
        ("+4915112345678", "4915112345678@s.whatsapp.net"),
        ("4915112345678@c.us", "4915112345678@s.whatsapp.net"),
        ("4915112345678:7@s.whatsapp.net", "4915112345678@s.whatsapp.net"),
        (":7@c.us", None),
        ("anna@s.whatsapp.net", None),
        ("281474976710651@lid", "281474976710651@lid"),
        ("49-1600@g.us", "49-1600@g.us"),
        ("status@broadcast", None),
        ("1203@newsletter", None),
        ("a/b@g.us", None),
        ("@g.us", None),
        ("9" * 300, None),
        ("", None),
        (None, None),
        (4915112345678, None),
    ],
)
def test_chat_id(value: Any, chat: str | None) -> None:
    """Only people and groups are chats, in one form."""
    assert chat_of(value) == chat


def test_chat_ids() -> None:
    """A phone number is preferred to a LID."""
    assert first_chat("1@lid", None, "2@c.us", "3@c.us") == "2@s.whatsapp.net"
    assert first_chat("x", "1@lid", "2@lid") == "1@lid"
    assert first_chat() is None
    assert digits_of("2@s.whatsapp.net") == "2"
    assert digits_of("1@lid") is None
    with pytest.raises(ValueError, match=r"^$"):
        chat_id("1203@newsletter")


@pytest.mark.parametrize("value", [None, "", 7, "x" * 257])
def test_no_message_id(value: Any) -> None:
    """A message without a usable ID is none."""
    assert identifier("3EB0") == "3EB0"
    with pytest.raises(BadResponse):
        identifier(value)


@pytest.mark.parametrize(
    "value",
    [
        SECONDS,
        float(SECONDS),
        str(SECONDS),
        SECONDS * 1000,
        {"low": SECONDS, "high": 0, "unsigned": True},
        "2026-11-24T12:00:00.000Z",
        "2026-11-24T13:00:00+01:00",
    ],
)
def test_moment(value: Any) -> None:
    """Times come in many forms."""
    assert moment(value) == NOON
    assert moment(None, "soon", value) == NOON


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        True,
        0,
        -5,
        float("nan"),
        float("inf"),
        1e300,
        [],
        {},
        "9" * 99,
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000Z",
    ],
)
def test_no_moment(value: Any) -> None:
    """Without a usable time it is now."""
    assert abs(moment(value) - datetime.now(UTC)).total_seconds() < 1


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("image/jpeg", MessageKind.IMAGE),
        ("image/webp", MessageKind.STICKER),
        ("video/mp4", MessageKind.VIDEO),
        ("audio/mpeg", MessageKind.AUDIO),
        ("audio/ogg; codecs=opus", MessageKind.VOICE),
        ("application/pdf", MessageKind.DOCUMENT),
        ("", MessageKind.DOCUMENT),
        (None, MessageKind.DOCUMENT),
    ],
)
def test_kind_of_file(mime_type: str | None, kind: MessageKind) -> None:
    """The type of a file tells what it is."""
    assert kind_of_file(mime_type) is kind


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a report.pdf", "a report.pdf"),
        ("../recordings/door.mp4", "door.mp4"),
        ("/config/www/page.html", "page.html"),
        ("C:\\Users\\me\\a.pdf", "a.pdf"),
        ("folder/", "folder"),
        ("..", None),
        ("/", None),
        ("", None),
        (None, None),
    ],
)
def test_file_name(value: Any, name: str | None) -> None:
    """The name of a received file has no folders."""
    assert file_name(value) == name


def test_too_many_chats() -> None:
    """The number of chats is limited, and each is listed once."""
    rows = [{"id": f"{number}@g.us", "name": " "} for number in range(6000)]

    chats = chats_of([*rows[:2], *rows], (("id",),), ("name",))

    assert len(chats) == 5000
    assert chats[:2] == [Chat(id="0@g.us"), Chat(id="1@g.us")]


def wrapped(depth: int) -> dict[str, Any]:
    """Return a text in so many wrappers."""
    message: dict[str, Any] = {"conversation": "hi"}
    for _ in range(depth):
        message = {"ephemeralMessage": {"message": message}}
    return message


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ({"conversation": "hi"}, MessageKind.TEXT, "hi"),
        ({"extendedTextMessage": {"text": "hi"}}, MessageKind.TEXT, "hi"),
        ({"imageMessage": {"caption": "hi"}}, MessageKind.IMAGE, "hi"),
        ({"audioMessage": {"ptt": False}}, MessageKind.AUDIO, ""),
        ({"audioMessage": {"ptt": True}}, MessageKind.VOICE, ""),
        ({"audioMessage": {"PTT": True}}, MessageKind.VOICE, ""),
        ({"liveLocationMessage": {"caption": "hi"}}, MessageKind.LOCATION, "hi"),
        ({"contactMessage": {"displayName": "hi"}}, MessageKind.CONTACT, "hi"),
        ({"pollCreationMessageV3": {"name": "hi"}}, MessageKind.POLL, "hi"),
        ({"eventMessage": {"name": "hi"}}, MessageKind.OTHER, "hi"),
        ({"conversation": "h" * 9000}, MessageKind.TEXT, "h" * 4096),
        (
            {"documentWithCaptionMessage": {"message": {"documentMessage": {}}}},
            MessageKind.DOCUMENT,
            "",
        ),
        (wrapped(3), MessageKind.TEXT, "hi"),
        ({"conversation": "hi", "messageContextInfo": {}}, MessageKind.TEXT, "hi"),
    ],
    ids=str,
)
def test_content(message: Any, kind: MessageKind, text: str) -> None:
    """A message is understood in WhatsApp's own form."""
    content = content_of(message)

    assert isinstance(content, Content)
    assert (content.kind, content.text) == (kind, text)


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"messageContextInfo": {}},
        {"protocolMessage": {"type": 0}},
        {"pollUpdateMessage": {}, "messageContextInfo": {}},
        wrapped(9),
    ],
    ids=str,
)
def test_no_content(message: Any) -> None:
    """What people don't see is no message."""
    assert isinstance(content_of(message), Skipped)


def test_details_of_content() -> None:
    """A file tells its type and name, and an answer what it answers."""
    document = {
        "mimetype": "application/pdf",
        "fileName": "a.pdf",
        "contextInfo": {"stanzaID": "3EB0"},
    }
    content = content_of({"documentMessage": document})
    assert isinstance(content, Content)
    assert (content.mime_type, content.filename) == ("application/pdf", "a.pdf")
    assert (content.reply_to, content.is_file) == ("3EB0", True)

    content = content_of({"reactionMessage": {"key": {"id": "3EB1"}, "text": "👍"}})
    assert isinstance(content, Content)
    assert content.is_reaction
    assert (content.text, content.reply_to, content.is_file) == ("👍", "3EB1", False)


def test_memory() -> None:
    """The oldest is forgotten, so that memory doesn't grow."""
    memory: dict[int, int] = {}
    for number in range(2001):
        remember(memory, number % 2000, number)
    assert len(memory) == 2000
    remember(memory, 5000, 0)
    assert 1 not in memory
    assert {0, 2, 5000} <= memory.keys()


@pytest.mark.parametrize(
    ("message_id", "parts"),
    [
        ("3EB0AA", ("3EB0AA", None, None)),
        ("true_4915100000010@c.us_3EB0AA", ("3EB0AA", "4915100000010@c.us", None)),
        ("true_491@s.whatsapp.net_3EB0AA", ("3EB0AA", "491@s.whatsapp.net", None)),
        ("false_2111@lid_3EB0AA", ("3EB0AA", "2111@lid", None)),
        ("true_1203-15@g.us_3EB0AA", ("3EB0AA", "1203-15@g.us", None)),
        ("true_1203@g.us_3EB0AA_491@c.us", ("3EB0AA", "1203@g.us", "491@c.us")),
        ("true_1203@g.us_3EB0AA_2111@lid", ("3EB0AA", "1203@g.us", "2111@lid")),
        # the chat with oneself
        ("true_491@c.us_3EB0AA_out", ("3EB0AA", "491@c.us", "out")),
        ("false_491@c.us_MSG_1", ("MSG_1", "491@c.us", None)),
        ("false_1203@g.us_MSG_1_491@c.us", ("MSG_1", "1203@g.us", "491@c.us")),
        # other gateways have IDs of their own
        ("msg_01_3EB0AA", ("msg_01_3EB0AA", None, None)),
        ("true_01_3EB0AA", ("true_01_3EB0AA", None, None)),
        ("true_491@c.us_", ("true_491@c.us_", None, None)),
        ("true_491@c.us", ("true_491@c.us", None, None)),
        ("", ("", None, None)),
    ],
)
def test_forms_of_ids(
    message_id: str, parts: tuple[str, str | None, str | None]
) -> None:
    """An ID may have the chat and the sender in it."""
    found = (bare_id(message_id), chat_in_id(message_id), member_in_id(message_id))
    assert found == parts
