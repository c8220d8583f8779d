"""What stands below an article: files to download, products, policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, func, or_, select
from sqlalchemy.orm import Mapped, mapped_column, undefer

from plugin.crm.products import Product
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import AhlanError, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.knowledge import articles
from plugin.knowledge.articles import Article, ArticleText, Listed, by_ids
from plugin.team import Agent

MOST_FILES = 10
MOST_LINKS = 10
ROOM = 500 * 1024 * 1024
"""Bytes of files of all articles of a workspace."""


class Link(StrEnum):
    """What an article may lead to: something on sale, or the text of a policy."""

    PRODUCT = "product"
    POLICY = "policy"


class ArticleFile(TenantRow, Base):
    """A file of an article, checked and drawn anew as those of the chat are."""

    __tablename__ = "article_files"
    __table_args__ = (
        Index(None, "workspace_id", "article_id"),
        tenant_key("article_id", "articles"),
        {"info": {"moves": "stays", **nobody("what the merchant tells everybody")}},
    )

    article_id: Mapped[UUID]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)

    @property
    def picture(self) -> bool:
        """Whether a browser may show it in place: a picture that we drew ourselves."""
        return self.media_type in ("image/jpeg", "image/png", "image/gif", "image/webp")


@dataclass(frozen=True, slots=True)
class Goods:
    """A product that an article leads to."""

    title: str
    url: str
    image_url: str


# Files


async def attach(tx: Tx, article: Article, name: str, media_type: str, content: bytes, *, by: Agent) -> ArticleFile:
    """Put a checked file below an article. Raises AhlanError where there is no more room, Forbidden for who may not
    change what shoppers see."""
    articles.changes_public(await articles.find(tx, article.id, lock=True), by)
    mine = select(func.count()).select_from(ArticleFile).where(
        ArticleFile.workspace_id == tx.workspace_id, ArticleFile.article_id == article.id
    )  # fmt: skip
    if await tx.scalar(mine) >= MOST_FILES:
        raise AhlanError(_("An article takes ten files."), _("Remove one first."), code="article_files")
    every = select(func.coalesce(func.sum(ArticleFile.size), 0)).where(ArticleFile.workspace_id == tx.workspace_id)
    if await tx.scalar(every) + len(content) > ROOM:
        raise AhlanError(
            _("The files of all articles take 500 MB already."), _("Remove some that nobody needs."), code="files_full"
        )
    row = ArticleFile(article_id=article.id, name=name, media_type=media_type, size=len(content), content=content)
    tx.add(row)
    await tx.flush()
    return row


async def files(tx: Tx, article_id: UUID) -> list[ArticleFile]:
    """The files of an article in the order in which they came, without what is in them."""
    rows = await tx.scalars(
        select(ArticleFile)
        .where(ArticleFile.workspace_id == tx.workspace_id, ArticleFile.article_id == article_id)
        .order_by(ArticleFile.id)
    )
    return list(rows)


async def detach(tx: Tx, article: Article, file_id: UUID, *, by: Agent) -> None:
    """Take a file away. Raises NotFound, and Forbidden as above."""
    articles.changes_public(await articles.find(tx, article.id, lock=True), by)
    row = await tx.get(ArticleFile, file_id)
    if row is None or row.article_id != article.id:
        raise _gone()
    await tx.session.delete(row)
    await tx.flush()


async def public_file(tx: Tx, file_id: UUID, store_id: UUID | None) -> ArticleFile:
    """A file of an article that the shoppers of a shop see, with its content. Raises NotFound."""
    seen = (
        select(ArticleText.article_id)
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.article_id == ArticleFile.article_id,
            ArticleText.published.is_not(None),
        )
        .exists()
    )
    row = await tx.scalar(
        select(ArticleFile)
        .join(Article, (Article.workspace_id == ArticleFile.workspace_id) & (Article.id == ArticleFile.article_id))
        .where(
            ArticleFile.workspace_id == tx.workspace_id,
            ArticleFile.id == file_id,
            Article.kind == "article",
            Article.deleted_at.is_(None),
            or_(Article.store_id.is_(None), Article.store_id == store_id),
            seen,
        )
        .options(undefer(ArticleFile.content))
    )
    if row is None:
        raise _gone()
    return row  # type: ignore[no-any-return] # a scalar of its query


def _gone() -> NotFound:
    return NotFound(_("This file is no longer there."), _("Choose another one."))


# Links


async def lead(tx: Tx, article: Article, products: Sequence[UUID], policies: Sequence[UUID], *, by: Agent) -> None:
    """Which products and policies an article leads to; what is not there is left out. Raises Forbidden as above."""
    articles.changes_public(await articles.find(tx, article.id, lock=True), by)
    goods = [one.id for one in await _products(tx, products)]
    texts = [one.article.id for one in await by_ids(tx, policies) if policy(one) and one.article.id != article.id]
    article.links = [
        *({"kind": Link.PRODUCT, "id": str(id)} for id in goods[:MOST_LINKS]),
        *({"kind": Link.POLICY, "id": str(id)} for id in texts[:MOST_LINKS]),
    ]
    await tx.flush()


def policy(one: Listed) -> bool:
    """Whether an article is the text of a policy: of the starter set, or as the shop's platform has it."""
    return bool(one.article.starter) or "#policy:" in one.article.origin


def ids(article: Article, kind: Link) -> list[UUID]:
    """What an article leads to."""
    return [UUID(one["id"]) for one in article.links if one["kind"] == kind]


async def policies(tx: Tx) -> list[Listed]:
    """Texts of policies that an article may lead to."""
    rows = await tx.scalars(
        select(Article.id)
        .where(
            Article.workspace_id == tx.workspace_id,
            Article.deleted_at.is_(None),
            or_(Article.starter != "", Article.origin.contains("#policy:", autoescape=True)),
        )
        .order_by(Article.place, Article.id)
        .limit(100)
    )
    return await by_ids(tx, list(rows))


async def goods(tx: Tx, article: Article, store_id: UUID) -> list[Goods]:
    """The products that an article leads to and that this shop sells, in their order."""
    rows = await _products(tx, ids(article, Link.PRODUCT))
    return [
        Goods(one.title, one.url, one.image_url)
        for one in rows
        if one.store_id == store_id and one.url.startswith(("https://", "http://"))
    ]


async def products(tx: Tx, chosen: Sequence[UUID], query: str, limit: int) -> list[Product]:
    """Products to choose from: those that are chosen, and the first whose titles have all words of `query`."""
    wanted = select(Product).where(Product.workspace_id == tx.workspace_id, Product.deleted_at.is_(None))
    for word in query.split()[:5]:
        wanted = wanted.where(Product.title.icontains(word, autoescape=True))
    rows = await tx.scalars(wanted.order_by(Product.title, Product.id).limit(limit))
    here: Mapping[UUID, Any] = {one.id: one for one in [*await _products(tx, chosen), *rows]}
    return list(here.values())


async def _products(tx: Tx, wanted: Sequence[UUID]) -> list[Product]:
    rows = await tx.scalars(
        select(Product).where(
            Product.workspace_id == tx.workspace_id, Product.id.in_(wanted), Product.deleted_at.is_(None)
        )
    )
    known = {one.id: one for one in rows}
    return [known[id] for id in dict.fromkeys(wanted) if id in known]
