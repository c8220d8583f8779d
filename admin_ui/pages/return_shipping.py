"""How goods get back to a store: its carrier, the ways that it offers, its places; and the label of one return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from admin_ui.store_choice import of_path
from admin_ui.words import State as Pill
from admin_ui.words import silence
from plugin.carrier import Offer, Place
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.money import Money
from plugin.kernel.text import isolate
from plugin.platform import PlatformError
from plugin.returns import labels, papers, records, shipping
from plugin.returns.labels import ReturnLabel
from plugin.returns.records import ReturnRequest
from plugin.returns.shipping import Kind, Method, ReturnShipping, Unfit
from plugin.stores import Store
from plugin.team import audit

log = structlog.get_logger(__name__)

CARRIERS: Mapping[str, Lazy] = {"": _("None: you send labels yourselves"), "easypost": _("EasyPost")}
_OFFER, _OFFER_SECONDS = "label offer", 1800
KINDS: Mapping[Kind, Lazy] = {Kind.STORE: _("A shop of yours"), Kind.POINT: _("A collection point")}


async def index(desk: Desk) -> Response:
    """The settings of a store, and its places."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("return_shipping.html", **context)


async def save(desk: Desk) -> Response:
    """Set it up or change it. A new key is tried at the carrier, and its news are subscribed to."""
    form = {name: str(value) for name, value in (await desk.request.form()).items()}
    try:
        wished = shipping.checked(form, desk.app.carriers)
        if wished.key and wished.carrier:
            await _tried(desk, wished.carrier, wished.key)
        async with desk.transaction() as tx:
            store = await of_path(tx, desk, connected=False)
            was = _told(await shipping.of_store(tx, store.id))
            row = await shipping.save(tx, desk.app.vault, store.id, wished, actor=desk.actor)
            if changes := audit.changed(was, _told(row)):
                audit.note(tx, "settings.shipping", by=desk.agent.id, changes={"store": [None, store.name], **changes})
    except Unfit as unfit:
        async with desk.transaction() as tx:
            said = {name: desk.t.gettext(words) for name, words in unfit.fields.items()}
            context = await _context(tx, desk, form, said)
        block = "page" if "hx-request" in desk.request.headers else ""
        return desk.page("return_shipping.html", status=422, block=block, **context)
    if wished.carrier:
        await _subscribed(desk, store.id, row)
    return desk.go(f"settings/shipping/{desk.path_id()}", saved="shipping")


async def _tried(desk: Desk, kind: str, key: str) -> None:
    """Raises Unfit for a key that opens nothing. A carrier that does not answer is no reason to lose what was typed."""
    try:
        await desk.app.carriers[kind].check(key)
    except PlatformError as error:
        if error.reauthorize:
            raise Unfit({"key": _("The carrier refuses this key.")}) from error


async def _subscribed(desk: Desk, store_id: UUID, row: ReturnShipping) -> None:
    async with desk.transaction() as tx:
        key = await shipping.key_of(tx, desk.app.vault, store_id)
        secret = await shipping.hook_of(tx, desk.app.vault, store_id)
    trouble = ""
    try:
        await desk.app.carriers[row.carrier].subscribe(key, _posted_to(desk, row), secret)
    except PlatformError as error:
        log.warning("carrier_news_not_subscribed", code=error.code)
        trouble = error.said[:300]
    async with desk.transaction() as tx:
        if (held := await shipping.of_store(tx, store_id)) is not None:
            held.trouble = trouble


def _posted_to(desk: Desk, row: ReturnShipping) -> str:
    return f"{desk.app.settings.public_url}/webhooks/{row.carrier}/{row.token}"


def _told(row: ReturnShipping | None) -> dict[str, str]:
    """What the audit trail keeps: no secret is among it."""
    if row is None:
        return {"carrier": "", "methods": "", "place": "", "automatic": ""}
    ways = ", ".join(f"{name} {' '.join(row.methods[name])}".strip() for name in sorted(row.methods))
    return {"carrier": row.carrier, "methods": ways, "place": ", ".join(row.to.lines),
            "automatic": "1" if row.automatic else ""}  # fmt: skip


async def save_place(desk: Desk) -> Response:
    """Add a place, or change one; where it lies on the map is asked of the carrier."""
    form = {name: str(value) for name, value in (await desk.request.form()).items()}
    id = as_id(form["place"]) if form.get("place") else None
    async with desk.transaction() as tx:
        store = await of_path(tx, desk, connected=False)
        settings = await shipping.of_store(tx, store.id)
        key = await shipping.key_of(tx, desk.app.vault, store.id)
    where = None
    carrier = desk.app.carriers.get(settings.carrier) if settings is not None else None
    if carrier is not None and key:
        address = Place(line1=form.get("line1", ""), city=form.get("city", ""), postcode=form.get("postcode", ""),
                        country=form.get("country", "").upper())  # fmt: skip
        try:
            where = await carrier.locate(key, address)
        except PlatformError as error:
            log.warning("place_not_located", code=error.code)
    async with desk.transaction() as tx:
        row = await shipping.put_place(tx, store.id, id, form, where)
        audit.note(tx, "settings.return_place", by=desk.agent.id,
                   changes={"store": [None, store.name], "place": ["", row.name]})  # fmt: skip
    return desk.go(f"settings/shipping/{desk.path_id()}", saved="place")


async def drop_place(desk: Desk) -> Response:
    """It is not there any more."""
    async with desk.transaction() as tx:
        store = await of_path(tx, desk, connected=False)
        found = await shipping.place(tx, store.id, desk.path_id("place"))
        audit.note(tx, "settings.return_place", by=desk.agent.id,
                   changes={"store": [None, store.name], "place": [found.name, ""]})  # fmt: skip
        await shipping.drop_place(tx, store.id, found.id)
    return desk.go(f"settings/shipping/{desk.path_id()}", saved="place")


async def _context(
    tx: Tx, desk: Desk, form: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> dict[str, Any]:
    t = desk.t
    store = await of_path(tx, desk, connected=False)
    row = await shipping.of_store(tx, store.id)
    return {
        "shop": store,
        "row": row,
        "form": form if form is not None else _as_form(row, store),
        "errors": errors or {},
        "carriers": [(name, t.gettext(said)) for name, said in CARRIERS.items() if not name or name in
                     desk.app.carriers],
        "ways": [(one.value, t.gettext(shipping.NAMES[one]), one in shipping.BOUGHT) for one in Method],
        "kinds": [(one.value, t.gettext(said)) for one, said in KINDS.items()],
        "places": await shipping.places_of(tx, store.id),
        "connected": bool(await shipping.key_of(tx, desk.app.vault, store.id)),
        "address": _posted_to(desk, row) if row is not None and row.carrier else "",
        "saved": desk.request.query_params.get("saved", ""),
        "heading": t.gettext("Return shipping of %(store)s", store=isolate(store.name)),
    }  # fmt: skip


def _as_form(row: ReturnShipping | None, store: Store) -> dict[str, str]:
    if row is None:
        return {"company": store.name, "country": store.country or "", "email": store.email, "grams": "1000"}
    place = {name: str(value) for name, value in row.place.items()}
    parcel = row.usual
    sizes = {name: str(getattr(parcel, name) // 10 or "") for name in ("length", "width", "height")}
    ways = {f"method:{name}": "1" for name in row.methods}
    countries = {f"countries:{name}": " ".join(told) for name, told in row.methods.items()}
    return {**place, **sizes, **ways, **countries, "grams": str(parcel.grams), "carrier": row.carrier,
            "services": " ".join(row.services), "automatic": "1" if row.automatic else ""}  # fmt: skip


# The label of one return


_WAYS: Final[Mapping[Method, Lazy]] = {
    **shipping.NAMES,
    Method.LABEL: _("With a label that they print"),
    Method.OWN: _("By post, as they like"),
}
"""As the team reads it: the shopper's words say "you" to the shopper."""


async def shown(tx: Tx, desk: Desk, request: ReturnRequest) -> dict[str, Any]:
    """What the page of a return says about its label and its way."""
    t = desk.t
    settings = await shipping.of_store(tx, request.store_id)
    found = await labels.of_request(tx, request.id)
    place = await tx.get(shipping.ReturnPlace, request.place_id) if request.place_id is not None else None
    way = t.gettext(_WAYS[Method(request.method)]) if request.method in set(Method) else ""
    live = any(one.state in labels.LIVE for one in found)
    waits = request.state in ("approved", "sent") and not request.keep and request.origin == records.OURS
    cost = None
    if request.label_cost is not None:
        cost = t.format_money(Money(request.label_cost, request.label_currency, request.label_exponent))
    return {
        "way": way,
        "way_place": place,
        "way_day": t.format_date(request.pickup_on) if request.pickup_on is not None else "",
        "bought": [_line(desk, one) for one in found],
        "label_cost": cost,
        "nowhere": request.state in ("requested", "asked")
        and request.origin == records.OURS
        and papers.nowhere(request, settings, place),
        "buyable": settings is not None and bool(settings.carrier) and waits and not live,
    }


async def nowhere(tx: Tx, requests: Sequence[ReturnRequest]) -> int:
    """Of so many of these returns nobody would be told where the parcel goes."""
    settings = await shipping.of_stores(tx, {one.store_id for one in requests})
    places = await shipping.places_by_id(tx, {one.place_id for one in requests if one.place_id is not None})
    return sum(
        papers.nowhere(one, settings.get(one.store_id), places.get(one.place_id) if one.place_id is not None else None)
        for one in requests
    )


def _line(desk: Desk, one: ReturnLabel) -> dict[str, Any]:
    t = desk.t
    name, meaning, sign = labels.STATES[one.state]
    can = {
        labels.UNKNOWN: ("look", "not-bought"),
        labels.BOUGHT: ("look", "void") if one.code else (),
        labels.READY: ("void",) if one.stage in ("", "waiting") else (),
    }.get(one.state, ())
    if one.state == labels.READY and one.pickup_state == labels.FAILED:
        can = (*can, "look")
    advice = labels.TROUBLES.get(one.code)
    pickup = ""
    if one.pickup_state == labels.BOOKED:
        pickup = t.gettext("The courier is booked: %(number)s", number=one.confirmation)
    elif one.pickup_state == labels.FAILED:
        pickup = t.gettext("No courier could be booked.")
    return {
        "id": one.id,
        "state": Pill(name, meaning, sign),
        "service": " ".join(filter(None, (one.carrier, one.service))),
        "price": t.format_money(one.price) if one.price is not None else "",
        "stage": t.gettext(labels.STAGES[one.stage]) if one.stage else "",
        "said": one.said,
        "advice": t.gettext(advice) if advice is not None else "",
        "pickup": pickup,
        "can": can if desk.may("reply") else (),
    }


async def look_at_label(desk: Desk) -> Response:
    """What a label would cost; nothing is bought."""
    async with desk.transaction() as tx:
        request = await records.get(tx, desk.path_id())
    offer, trouble = None, ""
    try:
        offer = await labels.quote(desk.app, desk.workspace_id, request.id)
    except PlatformError as error:
        trouble = silence(desk.t, error)
    except AhlanError as error:
        trouble = desk.t.gettext(error.message)
    shown = _sealed(desk, request, offer) if offer is not None else ""
    return desk.page("return_buying.html", block="buying", request=request, offer=offer, shown=shown, trouble=trouble)


async def buy_label(desk: Desk) -> Response:
    """The agent saw the price and says so: exactly that is bought."""
    shown = str((await desk.request.form()).get("offer", ""))
    async with desk.transaction() as tx:
        request = await records.held(tx, desk.path_id())
        await labels.buy(tx, request, _opened(desk, shown), by=desk.agent)
    return settled(desk.go(f"returns/{request.id}", saved="label"))


def settled(answer: Response) -> Response:
    """The same answer, which also closes the window over the page in which it was asked for."""
    answer.headers["hx-trigger"] = '{"ahlan:returns": {}}'
    return answer


def _sealed(desk: Desk, request: ReturnRequest, offer: Offer) -> str:
    """What was shown, so that nothing else can be bought: no other parcel, and at no other price."""
    shown = {"return": str(request.id), "agent": str(desk.agent.id), "offer": msgspec.to_builtins(offer)}
    return desk.app.vault.sign(_OFFER, shown, _OFFER_SECONDS)


def _opened(desk: Desk, token: str) -> Offer:
    """Raises Conflict for what was not shown to this agent for this return, or too long ago."""
    shown = desk.app.vault.verify(_OFFER, token)
    if shown is None or shown["return"] != str(desk.path_id()) or shown["agent"] != str(desk.agent.id):
        raise Conflict(_("This is not what was shown."), _("Look again at what will happen; nothing was changed."))
    return msgspec.convert(shown["offer"], Offer)


async def label_step(desk: Desk) -> Response:
    """What a person says about a label: look again, it was not bought, give it back."""
    how = str(desk.request.path_params["how"])
    verb = {"look": labels.look_again, "not-bought": labels.not_bought, "void": labels.give_back}.get(how)
    if verb is None:
        raise nothing_here()
    async with desk.transaction() as tx:
        request = await records.held(tx, desk.path_id())
        await verb(tx, request, desk.path_id("label"), by=desk.agent)
    return desk.go(f"returns/{request.id}", saved="label")
