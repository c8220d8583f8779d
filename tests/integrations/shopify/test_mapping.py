"""Shopify's three spellings of one thing become one record; money is exact; what is strange is refused, not guessed."""

import contextlib
import dataclasses
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.shopify import mapping, queries, webhooks
from integrations.shopify.simulator import Simulator, create_app, trade
from integrations.shopify.simulator.shop import compact
from plugin.kernel.money import Money, exponent_of
from plugin.platform import (
    CartRecord,
    Connection,
    CustomerPart,
    CustomerRecord,
    Deletion,
    MergeRecord,
    OrderPart,
    OrderRecord,
    ProductRecord,
    ReturnRecord,
    StoreNotice,
)

AT = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
SHOP = "acme.myshopify.com"
STORE = Connection(UUID(int=1), UUID(int=2), SHOP, "https://acme.example", currency="ILS")


def read(topic: str, payload: object, at: datetime = AT, store: Connection | None = STORE) -> Any:
    """The one record of a body, or all of them."""
    records = mapping.webhook(topic, json.dumps(payload).encode(), at, store)
    return records[0] if len(records) == 1 else records


def plain(record: Any) -> dict[str, Any]:
    """A record without what the platform called it."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record) if field.name != "raw"}


# --- one order, three spellings -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sim() -> Simulator:
    made = create_app(
        None, app_url="https://app.example.com", client_id="id", client_secret="s", base_port=8001, seeded=True,
        domain=SHOP,
    )  # fmt: skip
    made.shop.state.set("installed", True)
    made.shop.state.set("granted", [*made.shop.required_scopes, *made.shop.optional_scopes])
    return made


def _ask(sim: Simulator, operation: str, gid: str, name: str) -> dict[str, Any]:
    sim.admin_api.throttle.level = sim.admin_api.throttle.size
    answer = sim.admin_api.execute(queries.OPERATIONS[operation], {"id": gid}, operation)
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"][name]
    return found


def _live(sim: Simulator, seed: int) -> dict[str, Any]:
    """An order that some of what happens to orders has happened to."""
    shop, dice = sim.shop, random.Random(seed)
    variants = [variant["id"] for product in shop.state.all("products") for variant in product["variants"]]
    lines = [(variant, dice.randint(1, 4)) for variant in dice.sample(variants, dice.randint(1, 9))]
    customer = dice.choice([None, *shop.state.all("customers")])
    order = trade.place_order(
        shop, lines, customer=customer, email="guest@example.com", quiet=True, paid=dice.random() < 0.8,
        cart_token="c1?key=x", note=dice.choice([None, "מתנה", "هدية"]), locale=dice.choice(["ar", "he", "en"]),
        at=shop.now() - timedelta(minutes=dice.randint(1, 5000)),
    )  # fmt: skip
    for step in dice.sample(["fulfil", "deliver", "refund one", "refund", "cancel", "note"], dice.randint(0, 5)):
        try:
            if step == "refund one":
                trade.refund(shop, order["id"], quantities={order["line_items"][0]["id"]: 1}, note="x", quiet=True)
            elif step == "note":
                trade.edit_order(shop, order["id"], {"tags": "vip, غالي", "note": None})
            else:
                getattr(trade, step)(shop, order["id"], quiet=True)
        except ValueError:
            continue
    return order


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_rest_and_graphql_agree_on_every_order(sim: Simulator, seed: int) -> None:
    doc = _live(sim, seed)
    (rest,) = mapping.webhook("orders/updated", compact(doc), AT, STORE)
    graphql = mapping.order_node(_ask(sim, "Order", doc["admin_graphql_api_id"], "order"))
    assert isinstance(rest, OrderRecord)
    assert plain(rest) | {"returns": ()} == plain(graphql)
    assert rest.returns is None, "webhooks of orders do not tell these"
    assert rest.version != AT
    assert rest.cart_token == "c1"
    assert rest.lines
    assert sum(line.refunded_quantity for line in rest.lines) == sum(
        line["quantity"] - line["current_quantity"] for line in doc["line_items"]
    )


def test_rest_and_graphql_agree_on_customers(sim: Simulator) -> None:
    for doc in sim.shop.state.all("customers")[:30]:
        rest = plain(mapping.webhook("customers/update", compact(doc), AT, STORE)[0])
        graphql = plain(mapping.customer_node(_ask(sim, "Customer", doc["admin_graphql_api_id"], "customer")))
        assert rest["tags"] is rest["orders_count"] is rest["total_spent"] is None, "webhooks do not tell these"
        untold = {"tags", "orders_count", "total_spent", "locale"}
        assert {k: v for k, v in rest.items() if k not in untold} == {
            k: v for k, v in graphql.items() if k not in untold
        }
        assert graphql["total_spent"].currency == "ILS"


def test_rest_and_graphql_agree_on_products(sim: Simulator) -> None:
    for doc in sim.shop.state.all("products"):
        rest = plain(mapping.webhook("products/update", compact(doc), AT, STORE)[0])
        graphql = plain(mapping.product_node(_ask(sim, "Product", doc["admin_graphql_api_id"], "product"), STORE))
        rest.pop("image_url")
        assert graphql.pop("image_url") == f"{sim.shop.storefront_origin}/cdn/products/{doc['handle']}.svg"
        assert rest == graphql
        assert rest["url"] == f"https://acme.example/products/{doc['handle']}"
        assert rest["variants"][0].price.currency == "ILS"


def test_a_bulk_line_and_its_children_are_the_same_order(sim: Simulator) -> None:
    doc = _live(sim, 5)
    node = _ask(sim, "Order", doc["admin_graphql_api_id"], "order")
    lines = node["lineItems"]["nodes"]
    torn = {key: value for key, value in node.items() if key not in {"lineItems", "returns"}}
    assert not mapping.adopt(torn, {"id": "gid://shopify/LineItem/1", "__parentId": "gid://shopify/Order/1"})
    for line in lines:
        assert mapping.adopt(torn, {**line, "__parentId": node["id"]})
    assert mapping.adopt(torn, {"id": "gid://shopify/Unheard/1", "__parentId": node["id"]})
    assert plain(mapping.order_node(mapping.whole(torn, "orders"))) == plain(mapping.order_node(node))
    assert "__parentId" not in json.dumps(torn)


def test_a_bulk_order_without_lines_has_none_rather_than_unknown_ones() -> None:
    assert mapping.whole({"id": "x"}, "orders")["lineItems"] == {"nodes": []}
    assert "lineItems" not in mapping.whole({"id": "x"}, "customers")


# --- returns --------------------------------------------------------------------------------------------------------


def _recorded(step: str) -> bytes:
    """The body of a delivery as it was recorded."""
    path = Path(__file__).parents[2] / f"payloads/shopify/webhooks/returns.{step}.http"
    return path.read_bytes().partition(b"\n\n")[2]


@pytest.mark.parametrize(
    ("step", "number", "status", "name"),
    [
        ("request", 37, "requested", "#1301-R1"), ("approve", 37, "open", "#1301-R1"), ("decline", 38, "declined", ""),
        ("cancel", 37, "cancelled", ""), ("close", 37, "closed", ""), ("reopen", 37, "open", ""),
    ],
)  # fmt: skip
def test_a_step_of_a_return_is_a_part_of_its_order(step: str, number: int, status: str, name: str) -> None:
    returned = ReturnRecord(f"gid://shopify/Return/41200000{number}", status, name, AT)
    part = OrderPart("gid://shopify/Order/6020000000301", AT, returned=returned)
    assert mapping.webhook(f"returns/{step}", _recorded(step), AT, STORE) == (part,)


def test_a_return_without_a_status_is_where_its_topic_says() -> None:
    body = {"id": 5, "order_id": 6}
    assert read("returns/cancel", body).returned.status == "cancelled"
    assert read("returns/close", {**body, "status": "close"}).returned.status == "closed"
    assert read("returns/close", {**body, "status": "beamed up"}).returned.status == "unknown"


def test_a_return_of_no_order_is_refused() -> None:
    with pytest.raises(ValueError, match="Order"):
        read("returns/close", {"id": 5, "status": "closed"})


def test_what_became_of_lines_and_fees_is_asked_for() -> None:
    told = {"return_external_id": "gid://shopify/Return/5"}
    body = {"id": 5, "admin_graphql_api_id": "gid://shopify/Return/5", "restocking_fees": {}}
    for topic in ("returns/update", "returns/process"):
        assert read(topic, body) == StoreNotice("return_changed", AT, told)
        with pytest.raises(ValueError, match="Return"):
            read(topic, {})


def test_an_order_read_by_us_has_its_returns(sim: Simulator) -> None:
    shop = sim.shop
    variant = shop.state.all("products")[0]["variants"][0]["id"]
    order = trade.place_order(shop, [(variant, 9)], customer=None, email="a@example.com", quiet=True)
    trade.fulfil(shop, order["id"], quiet=True)
    days = [shop.now() - timedelta(days=days) for days in range(4)]
    line = {order["line_items"][0]["id"]: 1}
    for steps in ((), ("approve",), ("approve", "close"), ("decline",)):
        asked = trade.request_return(shop, order["id"], quantities=line, at=days[3], quiet=True)
        for moment, step in zip(reversed(days[:3]), steps, strict=False):
            trade.move_return(shop, order["id"], asked["id"], step, at=moment, quiet=True)
    found = mapping.order_node(_ask(sim, "Order", order["admin_graphql_api_id"], "order")).returns
    assert found is not None
    days = [day.replace(microsecond=0) for day in days]
    assert [(one.status, one.at) for one in found] == [
        ("requested", days[3]), ("open", days[2]), ("closed", days[1]), ("declined", None),
    ]  # fmt: skip
    assert [one.name for one in found] == [f"{order['name']}-R{number}" for number in (1, 2, 3, 4)]


# --- money ----------------------------------------------------------------------------------------------------------


def _order(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1, "name": "#1001", "created_at": "2026-11-01T10:00:00+02:00", "updated_at": "2026-11-01T10:00:01+02:00",
        "currency": "ILS", "total_price": "10.00",
    } | changes  # fmt: skip


@given(
    st.sampled_from(["JPY", "ILS", "USD", "KWD", "BHD", "OMR", "JOD", "TND", "SAR"]),
    st.integers(0, 10**12),
    st.booleans(),
)
def test_amounts_are_exact_in_every_currency(currency: str, minor: int, as_number: bool) -> None:
    exponent = exponent_of(currency)
    text = str(Decimal(minor).scaleb(-exponent).quantize(Decimal(1).scaleb(-exponent)))
    body = json.dumps(_order(currency=currency, total_price="@")).replace('"@"', text if as_number else f'"{text}"')
    (record,) = mapping.webhook("orders/create", body.encode(), AT)
    assert isinstance(record, OrderRecord)
    assert record.total == Money(minor, currency, exponent)


def test_a_number_that_no_float_holds() -> None:
    body = json.dumps(_order(currency="KWD", total_price="@")).replace('"@"', "90071992547.123")
    (record,) = mapping.webhook("orders/create", body.encode(), AT)
    assert isinstance(record, OrderRecord)
    assert record.total.amount == 90071992547123
    assert record.raw["total_price"] == "90071992547.123"
    json.dumps(record.raw)


def test_the_shops_money_counts_not_the_shoppers() -> None:
    bag = {
        "shop_money": {"amount": "37.00", "currency_code": "ILS"},
        "presentment_money": {"amount": "10.000", "currency_code": "KWD"},
    }
    record = read("orders/create", _order(total_price_set=bag, total_price="10.000", presentment_currency="KWD"))
    assert record.total == Money(3700, "ILS", 2)
    node = {"id": "gid://shopify/Order/1", "createdAt": "2026-11-01T08:00:00Z", "updatedAt": "2026-11-01T08:00:01Z",
            "totalPriceSet": {"shopMoney": {"amount": "37.0", "currencyCode": "ILS"},
                              "presentmentMoney": {"amount": "10.0", "currencyCode": "KWD"}}}  # fmt: skip
    assert mapping.order_node(node).total == record.total


def test_what_an_order_comes_to_now_stands_beside_its_total() -> None:
    record = read("orders/updated", _order(total_price="60.00", current_total_price="37.00"))
    assert (record.total, record.current_total) == (Money(6000, "ILS", 2), Money(3700, "ILS", 2))
    bags = {name: {"shopMoney": {"amount": amount, "currencyCode": "ILS"}}
            for name, amount in (("totalPriceSet", "60.0"), ("currentTotalPriceSet", "37.0"))}  # fmt: skip
    at = {"createdAt": "2026-11-01T08:00:00Z", "updatedAt": "2026-11-01T08:00:01Z"}
    node = mapping.order_node({"id": "gid://shopify/Order/1", **at, **bags})
    assert (node.total, node.current_total) == (record.total, record.current_total)
    assert read("orders/updated", _order()).current_total is None, "not told is not the same"


@pytest.mark.parametrize("amount", ["", None, "ten", "NaN", "1e400", "1,00"])
def test_an_order_without_a_readable_total_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError):
        read("orders/create", _order(total_price=amount))


def test_a_refund_in_the_shoppers_currency_is_told_by_its_lines() -> None:
    shop_money = {"shop_money": {"amount": "30.00", "currency_code": "ILS"}}
    tax = {"shop_money": {"amount": "5.10", "currency_code": "ILS"}}
    foreign = {"kind": "refund", "status": "success", "amount": "9.000", "currency": "KWD"}
    refund = {
        "id": 5, "order_id": 1, "created_at": "2026-11-02T10:00:00Z", "transactions": [foreign],
        "refund_line_items": [{"subtotal_set": shop_money, "total_tax_set": tax}],
    }  # fmt: skip
    part = read("refunds/create", refund)
    assert isinstance(part, OrderPart)
    assert part.refund is not None
    assert part.refund.amount == Money(3510, "ILS", 2)
    told = {**foreign, "amount_set": {"shop_money": {"amount": "35.11", "currency_code": "ILS"}}}
    assert read("refunds/create", {**refund, "transactions": [told]}).refund.amount == Money(3511, "ILS", 2)
    unknown = read("refunds/create", {**refund, "refund_line_items": []})
    assert unknown.refund.amount is None, "nothing is better than a number in the wrong currency"


def test_only_refunds_that_succeeded_count() -> None:
    transactions = [
        {"kind": "refund", "status": "success", "amount": "10.00", "currency": "ILS"},
        {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "ILS"},
        {"kind": "void", "status": "success", "amount": "88.00", "currency": "ILS"},
        {"kind": "refund", "status": "success", "amount": "2.50", "currency": "ILS"},
    ]
    refund = {"id": 5, "order_id": 1, "created_at": "2026-11-02T10:00:00Z", "transactions": transactions}
    assert read("refunds/create", refund).refund.amount == Money(1250, "ILS", 2)
    assert read("orders/updated", _order(refunds=[refund])).refunded == Money(1250, "ILS", 2)
    assert read("orders/updated", _order(refunds=[])).refunded == Money(0, "ILS", 2)
    assert read("orders/updated", _order()).refunded is None, "not told is not zero"


# --- words, times, ids ----------------------------------------------------------------------------------------------


def test_times_are_utc_and_versions_fall_back_to_the_trigger() -> None:
    record = read("orders/create", _order())
    assert record.version == datetime(2026, 11, 1, 8, 0, 1, tzinfo=UTC)
    assert record.placed_at == datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
    assert read("orders/create", _order(updated_at=None)).version == AT


def test_words_we_do_not_know_become_unknown() -> None:
    record = read("orders/create", _order(financial_status="quantum", fulfillment_status="teleported"))
    assert (record.payment_status, record.fulfilment_status) == ("unknown", "unknown")
    parcel = {
        "id": 3,
        "order_id": 1,
        "status": "success",
        "shipment_status": "teleported",
        "updated_at": "2026-11-02T10:00:00Z",
    }
    assert read("fulfillments/update", parcel).fulfilment.status == "unknown"
    assert read("products/update", {"id": 1, "title": "x", "status": "haunted"}).status == "unknown"
    assert read("orders/create", _order()).fulfilment_status == "unfulfilled"


def test_statuses_of_an_order() -> None:
    assert read("orders/cancelled", _order(cancelled_at="2026-11-02T10:00:00Z")).status == "cancelled"
    assert read("orders/updated", _order(closed_at="2026-11-02T10:00:00Z")).status == "closed"
    assert read("orders/updated", _order()).status == "open"


def test_ids_are_gids_whatever_their_spelling() -> None:
    line = {"id": 9, "title": "Bowl", "quantity": 2, "price": "5.00", "product_id": 3, "variant_id": 4}
    record = read("orders/create", _order(line_items=[line], customer={"id": 7}))
    assert record.external_id == "gid://shopify/Order/1"
    assert record.customer_external_id == "gid://shopify/Customer/7"
    assert record.lines[0].variant_external_id == "gid://shopify/ProductVariant/4"
    custom = read("orders/create", _order(line_items=[{**line, "product_id": None, "variant_id": None}]))
    assert custom.lines[0].product_external_id == ""


@pytest.mark.parametrize(
    ("shipment", "status", "expected"),
    [
        (None, "success", "in_transit"), ("confirmed", "success", "pending"), ("in_transit", "success", "in_transit"),
        ("out_for_delivery", "success", "out_for_delivery"), ("attempted_delivery", "success", "out_for_delivery"),
        ("delivered", "success", "delivered"), ("failure", "success", "failed"),
        ("delivered", "cancelled", "cancelled"), (None, "pending", "pending"), (None, "error", "failed"),
        ("ready_for_pickup", "success", "ready_for_pickup"),
    ],
)  # fmt: skip
def test_parcels(shipment: str | None, status: str, expected: str) -> None:
    parcel = {
        "id": 3, "order_id": 1, "status": status, "shipment_status": shipment, "tracking_number": "RR1",
        "tracking_url": "https://t.example/RR1", "tracking_company": "Israel Post",
        "created_at": "2026-11-02T10:00:00Z", "updated_at": "2026-11-03T10:00:00Z",
    }  # fmt: skip
    part = read("fulfillments/update", parcel)
    assert part.order_external_id == "gid://shopify/Order/1"
    assert part.fulfilment.status == expected
    assert (part.fulfilment.tracking_number, part.fulfilment.carrier) == ("RR1", "Israel Post")
    assert (part.fulfilment.delivered_at is not None) is (expected == "delivered")
    node = {"id": "gid://shopify/Fulfillment/3", "status": status.upper(), "displayStatus": (shipment or "").upper(),
            "createdAt": parcel["created_at"], "updatedAt": parcel["updated_at"],
            "trackingInfo": [{"company": "Israel Post", "number": "RR1", "url": "https://t.example/RR1"}]}  # fmt: skip
    assert mapping._fulfilment_node(node) == part.fulfilment


def test_a_delivery_scan_moves_the_parcel_and_knows_when() -> None:
    event = {"id": 8, "fulfillment_id": 3, "order_id": 1, "status": "delivered",
             "happened_at": "2026-11-03T09:00:00Z", "created_at": "2026-11-03T12:00:00Z"}  # fmt: skip
    part = read("fulfillment_events/create", event)
    assert part.fulfilment.external_id == "gid://shopify/Fulfillment/3"
    assert part.fulfilment.delivered_at == datetime(2026, 11, 3, 9, tzinfo=UTC)
    heard = datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert part.version == heard - timedelta(microseconds=1), "when Shopify heard of it, behind the parcel's own update"
    assert read("fulfillment_events/create", {**event, "status": "abducted"}) == ()


# --- carts ----------------------------------------------------------------------------------------------------------


def test_a_cart_is_named_by_its_token_without_its_key() -> None:
    price = {"shop_money": {"amount": "45.00", "currency_code": "ILS"}}
    line = {"id": 4, "variant_id": 4, "product_id": 3, "quantity": 2, "title": "Mug", "price": "45.00", "key": "4:abc",
            "price_set": price,
            "line_price_set": {"shop_money": {"amount": "90.00", "currency_code": "ILS"}}}  # fmt: skip
    cart = read("carts/update", {"id": "Z2Nw", "token": "Z2Nw?key=secret", "line_items": [line], "updated_at": None})
    assert isinstance(cart, CartRecord)
    assert (cart.external_id, cart.token) == ("gid://shopify/Cart/Z2Nw", "Z2Nw")
    assert (cart.total, cart.kind, cart.currency) == (Money(9000, "ILS", 2), "cart", "ILS")
    assert cart.lines[0].unit_price == Money(4500, "ILS", 2)
    assert cart.version == AT


def test_a_cart_whose_currency_is_not_told_is_in_the_stores() -> None:
    line = {"variant_id": 4, "quantity": 2, "title": "Mug", "price": "45.00", "line_price": "90.00", "key": "4:abc"}
    cart = read("carts/create", {"token": "t", "line_items": [line]})
    assert (cart.total, cart.lines[0].unit_price) == (Money(9000, "ILS", 2), Money(4500, "ILS", 2))
    assert read("carts/create", {"token": "t", "line_items": []}).total is None
    assert read("carts/create", {"token": "t", "line_items": [line]}, store=None).total is None


def test_a_checkout() -> None:
    checkout = {
        "token": "tok", "cart_token": "c?key=1", "email": "a@example.com", "currency": "ILS", "total_price": "90.00",
        "presentment_currency": "ILS", "completed_at": "2026-11-02T10:00:00Z", "customer": {"id": 7},
        "abandoned_checkout_url": "https://acme.example/recover", "line_items": [],
        "updated_at": "2026-11-02T10:00:00Z",
    }  # fmt: skip
    record = read("checkouts/update", checkout)
    assert (record.external_id, record.kind, record.token) == ("gid://shopify/Checkout/tok", "checkout", "c")
    assert record.total == Money(9000, "ILS", 2)
    assert record.completed_at is not None
    foreign = read("checkouts/update", {**checkout, "presentment_currency": "KWD"})
    assert foreign.total is None, "the bare amount is the shopper's"
    assert read("checkouts/delete", {"token": "tok"}) == Deletion("checkouts", "gid://shopify/Checkout/tok", AT)


# --- customers, products --------------------------------------------------------------------------------------------


def test_parts_of_a_customer() -> None:
    gid = "gid://shopify/Customer/7"
    tagged = read("customer.tags_added", {"customerId": gid, "tags": ["vip"], "occurredAt": "2026-11-02T10:00:00Z"})
    assert tagged == CustomerPart(gid, datetime(2026, 11, 2, 10, tzinfo=UTC), tags_added=("vip",))
    assert read("customer.tags_removed", {"customerId": gid, "tags": ["vip"]}).tags_removed == ("vip",)
    amount = {"amount": "12.345", "currencyCode": "KWD"}
    spent = read("customers/purchasing_summary", {"customerId": gid, "numberOfOrders": "3", "amountSpent": amount})
    assert (spent.orders_count, spent.total_spent) == (3, Money(12345, "KWD", 3))
    consent = {"customer_id": 7, "email_marketing_consent": {"state": "unsubscribed", "consent_updated_at": None}}
    assert read("customers_email_marketing_consent/update", consent).accepts_marketing is False


def test_a_merge_counts_once_it_is_done() -> None:
    told = {"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
            "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2", "status": "completed"}  # fmt: skip
    assert read("customers/merge", told) == MergeRecord("gid://shopify/Customer/1", "gid://shopify/Customer/2", AT)
    assert read("customers/merge", {**told, "status": "failed"}) == ()


def test_old_customer_bodies_that_still_carry_tags() -> None:
    record = read(
        "customers/update", {"id": 7, "tags": "a, b", "orders_count": 0, "total_spent": "0.00", "currency": "ILS"}
    )
    assert (record.tags, record.orders_count, record.total_spent) == (("a", "b"), 0, Money(0, "ILS", 2))


def test_a_lone_variant_is_merged_into_its_product() -> None:
    variant = {"id": 4, "product_id": 3, "title": "Olive", "price": "45.00", "inventory_quantity": 0,
               "inventory_policy": "deny", "inventory_management": "shopify"}  # fmt: skip
    record = read("variants/out_of_stock", variant)
    assert isinstance(record, ProductRecord)
    assert record.parent_external_id == "gid://shopify/Product/3"
    assert (record.variants[0].stock, record.variants[0].available) == (0, False)
    assert read("variants/out_of_stock", {**variant, "inventory_policy": "continue"}).variants[0].available
    uncounted = read("variants/in_stock", {**variant, "inventory_management": None}).variants[0]
    assert (uncounted.stock, uncounted.available) == (None, True)
    assert (record.variants[0].title, uncounted.title) == ("Olive", "Olive")
    assert read("variants/in_stock", {**variant, "title": "Default Title"}).variants[0].title == ""


def test_a_merchants_html_becomes_words() -> None:
    html = "<p>Fine &amp; <b>clay</b></p><script>steal()</script><ul><li>one<li>two</ul><style>p{}</style>"
    assert read("products/create", {"id": 3, "title": "x", "body_html": html}).description == "Fine & clay\none\ntwo"
    assert read("products/create", {"id": 3, "title": "x", "body_html": None}).description == ""


# --- notices, deletions, what is refused ----------------------------------------------------------------------------


def test_deletions_leave_tombstones_at_their_time() -> None:
    assert read("orders/delete", {"id": 1}) == Deletion("orders", "gid://shopify/Order/1", AT)
    assert read("customers/delete", {"id": 7}) == Deletion("customers", "gid://shopify/Customer/7", AT)
    assert read("products/delete", {"id": 3}) == Deletion("products", "gid://shopify/Product/3", AT)


def test_compliance_notices() -> None:
    person = {"id": 7, "email": "a@example.com", "phone": "+1555"}
    asked = {"shop_id": 1, "shop_domain": SHOP, "orders_requested": [11], "customer": person, "data_request": {"id": 9}}
    notice = read("customers/data_request", asked)
    assert notice.kind == "data_request"
    assert notice.data["customer_external_id"] == "gid://shopify/Customer/7"
    assert notice.data["orders"] == ["gid://shopify/Order/11"]
    assert notice.data["request_id"] == "9"
    mail_only = {"shop_domain": SHOP, "customer": {"email": "a@example.com"}, "orders_to_redact": []}
    assert read("customers/redact", mail_only).data["customer_external_id"] == ""
    assert read("shop/redact", {"shop_id": 1, "shop_domain": SHOP}) == StoreNotice("shop_redact", AT, {})


def test_life_of_the_store() -> None:
    assert read("app/uninstalled", {"myshopify_domain": SHOP}).kind == "uninstalled"
    scopes = read("app/scopes_update", {"current": ["read_orders"], "shop_domain": SHOP})
    assert (scopes.kind, scopes.data["current"]) == ("scopes_updated", ["read_orders"])
    assert read("shop/update", {"myshopify_domain": SHOP, "primary_locale": "he"}).data == {"locale": "he"}
    finished = {"admin_graphql_api_id": "gid://shopify/BulkOperation/1", "status": "completed", "error_code": None}
    assert read("bulk_operations/finish", finished).data["status"] == "completed"


@pytest.mark.parametrize("topic", ["app/uninstalled", *sorted(webhooks.COMPLIANCE_TOPICS)])
def test_nothing_destructive_rests_on_a_header_alone(topic: str) -> None:
    """The body is signed for one shop, the header says another: whoever has a body of theirs could aim it at ours."""
    field = "myshopify_domain" if topic == "app/uninstalled" else "shop_domain"
    for payload in ({field: "other.myshopify.com"}, {}, {field: ""}, {field: 7}):
        with pytest.raises(ValueError):
            read(topic, payload)


def test_a_topic_that_is_not_ours_says_so() -> None:
    assert read("themes/publish", {"id": 1}) == StoreNotice("unknown_topic", AT, {"topic": "themes/publish"})


@pytest.mark.parametrize("topic", sorted(webhooks.TOPICS))
def test_every_topic_reads_or_refuses_an_empty_body(topic: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(mapping.webhook(topic, b"{}", AT, STORE), tuple)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff\xfe", b'{"id":1', b'{"a":"\\ud800"}'])
def test_broken_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        mapping.webhook("orders/create", body, AT, STORE)


@given(st.sampled_from(sorted(webhooks.TOPICS)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "order_id", "customer", "line_items", "updated_at", "total_price", "currency", "tags",
                         "fulfillments", "refunds", "variants", "token", "customerId", "status"]), inner, max_size=4),
    max_leaves=8,
))  # fmt: skip
def test_no_payload_fails_in_a_way_that_does_not_park_it(topic: str, payload: object) -> None:
    with contextlib.suppress(ValueError):
        mapping.webhook(topic, json.dumps(payload).encode(), AT, STORE)


@pytest.mark.parametrize(
    "changes",
    [{"customer": "x"}, {"line_items": [7]}, {"line_items": 7}, {"refunds": ["x"]}, {"updated_at": 7},
     {"line_items": [{"id": 1, "quantity": "many"}]}, {"created_at": None}, {"shipping_address": "here"}],
)  # fmt: skip
def test_an_order_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read("orders/create", _order(**changes))


def test_nul_is_dropped_where_postgresql_cannot_hold_it() -> None:
    record = read(
        "customers/create", {"id": 7, "first_name": "Da\x00na", "note": "\\u0000 typed", "x": [{"\x00": "\x00"}]}
    )
    assert isinstance(record, CustomerRecord)
    assert record.first_name == "Dana"
    assert record.note == "\\u0000 typed"
    assert "\x00" not in repr(record.raw)


def test_guests_are_told_by_what_they_typed() -> None:
    address = {"first_name": "Rana", "last_name": "Haddad", "country_code": "JO", "city": "Amman", "zip": "11118"}
    record = read("orders/create", _order(email=None, contact_email="r@example.com", shipping_address=address))
    assert (record.customer_external_id, record.email, record.customer_name) == ("", "r@example.com", "Rana Haddad")
    assert record.shipping_address.country == "JO"
