"""Wappfy. Source: its document "Managing Instances"."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, override
from urllib.parse import urlencode

from .. import parsing
from ..base import MAX_INSTANCES, Provider, path_of
from ..failures import explanation, not_found
from ..message_parsing import MAX_CHATS, sent_message
from ..messages import Call, not_connected
from ..models import (
    Action,
    BadResponse,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    NotFound,
    QrCode,
    Rejected,
    TooManyInstances,
)
from . import messages as wappfy_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..messages import Chat, OutgoingMessage, SentMessage
    from .messages import Form

PATH = "/api/instances"
WEBHOOKS = "/api/webhooks"
WEBHOOK_EVENTS = ("instance.connected", "instance.disconnected", "instance.qr")
MAX_PAGES = 100
GROUPS_PER_PAGE = 50
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
        | Feature.WEBHOOKS
        | Feature.MESSAGES
        | Feature.CHATS
        | Feature.NUMBER_CHECK
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

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phone_numbers: dict[str, str] = {}
        self._questions: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._form: Form = wappfy_messages.reference_body
        """The form of messages that the server takes, as far as it is known."""

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
        if not self._questions:
            return tuple(found)
        return tuple(map(self._with_phone_number, found))

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
        ordered = sorted(wanted, key=lambda instance: self._questions[instance.id])
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
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Send a message in the form that worked last, else in the other one.

        A server that names members that are missing or unknown has sent nothing.
        """
        path = path_of(PATH, instance_id, "/messages/send")
        form = self._form
        try:
            return await self._send_as(form, path, chat_id, message)
        except Rejected as err:
            if err.code != wappfy_messages.WRONG_FORM:
                raise
            refused = err
        other = wappfy_messages.OTHER_FORM[form]
        try:
            sent = await self._send_as(other, path, chat_id, message)
        except Rejected as err:
            # if both forms are wrong, what the first one lacks is what matters
            raise (refused if err.code == refused.code else err) from None
        self._form = other
        return sent

    async def _send_as(
        self, form: Form, path: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        call = Call(path=path, body=form(chat_id, message))
        answer = await self._ask_to_send(lambda: call)
        return sent_message(answer, wappfy_messages.SENT_IDS)

    @override
    async def chats(self, instance_id: str) -> list[Chat]:
        """Return the groups of all pages; a server may also ignore the page."""
        found: dict[str, Chat] = {}
        offset = 0
        while len(found) < MAX_CHATS:
            query = f"?limit={GROUPS_PER_PAGE}&offset={offset}"
            path = path_of(PATH, instance_id, f"/groups{query}")
            payload = (await self._http.request("GET", path)).json()
            count, groups = wappfy_messages.parse_groups(payload)
            new = {chat.id: chat for chat in groups if chat.id not in found}
            found |= new
            offset += count
            if count < GROUPS_PER_PAGE or not new:
                break
        return list(found.values())[:MAX_CHATS]

    @override
    async def find_person(self, instance_id: str, phone_number: str) -> str | None:
        query = urlencode({"phone": phone_number})
        path = path_of(PATH, instance_id, f"/contacts/check?{query}")
        answer = await self._http.request("GET", path)
        return wappfy_messages.parse_check(answer.json(), phone_number)

    @staticmethod
    @override
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        code, message = explanation(payload)
        if (code or "").upper() in wappfy_messages.NOT_CONNECTED:
            return not_connected()
        own = isinstance(payload, dict) and payload.get("success") is False
        if status == HTTPStatus.NOT_FOUND and own and code:
            return not_found(code, message)
        return wappfy_messages.error_of(status, payload, code)

    @override
    async def register_webhook(
        self, url: str, secret: str, instance_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Register one address for all instances.

        Source: docs.wappfy.io/guides/webhooks, "Create a Webhook": `url` is "the HTTPS
        URL that will receive webhook POST requests", and without `instance_id` it
        "receives events from all instances". What a call contains and how it is signed
        is not documented, so a call only means that something has changed.
        """
        found = await self._webhooks(url)
        if True not in found.values():
            await self._delete_webhooks(found)
            body = {"url": url, "events": WEBHOOK_EVENTS}
            answer = await self._http.request("POST", WEBHOOKS, json=body)
            answer.raise_for_failure()
        return dict.fromkeys(instance_ids, True)

    @override
    async def unregister_webhook(self, url: str, instance_ids: Iterable[str]) -> None:
        await self._delete_webhooks(await self._webhooks(url))

    async def _webhooks(self, url: str) -> dict[str, bool]:
        """Return the IDs of the webhooks with this address, and if they are active.

        Source: docs.wappfy.io, "List all webhook endpoints for the current user". The
        list also contains the secrets of other webhooks, so nothing else is kept.
        """
        payload = (await self._http.get(WEBHOOKS)).json()
        rows = payload.get("items") if isinstance(payload, dict) else payload
        return {
            parsing.text(row, "id"): row.get("is_active") is not False
            for row in parsing.items(rows, parsing.mapping)
            if row.get("url") == url
        }

    async def _delete_webhooks(self, webhook_ids: Iterable[str]) -> None:
        for webhook_id in webhook_ids:
            with suppress(NotFound):
                path = path_of(WEBHOOKS, webhook_id)
                await self._http.request("DELETE", path)

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
