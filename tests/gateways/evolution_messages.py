"""Messages and chats of the Evolution API."""

from __future__ import annotations

from base64 import b64encode
from mimetypes import guess_extension
import time
from typing import TYPE_CHECKING, Any, ClassVar, override

from aiohttp import web

from .content import MEDIA_TYPES
from .evolution_bodies import READERS, BadBodyError, chat_of, values_of
from .evolution_instance import EvolutionInstance
from .evolution_rows import EvolutionRows
from .messages import GROUP, LID, PERSON, SentMessage, new_message_id
from .server import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .machine import Session
    from .messages import DeliveredMessage
    from .webhooks import Endpoint

GROUP_LOOKUP = 0.5
"""Seconds that the picture of each group takes, when the groups are listed."""
CLOSED = "Connection Closed"
NOT_AVAILABLE = {
    "WHATSAPP-BUSINESS": "Method not available on WhatsApp Business API",
    "EVOLUTION": "Method not available on Evolution Channel",
}
"""Answer to the calls that only instances with a phone offer, by the other types."""
NO_SOCKET = "Cannot read properties of undefined (reading 'onWhatsApp')"


class EvolutionMessages(EvolutionRows):
    """The calls about messages and chats, and the events about messages."""

    send_routes: ClassVar[tuple[str, ...]] = tuple(READERS)
    route_groups: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(READERS, "send"),
        "contacts": "chats",
    }

    def __init__(self, *, scale: float = 1.0, version: str = "2.3.7") -> None:
        """Have looked for no number yet."""
        super().__init__(scale=scale, version=version)
        self.cached_chats: set[str] = set()
        """People whom the server has looked for, and need not look for again."""

    def message_routes(self) -> list[web.RouteDef]:
        """Return the routes that send something, list chats or read a file."""
        send, chat = "/message/send", "/chat"
        audio = f"{send}WhatsAppAudio/{{id}}"
        file = f"{chat}/getBase64FromMediaMessage/{{id}}"
        check = f"{chat}/whatsappNumbers/{{id}}"
        return [
            web.post(f"{send}Text/{{id}}", self.send, name="send_text"),
            web.post(f"{send}Media/{{id}}", self.send, name="send_media"),
            web.post(audio, self.send, name="send_audio"),
            web.post(f"{send}Location/{{id}}", self.send, name="send_location"),
            web.post(f"{send}Poll/{{id}}", self.send, name="send_poll"),
            web.post(f"{send}Reaction/{{id}}", self.send, name="send_reaction"),
            web.get("/group/fetchAllGroups/{id}", self.list_groups, name="chats"),
            web.post(f"{chat}/findContacts/{{id}}", self.contacts, name="contacts"),
            web.post(check, self.check, name="check_number"),
            web.post(file, self.file, name="download"),
        ]

    async def send(self, request: web.Request) -> web.Response:
        """Send a message: check the body, then the number, then the connection."""
        instance = request["instance"]
        route, body = request.match_info.route.name or "", await self.body_of(request)
        try:
            values = values_of(route, body)
        except BadBodyError as error:
            return self.error(400, "bad_request", [str(error)])
        reaction = route == "send_reaction"
        number = str(body["key"]["remoteJid"] if reaction else body["number"])
        chat = self._chat(number)
        if (refused := self._refuse_chat(instance, number, chat)) is not None:
            return refused
        if isinstance(address := values.get("media"), str):
            values["media"] = await self.fetch_media(address)
            if values["media"] is None:
                message = "AxiosError: Request failed with status code 404"
                return self.error(500, "internal", message)
        if not chat.endswith(GROUP):
            values["mentions"] = ()
        sent = SentMessage(
            id=new_message_id(), session_id=instance.id, chat_id=chat, **values
        )
        own = await self.accept(instance, sent)
        return web.json_response(self.message_row(instance, own), status=201)

    def _chat(self, number: str) -> str:
        """Return the chat of a number, which may be written in another way there."""
        chat = chat_of(number)
        if not chat.endswith(PERSON):
            return chat
        digits = chat.removesuffix(PERSON)
        return (self.find_person(digits) or digits) + PERSON

    def _refuse_chat(
        self, instance: EvolutionInstance, number: str, chat: str
    ) -> web.Response | None:
        if instance.live != "open":
            if chat in self.cached_chats:
                return self.error(400, "bad_request", [f"Error: {CLOSED}"])
            return self._not_connected(instance)
        if chat.endswith(GROUP):
            known = chat in self.groups
            message: Any = "[object Object]"
        else:
            known = self._exists(chat)
            message = {"jid": chat, "exists": False, "number": number}
        if not known:
            return self.error(400, "bad_request", [message])
        self.cached_chats.add(chat)
        return None

    def _exists(self, chat: str) -> bool:
        if chat.endswith(LID):
            # 2.4 does not look for LIDs
            return self.modern or chat in self.cached_chats
        return chat.removesuffix(PERSON) in self.people

    def _not_connected(self, instance: EvolutionInstance) -> web.Response:
        """Return one of the errors that a lookup without a connection ends with."""
        message = CLOSED if instance.running or instance.starts else NO_SOCKET
        return self.error(500, "internal", message)

    async def list_groups(self, request: web.Request) -> web.Response:
        """List the groups, after a look for the picture of each."""
        instance = request["instance"]
        if request.query.get("getParticipants") not in {"true", "false"}:
            message = 'instance requires property "getParticipants"'
            return self.error(400, "bad_request", [message])
        if (refusal := NOT_AVAILABLE.get(instance.type)) is not None:
            return self.error(400, "bad_request", [refusal])
        if instance.live != "open":
            return self._not_connected(instance)
        await self._sleep(GROUP_LOOKUP * len(self.groups))
        members = {}
        if request.query["getParticipants"] == "true":
            people = [{"id": one + PERSON, "admin": None} for one in self.people]
            members = {"participants": people}
        return web.json_response(
            [
                {
                    "id": chat,
                    "subject": name,
                    "size": len(self.people) + 1,
                    "creation": int(instance.created),
                    "owner": None,
                    "desc": None,
                    "restrict": False,
                    "announce": False,
                    "pictureUrl": None,
                    **members,
                }
                for chat, name in self.groups.items()
            ]
        )

    async def contacts(self, request: web.Request) -> web.Response:
        """List the rows of the database about people and groups."""
        instance = request["instance"]
        people = {number + PERSON: name for number, name in self.people.items()}
        created = iso(instance.created, milliseconds=True)
        return web.json_response(
            [
                {
                    "id": f"contact_{number}",
                    "remoteJid": chat,
                    # groups have no name here
                    "pushName": people.get(chat),
                    "profilePicUrl": None,
                    "createdAt": created,
                    "updatedAt": created,
                    "instanceId": instance.uuid,
                    "isGroup": chat.endswith(GROUP),
                    "isSaved": chat in people,
                    "type": "contact" if chat in people else "group",
                }
                for number, chat in enumerate([*people, *self.groups])
            ]
        )

    async def check(self, request: web.Request) -> web.Response:
        """Tell which phone numbers have WhatsApp."""
        numbers = (await self.body_of(request)).get("numbers")
        if not isinstance(numbers, list):
            message = 'instance requires property "numbers"'
            return self.error(400, "bad_request", [message])
        instance = request["instance"]
        if (refusal := NOT_AVAILABLE.get(instance.type)) is not None:
            # the error itself, not in the form of the other answers
            error = {"status": 400, "error": "Bad Request", "message": [refusal]}
            return web.json_response(error, status=400)
        if instance.live != "open":
            # the error itself, of which nothing is left
            return web.json_response({}, status=400)
        return web.json_response([self._checked(str(number)) for number in numbers])

    def _checked(self, number: str) -> dict[str, Any]:
        chat = self._chat(number)
        found: dict[str, Any] = {"jid": chat, "exists": False, "number": number}
        if chat.endswith(GROUP):
            return found | {"exists": chat in self.groups}
        digits = chat.removesuffix(PERSON)
        if digits not in self.people:
            return found
        lid = self.lid_of(digits)
        if self.checks_as_lid and lid:
            self.cached_chats.add(lid)
            return found | {"jid": lid, "exists": True, "lid": "lid"}
        self.cached_chats.add(chat)
        found |= {"exists": True, "name": self.people[digits]}
        return found | ({"lid": lid} if lid else {})

    async def file(self, request: web.Request) -> web.Response:
        """Return the file of a message that the server knows."""
        body = await self.body_of(request)
        key = (body.get("message") or {}).get("key") or {}
        message = self.find_message(str(key.get("id")))
        if message is None or message.session_id != request["instance"].id:
            return self.error(400, "bad_request", ["Message not found"])
        if message.media is None:
            text = "The message is not of the media type"
            return self.error(400, "bad_request", [text])
        kind = (message.mime_type or "").partition(";")[0]
        name = message.filename or f"{message.id}{guess_extension(kind) or ''}"
        answer = {
            "mediaType": MEDIA_TYPES[message.kind],
            "fileName": name,
            "caption": message.text or None,
            "size": {"fileLength": str(len(message.media))},
            "mimetype": message.mime_type,
            "base64": b64encode(message.media).decode(),
            "buffer": None,
        }
        return web.json_response(answer, status=201)

    # events

    @override
    async def report(self, session: Session, message: DeliveredMessage) -> None:
        """Call the webhook of the instance, if it is to be called for messages."""
        assert isinstance(session, EvolutionInstance)
        by_client = message.by_client and not self.forgets_own
        event = "send.message" if by_client else "messages.upsert"
        for endpoint in self.webhooks.active:
            wanted = event.replace(".", "_").upper() in endpoint.events
            if endpoint.id == session.uuid and wanted:
                row = self.message_row(session, message)
                if endpoint.with_media and message.media is not None:
                    row["message"]["base64"] = b64encode(message.media).decode()
                body = self.envelope(endpoint, session, event, row)
                await self.webhooks.tell(endpoint, event, body)

    @override
    async def replay(self, session: Session, event: dict[str, Any]) -> None:
        """Call the webhook of an instance with an event."""
        assert isinstance(session, EvolutionInstance)
        for endpoint in self.webhooks.active:
            if endpoint.id == session.uuid:
                body = event | {"instance": session.id}
                await self.webhooks.tell(endpoint, event["event"], body)

    def envelope(
        self,
        endpoint: Endpoint,
        session: EvolutionInstance,
        event: str,
        data: dict[str, Any],
    ) -> dict[str, Any]:
        """Return an event as it is sent."""
        return {
            "event": event,
            "instance": session.id,
            "data": data,
            "destination": endpoint.url,
            "date_time": iso(time.time() + self.clock_ahead, milliseconds=True),
            "sender": f"{session.account}@s.whatsapp.net",
            "server_url": self.url,
            "apikey": session.token,
        }
