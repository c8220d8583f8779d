"""Clocks of real conversations: kept with every change, told by the watch, listed by an index."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from plugin.app import App
from plugin.conversations import clocks, filters, hours, messages, tags, teams, views
from plugin.conversations import conversations as threads
from plugin.conversations.clocks import AnswerTarget, ConversationClock
from plugin.conversations.conversations import Conversation, Priority, Shopper, Status
from plugin.conversations.teams import Team
from plugin.conversations.views import BUILT_IN, Reader, Sort
from plugin.crm.customers import Customer, StoreCustomer
from plugin.kernel import jobs
from plugin.kernel.db import Tx, new_id
from plugin.kernel.errors import AhlanError
from plugin.kernel.events import Event
from plugin.kernel.jobs import JobRow
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent
from tests.conversations.conftest import MakeShopper


async def promise(app: App, workspace: UUID, **minutes: object) -> None:
    async with app.db.transaction(workspace) as tx:
        await clocks.save(tx, AnswerTarget(name="All", **minutes))


async def ask(app: App, workspace: UUID, shopper: Shopper) -> UUID:
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "hello")
        head = await threads.current(tx, shopper)
        assert head is not None
        return head.id


async def read(app: App, workspace: UUID, id: UUID) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Conversation, id)
        assert found is not None
        return found


async def held(tx: Tx, id: UUID) -> Conversation:
    found = await tx.get(Conversation, id)
    assert found is not None
    return found


async def told(app: App, workspace: UUID) -> list[tuple[str, str]]:
    async with app.db.transaction(workspace) as tx:
        events = await tx.scalars(
            select(Event).where(Event.kind.in_(["conversation.due_soon", "conversation.overdue",
                                                "conversation.in_time"])).order_by(Event.id)
        )  # fmt: skip
        return [(event.kind, event.data["target"]) for event in events]


async def back(app: App, workspace: UUID, minutes: float) -> None:
    """As if everything had begun so much earlier."""
    by = timedelta(minutes=minutes)
    async with app.db.transaction(workspace) as tx:
        for table, columns in (
            (
                "conversations",
                ("created_at", "waiting_since", "due_at", "warn_at", "look_at", "snoozed_until", "unattended_at"),
            ),
            ("conversation_clocks", ("running_since", "due_at", "warn_at", "warned_at", "breached_at")),
        ):
            moved = ", ".join(f"{column} = {column} - CAST(:by AS interval)" for column in columns)
            await tx.execute(text(f"UPDATE {table} SET {moved}"), {"by": by})


async def watch(app: App, workspace: UUID) -> None:
    """Ring the watch's bell now, and everything that it asks for."""
    for _round in range(3):
        async with app.db.transaction(workspace) as tx:
            waiting = list(await tx.scalars(select(JobRow.id).where(JobRow.done_at.is_(None))))
            await tx.execute(update(JobRow).where(JobRow.done_at.is_(None)).values(run_at=datetime.now(UTC)))
        for id in waiting:
            await jobs.run(app.db, app, TASKS, workspace, id)
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(select(JobRow.last_error).where(JobRow.last_error.is_not(None)))) == []


async def test_without_a_promise_there_is_no_clock(app: App, workspace: UUID, shopper: Shopper) -> None:
    talk = await read(app, workspace, await ask(app, workspace, shopper))
    assert (talk.due_at, talk.look_at, talk.breached_at) == (None, None, None)
    async with app.db.transaction(workspace) as tx:
        assert list(await tx.scalars(select(ConversationClock))) == []
    await watch(app, workspace)
    assert await told(app, workspace) == []
    async with app.db.transaction(workspace) as tx:
        left = await tx.scalars(select(JobRow.task).where(JobRow.done_at.is_(None)))
        assert "watch_inbox" not in list(left), "one person alone needs no watch"


async def test_a_message_sets_the_clock_and_an_answer_stops_it(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await promise(app, workspace, first=30, next=10, resolution=600)
    id = await ask(app, workspace, shopper)
    talk = await read(app, workspace, id)
    assert talk.waiting_since is not None
    assert talk.due_at == talk.waiting_since + timedelta(minutes=30)
    assert talk.look_at == talk.warn_at == talk.waiting_since + timedelta(minutes=22.5)
    await ask(app, workspace, shopper)
    assert (await read(app, workspace, id)).due_at == talk.due_at, "asking again buys no time"
    async with app.db.transaction(workspace) as tx:
        talk = await held(tx, id)
        await messages.note(tx, talk, noa, uuid4(), "I look into it")
        await messages.reply(tx, talk, noa, uuid4(), "Here")
        assert (talk.due_at, talk.look_at) == (None, None)
    assert await told(app, workspace) == [("conversation.in_time", "first")]
    await ask(app, workspace, shopper)
    again = await read(app, workspace, id)
    assert again.waiting_since is not None
    assert again.due_at == again.waiting_since + timedelta(minutes=10)


async def test_who_is_known_in_a_store_has_their_own_promise(
    app: App, workspace: UUID, shopper: Shopper, store: Store, noa: Agent
) -> None:
    """Orders are those of the whole person, tags those of any store, or of the conversation."""
    async with app.db.transaction(workspace) as tx:
        head = Customer(id=new_id(), orders_count=1)
        tx.add(head)
        await tx.flush()
        part = Customer(id=new_id(), merged_into=head.id)
        tx.add(part)
        await tx.flush()
        known = StoreCustomer(id=new_id(), store_id=store.id, external_id="7", customer_id=part.id,
                              version=datetime.now(UTC), tags=["  VIP", "b2b"])  # fmt: skip
        tx.add(known)
    asks = replace(shopper, customer_id=part.id)
    for minutes, whom in ((5, {"segments": ["returning"]}), (15, {"tags": ["vip"]}), (60, {})):
        async with app.db.transaction(workspace) as tx:
            await clocks.save(tx, AnswerTarget(name=str(minutes), first=minutes, **whom))
    id = await ask(app, workspace, asks)

    async def minutes() -> int:
        talk = await read(app, workspace, id)
        assert talk.due_at is not None
        assert talk.waiting_since is not None
        return round((talk.due_at - talk.waiting_since).total_seconds() / 60)

    assert await minutes() == 15
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Customer).where(Customer.id == head.id).values(orders_count=2))
    await ask(app, workspace, asks)
    assert await minutes() == 5
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Customer).where(Customer.id == head.id).values(orders_count=1))
        await tx.execute(update(StoreCustomer).values(tags=[]))
    await ask(app, workspace, asks)
    assert await minutes() == 60
    async with app.db.transaction(workspace) as tx:
        await tags.put(tx, await held(tx, id), "Vip", by=noa)
    assert await minutes() == 15


async def test_snooze_and_pending_stop_it_and_waking_goes_on(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await promise(app, workspace, first=60)
    id = await ask(app, workspace, shopper)
    await back(app, workspace, 20)
    async with app.db.transaction(workspace) as tx:
        talk = await held(tx, id)
        await threads.turn(tx, talk, Status.SNOOZED, by=noa, until=datetime.now(UTC) + timedelta(hours=5))
        assert talk.due_at is None
    async with app.db.transaction(workspace) as tx:
        await tx.execute(update(Conversation).values(snoozed_until=datetime.now(UTC) - timedelta(seconds=1)))
    await watch(app, workspace)
    woken = await read(app, workspace, id)
    assert woken.status == Status.OPEN
    assert woken.due_at is not None
    assert abs(woken.due_at - datetime.now(UTC) - timedelta(minutes=40)) < timedelta(seconds=30)
    async with app.db.transaction(workspace) as tx:
        talk = await held(tx, id)
        await threads.turn(tx, talk, Status.PENDING, by=noa)
        assert talk.due_at is None
    assert await told(app, workspace) == []


async def test_the_watch_warns_once_and_records_the_breach_once(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await promise(app, workspace, first=60)
    id = await ask(app, workspace, shopper)
    await watch(app, workspace)
    assert await told(app, workspace) == []
    await back(app, workspace, 50)
    await watch(app, workspace)
    await watch(app, workspace)
    assert await told(app, workspace) == [("conversation.due_soon", "first")]
    await back(app, workspace, 20)
    await watch(app, workspace)
    await clocks.look(app, workspace)
    assert await told(app, workspace) == [("conversation.due_soon", "first"), ("conversation.overdue", "first")]
    talk = await read(app, workspace, id)
    assert talk.breached_at == talk.due_at
    assert talk.look_at is None
    async with app.db.transaction(workspace) as tx:
        event = (await tx.scalars(select(Event).where(Event.kind == "conversation.overdue"))).one()
        assert event.at == talk.breached_at
        talk = await held(tx, id)
        await messages.reply(tx, talk, noa, uuid4(), "Late, sorry")
        assert talk.breached_at is not None
        assert talk.due_at is None
    assert (await told(app, workspace))[2:] == []


async def test_the_watch_goes_on_while_a_clock_runs_and_then_rests(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    async def asked_for() -> int:
        async with app.db.transaction(workspace) as tx:
            rows = await tx.scalars(select(JobRow.id).where(JobRow.task == "watch_inbox", JobRow.done_at.is_(None)))
            return len(list(rows))

    await promise(app, workspace, first=60)
    id = await ask(app, workspace, shopper)
    await ask(app, workspace, shopper)
    assert await asked_for() == 1
    await watch(app, workspace)
    assert await asked_for() == 1
    async with app.db.transaction(workspace) as tx:
        talk = await held(tx, id)
        await messages.reply(tx, talk, noa, uuid4(), "Here")
    await watch(app, workspace)
    assert await asked_for() == 0


async def test_priority_store_and_channel_choose_the_promise(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await promise(app, workspace, first=60)
    await promise(app, workspace, first=5, priorities=[3], stores=[str(shopper.store_id)])
    await promise(app, workspace, first=7, channels=["email"])
    async with app.db.transaction(workspace) as tx:
        assert [one.first for one in await clocks.all_targets(tx)] == [5, 7, 60], "the one for all is asked last"
    id = await ask(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        talk = await held(tx, id)
        assert talk.waiting_since is not None
        assert talk.due_at == talk.waiting_since + timedelta(minutes=60)
        await threads.rank(tx, talk, Priority.URGENT, by=noa)
        assert talk.due_at == talk.waiting_since + timedelta(minutes=5)
        await threads.rank(tx, talk, Priority.LOW, by=noa)
        assert talk.due_at == talk.waiting_since + timedelta(minutes=60)


async def test_other_hours_and_promises_reach_who_waits_already(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await promise(app, workspace, first=60)
    id = await ask(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        await teams.save(tx, Team(name="Never", skills=["return"], hours=hours.to_json([[]] * 7, {})))
        talk = await held(tx, id)
        await tags.put(tx, talk, "Return", by=noa)
        await tx.session.refresh(talk)
        assert talk.due_at is None, "its team is never there"
        await tags.take_off(tx, talk, "return", by=noa)
        await tx.session.refresh(talk)
        assert talk.due_at is not None
        (one,) = await clocks.all_targets(tx)
        one.first = 10
        await clocks.save(tx, one)
    await watch(app, workspace)
    talk = await read(app, workspace, id)
    assert talk.waiting_since is not None
    assert talk.due_at == talk.waiting_since + timedelta(minutes=10)
    async with app.db.transaction(workspace) as tx:
        await clocks.remove(tx, one.id)
    await watch(app, workspace)
    assert (await read(app, workspace, id)).due_at is None


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"first": None}, {"first": 0}, {"first": clocks.LONGEST + 1}, {"first": -5}]
)
async def test_a_promise_that_says_nothing_is_refused(app: App, workspace: UUID, wrong: dict[str, object]) -> None:
    with pytest.raises(AhlanError):
        async with app.db.transaction(workspace) as tx:
            await clocks.save(tx, AnswerTarget(**{"name": "All", "first": 5, **wrong}))


async def test_lists_know_what_is_due_and_what_was_broken(
    app: App, workspace: UUID, make_shopper: MakeShopper, noa: Agent
) -> None:
    await promise(app, workspace, first=60)
    soon = await ask(app, workspace, await make_shopper())
    await back(app, workspace, 15)
    late = await ask(app, workspace, await make_shopper())
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(Conversation).where(Conversation.id == late)
            .values(due_at=datetime.now(UTC) - timedelta(minutes=1))
        )  # fmt: skip
    await back(app, workspace, 20)
    fresh = await ask(app, workspace, await make_shopper())
    reader = Reader(noa.id, UTC)

    async def found(asked: str, sort: Sort = Sort.DUE) -> list[UUID]:
        async with app.db.transaction(workspace) as tx:
            page = await views.queue(tx, filters.parse(asked), reader, sort=sort)
            return [row.conversation.id for row in page.rows]

    assert await found("status:open due:<30m") == [late, soon]
    assert await found("due:>30m") == [fresh]
    assert await found("breached:yes") == [late], "also before anybody looked"
    assert set(await found("breached:no", Sort.NEWEST)) == {soon, fresh}
    assert set(await found("-due:<30m", Sort.NEWEST)) == {fresh}
    async with app.db.transaction(workspace) as tx:
        counts = await views.counts(tx, [BUILT_IN["breaching"]], reader)
        assert counts == {"breaching": 2}
        first = await views.queue(tx, filters.parse("status:open"), reader, sort=Sort.DUE, limit=2)
        second = await views.queue(tx, filters.parse("status:open"), reader, sort=Sort.DUE, cursor=first.cursor)
        assert [row.conversation.id for row in [*first.rows, *second.rows]] == [late, soon, fresh]
