<?php
/**
 * The pieces of the settings page.
 *
 * @package WcAhlan
 */

defined( 'ABSPATH' ) || exit;

/**
 * Prints, and decides nothing.
 */
final class Ahlan_Admin_View {

	/**
	 * What stands in the way.
	 *
	 * @param array<int,array<string,string>> $problems Of Ahlan_Health.
	 */
	public static function problems( array $problems ) {
		foreach ( $problems as $problem ) {
			printf(
				'<div class="notice notice-%1$s inline" data-problem="%2$s"><p><strong>%3$s</strong><br>%4$s</p>%5$s</div>',
				esc_attr( $problem['level'] ),
				esc_attr( $problem['code'] ),
				esc_html( $problem['title'] ),
				esc_html( $problem['text'] ),
				'' !== $problem['url'] ? '<p><a href="' . esc_url( $problem['url'] ) . '">' . esc_html( $problem['link'] ) . '</a></p>' : ''
			);
		}
	}

	/**
	 * The invitation to connect.
	 *
	 * @param array<int,array<string,string>> $problems What stands in the way of that.
	 */
	public static function connect( array $problems ) {
		$stops = in_array( 'error', wp_list_pluck( $problems, 'level' ), true );
		echo '<div class="card"><h2>' . esc_html__( 'Talk with your shoppers', 'wc-ahlan' ) . '</h2><p>'
			. esc_html__( 'Ahlan puts a small chat into the storefront and shows your team the shopper\'s orders beside it. Connecting takes a minute: WooCommerce asks once whether Ahlan may read and change orders, customers and products.', 'wc-ahlan' )
			. '</p>';
		self::button( 'connect', __( 'Connect to Ahlan', 'wc-ahlan' ), 'button-primary button-hero', $stops );
		echo '</div>';
	}

	/**
	 * The choice on a copy of the shop.
	 */
	public static function copied() {
		echo '<div class="card"><h2>' . esc_html__( 'Which of the two is this?', 'wc-ahlan' ) . '</h2><div class="wc-ahlan-acts">';
		self::button( 'forget', __( 'A copy: forget the connection here', 'wc-ahlan' ), 'button-primary' );
		self::button( 'connect', __( 'The shop moved: connect again', 'wc-ahlan' ), 'button-secondary' );
		echo '</div></div>';
	}

	/**
	 * What is connected with what.
	 *
	 * @param array<string,mixed> $stored The connection.
	 * @param bool                $broken Whether something keeps it from working; what that is stands above.
	 */
	public static function connected( array $stored, $broken ) {
		$waiting = Ahlan_Queue::state()['waiting'];
		echo '<div class="card">';
		if ( $broken ) {
			echo '<h2>' . esc_html__( 'Connected, but something is in the way', 'wc-ahlan' ) . '</h2>';
		} else {
			echo '<h2><span class="dashicons dashicons-yes-alt" aria-hidden="true"></span> ' . esc_html__( 'Connected', 'wc-ahlan' ) . '</h2><p>'
				. esc_html__( 'Orders, customers and carts of this shop are known to Ahlan.', 'wc-ahlan' )
				. ( Ahlan_Widget::enabled() ? ' ' . esc_html__( 'The chat is in the storefront.', 'wc-ahlan' ) : '' )
				. '</p>';
		}
		echo '<p class="description">';
		printf(
			/* translators: 1: address of a server, 2: a date. */
			esc_html__( 'With %1$s since %2$s.', 'wc-ahlan' ),
			'<bdi dir="ltr">' . esc_html( $stored['server'] ) . '</bdi>',
			esc_html( wp_date( (string) get_option( 'date_format' ), (int) $stored['since'] ) )
		);
		if ( $waiting > 0 ) {
			/* translators: %s: a number of carts. */
			echo ' ' . esc_html( sprintf( _n( 'News of %s cart is on its way.', 'News of %s carts is on its way.', $waiting, 'wc-ahlan' ), number_format_i18n( $waiting ) ) );
		}
		echo '</p><div class="wc-ahlan-acts"><a class="button ' . ( $broken ? 'button-secondary' : 'button-primary' ) . '" href="' . esc_url( Ahlan_Admin::url( Ahlan_Panel::PAGE ) ) . '">' . esc_html__( 'Open conversations', 'wc-ahlan' ) . '</a>';
		self::button( 'connect', __( 'Connect again', 'wc-ahlan' ), $broken ? 'button-primary' : 'button-secondary' );
		self::button( 'disconnect', __( 'Disconnect', 'wc-ahlan' ), 'button-link-delete' );
		echo '</div></div>';
	}

	/**
	 * Where the chat is shown and how it looks.
	 *
	 * @param array<string,mixed> $settings The settings.
	 */
	public static function settings( array $settings ) {
		echo '<h2>' . esc_html__( 'The chat in the storefront', 'wc-ahlan' ) . '</h2>';
		self::form( 'save' );
		echo '<table class="form-table" role="presentation"><tr><th scope="row">' . esc_html__( 'Chat', 'wc-ahlan' ) . '</th><td>';
		self::check( 'widget', '1', $settings['widget'], __( 'Show the chat to shoppers', 'wc-ahlan' ) );
		echo '</td></tr><tr><th scope="row">' . esc_html__( 'On these pages', 'wc-ahlan' ) . '</th><td><fieldset><legend class="screen-reader-text">' . esc_html__( 'On these pages', 'wc-ahlan' ) . '</legend>';
		foreach ( Ahlan_Settings::page_types() as $type => $name ) {
			self::check( 'shown[]', $type, ! in_array( $type, $settings['off'], true ), $name );
			echo '<br>';
		}
		echo '</fieldset></td></tr><tr><th scope="row">' . esc_html__( 'My account', 'wc-ahlan' ) . '</th><td>';
		self::check( 'support_tab', '1', $settings['support_tab'], __( 'Add a Support tab', 'wc-ahlan' ) );
		echo '</td></tr><tr><th scope="row"><label for="wc-ahlan-withdrawal">' . esc_html__( 'Right of withdrawal (EU)', 'wc-ahlan' ) . '</label></th><td><select id="wc-ahlan-withdrawal" name="withdrawal">';
		$choices = array(
			'auto' => __( 'A link on every page while the shop sells into the European Union', 'wc-ahlan' ),
			'on'   => __( 'A link on every page', 'wc-ahlan' ),
			'off'  => __( 'No link', 'wc-ahlan' ),
		);
		foreach ( $choices as $choice => $name ) {
			echo '<option value="' . esc_attr( $choice ) . '"' . selected( $settings['withdrawal'], $choice, false ) . '>' . esc_html( $name ) . '</option>';
		}
		echo '</select></td></tr><tr><th scope="row"><label for="wc-ahlan-side">' . esc_html__( 'Side of the page', 'wc-ahlan' ) . '</label></th><td><select id="wc-ahlan-side" name="side">';
		$sides = array(
			'end'   => __( 'Where lines end', 'wc-ahlan' ),
			'start' => __( 'Where lines begin', 'wc-ahlan' ),
		);
		foreach ( $sides as $side => $name ) {
			echo '<option value="' . esc_attr( $side ) . '"' . selected( $settings['side'], $side, false ) . '>' . esc_html( $name ) . '</option>';
		}
		echo '</select></td></tr><tr><th scope="row"><label for="wc-ahlan-accent">' . esc_html__( 'Colour', 'wc-ahlan' ) . '</label></th><td><input type="color" id="wc-ahlan-accent" name="accent" value="'
			. esc_attr( $settings['accent'] ) . '"></td></tr></table>';
		submit_button( __( 'Save changes', 'wc-ahlan' ) );
		echo '</form>';
	}

	/**
	 * Where Ahlan lives.
	 *
	 * @param string $server What is known so far.
	 */
	public static function server( $server ) {
		echo '<h2>' . esc_html__( 'Your Ahlan', 'wc-ahlan' ) . '</h2>';
		self::form( 'server' );
		echo '<table class="form-table" role="presentation"><tr><th scope="row"><label for="wc-ahlan-server">' . esc_html__( 'Address', 'wc-ahlan' )
			. '</label></th><td><input type="url" class="regular-text code" dir="ltr" id="wc-ahlan-server" name="server" required placeholder="https://ahlan.example.com" value="' . esc_attr( $server )
			. '"><p class="description">' . esc_html__( 'As it stands in the browser when you are signed in to Ahlan.', 'wc-ahlan' ) . '</p></td></tr></table>';
		submit_button( __( 'Save address', 'wc-ahlan' ), 'secondary' );
		echo '</form>';
	}

	/**
	 * A button that is a form of its own.
	 *
	 * @param string $verb     What it does.
	 * @param string $text     What it says.
	 * @param string $classes  How it looks.
	 * @param bool   $disabled Whether it cannot be pressed.
	 */
	private static function button( $verb, $text, $classes, $disabled = false ) {
		self::form( $verb );
		echo '<button class="button ' . esc_attr( $classes ) . '"' . disabled( $disabled, true, false ) . '>' . esc_html( $text ) . '</button></form>';
	}

	/**
	 * The beginning of a form.
	 *
	 * @param string $verb What it does.
	 */
	private static function form( $verb ) {
		echo '<form method="post" action="' . esc_url( admin_url( 'admin-post.php' ) ) . '"><input type="hidden" name="action" value="' . esc_attr( 'wc_ahlan_' . $verb ) . '">';
		wp_nonce_field( 'wc_ahlan_' . $verb, '_wpnonce', false );
	}

	/**
	 * A box to tick.
	 *
	 * @param string $name    Name of the field.
	 * @param string $value   Its value.
	 * @param bool   $checked Whether it is ticked.
	 * @param string $text    What it says.
	 */
	private static function check( $name, $value, $checked, $text ) {
		echo '<label><input type="checkbox" name="' . esc_attr( $name ) . '" value="' . esc_attr( $value ) . '"' . checked( $checked, true, false ) . '> ' . esc_html( $text ) . '</label>';
	}
}
