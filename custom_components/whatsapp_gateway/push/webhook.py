"""Let a gateway call Home Assistant when an instance changes, if the user wants that.

A change only makes the poll come early. So an account works as well without calls.
Messages are handed to the inbox.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hmac import compare_digest
from http import HTTPStatus
import logging
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from aiohttp.web import RequestPayloadError, Response

from homeassistant.components import webhook
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import callback
from homeassistant.helpers.network import NoURLAvailableError, get_url

from ..client import (
    async_store,
    create_provider,
    create_session,
    known_instance_ids,
)
from ..const import CONF_WEBHOOK, DOMAIN
from ..problems import KINDS, async_delete_no_calls, async_raise_no_calls
from ..providers.messages import IncomingMessage
from ..providers.models import GatewayError, InstanceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.web import Request

    from homeassistant.core import HomeAssistant

    from ..coordinator import GatewayConfigEntry, GatewayCoordinator
    from ..providers.base import Provider
    from ..providers.models import Instance

# what is stored: the ID in Home Assistant, what each call has to bring, the address
CONF_ID = "id"
CONF_SECRET = "secret"  # noqa: S105
CONF_ADDRESS = "address"
"""Only stored while the webhook is on.

The rest is kept: a gateway that could not be reached when the webhook was turned off
still has the address, and must not be taken for other software's.
"""
MAX_BODY = 1024 * 1024  # bytes
# all in seconds
REMOVAL_TIME_LIMIT = 10.0
"""For the gateway to forget the address; it may be unreachable for good."""
CHECK_INTERVAL = 3600.0
"""Between two registrations of the same instances: the gateway may have lost them."""
RETRY_DELAY = 300.0
"""Until instances that could not be registered are tried again."""
PATIENCE = 120.0
"""From a change that a poll has found until the call about it is overdue."""

_LOGGER = logging.getLogger(__name__)


class Webhook:
    """The calls by which a gateway reports changes of an account."""

    def __init__(self, coordinator: GatewayCoordinator) -> None:
        """Do nothing until `async_setup` is called."""
        self._coordinator = coordinator
        self._hass: HomeAssistant = coordinator.hass
        self._entry: GatewayConfigEntry = coordinator.config_entry
        self._lock = asyncio.Lock()
        self._listening = False
        self._forget()

    def _forget(self) -> None:
        self._retry_at = 0.0
        self._check_at = inf
        self._registered: set[str] = set()
        """IDs of the instances that the gateway has been asked to report."""
        self._others: set[str] = set()
        """IDs of the instances among them whose webhook other software uses."""
        self._changed_at: float | None = None
        """When a poll first found a change that the gateway should have reported."""
        self.calls = 0
        self.called_at: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether the user has turned it on."""
        return _is_on(self._entry)

    @property
    def _settings(self) -> dict[str, str]:
        settings: dict[str, str] = self._entry.data[CONF_WEBHOOK]
        return settings

    @callback
    def async_setup(self) -> None:
        """Listen while the account is loaded."""
        self._entry.async_on_unload(self._async_stop)
        if self.is_on:
            self._async_listen()
            self.async_update(self._coordinator.data, self._coordinator.data)

    @callback
    def _async_listen(self) -> None:
        webhook.async_register(
            self._hass,
            DOMAIN,
            self._entry.title,
            self._settings[CONF_ID],
            self._async_handle,
            local_only=self._coordinator.provider.webhook_is_local,
            allowed_methods=["POST"],
        )
        self._listening = True

    @callback
    def _async_stop(self) -> None:
        if self._listening:
            webhook.async_unregister(self._hass, self._settings[CONF_ID])
            self._listening = False

    async def async_turn_on(self) -> set[str]:
        """Turn it on; return the IDs of instances whose webhook other software uses.

        Raises `NoURLAvailableError` or a `GatewayError`. It stays off then, and if
        other software uses the webhooks of all instances.
        """
        provider, instances = self._coordinator.provider, set(self._coordinator.data)
        settings = self._entry.data.get(CONF_WEBHOOK) or {
            CONF_ID: webhook.async_generate_id(),
            CONF_SECRET: webhook.async_generate_id(),
        }
        address = await _async_address(self._hass, provider, settings[CONF_ID])
        self._async_store({**settings, CONF_ADDRESS: address})
        self._async_listen()
        try:
            await self._async_register(instances)
        except GatewayError:
            await self.async_turn_off()
            raise
        others = self._others
        if others and others == instances:
            await self.async_turn_off()
        return others

    async def async_turn_off(self) -> None:
        """Turn it off, also if the gateway can't be reached."""
        async with self._lock:
            if not self.is_on:
                # turned off meanwhile
                return
            settings = self._settings
            self._async_stop()
            self._async_store({key: settings[key] for key in (CONF_ID, CONF_SECRET)})
            async_delete_no_calls(self._hass, self._entry.entry_id)
            self._forget()
            provider = self._coordinator.provider
            await _async_unregister(self._hass, self._entry, provider, settings)
            await _async_delete_cloudhook(self._hass, settings)

    @callback
    def _async_store(self, settings: Mapping[str, str]) -> None:
        async_store(self._hass, self._entry, CONF_WEBHOOK, settings)

    @callback
    def async_update(
        self, before: Mapping[str, Instance], now: Mapping[str, Instance]
    ) -> None:
        """Register new instances, and raise an issue if the gateway never calls."""
        if not self._listening:
            return
        if before is not now:
            self._note_changes(before, now)
        since = self._changed_at
        if since is not None and not self.calls and monotonic() - since >= PATIENCE:
            provider = self._coordinator.provider.name
            async_raise_no_calls(self._hass, self._entry, provider)
        if monotonic() >= self._check_at:
            self._check_at = inf
            self._registered = set()
        new = now.keys() - self._registered
        if new and monotonic() >= self._retry_at:
            self._retry_at = monotonic() + RETRY_DELAY
            self._entry.async_create_background_task(
                self._hass,
                self._async_register_new(new),
                f"{self._coordinator.name} webhook",
            )

    def _note_changes(
        self, before: Mapping[str, Instance], now: Mapping[str, Instance]
    ) -> None:
        """Forget instances that are gone, and note since when a call is overdue."""
        self._registered &= now.keys()
        watched = (self._registered - self._others) & before.keys()
        if self._changed_at is None and any(
            _is_reported(before[instance_id], now[instance_id])
            for instance_id in watched
        ):
            self._changed_at = monotonic()

    async def _async_register_new(self, instance_ids: set[str]) -> None:
        try:
            await self._async_register(instance_ids)
        except GatewayError as err:
            _LOGGER.debug("%s have no webhook: %s", self._coordinator.name, err)

    async def _async_register(self, instance_ids: set[str]) -> None:
        """Register instances; the address of Home Assistant may have changed."""
        provider = self._coordinator.provider
        async with self._lock:
            new = instance_ids - self._registered
            if not new or not self.is_on:
                # done, or turned off, meanwhile
                return
            settings = self._settings
            with suppress(NoURLAvailableError):
                address = await _async_address(self._hass, provider, settings[CONF_ID])
                if address != settings[CONF_ADDRESS]:
                    await provider.unregister_webhook(settings[CONF_ADDRESS], new)
                    settings = {**settings, CONF_ADDRESS: address}
                    self._async_store(settings)
            found = await provider.register_webhook(
                settings[CONF_ADDRESS], settings[CONF_SECRET], new
            )
            if not self._registered:
                self._check_at = monotonic() + CHECK_INTERVAL
            self._registered |= found.keys()
            others = {instance_id for instance_id, own in found.items() if not own}
            self._others = (self._others - new) | others
            if new <= found.keys():
                self._retry_at = 0.0

    async def _async_handle(
        self, hass: HomeAssistant, _webhook_id: str, request: Request
    ) -> Response:
        """Hand a message over, or poll early; the body is never logged."""
        provider = self._coordinator.provider
        if provider.webhook_header:
            given = request.headers.get(provider.webhook_header, "")
            secret = self._settings[CONF_SECRET].encode()
            if not compare_digest(given.encode(errors="surrogateescape"), secret):
                return Response(status=HTTPStatus.UNAUTHORIZED)
        if (body := await _read(request)) is None:
            return Response(status=HTTPStatus.BAD_REQUEST)
        self.calls += 1
        self.called_at = monotonic()
        async_delete_no_calls(hass, self._entry.entry_id)
        event = provider.parse_webhook(body)
        if isinstance(event, IncomingMessage):
            self._coordinator.inbox.put(event)
        elif event is not None:
            self._coordinator.async_handle_event(event)
        return Response()


def _is_on(entry: GatewayConfigEntry) -> bool:
    return CONF_ADDRESS in entry.data.get(CONF_WEBHOOK, {})


async def async_move_webhook(
    hass: HomeAssistant, entry: GatewayConfigEntry, data: Mapping[str, Any]
) -> None:
    """Let the present gateway forget the address before the account gets this data.

    The reload that follows registers the address again, with the new data.
    """
    changed = any(entry.data[key] != data[key] for key in (CONF_URL, CONF_API_KEY))
    if changed and _is_on(entry):
        await _async_unregister_unloaded(hass, entry)


async def async_remove_webhook(hass: HomeAssistant, entry: GatewayConfigEntry) -> None:
    """Let the gateway of an account that is removed forget the address."""
    if _is_on(entry):
        await _async_unregister_unloaded(hass, entry)
        await _async_delete_cloudhook(hass, entry.data[CONF_WEBHOOK])


async def _async_unregister_unloaded(
    hass: HomeAssistant, entry: GatewayConfigEntry
) -> None:
    """Unregister the webhook with a new client: the account's may be closed."""
    session = create_session(hass, entry.data, auto_cleanup=False)
    provider = create_provider(session, entry.data)
    await _async_unregister(hass, entry, provider, entry.data[CONF_WEBHOOK])
    session.detach()


async def _async_unregister(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    provider: Provider,
    settings: Mapping[str, str],
) -> None:
    with suppress(GatewayError, TimeoutError):
        async with asyncio.timeout(REMOVAL_TIME_LIMIT):
            await provider.unregister_webhook(
                settings[CONF_ADDRESS], known_instance_ids(hass, entry)
            )


async def _async_delete_cloudhook(
    hass: HomeAssistant, settings: Mapping[str, str]
) -> None:
    if cloud := _cloud(hass):
        # it may have none for this ID, and its errors are those of a library
        with suppress(Exception):
            await cloud.async_delete_cloudhook(hass, settings[CONF_ID])


async def _async_address(
    hass: HomeAssistant, provider: Provider, webhook_id: str
) -> str:
    """Return the address to call; raises `NoURLAvailableError`."""
    if provider.webhook_is_local:
        url = get_url(hass, allow_external=False)
        return f"{url}{webhook.async_generate_path(webhook_id)}"
    cloud = _cloud(hass)
    if cloud and cloud.async_active_subscription(hass):
        try:
            cloudhook: str = await cloud.async_get_or_create_cloudhook(hass, webhook_id)
        except Exception as err:
            # not connected, or one of the errors of a library
            raise NoURLAvailableError from err
        return cloudhook
    url = get_url(hass, allow_internal=False, allow_cloud=False, require_ssl=True)
    return f"{url}{webhook.async_generate_path(webhook_id)}"


def _cloud(hass: HomeAssistant) -> Any:
    """Return Home Assistant Cloud, None if it isn't used."""
    if "cloud" not in hass.config.components:
        return None
    from homeassistant.components import cloud  # noqa: PLC0415

    return cloud


def _is_reported(before: Instance, now: Instance) -> bool:
    """Whether every gateway reports this change, and not only some."""
    connected = InstanceStatus.CONNECTED
    if before.status is now.status:
        return False
    lost = before.status is connected and now.status in KINDS
    return now.status is connected or lost


async def _read(request: Request) -> bytes | None:
    """Return the body, None if it is too large or broken."""
    body = bytearray()
    try:
        while chunk := await request.content.read(MAX_BODY):
            body += chunk
            if len(body) > MAX_BODY:
                return None
    except (ClientError, OSError, RequestPayloadError):
        return None
    return bytes(body)
