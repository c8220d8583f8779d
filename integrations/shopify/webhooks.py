"""Webhook deliveries, classic and Events: is it signed, what is it, which topics we want and why. Pure.

Only the body is signed; topic, shop, ids and time are not. They are believed beside a good body signature, and where
the body names its shop the two have to agree (`payload_shop`): nothing destructive rests on a header alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from integrations.shopify import identity
from plugin.platform import Answer, Delivery

SOURCE: Final = "shopify"
STORE_KIND: Final = "store"

COMPLIANCE_TOPICS: Final = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
"""Signed like all others, sent to every app, subscribed in shopify.app.toml only."""

_DESTRUCTIVE = COMPLIANCE_TOPICS | {"app/uninstalled"}

TOPICS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "orders/create", "orders/updated", "orders/cancelled", "orders/fulfilled", "orders/partially_fulfilled",
            "orders/paid", "orders/edited", "orders/delete", "orders/link_requested", "order_transactions/create",
            "refunds/create", "carts/create", "carts/update",
            "checkouts/create", "checkouts/update", "checkouts/delete",
        ),
        ("read_orders",),
    ),
    **dict.fromkeys(
        ("fulfillments/create", "fulfillments/update", "fulfillment_events/create", "fulfillment_events/delete"),
        ("read_fulfillments",),
    ),
    **dict.fromkeys(
        (
            "returns/request", "returns/approve", "returns/decline", "returns/update", "returns/process",
            "reverse_deliveries/attach_deliverable", "reverse_fulfillment_orders/dispose",
        ),
        ("read_returns",),
    ),
    **dict.fromkeys(("returns/cancel", "returns/close", "returns/reopen"), ("read_returns", "read_orders")),
    **dict.fromkeys(
        (
            "customers/create", "customers/update", "customers/delete", "customers/enable", "customers/disable",
            "customers/purchasing_summary", "customer.tags_added", "customer.tags_removed",
            "customers_email_marketing_consent/update",
        ),
        ("read_customers",),
    ),
    "customers/merge": ("read_customer_merge",),
    **dict.fromkeys(
        ("products/create", "products/update", "products/delete", "variants/in_stock", "variants/out_of_stock"),
        ("read_products",),
    ),
    **dict.fromkeys(("app/uninstalled", "app/scopes_update", "shop/update", "bulk_operations/finish"), ()),
    **dict.fromkeys(COMPLIANCE_TOPICS, ()),
}  # fmt: skip
"""Every topic we take, and the scopes of which one is enough for it (PLATFORMS A2.8)."""

OPTIONAL_TOPICS: Final = ("customers/merge",)
"""Topics of optional scopes: subscribed per shop once the scope is granted. All others are in shopify.app.toml."""

_CLASSIC = {
    "topic": "x-shopify-topic", "shop": "x-shopify-shop-domain", "version": "x-shopify-api-version",
    "id": "x-shopify-webhook-id", "event": "x-shopify-event-id", "at": "x-shopify-triggered-at",
    "name": "x-shopify-name", "action": "x-shopify-sub-topic",
}  # fmt: skip
_EVENTS = {
    "topic": "shopify-topic", "shop": "shopify-shop-domain", "version": "shopify-api-version",
    "id": "shopify-webhook-id", "event": "", "at": "shopify-triggered-at",
    "name": "shopify-handle", "action": "shopify-action",
}  # fmt: skip
_CLASSIC_HMAC, _EVENTS_HMAC = "x-shopify-hmac-sha256", "shopify-hmac-sha256"


def verify(body: bytes, signature: bytes, secrets: Sequence[str]) -> bool:
    """Whether `signature` (base64, as the header came) is the HMAC-SHA256 of the raw body under one of our secrets."""
    return any(hmac.compare_digest(sign(body, secret), signature) for secret in secrets)


def sign(body: bytes, secret: str) -> bytes:
    """The header value Shopify would send with `body`."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))


def read(headers: Mapping[str, bytes], body: bytes, secrets: Sequence[str]) -> Delivery | Answer:
    """A delivery worth keeping, or what to answer instead. `headers` have lower-case names.

    The signature comes first, whatever else is missing. The delivery id is the same on every retry, so `(shop,
    delivery id)` tells duplicates apart; two subscriptions of one topic have two of them, which handlers survive.
    An Events delivery is called `<Topic>/<action>`.
    """
    family = _CLASSIC if _CLASSIC_HMAC in headers else _EVENTS
    signature = headers.get(_CLASSIC_HMAC) or headers.get(_EVENTS_HMAC)
    if not signature or not verify(body, signature, secrets):
        return Answer.UNSIGNED
    told = {word: headers.get(header, b"").decode("utf-8", "replace") for word, header in family.items()}
    shop = identity.shop_domain(told["shop"])
    if shop is None or not told["topic"] or not told["id"] or not told["version"]:
        return Answer.INCOMPLETE
    topic = told["topic"] if family is _CLASSIC else f"{told['topic']}/{told['action']}"
    if topic not in TOPICS:
        return Answer.UNKNOWN_TOPIC
    kept = {"version": told["version"], "event": told["event"], "name": told["name"]}
    if triggered := _time(told["at"]):
        kept["triggered_at"] = triggered
    return Delivery(f"{shop}:{told['id']}", STORE_KIND, f"shopify:{shop}", topic, {k: v for k, v in kept.items() if v})


class ShopifySource:
    """`/webhooks/shopify` and `/webhooks/shopify/compliance`: one receiver, whatever the tail."""

    name = SOURCE

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """See `read`."""
        return read(headers, body, self._secrets) if tail in {"", "compliance"} else Answer.UNKNOWN_STORE


def payload_shop(topic: str, payload: Mapping[str, Any]) -> str | None:
    """The shop a body itself names, lower-cased, or None where it names none; "" where it would have to."""
    named = payload.get("shop_domain") or payload.get("myshopify_domain")
    if isinstance(named, str):
        return named.lower()
    return "" if topic in _DESTRUCTIVE else None


def enum_name(topic: str) -> str:
    """`orders/create` as GraphQL spells it: `ORDERS_CREATE`."""
    return topic.replace("/", "_").replace(".", "_").upper()


def subscribable(granted: Sequence[str]) -> list[str]:
    """The optional topics whose scope was granted."""
    return [
        topic
        for topic in OPTIONAL_TOPICS
        if any(not identity.missing_scopes([scope], granted) for scope in TOPICS[topic])
    ]


def _time(text: str) -> str:
    """`text` as an ISO time in UTC, or "" when it is none: a header is not worth a failed delivery."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
