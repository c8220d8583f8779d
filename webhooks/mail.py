"""From the inbox to the thread: each mail on its own, read off the event loop, stamped where it lands."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from plugin import stores
from plugin.app import App
from plugin.conversations import letters, mailboxes
from plugin.conversations.conversations import EMAIL
from plugin.conversations.letters import Outcome
from webhooks import inbox
from webhooks.inbox import Claimed

log = structlog.get_logger(__name__)

SOURCE = "mail"


class Elsewhere(Exception):
    """The store is not here, or on its way into another workspace."""


async def arrived(app: App, workspace_id: UUID, store_id: UUID, row: Claimed) -> Outcome:
    """Take one mail. Raises Elsewhere, and ValueError for what nobody could read or one sender sends too often."""
    channel = app.channels[EMAIL]
    mail = await asyncio.to_thread(channel.read, row.topic, row.headers, row.body)
    prepared = await letters.prepare(mail)
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.held(tx, store_id)
        if store is None or store.moving_since is not None:
            raise Elsewhere
        if not await inbox.stamp(tx, [row.id]):
            return Outcome.AGAIN
        box = await mailboxes.of_store(tx, store_id)
        outcome = Outcome.NOBODY if box is None else await letters.take(tx, store, box, prepared)
    log.info("mail_taken", outcome=outcome.value, row=row.id)
    return outcome
