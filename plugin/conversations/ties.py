"""What a conversation is about: orders and returns that somebody tied it to by hand.

A conversation that was merged keeps its own; what it was merged into shows them too, so that taking the merge apart
needs nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.conversations.conversations import Conversation
from plugin.crm.orders import Order, number_of
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.team import Agent

MOST = 20
"""Orders that one conversation is tied to, at most; and as many returns."""


class ConversationOrder(Tenant, Base):
    """Somebody said that a conversation is about an order, whoever's it is."""

    __tablename__ = "conversation_orders"
    __table_args__ = (
        Index(None, "workspace_id", "order_id"),
        Index(None, "workspace_id", "agent_id"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("order_id", "orders"),
        tenant_key("agent_id", "agents"),
    )

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    agent_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ConversationReturn(Tenant, Base):
    """Somebody said that a conversation is about a return. Where its shopper is told stays as it was."""

    __tablename__ = "conversation_returns"
    __table_args__ = (
        Index(None, "workspace_id", "return_id"),
        Index(None, "workspace_id", "agent_id"),
        tenant_key("conversation_id", "conversations"),
        tenant_key("return_id", "return_requests"),
        tenant_key("agent_id", "agents"),
    )

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    return_id: Mapped[UUID] = mapped_column(primary_key=True)
    agent_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


ORDER, RETURN = "order", "return"
_KEPT: dict[str, tuple[type[Any], str]] = {
    ORDER: (ConversationOrder, "order_id"),
    RETURN: (ConversationReturn, "return_id"),
}


@dataclass(frozen=True, slots=True)
class Thing:
    """What a conversation is tied to: an order or a return (`kind`), as people call it."""

    kind: str
    id: UUID
    name: str
    store_id: UUID


async def tie(tx: Tx, talk: Conversation, thing: Thing, *, by: Agent) -> bool:
    """Say that the conversation is about it; False when that was said before.

    Raises AhlanError for what another store sold, and beyond 20.
    """
    if talk.store_id is not None and talk.store_id != thing.store_id:
        raise AhlanError(
            _("This belongs to another store than the conversation."), _("Nothing was changed."), code="tie_store"
        )
    model, column = _KEPT[thing.kind]
    have = await tx.scalar(select(func.count()).select_from(model).where(*_here(tx, model, talk.id)))
    if have >= MOST:
        raise AhlanError(_("This conversation is tied to 20 already."), _("Take one off first."), code="ties_full")
    fresh = await tx.scalar(
        insert(model)
        .values(workspace_id=tx.workspace_id, conversation_id=talk.id, agent_id=by.id, **{column: thing.id})
        .on_conflict_do_nothing()
        .returning(model.conversation_id)
    )
    if fresh is None:
        return False
    await _record(tx, "conversation.tied", talk, thing, by)
    return True


async def untie(tx: Tx, talk: Conversation, thing: Thing, *, by: Agent) -> bool:
    """Take that back; False when nobody had said it."""
    model, column = _KEPT[thing.kind]
    gone = await tx.scalars(
        delete(model)
        .where(
            model.workspace_id == tx.workspace_id,
            getattr(model, column) == thing.id,
            model.conversation_id.in_(family(tx, talk.id)),
        )
        .returning(model.conversation_id)
    )
    if not gone.all():
        return False
    await _record(tx, "conversation.untied", talk, thing, by)
    return True


async def orders(tx: Tx, conversation_id: UUID) -> Sequence[Order]:
    """The orders that it is tied to, the latest tie first."""
    latest = (
        select(ConversationOrder.order_id, func.max(ConversationOrder.created_at).label("at"))
        .where(
            ConversationOrder.workspace_id == tx.workspace_id,
            ConversationOrder.conversation_id.in_(family(tx, conversation_id)),
        )
        .group_by(ConversationOrder.order_id)
        .subquery()
    )
    rows = await tx.scalars(
        select(Order)
        .join(latest, latest.c.order_id == Order.id)
        .where(Order.workspace_id == tx.workspace_id, Order.deleted_at.is_(None))
        .order_by(latest.c.at.desc(), Order.id)
    )
    return list(rows)


async def returns(tx: Tx, conversation_id: UUID) -> Sequence[UUID]:
    """The returns that it is tied to, the latest tie first."""
    latest = func.max(ConversationReturn.created_at)
    rows = await tx.scalars(
        select(ConversationReturn.return_id)
        .where(
            ConversationReturn.workspace_id == tx.workspace_id,
            ConversationReturn.conversation_id.in_(family(tx, conversation_id)),
        )
        .group_by(ConversationReturn.return_id)
        .order_by(latest.desc(), ConversationReturn.return_id)
    )
    return list(rows)


def tied_to(tx: Tx, number: str) -> Any:
    """As a condition on `Conversation`: it is tied to an order of this number, or to any where it is empty."""
    # CASE, not coalesce(): see docs/decisions/search-under-rls.md.
    head = case((Conversation.merged_into.is_(None), Conversation.id), else_=Conversation.merged_into)
    about = (
        select(head)
        .join(
            ConversationOrder,
            (ConversationOrder.workspace_id == Conversation.workspace_id)
            & (ConversationOrder.conversation_id == Conversation.id),
        )
        .where(Conversation.workspace_id == tx.workspace_id)
    )
    if number:
        named = select(Order.id).where(
            Order.workspace_id == tx.workspace_id, Order.number == number_of(number), Order.number != ""
        )
        about = about.where(ConversationOrder.order_id.in_(named))
    return Conversation.id.in_(about.correlate(None))


def family(tx: Tx, conversation_id: UUID) -> Any:
    """The conversation and those that were merged into it."""
    return select(Conversation.id).where(
        Conversation.workspace_id == tx.workspace_id,
        or_(Conversation.id == conversation_id, Conversation.merged_into == conversation_id),
    )


def _here(tx: Tx, model: type[Any], conversation_id: UUID) -> list[Any]:
    return [model.workspace_id == tx.workspace_id, model.conversation_id == conversation_id]


async def _record(tx: Tx, kind: str, talk: Conversation, thing: Thing, by: Agent) -> None:
    await tx.record(
        kind,
        subject_id=talk.id,
        store_id=talk.store_id,
        customer_id=talk.customer_id,
        actor=by.actor,
        data={"what": thing.kind, "id": str(thing.id), "name": thing.name},
    )
    tx.publish(f"panel:conversation:{talk.id}", {"type": "assigned"})
