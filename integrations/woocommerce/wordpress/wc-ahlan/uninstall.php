<?php
/**
 * The plugin is deleted: nothing of it stays, on any site of a network.
 *
 * @package WcAhlan
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

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
