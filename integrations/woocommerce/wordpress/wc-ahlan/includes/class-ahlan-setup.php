<?php
/**
 * Tables, the address of the support tab, and what a deactivated plugin leaves.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Activation, upgrades and deactivation. Uninstalling is `Ahlan_Cleanup`.
 */
final class Ahlan_Setup {

	const SCHEMA = '1';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'init', array( __CLASS__, 'upgrade' ), 5 );
		// After WooCommerce has registered its endpoints, with ours among them.
		add_action( 'init', array( __CLASS__, 'flush' ), 99 );
		add_filter( 'wpmu_drop_tables', array( __CLASS__, 'dropped' ) );
	}

	/**
	 * A site of a network is deleted: WordPress knows its own tables alone, and has switched to that site.
	 *
	 * @param string[] $tables What is dropped.
	 * @return string[]
	 */
	public static function dropped( $tables ) {
		global $wpdb;
		return array_merge( $tables, array( $wpdb->prefix . 'wc_ahlan_events', $wpdb->prefix . 'wc_ahlan_nonces' ) );
	}

	/**
	 * The plugin was switched on.
	 */
	public static function activate() {
		self::install();
		update_option( 'wc_ahlan_flush', '1', true );
	}

	/**
	 * The plugin was switched off: nothing may run or answer any more, everything else waits for it to come back.
	 *
	 * @param bool $everywhere Whether for a whole network.
	 */
	public static function deactivate( $everywhere = false ) {
		if ( ! $everywhere || ! is_multisite() ) {
			self::rest();
			return;
		}
		foreach ( get_sites(
			array(
				'fields' => 'ids',
				'number' => 0,
			)
		) as $site ) {
			switch_to_blog( $site );
			self::rest();
			restore_current_blog();
		}
	}

	/**
	 * What that means for one site.
	 */
	private static function rest() {
		Ahlan_Queue::unschedule();
		Ahlan_Returns::undo();
		// Written anew, without our endpoint, at the next request.
		delete_option( 'rewrite_rules' );
	}

	/**
	 * Make the tables of this version. Sites of a network that was switched on as a whole get them here.
	 */
	public static function upgrade() {
		if ( self::SCHEMA === get_option( 'wc_ahlan_schema' ) ) {
			return;
		}
		self::install();
		update_option( 'wc_ahlan_flush', '1', true );
	}

	/**
	 * Write the rewrite rules once, so that the support tab has an address.
	 */
	public static function flush() {
		if ( get_option( 'wc_ahlan_flush' ) && delete_option( 'wc_ahlan_flush' ) ) {
			flush_rewrite_rules( false );
		}
	}

	/**
	 * Create or update the tables.
	 */
	private static function install() {
		global $wpdb;
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		$collate = $wpdb->get_charset_collate();
		// One row per cart and kind: a newer state replaces one that was not sent yet.
		dbDelta(
			"CREATE TABLE {$wpdb->prefix}wc_ahlan_events (
				subject varchar(80) NOT NULL,
				event_id char(32) NOT NULL,
				body longtext NOT NULL,
				attempts smallint unsigned NOT NULL DEFAULT 0,
				due bigint unsigned NOT NULL DEFAULT 0,
				created bigint unsigned NOT NULL DEFAULT 0,
				PRIMARY KEY  (subject),
				KEY due (due)
			) $collate;"
		);
		dbDelta(
			"CREATE TABLE {$wpdb->prefix}wc_ahlan_nonces (
				nonce varchar(64) NOT NULL,
				until bigint unsigned NOT NULL DEFAULT 0,
				PRIMARY KEY  (nonce),
				KEY until (until)
			) $collate;"
		);
		update_option( 'wc_ahlan_schema', self::SCHEMA, true );
	}
}
