"""BM25 over the pieces of words. Postings are joined and thinned out by arithmetic alone: no text is read twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plugin.language.grams import pieces

Scores = NDArray[np.float32]

# How soon a piece that repeats stops counting, and how much a long passage is held back.
_K1, _B = 0.6, 0.5


@dataclass(frozen=True, slots=True)
class Postings:
    """For each piece which passages have it, and how often: five bytes for each of these, whatever the text weighed."""

    lengths: NDArray[np.float32]
    keys: NDArray[np.int32]
    starts: NDArray[np.int64]
    passages: NDArray[np.int32]
    often: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Postings:
        """Postings of these texts, numbered as they stand."""
        keys = [np.zeros(0, dtype=np.int32)]
        rows = [np.zeros(0, dtype=np.int32)]
        often = [np.zeros(0, dtype=np.uint8)]
        lengths = np.zeros(len(texts), dtype=np.float32)
        for number, text in enumerate(texts):
            key, count = np.unique(pieces(text), return_counts=True)
            lengths[number] = count.sum()
            keys.append(key.astype(np.int32))
            rows.append(np.full(len(key), number, dtype=np.int32))
            often.append(np.minimum(count, 255).astype(np.uint8))
        return cls._sorted(lengths, np.concatenate(keys), np.concatenate(rows), np.concatenate(often))

    @classmethod
    def _sorted(
        cls,
        lengths: NDArray[np.float32],
        key: NDArray[np.int32],
        rows: NDArray[np.int32],
        often: NDArray[np.uint8],
    ) -> Postings:
        order = np.argsort(key, kind="stable")
        different, starts = np.unique(key[order], return_index=True)
        return cls(lengths, different, np.append(starts, len(key)), rows[order], often[order])

    def without(self, gone: NDArray[np.bool_]) -> Postings:
        """What is left when the marked passages are taken out; the others move up."""
        kept = ~gone[self.passages]
        moved = np.cumsum(~gone, dtype=np.int32) - 1
        return self._sorted(
            self.lengths[~gone], self._key_of_each()[kept], moved[self.passages[kept]], self.often[kept]
        )

    def joined(self, more: Postings) -> Postings:
        """These passages, and behind them those of `more`."""
        return self._sorted(
            np.concatenate([self.lengths, more.lengths]),
            np.concatenate([self._key_of_each(), more._key_of_each()]),
            np.concatenate([self.passages, more.passages + np.int32(len(self.lengths))]),
            np.concatenate([self.often, more.often]),
        )

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return sum(int(part.nbytes) for part in (self.lengths, self.keys, self.starts, self.passages, self.often))

    def _key_of_each(self) -> NDArray[np.int32]:
        return np.repeat(self.keys, np.diff(self.starts))

    def scores(self, question: str) -> Scores:
        """How well each passage answers in the question's own words."""
        found = np.zeros(len(self.lengths), dtype=np.float32)
        count = len(found)
        wanted, times = np.unique(pieces(question), return_counts=True)
        if not len(self.keys) or not len(wanted):
            return found
        held_back = _K1 * (1 - _B + _B * self.lengths / max(float(self.lengths.mean()), 1.0))
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        for place, key, repeated in zip(places, wanted, times, strict=True):
            if self.keys[place] != key:
                continue
            begin, end = self.starts[place], self.starts[place + 1]
            which = self.passages[begin:end]
            often = self.often[begin:end].astype(np.float32)
            rare = np.log1p((count - (end - begin) + 0.5) / (end - begin + 0.5))
            found[which] += repeated * rare * often * (_K1 + 1) / (often + held_back[which])
        return found
