"""Vectors of texts by multilingual-e5-small (Wang et al. 2024), run by ONNX Runtime on one thread."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from plugin.language.pieces import Pieces
from plugin.language.weights import Weights

Floats = NDArray[np.float32]

_TOGETHER = 32
"""Texts that are read at once, at most."""

_SQUARE = 256 * 256
"""Pairs of tokens that are looked at at once: twelve heads keep a number of each."""


class E5:
    """The model. It keeps nothing between two calls, so two threads may ask it at once."""

    def __init__(self) -> None:
        self._weights = Weights()
        words = self._weights.words()
        self._pieces = Pieces(words)
        self._padding = words.padding
        self._places = self._weights.floats("emb.pos").reshape(-1, self.width)
        self._kind = self._weights.floats("emb.type")[: self.width]
        self._norm = self._weights.floats("emb.ln.w"), self._weights.floats("emb.ln.b")
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # What a long text took goes back when it is done, instead of being kept for the next one.
        options.enable_cpu_mem_arena = False
        with TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            # In a process that is gone again: what makes the graph would keep 40 MB of this one. And by a file, because
            # of a graph that is handed over as bytes the runtime keeps a copy.
            command = [sys.executable, "-m", "plugin.language.graph", str(path)]
            subprocess.run(command, check=True)  # noqa: S603 - our own module
            self._session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._weights.let_go()

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self._weights.shape.width

    def vectors(self, texts: Sequence[str], parts: int) -> Floats:
        """Two vectors side by side, each of length one, for each text, which begins with what it is: "query: " or
        "passage: ". The first one is the model's; the second comes from the layer below its last.

        A text of more tokens than the model reads at once is read in so many `parts` at most, each counting as much as
        it is long; what comes behind them is not read. One sign can be twenty tokens, so characters are no bound.
        """
        read: list[list[int]] = []
        owners: list[int] = []
        most = self._weights.shape.longest - 2
        for owner, text in enumerate(texts):
            pieces = self._pieces.of(text)[: parts * most]
            for at in range(0, len(pieces), most):
                read.append(pieces[at : at + most])
                owners.append(owner)
        found = np.zeros((len(texts), 2, self.width), dtype=np.float32)
        order = sorted(range(len(read)), key=lambda at: len(read[at]))
        while order:
            # The longest first, with as many of about its length as there is room for.
            tokens = len(read[order[-1]]) + 2
            room = min(_TOGETHER, max(_SQUARE // tokens**2, 1))
            order, now = order[:-room], order[-room:]
            for at, mean in zip(now, self._means([read[at] for at in now]), strict=True):
                found[owners[at]] += len(read[at]) * mean
        found /= np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-6)
        return found.reshape(len(texts), 2 * self.width)

    def _means(self, parts: Sequence[Sequence[int]]) -> Floats:
        framed = [self._pieces.framed(list(part)) for part in parts]
        longest = max(map(len, framed))
        tokens = np.array([one + [self._padding] * (longest - len(one)) for one in framed])
        there = (np.arange(longest) < np.array([[len(one)] for one in framed])).astype(np.int32)
        read = self._weights.rows("emb.word", tokens) + self._places[:longest] + self._kind
        read -= read.mean(axis=-1, keepdims=True)
        read /= np.sqrt((read * read).mean(axis=-1, keepdims=True) + self._weights.shape.epsilon)
        read = read * self._norm[0] + self._norm[1]
        written = self._session.run(None, dict(zip(self._inputs, (read, there), strict=True)))
        share = (there / there.sum(axis=1, keepdims=True)).astype(np.float32)[:, :, None]
        return np.stack([(layer * share).sum(axis=1) for layer in written], axis=1)
