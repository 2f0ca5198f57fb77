"""Image with the QR code of an instance that waits to be scanned."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .entity import InstanceEntity, async_add_instances
from .pairing.drawing import blank
from .providers.models import GatewayError, InstanceStatus, Unauthorized

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import Account, GatewayConfigEntry

PARALLEL_UPDATES = 0

_LOGGER = logging.getLogger(__name__)

TIME_LIMIT_SECONDS = 8.0
"""Time for a request; Home Assistant gives an image entity 10 s."""
MIN_INTERVAL_SECONDS = 0.1
"""Shortest time between two changes of the picture."""
SHOW_AGAIN_SECONDS = 1.0
"""Time until the picture is announced again, to cards that have just appeared."""

QR_CODE = ImageEntityDescription(
    key="qr_code",
    translation_key="qr_code",
    # keeps the picture, which is seldom available, off generated dashboards
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the images of the instances that are linked by a QR code."""
    account = entry.runtime_data
    await async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: (
            [QrImage(account, instance_id)]
            if account.coordinator.data[instance_id].linkable
            else []
        ),
    )


class QrImage(InstanceEntity, ImageEntity):
    """The QR code to scan now, fetched while somebody looks at it."""

    _attr_content_type = "image/png"

    def __init__(self, account: Account, instance_id: str) -> None:
        """Have no picture until somebody looks."""
        InstanceEntity.__init__(self, account, instance_id, QR_CODE)
        ImageEntity.__init__(self, account.hass)
        self._was_available = False
        self._attr_image_last_updated = dt_util.utcnow()
        self._cancel_change: CALLBACK_TYPE | None = None

    @property
    @override
    def available(self) -> bool:
        return super().available and self.instance.status is InstanceStatus.SCAN_QR

    @property
    @override
    def entity_picture(self) -> str | None:
        """Return the picture; without one the frontend shows the icon."""
        return super().entity_picture if self.available else None

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        if self.available is not self._was_available:
            self._was_available = self.available
            self._attr_image_last_updated = dt_util.utcnow()
            self._async_stop()
            if self.available:
                self._async_change_later(SHOW_AGAIN_SECONDS)
        super()._handle_coordinator_update()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._async_stop()

    @override
    async def async_image(self) -> bytes | None:
        """Return the code that can be scanned now, or a blank if there is none."""
        if not self.available:
            return None
        feed = self.account.qr_codes.of(self.instance_id)
        try:
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                await feed.look()
        except Unauthorized:
            # only a poll can tell whether the API key is rejected everywhere
            self.coordinator.async_request_poll()
        except (GatewayError, TimeoutError) as err:
            _LOGGER.debug("No QR code: %s", type(err).__name__)
        if not self.available or self.account.provider.closed:
            return None
        self._async_change_later(
            max(feed.changes_at - monotonic(), MIN_INTERVAL_SECONDS)
        )
        return feed.png or await self.hass.async_add_executor_job(blank)

    @callback
    def _async_change_later(self, seconds: float) -> None:
        """Let the browsers that still look fetch the picture again."""
        self._async_stop()
        self._cancel_change = async_call_later(self.hass, seconds, self._async_change)

    @callback
    def _async_change(self, _now: datetime) -> None:
        self._cancel_change = None
        self._attr_image_last_updated = dt_util.utcnow()
        self.async_write_ha_state()

    @callback
    def _async_stop(self) -> None:
        if self._cancel_change:
            self._cancel_change()
            self._cancel_change = None
