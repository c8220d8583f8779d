"""The rules of articles: slugs, what state a text is in, when a translation is behind, what changed. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum

from plugin.kernel.text import harmless

LONGEST_SLUG = 80
RESERVED = frozenset({"c", "search", "sitemap", "feedback"})
"""Words that mean something else in an address of the help centre."""

_MARKS = re.compile("[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u200b-\u200f\u202a-\u202e\u2060-\u2069]+")
_BETWEEN = re.compile(r"[\W_]+")


def slug(title: str, taken: Collection[str] = ()) -> str:
    """The part of an address that names an article: its title's own letters, in its own script.

    Points, vowel signs and accents go, so that it can be typed; `taken` ones get a number. Never empty.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", harmless(title)).casefold())
    text = "".join(sign for sign in _MARKS.sub("", text) if not "\u0300" <= sign <= "\u036f")
    base = _BETWEEN.sub("-", unicodedata.normalize("NFC", text)).strip("-")[:LONGEST_SLUG].strip("-") or "article"
    if base not in taken and base not in RESERVED:
        return base
    number = 2
    while (tried := f"{base[: LONGEST_SLUG - 6].strip('-')}-{number}") in taken:
        number += 1
    return tried


class State(StrEnum):
    """What shoppers see of a text. `changed`: they see an earlier version than the latest."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a text is: its latest version, the one that shoppers see (None: none), the source's it was made from."""

    version: int
    published: int | None = None
    publish_at: datetime | None = None
    source_version: int = 0

    @property
    def state(self) -> State:
        """Scheduled counts only until it is out."""
        if self.publish_at is not None:
            return State.SCHEDULED
        if self.published is None:
            return State.DRAFT
        return State.PUBLISHED if self.published == self.version else State.CHANGED

    @property
    def counts(self) -> int:
        """The version that translations are measured by: what shoppers see, before that the latest."""
        return self.published if self.published is not None else self.version


def outdated(text: Standing, source: Standing | None) -> bool:
    """Whether a translation was made from an earlier version of its source than the one that counts."""
    return source is not None and text.source_version < source.counts


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a line: `=` stayed, `-` went, `+` came."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference; of a changed line the words that differ are told apart."""

    sign: str
    pieces: Sequence[Piece]


_WORDS = re.compile(r"\s+|[^\s]+")
_NEAR = 2
MOST_LINES = 4_000
"""Lines that are compared: what is longer is no article."""


def difference(before: str, after: str) -> list[Line]:
    """What changed between two texts, line by line, with two unchanged lines around; `…` stands for the others."""
    old, new = before.splitlines()[:MOST_LINES], after.splitlines()[:MOST_LINES]
    lines: list[Line] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line("=", [Piece("=", text)]) for text in old[a:b]]
        elif kind == "replace" and b - a == d - c:
            for gone, come in zip(old[a:b], new[c:d], strict=True):
                lines += _changed(gone, come)
        else:
            lines += [Line("-", [Piece("-", text)]) for text in old[a:b]]
            lines += [Line("+", [Piece("+", text)]) for text in new[c:d]]
    return list(_near(lines))


def _changed(gone: str, come: str) -> Iterator[Line]:
    old, new = _WORDS.findall(gone), _WORDS.findall(come)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    out = [Piece("=" if kind == "equal" else "-", "".join(old[a:b])) for kind, a, b, _c, _d in codes if b > a]
    into = [Piece("=" if kind == "equal" else "+", "".join(new[c:d])) for kind, _a, _b, c, d in codes if d > c]
    yield Line("-", out)
    yield Line("+", into)


def _near(lines: Sequence[Line]) -> Iterator[Line]:
    shown = {
        at + step
        for at, line in enumerate(lines)
        if line.sign != "="
        for step in range(-_NEAR, _NEAR + 1)
    }  # fmt: skip
    skipped = False
    for at, line in enumerate(lines):
        if at in shown:
            skipped = False
            yield line
        elif not skipped:
            skipped = True
            yield Line("…", [Piece("=", "…")])
