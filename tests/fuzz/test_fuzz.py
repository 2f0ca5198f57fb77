"""Whatever a gateway answers: a model or one of our errors, and no secret told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
import logging
from typing import TYPE_CHECKING, Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
import pytest

from homeassistant.components.image.const import DATA_COMPONENT
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.whatsapp_gateway import sensor
from custom_components.whatsapp_gateway.const import DOMAIN
from custom_components.whatsapp_gateway.coordinator import SECOND_LOOK_SECONDS
from custom_components.whatsapp_gateway.devices import instance_id_of, unique_id
from custom_components.whatsapp_gateway.providers import (
    PROVIDERS,
    failures,
    http,
    parsing,
)
from custom_components.whatsapp_gateway.providers.models import Action, Instance, QrCode
from custom_components.whatsapp_gateway.providers.redact import redact
from tests.gateways.machine import State
from tests.harness.calls import CALLS
from tests.harness.helpers import state_of, status_of
from tests.harness.qr_reader import read_qr

from .assertions import (
    API_KEY,
    OURS,
    assert_discreet,
    assert_fits,
    listed,
    only_our_errors,
    secrets_in,
    texts_of,
)
from .strategies import ANY_ANSWER, DOCUMENTS, HEADERS, LISTS, answers, bodies, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import ClientSession

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from custom_components.whatsapp_gateway.account import Account
    from custom_components.whatsapp_gateway.providers.base import Provider
    from tests.gateways import Gateway

PARSERS: tuple[tuple[Callable[[Provider, Any], Any], Any], ...] = (
    (lambda _, value: parsing.mapping(value), dict),
    (lambda _, value: parsing.text({"": value}, ""), str),
    (lambda _, value: parsing.optional_text({"": value}, ""), str | None),
    (lambda _, value: parsing.phone_number(value), str | None),
    (lambda _, value: parsing.timestamp(value), datetime | None),
    (lambda _, value: parsing.png(value), bytes),
    (lambda _, value: parsing.lifetime(value, None), float | None),
    (lambda _, value: parsing.qr_code(None, value, None), QrCode | None),
    (lambda provider, value: provider._status(str(value)), tuple),
)
"""Each with what it makes of a value."""
RESULTS = {"list": list, "create": Instance, "one": Instance, "qr": QrCode | None}
"""What each call returns; all others return nothing."""
STATES = {
    "inst_abc123": State.CONNECTED,
    "inst_def456": State.STOPPED,
    "inst_01J7...": State.WAITING,
}
"""The instances of the documents, of which the account here has all."""


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    """Log all that the integration has to say."""
    caplog.set_level(logging.DEBUG, OURS)


@pytest.fixture
def provider(provider_key: str, gateway: Gateway, session: ClientSession) -> Provider:
    """Return a client whose key is one of the secrets."""
    return PROVIDERS[provider_key](session, gateway.url, API_KEY)


@given(body=bodies(list(DOCUMENTS.values())))
@example(body=f'"\N{SNOWMAN}{API_KEY}"'.encode())
async def test_parsers(
    provider: Provider, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Every parser makes of every part of any JSON what it promises."""
    payload = None
    answer = http.Answer(body=body, api_key=API_KEY)
    with only_our_errors():
        answer.raise_for_failure()
        payload = answer.json()
    code, message = failures.explanation(payload)
    assert_fits(code, str | None)
    assert_fits(message, str)
    assert secrets_in(redact(message, API_KEY)) == []
    for part in parts(payload):
        for parse, kind in PARSERS:
            with only_our_errors():
                assert_fits(parse(provider, part), kind)
    assert_discreet(caplog)


@given(headers=HEADERS)
def test_retry_after(headers: dict[str, str]) -> None:
    """A pause is never shorter than a second, nor longer than two minutes."""
    assert 1 <= failures.seconds_to_wait(CIMultiDictProxy(CIMultiDict(headers))) <= 120


@given(call=st.sampled_from(sorted(CALLS)), answer=ANY_ANSWER)
async def test_calls(
    gateway: Gateway,
    provider: Provider,
    call: str,
    answer: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every call returns what it promises, or raises one of our errors."""
    if call in set(Action) - provider.actions:
        return
    # as if the pause that the last answer may have asked for were over
    provider._http._resume_at = 0.0
    gateway.fail("*", **answer)
    with only_our_errors():
        assert_fits(await CALLS[call](provider, "one"), RESULTS.get(call, type(None)))
    assert_discreet(caplog)


@pytest.fixture
async def account(
    hass: HomeAssistant,
    gateway: Gateway,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> Account:
    """Return an account that has the documents' instances, and no rate limit."""
    # as if somebody enabled them, also those of new devices
    monkeypatch.setattr(
        sensor,
        "SENSORS",
        [replace(one, entity_registry_enabled_default=True) for one in sensor.SENSORS],
    )
    # no time passes between two examples
    vars(gateway).update(requests_per_minute=10**6, burst=10**6)
    gateway.owners[API_KEY] = "me"
    for instance_id, state in STATES.items():
        gateway.add("Home", state, id=instance_id, scale=0.0001)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "api_key": API_KEY}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    return cast("Account", entry.runtime_data)


async def poll(hass: HomeAssistant, account: Account) -> set[str]:
    """Read two lists, and return the ids of the devices that there are then.

    A single list that lacks an instance proves nothing.
    """
    for wait in (0.0, SECOND_LOOK_SECONDS):
        await asyncio.sleep(wait)
        account.provider._http._resume_at = 0.0
        await account.coordinator.async_refresh()
    await hass.async_block_till_done()
    devices = dr.async_entries_for_config_entry(
        dr.async_get(hass), account.entry.entry_id
    )
    ids = {instance_id_of(account.entry, device) for device in devices}
    assert ids == account.coordinator.data.keys()
    assert len(ids) == len(devices)
    return set(account.coordinator.data)


def entity_id(hass: HomeAssistant, platform: str, unique_id: str) -> str:
    """Return an entity, whatever a gateway called its instance meanwhile."""
    return er.async_get(hass).async_get_entity_id(platform, DOMAIN, unique_id) or ""


async def assert_healthy(
    hass: HomeAssistant, gateway: Gateway, account: Account
) -> None:
    """Check that a healthy answer brings everything back."""
    gateway.heal()
    assert await poll(hass, account) == STATES.keys()
    for instance_id, state in STATES.items():
        status = entity_id(
            hass, "sensor", unique_id(account.entry, f"{instance_id}_status")
        )
        # the next polls may still doubt whether a connection is given up
        doubtful = gateway.has("live_states") and state is not State.CONNECTED
        allowed = {status_of(gateway, state)} | ({"starting"} if doubtful else set())
        assert state_of(hass, status) in allowed
    for flow in hass.config_entries.flow.async_progress():
        # a refused key asks for another one
        hass.config_entries.flow.async_abort(flow["flow_id"])


@given(answer=answers(LISTS), one=ANY_ANSWER)
async def test_poll(
    hass: HomeAssistant,
    gateway: Gateway,
    account: Account,
    answer: dict[str, Any],
    one: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No answer breaks a poll, and only a complete list removes a device."""
    before = set(account.coordinator.data)
    gateway.fail("list", **answer)
    gateway.fail("one", **one)

    ids = await poll(hass, account)

    assert ids in (before, listed(answer, gateway.listed_by))
    assert secrets_in(" ".join(texts_of(account.coordinator.last_exception))) == []
    await assert_healthy(hass, gateway, account)
    assert_discreet(caplog, *ids)


# drawing and reading codes takes long
@settings(max_examples=settings().max_examples // 4)
@given(answer=ANY_ANSWER)
async def test_picture(
    hass: HomeAssistant,
    gateway: Gateway,
    account: Account,
    answer: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever comes as a code is a picture or none, and the next code is shown."""
    waiting = gateway.sessions["inst_01J7..."]
    found = entity_id(hass, "image", unique_id(account.entry, f"{waiting.id}_qr_code"))
    image = hass.data[DATA_COMPONENT].get_entity(found)
    assert image is not None

    async def look() -> bytes | None:
        # another round of codes: the last one is forgotten
        waiting.state = State.CONNECTED
        await poll(hass, account)
        # gateways tell two events apart by their times
        await asyncio.sleep(1)
        waiting.unlink()
        waiting.state = State.WAITING
        await poll(hass, account)
        return await image.async_image()

    gateway.fail(gateway.qr_route, **answer)
    with only_our_errors():
        assert (await look() or parsing.PNG_SIGNATURE).startswith(parsing.PNG_SIGNATURE)
    gateway.heal()
    shown = read_qr(await look() or b"")
    assert waiting.code is not None
    assert shown == waiting.code.text
    assert_discreet(caplog)
