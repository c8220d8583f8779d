"""Where an order is, in a sentence: what the widget answers to the question that shoppers ask most. Pure."""

from __future__ import annotations

from plugin.crm.tracking import Standing, Step
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import isolate

_PLAIN: dict[Step, Lazy] = {
    Step.ORDERED: _("Your order %(order)s is with the shop and was not sent yet."),
    Step.PACKED: _("Your order %(order)s is packed and waits for its carrier."),
    Step.SHIPPED: _("Your order %(order)s is on its way."),
    Step.OUT_FOR_DELIVERY: _("Your order %(order)s is out for delivery today."),
    Step.DELIVERED: _("Your order %(order)s was delivered."),
    Step.READY: _("Your order %(order)s is ready to collect: %(place)s."),
    Step.FETCHED: _("Your order %(order)s was collected."),
}


def sentence(t: Translator, name: str, standing: Standing) -> str:
    """Where the order `name` is, by when it should be there, and honestly when it takes long."""
    return " ".join(filter(None, (place(t, name, standing), _then(t, standing))))


def place(t: Translator, name: str, standing: Standing) -> str:
    """Only where the order `name` is: what stands beside it says the rest."""
    values = {"order": isolate(name, "ltr"), "place": isolate(standing.fetched)}
    if standing.cancelled:
        return t.gettext("Your order %(order)s was cancelled.", **values)
    moments = dict(standing.moments)
    at = moments.get(standing.reached)
    if standing.rest is not None and not standing.fetched:
        unsent = standing.rest in (Step.ORDERED, Step.PACKED)
        return t.gettext(_REST_UNSENT if unsent else _REST_SENT, **values)
    if standing.shown in (Step.DELIVERED, Step.SHIPPED) and at is not None:
        values["day"] = t.format_date(at)
        return t.gettext(_DATED[standing.shown], **values)
    if standing.fetched and standing.shown is Step.ORDERED:
        return t.gettext("Your order %(order)s is being prepared: %(place)s.", **values)
    return t.gettext(_PLAIN[standing.shown], **values)


_REST_UNSENT = _("A part of your order %(order)s was delivered; the rest was not sent yet.")
_REST_SENT = _("A part of your order %(order)s was delivered; the rest is on its way.")
_DATED: dict[Step, Lazy] = {
    Step.SHIPPED: _("Your order %(order)s was sent on %(day)s."),
    Step.DELIVERED: _("Your order %(order)s was delivered on %(day)s."),
}


def _then(t: Translator, standing: Standing) -> str:
    if standing.cancelled:
        return ""
    if any(parcel.failed for parcel in standing.parcels):
        return t.gettext("The carrier could not deliver it.")
    if standing.late:
        return t.gettext("It takes longer than usual; we are sorry. Write to us if you wait for it.")
    if standing.expected is None or standing.reached is Step.OUT_FOR_DELIVERY:
        return ""
    day = t.format_date(standing.expected)
    if standing.promised:
        return t.gettext("The carrier expects to deliver it on %(day)s.", day=day)
    return t.gettext("It should be there by %(day)s.", day=day)
