<?php
/**
 * The routes below /wp-json/wc-ahlan/v1.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Who may call what: WooCommerce keys and this button's nonce pair, Ahlan's signature asks and rotates, the shop's own
 * pages ask who shops.
 */
final class Ahlan_Rest {

	const SPACE = 'wc-ahlan/v1';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'rest_api_init', array( __CLASS__, 'register' ) );
		add_filter( 'rest_jsonp_enabled', array( __CLASS__, 'jsonp' ) );
		add_filter( 'rest_pre_serve_request', array( __CLASS__, 'close' ), PHP_INT_MAX, 3 );
	}

	/**
	 * The address of the identity route, as the widget asks it: path only, so that it is always this very origin.
	 *
	 * @return string
	 */
	public static function identity_path() {
		return (string) wp_make_link_relative( rest_url( self::SPACE . '/identity' ) );
	}

	/**
	 * Register the routes. Arguments are checked by the verbs, which answer with the codes of the protocol.
	 */
	public static function register() {
		$routes = array(
			array( '/pair', 'POST', 'pair', 'may_pair' ),
			array( '/pair', 'DELETE', 'forget', 'signed' ),
			array( '/status', 'GET', 'status', 'signed' ),
			array( '/rotate', 'POST', 'rotate', 'signed' ),
			array( '/identity', 'GET', 'identity', 'own_origin' ),
		);
		foreach ( $routes as list( $path, $method, $verb, $permission ) ) {
			register_rest_route(
				self::SPACE,
				$path,
				array(
					'methods'             => $method,
					'callback'            => array( __CLASS__, $verb ),
					'permission_callback' => array( __CLASS__, $permission ),
					'show_in_index'       => false,
				)
			);
		}
	}

	/**
	 * POST pair.
	 *
	 * @param WP_REST_Request $request The request.
	 * @return WP_REST_Response|WP_Error
	 */
	public static function pair( WP_REST_Request $request ) {
		return rest_ensure_response( Ahlan_Pairing::pair( (array) $request->get_json_params() ) );
	}

	/**
	 * DELETE pair.
	 *
	 * @return WP_REST_Response|WP_Error
	 */
	public static function forget() {
		return rest_ensure_response( Ahlan_Pairing::forget() );
	}

	/**
	 * GET status.
	 *
	 * @return WP_REST_Response|WP_Error
	 */
	public static function status() {
		return rest_ensure_response( Ahlan_Pairing::status() );
	}

	/**
	 * POST rotate. Not on a copy: the secret belongs to the site that was connected.
	 *
	 * @param WP_REST_Request $request The request.
	 * @return WP_REST_Response|WP_Error
	 */
	public static function rotate( WP_REST_Request $request ) {
		if ( Ahlan_Connection::cloned() ) {
			return new WP_Error(
				'ahlan_site_mismatch',
				__( 'This site has another address than the one that was connected.', 'wc-ahlan' ),
				array( 'status' => 409 )
			);
		}
		$given = (array) $request->get_json_params();
		return rest_ensure_response( Ahlan_Pairing::rotate( $given['salt'] ?? null ) );
	}

	/**
	 * GET identity: 204 for strangers.
	 *
	 * @return WP_REST_Response
	 */
	public static function identity() {
		$token = Ahlan_Identity::shopper();
		return '' === $token
			? new WP_REST_Response( null, 204 )
			: new WP_REST_Response( array( 'token' => $token ), 200 );
	}

	/**
	 * Whoever comes with WooCommerce keys of somebody who may manage the shop.
	 *
	 * @return true|WP_Error
	 */
	public static function may_pair() {
		if ( current_user_can( 'manage_woocommerce' ) ) {
			return true;
		}
		return new WP_Error(
			'rest_forbidden',
			__( 'Sorry, you are not allowed to do that.', 'wc-ahlan' ),
			array( 'status' => rest_authorization_required_code() )
		);
	}

	/**
	 * Whoever holds the pairing secret, once per nonce.
	 *
	 * @param WP_REST_Request $request The request.
	 * @return true|WP_Error
	 */
	public static function signed( WP_REST_Request $request ) {
		$secret = Ahlan_Connection::secret();
		if ( null === Ahlan_Connection::stored() || '' === Ahlan_Signer::bytes( $secret ) ) {
			return new WP_Error( 'ahlan_not_paired', __( 'This site is not connected to Ahlan.', 'wc-ahlan' ), array( 'status' => 403 ) );
		}
		$headers = array();
		foreach ( array( 'timestamp', 'nonce', 'signature' ) as $name ) {
			$headers[ $name ] = (string) $request->get_header( 'x-ahlan-' . $name );
		}
		// As it came over the wire: that is what was signed. It is compared, never shown and never stored.
		// phpcs:ignore WordPress.Security.ValidatedSanitizedInput.InputNotSanitized
		$path    = isset( $_SERVER['REQUEST_URI'] ) ? wp_unslash( $_SERVER['REQUEST_URI'] ) : '';
		$path    = (string) preg_replace( '~\Ahttps?://[^/]+~', '', $path );
		$problem = Ahlan_Signer::problem( $secret, $request->get_method(), $path, $headers, (string) $request->get_body(), Ahlan_Clock::now() );
		if ( '' === $problem && ! self::first_time( $headers['nonce'] ) ) {
			return new WP_Error( 'ahlan_replayed', __( 'This request was seen before.', 'wc-ahlan' ), array( 'status' => 401 ) );
		}
		if ( '' !== $problem ) {
			return new WP_Error( 'ahlan_' . $problem, __( 'This request is not signed as it must be.', 'wc-ahlan' ), array( 'status' => 401 ) );
		}
		return true;
	}

	/**
	 * The shop's own pages: WordPress would let any origin read the answer, so a foreign one is refused.
	 *
	 * @param WP_REST_Request $request The request.
	 * @return true|WP_Error
	 */
	public static function own_origin( WP_REST_Request $request ) {
		$origin = (string) $request->get_header( 'origin' );
		$fetch  = (string) $request->get_header( 'sec-fetch-site' );
		if ( ( '' === $origin || in_array( $origin, self::origins(), true ) ) && in_array( $fetch, array( '', 'same-origin', 'none' ), true ) ) {
			return true;
		}
		return new WP_Error(
			'ahlan_foreign_origin',
			__( 'This is only for the shop\'s own pages.', 'wc-ahlan' ),
			array( 'status' => 403 )
		);
	}

	/**
	 * No answer of ours as a script: a page elsewhere could load that with the shopper's cookies, and CORS does not hold
	 * for scripts.
	 *
	 * @param bool $enabled What WordPress thought.
	 * @return bool
	 */
	public static function jsonp( $enabled ) {
		$route = isset( $GLOBALS['wp']->query_vars['rest_route'] ) ? (string) $GLOBALS['wp']->query_vars['rest_route'] : '';
		return self::ours( $route ) ? false : $enabled;
	}

	/**
	 * Last word on the headers of our routes: read by nobody else, kept by nobody.
	 *
	 * @param bool             $served  Whether the answer was written already.
	 * @param WP_HTTP_Response $result  The answer.
	 * @param WP_REST_Request  $request The request.
	 * @return bool
	 */
	public static function close( $served, $result, $request ) {
		if ( ! self::ours( $request->get_route() ) || headers_sent() ) {
			return $served;
		}
		foreach ( array( 'Origin', 'Methods', 'Credentials' ) as $name ) {
			header_remove( 'Access-Control-Allow-' . $name );
		}
		header( 'Cache-Control: no-store, private' );
		header( 'Vary: Cookie, Origin' );
		header( 'X-Content-Type-Options: nosniff' );
		if ( ! defined( 'DONOTCACHEPAGE' ) ) {
			// phpcs:ignore WordPress.NamingConventions.PrefixAllGlobals.NonPrefixedConstantFound -- what page caches agreed on.
			define( 'DONOTCACHEPAGE', true );
		}
		return $served;
	}

	/**
	 * Whether a route is one of ours.
	 *
	 * @param string $route Route, with or without a slash before it.
	 * @return bool
	 */
	private static function ours( $route ) {
		return 0 === strpos( ltrim( strtolower( $route ), '/' ), self::SPACE . '/' );
	}

	/**
	 * The origins of this site: of its pages and of its admin.
	 *
	 * @return string[]
	 */
	private static function origins() {
		$origins = array();
		foreach ( array( home_url(), Ahlan_Connection::site(), site_url() ) as $url ) {
			$parts = wp_parse_url( $url );
			if ( ! empty( $parts['host'] ) ) {
				$scheme    = is_ssl() ? 'https' : $parts['scheme'];
				$origins[] = strtolower( $scheme . '://' . $parts['host'] . ( isset( $parts['port'] ) ? ':' . $parts['port'] : '' ) );
			}
		}
		return $origins;
	}

	/**
	 * Note a nonce. The insert decides, so that of two at once one is refused.
	 *
	 * @param string $nonce A nonce of the right form.
	 * @return bool False when it was seen before.
	 */
	private static function first_time( $nonce ) {
		global $wpdb;
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$now = time();
		$wpdb->query( $wpdb->prepare( "DELETE FROM {$wpdb->prefix}wc_ahlan_nonces WHERE until < %d", $now ) );
		$until = $now + 2 * Ahlan_Signer::REQUEST_LIFETIME + 60;
		return 1 === (int) $wpdb->query( $wpdb->prepare( "INSERT IGNORE INTO {$wpdb->prefix}wc_ahlan_nonces (nonce, until) VALUES (%s, %d)", $nonce, $until ) );
		// phpcs:enable
	}
}
