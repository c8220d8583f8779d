"""Flows in chat: begun by topic or button, led step by step, kept in the database, left for a person."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.bot import flow_book, flow_starters, flows
from plugin.bot.allowed import Hours, Terms
from plugin.bot.flow_book import BotFlow, BotFlowRun
from plugin.bot.flows import (
    END,
    About,
    Action,
    Ask,
    Choice,
    Condition,
    Do,
    Flow,
    HandOver,
    Option,
    Question,
    Say,
    Step,
    Trigger,
)
from plugin.bot.turns import BotTurn
from plugin.conversations import fields, messages, tags
from plugin.kernel.errors import AhlanError, Conflict
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import Chat, Models, set_bot, settle
from tests.bot.test_answering import TITLE, offered, reason
from tests.bot.test_tools import order, prove


def en(text: str) -> dict[str, str]:
    return {"en": text}


STEPS: tuple[Step, ...] = (
    Say("hello", en("Let us see.")),
    Question("number", {"en": "Which order?", "ar": "ما رقم الطلب؟"}, Ask.ORDER, "order"),
    Choice("sort", {"en": "What is it, {order}?", "ar": "ما الأمر؟"},
           (Option({"en": "Broken", "ar": "مكسور"}, "tag"), Option({"en": "Late", "ar": "متأخر"}, "bye"))),
    Say("bye", en("It comes soon."), to=END),
    Action("tag", Do.TAG, "broken"),
    Action("rank", Do.PRIORITY, "urgent"),
    Action("note", Do.NOTE, "It is about {order}."),
    HandOver("person", en("One moment.")),
)  # fmt: skip


async def put(app: App, workspace: UUID, by: Agent, trigger: Trigger, *steps: Step) -> BotFlow:
    """A flow that is published and on."""
    async with app.db.transaction(workspace) as tx:
        row = await flow_book.make(tx, "Help with orders", Flow(trigger, steps, ("en",)), by=by)
        await flow_book.publish(tx, row, by=by)
        await flow_book.switch(tx, row, True, by=by)
    return row


@pytest.fixture
async def flow(app: App, workspace: UUID, maya: Agent, models: Models) -> BotFlow:
    """The flow of STEPS, begun by the topic `gift_wrap`, by the word `flow`, or by its button."""
    models.reads("wrap it", "gift_wrap")
    trigger = Trigger(topics=("gift_wrap",), words=("flow",), button=en("Start here"))
    return await put(app, workspace, maya, trigger, *STEPS)


async def run_of(app: App, workspace: UUID) -> BotFlowRun:
    async with app.db.transaction(workspace) as tx:
        return (await tx.scalars(select(BotFlowRun).order_by(BotFlowRun.created_at.desc()))).all()[0]


@pytest.mark.parametrize("said", ["wrap it", "the flow please", "start here"])
async def test_it_is_walked_to_its_end_and_the_team_has_everything(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, said: str
) -> None:
    first = await chat.say(said)
    assert first is not None
    assert first.text == "Let us see.\n\nWhich order?"
    assert offered(first) == ["Talk to a person"]
    second = await chat.say("it is number 1001")
    assert offered(second) == ["Broken", "Late", "Talk to a person"]
    assert second is not None
    assert "1001" in second.text
    assert (await chat.talk()).waiting_since is None
    third = await chat.say("the first one")
    assert third is not None
    assert third.text.startswith("One moment.\n\nA colleague takes over")
    talk = await chat.talk()
    assert (talk.priority, talk.waiting_since is not None) == (3, True)
    notes = [one.text for one in await chat.thread() if one.kind == "note"]
    assert any(one.startswith("It is about") for one in notes)
    assert any("order: " in one and "1001" in one for one in notes)
    async with app.db.transaction(workspace) as tx:
        assert (await tags.of_conversations(tx, [talk.id]))[talk.id] == ["broken"]
        turn = (await tx.scalars(select(BotTurn).order_by(BotTurn.created_at.desc()))).all()[0]
    assert turn.data["flow"] == {
        "id": str(flow.id), "number": 1, "path": ["tag", "rank", "note", "person"], "ending": "handed_over",
    }  # fmt: skip
    assert (await run_of(app, workspace)).ending == "handed_over"


async def test_an_answer_that_is_none_is_asked_for_once_more_and_then_by_a_person(chat: Chat, flow: BotFlow) -> None:
    await chat.say("start here")
    again = await chat.say("no idea at all")
    assert again is not None
    assert again.text == "That does not look like an order number. Which order?"
    assert reason(await chat.say("still no idea")) == "asked_enough"


async def test_a_wish_for_a_person_leaves_with_what_was_collected(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID
) -> None:
    await chat.say("start here")
    await chat.say("1001")
    assert reason(await chat.say("Talk to a person")) == "person_wanted"
    assert (await run_of(app, workspace)).ending == "person_wanted"
    assert any("1001" in one.text for one in await chat.thread() if one.kind == "note")


async def test_another_question_is_answered_and_the_flow_is_left(
    chat: Chat, flow: BotFlow, shop: dict[str, UUID], models: Models, app: App, workspace: UUID
) -> None:
    models.reads(TITLE, "delivery_cost")
    models.reads("how much is delivery?", "delivery_cost")
    await chat.say("start here")
    said = await chat.say("how much is delivery?")
    assert said is not None
    assert "25 SAR" in said.text
    assert (await run_of(app, workspace)).ending == flow_book.LEFT


async def test_two_messages_at_once_take_one_step(chat: Chat, flow: BotFlow, app: App, workspace: UUID) -> None:
    await chat.say("start here")
    await chat.write("1001")
    await chat.write("Late")
    await asyncio.gather(settle(chat.app, workspace), settle(chat.app, workspace))
    run = await run_of(app, workspace)
    assert (run.step, run.stands.at) == (2, "sort")
    said = [one for one in await chat.thread() if one.author == "bot" and one.kind == "message"]
    assert len(said) == 2


async def test_a_step_is_taken_by_whoever_names_it(chat: Chat, flow: BotFlow, app: App, workspace: UUID) -> None:
    await chat.say("start here")
    run = await run_of(app, workspace)
    turn = flows.Turn(flows.Ending.DONE, {})
    async with app.db.transaction(workspace) as tx:
        assert await flow_book.go_on(tx, run, turn)
        assert not await flow_book.go_on(tx, run, turn)


async def test_a_walk_goes_on_in_the_version_that_it_began_in(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, maya: Agent
) -> None:
    await chat.say("start here")
    async with app.db.transaction(workspace) as tx:
        row = await flow_book.find(tx, flow.id)
        await flow_book.save(tx, row, "Other", Flow(row.flow.trigger, (Say("x", en("New.")),), ("en",)), seen=0)
        await flow_book.publish(tx, row, by=maya)
    said = await chat.say("1001")
    assert said is not None
    assert "What is it" in said.text
    await chat.say("Late")
    again = await chat.say("start here")
    assert again is not None
    assert again.text == "New."


async def test_switched_off_it_ends_and_nothing_begins(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, maya: Agent
) -> None:
    await chat.say("start here")
    async with app.db.transaction(workspace) as tx:
        await flow_book.switch(tx, await flow_book.find(tx, flow.id), False, by=maya)
    said = await chat.say("1001")
    assert said is None or "What is it, " not in said.text
    assert (await run_of(app, workspace)).ending == flow_book.LEFT


async def test_it_speaks_the_language_of_the_shopper_and_falls_back_to_its_own(chat: Chat, flow: BotFlow) -> None:
    said = await chat.say("أريد flow من فضلكم")
    assert said is not None
    assert said.text == "Let us see.\n\nما رقم الطلب؟"
    again = await chat.say("رقم ١٠٠١")
    assert offered(again) == ["مكسور", "متأخر", "التحدث إلى موظف"]


async def test_a_proven_order_is_not_asked_for_and_decides_the_way(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    await put(
        app, workspace, maya, Trigger(words=("begin",)),
        Question("number", en("Which order?"), Ask.ORDER, "order"),
        Condition("known", About.ORDER, ("proven",), to="open", otherwise=END),
        Action("open", Do.SCREEN, "order"), Action("field", Do.FIELD, "number={order}"),
    )  # fmt: skip
    async with app.db.transaction(workspace) as tx:
        await fields.make(tx, "Number", fields.Kind.TEXT)
    await prove(app, workspace, chat.shopper, await order(app, workspace, store, "#1001"))
    said = await chat.say("begin")
    assert said is not None
    assert "being prepared" in said.text
    assert said.data["cards"][0]["screen"] == "order"
    async with app.db.transaction(workspace) as tx:
        assert (await fields.values(tx, (await chat.talk()).id)) == {"number": "#1001"}


async def test_an_address_that_was_asked_for_is_where_the_answer_goes(
    chat: Chat, app: App, workspace: UUID, maya: Agent
) -> None:
    await put(app, workspace, maya, Trigger(words=("begin",)), Question("q", en("Where to?"), Ask.EMAIL, "email"))
    await chat.say("begin")
    await chat.say("dana@example.com")
    assert (await chat.talk()).reply_email == "dana@example.com"
    # And it is not asked for again.
    assert await chat.say("begin") is None


async def test_flows_may_be_kept_to_hours_and_segments(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    closed = {"flows": {"on": True, "hours": Hours.CLOSED.value}}
    await set_bot(app, workspace, store, maya, may=closed)
    said = await chat.say("start here")
    assert said is None or "Which order?" not in said.text
    assert Terms(segments=("tag:vip",)).hold(channel="chat", open=True, segments={"tag:vip"})
    await set_bot(app, workspace, store, maya, may={"flows": {"segments": ["returning"]}})
    said = await chat.say("start here")
    assert said is None or "Which order?" not in said.text


@pytest.mark.parametrize(("channel", "begins"), [("email", False), ("chat", True)])
async def test_flows_may_be_kept_to_channels(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, store: Store, maya: Agent, channel: str, begins: bool
) -> None:
    await set_bot(app, workspace, store, maya, may={"flows": {"channels": [channel]}})
    said = await chat.say("start here")
    assert (said is not None and "Which order?" in said.text) is begins


async def test_the_bot_answers_only_the_segments_that_it_is_for(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    await set_bot(app, workspace, store, maya, segments=["returning", "tag:vip"])
    assert await chat.say("start here") is None
    await set_bot(app, workspace, store, maya, segments=["new"])
    assert await chat.say("start here") is not None


@pytest.mark.parametrize(
    ("deed", "asked", "topic"),
    [
        ("orders", "where is my order", "track_order"),
        ("screens", "I want to send it back", "return_item"),
        ("goods", "do you have it in stock", "availability"),
    ],
)
@pytest.mark.parametrize("terms", [{"on": False}, {"channels": ["email"]}, {"hours": "closed"}])
async def test_what_the_bot_may_not_do_goes_to_a_person(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models, deed: str, asked: str, topic: str,
    terms: dict[str, object],
) -> None:  # fmt: skip
    models.reads(asked, topic)
    await set_bot(app, workspace, store, maya, may={deed: terms})
    assert reason(await chat.say(asked)) == "for_a_person"


async def test_a_code_for_everybody_is_told_only_where_discounts_may_be_spoken_of(
    chat: Chat, app: App, workspace: UUID, store: Store, maya: Agent, models: Models
) -> None:
    for asked in ("is there a code?", "any code today?"):
        models.reads(asked, "discounts")
    await set_bot(app, workspace, store, maya, discount={"public_code": "WELCOME"}, may={"discount": {"on": False}})
    said = await chat.say("is there a code?")
    assert said is not None
    assert "WELCOME" not in said.text
    await set_bot(app, workspace, store, maya, discount={"public_code": "WELCOME"}, may={})
    said = await chat.say("any code today?")
    assert said is not None
    assert "WELCOME" in said.text


async def test_buttons_are_those_of_flows_that_are_on_in_this_store_and_page(
    flow: BotFlow, app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    await put(app, workspace, maya, Trigger(button=en("Companies"), pages=("/b2b",)), Say("x", en("Hi")))
    async with app.db.transaction(workspace) as tx:
        assert await flow_book.buttons(tx, store.id, "ar", "https://shop.example/") == ["Start here"]
        assert await flow_book.buttons(tx, store.id, "en", "https://shop.example/B2B") == ["Start here", "Companies"]
        await flow_book.switch(tx, await flow_book.find(tx, flow.id), False, by=maya)
        assert await flow_book.buttons(tx, store.id, "en") == []


# Drafts and versions


async def test_drafts_are_saved_undone_and_kept_from_one_another(app: App, workspace: UUID, maya: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        row = await flow_book.make(tx, "Mine", Flow(), by=maya)
        await flow_book.save(tx, row, "Mine", Flow(steps=(Say("a", en("1")),)), seen=0)
        await flow_book.save(tx, row, "Mine", Flow(steps=(Say("a", en("2")),)), seen=1)
        with pytest.raises(Conflict):
            await flow_book.save(tx, row, "Mine", Flow(), seen=1)
        await flow_book.undo(tx, row, seen=2)
        assert row.flow.steps == (Say("a", en("1")),)
        with pytest.raises(AhlanError):
            await flow_book.publish(tx, row, by=maya)
        with pytest.raises(AhlanError):
            await flow_book.switch(tx, row, True, by=maya)


async def test_every_starter_is_whole_in_three_languages_and_off(app: App, workspace: UUID, maya: Agent) -> None:
    for id, _name, flow in flow_starters.starters(app.catalogues, "ar"):
        assert flow.languages == ("en", "ar", "he")
        assert flows.problems(flow) == [], id
        said = [one.text for one in flow.steps if isinstance(one, Say | Question | Choice)]
        assert all(len(set(texts.values())) == 3 for texts in said), id
    async with app.db.transaction(workspace) as tx:
        assert await flow_starters.plant(tx, app.catalogues, "en") == 5
        assert await flow_starters.plant(tx, app.catalogues, "en") == 0
        rows = await flow_book.all_flows(tx)
        assert all(not row.enabled and row.live is None for row in rows)
        assert await flow_book.live(tx) == []
        for row in rows:
            await flow_book.publish(tx, row, by=maya)


async def test_an_older_version_is_made_the_draft_again(app: App, workspace: UUID, maya: Agent) -> None:
    trigger = Trigger(words=("x",))
    async with app.db.transaction(workspace) as tx:
        row = await flow_book.make(tx, "Mine", Flow(trigger, (Say("a", en("1")),)), by=maya)
        await flow_book.publish(tx, row, by=maya)
        await flow_book.save(tx, row, "Mine", Flow(trigger, (Say("a", en("2")),)), seen=0)
        assert (await flow_book.publish(tx, row, by=maya)).number == 2
        assert (await flow_book.publish(tx, row, by=maya)).number == 2
        await flow_book.bring_back(tx, row, 1, by=maya)
        assert row.live == 2
        assert (await flow_book.publish(tx, row, by=maya)).number == 3
        assert [one.number for one in await flow_book.history(tx, row.id)] == [3, 2, 1]


async def test_nothing_is_done_where_a_rule_has_answered_already(
    chat: Chat, flow: BotFlow, app: App, workspace: UUID
) -> None:
    await chat.write("start here")
    async with app.db.transaction(workspace) as tx:
        talk = await chat.talk()
        last = await messages.last_by_a_person(tx, talk.id)
        await messages.tell(tx, talk.id, messages.automatic_id(talk.id, last), "By a rule.", name="Shop")
    await chat.settle()
    async with app.db.transaction(workspace) as tx:
        assert await tx.scalar(select(BotFlowRun.id)) is None
