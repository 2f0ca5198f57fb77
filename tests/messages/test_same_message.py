"""A message is known by its chat, its sender and its ID, in whatever form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from tests.harness.facts import SUPPORTED, needs
from tests.harness.recipients import BEN, FAMILY, NEIGHBOURS, add_recipient

if TYPE_CHECKING:
    from tests.harness.clock import Clock
    from tests.harness.receiving import Receiving

BEN_NUMBER, ANNA = "12025550123", "12025550198"
ANNA_CHAT = f"{ANNA}@s.whatsapp.net"
STRANGER = "12025550199@s.whatsapp.net"
SOON = 0.5
"""Seconds until a message is shown, at most."""
LOOKUP = 6
"""Seconds until the number behind a LID isn't waited for any more."""


@pytest.fixture(
    params=[key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that reports messages in turn."""
    key: str = request.param
    return key


@pytest.mark.parametrize("known", ["number", "nothing", "hanging"])
@pytest.mark.parametrize("first", ["lid", "number"])
@pytest.mark.parametrize("chat", [BEN, FAMILY])
@needs("receiving", "lid_lookup")
async def test_lid_and_number(
    home: Receiving, clock: Clock, known: str, first: str, chat: str
) -> None:
    """A message of a LID and one of a number with the same ID are one."""
    if known == "hanging":
        home.gateway.fail("lid", hang=True)
    elif known == "nothing":
        home.gateway.fail("lid", body=b'{"pn": null}')
    copy = {"chat_id": chat, "sender": BEN_NUMBER, "message_id": "3ED1"}
    for as_lid in (first == "lid", first != "lid"):
        await home.get("hi", **copy, as_lid=as_lid)
        await clock.run(0.005)
    await clock.run(LOOKUP)
    assert home.texts == ["hi"]
    # also after a reload
    assert await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    for as_lid in (False, True):
        await home.get("hi", **copy, as_lid=as_lid)
    await clock.run(2 * LOOKUP)
    assert home.texts == ["hi"]
    await home.get("next", chat_id=chat, sender=BEN_NUMBER)
    await clock.run(SOON)
    assert home.texts == ["hi", "next"]


@pytest.mark.parametrize("known", [True, False])
@needs("receiving", "lid_lookup")
async def test_lid_of_recipient(home: Receiving, clock: Clock, *, known: bool) -> None:
    """A copy that isn't recognized as a recipient's doesn't hide the other one."""
    await home.choose("recipients")
    add_recipient(home.hass, home.entry, home.session, BEN, "Ben")
    if not known:
        home.gateway.fail("lid", body=b'{"pn": null}')
    for as_lid in (True, False):
        await home.get("hi", message_id="3ED2", as_lid=as_lid)
        await clock.run(LOOKUP)
    assert home.texts == ["hi"]
    assert home.last["recipient"] == "notify.ben"


async def test_copies(home: Receiving, clock: Clock) -> None:
    """Copies that arrive at once, late or after a reload are one message."""
    copy: dict[str, Any] = {"message_id": "3ED3"}
    for _ in range(3):
        await home.get("hi", **copy)
    await clock.run(SOON)
    assert home.texts == ["hi"]
    await home.hass.config_entries.async_reload(home.entry.entry_id)
    await home.until_ready()
    await home.get("hi", **copy)
    await home.get("other", message_id="3ED4")
    await clock.run(SOON)
    assert home.texts == ["hi", "other"]
    assert home.account.inbox.dropped["duplicate"] == 1


@pytest.mark.parametrize("text", ["hi", "ho"])
async def test_two_people(home: Receiving, clock: Clock, text: str) -> None:
    """The same ID of two people, or in two groups, means two messages."""
    same = {"message_id": "3ED7"}
    await home.get("hi", chat_id=BEN, **same)
    await home.get(text, chat_id=ANNA_CHAT, **same)
    await home.get(text, chat_id=FAMILY, sender=BEN_NUMBER, **same)
    await home.get(text, chat_id=FAMILY, sender=ANNA, **same)
    await home.get(text, chat_id=NEIGHBOURS, sender=ANNA, **same)
    await clock.run(SOON)
    assert home.texts == ["hi", *[text] * 4]
    assert not home.account.inbox.dropped


@pytest.mark.parametrize("known", [True, False])
@needs("receiving", "lid_lookup")
async def test_two_people_and_a_lid(
    home: Receiving, clock: Clock, *, known: bool
) -> None:
    """A LID and the number of somebody else are two people."""
    if not known:
        home.gateway.fail("lid", body=b'{"pn": null}')
    await home.get("hi", chat_id=BEN, as_lid=True, message_id="3ED8")
    await clock.run(LOOKUP)
    await home.get("ho", chat_id=STRANGER, message_id="3ED8")
    await clock.run(SOON)
    assert home.texts == ["hi", "ho"]


@needs("receiving", "own_messages", "lids")
async def test_own_message(home: Receiving, clock: Clock) -> None:
    """An own message that is reported for a LID and a number is shown once."""
    for as_lid in (True, False):
        await home.get("mine", from_me=True, message_id="3ED9", as_lid=as_lid)
        await clock.run(LOOKUP)
    assert home.texts == ["mine"]
    assert home.last["event_type"] == "sent_by_phone"


@needs("receiving", "lids")
async def test_reaction(home: Receiving, clock: Clock) -> None:
    """A reaction that is reported for a LID and a number is shown once."""
    original = await home.get("hi", from_me=home.gateway.has("own_messages"))
    reaction = {"kind": "reaction", "reply_to": original, "message_id": "3EDA"}
    for as_lid in (True, False):
        await home.get("👍", **reaction, as_lid=as_lid)
        await clock.run(LOOKUP)
    assert home.texts == ["hi", "👍"]


async def test_reaction_taken_back(home: Receiving, clock: Clock) -> None:
    """A reaction that is taken back has the type of a reaction, and no text."""
    original = await home.get("hi")
    for emoji in ("👍", ""):
        await home.gateway.react(home.session, BEN, original, emoji)
        await clock.run(SOON)
    assert home.texts == ["hi", "👍", ""]
    assert home.last["event_type"] == "reaction"
    assert home.last["reply_to"] == original


async def test_broadcast_list(home: Receiving, clock: Clock) -> None:
    """What comes by a broadcast list is a private message; a status update is none."""
    await home.choose("recipients")
    add_recipient(home.hass, home.entry, home.session, BEN, "Ben")
    await clock.run(1)
    await home.get("news", chat_id="1764500000@broadcast", sender=BEN_NUMBER)
    await clock.run(SOON)
    assert home.texts == ["news"]
    assert (home.last["chat_id"], home.last["recipient"]) == (BEN, "notify.ben")
    assert (home.last["sender"], home.last["is_group"]) == (f"+{BEN_NUMBER}", False)
    for chat in ("status@broadcast", "120363144038483540@newsletter"):
        await home.get("public", chat_id=chat, sender=BEN_NUMBER)
    await home.get("mine", chat_id="1764500000@broadcast", from_me=True)
    await clock.run(SOON)
    assert home.texts == ["news"]
    await home.get("after")
    await clock.run(SOON)
    assert home.texts == ["news", "after"]
