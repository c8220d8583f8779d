"""A workspace's own topics on top of the shared ones: the same linear system with a few more rows and columns.

The shared book is solved once and keeps its inverse. What a team taught are some more examples, what a merchant wrote
about may be some more topics; by Schur's complement the larger system follows from the smaller one exactly, in the time
that the new rows take. So do the answers that it would give to each shared example, and to each shared topic, had it
never seen them: the check before a model goes live costs nothing besides.

The gate stays where the shared examples put it: what is taught cannot loosen it. Messages that a team called outside
may draw it tighter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugin.language.book import UNSURE, WRONG, Answer, Book, Heard, answered
from plugin.language.memory import give_back
from plugin.language.topics import (
    ENOUGH_OUTSIDE,
    OwnSpelling,
    Reading,
    alike,
    block_inverse,
    gate_of,
    gate_threshold,
    inverted,
    nearest_of,
    system,
)

TIGHTER = 0.1
"""The share of what is answered that a team's own outside messages can take away by the gate."""

# Rows that are worked on at once, where a copy of a whole matrix would be one too many.
_ROWS = 256

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Taught:
    """A message of a workspace's own, with the topics that are right for it; none is outside.

    `topics` are ids, of the shared book or not. Where there are several, it is taught as the one that fits best.
    """

    text: str
    topics: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Check:
    """What the model says of messages that it never saw: the shared examples one by one, and held-out messages.

    `first`: the right topic comes first. `answered`: and it passes the shared gate. `strange`: it would be answered
    though its topic is held out whole. `held`: of each held-out message, whether what would be done is right.
    """

    first: Flags
    answered: Flags
    strange: Flags
    held: Flags


class OwnBook:
    """The shared book with what one workspace taught. Answers as a Book does."""

    def __init__(self, base: Book, taught: Sequence[Taught], vectors: NDArray[np.floating[Any]]) -> None:
        """`vectors` are `Embedder.messages` of the texts, which are as they were heard. No example: the base alone."""
        shared = base.topics
        if shared.ground is None:
            raise ValueError("This book cannot be added to.")
        self.base, self._shared, self._ground = base, shared, shared.ground
        own = sorted({topic for one in taught for topic in one.topics} - set(shared.names))
        self.names = (*shared.names, *own)
        self._number = {name: at for at, name in enumerate(self.names)}
        self._spelled = OwnSpelling(shared.spelled, [one.text for one in taught])
        languages = [one.language for one in taught]
        # In half the room, as many workspaces share this process.
        self._known: NDArray[np.float16] = shared.centred(vectors, languages).astype(np.float16)
        self._links = self._linked([one.text for one in taught])
        self._topic = self._placed(taught)
        self._inverse, self._weights = self._solved()
        self._change: NDArray[np.floating[Any]] = self._changed()
        self._gates()
        self._change = self._change.astype(np.float16)

    def _linked(self, texts: Sequence[str]) -> Floats:
        """How alike our examples are with the shared ones; a few at a time, as their pieces take more room."""
        shared = self._shared
        found = np.empty((len(texts), len(shared.known)), dtype=np.float32)
        for at in range(0, len(texts), _ROWS):
            near = self._rows(at) @ shared.known.T
            found[at : at + _ROWS] = alike(near, shared.spelled.of(texts[at : at + _ROWS]), shared.spelling)
        # The pieces' room: solving needs as much.
        give_back()
        return found

    def _through(self, shared: slice | NDArray[np.int64]) -> Floats:
        """Rows of the shared inverse times what links both. It is as large as the links: never made whole."""
        found: Floats = self._ground.inverse[shared] @ self._links.T
        return found

    def _changed(self) -> Floats:
        """What the weights of the shared examples lose by ours."""
        found: Floats = self._ground.inverse @ (self._links.T @ self._weights)
        return found

    def _placed(self, taught: Sequence[Taught]) -> NDArray[np.int64]:
        """The topic that each example teaches; -1 is outside."""
        said = self._links @ self._shared.weights
        placed = np.full(len(taught), -1, dtype=np.int64)
        for at, one in enumerate(taught):
            places = [self._number[topic] for topic in one.topics]
            if places:
                best = max(places, key=lambda place: said[at, place] if place < len(self._shared.names) else np.inf)
                placed[at] = best
        return placed

    def _wanted(self, topic: NDArray[np.int64]) -> Floats:
        wanted = np.full((len(topic), len(self.names) + 1), self._other, dtype=np.float32)
        inside = np.flatnonzero(topic >= 0)
        wanted[inside, topic[inside]] = 1
        wanted[:, -1] = np.where(topic >= 0, -1, 1)
        return wanted

    @property
    def _other(self) -> float:
        """What is wanted of a topic that is not the message's: as the shared book was taught."""
        return -1 / (len(self._shared.names) - 1)

    def _wide(self) -> Floats:
        """The shared weights with a column for each topic of our own, before anything of ours was learnt."""
        weights, count = self._shared.weights, len(self.names) - len(self._shared.names)
        own = np.repeat((self._other * self._ground.ones)[:, None], count, axis=1).astype(np.float32)
        return np.hstack([weights[:, :-1], own, weights[:, -1:]])

    def _solved(self) -> tuple[Floats, Floats]:
        """The inverse of the complement, and the weights of the examples."""
        ground, links, count = self._ground, self._links, len(self._topic)
        among = system(count, lambda at, _end: self._near(self._rows(at)), self._spelled, self._shared.spelling)
        among[np.diag_indices(count)] += ground.smooth
        for at in range(0, count, _ROWS):
            among[at : at + _ROWS] -= (links[at : at + _ROWS] @ ground.inverse) @ links.T
        inverse = inverted(among) if count else among
        return inverse, inverse @ (self._wanted(self._topic) - links @ self._wide())

    def _gates(self) -> None:
        """From where on is answered and offered: as by the shared book, or tighter by what the team called outside."""
        self.answer_from, self.offer_from = self.base.answer_from, self.base.offer_from
        outside = self._topic < 0
        if outside.sum() < ENOUGH_OUTSIDE:
            return
        unseen = self._wanted(self._topic) - self._weights / np.diag(self._inverse)[:, None]
        rows = np.flatnonzero(outside)
        strange = gate_of(unseen[rows], self._nearest(self._known[rows].astype(np.float32), rows))
        # Whoever calls ordinary questions outside must not silence the bot: what it answers is kept, but for a tenth.
        first, gates = self._unseen()
        answered = np.sort(gates[first & (gates >= self.answer_from)])
        most = float(answered[int(len(answered) * TIGHTER)]) if len(answered) else self.answer_from
        self.answer_from = max(self.answer_from, min(gate_threshold(strange, WRONG), most))
        self.offer_from = max(self.offer_from, min(gate_threshold(strange, UNSURE), self.answer_from))

    def _unseen(self) -> tuple[Flags, Floats]:
        """Of each shared example, as if it were unknown: whether the right topic comes first, and the gate."""
        ground = self._ground
        weights = self._wide() - self._change
        diagonal = np.diag(ground.inverse).copy()
        for at in range(0, len(diagonal), _ROWS):
            through = self._through(slice(at, at + _ROWS))
            diagonal[at : at + _ROWS] += ((through @ self._inverse) * through).sum(axis=1)
        unseen = self._wanted(ground.topic) - weights / diagonal[:, None]
        nearest = np.maximum(ground.nearest, nearest_of(self._shared.known, self._known, self._topic >= 0))
        first: Flags = unseen[:, :-1].argmax(axis=1) == ground.topic
        return first, gate_of(unseen.astype(np.float32), nearest)

    def _nearest(self, asked: Floats, own: NDArray[np.int64] | None = None) -> Floats:
        """How near the nearest example is that is inside; `own`: which of ours each of `asked` is itself."""
        shared = nearest_of(asked, self._shared.known, self._shared.inside)
        near = self._near(asked)
        if own is not None:
            near[np.arange(len(asked)), own] = -1
        found: Floats = np.maximum(shared, near[:, self._topic >= 0].max(axis=1, initial=-1))
        return found

    def _near(self, asked: Floats) -> Floats:
        """How near our examples are; a few at a time, as they are kept in half the room."""
        found = np.empty((len(asked), len(self._known)), dtype=np.float32)
        for at in range(0, len(self._known), _ROWS):
            found[:, at : at + _ROWS] = asked @ self._rows(at).T
        return found

    def _rows(self, at: int) -> Floats:
        """Some of our examples' vectors, from `at` on."""
        return self._known[at : at + _ROWS].astype(np.float32)

    @property
    def size(self) -> int:
        """Bytes that it takes besides the shared book, about."""
        return int(self._known.nbytes + self._change.nbytes + self._weights.nbytes) + self._spelled.size

    def answer(self, heard: Sequence[Heard], vectors: Floats) -> list[Answer]:
        """What these messages are about. `vectors` are `Embedder.messages` of their texts."""
        texts = [one.text for one in heard]
        asked = self._shared.centred(vectors, [one.language or "" for one in heard])
        toward = alike(asked @ self._shared.known.T, self._shared.spelled.of(texts), self._shared.spelling)
        own = alike(self._near(asked), self._spelled.of(texts), self._shared.spelling)
        extra = len(self.names) - len(self._shared.names)
        said = toward @ self._shared.weights
        fresh = np.repeat((self._other * (toward @ self._ground.ones))[:, None], extra, axis=1)
        scores = np.hstack([said[:, :-1], fresh, said[:, -1:]])
        scores += own @ self._weights - toward @ self._change.astype(np.float32)
        gates = gate_of(scores, self._nearest(asked))
        found = []
        for row, gate in zip(scores, gates, strict=True):
            ranking = tuple((self.names[at], float(row[at])) for at in np.argsort(-row[:-1], kind="stable"))
            reading = Reading(ranking, float(gate), self._shared.confidence(float(gate)))
            found.append(answered(self._shared, reading, ranking, self.answer_from, self.offer_from))
        return found

    def check(self, count: int, held: Sequence[Taught], heard: Sequence[Heard], vectors: Floats) -> Check:
        """What it says of the first `count` shared examples and of held-out messages as if it had never seen them."""
        ground = self._ground
        first, gates = self._unseen()
        answered = first & (gates >= self.base.answer_from)
        weights = np.vstack([self._wide() - self._changed(), self._weights])
        wanted = self._wanted(np.concatenate([ground.topic, self._topic]))
        inside = self._topic >= 0
        strange = np.zeros(len(ground.topic), dtype=bool)
        for name in range(len(self._shared.names)):
            shared, own = np.flatnonzero(ground.topic == name), np.flatnonzero(self._topic == name)
            block = block_inverse(ground.inverse, self._through(shared), self._inverse, shared, own)
            rows = np.concatenate([shared, own + len(ground.topic)])
            said = (wanted[rows] - np.linalg.solve(block, weights[rows].astype(np.float64)))[: len(shared)]
            said[:, name] = -np.inf
            others = nearest_of(self._shared.known[shared], self._known, inside & (self._topic != name))
            strange[shared] = gate_of(said, np.maximum(ground.strange[shared], others)) >= self.answer_from
        return Check(first[:count], answered[:count], strange[:count], self._held(held, heard, vectors))

    def _held(self, held: Sequence[Taught], heard: Sequence[Heard], vectors: Floats) -> Flags:
        right = []
        for one, answer in zip(held, self.answer(heard, vectors) if held else (), strict=True):
            accepted = answer.gate >= answer.answer_from
            right.append(accepted and answer.ranking[0][0] in one.topics if one.topics else not accepted)
        return np.array(right, dtype=bool)

    def settled(self) -> OwnBook:
        """Itself, without what only the check needs."""
        self._spelled.settled()
        self._links = self._inverse = np.zeros((0, 0), dtype=np.float32)
        return self
