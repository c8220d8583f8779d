"""How good a bot or a search is, in numbers. Pure; docs/bot.md says what each means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.8
_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Tried:
    """One question and what became of it. `place` is where the right topic stood, from 0; None outside.

    `gate` says whether it is about any topic, `certainty` whether about the first one, if about any.
    """

    language: str
    inside: bool
    place: int | None
    gate: float
    certainty: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class BotFigures:
    """Shares are of 1; None where there is nothing to measure by."""

    questions: int
    outside: int
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    recall_at_1: float | None
    recall_at_3: float | None
    auroc: float | None
    answered_correctly: float | None
    wrong_acceptance: float | None
    precision_at_80: float | None


@dataclass(frozen=True, slots=True)
class SearchFigures:
    """Shares of questions whose passage came first, and among the first five."""

    questions: int
    recall_at_1: float | None
    recall_at_5: float | None


def bot_figures(tried: Sequence[Tried], seed: int) -> BotFigures:
    """Everything that `ahlan bot evaluate` says of these questions."""
    inside = [one for one in tried if one.inside]
    outside = [one for one in tried if not one.inside]
    right = np.array([one.place == 0 for one in inside], dtype=bool)
    low, high = _interval(right, seed)
    return BotFigures(
        questions=len(inside),
        outside=len(outside),
        accuracy=_share(right),
        accuracy_low=low,
        accuracy_high=high,
        recall_at_1=_share(right),
        recall_at_3=_share([one.place is not None and one.place < 3 for one in inside]),
        auroc=auroc([one.gate for one in inside], [one.gate for one in outside]),
        answered_correctly=_share([one.accepted and one.place == 0 for one in inside]),
        wrong_acceptance=_share([one.accepted for one in outside]),
        precision_at_80=_precision(inside),
    )


def search_figures(places: Sequence[int | None]) -> SearchFigures:
    """Everything that `ahlan search evaluate` says: `places` is where the right passage stood, from 0."""
    return SearchFigures(
        len(places),
        _share([place == 0 for place in places]),
        _share([place is not None and place < 5 for place in places]),
    )


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float | None:
    """The chance that a question inside has the higher gate of the two; ties count half."""
    if not inside or not outside:
        return None
    values = np.concatenate([np.asarray(inside, dtype=float), np.asarray(outside, dtype=float)])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    own = ranks[place[: len(inside)]].sum() - len(inside) * (len(inside) + 1) / 2
    return float(own / (len(inside) * len(outside)))


def latency(milliseconds: Sequence[float]) -> dict[str, float]:
    """The median and what one in twenty takes longer than."""
    if not milliseconds:
        return {"p50": 0.0, "p95": 0.0}
    p50, p95 = np.percentile(np.asarray(milliseconds), [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def by_language(
    languages: Sequence[str], figures: Callable[[NDArray[np.int64]], BotFigures | SearchFigures]
) -> dict[str, dict[str, Any]]:
    """The figures of all questions under `all`, and of each language under its name."""
    named = np.array(languages)
    found = {"all": asdict(figures(np.arange(len(languages))))}
    for language in sorted(set(languages)):
        found[language] = asdict(figures(np.flatnonzero(named == language)))
    return found


def _share(hits: Sequence[bool] | NDArray[np.bool_]) -> float | None:
    return float(np.mean(hits)) if len(hits) else None


def _precision(inside: Sequence[Tried]) -> float | None:
    """How many are right among the four fifths of the questions inside whose first topic is the most certain."""
    surest = sorted(inside, key=lambda one: -one.certainty)[: round(len(inside) * COVERAGE)]
    return _share([one.place == 0 for one in surest])


def _interval(right: NDArray[np.bool_], seed: int) -> tuple[float | None, float | None]:
    """Where 95 of 100 samples of as many questions would lie (bootstrap)."""
    if not len(right):
        return None, None
    drawn = np.random.default_rng(seed).binomial(len(right), right.mean(), _RESAMPLES) / len(right)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
