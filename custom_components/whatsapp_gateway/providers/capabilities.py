"""What only some gateways can do: each capability is an object of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from .http import SEND_TIME_LIMIT
from .models import (
    UNPARSABLE,
    BadResponse,
    GatewayError,
    InstanceChanged,
    MaybeSent,
    NoConnection,
    Rejected,
    Skipped,
    Unreachable,
)
from .parsing import dumps
from .refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

    from .http import Answer, HttpClient
    from .messages import (
        Chat,
        IncomingMessage,
        OutgoingMessage,
        SendRequest,
        SentMessage,
    )

    type Payload = bytes | str | Skipped | None
    type Report = InstanceChanged | IncomingMessage | Skipped

REFUSALS = {*range(300, 500)} - {HTTPStatus.REQUEST_TIMEOUT}
"""HTTP statuses that say that a request was not carried out.

408 also comes from frameworks that stop waiting for something that goes on.
"""


def unexpected(err: Exception) -> Skipped:
    """Return the report of an error that this integration didn't expect."""
    return Skipped("unexpected_error", type(err).__name__)


@contextmanager
def known_refusals() -> Iterator[None]:
    """Let an error of what runs WhatsApp in the gateway say what it means."""
    try:
        yield
    except (Rejected, Unreachable) as err:
        raise refusal_of(str(err)) or err from None


class Capability:
    """Something that the gateway of an account can do.

    Every call raises a `GatewayError`, and nothing else, if it does not succeed.
    """

    def __init__(self, http: HttpClient) -> None:
        """Send requests with the client of the account."""
        self._http = http


class Messages(Capability, ABC):
    """Send messages, and complete what the gateway reports of others."""

    async def send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Send a message once; return what the gateway tells about it.

        Raises `MaybeSent` if it isn't known whether the message was sent; after every
        other error it was not.
        """
        try:
            return await self._send(instance_id, chat_id, message)
        except GatewayError as err:
            error = err
            if isinstance(err, Rejected | Unreachable | MaybeSent):
                error = refusal_of(str(err), chat_id, message) or err
            if message.is_repeated_in(str(error)):
                error.args = ("The gateway reports a failure.",)
            refused = error.status in REFUSALS or isinstance(error, NoConnection)
            if isinstance(error, Unreachable | BadResponse) and not refused:
                error = MaybeSent(str(error))
        # not chained: the other error may repeat the message
        raise error

    @abstractmethod
    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Ask the gateway to send a message."""

    async def _request(self, build: Callable[[], SendRequest]) -> Answer:
        """Build a request and send it; a file is encoded outside of the event loop."""

        def serialize() -> tuple[str, str, bytes]:
            request = build()
            # the body, which may contain a file, isn't kept while it is sent
            return request.method, request.path, dumps(request.body)

        method, path, content = await asyncio.to_thread(serialize)
        return await self._http.request(
            method, path, content=content, time_limit=SEND_TIME_LIMIT
        )


class LidLookup(Capability, ABC):
    """Tell the phone numbers behind LIDs."""

    @abstractmethod
    async def find_number(self, instance_id: str, lid: str) -> str | None:
        """Return the chat ID with the phone number of a LID, None if it isn't known."""


class Chats(Capability, ABC):
    """List the groups, or the groups and people, of an instance with their names."""

    async def list_chats(self, instance_id: str) -> list[Chat]:
        """Return the chats of an instance; the members of groups are not asked for."""
        with known_refusals():
            return await self._list_chats(instance_id)

    @abstractmethod
    async def _list_chats(self, instance_id: str) -> list[Chat]:
        """Ask the gateway for the chats of an instance."""


class NumberCheck(Capability, ABC):
    """Tell whether a phone number has WhatsApp."""

    async def find_person(self, instance_id: str, phone_number: str) -> str | None:
        """Return the chat ID of a phone number (digits), None if it has no WhatsApp.

        WhatsApp may know the number in another form. Nothing is sent.
        """
        with known_refusals():
            return await self._find_person(instance_id, phone_number)

    @abstractmethod
    async def _find_person(self, instance_id: str, phone_number: str) -> str | None:
        """Ask the gateway for the chat ID of a phone number."""


class Downloads(Capability, ABC):
    """Download the files of received messages."""

    @abstractmethod
    async def download(self, message: IncomingMessage) -> bytes:
        """Return the file of a message, of 16 MiB at most."""


class Reports(Capability):
    """Report changes of instances, and messages if they are wanted."""

    receives = False
    """Whether the user wants to receive messages; set before anything is asked."""

    def read(self, payload: Payload) -> Report | None:
        """Return what a payload reports, None if it is of no interest.

        Never raises: one bad payload must not end what brings the others.
        """
        if payload is None or isinstance(payload, Skipped):
            return payload
        try:
            return self.parse(payload)
        except BadResponse:
            return UNPARSABLE
        except Exception as err:  # noqa: BLE001
            return unexpected(err)

    def parse(self, payload: bytes | str) -> Report | None:  # noqa: ARG002
        """Return what a payload reports; raises `BadResponse` if it can't be read."""
        return InstanceChanged()


class Events(Reports, ABC):
    """Report changes while a connection to the gateway is open."""

    async def follow(self) -> AsyncGenerator[Report | None]:
        """Yield what the gateway reports, None for a sign of life.

        Ends with a `GatewayError`, as `payloads` does.
        """
        async with aclosing(self.payloads()) as payloads:
            async for payload in payloads:
                yield self.read(payload)

    @abstractmethod
    def payloads(self) -> AsyncGenerator[Payload]:
        """Yield the content of each event, None for a sign of life.

        Ends with a `GatewayError`; `Rejected`, `NotFound` and `BadResponse` mean that
        the gateway doesn't offer this, at least now.
        """


class Webhooks(Reports, ABC):
    """Report changes by calling an address."""

    is_local: ClassVar[bool] = False
    """Whether the gateway calls from the local network; else it needs a public address
    with HTTPS."""
    header: ClassVar[str | None] = None
    """Name of the header in which each call brings a secret."""

    @abstractmethod
    async def register(
        self, url: str, secret: str, instance_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Let the gateway call an address whenever one of these instances changes.

        May be repeated at any time. Returns for each instance whether it is reported:
        if not, other software uses its only webhook, which is kept as it is. Instances
        that can't be registered now are left out; raises an error if none can.
        """

    @abstractmethod
    async def unregister(self, url: str, instance_ids: Iterable[str]) -> None:
        """Let the gateway no longer call this address; all other webhooks are kept."""


class PairingCodes(Capability, ABC):
    """Link a phone by a code that is entered on it."""

    interval: ClassVar[float | None] = None
    """Seconds after which to ask for the code again; None: once a round."""

    @abstractmethod
    async def start(self, instance_id: str, phone_number: str) -> None:
        """Start the session of an instance that is to be linked by a pairing code.

        `phone_number` consists of the digits of the international format.
        """

    @abstractmethod
    async def code(self, instance_id: str, phone_number: str) -> str | None:
        """Return the code to enter on the phone with this number, None if not yet.

        Call it only while the instance waits to be linked (`SCAN_QR`). The code has
        eight characters and no dash; it is a secret.
        """
