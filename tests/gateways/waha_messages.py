"""How messages are sent with WAHA, and how it reports them."""

from __future__ import annotations

from abc import abstractmethod
from base64 import b64decode
import binascii
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .messages import (
    DeliveredMessage,
    SentMessage,
    common_chat_id,
    mentioned,
    new_message_id,
)
from .waha_chats import WahaChats
from .waha_forms import BROWSER_ENGINES, bare_id
from .waha_session import WahaSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .machine import Session

KINDS = {
    "send_text": "text",
    "send_image": "image",
    "send_file": "document",
    "send_video": "video",
    "send_voice": "voice",
    "send_location": "location",
    "send_poll": "poll",
    "send_reaction": "reaction",
}
"""What each route sends."""
FILE_ROUTES = {"send_image", "send_file", "send_video", "send_voice"}
WRONG_ID = (
    "Message id be in format false_11111111111@c.us_AAAAAAAAAAAAAAAAAAAA[_participant]"
)


class InvalidBodyError(Exception):
    """The server does not take the body of a request."""


class EngineError(Exception):
    """The engine fails, and the server does not know why."""


class WahaMessages(WahaChats):
    """The calls that send, and the events about messages."""

    send_routes: ClassVar[tuple[str, ...]] = tuple(KINDS)
    route_groups: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(KINDS, "send"),
        "groups": "chats",
    }

    def message_routes(self) -> list[web.RouteDef]:
        """Return the routes that send something."""
        return [
            web.post("/api/sendText", self.send, name="send_text"),
            web.post("/api/sendImage", self.send, name="send_image"),
            web.post("/api/sendFile", self.send, name="send_file"),
            web.post("/api/sendVideo", self.send, name="send_video"),
            web.post("/api/sendVoice", self.send, name="send_voice"),
            web.post("/api/sendLocation", self.send, name="send_location"),
            web.post("/api/sendPoll", self.send, name="send_poll"),
            web.put("/api/reaction", self.send, name="send_reaction"),
        ]

    async def send(self, request: web.Request) -> web.Response:
        """Send a message; what is answered depends on the engine."""
        route, body = request.match_info.route.name or "", await self.body_of(request)
        try:
            values = self._values(route, body)
        except InvalidBodyError as error:
            return self.error(400, "bad_request", [str(error)])
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        if self.single and route in FILE_ROUTES:
            message = (
                "The feature is available only in Plus version for "
                f"'{self.engine}' engine. Check this out: https://waha.devlike.pro/"
            )
            return self.error(422, "unprocessable", message)
        try:
            values |= await self._target(route, body)
        except EngineError as error:
            return await self._crash(request, str(error))
        sent = SentMessage(
            id=new_message_id(), session_id=session.id, kind=KINDS[route], **values
        )
        return await self._sent(session, sent)

    def _values(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what a body says about the content of a message."""
        mentions = body.get("mentions") or []
        if not isinstance(mentions, list):
            raise InvalidBodyError("mentions must be an array")
        if route == "send_reaction":
            message_id = _text(body, "messageId")
            return {"text": _text(body, "reaction"), "reply_to": message_id}
        _text(body, "chatId")
        return {
            "reply_to": body.get("reply_to"),
            "mentions": mentioned(mentions),
            **VALUES.get(route, _file)(body),
        }

    async def _target(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the chat, and the file that has to be fetched for it."""
        if route == "send_reaction":
            # only the full ID tells the chat
            parts = body["messageId"].split("_")
            if len(parts) not in {3, 4}:
                raise EngineError(WRONG_ID)
            return {"chat_id": common_chat_id(parts[1])}
        chat = body["chatId"]
        if chat.endswith("@s.whatsapp.net"):
            raise EngineError(f"invalid chat ID: {chat}")
        target: dict[str, Any] = {"chat_id": common_chat_id(chat)}
        if route in FILE_ROUTES:
            target["media"] = await self._content(body["file"])
        return target

    async def _content(self, file: dict[str, Any]) -> bytes:
        if "url" in file:
            if (content := await self.fetch_media(str(file["url"]))) is None:
                raise EngineError("Request failed with status code 404")
            return content
        try:
            return b64decode(str(file["data"]))
        except binascii.Error:
            # the server takes what it can read
            return b""

    async def _sent(self, session: WahaSession, sent: SentMessage) -> web.Response:
        """Report a message as an own one, and answer as the engine does."""
        own = await self.accept(session, sent)
        status = 200 if sent.kind == "reaction" else 201
        if self.engine == "WEBJS" and sent.kind == "reaction":
            return web.Response(status=status)
        raw = self.raw_form(session, own)
        if self.engine == "NOWEB":
            answer = self.message_form(session, own) if sent.kind == "poll" else raw
            return web.json_response(answer, status=status)
        full_id: Any = own.id
        if self.engine in BROWSER_ENGINES:
            full_id = self.object_id(own)
        return web.json_response({"id": full_id, "_data": raw}, status=status)

    @override
    def answered_id(self, message: DeliveredMessage) -> str:
        in_short = self.engine == "NOWEB" and message.kind != "poll"
        return bare_id(message.id) if in_short else message.id

    @override
    async def report(self, session: Session, message: DeliveredMessage) -> None:
        """Send what is listened to: own messages are only in `message.any`."""
        assert isinstance(session, WahaSession)
        if message.kind == "reaction":
            names, payload = ["message.reaction"], self.reaction_form(session, message)
        else:
            names = ["message.any"] if message.from_me else ["message", "message.any"]
            payload = self.message_form(session, message)
        for name in names:
            data = self.envelope(session, name, payload)
            await self.events.publish(name, session, data)

    @abstractmethod
    def envelope(self, session: WahaSession, event: str, payload: Any) -> bytes:
        """Return an event as it is sent."""


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str):
        raise InvalidBodyError(f"{name} must be a string")
    return text


def _plain_text(body: dict[str, Any]) -> dict[str, Any]:
    return {"text": _text(body, "text")}


def _location(body: dict[str, Any]) -> dict[str, Any]:
    for name in ("latitude", "longitude"):
        if not isinstance(body.get(name), int | float):
            raise InvalidBodyError(f"{name} must be a number")
    place = {name: body[name] for name in ("latitude", "longitude")}
    return {"text": body.get("title") or "", **place}


def _poll(body: dict[str, Any]) -> dict[str, Any]:
    poll = body.get("poll") or {}
    if not isinstance(options := poll.get("options"), list):
        raise InvalidBodyError("poll.options must be an array")
    return {
        "text": _text(poll, "name"),
        "options": tuple(options),
        "multiple": bool(poll.get("multipleAnswers")),
    }


def _file(body: dict[str, Any]) -> dict[str, Any]:
    file = body.get("file")
    if not isinstance(file, dict) or not {"url", "data"} & file.keys():
        raise InvalidBodyError("file must be an object")
    return {
        "text": body.get("caption") or "",
        "mime_type": file.get("mimetype"),
        "filename": file.get("filename"),
    }


VALUES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "send_text": _plain_text,
    "send_location": _location,
    "send_poll": _poll,
}
"""What reads the body of each route that does not take a file."""
