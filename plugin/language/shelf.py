"""Passages that can be found: by what they mean and by how they are spelled, both as z-scores, added.

A passage has a vector as a whole and one for each of its sentences, because a question is mostly about one of them. The
two sides are made comparable within each language, so that a passage in another language is found by its meaning where
there is nothing in the reader's own.

Vectors are kept in a byte a number with a scale for each (`packed`): what is lost is a sixtieth of how far passages lie
apart, and ten thousand articles take a quarter of the room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plugin.language.embedder import DIMENSION, MOST_OF_PASSAGE, Embedder
from plugin.language.lexical import Postings

Floats = NDArray[np.float32]
Rows = NDArray[np.uint8]

WIDTH = DIMENSION + 4
"""Bytes of a packed vector: its scale as a little-endian 32-bit float, then a signed byte a number."""

# Vectors that are multiplied at once: unpacked they still fit what is near the processor.
_AT_ONCE = 2_048

# Meaning against spelling: chosen in sight of the figures of three sets in three languages (benchmarks/RESULTS.md).
_MEANING = 0.6
# The best sentence counts this much beside the whole.
_SENTENCE = 2.0
# Passages in the language of the question, all else being alike.
_OWN_LANGUAGE = 0.25
# How many passages a language needs until its own mean is believed.
_PRIOR = 10.0

_SENTENCE_END = re.compile(r"(?<=[.!?؟。])\s+|\n+")
_LEAST, _LEAST_OF_LAST = 60, 40
MOST_PARTS = 24
"""Sentences of a passage that have a vector of their own."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Something to be found. `text` is all of it; `phrasings` are questions that it is known to answer."""

    id: str
    text: str
    language: str
    phrasings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with its score: standard deviations above what passages are usually worth to this question.

    `likeness` is the cosine of the question and what of the passage is nearest to it.
    """

    id: str
    score: float
    language: str
    likeness: float


def parts(text: str) -> list[str]:
    """The sentences of a text, short ones joined; at most `MOST_PARTS`, each no longer than a passage may be."""
    found, current = [], ""
    for sentence in _SENTENCE_END.split(text):
        current = f"{current} {sentence}".strip()
        if len(current) >= _LEAST:
            found.append(current[:MOST_OF_PASSAGE])
            current = ""
    if current and found and len(current) < _LEAST_OF_LAST:
        found[-1] = f"{found[-1]} {current}"
    elif current:
        found.append(current[:MOST_OF_PASSAGE])
    return found[:MOST_PARTS]


def embedded(embedder: Embedder, passage: Passage) -> Floats:
    """The vectors of a passage: of the whole, of each phrasing, of each sentence."""
    pieces = parts(passage.text)
    return embedder.passages([passage.text, *passage.phrasings, *(pieces if len(pieces) > 1 else ())])


def packed(vectors: Floats) -> Rows:
    """Vectors in a byte a number, a row each."""
    scales = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9).astype("<f4") / 127
    codes = np.rint(vectors / scales).astype(np.int8)
    return np.hstack([scales.astype("<f4").view(np.uint8), codes.view(np.uint8)])


def _scales(rows: Rows) -> Floats:
    return np.ascontiguousarray(rows[:, :4]).view("<f4")[:, 0].astype(np.float32)


class Shelf:
    """Passages with their vectors. Changed by replacing it: readers keep the one they have."""

    def __init__(self, passages: Sequence[Passage] = (), vectors: Sequence[Floats] = ()) -> None:
        self._arrange(
            [(passage.id, passage.language) for passage in passages],
            Postings.of([_spelled(passage) for passage in passages]),
            np.array([len(own) for own in vectors], dtype=np.int64),
            _stacked([packed(own) for own in vectors]),
        )

    def _arrange(
        self, names: Sequence[tuple[str, str]], postings: Postings, counts: NDArray[np.int64], rows: Rows
    ) -> None:
        """Lay the vectors out so that the best of each passage is one call."""
        self._names, self._postings, self._counts, self._rows = tuple(names), postings, counts, rows
        self._ids = frozenset(id for id, _language in names)
        self._starts = np.concatenate([[0], np.cumsum(counts)])[:-1].astype(np.int64)
        self._scale = _scales(rows)
        self._languages = {
            language: np.array([spoken == language for _id, spoken in names])
            for language in sorted({language for _id, language in names})
        }

    def __len__(self) -> int:
        return len(self._names)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return int(self._rows.nbytes) + self._postings.size + 200 * len(self._names)

    def __contains__(self, passage_id: str) -> bool:
        return passage_id in self._ids

    def changed(self, passages: Sequence[Passage], vectors: Sequence[Rows], gone: Iterable[str] = ()) -> Shelf:
        """This shelf with these passages added or replaced, and others taken away. What stays is not read again.

        `vectors` are packed.
        """
        leaving = {passage.id for passage in passages} | set(gone)
        out = np.array([id in leaving for id, _language in self._names], dtype=bool)
        new = Shelf.__new__(Shelf)
        new._arrange(
            [
                *(name for name, leaves in zip(self._names, out, strict=True) if not leaves),
                *((passage.id, passage.language) for passage in passages),
            ],
            self._postings.without(out).joined(Postings.of([_spelled(passage) for passage in passages])),
            np.concatenate([self._counts[~out], np.array([len(own) for own in vectors], dtype=np.int64)]),
            _stacked([self._rows[np.repeat(~out, self._counts)], *vectors]),
        )
        return new

    def search(self, text: str, vector: Floats, *, language: str | None = None, count: int = 5) -> list[Hit]:
        """The passages that answer `text` best. `vector` is the question's half of `Embedder.messages`."""
        if not self._names:
            return []
        scores, likeness = self._judged(text, vector, language)
        best = np.argsort(-scores, kind="stable")[:count]
        return [Hit(self._names[at][0], float(scores[at]), self._names[at][1], float(likeness[at])) for at in best]

    def scores(self, text: str, vector: Floats, *, language: str | None = None) -> Floats:
        """The score of every passage, in the order in which they stand."""
        return self._judged(text, vector, language)[0]

    def _judged(self, text: str, vector: Floats, language: str | None) -> tuple[Floats, Floats]:
        """(scores, cosines with what is nearest) of every passage."""
        cosines = self._cosines(vector[:DIMENSION])
        nearest = np.maximum.reduceat(cosines, self._starts).astype(np.float32)
        meaning: Floats = cosines[self._starts] + _SENTENCE * nearest
        spelling = self._postings.scores(text)
        found = _MEANING * self._standard(meaning) + (1 - _MEANING) * self._standard(spelling)
        if language in self._languages:
            found = found + _OWN_LANGUAGE * self._languages[language]
        return found.astype(np.float32), nearest

    def _cosines(self, vector: Floats) -> Floats:
        codes = self._rows[:, 4:].view(np.int8)
        found = np.empty(len(codes), dtype=np.float32)
        for at in range(0, len(codes), _AT_ONCE):
            found[at : at + _AT_ONCE] = codes[at : at + _AT_ONCE].astype(np.float32) @ vector
        return found * self._scale

    def _standard(self, scores: Floats) -> Floats:
        """Scores in standard deviations from the mean of their language; a small language leans on all of them."""
        mean = float(scores.mean())
        centred = scores.astype(np.float32).copy()
        for own in self._languages.values():
            count = int(own.sum())
            centred[own] -= (float(scores[own].sum()) + _PRIOR * mean) / (count + _PRIOR)
        spread = float(centred.std())
        return centred / spread if spread > 1e-6 else np.zeros_like(centred)


def _stacked(rows: Sequence[Rows]) -> Rows:
    return np.concatenate([*rows, np.zeros((0, WIDTH), dtype=np.uint8)])


def _spelled(passage: Passage) -> str:
    return "\n".join([passage.text, *passage.phrasings])
