<?php
/**
 * Who shops and who works here, as signed statements.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Tokens of docs/woocommerce-plugin-protocol.md, "Who shops" and "Who works in wp-admin".
 */
final class Ahlan_Identity {

	/**
	 * The statement about whoever is signed in in this browser; empty for strangers.
	 *
	 * WordPress ignores the login cookie on REST routes unless a nonce comes along, and a nonce would have to be printed
	 * into pages that caches keep: so the cookie is checked here.
	 *
	 * @return string
	 */
	public static function shopper() {
		$connection = Ahlan_Connection::current();
		$user_id    = null === $connection ? 0 : (int) wp_validate_auth_cookie( '', 'logged_in' );
		$user       = $user_id > 0 ? get_userdata( $user_id ) : false;
		if ( false === $user ) {
			return '';
		}
		return self::token( $connection, 'identity', $user, array(), Ahlan_Signer::TOKEN_LIFETIME );
	}

	/**
	 * The statement about a member of staff, who must be allowed to manage the shop; empty otherwise.
	 *
	 * @param WP_User $user Who is signed in.
	 * @return string
	 */
	public static function agent( WP_User $user ) {
		$connection = Ahlan_Connection::current();
		if ( null === $connection || ! $user->exists() || ! user_can( $user, 'manage_woocommerce' ) ) {
			return '';
		}
		$role = user_can( $user, 'manage_options' ) ? 'administrator' : 'staff';
		return self::token( $connection, 'agent', $user, array( 'role' => $role ), Ahlan_Signer::AGENT_LIFETIME );
	}

	/**
	 * Sign what is said of a user.
	 *
	 * @param array<string,mixed>  $connection The connection.
	 * @param string               $purpose    Which key signs.
	 * @param WP_User              $user       The user.
	 * @param array<string,string> $more       Further claims.
	 * @param int                  $lifetime   Seconds.
	 * @return string
	 */
	private static function token( array $connection, $purpose, WP_User $user, array $more, $lifetime ) {
		$secret = Ahlan_Connection::secret();
		if ( '' === Ahlan_Signer::bytes( $secret ) ) {
			return '';
		}
		$name   = trim( $user->first_name . ' ' . $user->last_name );
		$claims = array(
			'iss'    => $connection['site'],
			'store'  => $connection['public_key'],
			'sub'    => (string) $user->ID,
			'email'  => (string) $user->user_email,
			'name'   => '' !== $name ? $name : (string) $user->display_name,
			'locale' => str_replace( '_', '-', get_user_locale( $user ) ),
		);
		return Ahlan_Signer::token( Ahlan_Signer::key( $secret, $purpose ), $claims + $more, $lifetime, Ahlan_Clock::now() );
	}
}
