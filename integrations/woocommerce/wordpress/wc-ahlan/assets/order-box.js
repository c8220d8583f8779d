/**
 * Fills the box on the order screen after the screen has opened.
 */
( function () {
	const config = window.wcAhlanOrder;
	const box = document.getElementById( 'wc-ahlan-order' );
	if ( ! config || ! box ) {
		return;
	}

	const make = function ( tag, text, properties ) {
		const node = Object.assign( document.createElement( tag ), properties );
		node.textContent = text;
		return node;
	};

	const row = function ( talk ) {
		const item = make( 'li', '' );
		const link = make( 'a', talk.title, { href: talk.url } );
		link.dir = 'auto';
		item.append( link, make( 'span', [ talk.state, talk.when ].filter( Boolean ).join( ' · ' ), { className: 'description' } ) );
		return item;
	};

	const fill = function ( said ) {
		box.replaceChildren();
		if ( said.conversations.length ) {
			const list = make( 'ul', '' );
			list.append( ...said.conversations.map( row ) );
			box.append( list );
		} else {
			box.append( make( 'p', config.none ) );
		}
		if ( said.customer ) {
			const line = make( 'p', '' );
			line.append( make( 'a', config.all, { href: said.customer } ) );
			box.append( line );
		}
	};

	const body = new URLSearchParams( { action: 'wc_ahlan_conversations', _ajax_nonce: config.nonce, order: config.order } );
	fetch( config.ajax, { method: 'POST', body, credentials: 'same-origin' } )
		.then( ( answer ) => answer.json() )
		.then( ( said ) => ( said.success ? fill( said.data ) : Promise.reject() ) )
		.catch( () => box.replaceChildren( make( 'p', config.away ) ) );
} )();
