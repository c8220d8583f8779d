"""The team: who is in it, what each may do, inviting and letting go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response

from admin_ui import words
from admin_ui.auth import invitation_link
from admin_ui.desk import Desk, nothing_here
from plugin import team
from plugin.kernel.db import Tx
from plugin.kernel.text import normalise_email
from plugin.team import Agent, Role


@dataclass(frozen=True, slots=True)
class Member:
    """An agent as the list shows them; `editable` says whether the reader may change them."""

    id: UUID
    name: str
    email: str
    role: str
    role_name: str
    gone: bool
    me: bool
    editable: bool
    last_seen_at: datetime | None


async def index(desk: Desk) -> Response:
    """The team and its open invitations."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("team.html", **context)


async def _context(tx: Tx, desk: Desk, **more: Any) -> dict[str, Any]:
    t = desk.t
    members = [
        Member(
            id=agent.id,
            name=agent.name,
            email=agent.email or "",
            role=agent.role,
            role_name=t.gettext(words.ROLES[agent.role][0]),
            gone=agent.deactivated_at is not None,
            me=agent.id == desk.agent.id,
            editable=agent.id != desk.agent.id and team.may_grant(desk.agent, Role(agent.role)),
            last_seen_at=agent.last_seen_at,
        )
        for agent in await team.agents(tx)
    ]
    grantable = [role for role in Role if team.may_grant(desk.agent, role)]
    return {
        "members": members,
        "invitations": await team.open_invitations(tx),
        "roles": [(role.value, t.gettext(words.ROLES[role][0]), t.gettext(words.ROLES[role][1])) for role in grantable],
        "role_names": {role: t.gettext(name) for role, (name, _what) in words.ROLES.items()},
        "heading": t.gettext("Team"),
        "errors": {},
        "values": {},
        "link": "",
        "link_email": "",
        **more,
    }


async def invite(desk: Desk) -> Response:
    """Make a one-time link. We send no e-mail yet: whoever invites passes it on."""
    form = await desk.request.form()
    values = {"email": str(form.get("email", "")), "role": str(form.get("role", "agent"))}
    email = normalise_email(values["email"])
    role = Role(values["role"]) if values["role"] in set(Role) else None
    async with desk.transaction() as tx:
        if email is None or role is None:
            errors = {"email": desk.t.gettext("This is not an e-mail address.")}
            context = await _context(tx, desk, errors=errors, values=values)
            return desk.page("team.html", status=422, block=_block(desk), **context)
        _row, secret = await team.invite(tx, email=email, role=role, by=desk.agent)
        link = invitation_link(desk.app, desk.workspace_id, secret)
        context = await _context(tx, desk, link=link, link_email=email)
    return desk.page("team.html", block=_block(desk), **context)


async def withdraw(desk: Desk) -> Response:
    """Take an invitation back."""
    async with desk.transaction() as tx:
        await team.withdraw(tx, desk.path_id())
    return desk.go("team")


async def change_role(desk: Desk) -> Response:
    """Give a member another role."""
    form = await desk.request.form()
    role = str(form.get("role", ""))
    if role not in set(Role):
        raise nothing_here()
    async with desk.transaction() as tx:
        await team.change_role(tx, await _member(tx, desk), Role(role), by=desk.agent)
    return desk.go("team")


async def deactivate(desk: Desk) -> Response:
    """End a member's access at once."""
    async with desk.transaction() as tx:
        await team.deactivate(tx, await _member(tx, desk), by=desk.agent)
    return desk.go("team")


async def reactivate(desk: Desk) -> Response:
    """Let a member in again."""
    async with desk.transaction() as tx:
        await team.reactivate(tx, await _member(tx, desk), by=desk.agent)
    return desk.go("team")


async def _member(tx: Tx, desk: Desk) -> Agent:
    agent = await tx.get(Agent, desk.path_id(), lock=True)
    if agent is None:
        raise nothing_here()
    return agent


def _block(desk: Desk) -> str:
    return "page" if "hx-request" in desk.request.headers else ""
