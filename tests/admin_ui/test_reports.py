"""The page of reports: numbers that lead to the conversations they count, for who may see them."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from plugin.app import App
from plugin.conversations.ratings import Rating
from plugin.conversations.teams import Team, save
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

ISOLATES = dict.fromkeys(map(ord, "\u2068\u2069"))


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


def section(page: str, heading: str) -> str:
    return page.split(f"<h2>{heading}</h2>", 1)[1].split("</section>")[0]


def listed(page: str) -> int:
    return len(re.findall(r'class="row-name"', page))


async def test_every_number_of_a_table_leads_to_as_many_conversations(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        await save(tx, Team(name="Arabic desk", languages=["ar"]))
    page = (await maya.get("/panel/reports")).text
    links = 0
    for heading in ("By channel", "By agent", "By team", "By store", "By language", "When shoppers write"):
        for path, label in re.findall(r'<a href="([^"]+)"(?: title="([^"]*)")?>', section(page, heading)):
            shown = await maya.get(html.unescape(path))
            said = label.rpartition(": ")[2] or re.search(rf'{re.escape(path)}">([\d,]+)</a>', page)[1]
            assert listed(shown.text) == int(said) > 0, (heading, path)
            links += 1
    assert links > 8


async def test_the_days_are_chosen_and_wrong_ones_are_said(maya: Browser) -> None:
    long_ago = await maya.get("/panel/reports", params={"days": "own", "from": "2020-01-01", "to": "2020-01-31"})
    assert "No conversations began in these days" in long_ago.text
    assert 'value="2020-01-31"' in long_ago.text
    for wrong in (
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "0001-01-01", "to": "0001-01-02"},
        {"from": "9999-12-30", "to": "9999-12-31"},
        {"from": "soon", "to": ""},
    ):
        page = await maya.get("/panel/reports", params={"days": "own", **wrong})
        assert page.status_code == 200
        assert "Choose two days" in page.text
    for query in ({"days": "x", "store": "1", "team": "'", "agent": "x", "language": "1", "hours": "x"},
                  {"days": "7"}, {"days": "90"}, {"days": "month"}, {"days": "last", "hours": "business"}):  # fmt: skip
        assert (await maya.get("/panel/reports", params=query)).status_code == 200


async def test_a_choice_narrows_every_number(shop: Shop, maya: Browser) -> None:
    whole, mine = (
        int(re.search(r"<dt>New conversations</dt>\s*<dd><strong><a [^>]*>(\d+)", page.text)[1])
        for page in (
            await maya.get("/panel/reports"),
            await maya.get("/panel/reports", params={"agent": str(shop.owner.id)}),
        )
    )
    assert 0 < mine < whole


async def test_satisfaction_is_said_once_somebody_rated_and_leads_to_who_did(
    app: App, shop: Shop, maya: Browser, visitor: Browser
) -> None:
    assert "Satisfaction" not in (await maya.get("/panel/reports")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        talks = list(await tx.scalars(text("SELECT id FROM conversations WHERE status <> 'spam' ORDER BY id LIMIT 4")))
        for talk, score in zip(talks, (5, 4, 1, None), strict=True):
            tx.add(Rating(conversation_id=talk, score=score))
    page = (await maya.get("/panel/reports")).text.translate(ISOLATES)
    tile = page.split("<dt>Satisfaction</dt>", 1)[1].split("</dd>")[0]
    path, note = re.search(r'<a href="([^"]+)">([^<]+)</a>', tile).groups()
    assert (re.search(r"<strong>(\d+)%", tile)[1], note) == ("67", "3 rated")
    assert listed((await maya.get(html.unescape(path))).text) == 3
    shares = re.findall(r"(\d+)% of (\d+)", section(page, "By channel"))
    assert sum(int(rated) for _share, rated in shares) == 3
    link = (await maya.get("/panel/reports/export?by=channel")).json()["url"]
    head, *rows = csv.reader(io.StringIO((await visitor.get(link)).text.removeprefix("\ufeff")))
    assert head[-2:] == ["Rated", "Rated 4 or 5"]
    assert [sum(int(row[place]) for row in rows) for place in (-2, -1)] == [3, 2]


async def test_who_does_not_lead_sees_their_own_line_only(shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    names = [shop.owner.name, shop.colleagues["noa"].name]
    lead = section((await maya.get("/panel/reports")).text, "By agent")
    assert all(name in lead for name in names)
    noa = await sign_in(shop.colleagues["noa"].email or "")
    page = (await noa.get("/panel/reports", params={"agent": str(shop.owner.id)})).text
    assert shop.owner.name not in section(page, "By agent")
    assert names[1] in section(page, "By agent")


async def test_a_table_leaves_as_a_file_for_who_may_take_it(
    app: App, shop: Shop, maya: Browser, sign_in: SignIn, visitor: Browser
) -> None:
    link = (await maya.get(f"/panel/reports/export?{urlencode({'by': 'channel', 'days': '90'})}")).json()["url"]
    answer = await visitor.get(link)
    last = datetime.now(UTC).date()
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="report-channel-')
    assert str((last - timedelta(days=89)).year) in answer.headers["content-disposition"]
    head, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head[:3] == ["By channel", "Conversations", "Answered"]
    assert len(rows) >= 1
    assert all(int(row[1]) >= int(row[2]) for row in rows)
    assert (await maya.get("/panel/reports/export?by=customers")).status_code == 400
    assert (await visitor.get(link[:-3] + "abc")).status_code == 404
    noa = await sign_in(shop.colleagues["noa"].email or "")
    assert (await noa.get("/panel/reports/export?by=channel")).status_code == 403
    async with app.db.transaction(shop.workspace_id) as tx:
        await tx.execute(text("UPDATE agents SET role = 'light' WHERE email = :email"), {"email": shop.email})
    assert (await visitor.get(link)).status_code == 404, "whoever lost the right loses the link"
