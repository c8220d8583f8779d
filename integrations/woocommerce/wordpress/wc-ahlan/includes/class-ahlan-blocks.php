<?php
/**
 * Blocks that the server draws.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * In the editor each is its name, where it will stand; on the page, what its callback says.
 */
final class Ahlan_Blocks {

	const SCRIPT = 'wc-ahlan-blocks';

	/**
	 * Register one.
	 *
	 * @param string                            $name       Block name, with our prefix.
	 * @param string                            $title      What the editor calls it.
	 * @param string                            $icon       A dashicon's name.
	 * @param callable                          $render     Gives the markup, from the attributes.
	 * @param array<string,array<string,mixed>> $attributes What the block keeps: numbers.
	 * @param array<string,string>              $labels     What the editor calls each of them.
	 */
	public static function register( $name, $title, $icon, $render, $attributes = array(), $labels = array() ) {
		// Registering a script again changes nothing.
		wp_register_script( self::SCRIPT, plugins_url( 'assets/blocks.js', WC_AHLAN_FILE ), array( 'wp-blocks', 'wp-element', 'wp-block-editor', 'wp-components' ), WC_AHLAN_VERSION, true );
		$told = array(
			'name'       => $name,
			'title'      => $title,
			'icon'       => $icon,
			'attributes' => (object) $attributes,
			'labels'     => (object) $labels,
		);
		wp_add_inline_script( self::SCRIPT, '( window.wcAhlanBlocks = window.wcAhlanBlocks || [] ).push( ' . wp_json_encode( $told, JSON_HEX_TAG | JSON_HEX_AMP ) . ' );', 'before' );
		register_block_type(
			$name,
			array(
				'api_version'           => 3,
				'title'                 => $title,
				'category'              => 'woocommerce',
				'editor_script_handles' => array( self::SCRIPT ),
				'attributes'            => $attributes,
				'render_callback'       => $render,
			)
		);
	}
}
