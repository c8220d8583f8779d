"""What a message is about: kernel ridge regression over what two texts mean and how they are spelled.

Two examples are alike when their vectors are near *and* they share pieces of words. Each topic is one column of a
linear system, and so is "outside", which messages that no topic fits teach. The system is solved once; what it would
have said of an example it had never seen, and of a whole topic it had never seen, follows from the same inverse without
training anew. So everything that is chosen (how much spelling weighs, how smooth the answer is) and everything that is
promised (how sure, from where on we answer) is measured on messages that the model did not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from plugin.language.embedder import OF_MESSAGE
from plugin.language.frames import AHEAD
from plugin.language.grams import features

Floats = NDArray[np.float32]

# All pairs are tried where there are few examples; of many those that `_choices` names.
_SPELLING = (0.3, 0.15, 0.5)
_SMOOTH = (0.1, 0.03, 0.3)
_FEW = 2_000

# How much the layer below the model's last weighs beside it: with few examples it misleads (benchmarks/RESULTS.md).
_BELOW, _BELOW_OF_FEW = 1.0, 0.25

# Rows of a large matrix that are worked on at once, where a copy of all of it would be one too many.
_ROWS = 256

_WIDTH = 1.0
# What "outside" says weighs this much against the best topic.
_OUTSIDE = 0.3
ENOUGH_OUTSIDE = 30
"""How many labelled messages outside needs before it is measured by them instead of by topics that are held out."""

# A language with fewer examples is centred like all together.
_PRIOR = 20.0


@dataclass(frozen=True, slots=True)
class Example:
    """A message whose topic is known; None is outside of every topic."""

    text: str
    topic: str | None
    language: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message may be about: every topic with its score, best first, and the gate's one number."""

    ranking: tuple[tuple[str, float], ...]
    gate: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Centres:
    """The mean vector of each language: what all its sentences have in common tells no topic from another.

    `shares`: how long each of a message's vectors is beside the others (`OF_MESSAGE`); together they are of length one.
    """

    means: dict[str, Floats]
    mean: Floats
    shares: Floats

    @classmethod
    def of(cls, vectors: Floats, languages: Sequence[str], among: NDArray[np.bool_]) -> Centres:
        """Means of those vectors that are `among` what counts; a language with few of them leans on all."""
        mean = _total(vectors, among) / np.float32(max(among.sum(), 1))
        named = np.array(languages)
        means = {}
        for language in sorted(set(languages)):
            own = among & (named == language)
            leant = (_total(vectors, own) + _PRIOR * mean) / (own.sum() + _PRIOR)
            means[language] = leant.astype(np.float32)
        shares = np.tile([1.0, _BELOW if len(vectors) > _FEW else _BELOW_OF_FEW], OF_MESSAGE // 2)
        return cls(means, mean, np.sqrt(shares / shares.sum()).astype(np.float32))

    def taken_from(self, vectors: NDArray[np.floating[Any]], languages: Sequence[str]) -> Floats:
        """The vectors without what their language has in common, each of their parts as long as its share."""
        found = np.empty(vectors.shape, dtype=np.float32)
        for at in range(0, len(found), _ROWS):
            own = slice(at, at + _ROWS)
            common = np.stack([self.means.get(language, self.mean) for language in languages[own]])
            parts = (vectors[own] - common).reshape(len(common), OF_MESSAGE, -1)
            parts /= np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-6) / self.shares[:, None]
            found[own] = parts.reshape(len(common), -1)
        return found


def _total(vectors: Floats, among: NDArray[np.bool_]) -> Floats:
    """The sum of some vectors, without a copy of them."""
    found: Floats = among.astype(np.float32) @ vectors
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """What the model says of its own examples as if it had never seen them: the basis of every promise."""

    right: NDArray[np.bool_]
    inside: Floats
    outside: Floats
    margins: Floats
    """How far the best topic of each message inside is ahead of the next."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is kept of a solved system so that examples can be added to it (plugin/language/own.py).

    `ones`: the inverse times ones. `topic`: of each example, -1 outside. `nearest`: how near each example's nearest
    other inside is; `strange`: the same among the other topics.
    """

    inverse: Floats
    ones: Floats
    topic: NDArray[np.int64]
    nearest: Floats
    strange: Floats
    smooth: float

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return int(self.inverse.nbytes)


class Topics:
    """A trained model. It is its examples and one matrix; training takes a second for a shop."""

    def __init__(
        self, names: Sequence[str], centres: Centres, known: Floats, spelled: Spelling, weights: Floats,
        inside: NDArray[np.bool_], spelling: float, measured: Measured, ground: Ground | None = None,
    ) -> None:  # fmt: skip
        self.names = tuple(names)
        self.measured = measured
        self.spelling = spelling
        self._centres, self.known, self.spelled = centres, known, spelled
        self.weights, self.inside, self.ground = weights, inside, ground
        self._slope, self._offset = _logistic(measured)
        self._sure = _sure(measured)

    @classmethod
    def learn(cls, examples: Sequence[Example], vectors: Floats, *, grows: bool = False) -> Topics:
        """Train on these examples and their vectors (`Embedder.messages`). Needs two topics with an example each.

        `grows`: what it takes to add examples later is kept (`Ground`).
        """
        names = sorted({example.topic for example in examples if example.topic is not None})
        if len(names) < 2:
            raise ValueError("There must be examples of at least two topics.")
        number = {name: at for at, name in enumerate(names)}
        topic = np.array([-1 if example.topic is None else number[example.topic] for example in examples])
        languages = [example.language for example in examples]
        inside = topic >= 0
        centres = Centres.of(vectors, languages, inside)
        known = centres.taken_from(vectors, languages)
        # They are as large as what is known, which is all that is needed from here on.
        del vectors
        spelled = Spelling([example.text for example in examples])
        wanted = _wanted(topic, len(names))
        nearest, strange = _nearest(known, topic)

        def solved(spelling: float, smooth: float) -> tuple[Floats, Floats]:
            among = system(len(known), lambda at, end: known[at:end] @ known.T, spelled, spelling)
            return _solve(among, wanted, smooth)

        best: tuple[float, tuple[float, float]] | None = None
        for choice in (choices := _choices(len(examples))):
            # Of two matrices there is never more than one.
            weights, inverse = solved(*choice)
            measured = _measure(weights, inverse, wanted, topic, nearest, strange)
            score = float(measured.right.mean())
            if best is None or score > best[0] + 1e-9:
                best, kept = (score, choice), (weights, measured)
            if choice != choices[-1]:
                del inverse
        assert best is not None
        spelling, smooth = best[1]
        ground = None
        if grows:
            if best[1] != choices[-1]:
                del inverse
                inverse = solved(spelling, smooth)[1]
            ground = Ground(inverse, inverse.sum(axis=1), topic, nearest, strange, smooth)
        return cls(names, centres, known, spelled, kept[0], inside, spelling, kept[1], ground)

    def centred(self, vectors: NDArray[np.floating[Any]], languages: Sequence[str]) -> Floats:
        """Vectors as the examples' are: without what their language has in common."""
        return self._centres.taken_from(vectors, languages)

    def read(self, texts: Sequence[str], vectors: Floats, languages: Sequence[str]) -> list[Reading]:
        """What these messages are about. `languages` are those of the texts, for their centres."""
        if not texts:
            return []
        asked = self._centres.taken_from(vectors, languages)
        near = asked @ self.known.T
        scores = alike(near, self.spelled.of(texts), self.spelling) @ self.weights
        gates = gate_of(scores, near[:, self.inside].max(axis=1))
        return [
            Reading(
                tuple((self.names[at], float(row[at])) for at in np.argsort(-row[:-1], kind="stable")),
                float(gate),
                self.confidence(float(gate)),
            )
            for row, gate in zip(scores, gates, strict=True)
        ]

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        kept = self.ground.size if self.ground is not None else 0
        return int(self.known.nbytes + self.weights.nbytes) + self.spelled.size + kept

    def confidence(self, gate: float) -> float:
        """How probable it is that the best topic is right, by what was measured on unseen examples."""
        return float(1 / (1 + np.exp(-np.clip(self._slope * gate + self._offset, -30, 30))))

    def certainty(self, reading: Reading, topic: str) -> float:
        """How probable it is that `topic` is right, if any is: by the gate, and by how far it is ahead of the others.

        What was measured on unseen examples says how much each of the two counts.
        """
        own = next(score for name, score in reading.ranking if name == topic)
        margin = own - max((score for name, score in reading.ranking if name != topic), default=own)
        said = float(self._sure @ np.array([reading.gate, margin, 1.0]))
        return float(1 / (1 + np.exp(-np.clip(said, -30, 30))))

    def threshold(self, wrong: float) -> float:
        """The gate from which on at most this share of outside messages is answered, with nine chances in ten.

        With few messages to measure by, the share that is seen is held below what is wanted by so much that chance
        alone does not lead above it.
        """
        if not len(self.measured.outside):
            return float(self.measured.inside.min(initial=0.0))
        return gate_threshold(self.measured.outside, wrong)


def gate_threshold(strange: Floats, wrong: float) -> float:
    """The gate that at most the share `wrong` of messages like these passes, with nine chances in ten; some, please."""
    outside = np.sort(strange)[::-1]
    allowed = 0
    while allowed < len(outside) and _upper(allowed + 1, len(outside)) <= wrong:
        allowed += 1
    return float(np.nextafter(np.float32(outside[min(allowed, len(outside) - 1)]), np.float32(np.inf)))


def _choices(count: int) -> list[tuple[float, float]]:
    """Spelling's weight and smoothness that are tried; of many examples last what the seeds choose, as the system that
    was solved last is the one that is there."""
    if count > _FEW:
        return [(_SPELLING[1], _SMOOTH[0]), (_SPELLING[0], _SMOOTH[0]), (_SPELLING[0], _SMOOTH[1])]
    return [(spelling, smooth) for spelling in _SPELLING for smooth in _SMOOTH]


class Spelling:
    """Texts as rows of their features, those that are rare weighing more; each row of length one."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [_counted(text) for text in texts]
        everything = np.concatenate([np.zeros(0, dtype=np.int64), *(keys for keys, _ in counted)])
        self._keys, seen = np.unique(everything, return_counts=True)
        self._rare = (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
        # What no example has is as rare as can be: it makes a text less like all of them.
        self._rarest = float(np.log(1 + len(texts)) + 1)
        self._rows = self._weighed(counted)
        self._columns = self._rows.T.tocsr()

    def among(self, begin: int = 0, end: int | None = None) -> Floats:
        """How alike these examples are with each. A few at a time: nearly every pair shares a piece, and on the way
        it takes three times the room."""
        return np.asarray((self._rows[begin:end] @ self._columns).toarray(), dtype=np.float32)

    def of(self, texts: Sequence[str]) -> Floats:
        """How alike other texts are with each of the examples."""
        return np.asarray(
            (self._weighed([_counted(text) for text in texts]) @ self._columns).toarray(), dtype=np.float32
        )

    def weighed(self, text: str) -> tuple[NDArray[np.int64], Floats]:
        """The features of a text with their weights, of length one; also those that no example has."""
        keys, often = _counted(text)
        return keys, self._weights_of(keys, often)[2]

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        kept = (self._rows, self._columns)
        return int(self._keys.nbytes) + sum(
            int(each.data.nbytes + each.indices.nbytes + each.indptr.nbytes) for each in kept
        )

    def _weights_of(
        self, keys: NDArray[np.int64], often: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], Floats]:
        """Where features stand among the known ones, whether they do, and what they weigh in a text of length one."""
        place = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        known = self._keys[place] == keys if len(self._keys) else np.zeros(len(keys), dtype=bool)
        weight = often * np.where(known, self._rare[place] if len(self._keys) else 0, self._rarest)
        return place, known, (weight / max(float(np.linalg.norm(weight)), 1e-6)).astype(np.float32)

    def _weighed(self, counted: Sequence[tuple[NDArray[np.int64], Floats]]) -> sparse.csr_matrix:
        rows = []
        for keys, often in counted:
            place, known, weight = self._weights_of(keys, often)
            rows.append((place[known], weight[known]))
        return _sparse(rows, len(self._keys))


def _sparse(rows: Sequence[tuple[NDArray[np.int64], Floats]], width: int) -> sparse.csr_matrix:
    """Rows of (columns, values) as one matrix."""
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *(own for own, _ in rows)])
    values = np.concatenate([np.zeros(0, dtype=np.float32), *(own for _, own in rows)])
    starts = np.cumsum([0, *(len(own) for own, _ in rows)])
    return sparse.csr_matrix((values, columns, starts), shape=(len(rows), max(width, 1)))


class OwnSpelling:
    """More texts, weighed as those of a `Spelling` are: how alike they are with each other and with other texts."""

    def __init__(self, base: Spelling, texts: Sequence[str]) -> None:
        self._base = base
        weighed = [base.weighed(text) for text in texts]
        self._keys = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(keys for keys, _ in weighed)]))
        self._rows = self._placed(weighed)
        self._columns = self._rows.T.tocsr()

    def among(self, begin: int = 0, end: int | None = None) -> Floats:
        """How alike these texts are with each, a few at a time."""
        return np.asarray((self._rows[begin:end] @ self._columns).toarray(), dtype=np.float32)

    def of(self, texts: Sequence[str]) -> Floats:
        """How alike other texts are with each of these."""
        rows = self._placed([self._base.weighed(text) for text in texts])
        return np.asarray((rows @ self._columns).toarray(), dtype=np.float32)

    def settled(self) -> None:
        """Only `of` is asked from now on."""
        self._rows = self._rows[:0]

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        kept = self._columns
        return int(self._keys.nbytes + kept.data.nbytes + kept.indices.nbytes + kept.indptr.nbytes)

    def _placed(self, weighed: Sequence[tuple[NDArray[np.int64], Floats]]) -> sparse.csr_matrix:
        rows = []
        for keys, weight in weighed:
            place = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
            known = self._keys[place] == keys if len(self._keys) else np.zeros(len(keys), dtype=bool)
            rows.append((place[known], weight[known]))
        return _sparse(rows, len(self._keys))


def _counted(text: str) -> tuple[NDArray[np.int64], Floats]:
    """The features of a text, and how often each stands in it, dampened."""
    different, often = np.unique(features(text), return_counts=True)
    return different, (1 + np.log(often)).astype(np.float32)


def _wanted(topic: NDArray[np.int64], count: int) -> Floats:
    """What the model is to say of each example: one column per topic, and the last for outside."""
    wanted = np.full((len(topic), count + 1), -1 / (count - 1), dtype=np.float32)
    inside = np.flatnonzero(topic >= 0)
    wanted[inside, topic[inside]] = 1
    wanted[:, count] = np.where(topic >= 0, -1, 1)
    return wanted


def alike(near: Floats, spelled: Floats, spelling: float) -> Floats:
    """How alike texts are, by their vectors' cosines and by their spelling, which weighs so much."""
    found: Floats = near - np.float32(1)
    found *= np.float32(2 * _WIDTH)
    np.exp(found, out=found)
    for at in range(0, len(found), _ROWS):
        found[at : at + _ROWS] *= np.float32(1 - spelling) + np.float32(spelling) * spelled[at : at + _ROWS]
    return found


def system(count: int, near: Callable[[int, int], Floats], spelled: Spelling | OwnSpelling, spelling: float) -> Floats:
    """How alike all examples are, each with each: the one matrix of their square that is made.

    `near`: the cosines of some of them, from where to where, with all.
    """
    found = np.empty((count, count), dtype=np.float32)
    for at in range(0, count, _ROWS):
        end = min(at + _ROWS, count)
        found[at:end] = alike(near(at, end), spelled.among(at, end), spelling)
    return found


def inverted(symmetric: Floats) -> Floats:
    """The inverse of a symmetric matrix, in its own place: it is used up. Raises ArithmeticError."""
    # The other way round it is the same matrix, and as LAPACK wants it: no copy is made.
    lower, failed = lapack.spotrf(symmetric.T, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(lower, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ArithmeticError("The examples cannot be told apart.")
    for at in range(0, len(inverse), _ROWS):
        end = at + _ROWS
        inverse[at:end, end:] = inverse[end:, at:end].T
        corner = inverse[at:end, at:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
    found: Floats = inverse
    return found


def _solve(alike: Floats, wanted: Floats, smooth: float) -> tuple[Floats, Floats]:
    """The weights of the examples, and the inverse that they come from. `alike` is used up: it becomes the inverse."""
    alike[np.diag_indices_from(alike)] += smooth
    inverse = inverted(alike)
    return inverse @ wanted, inverse


def nearest_of(asked: Floats, known: NDArray[np.floating[Any]], among: NDArray[np.bool_]) -> Floats:
    """How near the nearest of `known` is that is `among` them; -1 where none is."""
    found = np.full(len(asked), -1, dtype=np.float32)
    for at in range(0, len(known), _ROWS):
        some = np.asarray(known[at : at + _ROWS][among[at : at + _ROWS]], dtype=np.float32)
        np.maximum(found, (asked @ some.T).max(axis=1, initial=-1), out=found)
    return found


def _nearest(known: Floats, topic: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """How near each example's nearest other is that is inside, and its nearest among the other topics; -1 for none."""
    inside = topic >= 0
    nearest, strange = np.empty(len(known), dtype=np.float32), np.empty(len(known), dtype=np.float32)
    for at in range(0, len(known), _ROWS):
        rows = known[at : at + _ROWS] @ known.T
        rows[np.arange(len(rows)), np.arange(at, at + len(rows))] = -1
        rows[:, ~inside] = -1
        nearest[at : at + _ROWS] = rows.max(axis=1)
        rows[topic[at : at + _ROWS, None] == topic] = -1
        strange[at : at + _ROWS] = rows.max(axis=1)
    return nearest, strange


def block_inverse(
    inverse: Floats, through: Floats, own: Floats, shared: NDArray[np.int64], ours: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Rows and columns of the larger system's inverse: `shared` ones of the smaller system, `ours` of the added rows.

    `through` is the smaller inverse times what links both, of the `shared` rows; `own` the inverse of the complement.
    """
    across = through @ own
    top = inverse[np.ix_(shared, shared)] + across @ through.T
    side = -across[:, ours]
    return np.block([[top, side], [side.T, own[np.ix_(ours, ours)]]]).astype(np.float64)


def _measure(
    weights: Floats, inverse: Floats, wanted: Floats, topic: NDArray[np.int64], nearest: Floats, strangers: Floats
) -> Measured:
    """Each example by the model without it; outside by labelled messages, or by topics held out whole."""
    inside = topic >= 0
    unseen = wanted - weights / np.diag(inverse)[:, None]
    gates = gate_of(unseen, nearest)
    right = unseen[inside][:, :-1].argmax(axis=1) == topic[inside]
    margins = _first(unseen[inside])[1]
    if (~inside).sum() >= ENOUGH_OUTSIDE:
        return Measured(right, gates[inside], gates[~inside], margins)
    strange = [gates[~inside]]
    for name in range(wanted.shape[1] - 1):
        own = np.flatnonzero(topic == name)
        if inside.sum() == len(own):
            continue
        block = inverse[np.ix_(own, own)].astype(np.float64)
        said = wanted[own] - np.linalg.solve(block, weights[own].astype(np.float64))
        said[:, name] = -np.inf
        strange.append(gate_of(said, strangers[own]))
    return Measured(right, gates[inside], np.concatenate(strange).astype(np.float32), margins)


# How much the nearest example weighs in the gate.
_NEAREST = 0.5


def gate_of(scores: Floats, nearest: Floats) -> Floats:
    """One number that says whether the best topic may be answered: how well it fits and how far it is ahead of the
    next, less what speaks for outside, and what is nearest."""
    best, margin = _first(scores)
    found: Floats = best + np.float32(AHEAD) * margin - _OUTSIDE * scores[:, -1] + _NEAREST * nearest
    return found


def _first(scores: Floats) -> tuple[Floats, Floats]:
    """The best topic's score of each message, and how far it is ahead of the next that there is."""
    next_one, best = np.partition(scores[:, :-1], -2, axis=1)[:, -2:].T
    # Where the others are held out there is nobody to be ahead of.
    return best, np.where(np.isfinite(next_one), best - next_one, 0).astype(np.float32)


def _logistic(measured: Measured) -> tuple[float, float]:
    """Slope and offset that turn the gate into the probability of being right, by Newton's method."""
    gate = np.concatenate([measured.inside, measured.outside]).astype(np.float64)
    right = np.concatenate([measured.right, np.zeros(len(measured.outside), dtype=bool)]).astype(np.float64)
    # As if one of each had been seen besides: nothing is ever certain (Platt 1999).
    aim = np.where(right > 0, (right.sum() + 1) / (right.sum() + 2), 1 / (len(right) - right.sum() + 2))
    found = _newton(np.stack([gate, np.ones_like(gate)], axis=1), aim, np.array([1.0, -float(gate.mean())]))
    return float(max(found[0], 0.0)), float(found[1])


def _sure(measured: Measured) -> NDArray[np.float64]:
    """What gate, margin and one weigh in how probable it is that the best topic is right, among messages inside."""
    right = measured.right.astype(np.float64)
    aim = np.where(right > 0, (right.sum() + 1) / (right.sum() + 2), 1 / (len(right) - right.sum() + 2))
    gate, margin = measured.inside.astype(np.float64), measured.margins.astype(np.float64)
    found = _newton(np.stack([gate, margin, np.ones_like(gate)], axis=1), aim, np.zeros(3))
    # More of either never makes it less probable.
    found[:2] = np.maximum(found[:2], 0.0)
    return found


def _newton(columns: NDArray[np.float64], aim: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of a logistic regression, from `found` on."""
    for _ in range(50):
        said = 1 / (1 + np.exp(-np.clip(columns @ found, -30, 30)))
        curve = (columns * (said * (1 - said))[:, None]).T @ columns + 1e-3 * np.eye(columns.shape[1])
        step = np.linalg.solve(curve, columns.T @ (said - aim) + 1e-3 * found)
        found = found - step
        if float(np.abs(step).max()) < 1e-6:
            break
    return found


def _upper(seen: int, of: int) -> float:
    """The share that is not exceeded with nine chances in ten, when `seen` of `of` were counted (Wilson 1927)."""
    z = 1.2816
    share = seen / of
    middle = share + z * z / (2 * of)
    spread = z * float(np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)))
    return (middle + spread) / (1 + z * z / of)
