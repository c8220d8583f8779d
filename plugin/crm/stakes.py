"""What is at stake for people who write: an order that is not with them yet, else a cart that they have open."""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx
from plugin.kernel.money import Money

ORDER_DAYS = 60
CART_DAYS = 7


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """The newest order that is not with them yet. `failed`: a parcel of it could not be delivered."""

    name: str
    placed_at: datetime
    payment_status: str
    fulfilment_status: str
    failed: bool


@dataclass(frozen=True, slots=True)
class OpenCart:
    """The latest cart or checkout that the store itself names as theirs; `total` when the store told one."""

    kind: str
    total: Money | None


async def at_stake(tx: Tx, customer_ids: Collection[UUID]) -> Mapping[UUID, OpenOrder | OpenCart]:
    """By customer, of the whole person each belongs to; who has nothing open is missing. Two statements for a page."""
    if not customer_ids:
        return {}
    now = datetime.now(UTC)
    bound = {
        "workspace": tx.workspace_id,
        "customers": list(customer_ids),
        "ordered": now - timedelta(days=ORDER_DAYS),
        "filled": now - timedelta(days=CART_DAYS),
    }
    found: dict[UUID, OpenOrder | OpenCart] = {}
    for row in await tx.execute(_CARTS, bound):
        total = Money(row.total, row.currency, row.exponent) if row.total is not None else None
        found[row.asked] = OpenCart(row.kind, total)
    for row in await tx.execute(_ORDERS, bound):
        found[row.asked] = OpenOrder(
            row.name, row.placed_at, row.payment_status, row.fulfilment_status, bool(row.failed)
        )
    return found


_PEOPLE = """
WITH asked AS (
    SELECT id AS asked, coalesce(merged_into, id) AS head FROM customers
    WHERE workspace_id = :workspace AND id = ANY(CAST(:customers AS uuid[]))
), members AS (
    SELECT asked, head AS id FROM asked
    UNION
    SELECT asked, c.id FROM asked JOIN customers c ON c.workspace_id = :workspace AND c.merged_into = head
)
"""

_ORDERS = text(
    _PEOPLE
    + """
SELECT DISTINCT ON (asked) asked, name, placed_at, payment_status, fulfilment_status, failed
FROM members CROSS JOIN LATERAL (
    SELECT o.name, o.placed_at, o.payment_status, o.fulfilment_status, EXISTS (
        SELECT 1 FROM fulfilments f WHERE f.workspace_id = :workspace AND f.order_id = o.id AND f.status = 'failed'
    ) AS failed
    FROM orders o
    WHERE o.workspace_id = :workspace AND o.customer_id = members.id AND o.placed_at > :ordered
        AND o.cancelled_at IS NULL AND o.deleted_at IS NULL AND o.status <> 'cancelled'
        AND o.payment_status NOT IN ('refunded', 'voided', 'expired')
        AND (o.fulfilment_status IN ('unfulfilled', 'partial') OR EXISTS (
            SELECT 1 FROM fulfilments f
            WHERE f.workspace_id = :workspace AND f.order_id = o.id AND f.status IN (
                'pending', 'in_transit', 'out_for_delivery', 'failed'
            )
        ))
    ORDER BY o.placed_at DESC
    LIMIT 1
) newest
ORDER BY asked, placed_at DESC
"""
)

_CARTS = text(
    _PEOPLE
    + """
SELECT DISTINCT ON (asked) asked, kind, total, currency, exponent
FROM members CROSS JOIN LATERAL (
    SELECT c.kind, c.total, c.currency, c.exponent, c.version FROM carts c
    WHERE c.workspace_id = :workspace AND c.customer_id = members.id AND c.version > :filled
        AND c.completed_at IS NULL AND c.deleted_at IS NULL AND jsonb_array_length(c.lines) > 0
    ORDER BY c.version DESC
    LIMIT 1
) newest
ORDER BY asked, version DESC
"""
)
