"""The messages of the simulated WAHA server against what is known about WAHA.

The numbers in the comments are the sections of the description of its interface.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateways.client import Answer, Client
from tests.gateways.machine import PHONE_NUMBER, State
from tests.gateways.waha import WahaGateway

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aiohttp import ClientSession

ANNA = "4915112345678"
CHAT = f"{ANNA}@s.whatsapp.net"
FAMILY = "120363025246125486@g.us"
TEXT = {"session": "home", "chatId": f"{ANNA}@c.us", "text": "Hello"}
PICTURE = b"\xff\xd8\xff picture"
FILE = {
    "mimetype": "image/jpeg",
    "filename": "a.jpg",
    "data": b64encode(PICTURE).decode(),
}


@pytest.fixture
async def waha() -> AsyncGenerator[WahaGateway]:
    """Run a current server with a session that works."""
    gateway = WahaGateway()
    gateway.add("home", State.CONNECTED)
    async with gateway.running():
        yield gateway


@pytest.fixture
def call(session: ClientSession, waha: WahaGateway) -> Client:
    """Return a client with the admin's key."""
    return Client(session, waha, "X-Api-Key")


@asynccontextmanager
async def listening(call: Client, query: str) -> AsyncIterator[Any]:
    """Return what waits for the next event of the WebSocket."""
    call.gateway.events.on = True
    url = f"{call.gateway.url}/ws?x-api-key={call.gateway.key}&{query}"
    async with call.session.ws_connect(url) as websocket:

        async def following() -> Any:
            return await websocket.receive_json()

        yield following


def id_of(answer: Answer) -> str:
    """Return the ID of a sent message, wherever the engine has it."""
    body = answer.body
    found = body.get("id") or body["key"]["id"]
    message_id: str = found if isinstance(found, str) else found["_serialized"]
    return message_id


# 6 Sending


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_text(waha: WahaGateway, call: Client, engine: str) -> None:
    """The answer to a text depends on the engine (6)."""
    waha.engine = engine
    answer = await call("POST", "/api/sendText", TEXT)
    assert answer.status == 201
    [sent] = waha.sent
    assert (sent.chat_id, sent.text, sent.kind) == (CHAT, "Hello", "text")
    assert id_of(answer) == sent.id
    match engine:
        case "GOWS":
            assert sent.id.startswith(f"true_{ANNA}@c.us_3EB0")
        case "NOWEB":
            assert answer.body["key"]["remoteJid"] == CHAT
            assert sent.id.startswith("3EB0")
        case _:
            assert answer.body["id"]["_serialized"] == sent.id
            assert answer.body["id"]["remote"] == f"{ANNA}@c.us"


async def test_group_text(waha: WahaGateway, call: Client) -> None:
    """A message to a group has its sender in the ID; mentions and replies are kept."""
    body = {
        "session": "home",
        "chatId": FAMILY,
        "text": f"Hello @{ANNA}",
        "reply_to": f"false_{FAMILY}_3EB0AA_{ANNA}@c.us",
        "mentions": [f"{ANNA}@c.us"],
    }
    answer = await call("POST", "/api/sendText", body)
    [sent] = waha.sent
    assert id_of(answer).endswith(f"_{PHONE_NUMBER}@c.us")
    assert (sent.chat_id, sent.mentions) == (FAMILY, (ANNA,))
    assert sent.reply_to == body["reply_to"]
    # bare digits are a person
    assert (await call("POST", "/api/sendText", TEXT | {"chatId": ANNA})).status == 201
    assert waha.sent[-1].chat_id == CHAT
    answer = await call("POST", "/api/sendText", TEXT | {"chatId": CHAT})
    assert answer.status == 500


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        ("sendImage", "image"),
        ("sendFile", "document"),
        ("sendVideo", "video"),
        ("sendVoice", "voice"),
    ],
)
async def test_files(waha: WahaGateway, call: Client, route: str, kind: str) -> None:
    """Files come in base64 or from an address (6)."""
    body = {"session": "home", "chatId": ANNA, "file": FILE, "caption": "Look"}
    assert (await call("POST", f"/api/{route}", body)).status == 201
    [sent] = waha.sent
    assert (sent.kind, sent.media, sent.text) == (kind, PICTURE, "Look")
    assert (sent.mime_type, sent.filename) == ("image/jpeg", "a.jpg")

    body["file"] = {"mimetype": "image/jpeg", "url": f"{waha.url}/none.jpg"}
    assert (await call("POST", f"/api/{route}", body)).status == 500
    body["file"] = {"mimetype": "image/jpeg", "url": f"{waha.url}/ping"}
    assert (await call("POST", f"/api/{route}", body)).status == 201
    assert b"pong" in (waha.sent[-1].media or b"")
    body["file"] = FILE | {"data": "abc"}
    assert (await call("POST", f"/api/{route}", body)).status == 201
    assert waha.sent[-1].media == b""


async def test_large_file(waha: WahaGateway, call: Client) -> None:
    """A file may have 16 MiB."""
    data = b64encode(bytes(16 * 1024 * 1024)).decode()
    file = {"mimetype": "video/mp4", "data": data}
    body = {"session": "home", "chatId": ANNA, "file": file}
    assert (await call("POST", "/api/sendVideo", body)).status == 201
    assert len(waha.sent[0].media or b"") == 16 * 1024 * 1024


async def test_other_kinds(waha: WahaGateway, call: Client) -> None:
    """Locations, polls and reactions have routes of their own (6)."""
    target = {"session": "home", "chatId": ANNA}
    place = {"latitude": 52.5, "longitude": 13.4, "title": "Home"}
    assert (await call("POST", "/api/sendLocation", target | place)).status == 201
    poll = {"name": "When?", "options": ["Now", "Later"], "multipleAnswers": False}
    assert (await call("POST", "/api/sendPoll", target | {"poll": poll})).status == 201
    message_id = f"false_{FAMILY}_3EB0AA_{ANNA}@c.us"
    body = {"session": "home", "messageId": message_id, "reaction": "👍"}
    assert (await call("PUT", "/api/reaction", body)).status == 200

    location, question, reaction = waha.sent
    assert (location.latitude, location.longitude, location.text) == (
        52.5,
        13.4,
        "Home",
    )
    assert (question.options, question.multiple) == (("Now", "Later"), False)
    assert (reaction.chat_id, reaction.text) == (FAMILY, "👍")
    assert reaction.reply_to == message_id
    answer = await call("PUT", "/api/reaction", body | {"messageId": "3EB0AA"})
    assert answer.status == 500
    assert "format false_" in answer.body["exception"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sendText", {"chatId": ANNA}),
        ("sendText", {"text": "Hello"}),
        ("sendText", {"chatId": ANNA, "text": "Hello", "mentions": ANNA}),
        ("sendImage", {"chatId": ANNA, "file": "data"}),
        ("sendPoll", {"chatId": ANNA, "poll": {"name": "When?"}}),
        ("sendLocation", {"chatId": ANNA, "latitude": "52"}),
    ],
)
async def test_bad_bodies(call: Client, path: str, body: dict[str, Any]) -> None:
    """A body without what is needed is refused."""
    answer = await call("POST", f"/api/{path}", body | {"session": "home"})
    assert (answer.status, answer.body["error"]) == (400, "Bad Request")
    answer = await call("POST", f"/api/{path}", body)
    assert answer.body["message"] == "Session name is required"


@pytest.mark.parametrize("state", [State.STOPPED, State.WAITING, State.FAILED])
async def test_not_working(waha: WahaGateway, call: Client, state: State) -> None:
    """A session that does not work is waited for, then refused (4.1, 6)."""
    waha.sessions["home"].state = state
    waits = 5 if state is State.STOPPED else 10
    for method, path, body in (
        ("POST", "/api/sendText", TEXT),
        ("GET", f"/api/contacts/check-exists?session=home&phone={ANNA}", None),
        ("GET", "/api/home/groups", None),
        ("GET", "/api/home/chats/overview", None),
        ("GET", "/api/home/lids/123", None),
        ("GET", "/api/home/lids/pn/49", None),
    ):
        answer = await call(method, path, body)
        assert answer.status == 422
        assert answer.body["expected"] == ["WORKING"]
        assert answer.seconds == pytest.approx(waits, abs=0.2)
    answer = await call("POST", "/api/sendText", TEXT | {"session": "ghost"})
    assert answer.body == {
        "error": 'Session "ghost" does not exist',
        "session": "ghost",
    }
    assert waha.sent == []


async def test_starting(waha: WahaGateway, call: Client) -> None:
    """A session that soon works is waited for."""
    waha.sessions["home"].start()
    answer = await call("POST", "/api/sendText", TEXT)
    assert answer.status == 201
    assert 1 < answer.seconds < 4


async def test_keys(waha: WahaGateway, call: Client) -> None:
    """A session key sends and reads only for its session, if it may (1)."""
    waha.add("shop", State.CONNECTED)
    waha.session_keys["reader"] = "home", frozenset({"read"})
    waha.session_keys["own"] = "home", None
    call.key = "reader"
    assert (await call("POST", "/api/sendText", TEXT)).status == 403
    assert (await call("GET", "/api/home/groups")).status == 200
    call.key = "own"
    assert (await call("POST", "/api/sendText", TEXT)).status == 201
    shop = TEXT | {"session": "shop"}
    assert (await call("POST", "/api/sendText", shop)).status == 403
    path = f"/api/contacts/check-exists?session=shop&phone={ANNA}"
    assert (await call("GET", path)).status == 403


async def test_old_free_server(waha: WahaGateway, call: Client) -> None:
    """An old free server sends texts, but no files (2)."""
    waha.downgrade().state = State.CONNECTED
    body = TEXT | {"session": "default", "file": FILE}
    assert (await call("POST", "/api/sendText", body)).status == 201
    answer = await call("POST", "/api/sendImage", body)
    assert answer.status == 422
    assert "only in Plus" in answer.body["message"]
    assert (await call("POST", "/api/sendText", TEXT)).status == 422


# 6 Queries


async def test_check(waha: WahaGateway, call: Client) -> None:
    """A number without WhatsApp has no chat; how that is said depends on the engine."""
    path = "/api/contacts/check-exists?session=home&phone="
    found = {"numberExists": True, "chatId": f"{ANNA}@c.us"}
    assert (await call("GET", path + ANNA)).body == found
    unknown = (await call("GET", f"{path}490")).body
    assert unknown == {"numberExists": False, "chatId": None}
    waha.checks_as_lid = True
    found = {"chatId": f"{waha.lids[ANNA]}@lid", "pn": f"{ANNA}@c.us"}
    assert (await call("GET", path + ANNA)).body == {"numberExists": True, **found}
    waha.engine = "NOWEB"
    assert (await call("GET", f"{path}490")).body == {"numberExists": False}


async def test_groups(waha: WahaGateway, call: Client) -> None:
    """Each engine lists groups in another shape (6)."""
    path = "/api/home/groups?exclude=participants"
    family, _ = (await call("GET", path)).body
    assert family == {"JID": FAMILY, "Name": "Family", "Topic": ""}
    assert "Participants" in (await call("GET", "/api/home/groups")).body[0]
    assert len((await call("GET", f"{path}&limit=1&offset=1")).body) == 1
    waha.engine = "NOWEB"
    groups = (await call("GET", path)).body
    assert groups[FAMILY] == {"id": FAMILY, "subject": "Family"}
    waha.engine = "WEBJS"
    family, _ = (await call("GET", path)).body
    assert (family["id"]["_serialized"], family["name"]) == (FAMILY, "Family")


async def test_overview(waha: WahaGateway, call: Client) -> None:
    """The overview is the same for all engines, but NOWEB needs a store (6)."""
    path = "/api/home/chats/overview?limit=20"
    chats = (await call("GET", path)).body
    names = {one["id"]: one["name"] for one in chats}
    assert names[FAMILY] == "Family"
    assert names[f"{ANNA}@c.us"] == "Anna"
    waha.engine = "NOWEB"
    assert (await call("GET", path)).status == 400
    home = waha.find_session("home")
    home.config = {"noweb": {"store": {"enabled": True}}}
    assert (await call("GET", path)).status == 200


async def test_lids(waha: WahaGateway, call: Client) -> None:
    """LIDs and phone numbers lead to each other (6)."""
    lid = waha.lids[ANNA]
    pair = {"lid": f"{lid}@lid", "pn": f"{ANNA}@c.us"}
    assert (await call("GET", f"/api/home/lids/{lid}")).body == pair
    assert (await call("GET", f"/api/home/lids/{lid}%40lid")).body == pair
    assert (await call("GET", f"/api/home/lids/pn/{ANNA}")).body == pair
    assert (await call("GET", "/api/home/lids/9")).body == {"lid": "9@lid", "pn": None}


# 5 and 7 Events


async def test_received(waha: WahaGateway, call: Client) -> None:
    """A message from somebody is both a message and any message (7)."""
    home = waha.find_session("home")
    query = "session=home&events=session.status,message,message.any"
    async with listening(call, query) as following:
        message_id = await waha.deliver(home, CHAT, "Hello", sent_at=1763900000.5)
        events = [await following(), await following()]
    assert [one["event"] for one in events] == ["message", "message.any"]
    assert events[0]["session"] == "home"
    payload = events[0]["payload"]
    assert payload == events[1]["payload"]
    assert payload["id"] == message_id == f"false_{ANNA}@c.us_{message_id[-22:]}"
    assert payload["timestamp"] == 1763900000
    assert (payload["from"], payload["body"]) == (f"{ANNA}@c.us", "Hello")
    assert (payload["fromMe"], payload["source"]) == (False, "app")
    assert payload["_data"]["Info"]["PushName"] == "Anna"


async def test_wanted_events(waha: WahaGateway, call: Client) -> None:
    """Only the events and the session that were asked for are sent (5.1)."""
    home, shop = waha.find_session("home"), waha.add("shop", State.CONNECTED)
    async with listening(call, "session=home&events=message") as following:
        await waha.deliver(shop, CHAT, "Not this session")
        await waha.deliver(home, CHAT, "Own", from_me=True)
        home.state = State.STOPPED
        await waha.deliver(home, CHAT, "Hello")
        event = await following()
    assert (event["event"], event["payload"]["body"]) == ("message", "Hello")


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_own(waha: WahaGateway, call: Client, engine: str) -> None:
    """Own messages tell whether the phone or a client has sent them (7)."""
    waha.engine = engine
    home = waha.find_session("home")
    async with listening(call, "events=message,message.any") as following:
        await waha.deliver(home, CHAT, "From the phone", from_me=True)
        answer = await call("POST", "/api/sendText", TEXT)
        phone, client = await following(), await following()
    assert phone["event"] == client["event"] == "message.any"
    assert phone["payload"]["source"] == "app"
    assert client["payload"]["source"] == "api"
    assert client["payload"]["id"].endswith(id_of(answer))
    assert client["payload"]["fromMe"]
    own = f"{PHONE_NUMBER}@c.us" if engine == "WEBJS" else f"{ANNA}@c.us"
    assert client["payload"]["from"] == own


async def test_group_with_lid(waha: WahaGateway, call: Client) -> None:
    """A sender in a group may be a LID, also in the ID (7)."""
    home, lid = waha.find_session("home"), f"{waha.lids[ANNA]}@lid"
    async with listening(call, "events=message") as following:
        await waha.deliver(home, FAMILY, "One", sender=ANNA)
        await waha.deliver(home, FAMILY, "Two", sender=ANNA, as_lid=True)
        await waha.deliver(home, CHAT, "Three", as_lid=True)
        one, two, three = [(await following())["payload"] for _ in range(3)]
    assert (one["from"], one["participant"]) == (FAMILY, f"{ANNA}@c.us")
    assert (two["from"], two["participant"]) == (FAMILY, lid)
    assert two["id"].endswith(f"_{lid}")
    assert (three["from"], three["participant"]) == (lid, None)


async def test_reaction(waha: WahaGateway, call: Client) -> None:
    """A reaction is an event of its own, and no message (7)."""
    home = waha.find_session("home")
    async with listening(call, "events=message.reaction") as following:
        message_id = await waha.deliver(home, CHAT, "Hello")
        await waha.react(home, CHAT, message_id, "👍")
        waha.engine = "WEBJS"
        await waha.react(home, FAMILY, message_id, "", sender=ANNA)
        one, two = [(await following())["payload"] for _ in range(2)]
    assert one["reaction"] == {"text": "👍", "messageId": message_id}
    assert one["from"] == f"{ANNA}@c.us"
    assert (two["from"], two["to"]) == (f"{ANNA}@c.us", FAMILY)
    assert two["reaction"]["text"] == ""


async def test_reply(waha: WahaGateway, call: Client) -> None:
    """A reply has an ID without the chat (7)."""
    home = waha.find_session("home")
    async with listening(call, "events=message") as following:
        first = await waha.deliver(home, CHAT, "Hello", message_id="3EB0AA")
        await waha.deliver(home, CHAT, "Yes", reply_to=first)
        await following()
        reply = (await following())["payload"]["replyTo"]
    assert first == f"false_{ANNA}@c.us_3EB0AA"
    assert (reply["id"], reply["body"]) == ("3EB0AA", "Hello")


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_media(waha: WahaGateway, call: Client, engine: str) -> None:
    """A file is downloaded with the key, from an address that has to be put right."""
    waha.engine = engine
    home = waha.find_session("home")
    async with listening(call, "events=message") as following:
        await waha.deliver(home, CHAT, "Look", kind="image", media=PICTURE)
        waha.downloads_media = False
        await waha.deliver(home, CHAT, kind="voice", media=b"sound")
        look, voice = [(await following())["payload"] for _ in range(2)]
    assert look["hasMedia"]
    assert look["media"]["mimetype"] == "image/jpeg"
    origin, path = "http://localhost:3000", look["media"]["url"][21:]
    assert look["media"]["url"] == origin + path
    assert path == f"/api/files/home/{look['id']}.jpg"
    answer = await call("GET", path)
    assert (answer.data, answer.content_type) == (PICTURE, "image/jpeg")
    assert (voice["hasMedia"], voice["media"]) == (True, None)

    waha.keeps_files = False
    answer = await call("GET", path)
    assert (answer.status, answer.body["error"]["key"]) == (404, "FILE_NOT_FOUND")
    call.key = None
    assert (await call("GET", path)).status == 401


async def test_location_and_card(waha: WahaGateway, call: Client) -> None:
    """A location and a business card have places of their own (7)."""
    home = waha.find_session("home")
    async with listening(call, "events=message") as following:
        await waha.deliver(home, CHAT, "Home", kind="location")
        await waha.deliver(home, CHAT, "Ben", kind="contact")
        place, card = [(await following())["payload"] for _ in range(2)]
    assert place["location"]["name"] == "Home"
    assert "FN:Ben" in card["vCards"][0]
