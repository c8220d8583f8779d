"""Business hours: what is open, what comes next, how long something took."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plugin.conversations import hours
from plugin.conversations.hours import ALWAYS, Hours, Span, Special, after, elapsed, is_open, next_opening, span

# Summer time in the north and the south, by half an hour, at midnight, and none at all.
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Jerusalem", "Africa/Cairo", "Australia/Lord_Howe",
         "America/Santiago", "Asia/Riyadh", "Asia/Kathmandu", "UTC"]  # fmt: skip
NEW_YORK = ZoneInfo("America/New_York")
RIYADH = ZoneInfo("Asia/Riyadh")


def week(**days: str) -> tuple[tuple[Span, ...], ...]:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return tuple(tuple(span(*part.split("-")) for part in days.get(name, "").split()) for name in names)


OFFICE = week(**dict.fromkeys(("sun", "mon", "tue", "wed", "thu"), "09:00-13:00 16:00-21:00"))


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start = draw(st.integers(0, 1439))
    return Span(start, start + draw(st.integers(1, 1440)))


days = st.lists(spans(), max_size=3).map(tuple)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@st.composite
def plans(draw: st.DrawFn) -> Hours:
    special = draw(st.dictionaries(st.dates(date(2026, 1, 1), date(2028, 1, 1)), days, max_size=4))
    return Hours(
        tuple(draw(st.lists(days, min_size=7, max_size=7))),
        ZoneInfo(draw(st.sampled_from(ZONES))),
        {day: Special(inside) for day, inside in special.items()},
    )


@given(plans(), moments, st.lists(st.integers(0, 40 * 86_400), min_size=2, max_size=2))
def test_time_adds_up(plan: Hours, begin: datetime, steps: list[int]) -> None:
    middle = begin + timedelta(seconds=steps[0])
    end = middle + timedelta(seconds=steps[1])
    whole = elapsed(plan, begin, end)
    assert whole == pytest.approx(elapsed(plan, begin, middle) + elapsed(plan, middle, end))
    assert 0 <= whole <= (end - begin).total_seconds()
    assert elapsed(plan, end, begin) == 0 or begin == end


@given(plans(), moments, st.integers(1, 30 * 86_400))
def test_after_is_the_other_way_round(plan: Hours, moment: datetime, seconds: int) -> None:
    end = after(plan, moment, seconds)
    assume(end is not None)
    assert end is not None
    assert elapsed(plan, moment, end) == pytest.approx(seconds)
    earlier = end - timedelta(seconds=1)
    assert elapsed(plan, moment, earlier) < seconds, "no earlier moment would do"


@given(plans(), moments)
def test_the_next_opening_is_open_and_nothing_before_it_is(plan: Hours, moment: datetime) -> None:
    opening = next_opening(plan, moment)
    if opening is None:
        assert after(plan, moment, 1) is None
        return
    assert is_open(plan, opening)
    assert elapsed(plan, moment, opening) == 0
    assert (opening == moment) == is_open(plan, moment)


@given(plans(), moments)
def test_kept_and_read_again_is_the_same(plan: Hours, moment: datetime) -> None:
    again = hours.from_json(hours.to_json(plan.week, plan.special), plan.zone)
    assert again.week == plan.week
    assert dict(again.special) == dict(plan.special)


@pytest.mark.parametrize(("first", "order"), [(5, [5, 6, 0, 1, 2, 3, 4]), (6, [6, 0, 1, 2, 3, 4, 5]), (0, [*range(7)])])
def test_a_week_begins_with_any_day_and_means_the_same(first: int, order: list[int]) -> None:
    assert hours.days_from(first) == order
    typed = {day: OFFICE[day] for day in order}
    assert tuple(typed[day] for day in range(7)) == OFFICE


def test_a_thursday_evening_in_riyadh_waits_for_sunday() -> None:
    plan = Hours(OFFICE, RIYADH)
    thursday = datetime(2026, 11, 26, 21, 0, tzinfo=RIYADH)
    assert not is_open(plan, thursday), "closing time is closed"
    assert is_open(plan, thursday - timedelta(seconds=1))
    opening = next_opening(plan, thursday)
    assert opening == datetime(2026, 11, 29, 9, 0, tzinfo=RIYADH)
    assert after(plan, thursday - timedelta(minutes=10), 1800) == datetime(2026, 11, 29, 9, 20, tzinfo=RIYADH)
    assert elapsed(plan, thursday - timedelta(hours=9), thursday) == 6 * 3600, "the midday break does not count"


def test_a_holiday_is_closed_and_a_short_day_is_short() -> None:
    special = {date(2026, 11, 29): Special((), "Feast"), date(2026, 11, 30): Special((span("10:00", "12:00"),))}
    plan = Hours(OFFICE, RIYADH, special)
    assert next_opening(plan, datetime(2026, 11, 27, tzinfo=RIYADH)) == datetime(2026, 11, 30, 10, tzinfo=RIYADH)
    assert elapsed(plan, datetime(2026, 11, 29, tzinfo=RIYADH), datetime(2026, 12, 1, tzinfo=RIYADH)) == 7200


def test_a_night_shift_ends_the_next_day_and_overlaps_count_once() -> None:
    nights = Hours(week(wed="20:00-02:00 22:00-03:00"), RIYADH)
    thursday = datetime.combine(date(2026, 11, 26), time(2, 30), RIYADH)
    assert is_open(nights, thursday)
    assert elapsed(nights, thursday - timedelta(days=1), thursday + timedelta(days=1)) == 7 * 3600


@pytest.mark.parametrize(
    ("day", "length"),
    [(date(2026, 3, 8), 5), (date(2026, 11, 1), 7), (date(2026, 11, 8), 6)],
)
def test_a_night_in_which_clocks_jump_is_shorter_or_longer(day: date, length: int) -> None:
    nights = Hours((((span("00:00", "06:00"),),) * 7), NEW_YORK)
    midnight = datetime.combine(day, time(), NEW_YORK)
    assert elapsed(nights, midnight, midnight + timedelta(hours=23)) == length * 3600


def test_a_time_that_a_jump_leaves_out_is_the_jump() -> None:
    plan = Hours(week(sun="02:30-04:00"), NEW_YORK)
    jump = datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert next_opening(plan, jump - timedelta(hours=2)) == jump
    assert elapsed(plan, jump - timedelta(hours=2), jump + timedelta(hours=6)) == 3600


def test_day_and_night_never_stands_still() -> None:
    moment = datetime(2026, 3, 8, 6, 59, tzinfo=UTC)
    assert elapsed(ALWAYS, moment, moment + timedelta(days=9)) == 9 * 86_400
    assert after(ALWAYS, moment, 90) == moment + timedelta(seconds=90)


def test_a_shop_that_never_opens_has_no_next_opening() -> None:
    closed = Hours(week(), RIYADH)
    assert next_opening(closed, datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert after(closed, datetime(2026, 1, 1, tzinfo=UTC), 1) is None


@pytest.mark.parametrize("wrong", [("9", "17:00"), ("25:00", "26:00"), ("", "")])
def test_what_is_no_time_of_day_is_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        span(*wrong)
