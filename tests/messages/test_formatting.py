"""The texts of messages: Markdown becomes WhatsApp's own form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from custom_components.whatsapp_gateway.messages.formatting import (
    is_blank,
    to_whatsapp,
    with_title,
)

CONVERTED = [
    ("**bold**", "*bold*"),
    ("__bold__", "*bold*"),
    ("~~struck~~", "~struck~"),
    ("***both***", "*_both_*"),
    ("___both___", "*_both_*"),
    ("**_both_**", "*_both_*"),
    ("_**both**_", "_*both*_"),
    ("*__both__*", "_*both*_"),
    ("~~**both**~~", "~*both*~"),
    ("**Door:** open, **Window:** shut", "*Door:* open, *Window:* shut"),
    ("(**a**), **b**!", "(*a*), *b*!"),
    # a mark without its other half is no mark
    ("**Door _2**", "*Door _2*"),
    ("~~Door **2~~", "~Door **2~"),
    # marks in marks
    ("**bold *and* more**", "*bold _and_ more*"),
    ("**bold _and_ more**", "*bold _and_ more*"),
    ("**bold __and__ more**", "*bold and more*"),
    ("*a **b** c*", "_a *b* c_"),
    ("**a *b***", "*a _b_*"),
    ("*a **b***", "_a *b*_"),
    ("***a** b*", "_*a* b_"),
    ("***a* b**", "*_a_ b*"),
    # marks over lines, which WhatsApp doesn't know
    ("**a\nb**", "*a*\n*b*"),
    ("**a  \n  b**", "*a*  \n  *b*"),
    ("**a\r\nb**", "*a*\n*b*"),
    ("**a ~~b\nc~~ d**", "*a ~b~*\n*~c~ d*"),
    # headings
    ("# Title", "*Title*"),
    ("###### Title ##", "*Title*"),
    ("  ## Title\ntext", "*Title*\ntext"),
    ("text\n# C#\ntext", "text\n*C#*\ntext"),
    ("# **Title**", "*Title*"),
    ("# a **b** *c* __d__", "*a b _c_ d*"),
    ("# **unclosed", "*unclosed*"),
    ("# `code`", "*`code`*"),
    ("# [a](https://x.y)", "*a (https://x.y)*"),
    # lists and quotes
    ("* item\n* **b**", "* item\n* *b*"),
    ("- **a**\n1. __b__\n> ~~c~~", "- *a*\n1. *b*\n> ~c~"),
    # links
    ("[text](https://x.y/a)", "text (https://x.y/a)"),
    ("See [a [b]](https://x.y/A_(b)).", "See a [b] (https://x.y/A_(b))."),
    ('[a](<https://x.y> "Title")', 'a (https://x.y "Title")'),
    ("![Door](https://x.y/a.jpg)", "Door (https://x.y/a.jpg)"),
    ("[https://x.y](https://x.y)", "https://x.y"),
    ("[x.y](https://www.x.y/)", "https://www.x.y/"),
    ("[](https://x.y)", "https://x.y"),
    ("[a@x.y](mailto:a@x.y)", "a@x.y"),
    ("[Call](tel:+4912)", "Call (tel:+4912)"),
    ("<https://x.y/__a__>", "https://x.y/__a__"),
    ("[**a** `b`](https://x.y) **c**", "*a* `b` (https://x.y) *c*"),
    ("**[a](https://x.y/__b__)**", "*a (https://x.y/__b__)*"),
    ("**https://x.y/a**", "*https://x.y/a*"),
    # code stays, and what is around it doesn't
    ("`**a**` **b**", "`**a**` *b*"),
    ("``a ` **b**`` **c**", "``a ` **b**`` *c*"),
    ("**run `ls **`**", "*run `ls **`*"),
    ("```\n# a\n\n**b**\n```\n**c**", "```\n# a\n\n**b**\n```\n*c*"),
    ("  ```\n**a**\n  ```\n**b**", "  ```\n**a**\n  ```\n*b*"),
    ("a ``` b **c**", "a ``` b *c*"),
    ("a ` b\n\n**c** `", "a ` b\n\n*c* `"),
    ("\ue000 **a** `\ue000`", "\ue000 *a* `\ue000`"),
    # one end of a pair is missing
    ("**a** b**", "*a* b**"),
    ("~~a **b** c", "~~a *b* c"),
]
KEPT = [
    "",
    "*bold* _it_ ~x~ `code` ```code```",
    "*a\nb* and _c\nd_",
    "snake__case__name",
    "2**3**4 and 2 ** 3 ** 4 and 2*3*4",
    "**kwargs and **more",
    "~~a",
    "**a",
    "**a*",
    "**a\n\nb**",
    "- **a\n- b**",
    "** a **",
    "****",
    "***",
    "Name: ____ (__) and (__)",
    "#1 #x",
    "# ",
    "# ***",
    "####### a",
    "```python\n**a** __b__",
    "a\\**b** \\`**",
    "https://x.y/__a__/~~b~~/**c",
    "handlers[0](event), [1] and (2), a < b > c",
    "/a__b__c ~/.config",
    "custom_components/x/__init__.py",
    "x.__class__.__name__",
]


@pytest.mark.parametrize(("text", "expected"), CONVERTED)
def test_converted(text: str, expected: str) -> None:
    """Marks of Markdown become those of WhatsApp."""
    assert to_whatsapp(text) == expected


@pytest.mark.parametrize("text", KEPT)
def test_kept(text: str) -> None:
    """What isn't Markdown, and WhatsApp's own marks, stay as they are."""
    assert to_whatsapp(text) == text


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (None, "text"),
        ("", "text"),
        ("   ", "text"),
        ("\u200e\n", "text"),
        ("***", "text"),
        (" Door ", "*Door*\ntext"),
        ("two\nlines", "*two lines*\ntext"),
        ("*bold*", "*bold*\ntext"),
        ("**bold**", "*bold*\ntext"),
        ("# Door", "*Door*\ntext"),
        ("Door *5*", "*Door 5*\ntext"),
    ],
)
def test_title(title: str | None, expected: str) -> None:
    """A title is one bold line, and a blank one is none."""
    assert with_title(title, "text") == expected


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200e", "\u200b \ufeff"])
def test_blank(text: str) -> None:
    """A text without visible characters is blank."""
    assert is_blank(text)
    assert not is_blank(f"{text}.")


PIECES = [
    *("a", "b1", "Ä", " ", "\n", "\n\n", "\r\n", ".", "\\", "-", ">", "!", "\ue000"),
    *("*", "**", "***", "_", "__", "~", "~~", "`", "```", "# ", "* ", "1. "),
    *("[", "]", "(", ")", "<", "](https://x.y/z)", "<https://x.y>", "www.b.a/1__1"),
]
"""No text of a link made of these is an address."""


def plain(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, text))


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_nothing_lost(text: str) -> None:
    """Every letter and every line is still there, in its order."""
    converted = to_whatsapp(text)
    assert plain(converted) == plain(text)
    assert converted.count("\n") == text.count("\n")
    assert converted.count("\ue000") == text.count("\ue000")


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text can be converted."""
    to_whatsapp(text)
    with_title(text, text)


@given(st.lists(st.sampled_from(PIECES), min_size=1).map("".join))
def test_code_kept(text: str) -> None:
    """Code stays as it is."""
    code = f"`{text.replace('`', '').replace(chr(10), ' ').replace(chr(13), '')}x`"
    assert to_whatsapp(f"**a** {code} **b**") == f"*a* {code} *b*"


OWN = ["*bold*", "_it_", "~x~", "`a`", "a_b__c", "2*3", "-", "*", "https://x.y/__a__"]


@given(st.lists(st.sampled_from(OWN)).map(" ".join))
def test_own_marks(text: str) -> None:
    """A text with WhatsApp's own marks stays as it is."""
    assert to_whatsapp(text) == text
