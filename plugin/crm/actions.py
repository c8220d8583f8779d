"""What agents, and shoppers themselves, do to orders in the stores: looked at, confirmed, done once, written down.

A row is made when somebody looks at what would happen (`prepared`) and becomes `sent` when they confirm; the job of the
same transaction asks the platform. The row counts the attempt before the network is touched, so whoever finds it again,
after a kill or a lost answer, knows that it may have happened: from then on the platform is asked to `settle` it, never
to do it anew. What stays open after PATIENCE is `unknown`, and a person decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import choice
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import BigInteger, Index, Uuid, bindparam, delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.crm import once, sync
from plugin.crm.once import Verdict
from plugin.crm.orders import Order
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import Conflict, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.personal import kept
from plugin.platform import (
    Annotate,
    Cancel,
    Change,
    Discount,
    Done,
    Duplicate,
    EndDiscount,
    OrderAction,
    Quote,
    Readdress,
    Refund,
    Retag,
)
from plugin.team import Agent, Permission, audit

log = structlog.get_logger(__name__)

PREPARED, SENT, DONE, FAILED, UNKNOWN = "prepared", "sent", "done", "failed", "unknown"
OPEN = (SENT, UNKNOWN)

KINDS: Mapping[str, type[OrderAction]] = {
    "refund": Refund,
    "cancel": Cancel,
    "address": Readdress,
    "note": Annotate,
    "tags": Retag,
    "discount": Discount,
    "end_discount": EndDiscount,
    "duplicate": Duplicate,
    "change": Change,
}
_NAMES = {shape: name for name, shape in KINDS.items()}
_MOVING = (Refund, Cancel, Change)
"""What moves the order's own money: one of these at a time for an order."""


@dataclass(frozen=True, slots=True)
class ByShopper:
    """The shopper themselves, who proved that the order is theirs. What the merchant lets them do is judged before.

    `customer_id` and `locale` say in which conversation, and in what language, they are told how it went.
    """

    visitor_id: UUID
    customer_id: UUID | None = None
    locale: str = ""

    @property
    def actor(self) -> str:
        """Their name in the event table."""
        return f"shopper:{self.visitor_id}"


@dataclass(frozen=True, slots=True)
class ByBot:
    """The store's bot, which gives what its merchant lets it give. How much that is is judged before (`bot.gifts`)."""

    customer_id: UUID | None = None
    locale: str = ""


FRESH = timedelta(minutes=30)
"""How long what was shown may be confirmed."""
# No letters and digits that are taken for one another; 13 of them are more than 60 bits (platforms.md A5.7).
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 13


class ActionRow(TenantRow, Base):
    """Something that is done to an order by an agent, its shopper (`visitor_id`), or neither: the bot. Its `id` is the
    platform's key.

    `amount` is what was confirmed, in minor units of `currency` with `exponent` decimals; `worth` what it counts
    against the agent's limit. `said` is the platform's answer in its own words, `code` a name for it. `seen` is how the
    order stood when somebody looked. No foreign keys on who did it: what was done outlives them.
    """

    __tablename__ = "order_actions"
    __table_args__ = (
        Index(None, "workspace_id", "order_id", "created_at"),
        # The order's money moves once at a time, whoever asks.
        Index(
            "uq_order_actions_moving",
            "workspace_id",
            "order_id",
            unique=True,
            postgresql_where=text("moves AND state IN ('sent', 'unknown')"),
        ),
        tenant_key("order_id", "orders"),
        tenant_key("store_id", "stores"),
        {
            "info": kept(
                "the merchant's books: who gave what back",
                blank=("wanted", "quote", "outcome", "said"),
                plain=("kind", "state", "seen", "currency", "code", "locale"),
            )
        },
    )

    store_id: Mapped[UUID]
    order_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    visitor_id: Mapped[UUID | None]
    customer_id: Mapped[UUID | None]
    locale: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str]
    state: Mapped[str]
    moves: Mapped[bool]
    wanted: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    quote: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    seen: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    outcome: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    amount: Mapped[int | None] = mapped_column(BigInteger)
    worth: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(server_default="")
    exponent: Mapped[int] = mapped_column(server_default=text("2"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    said: Mapped[str] = mapped_column(server_default="")
    code: Mapped[str] = mapped_column(server_default="")
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def action(self) -> OrderAction:
        """What was wanted."""
        return msgspec.convert(self.wanted, KINDS[self.kind])

    @property
    def actor(self) -> str:
        """Who did it, as the event table names them."""
        if self.agent_id is not None:
            return f"agent:{self.agent_id}"
        return f"shopper:{self.visitor_id}" if self.visitor_id is not None else "bot"

    @property
    def quoted(self) -> Quote:
        """What the platform said would happen."""
        return msgspec.convert(self.quote, Quote)

    @property
    def done(self) -> Done:
        """What came of it, once it is done."""
        return msgspec.convert(self.outcome, Done)

    @property
    def money(self) -> Money | None:
        """What was confirmed."""
        return Money(self.amount, self.currency, self.exponent) if self.amount is not None else None


def new_code() -> str:
    """A discount code that nobody guesses."""
    return "".join(choice(_LETTERS) for _at in range(_CODE_LENGTH))


def needs(action: OrderAction) -> Permission:
    """The right that an action takes: giving money or goods away takes the one with a limit. Pure."""
    match action:
        case Refund() | Discount() | Change():
            return Permission.REFUND
        case Cancel(refund=True) | Duplicate(free=True):
            return Permission.REFUND
    return Permission.REPLY


def worth(action: OrderAction, quote: Quote, order: Order) -> Money | None:
    """What an action counts against an agent's limit; None where nothing is given away. Pure.

    A percentage is worth that part of the order it is a remedy for, a free duplicate the whole of it.
    """
    whole = Money(order.total, order.currency, order.exponent)
    match action:
        case Refund() | Cancel(refund=True) | Change():
            return quote.amount
        case Discount(percent=percent) if percent:
            return Money(-(-order.total * percent // 100), order.currency, order.exponent)
        case Discount():
            return quote.amount
        case Duplicate(free=True):
            return whole
    return None


async def order_of(tx: Tx, order_id: UUID) -> tuple[Order, stores.Store]:
    """An order that can be acted on, with its store. Raises NotFound, and Conflict when its store is disconnected."""
    order = await tx.get(Order, order_id)
    store = await stores.get(tx, order.store_id) if order is not None else None
    if order is None or store is None or order.deleted_at is not None:
        raise NotFound(_("There is nothing here."), _("Check the address, or go back."))
    if store.status != stores.CONNECTED:
        raise Conflict(
            _("The store of this order is not connected."), _("Connect it again under Stores; nothing was changed.")
        )
    return order, store


async def prepare(
    tx: Tx, order: Order, action: OrderAction, quote: Quote, *, by: Agent | ByShopper | ByBot
) -> ActionRow:
    """Keep what was shown, so that exactly this is what gets confirmed. What they looked at before goes.

    Raises Forbidden beyond an agent's rights.
    """
    await allowed(tx, order, action, quote, by)
    agent_id = by.id if isinstance(by, Agent) else None
    visitor_id = by.visitor_id if isinstance(by, ByShopper) else None
    await tx.execute(
        delete(ActionRow).where(
            ActionRow.workspace_id == tx.workspace_id,
            ActionRow.order_id == order.id,
            ActionRow.agent_id.is_not_distinct_from(agent_id),
            ActionRow.visitor_id.is_not_distinct_from(visitor_id),
            ActionRow.state == PREPARED,
        )
    )
    counted = worth(action, quote, order)
    row = ActionRow(
        id=new_id(),
        store_id=order.store_id,
        order_id=order.id,
        agent_id=agent_id,
        visitor_id=visitor_id,
        customer_id=None if isinstance(by, Agent) else by.customer_id,
        locale="" if isinstance(by, Agent) else by.locale,
        kind=_NAMES[type(action)],
        state=PREPARED,
        moves=isinstance(action, Change) or (isinstance(action, _MOVING) and quote.amount is not None),
        wanted=msgspec.to_builtins(action),
        quote=msgspec.to_builtins(quote),
        seen=_standing(order),
        amount=quote.amount.amount if quote.amount else None,
        worth=counted.amount if counted else None,
        currency=(quote.amount or counted or Money(0, order.currency, order.exponent)).currency,
        exponent=(quote.amount or counted or Money(0, order.currency, order.exponent)).exponent,
    )
    tx.add(row)
    await tx.flush()
    return row


def _standing(order: Order) -> dict[str, Any]:
    """What must not have changed between looking and confirming."""
    return {"refunded": order.refunded or 0, "cancelled": order.cancelled_at is not None}


async def allowed(tx: Tx, order: Order, action: OrderAction, quote: Quote, by: Agent | ByShopper | ByBot) -> None:
    """Raises Forbidden beyond their rights. The limit is of the order: what they gave back on it before counts."""
    if not isinstance(by, Agent):
        return
    if not by.may(Permission.REPLY) or not by.may(needs(action)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    counted = worth(action, quote, order)
    if counted is None or counted.amount == 0:
        return
    spent = await given(tx, order.id, by.id, counted.currency)
    if not by.may_refund(counted, already=Money(spent, counted.currency, counted.exponent)):
        raise Forbidden(
            _("That is more than you may give back on one order."),
            _("Somebody with a higher limit can do it; nothing was changed."),
            code="over_limit",
        )


_GIVEN = text("""
SELECT coalesce(sum(worth), 0) FROM (
    SELECT worth FROM order_actions WHERE workspace_id = :workspace AND order_id = :order AND agent_id = :agent
        AND currency = :currency AND state IN ('sent', 'done', 'unknown')
    UNION ALL
    -- Returns are a floor above, their money is the same.
    SELECT worth FROM return_steps WHERE workspace_id = :workspace AND order_id = :order AND agent_id = :agent
        AND currency = :currency AND kind = 'pay' AND state NOT IN ('failed', 'skipped')
) AS gone
""")


async def given(tx: Tx, order_id: UUID, agent_id: UUID, currency: str) -> int:
    """What an agent gave back on an order so far, returns included: minor units of `currency`, on its way or there."""
    values = {"workspace": tx.workspace_id, "order": order_id, "agent": agent_id, "currency": currency}
    return int(await tx.scalar(_GIVEN, values))


_UNDER_WAY = text("""
SELECT EXISTS (SELECT FROM order_actions WHERE workspace_id = :workspace AND order_id = :order AND moves
        AND state IN ('sent', 'unknown'))
    OR EXISTS (SELECT FROM return_steps WHERE workspace_id = :workspace AND order_id = :order AND kind = 'pay'
        AND state IN ('queued', 'unknown') AND request_id IS DISTINCT FROM :besides)
""")


# `by_hand`: the store wrote the refund down, and what is left of the order is less by it already.
_MOVED_SINCE = text("""
SELECT EXISTS (SELECT FROM order_actions WHERE workspace_id = :workspace AND order_id = :order AND moves
        AND state = 'done' AND finished_at > :looked)
    OR EXISTS (SELECT FROM return_steps WHERE workspace_id = :workspace AND order_id = :order AND kind = 'pay'
        AND state IN ('done', 'by_hand') AND finished_at > :looked)
""")


async def under_way(tx: Tx, order_id: UUID, *, besides: UUID | None = None) -> bool:
    """Whether money of an order is on its way, by an action or by a return other than `besides`."""
    values = {"workspace": tx.workspace_id, "order": order_id, "besides": besides}
    found: bool = await tx.scalar(_UNDER_WAY.bindparams(bindparam("besides", type_=Uuid())), values)
    return found


async def confirm(tx: Tx, action_id: UUID, *, by: Agent | ByShopper | ByBot, amount: str) -> ActionRow:
    """They saw what will happen and say so: it goes to the platform once this transaction commits.

    `amount`: the minor units that the page showed them, empty where no money moves. Said twice it is done once. Raises
    NotFound, Forbidden beyond their rights now, Conflict when it is no longer what they saw or the store was
    disconnected, and Moving while the store moves.
    """
    row = await _own(tx, action_id, by)
    if row.state != PREPARED:
        return row
    # Held: from here to the commit nobody moves the store away from under its job.
    await stores.held(tx, row.store_id)
    await stores.standing_still(tx, row.store_id)
    # Two agents at one order, or one with two windows: the second sees what the first did.
    await tx.get(Order, row.order_id, lock=True)
    order, _store = await order_of(tx, row.order_id)
    if datetime.now(UTC) - row.created_at > FRESH:
        raise Conflict(_("This was looked at too long ago."), _("Look again at what will happen; nothing was changed."))
    if amount != ("" if row.amount is None else str(row.amount)) or row.quoted.refusal or row.quoted.ask:
        raise Conflict(_("This is not what was shown."), _("Look again at what will happen; nothing was changed."))
    if row.moves and await under_way(tx, order.id):
        raise _under_way()
    if row.moves and (row.seen != _standing(order) or await _moved_since(tx, row)):
        raise Conflict(_("The order has changed meanwhile."), _("Look again at what will happen; nothing was changed."))
    await allowed(tx, order, row.action, row.quoted, by)
    row.state, row.sent_at = SENT, datetime.now(UTC)
    try:
        await tx.flush()
    except IntegrityError as error:
        raise _under_way() from error
    await _go(tx, row)
    return row


def _under_way() -> Conflict:
    return Conflict(_("Money of this order is on its way already."), _("Wait until that is done, then look again."))


async def _moved_since(tx: Tx, row: ActionRow) -> bool:
    """Whether money of the order was moved from here after this was looked at, by an action or by a return: the store's
    news may still be coming."""
    values = {"workspace": tx.workspace_id, "order": row.order_id, "looked": row.created_at}
    found: bool = await tx.scalar(_MOVED_SINCE, values)
    return found


async def _go(tx: Tx, row: ActionRow) -> None:
    await tx.enqueue("carry_out", unique=f"order-action:{row.id}", action_id=row.id)


async def go_on(tx: Tx, store_id: UUID) -> None:
    """The store came from another workspace: what was on its way there is carried out, or looked for, here."""
    rows = await tx.scalars(
        select(ActionRow).where(
            ActionRow.workspace_id == tx.workspace_id, ActionRow.store_id == store_id, ActionRow.state == SENT
        )
    )
    for row in rows:
        await _go(tx, row)


async def _own(tx: Tx, action_id: UUID, by: Agent | ByShopper | ByBot) -> ActionRow:
    row = await tx.get(ActionRow, action_id, lock=True)
    agent_id = by.id if isinstance(by, Agent) else None
    visitor_id = by.visitor_id if isinstance(by, ByShopper) else None
    if row is None or (row.agent_id, row.visitor_id) != (agent_id, visitor_id):
        raise _gone()
    return row


def _gone() -> NotFound:
    return NotFound(_("This is no longer there."), _("Look again at what will happen; nothing was changed."))


async def look_again(tx: Tx, action_id: UUID) -> ActionRow:
    """Ask the platform once more what became of it. Raises NotFound."""
    row = await tx.get(ActionRow, action_id, lock=True)
    if row is None:
        raise _gone()
    if row.state in OPEN:
        row.state = SENT
        await _go(tx, row)
    return row


async def not_done(tx: Tx, action_id: UUID, *, by: Agent) -> ActionRow:
    """A person looked into the store: it did not happen, so it may be done anew. Raises NotFound, Forbidden."""
    row = await tx.get(ActionRow, action_id, lock=True)
    if row is None:
        raise _gone()
    if not by.may(Permission.REPLY) or not by.may(needs(row.action)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if row.state == UNKNOWN:
        await _end(tx, row, FAILED, said=row.said, code="not_done", actor=by.actor, by=by.id)
    return row


async def was_done(tx: Tx, action_id: UUID, *, by: Agent) -> ActionRow:
    """A person looked into the store, and at the gateway where money moves: it happened. Raises NotFound, Forbidden."""
    row = await tx.get(ActionRow, action_id, lock=True)
    if row is None:
        raise _gone()
    if not by.may(Permission.REPLY) or not by.may(needs(row.action)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if row.state == UNKNOWN and row.moves:
        order = await tx.get(Order, row.order_id)
        row.outcome = msgspec.to_builtins(Done(order.external_id if order is not None else "", amount=row.money))
        await _end(tx, row, DONE, said="", code="was_done", actor=by.actor, by=by.id)
        # The order is read anew.
        await _go(tx, row)
    return row


async def inherit(tx: Tx, of: UUID, to: UUID) -> None:
    """Two rows turn out to be one person: what the one gave back counts against the other's limit."""
    await tx.execute(
        update(ActionRow)
        .where(ActionRow.workspace_id == tx.workspace_id, ActionRow.agent_id == of, ActionRow.state != PREPARED)
        .values(agent_id=to)
    )


async def of_orders(tx: Tx, order_ids: Collection[UUID]) -> Mapping[UUID, Sequence[ActionRow]]:
    """What was done or is being done to these orders, the newest first; what was only looked at is not among it."""
    found: dict[UUID, list[ActionRow]] = {}
    rows = await tx.scalars(
        select(ActionRow)
        .where(
            ActionRow.workspace_id == tx.workspace_id,
            ActionRow.order_id.in_(order_ids),
            ActionRow.state != PREPARED,
        )
        .order_by(ActionRow.created_at.desc(), ActionRow.id.desc())
        .limit(200)
    )
    for row in rows:
        found.setdefault(row.order_id, []).append(row)
    return found


# Carrying out


async def carry_out(app: App, workspace_id: UUID, *, action_id: str) -> None:
    """Task: have the platform do what was confirmed, or find out whether it did; then read the order anew."""
    async with app.db.transaction(workspace_id) as tx:
        row = await tx.get(ActionRow, UUID(action_id), lock=True)
        order = await tx.get(Order, row.order_id) if row is not None else None
        store = await stores.get(tx, row.store_id) if row is not None else None
        if row is None or order is None or store is None or row.state not in (SENT, DONE):
            await tx.complete_job()
            return
        if row.state == SENT and not row.wanted:
            # Its person was erased meanwhile, and with them what was wanted.
            ended = UNKNOWN if row.attempts else FAILED
            await _end(tx, row, ended, said="", code="erased", actor="system")
            await tx.complete_job()
            return
        if row.state == SENT:
            # Counted before anybody is asked: after a kill nobody can tell whether the request went out.
            row.attempts += 1
    if row.state == SENT and not await _carry(app, workspace_id, row, order, store):
        return
    records = await app.platforms[store.platform].read_order(store.connection(), order.external_id)
    async with app.db.transaction(workspace_id) as tx:
        await sync.apply_answer(tx, store.id, records)
        _tell(tx, row)
        await tx.complete_job()


async def _carry(app: App, workspace_id: UUID, row: ActionRow, order: Order, store: stores.Store) -> bool:
    """Ask the platform. Whether it is done; otherwise it has ended, or TaskError asks for another round."""
    desk, connection = app.platforms[store.platform], store.connection()
    asked = (connection, order.external_id, row.action, row.quoted, str(row.id))
    answer = await once.ask(
        lambda: desk.act(*asked), lambda: desk.settle(*asked), attempts=row.attempts,
        since=row.sent_at or row.created_at, moves=row.moves,
    )  # fmt: skip
    if answer.verdict is Verdict.WAITS:
        if answer.untouched:
            await _untouched(app, workspace_id, row)
        log.warning("order_action_waits", action=row.kind, code=answer.code, lost=answer.lost)
        raise answer.later
    async with app.db.transaction(workspace_id) as tx:
        fresh = await tx.get(ActionRow, row.id, lock=True)
        if fresh is None or fresh.state != SENT:
            await tx.complete_job()
            return False
        if answer.done is not None:
            fresh.outcome = msgspec.to_builtins(answer.done)
            await _end(tx, fresh, DONE, said=answer.said, code="", actor=row.actor)
            return True
        state = UNKNOWN if answer.verdict is Verdict.UNKNOWN else FAILED
        await _end(tx, fresh, state, said=answer.said, code=answer.code, actor=row.actor)
        await tx.complete_job()
    return False


async def _untouched(app: App, workspace_id: UUID, row: ActionRow) -> None:
    """The request never arrived: the next round is a first one again."""
    async with app.db.transaction(workspace_id) as tx:
        fresh = await tx.get(ActionRow, row.id, lock=True)
        if fresh is not None:
            fresh.attempts = 0


async def _end(tx: Tx, row: ActionRow, state: str, *, said: str, code: str, actor: str, by: UUID | None = None) -> None:
    """Write down what became of it: on the row, the customer's timeline and in the audit log."""
    row.state, row.said, row.code, row.finished_at = state, said[:500], code[:80], datetime.now(UTC)
    order = await tx.get(Order, row.order_id)
    by = by or row.agent_id
    agent = await tx.get(Agent, by) if by else None
    money = row.done.amount if state == DONE and row.done.amount else row.money
    data = {
        "order": order.name if order else "",
        "action": row.kind,
        "by": agent.name if agent else "",
        "shopper": row.agent_id is None and row.visitor_id is not None,
        **({"bot": True} if row.actor == "bot" else {}),
        "action_id": str(row.id),
        "amount": money.amount if money else None,
        "currency": money.currency if money else "",
        "exponent": money.exponent if money else 2,
    }
    await tx.record(
        "order.acted" if state == DONE else "order.act_failed" if state == FAILED else "order.act_unsure",
        subject_id=row.order_id,
        store_id=row.store_id,
        customer_id=order.customer_id if order else None,
        actor=actor,
        data=data,
    )
    changes: dict[str, Sequence[object]] = {"order": ["", data["order"]], "state": [SENT, state]}
    if money:
        changes["amount"] = ["", f"{money.decimal()} {money.currency}"]
    if row.agent_id is None:
        changes["by"] = ["", "shopper" if row.visitor_id is not None else "bot"]
    audit.note(tx, f"orders.{row.kind}", by=by, subject=row.order_id, changes=changes)
    _tell(tx, row)


def _tell(tx: Tx, row: ActionRow) -> None:
    tx.publish("queue", {"order_id": str(row.order_id)})
