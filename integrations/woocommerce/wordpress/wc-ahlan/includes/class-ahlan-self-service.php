<?php
/**
 * Orders and returns in a page of the shop.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A shortcode, a block, a tab in My Account and a button on each order: all lead to the same screens.
 */
final class Ahlan_Self_Service {

	const SHORTCODE = 'ahlan_returns';
	const BLOCK     = 'wc-ahlan/returns';
	const ENDPOINT  = 'ahlan-returns';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'init', array( __CLASS__, 'register' ) );
		add_filter( 'woocommerce_get_query_vars', array( __CLASS__, 'query_vars' ) );
		add_filter( 'woocommerce_account_menu_items', array( __CLASS__, 'menu' ) );
		add_filter( 'woocommerce_endpoint_' . self::ENDPOINT . '_title', array( __CLASS__, 'title' ) );
		add_action( 'woocommerce_account_' . self::ENDPOINT . '_endpoint', array( __CLASS__, 'show' ) );
		add_filter( 'woocommerce_my_account_my_orders_actions', array( __CLASS__, 'actions' ), 10, 2 );
	}

	/**
	 * The shortcode and the block.
	 */
	public static function register() {
		add_shortcode( self::SHORTCODE, array( __CLASS__, 'markup' ) );
		Ahlan_Blocks::register( self::BLOCK, self::title(), 'undo', array( __CLASS__, 'markup' ) );
	}

	/**
	 * The screens.
	 *
	 * @return string
	 */
	public static function markup() {
		return Ahlan_Screens::markup();
	}

	/**
	 * Give the tab an address, whether or not there is a connection, so that the rules stay as they are.
	 *
	 * @param array<string,string> $vars Query variables.
	 * @return array<string,string>
	 */
	public static function query_vars( $vars ) {
		$vars[ self::ENDPOINT ] = self::ENDPOINT;
		return $vars;
	}

	/**
	 * Put the tab after the orders.
	 *
	 * @param array<string,string> $items The tabs.
	 * @return array<string,string>
	 */
	public static function menu( $items ) {
		if ( null === Ahlan_Connection::current() ) {
			return $items;
		}
		$found = array();
		foreach ( $items as $key => $label ) {
			$found[ $key ] = $label;
			if ( 'orders' === $key ) {
				$found[ self::ENDPOINT ] = self::title();
			}
		}
		return isset( $found[ self::ENDPOINT ] ) ? $found : $items + array( self::ENDPOINT => self::title() );
	}

	/**
	 * The name of the tab and of the block.
	 *
	 * @return string
	 */
	public static function title() {
		return __( 'Returns', 'wc-ahlan' );
	}

	/**
	 * What the tab shows.
	 */
	public static function show() {
		// Made of attributes that WordPress escapes itself.
		echo self::markup(); // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped
	}

	/**
	 * A button on every order that was sent.
	 *
	 * @param array<string,array<string,string>> $actions What the order's row offers.
	 * @param WC_Order                           $order   The order.
	 * @return array<string,array<string,string>>
	 */
	public static function actions( $actions, $order ) {
		if ( null !== Ahlan_Connection::current() && $order->has_status( 'completed' ) ) {
			$actions['ahlan-return'] = array(
				'url'  => add_query_arg( 'order', rawurlencode( $order->get_order_number() ), wc_get_account_endpoint_url( self::ENDPOINT ) ),
				'name' => __( 'Return something', 'wc-ahlan' ),
			);
		}
		return $actions;
	}
}
