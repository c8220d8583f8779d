"""The screens of how the team works."""

from __future__ import annotations

from datetime import date

import pytest

from plugin.app import App
from plugin.conversations import teams
from plugin.conversations.hours import Span
from plugin.conversations.teams import Team
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def kept(app: App, shop: Shop) -> list[Team]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return list(await teams.all_teams(tx))


def form(shop: Shop, **more: object) -> dict[str, object]:
    return {
        "name": "Riyadh", "member": [str(shop.owner.id), "nobody"], "store": str(shop.stores["oud"].id),
        "languages": "AR، he, nonsense!", "skills": "Return,VIP", "timezone": "Asia/Riyadh", "when": "week",
        "open-6": ["09:00", "16:00"], "close-6": ["13:00", "02:00"], "open-0": ["", ""], "close-0": ["", ""],
        "special-day": ["2026-12-25", ""], "special-name": ["Holiday", ""], "special-open": ["", ""],
        "special-close": ["", ""],
    } | more  # fmt: skip


async def test_a_team_is_made_changed_and_deleted(app: App, shop: Shop, maya: Browser) -> None:
    page = await maya.get("/panel/settings/work")
    assert "nobody has said when you are there" in page.text
    assert (await maya.get("/panel/settings/work/teams")).text.count('type="time"') == 7 * 4 + 2 * 2
    answer = await maya.post("/panel/settings/work/teams", data=form(shop))
    assert answer.status_code == 303, answer.text
    (team,) = await kept(app, shop)
    rules = team.rules()
    assert rules.members == {str(shop.owner.id)}, "a stranger's id is left out"
    assert rules.stores == {str(shop.stores["oud"].id)}
    assert (sorted(rules.languages), sorted(rules.skills)) == (["ar", "he"], ["return", "vip"])
    assert rules.hours.week[6] == (Span(540, 780), Span(960, 1560))
    assert rules.hours.week[0] == ()
    assert rules.hours.of_day(date(2026, 12, 25)) == ()
    page = await maya.get("/panel/settings/work")
    assert "Riyadh" in page.text
    assert "Maya Haddad · Oud &amp; Amber · Arabic and Hebrew · return and vip" in page.text
    one = f"/panel/settings/work/teams/{team.id}"
    shown = (await maya.get(one)).text
    assert shown.index("Sunday") < shown.index("Monday") < shown.index("Saturday"), "a week of Jerusalem"
    assert 'value="02:00"' in shown
    assert 'value="2026-12-25"' in shown
    assert (await maya.post(one, data=form(shop, when="always", name="Day and night"))).status_code == 303
    assert [(team.name, team.hours) for team in await kept(app, shop)] == [("Day and night", {})]
    assert (await maya.post(f"{one}/delete")).status_code == 303
    assert await kept(app, shop) == []
    assert (await maya.get(one)).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"close-6": ["", ""]}, {"special-day": ["tomorrow", ""]}, {"special-open": ["09:00", ""]}, {"name": " "}]
)
async def test_half_an_answer_is_refused_with_words(
    app: App, shop: Shop, maya: Browser, wrong: dict[str, object]
) -> None:
    answer = await maya.post("/panel/settings/work/teams", data=form(shop, **wrong))
    assert answer.status_code == 400
    assert await kept(app, shop) == []


async def test_agents_see_the_hours_and_change_none(app: App, shop: Shop, sign_in: SignIn) -> None:
    noa = await sign_in(shop.colleagues["noa"].email or "")
    page = await noa.get("/panel/settings/work")
    assert page.status_code == 200
    assert "settings/work/teams" not in page.text
    assert (await noa.get("/panel/settings/work/teams")).status_code == 403
    assert (await noa.post("/panel/settings/work/teams", data=form(shop))).status_code == 403
