"""Words as the pieces of a few letters that they are made of: what the lexical side of search and topics compares.

Pieces beat stemmers in Arabic and Hebrew, where what English writes as small words is written onto the next one, and
they forgive typing errors in every language. A piece never spans two words; the blanks around a word count as letters,
so that beginnings and ends of words weigh.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from plugin.kernel.text import search_key

BUCKETS = 1 << 20
"""Pieces are numbers below this. Two may share one; among a million that cost nothing that was measurable."""

SEARCHED = (3, 4)
"""Letters of the pieces that passages are searched by."""

_BLANK = ord(" ")
_FACTORS = np.array([0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x165667B1], dtype=np.uint64)

Numbers = NDArray[np.int64]


def pieces(text: str, lengths: Sequence[int] = SEARCHED) -> Numbers:
    """The pieces of `text`, in the one spelling that is compared, as numbers; each as often as it occurs."""
    signs = np.array([_BLANK, *map(ord, search_key(text)), _BLANK], dtype=np.uint64)
    blank = signs == _BLANK
    found = [np.zeros(0, dtype=np.int64)]
    for length in lengths:
        count = len(signs) - length + 1
        if count <= 0:
            continue
        number = np.full(count, length, dtype=np.uint64)
        spans = np.zeros(count, dtype=bool)
        for at in range(length):
            number += signs[at : at + count] * _FACTORS[at]
            if 0 < at < length - 1:
                spans |= blank[at : at + count]
        number ^= number >> np.uint64(29)
        number *= _FACTORS[0]
        number ^= number >> np.uint64(32)
        found.append((number % np.uint64(BUCKETS))[~spans].astype(np.int64))
    return np.concatenate(found)


def features(text: str) -> Numbers:
    """What a topic is recognised by: pieces of two to five letters, words, and words that stand together."""
    words = search_key(text).split()
    named = [crc32(word.encode()) % BUCKETS for word in words]
    named += [crc32(f"{one} {other}".encode()) % BUCKETS for one, other in pairwise(words)]
    return np.concatenate([pieces(text, (2, 3, 4, 5)), np.array(named, dtype=np.int64)])
