<?php
/**
 * Who shops, signed in or not: a row behind a cookie.
 */

class WC_Session_Handler {
	private $cookie;
	private $id      = '';
	private $data    = array();
	private $changed = false;
	private $has     = false;

	public function __construct() {
		$this->cookie = apply_filters( 'woocommerce_cookie', 'wp_woocommerce_session_' . COOKIEHASH );
	}

	public function init() {
		$given = $this->get_session_cookie();
		$this->id = is_user_logged_in() ? (string) get_current_user_id() : ( $given ? $given[0] : $this->generate_customer_id() );
		$this->has = (bool) $given;
		if ( $given && is_user_logged_in() && $given[0] !== $this->id ) {
			// Somebody signed in: what they chose as a guest comes along.
			$this->data    = $this->read( $given[0] );
			$this->changed = true;
			$this->remove( $given[0] );
			$this->set_customer_session_cookie( true );
			do_action( 'woocommerce_guest_session_to_user_id', $given[0], $this->id );
		} else {
			$this->data = $this->read( $this->id );
			$this->has  = $this->has || $this->data;
		}
		add_action( 'woocommerce_set_cart_cookies', array( $this, 'set_customer_session_cookie' ), 10 );
		add_action( 'shutdown', array( $this, 'save_data' ), 20 );
		add_action( 'wp_logout', array( $this, 'destroy_session' ) );
	}

	public function generate_customer_id() {
		return is_user_logged_in() ? (string) get_current_user_id() : 't_' . bin2hex( random_bytes( 15 ) );
	}

	public function get_customer_id() {
		return $this->id;
	}

	public function get_customer_unique_id() {
		return is_user_logged_in() ? (string) get_current_user_id() : $this->id;
	}

	public function has_session() {
		return $this->has || is_user_logged_in();
	}

	public function get_session_cookie() {
		$parts = explode( '|', wp_unslash( $_COOKIE[ $this->cookie ] ?? '' ) );
		if ( 3 !== count( $parts ) || $parts[1] < time() ) {
			return false;
		}
		return hash_equals( hash_hmac( 'md5', "$parts[0]|$parts[1]", wp_hash( "$parts[0]|$parts[1]" ) ), $parts[2] ) ? $parts : false;
	}

	public function set_customer_session_cookie( $set ) {
		if ( ! $set || headers_sent() ) {
			return;
		}
		$until = time() + 2 * DAY_IN_SECONDS;
		$value = "$this->id|$until|" . hash_hmac( 'md5', "$this->id|$until", wp_hash( "$this->id|$until" ) );
		setcookie( $this->cookie, $value, $until, COOKIEPATH ? COOKIEPATH : '/', COOKIE_DOMAIN, is_ssl(), true );
		$this->has = true;
	}

	public function get( $key, $default = null ) {
		return isset( $this->data[ $key ] ) ? maybe_unserialize( $this->data[ $key ] ) : $default;
	}

	public function set( $key, $value ) {
		if ( $value !== $this->get( $key ) ) {
			$this->data[ sanitize_key( $key ) ] = maybe_serialize( $value );
			$this->changed                      = true;
		}
	}

	public function __get( $key ) {
		return $this->get( $key );
	}

	public function __set( $key, $value ) {
		$this->set( $key, $value );
	}

	public function __isset( $key ) {
		return isset( $this->data[ $key ] );
	}

	public function save_data() {
		global $wpdb;
		if ( $this->changed && $this->has_session() ) {
			$row = array(
				'session_key'    => $this->id,
				'session_value'  => maybe_serialize( $this->data ),
				'session_expiry' => time() + 2 * DAY_IN_SECONDS,
			);
			$wpdb->replace( "{$wpdb->prefix}woocommerce_sessions", $row );
			$this->changed = false;
		}
	}

	public function destroy_session() {
		$this->remove( $this->id );
		$this->data    = array();
		$this->changed = false;
	}

	private function read( $id ) {
		global $wpdb;
		$found = $wpdb->get_var( $wpdb->prepare( "SELECT session_value FROM {$wpdb->prefix}woocommerce_sessions WHERE session_key = %s", $id ) );
		return $found ? (array) maybe_unserialize( $found ) : array();
	}

	private function remove( $id ) {
		global $wpdb;
		$wpdb->delete( "{$wpdb->prefix}woocommerce_sessions", array( 'session_key' => $id ) );
	}
}
