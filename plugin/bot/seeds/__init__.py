"""Phrasings of the usual topics of a shop, one file a topic, in every variety that shoppers write (docs/bot.md)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIETIES = ("en", "ar", "ar-gulf", "ar-egypt", "ar-levant", "ar-maghreb", "ar-latin", "he")
"""English; standard, Gulf, Egyptian, Levantine, Maghrebi Arabic; Arabic in Latin letters; Hebrew."""

LANGUAGES = ("en", "ar", "he")
LEAST = 8
"""Phrasings of each variety."""

NEEDS = frozenset({"order", "proof", "email", "phone", "date", "product"})


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the pack: its name in each language, what cannot be answered without, and its phrasings by variety."""

    id: str
    title: dict[str, str]
    needs: tuple[str, ...]
    phrasings: dict[str, tuple[str, ...]]

    def examples(self) -> Iterator[tuple[str, str]]:
        """Every title and phrasing with its language."""
        yield from ((title, language) for language, title in self.title.items())
        for variety, lines in self.phrasings.items():
            yield from ((line, variety.partition("-")[0]) for line in lines)

    def articles(self) -> Iterator[dict[str, object]]:
        """One article a language, as `ahlan bot evaluate` takes them: what a store has before it has written any."""
        for language, title in self.title.items():
            own = [line for line, spoken in self.examples() if spoken == language and line != title]
            yield {"id": self.id, "title": title, "body": "", "language": language, "phrasings": own}


class BadSeed(ValueError):
    """A file of the pack that cannot be used: which, and why."""


def read(path: Path) -> Topic:
    """One file. Raises BadSeed."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSeed(f"{path.name}: {error}") from error
    if data.get("id") != path.stem:
        raise BadSeed(f"{path.name}: its id must be {path.stem!r}, like the file.")
    if unknown := set(data) - {"id", "title", "needs", "phrasings"}:
        raise BadSeed(f"{path.name}: {sorted(unknown)[0]!r} is not known.")
    title, needs = data.get("title", {}), data.get("needs", [])
    if set(title) != set(LANGUAGES) or not all(isinstance(one, str) and one.strip() for one in title.values()):
        raise BadSeed(f"{path.name}: it needs a title in each of {', '.join(LANGUAGES)}.")
    if unknown := set(needs) - NEEDS:
        raise BadSeed(f"{path.name}: {sorted(unknown)[0]!r} cannot be needed.")
    if unknown := set(data.get("phrasings", {})) - set(VARIETIES):
        raise BadSeed(f"{path.name}: {sorted(unknown)[0]!r} is no variety.")
    phrasings = {
        variety: tuple(line.strip() for line in text.splitlines() if line.strip())
        for variety, text in data.get("phrasings", {}).items()
    }
    for variety in VARIETIES:
        lines = phrasings.get(variety, ())
        if len(lines) < LEAST:
            raise BadSeed(f"{path.name}: {variety} has {len(lines)} phrasings, fewer than {LEAST}.")
        if len(set(lines)) < len(lines):
            raise BadSeed(f"{path.name}: {variety} has a phrasing twice.")
    return Topic(path.stem, title, tuple(needs), phrasings)


@cache
def pack() -> tuple[Topic, ...]:
    """The topics that come with the product, by id. Raises BadSeed."""
    return tuple(read(path) for path in sorted(Path(__file__).parent.glob("*.toml")))
