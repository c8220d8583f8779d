"""Shopify's own edges: the authorization code grant in a browser, and the storefront's app proxy."""

import time
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from secrets import token_urlsafe
from urllib.parse import urlencode
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from integrations.shopify import account, identity
from integrations.shopify.identity import ProxyRequest, Refused
from integrations.shopify.install import CALLBACK_PATH, STATE_COOKIE, STATE_SECONDS
from integrations.shopify.platform import ShopifyPlatform
from plugin import stores
from plugin.analytics.hints import Shelf
from plugin.app import App
from plugin.kernel.errors import AhlanError, Unauthorized
from plugin.kernel.lazy import _
from plugin.kernel.oidc import OidcError
from plugin.kernel.web import Web, not_found, script_json
from plugin.knowledge import site
from plugin.knowledge.site import Asked, Site
from plugin.platform import PlatformError

log = structlog.get_logger(__name__)

NO_STORE = {"Cache-Control": "no-store"}
OWN_PAGES = {**NO_STORE, "Cross-Origin-Resource-Policy": "same-origin"}
"""What comes through the app proxy is for the storefront's own pages, and kept by nobody on the way (A3)."""

LIQUID = {"content-security-policy": "frame-ancestors 'self'"}
"""Shopify puts it into a page of the shop and sends that page's own policy."""

_LONGEST_ID = 20
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Proxied = Callable[[ProxyRequest], Awaitable[Response]]


def routes(app: App, pages: Web) -> list[BaseRoute]:
    """`/shopify/install`, `/shopify/callback` and what is below `/proxy`; nothing here believes a `shop` parameter."""
    platform = app.platforms["shopify"]
    if not isinstance(platform, ShopifyPlatform):
        raise TypeError("the Shopify edges need the Shopify platform")
    edges = Edges(app, platform, pages)
    return [
        Route("/shopify/install", edges.install, methods=["GET"], name="shopify:install"),
        Route(CALLBACK_PATH, edges.callback, methods=["GET"], name="shopify:callback"),
        Route(account.SIGN_IN_PATH, edges.sign_in, methods=["GET"], name="shopify:account-sign-in"),
        Route(account.CALLBACK_PATH, edges.signed_in, methods=["GET"], name="shopify:account-callback"),
        Route("/proxy/identity", edges.proxied(edges.shopper), methods=["GET"], name="shopify:proxy-identity"),
        Route("/proxy/help", edges.help, methods=["GET"], name="shopify:proxy-help"),
        Route("/proxy/help/{path:path}", edges.help, methods=["GET"], name="shopify:proxy-help-page"),
        Route("/proxy/returns", edges.proxied(edges.orders), methods=["GET"], name="shopify:proxy-returns"),
        Route("/proxy/fit", edges.fit, methods=["GET"], name="shopify:proxy-fit"),
        Route("/proxy/withdrawal", edges.proxied(edges.withdrawal), methods=["GET"], name="shopify:proxy-withdrawal"),
        Route("/proxy/{rest:path}", edges.proxied(edges.nothing), methods=_METHODS, name="shopify:proxy"),
    ]


class Edges:
    """The endpoints, with what they need."""

    def __init__(self, app: App, platform: ShopifyPlatform, pages: Web) -> None:
        self._app = app
        self._platform = platform
        self._pages = pages
        self._site = Site(app, pages)
        self._shelf = Shelf(app)

    async def install(self, request: Request) -> Response:
        """Begin the authorization code grant from a launch that Shopify signed."""
        try:
            begun = self._platform.installer.begin(request.scope["query_string"], time.time())
        except Refused as error:
            log.info("shopify_install_refused", reason=error.reason)
            raise unproven() from error
        answer = RedirectResponse(begun.url, 302, NO_STORE)
        # Lax: the callback is a top-level GET that comes from Shopify's site.
        answer.set_cookie(
            STATE_COOKIE, begun.cookie, max_age=STATE_SECONDS, path=CALLBACK_PATH,
            secure=self._app.settings.secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return answer

    async def callback(self, request: Request) -> Response:
        """End the grant: a connected store, the browser back in Shopify's admin; the cookie is good for one look."""
        answer = await self._finished(request)
        answer.delete_cookie(
            STATE_COOKIE, path=CALLBACK_PATH, secure=self._app.settings.secure, httponly=True, samesite="lax"
        )
        return answer

    async def _finished(self, request: Request) -> Response:
        cookie = request.cookies.get(STATE_COOKIE, "")
        query: bytes = request.scope["query_string"]
        try:
            installed, home = await self._platform.installer.finish(query, cookie, time.time())
        except Refused as error:
            log.info("shopify_callback_refused", reason=error.reason)
            return self._pages.error(request, unproven())
        except PlatformError as error:
            log.warning("shopify_callback_failed", code=error.code)
            return self._pages.error(request, unfinished())
        if installed.missing:
            log.info("shopify_scopes_missing", store=str(installed.store_id), missing=list(installed.missing))
        return RedirectResponse(home, 302, NO_STORE)

    async def sign_in(self, request: Request) -> Response:
        """A shopper signs in with their account at the shop: on to Shopify, in a window of its own.

        Its address is no secret and opens nothing by itself: what comes of it stays in the browser that went there.
        """
        asked = request.query_params
        try:
            store = await self._store(asked.get("store", ""))
            locale = self._pages.translator(request, asked.get("locale", "") or store.locale).locale
            going = await self._platform.accounts.begin(store.connection(), asked.get("mark", ""), locale)
        except (Refused, OidcError) as error:
            log.info("account_sign_in_refused", reason=error.reason)
            return self._pages.error(request, unsigned())
        answer = RedirectResponse(going.url, 302, NO_STORE)
        answer.set_cookie(
            account.COOKIE, going.cookie, max_age=account.COOKIE_SECONDS, path=account.CALLBACK_PATH,
            secure=self._app.settings.secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return answer

    async def signed_in(self, request: Request) -> Response:
        """Back from Shopify: the widget that opened this window gets the word, and the window goes away."""
        try:
            came = await self._platform.accounts.finish(
                request.scope["query_string"], request.cookies.get(account.COOKIE, "")
            )
            answer = await self._handed_over(request, came)
        except (Refused, OidcError) as error:
            log.info("account_callback_refused", reason=error.reason)
            answer = self._pages.error(request, unsigned())
        answer.delete_cookie(
            account.COOKIE, path=account.CALLBACK_PATH, secure=self._app.settings.secure, httponly=True, samesite="lax"
        )
        return answer

    async def _handed_over(self, request: Request, came: account.Came) -> Response:
        async with self._app.db.transaction(came.workspace_id) as tx:
            store = await stores.get(tx, came.store_id)
        if store is None or store.status == stores.UNINSTALLED:
            raise not_found()
        nonce = token_urlsafe(16)
        words = self._pages.translator(request, came.locale)
        told = {
            "mark": came.mark,
            "store": store.public_key,
            "word": self._platform.shopper_token(
                (came.workspace_id, came.store_id), came.customer_external_id, account.WORD_SECONDS
            ),
            "page": f"/widget/page?{urlencode({'store': store.public_key, 'locale': words.locale})}",
        }
        page = self._pages.render("signed_in.html", words, told=script_json(told), nonce=nonce, shop=store.name)
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        return HTMLResponse(page, headers={**NO_STORE, "content-security-policy": policy})

    async def _store(self, public_key: str) -> stores.Store:
        """The store of this platform behind a widget's public key. Raises NotFound."""
        for workspace_id, store_id in await self._app.db.lookup("widget", public_key):
            if store_id is None:
                continue
            async with self._app.db.transaction(workspace_id) as tx:
                store = await stores.get(tx, store_id)
            if store is not None and store.platform == self._platform.kind and store.status != stores.UNINSTALLED:
                return store
        raise not_found()

    def proxied(self, endpoint: Proxied) -> Callable[[Request], Awaitable[Response]]:
        """An address below `/proxy`: signed by Shopify and answered in JSON, also where it fails.

        A page of ours would be shown as a page of the shop, and what asks for `application/liquid` would be run as one.
        """

        async def answer(request: Request) -> Response:
            try:
                answered = await endpoint(self._signed(request))
            except AhlanError as error:
                answered = self._pages.error(request, error, page=False)
            answered.headers.update(OWN_PAGES)
            return answered

        return answer

    def _signed(self, request: Request) -> ProxyRequest:
        """What Shopify says about a request of the storefront. Raises Unauthorized for what it did not sign."""
        try:
            return identity.proxy(request.scope["query_string"], self._app.settings.shopify.secrets, time.time())
        except Refused as error:
            log.info("shopify_proxy_refused", reason=error.reason)
            raise Unauthorized(
                _("This address is for the store's own pages only."), _("Open the store and try again there.")
            ) from error

    async def help(self, request: Request) -> Response:
        """The help centre at the shop's own address: inside its theme as Liquid, or a document of ours (a choice).

        Unlike the rest of the proxy it is a page, and meant to be one of the shop's: its words are the merchant's and
        its HTML went through the sanitiser. As Liquid it holds nothing that Shopify would run and no word of the
        request; as a document it says what a shopper searched for as text.
        """
        try:
            asked = self._signed(request)
            found = await self._platform.installer.known(asked.shop)
            if found is None:
                raise not_found()
            async with self._app.db.transaction(found[0]) as tx:
                store = await stores.get(tx, found[1])
                if store is None or store.status == stores.UNINSTALLED:
                    raise not_found()
            await self._platform.proxy_seen(found, asked.path_prefix)
            answered = await self._help_page(request, asked, store)
        except AhlanError as error:
            answered = self._pages.error(request, error, page=False)
        answered.headers.update(NO_STORE)
        return answered

    async def _help_page(self, request: Request, asked: ProxyRequest, store: stores.Store) -> Response:
        base = f"{asked.path_prefix}/help"
        async with self._app.db.transaction(store.workspace_id) as tx:
            await site.seen_at(tx, store.id, f"{store.url.rstrip('/')}{base}")
        store.widget = {**store.widget, site.HELP_BASE: f"{store.url.rstrip('/')}{base}"}
        themed = not store.widget.get(site.HELP_ALONE)
        page = Asked(
            path=request.path_params.get("path", ""),
            base=base,
            query={name: value for name, value in request.query_params.items() if name not in identity.PROXY_FIELDS},
            languages=request.headers.get("accept-language", ""),
            agent=request.headers.get("user-agent", ""),
            in_place=True,
            chat=not themed,
            identity=f"{asked.path_prefix}/identity",
            embedded=themed,
            silent=themed,
        )
        made = await self._site.page(store, page)
        if made.kind != "text/html":
            return Response(str(made.body), made.status, media_type=made.kind)
        if themed:
            text = self._site.themed(store, page, made)
            return Response(text, made.status, media_type="application/liquid", headers=LIQUID)
        policy = site.content_policy(self._app.settings.public_url)
        return HTMLResponse(
            self._site.document(store, page, made), made.status, {"content-security-policy": policy}
        )  # fmt: skip

    async def nothing(self, asked: ProxyRequest) -> Response:
        """Whatever else is asked for through the proxy, by whatever method: the body is not signed and never read."""
        raise not_found()

    async def shopper(self, asked: ProxyRequest) -> Response:
        """`/apps/support/identity` of a storefront: a token that says who is signed in there; 204 when nobody is.

        A blank customer id means "unknown" (it is not dependable with new customer accounts), never an error. The
        answer is readable by the storefront's own pages only, and the request changes nothing but our memory of where
        the proxy is.
        """
        known = await self._platform.installer.known(asked.shop)
        if known is None or not await self._active(known):
            raise not_found()
        await self._platform.proxy_seen(known, asked.path_prefix)
        if not asked.customer_external_id:
            return Response(status_code=204)
        token = self._platform.shopper_token(known, asked.customer_external_id)
        return JSONResponse({"token": token})

    async def orders(self, asked: ProxyRequest) -> Response:
        """`/apps/support/returns`: a page of the store with its own look, in which a shopper's orders stand.

        Liquid of ours and nothing of the request's: the frame inside talks to us itself, so no state crosses the proxy,
        which strips cookies. `identity` is our neighbour there, wherever the merchant moved the proxy to.
        """
        return await self._screen(asked)

    async def withdrawal(self, asked: ProxyRequest) -> Response:
        """`/apps/support/withdrawal`: likewise, with the way out of a contract (docs/withdrawal.md)."""
        return await self._screen(asked, {"data-screen": "withdrawal"})

    async def _screen(self, asked: ProxyRequest, more: Mapping[str, str] | None = None) -> Response:
        known = await self._platform.installer.known(asked.shop)
        if known is None:
            raise not_found()
        async with self._app.db.transaction(known[0]) as tx:
            store = await stores.get(tx, known[1])
        if store is None or store.status == stores.UNINSTALLED:
            raise not_found()
        await self._platform.proxy_seen(known, asked.path_prefix)
        server = self._app.settings.public_url
        attributes = {
            "src": f"{server}/widget/page.js", "data-server": server, "data-store": store.public_key,
            "data-identity": "identity", "data-accent": str(store.widget.get("accent", "")), **(more or {}),
        }  # fmt: skip
        written = "".join(f' {name}="{_literal(value)}"' for name, value in attributes.items())
        return Response(f"<script{written}></script>", media_type="application/liquid", headers=LIQUID)

    async def fit(self, request: Request) -> Response:
        """`/apps/support/fit?product=…`: whether a product runs small or large, for its page; 204: nothing to say."""

        async def said(asked: ProxyRequest) -> Response:
            known = await self._platform.installer.known(asked.shop)
            if known is None:
                raise not_found()
            async with self._app.db.transaction(known[0]) as tx:
                store = await stores.get(tx, known[1])
            if store is None or store.status == stores.UNINSTALLED:
                raise not_found()
            product = request.query_params.get("product", "")
            words = ""
            if product.isascii() and product.isdigit() and len(product) <= _LONGEST_ID:
                locale = request.query_params.get("locale", "")[:20]
                words = await self._shelf.words(store, f"gid://shopify/Product/{product}", locale)
            return JSONResponse({"text": words}) if words else Response(status_code=204)

        return await self.proxied(said)(request)

    async def _active(self, known: tuple[UUID, UUID]) -> bool:
        # An uninstalled shop's proxy still resolves for a while.
        async with self._app.db.transaction(known[0]) as tx:
            store = await stores.get(tx, known[1])
        return store is not None and store.status != stores.UNINSTALLED


def _literal(value: str) -> str:
    """A value that is text in HTML and in Liquid, whatever is in it."""
    return escape(value).replace("{", "&#123;").replace("%", "&#37;")


def unproven() -> AhlanError:
    """A launch or callback that Shopify did not sign, that is too old, or that began in another browser."""
    return AhlanError(
        _("Shopify did not confirm this request, so nothing was connected."),
        _("Open the app from your Shopify admin and start again there."),
        code="shopify_unproven",
        status=400,
    )


def unsigned() -> AhlanError:
    """A sign-in that did not come to an end: refused, too old, another browser's, or nobody to ask."""
    return AhlanError(
        _("You are not signed in."),
        _("Close this window and sign in once more, or find your order by its number."),
        code="account_unsigned",
        status=400,
    )


def unfinished() -> AhlanError:
    """Shopify answered the last step with a refusal, or not at all."""
    return AhlanError(
        _("Shopify did not finish connecting the store."),
        _("Open the app from your Shopify admin and start again there. Nothing is lost."),
        code="shopify_unfinished",
        status=502,
    )
