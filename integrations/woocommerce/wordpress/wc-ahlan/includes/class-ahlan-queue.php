<?php
/**
 * Cart events that wait for their way to Ahlan.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * A bounded table, sent in batches off the request path: by Action Scheduler where it is there, else by WP-Cron. While
 * Ahlan is away the shop notices nothing but one small row per changed cart.
 */
final class Ahlan_Queue {

	const HOOK     = 'wc_ahlan_send_events';
	const GROUP    = 'wc-ahlan';
	const BATCH    = 50;
	const ATTEMPTS = 12;
	const LIMIT    = 1000;
	const DELAY    = 10;
	const RUN      = 20;

	/**
	 * Register hooks.
	 */
	public static function hooks() {
		add_action( self::HOOK, array( __CLASS__, 'send' ) );
	}

	/**
	 * Let an event wait. One of the same cart and kind that was not sent yet is replaced: events are states.
	 *
	 * @param array<string,mixed> $event The event of the protocol.
	 */
	public static function add( array $event ) {
		global $wpdb;
		$body = wp_json_encode( $event );
		if ( false === $body ) {
			return;
		}
		$now = time();
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$wpdb->replace(
			$wpdb->prefix . 'wc_ahlan_events',
			array(
				'subject'  => substr( $event['kind'] . ':' . $event['cart']['token'], 0, 80 ),
				'event_id' => $event['id'],
				'body'     => $body,
				'attempts' => 0,
				'due'      => $now,
				'created'  => $now,
			),
			array( '%s', '%s', '%s', '%d', '%d', '%d' )
		);
		$over = (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}wc_ahlan_events" ) - self::LIMIT;
		if ( $over > 0 ) {
			$oldest = $wpdb->get_col( $wpdb->prepare( "SELECT event_id FROM {$wpdb->prefix}wc_ahlan_events ORDER BY created, event_id LIMIT %d", $over ) );
			self::drop( $oldest );
		}
		// phpcs:enable
		self::schedule( $now + self::DELAY );
	}

	/**
	 * Send what is due, oldest first, in signed batches, and come back for what could not be sent.
	 */
	public static function send() {
		global $wpdb;
		$connection = Ahlan_Connection::current();
		if ( null === $connection ) {
			return;
		}
		$until = time() + self::RUN;
		do {
			// phpcs:disable WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
			$rows = $wpdb->get_results(
				$wpdb->prepare( "SELECT event_id, body, attempts FROM {$wpdb->prefix}wc_ahlan_events WHERE due <= %d ORDER BY created, event_id LIMIT %d", time(), self::BATCH ),
				ARRAY_A
			);
			// phpcs:enable
			$more = $rows && self::deliver( $connection, $rows ) && self::BATCH === count( $rows );
		} while ( $more && time() < $until );
		self::again();
	}

	/**
	 * How many wait, and since when.
	 *
	 * @return array{waiting:int,oldest:int}
	 */
	public static function state() {
		global $wpdb;
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$row = $wpdb->get_row( "SELECT COUNT(*) AS waiting, MIN(created) AS oldest FROM {$wpdb->prefix}wc_ahlan_events", ARRAY_A );
		return array(
			'waiting' => (int) ( $row['waiting'] ?? 0 ),
			'oldest'  => (int) ( $row['oldest'] ?? 0 ),
		);
	}

	/**
	 * Throw away what waits about one person.
	 *
	 * @param string $email   Address, or empty.
	 * @param int    $user_id Account, or 0.
	 * @return int How many events.
	 */
	public static function erase( $email, $user_id ) {
		global $wpdb;
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$rows = $wpdb->get_results( "SELECT event_id, body FROM {$wpdb->prefix}wc_ahlan_events", ARRAY_A );
		$gone = array();
		foreach ( (array) $rows as $row ) {
			$event = json_decode( $row['body'], true );
			$cart  = is_array( $event ) ? $event['cart'] : array();
			$named = '' !== $email && 0 === strcasecmp( (string) ( $cart['email'] ?? '' ), $email );
			if ( $named || ( $user_id > 0 && (int) ( $cart['customer_id'] ?? 0 ) === $user_id ) ) {
				$gone[] = $row['event_id'];
			}
		}
		self::drop( $gone );
		return count( $gone );
	}

	/**
	 * Throw everything away.
	 */
	public static function clear() {
		global $wpdb;
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$wpdb->query( "DELETE FROM {$wpdb->prefix}wc_ahlan_events" );
		self::unschedule();
	}

	/**
	 * Let nothing of ours run any more.
	 */
	public static function unschedule() {
		if ( function_exists( 'as_unschedule_all_actions' ) && self::action_scheduler() ) {
			as_unschedule_all_actions( self::HOOK, array(), self::GROUP );
		}
		wp_clear_scheduled_hook( self::HOOK );
	}

	/**
	 * Send one batch and settle its rows by what was answered.
	 *
	 * @param array<string,mixed>             $connection The connection.
	 * @param array<int,array<string,string>> $rows       Rows.
	 * @return bool Whether to go on with what else waits.
	 */
	private static function deliver( array $connection, array $rows ) {
		$url    = $connection['server'] . '/webhooks/woocommerce/' . $connection['store_id'] . '/cart';
		$body   = '{"events":[' . implode( ',', wp_list_pluck( $rows, 'body' ) ) . ']}';
		$status = Ahlan_Server::post( $url, $body, 8 )['status'];
		$final  = $status >= 400 && $status < 500 && 429 !== $status;
		Ahlan_Health::learned( $status );
		if ( 413 === $status ) {
			return self::smaller( $connection, $rows );
		}
		if ( 200 === $status || $final ) {
			self::drop( wp_list_pluck( $rows, 'event_id' ) );
			return 200 === $status;
		}
		foreach ( $rows as $row ) {
			self::later( $row['event_id'], (int) $row['attempts'] + 1 );
		}
		return false;
	}

	/**
	 * A batch was too large, for Ahlan or for a proxy before it: send its halves, so that only an event that is too large
	 * by itself is lost.
	 *
	 * @param array<string,mixed>             $connection The connection.
	 * @param array<int,array<string,string>> $rows       Rows.
	 * @return bool Whether to go on with what else waits.
	 */
	private static function smaller( array $connection, array $rows ) {
		if ( 1 === count( $rows ) ) {
			self::drop( wp_list_pluck( $rows, 'event_id' ) );
			return true;
		}
		foreach ( array_chunk( $rows, (int) ceil( count( $rows ) / 2 ) ) as $half ) {
			if ( ! self::deliver( $connection, $half ) ) {
				return false;
			}
		}
		return true;
	}

	/**
	 * Try an event again after a minute, two, four, at most an hour; after the last try it is dropped.
	 *
	 * @param string $event_id The event; one that was replaced meanwhile has another.
	 * @param int    $attempts Tries so far.
	 */
	private static function later( $event_id, $attempts ) {
		global $wpdb;
		if ( $attempts >= self::ATTEMPTS ) {
			self::drop( array( $event_id ) );
			return;
		}
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$wpdb->update(
			$wpdb->prefix . 'wc_ahlan_events',
			array(
				'attempts' => $attempts,
				'due'      => time() + min( HOUR_IN_SECONDS, MINUTE_IN_SECONDS * 2 ** ( $attempts - 1 ) ),
			),
			array( 'event_id' => $event_id ),
			array( '%d', '%d' ),
			array( '%s' )
		);
	}

	/**
	 * Delete events.
	 *
	 * @param string[] $event_ids Their ids.
	 */
	private static function drop( array $event_ids ) {
		global $wpdb;
		foreach ( $event_ids as $event_id ) {
			// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
			$wpdb->delete( $wpdb->prefix . 'wc_ahlan_events', array( 'event_id' => $event_id ), array( '%s' ) );
		}
	}

	/**
	 * Come back when the next event is due.
	 */
	private static function again() {
		global $wpdb;
		// phpcs:ignore WordPress.DB.DirectDatabaseQuery -- our own table, which must not be cached.
		$due = $wpdb->get_var( "SELECT MIN(due) FROM {$wpdb->prefix}wc_ahlan_events" );
		if ( null !== $due ) {
			self::schedule( max( (int) $due, time() + self::DELAY ) );
		}
	}

	/**
	 * Have `send` called at about that time. Two turns side by side do no harm, so nothing is locked.
	 *
	 * @param int $at Unix seconds.
	 */
	private static function schedule( $at ) {
		if ( self::action_scheduler() ) {
			// True while one is under way: it may have looked before this event was there.
			$next = as_next_scheduled_action( self::HOOK, array(), self::GROUP );
			if ( ! is_int( $next ) || $next > $at + MINUTE_IN_SECONDS ) {
				as_schedule_single_action( $at, self::HOOK, array(), self::GROUP );
			}
			return;
		}
		$next = wp_next_scheduled( self::HOOK );
		if ( false !== $next && $next <= $at + MINUTE_IN_SECONDS ) {
			return;
		}
		// WordPress refuses a second event of one name within ten minutes.
		wp_clear_scheduled_hook( self::HOOK );
		wp_schedule_single_event( $at, self::HOOK );
	}

	/**
	 * Whether Action Scheduler is there and has its tables.
	 *
	 * @return bool
	 */
	private static function action_scheduler() {
		return function_exists( 'as_schedule_single_action' )
			&& function_exists( 'as_next_scheduled_action' )
			&& class_exists( 'ActionScheduler' )
			&& ActionScheduler::is_initialized();
	}
}
