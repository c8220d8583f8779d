"""What a platform only says has changed is read from it again."""

from __future__ import annotations

from uuid import UUID

from plugin import stores
from plugin.app import App
from plugin.crm import sync
from plugin.kernel.jobs import TaskError
from plugin.platform import PlatformError


async def reread_return(app: App, workspace_id: UUID, *, store_id: str, return_external_id: str) -> None:
    """Task: the order of a return as it is now. Raises TaskError when the platform could not be asked."""
    async with app.db.transaction(workspace_id) as tx:
        store = await stores.get(tx, UUID(store_id))
        if store is None or store.status != stores.CONNECTED:
            await tx.complete_job()
            return
    try:
        records = await app.platforms[store.platform].read_return(store.connection(), return_external_id)
    except PlatformError as error:
        raise TaskError(error.said, retry=error.retry, after=error.after) from error
    async with app.db.transaction(workspace_id) as tx:
        await sync.apply_answer(tx, store.id, records)
        await tx.complete_job()
