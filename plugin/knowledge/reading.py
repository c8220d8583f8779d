"""What shoppers do with the help centre: what they read, whether it helped, what they look for and do not find.

Counted by day, without who: no visitor, no address. A search that holds an e-mail address or a long number is not kept.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Date, Integer, Table, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Tenant, TenantRow, Tx, tenant_key
from plugin.kernel.personal import nobody
from plugin.kernel.text import harmless, search_key
from plugin.knowledge.articles import ArticleText, Listed, by_ids

KEPT_DAYS = 400
LONGEST_SEARCH = 80
LONGEST_COMMENT = 500
MOST_A_DAY = 2_000
"""Different searches of a day that are kept: anybody may search, as often as they like, for whatever they make up."""
POPULAR_DAYS = 30

_OTHERS = {"moves": "stays"}
_PERSONAL = re.compile(r"@|\d{4}|(?:\d[\s-]?){6}")
_NUMBER = re.compile(r"[\w.+-]+@[\w.-]+|(?:\d[\s-]?){6,}")


class Reason(StrEnum):
    """Why an article did not help."""

    UNCLEAR = "unclear"
    WRONG = "wrong"
    MISSING = "missing"
    OTHER = "other"


class ArticleDay(Tenant, Base):
    """How often a text was read on a day, how often it helped and did not."""

    __tablename__ = "article_days"
    __table_args__ = (tenant_key("article_id", "articles"), {"info": {**_OTHERS, **nobody("counts by day")}})

    article_id: Mapped[UUID] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reads: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    helped: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failed: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class ArticleReason(TenantRow, Base):
    """Why a text did not help somebody, in their words. Addresses and long numbers in them are not kept."""

    __tablename__ = "article_reasons"
    __table_args__ = (
        tenant_key("article_id", "articles"),
        {"info": {**_OTHERS, **nobody("what a text lacks, from nobody in particular, without addresses and numbers")}},
    )

    article_id: Mapped[UUID]
    language: Mapped[str]
    reason: Mapped[str]
    comment: Mapped[str]


class HelpSearch(Tenant, Base):
    """What was looked for on a day and how many answers there were the last time; `said` is how somebody put it."""

    __tablename__ = "help_searches"
    __table_args__ = ({"info": {**_OTHERS, **nobody("what is looked for, without who, addresses and numbers")}},)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    said: Mapped[str]
    times: Mapped[int]
    found: Mapped[int]


class HelpDay(Tenant, Base):
    """How many people read something on a day, and how many of them wrote within a day. Nobody is named: whether
    somebody is the same is told by a word that only lives in Valkey, for two days (`plugin/widget/readers.py`)."""

    __tablename__ = "help_days"
    __table_args__ = ({"info": {**_OTHERS, **nobody("counts by day")}},)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    readers: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    wrote: Mapped[int] = mapped_column(Integer, server_default=text("0"))


# Whoever voted has read it, also where the reading itself did not reach us: a page that the shop keeps for a minute, a
# browser that looks like a robot.
_READ = func.greatest(ArticleDay.reads, ArticleDay.helped + ArticleDay.failed)


@dataclass(frozen=True, slots=True)
class Deflection:
    """Of those who read something, how many did not write within a day; and how many readings were said to help."""

    readers: int
    wrote: int
    helped: int
    reads: int

    @property
    def most(self) -> float | None:
        """The share that was not heard of again: at most so many were answered. None without readers."""
        return 1 - min(self.wrote / self.readers, 1.0) if self.readers else None

    @property
    def least(self) -> float | None:
        """The share of readings of which somebody said that they helped: at least so many were answered."""
        return min(self.helped / self.reads, 1.0) if self.reads else None


@dataclass(frozen=True, slots=True)
class Missed:
    """Something that is looked for and not found."""

    said: str
    key: str
    language: str
    times: int


@dataclass(frozen=True, slots=True)
class Told:
    """How a text does. `reasons`: how often each was given; `comments`: the latest words."""

    listed: Listed
    language: str
    reads: int
    helped: int
    failed: int
    reasons: Mapping[str, int]
    comments: Sequence[str]


async def read(tx: Tx, article_id: UUID, language: str) -> None:
    """Count one reading."""
    await _count(tx, article_id, language, "reads")


async def vote(tx: Tx, article_id: UUID, language: str, *, helped: bool) -> bool:
    """Count whether a text helped. Returns False for one that shoppers do not see."""
    row = await tx.session.get(ArticleText, (tx.workspace_id, article_id, language))
    if row is None or row.published is None:
        return False
    await _count(tx, article_id, language, "helped" if helped else "failed")
    return True


async def explain(tx: Tx, article_id: UUID, language: str, reason: Reason, comment: str) -> None:
    """Why it did not help."""
    said = _NUMBER.sub("…", harmless(" ".join(comment.split())))[:LONGEST_COMMENT]
    tx.add(ArticleReason(article_id=article_id, language=language, reason=reason, comment=said))
    await tx.flush()


async def searched(tx: Tx, said: str, language: str, found: int) -> None:
    """Count a finished search, unless it could say who asks."""
    said = harmless(" ".join(said.split()))[:LONGEST_SEARCH]
    key = search_key(said)
    if len(key) < 2 or _PERSONAL.search(said):
        return
    # Declared as a FromClause; a mapped class's own is a Table.
    table: Table = HelpSearch.__table__  # type: ignore[assignment] # declared as FromClause
    today = (table.c.workspace_id == tx.workspace_id, table.c.day == _today())
    some = select(table.c.key).where(*today).limit(MOST_A_DAY).subquery()
    if await tx.scalar(select(func.count()).select_from(some)) >= MOST_A_DAY:
        known = (*today, table.c.language == language, table.c.key == key)
        await tx.execute(update(table).where(*known).values(times=table.c.times + 1, found=found))
        return
    fresh = insert(table).values(
        workspace_id=tx.workspace_id, day=_today(), language=language, key=key, said=said, times=1, found=found
    )
    await tx.execute(
        fresh.on_conflict_do_update(
            index_elements=["workspace_id", "day", "language", "key"],
            set_={"times": table.c.times + 1, "found": found},
        )
    )


LATELY_READ = (
    "SELECT article_id, sum(greatest(reads, helped + failed)) AS reads FROM article_days "
    "WHERE workspace_id = :workspace AND article_id = ANY(:ids) AND day > :lately GROUP BY 1"
)
"""A subquery: how often articles (`ids`) were read since a day (`lately()`), in all languages."""


def lately() -> date:
    """The day after which what was read still counts."""
    return _today() - timedelta(days=POPULAR_DAYS)


async def missed(tx: Tx, days: int, limit: int = 50) -> list[Missed]:
    """What was looked for and not found the last time that it was looked for, the most frequent first."""
    rows = await tx.scalars(
        select(HelpSearch)
        .where(HelpSearch.workspace_id == tx.workspace_id, HelpSearch.day > _today() - timedelta(days=days))
        .order_by(HelpSearch.day)
    )
    latest: dict[tuple[str, str], HelpSearch] = {}
    times: dict[tuple[str, str], int] = {}
    for row in rows:
        latest[row.key, row.language] = row
        times[row.key, row.language] = times.get((row.key, row.language), 0) + row.times
    found = [
        Missed(row.said, row.key, row.language, times[pair]) for pair, row in latest.items() if row.found == 0
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-one.times, one.key))[:limit]


async def told(tx: Tx, days: int) -> list[Told]:
    """How published texts do: those that failed most people first, then the most read."""
    since = _today() - timedelta(days=days)
    sums = (func.sum(_READ), func.sum(ArticleDay.helped), func.sum(ArticleDay.failed))
    rows = (
        await tx.execute(
            select(ArticleDay.article_id, ArticleDay.language, *sums)
            .where(ArticleDay.workspace_id == tx.workspace_id, ArticleDay.day > since)
            .group_by(ArticleDay.article_id, ArticleDay.language)
            .order_by(sums[2].desc(), sums[0].desc())
            .limit(200)
        )
    ).all()
    known = {one.article.id: one for one in await by_ids(tx, list(dict.fromkeys(row[0] for row in rows)))}
    said: dict[tuple[UUID, str], list[ArticleReason]] = {}
    for reason in await tx.scalars(
        select(ArticleReason)
        .where(
            ArticleReason.workspace_id == tx.workspace_id,
            ArticleReason.created_at > datetime.now(UTC) - timedelta(days=days),
        )
        .order_by(ArticleReason.id.desc())
        .limit(1000)
    ):
        said.setdefault((reason.article_id, reason.language), []).append(reason)
    return [
        Told(
            known[id], language, int(times), int(helped), int(failed),
            _counts(said.get((id, language), ())),
            [one.comment for one in said.get((id, language), ()) if one.comment][:3],
        )
        for id, language, times, helped, failed in map(tuple, rows)
        if id in known and known[id].article.deleted_at is None
    ]  # fmt: skip


async def reader(tx: Tx, *, wrote: bool, day: date | None = None) -> None:
    """Count somebody who read for the first time on a day, or (`wrote`) a reader of that day who now writes."""
    table: Table = HelpDay.__table__  # type: ignore[assignment] # declared as FromClause
    column = "wrote" if wrote else "readers"
    fresh = insert(table).values(workspace_id=tx.workspace_id, day=day or _today(), **{column: 1})
    await tx.execute(
        fresh.on_conflict_do_update(index_elements=["workspace_id", "day"], set_={column: table.c[column] + 1})
    )


async def deflection(tx: Tx, days: int) -> Deflection:
    """What the help centre kept from becoming a conversation, as far as that can be known (docs/help-centre.md)."""
    since = _today() - timedelta(days=days)
    people = (
        await tx.execute(
            select(func.coalesce(func.sum(HelpDay.readers), 0), func.coalesce(func.sum(HelpDay.wrote), 0)).where(
                HelpDay.workspace_id == tx.workspace_id, HelpDay.day > since
            )
        )
    ).one()
    votes = (
        await tx.execute(
            select(func.coalesce(func.sum(ArticleDay.helped), 0), func.coalesce(func.sum(_READ), 0)).where(
                ArticleDay.workspace_id == tx.workspace_id, ArticleDay.day > since
            )
        )
    ).one()
    return Deflection(*(int(one) for one in (*tuple(people), *tuple(votes))))


async def prune(tx: Tx) -> None:
    """Forget counts and reasons that are older than a year and a bit."""
    oldest = _today() - timedelta(days=KEPT_DAYS)
    await tx.execute(delete(ArticleDay).where(ArticleDay.workspace_id == tx.workspace_id, ArticleDay.day < oldest))
    await tx.execute(delete(HelpDay).where(HelpDay.workspace_id == tx.workspace_id, HelpDay.day < oldest))
    await tx.execute(delete(HelpSearch).where(HelpSearch.workspace_id == tx.workspace_id, HelpSearch.day < oldest))
    await tx.execute(
        delete(ArticleReason).where(
            ArticleReason.workspace_id == tx.workspace_id,
            ArticleReason.created_at < datetime.now(UTC) - timedelta(days=KEPT_DAYS),
        )
    )


def _counts(reasons: Sequence[ArticleReason]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in reasons:
        counted[one.reason] = counted.get(one.reason, 0) + 1
    return counted


async def _count(tx: Tx, article_id: UUID, language: str, what: str) -> None:
    # As above.
    table: Table = ArticleDay.__table__  # type: ignore[assignment] # declared as FromClause
    fresh = insert(table).values(
        workspace_id=tx.workspace_id, article_id=article_id, language=language, day=_today(), **{what: 1}
    )
    await tx.execute(
        fresh.on_conflict_do_update(
            index_elements=["workspace_id", "article_id", "language", "day"], set_={what: table.c[what] + 1}
        )
    )


def _today() -> date:
    return datetime.now(UTC).date()
