"""The states of a return and the moves between them, as data: what is not a row of MOVES cannot happen. Pure.

docs/returns.md draws the same; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum


class State(StrEnum):
    """Where a return stands. `sent`: the label is with the shopper; `paid`: what was promised is theirs."""

    REQUESTED = "requested"
    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"
    SENT = "sent"
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    INSPECTED = "inspected"
    PAID = "paid"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Who(StrEnum):
    """Who makes a move: somebody of the team, the shopper, the product by itself, or the store's own admin."""

    AGENT = "agent"
    SHOPPER = "shopper"
    SYSTEM = "system"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Move:
    """From any of `sources` to `target`; `event` is what becomes true, `by` who may make it."""

    name: str
    sources: tuple[State, ...]
    target: State
    event: str
    by: tuple[Who, ...] = (Who.AGENT,)


_EVERYBODY = (Who.AGENT, Who.SHOPPER, Who.SYSTEM, Who.STORE)
_NO_SHOPPER = (Who.AGENT, Who.SYSTEM, Who.STORE)
_NO_MACHINE = (Who.AGENT, Who.STORE)
_WITH_SHOPPER = (State.APPROVED, State.SENT)
"""The goods are with the shopper still."""

MOVES: tuple[Move, ...] = (
    Move("approve", (State.REQUESTED, State.ASKED), State.APPROVED, event="return_request.approved", by=_NO_SHOPPER),
    Move("decline", (State.REQUESTED, State.ASKED), State.DECLINED, event="return_request.declined", by=_NO_MACHINE),
    Move("ask", (State.REQUESTED,), State.ASKED, event="return_request.asked"),
    Move("answer", (State.ASKED,), State.REQUESTED, event="return_request.answered", by=_EVERYBODY),
    Move("label", _WITH_SHOPPER, State.SENT, event="return_request.label_sent", by=_NO_SHOPPER),
    Move("ship", _WITH_SHOPPER, State.IN_TRANSIT, event="return_request.in_transit", by=_EVERYBODY),
    Move("receive", (*_WITH_SHOPPER, State.IN_TRANSIT), State.RECEIVED, event="return_request.received"),
    Move("inspect", (State.RECEIVED,), State.INSPECTED, event="return_request.inspected"),
    # APPROVED: goods that need not come back.
    Move("pay", (State.APPROVED, State.INSPECTED), State.PAID, event="return_request.paid", by=_NO_SHOPPER),
    # What was paid before the goods were looked at.
    Move("complete", (State.INSPECTED,), State.PAID, event="return_request.completed", by=_NO_SHOPPER),
    Move(
        "close",
        (*_WITH_SHOPPER, State.IN_TRANSIT, State.RECEIVED, State.INSPECTED, State.PAID),
        State.CLOSED,
        event="return_request.closed",
        by=_NO_SHOPPER,
    ),
    Move(
        "cancel",
        (State.REQUESTED, State.ASKED, *_WITH_SHOPPER),
        State.CANCELLED,
        event="return_request.cancelled",
        by=_EVERYBODY,
    ),
    # Asked anew, as long as nothing was sent and nothing paid.
    Move(
        "change",
        (State.REQUESTED, State.ASKED, State.APPROVED),
        State.REQUESTED,
        event="return_request.changed",
        by=(Who.AGENT, Who.SHOPPER),
    ),
    Move("reopen", (State.DECLINED, State.CANCELLED), State.REQUESTED, event="return_request.reopened"),
    Move("resume", (State.CLOSED,), State.APPROVED, event="return_request.reopened", by=_NO_MACHINE),
    # The goods are here: they are looked at again.
    Move("resume_received", (State.CLOSED,), State.RECEIVED, event="return_request.reopened", by=_NO_MACHINE),
)

ENDED = frozenset({State.DECLINED, State.CLOSED, State.CANCELLED})
"""Nothing is left to do."""
OPEN = tuple(state for state in State if state not in ENDED)
OURS = frozenset({State.REQUESTED, State.RECEIVED, State.INSPECTED})
"""Waiting for somebody of the team."""
WAITING_FOR_GOODS = frozenset({State.APPROVED, State.SENT})


class Overdue(StrEnum):
    """Why the team has to look at a return that nobody moved: its time is over, its label or courier could not be had,
    or the carrier tells of the parcel what only somebody at the shop can see.
    """

    LATE = "late"
    LABEL = "label"
    PARCEL = "parcel"


@dataclass(frozen=True, slots=True)
class Times:
    """After how many days without a move something happens by itself; None: never. A shop's own, in its policy.

    A question to the shopper is repeated after `answer_reminder` and given up after `answer_end`; goods that are
    expected are asked for after `parcel_reminder`, the return is closed after `parcel_end`; a parcel that is on its way
    for `transit` days is looked for by the team; what is settled is closed after `settled_end`.
    """

    answer_reminder: int | None = 3
    answer_end: int | None = 14
    parcel_reminder: int | None = 7
    parcel_end: int | None = 30
    transit: int | None = 21
    settled_end: int | None = 3


@dataclass(frozen=True, slots=True)
class Timer:
    """How long a return may stand still: after `first` the shopper is reminded, after `then` more comes `move`.

    `then` is None where a reminder is all; without `move` the team looks.
    """

    first: timedelta
    then: timedelta | None
    move: str = ""
    reminds: bool = True


def timers(times: Times, *, gave: bool = False) -> Mapping[State, Timer]:
    """What does not stand still for ever, and how long it may. Pure.

    With `gave` something went out before the goods came: then somebody looks for them also where the shop set no end.
    """
    if gave:
        ends = Times()
        times = replace(times, parcel_end=times.parcel_end or ends.parcel_end, transit=times.transit or ends.transit)
    parcel = _timer(times.parcel_reminder, times.parcel_end, "close")
    found = {
        State.ASKED: _timer(times.answer_reminder, times.answer_end, "cancel"),
        State.APPROVED: parcel,
        State.SENT: parcel,
        # A parcel that does not arrive is nothing that the shopper can do something about: the team looks.
        State.IN_TRANSIT: _timer(None, times.transit, ""),
        State.PAID: _timer(None, times.settled_end, "close"),
    }
    return {state: timer for state, timer in found.items() if timer is not None}


def _timer(reminder: int | None, end: int | None, move: str) -> Timer | None:
    # Whoever gives up at once need not remind.
    if reminder is None or (end is not None and reminder >= end):
        return Timer(timedelta(days=end), timedelta(0), move, reminds=False) if end is not None else None
    return Timer(timedelta(days=reminder), timedelta(days=end - reminder) if end is not None else None, move)


_BY_NAME = {move.name: move for move in MOVES}


def move(name: str) -> Move:
    """The move of that name. Raises KeyError."""
    return _BY_NAME[name]


def possible(state: State, who: Who) -> tuple[str, ...]:
    """The names of the moves out of a state that somebody may make."""
    return tuple(one.name for one in MOVES if state in one.sources and who in one.by)
