"""Requests that nothing vouches for: an agent calls the number on the order, and that opens it to whoever asked.

A request is an `OrderProof` whose way is `call`, under the id of the message that carries it: so it follows that
message when conversations are merged or split, and goes with it. No order is looked for before an agent looks, and none
is on the row before an agent confirmed: until then nothing that the browser can send opens anything.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from plugin.conversations import conversations as threads
from plugin.conversations import messages, tags
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.crm.orders import Order
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError, Conflict, NotFound
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, search_key
from plugin.returns import proof
from plugin.returns.proof import CALL, OrderProof
from plugin.stores import Store
from plugin.team import Agent, audit

LASTS = timedelta(days=1)
"""How long after it was made a request can be confirmed."""
TAG = _("Not verified")

_MOST = 5
_ALIKE = 5


class Stands(StrEnum):
    """How a request stands. OVER: the order was open, and the time for that is over."""

    WAITING = "waiting"
    LATE = "late"
    OPEN = "open"
    OVER = "over"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Meant:
    """An order that may be the one that was asked for, and the number on it that is called; empty: none that can be."""

    order: Order
    phone: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the team sees it. `meant`: more than one where orders have the same number."""

    id: UUID
    stands: Stands
    number: str
    meant: Sequence[Meant]
    ends_at: datetime | None


async def ask(tx: Tx, shopper: Shopper, message_id: UUID, number: str, *, locale: str) -> None:
    """The message asks for an order by its number. Sent twice, it is one request; a newer one replaces an older one.

    Raises AhlanError for what can be no order number.
    """
    typed = {"number": proof.read_number(number), "name": search_key(number.strip())}
    added = await tx.scalar(
        insert(OrderProof)
        .values(
            workspace_id=tx.workspace_id, id=message_id, store_id=shopper.store_id, visitor_id=shopper.visitor_id,
            typed=typed, locale=locale, way=CALL, expires_at=func.now() + LASTS,
        )
        .on_conflict_do_nothing()
        .returning(OrderProof.id)
    )  # fmt: skip
    if added is None:
        return
    await tx.execute(
        update(OrderProof)
        .where(
            OrderProof.workspace_id == tx.workspace_id, OrderProof.visitor_id == shopper.visitor_id,
            OrderProof.way == CALL, OrderProof.id != message_id, OrderProof.ends_at.is_(None),
            OrderProof.typed["number"].astext == typed["number"],
        )
        .values(ends_at=func.now())
    )  # fmt: skip
    await proof.forget(tx)
    head = await threads.current(tx, shopper)
    if head is not None:
        tx.publish(f"panel:conversation:{head.id}", {"type": "assigned"})


async def of_conversation(tx: Tx, conversation_id: UUID) -> Sequence[Call]:
    """The requests in a conversation that wait for an agent, came too late, or hold an order open; the newest first."""
    now: datetime = await tx.scalar(select(func.now()))
    rows = await tx.scalars(
        select(OrderProof)
        .join(Message, (Message.workspace_id == OrderProof.workspace_id) & (Message.id == OrderProof.id))
        .where(
            OrderProof.workspace_id == tx.workspace_id, OrderProof.way == CALL,
            Message.conversation_id == conversation_id, Message.deleted_at.is_(None),
            or_(OrderProof.ends_at.is_(None), OrderProof.proved_at.is_not(None) & (OrderProof.ends_at > now)),
        )
        .order_by(OrderProof.created_at.desc(), OrderProof.id.desc())
        .limit(_MOST)
    )  # fmt: skip
    found = []
    for row in rows.all():
        stands = _stands(row, now)
        if stands is Stands.WAITING:
            meant = await _meant(tx, row)
        else:
            order = await tx.get(Order, row.order_id) if row.order_id is not None else None
            meant = [Meant(order, "")] if order is not None else []
        found.append(Call(row.id, stands, str(row.typed.get("name", "")), meant, row.ends_at))
    return found


async def confirm(
    tx: Tx, talk: Conversation, call_id: UUID, order_id: UUID, phone: str, *, by: Agent, catalogues: Catalogues
) -> None:
    """The agent called `phone`, the number on the order: it is open to whoever asked, and they are told. Twice is once.

    Raises NotFound, and Conflict for a request that is too old or answered, and when the order's number is another one.
    """
    row, stands = await _held(tx, talk, call_id)
    if stands is Stands.OPEN and row.order_id == order_id:
        return
    if stands is Stands.LATE:
        raise Conflict(_("This request is older than a day."), _("Ask for it to be sent again; nothing was shown."))
    if stands is not Stands.WAITING:
        raise Conflict(_("This request is answered already."), _("Look again; nothing was changed."))
    meant = next((one for one in await _meant(tx, row) if one.order.id == order_id), None)
    store = await tx.get(Store, row.store_id)
    if meant is None or store is None:
        raise NotFound(_("This order is not the one that was asked for."))
    if not meant.phone or meant.phone != phone:
        raise Conflict(
            _("The phone number on the order is another one now."), _("Look again, and call that; nothing was shown.")
        )
    await proof.open_order(tx, row.id, meant.order, actor=by.actor, way=CALL)
    audit.note(tx, "orders.call_confirmed", by=by.id, subject=order_id, changes={"order": [None, meant.order.name]})
    await tags.take_off(tx, talk, catalogues.translator(store.locale).gettext(TAG), by=by)
    words = catalogues.translator(row.locale or store.locale)
    told = words.gettext(
        "Thank you for the call. Order %(order)s is open now, for 24 hours, in the browser that you asked with: "
        "choose “%(door)s” there.",
        order=isolate(meant.order.name, "ltr"),
        door=words.gettext("Orders & returns"),
    )
    await _say(tx, talk, store, words, told)
    _changed(tx, talk)


async def decline(tx: Tx, talk: Conversation, call_id: UUID, *, by: Agent) -> None:
    """It is not theirs, or nobody answered: the request ends, and whoever asked is told nothing. Twice is once.

    Raises NotFound, and Conflict when somebody confirmed it.
    """
    row, stands = await _held(tx, talk, call_id)
    if stands is Stands.DECLINED:
        return
    if stands in (Stands.OPEN, Stands.OVER):
        raise Conflict(_("This request is answered already."), _("Look again; nothing was changed."))
    await _end(tx, row, ends_at=func.now())
    audit.note(tx, "orders.call_declined", by=by.id, changes={"order": [None, str(row.typed.get("name", ""))]})
    _changed(tx, talk)


async def undo(tx: Tx, talk: Conversation, call_id: UUID, *, by: Agent, catalogues: Catalogues) -> None:
    """Take the answer back: an order that it opened is closed at once, and the request waits again while it is young.

    Whoever was told that it is open is told that it is not. Raises NotFound.
    """
    row, stands = await _held(tx, talk, call_id)
    if stands not in (Stands.OPEN, Stands.DECLINED):
        return
    order = await tx.get(Order, row.order_id) if row.order_id is not None else None
    await _end(tx, row, order_id=None, proved_at=None, ends_at=None)
    name = order.name if order is not None else str(row.typed.get("name", ""))
    audit.note(
        tx, "orders.call_undone", by=by.id, subject=order.id if order is not None else None,
        changes={"order": [name, None]},
    )  # fmt: skip
    if order is not None:
        await tx.record(
            "order.unproved", subject_id=order.id, store_id=order.store_id, customer_id=order.customer_id,
            actor=by.actor, data={"order": order.name},
        )  # fmt: skip
    store = await tx.get(Store, row.store_id)
    if store is not None:
        # A conversation that is full of tags is found by them already.
        with suppress(AhlanError):
            await tags.put(tx, talk, catalogues.translator(store.locale).gettext(TAG), by=by)
        if order is not None:
            words = catalogues.translator(row.locale or store.locale)
            told = words.gettext(
                "Order %(order)s is no longer open in your browser. If it is yours, write to us here.",
                order=isolate(order.name, "ltr"),
            )
            await _say(tx, talk, store, words, told)
    _changed(tx, talk)


async def _say(tx: Tx, talk: Conversation, store: Store, words: Translator, told: str) -> None:
    await messages.tell(tx, talk.id, new_id(), told, name=store.name, language=words.locale)


async def _held(tx: Tx, talk: Conversation, call_id: UUID) -> tuple[OrderProof, Stands]:
    """The request, held, if it is one of this conversation's. Raises NotFound."""
    # In the order of `ask`, whose message has the conversation: a newer request waits for us, or we for it.
    await threads.lock_living(tx, talk.id)
    row = await tx.get(OrderProof, call_id, lock=True)
    said = await tx.get(Message, call_id)
    here = said is not None and said.conversation_id == talk.id and said.deleted_at is None
    if row is None or row.way != CALL or not here:
        raise NotFound(_("This request is not here."))
    return row, _stands(row, await tx.scalar(select(func.clock_timestamp())))


def _stands(row: OrderProof, now: datetime) -> Stands:
    if row.ends_at is not None:
        if row.proved_at is None:
            return Stands.DECLINED
        return Stands.OPEN if row.ends_at > now else Stands.OVER
    return Stands.WAITING if row.expires_at > now else Stands.LATE


async def _meant(tx: Tx, row: OrderProof) -> Sequence[Meant]:
    """The orders of this number, by the very name where one has it."""
    store = await tx.get(Store, row.store_id)
    rows = await tx.scalars(
        select(Order)
        .where(
            Order.workspace_id == tx.workspace_id, Order.store_id == row.store_id,
            Order.number == str(row.typed.get("number", "")), Order.number != "",
            Order.deleted_at.is_(None), Order.erased_at.is_(None),
        )
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(_ALIKE)
    )  # fmt: skip
    alike = rows.all()
    exact = [order for order in alike if search_key(order.name) == row.typed.get("name")]
    country = store.country if store is not None else ""
    return [Meant(order, proof.phone_of(order, country) or "") for order in exact or alike]


async def _end(tx: Tx, row: OrderProof, **values: object) -> None:
    await tx.execute(
        update(OrderProof)
        .where(OrderProof.workspace_id == tx.workspace_id, OrderProof.id == row.id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _changed(tx: Tx, talk: Conversation) -> None:
    tx.publish(f"panel:conversation:{talk.id}", {"type": "assigned"})
