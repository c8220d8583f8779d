"""Over the widget's wire: how a return gets back, what else there is, changing it; to whom it is shown at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from plugin.crm.products import Product, Variant
from plugin.kernel.db import new_id
from plugin.returns import records, shipping
from tests.returns.desk import MUG, SHIRT, Shop
from tests.returns.test_labels import Depot, settings
from tests.returns.test_labels import depot as depot
from tests.returns.test_returning import Client, wish
from tests.returns.test_returning import client as client


@pytest.fixture
async def kiosk(depot: Depot) -> str:
    """A collection point in Riyadh and one in Jeddah; the first one's id."""
    made = []
    for name, city, where in (("Olaya", "Riyadh", (24.70, 46.68)), ("Corniche", "Jeddah", (21.54, 39.17))):
        form = {"kind": "point", "name": name, "line1": f"1 {name}", "city": city, "country": "SA", "hours": "9-17"}
        async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
            made.append(await shipping.put_place(tx, depot.shop.store.id, None, form, where))
    return str(made[0].id)


async def confirm(http: Any, base: str, made: str, wanted: dict[str, Any], **more: Any) -> Any:
    decided = (await http.post(f"/widget/{base}/decision", json=wanted)).json()
    assert decided["refused"] == [], decided
    return await http.post(f"/widget/{base}/{made}", json={"wish": wanted, "digest": decided["digest"], **more})


async def test_a_shopper_chooses_a_place_near_them_and_sees_it_again(depot: Depot, client: Client, kiosk: str) -> None:
    http, order = await client(), f"orders/{depot.shop.order_id}"
    offer = (await http.get(f"/widget/{order}/offer")).json()
    assert [way["code"] for way in offer["ways"]] == ["label", "code", "pickup", "point", "own"]
    assert len(offer["days"]) == 7
    places = (await http.get(f"/widget/{order}/places", params={"kind": "point"})).json()["places"]
    assert [place["name"] for place in places] == ["Olaya", "Corniche"]
    assert 0 < places[0]["km"] < 10 < places[1]["km"]
    assert places[0]["map"].startswith("https://")
    there = (await http.get(f"/widget/{order}/places", params={"kind": "point", "near": "Jeddah"})).json()["places"]
    assert there[0]["name"] == "Corniche"
    wanted = wish(method="point", place=kiosk)
    made = await confirm(http, order, "returns", wanted, client_id=str(uuid4()))
    found = (await http.get(f"/widget/returns/{made.json()['id']}")).json()
    assert (found["way"]["code"], found["way"]["place"]["name"]) == ("point", "Olaya")
    assert depot.sold == [], "nothing is bought for it"


async def test_a_carrier_that_does_not_know_the_map_leaves_the_list(depot: Depot, client: Client, kiosk: str) -> None:
    depot.easypost.fail = {"address": [500] * 9}
    http = await client()
    found = await http.get(f"/widget/orders/{depot.shop.order_id}/places", params={"kind": "point"})
    assert [place["km"] for place in found.json()["places"]] == [None, None]
    assert found.json()["places"][0]["name"] == "Olaya", "their own town"


@pytest.mark.parametrize("bad", [
    {"method": "teleport"}, {"method": "pickup"}, {"method": "pickup", "day": "yesterday"},
    {"method": "pickup", "day": "1999-01-01"}, {"method": "point"}, {"method": "point", "place": str(uuid4())},
    {"method": "store"},
])  # fmt: skip
async def test_ways_that_are_none_are_refused(depot: Depot, client: Client, kiosk: str, bad: dict[str, Any]) -> None:
    http = await client()
    made = await confirm(http, f"orders/{depot.shop.order_id}", "returns", wish(**bad), client_id=str(uuid4()))
    assert made.status_code in (400, 422), made.text


async def test_a_return_is_changed_and_keeps_its_number(depot: Depot, client: Client) -> None:
    await settings(depot.shop, {"label": (), "pickup": ()}, automatic=False)
    http = await client()
    first = await confirm(
        http, f"orders/{depot.shop.order_id}", "returns", wish(method="label"), client_id=str(uuid4())
    )
    id = first.json()["id"]
    offer = (await http.get(f"/widget/returns/{id}/offer")).json()
    assert offer["wish"]["items"][SHIRT]["quantity"] == 1
    assert (offer["wish"]["method"], offer["lines"][0]["most"]) == ("label", 2)
    day = (datetime.now(UTC).date() + timedelta(days=2)).isoformat()
    wanted = wish({"quantity": 2}, {"line": MUG}, method="pickup", day=day)
    changed = await confirm(http, f"returns/{id}", "change", wanted)
    assert changed.json() == first.json()
    found = (await http.get(f"/widget/returns/{id}")).json()
    assert found["way"] == {"code": "pickup", "words": "A courier collects it", "place": None, "day": day}
    assert [(line["title"], line["quantity"]) for line in found["lines"]] == [("Linen shirt", 2), ("Mug", 1)]
    assert "change" in found["may"]
    await http.post(f"/widget/returns/{id}/sent", json={})
    again = await http.post(f"/widget/returns/{id}/change", json={"wish": wanted, "digest": "x"})
    assert again.json() == first.json(), "an answer that got lost is asked for again: nothing is done twice"
    async with depot.shop.app.db.transaction(depot.shop.workspace) as tx:
        (kept,) = await records.of_order(tx, depot.shop.order_id)
    assert (await depot.shop.events(kept)).count("changed") == 1
    late = await http.post(f"/widget/returns/{id}/change", json={"wish": wish(method="label"), "digest": "x"})
    assert late.json()["error"]["code"] == "moved_on"


async def test_what_else_there_is_is_found_by_its_words_and_only_what_is_there(shop: Shop, client: Client) -> None:
    async with shop.app.db.transaction(shop.workspace) as tx:
        for title, stock, currency in (("Blue 100% cup", 3, "ILS"), ("Blue bowl", 0, "ILS"), ("Blue jug", 3, "USD")):
            product = Product(id=new_id(), store_id=shop.store.id, external_id=title, version=datetime.now(UTC),
                              title=title, status="active")  # fmt: skip
            tx.add(product)
            await tx.flush()
            tx.add(Variant(id=new_id(), store_id=shop.store.id, external_id=f"v {title}", version=datetime.now(UTC),
                           product_id=product.id, title="", price=900, currency=currency, stock=stock))  # fmt: skip
    http = await client()

    async def named(words: str) -> list[str]:
        answer = await http.get(f"/widget/orders/{shop.order_id}/instead", params={"q": words})
        return [one["title"] for one in answer.json()["products"]]

    assert await named("blue") == ["Blue 100% cup"]
    assert await named("100%") == ["Blue 100% cup"]
    for nothing in ("%", "_", "\\", "", "x" * 500, "green"):
        assert await named(nothing) in ([], ["Blue 100% cup"] if nothing == "%" else [])


async def test_a_stranger_sees_and_changes_nothing(depot: Depot, client: Client) -> None:
    http = await client()
    made = await confirm(http, f"orders/{depot.shop.order_id}", "returns", wish(method="own"), client_id=str(uuid4()))
    id, stranger = made.json()["id"], await client(proven=False)
    for method, path in (
        ("GET", f"orders/{depot.shop.order_id}/instead?q=a"),
        ("GET", f"orders/{depot.shop.order_id}/places?kind=point"),
        ("GET", f"returns/{id}/offer"), ("POST", f"returns/{id}/decision"), ("POST", f"returns/{id}/change"),
        ("POST", f"returns/{id}/pay"), ("GET", "returns/nobodys/offer"),
    ):  # fmt: skip
        answer = await stranger.request(method, f"/widget/{path}", json={} if method == "POST" else None)
        assert answer.json()["error"]["code"] == "order_unproven", path
    assert (await http.post(f"/widget/returns/{id}/pay", json={})).json() == {"url": ""}
