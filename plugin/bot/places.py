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
# Written onto a name, and what is left of the article behind it.
_JOINED_TO = (("لل", "ال"), ("عال", "ال"), ("ل", ""), ("ب", ""), ("ל", ""), ("ב", ""))
_JOINED_OFF = "מ"
_JOINED_AMONG = ("و", "ו")


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


def _said(text: str, names: Names) -> Iterator[_Said]:
    """The places of a text in their order, the longest name where several begin: "South Africa" is not "Africa" too."""
    words = search_key(text).split()
    at, last = 0, -1
    directed = False
    while at < len(words):
        found = next(
            (
                (length, said)
                for length in range(_LONGEST, 0, -1)
                if (said := _at(words, at, length, names)) is not None
            ),
            None,
        )
        if found is None:
            at += 1
            continue
        length, said = found
        linked = last >= 0 and all(word in _AMONG or word in _TO or word in _ARTICLES for word in words[last:at])
        if said.how is _How.BARE and linked and directed and last == at:
            said = _Said(said.name, _How.BESIDE)
        elif said.how is _How.AMONG and not (linked and directed):
            said = _Said(said.name, _How.BARE)
        elif said.how is _How.TO and linked and directed and not _AMONG.isdisjoint(words[last:at]):
            said = _Said(said.name, _How.AMONG)
        directed = said.how not in (_How.OFF, _How.BARE)
        yield said
        at += length
        last = at


def _at(words: list[str], at: int, length: int, names: Names) -> _Said | None:
    """The place that so many words name, with what is written onto the first of them."""
    if at + length > len(words):
        return None
    row = " ".join(words[at : at + length])
    if row in _ORDINARY:
        return None
    behind = at
    while behind and words[behind - 1] in _ARTICLES:
        behind -= 1
    before = words[behind - 1] if behind else ""
    off = before in _OFF or " ".join(words[max(behind - 2, 0) : behind]) in _OFF
    if row in names:
        how = _How.TO if before in _TO else _How.AMONG if before in _AMONG else _How.BARE
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
