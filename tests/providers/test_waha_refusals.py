"""WAHA: what its engines say, and whether a message may have been sent then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from custom_components.whatsapp_gateway.providers.messages import (
    Media,
    MessageKind,
    OutgoingMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    MaybeSent,
    Refusal,
    Refused,
)
from tests.gateways.machine import State
from tests.harness.calls import present
from tests.harness.recipients import BEN, FAMILY
from tests.harness.refusals import LID, RefusalHome, start

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways.waha import WahaGateway

NO_MEMBERS = "2 UNKNOWN: failed to get group members"
MEMBERS = f"{NO_MEMBERS}: info query returned status"
NO_DEVICES = "2 UNKNOWN: failed to get device list: failed to send usync query"
LOOK_UP = (
    "2 UNKNOWN: failed to get user info for {} to fill LID cache: "
    "failed to send usync query"
)
ABOUT_BEN = LOOK_UP.format("4915100000010@s.whatsapp.net")
TIMED_OUT = "info query timed out"
LIMIT = "info query returned status 429: rate-overlimit"
UNKNOWN = "no LID found for 525530000000@s.whatsapp.net from server"
BROWSER = "Protocol error (Runtime.callFunctionOn)"
ROWS = [
    (BEN, f"2 UNKNOWN: {UNKNOWN}", "not_on_whatsapp"),
    (BEN, UNKNOWN, "not_on_whatsapp"),
    (BEN, "Lid is missing in chat table", "person_unknown"),
    (BEN, "No LID for user", "person_unknown"),
    (BEN, "Evaluation failed: Error: No LID for user", "person_unknown"),
    (BEN, "findChat: new chat not found", "person_unknown"),
    (FAMILY, "findChat: new chat not found", "group_unknown"),
    (BEN, "Evaluation failed: Error: wid error: invalid wid", "chat_unknown"),
    (FAMILY, "Evaluation failed: Error: wid error: invalid wid", "group_unknown"),
    (LID, "invalid wid", "chat_unknown"),
    (BEN, "2 UNKNOWN: server returned error 463", "new_chats_limited"),
    (BEN, "2 UNKNOWN: server returned error 479", "whatsapp_refused:479"),
    (FAMILY, "2 UNKNOWN: server returned error 420", "whatsapp_refused:420"),
    (BEN, "2 UNKNOWN: websocket not connected", "instance_not_connected"),
    (
        BEN,
        "2 UNKNOWN: failed to send message node: websocket not connected",
        "instance_not_connected",
    ),
    (
        BEN,
        "rpc error: code = Unknown desc = server returned error 463",
        "new_chats_limited",
    ),
    (BEN, "Connection Closed", "instance_not_connected"),
    (FAMILY, f"{MEMBERS} 403: forbidden", "not_a_member"),
    (FAMILY, f"{MEMBERS} 404: item-not-found", "group_unknown"),
    (FAMILY, f"{MEMBERS} 429: rate-overlimit", "whatsapp_limit"),
    (
        FAMILY,
        "2 UNKNOWN: failed to get group members: websocket not connected",
        "instance_not_connected",
    ),
    (
        FAMILY,
        f"{NO_MEMBERS}: you're not participating in that group",
        "not_a_member",
    ),
    (FAMILY, f"{NO_MEMBERS}: that group does not exist", "group_unknown"),
    (
        FAMILY,
        f"{NO_MEMBERS}: failed to get group info: websocket not connected",
        "instance_not_connected",
    ),
    (
        BEN,
        f"{ABOUT_BEN}: {TIMED_OUT}",
        # without the number
        f"rejected:{LOOK_UP.format('…')}: {TIMED_OUT}",
    ),
    (BEN, f"{ABOUT_BEN}: {LIMIT}", "whatsapp_limit"),
    (BEN, f"{ABOUT_BEN}: websocket not connected", "instance_not_connected"),
    (BEN, f"{NO_DEVICES}: {LIMIT}", "whatsapp_limit"),
    (BEN, "Media upload failed on all hosts", "file_not_uploaded"),
    (
        FAMILY,
        "2 UNKNOWN: failed to get group members: info query timed out",
        "rejected:2 UNKNOWN: failed to get group members: info query timed out",
    ),
    # recorded
    (FAMILY, "item-not-found", "group_unknown"),
    (FAMILY, "forbidden", "not_a_member"),
    (BEN, "not-acceptable", "whatsapp_refused:not-acceptable"),
    (BEN, f"{BROWSER}: Session closed. Most likely the page …", "session_broken"),
    (BEN, f"{BROWSER}: Cannot find context with specified id", "session_broken"),
    (BEN, "Attempted to use detached Frame '4A6B'.", "session_broken"),
    (BEN, "14 UNAVAILABLE: No connection established", "session_broken"),
    (BEN, "request entity too large", "too_large"),
    (
        BEN,
        "Request failed with status code 404",
        "rejected:Request failed with status code 404",
    ),
    # a message may have been sent before these
    (BEN, f"{BROWSER}: Target closed", "maybe_sent"),
    (BEN, "Execution context was destroyed, most likely because …", "maybe_sent"),
    (
        BEN,
        "2 UNKNOWN: websocket disconnected before info query returned response",
        "maybe_sent",
    ),
    (BEN, "Cannot read properties of undefined (reading 'markedUnread')", "maybe_sent"),
    (BEN, "Timed Out", "maybe_sent"),
    (BEN, "14 UNAVAILABLE: Connection dropped", "maybe_sent"),
    (BEN, "The request was forbidden", "maybe_sent"),
    (BEN, "", "maybe_sent"),
]


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "waha"


@pytest.fixture
async def home(
    hass: HomeAssistant, gateway: WahaGateway, entry: MockConfigEntry
) -> RefusalHome:
    """Return an account with recipients."""
    return await start(hass, gateway, entry)


def crash(message: str) -> dict[str, Any]:
    """Return what the server answers if its engine fails."""
    return {
        "statusCode": 500,
        "timestamp": "2026-11-30T11:00:00.000Z",
        "exception": {"message": message, "code": 2, "name": "Error", "stack": "…"},
        "request": {"path": "/api/sendText", "body": {"text": "Hello"}, "query": {}},
        "version": {"version": "2026.5.1", "engine": "GOWS", "tier": "PLUS"},
    }


@pytest.mark.parametrize(("chat", "message", "key"), ROWS)
async def test_engine(home: RefusalHome, chat: str, message: str, key: str) -> None:
    """What the engine says tells whether a message was sent, if it is clear."""
    await home.assert_refused(chat, 500, crash(message), key)


async def test_key_of_other_session(home: RefusalHome) -> None:
    """A key that only gives access to something else is told as such."""
    body = {"message": "Forbidden", "statusCode": 403}
    await home.assert_refused(BEN, 403, body, "key_not_allowed")


async def test_answer_to_nothing(home: RefusalHome) -> None:
    """An ID that is none is told as such."""
    message = "Message id be in format false_11111111111@c.us_AAA[_participant]"
    data = {"reply_to": "3EB0"}
    await home.assert_refused(BEN, 500, crash(message), "message_unknown", **data)


@pytest.mark.parametrize(
    ("kind", "content", "unclear"),
    [
        (MessageKind.DOCUMENT, None, False),
        (MessageKind.DOCUMENT, b"%PDF", False),
        (MessageKind.VOICE, None, False),
        # some servers have a voice message transcribed after it was sent
        (MessageKind.VOICE, b"OggS", True),
    ],
)
async def test_file_from_an_address(
    gateway: WahaGateway,
    provider: Provider,
    kind: MessageKind,
    content: bytes | None,
    *,
    unclear: bool,
) -> None:
    """A file that the gateway can't load from its address is not sent."""
    gateway.add("home", State.CONNECTED)
    body = json.dumps(crash("Request failed with status code 404")).encode()
    gateway.fail("send", status=500, body=body)
    media = Media(
        kind=kind,
        mime_type="audio/ogg",
        filename="a.ogg",
        content=content,
        url="https://files.example.com/a.ogg",
    )
    message = OutgoingMessage(media=media)

    if unclear:
        with pytest.raises(MaybeSent):
            await present(provider.messages).send("home", BEN, message)
    else:
        with pytest.raises(Refused) as raised:
            await present(provider.messages).send("home", BEN, message)
        assert raised.value.reason is Refusal.FILE_NOT_FETCHED
    gateway.heal()
    await present(provider.messages).send("home", BEN, OutgoingMessage(text="Hello"))
