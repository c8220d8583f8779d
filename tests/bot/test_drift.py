"""Drift: few false alarms in weeks that are alike, a sure one when something changed, and who hears of it."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import func, select

from plugin.app import App
from plugin.bot import drift, lessons
from plugin.bot.drift import BINS, SCORES, BotWeek, Week
from plugin.bot.turns import BotTurn
from plugin.conversations import conversations, messages
from plugin.health import state
from plugin.stores import Store
from plugin.team import Agent
from tests.bot.conftest import set_bot
from tests.conversations.conftest import MakeShopper

MONDAY = date(2026, 11, 9)


def week(chance: np.random.Generator, talks: int, *, unsure: float, handed: float, corrected: float,
         middle: float = 0.8, wobble: float = 400.0) -> Week:  # fmt: skip
    """A week whose own shares differ a little from the others', as weeks do (beta-binomial)."""
    counts = {
        name: int(chance.binomial(talks, chance.beta(share * wobble, (1 - share) * wobble)))
        for name, share in (("unsure", unsure), ("handed", handed), ("corrected", corrected))
    }
    return Week(talks, counts, drift.histogram(list(chance.normal(middle, 0.6, talks))))


@pytest.mark.parametrize("talks", [60, 400])
@pytest.mark.parametrize("weeks", [4, 8])
def test_weeks_that_are_alike_alarm_at_most_once_in_a_hundred(talks: int, weeks: int) -> None:
    chance = np.random.default_rng(talks + weeks)
    usual = {"unsure": 0.3, "handed": 0.25, "corrected": 0.04}
    trials = 600
    alarms = sum(
        bool(drift.alarms(week(chance, talks, **usual), [week(chance, talks, **usual) for _ in range(weeks)]))
        for _ in range(trials)
    )
    assert alarms / trials <= 0.01 + 3 * (0.01 * 0.99 / trials) ** 0.5


@pytest.mark.parametrize(
    ("now", "alarm"),
    [
        ({"unsure": 0.62, "handed": 0.25, "corrected": 0.04}, "unsure"),
        ({"unsure": 0.3, "handed": 0.55, "corrected": 0.04}, "handed"),
        ({"unsure": 0.3, "handed": 0.25, "corrected": 0.25}, "corrected"),
        ({"unsure": 0.3, "handed": 0.25, "corrected": 0.04, "middle": 0.2}, SCORES),
    ],
)
def test_what_changed_is_found_and_named(now: dict[str, float], alarm: str) -> None:
    chance = np.random.default_rng(1)
    usual = {"unsure": 0.3, "handed": 0.25, "corrected": 0.04}
    found = [drift.alarms(week(chance, 200, **now), [week(chance, 200, **usual) for _ in range(8)]) for _ in range(200)]
    assert np.mean([alarm in one for one in found]) >= 0.95
    assert np.mean([one in ([], [alarm]) for one in found]) >= 0.97


def test_little_is_no_evidence_and_better_is_no_alarm() -> None:
    chance = np.random.default_rng(2)
    usual = {"unsure": 0.3, "handed": 0.25, "corrected": 0.04}
    bad = {"unsure": 0.9, "handed": 0.9, "corrected": 0.9, "middle": -1.0}
    before = [week(chance, 200, **usual) for _ in range(8)]
    assert drift.alarms(week(chance, drift.LEAST_TALKS - 1, **bad), before) == []
    assert drift.alarms(week(chance, 200, **bad), before[: drift.LEAST_WEEKS - 1]) == []
    better = drift.alarms(week(chance, 200, unsure=0.02, handed=0.02, corrected=0.001), before)
    assert better == []


@pytest.mark.parametrize(("now", "found"), [(0.37, []), (0.40, ["unsure"])])
def test_what_is_certain_and_small_is_no_alarm(now: float, found: list[str]) -> None:
    """Of ten thousand conversations each rise is certain: eight of a hundred are worth an alarm, seven are not."""
    scores = [0] * BINS
    scores[10] = 10_000

    def all_alike(unsure: float) -> Week:
        return Week(10_000, {"unsure": int(unsure * 10_000), "handed": 2_500, "corrected": 400}, scores)

    assert drift.alarms(all_alike(now), [all_alike(0.3)] * 8) == found


def test_no_more_than_eight_weeks_before_count_and_quiet_ones_are_none_of_them() -> None:
    quiet = Week(10, {"unsure": 10, "handed": 10, "corrected": 10}, [10] + [0] * (BINS - 1))
    usual = Week(400, {"unsure": 60, "handed": 60, "corrected": 8}, [400] + [0] * (BINS - 1))
    long_ago = Week(400, {"unsure": 380, "handed": 380, "corrected": 380}, [400] + [0] * (BINS - 1))
    now = Week(400, {"unsure": 160, "handed": 60, "corrected": 8}, [400] + [0] * (BINS - 1))
    before = [usual, quiet] * 8
    assert drift.alarms(now, [*before, long_ago]) == ["unsure"]


def test_the_two_tests_are_the_ones_of_the_tables() -> None:
    # Student's t: 2.776 with 4 degrees leaves 2.5 %, 1.895 with 7 leaves 5 %, 6.314 with 1 leaves 5 %.
    assert drift.above(2.776, 4) == pytest.approx(0.025, abs=1e-4)
    assert drift.above(1.895, 7) == pytest.approx(0.05, abs=1e-4)
    assert drift.above(6.314, 1) == pytest.approx(0.05, abs=1e-4)
    assert drift.above(-1.895, 7) == pytest.approx(0.95, abs=1e-4)
    # Kolmogorov: 1.358 leaves 5 % of large samples.
    assert drift.by_chance(1.358 / (5000**0.5), 10_000, 10_000) == pytest.approx(0.05, abs=2e-3)
    flat = [1] * BINS
    assert drift.stability(flat, flat) == 0
    assert drift.stability([100] + [0] * (BINS - 1), [0] * (BINS - 1) + [100]) > 1


def test_a_week_is_the_merchants() -> None:
    sunday_night = datetime(2026, 11, 15, 22, 30, tzinfo=UTC)
    assert drift.last_week("UTC", sunday_night) == date(2026, 11, 2)
    assert drift.last_week("Asia/Riyadh", sunday_night) == MONDAY, "there it is Monday already"


async def test_a_week_counts_conversations_of_the_bot_by_the_merchants_clock(
    app: App, workspace: UUID, store: Store, maya: Agent, make_shopper: MakeShopper
) -> None:
    await set_bot(app, workspace, store, maya)
    begins = datetime(2026, 11, 15, 21, tzinfo=UTC)  # Monday in Riyadh.
    now = begins + timedelta(days=8)

    async def talk(*said: tuple[datetime, str, str, float]) -> UUID:
        shopper = await make_shopper()
        async with app.db.transaction(workspace) as tx:
            await messages.receive(tx, shopper, uuid4(), "hello")
            head = await conversations.current(tx, shopper)
            assert head is not None
            for at, outcome, why, gate in said:
                parts = {"parts": [{"gate": gate}]}
                tx.add(BotTurn(conversation_id=head.id, store_id=store.id, message_id=uuid4(), sent=True,
                               outcome=outcome, reason=why, data=parts, created_at=at))  # fmt: skip
        return head.id

    hour = timedelta(hours=1)
    await talk((begins, "offer", "unsure", 0.5), (begins + hour, "answer", "sure", 2.0))
    await talk((begins + hour, "person", "outside", -1.0))
    await talk((begins + hour, "person", "person_wanted", 1.5))
    await talk((begins + hour, "answer", "manners", 3.0))
    wrong = await talk((begins + timedelta(days=7) - hour, "answer", "sure", 2.0))
    await talk((begins - hour, "answer", "sure", 2.0))
    await talk((begins + timedelta(days=7), "person", "outside", -1.0))
    async with app.db.transaction(workspace) as tx:
        await lessons.propose(tx, maya, "do you engrave", "outside", conversation_id=wrong)
        for _again in range(2):
            await drift.keep_weeks(tx, "Asia/Riyadh", now)
        last, before, *older = await drift.weeks(tx, store.id)
    assert last.week == date(2026, 11, 16)
    assert (last.talks, last.unsure, last.handed, last.corrected) == (4, 2, 1, 1)
    assert list(last.scores) == drift.histogram([0.5, -1.0, 1.5, 2.0]), "one score for each, that of its beginning"
    assert (before.week, before.talks, before.unsure) == (date(2026, 11, 9), 1, 0)
    assert [one.talks for one in older] == [0] * 7
    # What is counted stays: a week that is over is not counted anew.
    await talk((begins + hour, "person", "outside", -1.0))
    async with app.db.transaction(workspace) as tx:
        await drift.keep_weeks(tx, "Asia/Riyadh", now)
        assert (await drift.weeks(tx, store.id))[0].talks == 4


async def test_an_alarm_is_an_incident_until_a_week_is_as_usual_again(
    app: App, workspace: UUID, store: Store, maya: Agent
) -> None:
    await set_bot(app, workspace, store, maya)
    now = datetime(2026, 11, 17, 3, tzinfo=UTC)
    quiet = {"talks": 200, "unsure": 60, "handed": 50, "corrected": 8, "scores": [200, *[0] * (BINS - 1)]}
    async with app.db.transaction(workspace) as tx:
        tx.add(*(BotWeek(store_id=store.id, week=MONDAY - timedelta(weeks=back), **quiet) for back in range(1, 9)))
        tx.add(BotWeek(store_id=store.id, week=MONDAY, **{**quiet, "handed": 150}))
        await tx.flush()
        await drift.keep_weeks(tx, "UTC", now)
        assert await drift.drifted(tx, store.id, now) == ("handed",)
        found = await tx.get(Store, store.id)
        assert found is not None
        health = await state.read(tx, found, now)
        assert "bot_drift" in {problem.code for problem in health.problems}
        assert await drift.drifted(tx, store.id, now + timedelta(weeks=2)) == (), "what nobody counts any more is over"
        assert await tx.scalar(select(func.count()).select_from(BotWeek).where(BotWeek.workspace_id == workspace)) == 9
        # The week after was as usual.
        tx.add(BotWeek(store_id=store.id, week=MONDAY + timedelta(weeks=1), **quiet))
        await tx.flush()
        later = now + timedelta(weeks=1)
        await drift.keep_weeks(tx, "UTC", later)
        health = await state.read(tx, found, later)
        assert "bot_drift" not in {problem.code for problem in health.problems}
