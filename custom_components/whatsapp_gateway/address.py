"""Check the address of a gateway as a person enters it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
import re
from typing import TYPE_CHECKING

from yarl import URL

from .hosts import async_on_internet, async_resolve, is_number
from .providers import PROVIDERS
from .texts import without_invisible

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
"""First path segments of the web pages of all gateways."""
PAGE_FILES = {"index.html", "login"}
"""What may follow the first path segment of a web page."""
_PAGE_OF_INSTANCE = re.compile(
    f"(/(?:{'|'.join(WEB_PAGES)}))/instance/.*", re.IGNORECASE
)
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
    is_hosted, host = provider.default_url is not None, url.raw_host or ""
    may_use_http = _is_this_machine(host) if is_hosted else await _async_is_local(host)
    if not url.scheme:
        return URL(f"{'http' if may_use_http else 'https'}:{url}"), None
    if may_use_http:
        return url, None
    return url, "https_required" if is_hosted else "insecure_url"


def _parse(text: str) -> URL:
    """Return an address, maybe without a scheme; raises `ValueError`."""
    text = without_invisible(text).strip()
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
    path = _without_web_page(url.raw_path)
    # the same URL is parsed again for each request
    return URL(str(url.with_path(path, encoded=True)).rstrip("/"))


def _without_web_page(path: str) -> str:
    """Return the path of the API without a web page at the end.

    Elsewhere the name of a page may be a part of a reverse proxy's path.
    """
    parts = _PAGE_OF_INSTANCE.sub(r"\1", path).rstrip("/").split("/")
    if parts[-1].lower() in PAGE_FILES and parts[-2].lower() in WEB_PAGES:
        parts.pop()
    while parts[-1].lower() in WEB_PAGES:
        parts.pop()
    return "/".join(parts)


def _is_this_machine(host: str) -> bool:
    """Return whether what is sent to a host doesn't leave this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


async def _async_is_local(host: str) -> bool:
    """Return whether a host is certainly not on the internet."""
    if addresses := await async_resolve(host):
        return not await async_on_internet(addresses)
    name = host.rstrip(".")
    return not is_number(name) and ("." not in name or name.endswith(LOCAL_SUFFIXES))
