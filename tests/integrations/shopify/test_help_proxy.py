"""The help centre through the app proxy: in the theme or alone, its own address in every link, nobody unsigned."""

import json
import re

import httpx
import pytest

from integrations.shopify.simulator import proxy
from plugin import team
from plugin.knowledge import articles, site
from plugin.knowledge.articles import Kind
from plugin.stores import Store
from plugin.team import Role
from tests.integrations.shopify.conftest import World

LIQUID = re.compile(r"\{\{|\{%")


async def published(world: World, *, alone: bool = False) -> Store:
    connection = await world.connect()
    async with world.app.db.transaction(connection.workspace_id) as tx:
        maya = await team.add(tx, name="Maya", email=None, role=Role.ADMIN)
        for title in ("Returns", "{{ shop.email }}{% assign x = 1 %}"):
            row = await articles.create(tx, maya.id, Kind.ARTICLE, "en")
            await articles.write(tx, row, "en", title, "Within **14** days. {{ shop.email }}", by=maya.id)
            await articles.publish(tx, row, "en", by=maya)
        store = await tx.get(Store, connection.store_id)
        assert store is not None
        store.widget = {**store.widget, site.HELP_ALONE: alone}
    return store


def asked(world: World, path: str, query: str = "", customer: int | None = None) -> str:
    return f"/proxy/help{path}?{proxy.signed_query(world.sim.shop, query, customer)}"


async def test_pages_stand_at_the_shops_own_address(world: World, browser: httpx.AsyncClient) -> None:
    store = await published(world, alone=True)
    page = await browser.get(asked(world, "/en/returns"))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    base = f"{store.url.rstrip('/')}/apps/support/help"
    assert f'<link rel="canonical" href="{base}/en/returns">' in page.text
    assert 'href="/apps/support/help/en"' in page.text
    assert 'data-identity="/apps/support/identity"' in page.text
    assert page.headers["cache-control"] == "no-store"
    front = await browser.get(asked(world, ""), headers={"accept-language": "en"})
    assert (front.status_code, "Returns" in front.text) == (200, True), "the first page comes without a redirect"
    async with world.app.db.transaction(store.workspace_id) as tx:
        kept = await tx.get(Store, store.id)
        assert kept is not None
        assert site.home("https://ahlan.example", kept) == base
    site_map = await browser.get(asked(world, "/sitemap.xml"))
    assert f"<loc>{base}/en/returns</loc>" in site_map.text


async def test_inside_the_theme_a_page_runs_nothing_and_repeats_nothing(
    world: World, browser: httpx.AsyncClient
) -> None:
    store = await published(world)
    base = f"{store.url.rstrip('/')}/apps/support/help"
    words = "q=%7B%7B+shop.email+%7D%7Dzebra&vote=zebra&thanks=no"
    for path, status in (("", 200), ("/en/returns", 200), ("/en/search", 200), ("/en/none", 404)):
        page = await browser.get(asked(world, path, words))
        assert (page.status_code, page.headers["content-type"]) == (status, "application/liquid")
        assert LIQUID.search(page.text) is None
        assert "zebra" not in page.text
        assert page.headers["cache-control"] == "no-store"
    page = await browser.get(asked(world, "/en/returns"))
    assert "Within <strong>14</strong> days. &#123;&#123; shop.email }}" in page.text
    assert "<html" not in page.text
    assert "<main" not in page.text, "the theme's own is around it"
    head, data = re.findall(r'<script type="application/(?:ld\+)?json"[^>]*>(.*?)</script>', page.text)
    assert json.loads(head)["canonical"] == f"{base}/en/returns"
    [question] = json.loads(data)["mainEntity"]
    assert question["acceptedAnswer"]["text"] == "Within 14 days. {{ shop.email }}", "it reads as it was written"


@pytest.mark.parametrize("made", ["{{", "{%", "{{{%", "{-{{-", "a{", "}}{", '{"{'])
def test_no_text_of_a_merchants_is_run(made: str) -> None:
    assert LIQUID.search(site.liquid_text(made)) is None
    written = site.liquid_json(json.dumps({made: [{made: made}]}, separators=(",", ":")))
    assert LIQUID.search(written) is None
    assert json.loads(written) == {made: [{made: made}]}


async def test_alone_a_page_is_html_whoever_asks_for_what(world: World, browser: httpx.AsyncClient) -> None:
    await published(world, alone=True)
    for path, query in (("/en", ""), ("/en/search", "q=%7B%7B+shop.email+%7D%7D%3Cscript%3E"), ("/en/none", "")):
        page = await browser.get(asked(world, path, query), headers={"accept": "application/liquid"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script>" not in page.text.replace("<script defer", "")


async def test_unsigned_requests_and_other_methods_get_nothing(world: World, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/proxy/help/en")).status_code == 401
    assert (await browser.get(asked(world, "/en").replace("signature=", "signature=0"))).status_code == 401
    assert (await browser.get(asked(world, "/en"))).status_code == 404, "a shop that we do not know"
    await published(world)
    assert (await browser.post(asked(world, "/en/returns"), content=b"x")).status_code in (404, 405)
