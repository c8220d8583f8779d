<?php
/**
 * The cart, with the hooks of WooCommerce's own in their order.
 */

class WC_Cart {
	public $cart_contents   = array();
	public $applied_coupons = array();
	public $removed_cart_contents = array();
	private $totals = array();

	public function __construct() {
		add_action( 'woocommerce_add_to_cart', array( $this, 'calculate_totals' ), 20, 0 );
		add_action( 'woocommerce_applied_coupon', array( $this, 'calculate_totals' ), 20, 0 );
		add_action( 'woocommerce_removed_coupon', array( $this, 'calculate_totals' ), 20, 0 );
		add_action( 'woocommerce_cart_item_removed', array( $this, 'calculate_totals' ), 20, 0 );
		add_action( 'woocommerce_cart_item_restored', array( $this, 'calculate_totals' ), 20, 0 );
		add_action( 'woocommerce_after_calculate_totals', array( $this, 'set_session' ), 1000, 0 );
		add_action( 'wp', array( $this, 'maybe_set_cart_cookies' ), 99 );
		add_action( 'shutdown', array( $this, 'maybe_set_cart_cookies' ), 0 );
	}

	public function get_cart_from_session() {
		do_action( 'woocommerce_load_cart_from_session' );
		foreach ( (array) WC()->session->get( 'cart', array() ) as $key => $item ) {
			$product = wc_get_product( $item['product_id'] );
			if ( $product ) {
				$this->cart_contents[ $key ] = array_merge( $item, array( 'data' => $product ) );
			}
		}
		$this->applied_coupons = array_values( (array) WC()->session->get( 'applied_coupons', array() ) );
		do_action( 'woocommerce_cart_loaded_from_session', $this );
		$this->sum();
	}

	public function set_session() {
		WC()->session->set( 'cart', $this->get_cart_for_session() );
		WC()->session->set( 'applied_coupons', $this->applied_coupons );
		do_action( 'woocommerce_cart_updated' );
	}

	public function get_cart_for_session() {
		return array_map(
			function ( $item ) {
				unset( $item['data'] );
				return $item;
			},
			$this->cart_contents
		);
	}

	public function maybe_set_cart_cookies() {
		if ( headers_sent() || ! did_action( 'wp_loaded' ) ) {
			return;
		}
		if ( ! $this->is_empty() ) {
			$this->cookies( true );
		} elseif ( isset( $_COOKIE['woocommerce_items_in_cart'] ) ) {
			$this->cookies( false );
		}
	}

	private function cookies( $set ) {
		$until = $set ? 0 : time() - HOUR_IN_SECONDS;
		setcookie( 'woocommerce_items_in_cart', $set ? '1' : '0', $until, '/', COOKIE_DOMAIN, is_ssl() );
		setcookie( 'woocommerce_cart_hash', $set ? $this->get_cart_hash() : '', $until, '/', COOKIE_DOMAIN, is_ssl() );
		do_action( 'woocommerce_set_cart_cookies', $set );
	}

	public function get_cart() {
		if ( ! did_action( 'woocommerce_load_cart_from_session' ) ) {
			_doing_it_wrong( __METHOD__, 'Get cart should not be called before the wp_loaded action.', '2.3' );
			$this->get_cart_from_session();
		}
		return array_filter( $this->cart_contents );
	}

	public function get_cart_contents() {
		return $this->cart_contents;
	}

	public function get_cart_item( $key ) {
		return $this->cart_contents[ $key ] ?? array();
	}

	public function get_cart_contents_count() {
		return array_sum( wp_list_pluck( $this->cart_contents, 'quantity' ) );
	}

	public function is_empty() {
		return ! $this->get_cart();
	}

	public function get_cart_hash() {
		return $this->cart_contents ? md5( wp_json_encode( $this->get_cart_for_session() ) . $this->get_total( 'edit' ) ) : '';
	}

	public function get_applied_coupons() {
		return $this->applied_coupons;
	}

	public function has_discount( $code = '' ) {
		return $code ? in_array( wc_format_coupon_code( $code ), $this->applied_coupons, true ) : (bool) $this->applied_coupons;
	}

	public function generate_cart_id( $product_id, $variation_id = 0, $variation = array(), $data = array() ) {
		return md5( implode( '_', array( $product_id, $variation_id, wp_json_encode( $data ) ) ) );
	}

	public function add_to_cart( $product_id = 0, $quantity = 1, $variation_id = 0, $variation = array(), $cart_item_data = array() ) {
		$product = wc_get_product( $variation_id ? $variation_id : $product_id );
		if ( $quantity <= 0 || ! $product || ! $product->is_purchasable() ) {
			return false;
		}
		$cart_item_data = (array) apply_filters( 'woocommerce_add_cart_item_data', $cart_item_data, $product_id, $variation_id, $quantity );
		$key            = $this->generate_cart_id( $product_id, $variation_id, $variation, $cart_item_data );
		if ( isset( $this->cart_contents[ $key ] ) ) {
			$this->set_quantity( $key, $this->cart_contents[ $key ]['quantity'] + $quantity, false );
		} else {
			$item = array_merge(
				$cart_item_data,
				array(
					'key'          => $key,
					'product_id'   => (int) $product_id,
					'variation_id' => (int) $variation_id,
					'variation'    => $variation,
					'quantity'     => $quantity,
					'data'         => $product,
				)
			);
			$this->cart_contents[ $key ] = apply_filters( 'woocommerce_add_cart_item', $item, $key );
		}
		$this->cart_contents = apply_filters( 'woocommerce_cart_contents_changed', $this->cart_contents );
		do_action( 'woocommerce_add_to_cart', $key, $product_id, $quantity, $variation_id, $variation, $cart_item_data );
		return $key;
	}

	public function set_quantity( $key, $quantity = 1, $refresh_totals = true ) {
		if ( ! $quantity || $quantity < 0 ) {
			return $this->remove_cart_item( $key );
		}
		$before                                  = $this->cart_contents[ $key ]['quantity'];
		$this->cart_contents[ $key ]['quantity'] = $quantity;
		do_action( 'woocommerce_after_cart_item_quantity_update', $key, $quantity, $before, $this );
		if ( $refresh_totals ) {
			$this->calculate_totals();
		}
		return true;
	}

	public function remove_cart_item( $key ) {
		if ( ! isset( $this->cart_contents[ $key ] ) ) {
			return false;
		}
		$this->removed_cart_contents[ $key ] = $this->cart_contents[ $key ];
		do_action( 'woocommerce_remove_cart_item', $key, $this );
		unset( $this->cart_contents[ $key ] );
		do_action( 'woocommerce_cart_item_removed', $key, $this );
		return true;
	}

	public function restore_cart_item( $key ) {
		if ( ! isset( $this->removed_cart_contents[ $key ] ) ) {
			return false;
		}
		$this->cart_contents[ $key ] = $this->removed_cart_contents[ $key ];
		do_action( 'woocommerce_restore_cart_item', $key, $this );
		unset( $this->removed_cart_contents[ $key ] );
		do_action( 'woocommerce_cart_item_restored', $key, $this );
		return true;
	}

	public function apply_coupon( $code ) {
		$code = wc_format_coupon_code( $code );
		if ( ! wc_standin_coupon( $code ) || $this->has_discount( $code ) ) {
			return false;
		}
		$this->applied_coupons[] = $code;
		do_action( 'woocommerce_applied_coupon', $code );
		return true;
	}

	public function remove_coupon( $code ) {
		$code     = wc_format_coupon_code( $code );
		$position = array_search( $code, $this->applied_coupons, true );
		if ( false === $position ) {
			return false;
		}
		array_splice( $this->applied_coupons, $position, 1 );
		do_action( 'woocommerce_removed_coupon', $code );
		return true;
	}

	public function empty_cart( $clear_persistent_cart = true ) {
		do_action( 'woocommerce_before_cart_emptied', $clear_persistent_cart );
		$this->cart_contents   = array();
		$this->applied_coupons = array();
		$this->sum();
		WC()->session->set( 'cart', array() );
		WC()->session->set( 'applied_coupons', array() );
		do_action( 'woocommerce_cart_emptied', $clear_persistent_cart );
	}

	public function calculate_totals() {
		do_action( 'woocommerce_before_calculate_totals', $this );
		$this->sum();
		do_action( 'woocommerce_after_calculate_totals', $this );
	}

	private function sum() {
		$before = 0;
		foreach ( $this->cart_contents as $key => $item ) {
			$line                                         = (float) $item['data']->get_price() * $item['quantity'];
			$before                                      += $line;
			$this->cart_contents[ $key ]['line_subtotal'] = $line;
			$this->cart_contents[ $key ]['line_total']    = $this->applied_coupons ? $line * 0.9 : $line;
		}
		$this->totals = array(
			'subtotal' => $before,
			'total'    => wc_format_decimal( $this->applied_coupons ? $before * 0.9 : $before, '' ),
		);
	}

	public function get_total( $context = 'view' ) {
		$total = $this->totals['total'] ?? '0';
		return 'view' === $context ? wp_strip_all_tags( $total . ' ' . get_woocommerce_currency() ) : $total;
	}

	public function get_subtotal() {
		return $this->totals['subtotal'] ?? 0;
	}

	public function get_totals() {
		return $this->totals;
	}
}
