<?php
/**
 * Orders, in a table of their own and never as posts.
 */

class WC_Order {
	private $id   = 0;
	private $data = array();

	public function __construct( $row = null ) {
		$this->data = array(
			'status'       => 'pending',
			'customer_id'  => 0,
			'billing'      => array( 'first_name' => '', 'last_name' => '', 'email' => '', 'phone' => '' ),
			'line_items'   => array(),
			'meta'         => array(),
			'total'        => '0',
			'date_created' => gmdate( 'Y-m-d\TH:i:s' ),
			'date_updated' => gmdate( 'Y-m-d\TH:i:s' ),
			'date_paid'    => null,
			'created_via'  => 'checkout',
		);
		if ( $row ) {
			$this->id   = (int) $row->id;
			$this->data = array_merge( $this->data, json_decode( $row->data, true ) );
		}
	}

	public function get_id() {
		return $this->id;
	}

	public function get_type() {
		return 'shop_order';
	}

	public function get_order_number() {
		return (string) $this->id;
	}

	public function get_order_key() {
		return 'wc_order_' . substr( wp_hash( (string) $this->id ), 0, 13 );
	}

	public function get_status( $context = 'view' ) {
		return $this->data['status'];
	}

	public function has_status( $status ) {
		return in_array( $this->data['status'], (array) $status, true );
	}

	public function get_customer_id( $context = 'view' ) {
		return (int) $this->data['customer_id'];
	}

	public function get_user_id( $context = 'view' ) {
		return $this->get_customer_id();
	}

	public function set_customer_id( $id ) {
		$this->data['customer_id'] = (int) $id;
	}

	public function get_billing_email( $context = 'view' ) {
		return $this->data['billing']['email'];
	}

	public function get_billing_phone( $context = 'view' ) {
		return $this->data['billing']['phone'];
	}

	public function get_billing_first_name( $context = 'view' ) {
		return $this->data['billing']['first_name'];
	}

	public function get_billing_last_name( $context = 'view' ) {
		return $this->data['billing']['last_name'];
	}

	public function get_formatted_billing_full_name() {
		return trim( $this->data['billing']['first_name'] . ' ' . $this->data['billing']['last_name'] );
	}

	public function set_billing( $billing ) {
		$this->data['billing'] = array_merge( $this->data['billing'], array_intersect_key( $billing, $this->data['billing'] ) );
	}

	public function get_currency( $context = 'view' ) {
		return get_woocommerce_currency();
	}

	public function get_total( $context = 'view' ) {
		return $this->data['total'];
	}

	public function get_items( $types = 'line_item' ) {
		return $this->data['line_items'];
	}

	public function get_created_via( $context = 'view' ) {
		return $this->data['created_via'];
	}

	public function set_created_via( $value ) {
		$this->data['created_via'] = $value;
	}

	public function get_meta( $key = '', $single = true, $context = 'view' ) {
		return $this->data['meta'][ $key ] ?? '';
	}

	public function update_meta_data( $key, $value, $meta_id = 0 ) {
		$this->data['meta'][ $key ] = $value;
	}

	public function add_meta_data( $key, $value, $unique = false ) {
		$this->data['meta'][ $key ] = $value;
	}

	public function delete_meta_data( $key ) {
		unset( $this->data['meta'][ $key ] );
	}

	public function meta_exists( $key = '' ) {
		return isset( $this->data['meta'][ $key ] );
	}

	public function get_edit_order_url() {
		return admin_url( 'admin.php?page=wc-orders&action=edit&id=' . $this->id );
	}

	public function get_checkout_order_received_url() {
		return wc_get_endpoint_url( 'order-received', $this->id, wc_get_checkout_url() ) . '?key=' . $this->get_order_key();
	}

	public function add_cart( $cart ) {
		$number = 0;
		foreach ( $cart->get_cart() as $key => $item ) {
			$this->data['line_items'][] = array(
				'id'         => $this->id * 100 + ++$number,
				'name'       => $item['data']->get_name(),
				'product_id' => $item['product_id'],
				'quantity'   => $item['quantity'],
				'subtotal'   => wc_format_decimal( $item['line_subtotal'], '' ),
				'total'      => wc_format_decimal( $item['line_total'], '' ),
			);
		}
		$this->data['total'] = $cart->get_total( 'edit' );
	}

	public function update_status( $status, $note = '' ) {
		$before               = $this->data['status'];
		$this->data['status'] = preg_replace( '/^wc-/', '', $status );
		if ( $this->has_status( array( 'processing', 'completed' ) ) && ! $this->data['date_paid'] ) {
			$this->data['date_paid'] = gmdate( 'Y-m-d\TH:i:s' );
		}
		$this->save();
		do_action( 'woocommerce_order_status_' . $this->data['status'], $this->id, $this );
		do_action( 'woocommerce_order_status_changed', $this->id, $before, $this->data['status'], $this );
		return true;
	}

	public function save_meta_data() {
		$this->save();
	}

	public function save() {
		global $wpdb;
		$new = ! $this->id;
		if ( $new ) {
			// One sequence with posts, as in WooCommerce: gaps are normal.
			$this->id = wp_insert_post( array( 'post_type' => 'shop_order_placehold', 'post_status' => 'draft', 'post_title' => 'order' ) );
		}
		$this->data['date_updated'] = gmdate( 'Y-m-d\TH:i:s' );
		$row                        = array(
			'id'               => $this->id,
			'status'           => 'wc-' . $this->data['status'],
			'customer_id'      => $this->data['customer_id'],
			'billing_email'    => $this->data['billing']['email'],
			'date_created_gmt' => $this->data['date_created'],
			'date_updated_gmt' => $this->data['date_updated'],
			'data'             => wp_json_encode( $this->data ),
		);
		$wpdb->replace( "{$wpdb->prefix}wc_orders", $row );
		do_action( $new ? 'woocommerce_new_order' : 'woocommerce_update_order', $this->id, $this );
		return $this->id;
	}

	public function as_rest() {
		$meta = array();
		foreach ( $this->data['meta'] as $key => $value ) {
			$meta[] = array( 'id' => crc32( $key ), 'key' => $key, 'value' => $value );
		}
		$zero = wc_format_decimal( 0, '' );
		return array(
			'id'                   => $this->id,
			'parent_id'            => 0,
			'number'               => (string) $this->id,
			'order_key'            => $this->get_order_key(),
			'created_via'          => $this->data['created_via'],
			'version'              => WC_VERSION,
			'status'               => $this->data['status'],
			'currency'             => get_woocommerce_currency(),
			'date_created'         => $this->data['date_created'],
			'date_created_gmt'     => $this->data['date_created'],
			'date_modified'        => $this->data['date_updated'],
			'date_modified_gmt'    => $this->data['date_updated'],
			'discount_total'       => $zero,
			'shipping_total'       => $zero,
			'total'                => $this->data['total'],
			'total_tax'            => $zero,
			'customer_id'          => $this->data['customer_id'],
			'customer_note'        => '',
			'billing'              => $this->data['billing'],
			'shipping'             => array(),
			'payment_method'       => 'cod',
			'payment_method_title' => 'Cash on delivery',
			'date_paid_gmt'        => $this->data['date_paid'],
			'date_completed_gmt'   => null,
			'meta_data'            => $meta,
			'line_items'           => $this->data['line_items'],
			'refunds'              => array(),
		);
	}
}

function wc_get_order( $order = false ) {
	global $wpdb;
	if ( $order instanceof WC_Order ) {
		return $order;
	}
	$row = $wpdb->get_row( $wpdb->prepare( "SELECT * FROM {$wpdb->prefix}wc_orders WHERE id = %d", is_object( $order ) ? $order->ID : $order ) );
	return $row ? new WC_Order( $row ) : false;
}

function wc_get_orders( $args ) {
	global $wpdb;
	$where = '1=1';
	if ( isset( $args['customer_id'] ) ) {
		$where .= $wpdb->prepare( ' AND customer_id = %d', $args['customer_id'] );
	}
	if ( isset( $args['billing_email'] ) ) {
		$where .= $wpdb->prepare( ' AND billing_email = %s', $args['billing_email'] );
	}
	// `customer` is an id or an e-mail address, or several of either: any of them.
	$any = array();
	foreach ( (array) ( $args['customer'] ?? array() ) as $who ) {
		$any[] = is_numeric( $who ) ? $wpdb->prepare( 'customer_id = %d', $who ) : $wpdb->prepare( 'billing_email = %s', $who );
	}
	if ( $any ) {
		$where .= ' AND (' . implode( ' OR ', $any ) . ')';
	}
	$rows = $wpdb->get_results( "SELECT * FROM {$wpdb->prefix}wc_orders WHERE $where ORDER BY id DESC LIMIT " . absint( $args['limit'] ?? 10 ) . ' OFFSET ' . absint( ( $args['paged'] ?? 1 ) - 1 ) * absint( $args['limit'] ?? 10 ) );
	if ( 'EXISTS' === ( $args['meta_compare'] ?? '' ) ) {
		$rows = array_filter(
			$rows,
			function ( $row ) use ( $args ) {
				return ( new WC_Order( $row ) )->meta_exists( $args['meta_key'] );
			}
		);
	}
	if ( isset( $args['status'] ) ) {
		$wanted = array_map(
			function ( $status ) {
				return preg_replace( '/^wc-/', '', $status );
			},
			(array) $args['status']
		);
		$rows = array_filter(
			$rows,
			function ( $row ) use ( $wanted ) {
				return ( new WC_Order( $row ) )->has_status( $wanted );
			}
		);
	}
	return array_map(
		function ( $row ) use ( $args ) {
			return 'ids' === ( $args['return'] ?? '' ) ? (int) $row->id : new WC_Order( $row );
		},
		array_values( $rows )
	);
}

/** What WC_Checkout does with a cart; $data as the classic form posts it. */
function wc_standin_checkout( $data ) {
	do_action( 'woocommerce_before_checkout_process' );
	do_action( 'woocommerce_checkout_process' );
	$order = new WC_Order();
	$order->set_customer_id( get_current_user_id() );
	$order->set_billing(
		array(
			'first_name' => $data['billing_first_name'] ?? '',
			'last_name'  => $data['billing_last_name'] ?? '',
			'email'      => $data['billing_email'] ?? '',
			'phone'      => $data['billing_phone'] ?? '',
		)
	);
	$order->add_cart( WC()->cart );
	do_action( 'woocommerce_checkout_create_order', $order, $data );
	$id = $order->save();
	do_action( 'woocommerce_checkout_update_order_meta', $id, $data );
	do_action( 'woocommerce_checkout_order_created', $order );
	WC()->session->set( 'order_awaiting_payment', $id );
	do_action( 'woocommerce_checkout_order_processed', $id, $data, $order );
	wc_standin_pay( $order );
	return $order;
}

function wc_standin_pay( $order ) {
	$order->update_status( 'processing' );
	WC()->cart->empty_cart();
}
