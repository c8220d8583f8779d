"""The inbox's lists: by name, by filter, saved; many changed at once; marks on a conversation."""

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from httpx import Response

from admin_ui.pages.conversation import laters
from plugin.app import App
from plugin.conversations.conversations import Conversation
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

HX = {"hx-request": "true", "hx-request-type": "partial"}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


def names(page: Response) -> list[str]:
    return re.findall(r'class="row-name" dir="auto">([^<]+)<', page.text)


async def state(app: App, shop: Shop, name: str) -> Conversation:
    async with app.db.transaction(shop.workspace_id) as tx:
        found = await tx.get(Conversation, shop.talks[name])
    assert found is not None
    return found


async def test_a_filter_in_the_address_is_the_list(shop: Shop, maya: Browser) -> None:
    every = names(await maya.get("/panel/inbox"))
    assert len(every) > 2
    mine = await maya.get("/panel/inbox", params={"q": "status:open assignee:me"})
    none = await maya.get("/panel/inbox", params={"q": "-status:open -status:resolved"})
    assert 0 < len(names(mine)) < len(every)
    assert "Nothing fits this filter" in none.text
    assert 'value="status:open assignee:me"' in mine.text, "what was asked stands in the field"


async def test_what_is_no_filter_is_said_beside_the_field(maya: Browser) -> None:
    page = await maya.get("/panel/inbox", params={"q": "colour:red"})
    assert page.status_code == 200
    assert "There is no filter colour." in page.text
    assert "status, assignee" in page.text
    assert 'value="colour:red"' in page.text


async def test_a_filter_is_kept_under_a_name_and_deleted(maya: Browser, sign_in: SignIn, shop: Shop) -> None:
    kept = await maya.post(
        "/panel/views", data={"q": "status:open priority:>=high", "sort": "waiting", "name": "Urgent", "shared": "yes"}
    )
    assert kept.status_code == 303
    page = await maya.get(kept.headers["location"])
    assert 'aria-current="page"' in page.text.split("Urgent")[0].rsplit("<li>", 1)[1]
    noa = await sign_in(shop.colleagues["noa"].email or "")
    theirs = await noa.get("/panel/inbox")
    assert "Urgent" in theirs.text
    key = kept.headers["location"].partition("view=")[2]
    assert f"views/{key}/forget" not in theirs.text, "somebody else's is not theirs to delete"
    assert (await noa.post(f"/panel/views/{key}/forget")).status_code == 403
    assert (await maya.post(f"/panel/views/{key}/forget")).status_code == 303
    assert f"view={key}" not in (await maya.get("/panel/inbox")).text


async def test_many_are_changed_and_taken_back(app: App, shop: Shop, maya: Browser) -> None:
    ids = [str(shop.talks[name]) for name in ("huda", "emma")]
    answer = await maya.post("/panel/changes", data={"id": ids, "change": "status:spam"}, headers=HX)
    assert answer.status_code == 204
    toast = json.loads(answer.headers["hx-trigger"])["ahlan:toast"]
    assert toast["text"] == "2 conversations changed."
    assert (await state(app, shop, "huda")).status == "spam"
    assert (await maya.post(toast["action"], headers=HX)).status_code == 204
    assert (await state(app, shop, "huda")).status == "open"
    again = await maya.post(toast["action"], headers=HX)
    assert again.status_code == 404
    assert again.json()["error"]["message"] == "This can no longer be undone."


@pytest.mark.parametrize("change", ["", "status:closed", "priority:9", "delete:1", "status:snoozed", "assign:x"])
async def test_a_change_that_is_none_is_refused(shop: Shop, maya: Browser, change: str) -> None:
    answer = await maya.post("/panel/changes", data={"id": str(shop.talks["huda"]), "change": change}, headers=HX)
    assert answer.status_code in (400, 404, 422)


async def test_a_snooze_is_read_on_the_agents_own_clock(app: App, shop: Shop, maya: Browser) -> None:
    zone = ZoneInfo("Asia/Riyadh")
    tomorrow = (datetime.now(zone) + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=None)
    await maya.post("/panel/settings/me", data={"name": "Maya", "locale": "en", "timezone": "Asia/Riyadh"})
    path = f"/panel/conversations/{shop.talks['huda']}/status"
    shown = await maya.post(path, data={"to": "snoozed", "seen": "open", "until": tomorrow.isoformat()}, headers=HX)
    assert 'data-status="snoozed"' in shown.text
    assert (await state(app, shop, "huda")).snoozed_until == tomorrow.replace(tzinfo=zone)
    assert (await maya.post(path, data={"to": "snoozed", "until": "yesterday"}, headers=HX)).status_code == 400
    stale = await maya.post(path, data={"to": "resolved", "seen": "open"}, headers=HX)
    assert stale.status_code == 409


async def test_tags_priority_and_subject_stand_in_the_head(app: App, shop: Shop, maya: Browser) -> None:
    talk = f"/panel/conversations/{shop.talks['huda']}"
    assert "<bdi>هدية</bdi>" in (await maya.post(f"{talk}/tag", data={"tag": "هدية"}, headers=HX)).text
    assert 'class="urgent"' in (await maya.post(f"{talk}/priority", data={"priority": "3"}, headers=HX)).text
    subject = await maya.post(f"{talk}/subject", data={"subject": "  Lost\nparcel "}, headers=HX)
    assert 'value="Lost parcel"' in subject.text
    assert (await maya.post(f"{talk}/subject", data={"subject": "Lost parcel"}, headers=HX)).status_code == 200
    page = await maya.get(f"/panel/inbox/{shop.talks['huda']}")
    assert page.text.count("changed the subject") == 1, "who named it is told, and nothing when nothing changed"
    for said in ("added the tag \u2068هدية\u2069", "set the priority to \u2068Urgent\u2069"):
        assert said in page.text
    assert "<bdi>هدية</bdi>" not in (await maya.post(f"{talk}/untag", data={"tag": "هدية"}, headers=HX)).text
    assert (await maya.post(f"{talk}/priority", data={"priority": "7"}, headers=HX)).status_code == 404


@pytest.mark.parametrize(
    ("zone", "week"), [("Asia/Riyadh", 6), ("Asia/Jerusalem", 6), ("Europe/Berlin", 0), ("Africa/Cairo", 5)]
)
@pytest.mark.parametrize("day", range(1, 8))
def test_moments_to_snooze_until_lie_ahead_and_once(app: App, zone: str, week: int, day: int) -> None:
    words = app.catalogues.translator("en", timezone=zone)
    now = datetime(2026, 11, day, 21, 30, tzinfo=UTC)
    offered = laters(words, now)
    moments = [later.at for later in offered]
    assert len(set(moments)) == len(moments) >= 3
    assert all(now < moment <= now + timedelta(days=8) for moment in moments)
    beginning = [later.at for later in offered if "next week" in later.text or later.at.weekday() == week]
    assert beginning
    assert all(moment.astimezone(ZoneInfo(zone)).hour == 9 for moment in moments[1:])
