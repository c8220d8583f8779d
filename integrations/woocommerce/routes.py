"""The pages and the callback of connecting a WooCommerce store. The merchant's session is the panel's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID

from jinja2 import FileSystemLoader
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from integrations.woocommerce import install, site
from integrations.woocommerce.install import ConnectError
from integrations.woocommerce.platform import CONNECT
from plugin import team
from plugin.app import App
from plugin.kernel.errors import Forbidden
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.web import Web, own_origin
from plugin.team import Agent, Permission

PAGE: Final = CONNECT
_REQUEST: Final = "woocommerce connect"
_REQUEST_SECONDS: Final = 3600
_CALLBACK_BYTES: Final = 16_384
_ADMIN: Final = "admin"
"""In the query of the page: it goes on for somebody who came from an embedded panel."""
_WORD: Final = "hand_over"
_ADMIN_COOKIE: Final = "ahlan-admin"


class Connect:
    """From the Connect button to the store's answer."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        loader = web.environment.loader
        if isinstance(loader, FileSystemLoader):
            loader.searchpath.append(str(Path(__file__).parent / "templates"))

    async def from_plugin(self, request: Request) -> Response:
        """Our plugin's Connect button: carry its site and nonce, sealed, to a page that asks first."""
        site, nonce = request.query_params.get("site", "")[:300], request.query_params.get("nonce", "")[:64]
        sealed = self.app.vault.sign(_REQUEST, {"site": site, "nonce": nonce}, _REQUEST_SECONDS)
        return RedirectResponse(f"{PAGE}?request={sealed}", 303)

    async def page(self, request: Request) -> Response:
        """Ask which store, or whether this one; then go there."""
        sealed = request.query_params.get("request", "")
        form: FormData | None = None
        if request.method == "POST":
            # A page elsewhere must not connect a store of its own to this workspace.
            own_origin(request, self.app.settings.public_url)
            form = await request.form()
            if word := str(form.get(_WORD) or ""):
                return self._from_admin(word)
        embedded = _ADMIN in request.query_params
        workspace_id = await (self._handed_over(request) if embedded else self._signed_in(request))
        if workspace_id is None and embedded:
            raise Forbidden(
                _("This page stood open for too long."),
                _("In your store's admin open Ahlan, Stores, and press Continue in WordPress again."),
                code="stale_page",
            )
        if workspace_id is None:
            onward = f"{PAGE}?request={sealed}" if sealed else PAGE
            return RedirectResponse(f"/sign-in?next={_quoted(onward)}", 303)
        wanted = self.app.vault.verify(_REQUEST, sealed) or {}
        site, nonce = str(wanted.get("site", "")), str(wanted.get("nonce", ""))
        if form is None:
            return self._shown(request, site=site)
        address = site or str(form.get("site") or "")[:300]
        try:
            browser = self._session(request, embedded=embedded)
            target = await install.begin(self.app, workspace_id, address, nonce=nonce, browser=browser)
        except ConnectError as error:
            return self._shown(request, site=address, error=error)
        return RedirectResponse(self._browser(target), 303)

    def _from_admin(self, word: str) -> Response:
        """The embedded panel's button, in a window of its own: remember for an hour who pressed it.

        Only our own pages can post here, so nobody is lent somebody else's name by a link.
        """
        response = RedirectResponse(f"{PAGE}?{_ADMIN}=1", 303)
        response.set_cookie(
            self._cookie(_ADMIN_COOKIE), word, max_age=team.HAND_OVER_SECONDS, path="/", httponly=True,
            # Lax: the shop sends the browser back with a top-level GET.
            secure=self.app.settings.secure, samesite="lax",
        )  # fmt: skip
        return response

    async def callback(self, request: Request) -> Response:
        """The store's server delivers the keys: exactly 200, or it deletes them again (B18)."""
        body = await request.body()
        if len(body) > _CALLBACK_BYTES:
            return JSONResponse({"error": "too_large"}, 413)
        try:
            await install.callback(self.app, body)
        except ConnectError as error:
            return JSONResponse({"error": error.code}, 422)
        return JSONResponse({"connected": True}, 200)

    async def returned(self, request: Request) -> Response:
        """The merchant's browser comes back; what happened is in the grant, never in `success` (B19).

        Only the browser that began, by its session, makes the store connected.
        """
        token = request.query_params.get("user_id", "")
        began = await install.owner(self.app, token)
        handed = await self._handed_over(request)
        embedded = handed is not None and handed == began
        state, reason = await install.finish(
            self.app,
            token,
            handed if embedded else await self._signed_in(request),
            browser=self._session(request, embedded=embedded),
        )
        if state == "done":
            return self._shown(request, site="", done=True, embedded=embedded)
        if state == "open" and request.query_params.get("success") == "0":
            reason = "denied"
        # Tried again, the address need not be typed again.
        site = await install.address(self.app, token) if began is not None and reason != "other_browser" else ""
        return self._shown(request, site=site, error=ConnectError(reason or "expired"))

    async def _signed_in(self, request: Request) -> UUID | None:
        """The workspace of the panel session in this browser. Raises Forbidden for who may not manage stores."""
        workspace, _dot, secret = request.cookies.get(self._cookie("ahlan"), "").partition(".")
        try:
            workspace_id = UUID(hex=workspace)
        except ValueError:
            return None
        async with self.app.db.transaction(workspace_id) as tx:
            found = await team.session_agent(tx, secret)
            if found is not None:
                await team.second_factor.demand_factor(tx, found[1], found[0])
        return _allowed(found[1]) if found is not None else None

    async def _handed_over(self, request: Request) -> UUID | None:
        """The workspace of whoever came here from an embedded panel. Raises Forbidden for who may not manage stores."""
        found = team.handed_over(self.app.vault, request.cookies.get(self._cookie(_ADMIN_COOKIE), ""))
        if found is None:
            return None
        async with self.app.db.transaction(found[0]) as tx:
            agent = await tx.get(Agent, found[1])
        return _allowed(agent) if agent is not None and agent.deactivated_at is None else None

    def _session(self, request: Request, *, embedded: bool) -> str:
        """What this browser alone holds of the session that begins a grant."""
        return request.cookies.get(self._cookie(_ADMIN_COOKIE if embedded else "ahlan"), "")

    def _cookie(self, name: str) -> str:
        return f"__Host-{name}" if self.app.settings.secure else name

    def _browser(self, url: str) -> str:
        """Where this browser finds the store: in the demo the simulated one has another address than its own name."""
        simulator = self.app.settings.demo.simulator_url
        if not simulator:
            return url
        host = url.partition("://")[2].partition("/")[0]
        port = simulator.rpartition(":")[2].rstrip("/")
        return f"http://{host}:{port}/{url.partition('://')[2].partition('/')[2]}"

    def _shown(
        self,
        request: Request,
        *,
        site: str,
        error: ConnectError | None = None,
        done: bool = False,
        embedded: bool = False,
    ) -> HTMLResponse:
        t: Translator = self.web.translator(request)
        text = self.web.render(
            "connect_woocommerce.html",
            t,
            csrf="",
            # Read in another language, the outcome is still the outcome.
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            languages=self.app.catalogues.languages,
            site=site,
            fixed=bool(site) and "request" in request.query_params,
            done=done,
            embedded=embedded,
            message=t.gettext(error.message) if error else "",
            hint=t.gettext(error.hint) if error and error.hint else "",
        )
        # No form-action: Chromium holds redirects of a form to it too, and this one leads to the merchant's shop.
        policy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
        headers = {"cache-control": "no-store", "vary": "Cookie, Accept-Language", "content-security-policy": policy}
        return HTMLResponse(text, error.status if error else 200, headers)


def routes(app: App, web: Web) -> list[BaseRoute]:
    """Every route of the connection flow."""
    connect = Connect(app, web)
    return [
        Route("/install/woocommerce", connect.from_plugin, methods=["GET"]),
        Route(install.CALLBACK, connect.callback, methods=["POST"]),
        Route(install.RETURN, connect.returned, methods=["GET"]),
        Route(PAGE, connect.page, methods=["GET", "POST"]),
        *site.routes(app, web),
    ]


def _allowed(agent: Agent) -> UUID:
    if not agent.may(Permission.MANAGE_STORES):
        raise Forbidden(_("Connecting stores needs another role."), _("Ask an owner or admin of the workspace."))
    return agent.workspace_id


def _quoted(path: str) -> str:
    return path.replace("?", "%3F").replace("=", "%3D").replace("&", "%26")
