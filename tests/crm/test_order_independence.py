"""Any order of the same records, in any batches, gives the same CRM; telling them again changes nothing."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from plugin import workspaces
from plugin.app import App
from plugin.crm import sync
from plugin.kernel.db import Tx
from plugin.kernel.money import Money
from plugin.platform import (
    CartRecord,
    CustomerRecord,
    Deletion,
    FulfilmentRecord,
    LineRecord,
    MergeRecord,
    OrderPart,
    OrderRecord,
    ProductRecord,
    Record,
    RefundRecord,
    ReturnRecord,
    VariantRecord,
)
from plugin.stores import Store

START = datetime(2026, 7, 1, tzinfo=UTC)

EMAILS = st.sampled_from(["", "nura@example.com", "Nura@Example.com", "dana@example.com", "no address"])
PHONES = st.sampled_from(["", "+966501234567", "0501234567", "+972501234567", "12"])
NAMES = st.sampled_from(["", "نورة الأحمد", "דנה לוי", "Nura A"])
ACCOUNTS = st.sampled_from(["1", "2", "3"])
VERSIONS = st.integers(1, 5)


# Opened again after it was closed: what a return is called at each version.
RETURN_STATUSES = {1: "requested", 2: "open", 3: "closed", 4: "open", 5: "closed"}


def at(version: int) -> datetime:
    return START + timedelta(hours=version)


def riyals(amount: int) -> Money:
    return Money(amount * 100, "SAR", 2)


@st.composite
def customers(draw: st.DrawFn) -> CustomerRecord:
    return CustomerRecord(draw(ACCOUNTS), at(draw(VERSIONS)), email=draw(EMAILS), phone=draw(PHONES),
                          first_name=draw(NAMES), created_at=START)  # fmt: skip


@st.composite
def orders(draw: st.DrawFn) -> OrderRecord:
    id, version = draw(st.sampled_from(["o1", "o2", "o3"])), draw(VERSIONS)
    parcels = (
        [FulfilmentRecord(f"{id}-f1", "delivered" if version > 3 else "in_transit")] if draw(st.booleans()) else []
    )
    return OrderRecord(
        id, at(version), f"#100{id[1]}", START, riyals(int(id[1]) + version),
        payment_status="paid" if version >= 3 else "pending",
        cancelled_at=at(5) if version == 5 else None,
        customer_external_id=draw(st.sampled_from(["", "", "1", "2", "4"])),
        email=draw(EMAILS), phone=draw(PHONES), customer_name=draw(NAMES),
        cart_token=draw(st.sampled_from(["", "t1"])),
        lines=tuple(LineRecord(f"l{n}", f"tea {version}", version, riyals(1)) for n in range(draw(st.integers(0, 2)))),
        fulfilments=tuple(parcels),
        returns=(returned(id, version),) if draw(st.booleans()) else None,
    )  # fmt: skip


def returned(order: str, version: int) -> ReturnRecord:
    """The return of an order as it stands at a version, whoever tells it; only some tellings have its name."""
    status = RETURN_STATUSES[version]
    return ReturnRecord(f"{order}-b1", status, "#R1" if status == "requested" else "", at(version))


@st.composite
def parts(draw: st.DrawFn) -> OrderPart:
    id = draw(st.sampled_from(["o1", "o2", "o3"]))
    if draw(st.booleans()):
        version = draw(VERSIONS)
        return OrderPart(id, at(version), returned=returned(id, version))
    if draw(st.booleans()):
        return OrderPart(id, at(draw(VERSIONS)), refund=RefundRecord(f"{id}-r1", riyals(1), at=at(4)))
    tracking = draw(st.sampled_from(["", "RR1"]))
    return OrderPart(
        id, at(draw(VERSIONS)), fulfilment=FulfilmentRecord(f"{id}-f2", "delivered", tracking, delivered_at=at(4))
    )


@st.composite
def carts(draw: st.DrawFn) -> CartRecord:
    return CartRecord(
        draw(st.sampled_from(["c1", "c2"])), at(draw(VERSIONS)), draw(st.sampled_from(["cart", "checkout"])), "SAR",
        riyals(draw(VERSIONS)), customer_external_id=draw(st.sampled_from(["", "1", "5"])), email=draw(EMAILS),
        token=draw(st.sampled_from(["", "t1", "t2"])), lines=(LineRecord("a", "tea", 1, riyals(1)),),
    )  # fmt: skip


@st.composite
def products(draw: st.DrawFn) -> ProductRecord:
    version = draw(VERSIONS)
    variant = VariantRecord(draw(st.sampled_from(["v1", "v2"])), f"size {version}", riyals(version))
    if draw(st.booleans()):
        return ProductRecord(variant.external_id, at(version), "", variants=(variant,), parent_external_id="p1")
    return ProductRecord("p1", at(version), f"Tea {version}", variants=(variant,))


DELETIONS = st.one_of(
    st.builds(Deletion, st.just("customers"), ACCOUNTS, VERSIONS.map(at)),
    st.builds(Deletion, st.just("orders"), st.sampled_from(["o1", "o2"]), VERSIONS.map(at)),
    st.builds(Deletion, st.sampled_from(["carts", "checkouts"]), st.just("c1"), VERSIONS.map(at)),
)
MERGES = st.builds(MergeRecord, st.just("1"), st.sampled_from(["2", "3"]), VERSIONS.map(at))
RECORDS = st.one_of(customers(), orders(), orders(), parts(), carts(), products(), DELETIONS, MERGES)


def identity(store: int, record: Record) -> tuple[Any, ...]:
    """What a platform never sends twice with different content: one version of one thing."""
    match record:
        case OrderPart():
            part = record.fulfilment or record.refund or record.returned
            return store, "part", part.external_id if part else "", record.version
        case MergeRecord():
            return store, "merge", record.survivor_external_id, record.loser_external_id
        case ProductRecord():
            return store, "product", record.variants[0].external_id, record.parent_external_id, record.version
        case CartRecord():
            return store, record.kind, record.external_id, record.version
        case Deletion():
            return store, "deletion", record.resource, record.external_id, record.version
        case CustomerRecord() | OrderRecord():
            return store, type(record).__name__, record.external_id, record.version
    raise AssertionError(record)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, Record]], list[tuple[int, Record]], list[int]]:
    drawn = draw(st.lists(st.tuples(st.integers(0, 1), RECORDS), max_size=14))
    once = list({identity(store, record): (store, record) for store, record in drawn}.values())
    shuffled = draw(st.permutations(once))
    cuts = draw(st.lists(st.integers(0, len(once)), max_size=4))
    return once, shuffled, sorted(cuts)


async def tell(
    app: App, connect: Callable[[Tx, str], Awaitable[Store]], told: Sequence[Sequence[tuple[int, Record]]]
) -> Any:
    """A fresh workspace with two stores that was told these batches."""
    workspace = workspaces.new_workspace_id()
    async with app.db.transaction(workspace) as tx:
        await workspaces.create(tx, "Property")
        both = [await connect(tx, "first"), await connect(tx, "second")]
    for batch in told:
        async with app.db.transaction(workspace) as tx:
            for number, store in enumerate(both):
                await sync.apply(tx, store, [record for of, record in batch if of == number])
    return workspace


def cut(records: Sequence[Any], cuts: Sequence[int]) -> list[Sequence[Any]]:
    edges = [0, *cuts, len(records)]
    return [records[start:end] for start, end in pairwise(edges) if start < end]


@given(history=histories())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_order_gives_the_same_state(
    app: App,
    connect: Callable[[Tx, str], Awaitable[Store]],
    state: Callable[[Tx], Awaitable[dict[str, Any]]],
    history: tuple[list[tuple[int, Record]], list[tuple[int, Record]], list[int]],
) -> None:
    once, shuffled, cuts = history
    first = await tell(app, connect, [once])
    second = await tell(app, connect, cut(shuffled, cuts))
    async with app.db.transaction(first) as tx:
        expected = await state(tx)
    async with app.db.transaction(second) as tx:
        found = await state(tx)
    different = {part: (rows, found[part]) for part, rows in expected.items() if found[part] != rows}
    assert not different


@given(history=histories())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_telling_it_again_changes_nothing(
    app: App,
    connect: Callable[[Tx, str], Awaitable[Store]],
    state: Callable[[Tx], Awaitable[dict[str, Any]]],
    history: tuple[list[tuple[int, Record]], list[tuple[int, Record]], list[int]],
) -> None:
    once, shuffled, cuts = history
    workspace = await tell(app, connect, cut(once, cuts))
    count = text("SELECT count(*) FROM events")
    async with app.db.transaction(workspace) as tx:
        expected, events = await state(tx), await tx.scalar(count)
    async with app.db.transaction(workspace) as tx:
        from_stores = {row.name: row.id for row in await tx.execute(text("SELECT id, name FROM stores"))}
        for number, name in enumerate(("first", "second")):
            store = await tx.get(Store, from_stores[name])
            assert store is not None
            again = await sync.apply(tx, store, [record for of, record in shuffled if of == number])
            assert again.changes == []
        assert await tx.scalar(count) == events
        assert await state(tx) == expected
