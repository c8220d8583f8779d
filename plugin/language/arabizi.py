"""Arabic in Latin letters and digits ("wen talabi", "3ayez araga3"): recognised by its letters, and made ready. Pure.

What is Arabizi is told by how often pieces of one to four letters stand in it and in everything else that shoppers type
in Latin letters; both are in `latin.toml`, which anybody who speaks a dialect may extend. The commonest words of a shop
are written out from there too; the others are left to the transliteration model.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "latin.toml"
_LENGTHS = range(1, 5)
# One piece that was never seen must not decide alone.
_SMOOTH = 0.5
# Letters of a message that weigh: what comes later repeats what was known.
_MOST = 300
# Log-odds per piece from which on a text is Arabizi: false alarms cost more than a miss.
_SURE = 0.12

_WORD = re.compile(r"[a-zà-öø-ÿ0-9'’]+(?:-[a-zà-öø-ÿ0-9'’]+)*", re.IGNORECASE)
# An order number has a figure like this, and no word of Arabizi.
_NUMBER = re.compile(r"\d{3}|^\d+$")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_DIGIT_LETTER = re.compile(r"[2356789](?=[a-z'])|(?<=[a-z])[2356789]")
# What digits beside letters must not be taken for: sizes, models, codes.
_CODE = re.compile(
    r"\d+(?:x\d+)?[a-z]{0,2}|[a-z]{1,2}\d+|[a-z]+\d{2,}|\d{2,}[a-z]+"
    r"|(?:xx?l|b2b|4k|mp3|gr8|b4|l8r|2day|2morrow)"
)


@dataclass(frozen=True, slots=True)
class _Model:
    odds: dict[str, float]
    words: dict[str, str]
    loans: frozenset[str]


@cache
def _model() -> _Model:
    """Trained from the phrases when it is first asked for; takes a few milliseconds."""
    data = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    loans = frozenset(data["loans"].split())
    arabizi = (" ".join(word for word in _words(line) if word not in loans) for line in data["arabizi"].splitlines())
    counts = [
        Counter(piece for line in lines for piece in _pieces(_words(line)))
        for lines in (arabizi, data["other"].splitlines())
    ]
    seen = set(counts[0]) | set(counts[1])
    totals = [sum(count.values()) + _SMOOTH * len(seen) for count in counts]
    odds = {
        piece: math.log((counts[0][piece] + _SMOOTH) / totals[0]) - math.log((counts[1][piece] + _SMOOTH) / totals[1])
        for piece in seen
    }
    return _Model(odds, data["words"], loans)


def _pieces(words: Iterable[str]) -> list[str]:
    found = []
    for word in words:
        padded = f" {word} "
        for length in _LENGTHS:
            found += [padded[at : at + length] for at in range(len(padded) - length + 1)]
    return found


def _words(text: str) -> list[str]:
    """Words in small letters, stretched ones shortened; numbers and codes are no words."""
    found = map(plain, _WORD.findall(text[:_MOST]))
    return [word for word in found if not _NUMBER.search(word) and not _CODE.fullmatch(word)]


def plain(word: str) -> str:
    """A word in small letters without accents, stretched ones shortened."""
    letters = unicodedata.normalize("NFKD", word.lower().replace("’", "'")).encode("ascii", "ignore").decode()
    return _STRETCHED.sub(r"\1", letters)


def is_arabizi(text: str) -> bool:
    """Whether a text in Latin letters is Arabic."""
    if not text[:_MOST].isascii() and not any(sign.isascii() and sign.isalpha() for sign in text[:_MOST]):
        return False
    model = _model()
    # Words that Arabic borrowed, and every language of a shop has, speak neither for it nor against it.
    pieces = _pieces(word for word in _words(text) if word not in model.loans)
    if not pieces:
        return False
    odds = model.odds
    return sum(odds.get(piece, 0.0) for piece in pieces) / len(pieces) > _SURE


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: `arabic` when it is written out already, None when the model is to do it."""

    text: str
    arabic: str | None


def spelled_out(text: str) -> list[Piece]:
    """The text in parts: known words in Arabic letters, everything that is no Latin word as it stands."""
    words, found, at = _model().words, [], 0
    for match in _WORD.finditer(text):
        if match.start() > at:
            found.append(Piece(text[at : match.start()], text[at : match.start()]))
        at = match.end()
        word = plain(match[0])
        known = words.get(word)
        if known is None and (word.isdigit() or _CODE.fullmatch(word)) and not _DIGIT_LETTER.fullmatch(word):
            known = match[0]
        found.append(Piece(match[0], known))
    if at < len(text):
        found.append(Piece(text[at:], text[at:]))
    return found
