"""The public help centre: its pages, what search engines read, search while typing, the vote; and what never leaves."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import event, text, update
from starlette.requests import HTTPConnection

from plugin import bootstrap, stores
from plugin.app import App
from plugin.crm.products import Product
from plugin.kernel.errors import Forbidden, NotFound
from plugin.knowledge import articles, extras, reading, search, site
from plugin.knowledge.articles import Article
from plugin.platform import StoreProfile
from plugin.stores import Store
from plugin.team import Agent
from plugin.widget import help as help_edge
from plugin.widget import readers
from plugin.widget.limits import Limit
from tests.knowledge.conftest import Write

URL = "http://localhost:8000"
SHOP = "https://dukkan.example"


@pytest.fixture
async def store(app: App, workspace: UUID) -> Store:
    async with app.db.transaction(workspace) as tx:
        profile = StoreProfile(
            name="Dukkan & Co",
            url=SHOP,
            currency="USD",
            currency_decimals=2,
            timezone="UTC",
            locale="ar",
            origins=(SHOP,),
        )
        return await stores.connect(tx, platform="shopify", external_id=f"{uuid4().hex}.myshopify.com", profile=profile)


@pytest.fixture
async def reader(app: App) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(bootstrap.serve(app))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


@pytest.fixture
async def shop(app: App, workspace: UUID, article: Write, maya: Agent) -> dict[str, UUID]:
    made = {
        "delivery": await article(
            en=("How long does delivery take?", "Five **days**.\n\n- Cairo\n- القاهرة"),
            ar=("كم يستغرق التوصيل؟", "خمسة أيام."),
        ),
        "returns": await article(en=("Returns", "Within 14 days.")),
        "hidden": await article(publish=False, en=("Secret plan", "nothing")),
    }
    async with app.db.transaction(workspace) as tx:
        shelf = await articles.write_collection(tx, {"en": "Orders", "ar": "الطلبات"}, {"en": "All about orders"})
        for name in ("delivery", "hidden"):
            row = (await articles.find(tx, made[name])).article
            await articles.arrange(tx, row, collection_id=shelf.id, related=[made["returns"]], store_id=None)
    return made


def at(store: Store, path: str = "") -> str:
    return f"/help/{store.public_key}{path}"


async def test_without_a_language_the_readers_own_is_chosen(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    for wanted, chosen in (("en-GB,en", "en"), ("ar", "ar"), ("he", "ar"), ("", "ar")):
        answer = await reader.get(at(store), headers={"accept-language": wanted})
        assert (answer.status_code, answer.headers["location"]) == (302, at(store, f"/{chosen}"))


async def test_an_article_tells_search_engines_what_it_is(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    page = await reader.get(at(store, "/en/how-long-does-delivery-take"))
    html = page.text
    assert page.status_code == 200
    assert "<title>How long does delivery take? · Dukkan &amp; Co</title>" in html
    assert f'<link rel="canonical" href="{URL}/help/{store.public_key}/en/how-long-does-delivery-take">' in html
    assert set(re.findall(r'rel="alternate" hreflang="(\w+)"', html)) == {"ar", "en"}
    (data,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html)
    told = json.loads(data)
    assert told["@type"] == "FAQPage"
    assert told["mainEntity"][0]["name"] == "How long does delivery take?"
    assert "Five days." in told["mainEntity"][0]["acceptedAnswer"]["text"]
    assert '<html lang="en" dir="ltr">' in html
    assert '<li dir="auto">القاهرة</li>' in html
    assert "Returns" in html, "what is related"
    arabic = (await reader.get(at(store, "/ar/كم-يستغرق-التوصيل"))).text
    assert '<html lang="ar" dir="rtl">' in arabic
    assert 'name="description" content="خمسة أيام."' in arabic


async def test_every_page_and_its_other_languages_name_each_other(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    """What search engines ask of hreflang: https://developers.google.com/search/docs/specialty/international."""

    async def told(path: str) -> tuple[str, dict[str, str]]:
        page = await reader.get(path)
        assert page.status_code == 200, path
        (canonical,) = re.findall(r'<link rel="canonical" href="([^"]+)"', page.text)
        others = re.findall(r'<link rel="alternate" hreflang="(\w+)" href="([^"]+)"', page.text)
        return canonical, dict(others)

    for path in ("/en", "/en/c/orders", "/en/how-long-does-delivery-take"):
        here, others = await told(at(store, path))
        assert set(others) == {"ar", "en"}
        assert others["en"] == here == f"{URL}{at(store, path)}"
        there, back = await told(others["ar"].removeprefix(URL))
        assert there == others["ar"]
        assert back == others
    _canonical, alone = await told(at(store, "/en/returns"))
    assert "ar" not in alone, "nothing leads to a language that it is not in"


async def test_the_first_page_and_a_shelf_show_what_is_published(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    front = (await reader.get(at(store, "/en"))).text
    assert "Orders" in front
    assert "Returns" in front
    assert "Secret plan" not in front
    shelf = await reader.get(at(store, "/en/c/orders"))
    assert "All about orders" in shelf.text
    assert "Secret plan" not in shelf.text
    for path in ("/en/secret-plan", "/he/returns", "/en/c/none", "/fr", "/en/a/b/c"):
        answer = await reader.get(at(store, path))
        assert (answer.status_code, "noindex" in answer.text) == (404, True), path
    assert (await reader.get("/help/st_nobody")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/en",
        "/en/c/orders",
        "/en/how-long-does-delivery-take",
        "/ar/كم-يستغرق-التوصيل",
        "/en/search?q=zzzz",
        "/en/none",
    ],
)
async def test_every_page_leads_to_somebody_who_answers(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID], path: str
) -> None:
    """Without a script too: to the shop, where the chat is."""
    contact = re.findall(r"<section([^>]*)>(?:(?!</section>).)*?<a ([^>]*data-chat[^>]*)>", (
        await reader.get(at(store, path))
    ).text, re.DOTALL)  # fmt: skip
    assert [(section, f'href="{SHOP}"' in link) for section, link in contact] == [(' class="hc-contact"', True)]


async def test_the_site_map_lists_every_published_text_once(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    answer = await reader.get(at(store, "/sitemap.xml"))
    root = ElementTree.fromstring(answer.content)
    places = [one.text for one in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert len(places) == len(set(places)) == 7
    assert not [place for place in places if place and "secret" in place]
    assert f"{URL}{at(store, '/ar/c/orders')}" in places, "a shelf, in the languages that it holds something in"
    for entry in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}url"):
        links = [dict(one.attrib) for one in entry.iter("{http://www.w3.org/1999/xhtml}link")]
        assert {one["rel"] for one in links} == {"alternate"}
        assert {one["href"] for one in links} <= set(places)
        place = entry.findtext("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
        assert place in {one["href"] for one in links}
        alone = place == f"{URL}{at(store, '/en/returns')}"
        assert {one["hreflang"] for one in links} == ({"en"} if alone else {"ar", "en"}), place


async def shelved(app: App, workspace: UUID, many: int) -> None:
    """So many published articles in the collection Orders, and as many in none."""
    async with app.db.transaction(workspace) as tx:
        shelf = await articles.write_collection(tx, {"en": "Orders"}, {})
        await tx.execute(
            text(
                "INSERT INTO articles (workspace_id, id, kind, source_language, place, collection_id) "
                "SELECT :workspace, gen_random_uuid(), 'article', 'en', g, "
                "CASE WHEN g <= :many THEN CAST(:shelf AS uuid) END "
                "FROM generate_series(1, 2 * :many) g"
            ),
            {"workspace": workspace, "shelf": shelf.id, "many": many},
        )
        await tx.execute(
            text(
                "INSERT INTO article_texts (workspace_id, article_id, language, slug, title, body, key, version, "
                "published, published_at, shown, html) SELECT workspace_id, id, 'en', 'a' || place, 'A ' || place, '', "
                "'', 1, 1, now(), 'A ' || place, '<p>x</p>' FROM articles WHERE workspace_id = :workspace"
            ),
            {"workspace": workspace},
        )


async def test_a_page_reads_what_it_shows_however_many_articles_there_are(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store
) -> None:
    await shelved(app, workspace, 1_000)
    await app.db.analyze()
    asked: list[tuple[str, Sequence[Any]]] = []

    def ask(*said: Any) -> None:
        if "article_texts" in said[2] and said[2].lstrip().startswith("SELECT"):
            asked.append((said[2], said[3]))

    engine = app.db.app.sync_engine
    event.listen(engine, "before_cursor_execute", ask)
    try:
        for path in ("/en", "/en/c/orders", "/en/c/-", "/en/a7"):
            assert (await reader.get(at(store, path))).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", ask)
    assert len(asked) >= 8
    async with app.db.transaction(workspace) as tx:
        driver = (await (await tx.session.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        for statement, values in asked:
            said = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
            assert max(rows_of(said[0]["Plan"])) <= site.A_PAGE + 1, (statement, said)


def rows_of(plan: dict[str, Any]) -> Iterator[int]:
    """How many rows each step of a plan has read, those that it threw away included."""
    yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for step in plan.get("Plans", ()):
        yield from rows_of(step)


async def test_many_articles_are_shown_by_pages(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, maya: Agent
) -> None:
    many = site.A_PAGE + 3
    await shelved(app, workspace, many)
    front = (await reader.get(at(store, "/en"))).text
    assert f'<a href="{at(store, "/en/c/orders")}" aria-label="All articles: Orders">All articles</a>' in front
    assert f'<a href="{at(store, "/en/c/-")}" aria-label="All articles: More answers">All articles</a>' in front
    first, second = [(await reader.get(at(store, f"/en/c/orders{tail}"))).text for tail in ("", "/2")]
    assert (first.count("<li>"), second.count("<li>")) == (site.A_PAGE, 3)
    assert f'href="{at(store, "/en/c/orders/2")}" rel="next"' in first
    assert f'href="{at(store, "/en/c/orders")}" rel="prev"' in second
    assert f'<link rel="canonical" href="{URL}{at(store, "/en/c/orders/2")}">' in second
    assert (await reader.get(at(store, "/en/c/-/2"))).text.count("<li>") == 3
    for path in ("/en/c/orders/3", "/en/c/orders/1", "/en/c/orders/x", "/ar/c/orders", "/ar/c/-"):
        assert (await reader.get(at(store, path))).status_code == 404, path
    home = (await reader.get(at(store, "/home.json"), params={"language": "en"})).json()
    assert [len(one["articles"]) for one in home["shelves"]] == [site.A_PAGE, site.A_PAGE]
    assert [one["all"] for one in home["shelves"]] == [
        {"words": "All articles", "address": f"{URL}{at(store, f'/en/c/{slug}')}"} for slug in ("orders", "-")
    ], "what the chat does not show is a page away"


async def test_a_former_address_leads_on(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    async with app.db.transaction(workspace) as tx:
        await articles.rename(tx, (await articles.find(tx, shop["returns"])).article, "en", "Send back")
    answer = await reader.get(at(store, "/en/returns"))
    assert (answer.status_code, answer.headers["location"]) == (301, at(store, "/en/send-back"))
    answer = await reader.get(at(store, "/ar/how-long-does-delivery-take"))
    assert answer.status_code == 302, "an address of another language leads to this one's"


async def test_search_on_its_page_and_while_typing(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    page = (await reader.get(at(store, "/en/search"), params={"q": "deliveries"})).text
    assert "<mark>delivery</mark>" in page
    assert 'content="noindex"' in page
    answer = await reader.get(at(store, "/search.json"), params={"q": "returns", "language": "ar"})
    (found,) = answer.json()["found"]
    assert (found["slug"], found["language"], bool(found["where"])) == ("returns", "en", True)
    assert answer.headers["access-control-allow-origin"] == "*"
    for settled in ("", "1"):
        await reader.get(at(store, "/search.json"), params={"q": "gift card", "language": "en", "settled": settled})
    await reader.get(at(store, "/en/search"), params={"q": "gift card"}, headers={"user-agent": "Googlebot/2.1"})
    async with app.db.transaction(workspace) as tx:
        assert [(one.said, one.times) for one in await reading.missed(tx, 5)] == [("gift card", 1)]
    bad = "<script>alert(1)</script>{{ 7*7 }}"
    page = (await reader.get(at(store, "/en/search"), params={"q": bad})).text
    assert "<script>alert" not in page
    assert "{{ 7*7 }}" in page


async def test_a_vote_and_its_reason_count_once(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    page = (await reader.get(at(store, "/en/returns"))).text
    here = re.findall(r'name="back" value="([^"]+)"', page)[0]
    form = {"article": str(shop["returns"]), "language": "en", "back": here, "helped": "no"}
    answer = await reader.post(at(store, "/feedback"), data=form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{URL}{here}?thanks=no&vote=")
    asked = (await reader.get(answer.headers["location"])).text
    vote = re.findall(r'name="vote" value="([^"]+)"', asked)[0]
    for _time in range(2):
        why = {"vote": vote, "reason": "missing", "comment": "call me: 0501234567", "back": here}
        assert (await reader.post(at(store, "/feedback"), data=why)).status_code == 303
    await reader.post(at(store, "/feedback"), data={**form, "helped": "yes"})
    async with app.db.transaction(workspace) as tx:
        told = {one.listed.article.id: one for one in await reading.told(tx, 5)}[shop["returns"]]
    assert (told.failed, told.helped, told.reasons, told.comments) == (1, 0, {"missing": 1}, ["call me: …"])
    part = await reader.post(at(store, "/feedback"), data={**form, "json": "1"})
    assert 'id="hc-vote"' in part.json()["html"]


async def test_a_vote_leads_back_to_the_help_centre_and_nowhere_else(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    form = {"article": str(shop["returns"]), "language": "en", "helped": "yes"}
    for back in (
        "https://evil.example/",
        "//evil.example/x",
        "javascript:alert(1)",
        "/panel",
        "/help/st_x/../../x",
        "",
    ):
        answer = await reader.post(at(store, "/feedback"), data={**form, "back": back})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith((URL, at(store))), back
    for bad in (
        {"article": "x"},
        {"helped": "maybe"},
        {"article": str(uuid4())},
        {"vote": "made.up"},
        {"article": str(shop["hidden"])},
    ):
        answer = await reader.post(at(store, "/feedback"), data={**form, **bad, "back": "/"})
        assert answer.status_code in (400, 404, 422), bad


async def test_nothing_of_another_shops_workspace_is_shown(
    app: App, other_workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    async with app.db.transaction(other_workspace) as tx:
        profile = StoreProfile(
            name="Other",
            url="https://other.example",
            currency="USD",
            currency_decimals=2,
            timezone="UTC",
            locale="en",
            origins=(),
        )
        other = await stores.connect(
            tx, platform="shopify", external_id=f"{uuid4().hex}.myshopify.com", profile=profile
        )
    assert (await reader.get(at(other, "/en/returns"))).status_code == 404
    found = await reader.get(at(other, "/search.json"), params={"q": "returns", "language": "en"})
    assert found.json() == {"found": []}
    form = {"article": str(shop["returns"]), "language": "en", "helped": "yes", "back": "/"}
    assert (await reader.post(at(other, "/feedback"), data=form)).status_code == 404
    async with app.db.transaction(other_workspace) as tx:
        await stores.uninstalled(tx, await tx.get(Store, other.id) or other, other.installed_at.replace(year=2200))
    assert (await reader.get(at(other, "/en"))).status_code == 404


async def test_what_a_merchants_writer_put_in_runs_nowhere(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, article: Write, maya: Agent
) -> None:
    bad = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>{{ x }}{% y %}'
    id = await article(en=(bad[:150], f"{bad}\n\n[a](javascript:alert(3))"))
    async with app.db.transaction(workspace) as tx:
        shelf = await articles.write_collection(tx, {"en": bad[:70]}, {"en": bad})
        await articles.arrange(
            tx, (await articles.find(tx, id)).article, collection_id=shelf.id, related=[], store_id=None
        )
        slug = (await articles.find(tx, id)).texts["en"].slug
        await search.index(tx, [id])
    for path in (f"/en/{slug}", "/en", f"/en/c/{shelf.slug}", "/en/search?q=onerror"):
        page = await reader.get(at(store, path))
        assert page.status_code == 200
        assert not [mark for mark in ("<script>alert", "<img src=x") if mark in page.text], path
        assert 'href="javascript' not in page.text
        assert "script-src http://localhost:8000;" in page.headers["content-security-policy"]


async def test_the_chat_is_given_the_same_articles(
    app: App, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    home = (await reader.get(at(store, "/home.json"), params={"language": "en"})).json()
    assert [shelf["name"] for shelf in home["shelves"]] == ["Orders", ""]
    assert not any("all" in shelf for shelf in home["shelves"]), "all of them are there"
    one = (await reader.get(at(store, "/article.json"), params={"language": "en", "slug": "returns"})).json()
    assert (one["title"], "Within 14 days." in one["html"]) == ("Returns", True)
    assert (
        await reader.get(at(store, "/article.json"), params={"language": "en", "slug": "secret-plan"})
    ).status_code == 404


async def test_files_products_and_policies_stand_below_an_article_and_files_are_only_downloads(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID], maya: Agent, omar: Agent
) -> None:
    async with app.db.transaction(workspace) as tx:
        made = await articles.find(tx, shop["delivery"])
        policy = (await articles.find(tx, shop["returns"])).article
        policy.starter = "returns"
        for name, kind in (("أسعار.pdf", "application/pdf"), ("map.png", "image/png")):
            await extras.attach(tx, made.article, name, kind, b"<script>alert(1)</script>", by=maya)
        hidden = (await articles.find(tx, shop["hidden"])).article
        secret = await extras.attach(tx, hidden, "secret.pdf", "application/pdf", b"x", by=omar)
        with pytest.raises(Forbidden):
            await extras.attach(tx, made.article, "x.pdf", "application/pdf", b"x", by=omar)
        with pytest.raises(Forbidden):
            await extras.detach(tx, made.article, (await extras.files(tx, shop["delivery"]))[0].id, by=omar)
        with pytest.raises(NotFound):
            await extras.detach(tx, made.article, secret.id, by=maya)
        with pytest.raises(Forbidden):
            await extras.lead(tx, made.article, [], [], by=omar)
        goods = Product(
            store_id=store.id, external_id="1", version=datetime.now(UTC), title="Olive <oil>", status="active",
            url=f"{SHOP}/products/oil",
        )  # fmt: skip
        tx.add(goods)
        await tx.flush()
        script = Product(
            store_id=store.id, external_id="2", version=datetime.now(UTC), title="Trap", status="active",
            url="javascript:alert(1)",
        )  # fmt: skip
        tx.add(script)
        await tx.flush()
        await extras.lead(tx, made.article, [goods.id, script.id, uuid4()], [policy.id, shop["hidden"]], by=maya)
        assert await extras.goods(tx, made.article, uuid4()) == [], "another shop does not sell it"
    page = (await reader.get(at(store, "/en/how-long-does-delivery-take"))).text
    assert "javascript:" not in page
    assert f'<a href="{SHOP}/products/oil"><bdi>Olive &lt;oil&gt;</bdi></a>' in page
    assert f'href="{at(store, "/en/returns")}"><bdi>Returns</bdi>' in page
    pdf, png = re.findall(rf'href="{URL}(/help/[^"]+/file/[^"]+)"', page)
    for address, kind, place in ((pdf, "application/octet-stream", "attachment"), (png, "image/png", "inline")):
        answer = await reader.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["content-disposition"].startswith(place)
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (await reader.get(at(store, f"/file/{secret.id}/secret.pdf"))).status_code == 404
    assert (await reader.get(at(store, f"/file/{uuid4()}/x"))).status_code == 404
    inside = (await reader.get(at(store, "/article.json?language=en&slug=how-long-does-delivery-take"))).json()
    assert "Olive &lt;oil&gt;" in inside["html"]
    for change, status in (
        ({"deleted_at": datetime.now(UTC)}, 404),
        ({"deleted_at": None, "store_id": uuid4()}, 404),
        ({"store_id": store.id}, 200),
    ):
        async with app.db.transaction(workspace) as tx:
            await tx.execute(update(Article).where(Article.id == shop["delivery"]).values(change))
        assert (await reader.get(pdf)).status_code == status, change


async def test_one_address_gets_so_many_pages_and_no_more(
    reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(help_edge, "PAGE", Limit(f"help_page_{uuid4().hex}", 60, address=3))
    paths = ("/en", "/en/returns", "/home.json?language=en", "/article.json?language=en&slug=returns")
    answers = [(await reader.get(at(store, path))).status_code for path in paths]
    assert answers == [200, 200, 200, 429]


async def test_who_reads_and_then_writes_is_counted_once_and_not_known(
    app: App, workspace: UUID, reader: httpx.AsyncClient, store: Store, shop: dict[str, UUID]
) -> None:
    async def counted() -> tuple[int, int]:
        async with app.db.transaction(workspace) as tx:
            found = await reading.deflection(tx, 30)
        return found.readers, found.wrote

    browser = {"user-agent": f"browser {uuid4()}"}
    for _time in range(2):
        await reader.get(at(store, "/en/returns"), headers=browser)
    assert await counted() == (1, 0)
    for agent in (browser["user-agent"], f"another {uuid4()}"):
        scope = {"type": "http", "headers": [(b"user-agent", agent.encode())], "client": ("127.0.0.1", 1)}
        for _time in range(2):
            await readers.has_written(app, workspace, store.id, HTTPConnection(scope))
    # Who had read nothing kept nothing from becoming a conversation.
    assert await counted() == (1, 1)
    async with app.db.transaction(workspace) as tx:
        await reading.vote(tx, shop["returns"], "en", helped=True)
        found = await reading.deflection(tx, 30)
    assert (found.most, found.least) == (0.0, 0.5)
