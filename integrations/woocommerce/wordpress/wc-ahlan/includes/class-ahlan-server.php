<?php
/**
 * Calls from this site to Ahlan.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Signed requests. Nothing here runs while a shopper waits.
 */
final class Ahlan_Server {

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
	 * One signed POST.
	 *
	 * @param string $url     Address.
	 * @param string $body    JSON.
	 * @param int    $timeout Seconds.
	 * @return array{status:int,body:string} Status 0 when nobody answered.
	 */
	public static function post( $url, $body, $timeout ) {
		$path = (string) wp_parse_url( $url, PHP_URL_PATH );
		// Not the "safe" variant: it refuses private hosts and odd ports, where an Ahlan of one's own may live. The
		// address came from Ahlan itself, against the nonce of our button.
		$answer = wp_remote_post(
			$url,
			array(
				'timeout'             => $timeout,
				'redirection'         => 0,
				'limit_response_size' => 5 * MB_IN_BYTES,
				'user-agent'          => 'wc-ahlan/' . WC_AHLAN_VERSION,
				'headers'             => array( 'Content-Type' => 'application/json' )
					+ Ahlan_Signer::headers( Ahlan_Connection::secret(), 'POST', $path, $body, time() ),
				'body'                => $body,
			)
		);
		if ( is_wp_error( $answer ) ) {
			return array(
				'status' => 0,
				'body'   => '',
			);
		}
		return array(
			'status' => (int) wp_remote_retrieve_response_code( $answer ),
			'body'   => (string) wp_remote_retrieve_body( $answer ),
		);
	}
}
