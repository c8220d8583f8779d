"""How often somebody's orders came back: what the store refunded and took back, of all they ordered."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class Setbacks:
    """Of `orders` that were paid, how many were `refunded`, in whole or in part, and how many had goods go back."""

    orders: int
    refunded: int
    returned: int


# A declined or cancelled return is none; one that was only asked for is not one yet.
_OF = text("""
SELECT count(*) AS orders, count(*) FILTER (WHERE o.refunded > 0) AS refunded,
    count(*) FILTER (WHERE EXISTS (SELECT FROM order_returns r WHERE r.workspace_id = o.workspace_id
        AND r.order_id = o.id AND r.declined_at IS NULL AND r.cancelled_at IS NULL
        AND coalesce(r.approved_at, r.closed_at) IS NOT NULL)) AS returned
FROM orders o WHERE o.workspace_id = :workspace AND o.customer_id = ANY (CAST(:members AS uuid[]))
    AND o.deleted_at IS NULL AND o.payment_status NOT IN ('pending', 'failed', 'expired', 'voided')
""")


async def of_family(tx: Tx, members: Collection[UUID]) -> Setbacks:
    """Of a person; `members` are all their rows (`identities.family`)."""
    row = (await tx.execute(_OF, {"workspace": tx.workspace_id, "members": list(members)})).one()
    return Setbacks(row.orders, row.refunded, row.returned)
