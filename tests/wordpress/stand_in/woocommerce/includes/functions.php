<?php
/**
 * WooCommerce's functions, its products, customers and coupons.
 */

function wc_standin_is_frontend() {
	$rest = WC()->is_rest_api_request();
	return ( ! is_admin() || wp_doing_ajax() ) && ! wp_doing_cron() && ! $rest;
}

function wc_load_cart() {
	if ( ! did_action( 'before_woocommerce_init' ) || doing_action( 'before_woocommerce_init' ) ) {
		_doing_it_wrong( __FUNCTION__, 'It may not be called before before_woocommerce_init.', '3.7.0' );
		return;
	}
	WC()->initialize_session();
	WC()->initialize_cart();
	if ( did_action( 'wp_loaded' ) ) {
		WC()->cart->get_cart_from_session();
	} else {
		add_action( 'wp_loaded', array( WC()->cart, 'get_cart_from_session' ) );
	}
}

function wc_standin_register() {
	register_post_type(
		'product',
		array(
			'label'        => 'Products',
			'public'       => true,
			'has_archive'  => 'shop',
			'rewrite'      => array( 'slug' => 'product' ),
			'show_in_rest' => true,
			'supports'     => array( 'title', 'editor', 'custom-fields' ),
		)
	);
	foreach ( wc_standin_query()->get_query_vars() as $variable ) {
		add_rewrite_endpoint( $variable, EP_ROOT | EP_PAGES );
	}
	add_rewrite_rule( '^wc-auth/v([1]{1})/(.*)?', 'index.php?wc-auth-version=$matches[1]&wc-auth-route=$matches[2]', 'top' );
	if ( 'yes' === get_option( 'woocommerce_queue_flush_rewrite_rules' ) ) {
		update_option( 'woocommerce_queue_flush_rewrite_rules', 'no' );
		flush_rewrite_rules();
	}
}

add_filter(
	'query_vars',
	function ( $variables ) {
		return array_merge( $variables, array( 'wc-auth-version', 'wc-auth-route' ), array_values( wc_standin_query()->get_query_vars() ) );
	}
);

class WC_Query {
	public function get_query_vars() {
		$variables = array(
			'order-received' => 'order-received',
			'orders'         => 'orders',
			'view-order'     => 'view-order',
			'edit-account'   => 'edit-account',
		);
		return apply_filters( 'woocommerce_get_query_vars', $variables );
	}

	public function get_current_endpoint() {
		global $wp;
		foreach ( $this->get_query_vars() as $key => $variable ) {
			if ( isset( $wp->query_vars[ $variable ] ) ) {
				return $key;
			}
		}
		return '';
	}
}

function wc_standin_query() {
	static $query;
	if ( ! $query ) {
		$query = new WC_Query();
	}
	return $query;
}

function wc_standin_install() {
	global $wpdb;
	require_once ABSPATH . 'wp-admin/includes/upgrade.php';
	foreach ( wc_standin_tables() as $name => $columns ) {
		dbDelta( "CREATE TABLE {$wpdb->prefix}$name (\n$columns\n) {$wpdb->get_charset_collate()};" );
	}
	$capabilities = array( 'manage_woocommerce', 'view_woocommerce_reports', 'edit_shop_orders', 'read_private_shop_orders', 'edit_others_shop_orders' );
	add_role( 'customer', 'Customer', array( 'read' => true ) );
	add_role( 'shop_manager', 'Shop manager', array( 'read' => true, 'list_users' => true, 'edit_posts' => true ) );
	foreach ( array( 'administrator', 'shop_manager' ) as $name ) {
		foreach ( $capabilities as $capability ) {
			get_role( $name )->add_cap( $capability );
		}
	}
	add_option( 'woocommerce_currency', 'JOD' );
	add_option( 'woocommerce_price_num_decimals', '3' );
	add_option( 'woocommerce_default_country', 'JO' );
	add_option( 'woocommerce_coming_soon', 'no' );
	add_option( 'woocommerce_store_pages_only', 'no' );
	foreach ( array( 'cart', 'checkout', 'my-account' ) as $slug ) {
		$short = 'my-account' === $slug ? 'myaccount' : $slug;
		if ( ! get_option( "woocommerce_{$short}_page_id" ) ) {
			$page = array(
				'post_type'    => 'page',
				'post_status'  => 'publish',
				'post_name'    => $slug,
				'post_title'   => ucwords( str_replace( '-', ' ', $slug ) ),
				'post_content' => '[woocommerce_' . str_replace( '-', '_', $slug ) . ']',
			);
			update_option( "woocommerce_{$short}_page_id", wp_insert_post( $page ) );
		}
	}
	update_option( 'woocommerce_queue_flush_rewrite_rules', 'yes' );
	update_option( 'woocommerce_version', WC_VERSION );
}

function wc_standin_tables() {
	return array(
		'woocommerce_sessions' => "session_id bigint(20) NOT NULL AUTO_INCREMENT,\nsession_key char(32) NOT NULL,\nsession_value longtext NOT NULL,\nsession_expiry bigint(20) NOT NULL,\nPRIMARY KEY  (session_id),\nUNIQUE KEY session_key (session_key)",
		'woocommerce_api_keys' => "key_id bigint(20) NOT NULL AUTO_INCREMENT,\nuser_id bigint(20) NOT NULL,\ndescription varchar(200) NULL,\npermissions varchar(10) NOT NULL,\nconsumer_key char(64) NOT NULL,\nconsumer_secret char(43) NOT NULL,\ntruncated_key char(7) NOT NULL,\nPRIMARY KEY  (key_id)",
		'wc_orders'            => "id bigint(20) NOT NULL,\nstatus varchar(20) NOT NULL,\ncustomer_id bigint(20) NOT NULL,\nbilling_email varchar(320) NOT NULL,\ndate_created_gmt datetime NOT NULL,\ndate_updated_gmt datetime NOT NULL,\ndata longtext NOT NULL,\nPRIMARY KEY  (id)",
		'wc_webhooks'          => "webhook_id bigint(20) NOT NULL AUTO_INCREMENT,\nstatus varchar(200) NOT NULL,\nname text NOT NULL,\nuser_id bigint(20) NOT NULL,\ndelivery_url text NOT NULL,\nsecret text NOT NULL,\ntopic varchar(200) NOT NULL,\nPRIMARY KEY  (webhook_id)",
		'actionscheduler_actions' => "action_id bigint(20) NOT NULL AUTO_INCREMENT,\nhook varchar(191) NOT NULL,\nstatus varchar(20) NOT NULL,\nscheduled_at bigint(20) NOT NULL,\nevery bigint(20) NOT NULL,\nargs text NOT NULL,\nslug varchar(255) NOT NULL,\nPRIMARY KEY  (action_id)",
	);
}

function get_woocommerce_currency() {
	return apply_filters( 'woocommerce_currency', get_option( 'woocommerce_currency' ) );
}

function wc_get_price_decimals() {
	return (int) get_option( 'woocommerce_price_num_decimals', 2 );
}

function wc_format_decimal( $number, $dp = false, $trim_zeros = false ) {
	return false === $dp ? (string) $number : number_format( (float) $number, '' === $dp ? wc_get_price_decimals() : (int) $dp, '.', '' );
}

function wc_clean( $value ) {
	return is_array( $value ) ? array_map( 'wc_clean', $value ) : sanitize_text_field( $value );
}

function wc_string_to_bool( $value ) {
	return is_bool( $value ) ? $value : in_array( strtolower( (string) $value ), array( 'yes', '1', 'true' ), true );
}

function wc_bool_to_string( $value ) {
	return wc_string_to_bool( $value ) ? 'yes' : 'no';
}

function wc_get_page_id( $page ) {
	if ( 'shop' === $page ) {
		return (int) get_option( 'woocommerce_shop_page_id', -1 );
	}
	$page = apply_filters( "woocommerce_get_{$page}_page_id", get_option( "woocommerce_{$page}_page_id" ) );
	return $page ? absint( $page ) : -1;
}

function wc_get_page_permalink( $page, $fallback = null ) {
	if ( 'shop' === $page ) {
		return get_post_type_archive_link( 'product' );
	}
	$id   = wc_get_page_id( $page );
	$link = 0 < $id ? get_permalink( $id ) : ( $fallback ?? get_home_url() );
	return apply_filters( "woocommerce_get_{$page}_page_permalink", $link );
}

function wc_get_cart_url() {
	return apply_filters( 'woocommerce_get_cart_url', wc_get_page_permalink( 'cart' ) );
}

function wc_get_checkout_url() {
	return apply_filters( 'woocommerce_get_checkout_url', wc_get_page_permalink( 'checkout' ) );
}

function wc_get_endpoint_url( $endpoint, $value = '', $permalink = '' ) {
	$variables = wc_standin_query()->get_query_vars();
	$endpoint  = ! empty( $variables[ $endpoint ] ) ? $variables[ $endpoint ] : $endpoint;
	$permalink = $permalink ? $permalink : get_permalink();
	return user_trailingslashit( trailingslashit( $permalink ) . $endpoint . ( $value ? "/$value" : '' ) );
}

function wc_get_account_endpoint_url( $endpoint ) {
	$account = wc_get_page_permalink( 'myaccount' );
	return 'dashboard' === $endpoint ? $account : wc_get_endpoint_url( $endpoint, '', $account );
}

function wc_get_account_menu_items() {
	$items = array(
		'dashboard'       => __( 'Dashboard', 'woocommerce' ),
		'orders'          => __( 'Orders', 'woocommerce' ),
		'edit-account'    => __( 'Account details', 'woocommerce' ),
		'customer-logout' => __( 'Log out', 'woocommerce' ),
	);
	return apply_filters( 'woocommerce_account_menu_items', $items, array() );
}

function is_wc_endpoint_url( $endpoint = false ) {
	global $wp;
	$variables = wc_standin_query()->get_query_vars();
	if ( false === $endpoint ) {
		return (bool) array_intersect( array_values( $variables ), array_keys( $wp->query_vars ) );
	}
	return isset( $variables[ $endpoint ], $wp->query_vars[ $variables[ $endpoint ] ] );
}

function is_cart() {
	return is_page( wc_get_page_id( 'cart' ) ) || defined( 'WOOCOMMERCE_CART' );
}

function is_checkout() {
	return is_page( wc_get_page_id( 'checkout' ) ) || defined( 'WOOCOMMERCE_CHECKOUT' );
}

function is_order_received_page() {
	return is_page( wc_get_page_id( 'checkout' ) ) && is_wc_endpoint_url( 'order-received' );
}

function is_account_page() {
	return is_page( wc_get_page_id( 'myaccount' ) );
}

function is_shop() {
	return is_post_type_archive( 'product' );
}

function is_product() {
	return is_singular( 'product' );
}

function is_product_category( $term = '' ) {
	return is_tax( 'product_cat', $term );
}

function is_product_taxonomy() {
	return is_tax( 'product_cat' );
}

function is_woocommerce() {
	return is_shop() || is_product() || is_product_taxonomy();
}

function wc_get_page_screen_id( $for ) {
	return 'shop-order' === $for || 'shop_order' === $for ? 'woocommerce_page_wc-orders' : $for;
}

function wc_rand_hash( $prefix = '' ) {
	return $prefix . bin2hex( random_bytes( 20 ) );
}

function wc_api_hash( $data ) {
	return hash_hmac( 'sha256', $data, 'wc-api' );
}

function wc_rest_check_user_permissions() {
	return current_user_can( 'manage_woocommerce' );
}

function wc_get_logger() {
	static $logger;
	if ( ! $logger ) {
		$logger = new class() {
			public function __call( $level, $arguments ) {
				error_log( "woocommerce $level: $arguments[0]" ); // phpcs:ignore
			}
		};
	}
	return $logger;
}

function wc_get_product( $product = false ) {
	$post = get_post( $product instanceof WC_Product ? $product->get_id() : $product );
	return $post && 'product' === $post->post_type ? new WC_Product( $post ) : false;
}

class WC_Product {
	private $post;

	public function __construct( $post ) {
		$this->post = get_post( $post );
	}

	public function get_id() {
		return $this->post->ID;
	}

	public function get_name() {
		return $this->post->post_title;
	}

	public function get_title() {
		return $this->post->post_title;
	}

	public function get_price() {
		return (string) get_post_meta( $this->post->ID, '_price', true );
	}

	public function get_sku() {
		return '';
	}

	public function get_type() {
		return 'simple';
	}

	public function is_type( $type ) {
		return in_array( 'simple', (array) $type, true );
	}

	public function get_parent_id() {
		return 0;
	}

	public function get_permalink() {
		return get_permalink( $this->post );
	}

	public function get_image_id() {
		return 0;
	}

	public function is_visible() {
		return 'publish' === $this->post->post_status;
	}

	public function is_purchasable() {
		return 'publish' === $this->post->post_status;
	}
}

class WC_Customer {
	private $id;

	public function __construct( $id = 0 ) {
		$this->id = (int) ( is_object( $id ) ? $id->ID : $id );
	}

	private function user() {
		return $this->id ? get_userdata( $this->id ) : null;
	}

	public function get_id() {
		return $this->id;
	}

	public function get_email() {
		return $this->user() ? $this->user()->user_email : '';
	}

	public function get_billing_email() {
		$typed = WC()->session ? (array) WC()->session->get( 'customer' ) : array();
		return (string) ( $typed['email'] ?? $this->get_email() );
	}

	public function set_billing_email( $email ) {
		if ( WC()->session ) {
			WC()->session->set( 'customer', array( 'email' => sanitize_email( $email ) ) );
		}
	}

	public function get_first_name() {
		return $this->user() ? $this->user()->first_name : '';
	}

	public function get_last_name() {
		return $this->user() ? $this->user()->last_name : '';
	}

	public function get_display_name() {
		return $this->user() ? $this->user()->display_name : '';
	}
}

function wc_standin_coupon( $code ) {
	return in_array( wc_format_coupon_code( $code ), array( 'welcome10', 'summer' ), true );
}

function wc_format_coupon_code( $code ) {
	return strtolower( trim( wp_strip_all_tags( $code ) ) );
}

function wc_add_notice( $message, $type = 'success' ) {
	if ( WC()->session ) {
		$notices            = (array) WC()->session->get( 'wc_notices', array() );
		$notices[ $type ][] = array( 'notice' => $message );
		WC()->session->set( 'wc_notices', $notices );
	}
}

// Customers have no business in wp-admin, and no bar of it in the shop.
add_filter(
	'show_admin_bar',
	function ( $show ) {
		return current_user_can( 'edit_posts' ) || current_user_can( 'manage_woocommerce' ) ? $show : false;
	}
);
add_action(
	'admin_init',
	function () {
		$may = current_user_can( 'edit_posts' ) || current_user_can( 'manage_woocommerce' );
		if ( ! wp_doing_ajax() && ! $may && is_user_logged_in() ) {
			wp_safe_redirect( wc_get_page_permalink( 'myaccount' ) );
			exit;
		}
	}
);

/** A cookie of the shop's: for the whole site, and only while headers can still be sent. */
function wc_setcookie( $name, $value, $expire = 0, $secure = false, $httponly = false ) {
	if ( ! headers_sent() ) {
		setcookie( $name, $value, $expire, COOKIEPATH ? COOKIEPATH : '/', COOKIE_DOMAIN, $secure, $httponly );
	}
}
