"""Snippets as other texts use them: `{{ snippet.delivery-times }}` in a macro or an automatic answer.

The name behind the dot is the end of the snippet's address in any of its languages, the former ones too: whoever gives
a snippet another title breaks no macro.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from plugin import stores
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError
from plugin.kernel.lazy import _
from plugin.knowledge import articles, markdown
from plugin.knowledge.articles import Article, ArticleText, Kind


@dataclass(frozen=True, slots=True)
class Snippet:
    """What stands for a name: `words` without marks, in `language`."""

    title: str
    words: str
    language: str


async def named(
    tx: Tx, names: Collection[str], store: UUID | None, language: str, *, across: bool = True
) -> Mapping[str, Snippet]:
    """The published snippets with these names, in a language; `across`: where there is none in it, in another one.

    `store`: what is for another shop than this one is not there.
    """
    if not names:
        return {}
    rows = [row for row, shop in await _rows(tx, names) if shop in (None, store)]
    found: dict[str, Snippet] = {}
    for name in names:
        texts = {row.language: row for row in _called(rows, name) if row.published is not None}
        row = texts.get(language) or (next(iter(texts.values()), None) if across else None)
        if row is not None:
            found[name] = Snippet(row.shown, markdown.words_of(row.html), row.language)
    return found


def _called(rows: Sequence[ArticleText], name: str) -> list[ArticleText]:
    """The texts of the snippet that has this name: today's name of one goes before a former one of another."""
    today = (row.article_id for row in rows if row.slug == name)
    former = (row.article_id for row in rows if name in row.former)
    id = next(chain(today, former), None)
    return [row for row in rows if row.article_id == id]


async def check(tx: Tx, names: Collection[str]) -> None:
    """Raises AhlanError for a name that no published snippet of any shop has."""
    rows = [row for row, _shop in await _rows(tx, names)] if names else []
    for name in names:
        if not any(row.published is not None for row in _called(rows, name)):
            raise AhlanError(
                _("There is no snippet called %(name)s that is published."),
                _("Choose one from the list below the text."), code="snippet", values={"name": name},
            )  # fmt: skip


async def offered(tx: Tx, query: str, language: str, limit: int) -> list[tuple[str, str, str]]:
    """(name, title, the shop's name where it is for one only) of the published snippets whose titles have the words of
    `query`, in this language where they are written in it."""
    shops = {shop.id: shop.name for shop in await stores.all_stores(tx)}
    found = []
    for one in await articles.listed(tx, Kind.SNIPPET, query=query):
        texts = {code: row for code, row in one.texts.items() if row.published is not None}
        row = texts.get(language) or next((texts[code] for code in sorted(texts)), None)
        if row is not None:
            shop = one.article.store_id
            found.append((row.slug, row.shown, shops.get(shop, "") if shop else ""))
    return found[:limit]


async def _rows(tx: Tx, names: Collection[str]) -> Sequence[tuple[ArticleText, UUID | None]]:
    """The texts of snippets that have one of these names in any language, and the shop that each is for."""
    called = select(ArticleText.article_id).where(
        ArticleText.workspace_id == tx.workspace_id,
        or_(ArticleText.slug.in_(names), *(ArticleText.former.contains([name]) for name in names)),
    )
    rows: Any = await tx.execute(
        select(ArticleText, Article.store_id)
        .join(Article, (Article.workspace_id == ArticleText.workspace_id) & (Article.id == ArticleText.article_id))
        .where(
            ArticleText.workspace_id == tx.workspace_id,
            ArticleText.article_id.in_(called),
            Article.kind == Kind.SNIPPET,
            Article.deleted_at.is_(None),
        )
        .order_by(Article.place, Article.id, ArticleText.language)
    )
    return [(row, shop) for row, shop in rows]
