"""Who we talk to, in one glance: handles and how sure they are, worth, orders, carts, what to do next and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from admin_ui import words
from admin_ui.desk import Desk
from admin_ui.pages import notes
from admin_ui.pages.orders import Doing, doings
from admin_ui.whereabouts import Where, where
from admin_ui.words import State
from plugin import privacy, stores
from plugin.conversations import views
from plugin.conversations.conversations import Conversation
from plugin.crm import actions, carts, customers, orders, setbacks
from plugin.crm.carts import Cart
from plugin.crm.customers import Summary
from plugin.crm.orders import Order, OrderView
from plugin.crm.setbacks import Setbacks
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.money import Money
from plugin.kernel.text import isolate
from plugin.returns.records import sent_back
from plugin.stores import Store

_LATE_ORDER = timedelta(days=4)
_OPEN_CART = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Handle:
    """A way to reach or recognise somebody, and whether it was proven."""

    kind: str
    value: str
    verified: bool
    proof: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order or a cart."""

    title: str
    variant: str
    quantity: int
    price: str
    image: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel with its tracking."""

    state: State | None
    carrier: str
    number: str
    url: str


@dataclass(frozen=True, slots=True)
class Return:
    """Goods that go back; `at` is when it came to its state."""

    state: State | None
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderCard:
    """An order as it stands beside the conversation."""

    id: UUID
    name: str
    store: str
    placed_at: datetime
    total: str
    states: Sequence[State]
    lines: Sequence[Line]
    parcels: Sequence[Parcel]
    returns: Sequence[Return]
    refunded: str
    delivery: str
    discount: str
    destination: str
    was: str = ""
    doings: Sequence[Doing] = ()


@dataclass(frozen=True, slots=True)
class CartCard:
    """An open cart; `sure` is False when only a typed address connects it with this person."""

    kind: str
    store: str
    total: str
    lines: Sequence[Line]
    at: datetime
    sure: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Everything of the customer pane. `id` is None for a visitor whom we do not know."""

    id: UUID | None
    key: str
    name: str
    handles: Sequence[Handle]
    worth: Sequence[str] = ()
    orders_count: int = 0
    since: datetime | None = None
    orders: Sequence[OrderCard] = ()
    carts: Sequence[CartCard] = ()
    talks: Sequence[Conversation] = ()
    where: Where | None = None
    next_step: str = ""
    next_why: str = ""
    note: str = ""
    notes: Sequence[notes.Shown] = ()
    setbacks: Setbacks | None = None


async def name_of(tx: Tx, t: Translator, talk: Conversation) -> str:
    """What the other side of a conversation is called."""
    from_visitor = await tx.get(Visitor, talk.visitor_id) if talk.visitor_id else None
    if talk.customer_id is not None:
        known = (await customers.named(tx, [talk.customer_id])).get(talk.customer_id)
        if known is not None and (known.name or known.email):
            return known.name or known.email
    if from_visitor is not None and (from_visitor.typed_name or from_visitor.typed_email):
        return from_visitor.typed_name or from_visitor.typed_email
    return talk.reply_email or t.gettext("Visitor")


async def beside(tx: Tx, desk: Desk, talk: Conversation, shops: Sequence[Store] | None = None) -> Person:
    """The person beside a conversation; for a known one the look is written into the access log. `shops`: all."""
    visitor = await tx.get(Visitor, talk.visitor_id) if talk.visitor_id else None
    claimed = _claimed(desk.t, talk, visitor)
    looking = where(desk.t, visitor.page) if visitor is not None and visitor.page else None
    if talk.customer_id is None:
        key = str(talk.visitor_id or talk.id)
        token = (visitor.store_id, visitor.cart_token) if visitor is not None and visitor.cart_token else None
        held = await carts.of_tokens(tx, {token}) if token is not None else {}
        return Person(
            None, key, await name_of(tx, desk.t, talk), claimed, where=looking,
            carts=[card_of_cart(desk.t, cart) for cart in held.values()],
        )  # fmt: skip
    await privacy.log_access(tx, desk.agent, talk.customer_id, "conversation")
    summary = await customers.summary(tx, talk.customer_id, orders_limit=5)
    known = await of_customer(tx, desk.t, summary, shops)
    others = [other for other in known.talks if other.id != talk.id]
    fresh = [handle for handle in claimed if handle.value not in {had.value for had in known.handles}]
    written = await notes.of(tx, desk, summary.members)
    return replace(known, talks=others, handles=[*known.handles, *fresh], where=looking, notes=written)


def _claimed(t: Translator, talk: Conversation, visitor: Visitor | None) -> list[Handle]:
    """What somebody typed into the chat: shown, never believed."""
    typed = [visitor.typed_email if visitor else "", talk.reply_email]
    unsure = t.gettext(words.TYPED)
    return [Handle("email", value, False, unsure) for value in dict.fromkeys(filter(None, typed))]


async def of_customer(tx: Tx, t: Translator, summary: Summary, shops: Sequence[Store] | None = None) -> Person:
    """A known customer, whole family of profiles together."""
    names = {store.id: store.name for store in shops or await stores.all_stores(tx)}
    several = len(names) > 1
    done = await actions.of_orders(tx, [view.order.id for view in summary.orders])
    orders = [
        replace(_order(t, view, names if several else {}), doings=doings(t, done.get(view.order.id, ())))
        for view in summary.orders
    ]
    carts = [_cart(t, cart, sure, names if several else {}) for cart, sure in summary.open_carts]
    talks = await views.of_customer(tx, summary.members, limit=10)
    step, why = next_step(t, summary.orders, summary.open_carts, datetime.now(UTC))
    row = summary.customer
    return Person(
        id=row.id,
        key=str(row.id),
        name=row.name or row.email or row.phone or t.gettext("Without a name"),
        handles=_handles(t, summary),
        worth=[t.format_money(money) for money in summary.worth],
        orders_count=row.orders_count,
        since=row.first_order_at,
        orders=orders,
        carts=carts,
        talks=talks,
        next_step=step,
        next_why=why,
        note=row.note,
        setbacks=await _setbacks(tx, summary),
    )


async def _setbacks(tx: Tx, summary: Summary) -> Setbacks | None:
    """Asked for only where not all of their orders are here anyway."""
    if not summary.orders:
        return None
    # WooCommerce has no returns of its own: what the team agreed to is known here alone.
    ours = await sent_back(tx, summary.members)
    if len(summary.orders) >= summary.customer.orders_count:
        return setbacks.of_orders(summary.orders, ours)
    return await setbacks.of_family(tx, summary.members, ours)


def _handles(t: Translator, summary: Summary) -> list[Handle]:
    """Each value once, with its best proof: those that are proven come first."""
    seen: dict[tuple[str, str], Handle] = {}
    for handle in summary.handles:
        text = words.PROOFS.get(handle.proof)
        shown = Handle(handle.kind, handle.value, handle.proven_at is not None, t.gettext(text) if text else "")
        seen.setdefault((handle.kind, handle.value), shown)
    return list(seen.values())


async def order_card(tx: Tx, t: Translator, order: Order) -> OrderCard:
    """One order as it stands beside a conversation."""
    names = {store.id: store.name for store in await stores.all_stores(tx)}
    view = (await orders.views(tx, [order]))[0]
    done = await actions.of_orders(tx, [order.id])
    return replace(_order(t, view, names if len(names) > 1 else {}), doings=doings(t, done.get(order.id, ())))


def _order(t: Translator, view: OrderView, names: Mapping[UUID, str]) -> OrderCard:
    order = view.order

    def money(amount: int | None) -> str:
        return t.format_money(Money(amount, order.currency, order.exponent)) if amount is not None else ""

    if order.cancelled_at is not None or order.status == "cancelled":
        states = [words.CANCELLED]
    else:
        found = (words.PAYMENT.get(order.payment_status), words.FULFILMENT.get(order.fulfilment_status))
        states = [state for state in found if state]
    # What waits for somebody is said on the closed card too; what is over, inside.
    under_way = {one.status for one in view.returns}
    states += [words.RETURN[status] for status in ("requested", "open") if status in under_way]
    address = order.shipping_address or {}
    country = t.language.locale.territories.get(str(address.get("country") or "").upper(), address.get("country"))
    place = " · ".join(isolate(part) for part in (address.get("city"), country) if part)
    return OrderCard(
        id=order.id,
        name=order.name,
        store=names.get(order.store_id, ""),
        placed_at=order.placed_at,
        total=t.format_money(view.comes_to or view.total),
        was=t.format_money(view.total) if view.comes_to not in (None, view.total) else "",
        states=states,
        lines=[
            Line(line.title, line.variant_title, line.quantity, money(line.unit_price), _web(view.picture(line)))
            for line in view.lines
        ],
        parcels=[
            Parcel(words.PARCEL.get(parcel.status), parcel.carrier, parcel.tracking_number, _web(parcel.tracking_url))
            for parcel in view.fulfilments
        ],
        returns=[Return(words.RETURN.get(one.status), one.name, one.at) for one in view.returns],
        refunded=money(order.refunded) if order.refunded else "",
        delivery=money(order.shipping_total) if order.shipping_total else "",
        discount=money(-order.discount_total) if order.discount_total else "",
        destination=place,
    )


def card_of_cart(t: Translator, cart: Cart) -> CartCard:
    """A cart of whoever is in front of its browser."""
    return _cart(t, cart, True, {})


def _cart(t: Translator, cart: Cart, sure: bool, names: Mapping[UUID, str]) -> CartCard:
    def money(line: Mapping[str, Any]) -> str:
        price = line.get("unit_price")
        if not isinstance(price, dict) or price.get("amount") is None:
            return ""
        return t.format_money(Money(int(price["amount"]), price["currency"], int(price["exponent"])))

    lines = [
        Line(str(line.get("title") or ""), str(line.get("variant_title") or ""), int(line.get("quantity") or 0),
             money(line), _web(str(line.get("image_url") or "")))
        for line in cart.lines
    ]  # fmt: skip
    total = t.format_money(Money(cart.total, cart.currency, cart.exponent)) if cart.total is not None else ""
    return CartCard(cart.kind, names.get(cart.store_id, ""), total, lines, cart.version, sure)


def next_step(
    t: Translator, orders: Sequence[OrderView], carts: Sequence[tuple[Cart, bool]], now: datetime
) -> tuple[str, str]:
    """The one thing that is worth doing for this person now, and why; empty when nothing is. Pure."""
    for view in orders:
        if view.order.cancelled_at is not None:
            continue
        name = words.order_name(view.order.name)
        if any(parcel.status == "failed" for parcel in view.fulfilments):
            why = t.gettext("The parcel of order %(name)s did not arrive.", name=name)
            return t.gettext("Arrange another delivery"), why
        if any(one.status == "requested" for one in view.returns):
            why = t.gettext("A return of order %(name)s was requested and is not answered.", name=name)
            return t.gettext("Answer the return request"), why
        waits = view.order.fulfilment_status in ("unfulfilled", "partial") and view.order.payment_status == "paid"
        if waits and now - view.order.placed_at > _LATE_ORDER:
            return (
                t.gettext("Say when it will be sent"),
                t.gettext(
                    "Order %(name)s was paid %(when)s and is not sent.",
                    name=name,
                    when=t.relative(view.order.placed_at, now),
                ),
            )
        if view.order.payment_status == "failed":
            why = t.gettext("The payment of order %(name)s failed.", name=name)
            return t.gettext("Offer another way to pay"), why
    for cart, sure in carts:
        if sure and cart.lines and now - cart.version < _OPEN_CART:
            return (
                t.gettext("Ask about the open cart"),
                t.ngettext(
                    "%(num)s product has been waiting in it.",
                    "%(num)s products have been waiting in it.",
                    len(cart.lines),
                ),
            )
    return "", ""


def _web(url: str) -> str:
    """An address that a link may carry: stores send it, so it may be anything."""
    return url if url.startswith(("https://", "http://")) else ""
