"""Writes tests/payloads/shopify from the simulator: ``python tests/contracts/record_shopify_samples.py``.

Webhooks as raw requests (headers, blank line, body; signed with ``hush``), answers of every operation, and the three
bulk files. ``test_shopify_samples.py`` says when they have aged.
"""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx

from integrations.shopify import queries
from integrations.shopify.simulator import Simulator, create_app, oauth, seed, trade
from integrations.shopify.simulator.shop import gid

FOLDER = Path(__file__).parent.parent / "payloads" / "shopify"
SECRET = "hush"


class Recorder(httpx.AsyncBaseTransport):
    """Keeps the last webhook of each topic."""

    def __init__(self) -> None:
        self.heard: dict[str, httpx.Request] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.heard.setdefault(request.headers["x-shopify-topic"], request)
        return httpx.Response(200)


def _some_customer(simulator: Simulator, locale: str) -> dict[str, Any]:
    return next(held for held in simulator.shop.state.all("customers") if held["_locale"] == locale)


def play(simulator: Simulator) -> dict[str, Any]:
    """A short life of the shop that meets every topic the simulator tells; the order it was about."""
    shop = simulator.shop
    arabic, hebrew = _some_customer(simulator, "ar"), _some_customer(simulator, "he")
    products = shop.state.all("products")
    first, second = products[0]["variants"][0]["id"], products[20]["variants"][0]["id"]
    token = "c1" * 16
    trade.set_cart(shop, token, {first: 1})
    trade.set_cart(shop, token, {first: 2, second: 1})
    checkout = trade.begin_checkout(shop, token, hebrew, "he")
    trade.begin_checkout(shop, token, hebrew, "he")
    order = trade.place_order(
        shop,
        [(first, 2), (second, 1)],
        customer=hebrew,
        locale="he",
        cart_token=token,
        checkout_token=checkout["token"],
        note="לצלצל לפני",
    )
    line = order["line_items"][0]["id"]
    trade.fulfil(shop, order["id"], quantities={line: 1})
    trade.edit_quantity(shop, order["id"], order["line_items"][1]["id"], 0)
    trade.fulfil(shop, order["id"])
    trade.deliver(shop, order["id"])
    asked = trade.request_return(shop, order["id"], quantities={line: 1}, note="קטן מהצפוי")
    trade.move_return(shop, order["id"], asked["id"], "approve")
    trade.refund(shop, order["id"], quantities={line: 1}, note="קטן מהצפוי")
    trade.move_return(shop, order["id"], asked["id"], "close")
    trade.move_return(shop, order["id"], asked["id"], "reopen")
    trade.move_return(shop, order["id"], asked["id"], "cancel")
    again = trade.request_return(shop, order["id"], quantities={line: 1}, note="קטן מהצפוי")
    trade.move_return(shop, order["id"], again["id"], "decline")
    other = trade.place_order(shop, [(second, 1)], customer=arabic, locale="ar")
    trade.cancel(shop, other["id"])
    trade.delete_order(shop, other["id"])
    person = seed.person(shop, random.Random(3), "ar")
    trade.update_customer(shop, person["id"], {"note": "تفضّل المراسلة", "_tags": "VIP"})
    trade.update_customer(shop, person["id"], {"_tags": ""})
    trade.delete_customer(shop, person["id"])
    trade.update_product(shop, products[1]["id"], {"title": products[1]["title"]})
    stock = products[2]["variants"][0]
    trade.change_stock(shop, stock["id"], -stock["inventory_quantity"])
    trade.change_stock(shop, stock["id"], 5)
    oauth.change_scopes(shop, [*shop.granted, "read_all_orders"])
    oauth.change_domains(shop, ["bustan.example.com"])
    oauth.change_domains(shop, ["bustan.example.com"], "bustan.example.com")
    oauth.change_domains(shop, [])
    return order


async def record() -> dict[str, bytes]:
    """File name → content."""
    recorder = Recorder()
    simulator = create_app(
        None,
        app_url="http://localhost:8000",
        client_id="client-id",
        client_secret=SECRET,
        base_port=8001,
        time_scale=0.0001,
        transport=recorder,
    )
    shop, api = simulator.shop, simulator.admin_api
    api.throttle.size = api.throttle.level = 1e9
    oauth.install(shop)
    order = play(simulator)
    await simulator.deliveries.settled()
    made: dict[str, bytes] = {}
    variables: dict[str, dict[str, Any]] = {
        "OrdersPage": {"first": queries.ORDERS_PAGE},
        "CustomersPage": {"first": 9},
        "ProductsPage": {"first": 9},
        "Order": {"id": order["admin_graphql_api_id"]},
        "OrderLines": {"id": order["admin_graphql_api_id"], "first": 50},
        "Customer": {"id": gid("Customer", order["customer"]["id"])},
        "Product": {"id": shop.state.all("products")[0]["admin_graphql_api_id"]},
        "ProductVariants": {"id": shop.state.all("products")[0]["admin_graphql_api_id"], "first": 50},
        "WebhooksList": {"first": 10},
        "BulkList": {"first": 10},
        "Shop": {},
        "AppInstallation": {},
    }
    for name, given in variables.items():
        answer = api.execute(queries.OPERATIONS[name], given)
        if "errors" in answer:
            raise RuntimeError(f"{name}: {answer['errors']}")
        made[f"graphql/{name}.json"] = json.dumps(answer, ensure_ascii=False, indent=1).encode()
    for name, text in queries.BULK_QUERIES.items():
        begun = api.execute(queries.BULK_RUN, {"query": text})["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
        held = {"status": "CREATED", "url": ""}
        while held["status"] in {"CREATED", "RUNNING"}:
            await asyncio.sleep(0.01)
            held = api.execute(queries.BULK_STATUS, {"id": begun})["data"]["bulkOperation"]
        file = held["url"].rsplit("/", 1)[1].partition(".")[0]
        lines = (shop.state.get("files", file) or {"text": ""})["text"].splitlines()
        parents = [text for text in lines if "__parentId" not in text][:25]
        kept = {json.loads(text)["id"] for text in parents}
        children = [text for text in lines if json.loads(text).get("__parentId") in kept]
        made[f"bulk/{name}.jsonl"] = ("\n".join([*parents, *children]) + "\n").encode()
    await simulator.deliveries.settled()
    oauth.uninstall(shop)
    for topic in ("customers/data_request", "customers/redact", "shop/redact"):
        payload: dict[str, Any] = {"shop_id": 68001, "shop_domain": shop.domain}
        if topic != "shop/redact":
            payload["customer"] = {key: order["customer"][key] for key in ("id", "email", "phone")}
            payload["orders_requested" if "request" in topic else "orders_to_redact"] = [order["id"]]
        if topic == "customers/data_request":
            payload["data_request"] = {"id": 9}
        shop.emit(topic, payload)
    await simulator.deliveries.settled()
    for topic, request in recorder.heard.items():
        headers = {name: value for name, value in request.headers.items() if name.startswith(("x-", "content-type"))}
        head = "".join(f"{name}: {value}\n" for name, value in headers.items())
        made[f"webhooks/{topic.replace('/', '.')}.http"] = head.encode() + b"\n" + request.content
    await simulator.shutdown()
    return made


if __name__ == "__main__":
    for name, content in asyncio.run(record()).items():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
