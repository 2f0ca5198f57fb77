"""Wappfy: what only this gateway does, with the examples of its document."""

from __future__ import annotations

import json
from pathlib import Path
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.messages import (
    Media,
    MessageKind,
    OutgoingMessage,
    SentMessage,
)
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    BadResponse,
    InstanceChanged,
    InstanceStatus,
    MaybeSent,
    RateLimited,
    Rejected,
    TooManyInstances,
)
from tests.gateways.machine import State
from tests.gateways.webhooks import Endpoint
from tests.harness.calls import answer
from tests.harness.helpers import device_names, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.wappfy.client import Wappfy
    from tests.gateways import VirtualPhone
    from tests.gateways.wappfy import WappfyGateway
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

FIXTURES = Path(__file__).parents[1] / "fixtures" / "wappfy"


def _as_items(rows: Any) -> Any:
    return {"success": True, "data": {"items": rows}}


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "wappfy"


async def test_document_list(gateway: WappfyGateway, provider: Wappfy) -> None:
    """The document's own list is understood."""
    gateway.fail("list", body=(FIXTURES / "list.json").read_bytes())

    instances = await provider.instances()

    assert [(one.id, one.name, one.status, one.type) for one in instances] == [
        ("inst_abc123", "My WhatsApp", InstanceStatus.CONNECTED, "waha"),
        ("inst_def456", "Support Line", InstanceStatus.DISCONNECTED, "waha"),
    ]


async def test_document_answers(gateway: WappfyGateway, provider: Wappfy) -> None:
    """The Wappfy document's other answers are understood."""
    for route in ("create", "one"):
        gateway.fail(route, body=(FIXTURES / f"{route}.json").read_bytes())

    created = await provider.create("My WhatsApp")
    one = await provider.instance("inst_abc123")

    assert (created.id, created.name) == ("inst_abc123", "My WhatsApp")
    assert created.status is InstanceStatus.CREATED
    assert one.status is InstanceStatus.CONNECTED
    assert one.phone_number == "+5511999998888"


async def test_actions(gateway: WappfyGateway, provider: Wappfy) -> None:
    """Each action reaches its route, and 409 is success where it means so already."""
    one = gateway.add("Home", State.CONNECTED)

    await provider.perform(Action.CONNECT, one.id)
    assert one.state is State.CONNECTED
    await provider.perform(Action.RESTART, one.id)
    assert one.state is State.BOOTING
    await provider.perform(Action.LOGOUT, one.id)
    assert (one.state, one.linked) == (State.STOPPED, False)
    await provider.perform(Action.DISCONNECT, one.id)
    assert one.state is State.STOPPED
    one.state = State.CONNECTED
    await provider.perform(Action.DISCONNECT, one.id)
    assert one.state is State.STOPPED

    gateway.fail("restart", status=409)
    with pytest.raises(Rejected):
        await provider.perform(Action.RESTART, one.id)


async def test_type(gateway: WappfyGateway, provider: Wappfy) -> None:
    """The type is sent, and a Cloud API instance is not linked by a code."""
    cloud = await provider.create("Shop", instance_type="cloud_api")
    web = await provider.create("Home")

    assert [one.type for one in gateway.sessions.values()] == ["cloud_api", "waha"]
    assert not cloud.needs_link
    assert web.needs_link


async def test_rate_limit_used_up(gateway: WappfyGateway, provider: Wappfy) -> None:
    """The last allowed request succeeds, the next one is not sent."""
    reset = str(int(time.time()) + 10)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    gateway.fail("list", body=b'{"data": []}', headers=headers)

    assert await provider.instances() == []
    with pytest.raises(RateLimited) as raised:
        await provider.instances()

    assert 8 < raised.value.retry_after <= 10
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("total_pages", [True, False])
async def test_pages(
    gateway: WappfyGateway, provider: Wappfy, *, total_pages: bool
) -> None:
    """All pages are read, whether or not the gateway tells how many there are."""
    gateway.page_size, gateway.tells_pages = 2, total_pages
    for number in range(5):
        gateway.add(f"Number {number}")

    assert {one.id for one in await provider.instances()} == set(gateway.sessions)
    assert gateway.count("list") == 3


async def test_empty_page(gateway: WappfyGateway, provider: Wappfy) -> None:
    """An account without instances has an empty page."""
    gateway.page_size = 2

    assert await provider.instances() == []


@pytest.mark.parametrize(
    "page",
    [
        {"items": [], "total": 3, "page": 1, "limit": 20, "totalPages": 1},
        {"items": [], "total": 10**6, "page": 1, "limit": 20, "totalPages": 1},
        {"items": [], "page": 1, "limit": 20, "totalPages": 3},
        {"items": None},
    ],
    ids=str,
)
async def test_incomplete_list(
    gateway: WappfyGateway, provider: Wappfy, page: Any
) -> None:
    """A list that misses some is no list: no device may vanish by it."""
    answer(gateway, "list", {"data": page})

    with pytest.raises(BadResponse):
        await provider.instances()


@pytest.mark.parametrize(
    "totals", [{"total": "3", "totalPages": "2"}, {"total": 3.0}, {}], ids=str
)
async def test_odd_pages(gateway: WappfyGateway, provider: Wappfy, totals: Any) -> None:
    """Totals may be written oddly, or not at all: no page is missed."""
    gateway.page_size, gateway.odd_totals = 2, totals
    for number in range(3):
        gateway.add(f"Number {number}")

    assert len(await provider.instances()) == 3


@pytest.mark.parametrize("total", ["many", [3], [], -1, 0.5, True, "", "9" * 400])
async def test_no_totals(gateway: WappfyGateway, provider: Wappfy, total: Any) -> None:
    """What can't be a total is refused: devices might vanish by it."""
    answer(gateway, "list", {"data": {"items": [], "total": total}})

    with pytest.raises(BadResponse, match=r"^No total$") as raised:
        await provider.instances()

    assert raised.value.__context__ is None


async def test_same_page_again(gateway: WappfyGateway, provider: Wappfy) -> None:
    """A gateway that ignores the page number is not asked a hundred times."""
    items = [{"id": str(number), "status": "connected"} for number in range(7)]
    answer(gateway, "list", {"data": {"items": items}})

    assert len(await provider.instances()) == 7
    assert gateway.count("list") == 2


async def test_repeated_id(gateway: WappfyGateway, provider: Wappfy) -> None:
    """A list in which an ID is repeated is complete if it has all its rows."""
    items = [{"id": "one", "status": "connected"}] * 2
    answer(gateway, "list", {"data": {"items": items, "total": 2}})

    assert len(await provider.instances()) == 1


@pytest.mark.parametrize(("page_size", "complete"), [(2, False), (3, True)])
async def test_created_between_pages(
    gateway: WappfyGateway, provider: Wappfy, page_size: int, *, complete: bool
) -> None:
    """A list that changes while its pages are read is refused if it lacks something."""
    gateway.page_size = page_size
    for number in range(4):
        gateway.add(f"Number {number}")
    before = {*gateway.sessions}

    def create(_: object) -> None:
        new = gateway.add("New")
        gateway.sessions = {new.id: new, **gateway.sessions}

    gateway.then["list"] = create
    if complete:
        assert {one.id for one in await provider.instances()} == before
    else:
        with pytest.raises(BadResponse, match="incomplete"):
            await provider.instances()
    assert {one.id for one in await provider.instances()} > before


async def test_endless_pages(gateway: WappfyGateway, provider: Wappfy) -> None:
    """Pages that never end are refused."""
    gateway.page_size, gateway.tells_pages, gateway.odd_totals = 1, False, {}
    for number in range(102):
        gateway.add(f"Number {number}")
    gateway.requests_per_minute = 1000

    with pytest.raises(BadResponse, match="Too many pages"):
        await provider.instances()


async def test_too_many_in_pages(gateway: WappfyGateway, provider: Wappfy) -> None:
    """Too many instances are noticed before the last page."""
    gateway.page_size = 2600
    for number in range(5200):
        gateway.add(f"Number {number}", id=str(number))

    with pytest.raises(TooManyInstances):
        await provider.instances()


@pytest.mark.parametrize("action", Action)
async def test_no_success(
    gateway: WappfyGateway, provider: Wappfy, action: Action
) -> None:
    """An action that reports no success has failed; an odd body means nothing."""
    session = gateway.add("Home", State.CONNECTED)
    body = {"success": False, "error": {"message": "Not today"}}
    answer(gateway, action, body)
    with pytest.raises(Rejected, match="Not today"):
        await provider.perform(action, session.id)
    answer(gateway, "delete", body)
    with pytest.raises(Rejected, match="Not today"):
        await provider.delete(session.id)

    for odd in (b"", b"[", b"OK", b'{"success": true}', b"[]"):
        gateway.fail(action, body=odd)
        await provider.perform(action, session.id)


async def test_refused_page(
    hass: HomeAssistant,
    gateway: WappfyGateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A page that is refused in the middle of a list removes no device."""
    gateway.page_size = 1
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.requests_per_minute = 1
    await clock.run(31)

    assert gateway.count("list") == 3
    assert device_names(hass, entry) == {"Home", "Shop"}
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_incomplete_list_removes_nothing(
    hass: HomeAssistant,
    gateway: WappfyGateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A list that breaks off after its first page removes no device."""
    gateway.page_size = 1
    gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    first = b'{"data": {"items": [], "total": 2, "limit": 1, "totalPages": 1}}'
    gateway.fail("list", body=first)
    await clock.run(31)

    assert device_names(hass, entry) == {"Home", "Shop"}


async def test_cloud_api_is_never_linked(
    gateway: WappfyGateway, dialog: Dialog
) -> None:
    """A Cloud API instance is offered no code: not before it is made, nor after."""
    gateway.add("Shop", type="cloud_api")
    await dialog.sign_in(gateway)
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


async def test_create_cloud_api(
    hass: HomeAssistant, gateway: WappfyGateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A Cloud API instance is done when it is created, without a QR code."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_form(entry, "create")
    await dialog.give(name="Shop", type="cloud_api")

    assert dialog.result["reason"] == "created"
    assert state_of(hass, "sensor.shop_status") == "created"
    assert gateway.count("connect") == gateway.count("qr") == 0


async def test_create_with_type(
    hass: HomeAssistant, gateway: WappfyGateway, entry: MockConfigEntry
) -> None:
    """The action that creates an instance passes its type on."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    response: Any = await hass.services.async_call(
        DOMAIN,
        "create_instance",
        {"config_entry_id": entry.entry_id, "name": "Shop", "type": "cloud_api"},
        blocking=True,
        return_response=True,
    )

    assert gateway.sessions[response["id"]].type == "cloud_api"


async def test_webhooks_of_others(gateway: WappfyGateway, provider: Wappfy) -> None:
    """An own address is kept once and replaced if it is inactive, others are kept."""
    for key, url in (("one", "https://one.example.com"), ("two", "https://b.test")):
        gateway.webhooks.set(Endpoint(key, url, "me", ["message.received"]))
    gateway.webhooks.set(Endpoint("three", "https://c.test", "somebody else"))
    url, others = "https://home.example.com/1", {"one", "two", "three"}
    for _ in range(2):
        reported = await provider.webhooks.register(url, "secret", ["inst_1"])
        assert reported == {"inst_1": True}
    assert gateway.count("webhook_set") == 1
    [own] = gateway.webhooks.endpoints.keys() - others
    gateway.webhooks.endpoints[own].active = False
    await provider.webhooks.register(url, "secret", ["inst_1"])
    [new] = gateway.webhooks.endpoints.keys() - others
    assert new != own
    assert gateway.webhooks.endpoints[new].active

    gateway.fail("webhook_delete", missing=True)
    await provider.webhooks.unregister(url, [])
    gateway.heal()
    await provider.webhooks.unregister(url, [])
    assert gateway.webhooks.endpoints.keys() == others


@pytest.mark.parametrize("wrap", [lambda rows: {"data": rows}, _as_items])
async def test_webhook_list(
    gateway: WappfyGateway, provider: Wappfy, wrap: Callable[[Any], Any]
) -> None:
    """The list of webhooks is also understood in an envelope."""
    url = "https://home.example.com/1"
    answer(gateway, "webhook_find", wrap([{"id": "wh_1", "url": url}]))
    await provider.webhooks.register(url, "secret", ["inst_1"])
    assert gateway.count("webhook_set") == 0
    assert provider.webhooks.parse(b"{}") == InstanceChanged()


# Messages


CHAT = "4915112345678@s.whatsapp.net"
TEXT = OutgoingMessage(text="Hello")


async def test_forms(gateway: WappfyGateway, provider: Wappfy) -> None:
    """The form of the reference is tried first, and what works is remembered."""
    one = gateway.add("Home", State.CONNECTED)
    assert await provider.messages.send(one.id, CHAT, TEXT) == SentMessage()
    assert gateway.count("send") == 1

    gateway.send_form = "guide"
    for count in (3, 4):
        sent = await provider.messages.send(one.id, CHAT, TEXT)
        assert sent.id == gateway.sent[-1].id
        assert gateway.count("send") == count
    gateway.send_form = "reference"
    await provider.messages.send(one.id, CHAT, TEXT)
    assert gateway.count("send") == 6
    assert [sent.text for sent in gateway.sent] == ["Hello"] * 4
    assert {sent.chat_id for sent in gateway.sent} == {CHAT}


async def test_no_form(gateway: WappfyGateway, provider: Wappfy) -> None:
    """A message that neither form suits is refused with what the gateway says."""
    one = gateway.add("Home", State.CONNECTED)
    gateway.fail("send", status=422, code="bad", message="body is required")

    with pytest.raises(Rejected, match="body is required"):
        await provider.messages.send(one.id, CHAT, TEXT)

    assert gateway.count("send") == 2
    gateway.heal()
    await provider.messages.send(one.id, CHAT, TEXT)
    assert gateway.count("send") == 3


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (422, "This number has no WhatsApp"),
        (400, "The to-do list is required"),
        (422, "Nobody is there to read the text"),
        (403, "body is required"),
    ],
)
async def test_no_second_try(
    gateway: WappfyGateway, provider: Wappfy, status: int, message: str
) -> None:
    """Other refusals have nothing to do with the form."""
    one = gateway.add("Home", State.CONNECTED)
    gateway.fail("send", status=status, code="bad", message=message)

    with pytest.raises(Rejected, match=message):
        await provider.messages.send(one.id, CHAT, TEXT)

    assert gateway.count("send") == 1


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Validation failed", "details": [{"field": "chat_id"}]},
        {"message": "property to should not exist"},
        {"message": '"text" is required'},
        {"message": "Unrecognized key(s) in object: 'to', 'body'"},
    ],
    ids=str,
)
async def test_wrong_form(
    gateway: WappfyGateway, provider: Wappfy, error: dict[str, Any]
) -> None:
    """Many ways to say what is missing or unknown are understood."""
    one = gateway.add("Home", State.CONNECTED)
    body = json.dumps({"success": False, "error": error}).encode()
    gateway.fail("send", status=400, body=body, times=1)

    # the second form is not the one of this server
    with pytest.raises(Rejected, match=re.escape(error["message"])):
        await provider.messages.send(one.id, CHAT, TEXT)

    assert gateway.count("send") == 2


async def test_forms_of_files(gateway: WappfyGateway, provider: Wappfy) -> None:
    """Files are sent in either form, and the last refusal is the one that counts."""
    one = gateway.add("Home", State.CONNECTED)
    gateway.send_form = "guide"
    gateway.webhooks.proxies["https://home.test/"] = f"{gateway.url}/gone/"
    file = Media(
        kind=MessageKind.VOICE,
        mime_type="audio/ogg",
        filename="a.ogg",
        url="https://home.test/a.ogg",
    )
    with pytest.raises(Rejected, match="media_url cannot be fetched"):
        await provider.messages.send(one.id, CHAT, OutgoingMessage(media=file))
    assert gateway.count("send") == 2


async def test_no_second_try_without_an_answer(
    gateway: WappfyGateway, provider: Wappfy
) -> None:
    """A message that may have been sent is not sent in another form."""
    one = gateway.add("Home", State.CONNECTED)
    for fault in ({"status": 500}, {"hang": True}):
        gateway.fail("send", **fault)
        with pytest.raises(MaybeSent):
            await provider.messages.send(one.id, CHAT, TEXT)
    assert gateway.count("send") == 2


async def test_forms_of_groups(
    gateway: WappfyGateway, provider: Wappfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are listed in either form, on however many pages."""
    one = gateway.add("Home", State.CONNECTED)
    gateway.groups = {f"{number}@g.us": f"G{number}" for number in range(100)}
    for gateway.send_form in ("reference", "guide"):
        chats = await provider.messages.list_chats(one.id)
        assert {chat.id: chat.name for chat in chats} == gateway.groups
    assert gateway.count("chats") == 6

    # a server that ignores the page
    same = [{"id": f"{number}@g.us"} for number in range(50)]
    answer(gateway, "chats", {"data": {"items": same}})
    assert len(await provider.messages.list_chats(one.id)) == 50
    gateway.heal()
    monkeypatch.setattr(
        "custom_components.whatsapp_gateway.providers.wappfy.messages.MAX_CHATS", 70
    )
    assert len(await provider.messages.list_chats(one.id)) == 70


async def test_link_failed_instance(
    hass: HomeAssistant,
    gateway: WappfyGateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """An instance that has failed is restarted, as the document says."""
    gateway.add("Home", State.FAILED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    await dialog.link()
    phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.reason == "linked"
    assert gateway.count("restart") == 1
    assert gateway.count("connect") == 0


async def test_questions_for_phone_numbers(
    gateway: WappfyGateway, provider: Wappfy, clock: Clock
) -> None:
    """A number is taken from the answer of a connected instance, however late."""
    home = gateway.add("Home", State.CONNECTED)
    provider.wants_phone_numbers = {home.id, "gone"}
    answer(gateway, "one", {"data": {"id": home.id, "status": "disconnected"}})
    [listed] = await provider.instances()
    assert listed.phone_number is None

    gateway.heal()
    gateway.fail("one", delay=5.0)
    for _ in range(2):
        started_at = clock.time()
        [listed] = await provider.instances()
        assert clock.time() - started_at < 1
    assert listed.phone_number is None
    assert gateway.count("one") == 2
    await clock.run(5)
    [listed] = await provider.instances()
    assert listed.phone_number == "+5511999998888"

    home.state = State.STOPPED
    await provider.instances()
    home.state = State.CONNECTED
    await provider.instances()
    provider.close()
    await clock.run(5)
    assert gateway.count("one") == 3
