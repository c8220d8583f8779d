"""A network of sites (multisite): the plugin stands on each, and leaves none behind."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.wordpress.front import Certificates
from tests.wordpress.wordpress import OLDEST, WordPress, serve

_NETWORK = """
require_once ABSPATH . 'wp-admin/includes/network.php';
global $wpdb;
foreach ( $wpdb->tables( 'ms_global' ) as $table => $prefixed ) { $wpdb->$table = $prefixed; }
install_network();
$made = populate_network( 1, $domain, 'admin@shop.localhost', 'Shops', '/', false );
return is_wp_error( $made ) ? $made->get_error_messages() : $made;
"""
# What is scheduled and which tables are there, on each of the two.
_HELD = """
$held = array();
foreach ( get_sites( array( 'fields' => 'ids' ) ) as $site ) {
    switch_to_blog( $site );
    $tables = $wpdb->get_col( "SHOW TABLES LIKE '{$wpdb->prefix}wc_ahlan%'" );
    $next = (bool) wp_next_scheduled( 'wc_ahlan_send_events' );
    $held[] = array( $next, count( $tables ), get_option( 'wc_ahlan_schema' ) );
    restore_current_blog();
}
return $held;
"""


@pytest.fixture
async def network(
    archive: Path, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WordPress]:
    """Two sites in folders of one address, both plugins switched on for the network."""
    folder = tmp_path_factory.mktemp("network") / "site"
    async with serve(
        folder, "net.localhost", certificates, archive=archive, version=OLDEST,
        constants={"WC_AHLAN_SERVER": "https://ahlan.localhost", "TESTS_NO_ACTION_SCHEDULER": "1"},
    ) as site:  # fmt: skip
        domain = urlsplit(site.url).netloc
        assert await site.run(_NETWORK, domain=domain) is True
        config = folder / "wp-config.php"
        constants = (
            "define( 'MULTISITE', true ); define( 'SUBDOMAIN_INSTALL', false ); define( 'PATH_CURRENT_SITE', '/' );"
            f" define( 'DOMAIN_CURRENT_SITE', '{domain}' ); define( 'SITE_ID_CURRENT_SITE', 1 );"
            " define( 'BLOG_ID_CURRENT_SITE', 1 );\n$table_prefix"
        )
        # Each site of a network has an address of its own.
        original = re.sub(r"define\( 'WP_(HOME|SITEURL)'.*\n", "", config.read_text())
        config.write_text(original.replace("$table_prefix", constants, 1))
        made = await site.run(
            "grant_super_admin( 1 ); $two = wpmu_create_blog( $domain, '/two/', 'Two', 1 );"
            " foreach ( array( 'woocommerce/woocommerce.php', 'wc-ahlan/wc-ahlan.php' ) as $plugin ) {"
            " activate_plugin( $plugin, '', true ); } return $two;",
            domain=domain,
        )
        assert made == 2
        yield site


async def test_switched_off_for_a_network_it_rests_on_every_site_and_deleted_it_is_gone_from_each(
    network: WordPress,
) -> None:
    # As each site's first page does it.
    await network.run(
        "foreach ( array( 1, 2 ) as $site ) { switch_to_blog( $site ); Ahlan_Setup::upgrade();"
        " wp_schedule_single_event( time() + 60, 'wc_ahlan_send_events' ); restore_current_blog(); } return true;"
    )
    assert await network.run(f"global $wpdb; {_HELD}") == [[True, 2, "1"], [True, 2, "1"]]
    await network.run("deactivate_plugins( 'wc-ahlan/wc-ahlan.php', false, true ); return true;")
    assert await network.run(f"global $wpdb; {_HELD}") == [[False, 2, "1"], [False, 2, "1"]]
    deleted = await network.run(
        "require_once ABSPATH . 'wp-admin/includes/file.php'; define( 'FS_METHOD', 'direct' ); WP_Filesystem();"
        " return delete_plugins( array( 'wc-ahlan/wc-ahlan.php' ) );"
    )
    assert deleted is True
    assert await network.run(f"global $wpdb; {_HELD}") == [[False, 0, False], [False, 0, False]]
