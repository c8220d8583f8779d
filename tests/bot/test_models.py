"""A workspace's own model: made at night, checked before it answers, brought back, and not led astray."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, text, update

from plugin.app import App
from plugin.bot import drift, heldout, lessons, models, seeds, solved, teaching, thinking
from plugin.bot.lessons import BotLesson
from plugin.bot.models import BotModel, State
from plugin.conversations import conversations, messages, ratings
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.kernel import jobs
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.jobs import TaskError
from plugin.language.client import Language
from plugin.language.frames import ExampleIn, Fit, Fitted
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import Chat, set_bot
from tests.bot.test_answering import reason
from tests.knowledge.conftest import Write
from tests.language.running import Running
from tests.language.stand_in import WordEmbedder

_TOPICS = ("track_order", "return_item", "gift_wrap", "delivery_cost", "discounts", "human")
LITTLE = tuple(
    ExampleIn(line, topic.id, "en") for topic in seeds.pack() if topic.id in _TOPICS for line in topic.phrasings["en"]
)
ASKED = [f"could you {verb} my {what}" for verb in ("sign", "personalise", "letter") for what in ("ring", "bracelet")]


@pytest.fixture
async def language(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A language process whose shared book has six topics."""
    for module in (models, teaching, thinking, solved):
        monkeypatch.setattr(module, "version", lambda: "six topics")
    for module in (models, teaching):
        monkeypatch.setattr(module, "examples", lambda: LITTLE)
    folder = Path(tempfile.mkdtemp(prefix="ahlan-o-"))
    running = Running(folder / "l.sock", WordEmbedder())
    await running.start()
    yield running
    await running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def here(app: App, language: Running) -> AsyncIterator[App]:
    client = Language(language.path)
    there = replace(app, language=client)
    await teaching.teach(there)
    yield there
    await client.close()


@pytest.fixture
async def engraving(here: App, workspace: UUID, store: Store, maya: Agent, article: Write) -> UUID:
    """An article that no usual topic leads to, in a shop whose bot is on."""
    await set_bot(here, workspace, store, maya)
    return await article(en=("Engraving", "We engrave up to ten letters. It takes two days."))


async def teach(app: App, workspace: UUID, by: Agent, lines: list[str], target: str) -> None:
    async with app.db.transaction(workspace) as tx:
        for line in lines:
            await lessons.propose(tx, by, line, target)


async def do(app: App, workspace: UUID, task: str) -> None:
    """One task, now."""
    async with app.db.transaction(workspace) as tx:
        await tx.enqueue(task)
    await run(app, workspace, task)


async def refit(app: App, workspace: UUID) -> BotModel | None:
    """Make a model; the newest one."""
    await do(app, workspace, "refit_bot")
    async with app.db.transaction(workspace) as tx:
        return next(iter(await models.listed(tx)), None)


async def read(app: App, workspace: UUID, said: str) -> tuple[str, bool]:
    """The topic that comes first for a message, and whether it would be answered."""
    async with app.db.transaction(workspace) as tx:
        own = await models.known(tx)
    (heard,) = await thinking.hear(app, workspace, said, today=date(2026, 11, 22), region="", fallback="en", own=own)
    assert heard.read is not None
    return heard.read.topics[0][0], heard.read.gate >= heard.read.answer_from


async def test_what_was_approved_and_written_about_is_known_the_next_morning(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, shopper: Shopper
) -> None:
    target = f"article:{engraving}"
    asked = "could someone letter my ring and bracelet"
    assert (await read(here, workspace, asked))[0] != target
    await teach(here, workspace, maya, ASKED, target)
    model = await refit(here, workspace)
    assert model is not None
    assert (model.number, model.state, model.figures["titles"]) == (1, State.LIVE, 1)
    assert await read(here, workspace, asked) == (target, True)
    assert (await read(here, workspace, "where is my order"))[0] == "track_order"
    chat = Chat(here, workspace, shopper)
    said = await chat.say(asked)
    assert reason(said) == "sure"
    assert "ten letters" in (said.text if said else "")
    assert await refit(here, workspace) is not None
    async with here.db.transaction(workspace) as tx:
        assert len(await models.listed(tx)) == 1, "nothing new, nothing made"
        taught = list(await tx.scalars(select(BotLesson).where(BotLesson.workspace_id == workspace)))
    assert all(one.vectors for one in taught), "what took long is kept"


async def test_what_is_kept_aside_for_the_check_is_never_taught(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, language: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[Fit] = []
    real = Language.fit

    async def fit(self: Language, asked: Fit) -> Fitted:
        fits.append(asked)
        return await real(self, asked)

    monkeypatch.setattr(Language, "fit", fit)
    lines = [f"could you {verb} a {what}" for verb in ("sign", "letter", "mark") for what in ("cup", "ring", "box")]
    aside = {line for line in lines if heldout.is_held_out(line)}
    assert 0 < len(aside) < len(lines)
    await teach(here, workspace, maya, lines, f"article:{engraving}")
    model = await refit(here, workspace)
    assert model is not None
    assert (model.figures["held"], model.figures["lessons"]) == (len(aside), len(lines) - len(aside))
    own = next(one for one in model.compared if one["name"] == "own")
    assert own["count"] == len(aside)
    await language.stop()
    await language.start()
    assert await models.bring(here, workspace)
    checked, answers_by, brought_again = fits[0], fits[2], fits[-1]
    assert {one.text for one in checked.held} == {one.text for one in fits[1].held} == aside, "both models are asked"
    assert answers_by.keep
    assert brought_again.keep
    for one in fits:
        assert aside.isdisjoint(each.text for each in one.examples)
    for one in (checked, answers_by, brought_again):
        assert {each.text for each in one.examples} == {*lines, "Engraving"} - aside


async def test_vectors_that_an_earlier_model_made_are_made_anew(
    here: App, workspace: UUID, maya: Agent, engraving: UUID
) -> None:
    target = f"article:{engraving}"
    await teach(here, workspace, maya, ASKED[:4], target)
    assert await refit(here, workspace) is not None
    async with here.db.transaction(workspace) as tx:
        first, *others = await tx.scalars(select(BotLesson).where(BotLesson.workspace_id == workspace))
        assert first.vectors
        made = first.vectors
        first.vectors = made[: len(made) // 2]
    await teach(here, workspace, maya, ASKED[4:], target)
    await refit(here, workspace)
    async with here.db.transaction(workspace) as tx:
        again = await tx.scalars(select(BotLesson).where(BotLesson.workspace_id == workspace))
        kept = {one.id: one.vectors or b"" for one in again}
    assert len(kept) == len(ASKED)
    assert {len(own) for own in kept.values()} == {len(made)}
    assert kept[first.id] == made
    assert all(kept[one.id] == one.vectors for one in others)


async def test_a_question_that_leads_where_a_usual_topic_leads_is_one_of_that_topic(
    here: App, workspace: UUID, store: Store, maya: Agent, engraving: UUID
) -> None:
    await set_bot(here, workspace, store, maya, answers={"gift_wrap": str(engraving)})
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    async with here.db.transaction(workspace) as tx:
        found = await models.gather(tx)
    assert {targets for _id, targets in found.lessons} == {("gift_wrap",)}
    assert found.titles == []


async def test_poison_that_somebody_approved_stays_off_and_the_screen_can_say_why(
    here: App, workspace: UUID, maya: Agent, omar: Agent, engraving: UUID
) -> None:
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    assert (await refit(here, workspace)) is not None
    before = await read(here, workspace, "where is my order")
    poison = [f"{one.text} now" for one in LITTLE if one.topic in ("track_order", "return_item")]
    with pytest.raises(AhlanError) as full:
        await teach(here, workspace, omar, [f"{line} {word}" for line in poison for word in ("x", "y", "z")], "outside")
    assert full.value.code == "lessons_full"
    await teach(here, workspace, omar, poison[: lessons.A_DAY], f"article:{engraving}")
    async with here.db.transaction(workspace) as tx:
        waiting = await lessons.waiting(tx)
        assert len(waiting) == min(lessons.A_DAY, len(poison))
        assert not any(one.counts for one in waiting), "a rogue alone changes nothing"
    same = await refit(here, workspace)
    assert same is not None
    assert same.number == 1
    async with here.db.transaction(workspace) as tx:
        for one in await lessons.waiting(tx):
            await lessons.approve(tx, one, by=maya)
    model = await refit(here, workspace)
    assert model is not None
    assert (model.number, model.state, model.live_at) == (2, State.REFUSED, None)
    lost = {one["name"] for one in model.compared if one["lost"]}
    assert lost & {"topic", "done"}
    assert await read(here, workspace, "where is my order") == before, "the one before goes on answering"
    async with here.db.transaction(workspace) as tx:
        with pytest.raises(NotFound):
            await models.bring_back(tx, 2, by=maya)
    again = await refit(here, workspace)
    assert again is not None
    assert again.number == 2, "what was refused is not tried every night"
    async with here.db.transaction(workspace) as tx:
        await lessons.roll_back(tx, len(ASKED), by=maya)
    healed = await refit(here, workspace)
    assert healed is not None
    assert healed.number == 2, "without the poison it is the model that answers already"


@pytest.mark.parametrize("way", ["taken out", "rolled back"])
async def test_what_is_taken_out_is_not_answered_until_the_night(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, way: str
) -> None:
    asked = "could someone letter my ring and bracelet"
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    await refit(here, workspace)
    assert await read(here, workspace, asked) == (f"article:{engraving}", True)
    async with here.db.transaction(workspace) as tx:
        if way == "rolled back":
            await lessons.roll_back(tx, 0, by=maya)
        else:
            for lesson in await lessons.listed(tx):
                await lessons.decline(tx, lesson, by=maya)
    await run(here, workspace, "refit_bot")
    assert not (await read(here, workspace, asked))[1]


async def test_an_older_model_is_brought_back_and_the_newer_one_is_not_made_again(
    here: App, workspace: UUID, maya: Agent, omar: Agent, engraving: UUID
) -> None:
    asked = "could someone letter my ring and bracelet"
    await refit(here, workspace)
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    assert (await refit(here, workspace)) is not None
    assert await read(here, workspace, asked) == (f"article:{engraving}", True)
    async with here.db.transaction(workspace) as tx:
        with pytest.raises(Forbidden):
            await models.bring_back(tx, 1, by=omar)
        await models.bring_back(tx, 1, by=maya)
        await models.bring_back(tx, 1, by=maya)
    await do(here, workspace, "bring_model")
    assert not (await read(here, workspace, asked))[1]
    await refit(here, workspace)
    async with here.db.transaction(workspace) as tx:
        assert [(one.number, one.state) for one in await models.listed(tx)] == [(2, State.BACK), (1, State.LIVE)]
        await models.bring_back(tx, 0, by=maya)
        assert await models.known(tx) is None
        await models.bring_back(tx, 2, by=maya)
        assert [(one.number, one.state) for one in await models.listed(tx)] == [(2, State.LIVE), (1, State.BACK)]


async def test_a_process_that_was_started_anew_answers_by_the_usual_topics_until_the_model_is_there(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, language: Running, shopper: Shopper
) -> None:
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    await refit(here, workspace)
    await language.stop()
    with pytest.raises(TaskError) as away:
        await teach(here, workspace, maya, ["may I have a name on my cup"], f"article:{engraving}")
        await models.refit_bot(here, workspace)
    assert away.value.retry
    await language.start()
    await teaching.teach(here)
    async with here.db.transaction(workspace) as tx:
        own = await models.known(tx)
    (heard,) = await thinking.hear(
        here, workspace, "where is my order", today=date(2026, 11, 22), region="", fallback="en", own=own
    )
    assert heard.behind
    assert heard.read is not None
    assert heard.read.topics[0][0] == "track_order"
    await Chat(here, workspace, shopper).say("where is my order")
    asked = language.embedder.asked
    assert await read(here, workspace, "could someone letter my ring and bracelet") == (f"article:{engraving}", True)
    assert language.embedder.asked <= asked + 3, "its examples were not read again"


async def test_who_was_erased_teaches_nothing_any_more(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, language: Running
) -> None:
    await teach(here, workspace, maya, ASKED, f"article:{engraving}")
    await refit(here, workspace)
    async with here.db.transaction(workspace) as tx:
        await tx.execute(delete(BotLesson).where(BotLesson.workspace_id == workspace))
        live = await tx.scalar(select(BotModel).where(BotModel.workspace_id == workspace))
        assert live is not None
        left = await models._taught(tx, models.Contents.of(live.contents), live.vectors)
        assert [one.text for one in left.examples] == ["Engraving"]
    model = await refit(here, workspace)
    assert model is not None
    assert (model.number, model.figures["lessons"]) == (2, 0)


async def test_a_wish_for_a_person_is_never_taught_away(
    here: App, workspace: UUID, maya: Agent, engraving: UUID
) -> None:
    await teach(here, workspace, maya, ["I want to talk to a human"], f"article:{engraving}")
    async with here.db.transaction(workspace) as tx:
        assert (await models.gather(tx)).lessons == []


def test_night_is_the_workspaces_own() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for zone, hour in (("UTC", 3), ("Asia/Riyadh", 0), ("America/New_York", 8)):
        then = now + timedelta(seconds=models.until_night(UUID(int=7), zone, now))
        assert (then.hour, then.minute) == (hour, 7)
        assert then - now <= timedelta(days=1)


async def test_the_night_is_planned_once_and_does_its_work(
    here: App, workspace: UUID, store: Store, maya: Agent, engraving: UUID
) -> None:
    for _ in range(2):
        await do(here, workspace, "keep_model")
    async with here.db.transaction(workspace) as tx:
        count = text("SELECT count(*) FROM jobs WHERE workspace_id = :w AND task = 'bot_by_night' AND run_at > now()")
        assert await tx.scalar(count, {"w": workspace}) == 1
        await tx.execute(update(jobs.JobRow).where(jobs.JobRow.task == "bot_by_night").values(run_at=datetime.now(UTC)))
    await run(here, workspace, "bot_by_night", "refit_bot", "watch_store")
    async with here.db.transaction(workspace) as tx:
        assert [one.state for one in await models.listed(tx)] == [State.LIVE]
        assert await models.is_refitting(tx) is False
        assert len(await drift.weeks(tx, store.id)) == drift.BEFORE + 1, "and the weeks are counted"


# Conversations that went well


async def run(app: App, workspace: UUID, *wanted: str) -> None:
    """Run the due jobs of these tasks; the others are done without doing anything."""
    tasks = {name: task if name in wanted else _nothing for name, task in TASKS.items()}
    await jobs.drain(app.db, app, tasks, workspace_id=workspace)


async def _nothing(app: App, workspace_id: UUID, **arguments: object) -> None:
    return None


async def solve(app: App, workspace: UUID, shopper: Shopper, by: Agent, said: str, answer: str) -> Conversation:
    """A shopper asks, somebody answers, it is resolved."""
    async with app.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), said)
        head = await conversations.current(tx, shopper)
        assert head is not None
        held = await tx.get(Conversation, head.id, lock=True)
        assert held is not None
        await messages.reply(tx, held, by, uuid4(), answer)
        await conversations.turn(tx, held, Status.RESOLVED, by=by)
    await run(app, workspace, "weigh_answer", "ask_rating")
    return held


async def later(app: App, workspace: UUID) -> None:
    """Some days go by."""
    async with app.db.transaction(workspace) as tx:
        await tx.execute(
            update(jobs.JobRow)
            .where(jobs.JobRow.workspace_id == workspace, jobs.JobRow.task.in_(("suggest_phrasing", "suggest_article")))
            .values(run_at=datetime.now(UTC))
        )
    await run(app, workspace, "suggest_phrasing", "weigh_rating")


async def waiting(app: App, workspace: UUID) -> list[tuple[str, str]]:
    async with app.db.transaction(workspace) as tx:
        return [(one.text, one.target) for one in await lessons.waiting(tx, lessons.SOLVED)]


LINK = "Yes, we do: https://shop.example/help/en/engraving?from=chat."


async def test_a_question_that_a_linked_article_answered_waits_as_a_way_to_ask(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, shopper: Shopper
) -> None:
    await solve(here, workspace, shopper, maya, "Put Dina on cup #104233 for dina@example.com?", LINK)
    assert await waiting(here, workspace) == [], "not before it stayed resolved"
    await later(here, workspace)
    ((said, target),) = await waiting(here, workspace)
    assert target == f"article:{engraving}"
    assert "104233" not in said
    assert "@" not in said
    async with here.db.transaction(workspace) as tx:
        (one,) = await lessons.waiting(tx, lessons.SOLVED)
        assert not one.counts, "whoever answered: somebody has to say yes"
        await lessons.revise(tx, one, "do you put names on cups", "topic:gift_wrap", by=maya)
        await lessons.approve(tx, one, by=maya)
        assert (one.text, one.target, one.counts) == ("do you put names on cups", "topic:gift_wrap", True)
        with pytest.raises(Conflict):
            await lessons.revise(tx, one, "something else", "outside", by=maya)
        assert (await models.gather(tx)).lessons == [(str(one.id), ("gift_wrap",))]


async def test_what_was_opened_again_or_rated_badly_teaches_nothing_and_a_good_word_at_once(
    here: App, workspace: UUID, maya: Agent, engraving: UUID, shopper: Shopper
) -> None:
    await solve(here, workspace, shopper, maya, "names on cups?", LINK)
    async with here.db.transaction(workspace) as tx:
        await ratings.rate(tx, shopper, 2)
    await later(here, workspace)
    assert await waiting(here, workspace) == []
    async with here.db.transaction(workspace) as tx:
        await messages.receive(tx, shopper, uuid4(), "that did not help")
    held = await solve(here, workspace, shopper, maya, "names on my cups please", LINK)
    async with here.db.transaction(workspace) as tx:
        await ratings.rate(tx, shopper, 5)
    await run(here, workspace, "weigh_rating", "suggest_phrasing")
    assert [said for said, _target in await waiting(here, workspace)] == ["names on cups?"]
    async with here.db.transaction(workspace) as tx:
        await tx.execute(delete(Conversation).where(Conversation.workspace_id == workspace, Conversation.id == held.id))
    assert await waiting(here, workspace) == [], "it goes with whose words it is"


async def test_one_agent_cannot_flood_what_waits(
    here: App, workspace: UUID, maya: Agent, omar: Agent, engraving: UUID, shopper: Shopper
) -> None:
    held = await solve(here, workspace, shopper, omar, "names on cups?", LINK)
    async with here.db.transaction(workspace) as tx:
        words = [f"names on {a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
        target = f"article:{engraving}"
        kept = [await lessons.suggest(tx, omar.id, one, target, conversation_id=held.id) for one in words]
        assert sum(one is not None for one in kept) == lessons.SUGGESTED_A_DAY
        again = await lessons.suggest(tx, maya.id, words[0], target, conversation_id=held.id)
        assert again is None, "the same waits once"
        for _ in range(3):
            await lessons.propose(tx, omar, f"own words {uuid4().hex[:4]} here", "outside")
