<?php
/**
 * What hooks in where.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Wires the parts together. Without WooCommerce only the notice that says so is there.
 */
final class Ahlan_Plugin {

	/**
	 * Register what must be there before other plugins have loaded.
	 */
	public static function run() {
		add_action( 'before_woocommerce_init', array( __CLASS__, 'declare_compatibility' ) );
		add_action( 'plugins_loaded', array( __CLASS__, 'load' ) );
		add_action( 'init', array( __CLASS__, 'translations' ), 0 );
	}

	/**
	 * Say to WooCommerce that orders are reached only through its own objects, and that block carts are understood.
	 */
	public static function declare_compatibility() {
		if ( ! class_exists( '\Automattic\WooCommerce\Utilities\FeaturesUtil' ) ) {
			return;
		}
		foreach ( array( 'custom_order_tables', 'cart_checkout_blocks' ) as $feature ) {
			\Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility( $feature, WC_AHLAN_FILE, true );
		}
	}

	/**
	 * Texts that came with the plugin; wordpress.org's own language packs go before them.
	 */
	public static function translations() {
		load_plugin_textdomain( 'wc-ahlan', false, dirname( plugin_basename( WC_AHLAN_FILE ) ) . '/languages' );
	}

	/**
	 * Start everything, once all plugins are there.
	 */
	public static function load() {
		if ( ! self::woocommerce() ) {
			add_action( 'admin_notices', array( __CLASS__, 'woocommerce_missing' ) );
			return;
		}
		Ahlan_Setup::hooks();
		Ahlan_Connection::hooks();
		Ahlan_Rest::hooks();
		Ahlan_Widget::hooks();
		Ahlan_Cart::hooks();
		Ahlan_Queue::hooks();
		Ahlan_Account::hooks();
		Ahlan_Help::hooks();
		Ahlan_Returns::hooks();
		Ahlan_Self_Service::hooks();
		Ahlan_Fit::hooks();
		Ahlan_Withdrawal::hooks();
		Ahlan_Privacy::hooks();
		Ahlan_Health::hooks();
		if ( is_admin() ) {
			Ahlan_Admin::hooks();
			Ahlan_Panel::hooks();
			Ahlan_Order_Box::hooks();
		}
	}

	/**
	 * Whether a WooCommerce that we understand is there.
	 *
	 * @return bool
	 */
	public static function woocommerce() {
		return class_exists( 'WooCommerce' ) && defined( 'WC_VERSION' ) && version_compare( WC_VERSION, '8.0', '>=' );
	}

	/**
	 * The one thing to say without WooCommerce.
	 */
	public static function woocommerce_missing() {
		if ( ! current_user_can( 'activate_plugins' ) ) {
			return;
		}
		printf(
			'<div class="notice notice-error"><p>%s</p></div>',
			esc_html__( 'Ahlan needs WooCommerce 8.0 or later. Install or update WooCommerce; your Ahlan settings are kept.', 'wc-ahlan' )
		);
	}
}
