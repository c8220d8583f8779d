"""The people who work here: who they are, what each may do, and letting them go."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx
from plugin.kernel.errors import Conflict, Forbidden
from plugin.kernel.lazy import _
from plugin.kernel.money import Money
from plugin.kernel.personal import nobody
from plugin.team import audit
from plugin.team.rights import ALLOWED, EVERYTHING, GIVEN, GRANTS, Permission, Rights, Role, limit_in


class Agent(TenantRow, Base):
    """A member of the team. `password_hash` is argon2id, empty for those who only come through a store's admin.

    `rights` and the refund columns hold what was given beside the role (`Rights`). `alerts`: whether a problem of a
    store is mailed to them, where their role looks after stores. `away_since`: when they went, while not `available`.
    `capacity`: open conversations at once that a rule may give them, 0 without limit; `given_at`: when a rule gave
    them the last one.
    """

    __tablename__ = "agents"
    __table_args__ = (UniqueConstraint("workspace_id", "email"), {"info": nobody("the team")})

    name: Mapped[str]
    email: Mapped[str | None]
    role: Mapped[str]
    rights: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    refund_unlimited: Mapped[bool] = mapped_column(server_default=text("false"))
    refund_limits: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    locale: Mapped[str] = mapped_column(server_default="")
    timezone: Mapped[str] = mapped_column(server_default="")
    password_hash: Mapped[str] = mapped_column(server_default="")
    available: Mapped[bool] = mapped_column(server_default=text("true"))
    away_since: Mapped[datetime | None]
    capacity: Mapped[int] = mapped_column(server_default=text("0"))
    given_at: Mapped[datetime | None]
    alerts: Mapped[bool] = mapped_column(server_default=text("true"))
    last_seen_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]

    def may(self, permission: Permission) -> bool:
        """Whether this agent's role, or a right given to them, allows it."""
        if self.deactivated_at is not None:
            return False
        return permission in ALLOWED[Role(self.role)] or permission in self.beside.given

    def may_refund(self, money: Money, *, already: Money | None = None) -> bool:
        """Whether this agent may give `money` back. `already` is what they gave back on the same order before:
        a limit that counted each refund alone would be none.

        Raises ValueError when the two are of different currencies.
        """
        if self.deactivated_at is not None or money.amount <= 0:
            return False
        total = money if already is None else money + already
        return Permission.REFUND in ALLOWED[Role(self.role)] or self.beside.refunds(total)

    @property
    def beside(self) -> Rights:
        """The rights given beside the role."""
        # A row that was never flushed has none of the database's defaults yet.
        given = frozenset(Permission(right) for right in self.rights or () if right in GIVEN)
        return Rights(given, bool(self.refund_unlimited), dict(self.refund_limits or {}))

    @property
    def actor(self) -> str:
        """Their name in the event table."""
        return f"agent:{self.id}"


def may_grant(by: Agent, role: Role) -> bool:
    """Whether `by` may give or take this role: admins run the team, owners also make and unmake owners."""
    return by.may(Permission.MANAGE_TEAM) and role in GRANTS[Role(by.role)]


def may_give(by: Agent, agent: Agent) -> bool:
    """Whether `by` may change what `agent` may do beside their role: nobody decides about themselves."""
    return by.id != agent.id and agent.role != Role.OWNER and may_grant(by, Role(agent.role))


def givable(by: Agent) -> Rights:
    """The most that `by` may give: nobody gives what they do not have."""
    if Role(by.role) is Role.OWNER:
        return EVERYTHING
    held = frozenset(right for right in GIVEN if by.may(right))
    return Rights(held, by.beside.unlimited, by.beside.limits)


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


def can_be_given(agents: Sequence[Agent]) -> Sequence[Agent]:
    """Those of these whom `colleagues` would name, in its order. Pure."""
    fit = [agent for agent in agents if agent.deactivated_at is None and Permission.REPLY in ALLOWED[Role(agent.role)]]
    return sorted(fit, key=lambda agent: (agent.name.lower(), agent.id))


async def set_available(tx: Tx, agent: Agent, available: bool) -> None:
    """Go away, or come back: an agent's own word. Rules give nothing to who is away; people still can."""
    if agent.available == available:
        return
    agent.available = available
    agent.away_since = None if available else datetime.now(UTC)
    await tx.record("agent.back" if available else "agent.away", subject_id=agent.id, actor=f"agent:{agent.id}")
    tx.publish(f"agent:{agent.id}", {"type": "available", "available": available})


async def by_email(tx: Tx, email: str) -> Agent | None:
    """The agent with this normalised address."""
    agent: Agent | None = await tx.scalar(select(Agent).where(Agent.email == email))
    return agent


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


async def change_role(tx: Tx, agent: Agent, role: Role, *, by: Agent) -> None:
    """Give an agent another role. A smaller one takes the rights beside it along.

    Raises Forbidden beyond `by`'s rights, Conflict for the last owner.
    """
    if agent.role == role:
        return
    if not (may_grant(by, role) and may_grant(by, Role(agent.role))):
        raise not_yours()
    if agent.role == Role.OWNER:
        await not_the_last_owner(tx, agent)
    before, agent.role = agent.role, role
    if not ALLOWED[role] >= ALLOWED[Role(before)]:
        agent.rights, agent.refund_unlimited, agent.refund_limits = [], False, {}
    await tx.record("agent.role_changed", subject_id=agent.id, actor=by.actor, data={"from": before, "to": role})
    audit.note(tx, "team.role_changed", by=by.id, subject=agent.id, changes={"role": [before, role.value]})


async def give_rights(tx: Tx, agent: Agent, rights: Rights, *, by: Agent) -> None:
    """Set what an agent may do beside their role. Taking away is always allowed to whom may change the agent.

    Raises Forbidden for a right or a limit beyond `by`'s own, and for one's own rights.
    """
    if not may_give(by, agent):
        raise not_yours()
    if rights.beyond(agent.beside) & rights.beyond(givable(by)):
        raise Forbidden(
            _("Nobody can give a right, or a higher limit, than their own."), _("Ask an owner of this workspace.")
        )
    before = _told(agent.beside)
    agent.rights = sorted(rights.given)
    may_refund = Permission.REFUND in rights.given
    agent.refund_unlimited = may_refund and rights.unlimited
    agent.refund_limits = dict(rights.limits) if may_refund and not rights.unlimited else {}
    changes = audit.changed(before, _told(agent.beside))
    if not changes:
        return
    await tx.record("agent.rights_changed", subject_id=agent.id, actor=by.actor, data={"rights": agent.rights})
    audit.note(tx, "team.rights_changed", by=by.id, subject=agent.id, changes=changes)


def _told(rights: Rights) -> dict[str, object]:
    """Rights as a line of the audit log names them; a limit as a decimal with its currency."""
    limits = ", ".join(f"{limit_in(currency, minor).decimal()} {currency}" for currency, minor in rights.limits.items())
    refunds: object = Permission.REFUND in rights.given
    if refunds:
        refunds = "unlimited" if rights.unlimited else limits or "0"
    return {
        "refund": refunds,
        "export": Permission.EXPORT in rights.given,
        "manage_settings": Permission.MANAGE_SETTINGS in rights.given,
    }


async def owner_wanted(tx: Tx) -> bool:
    """Whether nobody runs this workspace. Holds the answer until the end of the transaction."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"owner:{tx.workspace_id}"))))
    return await _owners(tx) == 0


async def not_the_last_owner(tx: Tx, agent: Agent) -> None:
    """Raises Conflict when nobody would run the workspace without this owner."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"owner:{tx.workspace_id}"))))
    if await _owners(tx, but=agent.id) == 0:
        raise Conflict(
            _("A workspace needs an owner, and this is the last one."), _("Make somebody else an owner first.")
        )


async def has_owner(tx: Tx, *, but: UUID | None = None) -> bool:
    """Whether somebody runs this workspace, leaving out the agent `but`."""
    return await _owners(tx, but) > 0


async def _owners(tx: Tx, but: UUID | None = None) -> int:
    statement = select(func.count()).select_from(Agent).where(Agent.role == Role.OWNER, Agent.deactivated_at.is_(None))
    count: int = await tx.scalar(statement if but is None else statement.where(Agent.id != but))
    return count


def not_yours() -> Forbidden:
    """What somebody gets who reaches beyond their role."""
    return Forbidden(_("Your role does not allow that."), _("Ask an owner of this workspace."))
