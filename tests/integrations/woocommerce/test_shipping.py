"""What is made of a WooCommerce store's shipping zones, as its API tells them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from integrations.woocommerce import shipping
from integrations.woocommerce.client import Answer, StoreClient
from integrations.woocommerce.simulator import shipping as stand_in
from plugin.bot.delivering import reached
from plugin.kernel.db import new_id
from plugin.kernel.money import Money
from plugin.platform import Connection, Deliveries, DeliveryRate, DeliveryZone, PlatformError

CONNECTION = Connection(new_id(), new_id(), "https://zaytoun.example", "https://zaytoun.example", "UTC", "JOD")


def dinars(thousandths: int) -> Money:
    return Money(thousandths, "JOD", 3)


class Store:
    """Answers by path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def get(self, path: str, **_params: object) -> Answer:
        """What was laid down for a path."""
        self.asked.append(path)
        return Answer(self.answers[path])


async def read(zones: list[dict[str, Any]], **more: Any) -> Deliveries:
    """The zones with their `locations` and `methods`, as the API would tell them one by one."""
    answers: dict[str, Any] = {"shipping/zones": zones, "settings/general": [], **more}
    for zone in zones:
        answers[f"shipping/zones/{zone['id']}/locations"] = zone.pop("locations", [])
        answers[f"shipping/zones/{zone['id']}/methods"] = zone.pop("methods", [])
    return await shipping.read(cast(StoreClient, Store(answers)), CONNECTION)


def method(kind: str, title: str = "Way", *, enabled: bool = True, **settings: str) -> dict[str, Any]:
    told = {name: {"id": name, "value": value} for name, value in settings.items()}
    return {"method_id": kind, "title": title, "enabled": enabled, "settings": told}


async def test_the_demo_store_delivers_to_jordan_and_the_gulf_and_nowhere_else() -> None:
    answers: dict[str, Any] = {"shipping/zones": stand_in.zones(), "settings/general": []}
    for zone in stand_in.zones():
        answers[f"shipping/zones/{zone['id']}/locations"] = stand_in.locations(zone["id"])
        answers[f"shipping/zones/{zone['id']}/methods"] = stand_in.methods(zone["id"])
    free = DeliveryRate("توصيل مجاني", dinars(0), least=dinars(50_000))
    assert await shipping.read(cast(StoreClient, Store(answers)), CONNECTION) == Deliveries(
        (
            DeliveryZone({"JO": ()}, (DeliveryRate("توصيل", dinars(3_000)), free)),
            DeliveryZone({"SA": (), "AE": ()}, (DeliveryRate("Aramex", dinars(12_500)),)),
            DeliveryZone({}, (), everywhere=True),
        )
    )


async def test_zones_count_in_the_order_of_the_store_and_the_rest_last() -> None:
    found = await read([
        {"id": 0, "order": 0, "methods": [method("flat_rate", cost="9")]},
        {"id": 7, "order": 2, "locations": [{"code": "EU", "type": "continent"}]},
        {"id": 3, "order": 1, "locations": [{"code": "JO", "type": "country"}, {"code": "111*", "type": "postcode"}]},
    ], **{"data/continents/eu": {"countries": [{"code": "DE"}, {"code": "FR"}]}})  # fmt: skip
    assert [(list(one.countries), one.partly, one.everywhere) for one in found.zones] == [
        (["JO"], True, False), (["DE", "FR"], False, False), ([], False, True),
    ]  # fmt: skip


async def test_regions_have_their_names() -> None:
    states = {"states": [{"code": "JOAM", "name": "Amman"}, {"code": "JOIR", "name": "Irbid"}]}
    found = await read(
        [{"id": 1, "order": 0, "locations": [{"code": "JO:JOAM", "type": "state"}, {"code": "EG", "type": "country"}]}],
        **{"data/countries/jo": states},
    )
    assert found.zones[0].countries == {"EG": (), "JO": ("Amman",)}


async def test_the_regions_of_a_country_are_asked_for_once() -> None:
    store = Store({
        "shipping/zones": [{"id": 1, "order": 0}], "settings/general": [], "shipping/zones/1/methods": [],
        "shipping/zones/1/locations": [{"code": f"US:{code}", "type": "state"} for code in ("NY", "TX", "CA")],
        "data/countries/us": {"states": [{"code": "NY", "name": "New York"}]},
    })  # fmt: skip
    found = await shipping.read(cast(StoreClient, store), CONNECTION)
    assert found.zones[0].countries == {"US": ("New York", "TX", "CA")}
    assert store.asked.count("data/countries/us") == 1


async def test_a_zone_without_a_country_is_everywhere_and_counts_in_its_turn() -> None:
    found = await read([
        {"id": 0, "order": 0},
        {"id": 9, "order": 1, "locations": [{"code": "SA", "type": "country"}]},
        {"id": 4, "order": 1, "locations": [{"code": "111*", "type": "postcode"}]},
        {"id": 5, "order": 1, "methods": [method("flat_rate", cost="3")]},
    ])  # fmt: skip
    assert [(list(one.countries), one.partly, one.everywhere) for one in found.zones] == [
        ([], True, True), ([], False, True), (["SA"], False, False), ([], False, True),
    ]  # fmt: skip
    assert not reached(found, "JO").sure, "some postcodes may be served by the zone before"
    assert reached(Deliveries(found.zones[1:]), "JO").zone == found.zones[1]


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({}, {"JO", "SA", "DE"}),
        ({"allowed_countries": "all", "specific_allowed_countries": ["JO"]}, {"JO", "SA", "DE"}),
        ({"allowed_countries": "specific", "specific_allowed_countries": ["JO", "SA"]}, {"JO", "SA"}),
        ({"allowed_countries": "all_except", "all_except_countries": ["DE"]}, {"JO", "SA"}),
        ({"allowed_countries": "specific", "specific_allowed_countries": ["JO"], "ship_to_countries": "all"},
         {"JO", "SA", "DE"}),
        ({"ship_to_countries": "specific", "specific_ship_to_countries": ["JO"]}, {"JO"}),
        ({"ship_to_countries": "", "allowed_countries": "specific", "specific_allowed_countries": ["SA"]}, {"SA"}),
    ],
)  # fmt: skip
async def test_countries_that_the_settings_leave_out_are_not_served(settings: dict[str, Any], served: set[str]) -> None:
    told = [{"id": f"woocommerce_{name}", "value": value} for name, value in settings.items()]
    found = await read(
        [{"id": 0, "order": 0, "methods": [method("flat_rate", cost="9")]}], **{"settings/general": told}
    )
    assert {code for code in ("JO", "SA", "DE") if reached(found, code).zone is not None} == served
    assert all(reached(found, code).sure for code in ("JO", "SA", "DE"))


async def test_a_store_that_sends_nothing_at_all_says_nothing_about_places() -> None:
    told = [{"id": "woocommerce_ship_to_countries", "value": "disabled"}]
    zones = [{"id": 0, "order": 0, "methods": [method("flat_rate", cost="9")]}]
    assert await read(zones, **{"settings/general": told}) == Deliveries()


@pytest.mark.parametrize(
    ("told", "rate"),
    [
        (method("flat_rate", cost="4,5"), DeliveryRate("Way", dinars(4_500))),
        (method("flat_rate", cost=""), None),
        (method("flat_rate", cost="2 * [qty]"), DeliveryRate("Way", None)),
        (method("free_shipping", requires="", min_amount="0"), DeliveryRate("Way", dinars(0))),
        (method("free_shipping", requires="either", min_amount="30"),
         DeliveryRate("Way", dinars(0), least=dinars(30_000))),
        (method("free_shipping", requires="coupon", min_amount="0"), None),
        (method("local_pickup", cost="0"), None),
        (method("flat_rate", enabled=False, cost="3"), None),
        (method("dhl_express"), DeliveryRate("Way", None)),
    ],
)  # fmt: skip
async def test_a_method_is_a_rate_unless_it_is_off_fetched_or_for_a_coupon(
    told: dict[str, Any], rate: DeliveryRate | None
) -> None:
    found = await read([{"id": 0, "order": 0, "methods": [told]}])
    assert found.zones[0].rates == ((rate,) if rate is not None else ())


async def test_goods_of_a_class_that_cost_more_are_said() -> None:
    found = await read([{"id": 0, "order": 0, "methods": [method("flat_rate", cost="3", class_cost_12="8")]}])
    assert found.varies


async def test_tax_on_top_is_said() -> None:
    settings = [{"id": "woocommerce_calc_taxes", "value": "yes"}]
    assert (await read([], **{"settings/general": settings})).taxed
    assert not (await read([])).taxed


@pytest.mark.parametrize("zones", [{"code": "rest_no_route"}, [{"id": 1}], ["zone"], None])
async def test_an_answer_of_another_shape_is_said_to_be_one(zones: Any) -> None:
    answers = {"shipping/zones": zones, "settings/general": []}
    with pytest.raises(PlatformError) as caught:
        await shipping.read(cast(StoreClient, Store(answers)), CONNECTION)
    assert caught.value.retry
