"""Teams: who is responsible, and when somebody is there again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.app import App
from plugin.conversations import hours, teams
from plugin.conversations.hours import ALWAYS, span
from plugin.conversations.teams import Giving, Rules, Team, responsible
from plugin.kernel.db import new_id
from plugin.kernel.errors import AhlanError
from plugin.stores import Store

OUD, KAD = UUID(int=1), UUID(int=2)
SHORT = hours.to_json([[span("09:00", "17:00")]] * 7, {})


def rules(
    number: int, *, stores: Sequence[str] = (), languages: Sequence[str] = (), skills: Sequence[str] = ()
) -> Rules:
    return Rules(UUID(int=number), frozenset(), frozenset(stores), frozenset(languages), frozenset(skills),
                 Giving.MANUAL, ALWAYS)  # fmt: skip


EVERYBODY = rules(10)
OF_OUD = rules(11, stores=[str(OUD)])
ARABIC = rules(12, languages=["ar"])
ARABIC_OUD = rules(13, stores=[str(OUD)], languages=["ar"])
RETURNS = rules(14, skills=["return"])
ALL = [EVERYBODY, OF_OUD, ARABIC, ARABIC_OUD, RETURNS]


@pytest.mark.parametrize(
    ("store", "locale", "tags", "whose"),
    [
        (KAD, "he", (), EVERYBODY),
        (OUD, "he-IL", (), OF_OUD),
        (KAD, "ar-SA", (), ARABIC),
        (OUD, "ar_SA", (), ARABIC_OUD),
        (OUD, "ar", ("vip", "return"), RETURNS),
    ],
)
def test_the_narrowest_team_is_responsible(store: UUID, locale: str, tags: tuple[str, ...], whose: Rules) -> None:
    assert responsible(ALL, store, locale, tags) is whose
    assert responsible(reversed(ALL), store, locale, tags) is whose
    assert responsible([], store, locale, tags) is None


@given(st.permutations(ALL), st.sampled_from([OUD, KAD, None]), st.sampled_from(["ar", "he", "en", ""]))
def test_the_order_of_rows_decides_nothing_and_the_team_fits(
    some: list[Rules], store: UUID | None, locale: str
) -> None:
    found = responsible(some, store, locale)
    assert found is responsible(ALL, store, locale)
    assert found is not None
    assert found.fits(store, locale, ())


async def test_shoppers_are_told_when_somebody_is_back(app: App, workspace: UUID, store: Store) -> None:
    riyadh = ZoneInfo("Asia/Riyadh")
    noon, night = datetime(2026, 11, 22, 12, tzinfo=riyadh), datetime(2026, 11, 22, 22, tzinfo=riyadh)
    async with app.db.transaction(workspace) as tx:
        assert await teams.back_at(tx, store.id, "ar", night) is None, "without teams nobody promises anything"
        await teams.save(tx, Team(name=" Riyadh ", hours=SHORT, timezone="Asia/Riyadh", stores=[str(store.id)]))
        assert await teams.back_at(tx, store.id, "ar", noon) is None
        assert await teams.back_at(tx, store.id, "ar", night) == datetime(2026, 11, 23, 9, tzinfo=riyadh)
        assert await teams.back_at(tx, new_id(), "ar", night) is None, "another store's hours are not known"
        await teams.save(tx, Team(name="Nights", languages=["ar"], stores=[str(store.id)]))
        assert await teams.back_at(tx, store.id, "ar", night) is None
        assert await teams.back_at(tx, store.id, "he", night) is not None
        closed = Team(name="Gone", skills=[], languages=["de"], hours=hours.to_json([[]] * 7, {}))
        await teams.save(tx, closed)
        assert await teams.back_at(tx, new_id(), "de", datetime.now(UTC) + timedelta(days=1)) is None


async def test_a_team_has_a_name_and_there_is_an_end(app: App, workspace: UUID, other_workspace: UUID) -> None:
    async with app.db.transaction(workspace) as tx:
        for wrong in ("", "  ", "x" * 61):
            with pytest.raises(AhlanError):
                await teams.save(tx, Team(name=wrong))
        for number in range(teams.MOST):
            await teams.save(tx, Team(name=f"Team {number}"))
        with pytest.raises(AhlanError):
            await teams.save(tx, Team(name="One more"))
        one = (await teams.all_teams(tx))[0]
        one.name = "Renamed"
        await teams.save(tx, one)
        await teams.remove(tx, one.id)
        assert len(await teams.all_teams(tx)) == teams.MOST - 1
    async with app.db.transaction(other_workspace) as tx:
        assert await teams.all_teams(tx) == []
