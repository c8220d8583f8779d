<?php
/**
 * WordPress's privacy tools.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Exporter, eraser and the text for the privacy policy. Ahlan does the work; WordPress asks again, page by page, until
 * it is done or has waited long enough.
 */
final class Ahlan_Privacy {

	const PAGES  = 8;
	const ORDERS = 100;

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_filter( 'wp_privacy_personal_data_exporters', array( __CLASS__, 'exporters' ) );
		add_filter( 'wp_privacy_personal_data_erasers', array( __CLASS__, 'erasers' ) );
		add_action( 'admin_init', array( __CLASS__, 'policy' ) );
	}

	/**
	 * Ours among the exporters.
	 *
	 * @param array<string,array<string,mixed>> $exporters The exporters.
	 * @return array<string,array<string,mixed>>
	 */
	public static function exporters( $exporters ) {
		$exporters['wc-ahlan'] = array(
			'exporter_friendly_name' => __( 'Ahlan: conversations and what belongs to them', 'wc-ahlan' ),
			'callback'               => array( __CLASS__, 'export' ),
		);
		return $exporters;
	}

	/**
	 * Ours among the erasers.
	 *
	 * @param array<string,array<string,mixed>> $erasers The erasers.
	 * @return array<string,array<string,mixed>>
	 */
	public static function erasers( $erasers ) {
		$erasers['wc-ahlan'] = array(
			'eraser_friendly_name' => __( 'Ahlan: conversations and what belongs to them', 'wc-ahlan' ),
			'callback'             => array( __CLASS__, 'erase' ),
		);
		return $erasers;
	}

	/**
	 * What Ahlan holds about a person.
	 *
	 * @param string $email Whose.
	 * @param int    $page  Which time we are asked.
	 * @return array{data:array<int,array<string,mixed>>,done:bool}
	 */
	public static function export( $email, $page = 1 ) {
		if ( null === Ahlan_Connection::current() ) {
			return array(
				'data' => array(),
				'done' => true,
			);
		}
		$answer = self::ask( 'export', $email, (int) $page );
		$state  = is_wp_error( $answer ) ? 'away' : (string) ( $answer['state'] ?? '' );
		if ( 'open' === $state && $page < self::PAGES ) {
			return array(
				'data' => array(),
				'done' => false,
			);
		}
		self::forget_request( 'export', $email );
		if ( 'ready' === $state ) {
			$data = self::groups( (array) ( $answer['data'] ?? array() ) );
		} else {
			$text = 'open' === $state
				? __( 'The copy will follow: Ahlan is collecting it. The shop finds it in Ahlan under Settings, Privacy, and hands it on.', 'wc-ahlan' )
				: __( 'Ahlan did not answer, so its part is missing. Ask for the export again later.', 'wc-ahlan' );
			$data = array( self::item( 'notice', __( 'Ahlan', 'wc-ahlan' ), 'ahlan-notice', array( __( 'Note', 'wc-ahlan' ) => $text ) ) );
		}
		return array(
			'data' => $data,
			'done' => true,
		);
	}

	/**
	 * Have Ahlan forget a person; what waits here about them is thrown away.
	 *
	 * @param string $email Who.
	 * @param int    $page  Which time we are asked.
	 * @return array{items_removed:bool,items_retained:bool,messages:string[],done:bool}
	 */
	public static function erase( $email, $page = 1 ) {
		$user    = get_user_by( 'email', $email );
		$removed = Ahlan_Queue::erase( $email, $user ? (int) $user->ID : 0 ) > 0;
		if ( 1 === (int) $page ) {
			$removed = self::forget_carts( $email ) || $removed;
		}
		$settled = array(
			'items_removed'  => $removed,
			'items_retained' => false,
			'messages'       => array(),
			'done'           => true,
		);
		if ( null === Ahlan_Connection::current() ) {
			return $settled;
		}
		$answer = self::ask( 'erase', $email, (int) $page );
		if ( is_wp_error( $answer ) ) {
			self::forget_request( 'erase', $email );
			return array(
				'items_retained' => true,
				'messages'       => array( __( 'Ahlan did not answer, so it could not be told to forget this person. Run the erasure again later.', 'wc-ahlan' ) ),
			) + $settled;
		}
		$state = (string) ( $answer['state'] ?? '' );
		if ( 'open' === $state && $page < self::PAGES ) {
			return array( 'done' => false ) + $settled;
		}
		self::forget_request( 'erase', $email );
		return array(
			'items_removed' => $removed || 'done' !== $state || (int) ( $answer['erased'] ?? 0 ) > 0,
			'messages'      => 'done' === $state ? array() : array( __( 'Ahlan has taken the request and forgets this person within the next hours. The evidence is in Ahlan under Settings, Privacy.', 'wc-ahlan' ) ),
		) + $settled;
	}

	/**
	 * Words for the shop's privacy policy.
	 */
	public static function policy() {
		if ( ! function_exists( 'wp_add_privacy_policy_content' ) ) {
			return;
		}
		$paragraphs = array(
			__( 'We answer questions through a chat that Ahlan provides. It is not loaded before you open it, except for the button itself.', 'wc-ahlan' ),
			__( 'When you write to us we keep your messages, files and the page you wrote from. If you are signed in, we see your name, e-mail address and orders beside the conversation. An identifier is kept in your browser so that you find the conversation again.', 'wc-ahlan' ),
			__( 'What is in your cart, and that a checkout was begun, is told to Ahlan so that we can help you with it. An e-mail address is part of that only if you are signed in or gave it to the checkout.', 'wc-ahlan' ),
			__( 'You can ask us for a copy of this data, or to have it erased.', 'wc-ahlan' ),
		);
		$text       = '<p class="privacy-policy-tutorial">' . esc_html__( 'Add where your Ahlan is run and for how long you keep conversations; both are in Ahlan under Settings.', 'wc-ahlan' ) . '</p>';
		foreach ( $paragraphs as $paragraph ) {
			$text .= '<p>' . esc_html( $paragraph ) . '</p>';
		}
		wp_add_privacy_policy_content( __( 'Ahlan', 'wc-ahlan' ), wp_kses_post( $text ) );
	}

	/**
	 * Ask Ahlan. Every page of one request carries the same number, so that asking again begins nothing anew.
	 *
	 * @param string $verb  `export` or `erase`.
	 * @param string $email Whose.
	 * @param int    $page  Which time.
	 * @return array<string,mixed>|WP_Error
	 */
	private static function ask( $verb, $email, $page ) {
		$name   = self::request_name( $verb, $email );
		$number = $page > 1 ? (string) get_transient( $name ) : '';
		if ( '' === $number ) {
			$number = bin2hex( random_bytes( 16 ) );
			set_transient( $name, $number, HOUR_IN_SECONDS );
		}
		$user = get_user_by( 'email', $email );
		return Ahlan_Server::ask(
			$verb,
			array(
				'request'     => $number,
				'email'       => $email,
				'customer_id' => $user ? (string) $user->ID : '',
			),
			20
		);
	}

	/**
	 * The request is over.
	 *
	 * @param string $verb  `export` or `erase`.
	 * @param string $email Whose.
	 */
	private static function forget_request( $verb, $email ) {
		delete_transient( self::request_name( $verb, $email ) );
	}

	/**
	 * Where the number of a request is kept.
	 *
	 * @param string $verb  `export` or `erase`.
	 * @param string $email Whose.
	 * @return string
	 */
	private static function request_name( $verb, $email ) {
		return 'wc_ahlan_' . $verb . '_' . substr( wp_hash( strtolower( $email ) ), 0, 20 );
	}

	/**
	 * Take the carts' ids off a person's orders: nothing is left that could lead from one to a cart.
	 *
	 * @param string $email Whose.
	 * @return bool Whether there were any.
	 */
	private static function forget_carts( $email ) {
		$user  = get_user_by( 'email', $email );
		$found = false;
		$page  = 1;
		do {
			// Looked for one by one: the two ways in which WooCommerce keeps orders search metadata differently.
			$orders = wc_get_orders(
				array(
					'customer' => $user ? array( $email, $user->ID ) : $email,
					'limit'    => self::ORDERS,
					'paged'    => $page,
				)
			);
			foreach ( $orders as $order ) {
				if ( '' !== (string) $order->get_meta( Ahlan_Cart::META ) ) {
					$order->delete_meta_data( Ahlan_Cart::META );
					$order->save_meta_data();
					$found = true;
				}
			}
			++$page;
			$more = self::ORDERS === count( $orders );
		} while ( $more && $page <= 100 );
		return $found;
	}

	/**
	 * Ahlan's answer as WordPress shows it.
	 *
	 * @param array<string,mixed> $data Lists of records by kind.
	 * @return array<int,array<string,mixed>>
	 */
	private static function groups( array $data ) {
		$names = array(
			'profiles'      => __( 'Ahlan: profile', 'wc-ahlan' ),
			'handles'       => __( 'Ahlan: ways to reach you', 'wc-ahlan' ),
			'orders'        => __( 'Ahlan: orders', 'wc-ahlan' ),
			'carts'         => __( 'Ahlan: carts', 'wc-ahlan' ),
			'browsers'      => __( 'Ahlan: browsers', 'wc-ahlan' ),
			'conversations' => __( 'Ahlan: conversations', 'wc-ahlan' ),
			'messages'      => __( 'Ahlan: messages', 'wc-ahlan' ),
			'files'         => __( 'Ahlan: files', 'wc-ahlan' ),
			'returns'       => __( 'Ahlan: returns', 'wc-ahlan' ),
		);
		$items = array();
		foreach ( $data as $kind => $records ) {
			$label = $names[ $kind ] ?? __( 'Ahlan: other records', 'wc-ahlan' );
			$group = isset( $names[ $kind ] ) ? $kind : 'other';
			foreach ( array_values( (array) $records ) as $number => $record ) {
				$items[] = self::item( $group, $label, 'ahlan-' . $kind . '-' . $number, (array) $record );
			}
		}
		return $items;
	}

	/**
	 * One record.
	 *
	 * @param string              $group  Which group.
	 * @param string              $label  Its name.
	 * @param string              $id     Number of the record.
	 * @param array<string,mixed> $record What it says.
	 * @return array<string,mixed>
	 */
	private static function item( $group, $label, $id, array $record ) {
		$pairs = array();
		foreach ( $record as $name => $value ) {
			if ( null === $value || '' === $value || array() === $value ) {
				continue;
			}
			$pairs[] = array(
				'name'  => (string) $name,
				'value' => is_scalar( $value ) ? (string) $value : (string) wp_json_encode( $value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES ),
			);
		}
		return array(
			'group_id'    => 'ahlan-' . $group,
			'group_label' => $label,
			'item_id'     => $id,
			'data'        => $pairs,
		);
	}
}
