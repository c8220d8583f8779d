"""From the inbox to the returns: each piece of news of a parcel on its own, stamped where it changes something."""

from __future__ import annotations

from uuid import UUID

import structlog

from plugin import stores
from plugin.app import App
from plugin.returns import labels
from webhooks import inbox
from webhooks.inbox import Claimed
from webhooks.mail import Elsewhere

log = structlog.get_logger(__name__)

SOURCES = ("easypost",)
"""Carriers that post news; the names of their sources are those of their adapters."""


async def arrived(app: App, workspace_id: UUID, store_id: UUID, row: Claimed) -> None:
    """Take one piece of news. Raises Elsewhere, and ValueError for what nobody can read.

    Of a parcel that we did not buy nothing is kept: the account may be used for other things as well.
    """
    movements = app.carriers[row.source].read(row.body)
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.held(tx, store_id)
        if store is None or store.moving_since is not None:
            raise Elsewhere
        if not await inbox.stamp(tx, [row.id]):
            return
        for movement in movements:
            if not await labels.moved(tx, store_id, movement):
                log.info("parcel_unknown", row=row.id, stage=movement.stage.value)
