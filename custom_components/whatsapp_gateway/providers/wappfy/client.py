"""Wappfy. Source: its document "Managing Instances"."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, override

from .. import parsing
from ..base import MAX_INSTANCES, Provider, path_of
from ..failures import explanation, not_found
from ..messages import not_connected
from ..models import (
    Action,
    BadResponse,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    QrCode,
    TooManyInstances,
)
from .messages import NOT_CONNECTED, PATH, WappfyMessages, error_of
from .webhooks import WappfyWebhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PAGES = 100
"""Number of parts of the list that are read."""
PHONE_NUMBERS_PER_POLL = 3
ANSWER_SECONDS = 0.5
"""Seconds by which questions for phone numbers may delay the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A part of the list; 0 for a number that it doesn't contain."""

    items: tuple[Instance, ...]
    total: int = 0
    limit: int = 0
    pages: int = 0


class Wappfy(Provider):
    """An account at Wappfy."""

    name = "Wappfy"
    default_url = "https://api.wappfy.io"
    dashboard_url = "https://wappfy.io"
    probes = (PATH,)
    auth_header = ("X-Api-Key", "{}")
    statuses: ClassVar = {
        status.value: status
        for status in InstanceStatus
        if status is not InstanceStatus.PASSKEY
    }
    actions = frozenset(Action)
    all_features = (
        Feature.CREATE
        | Feature.REPLIES
        | Feature.MENTIONS
        | Feature.POLLS
        | Feature.LOCATIONS
        | Feature.REACTIONS
    )
    instance_types: ClassVar = {
        "waha": "WhatsApp Web",
        "cloud_api": "WhatsApp Business Cloud API",
    }
    types_without_qr = frozenset({"cloud_api"})
    has_messages = True

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.messages: WappfyMessages = WappfyMessages(self._http)
        self.chats = self.number_check = self.messages
        self.webhooks: WappfyWebhooks = WappfyWebhooks(self._http)
        self._phone_numbers: dict[str, str | None] = {}
        """Phone numbers of connected instances; None if the answer had none."""
        self._asked_at: dict[str, float] = {}
        self._questions: asyncio.Task[None] | None = None

    @override
    async def _list(self) -> tuple[Instance, ...]:
        """List all instances, also if the gateway splits the list into pages."""
        page = await self._page(1)
        found = list(page.items)
        limit = page.limit or len(page.items)
        total, pages = page.total, page.pages or -(-page.total // max(limit, 1))
        number, repeated = 1, 0
        # without totals, the last page is the one that isn't full or brings nothing new
        while number < pages or (not pages and 0 < limit <= len(page.items)):
            if (number := number + 1) > MAX_PAGES:
                raise BadResponse("Too many pages")
            page = await self._page(number, limit)
            known = {instance.id for instance in found}
            ids = {instance.id for instance in page.items}
            new = ids - known
            repeated += len(ids) - len(new)
            if len(known) + len(new) > MAX_INSTANCES:
                raise TooManyInstances
            found += page.items
            if not new:
                break
        if len(found) - repeated < total or number < pages:
            # an instance was created or deleted while the pages were read, and others
            # moved to a page that was not read after that
            raise BadResponse("The list is incomplete")
        return await self._with_phone_numbers(found)

    async def _page(self, number: int, limit: int = 0) -> _Page:
        path = PATH if number == 1 else f"{PATH}?page={number}&limit={limit}"
        return self._parse_page((await self._http.get(path)).json())

    def _parse_page(self, payload: Any) -> _Page:
        """Parse a page; a plain list is the only page."""
        if isinstance(payload, list):
            return _Page(items=parsing.items(payload, self._parse), pages=1)
        page = parsing.mapping(payload)
        return _Page(
            items=parsing.items(page.get("items"), self._parse),
            total=_count(page, "total"),
            limit=_count(page, "limit"),
            pages=_count(page, "totalPages"),
        )

    def _parse(self, payload: Any) -> Instance:
        data = parsing.mapping(payload)
        instance_id = parsing.text(data, "id")
        status, raw_status = self._status(parsing.text(data, "status"))
        instance_type = parsing.optional_text(data, "type")
        return Instance(
            id=instance_id,
            name=parsing.optional_text(data, "name") or instance_id,
            status=status,
            raw_status=raw_status,
            type=instance_type,
            linkable=instance_type not in self.types_without_qr,
            phone_number=parsing.phone_number(data.get("phone_number")),
        )

    async def _with_phone_numbers(
        self, instances: list[Instance]
    ) -> tuple[Instance, ...]:
        """Add the phone numbers that are known, and ask for some others."""
        connected = self._connected = {
            instance.id
            for instance in instances
            if instance.status is InstanceStatus.CONNECTED
            and instance.phone_number is None
        }
        # the next phone that is linked may be another one
        self._phone_numbers = {
            instance_id: number
            for instance_id, number in self._phone_numbers.items()
            if instance_id in connected
        }
        wanted = (connected & self.wants_phone_numbers) - self._phone_numbers.keys()
        if wanted and (self._questions is None or self._questions.done()):
            self._questions = asyncio.create_task(self._ask_phone_numbers(wanted))
            # answers that take longer are shown with a later list
            await asyncio.wait({self._questions}, timeout=ANSWER_SECONDS)
        return tuple(
            replace(instance, phone_number=number)
            if (number := self._phone_numbers.get(instance.id))
            else instance
            for instance in instances
        )

    async def _ask_phone_numbers(self, instance_ids: set[str]) -> None:
        """Ask for some of the phone numbers, which only `/status` has."""
        # the order keeps an instance that can't be asked from blocking the others
        ordered = sorted(instance_ids, key=lambda key: self._asked_at.get(key, 0.0))
        with suppress(GatewayError):
            for instance_id in ordered[:PHONE_NUMBERS_PER_POLL]:
                self._asked_at[instance_id] = monotonic()
                instance = await self.instance(instance_id)
                # another phone may be linked after a list that lacks the connection
                is_connected = instance.status is InstanceStatus.CONNECTED
                if is_connected and instance_id in self._connected:
                    self._phone_numbers[instance_id] = instance.phone_number

    @override
    def close(self) -> None:
        super().close()
        if self._questions is not None:
            self._questions.cancel()

    @override
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        body = {"name": name, "type": instance_type or next(iter(self.instance_types))}
        answer = await self._http.request("POST", PATH, json=body)
        return self._parse(answer.json())

    @override
    async def instance(self, instance_id: str) -> Instance:
        """Return the status; this answer has no name and no type."""
        answer = await self._http.get(path_of(PATH, instance_id, "/status"))
        return self._parse(answer.json())

    @override
    async def perform(self, action: Action, instance_id: str) -> None:
        # 409 to these two: the instance is already in the requested state
        conflict_ok = action in {Action.CONNECT, Action.DISCONNECT}
        path = path_of(PATH, instance_id, f"/{action}")
        answer = await self._http.request("POST", path, conflict_ok=conflict_ok)
        answer.raise_for_failure()

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        answer = await self._http.request("GET", path_of(PATH, instance_id, "/qr"))
        data = parsing.mapping(answer.json())
        return parsing.qr_code(None, data.get("qr"), None)

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        code, message = explanation(payload)
        if (code or "").upper() in NOT_CONNECTED:
            return not_connected()
        own = isinstance(payload, dict) and payload.get("success") is False
        if status == HTTPStatus.NOT_FOUND and own and code:
            return not_found(code, message)
        return error_of(status, payload, code)

    @staticmethod
    @override
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        return status == HTTPStatus.UNAUTHORIZED and payload.keys() >= {
            "success",
            "error",
        }

    @override
    async def delete(self, instance_id: str) -> None:
        """Delete an instance and all its data. This action is irreversible."""
        answer = await self._http.request("DELETE", path_of(PATH, instance_id))
        answer.raise_for_failure()


def _count(page: dict[str, Any], key: str) -> int:
    """Return a number that a page may contain, 0 if it doesn't."""
    value = page.get(key)
    if value is None:
        return 0
    with suppress(TypeError, ValueError):
        count = float(value)
        if count >= 0 and count.is_integer() and not isinstance(value, bool):
            return int(count)
    # not chained: the error's text contains the value
    raise BadResponse(f"No {key}")
