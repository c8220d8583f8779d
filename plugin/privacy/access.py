"""The read log: who of the team looked at whose data, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.log import request_id
from plugin.team import Agent

# A page that is open asks again and again: one look of an agent at a customer's data is one line in this time.
ONE_LOOK = timedelta(hours=1)


class AccessLog(TenantRow, Base):
    """An agent looked at a customer's data (`what`: customer, timeline, conversation, export), once or for a while.

    `created_at` is when a look began, `until` when it was last renewed.
    """

    __tablename__ = "access_log"
    __table_args__ = (
        Index(None, "workspace_id", "customer_id", "created_at"),
        Index(None, "workspace_id", "agent_id", "created_at"),
        Index("ix_access_log_age", "workspace_id", "created_at"),
    )

    agent_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    what: Mapped[str]
    request_id: Mapped[str] = mapped_column(server_default="")
    until: Mapped[datetime] = mapped_column(server_default=func.now())


async def log_access(tx: Tx, agent: Agent, customer_id: UUID, what: str) -> None:
    """Note that an agent reads a customer's data; in the transaction that reads it.

    A look that began less than ONE_LOOK ago is the same look. A copy that is taken out is always a line of its own.
    """
    if what != "export":
        goes_on = await tx.scalar(_GOES_ON, {**_who(tx, agent, customer_id, what), "since": ONE_LOOK})
        if goes_on is not None:
            return
    await tx.execute(
        insert(AccessLog).values(
            workspace_id=tx.workspace_id, id=new_id(), agent_id=agent.id, customer_id=customer_id, what=what,
            request_id=request_id.get() or "",
        )
    )  # fmt: skip


def _who(tx: Tx, agent: Agent, customer_id: UUID, what: str) -> dict[str, Any]:
    return {"workspace": tx.workspace_id, "agent": agent.id, "customer": customer_id, "what": what}


# Written again at most once in a minute: an open conversation asks for its line far more often.
_GOES_ON = text("""
WITH look AS (
    SELECT id, until FROM access_log
    WHERE workspace_id = :workspace AND customer_id = :customer AND agent_id = :agent AND what = :what
        AND created_at > now() - CAST(:since AS interval)
    ORDER BY created_at DESC LIMIT 1
), renewed AS (
    UPDATE access_log SET until = now() FROM look
    WHERE access_log.workspace_id = :workspace AND access_log.id = look.id
        AND look.until < now() - interval '1 minute'
)
SELECT id FROM look
""")


@dataclass(frozen=True, slots=True)
class Looks:
    """A page of the read log, newest first; `before` is what to ask for the next one, None at the end."""

    rows: Sequence[AccessLog]
    before: datetime | None
    before_id: UUID | None


async def looks(
    tx: Tx,
    *,
    customers: Sequence[UUID] = (),
    agent_id: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Looks:
    """Who looked: at these rows of one person, or one agent at anybody, or everybody at everybody."""
    wanted = select(AccessLog).where(AccessLog.workspace_id == tx.workspace_id)
    if customers:
        wanted = wanted.where(AccessLog.customer_id.in_(customers))
    if agent_id is not None:
        wanted = wanted.where(AccessLog.agent_id == agent_id)
    if before is not None:
        wanted = wanted.where(
            (AccessLog.created_at < before[0]) | ((AccessLog.created_at == before[0]) & (AccessLog.id < before[1]))
        )
    rows = list(await tx.scalars(wanted.order_by(AccessLog.created_at.desc(), AccessLog.id.desc()).limit(limit + 1)))
    last = rows[limit - 1] if len(rows) > limit else None
    return Looks(rows[:limit], last.created_at if last else None, last.id if last else None)


async def counts(tx: Tx, customers: Sequence[UUID]) -> Mapping[UUID, int]:
    """How often each agent looked at these rows of one person."""
    rows = await tx.execute(
        select(AccessLog.agent_id, func.count().label("times"))
        .where(AccessLog.workspace_id == tx.workspace_id, AccessLog.customer_id.in_(customers))
        .group_by(AccessLog.agent_id)
    )
    return {row.agent_id: row.times for row in rows}
