"""Know which LIDs and phone numbers belong to the same person.

WhatsApp hides phone numbers behind LIDs, and gateways report one or the other. Chat IDs
have the common form of `providers/messages.py`.
"""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..providers.message_parsing import remember, same_people
from ..providers.messages import LID
from ..providers.models import GatewayError, RateLimited, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..providers.capabilities import LidLookup
    from ..providers.messages import IncomingMessage

MAX_PEOPLE: Final = 2_000
"""Number of LIDs of an account that are remembered."""
LOOKUP_INTERVAL_SECONDS: Final = 600.0
"""Time after which the number of an unknown LID may be asked for again."""
PAUSE_SECONDS: Final = 10.0
"""Time without any question after the gateway has not answered one."""
MAX_AT_ONCE: Final = 4
"""Number of questions at the same time."""
MAX_WAIT_SECONDS: Final = 10.0
"""How long a message waits for the numbers."""


class People:
    """The phone numbers behind the LIDs of an account, as far as they are known."""

    def __init__(self) -> None:
        """Create an empty record."""
        self._numbers: dict[tuple[str, str], str] = {}

    def learn(self, instance_id: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Remember pairs of a LID and a phone number that belong to one person."""
        for lid, number in pairs:
            remember(self._numbers, (instance_id, lid), number, MAX_PEOPLE)

    def person(self, instance_id: str, chat_id: str) -> str:
        """Return the number behind a LID if it is known, every other ID as it is."""
        return self._numbers.get((instance_id, chat_id), chat_id)


class LidLookups:
    """Questions to the gateway about LIDs, one for each LID at a time."""

    def __init__(self, lid_lookup: LidLookup, people: People) -> None:
        """Let `people` learn what the gateway answers."""
        self._lid_lookup = lid_lookup
        self._people = people
        self._asked_at: dict[tuple[str, str], float] = {}
        self._asking: dict[tuple[str, str], asyncio.Event] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._paused_until = -inf

    def lids_to_ask(self, message: IncomingMessage) -> list[str]:
        """Return the LIDs of a message to ask for now: not every time, and not all."""
        if monotonic() < self._paused_until:
            return []
        chats = dict.fromkeys((message.chat_id, message.sender_id or ""))
        return [
            chat
            for chat in chats
            if chat.endswith(LID) and self._is_due(message.instance_id, chat)
        ]

    def _is_due(self, instance_id: str, lid: str) -> bool:
        key = instance_id, lid
        if self._people.person(instance_id, lid) != lid:
            return False
        asked_at = self._asked_at.get(key, -inf)
        return key in self._asking or monotonic() - asked_at >= LOOKUP_INTERVAL_SECONDS

    async def async_ask(
        self, instance_id: str, lids: Iterable[str], give_up_at: float
    ) -> None:
        """Ask for the numbers of LIDs until a time of the monotonic clock."""
        try:
            async with asyncio.timeout(give_up_at - monotonic()):
                for lid in lids:
                    await self._async_ask_once(instance_id, lid)
        except TimeoutError:
            return

    async def _async_ask_once(self, instance_id: str, lid: str) -> None:
        """Ask for a number, or wait for the answer to who asks already."""
        key = instance_id, lid
        if asking := self._asking.get(key):
            await asking.wait()
            return
        answered = self._asking[key] = asyncio.Event()
        try:
            async with self._slots:
                if monotonic() >= self._paused_until:
                    await self._async_find(instance_id, lid)
        finally:
            del self._asking[key]
            answered.set()

    async def _async_find(self, instance_id: str, lid: str) -> None:
        try:
            number = await self._lid_lookup.find_number(instance_id, lid)
        except RateLimited as err:
            self._paused_until = monotonic() + err.retry_after
            return
        except Unreachable:
            self._paused_until = monotonic() + PAUSE_SECONDS
            return
        except GatewayError:
            # the gateway can't tell
            number = None
        remember(self._asked_at, (instance_id, lid), monotonic(), MAX_PEOPLE)
        self._people.learn(instance_id, same_people((lid, number)))
