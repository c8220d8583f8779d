"""What is at stake for who writes: the order that is not with them yet, else the cart that is open."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from plugin.app import App
from plugin.crm import identities, stakes, sync
from plugin.crm.stakes import OpenCart, OpenOrder
from plugin.kernel.money import Money
from plugin.platform import CartRecord, CustomerRecord, FulfilmentRecord, LineRecord, OrderRecord
from plugin.stores import Store

NOW = datetime.now(UTC)
SAR = Money(4550, "SAR", 2)


def order(number: int, who: str, days: float, parcel: str = "", **more: Any) -> OrderRecord:
    at = NOW - timedelta(days=days)
    return OrderRecord(
        external_id=str(number), version=at, name=f"#{number}", placed_at=at, total=SAR, customer_external_id=who,
        payment_status=more.pop("payment_status", "paid"),
        fulfilment_status="fulfilled" if parcel else "unfulfilled",
        fulfilments=(FulfilmentRecord(f"f{number}", parcel),) if parcel else (), **more,
    )  # fmt: skip


def cart(token: str, who: str, hours: float, kind: str = "cart", lines: int = 1, **more: Any) -> CartRecord:
    return CartRecord(
        f"{kind}-{token}", NOW - timedelta(hours=hours), kind, "SAR", SAR, who, token=token,
        lines=tuple(LineRecord(str(at), "Soap", 1, SAR) for at in range(lines)), **more,
    )  # fmt: skip


def person(name: str, email: str = "") -> CustomerRecord:
    return CustomerRecord(name, NOW - timedelta(days=300), email or f"{name}@mail.example", first_name=name)


async def stake(app: App, workspace: UUID, store: Store, name: str) -> OpenOrder | OpenCart | None:
    async with app.db.transaction(workspace) as tx:
        found = await identities.customer_of_platform(tx, store.id, name)
        assert found is not None
        return (await stakes.at_stake(tx, [found])).get(found)


async def test_the_newest_order_that_is_not_there_yet(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [
            person("nura"), order(1, "nura", 9), order(2, "nura", 3, "in_transit"), order(3, "nura", 1, "delivered"),
            cart("a", "nura", 1),
            person("sami"), order(4, "sami", 2, "failed"),
            person("dalia"), order(5, "dalia", 70), order(6, "dalia", 2, payment_status="refunded"),
            order(7, "dalia", 2, cancelled_at=NOW, status="cancelled"), order(8, "dalia", 5, "unknown"),
        ])  # fmt: skip
    nura, sami = await stake(app, workspace, store, "nura"), await stake(app, workspace, store, "sami")
    assert isinstance(nura, OpenOrder)
    assert (nura.name, nura.failed) == ("#2", False)
    assert isinstance(sami, OpenOrder)
    assert (sami.name, sami.failed) == ("#4", True)
    assert await stake(app, workspace, store, "dalia") is None


async def test_else_the_latest_cart_with_something_in_it(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [
            person("nura"), cart("a", "nura", 30), cart("b", "nura", 2, "checkout"), cart("c", "nura", 1, lines=0),
            person("sami"), cart("d", "sami", 24 * 8),
        ])  # fmt: skip
    assert await stake(app, workspace, store, "nura") == OpenCart("checkout", SAR)
    assert await stake(app, workspace, store, "sami") is None


async def test_it_is_the_whole_persons(app: App, workspace: UUID, store: Store, second_store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [person("nura", "nura@mail.example"), order(1, "nura", 4)])
        await sync.apply(tx, second_store, [person("n2", "nura@mail.example"), order(9, "n2", 1)])
    for where, name in ((store, "nura"), (second_store, "n2")):
        found = await stake(app, workspace, where, name)
        assert isinstance(found, OpenOrder)
        assert found.name == "#9"


async def test_a_strangers_address_in_a_checkout_puts_nothing_at_stake(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [person("nura"), cart("x", "", 1, "checkout", email="nura@mail.example")])
    assert await stake(app, workspace, store, "nura") is None
