"""Open carts and checkouts."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, or_, select, text, tuple_
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm.batch import LONG_AGO, Batch, newest
from plugin.crm.orders import NEWER, People
from plugin.crm.visitors import Visitor
from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.platform import CartRecord, CustomerRecord


class Cart(TenantRow, Base):
    """A cart or checkout (`kind`); `token` joins it with a visitor's browser and with the order that it becomes.

    `lines` are dicts of a LineRecord's fields, `unit_price` being {amount, currency, exponent} or null.
    """

    __tablename__ = "carts"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "kind", "external_id"),
        Index(None, "workspace_id", "customer_id", "version"),
        Index(None, "workspace_id", "store_id", "token"),
        Index("ix_carts_email", "workspace_id", "email", postgresql_where=text("email <> '' AND completed_at IS NULL")),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID]
    kind: Mapped[str]
    external_id: Mapped[str]
    version: Mapped[datetime]
    customer_id: Mapped[UUID | None]
    token: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    total: Mapped[int | None] = mapped_column(BigInteger)
    lines: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    recovery_url: Mapped[str] = mapped_column(server_default="")
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


@dataclass(slots=True)
class Plan:
    """The carts of a batch that are newer than what is stored, and the stored rows that they meet."""

    winners: dict[str, CartRecord]
    stored: dict[str, Any]


async def plan(batch: Batch, records: Sequence[CartRecord]) -> Plan:
    """Read what is stored about the carts of a batch."""
    candidates = newest((f"{one.kind} {one.external_id}", one.version, one) for one in records)
    stored = {}
    if candidates:
        ids = list({one.external_id for one in candidates.values()})
        rows = await batch.tx.execute(_STORED, batch.about(keys=ids))
        stored = {f"{row.kind} {row.external_id}": row for row in rows}
    winners = {key: one for key, one in candidates.items() if key not in stored or one.version >= stored[key].version}
    return Plan(winners, stored)


_STORED = text("""
SELECT kind, external_id, id, version, customer_id, total, lines, completed_at FROM carts
WHERE workspace_id = :workspace AND store_id = :store AND external_id = ANY(CAST(:keys AS text[]))
""")


def mention(people: People, record: CartRecord) -> str:
    """Note the account that a cart names. An e-mail address typed into a checkout proves nothing and names nobody."""
    if record.customer_external_id:
        people.mentioned(CustomerRecord(record.customer_external_id, LONG_AGO))
    return record.customer_external_id


async def write(batch: Batch, plan: Plan, people: People, keys: Mapping[str, str]) -> None:
    """Write carts and checkouts. `keys`: cart → profile."""
    bought = await _bought(batch, {record.token for record in plan.winners.values() if record.token})
    rows = []
    for key, record in plan.winners.items():
        before = plan.stored.get(key)
        customer_id = people[keys[key]] if keys[key] else None
        rows.append(_row(batch, record, customer_id, before, record.completed_at or bought.get(record.token)))
        if before is not None:
            batch.passed_on(before.id, before.customer_id, customer_id)
    owners = {f"{row['kind']} {row['external_id']}": row for row in rows}
    written = await bulk.insert(
        batch.tx,
        Cart,
        rows,
        key=("store_id", "kind", "external_id"),
        rule=NEWER,
        returning=("kind", "external_id"),
    )
    for one in written:
        key = f"{one.kind} {one.external_id}"
        record, before, row = plan.winners[key], plan.stored.get(key), owners[key]
        batch.changed("carts", record.external_id, record.version, created=before is None)
        _tell(batch, record, row, before)


async def _bought(batch: Batch, tokens: Collection[str]) -> dict[str, datetime]:
    """When carts with these tokens became an order."""
    if not tokens:
        return {}
    rows = await batch.tx.execute(
        text(
            "SELECT cart_token, min(placed_at) AS placed_at FROM orders WHERE workspace_id = :workspace "
            "AND store_id = :store AND cart_token = ANY(CAST(:tokens AS text[])) AND cart_token <> '' "
            "GROUP BY cart_token"
        ),
        batch.about(tokens=list(tokens)),
    )
    return {row.cart_token: row.placed_at for row in rows}


def _row(
    batch: Batch, record: CartRecord, customer_id: UUID | None, before: Any, completed_at: datetime | None
) -> dict[str, Any]:
    return {
        "id": before.id if before else new_id(),
        "store_id": batch.store.id,
        "kind": record.kind,
        "external_id": record.external_id,
        "version": record.version,
        "customer_id": customer_id,
        "token": record.token,
        "email": record.email.strip().lower(),
        "phone": record.phone,
        "currency": record.total.currency if record.total else record.currency,
        "exponent": record.total.exponent if record.total else 2,
        "total": record.total.amount if record.total else None,
        "lines": [
            {
                "external_id": line.external_id,
                "title": line.title,
                "variant_title": line.variant_title,
                "quantity": line.quantity,
                "unit_price": asdict(line.unit_price) if line.unit_price else None,
                "product_external_id": line.product_external_id,
                "variant_external_id": line.variant_external_id,
                "sku": line.sku,
                "image_url": line.image_url,
            }
            for line in record.lines
        ],
        "recovery_url": record.recovery_url,
        "completed_at": completed_at,
        "deleted_at": batch.deleted_at(f"{record.kind}s", record.external_id, record.version),
    }


def _tell(batch: Batch, record: CartRecord, row: Mapping[str, Any], before: Any) -> None:
    if row["completed_at"] is not None or row["deleted_at"] is not None:
        return
    data = {
        "items": sum(line.quantity for line in record.lines),
        "total": row["total"],
        "currency": row["currency"],
        "exponent": row["exponent"],
    }
    if before is None and record.kind == "checkout":
        batch.happened("checkout.started", row["id"], row["customer_id"], record.version, data)
    elif before is None or (before.total, before.lines) != (row["total"], row["lines"]):
        batch.happened("cart.updated", row["id"], row["customer_id"], record.version, data)


async def complete(batch: Batch, tokens: Collection[str]) -> None:
    """Close stored carts that these orders' tokens name: they became the order."""
    wanted = [token for token in tokens if token]
    if wanted:
        await batch.tx.execute(_COMPLETE, batch.about(tokens=wanted))


_COMPLETE = text("""
UPDATE carts c SET completed_at = o.placed_at
FROM (SELECT cart_token, min(placed_at) AS placed_at FROM orders WHERE workspace_id = :workspace AND store_id = :store
    AND cart_token = ANY(CAST(:tokens AS text[])) AND cart_token <> '' GROUP BY cart_token) o
WHERE c.workspace_id = :workspace AND c.store_id = :store AND c.token = o.cart_token AND c.completed_at IS NULL
""")


async def delete(batch: Batch) -> None:
    """Mark what the platform deleted."""
    gone = [
        {"kind": resource.removesuffix("s"), "external_id": id, "at": at}
        for (resource, id), at in batch.tombstones.items()
        if resource in ("carts", "checkouts")
    ]
    if gone:
        kinds = {"kind": "text", "external_id": "text", "at": "timestamptz"}
        await batch.tx.execute(
            text(
                f"UPDATE carts c SET deleted_at = r.at FROM {bulk.recordset(kinds)} "
                "WHERE c.workspace_id = :workspace AND c.store_id = :store AND c.kind = r.kind "
                "AND c.external_id = r.external_id AND c.version <= r.at AND c.deleted_at IS DISTINCT FROM r.at"
            ),
            batch.about(rows=bulk.dump(gone)),
        )


async def of_tokens(tx: Tx, wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Cart]:
    """Open carts by store and token, as browsers name them; of a cart at the checkout what the checkout knows."""
    if not wanted:
        return {}
    rows = await tx.scalars(
        select(Cart).where(
            Cart.workspace_id == tx.workspace_id,
            tuple_(Cart.store_id, Cart.token).in_(list(wanted)),
            Cart.completed_at.is_(None),
            Cart.deleted_at.is_(None),
        )
    )
    found = sorted((row for row in rows if row.lines), key=lambda row: row.kind == "checkout")
    return {(row.store_id, row.token): row for row in found}


async def open_of(tx: Tx, members: Collection[UUID], emails: Collection[str]) -> Sequence[tuple[Cart, bool]]:
    """Open carts of a person, the latest first, each with whether it is known to be theirs.

    Known: the store named their account, or the cart is in a browser that the store vouched for. Not known: somebody
    typed one of their e-mail addresses into a checkout.
    """
    browsers = select(Visitor.cart_token).where(
        Visitor.workspace_id == tx.workspace_id, Visitor.customer_id.in_(members), Visitor.cart_token != ""
    )
    theirs = or_(Cart.customer_id.in_(members), Cart.token.in_(browsers))
    rows = await tx.execute(
        select(Cart, theirs.label("known"))
        .where(
            Cart.workspace_id == tx.workspace_id,
            Cart.completed_at.is_(None),
            Cart.deleted_at.is_(None),
            or_(theirs, Cart.email.in_(emails) & Cart.customer_id.is_(None)),
        )
        .order_by(Cart.version.desc(), Cart.id.desc())
        .limit(10)
    )
    found = [(row.Cart, bool(row.known)) for row in rows if row.Cart.lines]
    # A cart at the checkout is told of twice: the checkout knows more.
    begun = {(cart.store_id, cart.token) for cart, _ in found if cart.kind == "checkout" and cart.token}
    return [(cart, known) for cart, known in found if cart.kind != "cart" or (cart.store_id, cart.token) not in begun]
