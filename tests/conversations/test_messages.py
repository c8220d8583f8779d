"""Numbers without gaps, resends that fall through, clocks that say who waits."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from plugin.app import App
from plugin.conversations import conversations as threads
from plugin.conversations import messages
from plugin.conversations.conversations import OPEN, RESOLVED, Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.kernel.errors import AhlanError
from plugin.kernel.events import Event
from plugin.team import Agent


async def say(app: App, workspace: UUID, shopper: Shopper, text: str = "مرحبا") -> dict[str, object]:
    async with app.db.transaction(workspace) as tx:
        return await messages.receive(tx, shopper, uuid4(), text)


async def only_conversation(app: App, workspace: UUID) -> Conversation:
    async with app.db.transaction(workspace) as tx:
        return (await tx.scalars(select(Conversation))).one()


async def answer(app: App, workspace: UUID, by: Agent, text: str = "שלום") -> dict[str, object]:
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        return await messages.reply(tx, conversation, by, uuid4(), text)


async def kinds(app: App, workspace: UUID) -> list[str]:
    async with app.db.transaction(workspace) as tx:
        return list(await tx.scalars(select(Event.kind).order_by(Event.id)))


async def test_twenty_at_once_from_nothing_make_one_thread_without_gaps(
    app: App, workspace: UUID, shopper: Shopper
) -> None:
    written = await asyncio.gather(*(say(app, workspace, shopper, f"{n}") for n in range(20)))
    assert sorted(message["seq"] for message in written) == list(range(1, 21))
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        rows = await messages.messages_after(tx, conversation.id, 0)
    assert conversation.last_seq == 20
    assert [row.seq for row in rows] == list(range(1, 21))
    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
    assert (await kinds(app, workspace)).count("conversation.started") == 1


async def test_rolled_back_message_leaves_no_gap(app: App, workspace: UUID, shopper: Shopper) -> None:
    await say(app, workspace, shopper)

    async def fail() -> None:
        async with app.db.transaction(workspace) as tx:
            await messages.receive(tx, shopper, uuid4(), "lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await say(app, workspace, shopper))["seq"] == 2


async def test_resend_at_once_is_one_row_and_the_same_answer(app: App, workspace: UUID, shopper: Shopper) -> None:
    client_id = uuid4()

    async def send() -> dict[str, object]:
        async with app.db.transaction(workspace) as tx:
            return await messages.receive(tx, shopper, client_id, "once")

    answers = await asyncio.gather(*(send() for _ in range(10)))
    assert all(one == answers[0] for one in answers)
    assert (await say(app, workspace, shopper))["seq"] == 2
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(func.count()).select_from(Message)) == 2
    assert (await kinds(app, workspace)).count("message.received") == 2


async def test_agents_and_shoppers_share_one_sequence(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    await say(app, workspace, shopper)
    written = await asyncio.gather(
        *(say(app, workspace, shopper) for _ in range(5)),
        *(answer(app, workspace, noa) for _ in range(5)),
        *(answer(app, workspace, omar) for _ in range(5)),
    )
    assert sorted(message["seq"] for message in written) == list(range(2, 17))


async def test_notes_are_not_numbered_for_the_shopper(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await say(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        before = conversation.last_message_at, conversation.preview
        written = await messages.note(tx, conversation, noa, uuid4(), "she called twice")
        assert (conversation.last_message_at, conversation.preview) == before
    assert written["seq"] is None
    assert (await answer(app, workspace, noa))["seq"] == 2
    async with app.db.transaction(workspace) as tx:
        shown = await messages.messages_after(tx, conversation.id, 0)
        newest = await messages.messages_before(tx, conversation.id, None)
        team = await messages.thread(tx, conversation.id)
        last = await messages.thread(tx, conversation.id, before=4, limit=2)
    assert [row.kind for row in shown] == ["message", "message"] == [row.kind for row in newest]
    assert [(row.position, row.kind) for row in team] == [(1, "message"), (2, "note"), (3, "message")]
    assert [row.position for row in last] == [2, 3]


async def test_clocks(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await say(app, workspace, shopper, "one")
    first = await only_conversation(app, workspace)
    await say(app, workspace, shopper, "two")
    still = await only_conversation(app, workspace)
    assert first.waiting_since is not None
    assert still.waiting_since == first.waiting_since
    assert still.first_replied_at is None
    assert (still.preview, still.preview_author) == ("two", "shopper")

    await answer(app, workspace, noa)
    answered = await only_conversation(app, workspace)
    assert answered.waiting_since is None
    assert answered.agent_read_seq == answered.last_seq == 3
    assert answered.assignee_id == noa.id
    replied = answered.first_replied_at
    assert replied is not None

    await say(app, workspace, shopper, "three")
    await answer(app, workspace, noa)
    assert (await only_conversation(app, workspace)).first_replied_at == replied


async def test_unread_by_shopper_counts_answers_only(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    await say(app, workspace, shopper)
    for _ in range(3):
        await answer(app, workspace, noa)
    conversation = await only_conversation(app, workspace)
    async with app.db.transaction(workspace) as tx:
        assert await messages.unread_by_shopper(tx, conversation.id, conversation.shopper_read_seq) == 3
        assert await threads.mark_read(tx, conversation.id, who="shopper", seq=3)
        assert not await threads.mark_read(tx, conversation.id, who="shopper", seq=2), "reading never goes back"
        assert await threads.mark_read(tx, conversation.id, who="shopper", seq=99)
        assert not await threads.mark_read(tx, conversation.id, who="shopper", seq=99), "nor ahead of what is there"
        await tx.session.refresh(conversation := await tx.get(Conversation, conversation.id))
        assert conversation.shopper_read_seq == 4
        assert await messages.unread_by_shopper(tx, conversation.id, conversation.shopper_read_seq) == 0


async def test_writing_to_a_resolved_conversation_opens_it(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await say(app, workspace, shopper)
    async with app.db.transaction(workspace) as tx:
        conversation = (await tx.scalars(select(Conversation))).one()
        assert await threads.turn(tx, conversation, RESOLVED, by=noa)
        assert not await threads.turn(tx, conversation, RESOLVED, by=noa)
        assert (conversation.status, conversation.waiting_since) == (RESOLVED, None)
    assert (await say(app, workspace, shopper))["seq"] == 2
    opened = await only_conversation(app, workspace)
    assert (opened.status, opened.resolved_at) == (OPEN, None)
    assert await kinds(app, workspace) == [
        "conversation.started", "message.received", "conversation.resolved", "message.received",
        "conversation.reopened",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"), [("", "message_empty"), (" \n\x00", "message_empty"), ("a" * 4001, "message_too_long")]
)
async def test_texts_that_are_refused(app: App, workspace: UUID, shopper: Shopper, text: str, code: str) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError) as refused:
            await messages.receive(tx, shopper, uuid4(), text)
    assert refused.value.code == code


async def test_a_bound_conversation_of_somebody_else_is_ignored(
    app: App, workspace: UUID, shopper: Shopper, make_shopper
) -> None:
    await say(app, workspace, shopper)
    theirs = await only_conversation(app, workspace)
    stranger = replace(await make_shopper(), conversation_id=theirs.id)
    async with app.db.transaction(workspace) as tx:
        assert await threads.shown(tx, stranger) is None
        written = await messages.receive(tx, stranger, uuid4(), "hello")
        assert (await threads.current(tx, stranger)).id != theirs.id
    assert written["seq"] == 1


async def test_another_workspace_sees_nothing(
    app: App, workspace: UUID, other_workspace: UUID, shopper: Shopper
) -> None:
    await say(app, workspace, shopper)
    conversation = await only_conversation(app, workspace)
    async with app.db.transaction(other_workspace) as tx:
        assert await tx.get(Conversation, conversation.id) is None
        assert await messages.messages_after(tx, conversation.id, 0) == []
        assert await threads.lock(tx, conversation.id) is None


async def test_hints_come_after_commit_and_notes_only_to_the_team(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await say(app, workspace, shopper)
    conversation = await only_conversation(app, workspace)
    topics = (f"conversation:{conversation.id}", f"panel:conversation:{conversation.id}", "queue")
    heard: list[tuple[str, str | None]] = []
    async with app.hub.listen(workspace, *topics) as listener:
        while not app.hub.live:
            await asyncio.sleep(0.01)
        await answer(app, workspace, noa, "hi")
        async with app.db.transaction(workspace) as tx:
            await messages.note(tx, await tx.get(Conversation, conversation.id), noa, uuid4(), "secret")
            await asyncio.sleep(0.05)
        while len(heard) < 5:
            topic, payload = await asyncio.wait_for(listener.get(), 30)
            if topic != "hub.resync":
                heard.append((topic.partition(":")[0], payload.get("message", {}).get("text")))
    assert ("conversation", "hi") in heard
    assert ("panel", "secret") in heard
    assert ("conversation", "secret") not in heard
    assert heard[-1] == ("panel", "secret")
