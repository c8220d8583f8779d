"""The edge that providers post mail to: `/webhooks/mail/<token>`, one address for each store's mailbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from integrations.channels.email import inbound
from plugin import stores
from plugin.conversations import mailboxes
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Database
from plugin.platform import Answer, Delivery

FRESH_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 2.0
CACHED: Final = 5_000
BODY_LIMIT: Final = 40 * 1024 * 1024
"""25 MB of files are 34 MB as base64, which is also what the large providers let through."""

_QUICK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Known:
    provider: str
    key: str = field(repr=False)
    read_at: float


class MailSource:
    """Verifies with the mailbox's own key, by its provider's rule (`platform.WebhookSource`)."""

    name = "mail"
    body_limit = BODY_LIMIT

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._boxes: dict[str, _Known] = {}

    async def knows(self, tail: str) -> bool:
        """Whether a mailbox takes posted mail under this token."""
        token = tail.partition("/")[0]
        return len(token) <= 64 and await self._known(token, again=False) is not None

    async def read(self, tail: str, headers: Mapping[str, bytes], body: bytes) -> Delivery | Answer:
        """A token that is nobody's and a signature that is not theirs look the same from outside.

        Mailgun posts a mail as it is only to addresses that end in `mime`, so that word may follow the token.
        """
        token, _slash, rest = tail.partition("/")
        if rest not in ("", "mime") or len(token) > 64:
            return Answer.UNSIGNED
        for again in (False, True):
            box = await self._known(token, again=again)
            if box is None:
                continue
            check = (box.provider, headers, body, box.key)
            quick = len(body) < _QUICK_BYTES
            name = inbound.verified(*check) if quick else await asyncio.to_thread(inbound.verified, *check)
            if name:
                return Delivery(
                    key=f"{token}:{name}",
                    store_kind=mailboxes.DIRECTORY,
                    store_key=token,
                    topic=box.provider,
                    headers={"content_type": headers.get("content-type", b"").decode("latin-1")[:500]},
                )
        return Answer.UNSIGNED

    async def _known(self, token: str, *, again: bool) -> _Known | None:
        """The provider and key behind a token. `again`: the key may have been changed a moment ago."""
        known, now = self._boxes.get(token), time.monotonic()
        if known is not None and now - known.read_at < (AGAIN_SECONDS if again else FRESH_SECONDS):
            return known
        found = next(iter(await self._db.lookup(mailboxes.DIRECTORY, token)), None)
        if found is None or found[1] is None:
            return None
        workspace_id, store_id = found[0], found[1]
        async with self._db.transaction(workspace_id) as tx:
            box = await mailboxes.of_store(tx, store_id)
            store = await stores.get(tx, store_id)
            if (
                box is None
                or box.provider in ("", mailboxes.READ_BY_US)
                or store is None
                or store.status == stores.UNINSTALLED
            ):
                return None
            made = _Known(box.provider, await mailboxes.key_of(tx, self._vault, store_id), now)
        while len(self._boxes) >= CACHED:
            self._boxes.pop(next(iter(self._boxes)))
        self._boxes[token] = made
        return made
