/**
 * The block in the editor: a name where the line will stand. What is shown is decided on the server.
 */
( function () {
	const title = window.wcAhlanFit.title;
	window.wp.blocks.registerBlockType( 'wc-ahlan/fit', {
		apiVersion: 2,
		title,
		icon: 'tag',
		category: 'woocommerce',
		attributes: { product: { type: 'integer' } },
		edit: () => window.wp.element.createElement( 'div', { className: 'components-placeholder' }, title ),
		save: () => null,
	} );
} )();
