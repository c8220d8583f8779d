"""Two agents at once, lists at any depth, and whose conversation it is."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages, presence, views, waiting
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.conversations.views import BUILT_IN, DEFAULT, Reader
from plugin.conversations.waiting import Usual
from plugin.crm.customers import Customer
from plugin.kernel.db import new_id
from plugin.kernel.errors import Conflict
from plugin.kernel.events import Event
from plugin.team import Agent

SOMEBODY = Reader(new_id(), UTC)


async def begin(app: App, workspace: UUID, shopper: Shopper, text: str = "hello") -> UUID:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), text)
        head = await threads.current(tx, shopper)
    assert head is not None
    return head.id


async def fresh(app: App, workspace: UUID, id: UUID) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, id)
    assert found is not None
    return found


async def test_two_agents_take_at_once_and_one_gets_it(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    both_looked = asyncio.Barrier(2)

    async def take(agent: Agent) -> bool:
        async with app.db.transaction(workspace) as tx:
            conversation = await tx.get(Conversation, id)
            assert conversation is not None
            seen = conversation.assignee_id
            await both_looked.wait()
            try:
                await threads.assign(tx, conversation, agent, by=agent, seen=seen)
            except Conflict:
                return False
            return True

    won = await asyncio.gather(take(noa), take(omar))
    assert sorted(won) == [False, True]
    assert (await fresh(app, workspace, id)).assignee_id == (noa.id if won[0] else omar.id)
    async with app.db.transaction(workspace) as tx:
        told = list(await tx.scalars(select(Event).where(Event.kind == "conversation.assigned")))
    assert len(told) == 1


async def test_giving_away_and_back(app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent) -> None:
    id = await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        await threads.assign(tx, conversation, omar, by=noa, seen=None)
        assert conversation.assignee_id == omar.id
        await threads.assign(tx, conversation, omar, by=omar, seen=None)
        assert conversation.assignee_id == omar.id, "who has it already may take it from an old page"
        with pytest.raises(Conflict):
            await threads.assign(tx, conversation, noa, by=noa, seen=None)
        await threads.assign(tx, conversation, None, by=omar, seen=omar.id)
        assert conversation.assignee_id is None


async def test_answering_takes_what_nobody_has_and_leaves_what_somebody_has(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    id = await begin(app, workspace, shopper)
    for agent in (noa, omar):
        async with app.db.transaction(workspace) as tx:
            conversation = await tx.get(Conversation, id)
            assert conversation is not None
            await messages.reply(tx, conversation, agent, uuid4(), "hi")
            assert conversation.assignee_id == noa.id


async def test_resolving_twice_at_once_tells_once(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    id = await begin(app, workspace, shopper)

    async def resolve() -> bool:
        async with app.db.transaction(workspace) as tx:
            conversation = await tx.get(Conversation, id)
            assert conversation is not None
            return await threads.turn(tx, conversation, Status.RESOLVED, by=noa)

    assert sorted(await asyncio.gather(resolve(), resolve(), resolve())) == [False, False, True]
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        assert await threads.turn(tx, conversation, Status.OPEN, by=noa)
        assert not await threads.turn(tx, conversation, Status.OPEN, by=noa)
        kinds = list(await tx.scalars(select(Event.kind).where(Event.subject_id == id).order_by(Event.id)))
    assert kinds == ["conversation.started", "message.received", "conversation.resolved", "conversation.reopened"]


async def test_lists_and_counts(app: App, workspace: UUID, make_shopper, noa: Agent, omar: Agent) -> None:
    ids = [await begin(app, workspace, await make_shopper(), f"{n}") for n in range(5)]
    async with app.db.transaction(workspace) as tx:
        rows = [await tx.get(Conversation, id) for id in ids]
        await threads.assign(tx, rows[0], noa, by=noa, seen=None)
        await threads.assign(tx, rows[1], omar, by=omar, seen=None)
        await threads.turn(tx, rows[2], Status.RESOLVED, by=noa)

    reader = Reader(noa.id, UTC)

    async def listed(key: str) -> list[UUID]:
        async with app.db.transaction(workspace) as tx:
            return [row.conversation.id for row in (await views.queue(tx, BUILT_IN[key].filter, reader)).rows]

    assert await listed("open") == [ids[4], ids[3], ids[1], ids[0]]
    assert await listed("mine") == [ids[0]]
    assert await listed("unassigned") == [ids[4], ids[3]]
    assert await listed("resolved") == [ids[2]]
    async with app.db.transaction(workspace) as tx:
        counted = await views.counts(tx, list(BUILT_IN.values()), reader)
    assert counted == {
        "open": 4, "mine": 1, "unassigned": 2, "waiting": 4, "breaching": 0, "mentions": 0,
            "pending": 0, "snoozed": 0, "resolved": 1, "spam": 0,
    }  # fmt: skip


async def test_pages_cover_everything_once_also_where_times_are_equal(
    app: App, workspace: UUID, make_shopper, noa: Agent
) -> None:
    ids = {await begin(app, workspace, await make_shopper()) for _ in range(7)}
    async with app.db.transaction(workspace) as tx:
        last = await tx.scalar(select(Conversation.active_at).limit(1))
        await tx.execute(update(Conversation).values(active_at=last))
    seen: list[UUID] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        async with app.db.transaction(workspace) as tx:
            page = await views.queue(tx, DEFAULT.filter, SOMEBODY, cursor=cursor, limit=2)
        seen += [row.conversation.id for row in page.rows]
        cursor, pages = page.cursor, pages + 1
    assert pages == 4
    assert len(seen) == 7
    assert set(seen) == ids


@pytest.mark.parametrize("cursor", ["", "x", "1-", "9" * 40 + "-" + "a" * 32, "1-" + "z" * 32])
async def test_a_broken_cursor_begins_at_the_top(app: App, workspace: UUID, shopper: Shopper, cursor: str) -> None:
    await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        assert len((await views.queue(tx, DEFAULT.filter, SOMEBODY, cursor=cursor)).rows) == 1


async def test_a_list_shows_the_person_that_a_customer_row_became_part_of(
    app: App, workspace: UUID, make_shopper
) -> None:
    shopper = await make_shopper()
    id = await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        person, row = Customer(id=new_id(), name="Layla Haddad"), Customer(id=new_id(), name="L. H.")
        tx.add(person, row)
        await tx.flush()
        row.merged_into = person.id
        await tx.flush()
        assert await threads.attach(tx, shopper.visitor_id, row.id) == 1
        assert await threads.attach(tx, shopper.visitor_id, person.id) == 0, "attached once, for good"
        listed = (await views.queue(tx, DEFAULT.filter, SOMEBODY)).rows[0]
        assert (listed.conversation.customer_id, listed.customer_name) == (row.id, "Layla Haddad")
        assert [c.id for c in await views.of_customer(tx, [person.id, row.id])] == [id]
        assert await tx.scalar(select(Event.customer_id).where(Event.kind == "conversation.started")) == row.id


async def answered(
    app: App, workspace: UUID, make_shopper, by: Agent | None, wait: timedelta, *, at: timedelta
) -> UUID:
    """A conversation begun `at` ago on one store; `by` answered after `wait`, or nobody did. Returns the store."""
    shopper = await make_shopper()
    id = await begin(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = await tx.get(Conversation, id)
        assert conversation is not None
        if by is not None:
            await messages.reply(tx, conversation, by, uuid4(), "hi")
        conversation.created_at = datetime.now(UTC) - at
        if by is not None:
            conversation.first_replied_at = conversation.created_at + wait
    return shopper.store_id


async def test_usual_answer_time_is_the_median_of_enough(app: App, workspace: UUID, make_shopper, noa: Agent) -> None:
    store_id = (await make_shopper()).store_id
    for seconds in (60, 120, 6000):
        async with app.db.transaction(workspace) as tx:
            assert await waiting.usual(tx, store_id) == Usual(None, None)
        await answered(app, workspace, make_shopper, noa, timedelta(seconds=seconds), at=timedelta(days=1))
    async with app.db.transaction(workspace) as tx:
        assert await waiting.usual(tx, store_id) == Usual(120, 120)
        await tx.execute(update(threads.TABLE).values(channel=threads.EMAIL))
        assert await waiting.usual(tx, store_id) == Usual(None, None), "mail is answered at another pace"


async def test_at_this_hour_asks_who_wrote_at_this_hour(app: App, workspace: UUID, make_shopper, noa: Agent) -> None:
    for _ in range(3):
        store_id = await answered(app, workspace, make_shopper, noa, timedelta(minutes=5), at=timedelta(hours=12))
    async with app.db.transaction(workspace) as tx:
        assert await waiting.usual(tx, store_id) == Usual(300, None)
    for _ in range(3):
        await answered(app, workspace, make_shopper, noa, timedelta(minutes=5), at=timedelta(hours=1))
    async with app.db.transaction(workspace) as tx:
        assert (await waiting.usual(tx, store_id)).at_this_hour is None, "an hour ago is not another day"
    for _ in range(3):
        await answered(app, workspace, make_shopper, noa, timedelta(hours=8), at=timedelta(days=2, minutes=50))
    async with app.db.transaction(workspace) as tx:
        assert (await waiting.usual(tx, store_id)).at_this_hour == 8 * 3600


async def test_who_waits_in_vain_is_counted(app: App, workspace: UUID, make_shopper, noa: Agent) -> None:
    for minutes in (1, 2, 3):
        store_id = await answered(app, workspace, make_shopper, noa, timedelta(minutes=minutes), at=timedelta(hours=30))
    for _ in range(4):
        await answered(app, workspace, make_shopper, None, timedelta(), at=timedelta(hours=30))
    await answered(app, workspace, make_shopper, None, timedelta(), at=timedelta(seconds=5))
    async with app.db.transaction(workspace) as tx:
        found = (await waiting.usual(tx, store_id)).seconds
    assert found is not None
    assert found >= 30 * 3600, "four of seven are still waiting; who has just written says nothing yet"


@pytest.mark.parametrize(
    ("promise", "seconds", "said"),
    [
        ("minutes", None, "minutes"),
        ("minutes", 600, "minutes"),
        ("minutes", 3601, ""),
        ("day", 90_000, ""),
        ("none", 90_000, "none"),
        ("", 60, ""),
        ("soon", 60, ""),
    ],
)
def test_a_promise_that_does_not_hold_gives_way(promise: str, seconds: int | None, said: str) -> None:
    assert waiting.honest(promise, Usual(seconds)) == said


async def test_presence_runs_out_and_is_nobody_without_valkey(
    app: App, workspace: UUID, noa: Agent, omar: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await presence.agents_here(app.hub, workspace) == 0
    await presence.agent_here(app.hub, workspace, noa.id)
    await presence.agent_here(app.hub, workspace, noa.id)
    assert await presence.agents_here(app.hub, workspace) == 1
    monkeypatch.setattr(presence, "SECONDS", 1)
    await presence.agent_here(app.hub, workspace, omar.id)
    assert await presence.agents_here(app.hub, workspace) == 2
    await asyncio.sleep(1.2)
    assert await presence.agents_here(app.hub, workspace) == 1, "the short one is over, the long one goes on"
    await presence.agent_gone(app.hub, workspace, noa.id)
    assert await presence.agents_here(app.hub, workspace) == 0
    absent = type(app.hub)("redis://127.0.0.1:1")
    assert await presence.agents_here(absent, workspace) == 0
    await absent.close()
