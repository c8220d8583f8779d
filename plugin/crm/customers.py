"""Customers: one person across stores and channels."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

import base64
import binascii
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm import carts, identities, orders
from plugin.crm.carts import Cart
from plugin.crm.identities import Identity, Merge, Proof
from plugin.crm.orders import OrderView
from plugin.crm.terms import backwards
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import normalise, search_key


class Customer(TenantRow, Base):
    """A person, or the part of a person that one store knows (see `plugin/crm/identities.py`).

    `merged_into` points at the row that stands for the whole person; the list shows rows where it is null. All but
    `note`, `contacted_at` and the two marks is computed by `recount` from profiles, handles and orders. `value` is a
    list of {currency, exponent, amount, orders}, amounts in minor units.
    """

    __tablename__ = "customers"
    __table_args__ = (
        Index(
            "ix_customers_list",
            "workspace_id",
            text("last_activity_at DESC"),
            text("id DESC"),
            postgresql_where=text("merged_into IS NULL"),
        ),
        # Partial: so that it cannot serve the foreign-key checks on this table, which ask for (workspace_id, id).
        Index(None, "workspace_id", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        tenant_key("merged_into", "customers", ondelete="RESTRICT"),
        {"info": {"moves": "people"}},
    )

    name: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    orders_count: Mapped[int] = mapped_column(server_default=text("0"))
    value: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    first_order_at: Mapped[datetime | None]
    last_order_at: Mapped[datetime | None]
    contacted_at: Mapped[datetime | None]
    last_activity_at: Mapped[datetime] = mapped_column(server_default=func.now())
    merged_into: Mapped[UUID | None]
    anonymised_at: Mapped[datetime | None]

    def worth(self) -> list[Money]:
        """What they spent, per currency, the largest first: cancelled orders and refunds are not in it."""
        return [Money(int(one["amount"]), one["currency"], one["exponent"]) for one in self.value]


class StoreCustomer(TenantRow, Base):
    """A person as one store knows them: an account by its own id, or a guest as `guest:` and how they were reached.

    `provisional`: the store did not describe them yet, only an order or a cart names them.
    """

    __tablename__ = "store_customers"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        Index(None, "workspace_id", "customer_id"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers"),
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    customer_id: Mapped[UUID]
    version: Mapped[datetime]
    provisional: Mapped[bool] = mapped_column(server_default=text("false"))
    first_name: Mapped[str] = mapped_column(server_default="")
    last_name: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str] = mapped_column(server_default="")
    phone: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    note: Mapped[str] = mapped_column(server_default="")
    addresses: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    accepts_marketing: Mapped[bool | None]
    platform_created_at: Mapped[datetime | None]
    spent_amount: Mapped[int | None] = mapped_column(BigInteger)
    spent_currency: Mapped[str] = mapped_column(server_default="")
    spent_exponent: Mapped[int] = mapped_column(server_default=text("2"))
    orders_count: Mapped[int | None]
    raw: Mapped[str] = mapped_column(Text, server_default="{}")
    deleted_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list; `cursor` is what to ask for the next one, None at the end."""

    customers: Sequence[Customer]
    cursor: str | None


async def search(tx: Tx, query: str = "", cursor: str | None = None, limit: int = 50) -> Page:
    """People whose name, e-mail, phone or order number match every word of `query`, the latest active first.

    Words match from their beginning, digits also from the end of a phone number. An empty query lists everybody.
    Raises AhlanError on a cursor that is not ours.
    """
    asked = _asked(tx, query, cursor, limit + 1)
    if asked is None:
        return Page([], None)
    statement, parameters = asked
    rows = list(await tx.scalars(select(Customer).from_statement(text(statement.format("c.*"))), parameters))
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(rows[:limit], _cursor(last.last_activity_at, last.id) if last else None)


async def found(tx: Tx, query: str, limit: int) -> list[UUID]:
    """The ids of those whom `search` would list first."""
    asked = _asked(tx, query, None, limit)
    if asked is None:
        return []
    statement, parameters = asked
    return list(await tx.scalars(text(statement.format("c.id")), parameters))


async def meant(tx: Tx, query: str) -> str:
    """What somebody who found nobody may have meant: each word that begins no name or address that we know gives way to
    the one that is most like it. Empty when nothing is. A slip in a word's first letter is not seen through.
    """
    words = _words(query)
    better = [max(await alike(tx, word), default=(0.0, ""))[1] for word in words]
    return " ".join(near or word for near, word in zip(better, words, strict=True)) if any(better) else ""


async def alike(tx: Tx, word: str) -> Sequence[tuple[float, str]]:
    """The word of somebody's name or address that is most like `word`, with how much: above 0.3, 1 is the same.

    Empty when one begins so, or none is like it.

    Trigrams are compared, not looked for: under row-level security their index would not be used
    (docs/decisions/search-under-rls.md). So only words of the same first letter and about that length are.
    """
    word = search_key(word) if "@" not in word else normalise(word)
    if len(word) < 4 or " " in word or not any(character.isalpha() for character in word):
        return ()
    found = await tx.execute(
        _NEAREST,
        {"workspace": tx.workspace_id, "word": word, "word_end": f"{word}\U0010ffff", "first": word[0],
         "first_end": f"{word[0]}\U0010ffff", "least": len(word) - 2, "most": len(word) + 2, "scan": _SCAN},
    )  # fmt: skip
    return [(row.likeness, row.term) for row in found]


_SCAN = 20_000
_NEAREST = text("""
SELECT near.term, similarity(near.term, :word) AS likeness FROM (
    SELECT DISTINCT term FROM customer_terms WHERE workspace_id = :workspace AND term >= :first AND term < :first_end
        AND length(term) BETWEEN :least AND :most LIMIT :scan
) near
WHERE similarity(near.term, :word) >= 0.3 AND NOT EXISTS (
    SELECT FROM customer_terms k WHERE k.workspace_id = :workspace AND k.term >= :word AND k.term < :word_end)
ORDER BY likeness DESC, near.term LIMIT 1
""")


def _asked(tx: Tx, query: str, cursor: str | None, limit: int) -> tuple[str, dict[str, Any]] | None:
    """A statement with a gap for its columns, and its parameters; None when nobody can match."""
    parameters: dict[str, Any] = {"workspace": tx.workspace_id, "limit": limit}
    conditions = ["c.workspace_id = :workspace", "c.merged_into IS NULL", "c.anonymised_at IS NULL", _SOMEBODY]
    if cursor:
        parameters["at"], parameters["id"] = _read_cursor(cursor)
        conditions.append("(c.last_activity_at, c.id) < (:at, :id)")
    words = _words(query)
    if words:
        finds = [_find(position, word, parameters) for position, word in enumerate(words)]
        conditions.append(f"c.id IN ({' INTERSECT '.join(finds)})")
    elif query.strip():
        return None
    order = "ORDER BY c.last_activity_at DESC, c.id DESC LIMIT :limit"
    return f"SELECT {{}} FROM customers c WHERE {' AND '.join(conditions)} {order}", parameters


# A deleted account leaves a row that knows nothing and is nobody to list.
_SOMEBODY = (
    "(c.name <> '' OR c.email <> '' OR c.phone <> '' OR c.orders_count > 0 OR c.contacted_at IS NOT NULL OR EXISTS "
    "(SELECT 1 FROM store_customers p WHERE p.workspace_id = :workspace AND p.customer_id = c.id "
    "AND p.deleted_at IS NULL))"
)


def _words(query: str) -> list[str]:
    """At most six words, in normal spelling; a phone number with spaces is one word."""
    query = normalise(query)
    if not query.strip("+-()/.# 0123456789"):
        digits = "".join(filter(str.isdigit, query))
        return [digits] if digits else []
    return [part for part in query.split() if search_key(part)][:6]


def _find(position: int, word: str, parameters: dict[str, Any]) -> str:
    """SQL for the heads of people whom one word finds: by what it consists of, as a phone number, as an order's."""

    def between(column: str, prefix: str, name: str) -> str:
        name = f"{name}{position}"
        parameters[name], parameters[f"{name}_end"] = prefix, f"{prefix}\U0010ffff"
        return f"{column} >= :{name} AND {column} < :{name}_end"

    heads = (
        # Not coalesce(): under row-level security what it returns is looked for without an index.
        "SELECT CASE WHEN m.merged_into IS NULL THEN m.id ELSE m.merged_into END FROM {} f JOIN customers m "
        "ON m.workspace_id = :workspace AND m.id = f.customer_id WHERE f.workspace_id = :workspace AND {}"
    )
    spoken = [word] if "@" in word else search_key(word).split()
    alike = [heads.format("customer_terms", between("f.term", part, f"word{n}_")) for n, part in enumerate(spoken)]
    ways = [f"({' INTERSECT '.join(alike)})"]
    if word.isdigit() and len(word) >= 3:
        ways.append(heads.format("customer_terms", between("f.term", backwards(word), "phone")))
    # The digits of an address are no order's, and would bring up strangers.
    if "@" not in word and any(character.isdigit() for character in word):
        number = between("f.number", orders.number_of(word), "number")
        ways.append(heads.format("orders", f"f.deleted_at IS NULL AND f.number <> '' AND {number}"))
    return f"({' UNION '.join(ways)})"


def _cursor(at: datetime, id: UUID) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([at, str(id)])).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        at, id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(id)
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise AhlanError(_("This page of the list does not exist."), code="cursor") from error


async def get(tx: Tx, customer_id: UUID) -> Customer | None:
    """The row of this id, as it is: perhaps merged into another."""
    return await tx.get(Customer, customer_id)


async def named(tx: Tx, customer_ids: Sequence[UUID]) -> Mapping[UUID, Customer]:
    """For rows that conversations and events point at: the person that each is part of now. One query."""
    if not customer_ids:
        return {}
    pairs = await tx.execute(
        text(
            "SELECT id, coalesce(merged_into, id) AS head FROM customers "
            "WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[]))"
        ),
        {"workspace": tx.workspace_id, "ids": list(set(customer_ids))},
    )
    heads = {row.id: row.head for row in pairs}
    people = await tx.scalars(
        select(Customer).where(Customer.workspace_id == tx.workspace_id, Customer.id.in_(set(heads.values())))
    )
    by_id = {person.id: person for person in people}
    return {id: by_id[head] for id, head in heads.items()}


async def own_email(tx: Tx, customer_id: UUID) -> str:
    """A proven address of this very row; empty when there is none.

    `Customer.email` of a row that stands for a person may be a relative's. For agents to see that is right; for the
    shopper's own side it is not: an account with somebody else's number would be sent their letters.
    """
    found: str | None = await tx.scalar(
        select(Identity.value)
        .where(
            Identity.workspace_id == tx.workspace_id,
            Identity.customer_id == customer_id,
            Identity.kind == identities.EMAIL,
            Identity.proven_at.is_not(None),
        )
        .order_by(Identity.proof != Proof.PLATFORM, Identity.value)
        .limit(1)
    )
    return found or ""


async def own_name(tx: Tx, customer_id: UUID) -> str:
    """What the store calls the account of this very row, never a relative's name; empty when it has none."""
    row = (
        await tx.execute(
            select(StoreCustomer.first_name, StoreCustomer.last_name)
            .where(
                StoreCustomer.workspace_id == tx.workspace_id,
                StoreCustomer.customer_id == customer_id,
                StoreCustomer.deleted_at.is_(None),
            )
            .order_by(StoreCustomer.provisional, StoreCustomer.version.desc(), StoreCustomer.id)
            .limit(1)
        )
    ).one_or_none()
    return f"{row.first_name} {row.last_name}".strip() if row is not None else ""


async def contacted(tx: Tx, customer_id: UUID, at: datetime) -> None:
    """They wrote to us: moves them up the list."""
    await tx.execute(
        text(
            "UPDATE customers SET contacted_at = greatest(contacted_at, :at), "
            "last_activity_at = greatest(last_activity_at, :at) WHERE workspace_id = :workspace AND id IN "
            "(SELECT unnest(ARRAY[c.id, c.merged_into]) FROM customers c "
            "WHERE c.workspace_id = :workspace AND c.id = :id)"
        ),
        {"workspace": tx.workspace_id, "id": customer_id, "at": at},
    )


async def create_proven(tx: Tx, kind: str, value: str, proof: Proof, store_id: UUID | None) -> UUID:
    """The customer row of somebody who proved a handle (normalised) to us and needs no store account for it.

    One row per handle and store, however often it is proven; who shares the handle becomes one person with them.
    """
    existing: UUID | None = await tx.scalar(
        select(Identity.customer_id)
        .where(
            Identity.workspace_id == tx.workspace_id,
            Identity.kind == kind,
            Identity.value == value,
            Identity.store_id.is_not_distinct_from(store_id),
            Identity.proof.in_([Proof.ONE_TIME_CODE, Proof.ANSWERED_MAIL]),
        )
        .order_by(Identity.id)
        .limit(1)
    )
    if existing is None:
        existing = new_id()
        tx.add(Customer(id=existing))
        await tx.flush()
        await tx.record("customer.created", subject_id=existing, store_id=store_id, customer_id=existing)
    await identities.prove(tx, existing, kind, value, proof, store_id)
    return existing


@dataclass(frozen=True, slots=True)
class Summary:
    """A person in one glance. `members` are their rows: conversations and events hang on any of them.

    `open_carts` pairs each cart with whether we know that it is theirs (their account or their browser), or only that
    somebody typed their e-mail address into it.
    """

    customer: Customer
    members: Sequence[UUID]
    profiles: Sequence[StoreCustomer]
    handles: Sequence[Identity]
    worth: Sequence[Money]
    orders: Sequence[OrderView]
    open_carts: Sequence[tuple[Cart, bool]]
    merges: Sequence[Merge]
    absorbed: Mapping[UUID, Customer]


async def summary(tx: Tx, customer_id: UUID, *, orders_limit: int = 20) -> Summary:
    """Everything an agent needs beside a conversation, of the whole person. Raises NotFound."""
    members = await identities.family(tx, customer_id)
    rows = {
        row.id: row
        for row in await tx.scalars(
            select(Customer).where(Customer.workspace_id == tx.workspace_id, Customer.id.in_(members))
        )
    }
    profiles = list(
        await tx.scalars(
            select(StoreCustomer)
            .where(
                StoreCustomer.workspace_id == tx.workspace_id,
                StoreCustomer.customer_id.in_(members),
                StoreCustomer.deleted_at.is_(None),
            )
            .order_by(StoreCustomer.provisional, StoreCustomer.version.desc(), StoreCustomer.id)
        )
    )
    handles = await identities.of_family(tx, members)
    proven: dict[UUID | None, set[str]] = defaultdict(set)
    for handle in handles:
        if handle.kind == identities.EMAIL and handle.proven_at is not None:
            proven[handle.store_id].add(handle.value)
    return Summary(
        customer=rows[members[0]],
        members=members,
        profiles=profiles,
        handles=handles,
        worth=rows[members[0]].worth(),
        orders=await orders.of_family(tx, members, orders_limit),
        open_carts=await carts.open_of(tx, members, {value for values in proven.values() for value in values}),
        merges=await identities.merges_of(tx, members) if len(members) > 1 else [],
        absorbed={id: row for id, row in rows.items() if id != members[0]},
    )
