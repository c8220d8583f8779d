"""Vectors without the model: the words of a text, hashed. For tests of what is done with vectors."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from plugin.kernel.text import search_key
from plugin.language.embedder import DIMENSION, OF_MESSAGE, Floats


class WordEmbedder:
    """Texts with the same words are near."""

    def __init__(self) -> None:
        self.asked = 0

    def messages(self, texts: Sequence[str]) -> Floats:
        """As `Embedder` says."""
        return (
            np.hstack([self.passages(texts)] * OF_MESSAGE)
            if texts
            else np.zeros((0, OF_MESSAGE * DIMENSION), dtype=np.float32)
        )

    def questions(self, texts: Sequence[str]) -> Floats:
        """As `Embedder` says."""
        return self.passages(texts)

    def passages(self, texts: Sequence[str]) -> Floats:
        """As `Embedder` says."""
        self.asked += len(texts)
        found = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in search_key(text).split() or ["-"]:
                row += np.random.default_rng(crc32(word.encode())).standard_normal(DIMENSION).astype(np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return (found / np.maximum(lengths, 1e-6)).astype(np.float32)
