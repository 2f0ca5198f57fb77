"""Set up an account: its gateway, its address and key, and a first linked number."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, override

import voluptuous as vol
from yarl import URL

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.data_entry_flow import AbortFlow, UnknownFlow
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util.network import is_local

from .const import CONF_GATEWAY, CONF_PROVIDER, DOMAIN, ERROR_KEYS
from .pairing_flow import PairingFlow
from .providers import PROVIDERS
from .providers.models import GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_SUFFIXES = (".local", ".localhost", ".lan", ".internal", ".home.arpa")

SCHEMA: dict[vol.Marker, Any] = {
    vol.Required(CONF_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
    vol.Required(CONF_API_KEY): TextSelector(
        TextSelectorConfig(type=TextSelectorType.PASSWORD)
    ),
}
ERROR_FIELDS = {
    "invalid_auth": CONF_API_KEY,
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
        selector = SelectSelector(
            SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
        )
        return self._show("user", {vol.Required(CONF_PROVIDER): selector})

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the address and the key of the account."""
        errors = {}
        if user_input is not None:
            errors = await self._async_check(user_input)
            if not errors:
                self._abort_if_configured()
                return await self.async_step_instances()
        provider = PROVIDERS[self._provider_key]
        values = user_input or {CONF_URL: provider.default_url}
        return self._show(
            "credentials",
            SCHEMA,
            values,
            errors,
            provider=provider.name,
            message=self._message,
        )

    async def async_step_instances(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer what can be done with the instances there are."""
        if not self.instances:
            return await self.async_step_create()
        waiting = [one.name for one in self.instances if one.awaits_link]
        if not waiting:
            return await self.async_step_finish()
        return self.async_show_menu(
            step_id="instances",
            menu_options=["link", "create", "finish"],
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
        entry = self._get_reauth_entry()
        self._provider_key = entry.data[CONF_PROVIDER]
        errors = {}
        if user_input is not None:
            errors = await self._async_check(
                {CONF_URL: entry.data[CONF_URL]} | user_input
            )
            if not errors:
                return self.async_update_reload_and_abort(
                    entry, data_updates={CONF_API_KEY: self._data[CONF_API_KEY]}
                )
        return self._show(
            "reauth_confirm",
            {key: value for key, value in SCHEMA.items() if key == CONF_API_KEY},
            None,
            errors,
            name=entry.title,
            message=self._message,
        )

    async def _async_check(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Ask the gateway for the list; return what is wrong, by field."""
        url, error = _address(user_input[CONF_URL])
        key = user_input[CONF_API_KEY].strip()
        if not error and not (key.isascii() and key.isprintable()):
            error = "invalid_auth"
        if not error:
            session = async_get_clientsession(self.hass)
            self.provider = PROVIDERS[self._provider_key](session, str(url), key)
            try:
                self.instances = await self.provider.instances()
            except GatewayError as err:
                error, self._message = ERROR_KEYS[type(err)], str(err)
        if error:
            return {ERROR_FIELDS.get(error, CONF_URL): error}
        self._data = {
            CONF_PROVIDER: self._provider_key,
            CONF_GATEWAY: f"{url.authority}{url.path}".rstrip("/"),
            CONF_URL: str(url),
            CONF_API_KEY: key,
        }
        return {}

    def _abort_if_configured(self) -> None:
        """Abort if an entry has this account already, maybe by another key."""
        same = {key: self._data[key] for key in (CONF_PROVIDER, CONF_URL)}
        self._async_abort_entries_match(same | {CONF_API_KEY: self._data[CONF_API_KEY]})
        registry = dr.async_get(self.hass)
        for entry in self._async_current_entries():
            if not same.items() <= entry.data.items():
                continue
            known = {
                identifier
                for device in dr.async_entries_for_config_entry(
                    registry, entry.entry_id
                )
                for identifier in device.identifiers
            }
            if any(
                (DOMAIN, f"{entry.data[CONF_GATEWAY]}_{one.id}") in known
                for one in self.instances
            ):
                raise AbortFlow("already_configured")


def _address(text: str) -> tuple[URL, str]:
    """Return an address as it is stored, and the key of what is wrong with it."""
    try:
        url = URL(text.strip()).with_query(None).with_fragment(None)
    except ValueError:
        return URL(), "invalid_url"
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.password:
        return url, "invalid_url"
    if url.scheme == "http" and not _is_local_host(url.host):
        return url, "insecure_url"
    return URL(str(url).rstrip("/")), ""


def _is_local_host(host: str) -> bool:
    """Tell whether a host is surely not on the internet."""
    try:
        return is_local(ip_address(host))
    except ValueError:
        return "." not in host or host.endswith(LOCAL_SUFFIXES)
