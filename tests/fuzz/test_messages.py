"""Whatever a gateway answers or reports about messages is read, and tells no secret."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC
import json
import logging
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from custom_components.whatsapp_gateway.providers import PROVIDERS
from custom_components.whatsapp_gateway.providers.http import HEARTBEAT
from custom_components.whatsapp_gateway.providers.message_types import (
    SHOWN,
    WRAPPERS,
)
from custom_components.whatsapp_gateway.providers.messages import (
    Chat,
    IncomingMessage,
    SentMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    InstanceChanged,
    Skipped,
)
from tests.gateways.machine import State
from tests.gateways.messages import MIME_TYPES
from tests.harness.calls import MESSAGE_CALLS, PERSON, present
from tests.harness.facts import needs

from .assertions import API_KEY, OURS, assert_discreet, assert_fits, only_our_errors
from .strategies import DOCUMENTS, answers, reports

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway

RESULTS = {"send": SentMessage, "chats": list, "check_number": str | None}
"""What each call returns."""
NEEDS = {"send": "messages", "chats": "chats", "check_number": "number_check"}
"""The feature that each call needs."""
GROUP = "120363025246125486@g.us"
BEN = "12025550123"
CONTENTS: list[dict[str, Any]] = [
    *({name: {path[0]: "hi" for path in shown.texts}} for name, shown in SHOWN.items()),
    *(
        {name: {"message": {"extendedTextMessage": {"text": "hi"}}}}
        for name in sorted(WRAPPERS)
    ),
    {"extendedTextMessage": {"text": "@1", "contextInfo": {"mentionedJid": ["1@lid"]}}},
]
"""Messages of all types that people see."""


@dataclass
class Told:
    """What a gateway answers and reports when all is well."""

    answers: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    frame: tuple[bytes, bytes] = b"", b""
    """What stands before and after an event on its way."""

    @property
    def documents(self) -> list[Any]:
        """All of it, and the documents of all gateways."""
        return [*self.answers, *self.events, *DOCUMENTS.values()]

    async def publish(self, _event: str, _session: Any, data: bytes) -> None:
        """Keep an event of a connection."""
        start, end = data.index(b"{"), data.rindex(b"}") + 1
        self.frame = data[:start], data[end:]
        self.events.append(json.loads(data[start:end]))

    async def tell(self, _endpoint: Any, _event: str, body: Any) -> None:
        """Keep the body of a call."""
        self.events.append(json.loads(json.dumps(body)))


@pytest.fixture
def provider(
    provider_key: str,
    gateway: Gateway,
    session: ClientSession,
    caplog: pytest.LogCaptureFixture,
) -> Provider:
    """Return a client whose key is one of the secrets."""
    caplog.set_level(logging.DEBUG, OURS)
    # no time passes between two examples
    vars(gateway).update(requests_per_minute=10**6, burst=10**6)
    gateway.owners[API_KEY] = "me"
    provider = PROVIDERS[provider_key](session, gateway.url, API_KEY)
    for capability in filter(None, (provider.events, provider.webhooks)):
        capability.receives = True
    return provider


@pytest.fixture
async def told(
    gateway: Gateway, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> Told:
    """Return what the gateway tells when it sends and receives messages."""
    told, ask = Told(), provider._http.request
    home = gateway.add("Home", State.CONNECTED, id="one")

    async def record(*args: Any, **kwargs: Any) -> Any:
        answer = await ask(*args, **kwargs)
        told.answers.append(json.loads(answer.body))
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(provider._http, "request", record)
        for call, feature in NEEDS.items():
            if gateway.has(feature):
                await MESSAGE_CALLS[call](provider, home.id)
    gateway.webhooks.silent = True
    if gateway.has("webhooks", "receiving"):
        url = "https://home.example.com/hook"
        await present(provider.webhooks).register(url, "secret", [home.id])
    with monkeypatch.context() as patch:
        patch.setattr(gateway.events, "publish", told.publish)
        patch.setattr(gateway.webhooks, "tell", told.tell)
        for kind in ("text", *MIME_TYPES, "location", "poll"):
            await gateway.deliver(home, PERSON, "Hello", kind=kind)
        for content in CONTENTS if gateway.has("whatsapp_form") else ():
            await gateway.deliver(home, GROUP, sender=BEN, content=content, as_lid=True)
        answered = await gateway.deliver(home, GROUP, "Hello", sender=BEN)
        await gateway.deliver(home, PERSON, "Bye", reply_to=answered, from_me=True)
        await gateway.react(home, GROUP, answered, "👍", sender=BEN)
    return told


def assert_message(reported: object) -> None:
    """Check the types of what is reported."""
    assert_fits(reported, InstanceChanged | IncomingMessage | Skipped | type(None))
    if isinstance(reported, IncomingMessage):
        for name in ("instance_id", "id", "chat_id"):
            assert_fits(getattr(reported, name), str)
            assert getattr(reported, name)
        for name in ("sender_id", "sender_name", "reply_to", "filename", "media"):
            assert_fits(getattr(reported, name), str | None)
        # what is sent to browsers
        assert reported.text.encode() is not None
        assert reported.sent_at.astimezone(UTC)


@given(data=st.data(), call=st.sampled_from(sorted(MESSAGE_CALLS)))
async def test_calls(
    gateway: Gateway,
    provider: Provider,
    told: Told,
    data: st.DataObject,
    call: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every call returns what it promises, or raises one of our errors."""
    if not gateway.has(NEEDS[call]):
        return
    answer = data.draw(answers(told.documents))
    # as if the pause that the last answer may have asked for were over
    provider._http._resume_at = 0.0
    gateway.asked.clear()
    gateway.fail("*", **answer)
    with only_our_errors():
        result = await MESSAGE_CALLS[call](provider, "one")
        assert_fits(result, RESULTS[call])
        if isinstance(result, SentMessage):
            assert_fits(result.id, str | None)
            assert_fits(result.chat_id, str | None)
        if isinstance(result, list):
            assert all(isinstance(one, Chat) for one in result)
    # only a message that was refused may be sent once more, in another form
    assert gateway.count("send") <= 1 + (400 <= answer["status"] < 500)
    assert_discreet(caplog)


@needs("webhooks")
@given(data=st.data())
def test_webhook(
    provider: Provider,
    told: Told,
    data: st.DataObject,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every body of a call to the webhook is an event or none."""
    documents = told.events or told.documents
    assert_message(present(provider.webhooks).read(data.draw(reports(documents))))
    assert_discreet(caplog, "one")


@needs("events")
@given(data=st.data())
async def test_event(
    gateway: Gateway,
    provider: Provider,
    told: Told,
    data: st.DataObject,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is reported over a connection, the next good event is understood."""
    last = gateway.sessions.get("last") or gateway.add("Last", State.NEW, id="last")
    body = data.draw(reports(told.events)).decode(errors="replace").encode()
    before, after = told.frame
    provider._http._resume_at = 0.0
    gateway.events.on = True
    understood = False
    async with aclosing(present(provider.events).follow()) as events:
        # a sign of life
        await anext(events)
        await gateway.events.send(before + body + after)
        await gateway.events.send(gateway.event_of(last))
        with only_our_errors():
            async for event in events:
                assert_message(event)
                if isinstance(event, InstanceChanged) and event.instance_id == last.id:
                    understood = True
                    break
    assert understood
    # the timer of a connection may outlive it
    await asyncio.sleep(2 * HEARTBEAT)
    assert_discreet(caplog, "one")
