"""Staff of a store's admin: who they are here, who of them runs the workspace, and their stand-alone account.

Keyed by store and staff id. A store's word about an e-mail address opens nobody's account: the two are linked by an
invitation that is accepted by somebody who is signed in to both.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import UniqueConstraint, and_, delete, func, select, text, update
from sqlalchemy.orm import Mapped

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import normalise_email
from plugin.team import audit
from plugin.team.agents import (
    Agent,
    add,
    by_email,
    has_owner,
    may_grant,
    not_the_last_owner,
    not_yours,
    owner_wanted,
)
from plugin.team.rights import Role
from plugin.team.sessions import close_sessions, seen, tell

LINK_DAYS = 7
LINK_WORD_SECONDS = 600
_LINK_WORD = "link staff"


class StaffIdentity(TenantRow, Base):
    """A staff member of a store's admin, known by that store's signed token, and the agent that they are here."""

    __tablename__ = "staff_identities"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "external_id"),
        tenant_key("store_id", "stores"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    store_id: Mapped[UUID]
    external_id: Mapped[str]
    agent_id: Mapped[UUID]


class StaffLink(TenantRow, Base):
    """An invitation to one staff member: their stand-alone account and their store's admin may become one person."""

    __tablename__ = "staff_links"
    __table_args__ = (
        UniqueConstraint("workspace_id", "agent_id"),
        tenant_key("agent_id", "agents"),
        tenant_key("invited_by", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    invited_by: Mapped[UUID]
    expires_at: Mapped[datetime]


async def staff_agent(
    tx: Tx, store_id: UUID, *, staff_id: str, name: str, email: str, administrator: bool
) -> Agent | None:
    """The agent behind a staff member of a store's admin, made at the first visit; None when they were deactivated.

    A store administrator becomes owner of a workspace that has none, everybody else an agent without money rights.
    An address that another agent has is left out: a store's word does not hand over somebody's account. No language is
    kept: the admin's counts at each visit until the agent chooses one.
    """
    known = await _known(tx, store_id, staff_id)
    if known is not None:
        if known.deactivated_at is not None:
            return None
        await seen(tx, known)
        if administrator and known.role != Role.OWNER and await owner_wanted(tx):
            await _crown(tx, known, store_id)
        return known
    # Two tabs of the first visit: the second waits here and then finds the first one's row.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"staff:{store_id}:{staff_id}"))))
    known = await _known(tx, store_id, staff_id)
    if known is not None:
        return None if known.deactivated_at is not None else known
    role = Role.OWNER if administrator and await owner_wanted(tx) else Role.AGENT
    address = normalise_email(email) if email else None
    if address is not None and await by_email(tx, address) is not None:
        address = None
    agent = await add(tx, name=name or address or staff_id, email=address, role=role)
    tx.add(StaffIdentity(store_id=store_id, external_id=staff_id, agent_id=agent.id))
    await tx.record("agent.joined", subject_id=agent.id, store_id=store_id, actor=agent.actor, data={"role": role})
    audit.note(tx, "team.joined", by=agent.id, subject=agent.id, changes={"role": [None, role.value]})
    await tx.flush()
    return agent


async def _known(tx: Tx, store_id: UUID, staff_id: str) -> Agent | None:
    agent: Agent | None = (
        await tx.execute(
            select(Agent)
            .join(
                StaffIdentity,
                and_(StaffIdentity.workspace_id == Agent.workspace_id, StaffIdentity.agent_id == Agent.id),
            )
            .where(StaffIdentity.store_id == store_id, StaffIdentity.external_id == staff_id)
        )
    ).scalar_one_or_none()
    return agent


# Who runs a new store


_MOVED = text("SELECT EXISTS (SELECT FROM store_moves WHERE workspace_id = :workspace AND state = 'done')")


async def may_confirm(tx: Tx, agent: Agent) -> bool:
    """Whether this agent may say "I run this store": nobody runs the workspace, and they opened its store first.

    For whom the platform did not name as the account's owner: an agency that installs, or an answer that never came.
    Not where a store came or went: that was run by somebody, and only an administrator of the store follows them.
    """
    if agent.role == Role.OWNER or await has_owner(tx) or await tx.scalar(_MOVED, {"workspace": tx.workspace_id}):
        return False
    first: dict[UUID, UUID] = {}
    rows = select(StaffIdentity).where(StaffIdentity.workspace_id == tx.workspace_id).order_by(StaffIdentity.id)
    for identity in await tx.scalars(rows):
        first.setdefault(identity.store_id, identity.agent_id)
    return agent.id in first.values()


async def confirm_owner(tx: Tx, agent: Agent) -> None:
    """The first opener confirms that they run the store. Raises Forbidden for anybody else, Conflict when too late."""
    if not await owner_wanted(tx):
        raise Conflict(_("This workspace has an owner already."), _("Ask them for the role that you need."))
    if not await may_confirm(tx, agent):
        raise not_yours()
    await _crown(tx, agent, None)


async def _crown(tx: Tx, agent: Agent, store_id: UUID | None) -> None:
    before, agent.role = agent.role, Role.OWNER.value
    await tx.record(
        "agent.role_changed", subject_id=agent.id, store_id=store_id, actor=agent.actor,
        data={"from": before, "to": Role.OWNER},
    )  # fmt: skip
    audit.note(tx, "team.owner_confirmed", by=agent.id, subject=agent.id, changes={"role": [before, Role.OWNER.value]})


# Linking to a stand-alone account


async def identities_of(tx: Tx) -> Mapping[UUID, Sequence[UUID]]:
    """Agent → the stores through whose admins they come."""
    found: dict[UUID, list[UUID]] = {}
    rows = await tx.scalars(
        select(StaffIdentity).where(StaffIdentity.workspace_id == tx.workspace_id).order_by(StaffIdentity.id)
    )
    for identity in rows:
        found.setdefault(identity.agent_id, []).append(identity.store_id)
    return found


async def invite_link(tx: Tx, agent: Agent, *, by: Agent) -> StaffLink:
    """Let this staff member link a stand-alone account within 7 days; a second invitation replaces the first.

    Raises Forbidden beyond `by`'s rights, Conflict for whom no store's admin vouches.
    """
    if not may_grant(by, Role(agent.role)):
        raise not_yours()
    if not await tx.scalar(select(StaffIdentity.id).where(StaffIdentity.agent_id == agent.id).limit(1)):
        raise Conflict(_("This person does not come through a store's admin."))
    await tx.execute(delete(StaffLink).where(StaffLink.agent_id == agent.id))
    link = StaffLink(agent_id=agent.id, invited_by=by.id, expires_at=datetime.now(UTC) + timedelta(days=LINK_DAYS))
    tx.add(link)
    await tx.flush()
    audit.note(tx, "team.link_invited", by=by.id, subject=agent.id)
    return link


async def open_link(tx: Tx, agent_id: UUID, *, lock: bool = False) -> StaffLink | None:
    """The open invitation of this staff member, good while who gave it may still decide about them."""
    statement = select(StaffLink).where(StaffLink.agent_id == agent_id, StaffLink.expires_at > func.now())
    link: StaffLink | None = await tx.scalar(statement.with_for_update() if lock else statement)
    if link is None:
        return None
    by, agent = await tx.get(Agent, link.invited_by), await tx.get(Agent, agent_id)
    return link if by and agent and agent.deactivated_at is None and may_grant(by, Role(agent.role)) else None


def link_word(vault: Vault, agent: Agent, link: StaffLink) -> str:
    """What the embedded panel posts to the page that stands alone: this browser is that staff member's (10 minutes)."""
    said = {"w": agent.workspace_id.hex, "a": agent.id.hex, "l": link.id.hex}
    return vault.sign(_LINK_WORD, said, LINK_WORD_SECONDS)


def linked_by(vault: Vault, word: str) -> tuple[UUID, UUID, UUID] | None:
    """(workspace, staff member's agent, invitation) of a word of `link_word`, or None."""
    said = vault.verify(_LINK_WORD, word) if word else None
    return (UUID(hex=said["w"]), UUID(hex=said["a"]), UUID(hex=said["l"])) if said else None


async def link(tx: Tx, staff: Agent, account: Agent, *, link_id: UUID) -> None:
    """Make a staff member and a stand-alone account one person: the account. The caller has seen both signed in.

    The staff member's own row ends; `conversations.handover.become_one` gives their open conversations along. Raises
    NotFound for an invitation that was used, replaced or is too old, Conflict when the workspace would lose its owner.
    """
    invited = await open_link(tx, staff.id, lock=True)
    if invited is None or invited.id != link_id or staff.id == account.id:
        raise NotFound(_("This invitation is no longer good."), _("Ask for a new one."))
    if staff.role == Role.OWNER and account.role != Role.OWNER:
        await not_the_last_owner(tx, staff)
    await tx.execute(
        update(StaffIdentity)
        .where(StaffIdentity.workspace_id == tx.workspace_id, StaffIdentity.agent_id == staff.id)
        .values(agent_id=account.id)
    )
    await tx.execute(delete(StaffLink).where(StaffLink.id == invited.id))
    staff.deactivated_at = datetime.now(UTC)
    await close_sessions(tx, staff)
    tell(tx, staff)
    await tx.record("agent.linked", subject_id=account.id, actor=account.actor, data={"staff": str(staff.id)})
    audit.note(tx, "account.staff_linked", by=account.id, subject=account.id, changes={"staff": [None, staff.name]})


async def unlink(tx: Tx, account: Agent, store_id: UUID) -> bool:
    """Take a store's admin away from an account: its staff member is a stranger again. False: it was not linked."""
    gone = list(
        await tx.scalars(
            delete(StaffIdentity)
            .where(StaffIdentity.agent_id == account.id, StaffIdentity.store_id == store_id)
            .returning(StaffIdentity.id)
        )
    )
    if gone:
        tell(tx, account)
        audit.note(tx, "account.staff_unlinked", by=account.id, subject=account.id)
    return bool(gone)
