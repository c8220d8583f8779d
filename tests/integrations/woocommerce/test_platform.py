"""Connecting, reading and keeping a store in order: our side and the simulated site talk over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from integrations.woocommerce import install, pairing, routes, webhooks, writings
from integrations.woocommerce import platform as platform_module
from integrations.woocommerce.client import Keys, StoreClient
from integrations.woocommerce.install import ConnectError, normalise_address
from integrations.woocommerce.platform import WooCommercePlatform, _origin, _visited
from integrations.woocommerce.simulator import HOST, create_app
from integrations.woocommerce.source import WooCommerceSource
from plugin import stores
from plugin.app import App
from plugin.crm import reconcile
from plugin.kernel.errors import AhlanError
from plugin.kernel.http import Http
from plugin.kernel.web import Web
from plugin.knowledge import importing
from plugin.platform import (
    Answer,
    Connection,
    CustomerRecord,
    Deletion,
    Delivery,
    OrderRecord,
    PlatformError,
    ProductRecord,
    Resource,
)
from plugin.returns import pages

SITE = f"https://{HOST}"


@dataclass
class Wires(httpx.AsyncBaseTransport):
    """Both directions between the processes, by host name; what is not wired up cannot be reached."""

    ends: dict[str, httpx.AsyncBaseTransport] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        end = self.ends.get(f"{request.url.scheme}://{request.url.host}")
        if end is None:
            raise httpx.ConnectError("nobody there", request=request)
        return await end.handle_async_request(request)


@dataclass
class Shop:
    """A simulated site, our app wired to it, and a workspace."""

    app: App
    platform: WooCommercePlatform
    source: WooCommerceSource
    site: httpx.AsyncClient
    wires: Wires
    workspace: UUID
    deliveries: list[tuple[str, Delivery | Answer]] = field(default_factory=list)

    async def sim(self, path: str, body: object = None, method: str = "POST") -> Any:
        answer = await self.site.request(method, f"/__sim/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def connect(self, *, button: bool = True) -> Connection:
        """The whole flow as a merchant goes through it."""
        await self.site.post("/wp-login.php")
        nonce = ""
        if button:
            pressed = await self.site.post("/wp-admin/admin-post.php", data={"action": "connect"})
            nonce = parse_qs(urlsplit(pressed.headers["location"]).query)["nonce"][0]
        target = await install.begin(self.app, self.workspace, HOST, nonce=nonce)
        query = urlsplit(target).query
        granted = await self.site.get(f"/wc-auth/v1/access_granted/?{query}")
        assert granted.status_code == 302, granted.text
        returned = parse_qs(urlsplit(granted.headers["location"]).query)
        assert await install.finish(self.app, returned["user_id"][0], self.workspace) == ("done", "")
        async with self.app.db.transaction(self.workspace) as tx:
            (store,) = await stores.all_stores(tx)
            return store.connection()


@pytest.fixture
async def shop(app: App, workspace: UUID) -> AsyncIterator[Shop]:
    wires = Wires()
    http = Http(transport=wires)
    platform = WooCommercePlatform(app.db, app.vault, http, app.settings)
    ours = replace(app, http=http, platforms={"woocommerce": platform})
    source = WooCommerceSource(app.db, app.vault)
    received: list[tuple[str, Delivery | Answer]] = []

    async def edge(scope: Any, receive: Any, send: Any) -> None:
        """The webhook edge and the install routes of our server."""
        path = scope["path"]
        if not path.startswith("/webhooks/woocommerce/"):
            await server(scope, receive, send)
            return
        headers = {name.decode(): value for name, value in scope["headers"]}
        message = await receive()
        read = await source.read(path.removeprefix("/webhooks/woocommerce/"), headers, message["body"])
        received.append((message["body"].decode(), read))
        status = 200 if isinstance(read, Delivery) or read in (Answer.PING, Answer.UNKNOWN_TOPIC) else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = Starlette(routes=routes.routes(ours, Web(app.catalogues, [], app.settings.public_url)))
    wires.ends["http://localhost"] = httpx.ASGITransport(edge)
    simulator = create_app(
        None, server=app.settings.public_url, http=httpx.AsyncClient(transport=wires), cron_seconds=None
    )
    wires.ends[SITE] = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=wires, base_url=SITE) as site:
        # One permanent name is one store in the whole directory: earlier tests have let go of it.
        async with app.db.app.connect() as connection:
            found = (
                await connection.execute(
                    text("SELECT * FROM ahlan_lookup('store', :key)"), {"key": f"woocommerce:{SITE}"}
                )
            ).all()
        for row in found:
            async with app.db.transaction(row.workspace_id) as tx:
                await stores.release(tx, "store", f"woocommerce:{SITE}")
        yield Shop(ours, platform, source, site, wires, workspace, received)
    await http.close()


# Connecting


async def test_the_whole_flow_connects_seals_and_pairs(shop: Shop) -> None:
    connection = await shop.connect()
    assert (connection.external_id, connection.currency) == (SITE, "JOD")
    async with shop.app.db.transaction(shop.workspace) as tx:
        store = await stores.get(tx, connection.store_id)
        key = await stores.credential(tx, shop.app.vault, connection.store_id, "key")
        raw = list(await tx.scalars(text("SELECT sealed FROM store_credentials")))
    assert store is not None
    assert (store.name, store.currency_decimals, store.timezone, store.locale) == ("Zaytouna", 3, "Asia/Amman", "en")
    assert store.origins == [SITE]
    assert key is not None
    assert not any(b"cs_" in bytes(sealed) for sealed in raw), "secrets lie sealed"
    state = await shop.sim("state", method="GET")
    assert state["paired"] == {"store_id": str(store.id), "public_key": store.public_key}
    assert (await shop.platform.embed_state(connection)).ok


async def test_a_user_id_counts_once(shop: Shop) -> None:
    await shop.site.post("/wp-login.php")
    target = await install.begin(shop.app, shop.workspace, SITE)
    query = urlsplit(target).query
    assert parse_qs(query)["user_id"][0].replace("-", "").replace("_", "").isalnum()
    first = await shop.site.get(f"/wc-auth/v1/access_granted/?{query}")
    assert first.status_code == 302
    second = await shop.site.get(f"/wc-auth/v1/access_granted/?{query}")
    assert second.status_code == 401, "refused, so WooCommerce deletes the second key (B18, B19)"
    assert (await shop.sim("state", method="GET"))["counts"]["key"] == 1


async def test_keys_that_do_not_open_that_store_are_not_believed(shop: Shop) -> None:
    target = await install.begin(shop.app, shop.workspace, SITE)
    token = parse_qs(urlsplit(target).query)["user_id"][0]
    forged = {
        "key_id": 1, "user_id": token, "consumer_key": f"ck_{'0' * 40}", "consumer_secret": f"cs_{'0' * 40}",
        "key_permissions": "read_write",
    }  # fmt: skip
    ours = httpx.AsyncClient(transport=shop.wires)
    answer = await ours.post("http://localhost:8000/install/woocommerce/callback", json=forged)
    assert (answer.status_code, answer.json()) == (422, {"error": "keys_refused"})
    assert await install.outcome(shop.app, token) == ("failed", "keys_refused")
    stranger = await ours.post(
        "http://localhost:8000/install/woocommerce/callback", json={**forged, "user_id": "x" * 43}
    )
    assert stranger.json() == {"error": "expired"}
    async with shop.app.db.transaction(shop.workspace) as tx:
        assert list(await stores.all_stores(tx)) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"user_id":1}', b"\xff", b'{"user_id":"\\u0000"}'])
async def test_garbage_at_the_callback_is_refused(shop: Shop, body: bytes) -> None:
    with pytest.raises(ConnectError):
        await install.callback(shop.app, body)


async def test_read_only_keys_are_told_apart(shop: Shop) -> None:
    await shop.site.post("/wp-login.php")
    query = urlsplit(await install.begin(shop.app, shop.workspace, SITE)).query
    token = parse_qs(query)["user_id"][0]
    page = await shop.site.get(f"/wc-auth/v1/access_granted/?{query.replace('scope=read_write', 'scope=read')}")
    assert page.status_code == 401
    assert await install.outcome(shop.app, token) == ("failed", "read_only_key")


async def reason(shop: Shop, address: str = SITE) -> str:
    with pytest.raises(ConnectError) as caught:
        await install.begin(shop.app, shop.workspace, address)
    return caught.value.code


async def test_every_reason_has_its_own_word(shop: Shop) -> None:
    assert await reason(shop, "https://nobody.example") == "unreachable"
    shop.wires.ends["https://blog.example"] = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    assert await reason(shop, "https://blog.example") == "not_woocommerce"
    empty = {"namespaces": ["wp/v2"]}
    shop.wires.ends["https://press.example"] = httpx.MockTransport(lambda request: httpx.Response(200, json=empty))
    assert await reason(shop, "press.example") == "not_woocommerce"
    shop.wires.ends["http://plain.example"] = shop.wires.ends[SITE]
    assert await reason(shop, "http://plain.example") == "no_https"
    await shop.sim("options", {"permalinks": False})
    assert await reason(shop) == "no_permalinks"
    await shop.sim("options", {"permalinks": True, "coming_soon": True})
    assert (await install.look(shop.app, SITE)).coming_soon
    assert (await install.look(shop.app, f"{SITE}/product/txt-tee/")).url == SITE, "a pasted page leads to its shop"
    for code in (
        "bad_address",
        "private_address",
        "keys_refused",
        "missing_right",
        "store_taken",
        "expired",
        "blocked",
    ):
        assert ConnectError(code).code == code
        assert str(ConnectError(code).message) != str(ConnectError("unreachable").message)


async def test_a_private_address_is_refused_by_the_real_transport(shop: Shop) -> None:
    guarded = replace(shop.app, http=Http())
    with pytest.raises(ConnectError) as caught:
        await install.begin(guarded, shop.workspace, "https://127.0.0.1")
    await guarded.http.close()
    assert caught.value.code == "private_address"


async def test_a_store_belongs_to_one_workspace(shop: Shop, other_workspace: UUID) -> None:
    await shop.connect(button=False)
    with pytest.raises(ConnectError) as caught:
        await install.begin(shop.app, other_workspace, SITE)
    assert caught.value.code == "store_taken"


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("Shop.Example.com", "https://shop.example.com"),
        (" https://shop.example.com/ ", "https://shop.example.com"),
        ("https://shop.example.com/wp-admin/admin.php?page=x", "https://shop.example.com"),
        ("http://shop.example.com:8080/store/", "http://shop.example.com:8080/store"),
        ("https://متجر.example", "https://xn--pgbep1f.example"),
        ("example.com/shop/cart", "https://example.com/shop"),
    ],
)
def test_addresses_that_people_type(typed: str, url: str) -> None:
    assert normalise_address(typed) == url


@pytest.mark.parametrize(
    "typed",
    ["", "ftp://x.example", "https://a@b.example", "https://", "javascript:alert(1)", "https://x.example:99999",
     "https://x y.example", "https://x.example/../..", "https://-x.example", "https://x.example\n.evil", "a" * 300],
)  # fmt: skip
def test_addresses_that_are_none(typed: str) -> None:
    with pytest.raises(ConnectError) as caught:
        normalise_address(typed)
    assert caught.value.code == "bad_address"


# Reading


async def everything(shop: Shop, connection: Connection, resource: Resource) -> list[Any]:
    records, cursor = [], None
    for _ in range(60):
        page = await shop.platform.history(connection, resource, cursor)
        records.extend(page.records)
        cursor = page.cursor
        if cursor is None:
            return records
    raise AssertionError("history does not end")


async def test_history_is_whole_oldest_first_and_exact(shop: Shop) -> None:
    connection = await shop.connect(button=False)
    orders = await everything(shop, connection, Resource.ORDERS)
    assert all(isinstance(order, OrderRecord) for order in orders)
    assert len({order.external_id for order in orders}) == 250
    assert [order.placed_at for order in orders] == sorted(order.placed_at for order in orders)
    assert {order.total.exponent for order in orders} == {3}
    assert any(order.customer_external_id == "" for order in orders)
    assert any(order.fulfilments for order in orders)
    people = await everything(shop, connection, Resource.CUSTOMERS)
    assert len(people) == 120
    assert all(isinstance(person, CustomerRecord) for person in people)
    products = await everything(shop, connection, Resource.PRODUCTS)
    assert len({product.external_id for product in products}) == 40
    assert all(isinstance(product, ProductRecord) and product.variants for product in products)
    assert sum(len(product.variants) for product in products) == 37 + 3 + 3 + 4


async def test_history_of_one_crowded_second_ends_and_is_whole(shop: Shop) -> None:
    """An import writes thousands of orders in one second: walking by time alone would stand still."""
    connection = await shop.connect(button=False)
    await shop.sim("seed", {"customers": 3, "orders": 0})
    made = await shop.sim("keys", {})
    client = StoreClient(shop.app.http, SITE, Keys(made["consumer_key"], made["consumer_secret"]))
    shop.app.http.limiter.observe(f"woocommerce:{HOST}", available=1e6, capacity=1e6, rate=1e6)
    for _ in range(130):
        await client.post("orders", {"line_items": [{"product_id": 12}]})
    async with shop.app.db.transaction(shop.workspace) as tx:
        secret = f'{{"consumer_key":"{made["consumer_key"]}","consumer_secret":"{made["consumer_secret"]}"}}'
        await stores.put_credential(tx, shop.app.vault, connection.store_id, "key", secret)
    orders = await everything(shop, connection, Resource.ORDERS)
    assert len({order.external_id for order in orders}) == 130


async def test_changes_find_what_was_missed_also_the_bin(shop: Shop) -> None:
    connection = await shop.connect(button=False)
    made = await shop.sim("keys", {})
    auth = (made["consumer_key"], made["consumer_secret"])
    since = datetime.now(UTC) - timedelta(seconds=1)
    rows = (await shop.site.get("/wp-json/wc/v3/orders", params={"per_page": 3, "order": "asc"}, auth=auth)).json()
    changed, binned = rows[0]["id"], rows[1]["id"]
    await shop.site.put(f"/wp-json/wc/v3/orders/{changed}", json={"customer_note": "later"}, auth=auth)
    await shop.site.delete(f"/wp-json/wc/v3/orders/{binned}", auth=auth)
    records, cursor = [], None
    while True:
        page = await shop.platform.changes(connection, Resource.ORDERS, since, cursor)
        records.extend(page.records)
        if (cursor := page.cursor) is None:
            break
    told = {record.external_id: type(record) for record in records}
    assert told.get(str(changed)) is OrderRecord
    assert told.get(str(binned)) is Deletion
    person = await shop.site.post("/wp-json/wc/v3/customers", json={"email": "new@example.com"}, auth=auth)
    page = await shop.platform.changes(connection, Resource.CUSTOMERS, since, None)
    assert str(person.json()["id"]) in {record.external_id for record in page.records}


async def test_an_edited_customer_is_found_within_one_round_of_comparisons(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API cannot be asked who was edited, and a lost webhook is never sent again."""
    connection = await shop.connect(button=False)
    made = await shop.sim("keys", {})
    auth = (made["consumer_key"], made["consumer_secret"])
    edited = "/wp-json/wc/v3/customers/2"
    await shop.site.put(edited, json={"first_name": "Renamed"}, auth=auth)
    start, seen, runs = time.time(), dict[str, CustomerRecord](), 0
    while "2" not in seen or len(seen) < 120:
        runs += 1
        assert runs <= 4, "a page of 50 each quarter of an hour: 120 customers and the staff are three pages"
        monkeypatch.setattr(platform_module.time, "time", lambda at=start + 900 * runs: at)
        since, cursor, asked = datetime.now(UTC), None, 0
        while asked == 0 or cursor is not None:
            page = await shop.platform.changes(connection, Resource.CUSTOMERS, since, cursor)
            seen |= {one.external_id: one for one in page.records if isinstance(one, CustomerRecord)}
            cursor, asked = page.cursor, asked + 1
        assert asked == 2, "one page more than before, and no more"
    assert seen["2"].first_name == "Renamed"


async def test_every_variation_of_a_big_grid_is_read(shop: Shop) -> None:
    """A page of the API ends at a hundred: sizes times colours soon has more."""
    connection = await shop.connect(button=False)
    since = datetime.now(UTC) - timedelta(seconds=1)
    options = [f"{size}-{colour}" for size in range(30, 55) for colour in ("red", "blue", "green", "sand", "black")]
    made = await shop.sim("product", {"name": "Grid", "options": options})
    wanted = {str(identifier) for identifier in made["variations"]}
    assert len(wanted) == 125
    history = await everything(shop, connection, Resource.PRODUCTS)
    changes = (await shop.platform.changes(connection, Resource.PRODUCTS, since, None)).records
    for records in (history, changes):
        (found,) = [record for record in records if record.external_id == str(made["id"])]
        assert {variant.external_id for variant in found.variants} == wanted


@pytest.mark.parametrize(
    ("mode", "code", "retry"),
    [
        ("500", "store_error", True),
        ("503", "store_error", True),
        ("garbage", "garbage", True),
        ("429", "throttled", True),
    ],
)
async def test_a_store_in_trouble_is_asked_again_later(shop: Shop, mode: str, code: str, retry: bool) -> None:
    connection = await shop.connect(button=False)
    await shop.sim("failure", {"mode": mode, "count": 5, "seconds": 31})
    with pytest.raises(PlatformError) as caught:
        await shop.platform.history(connection, Resource.ORDERS, None)
    assert (caught.value.code, caught.value.retry) == (code, retry)
    assert caught.value.after == (31 if mode == "429" else None)
    await shop.sim("failure", {"mode": ""})


async def test_revoked_keys_ask_for_the_merchant(shop: Shop) -> None:
    connection = await shop.connect(button=False)
    await shop.sim("keys", method="DELETE")
    with pytest.raises(PlatformError) as caught:
        await shop.platform.history(connection, Resource.ORDERS, None)
    assert (caught.value.reauthorize, caught.value.retry) == (True, False)
    findings = {finding.code: finding.ok for finding in await shop.platform.check(connection)}
    assert findings["keys_refused"] is False


async def test_the_check_sees_what_hides_us_from_shoppers(shop: Shop) -> None:
    connection = await shop.connect()
    findings = {finding.code: finding.ok for finding in await shop.platform.check(connection)}
    assert findings == {"keys": True, "coming_soon": True, "widget": True}
    await shop.sim("options", {"coming_soon": True, "widget": False})
    findings = {finding.code: finding.ok for finding in await shop.platform.check(connection)}
    assert findings == {"keys": True, "coming_soon": False, "widget": False}
    await shop.sim("options", {"coming_soon": False, "permalinks": False})
    findings = {finding.code: finding.ok for finding in await shop.platform.check(connection)}
    assert findings["no_permalinks"] is False


async def test_letters_lead_to_the_shops_own_page(shop: Shop) -> None:
    """The plugin's status says where it is; without one, who has an account is led to theirs, others to ours."""
    connection = await shop.connect()

    async def led(*, account: bool) -> str:
        await shop.platform.embed_state(connection)
        async with shop.app.db.transaction(shop.workspace) as tx:
            store = await stores.get(tx, connection.store_id)
        assert store is not None
        return pages.address("https://ahlan.example", store, "he", "x", account=account)

    ours = "https://ahlan.example/widget/page?store=st_"
    assert (await led(account=False)).startswith(ours)
    assert await led(account=True) == f"{SITE}/my-account/ahlan-returns/?locale=he&return=x"
    for page, first in ((f"{SITE}/send-back/", "?"), (f"{SITE}/?page_id=7", "&")):
        await shop.sim("options", {"returns_page": page})
        for account in (False, True):
            assert await led(account=account) == f"{page}{first}locale=he&return=x"
    for others in (
        "https://evil.example/send-back/",
        f"{SITE}.evil.example/",
        "javascript:alert(1)",
        f"{SITE}/a b",
        "",
    ):
        await shop.sim("options", {"returns_page": others})
        assert (await led(account=False)).startswith(ours), others


async def test_a_plugin_that_was_never_paired_is_seen(shop: Shop) -> None:
    connection = await shop.connect(button=False)
    found = await shop.platform.embed_state(connection)
    assert (found.code, found.ok) == ("plugin_unpaired", False)


# Webhooks


async def test_webhooks_are_made_once_and_mended(shop: Shop) -> None:
    connection = await shop.connect(button=False)

    async def registered() -> list[tuple[str, str]]:
        made = await shop.sim("keys", {})
        auth = (made["consumer_key"], made["consumer_secret"])
        rows = (await shop.site.get("/wp-json/wc/v3/webhooks", params={"per_page": 100}, auth=auth)).json()
        return sorted((row["topic"], row["status"]) for row in rows)

    wanted = sorted((topic, "active") for topic in webhooks.TOPICS)
    await shop.platform.register_webhooks(connection)
    assert await registered() == wanted
    assert [read for _, read in shop.deliveries] == [Answer.PING] * len(webhooks.TOPICS)
    await shop.platform.register_webhooks(connection)
    assert await registered() == wanted
    made = await shop.sim("keys", {})
    auth = (made["consumer_key"], made["consumer_secret"])
    url = f"{shop.app.settings.public_url}/webhooks/woocommerce/{connection.store_id}"
    double = {"topic": "order.created", "delivery_url": url, "name": "by hand"}
    await shop.site.post("/wp-json/wc/v3/webhooks", json=double, auth=auth)
    foreign = {"topic": "order.created", "delivery_url": "https://other.example/hook"}
    await shop.site.post("/wp-json/wc/v3/webhooks", json=foreign, auth=auth)
    await shop.site.put("/wp-json/wc/v3/webhooks/2", json={"status": "disabled"}, auth=auth)
    removed = (await shop.site.get("/wp-json/wc/v3/webhooks/3", auth=auth)).json()["topic"]
    await shop.site.delete("/wp-json/wc/v3/webhooks/3", params={"force": "true"}, auth=auth)
    findings = {finding.code: finding for finding in await shop.platform.register_webhooks(connection)}
    assert findings["webhooks_were_disabled"].detail == "1"
    assert (findings["webhooks_were_missing"].ok, findings["webhooks_were_missing"].detail) == (False, removed)
    assert await registered() == sorted([*wanted, ("order.created", "active")]), "the other app's own is left alone"


async def test_real_deliveries_are_believed_and_read(shop: Shop) -> None:
    connection = await shop.connect()
    await shop.platform.register_webhooks(connection)
    shop.deliveries.clear()
    order = await shop.sim("order", {"customer_id": 2, "items": [{"product_id": 12, "quantity": 2}]})
    await shop.sim("cron")
    read = [(body, delivery) for body, delivery in shop.deliveries if isinstance(delivery, Delivery)]
    assert len(read) == len(shop.deliveries), [delivery for _, delivery in shop.deliveries]
    topics = [delivery.topic for _, delivery in read]
    assert {"order.created", "order.updated", "product.updated", "customer.updated", "ahlan.cart"} <= set(topics)
    assert {delivery.store_key for _, delivery in read} == {str(connection.store_id)}
    assert len({delivery.key for _, delivery in read}) == len(read)
    records = [
        record
        for body, delivery in read
        for record in shop.platform.read_webhook(delivery.topic, body.encode(), datetime.now(UTC), connection)
    ]
    assert str(order["id"]) in {record.external_id for record in records if isinstance(record, OrderRecord)}
    prices = [variant.price for record in records if isinstance(record, ProductRecord) for variant in record.variants]
    assert {price.currency for price in prices if price} == {"JOD"}


async def test_the_edge_checks_in_order(shop: Shop) -> None:
    connection = await shop.connect(button=False)
    async with shop.app.db.transaction(shop.workspace) as tx:
        secret = (await stores.credential(tx, shop.app.vault, connection.store_id, "webhook") or ("", None))[0]
    store, body = str(connection.store_id), b'{"id":1}'
    good = {webhooks.SIGNATURE: webhooks.sign(body, secret).encode()}
    whole = {**good, webhooks.TOPIC: b"order.updated", webhooks.WEBHOOK_ID: b"1"}
    read = shop.source.read
    assert await read(store, {}, body) is Answer.UNSIGNED
    assert await read(store, {webhooks.SIGNATURE: "é".encode("latin-1")}, body) is Answer.UNSIGNED
    assert await read(str(uuid4()), whole, body) is Answer.UNSIGNED
    assert await read("not-a-store", whole, body) is Answer.UNSIGNED
    assert await read(f"{store}/else", whole, body) is Answer.UNKNOWN_STORE
    assert await read(store, good, body) is Answer.INCOMPLETE
    assert await read(store, {**whole, webhooks.TOPIC: "مرحبا".encode()}, body) is Answer.INCOMPLETE
    assert await read(store, {**whole, webhooks.TOPIC: b"coupon.created"}, body) is Answer.UNKNOWN_TOPIC
    assert isinstance(await read(store, whole, body), Delivery)
    assert await read(store, whole, body + b" ") is Answer.UNSIGNED
    assert await read(f"{store}/cart", {}, body) is Answer.UNSIGNED


async def test_cart_events_live_five_minutes_and_their_nonce_is_their_key(shop: Shop) -> None:
    connection = await shop.connect()
    async with shop.app.db.transaction(shop.workspace) as tx:
        secret = (await stores.credential(tx, shop.app.vault, connection.store_id, "plugin") or ("", None))[0]
    keys, body, path = (
        pairing.derive_keys(secret),
        b'{"events":[]}',
        f"/webhooks/woocommerce/{connection.store_id}/cart",
    )

    def headers(at: float, key: bytes = keys.requests) -> dict[str, bytes]:
        made = pairing.signed_headers(key, method="POST", path=path, timestamp=int(at), body=body)
        return {name.lower(): value.encode() for name, value in made.items()}

    now = datetime.now(UTC).timestamp()
    fresh = headers(now)
    first = await shop.source.read(f"{connection.store_id}/cart", fresh, body)
    again = await shop.source.read(f"{connection.store_id}/cart", fresh, body)
    assert isinstance(first, Delivery)
    assert isinstance(again, Delivery)
    assert first.key == again.key, "the inbox takes it once"
    for bad in (headers(now - 301), headers(now + 301), headers(now, keys.identity)):
        assert await shop.source.read(f"{connection.store_id}/cart", bad, body) is Answer.UNSIGNED


# Who somebody is


async def test_a_signed_in_shopper_is_known_and_a_stranger_is_not(shop: Shop) -> None:
    connection = await shop.connect()
    await shop.site.post("/my-account/", data={"customer_id": "2"})
    token = (await shop.site.get("/wp-json/wc-ahlan/v1/identity")).json()["token"]
    known = await shop.platform.shopper_identity(connection, token)
    assert known is not None
    assert known.customer_external_id == "2"
    head, claims, signature = token.split(".")
    assert await shop.platform.shopper_identity(connection, f"{head}.{claims}.{signature[::-1]}") is None
    assert await shop.platform.shopper_identity(connection, "نور") is None
    keys, now = pairing.derive_keys(pairing.new_secret()), int(datetime.now(UTC).timestamp())
    forged = pairing.shopper_token(
        keys, site=SITE, store="st_x", customer_id="2", email=None, name=None, locale=None, now=now
    )  # fmt: skip
    assert await shop.platform.shopper_identity(connection, forged) is None


async def test_a_rotated_secret_is_the_plugins_and_the_old_one_ends_in_time(shop: Shop) -> None:
    """Both are good while what was signed with the old one is under way: tokens, cart events."""
    connection = await shop.connect()
    await shop.site.post("/my-account/", data={"customer_id": "2"})
    old_token = (await shop.site.get("/wp-json/wc-ahlan/v1/identity")).json()["token"]
    old = await secret_of(shop, connection, "plugin")
    assert not await shop.platform.rotate(connection, timedelta(days=90)), "a fresh one is left alone"
    assert await shop.platform.rotate(connection, timedelta())
    fresh = await secret_of(shop, connection, "plugin")
    assert fresh not in ("", old)
    assert await secret_of(shop, connection, "plugin_next") == ""
    assert (await shop.platform.embed_state(connection)).ok, "signed with the new one, believed by the site"
    new_token = (await shop.site.get("/wp-json/wc-ahlan/v1/identity")).json()["token"]
    for token in (old_token, new_token):
        found = await shop.platform.shopper_identity(connection, token)
        assert found is not None
        assert found.customer_external_id == "2"
    assert isinstance(await cart_event(shop, connection, old), Delivery)
    assert isinstance(await cart_event(shop, connection, fresh), Delivery)
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(text("UPDATE store_credentials SET expires_at = now() WHERE kind = 'plugin_previous'"))
    assert await shop.platform.shopper_identity(connection, old_token) is None
    assert await shop.platform.shopper_identity(connection, new_token) is not None
    another_process = WooCommerceSource(shop.app.db, shop.app.vault)
    assert await cart_event(shop, connection, old, another_process) is Answer.UNSIGNED
    assert isinstance(await cart_event(shop, connection, fresh, another_process), Delivery)


async def test_a_rotation_whose_answer_was_lost_is_finished_by_the_next(shop: Shop) -> None:
    connection = await shop.connect()
    site = shop.wires.ends[SITE]
    shop.wires.ends[SITE] = Deaf(site)
    with pytest.raises(PlatformError) as caught:
        await shop.platform.rotate(connection, timedelta())
    assert (caught.value.code, caught.value.retry) == ("plugin_silent", True)
    shop.wires.ends[SITE] = site
    sent = await secret_of(shop, connection, "plugin_next")
    assert (await shop.platform.embed_state(connection)).ok, "the site has the new one already"
    assert isinstance(await cart_event(shop, connection, sent), Delivery), "and is believed"
    assert await shop.platform.rotate(connection, timedelta())
    assert await secret_of(shop, connection, "plugin") == sent
    assert (await shop.platform.embed_state(connection)).ok


async def test_whoever_answers_at_the_sites_address_does_not_learn_the_new_secret(shop: Shop) -> None:
    """A domain can fall into other hands; the pairing secret, which opens the panel, does not go with it."""
    connection = await shop.connect()
    squatter = Squatter()
    shop.wires.ends[SITE] = squatter
    with pytest.raises(PlatformError):
        await shop.platform.rotate(connection, timedelta())
    heard = [value for body in squatter.heard for value in orjson.loads(body).values()]
    assert heard
    for value in heard:
        assert await cart_event(shop, connection, value) is Answer.UNSIGNED


async def test_a_site_that_forgot_us_keeps_no_half_rotation(shop: Shop) -> None:
    connection = await shop.connect()
    old = await secret_of(shop, connection, "plugin")
    await shop.sim("seed", {"customers": 3, "orders": 0})
    with pytest.raises(PlatformError) as caught:
        await shop.platform.rotate(connection, timedelta())
    assert caught.value.code == "plugin_unpaired"
    assert await secret_of(shop, connection, "plugin") == old


async def test_the_hourly_check_renews_a_secret_in_its_time(shop: Shop) -> None:
    connection = await shop.connect()
    old = await secret_of(shop, connection, "plugin")
    await reconcile.check_store(shop.app, shop.workspace, store_id=str(connection.store_id))
    assert await secret_of(shop, connection, "plugin") == old
    async with shop.app.db.transaction(shop.workspace) as tx:
        await tx.execute(text("UPDATE store_credentials SET updated_at = now() - interval '91 days'"))
    await reconcile.check_store(shop.app, shop.workspace, store_id=str(connection.store_id))
    assert await secret_of(shop, connection, "plugin") != old
    assert await secret_of(shop, connection, "plugin_previous") == old
    assert await reconcile.rotate_secret(shop.app, shop.workspace, connection.store_id)


class Deaf(httpx.AsyncBaseTransport):
    """The site hears us, but its answers are lost."""

    def __init__(self, end: httpx.AsyncBaseTransport) -> None:
        self._end = end

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._end.handle_async_request(request)
        raise httpx.ReadError("lost", request=request)


class Squatter(httpx.AsyncBaseTransport):
    """Somebody else at the site's address, who keeps what we send."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if body := await request.aread():
            self.heard.append(body)
        return httpx.Response(401, json={"code": "ahlan_forged"}, request=request)


async def secret_of(shop: Shop, connection: Connection, kind: str) -> str:
    async with shop.app.db.transaction(shop.workspace) as tx:
        found = await stores.credential(tx, shop.app.vault, connection.store_id, kind)
    return found[0] if found else ""


async def cart_event(
    shop: Shop, connection: Connection, secret: str, source: WooCommerceSource | None = None
) -> Delivery | Answer:
    tail, body = f"{connection.store_id}/cart", b'{"events": []}'
    headers = pairing.signed_headers(
        pairing.derive_keys(secret).requests,
        method="POST", path=f"/webhooks/woocommerce/{tail}", timestamp=int(time.time()), body=body,
    )  # fmt: skip
    raw = {name.lower(): value.encode() for name, value in headers.items()}
    return await (source or shop.source).read(tail, raw, body)


async def test_disconnecting_forgets_every_secret(shop: Shop) -> None:
    connection = await shop.connect()
    async with shop.app.db.transaction(shop.workspace) as tx:
        await shop.platform.disconnected(tx, connection.store_id)
    async with shop.app.db.transaction(shop.workspace) as tx:
        assert list(await tx.scalars(text("SELECT kind FROM store_credentials"))) == []
    with pytest.raises(PlatformError) as caught:
        await shop.platform.profile(connection)
    assert caught.value.reauthorize


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Shop.example/he/", "https://shop.example"),
        ("http://woo-demo.localhost:8001", "http://woo-demo.localhost:8001"),
        ("https://*", ""),
        ("https://*.example", ""),
        ("https://x; report-uri https://evil.example", ""),
        ("https://user:word@shop.example", ""),
        ("https://shop.example evil.example", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_what_a_site_calls_its_home_slips_nothing_into_a_policy(address: str, origin: str) -> None:
    assert _origin(address) == origin


@pytest.mark.parametrize(
    ("home", "url"),
    [
        ("https://www.shop.example", "https://www.shop.example"),
        ("https://shop.example/he", "https://shop.example/he"),
        ("http://shop.example", "https://shop.example"),
        ("http://woo-demo.localhost:8001", "http://woo-demo.localhost:8001"),
        ("", "https://shop.example"),
        ("javascript:alert(1)", "https://shop.example"),
        ("https://user:word@shop.example", "https://shop.example"),
        ("https://shop.example?next=https://evil.example", "https://shop.example"),
        ("https://[", "https://shop.example"),
    ],
)
def test_links_lead_to_where_the_sites_visitors_are(home: str, url: str) -> None:
    assert _visited(home, "https://shop.example") == url


async def test_where_the_store_delivers_is_read_from_its_zones(shop: Shop) -> None:
    connection = replace(await shop.connect(), currency="JOD")
    known = await shop.platform.deliveries(connection)
    assert [(list(zone.countries), zone.everywhere, len(zone.rates)) for zone in known.zones] == [
        (["JO"], False, 2), (["SA", "AE"], False, 1), ([], True, 0),
    ]  # fmt: skip
    assert (known.varies, known.taxed, known.ask) == (False, False, "")


async def test_what_the_site_has_written_is_read_without_keys_and_without_the_shop_itself(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await shop.connect()
    monkeypatch.setattr(writings, "PAGE", 2)
    source, drafts, asks = await importing.read_store(shop.platform, connection)
    assert (source, asks) == (f"store:{connection.store_id}", ())
    # Neither the cart, nor what is behind a password, nor a draft.
    assert [(one.way, one.title, one.language) for one in drafts] == [
        ("page", "Shipping & delivery", "en"), ("page", "سياسة الإرجاع", "ar"),
        ("post", "How to keep olive soap", "en"), ("post", "איך שומרים זעתר", "he"),
    ]  # fmt: skip
    assert "alert" not in drafts[0].body
    await shop.sim("failure", {"mode": "500", "count": 50})
    with pytest.raises(AhlanError) as refused:
        await importing.read_store(shop.platform, connection)
    assert refused.value.code == "import_store"
