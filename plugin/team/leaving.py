"""Letting somebody go, and letting them in again."""

from datetime import UTC, datetime

from plugin.kernel.db import Tx
from plugin.team import audit
from plugin.team.agents import Agent, may_grant, not_the_last_owner, not_yours
from plugin.team.rights import Role
from plugin.team.sessions import close_sessions, tell


async def deactivate(tx: Tx, agent: Agent, *, by: Agent) -> None:
    """End an agent's access everywhere at once; what they wrote stays. Raises Forbidden, Conflict as change_role.

    `conversations.handover.let_go` does this and hands over their open conversations.
    """
    if agent.deactivated_at is not None:
        return
    if not may_grant(by, Role(agent.role)):
        raise not_yours()
    if agent.role == Role.OWNER:
        await not_the_last_owner(tx, agent)
    agent.deactivated_at = datetime.now(UTC)
    await close_sessions(tx, agent)
    tell(tx, agent)
    await tx.record("agent.deactivated", subject_id=agent.id, actor=by.actor)
    audit.note(tx, "team.deactivated", by=by.id, subject=agent.id)


async def reactivate(tx: Tx, agent: Agent, *, by: Agent) -> None:
    """Let a deactivated agent in again, with the role they had."""
    if agent.deactivated_at is None:
        return
    if not may_grant(by, Role(agent.role)):
        raise not_yours()
    agent.deactivated_at = None
    await tx.record("agent.reactivated", subject_id=agent.id, actor=by.actor)
    audit.note(tx, "team.reactivated", by=by.id, subject=agent.id)
