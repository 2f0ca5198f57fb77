"""Link an instance by a code that is entered on the phone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from homeassistant.data_entry_flow import FlowResultType

from custom_components.whatsapp_gateway.pairing import engine
from custom_components.whatsapp_gateway.pairing.engine import Pairing, Phase
from tests.gateways.machine import PHONE_NUMBER, State
from tests.harness.dialog import SHOWN_CODE
from tests.harness.facts import lacks, needs
from tests.harness.helpers import raised_issues, state_of, until
from tests.harness.pairings import pair, phases
from tests.harness.qr_reader import read_qr
from tests.harness.texts import suggested_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.conftest import Open
    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

NO_CODE = b'{"code": null, "pairingCode": null, "count": 1}'
"""An answer of any gateway that has no pairing code."""


async def first_pairing_code(pairings: AsyncIterator[Pairing]) -> str:
    """Return the next pairing code that is shown."""
    async for shown in pairings:
        if shown.phase is Phase.ENTER_CODE:
            return shown.code
    raise AssertionError


# the engine


@needs("pairing_code")
@pytest.mark.parametrize(
    "state", [State.NEW, State.STOPPED, State.FAILED, State.WAITING]
)
async def test_linked(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, state: State
) -> None:
    """An instance shows a code, also if it waited for a scan, and is linked by it."""
    one = gateway.add("Home", state)
    async with aclosing(pair(provider, one.id, phone.number)) as pairings:
        code = await first_pairing_code(pairings)
        assert SHOWN_CODE.fullmatch(code)
        assert phone.enter(code) is one

        assert (await phases(pairings))[-1] is Phase.LINKED
    assert one.state is State.CONNECTED
    assert one.phone_number == phone.number


@needs("pairing_code")
async def test_already_connected(gateway: Gateway, provider: Provider) -> None:
    """A connected instance stays connected."""
    one = gateway.add("Home", State.CONNECTED)

    assert await phases(pair(provider, one.id, PHONE_NUMBER)) == [Phase.LINKED]
    assert one.state is State.CONNECTED


@needs("many_pairing_codes")
async def test_new_codes(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """A new code of the gateway replaces the one that is shown."""
    one = gateway.add("Home")
    async with aclosing(pair(provider, one.id, phone.number)) as pairings:
        codes = [await first_pairing_code(pairings) for _ in range(3)]
        assert len(set(codes)) == 3
        phone.enter(codes[-1])

        assert (await phases(pairings))[-1] is Phase.LINKED


@needs("pairing_code")
async def test_another_round(
    gateway: Gateway, provider: Provider, phone: VirtualPhone, clock: Clock
) -> None:
    """After the codes have expired another round can be started."""
    one = gateway.add("Home")
    seen = await phases(pair(provider, one.id, phone.number))
    assert seen[-2:] == [Phase.ENTER_CODE, Phase.EXPIRED]
    await clock.run(sum(gateway.code_lives))

    async with aclosing(pair(provider, one.id, phone.number)) as pairings:
        phone.enter(await first_pairing_code(pairings))
        assert (await phases(pairings))[-1] is Phase.LINKED


@needs("pairing_code")
async def test_no_code(gateway: Gateway, provider: Provider, clock: Clock) -> None:
    """An instance that waits for 20 s without a pairing code ends the pairing."""
    one = gateway.add("Home")
    task = asyncio.create_task(phases(pair(provider, one.id, PHONE_NUMBER)))
    await until(lambda: one.starts)
    gateway.fail(gateway.pairing_code_route, body=NO_CODE)
    started = clock.time()

    assert await task == [Phase.WAITING, Phase.NO_CODE]
    waited = clock.time() - started
    assert engine.NO_CODE_SECONDS <= waited < 1.5 * engine.NO_CODE_SECONDS


@needs("pairing_code")
async def test_rejected(gateway: Gateway, provider: Provider) -> None:
    """A rejected request for a pairing code ends the pairing at once."""
    one = gateway.add("Home")
    pairings = pair(provider, one.id, PHONE_NUMBER)
    await anext(pairings)
    task = asyncio.create_task(anext(pairings))
    await until(lambda: one.starts)
    gateway.fail(
        gateway.pairing_code_route, status=422, code="no", message="Ask your admin"
    )

    assert await task == Pairing(phase=Phase.REJECTED, message="Ask your admin")
    await pairings.aclose()


@needs("pairing_code")
async def test_short_outage(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """The code stays on screen while the gateway is unreachable for a moment."""
    one = gateway.add("Home")
    async with aclosing(pair(provider, one.id, phone.number)) as pairings:
        code = await first_pairing_code(pairings)
        gateway.fail("*", status=502, times=5)
        phone.enter(code)

        assert (await phases(pairings))[-1] is Phase.LINKED


@needs("pairing_code", "passkey")
async def test_passkey_missing(
    gateway: Gateway, provider: Provider, phone: VirtualPhone
) -> None:
    """A passkey that nobody enters is the reason why the pairing ends."""
    one = gateway.add("Home", demands_passkey=True)
    async with aclosing(pair(provider, one.id, phone.number)) as pairings:
        phone.enter(await first_pairing_code(pairings))

        assert (await phases(pairings))[-2:] == [Phase.PASSKEY, Phase.NO_PASSKEY]


# the dialogs


@needs("pairing_code")
@pytest.mark.parametrize("state", [State.STOPPED, State.WAITING])
async def test_dialog(
    hass: HomeAssistant,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    place: str,
    state: State,
) -> None:
    """The dialog shows the code, and continues by itself once it is entered."""
    session = await open_linking(state, how="phone")
    session.scale = 1
    assert dialog.step == "phone"
    assert "**Home**" in dialog.text
    await dialog.give(phone_number=f"+{phone.number}")
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    phone.enter(await dialog.pairing_code())
    await dialog.wait_for()

    if place == "repair":
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    else:
        assert dialog.text == "**Home** is linked."
    await hass.async_block_till_done()
    assert session.state is State.CONNECTED
    assert state_of(hass, "sensor.home_status") == "connected"
    assert raised_issues(hass) == []


@needs("pairing_code")
async def test_picture_meanwhile(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
    hass_client: ClientSessionGenerator,
) -> None:
    """The image shows the QR code while a dialog shows a pairing code."""
    session = gateway.add("Home", State.WAITING)
    assert await hass.config_entries.async_setup(entry.entry_id)
    client = await hass_client()
    await dialog.open_options(entry)
    await dialog.choose("link")
    await dialog.choose("phone")
    await dialog.give(phone_number=f"+{phone.number}")
    code = await dialog.pairing_code()

    await asyncio.sleep(1)
    response = await client.get("/api/image_proxy/image.home_qr_code")
    shown = read_qr(await response.read())

    assert session.code is not None
    assert shown == session.code.text
    assert await dialog.pairing_code() == code
    phone.enter(code)
    await dialog.wait_for()


@needs("pairing_code")
@pytest.mark.parametrize(
    "number",
    [
        "5511999998888",
        "+55 11 99999-8888",
        "0055 (11) 99999.8888",
        "55/11/99999\N{EN DASH}8888",
    ],
)
async def test_number(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog, number: str
) -> None:
    """A phone number may be written with the usual separators."""
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await dialog.choose("phone")
    await dialog.give(phone_number=number)
    session = phone.enter(await dialog.pairing_code())
    await dialog.wait_for()

    assert dialog.reason == "linked"
    assert session.pairing_number == PHONE_NUMBER


@needs("pairing_code")
@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("BR", "(11) 99999-8888"),
        ("BR", "011 99999 8888"),
        ("DE", "5511999998888.0"),
        ("DE", "+55 (0) 11 99999 8888"),
        ("DE", "\u202a+55 11 99999\u20118888\u202c"),
    ],
)
async def test_number_in_country(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    country: str,
    number: str,
) -> None:
    """A number is read as people in the country of the home write it."""
    await hass.config.async_update(country=country)
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await dialog.choose("phone")
    await dialog.give(phone_number="99999-8888")
    assert dialog.errors == {"phone_number": "invalid_phone_number"}
    example = (dialog.result["description_placeholders"] or {})["example"]
    assert example == {"BR": "+55 11 96123-4567", "DE": "+49 1512 3456789"}[country]
    await dialog.give(phone_number=number)
    session = phone.enter(await dialog.pairing_code())
    await dialog.wait_for()

    assert dialog.reason == "linked"
    assert session.pairing_number == PHONE_NUMBER


@needs("pairing_code")
async def test_wrong_number(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """What is no phone number in international format can be corrected in place."""
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    await dialog.choose("phone")
    for number in (
        "",
        "Anna",
        "11 9999 CALL",
        "12345",
        "011 99999 8888",
        "+" + "9" * 16,
    ):
        await dialog.give(phone_number=number)
        assert dialog.step == "phone"
        assert dialog.errors == {"phone_number": "invalid_phone_number"}
        suggested = suggested_values(dialog.result["data_schema"])
        assert suggested == {"phone_number": number}

    await dialog.give(phone_number=phone.number)
    phone.enter(await dialog.pairing_code())
    await dialog.wait_for()
    assert dialog.reason == "linked"


@needs("pairing_code")
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            {"body": NO_CODE},
            "The gateway didn't provide a code for this phone number in time.",
        ),
        (
            {"status": 422, "code": "no", "message": "*Pay* [now]"},
            r"The gateway rejected the request: \*Pay\* \[now\]",
        ),
    ],
    ids=["no_code", "rejected"],
)
async def test_dialog_without_code(
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    fault: dict[str, object],
    text: str,
) -> None:
    """The dialog says why there is no code, and offers each way to link again."""
    one = await open_linking(State.STOPPED, how="phone")
    step = asyncio.create_task(dialog.give(phone_number=phone.number))
    await until(lambda: one.starts)
    gateway.fail(gateway.pairing_code_route, **fault)
    await step
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert dialog.options == ["scan", "phone", "finish"]
    assert dialog.text == f"**Home** isn't linked to a phone yet. {text}"
    gateway.heal()

    await dialog.choose("phone")
    assert dialog.step == "phone"
    suggested = suggested_values(dialog.result["data_schema"])
    assert suggested == {"phone_number": f"+{phone.number}"}
    await dialog.give(phone_number=phone.number)
    phone.enter(await dialog.pairing_code())
    await dialog.wait_for()
    assert one.state is State.CONNECTED


@needs("pairing_code")
async def test_scan_instead(
    phone: VirtualPhone, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """After the pairing codes have expired the QR code can be scanned instead."""
    session = await open_linking(State.STOPPED, how="phone")
    await dialog.give(phone_number=phone.number)
    await dialog.pairing_code()
    await clock.run(engine.DEADLINE_SECONDS + 5)
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert "codes expired" in dialog.text

    await dialog.choose("scan")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert session.state is State.CONNECTED


@needs("many_pairing_codes")
async def test_dialog_shows_new_codes(
    phone: VirtualPhone, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """The dialog replaces the code by a new one of the gateway."""
    session = await open_linking(State.STOPPED, how="phone")
    await dialog.give(phone_number=phone.number)
    before = await dialog.pairing_code()
    await clock.run(60)
    await dialog.look()
    code = await dialog.pairing_code()
    assert code != before

    phone.enter(code)
    await dialog.wait_for()
    assert session.state is State.CONNECTED


@needs("pairing_code", "passkey")
@pytest.mark.parametrize("how", ["phone", "scan"])
async def test_passkey(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog, open_linking: Open, how: str
) -> None:
    """The dialog says where to enter a passkey, and continues by itself after that."""
    session = await open_linking(State.STOPPED, how=how)
    vars(session)["demands_passkey"] = True
    if how == "phone":
        await dialog.give(phone_number=phone.number)
        phone.enter(await dialog.pairing_code())
    else:
        phone.scan(await dialog.code())
    await dialog.wait_for("passkey")
    assert f"]({gateway.url}/" in dialog.text

    # somebody enters it there
    session.state = State.LINKING
    await dialog.wait_for()
    assert session.state is State.CONNECTED


@lacks("pairing_code")
async def test_only_qr_codes(
    gateway: Gateway, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """A gateway without pairing codes shows the QR code without asking how to link."""
    await open_linking(State.STOPPED)
    assert dialog.step == "link_phone"
    await clock.run(sum(gateway.code_lives) + 5)
    await dialog.wait_for()
    assert dialog.options == ["scan", "finish"]
