<?php
/**
 * The agents' panel inside wp-admin.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A frame of Ahlan's, which asks this page for a token by postMessage; the token never is in an address.
 */
final class Ahlan_Panel {

	const PAGE = 'wc-ahlan';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'admin_enqueue_scripts', array( __CLASS__, 'assets' ) );
		add_action( 'wp_ajax_wc_ahlan_token', array( __CLASS__, 'token' ) );
	}

	/**
	 * The page: the panel, or the settings while there is nothing to show in it.
	 */
	public static function page() {
		if ( ! current_user_can( Ahlan_Admin::RIGHT ) ) {
			return;
		}
		if ( null === Ahlan_Connection::current() ) {
			Ahlan_Admin::page();
			return;
		}
		echo '<div id="wc-ahlan-panel"><h1 class="screen-reader-text">' . esc_html__( 'Ahlan: conversations', 'wc-ahlan' ) . '</h1>'
			. '<p class="wc-ahlan-wait" role="status">' . esc_html__( 'Opening…', 'wc-ahlan' ) . '</p>'
			. '<noscript><p>' . esc_html__( 'Switch on JavaScript to see the conversations here.', 'wc-ahlan' ) . '</p></noscript></div>';
	}

	/**
	 * The script that makes the frame and hands tokens to it. Made by script: browsers bring a written frame back to
	 * where it was, and there it has no token.
	 *
	 * @param string $hook The page.
	 */
	public static function assets( $hook ) {
		$connection = 'toplevel_page_' . self::PAGE === $hook ? Ahlan_Connection::current() : null;
		if ( null === $connection ) {
			return;
		}
		// phpcs:ignore WordPress.Security.NonceVerification.Recommended -- names a page to open, changes nothing.
		$to     = isset( $_GET['to'] ) ? sanitize_text_field( wp_unslash( $_GET['to'] ) ) : '';
		$to     = preg_match( '~\A[a-z0-9/-]{0,100}\z~', $to ) ? $to : '';
		$parts  = wp_parse_url( $connection['server'] );
		$config = array(
			'frame'  => $connection['server'] . '/plugin/woocommerce/frame?' . http_build_query(
				array(
					'store' => $connection['public_key'],
					'to'    => $to,
				)
			),
			'origin' => $parts['scheme'] . '://' . $parts['host'] . ( isset( $parts['port'] ) ? ':' . $parts['port'] : '' ),
			'ajax'   => admin_url( 'admin-ajax.php' ),
			'nonce'  => wp_create_nonce( 'wc_ahlan_token' ),
			'title'  => __( 'Ahlan: conversations', 'wc-ahlan' ),
			'away'   => __( 'Ahlan does not answer at the moment. Nothing is lost; reload this page in a minute.', 'wc-ahlan' ),
			'stale'  => __( 'This page stood open for too long. Reload it.', 'wc-ahlan' ),
		);
		wp_enqueue_script( 'wc-ahlan-panel', plugins_url( 'assets/panel.js', WC_AHLAN_FILE ), array(), WC_AHLAN_VERSION, true );
		wp_add_inline_script( 'wc-ahlan-panel', 'window.wcAhlanPanel = ' . wp_json_encode( $config, JSON_HEX_TAG | JSON_HEX_AMP ) . ';', 'before' );
	}

	/**
	 * A token of a minute for whoever is signed in here.
	 */
	public static function token() {
		nocache_headers();
		if ( ! check_ajax_referer( 'wc_ahlan_token', false, false ) ) {
			wp_send_json_error( 'stale', 403 );
		}
		$token = Ahlan_Identity::agent( wp_get_current_user() );
		if ( '' === $token ) {
			wp_send_json_error( 'forbidden', 403 );
		}
		wp_send_json_success( $token );
	}
}
