"""The simulated WordPress site as one ASGI app. It is reached by name (`HOST`); the demo composes it with Shopify's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from integrations.woocommerce.simulator import keys, rest, seed, writings
from integrations.woocommerce.simulator.control import CRITICAL_ERROR, Control
from integrations.woocommerce.simulator.database import Documents, Json
from integrations.woocommerce.simulator.hooks import Hooks
from integrations.woocommerce.simulator.pages import HERE, NAMES, Pages
from integrations.woocommerce.simulator.plugin import Plugin
from integrations.woocommerce.simulator.rest import Answer, Call, Rest
from integrations.woocommerce.simulator.shop import Died, Shop, utc_now
from integrations.woocommerce.simulator.wire import WpError, php_json

HOST: Final = "woo-demo.localhost"
PLUGIN_ASSETS: Final = HERE.parent / "wordpress" / "wc-ahlan" / "assets"


class Site:
    """Everything of one simulated site, wired together."""

    def __init__(
        self,
        directory: Path | None,
        *,
        server: str,
        site: str,
        public: str,
        trusted: Sequence[str],
        clock: Callable[[], datetime],
        http: httpx.AsyncClient,
        cron_seconds: float | None,
    ) -> None:
        self.documents = Documents(directory)
        self.zone = ZoneInfo("Asia/Amman")
        self._site = site.rstrip("/")
        self._public = public.rstrip("/")
        self._http = http
        self._cron_seconds = cron_seconds
        self._cron: asyncio.Task[None] | None = None
        self._nonces: dict[str, float] = {}
        origins = frozenset(origin.rstrip("/") for origin in (server, *trusted))
        self.shop = Shop(self.documents, clock, self._emit, self.zone)
        self.hooks = Hooks(
            self.documents,
            zone=self.zone,
            site=lambda: self._site,
            resource=lambda name, identifier: self.rest.resource(name, identifier, self._public or self._site),
            http=http,
            trusted=origins,
            clock=lambda: clock().timestamp(),
        )
        self.rest = Rest(self.shop, self.hooks)
        self.plugin = Plugin(self.shop, site=self._site, public=self._public or self._site, server=server, http=http)
        self.pages = Pages(self.shop, self.plugin, self.hooks, site=self._site, http=http, trusted=origins)
        self.control = Control(self.pages, self.run_cron)
        if not self.documents.get("option", "sequences"):
            seed.seed(self.shop)

    def _emit(self, topic: str, identifier: int) -> None:
        self.hooks.emit(topic, identifier)

    async def run_cron(self) -> int:
        """Webhooks one after another, then the plugin's cart events."""
        sent = await self.hooks.run()
        return sent + await self.plugin.send_events()

    async def _keep_running(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            if self.shop.option("cron", True):
                await self.run_cron()

    def start(self) -> None:
        """Begin the cron; harmless when it runs already."""
        if self._cron_seconds is not None and (self._cron is None or self._cron.done()):
            self._cron = asyncio.create_task(self._keep_running(self._cron_seconds))

    async def stop(self) -> None:
        """End the cron, close connections and the file."""
        if self._cron is not None:
            self._cron.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._cron
        await self._http.aclose()
        self.documents.close()

    # The REST door

    async def front(self, request: Request) -> Response:
        """`/`: plain permalinks bring everything through here."""
        params = request.query_params
        if "rest_route" in params:
            return await self._answer(request, params["rest_route"], pretty=False)
        if params.get("wc-auth-version") == "1":
            route = params.get("wc-auth-route", "")
            return await (self.pages.granted if route == "access_granted" else self.pages.authorize)(request)
        return await self.pages.home(request)

    async def json(self, request: Request) -> Response:
        """`/wp-json/…`: a 404 page of the theme while permalinks are plain."""
        if not self.shop.option("permalinks", True):
            return self.pages.not_found(request)
        return await self._answer(request, f"/{request.path_params['path']}", pretty=True)

    async def _answer(self, request: Request, route: str, *, pretty: bool) -> Response:
        base = _base(request)
        try:
            answer = await self._route(request, route.strip("/"), base, pretty)
        except WpError as error:
            answer = Answer(error.body, error.status)
        except Died:
            return Response(CRITICAL_ERROR, 500, media_type="text/html")
        if isinstance(answer, Response):
            return answer
        headers = _headers(base, answer)
        body = b"" if answer.status == 204 else php_json(answer.body)
        return Response(body, answer.status, headers=headers, media_type="application/json; charset=UTF-8")

    async def _route(self, request: Request, route: str, base: str, pretty: bool) -> Answer | Response:
        if route == "":
            return Answer(rest.index(base, self._public or base, self.zone, NAMES["en"]))
        if route == "wc/store/v1/cart":
            return await self.pages.store_cart(request)
        if route == "wc-ahlan/v1/identity" and request.method == "GET":
            return self._identity(request, base)
        params = {name: value for name, value in request.query_params.items() if name != "rest_route"}
        raw = await request.body()
        ours = route.startswith("wc-ahlan/v1/")
        if ours and (request.method, route) != ("POST", "wc-ahlan/v1/pair"):
            return Answer(self.plugin.signed_call(request.method, _path(request), request.headers, raw))
        written = route in ("wp/v2/pages", "wp/v2/posts") and request.method == "GET"
        if not ours and not written and not route.startswith("wc/v3/"):
            raise WpError("rest_no_route", "No route was found matching the URL and request method.", 404)
        failure = await self.control.failure()
        if failure is not None:
            return failure
        if written:
            return writings.listing(self.shop, route.rpartition("/")[2], params, self._public or base)
        # Keys are only looked at behind pretty permalinks (B22).
        key = self._key(request, base, params) if pretty else None
        if ours:
            if key is None:
                raise WpError("rest_forbidden", "Sorry, you are not allowed to do that.", 401)
            return Answer(self.plugin.pair(rest.read_body(raw)))
        path = route.removeprefix("wc/v3/")
        call = Call(request.method, path, params, rest.read_body(raw), self._public or base, key)
        return await self.rest.answer(call)

    def _key(self, request: Request, base: str, params: dict[str, str]) -> Json | None:
        return keys.authenticate(
            self.documents,
            method=request.method,
            url=f"{base}{request.url.path}",
            https=base.startswith("https://"),
            params=params,
            authorization=request.headers.get("authorization", ""),
            now=self.shop.clock().timestamp(),
            used_nonces=self._nonces,
        )

    def _identity(self, request: Request, base: str) -> Response:
        token = self.plugin.identity(self.pages.session(request), request.headers.get("origin", ""), base)
        headers = {"Cache-Control": "no-store, private", "Vary": "Cookie"}
        if token is None:
            return Response(status_code=204, headers=headers)
        return Response(php_json({"token": token}), media_type="application/json", headers=headers)

    async def _missing(self, request: Request, error: Exception) -> Response:
        return self.pages.not_found(request)

    def application(self) -> Starlette:
        """The ASGI app, with the cron in its lifespan."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self.start()
            try:
                yield
            finally:
                await self.stop()

        every = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        routes = [
            Route("/", self.front, methods=every),
            Route("/wp-json", self._bare_json, methods=every),
            Route("/wp-json/{path:path}", self.json, methods=every),
            Mount("/wp-content/themes/zaytouna", StaticFiles(directory=HERE / "static")),
            # The real plugin's own scripts and styles.
            Mount("/wp-content/plugins/wc-ahlan/assets", StaticFiles(directory=PLUGIN_ASSETS)),
            *self.pages.routes(),
            *self.control.routes(),
        ]
        app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: self._missing})
        app.state.site = self
        return app

    async def _bare_json(self, request: Request) -> Response:
        request.path_params["path"] = ""
        return await self.json(request)


def create_app(
    directory: Path | None,
    *,
    server: str = "http://localhost:8000",
    site: str = f"https://{HOST}",
    public: str = "",
    trusted: Sequence[str] = (),
    clock: Callable[[], datetime] = utc_now,
    http: httpx.AsyncClient | None = None,
    cron_seconds: float | None = 1.0,
) -> ASGIApp:
    """The simulated site.

    `directory`: where its state lives (None: in memory). `server`: Ahlan's public URL, which is delivered to although
    it is private; so are `trusted` origins. `site`: its own address as Ahlan knows it; `public`: where browsers find
    it, for links and pictures, when that is another one (the demo has no TLS). `cron_seconds` None: deliveries happen
    only on `POST /__sim/cron`. Whoever composes it without passing lifespan events on gets the cron at the first
    request.
    """
    client = http or httpx.AsyncClient(timeout=60, trust_env=False)
    world = Site(
        directory,
        server=server,
        site=site,
        public=public,
        trusted=trusted,
        clock=clock,
        http=client,
        cron_seconds=cron_seconds,
    )
    application = world.application()

    async def simulator(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            world.start()
        await application(scope, receive, send)

    return simulator


def _base(request: Request) -> str:
    """The site as this caller reached it; the app's swapped transport says https in X-Forwarded-Proto."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return f"{'https' if scheme == 'https' else 'http'}://{request.headers.get('host', HOST)}"


def _path(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _headers(base: str, answer: Answer) -> dict[str, str]:
    link = answer.headers.pop("Link", f'<{base}/wp-json/>; rel="https://api.w.org/"')
    return {
        "X-Powered-By": "PHP/8.2.36",
        "X-Robots-Tag": "noindex",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Expose-Headers": "X-WP-Total, X-WP-TotalPages, Link",
        "Access-Control-Allow-Headers": "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type",
        **answer.headers,
        "Link": link,
        **({"Allow": ", ".join(answer.allow)} if answer.allow else {}),
        "Expires": "Wed, 11 Jan 1984 05:00:00 GMT",
        "Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private",
    }


__all__ = ["HOST", "Site", "create_app"]
