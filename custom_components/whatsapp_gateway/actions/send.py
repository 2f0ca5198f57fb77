"""The action that sends messages."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from homeassistant.components.notify import DATA_COMPONENT
from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
)
from homeassistant.exceptions import HomeAssistantError

from ..messages.files import async_files
from ..messages.media import (
    async_load_file,
    async_load_media_source,
    async_load_url,
    send_as,
)
from ..messages.media_view import MEDIA_VIEW
from ..messages.outbox import MAX_WAIT_SECONDS
from ..messages.replies import SkipReason, digest_of
from ..providers.models import Feature
from ..texts import async_explain, failed, invalid, is_maybe_sent
from .calls import (
    async_check_control,
    destinations_by_address,
    destinations_by_entity,
)
from .fields import (
    ATTR_AUTOMATIC_REPLY,
    ATTR_FILE,
    ATTR_FILENAME,
    ATTR_MEDIA,
    ATTR_MEDIA_CONTENT_ID,
    ATTR_SEND_AS,
    ATTR_TO,
    ATTR_URL,
    check_content,
    check_features,
    mentioned,
    message_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse

    from ..messages.files import MessageFile
    from ..messages.outbox import Build
    from ..messages.sent import Sending
    from ..providers.base import Provider
    from ..providers.messages import Media, OutgoingMessage, SentMessage
    from .calls import Destination

ERROR = "error"
"""Key of the reason of a failure in the response."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What the call of the action sends."""

    data: Mapping[str, Any]
    mentions: tuple[str, ...]
    file: MessageFile | None
    give_up_at: float = field(default_factory=lambda: monotonic() + MAX_WAIT_SECONDS)
    """Until when it may wait, of the monotonic clock."""

    async def digest(self, destination: Destination) -> int:
        """Return a digest of the message, also of its file, to compare it with others.

        Raises a translated error if there is no room for it, or no file.
        """
        account = destination.account
        account.outbox.check_room(destination.instance_id)
        if self.file is None:
            return digest_of(message_of(self.data, None, self.mentions))
        async with async_files(account.hass).using(self.file) as media:
            return digest_of(message_of(self.data, media, self.mentions))

    @asynccontextmanager
    async def message(
        self, destination: Destination, provider: Provider
    ) -> AsyncGenerator[OutgoingMessage]:
        """Provide the message in the form that a gateway takes.

        A file that the gateway fetches is offered until it is fetched, unless the
        message is refused.
        """
        if self.file is None:
            yield message_of(self.data, None, self.mentions)
            return
        account = destination.account
        files = async_files(account.hass)
        async with files.using(self.file) as media:
            message = message_of(self.data, media, self.mentions)
            if Feature.MEDIA_CONTENT in provider.features or media.url:
                yield message
                return
            view = account.hass.data[MEDIA_VIEW]
            # raises if Home Assistant has no address on the internet any more
            view.async_base_url()
            release = await files.async_hold_for_link(self.file)
            offer = view.async_offer(
                account.entry.entry_id, media.content or b"", media.mime_type, release
            )
            link = replace(media, content=None, url=offer.url)
            try:
                yield replace(message, media=link)
            except (HomeAssistantError, asyncio.CancelledError) as err:
                if not is_maybe_sent(err):
                    offer.withdraw()
                raise


async def async_send_message(call: ServiceCall) -> ServiceResponse:
    """Send a message to all recipients, then raise if some of them don't get it."""
    hass, data = call.hass, call.data
    await async_check_control(call)
    destinations = _destinations(hass, data)
    check_content(data)
    mentions = mentioned(data, hass.config.country)
    for destination in destinations:
        check_features(destination.account.provider, data)
    load = _loader(hass, data, destinations)
    async with async_files(hass).file(load) if load else nullcontext() as file:
        outgoing = Outgoing(data=data, mentions=mentions, file=file)
        send = _async_reply if data[ATTR_AUTOMATIC_REPLY] else _async_send
        results = await asyncio.gather(
            *(send(destination, outgoing) for destination in destinations)
        )
        error = file.error if file else None
    outcomes: list[Any] = [
        await _async_outcome(destination, result)
        for destination, result in zip(destinations, results, strict=True)
    ]
    _check_outcomes(destinations, outcomes, error, told=call.return_response)
    return {"messages": outcomes}


def _check_outcomes(
    destinations: list[Destination],
    outcomes: list[dict[str, Any]],
    error: HomeAssistantError | None,
    *,
    told: bool,
) -> None:
    """Raise if somebody doesn't get the message; who does is no reason to send again.

    `error` is why the file can't be loaded. With `told` the response says what has
    happened, unless nobody gets the message.
    """
    by_name = [
        (destination.name, outcome)
        for destination, outcome in zip(destinations, outcomes, strict=True)
    ]
    failures = [
        f"{name}: {outcome[ERROR]}" for name, outcome in by_name if ERROR in outcome
    ]
    sent = [name for name, outcome in by_name if outcome["status"] == "sent"]
    if not failures or (sent and told):
        return
    if sent:
        raise failed("partly_sent", failures=" ".join(failures), sent=", ".join(sent))
    if error and not any(outcome["status"] == "maybe_sent" for outcome in outcomes):
        raise error
    raise failed("not_sent", failures=" ".join(failures))


def _destinations(hass: HomeAssistant, data: Mapping[str, Any]) -> list[Destination]:
    """Return where the message goes to; raise if that isn't clear."""
    entity_ids, device_id = data.get(ATTR_ENTITY_ID), data.get(ATTR_DEVICE_ID)
    addresses = data.get(ATTR_TO)
    if entity_ids and not device_id and not addresses:
        return destinations_by_entity(hass, entity_ids)
    if device_id and addresses and not entity_ids:
        return destinations_by_address(hass, device_id, addresses)
    raise invalid("recipient_required")


def _loader(
    hass: HomeAssistant, data: Mapping[str, Any], destinations: list[Destination]
) -> Callable[[], Awaitable[Media]] | None:
    """Return what loads the file of the message, None if it has none.

    Raises a translated error if a gateway couldn't fetch the file.
    """
    takes_content = [
        Feature.MEDIA_CONTENT in destination.account.provider.features
        for destination in destinations
    ]
    source: Callable[[], Awaitable[Media]]
    if ATTR_URL in data:
        source = partial(
            async_load_url, hass, data[ATTR_URL], download=any(takes_content)
        )
    elif ATTR_FILE in data:
        source = partial(async_load_file, hass, data[ATTR_FILE])
    elif ATTR_MEDIA in data:
        media_id = data[ATTR_MEDIA][ATTR_MEDIA_CONTENT_ID]
        source = partial(async_load_media_source, hass, media_id)
    else:
        return None
    if ATTR_URL not in data and not all(takes_content):
        hass.data[MEDIA_VIEW].async_base_url()

    async def load() -> Media:
        return send_as(await source(), data[ATTR_SEND_AS], data.get(ATTR_FILENAME))

    return load


async def _async_outcome(
    destination: Destination, result: SentMessage | SkipReason | HomeAssistantError
) -> dict[str, str | None]:
    """Return what the response tells of one message."""
    outcome = {"to": destination.chat_id, "message_id": None}
    if destination.entity_id:
        outcome["entity_id"] = destination.entity_id
    if isinstance(result, SkipReason):
        return outcome | {"status": "skipped", "skipped": result}
    if isinstance(result, HomeAssistantError):
        status = "maybe_sent" if is_maybe_sent(result) else "failed"
        reason = await async_reason(destination.account.hass, result)
        return outcome | {"status": status, ERROR: reason}
    return outcome | {"to": result.chat_id, "message_id": result.id, "status": "sent"}


async def _async_reply(
    destination: Destination, outgoing: Outgoing
) -> SentMessage | SkipReason | HomeAssistantError:
    """Send an automatic reply to one recipient, unless that could go on forever."""
    account = destination.account
    result = await account.memory.replies.async_send(
        (account.entry.entry_id, destination.instance_id),
        destination.chat_id,
        partial(outgoing.digest, destination),
        partial(_async_send, destination, outgoing),
        outgoing.give_up_at,
    )
    if isinstance(result, SkipReason):
        title = account.entry.title
        _LOGGER.debug("%s: automatic reply skipped: %s", title, result)
    return result


async def _async_send(
    destination: Destination,
    outgoing: Outgoing,
    started: Callable[[Sending], None] = lambda _: None,
) -> SentMessage | HomeAssistantError:
    """Send a message to one recipient; return what was sent or what went wrong."""
    build = partial(outgoing.message, destination)
    return await async_send(destination, build, started, outgoing.give_up_at)


async def async_send(
    destination: Destination,
    build: Build,
    started: Callable[[Sending], None] = lambda _: None,
    give_up_at: float | None = None,
) -> SentMessage | HomeAssistantError:
    """Send what is built just before; return what was sent or what went wrong."""
    account = destination.account
    try:
        sent = await account.outbox.async_send(
            destination.instance_id,
            destination.current_chat,
            build,
            to_check=destination.to_check,
            started=started,
            give_up_at=give_up_at,
        )
    except HomeAssistantError as err:
        return err
    if destination.entity_id:
        entity = account.hass.data[DATA_COMPONENT].get_entity(destination.entity_id)
        # the state is the time of the last message, with Home Assistant 2026.5 or newer
        # and unless the entity is disabled
        if record := getattr(entity, "_async_record_notification", None):
            record()
    return sent


async def async_reason(hass: HomeAssistant, err: HomeAssistantError) -> str:
    """Return the text of an error, in the language of the server."""
    placeholders = err.translation_placeholders or {}
    return await async_explain(hass, str(err.translation_key), **placeholders)
