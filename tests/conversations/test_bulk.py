"""One change to many conversations, and back again where nobody changed more since."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from plugin.app import App
from plugin.conversations import bulk, messages, tags
from plugin.conversations import conversations as threads
from plugin.conversations.bulk import Change, Verb
from plugin.conversations.conversations import Conversation, Priority, Shopper, Status
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, NotFound
from plugin.team import Agent, Role


@pytest.fixture
async def three(app: App, workspace: UUID, make_shopper: Callable[[], Awaitable[Shopper]]) -> list[UUID]:
    ids = []
    for _ in range(3):
        async with app.db.transaction(workspace) as tx:
            shopper = await make_shopper()
            await messages.receive(tx, shopper, uuid4(), "hello")
            head = await threads.current(tx, shopper)
            assert head is not None
            ids.append(head.id)
    return ids


async def rows(tx: Tx, ids: list[UUID]) -> list[Conversation]:
    found = [await tx.get(Conversation, id) for id in ids]
    return [row for row in found if row is not None]


async def state(app: App, workspace: UUID, ids: list[UUID]) -> list[tuple[object, ...]]:
    async with app.db.transaction(workspace) as tx:
        on = await tags.of_conversations(tx, ids)
        return [
            (row.status, row.snoozed_until, row.assignee_id, row.priority, tuple(on.get(row.id, ())))
            for row in await rows(tx, ids)
        ]


@pytest.mark.parametrize("verb", Verb)
async def test_every_change_can_be_undone(
    app: App, workspace: UUID, three: list[UUID], noa: Agent, omar: Agent, verb: Verb
) -> None:
    until = datetime.now(UTC) + timedelta(days=2)
    async with app.db.transaction(workspace) as tx:
        first, second, _third = await rows(tx, three)
        await threads.turn(tx, first, Status.SNOOZED, by=noa, until=until)
        await threads.assign(tx, second, noa, by=noa, seen=None)
        await threads.rank(tx, second, Priority.LOW, by=noa)
        await tags.put(tx, first, "sale", by=noa)
    before = await state(app, workspace, three)
    value = {Verb.STATUS: "resolved", Verb.ASSIGN: str(omar.id), Verb.PRIORITY: "3", Verb.TAG: "sale",
             Verb.UNTAG: "sale"}[verb]  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        done = await bulk.apply(tx, [*three, uuid4()], Change(verb, value), by=noa)
    expected = {Verb.TAG: 2, Verb.UNTAG: 1}.get(verb, 3)
    assert len(done.before) == expected, "what was so already is no change"
    assert await state(app, workspace, three) != before
    async with app.db.transaction(workspace) as tx:
        assert await bulk.undo(tx, done.id, by=noa) == expected
    assert await state(app, workspace, three) == before
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await bulk.undo(tx, done.id, by=noa)


async def test_undo_leaves_what_a_colleague_changed_since(
    app: App, workspace: UUID, three: list[UUID], noa: Agent, omar: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        done = await bulk.apply(tx, three, Change(Verb.STATUS, "resolved"), by=noa)
    async with app.db.transaction(workspace) as tx:
        first, *_rest = await rows(tx, three)
        await threads.turn(tx, first, Status.SPAM, by=omar)
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await bulk.undo(tx, done.id, by=omar)
        assert await bulk.undo(tx, done.id, by=noa) == 2
    assert [status for status, *_more in await state(app, workspace, three)] == ["spam", "open", "open"]


async def test_a_snooze_that_ended_meanwhile_comes_back_open(
    app: App, workspace: UUID, three: list[UUID], noa: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        first, *_rest = await rows(tx, three)
        await threads.turn(tx, first, Status.SNOOZED, by=noa, until=datetime.now(UTC) + timedelta(days=1))
    async with app.db.transaction(workspace) as tx:
        done = await bulk.apply(tx, three[:1], Change(Verb.STATUS, "resolved"), by=noa)
        done.before = [[str(three[0]), "snoozed", (datetime.now(UTC) - timedelta(hours=1)).isoformat()]]
    async with app.db.transaction(workspace) as tx:
        assert await bulk.undo(tx, done.id, by=noa) == 1
    assert (await state(app, workspace, three))[0][:2] == ("open", None)


async def test_limits_and_strangers(app: App, workspace: UUID, three: list[UUID], noa: Agent, omar: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await bulk.apply(tx, [uuid4()] * (bulk.MOST + 1), Change(Verb.STATUS, "spam"), by=noa)
        with pytest.raises(NotFound):
            await bulk.apply(tx, three, Change(Verb.ASSIGN, str(uuid4())), by=noa)
        omar.role = Role.LIGHT
        tx.session.add(omar)
        await tx.flush()
        with pytest.raises(NotFound):
            await bulk.apply(tx, three, Change(Verb.ASSIGN, str(omar.id)), by=noa)


async def test_another_workspace_is_not_touched(
    app: App, workspace: UUID, other_workspace: UUID, three: list[UUID]
) -> None:
    async with app.db.transaction(other_workspace) as tx:
        stranger = Agent(name="Eve", email="eve@elsewhere.example", role=Role.OWNER)
        tx.add(stranger)
        await tx.flush()
        done = await bulk.apply(tx, three, Change(Verb.STATUS, "spam"), by=stranger)
        assert done.before == []
    assert {status for status, *_more in await state(app, workspace, three)} == {"open"}
