"""Link an instance in any Home Assistant dialog, by a QR code or a pairing code."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import CONF_NAME, CONF_TYPE

from ..messages.phone_number import example_of, parse_phone_number
from ..pairing.engine import Phase
from ..providers.models import Feature, GatewayError
from ..texts import async_explain, escape_markdown
from .forms import PHONE_NUMBER, TEXT, select_one
from .progress import LinkProgress

CONF_INSTANCE = "instance"
CONF_PHONE_NUMBER = "phone_number"


class LinkFlow(LinkProgress):
    """The steps from an account to a linked instance."""

    @property
    def _link_methods(self) -> list[str]:
        """Return the steps that link an instance, of which one has to be chosen."""
        return ["scan", *["phone"] * self._provider_class.has_pairing_codes]

    @property
    def link_options(self) -> list[str]:
        """Return the menu options that are possible now."""
        account = self.account
        instances = account.coordinator.data.values()
        waiting = any(instance.needs_link for instance in instances)
        create = Feature.CREATE in account.provider.features
        return ["link"] * waiting + ["create"] * create

    async def async_step_link(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose the instance to link, if there is a choice."""
        waiting = {
            instance.id: instance
            for instance in self.account.coordinator.data.values()
            if instance.needs_link
        }
        if not waiting:
            return self.async_abort(reason="nothing_to_do")
        if user_input is None and len(waiting) > 1:
            names = [instance.name for instance in waiting.values()]
            options = {
                key: instance.name
                if names.count(instance.name) == 1
                else f"{instance.name} ({key})"
                for key, instance in waiting.items()
            }
            schema = {vol.Required(CONF_INSTANCE): select_one(options)}
            return self._show("link", schema)
        chosen = user_input[CONF_INSTANCE] if user_input else next(iter(waiting))
        if chosen not in waiting:
            if (known := self.account.coordinator.data.get(chosen)) is None:
                reason = await self.account.async_reason_missing(chosen)
                return self.async_abort(reason=reason)
            return self.async_abort(
                reason="linked",
                description_placeholders={"name": escape_markdown(known.name)},
            )
        self._instance = waiting[chosen]
        return await self.async_step_link_method()

    async def async_step_create(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Create an instance, then link it."""
        account = self.account
        provider = account.provider
        errors: dict[str, str] = {}
        message = ""
        name = user_input[CONF_NAME].strip() if user_input else ""
        if user_input is not None and not name:
            errors = {CONF_NAME: "name_required"}
        elif user_input is not None and not provider.accepts_name(name):
            errors = {CONF_NAME: "invalid_name"}
        elif user_input is not None:
            try:
                self._instance = await provider.create(
                    name, instance_type=user_input.get(CONF_TYPE)
                )
            except GatewayError as err:
                errors = {"base": "gateway_error"}
                message = await account.async_explain(err)
            else:
                if self._instance.linkable:
                    return await self.async_step_link_method()
                return await self.async_step_finish()
        schema: dict[vol.Marker, Any] = {vol.Required(CONF_NAME): TEXT}
        if len(types := provider.instance_types) > 1:
            default = next(iter(types))
            schema[vol.Required(CONF_TYPE, default=default)] = select_one(types)
        return self._show(
            "create",
            schema,
            user_input,
            errors,
            provider=provider.name,
            message=message,
            max_length=str(provider.max_name_length),
        )

    async def async_step_link_method(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose how to link the instance, if there is a choice."""
        if self._link_methods == ["scan"]:
            return await self.async_step_scan()
        return self.async_show_menu(
            step_id="link_method",
            menu_options=self._link_methods,
            description_placeholders={"name": escape_markdown(self._instance.name)},
        )

    async def async_step_scan(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Link the instance by a QR code."""
        self._phone_number = None
        return await self.async_step_link_phone()

    async def async_step_phone(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the number of the phone to link by a pairing code."""
        errors = {}
        known = f"+{self._phone_number}" if self._phone_number else ""
        values = user_input or {CONF_PHONE_NUMBER: known}
        if user_input is not None:
            self._phone_number = parse_phone_number(
                user_input[CONF_PHONE_NUMBER], self.hass.config.country
            )
            if self._phone_number:
                return await self.async_step_link_phone()
            errors = {CONF_PHONE_NUMBER: "invalid_phone_number"}
        schema: dict[vol.Marker, Any] = {vol.Required(CONF_PHONE_NUMBER): PHONE_NUMBER}
        return self._show(
            "phone",
            schema,
            values,
            errors,
            name=escape_markdown(self._instance.name),
            example=example_of(self.hass.config.country),
        )

    async def async_step_link_ended(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say why the instance was not linked, and offer to try again."""
        self._async_stop_repeating()
        phase = self._pairing.phase
        if phase in {Phase.GONE, Phase.ACCOUNT_GONE}:
            await self._async_refresh()
            return self.async_abort(reason=phase)
        return self.async_show_menu(
            step_id="link_ended",
            menu_options=[*self._link_methods, "finish"],
            description_placeholders={
                "name": escape_markdown(self._instance.name),
                "reason": await async_explain(
                    self.hass, phase, message=escape_markdown(self._pairing.message)
                ),
            },
        )

    async def async_step_finish(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End the dialog and say whether the instance is linked."""
        reason = await self._async_end()
        if reason != "instance_gone" and not self._instance.linkable:
            reason = "created"
        elif reason == "not_linked" and self.entry.state is ConfigEntryState.LOADED:
            self.account.async_expect_disconnected(self._instance.id)
        return self.async_abort(
            reason=reason,
            description_placeholders={"name": escape_markdown(self._instance.name)},
        )

    async def _async_end(self) -> str:
        """Refresh the account, and return the reason with which the dialog ends.

        Another dialog may have linked or deleted the instance meanwhile.
        """
        self._async_stop_repeating()
        linked = self._pairing.phase is Phase.LINKED
        if self.entry.state is ConfigEntryState.LOADED:
            # the account may be reloaded or removed meanwhile
            coordinator = self.account.coordinator
            if await coordinator.async_is_gone(self._instance.id):
                return "instance_gone"
            linked = linked or coordinator.is_connected(self._instance.id)
        return "linked" if linked else "not_linked"

    async def _async_refresh(self) -> None:
        """Show in Home Assistant what has been done."""
        if self.entry.state is ConfigEntryState.LOADED:
            await self.entry.runtime_data.coordinator.async_refresh()

    def _show(
        self,
        step_id: str,
        schema: dict[vol.Marker, Any],
        values: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form, filled in with what the user entered before."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(schema), values or {}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )
