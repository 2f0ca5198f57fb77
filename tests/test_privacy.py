"""Where messages, and the people who write them, are found after a day."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
import json
import logging
from pathlib import Path
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers import restore_state
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.whatsapp_gateway import diagnostics
from custom_components.whatsapp_gateway.const import DOMAIN

from .harness.facts import SUPPORTED
from .harness.receiving import MESSAGE, Receiving, start
from .harness.recipients import FAMILY, add_recipient, device_named

if TYPE_CHECKING:
    from homeassistant.components.recorder import Recorder
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from .gateways import Gateway
    from .harness.clock import Clock

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"
ROSA, SAM = "12025550171", "12025550182"
PERSON = "@s.whatsapp.net"
PLANTED = {
    "recipient's name": "rosalind",
    "recipient's number": ROSA,
    "group's ID": FAMILY,
    "recipient's text": "plantedgreeting",
    "other sender's name": "sebastian",
    "other sender's number": SAM,
    "other sender's text": "plantedadvert",
    "text in a group": "plantedgossip",
    "own text": "plantedshopping",
    "file's name": "plantedinvoice",
}
"""What is looked for, in lower case."""
OTHERS = {"other sender's text"}
"""What only comes from people who are no recipients."""
OF_RECIPIENTS = {"recipient's name", "recipient's number", "group's ID"}
"""What the configuration consists of."""
SHOWN = {"states", "trace.saved_traces"}
"""Where the last message is, and those that an automation has used."""
CONFIGURATION = {"core.config_entries", "core.device_registry", "core.entity_registry"}
TEST_LOGGERS = ("pytest_homeassistant_custom_component", "tests")
CORE_LOGGERS = ("homeassistant.core", "homeassistant.components.recorder", "sqlalchemy")
"""Of Home Assistant itself, which log every state if the user lets them."""


@pytest.fixture(
    params=[key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
def provider_key(request: pytest.FixtureRequest) -> str:
    """Return the key of each provider that reports messages in turn."""
    key: str = request.param
    return key


@pytest.fixture
def persistent_database() -> bool:
    """Have the database in a file."""
    return True


@pytest.fixture(autouse=True)
def _integration(
    hass_storage: dict[str, Any],
    recorder_mock: Recorder,
    enable_custom_integrations: None,
    socket_enabled: None,
) -> None:
    """Have a storage and a database before all else."""


@pytest.fixture
async def assist(hass: HomeAssistant, _integration: None) -> None:
    """Have the real Assist before Home Assistant's own server is started."""
    for component in ("homeassistant", "conversation"):
        assert await async_setup_component(hass, component, {})


@pytest.fixture
async def home(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> Receiving:
    """Return an account with two recipients, and an automation that uses messages."""
    for name in CORE_LOGGERS:
        caplog.set_level(logging.WARNING, logger=name)
    assert await async_setup_component(hass, "diagnostics", {})
    home = await start(hass, gateway, entry, hass_client_no_auth)
    gateway.people |= {ROSA: "Rosalind", SAM: "Sebastian"}
    add_recipient(hass, entry, home.session, ROSA + PERSON, "Rosalind")
    add_recipient(hass, entry, home.session, FAMILY, "Family")
    trigger = {"trigger": "state", "entity_id": MESSAGE, "not_to": ["unknown"]}
    variable = {"variables": {"text": "{{ trigger.to_state.attributes.text }}"}}
    it = {"id": "it", "alias": "It", "triggers": trigger, "actions": variable}
    assert await async_setup_component(hass, "automation", {"automation": it})
    return home


async def spend_a_day(home: Receiving, clock: Clock) -> None:
    """Let everybody write every hour, the recipients last."""
    file = {"media": b"%PDF", "mime_type": "application/pdf"}
    for _ in range(24):
        await home.get("PlantedAdvert", chat_id=SAM + PERSON)
        await home.get("PlantedAdvert", chat_id=SAM + PERSON, as_lid=True)
        await home.get("PlantedGossip", chat_id=FAMILY, sender=SAM)
        await home.get("PlantedShopping", chat_id=ROSA + PERSON, from_me=True)
        greeting = await home.get("PlantedGreeting", chat_id=ROSA + PERSON)
        await home.gateway.react(home.session, ROSA + PERSON, greeting, "👍")
        name = {"kind": "document", "filename": "PlantedInvoice.pdf"}
        await home.get("PlantedGreeting", chat_id=ROSA + PERSON, **file, **name)
        await clock.run(5)
        # a long step also cuts the connection
        await clock.run(3600, step=600)
        await home.until_ready()


async def places(home: Receiving, storage: dict[str, Any]) -> dict[str, Any]:
    """Return all that Home Assistant knows and stores, by where it is.

    It is stopped, because it stores some of it only then.
    """
    hass, entry = home.hass, home.entry
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    told = [await diagnostics.async_get_config_entry_diagnostics(hass, entry)]
    told += [
        await diagnostics.async_get_device_diagnostics(hass, entry, device)
        for device in devices
    ]
    assert len(told) == 4
    found = {
        "diagnostics": told,
        "issues": list(ir.async_get(hass).issues.values()),
        "states": [state.as_dict() for state in hass.states.async_all()],
    }
    await async_wait_recording_done(hass)
    await restore_state.RestoreStateData.async_save_persistent_states(hass)
    assert storage["core.restore_state"]["data"]
    await hass.async_stop(force=True)
    return found | storage


def content(database: str) -> str:
    """Return all that is in the files of a database."""
    path = Path(database.removeprefix("sqlite:///"))
    files = [file.read_bytes() for file in path.parent.glob(f"{path.name}*")]
    assert b"sensor.home_status" in b"".join(files)
    return b"".join(files).decode(errors="replace")


def log(caplog: pytest.LogCaptureFixture) -> str:
    """Return what was logged, but for the storage that is searched itself."""
    return "\n".join(
        caplog.handler.format(record)
        for record in caplog.get_records("call") + caplog.get_records("setup")
        if not record.name.startswith(TEST_LOGGERS)
    )


@pytest.mark.parametrize("receive", ["no", "recipients", "everyone"])
async def test_day(
    home: Receiving,
    clock: Clock,
    receive: str,
    hass_storage: dict[str, Any],
    recorder_db_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages are only in the state of the entity, and in traces of automations."""
    if receive != "no":
        await home.choose(receive)
    await spend_a_day(home, clock)
    assert bool(home.seen) is (receive != "no")
    searched = await places(home, hass_storage)
    searched["log"] = log(caplog)
    searched["database"] = content(recorder_db_url)
    found = {
        what: {
            place
            for place, value in searched.items()
            if planted in json.dumps(value, default=str).lower()
        }
        for what, planted in PLANTED.items()
    }
    for what, where in found.items():
        assert where <= allowed(what, receive), what
    # the search does find what is there
    assert found["recipient's name"] >= CONFIGURATION
    assert found["recipient's text"] == (SHOWN if receive != "no" else set())
    assert bool(found["other sender's text"]) is (receive == "everyone")


SPOKEN, REPLY = "plantedspoken", "plantedreply"
PASSED_ON = (SPOKEN, REPLY, "plantedquestion", "plantedcaption", "plantedsummary")
"""What the automations of blueprints pass on, in lower case."""
WITHOUT_CALLS = {"exclude": {"event_types": ["call_service"]}}
"""The setting of the recorder that the README describes."""


async def use_blueprints(home: Receiving, clock: Clock, tmp_path: Path) -> None:
    """Let each blueprint pass something on, with the real Assist."""
    hass = home.hass
    hass.config.config_dir = str(tmp_path)
    (tmp_path / "blueprints").symlink_to(BLUEPRINTS)
    at = (dt_util.now() + timedelta(minutes=1)).strftime("%H:%M:%S")
    ask = [{"trigger": "event", "event_type": "ask"}]
    recipients: dict[str, Any] = {"recipients": ["notify.rosalind"]}
    inputs: dict[str, dict[str, Any]] = {
        "answer_with_assist": {"message": MESSAGE, "quote": False, **recipients},
        "ask_question": {
            "triggers": ask,
            "recipient": "notify.rosalind",
            "question": "PlantedQuestion",
            "choice_1": "PlantedSpoken",
        },
        "camera_picture": {
            "triggers": ask,
            "camera": "camera.none",
            "caption": "PlantedCaption",
            **recipients,
        },
        "daily_summary": {"time": at, "text": "PlantedSummary", **recipients},
    }
    config: list[dict[str, Any]] = [
        {
            "id": name,
            "alias": name,
            "use_blueprint": {"path": f"{DOMAIN}/{name}.yaml", "input": values},
        }
        for name, values in inputs.items()
    ]
    answer = {"set_conversation_response": "PlantedReply"}
    sentence = {"trigger": "conversation", "command": ["PlantedSpoken"]}
    config.append(
        {"id": "say", "alias": "say", "triggers": sentence, "actions": answer}
    )
    file = tmp_path / "configuration.yaml"
    file.write_text(json.dumps({"automation": config}))
    await hass.services.async_call("automation", "reload", blocking=True)
    hass.bus.async_fire("ask")
    await clock.run(20)
    await home.get("PlantedSpoken", chat_id=ROSA + PERSON)
    await clock.run(100)
    off = {"entity_id": "automation.daily_summary"}
    await hass.services.async_call("automation", "turn_off", off, blocking=True)


@pytest.mark.usefixtures("assist")
@pytest.mark.parametrize(
    "recorder_config", [None, WITHOUT_CALLS], ids=["default", "without_calls"]
)
async def test_blueprints(
    home: Receiving,
    clock: Clock,
    tmp_path: Path,
    hass_storage: dict[str, Any],
    recorder_config: dict[str, Any] | None,
    recorder_db_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What blueprints pass on is in the database, unless calls are not recorded."""
    await home.choose("recipients")
    await use_blueprints(home, clock, tmp_path)
    texts = {message.text.lower() for message in home.gateway.sent}
    assert texts >= {REPLY, "plantedquestion\n\n1. plantedspoken\n2. no"}
    searched = await places(home, hass_storage)
    searched["log"] = log(caplog)
    for text in PASSED_ON:
        found = {
            place
            for place, value in searched.items()
            if text in json.dumps(value, default=str).lower()
        }
        assert found <= SHOWN, text
    database = content(recorder_db_url).lower()
    recorded = {text for text in PASSED_ON if text in database}
    assert recorded == (set() if recorder_config else {*PASSED_ON})
    assert ROSA not in database
    # the calls of actions are the only place
    assert delete_calls(recorder_db_url) >= len(recorded)
    assert "planted" not in content(recorder_db_url).lower()


def delete_calls(database: str) -> int:
    """Delete the recorded calls of actions; return how many there were."""
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        found = connection.execute(
            "DELETE FROM event_data WHERE data_id IN (SELECT data_id FROM events "
            "JOIN event_types AS types USING (event_type_id) "
            "WHERE types.event_type = 'call_service')"
        )
        connection.commit()
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return found.rowcount


def allowed(what: str, receive: str) -> set[str]:
    """Return where something may be found, as the README says."""
    found: set[str] = set()
    if receive == "everyone" or (receive != "no" and what not in OTHERS):
        found |= SHOWN
    if what == "recipient's name":
        # also the name and the ID of the notify entity
        found |= CONFIGURATION | {"states", "core.restore_state", "database"}
    elif what in OF_RECIPIENTS:
        found |= {"core.config_entries"}
    return found


@pytest.mark.parametrize(
    "data",
    [
        {"to": f"+{ROSA}"},
        {"to": f"+{ROSA} Rosalind"},
        {"to": "+12025550123", "mentions": f"x{ROSA}"},
    ],
)
async def test_numbers_in_errors(
    home: Receiving, caplog: pytest.LogCaptureFixture, data: dict[str, Any]
) -> None:
    """Home Assistant logs the errors of automations: they have no phone numbers."""
    home.gateway.fail("send", status=500)
    device_id = device_named(home.hass, home.entry, "Home").id
    data = {"device_id": device_id, "message": "PlantedGreeting", **data}
    action = {"action": f"{DOMAIN}.send_message", "data": data}
    script = {"sequence": [action]}
    assert await async_setup_component(home.hass, "script", {"script": {"it": script}})
    with pytest.raises(HomeAssistantError):
        await home.hass.services.async_call("script", "it", blocking=True)
    assert "Error executing script" in log(caplog)
    for planted in (ROSA, "rosalind", "plantedgreeting"):
        assert planted not in log(caplog).lower()
