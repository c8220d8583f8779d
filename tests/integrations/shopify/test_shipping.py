"""Where a Shopify shop delivers: with which permission it is read, and what is made of its zones."""

from __future__ import annotations

import pytest

from integrations.shopify import shipping
from integrations.shopify.simulator import oauth
from plugin.kernel.money import Money
from plugin.platform import Deliveries, DeliveryRate, DeliveryZone, PlatformError
from tests.integrations.shopify.conftest import World


def shekels(units: int) -> Money:
    return Money(units * 100, "ILS", 2)


ISRAEL = DeliveryZone(
    {"IL": ()},
    (
        DeliveryRate("Standard", shekels(25), most=shekels(300)),
        DeliveryRate("Free delivery", shekels(0), least=shekels(300)),
        DeliveryRate("Express", shekels(45)),
    ),
)
NEIGHBOURS = DeliveryZone(
    {"JO": (), "EG": ("Cairo", "Giza")}, (DeliveryRate("International", shekels(60), about="7 to 10 business days"),)
)
GULF = DeliveryZone({"SA": (), "AE": (), "QA": ()}, (DeliveryRate("DHL", None),))


async def test_without_the_permission_it_is_named_and_with_it_the_zones_are_read(world: World) -> None:
    connection = await world.connect()
    assert await world.platform.deliveries(connection) == Deliveries(ask="read_shipping")
    oauth.change_scopes(world.sim.shop, [*world.sim.shop.granted, "read_shipping"])
    assert await world.platform.deliveries(connection) == Deliveries((ISRAEL, NEIGHBOURS, GULF))


async def test_zones_come_by_pages_and_the_rest_of_the_world_counts_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, "read_shipping"])
    post = {"id": 1, "name": "Rest", "countries": {"*": []}, "rates": [{"name": "Post", "price": "90.00"}]}
    jordan = {"id": 2, "name": "Jordan", "countries": {"JO": []}, "rates": [{"name": "Van", "price": "7.50"}]}
    shop.state.set("delivery_zones", [post, jordan])
    shop.state.set("profiles", 2)
    shop.state.set("taxes_included", False)
    monkeypatch.setattr(shipping, "ZONES", 1)
    assert await world.platform.deliveries(connection) == Deliveries(
        (
            DeliveryZone({"JO": ()}, (DeliveryRate("Van", Money(750, "ILS", 2)),)),
            DeliveryZone({}, (DeliveryRate("Post", shekels(90)),), everywhere=True),
        ),
        varies=True,
        taxed=True,
    )


async def test_every_place_that_goods_leave_from_is_read_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, "read_shipping"])
    codes = (("IL", "JO", "EG"), ("SA", "AE"))
    shop.state.set(
        "delivery_groups",
        [[{"id": at, "name": code, "countries": {code: []}, "rates": [{"name": f"To {code}", "price": "5.00"}]}
          for at, code in enumerate(group)] for group in codes],
    )  # fmt: skip
    monkeypatch.setattr(shipping, "ZONES", 1)
    found = await world.platform.deliveries(connection)
    assert found.varies
    told = {code: zone.rates[0].name for zone in found.zones for code in zone.countries}
    assert told == {code: f"To {code}" for group in codes for code in group}


async def test_a_zone_with_more_ways_than_were_told_may_have_one_that_is_on(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, "read_shipping"])
    off = [{"name": f"Old {number}", "price": "9.00", "active": False} for number in range(10)]
    zone = {"id": 1, "name": "Israel", "countries": {"IL": []}, "rates": off}
    shop.state.set("delivery_zones", [zone])
    assert await world.platform.deliveries(connection) == Deliveries((DeliveryZone({"IL": ()}, ()),))
    shop.state.set("delivery_zones", [zone | {"rates": [*off, {"name": "Van", "price": "7.50"}]}])
    assert await world.platform.deliveries(connection) == Deliveries((DeliveryZone({"IL": ()}, ()),), varies=True)


async def test_an_answer_of_another_shape_is_said_to_be_one(world: World) -> None:
    connection = await world.connect()
    shop = world.sim.shop
    oauth.change_scopes(shop, [*shop.granted, "read_shipping"])
    shop.state.set(
        "delivery_zones", [{"id": 1, "name": "Odd", "countries": {}, "rates": [{"name": "X", "price": "dear"}]}]
    )
    with pytest.raises(PlatformError):
        await world.platform.deliveries(connection)
