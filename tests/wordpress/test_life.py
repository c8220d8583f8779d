"""A shop's whole life on the oldest WordPress and PHP that we promise, without Action Scheduler."""

import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from integrations.woocommerce import pairing, webhooks
from plugin import stores
from plugin.crm.carts import Cart
from tests.wordpress.conftest import Ahlan, Shop, Visitor, activate, connect, opened, until
from tests.wordpress.front import Certificates
from tests.wordpress.test_carts import Classic, deliver, waiting
from tests.wordpress.wordpress import OLDEST, WordPress, serve

IDENTITY = "/wp-json/wc-ahlan/v1/identity"
SETTINGS = "/wp-admin/admin.php?page=wc-ahlan-settings"
# What WordPress writes whether we are there or not.
_TIDE = re.compile(
    r"_(site_)?transient_|cron$|rewrite_rules|recently_activated|active_plugins|uninstall_plugins|_user_roles|"
    r"can_compress_scripts|auto_core_update|finished_|theme_mods|session_tokens|fresh_site|wp_calendar|"
    r"action_scheduler|woocommerce_queue_flush"
)


async def everything(site: WordPress) -> dict[str, Any]:
    """Options, tables, scheduled tasks, data about people and files of a site."""
    kept = await site.run(
        """global $wpdb;
        wp_cache_flush();
        $hooks = array();
        foreach ( _get_cron_array() as $tasks ) { $hooks = array_merge( $hooks, array_keys( $tasks ) ); }
        return array(
            'options' => $wpdb->get_col( "SELECT option_name FROM $wpdb->options" ),
            'transients' => $wpdb->get_col( "SELECT option_name FROM $wpdb->options WHERE option_name LIKE '%ahlan%'" ),
            'tables' => $wpdb->get_col( 'SHOW TABLES' ),
            'cron' => array_values( array_unique( $hooks ) ),
            'people' => array_values( array_unique( $wpdb->get_col( "SELECT meta_key FROM $wpdb->usermeta" ) ) ),
            'posts' => array_values( array_unique( $wpdb->get_col( "SELECT meta_key FROM $wpdb->postmeta" ) ) ),
            'keys' => (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}woocommerce_api_keys" ),
            'webhooks' => (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}wc_webhooks" ),
        );"""
    )
    content = site.folder / "wp-content"
    files = {str(path.relative_to(content)) for path in content.rglob("*") if path.is_file()}
    skipped = ("database/", "plugins/wc-ahlan/")
    found = {name: sorted(set(value)) if isinstance(value, list) else value for name, value in kept.items()}
    for name in ("options", "people", "posts"):
        found[name] = [entry for entry in found[name] if not _TIDE.search(entry)]
    found["files"] = sorted(file for file in files if not file.startswith(skipped))
    return found


@pytest.fixture(scope="module")
async def old_site(
    archive: Path, ahlan: Ahlan, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WordPress]:
    """WordPress 6.2 on PHP 7.4, our plugin unpacked and not yet activated."""
    async with serve(
        tmp_path_factory.mktemp("old") / "site", "old.localhost", certificates, archive=archive, php="7.4",
        version=OLDEST, constants={"WC_AHLAN_SERVER": ahlan.url, "TESTS_NO_ACTION_SCHEDULER": "1"},
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
async def before(old_site: WordPress) -> dict[str, Any]:
    """What the site held before us; one page and one admin page have been seen."""
    async with old_site.client() as http:
        await http.get("/")
        await http.get("/wp-admin/")
    return await everything(old_site)


@pytest.fixture(scope="module")
async def old(old_site: WordPress, before: dict[str, Any], ahlan: Ahlan) -> AsyncIterator[Shop]:
    """That site, connected."""
    async with opened(old_site, ahlan, "dana@oldshop.example") as shop:
        yield shop


async def test_it_connects_on_the_oldest_too(old: Shop) -> None:
    assert old.site.version.startswith("6.2")
    assert await old.site.run("return PHP_VERSION;") >= "7.4"
    assert not await old.site.run("return function_exists( 'as_enqueue_async_action' );")
    assert (await old.connection())["store_id"] == str(old.store.id)
    async with old.ahlan.client() as http:
        page = await http.get(old.site.url)
    assert f'data-store="{old.store.public_key}"' in page.text


async def test_carts_go_out_by_wordpress_own_cron(old: Shop, visitor: Callable[[], Visitor]) -> None:
    await Classic(old, visitor()).add("soap", 2)
    [event] = await waiting(old.site)
    await deliver(old.site)
    assert await waiting(old.site) == []

    async def arrived() -> list[Cart]:
        return await old.ahlan.all(old.store.workspace_id, Cart, Cart.external_id == event["cart"]["token"])

    assert await until(arrived, "the cart")


async def test_the_secret_is_rotated_without_being_sent(old: Shop, visitor: Callable[[], Visitor]) -> None:
    first = (await old.connection())["secret"]
    layla = visitor()
    await layla.sign_in(old.site, "layla")
    platform: Any = old.ahlan.app.platforms["woocommerce"]
    assert await platform.rotate(old.store.connection(), timedelta(0)) is True
    second = (await old.connection())["secret"]
    assert second != first
    token = (await layla.http.get(f"{old.site.url}{IDENTITY}")).json()["token"]
    claims = pairing.read_shopper_token(pairing.derive_keys(second), token, store=old.store.public_key, now=time.time())
    assert claims.customer_id == str(old.customers["layla"])
    who = await platform.shopper_identity(old.store.connection(), token)
    assert who is not None
    assert (await platform.embed_state(old.store.connection())).code == "widget"


@pytest.mark.parametrize(
    ("method", "route"), [("GET", "status"), ("POST", "rotate"), ("DELETE", "pair"), ("POST", "pair")]
)
async def test_only_ahlan_may_ask(old: Shop, method: str, route: str) -> None:
    """Nobody without the secret, no old request, none twice; and no pairing without this button's nonce."""
    url, path = f"{old.site.url}/wp-json/wc-ahlan/v1/{route}", f"/wp-json/wc-ahlan/v1/{route}"
    kept = await old.connection()
    keys = pairing.derive_keys(kept["secret"])
    now = int(time.time())
    body = b'{"nonce": "x", "salt": "short"}'
    async with old.ahlan.client() as http:

        async def ask(headers: dict[str, str], content: bytes = body) -> tuple[int, str]:
            said = await http.request(
                method, url, content=content, headers={**headers, "content-type": "application/json"}
            )
            return said.status_code, str(said.json().get("code", ""))

        assert (await ask({}))[0] == 401
        if (method, route) == ("POST", "pair"):
            signed = pairing.signed_headers(keys.requests, method=method, path=path, timestamp=now, body=body)
            assert (await ask(signed))[0] == 401, "a signature is no key of WooCommerce"
            return
        stranger = pairing.derive_keys(pairing.new_secret())
        forged = pairing.signed_headers(stranger.requests, method=method, path=path, timestamp=now, body=body)
        assert await ask(forged) == (401, "ahlan_forged")
        stale = pairing.signed_headers(keys.requests, method=method, path=path, timestamp=now - 400, body=body)
        assert await ask(stale) == (401, "ahlan_stale")
        other = pairing.signed_headers(keys.requests, method=method, path=f"{path}x", timestamp=now, body=body)
        assert await ask(other) == (401, "ahlan_forged")
        good = pairing.signed_headers(
            keys.requests, method="GET", path="/wp-json/wc-ahlan/v1/status", timestamp=now, body=b""
        )
        if route == "status":
            assert (await ask(good, b""))[0] == 200
            assert await ask(good, b"") == (401, "ahlan_replayed")
    assert await old.connection() == kept


async def test_a_copy_at_another_address_says_and_shows_nothing(old: Shop, visitor: Callable[[], Visitor]) -> None:
    config = old.site.folder / "wp-config.php"
    original = config.read_text()
    copied = old.site.url.replace("old.", "clone.")
    config.write_text(original.replace(old.site.url, copied))
    try:
        shopper, owner = visitor(), visitor()
        page = await shopper.get(f"{copied}/")
        assert page.status_code == 200
        assert "widget/loader.js" not in page.text
        assert (await shopper.http.get(f"{copied}{IDENTITY}")).status_code == 204
        await shopper.post(f"{copied}/product/soap/", {"add-to-cart": str(old.products["soap"])})
        assert await waiting(old.site) == []
        clone = WordPress(old.site.folder, copied, old.site.port, old.site.certificates, old.site.word)
        await owner.sign_in(clone, "admin")
        settings = await owner.get(f"{copied}{SETTINGS}")
        assert 'data-problem="site_cloned"' in settings.text
        assert "wc_ahlan_forget" in settings.text
        panel = await owner.get(f"{copied}/wp-admin/admin.php?page=wc-ahlan")
        assert "wcAhlanPanel" not in panel.text
        # Ahlan learns of it, and no new secret goes to the copy.
        platform: Any = old.ahlan.app.platforms["woocommerce"]
        secret = (await old.connection())["secret"]
        assert (await platform.embed_state(old.store.connection())).code == "site_cloned"
        with pytest.raises(Exception, match="new secret"):
            await platform.rotate(old.store.connection(), timedelta(0))
        assert (await old.connection())["secret"] == secret
    finally:
        config.write_text(original)
    assert 'data-problem="site_cloned"' not in (await old.owner.get(f"{old.site.url}{SETTINGS}")).text


async def test_a_revoked_key_is_seen_on_both_sides_and_mended_by_connecting_again(old: Shop) -> None:
    await old.site.run('global $wpdb; $wpdb->query( "DELETE FROM {$wpdb->prefix}woocommerce_api_keys" );')
    page = await old.owner.get(f"{old.site.url}{SETTINGS}")
    assert 'data-problem="keys_revoked"' in page.text
    platform: Any = old.ahlan.app.platforms["woocommerce"]
    findings = {finding.code: finding.ok for finding in await platform.check(old.store.connection())}
    assert findings["keys_refused"] is False
    done = await connect(old.site, old.ahlan, old.owner)
    assert done.status_code == 200
    page = await old.owner.get(f"{old.site.url}{SETTINGS}")
    assert "data-problem=" not in page.text
    assert (await old.connection())["store_id"] == str(old.store.id), "the same store, its history kept"
    findings = {finding.code: finding.ok for finding in await platform.check(old.store.connection())}
    assert findings["keys"] is True


async def test_a_copy_is_silent_and_forgets_without_hurting_the_shop(old: Shop) -> None:
    """A copy has copies of webhooks and key in its own database. Here both share one, and the shop connects again."""
    config = old.site.folder / "wp-config.php"
    original = config.read_text()
    copied = old.site.url.replace("old.", "clone.")
    clone = WordPress(old.site.folder, copied, old.site.port, old.site.certificates, old.site.word)
    ours = (
        'global $wpdb; return array( (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}wc_webhooks" ),'
        ' (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}woocommerce_api_keys" ) );'
    )
    touch = (
        "wp_unschedule_hook( 'woocommerce_deliver_webhook_async' );"
        " wp_update_user( array( 'ID' => $who, 'first_name' => $name ) ); $hooks = array();"
        " foreach ( _get_cron_array() as $tasks ) { $hooks = array_merge( $hooks, array_keys( $tasks ) ); }"
        " return in_array( 'woocommerce_deliver_webhook_async', $hooks, true );"
    )

    async def told() -> bool:
        return bool((await old.site.run(ours))[0] == len(webhooks.TOPICS))

    await until(told, "the shop's webhooks")
    who = old.customers["layla"]
    assert await old.site.run(touch, who=who, name="One") is True
    config.write_text(original.replace(old.site.url, copied))
    try:
        assert await clone.run(touch, who=who, name="Two") is False, "what is tried out is no news of the shop"
        await clone.run("Ahlan_Cleanup::say_goodbye(); return true;")
        assert await clone.run(ours) == [0, 0]
    finally:
        config.write_text(original)
    store = await old.ahlan.store(old.site.url)
    assert store is not None
    assert store.status == stores.CONNECTED, "the shop was told nothing"
    assert (await connect(old.site, old.ahlan, old.owner)).status_code == 200
    await until(told, "the shop's webhooks, once more")


async def test_a_second_copy_of_the_plugin_is_deleted_without_hurting_the_first(old: Shop) -> None:
    plugins = old.site.folder / "wp-content" / "plugins"
    shutil.copytree(plugins / "wc-ahlan", plugins / "wc-ahlan-1")
    kept = await old.connection()
    deleted = await old.site.run(
        "require_once ABSPATH . 'wp-admin/includes/file.php'; define( 'FS_METHOD', 'direct' ); WP_Filesystem();"
        " wp_cache_delete( 'plugins', 'plugins' ); return delete_plugins( array( 'wc-ahlan-1/wc-ahlan.php' ) );"
    )
    assert deleted is True
    assert not (plugins / "wc-ahlan-1").exists()
    assert await old.connection() == kept
    assert "data-problem=" not in (await old.owner.get(f"{old.site.url}{SETTINGS}")).text


async def test_a_site_of_a_network_that_is_deleted_takes_our_tables_along(old: Shop) -> None:
    dropped = await old.site.run("return apply_filters( 'wpmu_drop_tables', array( 'wp_posts' ), 1 );")
    assert dropped == ["wp_posts", "wp_wc_ahlan_events", "wp_wc_ahlan_nonces"]


async def test_switched_off_and_on_again_it_is_still_connected(old: Shop) -> None:
    await old.site.run("deactivate_plugins( 'wc-ahlan/wc-ahlan.php' ); return true;")
    async with old.ahlan.client() as http:
        assert "widget/loader.js" not in (await http.get(old.site.url)).text
        assert [hook for hook in (await everything(old.site))["cron"] if "ahlan" in hook] == []
        await activate(old.site)
        assert "widget/loader.js" in (await http.get(old.site.url)).text


async def test_an_order_with_a_return_has_a_status_that_goes_with_the_plugin(old: Shop) -> None:
    made = await old.site.run(
        """$order = new WC_Order();
        $order->update_meta_data( '_ahlan_return_before', 'completed' );
        $order->update_status( 'ahlan-return' );
        return array(
            'id' => $order->get_id(),
            'name' => apply_filters( 'wc_order_statuses', array( 'wc-completed' => 'Completed' ) )['wc-ahlan-return'],
            'mail' => apply_filters( 'woocommerce_email_enabled_customer_completed_order', true, $order ),
            'other' => apply_filters( 'woocommerce_email_enabled_customer_completed_order', true, new WC_Order() ),
        );"""
    )
    assert (made["name"], made["mail"], made["other"]) == ("Return in progress", False, True)
    await old.site.run("deactivate_plugins( 'wc-ahlan/wc-ahlan.php' ); return true;")
    assert await old.site.run(f"return wc_get_order( {made['id']} )->get_status();") == "completed"
    await activate(old.site)


async def test_deleted_it_leaves_nothing(old: Shop, before: dict[str, Any], visitor: Callable[[], Visitor]) -> None:
    """As WordPress deletes a plugin: uninstall.php runs, the folder goes. Then the site is what it was."""
    layla = visitor()
    await layla.sign_in(old.site, "layla")
    await Classic(old, layla).add("soap", 1)
    await old.owner.get(f"{old.site.url}{SETTINGS}")
    # As shops keep orders that have none of WooCommerce's tables for them.
    await old.site.run(
        "add_post_meta( 1, '_ahlan_cart_token', 'x' ); add_post_meta( 1, '_ahlan_return_before', 'completed' );"
        " return true;"
    )
    during = await everything(old.site)
    assert [name for name in during["options"] if "ahlan" in name]
    assert len([name for name in during["tables"] if "ahlan" in name]) == 2
    assert [hook for hook in during["cron"] if "ahlan" in hook]
    assert (during["keys"], during["webhooks"] > 5) == (1, True)
    await old.site.run("deactivate_plugins( 'wc-ahlan/wc-ahlan.php' ); return true;")
    deleted = await old.site.run(
        "require_once ABSPATH . 'wp-admin/includes/file.php'; define( 'FS_METHOD', 'direct' ); WP_Filesystem();"
        " $done = delete_plugins( array( 'wc-ahlan/wc-ahlan.php' ) );"
        " return is_wp_error( $done ) ? $done->get_error_message() : $done;"
    )
    assert deleted is True
    assert not (old.site.folder / "wp-content" / "plugins" / "wc-ahlan").exists()
    after = await everything(old.site)
    assert after["transients"] == []
    for what in before:
        new = (
            [entry for entry in after[what] if entry not in before[what]]
            if isinstance(after[what], list)
            else after[what]
        )
        kept = (
            [entry for entry in new if "ahlan" in str(entry)] if what in ("people", "posts", "options", "cron") else new
        )
        assert kept in ([], before[what]), f"{what}: {new}"

    async def known() -> bool:
        store = await old.ahlan.store(old.site.url)
        return store is None or store.status == stores.UNINSTALLED

    await until(known, "the goodbye")
    assert old.site.errors() == ""
