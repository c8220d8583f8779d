<?php
/**
 * Where this shop shows orders and returns.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Finds the shop's own page for the links in letters. Asked by Ahlan once an hour, never while a shopper waits.
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
