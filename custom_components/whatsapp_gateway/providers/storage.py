"""Download what a gateway has stored on another server."""

from __future__ import annotations

from http import HTTPStatus
import logging
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientTimeout, hdrs
from yarl import URL

from .failures import is_page, unreachable
from .http import READ_TIME_LIMIT, SEND_TIME_LIMIT, SUCCESSES, read_body
from .messages import MAX_MEDIA
from .models import BadResponse, Refusal, Refused

if TYPE_CHECKING:
    from aiohttp import ClientSession

GONE = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
"""What a storage answers if a file, or the time to download it, is over."""

_LOGGER = logging.getLogger(__name__)


async def fetch_file(session: ClientSession, url: str, *, page_ok: bool) -> bytes:
    """Return a file of 16 MiB at most; with `page_ok` it may be a web page.

    Sends neither the API key nor credentials in the address, which may be signed and is
    a secret. Follows no redirect. Raises a `GatewayError`, and nothing else.
    """
    timeout = ClientTimeout(total=SEND_TIME_LIMIT, sock_connect=READ_TIME_LIMIT)
    try:
        async with session.get(
            URL(url, encoded=True).with_user(None),
            headers={hdrs.ACCEPT_ENCODING: "identity"},
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            body = await read_body(response, MAX_MEDIA)
    except (ClientError, TimeoutError, OSError, ValueError, IndexError) as err:
        # not chained: its text may contain the address
        raise unreachable(err) from None
    _LOGGER.debug("File of a storage: %s", response.status)
    if response.status in SUCCESSES and (page_ok or not is_page(body)):
        return body
    if response.status in GONE:
        raise Refused(Refusal.FILE_GONE)
    raise BadResponse(f"HTTP {response.status}")
