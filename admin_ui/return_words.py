"""The words for what the report of returns counts: on its page, above the queue that a number opened, and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select

from admin_ui.desk import Desk
from plugin.analytics.hints import LARGE, SMALL
from plugin.crm.customers import Customer
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import Lazy, _
from plugin.returns import policy_words
from plugin.returns.narrowing import Narrowed, Part, Way
from plugin.returns.policy import Resolution
from plugin.returns.records import STORES, ReturnLine

WAYS: Final[Mapping[Way, Lazy]] = {
    Way.DECISION: _("From the request to the decision"),
    Way.SENDING: _("From the decision until it is on its way"),
    Way.TRAVEL: _("On its way"),
    Way.INSPECTION: _("From its arrival to the inspection"),
    Way.PAYMENT: _("From the inspection to the money"),
    Way.WHOLE: _("From the request to the money"),
}
PARTS: Final[Mapping[Part, Lazy]] = {
    Part.EXCHANGED: _("Exchanged"),
    Part.REPLACED: _("The same again"),
    Part.CREDIT: _("Store credit"),
    Part.BACK: _("Money back"),
}
_HINTS: Final[Mapping[str, Lazy]] = {
    SMALL: _("Runs small"),
    LARGE: _("Runs large"),
    "not_as_described": _("Is not what its page says"),
    "other_colour": _("Looks another colour than its pictures"),
    "other_quality": _("Is of another quality than its page says"),
    "defective": _("Often does not work"),
    "damaged_on_the_way": _("Often arrives damaged"),
    "wrong_item": _("Is often mixed up when it is packed"),
}
_ADVICE: Final[Mapping[str, Lazy]] = {
    SMALL: _("Say so beside its sizes, or show measurements."),
    LARGE: _("Say so beside its sizes, or show measurements."),
    "not_as_described": _("Read its description with a shopper's eyes."),
    "other_colour": _("New pictures in daylight may help."),
    "other_quality": _("Name material and make on its page."),
    "defective": _("Ask the supplier, and look at one yourself."),
    "damaged_on_the_way": _("Its packaging may be too weak."),
    "wrong_item": _("Look at its label and its place on the shelf."),
}


def hint(t: Translator, reason: str) -> str:
    """What stands out about a product, in a few words."""
    found = _HINTS.get(reason)
    return t.gettext(found) if found is not None else t.gettext("Often: %(reason)s", reason=reason_name(t, reason))


def advice(t: Translator, reason: str) -> str:
    """What may help; empty where nothing general is true."""
    found = _ADVICE.get(reason)
    return t.gettext(found) if found is not None else ""


def reason_name(t: Translator, code: str) -> str:
    """A reason by its code; a shop's own is called as the shop named its code."""
    if not code:
        return t.gettext("Not asked: made in the store")
    return t.gettext(policy_words.REASONS[code]) if code in policy_words.REASONS else code


def resolution_name(t: Translator, code: str) -> str:
    """What the customer gets."""
    if code not in set(Resolution):
        return t.gettext("Not known: made in the store")
    return policy_words.resolution(t, Resolution(code))


async def narrowed_words(desk: Desk, asked: Narrowed) -> Sequence[str]:
    """What the queue is narrowed to by a number of the report, a few words each."""
    if not asked:
        return []
    t = desk.t
    found: list[str] = []
    if asked.first is not None or asked.last is not None:
        days = [t.format_date(day, "medium") if day is not None else "…" for day in (asked.first, asked.last)]
        found.append(days[0] if days[0] == days[1] else " – ".join(days))
    async with desk.transaction() as tx:
        if asked.product or asked.variant:
            goods = (
                await tx.execute(
                    select(ReturnLine.title, ReturnLine.variant_title)
                    .where(
                        ReturnLine.workspace_id == tx.workspace_id,
                        *([ReturnLine.product_external_id == asked.product] if asked.product else []),
                        *([ReturnLine.variant_external_id == asked.variant] if asked.variant else []),
                    )
                    .order_by(ReturnLine.created_at.desc())
                    .limit(1)
                )
            ).one_or_none()
            named = [goods.title, goods.variant_title if asked.variant else ""] if goods is not None else ["?"]
            found.append(" · ".join(filter(None, named)))
        if asked.customer_id is not None:
            person = await tx.get(Customer, asked.customer_id)
            found.append(person.name if person is not None and person.name else t.gettext("Without a name"))
    if asked.currency:
        found.append(asked.currency)
    if asked.origin == STORES:
        found.append(t.gettext("Made in the store"))
    if asked.part is not None:
        found.append(t.gettext(PARTS[asked.part]))
    if asked.way is not None:
        found.append(t.gettext(WAYS[asked.way]))
    if asked.counted:
        found.append(t.gettext("neither declined nor cancelled"))
    return found
