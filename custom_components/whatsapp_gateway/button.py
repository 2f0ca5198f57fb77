"""Buttons that act on the session of an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, override

from homeassistant.components.button import (
    ButtonDeviceClass,
    ButtonEntity,
    ButtonEntityDescription,
)

from .entity import InstanceEntity, async_add_instances
from .providers.models import Action, InstanceStatus

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .account import GatewayConfigEntry

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class ActionButtonDescription(ButtonEntityDescription):
    """Description of a button and the statuses in which it is available."""

    key: Action
    available_in: frozenset[InstanceStatus]


BUTTONS = (
    ActionButtonDescription(
        key=Action.CONNECT,
        translation_key=Action.CONNECT,
        available_in=frozenset(
            {
                InstanceStatus.CREATED,
                InstanceStatus.DISCONNECTED,
                InstanceStatus.FAILED,
            }
        ),
    ),
    ActionButtonDescription(
        key=Action.DISCONNECT,
        translation_key=Action.DISCONNECT,
        available_in=frozenset(
            {
                InstanceStatus.STARTING,
                InstanceStatus.SCAN_QR,
                InstanceStatus.CONNECTED,
            }
        ),
    ),
    ActionButtonDescription(
        key=Action.RESTART,
        translation_key=Action.RESTART,
        device_class=ButtonDeviceClass.RESTART,
        available_in=frozenset(InstanceStatus) - {InstanceStatus.CREATED},
    ),
    ActionButtonDescription(
        key=Action.LOGOUT,
        translation_key=Action.LOGOUT,
        # can't be undone without the phone
        entity_registry_enabled_default=False,
        available_in=frozenset(
            {
                InstanceStatus.CONNECTED,
                InstanceStatus.DISCONNECTED,
                # it may have kept the link of a phone that has unlinked it
                InstanceStatus.FAILED,
            }
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GatewayConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons that the gateway supports."""
    account = entry.runtime_data
    await async_add_instances(
        entry,
        async_add_entities,
        lambda instance_id: (
            ActionButton(account, instance_id, description)
            for description in BUTTONS
            if description.key in account.provider.actions
        ),
    )


class ActionButton(InstanceEntity, ButtonEntity):
    """A button that performs an action."""

    entity_description: ActionButtonDescription

    @property
    @override
    def available(self) -> bool:
        """Also stay available if the status is unknown."""
        return super().available and (
            self.instance.status is None
            or self.instance.status in self.entity_description.available_in
        )

    @override
    async def async_press(self) -> None:
        await self.account.async_perform(self.entity_description.key, self.instance_id)
