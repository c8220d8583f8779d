"""What counts as a problem, and when a mail about it is due: from facts and times alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_ui import words
from integrations.shopify import platform
from plugin.health import rules
from plugin.health.rules import Facts, Notice, Remedy, Severity, due, patience, problems, silent

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
INSTALLED = NOW - timedelta(days=90)
RESOURCES = ("customers", "products", "orders")


def facts(**changes: object) -> Facts:
    """A store that is well at NOW."""
    well = {
        "connected": True, "installed_at": INSTALLED, "checked_at": NOW - timedelta(minutes=30),
        "compared": dict.fromkeys(RESOURCES, NOW - timedelta(minutes=9)), "told_at": NOW - timedelta(minutes=4),
        "told": every(timedelta(minutes=20), 100, until=NOW - timedelta(minutes=4)),
    }  # fmt: skip
    return Facts(**{**well, **changes})


def every(pause: timedelta, count: int, *, until: datetime) -> list[datetime]:
    """Deliveries at an even pace, newest first."""
    return [until - pause * number for number in range(count)]


def shop_days(orders_a_day: int, *, until: datetime, days: int = 14) -> list[datetime]:
    """A shop that sells from 8 to 22 and sleeps; each order is told three times within seconds. Newest first."""
    told = []
    for day in range(days):
        morning = (until - timedelta(days=day)).replace(hour=8, minute=0)
        for number in range(orders_a_day):
            at = morning + timedelta(hours=14) * number / orders_a_day
            told += [at + timedelta(seconds=second) for second in (0, 2, 5) if at <= until]
    return sorted(told, reverse=True)


def codes(of: Facts, now: datetime = NOW) -> list[str]:
    return [problem.code for problem in problems(of, now)]


def test_a_store_that_is_well_has_no_problem() -> None:
    assert codes(facts()) == []


# Silence


def test_a_store_whose_api_shows_orders_that_nobody_told_is_silent() -> None:
    quiet = facts(told_at=NOW - timedelta(hours=2), told=every(timedelta(minutes=20), 60, until=NOW), missed=3)
    (problem,) = problems(quiet, NOW)
    assert (problem.code, problem.severity, problem.remedy) == ("silent", Severity.BAD, Remedy.CHECK)
    assert problem.since == NOW - timedelta(hours=2)


@pytest.mark.parametrize("hours", [1, 6, 10, 60])
def test_a_night_without_orders_is_no_silence(hours: int) -> None:
    assert codes(facts(told_at=NOW - timedelta(hours=hours), missed=0)) == []


def test_one_lost_webhook_at_night_is_no_silence() -> None:
    night = NOW.replace(hour=4)
    told = shop_days(40, until=night - timedelta(hours=6))
    assert not silent(facts(told=told, told_at=told[0], missed=1), night)


def test_a_slow_shop_is_given_more_time_than_a_busy_one() -> None:
    busy, slow = shop_days(60, until=NOW), shop_days(2, until=NOW)
    assert timedelta(hours=1) <= patience(busy) < timedelta(hours=2)
    assert patience(slow) > timedelta(days=1)
    told_at = NOW - timedelta(hours=5)
    assert silent(facts(told=busy, told_at=told_at, missed=2), NOW)
    assert not silent(facts(told=slow, told_at=told_at, missed=2), NOW)


def test_a_shop_whose_rhythm_is_unknown_is_given_days() -> None:
    assert patience([]) == patience(shop_days(3, until=NOW, days=1)) == timedelta(hours=72)


def test_a_store_that_came_back_is_judged_from_then_on() -> None:
    then = NOW - timedelta(days=40)
    known = {"told_at": then, "checked_at": then, "compared": dict.fromkeys(RESOURCES, then), "missed": 5}
    assert codes(facts(**known)) != []
    assert codes(facts(**known, installed_at=NOW - timedelta(minutes=20))) == []


@given(st.integers(0, 600), st.integers(0, 50), st.integers(1, 100))
def test_no_silence_without_orders_of_the_platform_and_none_within_the_least_patience(
    quiet_minutes: int, missed: int, pace: int
) -> None:
    told_at = NOW - timedelta(minutes=quiet_minutes)
    of = facts(told=every(timedelta(minutes=pace), 50, until=told_at), told_at=told_at, missed=missed)
    if silent(of, NOW):
        assert missed >= 2
        assert quiet_minutes >= 60
        assert quiet_minutes >= pace * 3


# Everything else


def test_a_disabled_webhook_and_a_missing_one_are_incidents_and_a_closed_shop_is_not() -> None:
    found = [
        {"code": "webhooks_were_disabled", "ok": False, "detail": "2"},
        {"code": "webhooks_were_missing", "ok": False, "detail": "order.created"},
        {"code": "coming_soon", "ok": False},
        {"code": "history_limited", "ok": False},
        {"code": "embed", "ok": True},
    ]
    assert [(one.code, one.severity) for one in problems(facts(findings=found), NOW)] == [
        ("webhooks_were_disabled", Severity.BAD), ("webhooks_were_missing", Severity.BAD),
        ("coming_soon", Severity.NOTE),
    ]  # fmt: skip


def test_what_the_merchant_may_allow_or_not_is_no_problem_and_has_words() -> None:
    found = [{"code": code, "ok": False} for code in platform.PERMISSIONS.values()]
    assert problems(facts(findings=found), NOW) == ()
    assert set(platform.PERMISSIONS.values()) <= words.PERMISSIONS.keys()


def test_a_refused_store_is_only_that() -> None:
    away = facts(connected=False, checked_at=NOW - timedelta(days=3), compared={}, parked=4, missed=9)
    assert codes(away) == ["needs_reauth"]


def test_a_store_that_does_not_answer_is_away_and_not_also_out_of_date() -> None:
    old = NOW - timedelta(hours=3)
    of = facts(checked_at=old, compared=dict.fromkeys(RESOURCES, old))
    (problem,) = problems(of, NOW)
    assert (problem.code, problem.since) == ("unreachable", old)


def test_what_is_out_of_date_is_named() -> None:
    old = NOW - timedelta(hours=3)
    (problem,) = problems(facts(compared={"orders": old, "products": old, "customers": NOW}), NOW)
    assert (problem.code, problem.resources, problem.since) == ("stale", ("orders", "products"), old)


def test_set_aside_stopped_and_late_have_their_button() -> None:
    of = facts(parked=3, parked_at=NOW, stopped=("orders",), waiting_since=NOW - timedelta(minutes=11))
    assert [(one.code, one.remedy, one.count) for one in problems(of, NOW)] == [
        ("parked", Remedy.REPLAY, 3), ("backfill_stopped", Remedy.READ_ON, 0), ("behind", Remedy.NONE, 0),
    ]  # fmt: skip


# Mail


@given(
    opened=st.integers(0, 4000),
    recovered=st.none() | st.integers(0, 4000),
    told=st.dictionaries(st.sampled_from(list(Notice)), st.integers(0, 4000)),
    today=st.integers(0, 15),
)
def test_a_mail_is_due_only_when_it_says_something_new(
    opened: int, recovered: int | None, told: dict[Notice, int], today: int
) -> None:
    at = {kind: NOW - timedelta(minutes=minutes) for kind, minutes in told.items()}
    ended = None if recovered is None else NOW - timedelta(minutes=min(recovered, opened))
    kind = due(NOW - timedelta(minutes=opened), ended, at, today, NOW)
    if kind is None:
        return
    assert today < rules.MAILS_A_DAY
    assert kind not in told
    assert (kind == Notice.RECOVERED) == (ended is not None)
    if kind != Notice.OPENED:
        assert Notice.OPENED in told
    if kind == Notice.REMINDER:
        assert told[Notice.OPENED] >= 24 * 60
    if kind == Notice.RECOVERED:
        assert ended is not None
        assert rules.SETTLE <= NOW - ended <= rules.DAY
