"""Who gets a conversation that nobody has, what becomes of those whose agent is gone, and what nobody takes.

A rule gives by compare-and-set: two workers at once give once. Without a team that gives by itself, nothing here does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text, update

from plugin import team as people
from plugin import workspaces
from plugin.app import App
from plugin.conversations import clocks, hours, teams
from plugin.conversations import conversations as threads
from plugin.conversations.conversations import OPEN, TABLE, Conversation, Status
from plugin.conversations.tags import ConversationTag
from plugin.conversations.teams import Giving, Rules, hours_of, responsible
from plugin.kernel.db import Tx
from plugin.team import ALLOWED, Agent, Permission, Role

HERE = timedelta(minutes=10)
"""How long somebody counts as there after the last sign of their panel, which gives one every five minutes."""

_MANY = 2000
_REPLIERS = [role for role in Role if Permission.REPLY in ALLOWED[role]]


async def give(tx: Tx, conversation_id: UUID, now: datetime) -> UUID | None:
    """Give a conversation that waits for somebody to one of its team, as the team says. Returns to whom, or None.

    None: somebody has it, the team's people take what they want, it is closed now, or all are away or full.
    """
    talk = await tx.get(Conversation, conversation_id)
    if talk is None or talk.assignee_id is not None or talk.status != OPEN or talk.waiting_since is None:
        return None
    team = await _team_of(tx, talk, [one.rules() for one in await teams.all_teams(tx)])
    if team is None or team.giving is Giving.MANUAL or not hours.is_open(team.hours, now):
        return None
    # One at a time: whose turn it is, and who has how many, must be true when it is decided.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"give {tx.workspace_id}", 0))))
    agent_id = await _next(tx, team)
    if agent_id is None:
        return None
    taken = await tx.scalar(
        update(TABLE)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.id == conversation_id,
            TABLE.c.assignee_id.is_(None),
            TABLE.c.status == OPEN,
        )
        .values(assignee_id=agent_id)
        .returning(TABLE.c.id)
    )
    if taken is None:
        return None
    await tx.execute(
        update(Agent)
        .where(Agent.workspace_id == tx.workspace_id, Agent.id == agent_id)
        .values(given_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    await threads.assigned(tx, talk, agent_id, by=None)
    return agent_id


async def _team_of(tx: Tx, talk: Conversation, rules: list[Rules]) -> Rules | None:
    tags = await tx.scalars(
        select(ConversationTag.key).where(
            ConversationTag.workspace_id == tx.workspace_id, ConversationTag.conversation_id == talk.id
        )
    )
    return responsible(rules, talk.store_id, talk.locale, list(tags))


async def _next(tx: Tx, team: Rules) -> UUID | None:
    """Whose turn it is among those of the team who are there and not full."""
    load = (
        select(func.count())
        .where(
            Conversation.workspace_id == Agent.workspace_id,
            Conversation.assignee_id == Agent.id,
            Conversation.status == OPEN,
        )
        .correlate(Agent)
        .scalar_subquery()
    )
    turn = (Agent.given_at.asc().nulls_first(), Agent.id)
    statement = (
        select(Agent.id)
        .where(*_able(tx), or_(Agent.capacity == 0, load < Agent.capacity))
        .order_by(*((load, *turn) if team.giving is Giving.LOAD else turn))
        .limit(1)
    )
    if team.members:
        statement = statement.where(Agent.id.in_([UUID(one) for one in team.members]))
    found: UUID | None = await tx.scalar(statement)
    return found


def _able(tx: Tx) -> tuple[Any, ...]:
    """Who may be given something: at work, not away, with the panel open."""
    return (
        Agent.workspace_id == tx.workspace_id,
        Agent.deactivated_at.is_(None),
        Agent.available,
        Agent.last_seen_at > func.now() - HERE,
        Agent.role.in_(_REPLIERS),
    )


async def give_conversation(app: App, workspace_id: UUID, *, conversation_id: str) -> None:
    """Task, when a conversation begins to wait in a team that gives by itself."""
    async with app.db.transaction(workspace_id) as tx:
        await give(tx, UUID(conversation_id), datetime.now(UTC))
        await tx.complete_job()


async def release(tx: Tx, agent_id: UUID, *, only_waiting: bool) -> int:
    """Give back to everybody what an agent has and is not done; `only_waiting`: what somebody waits for now.

    Returns how many. What is resolved stays with them: it tells who did it.
    """
    theirs = (
        TABLE.c.workspace_id == tx.workspace_id,
        TABLE.c.assignee_id == agent_id,
        TABLE.c.status == OPEN if only_waiting else TABLE.c.status.in_([OPEN, Status.PENDING, Status.SNOOZED]),
        *((TABLE.c.waiting_since.is_not(None),) if only_waiting else ()),
    )
    freed = await tx.scalars(update(TABLE).where(*theirs).values(assignee_id=None).returning(TABLE.c.id))
    ids = list(freed)
    for talk in await tx.scalars(
        select(Conversation)
        .where(Conversation.workspace_id == tx.workspace_id, Conversation.id.in_(ids))
        .execution_options(populate_existing=True)
    ):
        await threads.assigned(tx, talk, None, by=None)
    if ids:
        await clocks.watch(tx)
    return len(ids)


async def release_agent(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, when an agent's access ended: what they had is everybody's, and goes to a colleague where rules give."""
    id = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        agent = await tx.get(Agent, id)
        if agent is not None and agent.deactivated_at is not None:
            await release(tx, id, only_waiting=False)
        await tx.complete_job()
    await _give_waiting(app, workspace_id)


async def watch_inbox(app: App, workspace_id: UUID, idle: bool = False) -> None:
    """Task, every minute while there is anything to watch: clocks, agents who are gone, what nobody has.

    It ends when twice in a row nothing was left: what is committed while it looks is seen the second time.
    """
    await clocks.look(app, workspace_id)
    await _free_the_gone(app, workspace_id)
    await _give_waiting(app, workspace_id)
    await _tell_unattended(app, workspace_id)
    async with app.db.transaction(workspace_id) as tx:
        # First, so that the next round may stand in the table beside this one.
        await tx.complete_job()
        left = await _left(tx)
        if left or not idle:
            await tx.enqueue(
                "watch_inbox", delay=clocks.WATCH_SECONDS, unique="watch_inbox", **({} if left else {"idle": True})
            )


# What was told, and what its own people have in hand, need not be looked at again every minute.
_LEFT = text("""
SELECT EXISTS (SELECT FROM conversations WHERE workspace_id = :workspace AND look_at IS NOT NULL)
    OR EXISTS (SELECT FROM conversations c WHERE c.workspace_id = :workspace AND c.waiting_since IS NOT NULL
        AND c.assignee_id IS NULL AND c.status = 'open'
        AND (:gives OR :tells AND (c.unattended_at IS NULL OR c.unattended_at < c.waiting_since)))
    OR EXISTS (SELECT FROM conversations c JOIN agents a ON a.workspace_id = c.workspace_id AND a.id = c.assignee_id
        WHERE c.workspace_id = :workspace AND c.waiting_since IS NOT NULL AND c.status = 'open'
        AND (:frees OR a.deactivated_at IS NOT NULL))
""")


async def _left(tx: Tx) -> bool:
    rules = [one.rules() for one in await teams.all_teams(tx)]
    given = any(one.giving is not Giving.MANUAL for one in rules)
    workspace = await workspaces.current(tx)
    assert workspace is not None
    frees = bool(workspace.away_minutes) and len(await people.colleagues(tx)) > 1
    values = {"workspace": tx.workspace_id, "gives": given, "tells": bool(await _limit(tx, rules)), "frees": frees}
    found: bool = await tx.scalar(_LEFT, values)
    return found


async def _limit(tx: Tx, rules: Sequence[Rules]) -> int:
    """Minutes after which what nobody took is told; 0: never.

    Alone and without hours there is nobody who could have overlooked it.
    """
    workspace = await workspaces.current(tx)
    assert workspace is not None
    return workspace.unattended_minutes if rules or len(await people.colleagues(tx)) > 1 else 0


async def _free_the_gone(app: App, workspace_id: UUID) -> None:
    """Waiting conversations of agents who left, or are away for long while a colleague is there.

    Away is who said so, and who closed the panel.
    """
    async with app.db.transaction(workspace_id) as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        somebody = await tx.scalar(select(Agent.id).where(*_able(tx)).limit(1)) is not None
        gone: list[Any] = [Agent.deactivated_at.is_not(None)]
        if workspace.away_minutes and somebody:
            limit = timedelta(minutes=workspace.away_minutes)
            gone.append((~Agent.available) & (Agent.away_since < func.now() - limit))
            gone.append(func.coalesce(Agent.last_seen_at, Agent.created_at) < func.now() - max(limit, HERE))
        for id in list(await tx.scalars(select(Agent.id).where(Agent.workspace_id == workspace_id, or_(*gone)))):
            await release(tx, id, only_waiting=True)


_NOBODYS = text("""
SELECT c.id, c.store_id, c.locale, coalesce((SELECT array_agg(g.key) FROM conversation_tags g
    WHERE g.workspace_id = c.workspace_id AND g.conversation_id = c.id), '{}') AS tags
FROM conversations c
WHERE c.workspace_id = :workspace AND c.waiting_since IS NOT NULL AND c.assignee_id IS NULL AND c.status = 'open'
ORDER BY c.waiting_since, c.id LIMIT :limit
""")


async def _give_waiting(app: App, workspace_id: UUID) -> None:
    """What waits for somebody, the longest first: people may have come back, or be done with something else."""
    now = datetime.now(UTC)
    async with app.db.transaction(workspace_id) as tx:
        rules = [one.rules() for one in await teams.all_teams(tx)]
        giving = {one.id for one in rules if one.giving is not Giving.MANUAL and hours.is_open(one.hours, now)}
        rows = await tx.execute(_NOBODYS, {"workspace": workspace_id, "limit": _MANY}) if giving else ()
        ids = [
            row.id
            for row in rows
            if (team := responsible(rules, row.store_id, row.locale, row.tags)) is not None and team.id in giving
        ]
    for id in ids:
        async with app.db.transaction(workspace_id) as tx:
            await give(tx, id, now)


@dataclass(frozen=True, slots=True)
class Unattended:
    """What the banner says: how many nobody took in time, and since when the first of them waits."""

    count: int
    since: datetime


async def _tell_unattended(app: App, workspace_id: UUID) -> None:
    async with app.db.transaction(workspace_id) as tx:
        await tell_unattended(tx, datetime.now(UTC))


async def tell_unattended(tx: Tx, now: datetime) -> int:
    """Tell of each that nobody took within the limit of business time, once per wait. Returns of how many."""
    rules = [one.rules() for one in await teams.all_teams(tx)]
    limit = await _limit(tx, rules)
    if not limit:
        return 0
    count = 0
    found = await tx.scalars(
        select(Conversation)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.waiting_since <= func.now() - timedelta(minutes=limit),
            Conversation.assignee_id.is_(None),
            Conversation.status == OPEN,
            or_(Conversation.unattended_at.is_(None), Conversation.unattended_at < Conversation.waiting_since),
        )
        .order_by(Conversation.waiting_since)
        .limit(_MANY)
    )
    for talk in list(found):
        assert talk.waiting_since is not None
        when = hours_of(await _team_of(tx, talk, rules))
        # Told when somebody can do something about it, not at night.
        if not hours.is_open(when, now):
            continue
        if hours.elapsed(when, talk.waiting_since, now) < limit * 60:
            continue
        count += await _told(tx, talk)
    return count


async def _told(tx: Tx, talk: Conversation) -> bool:
    marked = await tx.scalar(
        update(TABLE)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.id == talk.id,
            TABLE.c.assignee_id.is_(None),
            TABLE.c.status == OPEN,
            TABLE.c.waiting_since == talk.waiting_since,
            TABLE.c.unattended_at.is_not_distinct_from(talk.unattended_at),
        )
        .values(unattended_at=func.now())
        .returning(TABLE.c.id)
    )
    if marked is None:
        return False
    await tx.record("conversation.unattended", subject_id=talk.id, store_id=talk.store_id, customer_id=talk.customer_id)
    tx.publish("stores", {})
    tx.publish("queue", {"conversation_id": str(talk.id)})
    return True


async def unattended(tx: Tx) -> Unattended | None:
    """What nobody took in time and still nobody has."""
    row = (
        await tx.execute(
            select(func.count().label("held"), func.min(Conversation.waiting_since).label("since")).where(
                Conversation.workspace_id == tx.workspace_id,
                Conversation.waiting_since.is_not(None),
                Conversation.assignee_id.is_(None),
                Conversation.status == OPEN,
                Conversation.unattended_at >= Conversation.waiting_since,
            )
        )
    ).one()
    return Unattended(row.held, row.since) if row.held else None
