"""The blueprints that send and receive messages, in real automations."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

import pytest

from homeassistant.components.camera import Camera
import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.core import SupportsResponse, callback
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    async_mock_service,
    setup_test_component_platform,
)

from .gateways.machine import State
from .harness.facts import needs
from .harness.helpers import state_of, until
from .harness.receiving import MESSAGE, Receiving, start_with_recipients
from .harness.recipients import BEN, FAMILY, add_recipient

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.util.json import JsonObjectType
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .gateways import Gateway
    from .gateways.machine import Session
    from .harness.clock import Clock

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"
PICTURE = b"\xff\xd8\xff\xe0 a picture"
ASK = {"trigger": "event", "event_type": "ask"}
SENT = 15.0
"""Seconds until a message has been sent, at most."""


class TestCamera(Camera):
    """A camera that shows always the same."""

    __test__ = False
    _attr_name = "Door"

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        return PICTURE


@pytest.fixture(autouse=True)
def _blueprints(hass: HomeAssistant, tmp_path: Path) -> None:
    """Let Home Assistant find the blueprints where it looks for a person's own."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "blueprints").symlink_to(BLUEPRINTS)


@pytest.fixture
async def camera(hass: HomeAssistant) -> None:
    """Have a camera before Home Assistant's own server is started."""
    setup_test_component_platform(hass, "camera", [TestCamera()])
    assert await async_setup_component(hass, "camera", {"camera": {"platform": "test"}})


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Receiving:
    """Return an account with two recipients that receives messages from everyone."""
    return await start_with_recipients(
        hass, gateway, entry, hass_client_no_auth, "everyone"
    )


@pytest.fixture
def told(hass: HomeAssistant) -> list[ServiceCall]:
    """Return what the actions of an automation are called with."""
    calls: list[ServiceCall] = async_mock_service(hass, "test", "tell")
    return calls


async def automate(hass: HomeAssistant, blueprint: str, **inputs: Any) -> None:
    """Set an automation of a blueprint up."""
    use = {"path": f"whatsapp_gateway/{blueprint}.yaml", "input": inputs}
    config = {"automation": [{"id": "it", "alias": "It", "use_blueprint": use}]}
    assert await async_setup_component(hass, "automation", config)
    assert state_of(hass, "automation.it") == "on"


def sent(home: Receiving) -> list[tuple[str, str]]:
    """Return the chat and the text of each message that was sent."""
    return [(message.chat_id, message.text) for message in home.gateway.sent]


@pytest.fixture
def answers() -> Callable[[str], str]:
    """Return what makes the answer of Assist from what it is told: the same."""
    return str


@pytest.fixture
def assist(hass: HomeAssistant, answers: Callable[[str], str]) -> list[ServiceCall]:
    """Let the action of Assist answer; return what it is called with."""
    calls: list[ServiceCall] = []

    @callback
    def process(call: ServiceCall) -> ServiceResponse:
        calls.append(call)
        text = answers(call.data["text"])
        speech: JsonObjectType = {"plain": {"speech": text}} if text else {}
        return {"response": {"speech": speech}, "conversation_id": "any"}

    hass.services.async_register(
        "conversation", "process", process, supports_response=SupportsResponse.OPTIONAL
    )
    return calls


@needs("receiving", "replies")
@pytest.mark.parametrize(
    "text", ["Light on", "[1, 2]", "{'a': 1}", "5", "None", "{{ 1 }}"]
)
async def test_assist(
    home: Receiving, assist: list[ServiceCall], clock: Clock, text: str
) -> None:
    """Whoever is chosen gets an answer, which quotes the message."""
    await automate(
        home.hass, "answer_with_assist", message=MESSAGE, recipients=["notify.ben"]
    )
    message_id = await home.get(text)
    await home.get("Not chosen", chat_id=FAMILY, sender="12025550123")
    await home.get("A stranger", chat_id="12025550199@s.whatsapp.net")
    await home.get("A picture", kind="image", media=PICTURE, mime_type="image/jpeg")
    await home.gateway.react(home.session, BEN, message_id, "👍")
    await clock.run(SENT)
    [call] = assist
    assert call.data == {
        "agent_id": "conversation.home_assistant",
        "conversation_id": "whatsapp_notify.ben",
        "text": text,
    }
    assert sent(home) == [(BEN, text)]
    assert home.gateway.sent[0].reply_to == message_id


@needs("receiving")
async def test_assist_without_quotes(
    home: Receiving, assist: list[ServiceCall], clock: Clock
) -> None:
    """Answers of several messages go out in order, also without quotes."""
    inputs = {"message": MESSAGE, "recipients": ["notify.ben"], "quote": False}
    await automate(home.hass, "answer_with_assist", **inputs)
    for number in range(3):
        await home.get(f"Question {number}")
    await clock.run(3 * SENT)
    assert sent(home) == [(BEN, f"Question {number}") for number in range(3)]
    assert home.gateway.sent[0].reply_to is None


@needs("receiving")
async def test_assist_says_nothing(
    home: Receiving, assist: list[ServiceCall], clock: Clock
) -> None:
    """Nothing is sent if Assist says nothing, or if receiving is turned off."""
    inputs = {"message": MESSAGE, "recipients": ["notify.ben"], "quote": False}
    await automate(home.hass, "answer_with_assist", **inputs)
    await home.get("")
    await clock.run(SENT)
    await home.choose("no")
    await clock.run(SENT)
    assert sent(home) == []


INVISIBLE = [
    *("   ", "\n", "\u200e", "\u200b\ufeff", "\u2060 \u00ad", "\u3164", "\ufe0f"),
    *("\x01\x7f\x80", "\ufff9\ufffb"),
]


@needs("receiving")
@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
async def test_assist_ignores_blank_texts(
    home: Receiving, assist: list[ServiceCall], clock: Clock, text: str
) -> None:
    """Assist isn't asked about a message of which nothing can be seen."""
    inputs = {"message": MESSAGE, "recipients": ["notify.ben"], "quote": False}
    await automate(home.hass, "answer_with_assist", **inputs)
    await home.get(text)
    await clock.run(SENT)
    assert assist == []
    await home.get(f"{text}👍{text}")
    await clock.run(SENT)
    assert len(assist) == len(sent(home)) == 1


SORRY = "Sorry, I couldn't understand that"


@needs("receiving")
@pytest.mark.parametrize(
    "answers", [lambda _: SORRY, "{}.".format], ids=["same", "varied"]
)
@pytest.mark.usefixtures("assist")
async def test_two_assistants(
    home: Receiving, clock: Clock, answers: Callable[[str], str]
) -> None:
    """Two numbers that answer each other with the blueprint come to an end."""
    hass, gateway, entry = home.hass, home.gateway, home.entry
    shop = gateway.add("Shop", State.CONNECTED)
    await home.account.coordinator.async_refresh()
    await home.until_ready()
    add_recipient(hass, entry, shop, FAMILY, "Other")
    await clock.run(1)
    inputs = {"recipients": ["notify.ben", "notify.other"], "quote": False}
    path = "whatsapp_gateway/answer_with_assist.yaml"
    uses = [
        {"path": path, "input": {**inputs, "message": entity_id}}
        for entity_id in (MESSAGE, "event.shop_message")
    ]
    config = {"automation": [{"use_blueprint": use} for use in uses]}
    assert await async_setup_component(hass, "automation", config)

    bring = asyncio.create_task(bring_to_each_other(home, shop))
    await home.get("Hello, who is there?")
    await clock.run(50)
    exchange = sent(home)
    rounds = 1 if answers("") == SORRY else 5
    assert [chat for chat, _ in exchange] == [BEN, FAMILY] * rounds
    await clock.run(600)
    assert sent(home) == exchange
    bring.cancel()


async def bring_to_each_other(home: Receiving, shop: Session) -> None:
    """Let each of two numbers receive what the other one sends."""
    brought = 0
    while True:
        for message in home.gateway.sent[brought:]:
            brought += 1
            if message.session_id == home.session.id:
                text, sender = message.text, "12025550188"
                await home.gateway.deliver(shop, FAMILY, text, sender=sender)
            else:
                await home.get(message.text)
        await asyncio.sleep(0.5)


def tell(number: int) -> list[dict[str, Any]]:
    """Return the actions of a choice."""
    data = {"number": number, "answer": "{{ answer }}", "by": "{{ sender_name }}"}
    return [{"action": "test.tell", "data": data}]


def question(**inputs: Any) -> dict[str, Any]:
    """Return the inputs of a question to Ben."""
    return {
        "triggers": [ASK],
        "recipient": "notify.ben",
        "message": MESSAGE,
        "question": "Close the {{ 'garage' }}?",
        **{f"actions_{number}": tell(number) for number in range(1, 5)},
        "no_answer": tell(0),
        **inputs,
    }


@needs("receiving")
@pytest.mark.parametrize(
    ("answer", "number"),
    [("1", 1), ("2.", 2), (" no ", 2), ("YES", 1), ("4", 4), ("Never ever", 4)],
)
async def test_question(
    home: Receiving, told: list[ServiceCall], clock: Clock, answer: str, number: int
) -> None:
    """A question is answered by the number or the text of a choice."""
    await automate(home.hass, "ask_question", **question(choice_4="Never ever"))
    await home.get(answer)
    await clock.run(SENT)
    home.hass.bus.async_fire("ask")
    await clock.run(SENT)
    text = "Close the garage?\n\n1. Yes\n2. No\n4. Never ever"
    assert sent(home) == [(BEN, text)]
    await home.get("3")
    await home.get("Maybe")
    await home.get("1", chat_id="12025550199@s.whatsapp.net")
    await clock.run(1)
    assert told == []
    await home.get(answer)
    await home.get("1")
    await clock.run(1)
    [call] = told
    choices = {1: "Yes", 2: "No", 4: "Never ever"}
    assert call.data == {"number": number, "answer": choices[number], "by": "Ben"}


@needs("receiving")
@pytest.mark.parametrize("seconds", [0, 3])
async def test_question_answered_at_once(
    home: Receiving, told: list[ServiceCall], clock: Clock, seconds: int
) -> None:
    """An answer may arrive before the gateway says that it has sent the question."""
    await automate(home.hass, "ask_question", **question())
    home.gateway.fail("send", late=5)
    home.hass.bus.async_fire("ask")
    await until(lambda: home.gateway.sent)
    await clock.run(seconds)
    await home.get("no")
    await home.get("Maybe later")
    await clock.run(SENT)

    [call] = told
    assert call.data == {"number": 2, "answer": "No", "by": "Ben"}


@needs("receiving")
async def test_question_without_answer(
    home: Receiving, told: list[ServiceCall], clock: Clock
) -> None:
    """Without an answer in time other actions run, and the next question works."""
    await automate(home.hass, "ask_question", **question(time_limit={"minutes": 1}))
    home.hass.bus.async_fire("ask")
    await clock.run(50)
    assert told == []
    await clock.run(30)
    await home.get("1")
    await clock.run(1)
    assert [call.data["number"] for call in told] == [0]

    home.hass.bus.async_fire("ask")
    await clock.run(SENT)
    # the same answer as the one that came too late
    await home.get("1")
    await clock.run(1)
    assert [call.data["number"] for call in told] == [0, 1]


@needs("media_content")
async def test_camera(camera: None, home: Receiving, clock: Clock) -> None:
    """A picture is sent to all recipients, and no other one until the pause is over."""
    await automate(
        home.hass,
        "camera_picture",
        triggers=[ASK],
        camera="camera.door",
        recipients=["notify.ben", "notify.family"],
        caption="{{ 'At the door' }}",
        pause={"minutes": 5},
    )
    home.hass.bus.async_fire("ask")
    await until(lambda: len(home.gateway.sent) == 2)
    home.hass.bus.async_fire("ask")
    await clock.run(100)
    assert {message.chat_id for message in home.gateway.sent} == {BEN, FAMILY}
    for message in home.gateway.sent:
        assert (message.kind, message.text) == ("image", "At the door")
        assert message.media == PICTURE
    await clock.run(300)
    home.hass.bus.async_fire("ask")
    await until(lambda: len(home.gateway.sent) == 4)


@needs("receiving")
async def test_summary(home: Receiving, clock: Clock) -> None:
    """The text of each day is sent on the chosen days, unless it is empty."""
    # no day is shorter or longer than another
    await home.hass.config.async_set_time_zone("UTC")
    now = dt_util.now()
    at = (now + timedelta(minutes=1)).strftime("%H:%M:%S")
    days = [(now + timedelta(days=day)).strftime("%a").lower() for day in range(3)]
    home.hass.states.async_set("sensor.open", "2 windows are open")
    await automate(
        home.hass,
        "daily_summary",
        time=at,
        weekdays=days[:2],
        recipients=["notify.ben"],
        text="{{ states('sensor.open') }}",
    )
    await clock.run(60 + SENT)
    assert sent(home) == [(BEN, "2 windows are open")]
    home.hass.states.async_set("sensor.open", "")
    await clock.run(86400, step=600)
    home.hass.states.async_set("sensor.open", "[1]")
    await clock.run(86400, step=600)
    assert len(sent(home)) == 1
    off = {"entity_id": "automation.it"}
    await home.hass.services.async_call("automation", "turn_off", off, blocking=True)
