"""The desk: one agent's request, with everything a page needs, and the door that lets only the right ones through.

Two ways in. `/panel/…` is stand-alone: a session cookie, checked against cross-site requests. `/<platform>/…` is
embedded in a store's admin: the admin's signed token on every request and no cookie at all, because browsers block
third-party cookies. The path decides, so that neither way can be mistaken for the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from plugin import team, workspaces
from plugin.app import App
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Forbidden, NotFound, Unauthorized
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.web import Web, framed_by, own_origin, read_by
from plugin.platform import AdminSession, Platform, PlatformError, StaleToken
from plugin.team import SESSION_DAYS, Agent, Origin, Permission, Session
from plugin.workspaces import Workspace

STAND_ALONE = "/panel"
# Of one browser, each of another workspace; a cookie holds 4096 bytes, a session takes 77.
SESSIONS_AT_ONCE = 10
_BETWEEN = "~"
# Behind the sessions: whoever signed in proved to belong to more workspaces than they opened.
_MORE = "+"
_SAFE = frozenset({"GET", "HEAD"})
_TOKEN_PARAMETERS = frozenset({"id_token", "shopify-reload"})

Handler = Callable[["Desk"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Desk:
    """A verified agent in front of a page. `base` starts every address; `ancestors` may frame us (CSP sources).

    `store_id`: whose admin we stand in; `administrator`: that admin vouches for an administrator of the store.
    `session` is the stand-alone one; embedded there is none, and what is open ends with the token, at `until`.
    """

    app: App
    web: Web
    request: Request
    workspace: Workspace
    agent: Agent
    t: Translator
    base: str = STAND_ALONE
    platform: str = ""
    store_id: UUID | None = None
    administrator: bool = False
    session: Session | None = None
    until: datetime | None = None
    ancestors: tuple[str, ...] = ()
    head: Mapping[str, str] = field(default_factory=dict)

    @property
    def workspace_id(self) -> UUID:
        """The tenant."""
        return self.workspace.workspace_id

    @property
    def session_id(self) -> UUID | None:
        """The stand-alone session, if it is one."""
        return self.session.id if self.session is not None else None

    @property
    def owes_proof(self) -> bool:
        """Whether nothing opens before a second step is set up."""
        return self.session is not None and team.second_factor.owes_factor(self.workspace, self.agent, self.session)

    @property
    def several(self) -> bool:
        """Whether there is another workspace to change to: open in this browser, or proven at sign-in."""
        return len(session_cookies(self.app, self.request)) > 1 or knows_more(self.app, self.request)

    @property
    def embedded(self) -> bool:
        """Whether we stand inside a store's admin."""
        return bool(self.platform)

    @property
    def bridged(self) -> list[str]:
        """The origins whose page may stand around us and be asked for a token."""
        return [*self.ancestors, *self.app.settings.demo.frame_ancestors]

    @property
    def actor(self) -> str:
        """Who did it, for events."""
        return f"agent:{self.agent.id}"

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """The one transaction of this request."""
        return self.app.db.transaction(self.workspace_id)

    def may(self, permission: str) -> bool:
        """For templates: whether a control is shown at all. The route checks it again."""
        return self.agent.may(Permission(permission))

    def url(self, path: str = "", **query: Any) -> str:
        """An address of the panel, inside the same way in."""
        filled = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{self.base}{'/' if path else ''}{path}{'?' + urlencode(filled) if filled else ''}"

    def path_id(self, name: str = "id") -> UUID:
        """An id from the path; what is no id is not found."""
        return as_id(self.request.path_params[name])

    @property
    def csrf(self) -> str:
        """Proof that a form came from our own page; embedded requests carry a bearer token and need none."""
        if self.session_id is None:
            return ""
        return self.app.vault.sign("csrf", {"s": self.session_id.hex}, 30 * 86_400)

    def wanted(self, template: str) -> str:
        """The block of the template that will be shown, empty for the whole page: nothing else need be read."""
        return _wanted_block(self.request, self.web, template)

    def page(self, template: str, *, status: int = 200, block: str = "", **context: Any) -> Response:
        """Render a page: whole for a browser, only the block named like the target for htmx.

        One template per page; its named blocks are the fragments.
        """
        block = block or self.wanted(template)
        text = self.web.render(
            template,
            self.t,
            block=block,
            desk=self,
            url=self.url,
            may=self.may,
            whole=not block,
            agent=self.agent,
            workspace=self.workspace,
            **context,
        )
        return HTMLResponse(text, status, self.headers())

    def headers(self) -> dict[str, str]:
        """Headers of every answer of the panel: never cached, framed only by whom the token named."""
        return {
            "cache-control": "no-store",
            "vary": "Cookie, Authorization, HX-Request, HX-Target, HX-Request-Type",
            "content-security-policy": content_policy(self.app, self.ancestors, self.head, framed=self.embedded),
        }

    def go(self, path: str, **query: Any) -> Response:
        """Send the reader on: by htmx where it asked, so that the token comes along, else by redirect."""
        address = self.url(path, **query)
        if "hx-request" in self.request.headers:
            where = f'{{"path":"{address}","target":"#page","swap":"innerHTML"}}'
            return Response(status_code=204, headers={**self.headers(), "hx-location": where})
        return RedirectResponse(address, 303, self.headers())


def _wanted_block(request: Request, web: Web, template: str) -> str:
    """The template's block that htmx will put into its target; empty for a whole document."""
    if request.headers.get("hx-request") != "true" or request.headers.get("hx-request-type") == "full":
        return ""
    if "hx-history-restore-request" in request.headers:
        return ""
    target = request.headers.get("hx-target", "")
    # Where `go` sends the reader htmx 4 names the body, although it puts the answer into #page as it was told.
    name = "page" if target == "body" else target.partition("#")[2].replace("-", "_")
    return name if name in web.environment.get_template(template).blocks else ""


def content_policy(
    app: App, ancestors: Sequence[str] = (), head: Mapping[str, str] | None = None, *, framed: bool = False
) -> str:
    """The Content-Security-Policy: our own scripts and styles, pictures of the stores, and who may frame us."""
    demo = app.settings.demo
    script = urlsplit((head or {}).get("script", ""))
    admin = [f"{script.scheme}://{script.netloc}"] if script.netloc else []
    # A store's product pictures come from wherever the store keeps them.
    pictures = ["'self'", "data:", "blob:", "https:", *(["http:"] if demo else [])]
    frames = [*ancestors, *demo.frame_ancestors] if framed else []
    rules = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *admin],
        # The admin's bridge styles the frame from within; our own pages have no inline style.
        "style-src": ["'self'", *(["'unsafe-inline'"] if admin else [])],
        "img-src": pictures,
        "font-src": ["'self'"],
        "connect-src": ["'self'", *(["https:"] if admin else []), *admin],
        "frame-src": ["https:", *admin] if admin else ["'none'"],
        "base-uri": ["'none'"],
        # Connecting a store posts to us and is sent on to the store: browsers check that hop too.
        "form-action": ["'self'", "https:", *(["http:"] if demo or app.settings.allow_private_hosts else [])],
        "frame-ancestors": frames or ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def as_id(text: str) -> UUID:
    """A UUID, or NotFound: a made-up id and a stranger's are the same to a caller."""
    try:
        return UUID(text)
    except ValueError:
        raise nothing_here() from None


def nothing_here() -> NotFound:
    """What a missing thing and a stranger's thing both get."""
    return NotFound(_("There is nothing here."), _("Check the address, or go back."))


class GuardedRoute(Route):
    """A route of the panel with the permission it needs; a test walks all of them."""

    def __init__(
        self,
        path: str,
        endpoint: Any,
        *,
        methods: list[str],
        permission: Permission,
        name: str,
        before_proof: bool = False,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, name=name)
        self.permission = permission
        self.before_proof = before_proof


class Door:
    """Turns handlers into routes that let in only a verified agent with the permission."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web
        self.bases: list[tuple[str, Platform | None]] = [(STAND_ALONE, None)]
        self.bases += [(f"/{kind}", platform) for kind, platform in app.platforms.items()]

    def routes(
        self, path: str, handler: Handler, permission: Permission, *methods: str, before_proof: bool = False
    ) -> list[GuardedRoute]:
        """The same page on both ways in. `before_proof`: also for whom a second step is demanded that they lack."""
        verbs = list(methods or ("GET",))
        return [
            GuardedRoute(
                base + path,
                self._guarded(handler, permission, base, platform, before_proof),
                methods=verbs,
                permission=permission,
                before_proof=before_proof,
                name=f"{base.strip('/')}:{handler.__name__}",
            )
            for base, platform in self.bases
        ]

    def _guarded(
        self, handler: Handler, permission: Permission, base: str, platform: Platform | None, before_proof: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            team.origin.set(origin_of(request, base.strip("/")))
            try:
                desk = await self._desk(request, base, platform)
                read_by(request, desk.t)
            except StaleToken:
                assert platform is not None
                return self._stale(request, base, platform)
            except Unauthorized as error:
                if request.method in _SAFE and "hx-request" not in request.headers and platform is None:
                    return RedirectResponse(f"/sign-in?next={quote(_here(request), safe='')}", 303)
                raise error
            if self._of_another_session(desk):
                return Response(status_code=204, headers={**desk.headers(), "hx-refresh": "true"})
            if not desk.agent.may(permission):
                raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
            if desk.owes_proof and not before_proof:
                return self._second_step_first(desk)
            return await handler(desk)

        return endpoint

    def _of_another_session(self, desk: Desk) -> bool:
        """Whether htmx asks for a part of a page of another session: the browser went to another workspace meanwhile.

        That page is loaded anew, so that it never shows two workspaces at once.
        """
        token = desk.request.headers.get("x-csrf-token")
        part = desk.request.method in _SAFE and "hx-request" in desk.request.headers
        if desk.session is None or token is None or not part:
            return False
        said = self.app.vault.verify("csrf", token)
        return said is not None and said["s"] != desk.session.id.hex

    def _second_step_first(self, desk: Desk) -> Response:
        """Nothing is read or changed before the second step is set up; a page leads there."""
        if desk.request.method in _SAFE and "text/event-stream" not in _accept(desk.request):
            return desk.go("settings/security")
        raise Forbidden(
            _("In this workspace your role signs in with two steps."),
            _("Set up the second step under Settings, Signing in."),
            code="second_step_needed",
        )

    async def _desk(self, request: Request, base: str, platform: Platform | None) -> Desk:
        if platform is None:
            return await self._stand_alone(request)
        return await self._embedded(request, base, platform)

    async def _stand_alone(self, request: Request) -> Desk:
        held = session_cookie(self.app, request)
        if held is None:
            raise signed_out()
        workspace_id, secret = held
        async with self.app.db.transaction(workspace_id) as tx:
            found = await team.session_agent(tx, secret)
            workspace = await workspaces.current(tx)
        if found is None or workspace is None:
            raise signed_out()
        session, agent = found
        if request.method not in _SAFE:
            own_origin(request, self.app.settings.public_url)
            await self._own_form(request, session.id)
        return Desk(
            self.app,
            self.web,
            request,
            workspace,
            agent,
            self._translator(request, workspace, agent),
            session=session,
        )

    async def _own_form(self, request: Request, session_id: UUID) -> None:
        token = request.headers.get("x-csrf-token")
        if token is None:
            token = str((await request.form()).get("csrf", ""))
        payload = self.app.vault.verify("csrf", token)
        if payload is None or payload["s"] != session_id.hex:
            raise Forbidden(
                _("This page is from an earlier sign-in."), _("Open it again; nothing was changed."), code="stale_page"
            )

    async def _embedded(self, request: Request, base: str, platform: Platform) -> Desk:
        token, demo = _admin_token(request), self.app.settings.demo
        # An error is shown where the page would have been: by whoever vouched, else by whom the platform names.
        framed_by(request, [*platform.panel_head().get("frame_ancestors", "").split(), *demo.frame_ancestors])
        try:
            admin: AdminSession = await platform.admin_session(token)
        except PlatformError as error:
            raise AhlanError(
                _("The store's admin did not answer as it should."),
                _("Try again in a moment. If it goes on, open the app from your store's admin again."),
                code="platform_error",
                status=502,
            ) from error
        framed_by(request, [*admin.frame_ancestors, *demo.frame_ancestors])
        async with self.app.db.transaction(admin.workspace_id) as tx:
            agent = await team.staff_agent(
                tx,
                admin.store_id,
                staff_id=admin.staff_id,
                name=admin.staff_name,
                email=admin.staff_email,
                administrator=admin.administrator,
            )
            workspace = await workspaces.current(tx)
        if agent is None or workspace is None:
            raise Forbidden(_("Your access has ended."), _("Ask an owner of this workspace."), code="deactivated")
        return Desk(
            self.app,
            self.web,
            request,
            workspace,
            agent,
            self._translator(request, workspace, agent, admin.locale),
            base=base,
            platform=platform.kind,
            store_id=admin.store_id,
            administrator=admin.administrator,
            ancestors=admin.frame_ancestors,
            head=platform.panel_head(),
            until=admin.expires_at,
        )

    def _translator(self, request: Request, workspace: Workspace, agent: Agent, admin_locale: str = "") -> Translator:
        wanted = agent.locale or admin_locale or workspace.locale
        return self.app.catalogues.translator(wanted, timezone=agent.timezone or workspace.timezone)

    def _stale(self, request: Request, base: str, platform: Platform) -> Response:
        """Ask the embedding page for a fresh token.

        A document is sent to the patch page; a fetch gets 401 with the header on which App Bridge fetches a token
        and repeats the request once
        (https://github.com/Shopify/shopify-app-js/tree/main/packages/apps/shopify-app-remix, session token handling).
        """
        if request.method not in _SAFE or "hx-request" in request.headers or "text/event-stream" in _accept(request):
            body = {"error": {"code": "stale_token", "message": "", "what_to_do": "", "request_id": ""}}
            headers = {"x-shopify-retry-invalid-session-request": "1", "cache-control": "no-store"}
            return JSONResponse(body, 401, headers)
        query = [pair for pair in parse_qsl(request.url.query) if pair[0] not in _TOKEN_PARAMETERS]
        back = self.app.settings.public_url + _here(request)
        return RedirectResponse(
            f"{base}/patch?{urlencode([*query, ('shopify-reload', back)])}", 302, {"cache-control": "no-store"}
        )

    def patch_routes(self) -> list[Route]:
        """The empty page per platform that loads the admin's bridge, which comes back with a fresh token."""
        return [
            Route(f"{base}/patch", self._patch(platform), methods=["GET"], name=f"{platform.kind}:patch")
            for base, platform in self.bases
            if platform is not None
        ]

    def _patch(self, platform: Platform) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            head = platform.panel_head()
            # Nobody is known yet, so no shop may be named: the page is empty and the platform says who frames it.
            ancestors = head.get("frame_ancestors", "").split()
            text = self.web.render("patch.html", self.web.translator(request), head=head)
            policy = content_policy(self.app, ancestors, head, framed=True)
            return HTMLResponse(text, 200, {"cache-control": "no-store", "content-security-policy": policy})

        return endpoint


def origin_of(request: Request, way: str = "") -> Origin:
    """Where a request comes from, coarsely: uvicorn resolves trusted proxies before us."""
    host = request.client.host if request.client else ""
    browser = team.browser_of(request.headers.get("user-agent", ""))
    return Origin(team.network_of(host), browser, way)


def signed_out() -> Unauthorized:
    """No session, or one that ended."""
    return Unauthorized(_("You are signed out."), _("Sign in again; what you wrote is still on this page."))


def cookie_name(app: App) -> str:
    """`__Host-` ties the cookie to this host and to TLS; without TLS browsers refuse the prefix."""
    return "__Host-ahlan" if app.settings.secure else "ahlan"


def session_cookie(app: App, request: Request) -> tuple[UUID, str] | None:
    """The workspace and the secret of the session that a request speaks for, unverified."""
    return next(iter(session_cookies(app, request)), None)


def session_cookies(app: App, request: Request) -> list[tuple[UUID, str]]:
    """Every session of this browser, one a workspace, unverified; the first is the one that the panel shows."""
    held: dict[UUID, str] = {}
    for one in request.cookies.get(cookie_name(app), "").split(_BETWEEN)[:SESSIONS_AT_ONCE]:
        workspace, _dot, secret = one.partition(".")
        with suppress(ValueError):
            held.setdefault(UUID(hex=workspace), secret)
    return list(held.items())


def knows_more(app: App, request: Request) -> bool:
    """Whether somebody who signed in here proved to belong to workspaces that they did not open."""
    return request.cookies.get(cookie_name(app), "").endswith(_BETWEEN + _MORE)


def keep_sessions(app: App, response: Response, held: Sequence[tuple[UUID, str]], *, more: bool = False) -> None:
    """Leave these sessions in the browser, the one to be shown first; none of them: it is signed out.

    `more`: what `knows_more` will say.
    """
    if not held:
        response.delete_cookie(cookie_name(app), path="/", secure=app.settings.secure, httponly=True)
        return
    response.set_cookie(
        cookie_name(app),
        _BETWEEN.join([*(f"{workspace_id.hex}.{secret}" for workspace_id, secret in held), *([_MORE] if more else [])]),
        max_age=SESSION_DAYS * 86_400,
        path="/",
        secure=app.settings.secure,
        httponly=True,
        samesite="lax",
    )


def _admin_token(request: Request) -> str:
    """The admin's token: in the header of a fetch, in the query of the first document."""
    scheme, _space, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    if request.method in _SAFE and "hx-request" not in request.headers:
        return request.query_params.get("id_token", "")
    return ""


def _here(request: Request) -> str:
    """The address asked for, without the token that came in it."""
    kept = [(key, value) for key, value in parse_qsl(request.url.query) if key not in _TOKEN_PARAMETERS]
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")


def _accept(request: Request) -> str:
    return request.headers.get("accept", "")
