"""Evolution API 2.3 and 2.4. Source: the code of Evolution API 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, override
from urllib.parse import quote

from .. import parsing
from ..base import path_of
from ..models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    LinkState,
    NotActivated,
    NotFound,
    QrCode,
    Rejected,
    Unauthorized,
    Unreachable,
    UnsupportedServer,
)
from ..redact import redact
from .answers import check, payload_of
from .history import (
    CLOSE,
    CONNECTING,
    LINK_PATIENCE,
    LIST_PATIENCE,
    OPEN,
    History,
    Row,
    digest_of,
)
from .webhooks import EvolutionWebhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST = "/instance/fetchInstances"
STATE = "/instance/connectionState"
CONNECT = "/instance/connect"
MAX_LIVE = 50
"""Number of instances per poll whose live state is asked for."""
PARALLEL = 8
# all in seconds
LIVE_TIME_LIMIT = 5.0
"""For the live state of one instance."""
LOOK_TIME_LIMIT = 10.0
"""For the live states of all instances of a poll."""
NAME_IN_USE_TIME = 10.0
"""How long the name of a deleted instance may still be in use."""
NAME_IN_USE_INTERVAL = 2.0
LOGOUT_TIME = 10.0
"""How long an instance may take to close after a logout."""
LOGOUT_INTERVAL = 0.5
SUCCESS = "SUCCESS"
PAIRING_CODE_LENGTH = 8
WORDS = {
    InstanceStatus.CREATED: CLOSE,
    InstanceStatus.STARTING: CONNECTING,
    InstanceStatus.SCAN_QR: CONNECTING,
    InstanceStatus.CONNECTED: OPEN,
    InstanceStatus.DISCONNECTED: CLOSE,
}
"""The gateway's word for each status; its own one may change while the status stays."""


class Evolution(EvolutionWebhooks):
    """A server with the Evolution API, or one instance of it with its own token."""

    name = "Evolution API"
    example_url = "http://192.168.1.10:8080"
    web_pages = frozenset({"manager"})
    max_name_length = 64
    pairing_code_interval = 5.0
    max_poll_options = 10
    probes = ("/",)
    auth_header = ("apikey", "{}")
    errors: ClassVar = {"LICENSE_REQUIRED": NotActivated}
    statuses: ClassVar = {
        OPEN: InstanceStatus.CONNECTED,
        # whether a code waits is derived
        CONNECTING: InstanceStatus.STARTING,
        CLOSE: InstanceStatus.DISCONNECTED,
        "refused": InstanceStatus.DISCONNECTED,
        "created": InstanceStatus.CREATED,
    }
    # there is no call that stops a session and keeps its link
    actions = frozenset({Action.CONNECT, Action.RESTART, Action.LOGOUT})
    all_features = (
        Feature.CREATE
        | Feature.PAIRING_CODE
        | Feature.WEBHOOKS
        | Feature.MESSAGES
        | Feature.MEDIA_CONTENT
        | Feature.CHATS
        | Feature.NUMBER_CHECK
        | Feature.REPLIES
        | Feature.MENTIONS
        | Feature.POLLS
        | Feature.LOCATIONS
        | Feature.REACTIONS
        | Feature.RECEIVING
        | Feature.DOWNLOADS
    )
    instance_types: ClassVar = {"WHATSAPP-BAILEYS": "WhatsApp Web"}
    other_types: ClassVar = {
        "WHATSAPP-BUSINESS": "WhatsApp Business Cloud API",
        "EVOLUTION": "Evolution",
    }
    types_without_qr = frozenset(other_types)

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dashboard_url = f"{self.url.rstrip('/')}/manager"
        self._rows: dict[str, Row] = {}
        self._histories: dict[str, History] = {}
        self._deleted: set[str] = set()
        """Names of the instances that were deleted, which may still be in use."""

    # instances

    @override
    async def _list(self) -> tuple[Instance, ...]:
        """List the rows of the database, each with its live state if possible."""
        rows = await self._fetch_rows()
        self._one_instance_key = bool(rows) and all(row.own_key for row in rows)
        names = {row.name for row in rows}
        # one list that lacks an instance may be wrong
        recent = names | self._rows.keys()
        self._histories = {
            name: history for name, history in self._histories.items() if name in recent
        } | {row.name: self._history(row) for row in rows}
        self._rows = {row.name: row for row in rows}
        words = await self._live_words(rows)
        return tuple(
            self._instance(row, words.get(row.name), LIST_PATIENCE) for row in rows
        )

    async def _fetch_rows(self) -> tuple[Row, ...]:
        """Return the rows of all instances."""
        answer = await self._http.get(LIST)
        return self._parse_once(
            LIST, answer, lambda payload: parsing.items(payload, self._parse_row)
        )

    async def _fetch_row(self, name: str) -> Row:
        """Return the row of one instance."""
        path = f"{LIST}?instanceName={quote(name, safe='')}"
        try:
            payload = (await self._http.get(path)).json()
            # some builds ignore the name
            rows = parsing.items(payload, self._parse_row)
        except NotFound:
            # with a name the server only looks at instances that it has loaded
            rows = await self._fetch_rows()
        for row in rows:
            if row.name == name:
                self._rows[name] = row
                return row
        raise NotFound("No such instance")

    def _parse_row(self, payload: Any) -> Row:
        """Parse a row; its token is only compared and not kept."""
        data = parsing.mapping(payload)
        if isinstance(data.get("instance"), dict):
            raise UnsupportedServer(_unsupported("1"))
        name = parsing.text(data, "name")
        instance_type = parsing.optional_text(data, "integration")
        reason = data.get("disconnectionReasonCode")
        return Row(
            uuid=parsing.optional_text(data, "id") or name,
            name=name,
            word=parsing.optional_text(data, "connectionStatus") or CLOSE,
            type=instance_type,
            linkable=instance_type not in self.types_without_qr,
            owner=parsing.phone_number(data.get("ownerJid")),
            reason=reason if isinstance(reason, int) else None,
            reason_at=parsing.optional_text(data, "disconnectionAt"),
            own_key=data.get("token") == self.api_key,
        )

    def _history(self, row: Row) -> History:
        """Return what is known about an instance; another one may have had its name."""
        history = self._histories.get(row.name)
        if history is None or history.uuid != row.uuid:
            history = History(row.uuid, self.pairing_digests.get(row.name))
            self._histories[row.name] = history
        return history

    async def _live_words(self, rows: tuple[Row, ...]) -> dict[str, str]:
        """Return the live states that arrive in time, of 50 instances at most.

        Instances that move come first, then those that were not asked for longest.
        """

        def urgency(row: Row) -> tuple[bool, float]:
            history = self._histories[row.name]
            settled = (history.word or row.word) == row.word != CONNECTING
            return settled, history.asked_at

        words: dict[str, str] = {}
        gate = asyncio.Semaphore(PARALLEL)

        async def ask(row: Row) -> None:
            async with gate:
                self._history(row).asked_at = monotonic()
                try:
                    words[row.name] = await self._live_word(row.name)
                except NotFound:
                    words[row.name] = ""
                except GatewayError:
                    # one instance that fails must not hide the others
                    pass

        chosen = sorted(rows, key=urgency)[:MAX_LIVE]
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_TIME_LIMIT):
                await asyncio.gather(*map(ask, chosen))
        return words

    async def _live_word(self, name: str) -> str:
        """Return the live state, empty if the server has not loaded the instance."""
        answer = await self._http.get(path_of(STATE, name), time_limit=LIVE_TIME_LIMIT)
        data = parsing.mapping(parsing.mapping(answer.json()).get("instance"))
        return parsing.optional_text(data, "state") or ""

    def _instance(self, row: Row, live: str | None, patience: float) -> Instance:
        """Return an instance; `live` is None if its live state isn't known."""
        history = self._history(row)
        word = live if live is not None else history.word or row.word
        history.word = live or history.word
        # without a state the server is starting, and will reconnect what wasn't closed
        status: InstanceStatus | None = InstanceStatus.STARTING
        if word or row.word == CLOSE:
            meaning, word = self._status(word or CLOSE)
            status = history.status(row, meaning, patience)
        connected = status is InstanceStatus.CONNECTED
        return Instance(
            id=row.name,
            name=row.name,
            status=status,
            raw_status=WORDS.get(status, word) if status else word,
            type=row.type,
            linkable=row.linkable,
            phone_number=row.owner if connected else None,
        )

    @override
    async def instance(self, instance_id: str) -> Instance:
        word = await self._live_word(instance_id)
        return self._instance(await self._fetch_row(instance_id), word, LINK_PATIENCE)

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        """Create an instance without starting it, which would take 5 s."""
        body = {
            "instanceName": name,
            "integration": instance_type or next(iter(self.instance_types)),
            "qrcode": False,
        }
        give_up_at = monotonic() + NAME_IN_USE_TIME
        while True:
            try:
                answer = await self._http.request("POST", "/instance/create", json=body)
            except Unauthorized as err:
                # the token of an instance can list it; a wrong key can't list anything
                await self._fetch_rows()
                message = "This API key can't create instances"
                raise Rejected(message) from err
            except Rejected:
                is_late = monotonic() + NAME_IN_USE_INTERVAL > give_up_at
                if is_late or name not in self._deleted:
                    raise
                await asyncio.sleep(NAME_IN_USE_INTERVAL)
            else:
                self._deleted.discard(name)
                return self._parse_created(payload_of(answer))

    def _parse_created(self, payload: dict[str, Any]) -> Instance:
        data = parsing.mapping(payload.get("instance"))
        name = parsing.text(data, "instanceName")
        row = self._parse_row(
            {
                "id": data.get("instanceId"),
                "name": name,
                "connectionStatus": data.get("status"),
                "integration": data.get("integration"),
            }
        )
        self._rows[name] = row
        return self._instance(row, row.word, LIST_PATIENCE)

    @override
    async def delete(self, instance_id: str) -> None:
        """Delete an instance; the gateway still lists it for a while."""
        path = path_of("/instance/delete", instance_id)
        answer = payload_of(await self._http.request("DELETE", path))
        if answer.get("status") != SUCCESS:
            raise BadResponse("No confirmation")
        self._deleted.add(instance_id)

    # sessions

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        perform = {
            Action.CONNECT: self._connect,
            Action.RESTART: self._restart,
            Action.LOGOUT: self._log_out_and_wait,
        }
        await perform[action](instance_id)

    async def _restart(self, name: str) -> None:
        path = path_of("/instance/restart", name)
        answer = await self._http.request("POST", path)
        try:
            check(answer)
        except Unreachable:
            # this is also how the server refuses to restart what is closed
            await self._connect(name)

    async def _log_out(self, name: str) -> None:
        try:
            path = path_of("/instance/logout", name)
            check(await self._http.request("DELETE", path))
        except Rejected:
            # 2.3 rejects it for a closed instance, which is logged out already
            if await self._live_word(name) != CLOSE:
                raise
        if row := self._rows.get(name):
            self._history(row).note_logout()

    async def _log_out_and_wait(self, name: str) -> None:
        """Log out, and wait until the gateway reports it if that doesn't take long."""
        await self._log_out(name)
        with suppress(GatewayError):
            await self._wait_until_closed(name)

    async def _connect(self, name: str) -> None:
        if row := self._rows.get(name):
            self._history(row).note_start(row)
        await self._fetch_code(name)

    async def _fetch_code(self, name: str, number: str = "") -> dict[str, Any]:
        """Start a closed session, which takes 2 s, and return the code in memory.

        The code may be out of date. Without a session that connects there is none.
        """
        query = f"?number={number}" if number else ""
        answer = await self._http.request("GET", path_of(CONNECT, name, query))
        return payload_of(answer)

    @override
    async def link_state(self, instance_id: str, *, with_code: bool) -> LinkState:
        word = await self._live_word(instance_id)
        if word == OPEN:
            if row := self._rows.get(instance_id):
                self._history(row).note_open(row)
            return LinkState(status=InstanceStatus.CONNECTED)
        row = await self._fetch_row(instance_id)
        status = self._instance(row, word, LINK_PATIENCE).status
        # a session that isn't connecting would be started
        if word != CONNECTING or not with_code or not row.linkable:
            return LinkState(status=status)
        try:
            code = await self._live_code(row)
        except (NotFound, Rejected) as err:
            raise CodeRejected(str(err)) from err
        return LinkState(
            status=InstanceStatus.SCAN_QR if code else InstanceStatus.STARTING,
            code=code,
        )

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        row = await self._fetch_row(instance_id)
        self._history(row).note_start(row)
        return await self._live_code(row)

    async def _live_code(self, row: Row) -> QrCode | None:
        """Return the code in the gateway's memory, if it can be scanned now."""
        history, asked_at = self._history(row), monotonic()
        payload = await self._fetch_code(row.name)
        raw = parsing.optional_text(payload, "code")
        code = parsing.qr_code(raw, payload.get("base64"), None)
        if "count" not in payload:
            # nothing is known of the code in memory of an instance that is connected
            parsing.mapping(payload.get("instance"))
            return None
        live = history.note_code(row, code, payload.get("count"), asked_at)
        return replace(code, lifetime=history.lifetime()) if code and live else None

    @override
    async def start_code_pairing(self, instance_id: str, phone_number: str) -> None:
        """Start the session with a phone number, which only a closed one accepts."""
        word = await self._live_word(instance_id)
        row = await self._fetch_row(instance_id)
        history = self._history(row)
        if word == CONNECTING:
            if history.pairing_number == phone_number:
                return
            if history.is_linked(row):
                raise Rejected("A phone is linked, and the connection is being set up")
            # the code in memory must not be shown after the next start
            await self.pairing_code(instance_id, phone_number)
            await self._log_out(instance_id)
            await self._wait_until_closed(instance_id)
        history.note_start(row)
        await self._fetch_code(instance_id, phone_number)
        history.pairing_number = phone_number

    async def _wait_until_closed(self, name: str) -> None:
        """Wait for a logout, which goes on after its answer."""
        give_up_at = monotonic() + LOGOUT_TIME
        while monotonic() < give_up_at:
            if await self._live_word(name) not in {OPEN, CONNECTING}:
                return
            await asyncio.sleep(LOGOUT_INTERVAL)
        raise Unreachable("The logout takes too long")

    @override
    async def pairing_code(self, instance_id: str, phone_number: str) -> str | None:
        payload = await self._fetch_code(instance_id)
        code = (parsing.optional_text(payload, "pairingCode") or "").replace("-", "")
        if len(code) != PAIRING_CODE_LENGTH or not code.isalnum():
            return None
        digest = self.pairing_digests[instance_id] = digest_of(code)
        history = self._histories.get(instance_id)
        is_new = history is None or history.note_pairing_code(digest)
        return code if is_new else None

    # the server

    @override
    async def server_version(self) -> str | None:
        """Return the version; the server may look up another one on the internet."""
        payload = parsing.mapping((await self._http.get("/")).json())
        version = parsing.optional_text(payload, "version")
        if version and version.startswith("1."):
            raise UnsupportedServer(_unsupported(version))
        return redact(version, self.api_key) if version else None

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        return payload.keys() >= {"message", "version", "whatsappWebVersion"}


def _unsupported(version: str) -> str:
    return f"Evolution API {version} is not supported: version 2 is required"
