"""Image: the QR code of an instance that waits to be scanned."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .code_clock import GAP, OVERDUE_INTERVAL, CodeClock
from .entity import InstanceEntity, async_add_instances
from .providers.models import InstanceStatus
from .qr import blank, render

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry, GatewayCoordinator
    from .providers.models import QrCode

    type Shown = tuple[bytes | None, float, Callable[[datetime], None]]

PARALLEL_UPDATES = 0

# all in seconds
CACHE_TIME = 15.0
"""For which a code is kept whose end is deduced."""
RETRY_INTERVAL = 5.0
"""After which a code is asked for again that could not be had, or may end any time."""

QR_CODE = ImageEntityDescription(key="qr_code", translation_key="qr_code")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the pictures of an account."""
    async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: [QrImage(entry.runtime_data, instance_id, QR_CODE)],
    )


class QrImage(InstanceEntity, ImageEntity):
    """The code that an instance shows now, fetched when somebody looks."""

    _attr_content_type = "image/png"

    def __init__(
        self,
        coordinator: GatewayCoordinator,
        instance_id: str,
        description: ImageEntityDescription,
    ) -> None:
        """Have no picture until somebody looks."""
        InstanceEntity.__init__(self, coordinator, instance_id, description)
        ImageEntity.__init__(self, coordinator.hass)
        self._attr_image_last_updated = dt_util.utcnow()
        self._png: bytes | None = None
        self._clock = CodeClock()
        self._lock = asyncio.Lock()
        self._cancel_expiry: CALLBACK_TYPE | None = None

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance.status is InstanceStatus.SCAN_QR

    @property
    @override
    def entity_picture(self) -> str | None:
        # else its icon is shown
        return super().entity_picture if self.available else None

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        if self._written != self._shown:
            self._forget()
        if super().available and not self.available:
            self._clock.note_absence(self.coordinator.polled_at)
        super()._handle_coordinator_update()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._forget()

    @override
    async def async_image(self) -> bytes | None:
        """Return the code that can be scanned now; one fetch serves all who look."""
        async with self._lock:
            if self._cancel_expiry is None and self.available:
                await self._async_fetch()
        return self._png if self.available else None

    async def _async_fetch(self) -> None:
        """Fetch the code, and plan when the browsers have to come again."""
        asked_for, asked_at = self._attr_image_last_updated, monotonic()
        shown: Shown = None, RETRY_INTERVAL, self._async_expire
        try:
            with self.coordinator.translated_errors():
                if code := await self.coordinator.provider.qr(self.instance_id):
                    shown = await self._async_draw(code, asked_at)
        finally:
            # else it was forgotten meanwhile
            if asked_for is self._attr_image_last_updated:
                self._show(*shown)

    async def _async_draw(self, code: QrCode, asked_at: float) -> Shown:
        """Return a picture, the seconds for which it may be shown, and what is then."""
        self._blank = await self.hass.async_add_executor_job(blank)
        ends, refresh_at = self._clock.follow(code, asked_at)
        if ends <= (now := monotonic()):
            return self._blank, OVERDUE_INTERVAL, self._async_expire
        unsure = CACHE_TIME if refresh_at > now else RETRY_INTERVAL
        png = await self.hass.async_add_executor_job(render, code)
        left = ends - monotonic()
        if code.seconds_left is None and unsure < left:
            return png, unsure, self._async_expire
        return png, left, self._async_end

    def _show(
        self, png: bytes | None, seconds: float, then: Callable[[datetime], None]
    ) -> None:
        self._png = png
        self._cancel_expiry = async_call_later(self.hass, seconds, then)

    @callback
    def _async_end(self, _now: datetime) -> None:
        """Take a code away in time, before the next one is there."""
        self._forget()
        self._show(self._blank, GAP, self._async_expire)
        self.async_write_ha_state()

    @callback
    def _async_expire(self, _now: datetime) -> None:
        """Let the browsers that still look come for the next code."""
        self._forget()
        self.async_write_ha_state()

    @callback
    def _forget(self) -> None:
        self._png = None
        self._attr_image_last_updated = dt_util.utcnow()
        if self._cancel_expiry:
            self._cancel_expiry()
            self._cancel_expiry = None
