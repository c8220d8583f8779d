"""Finding by meaning: in the background, across languages, past a language process that dies; and never in the way."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.kernel import jobs
from plugin.kernel.jobs import JobRow
from plugin.knowledge import articles, meaning, search
from plugin.knowledge.meaning import ArticlePassage
from plugin.language.client import Language
from plugin.reactions import TASKS
from plugin.team import Agent
from tests.knowledge.conftest import Write
from tests.language.running import Running
from tests.language.stand_in import WordEmbedder

ACROSS = {"توصيل": "delivery", "التوصيل": "delivery", "משלוח": "delivery", "parcel": "delivery", "shipment": "delivery"}


class Polyglot(WordEmbedder):
    """Takes some words of three languages for one, as the model does with all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def passages(self, texts):
        """As `Embedder` says."""
        self.texts += texts
        return super().passages([" ".join(ACROSS.get(word, word) for word in text.lower().split()) for text in texts])


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ahlan-m-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
async def running(folder: Path) -> AsyncIterator[Running]:
    one = Running(folder / "l.sock", Polyglot())
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def speaking(app: App, running: Running) -> AsyncIterator[App]:
    """The app with this language process."""
    language = Language(running.path)
    yield replace(app, language=language)
    await language.close()


async def embed(app: App, workspace: UUID, *ids: UUID) -> None:
    """Run what publishing asked for, as the worker does; texts that were written without it are asked for."""
    async with app.db.transaction(workspace) as tx:
        for id in ids:
            await tx.enqueue("embed_article", subject_id=str(id))
    await jobs.drain(app.db, app, TASKS, workspace_id=workspace)


async def ask(app: App, workspace: UUID, text: str, language: str = "en") -> list[search.Found]:
    return await search.answers(app, workspace, None, text, language, 5)


async def ready(app: App, workspace: UUID) -> None:
    """What the first question sets off: the shelf is brought."""
    await ask(app, workspace, "hello")
    async with asyncio.timeout(20):
        while not (await meaning.near(app, workspace, "hello")).texts:
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "_EVERY", 0.0)


async def test_an_article_that_has_no_word_of_the_question_is_found_by_what_it_means_and_marked(
    speaking: App, workspace: UUID, article: Write
) -> None:
    made = await article(en=("Delivery", "delivery"))
    await article(en=("Warranty", "Two years on watches."))
    await embed(speaking, workspace, made)
    assert await ask(speaking, workspace, "توصيل", "ar") == []
    await ready(speaking, workspace)
    (found,) = await ask(speaking, workspace, "توصيل", "ar")
    assert (found.article_id, found.language, found.cross) == (made, "en", True)
    # Nothing that is nearly meant: what is far from every text finds nothing.
    assert await ask(speaking, workspace, "zzzz qqqq") == []


async def test_words_and_meaning_are_added_and_typing_errors_stay_found(
    speaking: App, workspace: UUID, article: Write
) -> None:
    delivery = await article(en=("Delivery times", "Parcels take five days."))
    warranty = await article(en=("Warranty", "Two years on watches."))
    await embed(speaking, workspace, delivery, warranty)
    await ready(speaking, workspace)
    assert [one.article_id for one in await ask(speaking, workspace, "warrenty")] == [warranty]
    assert (await ask(speaking, workspace, "parcel delivery"))[0].article_id == delivery
    (piece,) = [one.text for one in (await ask(speaking, workspace, "watches"))[0].excerpt if one.found]
    assert piece == "watches"


async def test_without_the_language_process_words_answer_and_vectors_follow_later(
    speaking: App, workspace: UUID, article: Write, running: Running
) -> None:
    await running.stop()
    made = await article(en=("Delivery", "Parcels take five days."))
    await embed(speaking, workspace, made)
    assert [one.article_id for one in await ask(speaking, workspace, "delivery")] == [made]
    async with speaking.db.queue.begin() as tx:
        waiting = (await tx.execute(select(JobRow.task, JobRow.unique_key).where(
            JobRow.workspace_id == workspace, JobRow.unique_key.is_not(None)))).all()  # fmt: skip
    assert ("embed_article", f"embed:{made}") in [tuple(row) for row in waiting]


async def test_a_process_that_was_started_again_gets_its_shelf_back_without_new_vectors(
    speaking: App, workspace: UUID, article: Write, running: Running
) -> None:
    made = await article(en=("Delivery", "delivery"))
    await embed(speaking, workspace, made)
    await ready(speaking, workspace)
    await running.stop()
    await running.start()
    running.embedder.texts.clear()
    await ready(speaking, workspace)
    assert [one.article_id for one in await ask(speaking, workspace, "משלוח", "he")] == [made]
    assert set(running.embedder.texts) == {"hello", "משלוח"}


async def test_a_shelf_follows_what_is_changed_and_taken_off_and_only_that_is_embedded(
    speaking: App, workspace: UUID, article: Write, maya: Agent, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meaning, "_BATCH_ROWS", 2)
    monkeypatch.setattr(meaning, "_BATCH_BYTES", 1)
    made = [await article(en=(f"Article {number}", f"words{number} more")) for number in range(5)]
    await embed(speaking, workspace, *made)
    await ready(speaking, workspace)
    async with speaking.db.transaction(workspace) as tx:
        assert await meaning.newest(tx) == 5
        one = (await articles.find(tx, made[0])).article
        await articles.write(tx, one, "en", "Article 0", "shipment", by=maya.id)
        await articles.publish(tx, one, "en", by=maya)
        await articles.unpublish(tx, (await articles.find(tx, made[1])).article, "en", by=maya)
    before = running.embedder.asked
    await embed(speaking, workspace, *made)
    assert running.embedder.asked == before + 1
    await meaning.bring(speaking, workspace, "5")
    found = await meaning.near(speaking, workspace, "article 0 delivery")
    assert (made[1], "en") not in found.texts
    assert len(found.texts) == 4
    assert max(found.texts, key=lambda pair: found.texts[pair].likeness) == (made[0], "en")
    # Two that bring the same at once end at the same shelf.
    await asyncio.gather(*(meaning.bring(speaking, workspace, "") for _time in range(3)), return_exceptions=True)
    await meaning.bring(speaking, workspace, "")
    assert len((await meaning.near(speaking, workspace, "article")).texts) == 4


async def test_articles_from_before_are_embedded_when_they_are_looked_for(
    speaking: App, workspace: UUID, article: Write
) -> None:
    await article(en=("Delivery", "delivery"), he=("משלוח", "משלוח"))
    async with speaking.db.transaction(workspace) as tx:
        await meaning.catch_up(tx)
    await embed(speaking, workspace)
    async with speaking.db.transaction(workspace) as tx:
        rows = await tx.scalars(select(ArticlePassage.language).where(ArticlePassage.workspace_id == tx.workspace_id))
        assert sorted(rows) == ["en", "he"]


async def test_another_workspace_is_never_near(
    speaking: App, workspace: UUID, other_workspace: UUID, article: Write
) -> None:
    made = await article(en=("Delivery", "delivery"))
    await embed(speaking, workspace, made)
    await ready(speaking, workspace)
    assert (await meaning.near(speaking, other_workspace, "delivery")).texts == {}
    assert await ask(speaking, other_workspace, "delivery") == []
