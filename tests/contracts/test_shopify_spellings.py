"""One order, told by webhook and read by GraphQL, becomes the same record: the whole demo history is compared."""

import dataclasses
from datetime import UTC, datetime

from integrations.shopify import mapping, queries
from integrations.shopify.simulator import create_app, oauth, trade
from integrations.shopify.simulator.shop import compact

AT = datetime(2026, 11, 22, tzinfo=UTC)


def test_every_order_is_the_same_but_for_its_returns() -> None:
    """Returns have topics of their own."""
    simulator = create_app(None, app_url="http://localhost:8000", client_id="c", client_secret="hush", base_port=8001)
    oauth.install(simulator.shop, ["read_all_orders"])
    simulator.admin_api.throttle.size = simulator.admin_api.throttle.level = 1e9
    orders = simulator.shop.state.all("orders")
    assert any(order["refunds"] for order in orders)
    for held in orders:
        told = mapping.order(mapping.parse(compact(held)), AT)
        answer = simulator.admin_api.execute(queries.ORDER, {"id": held["admin_graphql_api_id"]})
        read = mapping.order_node(answer["data"]["order"])
        assert dataclasses.replace(told, raw={}) == dataclasses.replace(read, raw={}, returns=None)


def test_every_customer_is_the_same_but_for_what_webhooks_left_out() -> None:
    """Since 2025 tags, counts and spending have their own topics; the locale is GraphQL's alone (platforms.md A2.8)."""
    simulator = create_app(None, app_url="http://localhost:8000", client_id="c", client_secret="hush", base_port=8001)
    oauth.install(simulator.shop)
    simulator.admin_api.throttle.size = simulator.admin_api.throttle.level = 1e9
    only_read = {"raw": {}, "locale": "", "tags": None, "orders_count": None, "total_spent": None}
    for held in simulator.shop.state.all("customers"):
        told = mapping.customer(mapping.parse(compact(held)), AT)
        answer = simulator.admin_api.execute(queries.CUSTOMER, {"id": held["admin_graphql_api_id"]})
        read = mapping.customer_node(answer["data"]["customer"])
        assert dataclasses.replace(told, **only_read) == dataclasses.replace(read, **only_read)
        assert read.locale


def test_a_product_keeps_its_picture_when_a_webhook_tells_of_it() -> None:
    simulator = create_app(None, app_url="http://localhost:8000", client_id="c", client_secret="hush", base_port=8001)
    told = []
    simulator.shop.on_event = lambda topic, payload, _event: told.append((topic, payload))
    held = simulator.shop.state.all("products")[0]
    trade.update_product(simulator.shop, held["id"], {"vendor": "Another"})
    [(topic, payload)] = told
    assert topic == "products/update"
    picture = f"{simulator.shop.storefront_origin}/cdn/products/{held['handle']}.svg"
    assert mapping.product(mapping.parse(compact(payload)), AT, None).image_url == picture
