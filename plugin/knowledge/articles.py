"""Articles of the help centre and snippets: texts in several languages, versions, publishing, collections."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, Conflict, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import search_key
from plugin.knowledge import markdown, rules
from plugin.knowledge.rules import Standing, State
from plugin.team import Agent, Permission, audit

LONGEST_TITLE = 200
LONGEST_BODY = 100_000
LONGEST_SNIPPET = 4_000
LONGEST_NAME = 80
MOST = 10_000
"""Articles and snippets of a workspace, the deleted ones included."""
MOST_COLLECTIONS = 100
MOST_VERSIONS = 100
"""Versions of one text that are kept; those that shoppers see are never thrown away."""
MOST_RELATED = 5


class Kind(StrEnum):
    """An article has a page of its own; a snippet is a short answer for agents, and has none."""

    ARTICLE = "article"
    SNIPPET = "snippet"


_OWN = {"moves": "stays", **nobody("what the merchant tells everybody")}


class Collection(TenantRow, Base):
    """A shelf of the help centre. `names` and `words` (what it is about) hold one text a language."""

    __tablename__ = "help_collections"
    __table_args__ = (UniqueConstraint("workspace_id", "slug"), {"info": _OWN})

    slug: Mapped[str]
    names: Mapped[dict[str, Any]]
    words: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    place: Mapped[int]

    def name(self, *languages: str) -> str:
        """Its name in the first of these languages that it has one in, else in any."""
        return _in(self.names, languages)

    def about(self, *languages: str) -> str:
        """The same for what it is about; empty where nothing is said."""
        return _in(self.words, languages)


class Article(TenantRow, Base):
    """What an article is in every language. `related`: ids, as chosen; `store_id`: only that shop's, else all shops'.
    `links`: products and policies that it leads to (plugin/knowledge/extras.py).

    `origin` is what it was imported from and `imported` a digest of each language as it came; `starter` names the
    policy of the starter set that it is, and `answers` what it was written from.
    """

    __tablename__ = "articles"
    __table_args__ = (
        Index(None, "workspace_id", "collection_id", "place", "id"),
        Index("uq_articles_origin", "workspace_id", "origin", unique=True, postgresql_where=text("origin <> ''")),
        tenant_key("collection_id", "help_collections", ondelete="NO ACTION"),
        {"info": _OWN},
    )

    kind: Mapped[str]
    source_language: Mapped[str]
    collection_id: Mapped[UUID | None]
    store_id: Mapped[UUID | None]
    place: Mapped[int] = mapped_column(server_default=text("0"))
    related: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    links: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    created_by: Mapped[UUID | None]
    origin: Mapped[str] = mapped_column(server_default="")
    imported: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    starter: Mapped[str] = mapped_column(server_default="")
    answers: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    deleted_at: Mapped[datetime | None]


class ArticleText(Tenant, Base):
    """An article in one language: its latest words, and what shoppers see of it.

    `html` and `shown` (the title) are of the version that is `published`; `former` are slugs that it had before.
    """

    __tablename__ = "article_texts"
    __table_args__ = (
        UniqueConstraint("workspace_id", "language", "slug"),
        tenant_key("article_id", "articles"),
        {"info": _OWN},
    )

    article_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    slug: Mapped[str]
    former: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    title: Mapped[str]
    body: Mapped[str]
    key: Mapped[str]
    version: Mapped[int]
    published: Mapped[int | None]
    published_at: Mapped[datetime | None]
    publish_at: Mapped[datetime | None]
    source_version: Mapped[int] = mapped_column(server_default=text("0"))
    shown: Mapped[str] = mapped_column(server_default="")
    html: Mapped[str] = mapped_column(server_default="")
    edited_by: Mapped[UUID | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    def standing(self) -> Standing:
        """How far it is, for the rules."""
        return Standing(self.version, self.published, self.publish_at, self.source_version)


class ArticleVersion(Tenant, Base):
    """The words of a text as somebody saved them."""

    __tablename__ = "article_versions"
    __table_args__ = (tenant_key("article_id", "articles"), {"info": _OWN})

    article_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    agent_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True, slots=True)
class Listed:
    """An article with its texts by language."""

    article: Article
    texts: Mapping[str, ArticleText]

    @property
    def source(self) -> ArticleText | None:
        """The text that translations follow; None before it was written."""
        return self.texts.get(self.article.source_language)

    def title(self, *languages: str) -> str:
        """Its title in the first of these languages that it is written in, else in its own."""
        for code in (*languages, self.article.source_language, *sorted(self.texts)):
            if code in self.texts:
                return self.texts[code].title
        return ""

    def outdated(self, language: str) -> bool:
        """Whether this translation is behind its source."""
        found, source = self.texts.get(language), self.source
        if found is None or source is None or found is source:
            return False
        return rules.outdated(found.standing(), source.standing())

    def state(self, language: str) -> State | None:
        """What shoppers see of this language; None: it is not written."""
        found = self.texts.get(language)
        return found.standing().state if found is not None else None


def may_publish(agent: Agent) -> bool:
    """Everybody who answers writes; what shoppers see is decided by those for whom the settings are."""
    return agent.may(Permission.MANAGE_SETTINGS)


# Reading


async def find(tx: Tx, article_id: UUID, *, lock: bool = False) -> Listed:
    """An article, a deleted one too. Raises NotFound."""
    wanted = select(Article).where(Article.workspace_id == tx.workspace_id, Article.id == article_id)
    if lock:
        # Its key stays what it is: who makes an index of it meanwhile holds no save up, and is held up by none.
        wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    article = await tx.scalar(wanted)
    if article is None:
        raise NotFound(_("This article is no longer there."), _("Choose another one."))
    rows = await tx.scalars(
        select(ArticleText)
        .where(ArticleText.workspace_id == tx.workspace_id, ArticleText.article_id == article_id)
        .execution_options(populate_existing=True)
    )
    return Listed(article, {row.language: row for row in rows})


async def listed(
    tx: Tx, kind: Kind, *, query: str = "", collection_id: UUID | None = None, deleted: bool = False, limit: int = 500
) -> list[Listed]:
    """Articles of a kind in their order; `query` is compared with titles as kernel/text.py says."""
    words = search_key(query).split()
    wanted = select(Article.id).where(
        Article.workspace_id == tx.workspace_id,
        Article.kind == kind,
        Article.deleted_at.is_not(None) if deleted else Article.deleted_at.is_(None),
    )
    if collection_id is not None:
        wanted = wanted.where(Article.collection_id == collection_id)
    for word in words:
        wanted = wanted.where(
            select(ArticleText.article_id)
            .where(
                ArticleText.workspace_id == tx.workspace_id,
                ArticleText.article_id == Article.id,
                ArticleText.key.contains(word, autoescape=True),
            )
            .exists()
        )
    return await by_ids(tx, list(await tx.scalars(wanted.order_by(Article.place, Article.id).limit(limit))))


async def any_published(tx: Tx, store_id: UUID) -> bool:
    """Whether there is anything for the shoppers of this shop to read."""
    found = await tx.scalar(
        select(Article.id)
        .join(ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id))
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.kind == Kind.ARTICLE,
            Article.deleted_at.is_(None),
            (Article.store_id.is_(None)) | (Article.store_id == store_id),
            ArticleText.published.is_not(None),
        )
        .limit(1)
    )
    return found is not None


async def by_ids(tx: Tx, ids: Sequence[UUID]) -> list[Listed]:
    """These articles with their texts, in this order; what is not there is left out."""
    if not ids:
        return []
    rows: Any = await tx.execute(
        select(Article, ArticleText)
        .outerjoin(
            ArticleText, (ArticleText.workspace_id == Article.workspace_id) & (ArticleText.article_id == Article.id)
        )
        .where(Article.workspace_id == tx.workspace_id, Article.id.in_(ids))
    )
    known: dict[UUID, Article] = {}
    texts: dict[UUID, dict[str, ArticleText]] = {}
    one: Article
    row: ArticleText | None
    for one, row in rows:
        known[one.id] = one
        if row is not None:
            texts.setdefault(one.id, {})[row.language] = row
    return [Listed(known[id], texts.get(id, {})) for id in ids if id in known]


async def versions(tx: Tx, article_id: UUID, language: str) -> list[ArticleVersion]:
    """What was saved of a text, the latest first."""
    rows = await tx.scalars(
        select(ArticleVersion)
        .where(
            ArticleVersion.workspace_id == tx.workspace_id,
            ArticleVersion.article_id == article_id,
            ArticleVersion.language == language,
        )
        .order_by(ArticleVersion.number.desc())
    )
    return list(rows)


async def version(tx: Tx, article_id: UUID, language: str, number: int) -> ArticleVersion:
    """One of them. Raises NotFound."""
    found = await tx.session.get(ArticleVersion, (tx.workspace_id, article_id, language, number))
    if found is None:
        raise NotFound(_("This version is no longer there."), _("Choose another one."))
    return found


# Writing


async def create(
    tx: Tx,
    agent_id: UUID | None,
    kind: Kind,
    language: str,
    *,
    collection_id: UUID | None = None,
    origin: str = "",
    starter: str = "",
    once: UUID | None = None,
) -> Article:
    """An article without words yet; `language` is the one that its translations will follow.

    `once` is the id that whoever begins it made up: sent a second time, it is the article that there is already.
    """
    if once is not None:
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"article {once}", 0))))
        if (there := await tx.get(Article, once)) is not None:
            return there
    have = await tx.scalar(select(func.count()).select_from(Article).where(Article.workspace_id == tx.workspace_id))
    if have >= MOST:
        raise AhlanError(
            _("There are 10,000 articles already."), _("Remove some that nobody needs."), code="articles_full"
        )
    last = await tx.scalar(select(func.max(Article.place)).where(Article.workspace_id == tx.workspace_id))
    article = Article(
        kind=kind, source_language=language, collection_id=collection_id, created_by=agent_id, origin=origin,
        starter=starter, place=0 if last is None else last + 1, related=[], imported={}, answers={},
    )  # fmt: skip
    if once is not None:
        article.id = once
    tx.add(article)
    await tx.flush()
    return article


async def write(
    tx: Tx,
    article: Article,
    language: str,
    title: str,
    body: str,
    *,
    by: UUID | None,
    seen: int | None = None,
    small: bool = False,
) -> ArticleText:
    """Keep the words of an article in a language as a new version; the same words make none.

    `seen` is the version that was on the screen: Conflict where somebody saved another meanwhile. A translation counts
    as made from its source as that is now. `small`: translations that were up to date stay so. Raises AhlanError for
    what is no article.
    """
    title, body = _checked(article, title, body)
    found = await find(tx, article.id, lock=True)
    row, source = found.texts.get(language), found.source
    same = row is not None and (row.title, row.body) == (title, body)
    if seen is not None and seen != (row.version if row is not None else 0) and not same:
        raise Conflict(
            _("Somebody else saved this text meanwhile."), _("Your words are still below, and nothing is lost.")
        )
    follows = source.standing().counts if source is not None and language != article.source_language else 0
    if row is None:
        row = ArticleText(
            workspace_id=tx.workspace_id, article_id=article.id, language=language, version=0, former=[],
            published=None, publish_at=None, published_at=None, shown="", html="",
            slug=await _free_slug(tx, language, title), title="", body="",
        )  # fmt: skip
        tx.add(row)
    elif same:
        row.source_version = follows
        await tx.flush()
        return row
    if row.publish_at is not None and by is not None:
        # It comes out with these words, so that they are a matter of who may publish.
        _allowed(await tx.get(Agent, by))
    current = [] if language != article.source_language else [
        one for one in found.texts.values() if one is not row and not found.outdated(one.language)
    ]  # fmt: skip
    if row.title != title and row.published is None and row.version:
        # Nobody has its address yet: it follows the title.
        row.slug = await _free_slug(tx, language, title, but=row)
    row.title, row.body, row.key = title, body, search_key(title)
    row.version += 1
    row.source_version, row.edited_by, row.updated_at = follows, by, datetime.now(UTC)
    tx.add(
        ArticleVersion(
            workspace_id=tx.workspace_id, article_id=article.id, language=language, number=row.version, title=title,
            body=body, agent_id=by, at=row.updated_at,
        )
    )  # fmt: skip
    if small:
        for one in current:
            one.source_version = max(one.source_version, row.version)
    await tx.flush()
    await _forget_old(tx, row)
    return row


async def restore(tx: Tx, article: Article, language: str, number: int, *, by: UUID) -> ArticleText:
    """Take an earlier version up again, as a new one: nothing that was written in between is lost.

    A translation is behind again where its source changed after that version, until somebody says that it is fine.
    """
    old = await version(tx, article.id, language, number)
    before = (await find(tx, article.id)).texts[language].source_version
    row = await write(tx, article, language, old.title, old.body, by=by)
    if language != article.source_language:
        then = await tx.scalar(
            select(func.coalesce(func.max(ArticleVersion.number), 0)).where(
                ArticleVersion.workspace_id == tx.workspace_id, ArticleVersion.article_id == article.id,
                ArticleVersion.language == article.source_language, ArticleVersion.at <= old.at,
            )
        )  # fmt: skip
        row.source_version = min(before, then)
        await tx.flush()
    return row


async def up_to_date(tx: Tx, article: Article, language: str) -> None:
    """A translation needs no change for what its source changed."""
    found = await find(tx, article.id, lock=True)
    if language in found.texts and found.source is not None:
        found.texts[language].source_version = found.source.standing().counts
        await tx.flush()


async def rename(tx: Tx, article: Article, language: str, wanted: str, *, by: Agent | None = None) -> None:
    """Another address; the former ones lead on to it. Raises Forbidden for who may not change what shoppers see."""
    found = await find(tx, article.id, lock=True)
    row = found.texts[language]
    new = await _free_slug(tx, language, wanted, but=row)
    if new == row.slug:
        return
    if row.published is not None:
        _allowed(by)
    row.former = [one for one in dict.fromkeys([row.slug, *row.former]) if one != new][:20]
    row.slug = new
    await tx.flush()


async def arrange(
    tx: Tx,
    article: Article,
    *,
    collection_id: UUID | None,
    related: Sequence[UUID],
    store_id: UUID | None,
    by: Agent | None = None,
) -> None:
    """Where an article stands, for which shop, and which others it leads to. Raises Forbidden for who may not take a
    published one off a shop's help centre and would."""
    if store_id != article.store_id and _public(await find(tx, article.id, lock=True)):
        _allowed(by)
    if collection_id is not None:
        await collection(tx, collection_id)
    known = {one.article.id for one in await by_ids(tx, list(related))}
    article.collection_id, article.store_id = collection_id, store_id
    article.related = [str(id) for id in dict.fromkeys(related) if id in known and id != article.id][:MOST_RELATED]
    await tx.flush()


async def move(tx: Tx, article: Article, step: int) -> None:
    """Let an article change places with the one before (-1) or after (1) it on its shelf."""
    row = [
        one.article
        for one in await listed(tx, Kind(article.kind), limit=MOST)
        if one.article.collection_id == article.collection_id
    ]
    _swap(row, article.id, step)
    await tx.flush()


# What shoppers see


async def publish(tx: Tx, article: Article, language: str, *, by: Agent | None) -> None:
    """Show the latest version to shoppers. `by` None: at its time, as somebody who may had planned."""
    _allowed(by)
    found = await find(tx, article.id, lock=True)
    row = found.texts.get(language)
    if row is None or article.deleted_at is not None:
        raise NotFound(_("There is no text in this language yet."), _("Write it first."))
    row.published, row.publish_at = row.version, None
    row.published_at = row.published_at or datetime.now(UTC)
    row.shown, row.html = row.title, await markdown.rendered(row.body)
    await tx.flush()
    await _told(tx, article, by, language, row.title, shown=True)


async def unpublish(tx: Tx, article: Article, language: str, *, by: Agent) -> None:
    """Take a text off the help centre; its words stay as a draft, and what was planned is off."""
    _allowed(by)
    found = await find(tx, article.id, lock=True)
    row = found.texts.get(language)
    if row is None:
        return
    row.published = row.publish_at = row.published_at = None
    row.shown = row.html = ""
    await tx.flush()
    await _told(tx, article, by, language, row.title, shown=False)


async def drop(tx: Tx, article: Article, language: str) -> None:
    """Throw a language away with its versions: there is nothing in it any more. Not for what shoppers see: unpublish
    it first."""
    for model in (ArticleVersion, ArticleText):
        await tx.execute(
            delete(model).where(
                model.workspace_id == tx.workspace_id, model.article_id == article.id, model.language == language
            )
        )


async def schedule(tx: Tx, article: Article, language: str, at: datetime, *, by: Agent) -> None:
    """Publish the latest version at `at` (UTC); what is saved until then goes along."""
    _allowed(by)
    if at <= datetime.now(UTC):
        raise AhlanError(_("This time is over."), _("Choose a later one, or publish now."), code="article_time")
    found = await find(tx, article.id, lock=True)
    row = found.texts.get(language)
    if row is None:
        raise NotFound(_("There is no text in this language yet."), _("Write it first."))
    row.publish_at = at
    await tx.flush()
    await _publish_at(tx, article.id, language, at)
    audit.note(tx, "settings.article_scheduled", by=by.id, subject=article.id, changes={"title": ["", row.title]})


async def unschedule(tx: Tx, article: Article, language: str, *, by: Agent) -> None:
    """Publish nothing by itself any more."""
    _allowed(by)
    found = await find(tx, article.id, lock=True)
    if language in found.texts:
        found.texts[language].publish_at = None
        await tx.flush()


async def publish_article(app: App, workspace_id: UUID, *, article_id: str, language: str) -> None:
    """A planned moment has come: publish, unless the plan has changed since."""
    async with app.db.transaction(workspace_id) as tx:
        article = await tx.get(Article, UUID(article_id), lock=True)
        if article is not None and article.deleted_at is None:
            row = (await find(tx, article.id)).texts.get(language)
            at = row.publish_at if row is not None else None
            if at is not None and at <= datetime.now(UTC):
                await publish(tx, article, language, by=None)
            elif at is not None:
                # The plan was put off, or our clock is behind the database's, which rang: nobody else rings again.
                await _publish_at(tx, article.id, language, at)
        await tx.complete_job()


async def _publish_at(tx: Tx, article_id: UUID, language: str, at: datetime) -> None:
    left = max(0.0, (at - datetime.now(UTC)).total_seconds())
    await tx.enqueue("publish_article", delay=left, article_id=article_id, language=language)


async def remove(tx: Tx, article: Article, *, by: Agent, back: bool = False) -> None:
    """Delete an article, or bring it `back` as it was: published texts are seen again at once, planned ones at their
    time, or now where that is over."""
    found = await find(tx, article.id, lock=True)
    if _public(found):
        _allowed(by)
    article.deleted_at = None if back else datetime.now(UTC)
    await tx.flush()
    for row in found.texts.values() if back else ():
        # Its moment may have gone by meanwhile.
        if row.publish_at is not None:
            await _publish_at(tx, article.id, row.language, row.publish_at)
    title = found.title()
    await tx.record("article.restored" if back else "article.deleted", subject_id=article.id, actor=f"agent:{by.id}")
    kind = "settings.article_restored" if back else "settings.article_deleted"
    audit.note(tx, kind, by=by.id, subject=article.id, changes={"title": ["", title] if back else [title, ""]})


# Collections


async def collections(tx: Tx) -> list[Collection]:
    """The shelves in their order."""
    rows = await tx.scalars(
        select(Collection).where(Collection.workspace_id == tx.workspace_id).order_by(Collection.place, Collection.id)
    )
    return list(rows)


async def collection(tx: Tx, collection_id: UUID) -> Collection:
    """One of them. Raises NotFound."""
    found = await tx.get(Collection, collection_id)
    if found is None:
        raise NotFound(_("This collection is no longer there."), _("Choose another one."))
    return found


async def write_collection(
    tx: Tx, names: Mapping[str, str], words: Mapping[str, str], found: Collection | None = None
) -> Collection:
    """Make a collection, or change one. Raises AhlanError for one without a name."""
    kept = {code: " ".join(said.split())[:LONGEST_NAME] for code, said in names.items() if said.strip()}
    if not kept:
        raise AhlanError(_("Give the collection a name in one language at least."), code="collection_name")
    if found is None:
        every = await collections(tx)
        if len(every) >= MOST_COLLECTIONS:
            raise AhlanError(_("There are 100 collections already."), _("Remove one first."), code="collections_full")
        name = kept.get("en") or next(iter(kept.values()))
        found = Collection(
            slug=rules.slug(name, {one.slug for one in every}), place=every[-1].place + 1 if every else 0
        )
    found.names = kept
    found.words = {code: " ".join(said.split())[:300] for code, said in words.items() if said.strip()}
    tx.add(found)
    await tx.flush()
    return found


async def move_collection(tx: Tx, found: Collection, step: int) -> None:
    """Let a collection change places with the one before (-1) or after (1) it."""
    _swap(await collections(tx), found.id, step)
    await tx.flush()


async def remove_collection(tx: Tx, found: Collection) -> None:
    """Take a shelf away; its articles stay, without one."""
    await tx.execute(
        update(Article)
        .where(Article.workspace_id == tx.workspace_id, Article.collection_id == found.id)
        .values(collection_id=None)
    )
    await tx.session.delete(found)
    await tx.flush()


# Inside


def _in(texts: Mapping[str, str], languages: Iterable[str]) -> str:
    return next((texts[code] for code in (*languages, "en", *sorted(texts)) if texts.get(code)), "")


def _swap(row: Sequence[Any], id: UUID, step: int) -> None:
    order = list(row)
    at = next((place for place, one in enumerate(order) if one.id == id), None)
    if at is None or not 0 <= at + step < len(order):
        return
    order[at], order[at + step] = order[at + step], order[at]
    for place, one in zip(sorted(one.place for one in order), order, strict=True):
        one.place = place


def changes_public(found: Listed, by: Agent) -> None:
    """Raises Forbidden for a change that shoppers would see at once, from somebody who may not make it."""
    if _public(found):
        _allowed(by)


def _public(found: Listed) -> bool:
    """Whether shoppers see it, or somebody who may has planned that they will."""
    return any(one.published is not None or one.publish_at is not None for one in found.texts.values())


def _allowed(by: Agent | None) -> None:
    if by is not None and not may_publish(by):
        raise Forbidden(_("Your role writes drafts; others publish them."), _("Ask an administrator."))


def _checked(article: Article, title: str, body: str) -> tuple[str, str]:
    title, body = " ".join(title.split()), body.replace("\r\n", "\n").strip()
    if not title or len(title) > LONGEST_TITLE:
        raise AhlanError(_("Give it a title of at most 200 characters."), code="article_title")
    most = LONGEST_SNIPPET if article.kind == Kind.SNIPPET else LONGEST_BODY
    if len(body) > most:
        raise AhlanError(
            _("This text is too long: %(most)s characters fit."), _("Make two of it."), code="article_long",
            values={"most": most},
        )  # fmt: skip
    if "\x00" in title + body:
        raise AhlanError(_("There is a sign in this text that cannot be kept."), code="article_sign")
    return title, body


async def _free_slug(tx: Tx, language: str, title: str, *, but: ArticleText | None = None) -> str:
    base = rules.slug(title)
    rows = await tx.execute(
        select(ArticleText.slug, ArticleText.article_id).where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.language == language,
            ArticleText.slug.startswith(base[: rules.LONGEST_SLUG - 6], autoescape=True),
        )
    )
    return rules.slug(title, {row.slug for row in rows if but is None or row.article_id != but.article_id})


async def _forget_old(tx: Tx, row: ArticleText) -> None:
    await tx.execute(
        delete(ArticleVersion).where(
            ArticleVersion.workspace_id == tx.workspace_id,
            ArticleVersion.article_id == row.article_id,
            ArticleVersion.language == row.language,
            ArticleVersion.number <= row.version - MOST_VERSIONS,
            ArticleVersion.number != (row.published or 0),
        )
    )


async def _told(tx: Tx, article: Article, by: Agent | None, language: str, title: str, *, shown: bool) -> None:
    actor = f"agent:{by.id}" if by is not None else "system"
    out = ["", title], ["", language]
    await tx.record(
        "article.published" if shown else "article.unpublished",
        subject_id=article.id, actor=actor, data={"language": language},
    )  # fmt: skip
    audit.note(
        tx,
        "settings.article_published" if shown else "settings.article_unpublished",
        by=by.id if by is not None else None,
        subject=article.id,
        changes=dict(zip(("title", "language"), out if shown else [pair[::-1] for pair in out], strict=True)),
    )
