"""The actions of automations and scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import Context
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.helpers import device_registry as dr
from homeassistant.util.yaml.objects import NodeStrClass
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.whatsapp_gateway.const import DOMAIN
from tests.gateways.machine import State
from tests.harness.facts import lacks, needs
from tests.harness.helpers import state_of, status_of
from tests.harness.texts import ENGLISH

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.gateways import Gateway


@pytest.fixture(autouse=True)
async def _account(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    gateway.add("Home", State.CONNECTED)
    assert await hass.config_entries.async_setup(entry.entry_id)


async def create(hass: HomeAssistant, entry: MockConfigEntry, **data: Any) -> Any:
    """Create an instance, and return what the action returns."""
    return await hass.services.async_call(
        DOMAIN,
        "create_instance",
        {"config_entry_id": entry.entry_id, "name": "Shop"} | data,
        blocking=True,
        return_response=True,
    )


async def delete(hass: HomeAssistant, device_id: str) -> None:
    """Delete an instance."""
    await hass.services.async_call(
        DOMAIN, "delete_instance", {"device_id": device_id}, blocking=True
    )


def device_of(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> str:
    """Return the id of the device of this name."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    return next(device.id for device in devices if device.name == name)


def key_of(error: pytest.ExceptionInfo[HomeAssistantError]) -> str:
    """Return the key of an error whose text exists."""
    key = error.value.translation_key
    assert key is not None
    assert key in ENGLISH["exceptions"]
    return key


async def test_create(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A new instance is returned with its device."""
    response = await create(hass, entry, name=" Shop ")

    one = next(one for one in gateway.sessions.values() if one.name == "Shop")
    assert response == {
        "id": one.id,
        "name": "Shop",
        "status": status_of(gateway, State.NEW),
        "device_id": device_of(hass, entry, "Shop"),
    }
    assert state_of(hass, "sensor.shop_status") == status_of(gateway, State.NEW)


@needs("metadata")
async def test_create_with_metadata(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Metadata is passed on to a gateway that keeps it."""
    # the strings of an automation belong to a class of their own
    response = await create(hass, entry, metadata={NodeStrClass("team"): "a"})

    assert gateway.sessions[response["id"]].metadata == {"team": "a"}


async def assert_invalid(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    key: str,
    **data: Any,
) -> None:
    """Check that the action is refused before anything is asked of the gateway."""
    with pytest.raises(ServiceValidationError) as raised:
        await create(hass, entry, **data)

    assert key_of(raised) == key
    assert gateway.count("create") == 0


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"type": "unheard"}, "unknown_type"),
        ({"config_entry_id": "nobody"}, "no_account"),
    ],
    ids=str,
)
async def test_create_wrongly(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    data: dict[str, Any],
    key: str,
) -> None:
    """An unknown type or account is refused."""
    await assert_invalid(hass, gateway, entry, key, **data)


@lacks("types")
async def test_create_without_types(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A type is refused for a gateway whose instances have none."""
    await assert_invalid(hass, gateway, entry, "unknown_type", type="waha")


@lacks("metadata")
async def test_create_without_metadata(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Metadata is refused for a gateway that does not keep it."""
    await assert_invalid(hass, gateway, entry, "no_metadata", metadata={"team": "a"})


@needs("names_are_ids")
@pytest.mark.parametrize("name", ["My shop", "Café", "a/b", ".", "x" * 65])
async def test_create_with_an_invalid_name(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, name: str
) -> None:
    """A name that can't be an ID is refused."""
    await assert_invalid(hass, gateway, entry, "invalid_name", name=name)

    assert (await create(hass, entry, name="My_shop-2"))["id"] == "My_shop-2"


async def test_create_refused(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """The gateway's own message is shown."""
    fault = {"status": 409, "code": "plan_limit", "message": "Upgrade your plan"}
    gateway.fail("create", **fault, times=1)
    with pytest.raises(HomeAssistantError) as raised:
        await create(hass, entry)

    assert key_of(raised) == "rejected"
    assert raised.value.translation_placeholders == {"message": "Upgrade your plan"}
    assert (await create(hass, entry))["name"] == "Shop"


async def test_create_without_an_answer(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A creation whose answer was lost is an error, and a poll finds the instance."""
    gateway.fail("create", truncate=True, times=1)
    with pytest.raises(HomeAssistantError) as raised:
        await create(hass, entry)
    assert key_of(raised) == "cannot_connect"
    assert gateway.count("create") == 1

    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, "sensor.shop_status") == status_of(gateway, State.NEW)


@pytest.mark.parametrize("action", ["create", "delete"])
@pytest.mark.parametrize("everywhere", [False, True])
async def test_key_refused(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    action: str,
    *,
    everywhere: bool,
) -> None:
    """A key that is refused everywhere is asked for anew; else it isn't allowed."""
    gateway.fail("*" if everywhere else action, status=401)

    async def act() -> None:
        if action == "create":
            await create(hass, entry)
        else:
            await delete(hass, device_of(hass, entry, "Home"))

    with pytest.raises(HomeAssistantError) as raised:
        await act()
    expected = "invalid_auth" if everywhere else "key_not_allowed"
    assert key_of(raised) == expected
    await hass.async_block_till_done()
    flows = hass.config_entries.flow.async_progress()
    asked = [flow["context"]["source"] for flow in flows]
    assert asked == [SOURCE_REAUTH] * everywhere

    gateway.heal()
    await act()


@pytest.mark.parametrize("fault", [None, {"missing": True}])
async def test_delete(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    fault: dict[str, Any] | None,
) -> None:
    """An instance is deleted with its device, also if the gateway has it no more."""
    device_id = device_of(hass, entry, "Home")
    if fault:
        gateway.fail("delete", **fault)
        gateway.sessions.clear()
    await delete(hass, device_id)
    await hass.async_block_till_done()

    assert gateway.sessions == {}
    assert gateway.count("delete") == 1
    assert hass.states.get("sensor.home_status") is None


async def test_delete_fails(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """A deletion that fails says so; the device stays."""
    gateway.fail("delete", status=500)
    with pytest.raises(HomeAssistantError) as raised:
        await delete(hass, device_of(hass, entry, "Home"))

    assert key_of(raised) == "cannot_connect"
    assert state_of(hass, "sensor.home_status") == "connected"


async def test_delete_wrongly(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """Only an instance of an account that is set up can be deleted."""
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    stranger = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id, identifiers={("other", "one")}
    )
    odd = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "odd")}
    )
    for device_id in ("nobody", stranger.id, odd.id):
        with pytest.raises(ServiceValidationError) as raised:
            await delete(hass, device_id)
        assert key_of(raised) == "no_instance"

    home = device_of(hass, entry, "Home")
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as raised:
        await delete(hass, home)
    assert key_of(raised) == "not_loaded"
    assert gateway.count("delete") == 0


async def call_both(
    hass: HomeAssistant, entry: MockConfigEntry, context: Context
) -> list[BaseException]:
    """Call both actions, and return the errors."""
    calls = {
        "create_instance": {"config_entry_id": entry.entry_id, "name": "Shop"},
        "delete_instance": {"device_id": device_of(hass, entry, "Home")},
    }
    errors: list[BaseException] = []
    for action, data in calls.items():
        try:
            await hass.services.async_call(
                DOMAIN, action, data, blocking=True, context=context
            )
        except (Unauthorized, UnknownUser) as err:
            errors.append(err)
    return errors


@pytest.mark.parametrize("group", ["system-read-only", "system-users"])
async def test_not_an_administrator(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, group: str
) -> None:
    """Users who are no administrators can neither create nor delete instances."""
    groups = [await hass.auth.async_get_group(group)]
    user = MockUser(groups=groups).add_to_hass(hass)
    errors = await call_both(hass, entry, Context(user_id=user.id))
    assert [type(error) for error in errors] == [Unauthorized] * 2
    errors = await call_both(hass, entry, Context(user_id="deleted"))
    assert [type(error) for error in errors] == [UnknownUser] * 2
    assert gateway.count("create") == gateway.count("delete") == 0


@pytest.mark.parametrize("automation", [False, True])
async def test_allowed(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry, *, automation: bool
) -> None:
    """Administrators can, and automations, which have no user."""
    admin = MockUser(is_owner=True).add_to_hass(hass)
    context = Context() if automation else Context(user_id=admin.id)

    assert await call_both(hass, entry, context) == []
    assert [one.name for one in gateway.sessions.values()] == ["Shop"]


@needs("bound_key")
async def test_create_with_a_bound_key(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> None:
    """An API key for a single instance can't create another one."""
    home = next(iter(gateway.sessions.values()))
    data = {**entry.data, "instance_id": home.id}
    hass.config_entries.async_update_entry(entry, data=data)
    assert await hass.config_entries.async_reload(entry.entry_id)

    await assert_invalid(hass, gateway, entry, "key_bound")
