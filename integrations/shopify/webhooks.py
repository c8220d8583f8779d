"""Webhook deliveries, classic and Events: is it signed, what is it, which topics we want and why. Pure.

Only the body is signed; topic, shop, ids and time are not. They are believed beside a good body signature, and where
the body names its shop the two have to agree (`payload_shop`): nothing destructive rests on a header alone.
"""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from integrations.shopify import identity
from plugin.platform import WEBHOOK_LIMIT, Answer, Delivery

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
    **dict.fromkeys(
        (
            "app/uninstalled", "app/scopes_update", "shop/update", "domains/create", "domains/update",
            "domains/destroy", "bulk_operations/finish",
        ),
        (),
    ),
    **dict.fromkeys(COMPLIANCE_TOPICS, ()),
}  # fmt: skip
"""Every topic we take, and the scopes of which one is enough for it (platforms.md A2.8)."""

OPTIONAL_TOPICS: Final = ("customers/merge",)
"""Topics of optional scopes: subscribed per shop once the scope is granted. All others are in shopify.app.toml."""

_CLASSIC_HMAC, _EVENTS_HMAC = "x-shopify-hmac-sha256", "shopify-hmac-sha256"


def verify(body: bytes, signature: bytes, secrets: Sequence[str]) -> bool:
    """Whether `signature` (base64, as the header came) is the HMAC-SHA256 of the raw body under one of our secrets."""
    return _verify(body, signature, _keyed(secrets))


def _verify(body: bytes, signature: bytes, keyed: Iterable[hmac.HMAC]) -> bool:
    return any(hmac.compare_digest(_sign(body, one), signature) for one in keyed)


def sign(body: bytes, secret: str) -> bytes:
    """The header value Shopify would send with `body`."""
    return _sign(body, *_keyed([secret]))


def _sign(body: bytes, keyed: hmac.HMAC) -> bytes:
    mac = keyed.copy()
    mac.update(body)
    return b2a_base64(mac.digest(), newline=False)


def _keyed(secrets: Sequence[str]) -> tuple[hmac.HMAC, ...]:
    """One MAC per secret with its key taken in: copying it is half the price of starting anew."""
    return tuple(hmac.new(secret.encode(), digestmod="sha256") for secret in secrets)


def read(headers: Mapping[str, bytes], body: bytes, secrets: Sequence[str]) -> Delivery | Answer:
    """A delivery worth keeping, or what to answer instead. `headers` have lower-case names.

    The signature comes first, whatever else is missing. The delivery id is the same on every retry, so `(shop,
    delivery id)` tells duplicates apart; two subscriptions of one topic have two of them, which handlers survive.
    An Events delivery is called `<Topic>/<action>`; where the newer headers name a classic topic, it is that one.
    """
    return _read(headers, body, _keyed(secrets))


def _read(headers: Mapping[str, bytes], body: bytes, keyed: Iterable[hmac.HMAC]) -> Delivery | Answer:
    classic = _CLASSIC_HMAC in headers
    signature = headers.get(_CLASSIC_HMAC) or headers.get(_EVENTS_HMAC)
    if not signature or not _verify(body, signature, keyed):
        return Answer.UNSIGNED

    # Classic deliveries carry the same words with an x- before them.
    x = "x-" if classic else ""
    shop = identity.shop_domain(_told(headers, f"{x}shopify-shop-domain"))
    topic, version = _told(headers, f"{x}shopify-topic"), _told(headers, f"{x}shopify-api-version")
    id = _told(headers, f"{x}shopify-webhook-id")
    if shop is None or not topic or not id or not version:
        return Answer.INCOMPLETE
    if not classic and topic not in TOPICS:
        topic = f"{topic}/{_told(headers, 'shopify-action')}"
    if topic not in TOPICS:
        return Answer.UNKNOWN_TOPIC
    kept = {"version": version}
    if classic and (event := _told(headers, "x-shopify-event-id")):
        kept["event"] = event
    if name := _told(headers, "x-shopify-name" if classic else "shopify-handle"):
        kept["name"] = name
    if triggered := _told(headers, f"{x}shopify-triggered-at"):
        kept["triggered_at"] = triggered
    return Delivery(f"{shop}:{id}", STORE_KIND, f"shopify:{shop}", topic, kept)


def _told(headers: Mapping[str, bytes], name: str) -> str:
    value = headers.get(name)
    return value.decode("utf-8", "replace") if value else ""


class ShopifySource:
    """`/webhooks/shopify` and `/webhooks/shopify/compliance`: one receiver, whatever the tail."""

    name = SOURCE
    body_limit = WEBHOOK_LIMIT

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keyed = _keyed(secrets)

    async def knows(self, tail: str) -> bool:
        """Anybody: the signature tells, and no body is large."""
        return True

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """See `read`."""
        return _read(headers, body, self._keyed) if tail in _TAILS else Answer.UNKNOWN_STORE


_TAILS = frozenset({"", "compliance"})


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
