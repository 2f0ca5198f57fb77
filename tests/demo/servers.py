"""Run all simulated gateways and the phone, for the demo and the browser tests."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
import json
from pathlib import Path
import signal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.gateways import GATEWAYS, ExpiredCodeError, VirtualPhone
from tests.gateways.machine import TEMPORARY, State

from .chats import Chats

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateways.machine import Session
    from tests.gateways.server import Gateway

PORTS = {name: 8900 + number for number, name in enumerate(["page", *GATEWAYS])}
"""Ports of the phone's page and of each gateway, unless others are given."""
PAGE = Path(__file__).with_name("page.html")
KEPT = ("id", "name", "owner", "type", "metadata", "phone_number", "linked", "created")
STATES = {
    State.NEW: "Never linked",
    State.BOOTING: "Starting",
    State.WAITING: "Waiting to be linked",
    State.LINKING: "Linking",
    State.CONNECTED: "Linked",
    State.STOPPED: "Stopped",
    State.FAILED: "Failed",
}
"""What the page says about each state."""
BUTTONS: dict[str, tuple[str, Callable[[Session], bool]]] = {
    "scan": ("Scan", lambda session: session.code is not None),
    "unlink": ("Unlink", lambda session: session.linked),
}
"""Label of each button on the page, and when it is enabled, by the path it posts to."""


class PhonePage:
    """A web page that takes the place of a phone with WhatsApp."""

    def __init__(self, gateways: dict[str, Gateway]) -> None:
        """Let the phone scan the QR codes of these gateways."""
        self.gateways = gateways
        self.phone = VirtualPhone(*gateways.values())

    def app(self) -> web.Application:
        """Return the page and its API."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/instances", self.instances),
                web.post("/scan", self.scan),
                web.post("/enter", self.enter),
                web.post("/unlink", self.unlink),
                web.post("/new_round", self.new_round),
                *Chats(self.gateways).routes(),
            ]
        )
        return app

    async def page(self, _request: web.Request) -> web.FileResponse:
        """Return the page."""
        return web.FileResponse(PAGE)

    async def instances(self, _request: web.Request) -> web.Response:
        """Return the rows of the page's table."""
        return web.json_response(
            [
                {
                    "id": self._key(session),
                    "gateway": gateway.title,
                    "name": session.name,
                    "state": STATES[session.state],
                    "buttons": [
                        {"path": path, "label": label, "enabled": enabled(session)}
                        for path, (label, enabled) in BUTTONS.items()
                    ],
                }
                for gateway in self.gateways.values()
                for session in gateway.sessions.values()
            ]
        )

    async def scan(self, request: web.Request) -> web.Response:
        """Scan a text, or the QR code that an instance shows now."""
        body = await request.json()
        text = body.get("text") or self._text_of(body["id"])
        return self._linked(self.phone.scan, text)

    async def enter(self, request: web.Request) -> web.Response:
        """Enter a pairing code."""
        code = (await request.json())["code"]
        return self._linked(self.phone.enter, code.strip().upper())

    def _linked(self, link: Callable[[str], Session], code: str) -> web.Response:
        """Link the instance with this code, and return which one it is."""
        try:
            session = link(code)
        except ExpiredCodeError:
            raise web.HTTPGone(text="No instance has this code now.") from None
        return web.json_response({"id": self._key(session), "name": session.name})

    async def unlink(self, request: web.Request) -> web.Response:
        """Remove the linked device of an instance."""
        self._session((await request.json())["id"]).unlink()
        return web.Response()

    async def new_round(self, request: web.Request) -> web.Response:
        """Let an instance show a new QR code now, for the browser tests."""
        self._session((await request.json())["id"]).state = State.WAITING
        return web.Response()

    def _key(self, session: Session) -> str:
        """Return the gateway and the ID: two gateways may use the same ID."""
        [provider] = (
            provider
            for provider, gateway in self.gateways.items()
            if gateway.sessions.get(session.id) is session
        )
        return f"{provider}/{session.id}"

    def _session(self, key: str) -> Session:
        provider, _, instance_id = key.partition("/")
        if session := self.gateways[provider].sessions.get(instance_id):
            return session
        raise web.HTTPNotFound

    def _text_of(self, key: str) -> str:
        code = self._session(key).code
        return code.text if code else ""


def save(path: Path, gateways: dict[str, Gateway]) -> None:
    """Store the instances for the next start."""

    def kept(session: Session) -> dict[str, Any]:
        return {name: getattr(session, name) for name in KEPT} | {
            "state": session.state.name
        }

    stored = {
        key: [kept(session) for session in gateway.sessions.values()]
        for key, gateway in gateways.items()
    }
    path.write_text(json.dumps(stored, indent=2))


def load(path: Path, gateways: dict[str, Gateway]) -> None:
    """Restore the stored instances; those that were being linked have failed."""
    for key, sessions in json.loads(path.read_text()).items():
        for values in sessions:
            state = State[values.pop("state")]
            if state in TEMPORARY:
                state = State.FAILED
            gateways[key].add(**values, state=state)


async def serve(options: argparse.Namespace) -> None:
    """Run all gateways and the phone until a signal stops them."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateways = {key: kind(scale=options.scale) for key, kind in GATEWAYS.items()}
    for gateway in gateways.values():
        gateway.events.on = True
    if options.unlimited:
        for gateway in gateways.values():
            gateway.limit = lambda key: (True, {})  # type: ignore[method-assign]  # noqa: ARG005
    if options.state and options.state.exists():
        load(options.state, gateways)
    async with AsyncExitStack() as stack:
        for key, gateway in gateways.items():
            port = getattr(options, f"{key}_port")
            await stack.enter_async_context(gateway.running(port))
            print(f"{key}: {gateway.url} key {gateway.key}", flush=True)
        runner = web.AppRunner(PhonePage(gateways).app(), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", options.page_port)
        await site.start()
        print(f"phone: {site.name}", flush=True)
        await stop.wait()
    if options.state:
        save(options.state, gateways)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.demo.servers", description=__doc__)
    for name, default in PORTS.items():
        parser.add_argument(f"--{name}-port", type=int, default=default)
    parser.add_argument("--scale", type=float, default=1.0, help="speed of time")
    parser.add_argument("--unlimited", action="store_true", help="no rate limits")
    parser.add_argument("--state", type=Path, help="keep the instances here")
    asyncio.run(serve(parser.parse_args()))
