"""Messages of Wappfy. Source: docs.wappfy.io, the reference and the guide of messages.

The two describe different bodies, and it isn't known which of them the server takes.
One that it doesn't take is refused, so nothing is sent then.
"""

from __future__ import annotations

from http import HTTPStatus
import re
from typing import TYPE_CHECKING, Any, override
from urllib.parse import urlencode

from .. import parsing
from ..base import path_of
from ..capabilities import Chats, Messages, NumberCheck
from ..failures import explanation
from ..message_parsing import MAX_CHATS, at, chats_of, checked_chat, sent_message
from ..messages import LEGACY_PHONE_SUFFIX, MessageKind, SendRequest, digits_or_id
from ..models import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http import HttpClient
    from ..messages import Chat, OutgoingMessage, SentMessage

    type Form = Callable[[str, OutgoingMessage], dict[str, Any]]

PATH = "/api/instances"
GROUPS_PER_PAGE = 50
SENT_IDS = (("message_id",),)
GROUP_IDS = (("group_id",), ("id",), ("id", "_serialized"))
GROUP_NAMES = ("name", "subject")
NOT_CONNECTED = {"NOT_CONNECTED", "INSTANCE_NOT_CONNECTED"}
"""Error codes of an instance that can't send now."""
WRONG_FORM = "wrong_form"
"""Code of our own for a body that lacks a member, or has one that isn't known."""
VALIDATION_STATUSES = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
MAX_EXPLANATION = 2000
"""Number of characters of a refusal that are looked at."""
_MEMBERS = re.compile(
    r"\b(chat_?id|body)\b|['\"`](to|text)\b|\b(property|field|parameter) (to|text)\b|"
    r"\b(to|text) (is (required|missing|not)|must|should)\b",
    re.IGNORECASE,
)
_COMPLAINTS = re.compile(
    r"required|missing|unknown|unrecogni[sz]ed|unexpected|not allowed|should not exist|"
    r"must be|invalid|validation",
    re.IGNORECASE,
)
TYPES = {MessageKind.VOICE: "audio"}
"""Types of files that have another name here."""


def reference_body(chat: str, message: OutgoingMessage) -> dict[str, Any]:
    """Return the body of the reference, "Send a message via WhatsApp"."""
    body = {"to": digits_or_id(chat), **_options(message)}
    if message.reaction is not None:
        reaction = {
            "reaction": message.reaction,
            "reaction_message_id": message.reply_to,
        }
        return body | {"type": "reaction"} | reaction
    if (media := message.media) is not None:
        file = {"type": TYPES.get(media.kind, media.kind.value), "media_url": media.url}
        return body | file | ({"caption": message.text} if message.text else {})
    if (poll := message.poll) is not None:
        question = {
            "name": poll.question,
            "options": list(poll.options),
            "multipleAnswers": poll.multiple,
        }
        return body | {"type": "poll", "poll": question}
    if (location := message.location) is not None:
        place = {
            "latitude": location.latitude,
            "longitude": location.longitude,
            "name": location.name,
        }
        return body | {"type": "location", "location": place}
    return body | {"type": "text", "body": message.text}


def guide_body(chat: str, message: OutgoingMessage) -> dict[str, Any]:
    """Return the body of the guide, which names some members differently."""
    body = reference_body(chat, message)
    del body["to"]
    if "body" in body:
        body["text"] = body.pop("body")
    return {"chat_id": chat, **body}


OTHER_FORM: dict[Form, Form] = {
    reference_body: guide_body,
    guide_body: reference_body,
}


class WappfyMessages(Messages, Chats, NumberCheck):
    """The messages and chats of an account."""

    @override
    def __init__(self, http: HttpClient) -> None:
        super().__init__(http)
        self._form: Form = reference_body
        """The form of messages that the server takes, as far as it is known."""

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Send a message in the form that worked last, else in the other one.

        A server that names members that are missing or unknown has sent nothing.
        """
        path = path_of(PATH, instance_id, "/messages/send")
        form = self._form
        try:
            return await self._send_as(form, path, chat_id, message)
        except Rejected as err:
            if err.code != WRONG_FORM:
                raise
            refused = err
        other = OTHER_FORM[form]
        try:
            sent = await self._send_as(other, path, chat_id, message)
        except Rejected as err:
            # if both forms are wrong, what the first one lacks is what matters
            raise (refused if err.code == refused.code else err) from None
        self._form = other
        return sent

    async def _send_as(
        self, form: Form, path: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        request = SendRequest(path=path, body=form(chat_id, message))
        answer = await self._request(lambda: request)
        return sent_message(answer, SENT_IDS)

    @override
    async def _list_chats(self, instance_id: str) -> list[Chat]:
        """Return the groups of all pages; a server may also ignore the page."""
        found: dict[str, Chat] = {}
        offset = 0
        while len(found) < MAX_CHATS:
            query = f"?limit={GROUPS_PER_PAGE}&offset={offset}"
            path = path_of(PATH, instance_id, f"/groups{query}")
            payload = (await self._http.request("GET", path)).json()
            count, groups = parse_groups(payload)
            new = {chat.id: chat for chat in groups if chat.id not in found}
            found |= new
            offset += count
            if count < GROUPS_PER_PAGE or not new:
                break
        return list(found.values())[:MAX_CHATS]

    @override
    async def _find_person(self, instance_id: str, phone_number: str) -> str | None:
        query = urlencode({"phone": phone_number})
        path = path_of(PATH, instance_id, f"/contacts/check?{query}")
        answer = await self._http.request("GET", path)
        return parse_check(answer.json(), phone_number)


def _options(message: OutgoingMessage) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if message.reply_to and message.reaction is None:
        options["quoted_message_id"] = message.reply_to
    if message.mentions:
        options["mentions"] = [
            digits + LEGACY_PHONE_SUFFIX for digits in message.mentions
        ]
    return options


def error_of(status: int, payload: Any, code: str | None) -> Rejected | None:
    """Return the error of a body in the wrong form, None if it is another one."""
    if status not in VALIDATION_STATUSES:
        return None
    _, message = explanation(payload)
    error = at(payload, "error")
    details = str(at(error, "details") or at(payload, "details") or "")
    told = f"{code} {message} {details}"[:MAX_EXPLANATION]
    if not _MEMBERS.search(told) or not _COMPLAINTS.search(told):
        return None
    return Rejected(code=WRONG_FORM)


def parse_groups(payload: Any) -> tuple[int, list[Chat]]:
    """Return the number of rows of a page, and its groups; raises `BadResponse`."""
    rows = payload.get("items") if isinstance(payload, dict) else payload
    rows = parsing.rows(rows)
    return len(rows), chats_of(rows, GROUP_IDS, GROUP_NAMES)


def parse_check(payload: Any, digits: str) -> str | None:
    """Return the chat ID of a phone number, None if it has no WhatsApp."""
    data = parsing.mapping(payload)
    if not parsing.flag(data, "exists"):
        return None
    return checked_chat(digits, data.get("chat_id"))
