"""The demo's stores lead a browser on: what is owed can be paid, and goods ordered again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from integrations.shopify.simulator import Simulator, create_app, doings, edits, oauth, seed, trade
from integrations.shopify.simulator.shop import gid, number_of
from integrations.woocommerce.simulator import create_app as woocommerce

STORE = "http://shopify-demo.localhost:8001"
WOO = "http://woo-demo.localhost:8001"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    made = create_app(
        None, app_url="http://localhost:8000", client_id="client", client_secret="a-secret-of-the-tests-x",
        base_port=8001, seeded=False,
    )  # fmt: skip
    oauth.install(made.shop, ["write_draft_orders", "write_order_edits"])
    seed.seed(made.shop, customers=1, orders=0)
    yield made
    await made.shutdown()


@pytest.fixture
async def http(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sim)) as client:
        yield client


def order_of(sim: Simulator, **told: Any) -> dict[str, Any]:
    goods = sim.shop.state.all("products")[0]["variants"][0]["id"]
    return trade.place_order(sim.shop, [(goods, 2)], customer=None, email="layla@example.com", **told)


async def test_what_an_order_owes_is_paid_once_on_the_shops_own_page(sim: Simulator, http: httpx.AsyncClient) -> None:
    order = order_of(sim, paid=False)
    link = doings.pay_node(sim.shop, order)["additionalPaymentCollectionUrl"]
    assert link.startswith(f"{STORE}/")
    page = await http.get(f"{link}?locale=ar")
    assert page.status_code == 200
    assert 'lang="ar" dir="rtl"' in page.text
    assert "<button" in page.text
    for _ in range(2):
        await http.post(link)
    assert "<button" not in (await http.get(link)).text
    now = sim.shop.state.get("orders", order["id"]) or {}
    assert (now["total_outstanding"], now["financial_status"]) == ("0.00", "paid")
    assert doings.pay_node(sim.shop, now) == {"additionalPaymentCollectionUrl": None}
    assert [one["kind"] for one in sim.shop.state.all("ledger")] == ["sale"]


async def test_an_invoice_becomes_an_order_that_is_paid(sim: Simulator, http: httpx.AsyncClient) -> None:
    goods = sim.shop.state.all("products")[0]["variants"][0]["id"]
    lines = [{"variantId": gid("ProductVariant", goods), "quantity": 1}]
    made = doings.draft_create(sim.shop, {"lineItems": lines, "email": "layla@example.com"})["draftOrder"]
    assert "<button" in (await http.get(made["invoiceUrl"])).text
    for _ in range(2):
        await http.post(made["invoiceUrl"])
    (order,) = sim.shop.state.all("orders")
    draft = sim.shop.state.get("draft_orders", number_of(made["id"], "DraftOrder") or 0) or {}
    assert (draft["status"], draft["order"]) == ("COMPLETED", order["id"])
    assert edits.draft_complete(sim.shop, made["id"])["userErrors"], "paid once"
    assert (await http.get(made["invoiceUrl"].replace("invoices/", "invoices/0"))).status_code == 404


async def test_the_status_page_of_an_order_opens_by_its_address_alone(sim: Simulator, http: httpx.AsyncClient) -> None:
    order = order_of(sim)
    page = await http.get(order["order_status_url"])
    assert order["name"] in page.text
    assert "<button" not in page.text
    assert (await http.get(f"{STORE}/68001/orders/0000/authenticate")).status_code == 404


async def test_a_cart_permalink_fills_a_cart_and_leads_to_its_checkout(sim: Simulator, http: httpx.AsyncClient) -> None:
    one, two = (product["variants"][0]["id"] for product in sim.shop.state.all("products")[:2])
    page = await http.get(f"{STORE}/cart/{one}:2,{two}:1", follow_redirects=True)
    assert urlsplit(str(page.url)).path == "/checkout"
    cart = (await http.get(f"{STORE}/cart.js")).json()
    assert {item["variant_id"]: item["quantity"] for item in cart["items"]} == {one: 2, two: 1}
    assert (await http.get(f"{STORE}/cart/x:1")).status_code == 422


@pytest.fixture
async def site() -> AsyncIterator[httpx.AsyncClient]:
    app = woocommerce(None, server="http://localhost:8000", public=WOO, cron_seconds=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=WOO) as client:
        yield client


async def test_woocommerces_checkout_link_and_payment_page_are_there(site: httpx.AsyncClient) -> None:
    key = (await site.post("/__sim/keys", json={"permissions": "read_write"})).json()
    auth = (key["consumer_key"], key["consumer_secret"])
    rest = f"https{WOO.removeprefix('http')}/wp-json/wc/v3"
    one, two = (await site.get(f"{rest}/products", params={"type": "simple", "per_page": 2}, auth=auth)).json()
    page = await site.get(f"/checkout-link/?products={one['id']}:2,{two['id']}:1", follow_redirects=True)
    assert page.url.path == "/checkout/"
    cart = (await site.get("/wp-json/wc/store/v1/cart")).json()
    assert {item["id"]: item["quantity"] for item in cart["items"]} == {one["id"]: 2, two["id"]: 1}

    asked = {"line_items": [{"product_id": one["id"], "quantity": 1}], "status": "pending"}
    order = (await site.post(f"{rest}/orders", json=asked, auth=auth)).json()
    assert order["payment_url"].startswith(f"{WOO}/checkout/order-pay/")
    assert "<form" in (page := await site.get(f"{order['payment_url']}&lang=he")).text
    assert 'dir="rtl"' in page.text
    for _ in range(2):
        assert (await site.post(order["payment_url"])).status_code == 303
    now = (await site.get(f"{rest}/orders/{order['id']}", auth=auth)).json()
    assert (now["status"], now["needs_payment"], bool(now["date_paid"])) == ("processing", False, True)
    assert (await site.get(f"/checkout/order-pay/{order['id']}/?key=guessed")).status_code == 404
