"""What a message asks about goods, and which of the shop's goods it names. Pure.

Titles stand in whatever language the shop wrote them, and in those that it translated them into; a question in any of
ours names them as people do: without their marks and articles, in the plural, by their beginning, with a slip. Numbers
and units tell sizes apart and name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from plugin.bot import lexicon
from plugin.kernel import lexemes
from plugin.kernel.text import search_key


class Want(StrEnum):
    """What somebody wants to know about goods."""

    PRICE = "price"
    STOCK = "stock"
    COMPARE = "compare"
    CHEAPEST = "cheapest"
    DEAREST = "dearest"
    CHOICE = "choice"
    RESTOCK = "restock"


def _asked_by(want: Want) -> frozenset[str]:
    """Whole words and phrases that ask for it."""
    return lexicon.keys(lambda one: str(getattr(one.wants, want)))


_WORDS = {want: _asked_by(want) for want in Want}
_LONGEST_PHRASE = max(len(phrase.split()) for known in _WORDS.values() for phrase in known)


def wants(text: str, title: Collection[str] = ()) -> frozenset[Want]:
    """What a question wants to know about goods by its words; nothing when none of them is said.

    `title`: words of it that name goods and ask nothing: "Better" of "Better Sleep Tea".
    """
    words = search_key(text).split()
    said = {
        " ".join(words[at : at + length])
        for length in range(1, _LONGEST_PHRASE + 1)
        for at in range(len(words) - length + 1)
        if not title or all(word not in title for word in words[at : at + length])
    }
    return frozenset(want for want, known in _WORDS.items() if not said.isdisjoint(known))


_ASKING = frozenset(word for known in _WORDS.values() for phrase in known for word in phrase.split())
_SMALL = lexicon.keys(lambda one: f"{one.small}, {one.goods.small}")
# Measures say which size, and name nothing.
_UNITS = lexicon.keys(lambda one: one.goods.units)


# "500" and "500g", but not "sham3a", which is written so where there are no Arabic letters.
_SIZE = re.compile(r"\d+\D{0,2}$")


def naming(text: str) -> list[str]:
    """The words of a question or a title that may name goods."""
    return [
        word
        for word in lexemes.words(text)
        if len(word) > 1 and word not in _SMALL and word not in _UNITS and not _SIZE.match(word)
    ]


_MOST_ASKED = 24
"""Different words of a question that are looked for among the goods: a name is said in fewer, junk is without end."""


def things(text: str) -> list[str]:
    """The different words of a question that may name something, without those that only ask for a price or stock."""
    # "Colour" may stand in a title too; it names goods only beside other words.
    return list(dict.fromkeys(word for word in naming(text) if word not in _ASKING))[:_MOST_ASKED]


@dataclass(frozen=True, slots=True)
class Named:
    """A name of something. `more` are other words for it: its kind, its tags, its address in the shop. What has a name
    in each language stands there once for each.
    """

    id: str
    title: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    own: tuple[str, ...]
    more: tuple[str, ...]
    numbers: frozenset[str]


class Goods:
    """Goods by the words that name them, so that a question costs what it says and not what the shop has."""

    def __init__(self, goods: Iterable[Named]) -> None:
        self._entries = [
            _Entry(one.id, tuple(naming(one.title)), tuple(naming(one.more)), _numbers(one.title)) for one in goods
        ]
        self._at: dict[str, list[int]] = {}
        self._titles: set[str] = set()
        for at, one in enumerate(self._entries):
            self._titles.update(one.own)
            for word in dict.fromkeys((*one.own, *one.more)):
                self._at.setdefault(word, []).append(at)
        self._by_form: dict[str, list[str]] = {}
        # A slip never hides the first letter, and costs one letter at most.
        self._by_look: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for word in self._at:
            for form in _forms(word):
                self._by_form.setdefault(form, []).append(word)
                self._by_look.setdefault((form[0], len(form)), []).append((form, word))

    def __len__(self) -> int:
        return len(self._entries)

    def has(self, word: str) -> bool:
        """Whether a word stands in a title, just so."""
        return word in self._titles

    def same(self, word: str) -> set[str]:
        """The words of these goods that are this word, or another form of it."""
        return {other for form in _forms(word) for other in self._by_form.get(form, ())}

    def slipped(self, word: str) -> set[str]:
        """Those that it may be with a slip of the finger."""
        return {
            other
            for form in _forms(word)
            for length in (len(form) - 1, len(form), len(form) + 1)
            for near, other in self._by_look.get((form[0], length), ())
            if form != near and _slip(form, near)
        }

    def with_words(self, words: Iterable[str]) -> list[_Entry]:
        """The goods that have one of these words, in their order."""
        return [self._entries[at] for at in sorted({at for word in words for at in self._at.get(word, ())})]


@dataclass(frozen=True, slots=True)
class Found:
    """The goods that a text names, in their order there; several may be meant together or each for itself.

    `whole`: each by its whole name. `sure`: they are spoken of, and nothing else is. `left`: how many words of the text
    may name something else. `title`: asking words that stand in their names.
    """

    ids: tuple[str, ...] = ()
    whole: bool = False
    sure: bool = False
    left: int = 0
    title: frozenset[str] = frozenset()


def named(text: str, *shelves: Goods) -> Found:
    """Which of the shop's goods a text names."""
    asked = things(text)
    if not asked:
        return Found()
    # "Better" asks, and names the "Better Sleep Tea" where it stands as in the title.
    neighbours = frozenset(pairwise(naming(text)))
    also = [word for word in dict.fromkeys(naming(text)) if word in _ASKING and any(one.has(word) for one in shelves)]
    meant = {word: _meant(word, shelves) for word in asked} | {word: frozenset((word,)) for word in also}
    touched = frozenset().union(*(meant[word] for word in asked))
    goods = list(dict.fromkeys(one for shelf in shelves for one in shelf.with_words(touched)))
    numbers = _numbers(text)
    whole: list[tuple[int, frozenset[str], str, bool]] = []
    for one in goods:
        pairs = neighbours.intersection(pairwise(one.own)) if also else ()
        beside = [word for word in also if any(word in pair for pair in pairs)]
        hits = frozenset(word for word in (*asked, *beside) if not meant[word].isdisjoint(one.own))
        if one.own and not hits.isdisjoint(asked) and all(any(own in meant[word] for word in hits) for own in one.own):
            at = min(asked.index(word) for word in hits.intersection(asked))
            whole.append((at, hits, one.id, not numbers.isdisjoint(one.numbers)))
    if not whole:
        return _in_part(asked, meant, goods, numbers)
    # "Olive oil" within "olive oil soap" is not meant; of two sizes those are whose numbers are said.
    kept = [one for one in whole if not any(one[1] < other[1] for other in whole)]
    kept = [one for one in kept if one[3] or not any(other[1] == one[1] and other[3] for other in kept)]
    said = frozenset().union(*(one[1] for one in kept))
    left = [word for word in asked if word not in said]
    ids = list(dict.fromkeys(one[2] for one in sorted(kept, key=lambda one: one[0])))
    # "The espresso cup and the plate": one by its whole name, the other not.
    rest = _in_part(left, meant, goods, numbers) if left else Found()
    more = [id for id in rest.ids if id not in ids] if rest.sure else []
    sure = not left or rest.sure
    return Found((*ids, *more), whole=True, sure=sure, left=0 if sure else len(left), title=said.intersection(also))


def _meant(word: str, shelves: Sequence[Goods]) -> frozenset[str]:
    same = frozenset().union(*(one.same(word) for one in shelves))
    if any(one.has(word) for one in shelves):
        # "Shorts" stands on a shelf: whoever writes it did not mean a shirt.
        return same
    return same.union(*(one.slipped(word) for one in shelves))


def _in_part(
    asked: Sequence[str], meant: Mapping[str, frozenset[str]], goods: Sequence[_Entry], numbers: frozenset[str]
) -> Found:
    """Those with the most of what was said in their names, or in what they are."""
    found: list[tuple[tuple[float, bool], str]] = []
    for one in goods:
        wide = [word for word in asked if not meant[word].isdisjoint(one.own) or not meant[word].isdisjoint(one.more)]
        if not wide:
            continue
        covered = len(wide) / len(asked)
        share = sum(any(own in meant[word] for word in asked) for own in one.own) / len(one.own) if one.own else 0.0
        if covered == 1 or share >= _MOST_OF_A_NAME:
            found.append(((covered, not numbers.isdisjoint(one.numbers)), one.id))
    best = max((rank for rank, _id in found), default=None)
    if best is None:
        return Found(left=len(asked))
    left = round(len(asked) * (1 - best[0]))
    return Found(tuple(dict.fromkeys(id for rank, id in found if rank == best)), sure=best[0] == 1, left=left)


_MOST_OF_A_NAME = 0.5


def _numbers(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d+", search_key(text)))


# "It's" and "I'm" ask for no S and no M.
_SHORTENED = re.compile(r"(?<=[a-z])['’](?:s|m|d|t|ll|re|ve)\b", re.IGNORECASE)
_MOST_CHOOSING = 80


def fitting(text: str, choices: Sequence[str]) -> list[int]:
    """The places of the choices that a text names: "L", "500 g", "the olive one"; none where it names none.

    Everything that is said must fit: "the black 42" is not every 42. Where less is said than tells them apart, several
    fit: "in L" of "Red / L" and "Blue / L".
    """
    owns = [_telling(title) for title in choices]
    every = frozenset().union(*owns) if owns else frozenset()
    words = list(dict.fromkeys(_parts(_SHORTENED.sub("", text))))[:_MOST_CHOOSING]
    said: list[frozenset[str]] = []
    for word in words:
        means = {word} & every
        if not means and len(word) > _SHORTEST_FORM and not word.isdigit():
            means = {own for own in every if len(own) > _SHORTEST_FORM and not own.isdigit() and alike(own, word)}
        if means:
            said.append(frozenset(means))
    if not said:
        return []
    fits = [at for at, own in enumerate(owns) if own and all(not one.isdisjoint(own) for one in said)]
    # "Large" is the large one, and not the "Extra large".
    wholly = [at for at in fits if all(any(word in one for one in said) for word in owns[at])]
    return wholly or fits


_SHORTEST_FORM = 2


def _telling(title: str) -> frozenset[str]:
    """The words of a choice that tell it from others; beside its numbers units tell nothing, nor does "with"."""
    words = _parts(title)
    counted = any(word.isdigit() for word in words)
    telling = frozenset(word for word in words if not (counted and word in _UNITS))
    # "L" is a small word in Arabizi.
    return frozenset(word for word in telling if len(word) == 1 or word not in _SMALL) or telling


def _parts(text: str) -> list[str]:
    """Words, with their numbers apart: "2XL", "500g"."""
    return [part for word in lexemes.words(text) for part in re.findall(r"\d+|\D+", word)]


def alike(one: str, other: str) -> bool:
    """Whether two words in search spelling are the same, in another form, or with a slip of the finger."""
    mine, theirs = _forms(one), _forms(other)
    return not mine.isdisjoint(theirs) or any(_slip(a, b) for a in mine for b in theirs if a[0] == b[0])


@lru_cache(maxsize=65_536)
def _forms(word: str) -> frozenset[str]:
    # "And" is written onto its word in Arabic and Hebrew.
    bare = [word, word[1:]] if len(word) > _LEAST_JOINED and word[0] in "وו" else [word]
    if len(word) >= _LEAST_JOINED and word[0] in "בלמהכש":
        bare.append(word[1:])
    # "With", "for", "like" are so too; three letters are a root, and none of them is one of these.
    bare += [one[1:] for one in tuple(bare) if len(one) > _LEAST_JOINED and one[0] in "بلك"]
    # Two letters and an ending of the plural: "נרות" of "נר", which is too short to have a stem.
    bare += [one[:2] for one in tuple(bare) if len(one) == _SHORT_PLURAL and one.endswith(("ימ", "ות"))]
    return frozenset(form for one in bare for form in (one, *lexemes.stems(one)) if form)


_LEAST_JOINED = 3
_SHORT_PLURAL = 4
_LEAST_SLIPPED = 4
_SWAPPED = 2


def _slip(one: str, other: str) -> bool:
    """One letter wrong, missing or too many, or two swapped, in words so long that they are no others by that."""
    short, long = sorted((one, other), key=len)
    if len(short) < _LEAST_SLIPPED or len(long) - len(short) > 1:
        return False
    if len(short) < len(long):
        return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
    wrong = [at for at, sign in enumerate(short) if sign != long[at]]
    if len(wrong) == 1:
        return len(short) > _LEAST_SLIPPED
    first, last = wrong[0], wrong[-1]
    return len(wrong) == _SWAPPED and last - first == 1 and short[first] == long[last] and short[last] == long[first]
