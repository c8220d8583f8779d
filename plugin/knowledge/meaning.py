"""Finding by meaning: vectors of what is published, made in the background, and shelves of the language process.

Vectors are what takes long, so they are kept in the database, each text with the number of its last change. A shelf in
the language process is a copy in memory: it may be behind, half filled or gone. Whoever asks takes what there is,
and brings the rest along in the background; what is found is compared with what is published now all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Index, Row, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.digits import whole
from plugin.kernel.personal import nobody
from plugin.knowledge import markdown
from plugin.knowledge.articles import Article, ArticleText
from plugin.language.client import Away, NotStocked
from plugin.language.frames import PassageIn, Prepare, Stock

log = structlog.get_logger(__name__)

COUNT = 60
"""Texts that the language process names."""
LONGEST = 12_000
"""Characters of a text that are read for its meaning; the words of all of it are in the other index."""
AWAY_SECONDS = 300
"""How long a text waits for its vectors when the language process is away."""

_EVERY = 2.0
"""Seconds between two looks of one process at whether a shelf is behind."""
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 400


class ArticlePassage(Tenant, Base):
    """A published text as the language process takes it. `version` counts the changes of the workspace; a text that is
    not published any more stays as an empty one, so that shelves hear of it."""

    __tablename__ = "article_passages"
    __table_args__ = (
        Index(None, "workspace_id", "version"),
        tenant_key("article_id", "articles"),
        {"info": {"moves": "stays", **nobody("what the merchant tells everybody, and its vectors")}},
    )

    article_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    words: Mapped[str]
    vectors: Mapped[bytes]


@dataclass(frozen=True, slots=True)
class Meant:
    """How near a text is to a question: `score` in standard deviations, `likeness` a cosine."""

    score: float
    likeness: float


@dataclass(frozen=True, slots=True)
class Near:
    """What the language process found, by article and language; nothing while it is away."""

    texts: Mapping[tuple[UUID, str], Meant] = field(default_factory=dict)

    @property
    def least(self) -> float:
        """The score of what it named last: nothing that it did not name is nearer."""
        return min((one.score for one in self.texts.values()), default=0.0)

    def likeness(self, article_id: UUID, language: str) -> float:
        """The cosine of a text; of one that was not named, that of the least like among those that were."""
        found = self.texts.get((article_id, language))
        return found.likeness if found is not None else min((one.likeness for one in self.texts.values()), default=0.0)


NOTHING = Near()


async def near(app: App, workspace_id: UUID, said: str) -> Near:
    """The texts of a workspace that mean what was asked. Never raises: without the language process it is nothing.

    Not to be called inside a transaction: it asks another process.
    """
    if not said.strip():
        return NOTHING
    shelf = str(workspace_id)
    try:
        found = await app.language.search(shelf, "", said, count=COUNT)
    except NotStocked:
        app.language.meanwhile(shelf, _EVERY, partial(bring, app, workspace_id, ""))
        return NOTHING
    except Away:
        return NOTHING
    app.language.meanwhile(shelf, _EVERY, partial(bring, app, workspace_id, found.version))
    return Near({_pair(hit.id): Meant(hit.score, hit.likeness) for hit in found.hits})


# Vectors into the database


async def embed_article(app: App, workspace_id: UUID, *, subject_id: str, event_id: str = "") -> None:
    """After an article was published, changed or taken away: vectors of each of its texts. Later while the language
    process is away."""
    id = UUID(subject_id)
    async with app.db.transaction(workspace_id) as tx:
        wanted, kept = await _wanted(tx, id), await _kept(tx, id)
    fresh = {language: words for language, words in wanted.items() if kept.get(language) != words}
    vectors: dict[str, bytes] = {}
    if fresh:
        passages = tuple(PassageIn(language, words, language) for language, words in fresh.items())
        try:
            made = await app.language.prepare(Prepare(passages))
        except Away:
            async with app.db.transaction(workspace_id) as tx:
                # First this one: one of a kind may wait.
                await tx.complete_job()
                await tx.enqueue("embed_article", delay=AWAY_SECONDS, unique=f"embed:{id}", subject_id=subject_id)
            return
        vectors = dict(zip(fresh, made.data, strict=True))
    async with app.db.transaction(workspace_id) as tx:
        await _keep(tx, id, fresh, vectors)
        await tx.complete_job()


async def _keep(tx: Tx, id: UUID, fresh: Mapping[str, str], vectors: Mapping[str, bytes]) -> None:
    # One after the other: whoever has seen a number has seen all below it.
    await tx.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"passages {tx.workspace_id}", 0)))
    )  # fmt: skip
    # What changed meanwhile has a job of its own.
    now, kept = await _wanted(tx, id), await _kept(tx, id)
    rows = [
        (language, fresh[language], own) for language, own in vectors.items() if now.get(language) == fresh[language]
    ]
    rows += [(language, "", b"") for language, words in kept.items() if words and language not in now]
    if not rows:
        return
    version = await newest(tx) + 1
    for language, words, own in rows:
        values = {"version": version, "words": words, "vectors": own}
        row = insert(ArticlePassage).values(
            workspace_id=tx.workspace_id, article_id=id, language=language, **values
        )  # fmt: skip
        await tx.execute(
            row.on_conflict_do_update(index_elements=["workspace_id", "article_id", "language"], set_=values)
        )


async def _wanted(tx: Tx, id: UUID) -> dict[str, str]:
    """What shoppers see of an article, by language."""
    rows = await tx.execute(
        select(ArticleText.language, ArticleText.shown, ArticleText.html)
        .join(Article, (Article.workspace_id == ArticleText.workspace_id) & (Article.id == ArticleText.article_id))
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.article_id == id,
            ArticleText.published.is_not(None),
            Article.deleted_at.is_(None),
        )
    )
    return {row.language: f"{row.shown}\n{markdown.words_of(row.html)}"[:LONGEST] for row in rows}


async def _kept(tx: Tx, id: UUID) -> dict[str, str]:
    rows = await tx.execute(
        select(ArticlePassage.language, ArticlePassage.words).where(
            ArticlePassage.workspace_id == tx.workspace_id, ArticlePassage.article_id == id
        )
    )
    return {row.language: row.words for row in rows}


async def newest(tx: Tx) -> int:
    """The number of the last change; 0 before there was one."""
    found = await tx.scalar(
        select(func.max(ArticlePassage.version)).where(ArticlePassage.workspace_id == tx.workspace_id)
    )
    return int(found or 0)


async def catch_up(tx: Tx) -> None:
    """Ask for the vectors of published articles that have none: they are older than this index."""
    missing = await tx.scalars(
        select(ArticleText.article_id)
        .join(Article, (Article.workspace_id == ArticleText.workspace_id) & (Article.id == ArticleText.article_id))
        .outerjoin(
            ArticlePassage,
            (ArticlePassage.workspace_id == ArticleText.workspace_id)
            & (ArticlePassage.article_id == ArticleText.article_id)
            & (ArticlePassage.language == ArticleText.language),
        )
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.published.is_not(None),
            Article.deleted_at.is_(None),
            ArticlePassage.article_id.is_(None),
        )
        .distinct()
        .limit(_BATCH_ROWS)
    )
    for id in missing:
        await tx.enqueue("embed_article", unique=f"embed:{id}", subject_id=str(id))


# Vectors into the language process


async def bring(app: App, workspace_id: UUID, have: str) -> None:
    """Bring the shelf of the language process on this machine up to date; `have` is its version. Raises Away, and
    NotStocked where somebody else changed it meanwhile.

    A version is the number of the last change, or, while changes are on their way, `since-until~` and the last text
    that has arrived: two who bring the same at once go on where the other one is.
    """
    async with app.db.transaction(workspace_id) as tx:
        until = await newest(tx)
    if not until or have == str(until):
        return
    span, _sign, last = have.partition("~")
    since = whole(have, until - 1) or 0
    base = have if since else ""
    after: tuple[UUID, str] | None = None
    if last and span == f"{since}-{until}":
        base, after = have, _pair(last)
    while True:
        rows, more = await _batch(app, workspace_id, since, until, after)
        after = (rows[-1].article_id, rows[-1].language) if rows else after
        version = f"{since}-{until}~{after[0]}:{after[1]}" if more and after else str(until)
        try:
            await app.language.stock(_stock(str(workspace_id), version, base, rows))
        except NotStocked as refused:
            if refused.version == str(until):
                return
            span, _sign, last = refused.version.partition("~")
            if not last or span != f"{since}-{until}":
                raise
            base, after, more = refused.version, _pair(last), True
        else:
            base = version
        if not more:
            return


def _stock(shelf: str, version: str, base: str, rows: Sequence[Row[tuple[UUID, str, str, bytes]]]) -> Stock:
    passages = tuple(
        PassageIn(f"{row.article_id}:{row.language}", row.words, row.language, (), row.vectors)
        for row in rows
        if row.vectors
    )
    gone = tuple(f"{row.article_id}:{row.language}" for row in rows if not row.vectors)
    return Stock(shelf, version, passages, base, gone)


async def _batch(
    app: App, workspace_id: UUID, since: int, until: int, after: tuple[UUID, str] | None
) -> tuple[list[Row[tuple[UUID, str, str, bytes]]], bool]:
    """(the next changes in their order, whether there are more): as many as one frame carries well."""
    rows: list[Row[tuple[UUID, str, str, bytes]]] = []
    size = 0
    while size < _BATCH_BYTES:
        wanted = (
            select(ArticlePassage.article_id, ArticlePassage.language, ArticlePassage.words, ArticlePassage.vectors)
            .where(
                ArticlePassage.workspace_id == workspace_id,
                ArticlePassage.version > since,
                ArticlePassage.version <= until,
            )
            .order_by(ArticlePassage.article_id, ArticlePassage.language)
            .limit(_BATCH_ROWS)
        )
        if after is not None:
            wanted = wanted.where(tuple_(ArticlePassage.article_id, ArticlePassage.language) > tuple_(*after))
        async with app.db.transaction(workspace_id) as tx:
            found = (await tx.execute(wanted)).all()
        rows += found
        size += sum(len(row.vectors) + 2 * len(row.words) for row in found)
        if len(found) < _BATCH_ROWS:
            return rows, False
        after = (found[-1].article_id, found[-1].language)
    return rows, True


def _pair(name: str) -> tuple[UUID, str]:
    id, _colon, language = name.partition(":")
    return UUID(id), language
