/**
 * Our blocks in the editor: a name where each will stand, and beside the page a field for each number that it keeps.
 * What is shown is decided on the server.
 */
( function () {
	const { blocks, blockEditor, components, element } = window.wp;
	const make = element.createElement;

	const field = function ( label, value, keep ) {
		const given = value ? String( value ) : '';
		const onChange = ( typed ) => keep( parseInt( typed, 10 ) || undefined );
		return make( components.TextControl, { key: label, label, type: 'number', min: 1, value: given, onChange } );
	};

	for ( const { name, title, icon, attributes, labels } of window.wcAhlanBlocks ) {
		const Edit = function ( { attributes: kept, setAttributes } ) {
			const place = make( 'div', blockEditor.useBlockProps( { className: 'components-placeholder' } ), title );
			const fields = Object.keys( labels ).map( ( one ) =>
				field( labels[ one ], kept[ one ], ( value ) => setAttributes( { [ one ]: value } ) )
			);
			if ( ! fields.length ) {
				return place;
			}
			const beside = make( blockEditor.InspectorControls, null, make( components.PanelBody, { title }, fields ) );
			return make( element.Fragment, null, beside, place );
		};
		blocks.registerBlockType( name, { apiVersion: 3, title, icon, category: 'woocommerce', attributes, edit: Edit, save: () => null } );
	}
} )();
