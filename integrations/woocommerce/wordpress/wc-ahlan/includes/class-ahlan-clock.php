<?php
/**
 * What time it is, for signatures.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * This machine's clock, put right by the one of Ahlan: a signed statement lives for minutes, and hosts whose clocks are
 * minutes off are not rare. Every answer of Ahlan says its time.
 */
final class Ahlan_Clock {

	const OPTION = 'wc_ahlan_clock';
	/** Seconds that two clocks may differ by before it matters; an answer also takes its time. */
	const NEAR = 5;

	/**
	 * Unix seconds.
	 *
	 * @return int
	 */
	public static function now() {
		return time() + (int) get_option( self::OPTION, 0 );
	}

	/**
	 * Learn from the Date of an answer, which came from Ahlan over TLS.
	 *
	 * @param string $date As HTTP writes it.
	 * @return bool Whether the time is another one now.
	 */
	public static function learn( $date ) {
		$theirs = strtotime( $date );
		if ( false === $theirs || abs( $theirs - self::now() ) < self::NEAR ) {
			return false;
		}
		$off = $theirs - time();
		update_option( self::OPTION, abs( $off ) < self::NEAR ? 0 : $off, true );
		return true;
	}
}
