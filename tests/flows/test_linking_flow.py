"""Link an instance in the dialogs: of the setup, of Configure, and of a repair."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
    InvalidData,
    UnknownFlow,
)
from homeassistant.helpers import device_registry as dr

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.pairing import engine
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.helpers import (
    SECOND_LIST,
    poll_twice,
    raised_issues,
    state_of,
    until,
)
from tests.harness.qr_reader import read_data_uri
from tests.harness.texts import suggested_values

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from tests.conftest import Open
    from tests.gateways import Gateway, VirtualPhone
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

BAN = "WhatsApp may ban numbers"
TRAP = "![x](https://evil.example/x.png) <img src=x> *Bob* & [y](z)"
"""A name that is a picture, a link and HTML, if it isn't escaped."""
ESCAPED = (
    r"\!\[x\]\(https\:\/\/evil\.example\/x\.png\) \<img src\=x\> \*Bob\* "
    r"\& \[y\]\(z\)"
)
SUBSCRIBED = 2.0
"""Seconds after the first response by which any browser hears of changes."""


async def expire(gateway: Gateway, dialog: Dialog, clock: Clock) -> None:
    """Let all codes expire."""
    await dialog.code()
    await clock.run(sum(gateway.code_lives) + 5)
    await dialog.wait_for()
    assert dialog.step == "link_ended"


def account(hass: HomeAssistant) -> Any:
    """Return the only account."""
    [entry] = hass.config_entries.async_entries(DOMAIN)
    return entry


def note_events(hass: HomeAssistant, dialog: Dialog) -> list[float]:
    """Return a list that gets the time of each event that announces a change."""
    times: list[float] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["flow_id"] == dialog.flow_id:
            times.append(time.monotonic())

    hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESSED, note)
    return times


async def test_first_response_has_the_code(
    dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """A code that exists is in the first response, also if the gateway is slow."""
    session = await open_linking(State.WAITING, late=0.3)

    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    assert dialog.action == "scan"
    assert session.code
    shown = read_data_uri(dialog.result["description_placeholders"]["qr"])
    assert shown == session.code.text


async def test_early_change_is_announced_again(
    hass: HomeAssistant, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """A browser that subscribes after two seconds still hears of an earlier change."""
    await open_linking(State.STOPPED)
    shown = time.monotonic()
    assert dialog.action == "waiting"
    times = note_events(hass, dialog)
    await clock.run(5)
    early = [one - shown for one in times if one < shown + SUBSCRIBED]
    late = [one - shown for one in times if one >= shown + SUBSCRIBED]
    assert early
    assert late
    assert late[0] < 2 * SUBSCRIBED + 0.1

    await dialog.look()
    assert dialog.action == "scan"
    dialog.close()
    heard = len(times)
    await clock.run(60)
    assert len(times) == heard


async def test_early_end_is_announced(
    hass: HomeAssistant, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """A browser that subscribes after two seconds still hears of an earlier end."""
    await open_linking(State.STOPPED, status=403)
    shown = time.monotonic()
    times = note_events(hass, dialog)
    await clock.run(5)
    assert [one for one in times if one >= shown + SUBSCRIBED]

    await dialog.look()
    assert dialog.step == "link_ended"


async def test_end_is_announced(
    hass: HomeAssistant,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """A scan is announced as well, and nothing after the dialog has ended."""
    await open_linking(State.STOPPED)
    code = await dialog.code()
    times = note_events(hass, dialog)
    phone.scan(code)
    await clock.run(5)
    assert times
    await dialog.look()
    assert dialog.result["type"] in {
        FlowResultType.ABORT,
        FlowResultType.CREATE_ENTRY,
    }
    heard = len(times)
    await clock.run(20)
    assert len(times) == heard


async def test_says_that_it_is_linked(
    hass: HomeAssistant,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    place: str,
) -> None:
    """The end of the dialog says which instance is linked."""
    await open_linking(State.STOPPED)
    phone.scan(await dialog.code())
    await dialog.wait_for()
    await hass.async_block_till_done()

    if place == "repair":
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    else:
        assert dialog.text == "**Home** is linked."
    assert state_of(hass, "sensor.home_status") == "connected"
    assert raised_issues(hass) == []


async def test_codes_expired(
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    place: str,
    clock: Clock,
) -> None:
    """After all codes expired, a menu with a neutral text offers to try again."""
    await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    assert dialog.result["type"] is FlowResultType.MENU
    assert dialog.step == "link_ended"
    assert dialog.options[0] == "scan"
    assert dialog.options[-1] == "finish"
    assert dialog.text == (
        "**Home** isn't linked to a phone yet. "
        "All codes expired before the phone was linked."
    )

    await dialog.choose("scan")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.result["type"] is (
        FlowResultType.CREATE_ENTRY if place == "repair" else FlowResultType.ABORT
    )
    assert len(gateway.sessions) == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"status": 500}, "The gateway stopped responding."),
        ({"body": b"{}"}, "The gateway returned an unexpected response."),
        ({"status": 401}, "The API key is not allowed to do this."),
        (
            {"status": 422, "code": "no", "message": "*Pay* [now]"},
            r"The gateway rejected the request: \*Pay\* \[now\]",
        ),
    ],
    ids=str,
)
async def test_pairing_fails(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    place: str,
    fault: dict[str, Any],
    text: str,
) -> None:
    """The dialog says why an instance could not be linked, and goes on if asked to."""
    await open_linking(State.STOPPED)
    await dialog.code()
    gateway.fail("one", **fault)
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert dialog.text == f"**Home** isn't linked to a phone yet. {text}"
    gateway.heal()

    await dialog.choose("scan")
    await dialog.code()
    gateway.fail("one", **fault)
    await dialog.wait_for()
    gateway.heal()
    await dialog.choose("finish")
    assert dialog.reason == "not_linked"
    assert dialog.text.startswith("**Home** is")
    assert "n't linked" in dialog.text or "not linked" in dialog.text
    await hass.async_block_till_done()
    assert state_of(hass, "sensor.home_status") == "scan_qr"
    for flow in hass.config_entries.flow.async_progress():
        hass.config_entries.flow.async_abort(flow["flow_id"])


@needs("says_failed")
async def test_instance_fails(
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    phone: VirtualPhone,
    place: str,
) -> None:
    """An instance that can't be started is told from codes that expired."""
    one = await open_linking(State.STOPPED)
    await until(lambda: one.starts)
    gateway.say(gateway.statuses[State.FAILED])
    await dialog.wait_for()
    if place == "repair" and "logout" in gateway.actions:
        assert dialog.step == "unlink"
        await dialog.give()
        await dialog.wait_for()
    gateway.say(None)
    assert "could not start or link this instance" in dialog.text

    await dialog.choose("scan")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert one.state is State.CONNECTED


async def test_deleted_while_linking(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """A linking ends when its instance is deleted, and so does its repair."""
    await open_linking(State.STOPPED)
    await dialog.code()
    gateway.sessions.clear()
    await dialog.wait_for()

    assert dialog.reason == "instance_gone"
    await clock.run(SECOND_LIST)
    assert raised_issues(hass) == []
    assert hass.states.get("sensor.home_status") is None


async def test_deleted_before_finish(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """The end of the dialog says that the instance is deleted, not that it waits."""
    await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    gateway.sessions.clear()
    await dialog.choose("finish")

    assert dialog.reason == "instance_gone"
    assert raised_issues(hass) == []


async def test_linked_elsewhere_before_finish(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    place: str,
    clock: Clock,
) -> None:
    """The end of the dialog says so if the instance was linked meanwhile."""
    session = await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    session.state = State.CONNECTED
    await dialog.choose("finish")

    if place == "repair":
        assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    else:
        assert dialog.reason == "linked"
    assert account(hass).data["linked"] == [session.id]


async def test_closed_dialog(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """Closing the dialog keeps the account and the instance, and stops its requests."""
    await open_linking(State.STOPPED)
    await dialog.code()
    dialog.close()
    await clock.settle()
    asked = gateway.count(gateway.qr_route)
    await clock.run(60)

    assert gateway.count(gateway.qr_route) == asked
    entry = account(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert len(gateway.sessions) == 1
    assert state_of(hass, "sensor.home_status") == "scan_qr"
    await dialog.open_options(entry)
    assert dialog.options[:2] == ["link", "create"]


async def test_closed_browser(
    gateway: Gateway, dialog: Dialog, open_linking: Open, clock: Clock
) -> None:
    """A dialog that nobody looks at ends its requests by itself."""
    await open_linking(State.WAITING)
    await clock.run(engine.DEADLINE_SECONDS - 15)
    asked = gateway.count(gateway.qr_route)
    await clock.run(20)
    assert gateway.count(gateway.qr_route) > asked
    asked = gateway.count(gateway.qr_route)
    await clock.run(60)

    assert gateway.count(gateway.qr_route) == asked
    await dialog.look()
    assert dialog.step == "link_ended"


async def test_two_browsers(
    hass: HomeAssistant, phone: VirtualPhone, dialog: Dialog, open_linking: Open
) -> None:
    """Two browsers that fetch the end at the same moment end the dialog once."""
    await open_linking(State.STOPPED)
    phone.scan(await dialog.code())
    await until(lambda: dialog.manager.async_get(dialog.flow_id)["step_id"] == "finish")
    results = await asyncio.gather(
        *(dialog.manager.async_configure(dialog.flow_id) for _ in range(2)),
        return_exceptions=True,
    )

    assert [one for one in results if isinstance(one, dict)]
    assert all(isinstance(one, dict | UnknownFlow) for one in results)


async def test_retry_chosen_twice(
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """Two browsers that try again at the same moment start one linking."""
    session = await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    starts = session.starts
    await asyncio.gather(*(dialog.choose("scan") for _ in range(2)))
    code = await dialog.code()
    assert session.starts == starts + 1
    tasks = [one for one in asyncio.all_tasks() if "linking" in one.get_name()]
    assert len(tasks) == 1

    phone.scan(code)
    await dialog.wait_for()
    assert session.state is State.CONNECTED


async def test_code_refreshes(
    hass: HomeAssistant, dialog: Dialog, open_linking: Open
) -> None:
    """The dialog shows one code after the other, and starts the session once."""
    session = await open_linking(State.STOPPED)
    for _ in range(30):
        await dialog.look()
    codes: set[str] = set()
    while len(codes) < 3:
        codes.add(await dialog.code())

    assert session.starts == 1


@pytest.mark.parametrize("state", [State.STOPPED, State.WAITING])
async def test_account_removed(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    state: State,
) -> None:
    """A dialog whose account is removed ends at once, and asks the gateway no more."""
    await open_linking(state)
    await dialog.code()
    await hass.config_entries.async_remove(account(hass).entry_id)
    # nobody looks
    await clock.run(4)
    asked = len(gateway.asked)
    await clock.run(60)
    assert len(gateway.asked) == asked

    await dialog.look()
    assert dialog.reason == "account_gone"
    assert not hass.config_entries.flow.async_progress()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("moment", ["scan", "rejection", "pause", "menu"])
async def test_account_removed_at_an_odd_moment(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    moment: str,
) -> None:
    """A dialog whose account is removed ends well, whatever happens at that moment."""
    await open_linking(State.STOPPED)
    code = await dialog.code()
    if moment == "scan":
        phone.scan(code)
    elif moment == "rejection":
        gateway.fail("one", status=401, delay=1)
        await clock.run(2.5)
    elif moment == "pause":
        gateway.fail("one", status=429, headers={"Retry-After": "100"})
        await clock.run(5)
    else:
        await expire(gateway, dialog, clock)
    await hass.config_entries.async_remove(account(hass).entry_id)
    await clock.run(5)

    if moment == "menu":
        await dialog.choose("scan")
    asked = len(gateway.asked)
    await dialog.look() if moment != "menu" else await dialog.wait_for()
    assert dialog.reason == "account_gone"
    assert len(gateway.asked) == asked
    assert not hass.config_entries.flow.async_progress()
    assert "Traceback" not in caplog.text
    assert "never retrieved" not in caplog.text


async def test_account_removed_before_finish(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """Finishing without linking works also if the account was removed meanwhile."""
    await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    await hass.config_entries.async_remove(account(hass).entry_id)
    await dialog.choose("finish")

    assert dialog.reason == "not_linked"


async def test_account_removed_while_it_finishes(
    hass: HomeAssistant,
    gateway: Gateway,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """Finishing works also if the account is removed during the last refresh."""
    await open_linking(State.STOPPED)
    await expire(gateway, dialog, clock)
    polls = gateway.count("list")
    gateway.fail("list", late=3)
    finish = asyncio.create_task(dialog.choose("finish"))
    await until(lambda: gateway.count("list") > polls)
    await hass.config_entries.async_remove(account(hass).entry_id)
    await finish
    await clock.run(3)

    assert dialog.reason == "not_linked"


async def test_account_reloaded(
    hass: HomeAssistant,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """A dialog goes on after a reload, and no repair is raised meanwhile."""
    session = await open_linking(State.STOPPED)
    await dialog.code()
    entry = account(hass)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await clock.run(5)
    assert entry.runtime_data.problems.being_linked == {session.id: 1}

    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert session.state is State.CONNECTED
    await hass.async_block_till_done()
    assert not entry.runtime_data.problems.being_linked


async def test_account_unloaded(
    hass: HomeAssistant,
    phone: VirtualPhone,
    dialog: Dialog,
    open_linking: Open,
    clock: Clock,
) -> None:
    """A dialog waits some time for an account that is not loaded, then ends."""
    session = await open_linking(State.STOPPED)
    await dialog.code()
    entry = account(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await clock.run(20)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.code()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await clock.run(60)
    await dialog.look()
    assert dialog.reason == "account_gone"

    assert await hass.config_entries.async_setup(entry.entry_id)
    session.state = State.STOPPED
    await entry.runtime_data.coordinator.async_refresh()
    await dialog.open_options(entry)
    await dialog.choose("link")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"


async def test_names_are_escaped(dialog: Dialog, open_linking: Open) -> None:
    """A name shows no picture, link or markup in the texts of a dialog."""
    session = await open_linking(State.STOPPED, name=TRAP)
    assert ESCAPED in dialog.text
    await dialog.code()
    assert ESCAPED in dialog.text
    session.state = State.FAILED
    await dialog.wait_for()
    assert dialog.step == "link_ended"
    assert ESCAPED in dialog.text
    await dialog.choose("finish")
    assert ESCAPED in dialog.text


async def test_names_are_escaped_in_the_menu(gateway: Gateway, dialog: Dialog) -> None:
    """Names show no picture, link or markup in the menu of the setup."""
    gateway.add(TRAP)
    await dialog.sign_in(gateway)

    assert ESCAPED in dialog.text


@pytest.mark.parametrize("waiting", [["Home"], ["Home", "Shop"], []])
async def test_warning(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog, waiting: list[str]
) -> None:
    """A person reads that WhatsApp may ban numbers before the first code."""
    for name in waiting:
        gateway.add(name)
    await dialog.sign_in(gateway)
    texts = [dialog.text]
    if not waiting:
        await dialog.choose("create")
        texts.append(dialog.text)
    assert BAN in "".join(texts)
    dialog.close()

    await dialog.open_options(account(hass))
    assert BAN in dialog.text


async def test_choose_which(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """If several instances wait, one of them is chosen."""
    home, shop = gateway.add("Home"), gateway.add("Shop")
    gateway.add("Office", State.CONNECTED)
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    assert dialog.step == "link"
    await dialog.give(instance=shop.id)
    phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.text == "**Shop** is linked."
    assert shop.state is State.CONNECTED
    assert home.state is State.NEW


@lacks("names_are_ids")
async def test_same_names(gateway: Gateway, dialog: Dialog) -> None:
    """Instances of the same name are told apart by their IDs."""
    twins = [gateway.add("Twin"), gateway.add("Twin")]
    gateway.add("Single")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    [field] = dialog.result["data_schema"].schema.values()

    assert sorted(one["label"] for one in field.config["options"]) == sorted(
        ["Single", *(f"Twin ({twin.id})" for twin in twins)]
    )


async def test_deleted_before_it_is_chosen(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """An instance that was deleted while the form was open can't be linked."""
    home, shop = gateway.add("Home"), gateway.add("Shop")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    del gateway.sessions[home.id]
    await poll_twice(account(hass))
    await dialog.give(instance=home.id)
    assert dialog.reason == "instance_gone"

    await dialog.open_options(account(hass))
    await dialog.choose("link")
    del gateway.sessions[shop.id]
    await dialog.wait_for()
    assert dialog.reason == "instance_gone"


async def test_linked_before_it_is_chosen(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """An instance that was linked while the form was open needs no link."""
    home, _ = gateway.add("Home"), gateway.add("Shop")
    await dialog.sign_in(gateway)
    await dialog.choose("link")
    home.state = State.CONNECTED
    await account(hass).runtime_data.coordinator.async_refresh()
    await dialog.give(instance=home.id)

    assert dialog.reason == "linked"
    assert "Home" in dialog.text


async def test_linked_before_link_is_chosen(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """There is nothing to link if another dialog did it while the menu was open."""
    home = gateway.add("Home")
    await dialog.sign_in(gateway)
    home.state = State.CONNECTED
    await account(hass).runtime_data.coordinator.async_refresh()
    await dialog.choose("link")

    assert dialog.reason == "nothing_to_do"


async def test_create(
    hass: HomeAssistant, gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """Create the first instance, scan its code, and the dialog goes on by itself."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name=" Home ")
    await dialog.scan()
    assert dialog.result["type"] is FlowResultType.SHOW_PROGRESS
    assert dialog.result["description_placeholders"]["name"] == "Home"
    one = phone.scan(await dialog.code())
    await dialog.wait_for()

    assert dialog.text == "**Home** is linked."
    assert one.name == "Home"
    assert len(gateway.sessions) == 1
    [device] = dr.async_entries_for_config_entry(
        dr.async_get(hass), account(hass).entry_id
    )
    assert device.name == "Home"


async def test_create_another(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """Another instance can be created beside one that waits."""
    gateway.add("Home")
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name="Shop")
    await dialog.code()
    assert "**Shop**" in dialog.text
    dialog.close()

    await account(hass).runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.shop_status") == "scan_qr"


async def test_create_fails(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """A rejected creation shows why, keeps the name, and can be tried again."""
    fault = {"status": 409, "code": "plan_limit_reached", "message": "Upgrade"}
    gateway.fail("create", **fault, times=1)
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name="Home")
    assert dialog.errors == {"base": "rejected"}
    assert dialog.message == "The gateway rejected the request: Upgrade"
    assert suggested_values(dialog.result["data_schema"])["name"] == "Home"

    await dialog.give(name="Home")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"


async def test_create_without_name(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """A name of spaces is no name."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await dialog.give(name="  ")
    assert dialog.errors == {"name": "name_required"}
    with pytest.raises(InvalidData):
        await dialog.give()

    await dialog.give(name="Home")
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"


async def test_creation_without_an_answer(
    gateway: Gateway, phone: VirtualPhone, dialog: Dialog
) -> None:
    """A creation whose answer was lost is an error, and is not tried again."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    gateway.fail("create", truncate=True, times=1)
    await dialog.give(name="Home")
    assert dialog.errors == {"base": "cannot_connect"}
    assert gateway.count("create") == 1
    await dialog.give(name="Shop")

    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"


async def test_account_removed_at_a_form(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """A form of an account that was removed says so when it is sent."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    await hass.config_entries.async_remove(account(hass).entry_id)
    await dialog.give(**gateway.fields("Home"))

    assert dialog.reason == "account_unavailable"
    assert gateway.sessions == {}


@needs("types")
async def test_instance_without_a_qr_code(
    hass: HomeAssistant, gateway: Gateway, dialog: Dialog
) -> None:
    """An instance of a type that has no QR code is created, and never asked for one."""
    await dialog.sign_in(gateway)
    await dialog.choose("create")
    fields = gateway.fields("Home")
    types = dialog.result["data_schema"].schema["type"].config["options"]
    other = next(one["value"] for one in types if one["value"] != fields["type"])
    await dialog.give(**fields | {"type": other})

    assert dialog.reason == "created"
    assert state_of(hass, "sensor.home_status") == "created"
    assert gateway.count("qr") == 0
    await dialog.open_form(account(hass), "create")
    assert dialog.step == "create"


@needs("bound_key")
async def test_configure_a_single_instance(
    hass: HomeAssistant,
    gateway: Gateway,
    phone: VirtualPhone,
    entry: MockConfigEntry,
    dialog: Dialog,
) -> None:
    """Configure of an API key for one instance links it; one option needs no menu."""
    home = gateway.add("Home")
    gateway.bound[gateway.key] = home.id
    data = {**entry.data, "instance_id": home.id}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_options(entry)
    others = ["webhook"] * gateway.has("webhooks")
    others += ["messages"] * gateway.has("receiving")
    if others:
        assert dialog.options == ["link", *others]
        await dialog.choose("link")
    assert dialog.step == "link_phone"
    phone.scan(await dialog.code())
    await dialog.wait_for()
    assert dialog.reason == "linked"

    await dialog.open_options(entry)
    if len(others) == 1:
        assert [dialog.step] == others


async def test_configure_while_not_loaded(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """There is nothing to configure while the account is not loaded."""
    await dialog.open_options(entry)
    assert dialog.reason == "account_unavailable"

    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_form(entry, "create")
    assert dialog.step == "create"
