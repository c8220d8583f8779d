"""Signing in with the operator's OpenID provider: there, back, and whose account that is.

A provider's account is known by (issuer, subject). Its first link needs an invitation, or the agent's own session:
an equal e-mail address is nobody's proof.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from admin_ui.auth import Accounts, own_path, placed
from admin_ui.desk import STAND_ALONE, Desk, session_cookie
from plugin import stores, team
from plugin.app import App
from plugin.kernel.errors import AhlanError, Forbidden
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.oidc import Begun, OidcError, Person, Provider
from plugin.kernel.web import not_found
from plugin.team import providers

log = structlog.get_logger(__name__)

CALLBACK: Final = "/sign-in/provider/callback"
COOKIE: Final = "ahlan_oidc"
SECONDS: Final = 600
_PURPOSE: Final = "oidc"


class SingleSignOn:
    """The provider's ways in, beside the passwords of `Accounts`."""

    def __init__(self, app: App, accounts: Accounts) -> None:
        self.app = app
        self.accounts = accounts
        self.provider = Provider(app.http, app.settings.oidc)

    def routes(self) -> list[Route]:
        """The ways in that need no session."""
        return [
            Route("/sign-in/provider", placed(self.begin), methods=["POST"]),
            Route(CALLBACK, placed(self.callback), methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """To the provider; an invitation comes along where its page sent the browser."""
        form = await self.accounts.form(request)
        onward = own_path(request.query_params.get("next", ""))
        remembered: dict[str, Any] = {"o": onward}
        if form.get("invitation"):
            remembered["i"] = [form.get("workspace", "")[:32], form["invitation"][:100]]
        return await self._away(request, remembered)

    async def link(self, desk: Desk) -> Response:
        """From the settings: the account that comes back will sign this agent in."""
        if desk.session_id is None:
            raise Forbidden(_("This belongs to the stand-alone panel."), _("Open it in its own window."))
        return await self._away(desk.request, {"o": "", "l": desk.session_id.hex})

    async def _away(self, request: Request, remembered: dict[str, Any]) -> Response:
        if not self.app.settings.oidc:
            raise not_found()
        try:
            begun: Begun = await self.provider.begin(self._redirect_uri)
        except OidcError as error:
            return self._refused(request, error)
        kept = {**remembered, "s": begun.state, "n": begun.nonce, "v": begun.verifier}
        response = RedirectResponse(begun.url, 303, {"cache-control": "no-store"})
        # Lax: the provider sends the browser back with a top-level GET.
        response.set_cookie(
            COOKIE, self.app.vault.sign(_PURPOSE, kept, SECONDS), max_age=SECONDS, path=CALLBACK,
            secure=self.app.settings.secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    @property
    def _redirect_uri(self) -> str:
        return self.app.settings.public_url + CALLBACK

    async def callback(self, request: Request) -> Response:
        """Back from the provider; the cookie that ties the answer to this browser is good for one look."""
        try:
            response = await self._arrived(request)
        except OidcError as error:
            response = self._refused(request, error)
        except AhlanError as error:
            response = self._shown(request, error.message, error.hint, error.status)
        response.delete_cookie(COOKIE, path=CALLBACK, secure=self.app.settings.secure, httponly=True, samesite="lax")
        return response

    async def _arrived(self, request: Request) -> Response:
        query = request.query_params
        kept = self.app.vault.verify(_PURPOSE, request.cookies.get(COOKIE, ""))
        if kept is None or not compare_digest(kept["s"].encode(), query.get("state", "").encode()):
            raise OidcError("state")
        if await self.app.hub.count(f"oidc:{kept['s']}", SECONDS) > 1:
            raise OidcError("replayed")
        if not query.get("code"):
            raise OidcError("denied")
        person = await self.provider.redeem(
            query["code"], redirect_uri=self._redirect_uri, verifier=kept["v"], nonce=kept["n"],
            issuer=query.get("iss", ""),
        )  # fmt: skip
        if "l" in kept:
            return await self._link(request, UUID(hex=kept["l"]), person)
        if "i" in kept:
            workspace, secret = kept["i"]
            return await self._join(request, workspace, secret, person)
        return await self._enter(request, person, kept["o"])

    async def _enter(self, request: Request, person: Person, onward: str) -> Response:
        """Sign in whom this account belongs to. Ids are made in the order of time: the oldest workspace comes first."""
        key = providers.directory_key(self.app.vault, person.issuer, person.subject)
        ways = []
        for workspace_id, _store in sorted(await self.app.db.lookup(providers.DIRECTORY, key)):
            async with self.app.db.transaction(workspace_id) as tx:
                agent = await providers.identity_agent(tx, person.issuer, person.subject)
            if agent is not None:
                ways.append((workspace_id, agent.id))
        if ways:
            return await self.accounts.proven(request, ways, onward, method="oidc", second_factor=person.proven_twice)
        return self._shown(
            request,
            _("This account is not linked to anybody here."),
            _("Sign in with your password and link it under Settings, Signing in, or open your invitation."),
            403,
        )

    async def _join(self, request: Request, workspace: str, secret: str, person: Person) -> Response:
        """An invitation was opened in this very browser: the account becomes the new agent's."""
        t = self.accounts.web.translator(request)
        try:
            workspace_id = UUID(hex=workspace)
        except ValueError:
            raise not_found() from None
        async with self.app.db.transaction(workspace_id) as tx:
            invited = await team.invitation(tx, secret)
            name = person.name or (invited.email.partition("@")[0] if invited is not None else "")
            agent = await team.accept(tx, secret, name=name, password_hash="", locale=t.locale)
            assert agent.email is not None
            await stores.claim(tx, "sign_in", self.app.vault.fingerprint("email", agent.email))
            await providers.bind(
                tx, self.app.vault, agent, issuer=person.issuer, subject=person.subject, label=person.email
            )
        return await self.accounts.let_in(
            request, workspace_id, agent.id, "", method="oidc", second_factor=person.proven_twice
        )

    async def _link(self, request: Request, session_id: UUID, person: Person) -> Response:
        """The session that asked is still this browser's own: the account signs its agent in from now on."""
        held = session_cookie(self.app, request)
        if held is None:
            raise OidcError("session")
        workspace_id, secret = held
        async with self.app.db.transaction(workspace_id) as tx:
            found = await team.session_agent(tx, secret)
            if found is None or found[0].id != session_id:
                raise OidcError("session")
            await providers.bind(
                tx, self.app.vault, found[1], issuer=person.issuer, subject=person.subject, label=person.email
            )
        return RedirectResponse(f"{STAND_ALONE}/settings/security?saved=provider", 303, {"cache-control": "no-store"})

    def _refused(self, request: Request, error: OidcError) -> Response:
        log.info("oidc_refused", reason=error.reason)
        if error.reason == "unreachable":
            return self._shown(
                request, _("The sign-in provider does not answer just now."), _("Try again in a moment."), 502
            )
        return self._shown(
            request, _("The sign-in provider did not confirm who you are."), _("Begin again from this page."), 403
        )

    def _shown(self, request: Request, message: Lazy, hint: Lazy | None, status: int) -> Response:
        t = self.accounts.web.translator(request)
        errors = {"form": t.gettext(message), "hint": t.gettext(hint) if hint else ""}
        return self.accounts.page("sign_in.html", t, request, status=status, onward="", errors=errors, values={})
