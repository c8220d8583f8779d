"""The webhook inbox: what arrived, exactly as it arrived, durable before anybody is answered 200."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    and_,
    delete,
    func,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Database, Tx
from plugin.kernel.personal import kept


class InboxRow(Base):
    """One delivery. `key` deduplicates within a `source`; `store_key` names the store as the sender did.

    `workspace_id` and `store_id` are null until it is claimed; `parked_at` with `error` marks a poisoned row.
    """

    __tablename__ = "webhook_inbox"
    __table_args__ = (
        UniqueConstraint("source", "key"),
        Index("ix_webhook_inbox_waiting", "id", postgresql_where=text("done_at IS NULL AND parked_at IS NULL")),
        Index(
            "ix_webhook_inbox_store",
            "store_key",
            "id",
            postgresql_where=text("done_at IS NULL AND parked_at IS NULL"),
        ),
        Index("ix_webhook_inbox_parked", "workspace_id", "parked_at", postgresql_where=text("parked_at IS NOT NULL")),
        # What a store's page and its health are read from. Written once in a row's life, when it is done.
        # Narrow, for every row of a batch pays for it.
        Index("ix_webhook_inbox_done", "store_id", "received_at", postgresql_where=text("done_at IS NOT NULL")),
        {
            "info": {
                "access": "queue",
                "grants": "SELECT, UPDATE",
                **kept(
                    "that a delivery came, so that it is not taken twice",
                    blank=("body", "headers", "error"),
                    plain=("source", "key", "store_kind", "store_key", "topic"),
                ),
            }
        },
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source: Mapped[str]
    key: Mapped[str]
    store_kind: Mapped[str]
    store_key: Mapped[str]
    topic: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    workspace_id: Mapped[UUID | None]
    store_id: Mapped[UUID | None]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    done_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(server_default="")


# Long enough for any batch; what a killed worker had in hand is free again after it.
CLAIM_SECONDS = 15
CLAIM_STORES = 8
CLAIM_ROWS = 250
CLAIM_LOOKED_AT = 64
CLAIM_BYTES = 32 * 1024 * 1024
"""A claim takes the oldest rows that fit into this, and one row at least: mails may have 40 MB each."""

MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this process works on until its lease ends."""

    id: int
    source: str
    store_kind: str
    store_key: str
    topic: str
    body: bytes
    headers: dict[str, str]
    received_at: datetime
    attempts: int
    workspace_id: UUID | None
    store_id: UUID | None


_CLAIM = text(
    """
    WITH oldest AS (
        SELECT waiting.store_kind, waiting.store_key, min(waiting.id) AS first
        FROM (
            SELECT id, store_kind, store_key FROM webhook_inbox
            WHERE done_at IS NULL AND parked_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())
            ORDER BY id LIMIT :looked_at
        ) waiting
        GROUP BY waiting.store_kind, waiting.store_key ORDER BY first LIMIT :stores
    ),
    chosen AS (
        SELECT mine.id, mine.size, whose.workspace_id, whose.store_id
        FROM oldest
        LEFT JOIN LATERAL (SELECT * FROM ahlan_lookup(oldest.store_kind, oldest.store_key) LIMIT 1) whose ON true
        CROSS JOIN LATERAL (
            SELECT id, octet_length(body) AS size FROM webhook_inbox w
            WHERE w.store_key = oldest.store_key AND w.store_kind = oldest.store_kind
              AND done_at IS NULL AND parked_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())
            ORDER BY id LIMIT :rows FOR UPDATE SKIP LOCKED
        ) mine
    ),
    fitting AS (
        SELECT *, sum(size) OVER (ORDER BY id) AS filled FROM chosen
    )
    UPDATE webhook_inbox w SET claimed_until = now() + make_interval(secs => :seconds), attempts = w.attempts + 1,
        workspace_id = CASE WHEN fitting.store_id IS NULL THEN w.workspace_id ELSE fitting.workspace_id END,
        store_id = coalesce(fitting.store_id, w.store_id)
    FROM fitting WHERE w.id = fitting.id AND (filled <= :bytes OR filled = size)
    RETURNING w.id, source, store_kind, store_key, topic, body, headers, received_at, attempts, fitting.workspace_id,
        fitting.store_id
    """
).columns(headers=JSONB)


async def claim(db: Database) -> list[Claimed]:
    """Take waiting rows, as the queue role; nobody else gets them for CLAIM_SECONDS.

    The stores of the oldest rows come first, and of each as many rows as fill a batch: with many stores at once the
    writes stay set-based. Each row learns here whose it is, by the directory; from then on the application role of its
    workspace sees it too. A store that we do not know leaves both empty; one that we know no more leaves whose data
    the row holds, so that its redaction still finds it.
    """
    limits = {
        "looked_at": CLAIM_LOOKED_AT, "stores": CLAIM_STORES, "rows": CLAIM_ROWS, "seconds": CLAIM_SECONDS,
        "bytes": CLAIM_BYTES,
    }  # fmt: skip
    async with db.queue.begin() as connection:
        rows = await connection.execute(_CLAIM, limits)
        return sorted((Claimed(*row) for row in rows), key=lambda row: row.id)


async def add(
    connection: AsyncConnection, *, source: str, key: str, store_kind: str, store_key: str, topic: str, body: bytes
) -> None:
    """Put what we fetched ourselves beside what was posted, in the caller's transaction; once only."""
    await connection.execute(
        insert(InboxRow)
        .values(source=source, key=key, store_kind=store_kind, store_key=store_key, topic=topic, body=body, headers={})
        .on_conflict_do_nothing()
    )


async def stamp(tx: Tx, ids: Sequence[int]) -> set[int]:
    """Mark rows as done in the transaction of their effect; returns those that nobody had done before."""
    return set(await tx.scalars(_STAMP, {"workspace": tx.workspace_id, "ids": list(ids)}))


_STAMP = text(
    "UPDATE webhook_inbox SET done_at = now(), error = '' "
    "WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS bigint[])) AND done_at IS NULL RETURNING id"
)


async def ignore(db: Database, ids: Sequence[int], reason: str) -> None:
    """Close rows that concern nobody here."""
    async with db.queue.begin() as connection:
        await connection.execute(
            update(InboxRow).where(InboxRow.id.in_(ids)).values(done_at=func.now(), error=reason[:2000])
        )


async def park(db: Database, row_id: int, error: str) -> None:
    """Set a poisoned row aside with its error, visible to the merchant, until somebody replays it."""
    async with db.queue.begin() as connection:
        await connection.execute(
            update(InboxRow).where(InboxRow.id == row_id).values(parked_at=func.now(), error=error[:2000])
        )


async def release(db: Database, ids: Sequence[int], error: str, seconds: float) -> None:
    """Let rows be claimed again after `seconds`: what stopped them may pass."""
    async with db.queue.begin() as connection:
        await connection.execute(
            update(InboxRow)
            .where(InboxRow.id.in_(ids))
            .values(claimed_until=func.now() + timedelta(seconds=seconds), error=error[:2000])
        )


async def replay(
    db: Database, *, workspace_id: UUID | None = None, ids: Sequence[int] = (), since: datetime | None = None
) -> int:
    """Put rows back: the parked ones, those named, or everything received `since`. Handlers are idempotent."""
    condition: ColumnElement[bool] = InboxRow.parked_at.is_not(None) if not ids and since is None else true()
    if ids:
        condition = and_(condition, InboxRow.id.in_(ids))
    if since is not None:
        condition = and_(condition, InboxRow.received_at >= since)
    if workspace_id is not None:
        condition = and_(condition, InboxRow.workspace_id == workspace_id)
    async with db.queue.begin() as connection:
        result = await connection.execute(
            update(InboxRow)
            # What was erased cannot be read again.
            .where(condition, InboxRow.body != b"")
            .values(done_at=None, parked_at=None, claimed_until=None, attempts=0, error="")
        )
        return int(result.rowcount)


async def parked(db: Database) -> int:
    """How many rows are set aside."""
    async with db.queue.connect() as connection:
        count = await connection.execute(select(func.count()).where(InboxRow.parked_at.is_not(None)))
        return int(count.scalar_one())


async def prune(db: Database, days: int) -> int:
    """Delete done rows older than `days`, and parked ones older than three times that. Returns how many."""
    async with db.queue.begin() as connection:
        result = await connection.execute(
            delete(InboxRow).where(
                (InboxRow.done_at < func.now() - timedelta(days=days))
                | (InboxRow.parked_at < func.now() - timedelta(days=3 * days))
            )
        )
        return int(result.rowcount)
