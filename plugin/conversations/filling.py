"""What the names of a macro stand for in one conversation, in the language of the answer."""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit
from uuid import UUID

from plugin.conversations import ties
from plugin.conversations.conversations import Conversation
from plugin.conversations.wording import Name
from plugin.crm import customers
from plugin.crm import orders as orders_room
from plugin.crm.orders import OrderView
from plugin.crm.visitors import Visitor
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.stores import Store
from plugin.team import Agent

_ORDERS = 10


async def values(tx: Tx, conversation: Conversation, agent: Agent | None, t: Translator) -> Mapping[str, str]:
    """What is known here, and who answers: nobody where a rule does.

    `t` speaks the language of the answer, in the time zone of the store.

    The customer is who was proven to write; a name that was only typed counts as a name, an address does not. The order
    is the one that the conversation is tied to; else the latest of its store that was not called off, else the latest
    anywhere. Somebody else's order that it is tied to speaks only through a person, who reads it before it is sent.
    """
    store = await tx.get(Store, conversation.store_id) if conversation.store_id else None
    found = {Name.AGENT_NAME: agent.name, Name.AGENT_FIRST_NAME: _first(agent.name)} if agent is not None else {}
    if store is not None:
        found |= {Name.STORE_NAME: store.name, Name.STORE_LINK: _web(store.url)}
    name, email, orders = await _customer(tx, conversation)
    found |= {Name.CUSTOMER_NAME: name, Name.CUSTOMER_FIRST_NAME: _first(name), Name.CUSTOMER_EMAIL: email}
    tied = await _tied(tx, conversation, {view.order.customer_id for view in orders}, alone=agent is None)
    if (order := tied or _order(orders, conversation)) is not None:
        found |= _of_order(order, t)
    return {name: value for name, value in found.items() if value}


async def _customer(tx: Tx, conversation: Conversation) -> tuple[str, str, Sequence[OrderView]]:
    if conversation.customer_id is not None:
        summary = await customers.summary(tx, conversation.customer_id, orders_limit=_ORDERS)
        return summary.customer.name, summary.customer.email, summary.orders
    visitor = await tx.get(Visitor, conversation.visitor_id) if conversation.visitor_id else None
    return (visitor.typed_name if visitor else ""), "", ()


async def _tied(
    tx: Tx, conversation: Conversation, theirs: Collection[UUID | None], *, alone: bool
) -> OrderView | None:
    found = [order for order in await ties.orders(tx, conversation.id) if not alone or order.customer_id in theirs]
    return (await orders_room.views(tx, found[:1]))[0] if found else None


def _order(orders: Sequence[OrderView], conversation: Conversation) -> OrderView | None:
    standing = [view for view in orders if view.order.cancelled_at is None and view.order.status != "cancelled"]
    here = [view for view in standing if view.order.store_id == conversation.store_id]
    return next(iter((*here, *standing, *orders)), None)


def _of_order(view: OrderView, t: Translator) -> dict[Name, str]:
    order = view.order
    parcel = next((one for one in view.fulfilments if one.tracking_number or one.tracking_url), None)
    found = {
        Name.ORDER_NUMBER: order.name,
        Name.ORDER_TOTAL: t.format_money(view.total),
        Name.ORDER_DATE: t.format_date(order.placed_at, "long"),
        Name.ORDER_LINK: _web(order.status_url),
    }
    if parcel is not None:
        found |= {
            Name.TRACKING_NUMBER: parcel.tracking_number,
            Name.TRACKING_LINK: _web(parcel.tracking_url),
            Name.TRACKING_CARRIER: parcel.carrier,
        }
    return found


def _first(name: str) -> str:
    # عبد is half a name: عبد الله, عبد الرحمن.
    words = name.split()
    if len(words) > 1 and words[0] == "عبد":
        return " ".join(words[:2])
    return words[0] if words else ""


def _web(url: str) -> str:
    """An address that may be sent to a shopper: stores tell it, so it may be anything."""
    return url if urlsplit(url).scheme in ("http", "https") else ""
