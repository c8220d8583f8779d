"""Who read something in the help centre and then wrote: counted, never known.

A reader is told from another by a keyed hash of shop, address and browser that stands in Valkey for a day and nowhere
else; the database gets two numbers a day (`plugin.knowledge.reading.HelpDay`). Readers behind one address with the same
browser are one. Without Valkey nobody is counted.
"""

from __future__ import annotations

from uuid import UUID

from redis.exceptions import RedisError
from starlette.requests import HTTPConnection

from plugin.app import App
from plugin.knowledge import reading
from plugin.widget.limits import address_of

SECONDS = 86_400


def _who(app: App, store_id: UUID, connection: HTTPConnection) -> str:
    browser = connection.headers.get("user-agent", "")[:300]
    return app.vault.fingerprint("help reader", f"{store_id}\n{address_of(connection)}\n{browser}")


async def has_read(app: App, workspace_id: UUID, store_id: UUID, connection: HTTPConnection) -> None:
    """Somebody has an article before them: the first one of their day counts."""
    await _count(app, workspace_id, f"reader:{_who(app, store_id, connection)}", wrote=False)


async def has_written(app: App, workspace_id: UUID, store_id: UUID, connection: HTTPConnection) -> None:
    """Somebody began a conversation: counts once where they read something within a day."""
    who = _who(app, store_id, connection)
    try:
        if not await app.hub.count(f"reader:{who}", SECONDS, 0):
            return
    except (OSError, RedisError, TimeoutError):
        return
    await _count(app, workspace_id, f"reader-wrote:{who}", wrote=True)


async def _count(app: App, workspace_id: UUID, key: str, *, wrote: bool) -> None:
    try:
        first = await app.hub.count(key, SECONDS) == 1
    except (OSError, RedisError, TimeoutError):
        return
    if first:
        async with app.db.transaction(workspace_id) as tx:
            await reading.reader(tx, wrote=wrote)
