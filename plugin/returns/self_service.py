"""What shoppers may do to their own orders alone, and until when: the merchant's rules, per store.

The rules say whether somebody may ask the store at all; the store says whether it still can be done. What is done goes
the way of the team's own actions (`plugin/crm/actions.py`): looked at, confirmed as it was shown, carried out once.
What the store refuses then becomes a message of the shopper's to the team, with the store's own words.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import UniqueConstraint, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages, tags
from plugin.conversations.conversations import Conversation, Shopper
from plugin.crm import actions
from plugin.crm.actions import DONE, ActionRow, ByShopper
from plugin.crm.orders import PAID, Order, OrderView
from plugin.crm.tracking import Standing, Step
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.personal import nobody
from plugin.kernel.text import isolate
from plugin.platform import Cancel, Change, LineChange, OrderAction, Quote, Readdress
from plugin.stores import Store
from plugin.team import Agent, audit


class Doing(StrEnum):
    """What a shopper can do to an order that was not sent."""

    CANCEL = "cancel"
    ADDRESS = "address"
    CHANGE = "change"


class Door(StrEnum):
    """What a shop can leave to its customers, or keep to itself."""

    ORDERS = "orders"
    RETURNS = "returns"
    CLAIMS = "claims"


class Allowance(msgspec.Struct, frozen=True):
    """One thing that shoppers may do. `minutes` after ordering, 0: as long as nothing was packed.

    `paid` and `unpaid`: orders in which state of payment. `most`: only orders up to so much, in minor units.
    """

    on: bool = False
    minutes: int = 60
    paid: bool = True
    unpaid: bool = True
    most: int | None = None


class Rules(msgspec.Struct, frozen=True):
    """What shoppers of a store may do alone. Nothing that moves goods or money before the merchant says so.

    `orders`, `returns`, `claims`: whether they find these at all, in the widget, on the pages and in their account.
    """

    orders: bool = True
    returns: bool = True
    claims: bool = True
    cancel: Allowance = Allowance()
    address: Allowance = Allowance()
    change: Allowance = Allowance()
    again: bool = True

    def of(self, doing: Doing) -> Allowance:
        """The rule of one thing."""
        found: Allowance = getattr(self, doing.value)
        return found

    def may(self, doing: Doing) -> Allowance:
        """The rule as it counts today: with the orders kept from customers nothing can be done to one."""
        return self.of(doing) if self.orders else Allowance()

    @property
    def doors(self) -> frozenset[Door]:
        """What customers find."""
        return frozenset(door for door in Door if getattr(self, door.value))


class Why(StrEnum):
    """Why a shopper may not do something alone."""

    OFF = "off"
    CANCELLED = "cancelled"
    SENT = "sent"
    LATE = "late"
    PAYMENT = "payment"
    AMOUNT = "amount"


class SelfServiceRules(TenantRow, Base):
    """The rules of a store. A store without a row has the product's own: reordering alone."""

    __tablename__ = "order_self_service"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id"),
        tenant_key("store_id", "stores"),
        {"info": nobody("what the merchant lets shoppers do")},
    )

    store_id: Mapped[UUID]
    rules: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


async def rules_of(tx: Tx, store_id: UUID) -> Rules:
    """What shoppers of this store may do alone."""
    found = await tx.scalar(
        select(SelfServiceRules.rules).where(
            SelfServiceRules.workspace_id == tx.workspace_id, SelfServiceRules.store_id == store_id
        )
    )
    return msgspec.convert(found, Rules) if found is not None else Rules()


async def save(tx: Tx, store: Store, rules: Rules, *, by: Agent | None) -> None:
    """The merchant says what shoppers may do. Written down for whoever asks later who allowed it."""
    before = msgspec.to_builtins(await rules_of(tx, store.id))
    after = msgspec.to_builtins(rules)
    if before == after:
        return
    row = insert(SelfServiceRules).values(
        workspace_id=tx.workspace_id, id=new_id(), store_id=store.id, rules=after
    )  # fmt: skip
    await tx.execute(row.on_conflict_do_update(index_elements=["workspace_id", "store_id"], set_={"rules": after}))
    changes = audit.changed(_flat(before), _flat(after))
    audit.note(tx, "settings.order_self_service", by=by.id if by else None, subject=store.id, changes=changes)


def _flat(rules: Mapping[str, Any]) -> dict[str, object]:
    """The rules as the audit log tells them: one line for each thing."""
    found: dict[str, object] = {"again": rules.get("again"), **{door.value: rules.get(door.value) for door in Door}}
    for doing in Doing:
        held = rules.get(doing.value) or {}
        found[doing.value] = ", ".join(f"{name} {value}" for name, value in held.items()) if held.get("on") else "off"
    return found


def until(allowance: Allowance, placed_at: datetime) -> datetime | None:
    """When it ends; None: when the goods are packed. Pure."""
    return placed_at + timedelta(minutes=allowance.minutes) if allowance.minutes else None


def judge(allowance: Allowance, order: Order, standing: Standing, now: datetime) -> Why | None:
    """Why somebody may not do it alone, or None. Pure: what the store itself would say is asked afterwards."""
    if not allowance.on:
        return Why.OFF
    if standing.cancelled:
        return Why.CANCELLED
    if standing.reached is not Step.ORDERED or order.fulfilment_status in ("partial", "fulfilled"):
        return Why.SENT
    ends = until(allowance, order.placed_at)
    if ends is not None and now >= ends:
        return Why.LATE
    if not (allowance.paid if order.payment_status in PAID else allowance.unpaid):
        return Why.PAYMENT
    if allowance.most is not None and order.total > allowance.most:
        return Why.AMOUNT
    return None


def doing_of(action: OrderAction) -> Doing:
    """Under which rule an action stands. Raises TypeError for what is the team's alone. Pure."""
    match action:
        case Cancel():
            return Doing.CANCEL
        case Readdress():
            return Doing.ADDRESS
        case Change():
            return Doing.CHANGE
    raise TypeError(type(action).__name__)


_CLOSED: Mapping[frozenset[Door], Lazy] = {
    frozenset(Door): _("This shop looks after orders and returns itself."),
    frozenset({Door.ORDERS}): _("This shop makes changes to orders itself."),
    frozenset({Door.RETURNS}): _("This shop arranges returns itself."),
    frozenset({Door.CLAIMS}): _("This shop looks into problems with an order itself."),
}


async def open_door(tx: Tx, store_id: UUID, *doors: Door) -> Rules:
    """The rules of a store that left one of these to its customers; without `doors`, any. Raises Forbidden."""
    wanted, rules = frozenset(doors or Door), await rules_of(tx, store_id)
    if not wanted & rules.doors:
        raise Forbidden(_CLOSED[wanted], _("Write to the shop: somebody helps you there."), code="self_closed")
    return rules


# Looking and confirming


async def allowed(tx: Tx, view: OrderView, standing: Standing, doing: Doing) -> None:
    """Raises Conflict when the merchant's rules say no; its code is the reason."""
    rules = await rules_of(tx, view.order.store_id)
    why = judge(rules.may(doing), view.order, standing, datetime.now(UTC))
    if why is not None:
        raise Conflict(_WHY[why], _("Ask the shop: it may still be able to do it."), code=f"self_{why.value}")


_WHY: Mapping[Why, Lazy] = {
    Why.OFF: _("This shop does that itself."),
    Why.CANCELLED: _("This order is cancelled already."),
    Why.SENT: _("The order is being packed or on its way already."),
    Why.LATE: _("The time in which you can change this order yourself is over."),
    Why.PAYMENT: _("With this way of paying, the shop makes changes itself."),
    Why.AMOUNT: _("An order of this amount is changed by the shop itself."),
}


async def look(app: App, store: Store, order: Order, action: OrderAction) -> Quote:
    """What the store says would happen. Nothing has. Raises PlatformError."""
    platform = app.platforms[store.platform]
    if type(action) not in platform.actions:
        return Quote(refusal="unsupported")
    return await platform.quote(store.connection(), order.external_id, action)


_REFUSALS: Mapping[str, Lazy] = {
    "cancelled_already": _("This order is cancelled already."),
    "refunded_already": _("This order was refunded already."),
    "sent_already": _("The order is being packed or on its way already."),
    "nothing_left": _("Nothing would change."),
    "nothing_stays": _("An order needs something in it. Cancel it instead."),
    "one_by_one": _("Change what costs more and what costs less separately."),
    "refunded_partly": _("Part of this order was refunded already: the shop makes changes itself."),
    "not_editable": _("The shop's system does not let this order be changed."),
    "changed": _("The order has changed meanwhile. Look at it again."),
    "unsupported": _("This shop does that itself."),
}


def refusal(t: Translator, quote: Quote) -> str:
    """Why the store would not do it, in its own words where it has any; empty where it would. Pure."""
    if quote.ask:
        # A permission that the merchant has not given is the shop's own business.
        return t.gettext(_WHY[Why.OFF])
    if not quote.refusal:
        return ""
    known = _REFUSALS.get(quote.refusal)
    return t.gettext(known) if known else quote.refusal


def seen(row: ActionRow) -> str:
    """What a confirmation names of what was shown: what goes back and what would be owed. Pure."""
    owed = row.quoted.owed
    return f"{'' if row.amount is None else row.amount}/{owed.amount if owed else ''}"


async def confirm(
    tx: Tx, view: OrderView, standing: Standing, action_id: UUID, shopper: ByShopper, shown: str
) -> ActionRow:
    """They saw what will happen and say so. Judged once more: the time may be over, or a parcel gone.

    Said twice it is done once. Raises NotFound for what is not theirs, Conflict for what is no longer what they saw.
    """
    row = await tx.get(ActionRow, action_id)
    if row is None or row.visitor_id != shopper.visitor_id or row.order_id != view.order.id:
        raise NotFound(_("This is no longer there."), _("Look again at what will happen; nothing was changed."))
    if row.state == actions.PREPARED:
        await allowed(tx, view, standing, doing_of(row.action))
        if shown != seen(row):
            raise Conflict(
                _("This is not what was shown."), _("Look again at what will happen; nothing was changed."),
                code="decision_changed",
            )  # fmt: skip
    return await actions.confirm(tx, action_id, by=shopper, amount="" if row.amount is None else str(row.amount))


async def own(tx: Tx, order_id: UUID, visitor_id: UUID, action_id: UUID) -> ActionRow:
    """Something that they did to this order. Raises NotFound."""
    row = await tx.get(ActionRow, action_id)
    if row is None or row.visitor_id != visitor_id or row.order_id != order_id or row.state == actions.PREPARED:
        raise NotFound(_("This is no longer there."), _("Look again at what will happen; nothing was changed."))
    return row


# Telling the team

_WISHES: Mapping[str, Lazy] = {
    "cancel": _("Please cancel order %(order)s."),
    "address": _("Please send order %(order)s to another address:"),
    "change": _("Please change the goods of order %(order)s:"),
}


async def ask_team(
    tx: Tx, shopper: Shopper, client_id: UUID, store: Store, order: Order, kind: str, words: str, said: str, *,
    t: Translator, shop: Translator,
) -> None:  # fmt: skip
    """What they could not do alone becomes a message of theirs. `said` are the store's words about it.

    The same `client_id` twice says it once. Raises AhlanError for an unknown wish.
    """
    wish = _WISHES.get(kind)
    if wish is None:
        raise AhlanError(_("That request could not be read."), code="malformed", status=422)
    lines = [t.gettext(wish, order=isolate(order.name, "ltr")), words.strip()]
    if said:
        lines.append(t.gettext("What the shop's system said: %(said)s", said=isolate(said)))
    await messages.receive(tx, shopper, client_id, "\n".join(filter(None, lines)), request=True)
    head = await threads.current(tx, shopper)
    talk = await tx.get(Conversation, head.id) if head is not None else None
    if talk is not None:
        # A conversation that is full of tags is found by them already.
        with suppress(AhlanError):
            await tags.put(tx, talk, shop.gettext("Order change"), by=None)


async def tell_self_service(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task: a shopper's own action ended otherwise than done. Said twice it is one message."""
    async with app.db.transaction(workspace_id) as tx:
        event = await tx.get(Event, UUID(event_id))
        data = event.data if event is not None else {}
        row = await tx.get(ActionRow, UUID(str(data["action_id"]))) if data.get("shopper") else None
        order = await tx.get(Order, row.order_id) if row is not None else None
        store = await stores.get(tx, row.store_id) if row is not None else None
        if row is None or order is None or store is None or row.state == DONE or row.visitor_id is None:
            await tx.complete_job()
            return
        t = app.catalogues.translator(row.locale or store.locale)
        said = row.said or t.gettext("It did not say what became of it.")
        shopper = Shopper(row.visitor_id, row.store_id, row.customer_id, None, row.locale)
        await ask_team(
            tx, shopper, uuid5(row.id, row.state), store, order, row.kind, wish(t, row), said,
            t=t, shop=app.catalogues.translator(store.locale),
        )  # fmt: skip
        await tx.complete_job()


def wish(t: Translator, row: ActionRow) -> str:
    """What they wanted, as lines of a message. Pure."""
    if not row.wanted:
        return ""
    match row.action:
        case Readdress() as to:
            place = " ".join(filter(None, (to.postcode, to.city, to.province, to.country)))
            name = " ".join(filter(None, (to.first_name, to.last_name)))
            return "\n".join(filter(None, (name, to.company, to.line1, to.line2, place, to.phone)))
        case Change(lines=changes):
            titles = {line.external_id: line.title for line in row.quoted.lines}
            return "\n".join(
                _changed(t, isolate(titles.get(one.line_external_id, "")), one)
                for one in changes
            )  # fmt: skip
    return ""


def _changed(t: Translator, item: str, one: LineChange) -> str:
    count = t.format_number(one.quantity)
    if one.variant_external_id:
        return t.gettext("%(item)s: %(count)s of another kind", item=item, count=count)
    return t.gettext("%(item)s: %(count)s", item=item, count=count)


async def of_order(tx: Tx, order_id: UUID, visitor_id: UUID) -> list[ActionRow]:
    """What this browser did to an order, the newest first."""
    rows = (await actions.of_orders(tx, [order_id])).get(order_id, ())
    return [row for row in rows if row.visitor_id == visitor_id]
