"""Identities: how we know that it is them, how sure we are, and which rows of `customers` are one person.

Each store's account, and each guest, is a customer row of its own; what belongs to it (orders, carts, conversations,
events) points at it for ever. Who is one person is said only by `customers.merged_into`, which always points at the
head of the family. So a merge moves nothing, undoing it restores exactly, and erasing a store takes its own rows only.

Families are computed, not accumulated: two rows belong together when they share a proven e-mail address or phone
number, or when somebody merged them, unless an agent took them apart. The same facts in any order give the same people.
"""

# ruff: noqa: S608 (statements are put together from constants only; values are bound)

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from plugin.crm import terms
from plugin.crm.batch import lock
from plugin.crm.recount import recount
from plugin.kernel import bulk
from plugin.kernel.db import Base, Happening, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import Conflict, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.personal import kept

EMAIL = "email"
PHONE = "phone"
GUEST = "guest:"

# A value that more rows share than this is a shop's placeholder ("no@email.example"), not a person's.
_HUB = 20
_BATCH = 250


class Proof(StrEnum):
    """How an identity was proven. Only the first three merge customers, show history or orders, or steer replies."""

    PLATFORM = "platform"
    ONE_TIME_CODE = "one_time_code"
    ANSWERED_MAIL = "answered_mail"
    TYPED = "typed"
    FROM_HEADER = "from_header"


PROVEN = frozenset({Proof.PLATFORM, Proof.ONE_TIME_CODE, Proof.ANSWERED_MAIL})

# Merges somebody decided; those of other reasons only tell which shared handle made the computed family.
DECIDED = frozenset({"agent", "platform"})


class Identity(TenantRow, Base):
    """An e-mail address or phone number (`kind`) of a customer row, normalised; `store_id` is where it came from.

    The same value may be typed by strangers: unique per customer, not per value. `proven_at` is null for unproven ones.
    """

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint(
            "workspace_id", "customer_id", "kind", "value", "store_id", postgresql_nulls_not_distinct=True
        ),
        Index(None, "workspace_id", "kind", "value"),
        Index(None, "workspace_id", "store_id"),
        tenant_key("customer_id", "customers"),
    )

    customer_id: Mapped[UUID]
    kind: Mapped[str]
    value: Mapped[str]
    proof: Mapped[str]
    store_id: Mapped[UUID | None]
    proven_at: Mapped[datetime | None]


class Merge(TenantRow, Base):
    """Two customer rows that became one person. `reason`: agent, platform (decided), or email, phone (a shared handle).

    One that an agent has undone (`undone_by`) keeps the two apart from then on.
    """

    __tablename__ = "customer_merges"
    __table_args__ = (
        Index(None, "workspace_id", "survivor_id"),
        Index(None, "workspace_id", "absorbed_id"),
        tenant_key("survivor_id", "customers"),
        tenant_key("absorbed_id", "customers"),
        {"info": kept("which rows are one person; goes with them", plain=("reason", "actor", "undone_by"))},
    )

    survivor_id: Mapped[UUID]
    absorbed_id: Mapped[UUID]
    reason: Mapped[str]
    actor: Mapped[str]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str] = mapped_column(server_default="")


async def customer_of_platform(tx: Tx, store_id: UUID, external_id: str) -> UUID | None:
    """The customer row of a store's own account, which the store's signature names; None when we have not met it."""
    found: UUID | None = await tx.scalar(
        text(
            "SELECT customer_id FROM store_customers WHERE workspace_id = :workspace AND store_id = :store "
            "AND external_id = :external_id AND deleted_at IS NULL"
        ),
        {"workspace": tx.workspace_id, "store": store_id, "external_id": external_id},
    )
    return found


async def head(tx: Tx, customer_id: UUID) -> UUID:
    """The row that stands for the whole person. Raises NotFound."""
    found: UUID | None = await tx.scalar(
        text("SELECT coalesce(merged_into, id) FROM customers WHERE workspace_id = :workspace AND id = :id"),
        {"workspace": tx.workspace_id, "id": customer_id},
    )
    if found is None:
        raise NotFound(
            _("This customer does not exist."),
            _("They may have been erased, as they asked, or the address is not whole. Look for them under Customers."),
        )
    return found


async def family(tx: Tx, customer_id: UUID) -> list[UUID]:
    """Every row of the person, the head first: what agents see of them hangs on any of these. Raises NotFound."""
    members = list(await tx.scalars(_FAMILY, {"workspace": tx.workspace_id, "id": customer_id}))
    if not members:
        await head(tx, customer_id)
    return members


_FAMILY = text("""
WITH head AS (SELECT coalesce(merged_into, id) AS id FROM customers WHERE workspace_id = :workspace AND id = :id)
SELECT id FROM (SELECT id, 0 AS rank FROM head UNION ALL
    SELECT c.id, 1 FROM customers c JOIN head ON c.merged_into = head.id WHERE c.workspace_id = :workspace) members
ORDER BY rank, id
""")


async def of_family(tx: Tx, members: Collection[UUID]) -> Sequence[Identity]:
    """All handles of a person, proven ones first."""
    return list(
        await tx.scalars(
            select(Identity)
            .where(Identity.workspace_id == tx.workspace_id, Identity.customer_id.in_(members))
            .order_by(Identity.proven_at.is_(None), Identity.kind, Identity.value, Identity.id)
        )
    )


async def prove(
    tx: Tx, customer_id: UUID, kind: str, value: str, proof: Proof, store_id: UUID | None, *, at: datetime | None = None
) -> UUID:
    """Note a handle (normalised) that `proof` shows to be this customer's, and join whoever shares it.

    Returns the head of the family. Raises ValueError for a proof that proves nothing: use `typed`.
    """
    if proof not in PROVEN:
        raise ValueError(f"{proof} proves nothing")
    await lock(tx)
    proven_at = at or datetime.now(UTC)
    await bulk.insert(
        tx,
        Identity,
        [
            {
                "id": new_id(), "customer_id": customer_id, "kind": kind, "value": value, "proof": proof,
                "store_id": store_id, "proven_at": proven_at,
            }
        ],
        key=("customer_id", "kind", "value", "store_id"),
        update=("proof", "proven_at"),
        rule="stored.proven_at IS NULL",
    )  # fmt: skip
    by_email, by_phone = (value, "") if kind == EMAIL else ("", value)
    await terms.write(tx, {customer_id: terms.words_of("", by_email, by_phone)}, terms.PROOF)
    await recount(tx, [customer_id])
    await regroup(tx, [customer_id])
    return await head(tx, customer_id)


async def typed(tx: Tx, customer_id: UUID, kind: str, value: str, proof: Proof, store_id: UUID | None) -> None:
    """Note a handle that somebody only claims: agents see it as unverified, nothing follows from it."""
    if proof in PROVEN:
        raise ValueError(f"{proof} is a proof: use prove")
    await bulk.insert(
        tx,
        Identity,
        [
            {
                "id": new_id(), "customer_id": customer_id, "kind": kind, "value": value, "proof": proof,
                "store_id": store_id, "proven_at": None,
            }
        ],
        key=("customer_id", "kind", "value", "store_id"),
        update=(),
    )  # fmt: skip


async def merge(tx: Tx, survivor_id: UUID, absorbed_id: UUID, *, reason: str = "agent", actor: str) -> Merge:
    """Make two customers one person. Raises NotFound, and Conflict when they already are."""
    await lock(tx)
    survivor, absorbed = await head(tx, survivor_id), await head(tx, absorbed_id)
    if survivor == absorbed:
        raise Conflict(_("These two are already one customer."))
    row = Merge(id=new_id(), survivor_id=survivor, absorbed_id=absorbed, reason=reason, actor=actor)
    tx.add(row)
    await tx.flush()
    await regroup(tx, [survivor, absorbed], actor=actor)
    return row


async def undo_merge(tx: Tx, merge_id: UUID, *, actor: str) -> None:
    """Take apart what a merge joined; the two stay apart even where they share a handle. Raises NotFound, Conflict."""
    await lock(tx)
    row = await tx.get(Merge, merge_id, lock=True)
    if row is None:
        raise NotFound(_("This merge does not exist."))
    if row.undone_at is not None:
        raise Conflict(_("This merge was already undone."))
    row.undone_at, row.undone_by = datetime.now(UTC), actor
    await tx.flush()
    await regroup(tx, [row.survivor_id, row.absorbed_id], actor=actor)


async def merges_of(tx: Tx, members: Collection[UUID]) -> Sequence[Merge]:
    """The merges that stand within a family, newest first: what an agent may undo."""
    return list(
        await tx.scalars(
            select(Merge)
            .where(
                Merge.workspace_id == tx.workspace_id,
                Merge.survivor_id.in_(members),
                Merge.absorbed_id.in_(members),
                Merge.undone_at.is_(None),
            )
            .order_by(Merge.id.desc())
        )
    )


# Families


@dataclass(slots=True)
class _Graph:
    """The neighbourhood of some customer rows: who shares what, who was merged or taken apart by decision."""

    heads: dict[UUID, UUID | None] = field(default_factory=dict)
    holders: dict[tuple[str, str], dict[UUID, UUID | None]] = field(default_factory=lambda: defaultdict(dict))
    merges: dict[UUID, "_Decision"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Decision:
    survivor: UUID
    absorbed: UUID
    reason: str
    apart: bool

    @property
    def decided(self) -> bool:
        return self.reason in DECIDED


async def regroup(tx: Tx, customer_ids: Iterable[UUID], *, actor: str = "system", quiet: bool = False) -> None:
    """Compute again who is one person with these rows, move `merged_into`, tell it as events, and recount.

    `quiet`: nothing happened to these people, only to what was known beside them; no event tells of it.
    """
    entangled = await _entangled(tx, set(customer_ids))
    if not entangled:
        return
    graph = await _neighbourhood(tx, entangled)
    families, why = _families(graph)
    now = datetime.now(UTC)
    moved: dict[UUID, UUID | None] = {}
    happenings: list[Happening] = []
    told: list[Merge] = []
    head_of = {member: first for first, members in families.items() for member in members}
    standing = {m.absorbed for m in graph.merges.values() if not m.apart and head_of[m.survivor] == head_of[m.absorbed]}
    for first, members in families.items():
        for member in members:
            wanted = None if member == first else first
            if graph.heads[member] == wanted:
                continue
            moved[member] = wanted
            if wanted is None:
                happenings.append(Happening("customer.unmerged", member, now, customer_id=member, actor=actor,
                                            data={"from": str(graph.heads[member])}))  # fmt: skip
                continue
            reason = why.get(member, "agent")
            if graph.heads[member] is None:
                happenings.append(Happening("customer.merged", member, now, customer_id=first, actor=actor,
                                            data={"absorbed": str(member), "reason": reason}))  # fmt: skip
            if reason not in DECIDED and member not in standing:
                told.append(Merge(id=new_id(), survivor_id=first, absorbed_id=member, reason=reason, actor=actor))
    if not moved:
        return
    await _close_told(tx, graph, head_of)
    tx.add(*told)
    await tx.flush()
    # Heads first, or a row would point at one that itself still points elsewhere.
    await tx.execute(_MOVE, {"workspace": tx.workspace_id, "rows": bulk.dump(
        [{"id": member, "merged_into": wanted} for member, wanted in moved.items()])})  # fmt: skip
    if not quiet:
        await tx.record_many(happenings)
    touched = set(moved) | {head for head in graph.heads.values() if head} | set(families)
    await recount(tx, touched & graph.heads.keys())


_MOVE = text(
    f"UPDATE customers c SET merged_into = r.merged_into FROM {bulk.recordset({'id': 'uuid', 'merged_into': 'uuid'})} "
    "WHERE c.workspace_id = :workspace AND c.id = r.id"
)


async def _close_told(tx: Tx, graph: _Graph, head_of: dict[UUID, UUID]) -> None:
    """A told merge whose shared handle is gone is over; nobody decided that, so it keeps nobody apart."""
    over = [
        id
        for id, merge in graph.merges.items()
        if not merge.decided and not merge.apart and head_of.get(merge.survivor) != head_of.get(merge.absorbed)
    ]
    if over:
        await tx.execute(
            update(Merge)
            .where(Merge.workspace_id == tx.workspace_id, Merge.id.in_(over))
            .values(undone_at=datetime.now(UTC))
        )


def _families(graph: _Graph) -> tuple[dict[UUID, list[UUID]], dict[UUID, str]]:
    """Head → members, and for each joined member what joined it. Pure."""
    parent = {member: member for member in graph.heads}
    why: dict[UUID, str] = {}

    def find(member: UUID) -> UUID:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    apart = [(m.survivor, m.absorbed) for m in graph.merges.values() if m.apart]
    decided = [m for m in graph.merges.values() if m.decided and not m.apart]
    absorbed = {m.absorbed for m in decided}

    def join(left: UUID, right: UUID, reason: str) -> None:
        a, b = find(left), find(right)
        if a == b or any({find(x), find(y)} == {a, b} for x, y in apart):
            return
        parent[max(a, b)] = min(a, b)
        for member in (left, right):
            why.setdefault(member, reason)

    for merge in decided:
        join(merge.survivor, merge.absorbed, merge.reason)
    for (kind, _value), holders in sorted(graph.holders.items()):
        if _joins(kind, holders):
            members = sorted(holders)
            for position, left in enumerate(members):
                for right in members[position + 1 :]:
                    join(left, right, kind)
    groups: dict[UUID, list[UUID]] = defaultdict(list)
    for member in parent:
        groups[find(member)].append(member)
    # Whoever merged q into p goes on seeing p, whatever else belongs to q.
    survivors = {merge.survivor for merge in decided}

    def rank(member: UUID) -> tuple[bool, bool, UUID]:
        return member in absorbed, member not in survivors, member

    return {min(group, key=rank): group for group in groups.values()}, why


def _joins(kind: str, holders: dict[UUID, UUID | None]) -> bool:
    """Whether a shared value says that its holders are one person.

    A number that one store gives to two accounts is a family's or a shop's own number and proves nobody.
    """
    if len(holders) > _HUB:
        return False
    accounts = [store for store in holders.values() if store is not None]
    return kind != PHONE or len(accounts) == len(set(accounts))


async def _entangled(tx: Tx, ids: set[UUID]) -> set[UUID]:
    """Those of `ids` that have anything to do with another row; for nearly all of a batch that is nobody."""
    if not ids:
        return set()
    return set(await tx.scalars(_ENTANGLED, {"workspace": tx.workspace_id, "ids": list(ids)}))


# LATERAL and LIMIT: looked up person by person, whatever the planner believes about the size of a workspace.
_ENTANGLED = text("""
SELECT a.id FROM unnest(CAST(:ids AS uuid[])) AS a(id)
CROSS JOIN LATERAL (
    SELECT FROM identities i CROSS JOIN LATERAL (SELECT FROM identities j WHERE j.workspace_id = :workspace
        AND j.kind = i.kind AND j.value = i.value AND j.customer_id <> i.customer_id AND j.proven_at IS NOT NULL
        LIMIT 1) other
    WHERE i.workspace_id = :workspace AND i.customer_id = a.id AND i.proven_at IS NOT NULL
    UNION ALL SELECT FROM customers c WHERE c.workspace_id = :workspace AND c.id = a.id AND c.merged_into IS NOT NULL
    UNION ALL SELECT FROM customers d WHERE d.workspace_id = :workspace AND d.merged_into = a.id
    UNION ALL SELECT FROM customer_merges m WHERE m.workspace_id = :workspace AND m.survivor_id = a.id
    UNION ALL SELECT FROM customer_merges m WHERE m.workspace_id = :workspace AND m.absorbed_id = a.id
    LIMIT 1
) entangled
""")


async def _neighbourhood(tx: Tx, ids: set[UUID]) -> _Graph:
    """Everything that the families of `ids` are computed from: followed until nothing new turns up."""
    graph = _Graph()
    frontier, asked = ids, set[UUID]()
    while frontier:
        asked |= frontier
        parameters = {"workspace": tx.workspace_id, "ids": list(frontier)}
        met: set[UUID] = set()
        for row in await tx.execute(_RELATIVES, parameters):
            graph.heads[row.id] = row.merged_into
            met.add(row.id)
            if row.merged_into is not None:
                met.add(row.merged_into)
        hubs = _HUB + _BATCH
        for row in await tx.execute(_SHARERS, {**parameters, "most": hubs + 1}):
            graph.holders[(row.kind, row.value)][row.customer_id] = row.account_of
            met.add(row.customer_id)
        for row in await tx.execute(_DECISIONS, {**parameters, "decided": list(DECIDED)}):
            graph.merges[row.id] = _Decision(row.survivor_id, row.absorbed_id, row.reason, row.apart)
            met |= {row.survivor_id, row.absorbed_id}
        frontier = met - asked
    return graph


_RELATIVES = text("""
SELECT id, merged_into FROM customers WHERE workspace_id = :workspace AND id = ANY(CAST(:ids AS uuid[]))
UNION
SELECT id, merged_into FROM customers WHERE workspace_id = :workspace AND merged_into = ANY(CAST(:ids AS uuid[]))
""")

_SHARERS = text("""
SELECT v.kind, v.value, j.customer_id, p.store_id AS account_of
FROM (SELECT DISTINCT kind, value FROM identities WHERE workspace_id = :workspace
    AND customer_id = ANY(CAST(:ids AS uuid[])) AND proven_at IS NOT NULL) v
JOIN LATERAL (SELECT DISTINCT customer_id FROM identities i WHERE i.workspace_id = :workspace AND i.kind = v.kind
    AND i.value = v.value AND i.proven_at IS NOT NULL LIMIT :most) j ON true
LEFT JOIN store_customers p ON p.workspace_id = :workspace AND p.customer_id = j.customer_id
    AND NOT starts_with(p.external_id, 'guest:')
""")

_DECISIONS = text("""
SELECT id, survivor_id, absorbed_id, reason, undone_by <> '' AS apart
FROM customer_merges m
WHERE m.workspace_id = :workspace
    AND (survivor_id = ANY(CAST(:ids AS uuid[])) OR absorbed_id = ANY(CAST(:ids AS uuid[])))
    AND (undone_at IS NULL OR undone_by <> '')
    AND NOT (undone_by <> '' AND EXISTS (SELECT 1 FROM customer_merges again WHERE again.workspace_id = :workspace
        AND again.undone_at IS NULL AND again.id > m.id
        AND again.reason = ANY(CAST(:decided AS text[]))
        AND ARRAY[again.survivor_id, again.absorbed_id] @> ARRAY[m.survivor_id, m.absorbed_id]))
""")
