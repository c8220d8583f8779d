<?php
/**
 * Where this shop is, and where it shows orders and returns.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Finds the shop's own page for the links in letters, and its domains. Asked by Ahlan, never while a shopper waits.
 */
final class Ahlan_Pages {

	/**
	 * The addresses: of a page with the shortcode or the block, which everybody may open, and of the tab in My Account.
	 *
	 * @return array{page:string,account:string} Empty where there is none.
	 */
	public static function returns() {
		return array(
			'page'    => self::page(),
			'account' => self::account(),
		);
	}

	/**
	 * The origins of the shop's pages: language plugins may give each language a domain of its own, and the chat opens only
	 * where Ahlan knows it to be.
	 *
	 * @return string[]
	 */
	public static function origins() {
		$site    = Ahlan_Connection::site();
		$origins = array( $site, site_url() );
		foreach ( array_keys( (array) apply_filters( 'wpml_active_languages', array() ) ) as $language ) { // phpcs:ignore WordPress.NamingConventions.PrefixAllGlobals.NonPrefixedHooknameFound -- WPML's.
			$origins[] = apply_filters( 'wpml_permalink', $site . '/', $language ); // phpcs:ignore WordPress.NamingConventions.PrefixAllGlobals.NonPrefixedHooknameFound -- WPML's.
		}
		if ( function_exists( 'pll_languages_list' ) && function_exists( 'pll_home_url' ) ) {
			$origins = array_merge( $origins, array_map( 'pll_home_url', pll_languages_list() ) );
		}
		return array_slice( array_values( array_unique( array_filter( array_map( array( __CLASS__, 'origin' ), $origins ) ) ) ), 0, 50 );
	}

	/**
	 * Scheme, host and port of an address.
	 *
	 * @param string $url Address.
	 * @return string Empty when it is none.
	 */
	private static function origin( $url ) {
		$parts = wp_parse_url( (string) $url );
		return empty( $parts['scheme'] ) || empty( $parts['host'] ) ? '' : strtolower( $parts['scheme'] . '://' . $parts['host'] . ( isset( $parts['port'] ) ? ':' . $parts['port'] : '' ) );
	}

	/**
	 * The oldest published page that holds the screens.
	 *
	 * @return string
	 */
	private static function page() {
		foreach ( array( Ahlan_Self_Service::SHORTCODE, Ahlan_Self_Service::BLOCK ) as $sign ) {
			$found = get_posts(
				array(
					'post_type'    => 'page',
					'post_status'  => 'publish',
					'has_password' => false,
					's'            => $sign,
					'sentence'     => true,
					'orderby'      => 'ID',
					'order'        => 'ASC',
					'numberposts'  => 20,
				)
			);
			foreach ( $found as $post ) {
				// The search also finds pages that only speak of it, as WordPress does of what stands in double brackets.
				$content = (string) preg_replace( '/\[\[.*?\]\]/', '', $post->post_content );
				if ( has_shortcode( $content, Ahlan_Self_Service::SHORTCODE ) || has_block( Ahlan_Self_Service::BLOCK, $content ) ) {
					return (string) get_permalink( $post );
				}
			}
		}
		return '';
	}

	/**
	 * The tab in My Account; none in a shop without that page.
	 *
	 * @return string
	 */
	private static function account() {
		return wc_get_page_id( 'myaccount' ) > 0 ? (string) wc_get_account_endpoint_url( Ahlan_Self_Service::ENDPOINT ) : '';
	}
}
