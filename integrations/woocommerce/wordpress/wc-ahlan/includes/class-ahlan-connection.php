<?php
/**
 * Whether, with which Ahlan and as which store this site is connected.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * The connection that Ahlan delivered. Its public part is read on every page, the secret only where something is signed.
 */
final class Ahlan_Connection {

	const OPTION = 'wc_ahlan_connection';
	const SECRET = 'wc_ahlan_secret';
	const SERVER = 'wc_ahlan_server';

	/**
	 * Where Ahlan lives, without a slash at its end; empty when nobody said.
	 *
	 * @return string
	 */
	public static function server() {
		$server = '' !== WC_AHLAN_SERVER ? WC_AHLAN_SERVER : (string) get_option( self::SERVER, '' );
		/**
		 * The address of the Ahlan that the Connect button goes to.
		 *
		 * @param string $server Address with scheme, without a slash at its end.
		 */
		return untrailingslashit( (string) apply_filters( 'wc_ahlan_server', $server ) );
	}

	/**
	 * The address of this site. The stored one: language plugins filter `home_url` by the language of the page.
	 *
	 * @return string Without a slash at its end.
	 */
	public static function site() {
		return untrailingslashit( (string) get_option( 'home' ) );
	}

	/**
	 * What Ahlan delivered, also on a copy of the site: store_id, public_key, server, site, key_id, since. Null: nothing.
	 *
	 * @return array<string,mixed>|null
	 */
	public static function stored() {
		$stored = get_option( self::OPTION );
		if ( ! is_array( $stored ) || empty( $stored['store_id'] ) ) {
			return null;
		}
		$stored['site'] = strrev( (string) $stored['site'] );
		return $stored;
	}

	/**
	 * The connection if it is good here: null on a copy at another address, which must not speak in the shop's name.
	 *
	 * @return array<string,mixed>|null
	 */
	public static function current() {
		$stored = self::stored();
		return null !== $stored && self::same( $stored['site'], self::site() ) ? $stored : null;
	}

	/**
	 * Where WooCommerce's webhooks of the connection lead.
	 *
	 * @param array<string,mixed> $stored The connection.
	 * @return string
	 */
	public static function deliveries( array $stored ) {
		return $stored['server'] . '/webhooks/woocommerce/' . $stored['store_id'];
	}

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_filter( 'woocommerce_webhook_should_deliver', array( __CLASS__, 'may_deliver' ), 10, 2 );
	}

	/**
	 * A copy of the shop has copies of its webhooks and of their secrets: what is tried out there is no news of the shop.
	 *
	 * @param bool       $may     What WooCommerce thought.
	 * @param WC_Webhook $webhook The webhook.
	 * @return bool
	 */
	public static function may_deliver( $may, $webhook ) {
		return $may && ! ( self::cloned() && $webhook->get_delivery_url() === self::deliveries( self::stored() ) );
	}

	/**
	 * Whether this is a copy of the site that was connected, or that site at a new address.
	 *
	 * @return bool
	 */
	public static function cloned() {
		return null !== self::stored() && null === self::current();
	}

	/**
	 * The pairing secret; empty when there is none.
	 *
	 * @return string
	 */
	public static function secret() {
		return (string) get_option( self::SECRET, '' );
	}

	/**
	 * Whether two addresses name one site. The scheme does not count: half of all sites write http and answer https.
	 *
	 * @param string $one   Address.
	 * @param string $other Address.
	 * @return bool
	 */
	public static function same( $one, $other ) {
		return '' !== self::plain( $one ) && self::plain( $one ) === self::plain( $other );
	}

	/**
	 * Keep what Ahlan delivered.
	 *
	 * @param array<string,string> $given  store_id, public_key, secret, server, site.
	 * @param int                  $key_id The WooCommerce key that it came with; 0 when unknown.
	 */
	public static function keep( array $given, $key_id ) {
		update_option( self::SECRET, $given['secret'], false );
		update_option(
			self::OPTION,
			array(
				'store_id'   => $given['store_id'],
				'public_key' => $given['public_key'],
				'server'     => untrailingslashit( $given['server'] ),
				// Backwards: tools that copy a site replace its address wherever they find it, and would hide the copy.
				'site'       => strrev( untrailingslashit( $given['site'] ) ),
				'key_id'     => $key_id,
				'since'      => time(),
			),
			true
		);
		delete_transient( 'wc_ahlan_state' );
		delete_transient( Ahlan_Server::PAUSE );
	}

	/**
	 * Take the secret that followed.
	 *
	 * @param string $secret The new secret.
	 */
	public static function renew( $secret ) {
		update_option( self::SECRET, $secret, false );
	}

	/**
	 * Forget the connection and what waits to be sent.
	 */
	public static function forget() {
		delete_option( self::OPTION );
		delete_option( self::SECRET );
		delete_option( 'wc_ahlan_nonce' );
		delete_transient( 'wc_ahlan_state' );
		Ahlan_Queue::clear();
	}

	/**
	 * An address without what does not tell sites apart.
	 *
	 * @param string $url Address.
	 * @return string Host, port and path.
	 */
	private static function plain( $url ) {
		$parts = wp_parse_url( strtolower( untrailingslashit( $url ) ) );
		if ( empty( $parts['host'] ) ) {
			return '';
		}
		$host = $parts['host'];
		if ( preg_match( '/[^\x20-\x7e]/', $host ) && function_exists( 'idn_to_ascii' ) ) {
			$ascii = idn_to_ascii( $host );
			$host  = false === $ascii ? $host : $ascii;
		}
		$port = isset( $parts['port'] ) && ! in_array( $parts['port'], array( 80, 443 ), true ) ? ':' . $parts['port'] : '';
		return $host . $port . ( isset( $parts['path'] ) ? $parts['path'] : '' );
	}
}
