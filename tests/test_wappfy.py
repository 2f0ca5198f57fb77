"""Wappfy: what only this gateway does, with the examples of its document."""

from __future__ import annotations

from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.providers.models import (
    Action,
    BadResponse,
    InstanceStatus,
    RateLimited,
    Rejected,
    TooManyInstances,
)

from .gateways.machine import State
from .harness.calls import answer
from .harness.helpers import device_names, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.providers.base import Provider

    from .gateways.wappfy import WappfyGateway
    from .harness.clock import Clock
    from .harness.dialog import Dialog

FIXTURES = Path(__file__).parent / "fixtures" / "wappfy"


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "wappfy"


async def test_document_list(gateway: WappfyGateway, provider: Provider) -> None:
    """The document's own list is understood."""
    gateway.fail("list", body=(FIXTURES / "list.json").read_bytes())

    instances = await provider.instances()

    assert [(one.id, one.name, one.status, one.type) for one in instances] == [
        ("inst_abc123", "My WhatsApp", InstanceStatus.CONNECTED, "waha"),
        ("inst_def456", "Support Line", InstanceStatus.DISCONNECTED, "waha"),
    ]


async def test_document_answers(gateway: WappfyGateway, provider: Provider) -> None:
    """The Wappfy document's other answers are understood."""
    for route in ("create", "one"):
        gateway.fail(route, body=(FIXTURES / f"{route}.json").read_bytes())

    created = await provider.create("My WhatsApp")
    one = await provider.instance("inst_abc123")

    assert (created.id, created.name) == ("inst_abc123", "My WhatsApp")
    assert created.status is InstanceStatus.CREATED
    assert one.status is InstanceStatus.CONNECTED
    assert one.phone_number == "+5511999998888"


async def test_actions(gateway: WappfyGateway, provider: Provider) -> None:
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


async def test_type(gateway: WappfyGateway, provider: Provider) -> None:
    """The type is sent, and a Cloud API instance is not linked by a code."""
    cloud = await provider.create("Shop", instance_type="cloud_api")
    web = await provider.create("Home")

    assert [one.type for one in gateway.sessions.values()] == ["cloud_api", "waha"]
    assert not cloud.needs_link
    assert web.needs_link


async def test_rate_limit_used_up(gateway: WappfyGateway, provider: Provider) -> None:
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
    gateway: WappfyGateway, provider: Provider, *, total_pages: bool
) -> None:
    """All pages are read, whether or not the gateway tells how many there are."""
    gateway.page_size, gateway.tells_pages = 2, total_pages
    for number in range(5):
        gateway.add(f"Number {number}")

    assert {one.id for one in await provider.instances()} == set(gateway.sessions)
    assert gateway.count("list") == 3


async def test_empty_page(gateway: WappfyGateway, provider: Provider) -> None:
    """An account without instances has an empty page."""
    gateway.page_size = 2

    assert await provider.instances() == []


@pytest.mark.parametrize(
    "page",
    [
        {"items": [], "total": 3, "page": 1, "limit": 20, "totalPages": 1},
        {"items": [], "total": 10**6, "page": 1, "limit": 20, "totalPages": 1},
        {"items": None},
    ],
    ids=str,
)
async def test_incomplete_list(
    gateway: WappfyGateway, provider: Provider, page: Any
) -> None:
    """A list that misses some is no list: no device may vanish by it."""
    answer(gateway, "list", {"data": page})

    with pytest.raises(BadResponse):
        await provider.instances()


@pytest.mark.parametrize(
    "totals", [{"total": "3", "totalPages": "2"}, {"total": 3.0}, {}], ids=str
)
async def test_odd_pages(
    gateway: WappfyGateway, provider: Provider, totals: Any
) -> None:
    """Totals may be written oddly, or not at all: no page is missed."""
    gateway.page_size, gateway.odd_totals = 2, totals
    for number in range(3):
        gateway.add(f"Number {number}")

    assert len(await provider.instances()) == 3


@pytest.mark.parametrize("total", ["many", [3], [], -1, 0.5, True, "", "9" * 400])
async def test_no_totals(
    gateway: WappfyGateway, provider: Provider, total: Any
) -> None:
    """What can't be a total is refused: devices might vanish by it."""
    answer(gateway, "list", {"data": {"items": [], "total": total}})

    with pytest.raises(BadResponse, match=r"^No total$") as raised:
        await provider.instances()

    assert raised.value.__context__ is None


async def test_same_page_again(gateway: WappfyGateway, provider: Provider) -> None:
    """A gateway that ignores the page number is not asked a hundred times."""
    items = [{"id": str(number), "status": "connected"} for number in range(7)]
    answer(gateway, "list", {"data": {"items": items}})

    assert len(await provider.instances()) == 7
    assert gateway.count("list") == 2


async def test_repeated_id(gateway: WappfyGateway, provider: Provider) -> None:
    """A list in which an ID is repeated is complete if it has all its rows."""
    items = [{"id": "one", "status": "connected"}] * 2
    answer(gateway, "list", {"data": {"items": items, "total": 2}})

    assert len(await provider.instances()) == 1


async def test_endless_pages(gateway: WappfyGateway, provider: Provider) -> None:
    """Pages that never end are refused."""
    gateway.page_size, gateway.tells_pages, gateway.odd_totals = 1, False, {}
    for number in range(102):
        gateway.add(f"Number {number}")
    gateway.requests_per_minute = 1000

    with pytest.raises(BadResponse, match="Too many pages"):
        await provider.instances()


async def test_too_many_in_pages(gateway: WappfyGateway, provider: Provider) -> None:
    """Too many instances are noticed before the last page."""
    gateway.page_size = 2600
    for number in range(5200):
        gateway.add(f"Number {number}", id=str(number))

    with pytest.raises(TooManyInstances):
        await provider.instances()


@pytest.mark.parametrize("action", Action)
async def test_no_success(
    gateway: WappfyGateway, provider: Provider, action: Action
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
    await dialog.open_options(entry)
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
