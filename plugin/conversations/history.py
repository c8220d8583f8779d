"""What happened to a conversation besides its messages: taken, given away, turned, ranked, tagged."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from plugin.kernel.db import Tx
from plugin.kernel.events import Event

KINDS = (
    "conversation.assigned",
    "conversation.field_changed",
    "conversation.marked_spam",
    "conversation.merged",
    "conversation.overdue",
    "conversation.pending",
    "conversation.ranked",
    "conversation.rated",
    "conversation.reopened",
    "conversation.resolved",
    "conversation.retitled",
    "conversation.snoozed",
    "conversation.split",
    "conversation.tagged",
    "conversation.tied",
    "conversation.transcript_asked",
    "conversation.unattended",
    "conversation.unmerged",
    "conversation.unsplit",
    "conversation.untagged",
    "conversation.untied",
    "conversation.woken",
    "mail.answered_itself",
    "mail.bounced",
    "mail.refused",
    "mail.stopped",
    "sender.blocked",
)
LIMIT = 100


async def happenings(tx: Tx, conversation_id: UUID, *, since: datetime) -> Sequence[Event]:
    """Events of the conversation from `since` on, oldest first, the newest 100 of them."""
    newest = await tx.scalars(
        select(Event)
        .where(
            Event.workspace_id == tx.workspace_id,
            Event.subject_id == conversation_id,
            Event.kind.in_(KINDS),
            Event.at >= since,
        )
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(LIMIT)
    )
    return list(newest)[::-1]
