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
    """The general profile's zones, of all places to send from. Where those are in several groups, or goods have
    profiles of their own, what is told may differ (`varies`).

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
    varies = len(profiles) > 1
    shop = listed.get("shop") or {}
    taxed = bool(shop.get("taxShipping")) and not shop.get("taxesIncluded")
    # First the first zones of every group of places to send from, then what is left of each: cursors are of one group.
    left: list[Mapping[str, str]] = [{}]
    for _page in range(_MOST_PAGES):
        if not left:
            break
        asked = {"id": general, "first": ZONES, **left.pop(0)}
        data = await client.run(connection, "DeliveryZonesPage", asked)
        groups = (data.get("deliveryProfile") or {}).get("profileLocationGroups") or ()
        varies = varies or len(groups) > 1
        for group in groups:
            page = group["locationGroupZones"]
            nodes = page.get("nodes") or ()
            zones += [_zone(one) for one in nodes]
            varies = varies or any(_is_cut(one["methodDefinitions"]) for one in nodes)
            if _is_cut(page) and page["pageInfo"].get("endCursor"):
                left.append({"group": group["locationGroup"]["id"], "after": page["pageInfo"]["endCursor"]})
    varies = varies or bool(left)
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
    about = " ".join(str(method.get("description") or "").split())
    return DeliveryRate(
        str(method.get("name") or ""), _money(price) if price else None, by_weight=by_weight, about=about, **limits
    )  # fmt: skip


def _money(told: Mapping[str, Any]) -> Money:
    return parse(str(told["amount"]), str(told["currencyCode"]))[0]
