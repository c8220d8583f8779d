<?php
/**
 * What returns say about a product's sizes, on its page.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A shortcode and a block: one line where a product runs small or large, nothing elsewhere. Ahlan knows; its answer is
 * kept for half a day, so that a page is seldom made while we wait, and then for two seconds at most.
 */
final class Ahlan_Fit {

	const SHORTCODE = 'ahlan_fit';
	const BLOCK     = 'wc-ahlan/fit';
	const KEPT      = 12 * HOUR_IN_SECONDS;
	const PAUSE     = 5 * MINUTE_IN_SECONDS;

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'init', array( __CLASS__, 'register' ) );
	}

	/**
	 * The shortcode and the block.
	 */
	public static function register() {
		add_shortcode( self::SHORTCODE, array( __CLASS__, 'markup' ) );
		Ahlan_Blocks::register(
			self::BLOCK,
			self::title(),
			'tag',
			array( __CLASS__, 'markup' ),
			array( 'product' => array( 'type' => 'integer' ) ),
			array( 'product' => __( 'Number of the product; empty: that of the page', 'wc-ahlan' ) )
		);
	}

	/**
	 * The line: of the product that is named, else of the page's own.
	 *
	 * @param array<string,mixed>|string $attributes `product`: its number.
	 * @return string
	 */
	public static function markup( $attributes = array() ) {
		$named   = is_array( $attributes ) && ! empty( $attributes['product'] ) ? (int) $attributes['product'] : 0;
		$product = wc_get_product( 0 < $named ? $named : get_the_ID() );
		if ( ! $product instanceof WC_Product || ! $product->is_visible() ) {
			return '';
		}
		$said = self::said( $product->get_id() );
		return '' === $said ? '' : '<p class="wc-ahlan-fit">' . esc_html( $said ) . '</p>';
	}

	/**
	 * The name of the block.
	 *
	 * @return string
	 */
	public static function title() {
		return __( 'Fit from returns', 'wc-ahlan' );
	}

	/**
	 * What Ahlan says about a product, in the language of the page.
	 *
	 * @param int $product Its number.
	 * @return string
	 */
	private static function said( $product ) {
		$connection = Ahlan_Connection::current();
		if ( null === $connection ) {
			return '';
		}
		$locale = determine_locale();
		$key    = 'wc_ahlan_fit_' . $product . '_' . md5( $connection['store_id'] . '|' . $locale );
		$kept   = get_transient( $key );
		if ( is_string( $kept ) ) {
			return $kept;
		}
		$answer = Ahlan_Server::ask_briefly(
			'fit',
			array(
				'product' => (string) $product,
				'locale'  => $locale,
			),
			2
		);
		$away   = is_wp_error( $answer );
		$text   = ! $away && isset( $answer['text'] ) && is_string( $answer['text'] ) ? $answer['text'] : '';
		set_transient( $key, $text, $away ? self::PAUSE : self::KEPT );
		return $text;
	}
}
