<?php
/**
 * What a shopper meets: product, cart and checkout pages, the account, coming-soon mode.
 */

// Priority 20 of wp_loaded: after the cart was read from the session.
add_action(
	'wp_loaded',
	function () {
		// phpcs:disable WordPress.Security.NonceVerification
		if ( ! WC()->cart || is_admin() ) {
			return;
		}
		if ( isset( $_REQUEST['add-to-cart'] ) && is_numeric( $_REQUEST['add-to-cart'] ) ) {
			WC()->cart->add_to_cart( absint( $_REQUEST['add-to-cart'] ), absint( $_REQUEST['quantity'] ?? 1 ) );
		} elseif ( isset( $_GET['remove_item'] ) && wp_verify_nonce( $_GET['_wpnonce'] ?? '', 'woocommerce-cart' ) ) {
			WC()->cart->remove_cart_item( sanitize_text_field( $_GET['remove_item'] ) );
			wp_safe_redirect( wc_get_cart_url() );
			exit;
		} elseif ( isset( $_GET['undo_item'] ) && wp_verify_nonce( $_GET['_wpnonce'] ?? '', 'woocommerce-cart' ) ) {
			WC()->cart->restore_cart_item( sanitize_text_field( $_GET['undo_item'] ) );
		} elseif ( isset( $_POST['woocommerce-cart-nonce'] ) && wp_verify_nonce( $_POST['woocommerce-cart-nonce'], 'woocommerce-cart' ) ) {
			foreach ( (array) ( $_POST['cart'] ?? array() ) as $key => $given ) {
				$item = WC()->cart->get_cart_item( $key );
				if ( $item && (int) $given['qty'] !== (int) $item['quantity'] ) {
					WC()->cart->set_quantity( $key, (int) $given['qty'], false );
				}
			}
			if ( ! empty( $_POST['apply_coupon'] ) ) {
				WC()->cart->apply_coupon( $_POST['coupon_code'] );
			}
			WC()->cart->calculate_totals();
		} elseif ( isset( $_GET['remove_coupon'] ) ) {
			WC()->cart->remove_coupon( rawurldecode( $_GET['remove_coupon'] ) );
		}
		// phpcs:enable
	},
	20
);

// ?wc-ajax=…: what the classic pages ask from the browser.
add_action(
	'template_redirect',
	function () {
		global $wp_query;
		$action = sanitize_text_field( wp_unslash( $_GET['wc-ajax'] ?? '' ) ); // phpcs:ignore
		if ( ! $action ) {
			return;
		}
		define( 'DOING_AJAX', true );
		define( 'WC_DOING_AJAX', true );
		nocache_headers();
		$wp_query->set( 'wc-ajax', $action );
		do_action( "wc_ajax_$action" );
		wp_die();
	},
	0
);
add_action(
	'wc_ajax_add_to_cart',
	function () {
		$id = absint( $_POST['product_id'] ); // phpcs:ignore
		if ( WC()->cart->add_to_cart( $id, absint( $_POST['quantity'] ?? 1 ) ) ) { // phpcs:ignore
			do_action( 'woocommerce_ajax_added_to_cart', $id );
		}
		wp_send_json( array( 'fragments' => array(), 'cart_hash' => WC()->cart->get_cart_hash() ) );
	}
);
add_action(
	'wc_ajax_checkout',
	function () {
		define( 'WOOCOMMERCE_CHECKOUT', true );
		if ( ! wp_verify_nonce( $_POST['woocommerce-process-checkout-nonce'] ?? '', 'woocommerce-process_checkout' ) || WC()->cart->is_empty() ) {
			wp_send_json( array( 'result' => 'failure' ) );
		}
		$order = wc_standin_checkout( wc_clean( wp_unslash( $_POST ) ) );
		wp_send_json( array( 'result' => 'success', 'order_id' => $order->get_id(), 'redirect' => $order->get_checkout_order_received_url() ) );
	}
);
add_action(
	'wc_ajax_update_order_review',
	function () {
		define( 'WOOCOMMERCE_CHECKOUT', true );
		do_action( 'woocommerce_checkout_update_order_review', wp_unslash( $_POST['post_data'] ?? '' ) ); // phpcs:ignore
		WC()->cart->calculate_totals();
		wp_send_json( array( 'result' => 'success' ) );
	}
);

add_filter(
	'the_content',
	function ( $content ) {
		$product = is_singular( 'product' ) && in_the_loop() ? wc_get_product( get_the_ID() ) : null;
		if ( ! $product ) {
			return $content;
		}
		ob_start();
		do_action( 'woocommerce_before_add_to_cart_form' );
		echo '<p class="price">' . esc_html( $product->get_price() . ' ' . get_woocommerce_currency() ) . '</p><form class="cart" method="post"><input type="number" name="quantity" value="1"><button name="add-to-cart" value="' . esc_attr( $product->get_id() ) . '">' . esc_html__( 'Add to cart', 'woocommerce' ) . '</button></form>';
		return $content . ob_get_clean();
	}
);

add_action(
	'init',
	function () {
		add_shortcode( 'woocommerce_cart', 'wc_standin_cart_page' );
		add_shortcode( 'woocommerce_checkout', 'wc_standin_checkout_page' );
		add_shortcode( 'woocommerce_my_account', 'wc_standin_account_page' );
		foreach ( array( 'cart', 'checkout' ) as $name ) {
			$draw = function () use ( $name ) {
				do_action( "woocommerce_blocks_enqueue_{$name}_block_scripts_before" );
				do_action( "woocommerce_blocks_{$name}_enqueue_data" );
				do_action( "woocommerce_blocks_enqueue_{$name}_block_scripts_after" );
				return '<div data-block-name="woocommerce/' . $name . '" class="wp-block-woocommerce-' . $name . ' is-loading"></div>';
			};
			register_block_type( "woocommerce/$name", array( 'render_callback' => $draw ) );
		}
	}
);

function wc_standin_lines() {
	foreach ( WC()->cart->get_cart() as $key => $item ) {
		echo '<tr class="cart_item" data-key="' . esc_attr( $key ) . '"><td>' . esc_html( $item['data']->get_name() ) . '</td><td><input name="cart[' . esc_attr( $key ) . '][qty]" value="' . esc_attr( $item['quantity'] ) . '"></td><td>' . esc_html( $item['line_total'] ) . '</td></tr>';
	}
}

function wc_standin_cart_page() {
	if ( ! WC()->cart ) {
		return '';
	}
	ob_start();
	do_action( 'woocommerce_before_cart' );
	echo '<form class="woocommerce-cart-form" method="post"><table>';
	wc_standin_lines();
	echo '</table><input name="coupon_code"><button name="apply_coupon" value="1">Apply coupon</button><button name="update_cart" value="1">Update cart</button>';
	wp_nonce_field( 'woocommerce-cart', 'woocommerce-cart-nonce' );
	echo '</form><a href="' . esc_url( wc_get_checkout_url() ) . '">Checkout</a>';
	do_action( 'woocommerce_after_cart' );
	return ob_get_clean();
}

function wc_standin_checkout_page() {
	global $wp;
	if ( ! WC()->cart ) {
		return '';
	}
	ob_start();
	if ( isset( $wp->query_vars['order-received'] ) ) {
		$order = wc_get_order( absint( $wp->query_vars['order-received'] ) );
		if ( $order && hash_equals( $order->get_order_key(), $_GET['key'] ?? '' ) ) { // phpcs:ignore
			do_action( 'woocommerce_before_thankyou', $order->get_id() );
			echo '<p class="woocommerce-thankyou-order-received">' . esc_html( $order->get_order_number() ) . '</p>';
			do_action( 'woocommerce_thankyou', $order->get_id() );
		}
		return ob_get_clean();
	}
	if ( WC()->cart->is_empty() ) {
		return '<p>Your cart is empty.</p>';
	}
	do_action( 'woocommerce_before_checkout_form', null );
	echo '<form name="checkout" class="checkout"><input name="billing_first_name"><input name="billing_last_name"><input name="billing_email" value="' . esc_attr( WC()->customer->get_billing_email() ) . '"><table>';
	wc_standin_lines();
	echo '</table>';
	wp_nonce_field( 'woocommerce-process_checkout', 'woocommerce-process-checkout-nonce' );
	do_action( 'woocommerce_review_order_before_submit' );
	echo '<button name="woocommerce_checkout_place_order">Place order</button></form>';
	do_action( 'woocommerce_after_checkout_form', null );
	return ob_get_clean();
}

// The table of orders as WooCommerce's template myaccount/orders.php draws it: what plugins offer on an order are buttons.
function wc_standin_account_orders() {
	echo '<table class="woocommerce-orders-table shop_table shop_table_responsive my_account_orders"><tbody>';
	foreach ( wc_get_orders( array( 'customer_id' => get_current_user_id(), 'limit' => 10 ) ) as $order ) {
		echo '<tr class="woocommerce-orders-table__row"><th scope="row">#' . esc_html( $order->get_order_number() ) . '</th><td>' . esc_html( apply_filters( 'wc_order_statuses', array() )[ 'wc-' . $order->get_status() ] ?? $order->get_status() ) . '</td><td>' . esc_html( $order->get_total() ) . '</td><td>';
		foreach ( apply_filters( 'woocommerce_my_account_my_orders_actions', array(), $order ) as $key => $action ) {
			echo '<a href="' . esc_url( $action['url'] ) . '" class="woocommerce-button wp-element-button button ' . sanitize_html_class( $key ) . '">' . esc_html( $action['name'] ) . '</a> ';
		}
		echo '</td></tr>';
	}
	echo '</tbody></table>';
}
add_action( 'woocommerce_account_orders_endpoint', 'wc_standin_account_orders' );

function wc_standin_account_page() {
	global $wp;
	if ( ! is_user_logged_in() ) {
		return wp_login_form( array( 'echo' => false, 'redirect' => wc_get_page_permalink( 'myaccount' ) ) );
	}
	ob_start();
	echo '<div class="woocommerce"><nav class="woocommerce-MyAccount-navigation"><ul>';
	foreach ( wc_get_account_menu_items() as $endpoint => $label ) {
		$link = 'customer-logout' === $endpoint ? wp_logout_url() : wc_get_account_endpoint_url( $endpoint );
		echo '<li class="woocommerce-MyAccount-navigation-link--' . esc_attr( $endpoint ) . '"><a href="' . esc_url( $link ) . '">' . esc_html( $label ) . '</a></li>';
	}
	echo '</ul></nav><div class="woocommerce-MyAccount-content">';
	$shown = false;
	foreach ( $wp->query_vars as $key => $value ) {
		if ( 'pagename' !== $key && has_action( "woocommerce_account_{$key}_endpoint" ) ) {
			do_action( "woocommerce_account_{$key}_endpoint", $value );
			$shown = true;
			break;
		}
	}
	if ( ! $shown ) {
		echo '<p>Hello ' . esc_html( wp_get_current_user()->display_name ) . '</p>';
		do_action( 'woocommerce_account_dashboard' );
	}
	echo '</div></div>';
	return ob_get_clean();
}

add_filter(
	'the_title',
	function ( $title ) {
		$endpoint = is_main_query() && in_the_loop() && is_page() ? wc_standin_query()->get_current_endpoint() : '';
		return $endpoint ? apply_filters( "woocommerce_endpoint_{$endpoint}_title", $title, $endpoint, '' ) : $title;
	}
);

// Pages of the shop that belong to one person are never to be kept.
add_action(
	'template_redirect',
	function () {
		if ( is_cart() || is_checkout() || is_account_page() ) {
			defined( 'DONOTCACHEPAGE' ) || define( 'DONOTCACHEPAGE', true );
			nocache_headers();
		}
		$soon = 'yes' === get_option( 'woocommerce_coming_soon' );
		$only = 'yes' === get_option( 'woocommerce_store_pages_only' );
		if ( $soon && ! current_user_can( 'manage_woocommerce' ) && ( ! $only || is_woocommerce() || is_cart() || is_checkout() ) ) {
			echo '<!doctype html><html><head><meta charset="utf-8"><meta name="woo-coming-soon-page" content="yes">';
			wp_head();
			echo '</head><body>Coming soon';
			wp_footer();
			echo '</body></html>';
			exit;
		}
	},
	5
);
