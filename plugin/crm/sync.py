"""From platform records to CRM rows: a batch in a handful of set-based statements.

Whatever order records come in, however often, the rows end up the same: a record is written only where it is not older
than what is stored, deletions leave tombstones, parts wait for their order, and everything about people is computed
from the rows. Facts and limits: docs/architecture.md, "Inbox to CRM".
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from plugin import stores
from plugin.crm import carts, consents, orders, products, profiles, translations
from plugin.crm.batch import LONG_AGO, Batch, Change, lock, newest
from plugin.crm.identities import Merge, regroup
from plugin.crm.orders import Tombstone
from plugin.crm.profiles import People
from plugin.crm.recount import recount
from plugin.kernel import bulk
from plugin.kernel.db import Tx, new_id
from plugin.kernel.money import Money
from plugin.platform import (
    CartRecord,
    CustomerPart,
    CustomerRecord,
    Deletion,
    MergeRecord,
    OrderPart,
    OrderRecord,
    ProductRecord,
    Record,
    StoreNotice,
)
from plugin.stores import Store

BATCH = 250

_RESOURCES = frozenset({"customers", "orders", "products", "carts", "checkouts"})
_BIGINT, _INTEGER = 2**63, 2**31


class PoisonedRecord(ValueError):
    """A record that cannot be written; nothing of the call was. `index` is its place among the records given."""

    retry = False

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"record {index}: {reason}")
        self.index = index
        self.reason = reason


@dataclass(slots=True)
class Applied:
    """What a call really changed; records that were known or older are only counted."""

    records: int = 0
    changes: list[Change] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        """Changed rows per resource."""
        return Counter(change.resource for change in self.changes)


async def apply(tx: Tx, store: Store, records: Sequence[Record]) -> Applied:
    """Write what a store told us. Raises PoisonedRecord before anything is written.

    A CustomerRecord dated at the epoch says no more than that the account exists.
    Events are recorded once for each thing that really became true; those before the store's install are marked as
    history and start no reaction. StoreNotices are not ours and are passed over.
    """
    _refuse_poison(records)
    await lock(tx)
    applied = Applied(len(records))
    for start in range(0, len(records), BATCH):
        applied.changes += await _apply(Batch(tx, store, datetime.now(UTC)), records[start : start + BATCH])
    if applied.changes:
        tx.publish("customers", {"store_id": str(store.id), "changed": len(applied.changes)})
    return applied


async def apply_answer(tx: Tx, store_id: UUID, records: Sequence[Record]) -> None:
    """Write what a store answered when it was asked, unless it has left this workspace since. Raises PoisonedRecord.

    The turn to write goes before the store, as a move of the store takes them: the other way round each would have what
    the other one waits for.
    """
    await lock(tx)
    store = await stores.held(tx, store_id)
    if store is not None:
        await apply(tx, store, records)


async def _apply(batch: Batch, records: Sequence[Record]) -> list[Change]:
    await _bury(batch, records)
    order_plan = await orders.plan(batch, _of(OrderRecord, records), _of(OrderPart, records))
    cart_plan = await carts.plan(batch, _of(CartRecord, records))
    people = People(batch.store.country)
    for person in _of(CustomerRecord, records):
        # Dated at the epoch: somebody only vouches that this account exists.
        (people.mentioned if person.version <= LONG_AGO else people.described)(person)
    merges = _of(MergeRecord, records)
    for merge in merges:
        people.mentioned(CustomerRecord(merge.survivor_external_id, LONG_AGO))
        people.mentioned(CustomerRecord(merge.loser_external_id, LONG_AGO))
    buyers = {key: orders.mention(people, order) for key, order in order_plan.winners.items()}
    owners = {key: carts.mention(people, cart) for key, cart in cart_plan.winners.items()}
    await people.learn(batch)
    await profiles.amend(batch, _of(CustomerPart, records))
    await consents.write(batch, [*_of(CustomerRecord, records), *_of(CustomerPart, records)])
    await orders.write(batch, order_plan, people, buyers)
    await carts.write(batch, cart_plan, people, owners)
    await carts.delete(batch)
    await carts.complete(batch, {order.cart_token for order in order_plan.winners.values()})
    await products.write(batch, _of(ProductRecord, records))
    if any(one.resource == "products" for one in batch.changes):
        await translations.changed(batch.tx, batch.store)
    await _merge(batch, merges, people)
    await _pass_on(batch)
    await profiles.settle(batch, batch.store.country)
    await regroup(batch.tx, batch.regroup, actor=f"store:{batch.store.id}")
    await _recount(batch)
    await batch.tx.record_many(batch.happenings)
    return batch.changes


async def _bury(batch: Batch, records: Sequence[Record]) -> None:
    """Write the tombstones of this batch, and read those of everything else that it names."""
    deletions = newest(((one.resource, one.external_id), one.version, one) for one in _of(Deletion, records))
    rows = [
        {"id": new_id(), "store_id": batch.store.id, "resource": one.resource, "external_id": one.external_id,
         "version": one.version}
        for one in deletions.values()
    ]  # fmt: skip
    written = await bulk.insert(
        batch.tx, Tombstone, rows, key=("store_id", "resource", "external_id"),
        rule="excluded.version > stored.version", returning=("resource", "external_id", "version"),
    )  # fmt: skip
    batch.tombstones = {(row.resource, row.external_id): row.version for row in written}
    named = {id for one in records for field in _NAMING if (id := getattr(one, field, ""))}
    for row in await batch.tx.execute(_BURIED, batch.about(keys=list(named))):
        batch.tombstones[(row.resource, row.external_id)] = row.version


_NAMING = ("external_id", "customer_external_id", "survivor_external_id", "loser_external_id")

_BURIED = text("""
SELECT resource, external_id, version FROM tombstones
WHERE workspace_id = :workspace AND store_id = :store AND external_id = ANY(CAST(:keys AS text[]))
""")


async def _merge(batch: Batch, merges: Sequence[MergeRecord], people: People) -> None:
    """Two accounts that the platform made one: a decided merge of their rows, once."""
    for one in merges:
        survivor, loser = people[one.survivor_external_id], people[one.loser_external_id]
        if survivor is None or loser is None or survivor == loser:
            continue
        known = await batch.tx.scalar(_MERGED, batch.about(survivor=survivor, loser=loser))
        if known is None:
            batch.tx.add(
                Merge(id=new_id(), survivor_id=survivor, absorbed_id=loser, reason="platform",
                      actor=f"store:{batch.store.id}")
            )  # fmt: skip
            await batch.tx.flush()
            batch.regroup |= {survivor, loser}


# Also one that an agent has undone: telling us again what we knew then is no new decision.
_MERGED = text("""
SELECT id FROM customer_merges WHERE workspace_id = :workspace AND survivor_id = :survivor AND absorbed_id = :loser
    AND reason = 'platform' LIMIT 1
""")


async def _pass_on(batch: Batch) -> None:
    """Events of orders and carts that changed hands follow them."""
    if batch.owners:
        rows = [{"subject_id": subject, "customer_id": owner} for subject, owner in batch.owners.items()]
        await batch.tx.execute(_FOLLOW, batch.about(rows=bulk.dump(rows)))


_FOLLOW = text(
    f"UPDATE events e SET customer_id = r.customer_id "
    f"FROM {bulk.recordset({'subject_id': 'uuid', 'customer_id': 'uuid'})} "
    "WHERE e.workspace_id = :workspace AND e.subject_id = r.subject_id"
)


async def _recount(batch: Batch) -> None:
    """Recompute who was touched, and the heads of their families."""
    if not batch.recount:
        return
    heads = await batch.tx.scalars(_HEADS, batch.about(ids=list(batch.recount)))
    await recount(batch.tx, {*batch.recount, *heads})


_HEADS = text("""
SELECT DISTINCT merged_into FROM customers
WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[])) AND merged_into IS NOT NULL
""")


def _of(kind: type[Any], records: Iterable[Record]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


# Poison


def poison(record: Record) -> str:
    """Why a record cannot be written, or nothing. Pure; one bad record must not stop the batch it came in."""
    if isinstance(record, StoreNotice):
        return ""
    if not isinstance(record.version, datetime) or record.version.tzinfo is None:
        return "version is no time with a zone"
    for name in _KEYS[type(record)]:
        value = getattr(record, name)
        if not isinstance(value, str) or not value or "\0" in value:
            return f"{name} is missing"
    check = _CHECKS.get(type(record))
    return str(check(record)) if check else ""


def _refuse_poison(records: Sequence[Record]) -> None:
    for index, record in enumerate(records):
        if reason := poison(record):
            raise PoisonedRecord(index, reason)
    try:
        bulk.check(records)
    except (TypeError, ValueError):
        for index, record in enumerate(records):
            try:
                bulk.check(record)
            except (TypeError, ValueError) as error:
                raise PoisonedRecord(index, str(error)) from error


_KEYS: dict[type[Any], tuple[str, ...]] = {
    CustomerRecord: ("external_id",),
    CustomerPart: ("external_id",),
    OrderRecord: ("external_id",),
    OrderPart: ("order_external_id",),
    CartRecord: ("external_id", "kind"),
    ProductRecord: ("external_id",),
    Deletion: ("resource", "external_id"),
    MergeRecord: ("survivor_external_id", "loser_external_id"),
}


def _amount(*amounts: Money | None) -> str:
    for amount in amounts:
        if amount is not None and not -_BIGINT <= amount.amount < _BIGINT:
            return "an amount is out of range"
    return ""


def _times(*times: datetime | None) -> str:
    return "a time has no zone" if any(time is not None and time.tzinfo is None for time in times) else ""


def _lines(lines: Iterable[Any]) -> str:
    for line in lines:
        if not line.external_id:
            return "a line has no id"
        if not -_INTEGER <= line.quantity < _INTEGER or not -_INTEGER <= line.refunded_quantity < _INTEGER:
            return "a quantity is out of range"
        if reason := _amount(line.unit_price):
            return reason
    return ""


def _parts(fulfilments: Iterable[Any], refunds: Iterable[Any], returns: Iterable[Any]) -> str:
    for parcel in fulfilments:
        if not parcel.external_id:
            return "a parcel has no id"
        if reason := _times(parcel.shipped_at, parcel.delivered_at):
            return reason
    for refund in refunds:
        if not refund.external_id:
            return "a refund has no id"
        if reason := _times(refund.at) or _amount(refund.amount):
            return reason
    for returned in returns:
        if not returned.external_id:
            return "a return has no id"
        if reason := _times(returned.at):
            return reason
    return ""


def _customer_part(record: CustomerPart) -> str:
    return _amount(record.total_spent) or _times(*(one.at for one in record.consents))


def _customer(record: CustomerRecord) -> str:
    return _times(record.created_at, *(one.at for one in record.consents)) or _amount(record.total_spent)


def _order(record: OrderRecord) -> str:
    return (
        ("" if isinstance(record.placed_at, datetime) else "placed_at is missing")
        or _times(record.placed_at, record.cancelled_at)
        or _amount(record.total, record.subtotal, record.shipping_total, record.discount_total, record.tax_total,
                   record.refunded, record.current_total)
        or _lines(record.lines or ())
        or _parts(record.fulfilments or (), record.refunds or (), record.returns or ())
    )  # fmt: skip


def _part(record: OrderPart) -> str:
    return _parts(
        [record.fulfilment] if record.fulfilment else [],
        [record.refund] if record.refund else [],
        [record.returned] if record.returned else [],
    )


def _cart(record: CartRecord) -> str:
    if record.kind not in ("cart", "checkout"):
        return f"no kind of cart: {record.kind}"
    return _times(record.completed_at) or _amount(record.total, *(line.unit_price for line in record.lines))


def _product(record: ProductRecord) -> str:
    for variant in record.variants:
        if not variant.external_id:
            return "a variant has no id"
        if variant.stock is not None and not -_INTEGER <= variant.stock < _INTEGER:
            return "a stock is out of range"
    return _amount(*(variant.price for variant in record.variants))


def _deletion(record: Deletion) -> str:
    return "" if record.resource in _RESOURCES else f"nothing of that name can be deleted: {record.resource}"


_CHECKS: dict[type[Any], Any] = {
    CustomerRecord: _customer,
    CustomerPart: _customer_part,
    OrderRecord: _order,
    OrderPart: _part,
    CartRecord: _cart,
    ProductRecord: _product,
    Deletion: _deletion,
}
