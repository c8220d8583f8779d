"""The screens of how the team works."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from plugin import workspaces
from plugin.app import App
from plugin.conversations import clocks, routing, teams
from plugin.conversations.conversations import Conversation
from plugin.conversations.hours import Span
from plugin.conversations.teams import Team
from plugin.team import Agent
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def kept(app: App, shop: Shop) -> list[Team]:
    async with app.db.transaction(shop.workspace_id) as tx:
        return list(await teams.all_teams(tx))


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def plain(page: str) -> str:
    """Without the isolates around names."""
    return page.replace("\u2068", "").replace("\u2069", "")


def form(shop: Shop, **more: object) -> dict[str, object]:
    return {
        "name": "Riyadh", "member": [str(shop.owner.id), "nobody"], "store": str(shop.stores["oud"].id),
        "language": ["ar", "he", "nonsense!"], "skills": "Return,VIP", "timezone": "Asia/Riyadh", "when": "week",
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
    assert "Maya Haddad · Oud &amp; Amber · Arabic and Hebrew · return and vip" in plain(page.text)
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


async def test_a_promise_is_made_moved_and_taken_back(app: App, shop: Shop, maya: Browser) -> None:
    new = "/panel/settings/work/targets"
    assert 'value="1"' in (await maya.get(new)).text
    form = {"name": "All", "first": "90", "first-unit": "minutes", "next": "2", "next-unit": "days", "resolution": ""}
    assert (await maya.post(new, data=form)).status_code == 303
    urgent = {"name": "Urgent", "first": "5", "first-unit": "minutes", "priority": ["3", "9"], "channel": "widget",
              "segment": ["returning", "rich"], "tags": "VIP"}  # fmt: skip
    assert (await maya.post(new, data=urgent)).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        made = await clocks.all_targets(tx)
    assert [(one.name, one.first, one.next, one.resolution) for one in made] == [
        ("Urgent", 5, None, None),
        ("All", 90, 2880, None),
    ]
    assert (made[0].priorities, made[0].channels) == ([3], ["widget"])
    assert (made[0].segments, made[0].tags) == (["returning"], ["vip"])
    page = (await maya.get("/panel/settings/work")).text
    assert "First answer: 5 minutes" in page
    assert "Urgent · Chat · Several orders · vip" in plain(page)
    assert page.index("<bdi>Urgent<") < page.index("<bdi>All<")
    assert (await maya.post(f"{new}/{made[1].id}/move", data={"to": "up"})).status_code == 303
    page = (await maya.get("/panel/settings/work")).text
    assert page.index("<bdi>All<") < page.index("<bdi>Urgent<")
    assert 'value="90"' in (await maya.get(f"{new}/{made[1].id}")).text
    for wrong in ("soon", "-1", "", "0", "999999999999", "9" * 5000, "0" * 5000, "000000000999999999", "²"):
        answer = await maya.post(f"{new}/{made[0].id}", data={**urgent, "first": wrong})
        assert answer.status_code == 400, wrong[:20]
    assert (await maya.post(f"{new}/{made[0].id}/delete")).status_code == 303
    async with app.db.transaction(shop.workspace_id) as tx:
        assert [one.name for one in await clocks.all_targets(tx)] == ["All"]


async def test_limits_and_capacities_are_kept(app: App, shop: Shop, maya: Browser) -> None:
    assert (await maya.post("/panel/settings/work/limits", data={"unattended": "25", "away": ""})).status_code == 303
    assert (await maya.post("/panel/settings/work/people", data={f"capacity-{shop.owner.id}": "7"})).status_code == 303
    assert (await maya.post("/panel/settings/work/limits", data={"unattended": "often"})).status_code == 400
    async with app.db.transaction(shop.workspace_id) as tx:
        workspace = await workspaces.current(tx)
        me = await tx.get(Agent, shop.owner.id)
        assert workspace is not None
        assert me is not None
        assert (workspace.unattended_minutes, workspace.away_minutes, me.capacity) == (25, 0, 7)


async def test_the_switch_says_whether_one_is_there(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    assert "I am here" in (await maya.get("/panel/inbox")).text
    assert "I am away" in (await maya.post("/panel/settings/me/away", data={"to": "away"})).text
    # A second window that still says otherwise changes nothing.
    assert "I am away" in (await maya.post("/panel/settings/me/away", data={"to": "away"})).text
    assert "I am away" in (await maya.get("/panel/inbox")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        me = await tx.get(Agent, shop.owner.id)
        assert me is not None
        assert not me.available
        assert me.away_since is not None
    assert "I am here" in (await maya.post("/panel/settings/me/away", data={"to": "here"})).text
    light = await sign_in(shop.colleagues["lior"].email or "")
    assert 'id="away"' not in (await light.get("/panel/inbox")).text
    assert (await light.post("/panel/settings/me/away")).status_code == 403


async def test_the_banner_says_that_nobody_takes_it(app: App, shop: Shop, maya: Browser) -> None:
    assert "Nobody has taken" not in (await maya.get("/panel/alerts")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(update(Conversation).values(waiting_since=datetime.now(UTC) - timedelta(hours=3)))
        told = await routing.tell_unattended(tx, datetime.now(UTC))
    assert told >= 1
    banner = await maya.get("/panel/alerts")
    assert "Nobody has taken" in banner.text
    assert "inbox?view=unassigned" in banner.text


async def test_who_has_it_is_warned_before_it_is_too_late(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        mine = update(Conversation).where(Conversation.id == shop.talks["emma"])
        await tx.execute(mine.values(assignee_id=shop.owner.id, status="open", due_at=ago(-20), warn_at=ago(-5)))
    assert "due soon" not in (await maya.get("/panel/alerts")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(mine.values(warn_at=ago(1)))
    assert "1 conversation of yours is due soon or overdue." in (await maya.get("/panel/alerts")).text
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert "due soon" not in (await noa.get("/panel/alerts")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(mine.values(status="resolved"))
    assert "due soon" not in (await maya.get("/panel/alerts")).text
