"""The demo's help centre speaks the truth about each of its stores: their own currency, and when they are open."""

from uuid import UUID

import pytest
from sqlalchemy import select

from plugin import seed_help, stores
from plugin.app import App
from plugin.bot import bots, sources, teaching
from plugin.bot.bots import Bot
from plugin.kernel import jobs
from plugin.kernel.db import new_id
from plugin.kernel.jobs import JobRow
from plugin.knowledge import articles
from plugin.knowledge.articles import Article, Listed
from plugin.platform import StoreProfile
from plugin.team import Agent, Role


@pytest.fixture
async def both(app: App, workspace: UUID) -> dict[str, UUID]:
    """A store in shekels and one in dinars, as in the demo."""
    made: dict[str, UUID] = {}
    async with app.db.transaction(workspace) as tx:
        tx.add(Agent(id=new_id(), name="Noor", email=f"noor-{workspace}@shop.example", role=Role.OWNER))
        for currency, decimals in (("ILS", 2), ("JOD", 3)):
            profile = StoreProfile(currency, f"https://{currency}.example", (), currency, decimals, "UTC", "en")
            row = await stores.connect(tx, platform="shopify", external_id=f"{currency}{workspace}", profile=profile)
            made[currency] = row.id
    return made


def starters_of(every: list[Listed]) -> list[str]:
    return [one.article.starter for one in every if one.article.starter]


async def test_each_store_charges_in_its_own_currency(app: App, workspace: UUID, both: dict[str, UUID]) -> None:
    async with app.db.transaction(workspace) as tx:
        assert await seed_help.furnish(app, tx) == 9
        assert await seed_help.furnish(app, tx) == 0
    async with app.db.transaction(workspace) as tx:
        ids = list(await tx.scalars(select(Article.id).where(Article.workspace_id == workspace)))
        every = await articles.by_ids(tx, ids)
        assert {one.article.starter for one in every if one.article.answers} == set(starters_of(every)), "to begin with"
        for one in every:
            words = " ".join(f"{text.shown} {text.html}" for text in one.texts.values())
            assert set(one.texts) == {"en", "ar", "he"}
            assert "SAR" not in words
            said = {currency for currency, signs in {"ILS": ("ILS", "₪"), "JOD": ("JOD", "د.أ")}.items()
                    if any(sign in words for sign in signs)}  # fmt: skip
            assert said == {currency for currency, store in both.items() if store == one.article.store_id}


async def test_the_bot_knows_what_delivery_costs_in_each_and_when_they_are_open(
    app: App, workspace: UUID, both: dict[str, UUID]
) -> None:
    async with app.db.transaction(workspace) as tx:
        await seed_help.furnish(app, tx)
    async with app.db.transaction(workspace) as tx:
        for store in both.values():
            owner = await tx.scalar(select(Agent).where(Agent.workspace_id == workspace))
            assert owner is not None
            bot = await bots.ready(tx, store)
            before = bots.told(bot)
            bot.enabled = True
            await bots.save(tx, bot, before, by=owner, languages=app.catalogues.codes)
    async with app.db.transaction(workspace) as tx:
        waiting = select(JobRow.id).where(JobRow.task == "teach_bot", JobRow.done_at.is_(None))
        (job,) = await tx.scalars(waiting)
    await jobs.run(app.db, app, {"teach_bot": teaching.teach_bot}, workspace, job)
    async with app.db.transaction(workspace) as tx:
        for currency, store in both.items():
            bot = await tx.scalar(select(Bot).where(Bot.workspace_id == workspace, Bot.store_id == store))
            assert bot is not None
            for topic, words in (("delivery_cost", currency), ("opening_hours", "day and night")):
                article = bot.article(topic)
                assert article is not None, topic
                found = await sources.by_id(tx, store, article, "en", "")
                assert found is not None
                assert words in found.text
