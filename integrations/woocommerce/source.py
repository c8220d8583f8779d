"""WooCommerce's webhook edge: `/webhooks/woocommerce/{store}` and our plugin's `/webhooks/woocommerce/{store}/cart`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from integrations.woocommerce import pairing, webhooks
from integrations.woocommerce.pairing import PairingError
from integrations.woocommerce.platform import KIND, STORE_KIND, secrets_of_plugin
from plugin import stores
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database
from plugin.platform import WEBHOOK_LIMIT, Answer, Delivery

FRESH_SECONDS: Final = 60.0
"""How long an opened secret serves without asking the database: a rotation is noticed at once by its bad signature."""
AGAIN_SECONDS: Final = 2.0
CACHED_STORES: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Secrets:
    webhook: str = field(repr=False)
    plugins: tuple[str, ...] = field(repr=False)
    read_at: float


class WooCommerceSource:
    """Verifies the raw bytes with the store's own secret and names the delivery (`platform.WebhookSource`)."""

    name = KIND
    body_limit = WEBHOOK_LIMIT

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._secrets: dict[UUID, _Secrets] = {}

    async def knows(self, tail: str) -> bool:
        """Anybody: the signature tells, and no body is large."""
        return True

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """Ping first (B2): it comes while the store is still being connected and names no store we could know."""
        if webhooks.is_ping(headers, body):
            return Answer.PING
        store, _, rest = tail.partition("/")
        store_id = _uuid(store)
        if rest not in ("", "cart"):
            return Answer.UNKNOWN_STORE
        if store_id is None:
            return Answer.UNSIGNED
        if rest == "cart":
            return await self._cart(store_id, headers, body)
        return await self._webhook(store_id, headers, body)

    async def _webhook(self, store_id: UUID, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        signature = headers.get(webhooks.SIGNATURE)
        if not signature:
            return Answer.UNSIGNED
        for again in (False, True):
            known = await self._known(store_id, again=again)
            if known and webhooks.verify(body, signature, known.webhook):
                break
        else:
            return Answer.UNSIGNED
        topic, webhook_id = _ascii(headers.get(webhooks.TOPIC)), _ascii(headers.get(webhooks.WEBHOOK_ID))
        if not topic or not webhook_id:
            return Answer.INCOMPLETE
        if topic not in webhooks.TOPICS:
            return Answer.UNKNOWN_TOPIC
        delivery_id = _ascii(headers.get(webhooks.DELIVERY_ID))
        return Delivery(
            key=f"{store_id}:{webhooks.dedup_key(webhook_id, topic, body, delivery_id)}",
            store_kind=STORE_KIND,
            store_key=str(store_id),
            topic=topic,
            headers={"webhook_id": webhook_id, "delivery_id": delivery_id},
        )

    async def _cart(self, store_id: UUID, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """Our plugin's cart events. The nonce is the key: a replay inside its five minutes is a duplicate row."""
        for again in (False, True):
            known = await self._known(store_id, again=again)
            nonce = _nonce(known.plugins if known else (), store_id, headers, body)
            if nonce:
                break
        else:
            return Answer.UNSIGNED
        return Delivery(
            key=f"{store_id}:cart:{nonce}",
            store_kind=STORE_KIND,
            store_key=str(store_id),
            topic=webhooks.CART_TOPIC,
            headers={},
        )

    async def _known(self, store_id: UUID, *, again: bool) -> _Secrets | None:
        """The store's secrets; `again` reads them anew, unless that was done a moment ago (a flood of forgeries)."""
        known = self._secrets.get(store_id)
        if known and time.monotonic() - known.read_at < (AGAIN_SECONDS if again else FRESH_SECONDS):
            return known
        found = await self._db.lookup(STORE_KIND, str(store_id))
        if not found:
            return None
        async with self._db.transaction(found[0][0]) as tx:
            webhook = await stores.credential(tx, self._vault, store_id, "webhook")
            plugins = await secrets_of_plugin(tx, self._vault, store_id)
        if len(self._secrets) >= CACHED_STORES:
            self._secrets.clear()
        fresh = _Secrets(webhook[0] if webhook else "", plugins, time.monotonic())
        self._secrets[store_id] = fresh
        return fresh


def _nonce(secrets: Sequence[str], store_id: UUID, headers: Mapping[str, bytes], body: bytes) -> str:
    """The nonce of cart events that one of these secrets signed, or nothing."""
    for secret in secrets:
        with suppress(PairingError):
            return pairing.verify(
                pairing.derive_keys(secret).requests,
                method="POST",
                path=f"/webhooks/woocommerce/{store_id}/cart",
                timestamp=_ascii(headers.get(pairing.TIMESTAMP_HEADER.lower())),
                nonce=_ascii(headers.get(pairing.NONCE_HEADER.lower())),
                signature=_ascii(headers.get(pairing.SIGNATURE_HEADER.lower())),
                body=body,
                now=time.time(),
            )
    return ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _ascii(value: bytes | None) -> str:
    """A header as text; what is no printable ASCII counts as absent."""
    text = (value or b"").decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() and len(text) <= 200 else ""
