"""What stands on a return's papers: the words of its slip in the shopper's language."""

from collections.abc import Mapping, Sequence
from datetime import date

from plugin.app import App
from plugin.crm.orders import Order
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate
from plugin.returns import policies, policy_words, records, shipping, slips
from plugin.returns.policy import Resolution, leaves
from plugin.returns.records import ReturnLine, ReturnRequest
from plugin.returns.shipping import Method, ReturnPlace, ReturnShipping
from plugin.returns.slips import Item, Slip
from plugin.stores import Store

_PACK = _("Pack the goods well, as they came to you where you can.")
_PUT_IN = _("Cut this page and put the lower part into the parcel.")
_STEPS: Mapping[str, Sequence[Lazy]] = {
    Method.LABEL: (
        _PACK, _PUT_IN, _("Print the label that we send you and stick it on the parcel, over older ones."),
        _("Hand the parcel over where the carrier takes it, and keep the receipt."),
    ),
    Method.CODE: (
        _PACK, _PUT_IN, _("Show the code that we send you at the counter. The label is printed there."),
        _("Keep the receipt."),
    ),
    Method.PICKUP: (
        _PACK, _PUT_IN, _("Stick the label that we send you on the parcel."),
        _("Have the parcel ready on %(day)s between 9 and 17 o'clock: the courier collects it at the order's address."),
    ),
    Method.POINT: (_PACK, _PUT_IN, _("Bring the parcel to %(place)s.")),
    Method.STORE: (
        _("Bring the goods to %(place)s."), _("Show the code on this page: the team finds your return by it."),
    ),
    "": (
        _PACK, _PUT_IN, _("Send the parcel to the address below, if we did not send you a label."),
        _("Keep the receipt and tell us the parcel's number."),
    ),
}  # fmt: skip
_NOWHERE: Sequence[Lazy] = (
    _PACK, _PUT_IN, _("Keep the parcel until the store sends you a label or tells you where to send it."),
    _("Keep the receipt and tell us the parcel's number."),
)  # fmt: skip


def nowhere(request: ReturnRequest, settings: ReturnShipping | None, place: ReturnPlace | None) -> bool:
    """Whether a parcel is to be posted without anybody having said where to: the store has no address for returns."""
    return not request.keep and not _known(request, place) and not _address(settings)


async def slip(app: App, tx: Tx, request: ReturnRequest, t: Translator) -> Slip | None:
    """What stands on it; None where nothing comes back, or its order is gone."""
    order = await tx.get(Order, request.order_id)
    store = await tx.get(Store, request.store_id)
    if request.keep or request.origin != records.OURS or order is None or store is None:
        return None
    settings = await shipping.of_store(tx, store.id)
    place = await tx.get(ReturnPlace, request.place_id) if request.place_id is not None else None
    lines = await records.lines_of(tx, request.id)
    version = await policies.version(tx, request.policy_version) if request.policy_version else None
    asked = leaves(version.policy.reasons) if version is not None else ()
    own = {one.code: policy_words.reason(t, one) for one in asked}
    return _slip(t, request, order, store, settings, place, lines, own, _inside(app, request))


def _inside(app: App, request: ReturnRequest) -> str:
    """Where the shop's own people find it: whoever else reads the code sees a page to sign in on."""
    return f"{app.settings.public_url}/panel/returns/{request.id}"


def _slip(
    t: Translator, request: ReturnRequest, order: Order, store: Store, settings: ReturnShipping | None,
    place: ReturnPlace | None, lines: Sequence[ReturnLine], reasons: Mapping[str, str], code: str,
) -> Slip:  # fmt: skip
    number = isolate(request.number, "ltr")
    shown = lines[: slips.MOST_ITEMS]
    rest = len(lines) - len(shown)
    untold = nowhere(request, settings, place)
    return Slip(
        rtl=t.direction == "rtl",
        shop=store.name,
        title=t.gettext("Return"),
        number=number,
        facts=[
            (t.gettext("Order"), isolate(order.name, "ltr")),
            (t.gettext("Date"), t.format_date(request.created_at.date())),
            (t.gettext("You get"), _gets(t, request)),
            (t.gettext("How it comes back"), _method(t, request, place)),
        ],
        steps_title=t.gettext("What to do"),
        steps=[
            t.gettext(step, place=_place(place), day=_day(t, request.pickup_on))
            for step in (_NOWHERE if untold else _STEPS[_known(request, place)])
        ],
        slip_title=t.gettext("Show this to our team")
        if place is not None and request.method == Method.STORE
        else t.gettext("Put this into the parcel"),
        to_title=t.gettext("Send it to") if place is None else t.gettext("Bring it to"),
        to=(store.name, t.gettext("The store names the address.")) if untold else _to(store, settings, place),
        items_title=t.gettext("Goods"),
        quantity_title=t.gettext("How many"),
        items=[
            Item(
                _named(line),
                " · ".join(filter(None, (reasons.get(line.reason, ""), isolate(line.sku, "ltr") if line.sku else ""))),
                t.format_number(line.quantity),
            )
            for line in shown
        ],
        more=t.ngettext("and %(num)s line more", "and %(num)s lines more", rest) if rest > 0 else "",
        cut=t.gettext("Cut here"),
        code=code,
    )


def _named(line: ReturnLine) -> str:
    """Some stores name the kind in the title already: it is not said twice."""
    kind = line.variant_title
    twice = not kind or line.title == kind or line.title.endswith((f" {kind}", f"-{kind}", f"/{kind}"))
    return line.title if twice else f"{line.title} ({isolate(line.variant_title)})"


def _known(request: ReturnRequest, place: ReturnPlace | None) -> str:
    if request.method in (Method.POINT, Method.STORE) and place is None:
        return ""
    if request.method == Method.PICKUP and request.pickup_on is None:
        return ""
    return request.method if request.method in _STEPS else ""


def _gets(t: Translator, request: ReturnRequest) -> str:
    known = request.resolution in set(Resolution)
    name = policy_words.resolution(t, Resolution(request.resolution)) if known else ""
    amount = request.promised + request.money(request.bonus)
    return " · ".join(filter(None, (name, t.format_money(amount) if amount.amount else "")))


def _method(t: Translator, request: ReturnRequest, place: ReturnPlace | None) -> str:
    method = Method(request.method) if request.method in set(Method) else Method.OWN
    more = _place(place) if place is not None else _day(t, request.pickup_on) if method is Method.PICKUP else ""
    return " · ".join(filter(None, (t.gettext(shipping.NAMES[method]), more)))


def _place(place: ReturnPlace | None) -> str:
    return f"{isolate(place.name)}, {isolate(place.address)}" if place is not None else ""


def _day(t: Translator, day: date | None) -> str:
    return t.format_date(day) if day is not None else ""


def _to(store: Store, settings: ReturnShipping | None, place: ReturnPlace | None) -> Sequence[str]:
    if place is not None:
        return (place.name, place.address)
    return (store.name, *(line for line in _address(settings) if line != store.name))


def _address(settings: ReturnShipping | None) -> Sequence[str]:
    """Where the store's parcels go; nothing where it has not said so."""
    return settings.to.lines if settings is not None and settings.to.line1 else ()
