"""What people enter as a phone number is understood, or refused, but never mistaken."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    national_significant_number,
)
import pytest

from custom_components.whatsapp_gateway.messages.phone_number import (
    example_of,
    parse_phone_number,
)

REGIONS = sorted(SUPPORTED_REGIONS)
BRITISH, GERMAN, AMERICAN = "447800900123", "4915112345678", "12025550123"
COUNTRIES = (None, "DE", "US", "GB", "BR", "MX", "IT", "CN", "AQ")
HOMES = (None, *REGIONS) if os.environ.get("FULL") else COUNTRIES

INTERNATIONAL = {
    "+44 7800 900123": BRITISH,
    "+447800900123": BRITISH,
    "0044 7800 900123": BRITISH,
    "(0044) 7800 900123": BRITISH,
    "(+44) 7800-900123": BRITISH,
    "+44.7800.900123": BRITISH,
    "+44 (0)7800 900123": BRITISH,
    "+44 ( 0 ) 7800 900123": BRITISH,
    "+44 07800 900123": BRITISH,
    "+49 (0) 151 12345678": GERMAN,
    "+49 0151 12345678": GERMAN,
    "+49 151/12345678": GERMAN,
    "+1 (202) 555-0123": AMERICAN,
    "+1 (0)202 555 0123": AMERICAN,
    # a 0 that belongs to the number, and one that doesn't
    "+39 06 12345678": "390612345678",
    "+39 (0)6 12345678": "390612345678",
    "+39 0347 1234567": "393471234567",
    "+39 (0)347 1234567": "393471234567",
    # a landline with the 0, a mobile phone without it
    "+39 (0)312 3456789": None,
    "+39 0312 3456789": "3903123456789",
    # valid, of old, and as WhatsApp itself writes it
    "+55 31 9 9688-0000": "5531996880000",
    "+55 31 9688-0000": "553196880000",
    "+52 55 3000 0000": "525530000000",
    "+52 1 55 3000 0000": "525530000000",
    # decimal numbers
    "+447800900123.0": BRITISH,
    "+44 7800 900123.0": None,
    "+44 7800 900123.0 ": None,
    "+447800900123.0 ": BRITISH,
    "+447800900123.00": None,
    "+447800900123.5": None,
    "+49 151 12345678.5": None,
    # invisible characters, and digits and signs of other scripts
    "\u202a+44 7800 900123\u202c": BRITISH,
    "\u2068+44\u00a07800\u200b900123\u2069": BRITISH,
    "+44 7800\ufe0f 900123": BRITISH,
    "\uff0b\uff14\uff14 7800 90012\uff13": BRITISH,
    "+\u0664\u0664 \u0667\u0668\u0660\u0660 \u0669\u0660\u0660\u0661\u0662\u0663": (
        BRITISH
    ),
    "+44 7800\u2010900\u2212123": BRITISH,
    "+44 7800 900123\u00b2": None,
    # not one number
    "+44 7800 900123 / +44 7800 900124": None,
    "+44 7800 900123, +44 7800 900124": None,
    "+44 7800 900123\n+44 7800 900124": None,
    "+49 151 1234567/8": None,
    "+49 30 12345/6789": None,
    "+49 30 12345/12346": None,
    "030 1234/030 1235": None,
    "+1 202 555 0123/0124": None,
    "0049 151/12345678": GERMAN,
    "+49 (0)151/12345678": GERMAN,
    "+44 7800 900123 ext 5": None,
    "+44 7800 900123;ext=5": None,
    "+44 7800 900123 Anna": None,
    "tel:+447800900123": None,
    "https://wa.me/447800900123": None,
    "++44 7800 900123": None,
    "44+7800900123": None,
    "-447800900123": None,
    "4.47800900123e11": None,
    "447,800,900,123": None,
    "1-800-FLOWERS": None,
    # zeros that the library drops, and carriers and prefixes
    "690004618": None,
    "+690 004618": None,
    "00690004618": None,
    "+690 4618": "6904618",
    "+55 0 15 31 99688-0000": None,
    "+7 8 912 345-67-89": None,
    "0052 1 55 3000 0000": "525530000000",
    # the country code of France or an Italian network, and so on
    "33 (0)6 12 34 56 78": None,
    "34 (0)612345678": None,
    "32 (0)470 12 34 56": None,
    "36 (0)20 123 4567": None,
    "(33) 6 12 34 56 78": None,
    "(353) 87 123 4567": None,
    # not possible
    "+1 555 0123": None,
    "+44 7800 9001234": None,
    "+0044 7800 900123": None,
    "+999999999999": None,
    "+" + "9" * 16: None,
    "+" + "1" * 60: None,
    "+12345": None,
    "12345": None,
    "1e+16": None,
    "True": None,
    "+": None,
    "": None,
    " ": None,
    "0": None,
    ".0": None,
}
"""What means the same in each home."""

AT_HOME = [
    ("0151 12345678", "DE", GERMAN),
    ("0151/12345678", "DE", GERMAN),
    ("(0151) 12345678", "DE", GERMAN),
    ("0151 12345678.0", "DE", None),
    ("015112345678.0", "DE", GERMAN),
    # the 0 is the extension of a switchboard
    ("+49 40 822260-0", "DE", "49408222600"),
    ("+49 40 822260.0", "DE", None),
    ("+49.40.822260.0", "DE", None),
    ("040 822260.0", "DE", None),
    ("040.822260.0", "DE", None),
    ("+43.1.12345.0", "AT", None),
    (
        "\u0660\u0661\u0665\u0661\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "DE",
        GERMAN,
    ),
    ("0151 12345678", None, None),
    ("0151 12345678", "US", None),
    ("0151 12345678", "AQ", None),
    ("07800 900123", "GB", BRITISH),
    ("06 12 34 56 00", "FR", "33612345600"),
    ("06.12.34.56.00", "FR", "33612345600"),
    ("06 12345678", "IT", "390612345678"),
    ("347 1234567", "IT", "393471234567"),
    ("8 (912) 345-67-89", "RU", "79123456789"),
    ("(31) 99688-0000", "BR", "5531996880000"),
    ("0 31 99688-0000", "BR", "5531996880000"),
    ("222 123 4567", "MX", "522221234567"),
    ("(222) 123 4567", "MX", "522221234567"),
    # brackets without a country code: of the home, or of nobody
    ("(202) 555-0123", "US", AMERICAN),
    ("1 (202) 555-0123", "US", AMERICAN),
    ("(202) 555-0123", None, None),
    ("(202) 555-0123", "GB", None),
    ("(202) 555-0123", "MX", None),
    # a landline in Wuppertal without its 0, a mobile phone without its 0
    ("(202) 555-0123", "DE", None),
    ("202 555-0123", "DE", None),
    ("(781) 555-0123", "GB", None),
    ("781 555-0123", "GB", None),
    ("44 (0)7800 900123", "GB", None),
    ("202 555-0123", "US", AMERICAN),
    ("202 555-0123", None, None),
    # of the home in its usual form, or maybe not
    ("(479) 555-0123", "US", "14795550123"),
    ("(479) 5550123", "US", None),
    ("(11) 91234-5678", "BR", "5511912345678"),
    # of Porto Alegre, or of Peru
    ("(51) 91234-5678", "BR", None),
    # a slash after the area code
    ("0470/12 34 56", "BE", "32470123456"),
    ("030 12345/6789", "DE", None),
    ("0043 664/1234567", "DE", "436641234567"),
    # other ways to dial abroad
    ("011 44 7800 900123", "US", BRITISH),
    ("011 44 7800 900123", "GB", None),
    ("0011 44 7800 900123", "AU", BRITISH),
    ("0049 151 12345678", "US", GERMAN),
    # from Singapore to Norway, or to Canada
    ("001 47 41234567", "SG", None),
    # digits alone begin with the country code
    *((BRITISH, country, BRITISH) for country in COUNTRIES),
    *((f"{BRITISH}.0", country, BRITISH) for country in COUNTRIES),
    *((GERMAN, country, GERMAN) for country in COUNTRIES),
    ("49151 12345678", "DE", GERMAN),
    (AMERICAN, "US", AMERICAN),
    ("5531996880000", "BR", "5531996880000"),
    ("553196880000", "BR", "553196880000"),
    ("553196880000", "GB", "553196880000"),
    ("553196880000", None, "553196880000"),
    ("5215530000000", "MX", "525530000000"),
    ("5215530000000", None, "525530000000"),
    # of Texas, or a German mobile phone; of Chicago, or a Chinese one
    ("15123456789", "DE", None),
    ("15123456789", "US", "15123456789"),
    ("13123456789", "CN", None),
    # of Mexico, or of Brazil
    ("5530000000", "MX", None),
    # a German mobile phone whose 0 is lost, also as YAML reads 015112345670
    ("15112345678", "DE", None),
    ("1763822520", "DE", None),
    # possible in Germany as well
    ("553196880000", "DE", None),
]


@pytest.mark.parametrize(("text", "digits"), INTERNATIONAL.items())
def test_international(text: str, digits: str | None) -> None:
    """A number with a country code is the same in each home."""
    found = {parse_phone_number(text, country) for country in COUNTRIES}
    assert found == {digits}


@pytest.mark.parametrize(("text", "country", "digits"), AT_HOME)
def test_at_home(text: str, country: str | None, digits: str | None) -> None:
    """Other numbers depend on the country of the home."""
    assert parse_phone_number(text, country) == digits


@pytest.mark.parametrize(
    ("country", "example"),
    [
        ("DE", "+49 1512 3456789"),
        ("US", "+1 201-555-0123"),
        ("AQ", "+1 202 555 0123"),
        (None, "+1 202 555 0123"),
    ],
)
def test_example(country: str | None, example: str) -> None:
    """The example in texts is a number of the home, if there is one."""
    assert example_of(country) == example


def test_examples() -> None:
    """Each example is understood."""
    assert all(parse_phone_number(example_of(region), None) for region in REGIONS)


def number_of(region: str, kind: int = PhoneNumberType.MOBILE) -> PhoneNumber:
    """Return a number of a country: one of this kind, if there are any."""
    number = example_number_for_type(region, kind)
    number = number or example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    assert number is not None
    return number


def e164(number: PhoneNumber) -> str:
    """Return a number without separators."""
    return format_number(number, PhoneNumberFormat.E164)


def test_own_country() -> None:
    """A number of the home is understood in each form, and refused if it is unclear."""
    refused = set()
    for region in REGIONS:
        number = number_of(region)
        digits = e164(number).removeprefix("+")
        assert parse_phone_number(digits, region) == digits
        for form in (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL):
            assert parse_phone_number(format_number(number, form), region) == digits
        national = format_number(number, PhoneNumberFormat.NATIONAL)
        found = parse_phone_number(national, region)
        assert found in {digits, None}
        if found is None:
            refused.add(region)
    # their numbers without a country code are also those of North America
    assert refused == {"CN", "CO"}


SEPARATORS = st.sampled_from(["", " ", "-", ".", "\u00a0", "\u202c", "\u2011"])


@given(
    region=st.sampled_from(REGIONS),
    home=st.sampled_from([None, *REGIONS]),
    kind=st.sampled_from([PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE]),
    separator=SEPARATORS,
    end=st.sampled_from(["", ".0", " ", "\u202c"]),
    data=st.data(),
)
def test_never_another(
    region: str,
    home: str | None,
    kind: int,
    separator: str,
    end: str,
    data: st.DataObject,
) -> None:
    """A number of any country is never taken for another one, in any home."""
    number = number_of(region, kind)
    expected = e164(number).removeprefix("+")
    place = data.draw(st.integers(1, len(expected) - 1))
    separated = expected[:place] + separator + expected[place:]
    for start in ("+", "00", ""):
        found = parse_phone_number(f"{start}{separated}{end}", home)
        assert found in {expected, None}
        # a dot may make it a decimal number
        assert found or "." in separator + end or start != "+"
    international = format_number(number, PhoneNumberFormat.INTERNATIONAL)
    found = parse_phone_number(international + end, home)
    assert found == expected or (found is None and end == ".0")
    national = format_number(number, PhoneNumberFormat.NATIONAL)
    assert parse_phone_number(national + end, region) in {expected, None}


def test_brackets() -> None:
    """A country code without a plus is never taken for an area code."""
    for region in REGIONS:
        if example_number_for_type(region, PhoneNumberType.MOBILE):
            check_brackets(number_of(region), (region, *HOMES))


def check_brackets(number: PhoneNumber, homes: tuple[str | None, ...]) -> None:
    """Check that a number with brackets is itself or refused, in each of the homes."""
    expected = e164(number).removeprefix("+")
    code = number.country_code
    plain = national_significant_number(number)
    separated = format_number(number, PhoneNumberFormat.INTERNATIONAL).partition(" ")[2]
    forms = [
        form.format(code, national)
        for form in ("{} (0){}", "{}(0) {}", "({}) {}", "({}){}", "{} ({})", "({} {})")
        for national in (plain, separated)
    ]
    for home in homes:
        for form in forms:
            assert parse_phone_number(form, home) in {expected, None}, (form, home)


@given(text=st.text(max_size=50), country=st.sampled_from([None, *REGIONS]))
def test_anything(text: str, country: str | None) -> None:
    """Any text is a number of possible length, or none."""
    found = parse_phone_number(text, country)
    assert found is None or (found.isdigit() and 7 <= len(found) <= 15)
