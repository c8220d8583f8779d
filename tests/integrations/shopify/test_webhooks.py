"""Deliveries: signature first, both header families, no header that crashes, the topics of the app's own file."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopify_app import verify_webhook_req

from integrations.shopify import webhooks
from integrations.shopify.install import REQUIRED_SCOPES
from integrations.shopify.simulator import topics as simulated
from plugin.platform import Answer, Delivery

SECRET, OLD = "current", "previous"
BODY = b'{"id":1}'


def _classic(body: bytes = BODY, secret: str = SECRET, **changes: bytes | None) -> dict[str, bytes]:
    headers: dict[str, bytes | None] = {
        "x-shopify-topic": b"orders/create",
        "x-shopify-hmac-sha256": webhooks.sign(body, secret),
        "x-shopify-shop-domain": b"acme.myshopify.com",
        "x-shopify-api-version": b"2026-10",
        "x-shopify-webhook-id": b"w-1",
        "x-shopify-event-id": b"e-1",
        "x-shopify-triggered-at": b"2026-11-22T03:04:05.123456789Z",
        "x-shopify-name": b"orders",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in headers.items() if value is not None}


def test_vector() -> None:
    body = '{"id":1,"note":"café"}'.encode()
    assert webhooks.sign(body, "hush") == b"foEjqc88nIdg5LAnXXzRsDrJnpNZJKbyPLSa9+F3LXU="
    assert webhooks.verify(body, b"foEjqc88nIdg5LAnXXzRsDrJnpNZJKbyPLSa9+F3LXU=", ["other", "hush"])


def test_a_classic_delivery() -> None:
    read = webhooks.read(_classic(), BODY, [SECRET])
    assert isinstance(read, Delivery)
    assert read.key == "acme.myshopify.com:w-1"
    assert (read.store_kind, read.store_key, read.topic) == ("store", "shopify:acme.myshopify.com", "orders/create")
    assert read.headers == {
        "version": "2026-10", "event": "e-1", "name": "orders", "triggered_at": "2026-11-22T03:04:05.123456789Z",
    }  # fmt: skip


def test_a_retry_and_a_rotation_give_the_same_key() -> None:
    again = webhooks.read(_classic(secret=OLD), BODY, [SECRET, OLD])
    first = webhooks.read(_classic(), BODY, [SECRET, OLD])
    assert isinstance(again, Delivery)
    assert isinstance(first, Delivery)
    assert again.key == first.key


def test_an_events_delivery_is_named_by_topic_and_action() -> None:
    headers = {
        "shopify-topic": b"Product", "shopify-action": b"update", "shopify-hmac-sha256": webhooks.sign(BODY, SECRET),
        "shopify-shop-domain": b"acme.myshopify.com", "shopify-api-version": b"2026-10", "shopify-webhook-id": b"w-2",
        "shopify-triggered-at": b"2026-11-22T03:04:05Z",
    }  # fmt: skip
    # Signed and understood, but none that we subscribe to yet: counted, not stored.
    assert webhooks.read(headers, BODY, [SECRET]) is Answer.UNKNOWN_TOPIC
    assert webhooks.read({**headers, "shopify-hmac-sha256": b"x"}, BODY, [SECRET]) is Answer.UNSIGNED
    assert webhooks.read({**headers, "shopify-webhook-id": b""}, BODY, [SECRET]) is Answer.INCOMPLETE


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"x_shopify_hmac_sha256": None}, Answer.UNSIGNED),
        ({"x_shopify_hmac_sha256": b""}, Answer.UNSIGNED),
        ({"x_shopify_hmac_sha256": "é\udc80".encode("utf-8", "surrogatepass")}, Answer.UNSIGNED),
        ({"x_shopify_hmac_sha256": None, "x_shopify_topic": None}, Answer.UNSIGNED),
        ({"x_shopify_hmac_sha256": webhooks.sign(BODY + b" ", SECRET)}, Answer.UNSIGNED),
        ({"x_shopify_topic": None}, Answer.INCOMPLETE),
        ({"x_shopify_shop_domain": None}, Answer.INCOMPLETE),
        ({"x_shopify_shop_domain": b"evil.com"}, Answer.INCOMPLETE),
        ({"x_shopify_shop_domain": b"\xff\xfe.myshopify.com"}, Answer.INCOMPLETE),
        ({"x_shopify_webhook_id": None}, Answer.INCOMPLETE),
        ({"x_shopify_api_version": None}, Answer.INCOMPLETE),
        ({"x_shopify_topic": b"themes/publish"}, Answer.UNKNOWN_TOPIC),
        ({"x_shopify_topic": b"\xff\x00"}, Answer.UNKNOWN_TOPIC),
    ],
)
def test_what_is_not_stored(changes: dict[str, bytes | None], answer: Answer) -> None:
    assert webhooks.read(_classic(**changes), BODY, [SECRET, OLD]) is answer


@given(st.dictionaries(st.sampled_from(sorted(_classic())), st.binary(max_size=20)), st.binary(max_size=50))
def test_no_header_crashes_the_reader(changes: dict[str, bytes], body: bytes) -> None:
    headers = _classic(body) | changes
    read = webhooks.read(headers, body, [SECRET])
    assert isinstance(read, Delivery | Answer)
    if headers["x-shopify-hmac-sha256"] != webhooks.sign(body, SECRET):
        assert read is Answer.UNSIGNED


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.booleans())
def test_we_agree_with_shopifys_python_library(text: str, good: bool) -> None:
    body = text.encode()
    signature = webhooks.sign(body if good else body + b"x", SECRET)
    theirs = verify_webhook_req(
        {
            "method": "POST",
            "headers": {"X-Shopify-Hmac-Sha256": signature.decode(), "X-Shopify-Shop-Domain": "acme.myshopify.com"},
            "url": "https://app.example.com/webhooks/shopify",
            "body": text,
        },
        {"client_id": "id", "client_secret": SECRET},
    )
    assert theirs.ok is webhooks.verify(body, signature, [SECRET]) is good


async def test_the_source_answers_at_two_addresses() -> None:
    source = webhooks.ShopifySource([SECRET])
    assert isinstance(await source.read("", _classic(), BODY), Delivery)
    assert isinstance(await source.read("compliance", _classic(x_shopify_topic=b"shop/redact"), BODY), Delivery)
    assert await source.read("elsewhere", _classic(), BODY) is Answer.UNKNOWN_STORE


def test_the_apps_file_subscribes_exactly_what_we_take() -> None:
    path = Path(webhooks.__file__).parent / "app" / "shopify.app.toml"
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    subscribed = {
        topic
        for block in config["webhooks"]["subscriptions"]
        for topic in [*block.get("topics", ()), *block.get("compliance_topics", ())]
    }
    assert subscribed == set(webhooks.TOPICS) - set(webhooks.OPTIONAL_TOPICS)


def test_every_topic_of_the_apps_file_is_covered_by_a_required_scope() -> None:
    for topic, scopes in webhooks.TOPICS.items():
        assert set(scopes) == set(simulated.scopes_for(topic)), topic
    covered = webhooks.subscribable(REQUIRED_SCOPES)
    assert covered == []
    assert webhooks.subscribable([*REQUIRED_SCOPES, "read_customer_merge"]) == ["customers/merge"]
    assert webhooks.subscribable(["write_customer_merge"]) == ["customers/merge"]


def test_enum_names() -> None:
    assert webhooks.enum_name("customers/merge") == "CUSTOMERS_MERGE"
    assert webhooks.enum_name("customer.tags_added") == "CUSTOMER_TAGS_ADDED"


def test_the_shop_a_body_names() -> None:
    assert webhooks.payload_shop("shop/redact", {"shop_domain": "Acme.myshopify.com"}) == "acme.myshopify.com"
    assert webhooks.payload_shop("app/uninstalled", {"myshopify_domain": "a.myshopify.com"}) == "a.myshopify.com"
    assert webhooks.payload_shop("orders/create", {"id": 1}) is None
    # What destroys must name its shop.
    assert webhooks.payload_shop("shop/redact", {}) == ""
    assert webhooks.payload_shop("app/uninstalled", {}) == ""
