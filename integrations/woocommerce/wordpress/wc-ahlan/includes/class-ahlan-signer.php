<?php
/**
 * What the plugin and Ahlan sign to each other: integrations/woocommerce/pairing.py in PHP.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Pure functions over strings: no clock, no network, no storage.
 */
final class Ahlan_Signer {

	const REQUEST_LIFETIME = 300;
	const TOKEN_LIFETIME   = 900;
	const AGENT_LIFETIME   = 60;

	/**
	 * The 32 bytes of a secret or salt, or an empty string when it is none.
	 *
	 * @param mixed $secret Unpadded URL-safe base64 of 256 bits.
	 * @return string
	 */
	public static function bytes( $secret ) {
		if ( ! is_string( $secret ) || ! preg_match( '/\A[A-Za-z0-9_-]{43}\z/', $secret ) ) {
			return '';
		}
		// phpcs:ignore WordPress.PHP.DiscouragedPHPFunctions.obfuscation_base64_decode -- the wire form of a key.
		$raw = base64_decode( strtr( $secret, '-_', '+/' ) . '=', true );
		return false !== $raw && 32 === strlen( $raw ) ? $raw : '';
	}

	/**
	 * The key of one purpose: HKDF-SHA256 without salt.
	 *
	 * @param string $secret  The pairing secret.
	 * @param string $purpose `requests`, `identity` or `agent`.
	 * @return string 32 bytes.
	 */
	public static function key( $secret, $purpose ) {
		return hash_hkdf( 'sha256', self::bytes( $secret ), 32, 'ahlan ' . $purpose );
	}

	/**
	 * The secret that follows `$secret`; both sides derive it, so it is never sent.
	 *
	 * @param string $secret The secret in force.
	 * @param string $salt   What Ahlan sent, of the form of a secret.
	 * @return string
	 */
	public static function renewed( $secret, $salt ) {
		return self::url64( hash_hkdf( 'sha256', self::bytes( $secret ), 32, 'ahlan rotation', self::bytes( $salt ) ) );
	}

	/**
	 * A fresh one-time value: 192 random bits.
	 *
	 * @return string 32 of [A-Za-z0-9_-].
	 */
	public static function nonce() {
		return self::url64( random_bytes( 24 ) );
	}

	/**
	 * The signature of a request.
	 *
	 * @param string $key       Key of `requests`.
	 * @param string $method    HTTP method.
	 * @param string $path      Path with its query, as sent.
	 * @param string $timestamp Unix seconds.
	 * @param string $nonce     One-time value.
	 * @param string $body      Raw body.
	 * @return string Lower-case hex.
	 */
	public static function sign( $key, $method, $path, $timestamp, $nonce, $body ) {
		$text = implode( "\n", array( strtoupper( $method ), $path, $timestamp, $nonce, hash( 'sha256', $body ) ) );
		return hash_hmac( 'sha256', $text, $key );
	}

	/**
	 * The headers that make a request of ours believable.
	 *
	 * @param string $secret The pairing secret.
	 * @param string $method HTTP method.
	 * @param string $path   Path with its query.
	 * @param string $body   Raw body.
	 * @param int    $now    Unix seconds.
	 * @return array<string,string>
	 */
	public static function headers( $secret, $method, $path, $body, $now ) {
		$nonce = self::nonce();
		return array(
			'X-Ahlan-Timestamp' => (string) $now,
			'X-Ahlan-Nonce'     => $nonce,
			'X-Ahlan-Signature' => self::sign( self::key( $secret, 'requests' ), $method, $path, (string) $now, $nonce, $body ),
		);
	}

	/**
	 * Check a request of Ahlan's. The signature comes before the time, so a stranger learns nothing about our clock.
	 *
	 * @param string              $secret  The pairing secret.
	 * @param string              $method  HTTP method.
	 * @param string              $path    Path with its query, as it was sent.
	 * @param array<string,mixed> $headers `timestamp`, `nonce`, `signature`.
	 * @param string              $body    Raw body.
	 * @param int                 $now     Unix seconds.
	 * @return string Empty when it is good; else `missing`, `forged` or `stale`.
	 */
	public static function problem( $secret, $method, $path, array $headers, $body, $now ) {
		$timestamp = (string) $headers['timestamp'];
		$nonce     = (string) $headers['nonce'];
		$signature = (string) $headers['signature'];
		if (
			! preg_match( '/\A[0-9]{9,11}\z/', $timestamp )
			|| ! preg_match( '/\A[A-Za-z0-9_-]{16,64}\z/', $nonce )
			|| ! preg_match( '/\A[0-9a-f]{64}\z/', $signature )
		) {
			return 'missing';
		}
		$expected = self::sign( self::key( $secret, 'requests' ), $method, $path, $timestamp, $nonce, $body );
		if ( ! hash_equals( $expected, $signature ) ) {
			return 'forged';
		}
		return abs( $now - (int) $timestamp ) > self::REQUEST_LIFETIME ? 'stale' : '';
	}

	/**
	 * A signed statement as a JWT, HS256.
	 *
	 * @param string               $key      Key of `identity` or `agent`.
	 * @param array<string,string> $claims   iss, store, sub and what else is said; empty ones are left out.
	 * @param int                  $lifetime Seconds.
	 * @param int                  $now      Unix seconds.
	 * @return string
	 */
	public static function token( $key, array $claims, $lifetime, $now ) {
		$claims  = array_filter(
			$claims,
			static function ( $value ) {
				return '' !== $value;
			}
		);
		$claims += array(
			'aud' => 'ahlan',
			'iat' => $now,
			'exp' => $now + min( $lifetime, self::TOKEN_LIFETIME ),
			'jti' => self::url64( random_bytes( 12 ) ),
		);
		$text    = self::url64( '{"alg":"HS256","typ":"JWT"}' ) . '.' . self::url64( (string) wp_json_encode( $claims ) );
		return $text . '.' . self::url64( hash_hmac( 'sha256', $text, $key, true ) );
	}

	/**
	 * Unpadded URL-safe base64.
	 *
	 * @param string $raw Bytes.
	 * @return string
	 */
	private static function url64( $raw ) {
		// phpcs:ignore WordPress.PHP.DiscouragedPHPFunctions.obfuscation_base64_encode -- JSON Web Tokens are written so.
		return rtrim( strtr( base64_encode( $raw ), '+/', '-_' ), '=' );
	}
}
