"""What a text is found by: words in one spelling, their stems, and where they stand. Pure.

The index and the question go through the same functions. A word is kept as it stands, so that its beginning finds it,
and as a stem behind a `~`, so that its other forms do: Arabic through Snowball's stemmer after its articles and
particles, Hebrew without its prefixes and commonest endings, Latin letters through Snowball's English one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import Stemmer

from plugin.kernel.text import search_key

LONGEST = 48
"""Characters of a word that count: what is longer is no word that anybody types."""

# From so many letters on, the beginning of a word finds it: three are most of an Arabic or Hebrew word, and "the".
_PREFIX, _PREFIX_LATIN = 3, 4

MOST = 8
"""Words of a question that count."""

_ARABIC = re.compile("[\u0620-\u06ff]")
_HEBREW = re.compile("[\u05d0-\u05ea]")
_LATIN = re.compile("[a-z]+")

# Stemmers keep a buffer of their own and are asked from one thread; the cache below is what makes them fast.
_arabic = Stemmer.Stemmer("arabic", 0)
_english = Stemmer.Stemmer("english", 0)

# The article with what is written onto it; `search_key` has folded the forms of alef already.
_ARTICLES = ("وبال", "وال", "فال", "بال", "كال", "ولل", "لل", "ال")
_ARABIC_ENDINGS = ("ات", "ه", "ت", "ا", "ي")
# ve-, ha-, be-, ke-, le-, me-, she- and how they stand together.
_HEBREW_PREFIX = re.compile("ו?(?:לכש|כש|מש|ש)?[בכלמ]?ה?")
_HEBREW_ENDINGS = ("ות", "ימ", "ה", "ת", "י")


@lru_cache(maxsize=65_536)
def tokens(chunk: str) -> tuple[str, ...]:
    """The words of a piece of text without blanks, in search spelling; one from most, more from an address."""
    return tuple(word[:LONGEST] for word in search_key(chunk).split())


def words(text: str) -> list[str]:
    """The words of a text in their order, in search spelling."""
    # Folding knows nothing across blanks, so pieces may be folded one by one, and each only once.
    return [word for chunk in text.split() for word in tokens(chunk)]


@lru_cache(maxsize=65_536)
def stems(word: str) -> tuple[str, ...]:
    """What the other forms of a word in search spelling share with it; the word itself when that is all."""
    if _ARABIC.match(word):
        return (_arabic_stem(word),)
    if _HEBREW.match(word):
        return tuple(dict.fromkeys(_without_ending(bare) for bare in _hebrew_bare(word)))
    if _LATIN.fullmatch(word):
        return (str(_english.stemWord(word)),)
    return (word,)


def _arabic_stem(word: str) -> str:
    for article in _ARTICLES:
        if word.startswith(article) and len(word) - len(article) >= 3:
            word = word[len(article) :]
            break
    else:
        # "And" is written onto its word, and is as often the word's own first letter.
        if word.startswith("و") and len(word) >= 5:
            word = word[1:]
    # A final ha may have been a ta marbuta: the stemmer knows that ending only by its own letter.
    stem = str(_arabic.stemWord(f"{word[:-1]}ة" if word.endswith("ه") else word))
    return next(
        (stem.removesuffix(end) for end in _ARABIC_ENDINGS if stem.endswith(end) and len(stem) - len(end) >= 3), stem
    )


def _hebrew_bare(word: str) -> Iterator[str]:
    """The word, and the word without each prefix that it may begin with."""
    yield word
    found = _HEBREW_PREFIX.match(word)
    for cut in range(1, found.end() + 1 if found else 0):
        if len(word) - cut >= 3 and _HEBREW_PREFIX.fullmatch(word[:cut]):
            yield word[cut:]


def _without_ending(word: str) -> str:
    return next(
        (word.removesuffix(end) for end in _HEBREW_ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), word
    )


def kept(word: str) -> Iterator[str]:
    """How a word stands in the index: itself, and each stem that differs from it behind a `~`."""
    yield word
    yield from (f"~{stem}" for stem in stems(word) if stem != word)


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that is asked for: a word, or words that stand side by side (`parts`).

    A single word is found by each form in `exact`, and where `prefix` is set by longer words that begin with it.
    """

    parts: tuple[str, ...]
    exact: frozenset[str] = frozenset()
    prefix: bool = False

    def finds(self, word: str) -> bool:
        """Whether a word in search spelling is found by this single word."""
        return (self.prefix and word.startswith(self.parts[0])) or not self.exact.isdisjoint(_forms(word))


@lru_cache(maxsize=65_536)
def _forms(word: str) -> tuple[str, ...]:
    return tuple(kept(word))


def asked(said: Sequence[str]) -> tuple[Asked, ...]:
    """What words of a person's ask for; one that consists of several (a phrase, an address) asks for all in a row.

    The last word may be unfinished: its first few letters are enough. Numbers are meant as they are.
    """
    found = list(dict.fromkeys(parts for one in said if (parts := tuple(words(one)))))[:MOST]
    return tuple(_one(parts, last=parts == found[-1]) for parts in found)


def _one(parts: tuple[str, ...], *, last: bool) -> Asked:
    if len(parts) > 1:
        return Asked(parts)
    (word,) = parts
    alike = stems(word)
    exact = frozenset((word, *alike, *(f"~{stem}" for stem in alike)))
    enough = _PREFIX_LATIN if word[0].isascii() else _PREFIX
    return Asked(parts, exact, prefix=last and len(word) >= enough and not word.isdigit())


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text, and whether it is what was asked for."""

    text: str
    found: bool = False


_CHUNK = re.compile(r"\S+")


def marked(text: str, questions: Sequence[Asked]) -> list[Piece]:
    """The whole text in pieces, those marked that are asked for: the writer's own letters, points and all."""
    cuts = list(_cuts(text, questions))
    pieces: list[Piece] = []
    done = 0
    for start, end in cuts:
        if start < done:
            continue
        pieces += [Piece(text[done:start]), Piece(text[start:end], found=True)]
        done = end
    pieces.append(Piece(text[done:]))
    return [piece for piece in pieces if piece.text]


def present(text: str, questions: Sequence[Asked]) -> list[bool]:
    """Of each of these whether it stands in the text: what `marked` would mark anything for, the text read once."""
    standing = [word for _start, _end, chunk in _pieces(text) for word in tokens(chunk)]
    different = set(standing)
    return [
        any(question.finds(word) for word in different)
        if len(parts := question.parts) == 1
        else any(tuple(standing[at : at + len(parts)]) == parts for at in range(len(standing) - len(parts) + 1))
        for question in questions
    ]


def _cuts(text: str, questions: Sequence[Asked]) -> list[tuple[int, int]]:
    """(start, end) of everything asked for, in order. Neighbours of one phrase are one stretch."""
    standing = [(word, start, end) for start, end, chunk in _pieces(text) for word in tokens(chunk)]
    found: set[tuple[int, int]] = set()
    for question in questions:
        parts = question.parts
        if len(parts) == 1:
            found |= {(start, end) for word, start, end in standing if question.finds(word)}
            continue
        for first in range(len(standing) - len(parts) + 1):
            row = standing[first : first + len(parts)]
            if tuple(word for word, _start, _end in row) == parts:
                found.add((row[0][1], row[-1][2]))
    return _joined(sorted(found))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches that overlap as one."""
    joined = spans[:1]
    for (_, before), (start, end) in pairwise(spans):
        if start < max(before, joined[-1][1]):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, piece) such that each piece holds one word where that can be told, without what stands around it."""
    for chunk in _CHUNK.finditer(text):
        inside = [found.span() for found in _WORD.finditer(chunk[0])]
        apart = [tokens(chunk[0][start:end]) for start, end in inside]
        if all(len(one) == 1 for one in apart) and sum(apart, ()) == tokens(chunk[0]):
            for start, end in inside:
                yield chunk.start() + start, chunk.start() + end, chunk[0][start:end]
        else:
            yield chunk.start(), chunk.end(), chunk[0]


# A letter or digit with the marks, joiners and abbreviation signs that may stand inside a word.
_WORD = re.compile(
    r"[^\W_](?:[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u00ad\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u2069׳״]|[^\W_]|(?<=[א-ת])[\"'’](?=[א-ת]))*"
)


def excerpt(pieces: Sequence[Piece], *, before: int = 12, length: int = 160) -> list[Piece]:
    """One line: about `before` characters, the first mark, and what follows it up to `length` characters in all."""
    line = [Piece(re.sub(r"\s+", " ", piece.text), piece.found) for piece in pieces]
    first = next((index for index, piece in enumerate(line) if piece.found), 0)
    lead = "".join(piece.text for piece in line[:first])
    if len(lead) > before:
        blank = lead.find(" ", len(lead) - before)
        lead = f"… {lead[blank + 1 if blank >= 0 else len(lead) - before :]}"
    shown = [Piece(lead)] if lead else []
    room = length - len(lead)
    for piece in line[first:]:
        if room <= 0:
            shown.append(Piece("…"))
            break
        text = piece.text
        if len(text) > room:
            blank = text.rfind(" ", 0, room)
            text = f"{text[: blank if blank > 0 else room]} …"
        shown.append(Piece(text, piece.found))
        room -= len(piece.text)
    return shown
