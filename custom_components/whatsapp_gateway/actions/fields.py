"""The fields of the action that sends messages, and the message they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import voluptuous as vol

from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    ATTR_LATITUDE,
    ATTR_LOCATION,
    ATTR_LONGITUDE,
)
from homeassistant.helpers import config_validation as cv

from ..messages.formatting import check_text, is_blank, to_whatsapp
from ..messages.media import SEND_AS_AUTO
from ..messages.phone_number import example_of, parse_phone_number
from ..messages.recipients import masked
from ..providers.messages import Location, MessageKind, OutgoingMessage, Poll
from ..providers.models import Feature
from ..texts import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..providers.base import Provider
    from ..providers.messages import Media

ATTR_TO = "to"
ATTR_MESSAGE = "message"
ATTR_MARKDOWN = "markdown"
ATTR_MEDIA = "media"
ATTR_FILE = "file"
ATTR_URL = "url"
ATTR_FILENAME = "filename"
ATTR_SEND_AS = "send_as"
ATTR_REPLY_TO = "reply_to"
ATTR_MENTIONS = "mentions"
ATTR_POLL_OPTIONS = "poll_options"
ATTR_POLL_MULTIPLE = "poll_multiple"
ATTR_REACTION = "reaction"
ATTR_AUTOMATIC_REPLY = "automatic_reply"
ATTR_MEDIA_CONTENT_ID = "media_content_id"

CONTENTS = (
    ATTR_MEDIA,
    ATTR_FILE,
    ATTR_URL,
    ATTR_POLL_OPTIONS,
    ATTR_LOCATION,
    ATTR_REACTION,
)
"""What a message has at most one of; a text goes with all but a reaction."""
NEEDED_FEATURES = {
    ATTR_REPLY_TO: (Feature.REPLIES, "no_replies"),
    ATTR_MENTIONS: (Feature.MENTIONS, "no_mentions"),
    ATTR_POLL_OPTIONS: (Feature.POLLS, "no_polls"),
    ATTR_LOCATION: (Feature.LOCATIONS, "no_locations"),
    ATTR_REACTION: (Feature.REACTIONS, "no_reactions"),
}
"""The feature that each field needs, and the error without it."""

NOT_EMPTY = vol.All(cv.string, vol.Strip, vol.Length(min=1))
SEND_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_ENTITY_ID): cv.entity_ids,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_TO): vol.All(cv.ensure_list, [NOT_EMPTY]),
        vol.Optional(ATTR_MESSAGE, default=""): cv.string,
        vol.Optional(ATTR_MARKDOWN, default=True): cv.boolean,
        vol.Optional(ATTR_MEDIA): vol.Any(
            vol.All(cv.string, lambda media_id: {ATTR_MEDIA_CONTENT_ID: media_id}),
            vol.Schema(
                {vol.Required(ATTR_MEDIA_CONTENT_ID): cv.string}, extra=vol.ALLOW_EXTRA
            ),
        ),
        vol.Optional(ATTR_FILE): NOT_EMPTY,
        vol.Optional(ATTR_URL): cv.url,
        vol.Optional(ATTR_FILENAME): NOT_EMPTY,
        vol.Optional(ATTR_SEND_AS, default=SEND_AS_AUTO): vol.In(
            [SEND_AS_AUTO, MessageKind.DOCUMENT, MessageKind.VOICE]
        ),
        vol.Optional(ATTR_REPLY_TO): NOT_EMPTY,
        vol.Optional(ATTR_MENTIONS): vol.All(cv.ensure_list, [NOT_EMPTY]),
        vol.Optional(ATTR_POLL_OPTIONS): vol.All(
            cv.ensure_list, [NOT_EMPTY], vol.Length(min=2), vol.Unique()
        ),
        vol.Optional(ATTR_POLL_MULTIPLE, default=False): cv.boolean,
        vol.Optional(ATTR_LOCATION): vol.Schema(
            {
                vol.Required(ATTR_LATITUDE): cv.latitude,
                vol.Required(ATTR_LONGITUDE): cv.longitude,
            },
            extra=vol.ALLOW_EXTRA,
        ),
        vol.Optional(ATTR_REACTION): NOT_EMPTY,
        vol.Optional(ATTR_AUTOMATIC_REPLY, default=False): cv.boolean,
    }
)


def check_content(data: Mapping[str, Any]) -> None:
    """Raise if the fields don't make one message."""
    contents = [key for key in CONTENTS if key in data]
    has_text = not is_blank(data[ATTR_MESSAGE])
    if len(contents) > 1 or (ATTR_REACTION in contents and has_text):
        raise invalid("several_contents")
    if not has_text and (not contents or ATTR_POLL_OPTIONS in contents):
        raise invalid("message_required")
    if has_text and data[ATTR_SEND_AS] == MessageKind.VOICE:
        raise invalid("voice_with_text")
    if ATTR_REACTION in contents and ATTR_REPLY_TO not in data:
        raise invalid("reply_to_required")
    given = (data.get(key, "") for key in (ATTR_MESSAGE, ATTR_REACTION, ATTR_REPLY_TO))
    check_text(*given, *data.get(ATTR_POLL_OPTIONS, ()))


def check_features(provider: Provider, data: Mapping[str, Any]) -> None:
    """Raise if the gateway can't send such a message."""
    for key, (feature, error) in NEEDED_FEATURES.items():
        # a reaction needs no feature to name its message
        if key == ATTR_REPLY_TO and ATTR_REACTION in data:
            continue
        if key in data and feature not in provider.features:
            raise invalid(error, provider=provider.name)
    name, limit = provider.name, provider.max_poll_options
    if len(data.get(ATTR_POLL_OPTIONS, ())) > limit:
        raise invalid("too_many_options", provider=name, max_options=str(limit))


def mentioned(data: Mapping[str, Any], country: str | None) -> tuple[str, ...]:
    """Return the digits of the people who are mentioned."""
    numbers = []
    for entered in data.get(ATTR_MENTIONS, ()):
        if (digits := parse_phone_number(entered, country)) is None:
            number, example = masked(entered), example_of(country)
            raise invalid("invalid_phone_number", number=number, example=example)
        numbers.append(digits)
    return tuple(numbers)


def message_of(
    data: Mapping[str, Any], media: Media | None, mentions: tuple[str, ...]
) -> OutgoingMessage:
    """Return the message that the fields describe."""
    text: str = "" if is_blank(data[ATTR_MESSAGE]) else data[ATTR_MESSAGE]
    poll = location = None
    if options := data.get(ATTR_POLL_OPTIONS):
        multiple = data[ATTR_POLL_MULTIPLE]
        poll = Poll(question=text, options=tuple(options), multiple=multiple)
    elif place := data.get(ATTR_LOCATION):
        latitude, longitude = place[ATTR_LATITUDE], place[ATTR_LONGITUDE]
        location = Location(latitude=latitude, longitude=longitude, name=text)
    elif data[ATTR_MARKDOWN]:
        # WhatsApp shows marks neither in questions of polls nor in names of locations
        text = to_whatsapp(text)
    return OutgoingMessage(
        text="" if poll or location else text,
        media=media,
        poll=poll,
        location=location,
        reaction=data.get(ATTR_REACTION),
        reply_to=data.get(ATTR_REPLY_TO),
        mentions=mentions,
    )
