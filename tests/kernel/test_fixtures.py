"""The fixtures themselves: what every other test stands on."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from redis.asyncio import Redis
from sqlalchemy import text

from plugin import workspaces
from plugin.app import App


async def test_a_worker_has_a_database_of_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert (await connection.fetchval("SELECT current_database()")).startswith("test_")
    await connection.close()


async def test_a_worker_has_a_valkey_database_of_its_own(valkey: Redis, redis_url: str) -> None:
    assert await valkey.ping()
    assert int(redis_url.rpartition("=")[2]) > 0


async def test_workspaces_are_apart(app: App, workspace: UUID, other_workspace: UUID) -> None:
    assert workspace != other_workspace
    async with app.db.transaction(workspace) as tx:
        mine = await workspaces.current(tx)
        assert mine is not None
        assert mine.workspace_id == workspace
        assert await tx.scalar(text("SELECT count(*) FROM workspaces")) == 1


def test_the_app_is_put_together_by_the_product(app: App) -> None:
    assert set(app.platforms) == {"shopify", "woocommerce"}
