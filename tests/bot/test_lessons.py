"""What the team teaches: limits against a rogue agent, what replaces what, and every version can come back."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from plugin.app import App
from plugin.bot import lessons, models
from plugin.bot.alike import Phrasings
from plugin.bot.lessons import BotLesson
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import Chat, Models
from tests.bot.test_answering import reason


async def test_an_agent_proposes_and_only_who_may_decides(app: App, workspace: UUID, omar: Agent, maya: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        lesson = await lessons.propose(tx, omar, "do you engrave", "topic:gift_wrap")
        assert (lesson.state, lesson.counts) == ("proposed", False)
        for verb in (lessons.approve, lessons.decline):
            with pytest.raises(Forbidden):
                await verb(tx, lesson, by=omar)
        with pytest.raises(Forbidden):
            await lessons.roll_back(tx, 0, by=omar)
        await lessons.approve(tx, lesson, by=maya)
        assert lesson.counts


async def test_nobody_teaches_more_than_so_much_a_day(app: App, workspace: UUID, omar: Agent, maya: Agent) -> None:
    async with app.db.transaction(workspace) as tx:
        for number in range(lessons.A_DAY):
            await lessons.propose(tx, omar, f"question {'abcdefghij'[number % 10]}{'klm'[number // 10]}", "outside")
        with pytest.raises(AhlanError) as refused:
            await lessons.propose(tx, omar, "one more", "outside")
        assert refused.value.code == "lessons_full"
        again = await lessons.propose(tx, omar, "question ak", "outside")
        assert again.state == "proposed", "the same lesson is not another one"
        colleagues = await lessons.propose(tx, maya, "one more", "outside")
        assert colleagues.counts, "what one of them taught keeps nobody else from it"


@pytest.mark.parametrize("version", [-1, 2])
async def test_there_is_no_going_back_to_a_version_that_never_was(
    app: App, workspace: UUID, maya: Agent, version: int
) -> None:
    async with app.db.transaction(workspace) as tx:
        lesson = await lessons.propose(tx, maya, "do you sing", "outside")
        with pytest.raises(NotFound):
            await lessons.roll_back(tx, version, by=maya)
        assert lesson.counts


async def test_so_many_wait_for_a_decision_and_no_more_whoever_waits_how_long(
    app: App, workspace: UUID, omar: Agent, maya: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "MOST_WAITING", 3)
    async with app.db.transaction(workspace) as tx:
        for said in ("do you sing", "do you dance", "do you cook"):
            first = await lessons.propose(tx, omar, said, "outside")
        await tx.execute(update(BotLesson).values(created_at=BotLesson.created_at - timedelta(days=9)))
        with pytest.raises(AhlanError) as refused:
            await lessons.propose(tx, omar, "do you paint", "outside")
        assert refused.value.code == "lessons_full"
        await lessons.decline(tx, first, by=maya)
        assert await lessons.propose(tx, omar, "do you paint", "outside")


async def test_the_bot_has_so_many_lessons_and_no_more(
    app: App, workspace: UUID, maya: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "MOST", 2)
    async with app.db.transaction(workspace) as tx:
        first = await lessons.propose(tx, maya, "do you sing", "outside")
        await lessons.propose(tx, maya, "do you dance", "outside")
        with pytest.raises(Conflict):
            await lessons.propose(tx, maya, "do you cook", "outside")
        await lessons.decline(tx, first, by=maya)
        await lessons.propose(tx, maya, "do you paint", "outside")


async def test_what_waits_is_put_right_by_who_may_decide_and_only_while_it_waits(
    app: App, workspace: UUID, omar: Agent, maya: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        lesson = await lessons.propose(tx, omar, "do you sing", "outside")
        with pytest.raises(Forbidden):
            await lessons.revise(tx, lesson, "do you hum", "outside", by=omar)
        with pytest.raises(Forbidden):
            await models.ask_refit(tx, by=omar)
        await lessons.revise(tx, lesson, "do you dance", "outside", by=maya)
        await lessons.approve(tx, lesson, by=maya)
        with pytest.raises(Conflict):
            await lessons.revise(tx, lesson, "do you hum", "outside", by=maya)
    assert lesson.text == "do you dance"


@pytest.mark.parametrize("target", ["", "article:x", "topic:nothing", "article:00000000-0000-0000-0000-000000000000"])
async def test_what_is_no_answer_is_not_learnt(app: App, workspace: UUID, maya: Agent, target: str) -> None:
    async with app.db.transaction(workspace) as tx:
        with pytest.raises(AhlanError):
            await lessons.propose(tx, maya, "do you engrave", target)
        with pytest.raises(AhlanError):
            await lessons.propose(tx, maya, "😀", "outside")


async def test_numbers_and_addresses_are_left_out(app: App, workspace: UUID, maya: Agent) -> None:
    said = "my order #10017 for dina@example.com is not engraved, call +966501234567"
    async with app.db.transaction(workspace) as tx:
        lesson = await lessons.propose(tx, maya, said, "outside")
    assert not any(part in lesson.text for part in ("10017", "dina", "966"))
    said = "the parcel RR123456785IL of https://shop.example/orders/5?key=abc was it engraved"
    async with app.db.transaction(workspace) as tx:
        lesson = await lessons.propose(tx, maya, said, "outside")
    assert lesson.text == "the parcel of was it engraved"


async def test_what_conversations_suggest_is_never_more_than_people_can_look_at(
    chat: Chat, app: App, workspace: UUID, omar: Agent, maya: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "MOST_SUGGESTED", 2)
    await chat.write("hello")
    talk = (await chat.talk()).id
    async with app.db.transaction(workspace) as tx:
        kept = [
            await lessons.suggest(tx, by.id, said, "outside", conversation_id=talk)
            for by, said in ((omar, "do you sing"), (maya, "do you dance"), (omar, "do you cook"))
        ]
        assert [one is not None for one in kept] == [True, True, False]
        assert not any(one.counts for one in kept if one is not None)
        (first, _second) = await lessons.waiting(tx)
        await lessons.decline(tx, first, by=maya)
        assert await lessons.suggest(tx, omar.id, "do you paint", "outside", conversation_id=talk) is not None


async def test_another_answer_to_the_same_question_takes_its_place(
    app: App, workspace: UUID, maya: Agent, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        first = await lessons.propose(tx, maya, "Do you engrave?", "topic:gift_wrap")
        second = await lessons.propose(tx, maya, "do you engrave", "outside")
        assert (first.counts, second.counts) == (False, True)
        near = (await lessons.counting(tx, store.id)).nearest("do you engrave?")
        assert near is not None
        assert near.target == "outside"
        assert await lessons.roll_back(tx, 1, by=maya) == 3
        assert (first.counts, second.counts) == (True, False)


async def test_a_taught_question_counts_before_what_the_models_say(
    chat: Chat, app: App, workspace: UUID, maya: Agent, models: Models, shop: dict[str, UUID]
) -> None:
    models.reads("is there a way to sign my ring", "track_order")
    async with app.db.transaction(workspace) as tx:
        await lessons.propose(tx, maya, "is there a way to sign my ring?", f"article:{shop['engraving']}")
        await lessons.propose(tx, maya, "how is your mother", "outside")
    said = await chat.say("is there a way to sign my ring")
    assert reason(said) == "learnt"
    assert "ten letters" in (said.text if said else "")
    said = await chat.say("how is your mother?")
    assert reason(said) == "learnt"
    assert "A colleague takes over" in (said.text if said else "")


async def test_a_lesson_cannot_keep_anybody_from_a_person(
    chat: Chat, app: App, workspace: UUID, maya: Agent, shop: dict[str, UUID]
) -> None:
    async with app.db.transaction(workspace) as tx:
        await lessons.propose(tx, maya, "I want to talk to a human", f"article:{shop['engraving']}")
    assert reason(await chat.say("I want to talk to a human")) == "person_wanted"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Do you engrave names on rings?", True),
        ("do you engrave name on ring", True),
        ("do you deliver to names on rings", False),
        ("rings", False),
        ("", False),
    ],
)
def test_only_nearly_the_same_question_is_the_same(text: str, near: bool) -> None:
    known = Phrasings([("do you engrave names on rings", "article:1"), ("where is my order", "topic:track_order")])
    assert (known.nearest(text) is not None) is near


async def test_what_counts_is_read_anew_only_after_a_change(
    app: App, workspace: UUID, maya: Agent, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await lessons.propose(tx, maya, "do you engrave", "topic:gift_wrap")
        first = await lessons.counting(tx, store.id)
        assert await lessons.counting(tx, store.id) is first
        await lessons.propose(tx, maya, "do you engrave", "outside")
        now = (await lessons.counting(tx, store.id)).nearest("do you engrave")
    assert now is not None
    assert now.target == "outside"
    async with app.db.transaction(workspace) as tx:
        await lessons.roll_back(tx, 0, by=maya)
        assert (await lessons.counting(tx, store.id)).nearest("do you engrave") is None
