"""From the inbox to the CRM: order does not matter, nothing doubles, poison stops nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import func, select, text

from plugin import privacy, stores
from plugin.app import App
from plugin.crm.customers import Customer
from plugin.crm.orders import Order, Tombstone
from plugin.kernel import jobs
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.platform import StoreProfile
from plugin.reactions import TASKS
from plugin.stores import Store
from webhooks import handlers, inbox
from webhooks.inbox import InboxRow
from webhooks.receiver import Inbox


@pytest.fixture
async def door(app: App) -> AsyncIterator[Inbox]:
    async def silent() -> None:
        """No worker listens."""

    made = Inbox(app.queue_url, silent)
    yield made
    await made.close()


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        return await stores.connect(
            tx,
            platform="shopify",
            external_id=f"handlers-{workspace.hex[-12:]}.myshopify.com",
            profile=StoreProfile("Shop", "https://s.example", (), "ILS", 2, "Asia/Jerusalem", "he"),
        )


def order(number: int, updated: str = "2026-11-02T10:00:00Z", **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "created_at": "2026-11-01T10:00:00Z",
        "updated_at": updated,
        "currency": "ILS",
        "total_price": "120.50",
        "email": f"shopper{number}@example.com",
        "financial_status": "paid",
        "fulfillment_status": None,
        "customer": {
            "id": number * 10,
            "admin_graphql_api_id": f"gid://shopify/Customer/{number * 10}",
            "email": f"shopper{number}@example.com",
            "first_name": "ليلى",
            "last_name": "حداد",
            "updated_at": updated,
        },
        "line_items": [
            {"id": number * 100, "title": "قدح", "quantity": 2, "price": "60.25", "sku": "CUP", "variant_id": 5}
        ],
        **changes,
    }


async def deliver(door: Inbox, store: Store, topic: str, payload: Any, at: str = "2026-11-02T10:00:00+00:00") -> str:
    key = str(uuid4())
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    await door.put(
        (
            "shopify",
            key,
            "store",
            f"shopify:{store.external_id}",
            topic,
            body,
            orjson.dumps({"triggered_at": at}).decode(),
        )
    )
    return key


async def row_of(app: App, key: str) -> Any:
    async with app.db.queue.connect() as connection:
        return (await connection.execute(select(InboxRow).where(InboxRow.key == key))).one()


async def orders(app: App, workspace: UUID) -> list[Order]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(Order).order_by(Order.number)))


@pytest.mark.parametrize(
    "stamp", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "2026-11-02T10:00:00"]
)
async def test_a_broken_time_costs_no_delivery(
    app: App, workspace: UUID, store: Store, door: Inbox, stamp: str
) -> None:
    await deliver(door, store, "orders/create", order(1001), at=stamp)
    await handlers.drain(app)
    assert [one.name for one in await orders(app, workspace)] == ["#1001"]


async def test_an_order_becomes_a_customer_with_an_order(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    key = await deliver(door, store, "orders/create", order(1001))
    await handlers.drain(app)
    [found] = await orders(app, workspace)
    assert (found.total, found.currency, found.exponent) == (12050, "ILS", 2)
    async with app.db.transaction(workspace) as tx:
        customer = await tx.get(Customer, found.customer_id)
        placed = await tx.scalar(select(func.count()).select_from(Event).where(Event.kind == "order.placed"))
    assert customer.name == "ليلى حداد"
    assert placed == 1
    assert (await row_of(app, key)).done_at is not None


async def test_an_older_update_that_comes_later_changes_nothing(
    app: App, workspace: UUID, store: Store, door: Inbox
) -> None:
    await deliver(door, store, "orders/updated", order(1002, "2026-11-03T10:00:00Z", total_price="99.00"))
    await handlers.drain(app)
    await deliver(door, store, "orders/create", order(1002, "2026-11-02T10:00:00Z", total_price="10.00"))
    await handlers.drain(app)
    [found] = await orders(app, workspace)
    assert found.total == 9900
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Event).where(Event.kind == "order.placed")) == 1


async def test_a_deleted_order_does_not_come_back(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    await deliver(door, store, "orders/delete", {"id": 1003}, at="2026-11-05T10:00:00+00:00")
    await deliver(door, store, "orders/updated", order(1003, "2026-11-04T10:00:00Z"))
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Tombstone)) == 1
        assert await tx.scalar(select(func.count()).select_from(Order).where(Order.deleted_at.is_(None))) == 0


async def test_broken_json_with_a_good_signature_is_parked_and_the_rest_goes_on(
    app: App, workspace: UUID, store: Store, door: Inbox
) -> None:
    bad = await deliver(door, store, "orders/updated", b'{"id": 1004, "na')
    good = await deliver(door, store, "orders/updated", order(1005))
    await handlers.drain(app)
    assert (await row_of(app, bad)).parked_at is not None
    assert (await row_of(app, bad)).error
    assert (await row_of(app, good)).done_at is not None
    assert [found.number for found in await orders(app, workspace)] == ["1005"]


async def test_a_poisoned_record_is_parked_alone(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    bad = await deliver(door, store, "orders/updated", order(1006, name="x\x00y", total_price="9" * 30))
    goods = [await deliver(door, store, "orders/updated", order(1010 + number)) for number in range(5)]
    await handlers.drain(app)
    assert (await row_of(app, bad)).parked_at is not None
    for good in goods:
        assert (await row_of(app, good)).done_at is not None
    assert len(await orders(app, workspace)) == 5


async def test_replay_changes_nothing(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    for number in range(1020, 1030):
        await deliver(door, store, "orders/updated", order(number))
    await handlers.drain(app)

    async def everything() -> list[Any]:
        async with app.db.transaction(workspace) as tx:
            return [
                await tx.scalar(text(f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"))
                for table in ("orders", "order_lines", "customers", "store_customers", "identities", "events")
            ]

    before = await everything()
    # One thing that happened, told by a second subscription: another delivery id, the same event id.
    await deliver(door, store, "orders/updated", order(1020))
    assert await handlers.drain(app) == 1
    assert await everything() == before
    async with app.db.queue.connect() as connection:
        ids = list((await connection.execute(select(InboxRow.id).where(InboxRow.workspace_id == workspace))).scalars())
    assert await inbox.replay(app.db, ids=ids) == 11
    await handlers.drain(app)
    assert await everything() == before


async def test_a_job_leads_back_to_the_delivery_that_asked_for_it(
    app: App, workspace: UUID, store: Store, door: Inbox
) -> None:
    first = await deliver(door, store, "orders/create", order(1040))
    last = await deliver(door, store, "app/scopes_update", {"id": 1, "myshopify_domain": store.external_id})
    assert await handlers.drain(app) == 2
    rows = [(await row_of(app, key)).id for key in (first, last)]
    async with app.db.transaction(workspace) as tx:
        job = (await tx.scalars(select(JobRow).where(JobRow.unique_key == f"check-now:{store.id}"))).one()
    assert job.request_id == f"inbox-{min(rows)}-{max(rows)}"


async def test_a_row_of_an_unknown_store_is_closed_and_touches_nobody(app: App, door: Inbox, store: Store) -> None:
    key = str(uuid4())
    await door.put(("shopify", key, "store", "shopify:stranger.myshopify.com", "orders/create", b"{}", "{}"))
    await handlers.drain(app)
    row = await row_of(app, key)
    assert row.done_at is not None
    assert row.workspace_id is None


async def test_a_row_replayed_after_its_store_left_is_still_erased_with_it(
    app: App, workspace: UUID, store: Store, door: Inbox
) -> None:
    key = await deliver(door, store, "orders/create", order(1040))
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        await stores.release(tx, "store", f"shopify:{store.external_id}")
    assert await inbox.replay(app.db, ids=[(await row_of(app, key)).id]) == 1
    await handlers.drain(app)
    row = await row_of(app, key)
    assert row.error, "it is nobody's to read any more"
    assert (row.workspace_id, row.store_id) == (workspace, store.id), "but whose data it holds is not forgotten"


async def test_a_row_replayed_after_its_store_moved_is_the_new_owners(
    app: App, workspace: UUID, other_workspace: UUID, store: Store, door: Inbox
) -> None:
    key, name = await deliver(door, store, "orders/create", order(1041)), f"shopify:{store.external_id}"
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        await stores.release(tx, "store", name)
    async with app.db.transaction(other_workspace) as tx:
        moved = await stores.connect(
            tx, platform="shopify", external_id=store.external_id,
            profile=StoreProfile("Shop", "https://s.example", (), "ILS", 2, "Asia/Jerusalem", "he"),
        )  # fmt: skip
    assert await inbox.replay(app.db, ids=[(await row_of(app, key)).id]) == 1
    await handlers.drain(app)
    row = await row_of(app, key)
    assert (row.workspace_id, row.store_id) == (other_workspace, moved.id)
    assert [one.name for one in await orders(app, other_workspace)] == ["#1041"]
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(InboxRow).where(InboxRow.key == key)) == 0


async def test_a_compliance_notice_reaches_whom_it_names(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    """Shopify's own words, all the way: what the merchant hands over is about the shopper, then the shopper is gone."""
    await deliver(door, store, "orders/create", order(1051))
    await deliver(door, store, "orders/create", order(1052))
    await handlers.drain(app)
    about = {
        "shop_id": 1,
        "shop_domain": store.external_id,
        "customer": {"id": 10510, "email": "shopper1051@example.com", "phone": None},
    }
    await deliver(
        door, store, "customers/data_request", {**about, "orders_requested": [1051], "data_request": {"id": 9}}
    )
    await handlers.drain(app)
    await carry_out(app, workspace, "data_request")
    async with app.db.transaction(workspace) as tx:
        (waiting,) = await privacy.open_requests(tx)
        assert (waiting.subject["email"], waiting.subject["request"]) == ("shopper1051@example.com", "9")
        export = waiting.result["export"]
        assert [one["name"] for one in export["orders"]] == ["#1051"]
        assert [one["external_id"] for one in export["profiles"]] == ["gid://shopify/Customer/10510"]
    await deliver(door, store, "customers/redact", {**about, "orders_to_redact": [1051]})
    await handlers.drain(app)
    await carry_out(app, workspace, "redact_customer")
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(select(Customer.email))) == ["shopper1052@example.com"]
    assert [(one.name, one.email) for one in await orders(app, workspace)] == [
        ("#1051", ""),
        ("#1052", "shopper1052@example.com"),
    ]


async def carry_out(app: App, workspace: UUID, task: str) -> None:
    """Run the one job of this task that waits."""
    async with app.db.transaction(workspace) as tx:
        job = (await tx.scalars(select(JobRow.id).where(JobRow.task == task, JobRow.done_at.is_(None)))).one()
    await jobs.run(app.db, app, TASKS, workspace, job)


async def test_two_workers_share_a_batch_without_doubling(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    for number in range(1100, 1400):
        await deliver(door, store, "orders/updated", order(number))
    done = await asyncio.gather(*(handlers.drain(app) for _ in range(4)))
    assert sum(done) == 300
    assert len(await orders(app, workspace)) == 300
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Event).where(Event.kind == "order.placed")) == 300


async def test_uninstall_of_an_earlier_life_is_ignored(app: App, workspace: UUID, store: Store, door: Inbox) -> None:
    await deliver(
        door, store, "app/uninstalled", {"myshopify_domain": store.external_id}, at="2020-01-01T00:00:00+00:00"
    )
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        assert (await stores.get(tx, store.id)).status == stores.CONNECTED
    await deliver(
        door, store, "app/uninstalled", {"myshopify_domain": store.external_id}, at="2099-01-01T00:00:00+00:00"
    )
    await handlers.drain(app)
    async with app.db.transaction(workspace) as tx:
        assert (await stores.get(tx, store.id)).status == stores.UNINSTALLED


async def test_a_claim_takes_no_more_bytes_than_a_worker_can_hold(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """250 mails of 40 MB are 250 claims, not one."""
    await handlers.drain(app)
    monkeypatch.setattr(inbox, "CLAIM_BYTES", 1_000_000)
    sizes = [400_000, 400_000, 400_000, 3_000_000, 10, 10, 999_990, 1_000_001]
    async with app.db.queue.begin() as connection:
        for number, size in enumerate(sizes):
            await inbox.add(
                connection, source="shopify", key=f"{store.id}:{number}", store_kind="widget",
                store_key=store.public_key, topic="unknown/topic", body=b"x" * size,
            )  # fmt: skip
    claims = []
    while claimed := await inbox.claim(app.db):
        claims.append([len(row.body) for row in claimed])
        await inbox.ignore(app.db, [row.id for row in claimed], "counted")
    assert claims == [[400_000, 400_000], [400_000], [3_000_000], [10, 10], [999_990], [1_000_001]]
    assert inbox.CLAIM_BYTES * handlers.LANES < 1024**3
