"""The migrations and the tables of the code say the same, and migrating again changes nothing."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, pool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from plugin import bootstrap
from plugin.app import App
from plugin.kernel import migrate
from plugin.kernel.config import Settings
from plugin.kernel.db import OWNER, role_url
from plugin.schema import metadata

OWN = {"security_state", "alembic_version"}


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [found for found in compare_metadata(context, metadata) if getattr(found[1], "name", "") not in OWN]


async def test_the_migrations_make_the_tables_of_the_code(app: App, settings: Settings) -> None:
    password = migrate.derived_passwords(bootstrap.vault(settings).oldest)[OWNER]
    url = make_url(role_url(app.queue_url, OWNER, password)).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


async def test_preparing_again_changes_nothing(app: App, settings: Settings, database_url: str) -> None:
    passwords = migrate.derived_passwords(bootstrap.vault(settings).oldest)
    urls = await migrate.prepare(database_url, passwords, metadata)
    assert urls.queue == app.queue_url


async def test_closed_conversations_are_resolved_ones_afterwards(settings: Settings, database_url: str) -> None:
    """Rows of every workspace change though their owner is forced under row-level security like everybody else."""
    password = migrate.derived_passwords(bootstrap.vault(settings).oldest)[OWNER]
    name = f"migrating_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(database_url)
    await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    owner = role_url(url, OWNER, password)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION pg_trgm")
        await connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        await asyncio.to_thread(migrate.upgrade, owner, "0005")
        for table in ("conversations", "events"):
            await connection.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            await connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        for status in ("open", "closed"):
            await connection.execute(
                "INSERT INTO conversations (workspace_id, id, channel, status, last_message_at) "
                "VALUES (gen_random_uuid(), gen_random_uuid(), 'widget', $1, now() - interval '1 day')",
                status,
            )
        await connection.execute(
            "INSERT INTO events (workspace_id, id, kind, subject_id, actor, data) "
            "VALUES (gen_random_uuid(), gen_random_uuid(), 'conversation.closed', gen_random_uuid(), 'system', '{}')"
        )
        await asyncio.to_thread(migrate.upgrade, owner)
        rows = await connection.fetch(
            "SELECT status, active_at = last_message_at AS placed FROM conversations ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [("open", True), ("resolved", True)]
        assert await connection.fetchval("SELECT kind FROM events") == "conversation.resolved"
        assert await connection.fetchval("SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname = 'events'")
    finally:
        await connection.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()
