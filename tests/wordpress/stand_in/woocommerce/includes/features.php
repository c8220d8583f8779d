<?php
/**
 * Feature declarations, as plugins make them inside before_woocommerce_init.
 */

namespace Automattic\WooCommerce\Utilities;

class FeaturesUtil {
	private static $declared = array();

	public static function declare_compatibility( string $feature_id, string $plugin_file, bool $positive = true ): bool {
		if ( ! doing_action( 'before_woocommerce_init' ) ) {
			_doing_it_wrong( __METHOD__, 'Call it inside before_woocommerce_init.', '7.0' );
			return false;
		}
		self::$declared[ plugin_basename( $plugin_file ) ][ $positive ? 'compatible' : 'incompatible' ][] = $feature_id;
		return true;
	}

	public static function get_compatible_features_for_plugin( string $plugin, bool $enabled_only = false ): array {
		return ( self::$declared[ $plugin ] ?? array() ) + array(
			'compatible'   => array(),
			'incompatible' => array(),
			'uncertain'    => array(),
		);
	}

	public static function feature_is_enabled( string $feature_id ): bool {
		return 'custom_order_tables' === $feature_id;
	}
}

class OrderUtil {
	public static function custom_orders_table_usage_is_enabled(): bool {
		return true;
	}

	public static function get_order_admin_screen(): string {
		return wc_get_page_screen_id( 'shop-order' );
	}

	public static function get_order_admin_edit_url( int $order_id ): string {
		return admin_url( "admin.php?page=wc-orders&action=edit&id=$order_id" );
	}
}

namespace Automattic\WooCommerce\Internal\DataStores\Orders;

class CustomOrdersTableController {
	public function custom_orders_table_usage_is_enabled(): bool {
		return true;
	}
}

namespace Automattic\WooCommerce\Blocks\Utils;

class CartCheckoutUtils {
	public static function is_checkout_block_default(): bool {
		return has_block( 'woocommerce/checkout', wc_get_page_id( 'checkout' ) );
	}

	public static function is_cart_block_default(): bool {
		return has_block( 'woocommerce/cart', wc_get_page_id( 'cart' ) );
	}
}
