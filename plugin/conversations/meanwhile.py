"""What came into a conversation while somebody was writing an answer to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from plugin.conversations.messages import AGENT, NOTE, SHOPPER, Message
from plugin.kernel.db import Tx
from plugin.team import Agent

_LIMIT = 50


@dataclass(frozen=True, slots=True)
class News:
    """What the writer has not seen, up to `position`. `answered`: colleagues who answered, `noted`: who wrote notes."""

    position: int
    count: int
    customer: bool
    answered: Sequence[str]
    noted: Sequence[str]


async def since(tx: Tx, conversation_id: UUID, position: int, *, by: Agent) -> News | None:
    """What others wrote after `position`, notes too; None when that is nothing. One's own words are no news.

    Truthful to the end of the transaction while the caller holds the conversation (`conversations.lock`).
    """
    rows = list(
        await tx.scalars(
            select(Message)
            .where(
                Message.workspace_id == tx.workspace_id,
                Message.conversation_id == conversation_id,
                Message.position > position,
                Message.agent_id.is_distinct_from(by.id),
            )
            .order_by(Message.position)
            .limit(_LIMIT)
        )
    )
    if not rows:
        return None
    ours = [row for row in rows if row.author == AGENT]
    return News(
        rows[-1].position,
        len(rows),
        any(row.author == SHOPPER for row in rows),
        list(dict.fromkeys(row.author_name for row in ours if row.kind != NOTE)),
        list(dict.fromkeys(row.author_name for row in ours if row.kind == NOTE)),
    )
