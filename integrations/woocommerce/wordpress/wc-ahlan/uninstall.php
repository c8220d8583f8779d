<?php
/**
 * The plugin is deleted: nothing of it stays, on any site of a network.
 *
 * @package WcAhlan
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

// After a second upload the plugin runs from another folder too: what there is belongs to that one.
$wc_ahlan_running = array_merge( (array) get_option( 'active_plugins', array() ), array_keys( (array) get_site_option( 'active_sitewide_plugins', array() ) ) );
foreach ( $wc_ahlan_running as $wc_ahlan_other ) {
	if ( WP_UNINSTALL_PLUGIN !== $wc_ahlan_other && basename( WP_UNINSTALL_PLUGIN ) === basename( $wc_ahlan_other ) ) {
		return;
	}
}

require_once __DIR__ . '/wc-ahlan.php';

if ( is_multisite() ) {
	foreach ( get_sites(
		array(
			'fields' => 'ids',
			'number' => 0,
		)
	) as $wc_ahlan_site ) {
		switch_to_blog( $wc_ahlan_site );
		Ahlan_Cleanup::site();
		restore_current_blog();
	}
} else {
	Ahlan_Cleanup::site();
}
