"""The help centre in the panel: writing, translating, publishing, imports, the starter set, the reply box."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from plugin.app import App
from plugin.kernel.jobs import JobRow
from plugin.knowledge import articles, reading, search, site
from plugin.knowledge.articles import Kind, Listed
from plugin.stores import Store
from plugin.team import Agent
from tests.admin_ui.conftest import Browser, SignIn
from tests.admin_ui.shop import Shop

HX = {"hx-request": "true", "hx-request-type": "partial", "hx-target": "main#page"}


@pytest.fixture
async def maya(shop: Shop, sign_in: SignIn) -> Browser:
    return await sign_in(shop.email)


async def write(browser: Browser, title: str, body: str, language: str = "en", **more: str) -> UUID:
    form = {"kind": "article", "language": language, "title": title, "body": body, "then": "save", "seen": "0", **more}
    answer = await browser.post("/panel/help", data=form)
    assert answer.status_code == 303, answer.text
    return UUID(re.findall(r"/help/([0-9a-f-]{36})", answer.headers["location"])[0])


async def look(app: App, shop: Shop, id: UUID) -> Listed:
    async with app.db.transaction(shop.workspace_id) as tx:
        return await articles.find(tx, id)


async def test_an_article_is_written_translated_published_and_changed(app: App, shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Delivery", "Three **days**.", then="publish")
    page = await maya.get(f"/panel/help/{id}?language=ar")
    assert "Three <strong>days</strong>" in page.text, "the source stands beside the translation"
    form = {"kind": "article", "language": "ar", "title": "التوصيل", "body": "ثلاثة أيام", "seen": "0"}
    assert (await maya.post(f"/panel/help/{id}", data={**form, "then": "publish"})).status_code == 303
    change = {"kind": "article", "language": "en", "title": "Delivery", "body": "Five days.", "seen": "1"}
    assert (await maya.post(f"/panel/help/{id}", data={**change, "then": "publish"})).status_code == 303
    page = await maya.get(f"/panel/help/{id}?language=ar")
    assert "The source has changed since this was translated." in page.text
    assert "<ins>Five</ins>" in page.text
    await maya.post(f"/panel/help/{id}/current", data={"language": "ar"})
    assert not (await look(app, shop, id)).outdated("ar")
    again = await maya.post(f"/panel/help/{id}", data={**change, "body": "Mine."}, headers=HX)
    assert again.status_code == 422
    assert "Somebody else saved this text meanwhile." in again.text
    assert "Mine." in again.text, "nothing that was written is lost"
    history = await maya.get(f"/panel/help/{id}/versions?language=en&number=1")
    assert "Three **days**." in history.text
    await maya.post(f"/panel/help/{id}/restore", data={"language": "en", "number": "1"})
    assert (await look(app, shop, id)).texts["en"].body == "Three **days**."


async def test_a_shop_whose_platform_can_has_its_pages_inside_the_theme_or_alone(
    app: App, shop: Shop, maya: Browser
) -> None:
    await write(maya, "Delivery", "x", then="publish")
    store = shop.stores["oud"]
    page = await maya.get("/panel/help")
    assert re.search(rf'help/shops/{store.id}"[^>]*>.*?name="themed" checked', page.text, re.DOTALL)
    for form, alone in (({}, True), ({"themed": "on"}, False)):
        assert (await maya.post(f"/panel/help/shops/{store.id}", data=form)).status_code == 303
        async with app.db.transaction(shop.workspace_id) as tx:
            kept = await tx.get(Store, store.id)
            assert kept is not None
            assert kept.widget[site.HELP_ALONE] is alone
    trail = await maya.get("/panel/team/log")
    assert "Help centre outside the theme" in trail.text


async def test_deleting_is_undone_in_place(app: App, shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Delivery", "x")
    gone = await maya.post(f"/panel/help/{id}/remove", data={})
    page = await maya.get(gone.headers["location"])
    assert "Deleted: \u2068Delivery\u2069" in page.text
    await maya.post(f"/panel/help/{id}/remove", data={"back": "yes"})
    assert (await look(app, shop, id)).article.deleted_at is None


async def test_what_is_written_cannot_run_in_the_panel(shop: Shop, maya: Browser) -> None:
    bad = '<script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3)) "><b>'
    id = await write(maya, f'"><script>{1}</script>', bad)
    for path in (f"/panel/help/{id}", f"/panel/help/{id}/versions?language=en", "/panel/help"):
        page = await maya.get(path)
        assert page.status_code == 200
        assert "<script>1" not in page.text
        assert "<script>alert" not in page.text
        assert not re.search(r"<img[^>]*onerror", page.text)
        assert 'href="javascript' not in page.text
    shown = await maya.post("/panel/help/preview", data={"language": "en", "title": bad, "body": bad}, headers=HX)
    assert "<script" not in shown.text


async def test_roles(app: App, shop: Shop, maya: Browser, sign_in: SignIn) -> None:
    id = await write(maya, "Delivery", "x")
    agent = await sign_in(shop.colleagues["noa"].email or "")
    assert "Save and publish" not in (await agent.get(f"/panel/help/{id}")).text
    for path in ("publish", "unpublish", "schedule"):
        assert (await agent.post(f"/panel/help/{id}/{path}", data={"language": "en"})).status_code == 403
    assert (await agent.get("/panel/help/collections")).status_code == 403
    own = await write(agent, "Gift wrapping", "y")
    assert (await look(app, shop, own)).state("en") == "draft"
    form = {"kind": "article", "language": "en", "title": "Gifts", "body": "y", "then": "publish", "seen": "1"}
    assert (await agent.post(f"/panel/help/{own}", data=form)).status_code == 403
    assert (await look(app, shop, own)).texts["en"].title == "Gift wrapping", "all or nothing"


async def test_planning(app: App, shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Sale", "x")
    planned = await maya.post(f"/panel/help/{id}/schedule", data={"language": "en", "at": "2100-01-01T09:00"})
    assert planned.status_code == 303
    assert "Published by itself on" in (await maya.get(f"/panel/help/{id}")).text
    assert (
        await maya.post(f"/panel/help/{id}/schedule", data={"language": "en", "at": "2001-01-01T09:00"})
    ).status_code == 400
    assert (await maya.post(f"/panel/help/{id}/schedule", data={"language": "en", "at": "soon"})).status_code == 404
    await maya.post(f"/panel/help/{id}/schedule", data={"language": "en", "off": "yes"})
    assert (await look(app, shop, id)).state("en") == "draft"


@pytest.mark.parametrize(
    ("clock", "moment"),
    [
        ("2100-01-10T09:00", "2100-01-10T07:00"),
        ("2100-07-10T09:00", "2100-07-10T06:00"),
        # On the night when clocks go on from two to three there is no half past two: it is half past three.
        ("2100-03-26T02:30", "2100-03-26T00:30"),
        ("2100-07-10T09:00+03:00", "2100-07-10T06:00"),
    ],
)
async def test_a_plan_is_by_the_agents_clock_and_stays_when_that_becomes_another(
    app: App, shop: Shop, maya: Browser, clock: str, moment: str
) -> None:
    id = await write(maya, "Sale", "x")
    page = (await maya.get(f"/panel/help/{id}")).text
    assert re.search(r"Day and time \(\W*Jerusalem", page), "whose clock it is stands beside it"
    await maya.post(f"/panel/help/{id}/schedule", data={"language": "en", "at": clock})
    wanted = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert (await look(app, shop, id)).texts["en"].publish_at == wanted
    async with app.db.transaction(shop.workspace_id) as tx:
        due = await tx.scalar(select(JobRow.run_at).where(JobRow.task == "publish_article"))
        assert abs(due - wanted) < timedelta(minutes=1)
        owner = await tx.get(Agent, shop.owner.id)
        assert owner is not None
        owner.timezone = "Asia/Tokyo"
    there = wanted.astimezone(ZoneInfo("Asia/Tokyo"))
    page = (await maya.get(f"/panel/help/{id}")).text
    assert re.search(rf"Published by itself on [^<]*{there.day}[^<]*{there.hour % 12 or 12}:{there.minute:02}", page)
    assert (await look(app, shop, id)).texts["en"].publish_at == wanted


async def test_collections_are_made_named_and_ordered(app: App, shop: Shop, maya: Browser) -> None:
    for name in ("Orders", "Returns"):
        assert (await maya.post("/panel/help/collections", data={"name-en": name})).status_code == 303
    assert (await maya.post("/panel/help/collections", data={"name-en": " "}, headers=HX)).status_code == 422
    async with app.db.transaction(shop.workspace_id) as tx:
        first, second = await articles.collections(tx)
    await maya.post(f"/panel/help/collections/{second.id}/move", data={"step": "up"})
    await maya.post(f"/panel/help/collections/{first.id}", data={"name-en": "Orders", "name-ar": "الطلبات"})
    id = await write(maya, "Delivery", "x")
    await maya.post(f"/panel/help/{id}/arrange", data={"language": "en", "collection": str(first.id), "slug": "شحن"})
    page = await maya.get("/panel/help")
    assert page.text.index("Orders") < page.text.index("Delivery")
    assert (await look(app, shop, id)).texts["en"].slug == "شحن"
    await maya.post(f"/panel/help/collections/{first.id}/remove", data={})
    assert (await look(app, shop, id)).article.collection_id is None


async def test_a_policy_is_written_in_every_language_from_its_answers(app: App, shop: Shop, maya: Browser) -> None:
    for key in ("delivery", "returns", "payment", "changes", "contact", "damaged"):
        assert (await maya.get(f"/panel/help/policies/{key}")).status_code == 200
    wrong = await maya.post("/panel/help/policies/returns", data={"days": "soon"}, headers=HX)
    assert wrong.status_code == 422
    given = {"days": "14", "pays": "shop", "refund": "3"}
    answer = await maya.post("/panel/help/policies/returns", data=given)
    id = UUID(re.findall(r"/help/([0-9a-f-]{36})", answer.headers["location"])[0])
    found = await look(app, shop, id)
    assert set(found.texts) == {"ar", "en", "he"}
    assert all(found.state(code) == "draft" for code in found.texts)
    assert "within 14 days" in found.texts["en"].body
    assert "We pay for the way back." in found.texts["en"].body
    assert "14" in found.texts["ar"].body
    assert "%(" not in found.texts["ar"].body + found.texts["he"].body
    await maya.post("/panel/help/policies/returns", data={**given, "days": "1"})
    async with app.db.transaction(shop.workspace_id) as tx:
        assert len(await articles.listed(tx, Kind.ARTICLE)) == 1
    assert "within 1 day " in (await look(app, shop, id)).texts["en"].body
    again = await maya.get("/panel/help/policies/returns")
    assert 'name="days" value="1"' in again.text, "it begins with what was answered the last time"
    assert re.search(r'name="pays" value="shop" checked', again.text)
    assert "Somebody has changed" not in again.text
    page = {"kind": "article", "language": "en", "title": found.texts["en"].title, "body": "Ours.", "seen": "2"}
    await maya.post(f"/panel/help/{id}", data=page)
    again = await maya.get("/panel/help/policies/returns")
    assert "Somebody has changed what was written: \u2068English\u2069" in again.text or (
        "Somebody has changed what was written: English" in again.text
    )


async def test_a_file_is_looked_at_before_it_is_taken_over(app: App, shop: Shop, maya: Browser) -> None:
    table = "question,answer\nDo you ship?,Yes\nDo you gift?,No\n<script>x</script>?,z\n"
    answer = await maya.post("/panel/help/import", data={"language": "en"}, files={"file": ("faq.csv", table)})
    assert answer.status_code == 303, answer.text
    page = await maya.get(answer.headers["location"])
    assert "Do you ship?" in page.text
    assert "<script>x" not in page.text
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await articles.listed(tx, Kind.ARTICLE) == []
    done = await maya.post(answer.headers["location"], data={"item": ["0"], "publish": "yes"})
    report = await maya.get(done.headers["location"])
    assert "1 new article" in report.text
    assert "2 left out" in report.text
    lately = (await maya.get("/panel/help/import")).text
    assert "1 new article</p>" in lately, "what was brought in lately is found again, without what did not happen"
    async with app.db.transaction(shop.workspace_id) as tx:
        (one,) = await articles.listed(tx, Kind.ARTICLE)
    assert one.state("en") == "published"
    back = await maya.post(f"{answer.headers['location']}/back", data={})
    assert "1 article deleted" in (await maya.get(back.headers["location"])).text
    async with app.db.transaction(shop.workspace_id) as tx:
        assert await articles.listed(tx, Kind.ARTICLE) == []
    other = await maya.post("/panel/help/import", data={"language": "en"},
                            files={"file": ("faq.csv", "question,answer,language\nVersand?,Ja,de\n")})  # fmt: skip
    page = await maya.get(other.headers["location"])
    assert "Nothing here is in a language of the help centre" in page.text
    assert "1 text is in a language" in page.text
    bad = await maya.post("/panel/help/import", data={"language": "en", "address": "http://127.0.0.1/"}, headers=HX)
    assert bad.status_code == 422


async def test_readings_under_the_shops_own_domain_count_although_nobody_is_told_from_another(
    app: App, shop: Shop, maya: Browser
) -> None:
    assert "Nobody has read an article yet." in (await maya.get("/panel/help/reports")).text
    async with app.db.transaction(shop.workspace_id) as tx:
        row = await articles.create(tx, shop.owner.id, Kind.ARTICLE, "en")
        await articles.write(tx, row, "en", "Delivery", "Five days.", by=shop.owner.id)
        await articles.publish(tx, row, "en", by=shop.owner)
        for _time in range(4):
            await reading.read(tx, row.id, "en")
        await reading.vote(tx, row.id, "en", helped=True)
    page = (await maya.get("/panel/help/reports")).text
    assert "At least \u206825%\u2069" in page
    assert "Nobody has read an article yet." not in page


async def test_a_missed_search_becomes_a_draft(app: App, shop: Shop, maya: Browser) -> None:
    async with app.db.transaction(shop.workspace_id) as tx:
        await reading.searched(tx, "تغليف هدايا", "ar", 0)
    page = await maya.get("/panel/help/reports")
    assert "تغليف هدايا" in page.text
    made = await maya.post("/panel/help/draft", data={"title": "تغليف هدايا", "language": "ar"})
    assert "تغليف هدايا" in (await maya.get(made.headers["location"])).text
    again = await maya.post("/panel/help/draft", data={"title": "تغليف هدايا", "language": "ar"})
    assert again.headers["location"] == made.headers["location"], "clicked twice it is one draft"
    assert "Open the draft" in (await maya.get("/panel/help/reports")).text
    (id,) = re.findall(r"/help/([0-9a-f-]{36})", made.headers["location"])
    await maya.post(f"/panel/help/{id}/remove", data={})
    assert "Open the draft" not in (await maya.get("/panel/help/reports")).text
    await maya.post("/panel/help/draft", data={"title": "تغليف هدايا", "language": "ar"})
    assert (await look(app, shop, UUID(id))).article.deleted_at is None


async def test_the_reply_box_offers_what_answers_and_puts_it_in(app: App, shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Returns", "Send it back within **14** days.", then="publish")
    snippet = await write(maya, "Opening hours", "From nine to five.", kind="snippet", then="publish")
    async with app.db.transaction(shop.workspace_id) as tx:
        await search.index(tx, [id, snippet])
    address = f"/panel/conversations/{shop.talks['emma']}/macros"
    found = await maya.get(address, params={"q": "hours"}, headers=HX)
    assert 'data-words="From nine to five."' in found.text
    found = await maya.get(address, params={"q": "returns"}, headers=HX)
    assert re.search(r'data-words="Returns\nhttp\S+/help/st_[\w-]+/en/returns"', found.text)


async def test_nothing_of_another_workspace_is_reached(
    app: App, shop: Shop, maya: Browser, empty_shop: Shop, sign_in: SignIn
) -> None:
    id = await write(maya, "Delivery", "x", then="publish")
    stranger = await sign_in(empty_shop.email)
    for path in (f"/panel/help/{id}", f"/panel/help/{id}/versions?language=en"):
        assert (await stranger.get(path)).status_code == 404
    for path in ("publish", "remove", "move", "arrange", "restore", "current", "unpublish", "schedule"):
        assert (await stranger.post(f"/panel/help/{id}/{path}", data={"language": "en"})).status_code == 404


async def test_agents_search_titles_and_texts_as_shoppers_do_and_drafts_by_their_titles(
    app: App, shop: Shop, maya: Browser
) -> None:
    parcels = await write(maya, "Parcels", "They arrive within five working days.", then="publish")
    draft = await write(maya, "Working draft", "Nothing yet.")
    other = await write(maya, "Gift wrapping", "In red paper.", then="publish")
    async with app.db.transaction(shop.workspace_id) as tx:
        await search.index(tx, [parcels, draft, other])
    page = (await maya.get("/panel/help?q=working")).text
    assert page.index(f"/help/{parcels}") < page.index(f"/help/{draft}")
    assert str(other) not in page
    assert "<mark>working</mark>" in page
    assert f"/help/{other}" in (await maya.get("/panel/help?q=wraping")).text, "past a typing error"
    assert "Nothing answers this" in (await maya.get("/panel/help?q=qqqqzzzz")).text


async def test_two_authors_at_once_see_what_the_other_wrote_and_choose(app: App, shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Delivery", "Three days.")
    form = {"kind": "article", "language": "en", "title": "Delivery", "seen": "1"}
    assert (await maya.post(f"/panel/help/{id}", data={**form, "body": "Four days."})).status_code == 303
    late = await maya.post(f"/panel/help/{id}", data={**form, "body": "Five days."}, headers=HX)
    assert late.status_code == 422
    assert "saved version 2" in late.text
    assert "<del>Four</del>" in late.text
    assert "<ins>Five</ins>" in late.text
    assert 'form="article" name="over" value="2"' in late.text
    assert (await look(app, shop, id)).texts["en"].body == "Four days."
    mine = await maya.post(f"/panel/help/{id}", data={**form, "body": "Five days.", "over": "2"})
    assert mine.status_code == 303
    assert (await look(app, shop, id)).texts["en"].body == "Five days."
    stale = await maya.post(f"/panel/help/{id}", data={**form, "body": "Six days.", "over": "2"}, headers=HX)
    assert stale.status_code == 422, "what was looked at is not the latest any more"


async def test_a_double_click_makes_one_article(app: App, shop: Shop, maya: Browser) -> None:
    page = await maya.get("/panel/help/new")
    (once,) = re.findall(r'name="once" value="([^"]+)"', page.text)
    first = await write(maya, "Once", "x", once=once)
    assert await write(maya, "Once", "x", once=once) == first
    more = {"kind": "article", "language": "en", "title": "Once", "body": "y", "seen": "0", "once": once}
    assert (await maya.post("/panel/help", data=more, headers=HX)).status_code == 422, "other words are no double click"
    async with app.db.transaction(shop.workspace_id) as tx:
        assert [one.article.id for one in await articles.listed(tx, Kind.ARTICLE, query="once")] == [first]


async def test_a_first_save_whose_answer_was_lost_goes_on_in_the_article_that_it_made(
    app: App, shop: Shop, maya: Browser
) -> None:
    page = await maya.get("/panel/help/new")
    (once,) = re.findall(r'name="once" value="([^"]+)"', page.text)
    form = {"kind": "article", "language": "en", "title": "Once", "seen": "0", "once": once}
    untitled = await maya.post("/panel/help", data={**form, "title": " ", "body": "x"}, headers=HX)
    assert re.findall(r'name="once" value="([^"]+)"', untitled.text) == [once], "what could not be kept is the same one"
    id = await write(maya, "Once", "First words.", once=once)
    late = await maya.post("/panel/help", data={**form, "body": "Further words."}, headers=HX)
    assert late.status_code == 422
    assert f'id="article" hx-post="/panel/help/{id}"' in late.text, "the next save is of that article"
    assert 'name="once"' not in late.text
    assert "<del>First</del>" in late.text
    assert 'form="article" name="over" value="1"' in late.text
    assert "Further words." in late.text
    await maya.post(f"/panel/help/{id}", data={**form, "once": "", "body": "Further words.", "over": "1"})
    long = await maya.post("/panel/help", data={**form, "title": " ", "body": "y"}, headers=HX)
    assert f'hx-post="/panel/help/{id}"' in long.text, "and so it is where the words cannot be kept"
    async with app.db.transaction(shop.workspace_id) as tx:
        (one,) = await articles.listed(tx, Kind.ARTICLE, query="once")
    assert one.texts["en"].body == "Further words."


async def test_words_that_are_kept_in_the_browser_are_of_one_agent_of_one_workspace(
    shop: Shop, maya: Browser, sign_in: SignIn
) -> None:
    id = await write(maya, "Delivery", "x")
    agent = await sign_in(shop.colleagues["noa"].email or "")
    scopes = []
    for browser in (maya, agent):
        (scope,) = re.findall(r'data-words-whose="([^"]+)"', (await browser.get("/panel/help")).text)
        assert scope.startswith(f"{shop.workspace_id}:")
        assert f'data-words-of="{scope}:{id}:en"' in (await browser.get(f"/panel/help/{id}")).text
        page = (await browser.get("/panel/help/new?kind=snippet")).text
        (once,) = re.findall(r'name="once" value="([^"]+)"', page)
        assert f'data-words-of="{scope}:snippet:{once}"' in page
        scopes.append(scope)
    assert len(set(scopes)) == 2


async def test_what_an_article_leads_to_is_found_while_typing_and_what_is_ticked_stays(
    app: App, shop: Shop, maya: Browser
) -> None:
    id = await write(maya, "Delivery", "x")
    others = [await write(maya, f"Question {number}", "x") for number in range(12)]
    page = await maya.get(f"/panel/help/{id}")
    assert page.text.count('name="related"') == 8, "the first ones, not all that there are"
    typed = {"of": "related", "find-related": "question 11", "related": str(others[3])}
    found = await maya.get(f"/panel/help/{id}/choose", params=typed, headers=HX)
    assert re.findall(r'value="([^"]+)" (checked)?', found.text) == [(str(others[3]), "checked"), (str(others[11]), "")]
    await maya.post(f"/panel/help/{id}/arrange", data={"language": "en", "related": [str(others[11])]})
    assert (await look(app, shop, id)).article.related == [str(others[11])]
    none = await maya.get(f"/panel/help/{id}/choose", params={"of": "product", "find-product": "zzz"}, headers=HX)
    assert "Nothing has these words." in none.text
    assert (await maya.get(f"/panel/help/{id}/choose", params={"of": "x"})).status_code == 404


async def test_who_wrote_stands_beside_an_article_and_a_first_version_is_called_so(shop: Shop, maya: Browser) -> None:
    id = await write(maya, "Delivery", "x")
    page = await maya.get(f"/panel/help/{id}")
    assert "Begun by" in page.text
    assert "Last written by" in page.text
    history = await maya.get(f"/panel/help/{id}/versions?language=en")
    assert "The first version:" in history.text
    assert re.search(r'class="hidden">Put in:</span><span class="diff-words" dir="auto">', history.text), (
        "a word of the panel does not turn an article's line around"
    )
