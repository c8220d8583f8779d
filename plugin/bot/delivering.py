"""What delivery to a place costs, by the store's own zones as its checkout goes by them (`Platform.deliveries`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from plugin.bot import lexicon, places
from plugin.bot.decide import Outcome, Reason
from plugin.bot.scene import Say, Scene
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate, search_key
from plugin.platform import Deliveries, DeliveryRate, DeliveryZone

COST, AREA, TIME = "delivery_cost", "delivery_area", "delivery_time"
TOPICS = frozenset({COST, AREA, TIME})
_MOST_RATES = 6
_MOST_ABOUT = 120


@dataclass(frozen=True, slots=True)
class Reached:
    """How a place is served. `zone` None: not at all. `sure`: nothing smaller than the country decides about it."""

    zone: DeliveryZone | None
    sure: bool = True


def reached(deliveries: Deliveries, country: str, text: str = "") -> Reached:
    """Which zone counts for a country, or for one of its regions that a text names: the first that fits. Pure."""
    if country in deliveries.never or (deliveries.only is not None and country not in deliveries.only):
        return Reached(None)
    unsure = len(places.regions(text, _regions(deliveries).get(country, ()))) > 1
    for zone in deliveries.zones:
        names = zone.countries.get(country)
        if names is None and not zone.everywhere:
            continue
        if names and not places.regions(text, names):
            unsure = True
            continue
        if zone.partly:
            unsure = True
            continue
        if zone.rates:
            return Reached(zone, sure=not unsure)
        break
    return Reached(None, sure=not unsure)


def _regions(deliveries: Deliveries) -> dict[str, tuple[str, ...]]:
    """The regions that a store's zones name, by country."""
    found: dict[str, tuple[str, ...]] = {}
    for zone in deliveries.zones:
        for country, names in zone.countries.items():
            found[country] = (*found.get(country, ()), *names)
    return found


_HOW_LONG = re.compile(rf"(?:^| ){lexicon.any_key(lambda one: one.how_long)}(?= |$)")
_BESIDE = lexicon.keys(lambda one: f"{one.small}, {one.goods.small}, {one.directions.nouns}, {one.directions.articles}")


def asks_time(text: str) -> bool:
    """Whether a text asks how long delivery to a place takes, and nothing else: "كم يوم للأردن". Pure."""
    rest = places.without(text)
    left, asked = _HOW_LONG.subn(" ", rest)
    somewhere = rest != " ".join(search_key(text).split())
    return bool(asked) and somewhere and all(word in _BESIDE for word in left.split())


def to_place(scene: Scene, topic: str, text: str) -> Say | None:
    """What delivery to the place costs that is named, or that nothing is delivered there, where it is the only one.

    None: no place is named, or perhaps another, the store's zones are not known, they do not decide, the merchant chose
    an article for the topic, or it is asked how long it takes and no way there says it: then that is the articles'.
    """
    deliveries = msgspec.convert(scene.store.deliveries, Deliveries)
    if topic not in TOPICS or topic in scene.bot.answers or not any(zone.rates for zone in deliveries.zones):
        return None
    named = places.countries(text, scene.store.country, _regions(deliveries)) or ()
    found = {code: reached(deliveries, code, text) for code in named}
    if not found or not all(one.sure for one in found.values()):
        return None
    if (deliveries.varies or len(found) > 1) and any(one.zone is None for one in found.values()):
        # Some goods may be sent there all the same, or one of the places is not meant.
        return None
    if topic == TIME and any(one.zone is not None and not _says_when(one.zone) for one in found.values()):
        return None
    said = [_said(scene.t, code, one.zone, topic) for code, one in found.items()]
    if deliveries.varies and any(one.zone is not None for one in found.values()):
        said.append(scene.t.gettext(_("Some goods cost something else to deliver; the checkout shows it.")))
    if deliveries.taxed and any(one.zone is not None for one in found.values()):
        said.append(scene.t.gettext(_("Tax may come on top; the checkout shows it.")))
    return Say(
        Outcome.ANSWER, Reason.SURE, topic, "\n".join(said), tool="deliveries",
        told=f"deliveries {' '.join(named)}", sad=all(one.zone is None for one in found.values()),
    )  # fmt: skip


_TIME = re.compile(
    rf"(?:^| |\d){lexicon.any_key(lambda one: one.prefixes)}?{lexicon.any_key(lambda one: one.durations)}(?= |$)"
)


def says_when(rate: DeliveryRate) -> bool:
    """Whether a way of delivering says by its own words how long it takes. Pure."""
    return _TIME.search(search_key(f"{rate.name} {rate.about}")) is not None


def _says_when(zone: DeliveryZone) -> bool:
    return any(says_when(one) for one in _told(zone.rates))


def _said(t: Translator, code: str, zone: DeliveryZone | None, topic: str) -> str:
    name = t.language.locale.territories.get(code, code)
    if zone is None:
        return t.gettext(_("Nothing is delivered to this place: %(place)s."), place=name)
    head = (
        t.gettext(_("Delivery to this place: %(place)s"), place=name)
        if topic == TIME
        else t.gettext(_("What delivery costs to this place: %(place)s"), place=name)
    )
    # A line of a way's name and an amount in Latin letters alone would run from left to right.
    mark = "\u200f" if t.direction == "rtl" else ""
    told = [head, *(f"{mark}• {_rate(t, rate)}" for rate in _told(zone.rates))]
    if len(zone.rates) > _MOST_RATES:
        told.append(t.gettext(_("The checkout shows more ways.")))
    return "\n".join(told)


def _told(rates: Sequence[DeliveryRate]) -> list[DeliveryRate]:
    """The cheapest first; what the checkout reckons last."""
    return sorted(rates, key=lambda one: (one.price is None, one.price.amount if one.price else 0))[:_MOST_RATES]


def _rate(t: Translator, rate: DeliveryRate) -> str:
    if rate.price is None:
        price = t.gettext(_("reckoned at checkout"))
    elif rate.price.amount == 0:
        price = t.gettext(_("free"))
    else:
        price = t.format_money(rate.price)
    said = t.gettext(_("%(way)s: %(price)s"), way=isolate(rate.name), price=price)
    if rate.about:
        said = t.gettext(_("%(way_and_price)s, %(about)s"), way_and_price=said, about=isolate(rate.about[:_MOST_ABOUT]))
    limits = [
        t.gettext(_("from a basket of %(amount)s on"), amount=t.format_money(rate.least)) if rate.least else "",
        t.gettext(_("up to a basket of %(amount)s"), amount=t.format_money(rate.most)) if rate.most else "",
        t.gettext(_("by weight")) if rate.by_weight else "",
    ]
    told = t.listing([one for one in limits if one])
    return f"{said} ({told})" if told else said
