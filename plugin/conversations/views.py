"""The team's lists of conversations: filters as SQL, page by page at any depth, how many are in each, saved ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Index,
    Uuid,
    and_,
    any_,
    case,
    delete,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy import cast as cast_as
from sqlalchemy.orm import Mapped, aliased, mapped_column

from plugin.conversations import fields, filters, search, ties
from plugin.conversations.conversations import Conversation, ConversationRead, Priority, Status
from plugin.conversations.filters import WEEKDAYS, Filter, Key, Term, Value
from plugin.conversations.mentions import Mention
from plugin.conversations.ratings import Rating
from plugin.conversations.tags import ConversationTag, folded
from plugin.conversations.teams import Rules, Team, all_teams, ranked
from plugin.crm.customers import Customer
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.stores import Store
from plugin.team import Agent, Permission

PAGE = 50
COUNT_LIMIT = 999
MOST_SAVED = 30
_BACK = 2000

_person = aliased(Customer)
# CASE, not coalesce(): PostgreSQL takes that for something that may leak, and under row-level security then reads every
# customer for each page (contain_leaked_vars in its clauses.c).
_HEAD = case((Customer.merged_into.is_(None), Customer.id), else_=Customer.merged_into)

language: Any = func.lower(func.split_part(func.replace(Conversation.locale, "_", "-"), "-", 1))
"""The language of a conversation: `ar` of `ar-SA`."""


class Sort(StrEnum):
    """newest: the latest activity first · oldest: the longest inactive first · waiting: who waits longest first ·
    due: whose clock runs out first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    WAITING = "waiting"
    DUE = "due"


@dataclass(frozen=True, slots=True)
class View:
    """A list in the panel's first pane. `key` names it in addresses: a built-in name, or the id of a saved one."""

    key: str
    filter: Filter
    sort: Sort = Sort.NEWEST
    name: str = ""
    shared: bool = False
    mine: bool = False


BUILT_IN: Mapping[str, View] = {
    key: View(key, filters.parse(asked), sort)
    for key, asked, sort in (
        ("open", "status:open", Sort.NEWEST),
        ("mine", "status:open assignee:me", Sort.NEWEST),
        ("unassigned", "status:open assignee:none", Sort.OLDEST),
        ("waiting", "status:open waiting:>0m", Sort.WAITING),
        ("breaching", "status:open due:<30m", Sort.DUE),
        ("mentions", "mentions:me", Sort.NEWEST),
        ("pending", "status:pending", Sort.NEWEST),
        ("snoozed", "status:snoozed", Sort.NEWEST),
        ("resolved", "status:resolved", Sort.NEWEST),
        ("spam", "status:spam", Sort.NEWEST),
    )
}
DEFAULT = BUILT_IN["open"]
# Everything that ever called somebody stays in their list; the number beside it is of what they have not seen.
UNREAD_MENTIONS = View("mentions", filters.parse("mentions:unread"))

# Orders by a moment that not every conversation has; those without it are not in the list.
_BY: Mapping[Sort, Any] = {Sort.WAITING: Conversation.waiting_since, Sort.DUE: Conversation.due_at}


class SavedView(TenantRow, Base):
    """A filter that somebody gave a name; with `agent_id` only theirs, without it the whole team's."""

    __tablename__ = "saved_views"
    __table_args__ = (
        Index(None, "workspace_id", "agent_id"),
        tenant_key("agent_id", "agents"),
        tenant_key("created_by", "agents"),
        {"info": nobody("how a team sorts its conversations")},
    )

    agent_id: Mapped[UUID | None]
    created_by: Mapped[UUID]
    name: Mapped[str]
    filter: Mapped[str]
    sort: Mapped[str] = mapped_column(server_default=Sort.NEWEST)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: `me` and `unread` are theirs, and days begin at midnight where they are."""

    agent_id: UUID
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Listed:
    """One row: the conversation and who it is with. `typed_name` and `typed_email` are unverified.

    `mentioned`: a note calls the reader, who has not seen it.
    """

    conversation: Conversation
    customer_name: str
    customer_email: str
    typed_name: str
    typed_email: str
    assignee_name: str
    read_seq: int
    mentioned: bool

    @property
    def unread(self) -> int:
        """How many messages the reader has not seen."""
        return max(0, self.conversation.last_seq - self.read_seq)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order asked for; `cursor` continues after the last one, None at the end.

    `cut`: the words that were asked for are so common that only the latest conversations with them were looked at.
    """

    rows: list[Listed]
    cursor: str | None
    cut: bool = False


async def queue(
    tx: Tx, asked: Filter, reader: Reader, *, sort: Sort = Sort.NEWEST, cursor: str | None = None, limit: int = PAGE
) -> Page:
    """A page of the conversations that `asked` lets through. A cursor that is none begins at the top."""
    moment = _BY.get(sort, Conversation.active_at)
    descending = sort is Sort.NEWEST
    said = await _said(tx, asked)
    order = (moment.desc(), Conversation.id.desc()) if descending else (moment, Conversation.id)
    conditions = [Conversation.workspace_id == tx.workspace_id, *await _conditions(tx, asked, reader, said)]
    if sort in _BY:
        conditions.append(moment.is_not(None))
    if (place := _read_cursor(cursor)) is not None:
        here = tuple_(moment, Conversation.id)
        conditions.append(here < tuple_(*place) if descending else here > tuple_(*place))
    if said is not None:
        # The page first: who they are with is looked up for its rows, not for everything that was found.
        chosen = select(Conversation.id).outerjoin(ConversationRead, _read(reader)).where(*conditions)
        conditions = [_among(list(await tx.scalars(chosen.order_by(*order).limit(limit + 1))))]
    statement = (
        select(
            Conversation,
            func.coalesce(_person.name, ""),
            func.coalesce(_person.email, ""),
            func.coalesce(Visitor.typed_name, ""),
            func.coalesce(Visitor.typed_email, ""),
            func.coalesce(Agent.name, ""),
            func.coalesce(ConversationRead.seq, 0),
            _mentions(tx, reader, unread=True),
        )
        .outerjoin(Customer, _same(Customer, Conversation.customer_id))
        .outerjoin(_person, _same(_person, _HEAD))
        .outerjoin(Visitor, _same(Visitor, Conversation.visitor_id))
        .outerjoin(Agent, _same(Agent, Conversation.assignee_id))
        .outerjoin(ConversationRead, _read(reader))
        .where(Conversation.workspace_id == tx.workspace_id, *conditions)
        .order_by(*order)
        .limit(limit + 1)
    )
    found = await tx.execute(statement)
    rows = [Listed(*cast("tuple[Any, ...]", row)) for row in found]
    more = len(rows) > limit
    cursor = _write_cursor(sort, rows[limit - 1].conversation) if more else None
    return Page(rows[:limit], cursor, cut=said is not None and said.more)


async def counts(tx: Tx, views: Collection[View], reader: Reader) -> dict[str, int]:
    """How many conversations each view holds, in one query; counting stops at 999, which reads "many"."""
    some = []
    for view in views:
        said = await _said(tx, view.filter)
        inside = (
            select(Conversation.id)
            .where(Conversation.workspace_id == tx.workspace_id, *await _conditions(tx, view.filter, reader, said))
            .limit(COUNT_LIMIT)
        )
        if view.filter.of(Key.UNREAD):
            inside = inside.outerjoin(ConversationRead, _read(reader))
        some.append(select(literal(view.key).label("key"), func.count().label("held")).select_from(inside.subquery()))
    if not some:
        return {}
    return {row.key: row.held for row in await tx.execute(union_all(*some))}


async def of_customer(tx: Tx, members: Collection[UUID], *, limit: int = 20) -> list[Conversation]:
    """A person's conversations, newest first; `members` are all their customer rows (`identities.family`)."""
    rows = await tx.scalars(
        select(Conversation)
        .where(
            Conversation.workspace_id == tx.workspace_id,
            Conversation.customer_id.in_(members),
            Conversation.merged_into.is_(None),
        )
        .order_by(Conversation.last_message_at.desc())
        .limit(limit)
    )
    return list(rows)


async def saved(tx: Tx, agent: Agent) -> list[View]:
    """The views that this agent sees besides the built-in ones: the team's, then their own, each by name."""
    rows = await tx.scalars(
        select(SavedView)
        .where(
            SavedView.workspace_id == tx.workspace_id,
            or_(SavedView.agent_id.is_(None), SavedView.agent_id == agent.id),
        )
        .order_by(SavedView.agent_id.is_not(None), func.lower(SavedView.name), SavedView.id)
        .limit(2 * MOST_SAVED)
    )
    return [
        View(
            str(row.id),
            filters.parse(row.filter),
            Sort(row.sort),
            row.name,
            shared=row.agent_id is None,
            mine=row.created_by == agent.id,
        )
        for row in rows
    ]


async def save(tx: Tx, agent: Agent, name: str, asked: Filter, sort: Sort, *, shared: bool) -> View:
    """Keep a filter under a name. Raises AhlanError without a name, beyond 30 of the team's or of one's own."""
    name = " ".join(name.split())
    if not name or len(name) > 60:
        raise AhlanError(_("Give the list a name of at most 60 characters."), code="view_name")
    owner = SavedView.agent_id.is_(None) if shared else SavedView.agent_id == agent.id
    have = await tx.scalar(
        select(func.count()).select_from(SavedView).where(SavedView.workspace_id == tx.workspace_id, owner)
    )
    if have >= MOST_SAVED:
        raise AhlanError(_("There are 30 saved lists already."), _("Delete one first."), code="views_full")
    row = SavedView(agent_id=None if shared else agent.id, created_by=agent.id, name=name, filter=str(asked), sort=sort)
    tx.add(row)
    await tx.flush()
    tx.publish("queue", {})
    return View(str(row.id), asked, sort, name, shared=shared, mine=True)


async def forget(tx: Tx, agent: Agent, view_id: UUID) -> None:
    """Delete a saved view: one's own, or the team's one made oneself or as an administrator.

    Raises NotFound for what this agent does not see, Forbidden for a colleague's.
    """
    row = await tx.get(SavedView, view_id)
    if row is None or row.agent_id not in (None, agent.id):
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    if row.created_by != agent.id and not agent.may(Permission.MANAGE_TEAM):
        raise Forbidden(_("Somebody else made this list for the team."), _("Ask them, or an administrator."))
    await tx.execute(delete(SavedView).where(SavedView.workspace_id == tx.workspace_id, SavedView.id == view_id))
    tx.publish("queue", {})


async def conditions(tx: Tx, asked: Filter, reader: Reader) -> list[Any]:
    """The filter as SQL over `Conversation`, for whoever counts what a list shows; `unread` is not among it."""
    return [Conversation.workspace_id == tx.workspace_id, *await _conditions(tx, asked, reader, await _said(tx, asked))]


def begun_at(reader: Reader) -> Any:
    """What the clock on the reader's wall showed when a conversation began."""
    return func.timezone(str(reader.zone), Conversation.created_at)


def overdue(now: datetime) -> Any:
    """An answer target was missed, at some time or just now."""
    return or_(Conversation.breached_at.is_not(None), func.coalesce(Conversation.due_at < now, False))


def by_team(tx: Tx, teams: Sequence[Rules], values: Mapping[UUID, Any], otherwise: Any) -> Any:
    """A value by the team that a conversation belongs to, as `teams.responsible` decides; else `otherwise`."""
    whens = [(_fits(tx, team), values.get(team.id, otherwise)) for team in ranked(teams)]
    return case(*whens, else_=otherwise) if whens else otherwise


def _fits(tx: Tx, team: Rules) -> Any:
    parts: list[Any] = [true()]
    if team.stores:
        parts.append(Conversation.store_id.in_([UUID(store) for store in team.stores]))
    if team.languages:
        parts.append(language.in_(team.languages))
    if team.skills:
        parts.append(
            select(ConversationTag.key)
            .where(
                ConversationTag.workspace_id == tx.workspace_id,
                ConversationTag.conversation_id == Conversation.id,
                ConversationTag.key.in_(team.skills),
            )
            .correlate(Conversation)
            .exists()
        )
    return and_(*parts)


async def _said(tx: Tx, asked: Filter) -> search.Found | None:
    """What the words of a filter find; None when it has none. Further back where conditions leave only some of it."""
    if not asked.words:
        return None
    return await search.conversations(tx, asked.words, most=_BACK if asked.terms else None)


def _among(ids: Collection[UUID]) -> Any:
    # One array, not a thousand parameters.
    return Conversation.id == any_(cast_as(ids, ARRAY(Uuid())))


async def _conditions(tx: Tx, asked: Filter, reader: Reader, said: search.Found | None) -> list[Any]:
    now = datetime.now(UTC)
    teams = await all_teams(tx) if asked.of(Key.TEAM) else []
    conditions = [_condition(tx, term, reader, now, teams) for term in asked.terms]
    conditions.append(Conversation.merged_into.is_(None))
    conditions += [search.unsaid(tx, word) for word in asked.without if search.asks(word)]
    if said is not None:
        conditions.append(_among(said.ids))
    return conditions


def _condition(tx: Tx, term: Term, reader: Reader, now: datetime, teams: Sequence[Team]) -> Any:
    inside = or_(*(_one(tx, term.key, value, reader, now, teams) for value in term.values))
    # A comparison with nothing is neither true nor false; turned round it has to be true.
    return not_(func.coalesce(inside, False)) if term.negated else inside


def _one(tx: Tx, key: Key, value: Value, reader: Reader, now: datetime, teams: Sequence[Team]) -> Any:
    text = value.text
    match key:
        case Key.STATUS:
            return Conversation.status == Status(text)
        case Key.ASSIGNEE:
            return _assignee(tx, text, reader)
        case Key.PRIORITY:
            return _compared(Conversation.priority, value.compare, int(Priority[text.upper()]))
        case Key.TAG:
            return (
                select(ConversationTag.key)
                .where(
                    ConversationTag.workspace_id == tx.workspace_id,
                    ConversationTag.conversation_id == Conversation.id,
                    ConversationTag.key == folded(text),
                )
                .correlate(Conversation)
                .exists()
            )
        case Key.FIELD:
            return fields.condition(tx, fields.asked(text))
        case Key.CHANNEL:
            return Conversation.channel == text.lower()
        case Key.STORE:
            address = text.lower()
            return Conversation.store_id.in_(
                select(Store.id).where(
                    Store.workspace_id == tx.workspace_id,
                    or_(
                        func.lower(Store.name) == address,
                        Store.external_id == address,
                        Store.url.in_([f"https://{address}", f"http://{address}"]),
                    ),
                )
            )
        case Key.LANGUAGE:
            return language == text.lower().partition("-")[0]
        case Key.TOPIC:
            return Conversation.topic == ("" if text == filters.NOBODY else text.lower())
        case Key.UNREAD:
            unread = Conversation.last_seq > func.coalesce(ConversationRead.seq, 0)
            return unread if text == "yes" else not_(unread)
        case Key.MENTIONS:
            return _mentions(tx, reader, unread=text == "unread")
        case Key.WAITING:
            return _moment(Conversation.waiting_since, value, reader, now)
        case Key.DUE:
            # What is left: less than half an hour is due before half an hour from now, and all that is overdue.
            assert value.span is not None
            return _compared(Conversation.due_at, value.compare, now + value.span)
        case Key.BREACHED:
            return overdue(now) if text == "yes" else not_(overdue(now))
        case Key.ANSWERED:
            answered = Conversation.first_replied_at.is_not(None)
            return answered if text == "yes" else not_(answered)
        case Key.TEAM:
            return _team(tx, teams, text)
        case Key.CREATED:
            return _moment(Conversation.created_at, value, reader, now)
        case Key.WEEKDAY:
            return func.extract("isodow", begun_at(reader)) == WEEKDAYS.index(text) + 1
        case Key.HOUR:
            return _compared(func.extract("hour", begun_at(reader)), value.compare, int(text))
        case Key.ACTIVE:
            return _moment(Conversation.active_at, value, reader, now)
        case Key.RATING:
            return (
                select(Rating.id)
                .where(
                    Rating.workspace_id == tx.workspace_id,
                    Rating.conversation_id == Conversation.id,
                    _compared(Rating.score, value.compare, int(text)),
                )
                .exists()
            )
        case Key.ORDER:
            any_order = ties.tied_to(tx, "")
            if text in (filters.SOMEBODY, filters.NOBODY):
                return any_order if text == filters.SOMEBODY else not_(any_order)
            return ties.tied_to(tx, text)


def _mentions(tx: Tx, reader: Reader, *, unread: bool) -> Any:
    calls = select(Mention.position).where(
        Mention.workspace_id == tx.workspace_id,
        Mention.agent_id == reader.agent_id,
        Mention.conversation_id == Conversation.id,
    )
    return (calls.where(Mention.read_at.is_(None)) if unread else calls).exists()


def _assignee(tx: Tx, who: str, reader: Reader) -> Any:
    if who == filters.NOBODY:
        return Conversation.assignee_id.is_(None)
    if who == filters.SOMEBODY:
        return Conversation.assignee_id.is_not(None)
    if who == filters.ME:
        return Conversation.assignee_id == reader.agent_id
    name = who.lower()
    return Conversation.assignee_id.in_(
        select(Agent.id).where(
            Agent.workspace_id == tx.workspace_id, or_(func.lower(Agent.name) == name, Agent.email == name)
        )
    )


def _team(tx: Tx, teams: Sequence[Team], name: str) -> Any:
    rules = [team.rules() for team in teams]
    if name == filters.NOBODY:
        return by_team(tx, rules, {team.id: literal(False) for team in teams}, literal(True))
    wanted = {team.id: literal(True) for team in teams if team.name.lower() == name.lower()}
    return by_team(tx, rules, wanted, literal(False))


def _moment(column: Any, value: Value, reader: Reader, now: datetime) -> Any:
    """A span is an age: more than two days ago lies before the moment two days back. A day is a calendar day."""
    if value.span is not None:
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
        return _compared(column, turned[value.compare], now - value.span)
    assert value.day is not None
    begins = datetime.combine(value.day, time(), reader.zone).astimezone(UTC)
    ends = datetime.combine(value.day + timedelta(days=1), time(), reader.zone).astimezone(UTC)
    return {
        "=": and_(column >= begins, column < ends),
        ">": column >= ends,
        ">=": column >= begins,
        "<": column < begins,
        "<=": column < ends,
    }[value.compare]


def _compared(column: Any, compare: str, value: Any) -> Any:
    return {
        "=": column == value,
        ">": column > value,
        ">=": column >= value,
        "<": column < value,
        "<=": column <= value,
    }[compare]


def _same(table: Any, column: Any) -> Any:
    return and_(table.workspace_id == Conversation.workspace_id, table.id == column)


def _read(reader: Reader) -> Any:
    return and_(
        ConversationRead.workspace_id == Conversation.workspace_id,
        ConversationRead.agent_id == reader.agent_id,
        ConversationRead.conversation_id == Conversation.id,
    )


def _write_cursor(sort: Sort, conversation: Conversation) -> str:
    moment = getattr(conversation, _BY[sort].key) if sort in _BY else conversation.active_at
    assert moment is not None
    return f"{(moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)}-{conversation.id.hex}"


def _read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    moment, _dash, id = (cursor or "").partition("-")
    try:
        return _at(int(moment)), UUID(hex=id)
    except (ValueError, OverflowError, OSError):
        return None


def _at(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
