"""Answer targets: which promise counts for a conversation, and what its clocks show. Pure.

Three clocks: until the first answer, until the next one, until it is resolved. They run in business hours, while it is
ours to act: not while the customer has our answer, not while it is snoozed or waits for the customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from plugin.conversations import hours as clock
from plugin.conversations.hours import Hours

WARN = 0.75
"""The share of a target after which it is told that it is nearly over."""


class Kind(StrEnum):
    """What a clock counts to."""

    FIRST = "first"
    NEXT = "next"
    RESOLUTION = "resolution"


class Segment(StrEnum):
    """Customers by what they bought: nothing yet, one order, or several."""

    NEW = "new"
    ONCE = "once"
    RETURNING = "returning"

    @classmethod
    def of(cls, orders: int) -> Segment:
        """Of somebody with so many orders."""
        return cls.NEW if orders < 1 else cls.ONCE if orders == 1 else cls.RETURNING


@dataclass(frozen=True, slots=True)
class Policy:
    """Promises in minutes of business time, for the conversations that fit; empty sets mean all.

    `since`: what waited before that counts from then on, so that a new promise is not broken at its birth.
    """

    NAMES = ("id", "priorities", "channels", "stores", "segments", "tags", *Kind, "since")

    id: UUID
    priorities: frozenset[int]
    channels: frozenset[str]
    stores: frozenset[str]
    minutes: Mapping[Kind, int]
    since: datetime
    segments: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Policy:
        """From a row, or from its JSON."""
        since = row["since"]
        return cls(
            UUID(str(row["id"])),
            frozenset(row["priorities"]),
            frozenset(row["channels"]),
            frozenset(row["stores"]),
            {kind: row[kind] for kind in Kind if row[kind] is not None},
            since if isinstance(since, datetime) else datetime.fromisoformat(since),
            frozenset(row["segments"]),
            frozenset(row["tags"]),
        )

    def fits(self, state: State) -> bool:
        """Whether it speaks of such a conversation."""
        return (
            (not self.priorities or state.priority in self.priorities)
            and (not self.channels or state.channel in self.channels)
            and (not self.stores or str(state.store_id) in self.stores)
            and (not self.segments or state.segment in self.segments)
            and (not self.tags or not self.tags.isdisjoint(state.tags))
        )


@dataclass(frozen=True, slots=True)
class State:
    """What of a conversation matters to its clocks. `tags`, folded, are its own and those of the customer."""

    status: str
    priority: int
    channel: str
    store_id: UUID | None
    waiting_since: datetime | None
    first_replied_at: datetime | None
    segment: Segment = Segment.NEW
    tags: frozenset[str] = frozenset()

    @property
    def ours(self) -> bool:
        """Whether it is our turn now."""
        return self.status == "open" and self.waiting_since is not None

    @property
    def asleep(self) -> bool:
        """Put off, with somebody who still waits."""
        return self.status == "snoozed" and self.waiting_since is not None

    def lives(self, kind: Kind) -> bool:
        """Whether there is anything to count."""
        if kind is Kind.RESOLUTION:
            return self.status not in ("resolved", "spam")
        return (self.ours or self.asleep) and (self.first_replied_at is None) == (kind is Kind.FIRST)

    def kept(self, kind: Kind) -> bool:
        """Whether a clock that ended did so because we did what it asks for."""
        if kind is Kind.RESOLUTION:
            return self.status == "resolved"
        return self.status != "spam" and self.first_replied_at is not None


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock. Seconds are business time; `used` counts up to `running_since`, which is None while it stands.

    `warned_at` and `breached_at` are the moments themselves, not when somebody looked.
    """

    kind: Kind
    target: int
    used: float = 0.0
    running_since: datetime | None = None
    due_at: datetime | None = None
    warn_at: datetime | None = None
    warned_at: datetime | None = None
    breached_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def look_at(self) -> datetime | None:
        """When it has something to tell next."""
        if self.breached_at is not None:
            return None
        return self.due_at if self.warned_at is not None else self.warn_at


class News(StrEnum):
    """What a clock told; also the event's name."""

    WARNED = "conversation.due_soon"
    BREACHED = "conversation.overdue"
    KEPT = "conversation.in_time"


@dataclass(frozen=True, slots=True)
class Told:
    """A piece of news of one clock, with the moment that it is true of."""

    news: News
    clock: Clock
    at: datetime


def chosen(policies: Iterable[Policy], state: State) -> Policy | None:
    """The first policy that fits."""
    return next((one for one in policies if one.fits(state)), None)


def step(
    clocks: Mapping[Kind, Clock], policy: Policy | None, hours: Hours, state: State, now: datetime
) -> tuple[dict[Kind, Clock], list[Told]]:
    """What the clocks show at `now`, after whatever changed, and what there is to tell. Again: the same, no news."""
    found: dict[Kind, Clock] = {}
    told: list[Told] = []
    for kind in Kind:
        target = policy.minutes.get(kind) if policy is not None else None
        before = clocks.get(kind)
        if before is not None and before.ended_at is None:
            before = _looked(before, now, told)
        after = _moved(before, kind, target, policy, hours, state, now, told)
        if after is not None:
            found[kind] = after
    return found, told


def _moved(
    before: Clock | None,
    kind: Kind,
    minutes: int | None,
    policy: Policy | None,
    hours: Hours,
    state: State,
    now: datetime,
    told: list[Told],
) -> Clock | None:
    lively = before is not None and before.ended_at is None
    if minutes is None or policy is None:
        # No promise any more: an ended clock stays as it was, a live one is forgotten.
        return None if lively else before
    if not state.lives(kind):
        if before is None or not lively:
            return before
        ended = replace(_stopped(before, hours, now), ended_at=now)
        if ended.breached_at is None and state.kept(kind):
            told.append(Told(News.KEPT, ended, now))
        return ended
    target = minutes * 60
    if before is None or not lively:
        if not state.ours or state.waiting_since is None:
            return before
        return _looked(
            _set(Clock(kind, target, running_since=max(state.waiting_since, policy.since)), hours), now, told
        )
    if not state.ours:
        return replace(_stopped(before, hours, now), target=target)
    running = before if before.running_since is not None else replace(before, running_since=now)
    return _looked(_set(replace(running, target=target), hours), now, told)


def _set(one: Clock, hours: Hours) -> Clock:
    """With its moments worked out anew: hours or target may be others than before."""
    assert one.running_since is not None
    due = clock.after(hours, one.running_since, one.target - one.used)
    warn = clock.after(hours, one.running_since, one.target * WARN - one.used)
    return replace(one, due_at=due, warn_at=warn)


def _stopped(one: Clock, hours: Hours, now: datetime) -> Clock:
    if one.running_since is None:
        return one
    used = one.used + clock.elapsed(hours, one.running_since, now)
    return replace(one, used=used, running_since=None, due_at=None, warn_at=None)


def _looked(one: Clock, now: datetime, told: list[Told]) -> Clock:
    """What has become true since the last look, each told once."""
    if one.breached_at is None and one.due_at is not None and one.due_at <= now:
        one = replace(one, breached_at=one.due_at, warned_at=one.warned_at or one.warn_at)
        told.append(Told(News.BREACHED, one, one.due_at or now))
    elif one.warned_at is None and one.warn_at is not None and one.warn_at <= now and one.breached_at is None:
        one = replace(one, warned_at=one.warn_at)
        told.append(Told(News.WARNED, one, one.warn_at or now))
    return one


@dataclass(frozen=True, slots=True)
class Shown:
    """What a list shows of a conversation's clocks: the one that is due first."""

    due_at: datetime | None = None
    warn_at: datetime | None = None
    look_at: datetime | None = None
    breached_at: datetime | None = None


def shown(clocks: Sequence[Clock]) -> Shown:
    """The clocks of one conversation in four moments; `breached_at` is the first of all."""
    running = [one for one in clocks if one.due_at is not None and one.ended_at is None]
    first = min(running, key=lambda one: one.due_at or datetime.max, default=None)
    return Shown(
        first.due_at if first else None,
        first.warn_at if first else None,
        min((one.look_at for one in running if one.look_at is not None), default=None),
        min((one.breached_at for one in clocks if one.breached_at is not None), default=None),
    )
