<?php
/**
 * The help centre at the shop's own address, inside its theme.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Shows `/help/…` of this site. Ahlan makes the pages; they are asked for from here, signed, and kept for a minute, so
 * that a crowd of readers is one question. While Ahlan is away, a page is shown for a day as it was last.
 */
final class Ahlan_Help {

	const PATH     = 'help';
	const VARIABLE = 'wc_ahlan_help';
	const FRESH    = MINUTE_IN_SECONDS;
	const KEPT     = DAY_IN_SECONDS;

	/**
	 * The page that is being shown.
	 *
	 * @var array<string,mixed>|null
	 */
	private static $page = null;

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'parse_request', array( __CLASS__, 'route' ) );
		add_action( 'template_redirect', array( __CLASS__, 'show' ), 0 );
	}

	/**
	 * Take a request for the help centre. Its variable is no public one: an address cannot name it.
	 *
	 * @param WP $wp The request as WordPress read it.
	 */
	public static function route( $wp ) {
		$below = Ahlan_Address::below( $wp, self::PATH );
		if ( null !== $below ) {
			$wp->query_vars = array( self::VARIABLE => '/' . rawurldecode( $below ) );
		}
	}

	/**
	 * Show a page, if this is one.
	 */
	public static function show() {
		$path = (string) get_query_var( self::VARIABLE );
		if ( '' === $path ) {
			return;
		}
		$page = self::fetch( trim( $path, '/' ) );
		if ( is_wp_error( $page ) ) {
			self::nothing( 'ahlan_away' === $page->get_error_code() );
			return;
		}
		if ( ! empty( $page['location'] ) ) {
			wp_safe_redirect( $page['location'], (int) $page['status'], 'Ahlan' );
			exit;
		}
		if ( 'text/html' !== $page['kind'] ) {
			header( 'Content-Type: ' . ( 'application/xml' === $page['kind'] ? 'application/xml' : 'text/plain' ) . '; charset=utf-8' );
			// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- XML that Ahlan made, from a signed question of ours.
			echo $page['body'];
			exit;
		}
		self::$page = $page;
		self::frame( (int) $page['status'] );
	}

	/**
	 * The theme around the page.
	 *
	 * @param int $status HTTP status.
	 */
	private static function frame( $status ) {
		add_filter( 'pre_get_document_title', array( __CLASS__, 'title' ), PHP_INT_MAX );
		add_action( 'wp_head', array( __CLASS__, 'head' ), 1 );
		remove_action( 'wp_head', 'rel_canonical' );
		wp_enqueue_style( 'wc-ahlan-help', self::$page['style'], array(), WC_AHLAN_VERSION );
		wp_enqueue_script( 'wc-ahlan-help', self::$page['script'], array(), WC_AHLAN_VERSION, true );
		Ahlan_Theme::around( $status, array( __CLASS__, 'body' ) );
	}

	/**
	 * The page itself.
	 */
	public static function body() {
		// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- sanitised by Ahlan, from a signed question of ours.
		echo self::$page['body'];
	}

	/**
	 * The document's title.
	 *
	 * @return string
	 */
	public static function title() {
		return esc_html( self::$page['title'] );
	}

	/**
	 * What search engines read.
	 */
	public static function head() {
		if ( '' !== self::$page['description'] ) {
			printf( '<meta name="description" content="%s">' . "\n", esc_attr( self::$page['description'] ) );
		}
		if ( empty( self::$page['index'] ) ) {
			echo '<meta name="robots" content="noindex">' . "\n";
			return;
		}
		printf( '<link rel="canonical" href="%s">' . "\n", esc_url( self::$page['canonical'] ) );
		foreach ( self::$page['alternates'] as $pair ) {
			printf( '<link rel="alternate" hreflang="%s" href="%s">' . "\n", esc_attr( $pair[0] ), esc_url( $pair[1] ) );
		}
		if ( '' !== self::$page['data'] ) {
			// phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped -- JSON in which Ahlan escaped every <.
			echo '<script type="application/ld+json">' . self::$page['data'] . '</script>' . "\n";
		}
	}

	/**
	 * Ask Ahlan for a page.
	 *
	 * @param string $path Below the help centre.
	 * @return array<string,mixed>|WP_Error Errors are those of Ahlan_Server.
	 */
	private static function fetch( $path ) {
		// phpcs:disable WordPress.Security.NonceVerification.Recommended -- reading only, as any link does.
		$query = array();
		foreach ( array( 'q', 'thanks', 'vote' ) as $name ) {
			if ( isset( $_GET[ $name ] ) && is_string( $_GET[ $name ] ) ) {
				$query[ $name ] = mb_substr( sanitize_text_field( wp_unslash( $_GET[ $name ] ) ), 0, 600 );
			}
		}
		// phpcs:enable
		$languages = Ahlan_Screens::language();
		$agent     = isset( $_SERVER['HTTP_USER_AGENT'] ) ? sanitize_text_field( wp_unslash( $_SERVER['HTTP_USER_AGENT'] ) ) : '';
		$store     = Ahlan_Connection::current()['store_id'];
		$key       = 'wc_ahlan_help_' . md5( $store . '|' . $path . '|' . wp_json_encode( $query ) . '|' . $languages );
		$kept      = get_transient( $key );
		if ( is_array( $kept ) && time() - (int) $kept['at'] < self::FRESH ) {
			return $kept['page'];
		}
		$page = Ahlan_Server::ask_briefly(
			'help',
			array(
				'path'      => $path,
				'base'      => self::base(),
				'query'     => $query,
				'languages' => $languages,
				'agent'     => $agent,
			),
			4
		);
		if ( is_wp_error( $page ) ) {
			return 'ahlan_away' === $page->get_error_code() && is_array( $kept ) ? $kept['page'] : $page;
		}
		// What anybody can make up without end is not kept: the shop's database would grow with every address that is tried.
		if ( array() === $query && 404 !== (int) $page['status'] ) {
			$kept = array(
				'at'   => time(),
				'page' => $page,
			);
			set_transient( $key, $kept, self::KEPT );
		}
		return $page;
	}

	/**
	 * Where the help centre is: one address, whatever a language plugin makes of the page's. Its pages have their languages
	 * in their own addresses.
	 *
	 * @return string
	 */
	private static function base() {
		$site = Ahlan_Connection::site();
		return ( is_ssl() ? set_url_scheme( $site, 'https' ) : $site ) . '/' . self::PATH;
	}

	/**
	 * Nothing to show: as for any address that the shop does not have. What is only away now is not gone: search engines
	 * would forget the page.
	 *
	 * @param bool $away Whether Ahlan did not answer.
	 */
	private static function nothing( $away ) {
		global $wp_query;
		nocache_headers();
		if ( $away ) {
			header( 'Retry-After: ' . self::FRESH );
			Ahlan_Theme::around( 503, array( __CLASS__, 'away' ) );
		}
		$wp_query->set_404();
		status_header( 404 );
	}

	/**
	 * What stands there meanwhile.
	 */
	public static function away() {
		echo '<main style="max-width:720px;margin:32px auto;padding:0 16px"><p role="status">' . esc_html__( 'This page cannot be shown at the moment. Try again in a few minutes.', 'wc-ahlan' ) . '</p></main>';
	}
}
