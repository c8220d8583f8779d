"""`/panel/link`: a staff member of a store's admin and a stand-alone account become one person.

Two proofs in one browser. The embedded panel posts here, into a window of its own, a sealed word that says which staff
member stands there; only our own pages can post it, so nobody is lent a name by a link. The session of this browser
says which account. And there is an open invitation, given by whoever runs the team.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from admin_ui.auth import placed, public_page
from admin_ui.desk import STAND_ALONE, session_cookie
from plugin import stores, team, workspaces
from plugin.app import App
from plugin.conversations import handover
from plugin.kernel.db import Tx
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.web import Web, own_origin
from plugin.team import Agent, Session, second_factor, staff

PATH: Final = f"{STAND_ALONE}/link"
COOKIE: Final = "ahlan-link"


@dataclass(frozen=True, slots=True)
class _Both:
    """Who stands on either side. `self_signed`: see `Platform.panel_head`."""

    workspace_id: UUID
    session: Session
    account: Agent
    member: Agent
    link_id: UUID
    self_signed: str


def link(app: App, web: Web) -> Route:
    """The page and its button."""
    name = f"__Host-{COOKIE}" if app.settings.secure else COOKIE

    async def serve(request: Request) -> Response:
        if request.method == "GET":
            return await _asked(app, web, request, name)
        own_origin(request, app.settings.public_url)
        form = await request.form()
        if word := str(form.get("word", "")):
            response = RedirectResponse(PATH, 303, {"cache-control": "no-store"})
            response.set_cookie(
                name, word[:1000], max_age=staff.LINK_WORD_SECONDS, path="/", httponly=True,
                secure=app.settings.secure, samesite="lax",
            )  # fmt: skip
            return response
        return await _confirmed(app, web, request, name, str(form.get("csrf", "")))

    return Route(PATH, placed(serve), methods=["GET", "POST"], name="link")


async def _asked(app: App, web: Web, request: Request, name: str) -> Response:
    t = web.translator(request)
    try:
        both = await _both(app, request, name)
    except AhlanError as error:
        said = {"message": t.gettext(error.message), "hint": t.gettext(error.hint) if error.hint else ""}
        return public_page(
            app, web, "link.html", t, request, status=error.status, both=None, shop=None, proof="", **said
        )
    if both is None:
        return RedirectResponse(f"/sign-in?next={PATH}", 303, {"cache-control": "no-store"})
    async with app.db.transaction(both.workspace_id) as tx:
        shop = await workspaces.current(tx)
    if shop is not None and second_factor.owes_factor(shop, both.account, both.session):
        return RedirectResponse(f"{STAND_ALONE}/settings/security", 303, {"cache-control": "no-store"})
    proof = app.vault.sign("link", {"s": both.session.id.hex, "m": both.member.id.hex}, staff.LINK_WORD_SECONDS)
    return public_page(app, web, "link.html", t, request, both=both, shop=shop, proof=proof, message="", hint="")


async def _confirmed(app: App, web: Web, request: Request, name: str, proof: str) -> Response:
    both = await _both(app, request, name)
    said = app.vault.verify("link", proof)
    if both is None or said is None or (said["s"], said["m"]) != (both.session.id.hex, both.member.id.hex):
        raise Forbidden(_("This page stood open for too long."), _("Open it again and repeat."), code="stale_page")
    async with app.db.transaction(both.workspace_id) as tx:
        member = await tx.get(Agent, both.member.id, lock=True)
        account = await tx.get(Agent, both.account.id, lock=True)
        shop = await workspaces.current(tx)
        assert member is not None
        assert account is not None
        if shop is None or second_factor.owes_factor(shop, account, both.session):
            raise Forbidden(_("In this workspace your role signs in with two steps."))
        await handover.become_one(tx, member, account, link_id=both.link_id)
    response = RedirectResponse(f"{STAND_ALONE}/settings/security?saved=linked", 303, {"cache-control": "no-store"})
    response.delete_cookie(name, path="/", secure=app.settings.secure, httponly=True, samesite="lax")
    return response


async def _both(app: App, request: Request, name: str) -> _Both | None:
    """Both sides, or None where nobody is signed in here. Raises NotFound, Forbidden in words for the page."""
    said = staff.linked_by(app.vault, request.cookies.get(name, ""))
    if said is None:
        raise NotFound(
            _("Nothing waits to be linked in this browser."),
            _("In your store's admin open Ahlan, Settings, Signing in, and press the button there."),
        )
    workspace_id, member_id, link_id = said
    held = session_cookie(app, request)
    if held is None:
        return None
    if held[0] != workspace_id:
        raise Forbidden(
            _("You are signed in to another workspace here."), _("Sign out, then sign in to the one of that store.")
        )
    async with app.db.transaction(workspace_id) as tx:
        found = await team.session_agent(tx, held[1])
        member = await tx.get(Agent, member_id)
        invited = await staff.open_link(tx, member_id)
        self_signed = await _self_signed(app, tx, member_id)
    if found is None:
        return None
    if member is None or invited is None or invited.id != link_id:
        raise NotFound(_("This invitation is no longer good."), _("Ask for a new one."))
    return _Both(workspace_id, found[0], found[1], member, link_id, self_signed)


async def _self_signed(app: App, tx: Tx, member_id: UUID) -> str:
    """The software of a store that says by its own word who this staff member is; empty where a platform vouches."""
    platforms = {store.id: store.platform for store in await stores.all_stores(tx)}
    for store_id in (await staff.identities_of(tx)).get(member_id, ()):
        platform = app.platforms.get(platforms.get(store_id, ""))
        if platform is not None and (software := platform.panel_head().get("self_signed")):
            return software
    return ""
