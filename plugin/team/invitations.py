"""Inviting somebody: a one-time link that makes its reader an agent."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Select, UniqueConstraint, and_, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import audit
from plugin.team.agents import Agent, add, by_email, may_grant, not_yours
from plugin.team.rights import Role
from plugin.team.sessions import hashed

INVITATION_DAYS = 7


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


async def invite(tx: Tx, *, email: str, role: Role, by: Agent) -> tuple[Invitation, str]:
    """Invite an address; returns the row and the secret of its one-time link, which is good for 7 days.

    An earlier open invitation of the same address is replaced. Raises Conflict for a member, Forbidden for a role
    that `by` may not give.
    """
    if not may_grant(by, role):
        raise not_yours()
    if await by_email(tx, email) is not None:
        raise Conflict(_("Somebody with this e-mail address is already on the team."), _("Use another address."))
    await tx.execute(delete(Invitation).where(Invitation.email == email, Invitation.accepted_at.is_(None)))
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        email=email, role=role, secret_hash=hashed(secret), invited_by=by.id,
        expires_at=datetime.now(UTC) + timedelta(days=INVITATION_DAYS),
    )  # fmt: skip
    tx.add(invitation)
    await tx.flush()
    await tx.record("agent.invited", subject_id=invitation.id, actor=by.actor, data={"role": role})
    audit.note(
        tx,
        "team.invited",
        by=by.id,
        subject=invitation.id,
        changes={"email": [None, email], "role": [None, role.value]},
    )
    return invitation, secret


async def open_invitations(tx: Tx) -> Sequence[Invitation]:
    """Invitations that can still be accepted, newest first."""
    rows: Any = await tx.execute(_open_invitations().order_by(Invitation.id.desc()))
    return [row for row, by in rows if may_grant(by, Role(row.role))]


async def invitation(tx: Tx, secret: str, *, lock: bool = False) -> Invitation | None:
    """The open invitation behind a link's secret; it is good while who gave it may still give that role."""
    statement = _open_invitations().where(Invitation.secret_hash == hashed(secret))
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
    row.accepted_at = datetime.now(UTC)
    await tx.record("agent.joined", subject_id=agent.id, actor=agent.actor, data={"role": row.role})
    audit.note(tx, "team.joined", by=agent.id, subject=agent.id, changes={"role": [None, row.role]})
    return agent


async def withdraw(tx: Tx, invitation_id: UUID, *, by: Agent | None = None) -> None:
    """Take an invitation back: its link stops working."""
    email = await tx.scalar(
        delete(Invitation)
        .where(Invitation.id == invitation_id, Invitation.accepted_at.is_(None))
        .returning(Invitation.email)
    )
    if email is not None:
        audit.note(tx, "team.invitation_withdrawn", by=by.id if by else None, changes={"email": [email, None]})
