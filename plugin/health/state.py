"""How a store stands: one reading for the store's page, for the alerts and for `ahlan doctor`."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text

from plugin import deliveries, stores
from plugin.bot import drift
from plugin.crm import backfill
from plugin.crm.backfill import Backfill
from plugin.crm.reconcile import LATE, Reconciliation
from plugin.deliveries import Lag, Tally
from plugin.health.rules import Facts, Problem, problems
from plugin.kernel.db import Tx, first_id
from plugin.platform import Resource
from plugin.stores import Store

_GAP_DAYS = 30
_GAPS = 8
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Freshness:
    """How up to date one kind of thing is. `mended`: what no webhook had told, found and fetched in 30 days."""

    resource: Resource
    backfill: Backfill | None
    compared_until: datetime | None
    mended: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A comparison that found what no webhook had told. `names` are the first orders' numbers, if it was orders."""

    at: datetime
    resource: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """A store's state at `at`, with everything that is wrong, the worst first."""

    store: Store
    at: datetime
    problems: tuple[Problem, ...]
    tally: Tally
    lag: Lag
    freshness: Sequence[Freshness]
    gaps: Sequence[Gap]


async def read(tx: Tx, store: Store, now: datetime | None = None) -> Health:
    """Read a store's health from what is stored; nothing is asked of the store."""
    now = now or datetime.now(UTC)
    tally = await deliveries.tally(tx, store.id)
    lag = await deliveries.lag(tx, store.id)
    freshness = await _freshness(tx, store, now)
    facts = await _facts(tx, store, tally, lag, freshness, now)
    gone = store.status == stores.UNINSTALLED
    return Health(
        store, now, () if gone else problems(facts, now), tally, lag, freshness, await _gaps(tx, store.id, now)
    )


async def _freshness(tx: Tx, store: Store, now: datetime) -> list[Freshness]:
    read = {row.resource: row for row in await backfill.progress(tx, store.id)}
    compared = {
        row.resource: row.compared_until
        for row in await tx.scalars(
            select(Reconciliation)
            .where(Reconciliation.workspace_id == tx.workspace_id, Reconciliation.store_id == store.id)
            .execution_options(populate_existing=True)
        )
    }
    since = {"workspace": tx.workspace_id, "store": store.id, "since": now - timedelta(days=_GAP_DAYS)}
    mended: Mapping[str, int] = {row.resource: int(row.found) for row in await tx.execute(_MENDED, since)}
    return [
        Freshness(resource, read.get(resource), compared.get(resource), mended.get(resource, 0))
        for resource in Resource
    ]


_OF_STORE = "workspace_id = :workspace AND kind = 'store.gap' AND store_id = :store"
_MENDED = text(
    "SELECT data ->> 'resource' AS resource, sum(CAST(data ->> 'count' AS bigint)) AS found FROM events "
    f"WHERE {_OF_STORE} AND at > :since GROUP BY 1"
)


async def _facts(tx: Tx, store: Store, tally: Tally, lag: Lag, freshness: Sequence[Freshness], now: datetime) -> Facts:
    rhythm = await deliveries.rhythm(tx, store.id)
    told_at = max(filter(None, (rhythm.last_at, store.installed_at)))
    return Facts(
        connected=store.status == stores.CONNECTED,
        installed_at=store.installed_at,
        checked_at=store.checked_at,
        findings=store.findings,
        # What was never compared counts from the install on.
        compared={one.resource: one.compared_until or store.installed_at for one in freshness},
        stopped=tuple(sorted(await _stopped(tx, store.id, freshness))),
        parked=tally.parked,
        parked_at=tally.parked_at,
        waiting_since=tally.waiting_since,
        writing=lag.writing,
        told_at=rhythm.last_at,
        told=rhythm.times,
        missed=await _untold(tx, store.id, told_at, now),
        drifted=await drift.drifted(tx, store.id, now),
    )


async def _untold(tx: Tx, store_id: UUID, told_at: datetime, now: datetime) -> int:
    """Orders placed since the store last told us about one: they are here because we asked.

    Ids are time-ordered, so those written since are the end of the primary key; no other index is asked for.
    """
    about = {
        "workspace": tx.workspace_id,
        "store": store_id,
        "since": told_at,
        "until": now - LATE,
        "first": first_id(told_at - LATE),
    }
    return int(await tx.scalar(_UNTOLD, about))


_UNTOLD = text(
    "SELECT count(*) FROM orders WHERE workspace_id = :workspace AND id >= :first AND store_id = :store "
    "AND placed_at > :since AND placed_at < :until"
)


async def _stopped(tx: Tx, store_id: UUID, freshness: Sequence[Freshness]) -> set[str]:
    """Histories that are not read to the end and that nobody is reading."""
    rows = [one.backfill for one in freshness if one.backfill is not None]
    stopped = {row.resource for row in rows if row.state == backfill.FAILED}
    running = {row.resource for row in rows if row.state == backfill.RUNNING}
    if running:
        working = set(await tx.scalars(_WORKING, {"workspace": tx.workspace_id, "store": str(store_id)}))
        # Begun a moment ago, the job that reads may still have to be made.
        stopped |= set() if "" in working else running - working
    return stopped


# `start_backfill` has no resource yet: it is about to begin them all.
_WORKING = text(
    "SELECT coalesce(arguments ->> 'resource', '') FROM jobs WHERE workspace_id = :workspace "
    "AND task IN ('backfill_resource', 'start_backfill') AND done_at IS NULL AND failed_at IS NULL "
    "AND coalesce(arguments ->> 'store_id', arguments ->> 'subject_id') = :store"
)


async def _gaps(tx: Tx, store_id: UUID, now: datetime) -> list[Gap]:
    about = {"workspace": tx.workspace_id, "store": store_id, "since": now - timedelta(days=_GAP_DAYS), "limit": _GAPS}
    rows = (await tx.execute(_LATEST_GAPS, about)).all()
    ids = {id for row in rows if row.resource == Resource.ORDERS for id in (row.data.get("missed") or ())[:_NAMED]}
    named = await tx.execute(
        text(
            "SELECT external_id, name FROM orders WHERE workspace_id = :workspace AND store_id = :store "
            "AND external_id = ANY(CAST(:ids AS text[]))"
        ),
        {"workspace": tx.workspace_id, "store": store_id, "ids": sorted(ids)},
    )
    names = {row.external_id: row.name for row in named}
    return [
        Gap(
            row.at,
            row.resource,
            int(row.data["count"]),
            tuple(names[id] for id in (row.data.get("missed") or ())[:_NAMED] if id in names)
            if row.resource == Resource.ORDERS
            else (),
        )
        for row in rows
    ]


_LATEST_GAPS = text(
    f"SELECT at, data ->> 'resource' AS resource, data FROM events WHERE {_OF_STORE} AND at > :since "
    "ORDER BY at DESC, id DESC LIMIT :limit"
)
