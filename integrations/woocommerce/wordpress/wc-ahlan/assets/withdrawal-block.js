/**
 * The block in the editor: a name where the screens will stand. What is shown is decided on the server.
 */
( function () {
	const title = window.wcAhlanWithdrawal.title;
	window.wp.blocks.registerBlockType( 'wc-ahlan/withdrawal', {
		apiVersion: 2,
		title,
		icon: 'dismiss',
		category: 'woocommerce',
		edit: () => window.wp.element.createElement( 'div', { className: 'components-placeholder' }, title ),
		save: () => null,
	} );
} )();
