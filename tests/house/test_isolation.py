"""Tenants are kept apart by the database itself: every table, as every role, and as nobody."""

from uuid import UUID

import pytest
from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, ProgrammingError

from plugin import stores, team, workspaces
from plugin.app import App
from plugin.kernel.db import Directory, new_id
from plugin.kernel.jobs import JobRow
from plugin.platform import StoreProfile
from plugin.schema import metadata
from webhooks.inbox import InboxRow

PROFILE = StoreProfile("Shop", "https://shop.example", ("https://shop.example",), "ILS", 2, "Asia/Jerusalem", "he")
TENANT = sorted(
    (table for table in metadata.tables.values() if "workspace_id" in table.c), key=lambda table: table.name
)
READABLE = [table for table in TENANT if table.info.get("access", "tenant") != "directory"]


async def connected_store(app: App, workspace_id: UUID) -> stores.Store:
    async with app.db.transaction(workspace_id) as tx:
        return await stores.connect(
            tx, platform="shopify", external_id=f"{workspace_id.hex[-12:]}.myshopify.com", profile=PROFILE
        )


@pytest.mark.parametrize(
    "table", [table for table in TENANT if table.info.get("access", "tenant") == "tenant"], ids=lambda table: table.name
)
def test_workspace_leads_every_key_and_index(table: Table) -> None:
    assert table.primary_key.columns[0].name == "workspace_id"
    for constraint in table.foreign_key_constraints:
        assert constraint.column_keys[0] == "workspace_id", constraint.name
    for index in table.indexes:
        gin = index.dialect_options["postgresql"]["using"] == "gin"
        assert gin or next(iter(index.columns)).name == "workspace_id", index.name
    for unique in table.constraints:
        if type(unique).__name__ == "UniqueConstraint":
            assert next(iter(unique.columns)).name == "workspace_id", unique.name


async def test_every_tenant_table_is_under_forced_row_level_security(app: App) -> None:
    async with app.db.app.connect() as connection:
        rows = {
            row.relname: (row.relrowsecurity, row.relforcerowsecurity)
            for row in await connection.execute(
                text("SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r'")
            )
        }
    for table in TENANT:
        forced = table.info.get("access", "tenant") == "tenant"
        assert rows[table.name] == (True, forced), table.name


async def test_the_application_role_cannot_bypass_security(app: App) -> None:
    async with app.db.app.connect() as connection:
        role = (
            await connection.execute(
                text("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user")
            )
        ).one()
        memberships = (
            await connection.execute(text("SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"))
        ).scalar_one()
    assert tuple(role) == (False, False, False)
    assert memberships == 0


@pytest.mark.parametrize("table", READABLE, ids=lambda table: table.name)
async def test_another_workspace_sees_and_changes_nothing(
    app: App, workspace: UUID, other_workspace: UUID, table: Table
) -> None:
    await connected_store(app, workspace)
    async with app.db.transaction(other_workspace) as tx:
        seen = await tx.scalar(select(func.count()).select_from(table).where(table.c.workspace_id == workspace))
        assert seen == 0
        hidden = text(f"SELECT count(*) FROM (SELECT * FROM {table.name}) t WHERE workspace_id = :w")
        assert await tx.scalar(hidden, {"w": workspace}) == 0
    change = update(table).where(table.c.workspace_id == workspace).values(workspace_id=table.c.workspace_id)
    if "UPDATE" not in table.info.get("grants", "UPDATE"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with app.db.transaction(workspace) as tx:
                await tx.execute(change)
        return
    async with app.db.transaction(other_workspace) as tx:
        changed = await tx.execute(change)
        assert changed.rowcount == 0


@pytest.mark.parametrize("table", READABLE, ids=lambda table: table.name)
async def test_no_workspace_means_no_rows(app: App, workspace: UUID, table: Table) -> None:
    await connected_store(app, workspace)
    async with app.db.app.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_a_row_cannot_be_written_into_another_workspace(app: App, workspace: UUID, other_workspace: UUID) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with app.db.transaction(other_workspace) as tx:
            await tx.execute(insert(team.Agent).values(workspace_id=workspace, id=new_id(), name="x", role="owner"))
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with app.db.transaction(other_workspace) as tx:
            await tx.execute(insert(JobRow).values(workspace_id=workspace, id=new_id(), task="retention", arguments={}))
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with app.db.transaction(other_workspace) as tx:
            await tx.execute(insert(Directory).values(kind="widget", key="stolen", workspace_id=workspace))


async def test_a_row_cannot_point_into_another_workspace(app: App, workspace: UUID, other_workspace: UUID) -> None:
    store = await connected_store(app, workspace)
    with pytest.raises(DBAPIError, match="foreign key"):
        async with app.db.transaction(other_workspace) as tx:
            await tx.execute(
                insert(stores.Credential).values(
                    workspace_id=other_workspace, store_id=store.id, kind="access", sealed=b"x"
                )
            )


async def test_the_directory_answers_exact_keys_only(app: App, workspace: UUID, other_workspace: UUID) -> None:
    store = await connected_store(app, workspace)
    assert await app.db.lookup("widget", store.public_key) == [(workspace, store.id)]
    assert await app.db.lookup("widget", "%") == []
    async with app.db.transaction(other_workspace) as tx:
        visible = await tx.scalar(select(func.count()).select_from(Directory).where(Directory.key == store.public_key))
        assert visible == 0


@pytest.mark.parametrize(
    "table",
    [table for table in metadata.tables.values() if table.info.get("access") != "queue"],
    ids=lambda table: table.name,
)
async def test_the_queue_role_can_read_nothing_but_its_own(app: App, table: Table) -> None:
    async with app.db.queue.connect() as connection:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(select(func.count()).select_from(table))


async def test_the_queue_role_sees_jobs_and_webhooks_of_everybody(
    app: App, workspace: UUID, other_workspace: UUID
) -> None:
    async with app.db.queue.connect() as connection:
        found = set((await connection.execute(select(JobRow.workspace_id).distinct())).scalars())
        await connection.execute(select(func.count()).select_from(InboxRow))
    assert {workspace, other_workspace} <= found


async def test_every_workspace_is_listed_for_housekeeping(app: App, workspace: UUID) -> None:
    assert workspace in await app.db.workspaces()


async def test_rolled_back_change_takes_its_job_and_event_along(app: App, workspace: UUID) -> None:
    async def half_way() -> None:
        async with app.db.transaction(workspace) as tx:
            await tx.enqueue("retention", unique="never")
            await tx.record("store.connected", subject_id=workspace)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await half_way()
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(JobRow).where(JobRow.unique_key == "never")) == 0
        assert await workspaces.current(tx) is not None
