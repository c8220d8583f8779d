"""Where a shop delivers: the zones and rates of its general profile, with a permission that nobody has to give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from integrations.shopify.client import AdminClient
from integrations.shopify.shipping_queries import PROFILES, SHIPPING, ZONES
from plugin.kernel.money import Money, parse
from plugin.platform import ACCESS_DENIED, Connection, Deliveries, DeliveryRate, DeliveryZone, PlatformError

_MOST_PAGES: Final = 20


async def read(client: AdminClient, connection: Connection) -> Deliveries:
    """The general profile's zones. Goods with a profile of their own, and several places to send from, may differ.

    Raises PlatformError, also for an answer of another shape.
    """
    try:
        return await _read(client, connection)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PlatformError("Shopify's answer about its zones is incomplete", retry=True, code="garbage") from error


async def _read(client: AdminClient, connection: Connection) -> Deliveries:
    try:
        listed = await client.run(connection, "DeliveryProfilesList", {"first": PROFILES})
    except PlatformError as error:
        if error.code != ACCESS_DENIED:
            raise
        return Deliveries(ask=SHIPPING)
    profiles = (listed.get("deliveryProfiles") or {}).get("nodes") or ()
    general = next((one["id"] for one in profiles if one.get("default")), None)
    if general is None:
        return Deliveries()
    zones: list[DeliveryZone] = []
    varies, after = len(profiles) > 1, None
    shop = listed.get("shop") or {}
    taxed = bool(shop.get("taxShipping")) and not shop.get("taxesIncluded")
    for _page in range(_MOST_PAGES):
        data = await client.run(connection, "DeliveryZonesPage", {"id": general, "first": ZONES, "after": after})
        groups = (data.get("deliveryProfile") or {}).get("profileLocationGroups") or ()
        varies = varies or len(groups) > 1
        # One cursor leads through one list: where goods leave from several places, the first says where they can go.
        page = groups[0]["locationGroupZones"] if groups else {}
        nodes = page.get("nodes") or ()
        zones += [_zone(one) for one in nodes]
        varies = varies or any(_is_cut(one["methodDefinitions"]) for one in nodes)
        after = (page.get("pageInfo") or {}).get("endCursor")
        if not _is_cut(page) or not after:
            break
    else:
        varies = True
    # What is left over counts last.
    return Deliveries(tuple(sorted(zones, key=lambda one: one.everywhere)), varies, taxed)


def _is_cut(listed: Mapping[str, Any]) -> bool:
    """Whether there is more of a list than was told."""
    return bool((listed.get("pageInfo") or {}).get("hasNextPage"))


def _zone(one: Mapping[str, Any]) -> DeliveryZone:
    countries: dict[str, tuple[str, ...]] = {}
    everywhere = False
    for country in one["zone"].get("countries") or ():
        code = country["code"]
        if code.get("restOfWorld"):
            everywhere = True
        elif code.get("countryCode"):
            countries[str(code["countryCode"])] = tuple(str(part["name"]) for part in country.get("provinces") or ())
    methods = (one.get("methodDefinitions") or {}).get("nodes") or ()
    return DeliveryZone(countries, tuple(_rate(method) for method in methods if method.get("active")), everywhere)


def _rate(method: Mapping[str, Any]) -> DeliveryRate:
    limits: dict[str, Money] = {}
    by_weight = False
    for condition in method.get("methodConditions") or ():
        if condition["field"] == "TOTAL_WEIGHT":
            by_weight = True
        else:
            name = "least" if condition["operator"] == "GREATER_THAN_OR_EQUAL_TO" else "most"
            limits[name] = _money(condition["conditionCriteria"])
    price = (method.get("rateProvider") or {}).get("price")
    return DeliveryRate(str(method.get("name") or ""), _money(price) if price else None, by_weight=by_weight, **limits)


def _money(told: Mapping[str, Any]) -> Money:
    return parse(str(told["amount"]), str(told["currencyCode"]))[0]
