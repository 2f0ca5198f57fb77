"""Messages that wait: over a reload, for a file, for a gateway that is slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages import files, outbox
from custom_components.whatsapp_gateway.messages.files import async_files
from custom_components.whatsapp_gateway.messages.media_view import MEDIA_VIEW
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.files import PICTURE, FileHome, start
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
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

TEXTS = ENGLISH["exceptions"]
FAMILY_ENTITY, BEN_ENTITY = "notify.family", "notify.ben"
PAUSE = 4
"""Seconds until a message to another chat is sent, at most."""


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
) -> FileHome:
    """Return an account with two recipients."""
    home = await start(hass, gateway, entry, hass_client_no_auth, tmp_path)
    [session] = gateway.sessions.values()
    add_recipient(hass, entry, session, BEN, "Ben")
    await hass.async_block_till_done()
    return home


def start_sending(home: FileHome, entity_id: Any, **data: Any) -> asyncio.Task[Any]:
    """Start to send a message."""
    return asyncio.create_task(send(home.hass, entity_id=entity_id, **data))


def texts(home: FileHome) -> list[str]:
    """Return the texts that have been sent."""
    return [one.text for one in home.gateway.sent]


def reason(error: BaseException | None) -> str:
    """Return why a message to one recipient was not sent."""
    assert isinstance(error, HomeAssistantError)
    assert error.translation_key == "not_sent"
    assert error.translation_placeholders
    return error.translation_placeholders["failures"].partition(": ")[2]


async def begin(home: FileHome, clock: Clock) -> list[asyncio.Task[Any]]:
    """Let messages to two chats wait for their turn."""
    await send(home.hass, entity_id=FAMILY_ENTITY, message="first")
    waiting = []
    for number, entity_id in enumerate([BEN_ENTITY, FAMILY_ENTITY, BEN_ENTITY]):
        waiting.append(start_sending(home, entity_id, message=f"{number}"))
        await clock.run(0.05)
    waiting.append(asyncio.create_task(notify(home.hass, FAMILY_ENTITY, message="3")))
    await clock.run(0.05)
    assert texts(home) == ["first"]
    return waiting


@needs("messages")
async def test_reload(home: FileHome, entry: MockConfigEntry, clock: Clock) -> None:
    """Messages that wait are sent after a reload, in order, once and with pauses."""
    waiting = await begin(home, clock)
    for _ in range(2):
        assert await home.hass.config_entries.async_reload(entry.entry_id)
    await clock.run(0.1)
    # the pause of the first message goes on
    assert texts(home) == ["first"]
    await clock.run(4 * PAUSE)
    await asyncio.gather(*waiting)
    assert texts(home) == ["first", "0", "1", "2", "3"]
    assert await send(home.hass, entity_id=BEN_ENTITY, message="after")


@needs("messages")
async def test_unloaded(home: FileHome, entry: MockConfigEntry, clock: Clock) -> None:
    """Messages wait for an account that is unloaded, but not for long."""
    waiting = await begin(home, clock)
    assert await home.hass.config_entries.async_unload(entry.entry_id)
    await clock.run(outbox.MAX_WAIT_SECONDS / 2)
    assert texts(home) == ["first"]
    assert await home.hass.config_entries.async_setup(entry.entry_id)
    await clock.run(4 * PAUSE)
    await asyncio.gather(*waiting)
    assert len(texts(home)) == 5

    late = start_sending(home, FAMILY_ENTITY, message="late")
    await clock.run(0)
    assert await home.hass.config_entries.async_unload(entry.entry_id)
    await clock.run(outbox.MAX_WAIT_SECONDS + 1)
    text = TEXTS["not_sent_in_time"]["message"].format(minutes=10)
    assert reason(late.exception()) == text
    assert await home.hass.config_entries.async_setup(entry.entry_id)
    await clock.run(PAUSE)
    assert len(texts(home)) == 5
    assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")


@needs("messages")
@pytest.mark.parametrize("how", ["removed", "disabled"])
async def test_ended(
    home: FileHome, entry: MockConfigEntry, clock: Clock, how: str
) -> None:
    """Nothing waits for an account that is removed or disabled."""
    waiting = await begin(home, clock)
    entries = home.hass.config_entries
    if how == "removed":
        await entries.async_remove(entry.entry_id)
    else:
        await entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await clock.run(PAUSE)
    assert all(task.done() for task in waiting)
    *results, notified = await asyncio.gather(*waiting, return_exceptions=True)
    text = TEXTS["account_unavailable"]["message"]
    assert {reason(result) for result in results} == {text}
    assert isinstance(notified, HomeAssistantError)
    assert texts(home) == ["first"]
    if how == "disabled":
        await entries.async_set_disabled_by(entry.entry_id, None)
        await clock.run(1)
        assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")
        assert texts(home) == ["first", "after"]


@needs("messages")
async def test_recipient_meanwhile(
    home: FileHome, entry: MockConfigEntry, clock: Clock
) -> None:
    """A recipient is looked up when the turn of a message comes."""
    waiting = await begin(home, clock)
    ben, family = (
        next(
            one
            for one in entry.subentries.values()
            if one.data["chat_id"] == chat  # the recipients of the fixture
        )
        for chat in (BEN, FAMILY)
    )
    home.hass.config_entries.async_remove_subentry(entry, ben.subentry_id)
    data = {**family.data, "chat_id": NEIGHBOURS}
    home.hass.config_entries.async_update_subentry(entry, family, data=data)
    await clock.run(4 * PAUSE)
    text = TEXTS["recipient_gone"]["message"]
    assert [reason(waiting[number].exception()) for number in (0, 2)] == [text] * 2
    assert [(one.text, one.chat_id) for one in home.gateway.sent[1:]] == [
        ("1", NEIGHBOURS),
        ("3", NEIGHBOURS),
    ]
    # one that is disabled
    late = start_sending(home, FAMILY_ENTITY, message="late")
    user = er.RegistryEntryDisabler.USER
    er.async_get(home.hass).async_update_entity(FAMILY_ENTITY, disabled_by=user)
    await clock.run(PAUSE)
    assert reason(late.exception()) == text
    er.async_get(home.hass).async_update_entity(FAMILY_ENTITY, disabled_by=None)
    assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")


@needs("messages")
async def test_slow_gateway(
    home: FileHome, entry: MockConfigEntry, clock: Clock
) -> None:
    """A gateway that doesn't answer for one instance delays no other one."""
    shop = home.gateway.add("Shop", State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    add_recipient(home.hass, entry, shop, NEIGHBOURS, "Neighbours")
    await home.hass.async_block_till_done()
    home.gateway.fail("send", hang=True, times=1)
    slow = start_sending(home, FAMILY_ENTITY, message="slow")
    await clock.run(1)
    behind = start_sending(home, FAMILY_ENTITY, message="behind")
    other = start_sending(home, "notify.neighbours", message="other")
    await clock.run(1)
    assert texts(home) == ["other"]
    assert other.done()
    await clock.run(70)
    await asyncio.gather(slow, behind, other, return_exceptions=True)
    assert texts(home) == ["other", "behind"]


@needs("messages")
async def test_waiting_too_long(home: FileHome, clock: Clock) -> None:
    """A message waits ten minutes for its turn at most."""
    home.gateway.fail("send", hang=True)
    waiting = [
        start_sending(home, FAMILY_ENTITY, message=f"{number}") for number in range(30)
    ]
    await clock.run(outbox.MAX_WAIT_SECONDS + 70)
    assert all(task.done() for task in waiting)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    told = [reason(result) for result in results]
    text = TEXTS["not_sent_in_time"]["message"].format(minutes=10)
    assert told.count(text) > 15
    assert told.count(TEXTS["maybe_sent"]["message"]) == 30 - told.count(text)
    home.gateway.heal()
    assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")


@needs("messages")
async def test_file_of_the_moment(
    home: FileHome, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is loaded when its turn comes, once for all recipients."""
    await send(home.hass, entity_id=FAMILY_ENTITY, message="first")
    file = home.write("door.jpg", PICTURE)
    everybody = [BEN_ENTITY, FAMILY_ENTITY]
    sending = start_sending(home, everybody, file=file)
    await clock.run(0.1)
    assert len(home.gateway.sent) == 1
    home.write("door.jpg", PICTURE + b" later")
    while len(home.gateway.sent) < 2:
        await clock.run(0.1)
    home.write("door.jpg", PICTURE + b" even later")
    await clock.run(PAUSE)
    messages = await sending
    assert [one["status"] for one in messages] == ["sent", "sent"]
    assert {one.media for one in home.gateway.sent[1:]} == {PICTURE + b" later"}
    # links last until they are fetched, or for five minutes
    await clock.run(301)
    assert async_files(home.hass).size == 0


@needs("messages")
async def test_many_files(
    home: FileHome, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only as many files are in memory as fit, and none of a message without room."""
    size = 100_000
    monkeypatch.setattr(files, "MAX_MEDIA", size)
    monkeypatch.setattr(files, "MAX_BYTES", 8 * size)
    file = home.write("door.jpg", PICTURE.ljust(size))
    store, most = async_files(home.hass), 0
    home.gateway.fail("send", delay=0.05)
    calls = [start_sending(home, FAMILY_ENTITY, file=file) for _ in range(70)]
    for _ in range(200):
        await clock.run(0.05)
        most = max(most, store.size)
    assert 0 < most <= 8 * size
    await clock.run(700)
    results = await asyncio.gather(*calls, return_exceptions=True)
    told = [result for result in results if isinstance(result, BaseException)]
    assert len(told) == 20
    text = TEXTS["too_many_messages"]["message"].format(max_waiting=50)
    assert {reason(error) for error in told} == {text}
    assert store.size == 0
    assert await send(home.hass, entity_id=FAMILY_ENTITY, file=file)


@needs("messages", "media_content")
@pytest.mark.parametrize("in_use", [False, True])
async def test_room(
    home: FileHome,
    entry: MockConfigEntry,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_use: bool,
) -> None:
    """A file makes room if only later recipients need it; else others wait for room."""
    shop = home.gateway.add("Shop", State.CONNECTED)
    await entry.runtime_data.coordinator.async_refresh()
    add_recipient(home.hass, entry, shop, NEIGHBOURS, "Neighbours")
    await home.hass.async_block_till_done()
    size = 100_000
    monkeypatch.setattr(files, "MAX_MEDIA", size)
    monkeypatch.setattr(files, "MAX_BYTES", size)
    if in_use:
        home.gateway.fail("send", delay=5, times=1)
    one, other = (home.write(name, PICTURE.ljust(size)) for name in ("a.jpg", "b.jpg"))
    both = start_sending(home, [FAMILY_ENTITY, BEN_ENTITY], file=one, message="a")
    await clock.run(0.5)
    single = start_sending(home, "notify.neighbours", file=other, message="b")
    await clock.run(0.4)
    assert texts(home) == ([] if in_use else ["a", "b"])
    assert async_files(home.hass).size <= size
    await clock.run(5 + 3 * PAUSE)
    await single
    assert [one["status"] for one in await both] == ["sent", "sent"]
    assert sorted(texts(home)) == ["a", "a", "b"]
    assert {one.media for one in home.gateway.sent} == {PICTURE.ljust(size)}
    assert async_files(home.hass).size == 0


def links(home: FileHome) -> int:
    """Return how many files gateways can fetch."""
    return len(home.hass.data[MEDIA_VIEW]._offers)


@lacks("media_content")
async def test_links(home: FileHome, entry: MockConfigEntry, clock: Clock) -> None:
    """A link ends with a refusal and with the account, and not with a reload."""
    file = home.write("door.jpg", PICTURE)
    home.gateway.fail("send", status=400)
    with pytest.raises(HomeAssistantError):
        await send(home.hass, entity_id=FAMILY_ENTITY, file=file)
    assert links(home) == 0
    # the gateway may fetch it later
    home.gateway.fail("send", status=502)
    with pytest.raises(HomeAssistantError):
        await send(home.hass, entity_id=FAMILY_ENTITY, file=file)
    assert links(home) == 1
    assert await home.hass.config_entries.async_reload(entry.entry_id)
    assert links(home) == 1
    assert async_files(home.hass).size == len(PICTURE)
    home.gateway.heal()
    assert await send(home.hass, entity_id=FAMILY_ENTITY, file=file)
    await home.hass.config_entries.async_remove(entry.entry_id)
    assert links(home) == 0
    assert async_files(home.hass).size == 0


@needs("messages")
async def test_response(home: FileHome) -> None:
    """The response tells what has happened for each recipient."""
    home.gateway.fail("send", drop=True, times=1)
    data = {"entity_id": [FAMILY_ENTITY, BEN_ENTITY], "message": "Hello"}
    maybe, sent = await send(home.hass, **data)
    assert (maybe["status"], maybe["message_id"]) == ("maybe_sent", None)
    assert maybe["error"] == TEXTS["maybe_sent"]["message"]
    assert (sent["status"], sent["to"]) == ("sent", BEN)
    # nobody gets it
    home.gateway.fail("send", status=400)
    with pytest.raises(HomeAssistantError) as error:
        await send(home.hass, **data)
    assert error.value.translation_key == "not_sent"
    home.gateway.heal()
    call = home.hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    assert await call is None


@lacks("media_content")
async def test_no_link(home: FileHome, clock: Clock) -> None:
    """A file that can't be offered any more when its turn comes is let go."""
    file = home.write("door.jpg", PICTURE)
    await send(home.hass, entity_id=FAMILY_ENTITY, message="first")
    late = start_sending(home, BEN_ENTITY, file=file)
    await clock.run(0.1)
    url, home.hass.config.external_url = home.hass.config.external_url, None
    await clock.run(PAUSE)
    error = late.exception()
    assert isinstance(error, HomeAssistantError)
    assert error.translation_key == "not_sent"
    assert async_files(home.hass).size == 0
    home.hass.config.external_url = url
    assert await send(home.hass, entity_id=FAMILY_ENTITY, file=file)


@lacks("media_content")
async def test_room_for_links(
    home: FileHome, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that nobody fetches leave half of the room to others."""
    size = 100_000
    monkeypatch.setattr(files, "MAX_MEDIA", size)
    monkeypatch.setattr(files, "MAX_BYTES", 4 * size)
    file = home.write("door.jpg", PICTURE.ljust(size))
    # the answer of a proxy; the gateway may fetch the file later
    home.gateway.fail("send", status=502)
    calls = [start_sending(home, FAMILY_ENTITY, file=file) for _ in range(3)]
    await clock.run(5)
    assert [call.done() for call in calls] == [True, True, False]
    assert async_files(home.hass).size <= 3 * size
    await clock.run(300)
    results = await asyncio.gather(*calls, return_exceptions=True)
    text = TEXTS["maybe_sent"]["message"]
    assert [reason(result) for result in results] == [text] * 3
    await clock.run(301)
    assert async_files(home.hass).size == 0
    home.gateway.heal()
    assert await send(home.hass, entity_id=FAMILY_ENTITY, file=file)


@needs("messages")
@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("seconds", [0.1, 30])
async def test_disabled_for_a_moment(
    home: FileHome,
    entry: MockConfigEntry,
    clock: Clock,
    seconds: float,
    *,
    is_loaded: bool,
) -> None:
    """What waited when the account was disabled isn't sent later."""
    home.gateway.fail("send", delay=20, times=1)
    waiting = [
        start_sending(home, FAMILY_ENTITY, message=f"{number}") for number in range(3)
    ]
    await clock.run(1)
    entries, user = home.hass.config_entries, ConfigEntryDisabler.USER
    if not is_loaded:
        home.gateway.fail("list", status=500)
        await entries.async_reload(entry.entry_id)
        assert entry.state is ConfigEntryState.SETUP_RETRY
    await entries.async_set_disabled_by(entry.entry_id, user)
    await clock.run(seconds)
    home.gateway.heal()
    await entries.async_set_disabled_by(entry.entry_id, None)
    await clock.run(60)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert texts(home) == ["0"]
    assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")


@needs("messages")
async def test_reload_during_a_poll(
    home: FileHome, entry: MockConfigEntry, clock: Clock
) -> None:
    """A message waits for the reloaded account if the old one can't tell any more."""
    [session] = home.gateway.sessions.values()
    session.state = State.STOPPED
    await entry.runtime_data.coordinator.async_refresh()
    await clock.run(40)
    session.state = State.CONNECTED
    home.gateway.fail("list", delay=5, times=1)
    sending = start_sending(home, FAMILY_ENTITY, message="Hello")
    await clock.run(1)
    assert await home.hass.config_entries.async_reload(entry.entry_id)
    await clock.run(30)
    await sending
    assert texts(home) == ["Hello"]


@needs("messages")
async def test_long_pause(
    home: FileHome, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message doesn't wait for a pause of the gateway that is too long."""
    monkeypatch.setattr(outbox, "MAX_WAIT_SECONDS", 60)
    home.gateway.fail("send", status=429, headers={"Retry-After": "90"}, times=1)
    with pytest.raises(HomeAssistantError) as error:
        await notify(home.hass, FAMILY_ENTITY, message="Hello")
    assert error.value.translation_key == "not_sent_in_time"
    await clock.run(100)
    assert texts(home) == []
    await notify(home.hass, FAMILY_ENTITY, message="after")
    assert texts(home) == ["after"]


@needs("messages")
async def test_replies_that_wait(
    home: FileHome, entry: MockConfigEntry, clock: Clock
) -> None:
    """Automatic replies to one chat wait ten minutes at most, all together."""
    assert await home.hass.config_entries.async_reload(entry.entry_id)
    home.gateway.fail("send", delay=50, times=2)
    replies = [
        start_sending(home, FAMILY_ENTITY, message=f"{number}", automatic_reply=True)
        for number in range(4)
    ]
    await clock.run(10)
    assert await home.hass.config_entries.async_unload(entry.entry_id)
    await clock.run(outbox.MAX_WAIT_SECONDS)
    assert all(reply.done() for reply in replies)
    results = await asyncio.gather(*replies, return_exceptions=True)
    text = TEXTS["not_sent_in_time"]["message"].format(minutes=10)
    assert [reason(result) for result in results[1:]] == [text] * 3
    assert await home.hass.config_entries.async_setup(entry.entry_id)
    await clock.run(100)
    assert texts(home) == ["0"]
    assert await send(home.hass, entity_id=FAMILY_ENTITY, message="after")


@needs("messages")
async def test_reply_without_file(home: FileHome, clock: Clock) -> None:
    """An automatic reply whose file can't be loaded is none, and others go on."""
    data = {"entity_id": FAMILY_ENTITY, "automatic_reply": True}
    with pytest.raises(HomeAssistantError) as error:
        await send(home.hass, **data, file=f"{home.folder}/missing.jpg")
    assert error.value.translation_key == "file_not_found"
    file = home.write("door.jpg", PICTURE)
    [first] = await send(home.hass, **data, file=file)
    [second] = await send(home.hass, **data, file=file)
    assert (first["status"], second["status"]) == ("sent", "skipped")


@needs("messages")
async def test_same_end(home: FileHome, entry: MockConfigEntry, clock: Clock) -> None:
    """Two numbers with the same end can be told apart in an error."""
    device = device_named(home.hass, entry, "Home")
    chats = ["4915112340010@s.whatsapp.net", "4915212340010@s.whatsapp.net"]
    home.gateway.people |= {chat.partition("@")[0]: "X" for chat in chats}
    data = {"device_id": device.id, "to": chats, "message": "Hello"}
    home.gateway.fail("send", status=400, times=1)
    call = asyncio.create_task(
        home.hass.services.async_call(DOMAIN, "send_message", data, blocking=True)
    )
    await clock.run(2 * PAUSE)
    error = call.exception()
    assert isinstance(error, HomeAssistantError)
    told = error.translation_placeholders or {}
    assert told["failures"].startswith("…0010@s.whatsapp.net: ")
    assert told["sent"] == "…0010@s.whatsapp.net (#2)"


@needs("messages", "number_check")
async def test_look_ups_without_file(
    home: FileHome, entry: MockConfigEntry, clock: Clock
) -> None:
    """Numbers are looked up with pauses, also if nothing is sent then."""
    device = device_named(home.hass, entry, "Home")
    numbers = [f"+1 202 555 01{number}" for number in (23, 24, 25)]
    home.gateway.people |= {
        number.lstrip("+").replace(" ", ""): "X" for number in numbers
    }
    missing = {"file": f"{home.folder}/missing.jpg"}
    call = asyncio.create_task(
        send(home.hass, device_id=device.id, to=numbers, **missing)
    )
    await clock.run(0.5)
    assert home.gateway.count("check_number") == 1
    await clock.run(3 * PAUSE)
    assert home.gateway.count("check_number") == 3
    assert isinstance(call.exception(), HomeAssistantError)
