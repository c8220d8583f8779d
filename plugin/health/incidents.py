"""Incidents: what was wrong with a store, from when to when, and what was mailed about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.health.rules import DAY, MENDED, SETTLE, Problem, Severity, due
from plugin.kernel.db import Base, TenantRow, Tx, new_id, tenant_key
from plugin.kernel.personal import nobody
from plugin.stores import Store


class Incident(TenantRow, Base):
    """A problem of a store while it lasts. `last_seen_at` is the last look that still found it.

    `data` is what its sentence needs: count, resources; nothing about any person.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        tenant_key("store_id", "stores"),
        Index(None, "workspace_id", "store_id", "opened_at"),
        Index(
            "uq_incidents_open",
            "workspace_id",
            "store_id",
            "code",
            unique=True,
            postgresql_where=text("recovered_at IS NULL"),
        ),
        {"info": nobody("what is wrong with a store, in codes and numbers")},
    )

    store_id: Mapped[UUID]
    code: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    recovered_at: Mapped[datetime | None]


class Mailing(TenantRow, Base):
    """One mail about an incident, to everybody whom it concerns. `sent_to` are the agents who have it already."""

    __tablename__ = "incident_mails"
    __table_args__ = (
        tenant_key("incident_id", "incidents"),
        UniqueConstraint("workspace_id", "incident_id", "kind"),
        Index(None, "workspace_id", "at"),
        {"info": nobody("which agents were mailed about a store")},
    )

    incident_id: Mapped[UUID]
    kind: Mapped[str]
    at: Mapped[datetime]
    sent_to: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    sent_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Open:
    """An incident that lasts, with the name of its store."""

    id: UUID
    store_id: UUID
    store_name: str
    problem: Problem
    opened_at: datetime


def remembered(incident: Incident) -> Problem:
    """The problem as it was when it was last seen."""
    data = incident.data
    return Problem(
        incident.code,
        Severity.BAD,
        detail=str(data.get("detail") or ""),
        count=int(data.get("count") or 0),
        since=datetime.fromisoformat(data["since"]) if data.get("since") else None,
        resources=tuple(data.get("resources") or ()),
    )


def _kept(problem: Problem) -> dict[str, Any]:
    return {
        "detail": problem.detail[:500],
        "count": problem.count,
        "since": problem.since.isoformat() if problem.since else None,
        "resources": list(problem.resources),
    }


async def keep(tx: Tx, store: Store, problems: Sequence[Problem], now: datetime) -> bool:
    """Open, go on with or close the store's incidents by what is wrong at `now`; whether anything began or ended.

    The caller holds the store's row, so that two looks at once go one after the other.
    """
    bad = {problem.code: problem for problem in problems if problem.severity == Severity.BAD}
    changed = False
    seen = set()
    for incident in await _recent(tx, store.id, now):
        problem = bad.get(incident.code)
        if problem is not None and incident.code not in seen:
            seen.add(incident.code)
            changed |= incident.recovered_at is not None
            incident.last_seen_at, incident.recovered_at, incident.data = now, None, _kept(problem)
        elif incident.recovered_at is None:
            incident.recovered_at, changed = now, True
    for code, problem in bad.items():
        if code not in seen:
            tx.add(Incident(store_id=store.id, code=code, data=_kept(problem), opened_at=now, last_seen_at=now))
            changed = True
    await tx.flush()
    return changed


async def _recent(tx: Tx, store_id: UUID, now: datetime) -> Sequence[Incident]:
    """What lasts, and what ended so lately that it would be the same again; the newest of each kind first."""
    return list(
        await tx.scalars(
            select(Incident)
            .where(
                Incident.workspace_id == tx.workspace_id,
                Incident.store_id == store_id,
                Incident.recovered_at.is_(None) | (Incident.recovered_at > now - SETTLE),
            )
            .order_by(Incident.recovered_at.is_not(None), Incident.opened_at.desc())
        )
    )


async def mails_due(tx: Tx, store_id: UUID, now: datetime) -> list[Mailing]:
    """Write down the mails that are due about this store's incidents; each is written once, whoever asks."""
    # All stores of a workspace share one budget.
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('alerts ' || CAST(:workspace AS text), 0))"),
        {"workspace": str(tx.workspace_id)},
    )
    rows = list(
        await tx.scalars(
            select(Incident)
            .where(
                Incident.workspace_id == tx.workspace_id,
                Incident.store_id == store_id,
                Incident.recovered_at.is_(None) | (Incident.recovered_at > now - DAY),
            )
            .order_by(Incident.opened_at)
        )
    )
    if not rows:
        return []
    told: dict[UUID, dict[str, datetime]] = {row.id: {} for row in rows}
    for mailing in await tx.scalars(
        select(Mailing).where(Mailing.workspace_id == tx.workspace_id, Mailing.incident_id.in_(told))
    ):
        told[mailing.incident_id][mailing.kind] = mailing.at
    today = int(
        await tx.scalar(
            select(func.count()).select_from(Mailing).where(
                Mailing.workspace_id == tx.workspace_id, Mailing.at > now - DAY
            )
        )
    )  # fmt: skip
    written: list[Mailing] = []
    for row in rows:
        kind = due(row.opened_at, row.recovered_at, told[row.id], today + len(written), now)
        if kind is not None:
            written.append(Mailing(id=new_id(), incident_id=row.id, kind=kind, at=now))
    tx.add(*written)
    await tx.flush()
    return written


async def drop(tx: Tx, mailing: Mailing) -> None:
    """Forget a mail that nobody needs any more: the problem was over before it was sent."""
    await tx.session.delete(mailing)
    await tx.flush()


async def open_now(tx: Tx) -> list[Open]:
    """Every incident of the workspace that lasts: what somebody must do something about first, then the oldest."""
    rows: Any = await tx.execute(
        select(Incident, Store.name)
        .join(Store, (Store.workspace_id == Incident.workspace_id) & (Store.id == Incident.store_id))
        .where(Incident.workspace_id == tx.workspace_id, Incident.recovered_at.is_(None))
        .order_by(Incident.code.in_(sorted(MENDED)), Incident.opened_at, Incident.id)
    )
    return [Open(row.id, row.store_id, name, remembered(row), row.opened_at) for row, name in rows]


@dataclass(frozen=True, slots=True)
class Past:
    """An incident for the store's page, with when it was mailed."""

    incident: Incident
    mailed_at: datetime | None


async def history(tx: Tx, store_id: UUID, limit: int = 10) -> list[Past]:
    """The store's latest incidents, newest first."""
    mailed = (
        select(Mailing.incident_id, func.min(Mailing.sent_at).label("at"))
        .where(Mailing.workspace_id == tx.workspace_id, Mailing.sent_at.is_not(None))
        .group_by(Mailing.incident_id)
        .subquery()
    )
    rows: Any = await tx.execute(
        select(Incident, mailed.c.at)
        .outerjoin(mailed, mailed.c.incident_id == Incident.id)
        .where(Incident.workspace_id == tx.workspace_id, Incident.store_id == store_id)
        .order_by(Incident.opened_at.desc(), Incident.id.desc())
        .limit(limit)
    )
    return [Past(incident, at) for incident, at in rows]
