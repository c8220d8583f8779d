<?php
/**
 * Addresses of ours among those of the shop.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Read from the request itself, without a rewrite rule that somebody would have to write at the right moment. What the
 * shop has at such an address goes first.
 */
final class Ahlan_Address {

	/**
	 * What is asked for below one of our addresses.
	 *
	 * @param WP     $wp   The request as WordPress read it.
	 * @param string $path The address, without slashes.
	 * @return string|null Empty for the address itself; null when this request is not ours.
	 */
	public static function below( $wp, $path ) {
		$asked = self::plain( trim( (string) $wp->request, '/' ) );
		if ( $asked !== $path && 0 !== strpos( $asked, $path . '/' ) ) {
			return null;
		}
		return null === Ahlan_Connection::current() || self::taken( $wp, $path ) ? null : (string) substr( $asked, strlen( $path ) + 1 );
	}

	/**
	 * One of our addresses in the language of the page. WPML translates what WordPress makes; Polylang leaves addresses of
	 * plugins in the shop's first language, and says where the others begin.
	 *
	 * @param string $path The address, without slashes.
	 * @return string
	 */
	public static function of( $path ) {
		global $wp_rewrite;
		$home = function_exists( 'pll_home_url' ) ? (string) pll_home_url() : '';
		if ( '' === $home || false !== strpos( $home, '?' ) ) {
			$home = home_url( '/' );
		}
		return trailingslashit( $home ) . $wp_rewrite->root . user_trailingslashit( $path );
	}

	/**
	 * What was asked for without Polylang's language before it.
	 *
	 * @param string $asked The request, without slashes around it.
	 * @return string
	 */
	private static function plain( $asked ) {
		$language = function_exists( 'pll_current_language' ) ? (string) pll_current_language() : '';
		return '' !== $language && 0 === strpos( $asked, $language . '/' ) ? substr( $asked, strlen( $language ) + 1 ) : $asked;
	}

	/**
	 * Whether the shop has something at an address.
	 *
	 * @param WP     $wp   The request as WordPress read it.
	 * @param string $path The address.
	 * @return bool
	 */
	private static function taken( $wp, $path ) {
		// A rule that begins with our word was made for it, by a plugin with pages of its own or a renamed category.
		if ( 0 === strpos( ltrim( (string) $wp->matched_rule, '^(' ), $path ) ) {
			return true;
		}
		$types = array( 'page' );
		if ( isset( $wp->query_vars['name'] ) && $path === $wp->query_vars['name'] && empty( $wp->query_vars['post_type'] ) ) {
			$types[] = 'post';
		}
		$page = get_page_by_path( $path, OBJECT, $types );
		return null !== $page && 'publish' === $page->post_status;
	}
}
