"""The fix of an instance in trouble: the live QR, after a restart where it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.config_entries import ConfigEntryState

from .pairing_flow import PairingFlow
from .providers.models import Action, GatewayError, Instance, InstanceStatus

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from .coordinator import GatewayConfigEntry


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any]
) -> RepairsFlow:
    """Return the fix of an instance's issue, a mere confirmation once it is gone."""
    entry: GatewayConfigEntry | None = hass.config_entries.async_get_entry(
        data["entry_id"]
    )
    if (
        entry
        and entry.state is ConfigEntryState.LOADED
        and (instance := entry.runtime_data.data.get(data["instance_id"]))
    ):
        return BringBackFlow(entry, instance)
    return ConfirmRepairFlow()


class BringBackFlow(PairingFlow, RepairsFlow):
    """Bring an instance back, by a scan if it needs one."""

    def __init__(self, entry: GatewayConfigEntry, instance: Instance) -> None:
        """Belong to one instance."""
        self.entry = entry
        self.provider = entry.runtime_data.provider
        self._instance = instance

    async def async_step_init(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the code at once, where one is awaited."""
        if self._instance.status is InstanceStatus.FAILED:
            return await self.async_step_restart()
        return await self.async_step_pair()

    async def async_step_restart(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Restart the instance; linking starts it where the provider can't."""
        errors, message = {}, ""
        if user_input is not None:
            try:
                if Action.RESTART in self.provider.actions:
                    await self.provider.perform(Action.RESTART, self._instance.id)
            except GatewayError as err:
                errors, message = {"base": self._error_key(err)}, str(err)
            else:
                return await self.async_step_pair()
        return self._show(
            "restart", {}, errors=errors, name=self._instance.name, message=message
        )

    @override
    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> Any:
        await self._async_refresh()
        if self.linked:
            return self.async_create_entry(data={})
        # the issue stays
        return self.async_abort(reason="not_linked")
