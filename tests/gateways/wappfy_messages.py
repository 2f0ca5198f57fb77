"""Messages of Wappfy, in the two forms that its documents give.

The guide and the reference contradict each other, and nobody knows which is right.
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Literal

from aiohttp import web

from .machine import State
from .messages import (
    PERSON,
    SentMessage,
    common_chat_id,
    mentioned,
    new_message_id,
)
from .server import Gateway

FILE_TYPES = {"image", "video", "audio", "document"}
REFERENCE_TYPES = {"text", "location", "poll", "reaction", *FILE_TYPES}
GUIDE_TYPES = {"text", *FILE_TYPES}
GROUPS_PER_PAGE = 50


class InvalidBodyError(Exception):
    """The gateway does not take the body of a request."""


class WappfyMessages(Gateway):
    """The calls about messages, groups and people."""

    send_routes: ClassVar[tuple[str, ...]] = ("send",)

    def __init__(self, *, scale: float = 1.0) -> None:
        """Work as the reference says."""
        super().__init__(scale=scale)
        self.send_form: Literal["reference", "guide"] = "reference"
        """Which document the gateway keeps to."""

    def message_routes(self) -> list[web.RouteDef]:
        """Return the routes that send something, or list groups and people."""
        one = f"{self.base_path}/{{id}}"
        return [
            web.post(f"{one}/messages/send", self.send, name="send"),
            web.get(f"{one}/groups", self.list_groups, name="chats"),
            web.get(f"{one}/contacts/check", self.check, name="check_number"),
        ]

    async def send(self, request: web.Request) -> web.Response:
        """Send a message; the reference only queues it, and tells no ID."""
        session, body = self.session_of(request), await self.body_of(request)
        if session is None:
            return self.no_instance(request)
        guide = self.send_form == "guide"
        try:
            values = _guide_values(body) if guide else _reference_values(body)
        except InvalidBodyError as error:
            return self.error(422, "validation_error", str(error))
        if session.state is not State.CONNECTED:
            # not stated in the documents
            message = "Instance is not connected"
            return self.error(409, "instance_not_connected", message)
        if values["kind"] in FILE_TYPES:
            values["media"] = await self.fetch_media(str(body["media_url"]))
            if values["media"] is None:
                message = "media_url cannot be fetched"
                return self.error(422, "validation_error", message)
        sent = SentMessage(id=new_message_id(), session_id=session.id, **values)
        await self.accept(session, sent)
        if guide:
            data = {"message_id": sent.id, "status": "sent"}
            return web.json_response({"data": data})
        job = str(secrets.randbelow(10_000))
        return web.json_response({"message": "Message queued", "jobId": job})

    async def list_groups(self, request: web.Request) -> web.Response:
        """List the groups of an instance, a page at a time."""
        if self.session_of(request) is None:
            return self.no_instance(request)
        offset = int(request.query.get("offset", "0"))
        limit = int(request.query.get("limit", GROUPS_PER_PAGE))
        groups = [*self.groups.items()][offset : offset + limit]
        members = [f"{number}@c.us" for number in self.people]
        if self.send_form == "guide":
            data = [
                {"group_id": chat, "name": name, "participant_count": len(members)}
                for chat, name in groups
            ]
            return web.json_response({"data": data})
        return web.json_response(
            [
                {"id": chat, "subject": name, "participants": members}
                for chat, name in groups
            ]
        )

    async def check(self, request: web.Request) -> web.Response:
        """Tell whether a phone number has WhatsApp."""
        if self.session_of(request) is None:
            return self.no_instance(request)
        number = request.query.get("phone", "").lstrip("+")
        person = self.find_person(number)
        data = {
            "exists": person is not None,
            "phone": number,
            "chat_id": person and person + PERSON,
        }
        return web.json_response({"data": data})


def _guide_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read a body as the guide describes it."""
    chat, kind = _text(body, "chat_id"), _kind(body, GUIDE_TYPES)
    text = _text(body, "text") if kind == "text" else body.get("caption") or ""
    if kind in FILE_TYPES:
        _text(body, "media_url")
    return {"chat_id": common_chat_id(chat), "kind": kind, "text": text}


def _reference_values(body: dict[str, Any]) -> dict[str, Any]:
    """Read a body as the reference describes it."""
    chat, kind = _text(body, "to"), _kind(body, REFERENCE_TYPES)
    values: dict[str, Any] = {
        "chat_id": common_chat_id(chat),
        "kind": kind,
        "reply_to": body.get("quoted_message_id"),
        "mentions": mentioned(body.get("mentions") or []),
    }
    match kind:
        case "text":
            return values | {"text": _text(body, "body")}
        case "location":
            place = _object(body, "location")
            for name in ("latitude", "longitude"):
                if not isinstance(place.get(name), int | float):
                    raise InvalidBodyError(f"location.{name} is required")
                values[name] = place[name]
            return values | {"text": place.get("name") or ""}
        case "poll":
            poll = _object(body, "poll")
            options = {"options": tuple(poll.get("options") or ())}
            multiple = {"multiple": bool(poll.get("multipleAnswers"))}
            return values | options | multiple | {"text": _text(poll, "name")}
        case "reaction":
            reply_to = _text(body, "reaction_message_id")
            return values | {"text": _text(body, "reaction"), "reply_to": reply_to}
    _text(body, "media_url")
    return values | {"text": body.get("caption") or ""}


def _kind(body: dict[str, Any], kinds: set[str]) -> str:
    kind = _text(body, "type")
    if kind not in kinds:
        raise InvalidBodyError(f"type must be one of {', '.join(sorted(kinds))}")
    return kind


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str):
        raise InvalidBodyError(f"{name} is required")
    return text


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise InvalidBodyError(f"{name} is required")
    return value
