"""What a text means, as a vector: multilingual-e5-small in four bits, on the processor, without a network.

The text goes in as it was typed: the model has learned from such texts, and normalised ones make it worse.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plugin.language.e5 import E5

Floats = NDArray[np.float32]

DIMENSION = 384
"""Numbers of a vector."""

OF_MESSAGE = 4
"""Vectors of a message, side by side: as a question by the last layer and the one below, as a statement by both."""

MOST_OF_MESSAGE = 600
"""Characters of a message that are read: what somebody wants stands at the beginning or at the end."""

MOST_OF_PASSAGE = 2_000
"""Characters of a passage that one vector stands for."""

# Of 510 pieces of words each, that are read of a passage; few have more than one.
_PARTS = 4

_QUESTION, _PASSAGE = "query: ", "passage: "
_OF_KIND = 2

_REMEMBERED = 1_024


class Embedder(Protocol):
    """Where vectors come from."""

    def messages(self, texts: Sequence[str]) -> Floats:
        """`OF_MESSAGE` vectors side by side for each message, each of length one."""
        ...

    def questions(self, texts: Sequence[str]) -> Floats:
        """The first vector of `messages`, for half the work: what a passage is looked for by."""
        ...

    def passages(self, texts: Sequence[str]) -> Floats:
        """One vector for each passage that is to be found."""
        ...


class E5Embedder:
    """The model itself. It keeps nothing between two calls, so two threads may ask it at once."""

    def __init__(self) -> None:
        self._model = E5()
        self._known: OrderedDict[bytes, Floats] = OrderedDict()
        self._lock = Lock()

    def messages(self, texts: Sequence[str]) -> Floats:
        """As the protocol says; what was asked lately is remembered."""
        return self._remembered(texts, [_QUESTION, _PASSAGE])

    def questions(self, texts: Sequence[str]) -> Floats:
        """As the protocol says."""
        return self._remembered(texts, [_QUESTION])[:, :DIMENSION]

    def _remembered(self, texts: Sequence[str], kinds: Sequence[str]) -> Floats:
        width = len(kinds) * _OF_KIND * DIMENSION
        cut = [both_ends(text, MOST_OF_MESSAGE) for text in texts]
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in cut]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known and len(self._known[key]) >= width}
        new = {key: text for key, text in zip(keys, cut, strict=True) if key not in found}
        if new:
            # All at once: two rows of the same length are hardly slower than one.
            vectors = self._model.vectors([kind + text for kind in kinds for text in new.values()], parts=1)
            found.update(zip(new, np.hstack(np.split(vectors, len(kinds))), strict=True))
            with self._lock:
                self._known.update((key, found[key]) for key in new)
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return np.stack([found[key][:width] for key in keys]) if keys else np.zeros((0, width), dtype=np.float32)

    def passages(self, texts: Sequence[str]) -> Floats:
        """As the protocol says."""
        return self._model.vectors([_PASSAGE + clean(text)[:MOST_OF_PASSAGE] for text in texts], _PARTS)[:, :DIMENSION]


def clean(text: str) -> str:
    """Without what the model cannot be given: half characters, and the byte that ends its strings."""
    return text.encode("utf-8", "ignore").decode().replace("\0", " ")


def both_ends(text: str, most: int) -> str:
    """A text that is too long, by its beginning and its end."""
    text = " ".join(clean(text).split())
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-(most // 3) :]}"
