"""Where the shop delivers: its profiles with their zones and rates, as a merchant in Haifa would set them."""

from __future__ import annotations

from typing import Any

from integrations.shopify.simulator import nodes
from integrations.shopify.simulator.shop import Shop, gid
from integrations.shopify.simulator.state import Doc

SCOPE = "read_shipping"
ZONES: tuple[Doc, ...] = (
    {"id": 801, "name": "Israel", "countries": {"IL": []},
     "rates": [{"name": "Standard", "price": "25.00", "most": "300.00"},
               {"name": "Free delivery", "price": "0.00", "least": "300.00"},
               {"name": "Express", "price": "45.00"}]},
    {"id": 802, "name": "Neighbours", "countries": {"JO": [], "EG": ["Cairo", "Giza"]},
     "rates": [{"name": "International", "price": "60.00", "about": "7 to 10 business days"}]},
    {"id": 803, "name": "Gulf", "countries": {"SA": [], "AE": [], "QA": []},
     "rates": [{"name": "DHL", "carrier": True}]},
)  # fmt: skip


def groups(shop: Shop) -> list[list[Doc]]:
    """The zones that were set, by the group of places that they are delivered from, else those that every shop has;
    `"*"` is the rest of the world."""
    alone = shop.state.setting("delivery_zones", list(ZONES))
    return [list(zones) for zones in shop.state.setting("delivery_groups", [alone])]


def questions(shop: Shop) -> Doc:
    """The queries, by their names."""

    def profiles(**asked: Any) -> Doc:
        _allowed(shop, "deliveryProfiles")
        held = [{"id": number, "default": number == 1} for number in range(1, shop.state.setting("profiles", 1) + 1)]
        return nodes.connection(held, lambda one: _profile(shop, one), lambda one: one["id"], binding="profiles",
                                first=asked.get("first"), after=asked.get("after"))  # fmt: skip

    def profile(**asked: Any) -> Doc | None:
        _allowed(shop, "deliveryProfile")
        return _profile(shop, {"id": 1, "default": True}) if asked["id"] == gid("DeliveryProfile", 1) else None

    return {"deliveryProfiles": profiles, "deliveryProfile": profile}


def _allowed(shop: Shop, field: str) -> None:
    if not shop.allows(SCOPE):
        raise nodes.Denied(field, SCOPE)


def _profile(shop: Shop, one: Doc) -> Doc:
    def listed(**asked: Any) -> list[Doc]:
        known = {gid("DeliveryLocationGroup", number): zones for number, zones in enumerate(groups(shop), 1)}
        wanted = asked.get("locationGroupId")
        return [_group(shop, id, zones) for id, zones in known.items() if wanted in (None, id)]

    return {"id": gid("DeliveryProfile", one["id"]), "default": one["default"], "profileLocationGroups": listed}


def _group(shop: Shop, id: str, zones: list[Doc]) -> Doc:
    def listed(**asked: Any) -> Doc:
        return nodes.connection(zones, lambda zone: _zone(shop, zone), lambda zone: zone["id"], binding=id,
                                first=asked.get("first"), after=asked.get("after"))  # fmt: skip

    return {"locationGroup": {"id": id}, "locationGroupZones": listed}


def _zone(shop: Shop, zone: Doc) -> Doc:
    def methods(**asked: Any) -> Doc:
        return nodes.connection(zone["rates"], _method, lambda rate: rate["name"], binding="methods",
                                first=asked.get("first"), after=asked.get("after"))  # fmt: skip

    countries = [
        {
            "code": {"countryCode": None if code == "*" else code, "restOfWorld": code == "*"},
            "provinces": [{"name": name} for name in provinces],
        }
        for code, provinces in zone["countries"].items()
    ]
    return {"zone": {"countries": countries}, "methodDefinitions": methods}


def _method(rate: Doc) -> Doc:
    conditions = [
        {
            "field": "TOTAL_PRICE",
            "operator": operator,
            "conditionCriteria": {"__typename": "MoneyV2", "amount": rate[name], "currencyCode": "ILS"},
        }
        for name, operator in (("least", "GREATER_THAN_OR_EQUAL_TO"), ("most", "LESS_THAN_OR_EQUAL_TO"))
        if name in rate
    ]
    provider: Doc = {"__typename": "DeliveryParticipant", "id": gid("DeliveryParticipant", 1)}
    if not rate.get("carrier"):
        price = {"amount": rate["price"], "currencyCode": "ILS"}
        provider = {"__typename": "DeliveryRateDefinition", "price": price}
    return {
        "name": rate["name"],
        "active": rate.get("active", True),
        "description": rate.get("about"),
        "rateProvider": provider,
        "methodConditions": conditions,
    }
