"""The shopper's own orders in the widget: finding one and proving whose it is, where it stands, what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import mailboxes
from plugin.crm import orders, tracking, visitors, whereabouts
from plugin.crm.orders import OrderView
from plugin.crm.tracking import Standing, Usual
from plugin.kernel.crypto import Vault
from plugin.kernel.errors import AhlanError, NotFound, TooMany
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.text import normalise, normalise_phone
from plugin.kernel.web import Web
from plugin.returns import claims, proof, records, self_service
from plugin.returns.claims import Claim, Wish
from plugin.returns.records import ReturnRequest
from plugin.returns.self_service import Door, Rules
from plugin.stores import Store
from plugin.widget import changing, session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.order_strings import strings
from plugin.widget.remember import Remembered
from plugin.widget.session import Pass
from plugin.widget.wire import body, held, json, moment, money, web_address

_USUAL_SECONDS = 3600
_WORDS_SECONDS = 600

LOOKING = Limit("orders", 60, visitor=120, address=2400)
ASKING = Limit("order asked", 3600, visitor=10, address=60)
ASKED_FOR = Limit("order asked for", 3600, visitor=20)
"""How often one order number, and one address, may be asked for: whether it is anybody's or not."""
FROM_HERE = Limit("order asked from here", 3600, visitor=3)
"""The same order and contact from one network. Fewer than `proof.CODES_AN_HOUR`: whoever knows somebody's order and
address can use up a part of its codes, and those who own it get theirs at home."""
GUESSING = Limit("order code", 600, visitor=20, address=120)
CALLING = Limit("order call", 3600, visitor=5, address=40)


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """Everything below `/widget/orders`."""
    edges = Orders(app, web, limits)
    return [
        Route("/widget/orders/words", edges.words),
        Route("/widget/orders", edges.list),
        Route("/widget/orders/sign-in", edges.sign_in, methods=["POST"]),
        Route("/widget/orders/sign-out", edges.sign_out, methods=["POST"]),
        Route("/widget/orders/find", edges.find, methods=["POST"]),
        Route("/widget/orders/code", edges.code, methods=["POST"]),
        Route("/widget/orders/call", edges.call, methods=["POST"]),
        Route("/widget/orders/{order:uuid}", edges.order),
        *changing.routes(app, web, limits),
        Route("/widget/orders/{order:uuid}/problem", edges.problem, methods=["POST"]),
    ]


class Sought(msgspec.Struct):
    """What a guest says of an order."""

    number: str
    contact: str


class Word(msgspec.Struct):
    """What the window of a sign-in handed over."""

    word: str


class Given(msgspec.Struct):
    """The code that came."""

    asked: UUID
    code: str


class Called(msgspec.Struct):
    """A request by somebody who can get no code."""

    client_id: UUID
    number: str
    phone: str
    words: str


class Problem(msgspec.Struct):
    """Something is wrong with an order. `lines` are ids and quantities of what is concerned."""

    client_id: UUID
    kind: Claim
    words: str = ""
    lines: Mapping[str, int] = {}
    photos: list[UUID] = []
    wish: Wish = Wish.NONE


class Orders:
    """The endpoints, with what they share in this process."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        self.app = app
        self.web = web
        self.limits = limits
        self._usual: Remembered[UUID, Usual] = Remembered(_USUAL_SECONDS)

    async def words(self, request: Request) -> Response:
        """What these screens say, in one language: asked for when they are first opened."""
        translator = self.web.translator(request)
        answer = json(strings(translator.gettext, translator.ngettext))
        answer.headers["cache-control"] = f"public, max-age={_WORDS_SECONDS}"
        return answer

    async def list(self, request: Request) -> Response:
        """The orders that are proven to be this shopper's."""
        held = await self._held(request)
        async with self.app.db.transaction(held.workspace_id) as tx:
            visitor = await session.visitor_of(tx, held)
            rules = await self_service.open_door(tx, held.store_id)
            views = await proof.theirs(tx, held.shopper())
            usual = await self._usually(tx, held.store_id)
            codes = await self._codes(tx, held.store_id)
            signed_in = held.customer_id is not None and await visitors.signed_in(tx, visitor) is not None
            store = await self._store(tx, held)
            words = self._words(held, store)
        return json(
            {
                "signed_in": held.customer_id is not None,
                "sign_in": ""
                if held.customer_id is not None
                else await self.app.platforms[store.platform].account_sign_in(store.connection()),
                "sign_out": signed_in,
                "codes": codes,
                "orders": [_short(view, _standing(view, usual), words, rules) for view in views],
            }
        )

    async def sign_in(self, request: Request) -> Response:
        """They signed in with their account at the shop, and this is the platform's word for it.

        Answers with the secret that this browser goes on with: a browser that was another's begins anew.
        """
        held = await self._held(request)
        said = await body(request, Word)
        await self.limits.spend(GUESSING, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await self_service.open_door(tx, held.store_id)
            store = await self._store(tx, held)
        external_id = await session.vouched(self.app, store, said.word)
        if not external_id:
            raise _unsigned()
        async with self.app.db.transaction(held.workspace_id) as tx:
            await stores.standing_still(tx, store.id)
            visitor, secret = await session.visitor_of(tx, held), None
            customer_id = await session.customer(tx, store, external_id)
            if customer_id is None:
                raise _unsigned()
            if visitor.customer_id not in (None, customer_id):
                visitor, secret = await visitors.open_visitor(tx, store, None, locale=held.locale)
            await visitors.sign_in(tx, visitor, customer_id)
            await threads.attach(tx, visitor.id, customer_id)
        return json({"secret": secret})

    async def sign_out(self, request: Request) -> Response:
        """Out again, in this browser only: the account at the shop stays as it is."""
        held = await self._held(request)
        async with self.app.db.transaction(held.workspace_id) as tx:
            await visitors.sign_out(tx, await session.visitor_of(tx, held))
        return Response(status_code=204)

    async def find(self, request: Request) -> Response:
        """Ask for an order by its number. The same answer, from the same work, whether there is one or not."""
        held = await self._held(request)
        sought = await body(request, Sought)
        await self._spend_code(ASKING, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await self_service.open_door(tx, held.store_id)
            store = await self._store(tx, held)
        wanted = proof.read(sought.number, sought.contact, store.country)
        for what in (wanted.number, wanted.contact):
            await self._spend_code(ASKED_FOR, visitor=_hidden(self.app.vault, store, what))
        here = f"{wanted.number} {wanted.contact} {address_of(request)}"
        await self._spend_code(FROM_HERE, visitor=_hidden(self.app.vault, store, here))
        async with self.app.db.transaction(held.workspace_id) as tx:
            asked = await proof.ask(tx, store, held.visitor_id, wanted, locale=held.locale)
        return json({"asked": str(asked), "minutes": int(proof.CODE_LASTS / timedelta(minutes=1))})

    async def code(self, request: Request) -> Response:
        """The code that came: it opens the order to this browser."""
        held = await self._held(request)
        given = await body(request, Given)
        await self.limits.spend(GUESSING, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await self_service.open_door(tx, held.store_id)
            order_id = await proof.check(self.app.vault, tx, given.asked, held.visitor_id, given.code)
        if order_id is None:
            raise AhlanError(
                _("This code is not right, or no longer good."),
                _("Look at the newest message again, or have a new code sent."),
                code="order_code",
                status=403,
            )
        return json({"order": str(order_id)})

    async def call(self, request: Request) -> Response:
        """A request without a code: nothing is shown or done before a person of the shop has called back."""
        held = await self._held(request)
        called = await body(request, Called)
        await self.limits.spend(CALLING, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            await self_service.open_door(tx, held.store_id)
            store = await self._store(tx, held)
            proof.read_number(called.number)
            phone = normalise_phone(normalise(called.phone[:60]), store.country or None) or ""
            words = self.app.catalogues.translator(held.locale or store.locale)
            await claims.call_back(
                tx, held.shopper(), called.client_id, store,
                number=called.number, phone=phone, text=called.words, words=words,
                catalogues=self.app.catalogues,
            )  # fmt: skip
        return Response(status_code=204)

    async def order(self, request: Request) -> Response:
        """One order: where it stands and what is in it."""
        held = await self._held(request)
        async with self.app.db.transaction(held.workspace_id) as tx:
            view = await proof.order_of(tx, held.shopper(), request.path_params["order"])
            rules = await self_service.open_door(tx, held.store_id)
            usual = await self._usually(tx, held.store_id)
            returns = await records.of_order(tx, view.order.id)
            standing = _standing(view, usual)
            alone = await changing.offered(tx, held, view, standing)
            told = await claims.of_order(tx, view.order.id)
            words = self._words(held, await self._store(tx, held))
        return json(
            {
                **_whole(view, standing, words, rules),
                "alone": alone,
                "claims": [{"kind": one.kind, "state": one.state, "at": moment(one.created_at)} for one in told],
                "returns": [_returned(one) for one in returns if one.public_id],
                "may": ["return"] if rules.returns and not standing.cancelled else [],
            }
        )

    async def problem(self, request: Request) -> Response:
        """Something did not arrive, or not as it should have: it becomes a conversation of the shopper's."""
        held = await self._held(request)
        said = await body(request, Problem)
        await self.limits.spend(CALLING, visitor=str(held.visitor_id), address=address_of(request))
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            await self_service.open_door(tx, held.store_id, Door.CLAIMS)
            view = await proof.order_of(tx, held.shopper(), request.path_params["order"])
            store = await self._store(tx, held)
            await claims.report(
                tx, held.shopper(), said.client_id, store, view, said.kind, said.lines, said.words, said.photos,
                wish=said.wish,
                words=self.app.catalogues.translator(held.locale or store.locale), catalogues=self.app.catalogues,
            )  # fmt: skip
        return Response(status_code=204)

    # Shared

    async def _held(self, request: Request) -> Pass:
        passed = held(self.app.vault, request)
        await self.limits.spend(LOOKING, visitor=str(passed.visitor_id), address=address_of(request))
        return passed

    async def _spend_code(self, limit: Limit, *, visitor: str, address: str = "") -> None:
        """Count a code that was asked for. Raises TooMany, which says what helps instead: an hour is long."""
        try:
            await self.limits.spend(limit, visitor=visitor, address=address)
        except TooMany as error:
            raise TooMany(
                _("No more codes can be sent within this hour."),
                _("Look for the newest one, also in your spam folder, or ask the shop to call you."),
                retry_after=error.retry_after,
            ) from error

    def _words(self, held: Pass, store: Store) -> Translator:
        """The shopper's language, the shop's days."""
        language = self.app.catalogues.negotiate(None, preferred=held.locale or store.locale)
        return self.app.catalogues.translator(language, timezone=store.timezone)

    async def _store(self, tx: Any, held: Pass) -> Store:
        store = await stores.get(tx, held.store_id)
        if store is None or store.status == stores.UNINSTALLED:
            raise NotFound(_("The chat of this shop is not available."))
        return store

    async def _codes(self, tx: Any, store_id: UUID) -> bool:
        """Whether a code can leave at all: otherwise a person has to call back."""
        sms = self.app.channels.get(proof.SMS)
        return await mailboxes.can_send(self.app, tx, store_id) or (sms is not None and sms.ready(None))

    async def _usually(self, tx: Any, store_id: UUID) -> Usual:
        known = self._usual.get(store_id)
        return known or self._usual.put(store_id, await orders.usual_times(tx, store_id))


def _unsigned() -> AhlanError:
    return AhlanError(
        _("You are not signed in."),
        _("Try once more, or find your order by its number."),
        code="account_unsigned",
        status=403,
    )


def _hidden(vault: Vault, store: Store, what: str) -> str:
    """What is counted about somebody's address lies in Valkey as a keyed hash."""
    return vault.fingerprint("order asked for", f"{store.id} {what}")[:32]


def _standing(view: OrderView, usual: Usual) -> Standing:
    order = view.order
    return tracking.standing(
        order.placed_at, order.fulfilment_status, order.cancelled_at, view.fulfilments, usual, pickup=order.pickup
    )


def _returned(one: ReturnRequest) -> dict[str, Any]:
    return {"id": one.public_id, "number": one.number, "state": one.state, "at": moment(one.created_at)}


def _short(view: OrderView, standing: Standing, words: Translator, rules: Rules) -> dict[str, Any]:
    order = view.order
    pictured = next((view.picture(line) for line in view.there if view.picture(line)), "")
    where = {
        "step": "cancelled" if standing.cancelled else standing.shown,
        "late": standing.late,
        "where": whereabouts.sentence(words, order.name, standing),
    }
    # A shop that says itself where orders are shows them for what they hold alone.
    return (where if rules.orders else {"step": "", "late": False, "where": ""}) | {
        "id": str(order.id),
        "name": order.name,
        "at": moment(order.placed_at),
        "total": money(view.comes_to),
        "items": sum(map(view.count, view.lines)),
        "picture": web_address(pictured),
    }


def _steps(standing: Standing) -> list[dict[str, Any]]:
    moments = dict(standing.moments)
    if standing.fetched:
        reached = tracking.FETCHING.index(standing.shown)
        at = (moments[tracking.Step.ORDERED], None, moments.get(tracking.Step.DELIVERED))
        return [
            {"step": step, "at": moment(at[place]), "done": place <= reached}
            for place, step in enumerate(tracking.FETCHING)
        ]
    last = standing.moments[-1][0]
    return [
        {"step": step, "at": moment(moments.get(step)), "done": step in moments}
        for step in tracking.COURSE
        # Nobody told of these two on the way to a later one: then they say nothing.
        if step in (tracking.Step.ORDERED, tracking.Step.SHIPPED, tracking.Step.DELIVERED) or step == last
    ]


def _whole(view: OrderView, standing: Standing, words: Translator, rules: Rules) -> dict[str, Any]:
    order = view.order
    return {
        **_short(view, standing, words, rules),
        # By when it should be there, and that it is late, stand below in rows of their own.
        "where": whereabouts.place(words, order.name, standing) if rules.orders else "",
        "steps": _steps(standing) if rules.orders else [],
        "expected": moment(standing.expected) if rules.orders else None,
        "promised": standing.promised,
        "pickup": standing.fetched,
        "parts": standing.parts,
        "usual_days": -(-int(standing.usual.total_seconds()) // 86_400) if standing.usual else None,
        "parcels": [
            {
                "carrier": parcel.carrier,
                "number": parcel.number,
                "link": parcel.link,
                "step": parcel.step,
                "failed": parcel.failed,
                "shipped": moment(parcel.shipped_at),
                "delivered": moment(parcel.delivered_at),
                "proof": web_address(parcel.proof),
            }
            for parcel in standing.parcels
            if rules.orders
        ],
        "lines": [
            {
                "id": line.external_id,
                "title": line.title,
                "variant": line.variant_title,
                "quantity": view.count(line),
                "price": money(
                    Money(line.unit_price, order.currency, order.exponent) if line.unit_price is not None else None
                ),
                "picture": web_address(view.picture(line)),
            }
            for line in view.there
        ],
        "url": web_address(order.status_url) if rules.orders else "",
        "problems": claims.offered(standing) if rules.claims else [],
    }
