"""The team's lists of conversations, page by page at any depth, and how many wait in each."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_
from sqlalchemy.orm import aliased

from plugin.conversations.conversations import CLOSED, OPEN, Conversation
from plugin.crm.customers import Customer
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.team import Agent

PAGE = 50
COUNT_LIMIT = 999

_person = aliased(Customer)


class View(StrEnum):
    """A list in the panel's first pane."""

    OPEN = "open"
    MINE = "mine"
    UNASSIGNED = "unassigned"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Listed:
    """One row: the conversation and who it is with. `typed_name` and `typed_email` are unverified."""

    conversation: Conversation
    customer_name: str
    customer_email: str
    typed_name: str
    typed_email: str
    assignee_name: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first; `cursor` continues after the last one, None at the end."""

    rows: list[Listed]
    cursor: str | None


async def queue(
    tx: Tx, view: View, *, agent_id: UUID | None = None, cursor: str | None = None, limit: int = PAGE
) -> Page:
    """A page of `view`; `agent_id` is whose `mine` is asked. A cursor that is none begins at the top."""
    statement = (
        select(
            Conversation,
            func.coalesce(_person.name, ""),
            func.coalesce(_person.email, ""),
            func.coalesce(Visitor.typed_name, ""),
            func.coalesce(Visitor.typed_email, ""),
            func.coalesce(Agent.name, ""),
        )
        .outerjoin(Customer, _same(Customer, Conversation.customer_id))
        .outerjoin(_person, _same(_person, func.coalesce(Customer.merged_into, Customer.id)))
        .outerjoin(Visitor, _same(Visitor, Conversation.visitor_id))
        .outerjoin(Agent, _same(Agent, Conversation.assignee_id))
        .where(Conversation.workspace_id == tx.workspace_id, *_in_view(view, agent_id))
        .order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
        .limit(limit + 1)
    )
    if (place := _read_cursor(cursor)) is not None:
        statement = statement.where(tuple_(Conversation.last_message_at, Conversation.id) < tuple_(*place))
    found = await tx.execute(statement)
    rows = [Listed(*cast("tuple[Any, ...]", row)) for row in found]
    more = len(rows) > limit
    return Page(rows[:limit], _write_cursor(rows[limit - 1].conversation) if more else None)


async def counts(tx: Tx, agent_id: UUID) -> dict[View, int]:
    """How many conversations are open, mine and nobody's; counting stops at 999, which reads "many"."""
    counted: dict[View, int] = {}
    for view in (View.OPEN, View.MINE, View.UNASSIGNED):
        some = (
            select(Conversation.id)
            .where(Conversation.workspace_id == tx.workspace_id, *_in_view(view, agent_id))
            .limit(COUNT_LIMIT)
            .subquery()
        )
        counted[view] = int(await tx.scalar(select(func.count()).select_from(some)))
    return counted


async def of_customer(tx: Tx, members: Collection[UUID], *, limit: int = 20) -> list[Conversation]:
    """A person's conversations, newest first; `members` are all their customer rows (`identities.family`)."""
    rows = await tx.scalars(
        select(Conversation)
        .where(Conversation.workspace_id == tx.workspace_id, Conversation.customer_id.in_(members))
        .order_by(Conversation.last_message_at.desc())
        .limit(limit)
    )
    return list(rows)


def _in_view(view: View, agent_id: UUID | None) -> tuple[Any, ...]:
    if view is View.CLOSED:
        return (Conversation.status == CLOSED,)
    if view is View.MINE:
        return (Conversation.status == OPEN, Conversation.assignee_id == agent_id)
    if view is View.UNASSIGNED:
        return (Conversation.status == OPEN, Conversation.assignee_id.is_(None))
    return (Conversation.status == OPEN,)


def _same(table: Any, column: Any) -> Any:
    return and_(table.workspace_id == Conversation.workspace_id, table.id == column)


def _write_cursor(conversation: Conversation) -> str:
    since = conversation.last_message_at - datetime.fromtimestamp(0, UTC)
    return f"{since // timedelta(microseconds=1)}-{conversation.id.hex}"


def _read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    moment, _, id = (cursor or "").partition("-")
    try:
        return _moment(int(moment)), UUID(hex=id)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
