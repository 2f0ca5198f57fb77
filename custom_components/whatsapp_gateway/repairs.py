"""Fix an instance that needs attention, by its QR code if it has to be scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow

from .flows.link import LinkFlow
from .pairing.engine import Phase
from .problems import Kind
from .providers.models import Action, GatewayError, NotFound
from .texts import escape_markdown

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .account import GatewayConfigEntry


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any]
) -> RepairsFlow:
    """Return the fix of an issue."""
    if entry := hass.config_entries.async_get_entry(data["entry_id"]):
        return InstanceRepairFlow(entry, data["instance_id"], Kind(data["kind"]))
    # the account was removed a moment ago
    return ConfirmRepairFlow()


class InstanceRepairFlow(LinkFlow, RepairsFlow):
    """Connect an instance again."""

    def __init__(self, entry: GatewayConfigEntry, instance_id: str, kind: Kind) -> None:
        """Repair one instance."""
        self.entry = entry
        self._instance_id = instance_id
        self._kind = kind
        # the phone of any other instance may still be linked
        self._may_log_out = kind is Kind.NOT_LINKED

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> Any:
        """Show the QR code; only a failed session is restarted before that."""
        instance = self.account.coordinator.data.get(self._instance_id)
        if instance is None:
            reason = await self.account.async_reason_missing(self._instance_id)
            return self.async_abort(reason=reason)
        self._instance = instance
        can_restart = Action.RESTART in self.account.provider.actions
        if self._kind is Kind.FAILED and can_restart:
            return await self.async_step_restart()
        if not instance.linkable:
            return await self.async_step_connect()
        return await self.async_step_link_method()

    async def async_step_restart(self, user_input: dict[str, Any] | None = None) -> Any:
        """Restart the session after a confirmation."""
        return await self._async_confirm("restart", Action.RESTART, user_input)

    async def async_step_connect(self, user_input: dict[str, Any] | None = None) -> Any:
        """Start the session of an instance that is not linked by a QR code."""
        return await self._async_confirm("connect", Action.CONNECT, user_input)

    async def _async_confirm(
        self, step_id: str, action: Action, user_input: dict[str, Any] | None
    ) -> Any:
        """Perform an action after a confirmation, then link the instance."""
        errors, message = {}, ""
        account = self.account
        if user_input is not None:
            try:
                await account.provider.perform(action, self._instance.id)
            except GatewayError as err:
                coordinator, key = account.coordinator, self._instance.id
                missing = isinstance(err, NotFound)
                if missing and await coordinator.async_is_gone(key):
                    return self.async_abort(reason="instance_gone")
                errors = {"base": "gateway_error"}
                message = await account.async_explain(err)
            else:
                if self._instance.linkable:
                    return await self.async_step_link_method()
                await self._async_refresh()
                return self.async_create_entry(data={})
        return self._show(
            step_id,
            {},
            errors=errors,
            name=escape_markdown(self._instance.name),
            message=message,
        )

    @override
    async def async_step_link_ended(
        self, user_input: dict[str, Any] | None = None
    ) -> Any:
        if self._pairing.phase is Phase.NEEDS_LOGOUT:
            return await self.async_step_unlink()
        return await super().async_step_link_ended(user_input)

    async def async_step_unlink(self, user_input: dict[str, Any] | None = None) -> Any:
        """Unlink the phone and link it again after a confirmation."""
        if user_input is not None:
            self._may_log_out = True
            return await self.async_step_link_phone()
        return self._show("unlink", {}, name=escape_markdown(self._instance.name))

    @override
    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> Any:
        reason = await self._async_end()
        if reason == "linked":
            return self.async_create_entry(data={})
        return self.async_abort(
            reason=reason,
            description_placeholders={"name": escape_markdown(self._instance.name)},
        )
