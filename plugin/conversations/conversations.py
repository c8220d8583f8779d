"""Conversations: one thread with one customer, over whatever channel: begin, assign, turn, rank, read."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, Row, SmallInteger, Table, func, or_, select, text, update
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
    promise was broken first (`clocks.py`); `unattended_at` is when an alert said that nobody takes it.
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
)

Head = Row[tuple[UUID, UUID | None, UUID | None, UUID | None, str, UUID | None, int, int, int, int]]
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


async def current(tx: Tx, shopper: Shopper) -> Head | None:
    """The conversation that this shopper's widget shows: the open one, else the latest, on this store; or None."""
    result = await tx.execute(
        select(*_HEAD)
        .where(
            TABLE.c.workspace_id == tx.workspace_id,
            TABLE.c.store_id == shopper.store_id,
            TABLE.c.channel == WIDGET,
            _theirs(shopper),
        )
        .order_by((TABLE.c.status != RESOLVED).desc(), TABLE.c.last_message_at.desc(), TABLE.c.id.desc())
        .limit(1)
    )
    return cast("Head | None", result.one_or_none())


async def shown(tx: Tx, shopper: Shopper) -> Head | None:
    """The conversation that the shopper's session is bound to, while it is theirs; else the current one."""
    if shopper.conversation_id is not None:
        result = await tx.execute(
            select(*_HEAD).where(
                TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == shopper.conversation_id, _theirs(shopper)
            )
        )
        if (bound := result.one_or_none()) is not None:
            return cast(Head, bound)
    return await current(tx, shopper)


def _theirs(shopper: Shopper) -> Any:
    if shopper.customer_id is None:
        return TABLE.c.visitor_id == shopper.visitor_id
    return or_(TABLE.c.visitor_id == shopper.visitor_id, TABLE.c.customer_id == shopper.customer_id)


async def open_for(tx: Tx, shopper: Shopper) -> Head:
    """The shopper's conversation, locked; begun when there is none. Two tabs that begin at once begin one."""
    if shopper.conversation_id is not None:
        head = await lock(tx, shopper.conversation_id)
        if head is not None and shopper.owns(head.visitor_id, head.customer_id):
            return head
    owner = shopper.customer_id or shopper.visitor_id
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"conversation {owner}", 0))))
    found = await current(tx, shopper)
    conversation_id = found.id if found is not None else await _begin(tx, shopper)
    head = await lock(tx, conversation_id)
    assert head is not None
    return head


async def _begin(tx: Tx, shopper: Shopper) -> UUID:
    conversation = Conversation(
        id=new_id(),
        store_id=shopper.store_id,
        customer_id=shopper.customer_id,
        visitor_id=shopper.visitor_id,
        channel=WIDGET,
        locale=shopper.locale,
    )
    tx.add(conversation)
    await tx.flush()
    await tx.record(
        "conversation.started",
        subject_id=conversation.id,
        store_id=shopper.store_id,
        customer_id=shopper.customer_id,
        actor=shopper.actor,
        data={"channel": WIDGET},
    )
    tx.publish(f"visitor:{shopper.visitor_id}", {"type": "conversation", "id": str(conversation.id)})
    return conversation.id


async def begin_by_mail(tx: Tx, store_id: UUID, sender: str, subject: str) -> UUID:
    """A mail begins a conversation with an address, not with a person: the address is only what the mail says."""
    conversation = Conversation(
        id=new_id(), store_id=store_id, channel=EMAIL, subject=" ".join(subject.split())[:200], reply_email=sender
    )
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


async def assign(tx: Tx, conversation: Conversation, to: Agent | None, *, by: Agent, seen: UUID | None) -> None:
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


async def assigned(tx: Tx, conversation: "Conversation | Head", to: UUID | None, *, by: Agent | None) -> None:
    """Record and tell that the conversation has a new assignee; without `by` a rule decided."""
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
    by: Agent | None,
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


async def rank(tx: Tx, conversation: Conversation, priority: Priority, *, by: Agent | None) -> bool:
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


async def retitle(tx: Tx, conversation: Conversation, subject: str) -> None:
    """Name what it is about: at most 200 characters, on one line."""
    conversation.subject = " ".join(subject.split())[:200]
    await tx.flush()
    _tell_team(tx, conversation.id, {"type": "assigned"})


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
    tx: Tx, kind: str, conversation: "Conversation | Head", by: Agent | None, data: dict[str, Any] | None = None
) -> None:
    await tx.record(
        kind,
        subject_id=conversation.id,
        store_id=conversation.store_id,
        customer_id=conversation.customer_id,
        actor=_actor(by),
        data=data,
    )


def _actor(by: Agent | None) -> str:
    return f"agent:{by.id}" if by else "system"
