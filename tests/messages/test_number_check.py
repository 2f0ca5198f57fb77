"""Messages to phone numbers: to whom they go, and to whom they don't."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.recipients import BEN, FAMILY, add_recipient, device_named, send
from tests.harness.texts import ENGLISH

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.gateways import Gateway
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock

TEXTS = ENGLISH["exceptions"]
DAY = 24 * 60 * 60
BRITISH = "447800900123"
MEXICAN, MEXICAN_CHAT = "+52 55 3000 0000", "5215530000000@s.whatsapp.net"
UNKNOWN = "+44 7800 900199"


@pytest.fixture(autouse=True)
async def home(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> Session:
    """Return the instance of an account that knows a few more people."""
    gateway.people |= {BRITISH: "Carl", "5215530000000": "Rosa"}
    gateway.other_numbers["525530000000"] = "5215530000000"
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return session


async def send_to(
    hass: HomeAssistant, entry: MockConfigEntry, *to: Any, **data: Any
) -> list[str]:
    """Send a message to phone numbers; return the chats that the action answers."""
    device_id = device_named(hass, entry, "Home").id
    data = {"message": "Hello", **data}
    return [
        one["to"] for one in await send(hass, device_id=device_id, to=[*to], **data)
    ]


async def failure_of(hass: HomeAssistant, entry: MockConfigEntry, *to: str) -> str:
    """Send a message that fails; return who doesn't get it, and why."""
    device_id = device_named(hass, entry, "Home").id
    data = {"message": "Hello", "device_id": device_id, "to": [*to]}
    with pytest.raises(HomeAssistantError) as error:
        await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    assert error.value.translation_key in {"not_sent", "partly_sent"}
    failures: str = (error.value.translation_placeholders or {})["failures"]
    return failures


@needs("messages")
@pytest.mark.parametrize(
    ("country", "to"),
    [
        (None, f"{BRITISH}.0"),
        (None, float(BRITISH)),
        (None, int(BRITISH)),
        (None, BRITISH),
        ("DE", BRITISH),
        (None, "+44 (0)7800 900123"),
        (None, "\u202a+44 7800 900123\u202c"),
        (None, f"\u200e{BRITISH}@c.us"),
        ("GB", "07800 900123"),
        ("GB", "(07800) 900123"),
    ],
)
async def test_who_gets_it(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    country: str | None,
    to: Any,
) -> None:
    """A number that is written in any clear way gets the message."""
    await hass.config.async_update(country=country)
    assert await send_to(hass, entry, to) == [f"{BRITISH}@s.whatsapp.net"]
    assert [one.chat_id for one in gateway.sent] == [f"{BRITISH}@s.whatsapp.net"]


@needs("messages")
@pytest.mark.parametrize(
    ("country", "example"), [(None, "+1 202 555 0123"), ("DE", "+49 1512 3456789")]
)
async def test_refused(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    country: str | None,
    example: str,
) -> None:
    """What is no number, or could be two, is refused with an example."""
    await hass.config.async_update(country=country)
    for to in ("(202) 555-0123", "447,800,900,123", 4.47800900123e18, "+1 555 0123"):
        with pytest.raises(ServiceValidationError) as error:
            await send_to(hass, entry, BEN, to)
        assert error.value.translation_key == "invalid_recipient"
        given = error.value.translation_placeholders or {}
        assert given["example"] == example
        assert "202" not in given["to"]
    assert gateway.sent == []

    await hass.config.async_update(country="US")
    assert await send_to(hass, entry, "(202) 555-0123") == [BEN]


@needs("messages", "mentions")
async def test_mentions(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """People are mentioned by the same numbers."""
    mentions: list[Any] = [f"{BRITISH}.0", "+44 (0)7800 900123", int(BRITISH)]
    await send_to(hass, entry, FAMILY, mentions=mentions)
    assert {*gateway.sent[-1].mentions} == {BRITISH}

    await hass.config.async_update(country="GB")
    await send_to(hass, entry, FAMILY, mentions="07800 900123")
    assert gateway.sent[-1].mentions == (BRITISH,)

    with pytest.raises(ServiceValidationError) as error:
        await send_to(hass, entry, FAMILY, mentions="(202) 555-0123")
    assert error.value.translation_key == "invalid_phone_number"
    given = error.value.translation_placeholders or {}
    text = TEXTS["invalid_phone_number"]["message"].format(**given)
    assert "+44 7400 123456" in text
    assert "202" not in text


@needs("number_check")
async def test_unknown(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """Nothing is sent to a number that isn't on WhatsApp, until it is."""
    reason = TEXTS["not_on_whatsapp"]["message"]
    assert await failure_of(hass, entry, UNKNOWN) == f"…0199: {reason}"
    assert await failure_of(hass, entry, UNKNOWN, FAMILY) == f"…0199: {reason}"
    assert [one.chat_id for one in gateway.sent] == [FAMILY]

    # the answer is kept for a while
    gateway.people["447800900199"] = "Dora"
    assert gateway.count("check_number") == 1
    await clock.run(4 * 60)
    assert await failure_of(hass, entry, UNKNOWN) == f"…0199: {reason}"
    await clock.run(60)
    chats = await send_to(hass, entry, UNKNOWN)
    assert chats == ["447800900199@s.whatsapp.net"]
    assert [one.chat_id for one in gateway.sent[1:]] == chats


@needs("number_check")
async def test_other_form(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A message goes to the chat that the gateway names for a number."""
    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]
    assert [one.chat_id for one in gateway.sent] == [MEXICAN_CHAT]


@lacks("number_check")
async def test_no_check(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Where no number can be checked, the message goes to the one that is entered."""
    assert await send_to(hass, entry, MEXICAN) == ["525530000000@s.whatsapp.net"]
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("number_check")
async def test_kept(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A number is checked once a day, also if the account is reloaded meanwhile."""
    gateway.add("Shop", State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    for _ in range(3):
        await send_to(hass, entry, MEXICAN)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await clock.run(DAY - 60)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]
    assert gateway.count("check_number") == 1

    # each instance for itself
    shop = device_named(hass, entry, "Shop").id
    await send(hass, device_id=shop, to=MEXICAN, message="Hello")
    assert gateway.count("check_number") == 2

    await clock.run(60)
    await send_to(hass, entry, MEXICAN)
    assert gateway.count("check_number") == 3

    assert await hass.config_entries.async_remove(entry.entry_id)
    assert {one.chat_id for one in gateway.sent} == {MEXICAN_CHAT}


@needs("number_check")
async def test_not_asked(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, home: Session
) -> None:
    """Chat IDs are not checked, and recipients were when they were added."""
    add_recipient(hass, entry, home, BEN, "Ben")
    await hass.async_block_till_done()
    await send(hass, entity_id="notify.ben", message="Hello")
    chats = [BEN, FAMILY]
    assert await send_to(hass, entry, "12025550123@c.us", FAMILY) == chats
    assert gateway.count("check_number") == 0


@needs("number_check")
@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"status": 500}, "cannot_connect"),
        ({"drop": True}, "cannot_connect"),
        ({"hang": True}, "cannot_connect"),
        ({"body": b"{}"}, "unexpected_response"),
        ({"status": 401}, "key_not_allowed"),
    ],
)
async def test_failed(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    fault: dict[str, Any],
    key: str,
) -> None:
    """Nothing is sent to a number that can't be checked."""
    gateway.fail("check_number", **fault)
    reason = TEXTS["number_not_checked"]["message"].format(reason=TEXTS[key]["message"])
    assert await failure_of(hass, entry, MEXICAN) == f"…0000: {reason}"
    assert gateway.sent == []
    assert hass.config_entries.flow.async_progress() == []

    gateway.heal()
    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]


@needs("number_check")
async def test_pause(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A check waits, once, if the gateway asks for a pause."""
    pause = {"status": 429, "headers": {"Retry-After": "20"}}
    gateway.fail("check_number", times=1, **pause)
    start = clock.time()
    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]
    assert 20 <= clock.time() - start < 25

    asked = gateway.count("check_number")
    gateway.fail("check_number", **pause)
    assert "Too many requests" in await failure_of(hass, entry, UNKNOWN)
    assert gateway.count("check_number") == asked + 2
    assert len(gateway.sent) == 1

    gateway.heal()
    await clock.run(20)
    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]


@needs("number_check")
async def test_in_turn(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A number is checked when it is the turn of its message."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, delay=5, times=1)
    first = asyncio.create_task(send_to(hass, entry, FAMILY))
    await asyncio.sleep(1)
    taken_back, last = (
        asyncio.create_task(send_to(hass, entry, to)) for to in (UNKNOWN, MEXICAN)
    )
    await asyncio.sleep(1)
    assert gateway.count("check_number") == 0
    taken_back.cancel()
    assert [await first, await last] == [[FAMILY], [MEXICAN_CHAT]]
    assert gateway.count("check_number") == 1


@needs("number_check")
async def test_too_many(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """No number is checked for a message that isn't taken."""
    numbers = [f"+44 7800 9002{number:02}" for number in range(51)]
    await failure_of(hass, entry, *numbers)
    assert gateway.count("check_number") == 50
    assert gateway.sent == []

    assert await send_to(hass, entry, MEXICAN) == [MEXICAN_CHAT]


@needs("number_check")
async def test_pauses(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """Numbers are looked up with pauses, also after messages and failures."""
    start = clock.time()
    await failure_of(hass, entry, *(f"+44 7800 9002{number:02}" for number in range(5)))
    assert 4 <= clock.time() - start <= 15
    # what is known needs no pause
    start = clock.time()
    await failure_of(hass, entry, "+44 7800 900200", "+44 7800 900201")
    assert clock.time() == pytest.approx(start, abs=0.5)

    await clock.run(3)
    await send_to(hass, entry, FAMILY)
    start = clock.time()
    await send_to(hass, entry, MEXICAN)
    assert 0.5 <= clock.time() - start <= 3.5
    # a message to the chat of the last one neither
    start = clock.time()
    await send_to(hass, entry, MEXICAN)
    assert clock.time() == pytest.approx(start, abs=0.5)


@needs("number_check")
async def test_reload_before_the_check(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A number is checked by the reloaded account if its turn comes only then."""
    await send_to(hass, entry, FAMILY)
    call = asyncio.create_task(send_to(hass, entry, MEXICAN))
    await clock.run(0.2)
    assert gateway.count("check_number") == 0
    assert await hass.config_entries.async_reload(entry.entry_id)
    await clock.run(8)
    assert await call == [MEXICAN_CHAT]
    assert gateway.count("check_number") == 1


@needs("number_check")
async def test_unloaded(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A message waits if the account is unloaded while its number is checked."""
    gateway.fail("check_number", delay=5, times=1)
    call = asyncio.create_task(send_to(hass, entry, MEXICAN))
    await asyncio.sleep(1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await asyncio.sleep(10)
    assert gateway.sent == []

    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await call == [MEXICAN_CHAT]
    assert len(gateway.sent) == 1


@needs("sent_chats")
async def test_rerouted(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    home: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The response has the chat that a message went to, if the gateway tells it."""
    gateway.rerouted["525530000000@s.whatsapp.net"] = MEXICAN_CHAT
    chats = await send_to(hass, entry, "525530000000@c.us", FAMILY)
    assert chats == [MEXICAN_CHAT, FAMILY]
    assert caplog.text.count("another chat for the number") == 1

    add_recipient(hass, entry, home, "525530000000@s.whatsapp.net", "Rosa")
    await hass.async_block_till_done()
    [message] = await send(hass, entity_id="notify.rosa", message="Hello")
    assert message["to"] == MEXICAN_CHAT
    assert message["message_id"] == gateway.sent[-1].id
