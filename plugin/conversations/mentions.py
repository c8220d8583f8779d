"""Mentions: a note calls a colleague by name, who then finds the conversation among theirs until they have read it."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Index, Table, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.team import Agent, Permission

MOST = 20
"""People in one note, at most."""


class Mention(Tenant, Base):
    """A note at `position` of a conversation calls an agent; `read_at` is when they saw it."""

    __tablename__ = "mentions"
    __table_args__ = (
        tenant_key("conversation_id", "conversations"),
        tenant_key("agent_id", "agents"),
        Index(None, "workspace_id", "conversation_id"),
        Index(
            "ix_mentions_unread",
            "workspace_id",
            "agent_id",
            "conversation_id",
            postgresql_where=text("read_at IS NULL"),
        ),
        # Agents do not move with a store: whoever is there was not called.
        {"info": {"moves": "stays"}},
    )

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    read_at: Mapped[datetime | None]


_TABLE = cast(Table, Mention.__table__)


async def people(tx: Tx, *, but: Agent | None = None) -> Sequence[Agent]:
    """Who can be called: everybody who may read here today, by name."""
    rows = await tx.scalars(
        select(Agent)
        .where(Agent.workspace_id == tx.workspace_id, Agent.deactivated_at.is_(None))
        .order_by(func.lower(Agent.name), Agent.id)
    )
    return [agent for agent in rows if agent.may(Permission.READ) and (but is None or agent.id != but.id)]


def called(body: str, who: Sequence[Agent], chosen: Collection[UUID]) -> list[Agent]:
    """Whom a note calls: `@` and the whole name. Where two have the same name, only who was chosen from the list. Pure.

    Raises AhlanError when somebody was chosen who is not in `who`, or for more than 20.
    """
    if not set(chosen) <= {agent.id for agent in who}:
        raise AhlanError(
            _("Somebody whom this note names has no access here."), _("Take the name out."), code="mention_nobody",
            status=422,
        )  # fmt: skip
    # Longer names first: what calls Noa Levi does not call Noa.
    left, found = body, list[Agent]()
    for name in sorted({_folded(agent.name) for agent in who}, key=len, reverse=True):
        pattern = _pattern(name)
        if name and pattern.search(left):
            left = pattern.sub(" ", left)
            namesakes = [agent for agent in who if _folded(agent.name) == name]
            found += namesakes if len(namesakes) == 1 else [agent for agent in namesakes if agent.id in chosen]
    if len(found) > MOST:
        raise AhlanError(_("A note can mention 20 people at most."), code="mention_many")
    return found


def parts(body: str, names: Sequence[str]) -> list[tuple[str, bool]]:
    """A note in pieces, each with whether it calls one of `names`. Pure."""
    wanted = sorted({_folded(name) for name in names if name.strip()}, key=len, reverse=True)
    if not wanted:
        return [(body, False)]
    pieces = re.split("(" + "|".join(_pattern(name).pattern for name in wanted) + ")", body, flags=re.IGNORECASE)
    return [(piece, at % 2 == 1) for at, piece in enumerate(pieces) if piece]


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _pattern(name: str) -> re.Pattern[str]:
    words = r"\s+".join(map(re.escape, name.split()))
    return re.compile(rf"(?<!\w)@{words}(?!\w)", re.IGNORECASE)


async def remember(tx: Tx, conversation_id: UUID, position: int, who: Sequence[Agent], *, by: UUID | None) -> None:
    """Keep that a note calls them; who wrote it is not called by it. Their lists hear of it."""
    fixed = {"workspace_id": tx.workspace_id, "conversation_id": conversation_id, "position": position}
    rows = [{**fixed, "agent_id": agent.id} for agent in who if agent.id != by]
    if rows:
        await tx.execute(insert(_TABLE).values(rows).on_conflict_do_nothing())
        tx.publish("queue", {"conversation_id": str(conversation_id)})


async def again(tx: Tx, conversation_id: UUID, position: int, body: str, *, by: UUID | None) -> list[str]:
    """A note of `by` reads `body` now: only those whom it calls still have it. Returns the names that it calls.

    Raises AhlanError as `called` does. Of two with the same name, who was called before is meant again.
    """
    here = (
        _TABLE.c.workspace_id == tx.workspace_id,
        _TABLE.c.conversation_id == conversation_id,
        _TABLE.c.position == position,
    )
    before = set(await tx.scalars(select(_TABLE.c.agent_id).where(*here)))
    everybody = await people(tx) if "@" in body else []
    who = called(body, everybody, before & {agent.id for agent in everybody})
    if gone := before - {agent.id for agent in who}:
        await tx.execute(delete(_TABLE).where(*here, _TABLE.c.agent_id.in_(gone)))
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    await remember(tx, conversation_id, position, who, by=by)
    return [agent.name for agent in who]


async def read(tx: Tx, conversation_id: UUID, agent: Agent, position: int) -> bool:
    """The agent has seen everything up to `position`. Returns whether a mention was among it."""
    seen = await tx.scalars(
        update(_TABLE)
        .where(
            _TABLE.c.workspace_id == tx.workspace_id,
            _TABLE.c.agent_id == agent.id,
            _TABLE.c.conversation_id == conversation_id,
            _TABLE.c.position <= position,
            _TABLE.c.read_at.is_(None),
        )
        .values(read_at=func.now())
        .returning(_TABLE.c.position)
    )
    news = bool(seen.all())
    if news:
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    return news


async def inherit(tx: Tx, of: UUID, to: UUID) -> None:
    """Two rows turn out to be one person: who called the one called the other."""
    known = _TABLE.alias()
    already = select(known.c.position).where(
        known.c.workspace_id == _TABLE.c.workspace_id,
        known.c.conversation_id == _TABLE.c.conversation_id,
        known.c.position == _TABLE.c.position,
        known.c.agent_id == to,
    )
    await tx.execute(
        update(_TABLE)
        .where(_TABLE.c.workspace_id == tx.workspace_id, _TABLE.c.agent_id == of, ~already.exists())
        .values(agent_id=to)
    )
