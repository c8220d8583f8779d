"""Backfill: a store's history, page by page, with a checkpoint after each, so that it resumes where it stopped.

A page is fetched outside any transaction and written together with its checkpoint: killed anywhere, a page is at most
fetched twice and never skipped, and writing it twice changes nothing.
"""

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.crm import sync
from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.personal import kept
from plugin.platform import Page, PlatformError, Resource
from plugin.stores import Store

RUNNING = "running"
DONE = "done"
FAILED = "failed"

# A job may run for jobs.TASK_LIMIT; one that has worked this long hands over to a fresh one.
_SECONDS = 240.0
# A fresh table's first rows are planned for blindly; see Database.analyze.
_ANALYZE_AT = (250, 2_500, 25_000)
# Retries in a row without a page, at up to five minutes each: a store that stays away for hours is not there.
_MOST_FAILURES = 60


class Backfill(TenantRow, Base):
    """Progress of one resource of one store. `state`: running, done, failed; `cursor` is the platform's own.

    `total` is the platform's estimate. `limited_before`: older things exist that the platform does not show us, for
    want of the scope `limited_by`.
    """

    __tablename__ = "backfills"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "resource"),
        tenant_key("store_id", "stores"),
        {"info": kept("progress", blank=("last_error",), plain=("resource", "state", "cursor", "limited_by"))},
    )

    store_id: Mapped[UUID]
    resource: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=RUNNING)
    cursor: Mapped[str | None]
    done_count: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int | None]
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    limited_before: Mapped[datetime | None]
    limited_by: Mapped[str] = mapped_column(server_default="")
    last_error: Mapped[str] = mapped_column(server_default="")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


async def progress(tx: Tx, store_id: UUID) -> Sequence[Backfill]:
    """How far each resource of a store is."""
    return list(
        await tx.scalars(
            select(Backfill)
            .where(Backfill.workspace_id == tx.workspace_id, Backfill.store_id == store_id)
            .order_by(Backfill.resource)
            .execution_options(populate_existing=True)
        )
    )


async def restart(tx: Tx, store_id: UUID) -> None:
    """Forget the checkpoints of a store: the next `start_backfill` begins at the beginning."""
    await tx.execute(delete(Backfill).where(Backfill.workspace_id == tx.workspace_id, Backfill.store_id == store_id))


async def reopen(tx: Tx, store_id: UUID, allowed: Collection[str]) -> None:
    """Read anew what was cut short for want of one of these permissions, now that they are there."""
    cut = await tx.scalars(
        delete(Backfill)
        .where(Backfill.workspace_id == tx.workspace_id, Backfill.store_id == store_id)
        .where(Backfill.limited_by.in_(allowed))
        .returning(Backfill.id)
    )
    if list(cut):
        await tx.enqueue("start_backfill", unique=f"backfill:{store_id}", store_id=store_id)


async def resync(tx: Tx, store_id: UUID, resource: Resource | None = None) -> list[str]:
    """Read a resource, or all, again from the beginning. Returns what begins anew.

    What is being read already goes on where it is: pressed twice, it begins once. What is known is only confirmed.
    """
    begun = await tx.scalars(
        update(Backfill)
        .where(
            Backfill.workspace_id == tx.workspace_id,
            Backfill.store_id == store_id,
            Backfill.state != RUNNING,
            *([] if resource is None else [Backfill.resource == resource]),
        )
        .values(
            state=RUNNING, cursor=None, done_count=0, failures=0, last_error="", started_at=func.now(), finished_at=None
        )
        .returning(Backfill.resource)
        .execution_options(synchronize_session=False)
    )
    found = sorted(begun)
    await tx.enqueue("start_backfill", unique=f"backfill:{store_id}", store_id=store_id)
    tx.publish("backfill", {"store_id": str(store_id)})
    return found


async def start_backfill(
    app: App, workspace_id: UUID, *, store_id: str = "", subject_id: str = "", event_id: str = ""
) -> None:
    """Task: begin fetching a store's history, or go on where it stopped. Finished resources stay finished.

    Runs after `store.connected` (then `subject_id` is the store) and when somebody asks for it. A store that came back
    after it was gone starts again, for what happened meanwhile reached nobody.
    """
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, UUID(store_id or subject_id))
        if store is None or store.status != stores.CONNECTED:
            return
        await tx.execute(
            delete(Backfill).where(
                Backfill.workspace_id == workspace_id,
                Backfill.store_id == store.id,
                Backfill.finished_at < store.installed_at,
            )
        )
        await bulk.insert(
            tx,
            Backfill,
            [{"id": new_id(), "store_id": store.id, "resource": resource} for resource in Resource],
            key=("store_id", "resource"),
            update=(),
        )
        await tx.execute(
            update(Backfill)
            .where(Backfill.workspace_id == workspace_id, Backfill.store_id == store.id, Backfill.state == FAILED)
            .values(state=RUNNING, failures=0, last_error="", finished_at=None)
        )
        for row in await progress(tx, store.id):
            if row.state == RUNNING:
                await _enqueue(tx, store.id, row.resource)
            _publish(tx, row)


async def _enqueue(tx: Tx, store_id: UUID, resource: str, delay: float = 0) -> None:
    """Ask for the next page; a job that waits already is woken."""
    unique = f"backfill:{store_id}:{resource}"
    await tx.enqueue("backfill_resource", delay=delay, unique=unique, store_id=store_id, resource=resource)
    if delay == 0:
        await tx.execute(
            text(
                "UPDATE jobs SET run_at = least(run_at, now()) WHERE workspace_id = :workspace "
                "AND unique_key = :unique AND done_at IS NULL AND failed_at IS NULL"
            ),
            {"workspace": tx.workspace_id, "unique": unique},
        )


async def backfill_resource(app: App, workspace_id: UUID, *, store_id: str, resource: str) -> None:
    """Task: fetch and write pages until the last, the time budget or an error; what remains is a fresh job.

    Job attempts are not used up by waiting: a platform that is still preparing its export may take hours.
    """
    asked, kind = UUID(store_id), Resource(resource)
    deadline = time.monotonic() + _SECONDS
    while True:
        async with app.db.transaction(workspace_id) as tx:
            store, row = await stores.get(tx, asked), await _row(tx, asked, kind)
        if store is None or row is None or row.state != RUNNING or store.status != stores.CONNECTED:
            return
        try:
            page = await app.platforms[store.platform].history(store.connection(), kind, row.cursor)
        except PlatformError as error:
            await _failed(app, workspace_id, store, kind, error)
            return
        async with app.db.transaction(workspace_id) as tx:
            more = await _write(tx, store, kind, row.cursor, page)
            if more and time.monotonic() > deadline:
                await tx.complete_job()
                await _enqueue(tx, asked, kind)
                more = False
        if any(row.done_count < many <= row.done_count + len(page.records) for many in _ANALYZE_AT):
            await app.db.analyze()
        if not more:
            return


async def _row(tx: Tx, store_id: UUID, kind: Resource, *, lock: bool = False) -> Backfill | None:
    statement = select(Backfill).where(
        Backfill.workspace_id == tx.workspace_id, Backfill.store_id == store_id, Backfill.resource == kind
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found: Backfill | None = await tx.scalar(statement)
    return found


async def _write(tx: Tx, store: Store, kind: Resource, cursor: str | None, page: Page) -> bool:
    """Write a page and its checkpoint; False when there is nothing more to fetch here."""
    row = await _row(tx, store.id, kind, lock=True)
    if row is None or row.state != RUNNING or row.cursor != cursor:
        # Restarted, or another run was faster: this page is theirs.
        return row is not None and row.state == RUNNING
    await _apply(tx, store, page, row)
    row.cursor, row.failures = page.cursor, 0
    row.done_count += len(page.records)
    row.total = page.total if page.total is not None else row.total
    if page.limited_before is not None:
        row.limited_before, row.limited_by = page.limited_before, page.limited_by
    if page.cursor is None:
        row.state, row.finished_at = DONE, datetime.now(UTC)
        await _finished(tx, store, row)
    _publish(tx, row)
    await tx.flush()
    return page.cursor is not None


async def _apply(tx: Tx, store: Store, page: Page, row: Backfill) -> None:
    """Write the records of a page; one that cannot be written is left out and said, the history goes on."""
    records = list(page.records)
    row.last_error = ""
    while records:
        try:
            await sync.apply(tx, store, records)
            return
        except sync.PoisonedRecord as error:
            bad = records.pop(error.index)
            row.last_error = f"left out {getattr(bad, 'external_id', '')}: {error.reason}"[:2000]


async def _finished(tx: Tx, store: Store, row: Backfill) -> None:
    """Note how far back the store's orders reach, and tell it when the last resource is done."""
    if row.resource == Resource.ORDERS:
        fresh = await stores.to_change(tx, store.id)
        if fresh is not None:
            fresh.history_from, fresh.history_limited_by = row.limited_before, row.limited_by
    await tx.flush()
    if all(one.state == DONE for one in await progress(tx, store.id)):
        await tx.record("store.backfilled", subject_id=store.id, store_id=store.id)
        tx.publish("stores", {"store_id": str(store.id)})


async def _failed(app: App, workspace_id: UUID, store: Store, kind: Resource, error: PlatformError) -> None:
    """Wait and try again, or give up and say so."""
    async with app.db.transaction(workspace_id) as tx:
        row = await _row(tx, store.id, kind, lock=True)
        if row is None:
            return
        row.failures += 1
        row.last_error = error.said[:2000]
        if error.reauthorize:
            await stores.needs_reauth(tx, store.id, error.said)
        if error.retry and not error.reauthorize and row.failures < _MOST_FAILURES:
            await tx.complete_job()
            await _enqueue(tx, store.id, kind, error.after or min(300.0, 2.0**row.failures))
        else:
            row.state, row.finished_at = FAILED, datetime.now(UTC)
            await stores.watch(tx, store.id)
        _publish(tx, row)


def _publish(tx: Tx, row: Backfill) -> None:
    tx.publish(
        "backfill",
        {
            "store_id": str(row.store_id),
            "resource": row.resource,
            "state": row.state,
            "done": row.done_count,
            "total": row.total,
            "limited_before": row.limited_before.isoformat() if row.limited_before else None,
            "limited_by": row.limited_by,
            "error": row.last_error,
        },
    )
