"""Words of each language by which the bot reads a message before any model does: one file a language (docs/bot.md).

Files are read once. What knows a list takes it from all languages together, because shoppers mix them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from plugin.kernel.text import search_key
from plugin.model.masking import spelled

LANGUAGES = ("en", "ar", "ar-latin", "he")
"""English, Arabic, Arabic in Latin letters, Hebrew."""


class Wants(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked about goods."""

    price: str = ""
    stock: str = ""
    compare: str = ""
    cheapest: str = ""
    dearest: str = ""
    choice: str = ""
    restock: str = ""


class Goods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What names no goods."""

    small: str = ""
    units: str = ""


class Pointing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places in a list, what stands around them, and "it"."""

    first: str = ""
    second: str = ""
    third: str = ""
    fourth: str = ""
    last: str = ""
    one: str = ""
    around: str = ""
    it: str = ""


class Questions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How questions begin and go on."""

    also: str = ""
    joined: str = ""
    not_and: str = ""
    openers: str = ""
    goes_on: str = ""
    points: str = ""
    relative: str = ""
    clauses: str = ""
    auxiliaries: str = ""
    unasked: str = ""
    asks: str = ""
    empty: str = ""


class Directions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before a place; `ordinary` and `bare`: what is none, always or where nothing leads to it."""

    to: str = ""
    off: str = ""
    among: str = ""
    articles: str = ""
    kinds: str = ""
    nouns: str = ""
    ordinary: str = ""
    bare: str = ""


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands around an order number, and behind money."""

    names: str = ""
    number: str = ""
    between: str = ""
    currencies: str = ""


class Days(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days by their distance from today."""

    today: str = ""
    yesterday: str = ""
    tomorrow: str = ""
    before_yesterday: str = ""
    after_tomorrow: str = ""


class Manners(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What asks nothing."""

    greetings: str = ""
    thanks: str = ""


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wishes for a person: regular expressions over search spelling, one a line, with their `parts` by name."""

    courier: str = ""
    wishes: str = ""
    calls: str = ""
    parts: dict[str, str] = {}


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language. Lists are entries between commas or new lines, as people type them; what has no words is empty."""

    small: str = ""
    own: str = ""
    prefixes: str = ""
    durations: str = ""
    how_long: str = ""
    wants: Wants = Wants()
    goods: Goods = Goods()
    pointing: Pointing = Pointing()
    questions: Questions = Questions()
    orders: Orders = Orders()
    days: Days = Days()
    manners: Manners = Manners()
    person: Person = Person()
    claims: dict[str, str] = {}
    numbers: dict[str, str] = {}
    directions: Directions = Directions()
    places: dict[str, str] = {}


class BadLexicon(ValueError):
    """A file that cannot be used: which, and why."""


def read(path: Path) -> Lexicon:
    """One file. Raises BadLexicon."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Lexicon)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadLexicon(f"{path.name}: {error}") from error


@cache
def languages() -> Mapping[str, Lexicon]:
    """Every language, by its code. Raises BadLexicon."""
    return {language: read(Path(__file__).parent / f"{language}.toml") for language in LANGUAGES}


def split(listed: str) -> list[str]:
    """The entries of a list, as they were typed."""
    return [entry for one in re.split(r"[,،\n]", listed) if (entry := one.strip())]


def said(of: Callable[[Lexicon], str]) -> list[str]:
    """The entries of one list in all languages, as they were typed."""
    return [entry for one in languages().values() for entry in split(of(one))]


def keys(of: Callable[[Lexicon], str]) -> frozenset[str]:
    """The same in search spelling."""
    return frozenset(map(search_key, said(of)))


def by_name(of: Callable[[Lexicon], Mapping[str, str]]) -> Mapping[str, frozenset[str]]:
    """Each word in search spelling, with the names of the lists that it stands in."""
    found: dict[str, set[str]] = {}
    for one in languages().values():
        for name, listed in of(one).items():
            for entry in split(listed):
                found.setdefault(search_key(entry), set()).add(name)
    return {word: frozenset(names) for word, names in found.items()}


def any_key(of: Callable[[Lexicon], str]) -> str:
    """A pattern for one of these entries in text that is in search spelling, the longest first."""
    return f"(?:{'|'.join(map(re.escape, sorted(keys(of), key=len, reverse=True)))})"


def any_said(of: Callable[[Lexicon], str]) -> str:
    """A pattern for one of these entries as people type it, marks and exchanged letters allowed, the longest first."""
    return f"(?:{'|'.join(map(spelled, sorted(set(said(of)), key=len, reverse=True)))})"


def patterns(of: Callable[[Person], str]) -> re.Pattern[str]:
    """The regular expressions of all languages as one, each with the parts of its own language."""
    unless = rf"(?! {any_key(lambda one: one.person.courier)})"
    found: list[str] = []
    for one in languages().values():
        for line in of(one.person).splitlines():
            for name, part in (*one.person.parts.items(), ("courier", unless)):
                line = line.replace(f"<{name}>", part)
            if line.strip():
                found.append(f"(?:{line})")
    return re.compile("|".join(found))
