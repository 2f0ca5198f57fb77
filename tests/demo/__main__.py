"""The demo: a real Home Assistant beside simulated gateways, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from functools import partial
import shutil
import signal
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

from aiohttp import ClientSession

from homeassistant.const import __version__

from tests.harness.facts import SUPPORTED
from tests.harness.live import (
    ROOT,
    StartFailed,
    add_camera,
    check_free,
    prepare,
    running,
    started,
)

from .servers import PORTS

if TYPE_CHECKING:
    from asyncio.subprocess import Process

DEMO = ROOT / ".demo"
METHODS = {True: "QR code or pairing code", False: "QR code"}
"""How to link a number, by whether the gateway has pairing codes."""

say = partial(print, flush=True)


async def _answers(url: str) -> None:
    """Get a page."""
    async with ClientSession() as session, session.get(url):
        pass


def _check_ports(port: int) -> None:
    """Raise StartFailed if a port is taken, saying what to do."""
    for needed, advice in (
        (port, "Choose another with --port, or stop what uses it."),
        *((taken, "Stop what uses it.") for taken in PORTS.values()),
    ):
        try:
            check_free(needed)
        except StartFailed as err:
            raise StartFailed(f"{err} {advice} Is another demo running?") from err


async def _demo(port: int, *, reset: bool) -> None:
    """Start everything, print what to try, and wait until something stops."""
    _check_ports(port)
    if reset:
        shutil.rmtree(DEMO, ignore_errors=True)
    # an older Home Assistant can't read what a newer one has stored
    config = DEMO / __version__
    prepare(config, port=port)
    gateways = (
        "tests.demo.servers",
        f"--state={DEMO / 'gateways.json'}",
    )
    page = f"http://127.0.0.1:{PORTS['page']}"
    async with AsyncExitStack() as stack:
        say("Starting the simulated gateways ...")
        gateway_process, _ = await stack.enter_async_context(
            started(*gateways, log=DEMO / "gateways.log", ready=partial(_answers, page))
        )
        say(f"Starting Home Assistant {__version__} ...")
        home = await stack.enter_async_context(running(config, port=port))
        headers = {"Authorization": f"Bearer {home.token}"}
        async with ClientSession(home.url, headers=headers) as api:
            await add_camera(config, api)
        say(_explanation(home.url, page))
        await _first_to_stop(
            {"The simulated gateways": gateway_process, "Home Assistant": home.process}
        )


async def _first_to_stop(processes: dict[str, Process]) -> None:
    """Raise StartFailed with the name of the process that stopped."""
    waits = [asyncio.create_task(p.wait(), name=n) for n, p in processes.items()]
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    task = done.pop()
    raise StartFailed(f"{task.get_name()} stopped with exit code {task.result()}.")


def _titles(*features: str) -> str:
    """Return the gateways that have these features."""
    return " or ".join(k.title for k in SUPPORTED.values() if k.has(*features))


def _explanation(url: str, page: str) -> str:
    """Return the addresses, the accounts, and what to try."""
    add = f"{url}/config/integrations/dashboard/add?domain=whatsapp_gateway"
    accounts = "\n".join(
        f"          {kind.title:<14} http://127.0.0.1:{PORTS[key]}  {kind.key:<26}"
        f" {METHODS[kind.has('pairing_code')]}"
        for key, kind in SUPPORTED.items()
    )
    return dedent(f"""
        Ready.

          Home Assistant       {url}
          Add the integration  {add}
          Actions              {url}/developer-tools/action
          Phone                {page}

          Gateway        Address                API key                    Link by
{accounts}

        What to try

          1. Open "Add the integration", choose a gateway, enter its address and key.
          2. Create an instance. If you are asked how to link it, choose the QR code.
             The code appears and refreshes automatically.
          3. Select Scan on the phone's page. The dialog says that the number is linked.
          4. Do the same at the other gateways. Link an instance by a pairing code, too:
             at {_titles("pairing_code")}, choose to enter a code on the
             phone, enter any number, such as +1 202 555 0123, and type the code that
             appears into the phone's page.
          5. Unlink a number on the phone's page. After a minute or two, a repair
             appears under Settings. Fix it by linking the number again.
          6. Select Configure (the gear) next to an account to link more instances. Let
             all codes expire, and request a new one.
          7. Add a recipient at {_titles("chats", "media_content")}: select
             "Add recipient" in the menu of the account, and choose the group Family.
          8. Send it a camera picture: open "Actions", choose "Send message" of WhatsApp
             Gateway, the recipient Family, and as media the camera "Front door". The
             picture appears on the phone's page.
          9. Select Configure > Messages to receive messages at
             {_titles("receiving")}. {_titles("receiving", "webhooks")} also needs
             "Report changes at once". Let Family write on the phone's page: the entity
             "Message" shows the text.
         10. Try the blueprints: Settings > Automations & scenes > Blueprints. History
             and Activity show what happened to your numbers.
         11. Add an account with a wrong API key, or with another gateway's address.

        Press Ctrl-C to stop. What you did is kept; start with --reset to begin again.
        The logs are in {DEMO}.
    """)


async def _main(port: int, *, reset: bool) -> None:
    """Run the demo until it is stopped; a second Ctrl-C is ignored."""
    task = asyncio.create_task(_demo(port, reset=reset))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())
    try:
        await task
    except asyncio.CancelledError:
        say("Stopped.")
    except StartFailed as err:
        sys.exit(f"{err}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8123, help="of Home Assistant")
    parser.add_argument("--reset", action="store_true", help="forget earlier runs")
    options = parser.parse_args()
    asyncio.run(_main(options.port, reset=options.reset))
