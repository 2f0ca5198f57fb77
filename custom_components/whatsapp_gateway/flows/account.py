"""Check the address and API key of an account before they are stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from yarl import URL

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow

from ..addresses import async_parse_address
from ..client import create_provider, create_session
from ..const import (
    CONF_ACCOUNT_ID,
    CONF_GATEWAY,
    CONF_INSTANCE_ID,
    CONF_PROVIDER,
    DOMAIN,
    ERROR_KEYS,
)
from ..coordinator import SECOND_LOOK_SECONDS
from ..devices import known_instance_ids
from ..providers import PROVIDERS
from ..providers.models import (
    GatewayError,
    RateLimited,
    Unreachable,
    UnsupportedServer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from ..providers.base import Provider
    from ..providers.models import Instance

ERROR_FIELDS = {
    "invalid_auth": CONF_API_KEY,
    "key_bound": CONF_API_KEY,
    "rejected": CONF_API_KEY,
    "no_such_instance": CONF_INSTANCE_ID,
    "rate_limited": "base",
    "too_many_instances": "base",
    "not_activated": "base",
}
"""The field of each error; the address for all others."""
CLIENT_DEFAULTS = {
    CONF_PROVIDER: None,
    CONF_URL: None,
    CONF_API_KEY: None,
    CONF_VERIFY_SSL: True,
    CONF_INSTANCE_ID: None,
}
"""What the client of an account is made of, with the values of absent keys."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AccountCheck:
    """Checks what somebody enters about an account, and keeps what was found."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Create a check for one dialog, which has to close it."""
        self.data: dict[str, Any] = {}
        """What was entered, in the form in which it is stored."""
        self.instances: list[Instance] = []
        self.message = ""
        """The gateway's words about the error, or the name of another gateway."""
        self._hass = hass
        self._provider: Provider | None = None
        self._provider_data: Mapping[str, Any] = {}
        self._sessions: dict[bool, ClientSession] = {}
        self._closed = False

    async def async_check(
        self, values: Mapping[str, Any], accepted_url: str | None = None
    ) -> dict[str, str]:
        """Ask the gateway for the instances; return what is wrong, by field.

        `accepted_url` is an address that needs no check: its host may not be found now.
        """
        error = await self._async_read(values, accepted_url) or await self._async_ask()
        self._raise_if_closed()
        return {ERROR_FIELDS.get(error, CONF_URL): error} if error else {}

    async def async_check_change(
        self, entry: ConfigEntry, changes: Mapping[str, Any]
    ) -> dict[str, str]:
        """Check another address or API key of an account."""
        values, accepted_url = entry.data | changes, entry.data[CONF_URL]
        errors = await self.async_check(values, accepted_url)
        known = known_instance_ids(self._hass, entry)
        if known and not errors and not self.instances:
            # one list may be wrong, and an empty one doesn't tell whose it is
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            errors = await self.async_check(values, accepted_url)
        if not errors and self._is_other_account(entry, known):
            errors = {CONF_API_KEY: "wrong_account"}
        return errors

    async def _async_read(
        self, values: Mapping[str, Any], accepted_url: str | None
    ) -> str | None:
        """Read what was entered; return the key of an error."""
        error: str | None = None
        if (address := values[CONF_URL]) == accepted_url:
            url = URL(address)
        else:
            provider = PROVIDERS[values[CONF_PROVIDER]]
            url, error = await async_parse_address(address, provider)
        self.data = {
            CONF_PROVIDER: values[CONF_PROVIDER],
            CONF_GATEWAY: f"{url.authority}{url.path}".rstrip("/"),
            CONF_URL: str(url),
            CONF_API_KEY: values.get(CONF_API_KEY, "").strip(),
        }
        if CONF_VERIFY_SSL in values:
            self.data[CONF_VERIFY_SSL] = values[CONF_VERIFY_SSL]
        if instance_id := values.get(CONF_INSTANCE_ID, "").strip():
            self.data[CONF_INSTANCE_ID] = instance_id
        return error

    async def _async_ask(self) -> str | None:
        """Ask the gateway for the instances; return the key of an error."""
        provider = self._provider = self._async_provider()
        self._provider_data = self.data
        try:
            self.instances = await provider.instances()
            await _async_check_version(provider)
        except GatewayError as err:
            self._raise_if_closed()
            answered = not isinstance(err, Unreachable) or err.status is not None
            clear = isinstance(err, (RateLimited, UnsupportedServer))
            if answered and not clear and (other := await self._async_recognize()):
                self.message = other
                return "other_gateway"
            self.message = str(err)
            return ERROR_KEYS[type(err)]
        if CONF_INSTANCE_ID in self.data and not self.instances:
            return "no_such_instance"
        for instance in self.instances:
            if instance.account_id:
                self.data[CONF_ACCOUNT_ID] = instance.account_id
        return None

    async def _async_recognize(self) -> str | None:
        """Return the name of another gateway that answers at the address."""
        session = self._async_session()
        for key, provider in PROVIDERS.items():
            if key != self.data[CONF_PROVIDER] and await provider.recognizes(
                session, self.data[CONF_URL]
            ):
                return provider.name
        return None

    @callback
    def _async_provider(self) -> Provider:
        """Return a client; an existing one is reused, so that its pauses apply."""
        known = [(self._provider_data, self._provider)]
        known += [
            (entry.data, entry.runtime_data.provider)
            for entry in self._hass.config_entries.async_loaded_entries(DOMAIN)
        ]
        for data, provider in known:
            if provider and _has_same_client(data, self.data) and not provider.closed:
                return provider
        return create_provider(self._async_session(), self.data)

    @callback
    def _async_session(self) -> ClientSession:
        """Return a session that verifies certificates as the account does."""
        verify_ssl = self.data.get(CONF_VERIFY_SSL, True)
        if verify_ssl not in self._sessions:
            self._sessions[verify_ssl] = create_session(
                self._hass, self.data, auto_cleanup=False
            )
        return self._sessions[verify_ssl]

    @callback
    def async_close(self) -> None:
        """Release the sessions."""
        self._closed = True
        for session in self._sessions.values():
            session.detach()

    def _raise_if_closed(self) -> None:
        """Abort a step during which the dialog was closed."""
        if self._closed:
            raise AbortFlow("account_unavailable")

    @property
    def title(self) -> str:
        """A title that tells this account from the others."""
        provider = PROVIDERS[self.data[CONF_PROVIDER]]
        title = provider.name
        if self.data[CONF_URL] != provider.default_url:
            title = f"{title} ({self.data[CONF_GATEWAY]})"
        taken = {entry.title for entry in self._entries}
        numbered = (f"{title} {number}" for number in range(2, len(taken) + 3))
        return next(text for text in (title, *numbered) if text not in taken)

    def is_configured(self, own: ConfigEntry | None = None) -> bool:
        """Return whether another entry is this account, maybe by another API key."""
        instance_ids = {instance.id for instance in self.instances}
        return any(
            entry.data[CONF_API_KEY] == self.data[CONF_API_KEY]
            or known_instance_ids(self._hass, entry) & instance_ids
            for entry in self._entries
            if entry is not own and self._has_same_server(entry)
        )

    @callback
    def async_choose_gateway(self) -> None:
        """Choose what the unique IDs of a new account start with.

        It is the address, unless an account of another server has started with it: that
        one has moved since, or another gateway runs at its address now.
        """
        taken = {
            entry.data[CONF_GATEWAY]
            for entry in self._entries
            if not self._has_same_server(entry)
        }
        while self.data[CONF_GATEWAY] in taken:
            self.data[CONF_GATEWAY] += "#2"

    @property
    def _entries(self) -> list[ConfigEntry]:
        return self._hass.config_entries.async_entries(DOMAIN)

    def _has_same_server(self, entry: ConfigEntry) -> bool:
        """Return whether an entry belongs to the server that was entered."""
        same_address = _normalized(entry.data[CONF_URL]) == _normalized(
            self.data[CONF_URL]
        )
        return same_address and entry.data[CONF_PROVIDER] == self.data[CONF_PROVIDER]

    def _is_other_account(self, entry: ConfigEntry, known: set[str]) -> bool:
        """Return whether what was entered belongs to another account than the entry's.

        An account without instances can't be identified, so it is accepted.
        """
        before, now = (data.get(CONF_ACCOUNT_ID) for data in (entry.data, self.data))
        if before and now:
            return bool(before != now)
        instance_ids = {instance.id for instance in self.instances}
        return bool(known and instance_ids) and known.isdisjoint(instance_ids)


def _has_same_client(data: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether the clients of two accounts would send the same requests."""
    return all(
        data.get(key, default) == other.get(key, default)
        for key, default in CLIENT_DEFAULTS.items()
    )


def _normalized(address: str) -> URL:
    """Return an address that is the same for all names of this machine."""
    url = URL(address)
    return url.with_host("localhost") if url.host in LOOPBACK else url


async def _async_check_version(provider: Provider) -> None:
    """Raise `UnsupportedServer` for a version that is known not to work."""
    try:
        await provider.server_version()
    except UnsupportedServer:
        raise
    except GatewayError:
        # it is only shown
        return
