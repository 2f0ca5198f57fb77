"""The messages of all simulated gateways, and those of the two hosted ones."""

from __future__ import annotations

from contextlib import asynccontextmanager
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web
import pytest

from tests.gateways.client import Answer, Client
from tests.gateways.machine import State
from tests.gateways.wappfy import WappfyGateway
from tests.gateways.whatisup import WhatIsUpGateway
from tests.harness.facts import SUPPORTED, needs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aiohttp import ClientSession

    from tests.gateways import Gateway

ANNA = "4915112345678"
CHAT = f"{ANNA}@s.whatsapp.net"
FAMILY = "120363025246125486@g.us"
PUBLIC = "https://home.example.com"
PICTURE = b"\xff\xd8\xff picture"


@pytest.fixture
async def files() -> AsyncGenerator[str]:
    """Serve a picture, as Home Assistant does for gateways that fetch files."""

    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=PICTURE)

    app = web.Application()
    app.router.add_get("/picture.jpg", picture)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def call(session: ClientSession, gateway: Gateway) -> Client:
    """Return a client of the gateway."""
    client = Client(session, gateway, gateway.header[0])
    client.key = gateway.header[1].format(gateway.key)
    return client


def test_facts() -> None:
    """What a gateway claims to send has a route, and the routes are there."""
    for kind in SUPPORTED.values():
        names = [route.kwargs["name"] for route in kind().routes()]
        assert len(names) == len({*names})
        if kind.has("messages"):
            assert {*kind.send_routes} <= {*names}
        assert ("chats" in names) == kind.has("chats")
        assert ("check_number" in names) == kind.has("number_check")
        assert ("download" in names) == kind.has("downloads")
        assert {*kind.route_groups} <= {*names}


@needs("messages")
async def test_fault_of_a_group(gateway: Gateway, call: Client) -> None:
    """All routes that send can fail together, and are counted together."""
    paths = {route.kwargs["name"]: route for route in gateway.routes()}
    route = paths[gateway.send_routes[0]]
    gateway.fail("send", status=503, times=1)
    path = route.path.format(id="none")

    assert (await call(route.method, path, {})).status == 503
    assert (await call(route.method, path, {})).status != 503
    assert gateway.count("send") == gateway.count(gateway.send_routes[0]) == 2


@needs("messages")
async def test_delivery_without_listeners(gateway: Gateway) -> None:
    """A message that nobody listens for is kept, and has an ID."""
    home = gateway.add("Home", State.CONNECTED)
    first = await gateway.deliver(home, CHAT, "Hello")
    second = await gateway.deliver(home, FAMILY, "Hi", sender=ANNA)
    reaction = await gateway.react(home, CHAT, first, "👍")

    assert len({first, second, reaction}) == 3
    one, two, three = gateway.delivered
    assert (one.sender, one.name, one.id) == (ANNA, "Anna", first)
    assert (two.sender, two.chat_id) == (ANNA, FAMILY)
    assert (three.kind, three.text, three.reply_to) == ("reaction", "👍", first)


@needs("number_check")
async def test_other_number(gateway: Gateway) -> None:
    """A person may be known by another number than on WhatsApp."""
    gateway.people["551187654321"] = "Carla"
    gateway.other_numbers["5511987654321"] = "551187654321"
    assert gateway.find_person("5511987654321") == "551187654321"
    assert gateway.find_person("551187654321") == "551187654321"
    assert gateway.find_person("5511") is None


async def test_fetch(gateway: Gateway, files: str) -> None:
    """A gateway fetches a file from a public address."""
    gateway.webhooks.proxies[PUBLIC] = files
    assert await gateway.fetch_media(f"{PUBLIC}/picture.jpg") == PICTURE
    assert await gateway.fetch_media(f"{PUBLIC}/other.jpg") is None
    assert await gateway.fetch_media("http://127.0.0.1:9/") is None
    assert await gateway.fetch_media("nonsense") is None


# Wappfy


def refused(answer: Answer) -> str:
    """Return the message of an error about the body."""
    assert answer.status == 422
    message: str = answer.body["error"]["message"]
    return message


@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_reference_form(gateway: Gateway, call: Client, files: str) -> None:
    """The reference's form is queued, and its answer has no ID of a message."""
    assert isinstance(gateway, WappfyGateway)
    home = gateway.add("Home", State.CONNECTED)
    path = f"/api/instances/{home.id}/messages/send"
    guide = {"chat_id": CHAT, "type": "text", "text": "Hello"}
    assert refused(await call("POST", path, guide)) == "to is required"

    body = {
        "to": FAMILY,
        "type": "text",
        "body": "Hello @49",
        "quoted_message_id": "3EB0AA",
        "mentions": [f"{ANNA}@c.us"],
    }
    answer = await call("POST", path, body)
    assert (answer.status, answer.body.keys()) == (200, {"message", "jobId"})
    [sent] = gateway.sent
    assert (sent.chat_id, sent.text, sent.reply_to) == (FAMILY, "Hello @49", "3EB0AA")
    assert sent.mentions == (ANNA,)

    image = {
        "to": ANNA,
        "type": "image",
        "media_url": f"{files}/picture.jpg",
        "caption": "Look",
    }
    assert (await call("POST", path, image)).status == 200
    assert (gateway.sent[-1].chat_id, gateway.sent[-1].media) == (CHAT, PICTURE)
    assert gateway.sent[-1].text == "Look"
    image["media_url"] = f"{files}/other.jpg"
    assert (await call("POST", path, image)).status == 422


@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_other_kinds(gateway: Gateway, call: Client) -> None:
    """The reference also knows locations, polls and reactions."""
    home = gateway.add("Home", State.CONNECTED)
    path = f"/api/instances/{home.id}/messages/send"
    place = {"latitude": 52.5, "longitude": 13.4, "name": "Home"}
    poll = {"name": "When?", "options": ["Now", "Later"], "multipleAnswers": True}
    for body in (
        {"type": "location", "location": place},
        {"type": "poll", "poll": poll},
        {"type": "reaction", "reaction": "👍", "reaction_message_id": "3EB0AA"},
    ):
        assert (await call("POST", path, {"to": ANNA} | body)).status == 200
    location, question, reaction = gateway.sent
    assert (location.latitude, location.longitude, location.text) == (
        52.5,
        13.4,
        "Home",
    )
    assert (question.text, question.options) == ("When?", ("Now", "Later"))
    assert question.multiple
    assert (reaction.text, reaction.reply_to) == ("👍", "3EB0AA")
    for body, message in (
        ({"type": "location"}, "location is required"),
        ({"type": "location", "location": {}}, "location.latitude is required"),
        ({"type": "text"}, "body is required"),
        ({}, "type is required"),
    ):
        assert refused(await call("POST", path, {"to": ANNA} | body)) == message
    home.state = State.STOPPED
    body = {"to": ANNA, "type": "text", "body": "Hello"}
    assert (await call("POST", path, body)).status == 409
    assert (await call("POST", path.replace(home.id, "none"), body)).status == 404


@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_guide_form(gateway: Gateway, call: Client, files: str) -> None:
    """The guide's form is sent, and its answer has an ID."""
    assert isinstance(gateway, WappfyGateway)
    gateway.send_form = "guide"
    home = gateway.add("Home", State.CONNECTED)
    path = f"/api/instances/{home.id}/messages/send"
    body = {"to": ANNA, "type": "text", "body": "Hello"}
    assert refused(await call("POST", path, body)) == "chat_id is required"

    body = {"chat_id": CHAT, "type": "text", "text": "Hello"}
    answer = await call("POST", path, body)
    assert answer.body["data"] == {
        "message_id": gateway.sent[0].id,
        "status": "sent",
    }
    url = f"{files}/picture.jpg"
    image = {"chat_id": FAMILY, "type": "image", "media_url": url, "caption": "Look"}
    assert (await call("POST", path, image)).status == 200
    assert [one.kind for one in gateway.sent] == ["text", "image"]
    poll = {"chat_id": CHAT, "type": "poll"}
    assert refused(await call("POST", path, poll)).startswith("type must be one of")


@pytest.mark.parametrize("provider_key", ["wappfy"])
async def test_groups_and_people(gateway: Gateway, call: Client) -> None:
    """Groups have another shape in each document; both are paged."""
    assert isinstance(gateway, WappfyGateway)
    home = gateway.add("Home", State.NEW)
    path = f"/api/instances/{home.id}/groups"
    listed = (await call("GET", path)).body
    assert [(one["id"], one["subject"]) for one in listed] == [*gateway.groups.items()]
    assert len((await call("GET", f"{path}?limit=1&offset=1")).body) == 1
    gateway.send_form = "guide"
    [family, _] = (await call("GET", path)).body["data"]
    assert family == {"group_id": FAMILY, "name": "Family", "participant_count": 2}

    check = f"/api/instances/{home.id}/contacts/check?phone="
    assert (await call("GET", check + ANNA)).body == {
        "data": {"exists": True, "phone": ANNA, "chat_id": CHAT}
    }
    assert not (await call("GET", f"{check}490")).body["data"]["exists"]
    for unknown in (path, check):
        answer = await call("GET", unknown.replace(home.id, "none"))
        assert answer.status == 404


# WhatIsUp


@asynccontextmanager
async def listening(gateway: Gateway, client: Client) -> AsyncIterator[Any]:
    """Return what waits for the next event of the stream."""
    gateway.events.on = True
    headers = gateway.headers()
    url = f"{gateway.url}/v1/events"
    async with client.session.get(url, headers=headers) as stream:

        async def following() -> Any:
            while line := await stream.content.readline():
                if line.startswith(b"data: "):
                    return json.loads(line.removeprefix(b"data: "))
            return None

        yield following


@pytest.mark.parametrize("provider_key", ["whatisup"])
async def test_send(gateway: Gateway, call: Client, files: str) -> None:
    """Texts and files go to people and groups."""
    home = gateway.add("Home", State.CONNECTED)
    path = f"/v1/instances/{home.id}/messages"
    text = {"type": "text", "text": "Hello"}
    answer = await call("POST", path, {"to": ANNA, "body": text, "client_ref": "one"})
    assert answer.body == {
        "message_id": gateway.sent[0].id,
        "client_ref": "one",
        "status": "sent",
    }
    document = {
        "type": "document",
        "media_url": f"{files}/picture.jpg",
        "caption": "Look",
        "filename": "picture.jpg",
    }
    answer = await call("POST", path, {"to": FAMILY, "body": document})
    assert answer.status == 200
    first, second = gateway.sent
    assert (first.chat_id, first.text) == (CHAT, "Hello")
    assert (second.chat_id, second.media) == (FAMILY, PICTURE)
    assert second.filename == "picture.jpg"


@pytest.mark.parametrize("provider_key", ["whatisup"])
async def test_refused_messages(gateway: Gateway, call: Client, files: str) -> None:
    """Wrong bodies are refused, and so is everything without a connection."""
    home = gateway.add("Home", State.CONNECTED)
    path = f"/v1/instances/{home.id}/messages"
    text = {"type": "text", "text": "Hello"}
    for body in (
        {"to": f"+{ANNA}", "body": text},
        {"to": ANNA, "type": "text", "text": "Hello"},
        {"to": ANNA, "body": {"type": "video", "media_url": files}},
        {"to": ANNA, "body": {"type": "text"}},
        {"to": ANNA, "body": text | {"reply_to": "3EB0AA"}},
        {"to": ANNA, "body": {"type": "image", "media_url": f"{files}/none"}},
    ):
        answer = await call("POST", path, body)
        assert (answer.status, answer.body["error"]["code"]) == (
            422,
            "validation_error",
        )
    home.state = State.STOPPED
    answer = await call("POST", path, {"to": ANNA, "body": text})
    assert (answer.status, answer.body["error"]["code"]) == (409, "not_connected")
    answer = await call("POST", "/v1/instances/none/messages", {})
    assert answer.status == 404
    assert gateway.sent == []


@pytest.mark.parametrize("provider_key", ["whatisup"])
@pytest.mark.parametrize("form", ["flat", "nested"])
async def test_events(gateway: Gateway, call: Client, form: Any) -> None:
    """Messages are reported in one of two forms, only to who listens."""
    assert isinstance(gateway, WhatIsUpGateway)
    gateway.event_form = form
    home = gateway.add("Home", State.CONNECTED)
    theirs = gateway.add("Theirs", State.CONNECTED, owner="somebody else")
    await gateway.deliver(home, CHAT, "Nobody hears this")
    async with listening(gateway, call) as following:
        await gateway.deliver(theirs, CHAT, "Not yours")
        received = await gateway.deliver(home, FAMILY, "Hello", sender=ANNA)
        await gateway.deliver(home, CHAT, "Look", kind="image", media=PICTURE)
        await gateway.deliver(home, CHAT, "Home", kind="location")
        await gateway.deliver(home, CHAT, "Bye", from_me=True)
        await gateway.react(home, CHAT, received, "👍")
        events = [await following() for _ in range(5)]
        home.state = State.STOPPED
        ended = await following()

    names = ["message.received"] * 3 + ["message.sent", "message.reaction"]
    assert [event["event"] for event in events] == names
    nested = form == "nested"
    prefix = "channel" if nested else "instance"
    assert ended["event"] == f"{prefix}.disconnected"
    assert all(event[f"{prefix}_id"] == home.id for event in events)
    hello, look, place, bye, thumb = (
        event["data"] if nested else event for event in events
    )
    assert (hello["from"], hello["participant"]) == (FAMILY, CHAT)
    assert (hello["body"], hello["message_id"]) == ("Hello", received)
    assert look["body"]["type"] == "image"
    assert "/v1/media/" in look["body"]["media_url"]
    assert place["body"] == {"type": "location", "text": "Home"}
    assert (bye["to"], "from" in bye) == (CHAT, False)
    assert (thumb["emoji"], thumb["target_message_id"]) == ("👍", received)
