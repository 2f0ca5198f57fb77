"""A phone that scans or types codes and unlinks devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .machine import PHONE_NUMBER

if TYPE_CHECKING:
    from .machine import Session
    from .server import Gateway


class ExpiredCodeError(Exception):
    """No instance shows this code now."""


class VirtualPhone:
    """WhatsApp on a phone, in front of the gateways it may be linked to."""

    def __init__(self, *gateways: Gateway, number: str = PHONE_NUMBER) -> None:
        """Know which gateways there are."""
        self.gateways = gateways
        self.number = number

    def scan(self, text: str) -> Session:
        """Link the instance that shows this very code now."""
        for gateway in self.gateways:
            for session in gateway.sessions.values():
                if session.code is not None and session.code.text == text:
                    session.scan(self.number)
                    return session
        raise ExpiredCodeError

    def enter(self, code: str) -> Session:
        """Link the instance with this pairing code, for the number it was made for."""
        typed = code.replace("-", "")
        for gateway in self.gateways:
            for session in gateway.sessions.values():
                number = session.pairing_number
                if number is not None and session.pairing_code == typed:
                    session.scan(number)
                    return session
        raise ExpiredCodeError

    def unlink(self, instance_id: str) -> None:
        """Log the device out, in WhatsApp's list of linked devices."""
        for gateway in self.gateways:
            if session := gateway.sessions.get(instance_id):
                session.unlink()
