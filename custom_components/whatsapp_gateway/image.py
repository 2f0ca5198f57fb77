"""Image: the QR code of an instance that waits to be scanned."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .entity import InstanceEntity, async_add_instances
from .providers.models import InstanceStatus
from .qr import render

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import GatewayConfigEntry, GatewayCoordinator

PARALLEL_UPDATES = 0

# both in seconds
CACHE_TIME = 15.0
"""For which a code is kept whose end the gateway does not tell."""
RETRY_INTERVAL = 5.0
"""After which a code is asked for again that could not be had."""

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
        self._lock = asyncio.Lock()
        self._cancel_expiry: CALLBACK_TYPE | None = None

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance.status is InstanceStatus.SCAN_QR

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        if self._written != self._shown:
            self._forget()
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
        asked_for = self._attr_image_last_updated
        png, lives = None, RETRY_INTERVAL
        try:
            with self.coordinator.translated_errors():
                code = await self.coordinator.provider.qr(self.instance_id)
                if code is not None:
                    png = await self.hass.async_add_executor_job(render, code)
                    left = code.seconds_left
                    lives = CACHE_TIME if left is None else left
        finally:
            # else it was forgotten meanwhile
            if asked_for is self._attr_image_last_updated:
                self._png = png if lives > 0 else None
                self._cancel_expiry = async_call_later(
                    self.hass, max(lives, 1), self._async_expire
                )

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
