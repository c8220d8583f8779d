<?php
/**
 * Action Scheduler, turned by WordPress's cron once a minute.
 */

add_filter(
	'cron_schedules',
	function ( $schedules ) {
		$schedules['every_minute'] = array( 'interval' => 60, 'display' => 'Every minute' );
		return $schedules;
	}
);
add_action(
	'init',
	function () {
		do_action( 'action_scheduler_init' );
		if ( ! wp_next_scheduled( 'action_scheduler_run_queue', array( 'WP Cron' ) ) ) {
			wp_schedule_event( time(), 'every_minute', 'action_scheduler_run_queue', array( 'WP Cron' ) );
		}
	},
	1
);
add_action(
	'action_scheduler_run_queue',
	function () {
		global $wpdb;
		$table = "{$wpdb->prefix}actionscheduler_actions";
		$due   = $wpdb->get_results( $wpdb->prepare( "SELECT * FROM $table WHERE status = 'pending' AND scheduled_at <= %d ORDER BY action_id LIMIT 25", time() ) );
		foreach ( $due as $action ) {
			// Whoever turns the row owns it.
			if ( ! $wpdb->update( $table, array( 'status' => 'in-progress' ), array( 'action_id' => $action->action_id, 'status' => 'pending' ) ) ) {
				continue;
			}
			try {
				do_action_ref_array( $action->hook, array_values( json_decode( $action->args, true ) ) );
				$status = 'complete';
			} catch ( Throwable $error ) {
				error_log( "action_scheduler $action->hook: $error" ); // phpcs:ignore
				$status = 'failed';
			}
			$wpdb->update( $table, array( 'status' => $status ), array( 'action_id' => $action->action_id ) );
			if ( $action->every ) {
				as_schedule_recurring_action( time() + $action->every, (int) $action->every, $action->hook, json_decode( $action->args, true ), $action->slug );
			}
		}
	}
);

function wc_standin_schedule( $when, $every, $hook, $args, $group, $unique ) {
	global $wpdb;
	if ( ! did_action( 'action_scheduler_init' ) ) {
		_doing_it_wrong( 'as_schedule', 'Action Scheduler was called before its data store was initialised: use action_scheduler_init.', '3.1.6' );
		return 0;
	}
	if ( $unique && as_has_scheduled_action( $hook, null, $group ) ) {
		return 0;
	}
	$wpdb->insert(
		"{$wpdb->prefix}actionscheduler_actions",
		array(
			'hook'         => $hook,
			'status'       => 'pending',
			'scheduled_at' => $when,
			'every'        => $every,
			'args'         => wp_json_encode( $args ),
			'slug'         => $group,
		)
	);
	return $wpdb->insert_id;
}

function as_enqueue_async_action( $hook, $args = array(), $group = '', $unique = false, $priority = 10 ) {
	return wc_standin_schedule( time(), 0, $hook, $args, $group, $unique );
}

function as_schedule_single_action( $timestamp, $hook, $args = array(), $group = '', $unique = false, $priority = 10 ) {
	return wc_standin_schedule( $timestamp, 0, $hook, $args, $group, $unique );
}

function as_schedule_recurring_action( $timestamp, $interval, $hook, $args = array(), $group = '', $unique = false, $priority = 10 ) {
	return wc_standin_schedule( $timestamp, $interval, $hook, $args, $group, $unique );
}

function wc_standin_scheduled( $hook, $args, $group, $statuses ) {
	global $wpdb;
	$where = "status IN ('" . implode( "','", $statuses ) . "')" . $wpdb->prepare( ' AND hook = %s', $hook );
	if ( null !== $args ) {
		$where .= $wpdb->prepare( ' AND args = %s', wp_json_encode( $args ) );
	}
	if ( $group ) {
		$where .= $wpdb->prepare( ' AND slug = %s', $group );
	}
	return $where;
}

function as_has_scheduled_action( $hook, $args = null, $group = '' ) {
	global $wpdb;
	$where = wc_standin_scheduled( $hook, $args, $group, array( 'pending', 'in-progress' ) );
	return (bool) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}actionscheduler_actions WHERE $where" );
}

function as_next_scheduled_action( $hook, $args = null, $group = '' ) {
	global $wpdb;
	$where = wc_standin_scheduled( $hook, $args, $group, array( 'pending' ) );
	$next  = $wpdb->get_var( "SELECT MIN(scheduled_at) FROM {$wpdb->prefix}actionscheduler_actions WHERE $where" );
	return $next ? (int) $next : as_has_scheduled_action( $hook, $args, $group );
}

function as_unschedule_all_actions( $hook, $args = array(), $group = '' ) {
	global $wpdb;
	$where = array( 'status' => 'pending' );
	if ( $hook ) {
		$where['hook'] = $hook;
	}
	if ( $args ) {
		$where['args'] = wp_json_encode( $args );
	}
	if ( $group ) {
		$where['slug'] = $group;
	}
	$wpdb->update( "{$wpdb->prefix}actionscheduler_actions", array( 'status' => 'canceled' ), $where );
}

function as_unschedule_action( $hook, $args = array(), $group = '' ) {
	as_unschedule_all_actions( $hook, $args, $group );
}

function as_supports( $feature ) {
	return in_array( $feature, array( 'ensure_recurring_actions_hook' ), true );
}
