"""The Shopify simulator keeps Shopify's rules: tokens, scopes, cost, bulk, webhooks, app proxy, storefront, admin."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import pytest

from integrations.shopify import queries, return_queries, shipping_queries, translation_queries, writing_queries
from integrations.shopify.simulator import Simulator, create_app, oauth, topics, trade, webhooks
from integrations.shopify.simulator.shop import gid, iso, parse_iso
from integrations.shopify.simulator.trade import update_customer

# The secret of the vectors; shorter than PyJWT likes.
SECRET = "hush"
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
CLIENT = "client-id"
APP = "http://localhost:8000"
DOMAIN = "ahlan-demo.myshopify.com"
API = f"https://{DOMAIN}/admin/api/2026-10/graphql.json"
TOKEN_URL = f"https://{DOMAIN}/admin/oauth/access_token"
STORE = "http://shopify-demo.localhost:8001"
ADMIN = "http://admin-shopify-demo.localhost:8001"


class FakeApp(httpx.AsyncBaseTransport):
    """The app's side: keeps what it was sent, answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[int | Exception] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={"seen": True}, headers={"Set-Cookie": "a=b", "X-Own": "1"})

    def hooks(self, topic: str | None = None) -> list[httpx.Request]:
        found = [request for request in self.requests if request.url.path.startswith("/webhooks/")]
        return [r for r in found if topic is None or r.headers["x-shopify-topic"] == topic]


@pytest.fixture
def app() -> FakeApp:
    return FakeApp()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "seeded.sqlite"
    made = create_app(path, app_url=APP, client_id=CLIENT, client_secret=SECRET, base_port=8001)
    made.shop.state.close()
    return path


@pytest.fixture
async def sim(app: FakeApp, seeded: Path, tmp_path: Path) -> AsyncIterator[Simulator]:
    shutil.copy(seeded, tmp_path / "state.sqlite")
    made = create_app(
        tmp_path / "state.sqlite",
        app_url=APP,
        client_id=CLIENT,
        client_secret=SECRET,
        base_port=8001,
        time_scale=0.0001,
        transport=app,
    )
    yield made
    await made.shutdown()


@pytest.fixture
async def http(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sim)) as client:
        yield client


async def exchange(http: httpx.AsyncClient, token: str, **changes: str) -> httpx.Response:
    return await http.post(
        TOKEN_URL,
        json={
            "client_id": CLIENT,
            "client_secret": SECRET,
            "grant_type": oauth.EXCHANGE,
            "subject_token": token,
            "subject_token_type": oauth.ID_TOKEN,
            "requested_token_type": oauth.OFFLINE,
            "expiring": "1",
            **changes,
        },
    )


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    sent = {"client_id": CLIENT, "client_secret": SECRET, "grant_type": "refresh_token", "refresh_token": token}
    return await http.post(TOKEN_URL, data=sent)


@pytest.fixture
async def token(sim: Simulator, http: httpx.AsyncClient) -> str:
    oauth.install(sim.shop)
    return str((await exchange(http, oauth.id_token(sim.shop))).json()["access_token"])


async def ask(http: httpx.AsyncClient, token: str, document: str, /, **variables: Any) -> dict[str, Any]:
    answer = await http.post(
        API, json={"query": document, "variables": variables}, headers={"X-Shopify-Access-Token": token}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-shopify-api-version"] == "2026-10"
    made: dict[str, Any] = answer.json()
    return made


# --- tokens ---------------------------------------------------------------------------------------------------------


async def test_token_exchange_gives_an_expiring_pair(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    answer = (await exchange(http, oauth.id_token(sim.shop))).json()
    assert answer["expires_in"] == 3600
    assert answer["refresh_token_expires_in"] == 7_776_000
    assert "read_returns" in answer["scope"].split(",")


@pytest.mark.parametrize(
    "spoiled",
    [
        {"exp": 1}, {"aud": "another"}, {"dest": "https://other.myshopify.com"}, {"nbf": None}, {"nbf": 99999999999},
    ],
)  # fmt: skip
async def test_a_bad_id_token_is_invalid_subject_token(
    sim: Simulator, http: httpx.AsyncClient, spoiled: dict[str, Any]
) -> None:
    oauth.install(sim.shop)
    answer = await exchange(http, oauth.id_token(sim.shop, **spoiled))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_subject_token")


async def test_a_forged_id_token_is_invalid_subject_token(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    claims = jwt.decode(oauth.id_token(sim.shop), options={"verify_signature": False})
    answer = await exchange(http, jwt.encode(claims, "another secret", "HS256"))
    assert answer.json()["error"] == "invalid_subject_token"


async def test_without_expiring_the_token_is_for_ever_and_refused(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    answer = (await exchange(http, oauth.id_token(sim.shop), expiring="0")).json()
    assert "expires_in" not in answer
    assert "refresh_token" not in answer
    used = await http.post(API, json={"query": queries.SHOP},
                           headers={"X-Shopify-Access-Token": answer["access_token"]})  # fmt: skip
    assert used.status_code == 403
    again = await exchange(http, answer["access_token"], subject_token_type=oauth.OFFLINE)
    assert again.json()["expires_in"] == 3600


async def test_an_online_token_says_whose_it_is(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    answer = (await exchange(http, oauth.id_token(sim.shop, "548380010"), requested_token_type=oauth.ONLINE)).json()
    assert answer["associated_user"]["id"] == 548380010
    assert "refresh_token" not in answer


async def test_the_used_refresh_token_lives_until_its_replacement_is_used(
    sim: Simulator, http: httpx.AsyncClient
) -> None:
    oauth.install(sim.shop)
    first = (await exchange(http, oauth.id_token(sim.shop))).json()["refresh_token"]
    lost = (await refresh(http, first)).json()["refresh_token"]
    second = (await refresh(http, first)).json()["refresh_token"]
    assert len({first, lost, second}) == 3
    assert (await refresh(http, second)).status_code == 200
    retired = await refresh(http, first)
    assert (retired.status_code, retired.json()["error"]) == (400, "invalid_grant")


async def test_the_grace_of_a_used_refresh_token_is_thirty_days(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    first = (await exchange(http, oauth.id_token(sim.shop))).json()["refresh_token"]
    await refresh(http, first)
    sim.shop.state.set("clock_offset", 29 * 86400)
    assert (await refresh(http, first)).status_code == 200
    sim.shop.state.set("clock_offset", 31 * 86400)
    assert (await refresh(http, first)).json()["error"] == "invalid_grant"


async def test_an_unused_refresh_token_lives_ninety_days(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    first = (await exchange(http, oauth.id_token(sim.shop))).json()["refresh_token"]
    sim.shop.state.set("clock_offset", 91 * 86400)
    assert (await refresh(http, first)).json()["error"] == "invalid_grant"


async def test_an_access_token_dies_after_an_hour(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    assert "errors" not in await ask(http, token, queries.SHOP)
    sim.shop.state.set("clock_offset", 3601)
    late = await http.post(API, json={"query": queries.SHOP}, headers={"X-Shopify-Access-Token": token})
    assert late.status_code == 401


async def test_uninstalling_kills_tokens_and_the_client(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    oauth.uninstall(sim.shop)
    refused = await http.post(API, json={"query": queries.SHOP}, headers={"X-Shopify-Access-Token": token})
    assert refused.status_code == 401
    assert (await exchange(http, oauth.id_token(sim.shop))).json()["error"] == "invalid_client"
    assert await sim.deliveries.settled()
    assert len(app.hooks("app/uninstalled")) == 1


async def test_a_wrong_secret_is_invalid_client(sim: Simulator, http: httpx.AsyncClient) -> None:
    oauth.install(sim.shop)
    answer = await exchange(http, oauth.id_token(sim.shop), client_secret="wrong")
    assert answer.json()["error"] == "invalid_client"


async def test_the_code_grant(sim: Simulator, http: httpx.AsyncClient) -> None:
    query = {
        "client_id": CLIENT,
        "scope": ",".join([*sim.shop.required_scopes, "read_all_orders"]),
        "redirect_uri": f"{APP}/shopify/callback",
        "state": "state-1",
    }
    consent = await http.get(f"{STORE}/admin/oauth/authorize", params=query)
    assert "read_all_orders" in consent.text
    agreed = await http.post(f"{STORE}/admin/oauth/grant", data=query)
    back = urlsplit(agreed.headers["location"])
    given = dict(parse_qsl(back.query))
    assert f"{back.scheme}://{back.netloc}{back.path}" == query["redirect_uri"]
    assert given["state"] == "state-1"
    signed = given.pop("hmac")
    message = "&".join(f"{key}={given[key]}" for key in sorted(given))
    assert signed == hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()
    body = {"client_id": CLIENT, "client_secret": SECRET, "code": given["code"], "expiring": "1"}
    answer = (await http.post(TOKEN_URL, json=body)).json()
    assert answer["expires_in"] == 3600
    assert "read_all_orders" in answer["scope"]
    assert (await http.post(TOKEN_URL, json=body)).status_code == 400


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": "https://evil.example/"}, {"client_id": "x"}, {"scope": "read_themes"}]
)
async def test_the_code_grant_refuses_strangers(http: httpx.AsyncClient, changes: dict[str, str]) -> None:
    query = {"client_id": CLIENT, "scope": "read_orders", "redirect_uri": f"{APP}/shopify/callback", **changes}
    assert (await http.get(f"{STORE}/admin/oauth/authorize", params=query)).status_code == 400


def test_the_hmac_vector_of_launch_urls(sim: Simulator) -> None:
    """platforms.md A1.2."""
    signed = sim.shop.sign_query(
        [("shop", "some-shop.myshopify.com"), ("code", "0907a61c0c8d55e99db179b68161bc00"), ("timestamp", "1337178173")]
    )
    assert dict(parse_qsl(signed))["hmac"] == "4712bf92ffc2917d15a2f5a273e39f0116667419aa4b6ac0b3baaf26fa3c4d20"


def test_the_launch_url_carries_what_shopify_adds(sim: Simulator) -> None:
    url = urlsplit(oauth.launch_url(sim.shop))
    given = dict(parse_qsl(url.query))
    assert set(given) == {"embedded", "hmac", "host", "id_token", "locale", "session", "shop", "timestamp"}
    assert base64.b64decode(given["host"] + "==").decode() == "admin.shopify.com/store/ahlan-demo"
    claims = jwt.decode(given["id_token"], SECRET, algorithms=["HS256"], audience=CLIENT)
    assert claims["exp"] - claims["iat"] == 60
    assert claims["iss"] == f"{claims['dest']}/admin"


# --- Admin API ------------------------------------------------------------------------------------------------------


ACTING = (
    "write_orders", "write_draft_orders", "write_discounts", "write_order_edits", "write_returns", "read_locations",
    "read_store_credit_accounts", "write_store_credit_account_transactions",
    "read_content", "read_legal_policies", "write_online_store_navigation", "read_shipping",
    "read_translations",
)  # fmt: skip


def _acting(sim: Simulator) -> dict[str, dict[str, Any]]:
    """Variables of what is done to an order."""
    variant = sim.shop.state.all("products")[0]["variants"][0]["id"]
    id = trade.place_order(sim.shop, [(variant, 1)], customer=None, email="a@example.com")["admin_graphql_api_id"]
    note = {"input": {"id": id, "note": "x"}}
    lines = {"lineItems": [{"variantId": gid("ProductVariant", variant), "quantity": 1}], "email": "a@example.com"}
    draft, edit = {"id": gid("DraftOrder", 1)}, gid("CalculatedOrder", 1)
    discount = {"code": "TEN", "title": "TEN", "customerGets": {"items": {"all": True}, "value": {"percentage": 0.1}}}
    return {
        "RefundQuote": {"id": id, "whole": True},
        "RefundCreate": {"input": {"orderId": id}, "key": "k"},
        "OrderState": {"id": id},
        "OrderCancel": {"id": id, "reason": "OTHER", "restock": True, "refund": {"originalPaymentMethodsRefund": True}},
        "JobStatus": {"id": gid("Job", 1)},
        "OrderUpdate": note,
        "TagsAdd": {"id": id, "tags": ["a"]},
        "TagsRemove": {"id": id, "tags": ["a"]},
        "DiscountCreate": {"discount": discount},
        "DiscountByCode": {"code": "TEN"},
        "DiscountEnd": {"id": gid("DiscountCodeNode", 1)},
        "DraftCreate": {"input": lines},
        "DraftByTag": {"query": "tag:x"},
        "DraftInvoice": draft,
        "DraftLink": draft,
        "OrderLink": {"id": id},
        "EditState": {"id": id},
        "EditBegin": {"id": id},
        "EditSetQuantity": {"id": edit, "line": gid("CalculatedLineItem", 1), "quantity": 1},
        "EditAddVariant": {"id": edit, "variant": gid("ProductVariant", variant), "quantity": 1},
        "EditCommit": {"id": edit, "notify": False},
        "OrderInvoice": {"id": id},
        "DraftComplete": draft,
        "RedirectFind": {"query": "path:/returns"},
        "RedirectCreate": {"redirect": {"path": "/returns", "target": "/apps/support/returns"}},
        "RedirectDelete": {"id": gid("UrlRedirect", 1)},
    }


# Refunds, with Shopify's habits (platforms.md A5.5)


async def _refund(http: httpx.AsyncClient, token: str, told: dict[str, Any], key: str | None) -> dict[str, Any]:
    text = queries.OPERATIONS["RefundCreate"]
    if key is None:
        text = text.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    return await ask(http, token, text, input=told, **({} if key is None else {"key": key}))


@pytest.fixture
def bought(sim: Simulator) -> dict[str, Any]:
    oauth.change_scopes(sim.shop, [*sim.shop.granted, *ACTING])
    variant = sim.shop.state.all("products")[0]["variants"][0]["id"]
    return trade.place_order(sim.shop, [(variant, 2)], customer=None, email="a@example.com")


def _whole(order: dict[str, Any], amount: str | None = None) -> dict[str, Any]:
    id = order["admin_graphql_api_id"]
    line = {"lineItemId": order["line_items"][0]["admin_graphql_api_id"], "quantity": 2, "restockType": "CANCEL"}
    money = {"orderId": id, "kind": "REFUND", "gateway": "bogus", "amount": amount or order["total_price"]}
    return {"orderId": id, "refundLineItems": [line], "shipping": {"fullRefund": True}, "transactions": [money]}


async def test_a_refund_without_a_key_is_refused_when_it_runs(
    http: httpx.AsyncClient, token: str, bought: dict[str, Any]
) -> None:
    answer = await _refund(http, token, _whole(bought), None)
    assert answer["data"] == {"refundCreate": None}
    assert "@idempotent directive is required" in answer["errors"][0]["message"]
    assert bought["refunds"] == []


async def test_the_same_key_gives_the_same_refund_and_other_parameters_an_error(
    http: httpx.AsyncClient, token: str, bought: dict[str, Any]
) -> None:
    first, again = [await _refund(http, token, _whole(bought), "one") for _ in range(2)]
    assert first["data"] == again["data"]
    assert len(bought["refunds"]) == 1
    other = await _refund(http, token, {**_whole(bought), "note": "more"}, "one")
    assert other["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"


async def test_more_than_is_left_is_a_user_error_and_no_transaction_moves_no_money(
    http: httpx.AsyncClient, token: str, bought: dict[str, Any]
) -> None:
    answer = await _refund(http, token, _whole(bought, "99999.00"), "two")
    assert "Refund amount can not be greater than" in answer["data"]["refundCreate"]["userErrors"][0]["message"]
    empty = {key: value for key, value in _whole(bought).items() if key != "transactions"}
    made = (await _refund(http, token, empty, "three"))["data"]["refundCreate"]["refund"]
    assert made["totalRefundedSet"]["shopMoney"]["amount"] == "0.00"
    assert made["transactions"]["nodes"] == []


async def test_an_order_is_cancelled_once_by_a_job(http: httpx.AsyncClient, token: str, bought: dict[str, Any]) -> None:
    variables = {"id": bought["admin_graphql_api_id"], "reason": "CUSTOMER", "restock": True,
                 "refund": {"originalPaymentMethodsRefund": True}}  # fmt: skip
    first = (await ask(http, token, queries.OPERATIONS["OrderCancel"], **variables))["data"]["orderCancel"]
    assert (first["job"]["done"], first["orderCancelUserErrors"]) == (False, [])
    assert bought["cancelled_at"]
    second = (await ask(http, token, queries.OPERATIONS["OrderCancel"], **variables))["data"]["orderCancel"]
    assert (second["job"], second["orderCancelUserErrors"][0]["code"]) == (None, "INVALID")
    assert len(bought["refunds"]) == 1


async def test_a_percentage_is_a_share_and_a_code_exists_once(
    sim: Simulator, http: httpx.AsyncClient, token: str, bought: dict[str, Any]
) -> None:
    def told(code: str, share: float) -> dict[str, Any]:
        return {"code": code, "title": code, "customerGets": {"items": {"all": True}, "value": {"percentage": share}}}

    async def make(code: str, share: float) -> list[Any]:
        text = queries.OPERATIONS["DiscountCreate"]
        found = (await ask(http, token, text, discount=told(code, share)))["data"]["discountCodeBasicCreate"]
        return [error["code"] for error in found["userErrors"]]

    assert await make("ONCE", 10.0) == ["VALUE_OUTSIDE_RANGE"]
    assert await make("ONCE", 0.1) == []
    assert await make("once", 0.1) == ["TAKEN"]


def _returning(sim: Simulator, order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Variables of the operations about returns, of an order that has one; what writes is about nothing."""
    id, held = order["admin_graphql_api_id"], order["_returns"][0]["admin_graphql_api_id"]
    none = {"id": gid("Return", 1)}
    variables: dict[str, dict[str, Any]] = {
        "ReturnableLines": {"id": id, "first": return_queries.LINES_PAGE},
        "ReturnableUnits": {"id": id, "first": return_queries.UNITS_PAGE},
        "ReturnReasons": {"first": 250},
        "ReturnOutcome": {"id": held, "lines": [], "exchange": []},
        "RequestReturn": {"input": {"orderId": id, "returnLineItems": []}},
        "CreateReturn": {"input": {"orderId": id, "returnLineItems": []}},
        "ApproveReturn": {"input": none},
        "DeclineReturn": {"input": {**none, "declineReason": "OTHER"}},
        "LabelReturn": {"order": gid("ReverseFulfillmentOrder", 1), "lines": [], "notify": False},
        "RelabelReturn": {"id": gid("ReverseDelivery", 1), "notify": False},
        "DisposeReturn": {"goods": []},
        "ProcessReturn": {"input": {"returnId": none["id"]}},
        "StoreCredit": {"id": sim.shop.state.all("customers")[0]["admin_graphql_api_id"]},
        "GiveCredit": {"id": gid("Customer", 1), "credit": {"creditAmount": {"amount": "1.00", "currencyCode": "ILS"}}},
    }
    variables |= {name: {"id": id} for name in ("ReturnableOrder", "OrderPayments", "OrderReturns", "Shelves")}
    variables |= {name: {"id": held} for name in ("ReturnGoods", "ReturnState", "ReturnParcels", "ReturnOrder")}
    return variables | dict.fromkeys(("CancelReturn", "CloseReturn", "ReopenReturn"), none)


async def test_every_operation_of_ours_runs(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    oauth.change_scopes(sim.shop, [*sim.shop.granted, "read_all_orders", *ACTING])
    sim.admin_api.throttle.size = sim.admin_api.throttle.level = 1_000_000
    order = max(sim.shop.state.all("orders"), key=lambda held: len(held["refunds"]) + len(held["_returns"]))
    product = sim.shop.state.all("products")[0]
    variables: dict[str, dict[str, Any]] = {
        "SetAppMetafields": {
            "metafields": [
                {"ownerId": (await ask(http, token, queries.APP_INSTALLATION))["data"]["currentAppInstallation"]["id"],
                 "namespace": "ahlan", "key": "public_key", "type": "single_line_text_field", "value": "st_1"},
            ]
        },
        "OrdersPage": {"first": queries.ORDERS_PAGE},
        "CustomersPage": {"first": queries.CUSTOMERS_PAGE},
        "ProductsPage": {"first": queries.PRODUCTS_PAGE},
        "Order": {"id": order["admin_graphql_api_id"]},
        "OrderLines": {"id": order["admin_graphql_api_id"], "first": 50},
        "Customer": {"id": sim.shop.state.all("customers")[0]["admin_graphql_api_id"]},
        "CustomerAddresses": {"id": sim.shop.state.all("customers")[0]["admin_graphql_api_id"], "first": 50},
        "Product": {"id": product["admin_graphql_api_id"]},
        "ProductVariants": {"id": product["admin_graphql_api_id"], "first": 50},
        "BulkRun": {"query": queries.BULK_PRODUCTS},
        "BulkStatus": {"id": gid("BulkOperation", 1)},
        "BulkList": {"first": 10},
        "BulkCancel": {"id": gid("BulkOperation", 1)},
        "WebhookCreate": {"topic": "ORDERS_CREATE", "webhookSubscription": {"uri": "https://x.example/hook"}},
        "WebhookDelete": {"id": gid("WebhookSubscription", 1)},
        "WebhooksList": {"first": queries.WEBHOOKS_PAGE},
        "RevokeScopes": {"scopes": ["read_all_orders"]},
        **{key: {"first": writing_queries.PAGE} for key in ("PagesPage", "PostsPage")},
        "DeliveryProfilesList": {"first": shipping_queries.PROFILES},
        "DeliveryZonesPage": {"id": gid("DeliveryProfile", 1), "first": shipping_queries.ZONES},
        "ProductTranslations": {
            "ids": [one["admin_graphql_api_id"] for one in sim.shop.state.all("products")][
                : translation_queries.PRODUCTS
            ],
            "locale": "ar",
        },
        **_acting(sim),
        **_returning(sim, order),
    }  # fmt: skip
    costs = {}
    for name, text in queries.OPERATIONS.items():
        answer = await ask(http, token, text, **variables.get(name, {}))
        assert "errors" not in answer, (name, answer["errors"])
        costs[name] = answer["extensions"]["cost"]["requestedQueryCost"]
        assert answer["extensions"]["cost"]["actualQueryCost"] <= costs[name], name
    assert max(costs.values()) <= 1000, costs


async def test_pages_by_updated_at_meet_everything_once(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    sim.admin_api.throttle.size = sim.admin_api.throttle.level = 1_000_000
    since = iso(sim.shop.now() - timedelta(days=20))
    expected = {held["admin_graphql_api_id"] for held in sim.shop.state.all("orders") if held["updated_at"] >= since}
    seen: list[str] = []
    times: list[str] = []
    after = None
    while True:
        page = (await ask(http, token, queries.ORDERS_PAGE_QUERY, first=6, after=after,
                          query=f"updated_at:>='{since}'"))["data"]["orders"]  # fmt: skip
        seen += [node["id"] for node in page["nodes"]]
        times += [node["updatedAt"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    hidden = {
        held["admin_graphql_api_id"]
        for held in sim.shop.state.all("orders")
        if parse_iso(held["processed_at"]) < sim.shop.now() - timedelta(days=60)
    }
    assert set(seen) == expected - hidden
    assert len(seen) == len(set(seen)) > 6
    assert times == sorted(times)


async def test_a_cursor_is_bound_to_its_query(http: httpx.AsyncClient, token: str) -> None:
    page = (await ask(http, token, queries.CUSTOMERS_PAGE_QUERY, first=2))["data"]["customers"]
    other = await ask(http, token, queries.CUSTOMERS_PAGE_QUERY, first=2, after=page["pageInfo"]["endCursor"],
                      query="updated_at:>2020-01-01")  # fmt: skip
    assert "Invalid cursor" in other["errors"][0]["message"]


async def test_old_orders_hide_without_read_all_orders(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    oldest = min(sim.shop.state.all("orders"), key=lambda held: held["processed_at"])
    assert (await ask(http, token, queries.ORDER, id=oldest["admin_graphql_api_id"]))["data"]["order"] is None
    oauth.change_scopes(sim.shop, [*sim.shop.granted, "read_all_orders"])
    found = (await ask(http, token, queries.ORDER, id=oldest["admin_graphql_api_id"]))["data"]["order"]
    assert found["name"] == oldest["name"]


async def test_a_missing_scope_is_said_per_field(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    recent = max(sim.shop.state.all("orders"), key=lambda held: held["processed_at"])
    sim.shop.state.set("granted", ["read_orders"])
    answer = await ask(http, token, queries.ORDER, id=recent["admin_graphql_api_id"])
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"ACCESS_DENIED"}
    # `returns` may not be null, so the error takes the whole order with it; `customer` alone would be null.
    assert answer["data"]["order"] is None
    alone = await ask(http, token, "query($id: ID!) { order(id: $id) { name customer { id } } }",
                      id=recent["admin_graphql_api_id"])  # fmt: skip
    assert alone["data"]["order"]["customer"] is None
    assert alone["errors"][0]["path"] == ["order", "customer"]
    denied = await ask(http, token, queries.CUSTOMERS_PAGE_QUERY, first=1)
    assert "read_customers" in denied["errors"][0]["message"]


async def test_writing_implies_reading(sim: Simulator) -> None:
    oauth.install(sim.shop)
    assert sim.shop.allows("read_returns")
    assert not sim.shop.allows("read_all_orders")


async def test_throttling_and_its_recovery(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    bucket = sim.admin_api.throttle
    bucket.size, bucket.rate, bucket.level = 300.0, 0.0, 300.0
    query = "{ customers(first: 250) { nodes { id } } }"
    first = await ask(http, token, query)
    assert first["extensions"]["cost"]["requestedQueryCost"] == 250
    assert first["extensions"]["cost"]["actualQueryCost"] == 120
    second = await ask(http, token, query)
    assert second["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert second["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 180
    bucket.rate = 100_000.0
    await asyncio.sleep(0.01)
    assert "errors" not in await ask(http, token, query)


async def test_a_query_over_a_thousand_points_is_refused(http: httpx.AsyncClient, token: str) -> None:
    answer = await ask(http, token, queries.ORDERS_PAGE_QUERY, first=50)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


async def test_a_retired_version_is_answered_by_the_oldest_live_one(http: httpx.AsyncClient, token: str) -> None:
    old = await http.post(API.replace("2026-10", "2024-10"), json={"query": queries.SHOP},
                          headers={"X-Shopify-Access-Token": token})  # fmt: skip
    assert old.headers["x-shopify-api-version"] == "2026-01"


async def test_ordered_failures(http: httpx.AsyncClient, token: str) -> None:
    for kind in (429, 500, "garbage", "throttled"):
        await http.post(f"{STORE}/__sim/faults", json={"kind": kind})
    sent = {"json": {"query": queries.SHOP}, "headers": {"X-Shopify-Access-Token": token}}
    limited = await http.post(API, **sent)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2.0")
    assert (await http.post(API, **sent)).status_code == 500
    with pytest.raises(ValueError, match="Expecting value"):
        (await http.post(API, **sent)).json()
    assert (await http.post(API, **sent)).json()["errors"][0]["message"] == "Throttled"
    assert "data" in (await http.post(API, **sent)).json()


async def test_app_metafields_switch_the_embed_on(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    owner = (await ask(http, token, queries.APP_INSTALLATION))["data"]["currentAppInstallation"]["id"]
    fields = [
        {"ownerId": owner, "namespace": "ahlan", "key": key, "type": "single_line_text_field", "value": value}
        for key, value in (("public_key", "st_1234"), ("server", APP))
    ]
    made = (await ask(http, token, queries.SET_APP_METAFIELDS, metafields=fields))["data"]["metafieldsSet"]
    assert made["userErrors"] == []
    assert "data-store" not in (await http.get(f"{STORE}/")).text
    await http.post(f"{ADMIN}/__sim/embed", json={"enabled": True})
    page = (await http.get(f"{STORE}/ar")).text
    assert 'dir="rtl"' in page
    assert re.search(r'<script defer src="/cdn/[^"]+" data-server="http://localhost:8000" data-store="st_1234"', page)
    assert 'data-locale="ar"' in page


# --- bulk -----------------------------------------------------------------------------------------------------------


async def bulk_done(http: httpx.AsyncClient, token: str, query: str) -> dict[str, Any]:
    begun = (await ask(http, token, queries.BULK_RUN, query=query))["data"]["bulkOperationRunQuery"]
    assert begun["userErrors"] == []
    for _ in range(400):
        held = (await ask(http, token, queries.BULK_STATUS, id=begun["bulkOperation"]["id"]))["data"]["bulkOperation"]
        if held["status"] not in {"CREATED", "RUNNING"}:
            return dict(held)
        await asyncio.sleep(0.01)
    raise AssertionError("the bulk operation did not end")


async def test_bulk_exports_everything_children_after_parents(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    oauth.change_scopes(sim.shop, [*sim.shop.granted, "read_all_orders"])
    done = await bulk_done(http, token, queries.BULK_ORDERS)
    assert done["status"] == "COMPLETED"
    assert urlsplit(done["url"]).hostname == "storage.googleapis.com"
    text = (await http.get(done["url"])).text
    objects = [json.loads(line) for line in text.splitlines()]
    orders = [held for held in objects if "__parentId" not in held]
    assert len(orders) == int(done["rootObjectCount"]) == sim.shop.state.count("orders")
    assert len(objects) == int(done["objectCount"])
    assert len(text.encode()) == int(done["fileSize"])
    lines = [held for held in objects if held["id"].startswith("gid://shopify/LineItem/")]
    assert len(lines) == sum(len(held["line_items"]) for held in sim.shop.state.all("orders"))
    place = {held["id"]: index for index, held in enumerate(objects)}
    assert all(place[held["__parentId"]] < index for index, held in enumerate(objects) if "__parentId" in held)
    far = [
        index for index, held in enumerate(objects) if "__parentId" in held and place[held["__parentId"]] < index - 1
    ]
    assert far
    assert any(held["fulfillments"] and held["fulfillments"][0]["trackingInfo"] for held in orders)
    assert await sim.deliveries.settled()
    finish = json.loads(app.hooks("bulk_operations/finish")[0].content)
    assert (finish["status"], finish["admin_graphql_api_id"]) == ("completed", done["id"])


async def test_a_bulk_file_can_be_read_from_a_byte_on(http: httpx.AsyncClient, token: str) -> None:
    done = await bulk_done(http, token, queries.BULK_PRODUCTS)
    whole = (await http.get(done["url"])).content
    rest = await http.get(done["url"], headers={"Range": "bytes=1000-"})
    assert (rest.status_code, rest.content) == (206, whole[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    past = await http.get(done["url"], headers={"Range": f"bytes={len(whole)}-"})
    assert past.status_code == 416


async def test_bulk_without_the_scope_fails(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    sim.shop.state.set("granted", ["read_products"])
    done = await bulk_done(http, token, queries.BULK_CUSTOMERS)
    assert (done["status"], done["errorCode"], done["url"]) == ("FAILED", "ACCESS_DENIED", None)


async def test_bulk_hides_old_orders_too(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    done = await bulk_done(http, token, queries.BULK_ORDERS)
    assert 0 < int(done["rootObjectCount"]) < sim.shop.state.count("orders")


async def test_five_bulk_operations_at_a_time(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    sim.shop.time_scale = 100.0
    said = [
        (await ask(http, token, queries.BULK_RUN, query=queries.BULK_PRODUCTS))["data"]["bulkOperationRunQuery"]
        for _ in range(6)
    ]
    assert [held["userErrors"] for held in said[:5]] == [[]] * 5
    assert said[5]["userErrors"][0]["code"] == "LIMIT_REACHED"


# --- webhooks -------------------------------------------------------------------------------------------------------


def test_the_webhook_signature_vector(sim: Simulator) -> None:
    """platforms.md A2.2."""
    assert sim.shop.sign_body('{"id":1,"note":"café"}'.encode()) == "foEjqc88nIdg5LAnXXzRsDrJnpNZJKbyPLSa9+F3LXU="


async def test_an_order_is_told_with_every_classic_header(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    made = (await http.post(f"{STORE}/__sim/order", json={})).json()
    assert await sim.deliveries.settled()
    sent = app.hooks("orders/create")[0]
    assert sent.url == f"{APP}/webhooks/shopify"
    assert (
        sent.headers["x-shopify-hmac-sha256"]
        == base64.b64encode(hmac.digest(SECRET.encode(), sent.content, "sha256")).decode()
    )
    for name in ("topic", "shop-domain", "api-version", "webhook-id", "event-id", "triggered-at", "name"):
        assert sent.headers[f"x-shopify-{name}"]
    assert json.loads(sent.content)["admin_graphql_api_id"] == made["admin_graphql_api_id"]
    assert not [key for key in json.loads(sent.content) if key.startswith("_")]
    paid = app.hooks("orders/paid")[0]
    assert paid.headers["x-shopify-event-id"] == sent.headers["x-shopify-event-id"]
    assert paid.headers["x-shopify-webhook-id"] != sent.headers["x-shopify-webhook-id"]


async def test_a_retry_repeats_the_same_delivery(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    app.answers = [500, 302, httpx.ConnectError("down")]
    update_customer(sim.shop, sim.shop.state.all("customers")[0]["id"], {"note": "שלום"})
    assert await sim.deliveries.settled()
    sent = app.hooks("customers/update")
    assert len(sent) == 4
    assert len({(one.headers["x-shopify-webhook-id"], one.content) for one in sent}) == 1
    log = (await http.get(f"{STORE}/__sim/deliveries?topic=customers/update")).json()["deliveries"]
    assert [attempt["said"] for attempt in log[0]["attempts"]] == [500, 302, "ConnectError", 200]


def test_eight_retries_take_four_hours() -> None:
    assert len(webhooks.RETRY_WAITS) == 8
    assert sum(webhooks.RETRY_WAITS) == pytest.approx(4 * 3600)
    assert all(b == 2 * a for a, b in zip(webhooks.RETRY_WAITS, webhooks.RETRY_WAITS[1:], strict=False))


async def test_eight_failures_remove_a_subscription_of_the_api_only(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    sim.shop.time_scale = 1e-7
    made = await ask(http, token, queries.WEBHOOK_CREATE, topic="ORDERS_PAID",
                     webhookSubscription={"uri": "https://elsewhere.example/hook"})  # fmt: skip
    assert made["data"]["webhookSubscriptionCreate"]["userErrors"] == []
    app.answers = [500] * 18
    sim.shop.emit("orders/paid", {"id": 1})
    assert await sim.deliveries.settled()
    assert len(app.requests) == 18
    assert sim.shop.state.count("subscriptions") == 0
    sim.shop.emit("orders/paid", {"id": 2})
    assert await sim.deliveries.settled()
    assert len(app.hooks("orders/paid")) == 10
    assert len(app.requests) == 19


async def test_subscriptions_need_the_scope_https_and_a_new_address(
    sim: Simulator, http: httpx.AsyncClient, token: str
) -> None:
    async def create(topic: str, uri: str) -> list[dict[str, Any]]:
        answer = await ask(http, token, queries.WEBHOOK_CREATE, topic=topic, webhookSubscription={"uri": uri})
        return list(answer["data"]["webhookSubscriptionCreate"]["userErrors"])

    assert "permission" in (await create("CUSTOMERS_MERGE", "https://x.example"))[0]["message"]
    assert "protocol" in (await create("ORDERS_PAID", "http://x.example"))[0]["message"]
    assert await create("ORDERS_PAID", "https://x.example") == []
    assert "taken" in (await create("ORDERS_PAID", "https://x.example"))[0]["message"]
    listed = (await ask(http, token, queries.WEBHOOKS_LIST, first=10))["data"]["webhookSubscriptions"]["nodes"]
    assert [held["uri"] for held in listed] == ["https://x.example"]
    gone = await ask(http, token, queries.WEBHOOK_DELETE, id=listed[0]["id"])
    assert gone["data"]["webhookSubscriptionDelete"]["deletedWebhookSubscriptionId"] == listed[0]["id"]


async def test_duplicates_and_disorder_on_request(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    await http.post(f"{STORE}/__sim/deliveries", json={"duplicates": 1.0, "shuffle_seconds": 0.15})
    for number in range(12):
        sim.shop.emit("orders/updated", {"id": number})
    assert await sim.deliveries.settled()
    sent = app.hooks("orders/updated")
    assert len(sent) == 24
    assert len({one.headers["x-shopify-webhook-id"] for one in sent}) == 12
    order = [json.loads(one.content)["id"] for one in sent]
    assert order != sorted(order)


async def test_paused_deliveries_wait(sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp) -> None:
    await http.post(f"{STORE}/__sim/deliveries", json={"paused": 1})
    sim.shop.emit("orders/updated", {"id": 1})
    assert not await sim.deliveries.settled(0.1)
    await http.post(f"{STORE}/__sim/deliveries", json={"paused": 0})
    assert await sim.deliveries.settled()
    assert len(app.hooks()) == 1


async def test_a_topic_without_its_scope_is_silent(sim: Simulator, token: str, app: FakeApp) -> None:
    sim.shop.state.set("granted", ["read_products"])
    sim.shop.emit("orders/updated", {"id": 1})
    sim.shop.emit("products/update", {"id": 1})
    assert await sim.deliveries.settled()
    assert [one.headers["x-shopify-topic"] for one in app.hooks()] == ["products/update"]
    assert topics.scopes_for("returns/close") == ("read_returns", "read_orders")


async def test_scope_changes_are_told(sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp) -> None:
    await http.post(f"{STORE}/__sim/scopes", json={"grant": ["read_all_orders"]})
    assert await sim.deliveries.settled()
    told = json.loads(app.hooks("app/scopes_update")[0].content)
    assert set(told["current"]) - set(told["previous"]) == {"read_all_orders"}
    live = (await ask(http, token, queries.APP_INSTALLATION))["data"]["currentAppInstallation"]["accessScopes"]
    assert {"handle": "read_all_orders"} in live
    back = await ask(http, token, queries.REVOKE_SCOPES, scopes=["read_all_orders"])
    assert back["data"]["appRevokeAccessScopes"]["revoked"] == [{"handle": "read_all_orders"}]
    kept = await ask(http, token, queries.REVOKE_SCOPES, scopes=["read_orders"])
    assert kept["data"]["appRevokeAccessScopes"]["userErrors"][0]["code"] == "CANNOT_REVOKE_REQUIRED_SCOPES"


async def test_compliance_topics_go_out_even_after_uninstalling(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    customer = max(sim.shop.state.all("customers"), key=lambda held: held["_orders_count"])
    oauth.uninstall(sim.shop)
    for topic in sorted(topics.COMPLIANCE_TOPICS):
        await http.post(f"{STORE}/__sim/compliance", json={"topic": topic, "customer_id": customer["id"]})
    assert await sim.deliveries.settled()
    redact = app.hooks("customers/redact")[0]
    assert redact.url.path == "/webhooks/shopify/compliance"
    told = json.loads(redact.content)
    assert told["shop_domain"] == DOMAIN
    assert told["customer"]["email"] == customer["email"]
    assert len(told["orders_to_redact"]) == customer["_orders_count"]
    assert json.loads(app.hooks("customers/data_request")[0].content)["data_request"]["id"]
    assert len(app.hooks("shop/redact")) == 1


async def test_privacy_and_consent_can_be_asked_for_by_hand(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    people = sim.shop.state.all("customers")
    for one in people[:6]:
        assert (await http.get(f"{ADMIN}/customers/{one['id']}")).status_code == 200, "with and without a consent"
    number = people[0]["id"]
    for verb in ("request", "erase"):
        page = await http.post(f"{ADMIN}/customers/{number}/privacy/{verb}", follow_redirects=True)
        assert page.status_code == 200
    for verb, at in (("other", number), ("erase", 1)):
        assert (await http.post(f"{ADMIN}/customers/{at}/privacy/{verb}")).status_code == 404
    for wanted in ({"sms": "on", "email": "on"}, {}):
        await http.post(f"{ADMIN}/customers/{number}/consent", data=wanted)
    assert await sim.deliveries.settled()
    for topic in ("customers/redact", "customers/data_request"):
        (told,) = [json.loads(hook.content) for hook in app.hooks(topic)]
        assert told["customer"]["id"] == number
    said = [json.loads(hook.content) for hook in app.hooks("customers/update")]
    states = {(one["email_marketing_consent"]["state"], one["sms_marketing_consent"]["state"]) for one in said}
    assert states == {("subscribed", "subscribed"), ("unsubscribed", "unsubscribed")}
    assert app.hooks("customers_email_marketing_consent/update")


async def test_what_happens_to_an_order_is_told(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    order = (await http.post(f"{STORE}/__sim/order", json={})).json()
    at = f"{STORE}/__sim/order/{order['id']}"
    line = order["line_items"][0]["id"]
    await http.post(f"{at}/fulfil")
    await http.post(f"{at}/deliver")
    asked = (await http.post(f"{at}/return-request", json={"quantities": {line: 1}, "note": "קטן"})).json()
    for step in ("approve", "close", "reopen", "cancel"):
        await http.post(f"{at}/return-{step}", json={"return_id": asked["id"]})
    again = (await http.post(f"{at}/return-request", json={"quantities": {line: 1}})).json()
    await http.post(f"{at}/return-decline", json={"return_id": again["id"]})
    last = (await http.post(f"{at}/return-request", json={"quantities": {line: 1}})).json()
    await http.post(f"{at}/return-approve", json={"return_id": last["id"]})
    await http.post(f"{at}/refund", json={"quantities": {line: 1}})
    assert (await http.post(f"{at}/cancel")).status_code == 422
    assert await sim.deliveries.settled()
    heard = {one.headers["x-shopify-topic"] for one in app.hooks()}
    assert heard >= {
        "orders/create", "orders/paid", "orders/updated", "orders/fulfilled", "fulfillments/create",
        "fulfillments/update", "fulfillment_events/create", "returns/request", "returns/approve", "returns/close",
        "returns/reopen", "returns/cancel", "returns/decline", "refunds/create",
        "customers/purchasing_summary", "products/update",
    }  # fmt: skip
    now = (await ask(http, token, queries.ORDER, id=order["admin_graphql_api_id"]))["data"]["order"]
    assert now["displayFulfillmentStatus"] == "FULFILLED"
    assert now["fulfillments"][0]["displayStatus"] == "DELIVERED"
    assert [held["status"] for held in now["returns"]["nodes"]] == ["CANCELED", "DECLINED", "OPEN"]
    assert all(held["requestApprovedAt"] for held in now["returns"]["nodes"] if held["status"] == "OPEN")
    closed = json.loads(app.hooks("returns/close")[0].content)
    assert closed == {
        "id": asked["id"], "admin_graphql_api_id": asked["admin_graphql_api_id"], "status": "closed",
        "order_id": order["id"],
    }  # fmt: skip
    assert now["lineItems"]["nodes"][0]["currentQuantity"] == 0


# --- app proxy ------------------------------------------------------------------------------------------------------


def test_the_proxy_signature_vector(sim: Simulator) -> None:
    """platforms.md A3."""
    signed = sim.shop.sign_proxy(
        [
            ("extra", "1"), ("extra", "2"), ("shop", "shop-name.myshopify.com"), ("logged_in_customer_id", "1"),
            ("path_prefix", "/apps/awesome_reviews"), ("timestamp", "1317327555"),
        ]
    )  # fmt: skip
    assert signed == "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"


async def test_the_proxy_signs_strips_cookies_and_names_the_customer(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    guest = await http.get(f"{STORE}/apps/support/identity?a=1&b=", headers={"Cookie": "secret=1"})
    assert guest.json() == {"seen": True}
    assert "set-cookie" not in guest.headers
    assert guest.headers["x-own"] == "1"
    sent = app.requests[-1]
    assert str(sent.url).startswith(f"{APP}/proxy/identity?")
    assert "cookie" not in sent.headers
    given = parse_qsl(sent.url.query.decode(), keep_blank_values=True)
    assert dict(given)["logged_in_customer_id"] == ""
    assert dict(given)["path_prefix"] == "/apps/support"
    rest = [(key, value) for key, value in given if key != "signature"]
    assert dict(given)["signature"] == sim.shop.sign_proxy(rest)

    customer = sim.shop.state.all("customers")[0]
    await http.post(f"{STORE}/account/login", data={"customer": str(customer["id"])})
    await http.get(f"{STORE}/apps/support/identity")
    assert dict(parse_qsl(app.requests[-1].url.query.decode()))["logged_in_customer_id"] == str(customer["id"])
    oauth.uninstall(sim.shop)
    assert (await http.get(f"{STORE}/apps/support/identity")).status_code == 404


async def test_a_renamed_proxy_path(sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp) -> None:
    sim.shop.state.set("proxy_prefix", "/tools/help")
    assert (await http.get(f"{STORE}/apps/support/identity")).status_code == 404
    assert (await http.post(f"{STORE}/tools/help/x", json={"a": 1})).status_code == 200
    assert json.loads(app.requests[-1].content) == {"a": 1}


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "language", "direction"),
    [("/", "en", "ltr"), ("/ar", "ar", "rtl"), ("/he", "he", "rtl"), ("/?locale=he", "he", "rtl")],
)
async def test_the_storefront_speaks_three_languages(
    http: httpx.AsyncClient, path: str, language: str, direction: str
) -> None:
    page = await http.get(STORE + path)
    assert f'<html lang="{language}" dir="{direction}">' in page.text


@pytest.mark.parametrize("said", ["9" * 5000, "²", "one", "-1", "7"], ids=lambda said: said[:20])
async def test_what_no_shop_sells_is_no_fault(http: httpx.AsyncClient, said: str) -> None:
    http.base_url = httpx.URL(STORE)
    for path in ("/cart/add", "/cart/change"):
        assert (await http.post(path, data={"id": said, "quantity": said})).status_code == 422
        assert (await http.post(f"{path}.js", json={"id": said, "quantity": said})).status_code == 422
    assert (await http.get("/cart.js")).json()["item_count"] == 0


async def test_buying_in_arabic(sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp) -> None:
    http.base_url = httpx.URL(STORE)
    product = (await http.get("/ar/products/morning-mug")).text
    variant = re.search(r'name="id" value="(\d+)"', product)[1]
    await http.post("/ar/cart/add", data={"id": variant}, follow_redirects=True)
    cart = (await http.get("/cart.js")).json()
    assert (cart["item_count"], cart["currency"]) == (1, "ILS")
    await http.post("/cart/add.js", json={"id": variant, "quantity": 1})
    assert "₪" in (await http.get("/ar/checkout")).text
    form = {"email": "new@example.com", "first_name": "سلمى", "last_name": "حدّاد", "address": "شارع ١", "city": "حيفا"}
    done = await http.post("/ar/checkout", data=form, follow_redirects=True)
    name = re.search(r"#\d+", done.text)[0]
    assert await sim.deliveries.settled()
    assert len(app.hooks("carts/create")) == 1
    assert len(app.hooks("carts/update")) == 1
    assert len(app.hooks("checkouts/create")) == 1
    assert len(app.hooks("customers/create")) == 1
    order = json.loads(app.hooks("orders/create")[0].content)
    assert order["name"] == name
    assert order["cart_token"] == cart["token"]
    assert order["customer"]["first_name"] == "سلمى"
    assert order["customer_locale"] == "ar"
    assert json.loads(app.hooks("checkouts/update")[0].content)["completed_at"]


async def test_the_admin_frames_the_app_and_hands_out_tokens(sim: Simulator, http: httpx.AsyncClient) -> None:
    before = (await http.get(f"{ADMIN}/apps/ahlan")).text
    assert "read_orders" in before
    assert "<iframe" not in before
    assert (await http.get(f"{ADMIN}/frame/id-token")).status_code == 403
    await http.post(f"{ADMIN}/apps/install", data={"scope": "read_all_orders"})
    assert sim.shop.allows("read_all_orders")
    for path in ("/apps/ahlan", f"/store/ahlan-demo/apps/{CLIENT}"):
        page = (await http.get(ADMIN + path)).text
        assert f'src="{APP}/shopify?embedded=1&amp;' in page
    token = (await http.get(f"{ADMIN}/frame/id-token")).json()["token"]
    assert jwt.decode(token, SECRET, algorithms=["HS256"], audience=CLIENT)["sub"] == oauth.OWNER
    foreign = await http.get(f"{ADMIN}/frame/id-token", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    await http.post(f"{ADMIN}/apps/remove")
    assert not sim.shop.installed


async def test_app_bridge_asks_the_merchant_before_a_scope_is_granted(
    sim: Simulator, http: httpx.AsyncClient, token: str, app: FakeApp
) -> None:
    """`shopify.scopes`: asking grants nothing, only the merchant's yes does; what the app's file lacks is refused."""
    sim.shop.state.set("granted", sim.shop.required_scopes)

    async def post(action: str, *scopes: str, **headers: str) -> httpx.Response:
        return await http.post(f"{ADMIN}/frame/scopes", json={"action": action, "scopes": scopes}, headers=headers)

    asked = await post("request", "read_all_orders", "read_orders")
    assert asked.json()["asking"] == ["read_all_orders"], "what is granted is not asked again"
    assert not sim.shop.allows("read_all_orders")
    for action in ("request", "grant", "revoke"):
        assert (await post(action, "write_themes")).status_code == 400, "the app's file does not list it"
        assert (await post(action, "read_all_orders", **{"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await post("revoke", "read_orders")).status_code == 400, "required ones stay"
    assert not sim.shop.allows("read_all_orders")
    assert "read_all_orders" in (await post("grant", "read_all_orders")).json()["granted"]
    assert (await post("request", "read_all_orders")).json()["asking"] == []
    assert "read_all_orders" not in (await post("revoke", "read_all_orders")).json()["granted"]
    assert await sim.deliveries.settled()
    assert len(app.hooks("app/scopes_update")) == 2
    oauth.uninstall(sim.shop)
    assert (await post("grant", "read_all_orders")).status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/customers", "/themes", "/themes/current/editor", "/deliveries", "/settings", "/?q=1001"]
)
async def test_admin_pages_open(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(ADMIN + path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"


async def test_every_seeded_order_has_a_page(sim: Simulator, http: httpx.AsyncClient) -> None:
    interesting = sorted(sim.shop.state.all("orders"), key=lambda o: -len(o["refunds"]) - 2 * len(o["_returns"]))[:20]
    for order in interesting:
        assert order["name"] in (await http.get(f"{ADMIN}/orders/{order['id']}")).text


async def test_a_return_is_asked_for_and_decided_in_the_admin(sim: Simulator, http: httpx.AsyncClient) -> None:
    number = (await http.post(f"{STORE}/__sim/order", json={})).json()["id"]
    at = f"{ADMIN}/orders/{number}"
    assert "Ask to return one" not in (await http.get(at)).text, "nothing was sent yet"
    await http.post(f"{at}/fulfil")
    order = sim.shop.state.get("orders", number)
    assert order is not None
    await http.post(f"{at}/return-request", data={"line": order["line_items"][0]["id"]})
    (asked,) = order["_returns"]
    page = (await http.get(at)).text
    assert asked["name"] in page
    assert "Ask to return one" in page
    for step in ("approve", "cancel"):
        await http.post(f"{at}/return-{step}", data={"return_id": asked["id"]})
    held = sim.shop.state.get("orders", number)
    assert held is not None
    assert held["_returns"][0]["status"] == "canceled"


async def test_a_made_up_host_is_not_answered(http: httpx.AsyncClient) -> None:
    assert (await http.get("http://evil.example/")).status_code == 421


# --- memory ---------------------------------------------------------------------------------------------------------


async def test_the_shop_survives_a_restart_and_sends_what_was_due(tmp_path: Path, app: FakeApp) -> None:
    async def start() -> Simulator:
        return create_app(tmp_path / "shop.sqlite", app_url=APP, client_id=CLIENT, client_secret=SECRET, base_port=8001,
                          time_scale=0.0001, transport=app)  # fmt: skip

    first = await start()
    oauth.install(first.shop)
    first.deliveries.set_switches({"paused": 1})
    first.shop.emit("orders/updated", {"id": 5})
    kept = first.shop.state.all("orders")
    await first.shutdown()
    second = await start()
    assert second.shop.state.all("orders") == kept
    assert second.shop.installed
    second.deliveries.set_switches({"paused": 0})
    await second.startup()
    assert await second.deliveries.settled()
    assert [json.loads(one.content) for one in app.hooks()] == [{"id": 5}]
    assert second.shop.state.next_id("orders") > max(held["id"] for held in kept)
    await second.shutdown()


async def test_the_trickle_and_more_history(sim: Simulator, http: httpx.AsyncClient, token: str) -> None:
    before = sim.shop.state.count("orders")
    happened = (await http.post(f"{STORE}/__sim/tick", json={"times": 25})).json()["happened"]
    assert len(set(happened)) > 3
    await http.post(f"{STORE}/__sim/seed", json={"orders": 40, "days": 30})
    assert sim.shop.state.count("orders") >= before + 40
    assert await sim.deliveries.settled()


def test_the_seed_is_three_languages_and_two_years(sim: Simulator) -> None:
    customers = sim.shop.state.all("customers")
    assert len(customers) == 120
    assert {held["_locale"] for held in customers} == {"en", "ar", "he"}
    assert len(sim.shop.state.all("products")) == 40
    orders = sim.shop.state.all("orders")
    assert len(orders) == 300
    age = sim.shop.now() - parse_iso(min(held["processed_at"] for held in orders))
    assert timedelta(days=600) < age < timedelta(days=731)
    assert sum(bool(held["refunds"]) for held in orders) > 20
    assert sum(bool(held["_returns"]) for held in orders) > 20
    titles = " ".join(held["title"] for held in sim.shop.state.all("products"))
    assert re.search(r"[\u0600-\u06ff]", titles)
    assert re.search(r"[\u0590-\u05ff]", titles)


def test_amounts_add_up(sim: Simulator) -> None:
    for order in sim.shop.state.all("orders"):
        subtotal = sum(round(float(line["price"]) * 100) * line["quantity"] for line in order["line_items"])
        assert subtotal == round(float(order["subtotal_price"]) * 100)
        refunded = sum(held["_total_minor"] for held in order["refunds"])
        assert round(float(order["total_price"]) * 100) - refunded == round(float(order["current_total_price"]) * 100)
