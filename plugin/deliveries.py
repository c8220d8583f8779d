"""What stores sent us, as the panel and the health of a store see it: when, of what kind, with which outcome.

The table belongs to the webhook edge; a room may read and put back this workspace's own rows, nothing else. Bodies are
personal data and are never read here: a delivery is its topic, its times, its outcome and its size.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx

LIMIT = 25
# Enough for a median, and for the rhythm of a shop; more would be read for nothing.
_LATEST = 100
_RHYTHM = 500
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook. `state`: done, parked (it cannot be read; `error` is the technical reason) or waiting.

    `triggered_at` is the sender's word for when it happened, where it says one; `done_at` when it was written.
    """

    id: int
    topic: str
    triggered_at: datetime | None
    received_at: datetime
    done_at: datetime | None
    state: str
    error: str
    attempts: int
    size: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How a store's deliveries stand: those of the last day, and of any age what waits or was set aside."""

    received: int
    waiting: int
    waiting_since: datetime | None
    parked: int
    parked_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds, the median of the latest deliveries: on the way to us (None where the sender does not say when it
    happened), and until written. Both None while nothing came.
    """

    arriving: float | None
    writing: float | None


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When the store last told us about an order, and the latest such times, newest first."""

    last_at: datetime | None
    times: Sequence[datetime]


async def latest(
    tx: Tx, store_id: UUID, *, parked: bool = False, before: int | None = None, limit: int = LIMIT
) -> Sequence[Delivery]:
    """The newest deliveries of a store, or only those that were set aside; `before` goes on behind that id."""
    parameters = {"workspace": tx.workspace_id, "store": store_id, "limit": limit, "before": before}
    older = "" if before is None else _OLDER
    rows = await tx.execute(text((_PARKED if parked else _ALL).format(older=older)), parameters)
    return [
        Delivery(
            row.id, row.topic, _moment(row.triggered_at), row.received_at, row.done_at, row.state, row.error,
            row.attempts, row.size,
        )
        for row in rows
    ]  # fmt: skip


_OURS = "FROM webhook_inbox WHERE workspace_id = :workspace AND store_id = :store"
_PARKED_ONLY = "parked_at IS NOT NULL AND done_at IS NULL"
_WAITING_ONLY = "parked_at IS NULL AND done_at IS NULL"
_OLDER = """AND (received_at, id) < (SELECT b.received_at, b.id FROM webhook_inbox b
    WHERE b.workspace_id = :workspace AND b.store_id = :store AND b.id = CAST(:before AS bigint))"""
_COLUMNS = """
SELECT id, topic, headers ->> 'triggered_at' AS triggered_at, received_at, done_at, error, attempts,
    octet_length(body) AS size, CASE WHEN done_at IS NOT NULL THEN 'done' WHEN parked_at IS NOT NULL THEN 'parked'
    ELSE 'waiting' END AS state
"""
_NEWEST = "{older} ORDER BY received_at DESC, id DESC LIMIT :limit"
# Each part has its own partial index; asked as one, the whole inbox would be read.
_PARKED = f"{_COLUMNS} {_OURS} AND {_PARKED_ONLY} {_NEWEST}"
_ALL = (
    "SELECT * FROM ("
    + " UNION ALL ".join(
        f"({_COLUMNS} {_OURS} AND {condition} {_NEWEST})"
        for condition in ("done_at IS NOT NULL", _PARKED_ONLY, _WAITING_ONLY)
    )
    + ") every ORDER BY received_at DESC, id DESC LIMIT :limit"
)


def _moment(said: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


async def tally(tx: Tx, store_id: UUID) -> Tally:
    """How the store's deliveries stand now."""
    parameters = {"workspace": tx.workspace_id, "store": store_id}
    row = (await tx.execute(_TALLY, parameters)).one()
    return Tally(row.received, row.waiting, row.waiting_since, row.parked, row.parked_at, row.last_at)


_TALLY = text(f"""
SELECT done.received + aside.received + waits.waiting AS received, waits.waiting, waits.waiting_since, aside.parked,
    aside.parked_at, greatest(last.at, aside.last_at, waits.last_at) AS last_at
FROM
    (SELECT count(*) AS received {_OURS} AND done_at IS NOT NULL AND received_at > now() - interval '1 day') done,
    (SELECT max(received_at) AS at FROM (SELECT received_at {_OURS} AND done_at IS NOT NULL
        ORDER BY received_at DESC, id DESC LIMIT 1) newest) last,
    (SELECT count(*) AS parked, count(*) FILTER (WHERE received_at > now() - interval '1 day') AS received,
        max(received_at) AS last_at, min(parked_at) AS parked_at {_OURS} AND {_PARKED_ONLY}) aside,
    (SELECT count(*) AS waiting, min(received_at) AS waiting_since, max(received_at) AS last_at
        {_OURS} AND {_WAITING_ONLY}) waits
""")


async def lag(tx: Tx, store_id: UUID) -> Lag:
    """How long the latest deliveries took, on their way and with us."""
    rows = (await tx.execute(_TOOK, {"workspace": tx.workspace_id, "store": store_id, "limit": _LATEST})).all()
    writing = [(row.done_at - row.received_at).total_seconds() for row in rows]
    arriving = [
        (row.received_at - moment).total_seconds() for row in rows if (moment := _moment(row.triggered_at)) is not None
    ]
    return Lag(
        max(0.0, median(arriving)) if arriving else None,
        max(0.0, median(writing)) if writing else None,
    )


_TOOK = text(
    f"SELECT headers ->> 'triggered_at' AS triggered_at, received_at, done_at {_OURS} AND done_at IS NOT NULL "
    "ORDER BY received_at DESC, id DESC LIMIT :limit"
)


async def rhythm(tx: Tx, store_id: UUID) -> Rhythm:
    """How often the store tells us about orders: every platform's topics about them begin with that word.

    Other topics do not count: a store whose order webhooks are gone may go on telling of carts.
    """
    parameters = {"workspace": tx.workspace_id, "store": store_id, "limit": _RHYTHM, "looked_at": _LOOKED_AT}
    times = list(await tx.scalars(_TIMES, parameters))
    last = await tx.scalar(_LAST_UNDONE, {"workspace": tx.workspace_id, "store": store_id})
    return Rhythm(max(filter(None, (last, *times[:1])), default=None), times)


_TIMES = text(f"""
SELECT received_at FROM (SELECT received_at, topic, id {_OURS} AND done_at IS NOT NULL
    ORDER BY received_at DESC, id DESC LIMIT :looked_at) latest
WHERE topic LIKE 'order%' ORDER BY received_at DESC, id DESC LIMIT :limit
""")
# What cannot be read, or was not yet, was told all the same.
_LAST_UNDONE = text(f"""
SELECT greatest((SELECT max(received_at) {_OURS} AND {_PARKED_ONLY} AND topic LIKE 'order%'),
    (SELECT max(received_at) {_OURS} AND {_WAITING_ONLY} AND topic LIKE 'order%'))
""")


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
