"""Satisfaction: asked once, in the chat, after a conversation was resolved; a score from 1 to 5 and a comment."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Table, UniqueConstraint, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin import workspaces
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import RESOLVED, WIDGET, Conversation, Head, Shopper
from plugin.conversations.messages import AGENT, Message
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.text import harmless

BEST: Final = 5
MAX_COMMENT: Final = 1000
ASKED_FOR: Final = timedelta(days=7)
"""An unanswered question goes away after this long."""


class Rating(TenantRow, Base):
    """What a shopper was asked, and what they said: `score` is null until then. `agent_id` is whose work it was."""

    __tablename__ = "ratings"
    __table_args__ = (
        UniqueConstraint("workspace_id", "conversation_id"),
        Index(None, "workspace_id", "agent_id", "rated_at"),
        Index(None, "workspace_id", "store_id"),
        CheckConstraint("score BETWEEN 1 AND 5", name="score"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("agent_id", "agents", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str] = mapped_column(server_default="")
    rated_at: Mapped[datetime | None]


_RATINGS = cast(Table, Rating.__table__)


async def ask_rating(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """After a conversation was resolved: ask how it was, once, where somebody of us answered in the chat."""
    id = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        talk = await tx.get(Conversation, id)
        answered = talk is not None and talk.channel == WIDGET and talk.first_replied_at is not None
        if talk is not None and answered and talk.status == RESOLVED and (await workspaces.chat_rules(tx)).ratings:
            asked = await tx.scalar(
                insert(_RATINGS)
                .values(
                    workspace_id=workspace_id, id=new_id(), conversation_id=id, store_id=talk.store_id,
                    agent_id=talk.assignee_id or await _last_to_answer(tx, id),
                )
                .on_conflict_do_nothing(index_elements=["workspace_id", "conversation_id"])
                .returning(_RATINGS.c.id)
            )  # fmt: skip
            if asked is not None:
                tx.publish(f"conversation:{id}", {"type": "rating"})
        await tx.complete_job()


async def _last_to_answer(tx: Tx, conversation_id: UUID) -> UUID | None:
    found: UUID | None = await tx.scalar(
        select(Message.agent_id)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == AGENT,
            Message.seq.is_not(None),
        )
        .order_by(Message.seq.desc())
        .limit(1)
    )
    return found


async def of(tx: Tx, conversation_id: UUID) -> Rating | None:
    """What was asked and said about a conversation; None when nobody asked."""
    found: Rating | None = await tx.scalar(
        select(Rating).where(Rating.workspace_id == tx.workspace_id, Rating.conversation_id == conversation_id)
    )
    return found


async def open_question(tx: Tx, head: Head) -> dict[str, Any] | None:
    """What the widget shows under a resolved conversation: the question, or what was said; None: nothing."""
    if head.status != RESOLVED:
        return None
    rating = await of(tx, head.id)
    if rating is None or (rating.score is None and rating.created_at < datetime.now(UTC) - ASKED_FOR):
        return None
    return {"score": rating.score, "comment": rating.comment}


async def rate(tx: Tx, shopper: Shopper, score: int, comment: str = "") -> dict[str, Any]:
    """The shopper says how it was; saying it again while the conversation is resolved replaces what was said.

    Raises NotFound where nobody asked, AhlanError for a score that is none.
    """
    if not 1 <= score <= BEST:
        raise AhlanError(_("A rating is one to five stars."), code="score")
    head = await threads.shown(tx, shopper)
    if head is None or await open_question(tx, head) is None:
        raise NotFound(_("There is nothing to rate just now."))
    said = " ".join(harmless(comment).split())[:MAX_COMMENT]
    before = await of(tx, head.id)
    agent_id = await tx.scalar(
        update(_RATINGS)
        .where(_RATINGS.c.workspace_id == tx.workspace_id, _RATINGS.c.conversation_id == head.id)
        .values(score=score, comment=said, rated_at=func.now())
        .returning(_RATINGS.c.agent_id)
    )
    # Words that follow the stars are no second rating.
    if before is None or before.score != score:
        await _record(tx, head, shopper, score, agent_id)
    tx.publish(f"conversation:{head.id}", {"type": "rating"})
    tx.publish(f"panel:conversation:{head.id}", {"type": "assigned"})
    tx.publish("queue", {"conversation_id": str(head.id)})
    return {"score": score, "comment": said}


async def _record(tx: Tx, head: Head, shopper: Shopper, score: int, agent_id: UUID | None) -> None:
    await tx.record(
        "conversation.rated",
        subject_id=head.id,
        store_id=head.store_id,
        customer_id=head.customer_id,
        actor=shopper.actor,
        data={"score": score, "agent_id": str(agent_id) if agent_id else None},
    )
