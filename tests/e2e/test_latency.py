"""Dialogs on a slow network: the QR code has to be there, every time.

Home Assistant announces a change of a dialog once, maybe before the browser listens.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.gateways import GATEWAYS

from .home import WITH_AND_WITHOUT_CODE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .home import GatewayProcess, Home

LATENCIES = (100, 400)
"""Delays of the network, in milliseconds."""
OPENINGS = int(os.environ.get("OPENINGS", "10"))
"""How often each dialog is opened with each latency."""
LIMIT = 15.0
"""Seconds until the QR code must be shown; a busy machine needs several.

If the announcement is missed, the dialog waits for that of the next code.
"""

BOTH = pytest.mark.parametrize("provider", WITH_AND_WITHOUT_CODE)

pytestmark = [
    pytest.mark.parametrize("look", ["light-desktop"]),
    pytest.mark.parametrize("scale", [1.0]),
]


async def openings(home: Home) -> AsyncIterator[list[float]]:
    """Yield a list for the seconds of each opening, on networks that get slower."""
    session = await home.page.context.new_cdp_session(home.page)
    await session.send("Network.enable")
    for latency in LATENCIES:
        limits = {"downloadThroughput": -1, "uploadThroughput": -1}
        await session.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": latency, **limits},
        )
        took: list[float] = []
        for _ in range(OPENINGS):
            yield took
        print(f"{latency} ms: {len(took)} openings, at most {max(took):.2f} s")


def key_of_others(provider: str) -> str:
    """Return the API key of another customer of the gateway."""
    owners = GATEWAYS[provider]().owners
    return next(key for key, owner in owners.items() if owner != "me")


@BOTH
async def test_setup(
    home: Home,
    gateways: GatewayProcess,
    provider: str,
) -> None:
    """Add an account and link its instance; close the dialog, remove the account."""
    instance_id = await gateways.create(provider, "Kitchen")
    url = gateways.url(provider)
    # keeps the integration's page open
    await home.add_account(provider, url, key=key_of_others(provider))
    await home.skip_linking()
    others = await home.accounts()
    await home.open_integration()
    async for took in openings(home):
        await gateways.new_round(instance_id)
        await home.start_setup()
        await home.enter_account(provider, url)
        await home.choose("Link an instance")
        await home.choose_qr_code(provider)
        took.append(await home.wait_for_code(LIMIT))
        await home.close()
        accounts = await home.accounts()
        [entry_id] = {*accounts.values()} - {*others.values()}
        await home.delete_account(entry_id)


@BOTH
async def test_configure(
    home: Home,
    gateways: GatewayProcess,
    provider: str,
) -> None:
    """Link an instance from the Configure menu, and close the dialog."""
    instance_id = await gateways.create(provider, "Kitchen")
    await home.add_account(provider, gateways.url(provider))
    await home.skip_linking()
    await home.open_integration()
    async for took in openings(home):
        await gateways.new_round(instance_id)
        await home.page.get_by_role("button", name="Configure").first.click()
        await home.choose("Link an instance")
        await home.choose_qr_code(provider)
        took.append(await home.wait_for_code(LIMIT))
        await home.close()


# it takes more than a minute until there is a repair
@pytest.mark.parametrize("provider", WITH_AND_WITHOUT_CODE[:1])
async def test_repair(
    home: Home,
    gateways: GatewayProcess,
    provider: str,
) -> None:
    """Open the repair of an instance that waits for a scan, and close it."""
    instance_id = await gateways.create(provider, "Kitchen")
    await gateways.new_round(instance_id)
    await gateways.scan_now(instance_id)
    await home.add_account(provider, gateways.url(provider))
    await home.wait_for_state("sensor.kitchen_status", "connected")
    await gateways.unlink(instance_id)
    await gateways.new_round(instance_id)
    await home.page.goto(f"{home.url}/config/repairs")
    repair = home.page.get_by_text("WhatsApp number Kitchen isn't linked")
    await repair.wait_for(timeout=150_000)
    async for took in openings(home):
        await gateways.new_round(instance_id)
        await repair.first.click()
        await home.choose_qr_code(provider)
        took.append(await home.wait_for_code(LIMIT))
        await home.close()
