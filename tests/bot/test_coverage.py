"""What is asked and not answered by an article: counted by topic; answers that become drafts on demand."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.bot import coverage, drafting, solved
from plugin.bot.coverage import ArticleSuggestion
from plugin.bot.seeds import Topic
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Conversation, Shopper, Status
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.errors import NotFound
from plugin.knowledge import articles, meaning, search
from plugin.knowledge.articles import Kind
from plugin.language.client import Language
from plugin.language.frames import ExampleIn
from plugin.reactions import TASKS
from plugin.stores import Store
from plugin.team import Agent, Role
from tests.language.running import Running
from tests.language.stand_in import WordEmbedder

PACK = (
    Topic("gift_wrapping", {"en": "Gift wrapping", "ar": "تغليف الهدايا", "he": "אריזת מתנה"}, (),
          {"en": ("do you wrap gifts", "gift wrapping please", "can you wrap a gift", "wrap it as a gift")}),
    Topic("opening_hours", {"en": "Opening hours", "ar": "ساعات العمل", "he": "שעות פתיחה"}, (),
          {"en": ("when are you open", "opening hours today", "are you open today", "what are the opening hours")}),
)  # fmt: skip
ANSWER = (
    "Yes! We wrap every gift for five dollars: choose it in the cart. Write to me at noa@shop.example or 0501234567."
)


@pytest.fixture
async def speaking(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """An app whose language process knows two topics."""
    monkeypatch.setattr(coverage, "pack", lambda: PACK)
    monkeypatch.setattr(coverage, "_LATER", 0)
    monkeypatch.setattr(solved, "SETTLED", 0)
    monkeypatch.setattr(meaning, "_EVERY", 0.0)
    learnt = tuple(ExampleIn(line, topic.id, language) for topic in PACK for line, language in topic.examples())
    monkeypatch.setattr(coverage, "examples", lambda: learnt)
    monkeypatch.setattr(coverage, "version", lambda: "two topics")
    coverage._titles.cache_clear()
    folder = Path(tempfile.mkdtemp(prefix="ahlan-c-"))
    running = Running(folder / "l.sock", WordEmbedder())
    await running.start()
    language = Language(running.path)
    here = replace(app, language=language)
    await coverage._teach(here)
    yield here
    await language.close()
    await running.stop()
    shutil.rmtree(folder, ignore_errors=True)
    coverage._titles.cache_clear()


@pytest.fixture
async def noa(app: App, workspace: UUID) -> Agent:
    async with app.db.transaction(workspace) as tx:
        agent = Agent(id=new_id(), name="Noa", email=f"{uuid4().hex}@shop.example", role=Role.ADMIN)
        tx.add(agent)
    return agent


async def talk(app: App, workspace: UUID, said: str, *answers: str, by: Agent | None = None) -> UUID:
    """A conversation, answered and resolved where there are answers; what follows from it has run."""
    async with app.db.transaction(workspace) as tx:
        store = Store(
            id=new_id(), platform="shopify", external_id=f"{uuid4().hex}.myshopify.com",
            public_key=f"st_{uuid4().hex[:22]}", name="Dukkan", url="https://dukkan.example",
        )  # fmt: skip
        tx.add(store)
        await tx.flush()
        visitor = Visitor(id=new_id(), store_id=store.id, secret_hash=uuid4().bytes)
        tx.add(visitor)
        await tx.flush()
        await messages.receive(tx, Shopper(visitor.id, store.id), uuid4(), said, [])
        (head,) = await tx.scalars(
            select(Conversation).where(
                Conversation.workspace_id == tx.workspace_id, Conversation.visitor_id == visitor.id
            )
        )
    if by is not None:
        async with app.db.transaction(workspace) as tx:
            held = await tx.get(Conversation, head.id, lock=True)
            assert held is not None
            for answer in answers:
                await messages.reply(tx, held, by, uuid4(), answer)
            await conversations.turn(tx, held, Status.RESOLVED, by=by)
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)
    return head.id


async def asked(app: App, workspace: UUID) -> dict[str, tuple[int, int]]:
    async with app.db.transaction(workspace) as tx:
        return {one.topic: (one.times, one.missed) for one in await coverage.asked(tx, 30)}


async def waiting(app: App, workspace: UUID) -> list[ArticleSuggestion]:
    async with app.db.transaction(workspace) as tx:
        return await coverage.suggestions(tx)


async def publish(app: App, workspace: UUID, noa: Agent, title: str, body: str) -> None:
    async with app.db.transaction(workspace) as tx:
        made = await articles.create(tx, noa.id, Kind.ARTICLE, "en")
        await articles.write(tx, made, "en", title, body, by=noa.id)
        await articles.publish(tx, made, "en", by=noa)
        await search.index(tx, [made.id])


async def test_a_topic_counts_as_not_answered_until_an_article_answers_it(
    speaking: App, workspace: UUID, noa: Agent
) -> None:
    await talk(speaking, workspace, "do you wrap gifts")
    assert await asked(speaking, workspace) == {"gift_wrapping": (1, 1)}
    async with speaking.db.transaction(workspace) as tx:
        made = await coverage.draft_topic(tx, "gift_wrapping", "ar", by=noa)
        again = await coverage.draft_topic(tx, "gift_wrapping", "en", by=noa)
        found = await articles.find(tx, made.id)
        with pytest.raises(NotFound):
            await coverage.draft_topic(tx, "nothing", "en", by=noa)
    assert again.id == made.id, "one click twice is one article"
    async with speaking.db.transaction(workspace) as tx:
        await articles.remove(tx, (await articles.find(tx, made.id)).article, by=noa)
        again = await coverage.draft_topic(tx, "gift_wrapping", "ar", by=noa)
    assert (again.id, again.deleted_at) == (made.id, None), "a deleted one comes back, and is not opened as deleted"
    assert {code: row.title for code, row in found.texts.items()} == PACK[0].title
    await publish(speaking, workspace, noa, "Do you wrap gifts?", "Do you wrap gifts")
    await talk(speaking, workspace, "do you wrap gifts")
    assert await asked(speaking, workspace) == {"gift_wrapping": (2, 1)}


async def test_an_answer_that_no_article_gives_is_suggested_without_persons_and_taken_over_once(
    speaking: App, workspace: UUID, noa: Agent
) -> None:
    await talk(speaking, workspace, "Do you wrap gifts? My order is #104233", "Hi!", ANSWER, by=noa)
    (one,) = await waiting(speaking, workspace)
    assert (one.title, one.language, one.topic) == ("Do you wrap gifts?", "en", "gift_wrapping")
    assert "five dollars" in one.body
    assert not any(word in one.title + one.body for word in ("noa@", "0501234567", "104233"))
    # The same topic waits once.
    await talk(speaking, workspace, "can you wrap a gift", ANSWER, by=noa)
    assert len(await waiting(speaking, workspace)) == 1
    async with speaking.db.transaction(workspace) as tx:
        made = await drafting.take(tx, one.id, by=noa)
        assert await drafting.take(tx, one.id, by=noa) == made
        draft = await articles.find(tx, made)
    assert (draft.texts["en"].title, draft.texts["en"].published) == ("Do you wrap gifts?", None)
    assert await waiting(speaking, workspace) == []


async def test_what_an_article_answers_or_nobody_said_much_about_is_not_suggested(
    speaking: App, workspace: UUID, noa: Agent
) -> None:
    await publish(speaking, workspace, noa, "Do you wrap gifts?", "Do you wrap gifts")
    await talk(speaking, workspace, "do you wrap gifts", ANSWER, by=noa)
    await talk(speaking, workspace, "when are you open today", "From nine.", by=noa)
    assert await waiting(speaking, workspace) == []
    await talk(speaking, workspace, "what are the opening hours", ANSWER, by=noa)
    (one,) = await waiting(speaking, workspace)
    async with speaking.db.transaction(workspace) as tx:
        await coverage.dismiss(tx, one.id)
    assert await waiting(speaking, workspace) == []


async def test_without_the_language_process_nothing_is_counted_and_nothing_breaks(
    app: App, workspace: UUID, noa: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solved, "SETTLED", 0)
    await talk(app, workspace, "do you wrap gifts", ANSWER, by=noa)
    assert await asked(app, workspace) == {}
    assert [one.topic for one in await waiting(app, workspace)] == [coverage.OUTSIDE]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Write to a.b@c.example!", "Write to …!"),
        ("See https://x.example/?t=secret now", "See … now"),
        ("Call +972 50-123-4567", "Call …"),
        ("Order #AB10423 and 14 days", "Order … and 14 days"),
        ("اتصلوا على 0501234567", "اتصلوا على …"),
    ],
)
def test_addresses_and_numbers_of_people_are_cut_out(said: str, left: str) -> None:
    assert coverage.without_persons(said) == left
