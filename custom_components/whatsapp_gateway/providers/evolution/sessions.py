"""Instances of the Evolution API and their sessions, as far as the server tells.

Source: the code of 2.3.7 and 2.4.0-rc2.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import parsing
from ..base import path_of
from ..models import (
    BadResponse,
    GatewayError,
    NotFound,
    Rejected,
    Unreachable,
    UnsupportedServer,
)
from ..redact import redact
from .history import CLOSE, CONNECTING, OPEN, History, Row

if TYPE_CHECKING:
    from ..http import Answer, HttpClient

LIST = "/instance/fetchInstances"
STATE = "/instance/connectionState"
CONNECT = "/instance/connect"
HIDDEN_ERROR = "[object Object]"
"""What the server makes of an error, such as that an instance isn't loaded yet."""
OTHER_TYPES = {
    "WHATSAPP-BUSINESS": "WhatsApp Business Cloud API",
    "EVOLUTION": "Evolution",
}
"""Types of instances without a QR code, with their names."""
MAX_LIVE = 50
"""Number of instances per poll whose live state is asked for."""
PARALLEL = 8
"""Number of live states that are asked for at once."""
LIVE_TIME_LIMIT = 5.0
"""Seconds for the live state of one instance."""
LOOK_TIME_LIMIT = 10.0
"""Seconds for the live states of all instances of a poll."""
LOGOUT_TIME = 10.0
"""Seconds that an instance may take to close after a logout."""
LOGOUT_INTERVAL = 0.5
"""Seconds between two looks whether it has closed."""


class Sessions:
    """The instances of an account in the server's database, and their sessions."""

    def __init__(self, http: HttpClient, pairing_digests: dict[str, str]) -> None:
        """Start new histories with the digests of the last pairing codes."""
        self._http = http
        self.pairing_digests = pairing_digests
        self.rows: dict[str, Row] = {}
        """The rows of the last list, and what was read of single ones since."""
        self.histories: dict[str, History] = {}

    async def list_rows(self) -> tuple[Row, ...]:
        """Return the rows of all instances, and forget those that are gone."""
        rows = await self.fetch_rows()
        names = {row.name for row in rows}
        # one list that lacks an instance may be wrong
        recent = names | self.rows.keys()
        self.histories = {
            name: history for name, history in self.histories.items() if name in recent
        } | {row.name: self.history(row) for row in rows}
        self.rows = {row.name: row for row in rows}
        return rows

    async def fetch_rows(self) -> tuple[Row, ...]:
        """Return the rows of all instances."""
        answer = await self._http.get(LIST)
        return parsing.items(answer.json(), self.parse_row)

    async def fetch_row(self, name: str) -> Row:
        """Return the row of one instance."""
        path = f"{LIST}?instanceName={quote(name, safe='')}"
        try:
            payload = (await self._http.get(path)).json()
            # some builds ignore the name
            rows = parsing.items(payload, self.parse_row)
        except NotFound:
            # with a name the server only looks at instances that it has loaded
            rows = await self.fetch_rows()
        for row in rows:
            if row.name == name:
                self.rows[name] = row
                return row
        raise NotFound("No such instance")

    def parse_row(self, payload: Any) -> Row:
        """Parse a row; its token is only compared and not kept."""
        data = parsing.mapping(payload)
        if isinstance(data.get("instance"), dict):
            raise unsupported("1")
        name = parsing.text(data, "name")
        instance_type = parsing.optional_text(data, "integration")
        reason = data.get("disconnectionReasonCode")
        return Row(
            uuid=parsing.optional_text(data, "id") or name,
            name=name,
            raw_state=parsing.optional_text(data, "connectionStatus") or CLOSE,
            type=instance_type,
            linkable=instance_type not in OTHER_TYPES,
            owner=parsing.phone_number(data.get("ownerJid")),
            reason=reason if isinstance(reason, int) else None,
            reason_at=parsing.optional_text(data, "disconnectionAt"),
            own_key=data.get("token") == self._http.api_key,
        )

    def history(self, row: Row) -> History:
        """Return what is known about an instance; another one may have had its name."""
        history = self.histories.get(row.name)
        if history is None or history.uuid != row.uuid:
            history = History(row.uuid, self.pairing_digests.get(row.name))
            self.histories[row.name] = history
        return history

    async def live_states(self, rows: tuple[Row, ...]) -> dict[str, str]:
        """Return the live states that arrive in time, of 50 instances at most.

        Instances that move come first, then those that were not asked for longest.
        """

        def urgency(row: Row) -> tuple[bool, float]:
            history = self.histories[row.name]
            state = history.raw_state or row.raw_state
            return state == row.raw_state != CONNECTING, history.asked_at

        states: dict[str, str] = {}
        gate = asyncio.Semaphore(PARALLEL)

        async def ask(row: Row) -> None:
            async with gate:
                self.history(row).asked_at = monotonic()
                try:
                    states[row.name] = await self.live_state(row.name)
                except NotFound:
                    states[row.name] = ""
                except GatewayError:
                    # one instance that fails must not hide the others
                    pass

        chosen = sorted(rows, key=urgency)[:MAX_LIVE]
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_TIME_LIMIT):
                await asyncio.gather(*map(ask, chosen))
        return states

    async def live_state(self, name: str) -> str:
        """Return the live state, empty if the server has not loaded the instance."""
        answer = await self._http.get(path_of(STATE, name), time_limit=LIVE_TIME_LIMIT)
        data = parsing.mapping(parsing.mapping(answer.json()).get("instance"))
        return parsing.optional_text(data, "state") or ""

    async def restart(self, name: str) -> None:
        """Restart a session, or start it if it is closed."""
        path = path_of("/instance/restart", name)
        answer = await self._http.request("POST", path)
        try:
            check(answer)
        except Unreachable:
            # this is also how the server refuses to restart what is closed
            await self.connect(name)

    async def log_out(self, name: str) -> None:
        """Unlink the phone, which goes on after the answer."""
        try:
            path = path_of("/instance/logout", name)
            check(await self._http.request("DELETE", path))
        except Rejected:
            # 2.3 rejects it for a closed instance, which is logged out already
            if await self.live_state(name) != CLOSE:
                raise
        if row := self.rows.get(name):
            self.history(row).note_logout()

    async def log_out_and_wait(self, name: str) -> None:
        """Log out, and wait until the gateway reports it if that doesn't take long."""
        await self.log_out(name)
        with suppress(GatewayError):
            await self.wait_until_closed(name)

    async def connect(self, name: str) -> None:
        """Start a session that is closed."""
        if row := self.rows.get(name):
            self.history(row).note_start(row)
        await self.fetch_code(name)

    async def fetch_code(self, name: str, number: str = "") -> dict[str, Any]:
        """Start a closed session, which takes 2 s, and return the code in memory.

        The code may be out of date. Without a session that connects there is none.
        """
        query = f"?number={number}" if number else ""
        answer = await self._http.request("GET", path_of(CONNECT, name, query))
        return payload_of(answer)

    async def wait_until_closed(self, name: str) -> None:
        """Wait for a logout, which goes on after its answer."""
        give_up_at = monotonic() + LOGOUT_TIME
        while monotonic() < give_up_at:
            if await self.live_state(name) not in {OPEN, CONNECTING}:
                return
            await asyncio.sleep(LOGOUT_INTERVAL)
        raise Unreachable("The logout takes too long")


def unsupported(version: str) -> UnsupportedServer:
    """Return the error of a server that is too old."""
    return UnsupportedServer(
        f"Evolution API {version} is not supported: version 2 is required"
    )


def payload_of(answer: Answer) -> dict[str, Any]:
    """Return a JSON object; an answer with the status 200 may report a failure."""
    payload = parsing.mapping(answer.json())
    if payload.get("error") is not True:
        return payload
    message = parsing.optional_text(payload, "message") or HIDDEN_ERROR
    if message == HIDDEN_ERROR:
        error = Unreachable("The server can't do this now")
        error.status = HTTPStatus.OK
        raise error
    raise Rejected(redact(message, answer.api_key))


def check(answer: Answer) -> None:
    """Raise a `GatewayError` if the body reports a failure; it may be anything else."""
    with suppress(BadResponse):
        payload_of(answer)
