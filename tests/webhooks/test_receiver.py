"""The webhook edge, spoken to as the platforms do: what is answered, and what is in the inbox then."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, text

from integrations.shopify.webhooks import ShopifySource
from plugin.app import App
from plugin.platform import WEBHOOK_LIMIT as BODY_LIMIT
from webhooks.inbox import InboxRow
from webhooks.receiver import Inbox, Receiver

SECRET = "receiver-secret"
PREVIOUS = "receiver-secret-before"


async def _nothing(scope, receive, send):
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"inner"})


async def _silent() -> None:
    """No worker listens."""


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    inbox = Inbox(app.queue_url, _silent)
    receiver = Receiver(_nothing, inbox, {"shopify": ShopifySource((SECRET, PREVIOUS))})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://ahlan") as client:
        yield client
    await inbox.close()


def sign(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def headers(body: bytes, **changes: str | None) -> dict[str, str]:
    made = {
        "x-shopify-topic": "orders/updated",
        "x-shopify-hmac-sha256": sign(body),
        "x-shopify-shop-domain": "receiver.myshopify.com",
        "x-shopify-api-version": "2026-10",
        "x-shopify-webhook-id": str(uuid4()),
        "x-shopify-triggered-at": "2026-11-02T08:00:00.123456Z",
        **{f"x-shopify-{name.replace('_', '-')}": value for name, value in changes.items()},
    }
    return {name: value for name, value in made.items() if value is not None}


async def stored(app: App, webhook_id: str) -> list[InboxRow]:
    async with app.db.queue.connect() as connection:
        rows = await connection.execute(select(InboxRow).where(InboxRow.key.contains(webhook_id)))
        return list(rows)


async def test_a_signed_delivery_is_durable_before_200(app: App, client: httpx.AsyncClient) -> None:
    body = '{"id": 1, "note": "café \\u0642"}'.encode()
    sent = headers(body)
    answer = await client.post("/webhooks/shopify", content=body, headers=sent)
    assert answer.status_code == 200
    [row] = await stored(app, sent["x-shopify-webhook-id"])
    assert bytes(row.body) == body
    assert row.topic == "orders/updated"
    assert row.store_key == "shopify:receiver.myshopify.com"


async def test_a_retry_of_the_same_delivery_is_kept_once(app: App, client: httpx.AsyncClient) -> None:
    body = b'{"id": 2}'
    sent = headers(body)
    answers = await asyncio.gather(*(client.post("/webhooks/shopify", content=body, headers=sent) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await stored(app, sent["x-shopify-webhook-id"])) == 1


async def test_the_compliance_address_is_the_same_receiver(app: App, client: httpx.AsyncClient) -> None:
    body = b'{"shop_id": 1, "shop_domain": "receiver.myshopify.com"}'
    sent = headers(body, topic="shop/redact")
    assert (await client.post("/webhooks/shopify/compliance", content=body, headers=sent)).status_code == 200
    assert len(await stored(app, sent["x-shopify-webhook-id"])) == 1
    bad = headers(body, topic="shop/redact", hmac_sha256=sign(b"other"))
    assert (await client.post("/webhooks/shopify/compliance", content=body, headers=bad)).status_code == 401


async def test_the_previous_secret_is_good_while_it_rotates(client: httpx.AsyncClient) -> None:
    body = b'{"id": 3}'
    answer = await client.post(
        "/webhooks/shopify", content=body, headers=headers(body, hmac_sha256=sign(body, PREVIOUS))
    )
    assert answer.status_code == 200


async def test_other_methods_are_refused_first(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        assert (await client.request(method, "/webhooks/shopify")).status_code == 405
    body = b"x" * (BODY_LIMIT + 1)
    assert (await client.put("/webhooks/shopify", content=body, headers=headers(body))).status_code == 405


async def test_five_megabytes_are_the_limit_whatever_the_signature(client: httpx.AsyncClient) -> None:
    assert BODY_LIMIT == 5 * 1024 * 1024
    just = b'{"id": 10, "note": "' + b"x" * (BODY_LIMIT - 22) + b'"}'
    assert len(just) == BODY_LIMIT
    assert (await client.post("/webhooks/shopify", content=just, headers=headers(just))).status_code == 200
    body = b"x" * (BODY_LIMIT + 1)
    assert (await client.post("/webhooks/shopify", content=body, headers=headers(body))).status_code == 413

    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * (BODY_LIMIT // 10)

    assert (await client.post("/webhooks/shopify", content=dripping())).status_code == 413


@pytest.mark.parametrize(
    "changes",
    [
        {"hmac_sha256": None},
        {"hmac_sha256": ""},
        {"hmac_sha256": "bm90IGl0"},
        {"hmac_sha256": "not base64 at all"},
        {"hmac_sha256": None, "topic": None, "shop_domain": None},
        {"hmac_sha256": "x", "webhook_id": None},
    ],
)
async def test_an_absent_or_wrong_signature_is_401_whatever_else_is_missing(
    client: httpx.AsyncClient, changes: dict[str, str | None]
) -> None:
    body = b'{"id": 4}'
    assert (await client.post("/webhooks/shopify", content=body, headers=headers(body, **changes))).status_code == 401


@pytest.mark.parametrize("missing", ["topic", "shop_domain", "webhook_id", "api_version"])
async def test_a_signed_delivery_without_its_headers_is_400(client: httpx.AsyncClient, missing: str) -> None:
    body = b'{"id": 5}'
    answer = await client.post("/webhooks/shopify", content=body, headers=headers(body, **{missing: None}))
    assert answer.status_code == 400


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("ahlan_webhooks_received_total", {"source": "shopify", "outcome": outcome}) or 0


async def test_an_unknown_topic_is_counted_and_not_kept(app: App, client: httpx.AsyncClient) -> None:
    body = b'{"id": 6}'
    sent, before = headers(body, topic="themes/publish"), counted("unknown_topic")
    assert (await client.post("/webhooks/shopify", content=body, headers=sent)).status_code == 200
    assert await stored(app, sent["x-shopify-webhook-id"]) == []
    assert counted("unknown_topic") == before + 1


async def test_the_newer_family_of_headers_is_taken_as_well(app: App, client: httpx.AsyncClient) -> None:
    body = b'{"id": 9}'
    sent = {name.removeprefix("x-"): value for name, value in headers(body).items()}
    answers = [await client.post("/webhooks/shopify", content=body, headers=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    [row] = await stored(app, sent["shopify-webhook-id"])
    assert (row.topic, row.headers["triggered_at"]) == ("orders/updated", "2026-11-02T08:00:00.123456Z")
    for missing, status in (("hmac-sha256", 401), ("topic", 400), ("webhook-id", 400), ("shop-domain", 400)):
        fewer = {name: value for name, value in sent.items() if name != f"shopify-{missing}"}
        assert (await client.post("/webhooks/shopify", content=body, headers=fewer)).status_code == status


async def test_strange_bytes_in_headers_break_nothing(client: httpx.AsyncClient) -> None:
    body = b'{"id": 7}'
    raw = [(name.encode(), value.encode()) for name, value in headers(body).items()]
    for name in (
        b"x-shopify-hmac-sha256",
        b"x-shopify-shop-domain",
        b"x-shopify-webhook-id",
        b"x-shopify-triggered-at",
    ):
        sent = [(key, "ש\x7fم".encode() if key == name else value) for key, value in raw]
        answer = await client.post("/webhooks/shopify", content=body, headers=sent)
        assert answer.status_code in (200, 400, 401), name


async def test_nothing_is_acknowledged_while_the_database_is_away() -> None:
    inbox = Inbox("postgresql://ahlan_queue:x@127.0.0.1:1/none", _silent)
    receiver = Receiver(_nothing, inbox, {"shopify": ShopifySource((SECRET,))})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://ahlan") as client:
        body = b'{"id": 8}'
        assert (await client.post("/webhooks/shopify", content=body, headers=headers(body))).status_code == 503
    await inbox.close()


async def test_everything_else_passes_through(client: httpx.AsyncClient) -> None:
    assert (await client.get("/panel")).status_code == 299
    assert (await client.post("/webhooks/nobody")).status_code == 404


async def test_a_crowd_is_answered_after_few_commits(app: App, client: httpx.AsyncClient) -> None:
    async def one(number: int) -> int:
        body = f'{{"id": {number}}}'.encode()
        return (
            await client.post(
                "/webhooks/shopify", content=body, headers=headers(body, shop_domain="crowd.myshopify.com")
            )
        ).status_code

    async with app.db.queue.connect() as connection:
        before = (await connection.execute(text("SELECT count(*) FROM webhook_inbox"))).scalar_one()
    assert set(await asyncio.gather(*(one(number) for number in range(600)))) == {200}
    async with app.db.queue.connect() as connection:
        after = (await connection.execute(text("SELECT count(*) FROM webhook_inbox"))).scalar_one()
        commits = (
            await connection.execute(
                text(
                    "SELECT count(DISTINCT xmin::text) FROM webhook_inbox "
                    "WHERE store_key = 'shopify:crowd.myshopify.com'"
                )
            )
        ).scalar_one()
    assert after - before == 600
    assert commits < 300
