<?php
/**
 * The menu, the settings page and its buttons.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Everything here needs `manage_woocommerce`; every button has its nonce.
 */
final class Ahlan_Admin {

	const RIGHT    = 'manage_woocommerce';
	const SETTINGS = 'wc-ahlan-settings';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'admin_menu', array( __CLASS__, 'menu' ) );
		add_action( 'admin_enqueue_scripts', array( __CLASS__, 'assets' ) );
		foreach ( array( 'connect', 'disconnect', 'forget', 'save', 'server' ) as $verb ) {
			add_action( 'admin_post_wc_ahlan_' . $verb, array( __CLASS__, $verb ) );
		}
		add_filter( 'plugin_action_links_' . plugin_basename( WC_AHLAN_FILE ), array( __CLASS__, 'links' ) );
	}

	/**
	 * Address of one of our admin pages.
	 *
	 * @param string               $page  Its slug.
	 * @param array<string,string> $query What else it is told.
	 * @return string
	 */
	public static function url( $page, array $query = array() ) {
		return add_query_arg( array( 'page' => $page ) + array_map( 'rawurlencode', $query ), admin_url( 'admin.php' ) );
	}

	/**
	 * The menu: conversations first, settings below.
	 */
	public static function menu() {
		$icon = 'data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyMCAyMCI+PHBhdGggZmlsbD0iI2E3YWFhZCIgZD0iTTEwIDNjNC40IDAgOCAyLjkgOCA2LjVTMTQuNCAxNiAxMCAxNmMtLjkgMC0xLjgtLjEtMi42LS40TDMgMTdsMS4zLTMuMUMyLjkgMTIuOCAyIDExLjIgMiA5LjUgMiA1LjkgNS42IDMgMTAgM3oiLz48L3N2Zz4=';
		add_menu_page( __( 'Ahlan', 'wc-ahlan' ), __( 'Ahlan', 'wc-ahlan' ), self::RIGHT, Ahlan_Panel::PAGE, array( 'Ahlan_Panel', 'page' ), $icon, '56.2' );
		add_submenu_page( Ahlan_Panel::PAGE, __( 'Conversations', 'wc-ahlan' ), __( 'Conversations', 'wc-ahlan' ), self::RIGHT, Ahlan_Panel::PAGE, array( 'Ahlan_Panel', 'page' ) );
		add_submenu_page( Ahlan_Panel::PAGE, __( 'Ahlan: settings', 'wc-ahlan' ), __( 'Settings', 'wc-ahlan' ), self::RIGHT, self::SETTINGS, array( __CLASS__, 'page' ) );
	}

	/**
	 * Our styles, on our pages only.
	 *
	 * @param string $hook The page.
	 */
	public static function assets( $hook ) {
		if ( false !== strpos( $hook, 'wc-ahlan' ) ) {
			wp_enqueue_style( 'wc-ahlan-admin', plugins_url( 'assets/admin.css', WC_AHLAN_FILE ), array(), WC_AHLAN_VERSION );
		}
	}

	/**
	 * A way to the settings in the list of plugins.
	 *
	 * @param string[] $links The links.
	 * @return string[]
	 */
	public static function links( $links ) {
		$ours = '<a href="' . esc_url( self::url( self::SETTINGS ) ) . '">' . esc_html__( 'Settings', 'wc-ahlan' ) . '</a>';
		return current_user_can( self::RIGHT ) ? array_merge( array( $ours ), $links ) : $links;
	}

	/**
	 * The Connect button.
	 */
	public static function connect() {
		self::guard( 'connect' );
		foreach ( Ahlan_Health::before_connecting() as $problem ) {
			if ( 'error' === $problem['level'] ) {
				self::back( '' );
			}
		}
		$url = Ahlan_Pairing::connect_url();
		delete_transient( Ahlan_Health::STATE );
		add_filter(
			'allowed_redirect_hosts',
			static function ( $hosts ) use ( $url ) {
				$hosts[] = (string) wp_parse_url( $url, PHP_URL_HOST );
				return $hosts;
			}
		);
		nocache_headers();
		// The nonce is in the address of this one redirect: whoever is told where the browser came from must not learn it.
		header( 'Referrer-Policy: no-referrer' );
		wp_safe_redirect( $url );
		exit;
	}

	/**
	 * The Disconnect button: Ahlan is told, the key is revoked, the connection forgotten.
	 */
	public static function disconnect() {
		self::guard( 'disconnect' );
		Ahlan_Cleanup::say_goodbye();
		Ahlan_Connection::forget();
		self::back( 'disconnected' );
	}

	/**
	 * The button of a copied site: nothing is said to Ahlan, whose shop is another.
	 */
	public static function forget() {
		self::guard( 'forget' );
		Ahlan_Cleanup::say_goodbye();
		Ahlan_Connection::forget();
		self::back( 'forgotten' );
	}

	/**
	 * The form with the settings.
	 */
	public static function save() {
		self::guard( 'save' );
		// phpcs:disable WordPress.Security.NonceVerification.Missing -- `guard` has checked it.
		$shown = isset( $_POST['shown'] ) ? array_map( 'sanitize_key', (array) wp_unslash( $_POST['shown'] ) ) : array();
		Ahlan_Settings::save(
			array(
				'widget'      => ! empty( $_POST['widget'] ),
				'off'         => array_diff( array_keys( Ahlan_Settings::page_types() ), $shown ),
				'side'        => isset( $_POST['side'] ) ? sanitize_key( wp_unslash( $_POST['side'] ) ) : '',
				'accent'      => isset( $_POST['accent'] ) ? sanitize_hex_color( wp_unslash( $_POST['accent'] ) ) : '',
				'support_tab' => ! empty( $_POST['support_tab'] ),
				'withdrawal'  => isset( $_POST['withdrawal'] ) ? sanitize_key( wp_unslash( $_POST['withdrawal'] ) ) : '',
			)
		);
		// phpcs:enable
		// The tab comes or goes.
		update_option( 'wc_ahlan_flush', '1', true );
		/** Page caches keep pages with the tag as it was. */
		do_action( 'wc_ahlan_settings_saved' );
		self::back( 'saved' );
	}

	/**
	 * The form that asks where Ahlan lives.
	 */
	public static function server() {
		self::guard( 'server' );
		// phpcs:ignore WordPress.Security.NonceVerification.Missing -- `guard` has checked it.
		$given = isset( $_POST['server'] ) ? esc_url_raw( trim( sanitize_text_field( wp_unslash( $_POST['server'] ) ) ), array( 'https', 'http' ) ) : '';
		$parts = wp_parse_url( $given );
		$good  = ! empty( $parts['host'] ) && empty( $parts['user'] ) && empty( $parts['query'] ) && empty( $parts['fragment'] );
		// A password would travel with it: only on one's own machine is http good enough.
		$local = in_array( wp_get_environment_type(), array( 'local', 'development' ), true );
		if ( ! $good || ( 'https' !== $parts['scheme'] && ! $local ) ) {
			self::back( 'bad_server' );
		}
		update_option( Ahlan_Connection::SERVER, untrailingslashit( $given ), false );
		self::back( 'saved' );
	}

	/**
	 * The settings page.
	 */
	public static function page() {
		if ( ! current_user_can( self::RIGHT ) ) {
			return;
		}
		echo '<div class="wrap wc-ahlan"><h1>' . esc_html__( 'Ahlan', 'wc-ahlan' ) . '</h1>';
		self::said();
		$problems = Ahlan_Health::problems();
		Ahlan_Admin_View::problems( $problems );
		if ( null === Ahlan_Connection::stored() ) {
			Ahlan_Admin_View::connect( Ahlan_Health::before_connecting() );
		} elseif ( Ahlan_Connection::cloned() ) {
			Ahlan_Admin_View::copied();
		} else {
			Ahlan_Admin_View::connected( Ahlan_Connection::stored(), in_array( 'error', wp_list_pluck( $problems, 'level' ), true ) );
			Ahlan_Admin_View::settings( Ahlan_Settings::all() );
		}
		if ( '' === WC_AHLAN_SERVER && null === Ahlan_Connection::stored() ) {
			Ahlan_Admin_View::server( Ahlan_Connection::server() );
		}
		echo '</div>';
	}

	/**
	 * What the last button did.
	 */
	private static function said() {
		// phpcs:ignore WordPress.Security.NonceVerification.Recommended -- chooses one of our own sentences.
		$code  = isset( $_GET['said'] ) ? sanitize_key( wp_unslash( $_GET['said'] ) ) : '';
		$words = array(
			'saved'        => __( 'Saved. If a page cache is in use, empty it so that shoppers see the change.', 'wc-ahlan' ),
			'disconnected' => __( 'Disconnected. The chat is gone from the shop, and the key of Ahlan was revoked.', 'wc-ahlan' ),
			'forgotten'    => __( 'The connection was forgotten here. The other site keeps it.', 'wc-ahlan' ),
			'bad_server'   => __( 'This is not an address that Ahlan can have. Type it with https, for example https://ahlan.example.com.', 'wc-ahlan' ),
		);
		if ( isset( $words[ $code ] ) ) {
			$class = 'bad_server' === $code ? 'notice-error' : 'notice-success';
			echo '<div class="notice is-dismissible ' . esc_attr( $class ) . '"><p>' . esc_html( $words[ $code ] ) . '</p></div>';
		}
	}

	/**
	 * Only who may, and only from our own form.
	 *
	 * @param string $verb The button.
	 */
	private static function guard( $verb ) {
		if ( ! current_user_can( self::RIGHT ) ) {
			wp_die( esc_html__( 'Ask an administrator or shop manager: this needs the right to manage WooCommerce.', 'wc-ahlan' ), '', array( 'response' => 403 ) );
		}
		check_admin_referer( 'wc_ahlan_' . $verb );
	}

	/**
	 * Back to the settings page.
	 *
	 * @param string $said Which sentence to show.
	 */
	private static function back( $said ) {
		wp_safe_redirect( self::url( self::SETTINGS, '' !== $said ? array( 'said' => $said ) : array() ) );
		exit;
	}
}
