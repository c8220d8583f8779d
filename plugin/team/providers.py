"""Accounts at an OpenID provider, and whose they are here: bound by (issuer, subject), never by e-mail."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin import stores
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Base, TenantRow, Tx, tenant_key
from plugin.kernel.errors import Conflict
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.team import audit
from plugin.team.agents import Agent

DIRECTORY = "oidc"


class SignInIdentity(TenantRow, Base):
    """An account at a provider that signs its agent in. `label` is how the provider names it, for showing only."""

    __tablename__ = "sign_in_identities"
    __table_args__ = (
        UniqueConstraint("workspace_id", "issuer", "subject"),
        tenant_key("agent_id", "agents"),
        {"info": nobody("the team")},
    )

    agent_id: Mapped[UUID]
    issuer: Mapped[str]
    subject: Mapped[str]
    label: Mapped[str] = mapped_column(server_default="")
    last_used_at: Mapped[datetime | None]


def directory_key(vault: Vault, issuer: str, subject: str) -> str:
    """Under which the directory knows the workspaces of a provider's account."""
    return vault.fingerprint(DIRECTORY, f"{issuer}\n{subject}")


async def identity_agent(tx: Tx, issuer: str, subject: str) -> Agent | None:
    """Whom a provider's account signs in to this workspace, or None; remembers that it was used."""
    agent_id = await tx.scalar(
        update(SignInIdentity)
        .where(
            SignInIdentity.workspace_id == tx.workspace_id,
            SignInIdentity.issuer == issuer,
            SignInIdentity.subject == subject,
        )
        .values(last_used_at=func.now())
        .returning(SignInIdentity.agent_id)
    )
    agent = await tx.get(Agent, agent_id) if agent_id is not None else None
    return agent if agent is not None and agent.deactivated_at is None else None


async def bind(tx: Tx, vault: Vault, agent: Agent, *, issuer: str, subject: str, label: str) -> None:
    """Let a provider's account sign this agent in. The caller has seen an invitation or the agent's own session.

    Raises Conflict when it is somebody else's in this workspace.
    """
    held = await tx.scalar(
        select(SignInIdentity.agent_id).where(SignInIdentity.issuer == issuer, SignInIdentity.subject == subject)
    )
    if held == agent.id:
        return
    if held is not None:
        raise Conflict(_("This account belongs to somebody else on the team already."), _("Use another account there."))
    tx.add(SignInIdentity(agent_id=agent.id, issuer=issuer, subject=subject, label=label[:200]))
    await stores.claim(tx, DIRECTORY, directory_key(vault, issuer, subject))
    await tx.flush()
    audit.note(tx, "account.provider_linked", by=agent.id, subject=agent.id, changes={"account": [None, label[:200]]})


async def identities(tx: Tx, agent: Agent) -> Sequence[SignInIdentity]:
    """The provider's accounts that sign this agent in."""
    return list(
        await tx.scalars(select(SignInIdentity).where(SignInIdentity.agent_id == agent.id).order_by(SignInIdentity.id))
    )


async def unbind(tx: Tx, vault: Vault, agent: Agent, identity_id: UUID) -> bool:
    """Take a provider's account away again. False: it was not this agent's.

    Raises Conflict for the only way in: who has no password would be locked out.
    """
    mine = await identities(tx, agent)
    row = next((one for one in mine if one.id == identity_id), None)
    if row is None:
        return False
    if not agent.password_hash and len(mine) == 1:
        raise Conflict(_("This is your only way in."), _("Set a password first."))
    await tx.execute(delete(SignInIdentity).where(SignInIdentity.id == row.id))
    await stores.release(tx, DIRECTORY, directory_key(vault, row.issuer, row.subject))
    audit.note(tx, "account.provider_unlinked", by=agent.id, subject=agent.id, changes={"account": [row.label, None]})
    return True
