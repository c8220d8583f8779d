<?php
/**
 * wc/v3: what Ahlan reads of a store, and webhooks.
 */

function wc_standin_may( $request ) {
	if ( current_user_can( 'manage_woocommerce' ) ) {
		return true;
	}
	$what = 'GET' === $request->get_method() ? array( 'cannot_view', 'Sorry, you cannot list resources.' ) : array( 'cannot_create', 'Sorry, you are not allowed to create resources.' );
	return new WP_Error( "woocommerce_rest_$what[0]", $what[1], array( 'status' => rest_authorization_required_code() ) );
}

function wc_standin_list( $rows, $request, $draw ) {
	$size   = (int) ( $request['per_page'] ?? 10 );
	$page   = (int) ( $request['page'] ?? 1 );
	$answer = new WP_REST_Response( array_map( $draw, array_slice( $rows, ( $page - 1 ) * $size, $size ) ) );
	$answer->header( 'X-WP-Total', (string) count( $rows ) );
	$answer->header( 'X-WP-TotalPages', (string) (int) ceil( count( $rows ) / $size ) );
	return $answer;
}

function wc_standin_order_rows( $request ) {
	global $wpdb;
	$rows = $wpdb->get_results( "SELECT * FROM {$wpdb->prefix}wc_orders ORDER BY id" );
	foreach ( array( 'after' => 'date_created_gmt', 'modified_after' => 'date_updated_gmt' ) as $parameter => $column ) {
		if ( ! empty( $request[ $parameter ] ) ) {
			$rows = array_filter(
				$rows,
				function ( $row ) use ( $request, $parameter, $column ) {
					return strtotime( $row->$column . ' UTC' ) > strtotime( $request[ $parameter ] . ' UTC' );
				}
			);
		}
	}
	$status = $request['status'] ?? 'any';
	return array_values(
		array_filter(
			$rows,
			function ( $row ) use ( $status ) {
				return 'any' === $status ? 'wc-trash' !== $row->status : "wc-$status" === $row->status;
			}
		)
	);
}

function wc_standin_rest_customer( $user ) {
	$created = str_replace( ' ', 'T', $user->user_registered );
	return array(
		'id'                => $user->ID,
		'date_created'      => $created,
		'date_created_gmt'  => $created,
		'date_modified'     => $created,
		'date_modified_gmt' => $created,
		'email'             => $user->user_email,
		'first_name'        => $user->first_name,
		'last_name'         => $user->last_name,
		'role'              => current( $user->roles ),
		'username'          => $user->user_login,
		'billing'           => array( 'email' => $user->user_email, 'phone' => '' ),
		'shipping'          => array(),
		'is_paying_customer' => false,
		'meta_data'         => array(),
	);
}

function wc_standin_rest_product( $post ) {
	$product = wc_get_product( $post );
	$time    = function ( $text ) {
		return str_replace( ' ', 'T', $text );
	};
	return array(
		'id'                => $product->get_id(),
		'name'              => $product->get_name(),
		'slug'              => $post->post_name,
		'permalink'         => $product->get_permalink(),
		'date_created_gmt'  => $time( $post->post_date_gmt ),
		'date_modified_gmt' => $time( $post->post_modified_gmt ),
		'type'              => 'simple',
		'status'            => $post->post_status,
		'description'       => $post->post_content,
		'short_description' => '',
		'sku'               => '',
		'price'             => $product->get_price(),
		'regular_price'     => $product->get_price(),
		'sale_price'        => '',
		'stock_status'      => 'instock',
		'stock_quantity'    => null,
		'manage_stock'      => false,
		'parent_id'         => 0,
		'categories'        => array(),
		'tags'              => array(),
		'images'            => array(),
		'attributes'        => array(),
		'variations'        => array(),
		'meta_data'         => array(),
	);
}

function wc_standin_rest_webhook( $row ) {
	// The secret is never given back.
	return array(
		'id'           => (int) $row->webhook_id,
		'name'         => $row->name,
		'status'       => $row->status,
		'topic'        => $row->topic,
		'delivery_url' => $row->delivery_url,
	);
}

add_action(
	'rest_api_init',
	function () {
		global $wpdb;
		$webhooks = "{$wpdb->prefix}wc_webhooks";
		$route    = function ( $path, $method, $callback ) {
			register_rest_route( 'wc/v3', $path, array( 'methods' => $method, 'callback' => $callback, 'permission_callback' => 'wc_standin_may' ) );
		};
		$route(
			'/settings/general',
			'GET',
			function () {
				$settings = array();
				foreach ( array( 'woocommerce_currency', 'woocommerce_price_num_decimals', 'woocommerce_default_country' ) as $name ) {
					$settings[] = array( 'id' => $name, 'value' => get_option( $name ) );
				}
				return $settings;
			}
		);
		$route(
			'/system_status',
			'GET',
			function () {
				return array( 'environment' => array( 'home_url' => home_url(), 'version' => WC_VERSION, 'language' => get_locale() ) );
			}
		);
		$route(
			'/orders',
			'GET',
			function ( $request ) {
				return wc_standin_list(
					wc_standin_order_rows( $request ),
					$request,
					function ( $row ) {
						return ( new WC_Order( $row ) )->as_rest();
					}
				);
			}
		);
		$route(
			'/orders/(?P<id>[\d]+)',
			'GET',
			function ( $request ) {
				$order = wc_get_order( (int) $request['id'] );
				return $order ? $order->as_rest() : new WP_Error( 'woocommerce_rest_shop_order_invalid_id', 'Invalid ID.', array( 'status' => 404 ) );
			}
		);
		$route(
			'/customers',
			'GET',
			function ( $request ) {
				$which = array( 'orderby' => 'ID', 'order' => 'desc' === $request['order'] ? 'DESC' : 'ASC' );
				if ( 'all' !== $request['role'] ) {
					$which['role'] = $request['role'] ? $request['role'] : 'customer';
				}
				return wc_standin_list( get_users( $which ), $request, 'wc_standin_rest_customer' );
			}
		);
		$route(
			'/customers/(?P<id>[\d]+)',
			'GET',
			function ( $request ) {
				$user = get_userdata( (int) $request['id'] );
				return $user ? wc_standin_rest_customer( $user ) : new WP_Error( 'woocommerce_rest_invalid_id', 'Invalid resource ID.', array( 'status' => 404 ) );
			}
		);
		$route(
			'/products',
			'GET',
			function ( $request ) {
				$status = 'trash' === $request['status'] ? 'trash' : 'publish';
				return wc_standin_list( get_posts( array( 'post_type' => 'product', 'post_status' => $status, 'numberposts' => -1, 'orderby' => 'ID', 'order' => 'ASC' ) ), $request, 'wc_standin_rest_product' );
			}
		);
		$route(
			'/webhooks',
			'GET',
			function ( $request ) use ( $wpdb, $webhooks ) {
				return wc_standin_list( $wpdb->get_results( "SELECT * FROM $webhooks ORDER BY webhook_id" ), $request, 'wc_standin_rest_webhook' );
			}
		);
		$route(
			'/webhooks',
			'POST',
			function ( $request ) use ( $wpdb, $webhooks ) {
				$row = array( 'user_id' => get_current_user_id(), 'status' => 'active', 'secret' => wp_generate_password( 50 ) );
				foreach ( array( 'name', 'status', 'delivery_url', 'secret', 'topic' ) as $name ) {
					if ( isset( $request[ $name ] ) ) {
						$row[ $name ] = sanitize_text_field( $request[ $name ] );
					}
				}
				if ( ! preg_match( '/^(order|customer|product|coupon)\.(created|updated|deleted|restored)$|^action\.\w+$/', $row['topic'] ?? '' ) ) {
					return new WP_Error( 'woocommerce_rest_webhook_invalid_topic', 'Webhook topic is required and must be valid.', array( 'status' => 400 ) );
				}
				$wpdb->insert( $webhooks, $row );
				$id = $wpdb->insert_id;
				// The ping: at once, form-encoded, unsigned.
				wp_safe_remote_post( $row['delivery_url'], array( 'body' => "webhook_id=$id", 'timeout' => 60 ) );
				$made = $wpdb->get_row( "SELECT * FROM $webhooks WHERE webhook_id = $id" );
				return null === $made // Deleted while it was pinged.
					? new WP_Error( 'woocommerce_rest_webhook_invalid_id', 'Invalid ID.', array( 'status' => 404 ) )
					: new WP_REST_Response( wc_standin_rest_webhook( $made ), 201 );
			}
		);
		$route(
			'/webhooks/(?P<id>[\d]+)',
			'DELETE',
			function ( $request ) use ( $wpdb, $webhooks ) {
				if ( ! wc_string_to_bool( $request['force'] ) ) {
					return new WP_Error( 'woocommerce_rest_trash_not_supported', 'Webhooks do not support trashing.', array( 'status' => 501 ) );
				}
				$wpdb->delete( $webhooks, array( 'webhook_id' => (int) $request['id'] ) );
				return array( 'id' => (int) $request['id'] );
			}
		);
	}
);
