"""How alike two questions are by their spelling alone: what is learnt counts at once, and what is known without models.

Words are compared in the pieces of three letters that they are made of, so that other forms and typing errors stay
near. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plugin.kernel.text import search_key

SAME = 0.72
"""From here on two questions are taken for the same one (0 to 1); two with one word in common stay below."""


def pieces(text: str) -> frozenset[str]:
    """The pieces of a text."""
    return frozenset(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    for word in search_key(text).split():
        padded = f" {word} "
        yield from (padded[at : at + 3] for at in range(len(padded) - 2))


@dataclass(frozen=True, slots=True)
class Near:
    """What is nearest, and how near (0 to 1)."""

    target: str
    likeness: float


class Phrasings:
    """Questions with what answers them, to be compared with others."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        """`known`: (question, what it is about)."""
        self._targets: list[str] = []
        self._sizes: list[int] = []
        self._places: dict[str, list[int]] = {}
        for text, target in known:
            own = pieces(text)
            if not own:
                continue
            for piece in own:
                self._places.setdefault(piece, []).append(len(self._targets))
            self._targets.append(target)
            self._sizes.append(len(own))

    def nearest(self, text: str, least: float = SAME) -> Near | None:
        """The phrasing that is most alike; None when none is `least` alike."""
        own = pieces(text)
        shared: Counter[int] = Counter(at for piece in own for at in self._places.get(piece, ()))
        best: Near | None = None
        for at, count in shared.items():
            likeness = 2 * count / (len(own) + self._sizes[at])
            if likeness >= least and (best is None or likeness > best.likeness):
                best = Near(self._targets[at], likeness)
        return best
