"""Drafts out of what agents answered: suggested after conversations that went well, taken over by a person."""

from contextlib import suppress
from uuid import UUID

from sqlalchemy import Table, select

from plugin.app import App
from plugin.bot import coverage, lessons, solved
from plugin.bot.coverage import OUTSIDE, ArticleSuggestion
from plugin.bot.seeds import LANGUAGES
from plugin.conversations.conversations import Conversation, Status
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.text import language_of
from plugin.knowledge import articles, markdown
from plugin.knowledge.articles import Kind
from plugin.language.client import Away, NotStocked
from plugin.team import Agent


async def suggest_article(app: App, workspace_id: UUID, *, event_id: str, subject_id: str) -> None:
    """After a conversation was resolved: suggest what was answered as an article, unless one answers it already."""
    id = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        head = await tx.get(Conversation, id)
        who = await solved.went_well(tx, id, UUID(event_id))
        asked, answer = await coverage.first(tx, id), await coverage.answer(tx, id)
    said, body = coverage.without_persons(asked), coverage.without_persons(answer)
    title = coverage.as_title(said)
    language = language_of(f"{said} {body}")
    worth = (
        who is not None
        and head is not None
        and head.status != Status.SPAM
        and language in LANGUAGES
        and len(title) >= 8
    )
    if (
        not worth
        or len(body) < coverage.LEAST_ANSWER
        or head is None
        or await coverage.is_answered(app, workspace_id, head.store_id, asked)
    ):
        async with app.db.transaction(workspace_id) as tx:
            await tx.complete_job()
        return
    try:
        topic = await coverage.topic_of(app, asked)
    except (Away, NotStocked):
        topic = OUTSIDE
    async with app.db.transaction(workspace_id) as tx:
        open_ones = await coverage.suggestions(tx)
        of_one = sum(one.agent_id == who for one in open_ones)
        if (
            len(open_ones) < coverage.MOST_OPEN
            and of_one < coverage.MOST_OF_ONE
            and not any(topic and one.topic == topic for one in open_ones)
        ):
            table: Table = ArticleSuggestion.__table__  # type: ignore[assignment] # declared as FromClause
            row = ArticleSuggestion(
                conversation_id=id, language=language, topic=topic, title=title,
                body=markdown.escaped(body[:coverage.LONGEST_BODY]), state="open", article_id=None, agent_id=who,
                question=said[:coverage.LONGEST_QUESTION],
            )  # fmt: skip
            there = select(table.c.id).where(table.c.workspace_id == tx.workspace_id, table.c.conversation_id == id)
            if await tx.scalar(there) is None:
                tx.add(row)
        await tx.complete_job()


async def take(tx: Tx, suggestion_id: UUID, *, by: Agent, title: str = "", body: str | None = None) -> UUID:
    """Make a draft of a suggestion, as it is or put right; twice is once. Returns the article. Raises NotFound.

    How the shopper asked is proposed as a way to ask for it.
    """
    row = await coverage.waiting(tx, suggestion_id)
    if row.article_id is None:
        article = await articles.create(tx, by.id, Kind.ARTICLE, row.language)
        await articles.write(
            tx, article, row.language, title.strip() or row.title, row.body if body is None else body, by=by.id
        )
        row.state, row.article_id = "taken", article.id
        await tx.flush()
        if row.question:
            # Who has taught as much as one may today takes the draft all the same.
            with suppress(AhlanError):
                target = f"article:{article.id}"
                await lessons.propose(tx, by, row.question, target, conversation_id=row.conversation_id)
    return row.article_id
