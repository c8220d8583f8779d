"""What the merchant's team meets in wp-admin: settings in every state, the panel, the order screen."""

import json
import re
import time
from collections.abc import Callable
from typing import Final

import pytest
from playwright.async_api import Request, expect

from integrations.woocommerce import pairing
from plugin import stores
from tests.wordpress.conftest import Meet, Shop, Visitor, chat_of
from tests.wordpress.wordpress import ADMIN

SETTINGS = "/wp-admin/admin.php?page=wc-ahlan-settings"
PANEL = "/wp-admin/admin.php?page=wc-ahlan"

_HOME: Final = (
    "file_put_contents( WPMU_PLUGIN_DIR . '/state.php', '<?php add_filter( \"option_home\", function ( $url ) {"
    ' return str_replace( "%s", "%s", $url ); }, 99 );\' );'
)
# How a merchant gets there, and back.
STATES: dict[str, tuple[str, str]] = {
    "coming_soon": (
        "update_option( 'woocommerce_coming_soon', 'yes' );",
        "update_option( 'woocommerce_coming_soon', 'no' );",
    ),
    "no_permalinks": (
        "update_option( 'permalink_structure', '' );",
        "update_option( 'permalink_structure', '/%postname%/' ); flush_rewrite_rules();",
    ),
    "no_https": (
        _HOME % ("https:", "http:"),
        "unlink( WPMU_PLUGIN_DIR . '/state.php' );",
    ),
    "site_cloned": (
        _HOME % ("shop.", "copy."),
        "unlink( WPMU_PLUGIN_DIR . '/state.php' );",
    ),
    "keys_revoked": (
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET key_id = key_id + 1000\" );",
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET key_id = key_id - 1000\" );",
    ),
    "read_only_key": (
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET permissions = 'read'\" );",
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET permissions = 'read_write'\" );",
    ),
    "missing_right": (
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET user_id = user_id + 500\" );",
        "$wpdb->query( \"UPDATE {$wpdb->prefix}woocommerce_api_keys SET user_id = user_id - 500\" );",
    ),
    "forgotten": (
        "$kept = get_option( 'wc_ahlan_secret' ); update_option( 'kept', $kept );"
        " update_option( 'wc_ahlan_secret', strrev( $kept ) );",
        "update_option( 'wc_ahlan_secret', get_option( 'kept' ) ); delete_option( 'kept' );",
    ),
    "no_server": (
        "file_put_contents( WPMU_PLUGIN_DIR . '/state.php',"
        " '<?php add_filter( \"wc_ahlan_server\", \"__return_empty_string\" );' );",
        "unlink( WPMU_PLUGIN_DIR . '/state.php' );",
    ),
    "widget_off": (
        "update_option( 'wc_ahlan_settings', array( 'widget' => false ) );",
        "delete_option( 'wc_ahlan_settings' );",
    ),
}  # fmt: skip
_RUN = "global $wpdb; wp_mkdir_p( WPMU_PLUGIN_DIR ); delete_transient( 'wc_ahlan_state' ); %s return true;"


def problems(page: str) -> dict[str, str]:
    """The notices of a page by their code, as their words."""
    found = re.findall(r'<div class="notice[^>]*data-problem="(\w+)"[^>]*>(.*?)</div>', page, re.DOTALL)
    return {code: " ".join(re.sub(r"<[^>]+>", " ", words).split()) for code, words in found}


@pytest.mark.parametrize("state", STATES)
async def test_every_state_has_words_that_say_what_to_do(shop: Shop, state: str) -> None:
    there, back = STATES[state]
    await shop.site.run(_RUN % there)
    try:
        await said_in_each_language(shop, state)
    finally:
        await shop.site.run(_RUN % back)
    after = problems((await shop.owner.get(f"{shop.site.url}{SETTINGS}")).text)
    assert after == {}


async def said_in_each_language(shop: Shop, state: str) -> None:
    """The settings page names the state and says what to do, in English, Arabic and Hebrew."""
    said: dict[str, str] = {}
    try:
        for locale in ("", "ar", "he_IL"):
            await shop.site.run("update_user_meta( 1, 'locale', $locale ); return true;", locale=locale)
            page = await shop.owner.get(f"{shop.site.url}{SETTINGS}")
            found = problems(page.text)
            assert state in found, found
            said[locale] = found[state]
            level = re.search(rf'class="notice notice-(\w+)[^>]*data-problem="{state}"', page.text)
            assert level is not None
            assert ("dashicons-yes-alt" in page.text) == (level[1] != "error"), "no tick beside what is broken"
    finally:
        await shop.site.run("delete_user_meta( 1, 'locale' ); return true;")
    assert len(said[""].split()) > 8
    assert re.search(r"[\u0600-\u06ff]{3}", said["ar"]), said["ar"]
    assert re.search(r"[\u0590-\u05ff]{3}", said["he_IL"]), said["he_IL"]


async def site_health(shop: Shop) -> dict[str, str]:
    """What WordPress's Site Health shows of us."""
    said: dict[str, str] = await shop.site.run(
        "delete_transient( 'wc_ahlan_state' );"
        " $tests = apply_filters( 'site_status_tests', array( 'direct' => array() ) );"
        " return call_user_func( $tests['direct']['wc_ahlan']['test'] );"
    )
    return said


async def test_while_ahlan_is_away_the_page_and_site_health_say_so(shop: Shop) -> None:
    well = await site_health(shop)
    assert (well["status"], well["label"]) == ("good", "Ahlan is connected")
    async with shop.ahlan.away():
        ill = await site_health(shop)
        assert (ill["status"], ill["label"]) == ("recommended", "Ahlan does not answer at the moment.")
        await said_in_each_language(shop, "server_away")
    assert (await site_health(shop))["status"] == "good"


async def test_keys_that_ahlan_may_not_use_are_critical_until_they_work_again(shop: Shop) -> None:
    async def stand(status: str) -> None:
        async with shop.ahlan.app.db.transaction(shop.store.workspace_id) as tx:
            store = await stores.get(tx, shop.store.id)
            assert store is not None
            store.status = status

    await stand(stores.NEEDS_REAUTH)
    try:
        ill = await site_health(shop)
        assert (ill["status"], ill["label"]) == ("critical", "Ahlan has no key to this shop that works.")
        assert "Connect again" in ill["description"]
        await said_in_each_language(shop, "keys_refused")
    finally:
        await stand(stores.CONNECTED)
    assert (await site_health(shop))["status"] == "good"


async def test_without_https_or_permalinks_the_button_cannot_be_pressed(shop: Shop) -> None:
    await shop.site.run(_RUN % STATES["no_permalinks"][0])
    try:
        page = await shop.owner.get(f"{shop.site.url}{SETTINGS}")
        answer = await shop.owner.submit(page, "wc_ahlan_connect")
        assert str(answer.url).startswith(f"{shop.site.url}/wp-admin/"), "the browser stays where it is"
    finally:
        await shop.site.run(_RUN % STATES["no_permalinks"][1])


@pytest.mark.parametrize("name", ["author", "layla"])
async def test_who_may_not_manage_the_shop_is_kept_out(shop: Shop, visitor: Callable[[], Visitor], name: str) -> None:
    stranger = visitor()
    await stranger.sign_in(shop.site, name)
    before = await shop.connection()
    for path in (SETTINGS, PANEL):
        page = await stranger.get(f"{shop.site.url}{path}")
        assert page.status_code == 403 or "/my-account/" in str(page.url)
        assert "wc_ahlan_disconnect" not in page.text
    # Even with a nonce that somebody gave them.
    for verb in ("connect", "disconnect", "forget", "save", "server"):
        nonce = await shop.site.run(
            "wp_set_current_user( $id ); return wp_create_nonce( 'wc_ahlan_' . $verb );",
            id=shop.customers["layla"] if name == "layla" else await shop.site.run(
                "return get_user_by( 'login', 'author' )->ID;"
            ),
            verb=verb,
        )  # fmt: skip
        url = f"{shop.site.url}/wp-admin/admin-post.php"
        answer = await stranger.post(url, {"action": f"wc_ahlan_{verb}", "_wpnonce": nonce})
        assert answer.status_code == 403 or "/my-account/" in str(answer.url)
    for action in ("wc_ahlan_token", "wc_ahlan_conversations"):
        answer = await stranger.post(f"{shop.site.url}/wp-admin/admin-ajax.php", {"action": action})
        assert "eyJ" not in answer.text
        assert answer.status_code in (200, 400, 403)
        assert '"success":true' not in answer.text
    assert await shop.connection() == before


async def test_no_button_works_from_another_page(shop: Shop) -> None:
    before = await shop.connection()
    for verb in ("connect", "disconnect", "forget", "save", "server"):
        answer = await shop.owner.post(f"{shop.site.url}/wp-admin/admin-post.php", {"action": f"wc_ahlan_{verb}"})
        assert answer.status_code == 403, verb
    assert await shop.connection() == before


async def test_an_agents_token_is_for_one_minute_and_one_purpose(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    manager = visitor()
    await manager.sign_in(shop.site, "manager")
    page = (await manager.get(f"{shop.site.url}{PANEL}")).text
    config = json.loads(re.search(r"wcAhlanPanel = (\{.*?\});", page)[1])
    assert "eyJ" not in page, "no token in the page"
    answer = await manager.post(config["ajax"], {"action": "wc_ahlan_token", "_ajax_nonce": config["nonce"]})
    assert "no-store" in answer.headers["cache-control"]
    keys = pairing.derive_keys((await shop.connection())["secret"])
    token = answer.json()["data"]
    agent = pairing.read_agent_token(keys, token, store=shop.store.public_key, now=time.time())
    assert (agent.name, agent.administrator) == ("Mira", False)
    with pytest.raises(pairing.PairingError):
        pairing.read_agent_token(keys, token, store=shop.store.public_key, now=time.time() + 75)
    with pytest.raises(pairing.PairingError):
        pairing.read_shopper_token(keys, token, store=shop.store.public_key, now=time.time())
    stale = await manager.post(config["ajax"], {"action": "wc_ahlan_token", "_ajax_nonce": "0123456789"})
    assert stale.status_code == 403


async def test_the_panel_opens_inside_wp_admin(shop: Shop, meet: Meet, visitor: Callable[[], Visitor]) -> None:
    """With third-party cookies blocked: the token comes by postMessage and never stands in an address."""
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    conversation = await chat_of(shop, layla, "متى يصل الصابون؟")
    person = await meet()
    page = await person.sign_in(shop.site, ADMIN)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    await page.goto(f"{shop.site.url}{PANEL}")
    panel = page.frame_locator("#wc-ahlan-panel iframe")
    await expect(panel.locator("#overview")).to_be_visible()
    await expect(page.locator("#wc-ahlan-panel .wc-ahlan-wait")).to_be_hidden()
    await page.goto(f"{shop.site.url}{PANEL}&to=inbox/{conversation}")
    await expect(panel.locator("#thread .message .text", has_text="متى يصل الصابون؟")).to_be_visible()
    # It stays alive: an answer is sent, signed by tokens that were asked for anew.
    await panel.locator("#words").fill("Tomorrow.")
    await panel.locator("#words").press("Control+Enter")
    await expect(panel.locator("#thread .message .text", has_text="Tomorrow.")).to_be_visible()
    assert [request.url for request in asked if "eyJ" in request.url] == []
    ours = [request for request in asked if request.url.startswith(shop.ahlan.url)]
    assert len(ours) > 5
    assert [request.url for request in ours if "eyJ" in (request.headers.get("referer") or "")] == []
    assert await person.context.cookies(shop.ahlan.url) == [], "nothing that a browser could block"


async def test_only_the_shops_own_admin_may_frame_the_panel(shop: Shop) -> None:
    async with shop.ahlan.client() as http:
        frame = await http.get(f"{shop.ahlan.url}/plugin/woocommerce/frame?store={shop.store.public_key}")
    policy = frame.headers["content-security-policy"]
    assert re.search(r"frame-ancestors ([^;]+)", policy)[1].split() == [shop.site.url]
    assert "x-frame-options" not in frame.headers


async def test_the_order_screen_shows_the_customers_conversations(
    shop: Shop, meet: Meet, visitor: Callable[[], Visitor]
) -> None:
    omer = visitor()
    await omer.sign_in(shop.site, "omer")
    conversation = await chat_of(shop, omer, "איפה ההזמנה שלי?")
    order = await shop.site.run(
        """$order = new WC_Order(); $order->set_customer_id( $id );
        $order->set_billing( array( 'first_name' => 'Omer', 'email' => 'omer@customers.example' ) );
        return $order->save();""",
        id=shop.customers["omer"],
    )
    person = await meet()
    page = await person.sign_in(shop.site, ADMIN)
    screen = f"{shop.site.url}/wp-admin/admin.php?page=wc-orders&action=edit&id={order}"
    await page.goto(screen)
    box = page.locator("#wc-ahlan-conversations")
    await expect(box.locator("li a").first).to_be_visible()
    assert "איפה" not in await box.inner_text(), "what was written stays in Ahlan"
    link = await box.locator("li a").first.get_attribute("href")
    assert link is not None
    assert f"inbox/{conversation}" in link.replace("%2F", "/")
    await page.goto(link)
    panel = page.frame_locator("#wc-ahlan-panel iframe")
    await expect(panel.locator("#thread .message .text", has_text="איפה ההזמנה שלי?")).to_be_visible()
    async with shop.ahlan.away():
        await page.goto(screen)
        await expect(box).not_to_contain_text("…")
        assert await box.locator("li a").count() == 0
    person.errors.clear()


async def test_my_account_has_a_support_tab(shop: Shop, meet: Meet) -> None:
    person = await meet()
    page = await person.sign_in(shop.site, "layla")
    await page.goto(f"{shop.site.url}/my-account/")
    await page.locator(".woocommerce-MyAccount-navigation-link--ahlan-support a").click()
    await expect(page).to_have_url(f"{shop.site.url}/my-account/ahlan-support/")
    button = page.locator("[data-ahlan-open]")
    await expect(button).to_be_visible()
    async with page.expect_response("**/widget/session"):
        await button.click()
    await expect(page.locator("ahlan-widget .r iframe")).to_be_visible()


async def test_the_support_tab_goes_when_it_is_switched_off(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    layla = visitor()
    await layla.sign_in(shop.site, "layla")
    off = "update_option( 'wc_ahlan_settings', array( 'support_tab' => false ) ); return true;"
    await shop.site.run(off)
    try:
        page = await layla.get(f"{shop.site.url}/my-account/")
        assert "ahlan-support" not in page.text
    finally:
        await shop.site.run("delete_option( 'wc_ahlan_settings' ); return true;")
    assert "ahlan-support" in (await layla.get(f"{shop.site.url}/my-account/")).text


async def test_the_button_below_the_settings_saves_what_the_form_shows(shop: Shop, meet: Meet) -> None:
    """Every field by its label, pressed as people do, kept as chosen, and shown so when the page comes back."""
    owner = await meet()
    await owner.sign_in(shop.site, ADMIN)
    page = await owner.open(f"{shop.site.url}{SETTINGS}")
    try:
        await page.get_by_label("Show the chat to shoppers").uncheck()
        for kind in ("Products", "Checkout"):
            await page.get_by_label(kind, exact=True).uncheck()
        await page.get_by_label("Add a Support tab").uncheck()
        await page.get_by_label("Right of withdrawal (EU)").select_option(label="No link")
        await page.get_by_label("Side of the page").select_option(label="Where lines begin")
        await page.get_by_label("Colour").fill("#A02040")
        await page.get_by_role("button", name="Save changes").click()
        await page.wait_for_url("**said=saved**")
        assert await shop.site.run("return Ahlan_Settings::all();") == {
            "widget": False, "off": ["product", "checkout"], "side": "start", "accent": "#a02040", "support_tab": False,
            "withdrawal": "off",
        }  # fmt: skip
        await expect(page.get_by_label("Products", exact=True)).not_to_be_checked()
        await expect(page.get_by_label("Cart", exact=True)).to_be_checked()
        await expect(page.get_by_label("Add a Support tab")).not_to_be_checked()
        await expect(page.get_by_label("Right of withdrawal (EU)")).to_have_value("off")
        await expect(page.get_by_label("Side of the page")).to_have_value("start")
        await expect(page.get_by_label("Colour")).to_have_value("#a02040")
    finally:
        await shop.site.run(
            "delete_option( 'wc_ahlan_settings' ); update_option( 'wc_ahlan_flush', '1' ); return true;"
        )


async def test_site_health_speaks_of_us(shop: Shop) -> None:
    tests = await shop.site.run(
        "require_once ABSPATH . 'wp-admin/includes/class-wp-site-health.php'; $all = WP_Site_Health::get_tests();"
        " return call_user_func( $all['direct']['wc_ahlan']['test'] );"
    )
    assert (tests["status"], tests["label"]) == ("good", "Ahlan is connected")


async def test_links_to_settings_and_menu(shop: Shop) -> None:
    plugins = (await shop.owner.get(f"{shop.site.url}/wp-admin/plugins.php")).text
    assert "page=wc-ahlan-settings" in plugins
    declared = await shop.site.run(
        "return Automattic\\WooCommerce\\Utilities\\FeaturesUtil::get_compatible_features_for_plugin("
        " 'wc-ahlan/wc-ahlan.php' );"
    )
    assert {"custom_order_tables", "cart_checkout_blocks"} <= set(declared["compatible"])
    assert declared["incompatible"] == []


async def test_a_secret_that_was_lost_is_a_state_with_words(shop: Shop, visitor: Callable[[], Visitor]) -> None:
    """Object caches and half restored databases lose one option and keep the other."""
    secret = (await shop.connection())["secret"]
    await shop.site.run("delete_option( 'wc_ahlan_secret' ); delete_transient( 'wc_ahlan_state' ); return true;")
    try:
        page = await shop.owner.get(f"{shop.site.url}{SETTINGS}")
        assert page.status_code == 200
        assert 'data-problem="forgotten"' in page.text
        layla = visitor()
        await layla.sign_in(shop.site, "layla")
        assert (await layla.http.get(f"{shop.site.url}/wp-json/wc-ahlan/v1/identity")).status_code == 204
        assert (await layla.get(f"{shop.site.url}/help/")).status_code == 404
    finally:
        await shop.site.run(
            "update_option( 'wc_ahlan_secret', $secret, false ); delete_transient( 'wc_ahlan_state' ); return true;",
            secret=secret,
        )
    assert "data-problem=" not in (await shop.owner.get(f"{shop.site.url}{SETTINGS}")).text


async def test_php_had_nothing_to_say_about_all_that(shop: Shop) -> None:
    assert shop.site.errors() == ""
