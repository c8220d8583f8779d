"""How often somebody's orders came back: what the store refunded and took back, of all they ordered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from plugin.crm.orders import OrderReturn, OrderView
from plugin.kernel.db import Tx

_UNPAID = ("pending", "failed", "expired", "voided")


@dataclass(frozen=True, slots=True)
class Setbacks:
    """Of `orders` that were paid, how many were `refunded`, in whole or in part, and how many had goods go back."""

    orders: int
    refunded: int
    returned: int


def of_orders(views: Sequence[OrderView], also: Collection[UUID] = ()) -> Setbacks:
    """Of orders that were read already; `also`: those that goods of went back without the platform's returns. Pure."""
    paid = [view for view in views if view.order.payment_status not in _UNPAID]
    return Setbacks(
        len(paid),
        sum(1 for view in paid if view.order.refunded),
        sum(1 for view in paid if view.order.id in also or any(_on(one) for one in view.returns)),
    )


def _on(one: OrderReturn) -> bool:
    if one.declined_at is not None or one.cancelled_at is not None:
        return False
    return one.approved_at is not None or one.closed_at is not None


# A declined or cancelled return is none; one that was only asked for is not one yet.
_OF = text("""
SELECT count(*) AS orders, count(*) FILTER (WHERE o.refunded > 0) AS refunded,
    count(*) FILTER (WHERE o.id = ANY (CAST(:also AS uuid[])) OR EXISTS (
        SELECT FROM order_returns r WHERE r.workspace_id = o.workspace_id AND r.order_id = o.id
            AND r.declined_at IS NULL AND r.cancelled_at IS NULL
            AND coalesce(r.approved_at, r.closed_at) IS NOT NULL)) AS returned
FROM orders o WHERE o.workspace_id = :workspace AND o.customer_id = ANY (CAST(:members AS uuid[]))
    AND o.deleted_at IS NULL AND o.payment_status <> ALL (CAST(:unpaid AS text[]))
""")


async def of_family(tx: Tx, members: Collection[UUID], also: Collection[UUID] = ()) -> Setbacks:
    """Of a person; `members` are all their rows (`identities.family`), `also` is as in `of_orders`."""
    about = {"workspace": tx.workspace_id, "members": list(members), "also": list(also)}
    row = (await tx.execute(_OF, {**about, "unpaid": list(_UNPAID)})).one()
    return Setbacks(row.orders, row.refunded, row.returned)
