"""Texts cut into the pieces of words that the model knows: the likeliest way to put them together (Kudo 2018)."""

from __future__ import annotations

import re
from array import array

from marisa_trie import Trie

from plugin.language.weights import Words

_BLANK = "▁"
_BLANKS = re.compile("  +")

# How much less likely than the least likely piece a letter is that no piece has, as SentencePiece reckons.
_UNKNOWN = 10.0


class Pieces:
    """A quarter of a million pieces in a trie, which takes a megabyte."""

    def __init__(self, words: Words) -> None:
        self._letters = words.letters
        self._begin, self._end, self._unknown = words.begin, words.end, words.unknown
        self._trie = Trie(words.pieces)
        self._places = array("i", [0]) * len(words.pieces)
        self._scores = array("f", [0.0]) * len(words.pieces)
        for place, (piece, score) in enumerate(zip(words.pieces, words.scores.tolist(), strict=True)):
            key = self._trie[piece]
            self._places[key], self._scores[key] = place, score
        self._least = float(words.scores.min()) - _UNKNOWN
        self._longest = max(map(len, words.pieces))

    def of(self, text: str) -> list[int]:
        """The places of the text's pieces, without those of begin and end."""
        said = _BLANK + _BLANKS.sub(" ", text.translate(self._letters)).lstrip(" ").replace(" ", _BLANK)
        # By the place where a piece ends: how likely the best way up to there is, where its last piece begins, which.
        likely = [0.0, *[float("-inf")] * len(said)]
        before, last = [0] * len(likely), [self._unknown] * len(likely)
        for begin in range(len(said)):
            score = likely[begin]
            if score + self._least > likely[begin + 1]:
                likely[begin + 1], before[begin + 1], last[begin + 1] = score + self._least, begin, self._unknown
            for piece in self._trie.iter_prefixes(said[begin : begin + self._longest]):
                key, end = self._trie[piece], begin + len(piece)
                if (new := score + self._scores[key]) > likely[end] and self._places[key] != self._unknown:
                    likely[end], before[end], last[end] = new, begin, self._places[key]
        found, end = [], len(said)
        while end:
            found.append(last[end])
            end = before[end]
        return found[::-1]

    def framed(self, pieces: list[int]) -> list[int]:
        """With what stands for begin and end."""
        return [self._begin, *pieces, self._end]
