"""Set up an account, and change its address or API key."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, override

import voluptuous as vol
from yarl import URL

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
from homeassistant.data_entry_flow import AbortFlow

from .addresses import async_parse_address
from .client import (
    create_provider,
    create_session,
    has_account,
    has_same_client,
    is_other_account,
    known_instance_ids,
    unique_gateway,
)
from .const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
    ERROR_KEYS,
)
from .coordinator import SECOND_LOOK
from .flows.forms import BOOLEAN, PASSWORD, TEXT, URL_TEXT, select_one
from .flows.link import PairingFlow
from .flows.options import GatewayOptionsFlow
from .flows.recipient import RecipientFlow
from .messages.recipients import SUBENTRY_RECIPIENT
from .providers import PROVIDERS
from .providers.models import (
    Feature,
    GatewayError,
    RateLimited,
    Unreachable,
    UnsupportedServer,
)
from .push.webhook import async_move_webhook
from .texts import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from .providers.base import Provider
    from .providers.models import Instance

ERROR_FIELDS = {
    "invalid_auth": CONF_API_KEY,
    "key_bound": CONF_API_KEY,
    "rejected": CONF_API_KEY,
    "rate_limited": "base",
    "too_many_instances": "base",
    "not_activated": "base",
}
"""The field of each error; the address for all others."""
CHANGEABLE = (CONF_URL, CONF_API_KEY, CONF_VERIFY_SSL)


class WhatsAppGatewayConfigFlow(PairingFlow, ConfigFlow, domain=DOMAIN):
    """Set up an account, then link a first instance."""

    VERSION = 1

    _provider_key: str
    _entry_url: str | None = None
    _data: dict[str, Any]
    _provider: Provider | None = None
    _client_data: Mapping[str, Any] = MappingProxyType({})
    _instances: list[Instance]
    _message = ""

    def __init__(self) -> None:
        """Have no session yet."""
        self._sessions: dict[bool, ClientSession] = {}

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Offer recipients if the gateway sends messages."""
        provider = PROVIDERS[config_entry.data[CONF_PROVIDER]]
        sends = Feature.MESSAGES in provider.all_features
        return {SUBENTRY_RECIPIENT: RecipientFlow} if sends else {}

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
            if PROVIDERS[self._provider_key].default_url:
                return await self.async_step_credentials()
            return await self.async_step_server()
        gateways = {key: provider.name for key, provider in PROVIDERS.items()}
        return self._show("user", {vol.Required(CONF_PROVIDER): select_one(gateways)})

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the address and the API key of an account at a hosted gateway."""
        return await self._async_enter_account("credentials", user_input)

    async def async_step_server(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the address and the API key of a gateway that people run at home."""
        return await self._async_enter_account("server", user_input)

    async def _async_enter_account(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Enter what a new account consists of."""
        errors = {}
        provider = PROVIDERS[self._provider_key]
        if user_input is not None:
            errors = await self._async_check(user_input)
            if "key_bound" in errors.values():
                return await self.async_step_instance()
            if not errors:
                return await self._async_add_account()
        schema = _account_schema(provider, key_required=provider.key_required)
        values = user_input or {CONF_URL: provider.default_url}
        return self._show_account(step_id, schema, values, errors)

    async def async_step_instance(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter the ID of the only instance that the API key gives access to."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check(self._data | user_input)
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
        title = self._title()
        entries = self._async_current_entries()
        self._data[CONF_GATEWAY] = unique_gateway(entries, self._data)
        if self._instances and not any(
            instance.needs_link for instance in self._instances
        ):
            return self.async_create_entry(title=title, data=self._data)
        result = await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": SOURCE_IMPORT},
            data={**self._data, "title": title},
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
            for instance in self.coordinator.data.values()
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
        """Enter another address or API key of the same account."""
        return await self._async_reconfigure(user_input)

    async def async_step_reconfigure_server(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Enter another address or API key of a gateway that people run at home."""
        return await self._async_reconfigure(user_input)

    async def _async_reconfigure(
        self, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Change an account; without an API key it keeps the one that it has."""
        entry = self._get_reconfigure_entry()
        provider = PROVIDERS[entry.data[CONF_PROVIDER]]
        return await self._async_change(
            "reconfigure" if provider.default_url else "reconfigure_server",
            _account_schema(provider, key_required=False),
            entry,
            user_input,
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
        self._entry_url = entry.data[CONF_URL]
        errors = {}
        if user_input is not None:
            # an empty field keeps the API key
            changes = {key: value for key, value in user_input.items() if value != ""}
            errors = await self._async_check(entry.data | changes)
            empty = not errors and not self._instances
            if empty and known_instance_ids(self.hass, entry):
                # one list may be wrong, and an empty one doesn't tell whose it is
                await asyncio.sleep(SECOND_LOOK)
                errors = await self._async_check(entry.data | changes)
            if not errors and is_other_account(
                self.hass, entry, self._data, self._instances
            ):
                errors = {CONF_API_KEY: "wrong_account"}
            if not errors:
                self._abort_if_configured(entry)
                changes = {
                    key: self._data[key] for key in CHANGEABLE if key in self._data
                }
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
            message=self._message,
            **placeholders,
        )

    async def _async_check(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Ask the gateway for the instances; return what is wrong, by field."""
        url, error = await self._async_parse_address(values[CONF_URL])
        if error:
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        self._data = {
            CONF_PROVIDER: self._provider_key,
            CONF_GATEWAY: f"{url.authority}{url.path}".rstrip("/"),
            CONF_URL: str(url),
            CONF_API_KEY: values.get(CONF_API_KEY, "").strip(),
        }
        if CONF_VERIFY_SSL in values:
            self._data[CONF_VERIFY_SSL] = values[CONF_VERIFY_SSL]
        if instance_id := values.get(CONF_INSTANCE_ID, "").strip():
            self._data[CONF_INSTANCE_ID] = instance_id
        if error := await self._async_ask():
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        if instance_id and not self._instances:
            return {CONF_INSTANCE_ID: "no_such_instance"}
        account_ids = {instance.account_id for instance in self._instances} - {None}
        if account_ids:
            self._data[CONF_ACCOUNT_ID] = account_ids.pop()
        return {}

    async def _async_parse_address(self, text: str) -> tuple[URL, str | None]:
        """Return an address, and the key of an error if it is invalid."""
        if self._entry_url == text:
            # it has been accepted before, and its host may not be found just now
            return URL(text), None
        return await async_parse_address(text, PROVIDERS[self._provider_key])

    async def _async_ask(self) -> str | None:
        """Ask the gateway for the instances; return the key of an error."""
        provider = self._provider = self._async_provider()
        self._client_data = self._data
        try:
            self._instances = await provider.instances()
            self._raise_if_closed()
            await self._async_check_version(provider)
        except GatewayError as err:
            self._raise_if_closed()
            answered = not isinstance(err, Unreachable) or err.status is not None
            clear = isinstance(err, (RateLimited, UnsupportedServer))
            if answered and not clear and (other := await self._async_recognize()):
                self._message = other
                return "other_gateway"
            self._message = str(err)
            return ERROR_KEYS[type(err)]
        return None

    async def _async_check_version(self, provider: Provider) -> None:
        """Raise `UnsupportedServer` for a version that is known not to work."""
        try:
            await provider.server_version()
        except UnsupportedServer:
            raise
        except GatewayError:
            # it is only shown
            return

    async def _async_recognize(self) -> str | None:
        """Return the name of another gateway that answers at the address."""
        session = self._async_session()
        for key, provider in PROVIDERS.items():
            if key != self._provider_key and await provider.recognizes(
                session, self._data[CONF_URL]
            ):
                return provider.name
        return None

    @callback
    def _async_provider(self) -> Provider:
        """Return a client; an existing one is reused, so that its pauses apply."""
        known = [(self._client_data, self._provider)]
        known += [
            (entry.data, entry.runtime_data.provider)
            for entry in self.hass.config_entries.async_loaded_entries(DOMAIN)
        ]
        for data, provider in known:
            if provider and has_same_client(data, self._data) and not provider.closed:
                return provider
        return create_provider(self._async_session(), self._data)

    @callback
    def _async_session(self) -> ClientSession:
        """Return a session that verifies certificates as the account does."""
        verify_ssl = self._data.get(CONF_VERIFY_SSL, True)
        if verify_ssl not in self._sessions:
            self._sessions[verify_ssl] = create_session(
                self.hass, self._data, auto_cleanup=False
            )
        return self._sessions[verify_ssl]

    @callback
    @override
    def async_remove(self) -> None:
        """Release the sessions."""
        super().async_remove()
        for session in self._sessions.values():
            session.detach()

    def _title(self) -> str:
        """Return a title that tells this account from the others."""
        provider = PROVIDERS[self._provider_key]
        title = provider.name
        if self._data[CONF_URL] != provider.default_url:
            title = f"{title} ({self._data[CONF_GATEWAY]})"
        taken = {entry.title for entry in self._async_current_entries()}
        numbered = (f"{title} {number}" for number in range(2, len(taken) + 3))
        return next(text for text in (title, *numbered) if text not in taken)

    def _abort_if_configured(self, own: ConfigEntry | None = None) -> None:
        """Abort if another entry is this account already, maybe by another API key."""
        if any(
            has_account(self.hass, entry, self._data, self._instances)
            for entry in self._async_current_entries()
            if entry is not own
        ):
            raise AbortFlow("already_configured")


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
