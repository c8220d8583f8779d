"""A store's history, page by page: resumable, never skipping, and the comparison that finds what webhooks lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, text, update

from plugin import stores
from plugin.app import App
from plugin.crm import backfill, reconcile, sync
from plugin.crm.backfill import Backfill
from plugin.crm.reconcile import Reconciliation
from plugin.kernel import jobs
from plugin.kernel.db import Tx
from plugin.kernel.jobs import JobRow
from plugin.kernel.money import Money
from plugin.platform import (
    ACCESS_DENIED,
    Capability,
    Connection,
    CustomerRecord,
    Deliveries,
    DeliveryRate,
    DeliveryZone,
    Finding,
    OrderRecord,
    Page,
    PlatformError,
    Record,
    Resource,
    StoreProfile,
)
from plugin.reactions import TASKS
from plugin.stores import Store

T = datetime(2026, 5, 1, tzinfo=UTC)
PAGE = 2


@dataclass
class Shop:
    """A platform of five orders and three customers that fails when told to."""

    kind: str = "shopify"
    capabilities: frozenset[Capability] = frozenset()
    orders: list[Record] = field(default_factory=lambda: [
        OrderRecord(f"o{n}", T + timedelta(days=n), f"#{n}", T + timedelta(days=n), Money(100, "SAR", 2),
                    customer_external_id=str(n % 3))
        for n in range(5)
    ])  # fmt: skip
    customers: list[Record] = field(
        default_factory=lambda: [CustomerRecord(str(n), T, email=f"c{n}@example.com", created_at=T) for n in range(3)]
    )
    errors: list[Exception] = field(default_factory=list)
    asked: list[tuple[Resource, str | None]] = field(default_factory=list)
    since: list[tuple[Resource, datetime]] = field(default_factory=list)
    limited: datetime | None = None
    findings: list[Finding] = field(default_factory=lambda: [Finding("scopes", False, "read_all_orders")])
    registered: int = 0
    delivers: Deliveries = field(default_factory=Deliveries)
    deliveries_read: int = 0
    deaf: bool = False
    slow: bool = False

    def _page(self, resource: Resource, cursor: str | None) -> Page:
        if self.errors:
            raise self.errors.pop(0)
        rows = {Resource.ORDERS: self.orders, Resource.CUSTOMERS: self.customers}.get(resource, [])
        start = int(cursor or 0)
        following = str(start + PAGE) if start + PAGE < len(rows) else None
        limited = {"limited_before": self.limited, "limited_by": "read_all_orders"}
        limited = limited if self.limited and resource is Resource.ORDERS else {}
        return Page(rows[start : start + PAGE], following, total=len(rows), **limited)

    async def history(self, connection: Connection, resource: Resource, cursor: str | None) -> Page:
        self.asked.append((resource, cursor))
        return self._page(resource, cursor)

    async def changes(self, connection: Connection, resource: Resource, since: datetime, cursor: str | None) -> Page:
        self.since.append((resource, since))
        return self._page(resource, cursor)

    async def register_webhooks(self, connection: Connection) -> Sequence[Finding]:
        self.registered += 1
        if self.errors:
            raise self.errors.pop(0)
        return [Finding("webhooks", True)]

    async def check(self, connection: Connection) -> Sequence[Finding]:
        return self.findings

    async def rotate(self, connection: Connection, older_than: timedelta) -> bool:
        return False

    async def deliveries(self, connection: Connection) -> Deliveries:
        """Where it delivers, as it was set."""
        if self.deaf:
            raise PlatformError("not now", retry=True)
        if self.slow:
            await asyncio.Event().wait()
        self.deliveries_read += 1
        return self.delivers

    async def embed_state(self, connection: Connection) -> Finding:
        return Finding("embed", True)

    async def profile(self, connection: Connection) -> StoreProfile:
        return StoreProfile("New name", "https://new.example", (), "SAR", None, "Asia/Riyadh", "ar", country="SA")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def shopping(app: App, shop: Shop) -> App:
    """An App whose store is `shop`."""
    return replace(app, platforms={"shopify": shop})


async def work(app: App, workspace: UUID, rounds: int = 20) -> None:
    """Run this workspace's backfill jobs until none is due."""
    for _ in range(rounds):
        async with app.db.transaction(workspace) as tx:
            due = list(await tx.scalars(
                select(JobRow.id).where(JobRow.task == "backfill_resource", JobRow.done_at.is_(None),
                                        JobRow.failed_at.is_(None), JobRow.run_at <= text("now()"))
            ))  # fmt: skip
        if not due:
            return
        for id in due:
            await jobs.run(app.db, app, TASKS, workspace, id)


async def states(tx: Tx, store: Store) -> dict[str, tuple[str, int]]:
    return {row.resource: (row.state, row.done_count) for row in await backfill.progress(tx, store.id)}


async def hurry(app: App, workspace: UUID) -> None:
    """Let waiting jobs be due."""
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(JobRow).where(JobRow.task == "backfill_resource").values(run_at=text("now()")))


async def test_all_of_it_arrives_as_history(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    shop.limited = T
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert await states(tx, store) == {"customers": ("done", 3), "orders": ("done", 5), "products": ("done", 0)}
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == 5
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert (fresh.history_from, fresh.history_limited_by) == (T, "read_all_orders")
        placed = list(await tx.scalars(text("SELECT data ->> 'history' FROM events WHERE kind = 'order.placed'")))
        assert placed == ["true"] * 5
        assert await tx.scalar(text("SELECT count(*) FROM events WHERE kind = 'store.backfilled'")) == 1
    cursors = [cursor for resource, cursor in shop.asked if resource == Resource.ORDERS]
    assert cursors == [None, "2", "4"]


async def test_a_killed_run_goes_on_at_its_checkpoint(
    shopping: App, shop: Shop, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, calls = sync.apply, 0

    async def dies(tx: Tx, of: Store, records: Sequence[Record]) -> Any:
        nonlocal calls
        result = await apply(tx, of, records)
        if isinstance(records[0], OrderRecord) and (calls := calls + 1) == 2:
            raise RuntimeError("killed before its page was committed")
        return result

    monkeypatch.setattr(sync, "apply", dies)
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert (await states(tx, store))["orders"] == ("running", 2)
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == 2
    await hurry(shopping, workspace)
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert (await states(tx, store))["orders"] == ("done", 5)
    assert [cursor for resource, cursor in shop.asked if resource == Resource.ORDERS] == [None, "2", "2", "4"]


async def test_the_last_page_and_a_webhook_do_not_wait_for_each_other(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    """A webhook keeps the store where it is, then waits for its turn to write; the last page writes, then says how far
    the store's history reaches: locked the one way and the other, each would have what the other one waits for.
    """
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as webhook:
        held = await stores.held(webhook, store.id)
        assert held is not None
        history = asyncio.create_task(work(shopping, workspace))
        await asyncio.wait({history}, timeout=5)
        await sync.apply(webhook, held, [OrderRecord("new", T, "#new", T, Money(100, "SAR", 2))])
    await history
    async with shopping.db.transaction(workspace) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == 6
        again = text("SELECT last_error FROM jobs WHERE task = 'backfill_resource' AND attempts > 1")
        assert list(await tx.scalars(again)) == []
        assert (await states(tx, store))["orders"] == ("done", 5)


async def test_waiting_uses_up_no_attempts(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    shop.errors = [PlatformError("still preparing", retry=True, after=0.01) for _ in range(40)]
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    for _ in range(45):
        await hurry(shopping, workspace)
        await work(shopping, workspace, rounds=1)
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert {state for state, _ in (await states(tx, store)).values()} == {"done"}
        assert await tx.scalar(text("SELECT count(*) FROM jobs WHERE failed_at IS NOT NULL")) == 0


async def test_what_cannot_be_fetched_is_said_and_can_be_started_again(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    shop.errors = [PlatformError("no such field", retry=False)] * 3
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        rows = await backfill.progress(tx, store.id)
        assert {(row.state, row.last_error) for row in rows} == {("failed", "no such field")}
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert {state for state, _ in (await states(tx, store)).values()} == {"done"}


async def test_dead_credentials_pause_the_store(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    shop.errors = [PlatformError("revoked", retry=False, reauthorize=True)]
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert fresh.status == stores.NEEDS_REAUTH


async def test_a_poisoned_record_is_left_out(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    shop.orders.insert(1, OrderRecord("bad", T, "#bad", T, Money(2**70, "SAR", 2)))
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    async with shopping.db.transaction(workspace) as tx:
        assert (await states(tx, store))["orders"] == ("done", 6)
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == 5


async def test_starting_twice_does_it_once(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    for _ in range(2):
        await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM jobs WHERE task = 'backfill_resource'")) == 3
    await work(shopping, workspace)
    asked = len(shop.asked)
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    assert len(shop.asked) == asked
    async with shopping.db.transaction(workspace) as tx:
        await tx.execute(update(Backfill).values(finished_at=store.installed_at - timedelta(days=1)))
    # A store that came back starts again: what happened meanwhile reached nobody.
    await backfill.start_backfill(shopping, workspace, subject_id=str(store.id), event_id="x")
    await work(shopping, workspace)
    assert len(shop.asked) == 2 * asked


# Reconciliation


async def finished(app: App, workspace: UUID, store: Store) -> None:
    await backfill.start_backfill(app, workspace, store_id=str(store.id))
    await work(app, workspace)


async def test_what_webhooks_lost_is_found_and_counted(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    await finished(shopping, workspace, store)
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    now = datetime.now(UTC)
    shop.orders = [
        OrderRecord("lost", now - timedelta(hours=1), "#9", now - timedelta(hours=1), Money(1, "SAR", 2)),
        OrderRecord("just now", now, "#10", now, Money(1, "SAR", 2)),
    ]
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    # The same version told otherwise: an API says more than a webhook, and nobody missed anything.
    shop.orders = [replace(shop.orders[0], note="from the API")]
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        assert await tx.scalar(text("SELECT note FROM orders WHERE external_id = 'lost'")) == "from the API"
        gaps = list(await tx.scalars(text("SELECT data FROM events WHERE kind = 'store.gap'")))
        assert [(gap["resource"], gap["count"], gap["missed"]) for gap in gaps] == [("orders", 1, ["lost"])]
        placed = text("SELECT data ->> 'history' FROM events e JOIN orders o ON o.id = e.subject_id "
                      "WHERE o.external_id = 'lost' AND kind = 'order.placed'")  # fmt: skip
        # Found late, but it happened after the install: whatever follows a new order follows it too.
        assert await tx.scalar(placed) is None


async def test_windows_overlap_and_once_a_day_reach_back(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    shop.orders = []
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    first = dict(shop.since)[Resource.ORDERS]
    assert first == store.installed_at - timedelta(minutes=10)
    shop.since.clear()
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    second = dict(shop.since)[Resource.ORDERS]
    assert timedelta(minutes=9) < datetime.now(UTC) - second < timedelta(minutes=11)
    async with shopping.db.transaction(workspace) as tx:
        await tx.execute(update(Reconciliation).values(deep_at=datetime.now(UTC) - timedelta(hours=25)))
    shop.since.clear()
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    assert timedelta(hours=47) < datetime.now(UTC) - dict(shop.since)[Resource.ORDERS] < timedelta(hours=49)


async def test_a_failed_comparison_is_made_again_from_the_same_time(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    shop.errors = [PlatformError("busy", retry=True, after=3)]
    with pytest.raises(jobs.TaskError) as caught:
        await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    assert (caught.value.retry, caught.value.after) == (True, 3)
    async with shopping.db.transaction(workspace) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM reconciliations")) == 0


async def test_by_hand(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    found = await reconcile.reconcile(shopping, workspace, store.id, since=T)
    assert (found.seen, found.changed) == (8, 8)
    again = await reconcile.reconcile(shopping, workspace, store.id, since=T)
    assert (again.seen, again.changed) == (8, 0)


async def test_history_is_read_anew_once_its_permission_is_there(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    shop.limited = T
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    await reconcile.check_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        assert (await states(tx, store))["orders"] == ("done", 5), "not allowed yet: nothing begins again"
    shop.limited, shop.asked = None, []
    shop.findings = [Finding("history_limited", True, "", "read_all_orders")]
    for _ in range(2):
        await reconcile.check_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        assert "orders" not in await states(tx, store)
        waiting = select(JobRow.task).where(JobRow.unique_key == f"backfill:{store.id}", JobRow.done_at.is_(None))
        assert list(await tx.scalars(waiting)) == ["start_backfill"]
    await backfill.start_backfill(shopping, workspace, store_id=str(store.id))
    await work(shopping, workspace)
    assert {resource for resource, _ in shop.asked} == {Resource.ORDERS}, "only what had been cut short"
    async with shopping.db.transaction(workspace) as tx:
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert (fresh.history_from, fresh.history_limited_by) == (None, "")


async def test_what_we_may_not_read_does_not_stop_the_rest(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    shop.errors = [PlatformError("Access denied for customers", retry=False, code=ACCESS_DENIED)]
    await reconcile.reconcile_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        compared = set(await tx.scalars(text("SELECT resource FROM reconciliations")))
        assert compared == {str(resource) for resource in Resource} - {str(next(iter(Resource)))}
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert fresh.status == stores.CONNECTED


async def test_a_store_that_says_it_changed_is_read_at_once(
    shopping: App, shop: Shop, workspace: UUID, store: Store
) -> None:
    async with shopping.db.transaction(workspace) as tx:
        await tx.execute(update(Store).values(profiled_at=datetime.now(UTC)))
    await reconcile.check_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        assert (fresh := await stores.get(tx, store.id)) is not None
        assert fresh.name != "New name", "once a day is enough as long as nobody says anything"
    await reconcile.check_store(shopping, workspace, store_id=str(store.id), profile=True)
    async with shopping.db.transaction(workspace) as tx:
        assert (fresh := await stores.get(tx, store.id)) is not None
        assert fresh.name == "New name"


async def test_a_store_that_is_connected_again_is_checked_at_once(app: App, workspace: UUID, store: Store) -> None:
    """Whoever connects again may have lost our webhooks, and would wait an hour for them."""
    profile = StoreProfile("first", "https://first.example", (), "SAR", None, "UTC", "ar")
    async with app.db.transaction(workspace) as tx:
        again = await stores.connect(tx, platform=store.platform, external_id=store.external_id, profile=profile)
        assert again.id == store.id
        job = await tx.scalar(select(JobRow).where(JobRow.unique_key == f"check-now:{store.id}"))
    assert job is not None
    assert (job.task, job.arguments) == ("check_store", {"store_id": str(store.id)})
    assert job.run_at <= datetime.now(UTC)


async def test_where_a_store_delivers_is_read_once_a_day_and_once_it_may_be(
    shopping: App, shop: Shop, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(*, profile: bool = False) -> dict[str, Any]:
        await reconcile.check_store(shopping, workspace, store_id=str(store.id), profile=profile)
        async with shopping.db.transaction(workspace) as tx:
            fresh = await stores.get(tx, store.id)
            assert fresh is not None
            return fresh.deliveries

    shop.delivers = Deliveries(ask="read_shipping")
    assert (await check(profile=True))["ask"] == "read_shipping"
    await check()
    assert shop.deliveries_read == 1, "once a day is enough while nothing changed"
    zone = DeliveryZone({"SA": ()}, (DeliveryRate("Van", Money(2500, "SAR", 2)),))
    shop.delivers, shop.findings = Deliveries((zone,)), [Finding("deliveries_unread", True, "", "read_shipping")]
    known = await check()
    assert msgspec.convert(known, Deliveries) == Deliveries((zone,))
    shop.deaf = True
    assert await check(profile=True) == known, "what it said last goes on, and the rest of the check too"
    shop.deaf, shop.slow = False, True
    monkeypatch.setattr(reconcile, "_PATIENCE", 0.01)
    assert await check(profile=True) == known, "a store that is slow to say it costs the rest of the check nothing"


async def test_the_health_check_says_what_it_found(shopping: App, shop: Shop, workspace: UUID, store: Store) -> None:
    async with shopping.db.transaction(workspace) as tx:
        await tx.execute(update(Store).values(profiled_at=datetime.now(UTC) - timedelta(days=2)))
    await reconcile.check_store(shopping, workspace, store_id=str(store.id))
    await reconcile.check_store(shopping, workspace, subject_id=str(store.id), event_id="x")
    async with shopping.db.transaction(workspace) as tx:
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert {one["code"]: one["ok"] for one in fresh.findings} == {"webhooks": True, "scopes": False, "embed": True}
        assert (fresh.name, fresh.timezone) == ("New name", "Asia/Riyadh")
        assert fresh.checked_at is not None
    shop.errors = [PlatformError("revoked", retry=False, reauthorize=True)]
    with pytest.raises(jobs.TaskError):
        await reconcile.check_store(shopping, workspace, store_id=str(store.id))
    async with shopping.db.transaction(workspace) as tx:
        fresh = await stores.get(tx, store.id)
        assert fresh is not None
        assert fresh.status == stores.NEEDS_REAUTH
