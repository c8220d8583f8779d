<?php
/**
 * Plugin Name: WooCommerce
 * Description: A stand-in for WooCommerce in the tests of our plugin: the hooks, functions, routes and screens that it meets.
 * Version: 11.0.1
 * Requires at least: 6.2
 * Requires PHP: 7.4
 *
 * Written for this project from WooCommerce's documented behaviour (docs/platforms.md, part B); none of its code is here.
 * The same as a complete WooCommerce 11: names and order of cart, checkout, Store API and account hooks; when WC()->cart
 * and WC()->session exist; API keys (namespaces that begin with wc/ or wc-, Basic or query over https, 401 for the rest);
 * wc-auth with its checks, callback before redirect, exactly 200; webhooks with ping, signature, coalesced bodies;
 * feature declarations; the order screen of HPOS; coming-soon mode; Action Scheduler on WordPress's cron.
 * What differs: one simple product type with flat prices, no taxes, shipping or stock; one payment method that takes
 * nothing; orders and sessions in tables of fewer columns; REST objects carry the fields that are read; blocks are drawn
 * by the server, without WooCommerce's scripts; a failed webhook is not counted; OAuth 1.0a over http is refused; hosts
 * below localhost count as public; no admin screens but the orders.
 *
 * @package ahlan-tests
 */

defined( 'ABSPATH' ) || exit;

define( 'WC_VERSION', '11.0.1' );
define( 'WOOCOMMERCE_VERSION', WC_VERSION );
define( 'WC_PLUGIN_FILE', __FILE__ );
define( 'WC_ABSPATH', __DIR__ . '/' );

require __DIR__ . '/includes/features.php';
require __DIR__ . '/includes/functions.php';
require __DIR__ . '/includes/session.php';
require __DIR__ . '/includes/cart.php';
require __DIR__ . '/includes/orders.php';
require __DIR__ . '/includes/shop.php';
require __DIR__ . '/includes/keys.php';
require __DIR__ . '/includes/auth.php';
require __DIR__ . '/includes/webhooks.php';
require __DIR__ . '/includes/rest.php';
require __DIR__ . '/includes/store-api.php';
require __DIR__ . '/includes/admin.php';
if ( ! defined( 'TESTS_NO_ACTION_SCHEDULER' ) ) {
	require __DIR__ . '/includes/action-scheduler.php';
}

final class WooCommerce {
	public $version = WC_VERSION;
	public $session;
	public $cart;
	public $customer;
	public $countries;
	private static $instance;

	public static function instance() {
		if ( ! self::$instance ) {
			self::$instance = new self();
		}
		return self::$instance;
	}

	private function __construct() {
		add_action( 'plugins_loaded', array( $this, 'loaded' ), -1 );
		add_action( 'init', array( $this, 'init' ), 0 );
	}

	public function loaded() {
		do_action( 'woocommerce_loaded' );
	}

	public function init() {
		do_action( 'before_woocommerce_init' );
		$this->countries = new WC_Countries();
		wc_standin_register();
		// As in WooCommerce: carts exist in the storefront only; the REST API, wp-admin and cron have none by themselves.
		if ( wc_standin_is_frontend() ) {
			wc_load_cart();
		}
		do_action( 'woocommerce_init' );
	}

	public function initialize_session() {
		if ( ! $this->session ) {
			$this->session = new WC_Session_Handler();
			$this->session->init();
		}
	}

	public function initialize_cart() {
		if ( ! $this->customer ) {
			$this->customer = new WC_Customer( get_current_user_id() );
		}
		if ( ! $this->cart ) {
			$this->cart = new WC_Cart();
		}
	}

	public function is_rest_api_request() {
		return false !== strpos( $_SERVER['REQUEST_URI'] ?? '', trailingslashit( rest_get_url_prefix() ) );
	}

	public function api_request_url( $request ) {
		return home_url( '/wc-api/' . $request . '/' );
	}

	public function plugin_path() {
		return untrailingslashit( __DIR__ );
	}
}

function WC() {
	return WooCommerce::instance();
}

$GLOBALS['woocommerce'] = WC();

register_activation_hook( __FILE__, 'wc_standin_install' );

/**
 * Which countries the shop sells to: all of those that it knows, or those of its setting, as WooCommerce's own class says.
 */
final class WC_Countries {

	public function get_allowed_countries() {
		$all = array_fill_keys( array( 'AE', 'DE', 'FR', 'IL', 'JO', 'SA', 'US' ), '' );
		if ( 'specific' !== get_option( 'woocommerce_allowed_countries' ) ) {
			return $all;
		}
		return array_intersect_key( $all, array_flip( (array) get_option( 'woocommerce_specific_allowed_countries', array() ) ) );
	}
}
