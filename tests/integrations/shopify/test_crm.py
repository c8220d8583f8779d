"""From Shopify's deliveries to CRM rows: what a body does not tell stays, and no order of arrival loses it."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from integrations.shopify.simulator import returns, trade
from integrations.shopify.simulator.shop import compact, gid
from plugin.crm import sync
from plugin.crm.customers import StoreCustomer
from plugin.crm.orders import Fulfilment, OrderReturn
from plugin.kernel import jobs
from plugin.platform import Connection, Resource, StoreNotice
from plugin.reactions import TASKS
from plugin.stores import Store
from tests.integrations.shopify.conftest import World, with_platform
from webhooks.handlers import notice


class Heard:
    """What the simulator tells its subscribers, kept as bodies."""

    def __init__(self, world: World) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        deliveries = world.sim.deliveries

        def queue(topic: str, payload: Any, *_: Any) -> str:
            self.bodies.append((topic, compact(payload)))
            return ""

        deliveries.queue = queue


async def _apply(world: World, connection: Connection, bodies: list[tuple[str, bytes]]) -> None:
    for topic, body in bodies:
        records = world.platform.read_webhook(topic, body, datetime.now(UTC), connection)
        async with world.app.db.transaction(connection.workspace_id) as tx:
            store = await tx.get(Store, connection.store_id)
            assert store is not None
            await sync.apply(tx, store, records)


async def _person(world: World, connection: Connection, external_id: str) -> StoreCustomer:
    async with world.app.db.transaction(connection.workspace_id) as tx:
        found = await tx.scalar(
            select(StoreCustomer).where(
                StoreCustomer.store_id == connection.store_id, StoreCustomer.external_id == external_id
            )
        )
    assert isinstance(found, StoreCustomer)
    return found


async def test_a_customer_update_keeps_the_tags_and_spending_it_does_not_tell(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    doc = shop.state.all("customers")[0]
    doc["_tags"] = "old, vip"
    page = await world.platform.changes(connection, Resource.CUSTOMERS, datetime(2020, 1, 1, tzinfo=UTC), None)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await tx.get(Store, connection.store_id)
        assert store is not None
        await sync.apply(tx, store, page.records)
    external_id = page.records[0].external_id
    before = await _person(world, connection, external_id)
    number = int(external_id.rpartition("/")[2])
    heard = Heard(world)
    shop.state.set("clock_offset", 60)
    trade.update_customer(shop, number, {"note": "likes olives"})
    await _apply(world, connection, heard.bodies)
    after = await _person(world, connection, external_id)
    assert after.note == "likes olives"
    for name in ("tags", "orders_count", "spent_amount", "spent_currency", "locale"):
        assert getattr(after, name) == getattr(before, name), name


async def test_tags_consent_and_spending_arrive_on_their_own(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    heard = Heard(world)
    doc = trade.create_customer(
        shop, first_name="נועה", last_name="כהן", email="noa@example.com", tags="a", locale="he"
    )
    trade.update_customer(shop, doc["id"], {"_tags": "a, vip"})
    trade.update_customer(shop, doc["id"], {"_tags": "vip"})
    variant = shop.state.all("products")[0]["variants"][0]
    trade.place_order(shop, [(variant["id"], 2)], customer=doc)
    consent = {"customer_id": doc["id"], "email_marketing_consent": {"state": "unsubscribed"}}
    shop.emit("customers_email_marketing_consent/update", consent)
    topics = [topic for topic, _ in heard.bodies]
    for topic in ("customers/create", "customer.tags_added", "customer.tags_removed", "customers/purchasing_summary"):
        assert topic in topics
    await _apply(world, connection, heard.bodies)
    person = await _person(world, connection, doc["admin_graphql_api_id"])
    assert person.tags == ["vip"]
    assert person.accepts_marketing is False
    assert person.orders_count == 1
    assert person.spent_amount == doc["_spent_minor"]
    assert person.spent_currency == "ILS"
    stranger = {"customerId": "gid://shopify/Customer/1", "tags": ["x"]}
    shop.emit("customer.tags_added", stranger)
    await _apply(world, connection, heard.bodies[-1:])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_delivered_parcel_keeps_its_tracking_however_its_news_arrive(world: World, order: list[int]) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    heard = Heard(world)
    variant = shop.state.all("products")[0]["variants"][0]
    made = trade.place_order(shop, [(variant["id"], 1)], customer=None, email="a@example.com")
    parcel = trade.fulfil(shop, made["id"])
    await _apply(world, connection, heard.bodies)
    heard.bodies.clear()
    shop.state.set("clock_offset", 60)
    trade.deliver(shop, made["id"])
    assert len(heard.bodies) == 3
    for index in order:
        await _apply(world, connection, [heard.bodies[index]])
        async with world.app.db.transaction(connection.workspace_id) as tx:
            row = await tx.scalar(select(Fulfilment).where(Fulfilment.store_id == connection.store_id))
        assert row is not None
        assert (row.status, row.tracking_number) == ("delivered", parcel["tracking_number"])
        assert row.shipped_at is not None
        assert row.delivered_at is not None


async def test_a_return_is_the_same_from_its_webhooks_and_from_its_order(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    variant = shop.state.all("products")[0]["variants"][0]
    made = trade.place_order(shop, [(variant["id"], 1)], customer=None, email="a@example.com")
    trade.fulfil(shop, made["id"])
    heard = Heard(world)
    asked = trade.request_return(shop, made["id"], quantities={made["line_items"][0]["id"]: 1})
    trade.move_return(shop, made["id"], asked["id"], "approve")

    async def known() -> OrderReturn:
        async with world.app.db.transaction(connection.workspace_id) as tx:
            row = await tx.scalar(
                select(OrderReturn).where(
                    OrderReturn.store_id == connection.store_id,
                    OrderReturn.external_id == asked["admin_graphql_api_id"],
                )
            )
        assert row is not None
        return row

    # The request is lost; its order comes with the approval's orders/updated.
    await _apply(world, connection, [one for one in heard.bodies if one[0] != "returns/request"])
    row = await known()
    assert (row.status, row.name, row.requested_at) == ("open", asked["name"], None)
    assert row.order_id is not None
    shop.state.set("clock_offset", 60)
    trade.move_return(shop, made["id"], asked["id"], "close")
    # This one's webhooks are all lost: reconciliation reads the order.
    since = datetime.now(UTC) - timedelta(minutes=5)
    page = await world.platform.changes(connection, Resource.ORDERS, since, None)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await tx.get(Store, connection.store_id)
        assert store is not None
        await sync.apply(tx, store, page.records)
    after = await known()
    assert (after.id, after.status, after.name) == (row.id, "closed", asked["name"])
    assert after.closed_at is not None


async def test_a_return_that_only_changed_is_read_again(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    order = trade.place_order(
        shop, [(shop.state.all("products")[0]["variants"][0]["id"], 2)], customer=shop.state.all("customers")[0]
    )
    parcel = trade.fulfil(shop, order["id"])
    sent = gid("FulfillmentLineItem", parcel["line_items"][0]["_fulfillment_line_id"])
    told = {
        "orderId": order["admin_graphql_api_id"],
        "returnLineItems": [{"fulfillmentLineItemId": sent, "quantity": 2}],
    }
    made = returns.open_return(shop, told, status="open")
    heard = Heard(world)
    line = made["return_line_items"][0]
    returns.process(shop, {"returnId": made["admin_graphql_api_id"],
                           "returnLineItems": [{"id": line["admin_graphql_api_id"], "quantity": 1}]})  # fmt: skip
    (body,) = [body for topic, body in heard.bodies if topic == "returns/process"]
    (record,) = world.platform.read_webhook("returns/process", body, datetime.now(UTC), connection)
    assert isinstance(record, StoreNotice)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        store = await tx.get(Store, connection.store_id)
        assert store is not None
        for _ in range(2):
            await notice(world.app, tx, store, record)
    async with world.app.db.queue.connect() as queue:
        found = select(jobs.JobRow.id).where(jobs.JobRow.workspace_id == connection.workspace_id,
                                          jobs.JobRow.task == "reread_return")  # fmt: skip
        (waiting,) = (await queue.execute(found)).scalars().all()
    await jobs.run(world.app.db, with_platform(world), TASKS, connection.workspace_id, waiting)
    async with world.app.db.transaction(connection.workspace_id) as tx:
        held = await tx.scalar(select(OrderReturn).where(OrderReturn.workspace_id == connection.workspace_id))
    assert held is not None
    assert (held.external_id, held.status) == (made["admin_graphql_api_id"], "open")
