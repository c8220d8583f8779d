"""The rows of returns, and how they are read."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Index, Select, Table, UniqueConstraint, and_, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm.orders import Order, Refund
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import NotFound
from plugin.kernel.events import Event
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.returns import states
from plugin.returns.policy import Choice, Decision
from plugin.returns.states import State, Who

OURS, STORES = "ahlan", "store"
"""Where a return was begun: here, or in the store's own admin."""
_NOT_AGREED = (State.REQUESTED, State.ASKED, State.DECLINED, State.CANCELLED)


class ReturnRequest(TenantRow, Base):
    """A return. `choice` and `decision` are what was asked and judged, by the version `policy_version`.

    `worth` is what the goods count for and `cash`, `credit`, `bonus` what of it was promised, minor units of `currency`
    with `exponent` decimals; `paid` is what moved. `moves` counts the moves. `pays` is the step at which the money
    moves by itself, empty where somebody has to say so, and `payer_id` whose right it is then (null: the policy's).
    `waiting_since`: it waits for somebody of the team; `stuck`: because the store did not do what it was told;
    `overdue` (`states.Overdue`): because something did not happen by itself, kept until its next move.
    `external_id` is the store's return, `conversation_id` where the shopper is told of it, `photos` and `label_file`
    are attachments. `method` is how the parcel comes (`shipping.Method`), with `place_id` or `pickup_on` where it needs
    one; `label_cost` is what the shop paid for labels, minor units of `label_currency`. What went out instead is the
    store's order `sent_external_id`, since `sent_at`. `risk_words`: what the platform's check of the order found, where
    a person decides because of it; for the team alone.
    """

    __tablename__ = "return_requests"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "serial"),
        UniqueConstraint("workspace_id", "store_id", "client_id"),
        Index(None, "workspace_id", "serial"),
        Index(None, "workspace_id", "order_id"),
        Index("ix_return_requests_queue", "workspace_id", "state", "moved_at", "id"),
        Index("ix_return_requests_newest", "workspace_id", "moved_at", "id"),
        Index(
            "ix_return_requests_open",
            "workspace_id",
            "moved_at",
            "id",
            postgresql_where=text("state NOT IN ('declined', 'closed', 'cancelled')"),
        ),
        Index(
            "ix_return_requests_waiting",
            "workspace_id",
            "waiting_since",
            "id",
            postgresql_where=text("waiting_since IS NOT NULL"),
        ),
        Index(
            "ix_return_requests_conversation",
            "workspace_id",
            "conversation_id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
        Index(
            "uq_return_requests_public",
            "workspace_id",
            "public_id",
            unique=True,
            # Emptied with the person.
            postgresql_where=text("public_id <> ''"),
        ),
        Index(
            "uq_return_requests_external",
            "workspace_id",
            "store_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id <> ''"),
        ),
        tenant_key("store_id", "stores"),
        tenant_key("order_id", "orders"),
        tenant_key("policy_version", "return_policies", ondelete="RESTRICT"),
        {
            "info": kept(
                "the merchant's books: what was sent back and what was given for it",
                blank=("public_id", "choice", "note", "own_words", "tracking_number", "tracking_url", "photos",
                       "risk_words"),
                plain=("origin", "state", "resolution", "decision", "language", "method", "why", "external_id", "name",
                       "carrier", "currency", "pays", "asked_by", "review", "overdue", "label_currency",
                       "sent_external_id", "sent_name"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    conversation_id: Mapped[UUID | None]
    client_id: Mapped[UUID]
    serial: Mapped[int]
    public_id: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default=OURS)
    asked_by: Mapped[str] = mapped_column(server_default=Who.SHOPPER)
    state: Mapped[str] = mapped_column(server_default=State.REQUESTED)
    moves: Mapped[int] = mapped_column(server_default=text("0"))
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    waiting_since: Mapped[datetime | None]
    stuck: Mapped[bool] = mapped_column(server_default=text("false"))
    overdue: Mapped[str] = mapped_column(server_default="")
    reminded_at: Mapped[datetime | None]
    resolution: Mapped[str] = mapped_column(server_default="")
    policy_version: Mapped[UUID | None]
    verified: Mapped[bool] = mapped_column(server_default=text("false"))
    language: Mapped[str] = mapped_column(server_default="")
    choice: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    decision: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    review: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    risk_words: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    keep: Mapped[bool] = mapped_column(server_default=text("false"))
    pays: Mapped[str] = mapped_column(server_default="")
    payer_id: Mapped[UUID | None]
    worth: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    cash: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    credit: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    bonus: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    delivery: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    paid: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    external_id: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str] = mapped_column(server_default="")
    method: Mapped[str] = mapped_column(server_default="")
    carrier: Mapped[str] = mapped_column(server_default="")
    tracking_number: Mapped[str] = mapped_column(server_default="")
    tracking_url: Mapped[str] = mapped_column(server_default="")
    label_file: Mapped[UUID | None]
    slip_file: Mapped[UUID | None]
    photos: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    why: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    own_words: Mapped[str] = mapped_column(server_default="")
    place_id: Mapped[UUID | None]
    pickup_on: Mapped[date | None]
    label_cost: Mapped[int | None] = mapped_column(BigInteger)
    label_currency: Mapped[str] = mapped_column(server_default="")
    label_exponent: Mapped[int] = mapped_column(server_default=text("2"))
    sent_external_id: Mapped[str] = mapped_column(server_default="")
    sent_name: Mapped[str] = mapped_column(server_default="")
    sent_at: Mapped[datetime | None]
    received_at: Mapped[datetime | None]
    inspected_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]

    @property
    def number(self) -> str:
        """Its name for people: in the store's books, in messages, on the parcel."""
        return f"R-{self.serial}"

    @property
    def decided(self) -> Decision:
        """What was shown and agreed to."""
        return msgspec.convert(self.decision, Decision)

    @property
    def chosen(self) -> Choice | None:
        """What was asked for; None once its person was erased, and for the store's own returns."""
        return msgspec.convert(self.choice, Choice) if self.choice else None

    @property
    def promised(self) -> Money:
        """What moves once it is paid: money or credit, without a bonus."""
        return self.money(self.cash or self.credit)

    def money(self, amount: int) -> Money:
        """An amount of this return."""
        return Money(amount, self.currency, self.exponent)


class ReturnLine(TenantRow, Base):
    """So many of one line of the order that go back, and what became of them: `restock`, `damaged` and `missing` add up
    to `quantity` once they were looked at.
    """

    __tablename__ = "return_lines"
    __table_args__ = (
        Index("ix_return_lines_request", "workspace_id", "request_id", "position"),
        # Whole in the index: which returns are about these goods or this reason.
        Index("ix_return_lines_product", "workspace_id", "product_external_id", "reason", "request_id"),
        Index("ix_return_lines_reason", "workspace_id", "reason", "request_id"),
        tenant_key("request_id", "return_requests"),
        {
            "info": kept(
                "the merchant's books: what was sent back, and why",
                blank=("words", "answers"),
                plain=("line_external_id", "title", "variant_title", "sku", "image_url", "product_external_id",
                       "variant_external_id", "reason"),
            )
        },
    )  # fmt: skip

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    request_id: Mapped[UUID]
    position: Mapped[int]
    line_external_id: Mapped[str]
    title: Mapped[str]
    variant_title: Mapped[str] = mapped_column(server_default="")
    sku: Mapped[str] = mapped_column(server_default="")
    image_url: Mapped[str] = mapped_column(server_default="")
    product_external_id: Mapped[str] = mapped_column(server_default="")
    variant_external_id: Mapped[str] = mapped_column(server_default="")
    quantity: Mapped[int]
    reason: Mapped[str]
    words: Mapped[str] = mapped_column(server_default="")
    answers: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    goods: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    fee: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    restock: Mapped[int] = mapped_column(server_default=text("0"))
    damaged: Mapped[int] = mapped_column(server_default=text("0"))
    missing: Mapped[int] = mapped_column(server_default=text("0"))


REQUESTS = cast(Table, ReturnRequest.__table__)
LINES = cast(Table, ReturnLine.__table__)


# Reading


async def get(tx: Tx, request_id: UUID) -> ReturnRequest:
    """A return. Raises NotFound."""
    found = await tx.get(ReturnRequest, request_id)
    if found is None:
        raise gone()
    return found


async def held(tx: Tx, request_id: UUID) -> ReturnRequest:
    """The same, kept as it is until the end of the transaction: whoever else moves it waits. Raises NotFound."""
    found = await tx.get(ReturnRequest, request_id, lock=True)
    if found is None:
        raise gone()
    return found


async def by_public_id(tx: Tx, public_id: str) -> ReturnRequest | None:
    """The return behind a link that nobody guesses."""
    found: ReturnRequest | None = await tx.scalar(
        select(ReturnRequest).where(
            ReturnRequest.workspace_id == tx.workspace_id,
            ReturnRequest.public_id == public_id,
            ReturnRequest.public_id != "",
        )
    )
    return found


async def of_order(tx: Tx, order_id: UUID) -> Sequence[ReturnRequest]:
    """The returns of an order, the newest first."""
    return await _of(tx, ReturnRequest.order_id == order_id)


async def of_orders(tx: Tx, order_ids: Collection[UUID]) -> Sequence[ReturnRequest]:
    """The returns of several orders, the newest first."""
    return await _of(tx, ReturnRequest.order_id.in_(order_ids)) if order_ids else []


async def sent_back(tx: Tx, members: Collection[UUID]) -> frozenset[UUID]:
    """The orders of a person, by id, of which goods go or went back with a return of ours that was agreed to."""
    found = await tx.scalars(
        select(ReturnRequest.order_id)
        .join(Order, and_(Order.workspace_id == ReturnRequest.workspace_id, Order.id == ReturnRequest.order_id))
        .where(
            ReturnRequest.workspace_id == tx.workspace_id,
            Order.customer_id.in_(members),
            ReturnRequest.state.not_in(_NOT_AGREED),
            ~ReturnRequest.keep,
        )
    )
    return frozenset(found)


async def of_conversation(tx: Tx, conversation_id: UUID) -> Sequence[ReturnRequest]:
    """The returns that a conversation is about, the newest first."""
    return await _of(tx, ReturnRequest.conversation_id == conversation_id)


async def _of(tx: Tx, condition: Any) -> Sequence[ReturnRequest]:
    rows = await tx.scalars(
        select(ReturnRequest)
        .where(ReturnRequest.workspace_id == tx.workspace_id, condition)
        .order_by(ReturnRequest.created_at.desc(), ReturnRequest.id.desc())
        .limit(50)
    )
    return list(rows)


async def lines_of(tx: Tx, request_id: UUID) -> Sequence[ReturnLine]:
    """What goes back, in the order's order."""
    rows = await tx.scalars(
        select(ReturnLine)
        .where(ReturnLine.workspace_id == tx.workspace_id, ReturnLine.request_id == request_id)
        .order_by(ReturnLine.position)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def history(tx: Tx, request: ReturnRequest) -> Sequence[Event]:
    """What happened to it, the oldest first."""
    rows = await tx.scalars(
        select(Event)
        .where(Event.workspace_id == tx.workspace_id, Event.subject_id == request.id)
        .order_by(Event.at, Event.id)
        .limit(200)
    )
    return list(rows)


async def steps_of(tx: Tx, request: ReturnRequest) -> list[tuple[State, datetime]]:
    """What a shopper may see of its way: each state that it came to, and when; the last is where it stands."""
    reached = {one.event: one.target for one in states.MOVES} | {"return_request.requested": State.REQUESTED}
    found: list[tuple[State, datetime]] = []
    for event in await history(tx, request):
        target = reached.get(event.kind)
        if event.kind == "return_request.reopened":
            target = State(event.data.get("to", State.REQUESTED))
        if target is not None and (not found or found[-1][0] is not target):
            found.append((target, event.at))
    return found


def refunds_of(tx: Tx, order_id: UUID) -> Select[Refund]:
    """The store's own refunds of an order, the newest first."""
    return (
        select(Refund)
        .where(Refund.workspace_id == tx.workspace_id, Refund.order_id == order_id)
        .order_by(Refund.at.desc(), Refund.external_id)
    )


def orders_of(tx: Tx, members: Collection[UUID]) -> Select[Order]:
    """The latest orders of a person."""
    return (
        select(Order)
        .where(Order.workspace_id == tx.workspace_id, Order.customer_id.in_(members), Order.deleted_at.is_(None))
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(20)
    )


def gone() -> NotFound:
    """What a missing return and a stranger's both get."""
    return NotFound(_("There is nothing here."), _("Check the address, or go back."))
