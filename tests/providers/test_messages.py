"""Messages through each gateway, by its client alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
import socket
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.whatsapp_gateway.providers.messages import (
    Chat,
    IncomingMessage,
    Location,
    Media,
    MessageEvent,
    MessageKind,
    OutgoingMessage,
    Poll,
    SentMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    BadResponse,
    Closed,
    Feature,
    GatewayError,
    MaybeSent,
    NoConnection,
    RateLimited,
    Refusal,
    Refused,
    Rejected,
    Unauthorized,
    Unreachable,
)
from tests.gateways.machine import State
from tests.harness.calls import present
from tests.harness.facts import needs
from tests.harness.helpers import until
from tests.harness.leaks import leaked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock

ANNA, BEN = "4915112345678", "12025550123"
PERSON = f"{ANNA}@s.whatsapp.net"
GROUP = "120363025246125486@g.us"
TEXT = OutgoingMessage(text="Die Waschmaschine ist fertig.\n*Gruß* 🧺")
FILE = bytes(range(256)) * 8
PUBLIC = "https://home.example.org"
FEATURES = {
    "media_content": Feature.MEDIA_CONTENT,
    "replies": Feature.REPLIES,
    "mentions": Feature.MENTIONS,
    "polls": Feature.POLLS,
    "locations": Feature.LOCATIONS,
    "reactions": Feature.REACTIONS,
    "receiving": Feature.RECEIVING,
}


@pytest.fixture
def home(gateway: Gateway) -> Session:
    """Return an instance that is connected."""
    return gateway.add("Home", State.CONNECTED)


def media(kind: MessageKind, mime_type: str, **source: Any) -> Media:
    """Return a file of this kind."""
    return Media(kind=kind, mime_type=mime_type, filename="file.bin", **source)


def received(instance_id: str) -> IncomingMessage:
    """Return a message of a group whose sender is only known by a LID."""
    return IncomingMessage(
        event=MessageEvent.RECEIVED,
        instance_id=instance_id,
        id="1",
        chat_id=GROUP,
        kind=MessageKind.TEXT,
        sent_at=datetime.now(UTC),
        sender_id="281474976710651@lid",
    )


def test_features(gateway: Gateway, provider: Provider) -> None:
    """The client offers what the gateway can do."""
    for fact, feature in FEATURES.items():
        assert (feature in provider.features) is gateway.has(fact), fact


# Sending


@needs("messages")
@pytest.mark.parametrize("chat", [PERSON, GROUP])
async def test_text(
    gateway: Gateway, provider: Provider, home: Session, chat: str
) -> None:
    """A text arrives as it is, once."""
    answer = await present(provider.messages).send(home.id, chat, TEXT)

    [sent] = gateway.sent
    assert (sent.session_id, sent.chat_id, sent.kind) == (home.id, chat, "text")
    assert sent.text == TEXT.text
    assert sent.reply_to is None
    assert not sent.mentions
    assert answer.id == (sent.id if gateway.has("message_ids") else None)
    assert answer.chat_id == (chat if gateway.has("sent_chats") else None)


@needs("messages")
async def test_lid(gateway: Gateway, provider: Provider, home: Session) -> None:
    """A person without a known number gets messages as well."""
    with suppress(Rejected):
        await present(provider.messages).send(home.id, "281474976710651@lid", TEXT)
        assert gateway.sent[-1].chat_id == "281474976710651@lid"


FILES = [
    (MessageKind.IMAGE, "image/jpeg", {"image"}),
    (MessageKind.VIDEO, "video/mp4", {"video", "document"}),
    (MessageKind.AUDIO, "audio/mpeg", {"audio", "document"}),
    (MessageKind.VOICE, "audio/ogg; codecs=opus", {"voice", "audio"}),
    (MessageKind.DOCUMENT, "application/pdf", {"document"}),
]
"""A kind of file, its type, and as what it may arrive."""
WITH_CAPTION = {"image", "video", "document"}


@needs("media_content")
@pytest.mark.parametrize(("kind", "mime_type", "kinds"), FILES)
async def test_file(
    gateway: Gateway,
    provider: Provider,
    home: Session,
    kind: MessageKind,
    mime_type: str,
    kinds: set[str],
) -> None:
    """The content of a file arrives, with its caption if it can have one."""
    file = media(kind, mime_type, content=FILE, url="http://homeassistant:8123/x")
    await present(provider.messages).send(
        home.id, GROUP, OutgoingMessage(text="Look", media=file)
    )

    [sent] = gateway.sent
    assert sent.media == FILE
    assert sent.kind in kinds
    if sent.kind in WITH_CAPTION:
        assert sent.text == "Look"
    if sent.kind == "document":
        assert sent.filename == "file.bin"


@pytest.fixture
async def public(gateway: Gateway) -> AsyncGenerator[str]:
    """Return a public address that leads to a file."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=FILE)

    app = web.Application()
    app.add_routes([web.get("/file.bin", serve)])
    async with TestServer(app) as server:
        gateway.webhooks.proxies[PUBLIC] = str(server.make_url("")).rstrip("/")
        yield f"{PUBLIC}/file.bin"


@needs("messages")
@pytest.mark.parametrize("caption", ["Look", ""])
@pytest.mark.parametrize(("kind", "mime_type", "kinds"), FILES)
async def test_file_at_an_address(
    gateway: Gateway,
    provider: Provider,
    home: Session,
    public: str,
    kind: MessageKind,
    mime_type: str,
    kinds: set[str],
    caption: str,
) -> None:
    """The gateway fetches a file from its address."""
    file = media(kind, mime_type, url=public)
    await present(provider.messages).send(
        home.id, PERSON, OutgoingMessage(text=caption, media=file)
    )

    [sent] = gateway.sent
    assert sent.media == FILE
    assert sent.kind in kinds
    assert sent.text in ({caption} if sent.kind in WITH_CAPTION else {"", caption})


@needs("messages")
async def test_no_file_at_the_address(
    gateway: Gateway, provider: Provider, home: Session, public: str
) -> None:
    """A file that can't be fetched is not sent."""
    file = media(MessageKind.IMAGE, "image/jpeg", url=f"{public}.gone")

    with pytest.raises(GatewayError):
        await present(provider.messages).send(
            home.id, PERSON, OutgoingMessage(media=file)
        )

    assert not gateway.sent
    await present(provider.messages).send(home.id, PERSON, TEXT)


@needs("media_content")
async def test_large_file(gateway: Gateway, provider: Provider, home: Session) -> None:
    """A file of 16 MiB arrives, and is encoded outside of the event loop."""
    content = bytes(16 * 1024 * 1024)
    file = media(MessageKind.DOCUMENT, "application/zip", content=content)

    await present(provider.messages).send(home.id, PERSON, OutgoingMessage(media=file))

    assert gateway.sent[-1].media == content


@needs("replies", "mentions")
async def test_reply_with_mentions(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A message answers another one, and mentions people."""
    original = await gateway.deliver(home, GROUP, "Who?", sender=ANNA)

    message = OutgoingMessage(text=f"@{BEN}", reply_to=original, mentions=(BEN,))
    await present(provider.messages).send(home.id, GROUP, message)

    assert gateway.sent[-1].reply_to == original
    assert gateway.sent[-1].mentions == (BEN,)


@needs("polls")
@pytest.mark.parametrize("multiple", [True, False])
async def test_poll(
    gateway: Gateway, provider: Provider, home: Session, *, multiple: bool
) -> None:
    """A question arrives with its options."""
    poll = Poll(question="Heat?", options=("Yes", "No"), multiple=multiple)

    await present(provider.messages).send(home.id, GROUP, OutgoingMessage(poll=poll))

    sent = gateway.sent[-1]
    assert (sent.kind, sent.text, sent.options) == ("poll", "Heat?", ("Yes", "No"))
    assert sent.multiple is multiple


@needs("locations")
@pytest.mark.parametrize("name", ["Garage", ""])
async def test_location(
    gateway: Gateway, provider: Provider, home: Session, name: str
) -> None:
    """A place arrives with its name, if it has one."""
    place = Location(latitude=52.52, longitude=13.405, name=name)

    await present(provider.messages).send(
        home.id, PERSON, OutgoingMessage(location=place)
    )

    sent = gateway.sent[-1]
    assert (sent.kind, sent.text) == ("location", name)
    assert (sent.latitude, sent.longitude) == (52.52, 13.405)


@needs("reactions")
@pytest.mark.parametrize("emoji", ["👍", ""])
async def test_reaction(
    gateway: Gateway, provider: Provider, home: Session, emoji: str
) -> None:
    """A reaction belongs to a message; an empty one takes it back."""
    original = await gateway.deliver(home, PERSON, "Hello")

    message = OutgoingMessage(reaction=emoji, reply_to=original)
    await present(provider.messages).send(home.id, PERSON, message)

    sent = gateway.sent[-1]
    assert (sent.kind, sent.text, sent.reply_to) == ("reaction", emoji, original)


@needs("reactions", "message_ids")
async def test_reaction_to_own_message(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """What was sent can be reacted to with the ID that was answered."""
    sent_id = (await present(provider.messages).send(home.id, PERSON, TEXT)).id

    message = OutgoingMessage(reaction="✅", reply_to=sent_id)
    await present(provider.messages).send(home.id, PERSON, message)

    assert sent_id
    assert (gateway.sent[-1].reply_to or "").endswith(sent_id)


# Errors of sending


@needs("messages")
async def test_not_connected(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """An instance that is not connected sends nothing, and says so."""
    home.state = State.STOPPED

    with pytest.raises(Refused) as raised:
        await present(provider.messages).send(home.id, PERSON, TEXT)

    assert raised.value.reason is Refusal.INSTANCE_NOT_CONNECTED
    assert not gateway.sent
    home.state = State.CONNECTED
    await present(provider.messages).send(home.id, PERSON, TEXT)
    assert len(gateway.sent) == 1


@needs("messages")
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        # from a framework that stops waiting for something that goes on
        {"status": 408},
        {"status": 502, "html": True},
        {"hang": True},
        {"drop": True},
        {"html": True},
        {"truncate": True},
        {"huge": True},
        # taken, but not confirmed in time
        {"late": 90},
    ],
    ids=str,
)
async def test_maybe_sent(
    gateway: Gateway, provider: Provider, home: Session, fault: dict[str, Any]
) -> None:
    """Without a clear answer nobody knows if a message was sent, and it isn't again."""
    gateway.fail("send", **fault)
    start = time.monotonic()

    with pytest.raises(MaybeSent):
        await present(provider.messages).send(home.id, PERSON, TEXT)

    assert time.monotonic() - start < 61.1
    assert gateway.count("send") == 1
    taken = len(gateway.sent)
    assert taken == (not fault.keys().isdisjoint({"truncate", "late"}))
    gateway.heal()
    await present(provider.messages).send(home.id, PERSON, TEXT)
    assert len(gateway.sent) == taken + 1
    # a late answer is still to come
    await asyncio.sleep(fault.get("late", 0))


@needs("messages")
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 403},
        {"status": 422},
        {"status": 404, "html": True},
        {"status": 413, "html": True},
        {"redirect": "https://elsewhere.example/"},
    ],
    ids=str,
)
async def test_not_sent(
    gateway: Gateway, provider: Provider, home: Session, fault: dict[str, Any]
) -> None:
    """An answer that refuses a message means that it was not sent."""
    gateway.fail("send", **fault)

    with pytest.raises(GatewayError) as raised:
        await present(provider.messages).send(home.id, PERSON, TEXT)

    assert not isinstance(raised.value, MaybeSent)
    assert gateway.count("send") == 1
    gateway.heal()
    await present(provider.messages).send(home.id, PERSON, TEXT)


@needs("messages")
@pytest.mark.parametrize(
    "fault",
    [
        {"halve": True},
        {"status": 201},
        {"body": b"[]"},
        {"body": b'{"id": 7, "key": "x", "message_id": [], "data": null}'},
    ],
    ids=str,
)
async def test_odd_confirmation(
    gateway: Gateway, provider: Provider, home: Session, fault: dict[str, Any]
) -> None:
    """A message that the gateway has taken is sent, whatever else it answers."""
    gateway.fail("send", **fault)

    assert await present(provider.messages).send(home.id, PERSON, TEXT) == SentMessage()

    gateway.heal()
    await present(provider.messages).send(home.id, PERSON, TEXT)


@needs("messages")
async def test_failure_with_success(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """An answer that reports a failure is one."""
    gateway.fail("send", body=b'{"success": false, "error": {"message": "No"}}')

    with pytest.raises(Rejected, match="No"):
        await present(provider.messages).send(home.id, PERSON, TEXT)

    gateway.heal()
    await present(provider.messages).send(home.id, PERSON, TEXT)


@needs("messages")
async def test_no_connection(
    gateway: Gateway, provider: Provider, home: Session, clock: Clock
) -> None:
    """Nothing was sent to a gateway that isn't there, or to which nothing is sent."""
    gateway.fail("send", status=429, headers={"Retry-After": "20"}, times=1)
    for _ in range(2):
        with pytest.raises(RateLimited):
            await present(provider.messages).send(home.id, PERSON, TEXT)
    assert gateway.count("send") == 1
    await clock.run(21)
    gateway.fail("send", status=401, times=1)
    with pytest.raises(Unauthorized):
        await present(provider.messages).send(home.id, PERSON, TEXT)

    nowhere = type(provider)(provider._http._session, "http://127.0.0.1:1", "key")
    with pytest.raises(NoConnection):
        await present(nowhere.messages).send(home.id, PERSON, TEXT)

    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # further connections get no answer
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        url = "http://{}:{}".format(*full.getsockname())
        silent = type(provider)(provider._http._session, url, "key")
        with pytest.raises(NoConnection):
            await present(silent.messages).send(home.id, PERSON, TEXT)
        for one in waiting:
            one.close()

    provider.close()
    with pytest.raises(Closed):
        await present(provider.messages).send(home.id, PERSON, TEXT)


@needs("messages")
async def test_text_that_is_no_unicode(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A text that can't be encoded is refused, and not shown."""
    with pytest.raises(Rejected, match=r"^This can't be sent as JSON$"):
        await present(provider.messages).send(
            home.id, PERSON, OutgoingMessage(text="secret \ud800")
        )

    assert not gateway.count("send")


@needs("messages")
async def test_no_number_in_errors(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """What a gateway repeats of a number is not shown."""
    gateway.fail("send", status=422, code="bad", message=f"No chat with {ANNA}")

    with pytest.raises(Rejected) as raised:
        await present(provider.messages).send(home.id, PERSON, TEXT)

    assert leaked(str(raised.value)) == []


PRIVATE = '+12025550199: the "key" is under the\nmat of the neighbours'


@needs("messages")
@pytest.mark.parametrize("status", [422, 500])
@pytest.mark.parametrize(
    "message",
    [
        OutgoingMessage(text=PRIVATE),
        OutgoingMessage(poll=Poll(question="?", options=("Yes", PRIVATE))),
        OutgoingMessage(location=Location(latitude=1, longitude=2, name=PRIVATE)),
    ],
    ids=["text", "poll", "location"],
)
async def test_no_text_in_errors(
    gateway: Gateway,
    provider: Provider,
    home: Session,
    status: int,
    message: OutgoingMessage,
) -> None:
    """What a gateway repeats of a message is not shown."""
    in_json = json.dumps({"text": PRIVATE})
    for repeated in (PRIVATE, in_json, PRIVATE[8:]):
        gateway.fail("send", status=status, code="bad", message=f"Bad: {repeated}!")

        with pytest.raises(GatewayError) as raised:
            await present(provider.messages).send(home.id, PERSON, message)

        assert "neighbours" not in str(raised.value)
    gateway.fail("send", status=status, code="bad", message="Bad: too long")
    with pytest.raises(GatewayError, match="too long"):
        await present(provider.messages).send(home.id, PERSON, message)


# Chats and people


@needs("chats")
async def test_chats(gateway: Gateway, provider: Provider, home: Session) -> None:
    """Groups are listed with their names, and people where the gateway can."""
    chats = await present(provider.chats).list_chats(home.id)

    groups = {chat.id: chat.name for chat in chats if chat.is_group}
    assert groups == gateway.groups
    people = {chat.id: chat.name for chat in chats if not chat.is_group}
    known = {
        f"{number}@s.whatsapp.net": name for number, name in gateway.people.items()
    }
    assert people == (known if gateway.has("people_in_chats") else {})
    assert leaked(repr(chats)) == []


@needs("chats")
async def test_many_chats(gateway: Gateway, provider: Provider, home: Session) -> None:
    """All groups of a busy account are listed, with names of a limited length."""
    gateway.scale = 100
    gateway.groups = {f"1203630{number:011}@g.us": "G" * 300 for number in range(550)}

    groups = [
        chat
        for chat in await present(provider.chats).list_chats(home.id)
        if chat.is_group
    ]

    assert {chat.id for chat in groups} == gateway.groups.keys()
    assert {len(chat.name or "") for chat in groups} == {100}
    gateway.groups = {}
    assert not any(
        chat.is_group for chat in await present(provider.chats).list_chats(home.id)
    )


@needs("chats")
@pytest.mark.parametrize("body", [b'{"data": 7}', b'"x"', b"7", b"null"])
async def test_odd_chats(
    gateway: Gateway, provider: Provider, home: Session, body: bytes
) -> None:
    """An answer that is no list is an error, and one of nonsense lists nothing."""
    gateway.fail("chats", body=body)
    with pytest.raises(GatewayError):
        await present(provider.chats).list_chats(home.id)

    rows = b'[1, null, {}, {"id": 5}, {"id": "x"}, {"id": "9@newsletter"}]'
    gateway.fail("chats", body=rows)
    assert await present(provider.chats).list_chats(home.id) == []

    gateway.fail("chats", body=b'[{"id": "5-6@g.us", "subject": 7}]')
    assert await present(provider.chats).list_chats(home.id) == [Chat(id="5-6@g.us")]
    gateway.heal()
    assert await present(provider.chats).list_chats(home.id)


@needs("number_check")
async def test_number_check(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A number has WhatsApp or not; nothing is sent to find out."""
    assert await present(provider.number_check).find_person(home.id, ANNA) == PERSON
    assert (
        await present(provider.number_check).find_person(home.id, "4930123456") is None
    )
    # in Brazil, many have a digit more than on WhatsApp
    gateway.other_numbers["5511999998888"] = ANNA
    assert (
        await present(provider.number_check).find_person(home.id, "5511999998888")
        == PERSON
    )
    assert not gateway.sent

    gateway.fail("check_number", status=500)
    with pytest.raises(GatewayError):
        await present(provider.number_check).find_person(home.id, ANNA)
    gateway.heal()
    assert await present(provider.number_check).find_person(home.id, BEN)


ENGINE_ERRORS = [
    ("Protocol error (Runtime.callFunctionOn): Session closed.", "session_broken"),
    ("Connection Closed", "instance_not_connected"),
    ("rate-overlimit", "whatsapp_limit"),
]


async def assert_engine_error(
    gateway: Gateway, route: str, question: Awaitable[object], text: str, reason: str
) -> None:
    """Check what the error of an engine becomes that is the answer to a question."""
    gateway.fail(route, status=500, body=json.dumps({"message": text}).encode())
    with pytest.raises(Refused) as error:
        await question
    assert error.value.reason == reason


@needs("chats")
@pytest.mark.parametrize(("text", "reason"), ENGINE_ERRORS)
async def test_chats_of_engine(
    gateway: Gateway, provider: Provider, home: Session, text: str, reason: str
) -> None:
    """What runs WhatsApp in the gateway may say why there is no list."""
    question = present(provider.chats).list_chats(home.id)
    await assert_engine_error(gateway, "chats", question, text, reason)


@needs("number_check")
@pytest.mark.parametrize(("text", "reason"), ENGINE_ERRORS)
async def test_number_check_of_engine(
    gateway: Gateway, provider: Provider, home: Session, text: str, reason: str
) -> None:
    """What runs WhatsApp in the gateway may say why a number can't be checked."""
    question = present(provider.number_check).find_person(home.id, ANNA)
    await assert_engine_error(gateway, "check_number", question, text, reason)


@needs("number_check")
@pytest.mark.parametrize("body", [b"[]", b"{}", b'[{"jid": "1"}]', b'{"data": [{}]}'])
async def test_odd_number_check(
    gateway: Gateway, provider: Provider, home: Session, body: bytes
) -> None:
    """An answer that doesn't tell is not taken for a number without WhatsApp."""
    gateway.fail("check_number", body=body)
    with pytest.raises(BadResponse):
        await present(provider.number_check).find_person(home.id, ANNA)

    gateway.heal()
    assert await present(provider.number_check).find_person(home.id, ANNA) == PERSON


# Receiving


@asynccontextmanager
async def listening(
    gateway: Gateway, provider: Provider, *sessions: Session, receives: bool = True
) -> AsyncGenerator[list[IncomingMessage]]:
    """Keep the messages that a gateway reports, by whichever way it does."""
    gateway.events.on = True
    reports = present(provider.events or provider.webhooks)
    reports.receives = receives
    messages: list[IncomingMessage] = []

    def keep(event: Any) -> None:
        if isinstance(event, IncomingMessage):
            messages.append(event)

    if (events := provider.events) is not None:
        connected = asyncio.Event()

        async def follow() -> None:
            async for event in events.follow():
                connected.set()
                keep(event)

        task = asyncio.create_task(follow())
        await connected.wait()
        yield messages
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return

    async def called(request: web.Request) -> web.Response:
        keep(present(provider.webhooks).parse(await request.read()))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/hook", called)])
    async with TestServer(app) as server:
        url = str(server.make_url("/hook"))
        names = [session.id for session in sessions]
        reported = await present(provider.webhooks).register(url, "secret", names)
        assert reported == dict.fromkeys(names, True)
        yield messages
        await present(provider.webhooks).unregister(url, names)


@needs("receiving")
async def test_received(gateway: Gateway, provider: Provider, home: Session) -> None:
    """A message is reported with all that the gateway tells about it."""
    async with listening(gateway, provider, home) as messages:
        sent_at = time.time() - 60
        message_id = await gateway.deliver(home, PERSON, "Hello", sent_at=sent_at)
        await until(lambda: messages)

    [one] = messages
    assert (one.event, one.kind) == (MessageEvent.RECEIVED, MessageKind.TEXT)
    assert (one.instance_id, one.chat_id, one.sender_id) == (home.id, PERSON, PERSON)
    assert (one.text, one.id, one.sender_name) == ("Hello", message_id, "Anna")
    assert abs(one.sent_at - datetime.fromtimestamp(sent_at, UTC)) < timedelta(
        seconds=2
    )
    assert not one.is_group
    assert (one.reply_to, one.is_file, one.media) == (None, False, None)
    assert leaked(repr(one)) == []


@needs("receiving")
async def test_received_in_group(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A message of a group tells the group and who has sent it."""
    async with listening(gateway, provider, home) as messages:
        await gateway.deliver(home, GROUP, "x" * 5000, sender=BEN)
        await until(lambda: messages)

    [one] = messages
    assert one.is_group
    assert (one.chat_id, one.sender_id) == (GROUP, f"{BEN}@s.whatsapp.net")
    assert len(one.text) == 4096


@needs("receiving")
async def test_nothing_without_consent(
    gateway: Gateway, provider: Provider, home: Session, clock: Clock
) -> None:
    """Messages are only reported to who wants them, also after a change of mind."""
    async with listening(gateway, provider, home, receives=False) as messages:
        await gateway.deliver(home, PERSON, "Hello")
        await clock.run(5)
        assert not messages

    async with listening(gateway, provider, home) as messages:
        await gateway.deliver(home, PERSON, "Hello")
        await until(lambda: messages)


@needs("receiving")
async def test_broadcasts(gateway: Gateway, provider: Provider, home: Session) -> None:
    """Broadcasts and channels are no messages for the user."""
    async with listening(gateway, provider, home) as messages:
        for chat in ("status@broadcast", "1203@newsletter"):
            await gateway.deliver(home, chat, "News", sender=BEN)
        await gateway.deliver(home, PERSON, "Hello")
        await until(lambda: messages)

    assert [one.text for one in messages] == ["Hello"]


@needs("receiving")
async def test_own_messages(
    gateway: Gateway, provider: Provider, home: Session, clock: Clock
) -> None:
    """What the phone sends is told from what is received, and ours is not reported."""
    async with listening(gateway, provider, home) as messages:
        await present(provider.messages).send(home.id, PERSON, TEXT)
        await gateway.deliver(home, PERSON, "From the phone", from_me=True)
        await gateway.deliver(home, GROUP, "To all", from_me=True)
        await gateway.deliver(home, PERSON, "Hello")
        await until(lambda: messages and messages[-1].text == "Hello")

    own = messages[:-1]
    assert bool(own) is gateway.has("own_messages")
    if own:
        assert [(one.text, one.chat_id) for one in own] == [
            ("From the phone", PERSON),
            ("To all", GROUP),
        ]
        assert {one.event for one in own} == {MessageEvent.SENT_BY_PHONE}
        assert {(one.sender_id, one.sender_name) for one in own} == {(None, None)}


KINDS = ("image", "video", "audio", "voice", "document", "sticker")


@needs("downloads")
@pytest.mark.parametrize("kind", KINDS)
async def test_download(
    gateway: Gateway, provider: Provider, home: Session, kind: str
) -> None:
    """The file of a message can be downloaded."""
    async with listening(gateway, provider, home) as messages:
        await gateway.deliver(
            home, PERSON, kind=kind, media=FILE, filename="a.bin", sender=ANNA
        )
        await until(lambda: messages)

    [one] = messages
    assert one.kind == kind
    assert one.is_file
    assert one.mime_type
    assert await present(provider.downloads).download(one) == FILE
    assert leaked(repr(one)) == []


@needs("downloads")
async def test_large_download(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A file of 16 MiB can be downloaded, and a larger one can't."""
    limit = 16 * 1024 * 1024
    async with listening(gateway, provider, home) as messages:
        for size in (limit, limit + 1):
            file = bytes(size)
            await gateway.deliver(home, PERSON, kind="document", media=file)
        await until(lambda: len(messages) == 2)

    assert len(await present(provider.downloads).download(messages[0])) == limit
    with pytest.raises(GatewayError, match="too large"):
        await present(provider.downloads).download(messages[1])


@needs("downloads")
async def test_no_download(gateway: Gateway, provider: Provider, home: Session) -> None:
    """A text has no file, and a file may be gone."""
    async with listening(gateway, provider, home) as messages:
        await gateway.deliver(home, PERSON, "Hello")
        await gateway.deliver(home, PERSON, kind="image", media=FILE)
        await until(lambda: len(messages) == 2)
    text, image = messages

    for missing in (text, replace(image, media=None)):
        with pytest.raises(Rejected):
            await present(provider.downloads).download(missing)
    gateway.delivered.clear()
    with pytest.raises(Rejected):
        await present(provider.downloads).download(image)
    gateway.fail("download", status=500)
    with pytest.raises(GatewayError):
        await present(provider.downloads).download(image)


@needs("receiving", "reactions")
async def test_received_reaction(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """A reaction tells the emoji and the message, and when it is taken back."""
    async with listening(gateway, provider, home) as messages:
        original = await gateway.deliver(home, GROUP, "Hello", sender=BEN)
        await gateway.react(home, GROUP, original, "👍", sender=ANNA)
        await gateway.react(home, GROUP, original, "", sender=ANNA)
        await until(lambda: len(messages) == 3)

    for one, emoji in zip(messages[1:], ["👍", ""], strict=True):
        assert (one.event, one.text) == (MessageEvent.REACTION, emoji)
        assert (one.chat_id, one.sender_id, one.reply_to) == (GROUP, PERSON, original)


@needs("receiving", "replies")
async def test_received_reply(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """An answer tells the message that it answers."""
    async with listening(gateway, provider, home) as messages:
        original = await gateway.deliver(home, PERSON, "Hello")
        await gateway.deliver(home, PERSON, "Yes?", reply_to=original)
        await until(lambda: len(messages) == 2)

    # it may be the last part of a long ID
    reply_to = messages[1].reply_to
    assert reply_to
    assert len(reply_to) > 10
    assert original.endswith(reply_to)


@needs("lid_lookup")
async def test_number_behind_lid(
    gateway: Gateway, provider: Provider, home: Session
) -> None:
    """The number behind a LID is found, if the gateway knows it."""
    lookup = present(provider.lid_lookup)
    lid = f"{gateway.lids[ANNA]}@lid"
    assert await lookup.find_number(home.id, lid) == PERSON
    gateway.lids = {}
    assert await lookup.find_number(home.id, lid) is None
    gateway.fail("lid", status=500)
    with pytest.raises(Unreachable):
        await lookup.find_number(home.id, lid)
    gateway.heal()
    assert await lookup.find_number(home.id, lid) is None
