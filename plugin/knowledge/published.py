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
    """The texts of a collection (None: of no collection) that were asked for. `more`: there are others behind them."""

    collection_id: UUID | None
    texts: Sequence[Text]
    more: bool


_COLUMNS = (
    "t.article_id, a.collection_id, t.language, t.slug, t.shown, t.published_at, "
    "CASE WHEN t.published = t.version THEN t.updated_at ELSE t.published_at END AS since"
)
_SEEN = (
    " FROM article_texts t JOIN articles a ON a.workspace_id = t.workspace_id AND a.id = t.article_id "
    "WHERE t.workspace_id = :workspace AND t.published IS NOT NULL AND a.kind = 'article' AND a.deleted_at IS NULL "
    "AND (a.store_id IS NULL OR a.store_id = :store)"
)

# As many rows are read as a page shows: a shelf is walked in its order, and what stands in LATERAL … LIMIT is looked up
# by its key. As a plain join PostgreSQL reads and sorts every text of the workspace.
_ARTICLE = "a.kind = 'article' AND a.deleted_at IS NULL AND (a.store_id IS NULL OR a.store_id = :store)"
_A_TEXT = (
    " CROSS JOIN LATERAL (SELECT * FROM article_texts WHERE workspace_id = :workspace AND article_id = a.id "
    "AND language = {language} AND published IS NOT NULL LIMIT 1) t"
)
_ON_SHELF = f"FROM articles a{_A_TEXT} WHERE a.workspace_id = :workspace AND {_ARTICLE} AND a.collection_id "
# The collection too, all of which is the same: without it the index has no order for those that are in none.
_IN_ORDER = " ORDER BY a.collection_id, a.place, a.id LIMIT :"

_LANGUAGES = text(
    "SELECT c FROM unnest(CAST(:codes AS text[])) AS c CROSS JOIN LATERAL (SELECT 1 FROM article_texts t "
    "CROSS JOIN LATERAL (SELECT 1 FROM articles a WHERE a.workspace_id = :workspace AND a.id = t.article_id "
    f"AND {_ARTICLE} LIMIT 1) a WHERE t.workspace_id = :workspace AND t.language = c AND t.published IS NOT NULL "
    "LIMIT 1) t ORDER BY c"
)


def _shelf_languages(which: str) -> TextClause:
    found = f"SELECT 1 {_ON_SHELF.format(language='c')} {which} LIMIT 1"
    return text(f"SELECT c FROM unnest(CAST(:codes AS text[])) AS c CROSS JOIN LATERAL ({found}) x ORDER BY c")


def _shelf(which: str) -> TextClause:
    return text(
        f"SELECT {_COLUMNS}, t.html {_ON_SHELF.format(language=':language')} {which}{_IN_ORDER}most OFFSET :begin"
    )


_OF_ONE, _OF_NONE = "= :collection", "IS NULL"
_SHELF_LANGUAGES = {False: _shelf_languages(_OF_ONE), True: _shelf_languages(_OF_NONE)}
_SHELF = {False: _shelf(_OF_ONE), True: _shelf(_OF_NONE)}
_TITLES = f"SELECT {_COLUMNS}, '' AS html, a.place {_ON_SHELF.format(language=':language')}"
_FIRST = text(
    f"SELECT x.* FROM help_collections c CROSS JOIN LATERAL ({_TITLES} = c.id{_IN_ORDER}first) x "
    f"WHERE c.workspace_id = :workspace UNION ALL ({_TITLES} IS NULL{_IN_ORDER}loose) "
    "ORDER BY place, article_id"
)
_NAMED = text(f"SELECT {_COLUMNS}, t.html" + _SEEN + " AND t.language = :language AND t.slug = :slug")
_SOME = text(
    f"SELECT {_COLUMNS}, t.html FROM articles a{_A_TEXT.format(language=':language')} "
    f"WHERE a.workspace_id = :workspace AND {_ARTICLE} AND a.id = ANY(:ids)"
)
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
        there = [row.c for row in await self._rows(_LANGUAGES, codes=list(self.codes))]
        if collection is None:
            return there
        # Only those are looked for on the shelf: one that nothing is in would be looked for to its end.
        rows = await self._rows(_SHELF_LANGUAGES[collection == ALONE], codes=there, collection=collection)
        return [row.c for row in rows]

    async def shelves(self, language: str, first: int, loose: int) -> Mapping[UUID | None, Shelf]:
        """The first texts of each collection and the first that are in none, without their words, by the
        collection's id."""
        rows = await self._rows(_FIRST, language=language, first=first + 1, loose=loose + 1)
        texts: dict[UUID | None, list[Text]] = {}
        for row in rows:
            texts.setdefault(row.collection_id, []).append(_text(row))
        return {id: _first(id, every, first if id is not None else loose) for id, every in texts.items()}

    async def shelf(self, language: str, collection: UUID, begin: int, most: int) -> Shelf:
        """So many texts of a collection (`ALONE`: of none) from a place on."""
        rows = await self._rows(
            _SHELF[collection == ALONE], language=language, collection=collection, begin=begin, most=most + 1
        )
        return _first(None if collection == ALONE else collection, [_text(row) for row in rows], most)

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


def _first(collection: UUID | None, texts: Sequence[Text], most: int) -> Shelf:
    return Shelf(collection, texts[:most], len(texts) > most)


def _text(row: Any) -> Text:
    return Text(
        row.article_id, row.collection_id, row.language, row.slug, row.shown, row.published_at, row.since, row.html
    )
