"""Read answers of the Evolution API. Source: the code of 2.3.7 and 2.4.0-rc2."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .. import parsing
from ..models import BadResponse, Rejected, Unreachable
from ..redact import redact

if TYPE_CHECKING:
    from ..http import Answer

HIDDEN_ERROR = "[object Object]"
"""What the server makes of an error, such as that an instance isn't loaded yet."""


def payload_of(answer: Answer) -> dict[str, Any]:
    """Return a JSON object; an answer with the status 200 may report a failure."""
    payload = parsing.mapping(answer.json())
    if payload.get("error") is not True:
        return payload
    message = parsing.optional_text(payload, "message") or HIDDEN_ERROR
    if message == HIDDEN_ERROR:
        error = Unreachable("The server can't do this now")
        error.status = HTTPStatus.OK
        raise error
    raise Rejected(redact(message, answer.api_key))


def check(answer: Answer) -> None:
    """Raise a `GatewayError` if the body reports a failure; it may be anything else."""
    with suppress(BadResponse):
        payload_of(answer)
