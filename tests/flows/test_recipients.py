"""Recipients: a person or a group becomes a notify entity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.data_entry_flow import FlowResultType, UnknownHandler
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.flows.recipient import ids_by_label
from custom_components.whatsapp_gateway.messages.recipients import (
    async_entity_id_of,
    recipients_of,
)
from custom_components.whatsapp_gateway.providers.messages import Chat
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.helpers import POLL, device_names, poll_twice, state_of
from tests.harness.recipients import (
    BEN,
    FAMILY,
    NEIGHBOURS,
    add_recipient,
    device_named,
    notify,
    send,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.gateways import Gateway
    from tests.harness.clock import Clock
    from tests.harness.dialog import Dialog

NUMBER = "+1 202 555 0123"
"""Ben's."""
ENTITY = "notify.family"


def choices(dialog: Dialog) -> list[str]:
    """Return the list of chats."""
    selector: Any = dialog.result["data_schema"].schema["recipient"]
    options: list[str] = selector.config["options"]
    return options


@needs("messages", "chats")
async def test_group_by_name(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A group is chosen by its name, and is an entity on its own device at once."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    account = entry.runtime_data

    await dialog.open_recipient(entry)
    assert dialog.step == "chat"
    assert "may ban" in dialog.text
    assert choices(dialog)[:2] == ["Family", "Neighbours"]
    [recipient_field, _] = dialog.result["data_schema"].schema
    assert recipient_field.description == {"suggested_value": ""}
    await dialog.give(recipient="Family")
    await hass.async_block_till_done()

    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.runtime_data is account
    assert state_of(hass, ENTITY) == STATE_UNKNOWN
    assert device_names(hass, entry) == {"Home", "Family"}
    device = device_named(hass, entry, "Family")
    assert (device.model, device.entry_type) == ("Group", dr.DeviceEntryType.SERVICE)
    entities = er.async_entries_for_device(er.async_get(hass), device.id)
    assert [entity.entity_id for entity in entities] == [ENTITY]
    [recipient] = recipients_of(entry)
    assert recipient.chat_id == FAMILY
    assert async_entity_id_of(hass, entry, recipient) == ENTITY


@needs("messages")
async def test_phone_number(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A person is added by a phone number, and nothing is sent for that."""
    # those with a name may be in the list
    gateway.people = dict.fromkeys(gateway.people, "")
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    await dialog.give(recipient="0151 123", name="Ben")
    assert dialog.errors == {"recipient": "invalid_recipient"}
    await dialog.give(recipient="Ben@example.com", name="Ben")
    assert dialog.errors == {"recipient": "invalid_recipient"}
    await dialog.give(recipient=NUMBER, name=" ")
    assert dialog.errors == {"name": "name_required"}
    await dialog.give(recipient=NUMBER, name=" Ben ")
    await hass.async_block_till_done()

    [recipient] = recipients_of(entry)
    assert (recipient.instance_id, recipient.chat_id) == (session.id, BEN)
    assert device_named(hass, entry, "Ben").model == "Contact"
    assert gateway.sent == []


@needs("messages")
@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("US", "(202) 555-0123"),
        ("US", "202 555 0123"),
        ("DE", "12025550123.0"),
        ("DE", "+1 (0)202 555 0123"),
        (None, "\u202a+1 202 555\u20110123\u202c"),
        (None, "\u200e12025550123@c.us"),
    ],
)
async def test_number_in_country(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    dialog: Dialog,
    country: str | None,
    number: str,
) -> None:
    """A number is read as people in the country of the home write it."""
    await hass.config.async_update(country=country)
    gateway.people = dict.fromkeys(gateway.people, "")
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    unclear = "555-0123" if country == "US" else "(202) 555-0123"
    await dialog.give(recipient=unclear, name="Ben")
    assert dialog.errors == {"recipient": "invalid_recipient"}
    given = dialog.result["description_placeholders"] or {}
    examples = {"US": "+1 201-555-0123", "DE": "+49 1512 3456789"}
    assert given["example"] == examples.get(country or "", "+1 202 555 0123")
    await dialog.give(recipient=number, name="Ben")

    assert [recipient.chat_id for recipient in recipients_of(entry)] == [BEN]
    assert gateway.sent == []


@needs("messages", "number_check")
async def test_other_form(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """The chat that the gateway names for a number is stored."""
    gateway.people["5215530000000"] = "Rosa"
    gateway.other_numbers["525530000000"] = "5215530000000"
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    await dialog.give(recipient="+52 55 3000 0000", name="Rosa")

    [recipient] = recipients_of(entry)
    assert recipient.chat_id == "5215530000000@s.whatsapp.net"


@needs("messages", "number_check")
async def test_number_check(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A number without WhatsApp is refused, and a failed check can be repeated."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    await dialog.give(recipient="+1 202 555 0199", name="Carl")
    assert dialog.errors == {"recipient": "not_on_whatsapp"}

    gateway.fail("check_number", status=500)
    await dialog.give(recipient=NUMBER, name="Ben")
    assert dialog.errors == {"base": "cannot_connect"}

    gateway.heal()
    await dialog.give(recipient=NUMBER, name="Ben")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@needs("messages", "number_check")
async def test_fresh_check(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Each dialog checks a number, and messages to this number use the last answer."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    device_id = device_named(hass, entry, "Home").id
    carl = "447800900123"
    gateway.people[carl] = "Carl"
    message = {"device_id": device_id, "to": f"+{carl}", "message": "Hello"}
    await send(hass, **message)

    del gateway.people[carl]
    await dialog.open_recipient(entry)
    await dialog.give(recipient=f"+{carl}", name="Carl")
    assert dialog.errors == {"recipient": "not_on_whatsapp"}
    with pytest.raises(HomeAssistantError):
        await send(hass, **message)

    gateway.people[carl] = "Carl"
    await dialog.give(recipient=f"+{carl}", name="Carl")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    await send(hass, **message)
    assert gateway.count("check_number") == 3
    assert len(gateway.sent) == 2


@needs("messages", "chats")
async def test_no_list(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Without the list, the ID of a group can still be entered."""
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    gateway.fail("chats", status=500)
    await dialog.open_recipient(entry)
    assert dialog.step == "number"
    assert dialog.errors == {"base": "no_chats"}
    await dialog.give(recipient=FAMILY, name="Family")

    assert [recipient.chat_id for recipient in recipients_of(entry)] == [FAMILY]


@needs("messages", "chats")
async def test_empty_list(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An empty list isn't shown."""
    gateway.groups.clear()
    gateway.people.clear()
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)

    assert dialog.step == "number"
    assert dialog.errors == {}


@needs("messages", "chats")
async def test_names_repeated(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """Groups of the same name can be told apart; known recipients aren't offered."""
    gateway.groups[NEIGHBOURS] = "Family"
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    one, other = f"Family ({FAMILY})", f"Family ({NEIGHBOURS})"
    assert {one, other} <= {*choices(dialog)}
    dialog.close()

    add_recipient(hass, entry, session)
    await dialog.open_recipient(entry)
    assert not {one, other} & {*choices(dialog)}
    await dialog.give(recipient="Family")
    await hass.async_block_till_done()
    assert [one.chat_id for one in recipients_of(entry)] == [FAMILY, NEIGHBOURS]


def test_no_names() -> None:
    """Chats without a name are called by their phone number or ID."""
    chats = [Chat(id=BEN), Chat(id=FAMILY), Chat(id=NEIGHBOURS, name="Neighbours")]
    assert list(ids_by_label(chats, None).items()) == [
        (FAMILY, FAMILY),
        ("Neighbours", NEIGHBOURS),
        ("+12025550123", BEN),
    ]


@needs("messages", "chats")
async def test_names_forged(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A group isn't hidden by another one that is named like it is listed."""
    gateway.groups[NEIGHBOURS] = "Family"
    gateway.groups["120363025246125499@g.us"] = f"Family ({FAMILY})"
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    assert f"Family ({FAMILY}) (120363025246125499@g.us)" in choices(dialog)
    await dialog.give(recipient=f"Family ({FAMILY})")

    assert [one.chat_id for one in recipients_of(entry)] == [FAMILY]


@needs("messages", "chats")
async def test_name_is_a_number(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A group whose name is somebody's phone number isn't taken for that person."""
    gateway.groups |= {FAMILY: NUMBER, NEIGHBOURS: "(202) 555-0123"}
    gateway.groups["120363025246125499@g.us"] = "Holidays 2026/2027"
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    # also if it isn't clear whose number it is
    unclear = f"(202) 555-0123 ({NEIGHBOURS})"
    expected = {f"{NUMBER} ({FAMILY})", unclear, "Holidays 2026/2027"}
    assert expected <= {*choices(dialog)}
    await dialog.give(recipient=NUMBER, name="Ben")
    await hass.async_block_till_done()

    assert [recipient.chat_id for recipient in recipients_of(entry)] == [BEN]


@needs("messages")
async def test_duplicate(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A chat is a recipient of an instance only once, but of several instances."""
    first, second = (gateway.add(name, State.CONNECTED) for name in ("Home", "Shop"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    add_recipient(hass, entry, first, BEN, "Ben")

    await dialog.open_recipient(entry)
    await dialog.give(instance=first.id)
    await dialog.give(recipient=NUMBER, name="Benjamin")
    assert dialog.errors == {"recipient": "recipient_exists"}
    dialog.close()

    await dialog.open_recipient(entry)
    await dialog.give(instance=second.id)
    await dialog.give(recipient=NUMBER, name="Benjamin")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY
    found = [recipient.instance_id for recipient in recipients_of(entry)]
    assert found == [first.id, second.id]


@needs("messages")
async def test_two_dialogs(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """An instance that is deleted while the dialog is open can't be chosen."""
    first, _ = (gateway.add(name, State.CONNECTED) for name in ("Home", "Shop"))
    assert await hass.config_entries.async_setup(entry.entry_id)

    await dialog.open_recipient(entry)
    del gateway.sessions[first.id]
    await poll_twice(entry)
    await dialog.give(instance=first.id)
    assert dialog.reason == "instance_gone"

    await dialog.open_recipient(entry)
    await dialog.give(recipient=NUMBER, name="Ben")
    assert dialog.result["type"] is FlowResultType.CREATE_ENTRY


@needs("messages")
async def test_no_instances(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A recipient needs an instance, and an account that is loaded."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_recipient(entry)
    assert dialog.reason == "no_instances"

    assert await hass.config_entries.async_unload(entry.entry_id)
    await dialog.open_recipient(entry)
    assert dialog.reason == "account_unavailable"

    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await dialog.open_recipient(entry)
    assert dialog.result["type"] is FlowResultType.FORM


@needs("messages")
async def test_rename(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, dialog: Dialog
) -> None:
    """A recipient is renamed at once, and keeps its entity."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    subentry_id = add_recipient(hass, entry, session)
    await hass.async_block_till_done()

    await dialog.open_recipient(entry, subentry_id)
    await dialog.give(name=" ")
    assert dialog.errors == {"name": "name_required"}
    await dialog.give(name="Parents")
    await hass.async_block_till_done()

    assert dialog.reason == "reconfigure_successful"
    assert device_names(hass, entry) == {"Home", "Parents"}
    state = hass.states.get(ENTITY)
    assert state is not None
    assert state.name == "Parents"
    [recipient] = recipients_of(entry)
    assert (recipient.name, recipient.chat_id) == ("Parents", FAMILY)


@needs("messages")
async def test_remove(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A removed recipient leaves nothing behind, and can be added again."""
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    account = entry.runtime_data
    subentry_id = add_recipient(hass, entry, session)
    await hass.async_block_till_done()

    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    assert hass.states.get(ENTITY) is None
    assert device_names(hass, entry) == {"Home"}

    add_recipient(hass, entry, session)
    await hass.async_block_till_done()
    assert state_of(hass, ENTITY) == STATE_UNKNOWN
    assert entry.runtime_data is account


@needs("messages")
async def test_two_accounts(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Each account has its own recipients."""
    session = gateway.add("Home", State.CONNECTED)
    other = MockConfigEntry(
        domain=DOMAIN, title="Other", data={**entry.data, "gateway": "other"}
    )
    other.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)

    add_recipient(hass, entry, session)
    add_recipient(hass, other, session, BEN, "Ben")
    await hass.async_block_till_done()

    assert device_names(hass, entry) == {"Home", "Family"}
    assert device_names(hass, other) == {"Home", "Ben"}


@needs("messages")
async def test_availability(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A recipient is available while its instance was connected at the last poll."""
    session = gateway.add("Home", State.CONNECTED)
    add_recipient(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert state_of(hass, ENTITY) == STATE_UNKNOWN

    session.state = State.STOPPED
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, ENTITY) == STATE_UNAVAILABLE

    session.state = State.CONNECTED
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, ENTITY) == STATE_UNKNOWN

    # messages to an unavailable entity would be lost without an error
    gateway.fail("list", status=500)
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, ENTITY) == STATE_UNKNOWN
    await notify(hass, ENTITY, message="Hello")
    assert [one.text for one in gateway.sent] == ["Hello"]


@needs("messages")
async def test_instance_deleted(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Recipients are no instances: those of a deleted instance stay, unavailable."""
    session = gateway.add("Home", State.CONNECTED)
    other = gateway.add("Shop", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    add_recipient(hass, entry, session)
    add_recipient(hass, entry, other, BEN, "Ben")
    await hass.async_block_till_done()

    del gateway.sessions[session.id]
    await poll_twice(entry)

    assert device_names(hass, entry) == {"Shop", "Family", "Ben"}
    assert state_of(hass, ENTITY) == STATE_UNAVAILABLE
    assert state_of(hass, "notify.ben") == STATE_UNKNOWN
    assert device_named(hass, entry, "Ben").sw_version is None


@needs("messages", "self_hosted")
async def test_version(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, clock: Clock
) -> None:
    """The version of the server is shown at instances, not at recipients."""
    session = gateway.add("Home", State.CONNECTED)
    add_recipient(hass, entry, session)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await clock.run(POLL)

    assert device_named(hass, entry, "Home").sw_version == gateway.version
    assert device_named(hass, entry, "Family").sw_version is None


@lacks("messages")
async def test_not_offered(entry: MockConfigEntry, dialog: Dialog) -> None:
    """A gateway that sends no messages has no recipients."""
    with pytest.raises(UnknownHandler):
        await dialog.open_recipient(entry)


@needs("messages")
async def test_diagnostics(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """The diagnostics have the number of recipients, and nothing else about them."""
    assert await async_setup_component(hass, "diagnostics", {})
    session = gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)
    add_recipient(hass, entry, session, BEN, "Marker name")

    told = await get_diagnostics_for_config_entry(hass, hass_client, entry)

    assert told["recipient_count"] == 1
    text = json.dumps(told)
    assert "Marker" not in text
    assert "2025550123" not in text
