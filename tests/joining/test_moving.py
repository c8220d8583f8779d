"""A store with all its data from one workspace into another and back: nothing lost, nothing foreign."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, ForeignKey, Table, Uuid, pool, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from plugin import bootstrap, joining, stores, team
from plugin.app import App
from plugin.conversations import tags
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.crm import identities, visitors
from plugin.crm.customers import Customer
from plugin.joining import agreement
from plugin.kernel import migrate
from plugin.kernel.config import Settings
from plugin.kernel.db import OWNER, new_id, role_url
from plugin.kernel.errors import Forbidden
from plugin.kernel.moving import moving_statements, share
from plugin.schema import metadata
from plugin.stores import Store
from plugin.team import Agent, Role, StaffIdentity
from tests.joining.conftest import Make, Rows, agreed, bytes_of, everything, joined, parted, role_of, run_move

# Both workspaces' own: they do not travel.
OWN = ("workspaces", "data_keys", "store_moves", "audit_log")


def of_store(rows: Rows) -> Rows:
    """What must be the same before and after: all but what the move itself tells and who is who on the team."""
    stays = {table.name for table in metadata.tables.values() if table.info.get("moves") == "stays"}
    kept = {name: found for name, found in rows.items() if name not in (*OWN, *stays, "agents")}
    kept["events"] = [row for row in rows["events"] if row["kind"].partition(".")[0] != "store"]
    return kept


async def test_a_store_brings_everything_along(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    before, there = await everything(app, guest.workspace_id), await everything(app, host.workspace_id)
    await joined(app, guest, host)
    after = await everything(app, host.workspace_id)
    for name, rows in of_store(before).items():
        for row in rows:
            assert row in after[name], (name, row)
    for name, rows in of_store(there).items():
        for row in rows:
            assert row in after[name], (name, row)
        assert len(after[name]) == len(rows) + len(of_store(before).get(name, ())) + (
            len(after[name]) - len(of_store(after)[name])
        ), name
    assert await everything(app, guest.workspace_id) == {}, "nobody can come in there any more, so nothing is kept"
    assert guest.workspace_id not in await app.db.workspaces()


async def test_secrets_open_in_their_new_workspace(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        opened = await stores.credential(tx, app.vault, guest.store.id, "access")
    assert opened is not None
    assert opened[0] == guest.secret


async def test_what_points_at_the_store_from_outside_goes_on(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    assert await app.db.lookup("widget", guest.store.public_key) == [(host.workspace_id, guest.store.id)]
    assert await app.db.lookup("store", f"shopify:{guest.store.external_id}") == [(host.workspace_id, guest.store.id)]
    async with app.db.transaction(host.workspace_id) as tx:
        assert await visitors.by_secret(tx, guest.store.id, guest.visitor) is not None
        waiting = set(await tx.scalars(text("SELECT unique_key FROM jobs WHERE done_at IS NULL")))
        store = await stores.get(tx, guest.store.id)
    assert {f"reconcile:{guest.store.id}", f"check:{guest.store.id}"} <= waiting
    assert store is not None
    assert (store.status, store.moving_since) == (stores.CONNECTED, None)


async def test_people_become_one_by_proven_handles_and_two_again(app: App, merchant: Make) -> None:
    shared = "huda@mail.example"
    guest, host = await merchant("oud", shared=shared), await merchant("kad", shared=shared)
    alone = await everything(app, guest.workspace_id)
    async with app.db.transaction(guest.workspace_id) as tx:
        mine = await identities.customer_of_platform(tx, guest.store.id, "1")
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        theirs = await identities.customer_of_platform(tx, host.store.id, "1")
        assert mine is not None
        assert theirs is not None
        assert set(await identities.family(tx, mine)) == {mine, theirs}
        person = await tx.get(Customer, await identities.head(tx, mine))
        assert person is not None
        assert person.orders_count == 2
    own = await parted(app, host, guest.store.id)
    assert of_store(await everything(app, own)) == of_store(alone)
    async with app.db.transaction(host.workspace_id) as tx:
        assert await identities.family(tx, theirs) == [theirs]
        left = await tx.get(Customer, theirs)
        assert left is not None
        assert left.orders_count == 1
        assert await tx.scalar(text("SELECT count(*) FROM customer_merges")) == 0


async def test_neither_side_keeps_a_byte_of_the_other(app: App, merchant: Make) -> None:
    guest, host = await merchant("oudmark", shared="x@mail.example"), await merchant("kadmark", shared="x@mail.example")
    before = await everything(app, host.workspace_id)
    await joined(app, guest, host)
    own = await parted(app, host, guest.store.id)
    here, there = await everything(app, host.workspace_id), await everything(app, own)
    assert b"kadmark" not in bytes_of(there)
    # That it was here is told; nothing of what was in it.
    told = [row for row in here["events"] if row["kind"].startswith("store.")]
    here["events"] = [row for row in here["events"] if row not in told]
    assert b"oudmark" not in bytes_of({name: rows for name, rows in here.items() if name != "store_moves"})
    for row in told:
        row["data"].pop("store", None)
    assert b"oudmark" not in bytes_of({"events": told})
    assert of_store(await everything(app, host.workspace_id)) == of_store(before)


async def test_staff_come_along_as_agents_and_never_by_an_equal_address(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    async with app.db.transaction(guest.workspace_id) as tx:
        owner = await tx.get(Agent, guest.owner.id)
        assert owner is not None
        owner.email = host.owner.email
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        came, was = await tx.get(Agent, guest.owner.id), await tx.get(Agent, host.owner.id)
    assert came is not None
    assert was is not None
    assert (came.role, came.email, came.deactivated_at) == (Role.AGENT, None, None)
    assert (was.role, was.email) == (Role.OWNER, host.owner.email)


async def test_who_only_wrote_there_leaves_a_name_and_no_way_in(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        talk = await tx.get(Conversation, guest.talk)
        assert talk is not None
        talk.assignee_id = host.owner.id
        tx.add(Message(id=guest.owner.id, conversation_id=talk.id, store_id=guest.store.id, position=90,
                       author="agent", client_id=guest.owner.id, agent_id=host.owner.id, text="hi"))  # fmt: skip
    own = await parted(app, host, guest.store.id)
    async with app.db.transaction(own) as tx:
        ghost = await tx.get(Agent, host.owner.id)
        talk = await tx.get(Conversation, guest.talk)
    assert ghost is not None
    assert talk is not None
    assert (ghost.role, ghost.email, ghost.password_hash) == (Role.LIGHT, None, "")
    assert ghost.deactivated_at is not None
    assert talk.assignee_id is None


async def test_a_workspace_left_without_an_owner_is_owned_by_the_stores_administrator(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    await joined(app, guest, host)
    own = await parted(app, host, guest.store.id)
    assert await role_of(app, own, guest.owner.id) == Role.AGENT
    for administrator, role in ((False, Role.AGENT), (True, Role.OWNER)):
        async with app.db.transaction(own) as tx:
            agent = await team.staff_agent(
                tx, guest.store.id, staff_id="staff-oud", name="", email="", administrator=administrator
            )
            assert agent is not None
        assert await role_of(app, own, guest.owner.id) == role
    # Nobody takes a workspace that has one.
    async with app.db.transaction(host.workspace_id) as tx:
        other = await team.staff_agent(
            tx, host.store.id, staff_id="second", name="Second", email="", administrator=True
        )
        assert other is not None
        again = await team.staff_agent(
            tx, host.store.id, staff_id="second", name="Second", email="", administrator=True
        )
        assert again is not None
        assert again.role == Role.AGENT


async def test_a_clerk_who_opened_a_store_first_does_not_own_it_after_its_move(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    async with app.db.transaction(guest.workspace_id) as tx:
        # Who opened first was not who ran it: the row is older than the owner's.
        clerk = await team.add(tx, name="Clerk", email=None, role=Role.AGENT)
        tx.add(StaffIdentity(id=UUID(int=1), store_id=guest.store.id, external_id="clerk", agent_id=clerk.id))
    await joined(app, guest, host)
    own = await parted(app, host, guest.store.id)
    async with app.db.transaction(own) as tx:
        agent = await tx.get(Agent, clerk.id)
        assert agent is not None
        with pytest.raises(Forbidden):
            await team.staff.confirm_owner(tx, agent)
    assert await role_of(app, own, clerk.id) == Role.AGENT


async def test_a_store_that_is_on_its_way_in_keeps_a_workspace_open(app: App, merchant: Make) -> None:
    last, host, coming = await merchant("oud"), await merchant("kad"), await merchant("rug")
    arrives = await agreed(app, coming, last)
    await joined(app, last, host)
    assert await run_move(app, last.workspace_id, arrives) == joining.DONE
    async with app.db.transaction(last.workspace_id) as tx:
        (store,) = await stores.all_stores(tx)
    assert (store.id, store.moving_since) == (coming.store.id, None)


async def test_an_uninstall_during_a_join_ends_it(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = await agreed(app, guest, host)
    async with app.db.transaction(guest.workspace_id) as tx:
        store = await tx.get(Store, guest.store.id, lock=True)
        assert store is not None
        assert await stores.uninstalled(tx, store, datetime.now(UTC))
    before = await everything(app, guest.workspace_id, but=("store_moves", "events", "stores"))
    assert await run_move(app, host.workspace_id, move_id) == joining.FAILED
    assert await everything(app, guest.workspace_id, but=("store_moves", "events", "stores")) == before
    async with app.db.transaction(guest.workspace_id) as tx:
        row, store = await joining.standing(tx, move_id), await stores.get(tx, guest.store.id)
        assert row is not None
        assert store is not None
        assert (row.state, row.reason, store.moving_since) == (joining.FAILED, "store_gone", None)
    async with app.db.transaction(host.workspace_id) as tx:
        assert [one.id for one in await stores.all_stores(tx)] == [host.store.id]


# The database's own floor


@pytest.mark.parametrize("silent", ["receives", "leaves"])
async def test_the_database_moves_nothing_that_one_side_did_not_agree_to(app: App, merchant: Make, silent: str) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    move_id = new_id()
    sides = {"receives": (host.workspace_id, guest.workspace_id), "leaves": (guest.workspace_id, host.workspace_id)}
    for side, (here, there) in sides.items():
        async with app.db.transaction(here) as tx:
            row = agreement.side_of(move_id, side, host.owner.id, guest.store.id, there, "")
            row.state = joining.AGREED if side == silent else joining.MOVING
            tx.add(row)
    before = await everything(app, guest.workspace_id)
    with pytest.raises(Exception, match="has not agreed"):
        await _move(app, host.workspace_id, move_id, guest.workspace_id, host.workspace_id)
    assert await everything(app, guest.workspace_id) == before


async def _move(app: App, home: UUID, move_id: UUID, leaving: UUID, receiving: UUID) -> None:
    async with app.db.transaction(home) as tx:
        await tx.execute(text("SELECT ahlan_move_store(:m, :l, :r)"), {"m": move_id, "l": leaving, "r": receiving})


async def test_an_agreement_is_good_for_its_two_workspaces_and_its_store_alone(app: App, merchant: Make) -> None:
    guest, host, third = await merchant("oud"), await merchant("kad"), await merchant("third")
    move_id = new_id()
    for side, here, there, store in (
        ("receives", host.workspace_id, guest.workspace_id, guest.store.id),
        ("leaves", guest.workspace_id, host.workspace_id, third.store.id),
    ):
        async with app.db.transaction(here) as tx:
            row = agreement.side_of(move_id, side, host.owner.id, store, there, "")
            row.state = joining.MOVING
            tx.add(row)
    for leaving, receiving in (
        (guest.workspace_id, host.workspace_id),  # they name different stores
        (third.workspace_id, host.workspace_id),
        (guest.workspace_id, third.workspace_id),
        (host.workspace_id, host.workspace_id),
        (host.workspace_id, guest.workspace_id),
    ):
        with pytest.raises(Exception, match="has not agreed"):
            await _move(app, third.workspace_id, move_id, leaving, receiving)


async def test_the_moving_role_cannot_be_had(app: App) -> None:
    async with app.db.app.connect() as connection:
        role = (
            await connection.execute(
                text(
                    "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles "
                    "WHERE rolname = 'ahlan_mover'"
                )
            )
        ).one()
        assert tuple(role) == (False, False, False, False)
        owned = await connection.execute(
            text("SELECT proname FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE rolname = 'ahlan_mover'")
        )
        assert list(owned.scalars()) == ["ahlan_move_store"]
        members = await connection.execute(
            text(
                "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid "
                "JOIN pg_roles m ON m.oid = a.member WHERE r.rolname = 'ahlan_mover'"
            )
        )
        # Whoever migrates hands the function over; the roles that serve are not among them.
        assert not {"ahlan_app", "ahlan_queue"} & set(members.scalars())
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(text("SET ROLE ahlan_mover"))


async def test_the_function_is_made_anew_when_the_tables_change(app: App, settings: Settings, merchant: Make) -> None:
    """As the role that migrates, which does not own it any more."""
    password = migrate.derived_passwords(bootstrap.vault(settings).oldest)[OWNER]
    url = make_url(role_url(app.queue_url, OWNER, password)).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.begin() as connection:
        for statement in moving_statements(metadata):
            await connection.exec_driver_sql(statement)
    await engine.dispose()
    guest, host = await merchant("oud", talk=False), await merchant("kad", talk=False)
    await joined(app, guest, host)


async def test_saying_so_oneself_opens_no_second_workspace(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud", talk=False), await merchant("kad", talk=False)
    async with app.db.transaction(host.workspace_id) as tx:
        both = f"{guest.workspace_id},{host.workspace_id}"
        await tx.execute(text("SELECT set_config('ahlan.moving', :both, true)"), {"both": both})
        seen = await tx.scalar(select(Store.id).where(Store.workspace_id == guest.workspace_id))
        assert seen is None
    async with app.db.queue.connect() as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(text("SELECT ahlan_move_store(NULL, NULL, NULL)"))


def test_every_table_of_a_store_is_known_to_the_move() -> None:
    parts = share(metadata)
    names = {table.name for table in parts.tables}
    with_store = {
        table.name for table in metadata.sorted_tables
        if "store_id" in table.c and table.info.get("access", "tenant") == "tenant"
        # An article that is for one shop only is the workspace's all the same.
        and table.name != "articles"
    } - {"store_moves"}  # fmt: skip
    assert with_store | {"stores", "customers", "customer_terms", "customer_merges", "access_log"} <= names
    stays = {table.name for table in metadata.sorted_tables if "workspace_id" in table.c} - names
    assert {"agents", "sessions", "invitations", "workspaces", "data_keys", "connect_grants"} <= stays
    # Who is on the team is said by joining.py; anything else that a store's rows need would have to be there first.
    assert {link.to.name for link in parts.needs} == {"agents"}


def test_every_sealed_column_that_moves_says_what_it_is_sealed_for() -> None:
    for table in share(metadata).tables:
        for column in table.c:
            if "sealed" in column.name:
                assert "sealed" in column.info, f"{table.name}.{column.name}"


def test_a_table_that_cannot_be_understood_is_said_at_once() -> None:
    other: Any = type(metadata)()
    for table in metadata.sorted_tables:
        table.to_metadata(other)
    Table(
        "odd", other, Column("workspace_id", Uuid, primary_key=True), Column("x", Uuid, ForeignKey("key_checks.master"))
    )
    with pytest.raises(ValueError, match="say how odd moves"):
        share(other)


async def test_a_conversation_takes_its_tags_along(app: App, merchant: Make) -> None:
    guest, host = await merchant("oud"), await merchant("kad")
    async with app.db.transaction(guest.workspace_id) as tx:
        talk = (await tx.scalars(select(Conversation).limit(1))).one()
        assert await tags.put(tx, talk, "هدية", by=None)
    await joined(app, guest, host)
    async with app.db.transaction(host.workspace_id) as tx:
        assert await tags.of_conversations(tx, [talk.id]) == {talk.id: ["هدية"]}
