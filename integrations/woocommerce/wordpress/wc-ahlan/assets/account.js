/**
 * The button of the Support tab: there once the chat is.
 */
( function () {
	const button = document.querySelector( '[data-ahlan-open]' );
	if ( ! button ) {
		return;
	}
	button.addEventListener( 'click', () => window.Ahlan.open() );
	const started = Date.now();
	const look = function () {
		if ( window.Ahlan && window.Ahlan.open ) {
			button.hidden = false;
		} else if ( Date.now() - started < 30000 ) {
			setTimeout( look, 250 );
		}
	};
	look();
} )();
