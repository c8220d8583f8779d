"""Whether a new model may take the place of the one that answers: questions that neither of them learnt, both asked.

Two sets, frozen by themselves: the shared examples, each as if it were unknown (`plugin.language.own.Check`), and every
fifth approved question, drawn by its own letters, which is never taught. The test is McNemar's exact one, one-sided: of
the questions that only one of both does right, that many or more would be lost by chance in less than one of a hundred.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from plugin.kernel.text import search_key

CHANCE = 0.01
"""How seldom a loss must be by chance alone to be held against a model."""

_OUT_OF = 5
_FREE = 500
"""One of so many shared questions may be lost besides: every topic that is added costs its neighbours a little."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model does right, question by question, in the order of the questions.

    `first`, `answered`, `strange` of the shared examples (`plugin.language.own.Check`), `person` which of them ask for
    a person; `held` of the held-out approved ones.
    """

    first: Sequence[bool]
    answered: Sequence[bool]
    strange: Sequence[bool]
    held: Sequence[bool]
    person: Sequence[bool]


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: of `count` questions `before` were right and `now` are. `lost`: more than chance takes."""

    name: str
    count: int
    before: int
    now: int
    worse: int
    better: int
    chance: float
    lost: bool

    def told(self) -> dict[str, Any]:
        """As it is kept beside a model."""
        return {"name": self.name, "count": self.count, "before": self.before, "now": self.now, "worse": self.worse,
                "better": self.better, "chance": round(self.chance, 5), "lost": self.lost}  # fmt: skip


def is_held_out(text: str) -> bool:
    """Whether an approved question is for the check and never taught: the same one always."""
    return blake2b(search_key(text).encode(), digest_size=8).digest()[0] % _OUT_OF == 0


def compare(now: Answers, before: Answers) -> list[Compared]:
    """Every comparison of a new model with the one that answers."""
    free = len(now.first) // _FREE
    persons = [at for at, one in enumerate(now.person) if one]
    done = [*now.answered, *(not one for one in now.strange)]
    was = [*before.answered, *(not one for one in before.strange)]
    return [
        _compared("topic", now.first, before.first, free),
        _compared("done", done, was, free),
        _compared("strange", [not one for one in now.strange], [not one for one in before.strange], free),
        _compared("person", [now.first[at] for at in persons], [before.first[at] for at in persons], 0),
        _compared("own", now.held, before.held, 0),
    ]


def _compared(name: str, now: Sequence[bool], before: Sequence[bool], free: int) -> Compared:
    worse = sum(was and not one for one, was in zip(now, before, strict=True))
    better = sum(one and not was for one, was in zip(now, before, strict=True))
    chance = by_chance(worse, better + free)
    return Compared(name, len(now), sum(before), sum(now), worse, better, chance, chance < CHANCE)


def by_chance(worse: int, better: int) -> float:
    """How probable `worse` or more of both are where each is as likely as the other (McNemar 1947, exact)."""
    total = worse + better
    # Each count of ways from the one after it: made from nothing, a thousand of them take a twentieth of a second.
    ways, tail = 1, 0
    for at in range(total, worse - 1, -1):
        tail += ways
        ways = ways * at // (total - at + 1)
    return float(tail / 2**total)


def shares(answers: Answers) -> Mapping[str, float]:
    """What is told of a model on its screen, in shares of one."""

    def share(some: Sequence[bool]) -> float:
        return round(sum(some) / len(some), 4) if some else 0.0

    return {"topic": share(answers.first), "answered": share(answers.answered), "strange": share(answers.strange),
            "own": share(answers.held), "held": len(answers.held)}  # fmt: skip
