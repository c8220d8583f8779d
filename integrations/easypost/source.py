"""The edge that EasyPost posts events to: `/webhooks/easypost/<token>`, one address for each store's account."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from integrations.easypost import webhooks
from plugin import stores
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database
from plugin.platform import WEBHOOK_LIMIT, Answer, Delivery
from plugin.returns import shipping

FRESH_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 2.0
CACHED: Final = 5_000


class EasyPostSource:
    """Verifies with the secret that we gave EasyPost for this address (`platform.WebhookSource`)."""

    name = "easypost"
    body_limit = WEBHOOK_LIMIT

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._secrets: dict[str, tuple[str, float]] = {}

    async def knows(self, tail: str) -> bool:
        """Whether a store's account posts to this address."""
        return bool(await self._secret(tail, again=False))

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """A token that is nobody's and a signature that is not EasyPost's look the same from outside."""
        header = headers.get(webhooks.HEADER, b"")
        for again in (False, True):
            secret = await self._secret(tail, again=again)
            if id := webhooks.event_id(secret, header, body):
                return Delivery(f"{tail}:{id}", shipping.DIRECTORY, tail, "event", {})
        return Answer.UNSIGNED

    async def _secret(self, token: str, *, again: bool) -> str:
        """What this address's posts are signed with, empty: nobody's. `again`: it may have been changed just now."""
        if not 0 < len(token) <= 64:
            return ""
        known, now = self._secrets.get(token), time.monotonic()
        if known is not None and now - known[1] < (AGAIN_SECONDS if again else FRESH_SECONDS):
            return known[0]
        found = next(iter(await self._db.lookup(shipping.DIRECTORY, token)), None)
        if found is None or found[1] is None:
            return ""
        async with self._db.transaction(found[0]) as tx:
            store = await stores.get(tx, found[1])
            settings = await shipping.of_store(tx, found[1])
            if store is None or store.status == stores.UNINSTALLED or settings is None or not settings.carrier:
                return ""
            secret = await shipping.hook_of(tx, self._vault, found[1])
        while len(self._secrets) >= CACHED:
            self._secrets.pop(next(iter(self._secrets)))
        self._secrets[token] = (secret, now)
        return secret
