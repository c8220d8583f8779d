<?php
/**
 * The Store API, which the cart and checkout blocks speak: wc/store/v1.
 */

function wc_standin_store_cart() {
	$items = array();
	$minor = pow( 10, wc_get_price_decimals() );
	foreach ( WC()->cart->get_cart() as $key => $item ) {
		$items[] = array(
			'key'      => $key,
			'id'       => $item['variation_id'] ? $item['variation_id'] : $item['product_id'],
			'quantity' => $item['quantity'],
			'name'     => $item['data']->get_name(),
			'prices'   => array( 'price' => (string) round( (float) $item['data']->get_price() * $minor ) ),
		);
	}
	$coupons = array();
	foreach ( WC()->cart->get_applied_coupons() as $code ) {
		$coupons[] = array( 'code' => $code );
	}
	return array(
		'items'   => $items,
		'coupons' => $coupons,
		'totals'  => array(
			'total_price'         => (string) round( (float) WC()->cart->get_total( 'edit' ) * $minor ),
			'currency_code'       => get_woocommerce_currency(),
			'currency_minor_unit' => wc_get_price_decimals(),
		),
	);
}

function wc_standin_store_error( $code, $message, $status ) {
	return new WP_Error( "woocommerce_rest_$code", $message, array( 'status' => $status ) );
}

/** A route whose handler meets a loaded cart; what changes something needs the nonce that the pages carry. */
function wc_standin_store_route( $path, $method, $handler ) {
	$callback = function ( $request ) use ( $method, $handler ) {
		wc_load_cart();
		WC()->cart->calculate_totals();
		if ( 'GET' !== $method && ! wp_verify_nonce( (string) $request->get_header( 'Nonce' ), 'wc_store_api' ) ) {
			$missing = null === $request->get_header( 'Nonce' );
			return wc_standin_store_error( $missing ? 'missing_nonce' : 'invalid_nonce', 'Nonce is invalid.', $missing ? 401 : 403 );
		}
		$given  = $handler( $request );
		$answer = is_wp_error( $given ) ? rest_convert_error_to_response( $given ) : rest_ensure_response( $given );
		$answer->header( 'Nonce', wp_create_nonce( 'wc_store_api' ) );
		WC()->cart->maybe_set_cart_cookies();
		WC()->session->save_data();
		return $answer;
	};
	register_rest_route( 'wc/store/v1', $path, array( 'methods' => $method, 'callback' => $callback, 'permission_callback' => '__return_true' ) );
}

// Like WooCommerce, the Store API knows the cookie without WordPress's own REST nonce: it has one of its own.
add_filter(
	'rest_authentication_errors',
	function ( $result ) {
		if ( false !== strpos( $_SERVER['REQUEST_URI'] ?? '', '/wc/store/' ) && is_user_logged_in() ) {
			return true;
		}
		return $result;
	},
	20
);

add_action(
	'rest_api_init',
	function () {
		wc_standin_store_route( '/cart', 'GET', 'wc_standin_store_cart' );
		wc_standin_store_route(
			'/cart/add-item',
			'POST',
			function ( $request ) {
				// WooCommerce's own controller puts the item in by itself and calls the hook; the order of hooks is the same.
				if ( ! WC()->cart->add_to_cart( absint( $request['id'] ), max( 1, (int) $request['quantity'] ) ) ) {
					return wc_standin_store_error( 'cart_invalid_product', 'This product cannot be added to the cart.', 400 );
				}
				return new WP_REST_Response( wc_standin_store_cart(), 201 );
			}
		);
		wc_standin_store_route(
			'/cart/update-item',
			'POST',
			function ( $request ) {
				if ( ! WC()->cart->get_cart_item( $request['key'] ) ) {
					return wc_standin_store_error( 'cart_invalid_key', 'Cart item no longer exists or is invalid.', 409 );
				}
				WC()->cart->set_quantity( $request['key'], (int) $request['quantity'] );
				return wc_standin_store_cart();
			}
		);
		wc_standin_store_route(
			'/cart/remove-item',
			'POST',
			function ( $request ) {
				if ( ! WC()->cart->remove_cart_item( $request['key'] ) ) {
					return wc_standin_store_error( 'cart_invalid_key', 'Cart item no longer exists or is invalid.', 409 );
				}
				return wc_standin_store_cart();
			}
		);
		wc_standin_store_route(
			'/cart/apply-coupon',
			'POST',
			function ( $request ) {
				return WC()->cart->apply_coupon( $request['code'] ) ? wc_standin_store_cart() : wc_standin_store_error( 'cart_coupon_error', 'This coupon does not exist.', 400 );
			}
		);
		wc_standin_store_route(
			'/cart/remove-coupon',
			'POST',
			function ( $request ) {
				return WC()->cart->remove_coupon( $request['code'] ) ? wc_standin_store_cart() : wc_standin_store_error( 'cart_coupon_error', 'This coupon is not applied.', 400 );
			}
		);
		wc_standin_store_route(
			'/cart/update-customer',
			'POST',
			function ( $request ) {
				WC()->customer->set_billing_email( $request['billing_address']['email'] ?? '' );
				do_action( 'woocommerce_store_api_cart_update_customer_from_request', WC()->customer, $request );
				return wc_standin_store_cart();
			}
		);
		wc_standin_store_route(
			'/checkout',
			'POST',
			function ( $request ) {
				if ( WC()->cart->is_empty() ) {
					return wc_standin_store_error( 'cart_empty', 'Cannot place an order, your cart is empty.', 400 );
				}
				$order = new WC_Order();
				$order->set_created_via( 'store-api' );
				$order->set_customer_id( get_current_user_id() );
				$order->set_billing( (array) $request['billing_address'] );
				$order->add_cart( WC()->cart );
				$order->update_status( 'checkout-draft' );
				do_action( 'woocommerce_store_api_checkout_update_order_meta', $order );
				do_action( 'woocommerce_store_api_checkout_update_order_from_request', $order, $request );
				$order->update_status( 'pending' );
				do_action( 'woocommerce_store_api_checkout_order_processed', $order );
				wc_standin_pay( $order );
				return array( 'order_id' => $order->get_id(), 'status' => $order->get_status(), 'payment_result' => array( 'payment_status' => 'success', 'redirect_url' => $order->get_checkout_order_received_url() ) );
			}
		);
	}
);
