<?php
/**
 * What the merchant chose.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * One option with defaults: where the chat is shown and how it looks.
 */
final class Ahlan_Settings {

	const OPTION = 'wc_ahlan_settings';
	const ACCENT = '#0b7a75';

	/**
	 * Kinds of pages that the chat can be switched off on, with their names.
	 *
	 * @return array<string,string>
	 */
	public static function page_types() {
		return array(
			'shop'     => __( 'Shop and categories', 'wc-ahlan' ),
			'product'  => __( 'Products', 'wc-ahlan' ),
			'cart'     => __( 'Cart', 'wc-ahlan' ),
			'checkout' => __( 'Checkout', 'wc-ahlan' ),
			'account'  => __( 'My account', 'wc-ahlan' ),
			'other'    => __( 'All other pages', 'wc-ahlan' ),
		);
	}

	/**
	 * The settings in force.
	 *
	 * @return array{widget:bool,off:string[],side:string,accent:string,support_tab:bool,withdrawal:string}
	 */
	public static function all() {
		$stored = get_option( self::OPTION );
		return self::clean( is_array( $stored ) ? $stored : array() );
	}

	/**
	 * Make settings of what a form or the database says.
	 *
	 * @param array<string,mixed> $given Anything.
	 * @return array{widget:bool,off:string[],side:string,accent:string,support_tab:bool,withdrawal:string}
	 */
	public static function clean( array $given ) {
		$accent = isset( $given['accent'] ) && is_string( $given['accent'] ) ? sanitize_hex_color( $given['accent'] ) : '';
		$off    = isset( $given['off'] ) && is_array( $given['off'] ) ? $given['off'] : array();
		return array(
			'widget'      => ! isset( $given['widget'] ) || (bool) $given['widget'],
			'off'         => array_values( array_intersect( array( 'shop', 'product', 'cart', 'checkout', 'account', 'other' ), $off ) ),
			'side'        => isset( $given['side'] ) && 'start' === $given['side'] ? 'start' : 'end',
			'accent'      => $accent && 7 === strlen( $accent ) ? strtolower( $accent ) : self::ACCENT,
			'support_tab' => ! isset( $given['support_tab'] ) || (bool) $given['support_tab'],
			'withdrawal'  => isset( $given['withdrawal'] ) && in_array( $given['withdrawal'], array( 'on', 'off' ), true ) ? $given['withdrawal'] : 'auto',
		);
	}

	/**
	 * Keep settings.
	 *
	 * @param array<string,mixed> $given Anything.
	 */
	public static function save( array $given ) {
		update_option( self::OPTION, self::clean( $given ), true );
	}
}
