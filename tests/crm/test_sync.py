"""What a batch writes, refuses and tells."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import select, text

from plugin.app import App
from plugin.crm import customers, identities, orders, sync
from plugin.crm.carts import Cart
from plugin.crm.orders import Fulfilment, Order, OrderReturn, Refund
from plugin.kernel.db import Tx
from plugin.kernel.money import Money
from plugin.platform import (
    Address,
    CartRecord,
    CustomerRecord,
    Deletion,
    FulfilmentRecord,
    LineRecord,
    OrderPart,
    OrderRecord,
    ProductRecord,
    Record,
    RefundRecord,
    ReturnRecord,
    StoreNotice,
)
from plugin.stores import Store

T = datetime(2026, 7, 1, tzinfo=UTC)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


def at(hours: int) -> datetime:
    return T + timedelta(hours=hours)


def order(version: int = 0, id: str = "o", **more: Any) -> OrderRecord:
    return OrderRecord(id, at(version), "#1001", T, Money(1000, "SAR", 2), **more)


async def told(tx: Tx) -> list[str]:
    return list(await tx.scalars(text("SELECT kind FROM events WHERE kind NOT LIKE 'store.%' ORDER BY id")))


async def test_each_milestone_is_told_once(app: App, workspace: UUID, store: Store) -> None:
    parcel = FulfilmentRecord("f", "in_transit", "RR1", carrier="Aramex")
    there = FulfilmentRecord("f", "delivered", "RR1", carrier="Aramex", delivered_at=at(9))
    refund = RefundRecord("r", Money(100, "SAR", 2), at=at(10))
    async with app.db.transaction(workspace) as tx:
        # The update comes before the creation, as it does on both platforms.
        for record in (
            order(1, payment_status="paid"), order(0), order(1, payment_status="paid"),
            order(2, payment_status="paid", fulfilments=(parcel,)),
            order(3, payment_status="paid", fulfilments=(there,)),
            OrderPart("o", at(4), fulfilment=there), OrderPart("o", at(4), refund=refund),
            order(5, payment_status="partially_refunded", refunds=(refund,)),
            order(6, payment_status="partially_refunded", cancelled_at=at(6)),
        ):  # fmt: skip
            await sync.apply(tx, store, [record])
        assert await told(tx) == [
            "order.placed", "order.paid", "order.fulfilled", "order.delivered", "order.refunded", "order.updated",
            "order.cancelled",
        ]  # fmt: skip


async def test_a_change_without_a_milestone_is_told_with_what_changed(app: App, workspace: UUID, store: Store) -> None:
    home, work = Address(city="Riyadh"), Address(city="Jeddah")
    async with app.db.transaction(workspace) as tx:
        for version, address, note in ((0, home, ""), (1, home, "only a note"), (2, work, "")):
            await sync.apply(tx, store, [order(version, shipping_address=address, note=note)])
        rows = list(await tx.scalars(text("SELECT data ->> 'changes' FROM events WHERE kind = 'order.updated'")))
        assert rows == ['["address"]']


async def test_the_past_is_told_without_reactions(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        old = OrderRecord("old", at(0), "#1", LONG_AGO, Money(1, "SAR", 2))
        await sync.apply(tx, store, [old, order(0, "new")])
        rows = await tx.execute(
            text("SELECT data ->> 'history' AS past FROM events WHERE kind = 'order.placed' ORDER BY at")
        )
        assert [row.past for row in rows] == ["true", None]


async def test_events_follow_an_order_that_changes_hands(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(0, email="guest@example.com", customer_name="Guest")])
        (guest,) = (await customers.search(tx)).customers
        assert guest.name == "Guest"
        await sync.apply(tx, store, [order(1, customer_external_id="7", email="guest@example.com")])
        account = await identities.customer_of_platform(tx, store.id, "7")
        (person,) = (await customers.search(tx)).customers
        assert person.id == account
        owners = set(await tx.scalars(text("SELECT customer_id FROM events WHERE kind LIKE 'order.%'")))
        assert owners == {account}


async def test_parts_wait_for_their_order(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [
            OrderPart("o", at(1), fulfilment=FulfilmentRecord("f", "in_transit")),
            OrderPart("o", at(1), refund=RefundRecord("r", Money(5, "SAR", 2))),
            back(1, "requested"), back(2, "declined"),
        ])  # fmt: skip
        assert await told(tx) == []
        await sync.apply(tx, store, [order(0, email="a@example.com")])
        id = await tx.scalar(select(Order.id))
        assert [await tx.scalar(select(model.order_id)) for model in (Fulfilment, Refund, OrderReturn)] == [id] * 3
        assert sorted(await told(tx)) == [
            "customer.created", "order.fulfilled", "order.placed", "order.refunded", "return.declined",
            "return.requested",
        ]  # fmt: skip
        (person,) = (await customers.search(tx)).customers
        assert person.worth() == [Money(995, "SAR", 2)]


def back(version: int, status: str, **more: Any) -> OrderPart:
    return OrderPart("o", at(version), returned=ReturnRecord("b", status, **more))


async def test_each_step_of_a_return_is_told_once_with_the_orders_customer(
    app: App, workspace: UUID, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(0, email="a@example.com")])
        for part in (
            back(1, "requested", name="#1001-R1"), back(1, "requested", name="#1001-R1"), back(3, "closed"),
            # Late news, and what was closed is opened and closed again.
            back(2, "open"), back(4, "open"), back(5, "closed"), order(6, returns=(back(6, "closed").returned,)),
        ):  # fmt: skip
            await sync.apply(tx, store, [part])
        rows = (
            await tx.execute(
                text("SELECT kind, customer_id, at, data ->> 'order' AS name, data ->> 'return' AS back FROM events "
                     "WHERE kind LIKE 'return.%' ORDER BY at")
            )
        ).all()  # fmt: skip
        assert [(row.kind, row.at) for row in rows] == [
            ("return.requested", at(1)), ("return.approved", at(2)), ("return.closed", at(3)),
        ]  # fmt: skip
        owner = await tx.scalar(select(Order.customer_id))
        assert {(row.customer_id, row.name, row.back) for row in rows} == {(owner, "#1001", "#1001-R1")}
        row = await tx.scalar(select(OrderReturn))
        assert (row.status, row.name, row.at, row.version) == ("closed", "#1001-R1", at(3), at(6))


async def test_what_a_return_says_of_itself_may_be_newer_than_its_order(
    app: App, workspace: UUID, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(1), back(2, "requested")])
        # The order was not touched when its return was closed.
        await sync.apply(tx, store, [order(1, returns=(ReturnRecord("b", "closed", at=at(3)),))])
        assert await tx.scalar(select(OrderReturn.status)) == "closed"
        await sync.apply(tx, store, [order(1, returns=(ReturnRecord("b", "unknown"),))])
        assert await tx.scalar(select(OrderReturn.status)) == "closed"


async def test_a_return_of_the_past_is_told_without_reactions(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        past = ReturnRecord("b", "requested", at=LONG_AGO)
        await sync.apply(tx, store, [order(0, returns=(past,)), back(1, "open")])
        rows = await tx.execute(
            text("SELECT kind, data ->> 'history' AS past FROM events WHERE kind LIKE 'return.%' ORDER BY at")
        )
        assert [(row.kind, row.past) for row in rows] == [("return.requested", "true"), ("return.approved", None)]


async def test_nothing_is_told_of_a_return_whose_order_was_deleted(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [back(1, "requested"), Deletion("orders", "o", at(2)), order(0)])
        await sync.apply(tx, store, [back(3, "open")])
        assert await told(tx) == []


async def test_a_batch_without_returns_never_asks_about_them(
    app: App, workspace: UUID, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(0)])
        said: list[str] = []
        execute = Tx.execute

        async def listening(self: Tx, statement: Any, *arguments: Any, **more: Any) -> Any:
            said.append(str(statement))
            return await execute(self, statement, *arguments, **more)

        monkeypatch.setattr(Tx, "execute", listening)
        await sync.apply(tx, store, [order(1, refunds=(RefundRecord("r", Money(5, "SAR", 2)),))])
        assert any("refunds" in one for one in said)
        assert not any("order_returns" in one for one in said)
        await sync.apply(tx, store, [order(0, "new")])
        assert sum("order_returns" in one for one in said) == 1


async def test_fewer_lines_never_delete_lines(app: App, workspace: UUID, store: Store) -> None:
    line = LineRecord("l1", "Tea", 1, Money(500, "SAR", 2))
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(0, lines=(line, LineRecord("l2", "Cup", 1, None)))])
        await sync.apply(tx, store, [order(1, lines=(line,)), order(2, lines=None)])
        assert await tx.scalar(text("SELECT count(*) FROM order_lines")) == 2


async def test_a_line_without_a_picture_shows_its_products(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    """Webhooks of orders bring no pictures; the history and the products do."""

    def line(id: str, product: str, url: str = "") -> LineRecord:
        return LineRecord(id, id, 1, None, product_external_id=product, image_url=url)

    lines = (line("1", "p"), line("2", "p", "https://own.example/x.jpg"), line("3", "bare"), line("4", ""))
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order(lines=lines)])
        await sync.apply(
            tx, store, [ProductRecord("p", T, "P", image_url="https://p.example/1.jpg"), ProductRecord("bare", T, "B")]
        )
        await sync.apply(tx, second_store, [ProductRecord("bare", T, "B", image_url="https://other.example/1.jpg")])
        found = await tx.scalar(select(Order.id))
        assert found is not None
        view = await orders.get(tx, found)
        assert view is not None
        assert [view.picture(one) for one in view.lines] == [
            "https://p.example/1.jpg",
            "https://own.example/x.jpg",
            "",
            "",
        ]


@pytest.mark.parametrize("cart_first", [True, False])
async def test_a_cart_that_became_an_order_is_closed(app: App, workspace: UUID, store: Store, cart_first: bool) -> None:
    cart = CartRecord("c", at(0), "cart", "SAR", token="t", lines=(LineRecord("l", "Tea", 2, Money(500, "SAR", 2)),))
    records: Sequence[Record] = [cart, order(0, cart_token="t", email="a@example.com")]
    async with app.db.transaction(workspace) as tx:
        for record in records if cart_first else reversed(records):
            await sync.apply(tx, store, [record])
        await sync.apply(tx, store, [cart])
        assert await tx.scalar(select(Cart.completed_at)) == T


async def test_whose_cart_is_known_and_whose_is_only_claimed(app: App, workspace: UUID, store: Store) -> None:
    line = LineRecord("l", "Tea", 2, Money(500, "SAR", 2))
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [
            CustomerRecord("1", T, "nura@example.com"),
            CartRecord("mine", at(1), "cart", "SAR", customer_external_id="1", lines=(line,)),
            CartRecord("typed", at(0), "checkout", "SAR", email="Nura@example.com", lines=(line,)),
            CartRecord("other", at(0), "checkout", "SAR", email="eve@example.com", lines=(line,)),
        ])  # fmt: skip
        # A typed address makes no customer.
        (nura,) = (await customers.search(tx)).customers
        found = (await customers.summary(tx, nura.id)).open_carts
        assert [(cart.external_id, known) for cart, known in found] == [("mine", True), ("typed", False)]
        assert found[0][0].lines[0]["unit_price"] == {"amount": 500, "currency": "SAR", "exponent": 2}


async def test_a_cart_at_the_checkout_is_one_open_cart(app: App, workspace: UUID, store: Store) -> None:
    line = LineRecord("l", "Tea", 2, Money(500, "SAR", 2))
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [
            CustomerRecord("1", T, "nura@example.com"),
            CartRecord("c1", at(2), "cart", "SAR", customer_external_id="1", token="t", lines=(line,)),
            CartRecord("k1", at(1), "checkout", "SAR", customer_external_id="1", token="t", lines=(line,)),
            CartRecord("c2", at(0), "cart", "SAR", customer_external_id="1", token="u", lines=(line,)),
        ])  # fmt: skip
        (nura,) = (await customers.search(tx)).customers
        found = (await customers.summary(tx, nura.id)).open_carts
    assert [cart.external_id for cart, _ in found] == ["k1", "c2"]


async def test_a_deleted_account_is_nobody(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        person = CustomerRecord(
            "1", at(0), "nura@example.com", "+966501234567", "Nura", raw={"email": "nura@example.com"}
        )
        await sync.apply(tx, store, [person, Deletion("customers", "1", at(1))])
        await sync.apply(tx, store, [person])
        words = await tx.scalars(text("SELECT CAST(to_jsonb(p) AS text) FROM store_customers p"))
        assert "ura" not in "".join(words)
        assert await tx.scalar(text("SELECT count(*) FROM identities")) == 0
        assert await identities.customer_of_platform(tx, store.id, "1") is None
        await sync.apply(tx, store, [CustomerRecord("1", at(2), "nura@example.com")])
        assert await identities.customer_of_platform(tx, store.id, "1") is not None


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    "bad",
    [
        order(0, ""), OrderRecord("x", T, "#", T, Money(2**70, "SAR", 2)),
        OrderRecord("x", T.replace(tzinfo=None), "#", T, Money(1, "SAR", 2)),
        order(0, lines=(LineRecord("", "Tea", 1, None),)), order(0, lines=(LineRecord("l", "Tea", 2**40, None),)),
        order(0, raw={"note": "\ud800"}), order(0, raw=CYCLE), order(0, raw={"odd": object()}),
        CustomerRecord("1", T, created_at=datetime(2026, 1, 1)), CartRecord("c", T, "basket"),
        Deletion("weather", "1", T), OrderPart("", T),
        OrderPart("o", T, returned=ReturnRecord("", "open")),
        order(0, returns=(ReturnRecord("b", "open", at=T.replace(tzinfo=None)),)),
    ],
)  # fmt: skip
async def test_a_poisoned_record_is_named_and_nothing_is_written(
    app: App, workspace: UUID, store: Store, bad: Record
) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(sync.PoisonedRecord) as caught:
            await sync.apply(tx, store, [order(0, "good"), bad])
        assert caught.value.index == 1
        assert await tx.scalar(text("SELECT count(*) FROM orders")) == 0


async def test_odd_but_sound_records_are_written(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        records = [
            order(0, note="null \0 byte", raw=MappingProxyType({"price": Decimal("9.90"), "text": "a\0b"})),
            StoreNotice("shop_updated", T),
        ]
        await sync.apply(tx, store, records)
        row = await tx.scalar(select(Order))
        assert (row.note, orjson.loads(row.raw)) == ("null  byte", {"price": "9.90", "text": "ab"})


async def test_more_than_one_batch(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        records = [order(0, f"o{n}", email=f"p{n % 40}@example.com") for n in range(2 * sync.BATCH + 10)]
        applied = await sync.apply(tx, store, records)
        assert applied.counts() == {"orders": len(records)}
        assert await tx.scalar(text("SELECT sum(orders_count) FROM customers")) == len(records)
        assert (await sync.apply(tx, store, records)).changes == []
