"""Pairing codes of the Evolution API. Source: the code of 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from .. import parsing
from ..capabilities import PairingCodes
from ..models import Rejected
from .history import CONNECTING, digest_of

if TYPE_CHECKING:
    from ..http import HttpClient
    from .sessions import Sessions

LENGTH = 8


class EvolutionPairingCodes(PairingCodes):
    """The codes that link a phone to an instance."""

    interval = 5.0

    @override
    def __init__(self, http: HttpClient, sessions: Sessions) -> None:
        super().__init__(http)
        self._sessions = sessions

    @override
    async def start(self, instance_id: str, phone_number: str) -> None:
        """Start the session with a phone number, which only a closed one accepts."""
        state = await self._sessions.live_state(instance_id)
        row = await self._sessions.fetch_row(instance_id)
        history = self._sessions.history(row)
        if state == CONNECTING:
            if history.pairing_number == phone_number:
                return
            if history.is_linked(row):
                raise Rejected("A phone is linked, and the connection is being set up")
            # the code in memory must not be shown after the next start
            await self.code(instance_id, phone_number)
            await self._sessions.log_out(instance_id)
            await self._sessions.wait_until_closed(instance_id)
        history.note_start(row)
        await self._sessions.fetch_code(instance_id, phone_number)
        history.pairing_number = phone_number

    @override
    async def code(self, instance_id: str, phone_number: str) -> str | None:
        payload = await self._sessions.fetch_code(instance_id)
        code = (parsing.optional_text(payload, "pairingCode") or "").replace("-", "")
        if len(code) != LENGTH or not code.isalnum():
            return None
        digest = self._sessions.pairing_digests[instance_id] = digest_of(code)
        history = self._sessions.histories.get(instance_id)
        is_new = history is None or history.note_pairing_code(digest)
        return code if is_new else None
