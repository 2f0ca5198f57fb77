"""WhatIsUp: what only this gateway does, with the examples of its document."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.whatsapp_gateway.providers.messages import (
    IncomingMessage,
    MessageEvent,
    MessageKind,
)
from custom_components.whatsapp_gateway.providers.models import (
    InstanceChanged,
    InstanceStatus,
    QrCode,
    Skipped,
    Unreachable,
)
from custom_components.whatsapp_gateway.providers.whatisup.events import _parse_event
from tests.gateways.machine import CODE_LIVES, State, new_code_text
from tests.gateways.picture import data_uri
from tests.harness.calls import answer
from tests.harness.pairings import first_code, pair
from tests.harness.qr_reader import read_qr

if TYPE_CHECKING:
    from custom_components.whatsapp_gateway.providers.whatisup.client import WhatIsUp
    from tests.gateways.machine import Session
    from tests.gateways.whatisup import WhatIsUpGateway
    from tests.harness.clock import Clock

MIB = 1024 * 1024
FIXTURES = Path(__file__).parents[1] / "fixtures" / "whatisup"


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "whatisup"


async def test_document_instance(gateway: WhatIsUpGateway, provider: WhatIsUp) -> None:
    """The rest of the WhatIsUp document's instance is understood."""
    gateway.fail("list", body=(FIXTURES / "list.json").read_bytes())

    [instance] = await provider.instances()

    assert instance.phone_number == "+5511999999999"
    assert instance.last_seen == datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)
    assert instance.account_id == "cust_01J6..."
    assert instance.raw_status == "connected"
    assert "5511999999999" not in repr(instance)


async def test_document_qr(gateway: WhatIsUpGateway, provider: WhatIsUp) -> None:
    """The WhatIsUp document's code is understood: its text counts, not its picture."""
    gateway.fail("qr", body=(FIXTURES / "qr.json").read_bytes())

    code = await provider.qr("inst")

    assert code == QrCode(raw="2@dPBI4Tg9Mc...,vlD4Pmkr...")
    assert "2@" not in repr(code)


async def test_no_code(gateway: WhatIsUpGateway, provider: WhatIsUp) -> None:
    """An empty body and the error `no_qr` both mean: no code right now."""
    connected = gateway.add("Home", State.CONNECTED)
    linked = gateway.add("Shop", linked=True)

    assert await provider.qr(connected.id) is None
    assert await provider.qr(linked.id) is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("qr_required", InstanceStatus.SCAN_QR),
        ("reconnecting", InstanceStatus.STARTING),
        ("logged_out", InstanceStatus.DISCONNECTED),
        ("stopped_by_user", InstanceStatus.DISCONNECTED),
        ("error", InstanceStatus.FAILED),
        ("disabled_by_admin", InstanceStatus.FAILED),
    ],
)
async def test_other_words(
    gateway: WhatIsUpGateway, provider: WhatIsUp, word: str, status: InstanceStatus
) -> None:
    """Words that the document does not have, but the gateway uses."""
    answer(gateway, "list", [{"id": "one", "status": word}])

    [one] = await provider.instances()

    assert one.status is status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-05-01T12:34:56.789Z", datetime(2026, 5, 1, 12, 34, 56, 789000, UTC)),
        ("2026-05-01T12:34:56Z", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("2026-05-01T12:34:56", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("2026-05-01T09:34:56-03:00", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        (1777638896, None),
        (None, None),
    ],
)
async def test_timestamps(
    gateway: WhatIsUpGateway, provider: WhatIsUp, given: Any, expected: datetime | None
) -> None:
    """A time comes in many forms."""
    answer(gateway, "one", {"id": "1", "status": "connected", "last_seen_at": given})

    assert (await provider.instance("1")).last_seen == expected


def code_of(one: Session, expires: float) -> dict[str, Any]:
    """Return what a gateway answers whose clock or code is odd."""
    text = new_code_text()
    moment = datetime.fromtimestamp(expires, UTC).isoformat()
    return {"qr": data_uri(text), "raw": text, "expires_at": moment}


@pytest.mark.parametrize(("off", "shown"), [(-1, False), (-3600, True), (3600, True)])
async def test_odd_end(
    gateway: WhatIsUpGateway, provider: WhatIsUp, off: float, *, shown: bool
) -> None:
    """A code just expired is not shown; a clock that is far off is not believed."""
    one = gateway.add("Home", State.WAITING)
    gateway.fail("qr", body=json.dumps(code_of(one, time.time() + off)).encode())
    async with aclosing(pair(provider, one.id)) as pairings:
        first = await anext(pairings)

    assert gateway.count("qr") == 1
    assert bool(first.png) is shown


@pytest.mark.parametrize("ahead", [-1000, -20, -4, 4, 15, 40, 1000])
async def test_other_clock(
    gateway: WhatIsUpGateway, provider: WhatIsUp, ahead: float
) -> None:
    """Codes are shown until they expire, whatever time the gateway's clock shows."""
    gateway.clock_ahead = ahead
    session = gateway.add("Home")
    shown: set[str] = set()
    late = 0
    async for pairing in pair(provider, session.id):
        if pairing.png and (text := read_qr(pairing.png)):
            shown.add(text)
            late += session.code is None or session.code.text != text

    assert len(shown) == len(CODE_LIVES)
    assert late == 0


async def test_asked_again(gateway: WhatIsUpGateway, provider: WhatIsUp) -> None:
    """An instance that still looks as if it was never started is asked again."""
    one = gateway.add("Home")
    gateway.statuses = {**gateway.statuses, State.BOOTING: "pending"}
    gateway.fail("qr", body=b"", times=1)
    async with aclosing(pair(provider, one.id)) as pairings:
        assert await first_code(pairings)
    assert one.starts == 1


async def follow(provider: WhatIsUp, seen: list[Any]) -> None:
    """Keep what is reported until the connection ends."""
    async for event in provider.events.follow():
        seen.append(event)  # noqa: PERF401  until it fails


async def test_events(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock
) -> None:
    """All forms of events are understood, however they arrive."""
    gateway.events.on = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(provider, seen))
    await clock.run(1)
    frames = [
        b"\xef\xbb\xbf: hello\r\n\r\n",
        b'data: {"event": "instance.connected", "instance_id": "flat"}\r\n\r\n',
        b'event: message\nid: 7\ndata:{"event": "channel.disconnected",\n',
        b'data: "channel_id": "lines"}\n\n',
        b'data: {"event": "qr.updated", "data": {"instance_id": "nested"}}\r\r',
        'data: {"event": "instance.connected", "instance_id": "größe"}\n\n'.encode(),
        b'data: {"event": "message.received", "instance_id": "x", "data": {}}\n\n',
        b'data: {"event": "instance.connected"}\n\n',
        b"data: not JSON\n\n",
        b'data: ["no object"]\n\n',
        b"retry: 5\n\n",
    ]
    for byte in b"".join(frames):
        await gateway.events.send(bytes([byte]))
    await clock.run(1)
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task
    assert [(one.instance_id, one.has_code) for one in seen if one] == [
        ("flat", False),
        ("lines", False),
        ("nested", True),
        ("größe", False),
    ]
    assert seen.count(None) == 5


@pytest.mark.parametrize(
    "data",
    [
        b"data: " + b"x" * 20 * MIB,
        b": comment".ljust(20 * MIB),
        (b"data: ".ljust(MIB) + b"\n") * 20,
    ],
    ids=["line", "comment", "lines"],
)
async def test_huge_event(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock, data: bytes
) -> None:
    """An event of more than 16 MiB is skipped, and the next one is understood."""
    gateway.events.on = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(provider, seen))
    await clock.run(1)
    event = b'data: {"event": "qr.updated", "instance_id": "one"}\n\n'
    await gateway.events.send(data + b"\n\n" + event)
    await clock.run(1)
    *before, changed = seen
    assert changed == InstanceChanged(instance_id="one", has_code=True)
    assert [one for one in before if one] == [Skipped("too_large")]
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task


async def test_event_of_almost_16_mebibytes(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock
) -> None:
    """A large event is understood."""
    gateway.events.on = True
    seen: list[Any] = []
    task = asyncio.create_task(follow(provider, seen))
    await clock.run(1)
    event = {"event": "qr.updated", "instance_id": "one", "qr": "x" * 16_000_000}
    await gateway.events.send(f"data: {json.dumps(event)}\n\n".encode())
    await clock.run(1)
    assert seen == [InstanceChanged(instance_id="one", has_code=True)]
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task


async def test_endless_answer(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock
) -> None:
    """Only events may take as long as they like, and no other answer."""
    gateway.fail("events", slow=True)
    task = asyncio.create_task(follow(provider, []))
    await clock.run(11)
    assert task.done()
    with pytest.raises(Unreachable):
        await task
    gateway.heal()
    gateway.events.on = True
    task = asyncio.create_task(follow(provider, []))
    await clock.run(11)
    assert gateway.events.listeners == 1
    task.cancel()


async def test_events_end(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock
) -> None:
    """A stream that the gateway ends is an outage."""
    gateway.events.on = True
    task = asyncio.create_task(follow(provider, []))
    await clock.run(1)
    gateway.events.stop()
    with pytest.raises(Unreachable, match="ended"):
        await task


# Messages


CHAT = "4915112345678@s.whatsapp.net"
GROUP = "120363025246125486@g.us"


@pytest.mark.parametrize("form", ["flat", "nested"])
async def test_forms_of_messages(
    gateway: WhatIsUpGateway, provider: WhatIsUp, clock: Clock, form: Any
) -> None:
    """Messages and reactions are understood in both forms of events."""
    gateway.event_form = form
    gateway.events.on = provider.events.receives = True
    home = gateway.add("Home", State.CONNECTED)
    seen: list[Any] = []
    task = asyncio.create_task(follow(provider, seen))
    await clock.run(1)
    kinds = [kind for kind in MessageKind if kind is not MessageKind.OTHER]
    for kind in (*kinds, "other"):
        await gateway.deliver(
            home, GROUP, "T", kind=kind, media=b"1", sender="12025550123", filename="f"
        )
    await gateway.deliver(home, CHAT, "mine", from_me=True)
    await gateway.react(home, CHAT, "3EB0", "👍")
    await clock.run(1)
    gateway.hang_up()
    with pytest.raises(Unreachable):
        await task

    *messages, reaction = [one for one in seen if isinstance(one, IncomingMessage)]
    assert [one.kind for one in messages] == [*kinds, MessageKind.OTHER]
    assert {one.text for one in messages} == {"T"}
    people = {(one.chat_id, one.sender_id) for one in messages}
    assert people == {(GROUP, "12025550123@s.whatsapp.net")}
    files = [one for one in messages if one.is_file]
    assert len(files) == 6
    assert {one.filename for one in files} == {"f"}
    assert all(one.mime_type and one.media is None for one in files)
    assert reaction.event is MessageEvent.REACTION
    assert (reaction.text, reaction.reply_to, reaction.chat_id) == ("👍", "3EB0", CHAT)


def event(name: str = "message.received", **data: Any) -> bytes:
    """Return an event about a message."""
    return json.dumps({"event": name, "instance_id": "one", "data": data}).encode()


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ({"body": "hi"}, MessageKind.TEXT, "hi"),
        ({"text": "hi"}, MessageKind.TEXT, "hi"),
        ({"body": {"text": "hi"}, "type": "Text"}, MessageKind.TEXT, "hi"),
        (
            {"body": {"type": "interactive", "body": {"text": "hi"}}},
            MessageKind.TEXT,
            "hi",
        ),
        (
            {"body": {"media_url": "u", "caption": "hi", "mimetype": "image/png"}},
            MessageKind.IMAGE,
            "hi",
        ),
        ({"media_url": "u", "mime_type": "audio/mpeg"}, MessageKind.AUDIO, ""),
    ],
    ids=str,
)
def test_kinds_of_messages(data: dict[str, Any], kind: MessageKind, text: str) -> None:
    """What isn't documented is guessed with care."""
    message = _parse_event(event(id="1", **data, **{"from": "+491"}), receives=True)

    assert isinstance(message, IncomingMessage)
    assert (message.kind, message.text) == (kind, text)
    assert (message.chat_id, message.id) == ("491@s.whatsapp.net", "1")


def test_group_beside_the_sender() -> None:
    """The group may stand beside the person, or the person beside the group."""
    for data in (
        {"from": "491", "chat_id": GROUP},
        {"from": GROUP, "participant": "491@c.us"},
    ):
        message = _parse_event(event(id="1", body="hi", **data), receives=True)
        assert isinstance(message, IncomingMessage)
        assert message.chat_id == GROUP
        assert message.sender_id == "491@s.whatsapp.net"


def test_id_of_a_reaction() -> None:
    """Without another one, the ID of a message is that of the one reacted to."""
    data = {"from": "491", "message_id": "1", "reaction": "👍", "event_id": "evt"}
    message = _parse_event(event("message.reaction", **data), receives=True)
    assert isinstance(message, IncomingMessage)
    assert (message.id, message.reply_to, message.text) == ("evt", "1", "👍")


@pytest.mark.parametrize(
    "data",
    [
        {"body": "hi", "id": "1"},
        {"from": 7, "body": "hi", "id": "1"},
        {"from": "491", "body": {"type": "hologram"}, "id": "1"},
        {"from": "status@broadcast", "body": "hi", "id": "1"},
        {"from": "+491", "chat_id": "status@broadcast", "body": "hi", "id": "1"},
        {"from": "491", "body": "hi"},
        {"from": "491", "body": "hi", "id": "1", "from_me": True},
    ],
    ids=str,
)
def test_no_message(data: dict[str, Any]) -> None:
    """A message from nobody, or without an ID, is none."""
    assert isinstance(_parse_event(event(**data), receives=True), Skipped)


@pytest.mark.parametrize("word", ["protocol", "revoked", "edited", "call", "system"])
def test_silent_types(word: str) -> None:
    """What people don't see is skipped by its type."""
    body = {"type": word, "text": "hi"}
    data: dict[str, Any] = {"from": "491", "id": "1", "body": body}
    assert _parse_event(event(**data), receives=True) == Skipped(word)


@pytest.mark.parametrize("body", ["", "  ", None, {}, {"type": "text", "text": " "}])
def test_blank(body: Any) -> None:
    """A message without anything to see is none."""
    data = {"from": "491", "id": "1", "body": body}
    assert isinstance(_parse_event(event(**data), receives=True), Skipped)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"type": "list_response", "title": "Close the blinds"}, "Close the blinds"),
        ({"type": "interactive", "body": {"text": "Your code"}}, "Your code"),
        ({"type": "button_reply", "text": "Yes"}, "Yes"),
    ],
)
def test_replies_to_lists(body: Any, text: str) -> None:
    """The label that a person has tapped is a text."""
    data = {"from": "491", "id": "1", "body": body}
    message = _parse_event(event(**data), receives=True)
    assert isinstance(message, IncomingMessage)
    assert (message.kind, message.text) == (MessageKind.TEXT, text)


@pytest.mark.parametrize("word", ["message", "chat", "extendedTextMessage"])
def test_type_beside_body(word: str) -> None:
    """A type beside the body may mean anything, unless it is known to be silent."""
    data = {"from": "491", "id": "1", "body": "hi", "type": word}
    message = _parse_event(event(**data), receives=True)
    assert isinstance(message, IncomingMessage)
    assert (message.kind, message.text) == (MessageKind.TEXT, "hi")
    data["type"] = "revoked"
    assert _parse_event(event(**data), receives=True) == Skipped("revoked")


def test_people_of_messages() -> None:
    """Hosted accounts and broadcast lists are people; a number may stand beside."""
    for data, chat in (
        ({"from": "491@hosted"}, "491@s.whatsapp.net"),
        ({"from": "7@hosted.lid"}, "7@lid"),
        ({"from": "1@broadcast", "participant": "491"}, "491@s.whatsapp.net"),
    ):
        message = _parse_event(event(id="1", body="hi", **data), receives=True)
        assert isinstance(message, IncomingMessage)
        assert (message.chat_id, message.sender_id) == (chat, chat)
    told = {"from": "7@lid", "sender_pn": "491@s.whatsapp.net"}
    message = _parse_event(event(id="1", body="hi", **told), receives=True)
    assert isinstance(message, IncomingMessage)
    assert message.same_people == (("7@lid", "491@s.whatsapp.net"),)
    nobody = event(id="1", body="hi", **{"from": "1@broadcast"})
    assert isinstance(_parse_event(nobody, receives=True), Skipped)


@pytest.mark.parametrize("hours", [-3, 3, 5.75, -9.5])
def test_local_times(hours: float) -> None:
    """A local time that is labelled UTC is now; an old one is old."""
    now = datetime.now(UTC)
    for seconds, age in (
        (hours * 3600, 0),
        (-7 * 60, 7 * 60),
        (-15 * 60, 15 * 60),
        (-3500, 3500),
        (-20 * 3600, 72_000),
    ):
        moment = (now + timedelta(seconds=seconds)).isoformat()[:23] + "Z"
        data = {"from": "491", "id": "1", "body": "hi", "received_at": moment}
        message = _parse_event(event(**data), receives=True)
        assert isinstance(message, IncomingMessage)
        assert abs((now - message.sent_at).total_seconds() - age) < 60


def test_not_asked_for() -> None:
    """Messages are skipped without consent, and own ones always."""
    data = {"from": "491", "body": "hi", "id": "1"}
    assert _parse_event(event(**data), receives=False) is None
    assert _parse_event(event(**data), receives=True)
    assert _parse_event(event("message.sent", **data), receives=True) is None
