"""The interface of every provider, and what both documents have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
import logging
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from . import parsing
from .client import Client
from .masking import masked
from .models import (
    Action,
    BadResponse,
    Instance,
    InstanceStatus,
    NotFound,
    QrCode,
    Unreachable,
)
from .shared import outcome_of, shared_task

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from aiohttp import ClientSession

_LOGGER = logging.getLogger(__name__)


class Provider(Client, ABC):
    """One account at one gateway.

    Every call raises a `GatewayError`, and nothing else, when it does not succeed.
    Time limits are 10 s for reading an instance or the list, 30 s for all else.
    """

    default_url: ClassVar[str]
    statuses: ClassVar[Mapping[str, InstanceStatus]]
    actions: ClassVar[frozenset[Action]]
    instance_types: ClassVar[tuple[str, ...]] = ()
    """What a new instance can be, the usual one first."""
    types_without_qr: ClassVar[frozenset[str]] = frozenset()
    list_has_phone_number: ClassVar[bool] = True
    reports_last_seen: ClassVar[bool] = False
    takes_metadata: ClassVar[bool] = False

    def __init__(
        self,
        session: ClientSession,
        url: str,
        api_key: str,
        instance_id: str | None = None,
    ) -> None:
        """Use a session that somebody else owns.

        With `instance_id` the account is that one instance, as it is for a key that
        is bound to it.
        """
        super().__init__(session, url, api_key)
        self.instance_id = instance_id
        self._performing: dict[str, tuple[Action, asyncio.Task[None]]] = {}
        """What was asked for last, of each instance."""
        self._unanswered: set[str] = set()
        self._unknown_statuses: set[str] = set()

    async def instances(self) -> list[Instance]:
        """Return every instance of the account, each id once, or raise."""
        try:
            if self.instance_id is None:
                return parsing.unique(await self._list())
            return [await self.instance(self.instance_id)]
        except NotFound as err:
            if self.instance_id is None:
                # what is missing is no instance
                raise BadResponse("No such route") from err
            return []

    @abstractmethod
    async def _list(self) -> tuple[Instance, ...]:
        """Return all that the list call gives, or raise."""

    @abstractmethod
    async def create(
        self,
        name: str,
        *,
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Create an instance; what the gateway's document does not have is not sent."""

    @abstractmethod
    async def instance(self, instance_id: str) -> Instance:
        """Return one instance as it is now."""

    async def perform(self, action: Action, instance_id: str) -> None:
        """Carry out one of `actions`; succeeds where it is so already.

        It is done once for all who ask for it at the same time, else in turn.
        """
        last, before = self._performing.get(instance_id, (None, None))
        if before is None or before.done() or last is not action:
            task = shared_task(self._perform_after(before, action, instance_id))
            self._performing[instance_id] = (action, task)
        else:
            task = before
        try:
            await outcome_of(task)
        finally:
            if task.done() and self._performing.get(instance_id) == (action, task):
                del self._performing[instance_id]

    async def _perform_after(
        self, before: asyncio.Task[None] | None, action: Action, instance_id: str
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self._perform(action, instance_id)

    @abstractmethod
    async def _perform(self, action: Action, instance_id: str) -> None:
        """Ask the gateway for an action."""

    @abstractmethod
    async def qr(self, instance_id: str) -> QrCode | None:
        """Return the code to scan now, None while there is none.

        Call it only for somebody who wants to link: it may start the session.
        """

    @abstractmethod
    async def delete(self, instance_id: str) -> None:
        """Delete an instance for good."""

    async def create_once(
        self,
        name: str,
        *,
        known: Container[str],
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Create an instance; where no answer comes, look whether it was created.

        `known` are the ids of the instances there were before.
        """
        created = None
        if name in self._unanswered:
            created = await self._find(name, known)
        if created is None:
            try:
                created = await self.create(
                    name, instance_type=instance_type, metadata=metadata
                )
            except NotFound as err:
                # what is missing is no instance
                raise BadResponse("No such route") from err
            except (Unreachable, BadResponse):
                self._unanswered.add(name)
                if (created := await self._find(name, known)) is None:
                    raise
        self._unanswered.discard(name)
        return created

    async def _find(self, name: str, known: Container[str]) -> Instance | None:
        """Return a new instance of this name."""
        found = (one for one in await self.instances() if one.id not in known)
        return next((one for one in found if one.name == name), None)

    def _instance(self, payload: Any) -> Instance:
        """Read an instance, whose fields both documents name alike."""
        data = parsing.mapping(payload)
        instance_id = parsing.text(data, "id")
        word = parsing.text(data, "status")
        status = self._status(word)
        instance_type = parsing.optional_text(data, "type")
        return Instance(
            id=instance_id,
            name=parsing.optional_text(data, "name") or instance_id,
            status=status,
            raw_status=word if status else masked(word, self._api_key),
            type=instance_type,
            linkable=instance_type not in self.types_without_qr,
            phone_number=parsing.phone_number(data.get("phone_number")),
            last_seen=parsing.timestamp(data.get("last_seen_at")),
            account_id=parsing.optional_text(data, "customer_id"),
        )

    def _instances(self, items: Any) -> tuple[Instance, ...]:
        """Read a list of instances."""
        if not isinstance(items, list):
            raise BadResponse("Not a list of instances")
        return tuple(self._instance(item) for item in items)

    def _status(self, word: str) -> InstanceStatus | None:
        """Translate the gateway's word; one that nobody knows is logged once."""
        if (status := self.statuses.get(word)) is None:
            told = masked(word, self._api_key)
            if told not in self._unknown_statuses:
                self._unknown_statuses.add(told)
                _LOGGER.warning("%s reports an unknown status: %.40s", self.name, told)
        return status


def path_of(collection: str, instance_id: str, suffix: str = "") -> str:
    """Return the path of an instance; its id may hold anything but a relative path."""
    if not instance_id.strip("."):
        raise BadResponse("No id")
    return f"{collection}/{quote(instance_id, safe='')}{suffix}"
