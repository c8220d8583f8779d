"""A store's return policy, in versions: a new one never changes what was judged by an older one."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import UniqueConstraint, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import Conflict
from plugin.kernel.lazy import _
from plugin.kernel.personal import nobody
from plugin.return_desk import Sign
from plugin.returns.policy import Policy
from plugin.returns.states import Times
from plugin.stores import Store
from plugin.team import Agent, audit


class PolicyVersion(TenantRow, Base):
    """A policy as it was published: `number` counts from 1 in a store. `rules` is `policy.Policy` as JSON.

    No foreign key on the agent: what was published outlives whoever did it; None: the product's own beginning.
    """

    __tablename__ = "return_policies"
    __table_args__ = (
        UniqueConstraint("workspace_id", "store_id", "number"),
        tenant_key("store_id", "stores"),
        {"info": nobody("what the merchant takes back, and for how long")},
    )

    store_id: Mapped[UUID]
    number: Mapped[int]
    agent_id: Mapped[UUID | None]
    rules: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    @property
    def policy(self) -> Policy:
        """What `policy.quote` judges by."""
        return msgspec.convert(self.rules, Policy)


BEGINNING = (Sign.RISK, Sign.DISPUTE)
"""What a new shop's people look at until the shop says otherwise: where money may be gone already."""


async def current(tx: Tx, store: Store) -> PolicyVersion:
    """The newest version; a store that has none gets the product's own as its first."""
    found = await _newest(tx, store.id)
    if found is None:
        await _add(tx, store.id, Policy(zone=store.timezone, signs=BEGINNING), number=1, agent_id=None)
        found = await _newest(tx, store.id)
    if found is None:
        raise LookupError("a policy that was just written is not there")
    return found


async def history(tx: Tx, store_id: UUID, limit: int = 50) -> Sequence[PolicyVersion]:
    """The versions of a store, the newest first."""
    rows = await tx.scalars(
        select(PolicyVersion)
        .where(PolicyVersion.workspace_id == tx.workspace_id, PolicyVersion.store_id == store_id)
        .order_by(PolicyVersion.number.desc())
        .limit(limit)
    )
    return list(rows)


async def version(tx: Tx, version_id: UUID) -> PolicyVersion | None:
    """One version, whatever came after it."""
    return await tx.get(PolicyVersion, version_id)


async def times_of(tx: Tx, store_id: UUID, version_id: UUID | None) -> Times:
    """How long a return may stand still: by the version that it was judged by, else by the store's newest."""
    found = await version(tx, version_id) if version_id is not None else await _newest(tx, store_id)
    return found.policy.times if found is not None else Times()


async def publish(tx: Tx, store: Store, policy: Policy, *, after: int, by: Agent) -> PolicyVersion:
    """Make `policy` the store's newest version. `after` is the number of the version that was edited.

    Publishing what already holds changes nothing. Raises Conflict when somebody published another meanwhile.
    """
    newest = await current(tx, store)
    if newest.policy == policy:
        return newest
    if newest.number != after or not await _add(tx, store.id, policy, number=after + 1, agent_id=by.id):
        raise Conflict(
            _("Somebody else changed the policy meanwhile."), _("Look at theirs, then make your change again.")
        )
    audit.note(tx, "settings.return_policy", by=by.id, subject=store.id, changes={"version": [after, after + 1]})
    return await current(tx, store)


async def _newest(tx: Tx, store_id: UUID) -> PolicyVersion | None:
    found = await history(tx, store_id, limit=1)
    return found[0] if found else None


async def _add(tx: Tx, store_id: UUID, policy: Policy, *, number: int, agent_id: UUID | None) -> bool:
    """Insert-or-nothing: two at once make one version, and only one of them is told so."""
    added = await tx.scalar(
        insert(PolicyVersion)
        .values(
            workspace_id=tx.workspace_id, id=new_id(), store_id=store_id, number=number, agent_id=agent_id,
            rules=msgspec.to_builtins(policy),
        )
        .on_conflict_do_nothing()
        .returning(PolicyVersion.id)
    )  # fmt: skip
    return added is not None
