"""Reconciliation: platforms lose webhooks (and say so), so we ask them what changed, and count what we had missed.

Every quarter of an hour with ten minutes of overlap, and once a day 48 hours back (Shopify: delivery is not
guaranteed, https://shopify.dev/docs/apps/build/webhooks/best-practices; WooCommerce never sends a failed one again).
Webhook registration, credentials, settings and the store's profile are looked after by the same clock.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.crm import backfill, sync, translations
from plugin.crm.batch import LONG_AGO, Change, lock
from plugin.crm.customers import StoreCustomer
from plugin.crm.orders import Order
from plugin.crm.products import Product
from plugin.kernel import bulk
from plugin.kernel.db import Base, Busy, Tenant, Tx, tenant_key, turn
from plugin.kernel.jobs import TaskError
from plugin.kernel.personal import nobody
from plugin.platform import (
    ACCESS_DENIED,
    CustomerRecord,
    Deliveries,
    Finding,
    OrderRecord,
    Page,
    PlatformError,
    ProductRecord,
    Record,
    Resource,
)
from plugin.stores import Store

log = structlog.get_logger(__name__)

OVERLAP = timedelta(minutes=10)
_PATIENCE = 60
"""Seconds for reading where a store delivers: dozens of requests for some."""
DEEP = timedelta(hours=48)
DEEP_EVERY = timedelta(hours=24)
# A webhook may be this late before what we found by asking counts as missed by it.
LATE = timedelta(minutes=5)
# So many of the things that were missed are named; the count is of all.
NAMED = 50
PROFILE_EVERY = timedelta(hours=24)
ROTATE_EVERY = timedelta(days=90)


class Reconciliation(Tenant, Base):
    """Up to when a resource of a store has been compared, and when last 48 hours back. Times are our clock's."""

    __tablename__ = "reconciliations"
    __table_args__ = (tenant_key("store_id", "stores"), {"info": nobody("times")})

    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    compared_until: Mapped[datetime]
    deep_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(slots=True)
class Found:
    """What a comparison looked at and changed. `missed`: changes whose webhook should have been here by then."""

    seen: int = 0
    changes: list[Change] = field(default_factory=list)
    missed: list[Change] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """Rows that were missing or old."""
        return len(self.changes)


async def reconcile(app: App, workspace_id: UUID, store_id: UUID, *, since: datetime) -> Found:
    """Compare everything that changed since `since` (UTC) with what we have. Raises PlatformError."""
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, store_id)
    found = Found()
    if store is None or store.status != stores.CONNECTED:
        return found
    for resource in Resource:
        part = await _compare(app, store, resource, since)
        found.seen += part.seen
        found.changes += part.changes
        found.missed += part.missed
        async with app.db.transaction(workspace_id) as tx:
            if resource in await _complete(tx, store.id):
                await _tell(tx, store, resource, part, since)
    return found


async def reconcile_store(app: App, workspace_id: UUID, *, store_id: str) -> None:
    """Task, every quarter of an hour: fetch what webhooks did not bring, and record how much that was."""
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, UUID(store_id))
        if store is None or store.status != stores.CONNECTED:
            return
        before = {row.resource: row for row in await tx.scalars(_reconciliations(tx, store.id))}
        complete = await _complete(tx, store.id)
    for resource in Resource:
        started = datetime.now(UTC)
        row = before.get(resource)
        deep = row is not None and started - row.deep_at >= DEEP_EVERY
        since = (row.compared_until if row is not None else store.installed_at) - OVERLAP
        if deep:
            since = min(since, started - DEEP)
        try:
            found = await _compare(app, store, resource, since)
        except PlatformError as error:
            if error.code == ACCESS_DENIED:
                # The store's check says which permission is missing; what we may read is compared all the same.
                log.info("resource_denied", store_id=str(store.id), resource=resource)
                continue
            await _complain(app, workspace_id, store.id, error)
            raise TaskError(error.said, retry=error.retry, after=error.after) from error
        async with app.db.transaction(workspace_id) as tx:
            values = {"store_id": store.id, "resource": resource, "compared_until": started,
                      "deep_at": started if deep or row is None else row.deep_at, "updated_at": started}  # fmt: skip
            await bulk.insert(tx, Reconciliation, [values], key=("store_id", "resource"))
            if resource in complete:
                await _tell(tx, store, resource, found, since)
            await stores.watch(tx, store.id)


async def _complete(tx: Tx, store_id: UUID) -> set[str]:
    """Resources whose history is read: what the backfill has not reached yet was not missed by a webhook."""
    return {row.resource for row in await backfill.progress(tx, store_id) if row.state == backfill.DONE}


async def _tell(tx: Tx, store: Store, resource: Resource, found: Found, since: datetime) -> None:
    """Record what no webhook had told, with the platform's ids of the first of it; by now it is here."""
    if not found.missed:
        return
    await tx.record(
        "store.gap",
        subject_id=store.id,
        store_id=store.id,
        data={
            "resource": resource,
            "count": len(found.missed),
            "since": since.isoformat(),
            "missed": [change.external_id for change in found.missed[:NAMED]],
        },
    )
    tx.publish("stores", {"store_id": str(store.id)})


async def _compare(app: App, store: Store, resource: Resource, since: datetime) -> Found:
    """All pages of what changed since, each in a transaction of its own."""
    found, cursor = Found(), None
    late = datetime.now(UTC) - LATE
    while True:
        page = await app.platforms[store.platform].changes(store.connection(), resource, since, cursor)
        changes, before = await _write(app, store, resource, page)
        found.seen += len(page.records)
        found.changes += changes
        found.missed += [
            change
            for change in changes
            if change.resource == resource
            and change.version < late
            and before.get(change.external_id, LONG_AGO) < change.version
        ]
        if page.cursor is None:
            return found
        cursor = page.cursor


async def _write(
    app: App, store: Store, resource: Resource, page: Page
) -> tuple[Sequence[Change], Mapping[str, datetime]]:
    """Write a page; returns what changed, and the versions that were here before.

    A row may change without a newer version: an API tells some things that a webhook leaves out. Nobody missed those.
    """
    records: list[Record] = list(page.records)
    while records:
        try:
            async with app.db.transaction(store.workspace_id) as tx:
                await lock(tx)
                before = await _versions(tx, store.id, resource, records)
                return (await sync.apply(tx, store, records)).changes, before
        except sync.PoisonedRecord as error:
            bad = records.pop(error.index)
            log.warning("record_left_out", external_id=getattr(bad, "external_id", ""), reason=error.reason)
    return (), {}


_TABLES: Mapping[Resource, type[Order | StoreCustomer | Product]] = {
    Resource.ORDERS: Order, Resource.CUSTOMERS: StoreCustomer, Resource.PRODUCTS: Product,
}  # fmt: skip


async def _versions(tx: Tx, store_id: UUID, resource: Resource, records: Sequence[Record]) -> Mapping[str, datetime]:
    table = _TABLES[resource]
    ids = [record.external_id for record in records if isinstance(record, OrderRecord | CustomerRecord | ProductRecord)]
    rows = await tx.execute(
        select(table.external_id, table.version).where(
            table.workspace_id == tx.workspace_id, table.store_id == store_id, table.external_id.in_(ids)
        )
    )
    return {row.external_id: row.version for row in rows}


def _reconciliations(tx: Tx, store_id: UUID) -> Select[Reconciliation]:
    return select(Reconciliation).where(
        Reconciliation.workspace_id == tx.workspace_id, Reconciliation.store_id == store_id
    )


async def check_store(
    app: App, workspace_id: UUID, *, store_id: str = "", subject_id: str = "", event_id: str = "", profile: bool = False
) -> None:
    """Task, after an install and hourly: webhooks, credentials, scopes, the embed, and once a day the profile.

    `profile`: the store has just said that its name or its addresses changed, so they are read now.
    """
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, UUID(store_id or subject_id))
    if store is None or store.status == stores.UNINSTALLED:
        return
    platform, connection, told = app.platforms[store.platform], store.connection(), None
    deliveries: Deliveries | None = None
    try:
        # Two at once would both miss the same webhook and register it twice, and then all of it comes twice.
        async with turn(app.db, f"webhooks:{store.id}"):
            findings = list(await platform.register_webhooks(connection))
            await _rotate(app, store)
        findings += [*await platform.check(connection), await platform.embed_state(connection)]
        if profile or store.profiled_at is None or datetime.now(UTC) - store.profiled_at >= PROFILE_EVERY:
            told = await platform.profile(connection)
        allowed = any(one.ask == store.deliveries.get("ask") and one.ok for one in findings if one.ask)
        if told is not None or not store.deliveries or allowed:
            deliveries = await _deliveries(app, store)
    except PlatformError as error:
        await _complain(app, workspace_id, store.id, error)
        raise TaskError(error.said, retry=error.retry, after=error.after) from error
    except Busy as error:
        raise TaskError("its webhooks are being registered", retry=True) from error
    async with app.db.transaction(workspace_id) as tx:
        fresh = await tx.get(Store, store.id, lock=True)
        if fresh is None:
            return
        if told is not None:
            stores.apply_profile(fresh, told)
        if deliveries is not None:
            fresh.deliveries = msgspec.to_builtins(deliveries)
        await translations.checked(tx, fresh, findings, daily=told is not None)
        findings += _lost(fresh, findings)
        fresh.findings = [asdict(finding) for finding in findings]
        fresh.checked_at = datetime.now(UTC)
        await backfill.reopen(tx, store.id, [finding.ask for finding in findings if finding.ok and finding.ask])
        tx.publish("stores", {"store_id": str(store.id)})
        if any(finding.code in _MENDED and not finding.ok for finding in findings):
            await compare_now(tx, store.id)
        await stores.watch(tx, store.id)


async def _deliveries(app: App, store: Store) -> Deliveries | None:
    """Where it delivers; None where it did not say, or not in time: then what it said last goes on, and the rest of the
    check too.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            return await app.platforms[store.platform].deliveries(store.connection())
    except PlatformError as error:
        log.warning("deliveries_unread", store_id=str(store.id), said=error.said)
    except TimeoutError:
        log.warning("deliveries_unread", store_id=str(store.id), said="it takes too long")
    return None


def _lost(store: Store, findings: Sequence[Finding]) -> list[Finding]:
    """Webhooks that an earlier check had seen and that had to be made anew: somebody or something took them away."""
    before = {one.get("detail") for one in store.findings if one.get("code") in _SUBSCRIBED}
    lost = [one.detail for one in findings if one.code == "webhook_added" and one.detail in before]
    return [Finding("webhooks_were_missing", False, ", ".join(lost))] if lost else []


_SUBSCRIBED = ("webhook_kept", "webhook_added")
_MENDED = ("webhooks_were_disabled", "webhooks_were_missing")


async def compare_now(tx: Tx, store_id: UUID) -> None:
    """Have the next comparison run after commit instead of within the quarter of an hour."""
    await tx.execute(
        text(
            "UPDATE jobs SET run_at = least(run_at, now()) WHERE workspace_id = :workspace AND unique_key = :unique "
            "AND done_at IS NULL AND failed_at IS NULL"
        ),
        {"workspace": tx.workspace_id, "unique": f"reconcile:{store_id}"},
    )


async def rotate_secret(app: App, workspace_id: UUID, store_id: UUID) -> bool:
    """Renew what the store's own side shares with us now, however fresh it is. Raises PlatformError, Busy."""
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, store_id)
    if store is None or store.status == stores.UNINSTALLED:
        return False
    async with turn(app.db, f"webhooks:{store.id}"):
        return await app.platforms[store.platform].rotate(store.connection(), timedelta())


async def _rotate(app: App, store: Store) -> None:
    """Renew what the store's side shares with us in its time; one that refuses keeps the old secret until the next."""
    try:
        if await app.platforms[store.platform].rotate(store.connection(), ROTATE_EVERY):
            log.info("store_secret_rotated", store_id=str(store.id))
    except PlatformError as error:
        log.warning("store_secret_not_rotated", store_id=str(store.id), code=error.code)


async def _complain(app: App, workspace_id: UUID, store_id: UUID, error: PlatformError) -> None:
    """Dead credentials put the store to sleep until the merchant comes back; a store that is away is looked at."""
    async with app.db.transaction(workspace_id) as tx:
        if error.reauthorize:
            await stores.needs_reauth(tx, store_id, error.said)
        await stores.watch(tx, store_id)
