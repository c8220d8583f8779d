"""Notes of the team on a customer: what the next colleague should know, whatever conversation it comes up in."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Index, func, select, update
from sqlalchemy.orm import Mapped

from plugin.crm import identities
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.errors import AhlanError, Forbidden, NotFound
from plugin.kernel.lazy import _
from plugin.kernel.text import harmless
from plugin.team import Agent, Permission

LONGEST = 2_000
MOST = 50
"""Notes on one person, at most."""


class CustomerNote(TenantRow, Base):
    """A note. It hangs on the customer row it was written at, and shows for the whole person."""

    __tablename__ = "customer_notes"
    __table_args__ = (
        Index(None, "workspace_id", "customer_id", "id"),
        tenant_key("customer_id", "customers"),
    )

    customer_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    text: Mapped[str]
    edited_at: Mapped[datetime | None]


async def of_family(tx: Tx, members: Collection[UUID]) -> Sequence[CustomerNote]:
    """Notes on a person, the latest first; `members` are all their rows (`identities.family`)."""
    rows = await tx.scalars(
        select(CustomerNote)
        .where(CustomerNote.workspace_id == tx.workspace_id, CustomerNote.customer_id.in_(members))
        .order_by(CustomerNote.id.desc())
        .limit(MOST)
    )
    return list(rows)


async def add(tx: Tx, customer_id: UUID, text: str, *, by: Agent) -> CustomerNote:
    """Write a note. Raises AhlanError for an empty or too long one, or one too many, NotFound without the customer."""
    members = await identities.family(tx, customer_id)
    if not members:
        raise NotFound(_("This customer is not here."))
    have = await tx.scalar(
        select(func.count())
        .select_from(CustomerNote)
        .where(CustomerNote.workspace_id == tx.workspace_id, CustomerNote.customer_id.in_(members))
    )
    if have >= MOST:
        raise AhlanError(_("There are 50 notes on this customer already."), _("Delete one first."), code="notes_full")
    note = CustomerNote(id=new_id(), customer_id=customer_id, agent_id=by.id, text=_clean(text))
    tx.add(note)
    await tx.flush()
    await tx.record("customer.noted", subject_id=note.id, customer_id=customer_id, actor=by.actor)
    return note


async def edit(tx: Tx, note_id: UUID, text: str, *, by: Agent) -> CustomerNote:
    """Change one's own note. Raises Forbidden for a colleague's, NotFound, AhlanError as `add` does."""
    note = await _held(tx, note_id)
    if note.agent_id != by.id:
        raise Forbidden(_("Only its author can change a note."))
    note.text, note.edited_at = _clean(text), datetime.now(UTC)
    await tx.flush()
    return note


async def remove(tx: Tx, note_id: UUID, *, by: Agent) -> UUID:
    """Delete a note: its author may, and whoever manages the team. Returns whose it was. Raises Forbidden, NotFound."""
    note = await _held(tx, note_id)
    if note.agent_id != by.id and not by.may(Permission.MANAGE_TEAM):
        raise Forbidden(_("Only its author, or whoever manages the team, can delete a note."))
    customer_id = note.customer_id
    await tx.session.delete(note)
    await tx.flush()
    await tx.record("customer.note_deleted", subject_id=note_id, customer_id=customer_id, actor=by.actor)
    return customer_id


async def inherit(tx: Tx, of: UUID, to: UUID) -> None:
    """Two rows turn out to be one colleague: what the one wrote is the other's."""
    await tx.execute(
        update(CustomerNote)
        .where(CustomerNote.workspace_id == tx.workspace_id, CustomerNote.agent_id == of)
        .values(agent_id=to)
    )


async def _held(tx: Tx, note_id: UUID) -> CustomerNote:
    note = await tx.get(CustomerNote, note_id, lock=True)
    if note is None:
        raise NotFound(_("This note is no longer there."))
    return note


def _clean(text: str) -> str:
    text = harmless(text.replace("\r\n", "\n").replace("\x00", "")).strip()
    if not text or len(text) > LONGEST:
        raise AhlanError(_("A note has at most 2000 characters, and at least one."), code="note_length", status=422)
    return text
