"""What the bot did behind a message and why: its log, its memory, and what stands under its words in the panel.

One row for each message of a person that it looked at. `data` holds ids, topics and figures, never what anybody wrote:
`parts` (one for each question), `choices` that were offered ({text, to}), what was asked for (`asked`), what was shown
(`products`, `order` and by which `proof`), and for which topic something is still missing (`pending`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import REAL, Index, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key


class BotTurn(TenantRow, Base):
    """What the bot did behind one message. `outcome` and `reason` as `decide`; `sent`: it answered with a message."""

    __tablename__ = "bot_turns"
    __table_args__ = (
        UniqueConstraint("workspace_id", "conversation_id", "message_id"),
        Index("ix_bot_turns_store", "workspace_id", "store_id", "created_at"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("store_id", "stores"),
    )

    conversation_id: Mapped[UUID]
    store_id: Mapped[UUID]
    message_id: Mapped[UUID]
    sent: Mapped[bool]
    outcome: Mapped[str]
    reason: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="")
    topic: Mapped[str] = mapped_column(server_default="")
    confidence: Mapped[float] = mapped_column(REAL, server_default=text("0"))
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


@dataclass(frozen=True, slots=True)
class Before:
    """What the bot did in this conversation since it was last resolved, the newest first."""

    turns: Sequence[BotTurn] = field(default_factory=tuple)

    @property
    def handed(self) -> BotTurn | None:
        """The turn in which it handed over, if it did."""
        return next((turn for turn in self.turns if turn.data.get("handed")), None)

    @property
    def said(self) -> Sequence[BotTurn]:
        """Those in which the shopper heard something: what was only thought was neither told nor asked."""
        return [turn for turn in self.turns if turn.sent]

    @property
    def offered(self) -> int:
        """How often in a row choices were offered last."""
        return next((at for at, turn in enumerate(self.said) if turn.outcome != "offer"), len(self.said))

    @property
    def asked(self) -> frozenset[str]:
        """Everything that was asked for."""
        return frozenset(need for turn in self.said for need in turn.data.get("asked", ()))

    @property
    def told(self) -> frozenset[str]:
        """What was said by the last two answers: to say it a third time helps nobody."""
        return frozenset(said for turn in self.said[:2] for said in turn.data.get("told", ()))


async def since(tx: Tx, conversation_id: UUID, moment: datetime | None) -> Before:
    """What the bot did in a conversation after a moment."""
    rows = await tx.scalars(
        select(BotTurn)
        .where(
            BotTurn.workspace_id == tx.workspace_id,
            BotTurn.conversation_id == conversation_id,
            *((BotTurn.created_at > moment,) if moment else ()),
        )
        .order_by(BotTurn.created_at.desc(), BotTurn.id.desc())
        .limit(50)
    )
    return Before(list(rows))


async def write(tx: Tx, **values: Any) -> UUID | None:
    """Keep a turn; None when there is one behind this message already."""
    found: UUID | None = await tx.scalar(
        insert(BotTurn)
        .values(workspace_id=tx.workspace_id, id=new_id(), **values)
        .on_conflict_do_nothing(index_elements=["workspace_id", "conversation_id", "message_id"])
        .returning(BotTurn.id)
    )
    return found


async def behind(tx: Tx, conversation_id: UUID, message_id: UUID) -> BotTurn | None:
    """The turn behind a message of the shopper's."""
    found: BotTurn | None = await tx.scalar(
        select(BotTurn).where(
            BotTurn.workspace_id == tx.workspace_id,
            BotTurn.conversation_id == conversation_id,
            BotTurn.message_id == message_id,
        )
    )
    return found


async def sent_today(tx: Tx, conversation_id: UUID) -> int:
    """How often the bot answered in a conversation in the last 24 hours."""
    count: int = await tx.scalar(
        select(func.count())
        .select_from(BotTurn)
        .where(
            BotTurn.workspace_id == tx.workspace_id,
            BotTurn.conversation_id == conversation_id,
            BotTurn.sent,
            BotTurn.created_at > text("now() - interval '24 hours'"),
        )
    )
    return count


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the last days: conversations that the bot answered in, those it handed over, and each topic's outcomes."""

    conversations: int
    handed: int
    alone: int
    topics: Sequence[tuple[str, int, int]]


_FIGURES = text("""
WITH talks AS (
    SELECT t.conversation_id, bool_or(t.data ? 'handed') AS handed, bool_or(t.sent AND t.outcome = 'answer') AS answered
    FROM bot_turns t WHERE t.workspace_id = :workspace AND t.store_id = :store
        AND t.created_at > now() - make_interval(days => :days) GROUP BY 1
)
SELECT count(*) AS conversations, count(*) FILTER (WHERE handed) AS handed,
    count(*) FILTER (WHERE answered AND NOT handed AND NOT EXISTS (SELECT FROM messages m
        WHERE m.workspace_id = :workspace AND m.conversation_id = talks.conversation_id AND m.author = 'agent'
            AND m.kind = 'message')) AS alone
FROM talks
""")
_TOPICS = text("""
SELECT topic, count(*) FILTER (WHERE outcome = 'answer') AS answered,
    count(*) FILTER (WHERE outcome = 'person') AS handed
FROM bot_turns WHERE workspace_id = :workspace AND store_id = :store AND topic <> ''
    AND created_at > now() - make_interval(days => :days) GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 12
""")


async def figures(tx: Tx, store_id: UUID, days: int = 30) -> Figures:
    """How it went. `alone`: answered, never handed over, and no agent wrote; whether it helped, nobody knows."""
    bound = {"workspace": tx.workspace_id, "store": store_id, "days": days}
    row = (await tx.execute(_FIGURES, bound)).one()
    topics = [(one.topic, one.answered, one.handed) for one in await tx.execute(_TOPICS, bound)]
    return Figures(row.conversations, row.handed, row.alone, topics)
