"""Passages that can be found: by what they mean and by how they are spelled, both as z-scores, added.

A passage has a vector as a whole and one for each of its sentences, because a question is mostly about one of them. The
two sides are made comparable within each language, so that a passage in another language is found by its meaning where
there is nothing in the reader's own.
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
    """A passage with its score: standard deviations above what passages are usually worth to this question."""

    id: str
    score: float
    language: str


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


class Shelf:
    """Passages with their vectors. Changed by replacing it: readers keep the one they have."""

    def __init__(self, passages: Sequence[Passage] = (), vectors: Sequence[Floats] = ()) -> None:
        self._passages = tuple(passages)
        self._place = {passage.id: at for at, passage in enumerate(self._passages)}
        self._postings = Postings.of([_spelled(passage) for passage in self._passages])
        self._arrange(vectors)

    def _arrange(self, vectors: Sequence[Floats]) -> None:
        """Lay the vectors out so that the best of each passage is one call."""
        counts = np.array([len(own) for own in vectors], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(counts)])[:-1].astype(np.int64)
        self._vectors = np.concatenate([*vectors, np.zeros((0, DIMENSION), dtype=np.float32)])
        languages = sorted({passage.language for passage in self._passages})
        self._languages = {
            language: np.array([passage.language == language for passage in self._passages]) for language in languages
        }

    def __len__(self) -> int:
        return len(self._passages)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return int(self._vectors.nbytes) + self._postings.size + sum(len(_spelled(one)) for one in self._passages)

    def __contains__(self, passage_id: str) -> bool:
        return passage_id in self._place

    def changed(self, passages: Sequence[Passage], vectors: Sequence[Floats], gone: Iterable[str] = ()) -> Shelf:
        """This shelf with these passages added or replaced, and others taken away. What stays is not read again."""
        leaving = {passage.id for passage in passages} | set(gone)
        out = np.array([passage.id in leaving for passage in self._passages], dtype=bool)
        new = Shelf.__new__(Shelf)
        new._passages = (*(each for each, leaves in zip(self._passages, out, strict=True) if not leaves), *passages)
        new._place = {passage.id: at for at, passage in enumerate(new._passages)}
        new._postings = self._postings.without(out).joined(Postings.of([_spelled(passage) for passage in passages]))
        kept = [own for own, leaves in zip(self._each(), out, strict=True) if not leaves]
        new._arrange([*kept, *vectors])
        return new

    def _each(self) -> list[Floats]:
        return np.split(self._vectors, self._starts[1:]) if len(self._passages) else []

    def search(self, text: str, vector: Floats, *, language: str | None = None, count: int = 5) -> list[Hit]:
        """The passages that answer `text` best. `vector` is the question's half of `Embedder.messages`."""
        if not self._passages:
            return []
        scores = self.scores(text, vector, language=language)
        best = np.argsort(-scores, kind="stable")[:count]
        return [Hit(self._passages[at].id, float(scores[at]), self._passages[at].language) for at in best]

    def scores(self, text: str, vector: Floats, *, language: str | None = None) -> Floats:
        """The score of every passage, in the order in which they stand."""
        cosines = self._vectors @ vector[:DIMENSION]
        whole = cosines[self._starts]
        meaning: Floats = whole + _SENTENCE * np.maximum.reduceat(cosines, self._starts).astype(np.float32)
        spelling = self._postings.scores(text)
        found = _MEANING * self._standard(meaning) + (1 - _MEANING) * self._standard(spelling)
        if language in self._languages:
            found = found + _OWN_LANGUAGE * self._languages[language]
        return found.astype(np.float32)

    def _standard(self, scores: Floats) -> Floats:
        """Scores in standard deviations from the mean of their language; a small language leans on all of them."""
        mean = float(scores.mean())
        centred = scores.astype(np.float32).copy()
        for own in self._languages.values():
            count = int(own.sum())
            centred[own] -= (float(scores[own].sum()) + _PRIOR * mean) / (count + _PRIOR)
        spread = float(centred.std())
        return centred / spread if spread > 1e-6 else np.zeros_like(centred)


def _spelled(passage: Passage) -> str:
    return "\n".join([passage.text, *passage.phrasings])
