"""The help centre through the shop's app proxy: its own address in every link, never Liquid, nobody unsigned."""

import httpx

from integrations.shopify.simulator import proxy
from plugin import team
from plugin.knowledge import articles, site
from plugin.knowledge.articles import Kind
from plugin.stores import Store
from plugin.team import Role
from tests.integrations.shopify.conftest import World


async def published(world: World) -> Store:
    connection = await world.connect()
    async with world.app.db.transaction(connection.workspace_id) as tx:
        maya = await team.add(tx, name="Maya", email=None, role=Role.ADMIN)
        for title in ("Returns", "{{ shop.email }}{% assign x = 1 %}"):
            row = await articles.create(tx, maya.id, Kind.ARTICLE, "en")
            await articles.write(tx, row, "en", title, "Within **14** days. {{ shop.email }}", by=maya.id)
            await articles.publish(tx, row, "en", by=maya)
        store = await tx.get(Store, connection.store_id)
    assert store is not None
    return store


def asked(world: World, path: str, query: str = "", customer: int | None = None) -> str:
    return f"/proxy/help{path}?{proxy.signed_query(world.sim.shop, query, customer)}"


async def test_pages_stand_at_the_shops_own_address(world: World, browser: httpx.AsyncClient) -> None:
    store = await published(world)
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


async def test_a_page_is_html_whoever_asks_for_what(world: World, browser: httpx.AsyncClient) -> None:
    await published(world)
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
