"""Conversations that went well teach: the shopper's question as one more way to ask, the answer as a draft.

Well is: a person of the team answered, it was resolved, and either the shopper rated it good, or it stayed resolved for
some days without a bad word. What comes of it are proposals; nothing counts before somebody has approved it.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from plugin.app import App
from plugin.bot import lessons, models
from plugin.bot.book import BOOK, version
from plugin.bot.decide import wants_person
from plugin.bot.manners import manner
from plugin.bot.thinking import ARTICLE, HUMAN, Known, masked
from plugin.bot.understand import understand
from plugin.conversations import ratings
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.messages import AGENT, MESSAGE, SHOPPER, Message
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.events import Event
from plugin.knowledge.articles import Article, ArticleText
from plugin.language.client import Away, NotStocked
from plugin.language.frames import Answered

SETTLED = timedelta(days=3).total_seconds()
"""A conversation that is not opened again for so long went well."""

GOOD = 4
"""Stars from which on a rating is a good one."""

LONGEST = 200
"""Characters of a message that can be a way to ask something."""

_PATIENCE = 20.0


async def weigh_answer(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a conversation was resolved: look in some days whether it stayed so."""
    async with app.db.transaction(workspace_id) as tx:
        await _plan(tx, event_id, subject_id, SETTLED)
        await tx.complete_job()


async def weigh_rating(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task, after a shopper rated a conversation: a good one need not be waited for."""
    async with app.db.transaction(workspace_id) as tx:
        event = await tx.get(Event, UUID(event_id))
        if event is not None and int(event.data.get("score") or 0) >= GOOD:
            await _plan(tx, event_id, subject_id, 0)
        await tx.complete_job()


async def _plan(tx: Tx, event_id: str, subject_id: str, delay: float) -> None:
    for task in ("suggest_article", "suggest_phrasing"):
        await tx.enqueue(task, delay=delay, unique=f"{task}:{event_id}", event_id=event_id, subject_id=subject_id)


async def went_well(tx: Tx, conversation_id: UUID, event_id: UUID) -> UUID | None:
    """Who of the team answered in a conversation that went well since an event; None where it did not, or nobody."""
    talk = await tx.get(Conversation, conversation_id)
    event = await tx.get(Event, event_id)
    if talk is None or event is None or talk.status != Status.RESOLVED or talk.merged_into is not None:
        return None
    rating = await ratings.of(tx, conversation_id)
    if rating is not None and rating.score is not None and rating.score < GOOD:
        return None
    opened = await tx.scalar(
        select(Event.id)
        .where(
            Event.workspace_id == tx.workspace_id,
            Event.subject_id == conversation_id,
            Event.kind == "conversation.reopened",
            Event.at > event.at,
        )
        .limit(1)
    )
    if opened is not None:
        return None
    who: UUID | None = await tx.scalar(
        select(Message.agent_id)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == AGENT,
            Message.agent_id.is_not(None),
            Message.kind == MESSAGE,
            Message.deleted_at.is_(None),
        )
        .order_by(Message.position.desc())
        .limit(1)
    )
    return who


async def suggest_phrasing(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """Task: propose a shopper's question as one more way to ask for what it was answered with.

    What answers is the article that the agent linked, else the topic that the models take for likely but not for sure:
    what they are sure of needs no teaching, and what they know nothing of is for an article.
    """
    id = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        who = await went_well(tx, id, UUID(event_id))
        said = await _asked(tx, id) if who is not None else ""
        linked = await _linked(tx, id) if said else ""
        known = await models.known(tx)
    read = await _read(app, said, known) if said else None
    target = linked or (_likely(read) if read is not None else "")
    sure = read is not None and read.gate >= read.answer_from and (not linked or read.topics[0].id == linked)
    async with app.db.transaction(workspace_id) as tx:
        if who is not None and target and not sure:
            # Limits, or an article that has gone meanwhile: then there is nothing to propose.
            with suppress(AhlanError):
                await lessons.suggest(tx, who, said, target, conversation_id=id)
        await tx.complete_job()


async def _asked(tx: Tx, conversation_id: UUID) -> str:
    """The first message of a shopper's, where it is one question that could be a way to ask; else nothing."""
    said: str | None = await tx.scalar(
        select(Message.text)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == SHOPPER,
            Message.kind == MESSAGE,
            Message.deleted_at.is_(None),
        )
        .order_by(Message.position)
        .limit(1)
    )
    text = " ".join((said or "").split())
    if not text or len(text) > LONGEST or wants_person(text) or manner(text) is not None:
        return ""
    return text


async def _linked(tx: Tx, conversation_id: UUID) -> str:
    """The article whose address an agent wrote, the last one; nothing where none did."""
    told: Sequence[str] = list(
        await tx.scalars(
            select(Message.text)
            .where(
                Message.workspace_id == tx.workspace_id,
                Message.conversation_id == conversation_id,
                Message.author == AGENT,
                Message.agent_id.is_not(None),
                Message.kind == MESSAGE,
                Message.deleted_at.is_(None),
                Message.text.contains("://"),
            )
            .order_by(Message.position.desc())
            .limit(20)
        )
    )
    if not told:
        return ""
    rows = await tx.execute(
        select(ArticleText.article_id, ArticleText.slug)
        .join(Article, (Article.workspace_id == ArticleText.workspace_id) & (Article.id == ArticleText.article_id))
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.published.is_not(None),
            Article.deleted_at.is_(None),
        )
    )
    slugs = {slug: id for id, slug in map(tuple, rows) if slug}
    for text in told:
        for word in text.split():
            last = word.rstrip("/.,;:!?)»\"'").partition("?")[0].partition("#")[0].rpartition("/")[2]
            if "://" in word and last in slugs:
                return f"{ARTICLE}{slugs[last]}"
    return ""


async def _read(app: App, said: str, known: Known | None) -> Answered | None:
    """What the models make of it; None while they are away."""
    text = masked(understand(said, today=lessons.today()))
    for book in (known, Known(BOOK, version())):
        if book is None:
            continue
        with suppress(NotStocked):
            try:
                return await app.language.ask(book.book, book.version, text, seconds=_PATIENCE)
            except Away:
                return None
    return None


def _likely(read: Answered) -> str:
    if not read.topics or read.gate < read.offer_from:
        return ""
    topic = read.topics[0].id
    if topic == HUMAN:
        return ""
    return topic if topic.startswith(ARTICLE) else f"topic:{topic}"
