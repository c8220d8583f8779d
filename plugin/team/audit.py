"""The audit log: who came in, who tried, and who changed what about the team, the settings and what leaves the house.

Written in the transaction of what it tells, never changed afterwards: the application's role may add and, for
retention, delete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id
from plugin.kernel.log import request_id
from plugin.kernel.personal import nobody
from plugin.team.devices import origin

TOPICS = ("sign_in", "account", "team", "settings", "data", "orders")


class AuditEntry(TenantRow, Base):
    """One line. `kind` begins with its topic; `changes` maps a field to [before, after]; `agent_id` did it.

    No foreign keys: a line outlives what it speaks of.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_age", "workspace_id", "created_at"),
        Index(None, "workspace_id", "agent_id", "id"),
        Index(None, "workspace_id", "topic", "id"),
        {"info": {"grants": "SELECT, INSERT, DELETE", **nobody("the team's own doings")}},
    )

    topic: Mapped[str]
    kind: Mapped[str]
    agent_id: Mapped[UUID | None]
    subject_id: Mapped[UUID | None]
    changes: Mapped[dict[str, Any]]
    address: Mapped[str] = mapped_column(server_default="")
    browser: Mapped[str] = mapped_column(server_default="")
    way: Mapped[str] = mapped_column(server_default="")
    request_id: Mapped[str] = mapped_column(server_default="")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of one topic, of one agent (who did it, or whom it is about), from a moment on."""

    topic: str = ""
    agent_id: UUID | None = None
    since: datetime | None = None


def note(
    tx: Tx,
    kind: str,
    *,
    by: UUID | None,
    subject: UUID | None = None,
    changes: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """Write a line in this transaction. `by` is an agent's id, None for a stranger; `changes` hold nothing secret."""
    where = origin.get()
    tx.add(
        AuditEntry(
            id=new_id(),
            topic=kind.partition(".")[0],
            kind=kind,
            agent_id=by,
            subject_id=subject,
            changes={name: list(pair) for name, pair in (changes or {}).items()},
            address=where.address,
            browser=where.browser,
            way=where.way,
            request_id=request_id.get() or "",
        )
    )


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """The fields that differ, each with what it was and what it is."""
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


async def entries(tx: Tx, wanted: Wanted, *, before: UUID | None = None, limit: int = 50) -> Sequence[AuditEntry]:
    """The newest lines, or those before the line `before`: ids are made in the order of time."""
    statement = select(AuditEntry).where(AuditEntry.workspace_id == tx.workspace_id)
    if wanted.topic:
        statement = statement.where(AuditEntry.topic == wanted.topic)
    if wanted.agent_id is not None:
        statement = statement.where(
            (AuditEntry.agent_id == wanted.agent_id) | (AuditEntry.subject_id == wanted.agent_id)
        )
    if wanted.since is not None:
        statement = statement.where(AuditEntry.created_at >= wanted.since)
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    return list(await tx.scalars(statement.order_by(AuditEntry.id.desc()).limit(limit)))
