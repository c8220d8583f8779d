"""Orders with lines, parcels, refunds and returns, as the stores tell us."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm import products, tracking
from plugin.crm.batch import Batch, newest
from plugin.kernel import bulk
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.kernel.text import normalise, search_key
from plugin.platform import CustomerRecord, FulfilmentRecord, OrderPart, OrderRecord


class Order(TenantRow, Base):
    """An order. Amounts are minor units of `currency` with `exponent` decimals; `version` is the platform's own.

    `erased_at`: its person was erased, and no later news of it says again who they were.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "customer_id", "placed_at"),
        # Partial, as the next: so that it cannot serve the foreign-key checks on this table.
        Index(None, "workspace_id", "number", postgresql_where=text("number <> ''")),
        Index(
            "ix_orders_cart_token",
            "workspace_id",
            "store_id",
            "cart_token",
            postgresql_where=text("cart_token <> ''"),
        ),
        # Somebody without an account is known by the address alone.
        Index(
            "ix_orders_failed_payments",
            "workspace_id",
            "store_id",
            "email",
            postgresql_where=text("payment_status = 'failed'"),
        ),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
        {
            "info": kept(
                "the merchant's books, without the person",
                blank=("customer_external_id", "email", "phone", "customer_name", "locale", "note", "tags",
                       "shipping_address", "cart_token", "status_url", "raw"),
                plain=("external_id", "name", "number", "status", "payment_status", "fulfilment_status", "currency",
                       "payment_method", "pickup"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    version: Mapped[datetime]
    customer_id: Mapped[UUID | None]
    name: Mapped[str]
    number: Mapped[str] = mapped_column(String(collation="C"))
    placed_at: Mapped[datetime]
    status: Mapped[str]
    payment_status: Mapped[str]
    fulfilment_status: Mapped[str]
    cancelled_at: Mapped[datetime | None]
    currency: Mapped[str]
    exponent: Mapped[int]
    total: Mapped[int] = mapped_column(BigInteger)
    subtotal: Mapped[int | None] = mapped_column(BigInteger)
    shipping_total: Mapped[int | None] = mapped_column(BigInteger)
    discount_total: Mapped[int | None] = mapped_column(BigInteger)
    tax_total: Mapped[int | None] = mapped_column(BigInteger)
    refunded: Mapped[int | None] = mapped_column(BigInteger)
    current_total: Mapped[int | None] = mapped_column(BigInteger)
    customer_external_id: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    customer_name: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    payment_method: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    shipping_address: Mapped[dict[str, Any] | None]
    cart_token: Mapped[str] = mapped_column(server_default="")
    status_url: Mapped[str] = mapped_column(server_default="")
    pickup: Mapped[str] = mapped_column(server_default="")
    raw: Mapped[str] = mapped_column(Text, server_default="{}")
    deleted_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class OrderLine(Tenant, Base):
    """A line of an order. A payload with fewer lines than stored never deletes lines.

    The most numerous rows of all, so they have no id of their own and no second index.
    """

    __tablename__ = "order_lines"
    __table_args__ = (
        tenant_key("order_id", "orders"),
        {
            "info": kept(
                "the merchant's books: what was sold",
                plain=("external_id", "title", "variant_title", "sku", "product_external_id", "variant_external_id",
                       "image_url"),
            )
        },
    )  # fmt: skip

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    store_id: Mapped[UUID]
    version: Mapped[datetime]
    position: Mapped[int]
    title: Mapped[str]
    variant_title: Mapped[str] = mapped_column(server_default="")
    sku: Mapped[str] = mapped_column(server_default="")
    quantity: Mapped[int]
    unit_price: Mapped[int | None] = mapped_column(BigInteger)
    product_external_id: Mapped[str] = mapped_column(server_default="")
    variant_external_id: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    refunded_quantity: Mapped[int] = mapped_column(server_default=text("0"))


class Fulfilment(TenantRow, Base):
    """A parcel with its tracking. May arrive before its order: then `order_id` is filled when the order comes."""

    __tablename__ = "fulfilments"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "store_id", "order_external_id"),
        tenant_key("order_id", "orders"),
        {
            "info": kept(
                "the merchant's books: that it was sent",
                blank=("tracking_number", "tracking_url", "proof_url"),
                plain=("external_id", "order_external_id", "status", "carrier"),
            )
        },
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    order_id: Mapped[UUID | None]
    order_external_id: Mapped[str]
    version: Mapped[datetime]
    status: Mapped[str]
    tracking_number: Mapped[str] = mapped_column(server_default="")
    tracking_url: Mapped[str] = mapped_column(server_default="")
    carrier: Mapped[str] = mapped_column(server_default="")
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    estimated_at: Mapped[datetime | None]
    proof_url: Mapped[str] = mapped_column(server_default="")


class Refund(TenantRow, Base):
    """Money given back on the store. May arrive before its order, as a parcel may."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "store_id", "order_external_id"),
        tenant_key("order_id", "orders"),
        {
            "info": kept(
                "the merchant's books: what was paid back",
                blank=("reason",),
                plain=("external_id", "order_external_id", "currency"),
            )
        },
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    order_id: Mapped[UUID | None]
    order_external_id: Mapped[str]
    version: Mapped[datetime]
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime | None]


class OrderReturn(TenantRow, Base):
    """Goods that go back to the store. May arrive before its order, as a parcel may.

    `status` is the newest that was told; every status it was ever told in has its moment, whatever order they came in.
    A return that is opened again keeps the moment of its first opening.
    """

    __tablename__ = "order_returns"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "store_id", "order_external_id"),
        tenant_key("order_id", "orders"),
        {
            "info": kept(
                "the merchant's books: that goods came back",
                plain=("external_id", "order_external_id", "status", "name"),
            )
        },
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    order_id: Mapped[UUID | None]
    order_external_id: Mapped[str]
    version: Mapped[datetime]
    status: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    requested_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    @property
    def at(self) -> datetime:
        """When it came to be in its status, as far as we know."""
        step = _RETURN_STEPS.get(self.status)
        return (getattr(self, step.moment) if step else None) or self.version


class _Step(NamedTuple):
    """A status that a return comes to: the column that says when it was first told so, and what is told then."""

    moment: str
    event: str


_RETURN_STEPS = {
    "requested": _Step("requested_at", event="return.requested"),
    "open": _Step("approved_at", event="return.approved"),
    "declined": _Step("declined_at", event="return.declined"),
    "cancelled": _Step("cancelled_at", event="return.cancelled"),
    "closed": _Step("closed_at", event="return.closed"),
}
_RETURN_MOMENTS = tuple(step.moment for step in _RETURN_STEPS.values())


class Tombstone(TenantRow, Base):
    """What the platform deleted, so that an older update that comes later cannot bring it back."""

    __tablename__ = "tombstones"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "resource", "external_id"),
        tenant_key("store_id", "stores"),
        {"info": kept("the platform's numbers of what is gone", plain=("resource", "external_id"))},
    )

    store_id: Mapped[UUID]
    resource: Mapped[str]
    external_id: Mapped[str]
    version: Mapped[datetime]


PAID = frozenset({"paid", "partially_refunded", "refunded"})
# A parcel that is only a label, or waits to be fetched, or was called off, has not left.
_NOT_SHIPPED = frozenset({"", "pending", "ready_for_pickup", "cancelled"})


def held(line: OrderLine) -> int:
    """How many of a line are still in the order: what was taken out or given back is not. Pure."""
    return max(0, line.quantity - line.refunded_quantity)


def number_of(name: str) -> str:
    """What an order is searched by: the digits of its name (`#AR-1001` is found as 1001), else its letters. Pure."""
    digits = "".join(filter(str.isdigit, normalise(name)))
    return digits or search_key(name)


@dataclass(slots=True)
class Plan:
    """The orders of a batch against what is stored: which records are written, and which stored rows they meet."""

    records: Sequence[OrderRecord]
    parts: Sequence[OrderPart]
    winners: dict[str, OrderRecord]
    stored: dict[str, Any]
    ids: dict[str, UUID]


async def plan(batch: Batch, records: Sequence[OrderRecord], parts: Sequence[OrderPart]) -> Plan:
    """Read what is stored about the orders that a batch names."""
    candidates = newest((record.external_id, record.version, record) for record in records)
    keys = {*candidates, *(part.order_external_id for part in parts)}
    stored = {}
    if keys:
        stored = {row.external_id: row for row in await batch.tx.execute(_STORED, batch.about(keys=list(keys)))}
    erased = {key for key, row in stored.items() if row.erased_at is not None}
    if erased:
        records = [nameless(record) if record.external_id in erased else record for record in records]
        parts = [nameless_part(part) if part.order_external_id in erased else part for part in parts]
        candidates = newest((record.external_id, record.version, record) for record in records)
    winners = {
        key: record for key, record in candidates.items() if key not in stored or record.version >= stored[key].version
    }
    return Plan(records, parts, winners, stored, {key: row.id for key, row in stored.items()})


_STORED = text("""
SELECT external_id, id, version, customer_id, status, payment_status, fulfilment_status, cancelled_at, total,
    shipping_address, name, currency, exponent, deleted_at, erased_at
FROM orders WHERE workspace_id = :workspace AND store_id = :store AND external_id = ANY(CAST(:keys AS text[]))
""")


def nameless(record: OrderRecord) -> OrderRecord:
    """What may still be written of an order whose person was erased: the merchant's books. Pure."""
    return replace(
        record, customer_external_id="", email="", phone="", customer_name="", locale="", note="", tags=(),
        shipping_address=None, cart_token="", status_url="", raw={},
        fulfilments=record.fulfilments and tuple(map(_untraced, record.fulfilments)),
        refunds=record.refunds and tuple(replace(refund, reason="") for refund in record.refunds),
    )  # fmt: skip


def nameless_part(part: OrderPart) -> OrderPart:
    """The same for what arrived on its own. Pure."""
    return replace(
        part,
        fulfilment=_untraced(part.fulfilment) if part.fulfilment else None,
        refund=replace(part.refund, reason="") if part.refund else None,
    )


def _untraced(parcel: FulfilmentRecord) -> FulfilmentRecord:
    # A carrier's page shows where a parcel went.
    return replace(parcel, tracking_number="", tracking_url="", proof_url="")


class People(Protocol):
    """Who is mentioned in a batch (`plugin/crm/profiles.py`)."""

    def mentioned(self, record: CustomerRecord) -> None: ...

    def key(self, external_id: str, email: str, phone: str, country: str = "") -> str: ...

    def __getitem__(self, key: str) -> UUID | None: ...


def mention(people: People, record: OrderRecord) -> str:
    """Note the person of an order. Returns the profile's key, or nothing when the order names nobody."""
    address = record.shipping_address
    key = people.key(record.customer_external_id, record.email, record.phone, address.country if address else "")
    if key:
        people.mentioned(
            CustomerRecord(
                key, record.version, email=record.email, phone=record.phone, first_name=record.customer_name,
                locale=record.locale, addresses=(address,) if address else (), created_at=record.placed_at,
            )
        )  # fmt: skip
    return key


async def write(batch: Batch, plan: Plan, people: People, keys: Mapping[str, str]) -> None:
    """Write orders, lines, parcels, refunds and returns, and note what happened. `keys`: order → profile."""
    rows = []
    for external_id, record in plan.winners.items():
        customer_id = people[keys[external_id]] if keys[external_id] else None
        before = plan.stored.get(external_id)
        row = _row(batch, record, customer_id, before)
        plan.ids[external_id] = row["id"]
        rows.append(row)
        if before is not None:
            batch.passed_on(row["id"], before.customer_id, customer_id)
    written = {
        row.external_id
        for row in await bulk.insert(
            batch.tx, Order, rows, key=("store_id", "external_id"), rule=NEWER, returning=("external_id",)
        )
    }
    await _write_lines(batch, plan)
    await _delete(batch)
    owners = {row["external_id"]: row["customer_id"] for row in rows}
    for external_id in written:
        record, before = plan.winners[external_id], plan.stored.get(external_id)
        batch.changed("orders", external_id, record.version, created=before is None)
        _tell(batch, record, plan.ids[external_id], owners[external_id], before)
        if owners[external_id] is not None:
            batch.recount.add(owners[external_id])
    await _write_parts(batch, plan)


NEWER = "excluded.version >= stored.version"


def _row(batch: Batch, record: OrderRecord, customer_id: UUID | None, before: Any) -> dict[str, Any]:
    def minor(money: Money | None) -> int | None:
        return money.amount if money is not None else None

    return {
        "id": before.id if before else new_id(),
        "store_id": batch.store.id,
        "external_id": record.external_id,
        "version": record.version,
        "customer_id": customer_id,
        "name": record.name,
        "number": number_of(record.name),
        "placed_at": record.placed_at,
        "status": record.status,
        "payment_status": record.payment_status,
        "fulfilment_status": record.fulfilment_status,
        "cancelled_at": record.cancelled_at,
        "currency": record.total.currency,
        "exponent": record.total.exponent,
        "total": record.total.amount,
        "subtotal": minor(record.subtotal),
        "shipping_total": minor(record.shipping_total),
        "discount_total": minor(record.discount_total),
        "tax_total": minor(record.tax_total),
        "refunded": minor(record.refunded),
        "current_total": minor(record.current_total),
        "customer_external_id": record.customer_external_id,
        "email": record.email,
        "phone": record.phone,
        "customer_name": record.customer_name,
        "locale": record.locale,
        "payment_method": record.payment_method,
        "note": record.note,
        "tags": record.tags,
        "shipping_address": record.shipping_address,
        "cart_token": record.cart_token,
        "status_url": record.status_url,
        "pickup": record.pickup,
        "raw": bulk.dump(record.raw),
        "deleted_at": batch.deleted_at("orders", record.external_id, record.version),
    }


async def _write_lines(batch: Batch, plan: Plan) -> None:
    """Lines have the version of the order that named them, so that an older payload with lines still brings them."""
    lines = newest(
        (f"{record.external_id} {line.external_id}", record.version, (record, position, line))
        for record in plan.records
        for position, line in enumerate(record.lines or ())
    )
    await bulk.insert(
        batch.tx,
        OrderLine,
        [
            {
                "order_id": plan.ids[record.external_id],
                "store_id": batch.store.id,
                "external_id": line.external_id,
                "version": record.version,
                "position": position,
                "title": line.title,
                "variant_title": line.variant_title,
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price": line.unit_price.amount if line.unit_price else None,
                "product_external_id": line.product_external_id,
                "variant_external_id": line.variant_external_id,
                "image_url": line.image_url,
                "refunded_quantity": line.refunded_quantity,
            }
            for record, position, line in lines.values()
        ],
        key=("order_id", "external_id"),
        rule=NEWER,
    )


def _tell(batch: Batch, record: OrderRecord, id: UUID, customer_id: UUID | None, before: Any) -> None:
    """Note what became true of an order, each milestone once."""
    if batch.deleted_at("orders", record.external_id, record.version):
        return
    data = {
        "order": record.name,
        "total": record.total.amount,
        "currency": record.total.currency,
        "exponent": record.total.exponent,
    }
    seen = record.placed_at if before is None else record.version
    told = len(batch.happenings)
    if before is None:
        batch.happened("order.placed", id, customer_id, record.placed_at, data)
    if record.payment_status in PAID and (before is None or before.payment_status not in PAID):
        batch.happened("order.paid", id, customer_id, seen, data)
    if record.cancelled_at and (before is None or before.cancelled_at is None):
        batch.happened("order.cancelled", id, customer_id, record.cancelled_at, data)
    # A store without parcels of its own (WooCommerce) only says that everything was sent.
    sent = record.fulfilment_status == "fulfilled" and not record.fulfilments
    if sent and (before is None or before.fulfilment_status != "fulfilled"):
        batch.happened("order.fulfilled", id, customer_id, seen, data)
    if before is not None and told == len(batch.happenings):
        address = asdict(record.shipping_address) if record.shipping_address else None
        news = {
            "status": (before.status, record.status),
            "payment": (before.payment_status, record.payment_status),
            "fulfilment": (before.fulfilment_status, record.fulfilment_status),
            "total": (before.total, record.total.amount),
            "address": (before.shipping_address, address),
        }
        changes = [name for name, (old, new) in news.items() if old != new]
        if changes:
            batch.happened("order.updated", id, customer_id, record.version, {**data, "changes": changes})


async def _delete(batch: Batch) -> None:
    """Mark what the platform deleted; the row stays, so that conversations about it still make sense."""
    gone = {id: at for (resource, id), at in batch.tombstones.items() if resource == "orders"}
    if not gone:
        return
    rows = await batch.tx.execute(
        text(
            "UPDATE orders o SET deleted_at = r.at "
            f"FROM {bulk.recordset({'external_id': 'text', 'at': 'timestamptz'})} "
            "WHERE o.workspace_id = :workspace AND o.store_id = :store AND o.external_id = r.external_id "
            "AND o.version <= r.at AND o.deleted_at IS DISTINCT FROM r.at "
            "RETURNING o.id, o.customer_id, o.name, o.external_id, r.at"
        ),
        batch.about(rows=bulk.dump([{"external_id": id, "at": at} for id, at in gone.items()])),
    )
    for row in rows.all():
        batch.happened("order.deleted", row.id, row.customer_id, row.at, {"order": row.name})
        batch.changed("orders", row.external_id, row.at, created=False)
        if row.customer_id is not None:
            batch.recount.add(row.customer_id)


# Parcels, refunds and returns


async def _write_parts(batch: Batch, plan: Plan) -> None:
    """Write parcels, refunds and returns, also those whose order we do not know yet: they are joined when it comes."""
    parcels = _newest_parcels(
        [(order.external_id, order.version, part) for order in plan.records for part in order.fulfilments or ()]
        + [(part.order_external_id, part.version, part.fulfilment) for part in plan.parts if part.fulfilment]
    )
    refunds = _newest_parts(
        [(order.external_id, order.version, part) for order in plan.records for part in order.refunds or ()]
        + [(part.order_external_id, part.version, part.refund) for part in plan.parts if part.refund]
    )
    returns = _all_told(
        [(order.external_id, order.version, part) for order in plan.records for part in order.returns or ()]
        + [(part.order_external_id, part.version, part.returned) for part in plan.parts if part.returned]
    )
    arrived = [key for key in plan.winners if key not in plan.stored]
    joined: list[tuple[str, Any, Any]] = []
    if arrived:
        for kind, statement in (("parcel", _JOIN_PARCELS), ("refund", _JOIN_REFUNDS), ("return", _JOIN_RETURNS)):
            found = await batch.tx.execute(statement, batch.about(keys=arrived))
            joined += [(kind, row, None) for row in found.all()]
    if parcels:
        joined += [("parcel", *pair) for pair in await _write_parcels(batch, plan, parcels)]
    if refunds:
        joined += [("refund", *pair) for pair in await _write_refunds(batch, plan, refunds)]
    if returns:
        joined += [("return", *pair) for pair in await _write_returns(batch, plan, returns)]
    if joined:
        await _tell_parts(batch, joined)


_JOIN = """
UPDATE {table} f SET order_id = o.id FROM orders o
WHERE f.workspace_id = :workspace AND f.store_id = :store AND f.order_external_id = ANY(CAST(:keys AS text[]))
    AND f.order_id IS NULL AND o.workspace_id = :workspace AND o.store_id = f.store_id
    AND o.external_id = f.order_external_id
RETURNING f.*
"""
_JOIN_PARCELS = text(_JOIN.format(table="fulfilments"))
_JOIN_REFUNDS = text(_JOIN.format(table="refunds"))
_JOIN_RETURNS = text(_JOIN.format(table="order_returns"))

Part = tuple[str, datetime, Any]


def _newest_parts(parts: Iterable[Part]) -> dict[str, Part]:
    return newest((part.external_id, version, (order, version, part)) for order, version, part in parts)


def _newest_parcels(parts: Iterable[Part]) -> dict[str, Part]:
    """The newest of each parcel; a scan says where it is and no more, so what it leaves empty was told before."""
    found: dict[str, Part] = {}
    for order, version, parcel in sorted(parts, key=lambda part: part[1]):
        known = found.get(parcel.external_id)
        found[parcel.external_id] = (order, version, _filled(parcel, known[2]) if known else parcel)
    return found


def _filled(parcel: Any, before: Any) -> Any:
    told = {name: getattr(parcel, name) or getattr(before, name) for name in _PARCEL_WORDS}
    return replace(parcel, **told)


def _joined(order: str, version: datetime, parcel: Any, before: Any) -> Part:
    """A parcel with what is stored of it: the newer one speaks, the older one fills its gaps, whichever came first."""
    if version >= before.version:
        return order, version, _filled(parcel, before)
    newer = replace(parcel, status=before.status, delivered_at=before.delivered_at)
    told = {name: getattr(before, name) or getattr(parcel, name) for name in _PARCEL_WORDS}
    return before.order_external_id, before.version, replace(newer, **told)


_PARCEL_WORDS = ("tracking_number", "tracking_url", "carrier", "shipped_at", "estimated_at", "proof_url")


async def _write_parcels(batch: Batch, plan: Plan, parcels: Mapping[str, Part]) -> list[tuple[Any, Any]]:
    """Returns (row as written, row before) of those that changed."""
    before = await _parts_before(batch, "fulfilments", parcels)
    whole = [_joined(*part, before[key]) if key in before else part for key, part in parcels.items()]
    written = await bulk.insert(
        batch.tx,
        Fulfilment,
        [
            {
                "id": new_id(),
                "store_id": batch.store.id,
                "external_id": parcel.external_id,
                "order_id": plan.ids.get(order),
                "order_external_id": order,
                "version": version,
                "status": parcel.status,
                "tracking_number": parcel.tracking_number,
                "tracking_url": parcel.tracking_url,
                "carrier": parcel.carrier,
                "shipped_at": parcel.shipped_at,
                "delivered_at": parcel.delivered_at,
                "estimated_at": parcel.estimated_at,
                "proof_url": parcel.proof_url,
            }
            for order, version, parcel in whole
        ],
        key=("store_id", "external_id"),
        rule=NEWER,
        returning=("external_id", "order_id", "status", "shipped_at", "delivered_at", "version", "carrier",
                   "tracking_number"),
    )  # fmt: skip
    return [(row, before.get(row.external_id)) for row in written]


async def _write_refunds(batch: Batch, plan: Plan, refunds: Mapping[str, Part]) -> list[tuple[Any, Any]]:
    before = await _parts_before(batch, "refunds", refunds)
    written = await bulk.insert(
        batch.tx,
        Refund,
        [
            {
                "id": new_id(),
                "store_id": batch.store.id,
                "external_id": refund.external_id,
                "order_id": plan.ids.get(order),
                "order_external_id": order,
                "version": version,
                "amount": refund.amount.amount if refund.amount else None,
                "currency": refund.amount.currency if refund.amount else "",
                "exponent": refund.amount.exponent if refund.amount else 2,
                "reason": refund.reason,
                "at": refund.at,
            }
            for order, version, refund in refunds.values()
        ],
        key=("store_id", "external_id"),
        rule=NEWER,
        returning=("external_id", "order_id", "amount", "currency", "exponent", "at", "version"),
    )
    return [(row, before.get(row.external_id)) for row in written]


@dataclass(frozen=True, slots=True)
class _Returning:
    """Everything that was told about a return. `moments`: column → when it was first so."""

    order: str
    version: datetime
    status: str
    name: str
    moments: Mapping[str, datetime]


def _all_told(parts: Iterable[Part]) -> dict[str, _Returning]:
    """Every return of a batch, all that it tells of it together.

    A platform need not touch an order whose return moved on: what happened later than the order's own version counts
    from then.
    """
    found: dict[str, _Returning] = {}
    for order, version, one in parts:
        step = _RETURN_STEPS.get(one.status)
        moments = {step.moment: one.at or version} if step else {}
        told = _Returning(order, max(version, one.at or version), one.status, one.name, moments)
        known = found.get(one.external_id)
        found[one.external_id] = _together(known, told) if known else told
    return found


def _together(before: _Returning, told: _Returning) -> _Returning:
    """The newer one speaks, of equals the later told; the older one fills its gaps."""
    older, newer = (before, told) if told.version >= before.version else (told, before)
    moments = {**older.moments, **newer.moments}
    for column in older.moments.keys() & newer.moments.keys():
        moments[column] = min(older.moments[column], newer.moments[column])
    return replace(newer, name=newer.name or older.name, moments=moments)


def _stored_return(row: Any) -> _Returning:
    moments = {column: at for column in _RETURN_MOMENTS if (at := getattr(row, column)) is not None}
    return _Returning(row.order_external_id, row.version, row.status, row.name, moments)


async def _write_returns(batch: Batch, plan: Plan, returns: Mapping[str, _Returning]) -> list[tuple[Any, Any]]:
    before = await _parts_before(batch, "order_returns", returns)
    whole = {key: _together(_stored_return(before[key]), told) if key in before else told
             for key, told in returns.items()}  # fmt: skip
    written = await bulk.insert(
        batch.tx,
        OrderReturn,
        [
            {
                "id": new_id(),
                "store_id": batch.store.id,
                "external_id": external_id,
                "order_id": plan.ids.get(told.order),
                "order_external_id": told.order,
                "version": told.version,
                "status": told.status,
                "name": told.name,
                **{column: told.moments.get(column) for column in _RETURN_MOMENTS},
            }
            for external_id, told in whole.items()
        ],
        key=("store_id", "external_id"),
        rule=NEWER,
        returning=("external_id", "order_id", "name", *_RETURN_MOMENTS),
    )
    return [(row, before.get(row.external_id)) for row in written]


async def _parts_before(batch: Batch, table: str, keys: Collection[str]) -> dict[str, Any]:
    rows = await batch.tx.execute(
        text(
            f"SELECT * FROM {table} WHERE workspace_id = :workspace AND store_id = :store "
            "AND external_id = ANY(CAST(:keys AS text[]))"
        ),
        batch.about(keys=list(keys)),
    )
    return {row.external_id: row for row in rows.all()}


async def _tell_parts(batch: Batch, joined: Sequence[tuple[str, Any, Any]]) -> None:
    """Note parcels, refunds and returns of known orders; one that waits for its order is told when that comes."""
    ids = {row.order_id for _, row, _ in joined if row.order_id is not None}
    orders = {
        row.id: row
        for row in await batch.tx.execute(
            text(
                "SELECT id, customer_id, name FROM orders "
                "WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[])) AND deleted_at IS NULL"
            ),
            batch.about(ids=list(ids)),
        )
    }
    for kind, row, before in joined:
        order = orders.get(row.order_id)
        if order is None:
            continue
        # A row that waited for its order was not told then, whatever its state.
        known = before if before is not None and before.order_id is not None else None
        if kind == "return":
            _tell_return(batch, order, row, known)
            continue
        if order.customer_id is not None:
            batch.recount.add(order.customer_id)
        if kind == "refund":
            if known is None:
                data = {"order": order.name, "amount": row.amount, "currency": row.currency, "exponent": row.exponent}
                batch.happened("order.refunded", order.id, order.customer_id, row.at or row.version, data)
            continue
        shipped, delivered = row.status not in _NOT_SHIPPED, row.status == "delivered" or row.delivered_at is not None
        data = {"order": order.name, "carrier": row.carrier, "tracking": row.tracking_number}
        if shipped and (known is None or known.status in _NOT_SHIPPED):
            batch.happened("order.fulfilled", order.id, order.customer_id, row.shipped_at or row.version, data)
        if delivered and (known is None or not (known.status == "delivered" or known.delivered_at)):
            batch.happened("order.delivered", order.id, order.customer_id, row.delivered_at or row.version, data)


def _tell_return(batch: Batch, order: Any, row: Any, known: Any) -> None:
    """Each of a return's moments once, however often it is opened and closed again."""
    data = {"order": order.name, "return": row.name}
    for moment, event in _RETURN_STEPS.values():
        at = getattr(row, moment)
        if at is not None and (known is None or getattr(known, moment) is None):
            batch.happened(event, order.id, order.customer_id, at, data)


# Reading


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with everything that belongs to it."""

    order: Order
    lines: Sequence[OrderLine]
    fulfilments: Sequence[Fulfilment]
    refunds: Sequence[Refund]
    returns: Sequence[OrderReturn]
    pictures: Mapping[tuple[UUID, str], str] = field(default_factory=dict)

    def picture(self, line: OrderLine) -> str:
        """The address of a line's picture, or empty: the order's own, else the product's. Webhooks bring none."""
        return line.image_url or self.pictures.get((line.store_id, line.product_external_id), "")

    @property
    def total(self) -> Money:
        """What was paid for, before refunds."""
        return Money(self.order.total, self.order.currency, self.order.exponent)

    @property
    def ended(self) -> bool:
        """Cancelled, or all of its money went back: it is shown as it was."""
        return self.order.cancelled_at is not None or self.order.payment_status == "refunded"

    @property
    def there(self) -> Sequence[OrderLine]:
        """What is in it: what was swapped for something else, taken out or sent back is no longer."""
        return [line for line in self.lines if self.count(line)]

    def count(self, line: OrderLine) -> int:
        """How many of a line are in it."""
        return line.quantity if self.ended else held(line)

    @property
    def comes_to(self) -> Money | None:
        """What those goods come to; None where the store told only what all that was ever in it did."""
        if self.ended:
            return self.total
        if self.order.current_total is not None:
            return Money(self.order.current_total, self.order.currency, self.order.exponent)
        return None if any(held(line) < line.quantity for line in self.lines) else self.total


async def of_family(tx: Tx, members: Collection[UUID], limit: int = 20) -> Sequence[OrderView]:
    """The latest orders of a person."""
    rows = await tx.scalars(
        select(Order)
        .where(Order.workspace_id == tx.workspace_id, Order.customer_id.in_(members), Order.deleted_at.is_(None))
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(limit)
    )
    return await views(tx, rows.all())


async def get(tx: Tx, order_id: UUID) -> OrderView | None:
    """One order with everything that belongs to it."""
    row = await tx.get(Order, order_id)
    return (await views(tx, [row]))[0] if row is not None else None


async def views(tx: Tx, rows: Sequence[Order]) -> Sequence[OrderView]:
    """These orders, in their order, with everything that belongs to them."""
    if not rows:
        return []
    ids = [row.id for row in rows]
    parts: dict[type[Any], dict[UUID, list[Any]]] = {}
    orderings: list[tuple[type[Any], Any]] = [
        (OrderLine, OrderLine.position),
        (Fulfilment, Fulfilment.shipped_at),
        (Refund, Refund.at),
        (OrderReturn, OrderReturn.version),
    ]
    for model, ordering in orderings:
        parts[model] = defaultdict(list)
        found = await tx.scalars(
            select(model)
            .where(model.workspace_id == tx.workspace_id, model.order_id.in_(ids))
            .order_by(ordering, model.external_id)
        )
        for part in found:
            parts[model][part.order_id].append(part)
    bare = {
        (line.store_id, line.product_external_id)
        for lines in parts[OrderLine].values()
        for line in lines
        if not line.image_url and line.product_external_id
    }
    pictures = await products.pictures(tx, bare)
    return [
        OrderView(
            row,
            lines=parts[OrderLine][row.id],
            fulfilments=parts[Fulfilment][row.id],
            refunds=parts[Refund][row.id],
            returns=parts[OrderReturn][row.id],
            pictures=pictures,
        )
        for row in rows
    ]


_TELLING = 20
"""So many parcels say how long the next one takes; fewer say nothing."""


async def usual_times(tx: Tx, store_id: UUID) -> tracking.Usual:
    """How long nine of ten of the store's latest parcels took to be packed, and to be carried."""
    row = (await tx.execute(_USUAL, {"workspace": tx.workspace_id, "store": store_id})).one()
    return tracking.Usual(
        timedelta(seconds=float(row.packing)) if row.packed >= _TELLING else None,
        timedelta(seconds=float(row.carrying)) if row.carried >= _TELLING else None,
    )


_USUAL = text("""
SELECT count(packing) AS packed, percentile_cont(0.9) WITHIN GROUP (ORDER BY packing) AS packing,
    count(carrying) AS carried, percentile_cont(0.9) WITHIN GROUP (ORDER BY carrying) AS carrying
FROM (
    SELECT extract(epoch FROM f.shipped_at - o.placed_at) AS packing,
        extract(epoch FROM f.delivered_at - f.shipped_at) AS carrying
    FROM (SELECT order_id, shipped_at, delivered_at FROM fulfilments WHERE workspace_id = :workspace
        AND store_id = :store AND order_id IS NOT NULL AND shipped_at IS NOT NULL ORDER BY id DESC LIMIT 1000) f
    JOIN orders o ON o.workspace_id = :workspace AND o.id = f.order_id AND o.placed_at > now() - interval '180 days'
) took
""")
