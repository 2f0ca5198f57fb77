"""The part of the phone's page that shows messages, and writes some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.gateways.machine import State
from tests.gateways.messages import GROUP, PERSON, SentMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.gateways.machine import Session
    from tests.gateways.messages import Message
    from tests.gateways.server import Gateway

SHOWN = 20
"""Number of messages that are shown of each instance."""


class Chats:
    """What people see who write with the linked numbers."""

    def __init__(self, gateways: Mapping[str, Gateway]) -> None:
        """Show the messages of these gateways, by the keys of their providers."""
        self.gateways = gateways

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the page about messages."""
        return [
            web.get("/chats", self.chats),
            web.get("/files/{provider}/{number}", self.file),
            web.post("/write", self.write),
        ]

    async def chats(self, _request: web.Request) -> web.Response:
        """Return the chats and the last messages of each connected instance."""
        return web.json_response(
            [
                {
                    "id": f"{provider}/{session.id}",
                    "title": f"{gateway.title}: {session.name}",
                    "chats": [
                        {"id": chat, "name": name}
                        for chat, name in _names(gateway).items()
                    ],
                    "messages": _messages(provider, gateway, session),
                }
                for provider, gateway in self.gateways.items()
                for session in gateway.sessions.values()
                if gateway.has("messages") and session.state is State.CONNECTED
            ]
        )

    async def file(self, request: web.Request) -> web.Response:
        """Return the file of a message."""
        gateway = self.gateways[request.match_info["provider"]]
        message = gateway.history[int(request.match_info["number"])]
        kind = (message.mime_type or "image/jpeg").partition(";")[0]
        return web.Response(body=message.media, content_type=kind)

    async def write(self, request: web.Request) -> web.Response:
        """Let somebody write to an instance; in a group that is one of its members."""
        body = await request.json()
        provider, _, instance_id = body["id"].partition("/")
        gateway, chat = self.gateways[provider], body["chat"]
        if (session := gateway.sessions.get(instance_id)) is None:
            raise web.HTTPNotFound
        others = [one for one in gateway.people if one != session.phone_number]
        sender = others[-1] if chat.endswith(GROUP) else None
        await gateway.deliver(session, chat, body["text"], sender=sender)
        return web.Response()


def _names(gateway: Gateway) -> dict[str, str]:
    people = {number + PERSON: name for number, name in gateway.people.items()}
    return people | gateway.groups


def _messages(
    provider: str, gateway: Gateway, session: Session
) -> list[dict[str, Any]]:
    every = enumerate(gateway.history)
    own = [(n, one) for n, one in every if one.session_id == session.id][-SHOWN:]
    return [_shown(provider, gateway, number, message) for number, message in own]


def _shown(
    provider: str, gateway: Gateway, number: int, message: Message
) -> dict[str, Any]:
    chat = _names(gateway).get(message.chat_id, message.chat_id)
    sent = isinstance(message, SentMessage)
    is_picture = message.kind == "image" and message.media is not None
    text = message.text
    if message.kind != "text":
        options = ", ".join(message.options)
        parts = [f"[{message.kind}]", message.filename, text, options]
        text = " ".join(filter(None, parts))
    return {
        "heading": f"Home Assistant to {chat}" if sent else f"From {chat}",
        "text": text,
        "picture": f"files/{provider}/{number}" if is_picture else None,
    }
