"""What WAHA tells about chats, people and files."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .machine import State
from .messages import LID, PERSON
from .waha_forms import WAHA_PERSON, WahaForms, file_path
from .waha_pairing import RUNNING_WAIT, STATUS_WAIT
from .waha_session import WahaSession

NO_STORE = (
    'Enable NOWEB store "config.noweb.store.enabled=True" and '
    '"config.noweb.store.fullSync=True" when starting a new session.'
)


class WahaChats(WahaForms):
    """The calls that only read."""

    def chat_routes(self) -> list[web.RouteDef]:
        """Return the routes that list chats and look for people and files."""
        lids = "/api/{id}/lids"
        return [
            web.get("/api/contacts/check-exists", self.check, name="check_number"),
            web.get("/api/{id}/chats/overview", self.overview, name="chats"),
            web.get("/api/{id}/groups", self.list_groups, name="groups"),
            web.get(f"{lids}/pn/{{number}}", self.find_lid, name="number_lid"),
            web.get(f"{lids}/{{lid}}", self.find_number, name="lid"),
            web.get("/api/files/{session}/{file}", self.file, name="download"),
        ]

    async def working(self, request: web.Request) -> WahaSession | web.Response:
        """Wait until the asked session works; return it, or the error if it doesn't."""
        name = request["name"]

        def find() -> WahaSession | None:
            session = self.sessions.get(name)
            assert isinstance(session, WahaSession | None)
            return session if session and session.owner == request["owner"] else None

        def runs() -> bool:
            return (session := find()) is not None and session.running

        await self._wait(RUNNING_WAIT, runs)
        if (session := find()) is None:
            message = f'Session "{name}" does not exist'
            return web.json_response({"error": message, "session": name}, status=422)
        if session.running:
            await self._wait(STATUS_WAIT, lambda: self._works(session))
        if not self._works(session):
            return self._unexpected_status(session, "WORKING")
        return session

    def _works(self, session: WahaSession) -> bool:
        return session.state is State.CONNECTED and session.passkey is None

    async def check(self, request: web.Request) -> web.Response:
        """Tell whether a phone number has WhatsApp."""
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        number = self.find_person(request.query.get("phone", "").lstrip("+"))
        if number is not None:
            found: dict[str, Any] = {"numberExists": True}
            chat, lid = number + WAHA_PERSON, self.lid_of(number)
            if self.checks_as_lid and lid:
                # since 2026.8.1
                return web.json_response(found | {"chatId": lid, "pn": chat})
            return web.json_response(found | {"chatId": chat})
        unknown: dict[str, Any] = {"numberExists": False}
        if self.engine == "GOWS":
            unknown["chatId"] = None
        return web.json_response(unknown)

    async def overview(self, request: web.Request) -> web.Response:
        """List the chats: all groups and all people."""
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        if self.engine == "NOWEB" and not _has_store(session):
            return self.error(400, "bad_request", NO_STORE)
        people = {number + WAHA_PERSON: name for number, name in self.people.items()}
        return web.json_response(
            [
                {
                    "id": chat,
                    "name": name,
                    "picture": None,
                    "lastMessage": None,
                    "_chat": {"id": chat.replace(WAHA_PERSON, PERSON)},
                }
                for chat, name in _page(request, [*(self.groups | people).items()])
            ]
        )

    async def list_groups(self, request: web.Request) -> web.Response:
        """List the groups, with their members unless they are excluded."""
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        groups = _page(request, [*self.groups.items()])
        if self.engine == "NOWEB":
            return web.json_response(
                {chat: {"id": chat, "subject": name} for chat, name in groups}
            )
        if self.in_browser:
            return web.json_response([_chat_object(*group) for group in groups])
        excluded = "participants" in request.query.get("exclude", "")
        members = {} if excluded else {"Participants": self._members()}
        return web.json_response(
            [
                {"JID": chat, "Name": name, "Topic": "", **members}
                for chat, name in groups
            ]
        )

    def _members(self) -> list[dict[str, Any]]:
        return [
            {"JID": (self.lid_of(number) or number + PERSON), "IsAdmin": False}
            for number in self.people
        ]

    async def find_number(self, request: web.Request) -> web.Response:
        """Return the phone number of a LID, null if it is not known."""
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        lid = request.match_info["lid"].removesuffix(LID)
        found = (number for number, one in self.lids.items() if one == lid)
        number = next(found, None)
        return web.json_response(
            {"lid": lid + LID, "pn": number and number + WAHA_PERSON}
        )

    async def find_lid(self, request: web.Request) -> web.Response:
        """Return the LID of a phone number, null if it is not known."""
        session = await self.working(request)
        if isinstance(session, web.Response):
            return session
        number = request.match_info["number"].partition("@")[0]
        return web.json_response(
            {"lid": self.lid_of(number), "pn": number + WAHA_PERSON}
        )

    async def file(self, request: web.Request) -> web.Response:
        """Return the downloaded file of a message, if it is still there."""
        for message in self.delivered:
            session = self.sessions.get(message.session_id)
            if (
                session
                and message.media is not None
                and self.keeps_files
                and request.path == file_path(session, message)
            ):
                kind = (message.mime_type or "").partition(";")[0]
                return web.Response(body=message.media, content_type=kind)
        error = {
            "code": 404,
            "key": "FILE_NOT_FOUND",
            "message": "File not found",
            "details": request.path,
        }
        return web.json_response({"error": error}, status=404)


def _has_store(session: WahaSession) -> bool:
    noweb = (session.config or {}).get("noweb") or {}
    return bool((noweb.get("store") or {}).get("enabled"))


def _page[T](request: web.Request, items: list[T]) -> list[T]:
    offset = int(request.query.get("offset", "0"))
    limit = int(request.query.get("limit", len(items)))
    return items[offset : offset + limit]


def _chat_object(chat: str, name: str) -> dict[str, Any]:
    """Return a group as the browser engines have it."""
    user, _, server = chat.partition("@")
    chat_id = {"server": server, "user": user, "_serialized": chat}
    metadata = {"id": chat_id, "subject": name}
    return {"id": chat_id, "name": name, "isGroup": True, "groupMetadata": metadata}
