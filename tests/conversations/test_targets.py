"""Clocks: what runs, what stands, what is told, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.conversations import hours as business
from plugin.conversations.hours import ALWAYS, Hours, span
from plugin.conversations.targets import Clock, Kind, News, Policy, Segment, State, chosen, shown, step

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
OFFICE = Hours((((span("09:00", "17:00"),),) * 5) + ((), ()), ZoneInfo("UTC"))
POLICY = Policy(UUID(int=1), frozenset(), frozenset(), frozenset(),
                {Kind.FIRST: 60, Kind.NEXT: 30, Kind.RESOLUTION: 480}, MONDAY - timedelta(days=9))  # fmt: skip
NEW = State("open", 1, "widget", None, MONDAY, None)


def at(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


class Run:
    """A conversation's clocks as changes go by."""

    def __init__(self, hours: Hours = OFFICE) -> None:
        self.hours, self.clocks, self.news = hours, {}, []

    def go(self, state: State, minutes: float, policy: Policy | None = POLICY) -> Run:
        self.clocks, told = step(self.clocks, policy, self.hours, state, at(minutes))
        self.news += [(one.news, one.clock.kind) for one in told]
        again, quiet = step(self.clocks, policy, self.hours, state, at(minutes))
        assert (again, quiet) == (self.clocks, []), "looking twice changes and tells nothing"
        return self

    def __getitem__(self, kind: Kind) -> Clock:
        return self.clocks[kind]


def test_an_answer_in_time_ends_the_first_clock_and_stops_the_last() -> None:
    run = Run().go(NEW, 0)
    assert run[Kind.FIRST].due_at == at(60)
    assert run[Kind.FIRST].warn_at == at(45)
    assert run[Kind.RESOLUTION].due_at == at(480)
    assert Kind.NEXT not in run.clocks
    answered = replace(NEW, waiting_since=None, first_replied_at=at(20))
    run.go(answered, 20)
    assert run.news == [(News.KEPT, Kind.FIRST)]
    assert (run[Kind.RESOLUTION].due_at, run[Kind.RESOLUTION].used) == (None, 1200), "the customer has our answer"
    asked = replace(answered, waiting_since=at(100))
    run.go(asked, 100)
    assert run[Kind.NEXT].due_at == at(130)
    assert run[Kind.RESOLUTION].due_at == at(1440 + 80), "the rest of it is tomorrow"
    run.go(replace(answered, status="resolved"), 110)
    assert run.news[1:] == [(News.KEPT, Kind.NEXT), (News.KEPT, Kind.RESOLUTION)]
    assert shown(list(run.clocks.values())).due_at is None


def test_it_is_told_once_that_it_comes_near_and_once_that_it_is_broken() -> None:
    run = Run().go(NEW, 0).go(NEW, 44)
    assert run.news == []
    run.go(NEW, 46).go(NEW, 50)
    assert run.news == [(News.WARNED, Kind.FIRST)]
    run.go(NEW, 61).go(NEW, 90)
    assert run.news[1:] == [(News.BREACHED, Kind.FIRST)]
    assert run[Kind.FIRST].breached_at == at(60), "the moment itself, not when somebody looked"
    run.go(replace(NEW, waiting_since=None, first_replied_at=at(95)), 95)
    assert run.news[2:] == [], "a broken promise is not kept by a late answer"


def test_a_late_answer_is_a_breach_even_if_nobody_looked_meanwhile() -> None:
    run = Run().go(NEW, 0).go(replace(NEW, waiting_since=None, first_replied_at=at(70)), 70)
    assert run.news == [(News.BREACHED, Kind.FIRST)]
    assert shown(list(run.clocks.values())).breached_at == at(60)


def test_a_clock_stands_while_the_conversation_is_put_off() -> None:
    run = Run().go(NEW, 0).go(replace(NEW, status="snoozed"), 30)
    assert shown(list(run.clocks.values())).due_at is None
    run.go(NEW, 300)
    assert run[Kind.FIRST].due_at == at(330)
    assert run.news == []


def test_waiting_for_the_customer_is_not_our_time() -> None:
    run = Run().go(NEW, 0).go(replace(NEW, status="pending", waiting_since=None), 10)
    assert run[Kind.RESOLUTION].running_since is None
    assert run.news == [], "nobody has answered: nothing is kept"
    run.go(replace(NEW, waiting_since=at(200)), 200)
    assert run[Kind.FIRST].due_at == at(260)
    assert run[Kind.RESOLUTION].due_at == at(1440 + 190)


def test_night_and_weekend_are_not_our_time() -> None:
    friday = datetime(2026, 11, 27, 16, 30, tzinfo=UTC)
    minutes = (friday - MONDAY).total_seconds() / 60
    run = Run().go(replace(NEW, waiting_since=friday), minutes)
    assert run[Kind.FIRST].due_at == datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def test_spam_promises_nothing() -> None:
    run = Run().go(NEW, 0).go(replace(NEW, status="spam", waiting_since=None), 5)
    assert run.news == []
    assert shown(list(run.clocks.values())).due_at is None


def test_another_promise_counts_from_where_the_clock_stands_and_none_ends_it() -> None:
    run = Run().go(NEW, 0).go(NEW, 10, replace(POLICY, minutes={Kind.FIRST: 15}))
    assert run[Kind.FIRST].due_at == at(15)
    assert Kind.RESOLUTION not in run.clocks
    assert run.go(NEW, 11, None).clocks == {}


def test_a_new_promise_is_not_broken_at_its_birth() -> None:
    late = replace(POLICY, since=at(500))
    run = Run(ALWAYS).go(NEW, 501, late)
    assert run[Kind.FIRST].due_at == at(560)
    assert run.news == []


def test_opening_it_again_begins_anew() -> None:
    done = replace(NEW, status="resolved", waiting_since=None, first_replied_at=at(5))
    run = Run().go(NEW, 0).go(done, 5).go(replace(done, status="open", waiting_since=at(60)), 60)
    assert run[Kind.RESOLUTION].due_at == at(1440 + 60)
    assert (run[Kind.RESOLUTION].used, run[Kind.RESOLUTION].ended_at) == (0, None)


@pytest.mark.parametrize(
    ("state", "fits"),
    [(NEW, False), (replace(NEW, priority=3), True), (replace(NEW, priority=3, channel="email"), False)],
)
def test_the_first_policy_that_fits_counts(state: State, fits: bool) -> None:
    urgent = replace(POLICY, id=UUID(int=2), priorities=frozenset({2, 3}), channels=frozenset({"widget"}))
    assert chosen([urgent, POLICY], state) is (urgent if fits else POLICY)
    assert chosen([urgent], NEW) is None
    assert chosen([replace(POLICY, stores=frozenset({"x"}))], NEW) is None


@pytest.mark.parametrize(
    ("orders", "tags", "which"),
    [(0, {"vip"}, "all"), (1, {"vip"}, "all"), (2, {"gift"}, "all"), (2, {"gift", "vip"}, "vip"), (9, {"vip"}, "vip")],
)
def test_a_promise_may_be_for_some_customers(orders: int, tags: set[str], which: str) -> None:
    vip = replace(POLICY, id=UUID(int=2), segments=frozenset({"returning"}), tags=frozenset({"vip", "press"}))
    state = replace(NEW, segment=Segment.of(orders), tags=frozenset(tags))
    assert chosen([vip, POLICY], state) is {"vip": vip, "all": POLICY}[which]


CHANGES = st.lists(st.tuples(st.sampled_from(["ask", "answer", "snooze", "wake", "pend", "resolve", "look"]),
                             st.integers(1, 3000)), max_size=12)  # fmt: skip


@given(CHANGES, st.sampled_from([OFFICE, ALWAYS]))
def test_whatever_happens_our_time_is_what_was_ours(changes: list[tuple[str, int]], hours: Hours) -> None:
    """The resolution clock against a plain count: business seconds in which the conversation was open and waited."""
    run, state, minute, ours = Run(hours).go(NEW, 0), NEW, 0, 0.0
    for change, later in changes:
        before, minute = minute, minute + later
        if state.ours:
            ours += business.elapsed(hours, at(before), at(minute))
        first = state.first_replied_at or at(minute)
        asks = {"waiting_since": state.waiting_since or at(minute), "status": "open"}
        moves = {
            "ask": asks,
            "answer": {"waiting_since": None, "status": "open", "first_replied_at": first},
            "snooze": {"status": "snoozed"},
            "wake": {"status": "open"},
            "pend": {"status": "pending", "waiting_since": None},
            "resolve": {"status": "resolved", "waiting_since": None},
            "look": {},
        }  # fmt: skip
        state = replace(state, **moves[change])
        run.go(state, minute)
        clock = run.clocks.get(Kind.RESOLUTION)
        assert clock is not None
        assert clock.used + (
            business.elapsed(hours, clock.running_since, at(minute)) if clock.running_since else 0
        ) == pytest.approx(ours)
        assert (clock.running_since is not None) == state.ours
        if clock.ended_at is not None:
            return
    kept = [kind for news, kind in run.news if news is News.BREACHED]
    assert kept.count(Kind.RESOLUTION) == int(ours >= 480 * 60)
