"""Signing in, stand-alone: first account, password, second step, invitation by link, sign-out. Embedded needs none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from admin_ui.desk import (
    SESSIONS_AT_ONCE,
    STAND_ALONE,
    Desk,
    content_policy,
    keep_sessions,
    knows_more,
    origin_of,
    session_cookie,
    session_cookies,
)
from plugin import stores, team, workspaces
from plugin.app import App
from plugin.kernel.errors import AhlanError, Forbidden, TooMany
from plugin.kernel.i18n import Translator, zone_of
from plugin.kernel.lazy import _
from plugin.kernel.text import normalise_email
from plugin.kernel.web import Web, own_origin
from plugin.team import Agent, Role
from plugin.workspaces import Workspace

# argon2id with the library's current defaults, which follow RFC 9106's second recommendation (64 MiB, 3 passes).
_HASHER = PasswordHasher()

MIN_PASSWORD = 10
MAX_PASSWORD = 200
_WINDOW = 900
# One person forgets a password a few times; an office of agents behind one address does so together.
_PER_PAIR = 8
_PER_EMAIL = 40
_PER_ADDRESS = 120
_SIGN_UPS_PER_ADDRESS = 20
# Signing up proves no address: strangers who sign up with somebody's must neither crowd them out nor make their
# sign-in slow.
_SIGN_UPS_PER_EMAIL = 5
_WORKSPACES_PER_EMAIL = 20
# A code has a million values, of which three count at a time.
_CODES_PER_AGENT = 8
_CODES_PER_DAY = 60
PROOF_SECONDS = 300
_PROOF = "first step"
_WAYS = "first steps"

WORKSPACE = "/sign-in/workspace"
# (workspace, agent): whom a first step proved somebody to be.
Way = tuple[UUID, UUID]


class WrongPassword(AhlanError):
    """The address and password do not belong together; which of the two is never said."""

    status = 422
    code = "wrong_password"


@cache
def _nobody() -> str:
    """What is checked when no account matches, so that an unknown address takes as long as a wrong password.

    Made at the first sign-in: it takes a fifth of a second, and every command imports this module.
    """
    return _HASHER.hash("nobody has this password")


async def hash_password(password: str) -> str:
    """argon2id, off the event loop: it takes tens of milliseconds on purpose."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(password_hash: str, password: str) -> bool:
    """Whether the password made this hash; an empty hash fits nothing and takes as long."""

    def check() -> bool:
        try:
            return _HASHER.verify(password_hash or _nobody(), password) and bool(password_hash)
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.to_thread(check)


def password_problem(password: str, t: Translator) -> str:
    """What is wrong with a new password, in the reader's language; empty when nothing is."""
    if len(password) < MIN_PASSWORD:
        return t.ngettext("Use at least %(num)s character.", "Use at least %(num)s characters.", MIN_PASSWORD)
    if len(password) > MAX_PASSWORD or len(set(password)) < 4:
        return t.gettext("This password is too easy to guess.")
    return ""


Endpoint = Callable[[Request], Awaitable[Response]]


def placed(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with what is noted about it saying where it came from."""

    async def serve(request: Request) -> Response:
        team.origin.set(origin_of(request, STAND_ALONE.strip("/")))
        return await endpoint(request)

    return serve


async def limit_codes(app: App, agent_id: UUID) -> None:
    """Count one try of a second step; a right one forgets the short count. Raises TooMany."""
    if await app.hub.count(_codes(agent_id), _WINDOW) > _CODES_PER_AGENT:
        raise too_many()
    if await app.hub.count(f"second-step:day:{agent_id}", 86_400) > _CODES_PER_DAY:
        raise too_many()


async def limit_recovery(app: App, agent_id: UUID) -> None:
    """Count one password typed behind an operator's link. Raises TooMany."""
    if await app.hub.count(f"recovery:{agent_id}", _WINDOW) > _PER_PAIR:
        raise too_many()


def _codes(agent_id: UUID) -> str:
    return f"second-step:{agent_id}"


class Accounts:
    """The public pages: sign in, sign up, accept an invitation; and signing out."""

    def __init__(self, app: App, web: Web) -> None:
        self.app = app
        self.web = web

    def routes(self) -> list[Route]:
        """The ways in that need no session."""
        return [
            Route("/sign-in", placed(self.sign_in), methods=["GET", "POST"]),
            Route("/sign-in/code", placed(self.code), methods=["GET", "POST"]),
            Route(WORKSPACE, placed(self.workspace), methods=["GET", "POST"]),
            Route("/sign-up", placed(self.sign_up), methods=["GET", "POST"]),
            Route("/sign-out", placed(self.sign_out), methods=["POST"]),
            Route("/invitations/{workspace}/{secret}", placed(self.invitation), methods=["GET", "POST"]),
            Route("/language", self.language, methods=["POST"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """E-mail and password."""
        t = self.web.translator(request)
        onward = own_path(request.query_params.get("next", ""))
        if request.method == "GET":
            another = "another" in request.query_params
            if not another and await self._signed_in(request):
                return RedirectResponse(onward or STAND_ALONE, 303)
            return self.page("sign_in.html", t, request, onward=onward, another=another, errors={}, values={})
        form = await self.form(request)
        email, password = form.get("email", ""), form.get("password", "")
        try:
            ways = await self._authenticate(request, email, password)
        except (WrongPassword, TooMany) as error:
            errors = {"form": t.gettext(error.message), "hint": t.gettext(error.hint) if error.hint else ""}
            return self.page(
                "sign_in.html", t, request, status=error.status, onward=onward, errors=errors, values={"email": email}
            )
        return await self.proven(request, ways, onward)

    async def proven(
        self,
        request: Request,
        ways: Sequence[Way],
        onward: str,
        *,
        method: str = "password",
        second_factor: bool = False,
        more: bool = False,
    ) -> Response:
        """The first step is done: a session, or the page that asks for the second step where the agent has one.

        Several ways: the page that asks which workspace it shall be. `second_factor`: both steps were done elsewhere.
        `more`: it was asked.
        """
        if len(ways) > 1:
            return await self._which(request, ways, onward, method=method, second_factor=second_factor)
        ((workspace_id, agent_id),) = ways
        if second_factor:
            return await self.let_in(
                request, workspace_id, agent_id, onward, method=method, second_factor=True, more=more
            )
        async with self.app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, agent_id)
            asked = await team.second_factor.factor(tx, agent_id) is not None
        assert agent is not None
        if not asked:
            return await self.let_in(request, workspace_id, agent_id, onward, method=method, more=more)
        said = {"w": workspace_id.hex, "a": agent_id.hex, "m": method, "p": self._standing(agent), "o": more}
        proof = self.app.vault.sign(_PROOF, said, PROOF_SECONDS)
        return self.page(
            "sign_in_code.html", self.web.translator(request), request, onward=onward, proof=proof, errors={}
        )

    async def _which(
        self, request: Request, ways: Sequence[Way], onward: str, *, method: str, second_factor: bool
    ) -> Response:
        """Ask which of the proven workspaces to open. Names appear here and nowhere before."""
        told, choices = [], []
        for workspace_id, agent_id in ways:
            async with self.app.db.transaction(workspace_id) as tx:
                agent, workspace = await tx.get(Agent, agent_id), await workspaces.current(tx)
            assert agent is not None
            assert workspace is not None
            told.append([workspace_id.hex, agent_id.hex, self._standing(agent)])
            choices.append((workspace, agent))
        sealed = self.app.vault.sign(_WAYS, {"a": told, "m": method, "t": second_factor}, PROOF_SECONDS)
        return self.page(
            "workspaces.html", self.web.translator(request), request, onward=onward, ways=sealed, choices=choices,
            here_now=None,
        )  # fmt: skip

    async def workspace(self, request: Request) -> Response:
        """Which workspace: of those that a first step proved, or of those that this browser is signed in to."""
        if request.method == "GET":
            choices = [(workspace, agent) for _held, workspace, agent in await self._open(request)]
            if not choices:
                return RedirectResponse("/sign-in", 303, {"cache-control": "no-store"})
            return self.page(
                "workspaces.html", self.web.translator(request), request, onward="", ways="", choices=choices,
                here_now=choices[0][0].workspace_id,
            )  # fmt: skip
        form = await self.form(request)
        wanted = form.get("workspace", "")
        if "ways" in form:
            return await self._chosen(request, form["ways"], wanted)
        held = [one for one, _workspace, _agent in await self._open(request)]
        held.sort(key=lambda one: one[0].hex != wanted)
        known = bool(held) and held[0][0].hex == wanted
        response = RedirectResponse(STAND_ALONE if known else "/sign-in?another=1", 303, {"cache-control": "no-store"})
        if known:
            keep_sessions(self.app, response, held, more=knows_more(self.app, request))
        return response

    async def _chosen(self, request: Request, sealed: str, wanted: str) -> Response:
        said = self.app.vault.verify(_WAYS, sealed) or {"a": []}
        for workspace, agent, standing in said["a"]:
            if workspace != wanted:
                continue
            async with self.app.db.transaction(UUID(hex=workspace)) as tx:
                row = await tx.get(Agent, UUID(hex=agent))
            if row is None or row.deactivated_at is not None or self._standing(row) != standing:
                break
            onward = own_path(request.query_params.get("next", ""))
            return await self.proven(
                request, [(row.workspace_id, row.id)], onward, method=said["m"], second_factor=said["t"], more=True
            )
        return RedirectResponse("/sign-in", 303, {"cache-control": "no-store"})

    async def _open(self, request: Request) -> list[tuple[tuple[UUID, str], Workspace, Agent]]:
        """The sessions of this browser that are still good, the one that the panel shows first."""
        alive = []
        for workspace_id, secret in session_cookies(self.app, request):
            async with self.app.db.transaction(workspace_id) as tx:
                found, workspace = await team.session_agent(tx, secret), await workspaces.current(tx)
            if found is not None and workspace is not None:
                alive.append(((workspace_id, secret), workspace, found[1]))
        return alive

    async def code(self, request: Request) -> Response:
        """The second step: a code of the agent's app, or a recovery code."""
        t = self.web.translator(request)
        onward = own_path(request.query_params.get("next", ""))
        if request.method == "GET":
            return RedirectResponse("/sign-in", 303)
        form = await self.form(request)
        proof = form.get("proof", "")
        said = self.app.vault.verify(_PROOF, proof)
        if said is None:
            return RedirectResponse("/sign-in", 303, {"cache-control": "no-store"})
        workspace_id, agent_id = UUID(hex=said["w"]), UUID(hex=said["a"])
        try:
            fits = await self._second_step(workspace_id, agent_id, said["p"], form.get("code", "")[:40])
        except TooMany as error:
            errors = {"form": t.gettext(error.message), "hint": t.gettext(error.hint) if error.hint else ""}
            return self.page("sign_in_code.html", t, request, status=429, onward=onward, proof=proof, errors=errors)
        if fits:
            return await self.let_in(
                request, workspace_id, agent_id, onward, method=said["m"], second_factor=True, more=said["o"]
            )
        errors = {"code": t.gettext("This code is not right, or was used already. The app shows the next one soon.")}
        return self.page("sign_in_code.html", t, request, status=422, onward=onward, proof=proof, errors=errors)

    async def _second_step(self, workspace_id: UUID, agent_id: UUID, standing: str, code: str) -> bool:
        """Whether the code proves the agent, whose password is still the one of the first step. Raises TooMany."""
        await limit_codes(self.app, agent_id)
        async with self.app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, agent_id)
            if agent is None or agent.deactivated_at is not None or self._standing(agent) != standing:
                return False
            fits = await team.second_factor.proves(tx, self.app.vault, agent, code, datetime.now(UTC))
            if not fits:
                team.audit.note(tx, "sign_in.failed", by=None, subject=agent_id, changes={"step": [None, "code"]})
        if fits:
            await self.app.hub.take(_codes(agent_id))
        return fits

    def _standing(self, agent: Agent) -> str:
        """What a first step stands on: another password since, and it counts no longer."""
        return self.app.vault.fingerprint("first step", agent.password_hash)[:16]

    async def _authenticate(self, request: Request, typed: str, password: str) -> list[Way]:
        """Every workspace that an address and password open, the oldest first. Raises WrongPassword, TooMany.

        Workspaces where somebody else signed up with this address have another password: they are not among them.
        """
        email = normalise_email(typed) or ""
        address = network(request)
        key = self.app.vault.fingerprint("email", email)
        pair = f"sign-in:pair:{key}:{address}"
        # Counted before the check, so that guesses sent side by side are counted too; a success forgets them.
        await self.limit(pair, _PER_PAIR)
        for counter, limit in ((f"sign-in:email:{key}", _PER_EMAIL), (f"sign-in:address:{address}", _PER_ADDRESS)):
            if int(await self.app.hub.peek(counter) or 0) >= limit:
                raise too_many()
        known = await self.app.db.lookup("sign_in", key) if email else []
        agents = []
        # Ids are made in the order of time: the oldest workspaces come first.
        for workspace_id, _store in sorted(known)[:_WORKSPACES_PER_EMAIL]:
            async with self.app.db.transaction(workspace_id) as tx:
                agent = await team.by_email(tx, email)
            if agent is not None and agent.deactivated_at is None:
                agents.append(agent)
        # A store that parted took its owner's hash along: what is the same is checked once.
        hashes = dict.fromkeys(agent.password_hash for agent in agents) or {"": None}
        fits = {one for one in hashes if await password_fits(one, password[:MAX_PASSWORD])}
        if fits:
            await self.app.hub.take(pair)
            return [(agent.workspace_id, agent.id) for agent in agents if agent.password_hash in fits]
        for agent in agents:
            async with self.app.db.transaction(agent.workspace_id) as tx:
                team.audit.note(tx, "sign_in.failed", by=None, subject=agent.id, changes={"step": [None, "password"]})
        # Failures only: a whole office signing in from one address counts nothing.
        await self.app.hub.count(f"sign-in:email:{key}", _WINDOW)
        await self.app.hub.count(f"sign-in:address:{address}", _WINDOW)
        raise WrongPassword(
            _("This e-mail address and password do not belong together."),
            _("Check both. If you come through your store's admin, open the app there."),
        )

    async def limit(self, key: str, limit: int, seconds: int = _WINDOW) -> None:
        """Count one try. Raises TooMany."""
        if await self.app.hub.count(key, seconds) > limit:
            raise too_many()

    async def sign_up(self, request: Request) -> Response:
        """The first account: a workspace and its owner."""
        t = self.web.translator(request)
        onward = own_path(request.query_params.get("next", ""))
        if request.method == "GET":
            if "another" not in request.query_params and await self._signed_in(request):
                return RedirectResponse(onward or STAND_ALONE, 303)
            return self.page("sign_up.html", t, request, onward=onward, errors={}, values={})
        form = await self.form(request)
        name, shop = form.get("name", "").strip()[:80], form.get("workspace", "").strip()[:80]
        email = normalise_email(form.get("email", ""))
        password = form.get("password", "")
        errors = {
            "name": "" if name else t.gettext("Say what we should call you."),
            "workspace": "" if shop else t.gettext("Give your team a name, for example your shop's."),
            "email": "" if email else t.gettext("This is not an e-mail address."),
            "password": password_problem(password, t),
        }
        errors = {field: problem for field, problem in errors.items() if problem}
        if not errors:
            try:
                await self.limit(f"sign-up:address:{network(request)}", _SIGN_UPS_PER_ADDRESS, 3600)
                key = self.app.vault.fingerprint("email", email or "")
                await self.limit(f"sign-up:email:{key}", _SIGN_UPS_PER_EMAIL, 86_400)
            except TooMany as error:
                errors["form"] = t.gettext(error.message)
        if errors or email is None:
            return self.page("sign_up.html", t, request, status=422, onward=onward, errors=errors, values=form)
        workspace_id = workspaces.new_workspace_id()
        password_hash = await hash_password(password)
        zone = form.get("timezone", "")
        timezone = zone if zone and str(zone_of(zone)) == zone else "UTC"
        async with self.app.db.transaction(workspace_id) as tx:
            await workspaces.create(tx, shop, locale=t.locale, timezone=timezone)
            agent = await team.add(
                tx, name=name, email=email, role=Role.OWNER, password_hash=password_hash, locale=t.locale
            )
            await stores.claim(tx, "sign_in", self.app.vault.fingerprint("email", email))
            team.audit.note(tx, "team.joined", by=agent.id, subject=agent.id, changes={"role": [None, agent.role]})
        return await self.let_in(request, workspace_id, agent.id, onward)

    async def invitation(self, request: Request) -> Response:
        """A one-time link makes its reader an agent."""
        t = self.web.translator(request)
        secret = request.path_params["secret"]
        gone = self.page("invitation.html", t, request, status=404, invited=None, shop=None, errors={}, values={})
        try:
            workspace_id = UUID(hex=request.path_params["workspace"])
        except ValueError:
            return gone
        async with self.app.db.transaction(workspace_id) as tx:
            invited = await team.invitation(tx, secret)
            shop = await workspaces.current(tx)
        if invited is None or shop is None:
            return gone
        if request.method == "GET":
            return self.page(
                "invitation.html", t, request, invited=invited, shop=shop, secret=secret, errors={}, values={}
            )
        form = await self.form(request)
        name, password = form.get("name", "").strip()[:80], form.get("password", "")
        errors = {
            "name": "" if name else t.gettext("Say what we should call you."),
            "password": password_problem(password, t),
        }
        errors = {field: problem for field, problem in errors.items() if problem}
        if errors:
            return self.page(
                "invitation.html",
                t,
                request,
                status=422,
                invited=invited,
                shop=shop,
                secret=secret,
                errors=errors,
                values=form,
            )
        password_hash = await hash_password(password)
        async with self.app.db.transaction(workspace_id) as tx:
            agent = await team.accept(tx, secret, name=name, password_hash=password_hash, locale=t.locale)
            assert agent.email is not None
            await stores.claim(tx, "sign_in", self.app.vault.fingerprint("email", agent.email))
        return await self.let_in(request, workspace_id, agent.id, "", method="invitation")

    async def sign_out(self, request: Request) -> Response:
        """End every session of this browser: who signs out leaves nothing open for the next person."""
        own_origin(request, self.app.settings.public_url)
        await self._end(session_cookies(self.app, request))
        response = RedirectResponse("/sign-in", 303, {"clear-site-data": '"cache"'})
        keep_sessions(self.app, response, [])
        return response

    async def _end(self, held: Sequence[tuple[UUID, str]]) -> None:
        for workspace_id, secret in held:
            async with self.app.db.transaction(workspace_id) as tx:
                found = await team.session_agent(tx, secret)
                if found is not None:
                    await team.close_session(tx, found[0].id)

    async def language(self, request: Request) -> Response:
        """Remember the language of the public pages in this browser."""
        own_origin(request, self.app.settings.public_url)
        form = await request.form()
        code = str(form.get("locale", ""))
        response = RedirectResponse(here_again(str(form.get("next", ""))), 303)
        if code in self.app.catalogues.codes:
            response.set_cookie(
                "ahlan_locale", code, max_age=31_536_000, samesite="lax", httponly=True, secure=self.app.settings.secure
            )
        return response

    async def _signed_in(self, request: Request) -> bool:
        held = session_cookie(self.app, request)
        if held is None:
            return False
        workspace_id, secret = held
        async with self.app.db.transaction(workspace_id) as tx:
            return await team.session_agent(tx, secret) is not None

    async def form(self, request: Request) -> dict[str, str]:
        """A posted form of our own page. Raises Forbidden for another site's."""
        own_origin(request, self.app.settings.public_url)
        form = {key: str(value) for key, value in (await request.form()).items()}
        if self.app.vault.verify("public form", form.pop("csrf", "")) is None:
            raise Forbidden(_("This page stood open for too long."), _("Open it again and repeat."), code="stale_page")
        return form

    async def let_in(
        self,
        request: Request,
        workspace_id: UUID,
        agent_id: UUID,
        onward: str = "",
        *,
        method: str = "password",
        second_factor: bool = False,
        more: bool = False,
    ) -> Response:
        """A session of this browser, shown from now on; whoever calls has proven who it is.

        Sessions of other workspaces stay, an earlier one of the same workspace ends.
        """
        held = session_cookies(self.app, request)
        others = [one for one in held if one[0] != workspace_id][: SESSIONS_AT_ONCE - 1]
        await self._end([one for one in held if one not in others])
        async with self.app.db.transaction(workspace_id) as tx:
            agent = await tx.get(Agent, agent_id)
            assert agent is not None
            secret = await team.open_session(
                tx, agent, request.headers.get("user-agent", ""), method=method, second_factor=second_factor
            )
        response = RedirectResponse(onward or STAND_ALONE, 303, {"cache-control": "no-store"})
        more = more or knows_more(self.app, request)
        keep_sessions(self.app, response, [(workspace_id, secret), *others], more=more)
        return response

    def page(self, template: str, t: Translator, request: Request, *, status: int = 200, **context: Any) -> Response:
        """A public page that may offer the operator's OpenID provider beside a password."""
        offered = {"provider": self.app.settings.oidc.name if self.app.settings.oidc else "", "another": False}
        return public_page(self.app, self.web, template, t, request, status=status, **{**offered, **context})


def public_page(
    app: App, web: Web, template: str, t: Translator, request: Request, *, status: int = 200, **context: Any
) -> Response:
    """A page that needs no session: never framed, never cached."""
    text = web.render(
        template,
        t,
        csrf=app.vault.sign("public form", {}, 86_400),
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        languages=app.catalogues.languages,
        **context,
    )
    headers = {
        "cache-control": "no-store",
        "vary": "Cookie, Accept-Language",
        "content-security-policy": content_policy(app),
    }
    return HTMLResponse(text, status, headers)


async def change_password(desk: Desk, current: str, new: str) -> dict[str, str]:
    """Change the signed-in agent's password; returns what is wrong by field, empty when it was changed."""
    if desk.session_id is None:
        raise Forbidden(_("Passwords belong to the stand-alone panel."), _("Open it in its own window."))
    pair = f"password:{desk.agent.id}"
    if await desk.app.hub.count(pair, _WINDOW) > _PER_PAIR:
        raise too_many()
    # Who came in by a provider's account has none yet.
    if desk.agent.password_hash and not await password_fits(desk.agent.password_hash, current[:MAX_PASSWORD]):
        return {"current": desk.t.gettext("This is not your current password.")}
    if problem := password_problem(new, desk.t):
        return {"new": problem}
    password_hash = await hash_password(new)
    async with desk.transaction() as tx:
        agent = await tx.get(Agent, desk.agent.id, lock=True)
        assert agent is not None
        await team.set_password(tx, agent, password_hash, keep=desk.session_id)
    return {}


def invitation_link(app: App, workspace_id: UUID, secret: str) -> str:
    """The one-time address that makes its reader an agent."""
    return f"{app.settings.public_url}/invitations/{workspace_id.hex}/{quote(secret)}"


def network(request: Request) -> str:
    """Where a request comes from: uvicorn resolves trusted proxies before us. An IPv6 network counts as one (/64)."""
    host = request.client.host if request.client else "unknown"
    return ":".join(host.split(":")[:4]) if ":" in host else host


def own_path(path: str) -> str:
    """A path of ours to go on to, or empty: never another host, however it is written."""
    ours = path == "/" or path.partition("?")[0] == STAND_ALONE
    ours = ours or path.startswith((f"{STAND_ALONE}/", "/sign-", "/invitations/"))
    return path if ours and _clean(path) else ""


def here_again(path: str) -> str:
    """The page of ours that is to be shown once more, also one that only says what went wrong; never another host."""
    return path if path.startswith("/") and _clean(path.partition("?")[0]) and path.isprintable() else "/"


def _clean(path: str) -> bool:
    return path.isprintable() and not any(part in path for part in ("\\", "//", "..", " "))


def too_many() -> TooMany:
    return TooMany(_("That was tried too often."), _("Wait a quarter of an hour, then try again."), retry_after=_WINDOW)
