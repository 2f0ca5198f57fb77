"""Automatic replies stop before they go on forever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.messages import replies
from tests.gateways.machine import State
from tests.harness.facts import needs
from tests.harness.recipients import BEN, FAMILY, add_recipient, send

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway
    from tests.harness.clock import Clock

sending = needs("messages", "message_ids")
BEN_ENTITY, FAMILY_ENTITY, SHOP_ENTITY = "notify.ben", "notify.family", "notify.shop"
MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture(autouse=True)
async def account(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Set an account up with recipients of two instances."""
    home, shop = (gateway.add(name, State.CONNECTED) for name in ("Home", "Shop"))
    add_recipient(hass, entry, home, BEN, "Ben")
    add_recipient(hass, entry, home, FAMILY, "Family")
    add_recipient(hass, entry, shop, BEN, "Shop")
    assert await hass.config_entries.async_setup(entry.entry_id)


async def reply(
    hass: HomeAssistant, text: str, entity_id: str = BEN_ENTITY, **data: Any
) -> str | None:
    """Send an automatic reply; return why it was skipped, None if it was sent."""
    data |= {"message": text, "automatic_reply": True}
    [outcome] = await send(hass, entity_id=entity_id, **data)
    skipped: str | None = outcome.get("skipped")
    assert (outcome["message_id"] is None) is (skipped is not None)
    return skipped


@sending
async def test_too_many(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """A chat gets five replies within a minute, each chat and instance on its own."""
    for number in range(5):
        assert await reply(hass, f"{number}") is None
        await clock.run(10)
    assert await reply(hass, "5") == "too_many_replies"
    assert await reply(hass, "5", FAMILY_ENTITY) is None
    assert await reply(hass, "5", SHOP_ENTITY) is None
    # what is no automatic reply is always sent
    [outcome] = await send(hass, entity_id=BEN_ENTITY, message="5")
    assert "skipped" not in outcome
    # the first one is a minute ago
    await clock.run(11)
    assert await reply(hass, "6") is None
    assert await reply(hass, "7") == "too_many_replies"
    assert [message.text for message in gateway.sent] == [*"01234", *"555", "6"]


@sending
async def test_same(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """The last reply to a chat isn't repeated within an hour."""
    assert await reply(hass, "Yes") is None
    await clock.run(HOUR - 30, step=600)
    assert await reply(hass, " Yes\n") == "same_reply"
    assert await reply(hass, "Yes", FAMILY_ENTITY) is None
    assert await reply(hass, "No") is None
    assert await reply(hass, "Yes") is None
    await clock.run(HOUR + 30, step=600)
    assert await reply(hass, "Yes") is None
    assert len(gateway.sent) == 5


@sending
async def test_at_once(hass: HomeAssistant, gateway: Gateway) -> None:
    """Replies at the same time are counted one after the other."""
    same = await asyncio.gather(*(reply(hass, "Yes") for _ in range(3)))
    assert sorted(same, key=str) == [None, "same_reply", "same_reply"]
    others = await asyncio.gather(*(reply(hass, f"{number}") for number in range(9)))
    assert others.count(None) == 4
    assert others.count("too_many_replies") == 5
    assert len(gateway.sent) == 5


@sending
async def test_several_recipients(hass: HomeAssistant, gateway: Gateway) -> None:
    """The response tells of each chat whether its reply was skipped."""
    await reply(hass, "Yes")
    entity_ids = [BEN_ENTITY, FAMILY_ENTITY]
    data = {"entity_id": entity_ids, "message": "Yes", "automatic_reply": True}
    ben, family = await send(hass, **data)
    assert ben == {
        "entity_id": BEN_ENTITY,
        "to": BEN,
        "message_id": None,
        "status": "skipped",
        "skipped": "same_reply",
    }
    assert family["message_id"]
    assert "skipped" not in family


@sending
async def test_reload(
    hass: HomeAssistant, entry: MockConfigEntry, gateway: Gateway, clock: Clock
) -> None:
    """A reload doesn't start anew."""
    for number in range(5):
        assert await reply(hass, f"Reply {number}") is None
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await reply(hass, "Reply 4") == "same_reply"
    assert await reply(hass, "Reply 5") == "too_many_replies"
    await clock.run(MINUTE)
    assert await reply(hass, "Reply 5") is None


@sending
async def test_failed(hass: HomeAssistant, gateway: Gateway) -> None:
    """A reply that was not sent doesn't count."""
    assert await reply(hass, "Yes") is None
    gateway.fail("send", status=400)
    for number in range(6):
        with pytest.raises(HomeAssistantError):
            await reply(hass, f"{number}")
    gateway.heal()
    # the last one that was sent is still known
    assert await reply(hass, "Yes") == "same_reply"
    assert await reply(hass, "5") is None


@sending
async def test_may_be_sent(hass: HomeAssistant, gateway: Gateway) -> None:
    """A reply that may have been sent counts."""
    gateway.fail("send", truncate=True)
    with pytest.raises(HomeAssistantError):
        await reply(hass, "Yes")
    gateway.heal()
    assert await reply(hass, "Yes") == "same_reply"
    for number in range(4):
        assert await reply(hass, f"{number}") is None
    assert await reply(hass, "4") == "too_many_replies"


@sending
async def test_given_up(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """A reply counts if nobody waits for it any more."""
    gateway.fail("send", late=5)
    task = asyncio.create_task(reply(hass, "Yes"))
    await clock.run(1)
    task.cancel()
    await clock.run(10)
    gateway.heal()
    assert await reply(hass, "Yes") == "same_reply"
    assert len(gateway.sent) == 1


@sending
async def test_taken_back(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """A reply that is taken back while it waits for its turn doesn't count."""
    [text_route, *_] = gateway.send_routes
    gateway.fail(text_route, delay=5, times=1)
    first = asyncio.create_task(send(hass, entity_id=FAMILY_ENTITY, message="Hello"))
    await clock.run(1)
    restarted = asyncio.create_task(reply(hass, "Yes"))
    await clock.run(1)
    restarted.cancel()
    assert await reply(hass, "Yes") is None
    await first
    assert [message.text for message in gateway.sent] == ["Hello", "Yes"]

    # the gateway refuses it for now, and then nobody waits for it any more
    gateway.fail("send", status=429, headers={"Retry-After": "20"}, times=1)
    restarted = asyncio.create_task(reply(hass, "No"))
    await clock.run(5)
    restarted.cancel()
    await clock.run(20)
    gateway.heal()
    assert await reply(hass, "No") is None
    assert [message.text for message in gateway.sent] == ["Hello", "Yes", "No"]


@sending
async def test_group(hass: HomeAssistant, gateway: Gateway, clock: Clock) -> None:
    """Two numbers in one group share the replies to it, also those of two accounts."""
    other = MockConfigEntry(
        domain=DOMAIN,
        title="Other",
        data={**hass.config_entries.async_entries(DOMAIN)[0].data},
    )
    other.add_to_hass(hass)
    shop = next(one for one in gateway.sessions.values() if one.name == "Shop")
    add_recipient(hass, other, shop, FAMILY, "Shop family")
    add_recipient(hass, other, shop, BEN, "Shop Ben")
    assert await hass.config_entries.async_setup(other.entry_id)
    entity_ids = [FAMILY_ENTITY, "notify.shop_family"] * 3
    for number, entity_id in enumerate(entity_ids[:5]):
        assert await reply(hass, f"{number}", entity_id) is None
    for entity_id in (FAMILY_ENTITY, "notify.shop_family"):
        assert await reply(hass, "5", entity_id) == "too_many_replies"
    # private chats are others
    assert await reply(hass, "5", BEN_ENTITY) is None
    assert await reply(hass, "5", "notify.shop_ben") is None
    await clock.run(MINUTE)
    assert await reply(hass, "6", FAMILY_ENTITY) is None
    assert await reply(hass, "6", "notify.shop_family") == "same_reply"


@sending
async def test_log(
    hass: HomeAssistant, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells the reason, but not the text."""
    await reply(hass, "Planted")
    await reply(hass, "Planted")
    [line] = [
        record.getMessage()
        for record in caplog.records
        if record.name.endswith("actions.send")
    ]
    assert "same_reply" in line
    assert "Planted" not in line


@sending
async def test_forgotten_chats(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the chats of the last replies are remembered."""
    monkeypatch.setattr(replies, "MAX_CHATS", 2)
    for entity_id in (BEN_ENTITY, FAMILY_ENTITY, SHOP_ENTITY):
        assert await reply(hass, "Yes", entity_id) is None
    assert await reply(hass, "Yes", SHOP_ENTITY) == "same_reply"
    assert await reply(hass, "Yes", BEN_ENTITY) is None


@needs("messages", "message_ids", "replies", "media_content")
async def test_same_content(
    hass: HomeAssistant, gateway: Gateway, tmp_path: Path
) -> None:
    """Two pictures without a text differ, and the quoted message doesn't matter."""
    assert await reply(hass, "Yes") is None
    assert await reply(hass, "Yes", reply_to="3EB0AA") == "same_reply"
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    file = tmp_path / "door.jpg"
    outcomes = []
    for content in (b"one", b"one", b"two"):
        file.write_bytes(b"\xff\xd8\xff" + content)
        outcomes.append(await reply(hass, "", file=str(file)))
    assert outcomes == [None, "same_reply", None]
