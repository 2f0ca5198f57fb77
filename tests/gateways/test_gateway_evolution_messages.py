"""The messages of the simulated Evolution API against what is known about it.

The numbers in the comments are the sections of the description of its interface.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from aiohttp import web
import pytest

from tests.gateways.client import Answer, Client
from tests.gateways.evolution import EvolutionGateway
from tests.gateways.machine import State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import ClientSession

    from tests.harness.clock import Clock

ANNA = "4915112345678"
CHAT = f"{ANNA}@s.whatsapp.net"
FAMILY = "120363025246125486@g.us"
PICTURE = b"\xff\xd8\xff picture"
DATA = b64encode(PICTURE).decode()
TEXT = {"number": ANNA, "text": "Hello"}


@pytest.fixture
def version() -> str:
    """Return the version of the server where a test does not choose one."""
    return "2.3.7"


@pytest.fixture
async def evolution(version: str) -> AsyncGenerator[EvolutionGateway]:
    """Run a server with an instance that is connected."""
    gateway = EvolutionGateway(version=version)
    gateway.add("home", State.CONNECTED)
    async with gateway.running():
        yield gateway


@pytest.fixture
def call(session: ClientSession, evolution: EvolutionGateway) -> Client:
    """Return a client with the global key."""
    return Client(session, evolution, "apikey")


class Receiver:
    """A server that an instance calls, and that serves a picture."""

    def __init__(self) -> None:
        """Have received nothing."""
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self.status = 200

    async def receive(self, request: web.Request) -> web.Response:
        """Keep a body."""
        self.bodies.append(await request.json())
        return web.Response(status=self.status)

    async def picture(self, _request: web.Request) -> web.Response:
        """Return a picture."""
        return web.Response(body=PICTURE)

    @property
    def names(self) -> list[str]:
        """Names of the events so far."""
        return [body["event"] for body in self.bodies]


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    """Run a receiver on loopback."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.receive)
    app.router.add_get("/picture.jpg", receiver.picture)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


def error(answer: Answer) -> tuple[int, Any]:
    """Return the status and the message of an error."""
    return answer.status, answer.body["response"]["message"]


async def register(call: Client, receiver: Receiver, *events: str, **more: Any) -> None:
    """Let the instance call the receiver for these events."""
    url = f"{receiver.url}/hook"
    webhook = {"enabled": True, "url": url, "events": [*events], **more}
    answer = await call("POST", "/webhook/set/home", {"webhook": webhook})
    assert answer.status == 201


# 6 Sending


async def test_text(evolution: EvolutionGateway, call: Client) -> None:
    """A text is answered with its row (6)."""
    answer = await call("POST", "/message/sendText/home", TEXT)
    assert answer.status == 201
    [sent] = evolution.sent
    row = answer.body
    assert row["key"] == {"remoteJid": CHAT, "fromMe": True, "id": sent.id}
    assert (row["message"], row["messageType"]) == (
        {"conversation": "Hello"},
        "conversation",
    )
    assert (row["status"], row["source"], row["pushName"]) == ("PENDING", "web", "Você")
    assert (sent.chat_id, sent.text, sent.reply_to) == (CHAT, "Hello", None)


async def test_group_text(evolution: EvolutionGateway, call: Client) -> None:
    """A long number is a group; mentions only work there (6)."""
    body = {
        "number": FAMILY.partition("@")[0],
        "text": "Hello",
        "quoted": {"key": {"id": "3EB0AA"}},
        "mentioned": [ANNA],
    }
    answer = await call("POST", "/message/sendText/home", body)
    assert answer.body["contextInfo"]["stanzaId"] == "3EB0AA"
    await call("POST", "/message/sendText/home", body | {"number": f"+{ANNA}"})
    group, person = evolution.sent
    assert (group.chat_id, group.mentions, group.reply_to) == (
        FAMILY,
        (ANNA,),
        "3EB0AA",
    )
    assert (person.chat_id, person.mentions) == (CHAT, ())


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document"])
async def test_media(
    evolution: EvolutionGateway, call: Client, receiver: Receiver, kind: str
) -> None:
    """Files come in base64 or from an address with a dot (6)."""
    body = {
        "number": ANNA,
        "mediatype": kind,
        "mimetype": "image/jpeg",
        "caption": "Look",
        "fileName": "a.jpg",
        "media": DATA,
    }
    path = "/message/sendMedia/home"
    answer = await call("POST", path, body)
    assert answer.status == 201
    assert answer.body["messageType"] == f"{kind}Message"
    body["media"] = f"{receiver.url}/picture.jpg"
    assert (await call("POST", path, body)).status == 201
    for sent in evolution.sent:
        assert (sent.kind, sent.media, sent.text) == (kind, PICTURE, "Look")
    body["media"] = f"{receiver.url}/none.jpg"
    assert error(await call("POST", path, body))[0] == 500


async def test_bad_media(call: Client) -> None:
    """Names without a dot and data URIs are refused (6)."""
    body = {"number": ANNA, "mediatype": "document", "media": DATA}
    path = "/message/sendMedia/home"
    needed = "For base64 the file name must be informed."
    assert error(await call("POST", path, body)) == (400, [needed])
    wrong = 400, ["Owned media must be a url or base64"]
    for media in (
        "http://homeassistant:8123/a.jpg",
        "http://localhost/a.jpg",
        f"data:image/jpeg;base64,{DATA}",
        "",
    ):
        answer = await call("POST", path, body | {"mediatype": "image", "media": media})
        assert error(answer) == wrong
    answer = await call("POST", path, body | {"mediatype": "picture"})
    assert answer.status == 400


async def test_other_kinds(evolution: EvolutionGateway, call: Client) -> None:
    """Voice messages, locations, polls and reactions have routes of their own (6)."""
    person = {"number": ANNA}
    key = {"id": "3EB0AA", "remoteJid": FAMILY, "fromMe": False}
    place = {"latitude": 52.5, "longitude": 13.4, "name": "Home", "address": "Street"}
    poll = {"name": "When?", "selectableCount": 1, "values": ["Now", "Later"]}
    for route, body in (
        ("WhatsAppAudio", person | {"audio": DATA}),
        ("Location", person | place),
        ("Poll", person | poll),
        ("Poll", person | poll | {"selectableCount": 0}),
        ("Reaction", {"key": key, "reaction": "👍"}),
    ):
        answer = await call("POST", f"/message/send{route}/home", body)
        assert answer.status == 201
    voice, location, one, several, reaction = evolution.sent
    assert (voice.kind, voice.media) == ("voice", PICTURE)
    assert (location.latitude, location.longitude, location.text) == (
        52.5,
        13.4,
        "Home",
    )
    assert one.options == ("Now", "Later")
    assert (one.multiple, several.multiple) == (False, True)
    assert (reaction.chat_id, reaction.text) == (FAMILY, "👍")
    assert reaction.reply_to == "3EB0AA"


@pytest.mark.parametrize(
    ("route", "body", "message"),
    [
        ("Text", {}, 'instance requires property "text"'),
        ("Text", {"text": " "}, "Text is required"),
        ("Text", {"text": 1}, "text is not of a type(s) string"),
        ("Text", {"text": "a", "quoted": {"key": {}}}, "quoted.key requires"),
        ("Text", {"text": "a", "mentioned": ["Anna"]}, "array of numeric strings"),
        ("WhatsAppAudio", {"audio": "?"}, "valid file with buffer"),
        ("Location", {"latitude": 1, "longitude": 2, "name": "a"}, "address"),
        ("Location", {"latitude": "1", "longitude": 2, "name": "a", "address": "b"},
         "latitude"),
        ("Poll", {"name": "a", "selectableCount": 1, "values": ["b"]}, "minimum"),
        ("Poll", {"name": "a", "selectableCount": 1, "values": ["b"] * 2}, "duplicate"),
        ("Poll", {"name": "a", "selectableCount": 11, "values": ["b", "c"]}, "10"),
        ("Reaction", {"key": {"id": "a"}, "reaction": ""}, "remoteJid"),
        ("Reaction", {"key": {"id": "a", "remoteJid": CHAT, "fromMe": True},
                      "reaction": "ok"}, "single emoji"),
    ],
)  # fmt: skip
async def test_bad_bodies(
    call: Client, route: str, body: dict[str, Any], message: str
) -> None:
    """A wrong body is refused with what is wrong (6)."""
    answer = await call("POST", f"/message/send{route}/home", {"number": ANNA} | body)
    status, [text] = error(answer)
    assert status == 400
    assert message in text


async def test_unknown_chats(evolution: EvolutionGateway, call: Client) -> None:
    """A number without WhatsApp is an object in the list of messages (6)."""
    path = "/message/sendText/home"
    answer = await call("POST", path, TEXT | {"number": "4917"})
    unknown = {"jid": "4917@s.whatsapp.net", "exists": False, "number": "4917"}
    assert error(answer) == (400, [unknown])
    answer = await call("POST", path, TEXT | {"number": "123@g.us"})
    assert error(answer) == (400, ["[object Object]"])
    answer = await call("POST", path, TEXT | {"number": "123@lid"})
    assert error(answer)[0] == 400
    evolution.version = "2.4.0"
    answer = await call("POST", path, TEXT | {"number": "123@lid"})
    assert answer.status == 201


async def test_not_connected(evolution: EvolutionGateway, call: Client) -> None:
    """Without a connection the error depends on what the server remembers (6)."""
    path = "/message/sendText/home"
    home, groups = evolution.sessions["home"], "/group/fetchAllGroups/home"
    home.start()
    assert error(await call("POST", path, TEXT)) == (500, "Connection Closed")
    answer = await call("GET", f"{groups}?getParticipants=false")
    assert error(answer) == (500, "Connection Closed")
    home.state = State.CONNECTED
    assert (await call("POST", path, TEXT)).status == 201
    home.state = State.STOPPED
    assert error(await call("POST", path, TEXT)) == (400, ["Error: Connection Closed"])
    evolution.add("new")
    body = TEXT | {"number": "12025550123"}
    status, message = error(await call("POST", "/message/sendText/new", body))
    assert (status, message.startswith("Cannot read properties")) == (500, True)
    answer = await call("POST", "/chat/whatsappNumbers/new", {"numbers": [ANNA]})
    assert (answer.status, answer.body) == (400, {})


async def test_keys(evolution: EvolutionGateway, call: Client) -> None:
    """The token of an instance sends with that instance only (1)."""
    evolution.add("shop", State.CONNECTED)
    home = evolution.find("home")
    assert home is not None
    call.key = home.token
    assert (await call("POST", "/message/sendText/home", TEXT)).status == 201
    assert (await call("POST", "/message/sendText/shop", TEXT)).status == 401
    assert (await call("POST", "/message/sendText/ghost", TEXT)).status == 404


# 6 Queries


async def test_check(evolution: EvolutionGateway, call: Client) -> None:
    """Numbers are checked, several at once (6)."""
    numbers = {"numbers": [ANNA, "4917", FAMILY]}
    answer = await call("POST", "/chat/whatsappNumbers/home", numbers)
    anna, nobody, family = answer.body
    lid = f"{evolution.lids[ANNA]}@lid"
    assert anna == {
        "jid": CHAT,
        "exists": True,
        "number": ANNA,
        "name": "Anna",
        "lid": lid,
    }
    assert (nobody["exists"], family["exists"]) == (False, True)
    assert (await call("POST", "/chat/whatsappNumbers/home", {})).status == 400
    evolution.checks_as_lid = True
    answer = await call("POST", "/chat/whatsappNumbers/home", {"numbers": [ANNA]})
    assert answer.body == [{"jid": lid, "exists": True, "number": ANNA, "lid": "lid"}]


async def test_rewritten_number(evolution: EvolutionGateway, call: Client) -> None:
    """The server writes some numbers in another way than who asks (6)."""
    evolution.people["551187654321"] = "Carla"
    evolution.other_numbers["5511987654321"] = "551187654321"
    numbers = {"numbers": ["5511987654321"]}
    [found] = (await call("POST", "/chat/whatsappNumbers/home", numbers)).body
    assert (found["exists"], found["number"]) == (True, "5511987654321")
    assert found["jid"] == "551187654321@s.whatsapp.net"
    body = TEXT | {"number": "5511987654321"}
    assert (await call("POST", "/message/sendText/home", body)).status == 201
    assert evolution.sent[0].chat_id == found["jid"]


async def test_groups(evolution: EvolutionGateway, call: Client) -> None:
    """The list of groups is slow, and needs its parameter (6)."""
    path = "/group/fetchAllGroups/home"
    assert (await call("GET", path)).status == 400
    answer = await call("GET", f"{path}?getParticipants=false")
    assert answer.seconds == pytest.approx(1, abs=0.2)
    names = {one["id"]: one["subject"] for one in answer.body}
    assert names == evolution.groups
    assert "participants" not in answer.body[0]
    answer = await call("GET", f"{path}?getParticipants=true")
    assert answer.body[0]["participants"][0]["id"] == CHAT


async def test_contacts(evolution: EvolutionGateway, call: Client) -> None:
    """The rows of the database have the names of people, not of groups (6)."""
    evolution.sessions["home"].state = State.STOPPED
    answer = await call("POST", "/chat/findContacts/home", {"where": {}})
    rows = {row["remoteJid"]: row for row in answer.body}
    assert (rows[CHAT]["pushName"], rows[CHAT]["type"]) == ("Anna", "contact")
    assert (rows[FAMILY]["pushName"], rows[FAMILY]["isGroup"]) == (None, True)


async def test_file(evolution: EvolutionGateway, call: Client) -> None:
    """The file of a message is only returned in base64 (7)."""
    home, path = evolution.sessions["home"], "/chat/getBase64FromMediaMessage/home"
    photo = await evolution.deliver(home, CHAT, "Look", kind="image", media=PICTURE)
    text = await evolution.deliver(home, CHAT, "Hello")

    async def file(message_id: str) -> Answer:
        return await call("POST", path, {"message": {"key": {"id": message_id}}})

    answer = await file(photo)
    assert answer.status == 201
    assert b64decode(answer.body["base64"]) == PICTURE
    assert answer.body["mimetype"] == "image/jpeg"
    assert answer.body["fileName"] == f"{photo}.jpg"
    assert error(await file("none")) == (400, ["Message not found"])
    assert error(await file(text))[0] == 400


# 7 Incoming


async def test_received(
    evolution: EvolutionGateway, call: Client, receiver: Receiver
) -> None:
    """Received and own messages call the webhook (7)."""
    home = evolution.sessions["home"]
    await register(call, receiver, "MESSAGES_UPSERT", "SEND_MESSAGE")
    message_id = await evolution.deliver(home, CHAT, "Hello", sent_at=1763900000.5)
    await evolution.deliver(home, CHAT, "Own", from_me=True)
    answer = await call("POST", "/message/sendText/home", TEXT)

    assert receiver.names == ["messages.upsert", "messages.upsert", "send.message"]
    received, own, sent = [body["data"] for body in receiver.bodies]
    assert receiver.bodies[0]["instance"] == "home"
    assert received["key"]["id"] == message_id
    assert (received["key"]["remoteJid"], received["key"]["fromMe"]) == (CHAT, False)
    assert received["key"]["remoteJidAlt"] == f"{evolution.lids[ANNA]}@lid"
    assert received["message"] == {"conversation": "Hello"}
    assert (received["pushName"], received["messageTimestamp"]) == ("Anna", 1763900000)
    assert (own["key"]["fromMe"], own["source"]) == (True, "ios")
    assert sent == answer.body


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["CONNECTION_UPDATE"], []),
        (["MESSAGES_UPSERT"], ["messages.upsert"]),
        (["SEND_MESSAGE"], ["send.message"]),
        ([], ["messages.upsert", "send.message"]),
    ],
)
async def test_wanted_events(
    evolution: EvolutionGateway,
    call: Client,
    receiver: Receiver,
    events: list[str],
    expected: list[str],
) -> None:
    """Only the chosen events call the webhook; none chosen means all (5.1)."""
    await register(call, receiver, *events)
    home = evolution.sessions["home"]
    shop = evolution.add("shop", State.CONNECTED)
    await evolution.deliver(home, CHAT, "Hello")
    await evolution.deliver(shop, CHAT, "Not this instance")
    await call("POST", "/message/sendText/home", TEXT)
    assert [name for name in receiver.names if "message" in name] == expected
    evolution.webhooks.silent = True
    await evolution.deliver(home, CHAT, "Nobody hears this")
    assert len([name for name in receiver.names if "message" in name]) == len(expected)


@pytest.mark.parametrize(
    ("status", "expected"), [(200, 1), (404, 1), (422, 1), (302, 10), (502, 10)]
)
async def test_repeated_calls(
    evolution: EvolutionGateway,
    call: Client,
    receiver: Receiver,
    clock: Clock,
    status: int,
    expected: int,
) -> None:
    """A call is made up to 10 times in 20 minutes, unless it is refused (5.1)."""
    await register(call, receiver, "MESSAGES_UPSERT")
    receiver.status = status
    await evolution.deliver(evolution.sessions["home"], CHAT, "Hello")
    assert len(receiver.bodies) == 1
    await clock.run(4)
    assert len(receiver.bodies) == 1
    await clock.run(2)
    assert len(receiver.bodies) == min(expected, 2)
    await clock.run(3600)
    assert len(receiver.bodies) == expected


async def test_repeated_until_answered(
    evolution: EvolutionGateway, call: Client, receiver: Receiver, clock: Clock
) -> None:
    """A call that was answered is not repeated any more (5.1)."""
    await register(call, receiver, "MESSAGES_UPSERT")
    receiver.status = 503
    await evolution.deliver(evolution.sessions["home"], CHAT, "Hello")
    await clock.run(6)
    receiver.status = 200
    await clock.run(3600)
    assert len(receiver.bodies) == 3


async def test_group_with_lid(
    evolution: EvolutionGateway, call: Client, receiver: Receiver
) -> None:
    """In a group the LID comes first, with the number beside it (7)."""
    home, lid = evolution.sessions["home"], f"{evolution.lids[ANNA]}@lid"
    await register(call, receiver, "MESSAGES_UPSERT")
    await evolution.deliver(home, FAMILY, "One", sender=ANNA)
    await evolution.deliver(home, FAMILY, "Two", sender=ANNA, as_lid=True)
    await evolution.deliver(home, CHAT, "Three", as_lid=True)
    await evolution.deliver(home, FAMILY, "Four", from_me=True)
    one, two, three, four = [body["data"]["key"] for body in receiver.bodies]
    assert (one["remoteJid"], one["participant"]) == (FAMILY, CHAT)
    assert (two["participant"], two["participantAlt"]) == (lid, CHAT)
    assert two["addressingMode"] == "lid"
    assert (three["remoteJid"], three["remoteJidAlt"]) == (CHAT, lid)
    assert four["participant"] is None


async def test_reply_and_reaction(
    evolution: EvolutionGateway, call: Client, receiver: Receiver
) -> None:
    """Reactions arrive as messages that refer to another one (7)."""
    home = evolution.sessions["home"]
    await register(call, receiver, "MESSAGES_UPSERT")
    first = await evolution.deliver(home, CHAT, "Hello", message_id="3EB0AA")
    await evolution.deliver(home, CHAT, "Yes", reply_to=first)
    await evolution.react(home, CHAT, first, "👍")
    _, reply, reaction = [body["data"] for body in receiver.bodies]
    assert first == "3EB0AA"
    assert reply["contextInfo"]["stanzaId"] == first
    assert reply["contextInfo"]["quotedMessage"] == {"conversation": "Hello"}
    content = reaction["message"]["reactionMessage"]
    assert (content["key"]["id"], content["text"]) == (first, "👍")
    assert reaction["messageType"] == "reactionMessage"


@pytest.mark.parametrize("with_media", [False, True])
async def test_received_media(
    evolution: EvolutionGateway, call: Client, receiver: Receiver, *, with_media: bool
) -> None:
    """A file is only in the event if the webhook asks for it (7)."""
    home = evolution.sessions["home"]
    await register(call, receiver, "MESSAGES_UPSERT", base64=with_media)
    await evolution.deliver(
        home, CHAT, "Look", kind="document", media=b"text", filename="a.pdf"
    )
    await evolution.deliver(home, CHAT, kind="voice", media=b"sound")
    await evolution.deliver(home, CHAT, "Home", kind="location")
    document, voice, place = [body["data"]["message"] for body in receiver.bodies]
    content = document["documentMessage"]
    assert (content["fileName"], content["caption"]) == ("a.pdf", "Look")
    assert content["mimetype"] == "application/pdf"
    assert ("base64" in document) == with_media
    assert voice["audioMessage"]["ptt"]
    assert place["locationMessage"]["name"] == "Home"
