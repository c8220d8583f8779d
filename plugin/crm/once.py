"""A request to a platform that must not be made twice: what its answer, or the lack of one, means.

The caller counts an attempt and commits before it asks. The first attempt does it; whoever finds a counted one may only
ask what became of it, because nobody can tell whether the request went out (docs/decisions/order-actions.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from plugin.kernel.jobs import TaskError
from plugin.platform import Done, PlatformError

PATIENCE = timedelta(minutes=2)
"""How long an answer that was lost is looked for before a person is asked."""
KEY_LASTS = timedelta(hours=12)
"""How long a platform is trusted to know our key: it keeps keys for a window of its own, and after it the same request
is a new one (https://shopify.dev/docs/api/usage/implementing-idempotency). Money is not asked about later than that."""


class Verdict(StrEnum):
    """waits: ask again · unknown: it may have happened, and a person decides."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `untouched`: the request never arrived, so that the next attempt is a first one again.

    `said` and `code` are the platform's; `after`: when to ask again, in seconds.
    """

    verdict: Verdict
    done: Done | None = None
    said: str = ""
    code: str = ""
    lost: bool = False
    untouched: bool = False
    after: float = 0.0

    @property
    def later(self) -> TaskError:
        """What ends this run of the job so that it comes again."""
        return TaskError(self.said, retry=True, after=self.after)


async def ask(
    act: Callable[[], Awaitable[Done]],
    settle: Callable[[], Awaitable[Done | None]],
    *,
    attempts: int,
    since: datetime,
    moves: bool,
) -> Answer:
    """Do it, or find out what became of it. `attempts` counts this one, `since` is when it was first wanted.

    `moves`: money moves by it.
    """
    done: Done | None = None
    trouble = PlatformError("no trace of it yet", retry=True, code="no_trace", lost=True)
    try:
        if attempts > 1 and moves and datetime.now(UTC) - since > KEY_LASTS:
            raise trouble
        done = await (act() if attempts == 1 else settle())
    except PlatformError as error:
        trouble = error
    if done is not None:
        return Answer(Verdict.DONE, done, said=done.detail)
    waited = datetime.now(UTC) - since
    if trouble.retry and waited < PATIENCE:
        pause = max(3.0, 0.6 * waited.total_seconds())
        return Answer(
            Verdict.WAITS, said=trouble.said, code=trouble.code, lost=trouble.lost,
            untouched=attempts == 1 and not trouble.lost, after=min(trouble.after or pause, pause),
        )  # fmt: skip
    # A first request that never arrived did nothing; of a later one nobody knows what the first did.
    unsure = trouble.lost or (attempts > 1 and trouble.retry)
    return Answer(
        Verdict.UNKNOWN if unsure else Verdict.FAILED, said=trouble.said, code=trouble.code, lost=trouble.lost
    )
