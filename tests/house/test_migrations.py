"""The migrations and the tables of the code say the same, and migrating again changes nothing."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, pool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from plugin import bootstrap, migrations
from plugin.app import App
from plugin.kernel import crypto, embedded, migrate
from plugin.kernel.config import Settings
from plugin.kernel.db import OWNER, role_url
from plugin.kernel.errors import SetupError
from plugin.schema import metadata

VERSIONS = Path(migrations.__file__).parent / "versions"
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
    vault = bootstrap.vault(settings)
    urls = await migrate.prepare(database_url, migrate.derived_passwords(vault.oldest), metadata, vault.opens)
    assert urls.queue == app.queue_url


async def _roles(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(
            "SELECT rolname, rolpassword, rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_authid "
            "WHERE rolname LIKE 'ahlan_%' ORDER BY rolname"
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("keys", [("another",), ("tests",), ("another", "tests")], ids="-".join)
async def test_a_wrong_key_is_refused_before_it_changes_anything(
    app: App, settings: Settings, database_url: str, redis_url: str, keys: tuple[str, ...]
) -> None:
    before = await _roles(database_url)
    assert len(before) == 5
    wrong = replace(settings, encryption_keys=tuple(crypto.new_master_key(name) for name in keys))
    with pytest.raises(SetupError, match="The encryption key 'tests' is"):
        async with bootstrap.start(wrong, database_url=database_url, redis_url=redis_url):
            pass
    assert await _roles(database_url) == before, "those who have the right key can still connect"


async def test_an_administrator_who_is_no_superuser_starts_it_as_often_as_they_like(tmp_path: Path) -> None:
    """As at a managed service: a role that may create roles and owns its database, and nothing more."""
    servers = await embedded.start(tmp_path / "data")
    try:
        superuser = await asyncpg.connect(servers.database_url)
        await superuser.execute("CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'managed'")
        await superuser.execute("CREATE DATABASE managed OWNER manager")
        await superuser.close()
        url = make_url(servers.database_url_for("managed")).set(username="manager", password="managed")
        managed, key = url.render_as_string(hide_password=False), crypto.new_master_key("first")
        settings = Settings(data_dir=tmp_path, encryption_keys=(key,))
        for _ in range(2):
            async with bootstrap.start(settings, database_url=managed, redis_url=servers.redis_url) as app:
                assert await app.db.workspaces() == []
        before = await _roles(servers.database_url)
        assert not any(role[name] for role in before for name in ("rolsuper", "rolbypassrls", "rolcreaterole"))
        wrong = replace(settings, encryption_keys=(crypto.new_master_key("second"),))
        with pytest.raises(SetupError, match="'first' is missing"):
            async with bootstrap.start(wrong, database_url=managed, redis_url=servers.redis_url):
                pass
        assert await _roles(servers.database_url) == before
        superuser = await asyncpg.connect(servers.database_url)
        await superuser.execute("CREATE ROLE nobody LOGIN; ALTER ROLE ahlan_app BYPASSRLS")
        await superuser.close()
        nobody = url.set(username="nobody").render_as_string(hide_password=False)
        for who, words in ((nobody, "permission denied"), (managed, "permission denied to alter role")):
            with pytest.raises(SetupError, match=f"(?s)must be able to create roles.*{words}"):
                async with bootstrap.start(settings, database_url=who, redis_url=servers.redis_url):
                    pass
        whole = servers.database_url_for("managed")
        async with bootstrap.start(settings, database_url=whole, redis_url=servers.redis_url):
            pass
        assert not any(role["rolbypassrls"] for role in await _roles(whole)), "taken back by whoever may"
    finally:
        await servers.stop()


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


@pytest.mark.parametrize(("words", "code", "said"), [(["nothing"], 0, "nothing is written"), ([], 1, "usage:")])
def test_a_migration_is_written_for_a_difference_only(words: list[str], code: int, said: str) -> None:
    before = sorted(VERSIONS.glob("*.py"))
    done = subprocess.run([sys.executable, "-m", "plugin.migrations.new", *words], capture_output=True, text=True)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert sorted(VERSIONS.glob("*.py")) == before
