"""The names of a store's goods, read once and kept as long as the store changes nothing.

Of a bigger shop the names that changed last are kept; beyond those the database is asked for the words of a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from sqlalchemy import Row, case, func, or_, select

from plugin.bot import lexicon
from plugin.bot.goods import Found, Goods, Named, named, things
from plugin.crm.products import Product, Translation
from plugin.kernel.db import Tx
from plugin.kernel.text import search_key

KEPT = 2_000
"""Names that are kept of one store, the ones that changed last first."""
_KEPT_IN_ALL = 20_000
"""Of all stores together, in one process."""
_BEYOND = 100
_WORDS_BEYOND = 4
_TAGS = 10
_LANGUAGES = tuple(code for code in lexicon.languages() if "-" not in code)


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: tuple[Any, ...]
    goods: Goods


_kept: dict[tuple[UUID, UUID], _Kept] = {}


async def find(tx: Tx, store_id: UUID, text: str) -> Found:
    """Which goods of a store a text names, of those that shoppers can see."""
    if not things(text):
        return Found()
    count, kept = await _goods(tx, store_id)
    return named(text, kept) if count <= KEPT else named(text, kept, await _beyond(tx, store_id, text))


def public(tx: Tx, store_id: UUID) -> list[Any]:
    """What a product must be like to be spoken of: of this store, there, and with a page that a shopper can open."""
    return [
        Product.workspace_id == tx.workspace_id,
        Product.store_id == store_id,
        Product.deleted_at.is_(None),
        Product.title != "",
        # Drafts and archived goods have no such page.
        or_(func.lower(Product.status).in_(("active", "publish", "published")), Product.status == ""),
    ]


async def _goods(tx: Tx, store_id: UUID) -> tuple[int, Goods]:
    """How many goods a store has, and the names that are kept of them."""
    # The platforms' clocks tick in seconds: two titles of one second are told apart by themselves.
    letters = func.sum(func.hashtext(Product.title))
    # A translation changes without its product.
    translated = func.sum(func.jsonb_hash(Product.translations))
    stamp = tuple(
        (
            await tx.execute(
                select(func.count(), func.max(Product.version), letters, translated).where(*public(tx, store_id))
            )
        ).one()
    )  # fmt: skip
    key = (tx.workspace_id, store_id)
    known = _kept.pop(key, None)
    if known is None or known.stamp != stamp:
        rows = await tx.execute(
            _names().where(*public(tx, store_id)).order_by(Product.version.desc(), Product.id).limit(KEPT)
        )
        known = _Kept(stamp, Goods(_named(rows)))
    # What was asked for last stands last; what was not asked for the longest goes first.
    _kept[key] = known
    while len(_kept) > 1 and sum(len(one.goods) for one in _kept.values()) > _KEPT_IN_ALL:
        del _kept[next(iter(_kept))]
    return int(stamp[0]), known.goods


async def _beyond(tx: Tx, store_id: UUID, text: str) -> Goods:
    """Goods whose titles have the longest words of a text as they were typed, those with most of them first."""
    asked = set(things(text))
    typed = {one.strip(_EDGES) for one in text.split()}
    meant = [word for word in typed if not asked.isdisjoint(search_key(word).split())]
    longest = sorted(meant, key=lambda word: (-len(word), word))[:_WORDS_BEYOND]
    if not longest:
        return Goods(())
    titles = func.concat_ws("\n", Product.title, *(Product.translations[code]["title"].astext for code in _LANGUAGES))
    has = [titles.icontains(word, autoescape=True) for word in longest]
    many = sum((case((one, 1), else_=0) for one in has[1:]), case((has[0], 1), else_=0))
    rows = await tx.execute(
        _names().where(*public(tx, store_id), or_(*has)).order_by(many.desc(), Product.id).limit(_BEYOND)
    )
    return Goods(_named(rows))


_EDGES = ".,;:!?()[]\"'«»“”„‘’،؛؟…-–—"


def _names() -> Any:
    return select(
        Product.id, Product.title, Product.translations, Product.product_type, Product.tags, Product.url
    )  # fmt: skip


def _named(rows: Iterable[Row[Any]]) -> list[Named]:
    return [
        Named(str(one.id), title, more)
        for one in rows
        for more in (_more(one.product_type, one.tags, one.url),)
        for title in dict.fromkeys((one.title, *_translated(one.translations)))
    ]


def _translated(translations: Mapping[str, Translation]) -> list[str]:
    return [one["title"] for one in translations.values() if one["title"]]


def _more(kind: str, tags: Sequence[str], url: str) -> str:
    """Other words for a product. Its address is mostly its name in Latin letters."""
    address = re.sub(r"[-_/.]+", " ", unquote(urlsplit(url).path.rpartition("/")[2]))
    return " ".join((kind, *tags[:_TAGS], address))
