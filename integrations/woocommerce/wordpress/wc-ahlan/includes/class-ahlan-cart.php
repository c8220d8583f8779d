<?php
/**
 * What happens to carts.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Watches classic and block carts through the hooks that both fire, and notes one state per request, when the page is
 * finished.
 */
final class Ahlan_Cart {

	const SESSION = 'wc_ahlan_cart';
	const META    = '_ahlan_cart_token';
	const COOKIE  = 'ahlan-cart';

	/**
	 * What is to be noted at the end of this request.
	 *
	 * @var string
	 */
	private static $kind = '';

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		$changes = array(
			'woocommerce_add_to_cart',
			'woocommerce_after_cart_item_quantity_update',
			'woocommerce_cart_item_removed',
			'woocommerce_cart_item_restored',
			'woocommerce_applied_coupon',
			'woocommerce_removed_coupon',
			'woocommerce_cart_emptied',
		);
		foreach ( $changes as $hook ) {
			add_action( $hook, array( __CLASS__, 'changed' ), 1000, 0 );
		}
		add_action( 'template_redirect', array( __CLASS__, 'checkout' ) );
		add_action( 'woocommerce_checkout_create_order', array( __CLASS__, 'name_cart' ) );
		add_action( 'woocommerce_store_api_checkout_update_order_meta', array( __CLASS__, 'name_cart_of_block' ) );
		add_action( 'woocommerce_checkout_order_processed', array( __CLASS__, 'placed_in_classic' ), 1000, 3 );
		add_action( 'woocommerce_store_api_checkout_order_processed', array( __CLASS__, 'placed' ), 1000 );
		add_action( 'woocommerce_set_cart_cookies', array( __CLASS__, 'show' ) );
		// Before WooCommerce saves its session, at 20.
		add_action( 'shutdown', array( __CLASS__, 'note' ), 1 );
	}

	/**
	 * The cart is not what it was.
	 */
	public static function changed() {
		if ( '' === self::$kind ) {
			self::$kind = 'cart.updated';
		}
	}

	/**
	 * Let the chat's script know which cart this browser has, while WooCommerce says that there is one: an agent who sees
	 * the visitor then sees the cart. Only of whom the shop's banner lets be followed, where there is a banner.
	 *
	 * @param bool $has Whether there is something in it.
	 */
	public static function show( $has ) {
		self::quietly(
			static function () use ( $has ) {
				$refused = function_exists( 'wp_has_consent' ) && ! wp_has_consent( 'statistics' );
				$token   = $has && ! $refused && Ahlan_Widget::enabled() ? self::token( true ) : '';
				if ( '' !== $token ) {
					wc_setcookie( self::COOKIE, $token, 0, is_ssl() );
				} elseif ( isset( $_COOKIE[ self::COOKIE ] ) ) {
					wc_setcookie( self::COOKIE, '', time() - HOUR_IN_SECONDS, is_ssl() );
				}
			}
		);
	}

	/**
	 * The checkout page is opened with something in the cart.
	 */
	public static function checkout() {
		if ( is_checkout() && ! is_wc_endpoint_url() && WC()->cart && ! WC()->cart->is_empty() ) {
			self::$kind = 'checkout.started';
		}
	}

	/**
	 * Write onto a new order of the classic checkout which cart it was.
	 *
	 * @param WC_Order $order The order, which WooCommerce saves.
	 */
	public static function name_cart( $order ) {
		self::quietly(
			static function () use ( $order ) {
				$token = self::token( true );
				if ( '' !== $token ) {
					$order->update_meta_data( self::META, $token );
				}
			}
		);
	}

	/**
	 * The same for the block checkout, whose order is saved already.
	 *
	 * @param WC_Order $order The order.
	 */
	public static function name_cart_of_block( $order ) {
		self::name_cart( $order );
		self::quietly( array( $order, 'save_meta_data' ) );
	}

	/**
	 * An order was placed in the classic checkout.
	 *
	 * @param int                 $order_id Its id.
	 * @param array<string,mixed> $posted   The form.
	 * @param WC_Order|null       $order    The order.
	 */
	public static function placed_in_classic( $order_id, $posted, $order = null ) {
		$order = $order ? $order : wc_get_order( $order_id );
		if ( $order instanceof WC_Order ) {
			self::placed( $order );
		}
	}

	/**
	 * An order was placed: the cart is still full at this point, and whatever comes after is another cart.
	 *
	 * @param WC_Order $order The order.
	 */
	public static function placed( $order ) {
		self::$kind = '';
		self::quietly(
			static function () use ( $order ) {
				$token = (string) $order->get_meta( self::META );
				if ( '' === $token || null === Ahlan_Connection::current() || ! WC()->cart ) {
					return;
				}
				$cart             = self::contents( $token, (string) $order->get_billing_email() );
				$cart['order_id'] = (string) $order->get_id();
				if ( $order->get_customer_id() > 0 ) {
					$cart['customer_id'] = (string) $order->get_customer_id();
				}
				self::queue( 'order.placed', $cart );
				if ( WC()->session ) {
					WC()->session->set( self::SESSION, null );
				}
			}
		);
	}

	/**
	 * Note the state at the end of the request.
	 */
	public static function note() {
		$kind       = self::$kind;
		self::$kind = '';
		if ( '' === $kind || null === Ahlan_Connection::current() || ! WC()->cart || ! WC()->session ) {
			return;
		}
		self::quietly(
			static function () use ( $kind ) {
				// An empty cart says something only when it was known while it was full.
				$token = self::token( ! WC()->cart->is_empty() );
				if ( '' === $token ) {
					return;
				}
				$email = is_user_logged_in() ? (string) wp_get_current_user()->user_email : '';
				if ( '' === $email && WC()->customer ) {
					$email = (string) WC()->customer->get_billing_email();
				}
				self::queue( $kind, self::contents( $token, $email ) );
			}
		);
	}

	/**
	 * Do something that must never stand in a shopper's way: what is thrown in the block checkout ends the checkout, and
	 * other plugins' products may throw.
	 *
	 * @param callable $work What to do.
	 */
	private static function quietly( $work ) {
		try {
			$work();
		} catch ( Throwable $error ) {
			if ( function_exists( 'wc_get_logger' ) ) {
				wc_get_logger()->error( get_class( $error ) . ': ' . $error->getMessage(), array( 'source' => 'wc-ahlan' ) );
			}
		}
	}

	/**
	 * This cart's own id, which its session keeps.
	 *
	 * @param bool $make Whether to make one where there is none.
	 * @return string Empty where there is none.
	 */
	private static function token( $make ) {
		if ( ! WC()->session || null === Ahlan_Connection::current() ) {
			return '';
		}
		$token = (string) WC()->session->get( self::SESSION, '' );
		if ( '' === $token && $make ) {
			$token = bin2hex( random_bytes( 16 ) );
			WC()->session->set( self::SESSION, $token );
		}
		return $token;
	}

	/**
	 * The cart as the protocol tells it. Amounts are strings.
	 *
	 * @param string $token The cart's own id.
	 * @param string $email Whose it is, or empty.
	 * @return array<string,mixed>
	 */
	private static function contents( $token, $email ) {
		$places = wc_get_price_decimals();
		$items  = array();
		foreach ( WC()->cart->get_cart() as $line ) {
			$product = $line['data'] ?? null;
			if ( ! is_object( $product ) ) {
				continue;
			}
			$items[] = array(
				'product_id'   => (string) $line['product_id'],
				'variation_id' => empty( $line['variation_id'] ) ? '' : (string) $line['variation_id'],
				'name'         => wp_strip_all_tags( (string) $product->get_name() ),
				'quantity'     => (int) ceil( (float) $line['quantity'] ),
				'price'        => (string) wc_format_decimal( $product->get_price(), $places ),
			);
		}
		return array(
			'token'       => $token,
			'customer_id' => is_user_logged_in() ? (string) get_current_user_id() : '',
			'email'       => $email,
			'currency'    => get_woocommerce_currency(),
			'items'       => $items,
			'coupons'     => array_values( array_map( 'strval', WC()->cart->get_applied_coupons() ) ),
			'total'       => (string) wc_format_decimal( WC()->cart->get_total( 'edit' ), $places ),
		);
	}

	/**
	 * Let it wait for its turn.
	 *
	 * @param string              $kind `cart.updated`, `checkout.started` or `order.placed`.
	 * @param array<string,mixed> $cart The cart.
	 */
	private static function queue( $kind, array $cart ) {
		$now = microtime( true );
		Ahlan_Queue::add(
			array(
				'id'   => bin2hex( random_bytes( 16 ) ),
				'kind' => $kind,
				// With its fraction: two states of one second keep their order.
				'at'   => gmdate( 'Y-m-d\TH:i:s', (int) $now ) . sprintf( '.%03dZ', (int) ( 1000 * ( $now - floor( $now ) ) ) ),
				'cart' => $cart,
			)
		);
	}
}
