"""Offer files to gateways that fetch them from an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from secrets import token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import web

from homeassistant.components.http import HomeAssistantView
from homeassistant.core import HassJob, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..texts import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

LIFETIME = 300.0
"""Seconds that a file is offered."""
REPEAT_TIME = 30.0
"""Seconds that it is offered once it has been fetched: a gateway may repeat a request
whose answer was lost."""
MAX_FETCHES = 2
"""Number of times that a file can be fetched."""
TOKEN_LENGTH = 32
HEADERS = {
    "Cache-Control": "no-store",
    # a browser must not show a file as a page of Home Assistant
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@dataclass(slots=True, kw_only=True, eq=False)
class Offer:
    """A file that a gateway can fetch."""

    entry_id: str
    """ID of the account that offers it."""
    content: bytes
    mime_type: str
    url: str
    """Where it is; secret."""
    withdraw: Callable[..., None] = field(init=False)
    """Ends the offer."""
    cancel: CALLBACK_TYPE = field(init=False)
    """Stops the timer that ends it."""
    ends_at: float = field(default_factory=lambda: monotonic() + LIFETIME)
    """Of the monotonic clock, in seconds."""
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
        self._offers: dict[str, Offer] = {}

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
    def async_offer(
        self,
        entry_id: str,
        content: bytes,
        mime_type: str,
        ended: Callable[[], None] = lambda: None,
    ) -> Offer:
        """Offer a file until it is fetched or withdrawn, for five minutes at most.

        `ended` is called once then.
        """
        base_url, token = self.async_base_url(), token_urlsafe(TOKEN_LENGTH)
        offer = Offer(
            entry_id=entry_id,
            content=content,
            mime_type=mime_type,
            url=f"{base_url}{self.url.format(token=token)}",
        )

        @callback
        def withdraw(_now: Any = None) -> None:
            if self._offers.pop(token, None) is not None:
                offer.cancel()
                ended()

        offer.withdraw = withdraw
        self._async_end_in(offer, LIFETIME)
        self._offers[token] = offer
        return offer

    @callback
    def _async_end_in(self, offer: Offer, seconds: float) -> None:
        job = HassJob(offer.withdraw, cancel_on_shutdown=True)
        offer.cancel = async_call_later(self._hass, seconds, job)

    @callback
    def async_withdraw(self, entry_id: str) -> None:
        """End all offers of an account."""
        for offer in [*self._offers.values()]:
            if offer.entry_id == entry_id:
                offer.withdraw()

    async def get(self, _request: web.Request, token: str) -> web.Response:
        """Return the file, if it is still offered."""
        if (offer := self._offers.get(token)) is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        offer.fetches_left -= 1
        if offer.fetches_left == 0:
            offer.withdraw()
        else:
            offer.cancel()
            left = offer.ends_at - monotonic()
            self._async_end_in(offer, min(REPEAT_TIME, left))
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
