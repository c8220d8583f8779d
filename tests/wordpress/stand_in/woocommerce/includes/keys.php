<?php
/**
 * API keys: they open REST namespaces that begin with wc/ or wc-, over https, and nothing else.
 */

class WC_REST_Authentication {
	private $key;
	private $error;

	public function __construct() {
		add_filter( 'determine_current_user', array( $this, 'authenticate' ), 15 );
		add_filter( 'rest_authentication_errors', array( $this, 'check_authentication_error' ), 15 );
		add_filter( 'rest_pre_dispatch', array( $this, 'check_user_permissions' ), 10, 3 );
	}

	private function is_request_to_rest_api() {
		$uri    = esc_url_raw( wp_unslash( $_SERVER['REQUEST_URI'] ?? '' ) );
		$prefix = trailingslashit( rest_get_url_prefix() );
		$ours   = false !== strpos( $uri, $prefix . 'wc/' );
		$others = false !== strpos( $uri, $prefix . 'wc-' );
		return apply_filters( 'woocommerce_rest_is_request_to_rest_api', $ours || $others );
	}

	private function given() {
		if ( ! empty( $_GET['consumer_key'] ) && ! empty( $_GET['consumer_secret'] ) ) { // phpcs:ignore
			return array( $_GET['consumer_key'], $_GET['consumer_secret'] ); // phpcs:ignore
		}
		if ( ! empty( $_SERVER['PHP_AUTH_USER'] ) ) {
			return array( $_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'] );
		}
		$header = $_SERVER['HTTP_AUTHORIZATION'] ?? '';
		return 0 === stripos( $header, 'basic ' ) ? explode( ':', base64_decode( substr( $header, 6 ) ), 2 ) : null; // phpcs:ignore
	}

	public function authenticate( $user_id ) {
		global $wpdb;
		if ( $user_id || ! $this->is_request_to_rest_api() || ! is_ssl() ) {
			return $user_id;
		}
		$given = $this->given();
		if ( ! $given || 2 !== count( $given ) ) {
			return false;
		}
		$key = $wpdb->get_row( $wpdb->prepare( "SELECT * FROM {$wpdb->prefix}woocommerce_api_keys WHERE consumer_key = %s", wc_api_hash( sanitize_text_field( $given[0] ) ) ) );
		if ( ! $key ) {
			return false;
		}
		if ( ! hash_equals( $key->consumer_secret, $given[1] ) ) {
			$this->error = new WP_Error( 'woocommerce_rest_authentication_error', 'Consumer secret is invalid.', array( 'status' => 401 ) );
			return false;
		}
		$this->key = $key;
		return (int) $key->user_id;
	}

	public function check_authentication_error( $error ) {
		return empty( $error ) ? $this->error : $error;
	}

	public function check_user_permissions( $result, $server, $request ) {
		if ( $this->key ) {
			$writes = ! in_array( $request->get_method(), array( 'GET', 'HEAD', 'OPTIONS' ), true );
			if ( $writes ? 'read' === $this->key->permissions : 'write' === $this->key->permissions ) {
				$what = $writes ? 'write' : 'read';
				return new WP_Error( 'woocommerce_rest_authentication_error', "The API key provided does not have $what permissions.", array( 'status' => 401 ) );
			}
		}
		return $result;
	}
}

new WC_REST_Authentication();
