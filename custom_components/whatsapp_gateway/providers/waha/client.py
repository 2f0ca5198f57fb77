"""WAHA. Source: its documentation and OpenAPI description of version 2026.7.1.

A server has sessions, all of them with the same engine (WEBJS, WPP, NOWEB or GOWS). The
name of a session is also its ID. What the documentation leaves out was taken from the
source code of the server (devlikeapro/waha, versions 2026.2.1 and newer).
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, override

from .. import parsing
from ..base import Provider, path_of
from ..capabilities import PairingCodes
from ..failures import explanation
from ..message_parsing import at
from ..messages import not_connected
from ..models import (
    Action,
    BadResponse,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    NotFound,
    QrCode,
    RateLimited,
    Refusal,
    Refused,
    Rejected,
    Unreachable,
)
from .events import WahaEvents
from .messages import WahaMessages, needs_connection
from .reconnections import Reconnections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ..http import HttpClient

PATH = "/api/sessions"
LIST = f"{PATH}?all=true"
"""Without `all` the list lacks stopped sessions."""
VERSION = "/api/server/version"
OLD_VERSION = "/api/version"
PAIRING_CODE_LENGTH = 8
MAX_KEY_CHECKS = 3
"""Number of polls that ask what the API key gives access to, if there is no answer."""
CALLS = {
    Action.DISCONNECT: "stop",
    Action.RESTART: "restart",
    Action.LOGOUT: "logout",
}
"""The call of each action but Connect."""
CONNECT_CALLS: dict[InstanceStatus | None, str] = {
    InstanceStatus.DISCONNECTED: "start",
    # a failed session counts as running: a start would do nothing
    InstanceStatus.FAILED: "restart",
    None: "start",
}
"""The call that connects a session, by its status; the others are running."""

HEALTH_TIME_LIMIT = 5.0
"""Seconds for the question what the API key gives access to."""
FORBIDDEN = "forbidden"
NOT_NOW = "not_now"
"""Codes of our own for errors that this module has to tell apart."""
ERRORS: tuple[tuple[int, str, Callable[..., GatewayError], str, str | None], ...] = (
    (
        403,
        "Forbidden",
        partial(Refused, Refusal.KEY_NOT_ALLOWED),
        "This API key is not allowed to do that.",
        FORBIDDEN,
    ),
    # the session may also exist and be stopped
    (404, "We didn't find a session", Rejected, "The session is not running.", NOT_NOW),
    (
        422,
        "Session status is not as expected",
        Rejected,
        "The session has another status now.",
        NOT_NOW,
    ),
    (
        422,
        "Can request code only in",
        Rejected,
        "The session is not waiting to be linked.",
        NOT_NOW,
    ),
    (404, "Session ", NotFound, "The session does not exist.", None),
    *(
        (404, beginning, partial(Refused, Refusal.FILE_GONE), "", None)
        for beginning in ("File not found", "Cannot GET /api/files/")
    ),
    (422, 'Session "', NotFound, "The session does not exist.", None),
    (
        422,
        "WAHA Core support only",
        Rejected,
        (
            "This WAHA version only supports one session named default. "
            "Update WAHA to 2026.6.1 or newer."
        ),
        None,
    ),
    (501, "", Rejected, "The engine of this server does not support that.", None),
)
"""HTTP status, beginning of the message, and the error that they mean."""
UNAUTHORIZED = {"message": "Unauthorized", "statusCode": 401}


class Waha(Provider):
    """A WAHA server."""

    name = "WAHA"
    example_url = "http://192.168.1.10:3000"
    key_required = False
    max_name_length = 54
    web_pages = frozenset({"dashboard", "swagger"})
    probes = ("/ping", VERSION)
    auth_header = ("X-Api-Key", "{}")
    statuses: ClassVar = {
        "STOPPED": InstanceStatus.DISCONNECTED,
        "STARTING": InstanceStatus.STARTING,
        "SCAN_QR_CODE": InstanceStatus.SCAN_QR,
        "PASSKEY_REQUIRED": InstanceStatus.PASSKEY,
        "PASSKEY_CONFIRMATION_REQUIRED": InstanceStatus.PASSKEY,
        "WORKING": InstanceStatus.CONNECTED,
        "FAILED": InstanceStatus.FAILED,
    }
    actions = frozenset(Action)
    all_features = (
        Feature.CREATE
        | Feature.METADATA
        | Feature.MEDIA_CONTENT
        | Feature.REPLIES
        | Feature.MENTIONS
        | Feature.POLLS
        | Feature.LOCATIONS
        | Feature.REACTIONS
        | Feature.RECEIVING
    )
    has_messages = has_pairing_codes = True

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dashboard_url = f"{self.url.rstrip('/')}/dashboard"
        self._key_checks = 0
        self._reconnections = Reconnections()
        self.messages: WahaMessages = WahaMessages(self._http)
        self.chats = self.number_check = self.downloads = self.messages
        self.lid_lookup = self.messages
        self.events: WahaEvents = WahaEvents(self._http)
        connect = partial(self.perform, Action.CONNECT)
        self.pairing_codes: WahaPairingCodes = WahaPairingCodes(self._http, connect)

    @override
    async def _list(self) -> tuple[Instance, ...]:
        answer = await self._http.get(LIST)
        sessions = parsing.items(answer.json(), self._parse)
        if self._key_checks < MAX_KEY_CHECKS:
            await self._check_key()
        shown = self._reconnections.settle(sessions)
        self.delays_status = shown != sessions
        return shown

    async def _check_key(self) -> None:
        """Find out whether the API key only gives access to one session.

        Of the calls that need an administrator's key, `/health` is the only one that
        changes nothing and returns no secrets. Any other refusal, such as that of an
        old server, says nothing about the key.
        """
        self._key_checks += 1
        try:
            await self._http.get("/health", time_limit=HEALTH_TIME_LIMIT)
        except (RateLimited, Unreachable):
            return
        except GatewayError as err:
            self._one_instance_key = err.code == FORBIDDEN
        self._key_checks = MAX_KEY_CHECKS

    def _parse(self, payload: Any) -> Instance:
        """Parse a session; its configuration holds secrets and is not kept."""
        data = parsing.mapping(payload)
        name = parsing.text(data, "name")
        status, raw_status = self._status(parsing.text(data, "status"))
        # otherwise `me` is the account that was linked last
        connected = status is InstanceStatus.CONNECTED
        account = data.get("me") if connected else None
        number = account.get("id") if isinstance(account, dict) else None
        return Instance(
            id=name,
            name=name,
            status=status,
            raw_status=raw_status,
            phone_number=parsing.phone_number(number),
        )

    @override
    async def instance(self, instance_id: str) -> Instance:
        """Return a session with its true status, which may change every 2 s."""
        return self._parse((await self._http.get(path_of(PATH, instance_id))).json())

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        """Create a session without starting it: its codes end after 160 s."""
        config = {"config": {"metadata": dict(metadata)}} if metadata else {}
        body = {"name": name, "start": False} | config
        return self._parse((await self._http.request("POST", PATH, json=body)).json())

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        """Perform an action; the logout of a running session starts a new pairing.

        Connect looks at the status first. A restart would connect any session, but
        interrupt one that works; a start is ignored by a failed one, and refused by
        old servers if the session is running.
        """
        if action is Action.CONNECT:
            call = CONNECT_CALLS.get((await self.instance(instance_id)).status)
        else:
            call = CALLS[action]
        if call:
            await self._http.request("POST", path_of(PATH, instance_id, f"/{call}"))
        # what follows was wanted, so it is shown at once
        self._reconnections.forget(instance_id)

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        """Return the QR code; takes up to 15 s if the session doesn't wait for a scan.

        Never starts a session.
        """
        path = path_of("/api", instance_id, "/auth/qr?format=raw")
        try:
            answer = await self._http.request("GET", path)
        except Rejected as err:
            if err.code == NOT_NOW:
                return None
            raise
        return QrCode(raw=parsing.text(parsing.mapping(answer.json()), "value"))

    @override
    async def delete(self, instance_id: str) -> None:
        """Log a session out and delete it; also succeeds if it doesn't exist."""
        await self._http.request("DELETE", path_of(PATH, instance_id))
        # another session may get its name
        self._reconnections.forget(instance_id)

    @override
    async def server_version(self) -> str | None:
        try:
            answer = await self._http.get(VERSION)
        except BadResponse as err:
            if err.status != HTTPStatus.NOT_FOUND:
                raise
            answer = await self._http.get(OLD_VERSION)
        return parsing.optional_text(parsing.mapping(answer.json()), "version")

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        if status == HTTPStatus.UNAUTHORIZED:
            return payload == UNAUTHORIZED
        is_version = payload.keys() >= {"version", "engine", "tier"}
        return is_version or payload.get("message") == "pong"

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        _, message = explanation(payload)
        if needs_connection(payload):
            return not_connected()
        statuses = at(payload, "statusCode"), at(payload, "error", "code")
        if status == HTTPStatus.NOT_FOUND and status not in statuses:
            # not the server's own answer
            return None
        for error_status, beginning, error, shown, code in ERRORS:
            if status == error_status and message.startswith(beginning):
                return error(shown, code=code)
        return None


class WahaPairingCodes(PairingCodes):
    """The codes that link a phone to a session."""

    @override
    def __init__(
        self, http: HttpClient, connect: Callable[[str], Awaitable[None]]
    ) -> None:
        super().__init__(http)
        self._connect = connect

    @override
    async def start(self, instance_id: str, phone_number: str) -> None:
        await self._connect(instance_id)

    @override
    async def code(self, instance_id: str, phone_number: str) -> str | None:
        path = path_of("/api", instance_id, "/auth/request-code")
        body = {"phoneNumber": phone_number}
        try:
            answer = await self._http.request("POST", path, json=body)
        except Rejected as err:
            if err.code == NOT_NOW:
                return None
            raise
        code = parsing.text(parsing.mapping(answer.json()), "code").replace("-", "")
        if len(code) != PAIRING_CODE_LENGTH:
            raise BadResponse("No pairing code")
        return code
