"""Messages of WhatIsUp: how they are sent, and the events about them.

The names in the events are not documented beyond `from`, `body` and `received_at`.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal, override
from uuid import uuid4

from aiohttp import web

from .content import MEDIA_TYPES
from .machine import State
from .messages import PERSON, SentMessage, common_chat_id, new_message_id
from .server import Gateway, iso

if TYPE_CHECKING:
    from .machine import Session
    from .messages import DeliveredMessage

FIELDS = {
    "text": {"text"},
    "image": {"media_url", "caption"},
    "audio": {"media_url"},
    "document": {"media_url", "caption", "filename"},
    "sticker": {"media_url"},
}
"""What a message of each type has."""
API_VERSION = "2026-04"


class WhatIsUpMessages(Gateway):
    """The only call about messages, and the frames of the stream of events."""

    send_routes: ClassVar[tuple[str, ...]] = ("send",)

    def __init__(self, *, scale: float = 1.0) -> None:
        """Send events as the older pages describe them."""
        super().__init__(scale=scale)
        self.event_form: Literal["flat", "nested"] = "flat"
        """Whether an event has its data beside its name, or below `data`."""

    def message_routes(self) -> list[web.RouteDef]:
        """Return the route that sends something."""
        path = f"{self.base_path}/{{id}}/messages"
        return [web.post(path, self.send, name="send")]

    async def send(self, request: web.Request) -> web.Response:
        """Send a message to a person or a group."""
        if (session := self.session_of(request)) is None:
            return self.no_instance(request)
        body = await self.body_of(request)
        to, content = body.get("to"), body.get("body")
        if (wrong := _wrong_content(to, content)) is not None:
            return self.error(422, "validation_error", wrong)
        assert isinstance(content, dict)
        if session.state is not State.CONNECTED:
            message = "The instance is not connected"
            return self.error(409, "not_connected", message)
        media = None
        if "media_url" in content:
            media = await self.fetch_media(str(content["media_url"]))
            if media is None:
                message = "media_url cannot be fetched"
                return self.error(422, "validation_error", message)
        sent = SentMessage(
            id=new_message_id(),
            session_id=session.id,
            chat_id=common_chat_id(str(to)),
            kind=content["type"],
            text=content.get("text") or content.get("caption") or "",
            media=media,
            filename=content.get("filename"),
        )
        await self.accept(session, sent)
        reference = body.get("client_ref")
        return web.json_response(
            {"message_id": sent.id, "client_ref": reference, "status": "sent"}
        )

    @override
    async def report(self, session: Session, message: DeliveredMessage) -> None:
        """Send one event; nothing is kept for those who listen later."""
        moment = iso(message.sent_at, milliseconds=True)
        chat = {"from": message.chat_id}
        if message.from_me:
            name, chat = "message.sent", {"to": message.chat_id}
            data: dict[str, Any] = {"body": self._body(message), "sent_at": moment}
        elif message.kind == "reaction":
            name = "message.reaction"
            data = {
                "emoji": message.text,
                "target_message_id": message.reply_to,
                "received_at": moment,
            }
        else:
            name = "message.received"
            data = {"body": self._body(message), "received_at": moment}
        data = {"message_id": message.id, **chat, "is_group": message.in_group} | data
        if message.has_member and message.sender:
            data["participant"] = message.sender + PERSON
        if message.name:
            data["push_name"] = message.name
        await self.events.publish(name, session, self.frame(session, name, data))

    @override
    async def replay(self, session: Session, event: dict[str, Any]) -> None:
        """Send an event over the connections that are open."""
        frame = event | {"instance_id": session.id}
        await self.events.send(f"data: {json.dumps(frame)}\n\n".encode())

    def _body(self, message: DeliveredMessage) -> str | dict[str, Any]:
        """Return the text of a message, or a reference to its file."""
        if message.kind == "text":
            return message.text
        if message.kind not in MEDIA_TYPES:
            kind = "event" if message.kind == "other" else message.kind
            return {"type": kind, "text": message.text}
        return {
            "type": message.kind,
            # the token alone opens the file
            "media_url": f"{self.url}/v1/media/{secrets.token_urlsafe(16)}",
            "mime_type": message.mime_type,
            "caption": message.text or None,
            "filename": message.filename,
        }

    def frame(self, session: Session, name: str, data: dict[str, Any]) -> bytes:
        """Return an event in one of the documented forms."""
        event: dict[str, Any] = {"event": name, "instance_id": session.id, **data}
        if self.event_form == "nested":
            event = {
                "event": name.replace("instance.", "channel."),
                "event_id": str(uuid4()),
                "api_version": API_VERSION,
                "channel_id": session.id,
                "occurred_at": iso(time.time(), milliseconds=True),
                "data": data,
            }
        return f"data: {json.dumps(event)}\n\n".encode()


def _wrong_content(to: Any, content: Any) -> str | None:
    """Return what is wrong with a message."""
    if not isinstance(to, str) or not to or to.startswith("+"):
        return "to must be a number without a plus, or a group"
    if not isinstance(content, dict):
        return "body is required"
    kind = content.get("type")
    if kind not in FIELDS:
        return f"body.type must be one of {', '.join(FIELDS)}"
    needed = "text" if kind == "text" else "media_url"
    if not isinstance(content.get(needed), str):
        return f"body.{needed} is required"
    if unknown := content.keys() - FIELDS[kind] - {"type"}:
        return f"body has unknown fields: {', '.join(sorted(unknown))}"
    return None
