"""What a person's row says is computed from what remains of them: profiles, proven handles, orders.

Nothing here is ever added up by increments, so a replay, a merge, an undone merge and an erased store all end in the
same numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Tx

# ruff: noqa: S608 (statements are put together from constants only; values are bound)


async def recount(tx: Tx, customer_ids: Collection[UUID]) -> None:
    """Compute name, handles, counts and value per currency again, each person with those merged into them.

    Value is the sum of order totals without cancelled orders and without what was refunded.
    """
    if customer_ids:
        await tx.execute(_RECOUNT, {"workspace": tx.workspace_id, "ids": list(customer_ids)})


# The newest profile that says something wins; one that the platform itself described beats what an order mentioned.
_BEST = "ORDER BY p.provisional, p.version DESC, p.external_id"
_NAME = "trim(p.first_name || ' ' || p.last_name)"

# Somebody without any profile: what they proved to us.
_PROVED = """(SELECT min(i.value) FROM identities i WHERE i.workspace_id = :workspace
            AND i.customer_id = ANY(m.ids) AND i.kind = '{kind}' AND i.proven_at IS NOT NULL)"""

# One LATERAL per person, and the people by their keys: index look-ups whatever the planner believes about the size of a
# workspace.
_RECOUNT = text(f"""
UPDATE customers c SET
    name = n.name, email = n.email, phone = n.phone, locale = n.locale, orders_count = n.orders_count,
    value = n.value, first_order_at = n.first_at, last_order_at = n.last_at,
    last_activity_at = coalesce(greatest(n.last_at, n.since, c.contacted_at), c.created_at)
FROM (
    SELECT a.id,
        coalesce(f.name, '') AS name,
        coalesce(f.email, {_PROVED.format(kind="email")}, '') AS email,
        coalesce(f.phone, {_PROVED.format(kind="phone")}, '') AS phone,
        coalesce(f.locale, '') AS locale,
        f.since,
        CAST(coalesce(t.orders, 0) AS integer) AS orders_count,
        coalesce(t.value, '[]') AS value,
        t.first_at,
        t.last_at
    FROM (SELECT DISTINCT unnest(CAST(:ids AS uuid[])) AS id) a
    CROSS JOIN LATERAL (SELECT a.id || ARRAY(SELECT j.id FROM customers j
        WHERE j.workspace_id = :workspace AND j.merged_into = a.id) AS ids) m
    LEFT JOIN LATERAL (
        SELECT (array_agg({_NAME} {_BEST}) FILTER (WHERE {_NAME} <> ''))[1] AS name,
            (array_agg(p.email {_BEST}) FILTER (WHERE p.email <> ''))[1] AS email,
            (array_agg(p.phone {_BEST}) FILTER (WHERE p.phone <> ''))[1] AS phone,
            (array_agg(p.locale {_BEST}) FILTER (WHERE p.locale <> ''))[1] AS locale,
            max(coalesce(p.platform_created_at, p.version)) AS since
        FROM store_customers p
        WHERE p.workspace_id = :workspace AND p.customer_id = ANY(m.ids) AND p.deleted_at IS NULL
    ) f ON true
    LEFT JOIN LATERAL (
        SELECT sum(s.orders) AS orders, min(s.first_at) AS first_at, max(s.last_at) AS last_at,
            jsonb_agg(jsonb_build_object('currency', s.currency, 'exponent', s.exponent, 'amount', s.amount,
                'orders', s.orders) ORDER BY s.amount DESC, s.currency, s.exponent) AS value
        FROM (
            SELECT o.currency, o.exponent, count(*) AS orders, min(o.placed_at) AS first_at,
                max(o.placed_at) AS last_at,
                sum(CASE WHEN o.cancelled_at IS NULL
                    THEN o.total - greatest(coalesce(o.refunded, 0), coalesce((SELECT sum(r.amount) FROM refunds r
                        WHERE r.workspace_id = :workspace AND r.order_id = o.id), 0))
                    ELSE 0 END) AS amount
            FROM orders o
            WHERE o.workspace_id = :workspace AND o.customer_id = ANY(m.ids) AND o.deleted_at IS NULL
            GROUP BY o.currency, o.exponent
        ) s
    ) t ON true
) n
WHERE c.workspace_id = :workspace AND c.id = ANY(CAST(:ids AS uuid[])) AND c.id = n.id
    AND (c.name, c.email, c.phone, c.locale, c.orders_count, c.value, c.first_order_at, c.last_order_at,
        c.last_activity_at)
    IS DISTINCT FROM (n.name, n.email, n.phone, n.locale, n.orders_count, n.value, n.first_at, n.last_at,
        coalesce(greatest(n.last_at, n.since, c.contacted_at), c.created_at))
""")
