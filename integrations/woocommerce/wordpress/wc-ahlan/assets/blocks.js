/**
 * Our blocks in the editor: a name where each will stand. What is shown is decided on the server.
 */
( function () {
	for ( const { name, title, icon, attributes } of window.wcAhlanBlocks ) {
		window.wp.blocks.registerBlockType( name, {
			apiVersion: 2,
			title,
			icon,
			category: 'woocommerce',
			attributes,
			edit: () => window.wp.element.createElement( 'div', { className: 'components-placeholder' }, title ),
			save: () => null,
		} );
	}
} )();
