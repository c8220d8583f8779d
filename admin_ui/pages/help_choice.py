"""Choosing what an article leads to: other articles, products, policies; found while typing, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import Response

from admin_ui.desk import Desk, as_id, nothing_here
from plugin.kernel.db import Tx
from plugin.kernel.text import search_key
from plugin.knowledge import articles, extras
from plugin.knowledge.articles import Kind, Listed

OFFERED = 8
_LONGEST = 80
KINDS = ("related", "product", "policy")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to lead to."""

    id: UUID
    name: str
    chosen: bool


async def choose(desk: Desk) -> Response:
    """What is ticked already, and what has the words that are typed."""
    asked = desk.request.query_params
    kind = asked.get("of", "")
    if kind not in KINDS:
        raise nothing_here()
    chosen = [as_id(one) for one in asked.getlist(kind)][: articles.MOST_RELATED + extras.MOST_LINKS]
    query = asked.get(f"find-{kind}", "")[:_LONGEST]
    async with desk.transaction() as tx:
        found = await articles.find(tx, desk.path_id())
        every = await _choices(tx, desk, found, kind, chosen, query)
    return desk.page("help_chosen.html", block="found", kind=kind, every=every, query=query)


async def choices(tx: Tx, desk: Desk, found: Listed) -> dict[str, list[Choice]]:
    """What an article leads to, and the first of what it could, by kind."""
    chosen = {
        "related": [UUID(id) for id in found.article.related],
        "product": extras.ids(found.article, extras.Link.PRODUCT),
        "policy": extras.ids(found.article, extras.Link.POLICY),
    }
    return {kind: await _choices(tx, desk, found, kind, chosen[kind], "") for kind in KINDS}


async def _choices(tx: Tx, desk: Desk, found: Listed, kind: str, chosen: Sequence[UUID], query: str) -> list[Choice]:
    if kind == "product":
        goods = await extras.products(tx, chosen, query, OFFERED + len(chosen))
        return _ordered([(one.id, one.title) for one in goods], chosen)
    if kind == "policy":
        words = search_key(query).split()
        titled = [(one.article.id, one.title(desk.t.locale)) for one in await extras.policies(tx)]
        fitting = [
            (id, name) for id, name in titled if id in chosen or all(word in search_key(name) for word in words)
        ]  # fmt: skip
    else:
        there = await articles.by_ids(tx, chosen)
        there += await articles.listed(tx, Kind.ARTICLE, query=query, limit=OFFERED + len(chosen) + 1)
        fitting = [(one.article.id, one.title(desk.t.locale)) for one in there]
    return _ordered([(id, name) for id, name in dict(fitting).items() if id != found.article.id], chosen)


def _ordered(every: Sequence[tuple[UUID, str]], chosen: Sequence[UUID]) -> list[Choice]:
    """Those that are chosen first, then as many as a glance takes in."""
    names = dict(every)
    mine = [Choice(id, names[id], True) for id in dict.fromkeys(chosen) if id in names]
    return [*mine, *[Choice(id, name, False) for id, name in names.items() if id not in chosen][:OFFERED]]
