"""Evolution API: what its errors mean for a message and for a file."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime
import json
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from custom_components.whatsapp_gateway.providers.messages import (
    MAX_MEDIA,
    IncomingMessage,
    MessageEvent,
    MessageKind,
)
from custom_components.whatsapp_gateway.providers.models import (
    BadResponse,
    Refusal,
    Refused,
    Rejected,
)
from tests.gateways.machine import State
from tests.harness.calls import present
from tests.harness.recipients import BEN, FAMILY
from tests.harness.refusals import LID, RefusalHome, start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways.evolution import EvolutionGateway

NO_LID = {"exists": False, "jid": LID}
NO_NUMBER = {"exists": False, "jid": BEN, "number": "12025550123"}
REQUIRED = 'instance requires property "text"'
ROWS: list[tuple[str, Any, str]] = [
    (BEN, ["Error: not-acceptable"], "whatsapp_refused:not-acceptable"),
    (FAMILY, ["Error: not-acceptable"], "whatsapp_refused:not-acceptable"),
    (BEN, ["Error: forbidden"], "whatsapp_refused:forbidden"),
    (FAMILY, ["Error: forbidden"], "not_a_member"),
    (BEN, ["Error: item-not-found"], "chat_unknown"),
    (FAMILY, ["Error: item-not-found"], "group_unknown"),
    (BEN, ["SessionError: No sessions"], "no_session"),
    (BEN, ["Error: rate-overlimit"], "whatsapp_limit"),
    (
        BEN,
        ["AxiosError: Request failed with status code 404"],
        "rejected:AxiosError: Request failed with status code 404",
    ),
    (BEN, ["Error: Connection Closed"], "instance_not_connected"),
    (BEN, ["Error: Media upload failed on all hosts"], "file_not_uploaded"),
    (LID, [NO_LID], "number_unknown"),
    (BEN, [NO_NUMBER], "not_on_whatsapp"),
    (FAMILY, ["[object Object]"], "group_unknown"),
    (BEN, ["[object Object]"], "chat_unknown"),
    (BEN, [[REQUIRED]], f"rejected:{REQUIRED}"),
    (BEN, [[REQUIRED, "text is short"]], f"rejected:{REQUIRED}; text is short"),
    (BEN, ["Text is required"], "rejected:Text is required"),
    # a message may have been sent before these
    (BEN, ["Error: Timed Out"], "maybe_sent"),
    (BEN, ["PrismaClientKnownRequestError: Can't reach the database"], "maybe_sent"),
    (BEN, ["TypeError: undefined (reading 'markedUnread')"], "maybe_sent"),
    (BEN, ["AxiosError: Request failed with status code 500"], "maybe_sent"),
]
BOOM = {
    "data": None,
    "isBoom": True,
    "isServer": False,
    "output": {
        "statusCode": 428,
        "payload": {
            "statusCode": 428,
            "error": "Precondition Required",
            "message": "Connection Closed",
        },
        "headers": {},
    },
}
"""What the server answers if the error of its library is the whole body (recorded)."""


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "evolution"


@pytest.fixture
async def home(
    hass: HomeAssistant, gateway: EvolutionGateway, entry: MockConfigEntry
) -> RefusalHome:
    """Return an account with recipients."""
    return await start(hass, gateway, entry)


@pytest.mark.parametrize(("chat", "message", "key"), ROWS)
async def test_refused(home: RefusalHome, chat: str, message: Any, key: str) -> None:
    """All errors of a message have one status; their text tells what they mean."""
    body = {"status": 400, "error": "Bad Request", "response": {"message": message}}
    await home.assert_refused(chat, 400, body, key)


@pytest.mark.parametrize("status", [400, 500])
async def test_error_of_the_library(home: RefusalHome, status: int) -> None:
    """The bare error of the library is understood as well."""
    await home.assert_refused(BEN, status, BOOM, "instance_not_connected")


# Files


FILE = bytes(range(256))
LINES = b64encode(FILE).decode().replace("AA", "A\r\nA")
PHOTO = IncomingMessage(
    event=MessageEvent.RECEIVED,
    instance_id="home",
    id="3EB0",
    chat_id=BEN,
    kind=MessageKind.IMAGE,
    sent_at=datetime(2026, 11, 30, tzinfo=UTC),
    media="3EB0",
)


async def download(provider: Provider, message: IncomingMessage = PHOTO) -> bytes:
    """Download the file of a message."""
    return await present(provider.downloads).download(message)


@pytest.mark.parametrize(
    "encoded",
    [
        b64encode(FILE).decode(),
        b64encode(FILE).decode().rstrip("="),
        f"data:image/jpeg;base64,{b64encode(FILE).decode()}",
        urlsafe_b64encode(FILE).decode(),
        LINES,
        f"data:image/jpeg;base64,\n{LINES}\n",
    ],
)
async def test_base64(
    gateway: EvolutionGateway, provider: Provider, encoded: str
) -> None:
    """A file is read in whichever form the server writes it."""
    gateway.fail("download", status=201, body=json.dumps({"base64": encoded}).encode())
    assert await download(provider) == FILE


@pytest.mark.parametrize("encoded", ["a*b=", "abcde", "A" * (MAX_MEDIA * 4 // 3 + 8)])
async def test_no_base64(
    gateway: EvolutionGateway, provider: Provider, encoded: str
) -> None:
    """What is no file, or too large, is an error."""
    gateway.fail("download", status=201, body=json.dumps({"base64": encoded}).encode())
    with pytest.raises(BadResponse):
        await download(provider)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Message not found", Refusal.FILE_NOT_KEPT),
        ("Error: Failed to fetch stream from …", Refusal.FILE_GONE),
        ("Error: Failed to re-upload media by device (404)", Refusal.FILE_GONE),
        ("Error: Connection Closed", Refusal.INSTANCE_NOT_CONNECTED),
        ("The message is not of the media type", None),
    ],
)
async def test_no_file(
    gateway: EvolutionGateway,
    provider: Provider,
    message: str,
    reason: Refusal | None,
) -> None:
    """Why there is no file is told; other errors are told in the server's words."""
    gateway.add("home", State.CONNECTED)
    gateway.fail("download", status=400, code="bad", message=[message])
    with pytest.raises(Rejected) as raised:
        await download(provider)
    assert getattr(raised.value, "reason", None) is reason
    if reason is None:
        assert str(raised.value) == message


async def test_not_kept(gateway: EvolutionGateway, provider: Provider) -> None:
    """A message without a file is not asked for."""
    with pytest.raises(Refused) as raised:
        await download(provider, replace(PHOTO, media=None))
    assert raised.value.reason is Refusal.FILE_NOT_KEPT
    assert gateway.asked == []
