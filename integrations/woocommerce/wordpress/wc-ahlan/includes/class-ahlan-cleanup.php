<?php
/**
 * Leaving without a trace.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Used by Disconnect and by uninstall.php. WooCommerce may be gone already, so nothing here needs it.
 */
final class Ahlan_Cleanup {

	/**
	 * Tell Ahlan, revoke its key and end its webhooks, as far as they are ours. A copy of the shop tells nothing, and ends
	 * its own copies of them: they would go on in the shop's name.
	 */
	public static function say_goodbye() {
		$connection = Ahlan_Connection::stored();
		if ( null === $connection ) {
			return;
		}
		// Best effort: whoever leaves must not have to wait for us to be there. On a copy nothing is asked.
		Ahlan_Server::ask( 'goodbye' );
		global $wpdb;
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- WooCommerce may be gone, its tables may still be there.
		$quiet = $wpdb->suppress_errors();
		if ( (int) $connection['key_id'] > 0 ) {
			$wpdb->delete( $wpdb->prefix . 'woocommerce_api_keys', array( 'key_id' => (int) $connection['key_id'] ), array( '%d' ) );
		}
		$address = Ahlan_Connection::deliveries( $connection );
		$ids     = $wpdb->get_col( $wpdb->prepare( "SELECT webhook_id FROM {$wpdb->prefix}wc_webhooks WHERE delivery_url = %s", $address ) );
		foreach ( $ids as $webhook_id ) {
			// WooCommerce also keeps in its cache which ones there are.
			$webhook = function_exists( 'wc_get_webhook' ) ? wc_get_webhook( (int) $webhook_id ) : null;
			if ( $webhook ) {
				$webhook->delete( true );
			} else {
				$wpdb->delete( $wpdb->prefix . 'wc_webhooks', array( 'webhook_id' => (int) $webhook_id ), array( '%d' ) );
			}
		}
		$wpdb->suppress_errors( $quiet );
		// phpcs:enable
	}

	/**
	 * Delete everything of ours from one site.
	 */
	public static function site() {
		global $wpdb;
		self::say_goodbye();
		Ahlan_Queue::unschedule();
		// phpcs:disable WordPress.DB.DirectDatabaseQuery, WordPress.DB.DirectDatabaseQuery.SchemaChange -- the end of our own things.
		$quiet = $wpdb->suppress_errors();
		// Done and failed turns of ours too, which Action Scheduler keeps for a month.
		$wpdb->query(
			$wpdb->prepare(
				"DELETE FROM {$wpdb->prefix}actionscheduler_logs WHERE action_id IN (SELECT action_id FROM {$wpdb->prefix}actionscheduler_actions WHERE hook = %s)",
				Ahlan_Queue::HOOK
			)
		);
		$wpdb->delete( $wpdb->prefix . 'actionscheduler_actions', array( 'hook' => Ahlan_Queue::HOOK ), array( '%s' ) );
		$wpdb->delete( $wpdb->prefix . 'actionscheduler_groups', array( 'slug' => Ahlan_Queue::GROUP ), array( '%s' ) );
		$like = $wpdb->esc_like( 'wc_ahlan_' ) . '%';
		$wpdb->query( $wpdb->prepare( "DELETE FROM {$wpdb->options} WHERE option_name LIKE %s", $wpdb->esc_like( '_transient_wc_ahlan_' ) . '%' ) );
		$wpdb->query( $wpdb->prepare( "DELETE FROM {$wpdb->options} WHERE option_name LIKE %s", $wpdb->esc_like( '_transient_timeout_wc_ahlan_' ) . '%' ) );
		foreach ( $wpdb->get_col( $wpdb->prepare( "SELECT option_name FROM {$wpdb->options} WHERE option_name LIKE %s", $like ) ) as $name ) {
			delete_option( $name );
		}
		foreach ( array( Ahlan_Cart::META, Ahlan_Returns::BEFORE ) as $name ) {
			$wpdb->delete( $wpdb->postmeta, array( 'meta_key' => $name ), array( '%s' ) ); // phpcs:ignore WordPress.DB.SlowDBQuery.slow_db_query_meta_key
			$wpdb->delete( $wpdb->prefix . 'wc_orders_meta', array( 'meta_key' => $name ), array( '%s' ) ); // phpcs:ignore WordPress.DB.SlowDBQuery.slow_db_query_meta_key
		}
		$wpdb->query( "DROP TABLE IF EXISTS {$wpdb->prefix}wc_ahlan_events" );
		$wpdb->query( "DROP TABLE IF EXISTS {$wpdb->prefix}wc_ahlan_nonces" );
		$wpdb->suppress_errors( $quiet );
		// phpcs:enable
		// Written anew, without our endpoint, at the next request.
		delete_option( 'rewrite_rules' );
		wp_cache_flush();
	}
}
