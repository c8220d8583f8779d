"""The bot at the desk: switched on, tried, its reasons under its messages, corrected, reviewed, brought back."""

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from plugin import stores, team
from plugin.app import App
from plugin.bot import bots, lessons
from plugin.bot.lessons import BotLesson
from plugin.conversations import conversations, messages
from plugin.conversations.conversations import Shopper
from plugin.crm.visitors import Visitor
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.knowledge import articles, search
from plugin.knowledge.articles import Kind
from plugin.reactions import TASKS
from plugin.team import Agent, Role
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


@pytest.fixture
async def store(app: App, shop: Shop) -> UUID:
    async with app.db.transaction(shop.workspace_id) as tx:
        return next(one.id for one in await stores.all_stores(tx) if one.status == stores.CONNECTED)


@pytest.fixture
async def engraving(app: App, shop: Shop) -> UUID:
    """A published article."""
    async with app.db.transaction(shop.workspace_id) as tx:
        owner = await tx.scalar(select(Agent).where(Agent.workspace_id == tx.workspace_id, Agent.role == Role.OWNER))
        assert owner is not None
        made = await articles.create(tx, owner.id, Kind.ARTICLE, "en")
        await articles.write(tx, made, "en", "Engraving rings", "We engrave ten letters on rings.", by=owner.id)
        await articles.publish(tx, made, "en", by=owner)
        await search.index(tx, [made.id])
    return made.id


async def switch_on(browser: Browser, store: UUID, **more: str) -> None:
    form = {"part": "bot", "enabled": "1", "chat": "1", "hours": "always", "tone": "plain", "name": "Nour", **more}
    assert (await browser.post(f"/panel/settings/bot/{store}", data=form)).status_code == 303


async def work(app: App, shop: Shop) -> None:
    await jobs.drain(app.db, app, TASKS, workspace_id=shop.workspace_id)


async def chat(app: App, shop: Shop, store: UUID, text: str) -> tuple[UUID, messages.Message]:
    """A shopper asks; the conversation and what the bot said."""
    async with app.db.transaction(shop.workspace_id) as tx:
        visitor = Visitor(id=new_id(), store_id=store, secret_hash=uuid4().bytes)
        tx.add(visitor)
        await tx.flush()
        shopper = Shopper(visitor.id, store)
        await messages.receive(tx, shopper, uuid4(), text)
        head = await conversations.current(tx, shopper)
        assert head is not None
    await work(app, shop)
    async with app.db.transaction(shop.workspace_id) as tx:
        said = await messages.thread(tx, head.id)
    return head.id, next(one for one in said if one.author == "bot" and one.kind == "message")


async def test_it_is_switched_on_and_says_so(app: App, shop: Shop, maya: Browser, store: UUID) -> None:
    page = await maya.get(f"/panel/settings/bot/{store}")
    assert "Nothing is published yet" in page.text
    await switch_on(maya, store, languages="ar", email="1", hours="away", tone="warm")
    async with app.db.transaction(shop.workspace_id) as tx:
        bot = await bots.of_store(tx, store)
        assert bot is not None
        assert (bot.enabled, bot.email, bot.hours, bot.tone, bot.languages) == (True, True, "away", "warm", ["ar"])
    page = await maya.get(f"/panel/settings/bot/{store}?saved=bot")
    assert 'value="Nour"' in page.text
    assert "Bot changed" in (await maya.get("/panel/team/log")).text


async def test_a_topic_is_given_an_article_or_a_person(
    app: App, shop: Shop, maya: Browser, store: UUID, engraving: UUID
) -> None:
    form = {"part": "answers", "answer-gift_wrap": str(engraving), "answer-customs": "person"}
    assert (await maya.post(f"/panel/settings/bot/{store}", data=form)).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        bot = await bots.of_store(tx, store)
        assert bot is not None
        assert bot.answers == {"gift_wrap": str(engraving), "customs": "person"}
        assert bot.for_a_person("customs")
    assert (await maya.post(f"/panel/settings/bot/{store}", data={**form, "answer-gift_wrap": "x"})).status_code == 404


async def test_the_playground_shows_what_was_understood_and_why(maya: Browser, store: UUID, engraving: UUID) -> None:
    assert (await maya.get(f"/panel/settings/bot/{store}/try")).status_code == 200
    tried = await maya.get(f"/panel/settings/bot/{store}/try/answer", params={"q": "do you engrave rings?"})
    assert "We engrave ten letters on rings." in tried.text
    assert "found in the help centre" in tried.text
    assert "English" in tried.text
    assert "Engraving rings" in tried.text
    tried = await maya.get(f"/panel/settings/bot/{store}/try/answer", params={"q": "wen talabi"})
    assert "looked at" in tried.text or "asked for proof" in tried.text or "Handed over" in tried.text


@pytest.mark.parametrize("said", ["x" * 20_000, "\u202e\u2067\u2066", "😀" * 50, "<script>alert(1)</script>", "%s {0}"])
async def test_the_playground_bears_anything(maya: Browser, store: UUID, said: str) -> None:
    tried = await maya.get(f"/panel/settings/bot/{store}/try/answer", params={"q": said})
    assert tried.status_code == 200
    assert "<script>alert" not in tried.text


async def test_an_agent_sees_why_and_a_correction_is_right_the_next_time(
    app: App, shop: Shop, maya: Browser, store: UUID, engraving: UUID
) -> None:
    await switch_on(maya, store)
    talk, said = await chat(app, shop, store, "can something be written inside the band? order 10017")
    page = await maya.get(f"/panel/inbox/{talk}")
    assert "its models were away" in page.text
    form = await maya.get(f"/panel/conversations/{talk}/messages/{said.id}/correct")
    assert "Engraving rings" in form.text
    assert "Counts at once" in form.text
    path = f"/panel/conversations/{talk}/messages/{said.id}/correct"
    taught = await maya.post(path, data={"target": f"article:{engraving}"})
    assert "it counts from now on" in taught.text
    async with app.db.transaction(shop.workspace_id) as tx:
        (lesson,) = await lessons.listed(tx)
        assert "10017" not in lesson.text
    _talk, again = await chat(app, shop, store, "can something be written inside of the band?")
    assert "ten letters" in again.text
    assert again.data["bot"]["parts"][0]["reason"] == "learnt"


async def test_an_agents_correction_waits_and_versions_come_back(
    app: App, shop: Shop, maya: Browser, store: UUID, engraving: UUID, sign_in: SignIn
) -> None:
    await switch_on(maya, store)
    async with app.db.transaction(shop.workspace_id) as tx:
        rogue = await team.add(tx, name="Rogue", email=f"{uuid4().hex}@shop.example", role=Role.AGENT)
        one = await lessons.propose(tx, rogue, "where is my order", "outside")
        assert not one.counts
    assert "where is my order" in (await maya.get("/panel/settings/bot/lessons")).text
    assert (await maya.post(f"/panel/settings/bot/lessons/{one.id}", data={"to": "yes"})).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        assert [lesson.text for lesson in await lessons.listed(tx)] == ["where is my order"]
    page = (await maya.get("/panel/settings/bot/lessons")).text
    assert "Version 1" in page
    await maya.post("/panel/settings/bot/lessons/back", data={"version": "0"})
    async with app.db.transaction(shop.workspace_id) as tx:
        assert not await lessons.listed(tx)
        assert await lessons.latest(tx) == 2
    await maya.post("/panel/settings/bot/lessons/back", data={"version": "1"})
    async with app.db.transaction(shop.workspace_id) as tx:
        assert len(await lessons.listed(tx)) == 1
        found = await tx.get(BotLesson, one.id)
        assert found is not None
        assert [span[:2] for span in found.spans] == [[1, 2], [3, None]]
    assert re.search("brought back to a version", (await maya.get("/panel/team/log")).text)
