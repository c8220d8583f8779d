"""Sending something back, in the widget: what may come back, what comes of it, asking for it, and how it goes on.

Every screen is of an order that this very session has proven (`plugin.returns.proof`); a return is reached through its
order, so that its public address alone shows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plugin import stores
from plugin.app import App
from plugin.conversations import attachments
from plugin.conversations import conversations as threads
from plugin.conversations.attachments import Attachment
from plugin.crm.orders import OrderView
from plugin.crm.products import Product, Variant
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.jobs import TaskError
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.web import Web
from plugin.platform import PlatformError
from plugin.return_desk import ExchangePart, ReturnableLine
from plugin.returns import moves, policy_words, proof, records, requests, self_service, shipping, telling
from plugin.returns.policy import Choice, ChoiceLine, Decision, Eligibility, Policy, Reason, Resolution, reasons_for
from plugin.returns.records import ReturnRequest
from plugin.returns.requests import Offer
from plugin.returns.self_service import Door
from plugin.returns.shipping import Method, Near, ReturnPlace, Way
from plugin.returns.states import State, Who
from plugin.stores import Store
from plugin.widget import session
from plugin.widget.limits import Limit, Limits, address_of
from plugin.widget.session import Pass
from plugin.widget.wire import body, held, json, moment, money, web_address

LOOKING = Limit("returns", 60, visitor=60, address=1200)
DOING = Limit("return made", 3600, visitor=20, address=200)
MOST_LINES = 200
PAID_SECONDS = 4.0
TAKEN = frozenset({"image/jpeg", "image/png", "image/webp", "video/mp4", "video/quicktime"})
"""What the team can look at in any browser. Phones make HEIC into JPEG where a page asks for that."""
MOST_VARIANTS = 100


def routes(app: App, web: Web, limits: Limits) -> list[BaseRoute]:
    """What is below an order: its offer, a decision, its returns."""
    edges = Returning(app, web, limits)
    return [
        Route("/widget/orders/{order:uuid}/offer", edges.offer),
        Route("/widget/orders/{order:uuid}/decision", edges.decision, methods=["POST"]),
        Route("/widget/orders/{order:uuid}/returns", edges.submit, methods=["POST"]),
        Route("/widget/returns/{id}", edges.find),
        Route("/widget/returns/{id}/cancel", edges.cancel, methods=["POST"]),
        Route("/widget/returns/{id}/answer", edges.answer, methods=["POST"]),
        Route("/widget/returns/{id}/sent", edges.sent, methods=["POST"]),
    ]


class Item(msgspec.Struct):
    """So many of a line. `kept`: the conditions that were confirmed; `instead`: the variant wanted for it."""

    line: str
    quantity: int
    reason: str
    words: str = ""
    kept: list[str] = []
    photos: list[UUID] = []
    instead: str = ""


class Wish(msgspec.Struct):
    """What a shopper wants of an order."""

    items: list[Item]
    resolution: Resolution
    gift: bool = False
    method: str = ""
    place: UUID | None = None
    day: str = ""

    def way(self) -> Way:
        """How it comes back. Raises AhlanError."""
        try:
            day = date.fromisoformat(self.day) if self.day else None
            return Way(Method(self.method), self.place, day) if self.method else Way()
        except ValueError as error:
            raise AhlanError(_("That request could not be read."), code="malformed", status=422) from error

    def choice(self, *, kept: bool = False) -> Choice:
        """The same for the policy; `kept`: photos of an earlier request are there. Raises AhlanError for too many."""
        if len(self.items) > MOST_LINES or any(len(item.words) > moves.MAX_WORDS for item in self.items):
            raise AhlanError(_("That request could not be read."), code="malformed", status=422)
        swapped = self.resolution is Resolution.EXCHANGE
        return Choice(
            lines=tuple(
                ChoiceLine(item.line, item.quantity, item.reason, item.words, tuple(item.kept), len(item.photos) + kept)
                for item in self.items
            ),
            resolution=self.resolution,
            exchange=tuple(
                ExchangePart(item.instead, item.quantity) for item in self.items if swapped and item.instead
            ),
            gift=self.gift,
        )

    @property
    def photos(self) -> list[UUID]:
        """The photos of all its items."""
        return [photo for item in self.items for photo in item.photos]


class Confirmed(msgspec.Struct):
    """A wish that is meant: `digest` names what was shown to come of it."""

    client_id: UUID
    wish: Wish
    digest: str


class Answer(msgspec.Struct):
    """What the shop asked for."""

    words: str = ""
    photos: list[UUID] = []


class Sent(msgspec.Struct):
    """The parcel is on its way."""

    carrier: str = ""
    number: str = ""


class Returning:
    """The endpoints, with what they share in this process."""

    def __init__(self, app: App, web: Web, limits: Limits) -> None:
        self.app = app
        self.web = web
        self.limits = limits

    async def offer(self, request: Request) -> Response:
        """What of an order may come back today, and what is asked about it."""
        held, view = await self._open(request)
        gift = request.query_params.get("gift") == "1"
        offer = await self._asked(requests.offer(self.app, held.workspace_id, view.order.id, gift=gift))
        return json(await self._offered(held, offer, view.order.id))

    async def decision(self, request: Request) -> Response:
        """What comes back for a choice, line by line. Nothing happens."""
        held, view = await self._open(request)
        wish = await body(request, Wish)
        decided = await self._asked(requests.decide(self.app, held.workspace_id, view.order.id, wish.choice()))
        offer = None
        if decided.refused:
            offer = await self._asked(requests.offer(self.app, held.workspace_id, view.order.id, gift=wish.gift))
        return json(decision_shown(decided, offer, self._words(held)))

    async def submit(self, request: Request) -> Response:
        """Ask for it: exactly what was shown. The same client_id twice is one return."""
        held, view = await self._open(request, spend=DOING)
        wanted = await body(request, Confirmed)
        async with self.app.db.transaction(held.workspace_id) as tx:
            await session.visitor_of(tx, held)
            await stores.standing_still(tx, held.store_id)
            await pictures(tx, wanted.wish.photos, held.shopper().actor)
            # An order without an address of its own has only the chat to be told in.
            head = await threads.shown(tx, held.shopper())
            if head is None and not view.order.email:
                head = await threads.open_for(tx, held.shopper())
        made = await self._asked(
            requests.submit(
                self.app, held.workspace_id, view.order.id, wanted.wish.choice(),
                client_id=wanted.client_id, decision_digest=wanted.digest,
                language=self._words(held).locale, verified=True,
                conversation_id=head.id if head is not None else None,
                photos=wanted.wish.photos, uploader=held.shopper().actor, way=wanted.wish.way(),
            )
        )  # fmt: skip
        return json({"id": made.public_id, "number": made.number})

    async def find(self, request: Request) -> Response:
        """A return as its shopper sees it."""
        held = await self._held(request)
        return json(await self._shown(held, request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        """Call it off."""
        held = await self._held(request, spend=DOING)
        async with self.app.db.transaction(held.workspace_id) as tx:
            found, _view = await theirs(tx, held, request.path_params["id"], lock=True)
            if State(found.state) is not State.CANCELLED:
                await moves.cancel(tx, found, by=Who.SHOPPER)
        return json(await self._shown(held, request.path_params["id"]))

    async def answer(self, request: Request) -> Response:
        """Say what the shop asked for."""
        held = await self._held(request, spend=DOING)
        said = await body(request, Answer)
        async with self.app.db.transaction(held.workspace_id) as tx:
            found, _view = await theirs(tx, held, request.path_params["id"], lock=True)
            await pictures(tx, said.photos, held.shopper().actor)
            await moves.answer(tx, found, said.words, said.photos, uploader=held.shopper().actor, by=Who.SHOPPER)
        return json(await self._shown(held, request.path_params["id"]))

    async def sent(self, request: Request) -> Response:
        """The parcel is on its way; its number helps the shop to see it coming."""
        held = await self._held(request, spend=DOING)
        parcel = await body(request, Sent)
        async with self.app.db.transaction(held.workspace_id) as tx:
            found, _view = await theirs(tx, held, request.path_params["id"], lock=True)
            if State(found.state) is not State.IN_TRANSIT:
                await moves.ship(
                    tx, found, carrier=parcel.carrier[:80], tracking_number=parcel.number[:80], by=Who.SHOPPER
                )
        return json(await self._shown(held, request.path_params["id"]))

    # Shared

    async def _offered(self, held: Pass, offer: Offer, order_id: UUID) -> dict[str, Any]:
        """What may come back and how, as the screens show it."""
        words = self._words(held)
        async with self.app.db.transaction(held.workspace_id) as tx:
            view = await proof.order_of(tx, held.shopper(), order_id)
            instead = await _instead(tx, held.store_id, offer)
            ways = await shipping.offered(tx, held.store_id, shipping.country_of(view.order))
        today = datetime.now(zone_of(offer.policy.policy.zone)).date()
        return _offer(offer, view, instead, words) | {
            "ways": [{"code": one, "words": words.gettext(shipping.NAMES[one])} for one in ways],
            "days": [day.isoformat() for day in shipping.days(today)] if Method.PICKUP in ways else [],
            "any": offer.policy.policy.exchange_any,
            # Whether a choice may turn out to stay with the shopper: that is asked before the way back.
            "keeps": bool(offer.policy.policy.keep_below),
        }

    async def _held(self, request: Request, spend: Limit = LOOKING) -> Pass:
        passed = held(self.app.vault, request)
        await self.limits.spend(spend, visitor=str(passed.visitor_id), address=address_of(request))
        return passed

    async def _order(self, request: Request, spend: Limit = LOOKING) -> tuple[Pass, OrderView]:
        """The session, and the order of the address if it is theirs. Raises NotFound."""
        passed = await self._held(request, spend)
        async with self.app.db.transaction(passed.workspace_id) as tx:
            view = await proof.order_of(tx, passed.shopper(), request.path_params["order"])
        return passed, view

    async def _open(self, request: Request, spend: Limit = LOOKING) -> tuple[Pass, OrderView]:
        """The same, where the shop leaves returns to its customers: what was begun goes on also where it does not."""
        passed, view = await self._order(request, spend)
        async with self.app.db.transaction(passed.workspace_id) as tx:
            await self_service.open_door(tx, passed.store_id, Door.RETURNS)
        return passed, view

    def _words(self, held: Pass) -> Translator:
        return self.app.catalogues.translator(self.app.catalogues.negotiate(None, preferred=held.locale))

    async def _asked(self, question: Any) -> Any:
        """What the store says; that it says nothing is told in words."""
        try:
            return await question
        except (PlatformError, TaskError) as error:
            raise AhlanError(
                _("The shop does not answer just now. Nothing is lost."),
                _("Try again in a minute."),
                code="store_away",
                status=503,
            ) from error

    async def _shown(self, held: Pass, public_id: str) -> dict[str, Any]:
        async with self.app.db.transaction(held.workspace_id) as tx:
            found, view = await theirs(tx, held, public_id)
            lines = await records.lines_of(tx, found.id)
            steps = await records.steps_of(tx, found)
            store = await tx.get(Store, held.store_id)
            may = await _may(tx, found)
            way = await _way(tx, found, self._words(held))
            page = await telling.page_of(self.app, tx, store, found, self._words(held).locale) if store else ""
        owed = _some(found.decided.owed) if found.decision and State(found.state) not in _OVER else None
        if "pay" in may and await self._paid(store, found):
            may.remove("pay")
            owed = None
        words = self._words(held)
        # Nobody asks for them anew while the page stands there: they are good for as long as its session.
        label, slip = (
            attachments.link(self.app.vault, held.workspace_id, str(file), seconds=session.SECONDS) if file else None
            for file in (found.label_file, found.slip_file)
        )
        return {
            "id": found.public_id,
            "number": found.number,
            "order": {"id": str(view.order.id), "name": view.order.name},
            "state": found.state,
            # Asked anew, after a change or once it was opened again, it is not the first request.
            "steps": [
                {"state": "again" if place and state is State.REQUESTED else state, "at": moment(at)}
                for place, (state, at) in enumerate(steps)
            ],
            # What is exchanged stands beside it; the amount is what comes back besides.
            "resolution": words.gettext("You get back")
            if found.resolution == Resolution.EXCHANGE
            else words_of(words, found.resolution),
            "kind": found.resolution,
            "keep": found.keep,
            "cash": _amount(found, found.cash),
            "credit": _amount(found, found.credit + found.bonus),
            "paid": _amount(found, found.paid) if found.paid_at is not None else None,
            "why": telling.declined(words, found) if State(found.state) is State.DECLINED else "",
            "note": found.note if State(found.state) in (State.ASKED, State.DECLINED) else "",
            "carrier": found.carrier,
            "tracking": found.tracking_number,
            "tracking_url": web_address(found.tracking_url),
            "label": label,
            "slip": slip,
            "way": way,
            "instead": [part.title for part in found.chosen.exchange]
            if found.chosen and State(found.state) not in (State.DECLINED, State.CANCELLED)
            else [],
            "owed": owed,
            "lines": [
                {
                    "title": line.title,
                    "variant": line.variant_title,
                    "quantity": line.quantity,
                    "picture": web_address(line.image_url) or _pictured(view, line.line_external_id),
                }
                for line in lines
            ],
            "may": may,
            "shop": store.name if store is not None else "",
            "page": web_address(page),
        }

    async def _paid(self, store: Store | None, found: ReturnRequest) -> bool:
        """Whether the store says that nothing is owed any more. A store that does not say in time is owed it still."""
        try:
            async with asyncio.timeout(PAID_SECONDS):
                return not await telling.pay_link(self.app, store, found)
        except (PlatformError, TaskError, TimeoutError):
            return False


_OVER = frozenset({State.DECLINED, State.CANCELLED, State.CLOSED})


async def _may(tx: Tx, found: ReturnRequest) -> list[str]:
    """What its shopper can do about a return just now: nothing is called off while its money is on its way."""
    names = [name for name in ("cancel", "answer", "ship", "change") if moves.may(found, name, Who.SHOPPER)]
    if await moves.money_under_way(tx, found):
        names = [name for name in names if name not in ("cancel", "change")]
    return [*names, *(["pay"] if found.sent_at and found.decision and _some(found.decided.owed) else [])]


async def pictures(tx: Tx, ids: Sequence[UUID], uploader: str) -> None:
    """Raises AhlanError for what is no photo or video that everybody can look at, whatever it calls itself."""
    kinds = await tx.scalars(
        select(Attachment.media_type).where(
            Attachment.workspace_id == tx.workspace_id, Attachment.id.in_(ids), Attachment.uploader == uploader
        )
    )
    if any(kind not in TAKEN for kind in kinds):
        raise AhlanError(
            _("Only photos (JPEG, PNG, WebP) and videos (MP4, MOV) can be taken here."),
            _("Take the photo again, or send a picture of the screen."),
            code="photo_kind",
            status=415,
        )


async def theirs(tx: Tx, held: Pass, public_id: str, *, lock: bool = False) -> tuple[ReturnRequest, OrderView]:
    """A return and its order, which must be proven to be this session's. Raises NotFound."""
    found = await records.by_public_id(tx, public_id) if 0 < len(public_id) < 60 else None
    if found is None or found.store_id != held.store_id:
        raise _unproven()
    view = await proof.order_of(tx, held.shopper(), found.order_id)
    return (await records.held(tx, found.id) if lock else found), view


def _unproven() -> NotFound:
    """The same for what is not there and for what is another's."""
    return NotFound(
        _("This order is not open in this browser."), _("Find it by its number once more."), code="order_unproven"
    )


async def _instead(tx: Tx, store_id: UUID, offer: Offer) -> Mapping[str, Sequence[tuple[Variant, str]]]:
    """What a line can be exchanged for: the other variants of its product that can be had, by product."""
    wanted = {line.product_external_id for line, judged in offer.lines if Resolution.EXCHANGE in judged.resolutions} - {
        ""
    }
    if not wanted:
        return {}
    rows = await tx.execute(
        select(Variant, Product.external_id.label("product"))
        .join(Product, (Product.workspace_id == Variant.workspace_id) & (Product.id == Variant.product_id))
        .where(
            Variant.workspace_id == tx.workspace_id,
            Product.store_id == store_id,
            Product.external_id.in_(wanted),
            Product.deleted_at.is_(None),
            Variant.available,
            Variant.currency == offer.order.paid.currency,
            Variant.price.is_not(None),
        )
        .order_by(Product.external_id, Variant.title, Variant.external_id)
        .limit(MOST_VARIANTS)
    )
    found: dict[str, list[tuple[Variant, str]]] = {}
    for row in rows:
        variant, product = row.Variant, row.product
        if variant.stock is None or variant.stock > 0:
            found.setdefault(product, []).append((variant, product))
    return found


def words_of(t: Translator, resolution: str) -> str:
    """What a shopper gets, in words; what is unknown is left out."""
    return policy_words.resolution(t, Resolution(resolution)) if resolution in set(Resolution) else ""


def _offer(
    offer: Offer, view: OrderView, instead: Mapping[str, Sequence[tuple[Variant, str]]], t: Translator
) -> dict[str, Any]:
    rules = offer.policy.policy
    offered = {one for _line, judged in offer.lines for one in judged.resolutions}
    return {
        "lines": [_line(line, judged, rules, view, instead.get(line.product_external_id, ()), t)
                  for line, judged in offer.lines],
        "resolutions": {
            one.value: words_of(t, one) for one in Resolution if one in offered
        },
        "open": [{"id": one.public_id, "number": one.number, "state": one.state} for one in offer.open],
    }  # fmt: skip


def _line(
    line: ReturnableLine, judged: Eligibility, rules: Policy, view: OrderView,
    instead: Sequence[tuple[Variant, str]], t: Translator,
) -> dict[str, Any]:  # fmt: skip
    until = judged.until
    return {
        "id": line.external_id,
        "title": line.title,
        "variant": line.variant_title,
        "picture": web_address(line.image_url) or _pictured(view, line.external_id),
        "most": judged.most if judged.resolutions else 0,
        "why_not": policy_words.eligibility(t, judged),
        "until": until.isoformat() if until and judged.resolutions else None,
        "resolutions": sorted(judged.resolutions),
        "reasons": [_reason(one, t) for one in reasons_for(rules.reasons, line.product_types)],
        "conditions": [{"code": one.code, "words": policy_words.condition(t, one)} for one in judged.terms.conditions],
        "photo": judged.terms.photo,
        "instead": [
            {
                "id": variant.external_id,
                "title": variant.title,
                "price": money(Money(variant.price or 0, variant.currency, variant.exponent)),
            }
            for variant, _product in instead
            if variant.external_id != line.variant_external_id
        ],
    }


def _reason(one: Reason, t: Translator) -> dict[str, Any]:
    return {
        "code": one.code,
        "words": policy_words.reason(t, one),
        "photo": one.photo,
        "children": [_reason(child, t) for child in one.children],
    }


def decision_shown(decided: Decision, offer: Offer | None, t: Translator) -> dict[str, Any]:
    """What comes of a choice, as the screens show it."""
    conditions = tuple(one for _line, judged in (offer.lines if offer else ()) for one in judged.terms.conditions)
    return {
        "digest": requests.digest(decided),
        "refused": [
            {"line": one.line_external_id, "words": policy_words.refusal(t, one, conditions)} for one in decided.refused
        ],
        "lines": [
            {
                "id": line.line_external_id,
                "quantity": line.quantity,
                "goods": money(line.goods),
                "fee": money(line.fee) if line.fee.amount else None,
            }
            for line in decided.lines
        ],
        "goods": money(decided.goods),
        "restocking": _some(decided.restocking_fee),
        "shipping": _some(decided.shipping_fee),
        "delivery": _some(decided.delivery),
        "cash": _some(decided.cash),
        "credit": _some(decided.credit),
        "bonus": _some(decided.bonus),
        "owed": _some(decided.owed),
        "capped": decided.capped,
        "keep": decided.keep,
        # Why is the shop's own business.
        "review": bool(decided.review),
    }


def _some(amount: Money | None) -> dict[str, Any] | None:
    return money(amount) if amount is not None and amount.amount else None


def _amount(found: ReturnRequest, minor: int | None) -> dict[str, Any] | None:
    return money(found.money(minor)) if minor else None


def _pictured(view: OrderView, line_external_id: str) -> str:
    return next((web_address(view.picture(line)) for line in view.lines if line.external_id == line_external_id), "")


def place_shown(one: Near) -> dict[str, Any]:
    """A place where goods are handed over."""
    place = one.place
    asked = f"{place.latitude},{place.longitude}" if place.where else ", ".join((place.name, place.address))
    return {
        "id": str(place.id),
        "name": place.name,
        "address": place.address,
        "hours": place.hours.splitlines(),
        "km": round(one.km, 1) if one.km is not None else None,
        # The link that every kind of phone opens its own map with.
        "map": f"https://www.google.com/maps/search/?{urlencode({'api': 1, 'query': asked})}",
    }


async def _way(tx: Tx, found: ReturnRequest, t: Translator) -> dict[str, Any] | None:
    """How a return gets to the shop, in words; None where nobody chose."""
    if found.method not in set(Method):
        return None
    place = await tx.get(ReturnPlace, found.place_id) if found.place_id is not None else None
    return {
        "code": found.method,
        "words": t.gettext(shipping.NAMES[Method(found.method)]),
        "place": place_shown(Near(place, None)) if place is not None else None,
        "day": found.pickup_on.isoformat() if found.pickup_on else "",
    }
