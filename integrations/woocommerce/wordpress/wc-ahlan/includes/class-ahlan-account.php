<?php
/**
 * The Support tab in My Account.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A tab that opens the chat, where the shopper's conversations are. It prints nothing about the shopper.
 */
final class Ahlan_Account {

	const ENDPOINT = 'ahlan-support';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_filter( 'woocommerce_get_query_vars', array( __CLASS__, 'query_vars' ) );
		add_filter( 'woocommerce_account_menu_items', array( __CLASS__, 'menu' ) );
		add_filter( 'woocommerce_endpoint_' . self::ENDPOINT . '_title', array( __CLASS__, 'title' ) );
		add_action( 'woocommerce_account_' . self::ENDPOINT . '_endpoint', array( __CLASS__, 'show' ) );
		add_action( 'wp_enqueue_scripts', array( __CLASS__, 'assets' ), 20 );
	}

	/**
	 * Whether this page is the tab.
	 *
	 * @return bool
	 */
	public static function is_tab() {
		return self::offered() && function_exists( 'is_wc_endpoint_url' ) && is_wc_endpoint_url( self::ENDPOINT );
	}

	/**
	 * Give the tab an address, through WooCommerce, which writes its rewrite rules. It depends on the setting alone, so
	 * that the rules need not be written anew whenever a connection comes or goes.
	 *
	 * @param array<string,string> $vars Query variables.
	 * @return array<string,string>
	 */
	public static function query_vars( $vars ) {
		if ( Ahlan_Settings::all()['support_tab'] ) {
			$vars[ self::ENDPOINT ] = self::ENDPOINT;
		}
		return $vars;
	}

	/**
	 * Put the tab before "Log out".
	 *
	 * @param array<string,string> $items The tabs.
	 * @return array<string,string>
	 */
	public static function menu( $items ) {
		if ( ! self::offered() ) {
			return $items;
		}
		$last = isset( $items['customer-logout'] ) ? array( 'customer-logout' => $items['customer-logout'] ) : array();
		unset( $items['customer-logout'] );
		$items[ self::ENDPOINT ] = self::title();
		return $items + $last;
	}

	/**
	 * The name of the tab.
	 *
	 * @return string
	 */
	public static function title() {
		return __( 'Support', 'wc-ahlan' );
	}

	/**
	 * What the tab shows. Without the chat it says how else to write.
	 */
	public static function show() {
		$email = (string) get_option( 'woocommerce_email_from_address' );
		echo '<p>' . esc_html__( 'Ask about an order, return something or go on with an earlier conversation. You stay on this page.', 'wc-ahlan' ) . '</p>'
			. '<p><button type="button" class="button wp-element-button" data-ahlan-open hidden>' . esc_html__( 'Open the chat', 'wc-ahlan' ) . '</button></p>'
			. '<p data-ahlan-away>';
		if ( is_email( $email ) ) {
			printf(
				/* translators: %s: an e-mail address. */
				esc_html__( 'You can also write to %s.', 'wc-ahlan' ),
				'<a dir="ltr" href="' . esc_url( 'mailto:' . $email ) . '">' . esc_html( $email ) . '</a>'
			);
		}
		echo '</p>';
	}

	/**
	 * The few lines that open the chat.
	 */
	public static function assets() {
		if ( self::is_tab() ) {
			wp_enqueue_script( 'wc-ahlan-account', plugins_url( 'assets/account.js', WC_AHLAN_FILE ), array(), WC_AHLAN_VERSION, true );
		}
	}

	/**
	 * Whether there is a tab at all.
	 *
	 * @return bool
	 */
	private static function offered() {
		$settings = Ahlan_Settings::all();
		return $settings['support_tab'] && $settings['widget'] && null !== Ahlan_Connection::current();
	}
}
