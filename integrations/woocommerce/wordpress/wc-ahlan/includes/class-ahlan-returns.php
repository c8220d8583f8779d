<?php
/**
 * The status of an order with a return under way.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Registers the status, so that the shop's staff and the shopper in My Account see it. Ahlan sets it, and takes it back.
 */
final class Ahlan_Returns {

	const STATUS = 'wc-ahlan-return';
	const BEFORE = '_ahlan_return_before';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'init', array( __CLASS__, 'register' ), 9 );
		add_filter( 'wc_order_statuses', array( __CLASS__, 'statuses' ) );
		add_filter( 'woocommerce_order_is_paid_statuses', array( __CLASS__, 'paid' ) );
		add_filter( 'woocommerce_order_is_download_permitted', array( __CLASS__, 'downloads' ), 10, 2 );
		add_filter( 'woocommerce_email_enabled_customer_completed_order', array( __CLASS__, 'mail' ), 10, 2 );
	}

	/**
	 * The name of the status.
	 *
	 * @return string
	 */
	public static function name() {
		return __( 'Return in progress', 'wc-ahlan' );
	}

	/**
	 * Make the status known to WordPress, for shops that keep orders as posts.
	 */
	public static function register() {
		register_post_status(
			self::STATUS,
			array(
				'label'                     => self::name(),
				'public'                    => false,
				'exclude_from_search'       => false,
				'show_in_admin_all_list'    => true,
				'show_in_admin_status_list' => true,
				/* translators: %s: how many orders. */
				'label_count'               => _n_noop( 'Return in progress <span class="count">(%s)</span>', 'Returns in progress <span class="count">(%s)</span>', 'wc-ahlan' ),
			)
		);
	}

	/**
	 * Put it after "Completed".
	 *
	 * @param array<string,string> $statuses Statuses by their key.
	 * @return array<string,string>
	 */
	public static function statuses( $statuses ) {
		$found = array();
		foreach ( (array) $statuses as $key => $name ) {
			$found[ $key ] = $name;
			if ( 'wc-completed' === $key ) {
				$found[ self::STATUS ] = self::name();
			}
		}
		return $found + array( self::STATUS => self::name() );
	}

	/**
	 * An order with a return under way was paid.
	 *
	 * @param array<int,string> $statuses Statuses without their prefix.
	 * @return array<int,string>
	 */
	public static function paid( $statuses ) {
		$statuses[] = substr( self::STATUS, 3 );
		return $statuses;
	}

	/**
	 * What was downloaded before may be downloaded still.
	 *
	 * @param bool     $permitted Whether it is permitted.
	 * @param WC_Order $order     The order.
	 * @return bool
	 */
	public static function downloads( $permitted, $order ) {
		return $permitted || $order->has_status( substr( self::STATUS, 3 ) );
	}

	/**
	 * An order that comes back from a return was completed long ago: nobody is told a second time.
	 *
	 * @param bool          $enabled Whether the mail goes out.
	 * @param WC_Order|null $order   The order.
	 * @return bool
	 */
	public static function mail( $enabled, $order = null ) {
		return $enabled && ! ( $order instanceof WC_Order && $order->get_meta( self::BEFORE ) );
	}

	/**
	 * Nobody knows the status once this plugin is off: orders go back to where they were.
	 */
	public static function undo() {
		if ( ! function_exists( 'wc_get_orders' ) ) {
			return;
		}
		do {
			$changed = 0;
			$orders  = wc_get_orders(
				array(
					'status' => self::STATUS,
					'type'   => 'shop_order',
					'limit'  => 100,
				)
			);
			foreach ( $orders as $order ) {
				if ( $order->has_status( substr( self::STATUS, 3 ) ) ) {
					$before = (string) $order->get_meta( self::BEFORE );
					$order->update_status( '' === $before ? 'completed' : $before );
					// Another plugin may keep the status: what does not change must not be asked for ever.
					$changed += $order->has_status( substr( self::STATUS, 3 ) ) ? 0 : 1;
				}
			}
		} while ( $changed > 0 );
	}
}
