"""How a phone is linked to a session of WAHA: QR codes, pairing codes and passkeys."""

from __future__ import annotations

import asyncio
from base64 import b64decode
import re
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from .machine import State
from .picture import data_uri
from .waha_server import CURRENT_WAITS, WahaServer
from .waha_session import PASSKEY_CONFIRMATION_REQUIRED, PASSKEY_REQUIRED

if TYPE_CHECKING:
    from .waha_session import WahaSession

RUNNING_WAIT = 5.0
"""Seconds that a call waits for a session to run."""
STATUS_WAIT = 10.0
"""Seconds that a call then waits for the status that it needs."""
CODE_WAIT = 2.0
"""Seconds that GOWS waits for a starting session when a pairing code is requested."""


class WahaPairing(WahaServer):
    """The calls under `auth`."""

    def pairing_routes(self) -> list[web.RouteDef]:
        """Return the routes that link a phone."""
        auth = "/api/{id}/auth"
        passkey = f"{auth}/passkey"
        return [
            web.get(f"{auth}/qr", self.qr, name="qr"),
            web.post(f"{auth}/request-code", self.pairing_code, name="pairing_code"),
            web.get(f"{passkey}/challenge", self.challenge, name="passkey_challenge"),
            web.post(passkey, self.passkey, name="passkey"),
            web.get(
                f"{passkey}/confirmation",
                self.confirmation,
                name="passkey_confirmation",
            ),
            web.post(f"{passkey}/confirm", self.confirm, name="passkey_confirm"),
        ]

    async def qr(self, request: web.Request) -> web.Response:
        """Wait until the session shows a code, and return it."""
        name = request.match_info["id"]
        if self.build < CURRENT_WAITS:
            session = self.session_of(request)
            if session is None or not session.running:
                return self._not_started(name)
        else:
            await self._wait(RUNNING_WAIT, lambda: self._runs(request))
            session = self.session_of(request)
        if session is None:
            message = f'Session "{name}" does not exist'
            return web.json_response({"error": message, "session": name}, status=422)
        if session.running:
            wait = RUNNING_WAIT if self.build < CURRENT_WAITS else STATUS_WAIT
            await self._wait(wait, lambda: session.code is not None)
        if session.code is None:
            return self._unexpected_status(session, "SCAN_QR_CODE")
        return await self._code(request, session.code.text)

    async def _code(self, request: web.Request, text: str) -> web.Response:
        if request.query.get("format") == "raw":
            return web.json_response({"value": text})
        uri = await asyncio.to_thread(data_uri, text)
        data = uri.partition(",")[2]
        # the server compares the whole header
        if request.headers.get("Accept") == "application/json":
            return web.json_response({"mimetype": "image/png", "data": data})
        return web.Response(body=b64decode(data), content_type="image/png")

    def _runs(self, request: web.Request) -> bool:
        session = self.session_of(request)
        return session is not None and session.running

    async def pairing_code(self, request: web.Request) -> web.Response:
        """Return a pairing code for a phone number."""
        session, body = self.session_of(request), await self.body_of(request)
        if session is None or not session.running:
            return self._not_started(request.match_info["id"])
        if self.engine == "NOWEB" and body.get("method"):
            message = "NOWEB engine doesn't support any 'method'"
            return self.error(422, "unprocessable", message)
        if session.state is State.BOOTING:
            wait = STATUS_WAIT if self.engine == "NOWEB" else CODE_WAIT
            await self._wait(wait, lambda: session.state is not State.BOOTING)
        if session.code is None:
            message = (
                "Can request code only in SCAN_QR_CODE status. "
                f"The current status is {self.status_of(session)}"
            )
            return self.error(422, "unprocessable", message)
        number = body.get("phoneNumber")
        if not isinstance(number, str) or not re.fullmatch(r"\d{7,15}", number):
            return await self._crash(request, "invalid phone number")
        code = session.request_code(number)
        return web.json_response({"code": f"{code[:4]}-{code[4:]}"}, status=201)

    # Passkeys. The bodies of both POST answers and of the 422 are not known.

    def _pending(self, request: web.Request, status: str) -> WahaSession | None:
        session = self.session_of(request)
        pending = session is not None and self.status_of(session) == status
        return session if pending else None

    async def challenge(self, request: web.Request) -> web.Response:
        """Return the options that a browser needs for the passkey."""
        if self._pending(request, PASSKEY_REQUIRED) is None:
            return self.error(422, "unprocessable", "No passkey challenge is pending")
        options = {
            "challenge": secrets.token_urlsafe(32),
            "rpId": "whatsapp.com",
            "timeout": 60000,
        }
        return web.json_response(options)

    async def passkey(self, request: web.Request) -> web.Response:
        """Take what a browser made of the challenge."""
        if (session := self._pending(request, PASSKEY_REQUIRED)) is None:
            return self.error(422, "unprocessable", "No passkey challenge is pending")
        session.passkey = PASSKEY_CONFIRMATION_REQUIRED
        return web.Response(status=201)

    async def confirmation(self, request: web.Request) -> web.Response:
        """Return the code to compare with the one on the phone."""
        if self._pending(request, PASSKEY_CONFIRMATION_REQUIRED) is None:
            return self.error(422, "unprocessable", "No confirmation is pending")
        return web.json_response({"code": "1234"})

    async def confirm(self, request: web.Request) -> web.Response:
        """Link the session."""
        if (session := self._pending(request, PASSKEY_CONFIRMATION_REQUIRED)) is None:
            return self.error(422, "unprocessable", "No confirmation is pending")
        session.state = State.LINKING
        return web.Response(status=201)
