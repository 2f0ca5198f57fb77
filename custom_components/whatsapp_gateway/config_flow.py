"""Set up an account, and change its address or API key."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_IMPORT,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback

from .const import CONF_INSTANCE_ID, CONF_PROVIDER, DOMAIN
from .flows.account import AccountCheck
from .flows.forms import BOOLEAN, PASSWORD, TEXT, URL_TEXT, select_one
from .flows.link import LinkFlow
from .flows.options import GatewayOptionsFlow
from .flows.recipient import RecipientFlow
from .messages.recipients import SUBENTRY_RECIPIENT
from .providers import PROVIDERS
from .push.webhook_removal import async_move_webhook
from .texts import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .providers.base import Provider

CHANGEABLE = (CONF_URL, CONF_API_KEY, CONF_VERIFY_SSL)


class WhatsAppGatewayConfigFlow(LinkFlow, ConfigFlow, domain=DOMAIN):
    """Set up an account, then link a first instance."""

    VERSION = 1

    _provider_key: str

    @cached_property
    def _account(self) -> AccountCheck:
        return AccountCheck(self.hass)

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Offer recipients if the gateway sends messages."""
        provider = PROVIDERS[config_entry.data[CONF_PROVIDER]]
        return {SUBENTRY_RECIPIENT: RecipientFlow} if provider.has_messages else {}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> GatewayOptionsFlow:
        """Return the Configure menu."""
        return GatewayOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Choose the gateway."""
        if user_input is not None:
            self._provider_key = user_input[CONF_PROVIDER]
            return await self.async_step_account()
        gateways = {key: provider.name for key, provider in PROVIDERS.items()}
        return self._show("user", {vol.Required(CONF_PROVIDER): select_one(gateways)})

    async def async_step_account(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the address and the API key of a new account."""
        errors = {}
        provider = PROVIDERS[self._provider_key]
        if user_input is not None:
            values = {CONF_PROVIDER: self._provider_key, **user_input}
            errors = await self._account.async_check(values)
            if "key_bound" in errors.values():
                return await self.async_step_instance()
            if not errors:
                return await self._async_add_account()
        schema = _account_schema(provider, key_required=provider.key_required)
        values = user_input or {CONF_URL: provider.default_url}
        return self._show_account("account", schema, values, errors)

    async def async_step_instance(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the ID of the only instance that the API key gives access to."""
        errors = {}
        if user_input is not None:
            errors = await self._account.async_check(self._account.data | user_input)
            if not errors:
                return await self._async_add_account()
        schema = {vol.Required(CONF_INSTANCE_ID): TEXT}
        return self._show_account("instance", schema, user_input, errors)

    async def _async_add_account(self) -> ConfigFlowResult:
        """Add the account now, so that closing the dialog later doesn't lose it.

        The entry is created by a flow of its own, since this dialog goes on. (The
        `next_flow` of a created entry needs Home Assistant 2025.10.)
        """
        account = self._account
        if account.is_configured():
            return self.async_abort(reason="already_configured")
        account.async_choose_gateway()
        title, data, instances = account.title, account.data, account.instances
        if instances and not any(instance.needs_link for instance in instances):
            return self.async_create_entry(title=title, data=data)
        result = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_IMPORT}, data={**data, "title": title}
        )
        self.entry = result["result"]
        if self.entry.state is not ConfigEntryState.LOADED:
            # Home Assistant tries to set it up again
            return self.async_abort(reason="account_added")
        return await self.async_step_instances()

    async def async_step_import(self, data: dict[str, Any]) -> ConfigFlowResult:
        """Create the entry of an account whose API key works."""
        title = data.pop("title")
        return self.async_create_entry(title=title, data=data)

    async def async_step_instances(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer to link a first instance."""
        names = [
            instance.name
            for instance in self.account.coordinator.data.values()
            if instance.needs_link
        ]
        return self.async_show_menu(
            step_id="instances" if names else "no_instances",
            menu_options=[*self.link_options, "skip"],
            description_placeholders={"names": escape_markdown(", ".join(names))},
        )

    async_step_no_instances = async_step_instances

    async def async_step_skip(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """End the dialog; the account has been added already."""
        return self.async_abort(reason="account_added")

    async def async_step_reauth(
        self, _entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Start with an explanation, as a dialog may wait for hours."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter another API key of the same account."""
        schema: dict[vol.Marker, Any] = {vol.Required(CONF_API_KEY): PASSWORD}
        return await self._async_change(
            "reauth_confirm", schema, self._get_reauth_entry(), user_input
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change an account; without an API key it keeps the one that it has."""
        entry = self._get_reconfigure_entry()
        provider = PROVIDERS[entry.data[CONF_PROVIDER]]
        schema = _account_schema(provider, key_required=False)
        return await self._async_change("reconfigure", schema, entry, user_input)

    async def _async_change(
        self,
        step_id: str,
        schema: dict[vol.Marker, Any],
        entry: ConfigEntry,
        user_input: dict[str, Any] | None,
    ) -> ConfigFlowResult:
        """Change an account; it keeps its devices and entities."""
        self._provider_key = entry.data[CONF_PROVIDER]
        errors = {}
        if user_input is not None:
            # an empty field keeps the API key
            changes = {key: value for key, value in user_input.items() if value != ""}
            errors = await self._account.async_check_change(entry, changes)
            if not errors and self._account.is_configured(entry):
                return self.async_abort(reason="already_configured")
            if not errors:
                data = self._account.data
                changes = {key: data[key] for key in CHANGEABLE if key in data}
                await async_move_webhook(self.hass, entry, changes)
                return self.async_update_reload_and_abort(entry, data_updates=changes)
        values = user_input or {
            key: entry.data.get(key) for key in (CONF_URL, CONF_VERIFY_SSL)
        }
        name = escape_markdown(entry.title)
        return self._show_account(step_id, schema, values, errors, name=name)

    def _show_account(
        self,
        step_id: str,
        schema: dict[vol.Marker, Any],
        values: dict[str, Any] | None,
        errors: dict[str, str],
        **placeholders: str,
    ) -> ConfigFlowResult:
        """Show a form about the account."""
        fields = {str(key) for key in schema}
        provider = PROVIDERS[self._provider_key]
        return self._show(
            step_id,
            schema,
            values,
            {
                field if field in fields else "base": error
                for field, error in errors.items()
            },
            provider=provider.name,
            example=provider.example_url or provider.default_url or "",
            message=self._account.message,
            **placeholders,
        )

    @callback
    @override
    def async_remove(self) -> None:
        """Release the sessions."""
        super().async_remove()
        self._account.async_close()


def _account_schema(
    provider: type[Provider], *, key_required: bool
) -> dict[vol.Marker, Any]:
    """Return the fields of an account."""
    key = vol.Required if key_required else vol.Optional
    schema: dict[vol.Marker, Any] = {
        vol.Required(CONF_URL): URL_TEXT,
        key(CONF_API_KEY): PASSWORD,
    }
    if not provider.default_url:
        schema[vol.Required(CONF_VERIFY_SSL, default=True)] = BOOLEAN
    return schema
