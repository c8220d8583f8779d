"""How long an answer takes here: an honest line for whoever writes."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from plugin.conversations.conversations import Conversation
from plugin.kernel.db import Tx

_ENOUGH = 3
_SAMPLE = 200
_DAYS = 28


async def usual_seconds(tx: Tx, store_id: UUID) -> int | None:
    """Seconds until the first answer, half the time less, over the last four weeks; None while there are too few."""
    taken = (
        select(func.extract("epoch", Conversation.first_replied_at - Conversation.created_at).label("seconds"))
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.store_id == store_id,
            Conversation.first_replied_at.is_not(None),
            Conversation.created_at > func.now() - timedelta(days=_DAYS),
        )
        .order_by(Conversation.created_at.desc())
        .limit(_SAMPLE)
        .subquery()
    )
    median = func.percentile_cont(0.5).within_group(taken.c.seconds)
    result = await tx.execute(select(func.count().label("answers"), median.label("median")).select_from(taken))
    found = result.one()
    return int(found.median) if found.answers >= _ENOUGH else None
