"""Stores to sync into, and the state of a workspace in words that do not depend on ids, clocks or arrival order."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from plugin import stores
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.platform import StoreProfile
from plugin.stores import Store

INSTALLED = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def connect() -> Callable[[Tx, str], Awaitable[Store]]:
    """Connect a store by name, installed on 1 June 2026."""

    async def connected(tx: Tx, name: str) -> Store:
        profile = StoreProfile(name, f"https://{name}.example", (), "SAR", None, "UTC", "ar", country="SA")
        store = await stores.connect(tx, platform="shopify", external_id=f"{name}-{tx.workspace_id}", profile=profile)
        store.installed_at = INSTALLED
        await tx.flush()
        return store

    return connected


@pytest.fixture
async def store(app: App, workspace: UUID, connect: Callable[[Tx, str], Awaitable[Store]]) -> Store:
    """A connected store in Saudi Arabia."""
    async with app.db.transaction(workspace) as tx:
        return await connect(tx, "first")


@pytest.fixture
async def second_store(app: App, workspace: UUID, connect: Callable[[Tx, str], Awaitable[Store]]) -> Store:
    """Another one of the same workspace."""
    async with app.db.transaction(workspace) as tx:
        return await connect(tx, "second")


# Whose row something is, in words: the profile behind it, or the handle that proved it.
_WHO = """
WITH who AS (
    SELECT c.id, coalesce(c.merged_into, c.id) AS head, coalesce(
        (SELECT s.name || ' ' || p.external_id FROM store_customers p JOIN stores s ON s.id = p.store_id
            WHERE p.customer_id = c.id),
        (SELECT 'proved ' || min(i.value) FROM identities i WHERE i.customer_id = c.id), '?') AS who
    FROM customers c
)
"""
_STATE = {
    "families": """SELECT f.members, c.name, c.email, c.phone, c.locale, c.orders_count, c.value, c.first_order_at,
            c.last_order_at
        FROM customers c JOIN (SELECT head, array_agg(who ORDER BY who) AS members FROM who GROUP BY head) f
            ON f.head = c.id""",
    "customers": """SELECT w.who, c.note, c.anonymised_at IS NOT NULL AS anonymised FROM customers c JOIN who w
        USING (id)""",
    "profiles": """SELECT w.who, p.version, p.provisional, p.first_name, p.last_name, p.email, p.phone, p.locale,
        p.tags, p.addresses, p.platform_created_at, p.deleted_at, p.raw FROM store_customers p
        JOIN who w ON w.id = p.customer_id""",
    "handles": """SELECT w.who, i.kind, i.value, i.proof, i.proven_at IS NOT NULL AS proven FROM identities i JOIN who w
        ON w.id = i.customer_id""",
    "words": "SELECT w.who, t.term, t.source FROM customer_terms t JOIN who w ON w.id = t.customer_id",
    "orders": """SELECT s.name AS store, o.external_id, o.version, w.who, o.status, o.payment_status, o.total,
        o.refunded, o.deleted_at, o.cancelled_at, o.number FROM orders o JOIN stores s ON s.id = o.store_id
        LEFT JOIN who w ON w.id = o.customer_id""",
    "lines": """SELECT s.name AS store, o.external_id AS of, l.external_id, l.version, l.title,
        l.quantity FROM order_lines l JOIN orders o ON o.id = l.order_id JOIN stores s ON s.id = l.store_id""",
    "parcels": """SELECT s.name AS store, f.external_id, f.order_external_id, o.external_id AS joined, f.status,
        f.version, f.tracking_number
        FROM fulfilments f JOIN stores s ON s.id = f.store_id LEFT JOIN orders o ON o.id = f.order_id""",
    "refunds": """SELECT s.name AS store, r.external_id, r.order_external_id, o.external_id AS joined, r.amount,
        r.version FROM refunds r JOIN stores s ON s.id = r.store_id LEFT JOIN orders o ON o.id = r.order_id""",
    "returns": """SELECT s.name AS store, r.external_id, r.order_external_id, o.external_id AS joined, r.status,
        r.name, r.version, r.requested_at, r.approved_at, r.declined_at, r.cancelled_at, r.closed_at
        FROM order_returns r JOIN stores s ON s.id = r.store_id LEFT JOIN orders o ON o.id = r.order_id""",
    "carts": """SELECT s.name AS store, c.kind, c.external_id, c.version, w.who, c.total, c.lines, c.completed_at,
        c.deleted_at FROM carts c JOIN stores s ON s.id = c.store_id LEFT JOIN who w ON w.id = c.customer_id""",
    "products": """SELECT s.name AS store, p.external_id, p.version, p.title, p.deleted_at FROM products p
        JOIN stores s ON s.id = p.store_id""",
    "variants": """SELECT s.name AS store, p.external_id AS of, v.external_id, v.version, v.title, v.price
        FROM variants v JOIN stores s ON s.id = v.store_id JOIN products p ON p.id = v.product_id""",
    "tombstones": "SELECT s.name AS store, t.resource, t.external_id, t.version FROM tombstones t "
    "JOIN stores s ON s.id = t.store_id",
    "milestones": """SELECT e.kind, o.external_id, w.who, count(*) FROM events e JOIN orders o ON o.id = e.subject_id
        LEFT JOIN who w ON w.id = e.customer_id
        WHERE (e.kind IN ('order.placed', 'order.paid', 'order.cancelled', 'order.delivered', 'order.refunded')
            OR e.kind LIKE 'return.%')
            AND NOT EXISTS (SELECT 1 FROM tombstones t WHERE t.resource = 'orders' AND t.external_id = o.external_id)
        GROUP BY 1, 2, 3""",
}


@pytest.fixture
def state() -> Callable[[Tx], Awaitable[dict[str, Any]]]:
    """Everything the CRM knows about a workspace, comparable with that of another."""

    async def read(tx: Tx) -> dict[str, Any]:
        found = {}
        for name, statement in _STATE.items():
            rows = await tx.scalars(text(f"{_WHO} SELECT CAST(to_jsonb(x) AS text) FROM ({statement}) x"))
            found[name] = sorted((orjson.loads(row) for row in rows), key=lambda row: orjson.dumps(row))
        return found

    return read
