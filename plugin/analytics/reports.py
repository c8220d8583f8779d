"""The service report: what came in, how soon it was answered and settled, what is left.

Everything is about the conversations that began in a span of days and that a filter of the inbox lets through, without
spam. The same filter, opened in the inbox, shows what a number counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import ARRAY, DateTime, Float, Table, and_, case, func, literal, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import Grouping

from plugin.conversations import hours as clock
from plugin.conversations import views
from plugin.conversations.clocks import ConversationClock
from plugin.conversations.conversations import Conversation, Status
from plugin.conversations.filters import WEEKDAYS, Filter, Key, Term, Value
from plugin.conversations.hours import ALWAYS, Hours
from plugin.conversations.ratings import Rating
from plugin.conversations.tags import ConversationTag
from plugin.conversations.teams import Rules, all_teams
from plugin.conversations.views import Reader
from plugin.kernel.db import Tx
from plugin.kernel.events import Event

LONGEST = 366
"""Days of a report, at most."""
PLEASED = 4
"""A score from here on counts as satisfied."""

_DONE = (Status.RESOLVED, Status.SPAM)
_TURNS = {
    "conversation.started": False,
    "conversation.reopened": False,
    "conversation.pending": False,
    "conversation.snoozed": False,
    "conversation.woken": False,
    "conversation.resolved": True,
    "conversation.marked_spam": True,
}


_PROMISED = (
    select(ConversationClock.kind)
    .where(
        ConversationClock.workspace_id == Conversation.workspace_id,
        ConversationClock.conversation_id == Conversation.id,
    )
    .exists()
)
# Another name than the one under which filters look ratings up: SQLAlchemy would take theirs for this one.
_rating = aliased(Rating)


class By(StrEnum):
    """What one row of a table stands for."""

    ALL = "all"
    DAY = "day"
    HOUR = "hour"
    CHANNEL = "channel"
    STORE = "store"
    LANGUAGE = "language"
    TOPIC = "topic"
    TAG = "tag"
    AGENT = "agent"
    TEAM = "team"


@dataclass(frozen=True, slots=True)
class Days:
    """Calendar days from `first` to `last`, both counted, where `zone` is."""

    first: date
    last: date
    zone: tzinfo

    @property
    def length(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def days(self) -> list[date]:
        """Each of them."""
        return [self.first + timedelta(days=ahead) for ahead in range(self.length)]

    @property
    def before(self) -> "Days":
        """As many days, right before."""
        return Days(self.first - timedelta(days=self.length), self.first - timedelta(days=1), self.zone)

    @property
    def bounds(self) -> list[datetime]:
        """The midnights (UTC) from the beginning of the first day to the end of the last."""
        return [_midnight(day, self.zone) for day in [*self.days, self.last + timedelta(days=1)]]

    def terms(self) -> tuple[Term, ...]:
        """As conditions of a filter."""
        if self.first == self.last:
            return (Term(Key.CREATED, (Value(self.first.isoformat(), day=self.first),)),)
        return tuple(
            Term(Key.CREATED, (Value(day.isoformat(), compare, day=day),))
            for compare, day in ((">=", self.first), ("<=", self.last))
        )


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """Which conversations. `asked` narrows them; `reader` is who asks, and where the days begin.

    With `business` times count the hours of the team that a conversation belongs to, else every hour.
    """

    asked: Filter
    days: Days
    reader: Reader
    business: bool = False

    @property
    def filter(self) -> Filter:
        """What the inbox shows for it."""
        spam = Term(Key.STATUS, (Value(Status.SPAM.value),), negated=True)
        return Filter((*self.asked.terms, *self.days.terms(), spam), self.asked.words, self.asked.without)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one group: how many began, were answered and are resolved; times in seconds, None where there are none.

    The median is the time that half of them kept, p90 the one that nine of ten kept. `promised`: an answer target
    counts or counted for them; `broken`: it was missed. `rated`: their shopper said how it was; `pleased`: with 4 or 5.
    """

    begun: int = 0
    answered: int = 0
    first_median: float | None = None
    first_p90: float | None = None
    resolved: int = 0
    resolution_median: float | None = None
    resolution_p90: float | None = None
    promised: int = 0
    broken: int = 0
    rated: int = 0
    pleased: int = 0

    @property
    def kept(self) -> float | None:
        """The share of the promised that was kept so far; None where nothing was promised."""
        return 1 - self.broken / self.promised if self.promised else None

    @property
    def satisfaction(self) -> float | None:
        """The share of the rated that got 4 or 5; None where nothing was rated."""
        return self.pleased / self.rated if self.rated else None


async def conditions(tx: Tx, question: Question) -> list[Any]:
    """What a question counts, as SQL over `Conversation`."""
    return await views.conditions(tx, question.filter, question.reader)


async def figures(tx: Tx, question: Question, by: By = By.ALL) -> dict[str, Figures]:
    """The figures of every group that has conversations, by its key: a day, a channel, an agent's id ("" is nobody)…

    By.HOUR's keys are a weekday of `WEEKDAYS` and an hour: `mon 14`. A conversation with two tags is in both groups.
    """
    counted = await conditions(tx, question)
    teams = [team.rules() for team in await all_teams(tx)]
    key = _key(tx, by, question, teams)
    first, resolution = (
        _seconds(tx, question, teams, end) for end in (Conversation.first_replied_at, Conversation.resolved_at)
    )
    statement = (
        select(
            key.label("key"),
            func.count().label("begun"),
            func.count(Conversation.first_replied_at).label("answered"),
            # Where we wrote first there was nothing to answer.
            _percentiles(first).filter(~Conversation.begun_by_us).label("first"),
            func.count(Conversation.resolved_at).label("resolved"),
            _percentiles(resolution).label("resolution"),
            func.count().filter(_PROMISED).label("promised"),
            func.count().filter(_PROMISED, views.overdue(datetime.now(UTC))).label("broken"),
            func.count(_rating.score).label("rated"),
            func.count().filter(_rating.score >= PLEASED).label("pleased"),
        )
        .select_from(Conversation)
        .outerjoin(
            _rating, and_(_rating.workspace_id == Conversation.workspace_id, _rating.conversation_id == Conversation.id)
        )
        .where(*counted)
    )
    if by is By.TAG:
        statement = statement.join(
            ConversationTag,
            and_(
                ConversationTag.workspace_id == Conversation.workspace_id,
                ConversationTag.conversation_id == Conversation.id,
            ),
        )
    if by is not By.ALL:
        statement = statement.group_by(key)
    return {_name(by, row.key, question.days): _read(row) for row in await tx.execute(statement) if row.begun}


def _read(row: Any) -> Figures:
    first_median, first_p90 = row.first or (None, None)
    resolution_median, resolution_p90 = row.resolution or (None, None)
    return Figures(
        row.begun,
        row.answered,
        first_median,
        first_p90,
        row.resolved,
        resolution_median,
        resolution_p90,
        row.promised,
        row.broken,
        row.rated,
        row.pleased,
    )


def _key(tx: Tx, by: By, question: Question, teams: Sequence[Rules]) -> Any:
    match by:
        case By.ALL:
            return literal("")
        case By.DAY:
            return _place(Conversation.created_at, question.days.bounds)
        case By.HOUR:
            return func.to_char(views.begun_at(question.reader), "ID HH24")
        case By.CHANNEL:
            return Conversation.channel
        case By.STORE:
            return Conversation.store_id
        case By.LANGUAGE:
            return views.language
        case By.TOPIC:
            return Conversation.topic
        case By.TAG:
            return ConversationTag.key
        case By.AGENT:
            return Conversation.assignee_id
        case By.TEAM:
            return views.by_team(tx, teams, {team.id: literal(str(team.id)) for team in teams}, literal(""))


def _name(by: By, found: object, days: Days) -> str:
    if by is By.DAY:
        return (days.first + timedelta(days=int(str(found)) - 1)).isoformat()
    if by is By.HOUR:
        weekday, _blank, hour = str(found).partition(" ")
        return f"{WEEKDAYS[int(weekday) - 1]} {int(hour)}"
    return "" if found is None else str(found)


def _place(moment: Any, bounds: list[datetime]) -> Any:
    """Between which of the bounds a moment lies, counted from 1; 0 is before the first."""
    return func.width_bucket(moment, literal(bounds, ARRAY(DateTime(timezone=True))))


def _seconds(tx: Tx, question: Question, teams: Sequence[Rules], end: Any) -> Any:
    """From the beginning of a conversation to `end`."""
    if not question.business:
        return func.extract("epoch", end - Conversation.created_at)
    since, until = question.days.bounds[0], max(datetime.now(UTC), question.days.bounds[-1])
    worked = {team.id: _worked(Conversation.created_at, end, team.hours, since, until) for team in teams}
    return views.by_team(tx, teams, worked, _worked(Conversation.created_at, end, ALWAYS, since, until))


def _worked(begin: Any, end: Any, hours: Hours, since: datetime, until: datetime) -> Any:
    """Business seconds between two columns: what had passed by the end, less what had passed by the beginning."""
    spans = list(clock.spans(hours, since, until)) or [(until, until)]
    passed, total = [], 0.0
    for opens, closes in spans:
        passed.append(total)
        total += (closes - opens).total_seconds()
    moments = ARRAY(DateTime(timezone=True))
    # PostgreSQL takes an element only of what stands in parentheses.
    opened = Grouping(literal([opens for opens, _closes in spans], moments))
    closed = Grouping(literal([closes for _opens, closes in spans], moments))
    sums = Grouping(literal(passed, ARRAY(Float)))

    def by(moment: Any) -> Any:
        place = func.width_bucket(moment, opened)
        inside = func.extract("epoch", func.least(moment, closed[place]) - opened[place])
        return case((moment.is_(None), None), (place == 0, 0.0), else_=sums[place] + inside)

    return by(end) - by(begin)


def _percentiles(seconds: Any) -> Any:
    return func.percentile_disc(literal([0.5, 0.9], ARRAY(Float))).within_group(sql_cast(seconds, Float))


async def backlog(tx: Tx, question: Question) -> dict[str, int]:
    """How many were unfinished (neither resolved nor spam) at the end of each day, by day; today's is as of now.

    Of all that `asked` lets through, whenever they began. Counted back from what is unfinished now, so that what was
    erased since counts for no day.
    """
    counted = await views.conditions(tx, question.asked, question.reader)
    now = await tx.scalar(
        select(func.count()).select_from(Conversation).where(*counted, Conversation.status.not_in(_DONE))
    )
    days, bounds = question.days, question.days.bounds
    events = cast(Table, Event.__table__)
    touched = (
        select(events.c.subject_id)
        .where(events.c.workspace_id == tx.workspace_id, events.c.kind.in_(_TURNS), events.c.at >= bounds[0])
        .distinct()
    )
    open_after = case((events.c.kind.in_([kind for kind, done in _TURNS.items() if done]), 0), else_=1)
    steps = (
        select(
            events.c.at,
            (
                open_after
                - func.coalesce(
                    func.lag(open_after).over(partition_by=events.c.subject_id, order_by=(events.c.at, events.c.id)), 0
                )
            ).label("step"),
        )
        .join(
            Conversation,
            and_(Conversation.workspace_id == events.c.workspace_id, Conversation.id == events.c.subject_id),
        )
        .where(
            *counted,
            events.c.workspace_id == tx.workspace_id,
            events.c.kind.in_(_TURNS),
            events.c.subject_id.in_(touched),
        )
        .subquery()
    )
    day = _place(steps.c.at, bounds).label("day")
    moved = {
        row.day: row.sum
        for row in await tx.execute(
            select(day, func.sum(steps.c.step)).where(steps.c.at >= bounds[0], steps.c.step != 0).group_by(day)
        )
    }
    left: dict[str, int] = {}
    held = int(now or 0) - int(moved.get(len(bounds), 0))
    for place in range(days.length, 0, -1):
        left[days.days[place - 1].isoformat()] = held
        held -= int(moved.get(place, 0))
    return dict(reversed(left.items()))
