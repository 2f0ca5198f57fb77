"""Wappfy, by its document "Managing Instances"."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, override

from . import parsing
from .base import Provider, path_of
from .models import Action, BadResponse, Instance, InstanceStatus, QrCode

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/api/instances"
MAX_PAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A part of the list; a number that it does not tell is 0."""

    items: tuple[Instance, ...]
    total: int = 0
    limit: int = 0
    pages: int = 0


class Wappfy(Provider):
    """An account at Wappfy."""

    name = "Wappfy"
    default_url = "https://api.wappfy.io"
    auth_header = ("X-Api-Key", "{}")
    statuses: ClassVar = {status.value: status for status in InstanceStatus}
    actions = frozenset(Action)
    instance_types = ("waha", "cloud_api")
    types_without_qr = frozenset({"cloud_api"})
    list_has_phone_number = False

    @override
    async def _list(self) -> tuple[Instance, ...]:
        """List all instances, also where the gateway hands them out in pages."""
        first = page = await self._get_list(PATH, self._page)
        found = first.items
        limit = first.limit or len(found)
        pages = first.pages or -(-first.total // max(limit, 1))
        number = 1
        # without totals the last page is the one that is not full
        while number < pages or (not pages and page.items and len(page.items) >= limit):
            if (number := number + 1) > MAX_PAGES:
                raise BadResponse("Too many pages")
            path = f"{PATH}?page={number}&limit={limit}"
            page = await self._get_list(path, self._page)
            found += page.items
        if first.total and len(parsing.unique(found)) < first.total:
            # one was deleted while the pages were read, and the others moved up
            raise BadResponse("The list is incomplete")
        return found

    def _page(self, payload: Any) -> _Page:
        """Read a page; a bare list is the only one."""
        if isinstance(payload, list):
            return _Page(items=self._instances(payload), pages=1)
        page = parsing.mapping(payload)
        return _Page(
            items=self._instances(page.get("items")),
            total=_count(page, "total"),
            limit=_count(page, "limit"),
            pages=_count(page, "totalPages"),
        )

    @override
    async def create(
        self,
        name: str,
        *,
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        body = {"name": name, "type": instance_type or self.instance_types[0]}
        return self._instance(
            self._payload(await self._request("POST", PATH, json=body))
        )

    @override
    async def instance(self, instance_id: str) -> Instance:
        """Check the status; the answer has no name and no type."""
        path = path_of(PATH, instance_id, "/status")
        return self._instance(await self._get(path))

    @override
    async def _perform(self, action: Action, instance_id: str) -> None:
        path = path_of(PATH, instance_id, f"/{action}")
        # 409 on these two: already in the requested state
        conflict_ok = action in {Action.CONNECT, Action.DISCONNECT}
        await self._request("POST", path, conflict_ok=conflict_ok)

    @override
    async def qr(self, instance_id: str) -> QrCode | None:
        body = await self._request("GET", path_of(PATH, instance_id, "/qr"))
        return parsing.qr_code(parsing.mapping(self._payload(body)))

    @override
    async def delete(self, instance_id: str) -> None:
        """Delete an instance and all its data. This action is irreversible."""
        await self._request("DELETE", path_of(PATH, instance_id))


def _count(page: dict[str, Any], key: str) -> int:
    """Return a number that a page may tell, 0 where it does not."""
    value = page.get(key)
    if value is None:
        return 0
    with suppress(TypeError, ValueError):
        count = float(value)
        if count >= 0 and count.is_integer() and not isinstance(value, bool):
            return int(count)
    # without the cause, whose text holds the value
    raise BadResponse(f"No {key}")
