"""The team: who is in it, what each may do, inviting and letting go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from starlette.responses import Response

from admin_ui import words
from admin_ui.auth import invitation_link
from admin_ui.desk import Desk, as_id, nothing_here
from plugin import stores, team
from plugin.conversations import handover
from plugin.conversations.conversations import OPEN, Conversation
from plugin.kernel import money
from plugin.kernel.db import Tx
from plugin.kernel.errors import Forbidden
from plugin.kernel.lazy import Lazy, _
from plugin.kernel.text import normalise_email
from plugin.team import ALLOWED, GIVEN, Agent, Permission, Rights, Role, second_factor, staff

RIGHTS: dict[Permission, tuple[Lazy, Lazy]] = {
    Permission.REFUND: (_("Give money back"), _("Up to the limits below, per order.")),
    Permission.EXPORT: (_("Take data out"), _("Download shoppers' data, lists and logs.")),
    Permission.MANAGE_SETTINGS: (_("Change settings"), _("The workspace's and the chat's.")),
}
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩٫,", "0123456789..")


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
    two_steps: bool = False


async def index(desk: Desk) -> Response:
    """The team and its open invitations."""
    async with desk.transaction() as tx:
        context = await _context(tx, desk)
    return desk.page("team.html", **context)


async def _context(tx: Tx, desk: Desk, **more: Any) -> dict[str, Any]:
    t = desk.t
    proven = await second_factor.agents_with_factor(tx)
    members = [_member_of(desk, agent, agent.id in proven) for agent in await team.agents(tx)]
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


def _member_of(desk: Desk, agent: Agent, two_steps: bool) -> Member:
    return Member(
        id=agent.id,
        name=agent.name,
        email=agent.email or "",
        role=agent.role,
        role_name=desk.t.gettext(words.ROLES[agent.role][0]),
        gone=agent.deactivated_at is not None,
        me=agent.id == desk.agent.id,
        editable=agent.id != desk.agent.id and team.may_grant(desk.agent, Role(agent.role)),
        last_seen_at=agent.last_seen_at,
        two_steps=two_steps,
    )


async def one(desk: Desk) -> Response:
    """One member: role, rights, sessions, and letting them go."""
    async with desk.transaction() as tx:
        agent = await tx.get(Agent, desk.path_id())
        if agent is None:
            raise nothing_here()
        context = await _person(tx, desk, agent)
    return desk.page("member.html", **context)


async def _person(tx: Tx, desk: Desk, agent: Agent, **more: Any) -> dict[str, Any]:
    t = desk.t
    shops = await stores.all_stores(tx)
    beside, own = agent.beside, team.givable(desk.agent)
    comes_through = (await staff.identities_of(tx)).get(agent.id, ())
    currencies = sorted({shop.currency for shop in shops if shop.currency} | set(beside.limits))
    open_talks = await tx.scalar(
        select(func.count()).select_from(Conversation).where(
            Conversation.workspace_id == tx.workspace_id, Conversation.assignee_id == agent.id,
            Conversation.status == OPEN,
        )
    )  # fmt: skip
    return {
        "heading": agent.name,
        "member": _member_of(desk, agent, await second_factor.factor(tx, agent.id) is not None),
        "roles": [
            (role.value, t.gettext(words.ROLES[role][0]), t.gettext(words.ROLES[role][1]))
            for role in Role
            if team.may_grant(desk.agent, role)
        ],
        "rights": [
            (right.value, t.gettext(RIGHTS[right][0]), t.gettext(RIGHTS[right][1]), right in beside.given,
             right in own.given or right in beside.given)
            for right in GIVEN
            if right not in ALLOWED[Role(agent.role)]
        ],
        "giving": team.may_give(desk.agent, agent),
        "unlimited": beside.unlimited,
        "may_unlimited": own.unlimited or beside.unlimited,
        "limits": [
            (currency, str(team.limit_in(currency, beside.limits[currency]).decimal()) if currency in beside.limits
             else "")
            for currency in currencies
        ],
        "sessions": await team.sessions(tx, agent),
        "stores": [shop.name for shop in shops if shop.id in comes_through],
        "link_open": await staff.open_link(tx, agent.id) is not None,
        "linkable": bool(comes_through) and not agent.password_hash
        and team.may_grant(desk.agent, Role(agent.role)),
        "open_talks": open_talks or 0,
        "colleagues": [other for other in await team.colleagues(tx) if other.id != agent.id],
        "errors": {},
        "saved": desk.request.query_params.get("saved", ""),
        **more,
    }  # fmt: skip


async def save_rights(desk: Desk) -> Response:
    """What a member may do beside their role."""
    form = await desk.request.form()
    given = frozenset(right for right in GIVEN if str(form.get(right.value, "")) == "on")
    limits: dict[str, int] = {}
    errors: dict[str, str] = {}
    for name, typed in form.items():
        currency = name.removeprefix("limit-")
        if currency == name or not str(typed).strip() or not (currency.isascii() and currency.isalpha()):
            continue
        try:
            amount, exact = money.parse(str(typed).translate(_DIGITS), currency[:3])
        except ValueError:
            amount, exact = money.Money(-1, currency, 0), False
        if amount.amount < 0 or not exact:
            errors[currency] = desk.t.gettext("This is not an amount.")
        else:
            limits[amount.currency] = amount.amount
    async with desk.transaction() as tx:
        agent = await _member(tx, desk)
        if errors:
            block = _block(desk)
            return desk.page("member.html", status=422, block=block, **await _person(tx, desk, agent, errors=errors))
        rights = Rights(given, str(form.get("unlimited", "")) == "on", limits)
        await team.give_rights(tx, agent, rights, by=desk.agent)
    return desk.go(f"team/{agent.id}", saved="rights")


async def end_sessions(desk: Desk) -> Response:
    """Sign a member out everywhere."""
    async with desk.transaction() as tx:
        agent = await _grantable(tx, desk)
        await team.end_sessions(tx, agent, by=desk.agent)
    return desk.go(f"team/{agent.id}", saved="sessions")


async def reset_second_step(desk: Desk) -> Response:
    """A member lost their phone: the second step is set up anew at their next sign-in."""
    async with desk.transaction() as tx:
        agent = await _grantable(tx, desk)
        await second_factor.reset_factor(tx, agent, by=desk.agent)
    return desk.go(f"team/{agent.id}", saved="second")


async def invite_link(desk: Desk) -> Response:
    """Let a store's staff member link the stand-alone account that they have."""
    async with desk.transaction() as tx:
        agent = await _member(tx, desk)
        await staff.invite_link(tx, agent, by=desk.agent)
    return desk.go(f"team/{agent.id}", saved="link")


async def confirm_owner(desk: Desk) -> Response:
    """The first opener of a new store says that they run it."""
    async with desk.transaction() as tx:
        me = await tx.get(Agent, desk.agent.id, lock=True)
        assert me is not None
        await staff.confirm_owner(tx, me)
    return desk.go("")


async def _grantable(tx: Tx, desk: Desk) -> Agent:
    agent = await _member(tx, desk)
    if not team.may_grant(desk.agent, Role(agent.role)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    return agent


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
        await team.withdraw(tx, desk.path_id(), by=desk.agent)
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
    """End a member's access at once; their open conversations go to a colleague, or back to everybody."""
    wanted = str((await desk.request.form()).get("to", ""))
    async with desk.transaction() as tx:
        agent = await _member(tx, desk)
        to = await tx.get(Agent, as_id(wanted), lock=True) if wanted else None
        if wanted and to is None:
            raise nothing_here()
        await handover.let_go(tx, agent, to=to, by=desk.agent)
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
