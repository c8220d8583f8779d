"""What the bot has to know before it answers: the topics in the language process, and which article answers which.

The topics are one book for all workspaces. Which article answers a topic is found by reading the articles' titles as if
a shopper asked them; what the merchant chose goes before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import select

from plugin.app import App
from plugin.bot import bots
from plugin.bot.alike import Phrasings
from plugin.bot.book import BOOK, examples, version
from plugin.bot.bots import Bot
from plugin.bot.thinking import HUMAN
from plugin.kernel.db import Tx
from plugin.knowledge.articles import Article, ArticleText, Kind
from plugin.language.client import Away, NotStocked
from plugin.language.frames import Teach

log = structlog.get_logger(__name__)

Title = tuple[UUID, UUID | None, str, str]
"""Of an article: its id, its store, its starter, and the title in one language."""

PATIENCE = 20.0
"""Seconds that a question of ours may take while nobody waits for it."""

AGAIN_SECONDS = 300
"""How long titles wait to be read by the models when those are away or still learning."""

_TITLES = 1_000
_ANYTHING = "order"
_SAME_WORDS = 0.8

# The articles of the starter set say themselves what they are about.
_STARTERS: Mapping[str, tuple[str, ...]] = {
    "delivery": ("delivery_cost", "delivery_time", "delivery_area"),
    "returns": ("return_policy", "return_item", "refund_status", "exchange"),
    "payment": ("payment_methods", "cash_on_delivery", "installments"),
    "changes": ("change_order", "cancel_order", "change_address"),
    "damaged": ("damaged_item", "wrong_item", "missing_item"),
}


async def teach_bot(app: App, workspace_id: UUID) -> None:
    """Task: have the topics learnt where they are not, and find which article answers which topic."""
    async with app.db.transaction(workspace_id) as tx:
        some = await bots.enabled(tx)
        titles = await _titles(tx) if some else []
        # At once what can be said without models: learning takes them a minute or more.
        _keep(some, titles, read_by_spelling(titles))
    if not some or not await teach(app):
        async with app.db.transaction(workspace_id) as tx:
            # First this one: one of a kind may wait.
            await tx.complete_job()
            if some:
                await tx.enqueue("teach_bot", delay=AGAIN_SECONDS, unique="teach_bot")
        return
    found = await read_titles(app, titles)
    async with app.db.transaction(workspace_id) as tx:
        _keep(await bots.enabled(tx), titles, found)
        await tx.complete_job()


def _keep(some: Sequence[Bot], titles: Sequence[Title], found: Mapping[str, tuple[str, float]]) -> None:
    for bot in some:
        mapped = _mapped(bot, titles, found)
        if mapped != bot.found:
            bot.found = mapped


async def keep_bot(app: App, workspace_id: UUID) -> None:
    """Task, every ten minutes where a bot is on: a language process that was started anew learns before it is asked."""
    async with app.db.transaction(workspace_id) as tx:
        wanted = bool(await bots.enabled(tx))
        if wanted:
            await tx.enqueue("keep_model", unique="keep_model")
    if wanted:
        await teach(app)
    async with app.db.transaction(workspace_id) as tx:
        await tx.complete_job()


async def follow_articles(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after an article was published or taken away: which one answers what may be another."""
    async with app.db.transaction(workspace_id) as tx:
        if await bots.enabled(tx):
            await tx.enqueue("teach_bot", delay=5, unique="teach_bot")
        await tx.complete_job()


async def teach(app: App) -> bool:
    """Whether the topics are there, taught now where they were not. While nobody is there it is tried later."""
    try:
        await app.language.ask(BOOK, version(), _ANYTHING, seconds=PATIENCE)
    except NotStocked:
        try:
            taught = await app.language.teach(Teach(BOOK, version(), examples()))
        except Away as error:
            log.warning("bot_not_taught", error=str(error))
            return False
        log.info("bot_taught", examples=taught.examples, right=round(taught.right, 3))
    except Away:
        return False
    return True


async def _titles(tx: Tx) -> list[Title]:
    rows = await tx.execute(
        select(Article.id, Article.store_id, Article.starter, ArticleText.shown)
        .join(ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id))
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.deleted_at.is_(None),
            Article.kind.in_((Kind.ARTICLE, Kind.SNIPPET)),
            ArticleText.published.is_not(None),
        )
        .order_by(Article.id, ArticleText.language)
        .limit(_TITLES)
    )
    return [(row.id, row.store_id, row.starter, row.shown) for row in rows]


def read_by_spelling(titles: Sequence[Title]) -> dict[str, tuple[str, float]]:
    """What titles are about, and how surely, by their spelling alone. Pure."""
    spelled = Phrasings((one.text, one.topic or "") for one in examples()) if titles else Phrasings(())
    near = {title: spelled.nearest(title, _SAME_WORDS) for *_article, title in titles}
    return {title: (one.target, one.likeness) for title, one in near.items() if one is not None}


async def read_titles(app: App, titles: Sequence[Title]) -> dict[str, tuple[str, float]]:
    """The same by the models; by spelling for the titles that they could not be asked about."""
    found = read_by_spelling(titles)
    for title in dict.fromkeys(title for *_article, title in titles):
        try:
            read = await app.language.ask(BOOK, version(), title, seconds=PATIENCE)
        except (Away, NotStocked):
            continue
        if read.topics and read.gate >= read.offer_from:
            found[title] = (read.topics[0].id, read.gate)
    return found


def _mapped(bot: Bot, titles: Sequence[Title], found: Mapping[str, tuple[str, float]]) -> dict[str, str]:
    """Topic to article for one store: a starter's own topics, then whichever title is surest."""
    best: dict[str, tuple[float, str]] = {}
    for id, store, starter, title in titles:
        if store not in (None, bot.store_id):
            continue
        for topic in _STARTERS.get(starter, ()):
            best.setdefault(topic, (float("inf"), str(id)))
        if title in found:
            topic, sure = found[title]
            if topic != HUMAN and sure > best.get(topic, (0.0, ""))[0]:
                best[topic] = (sure, str(id))
    return {topic: id for topic, (_sure, id) in sorted(best.items())}
