"""What somebody who leaves was working on goes to a colleague, or back to everybody, in the same transaction."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import update

from plugin.conversations import macros, mentions
from plugin.conversations.conversations import TABLE, Status
from plugin.crm import actions, notes
from plugin.kernel.db import Happening, Tx
from plugin.kernel.errors import NotFound
from plugin.kernel.lazy import _
from plugin.team import Agent, Permission, deactivate, staff

_DONE = (Status.RESOLVED, Status.SPAM)


async def let_go(tx: Tx, agent: Agent, *, to: Agent | None, by: Agent) -> int:
    """End an agent's access and give their open conversations to `to`, or to nobody. Returns how many there were.

    Raises Forbidden and Conflict like `team.deactivate`, NotFound for a colleague who cannot have conversations.
    """
    if to is not None and (to.id == agent.id or not to.may(Permission.REPLY)):
        raise NotFound(_("This colleague cannot be given conversations."), _("Choose somebody else."))
    await deactivate(tx, agent, by=by)
    return await _hand_over(tx, agent.id, to.id if to else None, by=by)


async def become_one(tx: Tx, member: Agent, account: Agent, *, link_id: UUID) -> int:
    """A staff member of a store's admin turns out to be a stand-alone account: what was theirs is the account's.

    Raises NotFound and Conflict like `team.staff.link`. Returns how many conversations moved.
    """
    await staff.link(tx, member, account, link_id=link_id)
    await macros.inherit(tx, member.id, account.id)
    await mentions.inherit(tx, member.id, account.id)
    await actions.inherit(tx, member.id, account.id)
    await notes.inherit(tx, member.id, account.id)
    return await _hand_over(tx, member.id, account.id if account.may(Permission.REPLY) else None, by=account)


async def _hand_over(tx: Tx, of: UUID, to: UUID | None, *, by: Agent) -> int:
    moved = (
        await tx.execute(
            update(TABLE)
            .where(TABLE.c.workspace_id == tx.workspace_id, TABLE.c.assignee_id == of, TABLE.c.status.not_in(_DONE))
            .values(assignee_id=to)
            .returning(TABLE.c.id, TABLE.c.store_id, TABLE.c.customer_id)
        )
    ).all()
    now, new = datetime.now(UTC), str(to) if to else None
    await tx.record_many(
        [
            Happening(
                "conversation.assigned", row.id, now, row.store_id, row.customer_id, by.actor,
                {"to": new, "handed_over_by": str(of)},
            )
            for row in moved
        ]
    )  # fmt: skip
    for row in moved:
        tx.publish(f"panel:conversation:{row.id}", {"type": "assigned", "to": new})
    if moved:
        tx.publish("queue", {})
    return len(moved)
