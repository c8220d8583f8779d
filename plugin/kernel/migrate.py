"""Roles, schema, row-level security: everything between an empty PostgreSQL and a database that can be served.

Runs as a role that may create roles (the embedded superuser, or the managed service's administrator). Safe to repeat.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData
from sqlalchemy.engine import make_url

from plugin.kernel.crypto import KeyCheck, derive
from plugin.kernel.db import APP, FINDER, OWNER, QUEUE, planner_statements, role_url, security_statements
from plugin.kernel.errors import SetupError
from plugin.kernel.moving import MOVER, moving_statements

_MIGRATIONS = Path(__file__).parent.parent / "migrations"
_EXTENSIONS = ("pg_trgm",)
_LOCK = 7_226_311_004


@dataclass(frozen=True, slots=True)
class Urls:
    """One URL per role, all of the same database."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    queue: str = field(repr=False)


async def prepare(
    admin_url: str, passwords: dict[str, str], metadata: MetaData, fits: Callable[[Mapping[str, bytes]], object]
) -> Urls:
    """Create roles and extensions, run the migrations, derive the security. Returns the roles' URLs.

    `passwords` maps role to password, kept by the caller; roles that exist get that password again. `fits` is asked
    before that whether the caller's master keys are this database's, and raises SetupError when they are not: else
    whoever comes with a wrong key would lock out the processes that have the right one.
    """
    urls = Urls(*(role_url(admin_url, role, passwords[role]) for role in (OWNER, APP, QUEUE)))
    connection = await _admin(admin_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        fits(await _key_checks(connection))
        database = make_url(admin_url).database
        for role in (OWNER, APP, QUEUE):
            await _role(connection, role, passwords[role])
        for role in (MOVER, FINDER):
            await _weak(connection, role, login=False)
        # The owner hands the queue's tables and the others' functions over, so it must be able to act as each.
        await connection.execute(
            f'GRANT {QUEUE}, {MOVER}, {FINDER} TO {OWNER}; GRANT CREATE ON DATABASE "{database}" TO {OWNER}'
        )
        await connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}, {QUEUE}, {MOVER}, {FINDER}")
        await connection.execute(f"GRANT USAGE ON SCHEMA public TO {APP}")
        for extension in _EXTENSIONS:
            await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        await asyncio.to_thread(upgrade, urls.owner)
        made = (security_statements, planner_statements, moving_statements)
        admin = await connection.fetchval("SELECT quote_ident(current_user)")
        looks = f"GRANT SELECT ON {KeyCheck.__tablename__} TO {admin}"
        await _secure(urls.owner, [*(statement for make in made for statement in make(metadata)), looks])
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"The role of DATABASE_URL must be able to create roles and own its database; PostgreSQL says: {error}."
        ) from error
    finally:
        await connection.close()
    return urls


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Run the alembic migrations as the owner (blocking)."""
    command.upgrade(config(owner_url), revision)


def config(owner_url: str) -> Config:
    """Alembic's configuration without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(_MIGRATIONS))
    made.attributes["url"] = owner_url
    return made


async def _secure(owner_url: str, statements: list[str]) -> None:
    """Run the security statements unless these very ones stand already: they lock every table for a moment."""
    wanted = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    owner = await _connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("CREATE TABLE IF NOT EXISTS security_state (fingerprint text PRIMARY KEY)")
            if await owner.fetchval("SELECT fingerprint FROM security_state") == wanted:
                return
            for statement in statements:
                await owner.execute(statement)
            await owner.execute("DELETE FROM security_state")
            await owner.execute("INSERT INTO security_state VALUES ($1)", wanted)
    finally:
        await owner.close()


def derived_passwords(secret: bytes) -> dict[str, str]:
    """The roles' passwords, derived from the master key: every process of an installation knows them, no file does."""
    return {role: derive(secret, f"database role {role}").hex() for role in (OWNER, APP, QUEUE)}


async def _role(connection: "asyncpg.Connection[asyncpg.Record]", role: str, password: str) -> None:
    await _weak(connection, role, login=True)
    # DDL takes no parameters; quote_literal is PostgreSQL's own quoting.
    quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
    await connection.execute(f"ALTER ROLE {role} PASSWORD {quoted}")


async def _weak(connection: "asyncpg.Connection[asyncpg.Record]", role: str, *, login: bool) -> None:
    """The role exists and has no rights of its own.

    Of a role that is so already nothing is said: a managed service's administrator is no superuser, and only one may
    so much as name these attributes of a role that exists.
    """
    wanted = f"{'LOGIN' if login else 'NOLOGIN'} NOSUPERUSER NOBYPASSRLS NOCREATEROLE"
    fits = await connection.fetchval(
        "SELECT rolcanlogin = $2 AND NOT (rolsuper OR rolbypassrls OR rolcreaterole) FROM pg_roles WHERE rolname = $1",
        role,
        login,
    )
    if not fits:
        await connection.execute(f"{'CREATE' if fits is None else 'ALTER'} ROLE {role} {wanted}")


async def _key_checks(connection: "asyncpg.Connection[asyncpg.Record]") -> Mapping[str, bytes]:
    """What the master keys in use are known by; nothing before the first start."""
    try:
        rows = await connection.fetch(f"SELECT master, sealed FROM {KeyCheck.__tablename__}")  # noqa: S608 - our own name
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return {}
    return {row["master"]: row["sealed"] for row in rows}


async def _admin(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Raises SetupError when the operator's URL leads nowhere, or not in."""
    try:
        return await _connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        where, said = make_url(url).render_as_string(), str(error) or "no answer"
        raise SetupError(f"PostgreSQL does not let us in at DATABASE_URL ({where}): {said}.") from error


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(_plain(url), timeout=10)


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
