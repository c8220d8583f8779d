"""People as stores describe them: accounts, and guests whom only an order names. Each is a customer row of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from plugin.crm import terms
from plugin.crm.batch import LONG_AGO, Batch
from plugin.crm.customers import Customer, StoreCustomer
from plugin.crm.identities import EMAIL, GUEST, PHONE, Identity, Proof
from plugin.kernel import bulk
from plugin.kernel.db import Tx, new_id
from plugin.kernel.text import normalise_email, normalise_phone
from plugin.platform import Address, CustomerPart, CustomerRecord


@dataclass(slots=True)
class Seen:
    """A person whom a batch mentions. `provisional`: named by an order or a cart, not described by the store."""

    record: CustomerRecord
    provisional: bool

    @property
    def rank(self) -> tuple[bool, datetime]:
        """By this the better description wins."""
        return not self.provisional, self.record.version


class People:
    """Who is mentioned in a batch, and after `learn` which customer row each of them is."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._seen: dict[str, Seen] = {}
        self._rows: dict[str, UUID] = {}

    def described(self, record: CustomerRecord) -> None:
        """The store sent this person's own record."""
        self._note(Seen(record, provisional=False))

    def mentioned(self, record: CustomerRecord) -> None:
        """An order or a cart names this person: enough to begin with."""
        self._note(Seen(record, provisional=True))

    def _note(self, seen: Seen) -> None:
        known = self._seen.get(seen.record.external_id)
        if known is None or not self._worse(seen, known.rank, lambda: self._said(known)):
            self._seen[seen.record.external_id] = seen

    def _worse(self, seen: Seen, rank: tuple[bool, datetime], said: Callable[[], tuple[str, ...]]) -> bool:
        """Whether a description loses against another; of equal ones the later wins.

        But two orders of one moment are no versions of each other: which of them describes their guest is decided by
        what they say, or it would be by which came first.
        """
        if seen.rank != rank or not seen.provisional:
            return seen.rank < rank
        return self._said(seen) < said()

    def _said(self, seen: Seen) -> tuple[str, ...]:
        record = seen.record
        return record.first_name.strip(), self.email(record.email), self.phone(record.phone, _country(record))

    def key(self, external_id: str, email: str, phone: str, country: str = "") -> str:
        """The profile that an order or a cart belongs to: the account, else the guest; empty when nobody is named."""
        if external_id:
            return external_id
        handle = self.email(email) if email else ""
        if "@" not in handle:
            handle = self.phone(phone, country)
        return f"{GUEST}{handle}" if handle else ""

    def email(self, typed: str) -> str:
        """Normalised where it is an address, else as it came."""
        return normalise_email(typed) or typed.strip()

    def phone(self, typed: str, country: str = "") -> str:
        """As +E.164 where the country is known or written, else as it came."""
        return (normalise_phone(typed, country or self._region or None) or typed.strip()) if typed else ""

    def __getitem__(self, key: str) -> UUID | None:
        return self._rows.get(key)

    async def learn(self, batch: Batch, *, again: bool = False) -> None:
        """Write what is new about those mentioned: customer rows, profiles, handles, words.

        `again`: what is noted now is all there is, also where it is older than what is stored.
        """
        gone = {id for resource, id in batch.tombstones if resource == "customers"}
        if not self._seen and not gone:
            return
        known = {row.external_id: row for row in await batch.tx.execute(_KNOWN, batch.about(keys=[*self._seen, *gone]))}
        fresh: list[dict[str, Any]] = []
        profiles: list[dict[str, Any]] = []
        changed: dict[UUID, dict[str, Any]] = {}
        for key in self._seen.keys() | known.keys():
            row, seen = known.get(key), self._seen.get(key)
            if row is not None:
                self._rows[key] = row.customer_id
                if seen is None or (not again and self._older(seen, row)):
                    seen = None
                    if batch.deleted_at("customers", key, row.version) == row.deleted_at:
                        continue
            values = self._values(batch, seen, row)
            self._rows[key] = values["customer_id"]
            profiles.append(values)
            if row is None:
                fresh.append(values)
                continue
            batch.recount.add(row.customer_id)
            if any(getattr(row, name) != values[name] for name in _SPOKEN):
                changed[row.customer_id] = values
        await self._write(batch, fresh, profiles, changed)

    def _older(self, seen: Seen, row: Any) -> bool:
        return self._worse(seen, (not row.provisional, row.version), lambda: (row.first_name, row.email, row.phone))

    def _values(self, batch: Batch, seen: Seen | None, row: Any) -> dict[str, Any]:
        """Columns of a profile; `seen` None: of a known one that the platform has deleted."""
        gone = row and CustomerRecord(row.external_id, row.version, created_at=row.platform_created_at)
        record = seen.record if seen else gone
        deleted_at = batch.deleted_at("customers", record.external_id, record.version)
        values = {
            "id": row.id if row else new_id(),
            "customer_id": row.customer_id if row else new_id(),
            "store_id": batch.store.id,
            "external_id": record.external_id,
            "version": record.version,
            "provisional": seen.provisional if seen else row.provisional,
            "deleted_at": deleted_at,
            "platform_created_at": record.created_at,
            **_NOBODY,
        }
        if deleted_at is None:
            # A store's own description does not say everything each time; an order's mention says all it has.
            kept = row if row and seen and not (row.provisional or seen.provisional) else None
            values |= {
                "first_name": record.first_name.strip(),
                "last_name": record.last_name.strip(),
                "email": self.email(record.email),
                "phone": self.phone(record.phone, _country(record)),
                "locale": record.locale or (kept.locale if kept else ""),
                "tags": _told(record.tags, kept, "tags") or (),
                "note": record.note,
                "addresses": record.addresses,
                "accepts_marketing": _told(record.accepts_marketing, kept, "accepts_marketing"),
                "orders_count": _told(record.orders_count, kept, "orders_count"),
                "raw": bulk.dump(record.raw),
            }
            if record.total_spent is None and kept:
                values |= {name: getattr(kept, name) for name in ("spent_amount", "spent_currency", "spent_exponent")}
            if record.total_spent is not None:
                values |= {
                    "spent_amount": record.total_spent.amount,
                    "spent_currency": record.total_spent.currency,
                    "spent_exponent": record.total_spent.exponent,
                }
        return values

    async def _write(
        self,
        batch: Batch,
        fresh: list[dict[str, Any]],
        profiles: list[dict[str, Any]],
        changed: Mapping[UUID, dict[str, Any]],
    ) -> None:
        tx = batch.tx
        await bulk.insert(
            tx,
            Customer,
            [
                {
                    "id": one["customer_id"],
                    "name": _name(one),
                    "email": one["email"],
                    "phone": one["phone"],
                    "locale": one["locale"],
                    "last_activity_at": one["platform_created_at"] or one["version"],
                }
                for one in fresh
            ],
        )
        written = {
            row.external_id
            for row in await bulk.insert(
                tx, StoreCustomer, profiles, key=("store_id", "external_id"), returning=("external_id",)
            )
        }
        new = {one["external_id"] for one in fresh}
        for one in profiles:
            if one["external_id"] in written and not one["provisional"]:
                created = one["external_id"] in new
                batch.changed("customers", one["external_id"], one["version"], created=created)
        await self._forget_handles(batch, changed)
        await terms.forget(tx, changed, terms.PROFILE)
        speaking = [*fresh, *changed.values()]
        await bulk.insert(tx, Identity, [row for one in speaking for row in _handles(batch, one)],
                          key=("customer_id", "kind", "value", "store_id"), update=("proof", "proven_at"),
                          rule="stored.proven_at IS NULL")  # fmt: skip
        words = {one["customer_id"]: terms.words_of(_name(one), one["email"], one["phone"]) for one in speaking}
        await terms.write(tx, words, terms.PROFILE)
        batch.regroup.update(words)
        for one in fresh:
            if one["deleted_at"] is None:
                at = one["platform_created_at"] or one["version"]
                batch.happened("customer.created", one["customer_id"], one["customer_id"], at, {})
        for customer_id, one in changed.items():
            if one["deleted_at"] is not None:
                batch.happened("customer.deleted", customer_id, customer_id, one["deleted_at"], {})

    async def _forget_handles(self, batch: Batch, changed: Mapping[UUID, dict[str, Any]]) -> None:
        if changed:
            guests = [id for id, one in changed.items() if one["external_id"].startswith(GUEST)]
            await batch.tx.execute(
                text(
                    "DELETE FROM identities WHERE workspace_id = :workspace AND store_id = :store "
                    "AND (proof = 'platform' AND customer_id = ANY(CAST(:ids AS uuid[])) "
                    "OR proof = 'typed' AND customer_id = ANY(CAST(:guests AS uuid[])))"
                ),
                batch.about(ids=list(changed), guests=guests),
            )


_KNOWN = text("""
SELECT external_id, id, customer_id, version, provisional, first_name, last_name, email, phone, deleted_at,
    platform_created_at, locale, tags, accepts_marketing, orders_count, spent_amount, spent_currency, spent_exponent
FROM store_customers
WHERE workspace_id = :workspace AND store_id = :store AND external_id = ANY(CAST(:keys AS text[]))
""").columns(tags=JSONB())

_SPOKEN = ("first_name", "last_name", "email", "phone", "provisional", "deleted_at")

# A deleted account keeps its row, so that an older update cannot bring it back, and nothing that names a person.
_NOBODY: dict[str, Any] = {
    "first_name": "", "last_name": "", "email": "", "phone": "", "locale": "", "tags": (), "note": "",
    "addresses": (), "accepts_marketing": None, "orders_count": None, "spent_amount": None, "spent_currency": "",
    "spent_exponent": 2, "raw": "{}",
}  # fmt: skip


def _name(values: Mapping[str, Any]) -> str:
    return f"{values['first_name']} {values['last_name']}".strip()


def _handles(batch: Batch, values: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The handles that the store vouches for. An account that only an order names has none yet.

    A guest is the handle that they are known by. What else they wrote into the checkout proves nothing: anybody may
    order with somebody's address and their own number, and the two would become one person.
    """
    guest = values["external_id"].startswith(GUEST)
    if values["provisional"] and not guest:
        return
    for kind, value in ((EMAIL, values["email"]), (PHONE, values["phone"])):
        comparable = "@" in value if kind == EMAIL else value.startswith("+")
        if comparable:
            vouched = not guest or values["external_id"] == f"{GUEST}{value}"
            yield {
                "id": new_id(),
                "customer_id": values["customer_id"],
                "kind": kind,
                "value": value,
                "proof": Proof.PLATFORM if vouched else Proof.TYPED,
                "store_id": values["store_id"],
                "proven_at": batch.now if vouched else None,
            }


def _told(value: Any, kept: Any, name: str) -> Any:
    return value if value is not None or kept is None else getattr(kept, name)


async def amend(batch: Batch, parts: Iterable[CustomerPart]) -> None:
    """Write what arrived about known people on its own: tags, consent, spending. Somebody unknown stays unknown."""
    rows: dict[str, dict[str, Any]] = {}
    for part in sorted(parts, key=lambda one: one.version):
        row = rows.setdefault(part.external_id, {"external_id": part.external_id, "added": set(), "removed": set()})
        row["added"] = (row["added"] - set(part.tags_removed)) | set(part.tags_added)
        row["removed"] = (row["removed"] - set(part.tags_added)) | set(part.tags_removed)
        if part.accepts_marketing is not None:
            row["accepts_marketing"] = part.accepts_marketing
        if part.orders_count is not None:
            row["orders_count"] = part.orders_count
        if part.total_spent is not None:
            spent = part.total_spent
            row |= {"spent_amount": spent.amount, "spent_currency": spent.currency, "spent_exponent": spent.exponent}
    if rows:
        await batch.tx.execute(_AMEND, batch.about(rows=bulk.dump(list(rows.values()))))


_PART = {
    "external_id": "text", "added": "jsonb", "removed": "jsonb", "accepts_marketing": "boolean",
    "orders_count": "integer", "spent_amount": "bigint", "spent_currency": "text", "spent_exponent": "integer",
}  # fmt: skip
_AMEND = text(
    f"""
UPDATE store_customers p SET
    tags = (
        SELECT coalesce(jsonb_agg(tag ORDER BY tag), '[]') FROM (
            (SELECT jsonb_array_elements_text(p.tags) UNION SELECT jsonb_array_elements_text(r.added))
            EXCEPT SELECT jsonb_array_elements_text(r.removed)
        ) AS kept(tag)
    ),
    accepts_marketing = coalesce(r.accepts_marketing, p.accepts_marketing),
    orders_count = coalesce(r.orders_count, p.orders_count),
    spent_amount = coalesce(r.spent_amount, p.spent_amount),
    spent_currency = coalesce(r.spent_currency, p.spent_currency),
    spent_exponent = coalesce(r.spent_exponent, p.spent_exponent)
FROM {bulk.recordset(_PART)}
WHERE p.workspace_id = :workspace AND p.store_id = :store AND p.external_id = r.external_id AND p.deleted_at IS NULL
"""  # noqa: S608 - names of our tables
)


async def settle(batch: Batch, region: str) -> None:
    """Look again at people whom an order or a cart has left: without any they go, else what remains describes them.

    Only those whom no record of the store describes: so the outcome is that of never having seen the older version.
    """
    if not batch.forsaken:
        return
    remaining = People(region)
    for row in (await batch.tx.execute(_LEFT, batch.about(ids=list(batch.forsaken)))).all():
        if row.named:
            remaining.mentioned(
                CustomerRecord(
                    row.external_id, row.version or LONG_AGO, email=row.email or "", phone=row.phone or "",
                    first_name=row.customer_name or "", locale=row.locale or "", created_at=row.placed_at,
                    addresses=(Address(**orjson.loads(row.address)),) if row.address else (),
                )
            )  # fmt: skip
        elif not row.decided:
            await _leave(batch, row.customer_id)
    await remaining.learn(batch, again=True)


_LEFT = text("""
SELECT p.external_id, p.customer_id, o.version, o.email, o.phone, o.customer_name, o.locale, o.placed_at,
    CAST(o.shipping_address AS text) AS address,
    o.id IS NOT NULL OR EXISTS (SELECT 1 FROM carts c WHERE c.workspace_id = :workspace
        AND c.customer_id = p.customer_id) AS named,
    EXISTS (SELECT 1 FROM customer_merges m WHERE m.workspace_id = :workspace
        AND p.customer_id IN (m.survivor_id, m.absorbed_id)
        AND (m.reason IN ('agent', 'platform') OR m.undone_by <> '')) AS decided
FROM store_customers p
LEFT JOIN orders o ON o.workspace_id = :workspace AND o.customer_id = p.customer_id AND o.version = (SELECT
    max(n.version) FROM orders n WHERE n.workspace_id = :workspace AND n.customer_id = p.customer_id)
WHERE p.workspace_id = :workspace AND p.store_id = :store AND p.customer_id = ANY(CAST(:ids AS uuid[]))
    AND p.provisional AND p.deleted_at IS NULL
""")


async def _leave(batch: Batch, customer_id: UUID) -> None:
    relatives = await remove(batch.tx, customer_id)
    if relatives is None:
        return
    batch.regroup |= relatives
    batch.recount |= relatives
    for gone in (batch.recount, batch.regroup):
        gone.discard(customer_id)
    batch.happenings = [one for one in batch.happenings if one.customer_id != customer_id]


async def remove(tx: Tx, customer_id: UUID) -> set[UUID] | None:
    """Delete a customer row with its profiles, handles, words and events.

    Returns the rows that were one person with it, to be regrouped; None when a conversation or a visitor still hangs
    on it, and then nothing was done.
    """
    parameters = {"workspace": tx.workspace_id, "id": customer_id}
    try:
        async with tx.session.begin_nested():
            relatives = set(await tx.scalars(_RELATIVES, parameters))
            await tx.execute(_DETACH, parameters)
            await tx.execute(text("DELETE FROM customers WHERE workspace_id = :workspace AND id = :id"), parameters)
    except IntegrityError:
        return None
    await tx.execute(text("DELETE FROM events WHERE workspace_id = :workspace AND customer_id = :id"), parameters)
    return relatives


_RELATIVES = text("""
SELECT id FROM customers WHERE workspace_id = :workspace AND merged_into = :id
UNION SELECT merged_into FROM customers WHERE workspace_id = :workspace AND id = :id AND merged_into IS NOT NULL
""")

_DETACH = text(
    "UPDATE customers SET merged_into = NULL WHERE workspace_id = :workspace AND (id = :id OR merged_into = :id)"
)


def _country(record: CustomerRecord) -> str:
    return next((address.country for address in record.addresses if address.country), "")
