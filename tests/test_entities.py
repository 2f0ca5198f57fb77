"""The entities of an instance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
import gzip
from http import HTTPStatus
import logging
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import (
    EVENT_STATE_CHANGED,
    EVENT_STATE_REPORTED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway.pairing.drawing import blank
from custom_components.whatsapp_gateway.pairing.qr_code import LOOK_SECONDS

from .gateways.machine import CODE_LIVES, State
from .harness.facts import SUPPORTED, lacks, needs, offers
from .harness.helpers import (
    BUTTONS,
    POLL,
    STATUSES,
    enable_entities,
    fetch_picture,
    press,
    state_of,
    status_of,
    until,
)
from .harness.qr_reader import read_qr

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .gateways import Gateway, VirtualPhone
    from .harness.clock import Clock

PRESSES = {
    # a gateway may wait for the code before it answers
    "connect": (State.STOPPED, {"starting", "scan_qr"}),
    "disconnect": (State.CONNECTED, {"disconnected"}),
    "restart": (State.CONNECTED, {"starting"}),
    # a gateway may start a session that was running again
    "logout": (State.CONNECTED, {"disconnected", "starting"}),
}
"""State in which an action is pressed, and the statuses that may follow."""
AVAILABLE = {
    State.NEW: {"connect"},
    State.BOOTING: {"disconnect", "restart"},
    State.WAITING: {"disconnect", "restart"},
    State.CONNECTED: {"disconnect", "restart", "logout"},
    State.STOPPED: {"connect", "restart", "logout"},
    State.FAILED: {"connect", "restart", "logout"},
}


@pytest.mark.parametrize("state", STATUSES)
async def test_states(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    state: State,
    clock: Clock,
) -> None:
    """Each status is shown, and its buttons are available."""
    gateway.add("Home", state, scale=0.001)
    await enable_entities(hass, entry, clock)

    state = gateway.looks_like(state)
    connected = "on" if state is State.CONNECTED else "off"
    assert state_of(hass, "sensor.home_status") == STATUSES[state]
    assert state_of(hass, "binary_sensor.home_connection") == connected
    assert {
        action
        for action in gateway.actions
        if state_of(hass, BUTTONS[action]) != STATE_UNAVAILABLE
    } == AVAILABLE[state] & gateway.actions.keys()
    image = hass.states.get("image.home_qr_code")
    assert image is not None
    waits = image.state != STATE_UNAVAILABLE
    assert waits is (state is State.WAITING)
    # where there is none, the icon is shown
    assert ("entity_picture" in image.attributes) is waits


async def test_registries(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """An instance is a device with exactly what its gateway can do."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.manufacturer == entry.title == gateway.title
    assert device.model == "WhatsApp Web"
    assert device.model_id == (session.type if gateway.has("types_in_list") else None)
    assert device.configuration_url
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    entities = er.async_entries_for_device(
        er.async_get(hass), device.id, include_disabled_entities=True
    )
    expected: dict[str, tuple[str | None, str | None]] = {
        "binary_sensor.home_connection": (None, None),
        "image.home_qr_code": ("diagnostic", None),
        "sensor.home_phone_number": ("diagnostic", "integration"),
        "sensor.home_status": (None, None),
        **{
            BUTTONS[action]: (None, "integration" if action == "logout" else None)
            for action in gateway.actions
        },
    }
    if gateway.has("last_seen"):
        expected["sensor.home_last_seen"] = ("diagnostic", "integration")
    assert {
        entity.entity_id: (entity.entity_category, entity.disabled_by)
        for entity in entities
    } == expected


@pytest.mark.parametrize(
    ("provider_key", "action"),
    [(key, action) for key, kind in SUPPORTED.items() for action in kind.actions],
)
async def test_press(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    action: str,
    clock: Clock,
) -> None:
    """A press acts on the instance, and its new status is shown at once."""
    before, after = PRESSES[action]
    session = gateway.add("Home", before)
    await enable_entities(hass, entry, clock)
    session.state = before
    await press(hass, BUTTONS[action])

    assert state_of(hass, "sensor.home_status") in after


@offers("restart")
async def test_restart_after_failure(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """An instance that has failed is restarted, where a gateway tells failures."""
    gateway.add("Home", State.FAILED)
    await enable_entities(hass, entry, clock)
    await press(hass, BUTTONS["restart"])

    failures = gateway.looks_like(State.FAILED) is State.FAILED
    expected = "starting" if failures else status_of(gateway, State.FAILED)
    assert state_of(hass, "sensor.home_status") == expected


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401}, "key_not_allowed"),
        ({"status": 403}, "rejected"),
        ({"missing": True}, "not_found"),
        ({"status": 404, "body": b"404 page not found"}, "unexpected_response"),
        ({"status": 429}, "rate_limited"),
        ({"status": 500}, "cannot_connect"),
        ({"redirect": "https://elsewhere.example"}, "unexpected_response"),
    ],
    ids=str,
)
async def test_press_fails(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
    fault: dict[str, Any],
    error: str,
) -> None:
    """A press that fails says why, and asks for no other key if a poll succeeds."""
    gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail(gateway.actions["connect"], **fault)

    with pytest.raises(HomeAssistantError) as raised:
        await press(hass, "button.home_connect")

    assert raised.value.translation_key == error
    await hass.async_block_till_done()
    assert hass.config_entries.flow.async_progress() == []

    gateway.heal()
    # also until the pause is over that the gateway asked for
    await clock.run(31)
    await press(hass, "button.home_connect")


async def test_only_what_changed_is_written(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A poll writes the states that changed, and no others."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    written: list[str] = []
    reported: list[str] = []

    @callback
    def write_down(event: Event[Any]) -> None:
        unchanged = event.event_type == EVENT_STATE_REPORTED
        (reported if unchanged else written).append(event.data["entity_id"])

    for kind in (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED):
        hass.bus.async_listen(kind, write_down, event_filter=callback(lambda _: True))

    await clock.run(31)
    assert not written

    # nobody wants to see it
    home.seen = 1777638896.0
    await clock.run(31)
    assert not written

    home.state = State.STOPPED
    # some gateways' connections have to be lost for a while
    await clock.run(2 * POLL)
    changed = {"connect", "disconnect"} & gateway.actions.keys()
    assert {*written} == {
        "sensor.home_status",
        "binary_sensor.home_connection",
        # these become available or unavailable
        *(BUTTONS[action] for action in changed),
    }
    # core drops what is the same, and nothing is written about other instances
    assert not [entity_id for entity_id in reported if "shop" in entity_id]


async def test_phone_number(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """Who enables it sees the number; it is asked for once for each connection."""
    home = gateway.add("Home", State.CONNECTED)
    gateway.add("Shop", State.STOPPED)
    await enable_entities(hass, entry, clock)
    await clock.run(POLL)
    asked = 0 if gateway.has("phone_in_list") else 1
    assert state_of(hass, "sensor.home_phone_number") == "+5511999998888"
    assert state_of(hass, "sensor.shop_phone_number") == STATE_UNKNOWN
    for _ in range(3):
        await clock.run(31)
    assert gateway.has("live_states") or gateway.count("one") == asked

    home.unlink()
    await clock.run(31)
    assert state_of(hass, "sensor.home_phone_number") == STATE_UNKNOWN
    home.phone_number = "4915112345678"
    home.state = State.CONNECTED
    if not gateway.has("live_states"):
        gateway.fail("one", status=500)
    await clock.run(31)
    assert state_of(hass, "sensor.home_status") == "connected"
    gateway.heal()
    await clock.run(31)
    assert state_of(hass, "sensor.home_phone_number") == "+4915112345678"
    assert gateway.has("live_states") or gateway.count("one") == asked * 3


@lacks("phone_in_list")
async def test_late_phone_number(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """A number that the gateway doesn't tell is asked for after the next connection."""
    one = gateway.add("Home", State.CONNECTED)
    one.phone_number = None
    await enable_entities(hass, entry, clock)
    for _ in range(3):
        await clock.run(POLL)
    assert gateway.count("one") == 1

    one.state = State.STOPPED
    await clock.run(POLL)
    one.state = State.CONNECTED
    one.phone_number = "5511999998888"
    await clock.run(POLL)
    assert state_of(hass, "sensor.home_phone_number") == "+5511999998888"
    assert gateway.count("one") == 2


@lacks("phone_in_list")
async def test_failing_phone_number(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """While it fails, a gateway is asked for one number in a poll, in turn."""
    for name in ("Home", "Shop"):
        gateway.add(name, State.CONNECTED)
    gateway.fail("one", status=504)
    await enable_entities(hass, entry, clock)
    gateway.asked.clear()
    await clock.run(62)
    assert gateway.count("one") == gateway.count("list")
    assert len({one.path for one in gateway.asked if one.route == "one"}) == 2
    assert state_of(hass, "sensor.home_status") == "connected"

    gateway.heal()
    await clock.run(31)
    assert state_of(hass, "sensor.home_phone_number") == "+5511999998888"
    assert state_of(hass, "sensor.shop_phone_number") == "+5511999998888"


@lacks("phone_in_list")
async def test_phone_number_is_not_asked_for(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """While nobody wants the number the gateway is not asked for it."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()

    assert gateway.count("one") == 0


@needs("last_seen")
async def test_last_seen(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    clock: Clock,
) -> None:
    """Who enables it sees when the instance was last seen."""
    gateway.add("Home", State.CONNECTED).seen = 1777638896.0
    await enable_entities(hass, entry, clock)

    assert state_of(hass, "sensor.home_last_seen") == "2026-05-01T12:34:56+00:00"


async def test_picture(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """The picture holds the code that can be scanned now, fetched once for all."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert gateway.count(gateway.qr_route) == 0

    answers = await asyncio.gather(*(fetch_picture(hass_client) for _ in range(5)))

    assert {status for status, _ in answers} == {HTTPStatus.OK}
    assert gateway.count(gateway.qr_route) == 1
    text = read_qr(answers[0][1])
    assert text
    assert phone.scan(text) is one


async def test_picture_is_renewed(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """When a code ends the browsers that look are told, and fetch the next one."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await fetch_picture(hass_client)
    before = state_of(hass, "image.home_qr_code")

    await clock.run(one.code_lives[0] + 1)
    assert state_of(hass, "image.home_qr_code") != before
    assert gateway.count(gateway.qr_route) == 1
    _, png = await fetch_picture(hass_client)
    assert one.code is not None
    assert read_qr(png) == one.code.text

    await clock.run(61)
    assert gateway.count(gateway.qr_route) == 2


@pytest.mark.parametrize("late", [0.0, 2.0])
async def test_picture_is_renewed_in_time(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
    late: float,
) -> None:
    """A browser that looks shows an expired code for 2 s and a request at most."""
    one = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    one.start()
    await entry.runtime_data.coordinator.async_refresh()
    await clock.run(3)
    await entry.runtime_data.coordinator.async_refresh()
    gateway.fail(gateway.qr_route, late=late)
    shown: list[str | None] = [None]

    async def browse() -> None:
        looked_at = ""
        while one.code:
            if looked_at != (state := state_of(hass, "image.home_qr_code")):
                looked_at, (status, png) = state, await fetch_picture(hass_client)
                shown.append(read_qr(png) if status == HTTPStatus.OK else None)
            await asyncio.sleep(0.1)

    browser = asyncio.create_task(browse())
    # an answer with the end of the code may be late as well
    requests = 2 if gateway.has("code_end") else 1
    limit = LOOK_SECONDS + requests * late + gateway.returns_expired + 0.5
    valid_at = clock.time()
    while one.code:
        if shown[-1] in {None, one.code.text}:
            valid_at = clock.time()
        assert clock.time() - valid_at < limit
        await clock.run(0.1)
    await browser
    assert len({*shown} - {None}) == len(CODE_LIVES)


@needs("plain_json")
async def test_picture_between_two_codes(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Instead of a code that has just ended there is a blank picture, for a moment."""
    gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    end = datetime.now(UTC) - timedelta(seconds=1)
    ended = f'{{"raw": "2@", "expires_at": "{end.isoformat()}"}}'
    gateway.fail("qr", body=ended.encode())
    assert await fetch_picture(hass_client) == (HTTPStatus.OK, blank())

    gateway.heal()
    await clock.run(2)
    assert read_qr((await fetch_picture(hass_client))[1])


async def test_no_picture(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Without a scan awaited there is no picture, and nothing is started by a look."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    faults: list[dict[str, Any]] = [
        {"status": 500},
        {"html": True},
        {"body": b'{"qr": null}'},
    ]
    for number, fault in enumerate(faults, start=1):
        gateway.fail(gateway.qr_route, **fault)
        before = state_of(hass, "image.home_qr_code")
        for _ in range(2):
            assert await fetch_picture(hass_client) == (HTTPStatus.OK, blank())
        assert gateway.count(gateway.qr_route) == number
        # the browsers that still look fetch it again
        await clock.run(6)
        assert state_of(hass, "image.home_qr_code") != before
    gateway.heal()
    assert read_qr((await fetch_picture(hass_client))[1])

    one.state = State.STOPPED
    await clock.run(31)
    asked = gateway.count(gateway.qr_route)
    assert (await fetch_picture(hass_client))[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert gateway.count(gateway.qr_route) == asked
    assert one.starts == 0


async def test_picture_of_the_past(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Until a poll tells that nothing is to be scanned any more, looks are few."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    one.state = State.CONNECTED
    gateway.asked.clear()
    for _ in range(30):
        assert await fetch_picture(hass_client) == (HTTPStatus.OK, blank())
        await clock.run(0.1)

    assert gateway.count("one") <= 3


@pytest.mark.parametrize("how", ["connected", "unloaded"])
async def test_picture_too_late(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
    how: str,
) -> None:
    """A code that arrives when nobody may see it any more is not shown."""
    one = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail(gateway.qr_route, delay=0.5, times=1)
    look = asyncio.create_task(fetch_picture(hass_client))
    await until(lambda: gateway.count(gateway.qr_route))
    if how == "connected":
        one.state = State.CONNECTED
        await entry.runtime_data.coordinator.async_refresh()
    else:
        assert await hass.config_entries.async_unload(entry.entry_id)

    assert (await look)[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    # a gateway may go on waiting for the status that its answer needs
    await clock.run(15)


async def test_no_secret_anywhere(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither states nor logs hold the key, the code or the number."""
    one = gateway.add("Home", State.WAITING)
    gateway.add("Shop", State.CONNECTED)
    caplog.set_level(logging.DEBUG)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await fetch_picture(hass_client)

    said = caplog.text + str([state.as_dict() for state in hass.states.async_all()])
    assert one.code is not None
    for secret in (gateway.key, one.code.text, "5511999998888"):
        assert secret not in said


async def test_card_that_appears(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """A card that appears with the status is told of the picture a second later."""
    session = gateway.add("Home", State.STOPPED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    session.state = State.WAITING
    await entry.runtime_data.coordinator.async_refresh()
    first = state_of(hass, "image.home_qr_code")

    await clock.run(1.5)
    second = state_of(hass, "image.home_qr_code")
    assert second not in {first, STATE_UNAVAILABLE}
    # and that is all while nobody looks
    await clock.run(20)
    assert state_of(hass, "image.home_qr_code") == second


async def test_long_names(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Names of wide characters, which make long entity IDs, lose no entity."""
    gateway.add("客厅" * 100, State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    assert len(hass.states.async_entity_ids("sensor")) == 1
    assert len(hass.states.async_entity_ids("binary_sensor")) == 1


async def test_key_rejected_at_the_picture(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """A key that is rejected when somebody looks at the code is checked by a poll."""
    gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    gateway.fail(gateway.qr_route, status=401)
    assert await fetch_picture(hass_client) == (HTTPStatus.OK, blank())
    await clock.run(2)
    assert hass.config_entries.flow.async_progress() == []

    gateway.fail("*", status=401)
    await fetch_picture(hass_client)
    await clock.run(2)
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH


async def test_own_session(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """No cookie is sent back, and a compressed answer is not unpacked."""
    gateway.add("Home", State.CONNECTED)
    headers = {"Set-Cookie": "session=1"}
    gateway.fail("list", body=b"[]", headers=headers, times=1)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(POLL)
    assert "Cookie" not in gateway.asked[-1].headers

    bomb = gzip.compress(b" " * 10**6 + b"[]")
    gateway.fail("list", body=bomb, headers={"Content-Encoding": "gzip"})
    await clock.run(POLL)
    assert not entry.runtime_data.coordinator.last_update_success
    gateway.heal()
    await clock.run(POLL)
    assert entry.runtime_data.coordinator.last_update_success


@lacks("phone_in_list")
async def test_phone_numbers_do_not_delay_the_poll(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """However slowly phone numbers are answered, changes are shown with the poll."""
    sessions = [gateway.add(f"Number {n}", State.CONNECTED) for n in range(40)]
    await enable_entities(hass, entry, clock)
    for session in sessions:
        session.unlink()
    await clock.run(POLL)
    gateway.fail("one", delay=9.0)
    gateway.asked.clear()
    for session in sessions:
        session.state = State.CONNECTED
    await clock.run(POLL)
    assert state_of(hass, "sensor.number_39_status") == "connected"
    sessions[39].state = State.FAILED
    await clock.run(POLL)
    assert state_of(hass, "sensor.number_39_status") == "failed"
    assert gateway.count("one") <= 3 * gateway.count("list")

    gateway.heal()
    await clock.run(15 * POLL)
    assert state_of(hass, "sensor.number_0_phone_number").startswith("+")
