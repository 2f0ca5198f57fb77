"""The Configure menu of an account."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow

from .pairing_flow import PairingFlow


class GatewayOptionsFlow(PairingFlow, OptionsFlow):
    """Link an instance, or create one."""

    async def async_step_init(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer what is possible now; a single option needs no menu."""
        self.entry = self.config_entry
        match self.link_options:
            case []:
                return self.async_abort(reason="nothing_to_do")
            case [option]:
                step: ConfigFlowResult = await getattr(self, f"async_step_{option}")()
                return step
            case options:
                return self.async_show_menu(step_id="init", menu_options=options)
