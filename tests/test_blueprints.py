"""The blueprints, in real automations."""

from __future__ import annotations

from http import HTTPStatus
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from homeassistant.core import CoreState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_mock_service,
)

from .gateways.machine import State
from .harness.facts import needs
from .harness.helpers import BUTTONS, state_of
from .harness.qr_reader import read_qr

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from .gateways import Gateway
    from .gateways.machine import Session
    from .harness.clock import Clock

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"
SOURCE = (
    "https://github.com/ha-whatsapp-gateway/ha-whatsapp-gateway"
    "/blob/main/blueprints/automation/"
)

TELL = {
    "action": "test.tell",
    "data": {"linked": "{{ linked }}", "picture": "{{ picture }}"},
}
# whether it is linked, and whether there is a picture
AWAY = (False, False)
SCAN = (False, True)
BACK = (True, False)

GIVE_UP = {"action": "test.tell", "data": {"name": "{{ name }}"}}


def restart_button(gateway: Gateway) -> tuple[str, str]:
    """Return the button that starts a failed instance, and the route that it asks."""
    action = "restart" if "restart" in gateway.actions else "connect"
    return BUTTONS[action], gateway.actions[action]


@pytest.fixture(autouse=True)
def _blueprints(hass: HomeAssistant, tmp_path: Path) -> None:
    """Let Home Assistant find the blueprints where it looks for a person's own."""
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "blueprints").symlink_to(BLUEPRINTS)


@pytest.fixture
async def home(
    hass: HomeAssistant, gateway: Gateway, entry: MockConfigEntry
) -> Session:
    """Return a connected instance, whose codes outlive a test."""
    home = gateway.add("Home", State.CONNECTED, scale=0.001)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return home


@pytest.fixture
def told(hass: HomeAssistant) -> list[ServiceCall]:
    """Return what the blueprints' optional actions are called with."""
    calls: list[ServiceCall] = async_mock_service(hass, "test", "tell")
    return calls


def automation(blueprint: str, **inputs: Any) -> dict[str, Any]:
    """Return a configuration with an automation of a blueprint."""
    use = {
        "path": f"whatsapp_gateway/{blueprint}.yaml",
        "input": {"status": "sensor.home_status", **inputs},
    }
    return {"automation": [{"id": "it", "alias": "It", "use_blueprint": use}]}


def messages(told: list[ServiceCall]) -> list[tuple[bool, bool]]:
    """Return what was told: whether it is linked, and whether there is a picture."""
    return [(call.data["linked"], bool(call.data["picture"])) for call in told]


async def automate(hass: HomeAssistant, config: dict[str, Any]) -> None:
    """Set an automation up."""
    assert await async_setup_component(hass, "automation", config)
    assert state_of(hass, "automation.it") == "on"


async def change(hass: HomeAssistant, config: dict[str, Any]) -> None:
    """Change the automation."""
    path = Path(hass.config.path("configuration.yaml"))
    await hass.async_add_executor_job(path.write_text, json.dumps(config))
    await hass.services.async_call("automation", "reload", blocking=True)


async def test_metadata(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    """Home Assistant lists the blueprints, with all that a person is shown."""
    assert await async_setup_component(hass, "automation", {})
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": "blueprint/list", "domain": "automation"})
    blueprints = (await client.receive_json())["result"]

    assert blueprints.keys() == {
        "whatsapp_gateway/answer_with_assist.yaml",
        "whatsapp_gateway/ask_question.yaml",
        "whatsapp_gateway/camera_picture.yaml",
        "whatsapp_gateway/daily_summary.yaml",
        "whatsapp_gateway/not_linked.yaml",
        "whatsapp_gateway/restart_failed.yaml",
    }
    for path, blueprint in blueprints.items():
        metadata = blueprint["metadata"]
        assert metadata["source_url"] == SOURCE + path
        assert metadata["homeassistant"] == {"min_version": "2025.4.0"}
        texts = [metadata, *metadata["input"].values()]
        assert all(text["name"] and text["description"] for text in texts)
        assert all("selector" in one for one in metadata["input"].values())


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ([(State.STOPPED, 110)], []),
        ([(State.STOPPED, 600)], [AWAY]),
        ([(State.STOPPED, 60), (State.BOOTING, 60), (State.FAILED, 50)], [AWAY]),
        ([(State.STOPPED, 90), (State.CONNECTED, 60)] * 3, []),
        ([(State.STOPPED, 160), (State.BOOTING, 60), (State.STOPPED, 160)], [AWAY]),
        ([(State.STOPPED, 160), (State.CONNECTED, 40)] * 2, [AWAY, BACK] * 2),
        ([(State.WAITING, 160), (State.STOPPED, 60), (State.WAITING, 60)], [SCAN]),
        (
            [(State.STOPPED, 160), *[(State.WAITING, 60), (State.FAILED, 60)] * 2],
            [AWAY, SCAN],
        ),
        (
            [(State.STOPPED, 160), (State.WAITING, 60), (State.CONNECTED, 40)],
            [AWAY, SCAN, BACK],
        ),
    ],
)
async def test_not_linked(
    hass: HomeAssistant,
    home: Session,
    told: list[ServiceCall],
    course: list[tuple[State, int]],
    expected: list[tuple[bool, bool]],
    clock: Clock,
) -> None:
    """Who is away too long is told once, a first code once, and a return once."""
    await automate(hass, automation("not_linked", actions=[TELL]))
    for state, seconds in course:
        home.state = state
        await clock.run(seconds)

    assert messages(told) == expected


async def test_not_linked_outage(
    hass: HomeAssistant,
    gateway: Gateway,
    home: Session,
    told: list[ServiceCall],
    clock: Clock,
) -> None:
    """A gateway that is down is not told, and what was told stays told."""
    runs = async_capture_events(hass, "automation_triggered")
    await automate(hass, automation("not_linked", actions=[TELL]))
    gateway.fail("list", status=500)
    await clock.run(600)
    assert runs == []

    gateway.heal()
    home.state = State.STOPPED
    await clock.run(90)
    gateway.fail("list", status=500)
    await clock.run(600)
    assert messages(told) == []

    gateway.heal()
    await clock.run(160)
    assert messages(told) == [AWAY]
    gateway.fail("list", status=500)
    await clock.run(600)
    gateway.heal()
    await clock.run(160)
    assert messages(told) == [AWAY]
    home.state = State.CONNECTED
    await clock.run(40)
    assert messages(told) == [AWAY, BACK]


async def test_not_linked_at_start(
    hass: HomeAssistant,
    home: Session,
    told: list[ServiceCall],
    clock: Clock,
) -> None:
    """What is not linked when Home Assistant starts is told too."""
    home.state = State.STOPPED
    await clock.run(40)
    hass.set_state(CoreState.not_running)
    await automate(hass, automation("not_linked", actions=[TELL]))
    await hass.async_start()
    await clock.run(110)
    assert messages(told) == []
    await clock.run(20)
    assert messages(told) == [AWAY]

    home.state = State.CONNECTED
    await clock.run(40)
    assert messages(told) == [AWAY, BACK]


async def test_not_linked_changed(
    hass: HomeAssistant,
    home: Session,
    told: list[ServiceCall],
    clock: Clock,
) -> None:
    """An automation that is changed meanwhile tells again, and still the return."""
    await automate(hass, automation("not_linked", actions=[TELL]))
    home.state = State.STOPPED
    await clock.run(160)
    await change(hass, automation("not_linked", actions=[TELL], grace={"minutes": 1}))
    await clock.run(70)
    assert messages(told) == [AWAY, AWAY]

    home.state = State.CONNECTED
    await clock.run(40)
    assert messages(told) == [AWAY, AWAY, BACK]


async def test_phones(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    home: Session,
    hass_client_no_auth: ClientSessionGenerator,
    clock: Clock,
) -> None:
    """Phones are notified, each time in place of the last, whatever else fails."""
    app = MockConfigEntry(domain="mobile_app")
    app.add_to_hass(hass)
    phones = [
        dr.async_get(hass).async_get_or_create(
            config_entry_id=app.entry_id, identifiers={("mobile_app", name)}, name=name
        )
        for name in ("Away", "Anna's phone")
    ]
    error = HomeAssistantError("Not connected")
    async_mock_service(hass, "notify", "mobile_app_away", raise_exception=error)
    told = async_mock_service(hass, "notify", "mobile_app_anna_s_phone")
    async_mock_service(hass, "test", "tell", raise_exception=error)
    ids = ["deleted", *(phone.id for phone in phones)]
    await automate(hass, automation("not_linked", phones=ids, actions=[TELL]))

    home.state = State.STOPPED
    await clock.run(160)
    home.state = State.WAITING
    await clock.run(40)
    without, with_code = (call.data["data"] for call in told)
    client = await hass_client_no_auth()
    response = await client.get(with_code["image"])
    assert response.status == HTTPStatus.OK
    assert home.code is not None
    assert read_qr(await response.read()) == home.code.text

    home.state = State.CONNECTED
    await clock.run(40)
    assert [call.data["title"] for call in told] == ["WhatsApp: Home"] * 3
    assert [call.data["message"] for call in told] == [
        (
            "Home is not connected (Disconnected)."
            " Open Home Assistant to connect or link it again."
        ),
        (
            "Home is no longer linked. Scan this code with WhatsApp within a minute,"
            " or open Home Assistant for a new code."
        ),
        "Home is connected again.",
    ]
    [device] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    page = f"/config/devices/device/{device.id}"
    assert "image" not in without
    assert without["tag"] == "sensor.home_status"
    assert without["url"] == without["clickAction"] == page
    assert with_code == without | {"image": with_code["image"]}
    assert told[2].data["data"] == without


@needs("says_failed")
async def test_restart_failed(
    hass: HomeAssistant,
    gateway: Gateway,
    home: Session,
    told: list[ServiceCall],
    clock: Clock,
) -> None:
    """The button is pressed until the last try, and anew after a connection."""
    button, route = restart_button(gateway)
    config = automation("restart_failed", button=button, give_up=[GIVE_UP])
    await automate(hass, config)
    gateway.fail(route, status=500)
    home.state = State.FAILED
    await clock.run(50)
    assert gateway.count(route) == 0

    for tries in (1, 2, 3):
        await clock.run(50 + gateway.failure_delay)
        assert gateway.count(route) == tries
        assert told == []
        await clock.run(250)
        assert gateway.count(route) == tries
    await clock.run(1000)
    assert gateway.count(route) == 3
    assert [call.data for call in told] == [{"name": "Home"}]

    home.state = State.STOPPED
    await clock.run(40)
    home.state = State.FAILED
    await clock.run(1000)
    assert gateway.count(route) == 3
    home.state = State.CONNECTED
    await clock.run(40)
    home.state = State.FAILED
    await clock.run(100)
    assert gateway.count(route) == 4


@needs("says_failed")
async def test_restart_helps(
    hass: HomeAssistant,
    gateway: Gateway,
    home: Session,
    told: list[ServiceCall],
    clock: Clock,
) -> None:
    """Only what is failed is restarted, and nobody gives up what is connected."""
    button, _ = restart_button(gateway)
    runs = async_capture_events(hass, "automation_triggered")
    inputs = {"button": button, "pause": {"minutes": 1}, "give_up": [GIVE_UP]}
    await automate(hass, automation("restart_failed", **inputs))
    home.state = State.STOPPED
    await clock.run(120)
    assert runs == []

    home.state = State.FAILED
    await clock.run(30)
    home.state = State.BOOTING
    await clock.run(40)
    home.state = State.FAILED
    gateway.fail("list", status=500)
    await clock.run(300)
    assert home.starts == 0

    gateway.heal()
    await clock.run(100)
    assert home.starts == 1
    assert state_of(hass, "sensor.home_status") == "starting"
    home.state = State.WAITING
    await clock.run(600)
    assert home.starts == 1
    home.state = State.FAILED
    await clock.run(40)
    assert home.starts == 2

    home.state = State.CONNECTED
    await clock.run(600)
    assert home.starts == 2
    home.state = State.FAILED
    await clock.run(100)
    assert home.starts == 3
    assert told == []


@needs("says_failed")
async def test_restart_failed_anew(
    hass: HomeAssistant,
    gateway: Gateway,
    home: Session,
    clock: Clock,
) -> None:
    """What is failed at a start, or when the automation is changed, is restarted."""
    button, _ = restart_button(gateway)
    home.state = State.FAILED
    await clock.run(40)
    hass.set_state(CoreState.not_running)
    await automate(hass, automation("restart_failed", button=button))
    await hass.async_start()
    await clock.run(50)
    assert home.starts == 0
    await clock.run(30)
    assert home.starts == 1

    home.state = State.FAILED
    await clock.run(40)
    await change(hass, automation("restart_failed", button=button, tries=5))
    await clock.run(50)
    assert home.starts == 1
    await clock.run(30)
    assert home.starts == 2
