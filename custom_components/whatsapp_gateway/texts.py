"""Prepare texts for the places in Home Assistant that show them."""

from __future__ import annotations

from contextlib import asynccontextmanager
import re
from typing import TYPE_CHECKING, Any
from unicodedata import category

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import slugify

from .const import DOMAIN, ERROR_KEYS
from .providers.models import (
    GatewayError,
    MaybeSent,
    Refusal,
    Refused,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from homeassistant.core import HomeAssistant

MAX_NAME = 100
MAX_SLUG = 180
"""Leaves room in an entity ID of at most 255 characters for the other parts."""
FORMAT_CHARACTER = "Cf"
"""Unicode category of marks of writing direction and the like."""
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")


def device_name(name: str) -> str:
    """Return a name that is short enough for entity IDs.

    A wide character can become more than five characters of an entity ID.
    """
    name = name[:MAX_NAME]
    while len(slugify(name)) > MAX_SLUG:
        name = name[: len(name) * 3 // 4]
    return name


def without_invisible(text: str) -> str:
    """Return a text without format characters, which come along with copied texts."""
    return "".join(
        character for character in text if category(character) != FORMAT_CHARACTER
    )


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, without links and pictures."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


async def async_explain(hass: HomeAssistant, key: str, **placeholders: str) -> str:
    """Return the text of an exception, in the language of the server."""
    texts = await async_get_translations(
        hass, hass.config.language, "exceptions", {DOMAIN}
    )
    return texts[f"component.{DOMAIN}.exceptions.{key}.message"].format(**placeholders)


async def async_explain_error(
    hass: HomeAssistant, err: GatewayError, check_key: Callable[[], Awaitable[bool]]
) -> str:
    """Return the text of a gateway error; check the API key if it was rejected."""
    translation = translation_of(await _async_after_check(err, check_key))
    return await async_explain(
        hass,
        translation["translation_key"],
        **translation["translation_placeholders"],
    )


@asynccontextmanager
async def translated_errors(
    check_key: Callable[[], Awaitable[bool]],
) -> AsyncIterator[None]:
    """Raise gateway errors translated; check the API key if it was rejected."""
    try:
        yield
    except GatewayError as err:
        error = await _async_after_check(err, check_key)
        raise HomeAssistantError(**translation_of(error)) from err


async def _async_after_check(
    err: GatewayError, check_key: Callable[[], Awaitable[bool]]
) -> GatewayError:
    """Return an error; an API key that works elsewhere is only not allowed to do this.

    `check_key` returns whether the API key works, and asks for another one if not.
    """
    if isinstance(err, Unauthorized) and await check_key():
        return Refused(Refusal.KEY_NOT_ALLOWED)
    return err


def translation_of(err: GatewayError) -> dict[str, Any]:
    """Return the translation of an error as arguments of Home Assistant's errors."""
    placeholders = {"message": str(err)}
    if isinstance(err, Refused):
        key, placeholders = err.reason.value, placeholders | err.placeholders
    else:
        key = ERROR_KEYS[type(err)]
    return {
        "translation_domain": DOMAIN,
        "translation_key": key,
        "translation_placeholders": placeholders,
    }


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error that an action is called with wrong data."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )


def is_maybe_sent(err: object) -> bool:
    """Return whether the message may have been sent despite this error."""
    return getattr(err, "translation_key", None) == ERROR_KEYS[MaybeSent]


def failed(key: str, **placeholders: str) -> HomeAssistantError:
    """Return the error that an action can't be performed, at least now."""
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )
