<?php
/**
 * Plugin Name:          Ahlan: chat and support for WooCommerce
 * Description:          A small chat for your storefront, with each shopper's orders, carts and returns beside the conversation. Arabic, Hebrew and English first.
 * Version:              0.1.0
 * Requires at least:    6.2
 * Requires PHP:         7.4
 * Requires Plugins:     woocommerce
 * WC requires at least: 8.0
 * WC tested up to:      11.0
 * Author:               Ahlan
 * License:              GPL-2.0-or-later
 * License URI:          https://www.gnu.org/licenses/gpl-2.0.html
 * Text Domain:          wc-ahlan
 * Domain Path:          /languages
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

if ( defined( 'WC_AHLAN_VERSION' ) ) {
	return;
}

define( 'WC_AHLAN_VERSION', '0.1.0' );
define( 'WC_AHLAN_FILE', __FILE__ );
define( 'WC_AHLAN_DIR', plugin_dir_path( __FILE__ ) );

if ( ! defined( 'WC_AHLAN_SERVER' ) ) {
	// Where Ahlan lives. Whoever builds the plugin for their own Ahlan fills this in; empty: the settings page asks.
	define( 'WC_AHLAN_SERVER', '' );
}

/**
 * Load a class of this plugin from its own file.
 *
 * @param string $name Class name.
 */
function wc_ahlan_autoload( $name ) {
	if ( 0 !== strpos( $name, 'Ahlan_' ) ) {
		return;
	}
	$file = WC_AHLAN_DIR . 'includes/class-' . strtolower( str_replace( '_', '-', $name ) ) . '.php';
	if ( is_readable( $file ) ) {
		require_once $file;
	}
}
spl_autoload_register( 'wc_ahlan_autoload' );

register_activation_hook( __FILE__, array( 'Ahlan_Setup', 'activate' ) );
register_deactivation_hook( __FILE__, array( 'Ahlan_Setup', 'deactivate' ) );

Ahlan_Plugin::run();
