"""Where a store delivers: its shipping zones, their places and their methods.

https://developer.woocommerce.com/docs/apis/rest-api/v3/shipping-zones/ and the pages of locations and methods beside
it. The first zone that fits counts; one without a country, a state or a continent fits everywhere, though perhaps
only for some postcodes (WC_Shipping_Zone_Data_Store::get_zone_id_from_package). Zone 0 is every place that is in no
other. The store's settings may name fewer countries than its zones (WC_Countries::get_shipping_countries). A method's
cost may be a formula ("10 * [qty]"): then it is reckoned in the basket, as is what a carrier's plugin asks. Costs are
without tax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from integrations.woocommerce.client import StoreClient
from plugin.kernel.money import Money, parse
from plugin.platform import Connection, Deliveries, DeliveryRate, DeliveryZone, PlatformError

_MOST_ZONES: Final = 50
_AMOUNT = re.compile(r"\d+(?:[.,]\d+)?")


async def read(client: StoreClient, connection: Connection) -> Deliveries:
    """Zones in the order in which the store tries them. Raises PlatformError, also for an answer of another shape."""
    try:
        return await _read(client, connection)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PlatformError("the store's answer about its zones is incomplete", retry=True, code="garbage") from error


async def _read(client: StoreClient, connection: Connection) -> Deliveries:
    rows = (await client.get("shipping/zones")).body
    known = sorted(rows, key=lambda one: (one["id"] == 0, one["order"], one["id"]))
    zones: list[DeliveryZone] = []
    varies = len(known) > _MOST_ZONES
    settings = {str(one["id"]): one.get("value") for one in (await client.get("settings/general")).body}
    only, never = _sold_to(settings)
    if only is not None and not only:
        # It sends nothing at all, and may still bring or hand over what it sells.
        return Deliveries()
    lists = _Lists(client)
    for row in known[:_MOST_ZONES]:
        methods = (await client.get(f"shipping/zones/{row['id']}/methods")).body
        rates = tuple(rate for one in methods if (rate := _rate(one, connection.currency)) is not None)
        varies = varies or any(_by_class(one) for one in methods)
        if row["id"] == 0:
            zones.append(DeliveryZone({}, rates, everywhere=True))
            continue
        places = (await client.get(f"shipping/zones/{row['id']}/locations")).body
        zones.append(await _zone(lists, places, rates))
    taxed = settings.get("woocommerce_calc_taxes") == "yes"
    return Deliveries(tuple(zones), varies, taxed, only=only, never=never)


def _sold_to(settings: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The only countries that goods are sent to, None for all; and those that they are never sent to."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(str(code) for code in settings.get(f"woocommerce_{name}") or ())

    sent, sold = settings.get("woocommerce_ship_to_countries"), settings.get("woocommerce_allowed_countries")
    if sent == "disabled":
        return (), ()
    if sent == "specific":
        return listed("specific_ship_to_countries"), ()
    if sent == "all":
        return None, ()
    if sold == "specific":
        return listed("specific_allowed_countries"), ()
    return None, listed("all_except_countries") if sold == "all_except" else ()


class _Lists:
    """What the store knows of continents and countries, each asked for once."""

    def __init__(self, client: StoreClient) -> None:
        self._client = client
        self._known: dict[str, Any] = {}

    async def of(self, path: str, name: str) -> Any:
        """One list of an answer: the `countries` of a continent, the `states` of a country."""
        if path not in self._known:
            self._known[path] = (await self._client.get(path)).body
        return self._known[path].get(name) or ()


async def _zone(lists: _Lists, places: Any, rates: tuple[DeliveryRate, ...]) -> DeliveryZone:
    countries: dict[str, tuple[str, ...]] = {}
    for one in places:
        code = str(one["code"])
        if one["type"] == "country":
            countries[code] = ()
        elif one["type"] == "continent":
            within = await lists.of(f"data/continents/{code.lower()}", "countries")
            countries |= {str(country["code"]): () for country in within}
    for one in places:
        if one["type"] == "state":
            country, _colon, state = str(one["code"]).partition(":")
            if countries.get(country) == ():
                continue
            states = await lists.of(f"data/countries/{country.lower()}", "states")
            name = next((str(part["name"]) for part in states if part["code"] == state), state)
            countries[country] = (*countries.get(country, ()), name)
    partly = any(one["type"] == "postcode" for one in places)
    return DeliveryZone(countries, rates, everywhere=all(one["type"] == "postcode" for one in places), partly=partly)


def _rate(method: Mapping[str, Any], currency: str) -> DeliveryRate | None:
    """A method as a rate; None for one that is switched off, is fetched by the shopper, or needs a coupon."""
    kind, name = method.get("method_id"), str(method.get("title") or "")
    if not method.get("enabled") or kind in ("local_pickup", "pickup_location"):
        return None
    if kind == "free_shipping":
        requires, least = _setting(method, "requires"), _amount(_setting(method, "min_amount"), currency)
        if requires in ("coupon", "both"):
            return None
        free = parse(0, currency)[0]
        return DeliveryRate(name, free, least=least if requires in ("min_amount", "either") else None)
    if kind == "flat_rate":
        cost = _setting(method, "cost")
        # One without any cost is not offered (WC_Shipping_Flat_Rate::calculate_shipping).
        return DeliveryRate(name, _amount(cost, currency)) if cost or _by_class(method) else None
    return DeliveryRate(name, None)


def _by_class(method: Mapping[str, Any]) -> bool:
    """Whether goods of some shipping class cost something else."""
    settings = method.get("settings") or {}
    return any(name.startswith(("class_cost_", "no_class_cost")) and one.get("value")
               for name, one in settings.items())  # fmt: skip


def _setting(method: Mapping[str, Any], name: str) -> str:
    return str(((method.get("settings") or {}).get(name) or {}).get("value") or "").strip()


def _amount(text: str, currency: str) -> Money | None:
    """An amount as a merchant types it; None for a formula."""
    return parse(text.replace(",", "."), currency)[0] if _AMOUNT.fullmatch(text) else None
