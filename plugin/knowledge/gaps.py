"""Drafts for what shoppers looked for and did not find: one for each search, however often it is asked for."""

import hashlib
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select

from plugin.kernel.db import Tx
from plugin.kernel.text import search_key
from plugin.knowledge import articles
from plugin.knowledge.articles import Article, Kind
from plugin.knowledge.reading import Missed
from plugin.team import Agent


async def draft(tx: Tx, title: str, language: str, *, by: Agent) -> Article:
    """A draft whose title is what was searched for; a second time it is the same one, and a deleted one comes back.

    Raises AhlanError for what is no title.
    """
    origin = _origin(search_key(title), language)
    # Whoever clicks twice gets one draft.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{tx.workspace_id} {origin}", 0))))
    there: Article | None = await tx.scalar(
        select(Article).where(Article.workspace_id == tx.workspace_id, Article.origin == origin)
    )
    if there is None:
        there = await articles.create(tx, by.id, Kind.ARTICLE, language, origin=origin)
        await articles.write(tx, there, language, title, "", by=by.id)
    elif there.deleted_at is not None:
        await articles.remove(tx, there, by=by, back=True)
    return there


async def drafts(tx: Tx, missed: Sequence[Missed]) -> Mapping[tuple[str, str], UUID]:
    """The drafts that there are already, by what was searched for and its language."""
    known = {_origin(one.key, one.language): (one.key, one.language) for one in missed}
    rows = await tx.execute(
        select(Article.origin, Article.id).where(
            Article.workspace_id == tx.workspace_id, Article.origin.in_(known), Article.deleted_at.is_(None)
        )
    )
    return {known[row.origin]: row.id for row in rows}


def _origin(key: str, language: str) -> str:
    return f"search:{language}:{hashlib.sha256(key.encode()).hexdigest()[:24]}"
