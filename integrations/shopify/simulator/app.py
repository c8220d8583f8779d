"""The simulator as one ASGI application that answers under Shopify's names (by Host header)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from integrations.shopify.simulator import accounts, admin_pages, bulk, control, oauth, pages, seed, storefront
from integrations.shopify.simulator.admin_api import SCHEMA, AdminApi, query_root, resolve_field
from integrations.shopify.simulator.shop import ADMIN_HOST, DOWNLOAD_HOST, STOREFRONT_HOST, Shop
from integrations.shopify.simulator.state import ShopState
from integrations.shopify.simulator.webhooks import Deliveries


class Simulator:
    """ASGI app. ``hosts`` are the Host names it answers; ``shop`` and ``deliveries`` are there for tests."""

    def __init__(self, shop: Shop, transport: httpx.AsyncBaseTransport | None) -> None:
        self.shop = shop
        self.deliveries = Deliveries(shop, transport)
        shop.on_event = self.deliveries.emit
        self.admin_api = AdminApi(shop, self.start_bulk)
        self._bulk: set[asyncio.Task[None]] = set()
        common = [*self._oauth_routes(), *control.routes(shop, self.deliveries, self.admin_api.throttle)]
        api = Route("/admin/api/{version}/graphql.json", self.admin_api.__call__, methods=["POST"])
        store = _starlette([api, *common, *accounts.routes(shop), *storefront.routes(shop, transport)])
        admin = _starlette([*common, *admin_pages.routes(shop)])

        async def download(request: Request) -> Response:
            return await bulk.download(shop, request)

        self._apps = {
            STOREFRONT_HOST: store,
            shop.domain: store,
            ADMIN_HOST: admin,
            DOWNLOAD_HOST: _starlette([Route(f"{bulk.BUCKET_PATH}/{{file}}.jsonl", download)]),
        }
        self.hosts = frozenset(self._apps)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        named = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        app = self._apps.get(named)
        if app is None:
            await JSONResponse({"error": f"no such host here: {named}"}, 421)(scope, receive, send)
            return
        await app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.startup()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    async def startup(self) -> None:
        """Takes up what was under way: deliveries that are due, bulk operations that ran."""
        self.deliveries.start()
        for held in self.shop.state.all("bulk"):
            if held["status"] in bulk.RUNNING:
                self.start_bulk(held["id"])

    async def shutdown(self) -> None:
        for task in self._bulk:
            task.cancel()
        await asyncio.gather(*self._bulk, return_exceptions=True)
        await self.deliveries.stop()
        self.shop.state.close()

    def start_bulk(self, number: int) -> None:
        """Sets a bulk operation going in the background."""
        task = asyncio.get_running_loop().create_task(bulk.run(self.shop, SCHEMA, number, query_root, resolve_field))
        self._bulk.add(task)
        task.add_done_callback(self._bulk.discard)

    def _oauth_routes(self) -> list[Route]:
        shop = self.shop

        async def access_token(request: Request) -> Response:
            return await oauth.access_token(shop, request)

        async def authorize(request: Request) -> Response:
            query = dict(request.query_params)
            wrong = oauth.check_authorize(shop, query)
            if wrong:
                return pages.page("oauth_error.html", status=400, words=wrong)
            asked = [scope for scope in query.get("scope", "").split(",") if scope]
            if shop.installed and all(shop.allows(scope) for scope in asked):
                return RedirectResponse(oauth.grant_code(shop, query), 302)
            return pages.page("consent.html", shop=shop, scopes=asked or shop.required_scopes,
                              action="/admin/oauth/grant", fields=query)  # fmt: skip

        async def grant(request: Request) -> Response:
            query = {key: str(value) for key, value in (await request.form()).items()}
            wrong = oauth.check_authorize(shop, query)
            if wrong:
                return pages.page("oauth_error.html", status=400, words=wrong)
            return RedirectResponse(oauth.grant_code(shop, query), 302)

        async def editor(_: Request) -> Response:
            return RedirectResponse(f"{shop.admin_origin}/themes", 302)

        return [
            Route("/admin/oauth/access_token", access_token, methods=["POST"]),
            Route("/admin/oauth/authorize", authorize),
            Route("/admin/oauth/grant", grant, methods=["POST"]),
            Route("/admin/themes/current/editor", editor),
        ]


def _starlette(routes: list[Route]) -> Starlette:
    async def refused(request: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, LookupError) else 422
        return JSONResponse({"error": str(error)}, status)

    async def missing(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code != 404:
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        if request.url.path.startswith(("/__sim", "/admin/api")):
            return JSONResponse({"error": "not found"}, 404)
        return HTMLResponse("<!doctype html><title>404</title><p>This page is not here.</p>", 404)

    handlers: dict[Any, Any] = {LookupError: refused, ValueError: refused, HTTPException: missing}
    return Starlette(routes=routes, exception_handlers=handlers)


def create_app(
    state: ShopState | Path | str | None,
    *,
    app_url: str,
    client_id: str,
    client_secret: str,
    base_port: int,
    domain: str = "ahlan-demo.myshopify.com",
    time_scale: float = 1.0,
    transport: httpx.AsyncBaseTransport | None = None,
    seeded: bool = True,
) -> Simulator:
    """The Shopify simulator.

    ``state`` is a ShopState or the SQLite file of one (None: memory). ``app_url`` is the app's origin,
    ``base_port`` the port browsers reach the simulator on. ``time_scale`` shrinks Shopify's waiting times (1.0: real).
    ``transport`` replaces the network towards the app. ``seeded`` fills an empty shop with its two years.
    """
    held = state if isinstance(state, ShopState) else ShopState(state)
    shop = Shop(
        held, app_url=app_url.rstrip("/"), client_id=client_id, client_secret=client_secret, base_port=base_port,
        domain=domain, time_scale=time_scale,
    )  # fmt: skip
    if seeded:
        seed.seed(shop)
    return Simulator(shop, transport)
