"""Business hours: weekly opening hours with several spans a day, days that differ, a time zone. Pure.

Clocks on walls jump twice a year in many places, so everything is counted between moments in UTC: a night shift is an
hour longer in autumn. A wall time that a jump leaves out is the moment of the jump; one that comes twice is its first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

DAY_MINUTES = 1440
HORIZON = 800
"""Days to look ahead for an opening: a shop that opens later than that never does."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes since midnight, from `start` up to `end`; an end beyond 1440 lies on the next day."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not (0 <= self.start < DAY_MINUTES and self.start < self.end <= self.start + DAY_MINUTES):
            raise ValueError(f"no span of opening hours: {self.start} to {self.end}")

    def __str__(self) -> str:
        return f"{clock(self.start)}-{clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Special:
    """A day that is not like its weekday: closed, or open at other times. `name` is what the team calls it."""

    spans: tuple[Span, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody is there. `week` has seven days from Monday, whichever day a reader's week begins with."""

    week: tuple[tuple[Span, ...], ...]
    zone: tzinfo = UTC
    special: Mapping[date, Special] = field(default_factory=dict)

    def of_day(self, day: date) -> tuple[Span, ...]:
        """The spans that begin on a calendar day, in order."""
        special = self.special.get(day)
        spans = self.week[day.weekday()] if special is None else special.spans
        return _ordered(spans)

    def of_day_of_week(self, weekday: int) -> tuple[Span, ...]:
        """The spans that usually begin on a weekday (0 is Monday), in order."""
        return _ordered(self.week[weekday])


def _ordered(spans: Sequence[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.start, span.end)))


ALWAYS = Hours(((Span(0, DAY_MINUTES),),) * 7)
"""Day and night: what counts where nobody has said otherwise."""


def is_open(hours: Hours, moment: datetime) -> bool:
    """Whether somebody is there at that moment."""
    first = next(_open(hours, moment), None)
    return first is not None and first[0] <= moment


def next_opening(hours: Hours, moment: datetime) -> datetime | None:
    """The moment itself while open, else when it opens next (UTC); None when it does not within 800 days."""
    first = next(_open(hours, moment), None)
    return max(first[0], moment) if first else None


def elapsed(hours: Hours, begin: datetime, end: datetime) -> float:
    """Seconds of business time from `begin` to `end`; none when the end comes first."""
    found = spans(hours, begin, end) if begin < end else ()
    return sum((min(closes, end) - max(opens, begin)).total_seconds() for opens, closes in found)


def spans(hours: Hours, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The times (UTC) of being open that touch the time between two moments, in order, without overlap."""
    found = []
    for opens, closes in _open(hours, begin):
        if opens >= end:
            break
        found.append((opens, closes))
    return found


def after(hours: Hours, moment: datetime, seconds: float) -> datetime | None:
    """The first moment by which `seconds` of business time have passed (UTC); None when they never do in 800 days."""
    if seconds <= 0:
        return moment
    left = timedelta(seconds=seconds)
    for opens, closes in _open(hours, moment):
        begins = max(opens, moment)
        if left <= closes - begins:
            return begins + left
        left -= closes - begins
    return None


def _open(hours: Hours, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times of being open that end after `moment`, in order, without overlap."""
    day = moment.astimezone(hours.zone).date() - _DAY
    done = moment
    for _ahead in range(HORIZON):
        for span in hours.of_day(day):
            opens, closes = _moment(hours.zone, day, span.start), _moment(hours.zone, day, span.end)
            if closes > done:
                # What two spans share is counted once.
                yield (opens if done == moment else max(opens, done)), closes
                done = closes
        day += _DAY


def _moment(zone: tzinfo, day: date, minutes: int) -> datetime:
    """A wall time as a moment in UTC."""
    days, minutes = divmod(minutes, DAY_MINUTES)
    wall = datetime.combine(day + days * _DAY, time(minutes // 60, minutes % 60))
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # Left out by a jump: its moment is the first whose wall time is later.
    early, late = sorted((found, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)))
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def clock(minutes: int) -> str:
    """Minutes since midnight as `09:30`; 24:00 is midnight again."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def span(opens: str, closes: str) -> Span:
    """A span from two wall times; one that closes earlier than it opens, or at the same time, ends the next day.

    Raises ValueError for what is no time of day.
    """
    start, end = _minutes(opens), _minutes(closes)
    return Span(start, end if end > start else end + DAY_MINUTES)


def _minutes(text: str) -> int:
    moment = time.fromisoformat(text)
    return moment.hour * 60 + moment.minute


def days_from(first_weekday: int) -> list[int]:
    """The seven weekdays (0 is Monday) in the order of a week that begins with `first_weekday`."""
    return [(first_weekday + ahead) % 7 for ahead in range(7)]


def to_json(week: Sequence[Sequence[Span]], special: Mapping[date, Special]) -> dict[str, Any]:
    """As a table keeps it."""
    return {
        "week": [[str(one) for one in day] for day in week],
        "special": [
            {"day": day.isoformat(), "name": one.name, "spans": [str(part) for part in one.spans]}
            for day, one in sorted(special.items())
        ],
    }


def from_json(said: Mapping[str, Any], zone: tzinfo) -> Hours:
    """What a table kept; nothing kept is day and night."""
    if not said:
        return Hours(ALWAYS.week, zone)
    return Hours(
        tuple(tuple(_read(one) for one in day) for day in said["week"]),
        zone,
        {
            date.fromisoformat(one["day"]): Special(tuple(_read(part) for part in one["spans"]), one["name"])
            for one in said["special"]
        },
    )


def _read(text: str) -> Span:
    opens, _dash, closes = text.partition("-")
    return span(opens, closes)
