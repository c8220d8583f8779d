"""Countries, and regions of them, that a text names in any of our languages as where something goes. Pure.

Countries are known by the names that CLDR has for them; other names of theirs, and cities that shoppers name instead,
stand in the lexicon. Many of them are ordinary words too: they are places only behind a word of direction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TypeAlias

from babel import Locale

from plugin.bot import lexicon
from plugin.kernel.text import search_key

Names: TypeAlias = Mapping[str, frozenset[str]]

_LONGEST = 4
"""Words of a name."""

_TO = lexicon.keys(lambda one: one.directions.to)
_OFF = lexicon.keys(lambda one: one.directions.off)
_AMONG = lexicon.keys(lambda one: one.directions.among)
_ARTICLES = lexicon.keys(lambda one: one.directions.articles)
_ORDINARY = lexicon.keys(lambda one: one.directions.ordinary)
_KINDS = lexicon.keys(lambda one: one.directions.kinds)
_OF_KINDS = frozenset(word for kind in _KINDS for word in kind.split())
_NOUNS = lexicon.keys(lambda one: one.directions.nouns)
_BARE = lexicon.keys(lambda one: one.directions.bare)
# Written onto a name, and what is left of the article behind it.
_JOINED_TO = (("لل", "ال"), ("عال", "ال"), ("ل", ""), ("ب", ""), ("ל", ""), ("ב", ""))
_JOINED_OFF = "מ"
_JOINED_AMONG = ("و", "ו")
_ONTO_KINDS = ("ل", "ب", "ל", "ב")


class _How(Enum):
    """How a place is said: as where something goes, as where it comes from, beside the one before it, or just so."""

    TO = auto()
    OFF = auto()
    AMONG = auto()
    BESIDE = auto()
    BARE = auto()


@dataclass(frozen=True, slots=True)
class _Said:
    name: str
    how: _How


@cache
def _names() -> Names:
    """Names in search spelling, each with the codes of what is called so: عمان is a country and a city of another."""
    found: dict[str, set[str]] = {}
    for language in ("en", "ar", "he"):
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRY:
                found.setdefault(search_key(name), set()).add(code)
    for own in lexicon.languages().values():
        for code, listed in own.places.items():
            for entry in lexicon.split(listed):
                found.setdefault(search_key(entry), set()).add(code)
    return {key: frozenset(codes) for key, codes in found.items()}


_NO_COUNTRY = frozenset({"EU", "EZ", "UN", "ZZ", "QO", "XA", "XB"})


def countries(text: str, home: str = "", own: Mapping[str, Collection[str]] | None = None) -> list[str] | None:
    """ISO codes of the countries that something goes to by a text. Of several that are called so it is `home`, the
    store's own; the regions of `own`, by country, go before countries. None where it may be another, or where one of
    two may be a part of the other, or where something comes from.
    """
    names = {**_names(), **_regions(own or {})}
    found: dict[str, None] = {}
    for said in _said(text, names):
        codes = names[said.name]
        if len(codes) > 1 and home not in codes:
            return None
        code = home if len(codes) > 1 else next(iter(codes))
        if said.how is _How.OFF or (found and said.how is not _How.AMONG and code not in found):
            return None
        if said.how in (_How.TO, _How.AMONG):
            found[code] = None
    return list(found)


def regions(text: str, known: Iterable[str]) -> list[str]:
    """Those of some regions that something goes to by a text."""
    keys = {search_key(name): name for name in known}
    names = {**_names(), **_regions({"": keys.values()})}
    meant = {said.name for said in _said(text, names) if said.how not in (_How.OFF, _How.BARE)}
    return [name for key, name in keys.items() if key in meant]


def _regions(own: Mapping[str, Collection[str]]) -> Names:
    found: dict[str, set[str]] = {}
    for code, names in own.items():
        for name in names:
            found.setdefault(search_key(name), set()).add(code)
    return {key: frozenset(codes) for key, codes in found.items()}


def without(text: str) -> str:
    """A text in search spelling without the places that something goes to by it, and what leads to them."""
    left: list[str] = []
    for words in _lines(text):
        gone: set[int] = set()
        for place in _found(words, _names()):
            if place.said.how in (_How.TO, _How.AMONG, _How.BESIDE):
                begin = place.begin
                while begin and (_leads(words[begin - 1]) or words[begin - 1] in _AMONG):
                    begin -= 1
                gone.update(range(begin, place.end))
        left += [word for at, word in enumerate(words) if at not in gone]
    return " ".join(left)


def _lines(text: str) -> list[list[str]]:
    """The words of each line: what stands at the end of one leads to nothing in the next."""
    return [words for line in text.splitlines() if (words := search_key(line).split())]


def _said(text: str, names: Names) -> Iterator[_Said]:
    for words in _lines(text):
        yield from (place.said for place in _found(words, names))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a line a place is said."""

    begin: int
    end: int
    said: _Said


def _found(words: list[str], names: Names) -> list[_Place]:
    """The places of a line in their order, the longest name where several begin: "South Africa" is not "Africa" too."""
    found: list[_Place] = []
    at = 0
    while at < len(words):
        for length in range(_LONGEST, 0, -1):
            if (said := _at(words, at, length, names)) is not None:
                found.append(_Place(at, at + length, said))
                at += length
                break
        else:
            at += 1
    return _linked(words, found)


def _linked(words: list[str], found: list[_Place]) -> list[_Place]:
    """The same, each with what it is by the one before it."""
    made: list[_Place] = []
    for place in found:
        how, name = place.said.how, place.said.name
        last = made[-1] if made else None
        between = words[last.end : place.begin] if last is not None else []
        directed = last is not None and last.said.how not in (_How.OFF, _How.BARE)
        linked = directed and all(word in _AMONG or _leads(word) for word in between)
        if how is _How.BARE and linked and not between:
            how = _How.BESIDE
        elif how is _How.BARE and _of_noun(words, place, found):
            how = _How.TO
        elif how is _How.AMONG and not linked:
            how = _How.BARE
        elif how is _How.TO and linked and not _AMONG.isdisjoint(between):
            how = _How.AMONG
        made.append(_Place(place.begin, place.end, _Said(name, how)))
    return made


def _of_noun(words: list[str], place: _Place, found: list[_Place]) -> bool:
    """Whether a place is what a delivery is of, as Arabic and Hebrew say it, and nothing but places follows: "توصيل
    السعودية". A word that is an ordinary one too is none."""
    if not place.begin or words[place.begin - 1] not in _NOUNS or place.said.name in _BARE:
        return False
    named = {at for one in found for at in range(one.begin, one.end)}
    return all(at in named or words[at] in _AMONG for at in range(place.end, len(words)))


def _leads(word: str) -> bool:
    """Whether a word stands between a direction and its place, or is one: "to the city of"."""
    return word in _TO or word in _ARTICLES or word in _OF_KINDS or _onto_kind(word) is not None


def _onto_kind(word: str) -> _How | None:
    """The direction that is written onto "city", "state": "لدولة", "בעיר"."""
    for letters in ("", *_JOINED_AMONG):
        rest = word.removeprefix(letters)
        if word.startswith(letters) and rest[1:] in _KINDS:
            if rest[0] == _JOINED_OFF:
                return _How.OFF
            if rest[0] in _ONTO_KINDS:
                return _How.AMONG if letters else _How.TO
    return _How.AMONG if word.startswith(_JOINED_AMONG) and word[1:] in _KINDS else None


def _at(words: list[str], at: int, length: int, names: Names) -> _Said | None:
    """The place that so many words name, with what is written onto the first of them."""
    if at + length > len(words):
        return None
    row = " ".join(words[at : at + length])
    if row in _ORDINARY:
        return None
    behind, onto = _before(words, at)
    before = words[behind - 1] if behind else ""
    off = onto is _How.OFF or before in _OFF or " ".join(words[max(behind - 2, 0) : behind]) in _OFF
    if row in names:
        how = onto or (_How.TO if before in _TO else _How.AMONG if before in _AMONG else _How.BARE)
        return _Said(row, _How.OFF if off else how)
    for letters, how in (("", _How.BARE), *((one, _How.AMONG) for one in _JOINED_AMONG)):
        if not row.startswith(letters):
            continue
        rest = row.removeprefix(letters)
        if letters and rest in names and rest not in _ORDINARY:
            return _Said(rest, _How.OFF if off else how)
        if rest.startswith(_JOINED_OFF) and (name := rest.removeprefix(_JOINED_OFF)) in names:
            return _Said(name, _How.OFF)
        for joined, article in _JOINED_TO:
            name = article + rest.removeprefix(joined)
            if rest.startswith(joined) and rest not in _ORDINARY and name in names and name not in _ORDINARY:
                directed = _How.AMONG if letters else _How.TO
                return _Said(name, _How.OFF if off else directed)
    return None


def _before(words: list[str], at: int) -> tuple[int, _How | None]:
    """Where the articles and the "city of" before a word begin, and the direction that is written onto those."""
    while at:
        if words[at - 1] in _ARTICLES or words[at - 1] in _KINDS:
            at -= 1
        elif " ".join(words[max(at - 2, 0) : at]) in _KINDS:
            at -= 2
        else:
            return at, _onto_kind(words[at - 1])
    return 0, None
