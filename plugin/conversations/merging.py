"""Several conversations become one thread, or the end of one a thread of its own; both can be taken back.

What was joined or parted is kept in `conversation_joins`. A conversation that was merged keeps its row, tags, fields
and clocks, and shows nothing: whoever knows it is led to where its messages stand (`Conversation.merged_into`).
Who may be put together, and who is asked first: docs/decisions/merging.md.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Index, Table, and_, bindparam, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations import clocks, weaving
from plugin.conversations.conversations import EMAIL, MERGED, TABLE, Conversation, Status
from plugin.conversations.fields import FieldValue
from plugin.conversations.messages import AGENT, SHOPPER, Message, preview_of
from plugin.conversations.ratings import Rating
from plugin.conversations.tags import ConversationTag
from plugin.conversations.weaving import Line
from plugin.crm.customers import Customer
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.team import Agent

AT_ONCE = 20
"""Conversations that are put together in one go, at most."""

MERGE, SPLIT = "merge", "split"

_RECENT = timedelta(hours=1)
"""An answer that was not read and not mailed for longer waits for nothing any more."""

_SOON_SECONDS = 20

# What a merge changes in the one that goes on, and in the one that is led to it.
_HERE = (
    "status", "snoozed_until", "priority", "assignee_id", "subject", "customer_id", "reply_email", "locale",
    "preview", "preview_author", "last_message_at", "active_at", "waiting_since", "first_replied_at", "resolved_at",
    "emailed_seq", "shopper_read_seq", "agent_read_seq",
)  # fmt: skip
_THERE = (
    "status", "snoozed_until", "waiting_since", "due_at", "warn_at", "look_at", "last_seq", "last_position",
    "emailed_seq", "shopper_read_seq", "agent_read_seq",
)  # fmt: skip
# What a message changes by itself: once somebody wrote more, it stays as it is.
_BY_MESSAGES = frozenset({
    "status", "snoozed_until", "preview", "preview_author", "last_message_at", "active_at", "waiting_since",
    "first_replied_at", "resolved_at",
})  # fmt: skip
_MARKS = ("emailed_seq", "shopper_read_seq", "agent_read_seq")


class ConversationJoin(TenantRow, Base):
    """That `other_id` was merged into `conversation_id`, or split off from it (`kind`), and what undoing it needs.

    `messages` and `letters` are those that changed places; `before` and `after` what a merge changed; tags, fields and
    the rating in `brought` came along. The other may be gone with whom it was with: then nothing is undone.
    """

    __tablename__ = "conversation_joins"
    __table_args__ = (
        Index(None, "workspace_id", "conversation_id"),
        Index(None, "workspace_id", "other_id"),
        tenant_key("conversation_id", "conversations"),
    )

    store_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID]
    other_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    kind: Mapped[str]
    messages: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    letters: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    before: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    after: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    brought: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    undone_at: Mapped[datetime | None]


class Fit(StrEnum):
    """Whether two conversations may be one. same: one person · unsure: one of them is nobody we know; whoever has the
    other's chat open would read both · other: two people · elsewhere: two stores."""

    SAME = "same"
    UNSURE = "unsure"
    OTHER = "other"
    ELSEWHERE = "elsewhere"


def fit(one: Conversation, other: Conversation, heads: Mapping[UUID, UUID]) -> Fit:
    """Whether they may be one; `heads` says which customers are one person. Pure."""
    if one.store_id != other.store_id:
        return Fit.ELSEWHERE
    if one.customer_id is not None and other.customer_id is not None:
        same = heads.get(one.customer_id, one.customer_id) == heads.get(other.customer_id, other.customer_id)
        return Fit.SAME if same else Fit.OTHER
    if one.customer_id is None and other.customer_id is None:
        if one.visitor_id is not None and one.visitor_id == other.visitor_id:
            return Fit.SAME
        # Answers to a letter go to its sender alone: nobody else comes to read them.
        by_mail = one.channel == other.channel == EMAIL
        if by_mail and one.reply_email and one.reply_email == other.reply_email:
            return Fit.SAME
    return Fit.UNSURE


async def heads_of(tx: Tx, talks: Sequence[Conversation]) -> dict[UUID, UUID]:
    """Which person each of their customers is part of."""
    ids = {talk.customer_id for talk in talks if talk.customer_id is not None}
    if not ids:
        return {}
    rows = await tx.execute(
        select(Customer.id, func.coalesce(Customer.merged_into, Customer.id).label("head")).where(
            Customer.workspace_id == tx.workspace_id, Customer.id.in_(ids)
        )
    )
    return {row.id: row.head for row in rows}


async def surviving(tx: Tx, conversation_id: UUID) -> UUID | None:
    """Where the messages of a conversation that was merged stand; None when it was not, or is not there."""
    found: UUID | None = await tx.scalar(
        select(TABLE.c.merged_into).where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.id == conversation_id)
    )
    return found


async def twins(tx: Tx, talk: Conversation, *, limit: int = 10) -> list[Conversation]:
    """Other unfinished conversations of the same person with the same store, the latest first."""
    same: list[Any] = []
    if talk.customer_id is not None:
        head = select(func.coalesce(Customer.merged_into, Customer.id)).where(
            Customer.workspace_id == tx.workspace_id, Customer.id == talk.customer_id
        )
        family = select(Customer.id).where(
            Customer.workspace_id == tx.workspace_id,
            or_(Customer.id == head.scalar_subquery(), Customer.merged_into == head.scalar_subquery()),
        )
        same.append(Conversation.customer_id.in_(family))
    else:
        if talk.visitor_id is not None:
            same.append(and_(Conversation.visitor_id == talk.visitor_id, Conversation.customer_id.is_(None)))
        if talk.channel == EMAIL and talk.reply_email:
            same.append(
                and_(
                    Conversation.channel == EMAIL,
                    Conversation.reply_email == talk.reply_email,
                    Conversation.customer_id.is_(None),
                )
            )
    if not same:
        return []
    rows = await tx.scalars(
        select(Conversation)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.store_id.is_not_distinct_from(talk.store_id),
            Conversation.id != talk.id,
            Conversation.merged_into.is_(None),
            Conversation.status.in_([Status.OPEN, Status.PENDING, Status.SNOOZED]),
            or_(*same),
        )
        .order_by(Conversation.last_message_at.desc(), Conversation.id)
        .limit(limit)
    )
    return list(rows)


async def merge(tx: Tx, into: UUID, others: Sequence[UUID], *, by: Agent, sure: bool = False) -> list[ConversationJoin]:
    """Put conversations into one. Returns what was joined, in order; conversations that are not there are passed over.

    `sure`: the agent was told what it means where one of them is nobody we know. Raises AhlanError where they may not
    be one, Conflict for one that was merged meanwhile, NotFound.
    """
    ids = [id for id in dict.fromkeys(others) if id != into]
    if len(ids) > AT_ONCE:
        raise AhlanError(_("At most 20 conversations can be put together at once."), code="too_many")
    held = await _hold(tx, [into, *ids])
    survivor = held.get(into)
    found = [held[id] for id in ids if id in held]
    if survivor is None or not found:
        raise NotFound(_("This conversation is no longer there."))
    heads = await heads_of(tx, [survivor, *found])
    for other in found:
        _check(survivor, other, heads, sure=sure)
    return [await _merge(tx, survivor, other, by) for other in found]


def _check(survivor: Conversation, other: Conversation, heads: Mapping[UUID, UUID], *, sure: bool) -> None:
    if survivor.merged_into is not None or other.merged_into is not None:
        raise Conflict(
            _("One of these was put into another conversation meanwhile."), _("Look at it again, then decide."),
            code="merged_meanwhile",
        )  # fmt: skip
    match fit(survivor, other, heads):
        case Fit.ELSEWHERE:
            raise AhlanError(_("Conversations of two stores stay two."), code="merge_stores")
        case Fit.OTHER:
            raise AhlanError(
                _("These are two customers, and each would read what the other wrote."),
                _("If they are one person, join the two profiles on the customer's page first."),
                code="merge_people",
            )
        case Fit.UNSURE if not sure:
            raise AhlanError(
                _("Nobody has confirmed that these are the same person."),
                _("Open one of them and merge there: it says who would read what."),
                code="merge_unsure",
            )


async def _hold(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    # One at a time in a workspace: who writes meanwhile waits for one conversation, and nobody waits in a ring.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"joining {tx.workspace_id}", 0))))
    rows = await tx.scalars(
        select(Conversation)
        .where(Conversation.workspace_id == tx.workspace_id, Conversation.id.in_(ids))
        .order_by(Conversation.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


async def _merge(tx: Tx, survivor: Conversation, other: Conversation, by: Agent) -> ConversationJoin:
    here, there = survivor.id, other.id
    before = await weaving.lines(tx, (here, there))
    after = weaving.numbered(weaving.woven(before), here)
    join = ConversationJoin(
        id=new_id(),
        store_id=survivor.store_id,
        conversation_id=here,
        other_id=there,
        agent_id=by.id,
        kind=MERGE,
        messages=[str(line.id) for line in before if line.thread == there],
        letters=[str(id) for id in await weaving.letters_of(tx, there)],
    )
    values = _united(survivor, other, before, after, await weaving.moment(tx))
    reads = await weaving.reads_of(tx, (here, there))
    join.before = {
        "here": _kept(survivor, _HERE),
        "there": _kept(other, _THERE),
        "reads": {str(agent): marks[here] for agent, marks in reads.items() if here in marks},
    }
    own = sum(1 for line in before if line.thread == here)
    join.after = {"here": _plain({name: values[name] for name in _HERE}), "own": own}
    join.brought = await _bring(tx, here, there)
    await _left_already(tx, (survivor, other), before, after, values["emailed_seq"])
    await _absorb(tx, here, there, before, after, values, [UUID(id) for id in join.letters])
    tx.add(join)
    await tx.flush()
    await tx.session.refresh(survivor)
    await tx.session.refresh(other)
    if survivor.channel == EMAIL or survivor.reply_email or survivor.customer_id is not None:
        # An answer that still had to follow by mail follows from here.
        await tx.enqueue("send_replies", delay=_SOON_SECONDS, unique=f"replies:{here}", conversation_id=here)
    await clocks.keep(tx, here)
    await _record(tx, "conversation.merged", survivor, by, {"from": str(there), "join": str(join.id)})
    _tell_moved(tx, there, here)
    _tell_renumbered(tx, here)
    return join


async def _absorb(
    tx: Tx,
    here: UUID,
    there: UUID,
    before: Sequence[Line],
    after: Sequence[Line],
    values: Mapping[str, Any],
    letters: Sequence[UUID],
) -> None:
    """All messages of `there` stand in `here` from now on, and whoever knows it is led here."""
    reads = await weaving.reads_of(tx, (here, there))
    await weaving.place(tx, before, after)
    await weaving.send_letters(tx, letters, here)
    await weaving.set_reads(
        tx, here, {agent: weaving.read_up_to(before, after, marks) for agent, marks in reads.items()}
    )
    await weaving.set_values(tx, here, {**values, **_length(after)})
    await weaving.set_values(
        tx, there,
        {"status": MERGED, "merged_into": here, "snoozed_until": None, "waiting_since": None, "due_at": None,
         "warn_at": None, "look_at": None, **_length(()), **dict.fromkeys(_MARKS, 0)},
    )  # fmt: skip
    # Who knows one that was merged earlier is led in one step.
    await tx.execute(
        update(TABLE)
        .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.merged_into == there)
        .values(merged_into=here)
    )


async def _left_already(
    tx: Tx, both: Sequence[Conversation], before: Sequence[Line], after: Sequence[Line], mailed: int
) -> None:
    """Answers that were mailed or read, and stand behind one that was not, are not mailed again."""
    gone = {talk.id: max(talk.emailed_seq, talk.shopper_read_seq) for talk in both}
    new = {line.id: line.seq or 0 for line in after}
    ids = [
        line.id
        for line in before
        if line.author == AGENT and line.seq and line.seq <= gone[line.thread] and new[line.id] > mailed
    ]
    if ids:
        table = cast(Table, Message.__table__)
        await tx.execute(
            update(table)
            .where(table.c.workspace_id == tx.workspace_id, table.c.id.in_(ids))
            .values(data=table.c.data.op("||")(bindparam("gone", {"gone": True}, type_=JSONB)))
        )


def _length(lines: Sequence[Line]) -> dict[str, int]:
    return {"last_position": len(lines), "last_seq": max((line.seq or 0 for line in lines), default=0)}


def _united(
    survivor: Conversation, other: Conversation, before: Sequence[Line], after: Sequence[Line], now: datetime
) -> dict[str, Any]:
    """What the one that goes on is from now on. Pure."""
    both = (survivor, other)
    lead = survivor
    if survivor.status != Status.OPEN and other.status == Status.OPEN:
        lead = other
    latest = max(both, key=lambda talk: (talk.last_seq > 0, talk.last_message_at, talk.id == survivor.id))
    waits = [talk.waiting_since for talk in both if talk.waiting_since is not None]
    replied = [talk.first_replied_at for talk in both if talk.first_replied_at is not None]
    marks = {name: {talk.id: getattr(talk, name) for talk in both} for name in _MARKS}
    # Mailed or read, and what nobody waits for any more: the rest still goes out, once.
    gone = {talk.id: max(talk.emailed_seq, talk.shopper_read_seq) for talk in both}
    left = [line for line in before if line.seq is not None and line.author == AGENT and line.at > now - _RECENT]
    new = {line.id: line.seq for line in after}
    waiting = [new[line.id] or 0 for line in left if (line.seq or 0) > gone[line.thread]]
    last = max((line.seq or 0 for line in after), default=0)
    return {
        "status": lead.status,
        "snoozed_until": lead.snoozed_until,
        "resolved_at": lead.resolved_at,
        "priority": max(talk.priority for talk in both),
        "assignee_id": survivor.assignee_id or other.assignee_id,
        "subject": survivor.subject or other.subject,
        "customer_id": survivor.customer_id or other.customer_id,
        "reply_email": survivor.reply_email or other.reply_email,
        "locale": survivor.locale or other.locale,
        "preview": latest.preview,
        "preview_author": latest.preview_author,
        "last_message_at": max(talk.last_message_at for talk in both),
        "active_at": max(talk.active_at for talk in both),
        "waiting_since": min(waits) if waits and lead.status in (Status.OPEN, Status.SNOOZED) else None,
        "first_replied_at": min(replied) if replied else None,
        "emailed_seq": min(waiting) - 1 if waiting else last,
        "shopper_read_seq": weaving.read_up_to(before, after, marks["shopper_read_seq"]),
        "agent_read_seq": weaving.read_up_to(before, after, marks["agent_read_seq"]),
    }


def _kept(talk: Conversation, names: Sequence[str]) -> dict[str, Any]:
    return _plain({name: getattr(talk, name) for name in names})


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON keeps it."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith(("_at", "_since", "_until")):
        return datetime.fromisoformat(value)
    return UUID(value) if name.endswith("_id") else value


async def _bring(tx: Tx, here: UUID, there: UUID) -> dict[str, Any]:
    """Tags, fields and the rating of the other, where there are none. Returns what came."""
    tags, values = cast(Table, ConversationTag.__table__), cast(Table, FieldValue.__table__)
    brought: dict[str, Any] = {}
    for name, table in (("tags", tags), ("fields", values)):
        columns = [column.name for column in table.c]
        copied = select(
            *(literal(here) if column == "conversation_id" else table.c[column] for column in columns)
        ).where(table.c.workspace_id == tx.workspace_id, table.c.conversation_id == there)
        found = await tx.scalars(
            insert(table).from_select(columns, copied).on_conflict_do_nothing().returning(table.c.key)
        )
        brought[name] = list(found)
    ratings = cast(Table, Rating.__table__)
    rated = select(ratings.c.id).where(ratings.c.workspace_id == tx.workspace_id, ratings.c.conversation_id == here)
    if await tx.scalar(rated) is None:
        found = await tx.scalars(
            update(ratings)
            .where(ratings.c.workspace_id == tx.workspace_id, ratings.c.conversation_id == there)
            .values(conversation_id=here)
            .returning(ratings.c.id)
        )
        brought["ratings"] = [str(id) for id in found]
    return brought


async def _take_away(tx: Tx, join: ConversationJoin) -> None:
    """What a merge brought goes again, as far as it is still there."""
    here = join.conversation_id
    for name, model in (("tags", ConversationTag), ("fields", FieldValue)):
        table = cast(Table, model.__table__)
        await tx.execute(
            delete(table).where(
                table.c.workspace_id == tx.workspace_id,
                table.c.conversation_id == here,
                table.c.key.in_(join.brought.get(name, [])),
            )
        )
    ratings = cast(Table, Rating.__table__)
    ids = [UUID(id) for id in join.brought.get("ratings", [])]
    await tx.execute(
        update(ratings)
        .where(ratings.c.workspace_id == tx.workspace_id, ratings.c.id.in_(ids), ratings.c.conversation_id == here)
        .values(conversation_id=join.other_id)
    )


async def undo(tx: Tx, join_id: UUID, *, by: Agent) -> Conversation:
    """Take a merge apart, or put together again what was split. Returns the conversation that it happened to.

    What was written since a merge stays where it was written; what was written in a part that was split off comes back
    with it. Raises NotFound, and Conflict where a later merge has to be undone first.
    """
    known = await tx.get(ConversationJoin, join_id)
    if known is None:
        raise NotFound(_("This can no longer be undone."), _("Nothing was changed."))
    held = await _hold(tx, [known.conversation_id, known.other_id])
    join = await tx.get(ConversationJoin, join_id, lock=True)
    survivor, other = held.get(known.conversation_id), held.get(known.other_id)
    if join is None or join.undone_at is not None or survivor is None or other is None:
        raise NotFound(_("This can no longer be undone."), _("Nothing was changed."))
    if survivor.merged_into is not None or (join.kind == SPLIT and other.merged_into is not None):
        raise Conflict(
            _("This was put into another conversation since."), _("Take that apart first."), code="merged_since"
        )
    join.undone_at = datetime.now(UTC)
    if join.kind == SPLIT:
        await _rejoin(tx, join, survivor, other, by)
    else:
        await _take_apart(tx, join, survivor, other, by)
    return survivor


async def _take_apart(tx: Tx, join: ConversationJoin, survivor: Conversation, other: Conversation, by: Agent) -> None:
    here, there = survivor.id, other.id
    before = await weaving.lines(tx, (here,))
    theirs = {UUID(id) for id in join.messages}
    stay = weaving.numbered([line for line in before if line.id not in theirs], here)
    go = weaving.numbered([line for line in before if line.id in theirs], there)
    reads = await weaving.reads_of(tx, (here, there))
    await weaving.place(tx, before, [*stay, *go])
    await weaving.send_letters(tx, [UUID(id) for id in join.letters], there)
    await _take_away(tx, join)
    was, made, had = join.before["here"], join.after["here"], join.before["there"]
    now = _kept(survivor, _HERE)
    # Something came since: what a message says about the whole stays as it is.
    news = max((line.position for line in stay), default=0) > join.after["own"]
    back = {
        name: _read(name, was[name])
        for name in _HERE
        if name not in _MARKS and now[name] == made[name] and not (news and name in _BY_MESSAGES)
    }
    back |= {name: _mark(name, was, made, survivor, before, stay) for name in _MARKS}
    await weaving.set_values(tx, here, {**back, **_length(stay)})
    restored = {name: _read(name, had[name]) for name in _THERE}
    restored |= {name: _mark(name, had, made, survivor, before, go) for name in _MARKS}
    restored |= _length(go)
    if restored["snoozed_until"] is not None and restored["snoozed_until"] <= datetime.now(UTC):
        restored |= {"status": Status.OPEN, "snoozed_until": None}
    await weaving.set_values(tx, there, {**restored, "merged_into": None})
    await tx.execute(_LED_BACK, {"workspace": tx.workspace_id, "there": there, "here": here})
    own = {UUID(agent): mark for agent, mark in join.before["reads"].items()}
    for thread, lines, first in ((here, stay, own), (there, go, {a: m[there] for a, m in reads.items() if there in m})):
        marks = {
            agent: min(
                max(first.get(agent, 0), weaving.own_mark(before, lines, read[here]) if here in read else 0),
                _length(lines)["last_seq"],
            )
            for agent, read in reads.items()
        }
        await weaving.set_reads(tx, thread, {agent: mark for agent, mark in marks.items() if mark or agent in first})
    await tx.session.refresh(survivor)
    await tx.session.refresh(other)
    await clocks.keep(tx, here)
    await clocks.keep(tx, there)
    await _record(tx, "conversation.unmerged", survivor, by, {"other": str(there), "join": str(join.id)})
    await _record(tx, "conversation.unmerged", other, by, {"other": str(here)})
    for id in (here, there):
        _tell_renumbered(tx, id)


def _mark(
    name: str,
    was: Mapping[str, Any],
    made: Mapping[str, Any],
    survivor: Conversation,
    before: Sequence[Line],
    own: Sequence[Line],
) -> int:
    """A mark as it was; further where somebody read or mailed more meanwhile, and never behind what is left of it: a
    part may have been split off since.
    """
    now: int = getattr(survivor, name)
    mark = int(was[name]) if now == made[name] else max(int(was[name]), weaving.own_mark(before, own, now))
    return min(mark, _length(own)["last_seq"])


# Those that were merged into the one that is itself again, and what was merged into them.
_LED_BACK = text("""
WITH RECURSIVE led AS (
    SELECT j.other_id FROM conversation_joins j WHERE j.workspace_id = :workspace AND j.conversation_id = :there
        AND j.undone_at IS NULL AND j.kind = 'merge'
    UNION
    SELECT j.other_id FROM conversation_joins j JOIN led ON led.other_id = j.conversation_id
    WHERE j.workspace_id = :workspace AND j.undone_at IS NULL AND j.kind = 'merge'
)
UPDATE conversations SET merged_into = :there
WHERE workspace_id = :workspace AND merged_into = :here AND id IN (SELECT other_id FROM led)
""")


async def split(tx: Tx, conversation_id: UUID, position: int, *, by: Agent, subject: str = "") -> ConversationJoin:
    """The messages from `position` on become a conversation of their own, and each of the two names the other.

    Raises NotFound, and AhlanError where nothing would be left on one side, or nothing that the shopper said or saw.
    """
    talk = (await _hold(tx, [conversation_id])).get(conversation_id)
    if talk is None or talk.merged_into is not None:
        raise NotFound(_("This conversation is no longer there."))
    before = await weaving.lines(tx, (talk.id,))
    head = [line for line in before if line.position < position]
    tail = [line for line in before if line.position >= position]
    if not any(line.seq for line in head) or not any(line.seq for line in tail):
        raise AhlanError(_("Both parts need a message."), _("Choose another message to split at."), code="split_empty")
    reads = await weaving.reads_of(tx, (talk.id,))
    part = Conversation(
        id=new_id(), store_id=talk.store_id, customer_id=talk.customer_id, visitor_id=talk.visitor_id,
        channel=talk.channel, status=talk.status, priority=talk.priority, snoozed_until=talk.snoozed_until,
        assignee_id=talk.assignee_id, subject=" ".join(subject.split())[:200] or talk.subject, locale=talk.locale,
        reply_email=talk.reply_email, created_at=tail[0].at, resolved_at=talk.resolved_at,
    )  # fmt: skip
    tx.add(part)
    await tx.flush()
    stay, go = weaving.numbered(head, talk.id), weaving.numbered(tail, part.id)
    join = ConversationJoin(
        id=new_id(), store_id=talk.store_id, conversation_id=talk.id, other_id=part.id, agent_id=by.id, kind=SPLIT,
        messages=[str(line.id) for line in tail],
    )  # fmt: skip
    letters = await weaving.letters_about(tx, [line.id for line in tail])
    join.letters = [str(id) for id in letters]
    here, there = await _of_part(tx, talk, before, stay), await _of_part(tx, talk, before, go)
    join.before = {"here": _kept(talk, _HERE), "reads": {str(agent): marks[talk.id] for agent, marks in reads.items()}}
    join.after = {"here": {**join.before["here"], **_plain(here)}, "own": len(before)}
    await weaving.place(tx, before, [*stay, *go])
    await weaving.send_letters(tx, letters, part.id)
    for id, lines, values in ((talk.id, stay, here), (part.id, go, there)):
        await weaving.set_values(tx, id, {**values, **_length(lines)})
        marks = {agent: weaving.own_mark(before, lines, read[talk.id]) for agent, read in reads.items()}
        await weaving.set_reads(tx, id, {agent: mark for agent, mark in marks.items() if mark})
    tx.add(join)
    await tx.flush()
    for one in (talk, part):
        await tx.session.refresh(one)
        await clocks.keep(tx, one.id)
    await _record(tx, "conversation.split", talk, by, {"other": str(part.id), "join": str(join.id), "part": False})
    await _record(tx, "conversation.split", part, by, {"other": str(talk.id), "join": str(join.id), "part": True})
    _tell_renumbered(tx, talk.id)
    tx.publish("queue", {"conversation_id": str(part.id)})
    return join


async def _of_part(tx: Tx, talk: Conversation, before: Sequence[Line], lines: Sequence[Line]) -> dict[str, Any]:
    """What a part of a conversation says of itself."""
    last = await tx.get(Message, next(line.id for line in reversed(lines) if line.seq is not None))
    assert last is not None
    waiting: datetime | None = None
    replied: datetime | None = None
    for line in lines:
        if line.seq is None:
            continue
        if line.author == SHOPPER:
            waiting = waiting or line.at
        elif line.author == AGENT:
            waiting, replied = None, replied or line.at
    return {
        "preview": preview_of(last.text, last.data),
        "preview_author": last.author,
        "last_message_at": last.created_at,
        "active_at": last.created_at,
        "waiting_since": waiting if talk.status in (Status.OPEN, Status.SNOOZED) else None,
        "first_replied_at": replied,
        **{name: weaving.own_mark(before, lines, getattr(talk, name)) for name in _MARKS},
    }


async def _rejoin(tx: Tx, join: ConversationJoin, talk: Conversation, part: Conversation, by: Agent) -> None:
    """A part that was split off comes back, with what was written in it since."""
    before = await weaving.lines(tx, (talk.id, part.id))
    after = weaving.numbered(weaving.woven(before), talk.id)
    was, made = join.before["here"], join.after["here"]
    values = _united(talk, part, before, after, await weaving.moment(tx))
    if len(before) == join.after["own"]:
        now = _kept(talk, _HERE)
        values |= {name: _read(name, was[name]) for name in _HERE if now[name] == made[name]}
    await _bring(tx, talk.id, part.id)
    await _left_already(tx, (talk, part), before, after, values["emailed_seq"])
    reads = {UUID(agent): mark for agent, mark in join.before["reads"].items()}
    await _absorb(tx, talk.id, part.id, before, after, values, await weaving.letters_of(tx, part.id))
    now_read = {agent: marks.get(talk.id, 0) for agent, marks in (await weaving.reads_of(tx, (talk.id,))).items()}
    for agent, mark in reads.items():
        now_read[agent] = max(mark, now_read.get(agent, 0))
    await weaving.set_reads(tx, talk.id, now_read)
    await tx.session.refresh(talk)
    await tx.session.refresh(part)
    await clocks.keep(tx, talk.id)
    await _record(tx, "conversation.unsplit", talk, by, {"other": str(part.id), "join": str(join.id)})
    _tell_moved(tx, part.id, talk.id)
    _tell_renumbered(tx, talk.id)


async def _record(tx: Tx, kind: str, talk: Conversation, by: Agent, data: Mapping[str, Any]) -> None:
    await tx.record(
        kind, subject_id=talk.id, store_id=talk.store_id, customer_id=talk.customer_id, actor=by.actor, data=data
    )


def _tell_moved(tx: Tx, there: UUID, here: UUID) -> None:
    """Whoever has the one open, shopper or colleague, goes where its messages are."""
    tx.publish(f"conversation:{there}", {"type": "moved"})
    tx.publish(f"panel:conversation:{there}", {"type": "moved", "into": str(here)})
    tx.publish("queue", {"conversation_id": str(there)})


def _tell_renumbered(tx: Tx, id: UUID) -> None:
    tx.publish(f"conversation:{id}", {"type": "renumbered"})
    tx.publish("queue", {"conversation_id": str(id)})
