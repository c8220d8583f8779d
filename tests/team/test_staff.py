"""Staff of a store's admin: who opens first, who runs the store, and who is the same person elsewhere."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin import stores, team
from plugin.app import App
from plugin.conversations import conversations, handover
from plugin.conversations.conversations import RESOLVED, Conversation, Status
from plugin.kernel.db import Tx
from plugin.kernel.errors import Conflict, Forbidden, NotFound
from plugin.kernel.events import Event
from plugin.platform import StoreProfile
from plugin.stores import Store
from plugin.team import GIVEN, Agent, Role, StaffLink, audit, staff
from plugin.team.audit import Wanted
from tests.house.sides import build, unreachable, wordpress_token
from tests.team.conftest import Hire


async def opens(app: App, store: Store, who: str, *, administrator: bool = False, email: str = "") -> Agent:
    async with app.db.transaction(store.workspace_id) as tx:
        agent = await team.staff_agent(tx, store.id, staff_id=who, name=who, email=email, administrator=administrator)
        assert agent is not None
        return agent


async def test_the_accounts_owner_is_owner_and_later_staff_are_agents_without_money(app: App, store: Store) -> None:
    dana = await opens(app, store, "dana", administrator=True)
    rami = await opens(app, store, "rami", administrator=True)
    assert (dana.role, rami.role) == (Role.OWNER, Role.AGENT)
    assert not [right for right in GIVEN if rami.may(right)]
    assert (await opens(app, store, "rami")).id == rami.id, "known by store and staff id"


async def test_the_same_id_of_another_store_is_somebody_else(app: App, store: Store, workspace: UUID) -> None:
    rami = await opens(app, store, "7")
    async with app.db.transaction(workspace) as tx:
        profile = StoreProfile("Other", "https://other.example", (), "SAR", 2, "UTC", "ar")
        other = await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.example", profile=profile)
    assert (await opens(app, other, "7")).id != rami.id


async def test_an_equal_address_opens_nobodys_account(app: App, store: Store, owner: Agent) -> None:
    stranger = await opens(app, store, "9", administrator=True, email=owner.email or "")
    assert stranger.id != owner.id
    assert (stranger.role, stranger.email) == (Role.AGENT, None)


async def test_who_opens_first_confirms_where_the_platform_named_nobody(app: App, store: Store) -> None:
    agency, clerk = await opens(app, store, "agency"), await opens(app, store, "clerk")
    async with app.db.transaction(store.workspace_id) as tx:
        assert await staff.may_confirm(tx, agency)
        assert not await staff.may_confirm(tx, clerk)
        with pytest.raises(Forbidden):
            await staff.confirm_owner(tx, await held(tx, clerk))
    async with app.db.transaction(store.workspace_id) as tx:
        await staff.confirm_owner(tx, await held(tx, agency))
    async with app.db.transaction(store.workspace_id) as tx:
        assert (await held(tx, agency)).role == Role.OWNER
        with pytest.raises(Conflict):
            await staff.confirm_owner(tx, await held(tx, agency))
    assert (await opens(app, store, "late owner", administrator=True)).role == Role.AGENT


async def test_the_accounts_owner_who_was_here_unrecognised_becomes_owner_once_named(app: App, store: Store) -> None:
    dana = await opens(app, store, "dana")
    assert dana.role == Role.AGENT
    assert (await opens(app, store, "dana", administrator=True)).role == Role.OWNER


async def test_whoever_may_manage_woocommerce_may_run_the_shop(app: App) -> None:
    """The plugin gives tokens to nobody else: a shop manager opens like an administrator."""
    side = await build(app, f"woo{uuid4().hex[:8]}")
    manager = wordpress_token(side.pairing, side.stores["woocommerce"], administrator=False, lifetime=60)
    session = await unreachable(app).platforms["woocommerce"].admin_session(manager)
    assert session.administrator
    assert session.expires_at is not None
    assert timedelta(0) < session.expires_at - datetime.now(UTC) <= timedelta(minutes=1)


# Linking


async def held(tx: Tx, agent: Agent) -> Agent:
    row = await tx.get(Agent, agent.id, lock=True)
    assert row is not None
    return row


async def invited(app: App, member: Agent, by: Agent) -> StaffLink:
    async with app.db.transaction(by.workspace_id) as tx:
        return await staff.invite_link(tx, await held(tx, member), by=by)


async def become_one(app: App, member: Agent, account: Agent, link_id: UUID) -> int:
    async with app.db.transaction(account.workspace_id) as tx:
        return await handover.become_one(tx, await held(tx, member), await held(tx, account), link_id=link_id)


async def talk(app: App, store: Store, assignee: Agent | None, status: str = "open") -> UUID:
    async with app.db.transaction(store.workspace_id) as tx:
        row = Conversation(store_id=store.id, channel="widget", status=status, assignee_id=assignee and assignee.id)
        tx.add(row)
        await tx.flush()
        return row.id


async def assignee(app: App, store: Store, talk_id: UUID) -> UUID | None:
    async with app.db.transaction(store.workspace_id) as tx:
        row = await tx.get(Conversation, talk_id)
        assert row is not None
        return row.assignee_id


async def test_two_become_one_with_an_invitation(app: App, store: Store, owner: Agent, hire: Hire) -> None:
    member, account = await opens(app, store, "rami"), await hire(Role.ADMIN)
    mine = await talk(app, store, member)
    link = await invited(app, member, owner)
    assert await become_one(app, member, account, link.id) == 1
    assert await assignee(app, store, mine) == account.id
    assert (await opens(app, store, "rami")).id == account.id
    async with app.db.transaction(store.workspace_id) as tx:
        assert (await held(tx, member)).deactivated_at is not None
        (line,) = [one for one in await audit.entries(tx, Wanted()) if one.kind == "account.staff_linked"]
    assert (line.agent_id, line.changes) == (account.id, {"staff": [None, "rami"]})
    with pytest.raises(NotFound):
        await become_one(app, member, account, link.id)


async def test_without_a_good_invitation_nobody_becomes_anybody(
    app: App, store: Store, owner: Agent, hire: Hire
) -> None:
    member, other, account = await opens(app, store, "rami"), await opens(app, store, "huda"), await hire(Role.AGENT)
    with pytest.raises(NotFound):
        await become_one(app, member, account, uuid4())
    link = await invited(app, member, owner)
    with pytest.raises(NotFound):
        await become_one(app, other, account, link.id)
    again = await invited(app, member, owner)
    with pytest.raises(NotFound):
        await become_one(app, member, account, link.id)
    async with app.db.transaction(store.workspace_id) as tx:
        await tx.execute(update(StaffLink).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(NotFound):
        await become_one(app, member, account, again.id)


async def test_an_invitation_is_no_better_than_who_gave_it(app: App, store: Store, owner: Agent, hire: Hire) -> None:
    member, account, karim = await opens(app, store, "rami"), await hire(Role.AGENT), await hire(Role.ADMIN)
    with pytest.raises(Forbidden):
        await invited(app, member, account)
    link = await invited(app, member, karim)
    async with app.db.transaction(store.workspace_id) as tx:
        await team.change_role(tx, await held(tx, karim), Role.AGENT, by=owner)
    with pytest.raises(NotFound):
        await become_one(app, member, account, link.id)


async def test_the_last_owner_is_not_linked_away(app: App, store: Store, hire: Hire) -> None:
    dana, account = await opens(app, store, "dana", administrator=True), await hire(Role.AGENT)
    link = await invited(app, dana, dana)
    with pytest.raises(Conflict):
        await become_one(app, dana, account, link.id)
    second = await hire(Role.OWNER)
    await become_one(app, dana, second, link.id)
    assert (await opens(app, store, "dana")).role == Role.OWNER


async def test_unlinked_they_are_a_stranger_again(app: App, store: Store, owner: Agent, hire: Hire) -> None:
    member, account = await opens(app, store, "rami"), await hire(Role.ADMIN)
    link = await invited(app, member, owner)
    await become_one(app, member, account, link.id)
    async with app.db.transaction(store.workspace_id) as tx:
        assert not await staff.unlink(tx, owner, store.id)
        assert await staff.unlink(tx, await held(tx, account), store.id)
    new = await opens(app, store, "rami")
    assert new.id not in (member.id, account.id)
    assert new.role == Role.AGENT


# Letting go


async def test_who_leaves_hands_over_what_is_open(app: App, store: Store, owner: Agent, hire: Hire) -> None:
    noa, karim = await hire(Role.AGENT), await hire(Role.ADMIN)
    first, second, done = (
        await talk(app, store, noa), await talk(app, store, noa, Status.SNOOZED), await talk(app, store, noa, RESOLVED),
    )  # fmt: skip
    theirs = await talk(app, store, karim)
    async with app.db.transaction(store.workspace_id) as tx:
        assert await handover.let_go(tx, await held(tx, noa), to=await held(tx, karim), by=owner) == 2
    assert {await assignee(app, store, one) for one in (first, second, theirs)} == {karim.id}
    assert await assignee(app, store, done) == noa.id, "who did it stays on record"
    async with app.db.transaction(store.workspace_id) as tx:
        told = list(await tx.scalars(select(Event).where(Event.kind == "conversation.assigned")))
    assert {event.subject_id for event in told} == {first, second}
    assert all(event.data == {"to": str(karim.id), "handed_over_by": str(noa.id)} for event in told)


async def test_without_a_colleague_it_is_everybodys_again(app: App, store: Store, owner: Agent, hire: Hire) -> None:
    noa = await hire(Role.AGENT)
    mine = await talk(app, store, noa)
    async with app.db.transaction(store.workspace_id) as tx:
        assert await handover.let_go(tx, await held(tx, noa), to=None, by=owner) == 1
    assert await assignee(app, store, mine) is None


async def test_letting_go_and_handing_over_happen_together_or_not_at_all(
    app: App, store: Store, owner: Agent, hire: Hire
) -> None:
    noa, light = await hire(Role.AGENT), await hire(Role.LIGHT)
    mine = await talk(app, store, noa)
    for to in (light, noa):
        with pytest.raises(NotFound):
            async with app.db.transaction(store.workspace_id) as tx:
                await handover.let_go(tx, await held(tx, noa), to=await held(tx, to), by=owner)
    with pytest.raises(RuntimeError):
        async with app.db.transaction(store.workspace_id) as tx:
            await handover.let_go(tx, await held(tx, noa), to=None, by=owner)
            raise RuntimeError
    async with app.db.transaction(store.workspace_id) as tx:
        assert (await held(tx, noa)).deactivated_at is None
    assert await assignee(app, store, mine) == noa.id


async def test_what_comes_back_from_somebody_who_left_is_everybodys(
    app: App, store: Store, owner: Agent, hire: Hire
) -> None:
    noa = await hire(Role.AGENT)
    done = await talk(app, store, noa, RESOLVED)
    async with app.db.transaction(store.workspace_id) as tx:
        await handover.let_go(tx, await held(tx, noa), to=None, by=owner)
    async with app.db.transaction(store.workspace_id) as tx:
        row = await tx.get(Conversation, done)
        assert row is not None
        assert await conversations.turn(tx, row, Status.OPEN, by=owner)
    assert await assignee(app, store, done) is None
