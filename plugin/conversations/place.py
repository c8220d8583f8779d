"""How many wait before somebody, and how long an answer takes just now: measured, or nothing is said."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx

RECENT = timedelta(hours=2)
"""First answers of this long tell how it goes just now."""

ENOUGH = 3
"""So many of them do; fewer tell nothing."""

PATIENT = timedelta(hours=24)
"""Whoever waits longer is no longer served in turn, and counts for nobody's place."""


@dataclass(frozen=True, slots=True)
class Place:
    """`position` 1 is next. `minutes` is how long three of four wait at most, less the wait so far; None: unknown."""

    position: int
    minutes: int | None


# Whoever waits longer than the answered did is a longer wait too: in a jam the measure must not stay sunny.
_PLACE = text("""
WITH mine AS (
    SELECT c.id, c.waiting_since, c.workspace_id FROM conversations c
    WHERE c.workspace_id = :workspace AND c.id = :id AND c.status = 'open' AND c.channel = 'widget'
        AND c.waiting_since > now() - CAST(:patient AS interval) AND c.first_replied_at IS NULL
), waiting AS (
    SELECT c.id, c.waiting_since FROM conversations c
    WHERE c.workspace_id = :workspace AND c.waiting_since IS NOT NULL AND c.status = 'open' AND c.channel = 'widget'
        AND c.waiting_since > now() - CAST(:patient AS interval) AND c.first_replied_at IS NULL
), answered AS (
    SELECT c.first_replied_at - c.created_at AS took FROM conversations c
    WHERE c.workspace_id = :workspace AND c.channel = 'widget' AND NOT c.begun_by_us
        AND c.first_replied_at > now() - CAST(:recent AS interval) AND c.active_at > now() - CAST(:recent AS interval)
), usual AS (
    SELECT count(*) AS n, percentile_cont(0.75) WITHIN GROUP (ORDER BY took) AS took FROM answered
), every AS (
    SELECT took FROM answered
    UNION ALL
    SELECT now() - w.waiting_since FROM waiting w, usual WHERE now() - w.waiting_since > usual.took
)
SELECT (SELECT count(*) FROM waiting w WHERE (w.waiting_since, w.id) <= (mine.waiting_since, mine.id)) AS position,
    CASE WHEN usual.n >= :enough THEN
        extract(epoch FROM (SELECT percentile_cont(0.75) WITHIN GROUP (ORDER BY took) FROM every)
            - (now() - mine.waiting_since))
    END AS seconds
FROM mine, usual
""")


async def place(tx: Tx, conversation_id: UUID) -> Place | None:
    """The place of a shopper who waits for a first answer; None for whoever does not."""
    found = (
        await tx.execute(
            _PLACE,
            {"workspace": tx.workspace_id, "id": conversation_id, "patient": PATIENT, "recent": RECENT,
             "enough": ENOUGH},
        )
    ).one_or_none()  # fmt: skip
    if found is None:
        return None
    late = found.seconds is None or found.seconds <= 0
    return Place(found.position, None if late else max(1, -(-int(found.seconds) // 60)))
