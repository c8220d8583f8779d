"""What one `sync.apply` carries through the rooms: the store, what was deleted before, what changed, what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text

from plugin.kernel.db import Happening, Tx
from plugin.stores import Store

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Change:
    """A row that the batch really created or changed. `version` is the platform's time of that change."""

    resource: str
    external_id: str
    version: datetime
    created: bool


@dataclass(slots=True)
class Batch:
    """One batch of one store, on its way."""

    tx: Tx
    store: Store
    now: datetime
    tombstones: dict[tuple[str, str], datetime] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    owners: dict[UUID, UUID | None] = field(default_factory=dict)
    recount: set[UUID] = field(default_factory=set)
    regroup: set[UUID] = field(default_factory=set)
    forsaken: set[UUID] = field(default_factory=set)

    def about(self, **parameters: Any) -> dict[str, Any]:
        """Parameters of a statement about this batch's store."""
        return {"workspace": self.tx.workspace_id, "store": self.store.id, **parameters}

    def deleted_at(self, resource: str, external_id: str, version: datetime) -> datetime | None:
        """When the platform deleted it, if this version of it is not newer than that."""
        if not self.tombstones:
            return None
        deleted = self.tombstones.get((resource, external_id))
        return deleted if deleted is not None and deleted >= version else None

    def changed(self, resource: str, external_id: str, version: datetime, *, created: bool) -> None:
        """Note a row that was really written."""
        self.changes.append(Change(resource, external_id, version, created))

    def happened(
        self, kind: str, subject_id: UUID, customer_id: UUID | None, at: datetime, data: Mapping[str, Any]
    ) -> None:
        """Note an event. What lies before the store's install is history: told on the timeline, without reactions."""
        self.happenings.append(
            Happening(
                kind,
                subject_id,
                min(at, self.now),
                store_id=self.store.id,
                customer_id=customer_id,
                actor=f"store:{self.store.id}",
                data=data,
                quiet=at < self.store.installed_at,
            )
        )

    def passed_on(self, subject_id: UUID, before: UUID | None, after: UUID | None) -> None:
        """Note that an order or a cart is another person's now: what is told about it goes along."""
        if before == after:
            return
        self.owners[subject_id] = after
        if before is not None:
            self.forsaken.add(before)
            self.recount.add(before)

    def counts(self) -> Counter[str]:
        """Changed rows per resource."""
        return Counter(change.resource for change in self.changes)


def newest(records: Iterable[tuple[K, datetime, R]]) -> dict[K, R]:
    """Per key the record with the highest version; of equal ones the later, which was sent later."""
    versions: dict[K, datetime] = {}
    winners: dict[K, R] = {}
    for key, version, record in records:
        if key not in versions or version >= versions[key]:
            versions[key], winners[key] = version, record
    return winners


async def lock(tx: Tx) -> None:
    """Be this workspace's only writer of people and orders until commit.

    Two batches would otherwise each create the person that the other one does not see yet, or merge past each other.
    """
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:workspace AS text), 0))"),
        {"workspace": str(tx.workspace_id)},
    )
