"""What was meant by few words: an offered choice, "the second one", "it". Pure.

A choice counts when it is said as it was offered, by its number, or by its place. "It" is what was shown last, and only
where the question names nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plugin.bot import lexicon
from plugin.kernel.text import search_key

LAST = -1


_ORDINALS: Mapping[int, frozenset[str]] = {
    0: lexicon.keys(lambda one: one.pointing.first),
    1: lexicon.keys(lambda one: one.pointing.second),
    2: lexicon.keys(lambda one: one.pointing.third),
    3: lexicon.keys(lambda one: one.pointing.fourth),
    LAST: lexicon.keys(lambda one: one.pointing.last),
}
_ONE = lexicon.keys(lambda one: one.pointing.one)
_AROUND = lexicon.keys(lambda one: one.pointing.around)
_IT = lexicon.keys(lambda one: one.pointing.it)
_MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that was offered: its words, and what it leads to (`topic:…`, `article:…`, `order:…`, `person`)."""

    text: str
    to: str


def chosen(text: str, choices: Sequence[Choice], older: Sequence[Choice] = ()) -> str | None:
    """What a message chooses; None when it is a question of its own.

    `choices` were offered last: they may be meant by their place. `older` ones only by their very words.
    """
    said = search_key(text)
    for one in (*choices, *older):
        if said and search_key(one.text) == said:
            return one.to
    at = place(text, len(choices))
    return choices[at].to if at is not None else None


def place(text: str, count: int) -> int | None:
    """Which of `count` things a short message means by number or place; None when none, or it says more than that."""
    words = search_key(text).split()
    if not count or not words or len(words) > _MOST_WORDS:
        return None
    words = [word for word in words if word not in _AROUND]
    if len(words) == 1 and words[0].isdigit():
        at = int(words[0][:3]) - 1
        return at if 0 <= at < count else None
    named = [at for word in words for at, known in _ORDINALS.items() if word in known]
    rest = [word for word in words if not any(word in known for known in _ORDINALS.values())]
    named = sorted(set(named), key=lambda at: at != 0)
    if not named or rest:
        return None
    # "The second one": "one" counts the first only where it stands alone.
    at = named[-1] if len(named) > 1 else named[0]
    at = count - 1 if at == LAST else at
    return at if at < count else None


def picked(text: str, count: int) -> int | None:
    """Which of `count` shown things a question is about by its place ("is the second one in stock"), however long."""
    words = search_key(text).split()
    for at, known in _ORDINALS.items():
        if at != 0 and any(word in known for word in words):
            found = count - 1 if at == LAST else at
            return found if found < count else None
    first = _ORDINALS[0] - _ONE
    return 0 if count and any(word in first for word in words) else None


def means_it(text: str) -> bool:
    """Whether a question points at something without naming it."""
    return any(word in _IT for word in search_key(text).split())


def points(word: str) -> bool:
    """Whether a word in search spelling only points: a place, "it", "please"."""
    return word in _IT or word in _AROUND or any(word in known for known in _ORDINALS.values())
