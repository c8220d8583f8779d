"""Countries, and regions of them, that a text names in any of our languages. Pure.

Countries are known by the names that CLDR has for them; other names of theirs, and cities that shoppers name instead,
stand in the lexicon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from babel import Locale

from plugin.bot import lexicon
from plugin.kernel.text import search_key

_LONGEST = 4
"""Words of a name."""

_ARTICLES = ("ال", "ה")
# "To", "in", "from", and the article with them, as they are written onto a name.
_JOINED = ("ولل", "وال", "بال", "لل", "ال", "ول", "وب", "ل", "ب", "و", "ה", "ל", "ב", "מ", "ול", "וב", "לה", "בה")


@cache
def _names() -> Mapping[str, frozenset[str]]:
    """Names in search spelling, each with the codes of what is called so: عمان is a country and a city of another."""
    found: dict[str, set[str]] = {}
    for language in ("en", "ar", "he"):
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRY:
                for key in _spelled(name):
                    found.setdefault(key, set()).add(code)
    for own in lexicon.languages().values():
        for code, listed in own.places.items():
            for entry in lexicon.split(listed):
                for key in _spelled(entry):
                    found.setdefault(key, set()).add(code)
    return {key: frozenset(codes) for key, codes in found.items()}


_NO_COUNTRY = frozenset({"EU", "EZ", "UN", "ZZ", "QO", "XA", "XB"})


def _spelled(name: str) -> Iterator[str]:
    key = search_key(name)
    yield key
    for article in _ARTICLES:
        if key.startswith(article) and len(key) > len(article) + 2:
            yield key.removeprefix(article)


def countries(text: str, home: str = "") -> list[str] | None:
    """ISO codes of the countries that a text names. Of several that are called so it is `home`, the store's own; None
    where it may be another.
    """
    names = _names()
    found: dict[str, None] = {}
    for said in _said(text):
        codes = names.get(said, frozenset())
        if len(codes) > 1 and home not in codes:
            return None
        if codes:
            found[home if len(codes) > 1 else next(iter(codes))] = None
    return list(found)


def regions(text: str, known: Iterable[str]) -> list[str]:
    """Those of some regions that a text names."""
    said = set(_said(text))
    return [name for name in known if not said.isdisjoint(_spelled(name))]


def _said(text: str) -> Iterator[str]:
    """Every row of words of a text that may be a name, the longest first, also without what is written onto it."""
    words = search_key(text).split()
    taken: set[int] = set()
    names = _names()
    for length in range(_LONGEST, 0, -1):
        for at in range(len(words) - length + 1):
            if taken.intersection(range(at, at + length)):
                continue
            row = " ".join(words[at : at + length])
            for one in (row, *(row.removeprefix(joined) for joined in _JOINED if row.startswith(joined))):
                if len(one) > 1:
                    yield one
                if one in names:
                    # "South Africa" is not "Africa" too.
                    taken.update(range(at, at + length))
                    break
