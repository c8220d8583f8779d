"""Conversations: one thread with one customer, over whatever channel: begin, assign, turn, rank, read."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, Row, SmallInteger, Table, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.conversations import clocks
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.events import Event
from plugin.kernel.lazy import _
from plugin.kernel.text import normalise_email
from plugin.team import Agent


class Status(StrEnum):
    """open: ours to do · pending: the customer's turn · snoozed: ours again at a time · resolved: done · spam."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    SPAM = "spam"


class Priority(IntEnum):
    """How soon, compared with the others."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3


MERGED = "merged"
"""Status of a conversation whose messages stand in another one: in no list, and whoever asks for it gets that one."""

OPEN = Status.OPEN
RESOLVED = Status.RESOLVED

WIDGET = "widget"
EMAIL = "email"

LONGEST_SNOOZE = timedelta(days=366)


class Conversation(TenantRow, Base):
    """A thread. `last_seq` numbers what the shopper may see, `last_position` everything, notes too: gapless from 1.

    `waiting_since` is when the shopper's oldest unanswered message came; null when nobody waits for us. `active_at`
    orders the lists: the last message, or the moment it woke from a snooze. `agent_read_seq` is what any agent read,
    which the shopper is told; who of the team read what is in `conversation_reads`. `reply_email` was typed for this
    conversation: it may get this conversation's own replies and nothing else. `due_at` is when the first of its clocks
    runs out, `warn_at` when that comes near, `look_at` when there is something to tell next, `breached_at` when a
    promise was broken first (`clocks.py`); `unattended_at` is when an alert said that nobody takes it. `merged_into` is
    the conversation that its messages stand in (`merging.py`); `numbering` grows when messages here get other numbers.
    `begun_by_us`: an agent wrote first, so how long the first answer took says nothing. `topic`: what its first message
    was understood to be about, one of the topics of `plugin/bot/seeds`, or empty.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_queue", "workspace_id", "status", "active_at", "id"),
        Index("ix_conversations_assigned", "workspace_id", "assignee_id", "status", "active_at", "id"),
        Index("ix_conversations_active", "workspace_id", "active_at", "id"),
        Index(
            "ix_conversations_waiting",
            "workspace_id",
            "waiting_since",
            "id",
            postgresql_where=text("waiting_since IS NOT NULL"),
        ),
        Index("ix_conversations_due", "workspace_id", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_conversations_look", "workspace_id", "look_at", postgresql_where=text("look_at IS NOT NULL")),
        Index(None, "workspace_id", "customer_id", "last_message_at"),
        Index(None, "workspace_id", "visitor_id"),
        Index(None, "workspace_id", "store_id", "created_at"),
        Index(
            "ix_conversations_merged", "workspace_id", "merged_into", postgresql_where=text("merged_into IS NOT NULL")
        ),
        tenant_key("merged_into", "conversations"),
        tenant_key("store_id", "stores"),
        tenant_key("customer_id", "customers", ondelete="RESTRICT"),
        tenant_key("assignee_id", "agents", ondelete="RESTRICT"),
        tenant_key("visitor_id", "visitors", ondelete="RESTRICT"),
    )

    store_id: Mapped[UUID | None]
    customer_id: Mapped[UUID | None]
    visitor_id: Mapped[UUID | None]
    channel: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=OPEN)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    snoozed_until: Mapped[datetime | None]
    assignee_id: Mapped[UUID | None]
    subject: Mapped[str] = mapped_column(server_default="")
    preview: Mapped[str] = mapped_column(server_default="")
    preview_author: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(server_default="")
    reply_email: Mapped[str] = mapped_column(server_default="")
    emailed_seq: Mapped[int] = mapped_column(server_default=text("0"))
    last_seq: Mapped[int] = mapped_column(server_default=text("0"))
    last_position: Mapped[int] = mapped_column(server_default=text("0"))
    shopper_read_seq: Mapped[int] = mapped_column(server_default=text("0"))
    agent_read_seq: Mapped[int] = mapped_column(server_default=text("0"))
    last_message_at: Mapped[datetime] = mapped_column(server_default=func.now())
    active_at: Mapped[datetime] = mapped_column(server_default=func.now())
    waiting_since: Mapped[datetime | None]
    first_replied_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    warn_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]
    unattended_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None]
    numbering: Mapped[int] = mapped_column(server_default=text("0"))
    begun_by_us: Mapped[bool] = mapped_column(server_default=text("false"))
    topic: Mapped[str] = mapped_column(server_default="")


class ConversationRead(Tenant, Base):
    """Up to which `seq` one agent has read a conversation."""

    __tablename__ = "conversation_reads"
    __table_args__ = (
        tenant_key("agent_id", "agents"),
        tenant_key("conversation_id", "conversations"),
        Index(None, "workspace_id", "conversation_id"),
        # Agents do not move with a store: what it brings is new to whoever is there.
        {"info": {"moves": "stays"}},
    )

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int]


TABLE = cast(Table, Conversation.__table__)
_READS = cast(Table, ConversationRead.__table__)


@dataclass(frozen=True, slots=True)
class Shopper:
    """Who writes through the widget. `customer_id` only when a proof for it came with this very session."""

    visitor_id: UUID
    store_id: UUID
    customer_id: UUID | None = None
    conversation_id: UUID | None = None
    locale: str = ""

    @property
    def actor(self) -> str:
        """Their name in the event table."""
        return f"shopper:{self.visitor_id}"

    def owns(self, visitor_id: UUID | None, customer_id: UUID | None) -> bool:
        """Whether a conversation with these ids is theirs."""
        return visitor_id == self.visitor_id or (customer_id is not None and customer_id == self.customer_id)


_HEAD = (
    TABLE.c.id,
    TABLE.c.store_id,
    TABLE.c.customer_id,
    TABLE.c.visitor_id,
    TABLE.c.status,
    TABLE.c.assignee_id,
    TABLE.c.last_seq,
    TABLE.c.last_position,
    TABLE.c.shopper_read_seq,
    TABLE.c.agent_read_seq,
    TABLE.c.merged_into,
    TABLE.c.numbering,
)


@dataclass(frozen=True, slots=True)
class ByRule:
    """A rule that acts where an agent otherwise does."""

    id: UUID
    name: str

    @property
    def actor(self) -> str:
        """Its name in the event table."""
        return f"rule:{self.id}"


Head = Row[tuple[UUID, UUID | None, UUID | None, UUID | None, str, UUID | None, int, int, int, int, UUID | None, int]]
"""The few columns of a conversation that writing into it needs."""


# Text rather than an expression: every message pays for it.
_LOCK = text(
    f"SELECT {', '.join(column.name for column in _HEAD)} FROM conversations "  # noqa: S608 - our own column names
    "WHERE workspace_id = :workspace AND id = :id FOR NO KEY UPDATE"
)


async def lock(tx: Tx, conversation_id: UUID) -> Head | None:
    """Hold the conversation until the end of the transaction: whoever numbers its next message waits for us."""
    result = await tx.execute(_LOCK, {"workspace": tx.workspace_id, "id": conversation_id})
    return cast("Head | None", result.one_or_none())


async def lock_living(tx: Tx, conversation_id: UUID) -> Head | None:
    """`lock` for whoever writes: of a conversation that was merged, the one that its messages stand in."""
    head = await lock(tx, conversation_id)
    while head is not None and head.merged_into is not None:
        head = await lock(tx, head.merged_into)
    return head


def known_as(head: Head) -> str:
    """The name under which a browser knows a conversation and its numbers: another one when either is another."""
    return f"{head.id}~{head.numbering}" if head.numbering else str(head.id)


async def current(tx: Tx, shopper: Shopper) -> Head | None:
    """The conversation that this shopper's widget shows: the open one, else the latest, on this store; or None.

    A chat of theirs that was merged into a letter's thread is that thread.
    """
    result = await tx.execute(
        select(*_HEAD)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.store_id == shopper.store_id,
            TABLE.c.merged_into.is_(None),
            or_(and_(TABLE.c.channel == WIDGET, _own(TABLE, shopper)), TABLE.c.id.in_(_merged(tx, shopper))),
        )
        .order_by((TABLE.c.status != RESOLVED).desc(), TABLE.c.last_message_at.desc(), TABLE.c.id.desc())
        .limit(1)
    )
    return cast("Head | None", result.one_or_none())


async def shown(tx: Tx, shopper: Shopper, *, known: str = "") -> Head | None:
    """The conversation that the shopper's session is bound to, while it is theirs; else the current one.

    `known` is what the browser calls it (`known_as`): where its messages have other numbers by now, some of them may
    stand elsewhere, and what was said last decides.
    """
    if shopper.conversation_id is not None:
        result = await tx.execute(
            select(*_HEAD).where(
                TABLE.c.workspace_id == tx.workspace_id,
                TABLE.c.id == shopper.conversation_id,
                TABLE.c.merged_into.is_(None),
                or_(_own(TABLE, shopper), TABLE.c.id.in_(_merged(tx, shopper))),
            )
        )
        bound = cast("Head | None", result.one_or_none())
        if bound is not None and (not known.startswith(str(bound.id)) or known == known_as(bound)):
            return bound
    return await current(tx, shopper)


def _own(table: Any, shopper: Shopper) -> Any:
    if shopper.customer_id is None:
        return table.c.visitor_id == shopper.visitor_id
    return or_(table.c.visitor_id == shopper.visitor_id, table.c.customer_id == shopper.customer_id)


def _merged(tx: Tx, shopper: Shopper) -> Any:
    """What chats of theirs were merged into."""
    before = TABLE.alias("before")
    return select(before.c.merged_into).where(
        before.c.workspace_id == tx.workspace_id,
        before.c.channel == WIDGET,
        before.c.merged_into.is_not(None),
        _own(before, shopper),
    )


async def _may_write(tx: Tx, shopper: Shopper, head: Head) -> bool:
    if shopper.owns(head.visitor_id, head.customer_id):
        return True
    return head.id in set(await tx.scalars(_merged(tx, shopper)))


async def open_for(tx: Tx, shopper: Shopper) -> Head:
    """The shopper's conversation, locked; begun when there is none. Two tabs that begin at once begin one."""
    if shopper.conversation_id is not None:
        head = await lock_living(tx, shopper.conversation_id)
        if head is not None and await _may_write(tx, shopper, head):
            return head
    await _one_at_a_time(tx, shopper.customer_id or shopper.visitor_id)
    found = await current(tx, shopper)
    conversation_id = found.id if found is not None else await _begin(tx, shopper)
    head = await lock_living(tx, conversation_id)
    assert head is not None
    return head


async def begin_by_us(tx: Tx, shopper: Shopper, by: Agent) -> Head:
    """The conversation into which an agent writes first, locked; begun when this browser has none.

    Looked for by the browser alone: what its customer wrote elsewhere is not for whoever sits in front of this one.
    """
    await _one_at_a_time(tx, shopper.visitor_id)
    found = await current(tx, replace(shopper, customer_id=None))
    conversation_id = found.id if found is not None else await _begin(tx, shopper, by)
    head = await lock_living(tx, conversation_id)
    assert head is not None
    return head


async def _one_at_a_time(tx: Tx, owner: UUID) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"conversation {owner}", 0))))


async def _begin(tx: Tx, shopper: Shopper, by: Agent | None = None) -> UUID:
    hushed = by is None and await _is_blocked(tx, shopper.visitor_id)
    conversation = Conversation(
        status=Status.SPAM if hushed else OPEN,
        id=new_id(),
        store_id=shopper.store_id,
        customer_id=shopper.customer_id,
        visitor_id=shopper.visitor_id,
        channel=WIDGET,
        locale=shopper.locale,
        begun_by_us=by is not None,
    )
    tx.add(conversation)
    await tx.flush()
    await tx.record(
        "conversation.started",
        subject_id=conversation.id,
        store_id=shopper.store_id,
        customer_id=shopper.customer_id,
        actor=f"agent:{by.id}" if by is not None else shopper.actor,
        data={"channel": WIDGET},
    )
    tx.publish(f"visitor:{shopper.visitor_id}", {"type": "conversation", "id": str(conversation.id)})
    return conversation.id


# In words: the room that knows who is blocked stands on this one.
_BLOCKED = text(
    "SELECT EXISTS (SELECT FROM blocked_senders "
    "WHERE workspace_id = :workspace AND kind = 'visitor' AND value = :value)"
)


async def _is_blocked(tx: Tx, visitor_id: UUID) -> bool:
    return bool(await tx.scalar(_BLOCKED, {"workspace": tx.workspace_id, "value": str(visitor_id)}))


async def begin_by_mail(tx: Tx, store_id: UUID, sender: str, subject: str, *, hushed: bool = False) -> UUID:
    """A mail begins a conversation with an address, not with a person: the address is only what the mail says.

    `hushed`: of somebody who is blocked, so it begins as spam.
    """
    conversation = Conversation(
        id=new_id(), store_id=store_id, channel=EMAIL, subject=" ".join(subject.split())[:200], reply_email=sender,
        status=Status.SPAM if hushed else OPEN,
    )  # fmt: skip
    tx.add(conversation)
    await tx.flush()
    await tx.record(
        "conversation.started",
        subject_id=conversation.id,
        store_id=store_id,
        actor="system",
        data={"channel": EMAIL},
    )
    return conversation.id


async def begin_quietly(
    tx: Tx, store_id: UUID, to: str, subject: str, *, customer_id: UUID | None, locale: str
) -> UUID:
    """A conversation in which we write first, to an address that the store itself has: in nobody's queue until they
    answer. Without an address it holds what the team knows.
    """
    conversation = Conversation(
        id=new_id(), store_id=store_id, channel=EMAIL, subject=" ".join(subject.split())[:200], reply_email=to,
        customer_id=customer_id, locale=locale, status=RESOLVED, resolved_at=datetime.now(UTC),
    )  # fmt: skip
    tx.add(conversation)
    await tx.flush()
    return conversation.id


async def belongs(tx: Tx, conversation_id: UUID, customer_id: UUID) -> None:
    """A proof arrived with what was written: the conversation, and what happened in it, is this customer's."""
    owned = await tx.scalar(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == conversation_id, TABLE.c.customer_id.is_(None))
        .values(customer_id=customer_id)
        .returning(TABLE.c.id)
    )
    if owned is not None:
        await _theirs_now(tx, [conversation_id], customer_id)


async def attach(tx: Tx, visitor_id: UUID, customer_id: UUID) -> int:
    """A proof arrived for this visitor: what they wrote anonymously becomes the customer's. Returns how many."""
    attached = list(
        await tx.scalars(
            update(TABLE)
            .where(
                TABLE.c.workspace_id == tx.workspace_id,
                TABLE.c.visitor_id == visitor_id,
                TABLE.c.customer_id.is_(None),
            )
            .values(customer_id=customer_id)
            .returning(TABLE.c.id)
        )
    )
    if attached:
        await _theirs_now(tx, attached, customer_id)
    return len(attached)


async def _theirs_now(tx: Tx, attached: list[UUID], customer_id: UUID) -> None:
    events = cast(Table, Event.__table__)
    await tx.execute(
        update(events)
        .where(
            events.c.workspace_id == tx.workspace_id, events.c.subject_id.in_(attached), events.c.customer_id.is_(None)
        )
        .values(customer_id=customer_id)
    )
    for conversation_id in attached:
        tx.publish(f"panel:conversation:{conversation_id}", {"type": "customer"})
        tx.publish("queue", {"conversation_id": str(conversation_id)})


async def assign(
    tx: Tx, conversation: Conversation, to: Agent | None, *, by: Agent | ByRule, seen: UUID | None
) -> None:
    """Give the conversation to `to`, or to nobody. `seen` is who had it when `by` decided.

    Nothing happens when `to` has it already. Raises Conflict when somebody else was faster.
    """
    changed = await tx.scalar(
        update(TABLE)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.id == conversation.id,
            TABLE.c.assignee_id.is_not_distinct_from(seen),
        )
        .values(assignee_id=to.id if to else None)
        .returning(TABLE.c.id)
    )
    if changed is not None:
        await clocks.watch(tx)
    if changed is None:
        await tx.session.refresh(conversation)
        if conversation.assignee_id == (to.id if to else None):
            return
        raise Conflict(
            _("Somebody else has just taken or given away this conversation."),
            _("Look at who has it now, then decide again."),
            code="assigned_meanwhile",
        )
    await assigned(tx, conversation, to.id if to else None, by=by)
    await tx.session.refresh(conversation)


async def assigned(tx: Tx, conversation: "Conversation | Head", to: UUID | None, *, by: Agent | ByRule | None) -> None:
    """Record and tell that the conversation has a new assignee; without `by` a team's way of giving decided."""
    await _record(tx, "conversation.assigned", conversation, by, {"to": str(to) if to else None})
    _tell_team(tx, conversation.id, {"type": "assigned", "to": str(to) if to else None})


@dataclass(frozen=True, slots=True)
class _Turn:
    event: str
    waits: bool = True


# Whether somebody still waits for us after it: a snooze puts off our answer, it does not give one.
_TURNS = {
    Status.OPEN: _Turn("conversation.reopened"),
    Status.PENDING: _Turn("conversation.pending", waits=False),
    Status.SNOOZED: _Turn("conversation.snoozed"),
    Status.RESOLVED: _Turn("conversation.resolved", waits=False),
    Status.SPAM: _Turn("conversation.marked_spam", waits=False),
}


async def turn(
    tx: Tx,
    conversation: Conversation,
    to: Status,
    *,
    by: Agent | ByRule | None,
    until: datetime | None = None,
    seen: Status | None = None,
) -> bool:
    """Give the conversation another status; `until` (UTC) is when a snooze ends. Returns False when it had it already.

    `seen` is the status that `by` decided on: raises Conflict when somebody else changed it meanwhile. Raises
    AhlanError for a snooze that ends in the past or in more than a year.
    """
    until = _checked(until) if to is Status.SNOOZED else None
    head = await lock(tx, conversation.id)
    if head is None:
        return False
    await tx.session.refresh(conversation)
    if conversation.status == to and conversation.snoozed_until == until:
        return False
    if seen is not None and conversation.status != seen:
        raise Conflict(
            _("Somebody else has changed this conversation meanwhile."),
            _("Look at it again, then decide."),
            code="changed_meanwhile",
        )
    values: dict[str, Any] = {
        "status": to,
        "snoozed_until": until,
        "resolved_at": func.now() if to is RESOLVED else None,
    }
    if not _TURNS[to].waits:
        values["waiting_since"] = None
    await tx.execute(
        update(TABLE).where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == conversation.id).values(**values)
    )
    if to is OPEN:
        await _let_go(tx, conversation.id)
    await _record(tx, _TURNS[to].event, conversation, by, {"until": until.isoformat()} if until else None)
    if until is not None:
        delay = max(0.0, (until - datetime.now(UTC)).total_seconds())
        await tx.enqueue("wake_conversation", delay=delay, conversation_id=conversation.id)
    _tell_status(tx, conversation.id, to)
    if to is OPEN:
        await clocks.watch(tx)
    await clocks.keep(tx, conversation.id)
    await tx.session.refresh(conversation)
    return True


def _checked(until: datetime | None) -> datetime:
    now = datetime.now(UTC)
    if until is None or until <= now or until > now + LONGEST_SNOOZE:
        raise AhlanError(_("Choose a time within the next year."), code="snooze_time")
    return until


async def wake_conversation(app: App, workspace_id: UUID, *, conversation_id: str) -> None:
    """A snooze is over: ours again, at the top of the list. One that was put off further is looked at again then."""
    id = UUID(conversation_id)
    async with app.db.transaction(workspace_id) as tx:
        asleep = TABLE.c.workspace_id == workspace_id, TABLE.c.id == id, TABLE.c.status == Status.SNOOZED
        woken = (
            await tx.execute(
                update(TABLE)
                .where(*asleep, TABLE.c.snoozed_until <= func.now())
                .values(status=OPEN, snoozed_until=None, active_at=func.now())
                .returning(TABLE.c.id, TABLE.c.store_id, TABLE.c.customer_id)
            )
        ).one_or_none()
        if woken is not None:
            await _let_go(tx, id)
            await tx.record(
                "conversation.woken",
                subject_id=woken.id,
                store_id=woken.store_id,
                customer_id=woken.customer_id,
                actor="system",
            )
            _tell_status(tx, id, OPEN)
            await clocks.keep(tx, id)
        # The clock that set the alarm may be ahead of the database's.
        left = await tx.scalar(select(func.extract("epoch", TABLE.c.snoozed_until - func.now())).where(*asleep))
        if left is not None and woken is None:
            await tx.enqueue("wake_conversation", delay=float(left), conversation_id=id)
        await tx.complete_job()


async def reopened(tx: Tx, conversation: "Conversation | Head", *, actor: str) -> None:
    """Record and tell that a conversation is open again because somebody wrote."""
    await tx.record(
        "conversation.reopened",
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=actor,
    )
    await _let_go(tx, conversation.id)
    _tell_status(tx, conversation.id, OPEN)


async def look_again(tx: Tx, head: Head) -> None:
    """Something came that is no message of the shopper's: up in the lists, and open where nobody would look."""
    await tx.execute(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == head.id, TABLE.c.status != Status.SPAM)
        .values(status=OPEN, snoozed_until=None, resolved_at=None, active_at=func.clock_timestamp())
    )
    if head.status not in (OPEN, Status.SPAM):
        await reopened(tx, head, actor="system")
        await clocks.keep(tx, head.id)


async def _let_go(tx: Tx, conversation_id: UUID) -> None:
    """Whoever had it may have left meanwhile: then it is everybody's again."""
    left = select(Agent.id).where(
        Agent.workspace_id == tx.workspace_id, Agent.id == TABLE.c.assignee_id, Agent.deactivated_at.is_not(None)
    )
    await tx.execute(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == conversation_id, left.exists())
        .values(assignee_id=None)
    )


async def rank(tx: Tx, conversation: Conversation, priority: Priority, *, by: Agent | ByRule | None) -> bool:
    """Give the conversation a priority. Returns False when it had it already."""
    before = await tx.scalar(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == conversation.id, TABLE.c.priority != priority)
        .values(priority=int(priority))
        .returning(TABLE.c.id)
    )
    if before is None:
        return False
    data = {"from": conversation.priority, "to": int(priority)}
    await _record(tx, "conversation.ranked", conversation, by, data)
    _tell_team(tx, conversation.id, {"type": "assigned"})
    await clocks.keep(tx, conversation.id)
    await tx.session.refresh(conversation)
    return True


async def retitle(tx: Tx, conversation: Conversation, subject: str, *, by: Agent) -> bool:
    """Name what it is about: at most 200 characters, on one line. Returns False when it is called so already.

    Who did it is kept, the words are not: they may name a person, and a trail outlives what was erased.
    """
    named = " ".join(subject.split())[:200]
    if conversation.subject == named:
        return False
    conversation.subject = named
    await tx.flush()
    await _record(tx, "conversation.retitled", conversation, by)
    _tell_team(tx, conversation.id, {"type": "assigned"})
    return True


async def read_by(tx: Tx, conversation_id: UUID, agent: Agent, seq: int) -> bool:
    """One agent has read up to `seq`; never back. The shopper is told of the first who does. Returns whether news."""
    # The conversation first, as whoever writes into it does: the other way round two of us would lock each other out.
    head = await lock(tx, conversation_id)
    if head is None:
        return False
    news = await remember_read(tx, conversation_id, agent, min(seq, head.last_seq))
    if not await mark_read(tx, conversation_id, who="agent", seq=seq) and news:
        # A colleague had read it before: only one's own windows have to know.
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    return news


async def remember_read(tx: Tx, conversation_id: UUID, agent: Agent, seq: int) -> bool:
    """Keep that an agent has read up to `seq`, which is there; tells nobody. Returns whether it was news."""
    fresh = insert(_READS).values(
        workspace_id=tx.workspace_id, agent_id=agent.id, conversation_id=conversation_id, seq=seq
    )
    news = await tx.scalar(
        fresh.on_conflict_do_update(
            index_elements=["workspace_id", "agent_id", "conversation_id"],
            set_={"seq": fresh.excluded.seq},
            where=_READS.c.seq < fresh.excluded.seq,
        ).returning(_READS.c.seq)
    )
    return news is not None


async def mark_read(tx: Tx, conversation_id: UUID, *, who: str, seq: int) -> bool:
    """`who` (`shopper`, or `agent` for any of the team) has read up to `seq`; never back. Returns whether news."""
    column = TABLE.c.shopper_read_seq if who == "shopper" else TABLE.c.agent_read_seq
    read = await tx.scalar(
        update(TABLE)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.id == conversation_id,
            column < func.least(seq, TABLE.c.last_seq),
        )
        .values({column.name: func.least(seq, TABLE.c.last_seq)})
        .returning(column)
    )
    if read is None:
        return False
    tx.publish(f"conversation:{conversation_id}", {"type": "read", "who": who, "seq": read})
    if who == "agent":
        tx.publish("queue", {"conversation_id": str(conversation_id)})
    return True


async def ask_email(tx: Tx, shopper: Shopper, address: str) -> str | None:
    """Where this conversation's replies may follow the shopper. Typed is not proven: it opens nothing else.

    Returns the address as it is kept, or None when it is not one. The conversation is begun when there is none, so
    that somebody who only leaves an address is seen too.
    """
    email = normalise_email(address)
    if email is None:
        return None
    head = await open_for(tx, shopper)
    await tx.execute(
        update(TABLE).where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == head.id).values(reply_email=email)
    )
    _tell_team(tx, head.id, {"type": "customer"})
    return email


def _tell_status(tx: Tx, conversation_id: UUID, status: str) -> None:
    tx.publish(f"conversation:{conversation_id}", {"type": "status", "status": status})
    tx.publish("queue", {"conversation_id": str(conversation_id)})


def _tell_team(tx: Tx, conversation_id: UUID, payload: dict[str, Any]) -> None:
    tx.publish(f"panel:conversation:{conversation_id}", payload)
    tx.publish("queue", {"conversation_id": str(conversation_id)})


async def _record(
    tx: Tx,
    kind: str,
    conversation: "Conversation | Head",
    by: Agent | ByRule | None,
    data: dict[str, Any] | None = None,
) -> None:
    await tx.record(
        kind,
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=_actor(by),
        data=data,
    )


def _actor(by: Agent | ByRule | None) -> str:
    return by.actor if by else "system"
