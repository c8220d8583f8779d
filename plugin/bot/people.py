"""Which segments a customer belongs to: by what they bought, and by their tags in the stores."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from plugin.bot.allowed import TAGGED, segments_of
from plugin.conversations.targets import Segment
from plugin.kernel.db import Tx

# Whoever was merged into somebody counts as that person, with the tags of every account that is theirs.
_PERSON = text("""
SELECT w.orders_count AS orders, (
        SELECT jsonb_agg(DISTINCT word) FROM customers m
        JOIN store_customers s ON s.workspace_id = m.workspace_id AND s.customer_id = m.id AND s.deleted_at IS NULL
        CROSS JOIN LATERAL jsonb_array_elements_text(s.tags) word
        WHERE m.workspace_id = w.workspace_id AND (m.id = w.id OR m.merged_into = w.id)) AS tags
FROM customers a JOIN customers w ON w.workspace_id = a.workspace_id AND w.id = coalesce(a.merged_into, a.id)
WHERE a.workspace_id = :workspace AND a.id = :id
""")
_TAGS = text("""
SELECT word FROM store_customers s CROSS JOIN LATERAL jsonb_array_elements_text(s.tags) word
WHERE s.workspace_id = :workspace AND s.deleted_at IS NULL GROUP BY word ORDER BY count(*) DESC, word LIMIT 40
""")


async def segments(tx: Tx, customer_id: UUID | None) -> frozenset[str]:
    """The segments of a customer; of somebody unknown those of a new one."""
    if customer_id is None:
        return frozenset({Segment.NEW.value})
    row = (await tx.execute(_PERSON, {"workspace": tx.workspace_id, "id": customer_id})).one_or_none()
    return segments_of(row.orders, row.tags or ()) if row is not None else frozenset({Segment.NEW.value})


async def known_tags(tx: Tx) -> list[str]:
    """Segments by tag that customers of the stores have, the most frequent first."""
    return [f"{TAGGED}{tag}" for tag in await tx.scalars(_TAGS, {"workspace": tx.workspace_id})]
