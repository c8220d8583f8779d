"""Answer targets of a workspace, and the clocks of its conversations: kept in the transaction of every change.

What lists need stands in columns of the conversation, so that they are read by an index; the clocks themselves stand in
a table of their own. Nothing is set up by itself: without a target there is no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.conversations import targets
from plugin.conversations.targets import Clock, Kind, News, Policy, Segment, Shown, State, Told
from plugin.conversations.teams import Giving, Rules, hours_of, responsible
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import folded

MOST = 50
LONGEST = 60 * 24 * 90
"""Minutes of a target, at most."""

WATCH_SECONDS = 60
_BATCH = 200
_NAME = 60


class AnswerTarget(TenantRow, Base):
    """A policy: minutes until the first answer, the next one, and until it is resolved; None: no promise.

    Empty lists mean all. The first that fits a conversation, by `position`, counts. `segments` are `targets.Segment`;
    `tags`, folded, are those of the conversation, or of the customer in any store.
    """

    __tablename__ = "answer_targets"
    __table_args__ = {"info": nobody("what the merchant promises, in minutes")}  # noqa: RUF012 - read once, by SQLAlchemy

    name: Mapped[str]
    position: Mapped[int]
    priorities: Mapped[list[int]] = mapped_column(JSONB, server_default=text("'[]'"))
    channels: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    stores: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    segments: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    tags: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    first: Mapped[int | None]
    next: Mapped[int | None]
    resolution: Mapped[int | None]
    since: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def for_all(self) -> bool:
        """Whether it asks for nothing: what stands after it is never asked."""
        return not (self.priorities or self.channels or self.stores or self.segments or self.tags)


class ConversationClock(Tenant, Base):
    """`targets.Clock` of a conversation: the running one of each kind, or the last that ended."""

    __tablename__ = "conversation_clocks"
    __table_args__ = (tenant_key("conversation_id", "conversations"),)

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[int]
    used: Mapped[float] = mapped_column(server_default=text("0"))
    running_since: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    warn_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


_CLOCKS = cast(Table, ConversationClock.__table__)
_MOMENTS = ("running_since", "due_at", "warn_at", "warned_at", "breached_at", "ended_at")

# Text rather than an expression, and one statement: every message pays for it.
_LOAD = text("""
SELECT c.status, c.priority, c.channel, c.store_id, c.customer_id, c.locale, c.assignee_id, c.waiting_since,
    c.first_replied_at, c.due_at, c.warn_at, c.look_at, c.breached_at, clock_timestamp() AS now,
    coalesce(c.waiting_since >= now(), false) AS fresh,
    (SELECT jsonb_agg(to_jsonb(t)) FROM teams t WHERE t.workspace_id = c.workspace_id) AS teams,
    (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.position, p.id) FROM answer_targets p
        WHERE p.workspace_id = c.workspace_id) AS policies,
    (SELECT jsonb_agg(to_jsonb(k)) FROM conversation_clocks k
        WHERE k.workspace_id = c.workspace_id AND k.conversation_id = c.id) AS clocks,
    (SELECT jsonb_agg(g.key) FROM conversation_tags g
        WHERE g.workspace_id = c.workspace_id AND g.conversation_id = c.id) AS tags,
    CASE WHEN EXISTS (SELECT FROM answer_targets p
        WHERE p.workspace_id = c.workspace_id AND (p.segments <> '[]' OR p.tags <> '[]'))
    THEN (SELECT jsonb_build_object('orders', w.orders_count, 'tags', (
            SELECT jsonb_agg(DISTINCT word) FROM customers m
            JOIN store_customers s ON s.workspace_id = m.workspace_id AND s.customer_id = m.id AND s.deleted_at IS NULL
            CROSS JOIN LATERAL jsonb_array_elements_text(s.tags) word
            WHERE m.workspace_id = w.workspace_id AND (m.id = w.id OR m.merged_into = w.id)))
        FROM customers a JOIN customers w ON w.workspace_id = a.workspace_id AND w.id = coalesce(a.merged_into, a.id)
        WHERE a.workspace_id = c.workspace_id AND a.id = c.customer_id) END AS person
FROM conversations c WHERE c.workspace_id = :workspace AND c.id = :id
""").columns(teams=JSONB, policies=JSONB, clocks=JSONB, tags=JSONB, person=JSONB)

_SHOW = text("""
UPDATE conversations SET due_at = :due_at, warn_at = :warn_at, look_at = :look_at, breached_at = :breached_at
WHERE workspace_id = :workspace AND id = :id
""")


async def keep(tx: Tx, conversation_id: UUID) -> None:
    """Set the conversation's clocks after a change, tell what they tell, and have somebody found for it.

    The caller holds the conversation. Again without a change, nothing happens.
    """
    row = (await tx.execute(_LOAD, {"workspace": tx.workspace_id, "id": conversation_id})).one_or_none()
    if row is None:
        return
    if row.fresh:
        await watch(tx)
    if not (row.policies or row.clocks or row.teams):
        return
    team = responsible([Rules.of(one) for one in row.teams or ()], row.store_id, row.locale, row.tags or ())
    if row.fresh and row.assignee_id is None and team is not None and team.giving is not Giving.MANUAL:
        await tx.enqueue("give_conversation", conversation_id=conversation_id)
    if not (row.policies or row.clocks):
        return
    state = _state(row)
    before = {Kind(one["kind"]): _read(one) for one in row.clocks or ()}
    policy = targets.chosen([Policy.of(one) for one in row.policies or ()], state)
    found, told = targets.step(before, policy, hours_of(team), state, row.now)
    await _write(tx, conversation_id, before, found)
    fresh = targets.shown(list(found.values()))
    seen = Shown(fresh.due_at, fresh.warn_at, fresh.look_at, row.breached_at or fresh.breached_at)
    if seen != Shown(row.due_at, row.warn_at, row.look_at, row.breached_at):
        await tx.execute(_SHOW, {"workspace": tx.workspace_id, "id": conversation_id, **asdict(seen)})
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    for one in told:
        await _record(tx, conversation_id, row, one)


def _state(row: Any) -> State:
    # Asked only where a promise is made to some customers.
    person = row.person or {}
    theirs = {folded(tag) for tag in person.get("tags") or ()}
    return State(
        row.status,
        row.priority,
        row.channel,
        row.store_id,
        row.waiting_since,
        row.first_replied_at,
        Segment.of(person.get("orders", 0)),
        frozenset(theirs | set(row.tags or ())),
    )


async def watch(tx: Tx) -> None:
    """Have somebody look at the inbox within a minute, and from then on while there is anything to watch."""
    await tx.enqueue("watch_inbox", delay=WATCH_SECONDS, unique="watch_inbox")


async def _record(tx: Tx, conversation_id: UUID, row: Any, one: Told) -> None:
    about = {"subject_id": conversation_id, "store_id": row.store_id, "customer_id": row.customer_id, "at": one.at}
    data = {"target": one.clock.kind, "minutes": one.clock.target // 60}
    match one.news:
        case News.WARNED:
            await tx.record("conversation.due_soon", **about, data=data)
        case News.BREACHED:
            await tx.record("conversation.overdue", **about, data=data)
        case News.KEPT:
            await tx.record("conversation.in_time", **about, data={**data, "seconds": round(one.clock.used)})
    if one.news is not News.KEPT:
        tx.publish(f"panel:conversation:{conversation_id}", {"type": "assigned"})


async def _write(tx: Tx, conversation_id: UUID, before: dict[Kind, Clock], after: dict[Kind, Clock]) -> None:
    changed = [one for kind, one in after.items() if before.get(kind) != one]
    if changed:
        rows = [{"workspace_id": tx.workspace_id, "conversation_id": conversation_id, **asdict(one)} for one in changed]
        fresh = insert(_CLOCKS).values(rows)
        values = {name: fresh.excluded[name] for name in ("target", "used", *_MOMENTS)}
        await tx.execute(
            fresh.on_conflict_do_update(index_elements=["workspace_id", "conversation_id", "kind"], set_=values)
        )
    if gone := [kind for kind in before if kind not in after]:
        await tx.execute(
            delete(_CLOCKS).where(
                _CLOCKS.c.workspace_id == tx.workspace_id,
                _CLOCKS.c.conversation_id == conversation_id,
                _CLOCKS.c.kind.in_(gone),
            )
        )


def _read(said: dict[str, Any]) -> Clock:
    moments = {name: datetime.fromisoformat(said[name]) if said[name] else None for name in _MOMENTS}
    return Clock(Kind(said["kind"]), said["target"], said["used"], **moments)


async def of_conversation(tx: Tx, conversation_id: UUID) -> Sequence[ConversationClock]:
    """The clocks of a conversation that run or stand, the one that is due first in front."""
    rows = await tx.scalars(
        select(ConversationClock)
        .where(
            ConversationClock.workspace_id == tx.workspace_id,
            ConversationClock.conversation_id == conversation_id,
            ConversationClock.ended_at.is_(None),
        )
        .order_by(ConversationClock.due_at.nulls_last(), ConversationClock.kind)
    )
    return list(rows)


_PRESSING = text("""
SELECT count(*) FROM conversations
WHERE workspace_id = :workspace AND assignee_id = :agent AND status = 'open' AND due_at IS NOT NULL AND warn_at <= now()
""")


async def pressing(tx: Tx, agent_id: UUID) -> int:
    """How many conversations of an agent are due soon or overdue: what the warning says."""
    count: int = await tx.scalar(_PRESSING, {"workspace": tx.workspace_id, "agent": agent_id})
    return count


async def all_targets(tx: Tx) -> Sequence[AnswerTarget]:
    """Every policy, in the order in which they are asked."""
    rows = await tx.scalars(
        select(AnswerTarget)
        .where(AnswerTarget.workspace_id == tx.workspace_id)
        .order_by(AnswerTarget.position, AnswerTarget.id)
    )
    return list(rows)


async def save(tx: Tx, one: AnswerTarget) -> None:
    """Keep a new or a changed policy; running clocks follow. Raises AhlanError for what promises nothing, or too much.

    A new one is asked last, unless the last one is for all: then just before that.
    """
    one.name = " ".join(one.name.split())
    if not one.name or len(one.name) > _NAME:
        raise AhlanError(_("Give it a name of at most 60 characters."), code="target_name")
    minutes = [value for value in (one.first, one.next, one.resolution) if value is not None]
    if not minutes or not all(0 < value <= LONGEST for value in minutes):
        raise AhlanError(_("Say how soon: at least one time, between a minute and 90 days."), code="target_time")
    have = await all_targets(tx)
    if one.workspace_id is None:
        if len(have) >= MOST:
            raise AhlanError(_("There are 50 targets already."), _("Delete one first."), code="targets_full")
        one.position = len(have)
        if have and have[-1].for_all:
            have[-1].position, one.position = len(have), len(have) - 1
    one.since = await tx.scalar(select(func.now()))
    tx.add(one)
    await tx.flush()
    await reckon(tx)


async def move(tx: Tx, one: AnswerTarget, *, up: bool) -> None:
    """Ask a policy before, or after, its neighbour."""
    order = list(await all_targets(tx))
    place = order.index(one)
    other = place - 1 if up else place + 1
    if 0 <= other < len(order):
        order[place], order[other] = order[other], order[place]
    for position, each in enumerate(order):
        each.position = position
    await tx.flush()
    await reckon(tx)


async def remove(tx: Tx, target_id: UUID) -> None:
    """Take a promise back."""
    await tx.execute(
        delete(AnswerTarget).where(AnswerTarget.workspace_id == tx.workspace_id, AnswerTarget.id == target_id)
    )
    await reckon(tx)


async def reckon(tx: Tx) -> None:
    """Hours or targets are others now: have every running clock worked out anew."""
    await tx.enqueue("reckon_clocks", after="")
    await watch(tx)
    tx.publish("queue", {})


_WAITING = text("""
SELECT id FROM conversations WHERE workspace_id = :workspace AND waiting_since IS NOT NULL
AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid)) ORDER BY id LIMIT :limit
""")
_HOLD = text("SELECT id FROM conversations WHERE workspace_id = :workspace AND id = :id FOR NO KEY UPDATE")


async def reckon_clocks(app: App, workspace_id: UUID, *, after: str) -> None:
    """Task, after hours or targets changed: set the clocks of who waits, a batch at a time."""
    async with app.db.transaction(workspace_id) as tx:
        found = await tx.scalars(
            _WAITING, {"workspace": workspace_id, "after": UUID(after) if after else None, "limit": _BATCH}
        )
        ids = list(found)
    await _each(app, workspace_id, ids)
    async with app.db.transaction(workspace_id) as tx:
        if len(ids) == _BATCH:
            await tx.enqueue("reckon_clocks", after=str(ids[-1]))
        await tx.complete_job()


_DUE = text("""
SELECT id FROM conversations WHERE workspace_id = :workspace AND look_at <= now() ORDER BY look_at, id LIMIT :limit
""")


async def look(app: App, workspace_id: UUID) -> None:
    """Tell what has become due. The table decides, so that looking twice tells once."""
    while True:
        async with app.db.transaction(workspace_id) as tx:
            ids = list(await tx.scalars(_DUE, {"workspace": workspace_id, "limit": _BATCH}))
        await _each(app, workspace_id, ids)
        if len(ids) < _BATCH:
            return


async def _each(app: App, workspace_id: UUID, ids: Sequence[UUID]) -> None:
    for id in ids:
        # One by one: whoever writes meanwhile waits for one conversation, not for all.
        async with app.db.transaction(workspace_id) as tx:
            await tx.execute(_HOLD, {"workspace": workspace_id, "id": id})
            await keep(tx, id)
