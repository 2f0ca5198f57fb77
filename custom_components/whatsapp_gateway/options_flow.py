"""The Configure menu of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowResult,
    OptionsFlow,
)

from .pairing_flow import PairingFlow

if TYPE_CHECKING:
    from .coordinator import GatewayConfigEntry


class GatewayOptionsFlow(PairingFlow, OptionsFlow):
    """Link an instance, create an instance."""

    async def async_step_init(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer what can be done now."""
        entry: GatewayConfigEntry = self.config_entry
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        self.entry = entry
        self.provider = entry.runtime_data.provider
        self.instances = list(entry.runtime_data.data.values())
        link = ["link"] if any(one.awaits_link for one in self.instances) else []
        create = [] if self.provider.instance_id else ["create"]
        if not (options := link + create):
            return self.async_abort(reason="nothing_to_do")
        return self.async_show_menu(step_id="init", menu_options=options)

    @override
    async def async_step_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the new device be there when the dialog closes."""
        await self._async_refresh()
        if self.linked or not self._instance.linkable:
            return self.async_create_entry(data=dict(self.config_entry.options))
        return self.async_abort(
            reason="not_linked", description_placeholders={"name": self._instance.name}
        )
