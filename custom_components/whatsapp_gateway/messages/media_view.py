"""Offer files to gateways that fetch them from an address."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from aiohttp import web

from homeassistant.components.http import HomeAssistantView
from homeassistant.core import HassJob, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..providers.message_parsing import remember
from ..texts import invalid

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

LIFETIME = 300.0
"""Seconds that a file is offered."""
MAX_FETCHES = 2
"""Number of times that a file can be fetched: a gateway may repeat a request."""
MAX_OFFERS = 16
"""Number of files that are kept at the same time; the oldest ones go first."""
TOKEN_LENGTH = 32
HEADERS = {
    "Cache-Control": "no-store",
    # a browser must not show a file as a page of Home Assistant
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@dataclass(slots=True)
class _Offer:
    """A file in memory."""

    content: bytes
    mime_type: str
    fetches_left: int = MAX_FETCHES

    @property
    def headers(self) -> dict[str, str]:
        """Return what an answer says about the file."""
        return {**HEADERS, "Content-Type": self.mime_type}


class MediaView(HomeAssistantView):
    """Serve a file to anyone who knows its token, which only the gateway gets."""

    url = f"/api/{DOMAIN}/media/{{token}}"
    name = f"api:{DOMAIN}:media"
    requires_auth = False

    def __init__(self, hass: HomeAssistant) -> None:
        """Offer nothing yet."""
        self._hass = hass
        self._offers: dict[str, _Offer] = {}

    @callback
    def async_base_url(self) -> str:
        """Return the address of Home Assistant on the internet.

        Raises a translated error if there is none.
        """
        try:
            return get_url(
                self._hass, allow_internal=False, require_ssl=True, prefer_cloud=True
            )
        except NoURLAvailableError as err:
            raise invalid("no_external_url") from err

    @callback
    def async_offer(self, content: bytes, mime_type: str) -> str:
        """Offer a file for a short time, and return its secret address."""
        base_url = self.async_base_url()
        token = token_urlsafe(TOKEN_LENGTH)
        remember(self._offers, token, _Offer(content, mime_type), MAX_OFFERS)

        @callback
        def withdraw(_now: Any) -> None:
            self._offers.pop(token, None)

        async_call_later(
            self._hass, LIFETIME, HassJob(withdraw, cancel_on_shutdown=True)
        )
        return f"{base_url}{self.url.format(token=token)}"

    async def get(self, _request: web.Request, token: str) -> web.Response:
        """Return the file, if it is still offered."""
        if (offer := self._offers.get(token)) is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        offer.fetches_left -= 1
        if offer.fetches_left == 0:
            del self._offers[token]
        return web.Response(body=offer.content, headers=offer.headers)

    async def head(self, _request: web.Request, token: str) -> web.Response:
        """Return what `get` would return, without the file; doesn't count."""
        if (offer := self._offers.get(token)) is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(
            headers={**offer.headers, "Content-Length": str(len(offer.content))}
        )


MEDIA_VIEW: HassKey[MediaView] = HassKey(f"{DOMAIN}_media_view")


@callback
def async_setup_media_view(hass: HomeAssistant) -> None:
    """Serve files to gateways; `MEDIA_VIEW` is the key of the view."""
    hass.data[MEDIA_VIEW] = view = MediaView(hass)
    hass.http.register_view(view)
