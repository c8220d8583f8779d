"""The platform's own account pages: our extension there, for whoever the platform says is signed in.

Every call carries the platform's token (minutes, for our app alone); nothing is kept in the browser and no cookie is
read, so any page may ask (an extension runs on an origin of the platform's or on none) and only the token counts. Below
it the screens of the widget answer: an order of somebody else's is not there, whoever names it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.crm import visitors
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound, Unauthorized
from plugin.kernel.lazy import _
from plugin.kernel.web import Web
from plugin.returns import self_service
from plugin.returns.self_service import Door
from plugin.stores import Store
from plugin.widget import files, session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.orders import Orders
from plugin.widget.session import Pass
from plugin.widget.ways import Ways
from plugin.widget.wire import PASS, json

ASKING = Limit("account pages", 60, visitor=120, address=2400)
OPEN_TO_ALL = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Authorization, Content-Type, Accept-Language",
    "access-control-max-age": "7200",
}
_LONGEST = 100

Screen = Callable[[Request], Awaitable[Response]]


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """Everything below `/widget/account/{platform}`."""
    pages = Account(app, web, limits)
    mine, back = Orders(app, web, limits), Ways(app, web, limits)
    base = "/widget/account/{platform}"
    open_to = pages.open_to
    return [
        Route(f"{base}/order", open_to(pages.order), methods=["GET", "OPTIONS"]),
        Route(f"{base}/photos", open_to(pages.photo), methods=["POST", "OPTIONS"]),
        Route(f"{base}/orders/{{order:uuid}}", open_to(mine.order), methods=["GET", "OPTIONS"]),
        Route(f"{base}/orders/{{order:uuid}}/offer", open_to(back.offer), methods=["GET", "OPTIONS"]),
        Route(f"{base}/orders/{{order:uuid}}/places", open_to(back.places), methods=["GET", "OPTIONS"]),
        Route(f"{base}/orders/{{order:uuid}}/decision", open_to(back.decision), methods=["POST", "OPTIONS"]),
        Route(f"{base}/orders/{{order:uuid}}/returns", open_to(back.submit), methods=["POST", "OPTIONS"]),
        Route(f"{base}/returns/{{id}}", open_to(back.find), methods=["GET", "OPTIONS"]),
        Route(f"{base}/returns/{{id}}/cancel", open_to(back.cancel), methods=["POST", "OPTIONS"]),
    ]


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody whom the platform names: the store, and their id there."""

    store: Store
    customer_external_id: str


class Account:
    """Who asks, before a screen answers."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        self.app = app
        self.web = web
        self.limits = limits

    def open_to(self, screen: Screen) -> Screen:
        """A screen for whoever the platform's token names; errors leave in JSON, and readable by the extension too."""

        async def answer(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=OPEN_TO_ALL)
            try:
                request.scope[PASS] = await self._identified(request)
                answered = await screen(request)
            except AhlanError as error:
                answered = self.web.error(request, error, page=False)
            answered.headers.update(OPEN_TO_ALL)
            return answered

        return answer

    async def order(self, request: Request) -> Response:
        """An order by the platform's own id of it."""
        held: Pass = request.scope[PASS]
        asked = request.query_params.get("id", "")[:_LONGEST]
        async with self.app.db.transaction(held.workspace_id) as tx:
            found = await tx.scalar(
                select(Order.id).where(
                    Order.workspace_id == held.workspace_id,
                    Order.store_id == held.store_id,
                    Order.external_id == asked,
                    # Whose it is, before anything is said of it.
                    Order.customer_id == held.customer_id,
                    Order.deleted_at.is_(None),
                    Order.erased_at.is_(None),
                )
            )
            await self_service.open_door(tx, held.store_id, Door.RETURNS)
        if found is None:
            raise NotFound(_("This order is not in your account."), _("Ask the shop."), code="order_unproven")
        return json({"id": str(found)})

    async def photo(self, request: Request) -> Response:
        """A photo or a film of what goes back, kept until a return names it."""
        held: Pass = request.scope[PASS]
        async with self.app.db.transaction(held.workspace_id) as tx:
            await self_service.open_door(tx, held.store_id, Door.RETURNS)
        kept = await files.keep(self.app, self.limits, held, request)
        return json({"id": kept["id"], "name": kept["name"]})

    async def _identified(self, request: Request) -> Pass:
        await self.limits.spend(ASKING, address=address_of(request))
        signed = await self._signed(request)
        words = self.web.translator(request)
        async with self.app.db.transaction(signed.store.workspace_id) as tx:
            await stores.standing_still(tx, signed.store.id)
            held = await self._pass(tx, signed, words.locale)
        await self.limits.spend(ASKING, visitor=str(held.visitor_id))
        return held

    async def _signed(self, request: Request) -> Signed:
        """Raises Unauthorized for a token that is not good, and where nobody is signed in."""
        platform = self.app.platforms.get(request.path_params["platform"])
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        found = await platform.account_identity(token) if platform is not None and scheme.lower() == "bearer" else None
        if found is None:
            raise Unauthorized(_("This page was open for a long time."), _("Load it again."))
        if not found.customer_external_id:
            raise Unauthorized(_("You are not signed in."), _("Sign in to your account and try again."))
        async with self.app.db.transaction(found.workspace_id) as tx:
            store = await stores.get(tx, found.store_id)
        if store is None or store.status == stores.UNINSTALLED:
            raise NotFound(_("This shop takes no returns here any more."), _("Ask the shop."))
        return Signed(store, found.customer_external_id)

    async def _pass(self, tx: Tx, signed: Signed, locale: str) -> Pass:
        """Their account as a browser of its own: one for all their devices, whose secret nobody holds.

        Made out of what is asked, so that whoever comes twice is met again, and proofs of a browser that they used as
        a guest are not among theirs.
        """
        store = signed.store
        customer_id = await session.customer(tx, store, signed.customer_external_id)
        if customer_id is None:
            raise Unauthorized(_("You are not signed in."), _("Sign in to your account and try again."))
        name = self.app.vault.fingerprint("account pages", f"{store.id} {signed.customer_external_id}")
        visitor = await visitors.meet(tx, store.id, bytes.fromhex(name))
        if visitor.customer_id != customer_id:
            # Of a customer who was put together with another since.
            visitor.customer_id = None
        await visitors.identify(tx, visitor, customer_id)
        return Pass(tx.workspace_id, store.id, visitor.id, customer_id, None, locale)
