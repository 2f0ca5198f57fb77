"""Check the address of a gateway as a person enters it."""

from __future__ import annotations

from ipaddress import ip_address

from yarl import URL

from homeassistant.util.network import is_local

LOCAL_SUFFIXES = (".local", ".localhost", ".lan", ".internal", ".home.arpa")


def parse_address(text: str) -> tuple[URL, str | None]:
    """Return an address as it is stored, and the key of an error if it is invalid."""
    try:
        url = URL(text.strip()).with_query(None).with_fragment(None)
        # the same URL is parsed again for each request
        url = URL(str(url).rstrip("/"))
        host = url.host
        # fails for an empty label or one of more than 63 characters
        (url.raw_host or "").encode("idna")
    except (IndexError, ValueError):
        # IndexError by some versions of yarl
        return URL(), "invalid_url"
    if url.scheme not in {"http", "https"} or not host or url.user or url.password:
        return url, "invalid_url"
    if url.scheme == "http" and not _is_local_host(host):
        return url, "insecure_url"
    return url, None


def _is_local_host(host: str) -> bool:
    """Return whether a host is certainly not on the internet."""
    try:
        return is_local(ip_address(host))
    except ValueError:
        # a number may be an address as well
        plain_name = "." not in host and host[0].isalpha()
        return plain_name or host.endswith(LOCAL_SUFFIXES)
