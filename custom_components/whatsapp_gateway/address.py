"""The address of a gateway, as a person gives it."""

from __future__ import annotations

from ipaddress import ip_address

from yarl import URL

from homeassistant.util.network import is_local

LOCAL_SUFFIXES = (".local", ".localhost", ".lan", ".internal", ".home.arpa")


def parse_address(text: str) -> tuple[URL, str]:
    """Return an address as it is stored, and the key of what is wrong with it."""
    try:
        url = URL(text.strip()).with_query(None).with_fragment(None)
    except (IndexError, ValueError):
        # the first by some versions of yarl
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
        # a number may be an address as well
        nickname = "." not in host and host[0].isalpha()
        return nickname or host.endswith(LOCAL_SUFFIXES)
