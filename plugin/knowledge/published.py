"""What shoppers of a shop see of the help centre: of ten thousand articles only those that a page shows are read."""

# ruff: noqa: S608 (statements are put together from parts of our own; values are bound)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from plugin.kernel.db import Tx

ALONE = UUID(int=0)
"""Stands for the shelf of what is in no collection."""


@dataclass(frozen=True, slots=True)
class Text:
    """A published text. `since`: when its words became what they are; `html` is empty where it was not asked for."""

    article_id: UUID
    collection_id: UUID | None
    language: str
    slug: str
    shown: str
    published_at: datetime | None
    since: datetime | None
    html: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """The texts of a collection (None: of no collection) that were asked for, of how many."""

    collection_id: UUID | None
    texts: Sequence[Text]
    many: int


_COLUMNS = (
    "t.article_id, a.collection_id, t.language, t.slug, t.shown, t.published_at, "
    "CASE WHEN t.published = t.version THEN t.updated_at ELSE t.published_at END AS since"
)
_SEEN = (
    " FROM article_texts t JOIN articles a ON a.workspace_id = t.workspace_id AND a.id = t.article_id "
    "WHERE t.workspace_id = :workspace AND t.published IS NOT NULL AND a.kind = 'article' AND a.deleted_at IS NULL "
    "AND (a.store_id IS NULL OR a.store_id = :store)"
)

_LANGUAGES = text(
    "SELECT c FROM unnest(CAST(:codes AS text[])) AS c WHERE EXISTS (SELECT 1"
    + _SEEN
    + " AND t.language = c) ORDER BY c"
)
_SHELF_LANGUAGES = text(
    "SELECT c FROM unnest(CAST(:codes AS text[])) AS c WHERE EXISTS (SELECT 1" + _SEEN + " AND t.language = c "
    f"AND coalesce(a.collection_id, '{ALONE}') = :collection) ORDER BY c"
)
# What is counted and put in order is only ids; the words are fetched for those that are shown.
_ORDERED = "SELECT a.id, a.place, t.language AS spoken, count(*) OVER (PARTITION BY a.collection_id) AS many"
_JOINED = (
    "JOIN articles a ON a.workspace_id = :workspace AND a.id = x.id "
    "JOIN article_texts t ON t.workspace_id = :workspace AND t.article_id = x.id AND t.language = x.spoken"
)
_FIRST = text(
    f"SELECT {_COLUMNS}, '' AS html, x.many FROM ({_ORDERED}, "
    "row_number() OVER (PARTITION BY a.collection_id ORDER BY a.place, a.id) AS n"
    + _SEEN
    + f" AND t.language = :language) x {_JOINED} WHERE x.n <= :first ORDER BY x.n"
)
_SHELF = text(
    f"SELECT {_COLUMNS}, t.html, x.many FROM ({_ORDERED}"
    + _SEEN
    + f" AND t.language = :language AND coalesce(a.collection_id, '{ALONE}') = :collection "
    f"ORDER BY a.place, a.id LIMIT :most OFFSET :begin) x {_JOINED} ORDER BY x.place, x.id"
)
_NAMED = text(f"SELECT {_COLUMNS}, t.html" + _SEEN + " AND t.language = :language AND t.slug = :slug")
_SOME = text(f"SELECT {_COLUMNS}, t.html" + _SEEN + " AND t.language = :language AND t.article_id = ANY(:ids)")
_TEXTS = text(f"SELECT {_COLUMNS}, '' AS html" + _SEEN + " AND t.article_id = :id ORDER BY t.language")
_LED = text(
    f"SELECT {_COLUMNS}, '' AS html, t.former ? :slug AS own"
    + _SEEN
    + " AND t.language = :language AND (t.former ? :slug OR t.article_id IN ("
    "SELECT o.article_id FROM article_texts o WHERE o.workspace_id = :workspace AND o.published IS NOT NULL "
    "AND (o.slug = :slug OR o.former ? :slug))) ORDER BY own DESC, t.article_id LIMIT 1"
)
_EVERY = text(f"SELECT {_COLUMNS}, '' AS html" + _SEEN + " ORDER BY a.place, a.id, t.language")


@dataclass(frozen=True, slots=True)
class Published:
    """What is published for the shop `store`; `codes` are the languages of the product."""

    tx: Tx
    store: UUID
    codes: Sequence[str]

    async def languages(self, collection: UUID | None = None) -> list[str]:
        """Languages that something is published in, in all or on one shelf (`ALONE`: on none)."""
        if collection is None:
            rows = await self._rows(_LANGUAGES, codes=list(self.codes))
        else:
            rows = await self._rows(_SHELF_LANGUAGES, codes=list(self.codes), collection=collection)
        return [row.c for row in rows]

    async def shelves(self, language: str, first: int) -> Mapping[UUID | None, Shelf]:
        """The first texts of each collection, without their words, by the collection's id."""
        rows = await self._rows(_FIRST, language=language, first=first)
        found: dict[UUID | None, Shelf] = {}
        for row in rows:
            before = found.get(row.collection_id, Shelf(row.collection_id, (), row.many))
            found[row.collection_id] = Shelf(row.collection_id, [*before.texts, _text(row)], row.many)
        return found

    async def shelf(self, language: str, collection: UUID, begin: int, most: int) -> Shelf:
        """So many texts of a collection (`ALONE`: of none) from a place on."""
        rows = await self._rows(_SHELF, language=language, collection=collection, begin=begin, most=most)
        id = None if collection == ALONE else collection
        return Shelf(id, [_text(row) for row in rows], rows[0].many if rows else 0)

    async def named(self, language: str, slug: str) -> Text | None:
        """The text with this address."""
        rows = await self._rows(_NAMED, language=language, slug=slug)
        return _text(rows[0]) if rows else None

    async def led(self, language: str, slug: str) -> tuple[Text, bool] | None:
        """The text that a former address, or one of another language, leads to; True: it was its own."""
        rows = await self._rows(_LED, language=language, slug=slug)
        return (_text(rows[0]), bool(rows[0].own)) if rows else None

    async def some(self, language: str, ids: Sequence[UUID]) -> Mapping[UUID, Text]:
        """Those of these articles that are published in a language."""
        if not ids:
            return {}
        return {row.article_id: _text(row) for row in await self._rows(_SOME, language=language, ids=list(ids))}

    async def texts(self, article: UUID) -> Mapping[str, Text]:
        """An article's published languages."""
        return {row.language: _text(row) for row in await self._rows(_TEXTS, id=article)}

    async def every(self) -> Mapping[UUID, Sequence[Text]]:
        """All of them, by article, without their words: for the site map."""
        found: dict[UUID, list[Text]] = {}
        for row in await self._rows(_EVERY):
            found.setdefault(row.article_id, []).append(_text(row))
        return found

    async def _rows(self, statement: TextClause, **values: Any) -> Sequence[Any]:
        return (
            await self.tx.execute(statement, {"workspace": self.tx.workspace_id, "store": self.store, **values})
        ).all()


def _text(row: Any) -> Text:
    return Text(
        row.article_id, row.collection_id, row.language, row.slug, row.shown, row.published_at, row.since, row.html
    )
