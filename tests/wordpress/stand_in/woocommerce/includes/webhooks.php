<?php
/**
 * Webhooks: signed, built when they are delivered, off the request path where Action Scheduler is there.
 */

class WC_Webhook {
	private $row;

	public function __construct( $row ) {
		$this->row = $row;
	}

	public function get_delivery_url() {
		return $this->row->delivery_url;
	}
}

function wc_standin_told( $resource, $event, $id ) {
	global $wpdb;
	$hooks = $wpdb->get_results( $wpdb->prepare( "SELECT * FROM {$wpdb->prefix}wc_webhooks WHERE topic = %s AND status = 'active'", "$resource.$event" ) );
	foreach ( $hooks as $hook ) {
		if ( ! apply_filters( 'woocommerce_webhook_should_deliver', true, new WC_Webhook( $hook ), $id ) ) {
			continue;
		}
		$args = array( (int) $hook->webhook_id, (int) $id );
		if ( function_exists( 'as_has_scheduled_action' ) ) {
			if ( ! as_has_scheduled_action( 'woocommerce_deliver_webhook_async', $args, 'woocommerce-webhooks' ) ) {
				as_enqueue_async_action( 'woocommerce_deliver_webhook_async', $args, 'woocommerce-webhooks' );
			}
		} elseif ( ! wp_next_scheduled( 'woocommerce_deliver_webhook_async', $args ) ) {
			wp_schedule_single_event( time(), 'woocommerce_deliver_webhook_async', $args );
		}
	}
}

foreach ( array( 'woocommerce_new_order' => 'created', 'woocommerce_update_order' => 'updated' ) as $wc_standin_hook => $wc_standin_event ) {
	add_action(
		$wc_standin_hook,
		function ( $id ) use ( $wc_standin_event ) {
			wc_standin_told( 'order', $wc_standin_event, $id );
		}
	);
}
foreach ( array( 'user_register' => 'created', 'profile_update' => 'updated', 'delete_user' => 'deleted' ) as $wc_standin_hook => $wc_standin_event ) {
	add_action(
		$wc_standin_hook,
		function ( $id ) use ( $wc_standin_event ) {
			wc_standin_told( 'customer', $wc_standin_event, $id );
		}
	);
}

add_action(
	'woocommerce_deliver_webhook_async',
	function ( $webhook_id, $id ) {
		global $wpdb;
		$hook = $wpdb->get_row( $wpdb->prepare( "SELECT * FROM {$wpdb->prefix}wc_webhooks WHERE webhook_id = %d AND status = 'active'", $webhook_id ) );
		if ( ! $hook ) {
			return;
		}
		list( $resource, $event ) = explode( '.', $hook->topic );
		// The body is what its owner may see, at this moment.
		$before = get_current_user_id();
		wp_set_current_user( (int) $hook->user_id );
		$request = new WP_REST_Request( 'GET', "/wc/v3/{$resource}s/$id" );
		$body    = 'deleted' === $event ? array( 'id' => $id ) : rest_do_request( $request )->get_data();
		wp_set_current_user( $before );
		$text    = trim( wp_json_encode( $body ) );
		$headers = array(
			'Content-Type'              => 'application/json',
			'X-WC-Webhook-Source'       => home_url( '/' ),
			'X-WC-Webhook-Topic'        => $hook->topic,
			'X-WC-Webhook-Resource'     => $resource,
			'X-WC-Webhook-Event'        => $event,
			'X-WC-Webhook-Signature'    => base64_encode( hash_hmac( 'sha256', $text, $hook->secret, true ) ), // phpcs:ignore
			'X-WC-Webhook-ID'           => $hook->webhook_id,
			'X-WC-Webhook-Delivery-ID'  => wp_hash( $hook->webhook_id . time() ),
		);
		wp_safe_remote_request( $hook->delivery_url, array( 'method' => 'POST', 'timeout' => 60, 'redirection' => 0, 'body' => $text, 'headers' => $headers ) );
	},
	10,
	2
);
