"""Set up an account: its gateway, its address and key, and a first linked number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

import voluptuous as vol

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow, UnknownFlow
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import SelectOptionDict

from .account import has_account, is_other_account
from .address import parse_address
from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
    ERROR_KEYS,
)
from .forms import PASSWORD, TEXT, URL, select_one
from .options_flow import GatewayOptionsFlow
from .pairing_flow import PairingFlow
from .providers import PROVIDERS
from .providers.models import GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: dict[vol.Marker, Any] = {
    vol.Required(CONF_URL): URL,
    vol.Required(CONF_API_KEY): PASSWORD,
}
ERROR_FIELDS = {
    "invalid_auth": CONF_API_KEY,
    "key_bound": CONF_API_KEY,
    "rejected": CONF_API_KEY,
    "rate_limited": "base",
}
"""The field beside which an error stands; the address for all others."""


class WhatsAppGatewayConfigFlow(PairingFlow, ConfigFlow, domain=DOMAIN):
    """Set up an account."""

    VERSION = 1

    _provider_key: str
    _data: dict[str, Any]
    _message = ""
    _finished = False

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
        """Choose the provider."""
        if user_input is not None:
            self._provider_key = user_input[CONF_PROVIDER]
            return await self.async_step_credentials()
        options = [
            SelectOptionDict(value=key, label=provider.name)
            for key, provider in PROVIDERS.items()
        ]
        schema: dict[vol.Marker, Any] = {
            vol.Required(CONF_PROVIDER): select_one(options)
        }
        return self._show("user", schema)

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the address and the key of the account."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check(user_input)
            if "key_bound" in errors.values():
                return await self.async_step_instance()
            if not errors:
                self._abort_if_configured()
                return await self.async_step_instances()
        values = {CONF_URL: PROVIDERS[self._provider_key].default_url}
        return self._show_account("credentials", SCHEMA, user_input or values, errors)

    async def async_step_instance(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the id of the one instance that the key is bound to."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check({**self._data, **user_input})
            if not errors:
                self._abort_if_configured()
                return await self.async_step_instances()
        schema = {vol.Required(CONF_INSTANCE_ID): TEXT}
        return self._show_account("instance", schema, user_input, errors)

    async def async_step_instances(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer what can be done with the instances there are."""
        if not self.instances:
            return await self.async_step_create()
        waiting = [one.name for one in self.instances if one.awaits_link]
        if not waiting:
            return await self.async_step_finish()
        create = [] if self.provider.instance_id else ["create"]
        return self.async_show_menu(
            step_id="instances",
            menu_options=["link", *create, "finish"],
            description_placeholders={"names": ", ".join(waiting)},
        )

    @override
    async def async_step_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        if self._finished:
            # a second look while the entry of the first one is still being set up
            raise UnknownFlow
        self._finished = True
        self._abort_if_configured()
        return self.async_create_entry(title=self.provider.name, data=self._data)

    async def async_step_reauth(
        self, _entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Begin with an explanation: a dialog may wait for hours."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take another key of the same account."""
        schema = {
            key: selector for key, selector in SCHEMA.items() if key == CONF_API_KEY
        }
        return await self._async_change(
            "reauth_confirm", schema, self._get_reauth_entry(), user_input
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take another address or key of the same account."""
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
        """Change an account that is set up; it keeps its devices."""
        self._provider_key = entry.data[CONF_PROVIDER]
        errors = {}
        if user_input is not None:
            errors = await self._async_check({**entry.data, **user_input})
            if not errors and is_other_account(
                self.hass, entry, self._data, self.instances
            ):
                errors = {CONF_API_KEY: "wrong_account"}
            if not errors:
                self._abort_if_configured(entry)
                changes = {key: self._data[key] for key in (CONF_URL, CONF_API_KEY)}
                return self.async_update_reload_and_abort(entry, data_updates=changes)
        values = user_input or {CONF_URL: entry.data[CONF_URL]}
        return self._show_account(step_id, schema, values, errors, name=entry.title)

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
        key = values[CONF_API_KEY].strip()
        instance_id = values.get(CONF_INSTANCE_ID, "").strip() or None
        if not error and not (key.isascii() and key.isprintable()):
            error = "invalid_auth"
        if error:
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        self._data = {
            CONF_PROVIDER: self._provider_key,
            CONF_GATEWAY: f"{url.authority}{url.path}".rstrip("/"),
            CONF_URL: str(url),
            CONF_API_KEY: key,
        }
        if instance_id:
            self._data[CONF_INSTANCE_ID] = instance_id
        session = async_get_clientsession(self.hass)
        self.provider = PROVIDERS[self._provider_key](
            session, str(url), key, instance_id
        )
        try:
            self.instances = await self.provider.instances()
        except GatewayError as err:
            error, self._message = ERROR_KEYS[type(err)], str(err)
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        if instance_id and not self.instances:
            return {CONF_INSTANCE_ID: "no_such_instance"}
        if account_ids := {one.account_id for one in self.instances} - {None}:
            self._data[CONF_ACCOUNT_ID] = account_ids.pop()
        return {}

    def _abort_if_configured(self, own: ConfigEntry | None = None) -> None:
        """Abort if another entry has this account already, maybe by another key."""
        if any(
            has_account(self.hass, entry, self._data, self.instances)
            for entry in self._async_current_entries()
            if entry is not own
        ):
            raise AbortFlow("already_configured")
