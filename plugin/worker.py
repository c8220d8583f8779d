"""The worker process: job rows, the webhook inbox, mailboxes that we read, housekeeping. Any number of them may run."""

from __future__ import annotations

import asyncio

import structlog

from plugin.app import App
from plugin.bootstrap import DRAIN, ring_inbox
from plugin.conversations import search
from plugin.kernel import jobs
from plugin.kernel.jobs import Worker
from plugin.reactions import TASKS
from webhooks import handlers, inbox, reader

log = structlog.get_logger(__name__)

JOB_RETENTION_DAYS = 7
PRUNE_SECONDS = 3600
INDEX_SECONDS = 1.0


async def run(app: App, stop: asyncio.Event) -> None:
    """Work until `stop` is set; what is under way then is finished or comes back with its lease."""

    async def drain() -> None:
        await handlers.drain(app)

    def make() -> Worker:
        return jobs.worker(app.redis_url, app.db, app, TASKS, bells={DRAIN: drain})

    beside = [
        asyncio.create_task(_prune(app)),
        asyncio.create_task(_index(app)),
        asyncio.create_task(reader.run(app, lambda: ring_inbox(app))),
    ]
    try:
        await jobs.run_worker(make, stop)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _index(app: App) -> None:
    """Words of conversations into their index, a second or so after they were written."""
    while True:
        done = 0
        try:
            done = await search.drain(app, limit=1)
        except Exception as error:
            # Whatever it was: what waits in the list is tried again.
            log.warning("index_failed", error=repr(error))
        # A long list is worked off with pauses: whoever chats meanwhile comes first.
        await asyncio.sleep(INDEX_SECONDS / 10 if done else INDEX_SECONDS)


async def _prune(app: App) -> None:
    """Retention of what belongs to no single workspace: the raw inbox and finished jobs."""
    while True:
        try:
            await inbox.prune(app.db, app.settings.webhook_retention_days)
            await jobs.prune(app.db, JOB_RETENTION_DAYS)
        except Exception as error:
            # Whatever it was: what is too old stays until the next time.
            log.warning("prune_failed", error=repr(error))
        await asyncio.sleep(PRUNE_SECONDS)
