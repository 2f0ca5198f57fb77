"""WhatIsUp: what only this gateway does, with the examples of its document."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
import json
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.whatsapp_gateway.providers.models import InstanceStatus, QrCode

from .gateways.machine import CODE_LIVES, State, new_code_text
from .gateways.picture import data_uri
from .harness.calls import answer
from .harness.pairings import first_code, pair
from .harness.qr_reader import read_qr

if TYPE_CHECKING:
    from custom_components.whatsapp_gateway.providers.base import Provider

    from .gateways.machine import Session
    from .gateways.whatisup import WhatIsUpGateway

FIXTURES = Path(__file__).parent / "fixtures" / "whatisup"


@pytest.fixture
def provider_key() -> str:
    """Only run this gateway."""
    return "whatisup"


async def test_document_instance(gateway: WhatIsUpGateway, provider: Provider) -> None:
    """The rest of the WhatIsUp document's instance is understood."""
    gateway.fail("list", body=(FIXTURES / "list.json").read_bytes())

    [instance] = await provider.instances()

    assert instance.phone_number == "+5511999999999"
    assert instance.last_seen == datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)
    assert instance.account_id == "cust_01J6..."
    assert instance.raw_status == "connected"
    assert "5511999999999" not in repr(instance)


async def test_document_qr(gateway: WhatIsUpGateway, provider: Provider) -> None:
    """The WhatIsUp document's code is understood: its text counts, not its picture."""
    gateway.fail("qr", body=(FIXTURES / "qr.json").read_bytes())

    code = await provider.qr("inst")

    assert code == QrCode(raw="2@dPBI4Tg9Mc...,vlD4Pmkr...")
    assert "2@" not in repr(code)


async def test_no_code(gateway: WhatIsUpGateway, provider: Provider) -> None:
    """An empty body and the error `no_qr` both mean: no code right now."""
    connected = gateway.add("Home", State.CONNECTED)
    linked = gateway.add("Shop", linked=True)

    assert await provider.qr(connected.id) is None
    assert await provider.qr(linked.id) is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("qr_required", InstanceStatus.SCAN_QR),
        ("reconnecting", InstanceStatus.STARTING),
        ("logged_out", InstanceStatus.DISCONNECTED),
        ("stopped_by_user", InstanceStatus.DISCONNECTED),
        ("error", InstanceStatus.FAILED),
        ("disabled_by_admin", InstanceStatus.FAILED),
    ],
)
async def test_other_words(
    gateway: WhatIsUpGateway, provider: Provider, word: str, status: InstanceStatus
) -> None:
    """Words that the document does not have, but the gateway uses."""
    answer(gateway, "list", [{"id": "one", "status": word}])

    [one] = await provider.instances()

    assert one.status is status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-05-01T12:34:56.789Z", datetime(2026, 5, 1, 12, 34, 56, 789000, UTC)),
        ("2026-05-01T12:34:56Z", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("2026-05-01T12:34:56", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("2026-05-01T09:34:56-03:00", datetime(2026, 5, 1, 12, 34, 56, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        (1777638896, None),
        (None, None),
    ],
)
async def test_timestamps(
    gateway: WhatIsUpGateway, provider: Provider, given: Any, expected: datetime | None
) -> None:
    """A time comes in many forms."""
    answer(gateway, "one", {"id": "1", "status": "connected", "last_seen_at": given})

    assert (await provider.instance("1")).last_seen == expected


def code_of(one: Session, expires: float) -> dict[str, Any]:
    """Return what a gateway answers whose clock or code is odd."""
    text = new_code_text()
    moment = datetime.fromtimestamp(expires, UTC).isoformat()
    return {"qr": data_uri(text), "raw": text, "expires_at": moment}


@pytest.mark.parametrize(("off", "shown"), [(-1, False), (-3600, True), (3600, True)])
async def test_odd_end(
    gateway: WhatIsUpGateway, provider: Provider, off: float, *, shown: bool
) -> None:
    """A code just expired is not shown; a clock that is far off is not believed."""
    one = gateway.add("Home", State.WAITING)
    gateway.fail("qr", body=json.dumps(code_of(one, time.time() + off)).encode())
    async with aclosing(pair(provider, one.id)) as pairings:
        first = await anext(pairings)

    assert gateway.count("qr") == 1
    assert bool(first.png) is shown


@pytest.mark.parametrize("ahead", [-1000, -20, -4, 4, 15, 40, 1000])
async def test_other_clock(
    gateway: WhatIsUpGateway, provider: Provider, ahead: float
) -> None:
    """Codes are shown until they expire, whatever time the gateway's clock shows."""
    gateway.clock_ahead = ahead
    session = gateway.add("Home")
    shown: set[str] = set()
    late = 0
    async for pairing in pair(provider, session.id):
        if pairing.png and (text := read_qr(pairing.png)):
            shown.add(text)
            late += session.code is None or session.code.text != text

    assert len(shown) == len(CODE_LIVES)
    assert late == 0


async def test_asked_again(gateway: WhatIsUpGateway, provider: Provider) -> None:
    """An instance that still looks as if it was never started is asked again."""
    one = gateway.add("Home")
    gateway.statuses = {**gateway.statuses, State.BOOTING: "pending"}
    gateway.fail("qr", body=b"", times=1)
    async with aclosing(pair(provider, one.id)) as pairings:
        assert await first_code(pairings)
    assert one.starts == 1
