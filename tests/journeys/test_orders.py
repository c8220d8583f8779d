"""Walk b: what happens in the store's own system is in the CRM, in the panel and in the timeline, once."""

from typing import Any

import pytest

from plugin.crm.customers import Customer
from plugin.crm.orders import Order, OrderReturn
from plugin.kernel.events import Event
from plugin.stores import Store
from tests.journeys.conftest import SHOP, WOO, Owner, World


async def _order(world: World, store: Store, external_id: str) -> Any:
    async def found() -> Any:
        rows = await world.all(store.workspace_id, Order, Order.store_id == store.id, Order.external_id == external_id)
        assert len(rows) <= 1
        return rows[0] if rows else None

    return await world.until(found, what=f"order {external_id}")


async def test_an_order_at_shopify_arrives(world: World, shopify_store: Store) -> None:
    await world.history_of(shopify_store)
    await world.control(f"https://{SHOP}", "deliveries", {"duplicates": 1.0})
    made = await world.control(f"https://{SHOP}", "order", {"email": "layla.new@example.com"})
    await world.control(f"https://{SHOP}", "deliveries", {"duplicates": 0.0})
    order = await _order(world, shopify_store, made["admin_graphql_api_id"])
    assert f"{order.total / 10**order.exponent:.2f}" == made["total_price"]
    assert order.currency == made["currency"]
    customer = (await world.all(shopify_store.workspace_id, Customer, Customer.id == order.customer_id))[0]
    assert customer.email == "layla.new@example.com"
    placed = await world.all(
        shopify_store.workspace_id, Event, Event.kind == "order.placed", Event.subject_id == order.id
    )
    assert len(placed) == 1


async def test_what_follows_at_shopify_follows_here(world: World, shopify_store: Store) -> None:
    made = await world.control(f"https://{SHOP}", "order", {"email": "sami.new@example.com"})
    order = await _order(world, shopify_store, made["admin_graphql_api_id"])
    await world.control(f"https://{SHOP}", f"order/{made['id']}/fulfil", {})
    sent_back = {"quantities": {made["line_items"][0]["id"]: 1}, "note": "too small"}
    asked = await world.control(f"https://{SHOP}", f"order/{made['id']}/return-request", sent_back)
    for step in ("approve", "close"):
        await world.control(f"https://{SHOP}", f"order/{made['id']}/return-{step}", {"return_id": asked["id"]})
    await world.control(f"https://{SHOP}", f"order/{made['id']}/refund", {})
    wanted = ["order.fulfilled", "order.refunded", "return.approved", "return.closed", "return.requested"]

    async def told() -> list[str]:
        rows = await world.all(shopify_store.workspace_id, Event, Event.subject_id == order.id)
        kinds = sorted(row.kind for row in rows)
        return kinds if set(wanted) <= set(kinds) else []

    kinds = await world.until(told, what="fulfilment, return and refund")
    assert "order.placed" in kinds
    assert [kind for kind in kinds if kind in wanted] == wanted
    (returned,) = await world.all(shopify_store.workspace_id, OrderReturn, OrderReturn.order_id == order.id)
    assert (returned.status, returned.name) == ("closed", asked["name"])


async def test_an_order_at_woocommerce_arrives(world: World, woo_store: Store, owner: Owner) -> None:
    await world.history_of(woo_store)

    async def registered() -> bool:
        return int((await world.control(WOO, "state"))["counts"]["webhook"]) > 0

    await world.until(registered, what="registration")
    made = await world.control(WOO, "order", {"email": "noa.new@example.com", "language": "he"})
    order = await _order(world, woo_store, str(made["id"]))
    customer = (await world.all(woo_store.workspace_id, Customer, Customer.id == order.customer_id))[0]
    assert customer.email == "noa.new@example.com"
    page = await owner.browser.get(f"{world.url}/panel/customers/{customer.id}")
    assert page.status_code == 200
    assert order.number in page.text


@pytest.mark.parametrize("platform", ["shopify", "woocommerce"])
async def test_an_unsigned_order_is_refused(world: World, platform: str, woo_store: Store) -> None:
    path = "/webhooks/shopify" if platform == "shopify" else f"/webhooks/woocommerce/{woo_store.id}"
    named = {
        "x-shopify-topic": "orders/create", "x-shopify-shop-domain": SHOP, "x-shopify-api-version": "2026-10",
        "x-shopify-webhook-id": "1", "x-wc-webhook-topic": "order.created", "x-wc-webhook-id": "1",
    }  # fmt: skip
    forged = {"x-shopify-hmac-sha256": "Zm9yZ2Vk", "x-wc-webhook-signature": "Zm9yZ2Vk"}
    async with world.client(base_url=world.url) as http:
        for headers in ({}, named, {**named, **forged}):
            assert (await http.post(path, json={"id": 1}, headers=headers)).status_code == 401
