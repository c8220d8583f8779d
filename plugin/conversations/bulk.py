"""The same change to many conversations at once, and back again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped

from plugin.conversations import conversations as threads
from plugin.conversations import tags
from plugin.conversations.conversations import Conversation, Priority, Status
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import Agent, Permission

MOST = 200
"""Conversations in one change, at most."""


class Verb(StrEnum):
    """What can be done to many."""

    STATUS = "status"
    ASSIGN = "assign"
    PRIORITY = "priority"
    TAG = "tag"
    UNTAG = "untag"


@dataclass(frozen=True, slots=True)
class Change:
    """A verb and its value: a status (with `until` for a snooze), an agent's id or nothing, a priority, a tag."""

    verb: Verb
    value: str
    until: datetime | None = None


class BulkChange(TenantRow, Base):
    """What one change did, so that it can be undone: [conversation, what it was before, until when] each."""

    __tablename__ = "bulk_changes"
    __table_args__ = (tenant_key("agent_id", "agents"), {"info": nobody("which conversations an agent changed last")})

    agent_id: Mapped[UUID]
    verb: Mapped[str]
    value: Mapped[str]
    before: Mapped[list[Any]]


async def apply(tx: Tx, ids: Sequence[UUID], change: Change, *, by: Agent) -> BulkChange:
    """Make the change where it is one. Returns what was done; `before` is empty when nothing was.

    Ids of conversations that are not there are passed over. Raises AhlanError for more than 200, and NotFound for an
    agent who cannot have them.
    """
    if len(ids) > MOST:
        raise AhlanError(_("At most 200 conversations can be changed at once."), _("Choose fewer."), code="too_many")
    to = await _assignee(tx, change.value) if change.verb is Verb.ASSIGN else None
    before: list[list[str | None]] = []
    for conversation in await _found(tx, ids):
        was = await _make(tx, conversation, change, to, by)
        if was is not None:
            before.append([str(conversation.id), *was])
    done = BulkChange(agent_id=by.id, verb=change.verb, value=change.value, before=before)
    # One is enough to undo, and what they hold must not outlive the conversations for long.
    await tx.execute(delete(BulkChange).where(BulkChange.workspace_id == tx.workspace_id, BulkChange.agent_id == by.id))
    tx.add(done)
    await tx.flush()
    return done


async def undo(tx: Tx, change_id: UUID, *, by: Agent) -> int:
    """Take back one's own last change where nobody changed more since. Returns in how many conversations.

    Raises NotFound for an older one, or one that was undone already.
    """
    done = await tx.scalar(
        delete(BulkChange)
        .where(BulkChange.workspace_id == tx.workspace_id, BulkChange.id == change_id, BulkChange.agent_id == by.id)
        .returning(BulkChange)
    )
    if done is None:
        raise NotFound(_("This can no longer be undone."), _("Nothing was changed."))
    was = {UUID(id): (value, until) for id, value, until in done.before}
    count = 0
    for conversation in await _found(tx, list(was)):
        value, until = was[conversation.id]
        count += await _back(tx, conversation, done, value, until, by)
    return count


async def _make(
    tx: Tx, conversation: Conversation, change: Change, to: Agent | None, by: Agent
) -> tuple[str | None, str | None] | None:
    """Change one; what it was before, or None when it was so already."""
    match change.verb:
        case Verb.STATUS:
            until = conversation.snoozed_until
            was = conversation.status, until.isoformat() if until else None
            return (
                was if await threads.turn(tx, conversation, Status(change.value), by=by, until=change.until) else None
            )
        case Verb.ASSIGN:
            had = conversation.assignee_id
            if had == (to.id if to else None):
                return None
            await threads.assign(tx, conversation, to, by=by, seen=had)
            return str(had) if had else "", None
        case Verb.PRIORITY:
            rank = str(conversation.priority)
            return (rank, None) if await threads.rank(tx, conversation, Priority(int(change.value)), by=by) else None
        case Verb.TAG:
            return ("", None) if await tags.put(tx, conversation, change.value, by=by) else None
        case Verb.UNTAG:
            return ("", None) if await tags.take_off(tx, conversation, change.value, by=by) else None


async def _back(tx: Tx, conversation: Conversation, done: BulkChange, value: str, until: str | None, by: Agent) -> bool:
    match Verb(done.verb):
        case Verb.STATUS:
            if conversation.status != done.value:
                return False
            moment = datetime.fromisoformat(until) if until else None
            over = moment is not None and moment <= datetime.now(UTC)
            back = Status.OPEN if over else Status(value)
            return await threads.turn(tx, conversation, back, by=by, until=None if over else moment)
        case Verb.ASSIGN:
            if str(conversation.assignee_id or "") != done.value:
                return False
            to = await tx.get(Agent, UUID(value)) if value else None
            await threads.assign(tx, conversation, to, by=by, seen=conversation.assignee_id)
            return True
        case Verb.PRIORITY:
            return str(conversation.priority) == done.value and await threads.rank(
                tx, conversation, Priority(int(value)), by=by
            )
        case Verb.TAG:
            return await tags.take_off(tx, conversation, done.value, by=by)
        case Verb.UNTAG:
            return await tags.put(tx, conversation, done.value, by=by)


async def _found(tx: Tx, ids: Sequence[UUID]) -> list[Conversation]:
    # In one order, so that two changes at once wait for each other instead of locking each other out.
    rows = await tx.scalars(
        select(Conversation)
        .where(Conversation.workspace_id == tx.workspace_id, Conversation.id.in_(ids))
        .order_by(Conversation.id)
        .with_for_update(key_share=True)
    )
    return list(rows)


async def _assignee(tx: Tx, value: str) -> Agent | None:
    if not value:
        return None
    try:
        agent = await tx.get(Agent, UUID(value))
    except ValueError:
        agent = None
    if agent is None or not agent.may(Permission.REPLY):
        raise NotFound(_("There is nobody with this name."), _("Choose again."))
    return agent
