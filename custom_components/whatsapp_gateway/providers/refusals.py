"""Know the errors after which a message was certainly not sent.

The gateways pass on what Baileys, whatsmeow and whatsapp-web.js say, often with an HTTP
status that tells nothing. The texts come from the code of these libraries and from
public reports. An error that may also follow the sending of a message isn't listed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .messages import GROUP, MessageKind
from .models import Refusal, Refused, Rejected

if TYPE_CHECKING:
    from .messages import OutgoingMessage

_PREPARATION = (
    "failed to get (group members|device list|"
    r"user info for \S+ to fill LID cache|LID for PN \S+): "
)
"""What precedes the error of a question that is asked before a message is sent."""
_PREFIXES = re.compile(
    r"^(\d+ [A-Z_]+: |rpc error: code = \w+ desc = |Evaluation failed: |\w*Error: |"
    r"info query returned status \d+: |failed to send message node: |"
    r"failed to send usync query: |failed to get group info: |"
    rf"{_PREPARATION})*"
)
"""What is written before the error itself."""
_PREPARED = re.compile(_PREFIXES.pattern.removesuffix("*") + f"*?{_PREPARATION}")
"""An error of such a question."""
_MEANINGS = {
    "no LID found for ": Refusal.NOT_ON_WHATSAPP,
    "Lid is missing in chat table": Refusal.PERSON_UNKNOWN,
    "No LID for user": Refusal.PERSON_UNKNOWN,
    "findChat: new chat not found": Refusal.PERSON_UNKNOWN,
    "(item-not-found|gone)$": Refusal.CHAT_UNKNOWN,
    "(wid error: )?invalid wid": Refusal.CHAT_UNKNOWN,
    r"server returned error 463\b": Refusal.NEW_CHATS_LIMITED,
    r"server returned error (?P<error>\d+)": Refusal.WHATSAPP_REFUSED,
    "(?P<error>not-acceptable|not-allowed|bad-request)$": Refusal.WHATSAPP_REFUSED,
    "(?P<error>forbidden|not-authorized)$": Refusal.WHATSAPP_REFUSED,
    "rate-overlimit$": Refusal.WHATSAPP_LIMIT,
    "No session(s| record)$": Refusal.NO_SESSION,
    "websocket not connected": Refusal.INSTANCE_NOT_CONNECTED,
    "the store doesn't contain a device JID": Refusal.INSTANCE_NOT_CONNECTED,
    "Connection Closed$": Refusal.INSTANCE_NOT_CONNECTED,
    # the next five are said before a command goes to the browser or to the engine
    r"Protocol error \S+ Session closed": Refusal.SESSION_BROKEN,
    r"Protocol error \S+ Cannot find context": Refusal.SESSION_BROKEN,
    "Attempted to use detached Frame": Refusal.SESSION_BROKEN,
    "Execution context is not available in detached frame": Refusal.SESSION_BROKEN,
    "No connection established": Refusal.SESSION_BROKEN,
    "Message id be in format ": Refusal.MESSAGE_UNKNOWN,
    "request entity too large$": Refusal.TOO_LARGE,
    "Media upload failed on all hosts": Refusal.FILE_NOT_UPLOADED,
}
"""What the beginnings of errors mean."""
_IN_GROUPS = {
    "(item-not-found|gone)$": Refusal.GROUP_UNKNOWN,
    "(wid error: )?invalid wid": Refusal.GROUP_UNKNOWN,
    "findChat: new chat not found": Refusal.GROUP_UNKNOWN,
    "(?P<error>forbidden|not-authorized)$": Refusal.NOT_A_MEMBER,
    "you're not participating in that group": Refusal.NOT_A_MEMBER,
    "that group does not exist": Refusal.GROUP_UNKNOWN,
}
"""What some of these mean if the message is for a group."""
_NOT_FETCHED = re.compile(r"Request failed with status code 4\d\d")
"""What a server says that can't load a file from its address."""
_TRANSCRIBED = {MessageKind.AUDIO, MessageKind.VOICE}
"""Files that some servers send to another service after they have sent the message."""


def refusal_of(
    error: str, chat: str = "", message: OutgoingMessage | None = None
) -> Rejected | None:
    """Return the refusal that an error means, None if it doesn't tell.

    `error` is what the gateway says about a question, or about a message to a chat.
    After `None` the message may have been sent.
    """
    text = _PREFIXES.sub("", error, count=1)
    meanings = _MEANINGS | (_IN_GROUPS if chat.endswith(GROUP) else {})
    for pattern, reason in meanings.items():
        if found := re.match(pattern, text):
            return Refused(reason, **found.groupdict())
    if message and _NOT_FETCHED.match(text):
        return _not_fetched(error, message)
    return Rejected(error) if _PREPARED.match(error) else None


def _not_fetched(error: str, message: OutgoingMessage) -> Rejected | None:
    """Return the error of a request that the gateway made to another server."""
    if (media := message.media) is None:
        return Rejected(error)
    if media.content is not None and media.kind in _TRANSCRIBED:
        return None
    return Refused(Refusal.FILE_NOT_FETCHED)
