"""One person across stores: proven handles join, typed ones never, a merge can be undone exactly."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from plugin import workspaces
from plugin.app import App
from plugin.crm import customers, identities, sync, visitors
from plugin.crm.customers import Customer
from plugin.crm.identities import Identity, Proof
from plugin.kernel.db import Tx
from plugin.kernel.errors import Conflict, NotFound
from plugin.kernel.money import Money
from plugin.platform import Address, CustomerRecord, MergeRecord, OrderRecord
from plugin.stores import Store

T = datetime(2026, 7, 1, tzinfo=UTC)

State = Callable[[Tx], Awaitable[dict[str, Any]]]
Connect = Callable[[Tx, str], Awaitable[Store]]


def account(id: str, email: str = "", phone: str = "", name: str = "", *, version: int = 0) -> CustomerRecord:
    return CustomerRecord(id, T + timedelta(hours=version), email=email, phone=phone, first_name=name, created_at=T)


def order(id: str, amount: int = 100, *, version: int = 0, **more: Any) -> OrderRecord:
    return OrderRecord(id, T + timedelta(hours=version), f"#{id}", T, Money(amount, "SAR", 2), **more)


async def people(tx: Tx) -> list[Customer]:
    return list((await customers.search(tx)).customers)


async def test_two_stores_share_a_customer_by_email(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(
            tx, store, [account("1", "Nura@Example.com", name="نورة"), order("a", customer_external_id="1")]
        )
        await sync.apply(tx, second_store, [account("9", "nura@example.com"), order("b", 50, customer_external_id="9")])
        (nura,) = await people(tx)
        assert (nura.name, nura.orders_count, nura.worth()) == ("نورة", 2, [Money(150, "SAR", 2)])
        summary = await customers.summary(tx, nura.id)
        assert {view.order.store_id for view in summary.orders} == {store.id, second_store.id}
        assert [merge.reason for merge in summary.merges] == ["email"]


async def test_a_guest_belongs_to_the_account_of_the_same_address(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order("a", email="dana@example.com", customer_name="דנה")])
        await sync.apply(tx, store, [account("1", "dana@example.com")])
        (dana,) = await people(tx)
        assert (dana.name, dana.orders_count) == ("דנה", 1)


async def test_an_order_without_any_name_belongs_to_nobody(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [order("a"), order("b", email="no address", phone="")])
        assert await people(tx) == []


async def test_values_are_counted_per_currency_without_refunds_and_cancelled_orders(
    app: App, workspace: UUID, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(
            tx,
            store,
            [
                account("1"),
                order("a", 1000, customer_external_id="1", refunded=Money(250, "SAR", 2)),
                order("b", 9000, customer_external_id="1", cancelled_at=T),
                OrderRecord("c", T, "#c", T, Money(12345, "KWD", 3), customer_external_id="1"),
            ],
        )
        (one,) = await people(tx)
        assert one.worth() == [Money(12345, "KWD", 3), Money(750, "SAR", 2)]
        assert one.orders_count == 3


async def test_a_number_that_one_store_gives_to_two_accounts_joins_nobody(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "a@example.com", "0501234567")])
        await sync.apply(tx, second_store, [account("9", "b@example.com", "+966501234567")])
        assert len(await people(tx)) == 1
        await sync.apply(tx, store, [account("2", "c@example.com", "+966 50 123 4567")])
        assert len(await people(tx)) == 3


async def test_a_changed_address_takes_apart_what_it_joined(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "shared@example.com")])
        await sync.apply(tx, second_store, [account("9", "shared@example.com")])
        assert len(await people(tx)) == 1
        await sync.apply(tx, second_store, [account("9", "own@example.com", version=1)])
        assert len(await people(tx)) == 2
        kinds = list(await tx.scalars(text("SELECT kind FROM events WHERE kind LIKE 'customer.%merged' ORDER BY id")))
        assert kinds == ["customer.merged", "customer.unmerged"]
        # Nobody decided that they are two, so the same address joins them again.
        await sync.apply(tx, second_store, [account("9", "shared@example.com", version=2)])
        assert len(await people(tx)) == 1


async def test_a_placeholder_address_joins_nobody(app: App, workspace: UUID, store: Store, second_store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account(str(n), "none@example.com") for n in range(15)])
        assert len(await people(tx)) == 1
        await sync.apply(tx, second_store, [account(str(n), "none@example.com") for n in range(15)])
        assert len(await people(tx)) == 30


async def test_the_platform_merges_two_accounts(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", name="Old"), account("2", name="New")])
        await sync.apply(tx, store, [MergeRecord("2", "1", T)])
        (one,) = await people(tx)
        assert one.id == await identities.customer_of_platform(tx, store.id, "2")
        # Told again after an agent took them apart, it stays apart.
        (merge,) = await identities.merges_of(tx, await identities.family(tx, one.id))
        await identities.undo_merge(tx, merge.id, actor="agent:x")
        await sync.apply(tx, store, [MergeRecord("2", "1", T)])
        assert len(await people(tx)) == 2


async def test_typed_handles_join_and_find_nobody(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(
            tx, store, [account("1", "nura@example.com", "+966501234567", "Nura"), account("2", name="Eve")]
        )
        eve = await identities.customer_of_platform(tx, store.id, "2")
        assert eve is not None
        await identities.typed(tx, eve, "email", "nura@example.com", Proof.TYPED, store.id)
        await identities.typed(tx, eve, "phone", "+966501234567", Proof.FROM_HEADER, store.id)
        await identities.regroup(tx, [eve])
        assert len(await people(tx)) == 2
        (found,) = (await customers.search(tx, "nura@example.com")).customers
        assert found.name == "Nura"
        handles = (await customers.summary(tx, eve)).handles
        assert [handle.proven_at for handle in handles] == [None, None]
        with pytest.raises(ValueError, match="proves nothing"):
            await identities.prove(tx, eve, "email", "nura@example.com", Proof.TYPED, store.id)


async def test_a_proven_handle_joins(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "nura@example.com", name="Nura")])
        row = await customers.create_proven(tx, "email", "nura@example.com", Proof.ONE_TIME_CODE, store.id)
        assert await customers.create_proven(tx, "email", "nura@example.com", Proof.ONE_TIME_CODE, store.id) == row
        assert (await customers.named(tx, [row]))[row].name == "Nura"
        stranger = await customers.create_proven(tx, "email", "new@example.com", Proof.ANSWERED_MAIL, store.id)
        (found,) = (await customers.search(tx, "new@")).customers
        assert (found.id, found.email) == (stranger, "new@example.com")


async def test_a_visitor_is_who_the_store_says_and_nobody_else(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "nura@example.com"), account("2", "dana@example.com")])
        nura, dana = [await identities.customer_of_platform(tx, store.id, id) for id in ("1", "2")]
        assert nura is not None
        assert dana is not None
        visitor, secret = await visitors.open_visitor(tx, store, None, locale="ar")
        again, same = await visitors.open_visitor(tx, store, secret)
        assert (again.id, same, again.locale) == (visitor.id, secret, "ar")
        elsewhere, other = await visitors.open_visitor(tx, second_store, secret)
        assert elsewhere.id != visitor.id
        assert other != secret
        made_up, fresh = await visitors.open_visitor(tx, store, "vs_made-up")
        assert made_up.id != visitor.id
        assert fresh != "vs_made-up"
        assert await visitors.typed_email(tx, visitor, "dana@example.com")
        assert not await visitors.typed_email(tx, visitor, "nothing")
        assert visitor.customer_id is None
        assert await visitors.identify(tx, visitor, nura)
        assert await visitors.identify(tx, visitor, nura)
        assert not await visitors.identify(tx, visitor, dana)
        assert visitor.customer_id == nura
        assert (await tx.scalar(text("SELECT count(*) FROM events WHERE kind = 'visitor.identified'"))) == 1


async def test_the_region_comes_from_the_address_or_the_store(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        israeli = CustomerRecord("1", T, phone="050-123-4567", addresses=(Address(country="IL"),))
        await sync.apply(tx, store, [israeli, account("2", phone="٠٥٠١٢٣٤٥٦٧")])
        phones = {row.phone for row in await people(tx)}
        assert phones == {"+972501234567", "+966501234567"}


async def test_merging_twice_or_into_nobody_is_refused(
    app: App, workspace: UUID, other_workspace: UUID, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1"), account("2")])
        one, two = [row.id for row in await people(tx)]
        row = await identities.merge(tx, one, two, actor="agent:x")
        with pytest.raises(Conflict):
            await identities.merge(tx, two, one, actor="agent:x")
        await identities.undo_merge(tx, row.id, actor="agent:x")
        with pytest.raises(Conflict):
            await identities.undo_merge(tx, row.id, actor="agent:x")
    async with app.db.transaction(other_workspace) as tx:
        with pytest.raises(NotFound):
            await identities.merge(tx, one, two, actor="agent:x")
        with pytest.raises(NotFound):
            await customers.summary(tx, one)


async def test_an_undone_shared_address_stays_undone(
    app: App, workspace: UUID, store: Store, second_store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "shared@example.com")])
        await sync.apply(tx, second_store, [account("9", "shared@example.com")])
        (one,) = await people(tx)
        (merge,) = (await customers.summary(tx, one.id)).merges
        await identities.undo_merge(tx, merge.id, actor="agent:x")
        assert len(await people(tx)) == 2
        await sync.apply(tx, second_store, [account("9", "shared@example.com", "+966501234567", version=1)])
        assert len(await people(tx)) == 2
        first, second = await people(tx)
        await identities.merge(tx, first.id, second.id, actor="agent:x")
        assert len(await people(tx)) == 1


ACCOUNTS = st.tuples(
    st.integers(0, 1), st.sampled_from("123"), st.sampled_from(["", "a@example.com", "b@example.com", "c@example.com"]),
    st.sampled_from(["", "+966501234567", "+966507654321"]),
)  # fmt: skip


@example(
    drawn=[
        (1, "1", "", "+966507654321"),
        (0, "3", "b@example.com", "+966507654321"),
        (0, "1", "", ""),
        (0, "2", "b@example.com", ""),
    ],
    merges=[(0, 2)],
)
@given(
    drawn=st.lists(ACCOUNTS, min_size=2, max_size=6, unique_by=lambda one: one[:2]),
    merges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
async def test_undoing_merges_backwards_restores_exactly(
    app: App, connect: Connect, state: State, drawn: list[Any], merges: list[tuple[int, int]]
) -> None:
    workspace = workspaces.new_workspace_id()
    async with app.db.transaction(workspace) as tx:
        await workspaces.create(tx, "Property")
        both = [await connect(tx, "first"), await connect(tx, "second")]
        for number, id, email, phone in drawn:
            records = [account(id, email, phone, f"{id}{email}"), order(f"{number}{id}", customer_external_id=id)]
            await sync.apply(tx, both[number], records)
        rows = sorted(await tx.scalars(select(Customer.id)))
        done, before = [], []
        for left, right in merges:
            earlier = await state(tx)
            try:
                merge = await identities.merge(tx, rows[left % len(rows)], rows[right % len(rows)], actor="agent:x")
            except Conflict:
                continue
            done.append(merge.id)
            before.append(earlier)
            assert len((await state(tx))["families"]) == len(earlier["families"]) - 1
        while done:
            await identities.undo_merge(tx, done.pop(), actor="agent:x")
            tx.session.expire_all()
            assert await state(tx) == before.pop()


async def test_what_hangs_on_a_row_never_moves(app: App, workspace: UUID, store: Store, second_store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [account("1", "shared@example.com"), order("a", customer_external_id="1")])
        mine = await identities.customer_of_platform(tx, store.id, "1")
        await sync.apply(tx, second_store, [account("9", "shared@example.com"), order("b", customer_external_id="9")])
        assert await identities.customer_of_platform(tx, store.id, "1") == mine
        owner = await tx.scalar(text("SELECT customer_id FROM orders WHERE external_id = 'a'"))
        assert owner == mine
        assert await tx.scalar(select(Identity.customer_id).where(Identity.store_id == store.id)) == mine
