"""WooCommerce's deliveries, read without believing them: pure functions over bytes (platforms.md B1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

SIGNATURE: Final = "x-wc-webhook-signature"
TOPIC: Final = "x-wc-webhook-topic"
WEBHOOK_ID: Final = "x-wc-webhook-id"
DELIVERY_ID: Final = "x-wc-webhook-delivery-id"

CART_TOPIC: Final = "ahlan.cart"
"""Our plugin's cart events: WooCommerce itself has no cart or checkout topics (B11)."""

TOPICS: Final = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "product.created",
    "product.updated",
    "product.deleted",
    "product.restored",
)
"""What we subscribe to at every store."""

_DEMOTED = frozenset({"woocommerce_rest_cannot_view", "woocommerce_rest_cannot_read", "rest_forbidden"})


def sign(body: bytes, secret: str) -> str:
    """Base64 of HMAC-SHA256 over the raw bytes, as WooCommerce sends it (B14)."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def verify(body: bytes, signature: bytes | str | None, secret: str) -> bool:
    """Whether `signature` (the header as received) is good for the raw body.

    Compared as bytes in constant time: a stranger may send anything, also what is no ASCII.
    """
    if not signature or not secret:
        return False
    given = signature.encode("utf-8", "surrogateescape") if isinstance(signature, str) else signature
    return hmac.compare_digest(sign(body, secret).encode(), given.strip())


def is_ping(headers: Mapping[str, bytes], body: bytes) -> bool:
    """The form-encoded, unsigned `webhook_id=N` of a new webhook: the only unsigned thing to answer 200 to (B2)."""
    if SIGNATURE in headers or TOPIC in headers:
        return False
    name, _, number = body.partition(b"=")
    form = headers.get("content-type", b"").startswith(b"application/x-www-form-urlencoded")
    return form and name == b"webhook_id" and number.isdigit() and len(number) <= 20


def dedup_key(webhook_id: str, topic: str, body: bytes, delivery_id: str = "") -> str:
    """One key per thing told: webhook, topic and the hash of the body, which holds the resource id (B1).

    The delivery id alone is shared by different bodies, so it cannot be the key. It only joins in for deletions:
    `{"id":98}` is the same text each time, and an order can be binned, brought back, and binned again.
    """
    digest = hashlib.sha256(body).hexdigest()
    if topic.endswith(".deleted"):
        return f"{webhook_id}:{topic}:{digest}:{delivery_id}"
    return f"{webhook_id}:{topic}:{digest}"


def owner_demoted(error_code: str) -> bool:
    """Whether an error body means that the webhook's owner lost rights: for the merchant to see (B7)."""
    return error_code in _DEMOTED
