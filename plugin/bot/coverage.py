"""What shoppers ask and the help centre does not answer: by topic, and as drafts out of what agents answered.

The language process says which of the usual topics a first message is about; the help centre is asked the same question
as a shopper would. Counted by day, nobody is named. A draft is only suggested: somebody reads it and takes it over.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from uuid import UUID

from sqlalchemy import Date, Index, Integer, Table, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.bot.book import BOOK, examples, version
from plugin.bot.seeds import LANGUAGES, pack
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import Message
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import harmless, language_of
from plugin.knowledge import articles, meaning, search
from plugin.knowledge.articles import Article, Kind
from plugin.knowledge.meaning import Near
from plugin.language.client import Away, NotStocked
from plugin.language.frames import Teach
from plugin.team import Agent

MOST_OPEN = 30
"""Suggestions that wait for somebody at once."""
MOST_OF_ONE = 10
"""Of them out of one agent's answers."""
KEPT_DAYS = 90
OUTSIDE = ""
"""The topic of what is none of the known ones."""

_ANSWERS = 0.86
"""The cosine from which on an article is taken to answer a question (plugin/knowledge/search.py says what was seen)."""
LEAST_ANSWER, LONGEST_TITLE, LONGEST_QUESTION, LONGEST_BODY = 60, 120, 200, 4_000
_TRIES, _LATER = 5, 120
_PERSONAL = re.compile(r"[\w.+-]+@[\w.-]+\.\w+|https?://\S+|#?\w*\d{4,}\w*|(?:\+?\d[\s().-]?){6,}")


class TopicDay(Tenant, Base):
    """How often a topic was asked about on a day, and how often no article answered. Topic "": none of the known."""

    __tablename__ = "topic_days"
    __table_args__ = ({"info": {"moves": "stays", **nobody("counts by day")}},)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    missed: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class ArticleSuggestion(TenantRow, Base):
    """An article that an answered question could become. `state`: open, taken, dismissed.

    `agent_id` answered; `question` is how the shopper asked, without what it says of them.
    """

    __tablename__ = "article_suggestions"
    __table_args__ = (
        Index("uq_article_suggestions_conversation", "workspace_id", "conversation_id", unique=True),
        tenant_key("conversation_id", "conversations"),
    )

    conversation_id: Mapped[UUID]
    language: Mapped[str]
    topic: Mapped[str] = mapped_column(server_default="")
    title: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    article_id: Mapped[UUID | None]
    agent_id: Mapped[UUID | None]
    question: Mapped[str] = mapped_column(server_default="")


@dataclass(frozen=True, slots=True)
class Asked:
    """A topic of the seed pack, how often it was asked about, and how often no article answered."""

    topic: str
    times: int
    missed: int

    def title(self, language: str) -> str:
        """What the topic is called."""
        return _titles().get(self.topic, {}).get(language, self.topic)


@cache
def _titles() -> dict[str, dict[str, str]]:
    return {topic.id: topic.title for topic in pack()}


# Counting


async def count_topic(app: App, workspace_id: UUID, *, event_id: str, subject_id: str, tries: int = 0) -> None:
    """After a conversation has begun: what its first message is about, and whether an article answers it.

    Without the language process nothing is counted; while it learns the topics, it is asked again a little later.
    """
    async with app.db.transaction(workspace_id) as tx:
        asked = await first(tx, UUID(subject_id))
        store_id = await tx.scalar(
            select(Conversation.store_id).where(
                Conversation.workspace_id == tx.workspace_id, Conversation.id == UUID(subject_id)
            )
        )
    topic: str | None = None
    answered = False
    later = False
    if asked:
        try:
            topic = await topic_of(app, asked)
        except NotStocked:
            later = tries < _TRIES
        except Away:
            pass
        else:
            answered = await is_answered(app, workspace_id, store_id, asked)
    async with app.db.transaction(workspace_id) as tx:
        if topic is not None:
            await _write_down(tx, UUID(subject_id), topic)
            await _count(tx, topic, language_of(asked) or "", missed=not answered)
        await tx.complete_job()
        if later:
            await tx.enqueue(
                "count_topic", delay=_LATER, unique=f"topic:{subject_id}", event_id=event_id, subject_id=subject_id,
                tries=tries + 1,
            )  # fmt: skip


async def topic_of(app: App, said: str) -> str:
    """The topic of a message among those of the seed pack, or OUTSIDE. Raises Away, and NotStocked while they are
    being learnt."""
    try:
        found = await app.language.ask(BOOK, version(), said)
    except NotStocked:
        app.language.meanwhile(BOOK, _LATER, partial(_teach, app))
        raise
    return found.topics[0].id if found.topics and found.gate >= found.answer_from else OUTSIDE


async def _teach(app: App) -> None:
    await app.language.teach(Teach(BOOK, version(), examples()))


async def is_answered(app: App, workspace_id: UUID, store_id: UUID | None, said: str) -> bool:
    """Whether an article answers this: by what it means where that is known, else by its words."""
    near = await meaning.near(app, workspace_id, said[: search.LONGEST_QUESTION])
    async with app.db.transaction(workspace_id) as tx:
        found = await search.find(tx, store_id, said, language_of(said) or "en", 3, near=near)
    return bool(found) and (not near.texts or _near(near, {one.article_id for one in found}))


def _near(near: Near, ids: set[UUID]) -> bool:
    return any(one.likeness >= _ANSWERS for (id, _language), one in near.texts.items() if id in ids)


async def first(tx: Tx, conversation_id: UUID) -> str:
    said: str | None = await tx.scalar(
        select(Message.text)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == "shopper",
            Message.deleted_at.is_(None),
        )
        .order_by(Message.position)
        .limit(1)
    )
    return " ".join((said or "").split())[:600]


async def _write_down(tx: Tx, conversation_id: UUID, topic: str) -> None:
    await tx.execute(
        update(Conversation)
        .where(Conversation.workspace_id == tx.workspace_id, Conversation.id == conversation_id)
        .values(topic=topic)
    )


async def _count(tx: Tx, topic: str, language: str, *, missed: bool) -> None:
    table: Table = TopicDay.__table__  # type: ignore[assignment] # declared as FromClause
    row = insert(table).values(
        workspace_id=tx.workspace_id, day=datetime.now(UTC).date(), topic=topic, language=language, times=1,
        missed=int(missed),
    )  # fmt: skip
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=["workspace_id", "day", "topic", "language"],
            set_={"times": table.c.times + 1, "missed": table.c.missed + int(missed)},
        )
    )


async def asked(tx: Tx, days: int) -> list[Asked]:
    """What was asked about and not answered by an article, the most frequent first."""
    rows = await tx.execute(
        select(TopicDay.topic, func.sum(TopicDay.times), func.sum(TopicDay.missed))
        .where(TopicDay.workspace_id == tx.workspace_id, TopicDay.day > datetime.now(UTC).date() - timedelta(days=days))
        .group_by(TopicDay.topic)
    )
    found = [Asked(topic, int(times), int(missed)) for topic, times, missed in map(tuple, rows)]
    return sorted((one for one in found if one.missed), key=lambda one: (-one.missed, one.topic))


async def draft_topic(tx: Tx, topic: str, language: str, *, by: Agent) -> Article:
    """A draft about a topic, titled in every language; a second time it is the same article, and a deleted one comes
    back. Raises NotFound."""
    titles = _titles().get(topic)
    if titles is None:
        raise NotFound(_("This topic is not known."), _("Choose another one."))
    origin = f"topic:{topic}"
    there: Article | None = await tx.scalar(
        select(Article).where(Article.workspace_id == tx.workspace_id, Article.origin == origin)
    )
    if there is not None:
        if there.deleted_at is not None:
            await articles.remove(tx, there, by=by, back=True)
        return there
    source = language if language in titles else "en"
    article = await articles.create(tx, by.id, Kind.ARTICLE, source, origin=origin)
    words = await tx.scalar(
        select(ArticleSuggestion.body)
        .where(
            ArticleSuggestion.workspace_id == tx.workspace_id, ArticleSuggestion.topic == topic,
            ArticleSuggestion.language == source, ArticleSuggestion.state == "open",
        )
        .order_by(ArticleSuggestion.id.desc())
        .limit(1)
    )  # fmt: skip
    for code in (source, *(code for code in LANGUAGES if code != source)):
        await articles.write(tx, article, code, titles[code], (words or "") if code == source else "", by=by.id)
    return article


# Drafts out of what agents answered


async def answer(tx: Tx, conversation_id: UUID) -> str:
    """What people of the team answered, in order; nothing that was sent by itself."""
    rows = await tx.scalars(
        select(Message.text)
        .where(
            Message.workspace_id == tx.workspace_id,
            Message.conversation_id == conversation_id,
            Message.author == "agent",
            Message.agent_id.is_not(None),
            Message.kind == "message",
            Message.deleted_at.is_(None),
        )
        .order_by(Message.position)
        .limit(20)
    )
    return "\n\n".join(line.strip() for line in rows if len(line.strip()) >= 20)


def without_persons(said: str) -> str:
    """Without addresses, links and long numbers: what is left still has to be read by somebody. Pure."""
    return _PERSONAL.sub("…", harmless(said)).strip()


def as_title(said: str) -> str:
    line = re.split(r"(?<=[.!?؟])\s|\n", said.strip(), maxsplit=1)[0].strip(" .!,،")
    if len(line) <= LONGEST_TITLE:
        return line
    return f"{line[: line.rfind(' ', 0, LONGEST_TITLE)].strip()}…"


async def suggestions(tx: Tx) -> list[ArticleSuggestion]:
    """Those that wait, the newest first."""
    rows = await tx.scalars(
        select(ArticleSuggestion)
        .where(ArticleSuggestion.workspace_id == tx.workspace_id, ArticleSuggestion.state == "open")
        .order_by(ArticleSuggestion.id.desc())
    )
    return list(rows)


async def dismiss(tx: Tx, suggestion_id: UUID) -> None:
    """It is no article. Raises NotFound."""
    row = await waiting(tx, suggestion_id)
    if row.state == "open":
        row.state = "dismissed"
        await tx.flush()


async def waiting(tx: Tx, suggestion_id: UUID) -> ArticleSuggestion:
    row = await tx.get(ArticleSuggestion, suggestion_id, lock=True)
    if row is None:
        raise NotFound(_("This suggestion is no longer there."), _("Choose another one."))
    return row


async def prune(tx: Tx) -> None:
    """Forget suggestions of three months ago, and counts of more than a year."""
    old = datetime.now(UTC)
    await tx.execute(
        delete(ArticleSuggestion).where(
            ArticleSuggestion.workspace_id == tx.workspace_id,
            ArticleSuggestion.created_at < old - timedelta(days=KEPT_DAYS),
        )
    )
    await tx.execute(
        delete(TopicDay).where(
            TopicDay.workspace_id == tx.workspace_id, TopicDay.day < (old - timedelta(days=400)).date()
        )
    )
