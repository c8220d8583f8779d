"""Consent: what a person allowed or refused, who told us, and when; every change is kept.

Told by stores about marketing, and by storefronts about a browser. The latest row of a purpose is what holds.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm.batch import Batch
from plugin.crm.visitors import Visitor
from plugin.kernel import bulk
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.platform import CustomerPart, CustomerRecord

STOREFRONT = "storefront"
# What a storefront's banner asks, in our words; the chat itself needs none of them.
BROWSER_PURPOSES = ("preferences", "analytics", "marketing")


class Consent(TenantRow, Base):
    """One change of mind. `purpose`: email_marketing, sms_marketing, preferences, analytics, marketing.

    `state`: granted, denied, pending (a confirmation is awaited). `level` is the platform's word for how it was given
    (single_opt_in, confirmed_opt_in). `source` is who told: store, mailchimp, elsewhere, storefront. `at` is when it
    was given or withdrawn, by the source's clock. `said_at`: nobody says since when it stands, it was last said then.
    """

    __tablename__ = "consents"
    __table_args__ = (
        UniqueConstraint(
            "workspace_id", "store_id", "customer_id", "visitor_id", "purpose", "at",
            name="uq_consents_answer", postgresql_nulls_not_distinct=True,
        ),
        Index(None, "workspace_id", "customer_id", "at"),
        Index(None, "workspace_id", "visitor_id", "at"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers"),
        tenant_key("visitor_id", "visitors"),
    )  # fmt: skip

    store_id: Mapped[UUID]
    customer_id: Mapped[UUID | None]
    visitor_id: Mapped[UUID | None]
    purpose: Mapped[str]
    state: Mapped[str]
    level: Mapped[str] = mapped_column(server_default="")
    source: Mapped[str]
    at: Mapped[datetime]
    said_at: Mapped[datetime | None]


async def write(batch: Batch, told: Iterable[CustomerRecord | CustomerPart]) -> None:
    """Keep what a store told about consent, in whatever order; somebody unknown or deleted stays without."""
    rows = [
        {"id": str(new_id()), "external_id": one.external_id, "purpose": consent.purpose, "state": consent.state,
         "level": consent.level, "source": consent.source, "at": consent.at, "dated": consent.dated}
        for one in told for consent in one.consents
    ]  # fmt: skip
    if rows:
        parameters = batch.about(rows=bulk.dump(rows))
        await batch.tx.execute(_DATED, parameters)
        await batch.tx.execute(_STANDS, parameters)
        await batch.tx.execute(_UNDATED, parameters)


_ROWS = bulk.recordset(
    {"id": "uuid", "external_id": "text", "purpose": "text", "state": "text", "level": "text", "source": "text",
     "at": "timestamptz", "dated": "boolean"}
)  # fmt: skip
_WHOSE = f"""
FROM {_ROWS}
JOIN store_customers p ON p.workspace_id = :workspace AND p.store_id = :store AND p.external_id = r.external_id
    AND p.deleted_at IS NULL
"""
_INSERT = f"""
INSERT INTO consents AS stored (workspace_id, id, store_id, customer_id, purpose, state, level, source, at)
SELECT DISTINCT ON (p.customer_id, r.purpose{{key}})
    p.workspace_id, r.id, p.store_id, p.customer_id, r.purpose, r.state, r.level, r.source, r.at
{_WHOSE} WHERE {{which}}
ORDER BY p.customer_id, r.purpose, r.at DESC, r.id DESC
ON CONFLICT (workspace_id, store_id, customer_id, visitor_id, purpose, at)
"""

# An answer with a time of its own stands at that time, whenever it is told.
_DATED = text(
    _INSERT.format(key=", r.at", which="r.dated")
    + """
    DO UPDATE SET state = excluded.state, level = excluded.level
    WHERE (stored.state, stored.level) IS DISTINCT FROM (excluded.state, excluded.level)
"""
)

_LATEST = """
SELECT id, state, greatest(at, said_at) AS until FROM consents
WHERE workspace_id = :workspace AND customer_id = p.customer_id AND store_id = :store AND purpose = r.purpose
ORDER BY at DESC LIMIT 1
"""

# One without is a change only if it differs from what stands, and no news if it is older than that was last said.
_STANDS = text(f"""
UPDATE consents SET said_at = told.at FROM (
    SELECT latest.id, max(r.at) AS at {_WHOSE} JOIN LATERAL ({_LATEST}) latest ON true
    WHERE NOT r.dated AND latest.state = r.state AND latest.until < r.at GROUP BY latest.id
) told
WHERE consents.workspace_id = :workspace AND consents.id = told.id
""")
_UNDATED = text(
    _INSERT.format(
        key="",
        which=f"NOT r.dated AND NOT EXISTS (SELECT 1 FROM ({_LATEST}) latest "
        "WHERE latest.state = r.state OR latest.until >= r.at)",
    )
    + " DO NOTHING"
)


async def of_browser(tx: Tx, visitor: Visitor, allowed: Mapping[str, bool]) -> None:
    """Keep what the storefront's banner says about a browser, where it changed."""
    if not allowed:
        return
    now = datetime.now(UTC)
    before = {row.purpose: row.state for row in current(await of_visitors(tx, [visitor.id]))}
    states = {
        purpose: "granted" if allowed[purpose] else "denied" for purpose in BROWSER_PURPOSES if purpose in allowed
    }
    tx.add(*(
        Consent(id=new_id(), store_id=visitor.store_id, customer_id=visitor.customer_id, visitor_id=visitor.id,
                purpose=purpose, state=state, source=STOREFRONT, at=now)
        for purpose, state in states.items() if before.get(purpose) != state
    ))  # fmt: skip


async def of_visitors(tx: Tx, visitors: Collection[UUID]) -> Sequence[Consent]:
    """Every change of these browsers, the latest first."""
    return list(
        await tx.scalars(
            select(Consent)
            .where(Consent.workspace_id == tx.workspace_id, Consent.visitor_id.in_(visitors))
            .order_by(Consent.at.desc(), Consent.id.desc())
        )
    )


async def of_people(tx: Tx, members: Collection[UUID]) -> Sequence[Consent]:
    """Every answer of these rows of a person, or of a browser that is theirs; the latest first."""
    browsers = select(Visitor.id).where(Visitor.workspace_id == tx.workspace_id, Visitor.customer_id.in_(members))
    return list(
        await tx.scalars(
            select(Consent)
            .where(
                Consent.workspace_id == tx.workspace_id,
                Consent.customer_id.in_(members) | Consent.visitor_id.in_(browsers),
            )
            .order_by(Consent.at.desc(), Consent.id.desc())
        )
    )


def changes(rows: Sequence[Consent]) -> Sequence[Consent]:
    """Those of `rows`, the latest first, that differ from the answer before. Pure."""
    held: dict[Any, tuple[str, str]] = {}
    found: list[Consent] = []
    for row in reversed(rows):
        key = (row.store_id, row.visitor_id, row.purpose)
        if held.get(key) != (row.state, row.level):
            found.append(row)
        held[key] = row.state, row.level
    return found[::-1]


def current(rows: Sequence[Consent]) -> Sequence[Consent]:
    """What holds now, per store, person and purpose; of a person's browsers the one that spoke last. Pure."""
    held: dict[Any, Consent] = {}
    for row in sorted(rows, key=lambda one: one.at):
        held[(row.store_id, row.purpose)] = row
    return list(held.values())
