"""The migrations and the tables of the code say the same, and migrating again changes nothing."""

from typing import Any

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
