"""Alembic's entry: one connection as the owner role, one transaction per migration run."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from plugin.schema import metadata


async def run() -> None:
    """Run the migrations on the URL that `plugin.kernel.migrate` put into the configuration."""
    url = make_url(context.config.attributes["url"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def migrate(connection: Connection) -> None:
    """Bring the schema to the asked revision."""
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, include_name=ours)
    with context.begin_transaction():
        context.run_migrations()


def ours(name: str | None, kind: str, parents: object) -> bool:
    """`security_state` belongs to `kernel.migrate`, not to the schema."""
    return not (kind == "table" and name == "security_state")


asyncio.run(run())
