"""Whether the bot understands less than it did: each week that is over against the weeks before it.

Three shares (what it was not sure of, what it handed over, what was corrected) and how the gate's scores lie. A share
is held against what such weeks usually are: the next one lies above the bound in one of four hundred, by Student's t
for one more of the same (a prediction interval), and never nearer than the chance of the draw alone. Scores are
compared by Kolmogorov and Smirnov's two-sample test, one score for each conversation, for those of one are alike.
Four looks together: one false alarm in a hundred weeks (Bonferroni). What is certain and small is no alarm either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import atan, cos, exp, fsum, log, pi, sin, sqrt
from statistics import fmean, variance
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Integer, Table, delete, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.bot import bots
from plugin.kernel.db import Base, Tenant, Tx, tenant_key
from plugin.kernel.i18n import zone_of
from plugin.kernel.personal import nobody

CHANCE = 0.01
"""How seldom a week raises a false alarm, all looks together."""

LOOKS = 4
BEFORE = 8
"""Weeks that a week is compared with."""

LEAST_WEEKS, LEAST_TALKS = 4, 40
"""Fewer weeks, or a week with fewer conversations, say nothing."""

SHIFT = 0.08
"""A share must have risen by this, and scores lie apart by twice this (the largest distance of their sums)."""

LOWEST, HIGHEST, BINS = -1.5, 3.0, 30
"""Between which gates are counted, in how many steps; what lies outside counts at the ends."""

SHARES = ("unsure", "handed", "corrected")
SCORES = "scores"

_KEPT_WEEKS = 60


class BotWeek(Tenant, Base):
    """A week of a store's bot, Monday to Sunday by the workspace's clock: counted conversations, nobody named.

    `scores`: how many conversations began with which gate, in `BINS` steps. `alarms`: what differs
    from the weeks before.
    """

    __tablename__ = "bot_weeks"
    __table_args__ = (
        tenant_key("store_id", "stores"),
        {"info": nobody("counts by week")},
    )

    store_id: Mapped[UUID] = mapped_column(primary_key=True)
    week: Mapped[date] = mapped_column(Date, primary_key=True)
    talks: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    unsure: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    handed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    corrected: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    scores: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    alarms: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))


@dataclass(frozen=True, slots=True)
class Week:
    """What is compared of a week."""

    talks: int
    counts: Mapping[str, int]
    scores: Sequence[int]

    def share(self, name: str) -> float:
        """Of its conversations, 0 to 1."""
        return self.counts[name] / self.talks if self.talks else 0.0


# The tests, pure


def alarms(now: Week, before: Sequence[Week]) -> list[str]:
    """What of a week differs from the weeks before: names of SHARES, and SCORES. Pure."""
    usual = [week for week in before if week.talks >= LEAST_TALKS][:BEFORE]
    if now.talks < LEAST_TALKS or len(usual) < LEAST_WEEKS:
        return []
    found = [name for name in SHARES if _risen(name, now, usual)]
    ours = now.scores
    theirs = [sum(column) for column in zip(*(week.scores for week in usual), strict=True)]
    apart = distance(ours, theirs)
    if apart >= 2 * SHIFT and by_chance(apart, sum(ours), sum(theirs)) < CHANCE / LOOKS:
        found.append(SCORES)
    return found


def _risen(name: str, now: Week, usual: Sequence[Week]) -> bool:
    shares = [week.share(name) for week in usual]
    middle, weeks = fmean(shares), len(shares)
    drawn = fmean(_draw(middle, week.talks) for week in usual)
    spread = max(variance(shares), drawn) / weeks + max(variance(shares), _draw(middle, now.talks))
    rise = now.share(name) - middle
    return rise >= SHIFT and above(rise / sqrt(spread), weeks - 1) < CHANCE / LOOKS


def _draw(share: float, talks: int) -> float:
    """The variance of a share that chance alone brings; never none, as of one more of each kind."""
    kind = (share * talks + 1) / (talks + 2)
    return kind * (1 - kind) / talks


def above(value: float, degrees: int) -> float:
    """How probable it is that Student's t with whole `degrees` lies above a value (Abramowitz and Stegun, 26.7.3-4)."""
    angle = atan(value / sqrt(degrees))
    term = total = cos(angle) if degrees % 2 else 1.0
    for at in range(3 if degrees % 2 else 2, degrees - 1, 2):
        term *= cos(angle) ** 2 * (at - 1) / at
        total += term
    odd = 2 / pi * (angle + (sin(angle) * total if degrees > 1 else 0.0))
    return (1 - (odd if degrees % 2 else sin(angle) * total)) / 2


def distance(one: Sequence[int], other: Sequence[int]) -> float:
    """The largest difference of two histograms' sums, 0 to 1."""
    if not sum(one) or not sum(other):
        return 0.0
    most = first = second = 0.0
    for a, b in zip(one, other, strict=True):
        first, second = first + a / sum(one), second + b / sum(other)
        most = max(most, abs(first - second))
    return most


def by_chance(apart: float, one: int, other: int) -> float:
    """How probable such a distance of so many from so many is by chance (Kolmogorov 1933; too careful with steps)."""
    size = sqrt(one * other / (one + other))
    value = (size + 0.12 + 0.11 / size) * apart
    terms = [exp(-2 * at * at * value * value) * (1 if at % 2 else -1) for at in range(1, 101)]
    return min(1.0, max(0.0, 2 * sum(terms)))


def stability(one: Sequence[int], other: Sequence[int]) -> float:
    """The population stability index of two histograms in ten joined steps, for the screen: above 0.25 is a lot."""
    joined = [
        [sum(each[at : at + BINS // 10]) + 0.5 for at in range(0, BINS, BINS // 10)] for each in (one, other)
    ]  # fmt: skip
    shares = [[part / sum(each) for part in each] for each in joined]
    return fsum((a - b) * log(a / b) for a, b in zip(*shares, strict=True))


# Counting


async def keep_weeks(tx: Tx, timezone: str, now: datetime) -> None:
    """Count the weeks that are over and not counted yet, for each store whose bot is on, and compare the last one."""
    last = last_week(timezone, now)
    for bot in await bots.enabled(tx):
        there = set(
            await tx.scalars(
                select(BotWeek.week).where(BotWeek.workspace_id == tx.workspace_id, BotWeek.store_id == bot.store_id)
            )
        )
        for back in range(BEFORE, -1, -1):
            monday = last - timedelta(weeks=back)
            if monday not in there:
                await _count(tx, bot.store_id, monday, timezone)
        await _compare(tx, bot.store_id, last)
    await tx.execute(
        delete(BotWeek).where(
            BotWeek.workspace_id == tx.workspace_id, BotWeek.week < last - timedelta(weeks=_KEPT_WEEKS)
        )
    )


def last_week(timezone: str, now: datetime) -> date:
    """The Monday of the week that was over last, by a clock. Pure."""
    today = now.astimezone(zone_of(timezone)).date()
    return today - timedelta(days=today.weekday() + 7)


_COUNT = text("""
WITH turns AS (
    SELECT conversation_id, outcome, reason, data,
        row_number() OVER (PARTITION BY conversation_id ORDER BY created_at, id) AS place
    FROM bot_turns
    WHERE workspace_id = :workspace AND store_id = :store AND created_at >= :since AND created_at < :until
        AND reason NOT IN ('manners', 'nothing_said', 'models_away', 'address_given')
), talks AS (
    SELECT conversation_id,
        bool_or(reason IN ('outside', 'unsure', 'nothing_written', 'asked_enough')) AS unsure,
        bool_or(outcome = 'person' AND reason <> 'person_wanted') AS handed,
        max((data -> 'parts' -> 0 ->> 'gate')::float) FILTER (WHERE place = 1) AS gate
    FROM turns GROUP BY 1
)
SELECT count(*) AS talks, count(*) FILTER (WHERE unsure) AS unsure, count(*) FILTER (WHERE handed) AS handed,
    count(*) FILTER (WHERE EXISTS (SELECT FROM bot_lessons l WHERE l.workspace_id = :workspace
        AND l.conversation_id = talks.conversation_id AND l.origin = '')) AS corrected,
    coalesce(array_agg(gate) FILTER (WHERE gate IS NOT NULL), '{}') AS gates
FROM talks
""")


async def _count(tx: Tx, store_id: UUID, monday: date, timezone: str) -> None:
    zone = zone_of(timezone)
    since, until = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (monday, monday + timedelta(days=7)))
    bound = {"workspace": tx.workspace_id, "store": store_id, "since": since, "until": until}
    row = (await tx.execute(_COUNT, bound)).one()
    table: Table = BotWeek.__table__  # type: ignore[assignment] # declared as FromClause
    await tx.execute(
        insert(table)
        .values(
            workspace_id=tx.workspace_id, store_id=store_id, week=monday, talks=row.talks, unsure=row.unsure,
            handed=row.handed, corrected=row.corrected, scores=histogram(row.gates), alarms=[],
        )
        .on_conflict_do_nothing()
    )  # fmt: skip


def histogram(gates: Sequence[float]) -> list[int]:
    """How many of the scores lie in which step. Pure."""
    found = [0] * BINS
    for gate in gates:
        at = int((gate - LOWEST) / (HIGHEST - LOWEST) * BINS)
        found[min(BINS - 1, max(0, at))] += 1
    return found


async def _compare(tx: Tx, store_id: UUID, monday: date) -> None:
    rows = await weeks(tx, store_id, until=monday)
    if rows and rows[0].week == monday:
        found = alarms(as_week(rows[0]), [as_week(row) for row in rows[1:]])
        if found != rows[0].alarms:
            rows[0].alarms = found
            await tx.flush()
            tx.publish("bot", {"drift": str(store_id)})
        await tx.enqueue("watch_store", store_id=store_id)


def as_week(row: BotWeek) -> Week:
    """A counted week, to be compared. Pure."""
    return Week(row.talks, {name: getattr(row, name) for name in SHARES}, row.scores or [0] * BINS)


async def weeks(tx: Tx, store_id: UUID, *, until: date | None = None, limit: int = BEFORE + 1) -> Sequence[BotWeek]:
    """The weeks of a store's bot, the newest first."""
    rows = await tx.scalars(
        select(BotWeek)
        .where(
            BotWeek.workspace_id == tx.workspace_id,
            BotWeek.store_id == store_id,
            *((BotWeek.week <= until,) if until is not None else ()),
        )
        .order_by(BotWeek.week.desc())
        .limit(limit)
    )
    return list(rows)


async def drifted(tx: Tx, store_id: UUID, now: datetime) -> tuple[str, ...]:
    """What differs in the last week that was counted, as long as that is the week before this one."""
    rows = await weeks(tx, store_id, limit=1)
    fresh = bool(rows) and rows[0].week >= (now - timedelta(days=15)).date()
    return tuple(rows[0].alarms) if fresh else ()
