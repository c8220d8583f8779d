<?php
/**
 * The chat in the storefront: one deferred script tag.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Prints the tag on storefront pages of any theme. It says which store this is and nothing about who reads the page:
 * page caches hand the same page to the next shopper.
 */
final class Ahlan_Widget {

	const HANDLE = 'wc-ahlan-widget';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'wp_enqueue_scripts', array( __CLASS__, 'enqueue' ) );
		add_filter( 'script_loader_tag', array( __CLASS__, 'tag' ), PHP_INT_MAX, 2 );
	}

	/**
	 * Whether the chat is switched on at all.
	 *
	 * @return bool
	 */
	public static function enabled() {
		return Ahlan_Settings::all()['widget'];
	}

	/**
	 * Put the script at the end of the page, where this page is one to show it on.
	 */
	public static function enqueue() {
		$connection = Ahlan_Connection::current();
		if ( null === $connection || ! self::wanted() ) {
			return;
		}
		// No version: Ahlan says itself how long its loader may be kept.
		// phpcs:ignore WordPress.WP.EnqueuedResourceParameters.MissingVersion
		wp_enqueue_script( self::HANDLE, self::address( $connection ), array(), null, true );
	}

	/**
	 * Write the tag as the loader reads it.
	 *
	 * @param string $tag    The tag as WordPress wrote it.
	 * @param string $handle Which script it is.
	 * @return string
	 */
	public static function tag( $tag, $handle ) {
		$connection = self::HANDLE === $handle ? Ahlan_Connection::current() : null;
		if ( null === $connection ) {
			return $tag;
		}
		$settings   = Ahlan_Settings::all();
		$attributes = array(
			'id'            => self::HANDLE . '-js',
			'src'           => self::address( $connection ),
			'defer'         => true,
			'data-server'   => $connection['server'],
			'data-store'    => $connection['public_key'],
			'data-identity' => Ahlan_Rest::identity_path(),
			'data-locale'   => Ahlan_Screens::language(),
			'data-side'     => $settings['side'],
			'data-accent'   => $settings['accent'],
		);
		return wp_get_script_tag( $attributes );
	}

	/**
	 * Where the loader is. It names the store, so that it knows by itself whether visits may be looked at.
	 *
	 * @param array<string,string> $connection The connection.
	 * @return string
	 */
	private static function address( array $connection ) {
		return $connection['server'] . '/widget/loader.js?store=' . rawurlencode( $connection['public_key'] );
	}

	/**
	 * Whether this page is to have the chat. The support tab always has it: it is what the tab is for.
	 *
	 * @return bool
	 */
	private static function wanted() {
		$settings = Ahlan_Settings::all();
		$wanted   = $settings['widget'] && ! in_array( self::page_type(), $settings['off'], true );
		if ( $settings['widget'] && Ahlan_Account::is_tab() ) {
			$wanted = true;
		}
		/**
		 * Whether the chat is shown on this page.
		 *
		 * @param bool $wanted What the settings say.
		 */
		return (bool) apply_filters( 'wc_ahlan_show_widget', $wanted );
	}

	/**
	 * What kind of page this is.
	 *
	 * @return string
	 */
	private static function page_type() {
		if ( is_product() ) {
			return 'product';
		}
		if ( is_cart() ) {
			return 'cart';
		}
		if ( is_checkout() ) {
			return 'checkout';
		}
		if ( is_account_page() ) {
			return 'account';
		}
		return is_shop() || is_product_taxonomy() ? 'shop' : 'other';
	}
}
