/**
 * Makes the frame with the agents' panel and hands it tokens when it asks, to its own origin only.
 */
( function () {
	const config = window.wcAhlanPanel;
	const place = document.getElementById( 'wc-ahlan-panel' );
	if ( ! config || ! place ) {
		return;
	}
	const wait = place.querySelector( '.wc-ahlan-wait' );
	const frame = document.createElement( 'iframe' );
	frame.title = config.title;
	frame.src = config.frame;
	frame.allow = 'clipboard-write; camera; microphone';
	frame.referrerPolicy = 'origin';

	const say = function ( text ) {
		wait.textContent = text;
		wait.hidden = ! text;
	};

	const ask = async function () {
		const body = new URLSearchParams( { action: 'wc_ahlan_token', _ajax_nonce: config.nonce } );
		const answer = await fetch( config.ajax, { method: 'POST', body, credentials: 'same-origin' } );
		const said = await answer.json();
		return said.success ? said.data : null;
	};

	let heard = false;
	window.addEventListener( 'message', async function ( event ) {
		if ( event.source !== frame.contentWindow || event.origin !== config.origin || ! event.data ) {
			return;
		}
		heard = true;
		if ( event.data.type === 'ahlan:ready' ) {
			say( '' );
			return;
		}
		if ( event.data.type !== 'ahlan:token' ) {
			return;
		}
		let token = null;
		try {
			token = await ask();
		} catch {}
		if ( ! token ) {
			say( config.stale );
		}
		frame.contentWindow.postMessage( { type: 'ahlan:token', token }, config.origin );
	} );

	setTimeout( function () {
		if ( ! heard ) {
			say( config.away );
		}
	}, 12000 );
	place.append( frame );
} )();
