"""Check the address of a gateway as a person enters it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
import re
from typing import TYPE_CHECKING
from unicodedata import category

from yarl import URL

from .hosts import async_resolve, is_number, is_public
from .providers import PROVIDERS

if TYPE_CHECKING:
    from .providers.base import Provider

LOCAL_SUFFIXES = (
    ".home",
    ".home.arpa",
    ".internal",
    ".lan",
    ".local",
    ".localdomain",
    ".localhost",
)
"""Ends of names that don't exist on the internet."""
SCHEMES = {"http", "https"}
WEB_PAGES = frozenset().union(*(provider.web_pages for provider in PROVIDERS.values()))
INVISIBLE = "Cf"
_WITH_SCHEME = re.compile("[a-z][a-z0-9+.-]*://", re.IGNORECASE)


async def async_parse_address(
    text: str, provider: type[Provider]
) -> tuple[URL, str | None]:
    """Return an address as it is stored, and the key of an error if it is invalid.

    A missing scheme is added, and the path of a web page is removed.
    """
    try:
        url = _parse(text)
    except (IndexError, ValueError):
        # IndexError by some versions of yarl
        return URL(), "invalid_url"
    if url.scheme == "https":
        return url, None
    is_local = await _async_is_local(url.host or "", by_name=not provider.default_url)
    if url.scheme:
        return url, None if is_local else "insecure_url"
    return URL(f"{'http' if is_local else 'https'}:{url}"), None


def _parse(text: str) -> URL:
    """Return an address, maybe without a scheme; raises `ValueError`."""
    text = "".join(sign for sign in text if category(sign) != INVISIBLE).strip()
    if not text.isprintable() or {" ", "\\"} & {*text}:
        raise ValueError
    if not _WITH_SCHEME.match(text):
        # a host with a port would be taken for a scheme
        text = f"//{text.lstrip('/')}"
    url = URL(text)
    if url.scheme not in {"", *SCHEMES} or url.user or url.password:
        raise ValueError
    # a host with the name of a scheme is a mistake such as "http:/"
    if not url.host or url.host in SCHEMES:
        raise ValueError
    # fails for an empty label or one of more than 63 characters
    (url.raw_host or "").encode("idna")
    parts = url.raw_path.split("/")
    pages = (number for number, part in enumerate(parts) if part.lower() in WEB_PAGES)
    path = "/".join(parts[: next(pages, None)])
    # the same URL is parsed again for each request
    return URL(str(url.with_path(path, encoded=True)).rstrip("/"))


async def _async_is_local(host: str, *, by_name: bool) -> bool:
    """Return whether a host is certainly not on the internet.

    Without `by_name` it has to be an IP address or this machine.
    """
    name = host.rstrip(".")
    with suppress(ValueError):
        return not is_public(ip_address(name))
    if not by_name or is_number(name):
        return name == "localhost"
    public = [is_public(address) for address in await async_resolve(host)]
    if "." not in name or name.endswith(LOCAL_SUFFIXES):
        # unless the resolver answers such names with a page of its own
        return not (public and all(public))
    return bool(public) and not any(public)
