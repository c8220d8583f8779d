<?php
/**
 * The way out of a contract, for shoppers in the European Union.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Article 11a of Directive 2011/83/EU: a link at the end of every page, a page of the shop, a shortcode, a block and a
 * button on each order. All lead to the same screens. Nobody has to sign in.
 */
final class Ahlan_Withdrawal {

	const SHORTCODE = 'ahlan_withdrawal';
	const BLOCK     = 'wc-ahlan/withdrawal';
	const PATH      = 'withdrawal';
	const VARIABLE  = 'wc_ahlan_withdrawal';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'init', array( __CLASS__, 'register' ) );
		add_filter( 'query_vars', array( __CLASS__, 'variables' ) );
		add_action( 'parse_request', array( __CLASS__, 'route' ) );
		add_action( 'template_redirect', array( __CLASS__, 'show' ), 0 );
		add_action( 'wp_footer', array( __CLASS__, 'link' ), 5 );
		add_filter( 'woocommerce_my_account_my_orders_actions', array( __CLASS__, 'actions' ), 11 );
	}

	/**
	 * What the link says, by the language of the page: the words of the directive's own versions; Arabic and Hebrew are ours.
	 *
	 * @return array<string,string>
	 */
	public static function labels() {
		return array(
			'bg' => 'Откажете се от договора тук',
			'cs' => 'Zde odstoupit od smlouvy',
			'da' => 'Fortryd aftale',
			'de' => 'Vertrag widerrufen',
			'el' => 'Πατήστε εδώ για υπαναχώρηση',
			'en' => 'Withdraw from contract here',
			'es' => 'Desistir del contrato aquí',
			'et' => 'Taganen lepingust',
			'fi' => 'Peruuta sopimus tästä',
			'fr' => 'Renoncer au contrat ici',
			'ga' => 'Tarraing siar ón gconradh anseo',
			'hr' => 'Odustati od ugovora',
			'hu' => 'Elállás a szerződéstől',
			'it' => 'Recedere dal contratto qui',
			'lt' => 'Atsisakyti sutarties čia',
			'lv' => 'Atteikties no līguma',
			'mt' => 'Irtira mill-kuntratt hawnhekk',
			'nl' => 'Hier de overeenkomst herroepen',
			'pl' => 'Odstąp od umowy tutaj',
			'pt' => 'Retrate-se do contrato aqui',
			'ro' => 'Retrageți-vă din contract aici',
			'sk' => 'Odstúpiť od zmluvy tu',
			'sl' => 'Kliknite tukaj za odstop od pogodbe',
			'sv' => 'Ångra avtalet här',
			'ar' => 'العدول عن العقد من هنا',
			'he' => 'לביטול העסקה כאן',
		);
	}

	/**
	 * The label in the language of this page.
	 *
	 * @return string
	 */
	public static function label() {
		$labels   = self::labels();
		$language = Ahlan_Screens::language();
		return isset( $labels[ $language ] ) ? $labels[ $language ] : $labels['en'];
	}

	/**
	 * Whether the function is shown: as the settings say, else while the shop sells into the European Union.
	 *
	 * @return bool
	 */
	public static function shown() {
		$chosen = Ahlan_Settings::all()['withdrawal'];
		$shown  = 'on' === $chosen || ( 'auto' === $chosen && self::sells() );
		/**
		 * Whether the way out of a contract is shown.
		 *
		 * @param bool $shown What the settings say.
		 */
		return null !== Ahlan_Connection::current() && (bool) apply_filters( 'wc_ahlan_show_withdrawal', $shown );
	}

	/**
	 * Whether the shop sells into one of the member states, by WooCommerce's own list of countries that it sells to.
	 *
	 * @return bool
	 */
	public static function sells() {
		$countries = WC()->countries;
		$allowed   = array_keys( $countries->get_allowed_countries() );
		$members   = array( 'AT', 'BE', 'BG', 'CY', 'CZ', 'DE', 'DK', 'EE', 'ES', 'FI', 'FR', 'GR', 'HR', 'HU', 'IE', 'IT', 'LT', 'LU', 'LV', 'MT', 'NL', 'PL', 'PT', 'RO', 'SE', 'SI', 'SK' );
		return array() !== array_intersect( $allowed, $members );
	}

	/**
	 * The shortcode and the block.
	 */
	public static function register() {
		add_shortcode( self::SHORTCODE, array( __CLASS__, 'markup' ) );
		Ahlan_Blocks::register( self::BLOCK, self::label(), 'dismiss', array( __CLASS__, 'markup' ) );
	}

	/**
	 * The screens.
	 *
	 * @return string
	 */
	public static function markup() {
		return Ahlan_Screens::markup(
			array(
				'data-screen' => 'withdrawal',
				'data-title'  => self::label(),
			)
		);
	}

	/**
	 * The link at the end of every page.
	 */
	public static function link() {
		if ( ! self::shown() ) {
			return;
		}
		printf(
			'<p class="wc-ahlan-withdrawal" style="margin:0;padding:12px 16px;text-align:center"><a href="%1$s">%2$s</a></p>',
			esc_url( self::address() ),
			esc_html( self::label() )
		);
	}

	/**
	 * A button on every order.
	 *
	 * @param array<string,array<string,string>> $actions What the order's row offers.
	 * @return array<string,array<string,string>>
	 */
	public static function actions( $actions ) {
		if ( self::shown() ) {
			$actions['ahlan-withdrawal'] = array(
				'url'  => self::address(),
				'name' => self::label(),
			);
		}
		return $actions;
	}

	/**
	 * Where the page is. With plain permalinks no address but the front page's reaches WordPress.
	 *
	 * @return string
	 */
	public static function address() {
		global $wp_rewrite;
		return $wp_rewrite->using_permalinks()
			? Ahlan_Address::of( self::PATH )
			: add_query_arg( self::VARIABLE, '1', home_url( '/' ) );
	}

	/**
	 * Let WordPress keep our part of the address.
	 *
	 * @param string[] $names Known names.
	 * @return string[]
	 */
	public static function variables( $names ) {
		$names[] = self::VARIABLE;
		return $names;
	}

	/**
	 * Take a request for the page. A page of the shop that has the address already goes first: it has the shortcode.
	 *
	 * @param WP $wp The request as WordPress read it.
	 */
	public static function route( $wp ) {
		if ( '' === Ahlan_Address::below( $wp, self::PATH ) ) {
			$wp->query_vars = array( self::VARIABLE => '1' );
		}
	}

	/**
	 * Show the page, if this is it. Also while the link is not shown: whoever has the address may declare.
	 */
	public static function show() {
		if ( '1' !== get_query_var( self::VARIABLE ) || null === Ahlan_Connection::current() ) {
			return;
		}
		add_filter( 'pre_get_document_title', array( __CLASS__, 'label' ), PHP_INT_MAX );
		Ahlan_Theme::around( 200, array( __CLASS__, 'body' ) );
	}

	/**
	 * The page itself.
	 */
	public static function body() {
		echo '<main id="wc-ahlan-withdrawal" style="max-width:720px;margin:32px auto;padding:0 16px">';
		// Made of attributes that WordPress escapes itself.
		echo self::markup(); // phpcs:ignore WordPress.Security.EscapeOutput.OutputNotEscaped
		echo '</main>';
	}
}
