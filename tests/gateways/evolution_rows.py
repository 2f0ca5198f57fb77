"""Messages as the Evolution API stores and reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .content import content_of
from .evolution_server import EvolutionServer
from .messages import PERSON

if TYPE_CHECKING:
    from .evolution_instance import EvolutionInstance
    from .messages import DeliveredMessage

OWN_NAME = "Você"
"""What the server calls the owner of the instance."""


class EvolutionRows(EvolutionServer):
    """The rows of messages, which differ little between the calls and the events."""

    def message_row(
        self, instance: EvolutionInstance, message: DeliveredMessage
    ) -> dict[str, Any]:
        """Return a message that has been sent or received."""
        content = self._content(message)
        status = "PENDING" if message.by_client else "DELIVERY_ACK"
        return {
            "key": self._key(message),
            "pushName": OWN_NAME if message.from_me else message.name,
            "status": status,
            "message": content,
            "contextInfo": self._context(message),
            "messageType": next(iter(content), None),
            "messageTimestamp": int(message.sent_at),
            "instanceId": instance.uuid,
            "source": _source(message),
        }

    def _key(self, message: DeliveredMessage) -> dict[str, Any]:
        """Return who has sent a message to which chat.

        The number of a person is always there where the server knows it, but in groups
        the LID may come first.
        """
        key = {
            "remoteJid": message.chat_id,
            "fromMe": message.from_me,
            "id": message.id,
        }
        if message.by_client:
            return key
        key |= {"participant": None, "addressingMode": "pn"}
        if not message.has_member:
            lid = self.lid_of(message.chat_id.removesuffix(PERSON))
            return key | ({"remoteJidAlt": lid} if lid else {})
        if message.sender is None:
            return key
        number, lid = message.sender + PERSON, self.lid_of(message.sender)
        if message.as_lid and lid:
            own = {"participant": lid, "participantAlt": number}
            return key | own | {"addressingMode": "lid"}
        return key | {"participant": number}

    def _content(self, message: DeliveredMessage) -> dict[str, Any]:
        if message.kind != "reaction":
            return content_of(message)
        original = self.find_message(message.reply_to or "")
        key = {
            "remoteJid": message.chat_id,
            "fromMe": original.from_me if original else True,
            "id": message.reply_to,
        }
        return {"reactionMessage": {"key": key, "text": message.text}}

    def _context(self, message: DeliveredMessage) -> dict[str, Any] | None:
        if message.reply_to is None or message.kind == "reaction":
            return None
        original = self.find_message(message.reply_to)
        quoted = content_of(original) if original else {"conversation": ""}
        return {"stanzaId": message.reply_to, "quotedMessage": quoted}


def _source(message: DeliveredMessage) -> str:
    if message.by_client:
        return "web"
    return "ios" if message.from_me else "android"
