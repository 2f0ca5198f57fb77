"""Messages of the Evolution API. Source: the code of 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
import re
from typing import TYPE_CHECKING, Any, override

from .. import parsing
from ..base import path_of
from ..capabilities import Chats, Downloads, Messages, NumberCheck
from ..failures import explanation
from ..http import SEND_TIME_LIMIT
from ..message_parsing import (
    at,
    chats_of,
    checked_chat,
    first_chat,
    people_of,
    remember,
    sent_message,
)
from ..messages import (
    GROUP,
    LID,
    MAX_MEDIA,
    PHONE_SUFFIX,
    IncomingMessage,
    MessageKind,
    SendRequest,
    digits_or_id,
    not_connected,
)
from ..models import (
    BadResponse,
    GatewayError,
    MaybeSent,
    NotFound,
    Refusal,
    Refused,
    Rejected,
    Skipped,
    Unreachable,
)
from .received import key_of, message_and_key, parse_message
from .sessions import HIDDEN_ERROR

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ..http import HttpClient
    from ..messages import Chat, Media, OutgoingMessage, SentMessage
    from .received import Key


SENT_IDS = (("key", "id"),)
SENT_CHATS = (("key", "remoteJid"), ("key", "remoteJidAlt"))
GROUP_IDS = (("id",),)
GROUP_NAMES = ("subject",)
PERSON_IDS = (("remoteJid",),)
PERSON_NAMES = ("pushName",)
NOT_CONNECTED = "not_connected"
"""Code of our own for an instance without a connection."""
UNCLEAR = "unclear"
"""Code of our own for a failure that may have followed the sending of a message."""
NOT_AVAILABLE = "Method not available on "
"""Beginning of the answer to a call that this type of instance doesn't offer."""
SIGNS_OF_NO_CONNECTION = re.compile(
    r"(\w*Error: )*(Connection Closed|"
    r"Cannot read properties of \w+ \(reading 'onWhatsApp'\))$"
)
"""The messages of errors that it answers; others may contain the user's own text."""
_MISSING = re.compile(r'The ".*" instance does not exist|Instance ".*" not found')
DOWNLOAD_ERRORS = {
    "Message not found": Refusal.FILE_NOT_KEPT,
    "Error: Failed to fetch stream": Refusal.FILE_GONE,
    "Error: Failed to re-upload media": Refusal.FILE_GONE,
}
"""Beginnings of the errors of a download, and what they mean."""
_EXCEPTION = re.compile(r"\w*Error\b")
"""Beginning of the message of an exception; refusals of a body have other words."""
MAX_ENCODED = MAX_MEDIA * 4 // 3 + 1024 * 1024
"""Number of bytes of an answer with a file."""
MEDIA_TYPES = {
    MessageKind.IMAGE: "image",
    MessageKind.VIDEO: "video",
    MessageKind.AUDIO: "audio",
    MessageKind.DOCUMENT: "document",
}


class EvolutionMessages(Messages, Chats, NumberCheck, Downloads):
    """The messages, chats and files of a server."""

    @override
    def __init__(self, http: HttpClient) -> None:
        super().__init__(http)
        self._keys: dict[tuple[str, str, str], Key] = {}
        """What is known of the last messages, for reactions, by instance, ID and chat.

        A message of a person is also known without the chat, which may be a LID.
        """

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        answered = instance_id, message.reply_to or ""
        key = self._keys.get((*answered, chat_id)) or self._keys.get((*answered, ""))
        build = partial(send_request, instance_id, chat_id, message, key)
        try:
            with _connection_needed():
                answer = await self._request(build)
        except Rejected as err:
            if err.code == UNCLEAR:
                # not chained: what the gateway repeats of a message is removed later
                raise MaybeSent(str(err)) from None
            if str(err) == HIDDEN_ERROR:
                is_group = chat_id.endswith(GROUP)
                reason = Refusal.GROUP_UNKNOWN if is_group else Refusal.CHAT_UNKNOWN
                raise Refused(reason) from err
            raise
        with suppress(BadResponse):
            self._remember(instance_id, answer.json())
        return sent_message(answer, SENT_IDS, SENT_CHATS)

    def _remember(self, instance_id: str, payload: Any) -> None:
        if (known := key_of(payload)) is not None:
            message_id, key = known
            other = at(payload, "key", "remoteJidAlt")
            chat = first_chat(key["remoteJid"], other) or ""
            # senders choose the IDs: a later message must not take another one's place
            for one in (chat, chat if chat.endswith(GROUP) else ""):
                if (instance_id, message_id, one) not in self._keys:
                    remember(self._keys, (instance_id, message_id, one), key)

    @override
    async def _list_chats(self, instance_id: str) -> list[Chat]:
        """Return the groups, and the people whose names the server knows.

        The server looks up a picture of each group, so this takes long.
        """
        query = "?getParticipants=false"
        path = path_of("/group/fetchAllGroups", instance_id, query)
        with _connection_needed():
            answer = await self._http.request("GET", path, time_limit=SEND_TIME_LIMIT)
        groups = parse_groups(answer.json())
        path = path_of("/chat/findContacts", instance_id)
        with suppress(Rejected, Unreachable):
            # a group can be chosen without the people
            answer = await self._http.request("POST", path, json={"where": {}})
            return groups + people_of(answer.json(), PERSON_IDS, PERSON_NAMES)
        return groups

    @override
    async def _find_person(self, instance_id: str, phone_number: str) -> str | None:
        """Return the chat of a phone number, None if it has no WhatsApp.

        Only instances with a phone can check a number; the others believe it.
        """
        path = path_of("/chat/whatsappNumbers", instance_id)
        body = {"numbers": [phone_number]}
        try:
            with _connection_needed():
                answer = await self._http.request("POST", path, json=body)
        except Rejected as err:
            if str(err).startswith(NOT_AVAILABLE):
                return phone_number + PHONE_SUFFIX
            raise
        return parse_check(answer.json(), phone_number)

    @override
    async def download(self, message: IncomingMessage) -> bytes:
        if message.media is None:
            raise Refused(Refusal.FILE_NOT_KEPT)
        path = path_of("/chat/getBase64FromMediaMessage", message.instance_id)
        try:
            with _connection_needed():
                answer = await self._http.request(
                    "POST",
                    path,
                    json={"message": {"key": {"id": message.media}}},
                    time_limit=SEND_TIME_LIMIT,
                    max_body=MAX_ENCODED,
                )
        except Rejected as err:
            for beginning, reason in DOWNLOAD_ERRORS.items():
                if str(err).startswith(beginning):
                    raise Refused(reason) from err
            raise
        return await asyncio.to_thread(parse_file, answer.body)

    def parse_event(self, event: dict[str, Any]) -> IncomingMessage | Skipped:
        """Parse a message, and remember what a reaction to it needs."""
        message = parse_message(event)
        if isinstance(message, IncomingMessage):
            data, _ = message_and_key(event)
            self._remember(message.instance_id, data)
        return message


@contextmanager
def _connection_needed() -> Generator[None]:
    """Tell the user that the instance isn't connected, if that is why a call fails."""
    try:
        yield
    except GatewayError as err:
        if err.code == NOT_CONNECTED:
            raise not_connected() from err
        raise


def send_request(
    name: str, chat: str, message: OutgoingMessage, key: Key | None
) -> SendRequest:
    """Return the request that sends a message; encodes the file in it.

    `key` is what is known of the message that a reaction is for.
    """
    if message.reaction is not None:
        known = key or {"remoteJid": chat, "fromMe": False}
        body = {
            "key": {**known, "id": message.reply_to or ""},
            "reaction": message.reaction,
        }
        return _call("sendReaction", name, body)
    route, content = _content(message)
    body = {"number": digits_or_id(chat), **content}
    if message.reply_to:
        body["quoted"] = {"key": {"id": message.reply_to}}
    if message.mentions:
        body["mentioned"] = list(message.mentions)
    return _call(route, name, body)


def _call(route: str, name: str, body: Mapping[str, Any]) -> SendRequest:
    return SendRequest(path=path_of(f"/message/{route}", name), body=body)


def _content(message: OutgoingMessage) -> tuple[str, dict[str, Any]]:
    """Return the route and the members of a body that depend on the content."""
    if (media := message.media) is not None:
        return _file(media, message.text)
    if (poll := message.poll) is not None:
        return "sendPoll", {
            "name": poll.question,
            "values": list(poll.options),
            # 0 means any number
            "selectableCount": 0 if poll.multiple else 1,
        }
    if (location := message.location) is not None:
        return "sendLocation", {
            "latitude": location.latitude,
            "longitude": location.longitude,
            "name": location.name,
            "address": "",
        }
    return "sendText", {"text": message.text}


def _file(media: Media, caption: str) -> tuple[str, dict[str, Any]]:
    """Return how to send a file; addresses of the local network are often refused."""
    content = media.content
    source = media.url if content is None else b64encode(content).decode()
    if media.kind is MessageKind.VOICE:
        return "sendWhatsAppAudio", {"audio": source}
    file = {
        "mediatype": MEDIA_TYPES[media.kind],
        "mimetype": media.mime_type,
        "fileName": media.filename,
        "media": source,
    }
    return "sendMedia", file | ({"caption": caption} if caption else {})


def error_of(status: int, payload: Any) -> GatewayError | None:
    """Return what a failure means, None if its HTTP status tells.

    - An instance without a connection is an error that passes for polls and pairings,
      which repeat their calls.
    - The server answers with 400 to all that fails in a send, such as the database in
      which it keeps a message that it has sent.
    """
    _, message = explanation(payload)
    if status == HTTPStatus.NOT_FOUND and at(payload, "status") == status:
        return NotFound() if _MISSING.fullmatch(message) else None
    if status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR}:
        return None
    details = at(payload, "response", "message")
    for unknown in details if isinstance(details, list) else ():
        if at(unknown, "exists") is False:
            is_lid = str(at(unknown, "jid")).endswith(LID)
            reason = Refusal.NUMBER_UNKNOWN if is_lid else Refusal.NOT_ON_WHATSAPP
            return Refused(reason)
    if SIGNS_OF_NO_CONNECTION.match(message):
        error = Rejected if status == HTTPStatus.BAD_REQUEST else Unreachable
        return error("Connection Closed", code=NOT_CONNECTED)
    if status == HTTPStatus.BAD_REQUEST and _EXCEPTION.match(message):
        return Rejected(code=UNCLEAR)
    return None


def parse_groups(payload: Any) -> list[Chat]:
    """Return the groups of an answer."""
    return chats_of(parsing.rows(payload), GROUP_IDS, GROUP_NAMES)


def parse_check(payload: Any, digits: str) -> str | None:
    """Return the chat ID of a phone number, None if it has no WhatsApp."""
    rows = parsing.items(payload, parsing.mapping)
    if not rows:
        raise BadResponse("No answer about the number")
    found = [row for row in rows if parsing.flag(row, "exists")]
    return checked_chat(digits, found[0].get("jid")) if found else None


def parse_file(body: bytes) -> bytes:
    """Return the file in an answer; raises `BadResponse`."""
    encoded = parsing.text(parsing.mapping(parsing.loads(body)), "base64")
    return parsing.base64(encoded, MAX_MEDIA)
