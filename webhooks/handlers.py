"""From the inbox to the rooms: a batch, grouped by store, read by the platform, written set-based in one transaction.

The rows are stamped in the transaction of their effect, so a killed process loses nothing and doubles nothing. A
poisoned row does not stop its batch: the batch is tried again row by row, and what fails for good is parked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError

from plugin import privacy, stores
from plugin.app import App
from plugin.crm import sync
from plugin.kernel.db import Tx, unavailable
from plugin.kernel.log import request_id
from plugin.platform import Record, StoreNotice
from plugin.stores import Store
from webhooks import inbox, mail, parcels
from webhooks.inbox import Claimed

log = structlog.get_logger(__name__)

HANDLED = Counter("ahlan_webhooks_handled_total", "Webhook deliveries taken from the inbox", ["outcome"])

Read = tuple[Claimed, Sequence[Record]]

LANES = 2


async def drain(app: App) -> int:
    """Work until the inbox is empty; returns how many rows were done.

    While the database writes one batch, the next is claimed and read: a store's own batches still follow one another,
    because `sync.apply` lets one writer at a time into a workspace.
    """
    first = await inbox.claim(app.db)
    if not first:
        return 0
    async with asyncio.TaskGroup() as lanes:
        working = [lanes.create_task(_lane(app, first if number == 0 else ())) for number in range(LANES)]
    return sum(lane.result() for lane in working)


async def _lane(app: App, batch: Sequence[Claimed]) -> int:
    done = 0
    while batch or (batch := await inbox.claim(app.db)):
        for (workspace_id, store_id), rows in (await _by_store(app, batch)).items():
            # A batch answers many requests: what it logs and asks for leads back to their rows.
            token = request_id.set(f"inbox-{rows[0].id}-{rows[-1].id}")
            try:
                done += await _work(app, workspace_id, store_id, rows)
            finally:
                request_id.reset(token)
        batch = ()
    return done


async def _by_store(app: App, batch: Sequence[Claimed]) -> dict[tuple[UUID, UUID], list[Claimed]]:
    """The rows of each store; those of stores that we do not know are closed."""
    grouped: dict[tuple[UUID, UUID], list[Claimed]] = defaultdict(list)
    strangers: list[int] = []
    for row in batch:
        if row.workspace_id is None or row.store_id is None:
            strangers.append(row.id)
        else:
            grouped[(row.workspace_id, row.store_id)].append(row)
    if strangers:
        await inbox.ignore(app.db, strangers, "no store of that name is connected")
        HANDLED.labels("unknown_store").inc(len(strangers))
    return grouped


async def _work(app: App, workspace_id: UUID, store_id: UUID, rows: Sequence[Claimed]) -> int:
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, store_id)
    if store is None or store.moving_since is not None:
        await _elsewhere(app, workspace_id, rows, missing=store is None)
        return 0
    done = 0
    for row in rows:
        if row.source in _OWN:
            done += await _alone(app, workspace_id, store_id, row)
    readable: list[Read] = []
    for row in rows:
        if row.source in _OWN:
            continue
        try:
            readable.append((row, _read(app, store, row)))
        except Exception as error:
            # A store signs what it likes: whatever its body makes a reader raise must not stop the stores behind it.
            await _park(app, row, error)
    if not readable:
        return done
    try:
        return done + await _apply(app, workspace_id, store_id, readable)
    except _Elsewhere:
        await _elsewhere(app, workspace_id, [row for row, _ in readable])
        return done
    except Exception as error:
        if unavailable(error):
            # The database went away, not the data wrong: the batch comes back whole.
            await _later(app, readable, error)
            return done
        log.warning("batch_isolated", count=len(readable), error=repr(error))
    for one in readable:
        try:
            done += await _apply(app, workspace_id, store_id, [one])
        except _Elsewhere:
            await _elsewhere(app, workspace_id, [one[0]])
        except Exception as error:
            if unavailable(error):
                await _later(app, [one], error)
            else:
                await _park(app, one[0], error)
    return done


_OWN: Mapping[str, Callable[[App, UUID, UUID, Claimed], Awaitable[object]]] = {
    mail.SOURCE: mail.arrived, **dict.fromkeys(parcels.SOURCES, parcels.arrived),
}  # fmt: skip
"""What comes from others than the store, one by one; a store's own news are read and written together."""


async def _alone(app: App, workspace_id: UUID, store_id: UUID, row: Claimed) -> int:
    try:
        await _OWN[row.source](app, workspace_id, store_id, row)
    except mail.Elsewhere:
        await _elsewhere(app, workspace_id, [row])
        return 0
    except Exception as error:
        # Whatever a stranger's mail makes a reader raise must not stop what stands behind it.
        if unavailable(error):
            await _later(app, [(row, ())], error)
        else:
            await _park(app, row, error)
        return 0
    HANDLED.labels("done").inc()
    return 1


class _Elsewhere(Exception):
    """The store is not here, or on its way into another workspace."""


_MOVING_SECONDS = 2.0


async def _elsewhere(app: App, workspace_id: UUID, rows: Sequence[Claimed], *, missing: bool = False) -> None:
    """Rows of a store that moves or has moved wait, and are claimed where it then is; those of one that is gone end."""
    found = {name: await app.db.lookup(*name) for name in {(row.store_kind, row.store_key) for row in rows}}
    gone: list[int] = []
    moved: list[int] = []
    moving: list[int] = []
    for row in rows:
        owners = {owner for owner, _store in found[(row.store_kind, row.store_key)]}
        (moved if owners - {workspace_id} else gone if missing or not owners else moving).append(row.id)
    if gone:
        await inbox.ignore(app.db, gone, "the store is gone")
    if moved:
        await inbox.release(app.db, moved, "", 0)
    if moving:
        await inbox.release(app.db, moving, "", _MOVING_SECONDS)


def _read(app: App, store: Store, row: Claimed) -> Sequence[Record]:
    return app.platforms[store.platform].read_webhook(row.topic, row.body, _happened(row), store.connection())


def _happened(row: Claimed) -> datetime:
    """When the sender says that it happened, or when it came: a broken header is not worth a failed delivery."""
    try:
        moment = datetime.fromisoformat(row.headers.get("triggered_at", ""))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return row.received_at


async def _apply(app: App, workspace_id: UUID, store_id: UUID, readable: Sequence[Read]) -> int:
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.held(tx, store_id)
        if store is None or store.moving_since is not None:
            # Before anything is stamped: what the store sent is read where it is then.
            raise _Elsewhere
        fresh = await inbox.stamp(tx, [row.id for row, _ in readable])
        records = [record for row, found in readable if row.id in fresh for record in found]
        changes = [record for record in records if not isinstance(record, StoreNotice)]
        if changes and store.status != stores.UNINSTALLED:
            await sync.apply(tx, store, changes)
        for record in records:
            if isinstance(record, StoreNotice):
                await notice(app, tx, store, record)
    HANDLED.labels("done").inc(len(fresh))
    return len(fresh)


async def notice(app: App, tx: Tx, store: Store, record: StoreNotice) -> None:
    """What a platform says about the store itself."""
    match record.kind:
        case "uninstalled":
            if await stores.uninstalled(tx, store, record.at):
                await app.platforms[store.platform].disconnected(tx, store.id)
        case "shop_updated":
            # One for each time that something changed: a check under way may have read the old addresses already.
            key = f"profile:{store.id}:{record.at.isoformat()}"
            await tx.enqueue("check_store", unique=key, store_id=store.id, profile=True)
        case "scopes_updated" | "webhook_owner_demoted":
            await tx.enqueue("check_store", unique=f"check-now:{store.id}", store_id=store.id)
        case "data_request" | "customer_redact" | "shop_redact":
            await privacy.receive(tx, store, record.kind, record.data, record.at)
        case "bulk_finished":
            await tx.enqueue("start_backfill", unique=f"backfill:{store.id}", store_id=store.id)
        case "return_changed":
            # One for each time, as above: whoever reads it just now may have been too early.
            id = str(record.data["return_external_id"])
            key = f"return:{store.id}:{id}:{record.at.isoformat()}"
            await tx.enqueue("reread_return", unique=key, store_id=store.id, return_external_id=id)
        case _:
            log.info("notice_ignored", kind=record.kind)


async def _park(app: App, row: Claimed, error: Exception) -> None:
    said = str(error.orig) if isinstance(error, DBAPIError) else f"{type(error).__name__}: {error}"
    log.warning("webhook_parked", row=row.id, topic=row.topic, error=said)
    HANDLED.labels("parked").inc()
    await inbox.park(app.db, row.id, said)
    if row.workspace_id is not None and row.store_id is not None:
        async with app.db.transaction(row.workspace_id) as tx:
            await stores.watch(tx, row.store_id)


async def _later(app: App, readable: Sequence[Read], error: Exception) -> None:
    log.warning("webhooks_wait", count=len(readable), error=repr(error))
    worn = [row for row, _ in readable if row.attempts >= inbox.MAX_ATTEMPTS]
    for row in worn:
        await _park(app, row, error)
    ids = [row.id for row, _ in readable if row not in worn]
    if ids:
        await inbox.release(app.db, ids, repr(error), 2.0 ** min(6, readable[0][0].attempts))
