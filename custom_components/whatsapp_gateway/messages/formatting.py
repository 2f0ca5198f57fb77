"""Bring the text of a message into the form that WhatsApp shows.

WhatsApp has marks of its own: `*bold*`, `_italic_`, `~struck~` and code in backticks.
It doesn't know headings and links with a text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import re
from typing import TYPE_CHECKING

from ..texts import invalid, without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH = 65_536
"""Number of characters that a message of WhatsApp may have."""
BOLD, ITALIC, STRUCK = "*", "_", "~"
BOTH = 3
"""Number of signs around a text that is bold and italic."""
KEPT = "\ue000"
"""Stands for a part of the text that isn't changed, such as code."""
_LINK_TARGET = r"(?:[A-Za-z][A-Za-z0-9+.-]*://|mailto:|tel:|www\.|/)"
_PARTS = re.compile(
    rf"""
    # code: a block, a block without an end, or a span in a paragraph
    (?:^[ ]{{0,3}})?(?<!`)(?P<fence>`{{3,}})(?!`).*?(?P=fence)`*
    | ^[ ]{{0,3}}`{{3,}}.*
    | (?<!`)(?P<ticks>`{{1,2}})(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)
    # a sign that a backslash keeps from being a mark
    | \\[*_~`\[\]<]
    # a link, whose text may have brackets, and a picture
    | !?\[(?P<label>(?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]
      \(\s*<?(?P<target>{_LINK_TARGET}(?:[^\s()<>]|\([^\s()<>]*\))*)>?
      (?P<title>\s+"[^"\n]*")?\s*\)
    | <(?P<autolink>(?:https?://|mailto:)[^\s<>]+)>
    # an address, without what ends the sentence or the mark around it
    | (?:https?://|www\.)[^\s<>`]*[^\s<>`*_~.,:;!?'"()\[\]]
    | {KEPT}
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>\S.*)")
_OWN_BLOCK = re.compile(r"[ \t]*(?:$|(?:[-*+>]|\d{1,9}[.)])[ \t])")
"""How a line starts that doesn't continue the paragraph before it."""
_SIGNS = re.compile(r"\*+|_+|~+|(?<![ \t])[ \t]*\n[ \t]*")
_MARKS = {"*", "**", "***", "_", "__", "___", "~~"}
"""Signs that may be marks; a single `~` is one of WhatsApp already."""
_KINDS = {"**": BOLD, "__": BOLD, "*": ITALIC, "_": ITALIC, "~~": STRUCK}
"""WhatsApp's marks by those of Markdown."""


def check_text(*texts: str) -> None:
    """Raise a translated error if a text can't be sent as it is."""
    for text in texts:
        if len(text) > MAX_LENGTH:
            raise invalid("message_too_long", max_length=str(MAX_LENGTH))
        try:
            text.encode()
        except UnicodeEncodeError:
            # the text of the original error contains the message
            raise invalid("invalid_characters") from None


def is_blank(text: str) -> bool:
    """Return whether people see nothing of a text."""
    return not without_invisible(text).strip()


def with_title(title: str | None, text: str) -> str:
    """Return a text below its title, which is one line in bold."""
    title = to_whatsapp(" ".join((title or "").split())).replace(BOLD, "").strip()
    return text if is_blank(title) else f"{BOLD}{title}{BOLD}\n{text}"


def to_whatsapp(text: str) -> str:
    """Return a text with the marks of Markdown replaced by those of WhatsApp."""
    kept: list[str] = []
    blocks = _blocks(_without_kept(text.replace("\r\n", "\n"), kept))
    parts = iter(kept)
    return re.sub(KEPT, lambda _: next(parts), "\n".join(map(_converted, blocks)))


def _without_kept(text: str, kept: list[str]) -> str:
    """Return a text with placeholders for the parts that are kept, in their order."""

    def replace(match: re.Match[str]) -> str:
        address = match["target"] or match["autolink"]
        if address is None:
            kept.append(match[0])
            return KEPT
        address = address.removeprefix("mailto:")
        label = (match["label"] or "").strip()
        if label.rstrip("/") in {"", *_names_of(address)}:
            kept.append(address)
            return KEPT
        label = _without_kept(label, kept)
        kept.append(address)
        title = _without_kept(match["title"] or "", kept)
        return f"{label} ({KEPT}{title})"

    return _PARTS.sub(replace, text)


def _names_of(address: str) -> set[str]:
    """Return the texts that are an address, with and without its beginning."""
    address = address.rstrip("/")
    return {address, address.partition("://")[2], address.partition("://www.")[2]}


def _blocks(text: str) -> Iterator[str]:
    """Yield the parts of a text that marks don't reach across."""
    block: list[str] = []
    for line in text.split("\n"):
        is_heading = _HEADING.fullmatch(line) is not None
        if block and (is_heading or _OWN_BLOCK.match(line)):
            yield "\n".join(block)
            block = []
        if is_heading:
            yield line
        else:
            block.append(line)
    if block:
        yield "\n".join(block)


def _converted(block: str) -> str:
    """Return a paragraph or a heading with WhatsApp's marks."""
    if (heading := _HEADING.fullmatch(block)) is None:
        return _Marks(block).converted()
    title = heading["title"].rstrip()
    start, _, end = title.rpartition(" ")
    if not end.strip("#"):
        # a heading may also end with these signs
        title = start
    title = _Marks(title, in_bold=True).converted().strip(f"{BOLD} \t")
    return f"{BOLD}{title}{BOLD}" if title else block


@dataclass(slots=True)
class _Run:
    """Equal signs in a row, which may close marks and open others."""

    start: int
    sign: str
    length: int
    """Number of signs without a counterpart."""
    closing: list[str] = field(default_factory=list)
    """The marks of Markdown that it closes, in order."""
    opening: list[str] = field(default_factory=list)
    """The marks of Markdown that it opens, in order."""
    holds_bold: bool = False
    """Whether there is bold text in what it opens."""


class _Marks:
    """The marks in one paragraph.

    They stand at the edges of words, so `a__b__c`, `2**3**4` and `/__init__` have none.
    """

    def __init__(self, text: str, *, in_bold: bool = False) -> None:
        """Find the pairs of marks."""
        self._text = text
        self._in_bold = in_bold
        self._runs: dict[int, _Run] = {}
        self._open: list[_Run] = []
        self._waiting: Counter[tuple[str, int]] = Counter()
        """Number of open runs by their sign and length."""
        self._last_bold = -1
        """Where the last bold text starts."""
        for match in _SIGNS.finditer(text):
            if match[0] in _MARKS:
                self._add(match)

    def _add(self, match: re.Match[str]) -> None:
        """Close what a run can close, and open the rest."""
        before = self._text[max(match.start() - 1, 0) : match.start()]
        after = self._text[match.end() : match.end() + 1]
        run = _Run(match.start(), match[0][0], len(match[0]))
        self._runs[run.start] = run
        if before.strip(" \t\n([{") and not after.isalnum():
            while run.length and (opener := self._opener_of(run)):
                self._pair(opener, run)
        is_name = run.sign == ITALIC and before in {"/", "."}
        starts = after.strip(" \t\n)]}") and not before.isalnum() and not is_name
        if run.length and starts:
            self._put(run)

    def _put(self, run: _Run) -> None:
        self._open.append(run)
        self._waiting[run.sign, run.length] += 1

    def _opener_of(self, run: _Run) -> _Run | None:
        """Return the open run that a run closes, and forget those in between."""
        # `**` and `*` are no pair
        lengths = {1, 2, BOTH} if run.length == BOTH else {run.length, BOTH}
        if not any(self._waiting[run.sign, length] for length in lengths):
            return None
        while True:
            opener = self._open.pop()
            self._waiting[opener.sign, opener.length] -= 1
            if opener.sign == run.sign and opener.length in lengths:
                return opener

    def _pair(self, opener: _Run, closer: _Run) -> None:
        """Note a pair of marks; three signs are italic text in bold text."""
        length = min(opener.length, closer.length)
        length = 1 if length == BOTH else length
        opener.length -= length
        closer.length -= length
        mark = opener.sign * length
        opener.opening.insert(0, mark)
        closer.closing.append(mark)
        if mark in {"**", "__"}:
            self._last_bold = max(self._last_bold, opener.start)
        elif mark != "~~":
            opener.holds_bold = self._last_bold >= opener.start
        if opener.length:
            self._put(opener)

    def converted(self) -> str:
        """Return the text with WhatsApp's marks."""
        writer = _Writer(in_bold=self._in_bold)
        end = 0
        for match in _SIGNS.finditer(self._text):
            writer.write(self._text[end : match.start()])
            end = match.end()
            if (run := self._runs.get(match.start())) is not None:
                writer.write_run(run)
            elif "\n" in match[0]:
                writer.break_line(match[0])
            else:
                writer.write(match[0])
        writer.write(self._text[end:])
        return writer.text


class _Writer:
    """Write a paragraph with WhatsApp's marks, which don't reach across lines."""

    def __init__(self, *, in_bold: bool) -> None:
        """Start with an empty text."""
        self._parts: list[str] = []
        self._depth = Counter({BOLD: int(in_bold)})
        """Number of open marks of each kind."""
        self._active: list[tuple[str, str]] = []
        """The kind of each open mark, and how it is written."""
        self._repeated: list[str] = []
        """The open marks that each line needs."""

    @property
    def text(self) -> str:
        """What has been written."""
        return "".join(self._parts)

    def write(self, text: str) -> None:
        """Write a text as it is."""
        self._parts.append(text)

    def write_run(self, run: _Run) -> None:
        """Write the marks that a run closes and opens, and what is left of it."""
        for _ in run.closing:
            self._close()
        self.write(run.sign * run.length)
        for mark in run.opening:
            self._open(mark, holds_bold=run.holds_bold)

    def break_line(self, text: str) -> None:
        """Write a line break with the blanks around it, and the marks around these."""
        self._parts += [*reversed(self._repeated), text, *self._repeated]

    def _open(self, mark: str, *, holds_bold: bool) -> None:
        """Open a mark; one that is open already isn't written again."""
        kind = _KINDS[mark]
        if kind == ITALIC and not holds_bold and not self._depth[BOLD]:
            # this may be a mark of WhatsApp
            kind, written = "", mark
        else:
            written = "" if self._depth[kind] else kind
        self._depth[kind] += 1
        self._active.append((kind, written))
        if kind and written:
            self._repeated.append(written)
        self.write(written)

    def _close(self) -> None:
        """Close the mark that was opened last."""
        kind, written = self._active.pop()
        self._depth[kind] -= 1
        if kind and written:
            self._repeated.pop()
        self.write(written)
