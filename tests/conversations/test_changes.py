"""Messages after they were said: edited, deleted, brought back, signed; and whoever was away learns of it all."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from plugin.app import App
from plugin.conversations import changes, messages
from plugin.conversations.conversations import Conversation, Shopper
from plugin.conversations.messages import Message
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.team import Agent, Role


async def said(app: App, workspace: UUID, shopper: Shopper, by: Agent, *texts: str) -> list[UUID]:
    """A conversation with an agent's answers; returns the ids of the answers."""
    ids = []
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "Where is it?")
    for words in texts:
        async with app.db.transaction(workspace) as tx:
            talk = (await tx.scalars(select(Conversation))).one()
            ids.append(UUID((await messages.reply(tx, talk, by, uuid4(), words))["id"]))
    return ids


async def row(app: App, workspace: UUID, id: UUID) -> Message:
    async with app.db.transaction(workspace) as tx:
        found = await tx.get(Message, id)
    assert found is not None
    return found


async def test_an_edit_is_the_authors_own_and_what_stood_there_is_kept_for_the_team(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    (id,) = await said(app, workspace, shopper, noa, "It comes tomorow")
    async with app.db.transaction(workspace) as tx:
        message = await changes.find(tx, (await row(app, workspace, id)).conversation_id, id)
        with pytest.raises(Forbidden):
            await changes.edit(tx, message, omar, "mine now")
        assert await changes.edit(tx, message, noa, "It comes tomorrow")
        assert not await changes.edit(tx, message, noa, " It comes tomorrow ")
        before = await changes.versions(tx, id)
        talk = await tx.get(Conversation, message.conversation_id)
    assert [version.text for version in before] == ["It comes tomorow"]
    shown = messages.as_json(await row(app, workspace, id))
    assert (shown["text"], shown["seq"]) == ("It comes tomorrow", 2)
    assert "edited_at" in shown
    assert talk is not None
    assert talk.preview == "It comes tomorrow"


async def test_a_deleted_message_says_and_carries_nothing_until_it_is_brought_back(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    (id,) = await said(app, workspace, shopper, noa, "The code is 1234")
    async with app.db.transaction(workspace) as tx:
        message = await tx.get(Message, id)
        assert message is not None
        with pytest.raises(Forbidden):
            await changes.take_back(tx, message, omar)
        assert await changes.take_back(tx, message, noa)
        assert not await changes.take_back(tx, message, noa)
        with pytest.raises(NotFound):
            await changes.edit(tx, message, noa, "back from the dead")
    shown = messages.as_json(await row(app, workspace, id))
    assert (shown["text"], shown["attachments"]) == ("", [])
    assert "deleted_at" in shown
    async with app.db.transaction(workspace) as tx:
        talk = (await tx.scalars(select(Conversation))).one()
        assert "1234" not in talk.preview
        events = list(await tx.scalars(text("SELECT data::text FROM events")))
        assert not any("1234" in data for data in events)
        message = await tx.get(Message, id)
        assert message is not None
        with pytest.raises(Forbidden):
            await changes.bring_back(tx, message, omar)
        assert await changes.bring_back(tx, message, noa)
    shown = messages.as_json(await row(app, workspace, id))
    assert shown["text"] == "The code is 1234"
    assert "deleted_at" not in shown


async def test_whoever_manages_the_team_may_delete_a_colleagues_words_but_nobody_a_shoppers(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    (id,) = await said(app, workspace, shopper, noa, "Never mind him")
    async with app.db.transaction(workspace) as tx:
        admin = await tx.get(Agent, omar.id)
        assert admin is not None
        admin.role = Role.ADMIN
        theirs = (await tx.scalars(select(Message).where(Message.author == "shopper"))).one()
        with pytest.raises(Forbidden):
            await changes.take_back(tx, theirs, admin)
        mine = await tx.get(Message, id)
        assert mine is not None
        assert await changes.take_back(tx, mine, admin)


async def test_who_lost_the_right_to_answer_changes_none_of_their_old_answers(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    (id,) = await said(app, workspace, shopper, noa, "I was allowed to say that")
    async with app.db.transaction(workspace) as tx:
        light = await tx.get(Agent, noa.id)
        assert light is not None
        light.role = Role.LIGHT
        message = await tx.get(Message, id)
        assert message is not None
        for change in (changes.edit(tx, message, light, "and this"), changes.take_back(tx, message, light),
                       changes.react(tx, message, "👍", by=light, on=True)):  # fmt: skip
            with pytest.raises(Forbidden):
                await change
    assert (await row(app, workspace, id)).text == "I was allowed to say that"


async def test_nobody_puts_two_signs_on_a_message_and_the_shopper_learns_no_names(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent, omar: Agent
) -> None:
    (id,) = await said(app, workspace, shopper, noa, "Done")
    async with app.db.transaction(workspace) as tx:
        message = await tx.get(Message, id)
        assert message is not None
        assert await changes.react(tx, message, "👍", by=shopper, on=True)
        assert not await changes.react(tx, message, "👍", by=shopper, on=True)
        await changes.react(tx, message, "🙏", by=shopper, on=True)
        await changes.react(tx, message, "🙏", by=omar, on=True)
        with pytest.raises(AhlanError):
            await changes.react(tx, message, "💣", by=omar, on=True)
        shown = messages.as_json(message)
        assert shown["signs"] == [{"sign": "🙏", "own": True, "count": 2}]
        assert str(omar.id) not in str(shown)
        await changes.react(tx, message, "🙏", by=omar, on=False)
        await changes.react(tx, message, "🙏", by=shopper, on=False)
        assert "signs" not in messages.as_json(message)


async def test_a_note_is_changed_among_the_team_and_no_sign_of_it_leaves(
    app: App, workspace: UUID, shopper: Shopper, noa: Agent
) -> None:
    await said(app, workspace, shopper, noa, "Hello")
    async with app.db.transaction(workspace) as tx:
        talk = (await tx.scalars(select(Conversation))).one()
        note = UUID((await messages.note(tx, talk, noa, uuid4(), "A regular"))["id"])
    async with app.hub.listen(workspace, f"conversation:{talk.id}", f"panel:conversation:{talk.id}") as listener:
        while not app.hub.live:
            await asyncio.sleep(0.01)
        app.jobs.publisher = app.hub.publish
        async with app.db.transaction(workspace) as tx:
            message = await tx.get(Message, note)
            assert message is not None
            await changes.edit(tx, message, noa, "A regular since May")
            with pytest.raises(NotFound):
                await changes.react(tx, message, "👍", by=shopper, on=True)
        heard = await asyncio.wait_for(listener.get(), 30)
        while heard[0] == "hub.resync":
            heard = await asyncio.wait_for(listener.get(), 30)
    assert heard == (f"panel:conversation:{talk.id}", {"type": "changed"})
    async with app.db.transaction(workspace) as tx:
        assert await changes.mark(tx, talk.id) == ""
        assert await changes.since(tx, talk.id, "") == ([], "")
        found, _mark = await changes.since(tx, talk.id, "", team=True)
    assert [one.text for one in found] == ["A regular since May"]


async def test_a_clock_that_goes_back_hides_no_change(app: App, workspace: UUID, shopper: Shopper, noa: Agent) -> None:
    first, second = await said(app, workspace, shopper, noa, "one", "two")
    async with app.db.transaction(workspace) as tx:
        message = await tx.get(Message, first)
        assert message is not None
        await changes.edit(tx, message, noa, "one, changed")
        # The clock was ahead by an hour, then it was set right.
        message.changed_at = message.changed_at + timedelta(hours=1) if message.changed_at else None
    async with app.db.transaction(workspace) as tx:
        mark = await changes.mark(tx, message.conversation_id)
        other = await tx.get(Message, second)
        assert other is not None
        await changes.edit(tx, other, noa, "two, changed")
        found, _mark = await changes.since(tx, message.conversation_id, mark)
    assert [one.text for one in found] == ["two, changed"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["edit", "delete", "restore", "sign", "look"]), st.integers(0, 2)), max_size=14
    )
)
async def test_a_browser_that_looks_now_and_then_ends_with_the_truth(
    app: App, workspace: UUID, make_shopper, noa: Agent, steps: list[tuple[str, int]]
) -> None:
    shopper = await make_shopper()
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "Hi")
        talk = (await tx.scalars(select(Conversation).where(Conversation.visitor_id == shopper.visitor_id))).one()
        ids = [UUID((await messages.reply(tx, talk, noa, uuid4(), f"answer {n}"))["id"]) for n in range(3)]
    known: dict[str, dict] = {}
    mark = ""

    async def look() -> None:
        nonlocal mark
        async with app.db.transaction(workspace) as tx:
            found, mark = await changes.since(tx, talk.id, mark)
            known.update({str(one.id): messages.as_json(one) for one in found})

    for number, (step, which) in enumerate(steps):
        if step == "look":
            await look()
            continue
        async with app.db.transaction(workspace) as tx:
            message = await tx.get(Message, ids[which])
            assert message is not None
            gone = message.deleted_at is not None
            if step == "edit" and not gone:
                await changes.edit(tx, message, noa, f"edited {number}")
            elif step == "delete":
                await changes.take_back(tx, message, noa)
            elif step == "restore":
                await changes.bring_back(tx, message, noa)
            elif not gone:
                await changes.react(tx, message, "👍", by=shopper, on=number % 2 == 0)
    await look()
    for id in ids:
        truth = messages.as_json(await row(app, workspace, id))
        assert known.get(str(id), truth) == truth
        if str(id) not in known:
            assert (await row(app, workspace, id)).changed_at is None
