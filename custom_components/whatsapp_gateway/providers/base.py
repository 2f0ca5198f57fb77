"""The interface of every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2b
import logging
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from .http import HttpClient
from .models import (
    Action,
    BadResponse,
    CodeRejected,
    Feature,
    GatewayError,
    Instance,
    InstanceStatus,
    LinkState,
    NotFound,
    QrCode,
    Rejected,
    TooManyInstances,
    Unreachable,
)
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiohttp import ClientSession

    from .http import Answer

MAX_INSTANCES = 5000
MAX_UNKNOWN_STATUSES = 20
"""Number of unknown status words that are logged."""
MAX_STATUS = 60
"""Number of characters of an unknown status word that are looked at."""

_LOGGER = logging.getLogger(__name__)


class Provider(ABC):
    """One account at one gateway.

    Every call raises a `GatewayError`, and nothing else, if it does not succeed.
    Time limits are 10 s to read instances and 30 s for everything else.
    """

    name: ClassVar[str]
    default_url: ClassVar[str | None] = None
    """Address of the hosted service; None if people host the gateway themselves."""
    dashboard_url: str | None = None
    """Web page on which people manage their instances."""
    example_url: ClassVar[str | None] = None
    """Example of an address, if there is no default one."""
    key_required: ClassVar[bool] = True
    name_pattern: ClassVar[str | None] = None
    """Regular expression that names of new instances have to match completely."""
    pairing_code_interval: ClassVar[float | None] = None
    """Seconds after which to ask for the pairing code again; None: once a round."""
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
        self._http = HttpClient(
            session, url, headers, api_key, self.name, self.errors, self._error_of
        )
        self._ids: frozenset[str] = frozenset()
        self._unanswered: dict[str, frozenset[str]] = {}
        """Names of which nobody knows if they were created; the IDs before that."""
        self._unknown_statuses: set[str] = set()
        self._parsed: dict[str, tuple[bytes, Any]] = {}
        self._parsed_before: dict[str, tuple[bytes, Any]] = {}

    @property
    def features(self) -> Feature:
        """Features that are available with this API key."""
        if self.instance_id:
            return self.all_features & ~Feature.CREATE
        return self.all_features

    @property
    def closed(self) -> bool:
        """Whether requests are no longer sent."""
        return self._http.closed

    def is_same(self, other: Provider) -> bool:
        """Return whether another client belongs to the same account."""
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name)
            for name in ("url", "api_key", "instance_id")
        )

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
        self._ids = frozenset(instance.id for instance in instances)
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
        before = self._ids if before is None else before
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
        found = (one for one in await self.instances() if one.id not in before)
        return next((one for one in found if one.name == name), None)

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
    async def recognizes(cls, session: ClientSession, url: str) -> bool:  # noqa: ARG003
        """Return whether a server of this kind answers at an address, without a key."""
        return False

    @abstractmethod
    async def delete(self, instance_id: str) -> None:
        """Delete an instance permanently."""

    @staticmethod
    def _error_of(status: int, payload: Any) -> GatewayError | None:  # noqa: ARG004
        """Return what a failure means, if its HTTP status and code don't tell."""
        return None

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


def path_of(collection: str, instance_id: str, suffix: str = "") -> str:
    """Return the path of an instance; the ID may contain any character."""
    if not instance_id.strip("."):
        raise BadResponse("No ID")
    return f"{collection}/{quote(instance_id, safe='')}{suffix}"
