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
from typing import TYPE_CHECKING

from aiohttp import hdrs
from aiohttp.web import Response

from homeassistant.components import webhook
from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.network import NoURLAvailableError

from ..client import async_store
from ..const import CONF_WEBHOOK, DOMAIN
from ..problems import KINDS
from ..providers.models import (
    TOO_LARGE,
    UNPARSABLE,
    GatewayError,
    InstanceChanged,
    InstanceStatus,
)
from .silence import Reason
from .webhook_removal import (
    CONF_ADDRESS,
    CONF_ID,
    CONF_SECRET,
    async_unregister,
    async_unregister_handler,
    is_on,
)
from .webhook_requests import (
    BROKEN,
    async_address_of,
    async_delete_cloudhook,
    async_read,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.web import Request

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..providers.base import Provider
    from ..providers.capabilities import Report, Webhooks
    from ..providers.models import Instance

NO_CALLS = "no_calls"
"""The issue that a gateway doesn't report changes as it should."""
NETWORK_SETTINGS = "https://my.home-assistant.io/redirect/network/"
CHECK_SECONDS = 300.0
"""Time between two registrations: the gateway may have lost or changed them."""
REFUSED_SECONDS = 60.0
"""Shortest time between two registrations because of refused calls."""
SECRET_SECONDS = 600.0
"""How long after the last refused call the secret counts as lost."""
RETRY_SECONDS = 60.0
"""Time until instances that could not be registered are tried again."""
UNREAD = (UNPARSABLE, TOO_LARGE)
"""Reports that may be about anything."""
TRY_AGAIN = {hdrs.RETRY_AFTER: "10"}
CALL_SECONDS = 120.0
"""Time from a change that a poll has found until the call about it is overdue."""

_LOGGER = logging.getLogger(__name__)


class Webhook:
    """The calls by which a gateway reports changes of an account."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: Provider,
        webhooks: Webhooks,
        handle: Callable[[Report], None],
    ) -> None:
        """Hand what the gateway reports to `handle` once `async_start` is called.

        Calls are answered from `async_listen` on, also while the account is reloaded.
        """
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._webhooks = webhooks
        self.is_local = webhooks.is_local
        self._handle = handle
        self._instances: Mapping[str, Instance] = {}
        """The instances of the last poll."""
        self._lock = asyncio.Lock()
        self._started = False
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
        self._refused_at = -inf
        """When a call was refused last."""
        self._next_refused_at = 0.0
        self._registered_again = False
        """Whether a refused call was the reason for a registration."""
        self._secret_lost = False
        """Whether calls were refused even after that."""
        self.calls = 0
        self.called_at: float | None = None
        self.refused_calls = 0

    @property
    def is_on(self) -> bool:
        """Whether the user has turned it on."""
        return is_on(self._entry)

    @property
    def _settings(self) -> dict[str, str]:
        settings: dict[str, str] = self._entry.data[CONF_WEBHOOK]
        return settings

    @property
    def silence(self) -> tuple[Reason | None, set[str]]:
        """Return why no messages arrive, and the IDs of the instances concerned."""
        listed = self._instances.keys()
        if monotonic() - self._refused_at > SECRET_SECONDS:
            self._secret_lost = False
        if not listed:
            return None, set()
        if not self.is_on:
            return Reason.OFF, set()
        if self._secret_lost:
            return Reason.SECRET, set()
        if in_use := self._others & listed:
            return Reason.IN_USE, in_use
        if unregistered := listed - self._registered:
            return Reason.UNREGISTERED, unregistered
        return None, set()

    @callback
    def async_start(self, instances: Mapping[str, Instance]) -> None:
        """Take calls about these instances until `async_stop` is called."""
        self._started = True
        self.async_update(instances)

    @callback
    def async_stop(self) -> None:
        """Ask for all calls to be repeated later."""
        self._started = False

    @callback
    def async_listen(self) -> None:
        """Answer calls until the webhook is turned off, or the account disabled."""
        if not self.is_on:
            return
        # the one of the account that was loaded before
        async_unregister_handler(self._hass, self._entry)
        webhook.async_register(
            self._hass,
            DOMAIN,
            self._entry.title,
            self._settings[CONF_ID],
            self._async_handle,
            local_only=self.is_local,
            allowed_methods=["POST"],
        )

    async def async_turn_on(self) -> set[str]:
        """Turn it on; return the IDs of instances whose webhook other software uses.

        Raises `NoURLAvailableError` or a `GatewayError`. It stays off then, and if
        other software uses the webhooks of all instances.
        """
        instances = set(self._instances)
        settings = self._entry.data.get(CONF_WEBHOOK) or {
            CONF_ID: webhook.async_generate_id(),
            CONF_SECRET: webhook.async_generate_id(),
        }
        address = await async_address_of(
            self._hass, settings[CONF_ID], local=self.is_local
        )
        settings = {**settings, CONF_ADDRESS: address}
        async_store(self._hass, self._entry, CONF_WEBHOOK, settings)
        self.async_listen()
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
            async_unregister_handler(self._hass, self._entry)
            kept = {key: settings[key] for key in (CONF_ID, CONF_SECRET)}
            async_store(self._hass, self._entry, CONF_WEBHOOK, kept)
            self._async_delete_no_calls()
            self._forget()
            await async_unregister(self._hass, self._entry, self._webhooks, settings)
            await async_delete_cloudhook(self._hass, settings[CONF_ID])

    @callback
    def async_update(self, instances: Mapping[str, Instance]) -> None:
        """Register new instances, and raise an issue if the gateway never calls."""
        before, self._instances = self._instances, instances
        if not (self._started and self.is_on):
            return
        self._note_changes(before, instances)
        since = self._changed_at
        if since is not None and not self.calls and monotonic() - since >= CALL_SECONDS:
            self._async_raise_no_calls()
        if monotonic() >= self._check_at:
            self._check_at = inf
            self._registered = set()
        self._async_register_missing()

    @callback
    def _async_register_missing(self) -> None:
        instances = self._instances
        new = instances.keys() - self._registered
        if new and monotonic() >= self._retry_at:
            self._retry_at = monotonic() + RETRY_SECONDS
            self._entry.async_create_background_task(
                self._hass,
                self._async_register_new(new),
                f"{self._entry.title} webhook",
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

    @callback
    def _async_raise_no_calls(self) -> None:
        names = {"name": self._entry.title, "provider": self._provider.name}
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            f"{NO_CALLS}_{self._entry.entry_id}",
            is_fixable=False,
            learn_more_url=NETWORK_SETTINGS,
            severity=ir.IssueSeverity.WARNING,
            translation_key=NO_CALLS,
            translation_placeholders=names,
        )

    @callback
    def _async_delete_no_calls(self) -> None:
        issue_id = f"{NO_CALLS}_{self._entry.entry_id}"
        ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    async def _async_register_new(self, instance_ids: set[str]) -> None:
        try:
            await self._async_register(instance_ids)
        except GatewayError as err:
            _LOGGER.debug("%s has no webhook: %s", self._entry.title, err)

    async def _async_register(self, instance_ids: set[str]) -> None:
        """Register instances; the address of Home Assistant may have changed."""
        hass, webhooks = self._hass, self._webhooks
        async with self._lock:
            new = instance_ids - self._registered
            if not new or not self.is_on:
                # done, or turned off, meanwhile
                return
            settings = self._settings
            with suppress(NoURLAvailableError):
                address = await async_address_of(
                    hass, settings[CONF_ID], local=self.is_local
                )
                if address != settings[CONF_ADDRESS]:
                    await webhooks.unregister(settings[CONF_ADDRESS], new)
                    settings = {**settings, CONF_ADDRESS: address}
                    async_store(hass, self._entry, CONF_WEBHOOK, settings)
            found = await webhooks.register(
                settings[CONF_ADDRESS], settings[CONF_SECRET], new
            )
            if not self._registered:
                self._check_at = monotonic() + CHECK_SECONDS
            self._registered |= found.keys()
            others = {instance_id for instance_id, own in found.items() if not own}
            self._others = (self._others - new) | others
            if new <= found.keys():
                self._retry_at = 0.0

    async def _async_handle(
        self, _hass: HomeAssistant, _webhook_id: str, request: Request
    ) -> Response:
        """Hand over what a call reports; the body is never logged."""
        if self._webhooks.header:
            given = request.headers.get(self._webhooks.header, "")
            secret = self._settings[CONF_SECRET].encode()
            if not compare_digest(given.encode(errors="surrogateescape"), secret):
                self._async_refused()
                return Response(status=HTTPStatus.UNAUTHORIZED)
        body = await async_read(request)
        if not self._started:
            # the gateway repeats the call when the account is loaded
            return Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers=TRY_AGAIN)
        self.calls += 1
        self.called_at = monotonic()
        self._registered_again = self._secret_lost = False
        self._async_delete_no_calls()
        report = self._webhooks.read(body)
        if report is not None:
            self._handle(report)
        if report in UNREAD:
            # what can't be read may be about an instance
            self._handle(InstanceChanged())
        broken = body is BROKEN
        return Response(status=HTTPStatus.BAD_REQUEST if broken else HTTPStatus.OK)

    @callback
    def _async_refused(self) -> None:
        """Register again: the gateway may have lost the secret."""
        self.refused_calls += 1
        now = self._refused_at = monotonic()
        if not self._started or now < self._next_refused_at:
            return
        self._next_refused_at = now + REFUSED_SECONDS
        self._secret_lost = self._registered_again
        self._registered_again = True
        self._registered, self._retry_at = set(), 0.0
        self._async_register_missing()


def _is_reported(before: Instance, now: Instance) -> bool:
    """Return whether every gateway reports this change, and not only some."""
    was, is_now = (one.status is InstanceStatus.CONNECTED for one in (before, now))
    return was is not is_now and (is_now or now.status in KINDS)
