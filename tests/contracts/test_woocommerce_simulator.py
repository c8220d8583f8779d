"""The WooCommerce simulator held to requests and answers that a live WooCommerce 11.0.1 gave (platforms.md B)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from woocommerce import API

from integrations.woocommerce import pairing
from integrations.woocommerce.client import Keys, StoreClient
from integrations.woocommerce.simulator import HOST, create_app
from integrations.woocommerce.simulator.pages import mangle
from integrations.woocommerce.simulator.wire import php_json
from plugin.kernel.http import Http, RoutedTransport

SAMPLES = Path(__file__).parents[1] / "payloads" / "woocommerce"
SERVER = "http://localhost:8000"
SITE = f"https://{HOST}"


@dataclass
class World:
    """A simulated site with a clock that tests move, and an Ahlan server that answers as told."""

    moment: datetime = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    status: int = 200
    received: list[httpx.Request] = field(default_factory=list)
    key: tuple[str, str] = ("", "")
    site: httpx.AsyncClient = field(init=False)

    def clock(self) -> datetime:
        return self.moment

    def later(self, seconds: float = 1) -> None:
        self.moment += timedelta(seconds=seconds)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        return httpx.Response(self.status)

    async def get(self, path: str, **params: object) -> httpx.Response:
        return await self.site.get(f"/wp-json/wc/v3/{path}", params=params, auth=self.key)

    async def send(self, method: str, path: str, body: object = None, **params: object) -> httpx.Response:
        return await self.site.request(method, f"/wp-json/wc/v3/{path}", json=body, params=params, auth=self.key)

    async def sim(self, path: str, body: object = None, method: str = "POST") -> Any:
        answer = await self.site.request(method, f"/__sim/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def hook(self, topic: str, secret: str = "s3cret") -> Any:
        url = f"{SERVER}/hook"
        answer = await self.send(
            "POST", "webhooks", {"topic": topic, "delivery_url": url, "secret": secret, "name": topic}
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def cron(self) -> list[httpx.Request]:
        before = len(self.received)
        await self.sim("cron")
        return self.received[before:]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    app = create_app(
        None,
        server=SERVER,
        clock=world.clock,
        http=httpx.AsyncClient(transport=httpx.MockTransport(world.answer)),
        cron_seconds=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as site:
        world.site = site
        made = await world.sim("keys", {"permissions": "read_write"})
        world.key = (made["consumer_key"], made["consumer_secret"])
        yield world


def recorded(name: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a recorded REST answer."""
    text = (SAMPLES / f"rest.{name}.txt").read_text()
    head, _, body = text[text.index("HTTP ") :].partition("\n\n")
    lines = head.split("\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.loads(body)


def delivered(name: str) -> tuple[dict[str, str], bytes]:
    head, _, body = (SAMPLES / f"{name}.http").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\n")[1:])
    return headers, body[: int(headers["Content-Length"])]


def shape(value: object, path: str = "") -> dict[str, str]:
    """Every path in a document with the kind of value there; lists count by what they hold."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found.update(shape(inner, f"{path}.{key}"))
        return found or {path: "object"}
    if isinstance(value, list):
        found = {}
        for inner in value:
            found.update(shape(inner, f"{path}[]"))
        return found or {path: "list"}
    kinds: dict[type, str] = {str: "text", bool: "flag", int: "number", float: "number", type(None): "null"}
    return {path: kinds[type(value)]}


OPTIONAL = ("null", "list", "object")


def assert_same_shape(real: object, ours: object) -> None:
    """Same keys everywhere, in the same order at the top, same kinds of value where both have one."""
    if isinstance(real, dict) and isinstance(ours, dict):
        assert list(ours) == list(real)
    expected, found = shape(real), shape(ours)
    for path, kind in expected.items():
        parents = [known for known in found if path.startswith(known) and found[known] in OPTIONAL]
        assert path in found or parents, f"missing {path}"
        if path in found and kind not in OPTIONAL and found[path] not in OPTIONAL:
            assert found[path] == kind, f"{path} is {found[path]}, recorded {kind}"
    for path, kind in found.items():
        if kind in OPTIONAL and any(known.startswith(path) for known in expected):
            continue
        covered = path in expected or any(path.startswith(known) and expected[known] in OPTIONAL for known in expected)
        assert covered, f"invented {path}"


def signed(request: httpx.Request, secret: str = "s3cret") -> bool:
    digest = hmac.new(secret.encode(), request.content, hashlib.sha256).digest()
    return base64.b64encode(digest).decode() == request.headers["x-wc-webhook-signature"]


# Writing


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(SAMPLES.glob("*.http")) if path.stem not in ("ping", "wc-auth.callback")],
    ids=lambda path: path.stem,
)
def test_bodies_are_written_byte_for_byte_as_php_does(path: Path) -> None:
    _, body = delivered(path.stem)
    assert php_json(json.loads(body)) == body


# Shapes of REST answers


async def test_an_order_has_the_recorded_shape(world: World) -> None:
    orders = (await world.get("orders", per_page=100)).json()
    with_refund = next(order for order in orders if order["refunds"] and order["status"] == "completed")
    _, _, real = recorded("order-91")
    ours = {**with_refund, "meta_data": with_refund["meta_data"][:1]}
    for line in ours["line_items"]:
        line["meta_data"] = []
    ours["coupon_lines"] = []
    for line in real["line_items"]:
        line["meta_data"] = []
    if "customer" not in ours["_links"]:
        del real["_links"]["customer"]
    assert_same_shape(real, ours)


async def test_lists_count_in_headers_and_link_onward(world: World) -> None:
    status, headers, real = recorded("orders-list")
    answer = await world.get("orders", per_page=2)
    assert (answer.status_code, len(answer.json())) == (status, len(real))
    for name in headers.keys() - {"Server", "Date", "Transfer-Encoding", "Connection", "Host"}:
        assert name.lower() in answer.headers, name
    for name in ("Expires", "Cache-Control", "Allow", "X-Robots-Tag", "Access-Control-Expose-Headers"):
        assert answer.headers[name] == headers[name]
    assert (answer.headers["x-wp-total"], answer.headers["x-wp-totalpages"]) == ("250", "125")
    assert 'rel="next"' in answer.headers["link"]


@pytest.mark.parametrize(("name", "path"), [("customer-2", "customers/2"), ("product-arabic", "products/13")])
async def test_things_have_the_recorded_shape(world: World, name: str, path: str) -> None:
    status, _, real = recorded(name)
    answer = await world.get(path)
    ours = answer.json()
    real, ours = (real[0], ours) if isinstance(real, list) else (real, ours)
    assert answer.status_code == status
    assert_same_shape({**real, "meta_data": [], "images": []}, {**ours, "meta_data": [], "images": []})


async def test_a_variable_product_and_its_variations(world: World) -> None:
    _, _, (real,) = recorded("product-variable")
    (ours,) = (await world.get("products", sku="TXT-TEE")).json()
    assert_same_shape({**real, "images": []}, {**ours, "images": []})
    assert ours["type"] == "variable"
    variations = (await world.get(f"products/{ours['id']}/variations")).json()
    assert sorted(entry["id"] for entry in variations) == sorted(ours["variations"])
    assert all("image" in entry and "images" not in entry for entry in variations)


async def test_refunds_notes_gateways_coupons_and_webhooks_have_the_recorded_shapes(world: World) -> None:
    orders = (await world.get("orders", per_page=100)).json()
    order = next(order for order in orders if order["refunds"])
    refunds = (await world.get(f"orders/{order['id']}/refunds")).json()
    real_refund = recorded("order-91-refunds")[2][0]
    for refund in (real_refund, refunds[0]):
        for line in refund["line_items"]:
            line["meta_data"] = line["meta_data"][:1]
    assert_same_shape(real_refund, refunds[0])
    notes = (await world.get(f"orders/{order['id']}/notes")).json()
    assert_same_shape(recorded("order-91-notes")[2][0], notes[0])
    assert notes[0]["id"] > notes[-1]["id"]
    gateways = (await world.get("payment_gateways", _fields="id,title,enabled,method_supports")).json()
    assert gateways == recorded("payment_gateways")[2]
    coupon = (await world.get("coupons")).json()[0]
    assert_same_shape({**recorded("coupons")[2][1], "used_by": []}, {**coupon, "used_by": []})
    await world.hook("customer.created")
    webhook = (await world.get("webhooks")).json()[0]
    real = recorded("webhook-create-and-list")[2][0]
    assert_same_shape(real, webhook)
    assert webhook["hooks"] == real["hooks"]


# Errors and habits of REST


async def test_errors_are_the_recorded_ones(world: World) -> None:
    orders = (await world.get("orders", status="completed", per_page=1)).json()
    refunds = f"orders/{orders[0]['id']}/refunds"
    asked = {
        "error-order-not-found": await world.get("orders/999999"),
        "error-per-page": await world.get("orders", per_page=101),
        "refund-error-gateway": await world.send("POST", refunds, {"amount": "1.00"}),
        "refund-error-too-much": await world.send("POST", refunds, {"amount": "9999", "api_refund": False}),
    }
    for name, answer in asked.items():
        status, _, real = recorded(name)
        assert (answer.status_code, answer.json()) == (status, real), name


async def test_a_partial_refund_leaves_status_and_total_alone(world: World) -> None:
    (order,) = (await world.get("orders", status="completed", per_page=1)).json()
    wanted = {"amount": "2.500", "reason": "goodwill", "api_refund": False}
    answer = await world.send("POST", f"orders/{order['id']}/refunds", wanted)
    assert answer.status_code == recorded("refund-create")[0]
    assert_same_shape(recorded("refund-create")[2], answer.json())
    assert "(?P<order_id>" in answer.headers["location"]
    after = (await world.get(f"orders/{order['id']}")).json()
    assert (after["status"], after["total"]) == (order["status"], order["total"])
    assert after["refunds"][0] == {
        "id": answer.json()["id"],
        "reason": "goodwill",
        "total": "-2.500",
        "total_tax": "0.000",
    }


async def test_a_line_refund_restocks(world: World) -> None:
    orders = (await world.get("orders", status="completed", per_page=100)).json()
    order = next(order for order in orders if not order["refunds"] and not order["line_items"][0]["variation_id"])
    line = order["line_items"][0]
    before = (await world.get(f"products/{line['product_id']}")).json()["stock_quantity"]
    each = str(line["price"])
    wanted = {"line_items": [{"id": line["id"], "quantity": 1, "refund_total": each}], "api_refund": False}
    answer = await world.send("POST", f"orders/{order['id']}/refunds", wanted)
    assert answer.status_code == 201, answer.text
    assert answer.json()["line_items"][0]["quantity"] == -1
    assert (await world.get(f"products/{line['product_id']}")).json()["stock_quantity"] == before + 1


async def test_unknown_parameters_are_ignored_and_search_is_a_substring(world: World) -> None:
    everything = (await world.get("orders", billing_email="nobody@example.com")).headers["x-wp-total"]
    assert everything == "250"
    (order,) = (await world.get("orders", per_page=1)).json()
    found = (await world.get("orders", search=order["billing"]["email"], per_page=100)).json()
    assert {entry["billing"]["email"] for entry in found} == {order["billing"]["email"]}


async def test_customers_are_searched_by_mail_not_by_name_and_ignore_modified_after(world: World) -> None:
    total = (await world.get("customers")).headers["x-wp-total"]
    assert total == "120", "the administrator is not among them"
    assert (await world.get("customers", role="all")).headers["x-wp-total"] == "121"
    assert (await world.get("customers", modified_after="2030-01-01T00:00:00")).headers["x-wp-total"] == total
    (one,) = (await world.get("customers", per_page=1)).json()
    assert (await world.get("customers", search=one["last_name"])).headers["x-wp-total"] == "0"
    assert (await world.get("customers", email="owner@zaytouna.example")).headers["x-wp-total"] == "0"
    assert (await world.get("customers", email="owner@zaytouna.example", role="all")).headers["x-wp-total"] == "1"


async def test_times_are_local_unless_said_otherwise_and_exclusive_at_one_second(world: World) -> None:
    world.later(3600)
    order = (await world.send("POST", "orders", {"line_items": [{"product_id": 11, "quantity": 1}]})).json()
    gmt = datetime.fromisoformat(order["date_modified_gmt"])
    assert datetime.fromisoformat(order["date_modified"]) - gmt == timedelta(hours=3)

    async def ids(**params: object) -> list[int]:
        return [entry["id"] for entry in (await world.get("orders", per_page=100, **params)).json()]

    second_before = (gmt - timedelta(seconds=1)).isoformat()
    assert await ids(modified_after=second_before, dates_are_gmt="true") == [order["id"]]
    assert await ids(modified_after=gmt.isoformat(), dates_are_gmt="true") == []
    assert await ids(modified_after=second_before) != [], "read as local this is three hours earlier"
    assert await ids(modified_after=order["date_modified"]) == []


async def test_the_bin(world: World) -> None:
    await world.hook("order.deleted")
    await world.hook("order.updated")
    (first, second) = (await world.get("orders", per_page=2)).json()
    assert (await world.send("DELETE", f"orders/{first['id']}")).json()["status"] == "trash"
    assert first["id"] not in [entry["id"] for entry in (await world.get("orders", status="any")).json()]
    assert [entry["id"] for entry in (await world.get("orders", status="trash")).json()] == [first["id"]]
    (deleted,) = await world.cron()
    assert (deleted.headers["x-wc-webhook-topic"], deleted.content) == ("order.deleted", b'{"id":%d}' % first["id"])
    assert (await world.send("PUT", f"orders/{first['id']}", {"status": "processing"})).json()["status"] == "processing"
    assert await world.cron() == [], "brought back by PUT: nothing is sent"
    await world.send("DELETE", f"orders/{second['id']}", force="true")
    assert await world.cron() == [], "force sends nothing"
    assert (await world.get(f"orders/{second['id']}")).status_code == 404
    assert (await world.send("DELETE", "customers/5")).status_code == 501


async def test_batches_answer_200_with_an_error_per_item(world: World) -> None:
    answer = await world.send("POST", "orders/batch", {"update": [{"id": 999999, "status": "completed"}]})
    assert answer.status_code == 200
    assert answer.json()["update"][0]["error"]["code"] == "woocommerce_rest_shop_order_invalid_id"


# Keys


async def test_what_each_kind_of_key_gets(world: World) -> None:
    made = await world.sim("keys", {"permissions": "read"})
    read_only = (made["consumer_key"], made["consumer_secret"])
    stranger = await world.site.get("/wp-json/wc/v3/orders")
    assert (stranger.status_code, stranger.json()["code"]) == (401, "woocommerce_rest_cannot_view")
    assert (await world.site.get("/wp-json/wc/v3/orders", auth=read_only)).status_code == 200
    refused = await world.site.post("/wp-json/wc/v3/orders", json={}, auth=read_only)
    assert (refused.status_code, refused.json()["message"]) == (
        401,
        "The API key provided does not have write permissions.",
    )
    wrong = await world.site.get("/wp-json/wc/v3/orders", auth=(read_only[0], "cs_wrong"))
    assert wrong.json()["message"] == "Consumer secret is invalid."
    query = {"consumer_key": read_only[0], "consumer_secret": read_only[1], "per_page": "1"}
    by_query = await world.site.get("/wp-json/wc/v3/orders", params=query)
    assert by_query.status_code == 200
    assert read_only[1] in by_query.headers["link"], "the Link header repeats the secret (B21)"
    await world.sim("keys", method="DELETE")
    assert (await world.site.get("/wp-json/wc/v3/orders", auth=read_only)).status_code == 401


async def test_basic_over_http_and_rest_route_look_like_missing_rights(world: World) -> None:
    plain = await world.site.get(f"http://{HOST}/wp-json/wc/v3/orders", auth=world.key)
    assert (plain.status_code, plain.json()["code"]) == (401, "woocommerce_rest_cannot_view")
    told = await world.site.get(
        f"http://{HOST}/wp-json/wc/v3/orders", auth=world.key, headers={"X-Forwarded-Proto": "https"}
    )
    assert told.status_code == 200
    route = await world.site.get("/", params={"rest_route": "/wc/v3/orders"}, auth=world.key)
    assert (route.status_code, route.json()["code"]) == (401, "woocommerce_rest_cannot_view")


async def test_without_pretty_permalinks_there_is_no_wp_json(world: World) -> None:
    await world.sim("options", {"permalinks": False})
    gone = await world.get("orders")
    assert (gone.status_code, gone.headers["content-type"]) == (404, "text/html; charset=utf-8")
    index = await world.site.get("/", params={"rest_route": "/"})
    assert "wc/v3" in index.json()["namespaces"]


@pytest.fixture
def real_port(tmp_path: Path) -> Iterator[str]:
    """The simulator behind a real socket, for clients that bring their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(tmp_path, server=SERVER, cron_seconds=None)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", loop="asyncio"))
    server.install_signal_handlers = lambda: None
    with contextlib.ExitStack() as stack:
        from threading import Thread  # noqa: PLC0415

        thread = Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            pass
        stack.callback(thread.join, 5)
        stack.callback(setattr, server, "should_exit", True)
        yield f"http://127.0.0.1:{port}"


async def test_our_client_and_the_official_one_get_the_same(real_port: str) -> None:
    """OAuth 1.0a over http by both; Basic and query keys by ours through the routed transport of the demo."""
    async with httpx.AsyncClient() as plain:
        made = (await plain.post(f"{real_port}/__sim/keys", json={})).json()
    key, secret = made["consumer_key"], made["consumer_secret"]
    official = API(url=real_port, consumer_key=key, consumer_secret=secret, version="wc/v3", timeout=10)
    params = {"per_page": 3, "search": "example.com", "after": "2020-01-01T00:00:00", "orderby": "id"}
    theirs = await asyncio.to_thread(official.get, "orders", params=dict(params))
    assert theirs.status_code == 200, theirs.text
    transport = RoutedTransport({HOST: real_port}, httpx.AsyncHTTPTransport())
    http = Http(allow_private_hosts=("127.0.0.1",), transport=transport)
    try:
        expected = [order["id"] for order in theirs.json()]
        for url, keys in (
            (real_port, Keys(key, secret)),
            (SITE, Keys(key, secret)),
            (SITE, Keys(key, secret, query=True)),
        ):
            answer = await StoreClient(http, url, keys).get("orders", **params)
            assert [order["id"] for order in answer.body] == expected
            assert answer.total == int(theirs.headers["X-WP-Total"])
    finally:
        await http.close()


# Webhooks


async def test_a_new_webhook_pings_before_it_is_answered(world: World) -> None:
    webhook = await world.hook("order.created")
    real, body = delivered("ping")
    (ping,) = world.received
    assert ping.content == b"webhook_id=%d" % webhook["id"]
    assert len(body.split(b"=")) == 2
    theirs = {name.lower() for name in real}
    assert {name.lower() for name in ping.headers} == theirs
    for name in ("User-Agent", "Content-Type", "Accept", "Connection"):
        assert ping.headers[name] == real[name]
    assert webhook["status"] == "active"
    world.status = 500
    assert (await world.hook("order.updated"))["status"] == "active", "a failed ping changes nothing"


async def test_cart_and_checkout_topics_do_not_exist(world: World) -> None:
    for topic in ("cart.created", "checkout.updated", "refund.created", "order"):
        answer = await world.send("POST", "webhooks", {"topic": topic, "delivery_url": f"{SERVER}/hook"})
        assert answer.status_code == 400, topic


async def test_deliveries_have_the_recorded_headers_and_shapes(world: World) -> None:
    for topic in ("order.created", "order.updated", "product.updated", "customer.updated"):
        await world.hook(topic)
    (tee,) = (await world.get("products", sku="TXT-TEE")).json()
    item = {"product_id": tee["id"], "variation_id": tee["variations"][0], "quantity": 2}
    await world.sim("order", {"customer_id": 2, "items": [item, {"product_id": 13}]})
    sent = await world.cron()
    topics = [request.headers["x-wc-webhook-topic"] for request in sent]
    assert topics.index("order.updated") < topics.index("order.created"), "block checkout (B6)"
    assert topics.count("product.updated") == 2
    real, body = delivered("guest-checkout.2-order.created")
    created = sent[topics.index("order.created")]
    assert [name for name in created.headers if name.startswith("x-")] == [
        name.lower() for name in real if name.startswith("X-")
    ]
    assert created.headers["user-agent"] == real["User-Agent"]
    assert all(signed(request) for request in sent)
    order, recorded_order = json.loads(created.content), json.loads(body)
    assert order["status"] == "processing", "as it is now, not as it was (B5)"
    for one in (order, recorded_order):
        one["meta_data"] = []
        for line in (*one["line_items"], *one["shipping_lines"]):
            line["meta_data"] = []
        one["_links"].pop("customer", None)
    assert_same_shape(recorded_order, order)
    variation = next(body for request in sent if (body := json.loads(request.content)).get("type") == "variation")
    assert_same_shape(json.loads(delivered("product.updated.variation")[1]), {**variation, "images": []})
    customer = json.loads(sent[topics.index("customer.updated")].content)
    assert_same_shape({**json.loads(delivered("customer.updated")[1]), "meta_data": []}, {**customer, "meta_data": []})


async def test_two_deliveries_of_one_second_share_their_id(world: World) -> None:
    await world.hook("order.created")
    for _ in range(2):
        await world.send("POST", "orders", {"line_items": [{"product_id": 11}]})
    first, second = await world.cron()
    assert first.headers["x-wc-webhook-delivery-id"] == second.headers["x-wc-webhook-delivery-id"]
    assert first.content != second.content
    world.later()
    await world.send("POST", "orders", {"line_items": [{"product_id": 11}]})
    (third,) = await world.cron()
    assert third.headers["x-wc-webhook-delivery-id"] != first.headers["x-wc-webhook-delivery-id"]


async def test_updates_in_between_are_coalesced(world: World) -> None:
    await world.hook("order.updated")
    (order,) = (await world.get("orders", per_page=1)).json()
    for note in ("a", "b", "c"):
        await world.send("PUT", f"orders/{order['id']}", {"customer_note": note})
    (only,) = await world.cron()
    assert json.loads(only.content)["customer_note"] == "c"


async def test_a_failed_delivery_is_never_sent_again(world: World) -> None:
    await world.hook("order.created")
    world.status = 503
    await world.send("POST", "orders", {"line_items": [{"product_id": 11}]})
    assert len(await world.cron()) == 1
    world.status = 200
    assert await world.cron() == []


async def test_the_seventh_failure_disables_and_setting_it_active_does_not_forgive(world: World) -> None:
    webhook = await world.hook("order.created")
    path = f"webhooks/{webhook['id']}"

    async def deliver(status: int) -> str:
        world.status = status
        await world.send("POST", "orders", {"line_items": [{"product_id": 11}]})
        await world.cron()
        return str((await world.get(path)).json()["status"])

    assert [await deliver(410) for _ in range(7)] == ["active"] * 6 + ["disabled"]
    assert (await world.send("PUT", path, {"status": "active"})).json()["status"] == "active"
    assert await deliver(500) == "disabled", "the counter stayed (B4)"
    await world.send("PUT", path, {"status": "active"})
    assert await deliver(302) == "active", "200 to 302 is success"
    assert await deliver(500) == "active", "one success clears the counter"


async def test_signed_error_bodies(world: World) -> None:
    await world.hook("product.updated")
    await world.hook("order.updated")
    await world.send("PUT", "products/11", {"regular_price": "8.000"})
    await world.send("DELETE", "products/11", force="true")
    (gone,) = await world.cron()
    assert gone.content == delivered("product.created.error-body-deleted-before-delivery")[1]
    assert signed(gone)
    await world.sim("demote", {"can_view": False})
    (order,) = (await world.get("orders", per_page=1)).json()
    await world.send("PUT", f"orders/{order['id']}", {"customer_note": "x"})
    (refused,) = await world.cron()
    assert refused.content == delivered("order.updated.error-body-webhook-owner-demoted")[1]


async def test_notes_are_silent_and_administrators_are_customers_too(world: World) -> None:
    for topic in ("order.updated", "customer.updated"):
        await world.hook(topic)
    (order,) = (await world.get("orders", per_page=1)).json()
    await world.send("POST", f"orders/{order['id']}/notes", {"note": "called"})
    assert await world.cron() == []
    await world.site.post("/wp-login.php")
    (request,) = await world.cron()
    assert json.loads(request.content)["role"] == "administrator"


async def test_revoked_keys_do_not_stop_webhooks_and_doubles_deliver_twice(world: World) -> None:
    await world.hook("order.created")
    await world.hook("order.created")
    await world.sim("keys", method="DELETE")
    await world.sim("order", {"customer_id": 2, "items": [{"product_id": 12}]})
    assert len(await world.cron()) == 2


async def test_private_delivery_addresses_are_accepted_and_never_reached(world: World) -> None:
    for url in ("http://10.0.0.8/hook", "http://127.0.0.1:9099/hook", "https://example.com:8443/hook"):
        answer = await world.send("POST", "webhooks", {"topic": "order.created", "delivery_url": url})
        assert answer.status_code == 201
    assert world.received == []


async def test_deleting_a_webhook_needs_force(world: World) -> None:
    webhook = await world.hook("order.created")
    assert (await world.send("DELETE", f"webhooks/{webhook['id']}")).status_code == 501
    assert (await world.send("DELETE", f"webhooks/{webhook['id']}", force="true")).status_code == 200


# wc-auth


def grant(**changes: str) -> dict[str, str]:
    asked = {
        "app_name": "Ahlan",
        "user_id": "abc_DEF-123",
        "return_url": f"{SERVER}/return",
        "callback_url": f"{SERVER}/callback",
        "scope": "read_write",
    }
    return {**asked, **changes}


async def signed_in(world: World) -> None:
    await world.site.post("/wp-login.php")
    world.received.clear()


async def test_the_grant_ends_in_a_callback_and_then_a_redirect(world: World) -> None:
    first = await world.site.get("/wc-auth/v1/authorize", params=grant())
    assert first.status_code == 302, "the merchant signs in first"
    assert first.headers["location"].startswith("/wp-login.php")
    await signed_in(world)
    page = await world.site.get("/wc-auth/v1/authorize", params=grant())
    assert page.status_code == 200
    assert "Ahlan" in page.text
    done = await world.site.get("/wc-auth/v1/access_granted/", params=grant())
    (call,) = world.received
    real, body = delivered("wc-auth.callback")
    assert list(json.loads(call.content)) == list(json.loads(body))
    assert call.headers["content-type"] == real["Content-Type"]
    assert not any(name.startswith("x-wc") for name in call.headers)
    target = urlsplit(done.headers["location"])
    assert parse_qs(target.query) == {"success": ["1"], "user_id": ["abc_DEF-123"]}
    keys = json.loads(call.content)
    auth = (keys["consumer_key"], keys["consumer_secret"])
    assert (await world.site.get("/wp-json/wc/v3/orders", auth=auth)).status_code == 200
    await world.site.get("/wc-auth/v1/access_granted/", params=grant())
    assert len(world.received) == 2, "opened twice: a second key and a second callback (B19)"


@pytest.mark.parametrize("status", [201, 302, 401, 500])
async def test_anything_but_200_deletes_the_key(world: World, status: int) -> None:
    await signed_in(world)
    world.status = status
    page = await world.site.get("/wc-auth/v1/access_granted/", params=grant())
    assert page.status_code == 401
    keys = json.loads(world.received[0].content)
    auth = (keys["consumer_key"], keys["consumer_secret"])
    assert (await world.site.get("/wp-json/wc/v3/orders", auth=auth)).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [{"callback_url": "http://elsewhere.example/cb"}, {"user_id": "نور"}, {"scope": "all"}, {"app_name": ""}],
)
async def test_grants_that_are_refused(world: World, changes: dict[str, str]) -> None:
    await signed_in(world)
    assert (await world.site.get("/wc-auth/v1/authorize", params=grant(**changes))).status_code == 401


def test_user_ids_are_mangled_as_recorded() -> None:
    assert mangle("a+b/c==") == "a b/c="
    assert mangle("abc_DEF-123") == "abc_DEF-123"


async def test_the_grant_works_with_plain_permalinks(world: World) -> None:
    await signed_in(world)
    params = {"wc-auth-version": "1", "wc-auth-route": "authorize", **grant()}
    assert "Ahlan" in (await world.site.get("/", params=params)).text


# Our plugin's stand-in


async def paired(world: World) -> tuple[str, dict[str, str]]:
    await signed_in(world)
    button = await world.site.post("/wp-admin/admin-post.php", data={"action": "connect"})
    target = urlsplit(button.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{SERVER}/install/woocommerce"
    nonce = parse_qs(target.query)["nonce"][0]
    secret = pairing.new_secret()
    body = {
        "nonce": nonce, "site": SITE, "store_id": "0190-store", "public_key": "st_key", "secret": secret,
        "server": SERVER,
    }  # fmt: skip
    answer = await world.site.post("/wp-json/wc-ahlan/v1/pair", json=body, auth=world.key)
    assert answer.status_code == 200, answer.text
    return secret, body


async def test_pairing_takes_this_buttons_nonce_once_and_only_with_keys(world: World) -> None:
    _, body = await paired(world)
    again = await world.site.post("/wp-json/wc-ahlan/v1/pair", json=body, auth=world.key)
    assert (again.status_code, again.json()["code"]) == (403, "ahlan_nonce_invalid")
    stranger = await world.site.post("/wp-json/wc-ahlan/v1/pair", json=body)
    assert stranger.status_code == 401


async def test_the_widget_and_the_identity_appear_with_the_pairing(world: World) -> None:
    assert "loader.js" not in (await world.site.get("/shop/")).text
    secret, _ = await paired(world)
    page = (await world.site.get("/shop/", params={"lang": "ar"})).text
    assert f'src="{SERVER}/widget/loader.js?store=' in page
    assert 'data-store="st_key"' in page
    assert 'data-locale="ar"' in page
    stranger = await world.site.get("/wp-json/wc-ahlan/v1/identity")
    assert (stranger.status_code, stranger.headers["cache-control"]) == (204, "no-store, private")
    await world.site.post("/my-account/", data={"customer_id": "2"})
    answer = await world.site.get("/wp-json/wc-ahlan/v1/identity")
    now = world.moment.timestamp()
    keys = pairing.derive_keys(secret)
    token = pairing.read_shopper_token(keys, answer.json()["token"], store="st_key", now=now)
    assert (token.customer_id, token.expires_at - now) == ("2", 900)
    foreign = await world.site.get("/wp-json/wc-ahlan/v1/identity", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


async def test_the_administrator_gets_a_token_for_the_panel_and_nobody_else(world: World) -> None:
    secret, _ = await paired(world)
    page = (await world.site.get("/wp-admin/admin.php", params={"page": "ahlan"})).text
    assert f"{SERVER}/plugin/woocommerce/frame?store=st_key" in page
    assert "/wp-content/plugins/wc-ahlan/assets/panel.js" in page
    assert (await world.site.get("/wp-content/plugins/wc-ahlan/assets/panel.js")).status_code == 200
    asked = {"action": "wc_ahlan_token", "_ajax_nonce": ""}
    answer = await world.site.post("/wp-admin/admin-ajax.php", data=asked)
    now = world.moment.timestamp()
    agent = pairing.read_agent_token(pairing.derive_keys(secret), answer.json()["data"], store="st_key", now=now)
    assert (agent.user_id, agent.administrator) == ("1", True)
    world.site.cookies.clear()
    assert (await world.site.post("/wp-admin/admin-ajax.php", data=asked)).status_code == 403


async def test_carts_are_told_signed_and_kept_until_they_arrive(world: World) -> None:
    secret, _ = await paired(world)
    world.status = 503
    await world.site.post("/cart/", data={"product_id": "11", "quantity": "2"})
    await world.cron()
    world.status = 200
    world.received.clear()
    (request,) = await world.cron()
    assert request.url == f"{SERVER}/webhooks/woocommerce/0190-store/cart"
    pairing.verify(
        pairing.derive_keys(secret).requests,
        method="POST",
        path="/webhooks/woocommerce/0190-store/cart",
        timestamp=request.headers[pairing.TIMESTAMP_HEADER],
        nonce=request.headers[pairing.NONCE_HEADER],
        signature=request.headers[pairing.SIGNATURE_HEADER],
        body=request.content,
        now=world.moment.timestamp(),
    )
    (event,) = json.loads(request.content)["events"]
    assert (event["kind"], event["cart"]["items"][0]["price"], event["cart"]["total"]) == (
        "cart.updated",
        "7.500",
        "15.000",
    )
    assert await world.cron() == []
    await world.site.get("/checkout/")
    form = {
        "email": "a@example.com",
        "first_name": "A",
        "last_name": "B",
        "address_1": "x",
        "city": "y",
        "country": "JO",
    }
    placed = await world.site.post("/checkout/", data={**form, "payment_method": "cod"})
    assert placed.status_code == 303
    (request,) = await world.cron()
    events = json.loads(request.content)["events"]
    assert [event["kind"] for event in events] == ["checkout.started", "order.placed"]
    assert events[1]["cart"]["token"] == event["cart"]["token"]
    (order,) = (await world.get("orders", per_page=1)).json()
    tokens = {meta["key"]: meta["value"] for meta in order["meta_data"]}
    assert tokens["_ahlan_cart_token"] == event["cart"]["token"]
    assert events[1]["cart"]["order_id"] == str(order["id"])


async def test_the_store_cart_counts_in_minor_units(world: World) -> None:
    await world.site.post("/cart/", data={"product_id": "11", "quantity": "2"})
    cart = (await world.site.get("/wp-json/wc/store/v1/cart")).json()
    assert (cart["totals"]["total_items"], cart["totals"]["currency_minor_unit"]) == ("15000", 3)


async def test_signed_calls_of_our_server(world: World) -> None:
    secret, _ = await paired(world)
    keys = pairing.derive_keys(secret)

    def headers(method: str, path: str, body: bytes = b"") -> dict[str, str]:
        return pairing.signed_headers(
            keys.requests, method=method, path=path, timestamp=int(world.moment.timestamp()), body=body
        )

    path = "/wp-json/wc-ahlan/v1/status"
    good = headers("GET", path)
    answer = await world.site.get(path, headers=good)
    assert (answer.status_code, answer.json()["paired"], answer.json()["widget"]) == (200, True, True)
    assert (await world.site.get(path, headers=good)).json()["code"] == "ahlan_replayed"
    assert (await world.site.get(path)).status_code == 401
    old = headers("GET", path)
    world.later(301)
    assert (await world.site.get(path, headers=old)).json()["code"] == "ahlan_stale"
    pair = "/wp-json/wc-ahlan/v1/pair"
    assert (await world.site.delete(pair, headers=headers("DELETE", pair))).json()["paired"] is False
    assert "loader.js" not in (await world.site.get("/shop/")).text


# The site


async def test_coming_soon_hides_the_shop_from_strangers_only(world: World) -> None:
    await world.sim("options", {"coming_soon": True})
    assert "<meta name='woo-coming-soon-page' content='yes'>" in (await world.site.get("/")).text
    assert (await world.get("orders", per_page=1)).status_code == 200
    await world.site.post("/wp-login.php")
    assert "woo-coming-soon-page" not in (await world.site.get("/")).text


@pytest.mark.parametrize("language", ["en", "ar", "he"])
@pytest.mark.parametrize("path", ["/shop/", "/product/txt-kuf/", "/cart/", "/my-account/", "/?category=coffee"])
async def test_the_storefront_speaks_three_languages(world: World, path: str, language: str) -> None:
    page = await world.site.get(f"{path}{'&' if '?' in path else '?'}lang={language}")
    assert page.status_code == 200
    assert f'lang="{language}" dir="{"ltr" if language == "en" else "rtl"}"' in page.text


async def test_failures_on_request(world: World) -> None:
    await world.sim("failure", {"mode": "429", "count": 1, "seconds": 7})
    answer = await world.get("orders")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert (await world.get("orders")).status_code == 200
    await world.sim("failure", {"mode": "garbage", "count": 1})
    assert (await world.get("orders")).text.startswith("<br />")


async def test_state_survives_a_restart(tmp_path: Path) -> None:
    async def total(app: Any) -> tuple[int, list[int]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as site:
            order = (await site.post("/__sim/order", json={})).json()
            state = (await site.get("/__sim/state")).json()
            return order["id"], [state["counts"]["order"]]

    first, counted = await total(create_app(tmp_path, cron_seconds=None))
    second, after = await total(create_app(tmp_path, cron_seconds=None))
    assert (counted, after) == ([251], [252])
    assert second > first


async def test_the_demo_ticks(world: World) -> None:
    did = {(await world.sim("tick"))["did"] for _ in range(40)}
    assert "order" in did
    assert len(did) >= 3
