/**
 * The block in the editor: a name where the screens will stand. What is shown is decided on the server.
 */
( function () {
	const title = window.wcAhlanReturns.title;
	window.wp.blocks.registerBlockType( 'wc-ahlan/returns', {
		apiVersion: 2,
		title,
		icon: 'undo',
		category: 'woocommerce',
		edit: () => window.wp.element.createElement( 'div', { className: 'components-placeholder' }, title ),
		save: () => null,
	} );
} )();
