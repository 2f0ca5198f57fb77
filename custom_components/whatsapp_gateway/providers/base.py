"""The interface of every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from http import HTTPStatus
import logging
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from .http import PROBE_TIME_LIMIT, HttpClient
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
)
from .parsing import loads
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from .capabilities import (
        Chats,
        Downloads,
        Events,
        LidLookup,
        Messages,
        NumberCheck,
        PairingCodes,
        Webhooks,
    )

MAX_INSTANCES = 5000
MAX_UNKNOWN_STATUSES = 20
"""Number of unknown status words that are logged."""
PLAIN_NAME = re.compile("[A-Za-z0-9_-]+")
MAX_STATUS = 60
"""Number of characters of an unknown status word that are looked at."""
OWN_ANSWER = "own_answer"
"""Code of our own for what only one kind of gateway answers."""

_LOGGER = logging.getLogger(__name__)


class Provider(ABC):
    """One account at one gateway.

    Every call raises a `GatewayError`, and nothing else, if it does not succeed. The
    time limits of its requests are 10 s to read instances, 60 s to send a message or to
    download a file, and 30 s for everything else. What only some gateways can do are
    objects of their own, which a provider creates in its constructor.
    """

    messages: Messages | None = None
    chats: Chats | None = None
    number_check: NumberCheck | None = None
    downloads: Downloads | None = None
    lid_lookup: LidLookup | None = None
    events: Events | None = None
    webhooks: Webhooks | None = None
    pairing_codes: PairingCodes | None = None
    has_messages: ClassVar[bool] = False
    """Whether every account has `messages`."""
    has_pairing_codes: ClassVar[bool] = False
    """Whether every account has `pairing_codes`."""
    delays_status = False
    """Whether the last list shows an earlier status of an instance for a while."""

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
    max_poll_options: ClassVar[int] = 12
    """Number of answers that a poll can have; WhatsApp itself allows 12."""
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
        self.pairing_digests: dict[str, str] = {}
        """Digests of the last pairing codes, by instance ID. The owner of the provider
        stores them and passes them to the next one."""
        self.wants_phone_numbers: set[str] = set()
        """IDs of the instances whose phone number is needed, set before each list.

        If the list of the gateway lacks phone numbers, they are asked for in the
        background, and a later list has them.
        """
        self._http = HttpClient(
            session,
            url,
            headers=headers,
            api_key=api_key,
            name=self.name,
            errors=self.errors,
            error_of=self._error_of,
        )
        self._unknown_statuses: set[str] = set()

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
    def clock_ahead(self) -> float:
        """Seconds by which the gateway's clock is ahead of the one of this machine."""
        return self._http.clock_ahead

    @property
    def closed(self) -> bool:
        """Whether requests are no longer sent."""
        return self._http.closed

    def close(self) -> None:
        """Send no more requests: the account is no longer loaded."""
        self._http.close()

    async def instances(self) -> list[Instance]:
        """Return every instance of the account once."""
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
        return instances

    @abstractmethod
    async def _list(self) -> tuple[Instance, ...]:
        """Return everything in the list; an ID may be repeated."""

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
        """Create an instance; raises an error if it isn't known whether it exists."""
        try:
            return await self._create(name, instance_type, metadata)
        except NotFound as err:
            raise BadResponse("No such route") from err

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

    async def server_version(self) -> str | None:
        """Return the version of the server, None if the gateway doesn't report it.

        Raises `UnsupportedServer` for a version that is known not to work.
        """
        return None

    @classmethod
    async def recognizes(cls, session: ClientSession, url: str) -> bool:
        """Return whether a server of this kind answers at an address, without a key."""

        def error_of(status: int, payload: Any) -> GatewayError | None:
            own = isinstance(payload, dict) and cls._is_own_answer(status, payload)
            return GatewayError(code=OWN_ANSWER) if own else None

        client = HttpClient(
            session,
            url,
            headers={},
            api_key="",
            name="Recognition",
            errors={},
            error_of=error_of,
        )
        for path in cls.probes:
            try:
                answer = await client.get(path, time_limit=PROBE_TIME_LIMIT)
                error = error_of(HTTPStatus.OK, loads(answer.body))
            except GatewayError as err:
                error = err
            if error is None or error.code != OWN_ANSWER:
                return False
        return True

    @staticmethod
    @abstractmethod
    def _is_own_answer(status: int, payload: dict[str, Any]) -> bool:
        """Return whether only this gateway answers one of the `probes` like this."""

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
