<?php
/**
 * The customer's conversations beside an order.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A box on the order screen, of orders in their own tables and of orders that are posts. It is filled after the screen
 * has opened, so that Ahlan can never hold it up.
 */
final class Ahlan_Order_Box {

	const ID = 'wc-ahlan-conversations';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( 'add_meta_boxes', array( __CLASS__, 'add' ), 30, 2 );
		add_action( 'wp_ajax_wc_ahlan_conversations', array( __CLASS__, 'conversations' ) );
	}

	/**
	 * Put the box onto the order screen.
	 *
	 * @param string           $screen The screen or type.
	 * @param WP_Post|WC_Order $thing  What is edited.
	 */
	public static function add( $screen, $thing ) {
		$orders = array( 'shop_order' );
		if ( function_exists( 'wc_get_page_screen_id' ) ) {
			$orders[] = wc_get_page_screen_id( 'shop-order' );
		}
		if ( ! in_array( $screen, $orders, true ) || null === Ahlan_Connection::current() || ! current_user_can( Ahlan_Admin::RIGHT ) ) {
			return;
		}
		add_meta_box( self::ID, __( 'Conversations in Ahlan', 'wc-ahlan' ), array( __CLASS__, 'show' ), $screen, 'side', 'default' );
		$order = self::order( $thing );
		wp_enqueue_style( 'wc-ahlan-admin', plugins_url( 'assets/admin.css', WC_AHLAN_FILE ), array(), WC_AHLAN_VERSION );
		wp_enqueue_script( 'wc-ahlan-order-box', plugins_url( 'assets/order-box.js', WC_AHLAN_FILE ), array(), WC_AHLAN_VERSION, true );
		$config = array(
			'ajax'  => admin_url( 'admin-ajax.php' ),
			'nonce' => wp_create_nonce( 'wc_ahlan_conversations' ),
			'order' => $order ? $order->get_id() : 0,
			'none'  => __( 'This customer has not written yet.', 'wc-ahlan' ),
			'away'  => __( 'Ahlan does not answer at the moment.', 'wc-ahlan' ),
			'all'   => __( 'Everything about this customer', 'wc-ahlan' ),
		);
		wp_add_inline_script( 'wc-ahlan-order-box', 'window.wcAhlanOrder = ' . wp_json_encode( $config, JSON_HEX_TAG | JSON_HEX_AMP ) . ';', 'before' );
	}

	/**
	 * The empty box.
	 */
	public static function show() {
		echo '<div id="wc-ahlan-order" aria-live="polite"><p>' . esc_html__( 'Looking…', 'wc-ahlan' ) . '</p></div>';
	}

	/**
	 * What fills it: heads of conversations, without their words.
	 */
	public static function conversations() {
		nocache_headers();
		if ( ! check_ajax_referer( 'wc_ahlan_conversations', false, false ) || ! current_user_can( Ahlan_Admin::RIGHT ) ) {
			wp_send_json_error( 'forbidden', 403 );
		}
		$order = wc_get_order( isset( $_POST['order'] ) ? absint( wp_unslash( $_POST['order'] ) ) : 0 );
		if ( ! $order instanceof WC_Order ) {
			wp_send_json_error( 'unknown', 404 );
		}
		$answer = Ahlan_Server::ask(
			'conversations',
			array(
				'customer_id' => $order->get_customer_id() > 0 ? (string) $order->get_customer_id() : '',
				'order_id'    => (string) $order->get_id(),
				'locale'      => get_user_locale(),
			)
		);
		if ( is_wp_error( $answer ) ) {
			wp_send_json_error( $answer->get_error_code(), 502 );
		}
		wp_send_json_success( self::shown( $answer ) );
	}

	/**
	 * What the box needs of Ahlan's answer.
	 *
	 * @param array<string,mixed> $answer The answer.
	 * @return array<string,mixed>
	 */
	private static function shown( array $answer ) {
		$shown = array();
		foreach ( (array) ( $answer['conversations'] ?? array() ) as $talk ) {
			$at      = strtotime( (string) ( $talk['at'] ?? '' ) );
			$shown[] = array(
				'title' => (string) ( $talk['title'] ?? '' ),
				'state' => (string) ( $talk['state'] ?? '' ),
				/* translators: %s: a span of time, such as "2 hours". */
				'when'  => $at ? sprintf( __( '%s ago', 'wc-ahlan' ), human_time_diff( $at ) ) : '',
				'url'   => Ahlan_Admin::url( Ahlan_Panel::PAGE, array( 'to' => (string) ( $talk['path'] ?? '' ) ) ),
			);
		}
		$customer = (string) ( $answer['customer'] ?? '' );
		return array(
			'conversations' => $shown,
			'customer'      => '' !== $customer ? Ahlan_Admin::url( Ahlan_Panel::PAGE, array( 'to' => $customer ) ) : '',
		);
	}

	/**
	 * The order of either kind of screen.
	 *
	 * @param WP_Post|WC_Order $thing What is edited.
	 * @return WC_Order|null
	 */
	private static function order( $thing ) {
		$order = $thing instanceof WP_Post ? wc_get_order( $thing->ID ) : $thing;
		return $order instanceof WC_Order ? $order : null;
	}
}
