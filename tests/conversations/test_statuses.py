"""Whose turn it is: pending, snoozed, resolved, spam, and what brings a conversation back."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages
from plugin.conversations.conversations import Conversation, Priority, Shopper, Status
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Conflict
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.reactions import TASKS
from plugin.team import Agent


async def say(app: App, workspace: UUID, shopper: Shopper, text: str = "hello") -> None:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), text)


async def only(app: App, workspace: UUID) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        return (await tx.scalars(select(Conversation))).one()


async def turn(
    app: App, workspace: UUID, to: Status, by: Agent, until: datetime | None = None, seen: Status | None = None
) -> bool:
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        return await threads.turn(tx, conversation, to, by=by, until=until, seen=seen)


async def kinds(app: App, workspace: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(Event.kind).order_by(Event.id)))


@pytest.mark.parametrize("to", [Status.PENDING, Status.SNOOZED, Status.RESOLVED])
async def test_a_new_message_brings_it_back(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, to: Status
) -> None:
    await say(app, workspace, shopper)
    until = datetime.now(UTC) + timedelta(days=1) if to is Status.SNOOZED else None
    assert await turn(app, workspace, to, noa, until)
    turned = await only(app, workspace)
    assert turned.status == to
    assert (turned.waiting_since is None) == (to is not Status.SNOOZED), "a snooze is no answer"
    await say(app, workspace, shopper, "still there?")
    back = await only(app, workspace)
    assert (back.status, back.snoozed_until, back.resolved_at) == (Status.OPEN, None, None)
    assert back.waiting_since is not None
    assert (await kinds(app, workspace))[-1] == "conversation.reopened"


async def test_spam_is_kept_and_wakes_nobody(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await say(app, workspace, shopper)
    assert await turn(app, workspace, Status.SPAM, noa)
    await say(app, workspace, shopper, "cheap watches")
    still = await only(app, workspace)
    assert (still.status, still.waiting_since, still.last_seq) == (Status.SPAM, None, 2)
    assert (await kinds(app, workspace))[-1] == "message.received"
    assert await turn(app, workspace, Status.OPEN, noa), "a person may say that it was none"


async def test_a_snooze_ends_by_itself_at_the_top_of_the_list(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await say(app, workspace, shopper)
    before = await only(app, workspace)
    until = datetime.now(UTC) + timedelta(hours=3)
    assert await turn(app, workspace, Status.SNOOZED, noa, until)
    assert not await turn(app, workspace, Status.SNOOZED, noa, until), "the same again is no news"
    async with app.db.transaction(workspace) as tx:
        job = (await tx.scalars(select(JobRow).where(JobRow.task == "wake_conversation"))).one()
        assert abs((job.run_at - until).total_seconds()) < 5
    await at_once(app, workspace)
    early = await only(app, workspace)
    assert early.status == Status.SNOOZED, "a bell that rings early wakes nobody"

    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Conversation).values(snoozed_until=datetime.now(UTC) - timedelta(seconds=1)))
    await at_once(app, workspace)
    woken = await only(app, workspace)
    assert (woken.status, woken.snoozed_until) == (Status.OPEN, None)
    assert woken.active_at > before.active_at
    assert woken.last_message_at == before.last_message_at
    assert (await kinds(app, workspace))[-1] == "conversation.woken"


async def at_once(app: App, workspace: UUID) -> None:
    """Ring every bell of the workspace now, as a clock that runs ahead would."""
    async with app.db.transaction(workspace) as tx:
        waiting = list(await tx.scalars(select(JobRow.id).where(JobRow.done_at.is_(None))))
        await tx.execute(update(JobRow).where(JobRow.done_at.is_(None)).values(run_at=datetime.now(UTC)))
    for id in waiting:
        await jobs.run(app.db, app, TASKS, workspace, id)


@pytest.mark.parametrize("until", [None, timedelta(seconds=-1), timedelta(days=400)])
async def test_a_snooze_needs_a_time_ahead(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, until: timedelta | None
) -> None:
    await say(app, workspace, shopper)
    with pytest.raises(AhlanError):
        await turn(app, workspace, Status.SNOOZED, noa, datetime.now(UTC) + until if until else None)
    assert (await only(app, workspace)).status == Status.OPEN


async def test_who_decided_on_an_old_page_is_told(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    await say(app, workspace, shopper)
    assert await turn(app, workspace, Status.RESOLVED, noa, seen=Status.OPEN)
    with pytest.raises(Conflict):
        await turn(app, workspace, Status.PENDING, omar, seen=Status.OPEN)
    assert not await turn(app, workspace, Status.RESOLVED, omar, seen=Status.OPEN), "what is wanted is so already"


async def test_a_priority_is_told_once(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await say(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        assert await threads.rank(tx, conversation, Priority.URGENT, by=noa)
        assert not await threads.rank(tx, conversation, Priority.URGENT, by=noa)
        event = (await tx.scalars(select(Event).where(Event.kind == "conversation.ranked"))).one()
    assert event.data == {"from": 1, "to": 3}


async def test_everybody_reads_for_themselves_and_the_shopper_hears_of_the_first(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    await say(app, workspace, shopper)
    await say(app, workspace, shopper)
    id = (await only(app, workspace)).id
    async with app.db.transaction(workspace) as tx:
        assert await threads.read_by(tx, id, noa, 1)
        assert not await threads.read_by(tx, id, noa, 1)
        assert await threads.read_by(tx, id, omar, 99), "never ahead of what is there"
        assert not await threads.read_by(tx, id, omar, 2)
        assert not await threads.read_by(tx, uuid4(), omar, 2)
    assert (await only(app, workspace)).agent_read_seq == 2


async def test_reading_while_one_answers_locks_nobody_out(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await say(app, workspace, shopper)
    id = (await only(app, workspace)).id

    async def answer() -> None:
        async with app.db.transaction(workspace) as tx:
            conversation = await tx.get(Conversation, id)
            assert conversation is not None
            await messages.reply(tx, conversation, noa, uuid4(), "on its way")

    async def read() -> None:
        async with app.db.transaction(workspace) as tx:
            await threads.read_by(tx, id, noa, 99)

    for _ in range(10):
        await asyncio.gather(answer(), read(), read(), answer())
    assert (await only(app, workspace)).last_seq == 21
