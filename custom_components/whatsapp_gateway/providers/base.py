"""The interface of every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from hashlib import blake2b
from http import HTTPStatus
import logging
import re
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from .http import SEND_TIME_LIMIT, HttpClient, dumps, probe
from .models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    GatewayError,
    Instance,
    InstanceChanged,
    InstanceStatus,
    LinkState,
    MaybeSent,
    NoConnection,
    NotFound,
    QrCode,
    Rejected,
    TooManyInstances,
    Unreachable,
)
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from aiohttp import ClientSession

    from .http import Answer
    from .messages import Call, Chat, IncomingMessage, OutgoingMessage, SentMessage

MAX_INSTANCES = 5000
MAX_UNKNOWN_STATUSES = 20
"""Number of unknown status words that are logged."""
REFUSALS = {*range(300, 500)} - {HTTPStatus.REQUEST_TIMEOUT}
"""HTTP statuses that say that a request was not carried out.

408 also comes from frameworks that stop waiting for something that goes on.
"""
PLAIN_NAME = re.compile("[A-Za-z0-9_-]+")
MAX_STATUS = 60
"""Number of characters of an unknown status word that are looked at."""

_LOGGER = logging.getLogger(__name__)


class Provider(ABC):
    """One account at one gateway.

    Every call raises a `GatewayError`, and nothing else, if it does not succeed. The
    time limits of its requests are 10 s to read instances, 60 s to send a message or to
    download a file, and 30 s for everything else.
    """

    name: ClassVar[str]
    default_url: ClassVar[str | None] = None
    """Address of the hosted service; None if people host the gateway themselves."""
    dashboard_url: str | None = None
    """Web page on which people manage their instances."""
    example_url: ClassVar[str | None] = None
    """Example of an address, if there is no default one."""
    web_pages: ClassVar[frozenset[str]] = frozenset()
    """First path segments of the server's web pages, such as "dashboard", in lower
    case."""
    key_required: ClassVar[bool] = True
    max_name_length: ClassVar[int | None] = None
    """Limit of names that may only have letters (A to Z), digits, hyphens and
    underscores; None if names may be any text."""
    pairing_code_interval: ClassVar[float | None] = None
    """Seconds after which to ask for the pairing code again; None: once a round."""
    max_poll_options: ClassVar[int] = 12
    """Number of answers that a poll can have; WhatsApp itself allows 12."""
    webhook_is_local: ClassVar[bool] = False
    """Whether the gateway calls from the local network; else it needs a public address
    with HTTPS."""
    webhook_header: ClassVar[str | None] = None
    """Name of the header in which each call to a webhook brings a secret."""
    probes: ClassVar[tuple[str, ...]]
    """Paths that show what kind of server it is, also without an API key."""
    auth_header: ClassVar[tuple[str, str]]
    """Name of the header, and its value with `{}` for the API key."""
    errors: ClassVar[Mapping[str, type[GatewayError]]] = {}
    """What the gateway's own error codes mean."""
    statuses: ClassVar[Mapping[str, InstanceStatus]]
    """What the gateway's own status words mean."""
    actions: ClassVar[frozenset[Action]]
    all_features: ClassVar[Feature]
    instance_types: ClassVar[Mapping[str, str]] = {}
    """Types of instances, the usual one first, with their names."""
    other_types: ClassVar[Mapping[str, str]] = {}
    """Types of instances that only the gateway itself creates, with their names."""
    types_without_qr: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        session: ClientSession,
        url: str,
        api_key: str,
        instance_id: str | None = None,
    ) -> None:
        """Use a session that belongs to the caller.

        With `instance_id` the account consists of that instance alone, because the
        API key only gives access to it.
        """
        header, value = self.auth_header
        headers = {header: value.format(api_key)} if api_key else {}
        self.api_key = api_key
        self.url = url
        self.instance_id = instance_id
        self._one_instance_key = instance_id is not None
        """Whether the API key only gives access to one instance, so far as is known."""
        self.settling = False
        """Whether the list shows an earlier status of an instance for a while."""
        self.pairing_digests: dict[str, str] = {}
        """Digests of the last pairing codes, by instance ID. The owner of the provider
        stores them and passes them to the next one."""
        self.receives = False
        """Whether the user wants to receive messages; set before anything is asked."""
        self._http = HttpClient(
            session,
            url,
            headers=headers,
            api_key=api_key,
            name=self.name,
            errors=self.errors,
            error_of=self._error_of,
        )
        self._listed: list[Instance] = []
        """The instances of the last list."""
        self._unanswered: dict[str, frozenset[str]] = {}
        """Names whose creation got no clear answer, with the IDs of all instances that
        existed before."""
        self._unknown_statuses: set[str] = set()
        self._parsed: dict[str, tuple[bytes, Any]] = {}
        self._parsed_before: dict[str, tuple[bytes, Any]] = {}

    @property
    def features(self) -> Feature:
        """Features that are available with this API key."""
        features = self.all_features
        return features & ~Feature.CREATE if self._one_instance_key else features

    def accepts_name(self, name: str) -> bool:
        """Return whether a new instance can have this name."""
        limit = self.max_name_length
        return limit is None or bool(PLAIN_NAME.fullmatch(name) and len(name) <= limit)

    @property
    def closed(self) -> bool:
        """Whether requests are no longer sent."""
        return self._http.closed

    def close(self) -> None:
        """Send no more requests: the account is no longer loaded."""
        self._http.close()

    async def instances(self) -> list[Instance]:
        """Return every instance of the account once."""
        self._parsed_before, self._parsed = self._parsed, {}
        try:
            if self.instance_id is None:
                found = await self._list()
                instances = list({instance.id: instance for instance in found}.values())
            else:
                instances = [await self.instance(self.instance_id)]
        except NotFound as err:
            if self.instance_id is None:
                # a missing list means a wrong address
                raise BadResponse("No such route") from err
            instances = []
        if len(instances) > MAX_INSTANCES:
            raise TooManyInstances
        self._listed = instances
        return instances

    @abstractmethod
    async def _list(self) -> tuple[Instance, ...]:
        """Return everything in the list; an ID may be repeated."""

    async def details(self, instances: Iterable[Instance]) -> list[Instance]:  # noqa: ARG002
        """Return some of these instances with details that the list lacks.

        Asks for a few at a time; the lists that follow have the details as well.
        """
        return []

    @abstractmethod
    async def instance(self, instance_id: str) -> Instance:
        """Return one instance as it is now."""

    async def create(
        self,
        name: str,
        *,
        instance_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instance:
        """Create an instance.

        If no answer arrives, the list shows whether it was created. A repeated call
        looks there first, so that no instance is created twice.
        """
        before = self._unanswered.get(name)
        if before is not None and (created := await self._find(name, before)):
            del self._unanswered[name]
            return created
        if before is None:
            before = frozenset(instance.id for instance in self._listed)
        try:
            created = await self._create(name, instance_type, metadata)
        except NotFound as err:
            raise BadResponse("No such route") from err
        except (Unreachable, BadResponse):
            self._unanswered[name] = before
            if (found := await self._find(name, before)) is None:
                raise
            created = found
        self._unanswered.pop(name, None)
        return created

    async def _find(self, name: str, before: frozenset[str]) -> Instance | None:
        """Return an instance of this name that wasn't there before."""
        found = (
            instance for instance in await self.instances() if instance.id not in before
        )
        return next((instance for instance in found if instance.name == name), None)

    @abstractmethod
    async def _create(
        self, name: str, instance_type: str | None, metadata: Mapping[str, Any] | None
    ) -> Instance:
        """Ask the gateway to create an instance."""

    @abstractmethod
    async def perform(self, action: Action, instance_id: str) -> None:
        """Perform one of `actions`; also succeeds if nothing had to be done."""

    async def link_state(self, instance_id: str, *, with_code: bool) -> LinkState:
        """Return the status and, if wanted, the QR code that waits to be scanned.

        Never starts a session. Raises `CodeRejected` if only the code is rejected.
        """
        status = (await self.instance(instance_id)).status
        if status is not InstanceStatus.SCAN_QR or not with_code:
            return LinkState(status=status)
        try:
            return LinkState(status=status, code=await self.qr(instance_id))
        except (NotFound, Rejected) as err:
            # the status says what is wrong with the instance
            raise CodeRejected(str(err)) from err

    @abstractmethod
    async def qr(self, instance_id: str) -> QrCode | None:
        """Return the QR code to scan now, None if there is none.

        May start the session, so call it only while somebody links a phone.
        """

    async def start_code_pairing(self, instance_id: str, phone_number: str) -> None:  # noqa: ARG002
        """Start the session of an instance that is to be linked by a pairing code.

        `phone_number` consists of the digits of the international format.
        """
        await self.perform(Action.CONNECT, instance_id)

    async def pairing_code(self, instance_id: str, phone_number: str) -> str | None:
        """Return the code to enter on the phone with this number, None if not yet.

        Call it only while the instance waits to be linked (`SCAN_QR`). The code has
        eight characters and no dash; it is a secret.
        """
        raise NotImplementedError

    async def server_version(self) -> str | None:
        """Return the version of the server, None if the gateway doesn't report it.

        Raises `UnsupportedServer` for a version that is known not to work.
        """
        return None

    @classmethod
    async def recognizes(cls, session: ClientSession, url: str) -> bool:
        """Return whether a server of this kind answers at an address, without a key."""
        for path in cls.probes:
            if not await probe(session, url, path, cls._is_own_answer):
                return False
        return True

    @staticmethod
    @abstractmethod
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        """Return whether only this gateway answers one of the `probes` like this."""

    async def events(
        self,
    ) -> AsyncGenerator[InstanceChanged | IncomingMessage | None]:
        """Yield what the gateway reports, None for a sign of life.

        Needs the feature `EVENTS`; messages are only reported with `receives`. Ends
        with a `GatewayError`; `Rejected`, `NotFound` and `BadResponse` mean that the
        gateway doesn't offer this, at least now.
        """
        raise NotImplementedError
        yield  # an asynchronous generator

    async def register_webhook(
        self, url: str, secret: str, instance_ids: Iterable[str]
    ) -> dict[str, bool]:
        """Let the gateway call an address whenever one of these instances changes.

        Needs the feature `WEBHOOKS`; messages are only reported with `receives`. May be
        repeated at any time. Returns for each instance whether it is reported: if not,
        other software uses its only webhook, which is kept as it is. Instances that
        can't be registered now are left out; raises an error if none can.
        """
        raise NotImplementedError

    async def unregister_webhook(self, url: str, instance_ids: Iterable[str]) -> None:
        """Let the gateway no longer call this address; all other webhooks are kept."""
        raise NotImplementedError

    def parse_webhook(
        self,
        body: bytes,  # noqa: ARG002
    ) -> InstanceChanged | IncomingMessage | None:
        """Return what a call reports, None if it is of no interest."""
        return InstanceChanged()

    # messages

    async def send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Send a message once; return what the gateway tells about it.

        Needs the feature `MESSAGES`. Raises `MaybeSent` if it isn't known whether the
        message was sent; after every other error it was not.
        """
        try:
            return await self._send(instance_id, chat_id, message)
        except GatewayError as err:
            if message.is_repeated_in(str(err)):
                err.args = ("The gateway reports a failure.",)
            if err.status in REFUSALS or isinstance(err, NoConnection):
                raise
            if isinstance(err, Unreachable | BadResponse):
                raise MaybeSent(str(err)) from err
            raise

    async def _send(
        self, instance_id: str, chat_id: str, message: OutgoingMessage
    ) -> SentMessage:
        """Ask the gateway to send a message."""
        raise NotImplementedError

    async def _ask_to_send(self, build: Callable[[], Call]) -> Answer:
        """Build a request and send it; a file is encoded outside of the event loop."""
        call, content = await asyncio.to_thread(_serialized, build)
        return await self._http.request(
            call.method, call.path, content=content, time_limit=SEND_TIME_LIMIT
        )

    async def chats(self, instance_id: str) -> list[Chat]:
        """Return the groups and people that the gateway lists for an instance.

        Needs the feature `CHATS`. Members of groups are not asked for.
        """
        raise NotImplementedError

    async def find_person(self, instance_id: str, phone_number: str) -> str | None:
        """Return the chat of a phone number (digits), None if it has no WhatsApp.

        WhatsApp may know the number in another form. Needs the feature `NUMBER_CHECK`.
        Nothing is sent.
        """
        raise NotImplementedError

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        """Return a message with phone numbers instead of LIDs, if they are known.

        Never raises: a message is shown with a LID rather than not at all.
        """
        return message

    async def download(self, message: IncomingMessage) -> bytes:
        """Return the file of a message, of 16 MiB at most.

        Needs the feature `DOWNLOADS`.
        """
        raise NotImplementedError

    @abstractmethod
    async def delete(self, instance_id: str) -> None:
        """Delete an instance permanently."""

    @staticmethod
    @abstractmethod
    def _error_of(status: int, payload: Any) -> GatewayError | None:
        """Return the error that a status and a body mean, or None for the default.

        Has to return NotFound for the gateway's own answer that an instance doesn't
        exist. The default for status 404 is BadResponse, because a proxy answers 404 as
        well.
        """

    def _parse_once[T](self, key: str, answer: Answer, parse: Callable[[Any], T]) -> T:
        """Return the parsed answer; an unchanged one isn't parsed again.

        This makes an unchanged poll of 1,000 instances 3 to 4 times as fast. Only the
        answers of the last two lists are remembered, so that memory doesn't grow.
        """
        digest = blake2b(answer.body, digest_size=16).digest()
        known, meaning = self._parsed_before.get(key, (None, None))
        if digest != known:
            meaning = parse(answer.json())
        self._parsed[key] = digest, meaning
        return cast("T", meaning)

    def _status(self, word: str) -> tuple[InstanceStatus | None, str]:
        """Return the meaning of a status word, and the word as it may be shown."""
        if status := self.statuses.get(word):
            return status, word
        shown = redact(word[:MAX_STATUS], self.api_key)
        known = self._unknown_statuses
        if shown not in known and len(known) < MAX_UNKNOWN_STATUSES:
            known.add(shown)
            _LOGGER.warning("%s reports an unknown status: %s", self.name, shown)
        return None, shown


def _serialized(build: Callable[[], Call]) -> tuple[Call, bytes]:
    """Build a request, and serialize its body."""
    call = build()
    return call, dumps(call.body)


def path_of(collection: str, instance_id: str, suffix: str = "") -> str:
    """Return the path of an instance; the ID may contain any character."""
    if not instance_id.strip("."):
        raise BadResponse("No ID")
    return f"{collection}/{quote(instance_id, safe='')}{suffix}"
