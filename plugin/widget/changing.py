"""What shoppers do to their own orders: cancelling, another address, other goods, the same again.

The merchant's rules are judged here and once more at the confirmation; whether it can still be done, and what it costs,
is the store's own answer (`plugin/returns/self_service.py`). Every call is of an order that this session has proven.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.crm import actions, orders, swaps, tracking
from plugin.crm.actions import DONE, FAILED, UNKNOWN, ActionRow, ByShopper
from plugin.crm.orders import OrderView
from plugin.crm.products import Product, Variant
from plugin.crm.tracking import Standing, Usual
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import isolate
from plugin.kernel.web import Web
from plugin.platform import Bought, Cancel, Change, LineChange, OrderAction, PlatformError, Readdress
from plugin.returns import proof, self_service
from plugin.returns.self_service import Doing, Door
from plugin.stores import Store
from plugin.widget import session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.session import Pass
from plugin.widget.wire import body, held, json, moment, money, web_address

LOOKING = Limit("order looked at", 60, visitor=30, address=600)
DOING = Limit("order changed", 3600, visitor=20, address=200)
_LONG = 200


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """What is below an order: looking at a change, doing it, asking for it."""
    edges = Changing(app, web, limits)
    return [
        Route("/widget/orders/{order:uuid}/goods", edges.goods),
        Route("/widget/orders/{order:uuid}/address", edges.address),
        Route("/widget/orders/{order:uuid}/again", edges.again),
        Route("/widget/orders/{order:uuid}/look", edges.look, methods=["POST"]),
        Route("/widget/orders/{order:uuid}/do", edges.do, methods=["POST"]),
        Route("/widget/orders/{order:uuid}/pay", edges.pay, methods=["POST"]),
        Route("/widget/orders/{order:uuid}/ask", edges.ask, methods=["POST"]),
        Route("/widget/orders/{order:uuid}/doings/{doing:uuid}", edges.doing),
    ]


class Place(msgspec.Struct):
    """Where the order goes. The country is the order's own: another one costs another delivery and other taxes."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    province: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""


class Line(msgspec.Struct):
    """What a line becomes."""

    id: str
    quantity: int
    variant: str = ""


class Wanted(msgspec.Struct):
    """What a shopper wants done."""

    kind: Literal["cancel", "address", "change"]
    address: Place | None = None
    lines: list[Line] = []

    def action(self, view: OrderView) -> OrderAction:
        """The same for the platform. Raises AhlanError for what makes no sense of this order."""
        if self.kind == "cancel":
            return Cancel(reason="customer", refund=True, restock=True, notify=True)
        if self.kind == "address":
            return _address(self.address, view)
        return swaps.change([LineChange(one.id, one.quantity, one.variant) for one in self.lines], view)


class Meant(msgspec.Struct):
    """A look that is meant: `seen` names what was shown."""

    doing: UUID
    seen: str


class Asked(msgspec.Struct):
    """What the shop should do instead."""

    client_id: UUID
    kind: Literal["cancel", "address", "change"]
    words: str = ""
    said: str = ""


def _address(place: Place | None, view: OrderView) -> Readdress:
    found = {name: str(getattr(place, name)).strip() for name in Place.__struct_fields__} if place is not None else {}
    if any(len(value) > _LONG for value in found.values()):
        raise AhlanError(_("That request could not be read."), code="malformed", status=422)
    country = found.get("country", "").upper()
    if not (found.get("line1") and found.get("city") and re.fullmatch(r"[A-Z]{2}", country)):
        raise AhlanError(_("An address needs a street and a city."), _("Fill them in, then go on."), code="address")
    known = str((view.order.shipping_address or {}).get("country") or "").upper()
    if known and country != known:
        raise AhlanError(
            _("The order can only go to another place in the same country."), _("Ask the shop about another country."),
            code="address_country",
        )  # fmt: skip
    return Readdress(**{**found, "country": country})


class Changing:
    """The endpoints, with what they share in this process."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        self.app = app
        self.web = web
        self.limits = limits

    async def goods(self, request: Request) -> Response:
        """What is in the order, and what each of it could be instead."""
        held, view, _store = await self._order(request, LOOKING)
        async with self.app.db.transaction(held.workspace_id) as tx:
            others = await swaps.choices(tx, held.store_id, view)
        return json({"lines": [_line(view, line, others) for line in swaps.lines(view)]})

    async def address(self, request: Request) -> Response:
        """Where the order goes, as the store has it now."""
        held, view, store = await self._order(request, LOOKING)
        quote = await self._asked(self_service.look(self.app, store, view.order, Readdress()))
        refused = self_service.refusal(self._words(held, store), quote)
        return json({"address": dict(quote.before), "refused": refused})

    async def look(self, request: Request) -> Response:
        """What would happen. Nothing does."""
        held, view, store = await self._order(request, LOOKING)
        wanted = await body(request, Wanted)
        action = wanted.action(view)
        changed: list[dict[str, Any]] = []
        async with self.app.db.transaction(held.workspace_id) as tx:
            await self_service.allowed(tx, view, _standing(view), Doing(wanted.kind))
            if isinstance(action, Change):
                await swaps.may_have(tx, held.store_id, view, action)
                changed = _becomes(view, action, await swaps.choices(tx, held.store_id, view))
        quote = await self._asked(self_service.look(self.app, store, view.order, action))
        t = self._words(held, store)
        refused = self_service.refusal(t, quote)
        if refused:
            return json({"refused": refused})
        async with self.app.db.transaction(held.workspace_id) as tx:
            row = await actions.prepare(tx, view.order, action, quote, by=_who(held))
        return json(
            {
                "doing": str(row.id),
                "seen": self_service.seen(row),
                "back": money(quote.charged or quote.amount),
                "owed": money(quote.owed),
                "by_hand": quote.by_hand,
                "gateway": quote.gateway,
                "before": dict(quote.before) if wanted.kind == "address" else {},
                "lines": changed,
            }
        )  # fmt: skip

    async def do(self, request: Request) -> Response:
        """They saw it and say so: it goes to the store once this has committed. Said twice it is done once."""
        held, view, store = await self._order(request, DOING)
        meant = await body(request, Meant)
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            row = await self_service.confirm(tx, view, _standing(view), meant.doing, _who(held), meant.seen)
        return json(_doing(row, self._words(held, store)))

    async def doing(self, request: Request) -> Response:
        """How it went; asked again while it is on its way."""
        held, view, store = await self._order(request, LOOKING)
        async with self.app.db.transaction(held.workspace_id) as tx:
            row = await self_service.own(tx, view.order.id, held.visitor_id, request.path_params["doing"])
        return json(_doing(row, self._words(held, store)))

    async def pay(self, request: Request) -> Response:
        """Where what they owe is paid. A bearer link: handed over once it is asked for, kept nowhere."""
        held, view, store = await self._order(request, LOOKING)
        async with self.app.db.transaction(held.workspace_id) as tx:
            rows = await self_service.of_order(tx, view.order.id, held.visitor_id)
        owing = next((row for row in rows if row.state == DONE and row.kind == "change" and row.quoted.owed), None)
        made = owing.done.external_id if owing is not None else ""
        link = await self._asked(
            self.app.platforms[store.platform].pay_link(
                store.connection(), view.order.external_id, "" if made == view.order.external_id else made
            )
        )
        return json({"link": web_address(link)})

    async def ask(self, request: Request) -> Response:
        """What they cannot do alone becomes a message to the team."""
        held, view, store = await self._order(request, DOING)
        asked = await body(request, Asked)
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            await self_service.ask_team(
                tx, held.shopper(), asked.client_id, store, view.order, asked.kind, asked.words[:2000],
                asked.said[:500], t=self._words(held, store), shop=self.app.catalogues.translator(store.locale),
            )  # fmt: skip
        return Response(status_code=204)

    async def again(self, request: Request) -> Response:
        """A cart of the same goods, as far as they are still sold."""
        held, view, store = await self._order(request, LOOKING)
        async with self.app.db.transaction(held.workspace_id) as tx:
            if not (await self_service.open_door(tx, store.id, Door.ORDERS)).again:
                raise NotFound(_("This shop does that itself."))
            sold = await _sold(tx, held.store_id, view)
        goods, gone, titles = [], [], []
        for line in view.lines:
            variant = sold.get(line.variant_external_id or line.product_external_id)
            count = min(line.quantity, variant.stock) if variant and variant.stock is not None else line.quantity
            if variant is None or count <= 0:
                gone.append({"title": line.title, "variant": line.variant_title})
                continue
            goods.append(Bought(variant.external_id, count))
            titles.append({"title": line.title, "variant": line.variant_title, "quantity": count,
                           "picture": web_address(view.picture(line))})  # fmt: skip
        link = self.app.platforms[store.platform].buy_link(store.connection(), goods) if goods else ""
        return json({"link": web_address(link), "goods": titles, "gone": gone})

    # Shared

    async def _order(self, request: Request, spend: Limit) -> tuple[Pass, OrderView, Store]:
        """The session, and the order of the address if it is theirs. Raises NotFound."""
        passed = held(self.app.vault, request)
        await self.limits.spend(spend, visitor=str(passed.visitor_id), address=address_of(request))
        async with self.app.db.transaction(passed.workspace_id) as tx:
            view = await proof.order_of(tx, passed.shopper(), request.path_params["order"])
            store = await stores.get(tx, view.order.store_id)
        if store is None or store.status != stores.CONNECTED:
            raise NotFound(_("The shop does not answer just now. Nothing is lost."))
        return passed, view, store

    def _words(self, held: Pass, store: Store) -> Translator:
        language = self.app.catalogues.negotiate(None, preferred=held.locale or store.locale)
        return self.app.catalogues.translator(language)

    async def _asked(self, question: Any) -> Any:
        """What the store says; its own words where it refuses, and that it says nothing in ours."""
        try:
            return await question
        except PlatformError as error:
            if error.code in ("out_of_stock", "changed"):
                raise AhlanError(
                    _("The shop's system says: %(said)s"), code="store_refused", status=409,
                    values={"said": isolate(error.said)},
                ) from error  # fmt: skip
            raise AhlanError(
                _("The shop does not answer just now. Nothing is lost."), _("Try again in a minute."),
                code="store_away", status=503,
            ) from error  # fmt: skip


def _who(held: Pass) -> ByShopper:
    return ByShopper(held.visitor_id, held.customer_id, held.locale)


def _standing(view: OrderView) -> Standing:
    order = view.order
    return tracking.standing(
        order.placed_at, order.fulfilment_status, order.cancelled_at, view.fulfilments, Usual(), pickup=order.pickup
    )


async def offered(tx: Tx, held: Pass, view: OrderView, standing: Standing) -> dict[str, Any]:
    """What this shopper may do to the order alone, until when, and what they did to it lately."""
    rules = await self_service.rules_of(tx, view.order.store_id)
    now = datetime.now(UTC)
    found: dict[str, Any] = {"again": rules.orders and rules.again, "doings": []}
    for doing in Doing:
        rule = rules.may(doing)
        if self_service.judge(rule, view.order, standing, now) is None and not (
            doing is Doing.ADDRESS and standing.fetched
        ):
            found[doing.value] = {"until": moment(self_service.until(rule, view.order.placed_at))}
    rows = await self_service.of_order(tx, view.order.id, held.visitor_id)
    found["doings"] = [{"id": str(row.id), "kind": row.kind, "state": row.state,
                        "at": moment(row.finished_at or row.sent_at), "owed": money(row.quoted.owed)}
                       for row in rows[:3]]  # fmt: skip
    return found


def _doing(row: ActionRow, t: Translator) -> dict[str, Any]:
    before = row.quoted.before if row.kind == "address" else {}
    return {
        "doing": str(row.id),
        "kind": row.kind,
        "state": row.state,
        "said": row.said if row.state in (FAILED, UNKNOWN) else "",
        "back": money(row.done.amount if row.state == DONE and row.done.amount else row.money),
        "owed": money(row.quoted.owed),
        "by_hand": row.quoted.by_hand,
        "undo": dict(before) if row.state == DONE and before.get("line1") else None,
    }


# Goods


def _line(view: OrderView, line: orders.OrderLine, others: swaps.Choices) -> dict[str, Any]:
    order = view.order
    price = Money(line.unit_price, order.currency, order.exponent) if line.unit_price is not None else None
    return {
        "id": line.external_id,
        "title": line.title,
        "variant": line.variant_title,
        "quantity": orders.held(line),
        "price": money(price),
        "picture": web_address(view.picture(line)),
        "instead": [
            {"id": one.external_id, "title": one.title,
             "price": money(Money(one.price, one.currency, one.exponent) if one.price is not None else None)}
            for one in others.get(line.product_external_id, ())
            if one.external_id != swaps.own(line)
        ],
    }  # fmt: skip


def _becomes(view: OrderView, action: Change, others: swaps.Choices) -> list[dict[str, Any]]:
    """What each line is and becomes: how many, and which kind where it becomes another (`kind` empty: the same)."""
    known = {line.external_id: line for line in view.lines}
    said = []
    for one in action.lines:
        line = known[one.line_external_id]
        found = others.get(line.product_external_id, ())
        kind = next((held.title for held in found if held.external_id == one.variant_external_id), "")
        said.append({"title": line.title, "from": orders.held(line), "to": one.quantity, "was": line.variant_title,
                     "kind": kind if one.variant_external_id != swaps.own(line) else ""})  # fmt: skip
    return said


async def _sold(tx: Tx, store_id: UUID, view: OrderView) -> Mapping[str, Variant]:
    """The variants of the order that can still be bought, by their ids; a simple product by its own."""
    wanted = {line.variant_external_id or line.product_external_id for line in view.lines} - {""}
    rows = await tx.scalars(
        select(Variant)
        .join(Product, (Product.workspace_id == Variant.workspace_id) & (Product.id == Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id, Variant.store_id == store_id, Variant.external_id.in_(wanted),
            Product.deleted_at.is_(None), Product.status.in_(("active", "publish")), Variant.available,
            Variant.stock.is_(None) | (Variant.stock > 0),
        )
    )  # fmt: skip
    return {variant.external_id: variant for variant in rows}
