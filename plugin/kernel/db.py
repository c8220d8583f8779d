"""The database: one engine per role, one transaction per request or task, and no rows without a workspace.

Row-level security is the floor (https://www.postgresql.org/docs/18/ddl-rowsecurity.html): each transaction states its
workspace with `set_config(…, true)`, the application role is forced under the policies and cannot bypass them.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson
import uuid_utils.compat as uuid_utils
from sqlalchemy import (
    DateTime,
    Executable,
    ForeignKeyConstraint,
    MetaData,
    Result,
    ScalarResult,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from plugin.kernel.personal import nobody

OWNER = "ahlan_owner"
APP = "ahlan_app"
QUEUE = "ahlan_queue"
FINDER = "ahlan_finder"
WORKSPACE_SETTING = "ahlan.workspace_id"

T = TypeVar("T")


def new_id() -> UUID:
    """A time-ordered id (uuid version 7): new rows land at the end of their index."""
    return uuid_utils.uuid7()


def first_id(moment: datetime) -> UUID:
    """The smallest id that `new_id` could have made at `moment` (RFC 9562, 5.7: it begins with the milliseconds)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


class Base(DeclarativeBase):
    """Root of every table. Constraint names are derived, so migrations are stable."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # SQLAlchemy reads this name and __table_args__ from the class and wants them plain, without ClassVar.
    type_annotation_map = {  # noqa: RUF012 - read once, by SQLAlchemy
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        dict[str, Any]: JSONB(),
        list[str]: JSONB(),
        list[Any]: JSONB(),
    }


class Tenant:
    """Mixin of every tenant table: `workspace_id` leads its key, and with it every index and foreign key."""

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)


class TenantRow(Tenant):
    """A tenant table with an id of its own."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=100)


def tenant_key(column: str, table: str, *, ondelete: str = "CASCADE") -> ForeignKeyConstraint:
    """A foreign key led by the workspace, so that no row can point into another tenant."""
    return ForeignKeyConstraint(["workspace_id", column], [f"{table}.workspace_id", f"{table}.id"], ondelete=ondelete)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event to record: what `Tx.record` takes, for many at once. `quiet`: history, nothing reacts to it."""

    kind: str
    subject_id: UUID
    at: datetime
    store_id: UUID | None = None
    customer_id: UUID | None = None
    actor: str = "system"
    data: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = False


class Tx:
    """One open transaction of one workspace. Room verbs take it; only edges and tasks open it."""

    def __init__(self, session: AsyncSession, workspace_id: UUID, db: "Database") -> None:
        self.session = session
        self.workspace_id = workspace_id
        self.db = db
        self.rings: list[tuple[UUID, float]] = []
        self.crossed: list[Tx] = []
        self._after_commit: list[tuple[str, Any]] = []

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        """Run a statement."""
        return await self.session.execute(statement, parameters)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        """First column of the first row, or None."""
        return await self.session.scalar(statement, parameters)

    async def scalars(self, statement: Executable, parameters: Any = None) -> ScalarResult[Any]:
        """First column of every row."""
        return await self.session.scalars(statement, parameters)

    async def get(self, model: type[T], id: UUID, *, lock: bool = False) -> T | None:
        """The row of this workspace with this id, or None; `lock` holds it until the end of the transaction."""
        return await self.session.get(
            model, (self.workspace_id, id), with_for_update=True if lock else None, populate_existing=lock
        )

    def add(self, *rows: Any) -> None:
        """Add new rows; rows of a tenant table get this transaction's workspace."""
        for row in rows:
            if isinstance(row, Tenant) and row.workspace_id is None:
                row.workspace_id = self.workspace_id
        self.session.add_all(rows)

    async def flush(self) -> None:
        """Send pending rows now, to see their constraints and ids."""
        await self.session.flush()

    async def record(
        self,
        kind: str,
        *,
        subject_id: UUID,
        store_id: UUID | None = None,
        customer_id: UUID | None = None,
        actor: str = "system",
        data: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Write the event that this transaction made true, and the jobs that `plugin/reactions.py` says follow it.

        `actor` is `system`, `agent:<uuid>`, `shopper:<uuid>` or `store:<uuid>`; `at` is when it happened (UTC),
        by default now; `data` is JSON without anything secret.
        """
        await self.db.outbox.record(self, kind, subject_id, store_id, customer_id, actor, dict(data or {}), at)

    async def record_many(self, happenings: Sequence[Happening]) -> None:
        """`record` for a batch: one statement for the events, one for all jobs that follow them."""
        if happenings:
            await self.db.outbox.record_many(self, happenings)

    async def enqueue(
        self, task: str, *, delay: float = 0, unique: str | None = None, every: int | None = None, **arguments: Any
    ) -> None:
        """Write a job row that runs `task(app, workspace_id, **arguments)` after commit, `delay` seconds later.

        A second job with the same `unique` is not written while the first is unfinished; `every` (seconds) makes it
        run again for ever. Arguments become JSON: a UUID arrives as text.
        """
        await self.db.outbox.enqueue(self, task, delay, unique, every, arguments)

    async def complete_job(self) -> None:
        """Stamp the running job as done in this transaction. Raises JobAlreadyDone when another run was faster."""
        await self.db.outbox.complete(self)

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Tell whoever listens to `topic` in this workspace, after commit. A hint: the table is the truth."""
        self._after_commit.append((topic, dict(payload)))


class Outbox:
    """What a transaction may leave behind; `plugin.kernel.jobs` implements it, so that the database knows no queue."""

    async def record(
        self,
        tx: Tx,
        kind: str,
        subject_id: UUID,
        store_id: UUID | None,
        customer_id: UUID | None,
        actor: str,
        data: dict[str, Any],
        at: datetime | None,
    ) -> None:
        raise NotImplementedError

    async def record_many(self, tx: Tx, happenings: Sequence[Happening]) -> None:
        raise NotImplementedError

    async def enqueue(
        self, tx: Tx, task: str, delay: float, unique: str | None, every: int | None, arguments: dict[str, Any]
    ) -> None:
        raise NotImplementedError

    async def complete(self, tx: Tx) -> None:
        raise NotImplementedError

    async def committed(self, tx: Tx, published: Sequence[tuple[str, Any]]) -> None:
        raise NotImplementedError


@dataclass(slots=True)
class Database:
    """Two engines: `app` under row-level security, `queue` for the webhook inbox and the job table only."""

    app: AsyncEngine
    queue: AsyncEngine
    outbox: Outbox = field(default_factory=Outbox)

    @asynccontextmanager
    async def transaction(self, workspace_id: UUID) -> AsyncIterator[Tx]:
        """One transaction of one workspace: commits at the end, rolls back on any exception."""
        async with AsyncSession(self.app, expire_on_commit=False) as session:
            tx = Tx(session, workspace_id, self)
            async with session.begin():
                await session.execute(_ENTER, {"setting": WORKSPACE_SETTING, "workspace": str(workspace_id)})
                yield tx
            # Shielded: what is committed must be told, also when the client has gone away meanwhile.
            for one in (tx, *tx.crossed):
                await asyncio.shield(self.outbox.committed(one, one._after_commit))

    @asynccontextmanager
    async def crossing(self, tx: Tx, workspace_id: UUID) -> AsyncIterator[Tx]:
        """The same transaction in another workspace until the block ends: for what is true in both or in neither.

        One workspace at a time all the same: what is pending is written first. An exception ends the transaction.
        """
        await tx.flush()
        other = Tx(tx.session, workspace_id, self)
        await tx.session.execute(_ENTER, {"setting": WORKSPACE_SETTING, "workspace": str(workspace_id)})
        yield other
        await other.flush()
        await tx.session.execute(_ENTER, {"setting": WORKSPACE_SETTING, "workspace": str(tx.workspace_id)})
        tx.crossed.append(other)

    async def lookup(self, kind: str, key: str) -> list[tuple[UUID, UUID | None]]:
        """(workspace, store) pairs behind an exact external key: the one question that comes before the tenant."""
        async with self.app.connect() as connection:
            rows = await connection.execute(
                text("SELECT workspace_id, store_id FROM ahlan_lookup(:kind, :key)"), {"kind": kind, "key": key}
            )
            return [(row.workspace_id, row.store_id) for row in rows]

    async def workspaces(self) -> list[UUID]:
        """Every workspace, for work that goes through all of them one by one."""
        async with self.app.connect() as connection:
            return list((await connection.execute(text("SELECT ahlan_workspaces()"))).scalars())

    async def analyze(self) -> None:
        """Tell the planner about many new rows, and have every session plan again, foreign-key checks included.

        Autovacuum does the same within a minute or so; until then plans made for an empty table read the whole one.
        """
        async with self.app.begin() as connection:
            await connection.execute(text("SELECT ahlan_analyze()"))

    async def close(self) -> None:
        """Close both pools."""
        await self.app.dispose()
        await self.queue.dispose()


_ENTER = text("SELECT set_config(:setting, :workspace, true)")


class Busy(Exception):
    """Somebody else kept the turn for longer than the caller would wait."""


@asynccontextmanager
async def turn(db: Database, name: str, *, patience: float = 60.0) -> AsyncIterator[None]:
    """Be the only one at `name` in the whole installation, across network requests and outside any transaction.

    A PostgreSQL session lock: it ends with the connection, so a killed process holds up nobody. Those who wait give
    their connection back in between. Raises Busy after `patience` seconds.
    """
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    deadline = time.monotonic() + patience
    wait = 0.05
    while True:
        async with db.app.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            if await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
                try:
                    yield
                    return
                finally:
                    await _unlock(connection, key)
        if time.monotonic() > deadline:
            raise Busy(name)
        await asyncio.sleep(wait)
        wait = min(0.5, wait * 1.5)


async def _unlock(connection: AsyncConnection, key: int) -> None:
    try:
        await asyncio.shield(connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": key}))
    except BaseException:
        # A lock must not go back into the pool with its connection.
        await connection.invalidate()
        raise


def connect(app_url: str, queue_url: str, *, pool_size: int = 10) -> Database:
    """Open the two engines on `postgresql://` URLs (lazily: the first query connects)."""
    return Database(app=_engine(app_url, pool_size), queue=_engine(queue_url, max(2, pool_size // 3)))


# Every query of ours is led by its workspace and has an index for it. Without this, a session that saw a table while
# it was small keeps scanning it whole, foreign-key checks above all (120 µs each instead of 4), until the next ANALYZE.
_PLANNER = {"enable_seqscan": "off"}


def _engine(url: str, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=False,
        pool_recycle=1800,
        # Errors are logged, and their values are what people wrote.
        hide_parameters=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": 5, "server_settings": {"application_name": "ahlan", **_PLANNER}},
    )


def after_connect(engine: AsyncEngine, action: Callable[[Any], None]) -> None:
    """Run `action` on each new raw connection of `engine`."""
    event.listen(engine.sync_engine, "connect", lambda connection, record: action(connection))


def role_url(url: str, role: str, password: str) -> str:
    """The same database under another role."""
    return make_url(url).set(username=role, password=password).render_as_string(hide_password=False)


class Directory(Base):
    """External key to tenant, nothing personal. Read only through `ahlan_lookup`; hash what could name a person."""

    __tablename__ = "directory"
    __table_args__ = {"info": {"access": "directory", **nobody("names of shops, hashes of staff")}}  # noqa: RUF012 - read once, by SQLAlchemy

    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[UUID | None]


def security_statements(metadata: MetaData) -> list[str]:
    """Roles' grants and row-level security, derived from the tables themselves: no new table can be forgotten.

    Run after every migration as the owner; each statement may run again. `table.info["access"]` is `tenant`
    (the default), `queue` (owned by the queue role, which sees all of it), `directory`, or `none`.
    """
    matches = f"workspace_id = nullif(current_setting('{WORKSPACE_SETTING}', true), '')::uuid"
    statements = [_LOOKUP, _WORKSPACES, _ANALYZE]
    for function in ("ahlan_lookup", "ahlan_workspaces", "ahlan_analyze"):
        statements.append(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        statements.append(f"GRANT EXECUTE ON FUNCTION {function} TO {APP}")
    # A claim of the inbox says whose each row is.
    statements.append(f"GRANT EXECUTE ON FUNCTION ahlan_lookup TO {QUEUE}")
    for table in metadata.sorted_tables:
        name, access = table.name, table.info.get("access", "tenant")
        statements.append(f"REVOKE ALL ON {name} FROM PUBLIC, {APP}")
        if access == "none":
            statements.append(f"GRANT {table.info.get('grants', 'SELECT')} ON {name} TO {APP}")
            continue
        if "workspace_id" in table.c:
            # Workspaces differ in size by thousands: plan for the largest, not for the average one.
            statements.append(f"ALTER TABLE {name} ALTER COLUMN workspace_id SET (n_distinct = 2)")
        statements.append(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        statements.append(f"DROP POLICY IF EXISTS tenant ON {name}")
        statements.append(f"CREATE POLICY tenant ON {name} TO {APP} USING ({matches}) WITH CHECK ({matches})")
        if access == "tenant":
            statements.append(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
        grants = table.info.get("grants", "SELECT, INSERT, UPDATE, DELETE")
        statements.append(f"GRANT {grants} ON {name} TO {APP}")
        if access == "queue":
            statements.append(f"ALTER TABLE {name} OWNER TO {QUEUE}")
    # What a table needs besides: functions, triggers.
    statements += [one for table in metadata.sorted_tables for one in table.info.get("statements", ())]
    return statements


def planner_statements(metadata: MetaData) -> list[str]:
    """Make PostgreSQL plan for the largest workspace, also while nothing was analysed yet.

    Without statistics it takes a workspace for half a percent of a table, in one of ours for a single row; all indexes
    that are led by the workspace then look alike, and a plan made so is kept for the life of a connection. With one
    distinct value a workspace is as large as the table, later as its most common value
    (https://www.postgresql.org/docs/18/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-ATTRIBUTE-OPTION). The option
    counts from the first ANALYZE on; until then, from version 18 on, the same is stated as a statistic.
    """
    tables = [table.name for table in metadata.sorted_tables if "workspace_id" in table.c]
    return [statement.format(table=table) for table in tables for statement in _LARGE_WORKSPACE]


_LARGE_WORKSPACE = (
    "ALTER TABLE {table} ALTER COLUMN workspace_id SET (n_distinct = 1)",
    """
    DO $$ BEGIN
        IF current_setting('server_version_num')::integer >= 180000
            AND (SELECT reltuples < 0 FROM pg_class WHERE oid = '{table}'::regclass)
        THEN
            PERFORM pg_restore_attribute_stats('schemaname', current_schema()::text, 'relname', '{table}',
                'attname', 'workspace_id', 'inherited', false,
                'null_frac', 0::real, 'avg_width', 16, 'n_distinct', 1::real);
        END IF;
    END $$
    """,
)


_LOOKUP = """
CREATE OR REPLACE FUNCTION ahlan_lookup(asked_kind text, asked_key text)
RETURNS TABLE (workspace_id uuid, store_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT d.workspace_id, d.store_id FROM directory d WHERE d.kind = asked_kind AND d.key = asked_key $$
"""

_ANALYZE = """
CREATE OR REPLACE FUNCTION ahlan_analyze() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ BEGIN ANALYZE; END $$
"""

_WORKSPACES = """
CREATE OR REPLACE FUNCTION ahlan_workspaces() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT d.workspace_id FROM directory d WHERE d.kind = 'workspace' ORDER BY 1 $$
"""


# Classes of SQLSTATE that speak of the server and not of what it was asked (PostgreSQL, appendix A): connection
# exception, rollback by deadlock or serialisation, out of resources, operator intervention, system error.
_NOT_NOW = frozenset({"08", "40", "53", "57", "58"})


def unavailable(error: BaseException) -> bool:
    """Whether the database was away, starting or overrun: the same may succeed later. Data it refuses never will."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError | PoolTimeout | asyncpg.PostgresConnectionError | asyncpg.InternalClientError)
    if error.connection_invalidated:
        return True
    cause = error.orig.__cause__ if error.orig is not None else None
    if isinstance(cause, asyncpg.PostgresError):
        return (cause.sqlstate or "")[:2] in _NOT_NOW
    # A value that asyncpg cannot encode is its InterfaceError too, and a ValueError.
    return isinstance(cause, asyncpg.InterfaceError | asyncpg.InternalClientError) and not isinstance(cause, ValueError)


def unwritable(error: BaseException) -> bool:
    """Whether the database refused a value that it can never hold: a NUL in a text, a number too large."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else None
    # The class itself and none of its children is what asyncpg refuses to send.
    return isinstance(cause, _UNWRITABLE) or type(cause) is asyncpg.DataError


def too_much(error: BaseException) -> bool:
    """Whether what was sent is more than PostgreSQL can hold in one place: a document of words beyond a megabyte."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else None
    return isinstance(cause, asyncpg.ProgramLimitExceededError)


_UNWRITABLE = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.NumericValueOutOfRangeError,
)


async def ping(engine: AsyncEngine) -> None:
    """Raise unless the database answers."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
