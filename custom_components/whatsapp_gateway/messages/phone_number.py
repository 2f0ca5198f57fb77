"""Check a phone number as a person enters it.

The library alone would send messages to strangers: in Germany it reads `4915112345678`
as +49 49151…, it takes `.0` for another digit and letters for the keys of a phone, and
it finds a number in the middle of a sentence.
"""

from __future__ import annotations

from contextlib import suppress
import re
import unicodedata

from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    example_number_for_type,
    format_number,
    is_possible_number_with_reason,
    is_valid_number,
    national_significant_number,
    number_type,
    parse,
)

MAX_LENGTH = 40
"""Number of characters of a phone number."""
FICTIONAL = "+1 202 555 0123"
"""The example for homes whose country isn't known."""
INVISIBLE = {"Cf", "Mn", "Me"}
"""Unicode categories of marks of writing direction, variation selectors and so on."""
NATIONAL_LENGTH = 10
"""Most numbers without a country code have so many digits or fewer."""
MINUS = "\u2212"
MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
_WRITTEN = re.compile(r"[( ]*\+?[( ]*\d[\d().\-/ \t]*", re.ASCII)
_FLOAT = re.compile(r"\+?\d{7,15}\.0", re.ASCII)
"""Digits that a template has turned into a decimal number."""
_DECIMAL = re.compile(r"\+?\d{7,}\.\d*|(?:[^.\d]*\d){7,}[^.\d]*\.\d\d?", re.ASCII)
"""A number that a template or a spreadsheet took for a decimal one."""
_OPTIONAL_ZERO = re.compile(r"\([ \t]*0[ \t]*\)")
_GROUP = re.compile(r"\d+", re.ASCII)
_INTERNATIONAL = re.compile(r"[1-9]\d{6,14}", re.ASCII)
_OLD_MEXICAN = re.compile(r"(?:00)?521(\d{10})", re.ASCII)
"""Until 2019 mobile numbers had a 1 here; WhatsApp's own IDs may still have it."""


def parse_phone_number(text: str, country: str | None) -> str | None:
    """Return the digits in international format, None if the number isn't clear.

    `country` is that of the home, such as DE: it tells what numbers without a country
    code mean. Without it they are not clear.
    """
    text = plain_text(text)
    if _FLOAT.fullmatch(text):
        text = text.removesuffix(".0")
    if text.endswith(".0"):
        # the 0 may be the extension of a switchboard
        return None
    if len(text) > MAX_LENGTH or not _WRITTEN.fullmatch(text):
        return None
    if _DECIMAL.fullmatch(text) or _is_list(text):
        return None
    digits = _digits_in(text)
    found = _number_in(text, digits, country)
    return found if found and _has_all_digits(digits, found) else None


def _number_in(text: str, digits: str, country: str | None) -> str | None:
    if "+" in text:
        without_zero = _digits_in(_OPTIONAL_ZERO.sub("", text))
        return _single({_international(digits), _valid(f"+{without_zero}")})
    if digits.startswith("0"):
        return _with_zero(digits, country)
    if _OPTIONAL_ZERO.search(text):
        # digits before it are a country code, which may be an area code of the home
        return None
    if "(" in text:
        return _with_brackets(text, digits, country)
    return _only_digits(digits, country)


def plain_text(text: str) -> str:
    """Return a text without invisible characters, and with plain digits and signs."""
    return "".join(map(_plain, text)).strip()


def example_of(country: str | None) -> str:
    """Return a phone number of a country, as people should enter it."""
    example = country and example_number_for_type(country, PhoneNumberType.MOBILE)
    return (
        format_number(example, PhoneNumberFormat.INTERNATIONAL)
        if example
        else FICTIONAL
    )


def _plain(sign: str) -> str:
    category = unicodedata.category(sign)
    if category in INVISIBLE:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(sign))
    if category == "Pd" or sign == MINUS:
        return "-"
    # a raised 2 is a footnote and no digit
    return sign if category == "No" else unicodedata.normalize("NFKC", sign)


def _digits_in(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_list(text: str) -> bool:
    """Return whether a slash separates numbers, such as `555 0150/51`.

    After an area code there are more digits than before.
    """
    before, slash, after = _OPTIONAL_ZERO.sub("", text).rpartition("/")
    prefix = _digits_in(before).removeprefix("00")
    return bool(slash) and len(prefix) >= len(_digits_in(after))


def _has_all_digits(digits: str, found: str) -> bool:
    """Return whether a number that was found has all digits that were entered.

    The library drops digits that it takes for those of a national prefix or a carrier.
    """
    number = parse(f"+{found}")
    national = national_significant_number(number)
    with_zero = f"{number.country_code}0{national}"
    written = _digits_in(format_number(number, PhoneNumberFormat.NATIONAL))
    if digits in {found, with_zero, national, f"0{national}", written}:
        return True
    if (old := _OLD_MEXICAN.fullmatch(digits)) and old[1] == national:
        return True
    # what is dialled before a country code
    return digits.startswith("0") and digits.endswith((found, with_zero))


def _international(digits: str) -> str | None:
    """Return the digits of a number that surely begins with a country code.

    It need not be valid in the numbering plan: WhatsApp knows numbers that no longer
    are, such as Brazilian ones without the 9.
    """
    if not _INTERNATIONAL.fullmatch(digits):
        return None
    if old := _OLD_MEXICAN.fullmatch(digits):
        digits = f"52{old[1]}"
    if (number := _parse(f"+{digits}")) is None:
        return None
    if number.italian_leading_zero and not is_valid_number(number):
        # a 0 that is only dialled within the country
        return _valid(f"+{number.country_code}{number.national_number}")
    return _e164(number)


def _with_zero(digits: str, country: str | None) -> str | None:
    """Return what is dialled with a 0 at home: 00 is the + of most countries."""
    found = {_valid(digits, country)}
    if digits.startswith("00"):
        found.add(_international(digits[2:]))
    return _single(found)


def _as_written(digits: str, country: str | None) -> str | None:
    """Return a number of the home if people there write it with these digits."""
    number = _parse(digits, country)
    if number is None or not is_valid_number(number):
        return None
    national = format_number(number, PhoneNumberFormat.NATIONAL)
    written = digits in {_digits_in(national), _e164(number)}
    return _e164(number) if written else None


def _with_brackets(text: str, digits: str, country: str | None) -> str | None:
    """Return a number of the home, unless it may begin with a country code."""
    national = _as_written(digits, country)
    if national is None or _valid(f"+{digits}") in {None, national}:
        return national
    usual = format_number(parse(f"+{national}"), PhoneNumberFormat.NATIONAL)
    groups, abroad = _GROUP.findall(text), parse(f"+{digits}")
    has_code = groups[0] == str(abroad.country_code) and number_type(abroad) in MOBILE
    return national if groups == _GROUP.findall(usual) and not has_code else None


def _only_digits(digits: str, country: str | None) -> str | None:
    """Return a number that begins with its country code, or is one of the home."""
    international = _international(digits)
    valid = international and _valid(f"+{international}")
    national = _as_written(digits, country)
    if valid is None and national is None:
        possible = _parse(digits, country)
        is_national = possible is not None and _e164(possible) != international
        long_enough = len(digits) > NATIONAL_LENGTH
        return international if long_enough and not is_national else None
    if valid and national is None:
        national = _without_zero(digits, country)
    return _single({valid, national})


def _without_zero(digits: str, country: str | None) -> str | None:
    """Return a mobile number of the home whose leading 0 was lost."""
    number = _parse(digits, country)
    lost = number and is_valid_number(number) and number_type(number) in MOBILE
    return _e164(number) if number and lost else None


def _single(found: set[str | None]) -> str | None:
    """Return the only number, None if there is none or more than one."""
    numbers = found - {None}
    return numbers.pop() if len(numbers) == 1 else None


def _valid(text: str, country: str | None = None) -> str | None:
    number = _parse(text, country)
    return _e164(number) if number and is_valid_number(number) else None


def _parse(text: str, country: str | None = None) -> PhoneNumber | None:
    """Return a number whose length is possible."""
    with suppress(NumberParseException):
        number = parse(text, country)
        if is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE:
            return number
    return None


def _e164(number: PhoneNumber) -> str:
    return format_number(number, PhoneNumberFormat.E164).removeprefix("+")
