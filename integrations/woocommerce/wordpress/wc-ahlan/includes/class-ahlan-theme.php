<?php
/**
 * The shop's theme around a page of ours.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Header and footer of the theme, whether it is made of blocks or of files.
 */
final class Ahlan_Theme {

	/**
	 * Print a page and end the request.
	 *
	 * @param int      $status HTTP status.
	 * @param callable $body   Prints what stands between header and footer.
	 */
	public static function around( $status, $body ) {
		global $wp_query;
		$wp_query->is_home = false;
		$wp_query->is_404  = 404 === $status;
		status_header( $status );
		if ( function_exists( 'wp_is_block_theme' ) && wp_is_block_theme() ) {
			self::blocks( $body );
		} else {
			get_header();
			call_user_func( $body );
			get_footer();
		}
		exit;
	}

	/**
	 * Block themes have no header file: their parts stand around the page.
	 *
	 * @param callable $body Prints the page.
	 */
	private static function blocks( $body ) {
		$header = do_blocks( '<!-- wp:template-part {"slug":"header","tagName":"header"} /-->' );
		$footer = do_blocks( '<!-- wp:template-part {"slug":"footer","tagName":"footer"} /-->' );
		echo '<!doctype html><html ';
		language_attributes();
		echo '><head><meta charset="' . esc_attr( get_bloginfo( 'charset' ) ) . '"><meta name="viewport" content="width=device-width, initial-scale=1">';
		// Block themes leave the title to the template that WordPress would have shown.
		if ( ! current_theme_supports( 'title-tag' ) ) {
			echo '<title>' . esc_html( wp_get_document_title() ) . '</title>';
		}
		wp_head();
		echo '</head><body ';
		body_class();
		echo '>';
		wp_body_open();
		// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- the theme's own parts.
		echo '<div class="wp-site-blocks">' . $header;
		call_user_func( $body );
		// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- the theme's own parts.
		echo $footer . '</div>';
		wp_footer();
		echo '</body></html>';
	}
}
