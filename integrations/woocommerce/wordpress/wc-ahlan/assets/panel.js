/**
 * Makes the frame with the agents' panel and hands it tokens when it asks, to its own origin only.
 */
( function () {
	const config = window.wcAhlanPanel;
	const place = document.getElementById( 'wc-ahlan-panel' );
	if ( ! config || ! place ) {
		return;
	}
	const PATIENCE = 12000;
	const LOADED = 3000;
	const wait = place.querySelector( '.wc-ahlan-wait' );
	const opening = wait.textContent;
	const frame = document.createElement( 'iframe' );
	frame.title = config.title;
	frame.src = config.frame;
	frame.allow = 'clipboard-write';
	frame.referrerPolicy = 'origin';

	const say = function ( text ) {
		wait.textContent = text;
		wait.hidden = ! text;
	};

	const tell = function ( message ) {
		frame.contentWindow.postMessage( message, config.origin );
	};

	const ask = async function () {
		const body = new URLSearchParams( { action: 'wc_ahlan_token', _ajax_nonce: config.nonce } );
		const answer = await fetch( config.ajax, { method: 'POST', body, credentials: 'same-origin' } );
		const said = await answer.json();
		return said.success ? said.data : null;
	};

	let heard = false;
	let gone = false;
	let tries = 0;
	let timer = 0;

	const away = function () {
		gone = true;
		clearTimeout( timer );
		frame.classList.remove( 'wc-ahlan-there' );
		say( config.away );
	};

	// A page that does not answer is a browser's own error page, or one that lost its way to a token.
	const missing = function () {
		if ( heard ) {
			return;
		}
		tries += 1;
		if ( tries > 2 ) {
			away();
			return;
		}
		frame.classList.remove( 'wc-ahlan-there' );
		say( opening );
		frame.src = config.frame;
		watch( PATIENCE );
	};

	const watch = function ( patience ) {
		heard = false;
		clearTimeout( timer );
		timer = setTimeout( missing, patience );
	};

	window.addEventListener( 'message', async function ( { source, origin, data } ) {
		if ( source !== frame.contentWindow || origin !== config.origin || ! data ) {
			return;
		}
		heard = true;
		gone = false;
		tries = 0;
		frame.classList.add( 'wc-ahlan-there' );
		say( '' );
		if ( data.type !== 'ahlan:token' ) {
			return;
		}
		let token = null;
		try {
			token = await ask();
		} catch {}
		if ( ! token ) {
			say( config.stale );
		}
		tell( { type: 'ahlan:token', token } );
	} );

	frame.addEventListener( 'load', function () {
		if ( gone ) {
			return;
		}
		// What has loaded answers at once, or it is none of ours.
		watch( LOADED );
		tell( { type: 'ahlan:there' } );
	} );

	// Only whether anybody is there: a frame does not tell.
	fetch( config.frame, { mode: 'no-cors', cache: 'no-store', credentials: 'omit' } ).catch( away );
	watch( PATIENCE );
	place.append( frame );
} )();
