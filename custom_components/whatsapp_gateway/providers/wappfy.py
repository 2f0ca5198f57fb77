"""Wappfy. Source: its document "Managing Instances"."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, override

from . import parsing
from .base import MAX_INSTANCES, Provider, path_of
from .models import (
    Action,
    BadResponse,
    Feature,
    Instance,
    InstanceStatus,
    QrCode,
    TooManyInstances,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "/api/instances"
MAX_PAGES = 100
PHONE_NUMBERS_PER_POLL = 3
MAX_ANSWERS = 5
"""Number of answers without a phone number after which it isn't asked for again."""


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
    auth_header = ("X-Api-Key", "{}")
    statuses: ClassVar = {
        status.value: status
        for status in InstanceStatus
        if status is not InstanceStatus.PASSKEY
    }
    actions = frozenset(Action)
    all_features = Feature.CREATE
    instance_types: ClassVar = {
        "waha": "WhatsApp Web",
        "cloud_api": "WhatsApp Business Cloud API",
    }
    types_without_qr = frozenset({"cloud_api"})

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phone_numbers: dict[str, str] = {}
        self._questions: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()

    @override
    async def _list(self) -> tuple[Instance, ...]:
        """List all instances, also if the gateway splits the list into pages."""
        page = await self._page(1)
        found = {instance.id: instance for instance in page.items}
        limit = page.limit or len(page.items)
        total, pages = page.total, page.pages or -(-page.total // max(limit, 1))
        rows, number = len(page.items), 1
        # without totals, the last page is the one that isn't full or brings nothing new
        while number < pages or (not pages and 0 < limit <= len(page.items)):
            if (number := number + 1) > MAX_PAGES:
                raise BadResponse("Too many pages")
            page = await self._page(number, limit)
            rows += len(page.items)
            before = len(found)
            found |= {instance.id: instance for instance in page.items}
            if len(found) > MAX_INSTANCES:
                raise TooManyInstances
            if len(found) == before:
                break
        if rows < total:
            # an instance was deleted while the pages were read, and others moved up
            raise BadResponse("The list is incomplete")
        if not self._questions:
            return tuple(found.values())
        return tuple(self._with_phone_number(one) for one in found.values())

    async def _page(self, number: int, limit: int = 0) -> _Page:
        path = PATH if number == 1 else f"{PATH}?page={number}&limit={limit}"
        return self._parse_once(path, await self._http.get(path), self._parse_page)

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

    def _with_phone_number(self, instance: Instance) -> Instance:
        """Add the phone number, which the list lacks, if it is known."""
        if instance.status is not InstanceStatus.CONNECTED:
            # the next phone that is linked may be another one
            self._phone_numbers.pop(instance.id, None)
            del self._questions[instance.id], self._answers[instance.id]
        elif (number := self._phone_numbers.get(instance.id)) is not None:
            return replace(instance, phone_number=number)
        return instance

    @override
    async def details(self, instances: Iterable[Instance]) -> list[Instance]:
        """Ask for some of the phone numbers, which only `/status` has."""
        wanted = (
            instance
            for instance in instances
            if instance.status is InstanceStatus.CONNECTED
            and instance.phone_number is None
            and self._answers[instance.id] < MAX_ANSWERS
        )
        # the least asked come first, so that one failing question blocks no other
        ordered = sorted(wanted, key=lambda one: self._questions[one.id])
        found = []
        for instance in ordered[:PHONE_NUMBERS_PER_POLL]:
            self._questions[instance.id] += 1
            number = (await self.instance(instance.id)).phone_number
            self._answers[instance.id] += 1
            if number is not None:
                self._phone_numbers[instance.id] = number
                found.append(replace(instance, phone_number=number))
        return found

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
