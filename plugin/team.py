"""The people who work here: agents, their roles, how they sign in."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Select, UniqueConstraint, and_, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import Conflict, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.kernel.text import normalise_email


class Role(StrEnum):
    """owner: everything · admin: all but ownership · agent: conversations and customers · light: notes only."""

    OWNER = "owner"
    ADMIN = "admin"
    AGENT = "agent"
    LIGHT = "light"


class Permission(StrEnum):
    """What an action needs; every route of the panel names one."""

    READ = "read"
    NOTE = "note"
    REPLY = "reply"
    MANAGE_CUSTOMERS = "manage_customers"
    MANAGE_STORES = "manage_stores"
    MANAGE_TEAM = "manage_team"
    MANAGE_PRIVACY = "manage_privacy"
    MANAGE_WORKSPACE = "manage_workspace"


_LIGHT = frozenset({Permission.READ, Permission.NOTE})
_AGENT = _LIGHT | {Permission.REPLY, Permission.MANAGE_CUSTOMERS}
_ADMIN = _AGENT | {Permission.MANAGE_STORES, Permission.MANAGE_TEAM, Permission.MANAGE_PRIVACY}
ALLOWED = {
    Role.LIGHT: _LIGHT,
    Role.AGENT: _AGENT,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {Permission.MANAGE_WORKSPACE},
}


class Agent(TenantRow, Base):
    """A member of the team. `password_hash` is argon2id, empty for those who only come through a store's admin.

    `alerts`: whether a problem of a store is mailed to them, where their role looks after stores.
    """

    __tablename__ = "agents"
    __table_args__ = (UniqueConstraint("workspace_id", "email"), {"info": nobody("the team")})

    name: Mapped[str]
    email: Mapped[str | None]
    role: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="")
    timezone: Mapped[str] = mapped_column(server_default="")
    password_hash: Mapped[str] = mapped_column(server_default="")
    available: Mapped[bool] = mapped_column(server_default=text("true"))
    alerts: Mapped[bool] = mapped_column(server_default=text("true"))
    last_seen_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]

    def may(self, permission: Permission) -> bool:
        """Whether this agent's role allows it."""
        return self.deactivated_at is None and permission in ALLOWED[Role(self.role)]


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


class Session(TenantRow, Base):
    """A stand-alone sign-in; the cookie holds the secret, the row its hash."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("workspace_id", "secret_hash"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(server_default="")


class Invitation(TenantRow, Base):
    """A one-time link that makes its reader an agent."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("workspace_id", "secret_hash"),
        tenant_key("invited_by", "agents"),
        {"info": nobody("the team")},
    )

    email: Mapped[str]
    role: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    invited_by: Mapped[UUID]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]


SESSION_DAYS = 30
HAND_OVER_SECONDS = 3600
_HAND_OVER = "from an admin"
INVITATION_DAYS = 7
_GRANTS = {
    Role.OWNER: frozenset(Role),
    Role.ADMIN: frozenset({Role.ADMIN, Role.AGENT, Role.LIGHT}),
    Role.AGENT: frozenset[Role](),
    Role.LIGHT: frozenset[Role](),
}


def may_grant(by: Agent, role: Role) -> bool:
    """Whether `by` may give or take this role: admins run the team, owners also make and unmake owners."""
    return by.may(Permission.MANAGE_TEAM) and role in _GRANTS[Role(by.role)]


async def agents(tx: Tx) -> Sequence[Agent]:
    """Everybody of the workspace, working ones first, then by name."""
    return list(
        await tx.scalars(select(Agent).order_by(Agent.deactivated_at.is_not(None), func.lower(Agent.name), Agent.id))
    )


async def colleagues(tx: Tx) -> Sequence[Agent]:
    """Those who can be given a conversation: active, and allowed to reply."""
    repliers = [role for role in Role if Permission.REPLY in ALLOWED[role]]
    return list(
        await tx.scalars(
            select(Agent)
            .where(Agent.deactivated_at.is_(None), Agent.role.in_(repliers))
            .order_by(func.lower(Agent.name), Agent.id)
        )
    )


async def by_email(tx: Tx, email: str) -> Agent | None:
    """The agent with this normalised address."""
    agent: Agent | None = await tx.scalar(select(Agent).where(Agent.email == email))
    return agent


def hand_over(vault: Vault, agent: Agent) -> str:
    """A sealed word, good for an hour, that says to another page of ours who works in an embedded panel.

    Those who only come through a store's admin have no session in the browser, and a page that has to stand alone,
    such as a grant of another store, cannot know them otherwise.
    """
    return vault.sign(_HAND_OVER, {"w": agent.workspace_id.hex, "a": agent.id.hex}, HAND_OVER_SECONDS)


def handed_over(vault: Vault, word: str) -> tuple[UUID, UUID] | None:
    """(workspace, agent) of a word of `hand_over`, or None. Whether the agent still may is the caller's to ask."""
    said = vault.verify(_HAND_OVER, word) if word else None
    return (UUID(hex=said["w"]), UUID(hex=said["a"])) if said else None


async def add(
    tx: Tx, *, name: str, email: str | None, role: Role, password_hash: str = "", locale: str = "", timezone: str = ""
) -> Agent:
    """Add an agent. Raises Conflict when the address already belongs to one."""
    if email is not None and await by_email(tx, email) is not None:
        raise Conflict(_("Somebody with this e-mail address is already on the team."), _("Use another address."))
    agent = Agent(name=name, email=email, role=role, password_hash=password_hash, locale=locale, timezone=timezone)
    tx.add(agent)
    await tx.flush()
    return agent


async def open_session(tx: Tx, agent: Agent, user_agent: str) -> str:
    """Start a stand-alone session of 30 days; returns the secret for the cookie, of which only the hash is kept."""
    secret = secrets.token_urlsafe(32)
    tx.add(
        Session(
            agent_id=agent.id,
            secret_hash=_hash(secret),
            expires_at=_now() + timedelta(days=SESSION_DAYS),
            user_agent=user_agent[:200],
        )
    )
    await tx.execute(delete(Session).where(Session.expires_at < func.now()))
    await _seen(tx, agent)
    return secret


async def session_agent(tx: Tx, secret: str) -> tuple[Session, Agent] | None:
    """Who holds this secret, or None when the session ended or the agent left."""
    row: Any = (
        await tx.execute(
            select(Session, Agent)
            .join(Agent, and_(Agent.workspace_id == Session.workspace_id, Agent.id == Session.agent_id))
            .where(
                Session.secret_hash == _hash(secret), Session.expires_at > func.now(), Agent.deactivated_at.is_(None)
            )
        )
    ).one_or_none()
    if row is None:
        return None
    session, agent = row
    await _seen(tx, agent)
    return session, agent


async def close_session(tx: Tx, session_id: UUID) -> None:
    """Sign out."""
    await tx.execute(delete(Session).where(Session.id == session_id))


async def close_sessions(tx: Tx, agent: Agent, *, keep: UUID | None = None) -> None:
    """Sign an agent out everywhere, but for the session `keep`."""
    statement = delete(Session).where(Session.agent_id == agent.id)
    await tx.execute(statement if keep is None else statement.where(Session.id != keep))


async def set_password(tx: Tx, agent: Agent, password_hash: str, *, keep: UUID | None = None) -> None:
    """Store a new password and end every other session: whoever knew the old one is out."""
    agent.password_hash = password_hash
    await close_sessions(tx, agent, keep=keep)
    await tx.record("agent.password_changed", subject_id=agent.id, actor=f"agent:{agent.id}")


async def staff_agent(
    tx: Tx, store_id: UUID, *, staff_id: str, name: str, email: str, administrator: bool, locale: str = ""
) -> Agent | None:
    """The agent behind a staff member of a store's admin, made at the first visit; None when they were deactivated.

    A store administrator becomes owner of a workspace that has none, everybody else an agent. An address that
    another agent has is left out: a store's word does not hand over somebody's account.
    """
    known: Agent | None = (
        await tx.execute(
            select(Agent)
            .join(
                StaffIdentity,
                and_(StaffIdentity.workspace_id == Agent.workspace_id, StaffIdentity.agent_id == Agent.id),
            )
            .where(StaffIdentity.store_id == store_id, StaffIdentity.external_id == staff_id)
        )
    ).scalar_one_or_none()
    if known is not None:
        if known.deactivated_at is not None:
            return None
        if administrator:
            await _adopt(tx, known)
        await _seen(tx, known)
        return known
    # Two tabs of the first visit: the second waits here and then finds the first one's row.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"staff:{store_id}:{staff_id}"))))
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"owner:{tx.workspace_id}"))))
    if await tx.scalar(
        select(StaffIdentity.id).where(StaffIdentity.store_id == store_id, StaffIdentity.external_id == staff_id)
    ):
        return await staff_agent(
            tx, store_id, staff_id=staff_id, name=name, email=email, administrator=administrator, locale=locale
        )
    role = Role.OWNER if administrator and await _owners(tx) == 0 else Role.AGENT
    address = normalise_email(email) if email else None
    if address is not None and await by_email(tx, address) is not None:
        address = None
    agent = await add(tx, name=name or address or staff_id, email=address, role=role, locale=locale)
    tx.add(StaffIdentity(store_id=store_id, external_id=staff_id, agent_id=agent.id))
    await tx.record(
        "agent.joined", subject_id=agent.id, store_id=store_id, actor=f"agent:{agent.id}", data={"role": role}
    )
    await tx.flush()
    return agent


async def _adopt(tx: Tx, agent: Agent) -> None:
    """A workspace whose last owner went with their store is owned by the next administrator who opens it."""
    if agent.role == Role.OWNER or await _owners(tx):
        return
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"owner:{tx.workspace_id}"))))
    if await _owners(tx) == 0:
        before, agent.role = agent.role, Role.OWNER
        data = {"from": before, "to": Role.OWNER}
        await tx.record("agent.role_changed", subject_id=agent.id, actor=f"agent:{agent.id}", data=data)


async def invite(tx: Tx, *, email: str, role: Role, by: Agent) -> tuple[Invitation, str]:
    """Invite an address; returns the row and the secret of its one-time link, which is good for 7 days.

    An earlier open invitation of the same address is replaced. Raises Conflict for a member, Forbidden for a role
    that `by` may not give.
    """
    if not may_grant(by, role):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if await by_email(tx, email) is not None:
        raise Conflict(_("Somebody with this e-mail address is already on the team."), _("Use another address."))
    await tx.execute(delete(Invitation).where(Invitation.email == email, Invitation.accepted_at.is_(None)))
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        email=email, role=role, secret_hash=_hash(secret), invited_by=by.id,
        expires_at=_now() + timedelta(days=INVITATION_DAYS),
    )  # fmt: skip
    tx.add(invitation)
    await tx.flush()
    await tx.record("agent.invited", subject_id=invitation.id, actor=f"agent:{by.id}", data={"role": role})
    return invitation, secret


async def open_invitations(tx: Tx) -> Sequence[Invitation]:
    """Invitations that can still be accepted, newest first."""
    rows: Any = await tx.execute(_open_invitations().order_by(Invitation.id.desc()))
    return [row for row, by in rows if may_grant(by, Role(row.role))]


async def invitation(tx: Tx, secret: str, *, lock: bool = False) -> Invitation | None:
    """The open invitation behind a link's secret; it is good while who gave it may still give that role."""
    statement = _open_invitations().where(Invitation.secret_hash == _hash(secret))
    found: Any = (await tx.execute(statement.with_for_update(of=Invitation) if lock else statement)).one_or_none()
    if found is None or not may_grant(found[1], Role(found[0].role)):
        return None
    row: Invitation = found[0]
    return row


def _open_invitations() -> Select[Invitation, Agent]:
    return (
        select(Invitation, Agent)
        .join(Agent, and_(Agent.workspace_id == Invitation.workspace_id, Agent.id == Invitation.invited_by))
        .where(Invitation.accepted_at.is_(None), Invitation.expires_at > func.now())
    )


async def accept(tx: Tx, secret: str, *, name: str, password_hash: str, locale: str = "") -> Agent:
    """Turn an invitation into an agent. Raises NotFound when the link was used, taken back or is too old."""
    row = await invitation(tx, secret, lock=True)
    if row is None:
        raise NotFound(_("This invitation is no longer good."), _("Ask for a new one."))
    agent = await add(tx, name=name, email=row.email, role=Role(row.role), password_hash=password_hash, locale=locale)
    row.accepted_at = _now()
    await tx.record("agent.joined", subject_id=agent.id, actor=f"agent:{agent.id}", data={"role": row.role})
    return agent


async def withdraw(tx: Tx, invitation_id: UUID) -> None:
    """Take an invitation back: its link stops working."""
    await tx.execute(delete(Invitation).where(Invitation.id == invitation_id, Invitation.accepted_at.is_(None)))


async def change_role(tx: Tx, agent: Agent, role: Role, *, by: Agent) -> None:
    """Give an agent another role. Raises Forbidden beyond `by`'s rights, Conflict for the last owner."""
    if agent.role == role:
        return
    if not (may_grant(by, role) and may_grant(by, Role(agent.role))):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if agent.role == Role.OWNER:
        await _not_the_last_owner(tx, agent)
    before, agent.role = agent.role, role
    await tx.record(
        "agent.role_changed", subject_id=agent.id, actor=f"agent:{by.id}", data={"from": before, "to": role}
    )


async def deactivate(tx: Tx, agent: Agent, *, by: Agent) -> None:
    """End an agent's access everywhere at once; what they wrote stays. Raises Forbidden, Conflict as change_role."""
    if agent.deactivated_at is not None:
        return
    if not may_grant(by, Role(agent.role)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    if agent.role == Role.OWNER:
        await _not_the_last_owner(tx, agent)
    agent.deactivated_at = _now()
    await close_sessions(tx, agent)
    await tx.record("agent.deactivated", subject_id=agent.id, actor=f"agent:{by.id}")


async def reactivate(tx: Tx, agent: Agent, *, by: Agent) -> None:
    """Let a deactivated agent in again, with the role they had."""
    if agent.deactivated_at is None:
        return
    if not may_grant(by, Role(agent.role)):
        raise Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
    agent.deactivated_at = None
    await tx.record("agent.reactivated", subject_id=agent.id, actor=f"agent:{by.id}")


async def _not_the_last_owner(tx: Tx, agent: Agent) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"owner:{tx.workspace_id}"))))
    if await _owners(tx, but=agent.id) == 0:
        raise Conflict(
            _("A workspace needs an owner, and this is the last one."), _("Make somebody else an owner first.")
        )


async def _owners(tx: Tx, but: UUID | None = None) -> int:
    statement = select(func.count()).select_from(Agent).where(Agent.role == Role.OWNER, Agent.deactivated_at.is_(None))
    count: int = await tx.scalar(statement if but is None else statement.where(Agent.id != but))
    return count


async def _seen(tx: Tx, agent: Agent) -> None:
    # Once a minute is enough for "last seen", and spares each click a write.
    if agent.last_seen_at is None or agent.last_seen_at < _now() - timedelta(minutes=1):
        await tx.execute(
            update(Agent)
            .where(Agent.workspace_id == tx.workspace_id, Agent.id == agent.id)
            .values(last_seen_at=func.now())
            .execution_options(synchronize_session=False)
        )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _now() -> datetime:
    return datetime.now(UTC)
