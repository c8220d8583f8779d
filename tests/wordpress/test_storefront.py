"""What the storefront says to whom, with a page cache before it that keeps whatever it can."""

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from integrations.woocommerce import pairing
from integrations.woocommerce.pairing import ShopperToken
from tests.wordpress.conftest import CUSTOMERS, Meet, Shop, Visitor, attribute
from tests.wordpress.wordpress import WordPress

IDENTITY = "/wp-json/wc-ahlan/v1/identity"
LOCALES = {"en": "", "ar": "ar", "he": "he_IL"}


@asynccontextmanager
async def look_of(site: WordPress, *, theme: str = "", language: str = "") -> AsyncIterator[None]:
    """The site with another theme or language, for a while."""
    put = "switch_theme( $theme ); update_option( 'WPLANG', $language ); return true;"
    await site.run(put, theme=theme or "twentytwentyfour", language=language)
    try:
        yield
    finally:
        await site.run(put, theme="twentytwentyfour", language="")


@asynccontextmanager
async def cached(site: WordPress) -> AsyncIterator[None]:
    """The page cache, switched on for a while."""
    site.cache.kept.clear()
    site.cache.hits.clear()
    site.cache.on = True
    try:
        yield
    finally:
        site.cache.on = False


async def token_of(shop: Shop, person: Visitor) -> ShopperToken | None:
    """Who the shop says this person is, as our server reads it."""
    answer = await person.http.get(f"{shop.site.url}{IDENTITY}")
    assert answer.headers["cache-control"] == "no-store, private"
    if answer.status_code == 204:
        return None
    keys = pairing.derive_keys((await shop.connection())["secret"])
    return pairing.read_shopper_token(keys, answer.json()["token"], store=shop.store.public_key, now=time.time())


def tags(page: str) -> list[str]:
    return re.findall(r"<script\b[^>]*widget/loader\.js[^>]*>", page)


@pytest.mark.parametrize("theme", ["twentytwentyfour", "classic"])
async def test_one_deferred_tag_on_every_theme(shop: Shop, visitor: Callable[[], Visitor], theme: str) -> None:
    async with look_of(shop.site, theme=theme):
        for path in ("/", "/shop/", "/product/soap/", "/cart/", "/my-account/"):
            page = await visitor().get(f"{shop.site.url}{path}")
            assert page.status_code == 200
            [tag] = tags(page.text)
            assert attribute(tag, "src") == f"{shop.ahlan.url}/widget/loader.js?store={shop.store.public_key}"
            assert attribute(tag, "data-store") == shop.store.public_key
            assert attribute(tag, "data-identity") == IDENTITY
            assert re.search(r"\bdefer\b", tag)
            assert page.text.index(tag) > page.text.index("</main>"), "nothing before the content"


async def test_a_switch_per_kind_of_page(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    kinds = {"shop": "/shop/", "product": "/product/soap/", "cart": "/cart/", "account": "/my-account/", "other": "/"}
    page = await shop.owner.get(f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings")
    form = next(one for one in re.findall(r"<form\b.*?</form>", page.text, re.DOTALL) if "wc_ahlan_save" in one)
    nonce = attribute(next(tag for tag in re.findall(r"<input[^>]*>", form) if "_wpnonce" in tag), "value")

    async def save(off: set[str], *, widget: bool = True) -> None:
        fields = {"action": "wc_ahlan_save", "_wpnonce": nonce, "side": "end", "accent": "#56682c", "support_tab": "1"}
        fields |= {"widget": "1"} if widget else {}
        fields |= {f"shown[{number}]": kind for number, kind in enumerate(sorted({*kinds, "checkout"} - off))}
        saved = await shop.owner.post(f"{shop.site.url}/wp-admin/admin-post.php", fields)
        assert "said=saved" in str(saved.url), saved.text[-2000:]

    async def shown() -> set[str]:
        return {kind for kind, path in kinds.items() if tags((await visitor().get(f"{shop.site.url}{path}")).text)}

    try:
        for off in ({"product"}, {"shop", "cart"}, set(kinds)):
            await save(off)
            assert await shown() == set(kinds) - off
        await save(set(), widget=False)
        assert await shown() == set()
    finally:
        await save(set())
    assert await shown() == set(kinds)


async def test_a_full_page_cache_hands_nobody_to_another(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    """Two signed-in customers and a guest, each with a cart, through a cache that ignores cookies and headers."""
    layla, omer, guest = visitor(), visitor(), visitor()
    await layla.sign_in(shop.site, "layla")
    await omer.sign_in(shop.site, "omer")
    await layla.post(f"{shop.site.url}/product/soap/", {"add-to-cart": str(shop.products["soap"]), "quantity": "7"})
    await omer.post(f"{shop.site.url}/product/oil/", {"add-to-cart": str(shop.products["oil"]), "quantity": "3"})
    paths = ("/", "/shop/", "/product/soap/", "/product/oil/", "/cart/", "/my-account/")
    secret = (await shop.connection())["secret"]
    async with cached(shop.site):
        for path in paths:
            first = (await layla.get(f"{shop.site.url}{path}")).text
            again = (await omer.get(f"{shop.site.url}{path}")).text
            assert first == again, f"{path} must come from the cache"
            [tag] = tags(first)
            assert set(re.findall(r"\b(data-[a-z]+)=", tag)) == {
                "data-server", "data-store", "data-identity", "data-locale", "data-side", "data-accent",
            }  # fmt: skip
            assert secret not in first
        known = [await token_of(shop, person) for person in (layla, omer, guest, layla)]
        assert len([hit for hit in shop.site.cache.hits if hit in paths]) == len(paths)
        assert not any(IDENTITY in target for target in shop.site.cache.kept)
    assert [token and token.customer_id for token in known] == [
        str(shop.customers["layla"]), str(shop.customers["omer"]), None, str(shop.customers["layla"]),
    ]  # fmt: skip
    assert [token.email for token in known if token] == [
        CUSTOMERS["layla"][0], CUSTOMERS["omer"][0], CUSTOMERS["layla"][0],
    ]  # fmt: skip


@pytest.mark.parametrize("theme", ["twentytwentyfour", "classic"])
async def test_our_part_of_a_page_is_the_same_for_everybody(
    shop: Shop, visitor: Callable[[], Visitor], theme: str
) -> None:
    """Nothing that we print depends on who asks: no name, number, address, nonce, cart or token."""
    layla, guest = visitor(), visitor()
    await layla.sign_in(shop.site, "layla")
    await layla.post(f"{shop.site.url}/product/soap/", {"add-to-cart": str(shop.products["soap"])})
    pairs = []
    async with look_of(shop.site, theme=theme):
        for path in ("/", "/shop/", "/product/soap/", "/cart/"):
            for person in (layla, guest):
                page = (await person.get(f"{shop.site.url}{path}")).text
                ours = [line for line in page.splitlines() if "ahlan" in line.lower()]
                pairs.append(ours)
            assert pairs[-1] == pairs[-2]
            assert pairs[-1]
            for private in (*CUSTOMERS["layla"], "Haddad", "eyJ"):
                assert private not in "\n".join(pairs[-1])


async def test_the_identity_is_for_the_shops_own_pages_alone(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    url = f"{shop.site.url}{IDENTITY}"
    assert await token_of(shop, layla) is not None
    own = await layla.http.get(url, headers={"origin": shop.site.url, "sec-fetch-site": "same-origin"})
    assert own.status_code == 200
    foreign = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": shop.site.url.replace("https:", "http:")},
        {"origin": f"{shop.site.url}.evil.example"},
    ]
    for headers in foreign:
        answer = await layla.http.get(url, headers=headers)
        assert answer.status_code == 403, headers
        assert "eyJ" not in answer.text
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cache-control"] == "no-store, private"
    for query in ("?_jsonp=steal", "?_envelope=1&_jsonp=steal", "?callback=steal"):
        answer = await layla.http.get(url + query)
        assert not answer.text.lstrip("/* ").startswith("steal(")
        assert "javascript" not in answer.headers.get("content-type", "")
    plain = await layla.http.get(f"{shop.site.url}/?rest_route=/wc-ahlan/v1/identity", headers=foreign[0])
    assert plain.status_code == 403
    posted = await layla.http.post(url)
    assert posted.status_code == 404


async def test_a_cookie_that_was_tampered_with_is_nobody(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    name = next(name for name in layla.http.cookies if name.startswith("wordpress_logged_in"))
    value = layla.http.cookies[name]
    for wrong in (value.replace("layla", "admin"), value[:-1] + ("0" if value[-1] != "0" else "1"), "admin"):
        other = visitor()
        other.http.cookies.set(name, wrong, domain="shop.localhost")
        assert await token_of(shop, other) is None


async def test_a_token_lives_fifteen_minutes_and_one_store_long(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    omer = visitor()
    await omer.sign_in(shop.site, "omer")
    token = (await omer.http.get(f"{shop.site.url}{IDENTITY}")).json()["token"]
    keys = pairing.derive_keys((await shop.connection())["secret"])
    read = pairing.read_shopper_token(keys, token, store=shop.store.public_key, now=time.time())
    assert time.time() + 840 < read.expires_at <= time.time() + 900
    with pytest.raises(pairing.PairingError):
        pairing.read_shopper_token(keys, token, store="st_" + "x" * 22, now=time.time())
    with pytest.raises(pairing.PairingError):
        pairing.read_agent_token(keys, token, store=shop.store.public_key, now=time.time())


async def launcher(page: Page) -> None:
    await expect(page.locator("ahlan-widget button.l")).to_be_visible()


@pytest.mark.parametrize(
    ("theme", "locale", "phone"),
    [
        ("twentytwentyfour", "en", False),
        ("twentytwentyfour", "ar", True),
        ("classic", "he", True),
        ("classic", "ar", False),
    ],
)
async def test_the_widget_is_seen_and_talks(shop: Shop, meet: Meet, theme: str, locale: str, phone: bool) -> None:
    """In Chromium, signed in as a customer: launcher, chat in the page's language, the shopper known by name."""
    async with look_of(shop.site, theme=theme, language=LOCALES[locale]):
        person = await meet(locale, phone=phone)
        await person.sign_in(shop.site, "layla")
        page = await person.open(f"{shop.site.url}/product/soap/")
        await launcher(page)
        direction = "ltr" if locale == "en" else "rtl"
        assert await page.evaluate("getComputedStyle(document.documentElement).direction") == direction
        box = await page.locator("ahlan-widget button.l").bounding_box()
        size = page.viewport_size
        assert box is not None
        assert size is not None
        assert (box["x"] > size["width"] / 2) == (direction == "ltr"), "where lines end"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        async with page.expect_response("**/widget/session") as opened:
            await page.locator("ahlan-widget button.l").click()
        session = await (await opened.value).json()
        assert (session["visitor"]["identified"], session["visitor"]["name"]) == (True, "Layla Haddad")
        frame = next(frame for frame in page.frames if "/widget/frame" in frame.url)
        assert await frame.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [
            locale, direction,
        ]  # fmt: skip
        assert await person.context.cookies(shop.ahlan.url) == [], "no cookie of ours in a shop"


@pytest.mark.parametrize("theme", ["twentytwentyfour", "classic"])
async def test_the_way_out_of_a_contract_is_at_the_end_of_every_page(
    shop: Shop, visitor: Callable[[], Visitor], theme: str
) -> None:
    link = f'<a href="{shop.site.url}/withdrawal/">לביטול העסקה כאן</a>'
    put = "update_option( 'wc_ahlan_settings', array( 'withdrawal' => $choice ) ); return Ahlan_Withdrawal::sells();"
    async with look_of(shop.site, theme=theme, language="he_IL"):
        assert await shop.site.run(put, choice="on") is True, "a shop that sells everywhere sells there"
        for path in ("/", "/product/soap/", "/my-account/"):
            assert link in (await visitor().get(f"{shop.site.url}{path}")).text, path
        page = await visitor().get(f"{shop.site.url}/withdrawal/")
        assert page.status_code == 200
        assert "<title>לביטול העסקה כאן</title>" in page.text
        [tag] = re.findall(r"<script\b[^>]*widget/page\.js[^>]*>", page.text)
        assert attribute(tag, "data-screen") == "withdrawal"
        assert attribute(tag, "data-title") == "לביטול העסקה כאן"
        assert attribute(tag, "data-store") == shop.store.public_key
        await shop.site.run(put, choice="off")
        assert link not in (await visitor().get(f"{shop.site.url}/")).text
        assert (await visitor().get(f"{shop.site.url}/withdrawal/")).status_code == 200, (
            "who has the address may declare"
        )
        only = (
            "update_option( 'woocommerce_allowed_countries', $which ); "
            "update_option( 'woocommerce_specific_allowed_countries', array( 'JO', 'SA' ) ); return true;"
        )
        try:
            assert await shop.site.run(put, choice="auto") is True
            assert link in (await visitor().get(f"{shop.site.url}/")).text
            await shop.site.run(only, which="specific")
            assert link not in (await visitor().get(f"{shop.site.url}/")).text, "nobody there can buy"
        finally:
            await shop.site.run(only, which="all")


async def test_the_way_out_of_a_contract_is_reached_with_plain_permalinks_too(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    put = (
        "update_option( 'wc_ahlan_settings', array( 'withdrawal' => $choice ) );"
        " update_option( 'permalink_structure', $structure ); flush_rewrite_rules(); return true;"
    )
    await shop.site.run(put, choice="on", structure="")
    try:
        browser = visitor()
        page = await browser.get(f"{shop.site.url}/")
        there = await browser.click(page, "wc_ahlan_withdrawal")
        assert there.status_code == 200
        assert 'data-screen="withdrawal"' in there.text
    finally:
        await shop.site.run(put, choice="auto", structure="/%postname%/")


async def test_the_way_out_of_a_contract_stays_in_the_language_of_the_page(
    shop: Shop, visitor: Callable[[], Visitor]
) -> None:
    """Polylang translates no address of another plugin; it says which language a page has, and where that begins."""
    await shop.site.run("update_option( 'wc_ahlan_settings', array( 'withdrawal' => 'on' ) ); return true;")
    plugin = shop.site.folder / "wp-content" / "mu-plugins" / "polylang.php"
    plugin.write_text(
        "<?php if ( 0 === strpos( $_SERVER['REQUEST_URI'] ?? '', '/de/' ) ) {"
        " function pll_current_language() { return 'de'; }"
        " function pll_home_url() { return get_option( 'home' ) . '/de/'; }"
        " add_filter( 'locale', function () { return 'de_DE'; } ); }"
    )
    try:
        page = await visitor().get(f"{shop.site.url}/de/withdrawal/")
        assert page.status_code == 200
        assert 'data-title="Vertrag widerrufen"' in page.text
        assert f'<a href="{shop.site.url}/de/withdrawal/">Vertrag widerrufen</a>' in page.text
    finally:
        plugin.unlink()
        await shop.site.run("update_option( 'wc_ahlan_settings', array() ); return true;")


async def test_a_language_of_three_letters_is_not_taken_for_another(shop: Shop) -> None:
    """Aragonese is no Arabic, Filipino no Finnish, Saraiki no Slovak; Moroccan Arabic is Arabic."""
    said = await shop.site.run(
        "$said = array(); foreach ( $locales as $locale ) {"
        " $name = function () use ( $locale ) { return $locale; }; add_filter( 'pre_determine_locale', $name );"
        " preg_match( '/data-locale=.(\\w+)/', Ahlan_Screens::markup(), $found );"
        " $said[ $locale ] = array( $found[1], Ahlan_Withdrawal::label() );"
        " remove_filter( 'pre_determine_locale', $name ); } return $said;",
        locales=["arg", "fil", "skr", "ary", "he_IL", "pt_BR"],
    )
    english = ["en", "Withdraw from contract here"]
    assert said == {
        "arg": english, "fil": english, "skr": english, "ary": ["ar", "العدول عن العقد من هنا"],
        "he_IL": ["he", "לביטול העסקה כאן"], "pt_BR": ["pt", "Retrate-se do contrato aqui"],
    }  # fmt: skip


async def test_a_clock_that_is_off_is_put_right_by_ours(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    """Minutes off, a shop would sign statements that are over, or not yet begun: every answer of ours says the time."""
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    set_off = "update_option( 'wc_ahlan_clock', $off ); delete_transient( 'wc_ahlan_state' ); return true;"
    keys = pairing.derive_keys((await shop.connection())["secret"])
    try:
        await shop.site.run(set_off, off=-400)
        answer = await layla.http.get(f"{shop.site.url}{IDENTITY}")
        read = pairing.read_shopper_token(
            keys, answer.json()["token"], store=shop.store.public_key, now=time.time() - 400
        )
        assert read.expires_at < time.time() + 510, "by its own clock"
        asked = await shop.site.run(
            "$said = Ahlan_Server::ask( 'state', array( 'version' => '1' ) );"
            " return array( is_wp_error( $said ) ? $said->get_error_code() : $said['state'],"
            " get_option( 'wc_ahlan_clock' ) );"
        )
        assert asked == ["connected", 0], "refused once, then told the time"
        known = await token_of(shop, layla)
        assert known is not None
        assert known.customer_id == str(shop.customers["layla"])
    finally:
        await shop.site.run("delete_option( 'wc_ahlan_clock' ); return true;")


async def test_a_theme_that_leaves_its_pages_open_is_told_of(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    """Without wp_footer() neither the chat nor the way out of a contract is there, and nobody would know why."""
    footer = shop.site.folder / "wp-content" / "themes" / "classic" / "footer.php"
    whole = footer.read_text()
    settings = f"{shop.site.url}/wp-admin/admin.php?page=wc-ahlan-settings"
    told = 'data-problem="no_footer"'
    try:
        async with look_of(shop.site, theme="classic"):
            await visitor().get(f"{shop.site.url}/product/soap/")
            assert told not in (await shop.owner.get(settings)).text
            footer.write_text(whole.replace("<?php wp_footer(); ?>", ""))
            assert tags((await visitor().get(f"{shop.site.url}/product/soap/")).text) == []
            assert told in (await shop.owner.get(settings)).text
    finally:
        footer.write_text(whole)
        await shop.site.run("delete_transient( 'wc_ahlan_no_footer' ); return true;")


LANGUAGES = {
    "wpml": (
        "add_filter( 'wpml_active_languages', function () { return array( 'en' => array(), 'de' => array() ); } );"
        " add_filter( 'wpml_permalink', function ( $url, $code ) {"
        " return 'de' === $code ? 'https://laden.localhost:8443/' : $url; }, 10, 2 );"
    ),
    "polylang": (
        "function pll_languages_list() { return array( 'en', 'de' ); }"
        " function pll_home_url( $code = 'en' ) {"
        " return 'de' === $code ? 'https://laden.localhost:8443/' : get_option( 'home' ) . '/'; }"
    ),
}


@pytest.mark.parametrize("name", list(LANGUAGES))
async def test_the_chat_opens_on_the_domain_of_every_language(shop: Shop, name: str) -> None:
    """Ahlan is framed by origins that it knows, and the site's own index names one domain."""
    platform = shop.ahlan.app.platforms["woocommerce"]
    plugin = shop.site.folder / "wp-content" / "mu-plugins" / "languages.php"
    plugin.write_text(f"<?php {LANGUAGES[name]}")
    try:
        told = (await platform.profile(shop.store.connection())).origins
    finally:
        plugin.unlink()
    assert set(told) == {shop.site.url, "https://laden.localhost:8443"}
    assert (await platform.profile(shop.store.connection())).origins == (shop.site.url,)
