<?php
/**
 * What WP-CLI is on a server: installs WordPress, and runs code in it for the tests. Only the fixture's word opens it.
 *
 * @package ahlan-tests
 */

$ahlan_tests_input = json_decode( file_get_contents( 'php://input' ), true );
if ( ! is_array( $ahlan_tests_input ) || ! hash_equals( '{WORD}', (string) ( $_SERVER['HTTP_X_TESTS'] ?? '' ) ) ) {
	http_response_code( 404 );
	exit;
}
if ( isset( $ahlan_tests_input['install'] ) ) {
	define( 'WP_INSTALLING', true );
}
require __DIR__ . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

if ( isset( $ahlan_tests_input['install'] ) ) {
	// By itself the installation writes an e-mail and asks its own address.
	add_filter( 'pre_wp_mail', '__return_true' );
	add_filter( 'pre_http_request', '__return_empty_array' );
	$ahlan_tests_install = $ahlan_tests_input['install'];
	wp_install( $ahlan_tests_install['title'], 'admin', 'admin@shop.localhost', true, '', $ahlan_tests_install['password'] );
	update_option( 'permalink_structure', '/%postname%/' );
	header( 'Content-Type: application/json' );
	echo wp_json_encode( array( 'value' => get_bloginfo( 'version' ) ) );
	exit;
}

extract( $ahlan_tests_input['values'] ); // phpcs:ignore WordPress.PHP.DontExtract
ob_start();
try {
	$ahlan_tests_answer = array( 'value' => eval( $ahlan_tests_input['run'] ) ); // phpcs:ignore Squiz.PHP.Eval.Discouraged
} catch ( Throwable $ahlan_tests_error ) {
	$ahlan_tests_answer = array( 'error' => (string) $ahlan_tests_error );
}
ob_end_clean();
header( 'Content-Type: application/json' );
echo wp_json_encode( $ahlan_tests_answer );
