<?php
/**
 * Ahlan's screens in a page of the shop.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Drawn in a frame where the script stands. Nothing about a shopper is printed: page caches hand the page to the next one.
 */
final class Ahlan_Screens {

	/**
	 * The language of the page in two letters, as Ahlan names languages. WordPress also knows some of three, whose first
	 * two name another one: `arg` is Aragonese, `fil` Filipino, `skr` Saraiki.
	 *
	 * @return string
	 */
	public static function language() {
		$language = strtolower( (string) strtok( determine_locale(), '_-' ) );
		// Moroccan Arabic.
		if ( 'ary' === $language ) {
			return 'ar';
		}
		return 2 === strlen( $language ) ? $language : 'en';
	}

	/**
	 * The script that draws the screens where it stands; nothing while the shop is not connected.
	 *
	 * @param array<string,string> $more Further attributes: which screen, and what it is called.
	 * @return string
	 */
	public static function markup( $more = array() ) {
		$connection = Ahlan_Connection::current();
		if ( null === $connection ) {
			return '';
		}
		$settings = Ahlan_Settings::all();
		return wp_get_script_tag(
			array(
				'src'           => $connection['server'] . '/widget/page.js',
				'data-server'   => $connection['server'],
				'data-store'    => $connection['public_key'],
				'data-identity' => Ahlan_Rest::identity_path(),
				'data-locale'   => self::language(),
				'data-accent'   => $settings['accent'],
			) + $more
		);
	}
}
