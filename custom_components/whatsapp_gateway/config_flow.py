"""Set up an account, and change its address or API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_IMPORT,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow

from .account import create_provider, create_session, has_account, is_other_account
from .address import parse_address
from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
    ERROR_KEYS,
)
from .forms import PASSWORD, TEXT, URL_TEXT, select_one
from .options_flow import GatewayOptionsFlow
from .pairing_flow import PairingFlow
from .providers import PROVIDERS
from .providers.models import GatewayError
from .texts import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from .providers.base import Provider
    from .providers.models import Instance

SCHEMA: dict[vol.Marker, Any] = {
    vol.Required(CONF_URL): URL_TEXT,
    vol.Required(CONF_API_KEY): PASSWORD,
}
ERROR_FIELDS = {
    "invalid_auth": CONF_API_KEY,
    "key_bound": CONF_API_KEY,
    "rejected": CONF_API_KEY,
    "rate_limited": "base",
    "too_many_instances": "base",
}
"""The field of each error; the address for all others."""


class WhatsAppGatewayConfigFlow(PairingFlow, ConfigFlow, domain=DOMAIN):
    """Set up an account, then link a first instance."""

    VERSION = 1

    _provider_key: str
    _data: dict[str, Any]
    _provider: Provider | None = None
    _session: ClientSession | None = None
    _instances: list[Instance]
    _message = ""

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
            return await self.async_step_credentials()
        gateways = {key: provider.name for key, provider in PROVIDERS.items()}
        return self._show("user", {vol.Required(CONF_PROVIDER): select_one(gateways)})

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the address and the API key of the account."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check(user_input)
            if "key_bound" in errors.values():
                return await self.async_step_instance()
            if not errors:
                return await self._async_add_account()
        values = {CONF_URL: PROVIDERS[self._provider_key].default_url}
        return self._show_account("credentials", SCHEMA, user_input or values, errors)

    async def async_step_instance(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the ID of the only instance that the API key gives access to."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check({**self._data, **user_input})
            if not errors:
                return await self._async_add_account()
        schema = {vol.Required(CONF_INSTANCE_ID): TEXT}
        return self._show_account("instance", schema, user_input, errors)

    async def _async_add_account(self) -> ConfigFlowResult:
        """Add the account now, so that closing the dialog later doesn't lose it.

        The entry is created by a flow of its own, since this dialog goes on. (The
        `next_flow` of a created entry needs Home Assistant 2025.10.)
        """
        self._abort_if_configured()
        if self._instances and not any(one.needs_link for one in self._instances):
            return self.async_create_entry(title=self._title(), data=self._data)
        result = await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": SOURCE_IMPORT},
            data={**self._data, "title": self._title()},
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
        names = [one.name for one in self.coordinator.data.values() if one.needs_link]
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
        """Enter another address or API key of the same account."""
        return await self._async_change(
            "reconfigure", SCHEMA, self._get_reconfigure_entry(), user_input
        )

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
            errors = await self._async_check({**entry.data, **user_input})
            if not errors and is_other_account(
                self.hass, entry, self._data, self._instances
            ):
                errors = {CONF_API_KEY: "wrong_account"}
            if not errors:
                self._abort_if_configured(entry)
                changes = {key: self._data[key] for key in (CONF_URL, CONF_API_KEY)}
                return self.async_update_reload_and_abort(entry, data_updates=changes)
        values = user_input or {CONF_URL: entry.data[CONF_URL]}
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
        return self._show(
            step_id,
            schema,
            values,
            {
                field if field in fields else "base": error
                for field, error in errors.items()
            },
            provider=PROVIDERS[self._provider_key].name,
            message=self._message,
            **placeholders,
        )

    async def _async_check(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Ask the gateway for the instances; return what is wrong, by field."""
        url, error = parse_address(values[CONF_URL])
        if error:
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        self._data = {
            CONF_PROVIDER: self._provider_key,
            CONF_GATEWAY: f"{url.authority}{url.path}".rstrip("/"),
            CONF_URL: str(url),
            CONF_API_KEY: values[CONF_API_KEY].strip(),
        }
        if instance_id := values.get(CONF_INSTANCE_ID, "").strip():
            self._data[CONF_INSTANCE_ID] = instance_id
        self._provider = self._async_provider()
        try:
            self._instances = await self._provider.instances()
            self._raise_if_closed()
        except GatewayError as err:
            error, self._message = ERROR_KEYS[type(err)], str(err)
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        if instance_id and not self._instances:
            return {CONF_INSTANCE_ID: "no_such_instance"}
        if account_ids := {one.account_id for one in self._instances} - {None}:
            self._data[CONF_ACCOUNT_ID] = account_ids.pop()
        return {}

    @callback
    def _async_provider(self) -> Provider:
        """Return a client; an existing one is reused, so that its pauses apply."""
        if self._session is None:
            self._session = create_session(self.hass, auto_cleanup=False)
        new = create_provider(self._session, self._data)
        loaded = self.hass.config_entries.async_loaded_entries(DOMAIN)
        known = [entry.runtime_data.provider for entry in loaded]
        provider: Provider | None
        for provider in (self._provider, *known):
            if provider and provider.is_same(new) and not provider.closed:
                return provider
        return new

    @callback
    @override
    def async_remove(self) -> None:
        """Release the session."""
        super().async_remove()
        if self._session:
            self._session.detach()

    def _title(self) -> str:
        """Return a title that tells this account from the others."""
        provider = PROVIDERS[self._provider_key]
        title = provider.name
        if self._data[CONF_URL] != provider.default_url:
            title = f"{title} ({self._data[CONF_GATEWAY]})"
        taken = {entry.title for entry in self._async_current_entries()}
        numbered = (f"{title} {number}" for number in range(2, len(taken) + 3))
        return next(one for one in (title, *numbered) if one not in taken)

    def _abort_if_configured(self, own: ConfigEntry | None = None) -> None:
        """Abort if another entry is this account already, maybe by another API key."""
        if any(
            has_account(self.hass, entry, self._data, self._instances)
            for entry in self._async_current_entries()
            if entry is not own
        ):
            raise AbortFlow("already_configured")
