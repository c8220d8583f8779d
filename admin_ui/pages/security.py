"""Signing in: one's second step, sessions, provider's accounts and stores; and for owners, who needs two steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import segno
from starlette.responses import Response

from admin_ui import words
from admin_ui.auth import limit_codes
from admin_ui.desk import Desk, nothing_here
from plugin import stores, team, workspaces
from plugin.kernel.db import Tx
from plugin.kernel.errors import Forbidden, TooMany
from plugin.kernel.lazy import Lazy, _
from plugin.team import Agent, Role, Session, providers, second_factor, staff

METHODS: dict[str, Lazy] = {
    "password": _("with a password"),
    "oidc": _("with a sign-in provider"),
    "invitation": _("with an invitation"),
}


async def index(desk: Desk) -> Response:
    """Everything about one's own ways in."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("security.html", **context)


async def _context(tx: Tx, desk: Desk, **more: Any) -> dict[str, Any]:
    t, vault = desk.t, desk.app.vault
    me = desk.agent
    shops = {store.id: store.name for store in await stores.all_stores(tx)}
    mine = (await staff.identities_of(tx)).get(me.id, ())
    invited = await staff.open_link(tx, me.id) if desk.embedded else None
    context: dict[str, Any] = {
        "heading": t.gettext("Signing in"),
        "saved": desk.request.query_params.get("saved", ""),
        "errors": {},
        "codes": (),
        "linked": [(store_id, shops.get(store_id, "")) for store_id in dict.fromkeys(mine)],
        "link_word": staff.link_word(vault, me, invited) if invited is not None else "",
        "rules": [
            (role.value, t.gettext(words.ROLES[role][0]), role in desk.workspace.second_factor_roles) for role in Role
        ],
        "provider": desk.app.settings.oidc.name if desk.app.settings.oidc else "",
    }
    if desk.session is not None:
        secret = await second_factor.unconfirmed(tx, vault, me)
        context |= {
            "on": await second_factor.factor(tx, me.id) is not None,
            "codes_left": await second_factor.codes_left(tx, me),
            "secret": secret or "",
            "picture": _picture(second_factor.otpauth(me, secret)) if secret else "",
            "demanded": me.role in desk.workspace.second_factor_roles,
            "sessions": [(one, _told(desk, one)) for one in await team.sessions(tx, me)],
            "accounts": await providers.identities(tx, me),
        }
    return {**context, **more}


def _picture(address: str) -> str:
    """The QR code as an image of its own: black on white also where the page is dark, for the phone's camera."""
    return segno.make(address, error="m").svg_data_uri(scale=4, border=3, dark="#000", light="#fff", omitsize=False)


def _told(desk: Desk, session: Session) -> str:
    """Browser, network and how they came in."""
    t = desk.t
    parts = [t.gettext(METHODS[session.method])] if session.method in METHODS else []
    if session.second_factor:
        parts.append(t.gettext("two steps"))
    return t.listing(parts)


def _session(desk: Desk) -> Session:
    if desk.session is None:
        raise Forbidden(_("This belongs to the stand-alone panel."), _("Open it in its own window."))
    return desk.session


async def begin(desk: Desk) -> Response:
    """A new secret, shown as a QR code until its first code is entered."""
    _session(desk)
    async with desk.transaction() as tx:
        await second_factor.begin_factor(tx, desk.app.vault, await _me(tx, desk))
    return desk.go("settings/security")


async def confirm(desk: Desk) -> Response:
    """The first code of the app switches the second step on; the recovery codes are shown, once."""
    session = _session(desk)
    code = await _code(desk)
    error = await _limited(desk)
    codes: list[str] | None = None
    async with desk.transaction() as tx:
        if not error:
            codes = await second_factor.confirm_factor(
                tx, desk.app.vault, await _me(tx, desk), code, datetime.now(UTC), session_id=session.id
            )
        return await _answer(tx, desk, codes, error)


async def renew(desk: Desk) -> Response:
    """New recovery codes; a code of the app proves that the phone is still there."""
    _session(desk)
    code, error = await _code(desk), await _limited(desk)
    codes: list[str] | None = None
    async with desk.transaction() as tx:
        me = await _me(tx, desk)
        if not error and await second_factor.proves(tx, desk.app.vault, me, code, datetime.now(UTC)):
            codes = await second_factor.renew_codes(tx, desk.app.vault, me)
        return await _answer(tx, desk, codes, error)


async def off(desk: Desk) -> Response:
    """Switch the second step off again, with one of its codes."""
    _session(desk)
    code, error = await _code(desk), await _limited(desk)
    async with desk.transaction() as tx:
        me = await _me(tx, desk)
        if error or not await second_factor.proves(tx, desk.app.vault, me, code, datetime.now(UTC)):
            return await _answer(tx, desk, None, error)
        await second_factor.drop_factor(tx, desk.workspace, me)
    return desk.go("settings/security", saved="off")


async def _answer(tx: Tx, desk: Desk, codes: list[str] | None, error: str) -> Response:
    if codes is not None:
        return desk.page("security.html", block=_block(desk), **await _context(tx, desk, codes=codes))
    problem = error or desk.t.gettext("This code is not right, or was used already. The app shows the next one soon.")
    context = await _context(tx, desk, errors={"code": problem})
    return desk.page("security.html", status=422, block=_block(desk), **context)


async def _code(desk: Desk) -> str:
    return str((await desk.request.form()).get("code", ""))[:40]


async def _limited(desk: Desk) -> str:
    try:
        await limit_codes(desk.app, desk.agent.id)
    except TooMany as error:
        return desk.t.gettext(error.message)
    return ""


async def _me(tx: Tx, desk: Desk) -> Agent:
    me = await tx.get(Agent, desk.agent.id, lock=True)
    assert me is not None
    return me


async def end_session(desk: Desk) -> Response:
    """End one of one's own sessions."""
    async with desk.transaction() as tx:
        if not await team.end_session(tx, desk.agent, desk.path_id()):
            raise nothing_here()
    return desk.go("settings/security")


async def end_others(desk: Desk) -> Response:
    """Sign out everywhere but here."""
    async with desk.transaction() as tx:
        await team.end_sessions(tx, desk.agent, by=desk.agent, keep=desk.session_id)
    return desk.go("settings/security", saved="sessions")


async def unlink_provider(desk: Desk) -> Response:
    """A provider's account no longer signs one in."""
    _session(desk)
    async with desk.transaction() as tx:
        if not await providers.unbind(tx, desk.app.vault, await _me(tx, desk), desk.path_id()):
            raise nothing_here()
    return desk.go("settings/security")


async def unlink_store(desk: Desk) -> Response:
    """A store's admin no longer opens as this account."""
    _session(desk)
    async with desk.transaction() as tx:
        if not await staff.unlink(tx, await _me(tx, desk), desk.path_id()):
            raise nothing_here()
    return desk.go("settings/security")


async def save_rules(desk: Desk) -> Response:
    """Which roles have to sign in with two steps."""
    form = await desk.request.form()
    roles = [Role(str(value)) for value in form.getlist("roles") if value in set(Role)]
    async with desk.transaction() as tx:
        workspace = await workspaces.current(tx)
        assert workspace is not None
        await second_factor.require_factor(tx, workspace, roles, by=desk.agent)
    return desk.go("settings/security", saved="rules")


def _block(desk: Desk) -> str:
    return "page" if "hx-request" in desk.request.headers else ""
