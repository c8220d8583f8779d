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

NOTHING_KEPT = (
    'global $wpdb; $names = $wpdb->get_col( "SELECT option_name FROM {$wpdb->options}'
    " WHERE option_name LIKE '%wc_ahlan_help%'\" );"
    " array_map( 'delete_option', $names ); return true;"
)


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


async def test_while_we_are_away_one_page_waits_and_none_is_gone(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await publish(shop)
    browser, page = visitor(), f"{shop.site.url}/help/en/delivery-times"
    await browser.get(f"{shop.site.url}/help/en/")
    clear = "delete_transient( 'wc_ahlan_pause' ); wp_cache_flush(); return true;"
    await shop.site.run(NOTHING_KEPT)
    try:
        async with shop.ahlan.away():
            first = await browser.get(page)
            assert (first.status_code, first.headers["retry-after"]) == (503, "60"), "away is not gone"
            assert "Try again in a few minutes." in first.text
            assert "no-cache" in first.headers["cache-control"]
        again = await browser.get(page)
        assert again.status_code == 503, "nobody is asked for a minute: no second page waits"
        await shop.site.run(clear)
        assert (await browser.get(page)).status_code == 200
    finally:
        await shop.site.run(clear)


CONTENT = {
    "post": "array( 'post_type' => 'post', 'post_name' => 'help' )",
    "archive": "array( 'post_type' => 'guide', 'post_name' => 'first' )",
}


@pytest.mark.parametrize(("kind", "path"), [("post", "/help/"), ("archive", "/help/"), ("archive", "/help/first/")])
async def test_whatever_the_shop_has_at_the_address_goes_first(
    shop: Shop, visitor: Callable[[], Visitor], kind: str, path: str
) -> None:
    """A post with the same name, and what another plugin shows there."""
    guides = shop.site.folder / "wp-content" / "mu-plugins" / "guides.php"
    if kind == "archive":
        guides.write_text(
            "<?php add_action( 'init', function () { register_post_type( 'guide', array( 'public' => true, "
            "'label' => 'Guides', 'has_archive' => 'help', 'rewrite' => array( 'slug' => 'help' ) ) ); } );"
        )
    made = await shop.site.run(
        f"$id = wp_insert_post( {CONTENT[kind]} + array( 'post_status' => 'publish', 'post_title' => 'Ours', "
        "'post_content' => 'our own words' ) ); flush_rewrite_rules(); return $id;"
    )
    try:
        assert "our own words" in (await visitor().get(f"{shop.site.url}{path}")).text
    finally:
        await shop.site.run("return wp_delete_post( $id, true );", id=made)
        guides.unlink(missing_ok=True)
        await shop.site.run("flush_rewrite_rules(); return true;")


async def test_a_page_that_nobody_may_see_is_no_help(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    await publish(shop)
    made = await shop.site.run(
        "return wp_insert_post( array( 'post_type' => 'page', 'post_status' => 'private', 'post_title' => 'Later', "
        "'post_name' => 'help', 'post_content' => 'our own words' ) );"
    )
    try:
        assert (await visitor().get(f"{shop.site.url}/help/en/delivery-times")).status_code == 200
    finally:
        await shop.site.run("return wp_delete_post( $id, true );", id=made)


async def test_no_parameter_turns_a_page_of_the_shop_into_one_of_ours(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    await publish(shop)
    before = shop.site.errors()
    browser = visitor()
    for query in ("wc_ahlan_help=/en/delivery-times", "wc_ahlan_help[]=x", "wc_ahlan_withdrawal[]=1"):
        page = await browser.get(f"{shop.site.url}/product/soap/?{query}")
        assert page.status_code == 200, query
        assert 'class="hc"' not in page.text, query
        assert "widget/page.js" not in page.text, query
    assert shop.site.errors() == before


async def test_the_help_centre_has_one_address_in_a_shop_of_several_languages(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    """Language plugins put the language of the page before every address that WordPress makes."""
    await publish(shop)
    await shop.site.run(NOTHING_KEPT)
    plugin = shop.site.folder / "wp-content" / "mu-plugins" / "languages.php"
    plugin.write_text(
        "<?php if ( 0 === strpos( $_SERVER['REQUEST_URI'] ?? '', '/fr/' ) ) { add_filter( 'home_url', "
        "function ( $url, $path ) { return get_option( 'home' ) . '/fr/' . ltrim( (string) $path, '/' ); }, 10, 2 ); }"
    )
    try:
        page = await visitor().get(f"{shop.site.url}/fr/help/en/delivery-times")
        assert re.findall(r'<link rel="canonical" href="([^"]+)"', page.text) == [
            f"{shop.site.url}/help/en/delivery-times"
        ]
    finally:
        plugin.unlink()
