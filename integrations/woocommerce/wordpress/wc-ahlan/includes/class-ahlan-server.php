<?php
/**
 * Calls from this site to Ahlan.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Signed requests. While a shopper waits, only `ask_briefly` is used.
 */
final class Ahlan_Server {

	const PAUSE = 'wc_ahlan_pause';

	/**
	 * Ask Ahlan for something about this store.
	 *
	 * @param string              $verb    Last part of the path below `/plugin/woocommerce/{store}`, e.g. `state`.
	 * @param array<string,mixed> $said    The body.
	 * @param int                 $timeout Seconds.
	 * @return array<string,mixed>|WP_Error Its answer. Error codes: `ahlan_not_connected`, `ahlan_away` (try again),
	 *                                      `ahlan_refused` (do not).
	 */
	public static function ask( $verb, array $said = array(), $timeout = 5 ) {
		$connection = Ahlan_Connection::current();
		if ( null === $connection ) {
			return new WP_Error( 'ahlan_not_connected', __( 'This site is not connected to Ahlan.', 'wc-ahlan' ) );
		}
		$url    = $connection['server'] . '/plugin/woocommerce/' . $connection['store_id'] . '/' . $verb;
		$answer = self::post( $url, (string) wp_json_encode( (object) $said ), $timeout );
		if ( 200 !== $answer['status'] ) {
			return 0 === $answer['status'] || 429 === $answer['status'] || $answer['status'] >= 500
				? new WP_Error( 'ahlan_away', __( 'Ahlan does not answer at the moment.', 'wc-ahlan' ), $answer['status'] )
				: new WP_Error( 'ahlan_refused', __( 'Ahlan does not know this site any more.', 'wc-ahlan' ), $answer['status'] );
		}
		$decoded = json_decode( $answer['body'], true );
		return is_array( $decoded ) ? $decoded : new WP_Error( 'ahlan_away', __( 'Ahlan does not answer at the moment.', 'wc-ahlan' ), 200 );
	}

	/**
	 * Ask while a shopper waits. After a question that was not answered none is asked for a minute: one page waits, not
	 * each one.
	 *
	 * @param string              $verb    As in `ask`.
	 * @param array<string,mixed> $said    The body.
	 * @param int                 $timeout Seconds.
	 * @return array<string,mixed>|WP_Error As of `ask`.
	 */
	public static function ask_briefly( $verb, array $said, $timeout ) {
		if ( get_transient( self::PAUSE ) ) {
			return new WP_Error( 'ahlan_away', __( 'Ahlan does not answer at the moment.', 'wc-ahlan' ), 0 );
		}
		$answer = self::ask( $verb, $said, $timeout );
		if ( is_wp_error( $answer ) && 'ahlan_away' === $answer->get_error_code() ) {
			set_transient( self::PAUSE, '1', MINUTE_IN_SECONDS );
		}
		return $answer;
	}

	/**
	 * One signed POST.
	 *
	 * @param string $url     Address.
	 * @param string $body    JSON.
	 * @param int    $timeout Seconds.
	 * @return array{status:int,body:string} Status 0 when nobody answered.
	 */
	public static function post( $url, $body, $timeout ) {
		$secret = Ahlan_Connection::secret();
		if ( '' === Ahlan_Signer::bytes( $secret ) ) {
			// The option was lost, as caches and half restored databases do it: Ahlan could only say the same.
			return array(
				'status' => 401,
				'body'   => '',
			);
		}
		$answer = self::send( $secret, $url, $body, $timeout );
		$status = (int) wp_remote_retrieve_response_code( $answer );
		$date   = wp_remote_retrieve_header( $answer, 'date' );
		if ( is_string( $date ) && Ahlan_Clock::learn( $date ) && 401 === $status ) {
			// Signed at a time that never was.
			$answer = self::send( $secret, $url, $body, $timeout );
			$status = (int) wp_remote_retrieve_response_code( $answer );
		}
		return array(
			'status' => $status,
			'body'   => (string) wp_remote_retrieve_body( $answer ),
		);
	}

	/**
	 * Sign and send, once.
	 *
	 * @param string $secret  The pairing secret.
	 * @param string $url     Address.
	 * @param string $body    JSON.
	 * @param int    $timeout Seconds.
	 * @return array<string,mixed>|WP_Error
	 */
	private static function send( $secret, $url, $body, $timeout ) {
		$path = (string) wp_parse_url( $url, PHP_URL_PATH );
		// Not the "safe" variant: it refuses private hosts and odd ports, where an Ahlan of one's own may live. The
		// address came from Ahlan itself, against the nonce of our button.
		return wp_remote_post(
			$url,
			array(
				'timeout'             => $timeout,
				'redirection'         => 0,
				'limit_response_size' => 5 * MB_IN_BYTES,
				'user-agent'          => 'wc-ahlan/' . WC_AHLAN_VERSION,
				'headers'             => array( 'Content-Type' => 'application/json' )
					+ Ahlan_Signer::headers( $secret, 'POST', $path, $body, Ahlan_Clock::now() ),
				'body'                => $body,
			)
		);
	}
}
