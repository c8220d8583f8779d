<?php
/**
 * From the Connect button to the secret, and its rotation.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * The plugin's half of docs/woocommerce-plugin-protocol.md, "Pairing" and "Keys". Errors are WP_Error with its codes.
 */
final class Ahlan_Pairing {

	const NONCE          = 'wc_ahlan_nonce';
	const NONCE_LIFETIME = 900;

	/**
	 * Where the Connect button leads: a fresh one-time nonce, of which the site keeps only the hash.
	 *
	 * @return string
	 */
	public static function connect_url() {
		$nonce = Ahlan_Signer::nonce();
		update_option(
			self::NONCE,
			array(
				'hash'  => hash( 'sha256', $nonce ),
				'until' => time() + self::NONCE_LIFETIME,
			),
			false
		);
		$query = array(
			'site'   => Ahlan_Connection::site(),
			'nonce'  => $nonce,
			'locale' => get_user_locale(),
			'plugin' => WC_AHLAN_VERSION,
		);
		return Ahlan_Connection::server() . '/install/woocommerce?' . http_build_query( $query, '', '&', PHP_QUERY_RFC3986 );
	}

	/**
	 * Take the secret from whoever holds this button's nonce, once.
	 *
	 * @param array<string,mixed> $given The body: nonce, site, store_id, public_key, secret, server.
	 * @return array<string,mixed>|WP_Error
	 */
	public static function pair( array $given ) {
		$kept = get_option( self::NONCE );
		$hash = hash( 'sha256', isset( $given['nonce'] ) && is_string( $given['nonce'] ) ? $given['nonce'] : '' );
		if ( ! is_array( $kept ) || $kept['until'] < time() || ! hash_equals( $kept['hash'], $hash ) ) {
			return self::nonce_invalid();
		}
		if ( ! is_string( $given['site'] ?? null ) || ! Ahlan_Connection::same( $given['site'], Ahlan_Connection::site() ) ) {
			return new WP_Error(
				'ahlan_site_mismatch',
				__( 'This site has another address than the one that was connected.', 'wc-ahlan' ),
				array( 'status' => 409 )
			);
		}
		$wrong = self::malformed( $given );
		if ( '' !== $wrong ) {
			/* translators: %s: names of parameters. */
			return new WP_Error( 'rest_invalid_param', sprintf( __( 'Invalid parameter(s): %s', 'wc-ahlan' ), $wrong ), array( 'status' => 400 ) );
		}
		// Whoever deletes the row has it: of two at once, one.
		if ( ! delete_option( self::NONCE ) ) {
			return self::nonce_invalid();
		}
		Ahlan_Connection::keep( $given, self::key_in_use() );
		return self::status();
	}

	/**
	 * What Ahlan may ask: the real state of the storefront.
	 *
	 * @return array<string,mixed>
	 */
	public static function status() {
		$current = Ahlan_Connection::current();
		return array(
			'paired'      => null !== Ahlan_Connection::stored(),
			// Said as it was delivered while it is the same site: Ahlan compares the text.
			'site'        => null !== $current ? $current['site'] : Ahlan_Connection::site(),
			'version'     => WC_AHLAN_VERSION,
			'widget'      => Ahlan_Widget::enabled(),
			'coming_soon' => Ahlan_Health::coming_soon(),
			'returns'     => Ahlan_Pages::returns(),
			'origins'     => Ahlan_Pages::origins(),
		);
	}

	/**
	 * Derive the new secret and use it from this answer on.
	 *
	 * @param mixed $salt What Ahlan sent.
	 * @return array<string,mixed>|WP_Error
	 */
	public static function rotate( $salt ) {
		if ( '' === Ahlan_Signer::bytes( $salt ) ) {
			/* translators: %s: names of parameters. */
			return new WP_Error( 'rest_invalid_param', sprintf( __( 'Invalid parameter(s): %s', 'wc-ahlan' ), 'salt' ), array( 'status' => 400 ) );
		}
		Ahlan_Connection::renew( Ahlan_Signer::renewed( Ahlan_Connection::secret(), $salt ) );
		return self::status();
	}

	/**
	 * Ahlan ended the connection.
	 *
	 * @return array<string,mixed>
	 */
	public static function forget() {
		Ahlan_Connection::forget();
		return self::status();
	}

	/**
	 * The names of what is not as it must be.
	 *
	 * @param array<string,mixed> $given The body.
	 * @return string Empty when all is well.
	 */
	private static function malformed( array $given ) {
		$forms = array(
			'store_id'   => '/\A[0-9a-fA-F-]{32,36}\z/',
			'public_key' => '/\Ast_[A-Za-z0-9_-]{10,60}\z/',
			'secret'     => '/\A[A-Za-z0-9_-]{43}\z/',
			'server'     => '~\Ahttps?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._\~-]+)*/?\z~',
		);
		$wrong = array();
		foreach ( $forms as $name => $form ) {
			if ( ! isset( $given[ $name ] ) || ! is_string( $given[ $name ] ) || ! preg_match( $form, $given[ $name ] ) ) {
				$wrong[] = $name;
			}
		}
		return implode( ', ', $wrong );
	}

	/**
	 * The refusal that tells a guesser nothing.
	 *
	 * @return WP_Error
	 */
	private static function nonce_invalid() {
		return new WP_Error(
			'ahlan_nonce_invalid',
			__( 'This pairing link was used already or is too old.', 'wc-ahlan' ),
			array( 'status' => 403 )
		);
	}

	/**
	 * The WooCommerce key of this very request, to notice later that somebody revoked it.
	 *
	 * @return int 0 when it cannot be known.
	 */
	private static function key_in_use() {
		global $wpdb;
		// phpcs:disable WordPress.Security.NonceVerification.Recommended -- WooCommerce has verified the key; it is only looked up.
		$given = '';
		// In WooCommerce's own order.
		if ( isset( $_GET['consumer_key'] ) ) {
			$given = sanitize_text_field( wp_unslash( $_GET['consumer_key'] ) );
		} elseif ( isset( $_SERVER['PHP_AUTH_USER'] ) ) {
			$given = sanitize_text_field( wp_unslash( $_SERVER['PHP_AUTH_USER'] ) );
		} elseif ( isset( $_GET['oauth_consumer_key'] ) ) {
			$given = sanitize_text_field( wp_unslash( $_GET['oauth_consumer_key'] ) );
		}
		// phpcs:enable
		if ( '' === $given || ! function_exists( 'wc_api_hash' ) ) {
			return 0;
		}
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- WooCommerce has no function for it.
		return (int) $wpdb->get_var( $wpdb->prepare( "SELECT key_id FROM {$wpdb->prefix}woocommerce_api_keys WHERE consumer_key = %s", wc_api_hash( $given ) ) );
	}
}
