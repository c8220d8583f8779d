"""The simulators keep the platforms' rules about returns, fail as they do, and know what money really moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from integrations.shopify.simulator import Simulator, create_app, oauth, returns, trade
from integrations.shopify.simulator.shop import gid, minor
from integrations.shopify.simulator.state import Doc
from integrations.woocommerce.simulator.database import Documents
from integrations.woocommerce.simulator.shop import Died, Shop, Wanted, utc_now
from integrations.woocommerce.simulator.wire import WpError

SHOPIFY = "http://shopify-demo.localhost:8001"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    made = create_app(
        None, app_url="https://app.example.com", client_id="id", client_secret="s", base_port=8001, seeded=False,
        transport=httpx.MockTransport(lambda _: httpx.Response(200)),
    )  # fmt: skip
    variants = [{"id": 1, "admin_graphql_api_id": gid("ProductVariant", 1), "price": "30.00", "sku": "A", "title": "S",
                 "inventory_quantity": 5}]  # fmt: skip
    made.shop.state.put("products", 1, {"id": 1, "title": "Soap", "vendor": "B", "handle": "soap", "variants": variants,
                                        "tags": ""})  # fmt: skip
    oauth.install(made.shop, ["write_returns"])
    yield made
    await made.shutdown()


def sent_order(sim: Simulator, quantity: int = 3) -> Doc:
    customer = trade.create_customer(sim.shop, first_name="L", last_name="H", email="l@example.com")
    order = trade.place_order(sim.shop, [(1, quantity)], customer=customer)
    trade.fulfil(sim.shop, order["id"])
    return order


def opened(sim: Simulator, order: Doc, quantity: int, **more: Any) -> Doc:
    sent = order["fulfillments"][0]["line_items"][0]["_fulfillment_line_id"]
    line = {"fulfillmentLineItemId": gid("FulfillmentLineItem", sent), "quantity": quantity}
    told = {"orderId": order["admin_graphql_api_id"], "returnLineItems": [line], **more}
    return returns.open_return(sim.shop, told, status="open")


def processing(held: Doc, quantity: int, **more: Any) -> Doc:
    return {"returnId": held["admin_graphql_api_id"],
            "returnLineItems": [{"id": held["return_line_items"][0]["admin_graphql_api_id"], "quantity": quantity}],
            **more}  # fmt: skip


def cash(order: Doc, text: str) -> Doc:
    money = {"amount": text, "currencyCode": "ILS"}
    entry = {"parentId": gid("OrderTransaction", order["id"] * 10 + 1), "transactionAmount": money}
    return {"financialTransfer": {"issueRefund": {"orderTransactions": [entry]}}}


def test_shopify_takes_no_unit_twice(sim: Simulator) -> None:
    order = sent_order(sim)
    held = opened(sim, order, 2)
    with pytest.raises(returns.Refused, match="returnable"):
        opened(sim, order, 2)
    returns.process(sim.shop, processing(held, 2))
    with pytest.raises(returns.Refused, match="processable"):
        returns.process(sim.shop, processing(held, 1))
    assert sum(units for *_, units in returns.left_to_return(order)) == 1


def test_shopify_moves_what_it_is_told_to_up_to_what_was_paid_and_keeps_books(sim: Simulator) -> None:
    order = sent_order(sim)
    held = opened(sim, order, 2)
    with pytest.raises(returns.Refused, match="exceeds"):
        returns.process(sim.shop, processing(held, 1, **cash(order, "9999.00")))
    assert held["return_line_items"][0].get("_processed", 0) == 0, "refused is refused as a whole"
    returns.process(sim.shop, processing(held, 1, **cash(order, "12.34"), note="why"))
    (entry,) = sim.shop.state.all("ledger")
    assert (entry["minor"], entry["kind"]) == (1234, "refund")
    (refund,) = order["refunds"]
    assert (refund["note"], refund["return"]["id"]) == ("why", held["id"])


def test_shopify_wants_a_place_for_what_goes_back_on_the_shelf(sim: Simulator) -> None:
    held = opened(sim, sent_order(sim), 2)
    line = {"reverseFulfillmentOrderLineItemId": gid("ReverseFulfillmentOrderLineItem",
            held["_parcels"][0]["lines"][0]["id"]), "quantity": 2, "dispositionType": "RESTOCKED"}  # fmt: skip
    with pytest.raises(returns.Refused) as refused:
        returns.dispose(sim.shop, [line])
    assert refused.value.code == "BLANK"
    before = trade.find_variant(sim.shop, 1)[1]["inventory_quantity"]
    returns.dispose(sim.shop, [{**line, "locationId": gid("Location", 1)}])
    assert trade.find_variant(sim.shop, 1)[1]["inventory_quantity"] == before + 2
    with pytest.raises(returns.Refused, match="left to dispose"):
        returns.dispose(sim.shop, [{**line, "locationId": gid("Location", 1)}])


def test_shopify_tells_each_step_of_a_return(sim: Simulator) -> None:
    told: list[str] = []
    sim.shop.on_event = lambda topic, payload, event: told.append(topic)
    order = sent_order(sim)
    held = opened(sim, order, 2)
    returns.remove(sim.shop, held["admin_graphql_api_id"], held["return_line_items"][0]["id"], 1)
    returns.process(sim.shop, processing(held, 1, **cash(order, "5.00")))
    returns.step(sim.shop, held["admin_graphql_api_id"], "close")
    for topic in ("returns/approve", "returns/update", "returns/process", "refunds/create", "returns/close"):
        assert told.count(topic) == 1, topic


def test_shopify_asks_for_more_where_the_exchange_costs_more(sim: Simulator) -> None:
    order = sent_order(sim)
    exchange = [{"variantId": gid("ProductVariant", 1), "quantity": 2}]
    held = opened(sim, order, 1, exchangeLineItems=exchange)
    lines = [{"id": held["return_line_items"][0]["admin_graphql_api_id"], "quantity": 1}]
    new = [{"id": held["exchange_line_items"][0]["admin_graphql_api_id"], "quantity": 2}]
    said = returns.outcome(sim.shop, order, held, returnLineItems=lines, exchangeLineItems=new)["financialTransfer"]
    assert (said["__typename"], said["amount"]["presentmentMoney"]["amount"]) == ("InvoiceReturnOutcome", "30.00")
    returns.process(sim.shop, processing(held, 1, exchangeLineItems=new))
    assert [line["quantity"] for line in order["line_items"]] == [3, 2]
    assert minor(order["total_outstanding"]) == 3000


def test_what_goes_out_instead_counts_in_what_a_shopify_order_comes_to(sim: Simulator) -> None:
    """Also where it goes out before anything came back (Order.currentTotalPriceSet)."""
    order = sent_order(sim)
    before = minor(order["current_total_price"])
    held = opened(sim, order, 1, exchangeLineItems=[{"variantId": gid("ProductVariant", 1), "quantity": 2}])
    new = [{"id": held["exchange_line_items"][0]["admin_graphql_api_id"], "quantity": 2}]
    price = minor(trade.find_variant(sim.shop, 1)[1]["price"])
    returns.process(sim.shop, {"returnId": held["admin_graphql_api_id"], "exchangeLineItems": new})
    assert minor(order["current_total_price"]) == before + 2 * price
    assert minor(order["current_total_price_set"]["shop_money"]["amount"]) == before + 2 * price


async def test_somebody_in_the_admin_opens_a_return_takes_goods_out_and_pays(sim: Simulator) -> None:
    order = sent_order(sim)
    line = str(order["line_items"][0]["id"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sim), base_url=f"{SHOPIFY}/__sim/") as http:
        made = (await http.post(f"order/{order['id']}/return-create", json={"lines": {line: 2}, "fee": "1.00"})).json()
        own = made["return_line_items"][0]["id"]
        await http.post(f"order/{order['id']}/return-remove", json={"return_id": made["id"], "line_id": own})
        told = {"return_id": made["id"], "money": "29.00", "note": "by hand"}
        await http.post(f"order/{order['id']}/return-process", json=told)
        assert (await http.post(f"order/{order['id']}/return-process", json={"return_id": 7})).status_code == 404
        over = await http.post(f"order/{order['id']}/return-create", json={"lines": {line: 9}})
        ledger = (await http.get("ledger")).json()["ledger"]
    assert over.status_code == 200, "no more than may go back is taken"
    assert [entry["minor"] for entry in ledger] == [2900]


# WooCommerce


@pytest.fixture
def woo() -> Shop:
    shop = Shop(Documents(None), utc_now, lambda topic, id: None)
    shop.set_option(refunding_gateways=["bacs"])
    return shop


def woo_order(shop: Shop) -> tuple[int, int]:
    product = shop.create_product({"en": "Soap", "ar": "صابون", "he": "סבון"}, default="en", sku="s", price="5.000",
                                  category="c", hue=1)  # fmt: skip
    order = shop.create_order([Wanted(product["id"], quantity=2)], status="completed", payment_method="bacs")
    return order["id"], order["line_items"][0]["id"]


@pytest.mark.parametrize(
    ("mode", "moved", "kept", "paid"),
    [("refuse", 0, 0, False), ("timeout", 1, 0, False), ("die_before", 0, 1, False), ("die_during", 1, 1, False),
     ("die_after", 1, 1, True)],
)  # fmt: skip
def test_a_gateway_dies_before_during_and_after_the_money_moves(
    woo: Shop, mode: str, moved: int, kept: int, paid: bool
) -> None:
    order, line = woo_order(woo)
    woo.documents.put("option", "gateway", {"mode": mode, "left": 1})
    told = {"amount": "5.000", "reason": "why", "line_items": [{"id": line, "quantity": 1, "refund_total": "5.000"}],
            "meta_data": [{"key": "k", "value": "v"}]}  # fmt: skip
    with pytest.raises(Died if mode.startswith("die") else WpError):
        woo.refund(order, told)
    assert [entry["minor"] for entry in woo.ledger()] == [5000] * moved
    refunds = list(woo.documents.all("refund"))
    assert [(one["reason"], one["refunded_payment"]) for one in refunds] == [("why", paid)] * kept
    assert all(meta["key"] != "k" for one in refunds for meta in one["meta_data"]), "metadata is written last"
    assert woo.refund(order, {**told, "amount": "1.000"})["refunded_payment"], "the next one works"


def test_a_refund_of_nothing_takes_units_back_and_moves_no_money(woo: Shop) -> None:
    order, line = woo_order(woo)
    product = next(iter(woo.documents.all("product")))
    before = product["stock_quantity"]
    woo.refund(order, {"amount": "0", "api_refund": False, "line_items": [{"id": line, "quantity": 1}]})
    assert product["stock_quantity"] == before + 1
    assert woo.ledger() == []
    with pytest.raises(WpError, match="Invalid refund amount"):
        woo.refund(order, {"amount": "0", "api_refund": False})


def test_the_status_of_a_return_is_known_with_our_plugin_only(woo: Shop) -> None:
    order, _ = woo_order(woo)
    woo.set_option(return_status=False)
    with pytest.raises(WpError, match="status"):
        woo.set_status(order, "ahlan-return")
    woo.set_option(return_status=True)
    assert woo.set_status(order, "ahlan-return")["status"] == "ahlan-return"
