"""Sending something back, in the widget: how it gets there, what else there is, changing it, paying the rest."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.carrier import Place
from plugin.crm.orders import Order
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx
from plugin.kernel.errors import NotFound
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import harmless
from plugin.kernel.web import Web
from plugin.platform import PlatformError
from plugin.returns import records, requests, shipping, telling
from plugin.returns.goods import products_of
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import Kind
from plugin.stores import Store
from plugin.widget import returning, session
from plugin.widget.limits import Limits
from plugin.widget.returning import DOING, Returning, Wish
from plugin.widget.wire import body, json, money, web_address

MOST_FOUND = 12
LOCATE_SECONDS = 6.0
_REMEMBERED = 1000


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """What is beside an order's offer, and changing a return."""
    edges = Ways(app, web, limits)
    return [
        Route("/widget/orders/{order:uuid}/instead", edges.instead),
        Route("/widget/orders/{order:uuid}/places", edges.places),
        Route("/widget/returns/{id}/offer", edges.change_offer),
        Route("/widget/returns/{id}/decision", edges.change_decision, methods=["POST"]),
        Route("/widget/returns/{id}/change", edges.change, methods=["POST"]),
        Route("/widget/returns/{id}/pay", edges.pay, methods=["POST"]),
    ]


class Changed(msgspec.Struct):
    """A wish that stands for the one before; `digest` names what was shown to come of it."""

    wish: Wish
    digest: str


class Ways(Returning):
    """The endpoints, beside those of a return itself."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        super().__init__(app, web, limits)
        self._located: dict[tuple[str, ...], tuple[float, float] | None] = {}

    async def instead(self, request: Request) -> Response:
        """What the shop has in stock by these words, for an exchange."""
        held, view = await self._order(request)
        asked = " ".join(harmless(request.query_params.get("q", "")).split())[:80]
        async with self.app.db.transaction(held.workspace_id) as tx:
            found = await products_of(tx, held.store_id, view.order.currency, words=asked, most=MOST_FOUND)
        return json({"products": [_thing(variant, product) for variant, product in found]})

    async def places(self, request: Request) -> Response:
        """Where it can be handed over, the nearest first: near a postcode or town that was typed, else the address."""
        held, view = await self._order(request)
        kind = request.query_params.get("kind", "")
        if kind not in set(Kind):
            raise NotFound(_("There is nothing here."))
        typed = " ".join(harmless(request.query_params.get("near", "")).split())[:60]
        async with self.app.db.transaction(held.workspace_id) as tx:
            order = await tx.get(Order, view.order.id)
            known = await shipping.places_of(tx, held.store_id, Kind(kind))
        told = order.shipping_address or {} if order is not None else {}
        country = shipping.country_of(order) if order is not None else ""
        by_number = any(letter.isdigit() for letter in typed)
        postcode = (typed if by_number else "") if typed else str(told.get("postcode") or "")
        city = ("" if by_number else typed) if typed else str(told.get("city") or "")
        street = "" if typed else str(told.get("line1") or "")
        here = None
        if any(place.where for place in known):
            here = await self._where(held.workspace_id, held.store_id, (street, city, postcode, country))
        found = shipping.near(known, postcode=postcode, city=city, country=country, here=here)
        return json({"places": [returning.place_shown(one) for one in found], "near": typed or postcode or city})

    async def _where(self, workspace_id: UUID, store_id: UUID, asked: tuple[str, ...]) -> tuple[float, float] | None:
        """Where that is on the map, as far as the store's carrier knows; nobody waits long for it."""
        key = (str(store_id), *asked)
        if key in self._located:
            return self._located[key]
        street, city, postcode, country = asked
        async with self.app.db.transaction(workspace_id) as tx:
            settings = await shipping.of_store(tx, store_id)
            opened = await shipping.key_of(tx, self.app.vault, store_id)
        carrier = self.app.carriers.get(settings.carrier) if settings is not None else None
        if carrier is None or not opened:
            return None
        address = Place(line1=street, city=city, postcode=postcode, country=country)
        try:
            async with asyncio.timeout(LOCATE_SECONDS):
                found = await carrier.locate(opened, address)
        except (PlatformError, TimeoutError):
            return None
        while len(self._located) >= _REMEMBERED:
            self._located.pop(next(iter(self._located)))
        self._located[key] = found
        return found

    async def change_offer(self, request: Request) -> Response:
        """What may come back when the return is asked for anew, and what it says so far."""
        held, found = await self._theirs(request)
        gift = request.query_params.get("gift") == "1"
        offer = await self._asked(requests.change_offer(self.app, held.workspace_id, found.id, gift=gift))
        shown = await self._offered(held, offer, found.order_id)
        async with self.app.db.transaction(held.workspace_id) as tx:
            shown["wish"] = await _wish(tx, found)
        return json(shown)

    async def change_decision(self, request: Request) -> Response:
        """What comes back for a changed choice. Nothing happens."""
        held, found = await self._theirs(request)
        wish = await body(request, Wish)
        choice = wish.choice(kept=bool(found.photos))
        decided = await self._asked(requests.change_decision(self.app, held.workspace_id, found.id, choice))
        offer = None
        if decided.refused:
            offer = await self._asked(requests.change_offer(self.app, held.workspace_id, found.id, gift=wish.gift))
        return json(returning.decision_shown(decided, offer, self._words(held)))

    async def change(self, request: Request) -> Response:
        """Ask for something else: exactly what was shown."""
        held, found = await self._theirs(request, spend=True)
        wanted = await body(request, Changed)
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            await returning.pictures(tx, wanted.wish.photos, held.shopper().actor)
        made = await self._asked(
            requests.change(
                self.app, held.workspace_id, found.id, wanted.wish.choice(kept=bool(found.photos)),
                decision_digest=wanted.digest, way=wanted.wish.way(), photos=wanted.wish.photos,
                uploader=held.shopper().actor,
            )
        )  # fmt: skip
        return json({"id": made.public_id, "number": made.number})

    async def pay(self, request: Request) -> Response:
        """Where the difference for something dearer is paid; empty once nothing is owed."""
        held, found = await self._theirs(request, spend=True)
        async with self.app.db.transaction(held.workspace_id) as tx:
            store = await tx.get(Store, held.store_id)
        return json({"url": web_address(await self._asked(telling.pay_link(self.app, store, found)))})

    async def _theirs(self, request: Request, *, spend: bool = False) -> tuple[session.Pass, ReturnRequest]:
        held = await self._held(request, *([DOING] if spend else []))
        async with self.app.db.transaction(held.workspace_id) as tx:
            found, _view = await returning.theirs(tx, held, request.path_params["id"])
        return held, found


def _thing(variant: Variant, product: Product) -> dict[str, Any]:
    return {
        "id": variant.external_id,
        "title": " · ".join(dict.fromkeys(filter(None, (product.title, variant.title)))),
        "price": money(Money(variant.price or 0, variant.currency, variant.exponent)),
        "picture": web_address(product.image_url),
    }


async def _wish(tx: Tx, found: ReturnRequest) -> dict[str, Any]:
    """What was asked for, as the screens keep it."""
    choice = found.chosen
    instead = [part.variant_external_id for part in choice.exchange] if choice is not None else []
    titles = [part.title for part in choice.exchange] if choice is not None else []
    lines = await records.lines_of(tx, found.id)
    return {
        "items": {
            line.line_external_id: {
                "quantity": line.quantity, "reason": line.reason, "words": line.words, "kept": line.answers,
                "photos": [], "instead": instead[place] if place < len(instead) else "",
                "other": titles[place] if place < len(titles) else "",
            }
            for place, line in enumerate(lines)
        },
        "resolution": found.resolution,
        "gift": choice.gift if choice is not None else False,
        "photographed": bool(found.photos),
        "method": found.method,
        "place": str(found.place_id) if found.place_id else "",
        "day": found.pickup_on.isoformat() if found.pickup_on else "",
    }  # fmt: skip
