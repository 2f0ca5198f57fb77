"""Send messages, to recipients and to any chats."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import voluptuous as vol

from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.components.notify import NotifyEntity
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import Context
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.helpers import poll_twice, state_of
from tests.harness.recipients import (
    BEN,
    FAMILY,
    NEIGHBOURS,
    add_recipient,
    device_named,
    notify,
    send,
)
from tests.harness.texts import ENGLISH

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

    from tests.gateways import Gateway
    from tests.gateways.machine import Session
    from tests.harness.clock import Clock

FAMILY_ENTITY, BEN_ENTITY = "notify.family", "notify.ben"
TEXTS = ENGLISH["exceptions"]
QUESTION: dict[str, Any] = {"message": "Pizza?", "poll_options": ["Yes", "No"]}
PLACE: dict[str, Any] = {"location": {"latitude": 52.5, "longitude": 13.4}}


@pytest.fixture(autouse=True)
async def home(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> Session:
    """Return the instance of an account with two recipients."""
    session = gateway.add("Home", State.CONNECTED)
    add_recipient(hass, entry, session, FAMILY, "Family")
    add_recipient(hass, entry, session, BEN, "Ben")
    assert await hass.config_entries.async_setup(entry.entry_id)
    return session


def device_id(hass: HomeAssistant, entry: MockConfigEntry, name: str = "Home") -> str:
    """Return the ID of a device."""
    return device_named(hass, entry, name).id


def key_of(error: pytest.ExceptionInfo[HomeAssistantError]) -> str:
    """Return the key of an error whose text exists, with all its placeholders."""
    key = error.value.translation_key
    assert key is not None
    TEXTS[key]["message"].format(**(error.value.translation_placeholders or {}))
    return key


def failures(error: pytest.ExceptionInfo[HomeAssistantError]) -> str:
    """Return which recipients don't get the message, with the reasons."""
    assert key_of(error) == "not_sent"
    assert error.value.translation_placeholders is not None
    return error.value.translation_placeholders["failures"]


@needs("messages")
async def test_notify(hass: HomeAssistant, gateway: Gateway, home: Session) -> None:
    """The action of all notify entities sends a text, with a bold title."""
    await notify(hass, FAMILY_ENTITY, message="Dinner\nis ready")
    await notify(hass, FAMILY_ENTITY, message="Come", title="Dinner")

    assert [(one.session_id, one.chat_id, one.text) for one in gateway.sent] == [
        (home.id, FAMILY, "Dinner\nis ready"),
        (home.id, FAMILY, "*Dinner*\nCome"),
    ]


@needs("messages")
async def test_recipients(hass: HomeAssistant, gateway: Gateway) -> None:
    """A message goes to several recipients, each once, and their IDs come back."""
    messages = await send(
        hass, entity_id=[FAMILY_ENTITY, BEN_ENTITY, FAMILY_ENTITY], message="Hello"
    )

    assert [one.chat_id for one in gateway.sent] == [FAMILY, BEN]
    assert [(one["entity_id"], one["to"]) for one in messages] == [
        (FAMILY_ENTITY, FAMILY),
        (BEN_ENTITY, BEN),
    ]
    found = [one["message_id"] for one in messages]
    known = [one.id if gateway.has("message_ids") else None for one in gateway.sent]
    assert found == known


@needs("messages")
async def test_state(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The state is when a recipient was last sent a message."""
    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    can_record = hasattr(NotifyEntity, "_async_record_notification")
    assert (state_of(hass, BEN_ENTITY) != STATE_UNKNOWN) is can_record
    assert state_of(hass, FAMILY_ENTITY) == STATE_UNKNOWN

    registry = er.async_get(hass)
    registry.async_update_entity(BEN_ENTITY, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    with pytest.raises(HomeAssistantError) as error:
        await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert failures(error) == f"{BEN_ENTITY}: {TEXTS['recipient_gone']['message']}"
    registry.async_update_entity(BEN_ENTITY, disabled_by=None)
    [message] = await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert message["to"] == BEN


@needs("messages")
async def test_chats(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, home: Session
) -> None:
    """A message goes to chats that are no recipients, in any form, each once."""
    messages = await send(
        hass,
        device_id=device_id(hass, entry),
        to=["+1 (202) 555-0123", NEIGHBOURS, "12025550123@c.us"],
        message="Hello",
    )

    assert [(one.session_id, one.chat_id) for one in gateway.sent] == [
        (home.id, BEN),
        (home.id, NEIGHBOURS),
    ]
    assert [one["to"] for one in messages] == [BEN, NEIGHBOURS]
    assert all("entity_id" not in one for one in messages)


@needs("messages")
async def test_pauses(hass: HomeAssistant, gateway: Gateway) -> None:
    """Messages to different chats are 1 to 3 s apart, those to the same chat aren't."""
    start = time.monotonic()
    await notify(hass, FAMILY_ENTITY, message="1")
    await notify(hass, FAMILY_ENTITY, message="2")
    assert time.monotonic() - start < 0.5
    await notify(hass, BEN_ENTITY, message="3")
    assert 1 <= time.monotonic() - start < 4

    await asyncio.sleep(3)
    start = time.monotonic()
    await notify(hass, FAMILY_ENTITY, message="4")
    assert time.monotonic() - start < 0.5
    assert [one.text for one in gateway.sent] == ["1", "2", "3", "4"]


@needs("messages")
async def test_order(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Calls at the same time are sent one after the other; instances don't wait."""
    gateway.add("Shop", State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    shop = device_id(hass, entry, "Shop")

    await asyncio.gather(
        *(send(hass, entity_id=FAMILY_ENTITY, message=str(n)) for n in range(3)),
        send(hass, entity_id=BEN_ENTITY, message="3"),
        send(hass, device_id=shop, to=[NEIGHBOURS], message="shop"),
    )

    texts = [one.text for one in gateway.sent]
    assert [text for text in texts if text != "shop"] == ["0", "1", "2", "3"]
    assert texts.index("shop") < texts.index("3")


@needs("messages")
async def test_two_instances(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A message doesn't wait for those of another instance."""
    shop = gateway.add("Shop", State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    add_recipient(hass, entry, shop, NEIGHBOURS, "Neighbours")
    await hass.async_block_till_done()

    await notify(hass, FAMILY_ENTITY, message="first")
    # this one waits, because it goes to another chat
    call = asyncio.create_task(notify(hass, BEN_ENTITY, message="second"))
    await asyncio.sleep(0.1)
    await notify(hass, "notify.neighbours", message="third")
    await call

    assert [one.text for one in gateway.sent] == ["first", "third", "second"]


@needs("messages")
async def test_cancelled(hass: HomeAssistant, gateway: Gateway) -> None:
    """Whoever stops to wait takes the message back, unless it is on its way."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, delay=5)
    calls = [
        asyncio.create_task(send(hass, entity_id=FAMILY_ENTITY, message=text))
        for text in ("on its way", "waits", "last")
    ]
    await asyncio.sleep(1)
    for call in calls[:2]:
        call.cancel()
    await calls[2]

    assert all(call.cancelled() for call in calls[:2])
    assert [one.text for one in gateway.sent] == ["on its way", "last"]


@needs("messages")
async def test_pause(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """A message waits, once, if the gateway asks for a pause."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, status=429, headers={"Retry-After": "20"}, times=1)
    start = clock.time()
    await send(hass, entity_id=FAMILY_ENTITY, message="Hello")
    assert 20 <= clock.time() - start < 25
    assert [one.text for one in gateway.sent] == ["Hello"]

    asked = gateway.count(text_route)
    gateway.fail(text_route, status=429, headers={"Retry-After": "20"})
    with pytest.raises(HomeAssistantError) as error:
        await send(hass, entity_id=FAMILY_ENTITY, message="Hello")
    assert "Too many requests" in failures(error)
    assert gateway.count(text_route) == asked + 2


@needs("messages")
async def test_too_many(hass: HomeAssistant, gateway: Gateway) -> None:
    """An automation that runs wild is refused, and may send again later."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, delay=1, times=1)
    answers = await asyncio.gather(
        *(send(hass, entity_id=FAMILY_ENTITY, message=str(n)) for n in range(51)),
        return_exceptions=True,
    )

    [error] = [answer for answer in answers if isinstance(answer, HomeAssistantError)]
    assert error.translation_placeholders is not None
    text = TEXTS["too_many_messages"]["message"].format(max_waiting=50)
    assert error.translation_placeholders["failures"] == f"{FAMILY_ENTITY}: {text}"
    await send(hass, entity_id=FAMILY_ENTITY, message="last")
    texts = [one.text for one in gateway.sent]
    assert texts == [*map(str, range(50)), "last"]


@needs("messages")
async def test_some_fail(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, home: Session
) -> None:
    """All recipients are tried; one error names those that get nothing."""
    shop = gateway.add("Shop", State.STOPPED)
    await entry.runtime_data.coordinator.async_refresh()
    add_recipient(hass, entry, shop, NEIGHBOURS, "Neighbours")
    await hass.async_block_till_done()
    everybody = ["notify.neighbours", FAMILY_ENTITY]

    data = {"entity_id": everybody, "message": "Hello"}
    with pytest.raises(HomeAssistantError) as error:
        await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    reason = TEXTS["not_connected"]["message"].format(name="Shop")
    assert key_of(error) == "partly_sent"
    assert error.value.translation_placeholders == {
        "failures": f"notify.neighbours: {reason}",
        "sent": FAMILY_ENTITY,
    }
    assert [one.chat_id for one in gateway.sent] == [FAMILY]
    # where a response is asked for, it tells all of it
    failed, sent = await send(hass, **data)
    assert failed == {
        "entity_id": "notify.neighbours",
        "to": NEIGHBOURS,
        "message_id": None,
        "status": "failed",
        "error": reason,
    }
    assert (sent["to"], sent["status"]) == (FAMILY, "sent")
    assert (sent["message_id"] is not None) is gateway.has("message_ids")
    gateway.sent.pop()

    # the last poll didn't know it yet
    shop.state = State.CONNECTED
    await send(hass, entity_id=everybody, message="Hello")
    assert {one.chat_id for one in gateway.sent[1:]} == {FAMILY, NEIGHBOURS}


@needs("messages")
@pytest.mark.parametrize("polled", [False, True])
async def test_instance_gone(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    home: Session,
    *,
    polled: bool,
) -> None:
    """The recipient of a deleted instance gets nothing."""
    del gateway.sessions[home.id]
    if polled:
        await poll_twice(entry)

    with pytest.raises(HomeAssistantError) as error:
        await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert failures(error) == f"{BEN_ENTITY}: {TEXTS['not_found']['message']}"

    gateway.add("Home", State.CONNECTED, id=home.id)
    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages")
@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}, {"hang": True}])
async def test_maybe_sent(
    hass: HomeAssistant, gateway: Gateway, fault: dict[str, Any]
) -> None:
    """A message without a clear answer isn't repeated."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, **fault)

    with pytest.raises(HomeAssistantError) as error:
        await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert failures(error) == f"{BEN_ENTITY}: {TEXTS['maybe_sent']['message']}"
    assert gateway.count(text_route) == 1

    with pytest.raises(HomeAssistantError) as error:
        await notify(hass, BEN_ENTITY, message="Hello")
    assert key_of(error) == "maybe_sent"

    gateway.heal()
    await notify(hass, BEN_ENTITY, message="Hello")
    assert gateway.count(text_route) == 3


@needs("messages")
async def test_one_poll_for_many(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, home: Session
) -> None:
    """Messages that wait for an instance without a connection share a poll."""
    home.state = State.STOPPED
    await entry.runtime_data.coordinator.async_refresh()
    polls = gateway.count("list")
    answers = await asyncio.gather(
        *(send(hass, entity_id=FAMILY_ENTITY, message=str(n)) for n in range(20)),
        return_exceptions=True,
    )
    assert all(isinstance(answer, HomeAssistantError) for answer in answers)
    # the first one has polled before the others were there
    assert gateway.count("list") <= polls + 2

    # a caller that is cancelled while it polls leaves the poll to the next one
    home.state = State.CONNECTED
    first, second, third = (
        asyncio.create_task(send(hass, entity_id=FAMILY_ENTITY, message=text))
        for text in ("first", "second", "third")
    )
    gateway.fail("list", delay=1, times=1)
    await asyncio.sleep(0.5)
    first.cancel()
    await asyncio.gather(second, third)
    # the gateway notices later that nobody waits for its answer
    await asyncio.sleep(1)
    assert [one.text for one in gateway.sent] == ["second", "third"]

    await send(hass, entity_id=FAMILY_ENTITY, message="Hello")
    assert [one.text for one in gateway.sent[2:]] == ["Hello"]


@needs("polls")
async def test_too_many_answers(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A poll with more answers than the gateway takes is refused."""
    limit = entry.runtime_data.provider.max_poll_options
    options = [str(number) for number in range(limit + 1)]
    with pytest.raises(ServiceValidationError) as error:
        await send(hass, entity_id=BEN_ENTITY, message="?", poll_options=options)
    assert key_of(error) == "too_many_options"

    await send(hass, entity_id=BEN_ENTITY, message="?", poll_options=options[1:])
    [sent] = gateway.sent
    assert list(sent.options) == options[1:]


@needs("messages")
async def test_key_refused(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A refused API key asks for another one."""
    gateway.fail("*", status=401)
    with pytest.raises(HomeAssistantError) as error:
        await notify(hass, BEN_ENTITY, message="Hello")
    assert key_of(error) == "invalid_auth"
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH

    gateway.heal()
    await notify(hass, BEN_ENTITY, message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages", "media_content")
async def test_no_media_sources(hass: HomeAssistant, gateway: Gateway) -> None:
    """Home Assistant may be set up without media sources."""
    media = "media-source://media_source/local/door.jpg"
    with pytest.raises(HomeAssistantError) as error:
        await send(hass, entity_id=BEN_ENTITY, media=media)
    assert key_of(error) == "media_unavailable"

    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages")
@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"message": "Hello"}, "recipient_required"),
        ({"message": "Hello", "to": BEN}, "recipient_required"),
        (
            {"message": "Hello", "to": BEN, "entity_id": BEN_ENTITY},
            "recipient_required",
        ),
        ({"message": "Hello", "entity_id": "notify.other"}, "no_recipient"),
        ({"message": "Hello", "entity_id": "sensor.home_status"}, "no_recipient"),
        ({"entity_id": BEN_ENTITY}, "message_required"),
        ({"entity_id": BEN_ENTITY, "message": " "}, "message_required"),
        (
            {"entity_id": BEN_ENTITY, "message": "Hello", "mentions": "Ben"},
            "invalid_phone_number",
        ),
        (
            {"entity_id": BEN_ENTITY, "file": "/a", "url": "https://example.com/a"},
            "several_contents",
        ),
        ({"entity_id": BEN_ENTITY, "reaction": "👍"}, "reply_to_required"),
        (
            {"entity_id": BEN_ENTITY, "poll_options": ["Yes", "No"]},
            "message_required",
        ),
        (
            {
                "entity_id": BEN_ENTITY,
                "reaction": "👍",
                "reply_to": "1",
                "message": "Hello",
            },
            "several_contents",
        ),
        (
            {
                "entity_id": BEN_ENTITY,
                "file": "/a.ogg",
                "message": "Hello",
                "send_as": "voice",
            },
            "voice_with_text",
        ),
    ],
)
async def test_invalid(
    hass: HomeAssistant, gateway: Gateway, data: dict[str, Any], key: str
) -> None:
    """What makes no message isn't sent, to nobody."""
    with pytest.raises(ServiceValidationError) as error:
        await send(hass, **data)
    assert key_of(error) == key
    assert gateway.sent == []

    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages")
async def test_invalid_chats(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Chats have to be phone numbers or IDs, and the device an instance."""
    home, ben = device_id(hass, entry), device_id(hass, entry, "Ben")
    for to in ("Ben", "ben@example.com", "@g.us"):
        with pytest.raises(ServiceValidationError) as error:
            await send(hass, device_id=home, to=[BEN, to], message="Hello")
        assert key_of(error) == "invalid_recipient"
    with pytest.raises(ServiceValidationError) as error:
        await send(hass, device_id=ben, to=[BEN], message="Hello")
    assert key_of(error) == "no_instance"
    with pytest.raises(vol.Invalid):
        await send(hass, entity_id=BEN_ENTITY, message="?", poll_options=["One"])
    assert gateway.sent == []

    await send(hass, device_id=home, to=[BEN], message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages", "replies")
async def test_reply(hass: HomeAssistant, gateway: Gateway) -> None:
    """A message can answer another one."""
    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    [first] = gateway.sent
    await send(hass, entity_id=BEN_ENTITY, message="Bye", reply_to=first.id)
    assert gateway.sent[1].reply_to == first.id


@needs("messages", "mentions")
async def test_mention(hass: HomeAssistant, gateway: Gateway) -> None:
    """People in a group can be mentioned."""
    await send(
        hass,
        entity_id=FAMILY_ENTITY,
        message="@12025550123 come",
        mentions=["+1 202 555 0123"],
    )
    [sent] = gateway.sent
    assert sent.mentions == ("12025550123",)


@needs("messages", "polls")
@pytest.mark.parametrize("multiple", [False, True])
async def test_poll(hass: HomeAssistant, gateway: Gateway, *, multiple: bool) -> None:
    """The message is the question of a poll."""
    await send(hass, entity_id=FAMILY_ENTITY, poll_multiple=multiple, **QUESTION)
    [sent] = gateway.sent
    assert (sent.kind, sent.text) == ("poll", "Pizza?")
    assert (sent.options, sent.multiple) == (("Yes", "No"), multiple)


@needs("messages", "locations")
async def test_location(hass: HomeAssistant, gateway: Gateway) -> None:
    """The message is the name of a location."""
    await send(hass, entity_id=FAMILY_ENTITY, message="Here", **PLACE)
    [sent] = gateway.sent
    assert (sent.kind, sent.text) == ("location", "Here")
    assert (sent.latitude, sent.longitude) == (52.5, 13.4)


@needs("messages", "reactions")
async def test_reaction(hass: HomeAssistant, gateway: Gateway) -> None:
    """An emoji reacts to a message."""
    await send(hass, entity_id=BEN_ENTITY, message="Hello")
    await send(hass, entity_id=BEN_ENTITY, reaction="👍", reply_to=gateway.sent[0].id)
    assert (gateway.sent[1].kind, gateway.sent[1].text) == ("reaction", "👍")
    assert gateway.sent[1].reply_to is not None


@pytest.mark.parametrize(
    ("feature", "data"),
    [
        ("replies", {"message": "Hello", "reply_to": "1"}),
        ("mentions", {"message": "Hello", "mentions": "12025550123"}),
        ("polls", QUESTION),
        ("locations", PLACE),
        ("reactions", {"reaction": "👍", "reply_to": "1"}),
    ],
)
@needs("messages")
async def test_missing_feature(
    hass: HomeAssistant, gateway: Gateway, feature: str, data: dict[str, Any]
) -> None:
    """What a gateway can't send is refused."""
    if gateway.has(feature):
        return
    with pytest.raises(ServiceValidationError) as error:
        await send(hass, entity_id=BEN_ENTITY, **data)
    assert key_of(error) == f"no_{feature}"
    assert gateway.sent == []


async def chats(hass: HomeAssistant, entry: MockConfigEntry) -> list[dict[str, str]]:
    """Return what the action lists."""
    response: Any = await hass.services.async_call(
        DOMAIN,
        "list_chats",
        {"device_id": device_id(hass, entry)},
        blocking=True,
        return_response=True,
    )
    found: list[dict[str, str]] = response["chats"]
    return found


@needs("messages", "chats")
async def test_list_chats(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """The groups are listed with their names and IDs."""
    found = await chats(hass, entry)
    groups = [one for one in found if one["type"] == "group"]
    assert groups == [
        {"id": FAMILY, "name": "Family", "type": "group"},
        {"id": NEIGHBOURS, "name": "Neighbours", "type": "group"},
    ]
    assert found == sorted(found, key=lambda one: one["name"].casefold())

    gateway.fail("chats", status=500)
    with pytest.raises(HomeAssistantError) as error:
        await chats(hass, entry)
    assert key_of(error) == "cannot_connect"

    gateway.heal()
    assert await chats(hass, entry) == found


@lacks("chats")
async def test_no_list(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A gateway without a list says so."""
    with pytest.raises(ServiceValidationError) as error:
        await chats(hass, entry)
    assert key_of(error) == "no_chats"


@needs("messages")
async def test_no_messages(
    hass: HomeAssistant, entry: MockConfigEntry, gateway: Gateway
) -> None:
    """A gateway that sends no messages says so."""
    coordinator = entry.runtime_data
    messages, coordinator.provider.messages = coordinator.provider.messages, None
    data = {"entity_id": BEN_ENTITY, "message": "Hello"}
    with pytest.raises(HomeAssistantError) as error:
        await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    assert key_of(error) == "not_sent"
    assert gateway.sent == []

    coordinator.provider.messages = messages
    await hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    assert [one.text for one in gateway.sent] == ["Hello"]


@pytest.mark.parametrize("action", ["send_message", "list_chats", "download_media"])
async def test_read_only_user(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    hass_read_only_user: MockUser,
    gateway: Gateway,
    action: str,
) -> None:
    """A user who may only look can't send messages, read chats or write files."""
    data = {"device_id": device_id(hass, entry)}
    if action == "send_message":
        data = {"entity_id": BEN_ENTITY, "message": "Hello"}
    elif action == "download_media":
        data |= {"message_id": "1", "path": "/media/a.jpg"}
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            action,
            data,
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
            return_response=True,
        )
    assert gateway.sent == []


@needs("messages")
async def test_other_user(
    hass: HomeAssistant, gateway: Gateway, hass_admin_user: MockUser
) -> None:
    """A user needs no more permissions than to control entities."""
    hass_admin_user.groups = [await hass.auth.async_get_group(GROUP_ID_USER)]
    await hass.services.async_call(
        DOMAIN,
        "send_message",
        {"entity_id": BEN_ENTITY, "message": "Hello"},
        blocking=True,
        context=Context(user_id=hass_admin_user.id),
    )
    assert [one.text for one in gateway.sent] == ["Hello"]
