"""Messages of WAHA. Source: its pages "Send messages" and "Contacts".

What they leave out was taken from the source code of the server. The engines of a
server differ in what they answer.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, override
from urllib.parse import urlencode

from .. import parsing
from ..base import path_of
from ..capabilities import Chats, Downloads, LidLookup, Messages, NumberCheck
from ..http import SEND_TIME_LIMIT
from ..message_parsing import (
    MAX_CHATS,
    at,
    chat_in_id,
    chats_of,
    checked_chat,
    first_chat,
    people_of,
    sent_message,
)
from ..messages import (
    LEGACY_PHONE_SUFFIX,
    MAX_MEDIA,
    MessageKind,
    SendRequest,
    to_c_us,
)
from ..models import (
    Refusal,
    Refused,
    Rejected,
)
from ..storage import fetch_file
from .received import FILES, IDS

if TYPE_CHECKING:
    from ..messages import Chat, IncomingMessage, Media, OutgoingMessage, SentMessage

LID_TIME_LIMIT = 5.0
"""Seconds for the number of one person: the messages of the chat wait so long."""
ROUTES = {
    MessageKind.IMAGE: "/api/sendImage",
    MessageKind.VIDEO: "/api/sendVideo",
    MessageKind.VOICE: "/api/sendVoice",
}
"""Paths to send files; all other files are sent as documents."""
PLAYABLE_VIDEO = "video/mp4"
"""The type of a video that needs no conversion."""
OGG, OPUS = b"OggS", b"OpusHead"
"""How an Ogg file starts, and what its first page has if the sound is Opus."""
MAX_FIRST_PAGE = 1 << 16
SENT_CHATS = (("key", "remoteJid"), ("id", "remote"))
"""Where the engines NOWEB and WEBJS have the chat of a message that was sent."""
GROUP_IDS = (("id",), ("id", "_serialized"), ("JID",))
GROUP_NAMES = ("subject", "name", "Name")
DOWNLOAD_SETTING = "WHATSAPP_DOWNLOAD_MEDIA"
"""The setting that lets the server download the files of messages."""
MAX_PEOPLE = 500
"""Number of chats among which people are looked for."""


class WahaMessages(Messages, Chats, NumberCheck, Downloads, LidLookup):
    """The messages, chats and files of a server."""

    @override
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        build = partial(send_request, instance_id, chat_id, message)
        answer = await self._request(build)
        sent = sent_message(answer, IDS, SENT_CHATS)
        return replace(
            sent, chat_id=sent.chat_id or first_chat(chat_in_id(sent.id or ""))
        )

    @override
    async def _list_chats(self, instance_id: str) -> list[Chat]:
        """Return the groups, and the people of the latest chats.

        The members of groups are not asked for. The engine NOWEB only lists people if
        its store is enabled.
        """
        query = f"?limit={MAX_CHATS}&offset=0&exclude=participants"
        path = path_of("/api", instance_id, f"/groups{query}")
        groups = parse_groups((await self._http.request("GET", path)).json())
        path = path_of("/api", instance_id, f"/chats/overview?limit={MAX_PEOPLE}")
        with suppress(Rejected):
            answer = await self._http.request("GET", path)
            return groups + people_of(answer.json(), GROUP_IDS, GROUP_NAMES)
        return groups

    @override
    async def _find_person(self, instance_id: str, phone_number: str) -> str | None:
        query = urlencode({"session": instance_id, "phone": phone_number})
        path = f"/api/contacts/check-exists?{query}"
        answer = await self._http.request("GET", path)
        return parse_check(answer.json(), phone_number)

    @override
    async def find_number(self, instance_id: str, lid: str) -> str | None:
        """Return the chat ID of the person behind a LID.

        An engine without a list of LIDs refuses this.
        """
        path = path_of(path_of("/api", instance_id, "/lids"), lid)
        answer = await self._http.get(path, time_limit=LID_TIME_LIMIT)
        return parse_lid(answer.json())

    @override
    async def download(self, message: IncomingMessage) -> bytes:
        """Return the file of a message, which the server may keep for minutes only.

        `message.media` is a path on the server, or the address in a storage (S3) that
        the server uses.
        """
        if (media := message.media) is None:
            raise Refused(Refusal.FILE_NOT_DOWNLOADED, setting=DOWNLOAD_SETTING)
        page_ok = message.kind is MessageKind.DOCUMENT
        if not media.startswith(FILES):
            return await fetch_file(self._http.open_session(), media, page_ok=page_ok)
        answer = await self._http.request(
            "GET",
            media,
            time_limit=SEND_TIME_LIMIT,
            max_body=MAX_MEDIA,
            page_ok=page_ok,
        )
        return answer.body


def send_request(session: str, chat: str, message: OutgoingMessage) -> SendRequest:
    """Return the request that sends a message; encodes the file in it."""
    if message.reaction is not None:
        body = {
            "session": session,
            "messageId": _serialized_id(chat, message.reply_to or ""),
            "reaction": message.reaction,
        }
        return SendRequest(method="PUT", path="/api/reaction", body=body)
    path, content = _content(message)
    common: dict[str, Any] = {"session": session, "chatId": to_c_us(chat)}
    if message.reply_to:
        common["reply_to"] = message.reply_to
    if message.mentions:
        common["mentions"] = [
            digits + LEGACY_PHONE_SUFFIX for digits in message.mentions
        ]
    return SendRequest(path=path, body=common | content)


def _serialized_id(chat: str, message_id: str) -> str:
    """Return the long form of an ID, which a reaction needs.

    The engine NOWEB answers a send with the short form. So a message with a short one
    is our own.
    """
    if "_" in message_id:
        return message_id
    return f"true_{to_c_us(chat)}_{message_id}"


def _content(message: OutgoingMessage) -> tuple[str, dict[str, Any]]:
    """Return the path and the members of a body that depend on the content."""
    if (media := message.media) is not None:
        content: dict[str, Any] = {"file": _file(media)}
        if message.text and media.kind is not MessageKind.VOICE:
            content["caption"] = message.text
        if media.kind in {MessageKind.VIDEO, MessageKind.VOICE}:
            content["convert"] = not _is_playable(media)
        return ROUTES.get(media.kind, "/api/sendFile"), content
    if (poll := message.poll) is not None:
        question = {
            "name": poll.question,
            "options": list(poll.options),
            "multipleAnswers": poll.multiple,
        }
        return "/api/sendPoll", {"poll": question}
    if (location := message.location) is not None:
        return "/api/sendLocation", {
            "latitude": location.latitude,
            "longitude": location.longitude,
            "title": location.name,
        }
    return "/api/sendText", {"text": message.text}


def _is_playable(media: Media) -> bool:
    """Return whether phones surely play a video or a voice message as it is."""
    if media.kind is MessageKind.VIDEO:
        return media.mime_type.partition(";")[0] == PLAYABLE_VIDEO
    # an Ogg file with another codec makes a silent voice message
    start = (media.content or b"")[:MAX_FIRST_PAGE]
    return start.startswith(OGG) and OPUS in start


def _file(media: Media) -> dict[str, Any]:
    file = {"mimetype": media.mime_type, "filename": media.filename}
    if media.content is None:
        return file | {"url": media.url}
    return file | {"data": b64encode(media.content).decode()}


def needs_connection(payload: Any) -> bool:
    """Return whether a request was refused because the session isn't connected."""
    return bool(at(payload, "expected") == ["WORKING"])


def parse_groups(payload: Any) -> list[Chat]:
    """Return the groups in the form of any engine; NOWEB may answer an object."""
    if isinstance(payload, dict):
        payload = [
            {"id": key} | (value if isinstance(value, dict) else {})
            for key, value in payload.items()
        ]
    return chats_of(parsing.rows(payload), GROUP_IDS, GROUP_NAMES)


def parse_lid(payload: Any) -> str | None:
    """Return the chat ID of the person behind a LID, None if it isn't known."""
    return first_chat(at(payload, "pn"))


def parse_check(payload: Any, digits: str) -> str | None:
    """Return the chat ID of a phone number, None if it has no WhatsApp."""
    data = parsing.mapping(payload)
    if not parsing.flag(data, "numberExists"):
        return None
    return checked_chat(digits, data.get("chatId"), data.get("pn"))
