"""An order of its own: as a page, as a sheet above a conversation; and tying a conversation to orders and returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from starlette.responses import Response

from admin_ui import order_links, words
from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.pages import conversation, person
from plugin import privacy, stores
from plugin.conversations import ties
from plugin.conversations.conversations import Conversation
from plugin.conversations.ties import ORDER, RETURN, Thing
from plugin.crm import customers, identities
from plugin.crm.orders import Order, number_of
from plugin.kernel.db import Tx
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.returns import records
from plugin.returns.records import ReturnRequest

_OFFERED = 8

_DONE: Mapping[tuple[str, bool], Lazy] = {
    (ORDER, True): _("Tied to the order %(name)s."),
    (ORDER, False): _("No longer tied to the order %(name)s."),
    (RETURN, True): _("Tied to the return %(name)s."),
    (RETURN, False): _("No longer tied to the return %(name)s."),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An order or a return that is offered, or that a conversation is about. `whose`: another customer's."""

    thing: Thing
    tied: bool
    link: tuple[str, str]
    of_order: str = ""
    store: str = ""
    whose: str = ""


# The order itself


async def one(desk: Desk) -> Response:
    """An order on a page of its own."""
    async with desk.transaction() as tx:
        order = await _order(tx, desk)
        card, owner = await _card(tx, desk, order)
    return desk.page("order.html", order=order, card=card, owner=owner, talk=None, tied=False)


async def sheet(desk: Desk) -> Response:
    """The same above a conversation, which can be tied to it there."""
    asked = desk.request.query_params.get("conversation", "")
    async with desk.transaction() as tx:
        order = await _order(tx, desk)
        talk = await conversation.find(tx, as_id(asked)) if asked else None
        card, owner = await _card(tx, desk, order)
        tied = talk is not None and any(one.id == order.id for one in await ties.orders(tx, talk.id))
    return desk.page("order.html", block="sheet", order=order, card=card, owner=owner, talk=talk, tied=tied)


async def _order(tx: Tx, desk: Desk) -> Order:
    order = await tx.get(Order, desk.path_id())
    if order is None or order.deleted_at is not None:
        raise nothing_here()
    return order


async def _card(tx: Tx, desk: Desk, order: Order) -> tuple[person.OrderCard, Any]:
    if order.customer_id is not None:
        await privacy.log_access(tx, desk.agent, order.customer_id, "conversation")
    known = await customers.named(tx, [order.customer_id]) if order.customer_id is not None else {}
    return await person.order_card(tx, desk.t, order), next(iter(known.values()), None)


# What a conversation is about


async def beside(desk: Desk) -> Response:
    """The orders and returns that a conversation is tied to."""
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        about = await _about(tx, desk, talk)
    return desk.page("ties.html", block="beside", talk=talk, about=about)


async def choose(desk: Desk) -> Response:
    """What the conversation could be tied to: the customer's own, and what the number `number` names."""
    said = desk.request.query_params.get("number", "").strip()[:100]
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        about = await _about(tx, desk, talk)
        offered = await _offered(tx, desk, talk, said)
        known = {one.thing.id for one in about}
    return desk.page(
        "ties.html", block="choose", talk=talk, about=about, said=said,
        offered=[one for one in offered if one.thing.id not in known],
    )  # fmt: skip


async def change(desk: Desk) -> Response:
    """Tie the conversation to an order or a return (`what`, `id`), or untie it (`on` is no)."""
    form = await desk.request.form()
    what, on = str(form.get("what", "")), form.get("on") != "no"
    id = as_id(str(form.get("id", "")))
    async with desk.transaction() as tx:
        talk = await conversation.find(tx, desk.path_id())
        await stores.standing_still(tx, talk.store_id)
        thing = await _thing(tx, what, id)
        changed = await (ties.tie if on else ties.untie)(tx, talk, thing, by=desk.agent)
    headers = desk.headers()
    events: dict[str, Any] = {"ahlan:tied": {}}
    if changed:
        events["ahlan:toast"] = {
            "text": desk.t.gettext(_DONE[what, on], name=isolate(thing.name, "ltr")),
            "action": desk.url(f"conversations/{talk.id}/ties"), "undo": desk.t.gettext("Undo"),
            "values": {"what": what, "id": str(id), "on": "no" if on else "yes"},
        }  # fmt: skip
    return Response(status_code=204, headers={**headers, "hx-trigger": json.dumps(events)})


async def _thing(tx: Tx, what: str, id: UUID) -> Thing:
    if what == ORDER and (order := await tx.get(Order, id)) is not None and order.deleted_at is None:
        return _as_thing(order)
    if what == RETURN and (request := await tx.get(ReturnRequest, id)) is not None:
        return Thing(RETURN, request.id, request.number, request.store_id)
    raise nothing_here()


def _as_thing(order: Order) -> Thing:
    return Thing(ORDER, order.id, order.name, order.store_id)


async def _about(tx: Tx, desk: Desk, talk: Conversation) -> list[Choice]:
    orders = await ties.orders(tx, talk.id)
    requests = [await tx.get(ReturnRequest, id) for id in await ties.returns(tx, talk.id)]
    return await _choices(tx, desk, talk, orders, [one for one in requests if one is not None], tied=True)


async def _offered(tx: Tx, desk: Desk, talk: Conversation, said: str) -> list[Choice]:
    asked = select(Order).where(Order.workspace_id == tx.workspace_id, Order.deleted_at.is_(None))
    if talk.store_id is not None:
        asked = asked.where(Order.store_id == talk.store_id)
    if said:
        asked = asked.where(Order.number == number_of(said), Order.number != "")
    elif talk.customer_id is not None:
        asked = asked.where(Order.customer_id.in_(await identities.family(tx, talk.customer_id)))
    else:
        return []
    orders = list(await tx.scalars(asked.order_by(Order.placed_at.desc(), Order.id.desc()).limit(_OFFERED)))
    requests = await records.of_orders(tx, [order.id for order in orders]) if orders else []
    return await _choices(tx, desk, talk, orders, requests, tied=False)


async def _choices(
    tx: Tx, desk: Desk, talk: Conversation, orders: Sequence[Order], requests: Sequence[ReturnRequest], *, tied: bool
) -> list[Choice]:
    theirs = set(await identities.family(tx, talk.customer_id)) if talk.customer_id is not None else set()
    of_others = [order.customer_id for order in orders if order.customer_id and order.customer_id not in theirs]
    people = await customers.named(tx, of_others)
    for customer_id in of_others:
        await privacy.log_access(tx, desk.agent, customer_id, "conversation")
    shops = {store.id: store.name for store in await stores.all_stores(tx)}
    names = {order.id: order.name for order in orders}
    choices = []
    for order in orders:
        owner = people.get(order.customer_id) if order.customer_id is not None else None
        choices.append(
            Choice(
                _as_thing(order), tied, order_links.address(desk, order.id, talk.id),
                store=shops.get(order.store_id, "") if len(shops) > 1 else "",
                whose=(owner.name or owner.email or desk.t.gettext("Without a name")) if owner is not None else "",
            )
        )  # fmt: skip
    for one in requests:
        order_name = names.get(one.order_id) or getattr(await tx.get(Order, one.order_id), "name", "")
        link = (desk.url(f"returns/{one.id}"), "")
        thing = Thing(RETURN, one.id, one.number, one.store_id)
        choices.append(Choice(thing, tied, link, of_order=words.order_name(order_name) if order_name else ""))
    return choices
