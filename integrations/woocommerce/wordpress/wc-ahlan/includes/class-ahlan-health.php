<?php
/**
 * What is in the way, in words that say what to do.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * The states of this site. Shown on the settings page and in Site Health.
 */
final class Ahlan_Health {

	const STATE  = 'wc_ahlan_state';
	const KEPT   = 2 * MINUTE_IN_SECONDS;
	const FOOTER = 'wc_ahlan_no_footer';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_filter( 'site_status_tests', array( __CLASS__, 'site_health' ) );
		add_action( 'shutdown', array( __CLASS__, 'footer' ) );
	}

	/**
	 * Notice a page whose footer never said wp_footer(): the chat and the way out of a contract stand there.
	 */
	public static function footer() {
		if ( did_action( 'wp_head' ) && did_action( 'get_footer' ) && ! did_action( 'wp_footer' ) && ! get_transient( self::FOOTER ) ) {
			set_transient( self::FOOTER, '1', DAY_IN_SECONDS );
		}
	}

	/**
	 * Whether strangers get WooCommerce's placeholder instead of the shop.
	 *
	 * @return bool
	 */
	public static function coming_soon() {
		return 'yes' === get_option( 'woocommerce_coming_soon' );
	}

	/**
	 * What stands in the way of pressing Connect.
	 *
	 * @return array<int,array<string,string>> Problems: code, level (`error` stops, `warning` does not), title, text, url, link.
	 */
	public static function before_connecting() {
		$problems = array();
		if ( 'https' !== wp_parse_url( Ahlan_Connection::site(), PHP_URL_SCHEME ) ) {
			$here       = in_array( wp_get_environment_type(), array( 'local', 'development' ), true );
			$problems[] = self::problem(
				'no_https',
				$here ? 'warning' : 'error',
				__( 'The shop does not use https.', 'wc-ahlan' ),
				__( 'WooCommerce hands out keys only over https. Ask the hosting company for a certificate, most give free ones; then change both addresses in Settings, General to https.', 'wc-ahlan' ),
				admin_url( 'options-general.php' ),
				__( 'Open Settings, General', 'wc-ahlan' )
			);
		}
		if ( '' === (string) get_option( 'permalink_structure' ) ) {
			$problems[] = self::problem(
				'no_permalinks',
				'error',
				__( 'The shop uses plain permalinks, and WooCommerce keys do not work with those.', 'wc-ahlan' ),
				__( 'Open Settings, Permalinks, choose any other structure and save. Links to the old addresses go on working.', 'wc-ahlan' ),
				admin_url( 'options-permalink.php' ),
				__( 'Open Settings, Permalinks', 'wc-ahlan' )
			);
		}
		if ( '' === Ahlan_Connection::server() ) {
			$problems[] = self::problem(
				'no_server',
				'error',
				__( 'It is not known yet where your Ahlan lives.', 'wc-ahlan' ),
				__( 'Type its address below and save.', 'wc-ahlan' )
			);
		}
		return $problems;
	}

	/**
	 * Everything that the merchant should know, the most urgent first.
	 *
	 * @param bool $ask Whether Ahlan may be asked, which takes up to 4 s when it is away.
	 * @return array<int,array<string,string>>
	 */
	public static function problems( $ask = true ) {
		$stored   = Ahlan_Connection::stored();
		$problems = null === $stored || ! Ahlan_Connection::cloned() ? array() : array( self::cloned( $stored ) );
		$problems = array_merge( $problems, self::before_connecting() );
		if ( null !== Ahlan_Connection::current() ) {
			$problems = array_merge( $problems, self::keys( $stored ), $ask ? self::server_side() : array() );
			if ( get_transient( self::FOOTER ) ) {
				$problems[] = self::problem(
					'no_footer',
					'warning',
					__( 'The theme has pages that end without wp_footer().', 'wc-ahlan' ),
					__( 'The chat and the link of the right of withdrawal stand at the end of a page: on those pages shoppers see neither. Ask whoever made the theme to call wp_footer() before the page ends. This message goes a day after that.', 'wc-ahlan' )
				);
			}
			if ( ! Ahlan_Widget::enabled() ) {
				$problems[] = self::problem(
					'widget_off',
					'warning',
					__( 'The chat is switched off.', 'wc-ahlan' ),
					__( 'Shoppers do not see it anywhere. Switch it on below when you are ready.', 'wc-ahlan' )
				);
			}
		}
		if ( self::coming_soon() ) {
			$problems[] = self::problem(
				'coming_soon',
				'warning',
				__( 'The shop is in coming-soon mode.', 'wc-ahlan' ),
				__( 'Visitors see a placeholder instead of the shop, and so they do not see the chat. Go live when you are ready.', 'wc-ahlan' ),
				admin_url( 'admin.php?page=wc-settings&tab=site-visibility' ),
				__( 'Open Site visibility', 'wc-ahlan' )
			);
		}
		return $problems;
	}

	/**
	 * A delivery tells about Ahlan too: the settings page need not ask what has just been seen.
	 *
	 * @param int $status What was answered; 0: nobody did.
	 */
	public static function learned( $status ) {
		if ( 200 === $status ) {
			if ( in_array( get_transient( self::STATE ), array( 'ahlan_away', 'ahlan_refused' ), true ) ) {
				delete_transient( self::STATE );
			}
			return;
		}
		$refused = in_array( $status, array( 401, 403, 404, 410 ), true );
		if ( $refused || 0 === $status || $status >= 500 ) {
			set_transient( self::STATE, $refused ? 'ahlan_refused' : 'ahlan_away', self::KEPT );
		}
	}

	/**
	 * One test among those of Site Health.
	 *
	 * @param array<string,array<string,mixed>> $tests The tests.
	 * @return array<string,array<string,mixed>>
	 */
	public static function site_health( $tests ) {
		$tests['direct']['wc_ahlan'] = array(
			'label' => __( 'Ahlan', 'wc-ahlan' ),
			'test'  => array( __CLASS__, 'site_health_test' ),
		);
		return $tests;
	}

	/**
	 * What Site Health shows.
	 *
	 * @return array<string,mixed>
	 */
	public static function site_health_test() {
		$connected = null !== Ahlan_Connection::stored();
		$problems  = $connected ? self::problems() : self::before_connecting();
		$worst     = 'good';
		$text      = '';
		foreach ( $problems as $problem ) {
			$worst = 'error' === $problem['level'] ? 'critical' : ( 'critical' === $worst ? $worst : 'recommended' );
			$text .= '<p><strong>' . esc_html( $problem['title'] ) . '</strong> ' . esc_html( $problem['text'] ) . '</p>';
		}
		if ( ! $connected ) {
			// Nobody has to connect.
			$worst = 'good' === $worst ? 'good' : 'recommended';
		}
		return array(
			'label'       => $problems ? $problems[0]['title'] : ( $connected ? __( 'Ahlan is connected', 'wc-ahlan' ) : __( 'Ahlan can be connected', 'wc-ahlan' ) ),
			'status'      => $worst,
			'badge'       => array(
				'label' => __( 'Ahlan', 'wc-ahlan' ),
				'color' => 'blue',
			),
			'description' => '' !== $text ? $text : '<p>' . esc_html__( 'Nothing stands in the way.', 'wc-ahlan' ) . '</p>',
			'actions'     => '<p><a href="' . esc_url( Ahlan_Admin::url( 'wc-ahlan-settings' ) ) . '">' . esc_html__( 'Open the settings of Ahlan', 'wc-ahlan' ) . '</a></p>',
			'test'        => 'wc_ahlan',
		);
	}

	/**
	 * A copy of the shop, or the shop at a new address.
	 *
	 * @param array<string,mixed> $stored The connection.
	 * @return array<string,string>
	 */
	private static function cloned( array $stored ) {
		return self::problem(
			'site_cloned',
			'error',
			/* translators: %s: address of a shop. */
			sprintf( __( 'The shop that was connected is %s, and this site has another address.', 'wc-ahlan' ), "\u{2066}{$stored['site']}\u{2069}" ),
			__( 'Nothing is shown or sent from here. Is this a copy for trying things out? Then forget the connection here; the shop keeps its own. Did the shop move to this address? Then connect again.', 'wc-ahlan' )
		);
	}

	/**
	 * Whether the WooCommerce key that Ahlan works with is still there and may do what it must.
	 *
	 * @param array<string,mixed> $stored The connection.
	 * @return array<int,array<string,string>>
	 */
	private static function keys( array $stored ) {
		global $wpdb;
		$key_id = (int) ( $stored['key_id'] ?? 0 );
		if ( 0 === $key_id ) {
			return array();
		}
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- WooCommerce has no function for it; asked on one admin page.
		$key = $wpdb->get_row( $wpdb->prepare( "SELECT user_id, permissions FROM {$wpdb->prefix}woocommerce_api_keys WHERE key_id = %d", $key_id ), ARRAY_A );
		if ( ! $key ) {
			return array(
				self::problem(
					'keys_revoked',
					'error',
					__( 'The key that Ahlan works with was revoked in WooCommerce.', 'wc-ahlan' ),
					__( 'Ahlan cannot read orders or make refunds any more. Connect again to give it a new key; conversations and settings are kept.', 'wc-ahlan' )
				),
			);
		}
		if ( 'read_write' !== $key['permissions'] ) {
			return array(
				self::problem(
					'read_only_key',
					'error',
					__( 'The key that Ahlan works with may only read.', 'wc-ahlan' ),
					__( 'Refunds and changes of orders fail. Set its permissions to Read/Write, or connect again.', 'wc-ahlan' ),
					admin_url( 'admin.php?page=wc-settings&tab=advanced&section=keys' ),
					__( 'Open the keys of WooCommerce', 'wc-ahlan' )
				),
			);
		}
		if ( user_can( (int) $key['user_id'], 'manage_woocommerce' ) ) {
			return array();
		}
		return array(
			self::problem(
				'missing_right',
				'error',
				__( 'The account that connected Ahlan may not manage WooCommerce any more.', 'wc-ahlan' ),
				__( 'Its key opens nothing. Connect again with an account that is an administrator or shop manager.', 'wc-ahlan' )
			),
		);
	}

	/**
	 * What Ahlan says, and whether it says anything. Asked at most every two minutes.
	 *
	 * @return array<int,array<string,string>>
	 */
	private static function server_side() {
		$state = get_transient( self::STATE );
		if ( ! is_string( $state ) ) {
			$answer = Ahlan_Server::ask( 'state', array( 'version' => WC_AHLAN_VERSION ), 4 );
			$state  = is_wp_error( $answer ) ? (string) $answer->get_error_code() : (string) ( $answer['state'] ?? '' );
			set_transient( self::STATE, $state, self::KEPT );
		}
		if ( 'ahlan_away' === $state ) {
			$waiting = Ahlan_Queue::state()['waiting'];
			return array(
				self::problem(
					'server_away',
					'warning',
					__( 'Ahlan does not answer at the moment.', 'wc-ahlan' ),
					0 === $waiting
						? __( 'The shop goes on as always, and nothing is lost. If this stays, check that the hosting company lets the shop reach Ahlan.', 'wc-ahlan' )
						/* translators: %s: a number of carts. */
						: sprintf( _n( 'The shop goes on as always. News of %s cart waits here and is sent later. If this stays, check that the hosting company lets the shop reach Ahlan.', 'The shop goes on as always. News of %s carts waits here and is sent later. If this stays, check that the hosting company lets the shop reach Ahlan.', $waiting, 'wc-ahlan' ), number_format_i18n( $waiting ) )
				),
			);
		}
		if ( 'ahlan_refused' === $state ) {
			return array(
				self::problem(
					'forgotten',
					'error',
					__( 'Ahlan does not know this shop any more.', 'wc-ahlan' ),
					__( 'It was disconnected there. Connect again; conversations are kept.', 'wc-ahlan' )
				),
			);
		}
		if ( 'needs_reauth' === $state ) {
			return array(
				self::problem(
					'keys_refused',
					'error',
					__( 'Ahlan has no key to this shop that works.', 'wc-ahlan' ),
					__( 'Connect again to give it a new one. If that does not help, a security plugin or the hosting company removes the Authorization header: allow it.', 'wc-ahlan' )
				),
			);
		}
		return array();
	}

	/**
	 * One problem.
	 *
	 * @param string $code  Which.
	 * @param string $level `error` or `warning`.
	 * @param string $title What it is.
	 * @param string $text  What to do.
	 * @param string $url   Where, or empty.
	 * @param string $link  Name of that place.
	 * @return array<string,string>
	 */
	private static function problem( $code, $level, $title, $text, $url = '', $link = '' ) {
		return compact( 'code', 'level', 'title', 'text', 'url', 'link' );
	}
}
