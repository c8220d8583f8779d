"""The help centre inside the shop's own theme, at its own address."""

import re
from collections.abc import Callable

import pytest

from plugin import team
from plugin.knowledge import articles
from plugin.knowledge.articles import Kind
from plugin.team import Role
from tests.wordpress.conftest import Shop, Visitor
from tests.wordpress.test_storefront import look_of, tags


async def publish(shop: Shop) -> None:
    async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
        if await articles.listed(tx, Kind.ARTICLE):
            return
        maya = await team.add(tx, name="Maya", email=None, role=Role.ADMIN)
        row = await articles.create(tx, maya.id, Kind.ARTICLE, "ar")
        for code, title in (("ar", "كم يستغرق التوصيل؟"), ("en", "Delivery & <times>")):
            await articles.write(tx, row, code, title, "**5** [x](https://a.example)", by=maya.id)
            await articles.publish(tx, row, code, by=maya)


@pytest.mark.parametrize("theme", ["twentytwentyfour", "classic"])
async def test_a_page_stands_in_the_theme_and_tells_search_engines_what_it_is(
    shop: Shop, visitor: Callable[[], Visitor], theme: str
) -> None:
    await publish(shop)
    async with look_of(shop.site, theme=theme):
        page = await visitor().get(f"{shop.site.url}/help/en/delivery-times")
        html = page.text
        assert page.status_code == 200
        assert "<strong>5</strong>" in html
        assert html.index("<header") < html.index('class="hc"') < html.index("<footer")
        assert "<title>Delivery &amp; &lt;times&gt;" in html
        assert re.findall(r'<link rel="canonical" href="([^"]+)"', html) == [f"{shop.site.url}/help/en/delivery-times"]
        assert set(re.findall(r'hreflang="(\w+)"', html)) == {"ar", "en"}
        assert '"@type":"FAQPage"' in html
        assert len(tags(html)) == 1, "the chat is there too"
        arabic = await visitor().get(f"{shop.site.url}/help/ar/كم-يستغرق-التوصيل")
        assert 'class="hc"' in arabic.text
        assert 'dir="rtl"' in arabic.text


async def test_first_page_site_map_and_what_is_not_there(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await publish(shop)
    browser = visitor()
    front = await browser.get(f"{shop.site.url}/help/en")
    assert "Delivery &amp; &lt;times&gt;" in front.text
    site_map = await browser.get(f"{shop.site.url}/help/sitemap.xml")
    assert site_map.headers["content-type"].startswith("application/xml")
    assert f"<loc>{shop.site.url}/help/en/delivery-times</loc>" in site_map.text
    missing = await browser.get(f"{shop.site.url}/help/en/none")
    assert missing.status_code == 404
    assert 'content="noindex"' in missing.text
    searched = await browser.get(f"{shop.site.url}/help/en/search?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in searched.text


async def test_a_page_of_the_shop_that_has_the_address_goes_first(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await publish(shop)
    made = await shop.site.run(
        "return wp_insert_post( array( 'post_type' => 'page', 'post_status' => 'publish', 'post_title' => 'Ours', "
        "'post_name' => 'help', 'post_content' => 'our own words' ) );"
    )
    try:
        assert "our own words" in (await visitor().get(f"{shop.site.url}/help/")).text
    finally:
        await shop.site.run("return wp_delete_post( $id, true );", id=made)


async def test_addresses_that_anybody_makes_up_leave_nothing_in_the_shops_database(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    await publish(shop)

    async def kept() -> int:
        return int(
            await shop.site.run(
                'global $wpdb; return (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->options} '
                "WHERE option_name LIKE '%transient_wc_ahlan_help_%'\" );"
            )
        )

    browser = visitor()
    await browser.get(f"{shop.site.url}/help/en/delivery-times")
    before = await kept()
    assert before > 0
    for made_up in ("en/none-1", "en/none-2", "en/delivery-times?thanks=1", "en/delivery-times?thanks=2"):
        await browser.get(f"{shop.site.url}/help/{made_up}")
    assert await kept() == before
