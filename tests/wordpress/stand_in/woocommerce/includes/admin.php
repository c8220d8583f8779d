<?php
/**
 * The order screen of high-performance order storage.
 */

add_action(
	'admin_menu',
	function () {
		add_menu_page( 'WooCommerce', 'WooCommerce', 'edit_shop_orders', 'woocommerce', '__return_null', 'dashicons-cart', 55.5 );
		$screen = add_submenu_page( 'woocommerce', 'Orders', 'Orders', 'edit_shop_orders', 'wc-orders', 'wc_standin_order_screen' );
		add_action( "load-$screen", 'wc_standin_order_screen_loads' );
	},
	9
);

function wc_standin_order_on_screen() {
	return 'edit' === ( $_GET['action'] ?? '' ) ? wc_get_order( absint( $_GET['id'] ?? 0 ) ) : null; // phpcs:ignore
}

function wc_standin_order_screen_loads() {
	$order  = wc_standin_order_on_screen();
	$screen = get_current_screen();
	if ( $order ) {
		do_action( 'add_meta_boxes', $screen->id, $order );
		do_action( "add_meta_boxes_{$screen->id}", $order );
	}
}

function wc_standin_order_screen() {
	$order = wc_standin_order_on_screen();
	echo '<div class="wrap">';
	if ( ! $order ) {
		echo '<h1>Orders</h1><ul>';
		foreach ( wc_get_orders( array( 'limit' => 50 ) ) as $one ) {
			echo '<li><a href="' . esc_url( $one->get_edit_order_url() ) . '">#' . esc_html( $one->get_order_number() . ' ' . $one->get_formatted_billing_full_name() ) . '</a></li>';
		}
		echo '</ul></div>';
		return;
	}
	$screen = get_current_screen();
	echo '<h1 class="wp-heading-inline">Edit order</h1><div id="poststuff"><div id="post-body" class="metabox-holder columns-2"><div id="postbox-container-1" class="postbox-container">';
	do_meta_boxes( $screen->id, 'side', $order );
	echo '</div><div id="postbox-container-2" class="postbox-container"><div class="postbox"><div class="inside"><h2>Order #' . esc_html( $order->get_order_number() ) . ' details</h2><p>' . esc_html( $order->get_formatted_billing_full_name() . ', ' . $order->get_billing_email() ) . '</p></div></div>';
	do_meta_boxes( $screen->id, 'normal', $order );
	do_meta_boxes( $screen->id, 'advanced', $order );
	echo '</div></div></div></div>';
}
