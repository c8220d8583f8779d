"""What stores sent us, as the panel shows it: the newest deliveries of a store, those set aside with their error.

The table belongs to the webhook edge; a room may read and put back this workspace's own rows, nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx

LIMIT = 50


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook. `state`: done, parked (it cannot be read; `error` says why) or waiting."""

    id: int
    topic: str
    received_at: datetime
    state: str
    error: str
    attempts: int
    size: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How a store's deliveries of the last day stand."""

    received: int
    waiting: int
    parked: int
    last_at: datetime | None


async def latest(tx: Tx, store_id: UUID, *, parked: bool = False, limit: int = LIMIT) -> Sequence[Delivery]:
    """The newest deliveries of a store, or only those that were set aside."""
    parameters = {"workspace": tx.workspace_id, "store": store_id, "limit": limit}
    rows = await tx.execute(_PARKED if parked else _LATEST, parameters)
    return [Delivery(row.id, row.topic, row.received_at, row.state, row.error, row.attempts, row.size) for row in rows]


_COLUMNS = """
SELECT id, topic, received_at, error, attempts, octet_length(body) AS size,
    CASE WHEN parked_at IS NOT NULL THEN 'parked' WHEN done_at IS NOT NULL THEN 'done' ELSE 'waiting' END AS state
FROM webhook_inbox WHERE workspace_id = :workspace AND store_id = :store
"""
_LATEST = text(_COLUMNS + "ORDER BY id DESC LIMIT :limit")
_PARKED = text(_COLUMNS + "AND parked_at IS NOT NULL ORDER BY id DESC LIMIT :limit")


async def tally(tx: Tx, store_id: UUID) -> Tally:
    """Counts of the last 24 hours; parked ones of any age, for they wait for somebody."""
    row = (
        await tx.execute(
            text(
                "SELECT count(*) FILTER (WHERE received_at > now() - interval '1 day') AS received, "
                "count(*) FILTER (WHERE done_at IS NULL AND parked_at IS NULL) AS waiting, "
                "count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked, max(received_at) AS last_at "
                "FROM webhook_inbox WHERE workspace_id = :workspace AND store_id = :store "
                "AND (received_at > now() - interval '1 day' OR done_at IS NULL)"
            ),
            {"workspace": tx.workspace_id, "store": store_id},
        )
    ).one()
    return Tally(row.received, row.waiting, row.parked, row.last_at)


async def replay(tx: Tx, store_id: UUID, *, delivery_id: int | None = None) -> int:
    """Put a store's parked deliveries, or one of them, back into the queue. Returns how many."""
    rows = await tx.scalars(_REPLAY, {"workspace": tx.workspace_id, "store": store_id, "id": delivery_id})
    return len(rows.all())


_REPLAY = text("""
UPDATE webhook_inbox SET done_at = NULL, parked_at = NULL, claimed_until = NULL, attempts = 0, error = ''
WHERE workspace_id = :workspace AND store_id = :store AND parked_at IS NOT NULL
    AND (CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint))
RETURNING id
""")
